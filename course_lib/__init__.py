"""The helper library of the course: checks, data, nets and boards that the lessons import.

Importing it costs next to nothing, so that the commands answer at once: torch and the rest load when they are first used.
"""

import importlib

_HOMES = {"start": "course_lib.notebook", "Scale": "course_lib.scale", "current_scale": "course_lib.scale"}

__all__ = ["Scale", "current_scale", "start"]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = getattr(importlib.import_module(_HOMES[name]), name)
    return value
