"""What the build writes opens, validates and grades in stock nbgrader: its own command, gradebook and kernel.

Two commands for all lessons together, since each costs seconds: generate_assignment for the toy lesson and every lesson of
this course, and autograde for a solved hand-in of those in GRADED and an untouched one of the toy: that no check passes a stub, the gate
says of all lessons.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbgrader.api import Gradebook
from toy_course import make_course

from autograder import build

REAL = build.Course()
# Graded here as well: the toy, and under CI, where a minute for each may be spent, the lessons of this course.
GRADED = ["toy", *(REAL.lessons() if os.environ.get("CI") else ())]
CONFIG = """
c = get_config()
c.CourseDirectory.course_id = "test"
c.Execute.timeout = 600
"""


class Classroom:
    """A throw-away nbgrader course in `root`, with a toy lesson beside the real ones."""

    def __init__(self, root):
        self.root = root / "class"
        self.courses = {"toy": make_course(root / "checkout")} | {lesson: REAL for lesson in REAL.lessons()}
        self.notebooks = {lesson: build.notebooks(course, lesson) for lesson, course in self.courses.items()}
        for lesson, course in self.courses.items():
            build.build_to(course, lesson, self.root / "source", "source")
        self.root.joinpath("nbgrader_config.py").write_text(CONFIG)

    def nbgrader(self, *arguments):
        # nbgrader starts `alembic` by name to make its gradebook; .venv/bin needn't be on the PATH of who runs the tests.
        environment = os.environ | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
            "JUPYTER_CONFIG_DIR": str(self.root / "config"), "COURSE_SCALE": "smoke", "OMP_NUM_THREADS": "1"}
        done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=self.root, env=environment,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def hand_in(self, student, lesson, notebook):
        build.write(self.root / "submitted" / student / lesson / f"{lesson}.ipynb", notebook)

    def released(self, lesson):
        return nbformat.read(self.root / "release" / lesson / f"{lesson}.ipynb", as_version=4)

    def grades(self, student, lesson):
        """{grade_id: (automatic score or None, maximum, whether a person must look)}"""
        with Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as gradebook:
            notebook, = gradebook.find_submission(lesson, student).notebooks
            return {grade.name: (grade.auto_score, grade.max_score, grade.needs_manual_grade) for grade in notebook.grades}


@pytest.fixture(scope="module")
def classroom(tmp_path_factory):
    room = Classroom(tmp_path_factory.mktemp("nbgrader"))
    room.nbgrader("generate_assignment", "--assignment=*")
    return room


@pytest.fixture(scope="module")
def graded(classroom):
    for lesson in GRADED:
        classroom.hand_in("model", lesson, classroom.notebooks[lesson].solved)
    # The stub as a learner gets it from nbgrader.
    shutil.copytree(classroom.root / "release" / "toy", classroom.root / "submitted" / "untouched" / "toy")
    classroom.nbgrader("autograde", "--assignment=*")
    return classroom


@pytest.mark.parametrize("lesson", ["toy", *REAL.lessons()])
def test_generate_assignment_makes_the_same_learners_notebook(classroom, lesson):
    assert classroom.released(lesson) == classroom.notebooks[lesson].released


@pytest.mark.parametrize("lesson", GRADED)
def test_the_solved_notebook_earns_all_points(graded, lesson):
    grades = graded.grades("model", lesson)
    by_machine = {name: grade for name, grade in grades.items() if name.startswith("check-")}
    assert {name: score for name, (score, _, _) in by_machine.items()} == {
        f"check-{name}": check.points for name, check in graded.courses[lesson].checks_of(lesson).items()}
    assert all(score == most and not by_hand for score, most, by_hand in by_machine.values())
    by_hand = [grade for name, grade in grades.items() if name not in by_machine]
    assert all(most > 0 for _, most, _ in by_hand)


def test_the_untouched_notebook_earns_none(graded):
    assert {score for score, _, _ in graded.grades("untouched", "toy").values()} == {0}


def test_an_answer_in_words_waits_for_a_person(graded):
    assert graded.grades("model", "toy")["outliers"] == (None, 2, True)
    assert graded.grades("untouched", "toy")["outliers"] == (0, 2, False)


def test_instructors_cells_in_a_hand_in_do_no_harm(graded):
    notebook = nbformat.read(graded.root / "autograded/model/toy/toy.ipynb", as_version=4)
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in graded.notebooks["toy"].solved.cells]
