"""What was trained before the code was changed isn't taken for what the code does."""

import pytest

from course_lib.bindings import Bindings
from course_lib.student import Student
from course_lib.worker import Worker

CELLS = """
def helper(x): return x
def train(x): return [helper(x) for _ in range(3)]
def other(): pass
class Net:
    def forward(self): return helper(1)
""", "made = train(2)"


def run(bindings, namespace, *cells):
    for cell in cells:
        try:
            exec(cell, namespace)
        except ZeroDivisionError:
            pass
        bindings.note(namespace)


@pytest.mark.parametrize("cell, newer", [
    ("x = 1", True), ("def other(): return 1", True), ("made", True),
    ("def train(x): return x", False), ("def helper(x): return -x", False), ("def train(x): return 1 / 0\nmade = train(3)", False),
    ("def train(x): return x\nmade = train(3)", True), ("def helper(x): return -x\nmade = train(3)", True)])
def test_what_is_made_is_as_new_as_what_made_it(cell, newer):
    bindings, namespace = Bindings(), {}
    run(bindings, namespace, *CELLS)
    assert bindings.is_newer("made", ["train"])
    run(bindings, namespace, cell, "y = 2")
    assert bindings.is_newer("made", ["train", "progress"]) == newer


def test_a_class_uses_what_its_methods_use():
    bindings, namespace = Bindings(), {}
    run(bindings, namespace, CELLS[0], "made = Net()", "def helper(x): return 0")
    assert not bindings.is_newer("made", ["Net"]) and bindings.is_newer("made", ["other"])


def probe(names, x):
    made = names.made("made")
    return "made again" if made is None else names.train(x)


def test_a_probe_takes_only_what_is_newer_than_the_functions_it_names():
    asked = []
    namespace = {"made": [1], "train": lambda x: "as it was"}
    for answer, expected in ((True, "as it was"), (False, "made again")):
        worker = Worker(namespace, made=lambda name, functions: asked.append((name, functions)) or answer)
        assert Student(worker.handle).run(probe, 1) == expected
    assert asked == [("made", ["made", "train"])] * 2
