"""What the learner's page and the class's page share: a frame that shows any text and runs none, and how points add up.

What the pages show comes from hostile submissions. Jinja escapes every value, nothing is ever marked as safe, control
characters go, and the page's own policy lets no script, frame, form or address in. A page is one file without scripts.
"""

import re
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

import jinja2

from course_lib import card, lessons
from course_lib.files import whole
from course_lib.style import PURPLE
from course_lib.verdict import FAILED, NOT_GRADED, PASSED

from autograder.errors import LessonError
from autograder.results import Result

BY_HAND = "by hand"  # not graded by the judge, and then by a person
LOOKS = {**card.LOOKS, BY_HAND: ("✎", "By hand", PURPLE), NOT_GRADED: card.NOT_GRADED_LOOK}


# --- The lesson, as the learners have it ---

@dataclass(frozen=True)
class Released:
    """What pages say of a lesson.

    checks: {name: Check}. headings: {cell id: the heading it stands under}, in the lesson's order. grade_ids: {cell id:
    nbgrader's name for it}, of the cells that nbgrader knows.
    """

    title: str
    checks: dict
    headings: dict
    grade_ids: dict

    def check_title(self, name):
        return getattr(self.checks.get(name), "title", name)


def released(course, lesson):
    """The Released of a lesson. Raises LessonError when there is no such lesson, or its notebook can't be read."""
    try:
        notebook, checks = lessons.read_notebook(course.released(lesson)), course.checks_of(lesson)
    except (lessons.LessonError, LookupError) as error:
        raise LessonError(f"{lesson}: {error}") from None
    title = notebook.metadata.get("course", {}).get("title", lesson)
    headings, heading = {}, title
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for found in re.findall(r"^#{1,6} +(.+)", cell.source, re.MULTILINE):
                heading = re.sub(r" *\*\(.*\)\*", "", found)  # *(easy, 5 minutes)*
        headings[cell.id] = heading
    grade_ids = {cell.id: cell.metadata.nbgrader.grade_id for cell in notebook.cells if "nbgrader" in cell.metadata}
    return Released(title, checks, headings, grade_ids)


# --- Points, with what a person gave ---

@dataclass
class Marked(Result):
    """A Result with a person's points in place of the judge's.

    comments: {grade id: what the person wrote}. late_penalty: in points. changed: whether a person must look again at what
    they gave points for.
    """

    comments: dict = field(default_factory=dict)
    late_penalty: float = 0.0
    changed: bool = False

    @property
    def question_points(self):
        """What a person has given for the questions so far."""
        return sum(each.points or 0 for each in self.by_hand)

    @property
    def total(self):
        """Checks and questions, less the penalty, and never below 0."""
        return max(0, self.points + self.question_points - self.late_penalty)

    @property
    def max_total(self):
        return self.max_points + sum(each.max_points for each in self.by_hand)

    @property
    def waiting(self):
        """How many checks and questions wait for a person."""
        open_checks = sum(each.verdict == NOT_GRADED for each in self.verdicts)
        return max(open_checks + sum(each.points is None for each in self.by_hand), int(self.changed))


def marked(result, manual=None):
    """The Marked of a Result. A check that was not graded and has a person's points has the verdict BY_HAND.

    manual: what a person gave: the student's autograder.gradebook.Total, of which `given`, `penalty` and `waits` count.
    """
    given = manual.given if manual else {}

    def with_points(each, grade_id):
        points = given.get(grade_id, (None,))[0]
        settled = {"verdict": BY_HAND} if getattr(each, "verdict", None) == NOT_GRADED else {}
        return each if points is None else replace(each, points=points, **settled)

    return Marked(**vars(result) | {
        "verdicts": [with_points(each, f"check-{each.check}") for each in result.verdicts],
        "by_hand": [with_points(each, each.question) for each in result.by_hand]},
        comments={name: comment for name, (_, comment) in given.items() if comment},
        late_penalty=manual.penalty if manual else 0.0, changed=bool(manual and manual.waits))


def results_of(classroom, lesson):
    """All Results of a lesson, by student. Raises LessonError where there are none."""
    results = classroom.load_all(lesson)
    if not results:
        raise LessonError(f"no results of {lesson} in {classroom.root}; grade first, or name the class with --class")
    return results


def manual_of(classroom, lesson, students=None):
    """{student: autograder.gradebook.Total}; empty where the class has no gradebook yet."""
    from autograder import gradebook
    return gradebook.totals(classroom, lesson, students) if (classroom.root / "gradebook.db").is_file() else {}


