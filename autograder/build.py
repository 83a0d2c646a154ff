"""Builds the learner's notebooks, `lessons/<lesson>/<lesson>.ipynb`, from `solutions/<lesson>/<lesson>.py`.

The source is in jupytext's percent format. Its front matter describes the lesson; `course list` reads it in the notebook:

    # ---
    # jupyter:
    #   course:
    #     title: The mathematics of GANs
    #     minutes: 110                    at the keyboard
    #     builds_on: []                   names of other lessons
    #     place: 1                        among the lessons, where the course is listed; without one, after those that have one
    #     cover: <cell id>                whose picture stands for the lesson on the map of the pages; may be left out
    #     common: [<line>, …]             lines of its solutions that stand in most programs of the kind, and so may in course_lib; may be left out
    # ---

A cell's header says what the cell is for. Marks are written `key="value"`, or as one of the tags below; a bare word in a
header, an unknown key or an unknown tag is refused, so that a slip of the pen releases nothing.

    # %% solution="name"                  code; what stands between the two lines
                                              ### BEGIN SOLUTION
                                              ### END SOLUTION
                                          is replaced by `raise NotImplementedError()`. A cell may have several.
    # %% check="name"                     code, `check("name")`; its points stand with the check in course_lib/checks/
    # %% [markdown] answer="name" points=2     a question in words, graded by hand. The cell is just `YOUR ANSWER HERE`,
                                          or text with a model answer between the same two lines, which
                                          `YOUR ANSWER HERE` replaces
    # %% tags=["setup"]                   code that every grading runs first, locked
    # %% tags=["train"]                   code that grading leaves out unless asked. So is code without a mark
    # %% tags=["demo"]                    code or text that the lesson's demo shows as well (`course demo`). Such code needs the
                                          setup, the solutions and other demo cells, and no more
    # %% [markdown] tags=["instructor"]   text or code for the instructor's notebook only: rubrics, notes
    # %% tags=["demo", "instructor"]      text or code for the demo and the instructor's notebook only: questions to the room
    # %% [markdown], # %%                 text and code for everybody

A name is letters, digits and underscores, at most 55. It becomes the cell's id and its grade_id in nbgrader:

    mark         cell id                  nbgrader
    solution     solution-<name>          <name>, solution
    check        check-<name>             check-<name>, grade, with the check's points
    answer       answer-<name>            <name>, grade and solution, with its points
    setup        setup-1, setup-2, …      the same, locked
    train, demo  train-<first words>      none; the tag stays in the notebook
    others       <heading>, text-<first words>, code-<first words>

so an id changes when the beginning of its own cell does, and not when another cell is added.

Three notebooks come out, alike but for what follows:

    released   the learner's. No solutions, no instructor's cells, no outputs; with nbgrader's checksums.
    source     for nbgrader's own source/. Solutions in, instructor's cells left out. `nbgrader generate_assignment`
               makes the released notebook of it.
    solved     the instructor's, and a hand-in: the released notebook's metadata with the solutions and model answers in.
               It keeps the instructor's cells; nbgrader takes them for cells that a learner has added. Model answers stand
               without the two lines around them, which Markdown would set as headings.
"""

import ast
import asyncio
import contextlib
import copy
import functools
import json
import os
import re
import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Callable

import jupytext
import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from jupytext.stringparser import StringParser

from autograder.errors import LessonError
from course_lib import start_page
from course_lib.check import checks_of
from course_lib.files import whole

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TEXT_STUB = "YOUR ANSWER HERE"
NAMED = {"solution": "code", "check": "code", "answer": "markdown"}
TAGS = ("setup", "train", "demo", "instructor")
# What nbgrader's generate_assignment would act on in any cell, and this course has other means for.
FOREIGN_MARKS = re.compile(r"(BEGIN|END) HIDDEN TESTS|(BEGIN|END) MARK SCHEME|### (HASHED )?AUTOTEST\b")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,54}")


