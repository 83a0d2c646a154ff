"""The class's page and table: points, checks by pass rate, the hints most given, time and memory, who waits for a person.

    <class>/reports/<lesson>.html and <lesson>.csv
"""

import base64
import io
import math
import re
import statistics
from collections import Counter, defaultdict
from csv import writer

from course_lib.card import printable
from course_lib.scale import Scale
from course_lib.style import BLACK, BLUE, course_style, new_figure
from course_lib.verdict import FAILED, NOT_GRADED, PASSED

from autograder import page as pages

HINTS = 5  # shown of each check
LARGEST = 1e9  # figure that is drawn; NaN isn't
NUMBER = re.compile(r"[-+−]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
COLUMNS = ("student", "lesson", "points", "max_points", "question_points", "late_penalty", "total", "max_total", "status",
           "waiting", "submitted", "graded")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
HATCHES = {PASSED: "", FAILED: "///", pages.BY_HAND: "xx", NOT_GRADED: "..."}
MARKERS = {PASSED: "o", FAILED: "X", pages.BY_HAND: "D", NOT_GRADED: "s"}


def table(results):
    """The class in figures.

    json.dumps can make JSON of it. Of whole submissions:

        submissions, judged            how many, and how many of which any check came to a verdict: the next four are over these
        points                         {median, greatest, least, of}, from checks
        seconds, cells_seconds, memory {median, greatest}, memory in bytes
        not_graded                     [[student, reason, [checks]]]
        notes                          {student: [sentences]}
        unsafe                         [students] whose submission was judged without a sandbox

    checks, {name: …}:

        max_points, pass_rate          a number, and one from 0 to 1, of those that passed or failed
        passed, failed, by hand, not graded    how many
        hints                          [[hint, how often]], most given first
        seconds, memory                {median, greatest}
        figures                        {figure: [[value, verdict, scale]]}, of a check that trains

    questions, {name: …}:

        max_points, given, median      a number, how many, and the points given
        waiting                        [students]

    What is taken over nothing is None.
    """
    by_check, by_question = defaultdict(list), defaultdict(list)
    for result in results:
        for judged in result.verdicts:
            by_check[judged.check].append((judged, result))
        for question in result.by_hand:
            by_question[question.question].append((question, result))
    judged = [result for result in results if result.judged]
    points, most = [result.points for result in judged], [result.max_points for result in judged]
    return {
        "submissions": len(results), "judged": len(judged),
        "points": _spread(points) | {"least": min(points, default=None), "of": max(most, default=None)},
        **{name: _spread([getattr(result, name) for result in judged]) for name in ("seconds", "cells_seconds", "memory")},
        "checks": {name: _check(judged) for name, judged in by_check.items()},
        "questions": {name: _question(asked) for name, asked in by_question.items()},
        "not_graded": [[result.student, *reason] for result in results for reason in _reasons(result).items()],
        "notes": {result.student: result.all_notes for result in results if result.all_notes},
        "unsafe": [result.student for result in results if str(result.judged_by.get("sandbox", "")).startswith("none")],
    }


def _check(judged):
    """The figures of one check, from [(Judged, Result)]."""
    figures = defaultdict(list)
    for each, result in judged:
        for name, value in each.figures.items():
            figures[name].append([value, each.verdict, result.judged_by.get("scale")])
    return {"max_points": max(each.max_points for each, _ in judged),
            **{verdict: sum(each.verdict == verdict for each, _ in judged) for verdict in pages.LOOKS},
            "pass_rate": statistics.mean(came_to) if (came_to := [each.verdict == PASSED for each, _ in judged
                                                                  if each.verdict in (PASSED, FAILED)]) else None,
            "hints": _most_given([each.hint for each, _ in judged if each.verdict == FAILED]),
            "seconds": _spread([each.seconds for each, result in judged if result.judged]),
            "memory": _spread([each.memory for each, result in judged if result.judged]),
            "figures": dict(figures)}


def _reasons(result):
    """{why: checks} of a submission's checks that weren't graded."""
    reasons = defaultdict(list)
    for judged in result.verdicts:
        if judged.verdict == NOT_GRADED:
            reasons[judged.hint].append(judged.check)
    return reasons


def _question(asked):
    """The figures of one question, from [(Question, Result)]."""
    given = [question.points for question, _ in asked if question.points is not None]
    return {"max_points": max(question.max_points for question, _ in asked), "given": len(given),
            "median": _spread(given)["median"],
            "waiting": [result.student for question, result in asked if question.points is None]}


def _most_given(hints):
    """[[hint, how often]], most given first. Hints that differ in numbers only are one: everybody's inputs are others."""
    alike = defaultdict(Counter)
    for hint in hints:
        alike[NUMBER.sub("#", hint)][hint] += 1
    counted = [[wordings.most_common(1)[0][0], wordings.total()] for wordings in alike.values()]
    return sorted(counted, key=lambda hint_and_count: -hint_and_count[1])


def _spread(values):
    return {"median": statistics.median(values) if values else None, "greatest": max(values, default=None)}


# --- CSV ---

def csv(results, manual={}):
    """One row a student, as CSV: the points of each check and question, the verdicts, and the sums.

    manual: {student: what a person gave, as autograder.gradebook.totals says it}. Empty cells: not judged or given yet, or not
    part of that submission.
    """
    results = [pages.marked(result, manual.get(result.student)) for result in results]
    checks = list(dict.fromkeys(judged.check for result in results for judged in result.verdicts))
    questions = list(dict.fromkeys(question.question for result in results for question in result.by_hand))
    head = [*COLUMNS]
    head += [f"{check}: {what}" for check in checks for what in ("points", "verdict")]
    head += [f"{question}: points" for question in questions]
    text = io.StringIO()
    rows = writer(text)
    rows.writerow(map(_cell, head))
    for result in results:
        judged, given = _by_name(result)
        empty = (["points", "total"] if not result.judged else []) + ["question_points"] * all(each.points is None for each in result.by_hand)
        row = [None if name in empty else getattr(result, name) for name in COLUMNS]
        for each in map(judged.get, checks):
            row += [each.points if each and each.verdict != NOT_GRADED else None, each and each.verdict]
        rows.writerow(map(_cell, row + [given.get(question) for question in questions]))
    return text.getvalue()


def _by_name(result):
    """({check: Judged}, {question: points})"""
    return {each.check: each for each in result.verdicts}, {each.question: each.points for each in result.by_hand}


def _cell(value):
    """A spreadsheet takes text that begins like a formula for one; an apostrophe in front keeps it text."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if value.startswith(FORMULA) or text.startswith(FORMULA) else text


# --- Plots ---

@course_style()
def _points_plot(results):
    """How the points from checks are distributed, in bars one point wide."""
    most = max(result.max_points for result in results)
    figure, axes = new_figure(5.2, 2.5, [["points"]])
    axes["points"].hist([result.points for result in results], bins=[edge - 0.5 for edge in range(math.ceil(most) + 2)],
                        color=BLUE, edgecolor="white")
    axes["points"].set(xlabel=f"points from checks, of {most:g}", ylabel="submissions", xlim=(-0.6, math.ceil(most) + 0.6))
    axes["points"].locator_params(integer=True)
    axes["points"].grid(axis="x", visible=False)
    return _picture(figure)


@course_style()
def _checks_plot(checks):
    """One bar a check, stacked by verdict. Colour, hatching and the mark above say which is which."""
    figure, axes = new_figure(5.2, 0.8 + 0.32 * len(checks), [["checks"]])
    axes, there = axes["checks"], [verdict for verdict in pages.LOOKS if any(check[verdict] for check in checks.values())]
    left = [0] * len(checks)
    for verdict in there:
        mark, word, colour = pages.LOOKS[verdict]
        counts = [check[verdict] for check in checks.values()]
        bars = axes.barh(list(checks), counts, left=left, color=colour, hatch=HATCHES[verdict], edgecolor="white",
                         linewidth=0, label=f"{mark} {word}")
        axes.bar_label(bars, [count or "" for count in counts], label_type="center", fontsize=9, color="#222222",
                       bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8})
        left = [before + count for before, count in zip(left, counts)]
    axes.invert_yaxis()
    axes.set(xlabel="submissions")
    axes.locator_params(axis="x", integer=True)
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper left", ncols=4, fontsize=9)
    return _picture(figure)


@course_style()
def _figures_plot(figures, bounds):
    """What a training check measured: one dot a submission, one row a figure, and the bound at each scale in use."""
    figure, axes = new_figure(5.2, 0.5 + 0.95 * len(figures), [[name] for name in figures])
    for name, measured in figures.items():
        drawn = _drawable(measured)
        for verdict, (_, _, colour) in pages.LOOKS.items():
            there = [(value, index) for index, (value, judged) in enumerate(drawn) if judged == verdict]
            # Rows set off by the golden ratio, so that equal values don't hide each other.
            axes[name].scatter([value for value, _ in there], [index * 0.618034 % 1 for _, index in there], s=34,
                               color=colour, marker=MARKERS[verdict], linewidths=0, alpha=0.75)
        for scale in sorted({scale for *_, scale in measured if scale and name in bounds}):
            bound = bounds[name].value(Scale(scale))
            axes[name].axvline(bound, color=BLACK, linewidth=1.2, linestyle="--")
            axes[name].annotate(f"{bounds[name].sense} {bound:g} ({scale})", (bound, 1.0), (3, 2),
                                xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=8.5)
        if drawn and 0 < min(drawn)[0] and 30 * statistics.median(value for value, _ in drawn) < max(drawn)[0]:
            axes[name].set_xscale("log")
        lost = len(measured) - len(drawn)
        axes[name].set(yticks=[], ylim=(-0.15, 1.15), ylabel=name)
        if lost:
            axes[name].set_xlabel(f"{lost} beyond what can be drawn")
    return _picture(figure)


def _drawable(measured):
    """[(value, verdict)] without what can't be drawn, or would leave no room for the others."""
    return [(value, verdict) for value, verdict, _ in measured if abs(value) < LARGEST]


def _picture(figure):
    """The address of the figure as an SVG picture, its text drawn as outlines; the same bytes for the same figure."""
    import matplotlib
    file = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": "report"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return pages.Printable("data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode())


