"""The demo of a lesson: what its page is made of, that it runs, and who gets which functions."""

import ast
import builtins
import re

import nbclient
import nbformat
import pytest
from toy_course import SOURCE, make_course

from autograder import build
from course_lib import cli, demo, lessons

MORE = '''
# %% [markdown] tags=["demo", "instructor"]
# > **Ask the room.** Who earns more than the mean?

# %% tags=["demo", "instructor"]
print("mean of a thousand", mean([1] * 999 + [1001]))

# %% [markdown] tags=["demo"]
# Below, the spread.

# %% tags=["demo"]
print("spread", spread([2, 2]))
'''


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return build.notebooks(make_course(tmp_path_factory.mktemp("course"), SOURCE + MORE), "toy")


def run(notebook, folder, **environment):
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    return client.execute(env=build.os.environ | {"PYTHONPATH": str(lessons.COURSE)} | environment)


def printed(notebook):
    return "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ()))


# --- the marks ---

def test_a_room_sees_what_learners_are_not_given(toy):
    released, source, solved = (build.as_text(each) for each in (toy.released, toy.source, toy.solved))
    assert "Ask the room" in solved and "Ask the room" not in released and "Ask the room" not in source
    assert "Below, the spread" in solved and "Below, the spread" in released
    tags = [cell.metadata.tags for cell in toy.solved.cells if "demo" in cell.metadata.get("tags", ())]
    assert tags == [["demo"], ["demo", "instructor"], ["demo", "instructor"], ["demo"], ["demo"]]


@pytest.mark.parametrize("tags", ['["demo", "train"]', '["instructor", "setup"]', '["demo", "instructor", "train"]'])
def test_no_other_marks_go_together(tmp_path, tags):
    found = build.problems(make_course(tmp_path, SOURCE + f'\n# %% tags={tags}\nprint(1)\n'), ["toy"])
    assert any("several things at once" in line for line in found), found


def test_the_order_of_the_two_marks_is_free(tmp_path):
    course = make_course(tmp_path, SOURCE + MORE.replace('["demo", "instructor"]', '["instructor", "demo"]'))
    assert "Ask the room" not in build.as_text(build.notebooks(course, "toy").released)


# --- the page ---

def test_the_page_has_the_demo_and_hides_what_it_needs(toy):
    cells = demo.page(toy.solved).cells
    assert cells[0].source == "# Means and spreads"
    hidden = [cell.source for cell in cells if cell.source.startswith("%%capture\n")]
    assert [source.split()[1] for source in hidden] == ["import", "def", "def"]
    assert [cell.source for cell in cells[1:] if not cell.source.startswith("%%capture")] == [
        'print("drawing")', "> **Ask the room.** Who earns more than the mean?", demo.COVER,
        'print("mean of a thousand", mean([1] * 999 + [1001]))', "Below, the spread.", 'print("spread", spread([2, 2]))']


def test_of_what_follows_a_question_the_last_part_is_its_answer(tmp_path):
    more = MORE.replace('["demo"]\n# Below, the spread.', '["demo", "instructor"]\n# > **Ask the room.** And the spread?') + '\n# %% tags=["demo"]\nprint("and more")\n'
    cells = demo.page(build.notebooks(make_course(tmp_path, SOURCE + more), "toy").solved).cells
    covered = [after.source for cell, after in zip(cells, cells[1:]) if cell.source == demo.COVER]
    assert covered == ['print("mean of a thousand", mean([1] * 999 + [1001]))', 'print("and more")']


def test_where_nobody_is_asked_nothing_is_covered(toy):
    assert demo.COVER not in [cell.source for cell in demo.page(toy.released).cells]


def test_a_learners_page_runs_on_what_the_learner_wrote(toy, tmp_path):
    notebook = toy.released
    cells = {cell.id: cell for cell in notebook.cells}
    cells["solution-mean"].source = "def mean(values):\n    return 7"
    done = run(demo.page(notebook), tmp_path)
    assert "drawing" in printed(done) and "thousand" not in printed(done)
    *_, last = done.cells  # spread isn't written: this part says so, the page goes on
    assert [output.ename for output in last.outputs if output.output_type == "error"] == ["NotImplementedError"]