@dataclass(frozen=True)
class Course:
    """Where a course is, and what its checks are.

    root: the folder of solutions/, lessons/ and course_lib/. checks_of: lesson → {name: check with .name and .points},
    LookupError where there are none. record: lesson → None, called before a lesson is written, to record what its checks
    compare with; is_recorded: lesson → whether that record is up to date.
    """

    root: Path = ROOT
    checks_of: Callable = checks_of
    record: Callable = lambda lesson: None
    is_recorded: Callable = lambda lesson: True

    def lessons(self):
        """The names of all lessons: those with a solutions/<lesson>/<lesson>.py."""
        return sorted(path.stem for path in (self.root / "solutions").glob("*/*.py") if path.stem == path.parent.name)

    def source(self, lesson):
        return self.root / "solutions" / lesson / f"{lesson}.py"

    def released(self, lesson):
        return self.root / "lessons" / lesson / f"{lesson}.ipynb"

    def choose(self, names):
        """`names`, or all lessons if there are none. Raises LessonError for a name without a source."""
        known = self.lessons()
        unknown = [name for name in names if name not in known]
        if unknown:
            raise LessonError(f"there is no lesson {name!r}: solutions/{name}/{name}.py is missing; "
                              f"known are: {', '.join(known) or 'none'}" for name in unknown)
        return list(names) or known

    def shown(self, path):
        """`path` as messages name it: from the course's folder, if it is inside."""
        path = Path(path)
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)


# --- The source, read and looked over ---

@dataclass
class Cell:
    """A cell of the source. kind: a key of NAMED, one of TAGS, or "code" or "text"; that of a demo cell for instructors only is
    "instructor". line: of its header, from 1."""

    kind: str
    name: str
    points: float
    line: int
    first_line: int
    cell: nbformat.NotebookNode
    tags: tuple = ()

    @property
    def label(self):
        return f'{self.kind} cell "{self.name}"' if self.name else f"{self.kind} cell"


@dataclass
class Lesson:
    """A lesson's source. metadata: its front matter. problems: what is wrong with it, `file:line: sentence` each."""

    name: str
    metadata: dict
    cells: list
    problems: list


def read(course, lesson):
    """The Lesson in solutions/<lesson>/<lesson>.py. Raises LessonError when there is none, or it isn't text."""
    course.choose([lesson])
    path = course.source(lesson)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise LessonError(f"{course.shown(path)}: isn't UTF-8 text ({error})") from None
    problems = []

    def complain(line, sentence):
        problems.append(f"{course.shown(path)}:{line}: {sentence}")

    notebook = jupytext.reads(text, fmt="py:percent")
    headers = _header_lines(text)
    extra = len(notebook.cells) - len(headers)
    if notebook.cells and notebook.cells[0].cell_type == "raw" and extra:
        complain(1, "the front matter can't be read; it is YAML, and its first key is `jupyter:`")
    elif extra:
        complain(1, "something stands before the first cell; a cell begins with a line `# %%`")
    cells = [_cell(cell, line, text, complain) for cell, line in zip(notebook.cells[max(extra, 0):], headers)]
    about = notebook.metadata.get("course", {})
    if not isinstance(about, dict):
        complain(1, f"`course:` is {about!r}; what the front matter says of the lesson stands below it, each line indented further than it is")
        about = {}
    made = Lesson(lesson, about, cells, problems)
    _look_over_metadata(course, made, complain)
    for name, count in Counter((c.kind == "check", c.name) for c in cells if c.name).items():
        if count > 1:
            *_, last = (c for c in cells if (c.kind == "check", c.name) == name)
            complain(last.line, f'the name "{last.name}" is there {count} times; '
                                "each check has its own, and so has each solution or answer")
    for cell in cells:
        _look_over(cell, complain)
    _look_over_checks(course, made, complain)
    return made


