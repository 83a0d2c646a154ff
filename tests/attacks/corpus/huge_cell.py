"""A solution cell of a million characters, and a line that takes the parser apart."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="x = [\n" + "    0,\n" * 150_000 + "]",
           optimal_discriminator="y = " + "(" * 9_000 + ")" * 9_000, dirac_gan="z = " + "-" * 19_000 + "1")
