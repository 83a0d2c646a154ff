"""What a submission gets from the judge, through a real sandbox; attacks stand in tests/attacks/, all known answers in the gate."""

import dataclasses

import nbformat
import pytest
from conftest import ROOT, need

from autograder import answers, walls
from autograder.judge import Judge
from autograder.results import Result
from autograder.sandbox import Limits, Sandbox
from autograder.splice import Spliced
from course_lib.check import checks_of
from course_lib.scale import Scale
from course_lib.verdict import FAILED, NOT_GRADED, PASSED, Verdict

LESSON = "gan_math"
RELEASED = nbformat.read(ROOT / "lessons" / LESSON / f"{LESSON}.ipynb", as_version=4)
SOLVED = {f"solution-{name}": source for name, source in answers.reference_cells(LESSON, setup=False)}
KEYS = {name: f"key of {name}" for name in checks_of(LESSON)}
# Without its steps a submission has no training done, so that each test takes a fraction of a second.
QUICK = SOLVED | {"solution-discriminator_step": "", "solution-generator_step": ""}


@pytest.fixture(scope="module")
def judge():
    sights = walls.Sights(ROOT / "course_lib", ROOT / "lessons" / LESSON)
    try:
        walls.probe(sights)
    except walls.NoIsolation as reason:
        need(False, str(reason))
    with Sandbox(sights, Scale.SMOKE, Limits(cell_s=3, check_s=3)) as sandbox:
        yield Judge(LESSON, RELEASED, sandbox, Scale.SMOKE, b"secret" * 6, KEYS)


def graded(judge, cells=(), student="ada", known=None, **about):
    return judge.grade(student, Spliced(QUICK | dict(cells), **about), known)


def verdicts(result):
    return {each.check: each.verdict for each in result.verdicts}


def hint(result, check):
    return next(each.hint for each in result.verdicts if each.check == check)


def test_right_cells_earn_their_points_and_missing_ones_a_sentence(judge):
    result = graded(judge)
    assert {check for check, verdict in verdicts(result).items() if verdict == "passed"} == {
        "gan_value", "optimal_discriminator", "jensen_shannon", "generator_losses", "dirac_gan"}
    assert result.points == 9 and result.max_points == 18 and result.status == "graded"
    assert "`discriminator_step` isn't defined" in hint(result, "discriminator_step")
    assert hint(result, "ring").startswith("This builds on `discriminator_step`")
    assert Result.from_json(result.as_json()) == result


def test_a_known_mistake_gets_its_own_hint_on_secret_inputs(judge):
    doubled = "import torch.nn.functional as F\ndef gan_value(r, f):\n    return F.logsigmoid(r).mean() + F.logsigmoid(f).mean()"
    known = {answer.hint for answer in answers.wrong_answers(LESSON) if answer.check == "gan_value"}
    assert hint(graded(judge, {"solution-gan_value": doubled}), "gan_value") in known


@pytest.mark.parametrize("cell, reason", [
    ("import os; os._exit(0)", "ended its own process"),
    ("while True: pass", "ran out of its time"),
    ("def gan_value(*args):\n    while True: pass", "ran out of its time"),
    ("def gan_value(*args):\n    import os; os._exit(1)", "ended its own process"),
    ("def gan_value(*args):\n    import ctypes; ctypes.string_at(0)", "by signal 11"),
])
def test_what_ends_its_process_is_not_graded_and_costs_no_other_check(judge, cell, reason):
    result = graded(judge, {"solution-gan_value": cell})
    assert result.status == "not graded" and verdicts(result)["gan_value"] == "not graded"
    assert reason in hint(result, "gan_value")
    assert result.points == 8


def test_an_error_that_only_speaks_of_a_stopped_cells_name_is_the_learners(judge):
    sly = "def jensen_shannon(*args):\n    raise RuntimeError('`gan_value` isn\\'t defined')"
    result = graded(judge, {"solution-gan_value": "import os; os._exit(0)", "solution-jensen_shannon": sly})
    assert verdicts(result)["gan_value"] == "not graded" and verdicts(result)["jensen_shannon"] == "failed"


def test_one_check_leaves_nothing_behind_for_another(judge):
    spoilt = QUICK["solution-generator_losses"] + "\n\nkept = saturating_loss\ndef saturating_loss(a):\n" \
             "    global jensen_shannon\n    jensen_shannon = None\n    return kept(a)"
    assert graded(judge, {"solution-generator_losses": spoilt}).points == 9


def test_a_name_from_a_cell_of_the_learners_own_is_explained(judge):
    uses = "def gan_value(r, f):\n    return helper(r, f)"
    assert "`helper` is made in cell 7" in hint(graded(judge, {"solution-gan_value": uses}, elsewhere={"helper": 7}), "gan_value")
    broken = "HALF = helper(2)\ndef gan_value(r, f): return 0"
    said = hint(graded(judge, {"solution-gan_value": broken}, elsewhere={"helper": 7}), "gan_value")
    assert "NameError: name 'helper' is not defined" in said and "made in cell 7" in said


