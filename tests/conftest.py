"""What all tests share: where the repository is, on how many threads they compute, and when a missing tool may skip a test."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports torch. As in the lessons: the nets are small, and where both cores are busy two threads take many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


# A file's tests share what is expensive, so that one worker runs them all; in these each test stands for itself.
SPREAD = {"test_gate.py", "test_calibration.py"}
# These set limits in seconds, or start browsers and many processes: they have the machine to themselves.
ALONE = {"test_attacks.py", "test_sandbox.py", "test_grading.py", "test_gradebook.py", "test_processes.py", "test_ddp_script.py", "test_timeline.py",
         "test_parallel_speed.py"}


def pytest_itemcollected(item):
    if item.path.name in ALONE or item.path.parent.name == "browser":
        item.add_marker(pytest.mark.alone)
    if item.path.name not in SPREAD:
        item.add_marker(pytest.mark.xdist_group(item.path.name))


def need(condition, reason):
    """Skip the running test with `reason` unless `condition` holds; under CI, where everything is installed, fail."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must not skip this: {reason}")
    pytest.skip(reason)
