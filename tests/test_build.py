"""lessons/ from solutions/: what comes out, what is refused and how it is said."""

import json
import re
import signal
import subprocess
import sys
import time

import jupytext
import nbformat
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from nbgrader.nbgraderformat import MetadataValidator
from nbgrader.utils import compute_checksum
from toy_course import CHECKS, SOURCE, make_course

from autograder import build, cli


@pytest.fixture
def course(tmp_path):
    return make_course(tmp_path)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """The toy lesson's three notebooks; not to be changed."""
    return build.notebooks(make_course(tmp_path_factory.mktemp("toy")), "toy")


def cells_of(notebook):
    return {cell.id: cell for cell in notebook.cells}


def code_of(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


# --- What comes out ---

@pytest.mark.parametrize("which", ["released", "source", "solved"])
def test_every_notebook_is_valid_for_jupyter_and_nbgrader(toy, which):
    notebook = getattr(toy, which)
    nbformat.validate(nbformat.reads(build.as_text(notebook), as_version=4))
    MetadataValidator().validate_nb(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)


def test_ids_and_marks_come_from_names(toy):
    found = [(cell.id, cell.cell_type, *(cell.metadata.get("nbgrader", {}).get(key)
              for key in ("grade_id", "grade", "solution", "locked", "points")), cell.metadata.get("tags"))
             for cell in toy.released.cells]
    nothing = (None,) * 5
    assert found == [
        ("means-and-spreads", "markdown", *nothing, None),
        ("setup-1", "code", "setup-1", False, False, True, None, ["setup"]),
        ("the-mean", "markdown", *nothing, None),
        ("solution-mean", "code", "mean", False, True, False, None, None),
        ("check-mean", "code", "check-mean", True, False, True, 3, None),
        ("the-spread", "markdown", *nothing, None),
        ("solution-spread", "code", "spread", False, True, False, None, None),
        ("check-spread", "code", "check-spread", True, False, True, 1.5, None),
        ("demo-print-drawing", "code", *nothing, ["demo"]),
        ("train-for-epoch-in-range-2", "code", *nothing, ["train"]),
        ("code-6-7", "code", *nothing, None),
        ("answer-outliers", "markdown", "outliers", True, True, False, 2, None),
        ("what-to-remember", "markdown", *nothing, None)]


def test_the_learner_gets_stubs(toy):
    cells = cells_of(toy.released)
    assert cells["solution-mean"].source == (
        'def mean(values):\n    """The mean of some numbers: `mean([1, 3])` is 2."""\n'
        "    # YOUR CODE HERE\n    raise NotImplementedError()")
    assert cells["solution-spread"].source.count("raise NotImplementedError()") == 2
    assert cells["answer-outliers"].source == (
        "What does one outlier do to both, and which would you report?\n\nYOUR ANSWER HERE")
    text = build.as_text(toy.released)
    for secret in ("fsum", "sqrt", "centre", "report the median", "empty list", "in front of the class", "SOLUTION"):
        assert secret not in text
    assert all(cell.outputs == [] and cell.execution_count is None for cell in toy.released.cells if cell.cell_type == "code")


def test_nbgraders_checksums_are_those_of_the_stub(toy):
    cells = cells_of(toy.released)
    graded = {cell_id: cell for cell_id, cell in cells.items() if "nbgrader" in cell.metadata}
    assert len(graded) == 6
    for cell in graded.values():
        assert cell.metadata.nbgrader.checksum == compute_checksum(cell)


def test_cells_that_matter_cannot_be_deleted_or_edited(toy):
    cells = cells_of(toy.released)
    for name in ("setup-1", "check-mean", "check-spread"):
        assert cells[name].metadata.deletable is False and cells[name].metadata.editable is False
    for name in ("solution-mean", "answer-outliers"):
        assert cells[name].metadata.deletable is False and "editable" not in cells[name].metadata
    assert "deletable" not in cells["demo-print-drawing"].metadata


def test_solved_is_a_hand_in_with_the_instructors_cells(toy):
    released, solved = cells_of(toy.released), cells_of(toy.solved)
    assert [i for i in solved if i in released] == list(released)
    extra = [solved[i] for i in solved if i not in released]
    assert [cell.metadata for cell in extra] == [{"tags": ["instructor"]}] * 2
    assert all(solved[i].metadata == released[i].metadata for i in released)
    namespace = {}
    for source in code_of(toy.solved):
        exec(source, namespace)  # its check cells raise where an answer is wrong
    assert namespace["mean"]([0.1] * 10) == 0.1
    assert "report the median" in solved["answer-outliers"].source and "SOLUTION" not in solved["answer-outliers"].source


def test_nbgraders_source_has_solutions_and_no_instructors_cells(toy):
    assert list(cells_of(toy.source)) == list(cells_of(toy.released))
    assert "fsum" in build.as_text(toy.source) and "empty list" not in build.as_text(toy.source)
    assert "checksum" not in build.as_text(toy.source)


def test_the_notebook_says_what_the_lesson_is(toy):
    assert toy.released.metadata.course == {"lesson": "toy", "title": "Means and spreads", "minutes": 5, "builds_on": []}
    assert toy.released.metadata.kernelspec.name == "python3"


def test_the_source_opens_as_a_notebook_in_jupyter(course):
    """The marks survive jupytext's own way from text to notebook and back."""
    notebook = jupytext.read(course.source("toy"))
    again = jupytext.reads(jupytext.writes(notebook, fmt="py:percent"), fmt="py:percent")
    assert [(c.metadata.get("solution"), c.metadata.get("tags"), c.source) for c in again.cells] == \
           [(c.metadata.get("solution"), c.metadata.get("tags"), c.source) for c in notebook.cells]
    assert again.metadata["course"]["minutes"] == 5


def test_building_again_gives_the_same_bytes(course):
    assert build.build(course, "toy")["changed"]
    first = course.released("toy").read_bytes()
    assert not build.build(course, "toy")["changed"]
    course.released("toy").unlink()
    build.build(course, "toy")
    assert course.released("toy").read_bytes() == first and first.endswith(b"}\n")
    assert [path.name for path in course.released("toy").parent.iterdir()] == ["toy.ipynb"]


def test_magics_and_strings_that_look_like_cells_are_no_trouble(tmp_path):
    source = SOURCE.replace("    total = math", '    """\n# %% not a cell\n    """\n    total = math') + "\n# %%\n# %matplotlib inline\n"
    cells = cells_of(build.notebooks(make_course(tmp_path, source), "toy").solved)
    assert "# %% not a cell" in cells["solution-mean"].source
    assert cells["code-matplotlib-inline"].source == "%matplotlib inline"


# --- Ids ---

headers = re.compile(r"^# %%", re.MULTILINE)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, SOURCE.count("\n# %%") - 1), st.sampled_from(["# %%\nprint('added')\n\n", "# %% [markdown]\n# ## Added\n\n"]))
def test_an_added_cell_leaves_all_other_ids_as_they_were(tmp_path_factory, place, added):
    at = list(headers.finditer(SOURCE))[place].start()
    root = tmp_path_factory.mktemp("added")
    before = build.read(make_course(root), "toy")
    after = build.read(make_course(root, SOURCE[:at] + added + SOURCE[at:]), "toy")
    old, new = build._cell_ids(before.cells), build._cell_ids(after.cells)
    assert [i for i in new if i in old] == old and len(new) == len(old) + 1


