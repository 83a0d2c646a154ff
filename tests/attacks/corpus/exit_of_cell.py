"""os._exit ends the process while a cell runs."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os
        os._exit(0)
        """)
