"""What grading gave, in nbgrader's gradebook and notebooks: looked at with nbgrader's own means, and with plain SQL."""

import contextlib
import copy
import functools
import os
import re
import shutil
import signal
import sqlite3
import sys
import threading
import time
from html.parser import HTMLParser

import nbformat
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.plugins import CsvExportPlugin
from sqlalchemy import Engine, event
from toy_course import CHECKS, SOURCE, make_course
from traitlets.config import Config

from autograder import build, gradebook, nbgrader_plugin
from autograder.errors import LessonError
from autograder.results import ClassFolder, Judged, Question, Result

DUE = "2026-01-05 12:00:00 UTC"


@pytest.fixture(scope="session")
def toy_class(tmp_path_factory):
    """(ClassFolder, Course) of the toy lesson, prepared; to be copied, since making a gradebook costs seconds."""
    return prepared(tmp_path_factory.getbasetemp() / "toy class")


@functools.cache  # also for the modules that use this fixture
def prepared(root):
    course, classroom = make_course(root / "checkout"), ClassFolder(root / "class")
    gradebook.prepare(classroom, course, "toy")
    return classroom, course


@pytest.fixture(scope="session")
def released(toy_class):
    return build.notebooks(toy_class[1], "toy").released


@pytest.fixture
def classroom(toy_class, tmp_path):
    return copy_of(toy_class[0], tmp_path / "class")


def copy_of(classroom, to):
    shutil.copytree(classroom.root, to)
    return ClassFolder(to)


def a_result(student="ann", mean="passed", spread="passed", answer="Both move.", submitted="2026-01-05 10:00:00 UTC",
             hint="Sum, then divide."):
    def judged(check, verdict):
        most = CHECKS[check].points
        return Judged(check, verdict, most if verdict == "passed" else 0.0, most, "" if verdict == "passed" else hint)

    sources = {"solution-mean": f"def mean(values):\n    return '{mean}'"} | ({"answer-outliers": answer} if answer else {})
    return Result(student, "toy", [judged("mean", mean), judged("spread", spread)],
                  [Question("outliers", 2, None, bool(answer))], sources,
                  {"solution-mean": [{"text": "so far so good\n"}]}, submitted=submitted)


@contextlib.contextmanager
def opened(classroom):
    with Gradebook(f"sqlite:///{classroom.root / 'gradebook.db'}", "class") as book:
        yield book


def by_people(classroom, student, points=None, comments=None):
    """What the formgrader does when somebody gives points or a comment."""
    with opened(classroom) as book:
        for name, value in (points or {}).items():
            grade = book.find_grade(name, "toy", "toy", student)
            grade.manual_score, grade.needs_manual_grade = value, False
        for name, text in (comments or {}).items():
            book.find_comment(name, "toy", "toy", student).manual_comment = text
        book.db.commit()


def grades(classroom, student="ann"):
    """{grade id: (automatic score, score by hand, score, whether a person must look)}"""
    with opened(classroom) as book:
        return {grade.name: (grade.auto_score, grade.manual_score, grade.score, grade.needs_manual_grade)
                for grade in book.find_submission_notebook("toy", "toy", student).grades}


def comments(classroom, student="ann"):
    with opened(classroom) as book:
        return {each.name: each.comment for each in book.find_submission_notebook("toy", "toy", student).comments}


def shown(classroom, student="ann"):
    return classroom.root / "autograded" / student / "toy" / "toy.ipynb"


def cell(classroom, cell_id, student="ann"):
    return next(each for each in nbformat.read(shown(classroom, student), as_version=4).cells if each.id == cell_id)


def configure(classroom, text):
    path = classroom.root / "nbgrader_config.py"
    path.write_text(path.read_text() + text)


def be_strict(classroom):
    """What comes after DUE is worth nothing."""
    configure(classroom, 'c.LateSubmissionPlugin.penalty_method = "zero"\n')
    with opened(classroom) as book:
        book.update_or_create_assignment("toy", duedate=DUE)


# --- The course folder ---

def test_the_class_is_an_nbgrader_course_with_the_lesson(toy_class, released):
    root = toy_class[0].root
    assert nbformat.read(root / "release/toy/toy.ipynb", as_version=4) == released
    with opened(toy_class[0]) as book:
        notebook = book.find_notebook("toy", "toy")
        assert {each.name: each.max_score for each in notebook.grade_cells} == {
            "check-mean": 3, "check-spread": 1.5, "outliers": 2}
        assert not notebook.submissions
    config = (root / "nbgrader_config.py").read_text()
    assert "nbgrader_plugin.install(c)" in config
    assert str(root) not in config


