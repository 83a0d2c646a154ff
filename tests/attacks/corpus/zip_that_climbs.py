"""A zip whose names lead out of it: .., absolute paths, backslashes, links."""
import json
import stat
import zipfile

from ..craft import LESSON, MARK, NOTEBOOK


def hand_in(folder, notebook):
    folder.parent.mkdir(parents=True, exist_ok=True)
    path = folder.parent.with_name("class.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"climber/{LESSON}/{NOTEBOOK}", json.dumps(notebook))
        for name in ("../../../", "climber/../../../../../../tmp/", "climber\\..\\", "/climber/../tmp/"):
            archive.writestr(name + MARK, "x")
        link = zipfile.ZipInfo(f"climber/{LESSON}/notes.ipynb")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    return path
