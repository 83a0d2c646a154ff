"""A check's answer comes with the answer to the next question, before that was asked."""
from ..craft import SPEAK, submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
def gan_value(*_):
    say({"value": torch.zeros((), dtype=torch.float64)})
    say({"value": torch.zeros((), dtype=torch.float64)})
    return 0.0
""")
