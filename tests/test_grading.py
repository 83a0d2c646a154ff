"""A class graded through Dask, the sandbox and nbgrader's gradebook: all of it, again, interrupted, and with workers killed."""

import contextlib
import dataclasses
import io
import json
import signal
import subprocess
import sys
import threading
import time

import dask
import nbformat
import psutil
import pytest
from conftest import ROOT, need
from distributed import LocalCluster
from nbgrader.api import Gradebook

from autograder import answers, build, cli, grading, record, task, walls
from autograder.errors import LessonError
from autograder.handin import Handin
from autograder.results import ClassFolder, Result
from autograder.sandbox import Limits
from autograder.splice import Spliced
from course_lib.scale import Scale

LESSON = "gan_math"
SOLVED = {f"solution-{name}": source for name, source in answers.reference_cells(LESSON, setup=False)}
SLOW = "import time; time.sleep(2)\n"


@pytest.fixture(scope="module", autouse=True)
def isolation():
    try:
        walls.probe(walls.Sights(ROOT / "course_lib"))
    except walls.NoIsolation as reason:
        need(False, str(reason))


def hand_in(folder, student, cells, lesson=LESSON):
    """A notebook with these exercises solved, {cell: what comes before the solution}, and so without any training."""
    notebook = nbformat.read(ROOT / "lessons" / LESSON / f"{LESSON}.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.id in cells:
            cell.source = cells[cell.id] + SOLVED[cell.id]
    path = folder / "submitted" / student / lesson / f"{LESSON}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def arguments(folder, *options):
    return ["grade", LESSON, "--class", str(folder), "--scale", "smoke", *options]


def grade(folder, *options):
    """What `autograder grade` prints. Called in this process, which has imported torch: each one that hasn't takes seconds."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert cli.main(arguments(folder, *options)) == 0
    return printed.getvalue()


@pytest.fixture(scope="module")
def ready():
    """Where Dask's workers have started already, for what isn't about their start: options of `grade`."""
    with dask.config.set({"distributed.worker.daemon": False}), LocalCluster(
            n_workers=1, threads_per_worker=1, memory_limit=0, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        yield "--scheduler", cluster.scheduler_address


def points(folder):
    return {result.student: result.points for result in ClassFolder(folder).load_all(LESSON)}


def in_gradebook(folder):
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as gradebook:
        return {each.student.id: each.score for each in gradebook.assignment_submissions(LESSON)}


def zygotes(folder):
    """Those alive whose temporary folder is there: other tests may have some at the same time."""
    return [process.pid for process in psutil.process_iter(["cmdline", "environ"]) if "autograder.zygote" in (process.info["cmdline"] or ())
            and (process.info["environ"] or {}).get("HOME", "").startswith(str(folder))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A class of four, graded: right in two exercises, in one, unreadable, and one that ends its own process."""
    folder = tmp_path_factory.mktemp("class")
    hand_in(folder, "ada", {"solution-gan_value": "", "solution-jensen_shannon": ""})
    hand_in(folder, "grace", {"solution-gan_value": ""})
    hand_in(folder, "mallory", {"solution-gan_value": "", "solution-jensen_shannon": "import os; os._exit(0)\n"})
    (folder / "submitted" / "kaput" / LESSON).mkdir(parents=True)
    (folder / "submitted" / "kaput" / LESSON / f"{LESSON}.ipynb").write_text('{"cells": [')
    return folder, json.loads(grade(folder, "--json", "--jobs", "2"))


def test_each_hand_in_gets_what_it_deserves(folder):
    _, printed = folder
    assert {each["student"]: (each["points"], each["status"]) for each in printed} == {
        "ada": (3, "graded"), "grace": (1, "graded"), "mallory": (1, "not graded"), "kaput": (0, "not graded")}
    for each in printed:
        assert each["lesson"] == LESSON and each["max_points"] == 18 and len(each["verdicts"]) == 9
        assert all(set(verdict) == {"check", "verdict", "points", "max_points", "hint"} for verdict in each["verdicts"])
        assert [question["max_points"] for question in each["by_hand"]] == [2]


def test_the_last_lines_count_what_was_graded_and_what_was_not(folder):
    folder, _ = folder
    *_, counts, kaput, mallory = grade(folder).splitlines()
    assert counts == "2 graded, 1 graded in part, 1 not graded. For you to look at:"
    assert "kaput: the notebook isn't JSON" in kaput and "mallory: " in mallory
    assert ClassFolder(folder).load(LESSON, "kaput").problem.startswith("the notebook isn't JSON")


def test_into_a_file_it_says_how_much_there_is_to_do_and_draws_no_bar(tmp_path, ready, capsys):
    hand_in(tmp_path, "ada", {"solution-gan_value": ""})
    hand_in(tmp_path, "grace", {})
    (tmp_path / "submitted" / "grace" / LESSON / f"{LESSON}.ipynb").write_text("")
    first, second, last, why = grade(tmp_path, *ready).splitlines()
    assert first.startswith("grace: 0 of 18") and second.startswith("ada: 1 of 18") and "the notebook is empty" in why
    assert last == "1 graded, 1 not graded. For you to look at:"
    said = capsys.readouterr().err
    assert "grading 1 hand-in on 1 process\n" in said and "%|" not in said and "hand-in/s" not in said


def test_the_gradebook_says_the_same(folder):
    folder, printed = folder
    assert in_gradebook(folder) == {each["student"]: each["points"] for each in printed}


def test_nothing_is_run_twice(folder):
    folder, _ = folder
    told, before = [], {path: path.read_bytes() for path in folder.glob("results/*/*.json")}
    grading.grade(ClassFolder(folder), cli.this_course(), LESSON, terms=task.Terms.of(cli.this_course(), LESSON, Scale.SMOKE),
                  tell=lambda result, fresh: told.append((result.student, fresh)))
    assert sorted(told) == [(name, False) for name in ("ada", "grace", "kaput", "mallory")]
    assert {path: path.read_bytes() for path in before} == before
    for student in ("ada", "kaput"):
        assert grading.current(ClassFolder(folder), cli.this_course(), LESSON, student) is None  # it goes by this machine's scale


def test_another_scale_is_another_judge(folder):
    folder, _ = folder
    known = ClassFolder(folder).load(LESSON, "ada")
    assert {each.check: each.key for each in known.verdicts} == grading.judge_keys(LESSON, Scale.SMOKE)
    assert not set(grading.judge_keys(LESSON, Scale.CPU).values()) & {each.key for each in known.verdicts}


def test_what_the_checks_or_the_known_mistakes_say_otherwise_is_judged_anew(monkeypatch):
    keys = lambda: grading.judge_keys.__wrapped__(LESSON, Scale.SMOKE)
    before = keys()
    mistakes = record.wrong_answers(LESSON)
    monkeypatch.setattr(record, "wrong_answers", lambda lesson: [dataclasses.replace(mistakes[0], hint="Look again."), *mistakes[1:]])
    assert [name for name, key in keys().items() if key != before[name]] == [mistakes[0].check]
    monkeypatch.setattr(record, "_code", lambda lesson: "other words")
    assert not set(keys().values()) & set(before.values())


def test_feedback_and_report_are_made_of_it(folder, capsys):
    folder, _ = folder
    assert cli.main(["feedback", LESSON, "--class", str(folder)]) == 0
    assert cli.main(["report", LESSON, "--class", str(folder)]) == 0
    assert (folder / "feedback" / "ada" / LESSON / f"{LESSON}.html").is_file()
    assert (folder / "reports" / f"{LESSON}.csv").read_text().count("\n") >= 5


def test_a_killed_run_goes_on_where_it_was(tmp_path, ready):
    for number in range(4):
        hand_in(tmp_path, f"s{number}", {"solution-gan_value": SLOW})
    coordinator = subprocess.Popen([sys.executable, "-m", "autograder.cli", *arguments(tmp_path, "--jobs", "1")], cwd=ROOT,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    results = tmp_path / "results" / LESSON
    while len(list(results.glob("s*.json"))) < 2:
        assert coordinator.poll() is None
        time.sleep(0.05)
    coordinator.kill()
    coordinator.wait()
    kept = {path: path.read_bytes() for path in results.glob("s*.json")}
    assert 2 <= len(kept) < 4
    grade(tmp_path, *ready)
    assert {path: path.read_bytes() for path in kept} == kept
    assert points(tmp_path) == in_gradebook(tmp_path) == {f"s{number}": 1 for number in range(4)}


def test_a_submission_whose_workers_die_is_given_up_and_the_others_are_graded(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    hand_in(tmp_path, "ada", {"solution-gan_value": ""})
    hand_in(tmp_path, "mallory", {"solution-gan_value": "while True: pass\n"})
    over, killed, seen = threading.Event(), set(), set()

    def kill_workers():
        """As the kernel would when memory runs out: whoever has a box open for some seconds."""
        while not over.wait(0.2):
            seen.update(zygotes(tmp_path))
            for worker in psutil.Process().children(recursive=True):
                try:
                    boxes = [child for child in worker.children() if child.name() == "bwrap" and time.time() - child.create_time() > 4]
                    if boxes and worker.name() != "bwrap":
                        worker.send_signal(signal.SIGKILL)
                        killed.add(worker.pid)
                except psutil.Error:
                    pass

    killer = threading.Thread(target=kill_workers)
    killer.start()
    course = cli.this_course()
    terms = task.Terms.of(course, LESSON, Scale.SMOKE, limits=Limits(cell_s=100))
    try:
        with dask.config.set({"distributed.deploy.lost-worker-timeout": "100ms"}):  # none is given up, however slowly it comes back
            results = grading.grade(ClassFolder(tmp_path), course, LESSON, terms=terms, jobs=1)
    finally:
        over.set()
        killer.join()
    assert {result.student: (result.points, result.status) for result in results} == {
        "ada": (1, "graded"), "mallory": (0, "not graded")}
    assert len(killed) == 2 * (grading.DEATHS + 1) and seen
    deadline = time.monotonic() + 20  # a zygote goes when its worker's end of the line has closed
    while zygotes(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not zygotes(tmp_path)


def test_where_grading_itself_fails_it_is_tried_again(tmp_path, monkeypatch):
    def fails(terms, secret, keys, student, spliced, known):
        tries = tmp_path / student
        tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
        if student == "never" or student == "once" and tries.read_text() == "x":
            raise TimeoutError("the machine was busy")
        return len(tries.read_text())

    monkeypatch.setattr(grading, "judge_submission", fails)
    terms = task.Terms(ROOT, LESSON, Scale.SMOKE)
    with grading._cluster(1, None, terms, 1) as client:
        outcomes = dict(grading._outcomes(client, terms, b"", {}, dict.fromkeys(("always", "once", "never"), (None, None, None))))
    failed = "Grading itself failed (TimeoutError: the machine was busy). Please report it."
    assert outcomes == {"always": 1, "once": 2, "never": failed}


def test_a_worker_has_one_sandbox_open_that_of_its_terms():
    happened = []

    class Terms(str):
        gpu = False

        @contextlib.contextmanager
        def sandbox(self):
            happened.append(f"{self} opened")
            yield self
            happened.append(f"{self} closed")

    sandboxes = task._Sandboxes()
    assert [sandboxes.on(Terms(name)) for name in "aaba"] == ["a", "a", "b", "a"]
    sandboxes.close()
    assert happened == ["a opened", "a closed", "b opened", "b closed", "a opened", "a closed"]


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, capsys, ready):
    hand_in(tmp_path, "ada", {"solution-gan_value": ""})
    hand_in(tmp_path, "grace", {"solution-gan_value": ""})
    save = ClassFolder.save

    def full(self, result):
        if result.student == "grace":
            raise OSError(28, "No space left on device", "results")
        save(self, result)

    monkeypatch.setattr(ClassFolder, "save", full)
    assert cli.main(arguments(tmp_path, *ready)) == 1
    assert "No space left on device" in capsys.readouterr().err
    monkeypatch.undo()
    grade(tmp_path, *ready)
    assert points(tmp_path) == in_gradebook(tmp_path) == {"ada": 1, "grace": 1}


def test_it_refuses_without_isolation_and_grades_when_told_to(tmp_path, monkeypatch, capsys):
    hand_in(tmp_path, "ada", {"solution-gan_value": ""})
    monkeypatch.setattr(walls.shutil, "which", lambda name: None)
    assert cli.main(arguments(tmp_path, "--jobs", "1")) == 1
    assert "apt install bubblewrap" in capsys.readouterr().err
    assert points(tmp_path) == {}
    grade(tmp_path, "--jobs", "1", "--unsafe")
    assert "UNSAFE" in capsys.readouterr().err
    result = ClassFolder(tmp_path).load(LESSON, "ada")
    assert result.points == 1 and result.judged_by["sandbox"].startswith("none")


def test_a_released_notebook_that_somebody_has_worked_in_grades_nobody(tmp_path):
    notebook = nbformat.read(ROOT / "lessons" / LESSON / f"{LESSON}.ipynb", as_version=4)
    next(cell for cell in notebook.cells if cell.id == "solution-gan_value").source = SOLVED["solution-gan_value"]
    path = tmp_path / "lessons" / LESSON / f"{LESSON}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    hand_in(tmp_path, "ada", {})
    with pytest.raises(LessonError, match="somebody has worked in it, in cell `solution-gan_value`"):
        grading.grade(ClassFolder(tmp_path), build.Course(tmp_path), LESSON)


@pytest.mark.parametrize("secret", ["", "no hexadecimal digits", "abc", "\udcff"])
def test_a_secret_that_is_none_is_told_in_words(tmp_path, secret, capsys):
    hand_in(tmp_path, "ada", {"solution-gan_value": ""})
    (tmp_path / "grading.secret").write_text(secret, errors="surrogateescape")
    assert cli.main(arguments(tmp_path)) == 1
    assert "grading.secret should hold 64 hexadecimal digits" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["0", "-1", "two"])
def test_less_than_one_process_is_refused(tmp_path, jobs, capsys):
    with pytest.raises(SystemExit):
        cli.main(arguments(tmp_path, f"--jobs={jobs}"))
    assert "isn't a number from 1 up" in capsys.readouterr().err


def test_the_secret_is_made_once_and_for_its_owner(tmp_path):
    secrets = {ClassFolder(tmp_path).secret for _ in range(2)}
    assert len(secrets) == 1 and len(secrets.pop()) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["grading.secret"] and not (tmp_path / "grading.secret").stat().st_mode & 0o077


def test_what_is_said_of_a_hand_in_is_said_of_the_newest(tmp_path):
    late = grading._dated(Result("ada", LESSON, [], notes=["gan_value: has no text"]), Handin("ada", b"", notes=("Canvas says that it was late",)))
    assert late.all_notes == ["Canvas says that it was late", "gan_value: has no text"]
    assert grading._dated(late, Handin("ada", b"")).all_notes == ["gan_value: has no text"]


def test_with_all_cells_what_was_graded_without_is_not_done(folder):
    folder, _ = folder
    known, keys = ClassFolder(folder).load(LESSON, "ada"), grading.judge_keys(LESSON, Scale.SMOKE)
    spliced = Spliced(sources=known.sources)
    assert grading.is_current(known, spliced, keys) and not grading.is_current(known, spliced, keys, all_cells=True)
    known.judged_by["all_cells"] = True
    assert grading.is_current(known, spliced, keys, all_cells=True)
