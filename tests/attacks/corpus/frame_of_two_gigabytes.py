"""A frame announces as much as may cross, and comes a byte at a time."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
def gan_value(*_):
    channel.sendall(struct.pack("<cQ", b"A", 2**28))
    while True:
        channel.sendall(b"x")
        time.sleep(0.01)
""")
