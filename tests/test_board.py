"""The board: what it plots and says, how little it costs, and what it leaves behind however the training ends."""

import base64
import io
import math
import time
from types import SimpleNamespace

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from nbclient import NotebookClient
from PIL import Image

from conftest import ROOT
from course_lib import board as board_module
from course_lib.board import Board


def size(png):
    return Image.open(io.BytesIO(png)).size


def train(after_step, steps, seconds=0.0):
    for step in range(steps):
        time.sleep(seconds)
        after_step(step, torch.tensor(1.5 + step), torch.tensor(0.5))


def test_it_is_the_callback_of_a_training_loop(capsys):
    with Board("Ring", 30) as board:
        train(board.after_step, 30)
    assert board.values["loss D"] == [(step, 1.5 + step) for step in range(30)]
    assert capsys.readouterr().out.startswith("Ring: 30 steps in 0:00. loss D 30.5, loss G 0.5")


def test_it_is_an_iterator(capsys):
    board, seen = Board("Ring", panels=0), []
    for step in board.steps(5):
        seen.append(step)
        board.log(step, loss_D=1.0, loss_G=2.0, modes=step)
    assert seen == [0, 1, 2, 3, 4] and board.extra == {"modes": 4.0}
    assert "modes 4" in capsys.readouterr().out


def test_an_interrupt_ends_the_block_and_nothing_else(capsys):
    with Board("Ring", 100) as board:
        train(board.after_step, 40)
        raise KeyboardInterrupt
    assert "stopped after 40 of 100 steps" in capsys.readouterr().out
    assert board.png().startswith(b"\x89PNG")


def test_a_mistake_is_not_swallowed(capsys):
    with pytest.raises(ZeroDivisionError):
        with Board("Ring", 100) as board:
            train(board.after_step, 3)
            1 / 0
    assert "stopped after 3 of 100 steps" in capsys.readouterr().out


def test_leaving_an_iteration_early_finishes_the_board(capsys):
    board = Board("Ring")
    for step in board.steps(10):
        board.log(step, loss_D=0.0)
        if step == 2:
            break
    assert "stopped after 3 of 10" in capsys.readouterr().out and board._view is None


@pytest.mark.parametrize("value", [torch.zeros(3), "high", None])
def test_what_is_no_number_is_refused_by_name(value):
    with pytest.raises(TypeError, match="'loss D'.*one number per step"):
        Board("Ring").log(0, loss_D=value)


def test_a_panel_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no panel 1"):
        Board("Ring").scatter(np.zeros((2, 2)), np.zeros((2, 2)), panel=1)


@pytest.mark.parametrize("fill", [
    lambda board: board.scatter(torch.randn(9, 2), torch.randn(9, 2, requires_grad=True)),
    lambda board: board.scatter(torch.full((9, 2), math.nan), torch.zeros(9, 2)),
    lambda board: board.images(torch.rand(10, 1, 28, 28) * 2 - 1),
    lambda board: board.images(torch.rand(3, 3, 32, 32)),
    lambda board: (board.images(torch.rand(3, 3, 32, 32)), board.scatter(torch.randn(9, 2), torch.randn(9, 2))),
])
def test_panels_change_the_picture_and_not_its_size(fill):
    board = Board("Ring", 10)
    board.log(0, loss_D=1.0, loss_G=math.nan)
    before = board.png()
    fill(board)
    assert board.png() != before and size(board.png()) == size(before)


def test_without_steps_known_the_axis_grows():
    board = Board("Ring", panels=0, levels={"log 4": math.log(4)})
    for step in (0, 1, 7, 8, 300):
        board.log(step, loss_D=step, loss_G=-step)
        board.png()
        assert board._axes["curves"].get_xlim()[1] >= step
    assert board.remaining() is None and "301 steps" in board.progress_text()


