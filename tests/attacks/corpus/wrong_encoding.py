"""A notebook in UTF-16, and with bytes that are no text at all."""
from ..craft import CHECKS, NOTEBOOK, write

POINTS, LOST = 0, "it isn't UTF-8, as notebooks are"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    write(folder, notebook)
    path = folder / NOTEBOOK
    path.write_bytes(path.read_text().encode("utf-16") + b"\xff\xfe\xff")
