"""Makes nbgrader's own commands and buttons grade as `autograder grade` does. A class's nbgrader_config.py says:

    from autograder import nbgrader_plugin
    nbgrader_plugin.install(c)

Then `nbgrader autograde LESSON`, NbGraderAPI.autograde and the formgrader's button hand the work to autograder.grading.
nbgrader's converter would follow the links of a hand-in, copy its files, stop at the first broken notebook and run the rest
without walls; nothing of it is left in the way. Its preprocessors for grading are not used, so options of Execute,
ClearOutput, OverwriteCells and so on say nothing here, nor does --force: what has been graded and hasn't changed isn't
graded again (`autograder grade --regrade` does). Generating assignments, feedback and CSVs is nbgrader's own.

From a shell, a submission is graded at once. In a Jupyter server, whose other users wait meanwhile, a result that is
there already is put into the gradebook; otherwise the grading starts beside the server, with its output in
<class>/logs/<lesson>.<student>.log, and another press of the button shows what it gave.

This module is imported by every nbgrader command, so it imports what is heavy only when it grades.
"""

import fcntl
import fnmatch
import importlib
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
from nbgrader.converters import Autograde, BaseConverter, NbGraderException
from sqlalchemy import Engine, event

COMMAND = [sys.executable, "-m", "autograder.cli", "grade"]
PATIENCE = 120  # seconds, for the gradebook's lock


def install(c):
    """Plug the sandbox into nbgrader, wherever it runs with the config `c`."""
    c.CourseGrading.sandboxed = True
    # On the class itself, so that it holds wherever nbgrader has imported it.
    Autograde.start = _start
    if _in_server() and "autograder.grading" not in sys.modules:
        # torch takes seconds to load: they shouldn't be those of the first press of the button.
        threading.Thread(target=importlib.import_module, args=["autograder.grading"], daemon=True).start()


@event.listens_for(Engine, "connect")
def _be_patient(connection, record):
    # Left to itself, nbgrader gives up after 5 s when another program holds the gradebook's lock. A `timeout` in its db_url
    # would do as well, but `nbgrader db upgrade` takes that for a part of the file's name.
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {int(PATIENCE * 1000)}")


def _in_server():
    """Whether this process is a Jupyter server: not a kernel, nor a command that has only imported one."""
    module = sys.modules.get("jupyter_server.serverapp")
    return module is not None and module.ServerApp.initialized()


def _start(converter):
    """Autograde.start for classes that have us installed; a server may have others open, which keep nbgrader's own.

    A class that was graded here is ours whatever its config says: nbgrader goes on without one that has an error in it.
    """
    if "CourseGrading" not in converter.config and not (Path(converter.coursedir.root) / "grading.secret").exists():
        return BaseConverter.start(converter)
    from course_lib.lessons import LessonError
    try:
        _autograde(converter.coursedir, converter.log)
    except LessonError as error:
        for problem in str(error).splitlines():
            converter.log.error(problem)
        raise NbGraderException("nothing more was graded") from None


def _autograde(coursedir, log):
    from autograder import cli, grading
    from autograder.results import ClassFolder
    course, classroom = cli.this_course(), ClassFolder(Path(coursedir.root))
    for lesson in _lessons(course, classroom, coursedir.assignment_id):
        if _in_server():
            for student in _students(coursedir, lesson):
                _serve(classroom, course, lesson, student, log)
        else:
            everyone = coursedir.student_id == "*" and not coursedir.student_id_exclude
            students = None if everyone else _students(coursedir, lesson)
            for result in grading.grade(classroom, course, lesson, students=students):
                log.info("%s, %s", result.student, _line(result))


def _lessons(course, classroom, pattern):
    """The lessons that nbgrader's pattern means: those with hand-ins, or the one it names."""
    lessons = [lesson for lesson in fnmatch.filter(course.lessons(), pattern)
               if lesson == pattern or any(classroom.root.glob(f"submitted/*/{lesson}"))]
    if not lessons:
        raise NbGraderException(f"{pattern!r} isn't a lesson of this course, and nothing else is run here: "
                                f"only a lesson's checks can judge a sandbox. Lessons: {', '.join(course.lessons())}")
    return lessons


def _students(coursedir, lesson):
    """Whose hand-ins nbgrader's options mean."""
    there = sorted(path.parent.name for path in Path(coursedir.root).glob(f"submitted/*/{lesson}"))
    excluded = coursedir.student_id_exclude.split(",")
    students = [student for student in fnmatch.filter(there, coursedir.student_id) if student not in excluded]
    if not students:
        raise NbGraderException(f"there is no hand-in submitted/{coursedir.student_id}/{lesson}")
    return students


# --- In a server ---

def _serve(classroom, course, lesson, student, log):
    from autograder import gradebook, grading
    result = grading.current(classroom, course, lesson, student)
    if result:
        released = nbformat.read(classroom.root / "release" / lesson / f"{lesson}.ipynb", as_version=4)
        with gradebook.writing(classroom, patience=1):
            gradebook.write(classroom, result, released)
        log.info("%s, %s", student, _line(result))
    else:
        log.warning(_queue(classroom, lesson, student))


def _line(result):
    return f"{result.lesson}: {result.points:g} of {result.max_points:g} points by checks; {result.status}"


def _queue(classroom, lesson, student):
    """Start grading beside this process, unless that is under way. Returns what to tell whoever pressed the button."""
    from autograder.build import ROOT
    from autograder.errors import LessonError
    from autograder.results import STUDENT
    if not STUDENT.fullmatch(student):
        raise LessonError(f"{student!r} can't be a student's id; rename the folder in submitted/")
    path = classroom.root / "logs" / f"{lesson}.{student}.log"
    path.parent.mkdir(exist_ok=True)
    # The formgrader cuts long lines off.
    where = f"logs/{path.name} says how it goes.\nPress the button again when it has ended."
    with path.open("a+", encoding="utf-8", errors="replace") as log:
        try:
            # The lock goes with the open file to the process that writes to it, and ends when that does, in whatever way.
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return f"{student}, {lesson}: is being graded already.\n{where}"
        log.seek(0)
        before = [line for line in log.read().splitlines() if line.strip()][-1:]
        log.truncate(0)
        subprocess.Popen([*COMMAND, lesson, "--students", student, "--class", str(classroom.root.resolve())], cwd=ROOT,
                         stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    return (f"{student}, {lesson}: isn't graded yet. It has been queued.\n{where}"
            + "".join(f"\nThe time before, it ended with: {line}" for line in before))
