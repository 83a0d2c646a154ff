"""How long grading a class takes.

`autograder grade` beside stock `nbgrader autograde` on the same hand-ins of `gan_math`, in one run. Each hand-in has four fifths of the
exercises right, drawn at random, and leaves the two steps out, so that nothing is trained: what is measured is the cost around a
submission's own code. Stock nbgrader runs every cell of a notebook, so its hand-ins keep only the setup, the exercises and the checks; they
are harmless: it runs them without a sandbox. What starting takes is the time of a class of two.
"""

import copy
import importlib.metadata
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from tests.benchmarks.page import grid

MINUTES = {"cpu": 5}
LESSON = "gan_math"
UNWRITTEN = ("solution-discriminator_step", "solution-generator_step")


def make_hand_ins(folder, count):
    """submitted/ with `count` hand-ins, stripped to what both graders need."""
    from autograder import build
    notebooks = build.notebooks(build.Course(), LESSON)
    solved = {cell.id: cell.source for cell in notebooks.solved.cells}
    for number in range(count):
        notebook = copy.deepcopy(notebooks.released)
        notebook.cells = [cell for cell in notebook.cells if cell.metadata.get("nbgrader")]
        chance = random.Random(number)
        for cell in notebook.cells:
            if cell.id.startswith("solution-") and cell.id not in UNWRITTEN and chance.random() < 0.8:
                cell.source = solved[cell.id]
        path = folder / "submitted" / f"s{number:03d}" / LESSON / f"{LESSON}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)


def timed(*command, cwd):
    start = time.perf_counter()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "COURSE_SCALE": "smoke",
                                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - start


def graded_here(folder, count, jobs):
    make_hand_ins(folder, count)
    grade = [sys.executable, "-m", "autograder.cli", "grade", LESSON, "--class", str(folder), "--scale", "smoke", "--jobs", str(jobs)]
    seconds, again = timed(*grade, cwd="/"), timed(*grade, cwd="/")
    results = [json.loads(path.read_text()) for path in sorted((folder / "results" / LESSON).glob("*.json"))]
    assert len(results) == count
    return seconds, again, results


def own_code():
    """Seconds that a hand-in's cells and checks take when they simply run, in one process that has imported everything."""
    from autograder.answers import reference_namespace
    from course_lib.check import checks_of, judge_locally
    from course_lib.scale import Scale
    namespace = {name: value for name, value in reference_namespace(LESSON).items() if name not in ("discriminator_step", "generator_step")}
    measured = []
    for _ in range(5):
        start = time.perf_counter()
        reference_namespace(LESSON)
        for name in checks_of(LESSON):
            judge_locally(LESSON, name, namespace, scale=Scale.SMOKE)
        measured.append(time.perf_counter() - start)
    return statistics.median(measured)


def graded_by_nbgrader(folder, count):
    from autograder import build
    make_hand_ins(folder, count)
    build.build_to(build.Course(), LESSON, folder / "source", "source")
    (folder / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "bench"\nc.Execute.timeout = 600\n')
    nbgrader = [sys.executable, "-m", "nbgrader"]
    timed(*nbgrader, "generate_assignment", LESSON, cwd=folder)
    return timed(*nbgrader, "autograde", LESSON, cwd=folder)


def wanted(scale):
    return [{"submissions": 200, "stock": 6, "jobs": 2}]


def measure(scale):
    def figures(submissions, stock, jobs):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("warm", "few"):  # the first fills the disk's cache
                few, *_ = graded_here(Path(folder) / name, 2, jobs)
            seconds, again, results = graded_here(Path(folder) / "many", submissions, jobs)
            theirs = graded_by_nbgrader(Path(folder) / "stock", stock) / stock
        return {"seconds": seconds, "few": few, "again": again, "own": own_code(), "nbgrader": theirs,
                "version": importlib.metadata.version("nbgrader"), "in its worker": statistics.median(result["seconds"] for result in results)}
    return figures


def tables(runs, scale):
    run, = runs
    each, own, jobs = run["seconds"] / run["submissions"], run["own"], run["jobs"]
    # Two submissions take what starting takes; the rest of the class shows what one more costs.
    more = (run["seconds"] - run["few"]) / (run["submissions"] - 2)
    return grid(("what", "seconds"), [
        (f"`autograder grade`, {run['submissions']} hand-ins, {jobs} jobs", f"{run['seconds']:.1f} in all, {each:.2f} each"),
        ("of which starting", f"{run['few']:.1f}"),
        ("one more hand-in, on the clock", f"{more:.3f}"),
        ("one hand-in within its worker, median", f"{run['in its worker']:.3f}"),
        ("its own code: cells and checks in one process", f"{own:.3f}"),
        (f"overhead for one hand-in, {jobs} × the clock − its own code", f"{jobs * more - own:.3f}"),
        ("again, nothing changed", f"{run['again']:.1f} in all"),
        (f"stock `nbgrader autograde` {run['version']}, {run['stock']} of the same", f"{run['nbgrader']:.2f} each"),
        ("overhead, stock", f"{run['nbgrader'] - own:.2f}"),
        ("ours / stock: overhead", f"{(jobs * more - own) / (run['nbgrader'] - own):.3f}"),
        ("stock / ours: time for the class; beyond starting", f"{run['nbgrader'] / each:.1f}; {run['nbgrader'] / more:.1f}")])
