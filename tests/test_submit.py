"""`course submit`: what it says is missing, what it packs, and that grading takes the packed file as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT, need

import autograder.cli
from autograder import handin, splice
from autograder.answers import reference_cells
from course_lib import cli, oracles, submit

LESSON = "gan_math"
RELEASED = ROOT / "lessons" / LESSON / f"{LESSON}.ipynb"
SOLVED = ("gan_value", "jensen_shannon")  # exercises whose checks need no others


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Nothing is packed into the repository, and nobody's nbgrader is asked."""
    monkeypatch.setattr(submit, "HANDED_IN", tmp_path / "handed_in")
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def mine(tmp_path):
    """A learner's notebook: two exercises and the question written, one cell with a slip, the rest as released."""
    notebook = nbformat.read(RELEASED, 4)
    solutions = dict(reference_cells(LESSON))
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name in SOLVED:
            cell.source = solutions[name]
        if name == "dirac_gan":
            cell.source = "def dirac_gan(:"
        if name == "nash":
            cell.source = "Neither can gain alone."
    path = tmp_path / "mine.ipynb"
    nbformat.write(notebook, path)
    return path


def run(capsys, *arguments):
    status = cli.main(["submit", LESSON, "--student", "ada", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_it_says_what_is_missing_and_what_the_checks_give(mine, capsys):
    os.environ["COURSE_SCALE"], before = "smoke", os.environ.get("COURSE_SCALE")
    try:
        status, out, _ = run(capsys, "--notebook", mine, "--json")
    finally:
        os.environ.pop("COURSE_SCALE") if before is None else os.environ.update(COURSE_SCALE=before)
    told = json.loads(out)
    assert status == 0 and told["points"] == 3 and told["points_of_checks"] == 18 and told["points_by_hand"] == 2
    assert {each["check"] for each in told["verdicts"] if each["verdict"] == "passed"} == set(SOLVED)
    assert told["stopped"] == [{"cell": "solution-dirac_gan", "error": "SyntaxError"}]
    assert "discriminator_step" in told["unwritten"] and not {*SOLVED, "dirac_gan"} & set(told["unwritten"])
    assert told["unanswered"] == []


def test_an_exercise_that_is_there_twice_counts_as_in_grading_and_is_named(mine, capsys):
    notebook = nbformat.read(mine, 4)
    place = next(number for number, cell in enumerate(notebook.cells) if cell.id == "solution-gan_value")
    upper = nbformat.v4.new_code_cell("def gan_value(*_):\n    return 0.0", metadata=notebook.cells[place].metadata)  # what splitting a cell leaves
    notebook.cells.insert(place, upper)
    notebook.cells.append(nbformat.v4.new_code_cell(upper.source, metadata=upper.metadata))  # and pasting one
    nbformat.write(notebook, mine)
    status, out, _ = run(capsys, "--notebook", mine, "--no-checks", "--json")
    said = json.loads(out)["twice"]
    assert status == 0 and said.keys() == {"gan_value"}
    assert f"cells {place + 1}, {place + 2}, {len(notebook.cells)} are all of `gan_value`, and only cell {place + 2} is graded" in said["gan_value"]
    assert splice.splice(nbformat.read(RELEASED, 4), mine.read_bytes()).several["solution-gan_value"][0] == place + 2
    assert cli.main(["check", LESSON, "--notebook", str(mine), "--only", "gan_value"]) == 0  # the others would have failed
    assert "Careful: cells " in capsys.readouterr().out


def test_an_interrupt_stops_the_command_and_nothing_is_packed(mine, capsys, tmp_path):
    notebook = nbformat.read(mine, 4)
    cell = next(cell for cell in notebook.cells if cell.id == "solution-gan_value")
    cell.source = "raise KeyboardInterrupt"  # as Ctrl-C does while a cell runs
    nbformat.write(notebook, mine)
    status, out, err = run(capsys, "--notebook", mine)
    assert status == 130 and "interrupted" in err and not (tmp_path / "handed_in").exists()
    assert cli.main(["check", LESSON, "--notebook", str(mine)]) == 130


@pytest.mark.parametrize("line, library", [
    ("import scipy.linalg", "scipy.linalg"), ("    from sklearn.linear_model import LogisticRegression as L", "sklearn.linear_model.LogisticRegression"),
    ("from torch.utils.data import DistributedSampler", "torch.utils.data.DistributedSampler"),
    ("x = torch.utils.data.distributed.DistributedSampler", "torch.utils.data.distributed.DistributedSampler"), ("import numpy, torch", None),
    ("scipy = 3; scipy.real", None), ("import (", None)])
def test_what_is_not_there_in_grading_is_named(line, library):
    assert oracles.imported(f"if True:\n    pass\n{line.lstrip()}") == library
    cell = nbformat.v4.new_code_cell(line.lstrip(), metadata={"nbgrader": {"solution": True, "grade_id": "mine"}})
    assert submit.out_of_reach(nbformat.v4.new_notebook(cells=[cell])) == ({"mine": library} if library else {})


def test_what_it_packs_is_the_notebook_and_grading_finds_it(mine, capsys, tmp_path):
    before = mine.read_bytes()
    status, out, _ = run(capsys, "--notebook", mine, "--no-checks")
    packed, = (tmp_path / "handed_in" / LESSON).rglob("*.ipynb")
    assert status == 0 and str(packed) in out and packed.read_bytes() == before == mine.read_bytes()
    for source in (packed, packed.parent):  # the file itself, and a folder of such files
        found, = handin.find(source, LESSON)
        assert (found.student, found.data, found.notes, found.problem) == ("ada", before, (), "")
    spliced = splice.splice(nbformat.read(RELEASED, 4), packed.read_bytes())
    assert not spliced.problem and spliced.sources["nash" if "nash" in spliced.sources else "answer-nash"] == "Neither can gain alone."


def test_submitting_again_keeps_the_earlier_one(mine, capsys, tmp_path, monkeypatch):
    times = iter(["2027-01-30_15-00-00", "2027-01-30_15-00-01"])
    monkeypatch.setattr(submit.time, "strftime", lambda _: next(times))
    run(capsys, "--notebook", mine, "--no-checks")
    assert "holds just this already" in run(capsys, "--notebook", mine, "--no-checks")[1]
    first = mine.read_bytes()
    mine.write_bytes(first + b"\n")
    run(capsys, "--notebook", mine, "--no-checks")
    packed = sorted((tmp_path / "handed_in").rglob("*.ipynb"))
    assert [path.read_bytes() for path in packed] == [first, first + b"\n"]


def test_a_file_in_a_folder_of_yours_is_replaced_only_when_told(mine, capsys, tmp_path):
    folder = tmp_path / "class"
    assert run(capsys, "--notebook", mine, "--no-checks", "--to", folder)[0] == 0
    packed, before = folder / f"ada_{LESSON}.ipynb", mine.read_bytes()
    mine.write_bytes(before + b"\n")
    status, _, err = run(capsys, "--notebook", mine, "--no-checks", "--to", folder)
    assert status == 2 and "--replace" in err and packed.read_bytes() == before
    assert run(capsys, "--notebook", mine, "--no-checks", "--to", folder, "--replace")[0] == 0
    assert packed.read_bytes() == before + b"\n"
    (tmp_path / "file").touch()
    assert "can't be written" in run(capsys, "--notebook", mine, "--no-checks", "--to", tmp_path / "file" / "x")[2]


def test_a_notebook_that_is_too_large_is_packed_without_outputs(mine, capsys, tmp_path, monkeypatch):
    notebook = nbformat.read(mine, 4)
    code = next(cell for cell in notebook.cells if cell.cell_type == "code")
    code.outputs = [nbformat.v4.new_output("stream", text="x" * 300_000)]
    nbformat.write(notebook, mine)
    monkeypatch.setattr(submit, "MOST_BYTES", 250_000)
    assert "outputs were left out" in run(capsys, "--notebook", mine, "--no-checks")[1]
    packed, = (tmp_path / "handed_in").rglob("*.ipynb")
    lighter = nbformat.read(packed, 4)
    nbformat.validate(lighter)
    assert not any(cell.get("outputs") for cell in lighter.cells)
    assert [cell.source for cell in lighter.cells] == [cell.source for cell in notebook.cells]
    assert "x" * 300_000 in mine.read_text()
    monkeypatch.setattr(submit, "MOST_BYTES", 1000)
    assert "even without outputs" in run(capsys, "--notebook", mine, "--no-checks")[2]


def test_the_limit_is_the_graders():
    assert submit.MOST_BYTES == handin.MAX_BYTES


@pytest.mark.parametrize("content, words", [
    ("{", "half saved"), ("", "half saved"), ("[]", "half saved"), ('{"nbformat": 3, "cells": []}', "format 3"),
    ('{"nbformat": 4, "cells": [], "metadata": {}}', "has no exercise"), (None, "isn't there")])
def test_what_is_no_lesson_is_not_packed(tmp_path, capsys, content, words):
    path = tmp_path / "mine.ipynb"
    if content is not None:
        path.write_text(content)
    status, _, err = run(capsys, "--notebook", path)
    assert status == 2 and words in err and "mine.ipynb" in err and not (tmp_path / "handed_in").exists()


def test_a_broken_notebook_with_a_checkpoint_says_where_the_whole_one_is(tmp_path, capsys):
    path, checkpoint = tmp_path / "mine.ipynb", tmp_path / ".ipynb_checkpoints" / "mine-checkpoint.ipynb"
    path.write_text("{")
    checkpoint.parent.mkdir()
    checkpoint.write_text("{}")
    assert str(checkpoint) in run(capsys, "--notebook", path)[2]


@pytest.mark.parametrize("name", ["../ada", "", " ", "a b", "-x", "a" * 81, "ada/../grace"])
def test_a_name_that_is_no_id_is_refused(name):
    with pytest.raises(submit.LessonError) if name else pytest.raises(AssertionError):
        assert submit.student_id(name) == name


def test_the_users_name_is_made_an_id(monkeypatch):
    for user, name in (("ada", "ada"), ("Ada Lovelace", "AdaLovelace"), ("_ада", "me"), ("DOMAIN\\ada", "DOMAINada")):
        monkeypatch.setattr(submit.getpass, "getuser", lambda: user)
        assert submit.student_id() == name


@pytest.mark.parametrize("source, stub", [
    ("def f():\n    raise NotImplementedError()", True), ("raise NotImplementedError", True), ("def f(:", False),
    ("def f():\n    return 'raise NotImplementedError()'", False), ("class A:\n    def f(self):\n        raise NotImplementedError()", True)])
def test_what_counts_as_not_written(source, stub):
    assert submit._is_stub(source) is stub


def test_every_exercise_of_every_lesson_is_seen_as_unwritten():
    from course_lib.lessons import names, read_notebook
    for lesson in names():
        notebook = read_notebook(ROOT / "lessons" / lesson / f"{lesson}.ipynb")
        solutions = [cell.id.removeprefix("solution-") for cell in notebook.cells if cell.id.startswith("solution-")]
        assert submit.unwritten(notebook) == solutions and len(submit.unanswered(notebook)) == 1


# --- End to end ---

def test_a_packed_file_is_graded(mine, tmp_path):
    """By the autograder as it stands, in its walls, from the command."""
    import shutil
    need(shutil.which("bwrap"), "no bubblewrap on the PATH (Debian: apt install bubblewrap)")
    assert cli.main(["submit", LESSON, "--student", "ada", "--notebook", str(mine), "--no-checks", "--to", str(tmp_path / "inbox")]) == 0
    (tmp_path / "class").mkdir()
    # In this process, which has imported torch: a new one takes seconds for that.
    assert autograder.cli.main(["grade", LESSON, "--submitted", str(tmp_path / "inbox"), "--class", str(tmp_path / "class"), "--scale", "smoke",
                                "--jobs", "1"]) == 0
    result = json.loads((tmp_path / "class" / "results" / LESSON / "ada.json").read_text())
    passed = {each["check"] for each in result["verdicts"] if each["verdict"] == "passed"}
    assert passed == set(SOLVED)


CONFIG = 'c = get_config()\nc.CourseDirectory.course_id = "gans2027"\nc.Exchange.root = "{root}"\n'


def test_through_nbgraders_exchange(mine, tmp_path, capsys):
    """An instructor releases the lesson by nbgrader's own commands, the learner submits, the instructor collects."""
    exchange, config = tmp_path / "exchange", tmp_path / "JUPYTER_CONFIG_DIR"
    exchange.mkdir()
    exchange.chmod(0o777)
    config.mkdir()
    (config / "nbgrader_config.py").write_text(CONFIG.format(root=exchange))
    teacher = tmp_path / "gans2027"
    (teacher / "release" / LESSON).mkdir(parents=True)
    (teacher / "release" / LESSON / f"{LESSON}.ipynb").write_bytes(RELEASED.read_bytes())
    (teacher / "source" / LESSON).mkdir(parents=True)
    nbgrader(teacher, "release_assignment", LESSON)

    status, out, _ = run(capsys, "--notebook", mine, "--no-checks")
    assert status == 0 and "Handed in through nbgrader's exchange: gans2027, gan_math" in out
    nbgrader(teacher, "collect", LESSON)
    collected, = (teacher / "submitted").glob(f"*/{LESSON}/{LESSON}.ipynb")
    assert collected.read_bytes() == mine.read_bytes()
    found, = handin.find(teacher / "submitted", LESSON)
    assert found.data == mine.read_bytes() and found.submitted



LISTED = "[ListApp | INFO] Released assignments:\n[ListApp | INFO] gans2027 gan_math\n"


@pytest.mark.parametrize("listed, said, told", [
    (LISTED, "[SubmitApp | CRITICAL] Inbound directory doesn't exist: /x\n[SubmitApp | ERROR] nbgrader submit failed\n",
     {"course": "gans2027", "when": "", "error": "Inbound directory doesn't exist: /x"}),
    (LISTED, "", {"course": "gans2027", "when": "", "error": "it said nothing"}),
    (LISTED.replace("gan_math", "gan_math2"), "never asked", None), ("[ListApp | ERROR] no such folder\n", "never asked", None)])
def test_an_exchange_that_doesnt_take_it(mine, tmp_path, monkeypatch, capsys, listed, said, told):
    (tmp_path / "nbgrader_config.py").touch()
    monkeypatch.setattr(submit, "_nbgrader", lambda command, *_: type("Done", (), {"stderr": listed if command == "list" else said}))
    assert submit.to_exchange(LESSON, mine) == told
    status, out, _ = run(capsys, "--notebook", mine, "--no-checks")
    assert status == bool(told) and ("didn't take it" in out and "can be handed in by hand" in out) == bool(told)


def nbgrader(folder, *arguments):
    done = subprocess.run([sys.executable, "-m", "nbgrader", *arguments], cwd=folder, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"})
    assert done.returncode == 0, done.stderr
