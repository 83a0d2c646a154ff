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


# `make test` has three workers. Each takes a group of tests at a time, in this order:
# - Those that take longest. In each of the first two, tests never run beside each other: they start browsers, boxes and many processes,
#   wait for them, and set limits in seconds. A limit must leave room for two busy neighbours, or not count the seconds that they take
#   (autograder.sandbox.Deadline).
LONG = {
    "processes": {"browser", "test_grading.py", "test_gradebook.py", "test_processes.py", "test_ddp_script.py", "test_timeline.py",
                  "test_parallel_speed.py"},
    "boxes": {"test_attacks.py", "test_sandbox.py"},
    "test_stock_nbgrader.py": {"test_stock_nbgrader.py"}}
# - Any other file, since its tests share what is expensive.
# - Of these, tests that have the same name up to a colon, and then each test that has none. They keep all workers busy to the end.
SPREAD = {"test_gate.py", "test_calibration.py"}


def group_of(nodeid):
    """(what comes earlier or later, the name of the test's group)."""
    path = Path(nodeid.partition("::")[0])
    if path.name in SPREAD:
        group, colon, _ = nodeid.partition(": ")
        return len(LONG) + (1 if colon else 2), group
    for place, (group, members) in enumerate(LONG.items()):
        if members & {path.name, path.parent.name}:
            return place, group
    return len(LONG), path.name


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: group_of(item.nodeid)[0])


class Groups(LoadScopeScheduling):
    """xdist's `loadscope`, with these groups for its scopes. (Its `loadgroup` has no effect with pytest 9.2.)"""

    def _split_scope(self, nodeid):
        return group_of(nodeid)[1]


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False  # it would begin with the group of the most tests
    return Groups(config, log)


def need(condition, reason):
    """Skip the running test with `reason` unless `condition` holds; under CI, where everything is installed, fail."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must not skip this: {reason}")
    pytest.skip(reason)
