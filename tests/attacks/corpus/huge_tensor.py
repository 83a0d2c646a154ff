"""A tensor of 10^15 numbers in one byte (stride 0), and one of a quarter of a gigabyte, are returned."""
from ..craft import submit

VERDICTS = {"gan_value": "failed", "optimal_discriminator": "failed"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        gan_value = lambda *_: torch.zeros(1, dtype=torch.uint8).expand(10**15)
        """, optimal_discriminator="""
        optimal_discriminator = lambda *_: torch.zeros(250 * 2**20, dtype=torch.uint8)
        """)
