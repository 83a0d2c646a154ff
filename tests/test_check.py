"""Running a check: three verdicts, hints for known mistakes, dependencies, and nothing that gets out."""

import pytest
import torch

from course_lib import check as checks
from course_lib import expect
from course_lib.check import Check, Mistake, judge
from course_lib.draw import Draw
from course_lib.student import local_student
from course_lib.verdict import FAILED, NOT_GRADED, PASSED, NotGraded


def doubles(student, reference, draw):
    """Twice the input."""
    expect.agree(student, reference, "f", draw.normal(4))
    expect.close(student.f(torch.zeros(2, dtype=torch.float64)), torch.zeros(2), "f(0)")


CHECK = Check("toy", "doubles", 2, (), {}, doubles)


def namespace(source):
    names = {}
    exec(source, names)
    return names


def verdict(source, mistakes=lambda *_: (), check=CHECK):
    reference = local_student(namespace("def f(x): return 2 * x"))
    return judge(check, local_student(namespace(source)), reference, Draw(b"toy"), mistakes)


def test_right_work_earns_the_points():
    passed = verdict("def f(x): return x + x")
    assert (passed.verdict, passed.points, passed.hint) == (PASSED, 2, "") and passed.passed


def test_a_search_for_a_known_mistake_that_fails_leaves_the_verdict():
    def search(call, answered, request):
        raise OverflowError("too large")

    failed = verdict("def f(x): return 3 * x", search)
    assert failed.verdict == FAILED and failed.hint and "OverflowError: too large" in failed.detail


def test_wrong_work_earns_none_and_says_how_far_off():
    failed = verdict("def f(x): return 3 * x")
    assert (failed.verdict, failed.points) == (FAILED, 0) and "off by" in failed.hint


def test_a_known_mistake_lends_its_hint_only_where_it_fails_in_the_same_way():
    draw = Draw(b"toy")
    known = lambda *_: [Mistake("you tripled", 0, draw.normal(4) * 3)]
    assert verdict("def f(x): return 3 * x", lambda *_: [Mistake("you tripled", 0, Draw(b"toy").normal(4) * 3)]).hint == "you tripled"
    assert verdict("def f(x): return 4 * x", known).hint != "you tripled"
    assert verdict("def f(x): return 2 * x + (x.abs().sum() == 0)", known).hint != "you tripled"


@pytest.mark.parametrize("said, hint", [
    ("size 3 must match size 4", "sizes"), ("size 13 must match size 5", "sizes"), ("expected scalar type Double", "types"), ("no grad", None)])
def test_an_error_is_a_known_mistake_by_its_message_and_not_by_its_type(said, hint):
    raised = lambda detail: {"failed": "raised RuntimeError", "detail": detail}
    known = lambda *_: [Mistake("types", 0, raised("expected scalar type Double")), Mistake("sizes", 0, raised("size 3 must match size 4")),
                        Mistake("later", 1, raised("no grad")), Mistake("a number", 0, torch.zeros(4))]
    found = verdict(f"def f(x): raise RuntimeError({said!r})", known)
    assert found.hint == hint or hint is None and said in found.hint


def test_a_module_without_forward_is_told_from_an_exercise_that_is_not_written():
    forgotten = verdict("import torch\nclass Net(torch.nn.Module):\n    pass\ndef f(x): return Net()(x)")
    assert "no `forward`" in forgotten.hint and "isn't written" not in forgotten.hint
    assert "isn't written yet" in verdict("def f(x): raise NotImplementedError()").hint


def test_an_answer_that_is_no_number_fails_where_two_answers_are_compared():
    def symmetric(student, reference, draw):
        expect.close(student.f(torch.ones(1)), student.f(torch.zeros(1)), "f(1) against f(0)")

    found = verdict("def f(x): return x if x.sum() else 'x'", check=Check("toy", "symmetric", 1, (), {}, symmetric))
    assert found.verdict == FAILED and "should be a tensor or a number" in found.hint


def test_what_is_nearly_a_known_mistake_is_one_unless_that_is_nearly_right():
    near = lambda factor: lambda *_: [Mistake("known", 0, Draw(b"toy").normal(4) * factor)]
    assert verdict("def f(x): return 3.00002 * x", near(3)).hint == "known"  # the same optimum, looked for in another way
    assert verdict("def f(x): return 3.002 * x", near(3)).hint != "known"
    assert verdict("def f(x): return 2.00003 * x", near(2.00002)).hint != "known"


def test_a_fault_of_the_check_is_never_the_learners():
    def broken(student, reference, draw):
        raise KeyError("the check's own")

    def undecided(student, reference, draw):
        raise NotGraded("no data on this machine")

    for body, word in ((broken, "KeyError"), (undecided, "no data")):
        result = verdict("", check=Check("toy", "x", 2, (), {}, body))
        assert (result.verdict, result.points) == (NOT_GRADED, 0) and word in result.hint


def test_what_the_learner_did_to_torch_spoils_no_right_work_and_is_left_as_it_was():
    before = torch.random.get_rng_state()
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    try:
        assert verdict("def f(x): return x + x").passed
        asked = Check("toy", "slope", 1, (), {}, lambda student, reference, draw: expect.close(
            student.grad("f", draw.normal(3)), 2 * torch.ones(3), "the slope"))
        assert verdict("def f(x): return x + x", check=asked).passed
        assert torch.get_default_dtype() is torch.float64 and not torch.is_grad_enabled()
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_grad_enabled(True)
    assert verdict("import torch\ndef f(x):\n  torch.manual_seed(1)\n  return 2 * x").passed
    assert torch.equal(before, torch.random.get_rng_state())


def test_warnings_and_stderr_of_a_submission_cost_nothing(capsys):
    source = "import sys, warnings\ndef f(x):\n  warnings.warn('beware')\n  print('working', file=sys.stderr)\n  return 2 * x"
    assert verdict(source).passed and capsys.readouterr().err == ""


def test_lessons_and_checks_are_found_by_name():
    names = checks.checks_of("gan_math")
    assert list(names)[0] == "gan_value" and names["ring"].trains and not names["gan_value"].trains
    assert names["gan_value"].title and sum(check.points for check in names.values()) == 18
    with pytest.raises(LookupError, match="no lesson 'nope'.*gan_math"):
        checks.checks_of("nope")
    with pytest.raises(LookupError, match="no check 'nope'.*gan_value"):
        checks.judge_locally("gan_math", "nope", {})


def test_a_check_whose_foundation_fails_says_so():
    result = checks.judge_locally("gan_math", "discriminator_step", {})
    assert result.verdict == FAILED and "builds on `gan_value`" in result.hint and "isn't defined yet" in result.hint
