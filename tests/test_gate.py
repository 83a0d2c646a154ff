"""Every check of every lesson passes the gate, at the smoke scale: see `autograder.gate`."""

import os

import pytest
from test_calibration import outside

from autograder import answers, gate
from autograder.build import Course
from course_lib.check import checks_of
from course_lib.scale import Scale
from course_lib.student import Student
from course_lib.verdict import NotGraded, Verdict

LESSONS = Course().lessons()
TRIALS = [(lesson, trial) for lesson in LESSONS for trial in gate.trials(lesson)]


def test_there_are_lessons():
    assert "gan_math" in LESSONS


@pytest.fixture(scope="module")
def boxes():
    """Boxes of the sandbox; grading is tried in them, or without where this machine has none to give."""
    with gate.any_boxes(Scale.SMOKE) as made:
        assert made or not os.environ.get("CI"), "CI must try the answers in the sandbox"
        yield made


# conftest has one worker try all answers to a check, what is before the colon: what its reference and its known mistakes give is found once.
# Those to a check that trains have nothing in common and take long: each is a group.
each = pytest.mark.parametrize("lesson, trial", TRIALS, ids=[
    f"{lesson}, {trial.check}{', ' if checks_of(lesson)[trial.check].trains else ': '}{trial.label.replace(':', ' ')}" for lesson, trial in TRIALS])
TRAINS = "It has got as far as its training."


@each
def test_each_answer_meets_the_right_verdict_in_the_notebook(lesson, trial, monkeypatch):
    """Up to its training, which takes seconds and which the same lines judge in grading, below. In a notebook the solutions train in
    tests/test_stock_nbgrader.py, and all right answers have at the cpu scale: the test of the record is below."""
    def train(self, probe, *args, using=()):
        raise NotGraded(TRAINS)

    monkeypatch.setattr(Student, "train", train)
    verdict = gate.judge_in_notebook(lesson, trial, Scale.SMOKE)
    assert verdict.hint == TRAINS or trial.problem(verdict) is None


@each
def test_each_answer_meets_the_right_verdict_in_grading(lesson, trial, boxes):
    verdict, check = gate.judge_in_grading(lesson, trial, Scale.SMOKE, boxes), checks_of(lesson)[trial.check]
    assert trial.problem(verdict) is None
    if check.trains and trial.label == gate.REFERENCE and outside(check, verdict.figures):
        # Of right trainings, one in some hundreds lies that far out, on a draw that nobody chose: only a second one beside it is no chance.
        assert outside(check, gate._judge_once(gate._Drawn(check, Scale.SMOKE), trial, boxes).figures) == {}


@pytest.mark.parametrize("lesson", LESSONS)
def test_all_right_answers_that_train_have_passed_at_the_cpu_scale(lesson):
    assert gate.missing(lesson, Scale.CPU) == [], f"run `autograder gate {lesson} --scale cpu`"


def test_the_command_tries_the_stub_too(monkeypatch):
    tried = []
    for judged in (gate.judge_in_notebook, gate.judge_in_grading):
        def spy(lesson, trial, scale, *boxes):
            tried.append(trial.label)
            return Verdict(trial.check, "passed", 0, 0)
        monkeypatch.setattr(gate, judged.__name__, spy)
    _, problems = gate.run("sanet", Scale.SMOKE, ["training"], draws=3)  # which trains, and is tried on one all the same
    assert tried.count(gate.STUB) == tried.count(gate.REFERENCE) == 2
    assert sum("the stub should have failed" in problem for problem in problems) == 2
    tried.clear()
    gate.run("sanet", Scale.SMOKE, ["scores"], draws=3)
    assert tried.count(gate.STUB) == 1 + 3  # in the notebook once


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_check_has_three_wrong_answers_with_their_own_hints_and_an_alternative(lesson):
    wrong, right = answers.wrong_answers(lesson), answers.alternative_answers(lesson)
    assert {answer.check for answer in (*wrong, *right)} <= set(checks_of(lesson))
    for name in checks_of(lesson):
        hints = [answer.hint for answer in wrong if answer.check == name]
        assert len(hints) >= 3 and all(hints) and len(set(hints)) == len(hints), name
        assert [answer for answer in right if answer.check == name], name
