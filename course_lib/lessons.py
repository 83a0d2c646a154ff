"""The lessons on this disk, read from their notebooks."""

from dataclasses import dataclass
from pathlib import Path

import nbformat

from course_lib.check import checks_of
from course_lib.progress import lesson_folder

COURSE = Path(__file__).resolve().parent.parent


class LessonError(Exception):
    """A lesson that isn't there or can't be read. The message says which, and what to do."""


@dataclass(frozen=True)
class Lesson:
    """A lesson's notebook. minutes: at the keyboard. by_hand: questions in words, [(name, points)]."""

    name: str
    title: str
    minutes: int
    builds_on: tuple
    by_hand: tuple
    path: Path

    @property
    def checks(self):
        """The lesson's checks, in order."""
        return list(checks_of(self.name).values())

    @property
    def points(self):
        """What checks and questions are worth together."""
        return sum(check.points for check in self.checks) + sum(points for _, points in self.by_hand)

    def as_dict(self):
        """What `course list --json` prints of it."""
        return {"lesson": self.name, "title": self.title, "points": self.points, "minutes": self.minutes,
                "checks": [{"name": c.name, "points": c.points, "trains": c.trains} for c in self.checks],
                "by_hand": [{"name": name, "points": points} for name, points in self.by_hand]}


def read_notebook(path):
    """The notebook at `path`. Raises LessonError for one that is missing, half saved or not a notebook."""
    try:
        notebook = nbformat.reads(Path(path).read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
        return notebook
    except FileNotFoundError:
        raise LessonError(f"{path} isn't there.") from None
    except Exception as error:  # nbformat stumbles over broken files in many ways
        raise LessonError(f"{path} can't be read as a notebook ({type(error).__name__}: {str(error)[:120]}). It may have been "
                          "half saved. Restore it (File → Revert, or the copy you were given); your other files are safe.") from None


def lesson(name):
    """The lesson called `name`. Raises LessonError."""
    folder = lesson_folder(name)
    if folder is None:
        known = ", ".join(each.name for each in lessons()) or "none"
        raise LessonError(f"there is no lesson {name!r} here; the lessons are: {known}")
    notebook = read_notebook(folder / f"{name}.ipynb")
    about = notebook.metadata.get("course", {})
    by_hand = tuple((cell.metadata.nbgrader.grade_id, cell.metadata.nbgrader.points) for cell in notebook.cells
                    if cell.cell_type == "markdown" and cell.metadata.get("nbgrader", {}).get("grade"))
    return Lesson(name, about.get("title", name), about.get("minutes", 0), tuple(about.get("builds_on", ())), by_hand,
                  folder / f"{name}.ipynb")


def lessons():
    """All lessons, those first that others build on, then by name."""
    found = [lesson(path.stem) for path in sorted((COURSE / "lessons").glob("*/*.ipynb")) if path.stem == path.parent.name]
    ordered = []
    while found:
        ready = next((each for each in found if not {other.name for other in found} & set(each.builds_on)), found[0])
        found.remove(ready)
        ordered.append(ready)
    return ordered


def run_cells(path):
    """The names that the setup and solution cells of the notebook at `path` make, run in order in this process.

    What a cell prints is shown; a cell that raises is reported and the next one runs, so that one unfinished exercise
    doesn't hide the others. Returns (namespace, [(cell id, error)]).
    """
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    shell._showtraceback = lambda *_: None  # the caller reports what failed
    failures = []
    for cell in read_notebook(path).cells:
        about = cell.metadata.get("nbgrader", {})
        wanted = about.get("solution") or "setup" in cell.metadata.get("tags", ())
        if cell.cell_type == "code" and wanted:
            error = shell.run_cell(cell.source, store_history=False, silent=True)
            if not error.success:
                failures.append((cell.id, error.error_in_exec or error.error_before_exec))
    return shell.user_global_ns, failures