def test_a_long_run_is_thinned_to_means():
    points = [(step, float(step % 2)) for step in range(10_001)]
    thin = board_module._thinned(points)
    assert len(thin) <= board_module.POINTS
    assert all(abs(value - 0.5) < 0.02 for _, value in thin[:-1])
    assert [step for step, _ in thin] == sorted(step for step, _ in thin)
    assert board_module._thinned(points[:50]) == points[:50]


@given(st.lists(st.floats(-1e6, 1e6), min_size=0, max_size=5))
def test_limits_hold_the_values(values):
    low, high = board_module._rounded_limits(values)
    span = high - low
    assert high > low and all(low - 1e-9 * span <= value <= high + 1e-9 * span for value in values)


def test_the_remaining_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(board_module.time, "monotonic", lambda: now[0])
    board = Board("Ring", 100, panels=0)
    board._begin()
    for step in range(25):
        now[0] += 4
        board.log(step, loss_D=1.0)
    assert board.remaining() == pytest.approx(300) and board.progress_text() == "25 of 100 steps, 5:00 left"
    board.finish()


@pytest.mark.parametrize("seconds, text", [(0, "0:00"), (75, "1:15"), (3700, "1:01:40")])
def test_clock(seconds, text):
    assert board_module._clock(seconds) == text


class SlowView:
    """Stands where the notebook's view stands. Each of its drawings takes 60 ms on the test's clock."""

    draws = True

    def __init__(self, board):
        self.pictures = 0

    def progress(self):
        pass

    def picture(self):
        self.pictures += 1
        clock.now += 0.06

    def close(self, summary):
        pass


class clock:
    now = 0.0


def test_drawing_takes_less_than_a_tenth_of_the_time(monkeypatch):
    monkeypatch.setattr(board_module, "_Terminal", SlowView)
    monkeypatch.setattr(board_module, "time", SimpleNamespace(perf_counter=lambda: clock.now, monotonic=lambda: clock.now))
    board, due, began = Board("Ring", 20_000), [], clock.now
    for step in range(20_000):
        clock.now += 0.001
        board.after_step(step, 1.0, 1.0)
        if board.due():
            due.append(step)
    view = board._view
    assert due[0] == 0 and due[-1] == 19_999 and len(due) == view.pictures + 1  # the last one is drawn at the end
    assert 0.03 < view.pictures * 0.06 / (clock.now - began) < 0.1


NOTEBOOK = """
from course_lib.board import Board
import torch
board = Board("Ring", 50)
for step in board.steps(50):
    board.log(step, loss_D=1.0, loss_G=0.7)
    board.scatter(torch.zeros(5, 2), torch.ones(5, 2))
"""
BARE = """
board = Board("Bare", 50)
for step in range(20):
    board.after_step(step, 1.0, 0.7)
"""
FAILING = """
board = Board("Failing", 50)
for step in range(20):
    board.after_step(step, 1.0, 0.7)
    if step == 10:
        raise KeyboardInterrupt
"""


def test_an_executed_notebook_keeps_the_picture():
    """Also where nobody closes the board, and where the cell fails; and nothing on stderr, which counts as a failure in nbgrader."""
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (NOTEBOOK, BARE, FAILING)]
    cells[2].metadata.tags = ["raises-exception"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}}).execute()
    for cell, words in zip(notebook.cells, ("Ring: 50 steps", "Bare: stopped after 20 of 50", "Failing: stopped after 11 of 50")):
        shown = [output.data for output in cell.outputs if output.output_type == "display_data"]
        texts, pictures = zip(*[(data["text/plain"], data.get("image/png")) for data in shown])
        assert len(shown) == 2 and all(text.startswith(words) for text in texts), texts
        width, height = size(base64.b64decode(next(filter(None, pictures))))
        assert width > height > 300
        assert not any("application/vnd.jupyter.widget-view+json" in data for data in shown)
        assert not any(output.get("name") == "stderr" for output in cell.outputs)
    assert len(str(notebook.metadata.get("widgets", ""))) < 60_000  # no second copy of the pictures
