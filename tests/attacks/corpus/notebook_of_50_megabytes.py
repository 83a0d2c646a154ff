"""A notebook of 50 MB, all of it in outputs."""
from ..craft import CHECKS, cell, write

POINTS, LOST = 0, "so large a file isn't read"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    cell(notebook, "check-gan_value").outputs = [{"output_type": "stream", "name": "stdout", "text": "x" * 50_000_000}]
    write(folder, notebook)