def _header_lines(text):
    """The numbers of the lines on which cells begin, from 1. A `# %%` inside a string is none."""
    inside, lines = StringParser("python"), []
    for number, line in enumerate(text.splitlines(), 1):
        if not inside.is_quoted() and re.match(r"# ?%%(%*)(\s|$)", line):
            lines.append(number)
        inside.read_line(line)
    return lines


def _cell(cell, line, text, complain):
    """The Cell that jupytext's `cell` is, and complaints about its header."""
    marks = {key: value for key, value in cell.metadata.items() if key != "lines_to_next_cell"}
    lines = text.splitlines()
    first_line = next((n for n in range(line + 1, len(lines) + 1) if lines[n - 1].strip()), line)
    leading_blanks = len(cell.source) - len(cell.source.lstrip("\n"))
    cell.source = cell.source[leading_blanks:]
    tags, points = marks.pop("tags", []), marks.pop("points", None)
    named = {key: marks.pop(key) for key in NAMED if key in marks}
    if cell.cell_type == "raw":
        complain(line, "raw cells have no place in a lesson; use [markdown]")
    if marks:
        complain(line, f"the cell's header has {', '.join(map(_mark, marks.items()))}, which is no mark; marks are "
                       f"{', '.join(NAMED)} and points, each as key=\"value\", and tags=[…] of {', '.join(TAGS)}")
    if not isinstance(tags, list) or any(tag not in TAGS for tag in tags):
        complain(line, f"tags is {tags!r}; known are: {', '.join(TAGS)}")
        tags = []
    if len(named) + len(tags) > 1 and (named or sorted(tags) != ["demo", "instructor"]):
        complain(line, f"the cell is several things at once: {', '.join([*named, *tags])}")
    tags = sorted(tags)
    kind = next(iter(named), None) or next(reversed(tags), None) or ("code" if cell.cell_type == "code" else "text")
    name = str(named[kind]) if kind in named else ""
    wanted = NAMED.get(kind) or (kind in ("setup", "train") and "code") or cell.cell_type
    if cell.cell_type != wanted:
        complain(line, f"a cell marked {kind} must be {'[markdown]' if wanted == 'markdown' else 'code'}")
    if kind in named and not NAME.fullmatch(name):
        complain(line, f"{kind}={named[kind]!r} is no name: letters, digits and _, beginning with a letter, at most 55")
    if (kind == "answer") != (points is not None):
        complain(line, "points=… belongs in the header of an answer, and only there; a check's points stand with the check")
    elif kind == "answer" and not (isinstance(points, (int, float)) and 0 < points < float("inf")):
        complain(line, f"points={points!r} must be a number above 0")
        points = 1
    cell.metadata.clear()
    return Cell(kind, name, points or 0, line, first_line, cell, tuple(tags))


def _mark(item):
    key, value = item
    return repr(value) if key in ("title", "incorrectly_encoded_metadata") else repr(key)


def _look_over_metadata(course, lesson, complain):
    about = lesson.metadata
    if not isinstance(about.get("title"), str) or not about["title"].strip():
        complain(1, "the front matter gives no title, under `jupyter:`, `course:`, `title:`")
    if not isinstance(about.get("minutes"), (int, float)) or not about["minutes"] > 0:
        complain(1, "the front matter gives no minutes (a number), under `jupyter:`, `course:`, `minutes:`")
    builds_on = about.get("builds_on", [])
    if not isinstance(builds_on, list) or any(name == lesson.name or name not in course.lessons() for name in builds_on):
        complain(1, f"builds_on is {builds_on!r}; it is a list of other lessons")
    if not isinstance(about.get("place", 0), (int, float)):
        complain(1, f"place is {about['place']!r}; it is a number")
    common, telling = about.get("common", []), [line for _, line in _telling_lines(lesson)]
    if not isinstance(common, list) or not all(line in telling for line in common):
        complain(1, f"common is {common!r}; it is a list of lines of this lesson's solutions, each a secret if it didn't stand here")