def test_preparing_again_does_nothing(classroom, toy_class):
    configure(classroom, "# mine\n")
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(classroom)}
    gradebook.prepare(classroom, toy_class[1], "toy")
    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files(classroom)} == before


def files(classroom):
    return [path for path in classroom.root.rglob("*") if path.is_file() and path.name != "gradebook.lock"]


def test_the_config_says_where_the_checkout_is_only_to_a_python_that_does_not_know_it(classroom, monkeypatch):
    monkeypatch.setattr(sys, "executable", os.path.realpath(sys.executable))  # without the environment around it
    assert f'sys.path.append("{ROOT}")' in gradebook._first_config(classroom)


def test_a_changed_text_reaches_the_release_and_leaves_the_grades(classroom, released, tmp_path):
    gradebook.write(classroom, a_result(), released)
    by_people(classroom, "ann", {"outliers": 1.5}, {"outliers": "Say why."})
    before = grades(classroom)
    changed = make_course(tmp_path / "changed", SOURCE.replace("What to remember", "What to keep in mind"))
    gradebook.prepare(classroom, changed, "toy")
    assert "What to keep in mind" in (classroom.root / "release/toy/toy.ipynb").read_text()
    assert grades(classroom) == before
    assert comments(classroom)["outliers"] == "Say why."


