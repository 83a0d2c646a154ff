"""Measures what a training check sees: its figures over many seeds, for the reference, other right answers and wrong ones.

A bound on training comes from these distributions. Each run is a line of
`solutions/<lesson>/calibration/<check>.<scale>.jsonl`, with a key that changes when anything it depends on does: the
check, the answer, the nets, the scale. `docs/calibration.md` is made from these records.
"""

import ast
import functools
import hashlib
import importlib
import inspect
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import types
from collections import defaultdict

import torch

from course_lib import expect
from course_lib.check import judge
from course_lib.draw import Draw
from course_lib.files import whole
from course_lib.scale import at_scale
from course_lib.student import Student
from course_lib.worker import Worker

from autograder import answers
from autograder.errors import LessonError

REFERENCE = "reference"
VOCABULARY = {f"course_lib.{name}" for name in ("check", "data", "draw", "expect", "processes", "scale", "verdict")}  # that checks share


class _TrainingOnly(Student):
    """Answers everything exact as the reference does, and trains with the answer that is measured."""

    def __init__(self, reference, trained):
        super().__init__(Worker(reference).handle)
        self._trained = Student(Worker(trained).handle)

    def train(self, probe, *args, using=()):
        return self._trained.train(probe, *args, using=using)


def candidates(check):
    """The answers whose training is measured, by label: the reference (None), other right answers, then wrong ones.

    Of those, the ones to this check and to the checks it needs that are marked `trains="label"`.
    """
    wanted = (check.name, *check.needs)
    return {REFERENCE: None} | {answer.trains: answer
                                for answer in (*answers.alternative_answers(check.lesson), *answers.wrong_answers(check.lesson))
                                if answer.trains and answer.check in wanted}


def right_labels(check):
    """The labels of those candidates that ought to pass."""
    return [label for label, answer in candidates(check).items() if answer is None or answer.hint is None]


def run_one(check, label, seed, scale):
    """One training: {"key", "answer", "seed", "figures", "seconds"}; "ended" says why where it came to no figures.

    One thread, as in grading; seconds are the processor's, so that other programs on the machine don't count.
    """
    torch.set_num_threads(1)
    answer = candidates(check)[label]
    with at_scale(scale):
        reference = answers.reference_namespace(check.lesson)
        student = _TrainingOnly(reference, answer.make_namespace() if answer else reference)
    draw = Draw(f"calibration/{check.lesson}/{check.name}/{seed}".encode(), scale, secret=True)
    start = time.process_time()
    verdict = judge(check, student, Student(Worker(reference).handle), draw)
    return {"key": key(check, scale, answer), "answer": label, "seed": seed, "figures": verdict.figures,
            "seconds": round(time.process_time() - start, 2), **({} if verdict.figures else {"ended": verdict.hint})}


class Runs:
    """The runs of one check at one scale on disk, whole after each that is added. stale: those of other code, which don't count."""

    def __init__(self, check, scale):
        self.check, self.scale = check, scale
        self.path = answers.SOLUTIONS / check.lesson / "calibration" / f"{check.name}.{scale.value}.jsonl"
        keys = {label: key(check, scale, answer) for label, answer in candidates(check).items()}
        lines = self._read()
        self.runs = [run for run in lines if keys.get(run["answer"]) == run["key"]]
        self.stale = [run for run in lines if keys.get(run["answer"]) != run["key"]]

    def add(self, run):
        """Keep a run. Stale lines are dropped with the first."""
        self.path.parent.mkdir(exist_ok=True)
        if self.stale:
            self.stale = []
            self._write(self.runs)
        self.runs.append(run)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_line(run))

    def adopt(self, label, key):
        """Take an answer's stale runs for runs of the code as it is."""
        self.runs += [run | {"key": key} for run in self.stale if run["answer"] == label]
        self.stale = [run for run in self.stale if run["answer"] != label]
        self._write(self.runs + self.stale)

    def _read(self):
        """All runs on disk. A last line that was cut off, by a full disk for instance, is as good as not there, and is taken away."""
        if not self.path.is_file():
            return []
        text = self.path.read_text(encoding="utf-8")
        kept, _, cut = text.rpartition("\n")
        runs = [json.loads(line) for line in kept.splitlines()]
        if cut:
            self._write(runs)
        return runs

    def _write(self, runs):
        with whole(self.path) as unfinished:
            unfinished.write_text("".join(map(_line, runs)), encoding="utf-8")

    def missing(self, seeds, wrong_seeds):
        """The (label, seed) not run yet, the reference's first."""
        done = {(run["answer"], run["seed"]) for run in self.runs}
        return [(label, seed) for label, answer in candidates(self.check).items()
                for seed in range(wrong_seeds if answer else seeds) if (label, seed) not in done]

    def passes(self, run):
        """Whether the run's figures keep within the bounds as they are now."""
        return all(name in run["figures"] and bound.holds(run["figures"][name], self.scale)
                   for name, bound in self.check.bounds.items())

    def summary(self):
        """{label: (runs, runs that pass, {figure: (least, median, greatest)}, median seconds)}, the right answers' first."""
        by_answer = defaultdict(list)
        for run in self.runs:
            by_answer[run["answer"]].append(run)
        return {label: (len(runs), sum(map(self.passes, runs)),
                        {name: _spread([run["figures"].get(name, float("nan")) for run in runs]) for name in self.check.bounds},
                        statistics.median(run["seconds"] for run in runs))
                for label in candidates(self.check) if (runs := by_answer.get(label))}


