"""A loop without end that swallows every interrupt, in a function."""
from ..craft import submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import signal
        for number in range(1, 65):
            try:
                signal.signal(number, signal.SIG_IGN)
            except (OSError, ValueError):
                pass
        def gan_value(*_):
            while True:
                try:
                    while True:
                        pass
                except BaseException:
                    pass
        """)
