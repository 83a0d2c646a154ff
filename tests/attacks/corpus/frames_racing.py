"""A thread and a process answer every question of the judge in competition with the honest answers."""
from ..craft import SPEAK, submit

POINTS, LOST = 0, "what it says between questions breaks the protocol, whoever of its processes says it"


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
def race():
    while True:
        say({"value": torch.zeros((), dtype=torch.float64), "outputs": [], "error": None})
        time.sleep(0.001)
""", labelled="""
threading.Thread(target=race, daemon=True).start()
if os.fork() == 0:
    race()
""")