# --- The page ---

PAGE = pages.template("""\
{% extends "layout" %}
{% from "parts" import inline, mark, word %}
{% block title %}{{ lesson.title }}: the class{% endblock %}
{% block style %}
main { max-width: 76rem }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); gap: 0 1.5rem }
.figures { align-items: start } .figures img { width: 100%; max-width: 40rem }
thead th { vertical-align: bottom }
.name { min-width: 7em }
.students { font-size: .92em } .students th, .students td { padding: .2rem .5rem }
.students th:first-child { position: sticky; left: 0; background: var(--page); }
.tall { writing-mode: vertical-rl; transform: rotate(180deg); max-height: 14rem }
{% endblock %}
{% macro spread(values, of=1, form="%.1f") %}
{% if values.median is none %}?{% else %}{{ form|format(values.median / of) }} / {{ form|format(values.greatest / of) }}{% endif %}
{%- endmacro %}
{% block main %}
<h1>{{ lesson.title }}: the class</h1>
<p class="quiet">{{ table.submissions }} submission{{ "" if table.submissions == 1 else "s" }}
{%- if judged %} · last judged {{ judged|moment }}{% endif %}
{%- if scales %} · scale {{ scales|join(", ") }}{% endif %}</p>
{% if table.unsafe %}
<p class="card failed"><span class="mark">✗</span> Judged without a sandbox: {{ table.unsafe|join(", ") }}.
A hostile submission could have forged such a verdict, or harmed the machine.</p>
{% endif %}
{% if not table.submissions %}
<p class="summary">Nothing has been graded yet.</p>
{% else %}
<p class="summary">
{% if table.judged %}
Median {{ table.points.median|number }} of {{ table.points.of|points }} from checks;
{{ table.points.least|number }} at least, {{ table.points.greatest|number }} at most.
{% endif %}
{% if table.judged < table.submissions %}
{{ table.submissions - table.judged }} not graded at all, and left out of these figures.
{% endif %}
{% if waiting %}
<a href="#waiting">{{ waiting }} {{ "submission waits" if waiting == 1 else "submissions wait" }} for a person.</a>
{% else %}
Nothing waits for a person.
{% endif %}
</p>

<h2>Points, and checks by pass rate</h2>
<div class="figures">
{% for picture, alt in pictures %}
<img src="{{ picture }}" alt="{{ alt }}">
{% endfor %}
</div>
<div class="scroll" tabindex="0" role="region" aria-label="Checks in figures">
<table>
<thead><tr><th scope="col">Check</th><th scope="col" class="number">Points</th>
{% for verdict in shown %}
<th scope="col" class="number">{{ word(verdict) }}</th>
{% endfor %}
<th scope="col" class="number">Pass</th><th scope="col" class="number">Seconds,<br>median / most</th>
<th scope="col" class="number">Megabytes,<br>median / most</th></tr></thead>
<tbody>
{% for name, check in table.checks.items() %}
<tr><th scope="row"><code>{{ name }}</code></th><td class="number">{{ check.max_points|number }}</td>
{% for verdict in shown %}
<td class="number">{{ check[verdict] }}</td>
{% endfor %}
<td class="number">{{ "?" if check.pass_rate is none else "%.0f %%"|format(100 * check.pass_rate) }}</td>
<td class="number">{{ spread(check.seconds) }}</td><td class="number">{{ spread(check.memory, 1e6, "%.0f") }}</td></tr>
{% endfor %}
</tbody>
</table>
</div>
<p class="quiet">A whole submission, median / most: {{ spread(table.seconds) }} s,
of which its own cells {{ spread(table.cells_seconds) }} s; {{ spread(table.memory, 1e6, "%.0f") }} MB.</p>

<h2>The hints most given</h2>
{% for name, check in table.checks.items() if check.hints %}
<section class="card">
<h3><code>{{ name }}</code>: {{ inline(lesson.check_title(name)) }}</h3>
<table><tbody>
{% for hint, count in check.hints[:HINTS] %}
<tr><td class="number">{{ count }} ×</td><td>{{ inline(hint) }}</td></tr>
{% endfor %}
</tbody></table>
{% if check.hints|length > HINTS %}
<p class="quiet">and {{ check.hints[HINTS:]|sum(attribute=1) }} more, of {{ check.hints|length - HINTS }} other kinds</p>
{% endif %}
</section>
{% else %}
<p>No check has failed.</p>
{% endfor %}

{% if training %}
<h2>What training reached</h2>
<div class="figures">
{% for name, picture, alt in training %}
<section>
<h3><code>{{ name }}</code></h3>
<img src="{{ picture }}" alt="{{ alt }}">
</section>
{% endfor %}
</div>
<p class="quiet">One mark a submission:
{% for verdict in shown %}{{ markers[verdict] }} {{ looks[verdict][1]|lower }}, {% endfor %}dashed the bound.</p>
{% endif %}

<h2 id="waiting">Waiting for a person</h2>
{% if table.not_graded %}
<table>
<thead><tr><th scope="col">Student</th><th scope="col">Why, and which checks</th></tr></thead>
<tbody>
{% for student, reason, checks in table.not_graded %}
<tr><th scope="row" class="name">{{ student }}</th><td>{{ inline(reason) }}
<p class="quiet">{% for check in checks %}<code>{{ check }}</code>{{ "" if loop.last else ", " }}{% endfor %}</p></td></tr>
{% endfor %}
</tbody>
</table>
{% else %}
<p>Every check came to a verdict.</p>
{% endif %}
{% for name, question in table.questions.items() %}
<p>Question <code>{{ name }}</code>: {{ question.given }} given
{%- if question.given %} (median {{ question.median|number }} of {{ question.max_points|points }}){% endif %},
{{ question.waiting|length }} waiting
{%- if question.waiting %}: {{ question.waiting|join(", ") }}{% endif %}.</p>
{% endfor %}

{% if table.notes %}
<h2>Notes for the instructor</h2>
{% for student, notes in table.notes.items() %}
<section class="card">
<h3>{{ student }}</h3>
{% for note in notes %}
<p>{{ inline(note) }}</p>
{% endfor %}
</section>
{% endfor %}
{% endif %}

<h2>Students</h2>
<div class="scroll" tabindex="0" role="region" aria-label="Points of each student">
<table class="students">
<thead><tr><th scope="col">Student</th><th scope="col" class="number">Total</th>
{% for name in table.checks %}
<th scope="col"><span class="tall">{{ name }}</span></th>
{% endfor %}
{% for name in table.questions %}
<th scope="col"><span class="tall">{{ name }}, by hand</span></th>
{% endfor %}
{% if late %}
<th scope="col"><span class="tall">late penalty</span></th>
{% endif %}
</tr></thead>
<tbody>
{% for result in results %}
{% set checks, questions = by_name[loop.index0] %}
<tr><th scope="row" class="text">{{ result.student }}</th>
<td class="number">
{%- if result.judged %}{{ result.total|number }}{{ " + ?" if result.waiting }}{% else %}?{% endif %}</td>
{% for name in table.checks %}
{% set judged = checks.get(name) %}
{% if judged %}
<td class="number {{ judged.verdict|dashed }}">{{ mark(judged.verdict) }}{% if judged.verdict != NOT_GRADED %} {{ judged.points|number }}{% endif %}</td>
{% else %}
<td></td>
{% endif %}
{% endfor %}
{% for name in table.questions %}
{% set points = questions.get(name, "") %}
<td class="number">{{ "?" if points is none else points|number if name in questions else "" }}</td>
{% endfor %}
{% if late %}
<td class="number">{% if result.late_penalty %}−{{ result.late_penalty|number }}{% endif %}</td>
{% endif %}
</tr>
{% endfor %}
</tbody>
</table>
</div>
<p class="quiet">{% for verdict in shown %}{{ mark(verdict) }} {{ looks[verdict][1]|lower }}, {% endfor %}
? waits for a person.</p>
{% endif %}
{% endblock %}
""")


