"""SIGSTOP freezes its own process, and all others that it may, instead of ending them."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, signal
        for pid in (-1, os.getppid(), 1):
            try:
                os.kill(pid, signal.SIGSTOP)
            except OSError:
                pass
        os.kill(os.getpid(), signal.SIGSTOP)
        """)
