"""Puts what grading gave into nbgrader's frame: its course folder, gradebook and autograded notebooks.

    <class>/nbgrader_config.py               plugs autograder.nbgrader_plugin in; written once, then the instructor's own
    <class>/source/, release/                the lesson, as nbgrader's generate_assignment wants and makes it
    <class>/gradebook.db                     nbgrader's own SQLite file: points, hints, what people gave
    <class>/autograded/<student>/<lesson>/   the notebook that formgrader and feedback show
    <class>/backups/gradebook-<UTC>.db       the newest KEPT copies
    <class>/gradebook.lock                   held while something is written; who holds it stands in it

A submission goes into the gradebook in one transaction, and its notebook is exchanged right after, whole. A crash between
the two leaves the new points beside the old notebook until the same Result is written again, which changes nothing else:
so whoever goes on after a crash writes every Result that is kept.

Two who write at once wait for each other, and for whoever else has the database locked: PATIENCE seconds at most, then a
LessonError says who it is. Who wants a whole run to itself holds `writing` around it.
"""

import contextlib
import fcntl
import functools
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from contextvars import ContextVar
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from pathlib import Path

import nbformat
from nbgrader.api import (Assignment, BaseCell, Comment, Grade, GradeCell, Notebook, SolutionCell, Student,
                          SubmittedAssignment, SubmittedNotebook)
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties
from nbgrader.utils import capture_log, parse_utc
from sqlalchemy import URL, NullPool, create_engine, or_, select
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session
from traitlets.config import Config, PyFileConfigLoader
from traitlets.config.loader import ConfigFileNotFound

from autograder import build
from autograder.errors import LessonError
from autograder.nbgrader_plugin import PATIENCE
from autograder.results import STUDENT
from autograder.splice import fill, safe_markdown
from course_lib import card
from course_lib.files import whole
from course_lib.verdict import FAILED, NOT_GRADED, PASSED, Verdict

KEPT = 20
_held = ContextVar("the locks that this thread holds", default=frozenset())

CONFIG = '''\
# This class as an nbgrader course. It was written once and is yours to change; all of nbgrader's options can stand here.
c = get_config()
c.CourseDirectory.course_id = {course_id}

# `nbgrader autograde` and the formgrader's button grade in the course's sandbox. Without these lines nbgrader would run
# what learners hand in on this machine, without walls. It passes over errors in this file, but not over its end.
{path}try:
    from autograder import nbgrader_plugin
except ImportError as error:
    raise SystemExit(f"nbgrader must be started from the course's environment, where it grades in walls: {{error}}")
nbgrader_plugin.install(c)

# No points for what comes after the due date (a plugin of your own can take off less):
# c.LateSubmissionPlugin.penalty_method = "zero"
'''


# --- The course folder ---

def prepare(classroom, course, lesson):
    """Make the class an nbgrader course that has this lesson. Does nothing where that is so already.

    When the lesson has changed, nbgrader takes it in anew, and grades stay. Raises LessonError where nbgrader can't: it
    neither adds nor removes checks and questions once submissions of the lesson are in the gradebook.
    """
    made = build.notebooks(course, lesson).source
    classroom.root.mkdir(parents=True, exist_ok=True)
    with writing(classroom):
        config = classroom.root / "nbgrader_config.py"
        if not config.exists():
            with whole(config) as unfinished:
                unfinished.write_text(_first_config(classroom), encoding="utf-8")
        source, released = (classroom.root / step / lesson / f"{lesson}.ipynb" for step in ("source", "release"))
        known = source.is_file() and source.read_bytes() == build.as_text(made).encode()
        if known and released.is_file() and _has(classroom, lesson):
            return
        # nbgrader writes it last. Until it is there again, the work counts as not done, however it was interrupted.
        released.unlink(missing_ok=True)
        build.build_to(course, lesson, classroom.root / "source", "source")
        _generate_assignment(classroom, lesson)


def _first_config(classroom):
    # -I: whether the class's nbgrader will find us, from its own folder and without this shell's PYTHONPATH.
    find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('autograder') is None)"
    installed = subprocess.run([sys.executable, "-I", "-c", find], cwd=classroom.root).returncode == 0
    path = "" if installed else f"import sys\nsys.path.append({json.dumps(str(build.ROOT))})  # the staff's checkout\n"
    course_id = re.sub(r"[^\w.-]+", "_", classroom.root.resolve().name) or "course"
    return CONFIG.format(course_id=json.dumps(course_id), path=path)


def _has(classroom, lesson):
    if not _database(classroom).is_file():
        return False
    with _session(classroom) as session:
        return _notebook(session, lesson) is not None


