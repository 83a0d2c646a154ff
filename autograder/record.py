"""Records what the reference and the known wrong answers give on the public inputs: `course_lib/checks/<lesson>.snapshot`.

In the notebook the solution isn't there, so its answers are: a check replays them, and a wrong result is compared with
those of the known wrong answers. Training is never recorded; what it gives differs from machine to machine.

Recording takes minutes for the whole course. `solutions/<lesson>/recorded.json` says of which code each check's part is, so that
only what another code would give is recorded again. That the parts are what the code gives is tried by the gate, in the notebook's way.
"""

import ast
import functools
import hashlib
import json
from pathlib import Path

import torch

from course_lib import expect, wire
from course_lib.check import CHECKS, SNAPSHOT_LIMITS, Mistake, checks_of, snapshot
from course_lib.draw import public_draw
from course_lib.files import whole
from course_lib.student import Student
from course_lib.verdict import Failed
from course_lib.worker import Worker

from autograder import answers
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


def record(check):
    """A check's part of its lesson's snapshot: {"reference": [answers in order], "mistakes": [[hint, call, result], ...]}.

    Raises ValueError when the reference fails its own check.
    """
    make_draw = lambda: public_draw(check.lesson, check.name)
    reference, failure = _answers_of(check, reference_namespace(check.lesson), make_draw())
    if failure is not None:
        raise ValueError(f"the reference of {check.lesson} fails its own check {check.name!r}: {failure.hint} {failure.detail}")
    return {"reference": reference, "mistakes": [[m.hint, m.call, m.result] for m in known_mistakes(check, make_draw)]}


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
    """Record what isn't recorded of the code as it is. A part that comes out the same up to rounding stays as it was, since processors
    differ in that: in float32, and where a mistake iterates to a tolerance, two of them have been seen 1.5e-6 apart at values of about 1.
    Returns whether the snapshot has changed."""
    if is_current(lesson):
        return False
    path, old, noted, fresh = _path(lesson), _old(lesson), _noted(lesson)["checks"], {}
    for name, check in checks_of(lesson).items():
        if name in old and noted.get(name) == key(check):
            fresh[name] = old[name]
        else:
            made = record(check)
            fresh[name] = old[name] if name in old and expect.equal_values(made, old[name], rtol=1e-5, atol=1e-6) else made
    before, after = path.read_bytes() if path.is_file() else b"", wire.encode(fresh, SNAPSHOT_LIMITS)
    if after != before:
        with whole(path) as unfinished:
            unfinished.write_bytes(after)
    keys = {name: key(check) for name, check in checks_of(lesson).items()}
    with whole(_note(lesson)) as unfinished:
        unfinished.write_text(json.dumps({"snapshot": _digest(after), "checks": keys}, indent=1) + "\n")
    return after != before


def is_current(lesson):
    """Whether the snapshot on disk was recorded with the code as it is."""
    path = _path(lesson)
    keys = {name: key(check) for name, check in checks_of(lesson).items()}
    return path.is_file() and _noted(lesson) == {"snapshot": _digest(path.read_bytes()), "checks": keys}


def key(check):
    """A hash of all that a check's part of the snapshot depends on: the check, what it and the lesson import of course_lib, the solution,
    the check's wrong answers, and torch."""
    wrong = [[answer.hint, *map(ast.unparse, answer.statements)] for answer in wrong_answers(check.lesson) if answer.check == check.name]
    return _digest(json.dumps([check.name, torch.__version__.partition("+")[0], _code(check.lesson), wrong]).encode())


@functools.lru_cache
def _code(lesson):
    """A hash of the lesson's checks, its solution, and what these import of course_lib, directly or not; without comments."""
    pieces = [_piece(source) for _, source in answers.reference_cells(lesson)]
    pending = [CHECKS / f"{lesson}.py", *(CHECKS.parent / f"{name}.py" for name in ("check", "student", "worker")), Path(__file__)]
    pending += [file for _, imported in pieces for file in imported]
    seen = set()
    while pending:
        file = pending.pop()
        if file not in seen:
            seen.add(file)
            pieces.append(_piece(file.read_text(encoding="utf-8")))
            pending += pieces[-1][1]
    return _digest(json.dumps(sorted(code for code, _ in pieces)).encode())


@functools.lru_cache(maxsize=None)
def _piece(source):
    """The source without comments, and the files of course_lib that it imports."""
    tree, names = ast.parse(source), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = (CHECKS.parent.parent / f"{name.replace('.', '/')}.py" for name in names if name.startswith("course_lib."))
    return ast.unparse(tree), [file for file in files if file.is_file()]


def _path(lesson):
    return CHECKS / f"{lesson}.snapshot"


def _old(lesson):
    try:
        return wire.decode(_path(lesson).read_bytes(), SNAPSHOT_LIMITS)
    except (OSError, wire.WireError):
        return {}


def _note(lesson):
    return answers.SOLUTIONS / lesson / "recorded.json"


def _noted(lesson):
    return json.loads(_note(lesson).read_text()) if _note(lesson).is_file() else {"snapshot": "", "checks": {}}


def _digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


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