# --- The page ---

class Printable(str):
    """Text known to hold no control characters: the base64 of a picture, say, which would take long to look through."""


LAYOUT = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{% block title %}{% endblock %}</title>
<style>
:root { --text: #1d1d1f; --quiet: #5c5c63; --page: #fff; --card: #f6f6f7; --line: #d9d9de; --link: #0060a0 }
@media (prefers-color-scheme: dark) {
  :root { --text: #ececef; --quiet: #a9a9b2; --page: #17181b; --card: #222327; --line: #3c3d44; --link: #7cc4f2 }
}
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--text); font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 56rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; overflow-wrap: anywhere }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem }
h2 { font-size: 1.25rem; margin: 2.4rem 0 .7rem }
h3 { font-size: 1rem; margin: 0 }
p { margin: .4rem 0 }
a { color: var(--link) }
.quiet { color: var(--quiet); font-size: .92em }
.summary { font-size: 1.12rem; margin: 1.2rem 0 }
.card { background: var(--card); border-left: 5px solid var(--line); padding: .6rem .9rem; margin: .6rem 0 }
section.card { break-inside: avoid }
{% for verdict, (_, _, colour) in looks.items() %}
.card.{{ verdict|dashed }} { border-left-color: {{ colour }} }
.{{ verdict|dashed }} .mark { color: {{ colour }} }
{% endfor %}
.head { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem }
.mark { font-weight: 700 }
code, pre { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: .9em }
pre, .prose { white-space: pre-wrap; margin: .5rem 0; padding: .6rem .7rem }
pre, .prose { background: var(--page); border: 1px solid var(--line) }
summary { cursor: pointer; font-weight: 600 }
img { display: block; max-width: 100%; height: auto; margin: .5rem 0; padding: .4rem; background: #fff; border-radius: 4px }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
.card tr:last-child > td { border-bottom: 0 }
th, td { padding: .25rem .7rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line) }
.number { text-align: right; white-space: nowrap }
.scroll { overflow-x: auto } .scroll table { overflow-wrap: normal }
.scroll .text { min-width: 9rem; overflow-wrap: anywhere }
@media print {
  :root { --text: #000; --quiet: #444; --page: #fff; --card: #fff; --line: #bbb; --link: #000 }
  main { max-width: none; padding: 0 }
  h2, h3 { break-after: avoid }
  .scroll { overflow: visible }
}
{% block style %}{% endblock %}
</style>
</head>
<body>
<main>
{% block main %}{% endblock %}
</main>
</body>
</html>
"""

PARTS = """\
{# `code` in backticks is set as code. #}
{% macro inline(text) %}
{% for piece in text|pieces %}
{% if loop.index is even %}<code>{{ piece }}</code>{% else %}{{ piece }}{% endif %}
{% endfor %}
{% endmacro %}

{% macro mark(verdict) %}<span class="mark">{{ looks.get(verdict, looks[NOT_GRADED])[0] }}</span>{% endmacro %}

{% macro word(verdict) %}{{ mark(verdict) }} {{ looks.get(verdict, looks[NOT_GRADED])[1] }}{% endmacro %}
"""


def _moment(text):
    """An ISO time as people write it, in UTC; what isn't one, as it is."""
    try:
        when = datetime.fromisoformat(text)
        return (when.astimezone(timezone.utc) if when.tzinfo else when).strftime("%-d %B %Y, %H:%M UTC")
    except (ValueError, OverflowError):
        return text


_pages = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    finalize=lambda value: card.printable(value) if type(value) is str else value,
    loader=jinja2.DictLoader({"layout": LAYOUT, "parts": PARTS}))
_pages.globals.update(looks=LOOKS, PASSED=PASSED, FAILED=FAILED, NOT_GRADED=NOT_GRADED, BY_HAND=BY_HAND)
_pages.filters.update(pieces=lambda text: re.split(r"`([^`]+)`", text), dashed=lambda text: text.replace(" ", "-"),
                      points=card.points_text, moment=_moment, number="{:g}".format, figure="{:.4g}".format)


def template(source):
    """A page's template: one that extends "layout" (blocks title, style, main) and may import macros from "parts"."""
    return _pages.from_string(source)


def write(path, text):
    """Write `text`, whole or not at all."""
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="")
    return path
