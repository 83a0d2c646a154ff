"""The notebook is a symbolic link to a file of the grader's."""
from ..craft import CHECKS, NOTEBOOK

POINTS, LOST = 0, "a link isn't a notebook"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    folder.mkdir(parents=True)
    (folder / NOTEBOOK).symlink_to("../../../source/gan_math/gan_math.ipynb")
