"""A notebook that isn't JSON, but Python."""
from ..craft import CHECKS, NOTEBOOK

POINTS, LOST = 0, "there is nothing in it to be graded"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    folder.mkdir(parents=True)
    (folder / NOTEBOOK).write_text("__import__('os').system('id')\n")