def _look_over(cell, complain):
    """Complaints about the cell's solution regions, its stub, and marks that aren't for it."""
    source = cell.cell.source
    for number, line in enumerate(source.split("\n")):
        if FOREIGN_MARKS.search(line):
            complain(cell.first_line + number, f"{cell.label}: {line.strip()!r} is nbgrader's own; "
                                               "hidden tests and rubrics stand elsewhere in this course")
    if not _regions_are_closed(cell, complain):
        return
    if cell.kind == "solution":
        _look_over_stub(cell, complain)
    elif cell.kind == "answer":
        if not regions(source) and source.strip() != TEXT_STUB:
            complain(cell.line, f"{cell.label}: its text would be lost, since nbgrader puts {TEXT_STUB!r} in its place; "
                                f"write just that, or a model answer between {BEGIN} and {END}")
    elif cell.kind == "check":
        calls = [node for node in ast.walk(_parsed(source) or ast.Module([], [])) if isinstance(node, ast.Call)]
        if not any(ast.unparse(call.func) == "check" and [ast.unparse(a) for a in call.args] == [repr(cell.name)]
                   for call in calls):
            complain(cell.line, f'{cell.label}: doesn\'t run check("{cell.name}")')


def _regions_are_closed(cell, complain):
    """Whether the lines BEGIN and END stand in pairs, and in a cell that has solutions; complaints otherwise."""
    opened, sound = None, True
    for number, line in enumerate(cell.cell.source.split("\n"), cell.first_line):
        mark = next((mark for mark in ("BEGIN SOLUTION", "END SOLUTION") if mark in line), None)
        if mark is None:
            continue
        wrong = ""
        if cell.kind not in ("solution", "answer"):
            wrong = f'{mark} in a cell that isn\'t marked solution="name" or answer="name"'
        elif line.strip() not in (BEGIN, END):
            wrong = f"{line.strip()!r} must stand alone on its line, as {BEGIN} or {END}"
        elif (mark == "BEGIN SOLUTION") == (opened is not None):
            wrong = f"BEGIN SOLUTION again before the END of the one on line {opened}" if opened else \
                    "END SOLUTION without a BEGIN SOLUTION"
        if wrong:
            complain(number, f"{cell.label}: {wrong}")
            sound = False
        opened = number if mark == "BEGIN SOLUTION" else None
    if opened:
        complain(opened, f"{cell.label}: this BEGIN SOLUTION is never closed by {END}")
    return sound and opened is None


def _look_over_stub(cell, complain):
    source, found = cell.cell.source, regions(cell.cell.source)
    if not found:
        return complain(cell.line, f"{cell.label}: has no {BEGIN} … {END}, so there is nothing for the learner to write")
    if not all(any(line.strip() for line in region) for region in found):
        return complain(cell.line, f"{cell.label}: nothing stands between {BEGIN} and {END}")
    solution, stub = _parsed(source), _parsed(_stub(cell.cell).source)
    if solution is None:
        complain(cell.line, f"{cell.label}: the solution isn't valid Python: {_syntax_error(source, cell.first_line)}")
    elif stub is None:
        complain(cell.line, f"{cell.label}: what is left without the solution isn't valid Python: "
                            f"{_syntax_error(_stub(cell.cell).source)}. Keep whole statements between {BEGIN} and {END}, "
                            "indented alike")
    elif ast.dump(solution) == ast.dump(stub):
        complain(cell.line, f"{cell.label}: the solution is what the learner gets already")


def _stub(cell):
    from nbgrader.preprocessors import ClearSolutions  # a second to import, and most of what imports this module builds nothing
    return ClearSolutions(enforce_metadata=False).preprocess_cell(copy.deepcopy(cell), {"language": "python"}, 0)[0]


def _parsed(source):
    """The syntax tree of a cell, magics included, or None."""
    try:
        return ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError:
        return None


def _syntax_error(source, first_line=None):
    try:
        ast.parse(TransformerManager().transform_cell(source))
    except SyntaxError as error:
        place = f"line {error.lineno + first_line - 1}: " if first_line else ""
        return f"{place}{error.msg} in {(error.text or '').strip()!r}"


