"""What a learner waits for, measured: `python tests/benchmarks/quickness.py [LESSON]`. Prints medians; asserts nothing.

Imports are timed in fresh processes, `import course_lib` beside `import torch` in turn, so that both meet the same machine.
Checks are timed on the reference solution in one process, at the scale of $COURSE_SCALE.
"""

import statistics
import subprocess
import sys
import time

RUNS = 7


def process_seconds(code):
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - start


def imports():
    codes = {"import torch": "import torch", "import torch, course_lib": "import torch, course_lib"}
    times = {name: [] for name in codes}
    for code in codes.values():
        process_seconds(code)  # warms the disk cache
    for _ in range(RUNS):
        for name, code in codes.items():
            times[name].append(process_seconds(code))
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:<28}{value:6.2f} s  (median of {RUNS})")
    alone, both = medians.values()
    print(f"course_lib adds {both - alone:.2f} s, a factor of {both / alone:.2f}\n")


def checks(lesson):
    import torch
    from autograder.answers import reference_namespace
    from course_lib.check import checks_of, judge_locally, snapshot
    torch.set_num_threads(1)
    namespace = reference_namespace(lesson)
    snapshot(lesson)
    for name, check in checks_of(lesson).items():
        runs = [judge_locally(lesson, name, namespace).seconds for _ in range(1 if check.trains else RUNS)]
        print(f"check {name:<24}{statistics.median(runs):6.3f} s" + ("  (trains)" if check.trains else f"  (median of {RUNS})"))


if __name__ == "__main__":
    imports()
    checks(sys.argv[1] if len(sys.argv) > 1 else "gan_math")
