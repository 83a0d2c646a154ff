"""The gate that every check passes: the reference gets full points, the stub none, every known wrong answer fails with its
own hint, and every other right answer passes; in the notebook (public draw, recorded reference) and in grading (secret
draw, the reference beside it, the answer in the sandbox where there is one to be had).
"""

import ast
import contextlib
import functools
import hashlib
import math
import os
from dataclasses import dataclass
from typing import Callable

import nbformat

from course_lib import wire
from course_lib.check import checks_of, judge, judge_locally
from course_lib.draw import Draw
from course_lib.scale import Scale, at_scale
from course_lib.student import Student, local_student
from course_lib.verdict import FAILED, PASSED
from course_lib.worker import Worker

from autograder import answers, calibrate, record
from autograder.build import Course
from autograder.judge import TRAININGS, graded_code, short_of_a_bound
from autograder.sandbox import Sandbox
from autograder.walls import NoIsolation, Sights

REFERENCE, STUB = "the reference", "the stub"


@dataclass(frozen=True)
class Trial:
    """One answer put to one check. hint: a part of the sentence it must be met with; None where it must pass, and for the stub.

    answer: the wrong or alternative Answer; None for the reference and the stub.
    """

    check: str
    label: str
    passes: bool
    hint: str | None
    make_namespace: Callable
    answer: answers.Answer | None = None

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
    for name in checks_of(lesson):
        yield Trial(name, REFERENCE, True, None, lambda: answers.reference_namespace(lesson))
        yield Trial(name, STUB, False, None, lambda: answers.stub_namespace(lesson))
        for answer in (*answers.wrong_answers(lesson), *answers.alternative_answers(lesson)):
            if answer.check == name:
                yield Trial(name, answer.label, answer.hint is None, answer.hint, answer.make_namespace, answer)


def judge_in_notebook(lesson, trial, scale):
    """The verdict that the notebook's `check` would give."""
    with at_scale(scale):
        return judge_locally(lesson, trial.check, trial.make_namespace(), scale=scale, passed=_left_alone(lesson, trial, scale))


def _left_alone(lesson, trial, scale):
    """The checks that a trial's check needs, if its answer has changed nothing outside the check's own cell: as the reference, it passes them."""
    needs = checks_of(lesson)[trial.check].needs
    if not needs or not trial.answer or _elsewhere(lesson, trial.check) & _defined(trial.answer.statements):
        return ()
    return [need for need in needs if _reference_passes(lesson, need, scale)]


@functools.lru_cache
def _elsewhere(lesson, check):
    """The names that are defined in other cells than the check's own."""
    return set().union(*(_defined(ast.parse(source).body) for name, source in answers.reference_cells(lesson) if name != check))


def _defined(statements):
    """The names that these statements give something to."""
    return {name for node in statements for name in (
        [node.name] if hasattr(node, "name") else [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)])}


@functools.lru_cache
def _reference_passes(lesson, name, scale):
    return judge_locally(lesson, name, answers.reference_namespace(lesson), scale=scale).passed


def judge_in_grading(lesson, trial, scale, boxes=None, draw=0):
    """The verdict on a secret draw, one of several by number, against the reference itself; the answer runs in one of the `Boxes`, if they
    are given. A right one is trained twice before it is failed, as in grading; a wrong one must be seen at once."""
    for attempt in range(TRAININGS if trial.passes else 1):
        verdict = _judge_once(_Drawn.of(lesson, trial.check, scale, draw + attempt), trial, boxes)
        if not short_of_a_bound(checks_of(lesson)[trial.check], verdict, scale):
            break
    return verdict


def _judge_once(drawn, trial, boxes):
    check, scale = drawn.check, drawn.scale
    with at_scale(scale):
        with boxes.student(check.lesson, trial) if boxes else contextlib.nullcontext(local_student(trial.make_namespace())) as student:
            return judge(check, student, drawn.reference(), drawn.draw(), drawn.mistakes)


class _Drawn:
    """A secret draw of a check, the same for all answers to it that this process tries one after the other, so that what the reference and
    the known mistakes give on it is found once."""

    def __init__(self, check, scale):
        self.check, self.scale, self._secret, self._found, self._answers = check, scale, os.urandom(32), {}, {}

    @classmethod
    @functools.lru_cache(maxsize=32)
    def of(cls, lesson, name, scale, number):
        return cls(checks_of(lesson)[name], scale)

    def draw(self):
        return Draw(self._secret, self.scale, secret=True)

    def reference(self):
        """The reference, as a Student. What it has answered to the same requests before, it isn't asked again."""
        worker = functools.cache(lambda: Worker(answers.reference_namespace(self.check.lesson)))
        asked = hashlib.sha256()

        def handle(frame):
            asked.update(frame)
            key = asked.digest()
            if key not in self._answers:
                self._answers[key] = worker().handle(frame)
            return self._answers[key]

        return Student(handle)

    def mistakes(self, call, answered, request):
        """As `record.known_mistakes`, one by one."""
        asked = request and wire.encode(request)
        found, more = self._found.setdefault((call, asked), ([], record.known_mistakes(self.check, self.draw, call, tuple(answered), request)))
        yield from found
        for mistake in more:
            found.append(mistake)
            yield mistake


