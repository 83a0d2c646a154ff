"""The locked setup cell is changed, and another comes before it."""
from ..craft import cell, write


def hand_in(folder, notebook):
    setup = cell(notebook, "setup-1")
    setup.source = "check = lambda name: None\nstart = lambda lesson: check\n" + setup.source.replace("check =", "_ =")
    code = "import course_lib\ncourse_lib.start = lambda lesson: print"
    notebook.cells.insert(0, dict(setup, id="setup-0", source=code, metadata={"tags": ["setup"]}))
    write(folder, notebook)