def _look_over_checks(course, lesson, complain):
    """Complaints where the lesson's check cells and the checks it has don't match one to one."""
    cells = {cell.name: cell for cell in lesson.cells if cell.kind == "check"}
    try:
        checks = course.checks_of(lesson.name)
    except LookupError:
        checks = {}
    except Exception as error:
        return complain(1, f"course_lib/checks/{lesson.name}.py can't be imported: {type(error).__name__}: {error}")
    for name, cell in cells.items():
        if name in checks:
            cell.points = checks[name].points
            if not cell.points > 0:
                complain(cell.line, f"{cell.label}: the check is worth {cell.points} points; it must be more than 0")
        else:
            complain(cell.line, f"{cell.label}: course_lib/checks/{lesson.name}.py has no check of that name; "
                                f"it has: {', '.join(checks) or 'none'}")
    for name in checks:
        if name not in cells:
            complain(1, f'the check "{name}" has no cell; add one with the header # %% check="{name}"')


def regions(source):
    """The lines between each BEGIN and END of a cell's source: a list of lists. The marks must be paired."""
    found = []
    for line in source.split("\n"):
        if line.strip() == BEGIN:
            found.append([])
            inside = found[-1]
        elif line.strip() == END:
            inside = None
        elif found and inside is not None:
            inside.append(line)
    return found


def without_marks(source):
    """A cell's source with its solutions in, and without the lines BEGIN and END around them."""
    return "\n".join(line for line in source.split("\n") if line.strip() not in (BEGIN, END))


# --- The notebooks made of it ---

@dataclass
class Notebooks:
    """The three notebooks of a lesson, as nbformat nodes; see the top of this module."""

    released: nbformat.NotebookNode
    source: nbformat.NotebookNode
    solved: nbformat.NotebookNode


def notebooks(course, lesson):
    """The Notebooks of a lesson. Raises LessonError with all that is wrong with its source."""
    made = read(course, lesson)
    if made.problems:
        raise LessonError(made.problems)
    full = _full(made)
    source = copy.deepcopy(full)
    source.cells = [cell for cell in source.cells if "instructor" not in cell.metadata.get("tags", ())]
    released = _released(source)
    left = [f"{course.shown(course.source(lesson))}:{where}: `{line}` is part of what learners don't get, "
            f"and stands in a cell that they do: {cell.id}"
            for where, line in secrets(made) for cell in released.cells if leaks(line, cell.source)]
    if left:
        raise LessonError(left)
    kept = {cell.id: cell.metadata for cell in released.cells}
    for cell in full.cells:
        cell.metadata = copy.deepcopy(kept.get(cell.id, cell.metadata))
        if cell.cell_type == "markdown":
            cell.source = without_marks(cell.source)
    return Notebooks(released, source, full)


def _full(lesson):
    """Everything that the source has, with cell ids and nbgrader's metadata (no checksums yet)."""
    about = {"lesson": lesson.name, "title": lesson.metadata["title"], "minutes": lesson.metadata["minutes"],
             "builds_on": list(lesson.metadata.get("builds_on", []))}
    about |= {"place": lesson.metadata["place"]} if "place" in lesson.metadata else {}
    notebook = nbformat.v4.new_notebook(metadata={
        "kernelspec": KERNEL, "language_info": {"name": "python"}, "course": about})
    ids = _cell_ids(lesson.cells)
    for cell, cell_id in zip(lesson.cells, ids):
        made = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}[cell.cell.cell_type](
            cell.cell.source, id=cell_id)
        if cell.tags:
            made.metadata["tags"] = list(cell.tags)
        marks = _nbgrader_metadata(cell, cell_id)
        if marks:
            made.metadata["nbgrader"] = marks
        notebook.cells.append(made)
    return notebook


