"""The names that checks call become properties, classes, partials and objects with lying signatures."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        class Lying:
            __signature__ = property(lambda self: 1 / 0)
            __call__ = lambda self, *_, **__: print
            __class__ = property(lambda self: type(print))
        gan_value = Lying()
        """, optimal_discriminator="""
        optimal_discriminator = type("optimal_discriminator", (), {"__new__": lambda cls, *_: cls})
        density_ratio = property(lambda self: 1)
        """, dirac_gan="""
        dirac_field, dirac_step = "passed", {"value": 1}
        """)
