"""`check` in a notebook and from the shell: cards, progress that survives, and clear words on bad input."""

import json
import subprocess
import sys

import nbformat
import pytest
from conftest import ROOT
from nbclient import NotebookClient

from autograder import cli as autograder_cli
from course_lib import card, cli, lessons, progress
from course_lib.notebook import CheckFailed, Checker
from course_lib.verdict import FAILED, NOT_GRADED, PASSED, Verdict


def test_the_card_escapes_what_a_submission_may_say():
    verdict = Verdict("f", FAILED, 0, 2, hint="`f` raised <script>alert(1)</script> \x1b[31mred\ud800", detail="a & b")
    page = card.as_html(verdict)
    assert "<script>" not in page and "&lt;script&gt;" in page and "\x1b" not in page and "a &amp; b" in page
    page.encode("utf-8")
    card.as_text(verdict).encode("utf-8", "strict") if "\ud800" not in card.as_text(verdict) else pytest.fail("surrogate")


def test_each_outcome_is_told_by_mark_and_word_not_colour_alone():
    shown = [card.as_text(Verdict("f", outcome, 0, 1)) for outcome in (PASSED, FAILED, NOT_GRADED)]
    assert [text[:1] for text in shown] == ["✓", "✗", "?"] and len({text.split(":")[0] for text in shown}) == 3


@pytest.fixture
def lesson_folder(tmp_path, monkeypatch):
    (tmp_path / "gan_math.ipynb").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_progress_made_in_the_terminal_and_in_the_notebook_is_kept(lesson_folder):
    notebook, terminal = progress.Progress("gan_math"), progress.Progress("gan_math")
    terminal.record(Verdict("digits", PASSED, 1, 1))
    notebook.record(Verdict("gan_value", PASSED, 1, 1))
    assert set(progress.Progress("gan_math").passed()) == {"digits", "gan_value"}


def test_progress_survives_a_restart_and_a_moved_folder(lesson_folder, tmp_path_factory, monkeypatch):
    progress.Progress("gan_math").record(Verdict("gan_value", PASSED, 1, 1))
    assert progress.Progress("gan_math").points()[0] == 1 and progress.Progress("gan_math").next() == "optimal_discriminator"
    moved = tmp_path_factory.mktemp("elsewhere") / "moved"
    lesson_folder.rename(moved)
    monkeypatch.chdir(moved)
    assert progress.Progress("gan_math").passed() == ["gan_value"]
    progress.Progress("gan_math").record(Verdict("gan_value", FAILED, 0, 1))
    assert progress.Progress("gan_math").passed() == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"verdicts": 3}', '{"verdicts": {"nope": "passed"}}', "\x00\xff"])
def test_a_broken_progress_file_starts_empty(lesson_folder, content):
    (lesson_folder / progress.FILE).write_text(content)
    assert progress.Progress("gan_math").points()[0] == 0


def test_check_raises_for_whoever_runs_the_notebook_and_prints_plain_text(lesson_folder, capsys):
    check = Checker("gan_math")
    with pytest.raises(CheckFailed):
        check("gan_value")
    assert "✗ Not yet: gan_value (0 of 1 point)" in capsys.readouterr().out
    assert "Traceback" not in "".join(CheckFailed(Verdict("f", FAILED, 0, 1))._render_traceback_())
    with pytest.raises(LookupError, match="no check 'gan_valu'") as caught:
        check("gan_valu")
    assert caught.value._render_traceback_() == [str(caught.value)]  # in a notebook, without our own lines


def execute(*cells, folder):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    NotebookClient(notebook, allow_errors=True, resources={"metadata": {"path": str(folder)}}).execute()
    return notebook