def _generate_assignment(classroom, lesson):
    config, database = _config(classroom), _database(classroom)
    coursedir = CourseDirectory(config=config, root=str(classroom.root.resolve()), assignment_id=lesson)
    converter = GenerateAssignment(coursedir=coursedir, config=config)
    converter.force = True
    with _alembic_on_path():
        done = capture_log(converter)
    if not done["success"]:
        log = done.get("log", "") + done["error"]
        if "Cannot add or remove cells" in log:
            raise LessonError(
                f"{lesson}: its checks or questions aren't those that {database} has grades of, and nbgrader can't change "
                "them under grades. Grade this class with the version of the course that it was released from; or move "
                f"{database.name} away and grade again (what people gave is in the old file)")
        raise LessonError([f"{lesson}: nbgrader couldn't take it into {database}:", *log.strip().splitlines()])


@contextlib.contextmanager
def _alembic_on_path():
    """nbgrader starts `alembic` by its name for a new gradebook; it is installed beside this Python."""
    path = os.environ.get("PATH", os.defpath)
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), path])
    try:
        yield
    finally:
        os.environ["PATH"] = path


def _config(classroom):
    """What the class's nbgrader_config.py configures. Raises LessonError where it can't be read."""
    try:
        return PyFileConfigLoader("nbgrader_config.py", path=str(classroom.root)).load_config()
    except ConfigFileNotFound:
        return Config()
    except Exception as error:
        raise LessonError(f"{classroom.root / 'nbgrader_config.py'}: {type(error).__name__}: {error}") from None


# --- One at a time, whole or not at all ---

@contextlib.contextmanager
def writing(classroom, patience=PATIENCE):
    """Hold the class's gradebook.lock. Inside, whatever writes the gradebook in this thread goes ahead.

    Waits up to `patience` seconds for whoever else holds it, then raises a LessonError that names them.
    """
    path, deadline = (classroom.root / "gradebook.lock").resolve(), time.monotonic() + patience
    if path in _held.get():
        yield
        return
    with path.open("a+", encoding="utf-8") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise LessonError(f"{classroom.root} is being graded by {file.read().strip()}; run this again when "
                                      "that has ended") from None
                time.sleep(0.01)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()} since {_utc():%Y-%m-%d %H:%M:%S} UTC\n")
        file.flush()
        token = _held.set(_held.get() | {path})
        try:
            yield
        finally:
            _held.reset(token)


def _utc():
    return datetime.now(timezone.utc)


def _database(classroom):
    return classroom.root / "gradebook.db"


@functools.cache
def _engine(path):
    # One for each gradebook, for its compiled statements; no connection outlives its session. The driver's own BEGIN,
    # which comes only before the first change, is switched off.
    return create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool,
                         connect_args={"isolation_level": None})


@contextlib.contextmanager
def _session(classroom, begin="BEGIN"):
    """A session on nbgrader's models that is one transaction. `begin`: "BEGIN IMMEDIATE" for one that will write.

    Raises LessonError when there is no gradebook, when it stays locked for PATIENCE s, or can't be read or written.
    """
    path = _database(classroom)
    if not path.is_file():
        raise LessonError(f"{path} is missing; `autograder grade` makes it")
    try:
        with Session(_engine(path.resolve())) as session:
            session.connection().exec_driver_sql(begin)
            yield session
            session.commit()
    except DatabaseError as error:
        raise LessonError(f"{path}: {error.orig}; nothing was written") from error


def backup(classroom):
    """Copy gradebook.db, consistent even while others write, to backups/. Returns the copy's path; None without gradebook.

    The newest KEPT copies stay. Raises LessonError when it can't be read, stays locked for PATIENCE s, or the copy can't be written.
    """
    path, folder = _database(classroom), classroom.root / "backups"
    if not path.is_file():
        return None
    folder.mkdir(exist_ok=True)
    unfinished = folder / ".gradebook.unfinished"
    with writing(classroom):
        unfinished.unlink(missing_ok=True)
        try:
            with contextlib.closing(sqlite3.connect(path, timeout=PATIENCE)) as gradebook:
                gradebook.execute("VACUUM INTO ?", [str(unfinished)])  # `gradebook.backup` would wait for a lock for ever
        except sqlite3.Error as error:
            raise LessonError(f"{path} can't be copied to {folder}: {error}") from None
        made = unfinished.rename(folder / f"gradebook-{_utc():%Y%m%dT%H%M%S.%fZ}.db")
        for old in sorted(folder.glob("gradebook-*.db"))[:-KEPT]:
            old.unlink()
    return made


# --- A submission ---

