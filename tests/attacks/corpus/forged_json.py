"""Frames of nested, endless and enormous JSON: 250 kB of brackets, numbers of 4,000 digits, a hundred thousand keys."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "failed", "optimal_discriminator": "failed", "dirac_gan": "failed"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
from course_lib import worker
def tree(text):
    return len(text).to_bytes(4, "little") + text
FORGED = {"gan_value": tree(b"[" * 250_000), "optimal_discriminator": tree(b'{"dict":[["value",' + b"9" * 4000 + b"]]}"),
          "dirac_field": tree(b'{"dict":[' + b",".join(b'["k%d",0]' % n for n in range(20_000)) + b"]}")}
handle = worker.Worker.handle
worker.Worker.handle = lambda self, frame: FORGED.get(wire.decode(frame).get("name")) or handle(self, frame)
gan_value = optimal_discriminator = dirac_field = print
""")
