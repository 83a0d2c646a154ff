"""Graded cells are there two and a hundred times, with one id and with others."""
import copy

from ..craft import cell, write


def hand_in(folder, notebook):
    names = ("check-jensen_shannon", "solution-gan_value", "solution-jensen_shannon", "setup-1")
    again = [cell(notebook, name) for name in names]
    for number in range(25):
        notebook.cells += copy.deepcopy(again)
        for each in notebook.cells[-4 * (number % 2):]:
            each.id = f"{each.id}-{number}" if number % 2 else each.id
    write(folder, notebook)
