"""The lessons on this disk, read from their notebooks."""

import json
from dataclasses import dataclass
from pathlib import Path

from course_lib.progress import Progress, lesson_folder

COURSE = Path(__file__).resolve().parent.parent


class LessonError(Exception):
    """Something that keeps a lesson from being read, run or handed in. The message says what, and what to do."""

    def _render_traceback_(self):
        """What a notebook shows: the message, without our own lines above it."""
        return str(self).splitlines()


class Unknown(LessonError, LookupError):
    """A lesson, or a check of a lesson, that there isn't. The message says which there are."""


@dataclass(frozen=True)
class Lesson:
    """A lesson's notebook. minutes: at the keyboard. by_hand: questions in words, [(name, points)]. worth: {check: points}.
    place: among the lessons, from the first."""

    name: str
    title: str
    minutes: int
    builds_on: tuple
    by_hand: tuple
    worth: dict
    path: Path
    place: float = float("inf")

    @property
    def checks(self):
        """The lesson's checks, in order."""
        from course_lib.check import checks_of  # imports torch, and `worth` says enough for a page
        return list(checks_of(self.name).values())

    @property
    def progress(self):
        """Where the learner stands, without importing the checks."""
        return Progress(self.name, self.path.parent, self.worth)

    @property
    def points(self):
        """What checks and questions are worth together."""
        return sum(self.worth.values()) + sum(points for _, points in self.by_hand)

    def as_dict(self):
        """What `course list --json` prints of it."""
        return {"lesson": self.name, "title": self.title, "points": self.points, "minutes": self.minutes,
                "checks": [{"name": c.name, "points": c.points, "trains": c.trains} for c in self.checks],
                "by_hand": [{"name": name, "points": points} for name, points in self.by_hand]}


class Node(dict):
    """A part of a notebook; its keys are attributes too."""

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None  # what `hasattr`, `copy` and nbformat look for


def read_notebook(path):
    """The notebook at `path`, as Nodes. Raises LessonError for one that is missing, half saved or not a notebook.

    It is read without nbformat, whose import takes longer than all else that the commands do.
    """
    try:
        notebook = json.loads(Path(path).read_text(encoding="utf-8-sig"), object_hook=Node)
        if notebook["nbformat"] != 4:
            raise ValueError(f"it is in format {notebook['nbformat']}, not 4")
        for cell in notebook.cells:
            source = cell["source"]
            cell["source"] = source if isinstance(source, str) else "".join(source)
            cell["metadata"]["tags"] = list(cell["metadata"].get("tags", ()))
            cell["cell_type"], cell["id"] = str(cell["cell_type"]), str(cell.get("id"))
        notebook["metadata"] = Node(notebook.get("metadata", {}))
        return notebook
    except FileNotFoundError:
        raise LessonError(f"{path} isn't there.") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise LessonError(f"{path} can't be read as a notebook ({type(error).__name__}: {str(error)[:120]}). It may have been "
                          f"half saved. Restore it: {_restore(Path(path))}. Your other files are safe.") from None


def _restore(path):
    """Where a whole copy of a broken notebook may be."""
    checkpoint = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint.ipynb"
    if checkpoint.is_file():
        return (f"copy {checkpoint} over it, or open it in JupyterLab, answer Close and then Cancel, and choose File → Revert Notebook to "
                "Checkpoint…")
    return "take the copy you were given, or the last one that you packed, below handed_in/"


def lesson(name):
    """The lesson called `name`. Raises LessonError."""
    folder = lesson_folder(name)
    if folder is None:
        known = ", ".join(names()) or "none"
        raise LessonError(f"there is no lesson {name!r} here; the lessons are: {known}")
    notebook = read_notebook(folder / f"{name}.ipynb")
    about = notebook.metadata.get("course", {})
    graded = [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    points = {kind: {cell.metadata.nbgrader.grade_id.removeprefix("check-"): cell.metadata.nbgrader.points
                     for cell in graded if cell.cell_type == kind} for kind in ("code", "markdown")}
    return Lesson(name, about.get("title", name), about.get("minutes", 0), tuple(about.get("builds_on", ())),
                  tuple(points["markdown"].items()), points["code"], folder / f"{name}.ipynb", about.get("place", float("inf")))


def names():
    """The names of all lessons here, in alphabetical order."""
    return [path.stem for path in sorted((COURSE / "lessons").glob("*/*.ipynb")) if path.stem == path.parent.name]


def lessons(report=None):
    """All lessons, those first that others build on, then by their place and their name.

    report: called with the LessonError of one that can't be read, which is then left out; without it, it is raised.
    """
    found = []
    for name in names():
        try:
            found.append(lesson(name))
        except LessonError as error:
            if report is None:
                raise
            report(error)
    return in_order(found)


def in_order(found):
    """The lessons `found` (what has a `name`, a `place` and `builds_on`), those first that others build on, then by place and name."""
    waiting, ordered = sorted(found, key=lambda each: (each.place, each.name)), []
    while waiting:
        ready = next((each for each in waiting if not {other.name for other in waiting} & set(each.builds_on)), waiting[0])
        waiting.remove(ready)
        ordered.append(ready)
    return ordered


def exercise_cells(notebook):
    """{exercise: its cells, as (number from 1, cell)} of a learner's notebook, those first that count: pasting or splitting a cell makes a
    second one of the exercise, and as grading does, this takes the lesson's own or, where that is gone, the first."""
    found = {}
    for number, cell in enumerate(notebook.cells, 1):
        about = cell.metadata.get("nbgrader", {})
        if about.get("solution") and about.get("grade_id"):
            found.setdefault(about["grade_id"], []).append((number, cell))
    return {name: sorted(cells, key=lambda each: each[1].get("id") not in (f"solution-{name}", f"answer-{name}")) for name, cells in found.items()}


def there_twice(notebook):
    """{exercise: a sentence} for each that has more than one cell in the notebook."""
    numbers = {name: [number for number, _ in cells] for name, cells in exercise_cells(notebook).items()}
    return {name: f"cells {', '.join(map(str, sorted(cells)))} are all of `{name}`, and only cell {cells[0]} is graded: put everything into it, and delete "
                  "the rest" for name, cells in numbers.items() if len(cells) > 1}


def run_cells(path):
    """The names that the setup and solution cells of the notebook at `path` make, run in order in this process; of each exercise
    the cell that counts.

    What a cell prints is shown; a cell that raises is reported and the next one runs, so that one unfinished exercise
    doesn't hide the others. Returns (namespace, [(cell id, error)]).
    """
    from IPython.core.interactiveshell import InteractiveShell
    shell = InteractiveShell.instance()
    shell._showtraceback = lambda *_: None  # the caller reports what failed
    notebook, failures = read_notebook(path), []
    counting = [cells[0][1] for cells in exercise_cells(notebook).values()]
    for cell in notebook.cells:
        wanted = "setup" in cell.metadata.get("tags", ()) or any(cell is each for each in counting)
        if cell.cell_type == "code" and wanted:
            ran = shell.run_cell(cell.source, store_history=False, silent=True)
            if isinstance(ran.error_in_exec, KeyboardInterrupt):  # of the command, not of this cell alone
                raise ran.error_in_exec
            if not ran.success:
                failures.append((cell.id, ran.error_in_exec or ran.error_before_exec))
    return shell.user_global_ns, failures
