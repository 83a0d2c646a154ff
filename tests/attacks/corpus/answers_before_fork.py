"""The process that runs the cells answers a check itself, before there is a fork for it."""
from ..craft import SPEAK, submit

POINTS, LOST = 0, "it answers for the honest functions too"


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
fork = os.fork
def early():
    say({"value": torch.zeros((), dtype=torch.float64)})
    return fork()
os.fork = early
""")
