"""Timers and signal handlers of a cell strike while checks run."""
from ..craft import submit

VERDICTS = {"optimal_discriminator": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, signal, threading, time
        def strike(*_):
            raise AssertionError("struck by a timer")
        signal.signal(signal.SIGALRM, strike), signal.signal(signal.SIGVTALRM, strike), signal.signal(signal.SIGCHLD, strike)
        def gan_value(*_):
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            time.sleep(1)
        """, optimal_discriminator="""
        def optimal_discriminator(*_):
            threading.Timer(0.05, lambda: os.kill(os.getpid(), 9)).start()
            time.sleep(2)
        """)
