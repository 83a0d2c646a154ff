"""The bounds of training checks rest on runs that were really made, with the code as it is now."""

import pytest

from autograder import calibrate, gate
from autograder.build import ROOT, Course
from course_lib.check import checks_of
from course_lib.scale import Scale

COURSE = Course()
TRAINING = [check for lesson in COURSE.lessons() for check in checks_of(lesson).values() if check.trains]
SCALES = [Scale.SMOKE, Scale.CPU]
each = pytest.mark.parametrize("check, scale", [(check, scale) for check in TRAINING for scale in SCALES],
                               ids=lambda value: getattr(value, "name", value))


@each
def test_the_record_is_of_the_code_as_it_is(check, scale):
    runs = calibrate.Runs(check, scale)
    assert runs.stale == [], f"{runs.path.name} is of other code: run `autograder calibrate {check.lesson} {check.name} --scale {scale.value}`"
    assert runs.missing(50, 20) == []


@each
def test_no_right_answer_fails_and_the_bounds_tell_something(check, scale):
    summary = calibrate.Runs(check, scale).summary()
    for label in calibrate.right_labels(check):
        count, passing, *_ = summary.pop(label)
        assert count >= (50 if label == calibrate.REFERENCE else 20) and passing == count, label
    assert any(passing == 0 for _, passing, *_ in summary.values())


def outside(check, figures):
    """Those of the figures that aren't among the recorded ones of the reference, or half of their range beyond."""
    least_to_greatest = calibrate.Runs(check, Scale.SMOKE).summary()[calibrate.REFERENCE][2]
    margin = {name: 0.5 * (greatest - least) + 1e-9 for name, (least, _, greatest) in least_to_greatest.items()}
    return {name: (figures.get(name), least, greatest) for name, (least, _, greatest) in least_to_greatest.items()
            if not least - margin[name] <= figures.get(name, float("nan")) <= greatest + margin[name]}


@pytest.mark.parametrize("check", TRAINING, ids=lambda check: f"{check.lesson} {check.name}")
def test_the_reference_passes_in_the_notebook_now_with_figures_among_the_recorded(check):
    """The training that tests/test_gate.py leaves out there."""
    trial, = (trial for trial in gate.trials(check.lesson) if (trial.check, trial.label) == (check.name, gate.REFERENCE))
    verdict = gate.judge_in_notebook(check.lesson, trial, Scale.SMOKE)
    assert trial.problem(verdict) is None and outside(check, verdict.figures) == {}


def test_a_run_made_now_falls_among_the_recorded():
    quickest = checks_of("data_parallel")["training"]
    assert outside(quickest, calibrate.run_one(quickest, calibrate.REFERENCE, 1000, Scale.SMOKE)["figures"]) == {}


def test_the_page_is_made_from_the_records():
    page = calibrate.page({lesson: checks_of(lesson).values() for lesson in COURSE.lessons()}, SCALES)
    assert (ROOT / "docs" / "calibration.md").read_text(encoding="utf-8") == page


def test_a_key_changes_with_the_code_and_not_with_words_or_bounds():
    bare = calibrate._bare
    assert bare("def f(x):\n    '''Old words.'''\n    return x  # why") == bare("@d\ndef f(x):\n    '''New.'''\n    return x")
    assert bare("def f(x):\n    return x") != bare("def f(x):\n    return -x")
    ring = TRAINING[0]
    keys = {calibrate.key(ring, scale, answer) for scale in SCALES for answer in calibrate.candidates(ring).values()}
    assert len(keys) == len(SCALES) * len(calibrate.candidates(ring))


def test_an_interrupted_calibration_goes_on_and_stale_runs_are_made_again(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate.answers, "SOLUTIONS", tmp_path)
    (tmp_path / TRAINING[0].lesson).mkdir()
    monkeypatch.setattr(calibrate, "candidates", lambda check: {calibrate.REFERENCE: None})
    monkeypatch.setattr(calibrate, "key", lambda check, scale, answer=None: state["key"])
    made = []

    def run_one(check, label, seed, scale):
        if len(made) == state["stop_after"]:
            raise KeyboardInterrupt
        made.append(seed)
        return {"key": state["key"], "answer": label, "seed": seed, "figures": {"modes": 8, "quality": 0.9}, "seconds": 1}

    monkeypatch.setattr(calibrate, "run_one", run_one)
    state = {"key": "a", "stop_after": 2}
    with pytest.raises(KeyboardInterrupt):
        calibrate.calibrate(TRAINING[0], Scale.SMOKE, seeds=4)
    state["stop_after"] = None
    calibrate.calibrate(TRAINING[0], Scale.SMOKE, seeds=4)
    assert made == [0, 1, 2, 3]
    state["key"] = "b"
    assert len(calibrate.Runs(TRAINING[0], Scale.SMOKE).stale) == 4
    assert len(calibrate.calibrate(TRAINING[0], Scale.SMOKE, seeds=4).runs) == 4 and made[4:] == [0, 1, 2, 3]


@pytest.mark.parametrize("moved", [False, True])
def test_runs_of_other_code_are_kept_only_if_made_again_they_are_equal(moved, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate.answers, "SOLUTIONS", tmp_path)
    (tmp_path / TRAINING[0].lesson).mkdir()
    monkeypatch.setattr(calibrate, "candidates", lambda check: {"reference": None, "another": "an answer"})
    monkeypatch.setattr(calibrate, "key", lambda check, scale, answer=None: state["key"])
    state = {"key": "old", "quality": {"reference": 0.9, "another": 0.8}}
    monkeypatch.setattr(calibrate, "run_one", lambda check, label, seed, scale: {
        "key": state["key"], "answer": label, "seed": seed, "figures": {"quality": state["quality"][label] + seed / 7}, "seconds": 1})
    before = calibrate.calibrate(TRAINING[0], Scale.SMOKE, seeds=5, wrong_seeds=3).runs
    state["key"] = "new"
    if moved:
        state["quality"]["another"] += 1e-15
    assert calibrate.keep_unchanged(TRAINING[0], Scale.SMOKE) == ["another"] * moved
    kept, expected = calibrate.Runs(TRAINING[0], Scale.SMOKE), [run | {"key": "new"} for run in before]
    assert kept.runs == [run for run in expected if run["answer"] == "reference" or not moved]
    assert len(kept.stale) == 3 * moved and {run["key"] for run in kept.stale} <= {"old"}
