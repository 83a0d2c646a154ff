"""What a check is, and how one is run: the same in the notebook, from the shell and in grading.

A check is an ordinary function `(student, reference, draw)` in `course_lib/checks/<lesson>.py` under the decorator
`check`. It returns when the submission is right and raises `Failed` when it isn't.
"""

import contextlib
import functools
import importlib
import re
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch

from course_lib import expect, wire
from course_lib.student import local_student, replayed_student
from course_lib.draw import public_draw
from course_lib.lessons import LessonError, Unknown
from course_lib.scale import current_scale
from course_lib.verdict import FAILED, NOT_GRADED, PASSED, Failed, NotGraded, Verdict

CHECKS = Path(__file__).parent / "checks"
NEARLY = 1e-4  # what is further than this from the right result, and this near to a known mistake's, is that mistake
SNAPSHOT_LIMITS = wire.Limits(tree_bytes=4 * 1024**2, tensors=100_000, tensor_bytes=256 * 1024**2)


@dataclass(frozen=True)
class Check:
    """points: what it is worth. needs: checks that must pass first. bounds: of the figures it trains for, by name."""

    lesson: str
    name: str
    points: float
    needs: tuple
    bounds: dict
    body: Callable

    @property
    def trains(self):
        """Whether it trains a net."""
        return bool(self.bounds)

    @property
    def title(self):
        return (self.body.__doc__ or self.name).strip().splitlines()[0]


@dataclass(frozen=True)
class Mistake:
    """A known wrong answer: `result` is what it gives as call number `call` of the check, where it fails."""

    hint: str
    call: int
    result: object


_registry = {}
BUILDS_ON = "This builds on"


def check(points, needs=(), bounds=None):
    """Make the decorated function the check of its name, in the lesson its module is named after."""

    def register(body):
        lesson = body.__module__.rpartition(".")[2]
        made = Check(lesson, body.__name__, points, tuple(needs), bounds or {}, body)
        _registry.setdefault(lesson, {})[made.name] = made
        return made

    return register


def checks_of(lesson):
    """The checks of `lesson`, by name, in the order of the lesson. Raises Unknown for a lesson without checks."""
    if not (CHECKS / f"{lesson}.py").is_file():
        known = ", ".join(sorted(path.stem for path in CHECKS.glob("[!_]*.py")))
        raise Unknown(f"there is no lesson {lesson!r} with checks; known are: {known}")
    importlib.import_module(f"course_lib.checks.{lesson}")
    return _registry.get(lesson, {})


def judge(check, student, reference, draw, mistakes=lambda call, answered, request: ()):
    """Run one check and give its Verdict. Nothing but a KeyboardInterrupt gets out.

    mistakes: called when the check fails, with the number of the call it failed at, what the reference has answered, and the call's
    `Student.request`; gives the known wrong answers on the same inputs. The one that fails at the same call with the same result
    lends its hint.
    """
    start, detail = time.perf_counter(), ""
    with expect.recording_figures() as figures, _torch_as_it_comes():
        try:
            check.body(student, reference, draw)
            outcome, hint = PASSED, ""
        except Failed as failure:
            outcome, hint, detail = FAILED, failure.hint, failure.detail
            try:
                known = _diagnose(student, reference.log, mistakes)
            except Exception as error:  # the verdict stands without a better hint
                known, detail = None, f"{detail}\n(No known mistake could be looked for: {type(error).__name__}: {error})".strip()
            if known:
                raised = isinstance(student.log[-1], dict) and str(student.log[-1].get("failed")).startswith("raised")
                own = hint if hint != known and (raised or not detail) else ""  # an error's own message tells what the hint doesn't
                detail, hint = "\n".join(filter(None, (own, detail))), known
        except NotGraded as reason:
            outcome, hint = NOT_GRADED, str(reason)
        except Exception as error:  # a fault of the check, or of the judge's machine: never the learner's to pay for
            outcome, hint, detail = NOT_GRADED, f"The check itself failed ({type(error).__name__}). Please report it.", str(error)
    return Verdict(check.name, outcome, check.points if outcome == PASSED else 0, check.points, hint, detail,
                   figures, time.perf_counter() - start)


@contextlib.contextmanager
def _torch_as_it_comes():
    """Run with torch's own defaults, and leave the learner's settings and random numbers as they were."""
    dtype, device = torch.get_default_dtype(), torch.get_default_device()
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), warnings.catch_warnings(), \
            contextlib.redirect_stderr(sys.stdout):  # stock nbgrader takes anything on stderr for a failure
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float32)
        if device.type != "cpu":
            torch.set_default_device(None)
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            if device.type != "cpu":
                torch.set_default_device(device)


