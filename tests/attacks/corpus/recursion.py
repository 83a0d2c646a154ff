"""Recursion without end, in Python and, with the interpreter's limit lifted, in C."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        def gan_value(*arguments):
            return gan_value(*arguments)
        """, optimal_discriminator="""
        import sys
        class Deep:
            __repr__ = lambda self: repr(self)
        def optimal_discriminator(*_):
            sys.setrecursionlimit(2**31 - 1)
            return repr(Deep())
        """)
