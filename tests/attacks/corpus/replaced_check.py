"""`check`, the notebook's own function, is given another meaning before the checks run."""
from ..craft import submit


def hand_in(folder, notebook):
    submit(folder, notebook, gan_value="""
        check = lambda name: None
        course_lib = __import__("course_lib")
        course_lib.start = lambda lesson: check
        """)
