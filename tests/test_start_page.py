"""The start page: what it says of learner and machine, and that it stays out of everybody's way."""

import json
import re
import sys
from types import SimpleNamespace

import nbformat
import pytest
from conftest import ROOT
from toy_course import make_course

from autograder import build, release
from course_lib import lessons, pace, start_page
from course_lib.pace import Machine


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two lessons, `second` building on `first`, with one check and one question each."""
    def lesson(name, builds_on=(), minutes=60):
        graded = {"grade": True, "schema_version": 3, "locked": True, "task": False, "solution": False}
        cells = [nbformat.v4.new_code_cell("check('f')", metadata={"nbgrader": graded | {"grade_id": "check-f", "points": 3}}),
                 nbformat.v4.new_code_cell("check('g')", metadata={"nbgrader": graded | {"grade_id": "check-g", "points": 1}}),
                 nbformat.v4.new_markdown_cell("?", metadata={"nbgrader": graded | {"grade_id": "why", "points": 2}})]
        about = {"lesson": name, "title": f'The {name} "one"', "minutes": minutes, "builds_on": list(builds_on)}
        folder = tmp_path / "lessons" / name
        folder.mkdir(parents=True)
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"course": about}), folder / f"{name}.ipynb")
    lesson("a_second", ["first"], 30)
    lesson("first")
    monkeypatch.setattr(lessons, "COURSE", tmp_path)
    monkeypatch.setattr("course_lib.progress.__file__", str(tmp_path / "course_lib" / "progress.py"))
    monkeypatch.setattr(start_page, "PAGE", tmp_path / "lessons" / "start.ipynb")
    monkeypatch.setattr(pace, "this_machine", lambda again=False, say=print: Machine(2.0, False, ""))
    monkeypatch.setattr(pace, "record", lambda: {"machine": "another", "seconds": 1.0, "lessons": {"first": {"cpu": 120}}})
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_lessons_come_by_their_place_and_after_what_they_build_on():
    waiting = [SimpleNamespace(name=name, place=place, builds_on=builds_on) for name, place, builds_on in (
        ("z", 1, ()), ("sequel", 0, ("z",)), ("b", float("inf"), ()), ("a", float("inf"), ()), ("y", 2, ()), ("lost", 3, ("nowhere",)))]
    assert [each.name for each in lessons.in_order(waiting)] == ["z", "sequel", "y", "lost", "a", "b"]


def passed(course, lesson, *checks):
    text = json.dumps({"lesson": lesson, "verdicts": {check: "passed" for check in checks}})
    (course / "lessons" / lesson / ".progress.json").write_text(text)


def test_where_the_learner_stands_and_what_comes_next(course):
    text = start_page.markdown()
    assert "**0 of 8 points from checks.** Begin with [The first" in text  # not with a_second, though that is shorter
    passed(course, "first", "f")
    text = start_page.markdown()
    assert '**3 of 8 points from checks.** Go on with [The first "one"](first/first.ipynb): next is `g`.' in text
    assert "| ●○ 1 of 2 | 3 of 4 + 2 |" in text
    passed(course, "first", "f", "g")
    assert "**4 of 8 points from checks.** Next is [The a_second" in start_page.markdown()
    passed(course, "a_second", "f", "g")
    assert "**8 of 8 points from checks. All checks pass.**" in start_page.markdown()


def test_what_builds_on_what_in_words_and_as_a_picture(course):
    text = start_page.markdown()
    assert "What builds on what: a_second builds on first." in text and "accDescr: a_second builds on first" in text
    assert "    first --> a_second\n" in text and '    first["The first #quot;one#quot;"]\n' in text


def test_a_lesson_that_nothing_is_tied_to_is_not_in_the_picture(course):
    alone = SimpleNamespace(name="alone", title="Alone", builds_on=("nowhere",))
    assert "The others" not in start_page._map(lessons.lessons())
    text = start_page._map([*lessons.lessons(), alone])
    assert "a_second builds on first. The others can be taken in any order." in text and "Alone" not in text


def test_computing_here_is_scaled_by_the_machines_pace(course, monkeypatch):
    text = start_page.markdown()
    assert "| 1 h | 4 min |" in text and "| 30 min | not timed yet |" in text and "takes 2.0 times as long as the one" in text
    monkeypatch.setattr(pace, "this_machine", lambda *_: Machine(0.25, False, ""))
    assert "| 1 h | 30 s |" in start_page.markdown() and "takes 0.2 times as long" in start_page.markdown()
    monkeypatch.setattr(pace, "this_machine", lambda *_: Machine(1.0, True, ""))
    assert "on the GPU" in start_page.markdown() and "4 min" not in start_page.markdown()
    monkeypatch.setattr(pace, "this_machine", lambda *_: None)
    assert "PyTorch doesn't run here" in start_page.markdown()


@pytest.mark.parametrize("seconds, words", [(4, "10 s"), (44, "40 s"), (89, "90 s"), (90, "2 min"), (3540, "59 min"), (3600, "1 h"),
                                            (6600, "1 h 50 min"), (10_170, "2 h 50 min"), (7190, "2 h")])
def test_durations(seconds, words):
    assert start_page.duration(seconds) == words


def test_a_broken_lesson_is_named_and_the_others_stand(course):
    (course / "lessons" / "a_second" / "a_second.ipynb").write_text("{")
    text = start_page.markdown()
    assert "a_second.ipynb can't be read as a notebook" in text and "[The first" in text


def test_the_page_is_a_valid_notebook_whose_cells_run(course):
    assert start_page.write()
    page = nbformat.read(start_page.PAGE, 4)
    nbformat.validate(page)
    assert [cell.cell_type for cell in page.cells].count("code") == 2
    for cell in page.cells:
        if cell.cell_type == "code":
            compile(cell.source, cell.id, "exec")
    assert page.cells[2].outputs[0].data["text/markdown"] == start_page.markdown()
    assert "up to date" in page.cells[1].source  # before what it is about, which is longer than a screen
    assert f"`{sys.prefix}/bin/course submit LESSON`" in page.cells[-1].source
    assert start_page.write() and not [path for path in (course / "lessons").iterdir() if path.name.startswith(".")]


def test_notes_that_a_learner_has_added_are_kept(course):
    start_page.write()
    page = nbformat.read(start_page.PAGE, 4)
    page.cells.insert(1, nbformat.v4.new_markdown_cell("Ask about the Jacobian."))
    nbformat.write(page, start_page.PAGE)
    passed(course, "first", "f")
    start_page.write()
    start_page.write()
    page = nbformat.read(start_page.PAGE, 4)
    nbformat.validate(page)
    assert [cell.source for cell in page.cells].count("Ask about the Jacobian.") == 1 and len(page.cells) == 7
    assert "**3 of 8 points" in page.cells[2].outputs[0].data["text/markdown"]
    start_page.PAGE.write_text("{")
    start_page.write()
    assert len(nbformat.read(start_page.PAGE, 4).cells) == 6


def test_a_folder_that_cant_be_written_to_has_no_page(course):
    (course / "nowhere").write_text("a file")
    assert start_page.write(course / "nowhere" / "start.ipynb") is False


def test_it_is_no_lesson_no_orphan_and_not_released(tmp_path):
    course = make_course(tmp_path / "checkout")
    build.build(course, "toy")
    (course.root / "lessons" / "start.ipynb").write_text(json.dumps({"nbformat": 4, "cells": []}))
    assert build.orphans(course) == []
    assert not any("start.ipynb" in name for name in release.contents(course))
    (course.root / "lessons" / "other.ipynb").write_text("{}")
    assert len(build.orphans(course)) == 1


def test_git_ignores_what_learners_make():
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/lessons/start.ipynb" in ignored and "/handed_in/" in ignored


# --- How fast the machine is ---

def test_the_machine_is_measured_once(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    asked = []

    def run(command, **_):
        asked.append(command)
        return type("Done", (), {"stdout": '{"seconds": 0.5, "cuda": false}'})
    monkeypatch.setattr(pace.subprocess, "run", run)
    said = []
    first = pace.this_machine(say=said.append)
    assert first == pace.this_machine(say=said.append) and first.seconds == 0.5 and len(asked) == len(said) == 1
    assert pace.this_machine(again=True, say=said.append) == first and len(asked) == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")  # another GPU, or none: measured anew
    pace.this_machine(say=said.append)
    assert len(asked) == 3
    for broken in ("", "{", "[]", '{"seconds": 1}'):
        (tmp_path / "pace.json").write_text(broken)
        assert pace.this_machine(say=said.append).seconds == 0.5


def test_where_torch_doesnt_run_there_is_no_pace(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    monkeypatch.setattr(pace.subprocess, "run", lambda *_, **__: type("Done", (), {"stdout": ""}))
    assert pace.this_machine(say=lambda _: None) is None and not list(tmp_path.iterdir())


def test_the_scale_is_the_one_that_lessons_take(monkeypatch):
    from course_lib.scale import current_scale
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    assert Machine(1, False, "").scale == current_scale().value  # on a machine without a GPU, as tests run on
    assert Machine(1, True, "").scale == "gpu"
    monkeypatch.setenv("COURSE_SCALE", "SMOKE")
    assert Machine(1, True, "").scale == current_scale().value == "smoke"


def test_measuring_leaves_torch_as_it_was(monkeypatch):
    import torch
    monkeypatch.setattr(pace, "REPEATS", 1)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    assert 0 < pace.measure() < 60
    assert torch.equal(torch.random.get_rng_state(), before) and torch.get_num_threads() == threads


def test_every_lesson_that_was_timed_is_there():
    known = pace.record()
    assert known["seconds"] > 0 and known["machine"]
    assert set(known["lessons"]) <= set(lessons.names())
    assert all(re.fullmatch("smoke|cpu|gpu", scale) and seconds > 0
               for scales in known["lessons"].values() for scale, seconds in scales.items())
