"""The start page: where the learner stands, what comes next, and what this machine can do.

`course lab` writes it as lessons/start.ipynb, which JupyterLab opens on. It is made of the lessons that are there and isn't
part of the repository or of a release. What changes stands in the output of a cell: running the cell brings it up to date.
All of it is Markdown, which JupyterLab shows at once and in its own colours.
"""

import json
import shlex
import sys
from pathlib import Path

from course_lib import pace
from course_lib.files import whole
from course_lib.lessons import COURSE, LessonError, lessons, read_notebook

PAGE = COURSE / "lessons" / "start.ipynb"

WELCOME = """# Rebuild by hand

Each lesson is a notebook. You read, predict, write code where it says `YOUR CODE HERE`, and run the `check` below it: it tells you
at once whether you are right, and often which mistake it was. Check as often as you like; nothing you get wrong is counted.

**Shift+Enter** runs a cell and goes on to the next. A lesson is a pile of cells, so begin at its top."""

UP_TO_DATE = """*What comes next doesn't change by itself. When you are back from a lesson, click on "Where you stand" and press **Shift+Enter**
to bring it up to date.*"""

TROUBLE = """## When something doesn't work

| what you see | what helps |
|:---|:---|
| a cell runs for ever (`[*]`) | *Kernel → Interrupt Kernel*. Nothing is lost. |
| `NameError`, or an answer that can't be | *Kernel → Restart Kernel and Run up to Selected Cell…*: names are made from the top down. It stops at a check that doesn't pass yet: click on the cell below that one, and *Run → Run Selected Cell and All Below*. |
| a lesson is broken or empty | Open it, answer *Close* and then *Cancel*, and choose *File → Revert Notebook to Checkpoint…* |
| sliders or pictures don't show | Reload the page in the browser, then run the cell again. |
| the machine grows slow | Shut down lessons you aren't in: the round icon at the left edge, *Running Terminals and Kernels*. |
| anything else | The next cell looks over your machine and says what to do; `course doctor` in a terminal does the same. |"""

TO_SUBMIT = """When you are done with a lesson, or want to know what is missing: `course submit LESSON` in a terminal (*File → New → Terminal*).
Where that doesn't find `course`, type `{course} submit LESSON`."""


def markdown(again=False, say=print):
    """What the page says of this learner and this machine. again: measure the machine anew."""
    broken = []
    found = lessons(broken.append)
    machine = pace.this_machine(again, say)
    parts = [_standing(found), _table(found, machine), _map(found), *(f"**{error}**" for error in broken), _here(found, machine)]
    return "\n\n".join(part for part in parts if part)


def _standing(found):
    earned = sum(each.progress.points()[0] for each in found)
    total = sum(each.progress.points()[1] for each in found)
    begun = [each for each in found if each.progress.verdicts and each.progress.next()]
    open_ = begun or [each for each in found if each.progress.next() and _ready(each, found)]
    if not open_:
        return f"## Where you stand\n\n**{earned:g} of {total:g} points from checks. All checks pass.**"
    coming = max(open_, key=_last_worked_on) if begun else min(open_, key=lambda each: each.minutes)
    if begun:
        step = f"Go on with {_link(coming)}: next is `{coming.progress.next()}`."
    else:
        step = f"Begin with {_link(coming)}." if not earned else f"Next is {_link(coming)}."
    return f"## Where you stand\n\n**{earned:g} of {total:g} points from checks.** {step}"


def _ready(lesson, found):
    """Whether what the lesson builds on is done, as far as it is here."""
    return all(each.progress.next() is None for each in found if each.name in lesson.builds_on)


def _last_worked_on(lesson):
    from course_lib.progress import FILE
    try:
        return (lesson.path.parent / FILE).stat().st_mtime
    except OSError:
        return 0


def _link(lesson):
    return f"[{lesson.title}]({lesson.name}/{lesson.name}.ipynb)"


def _table(found, machine):
    rows = ["## The lessons", "", "| lesson | checks passed | points | at the keyboard | computing, here |", "|:---|:---|:---|:---|:---|"]
    for each in found:
        progress = each.progress
        passed = set(progress.passed())
        marks = "".join("●" if name in passed else "○" for name in each.worth)
        by_hand = sum(points for _, points in each.by_hand)
        earned, total = progress.points()
        seconds = machine and pace.training_seconds(each.name, machine)
        rows.append(f"| {_link(each)} | {marks} {len(passed)} of {len(each.worth)} | {earned:g} of {total:g}{f' + {by_hand:g}' * bool(by_hand)} "
                    f"| {duration(each.minutes * 60)} | {duration(seconds) if seconds else 'not timed yet'} |")
    return "\n".join([*rows, "", "What stands after a + is given by your instructor, for answers in words."])


