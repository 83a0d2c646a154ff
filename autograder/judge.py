"""Judges one submission: its cells run in a box, the checks run here, and only frames pass between.

The reference, the known wrong answers, the seeds and the verdicts stay in this process. What the box says is taken for the
submission's own word.
"""

import base64
import dataclasses
import hashlib
import hmac
import json
import platform
import re
import time
from datetime import datetime, timezone

import torch

from autograder import answers, record
from autograder.box import CUT, PICTURE_BYTES, PICTURES, TEXT_CHARACTERS
from autograder.results import Judged, Question, Result, is_png
from autograder.sandbox import BoxGone
from autograder.splice import Spliced
from course_lib.card import printable
from course_lib.check import builds_on, checks_of, judge
from course_lib.draw import Draw
from course_lib.student import Student
from course_lib.verdict import FAILED, NOT_GRADED, PASSED, NotGraded, Verdict
from course_lib.worker import Worker

SHOWN_BYTES, SHOWN_OUTPUTS = 16 * 1024**2, 500  # of a whole submission's
TRAININGS = 2
UNDEFINED = re.compile(r"`(\w+)` isn't defined|name '(\w+)' is not defined")


class Judge:
    """Judges submissions to one lesson.

    sandbox: an open autograder.sandbox.Sandbox. released: the lesson's released notebook. secret: the class's. keys: {check:
    the key of the code that judges it}, to be kept with each verdict. all_cells: also run the cells that grading doesn't
    need, for their pictures.
    """

    def __init__(self, lesson, released, sandbox, scale, secret, keys=None, all_cells=False):
        self.lesson, self.released, self.sandbox, self.scale, self.secret = lesson, released, sandbox, scale, secret
        self.keys, self.all_cells = keys or {}, all_cells

    def grade(self, student, spliced, known=None):
        """The Result for a student's autograder.splice.Spliced. known: an earlier Result on the same content; its verdicts
        are kept where they were made by the same code. Never raises for anything that a submission does."""
        start = time.perf_counter()
        run = _Run(self, spliced)
        kept = {each.check: each for each in known.verdicts} if known and known.content == spliced.content else {}
        verdicts = {}
        try:
            for name, check in checks_of(self.lesson).items():
                earlier = kept.get(name)
                if earlier and earlier.key == self.keys.get(name):
                    verdicts[name] = earlier
                else:
                    verdicts[name] = self._judged(run, check, student, verdicts)
            shown = known is not None and not run.started and (known.judged_by.get("all_cells", False) or not self.all_cells)
            outputs = known.outputs if shown else run.finish(self.all_cells)
        finally:
            run.end()
        return Result(
            student=student, lesson=self.lesson, verdicts=list(verdicts.values()), by_hand=self._questions(spliced),
            sources=spliced.sources, outputs=outputs, notes=[*spliced.notes, *run.notes], content=spliced.content, several=spliced.several,
            graded=_now(), judged_by=self._judged_by() | {"all_cells": known.judged_by.get("all_cells", False) if shown else self.all_cells},
            seconds=round(time.perf_counter() - start, 3), cells_seconds=round(run.cells_seconds, 3), memory=run.memory)

    def verdict(self, spliced, check, student=""):
        """The Verdict on one check alone, whatever it builds on."""
        run, seed = _Run(self, spliced), self.seed(student, check, spliced.content)
        try:
            return run.judge(checks_of(self.lesson)[check], lambda: Draw(seed, self.scale, secret=True))
        finally:
            run.end()

    def not_graded(self, student, reason, spliced=Spliced()):
        """The Result for a hand-in that couldn't be judged at all."""
        verdicts = [Judged(name, NOT_GRADED, 0, check.points, reason, key=self.keys.get(name, ""))
                    for name, check in checks_of(self.lesson).items()]
        questions = [Question(cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader.points) for cell in self._answer_cells()]
        return Result(student, self.lesson, verdicts, questions, dict(spliced.sources), notes=list(spliced.notes),
                      content=spliced.content, judged_by=self._judged_by(), graded=_now(), problem=spliced.problem, several=spliced.several)

    def seed(self, student, check, content, attempt=0):
        """The 32 bytes that seed a check's inputs: the same for the same submission, and of no use for another."""
        return hmac.digest(self.secret, json.dumps([self.lesson, check, student, content] + ([attempt] if attempt else [])).encode(), "sha256")

    def _judged(self, run, check, student, earlier):
        seeds = [self.seed(student, check.name, run.spliced.content, attempt) for attempt in range(TRAININGS)]
        verdict, seed = self._builds_on(check, earlier), seeds[0]
        for drawn in [] if verdict else seeds:
            again = run.judge(check, lambda: Draw(drawn, self.scale, secret=True))
            if verdict is None or again.passed:
                verdict, seed = again, drawn
            if not short_of_a_bound(check, verdict, self.scale):
                break
        figures = {name: float(value) for name, value in verdict.figures.items()}
        return Judged(check.name, verdict.verdict, verdict.points, verdict.max_points, printable(verdict.hint)[:2000],
                      printable(verdict.detail)[:2000], figures, round(verdict.seconds, 3), run.memory,
                      self.keys.get(check.name, ""), seed.hex())

    def _builds_on(self, check, earlier):
        """The verdict on a check one of whose `needs` doesn't pass, or None."""
        for need in check.needs:
            verdict = earlier[need]
            if verdict.verdict != PASSED:
                state = "doesn't pass yet" if verdict.verdict == FAILED else "couldn't be graded"
                return Verdict(check.name, verdict.verdict, 0, check.points, builds_on(need, state, verdict))
        return None

    def _questions(self, spliced):
        return [Question(cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader.points, None if written else 0, written)
                for cell in self._answer_cells() for written in [spliced.sources.get(cell.id, cell.source) != cell.source]]

    def _answer_cells(self):
        return [cell for cell in self.released.cells
                if cell.cell_type == "markdown" and cell.metadata.get("nbgrader", {}).get("grade")]

    def _judged_by(self):
        return {"scale": self.scale.value, "device": str(self.scale.device) if self.sandbox.sights.gpu else "cpu",
                "sandbox": "bubblewrap" if self.sandbox.isolated else "none (--unsafe)", "torch": torch.__version__,
                "python": platform.python_version(), "machine": platform.machine(),
                "secret": hashlib.sha256(self.secret).hexdigest()[:12]}


