"""A notebook that was cut off in the middle."""
from ..craft import CHECKS, NOTEBOOK, write

POINTS, LOST = 0, "half a notebook can't be read"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    write(folder, notebook)
    text = (folder / NOTEBOOK).read_bytes()
    (folder / NOTEBOOK).write_bytes(text[:len(text) // 2])
