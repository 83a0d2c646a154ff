"""Memory is asked for piece by piece, and by several processes, until there is none."""
from ..craft import submit

VERDICTS = {"gan_value": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os, time
        def gan_value(*_):
            for _ in range(16):
                if os.fork() == 0:
                    kept = b"x" * 100_000_000
                    time.sleep(60)
            time.sleep(60)
        """, optimal_discriminator="""
        def optimal_discriminator(*_):
            kept = []
            while len(kept) < 200:
                kept.append(b"x" * 10**7)
        """)
