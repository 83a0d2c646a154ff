"""It says that its process has ended, while it goes on."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
def gan_value(*_):
    say({"signal": 0, "verdict": "passed"}, b"G")
    time.sleep(0.2)
    return 0.0
""")
