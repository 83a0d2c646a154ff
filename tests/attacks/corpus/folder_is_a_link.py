"""The student's folder is a link to another student's."""
from ..craft import CHECKS

POINTS, LOST = 0, "a link isn't a hand-in"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.symlink_to("../neighbour/gan_math")