def duration(seconds):
    """In words, as exact as it is worth: "40 s", "3 min", "2 h 50 min"."""
    if seconds < 90:
        return f"{max(10, round(seconds, -1)):g} s"
    minutes = round(seconds / 60)
    hours, rest = divmod(minutes if minutes < 60 else 10 * round(minutes / 10), 60)
    return f"{hours} h" + (f" {rest} min" if rest else "") if hours else f"{minutes} min"


def _map(found):
    """What builds on what: a picture of the lessons for which something does, a sentence for the others."""
    names = {each.name for each in found}
    steps = [(before, each) for each in found for before in each.builds_on if before in names]
    if not steps:
        return "None of these builds on another: begin with whichever you like." if len(found) > 1 else ""
    said = "; ".join(f"{each.name} builds on {' and '.join(name for name in each.builds_on if name in names)}"
                     for each in found if names & set(each.builds_on))
    tied = {name for before, each in steps for name in (before, each.name)}
    boxes = [f'    {each.name}["{_quoted(each.title)}"]' for each in found if each.name in tied]
    alone = " The others can be taken in any order." if names - tied else ""
    arrows = [f"    {before} --> {each.name}" for before, each in steps]
    return "\n".join([f"What builds on what: {said}.{alone}", "", "```mermaid", "flowchart LR", "    accTitle: What builds on what",
                      f"    accDescr: {said}", *boxes, *arrows, "```"])


def _quoted(title):
    return title.replace('"', "#quot;")


def _here(found, machine):
    from course_lib.data import course_data_report
    lines = ["## This machine", ""]
    if machine is None:
        lines.append("- **Training**: PyTorch doesn't run here. The last cell of this page says what to do.")
    elif machine.scale == "gpu":
        lines.append("- **Training** runs on the GPU, at the full size (scale `gpu`). How long it takes on one hasn't been timed yet.")
    else:
        factor = pace.slower(machine)
        compared = "takes about as long as" if 0.9 < factor < 1.1 else f"takes {factor:.1f} times as long as"
        lines.append(f"- **Training** runs on the processor (scale `{machine.scale}`); every lesson is made for that too. This machine "
                     f"{compared} the one on which the lessons were timed ({pace.record()['machine']}), measured on a small net. "
                     "The last column above, what it takes for all cells of a lesson, is calculated from that; it is longer when other "
                     "programs are busy.")
    sets = [f"`{name}` {'✓ here' if where else '○ not here'}" for name, where, _ in course_data_report()]
    lines.append(f"- **Data**: {', '.join(sets)}. Where a set isn't here and there is no network, the lesson says so and goes on with `digits`.")
    return "\n".join(lines)


def show(again=False):
    """Display the page's changing part, up to date; again: measure the machine anew. What its first code cell runs."""
    from IPython.display import Markdown, display
    display(Markdown(markdown(again)))


def notebook(say=print):
    """The page as a notebook's JSON."""
    def cell(kind, name, source, **more):
        return {"cell_type": kind, "id": name, "metadata": {}, "source": source} | more

    said = {"output_type": "display_data", "metadata": {}, "data": {"text/markdown": markdown(say=say),
                                                                    "text/plain": "Run this cell to see where you stand."}}
    folded = {"jupyter": {"source_hidden": True}, "editable": True}
    return {"nbformat": 4, "nbformat_minor": 5, "cells": [
        cell("markdown", "welcome", WELCOME),
        cell("markdown", "up-to-date", UP_TO_DATE),
        cell("code", "where-you-stand", "from course_lib import start_page\n\nstart_page.show()", outputs=[said], execution_count=None,
             metadata=folded),
        cell("markdown", "trouble", TROUBLE),
        cell("code", "doctor", "from course_lib import doctor\n\ndoctor.main();", outputs=[], execution_count=None),
        cell("markdown", "to-submit", TO_SUBMIT.format(course=shlex.quote(str(Path(sys.executable).with_name("course")))))],
        "metadata": {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
                     "language_info": {"name": "python"}}}


def write(path=None, say=print):
    """Write the page; returns whether that was possible: a folder that can't be written to has none.

    Cells that a learner has added to it, such as notes, are kept at its end.
    """
    path = Path(path or PAGE)
    page = notebook(say)
    try:
        ours = {cell["id"] for cell in page["cells"]}
        page["cells"] += [cell for cell in read_notebook(path).cells if cell.id not in ours and cell.source.strip()]
    except LessonError:
        pass  # the first one, or a broken one
    try:
        with whole(path) as unfinished:
            unfinished.write_text(json.dumps(page, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        return True
    except OSError:
        return False
