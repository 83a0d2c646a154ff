"""It behaves until the third call, and then ends the process that runs it, and its own."""
from ..craft import submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import itertools, os
        calls = itertools.count()
        def gan_value(real_logits, fake_logits):
            if next(calls) == 2:
                os.kill(os.getppid(), 9)
                os._exit(1)
            return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()
        """)
