"""Runs the corpus through stock `nbgrader autograde`, and records what it gives in stock.json, beside this file.

    python -m tests.attacks.against_stock [ATTACK …]     those; without any, all that aren't recorded yet

Each attack has a box of autograder.sandbox to itself, and in it a whole throw-away course of nbgrader's: source, gradebook,
hand-in, and the staff's checkout, as on the machine of whoever grades. What an attack does to grader, gradebook and machine
it does there, under limits, and is gone with the box. The lesson is cut down to its setup, solution and check cells.

Nothing of the corpus is left out. What could harm the machine even so is memory of the kernel's that isn't counted; the
attacks that ask for it stop at an amount that does no harm. An archive is nothing that `nbgrader autograde` takes.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nbformat

from autograder import build, walls
from autograder.sandbox import BoxGone, Limits, Sandbox
from course_lib.scale import Scale

from . import corpus, craft

RECORD = Path(__file__).with_name("stock.json")
LIMITS = Limits(cell_s=240, total_s=300, memory=3 * 1024**3, processes=160, file=256 * 1024**2)
HOME = f"{walls.HOME}/class"

AUTOGRADE = """
import os, subprocess, sys
subprocess.run(["cp", "-a", {stage!r} + "/class", {home!r}], check=True)
subprocess.run(["cp", "-a", {stage!r} + "/" + {name!r} + "/submitted", {home!r}], check=True)
environment = dict(os.environ, PYTHONPATH={stage!r}, PATH=os.path.dirname(sys.executable) + ":/usr/bin:/bin")
done = subprocess.run([sys.executable, "-m", "nbgrader", "autograde", {lesson!r}], cwd={home!r}, env=environment,
                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open("/tmp/log", "wb"))
print("status", done.returncode)
print(open("/tmp/log", errors="replace").read()[-1500:])
"""
SCORE = """
import sqlite3
book = sqlite3.connect("file:" + {home!r} + "/gradebook.db?mode=ro", uri=True)
graded, = book.execute("SELECT count(DISTINCT notebook_id) FROM grade").fetchone()
points, = book.execute("SELECT total(coalesce(manual_score, auto_score)) FROM grade").fetchone()
print("graded", graded, "points", points)
"""


def stage(folder):
    """Make the course in `folder`: nbgrader's, with its gradebook, and the staff's checkout. Returns the released notebook."""
    for name in ("course_lib", "autograder", "solutions"):
        shutil.copytree(build.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    source = build.notebooks(build.Course(), craft.LESSON).source
    source.cells = [cell for cell in source.cells if cell.id.startswith(("setup-", "solution-", "check-"))]
    build.write(folder / "class" / "source" / craft.LESSON / craft.NOTEBOOK, source)
    (folder / "class" / "nbgrader_config.py").write_text("c = get_config()\nc.CourseDirectory.course_id = 'stock'\n")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # nbgrader starts `alembic` by its name
    subprocess.run([sys.executable, "-m", "nbgrader", "generate_assignment", craft.LESSON], cwd=folder / "class", check=True,
                   env=os.environ | {"PATH": path, "JUPYTER_CONFIG_DIR": str(folder)}, capture_output=True)
    return nbformat.read(folder / "class" / "release" / craft.LESSON / craft.NOTEBOOK, as_version=4)


def outcome(sandbox, folder, name):
    """What stock gives to the hand-in in folder/<name>/submitted: points, or in words what became of the grading."""
    given = dict(stage=str(folder), home=HOME, name=name, lesson=craft.LESSON)
    try:
        with sandbox.open() as box:
            outputs, error = box.run_cell(AUTOGRADE.format(**given))
            log = _text(outputs)
            status = re.search(r"^status (-?\d+)$", log, re.MULTILINE)
            score = re.search(r"^graded (\d+) points (\S+)$", _text(box.run_cell(SCORE.format(**given))[0]), re.MULTILINE)
    except BoxGone as gone:
        kinds = {"time": "hung", "ended its own process": "grader killed"}
        return next((kinds[part] for part in kinds if part in str(gone)), "stopped by these walls"), str(gone)
    if error or not status:
        return "grading aborted", str(error or log)
    if int(status[1]) < 0:
        return "grader killed", log
    if not score:
        return "gradebook broken", log
    if int(status[1]) or not int(score[1]):
        return "grading aborted", log
    return float(score[2]), log


def _text(outputs):
    return "".join(output.get("text", "") for output in outputs)


def main(names):
    recorded = json.loads(RECORD.read_text()) if RECORD.is_file() else {}
    with tempfile.TemporaryDirectory(prefix="stock-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        released = stage(folder)
        sights = walls.Sights(build.ROOT / "course_lib", data=folder)
        with Sandbox(sights, Scale.SMOKE, LIMITS) as sandbox:
            for attack in corpus():
                if attack.name not in names if names else attack.name in recorded:
                    continue
                start, room = time.monotonic(), folder / attack.name
                if attack.hand_in(room / "submitted" / attack.name / craft.LESSON, craft.base(released)):
                    given, log = "not taken", "an archive"
                else:
                    subprocess.run(["chmod", "-R", "a+rwX", str(room)], check=True)
                    given, log = outcome(sandbox, folder, attack.name)
                shutil.rmtree(room)
                recorded[attack.name] = given
                RECORD.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")
                print(f"{attack.name}: {given}, deserved {attack.points} ({time.monotonic() - start:.0f} s)", flush=True)
                if not isinstance(given, float):
                    print("    " + log.strip()[-400:].replace("\n", "\n    "), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
