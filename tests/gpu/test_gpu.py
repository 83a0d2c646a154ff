"""Where there is a GPU, every part holds. Where there is none, what can be tried without: the parts on a CPU, and what runs them."""

import json
import os
import time

import pytest
import torch

from . import __main__ as command
from .parts import FAILED, OK, SKIPPED, Row, Skip, Where, held, parts
from .run import WHOLE, run


@pytest.mark.parametrize("name", parts())
def test_on_a_gpu(name):
    if not torch.cuda.is_available():
        pytest.skip(command.NO_GPU)
    part, seconds = parts()[name]
    rows = run(part, Where.on("cuda"), seconds)
    assert rows and not [command.line(name, row) for row in rows if row.state == FAILED]
    if all(row.state == SKIPPED for row in rows):
        pytest.skip(rows[0].reason)


@pytest.mark.parametrize("name", ["own DDP, gloo", "own DDP, nccl", "images per second", "judged in the notebook, sanet"])
def test_the_part_itself_runs_on_a_cpu(name):
    part, seconds = parts()[name]
    rows = run(part, Where.on("cpu"), seconds)
    wanted = SKIPPED if "nccl" in name and torch.cuda.device_count() < 2 else OK
    assert rows and {row.state for row in rows} == {wanted}, [command.line(name, row) for row in rows]


def right(where):
    yield held("one", 1.0, True, "itself")


def wrong(where):
    yield held("one", 1.0, True, "itself")
    yield held("two", 2.0, False, "one", reason="it is more")
    raise ValueError("on the way")


def without(where):
    raise Skip("it isn't there")
    yield


def dies(where):
    yield held("one", 1.0, True, "itself")
    os.system("echo last words; sleep 600 &")
    os.abort()


def hangs(where):
    time.sleep(600)
    yield


def test_a_part_that_fails_dies_or_hangs_keeps_what_it_gave_and_says_why():
    on = Where.on("cpu")
    first, *others = run(wrong, on, 60)
    assert first == Row("one", 1.0, "", "itself", OK)
    assert [(row.what, row.state) for row in others] == [("two", FAILED), (WHOLE, FAILED)]
    assert run(without, on, 60) == [Row(WHOLE, state=SKIPPED, reason="it isn't there")]
    one, ended = run(dies, on, 60)
    assert (one.state, ended.state) == (OK, FAILED) and "last words" in ended.reason
    *_, late = run(hangs, on, 15)
    assert late == Row(WHOLE, state=FAILED, reason="not done after 15 s")


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Runs the command on these parts, with its own options: (exit status, what it wrote)."""
    def call(*arguments):
        status = command.main([*arguments, "--json", str(tmp_path / "gpu.json")])
        return status, json.loads((tmp_path / "gpu.json").read_text())

    call.path = tmp_path / "gpu.json"
    monkeypatch.setattr(command, "parts", lambda: {"wrong": (wrong, 60), "right": (right, 60)})
    return call


def test_the_command_prints_a_table_and_writes_the_same(toy, capsys):
    status, written = toy("--device", "cpu")
    printed = capsys.readouterr().out
    assert status == 1 and [part["part"] for part in written["parts"]] == ["wrong", "right"]
    assert [row["state"] for part in written["parts"] for row in part["rows"]] == [OK, FAILED, FAILED, OK]
    assert all(row["what"] in printed and row["against"] in printed for part in written["parts"] for row in part["rows"])
    assert "it is more" in printed and "ValueError: on the way" in printed and "2 ok, 2 failed" in printed
    assert written["machine"]["torch"] == torch.__version__
    assert toy("--device", "cpu", "right")[0] == 0


def test_it_goes_on_with_what_has_not_been_all_right(toy, capsys):
    toy("--device", "cpu")
    capsys.readouterr()
    _, written = toy("--device", "cpu", "--go-on")
    assert [part["part"] for part in written["parts"]] == ["right", "wrong"] and "itself" in capsys.readouterr().out
    written["machine"]["python"] = "another"
    toy.path.write_text(json.dumps(written))
    assert [part["part"] for part in toy("--device", "cpu", "--go-on")[1]["parts"]] == ["wrong", "right"]


def test_without_time_or_without_a_gpu_parts_are_skipped_with_the_reason(toy, monkeypatch, capsys):
    status, written = toy("--device", "cpu", "--seconds", "1")
    assert status == 0 and {row["reason"] for part in written["parts"] for row in part["rows"]} == {"no time is left of 1 s"}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    status, written = toy()
    assert status == 0 and {row["reason"] for part in written["parts"] for row in part["rows"]} == {command.NO_GPU}
    assert capsys.readouterr().out.count(command.NO_GPU) == 2