def _nbgrader_metadata(cell, cell_id):
    grade, solution = cell.kind in ("check", "answer"), cell.kind in ("solution", "answer")
    if not (grade or solution or cell.kind == "setup"):
        return None
    from nbgrader.nbgraderformat import SCHEMA_VERSION
    marks = {"schema_version": SCHEMA_VERSION, "grade": grade, "solution": solution, "locked": not solution, "task": False,
             "grade_id": cell.name if solution else cell_id}
    if grade:
        marks["points"] = int(cell.points) if cell.points == int(cell.points) else cell.points
    return nbformat.from_dict(marks)


def _cell_ids(cells):
    """An id for each cell, from its name where it has one, else from its first words; all different."""
    setups = (f"setup-{number}" for number in range(1, len(cells) + 1))
    ids = [f"{cell.kind}-{cell.name}" if cell.name else next(setups) if cell.kind == "setup" else None for cell in cells]
    for number, cell in enumerate(cells):
        if ids[number] is None:
            wanted = _words(cell)
            ids[number] = next(candidate for candidate in (wanted, *(f"{wanted}-{n}" for n in range(2, len(cells) + 2)))
                               if candidate not in ids)
    return ids


def _words(cell):
    first = next((line for line in cell.cell.source.split("\n") if re.search(r"[A-Za-z0-9]", line)), "")
    slug = re.sub(r"[^a-z0-9]+", "-", first.lower()).strip("-")
    slug = slug if len(slug) <= 40 else slug[:41].rpartition("-")[0] or slug[:40]
    heading = cell.kind == "text" and first.startswith("#") and slug
    return slug if heading else f"{cell.kind}-{slug}".strip("-")


def _released(source):
    """The learner's notebook: what nbgrader's generate_assignment makes of its source notebook, without its database."""
    from nbgrader.preprocessors import CheckCellMetadata, ClearOutput, ClearSolutions, ComputeChecksums, LockCells
    notebook = copy.deepcopy(source)
    for step in (LockCells, ClearSolutions, ClearOutput, CheckCellMetadata, ComputeChecksums):
        notebook, _ = step().preprocess(notebook, {})
    nbformat.validate(notebook)
    return notebook


def as_text(notebook):
    """The notebook as a file holds it: the same bytes for the same notebook."""
    return nbformat.writes(notebook, version=4) + "\n"


# --- What learners don't get ---

def secrets(lesson):
    """What learners may not be given: [(line number, line)], the telling lines of the lesson but for those that it calls common."""
    return [(number, line) for number, line in _telling_lines(lesson) if line not in lesson.metadata.get("common", [])]


def _telling_lines(lesson):
    """The telling lines of solutions, model answers and instructor's cells: [(line number, line)]. A room sees what the demo shows."""
    found = []
    for cell in lesson.cells:
        inside, hidden, given = cell.tags == ("instructor",), [], []
        for number, line in enumerate(cell.cell.source.split("\n"), cell.first_line):
            if line.strip() in (BEGIN, END):
                inside = line.strip() == BEGIN
            elif inside:
                hidden.append((number, " ".join(line.split())))
            else:
                given.append(line)
        # A line that the exercise itself spells out, in a docstring say, is no secret.
        found += [(number, line) for number, line in hidden if _is_telling(line) and not leaks(line, "\n".join(given))]
    return found


def _is_telling(line):
    """Whether a line gives something away: seven tokens or more, and not the head of a block, an import or a decorator, nor how every
    module begins.

    What is shorter, `optimizer.step()` or `for x in loader:`, stands in every program.
    """
    tokens = re.findall(r"\w+|[^\w\s]", line)
    return len(tokens) >= 7 and not line.strip().startswith(("def ", "class ", "for ", "with ", "import ", "from ", "@", "super().__init__()"))


def leaks(line, text):
    """Whether `line` (its white space collapsed) stands somewhere in `text`, however that is spaced."""
    return line in _collapsed(text)


