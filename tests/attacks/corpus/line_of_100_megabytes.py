"""One line of 100 MB is printed, and as much to stderr and to the descriptors below them."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, sys
        print("x" * 10**8)
        sys.stderr.write("y" * 10**8)
        for _ in range(20):
            os.write(1, b"z" * 10**6), os.write(2, b"z" * 10**6)
        "v" * 10**7
        """)
