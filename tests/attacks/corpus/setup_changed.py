"""The locked setup cell is changed, and another comes before it."""
from ..craft import cell, write


def hand_in(folder, notebook):
    setup = cell(notebook, "setup-1")
    setup.source = "check = lambda name: None\nstart = lambda lesson: check\n" + setup.source.replace("check =", "_ =")
    first = dict(setup, id="setup-0", source="import course_lib\ncourse_lib.start = lambda lesson: print", metadata={"tags": ["setup"]})
    notebook.cells.insert(0, first)
    write(folder, notebook)
