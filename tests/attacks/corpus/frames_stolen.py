"""A process reads the judge's questions in its parent's place, and answers as it likes."""
from ..craft import SPEAK, submit

POINTS, LOST = 0, "its thief takes the questions to the honest functions too"


def hand_in(folder, notebook):
    submit(folder, notebook, labelled=SPEAK + """
if os.fork() == 0:
    while True:
        channel.recv(1 << 16)
        say({"value": torch.zeros((), dtype=torch.float64), "outputs": [], "error": None})
""")