def page(lesson, results, manual={}):
    """The HTML of the class's page.

    lesson: its autograder.page.Released. manual: {student: what a person gave, as autograder.gradebook.totals says it}.
    """
    results = [pages.marked(result, manual.get(result.student)) for result in results]
    figures = table(results)
    checks = figures["checks"]
    return PAGE.render(
        lesson=lesson, table=figures, HINTS=HINTS, markers={PASSED: "●", FAILED: "✖", pages.BY_HAND: "◆", NOT_GRADED: "■"},
        judged=max((result.graded for result in results), default=""),
        scales=sorted({str(result.judged_by["scale"]) for result in results if result.judged_by.get("scale")}),
        waiting=sum(result.waiting > 0 for result in results),
        shown=[look for look in pages.LOOKS if look != pages.BY_HAND or any(check[look] for check in checks.values())],
        pictures=_class_pictures(results, figures),
        training=list(_training_pictures(checks, lesson)),
        results=results, by_name=list(map(_by_name, results)), late=any(result.late_penalty for result in results))


def _class_pictures(results, figures):
    """(picture, its text): the points, and the checks' verdicts, each if there are any."""
    points, judged = figures["points"], [result for result in results if result.judged]
    if judged:
        yield _points_plot(judged), ("Bars: how many submissions have how many points from checks. "
                                     f"Median {points['median']:g} of {points['of']:g}, from {points['least']:g} to "
                                     f"{points['greatest']:g}.")
    if figures["checks"]:
        rates = ", ".join(f"{name} {check['pass_rate']:.0%}" for name, check in figures["checks"].items()
                          if check["pass_rate"] is not None)
        yield _checks_plot(figures["checks"]), f"Stacked bars: verdicts by check. Pass rates: {rates or 'none'}."


def _training_pictures(checks, lesson):
    """(check, picture, its text) of each check that measured something."""
    for name, check in checks.items():
        if check["figures"]:
            bounds = getattr(lesson.checks.get(name), "bounds", {})
            medians = ", ".join(f"{figure} {statistics.median(value for value, _ in drawn):.4g}"
                                for figure, measured in check["figures"].items() if (drawn := _drawable(measured)))
            yield name, _figures_plot(check["figures"], bounds), f"A mark for each submission. Medians: {medians or 'none'}."


def write(classroom, course, lesson):
    """Write the class's page and table. Returns (HTML path, CSV path). Raises LessonError for a lesson or results that aren't there."""
    about, results = pages.released(course, lesson), pages.results_of(classroom, lesson)
    manual, folder = pages.manual_of(classroom, lesson), classroom.root / "reports"
    return (pages.write(folder / f"{lesson}.html", page(about, results, manual)),
            pages.write(folder / f"{lesson}.csv", csv(results, manual)))
