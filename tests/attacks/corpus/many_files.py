"""Empty files and folders without end."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        import os
        for number in range(10**7):
            os.mkdir(f"/tmp/{number}")
            os.symlink("x" * 4000, f"/tmp/{number}/link")
        """)
