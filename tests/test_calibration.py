"""The bounds of training checks rest on runs that were really made, with the code as it is now."""

import dataclasses
import importlib.util
import subprocess
from types import SimpleNamespace

import pytest

from autograder import calibrate
from autograder.build import ROOT, Course
from autograder.judge import TRAININGS
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
    """Not one of the runs at the scale that learners train at. At the smoke scale, where a net may not get going in its few steps, not both of
    the runs that grading makes, but once in ten thousand, which takes
    more seeds than 50 to tell."""
    summary = calibrate.Runs(check, scale).summary()
    for label in calibrate.right_labels(check):
        count, passing, *_ = summary.pop(label)
        assert count >= (50 if label == calibrate.REFERENCE else 20)
        assert (1 - passing / count) ** TRAININGS <= (1e-4 if scale is Scale.SMOKE else 0), label
    assert any(passing == 0 for _, passing, *_ in summary.values())


def outside(check, figures):
    """Those of the figures that aren't among the recorded ones of the reference, or half of their range beyond."""
    least_to_greatest = calibrate.Runs(check, Scale.SMOKE).summary()[calibrate.REFERENCE][2]
    margin = {name: 0.5 * (greatest - least) + 1e-9 for name, (least, _, greatest) in least_to_greatest.items()}
    return {name: (figures.get(name), least, greatest) for name, (least, _, greatest) in least_to_greatest.items()
            if not least - margin[name] <= figures.get(name, float("nan")) <= greatest + margin[name]}


def test_a_run_made_now_falls_among_the_recorded():
    quickest = checks_of("data_parallel")["training"]
    assert outside(quickest, calibrate.run_one(quickest, calibrate.REFERENCE, 1000, Scale.SMOKE)["figures"]) == {}


@pytest.mark.parametrize("lesson, name, answer, figure, words", [
    ("gan_math", "ring", "reference", "quality", "{0:.3f} to {2:.3f} |"), ("gan_math", "digits", "reference", "distance", "{0:.1f}, {1:.1f}, {2:.1f};"),
    ("gan_math", "digits", "reference", "accuracy", "{0:.0%} to {2:.0%}"), ("gan_training", "training", "reference", "distance", "lay between {0:.0f} and {2:.0f}."),
    ("gan_training", "training", "reference", "distance", "({0:.0f} to {2:.0f})"),
    ("cnn_families", "training", "reference", "accuracy", "{0:.3f}, {1:.3f}, {2:.3f} |"), ("fine_tuning", "training", "reference", "accuracy", "{0:.3f}, {1:.3f}, {2:.3f} |"),
    ("fine_tuning", "training", "from scratch", "accuracy", "{0:.3f}, {1:.3f}, {2:.3f} |"),
    ("fine_tuning", "training", "the probe alone", "accuracy", "{0:.3f}, {1:.3f}, {2:.3f} |"),
    ("fine_tuning", "training", "rates by depth", "accuracy", "{0:.3f}, {1:.3f}, {2:.3f} |"),
    ("fine_tuning", "training", "the upper half, norms frozen", "accuracy", "{0:.3f}, {1:.3f}, {2:.3f} |")])
def test_what_a_lesson_says_of_its_records_is_so(lesson, name, answer, figure, words):
    measured = calibrate.Runs(checks_of(lesson)[name], Scale.CPU).summary()[answer][2][figure]
    said = words.format(*measured).replace("% to", " to").replace("%", " %")
    assert said in COURSE.source(lesson).read_text(encoding="utf-8")


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
    assert any("def with_new_head(" in each for each in calibrate._used_by_reference("fine_tuning"))  # of a module that the solution uses


@pytest.mark.parametrize("lesson", COURSE.lessons())
def test_every_checks_key_is_of_the_check_itself(lesson):
    checks = list(checks_of(lesson).values())
    for check, other in zip(checks, checks[1:] + checks[:1]):
        assert calibrate.key(check, Scale.SMOKE) != calibrate.key(dataclasses.replace(check, body=other.body), Scale.SMOKE), check.name


CHECKS = """
from course_lib import counting
from course_lib.crowd import crowd_scenes
TRAINING = {"count": expect.at_most(smoke=1.0)}
FADED = "Your maps have faded."
LEEWAY, BATCH = 1.5, 8
OTHERS = [n for n in (1, 2)]
class Net:
    depth = 3
def scenes(n):
    return crowd_scenes((1,), n)
def training(student, reference, draw):
    Net(), scenes(BATCH), counting, FADED, TRAINING
def another(student, reference, draw):
    counting
"""


