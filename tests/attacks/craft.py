"""What attacks are made of: the hand-in they start from, and the tricks that several share. Nothing here runs hostile code."""

import copy
import json
import textwrap

from autograder.answers import reference_cells

LESSON = "gan_math"
SOLVED = ("jensen_shannon", "generator_losses")  # the checks of the same names, 2 points each
HONEST = 4
STUBS = ("gan_value", "optimal_discriminator", "discriminator_step", "generator_step", "train_gan", "dirac_gan", "labelled")
CHECKS = ("gan_value", "optimal_discriminator", "jensen_shannon", "generator_losses", "discriminator_step", "generator_step",
          "ring", "dirac_gan", "digits")
NOTEBOOK = f"{LESSON}.ipynb"
MARK = "pwned-by-a-submission"  # an attack that succeeds shows it, or leaves a file of that name

# Finds the judge's end of the line in the frames above, and speaks the protocol on it.
SPEAK = """
import os, struct, sys, threading, time
from course_lib import wire

def line():
    frame = sys._getframe()
    while frame:
        if "channel" in frame.f_locals:
            return frame.f_locals["channel"]
        frame = frame.f_back

channel = line()

def say(value, kind=b"A"):
    payload = value if isinstance(value, bytes) else wire.encode(value)
    channel.sendall(struct.pack("<cQ", kind, len(payload)) + payload)
"""


def base(released):
    """A copy of the notebook `released` in which the exercises of SOLVED are solved, and the others are stubs."""
    notebook, solutions = copy.deepcopy(released), dict(reference_cells(LESSON))
    for name in SOLVED:
        cell(notebook, f"solution-{name}").source = solutions[name]
    return notebook


def solution(name):
    """The reference's code for a solution cell, to build on."""
    return dict(reference_cells(LESSON))[name]


def cell(notebook, cell_id):
    """The cell of that id."""
    return next(each for each in notebook.cells if each.id == cell_id)


def submit(folder, notebook, **cells):
    """Hand the notebook in with `cells`, {solution cell's name: code}; in an honest one after what is there. PWNED is MARK."""
    for name, code in cells.items():
        there, code = cell(notebook, f"solution-{name}"), textwrap.dedent(code).strip("\n").replace("PWNED", MARK)
        there.source = f"{there.source}\n\n{code}" if name in SOLVED else code
    write(folder, notebook)


def write(folder, notebook):
    """Hand the notebook in as it is, valid or not."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTEBOOK).write_text(json.dumps(notebook), encoding="utf-8")
