"""Mistakes people make in `gan_training`, each with the sentence that helps. Each check must fail them, with that sentence.

Never released to learners. To add one: write the mistake as it would be written in the notebook, and its hint.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


# --- 1: a DCGAN ---


# --- 3: when to stop ---


# --- 4: labels ---


# --- 5: other objectives ---


# --- 6: mode collapse ---
