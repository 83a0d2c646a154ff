"""Errors whose text, type, class and traceback fail, lie, or never end."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        class Evil(Exception):
            __str__ = __repr__ = lambda self: self.nothing
            __class__ = property(lambda self: 1 / 0)
        def gan_value(*_):
            raise Evil()
        raise Evil()
        """, optimal_discriminator="""
        Long = type("L" * 10**6, (Exception,), {"__str__": lambda self: "m" * 10**8})
        def optimal_discriminator(*_):
            raise Long()
        raise Long()
        """, generator_step="""
        class NotText(str):
            __getitem__ = lambda self, key: self
        class Odd(Exception):
            __str__ = lambda self: NotText("passed")
            __traceback__ = property(lambda self: self)
        def generator_step(*_):
            raise Odd()
        raise Odd()
        """, dirac_gan="""
        def dirac_field(*_):
            try:
                dirac_field()
            finally:
                raise ExceptionGroup("many", [ValueError(str(n)) for n in range(10**4)])
        """)
