"""sys.exit, exit and quit are called in cells and in functions."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import sys
        gan_value = lambda *_: sys.exit(0)
        exit()
        """, optimal_discriminator="""
        optimal_discriminator = lambda *_: quit()
        sys.exit(0)
        """, dirac_gan="""
        raise SystemExit("all checks passed")
        """)