def define(names, source):
    """Run the source as one more of the submission's cells."""
    exec(compile(source, "<the answer>", "exec"), names._namespace)


class Boxes:
    """Boxes in which the reference, or the stub, of a lesson has run, as a hand-in's cells do; each answer is defined and judged in a fork,
    as checks are. Of one lesson at a time; and new ones for each answer where checks aren't forked, on a GPU."""

    def __init__(self, sandbox):
        self._sandbox, self._open = sandbox, {}

    @contextlib.contextmanager
    def student(self, lesson, trial):
        """The Student of a trial."""
        key = lesson, trial.label == STUB
        if key not in self._open or self._open[key].gone:
            if any(other != lesson for other, _ in self._open):
                self.close()
            self._open[key] = self._started(*key)
        box, limits = self._open[key], self._sandbox.limits
        with box.check():
            deadline = box.deadline(limits.train_s if checks_of(lesson)[trial.check].trains else limits.check_s)
            student = Student(lambda frame: box.answer(frame, deadline))
            if trial.answer:
                student.run(define, "\n\n".join(map(ast.unparse, trial.answer.statements)))
                student.log.clear()
            yield student
        if self._sandbox.sights.gpu:
            self.close()

    def _started(self, lesson, stub):
        box = self._sandbox.open(math.inf)
        written = {} if stub else {f"solution-{name}": source for name, source in answers.reference_cells(lesson, setup=False)}
        for cell in graded_code(nbformat.read(Course().released(lesson), as_version=4)):
            box.run_cell(written.get(cell.id, cell.source))
        return box

    def close(self):
        for box in self._open.values():
            box.end()
        self._open.clear()


def run(lesson, scale, only=None, progress=iter, draws=1):
    """Try everything; returns (number of answers tried, [what is wrong]).

    draws: on how many secret draws grading tries each answer, where nothing trains. One may let a wrong answer pass, or take it for another.

    A right answer to a check that trains takes minutes at a larger scale. That it has passed is kept in
    `solutions/<lesson>/calibration/gate.<scale>.txt`, so that an interrupted run goes on where it was and the tests see
    whether it is out of date. What fails is tried again.
    """
    tried = [trial for trial in trials(lesson) if not only or trial.check in only]
    problems, done = [], _recorded(lesson, scale)
    with any_boxes(scale) as boxes:
        for trial in progress(tried):
            numbers = range(1 if checks_of(lesson)[trial.check].trains else draws)
            for judged, more in ((judge_in_notebook, ()), *((judge_in_grading, (boxes, number)) for number in numbers)):
                name = _name(lesson, trial, judged, scale) if scale is not Scale.SMOKE and _trains(lesson, trial) else None
                if name in done:
                    continue
                if problem := trial.problem(judged(lesson, trial, scale, *more)):
                    problems.append(f"{judged.__name__}: {problem}")
                elif name:
                    path = _record_path(lesson, scale)
                    path.parent.mkdir(exist_ok=True)
                    with path.open("a", encoding="utf-8") as file:
                        file.write(f"{name}\n")
    return len(tried), problems


@contextlib.contextmanager
def any_boxes(scale):
    """Boxes for any lesson, since no solution reads its notebook; or None where this machine can't wall anything in."""
    with contextlib.ExitStack() as stack:
        try:
            boxes = Boxes(stack.enter_context(Sandbox(Sights(Course().root / "course_lib", gpu=scale is Scale.GPU), scale)))
            stack.callback(boxes.close)
        except NoIsolation:
            boxes = None
        yield boxes


def _recorded(lesson, scale):
    """The names of the trials that have passed, with this code or another."""
    path = _record_path(lesson, scale)
    return set(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else set()


def missing(lesson, scale):
    """The trials that train and haven't passed at this scale with the code as it is now."""
    done = _recorded(lesson, scale)
    wanted = [_name(lesson, trial, judged, scale) for trial in trials(lesson) if _trains(lesson, trial)
              for judged in (judge_in_notebook, judge_in_grading)]
    return [name for name in wanted if name not in done]


def _trains(lesson, trial):
    return trial.passes and checks_of(lesson)[trial.check].trains


def _name(lesson, trial, judged, scale):
    """A name that changes with the check, the answer and all that they depend on."""
    return f"{trial.check} {judged.__name__} {calibrate.key(checks_of(lesson)[trial.check], scale, trial.answer)}"


def _record_path(lesson, scale):
    return answers.SOLUTIONS / lesson / "calibration" / f"gate.{scale.value}.txt"
