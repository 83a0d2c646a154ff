"""What all tests share: where the repository is, on how many threads they compute, and when a missing tool may skip a test."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports torch. As in the lessons: the nets are small, and where both cores are busy two threads take many times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def need(condition, reason):
    """Skip the running test with `reason` unless `condition` holds; under CI, where everything is installed, fail."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"CI must not skip this: {reason}")
    pytest.skip(reason)
