"""The interpreter crashes in C, in a cell and in a function."""
from ..craft import submit

VERDICTS = {"optimal_discriminator": "not graded"}


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import ctypes
        ctypes.string_at(0)
        """, optimal_discriminator="""
        def optimal_discriminator(*_):
            import ctypes
            ctypes.memset(ctypes.addressof(ctypes.c_int()), 255, 10**7)
        """)
