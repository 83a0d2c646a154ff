"""What the checks of the notebook compare with is recorded of the code as it is, and only what has changed is recorded again.
That it is what the code gives is tried by tests/test_gate.py, answer by answer."""

import pytest
import torch

from autograder import record
from autograder.build import Course
from course_lib.check import checks_of

LESSON = "gan_math"
FIRST, SECOND, *_ = checks_of(LESSON)


@pytest.mark.parametrize("lesson", Course().lessons())
def test_the_snapshot_is_of_the_code_as_it_is(lesson):
    assert record.is_current(lesson), f"run `autograder build {lesson}`"


@pytest.fixture
def recording(tmp_path, monkeypatch):
    """A folder of its own for the snapshot of LESSON; what was recorded; keys and parts that a test may change."""
    class Recording:
        made, keys, parts = [], {}, {}

        def again(self):
            """Write; returns what was recorded for it, and whether the snapshot has changed."""
            self.made.clear()
            changed = record.write(LESSON)
            assert record.is_current(LESSON)
            return self.made[:], changed

    def made(check):
        state.made.append(check.name)
        return state.parts.get(check.name) or {"reference": [torch.ones(2)], "mistakes": []}

    state = Recording()
    monkeypatch.setattr(record, "_path", lambda lesson: tmp_path / f"{lesson}.snapshot")
    monkeypatch.setattr(record, "_note", lambda lesson: tmp_path / "recorded.json")
    monkeypatch.setattr(record, "record", made)
    monkeypatch.setattr(record, "key", lambda check: state.keys.get(check.name, "as it was"))
    return state


def test_only_what_has_changed_is_recorded_again(recording):
    assert recording.again() == (list(checks_of(LESSON)), True)
    assert recording.again() == ([], False)
    recording.keys[SECOND] = "changed"
    assert not record.is_current(LESSON)
    recording.parts[SECOND] = {"reference": [torch.zeros(2)], "mistakes": []}
    assert recording.again() == ([SECOND], True)
    assert record._old(LESSON)[SECOND]["reference"][0].tolist() == [0, 0] and record._old(LESSON)[FIRST]["reference"][0].tolist() == [1, 1]


def test_what_comes_out_the_same_up_to_rounding_stays_as_it_was(recording):
    recording.again()
    before = record._path(LESSON).read_bytes()
    recording.keys[FIRST], recording.parts[FIRST] = "changed", {"reference": [torch.ones(2) + 1e-6], "mistakes": []}
    assert recording.again() == ([FIRST], False)
    assert record._path(LESSON).read_bytes() == before


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"half"), lambda path: path.write_bytes(path.read_bytes() + b" ")])
def test_a_snapshot_that_was_spoilt_is_made_anew(recording, spoil):
    recording.again()
    whole = record._path(LESSON).read_bytes()
    spoil(record._path(LESSON))
    assert not record.is_current(LESSON)
    recording.again()
    assert record._path(LESSON).read_bytes() == whole


def test_a_key_changes_with_what_the_part_depends_on_and_not_with_comments(monkeypatch):
    bare = lambda source: record._piece(source)[0]
    assert bare("x = 1  # one") == bare("x = 1") != bare("x = 2")
    files = {file.name for file in record._piece("from course_lib import draw, expect\nimport course_lib.wire\nimport torch\nfrom math import pi")[1]}
    assert files == {"draw.py", "expect.py", "wire.py"}
    keys = lambda: {name: record.key(check) for name, check in checks_of(LESSON).items()}
    before = keys()
    assert len(set(before.values())) == len(before)
    kept = [answer for answer in record.wrong_answers(LESSON) if answer.check != FIRST]
    monkeypatch.setattr(record, "wrong_answers", lambda lesson: kept)
    after = keys()
    assert [name for name in before if before[name] != after[name]] == [FIRST]
