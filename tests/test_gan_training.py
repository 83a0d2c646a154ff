"""The reference solution of `gan_training` against witnesses of another kind: torch's own layers, closed forms, finite differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from autograder.answers import reference_namespace


@pytest.fixture(scope="module")
def lesson():
    return reference_namespace("gan_training")


# --- 1: a DCGAN ---


# --- 3: when to stop ---


# --- 4: labels ---


# --- 5: other objectives ---


# --- 6: mode collapse ---