def test_in_a_kernel_the_card_is_shown_and_the_error_has_no_traceback(lesson_folder, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = execute('from course_lib import start\ncheck = start("gan_math")',
                       "def gan_value(r, f): return 1 / 0", 'check("gan_value")',
                       "import torch.nn.functional as F\n"
                       "def gan_value(r, f): return F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()", 'check("gan_value")',
                       folder=lesson_folder)
    strip, _, failed, _, passed = (cell.outputs for cell in notebook.cells)
    assert any("ipywidgets" in str(output) or "widget" in str(output) for output in strip)
    assert "ZeroDivisionError" in failed[0].data["text/html"] and "1 / 0" in failed[0].data["text/html"]
    assert failed[1].output_type == "error" and len(failed[1].traceback) == 1 and "course_lib" not in failed[1].traceback[0]
    assert "Passed" in passed[0].data["text/html"] and len(passed) == 1
    assert not [output for cell in notebook.cells for output in cell.outputs if output.get("name") == "stderr"]
    assert json.loads((lesson_folder / progress.FILE).read_text())["verdicts"] == {"gan_value": "passed"}


@pytest.mark.parametrize("running, kept", [("gan_math.ipynb", True), ("solved.ipynb", False), (None, True)])
def test_progress_is_that_of_the_lessons_own_notebook(lesson_folder, monkeypatch, running, kept):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JPY_SESSION_NAME", str(lesson_folder / running)) if running else monkeypatch.delenv("JPY_SESSION_NAME", False)
    progress.Progress("gan_math").record(Verdict("digits", PASSED, 1, 1))
    notebook = execute('from course_lib import start\ncheck = start("gan_math")\nprint(check.progress.passed(), check._widget.value)',
                       "import torch.nn.functional as F\n"
                       "def gan_value(r, f): return F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()",
                       'check("gan_value")\nprint(check.progress.passed())', folder=lesson_folder)
    before, after = (next(output.text for output in cell.outputs if output.get("name") == "stdout")
                     for cell in (notebook.cells[0], notebook.cells[2]))
    assert before.startswith("['digits']" if kept else "[]") and ("solved.ipynb" in before) != kept
    assert "gan_value" in after
    assert set(progress.Progress("gan_math").passed()) == ({"digits", "gan_value"} if kept else {"digits"})


def run_cli(capsys, *arguments):
    status = cli.main(list(arguments))
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_list_as_json_has_the_promised_form(capsys):
    status, out, _ = run_cli(capsys, "list", "--json")
    lesson = next(each for each in json.loads(out) if each["lesson"] == "gan_math")
    assert status == 0 and set(lesson) == {"lesson", "title", "points", "checks", "by_hand", "minutes"}
    assert lesson["points"] == 20 == sum(c["points"] for c in lesson["checks"]) + sum(q["points"] for q in lesson["by_hand"])
    assert all(set(check) == {"name", "points", "trains"} for check in lesson["checks"])
    trained = sum(check["points"] for check in lesson["checks"] if check["trains"])
    assert 0 < trained <= lesson["points"] / 3


def test_list_for_people_names_what_comes_next(capsys):
    status, out, _ = run_cli(capsys, "list")
    assert status == 0 and "gan_value" in out and "20 points" in out


def test_list_names_a_broken_lesson_and_shows_the_others(tmp_path, capsys, monkeypatch):
    for name, content in (("whole", (ROOT / "lessons/gan_math/gan_math.ipynb").read_text()), ("torn", "{")):
        (tmp_path / "lessons" / name).mkdir(parents=True)
        (tmp_path / "lessons" / name / f"{name}.ipynb").write_text(content)
    monkeypatch.setattr(lessons, "COURSE", tmp_path)
    monkeypatch.setattr(lessons, "lesson_folder", lambda name: tmp_path / "lessons" / name)
    monkeypatch.setattr(lessons.Lesson, "checks", property(lambda self: ()))
    status, out, err = run_cli(capsys, "list")
    assert status == 2 and "whole: " in out and "torn" not in out and "torn.ipynb can't be read" in err


@pytest.mark.parametrize("module, argument", [("course_lib.cli", "list"), ("autograder.cli", "build --solved {} gan_math")])
def test_a_reader_that_goes_away_is_no_error(tmp_path, module, argument):
    command = subprocess.Popen([sys.executable, "-m", module, *argument.format(tmp_path).split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    command.stdout.close()
    assert command.stderr.read() == b"" and command.wait() == 0


def test_another_broken_pipe_is_one(capsys, monkeypatch):
    def broken(*_):
        raise BrokenPipeError(32, "Broken pipe")
    monkeypatch.setattr("autograder.cli.run_build", broken)
    assert autograder_cli.main(["build"]) == 1 and "Broken pipe" in capsys.readouterr().err


@pytest.mark.parametrize("content, words", [("{", "half saved"), ("", "half saved"), ('{"cells": 3}', "half saved"), (None, "isn't there")])
def test_a_broken_notebook_is_named(tmp_path, capsys, content, words):
    path = tmp_path / "mine.ipynb"
    if content is not None:
        path.write_text(content)
    status, _, err = run_cli(capsys, "check", "gan_math", "--notebook", str(path))
    assert status == 2 and words in err and "mine.ipynb" in err


def test_unknown_names_are_answered_with_the_known_ones(capsys):
    assert "gan_math" in run_cli(capsys, "check", "nope")[2]
    assert "gan_value" in run_cli(capsys, "check", "gan_math", "--only", "nope")[2]


def test_check_from_the_shell_runs_the_notebook_and_says_which_cell_stops(tmp_path):
    notebook = nbformat.read(ROOT / "lessons" / "gan_math" / "gan_math.ipynb", 4)
    for cell in notebook.cells:
        if cell.id == "solution-gan_value":
            cell.source = "def gan_value(r, f):\n    return F.logsigmoid(r).mean() + F.logsigmoid(-f).mean()"
        if cell.id == "solution-jensen_shannon":
            cell.source = "def jensen_shannon(:"
    path = tmp_path / "mine.ipynb"
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "course_lib.cli", "check", "gan_math", "--notebook", str(path), "--only", "gan_value",
               "--only", "jensen_shannon", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    verdicts = json.loads(done.stdout)
    assert done.returncode == 1 and [v["verdict"] for v in verdicts] == ["passed", "failed"]
    assert "solution-jensen_shannon" in done.stderr and "SyntaxError" in done.stderr


def test_commands_that_need_no_torch_answer_without_it():
    code = ("import sys; from course_lib import data, doctor, lessons, start_page, submit; lessons.lessons(); data.course_data_report(); "
            "print([name for name in ('torch', 'nbformat', 'jsonschema', 'nbgrader') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"


HEAVY = ("torchvision", "pandas", "matplotlib.pyplot", "d2l", "sklearn", "mlxtend", "scipy", "nbgrader", "ipywidgets")


def test_importing_the_library_loads_nothing_heavy():
    code = f"import course_lib, sys; course_lib.start; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout.strip() == "[]"