printable = st.text(st.characters(exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=200)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.booleans(), printable), min_size=1, max_size=6))
def test_ids_are_valid_and_differ_whatever_cells_begin_with(contents):
    cells = [build.Cell("code" if code else "text", "", 0, 1, 1, nbformat.v4.new_code_cell(text)) for code, text in contents]
    ids = build._cell_ids(cells * 2)
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", cell_id) for cell_id in ids)


# --- What is refused ---

def line_of(text, source):
    return source[:source.index(text)].count("\n") + 1


REFUSED = {
    "unclosed": (("    return total / len(values)\n    ### END SOLUTION", "    return total / len(values)"),
                 '{BEGIN}solution cell "mean": this BEGIN SOLUTION is never closed by ### END SOLUTION'),
    "END alone": (("    ### BEGIN SOLUTION\n    total", "    total"), 'solution cell "mean": END SOLUTION without a BEGIN SOLUTION'),
    "nested": (("    return total /", "    ### BEGIN SOLUTION\n    return total /"),
               'solution cell "mean": BEGIN SOLUTION again before the END of the one on line'),
    "no region": (("    ### BEGIN SOLUTION\n    total = math.fsum(value for value in values)\n    return total / len(values)\n"
                   "    ### END SOLUTION", "    return 1"), 'solution cell "mean": has no ### BEGIN SOLUTION'),
    "nothing removed": (("    total = math.fsum(value for value in values)\n    return total / len(values)\n", "\n"),
                        'solution cell "mean": nothing stands between'),
    "the stub is the solution": (("    total = math.fsum(value for value in values)\n    return total / len(values)\n",
                                  "    raise NotImplementedError()  # later\n"),
                                 'solution cell "mean": the solution is what the learner gets already'),
    "the stub isn't Python": (("    total = math.fsum(value for value in values)\n    return total / len(values)\n    ### END SOLUTION\n",
                               "    return math.fsum(\n    ### END SOLUTION\n        values) / len(values)\n"),
                              'solution cell "mean": what is left without the solution isn\'t valid Python'),
    "the solution isn't Python": (("return total / len(values)", "return total / / len(values)"),
                                  'solution cell "mean": the solution isn\'t valid Python: line 32: invalid syntax'),
    "region without a mark": (('# %% solution="mean"', "# %%"), "code cell: BEGIN SOLUTION in a cell that isn't marked"),
    "comment style": (("    ### BEGIN SOLUTION\n    total", "    # BEGIN SOLUTION\n    total"),
                      "'# BEGIN SOLUTION' must stand alone on its line, as ### BEGIN SOLUTION"),
    "two of a name": (('# %% solution="spread"', '# %% solution="mean"'), 'the name "mean" is there 2 times'),
    "answer named as a solution": (('answer="outliers"', 'answer="mean"'), 'the name "mean" is there 2 times'),
    "check without a cell": (('# %% check="spread"\ncheck("spread")\n', ""), ':1: the check "spread" has no cell'),
    "cell without a check": (('# %% check="spread"\ncheck("spread")\n', '# %% check="variance"\ncheck("variance")\n'),
                             'check cell "variance": course_lib/checks/toy.py has no check of that name; it has: mean, spread'),
    "another check's call": (('check("spread")\n', 'check("mean")\n'), 'check cell "spread": doesn\'t run check("spread")'),
    "misspelt mark": (('# %% solution="mean"', '# %% soluton="mean"'), "the cell's header has 'soluton', which is no mark"),
    "bare word": (('# %% [markdown] tags=["instructor"]', "# %% [markdown] instructor"), "the cell's header has 'instructor'"),
    "misspelt tag": (('tags=["instructor"]', 'tags=["instuctor"]'), "tags is ['instuctor']; known are: setup, train"),
    "broken header": (('# %% solution="mean"', '# %% solution="mean'), "the cell's header has 'solution=\"mean'"),
    "two things at once": (('# %% solution="mean"', '# %% solution="mean" tags=["demo"]'), "several things at once: solution, demo"),
    "solution in words": (('# %% solution="mean"', '# %% [markdown] solution="mean"'), "marked solution must be code"),
    "no name": (('# %% solution="mean"', '# %% solution="the mean"'), "solution='the mean' is no name"),
    "answer without points": ((" points=2", ""), "points=… belongs in the header of an answer"),
    "no number": (("points=2", "points=0"), "points=0 must be a number above 0"),
    "points on a solution": (('solution="mean"', 'solution="mean" points=3'), "a check's points stand with the check"),
    "answer that would be lost": (("### BEGIN SOLUTION\n# It", "It"), "END SOLUTION without"),
    "prompt that would be lost": (("# ### BEGIN SOLUTION\n# It moves the mean by its distance over n, and the spread much more; "
                                   "report the median.\n# ### END SOLUTION\n", ""), "its text would be lost"),
    "hidden tests": (('check("mean")\n', 'check("mean")\n### BEGIN HIDDEN TESTS\n'), "is nbgrader's own"),
    "solution repeated in a demo": (('print("drawing")', "total = math.fsum(value  for value in values)"),
                                    "is part of what learners don't get, and stands in a cell that they do: demo-total-math-fsum"),
    "no title": (("#     title: Means and spreads\n", ""), ":1: the front matter gives no title"),
    "no minutes": (("minutes: 5", "minutes: soon"), ":1: the front matter gives no minutes"),
    "a place that is no number": (("builds_on: []", "place: first"), "place is 'first'"),
    "a common line that no solution has": (("builds_on: []", "common: ['total = 0']"), "common is ['total = 0']; it is a list of lines"),
    "unknown lesson to build on": (("builds_on: []", "builds_on: [calculus]"), "builds_on is ['calculus']"),
    "keys at its own depth": (("#   course:\n#     title: Means and spreads\n#     minutes: 5\n#     builds_on: []\n", "#   course:\n#   title: Means and spreads\n"), "`course:` is None; what the front matter says of the lesson stands below it"),
    "a lesson to build on that is none": (("builds_on: []", "builds_on: [{a: b}]"), "it is a list of other lessons"),
    "other front matter": (("# jupyter:\n#   course:", "# course:\n#   more:"), ":1: the front matter can't be read"),
    "text before the first cell": (("# %% [markdown]\n# # Means", "x = 1\n\n# %% [markdown]\n# # Means"), ":1: something stands before"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_with_a_source_is_named(tmp_path, case):
    (old, new), sentence = REFUSED[case]
    assert old in SOURCE
    source = SOURCE.replace(old, new, 1)
    course = make_course(tmp_path, source)
    found = build.problems(course, ["toy"])
    sentence = sentence.replace("{BEGIN}", f":{line_of('    ### BEGIN SOLUTION', source)}: ")
    assert any(sentence in line for line in found), found
    assert all(re.match(r"solutions/toy/toy\.py:\d+: ", line) and "\n" not in line for line in found)
    with pytest.raises(build.LessonError):
        build.build(course, "toy")
    assert not course.released("toy").exists()


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    source = SOURCE.replace("    total =", '    """\n# %% not a cell\n    """\n    total =').replace('check("spread")\n', "pass\n")
    line, = build.problems(make_course(tmp_path, source), ["toy"])
    assert line.startswith(f"solutions/toy/toy.py:{line_of('# %% check=' + chr(34) + 'spread', source)}: ")


def test_a_check_worth_nothing_is_named(tmp_path):
    course = make_course(tmp_path, checks=CHECKS | {"mean": type(CHECKS["mean"])(name="mean", points=0)})
    assert "the check is worth 0 points" in build.problems(course, ["toy"])[0]


def test_a_heading_or_a_name_cannot_take_a_setup_cells_id(tmp_path):
    source = SOURCE.replace("# # Means and spreads", "# # Setup 1").replace('solution="spread"', 'solution="setup"')
    ids = [cell.id for cell in build.notebooks(make_course(tmp_path, source), "toy").released.cells]
    assert ids[:2] == ["setup-1-2", "setup-1"] and "solution-setup" in ids


def test_checks_that_cannot_be_imported_are_named(tmp_path):
    course = make_course(tmp_path)
    broken = build.Course(course.root, lambda lesson: 1 / 0)
    line, = build.problems(broken, ["toy"])
    assert "course_lib/checks/toy.py can't be imported: ZeroDivisionError" in line


def test_a_source_that_is_not_text_is_named(course):
    course.source("toy").write_bytes(b"\xff\xfe\x00")
    line, = build.problems(course, ["toy"])
    assert line.startswith("solutions/toy/toy.py: isn't UTF-8 text")


# --- Drift ---

def edit(change):
    def edited(path):
        notebook = json.loads(path.read_text())
        change(notebook)
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")
    return edited


DRIFT = {
    "worked in": (edit(lambda n: n["cells"][3].update(source=["1 + ", "1"])), "somebody has worked in it, in cell `solution-mean`"),
    "edited": (edit(lambda n: n["cells"][4].update(source=["1 + 1"])), "cell `check-mean` differs in its source"),
    "run": (edit(lambda n: n["cells"][4].update(execution_count=3, outputs=[{"output_type": "stream", "name": "stdout", "text": []}])),
            "cell `check-mean` differs in its execution_count and outputs"),
    "points": (edit(lambda n: n["cells"][4]["metadata"]["nbgrader"].update(points=9)), "cell `check-mean` differs in its metadata"),
    "cell gone": (edit(lambda n: n["cells"].pop(4)), "cell `check-mean` is missing"),
    "cell added": (edit(lambda n: n["cells"].append({"id": "mine", "cell_type": "markdown", "metadata": {}, "source": []})),
                   "cell `mine` isn't in the source"),
    "reordered": (edit(lambda n: n["cells"].reverse()), "its cells stand in another order"),
    "title": (edit(lambda n: n["metadata"]["course"].update(title="?")), "differs from what would be built"),
    "half saved": (lambda path: path.write_bytes(path.read_bytes()[:700]), "isn't a whole notebook (half-saved?)"),
    "no notebook": (lambda path: path.write_text("[1, 2]"), "isn't a whole notebook"),
    "empty": (lambda path: path.write_text(""), "isn't a whole notebook"),
    "missing": (lambda path: path.unlink(), "is missing"),
}


@pytest.mark.parametrize("case", DRIFT)
def test_drift_is_named_and_mended_by_building(course, case):
    damage, sentence = DRIFT[case]
    build.build(course, "toy")
    assert build.problems(course, ["toy"]) == []
    damage(course.released("toy"))
    line, = build.problems(course, ["toy"])
    assert line.startswith(f"lessons/toy/toy.ipynb: {sentence}") and "autograder build toy" in line
    assert build.build(course, "toy")["changed"]
    assert build.problems(course, ["toy"]) == []


def test_building_keeps_what_somebody_has_written_in_the_notebook(course, capsys):
    build.build(course, "toy")
    course.source("toy").write_text(SOURCE.replace('"""The standard deviation."""', '"""How far off."""'))
    assert build.build(course, "toy")["kept"] is None  # a stub that is another now is nobody's work
    path = course.released("toy")
    edit(lambda n: n["cells"][3].update(source=["def mean(values):\n", "    return 0"]))(path)
    work = path.read_bytes()
    assert cli.main(["build", "toy"], course) == 0
    kept, = path.parent.glob("toy.*.ipynb")
    assert kept.read_bytes() == work and f"kept as lessons/toy/{kept.name}" in capsys.readouterr().out
    assert build.problems(course, ["toy"]) == [] and build.orphans(course) == []
    assert build.build(course, "toy")["kept"] is None


def test_a_changed_source_is_drift(course):
    build.build(course, "toy")
    course.source("toy").write_text(SOURCE.replace("# Write it.", "# Write it now."))
    line, = build.problems(course, ["toy"])
    assert "cell `the-mean` differs in its source" in line


def test_points_come_from_the_check_and_nowhere_else(course):
    build.build(course, "toy")
    dearer = build.Course(course.root, lambda lesson: CHECKS | {"mean": type(CHECKS["mean"])(name="mean", points=4)})
    line, = build.problems(dearer, ["toy"])
    assert "cell `check-mean` differs in its metadata" in line


def test_a_notebook_without_a_source_is_an_orphan(course):
    build.build(course, "toy")
    assert build.orphans(course) == []
    old = course.root / "lessons" / "old" / "old.ipynb"
    old.parent.mkdir()
    old.write_text("{}")
    line, = build.orphans(course)
    assert line.startswith("lessons/old/old.ipynb: no source")


# --- Recording ---

def test_checks_are_recorded_before_the_lesson_is_written_and_a_stale_record_is_named(tmp_path):
    seen = []
    course = make_course(tmp_path, record=lambda lesson: seen.append((lesson, course.released(lesson).exists())),
                         is_recorded=lambda lesson: False)
    build.build(course, "toy")
    assert seen == [("toy", False)]
    line, = build.problems(course, ["toy"])
    assert line.startswith("course_lib/checks/toy.snapshot: isn't what the solution gives")


def test_a_recording_that_fails_is_a_problem_of_the_lesson(tmp_path):
    course = make_course(tmp_path, record=lambda lesson: {}["x"], is_recorded=lambda lesson: 1 / 0)
    build.write(course.released("toy"), build.notebooks(course, "toy").released)
    assert build.problems(course, ["toy"]) == [
        "solutions/toy/: what its checks compare with can't be recorded: ZeroDivisionError: division by zero"]
    with pytest.raises(build.LessonError, match="can't be recorded: KeyError"):
        build.build(course, "toy")


# --- The command ---

def test_build_and_check_from_the_command_line(course, capsys):
    assert cli.main(["build", "--check"], course) == 1
    assert "lessons/toy/toy.ipynb: is missing" in capsys.readouterr().err
    assert cli.main(["build"], course) == 0
    assert capsys.readouterr().out == "toy: lessons/toy/toy.ipynb written; 13 cells, 2 checks, 6.5 points\n"
    assert cli.main(["build", "toy", "--json"], course) == 0
    assert json.loads(capsys.readouterr().out) == {"problems": [], "built": [
        {"lesson": "toy", "path": "lessons/toy/toy.ipynb", "cells": 13, "checks": 2, "points": 6.5, "changed": False,
         "recorded": False, "kept": None}]}
    assert cli.main(["build", "--check"], course) == 0
    assert "1 lesson: " in capsys.readouterr().out
    course.released("toy").write_text("{")
    assert cli.main(["build", "--check", "--json"], course) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    assert course.released("toy").read_text() == "{"


def test_an_unknown_lesson_is_named_with_those_there_are(course, capsys):
    assert cli.main(["build", "tay"], course) == 1
    assert capsys.readouterr().err == "there is no lesson 'tay': solutions/tay/tay.py is missing; known are: toy\n"


def test_one_broken_lesson_does_not_stop_the_others(course, capsys):
    other = course.root / "solutions" / "aaa" / "aaa.py"
    other.parent.mkdir()
    other.write_text("# %% nonsense\n")
    assert cli.main(["build"], course) == 1
    captured = capsys.readouterr()
    assert "toy: lessons/toy/toy.ipynb written" in captured.out
    assert "solutions/aaa/aaa.py:1: the cell's header has 'nonsense'" in captured.err


@pytest.mark.parametrize("folder", ["lessons", "lessons/..//lessons/more", "solutions", "course_lib"])
def test_solutions_are_not_written_where_learners_look(course, folder, capsys):
    assert cli.main(["build", "--solved", str(course.root / folder)], course) == 1
    assert "name another folder" in capsys.readouterr().err
    assert not list(course.root.glob("**/*.ipynb"))


def test_solved_and_source_go_to_folders_of_their_own(course, tmp_path, capsys):
    assert cli.main(["build", "--solved", str(tmp_path / "model")], course) == 0
    assert cli.main(["build", "--source", str(tmp_path / "source"), "--json"], course) == 0
    assert "report the median" in (tmp_path / "model/toy/toy.ipynb").read_text()
    assert "empty list" not in (tmp_path / "source/toy/toy.ipynb").read_text()
    assert not course.released("toy").exists()
    assert cli.main(["build", "--execute"], course) == 1
    assert "--execute goes with --solved DIR" in capsys.readouterr().err


def test_executed_notebooks_have_results_and_an_error_names_its_cell(course, tmp_path, capsys):
    assert cli.main(["build", "--solved", str(tmp_path / "shown"), "--execute"], course) == 0
    cells = cells_of(nbformat.read(tmp_path / "shown/toy/toy.ipynb", as_version=4))
    assert cells["code-6-7"].outputs[0].data["text/plain"] == "42"
    assert cells["train-for-epoch-in-range-2"].outputs[0].text == "epoch 0\nepoch 1\n"
    course.source("toy").write_text(SOURCE.replace('print("drawing")', "print(undefined)"))
    capsys.readouterr()
    assert cli.main(["build", "--solved", str(tmp_path / "shown"), "--execute"], course) == 1
    captured = capsys.readouterr()
    assert "toy.ipynb: cell `demo-print-undefined` failed: NameError: name 'undefined' is not defined" in captured.err
    assert "Traceback" not in captured.err


def test_an_interrupt_while_a_notebook_runs_ends_it_in_a_line(course, tmp_path):
    course.source("toy").write_text(SOURCE.replace('print("drawing")', "import time; print('waits', flush=True); time.sleep(600)"))
    path = build.build_to(course, "toy", tmp_path / "shown", "solved")
    program = "from pathlib import Path; from autograder import build\n" \
              f"build.execute(Path({str(path)!r}), Path({str(ROOT)!r}), lambda done, total, cell_id: print(cell_id, flush=True))"
    running = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while "import-time" not in (begun := running.stdout.readline()):
        assert begun
    time.sleep(1)  # the cell is begun
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert err.strip().splitlines()[-1] == "KeyboardInterrupt" and "Error" not in err


def test_help_teaches_and_comes_at_once():
    program = "import sys; from autograder import cli\ntry: cli.main(['build', '--help'])\n" \
              "except SystemExit: print('torch' in sys.modules or 'nbgrader' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "autograder build --solved shown --execute" in out and out.endswith("False\n")


# --- The lessons of this course ---

def test_lessons_are_what_their_sources_make():
    course = build.Course()
    assert build.problems(course, course.lessons()) + build.orphans(course) == []
