"""Each call takes nearly all the time that it may, so that the class waits."""
from ..craft import submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import time
        def gan_value(real_logits, fake_logits):
            time.sleep(1.6)
            return F.logsigmoid(real_logits.detach()).mean() + F.logsigmoid(-fake_logits.detach()).mean()
        """)
