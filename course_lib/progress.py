"""Which checks of a lesson have passed, kept in a small file beside the lesson's notebook.

The file travels with the folder and outlives the kernel. It is a convenience for the learner, not a grade.
"""

import json
from pathlib import Path

from course_lib.files import whole

FILE = ".progress.json"


def lesson_folder(lesson):
    """The folder of `lesson`'s notebook: where we are, or below lessons/ of the folder we are in, or of the course.

    Returns None when there is none.
    """
    course = Path(__file__).resolve().parent.parent
    for folder in (Path.cwd(), Path.cwd() / lesson, Path.cwd() / "lessons" / lesson, course / "lessons" / lesson):
        if (folder / f"{lesson}.ipynb").is_file():
            return folder
    return None


class Progress:
    """The verdicts so far of one lesson. Survives a missing, broken or unwritable file: then it starts empty.

    worth: {check: points}, in the lesson's order; from the checks themselves unless it is given. kept: whether there is a file; without
    one they begin with nothing, and are gone with this object.
    """

    def __init__(self, lesson, folder=None, worth=None, kept=True):
        folder = (folder or lesson_folder(lesson)) if kept else None
        self.lesson, self._path = lesson, folder and Path(folder) / FILE
        self.verdicts = self._read()
        if worth is None:
            from course_lib.check import checks_of  # imports torch: a page that has read the notebook needn't
            worth = {name: check.points for name, check in checks_of(lesson).items()}
        self._worth = worth

    def record(self, verdict):
        """Keep the newest verdict of a check, beside what others (another notebook, `course check`) have kept meanwhile."""
        self.verdicts |= self._read() | {verdict.check: verdict.verdict}
        if self._path:
            try:
                with whole(self._path) as unfinished:
                    unfinished.write_text(json.dumps({"lesson": self.lesson, "verdicts": self.verdicts}, indent=1))
            except OSError:
                pass  # a read-only folder costs the memory of progress, nothing else

    def _read(self):
        try:
            known = json.loads(self._path.read_text())["verdicts"] if self._path else {}
            return {str(name): str(verdict) for name, verdict in known.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def passed(self):
        """Names of the checks that pass, in the lesson's order."""
        return [name for name in self._worth if self.verdicts.get(name) == "passed"]

    def points(self):
        """(points so far, points of all checks)."""
        return sum(self._worth[name] for name in self.passed()), sum(self._worth.values())

    def next(self):
        """The first check that doesn't pass yet, or None."""
        return next((name for name in self._worth if self.verdicts.get(name) != "passed"), None)