def write(classroom, result, released):
    """Put a Result into the gradebook, and its notebook into autograded/. Writing it again changes nothing.

    released: the lesson's released notebook. A check that isn't graded, and a question that was answered, wait for a
    person. What people gave stays as it is; it waits for them again when the check's points, or the answer, have changed.
    The late penalty is the one that the class's nbgrader_config.py configures. Raises LessonError, and writes nothing,
    when the student's id can't be a folder's name, the Result isn't one of this gradebook's lesson, or it can't be written.
    """
    if not STUDENT.fullmatch(result.student):
        raise LessonError(f"{result.student!r} can't be a student's id: letters, digits and . _ @ + - only, at most 80, and "
                          "a letter or digit first")
    notebook = _with_verdicts(fill(released, result.sources, result.outputs), result)
    with writing(classroom):
        with _session(classroom, "BEGIN IMMEDIATE") as session:
            submitted = _submitted(session, result)
            path = classroom.root / "autograded" / result.student / result.lesson / f"{result.lesson}.ipynb"
            _grade(session, submitted, result, notebook, _cells(path))
            session.flush()
            _penalise(classroom, submitted)
        _show(path, notebook, result.submitted)


def _notebook(session, lesson):
    return session.scalar(select(Notebook).join(Notebook.assignment)
                          .where(Assignment.name == lesson, Notebook.name == lesson))


def _submitted(session, result):
    """nbgrader's SubmittedNotebook for the Result, made as nbgrader makes one if it isn't there yet."""
    notebook = _notebook(session, result.lesson)
    if notebook is None:
        raise LessonError(f"the gradebook doesn't know the lesson {result.lesson!r}; `autograder grade {result.lesson}` "
                          "puts it there")
    submitted = session.scalar(
        select(SubmittedNotebook).join(SubmittedNotebook.assignment)
        .where(SubmittedNotebook.notebook_id == notebook.id, SubmittedAssignment.student_id == result.student))
    if submitted is None:
        student = session.get(Student, result.student) or Student(id=result.student)
        submission = SubmittedAssignment(student=student, assignment_id=notebook.assignment_id)
        submitted = SubmittedNotebook(notebook_id=notebook.id, assignment=submission)
        session.add(submitted)
        session.flush()
        for cell in session.scalars(select(BaseCell).where(BaseCell.notebook_id == notebook.id)):
            mirrored = {GradeCell: Grade, SolutionCell: Comment}[type(cell)]
            session.add(mirrored(cell_id=cell.id, notebook_id=submitted.id))
    submitted.assignment.timestamp = parse_utc(result.submitted)
    return submitted


def _grade(session, submitted, result, notebook, before):
    """Set the grades and automatic comments. before: the cells of the notebook shown until now."""
    rows = {model: dict(session.execute(select(BaseCell.name, model).join(model.cell)
                                        .where(model.notebook_id == submitted.id)).all()) for model in (Grade, Comment)}
    grades, comments = rows[Grade], rows[Comment]
    scores = {f"check-{each.check}": None if each.verdict == NOT_GRADED else each.points for each in result.verdicts}
    scores |= {each.question: None if each.answered else 0.0 for each in result.by_hand}
    if scores.keys() != grades.keys():
        odd = ", ".join(sorted(scores.keys() ^ grades.keys()))
        raise LessonError(f"{result.student}: was graded by another version of {result.lesson}, where {odd} differs; "
                          "grade again")
    said, sentences, above = {name: [] for name in comments}, _sentences(result), None
    for cell in notebook.cells:
        marks = cell.metadata.get("nbgrader", {"grade": False, "solution": False})
        if marks["solution"] and not marks["grade"]:
            above = marks["grade_id"]
        elif marks["grade"]:
            name = marks["grade_id"]
            changed = marks["solution"] and before.get(cell.id) != cell.source
            sentence = [sentences.get(name), _score(grades[name], scores[name], changed)]
            # nbgrader has no comment for a check's cell: it goes to the solution above it.
            said.get(name if marks["solution"] else above, []).extend(filter(None, sentence))
    for name, comment in comments.items():
        comment.auto_comment = "\n\n".join(said[name]) or None


def _score(grade, score, changed):
    """Set the automatic score. changed: whether the answer isn't what it was when somebody gave points by hand.

    Returns what to say when a person must look at their points again.
    """
    changed = changed or grade.auto_score != score
    grade.auto_score = score
    if grade.manual_score is None:
        grade.needs_manual_grade = score is None
        return None
    grade.needs_manual_grade |= changed  # until somebody has looked
    if grade.needs_manual_grade:
        given = card.points_text(grade.manual_score)
        return f"Given by hand: {given}. It has changed since, so a person will look at it again."


