"""The answers a lesson's checks are tried on: the reference solution, the stub, known wrong and other right answers.

`solutions/<lesson>/wrong_answers.py` and `alternative_answers.py` hold one function or class for each answer:

    @wrong("gan_value", hint="the second term needs σ(−a)")
    def gan_value(real_logits, fake_logits): ...

    @right("gan_value")
    def gan_value(real_logits, fake_logits): ...

It takes the place of the reference's definition of that name; all the others stay. What stands in the file without such
a decorator (imports, helper functions) is there for all of its answers.
"""

import ast
import functools
import linecache
import re
from dataclasses import dataclass
from pathlib import Path

import jupytext

from autograder.errors import LessonError

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION.*?### END SOLUTION", re.DOTALL | re.MULTILINE)
SOLUTIONS = Path(__file__).resolve().parent.parent / "solutions"


@dataclass(frozen=True)
class Answer:
    """A submission to try: `make_namespace()` runs it afresh. `replaces` is the name it defines differently.

    hint: a part of the sentence a wrong answer must be met with; None for a right one. trains: the label under which training
    checks are calibrated with it too, to learn whether they would see it, or pass it; None where they aren't.
    """

    lesson: str
    check: str
    label: str
    hint: str | None
    trains: str | None
    statements: tuple

    def own_statements(self):
        """The answer's definition, after those of the helpers beside it that it names."""
        *shared, definition = self.statements
        names = {node.id for node in ast.walk(definition) if isinstance(node, ast.Name)}
        return [node for node in shared if getattr(node, "name", None) in names] + [definition]

    def make_namespace(self):
        namespace = reference_namespace(self.lesson)
        for number, node in enumerate(self.statements):
            _run(_unparsed(node), f"<{self.label}, statement {number + 1}>", namespace)
        return namespace


@functools.lru_cache
def reference_cells(lesson, setup=True):
    """The code that makes a lesson's functions: [(cell name, source)], its solution cells, in order, after those of its setup."""
    path = SOLUTIONS / lesson / f"{lesson}.py"
    if not path.is_file():
        known = ", ".join(sorted(p.parent.name for p in SOLUTIONS.glob("*/*.py") if p.stem == p.parent.name))
        raise LookupError(f"there is no lesson {lesson!r} under {SOLUTIONS.name}/; known are: {known}")
    cells = []
    for number, cell in enumerate(jupytext.read(path).cells):
        is_setup = setup and "setup" in cell.metadata.get("tags", ())
        if cell.cell_type == "code" and ("solution" in cell.metadata or is_setup):
            cells.append((cell.metadata.get("solution", f"setup cell {number + 1}"), cell.source))
    return cells


def reference_namespace(lesson):
    """The names a lesson's notebook has when its setup and solution cells have run, freshly made."""
    namespace = {"__name__": "__main__"}
    for name, source in reference_cells(lesson):
        _run(source, f"<{lesson}, {name}>", namespace)
    return namespace


def stub_namespace(lesson):
    """The names that a learner who has written nothing has."""
    namespace = {"__name__": "__main__"}
    for name, source in reference_cells(lesson):
        _run(re.sub(SOLUTION, r"\1raise NotImplementedError()", source), f"<{lesson}, {name}, stub>", namespace)
    return namespace


def wrong_answers(lesson):
    """The known wrong answers, each with the hint it must be met with."""
    return _answers(lesson, "wrong_answers.py", "wrong")


def alternative_answers(lesson):
    """Other right answers, which must pass."""
    return _answers(lesson, "alternative_answers.py", "right")


@functools.lru_cache
def _answers(lesson, file, decorator):
    path = SOLUTIONS / lesson / file
    try:
        statements = ast.parse(path.read_text(encoding="utf-8"), str(path)).body
    except SyntaxError as error:
        raise LessonError(f"solutions/{lesson}/{file}:{error.lineno}: isn't valid Python: {error.msg}") from None
    marked, shared = [], []
    for node in statements:
        mark = _mark(node, decorator)
        if mark is None:
            shared.append(node)
            continue
        node.decorator_list.remove(mark)
        check, = (ast.literal_eval(argument) for argument in mark.args)
        options = {keyword.arg: ast.literal_eval(keyword.value) for keyword in mark.keywords}
        marked.append((check, options.get("hint"), options.get("trains"), node))
    return [Answer(lesson, check, f"{file}:{node.lineno} {node.name}", hint, trains, (*shared, node))
            for check, hint, trains, node in marked]


def _mark(node, decorator):
    for mark in getattr(node, "decorator_list", ()):
        if isinstance(mark, ast.Call) and getattr(mark.func, "id", None) == decorator:
            return mark
    return None


def _run(source, filename, namespace):
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    exec(_compiled(source, filename), namespace)


_unparsed = functools.cache(ast.unparse)
_compiled = functools.cache(lambda source, filename: compile(source, filename, "exec"))
