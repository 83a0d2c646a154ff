"""A lesson from first to last cell.

All cells of the solved notebook, training and plots included: seconds of the processor, one thread. `fine_tuning` trains its source nets
too where the cache folder has none yet. The pace is the least time of a small piece of training (`course_lib/pace.py`), taken just before:
with it the start page says how long a lesson computes on another machine.
"""

import json
import resource
import tempfile
from pathlib import Path

from autograder import build
from autograder.cli import this_course
from course_lib import pace
from tests.benchmarks.page import UNMARKED, grid
from tests.benchmarks.records import kept, path_of

MINUTES = {"cpu": 18, "smoke": 4}


def wanted(scale):
    return [{"lesson": lesson} for lesson in this_course().lessons()]


def measure(scale):
    course = this_course()

    def figures(lesson):
        piece = pace.measure()
        with tempfile.TemporaryDirectory() as folder:
            build.build_to(course, lesson, Path(folder), "solved")
            before = used()
            build.execute(Path(folder) / lesson / f"{lesson}.ipynb")
            return {"seconds": round(used() - before), "pace": round(piece, 3)}

    return figures


def used():
    """Seconds of the processor that processes started from here have taken."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def tables(runs, scale):
    return grid(("lesson", "seconds", "pace, s"), [(f"`{run['lesson']}`", run["seconds"], f"{run['pace']:.3f}") for run in runs])


def hand_on():
    """course_lib/pace.json, all seconds as on the machine of the first."""
    runs = {scale: kept(path_of("lesson_seconds", scale), wanted(scale)) for scale in MINUTES}
    if not runs["cpu"]:
        return  # nothing to scale by
    first = runs["cpu"][0]
    on, lessons = first.get("on", UNMARKED), {}
    for scale, own in runs.items():
        for run in own:
            lessons.setdefault(run["lesson"], {})[scale] = round(run["seconds"] * first["pace"] / run["pace"])
    known = {"lessons": lessons, "machine": f"{on['machine']}, torch {on['torch']}", "seconds": first["pace"]}
    pace.RECORD.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