@pytest.mark.parametrize("before, after, changes", [
    ("another(", "anyother(", False), ("have faded", "have gone", False), ("smoke=1.0", "smoke=2.0", False),
    ("depth = 3", "depth = 4", True), ("1.5, 8", "1.5, 9", True), ("(1,), n", "(2,), n", True), ("Net(), ", "", True),
    ("in (1, 2)", "in (1, 3)", False)])
def test_the_code_of_a_check_is_all_that_it_uses(before, after, changes, tmp_path):
    assert before in CHECKS
    codes = []
    for number, source in enumerate([CHECKS, CHECKS.replace(before, after)]):
        path = tmp_path / f"checks_{number}.py"
        path.write_text("from course_lib import expect" + source)
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        codes.append(calibrate._code_of(module, "training"))
    assert (codes[0] != codes[1]) == changes
    assert any("def crowd_scenes" in each for each in codes[0]) and any("SCALE = " in each for each in codes[0])


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


@pytest.mark.parametrize("on_record, before, now, key_before, moved", [
    (0.8, None, 0.8, "", False), (0.8, 0.8 + 1e-15, 0.8 + 1e-15, "old", False),  # made by another processor
    (0.8, 0.8, 0.8 + 1e-15, "old", True), (0.8, 0.9, 0.9, "older", True)])  # the record isn't that commit's
def test_runs_of_other_code_are_kept_only_if_made_again_they_are_equal(on_record, before, now, key_before, moved, tmp_path, monkeypatch):
    monkeypatch.setattr(calibrate.answers, "SOLUTIONS", tmp_path)
    (tmp_path / TRAINING[0].lesson).mkdir()
    monkeypatch.setattr(calibrate, "candidates", lambda check: {"reference": None, "another": "an answer"})
    monkeypatch.setattr(calibrate, "key", lambda check, scale, answer=None: state["key"])
    run = lambda key, label, seed, quality: {
        "key": key, "answer": label, "seed": seed, "figures": {"quality": quality + seed / 7}, "seconds": 1}
    state = {"key": "old", "quality": {"reference": 0.9, "another": on_record}}
    monkeypatch.setattr(calibrate, "run_one", lambda check, label, seed, scale: run(state["key"], label, seed, state["quality"][label]))
    monkeypatch.setattr(calibrate, "runs_of", lambda commit, check, label, seeds, scale: [run(key_before, label, seed, before) for seed in seeds])
    kept_before = calibrate.calibrate(TRAINING[0], Scale.SMOKE, seeds=5, wrong_seeds=3).runs
    state |= {"key": "new", "quality": {"reference": 0.9, "another": now}}
    assert calibrate.keep_unchanged(TRAINING[0], Scale.SMOKE) == ["another"] * moved
    kept, expected = calibrate.Runs(TRAINING[0], Scale.SMOKE), [run | {"key": "new"} for run in kept_before]
    assert kept.runs == [run for run in expected if run["answer"] == "reference" or not moved]
    assert len(kept.stale) == 3 * moved and {run["key"] for run in kept.stale} <= {"old"}


def test_the_code_of_a_commit_runs_from_a_worktree_of_its_own(tmp_path, monkeypatch):
    """Not this repository's: a commit with a stand-in for `autograder`."""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    (tmp_path / "autograder").mkdir()
    (tmp_path / "autograder" / "__init__.py").touch()
    (tmp_path / "autograder" / "build.py").write_text(
        "class Course:\n    def checks_of(self, lesson):\n        return {'ring': lesson}\n")
    (tmp_path / "autograder" / "calibrate.py").write_text(
        "def run_one(check, label, seed, scale):\n    return {'key': 'then', 'figures': [check, label, seed, scale.value]}\n")
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "then"], check=True)
    (tmp_path / "autograder" / "calibrate.py").write_text("raise SystemExit('the code as it is now')\n")
    monkeypatch.setattr(calibrate.answers, "SOLUTIONS", tmp_path)
    check = SimpleNamespace(lesson="gan_math", name="ring")
    assert calibrate.runs_of("HEAD", check, "another", [3, 5], Scale.CPU) == [
        {"key": "then", "figures": ["gan_math", "another", seed, "cpu"]} for seed in (3, 5)]
    worktrees = subprocess.run([*git, "worktree", "list"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert len(worktrees.splitlines()) == 1
