"""KeyboardInterrupt, GeneratorExit and StopIteration are raised in cells and in functions."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        def gan_value(*_):
            raise KeyboardInterrupt
        raise KeyboardInterrupt
        """, optimal_discriminator="""
        def optimal_discriminator(*_):
            raise GeneratorExit
        raise GeneratorExit
        """, dirac_gan="""
        def dirac_field(*_):
            raise StopIteration
        raise BaseException
        """)
