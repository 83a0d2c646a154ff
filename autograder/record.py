"""Records what the reference and the known wrong answers give on the public inputs: `course_lib/checks/<lesson>.snapshot`.

In the notebook the solution isn't there, so its answers are: a check replays them, and a wrong result is compared with
those of the known wrong answers. Training is never recorded; what it gives differs from machine to machine.
"""

from course_lib import expect, wire
from course_lib.check import CHECKS, SNAPSHOT_LIMITS, Mistake, checks_of, snapshot
from course_lib.draw import public_draw
from course_lib.student import Student
from course_lib.verdict import Failed
from course_lib.worker import Worker

from autograder.answers import reference_namespace, wrong_answers


class _Over(Exception):
    """What is of interest in a check is over."""


class _ExactStudent(Student):
    """A student that stops where training would begin, or after call number `last`."""

    def __init__(self, transport, last=None):
        super().__init__(transport)
        self._last = last

    def train(self, probe, *args, using=()):
        raise _Over

    def _ask(self, what, request):
        if self._last is not None and len(self.log) > self._last:
            raise _Over
        return super()._ask(what, request)


def record(lesson):
    """The snapshot of `lesson`: {check: {"reference": [answers in order], "mistakes": [[hint, call, result], ...]}}.

    Raises ValueError when the reference fails its own check.
    """
    snapshot = {}
    for name, check in checks_of(lesson).items():
        reference, failure = _answers_of(check, reference_namespace(lesson), public_draw(lesson, name))
        if failure is not None:
            raise ValueError(f"the reference of {lesson} fails its own check {name!r}: {failure.hint} {failure.detail}")
        mistakes = known_mistakes(check, lambda: public_draw(lesson, name))
        snapshot[name] = {"reference": reference, "mistakes": [[m.hint, m.call, m.result] for m in mistakes]}
    return snapshot


def known_mistakes(check, make_draw, call=None, answered=(), request=None):
    """The wrong answers of `check` that fail before any training, each with its result where it fails, as Mistakes, one by one.

    make_draw: gives the check's draw, afresh for each. call: only those that fail at this call are wanted, so the others
    needn't be followed further. answered: what the reference has answered on this draw already, in order. request: what is asked
    at this call, if that is all of it.
    """
    for answer, likely in _likely_first(check, call):
        mistake = likely and request and _asked(answer, call, request, answered)
        mistake = mistake or _followed(check, answer, make_draw, call, answered)
        if mistake:
            yield mistake


def _followed(check, answer, make_draw, call, answered):
    """The Mistake of an answer that is put to the check from its beginning; None if it gets to the training, or beyond the call."""
    student = _ExactStudent(Worker(answer.make_namespace()).handle, call)
    try:
        check.body(student, _reference(check, answered), make_draw())
    except Failed:
        return Mistake(answer.hint, len(student.log) - 1, student.log[-1])
    except _Over:
        return None


def _asked(answer, call, request, answered):
    """The Mistake of an answer that is asked this alone, which takes a fraction of the time. None if it is right about it, or if that
    can't be told, since the reference hasn't been asked the same."""
    student = Student(Worker(answer.make_namespace()).handle)
    try:
        result = student.put(request)
    except Failed:
        return Mistake(answer.hint, call, student.log[-1])
    right = len(answered) != call + 1 or expect.equal_values(result, answered[call], rtol=1e-10, atol=1e-10)
    return None if right else Mistake(answer.hint, call, result)


def _likely_first(check, call):
    """The check's wrong answers, each with whether it fails at this call on the public inputs: on others it will mostly do so too.
    Those that do come first."""
    mine = [answer for answer in wrong_answers(check.lesson) if answer.check == check.name]
    if call is None:
        return [(answer, False) for answer in mine]
    public = {hint: where for hint, where, _ in snapshot(check.lesson).get(check.name, {"mistakes": []})["mistakes"]}
    return sorted(((answer, public.get(answer.hint) == call) for answer in mine), key=lambda each: not each[1])


def write(lesson):
    """Record `lesson` and write its snapshot, unless the one on disk says the same up to rounding. Returns whether it did."""
    fresh, path = record(lesson), CHECKS / f"{lesson}.snapshot"
    if is_current(lesson, fresh):
        return False
    path.write_bytes(wire.encode(fresh, SNAPSHOT_LIMITS))
    return True


def is_current(lesson, fresh=None):
    """Whether the snapshot on disk is what `record` gives, up to the rounding in which processors differ: in float32, and where a
    mistake iterates to a tolerance, two of them have been seen 1.5e-6 apart at values of about 1."""
    path = CHECKS / f"{lesson}.snapshot"
    return path.is_file() and expect.equal_values(
        fresh or record(lesson), wire.decode(path.read_bytes(), SNAPSHOT_LIMITS), rtol=1e-5, atol=1e-6)


def _reference(check, answered=()):
    """The reference; what it has `answered` before isn't computed again."""
    worker, remaining = Worker(reference_namespace(check.lesson)), iter(answered)

    def transport(frame):
        for value in remaining:
            return wire.encode({"value": value})
        return worker.handle(frame)

    return Student(transport)


def _answers_of(check, namespace, draw):
    """What the reference was asked and gave, in order, and the Failed it ended with, if any."""
    reference = _reference(check)
    try:
        check.body(_ExactStudent(Worker(namespace).handle), reference, draw)
    except _Over:
        pass
    except Failed as failure:
        return reference.log, failure
    return reference.log, None
