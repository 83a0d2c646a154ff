"""Cells, sources, ids and metadata that are numbers, lists, nulls and words."""
from ..craft import write


def hand_in(folder, notebook):
    notebook.metadata = ["kernelspec"]
    notebook.cells += [None, 7, [], "cell", {}, {"cell_type": "code"},
                       {"cell_type": "code", "id": ["solution-gan_value"], "source": 1},
                       {"cell_type": "code", "id": None, "source": {"a": 1}, "metadata": {"nbgrader": "yes"}},
                       {"cell_type": ["code"], "id": "solution-dirac_gan", "source": [1, None],
                        "metadata": {"nbgrader": {"grade_id": {}}}}]
    write(folder, notebook)
