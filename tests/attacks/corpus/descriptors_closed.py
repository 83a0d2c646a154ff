"""All descriptors are closed, and others put over the one on which the judge asks."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os
        os.closerange(0, 500)
        """, optimal_discriminator="""
        import os
        null = os.open("/dev/zero", os.O_RDWR)
        for number in range(500):
            if number != null:
                os.dup2(null, number)
        """)