def _diagnose(student, wanted, mistakes):
    """The hint of the known wrong answer that fails where this submission does, in the same way.

    The same way is the same result; failing that, of a run with several results, the same up to the first wrong one; failing that,
    a result that is nearly the same, as an optimum is that another machine or another method has looked for. Of errors it is the
    same message, or one that begins alike but for its numbers: of one type, torch raises them for all that can go wrong.
    """
    log = student.log
    raised = log and isinstance(log[-1], dict) and "failed" in log[-1]
    if not log or raised and str(log[-1]["failed"]).startswith(("missing", "unwritten")):
        return None
    there = []
    for mistake in mistakes(len(log) - 1, wanted, student.request):  # found out one by one: the first that is the same will do
        if mistake.call == len(log) - 1:
            if expect.equal_values(log[-1], mistake.result):
                return mistake.hint
            there.append(mistake)
    if raised:
        return next((mistake.hint for mistake in there if _alike(mistake.result, log[-1])), None)
    if len(wanted) == len(log) and isinstance(wanted[-1], dict) and isinstance(log[-1], dict) and wanted[-1].keys() & log[-1].keys():
        got = _up_to_first_wrong(log[-1], wanted[-1])
        for mistake in there:
            if expect.equal_values(got, _up_to_first_wrong(mistake.result, wanted[-1])):
                return mistake.hint
    nearly = functools.partial(expect.equal_values, rtol=NEARLY, atol=NEARLY)
    for mistake in there:
        if nearly(log[-1], mistake.result) and len(wanted) == len(log) and not nearly(mistake.result, wanted[-1]):
            return mistake.hint
    return None


def _alike(failure, other):
    beginning = lambda each: re.sub(r"\d+", "#", str(each.get("detail")))[:60]
    return isinstance(failure, dict) and failure.get("failed") == other["failed"] and beginning(failure) == beginning(other)


def _up_to_first_wrong(result, wanted):
    if not isinstance(result, dict):
        return result
    names = list(wanted)
    wrong = [not expect.equal_values(result.get(name), wanted[name], rtol=1e-10, atol=1e-10) for name in names]
    until = wrong.index(True) + 2 if True in wrong else len(names)  # and one more: a loss alone is too little to tell by
    return {name: result.get(name) for name in names[:until]}


def judge_locally(lesson, name, namespace, progress=iter, scale=None, made=lambda name, functions: True, passed=()):
    """The Verdict of check `name` on the functions in `namespace`, against the recorded reference. made, progress: as for a Worker.

    Raises Unknown for a name that isn't a check. A check whose `needs` don't pass fails with their hint; those in `passed` are known
    to pass.
    """
    checks = checks_of(lesson)
    if name not in checks:
        raise Unknown(f"{lesson} has no check {name!r}; it has: {', '.join(checks)}")
    wanted, scale = checks[name], scale or current_scale()
    for need in (need for need in wanted.needs if need not in passed):
        verdict = judge_locally(lesson, need, namespace, scale=scale)
        if not verdict.passed:
            return Verdict(name, verdict.verdict, 0, wanted.points, builds_on(need, "doesn't pass yet", verdict), verdict.detail)
    recorded = snapshot(lesson).get(name, {"reference": [], "mistakes": []})
    return judge(wanted, local_student(namespace, made=made, progress=progress),
                 replayed_student(recorded["reference"]), public_draw(lesson, name, scale),
                 lambda call, answered, request: [Mistake(*fields) for fields in recorded["mistakes"]])


def builds_on(need, state, verdict):
    """The hint of a check whose `need` has this verdict instead of a pass; where that builds on another one, what it all goes back to."""
    return verdict.hint if verdict.hint.startswith(BUILDS_ON) else f"{BUILDS_ON} `{need}`, which {state}: {verdict.hint}"


@functools.lru_cache
def snapshot(lesson):
    """What the reference and the known wrong answers give on the public inputs, recorded when the lesson was built."""
    path = CHECKS / f"{lesson}.snapshot"
    if not path.is_file():
        raise LessonError(f"{path.name} is missing beside the lesson's checks; `autograder build` records it")
    return wire.decode(path.read_bytes(), SNAPSHOT_LIMITS)