def short_of_a_bound(check, verdict, scale):
    """Whether a training was judged, and its figures weren't enough. Now and then a right net never gets going from its first weights, and
    in grading nobody sees it and starts it anew: so it is trained once more, on another draw, before it is failed."""
    return verdict.verdict == FAILED and any(
        name in verdict.figures and not bound.holds(verdict.figures[name], scale) for name, bound in check.bounds.items())


class _Run:
    """One submission at work: its box, opened when first needed and again after one was lost."""

    def __init__(self, judge, spliced):
        self._judge, self.spliced = judge, spliced
        self._box, self.started, self.memory, self.cells_seconds = None, False, 0, 0.0
        self.notes, self._outputs, self._errors = [], {}, {}
        self._stopped = {}  # cells that ended their box: they don't run again
        self._over = time.monotonic() + judge.sandbox.limits.total_s

    def judge(self, check, make_draw):
        """The Verdict on a check."""
        limits, start, verdict, missing = self._judge.sandbox.limits, time.perf_counter(), None, False
        try:
            box = self._open_box()
            with box.check():
                deadline = box.deadline(limits.train_s if check.trains else limits.check_s)
                student = Student(lambda frame: _ask(box, frame, deadline))
                reference = Student(Worker(answers.reference_namespace(self._judge.lesson)).handle)
                verdict = judge(check, student, reference, make_draw(),
                                lambda *failed: record.known_mistakes(check, make_draw, *failed))
                missing = _says_missing(student.log)
        except BoxGone as gone:
            if verdict is None:  # else it had come to one, and the box ended only afterwards
                verdict = Verdict(check.name, NOT_GRADED, 0, check.points, _sentence(gone),
                                  seconds=time.perf_counter() - start)
        if self._box and self._box.gone:
            self._close_box()
        elif self._box:
            self.memory = max(self.memory, self._box.memory)
        return self._explained(verdict, missing)

    def _explained(self, verdict, missing):
        """The verdict with what only we know: which cell ended its process, and where a name that is missing is defined. missing: whether
        that is how the check failed, and not only what some error says."""
        found = UNDEFINED.search(verdict.hint) if verdict.verdict == FAILED else None
        if not found:
            return verdict
        name = found.group(1) or found.group(2)
        if missing and self._stopped:
            reasons = " ".join(f"The cell `{cell}` was stopped: {reason}." for cell, reason in self._stopped.items())
            return dataclasses.replace(verdict, verdict=NOT_GRADED, hint=f"`{name}` isn't there. {reasons}")
        if missing:
            failed = " ".join(f"The cell `{cell}` stopped with {error}." for cell, error in self._errors.items())
            hint = f"`{name}` isn't defined when your cells have run, from top to bottom, in a fresh kernel. {failed}".strip()
            verdict = dataclasses.replace(verdict, hint=hint)
        missing = {name}.union(*(re.findall(r"name '(\w+)' is not defined", error) for error in self._errors.values()))
        there = [f"`{each}` is made in cell {self.spliced.elsewhere[each]}, and only the exercises' own cells are graded: "
                 "move it into the cell that uses it." for each in sorted(missing) if each in self.spliced.elsewhere]
        return dataclasses.replace(verdict, hint=". ".join([verdict.hint.rstrip("."), *there]) if there else verdict.hint)

    def finish(self, all_cells):
        """The outputs of the cells; with all_cells, of the lesson's other cells too, run in a box of their own."""
        if all_cells:
            self._close_box()
            try:
                self._open_box(_all_code(self._judge.released), data=True)
            except BoxGone as gone:
                self.notes.append(f"Not all cells could be run: {_sentence(gone)}")
        return self._outputs

    def end(self):
        self._close_box()

    def _open_box(self, cells=None, data=False):
        """The box in which the cells have run. A cell that ends it is left out when it's opened anew."""
        if self._box and not cells:
            return self._box
        if time.monotonic() > self._over:
            raise BoxGone(f"the whole submission took longer than {self._judge.sandbox.limits.total_s:g} s")
        while True:
            self._close_box()
            self._box, self.started = self._judge.sandbox.open(self._over, data), True
            if self._run_cells(cells or graded_code(self._judge.released)):
                return self._box

    def _run_cells(self, cells):
        """Run the cells, but for those that ended a box before. Returns whether all have run; False when one has ended this box."""
        self._errors, room = {}, _Room()
        for cell in cells:
            if cell.id in self._stopped:
                continue
            start = time.perf_counter()
            try:
                outputs, error = self._box.run_cell(self.spliced.sources.get(cell.id, cell.source))
            except BoxGone as gone:
                self._stopped[cell.id] = str(gone)
                self._outputs[cell.id] = [{"error": _sentence(gone)}]
                self.notes.append(f"The cell {cell.id} was stopped: {gone}.")
                return False
            finally:
                self.cells_seconds += time.perf_counter() - start
            self._outputs[cell.id] = _outputs(outputs, room)
            if error:
                self._errors[cell.id] = _error(error)
                self._outputs[cell.id].append({"error": _error(error)})
        return True

    def _close_box(self):
        if self._box:
            self._box.end()
            self.memory = max(self.memory, self._box.memory)
            self._box = None


