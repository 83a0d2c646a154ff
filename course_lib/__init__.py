"""The helper library of the course: checks, data, nets and boards that the lessons import.

Importing it costs little beyond torch: plots, data sets and torchvision load when they are first used.
"""

from course_lib.notebook import start
from course_lib.scale import Scale, current_scale

__all__ = ["Scale", "current_scale", "start"]
