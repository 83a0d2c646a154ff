"""Every attack in tests/attacks/ ends with the points that its honest part deserves, and leaves nothing behind.

Each is handed in to a class of its own, in which there are things to steal and to spoil; it is found, spliced and judged as
`autograder grade` does it, all in one sandbox. Nothing hostile runs outside it.
"""

import copy
import json
import os
import socket
import time
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from attacks import corpus, craft, table
from conftest import ROOT, need

from autograder import feedback, gradebook, grading, page, task, walls
from autograder.build import Course
from autograder.handin import find
from autograder.judge import Judge
from autograder.results import ClassFolder
from autograder.sandbox import Limits, Sandbox
from autograder.splice import fill, splice
from course_lib.check import checks_of
from course_lib.scale import Scale
from course_lib.verdict import PASSED

LIMITS = Limits(cell_s=4, check_s=4, train_s=10, total_s=25, memory=5 * 2**28, processes=32, files=2000)
CANARY = "canary-4f1c09ab"  # stands in everything that a submission must not read
SIGHTS = walls.Sights(ROOT / "course_lib", ROOT / "lessons" / craft.LESSON)
OUTSIDE = [ROOT, ROOT / "course_lib", Path.home(), *map(Path, ("/", "/tmp", "/var/tmp", "/etc", "/dev/shm", "/usr"))]
SECONDS, MEMORY = 40, 1.5 * 1024**3  # what one submission may cost the judge
SCRIPTS = ("<script", "<img src=x", "<iframe", "<svg", "href=\"javascript:")


