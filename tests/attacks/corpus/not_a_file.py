"""The notebook is a pipe that nobody ever writes to."""
import os

from ..craft import CHECKS, NOTEBOOK

POINTS, LOST = 0, "a pipe isn't a notebook"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    folder.mkdir(parents=True)
    os.mkfifo(folder / NOTEBOOK)