def test_prints_warnings_and_pictures_cost_nothing_and_are_kept(judge):
    noisy = ("import sys, warnings\nwarnings.warn('careful')\nprint('to stderr', file=sys.stderr)\n"
             "from matplotlib import pyplot\n%matplotlib inline\npyplot.plot([1, 2]); pyplot.show()\n") + QUICK["solution-gan_value"]
    result = graded(judge, {"solution-gan_value": noisy})
    assert verdicts(result)["gan_value"] == "passed"
    outputs = result.outputs["solution-gan_value"]
    assert any("to stderr" in output.get("text", "") for output in outputs) and any("png" in output for output in outputs)


def test_the_same_submission_gets_the_same_inputs_and_another_gets_others(judge):
    first, again = graded(judge), graded(judge)
    seeds = lambda result: [each.seed for each in result.verdicts]
    assert seeds(first) == seeds(again) and verdicts(first) == verdicts(again)
    assert len({*seeds(first), *seeds(graded(judge, student="grace")), *seeds(graded(judge, {"solution-labelled": "1"}))}) == 27


class Tried:
    """A run whose training comes out as told, one verdict after the other."""

    def __init__(self, *verdicts):
        self.spliced, self.memory, self.seeds, self._verdicts = Spliced(SOLVED), 0, [], iter(verdicts)

    def judge(self, check, make_draw):
        self.seeds.append(make_draw()._key.hex())
        verdict, figures, hint = next(self._verdicts)
        return Verdict(check.name, verdict, check.points if verdict == PASSED else 0, check.points, hint, figures=figures)


UNLUCKY, LUCKY = (FAILED, {"modes": 1.0, "quality": 0.9}, "first"), (PASSED, {"modes": 8.0, "quality": 0.9}, "")


@pytest.mark.parametrize("verdicts, which", [
    ([LUCKY], 0), ([UNLUCKY, LUCKY], 1), ([UNLUCKY, UNLUCKY[:2] + ("second",)], 0), ([UNLUCKY, (NOT_GRADED, {}, "no time")], 0),
    ([(FAILED, {}, "its step is wrong")], 0), ([(FAILED, LUCKY[1], "it has looked too often")], 0), ([(NOT_GRADED, {}, "it hangs")], 0)])
def test_a_training_that_falls_short_is_made_once_more_on_another_draw(verdicts, which):
    judge, run = Judge(LESSON, RELEASED, None, Scale.SMOKE, b"secret" * 6, KEYS), Tried(*verdicts)
    before = {name: Verdict(name, PASSED, 1, 1) for name in checks_of(LESSON)}
    result = judge._judged(run, checks_of(LESSON)["ring"], "ada", before)
    assert len(run.seeds) == len(set(run.seeds)) == len(verdicts)
    assert (result.verdict, result.hint, result.seed) == (*verdicts[which][::2], run.seeds[which])


def test_only_what_another_code_judged_is_judged_again(judge):
    known = graded(judge)
    known.verdicts[0] = dataclasses.replace(known.verdicts[0], hint="from before")
    known.verdicts[2] = dataclasses.replace(known.verdicts[2], hint="from before", key="of an older check")
    again = graded(judge, known=known)
    assert [each.hint for each in again.verdicts][:3] == ["from before", "", ""]
    assert all(each.hint != "from before" for each in graded(judge, {"solution-labelled": "1"}, known=known).verdicts)


def test_questions_stand_beside_the_points(judge):
    question, = [cell.id for cell in RELEASED.cells if cell.id.startswith("answer-")]
    untouched, = graded(judge).by_hand
    answered, = graded(judge, {question: "Because."}).by_hand
    assert (untouched.points, untouched.answered) == (0, False)
    assert (answered.points, answered.answered, answered.max_points) == (None, True, 2)


def test_the_record_says_what_judged_it_and_not_the_secret(judge):
    result = graded(judge)
    assert result.judged_by["scale"] == "smoke" and result.judged_by["sandbox"] == "bubblewrap"
    assert b"secret".hex() not in result.as_json() and "secretsecret" not in result.as_json()
    assert result.memory > 2**20 and result.seconds > 0


def test_all_cells_are_run_for_their_pictures_when_asked(judge):
    few = graded(judge)
    judge.all_cells = True
    try:
        all_of_them, later = graded(judge), graded(judge, known=few)
    finally:
        judge.all_cells = False
    assert set(all_of_them.outputs) == set(later.outputs) > set(few.outputs) and later.verdicts == few.verdicts
    assert graded(judge, known=later).outputs == later.outputs  # what was shown once isn't taken away again


def test_a_hand_in_that_cannot_be_read_is_not_graded(judge):
    result = judge.not_graded("ada", "It isn't a notebook.")
    assert result.points == 0 and result.status == "not graded" and {each.hint for each in result.verdicts} == {"It isn't a notebook."}
