"""A notebook that says it is of format 3, 99, or nothing."""
from ..craft import CHECKS, write

POINTS, LOST = 0, "its cells aren't where this format has them"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    notebook.nbformat, notebook.nbformat_minor = 3, 99
    write(folder, notebook)
