"""What a machine takes for all cells of a lesson, training and plots included, for the start page to scale by a machine's pace.

    python -m tests.benchmarks.lesson_seconds [LESSON …] [--scale cpu]

Runs the solved notebooks (all lessons by default) and writes course_lib/pace.json. Seconds are of the processor, one thread,
the source nets of fine_tuning included when $COURSE_CACHE is empty. Lessons that aren't named keep their figures; so measure all of
them on one machine, or set its `seconds`, the piece of training that pace.measure times, anew with all of them.
"""

import argparse
import json
import os
import resource
import tempfile
from pathlib import Path

from autograder import build
from autograder.cli import this_course
from course_lib import pace


def processor_seconds(course, lesson, scale):
    """Of all cells of the solved notebook."""
    def used():
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime

    with tempfile.TemporaryDirectory() as folder:
        os.environ["COURSE_SCALE"] = scale
        build.build_to(course, lesson, Path(folder), "solved")
        before = used()
        build.execute(Path(folder) / lesson / f"{lesson}.ipynb")
        return used() - before


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lessons", nargs="*")
    parser.add_argument("--scale", default="cpu", choices=("smoke", "cpu", "gpu"))
    options = parser.parse_args()
    course, known = this_course(), pace.record()
    if not options.lessons:
        known["seconds"] = round(pace.measure(), 3)
    for lesson in course.choose(options.lessons):
        seconds = processor_seconds(course, lesson, options.scale)
        known["lessons"].setdefault(lesson, {})[options.scale] = round(seconds)
        pace.RECORD.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
        print(f"{lesson} {options.scale} {seconds:.0f} s", flush=True)