def test_the_page_shows_nothing_of_the_cells_it_hides(toy, tmp_path):
    done = run(demo.page(toy.solved), tmp_path)
    assert printed(done) == "drawing\nmean of a thousand 2.0\nspread 0.0\n"
    assert not any(cell.outputs for cell in done.cells if cell.source.startswith("%%capture"))


def test_a_notebook_without_a_demo_says_so(toy):
    bare = nbformat.from_dict(toy.released | {"cells": [cell for cell in toy.released.cells if "demo" not in cell.metadata.get("tags", ())]})
    with pytest.raises(lessons.LessonError, match="toy has no demo"):
        demo.page(bare)


# --- whose functions ---

def test_in_the_repository_a_demo_runs_on_the_solutions():
    options = cli._parser().parse_args(["demo", "gan_math"])
    assert "F.logsigmoid(real_logits).mean()" in build.as_text(options.notebook("gan_math"))


def test_where_the_staffs_package_is_not_a_demo_runs_on_the_learners_own(monkeypatch):
    monkeypatch.setattr(cli, "entry_points", lambda group: ())
    options = cli._parser().parse_args(["demo", "gan_math"])
    text = build.as_text(options.notebook("gan_math"))
    assert "F.logsigmoid(real_logits).mean()" not in text and "NotImplementedError" in text
    assert demo.page(options.notebook("gan_math")).cells
    with pytest.raises(SystemExit):
        cli._parser().parse_args(["present", "gan_math"])


@pytest.mark.parametrize("command", ["demo", "present"])
def test_an_unknown_lesson_is_named(command, capsys):
    assert cli.main([command, "gan_maths"]) == 2
    assert "'gan_maths'" in capsys.readouterr().err


# --- the lessons' demos ---

TAKE_STEPS = """
import gc
from course_lib.explore.live import LiveTraining
from course_lib.explore.sketchpad import SHAPES, Sketchpad
for pad in [each for each in gc.get_objects() if isinstance(each, Sketchpad)]:
    pad.strokes = SHAPES["smile"]
trainings = [each for each in gc.get_objects() if isinstance(each, LiveTraining)]
for training in trainings:
    before = training.picture.png, training.readout.value
    for _ in range(2):
        training._step()
    training.draw()
    assert (training.picture.png, training.readout.value) != before
    training.reset()
print(len(trainings), "trainings took steps")
"""


@pytest.mark.parametrize("lesson", build.Course().lessons())
def test_each_lessons_demo_runs_and_trains(lesson, tmp_path):
    page = demo.page(build.notebooks(build.Course(), lesson).solved)
    assert sum("**Ask" in cell.source for cell in page.cells if cell.cell_type == "markdown") >= 3
    page.cells.append(nbformat.v4.new_code_cell(TAKE_STEPS))
    done = run(page, tmp_path, COURSE_SCALE="smoke")
    assert not [output for cell in done.cells for output in cell.get("outputs", ()) if output.output_type == "error"]
    assert int(re.search(r"(\d+) trainings took steps", printed(done))[1]) >= 1


@pytest.mark.parametrize("lesson", build.Course().lessons())
def test_what_learners_share_of_a_demo_needs_nothing_that_they_lack(lesson):
    cells = [cell.source.removeprefix("%%capture\n") for cell in demo.page(build.notebooks(build.Course(), lesson).source).cells
             if cell.cell_type == "code"]
    tree = ast.parse("\n".join(cells))
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    made = {node.id for node in names if isinstance(node.ctx, ast.Store)} | set(dir(builtins))
    for node in ast.walk(tree):
        made |= {getattr(node, "name", None), getattr(node, "arg", None), getattr(node, "asname", None)}
        made |= {alias.asname or alias.name.split(".")[0] for alias in getattr(node, "names", ()) if isinstance(alias, ast.alias)}
    assert {node.id for node in names} <= made
