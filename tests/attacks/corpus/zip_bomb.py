"""A zip of a few kilobytes that unpacks to gigabytes, and holds itself again."""
import zipfile

from ..craft import CHECKS, LESSON, NOTEBOOK

POINTS, LOST = 0, "there is no notebook in it"
VERDICTS = dict.fromkeys(CHECKS, "not graded")


def hand_in(folder, notebook):
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent.with_name("class.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open(f"bomber/{LESSON}/{NOTEBOOK}", "w") as file:
            for _ in range(200):
                file.write(bytes(2**20))
        archive.writestr(f"bomber/{LESSON}/inner.zip", b"PK\3\4" + bytes(10**6))
    return path
