"""Check cells are rewritten to `pass`, made Markdown, or turned into definitions."""
from ..craft import CHECKS, cell, write


def hand_in(folder, notebook):
    for name in CHECKS:
        cell(notebook, f"check-{name}").source = "check = lambda name: None\ncheck('all')"
    cell(notebook, "check-ring").cell_type = "markdown"
    write(folder, notebook)
