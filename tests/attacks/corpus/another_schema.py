"""nbgrader's metadata of an unknown schema, which stops stock nbgrader for the whole class."""
from ..craft import write


def hand_in(folder, notebook):
    for cell in notebook.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader.schema_version = 99
    write(folder, notebook)
