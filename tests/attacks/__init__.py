"""An executable corpus of attacks on grading: one small file for each in corpus/.

A file says in its docstring's first line what it tries, and has a function

    hand_in(folder, notebook)

that writes into `folder`, a student's submitted/<student>/<lesson>/, what is handed in. `notebook` is the released one with
two exercises solved honestly; see craft.py. Instead it may return a path: a zip, or another folder, to be collected from.
It may also have

    POINTS      what the honest part deserves, if that isn't craft.HONEST
    LOST        where it is less: how the attack destroys its own honest part
    VERDICTS    {check: verdict}, where it must be a certain one. A check that isn't named, and isn't honest, must not pass

These files only write. The hostile code in them is text, and runs nowhere but in a sandbox: in tests/test_attacks.py in
ours, in against_stock.py in walls around stock nbgrader.
"""

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from .craft import HONEST


@dataclass(frozen=True)
class Attack:
    """An attack. tries: the first line of its docstring; the others as in its file."""

    name: str
    tries: str
    hand_in: Callable
    points: float = HONEST
    lost: str = ""
    verdicts: dict = field(default_factory=dict)


def load(name):
    """The Attack in corpus/<name>.py."""
    module = importlib.import_module(f"{__package__}.corpus.{name}")
    return Attack(name, module.__doc__.strip().splitlines()[0], module.hand_in, getattr(module, "POINTS", HONEST),
                  getattr(module, "LOST", ""), getattr(module, "VERDICTS", {}))


def corpus():
    """All Attacks, by name."""
    return [load(path.stem) for path in sorted(Path(__file__).with_name("corpus").glob("[!_]*.py"))]
