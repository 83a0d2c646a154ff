"""What all tests share: where the repository is, on how many threads they compute, and when a missing tool may skip a test."""

import os
import signal
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports torch. As in the lessons: the nets are small, and where both cores are busy two threads take many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore Ctrl-C, and so would all that tests start, and end with it.
signal.signal(signal.SIGINT, signal.default_int_handler)


# `make test` has four workers. Each takes a group of tests at a time, the largest group first:
# - In each of these groups tests never run beside each other: they start browsers, boxes and many processes, wait for them, and set limits
#   in seconds. A limit must leave room for three busy neighbours, or not count the seconds that they take (autograder.sandbox.Deadline).
ONE_AT_A_TIME = {
    "boxes": {"test_attacks.py", "test_sandbox.py"},
    "processes": {"browser", "test_grading.py", "test_gradebook.py", "test_processes.py", "test_ddp_script.py", "test_timeline.py",
                  "test_parallel_speed.py"}}
# - In these each test stands for itself. They come last, and keep all workers busy to the end.
SPREAD = {"test_gate.py", "test_calibration.py"}
# - Any other file is a group, since its tests share what is expensive.


class Groups(LoadScopeScheduling):
    """xdist's `loadscope`, with these groups for its scopes. (Its `loadgroup` has no effect with pytest 9.2.)"""

    def _split_scope(self, nodeid):
        path = Path(nodeid.partition("::")[0])
        for group, members in ONE_AT_A_TIME.items():
            if members & {path.name, path.parent.name}:
                return group
        return nodeid if path.name in SPREAD else path.name


def pytest_xdist_make_scheduler(config, log):
    return Groups(config, log)


def need(condition, reason):
    """Skip the running test with `reason` unless `condition` holds; under CI, where everything is installed, fail."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must not skip this: {reason}")
    pytest.skip(reason)
