"""NaN, which is different from nothing by `>`, is returned wherever a number is wanted."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        gan_value = lambda a, b: a.sum() * b.sum() * float("nan")
        """, optimal_discriminator="""
        optimal_discriminator = lambda p, *_: p * float("nan")
        density_ratio = lambda logits, *_: float("inf")
        """, dirac_gan="""
        dirac_field = dirac_step = lambda *_: (float("nan"), torch.tensor(float("nan")))
        """)