def _sentences(result):
    """{grade id: what its automatic comment says}"""
    why = {FAILED: "", NOT_GRADED: " could not be judged"}
    said = {f"check-{each.check}": f"`{each.check}`{why[each.verdict]}: {each.hint}"
            for each in result.verdicts if each.verdict != PASSED}
    said |= {each.question: "No response." for each in result.by_hand if not each.answered}
    # A hint may quote the submission, and nbgrader's feedback takes a comment for Markdown.
    return {name: safe_markdown(card.printable(text)) for name, text in said.items()}


def _penalise(classroom, submitted):
    """What nbgrader's AssignLatePenalties does, within our transaction."""
    config, submission, score = _config(classroom), submitted.assignment, submitted.score
    submitted.late_submission_penalty = None
    try:
        late = AssignLatePenalties(config=config)
        late.init_plugin()
        if submission.total_seconds_late > 0:
            penalty = late.plugin_inst.late_submission_penalty(submission.student_id, score, submission.total_seconds_late)
            if penalty is not None:
                submitted.late_submission_penalty = late._check_late_penalty(submitted, penalty)
    except Exception as error:
        raise LessonError(f"{classroom.root / 'nbgrader_config.py'}: the late penalty of {submission.student_id} can't be "
                          f"computed: {type(error).__name__}: {error}") from error


# --- Its notebook ---

def _with_verdicts(notebook, result):
    verdicts = {f"check-{each.check}": Verdict(**{part.name: getattr(each, part.name) for part in fields(Verdict)})
                for each in result.verdicts}
    for cell in notebook.cells:
        if cell.id in verdicts:
            verdict = verdicts[cell.id]
            cell.outputs = [nbformat.v4.new_output(
                "display_data", {"text/plain": card.as_text(verdict), "text/html": card.as_html(verdict)})]
    return notebook


def _cells(path):
    """{cell id: source} of the notebook that `write` wrote there; empty when there is none."""
    try:
        return {cell["id"]: "".join(cell["source"]) for cell in json.loads(path.read_bytes())["cells"]}
    except (OSError, ValueError, KeyError):
        return {}


def _show(path, notebook, submitted):
    """Write the notebook as nbgrader would leave it: read-only, beside the time of the hand-in."""
    build.write(path, notebook)
    path.chmod(0o444)
    timestamp = path.with_name("timestamp.txt")
    timestamp.unlink(missing_ok=True)
    if submitted:
        timestamp.write_text(f"{submitted}\n", encoding="utf-8")
        timestamp.chmod(0o444)


# --- What the gradebook says ---

@dataclass(frozen=True)
class Total:
    """A submission's points, of checks and people together, as nbgrader exports them.

    points: at least 0, the penalty for being late taken off. waits: whether a person must still look. given: {grade id:
    (points or None, comment or "")} where a person gave either.
    """

    points: float
    max_points: float
    penalty: float
    waits: bool
    given: dict


def totals(classroom, lesson, students=None):
    """{student: Total}, of these students or of all who have grades in the lesson, by id."""
    chosen = (select(SubmittedNotebook.id).join(SubmittedNotebook.assignment).join(SubmittedAssignment.assignment)
              .where(Assignment.name == lesson))
    if students is not None:
        chosen = chosen.where(SubmittedAssignment.student_id.in_(students))
    points = (select(Grade.notebook_id, BaseCell.name, Grade.score).join(Grade.cell)
              .where(Grade.notebook_id.in_(chosen), or_(Grade.manual_score.is_not(None), Grade.extra_credit.is_not(None))))
    comments = (select(Comment.notebook_id, BaseCell.name, Comment.manual_comment).join(Comment.cell)
                .where(Comment.notebook_id.in_(chosen), Comment.manual_comment != ""))
    sums = (select(SubmittedNotebook.id, SubmittedAssignment.student_id, SubmittedNotebook.score,
                   SubmittedNotebook.max_score, SubmittedNotebook.late_submission_penalty,
                   SubmittedNotebook.needs_manual_grade)
            .join(SubmittedNotebook.assignment).where(SubmittedNotebook.id.in_(chosen))
            .order_by(SubmittedAssignment.student_id))
    with _session(classroom) as session:
        given = defaultdict(dict)
        for notebook, name, score in session.execute(points):
            given[notebook][name] = score, ""
        for notebook, name, comment in session.execute(comments):
            given[notebook][name] = given[notebook].get(name, (None,))[0], comment
        return {student: Total(max(0.0, score - (penalty or 0)), most, penalty or 0.0, waits, given[notebook])
                for notebook, student, score, most, penalty, waits in session.execute(sums)}
