"""The gate that every check passes: the reference gets full points, the stub none, every known wrong answer fails with its
own hint, and every other right answer passes; in the notebook (public draw, recorded reference) and in grading (secret
draw, the reference beside it).
"""

import os
from dataclasses import dataclass

from course_lib.check import checks_of, judge, judge_locally
from course_lib.draw import Draw
from course_lib.student import Student, local_student
from course_lib.verdict import FAILED, PASSED
from course_lib.worker import Worker

from autograder import answers, record


@dataclass(frozen=True)
class Trial:
    """One answer put to one check. hint: a part of the sentence it must be met with, or None where it must pass."""

    check: str
    label: str
    passes: bool
    hint: str | None
    make_namespace: object

    def problem(self, verdict):
        """What is wrong with the verdict on this answer, or None."""
        if verdict.verdict != (PASSED if self.passes else FAILED):
            return f"{self.check}: {self.label} should have {'passed' if self.passes else 'failed'}; it is " \
                   f"{verdict.verdict}: {verdict.hint} {verdict.detail}"
        if self.hint and self.hint not in verdict.hint:
            return f"{self.check}: {self.label} fails, but is told {verdict.hint!r} ({verdict.detail}), not {self.hint!r}"
        return None


def trials(lesson):
    """All that the gate tries on `lesson`, check by check."""
    reference = lambda: answers.reference_namespace(lesson)
    stub = lambda: answers.stub_namespace(lesson)
    wrong, right = answers.wrong_answers(lesson), answers.alternative_answers(lesson)
    for name in checks_of(lesson):
        yield Trial(name, "the reference", True, None, reference)
        yield Trial(name, "the stub", False, None, stub)
        for answer in wrong:
            if answer.check == name:
                yield Trial(name, answer.label, False, answer.hint, answer.make_namespace)
        for answer in right:
            if answer.check == name:
                yield Trial(name, answer.label, True, None, answer.make_namespace)


def judge_in_notebook(lesson, trial, scale):
    """The verdict that the notebook's `check` would give."""
    return judge_locally(lesson, trial.check, trial.make_namespace(), scale=scale)


def judge_in_grading(lesson, trial, scale, secret=None):
    """The verdict on a secret draw against the reference itself."""
    check, secret = checks_of(lesson)[trial.check], secret or os.urandom(32)
    make_draw = lambda: Draw(secret + trial.check.encode(), scale, secret=True)
    reference = Student(Worker(answers.reference_namespace(lesson)).handle)
    return judge(check, local_student(trial.make_namespace()), reference, make_draw(),
                 lambda: record.known_mistakes(check, make_draw))


def run(lesson, scale, only=None, progress=iter):
    """Try everything; returns (number of answers tried, [what is wrong])."""
    tried = [trial for trial in trials(lesson) if not only or trial.check in only]
    problems = []
    for trial in progress(tried):
        for judged in (judge_in_notebook, judge_in_grading):
            problem = trial.problem(judged(lesson, trial, scale))
            if problem:
                problems.append(f"{judged.__name__}: {problem}")
    return len(tried), problems
