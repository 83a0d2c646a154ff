"""nbgrader's own command, API and button, once a class has plugged the sandbox in. What grades is a stand-in here: it
remembers what it was asked for and gives a Result, so that nothing of a hand-in can run unless nbgrader runs it."""

import os
import re
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from conftest import ROOT
from jupyter_server.serverapp import ServerApp
from nbgrader.apps.api import NbGraderAPI
from nbgrader.converters import Autograde, BaseConverter
from nbgrader.coursedir import CourseDirectory
from test_gradebook import (a_result, classroom, copy_of, grades, held_by_another, opened, released, shown,  # noqa: F401
                            toy_class)
from traitlets.config import Config, PyFileConfigLoader

import autograder
from autograder import cli, gradebook, nbgrader_plugin
from autograder.errors import LessonError


@pytest.fixture
def grading(toy_class, released, monkeypatch):
    """In place of autograder.grading. asked: what `grade` was called with. known: {student: Result} for `current`."""
    asked, known = [], {}

    def grade(classroom, course, lesson, *, students=None):
        asked.append((classroom.root, lesson, students))
        results = [a_result(student) for student in students or ["ann", "ben"]]
        for result in results:
            gradebook.write(classroom, result, released)
        return results

    standing_in = SimpleNamespace(asked=asked, known=known, grade=grade,
                                  current=lambda classroom, course, lesson, student: known.get(student))
    monkeypatch.setitem(sys.modules, "autograder.grading", standing_in)
    monkeypatch.setattr(autograder, "grading", standing_in, raising=False)
    monkeypatch.setattr(cli, "this_course", lambda: toy_class[1])
    monkeypatch.setattr(Autograde, "start", BaseConverter.start)
    return standing_in


@pytest.fixture
def server(monkeypatch):
    """As if this process were a Jupyter server."""
    ServerApp.clear_instance()
    yield ServerApp.instance()
    ServerApp.clear_instance()


def hand_in(classroom, student, text="{ this isn't a notebook"):
    folder = classroom.root / "submitted" / student / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.ipynb").write_text(text)
    (folder / "torch.py").write_text("raise SystemExit('ran')")
    (folder / "secret.txt").symlink_to("/etc/hostname")