@functools.lru_cache(maxsize=1024)  # of a release's texts, each is asked for every line
def _collapsed(text):
    return " ".join(text.split())


# --- Writing them ---

def build(course, lesson):
    """Write lessons/<lesson>/<lesson>.ipynb. Returns {lesson, path, cells, checks, points, changed, recorded, kept}.

    The order: the source is looked over, what the checks compare with is recorded, the notebook is written. One that somebody has
    worked in is kept beside it, as <lesson>.<time>.ipynb: `kept`, else None.
    Raises LessonError, and writes nothing, when something is wrong with the source.
    """
    made = notebooks(course, lesson).released
    recorded = _recording(course.record, lesson)
    path, kept = course.released(lesson), None
    if worked_in(course, lesson):
        kept = path.with_suffix(f".{datetime.now():%Y-%m-%dT%H-%M-%S}.ipynb")
        shutil.copy2(path, kept)
    return {**_summary(course, made, path), "changed": write(path, made), "recorded": bool(recorded),
            "kept": kept and course.shown(kept)}


def worked_in(course, lesson):
    """A sentence, if somebody has written in a stub of the lesson's notebook in lessons/; else ""."""
    from nbgrader.utils import compute_checksum
    path = course.released(lesson)
    try:
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.metadata.get("nbgrader", {}).get("solution") and cell.metadata.nbgrader.checksum != compute_checksum(cell):
                return (f"{course.shown(path)}: somebody has worked in it, in cell `{cell.id}`; `autograder build {lesson}` keeps a copy "
                        "of that beside it, and writes it anew")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, nbformat.ValidationError):
        pass  # no notebook, or none of ours
    return ""


def _recording(step, lesson):
    """What `step(lesson)` returns. It runs the lesson's solution and its wrong answers, which may go wrong in any way."""
    try:
        return step(lesson)
    except Exception as error:
        raise LessonError(f"solutions/{lesson}/: what its checks compare with can't be recorded: "
                          f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def outside(course, folder):
    """`folder` as a Path. Raises LessonError when it is one of the course's own, where no solution may be written."""
    for reserved in ("lessons", "solutions", "course_lib", "autograder"):
        if Path(folder).resolve().is_relative_to((course.root / reserved).resolve()):
            raise LessonError(f"notebooks with solutions aren't written to {reserved}/; name another folder")
    return Path(folder)


def build_to(course, lesson, folder, which):
    """Write FOLDER/<lesson>/<lesson>.ipynb, `which` of the lesson's Notebooks. Returns its path."""
    path = outside(course, folder) / lesson / f"{lesson}.ipynb"
    write(path, getattr(notebooks(course, lesson), which))
    return path


def _summary(course, notebook, path):
    graded = [cell.metadata.nbgrader for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    return {"lesson": notebook.metadata.course.lesson, "path": course.shown(path), "cells": len(notebook.cells),
            "checks": sum(not marks.solution for marks in graded), "points": sum(marks.points for marks in graded)}


def write(path, notebook):
    """Write the notebook, whole or not at all. Returns whether the file has changed."""
    text = as_text(notebook).encode()
    if path.is_file() and path.read_bytes() == text:
        return False
    with whole(path) as unfinished:
        unfinished.write_bytes(text)
    return True


def execute(path, root=ROOT, report=lambda done, total, cell_id: None):
    """Run the notebook at `path` in its folder and save it with its outputs; no time limit.

    root: whose course_lib it imports. report: called before each code cell. Raises LessonError naming the cell that
    failed; the outputs until then are saved.
    """
    import nbclient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    notebook = nbformat.read(path, as_version=4)
    code = [cell.id for cell in notebook.cells if cell.cell_type == "code"]
    running, interrupted = "the kernel's start", False

    def interrupt(execution):
        nonlocal interrupted
        interrupted = True
        client.shutdown_kernel = "immediate"
        execution.cancel()

    def starting(cell, cell_index):
        nonlocal running
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):  # nbclient's own handler stops the kernel, and then misses it
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt, asyncio.current_task())
        if cell.cell_type == "code":
            running = f"cell `{cell.id}`"
            report(code.index(cell.id), len(code), cell.id)

    client = nbclient.NotebookClient(notebook, timeout=None, on_cell_start=starting, kernel_name=KERNEL["name"],
                                     extra_arguments=["--IPKernelApp.log_level=ERROR"],  # it warns that it isn't encrypted, on this machine itself
                                     resources={"metadata": {"path": str(path.parent)}})
    places = [str(root), os.environ.get("PYTHONPATH", "")]
    try:
        client.execute(env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, places))})
    except (CellExecutionError, asyncio.CancelledError, DeadKernelError) as error:
        if interrupted:
            raise KeyboardInterrupt from None
        if isinstance(error, CellExecutionError):
            raise LessonError(f"{path.name}: {running} failed: {error.ename}: {error.evalue}") from None
        raise LessonError(f"{path.name}: the kernel died in {running}; is there enough memory?") from None
    finally:
        write(path, notebook)


