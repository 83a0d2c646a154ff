"""Forged tensors: headers of a quarter of a megabyte, a million tensors, overlapping and missing ones, odd types."""
from ..craft import SPEAK, submit

VERDICTS = {"gan_value": "failed", "optimal_discriminator": "failed", "dirac_gan": "failed", "generator_step": "failed"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value=SPEAK + """
import json
from course_lib import worker
def frame(header, data=b"", size=None):
    tree, header = b'{"dict":[["value",{"tensor":"0"}]]}', header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(tree).to_bytes(4, "little") + tree + (size or len(header)).to_bytes(8, "little") + header + data
entry = lambda dtype, shape, *offsets: {"dtype": dtype, "shape": shape, "data_offsets": offsets}
FORGED = {"gan_value": frame(b" " * 10**7, size=2**40),
          "optimal_discriminator": frame({str(n): entry("F32", [0], 0, 0) for n in range(5_000)}),
          "dirac_field": frame({"0": entry("F64", [2**40, 2**40], 0, 8), "1": entry("F32", [2], 0, 8)}, bytes(8)),
          "two_generator_steps": frame({"0": entry("F8_E8M0", [2], 0, 2)}, b"ab")}
handle = worker.Worker.handle
worker.Worker.handle = lambda self, frame: FORGED.get(wire.decode(frame).get("name")) or handle(self, frame)
gan_value = optimal_discriminator = dirac_field = print
""")
