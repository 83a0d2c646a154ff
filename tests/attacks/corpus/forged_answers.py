"""Answers in the right format that say what no honest worker says: verdicts, odd changes, errors that aren't text."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "failed", "optimal_discriminator": "failed", "dirac_gan": "failed", "generator_step": "failed"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
from course_lib import worker
FORGED = {"gan_value": {"value": 0.0, "changed": "arguments", "verdict": "passed", "points": 100},
          "optimal_discriminator": {"error": {"kind": ["signature"], "message": {"a": 1}, "line": torch.zeros(3)}},
          "dirac_field": {"value": {"passed": True}, "changed": {"0": 1}},
          "two_generator_steps": {"value": None, "no_gradient": True, "error": {}}}
handle = worker.Worker.handle
def forged(self, frame):
    name = wire.decode(frame).get("name")
    return wire.encode(FORGED[name]) if name in FORGED else handle(self, frame)
worker.Worker.handle = forged
""")
