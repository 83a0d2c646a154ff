"""Processes that start processes, each without end."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
        """)
