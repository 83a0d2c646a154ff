"""What a learner waits for.

Medians of seven; checks that train, once. Imports and `course doctor` in fresh processes, by the clock; `import course_lib` in turns with
`import torch` alone, so that both meet the same machine. The rest on the reference solution, one thread: checks by the clock, as the
notebook runs them; sliders of explorables from event to picture, processor time. A check that trains does so itself here; in a lesson it
judges the net that was just trained. Ranks of `data_parallel` are played, not run (`course_lib/carried.py`).
"""

import statistics
import subprocess
import sys
import time

import numpy as np

from autograder.answers import reference_namespace
from autograder.cli import this_course
from course_lib.check import checks_of, judge_locally, snapshot
from tests.benchmarks.page import grid

MINUTES = {"cpu": 4}
ROUNDS = 7
SLIDERS = {"gan_math.saturation": ("saturating_loss", "non_saturating_loss"), "gan_math.optimal_discriminator": ("optimal_discriminator",),
           "gan_math.dirac_gan": ("dirac_field", "dirac_step")}
ALONE, BOTH = "import torch", "import torch, course_lib"
DOCTOR = "from course_lib import doctor; doctor.main()"


def wanted(scale):
    return [{"what": "import course_lib"}, {"what": "course doctor"}, *({"slider": name} for name in SLIDERS),
            *({"lesson": lesson, "check": name, "trains": bool(check.trains)} for lesson in this_course().lessons()
              for name, check in checks_of(lesson).items())]


def measure(scale):
    def figures(what=None, slider=None, lesson=None, check=None, trains=None):
        if slider:
            return {"seconds": slider_seconds(*slider.split("."))}
        if lesson:
            return {"seconds": check_seconds(lesson, check, 1 if trains else ROUNDS)}
        return imports() if what == "import course_lib" else {"seconds": process_seconds(DOCTOR)[DOCTOR]}
    return figures


def process_seconds(*programs):
    """{program: median by the clock}, each in fresh processes, in turns; the first round warms the disk's cache."""
    times = {program: [] for program in programs}
    for _ in range(ROUNDS + 1):
        for program, taken in times.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=True)
            taken.append(time.perf_counter() - began)
    return {program: round(statistics.median(taken[1:]), 3) for program, taken in times.items()}


def imports():
    taken = process_seconds(ALONE, BOTH)
    return {"torch": taken[ALONE], "both": taken[BOTH]}


def slider_seconds(lesson, name):
    from importlib import import_module
    pieces = reference_namespace(lesson)
    explorable = getattr(import_module(f"course_lib.explore.{lesson}"), name)(*(pieces[each] for each in SLIDERS[f"{lesson}.{name}"]))
    control, times = next(iter(explorable._controls.values())), []
    for share in np.linspace(0.1, 0.5, ROUNDS):
        began = time.process_time()
        control.value = control.min + share * (control.max - control.min)
        times.append(time.process_time() - began)
    return round(statistics.median(times), 4)


def check_seconds(lesson, check, rounds):
    namespace = reference_namespace(lesson)
    snapshot(lesson)
    verdicts = [judge_locally(lesson, check, namespace) for _ in range(rounds)]
    assert all(verdict.passed for verdict in verdicts), f"{lesson}'s {check} doesn't pass on the reference"
    return round(statistics.median(verdict.seconds for verdict in verdicts), 4)


def tables(runs, scale):
    by_what = {run.get("what") or run.get("slider"): run for run in runs}
    rows = []
    if imported := by_what.get("import course_lib"):
        rows.append(("`import course_lib` beyond `import torch`", f"{imported['both'] - imported['torch']:.2f} s "
                     f"({imported['both']:.2f} against {imported['torch']:.2f})"))
    if doctor := by_what.get("course doctor"):
        rows.append(("`course doctor`", f"{doctor['seconds']:.2f} s"))
    rows += [(f"a slider of `{name}`", f"{1000 * by_what[name]['seconds']:.0f} ms") for name in SLIDERS if name in by_what]
    of = lambda lesson, trains: [run for run in runs if run.get("lesson") == lesson and run["trains"] == trains]
    listed = lambda own: ", ".join(f"`{run['check']}` {run['seconds']:.{2 if run['seconds'] < 1 else 1}f}" for run in own)
    lessons = dict.fromkeys(run["lesson"] for run in runs if "lesson" in run)
    return "\n\n".join([grid(("what", "median"), rows), grid(
        ("lesson", "checks that don't train, s", "all of them, s", "checks that train, s"),
        [(f"`{lesson}`", listed(of(lesson, False)), f"{sum(run['seconds'] for run in of(lesson, False)):.1f}", listed(of(lesson, True)))
         for lesson in lessons])])
