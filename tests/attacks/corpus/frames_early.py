"""It speaks the protocol unasked, while its cells run: answers lie ready before the questions are put."""
from ..craft import SPEAK, submit

POINTS, LOST = 0, "what comes early counts as the answer to the cell itself, and the next cells break off at what is left of it"


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
for _ in range(50):
    say({"outputs": [], "error": None})
    say({"value": 0.0, "verdict": "passed"})
""")
