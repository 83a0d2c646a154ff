"""Lone surrogates, control characters, BOMs, lines of 15,000 characters and other line ends stand in the cells."""
from ..craft import cell, write


def hand_in(folder, notebook):
    text = "\ufeffx = '\ud800\x00\x1b[31m\u2028\u202e'\r\rgan_value = lambda *_: x\r\n#"
    cell(notebook, "solution-gan_value").source = text + "x" * 15_000
    cell(notebook, "solution-dirac_gan").source = ["def dirac_field(*_):\n", "    return '\udfff'\n", "\x0c\x0b"]
    for each in notebook.cells:
        if each.cell_type == "markdown":
            each.source += "\ud800\x00\u202e\x1b[2J"
    write(folder, notebook)