def nbgrader(classroom, **options):
    """nbgrader's API with the class's own config, as a server has it."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(classroom.root)).load_config()
    config.merge(Config(options))
    return NbGraderAPI(CourseDirectory(root=str(classroom.root), config=config), config=config)


# --- From a shell, or a script ---

def test_the_api_grades_at_once_and_by_us(classroom, grading):
    hand_in(classroom, "ann")
    done = nbgrader(classroom).autograde("toy", "ann")
    assert done["success"], done
    assert grading.asked == [(classroom.root, "toy", ["ann"])]
    assert "ann, toy: 4.5 of 4.5 points by checks; graded" in done["log"]
    assert grades(classroom)["check-mean"][0] == 3
    assert sorted(path.name for path in shown(classroom).parent.iterdir()) == ["timestamp.txt", "toy.ipynb"]


@pytest.mark.parametrize("pattern, excluded, students", [
    ("*", "", None), ("a*", "", ["ann", "art"]), ("*", "ben,cleo", ["ann", "art"]), ("ben", "", ["ben"])])
def test_nbgraders_ways_to_choose_students(classroom, grading, pattern, excluded, students):
    for student in "ann", "art", "ben":
        hand_in(classroom, student)
    done = nbgrader(classroom, CourseDirectory={"student_id_exclude": excluded}).autograde("toy", pattern)
    assert done["success"], done
    assert grading.asked == [(classroom.root, "toy", students)]


@pytest.mark.parametrize("lesson, student, says", [
    ("toy", "nobody", "there is no hand-in submitted/nobody/toy"),
    ("toy", "../../../etc", "there is no hand-in"),
    ("homework", "ann", "'homework' isn't a lesson of this course"),
    ("..", "ann", "isn't a lesson")])
def test_what_is_not_there_is_said_and_nothing_runs(classroom, grading, lesson, student, says):
    hand_in(classroom, "ann")
    done = nbgrader(classroom).autograde(lesson, student)
    assert not done["success"]
    assert says in done["error"]
    assert not grading.asked and not (classroom.root / "autograded").exists()


def test_what_grading_refuses_reaches_the_log(classroom, grading):
    hand_in(classroom, "ann")

    def refuse(*_, **__):
        raise LessonError(["bubblewrap is missing", "install it"])

    grading.grade = refuse
    done = nbgrader(classroom).autograde("toy", "ann")
    assert not done["success"]
    assert "bubblewrap is missing" in done["log"] and "install it" in done["log"]


@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")  # nbgrader's own
def test_a_class_that_does_not_plug_it_in_keeps_nbgraders_own(classroom, grading, tmp_path):
    hand_in(classroom, "ann")
    nbgrader(classroom)
    plain = copy_of(classroom, tmp_path / "plain")
    (plain.root / "nbgrader_config.py").write_text("c = get_config()\n")
    done = nbgrader(plain).autograde("toy", "ann")
    assert not grading.asked
    assert "Notebook does not appear to be JSON" in done["log"]  # nbgrader has tried to read it itself


def test_a_class_graded_here_stays_ours_when_its_config_is_lost(classroom, grading):
    hand_in(classroom, "ann")
    nbgrader(classroom)
    assert classroom.secret
    done = NbGraderAPI(CourseDirectory(root=str(classroom.root))).autograde("toy", "ann")
    assert done["success"] and grading.asked == [(classroom.root, "toy", ["ann"])]


def test_nbgrader_of_another_environment_does_not_start(classroom, monkeypatch):
    monkeypatch.setitem(sys.modules, "autograder", None)
    with pytest.raises(SystemExit, match="from the course's environment"):
        PyFileConfigLoader("nbgrader_config.py", path=str(classroom.root)).load_config()


def test_the_command(classroom, grading, toy_class, tmp_path):
    """`nbgrader autograde` in a shell: with a stand-in that the class's config puts there."""
    hand_in(classroom, "ann")
    (tmp_path / "standing_in.py").write_text(textwrap.dedent(f"""
        import json, sys, types
        from pathlib import Path
        import autograder.cli
        from autograder.build import Course
        from autograder.results import Result
        autograder.cli.this_course = lambda: Course(Path({str(toy_class[1].root)!r}))
        def grade(classroom, course, lesson, *, students=None):
            Path("asked.json").write_text(json.dumps([str(classroom.root), course.lessons(), lesson, students]))
            return [Result("ann", lesson, [])]
        sys.modules["autograder.grading"] = autograder.grading = types.SimpleNamespace(grade=grade)
        """))
    config = classroom.root / "nbgrader_config.py"
    config.write_text(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport standing_in\n" + config.read_text())
    done = subprocess.run([sys.executable, "-m", "nbgrader", "autograde", "toy", "--student", "ann", "--force"],
                          cwd=classroom.root, capture_output=True, text=True,
                          env=os.environ | {"PYTHONPATH": str(ROOT), "JUPYTER_CONFIG_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert (classroom.root / "asked.json").read_text() == f'["{classroom.root}", ["toy"], "toy", ["ann"]]'
    assert "ann, toy: 0 of 0 points by checks; graded" in done.stderr
    assert not (classroom.root / "autograded").exists()


def test_nbgrader_starts_without_what_grading_needs():
    heavy = {"torch", "dask", "autograder.build", "autograder.gradebook", "autograder.grading"}
    code = f"import sys; from autograder import nbgrader_plugin; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_nbgraders_own_connections_wait_too(classroom):
    with held_by_another(classroom, 0.4), opened(classroom) as book:
        assert book.db.connection().exec_driver_sql("PRAGMA busy_timeout").scalar() == 120_000
        book.update_or_create_student("ann")


# --- In a server ---

@pytest.fixture
def run_beside(monkeypatch, tmp_path):
    """In place of `python -m autograder.cli grade`: says what it was started with and waits for the file `go`."""
    script = tmp_path / "grade.py"
    script.write_text(textwrap.dedent(f"""
        import os, sys, time
        from pathlib import Path
        print("started", os.getpid(), os.getsid(0) == os.getpid(), *sys.argv[1:], flush=True)
        while not Path({str(tmp_path / "go")!r}).exists():
            time.sleep(0.01)
        print("bubblewrap is missing")
        """))
    monkeypatch.setattr(nbgrader_plugin, "COMMAND", [sys.executable, str(script)])
    yield SimpleNamespace(go=tmp_path / "go")
    (tmp_path / "go").touch()


def started(classroom, student="ann"):
    """The process that the log says was started."""
    path = classroom.root / "logs" / f"toy.{student}.log"
    deadline = time.monotonic() + 20
    while not (line := re.match(r"started (\d+) .*\n", path.read_text())):  # whole: it may come in pieces
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return psutil.Process(int(line[1]))


def press(classroom, student="ann"):
    """What the formgrader's button does; returns what it shows."""
    start = time.monotonic()
    done = nbgrader(classroom).autograde("toy", student)
    assert time.monotonic() - start < 5  # a tenth of a second where nothing else runs
    return done


def test_the_button_puts_a_current_result_into_the_gradebook(classroom, grading, server, run_beside):
    hand_in(classroom, "ann")
    grading.known["ann"] = a_result()
    done = press(classroom)
    assert done["success"] and "4.5 of 4.5 points" in done["log"]
    assert grades(classroom)["check-spread"][0] == 1.5
    assert not grading.asked and not (classroom.root / "logs").exists()


def test_the_button_starts_grading_once_and_does_not_wait(classroom, grading, server, run_beside):
    hand_in(classroom, "ann")
    hand_in(classroom, "ben")
    first = press(classroom)
    assert first["success"] and "ann, toy: isn't graded yet. It has been queued" in first["log"]
    assert "logs/toy.ann.log" in first["log"]
    assert max(map(len, first["log"].splitlines())) < 75  # what the formgrader's box shows of a line
    assert not grading.asked and not shown(classroom).exists()
    child = started(classroom)
    assert (classroom.root / "logs/toy.ann.log").read_text().split()[2:] == [
        "True", "toy", "--students", "ann", "--class", str(classroom.root)]
    assert Path(child.cwd()) == ROOT
    assert "is being graded already" in press(classroom)["log"]
    assert started(classroom) == child
    assert "queued" in press(classroom, "ben")["log"]
    other = started(classroom, "ben")
    run_beside.go.touch()
    psutil.wait_procs([child, other], timeout=20)
    assert "It has been queued" in (again := press(classroom)["log"])
    assert "ended with: bubblewrap is missing" in again


def test_a_grading_that_was_killed_does_not_bar_the_next(classroom, grading, server, run_beside):
    hand_in(classroom, "ann")
    press(classroom)
    child = started(classroom)
    child.kill()
    child.wait(20)
    assert "queued" in press(classroom)["log"]
    assert started(classroom) != child


def test_the_button_does_not_wait_for_a_run_over_the_class(classroom, grading, server):
    hand_in(classroom, "ann")
    grading.known["ann"] = a_result()
    reading, writing = os.pipe()
    lock = str(classroom.root / "gradebook.lock")
    holding = subprocess.Popen(["flock", "--no-fork", lock, "sh", "-c", "echo; exec sleep 30"], stdout=writing)
    os.read(reading, 1)
    try:
        done = press(classroom)
    finally:
        holding.kill()
        holding.wait()
    assert not done["success"] and "is being graded by" in done["log"]
    assert not shown(classroom).exists()


def test_a_folder_with_a_hostile_name_is_not_graded(classroom, grading, server, run_beside):
    hand_in(classroom, "-rf ~; $(touch x)")
    done = nbgrader(classroom).autograde("toy", "-rf*")
    assert not done["success"] and "can't be a student's id" in done["log"]
    assert not (classroom.root / "logs").exists()


def test_only_a_server_counts_as_one(grading, server):
    assert nbgrader_plugin._in_server()
    ServerApp.clear_instance()
    assert not nbgrader_plugin._in_server()