def test_an_interrupted_preparation_is_made_up_for(classroom, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    changed = make_course(tmp_path / "changed", SOURCE.replace("What to remember", "What to keep in mind"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(gradebook, "_generate_assignment", interrupt)
        gradebook.prepare(classroom, changed, "toy")
    gradebook.prepare(classroom, changed, "toy")
    assert "What to keep in mind" in (classroom.root / "release/toy/toy.ipynb").read_text()


def test_a_check_that_goes_while_there_are_grades_is_refused(classroom, released, tmp_path):
    gradebook.write(classroom, a_result(), released)
    before = grades(classroom)
    less = make_course(tmp_path / "less", re.sub(r'# %% check="spread"\ncheck\("spread"\)\n', "", SOURCE),
                       {"mean": CHECKS["mean"]})
    for attempt in range(2):  # it isn't taken for done when it is tried again
        with pytest.raises(LessonError, match="can't change them under grades"):
            gradebook.prepare(classroom, less, "toy")
    assert grades(classroom) == before


def test_a_config_that_does_not_run_is_named(classroom, released):
    configure(classroom, "c.LateSubmissionPlugin.penalty_method =\n")
    with pytest.raises(LessonError, match="nbgrader_config.py.*SyntaxError"):
        gradebook.write(classroom, a_result(), released)
    assert not shown(classroom).exists()


# --- Points ---

def test_points_verdicts_and_questions(classroom, released):
    gradebook.write(classroom, a_result(mean="failed", spread="not graded"), released)
    assert grades(classroom) == {"check-mean": (0, None, 0, False), "check-spread": (None, None, 0, True),
                                 "outliers": (None, None, 0, True)}
    assert comments(classroom) == {"mean": "`mean`: Sum, then divide.", "outliers": None,
                                   "spread": "`spread` could not be judged: Sum, then divide."}


def test_an_untouched_question_is_worth_nothing(classroom, released):
    gradebook.write(classroom, a_result(answer=None), released)
    assert grades(classroom)["outliers"] == (0, None, 0, False)
    assert comments(classroom) == {"mean": None, "spread": None, "outliers": "No response."}


def test_what_people_gave_outlives_a_regrade(classroom, released):
    gradebook.write(classroom, a_result(mean="failed", spread="failed"), released)
    by_people(classroom, "ann", {"check-mean": 2, "check-spread": 1, "outliers": 1.5}, {"outliers": "Say why."})
    for attempt in range(2):
        gradebook.write(classroom, a_result(mean="passed", spread="failed"), released)
        assert grades(classroom) == {"check-mean": (3, 2, 2, True), "check-spread": (0, 1, 1, False),
                                     "outliers": (None, 1.5, 1.5, False)}
        assert comments(classroom) == {
            "mean": "Given by hand: 2 points. It has changed since, so a person will look at it again.",
            "spread": "`spread`: Sum, then divide.", "outliers": "Say why."}
    # "Resolve", in the formgrader.
    by_people(classroom, "ann", {"check-mean": 2})
    gradebook.write(classroom, a_result(mean="passed", spread="failed"), released)
    assert grades(classroom)["check-mean"] == (3, 2, 2, False)


def test_points_given_for_an_answer_are_looked_at_again_when_it_changes(classroom, released):
    gradebook.write(classroom, a_result(answer="Both move."), released)
    by_people(classroom, "ann", {"outliers": 2})
    gradebook.write(classroom, a_result(answer="Both move."), released)
    assert grades(classroom)["outliers"] == (None, 2, 2, False)
    gradebook.write(classroom, a_result(answer="Neither."), released)
    assert grades(classroom)["outliers"] == (None, 2, 2, True)
    assert "person will look" in comments(classroom)["outliers"]


def test_a_check_that_is_not_graded_after_a_person_decided_waits_only_once(classroom, released):
    gradebook.write(classroom, a_result(mean="not graded"), released)
    by_people(classroom, "ann", {"check-mean": 2.5})
    gradebook.write(classroom, a_result(mean="not graded"), released)
    assert grades(classroom)["check-mean"] == (None, 2.5, 2.5, False)


@pytest.mark.parametrize("config, penalty", [
    ("", None),
    ('c.LateSubmissionPlugin.penalty_method = "zero"\n', 4.5),
    ("""
from nbgrader.plugins import BasePlugin
class Each(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return {"ann": total_seconds_late / 3600, "ben": 100, "cleo": -1}[student_id]
c.AssignLatePenalties.plugin_class = Each
""", {"ann": 2, "ben": 4.5, "cleo": 0})])
def test_the_late_penalty_that_the_class_configures(classroom, released, config, penalty):
    configure(classroom, config)
    with opened(classroom) as book:
        book.update_or_create_assignment("toy", duedate=DUE)
    for student in "ann", "ben", "cleo":
        gradebook.write(classroom, a_result(student, submitted="2026-01-05T14:00:00+00:00"), released)
        with opened(classroom) as book:
            submission = book.find_submission("toy", student)
            assert submission.total_seconds_late == 7200
            late = submission.notebooks[0].late_submission_penalty
        assert late == (penalty[student] if isinstance(penalty, dict) else penalty)
    # In time after all: an earlier hand-in is put in the place of the late one.
    gradebook.write(classroom, a_result("ann", submitted="2026-01-05T12:00:00+00:00"), released)
    assert gradebook.totals(classroom, "toy")["ann"].penalty == 0


def test_a_penalty_that_can_not_be_computed_is_named(classroom, released):
    configure(classroom, """
from nbgrader.plugins import BasePlugin
class Broken(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return 1 / 0
c.AssignLatePenalties.plugin_class = Broken
""")
    with opened(classroom) as book:
        book.update_or_create_assignment("toy", duedate=DUE)
    gradebook.write(classroom, a_result(), released)
    before = state(classroom)
    with pytest.raises(LessonError, match="late penalty of ann can't be computed: ZeroDivisionError"):
        gradebook.write(classroom, a_result(mean="failed", submitted="2026-01-06 10:00:00 UTC"), released)
    assert state(classroom) == before


def test_totals_and_what_people_gave(classroom, released):
    be_strict(classroom)
    gradebook.write(classroom, a_result("ann", mean="failed"), released)
    gradebook.write(classroom, a_result("ben", submitted="2026-01-06 00:00:00 UTC"), released)
    by_people(classroom, "ann", {"outliers": 2, "check-mean": 1}, {"outliers": "Well put.", "spread": "Neat."})
    assert gradebook.totals(classroom, "toy") == {
        "ann": gradebook.Total(4.5, 6.5, 0, False,
                               {"outliers": (2, "Well put."), "check-mean": (1, ""), "spread": (None, "Neat.")}),
        "ben": gradebook.Total(0, 6.5, 4.5, True, {})}
    assert set(gradebook.totals(classroom, "toy", ["ben", "nobody"])) == {"ben"}


# --- What nbgrader makes of it ---

def test_nbgrader_exports_and_lists_it(classroom, released, tmp_path):
    for student, submitted in ("ann", "2026-01-05 10:00:00.5 UTC"), ("ben", None):
        folder = classroom.root / "submitted" / student / "toy"
        folder.mkdir(parents=True)
        if submitted:
            (folder / "timestamp.txt").write_text(submitted)
        gradebook.write(classroom, a_result(student, mean="not graded", submitted=submitted), released)
    with opened(classroom) as book:
        CsvExportPlugin(to=str(tmp_path / "grades.csv")).export(book)
    head, *rows = (line.split(",") for line in (tmp_path / "grades.csv").read_text().splitlines())
    assert [dict(zip(head, row)) | {"duedate": ""} for row in rows] == [
        dict.fromkeys(head, "") | {"assignment": "toy", "student_id": student, "timestamp": time, "raw_score": "1.5",
                                   "late_submission_penalty": "0.0", "score": "1.5", "max_score": "6.5"}
        for student, time in (("ann", "2026-01-05 10:00:00.500000"), ("ben", ""))]
    api = nbgrader_api(classroom)
    assert api.get_autograded_students("toy") == {"ann", "ben"}
    assert all(each["needs_manual_grade"] and each["score"] == 1.5 for each in api.get_submissions("toy"))
    assert {each["student"] for each in api.get_notebook_submissions("toy", "toy")} == {"ann", "ben"}


def nbgrader_api(classroom, **options):
    coursedir = CourseDirectory(root=str(classroom.root), course_id="class")
    return NbGraderAPI(coursedir, config=Config(**options))


def test_feedback_shows_cards_and_runs_nothing_of_the_learners(classroom, released):
    attack = '`x[0]` <script>stolen(1)</script> [look](javascript:stolen(2)) \x1b[31m\ud800'
    gradebook.write(classroom, a_result(mean="failed", spread="not graded", hint=attack), released)
    done = nbgrader_api(classroom).generate_feedback("toy", "ann")
    assert done["success"], done
    page = (classroom.root / "feedback/ann/toy/toy.html").read_text()
    assert "✗ Not yet" in page and "? Not graded" in page
    assert "stolen(1)" in page
    tags = Tags(page)
    assert not any("stolen" in text for tag, text in tags.texts if tag in ("script", "style"))
    assert not any("javascript:" in (value or "") for _, attributes in tags.found for value in attributes.values())


class Tags(HTMLParser):
    """found: [(tag, attributes)]; texts: [(tag it is directly in, text)]"""

    def __init__(self, page):
        super().__init__()
        self.found, self.texts, self._open = [], [], [""]
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        self._open.append("")

    def handle_data(self, data):
        self.texts.append((self._open[-1], data))


def test_the_notebook_shows_the_submission_and_the_verdicts(classroom, released):
    before = copy.deepcopy(released)
    gradebook.write(classroom, a_result(mean="failed"), released)
    assert released == before
    notebook = nbformat.read(shown(classroom), as_version=4)
    nbformat.validate(notebook)
    assert [each.id for each in notebook.cells] == [each.id for each in released.cells]
    assert cell(classroom, "solution-mean").source == "def mean(values):\n    return 'failed'"
    failed, passed = cell(classroom, "check-mean").outputs, cell(classroom, "check-spread").outputs
    assert "✗ Not yet: mean (0 of 3 points)\n  Sum, then divide." == failed[0]["data"]["text/plain"]
    assert "✓ Passed" in passed[0]["data"]["text/plain"] and "<div" in passed[0]["data"]["text/html"]
    assert not any(output.output_type == "error" for output in failed + passed)
    assert shown(classroom).stat().st_mode & 0o777 == 0o444
    assert shown(classroom).with_name("timestamp.txt").read_text().strip() == "2026-01-05 10:00:00 UTC"
    gradebook.write(classroom, a_result(submitted=None), released)
    assert not shown(classroom).with_name("timestamp.txt").exists()


# --- What doesn't belong there ---

NO_NAMES = ["", ".", "..", "../ann", "/tmp/x", "a/b", "a\0", "a\n", "-x", ".hidden", "ann ", "x" * 81, "a\\b", "ä"]


@given(st.sampled_from(NO_NAMES) | st.text(max_size=5).map(lambda text: f"../{text}"))
@settings(max_examples=40, deadline=None)
def test_a_name_that_is_none_is_refused(toy_class, released, student):
    before = files(toy_class[0])
    with pytest.raises(LessonError, match="can't be a student's id"):
        gradebook.write(toy_class[0], a_result(student), released)
    assert files(toy_class[0]) == before


def test_a_lesson_that_is_none_is_refused(classroom, released):
    result = a_result()
    result.lesson = "../toy"
    with pytest.raises(LessonError, match="doesn't know the lesson"):
        gradebook.write(classroom, result, released)
    assert not (classroom.root / "autograded").exists()


def test_a_result_of_other_checks_is_refused(classroom, released):
    gradebook.write(classroom, a_result(), released)
    before = state(classroom)
    less, other = a_result(mean="failed"), a_result(mean="failed")
    del less.verdicts[1]
    other.verdicts[1].check = "median"
    for result, odd in (less, "check-spread"), (other, "check-median, check-spread"):
        with pytest.raises(LessonError, match=f"where {odd} differs"):
            gradebook.write(classroom, result, released)
    assert state(classroom) == before


def test_a_class_without_gradebook(tmp_path, released):
    (tmp_path / "class").mkdir()
    with pytest.raises(LessonError, match="gradebook.db is missing"):
        gradebook.write(ClassFolder(tmp_path / "class"), a_result(), released)
    assert gradebook.backup(ClassFolder(tmp_path / "class")) is None


# --- Whole or not at all ---

def state(classroom, student="ann"):
    """(all that the gradebook says of a student, the notebook shown)"""
    with contextlib.closing(sqlite3.connect(classroom.root / "gradebook.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        said = [database.execute(query, [student]).fetchall() for query in (
            "SELECT id FROM student WHERE id = ?",
            "SELECT timestamp FROM submitted_assignment WHERE student_id = ?",
            """SELECT cell.name, cell.type, late_submission_penalty, auto_score, manual_score, needs_manual_grade
               FROM submitted_assignment AS handed_in
               JOIN submitted_notebook AS notebook ON notebook.assignment_id = handed_in.id
               JOIN grade ON grade.notebook_id = notebook.id JOIN base_cell AS cell ON cell.id = cell_id
               WHERE student_id = ? ORDER BY cell.name""",
            """SELECT cell.name, auto_comment, manual_comment
               FROM submitted_assignment AS handed_in
               JOIN submitted_notebook AS notebook ON notebook.assignment_id = handed_in.id
               JOIN comment ON comment.notebook_id = notebook.id JOIN base_cell AS cell ON cell.id = cell_id
               WHERE student_id = ? ORDER BY cell.name""")]
    return said, shown(classroom, student).read_bytes() if shown(classroom, student).exists() else None


def in_a_fork(work):
    """Do it in a process of its own; returns its exit status, negative for a signal."""
    child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            work()
            status = 0
        os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def dying_at(step, work):
    """Do the work in a process that is killed before step number `step`: a statement, a commit, or a change of a file."""
    def work_and_die():
        steps = iter(range(step + 1))

        def count(*_, **__):
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)

        for name in "before_cursor_execute", "commit":
            event.listen(Engine, name, count)
        sys.addaudithook(lambda name, arguments: count() if name in ("os.rename", "os.remove", "os.chmod", "os.mkdir")
                         or name == "open" and arguments[1] in ("w", "wb") else None)
        work()

    return in_a_fork(work_and_die)


@pytest.mark.parametrize("again", [False, True], ids=["the first time", "a regrade"])
def test_killed_at_any_step_it_holds_the_old_or_the_new_state(classroom, released, tmp_path, again):
    be_strict(classroom)
    if again:
        gradebook.write(classroom, a_result(mean="failed"), released)
        by_people(classroom, "ann", {"check-mean": 1, "outliers": 2}, {"outliers": "Well put."})
    new = a_result(spread="failed", answer="Neither.", submitted="2026-01-06 00:00:00 UTC")
    finished = copy_of(classroom, tmp_path / "finished")
    gradebook.write(finished, new, released)
    old, done = state(classroom), state(finished)
    seen = []
    for step in range(200):
        room = copy_of(classroom, tmp_path / f"step {step}")
        status = dying_at(step, lambda: gradebook.write(room, new, released))
        seen.append((state(room)[0] == done[0], state(room)[1] == done[1]))
        assert state(room)[0] in (old[0], done[0])
        assert state(room)[1] in (old[1], done[1])
        gradebook.write(room, new, released)
        assert state(room) == done
        if status == 0:
            break
        assert status == -signal.SIGKILL
    assert step > 10
    # First nothing, then the gradebook, then the notebook.
    assert seen == sorted(seen) and set(seen) == {(False, False), (True, False), (True, True)}


def test_a_full_disk_leaves_what_was(classroom, released, monkeypatch):
    gradebook.write(classroom, a_result(mean="failed"), released)
    before = state(classroom)

    def cap(connection, _):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    event.listen(Engine, "connect", cap)
    try:
        with pytest.raises(LessonError, match="full; nothing was written"):
            gradebook.write(classroom, a_result(hint="long " * 20_000, mean="not graded"), released)
    finally:
        event.remove(Engine, "connect", cap)
    assert state(classroom) == before


# --- Others who write ---

@contextlib.contextmanager
def held_by_another(classroom, seconds):
    """The gradebook's own lock, held from another connection as by somebody who writes."""
    database = sqlite3.connect(classroom.root / "gradebook.db", isolation_level=None, check_same_thread=False)
    database.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(seconds, database.rollback)
    timer.start()
    yield
    timer.join()
    database.close()


# 8 s is longer than SQLite's driver waits of itself.
@pytest.mark.parametrize("seconds", [0.4] + ([8] if os.environ.get("CI") else []))
def test_it_waits_for_the_gradebooks_lock(classroom, released, seconds):
    with held_by_another(classroom, seconds):
        start = time.monotonic()
        gradebook.write(classroom, a_result(), released)
        assert time.monotonic() - start > seconds * 0.9
    assert grades(classroom)["check-mean"][0] == 3


def test_a_lock_that_is_never_let_go_is_named_and_nothing_is_written(classroom, released, monkeypatch):
    monkeypatch.setattr(nbgrader_plugin, "PATIENCE", 0.2)
    with held_by_another(classroom, 1.5):
        with pytest.raises(LessonError, match="gradebook.db: database is locked; nothing was written"):
            gradebook.write(classroom, a_result(), released)
        assert not shown(classroom).exists()


def test_a_second_coordinator_waits_or_is_told_who_it_waits_for(classroom, released):
    inside, leave = os.pipe(), os.pipe()

    def coordinator():
        with gradebook.writing(classroom):
            gradebook.write(classroom, a_result("ben"), released)  # its own writing goes ahead
            os.write(inside[1], b"!")
            os.read(leave[0], 1)

    thread = threading.Thread(target=in_a_fork, args=[coordinator])
    thread.start()
    os.read(inside[0], 1)
    with pytest.raises(LessonError, match=r"is being graded by process \d+ on .* since 20"):
        with gradebook.writing(classroom, patience=0.1):
            pass
    threading.Timer(0.3, os.write, [leave[1], b"!"]).start()
    gradebook.write(classroom, a_result("ann"), released)
    thread.join()
    assert set(gradebook.totals(classroom, "toy")) == {"ann", "ben"}


def test_two_who_write_at_once_lose_nothing(classroom, released):
    names = [[f"{who}{number}" for number in range(8)] for who in "ab"]

    def coordinator(mine):
        for name in mine:
            gradebook.write(classroom, a_result(name), released)

    threads = [threading.Thread(target=in_a_fork, args=[functools.partial(coordinator, mine)]) for mine in names]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert set(gradebook.totals(classroom, "toy")) == set(sum(names, []))


# --- Backups ---

def test_a_backup_is_whole_and_only_the_newest_stay(classroom, released, monkeypatch):
    monkeypatch.setattr(gradebook, "KEPT", 3)
    gradebook.write(classroom, a_result(), released)
    made = [gradebook.backup(classroom) for number in range(5)]
    assert sorted((classroom.root / "backups").iterdir()) == made[2:]
    assert re.fullmatch(r"gradebook-\d{8}T\d{6}\.\d{6}Z\.db", made[-1].name)
    kept = ClassFolder(classroom.root / "restored")
    kept.root.mkdir()
    shutil.copy(made[-1], kept.root / "gradebook.db")
    assert gradebook.totals(kept, "toy") == gradebook.totals(classroom, "toy")


def test_a_backup_that_cannot_be_made_says_why_and_leaves_nothing(classroom, monkeypatch):
    monkeypatch.setattr(gradebook, "PATIENCE", 0.2)
    path = classroom.root / "gradebook.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LessonError, match="can't be copied to .*: database is locked"):
            gradebook.backup(classroom)
    path.write_bytes(b"no database" * 100)
    with pytest.raises(LessonError, match="can't be copied to .*: file is not a database"):
        gradebook.backup(classroom)
    assert not list((classroom.root / "backups").glob("*.db"))
