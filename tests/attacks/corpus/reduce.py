"""An object whose __reduce__ would run a command where it is unpickled is returned."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        class Bomb:
            def __reduce__(self):
                return __import__("os").system, ("touch /tmp/PWNED",)
        gan_value = lambda *_: Bomb()
        """, optimal_discriminator="optimal_discriminator = lambda *_: [torch.zeros(3), {'bomb': Bomb()}]")
