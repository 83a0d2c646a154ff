"""Setting up.

`make setup` in a fresh clone, with the packages in uv's cache already, and once more; by the clock. The folder's size is that of its
files; where uv can link to its cache they take no room twice.
"""

import subprocess
import tempfile
import time
from pathlib import Path

from tests.benchmarks.page import grid
from tests.benchmarks.records import FOLDER

MINUTES = {"cpu": 2}
WHAT = {"first": "`make setup`", "again": "`make setup` again"}


def wanted(scale):
    return [{"what": "make setup"}]


def measure(scale):
    def figures(what):
        with tempfile.TemporaryDirectory() as folder:
            clone = Path(folder) / "clone"
            subprocess.run(["git", "clone", "--quiet", FOLDER.parent.parent, clone], check=True)
            taken = {when: seconds(clone) for when in WHAT}
            size = sum(path.stat().st_size for path in (clone / ".venv").rglob("*") if path.is_file() and not path.is_symlink())
        return taken | {"gigabytes": round(size / 1e9, 1)}
    return figures


def seconds(clone):
    began = time.perf_counter()
    done = subprocess.run(["make", "setup"], cwd=clone, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"make setup failed in a fresh clone:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return round(time.perf_counter() - began, 2)


def tables(runs, scale):
    run, = runs
    return grid(("what", "seconds"), [(name, run[when]) for when, name in WHAT.items()]) + f"\n\n`.venv` holds {run['gigabytes']} GB."
