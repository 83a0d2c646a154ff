"""The student's name is a script, with quotes, line ends, and a way up."""
from ..craft import LESSON, write


def hand_in(folder, notebook):
    write(folder.parent.with_name("<script>alert(1)<&'\" \n..\x1b[2J$(id)`") / LESSON, notebook)
