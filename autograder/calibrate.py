"""Measures what a training check sees: its figures over many seeds, for the reference and for wrong answers.

A threshold on training comes from these distributions. One line a run is kept in
`solutions/<lesson>/calibration/<check>.<scale>.jsonl`, under a key that changes when anything the figures depend on
does: the check, the answers, the modules it uses, the scale. `docs/calibration.md` is made from the records.
"""

import ast
import hashlib
import inspect
import json
import statistics
import textwrap
import time
import types
from collections import defaultdict

import torch

from course_lib import frechet, gan
from course_lib.check import judge
from course_lib.draw import Draw
from course_lib.student import Student
from course_lib.worker import Worker

from autograder import answers

REFERENCE = "reference"


class _TrainingOnly(Student):
    """Answers everything exact as the reference does, and trains with the answer that is measured."""

    def __init__(self, reference, trained):
        super().__init__(Worker(reference).handle)
        self._trained = Student(Worker(trained).handle)

    def train(self, probe, *args, using=()):
        return self._trained.train(probe, *args, using=using)


def candidates(check):
    """The answers whose training is measured: {label: (make_namespace, hint)}; the reference first.

    Of the wrong answers, those to this check and to the ones it needs that are marked `trains=True`.
    """
    found = {REFERENCE: (lambda: answers.reference_namespace(check.lesson), "")}
    for answer in answers.wrong_answers(check.lesson):
        if answer.trains and answer.check in (check.name, *check.needs):
            found[answer.trains] = (answer.make_namespace, answer.hint)
    return found


def run_one(check, label, seed, scale):
    """One training: {"answer", "seed", "figures", "seconds"}, "ended" where it never got to figures. One thread, as in grading."""
    torch.set_num_threads(1)
    make_namespace, _ = candidates(check)[label]
    reference = answers.reference_namespace(check.lesson)
    draw = Draw(f"calibration/{check.lesson}/{check.name}/{seed}".encode(), scale, secret=True)
    start = time.process_time()  # of the processor: other programs on the machine don't count
    verdict = judge(check, _TrainingOnly(reference, make_namespace()), Student(Worker(reference).handle), draw)
    return {"answer": label, "seed": seed, "figures": verdict.figures, "seconds": round(time.process_time() - start, 2),
            **({} if verdict.figures else {"ended": verdict.hint})}


class Record:
    """The runs of one check at one scale on disk. Lines under another key are stale and dropped when one is added."""

    def __init__(self, check, scale):
        self.check, self.scale, self.key = check, scale, key(check, scale)
        self.path = answers.SOLUTIONS / check.lesson / "calibration" / f"{check.name}.{scale.value}.jsonl"
        lines = self.path.read_text().splitlines() if self.path.is_file() else []
        self.stale = not lines or json.loads(lines[0]).get("key") != self.key
        self.runs = [] if self.stale else [json.loads(line) for line in lines[1:]]

    def add(self, run):
        """Append a run; the file is whole after each, so that an interrupted calibration goes on where it was."""
        if self.stale:
            self.path.parent.mkdir(exist_ok=True)
            self.path.write_text(json.dumps({"key": self.key, "torch": torch.__version__}) + "\n")
            self.stale = False
        self.runs.append(run)
        with self.path.open("a") as file:
            file.write(json.dumps(run, ensure_ascii=False) + "\n")

    def missing(self, seeds, wrong_seeds):
        """The (label, seed) not run yet, the reference's first."""
        done = {(run["answer"], run["seed"]) for run in self.runs}
        for label in candidates(self.check):
            for seed in range(seeds if label == REFERENCE else wrong_seeds):
                if (label, seed) not in done:
                    yield label, seed

    def _passes(self, run):
        """Whether the run's figures keep within the bounds as they are now."""
        return all(name in run["figures"] and bound.holds(run["figures"][name], self.scale)
                   for name, bound in self.check.bounds.items())

    def summary(self):
        """Per answer: (label, runs, share that passes, {figure: (least, median, greatest)}, median seconds)."""
        by_answer = defaultdict(list)
        for run in self.runs:
            by_answer[run["answer"]].append(run)
        for label in candidates(self.check):
            runs = by_answer.get(label, [])
            if runs:
                figures = defaultdict(list)
                for run in runs:
                    for name, value in run["figures"].items():
                        figures[name].append(value)
                yield (label, len(runs), sum(self._passes(run) for run in runs) / len(runs),
                       {name: (min(values), statistics.median(values), max(values)) for name, values in figures.items()},
                       statistics.median(run["seconds"] for run in runs))


def calibrate(check, scale, seeds=50, wrong_seeds=20, progress=iter):
    """Run what is missing of the record of `check` at `scale`; can be interrupted and goes on where it was."""
    record = Record(check, scale)
    for label, seed in progress(list(record.missing(seeds, wrong_seeds))):
        record.add(run_one(check, label, seed, scale))
    return record


def key(check, scale):
    """A hash of all that the figures depend on: the check and its helpers, the nets, the reference, the scale.

    Bounds stay out, since they follow from the figures; so do comments, docstrings and decorators.
    """
    module = inspect.getmodule(check.body)
    pending, parts = [check.body], {scale.value: ""}
    while pending:
        function = pending.pop()
        if function.__qualname__ not in parts:
            parts[function.__qualname__] = _bare(inspect.getsource(function))
            pending += [used for used in map(vars(module).get, _names_in(function.__code__))
                        if isinstance(used, types.FunctionType) and used.__module__ == module.__name__]
    parts |= {used.__name__: _bare(inspect.getsource(used)) for used in (gan, frechet)}
    parts |= {name: _bare(source) for name, source in answers.reference_cells(check.lesson)}
    return hashlib.sha256(json.dumps(sorted(parts.items())).encode()).hexdigest()[:16]


def _names_in(code):
    """Global names a function uses, in itself and in what is defined within it."""
    return {*code.co_names}.union(*(_names_in(const) for const in code.co_consts if isinstance(const, types.CodeType)))


def _bare(source):
    """The source without comments, docstrings and decorators."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.decorator_list = []
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node, clean=False) is not None:
            node.body[0].value.value = ""
    return ast.unparse(tree)
