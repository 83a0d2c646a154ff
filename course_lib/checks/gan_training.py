"""The checks of the lesson `gan_training`."""

import torch

from course_lib import expect
from course_lib.check import check

# --- 1: a DCGAN ---

# --- 3: when to stop ---

# --- 4: labels ---

# --- 5: other objectives ---

# --- 6: mode collapse ---
