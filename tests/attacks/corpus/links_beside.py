"""Links beside the notebook lead to the gradebook, the whole disk, and round in a circle."""
from ..craft import write


def hand_in(folder, notebook):
    write(folder, notebook)
    for name, target in (("gradebook", "../../../gradebook.db"), ("everything", "/"), ("circle", "."), ("up", "../../.."),
                         ("timestamp.txt", "/etc/hostname"), ("secret.ipynb", "../../../grading.secret")):
        (folder / name).symlink_to(target)
