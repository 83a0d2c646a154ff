"""Solution cells take the ids and grade ids of checks and of the setup, and the other way round."""
from ..craft import cell, write


def hand_in(folder, notebook):
    for mine, other in (("solution-gan_value", "check-gan_value"), ("solution-dirac_gan", "setup-1"),
                        ("solution-labelled", "check-digits")):
        one, two = cell(notebook, mine), cell(notebook, other)
        one.source = "check = lambda name: None\n__import__('course_lib').start = lambda lesson: check"
        one.id, two.id = two.id, one.id
        one.metadata, two.metadata = two.metadata, one.metadata
    write(folder, notebook)
