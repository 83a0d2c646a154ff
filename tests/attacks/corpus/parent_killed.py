"""The process that runs it, its group, and everything that may be killed, are killed."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, signal
        for kill in (lambda: os.kill(os.getppid(), 9), lambda: os.kill(1, 9), lambda: os.killpg(0, 9), lambda: os.kill(-1, 9)):
            try:
                kill()
            except OSError:
                pass
        """)
