"""Recursion without end, with the interpreter's limit lifted."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        def gan_value(*arguments):
            return gan_value(*arguments)
        """, optimal_discriminator="""
        import sys
        def optimal_discriminator(*_):
            sys.setrecursionlimit(2**31 - 1)
            return repr(eval("[" * 90 + "]" * 90)) + optimal_discriminator()
        """, dirac_gan="""
        sys.setrecursionlimit(60)
        """)
    # The limit of 60 is too low for all that comes after it in the same process.


POINTS, LOST = 0, "it leaves its own functions too little of the stack to be called at all"
