"""Millions of lines and displays, with clear_output between them."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        from IPython.display import clear_output, display
        for number in range(30_000):
            print(number), display(number), clear_output()
        """, optimal_discriminator="""
        for _ in range(10**5):
            print("\\x1b[31m", end="\\r")
        """)
