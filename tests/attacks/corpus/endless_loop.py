"""A loop without end, in a cell."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="while True: pass")
