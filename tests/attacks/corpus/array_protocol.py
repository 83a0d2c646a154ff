"""Objects with __array__, __float__ and __index__, which give another number each time, are returned."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import itertools
        class Chameleon:
            count = itertools.count()
            __array__ = lambda self, *_, **__: __import__("numpy").array(float(next(self.count)))
            __float__ = lambda self: float(next(self.count))
            __index__ = lambda self: next(self.count)
        gan_value = lambda *_: Chameleon()
        """, optimal_discriminator="""
        class Number(float):
            __eq__ = __lt__ = __gt__ = lambda self, other: True
        optimal_discriminator = density_ratio = lambda *_: Number(1)
        """)