def calibrate(check, scale, seeds=50, wrong_seeds=20, progress=iter):
    """Run what is missing of the Runs of `check` at `scale` and return them; when interrupted, it goes on where it was."""
    runs = Runs(check, scale)
    for label, seed in progress(runs.missing(seeds, wrong_seeds)):
        runs.add(run_one(check, label, seed, scale))
    return runs


def keep_unchanged(check, scale, commit="HEAD", progress=iter):
    """After a change that can't move figures, of a message for instance: make the first two runs of each answer again, and keep all of its
    runs if these come out equal to the last digit, to those on record or, since another processor may have made them, to those that the
    code of `commit` gives here. Returns the labels of those that don't; their runs are stale as before."""
    runs, moved = Runs(check, scale), []
    stale = {label: sorted(old, key=lambda run: run["seed"]) for label in candidates(check)
             if (old := [run for run in runs.stale if run["answer"] == label])}
    for label, old in progress(stale.items()):
        first = old[:2]
        seeds = [run["seed"] for run in first]
        now = [run_one(check, label, seed, scale) for seed in seeds]
        equal = _figures(now) == _figures(first)
        if not equal:
            then = runs_of(commit, check, label, seeds, scale)
            equal = _figures(now) == _figures(then) and then[0]["key"] == first[0]["key"]
        if equal and len({run["key"] for run in old}) == 1:
            runs.adopt(label, now[0]["key"])
        else:
            moved.append(label)
    return moved


def _figures(runs):
    return json.dumps([run["figures"] for run in runs])  # as text, in which NaN equals NaN


RUNS_OF = """
import json, sys
from autograder import build, calibrate
from course_lib.scale import Scale
lesson, check, label, scale, *seeds = sys.argv[1:]
check = build.Course().checks_of(lesson)[check]
print(json.dumps([calibrate.run_one(check, label, int(seed), Scale(scale)) for seed in seeds]))
"""


def runs_of(commit, check, label, seeds, scale):
    """What `run_one` gives by the code of a commit, in a worktree and a process of its own."""
    worktree = ["git", "-C", str(answers.SOLUTIONS), "worktree"]
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run([*worktree, "add", "--quiet", "--detach", folder, commit]).returncode:
            raise LessonError(f"the code of {commit!r} can't be checked out; git's message above says why")
        try:
            run = subprocess.run([sys.executable, "-c", RUNS_OF, check.lesson, check.name, label, scale.value, *map(str, seeds)], cwd=folder,
                                 env=os.environ | {"PYTHONPATH": folder}, check=True, stdout=subprocess.PIPE, text=True)
        finally:
            subprocess.run([*worktree, "remove", "--force", folder], check=True)
    return json.loads(run.stdout.splitlines()[-1])  # what the code itself prints comes before


def key(check, scale, answer=None):
    """A hash of all that the figures depend on: the check, the reference and what they use of course_lib, the answer, the scale.

    Bounds stay out, since they follow from the figures; so do messages, comments, docstrings and decorators.
    """
    parts = [("scale", scale.value), *(("check", each) for each in _code_of(inspect.getmodule(check.body), check.body.__name__)),
             *(("reference", name, _bare(source)) for name, source in answers.reference_cells(check.lesson, setup=False)),
             *(("reference uses", each) for each in _used_by_reference(check.lesson))]
    if answer:
        parts.append(("answer", _bare("\n".join(map(ast.unparse, answer.own_statements())))))
    return hashlib.sha256(json.dumps(sorted(parts)).encode()).hexdigest()[:16]


def _code_of(module, name):
    """The sources of a name: the statements of the module that bind it, those of all names that these use, in course_lib's other modules
    too, and each module that is used as a whole; nothing of the VOCABULARY."""
    return _closure([(module, name)], set())


@functools.cache
def _used_by_reference(lesson):
    """The sources of what a lesson's solution cells use of course_lib, in the same way."""
    cells = [ast.parse(source) for _, source in answers.reference_cells(lesson, setup=False)]
    names, pending, sources = {part.id for cell in cells for part in ast.walk(cell) if isinstance(part, ast.Name)}, [], set()
    for _, source in answers.reference_cells(lesson):
        for part in ast.walk(ast.parse(source)):
            if isinstance(part, ast.ImportFrom):
                _follow(part, pending, sources, names)
    return _closure(pending, sources)


