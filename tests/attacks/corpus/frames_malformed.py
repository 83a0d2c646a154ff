"""Frames of wrong kinds, lengths and contents are sent in place of answers."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "not graded", "optimal_discriminator": "not graded", "dirac_gan": "failed"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
def gan_value(*_):
    channel.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n" + bytes(100))
    os._exit(0)
""", optimal_discriminator="""
def optimal_discriminator(*_):
    channel.sendall(struct.pack("<cQ", b"A", 2**63 - 1) + b"x" * 10**6)
    os._exit(0)
""", dirac_gan="""
def dirac_field(*_):
    say(b"\\x05\\0\\0\\0nulls")
    time.sleep(1)
""")