class Watched(Sandbox):
    """A sandbox that knows the pid namespaces of the boxes it has opened."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.spaces = set()

    def open(self, until=None, data=False):
        box = super().open(until, data)
        self.spaces.add(os.readlink(f"/proc/{box._init}/ns/pid"))
        return box

    def left(self):
        """The processes that are still in one of them: {pid: state}."""
        left = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if os.readlink(f"/proc/{pid}/ns/pid") in self.spaces:
                    left[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                pass  # it has just ended
        return left


@pytest.fixture(scope="module")
def released():
    return nbformat.read(Course().released(craft.LESSON), as_version=4)


@pytest.fixture(scope="module")
def judge(released):
    os.environ["A_SECRET_OF_THE_HOST"] = CANARY
    try:
        walls.probe(SIGHTS)
    except walls.NoIsolation as reason:
        need(False, str(reason))
    with Watched(SIGHTS, Scale.SMOKE, LIMITS) as sandbox:
        yield Judge(craft.LESSON, released, sandbox, Scale.SMOKE, CANARY.encode() * 3)
    del os.environ["A_SECRET_OF_THE_HOST"]


@pytest.fixture(scope="module")
def honest(released):
    return splice(released, nbformat.writes(craft.base(released)).encode())


@pytest.fixture
def classroom(tmp_path, released):
    """A class with secrets, and a neighbour who has solved everything."""
    root = tmp_path / "class"
    solved = copy.deepcopy(released)
    for cell in solved.cells:
        if cell.id.startswith("solution-"):
            cell.source = f"# {CANARY}\n{craft.solution(cell.id.removeprefix('solution-'))}"
    for path in ("source/gan_math", "submitted/neighbour/gan_math"):
        (root / path).mkdir(parents=True)
        nbformat.write(solved, root / path / craft.NOTEBOOK)
    (root / "gradebook.db").write_text(CANARY)
    (root / "grading.secret").write_text(CANARY)
    for path in root.rglob("*"):
        path.chmod(0o777)  # the walls are to keep it, not the file's mode
    return ClassFolder(root)


def hand_in(attack, classroom, released):
    """Have the attack hand in, and return its one Handin."""
    submitted = classroom.root / "submitted"
    source = attack.hand_in(submitted / attack.name / craft.LESSON, craft.base(released)) or submitted
    found, = (each for each in find(source, craft.LESSON) if each.student != "neighbour")
    return found


def outside(root):
    """What the attack might have changed."""
    files = {path: path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.is_symlink()}
    marks = [path for folder in OUTSIDE if (path := folder / craft.MARK).exists()]
    return files, marks, Path("/proc/sys/kernel/core_pattern").read_text(), socket.gethostname()


@pytest.mark.parametrize("attack", corpus(), ids=lambda attack: attack.name)
def test_it_gets_what_its_honest_part_deserves_and_harms_nobody(attack, judge, honest, classroom, released):
    assert attack.points == craft.HONEST or attack.lost or attack.verdicts, "says why its honest part is worth something else"
    judge.sandbox.spaces.clear()
    handin, before, started = hand_in(attack, classroom, released), outside(classroom.root), time.monotonic()
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory counts from now
    start_of_memory = memory_peak()
    spliced = None if handin.problem else splice(released, handin.data)
    problem = handin.problem or spliced.problem
    result = (judge.not_graded(handin.student, problem) if problem else judge.grade(handin.student, spliced))
    took, held = time.monotonic() - started, memory_peak() - start_of_memory

    verdicts = {each.check: each.verdict for each in result.verdicts}
    said = "\n".join(f"{each.check}: {each.verdict} ({each.hint})" for each in result.verdicts) + "\n" + "\n".join(result.notes)
    assert list(verdicts) == list(checks_of(craft.LESSON))
    points = result.points
    assert points == attack.points, said
    deserved = {name: PASSED for name in craft.SOLVED if not attack.lost} | attack.verdicts
    assert {name: verdicts[name] for name in deserved} == deserved, said
    assert {name for name, verdict in verdicts.items() if verdict == PASSED} <= deserved.keys(), said
    assert not any("check itself failed" in each.hint for each in result.verdicts), said

    while set(left := judge.sandbox.left().values()) - {"Z"} and time.monotonic() < started + SECONDS:
        time.sleep(0.05)
    assert set(left) <= {"Z"}  # a dead one that nobody has buried yet
    assert outside(classroom.root) == before
    assert CANARY not in result.as_json()
    assert craft.MARK not in said + str(result.outputs)
    assert took < SECONDS and held < MEMORY, f"{took:.0f} s, {held / 2**20:.0f} MB"
    assert can_be_kept_and_shown(result, classroom, released)
    assert judge.verdict(honest, "generator_losses").verdict == PASSED, "the next submission"


def memory_peak():
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


def can_be_kept_and_shown(result, classroom, released):
    classroom.save(result)
    assert classroom.load(craft.LESSON, result.student).as_json() == result.as_json()
    json.dumps(result.summary()).encode()
    notebook = fill(released, result.sources, result.outputs)
    nbformat.validate(notebook)
    nbformat.writes(notebook).encode()
    pictures = [output["png"] for outputs in result.outputs.values() for output in outputs if "png" in output]
    assert all(feedback.png(picture) for picture in pictures), "a picture that nobody can show"
    shown = feedback.page(result, page.released(Course(), craft.LESSON))
    assert len(shown.encode()) < 20 * 1024**2
    assert not any(script in shown for script in SCRIPTS)
    return True


def test_a_box_that_has_ended_is_gone_at_once(judge):
    judge.sandbox.spaces.clear()
    with judge.sandbox.open() as box:
        box.run_cell("import os, time\nfor _ in range(5):\n    if os.fork() == 0: time.sleep(98765)")
    assert not judge.sandbox.left()


def test_the_readme_shows_the_whole_table():
    assert "\n".join(table.lines()) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_corpus_is_as_it_says():
    attacks = corpus()
    assert len({attack.tries for attack in attacks}) == len(attacks)
    assert all(attack.tries.endswith(".") and "|" not in attack.tries for attack in attacks)
    assert all(attack.verdicts.keys() <= checks_of(craft.LESSON).keys() for attack in attacks)


NASTIEST = ["exit_of_cell", "endless_loop", "not_json", "cells_duplicated", "notebook_is_a_link", "fork_bomb", "odd_text"]


def test_a_class_with_the_nastiest_is_graded_to_its_end(tmp_path, released, judge):
    classroom, course = ClassFolder(tmp_path / "class"), Course()
    attacks = {attack.name: attack for attack in corpus() if attack.name in NASTIEST}
    for name in NASTIEST:
        attacks[name].hand_in(classroom.root / "submitted" / name / craft.LESSON, craft.base(released))
    for name in ("ada", "zoe"):
        craft.write(classroom.root / "submitted" / name / craft.LESSON, craft.base(released))
    roomy = replace(LIMITS, cell_s=10, check_s=20, total_s=120)  # two work at once here, the fork bomb beside an honest one
    terms = task.Terms.of(course, craft.LESSON, Scale.SMOKE, limits=roomy)
    results = grading.grade(classroom, course, craft.LESSON, terms=terms, jobs=2)
    expected = {name: attacks[name].points for name in NASTIEST} | {"ada": craft.HONEST, "zoe": craft.HONEST}
    said = "\n".join(f"{result.student}: {result.notes} {[verdict.hint for verdict in result.verdicts]}" for result in results)
    assert {result.student: result.points for result in results} == expected, said
    assert {student: total.points for student, total in gradebook.totals(classroom, craft.LESSON).items()} == expected
    assert all(classroom.load(craft.LESSON, student) for student in expected)
