"""Generators, endless iterators, files and functions are returned."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import itertools
        gan_value = lambda *_: itertools.count()
        """, optimal_discriminator="""
        optimal_discriminator = lambda *_: (x for x in itertools.repeat(0))
        """, dirac_gan="""
        class Endless(list):
            __iter__ = lambda self: itertools.repeat(torch.zeros(6))
            __len__ = lambda self: 2
        dirac_field = lambda *_: Endless()
        """)
