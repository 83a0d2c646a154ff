"""os._exit ends the process while a check runs."""
from ..craft import submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os
        gan_value = lambda *_: os._exit(0)
        """)