# --- Whether what is there is what would be built ---

def problems(course, lessons):
    """What is wrong with these lessons, one line each: in their sources, in lessons/, or in what their checks compare with. Writes nothing."""
    found = []
    for lesson in lessons:
        try:
            made = notebooks(course, lesson).released
        except LessonError as error:
            found += error.problems
            continue
        found += _drift(course, lesson, made)
        try:
            current = _recording(course.is_recorded, lesson)
        except LessonError as error:
            found += error.problems
            continue
        if not current:
            found.append(f"course_lib/checks/{lesson}.snapshot: isn't what the solution gives; run `autograder build {lesson}`")
    return found


def orphans(course):
    """One line for each notebook in lessons/ that has no source; the start page, which `course lab` writes there, and what `build` has
    kept need none."""
    wanted = {course.released(lesson) for lesson in course.lessons()} | {course.root / "lessons" / start_page.PAGE.name}
    there = [path for path in (course.root / "lessons").glob("**/*.ipynb")
             if ".ipynb_checkpoints" not in path.parts and "." not in path.stem]
    return [f"{course.shown(path)}: no source makes this notebook; delete it, or add solutions/{path.stem}/{path.stem}.py"
            for path in sorted(there) if path not in wanted]


def _drift(course, lesson, wanted):
    path = course.released(lesson)
    again = f"; lessons/ is generated: put changes into solutions/{lesson}/{lesson}.py and run `autograder build {lesson}`"
    if not path.is_file():
        return [f"{course.shown(path)}: is missing{again}"]
    text = path.read_bytes()
    if text == as_text(wanted).encode():
        return []
    if work := worked_in(course, lesson):
        return [work]
    try:
        there = json.loads(text)
        cells = {cell.get("id"): cell for cell in there["cells"]}
    except (ValueError, TypeError, KeyError, AttributeError):
        return [f"{course.shown(path)}: isn't a whole notebook (half-saved?){again}"]
    return [f"{course.shown(path)}: {_difference(json.loads(as_text(wanted)), there, cells)}{again}"]


def _difference(wanted, there, cells):
    """The first difference that a person would look for, in words."""
    for cell in wanted["cells"]:
        if cell["id"] not in cells:
            return f"cell `{cell['id']}` is missing"
        parts = [key for key in sorted(cell.keys() | cells[cell["id"]].keys()) if cell.get(key) != cells[cell["id"]].get(key)]
        if parts:
            return f"cell `{cell['id']}` differs in its {' and '.join(parts)}"
    extra = cells.keys() - {cell["id"] for cell in wanted["cells"]}
    if extra:
        return f"cell `{sorted(map(str, extra))[0]}` isn't in the source"
    if [cell["id"] for cell in wanted["cells"]] != [cell["id"] for cell in there["cells"]]:
        return "its cells stand in another order"
    return "differs from what would be built, in the notebook's metadata or in how it is written"
