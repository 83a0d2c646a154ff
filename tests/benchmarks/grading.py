"""How long a class takes: `autograder grade` beside stock `nbgrader autograde`, on the same hand-ins, in one run.

    python tests/benchmarks/grading.py --submissions 200 --stock 8

Each hand-in has four fifths of the exercises right, drawn at random, and leaves the two steps out, so that nothing is trained:
what is measured is the cost around a submission's own code. Stock nbgrader runs every cell of a notebook, so its hand-ins keep
only the setup, the exercises and the checks. Its notebooks are the same, and harmless: it runs them without a sandbox.
"""

import argparse
import copy
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
        raise SystemExit(f"{command} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - start


def ours(folder, count, jobs):
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


def stock(folder, count):
    from autograder import build
    make_hand_ins(folder, count)
    build.build_to(build.Course(), LESSON, folder / "source", "source")
    (folder / "nbgrader_config.py").write_text('c = get_config()\nc.CourseDirectory.course_id = "bench"\nc.Execute.timeout = 600\n')
    nbgrader = [sys.executable, "-m", "nbgrader"]
    timed(*nbgrader, "generate_assignment", LESSON, cwd=folder)
    return timed(*nbgrader, "autograde", LESSON, cwd=folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--stock", type=int, default=8, help="how many of them stock nbgrader grades")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in ("warm", "few"):  # the first fills the disk's cache
            few, *_ = ours(Path(folder) / name, 2, arguments.jobs)
        seconds, again, results = ours(Path(folder) / "many", arguments.submissions, arguments.jobs)
        theirs = stock(Path(folder) / "stock", arguments.stock) / arguments.stock
    own = own_code()
    each = seconds / arguments.submissions
    # Two submissions take what starting takes; the rest of the class shows what one more costs.
    more = (seconds - few) / (arguments.submissions - 2)
    judged = statistics.median(result["seconds"] for result in results)
    print(f"""
| what | seconds |
|---|---|
| `autograder grade`, {arguments.submissions} submissions, {arguments.jobs} jobs | {seconds:.1f} in all, {each:.2f} each |
| of which starting (a class of 2) | {few:.1f} |
| one more submission, {arguments.jobs} jobs | {more:.3f} on the clock |
| one submission within its worker, median | {judged:.3f} |
| its own code: cells and checks in one process | {own:.3f} |
| overhead for one submission: {arguments.jobs} × the clock − its own code | {arguments.jobs * more - own:.3f} |
| again, nothing changed | {again:.1f} in all |
| stock `nbgrader autograde`, the same notebooks, {arguments.stock} of them | {theirs:.2f} each |
| overhead, stock | {theirs - own:.2f} |
| overhead: ours / stock | {(arguments.jobs * more - own) / (theirs - own):.3f} |
| throughput: ours / stock | {theirs / each:.1f} in all, {theirs / more:.1f} beyond starting |
""")


if __name__ == "__main__":
    main()
