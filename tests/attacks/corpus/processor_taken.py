"""Busy processes and threads stay behind to slow down what is judged next."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, labelled="""
        import os
        for _ in range(6):
            if os.fork() == 0:
                os.setsid()
                while True:
                    pass
        """)