def _closure(pending, sources):
    """The sources, with those of all the names (module, name) that are pending, and of what these use; sorted."""
    seen = set()
    while pending:
        module, name = here = pending.pop()
        if here in seen or _is_message_or_bound(getattr(module, name, None)):
            continue
        seen.add(here)
        for statement in _statements(module).get(name, ()):
            sources.add(ast.unparse(statement))
            for part in ast.walk(statement):
                if isinstance(part, ast.Name):
                    pending.append((module, part.id))
                elif isinstance(part, ast.ImportFrom):
                    _follow(part, pending, sources)
    return sorted(sources)


def _follow(statement, pending, sources, names=None):
    """Of what is imported from course_lib, the VOCABULARY left out, put functions and the like to what is pending, modules to the sources.
    names: those that are used; all by default."""
    if statement.module.partition(".")[0] == "course_lib" and statement.module not in VOCABULARY:
        origin = importlib.import_module(statement.module)
        for alias in statement.names:
            if names is None or (alias.asname or alias.name) in names:
                used = getattr(origin, alias.name, None) or importlib.import_module(f"{statement.module}.{alias.name}")
                if not isinstance(used, types.ModuleType):
                    pending.append((origin, alias.name))
                elif used.__name__ not in VOCABULARY:
                    sources.add(_bare(inspect.getsource(used)))


@functools.cache
def _statements(module):
    """{name: the statements that bind it}, of the module itself, without comments, docstrings and decorators."""
    bound = defaultdict(list)
    for statement in ast.parse(_bare(inspect.getsource(module))).body:
        names = ([statement.name] if hasattr(statement, "name") else
                 [alias.asname or alias.name for alias in statement.names] if hasattr(statement, "names") else
                 _stored(statement))
        for name in names:
            bound[name].append(statement)
    return bound


def _stored(statement):
    """The names that a statement gives something to; those of a comprehension live in it alone."""
    inner = {part for each in ast.walk(statement) if isinstance(each, ast.comprehension) for part in ast.walk(each.target)}
    return [part.id for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store) and part not in inner]


def _is_message_or_bound(value):
    return isinstance(value, str) or all(isinstance(each, expect.Bound) for each in (value.values() if isinstance(value, dict) else [value]))


@functools.cache
def _bare(source):
    """The source without comments, docstrings and decorators."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            node.decorator_list = []
        if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)) and ast.get_docstring(node, clean=False) is not None:
            node.body[0].value.value = ""
    return ast.unparse(tree)


def _line(run):
    return json.dumps(run, ensure_ascii=False) + "\n"


def _spread(values):
    ordered = sorted(value for value in values if value == value) or [float("nan")]  # a run that ended early has none
    return ordered[0], statistics.median(ordered), ordered[-1]


# --- docs/calibration.md ---

HEAD = """# What the training checks see

Made by `autograder calibrate` from the records in `solutions/<lesson>/calibration/`; do not edit.

A check that trains judges by figures that differ from seed to seed. Each was measured with the reference solution, with right
answers that train in another way (named after it), and with wrong answers whose *training steps* are wrong, over many seeds, on one
thread; the bounds stand between. In grading and in the notebook most of these wrong answers don't get as far as the training, since an
exact check of the step fails first. The tables show what the training alone would see, and what it would not: that is why it earns a
part of the points only. One mistake needs no run: fakes that aren't detached in the discriminator's step put gradients into the
generator which its own step then clears, so that training is the reference's bit for bit.

Each run stands for itself. In grading a training that falls short of a bound is made once more, on another draw, before it is failed: so
right work fails there only if both runs do, and wrong work that "pass" counts in some of the seeds only has two chances.

Least / median / greatest over the seeds; seconds of one processor core, median.
"""


def page(checks_by_lesson, scales):
    """The text of docs/calibration.md for {lesson: checks}."""
    parts = [HEAD]
    for lesson, checks in checks_by_lesson.items():
        for check in checks:
            if check.trains:
                parts.append(f"\n## {lesson}: `{check.name}` ({check.points:g} points)\n\n{check.title}\n")
                parts += [_table(Runs(check, scale)) for scale in scales]
    return "".join(parts)


def _table(runs):
    summary = runs.summary()
    if not summary:
        return f"\n### Scale `{runs.scale.value}`\n\nNot measured yet.\n"
    bounds = ", ".join(f"{name} {bound.sense} {bound.value(runs.scale):g}" for name, bound in runs.check.bounds.items())
    rows = [f"\n### Scale `{runs.scale.value}`\n\nBounds: {bounds}.\n\n",
            f"| answer | seeds | pass | {' | '.join(runs.check.bounds)} | seconds |\n|{'---|' * (len(runs.check.bounds) + 4)}\n"]
    for label, (count, passing, figures, seconds) in summary.items():
        cells = [" / ".join(f"{value:.3g}" for value in figures[name]) for name in runs.check.bounds]
        rows.append(f"| {label} | {count} | {passing} | {' | '.join(cells)} | {seconds:.1f} |\n")
    right = right_labels(runs.check)
    unseen = [label for label, (count, passing, *_) in summary.items() if label not in right and passing]
    rows.append(f"\nWhat these figures can't tell from right work: {'; '.join(unseen)}.\n" if unseen else
                "\nThese figures tell every one of them from right work.\n")
    return "".join(rows)
