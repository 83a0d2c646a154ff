"""Code cells become raw, answers become code, and checks become solutions."""
from ..craft import cell, write


def hand_in(folder, notebook):
    for each in notebook.cells:
        if each.cell_type == "markdown":
            each.update(cell_type="code", outputs=[], execution_count=None, source="import os\nos._exit(0)")
    cell(notebook, "solution-gan_value").cell_type = "raw"
    cell(notebook, "check-gan_value").metadata.nbgrader.update(solution=True, grade=False, locked=False)
    write(folder, notebook)
