"""It behaves while it is watched, and strikes later: at the third call, after a second, in another process."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import itertools, math, os
        calls = itertools.count()
        def gan_value(real_logits, fake_logits):
            if next(calls) == 2:
                os.kill(os.getppid(), 9)
                os._exit(1)
            return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()
        """)


VERDICTS = {"gan_value": "not graded"}
