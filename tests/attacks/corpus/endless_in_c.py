"""C code that holds the interpreter for hours: a power of powers, and a regular expression that tries all ways."""
from ..craft import submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import re
        gan_value = lambda *_: re.match("(a+)+$", "a" * 60 + "b")
        """, optimal_discriminator="""
        9 ** 9 ** 9
        """)
