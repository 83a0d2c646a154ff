"""The process that runs the cells answers a check itself, before there is a fork for it."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
fork = os.fork
def early():
    if not hasattr(os, "done"):
        os.done = True
        say({"value": torch.zeros((), dtype=torch.float64)})
    return fork()
os.fork = early
""")
