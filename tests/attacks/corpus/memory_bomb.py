"""Memory is asked for at once, and piece by piece, until there is none."""
from ..craft import submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        def gan_value(*_):
            import mmap
            shared = mmap.mmap(-1, 3 * 2**29)
            for place in range(0, len(shared), 4096):
                shared[place] = 1
        """, optimal_discriminator="""
        kept = []
        while len(kept) < 200:
            kept.append(bytearray(b"x" * 10**7))
        """)