def _says_missing(log):
    """Whether a check's last call found a name that isn't defined."""
    last = log[-1] if log else None
    return isinstance(last, dict) and str(last.get("failed")).startswith("missing")


def _now():
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _ask(box, frame, deadline):
    try:
        return box.answer(frame, deadline)
    except BoxGone as gone:
        raise NotGraded(_sentence(gone)) from None


def _sentence(gone):
    text = str(gone)
    return f"{text[:1].upper()}{text[1:]}."


def graded_code(released):
    """The setup and solution cells."""
    return [cell for cell in released.cells if cell.cell_type == "code" and (
        cell.metadata.get("nbgrader", {}).get("solution") or "setup" in cell.metadata.get("tags", ()))]


def _all_code(released):
    return [cell for cell in released.cells if cell.cell_type == "code" and not cell.metadata.get("nbgrader", {}).get("grade")]


@dataclasses.dataclass
class _Room:
    """What is left for outputs of a submission's cells."""

    bytes: int = SHOWN_BYTES
    outputs: int = SHOWN_OUTPUTS

    def takes(self, size):
        if self.outputs < 1 or self.bytes < size:
            return False
        self.outputs, self.bytes = self.outputs - 1, self.bytes - size
        return True


def _outputs(outputs, shown):
    """What a box says a cell showed, as results keep it; anything out of form, or for which there is no room, is left out."""
    kept, room, pictures = [], TEXT_CHARACTERS + len(CUT), 0
    for output in outputs:
        text, picture = (output.get("text"), output.get("png")) if isinstance(output, dict) else (None, None)
        if isinstance(text, str) and text and room > 0 and shown.takes(len(text[:room])):
            kept.append({"text": printable(text[:room])})
            room -= len(text)
        elif isinstance(picture, torch.Tensor) and picture.dtype == torch.uint8 and pictures < PICTURES:
            data = picture.numpy().tobytes()
            if is_png(data) and len(data) <= PICTURE_BYTES and shown.takes(len(data)):
                pictures += 1
                kept.append({"png": base64.b64encode(data).decode()})
    return kept


def _error(error):
    """One line for an error as course_lib.worker describes it."""
    place = f" (line {error['line']}: {error.get('code', '')})" if error.get("line", "").isdigit() else ""
    return printable(f"{error.get('type', 'an error')[:100]}: {error.get('message', '')[:1000]}{place[:300]}")
