"""Lists nested ten thousand deep, and one that holds itself, are returned."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        def gan_value(*_):
            nested = []
            for _ in range(10_000):
                nested = [nested]
            return nested
        """, optimal_discriminator="""
        def optimal_discriminator(*_):
            endless = []
            endless.append(endless)
            return endless
        """)
