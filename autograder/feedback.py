"""A learner's page: what each check says and what to do next, their plots, and what a person wrote.

    <class>/feedback/<student>/<lesson>/<lesson>.html

which is where nbgrader looks for it. `nbgrader release_feedback` hands it out under a name made from the submission's own
secret, and reads that and the time of handing in from two files beside it. A learning management system takes the pages back
in one zip, in which each is named after the hand-in as the system gave it:

    <class>/feedback/<lesson>.zip
"""

import re
import secrets
import zipfile

from course_lib.files import whole
from course_lib.verdict import FAILED, PASSED

from autograder import page as pages
from autograder.errors import LessonError
from autograder.handin import Unreadable, read_file
from autograder.results import png

# The base64 of all pictures on a page.
PICTURES_CHARACTERS = 16 * 1024**2
SECRET = "submission_secret.txt"

PAGE = pages.template("""\
{% extends "layout" %}
{% from "parts" import inline, word %}
{% block title %}{{ lesson.title }}: feedback for {{ result.student }}{% endblock %}
{% block style %}
.points td { padding-left: 0 } .points tr:last-child td { font-weight: 700; border-bottom: 0 }
.hint { margin: .35rem 0 }
details { margin: .6rem 0 }
@media print { details::details-content { content-visibility: visible; display: block } }
{% endblock %}
{% macro given(comment) %}
{% if comment %}
<p>Your instructor writes:</p>
<div class="prose">{{ comment }}</div>
{% endif %}
{% endmacro %}
{% block main %}
<h1>{{ lesson.title }}</h1>
<p class="quiet">Feedback for {{ result.student }}
{%- if result.submitted %} · handed in {{ result.submitted|moment }}{% endif %}
{%- if result.graded %} · judged {{ result.graded|moment }}{% endif %}
{%- if result.judged_by.get("scale") %}, at the scale “{{ result.judged_by.get("scale") }}”{% endif %}</p>
{% if result.problem %}
<section class="card not-graded">
<p><span class="mark">Nothing could be graded:</span> {{ inline(result.problem) }}{{ "" if result.problem.endswith((".", "?")) else "." }}
Hand in the one file that <code>course submit {{ result.lesson }}</code> packs.</p>
{% if result.total %}
<p>Your instructor gave {{ result.total|number }} of {{ result.max_total|points }}.</p>
{% endif %}
{% for comment in result.comments.values() %}
{{ given(comment) }}
{% endfor %}
</section>
{% else %}
<p class="summary">
{% if passed < result.verdicts|length %}
{{ passed }} of {{ result.verdicts|length }} checks pass
{%- if next %}; next: <a href="#check-{{ result.verdicts.index(next) + 1 }}">{{ next.check }}</a>{% endif %}.
{% elif passed %}
{{ "The check passes" if passed == 1 else "All %d checks pass"|format(passed) }}.
{% else %}
No check was judged.
{% endif %}
{% if result.waiting %}
{{ result.waiting }} {{ "part waits" if result.waiting == 1 else "parts wait" }} for your instructor.
{% endif %}
</p>
<table class="points">
<tbody>
<tr><td>Checks</td><td class="number">{{ result.points|number }} of {{ result.max_points|points }}</td></tr>
{% if result.by_hand %}
<tr><td>Questions, graded by a person</td><td class="number">
{% if answers_waiting < result.by_hand|length %}
{{ result.question_points|number }}{{ " so far," if answers_waiting else "" }}
{% else %}
not yet,
{% endif %}
of {{ result.by_hand|sum(attribute="max_points")|points }}</td></tr>
{% endif %}
{% if result.late_penalty %}
<tr><td>Handed in late</td><td class="number">−{{ result.late_penalty|points }}</td></tr>
{% endif %}
<tr><td>Total{{ " so far" if result.waiting else "" }}</td>
<td class="number">{{ result.total|number }} of {{ result.max_total|points }}</td></tr>
</tbody>
</table>

<h2>Checks</h2>
{% for each in result.verdicts %}
<section class="card {{ each.verdict|dashed }}" id="check-{{ loop.index }}">
<div class="head"><h3>{{ word(each.verdict) }}: {{ inline(lesson.check_title(each.check)) }}</h3>
<span class="quiet"><code>{{ each.check }}</code> · {{ each.points|number }} of {{ each.max_points|points }}</span></div>
{% if each.verdict == FAILED %}
<p class="hint">{{ inline(each.hint) }}</p>
{% if each.detail %}
<p class="quiet">{{ inline(each.detail) }}</p>
{% endif %}
{% elif each.verdict != PASSED %}
<p class="hint">{{ inline(each.hint.split("\\n")[0]) }}</p>
{% endif %}
{% if each.verdict == NOT_GRADED %}
<p class="quiet">This costs you nothing yet: your instructor will look at it and give the points.</p>
{% elif each.verdict == BY_HAND or each.points != (each.max_points if each.verdict == PASSED else 0) %}
<p class="quiet">Your instructor gave {{ each.points|number }} of {{ each.max_points|number }}.</p>
{% endif %}
{% if each.figures %}
<p class="quiet">Measured:
{% for name, value in each.figures.items() %}
{{ name }} {{ value|figure }}{{ "" if loop.last else "," }}
{% endfor %}
</p>
{% endif %}
{{ given(result.comments.get("check-" ~ each.check)) }}
</section>
{% endfor %}

{% if result.by_hand %}
<h2>Questions in your own words</h2>
{% for each in result.by_hand %}
{% set id = "answer-" ~ each.question %}
<section class="card {{ (NOT_GRADED if each.points is none else BY_HAND)|dashed }}">
<div class="head"><h3>{{ lesson.headings.get(id, each.question) }}</h3>
<span class="quiet"><code>{{ each.question }}</code> ·
{% if each.points is none %}waits for a person, {{ each.max_points|points }}
{% else %}{{ each.points|number }} of {{ each.max_points|points }}
{% endif %}
</span></div>
{% if each.answered and result.sources.get(id) %}
<p class="quiet">Your answer:</p>
<div class="prose">{{ result.sources[id] }}</div>
{% else %}
<p class="quiet">You left this one open.</p>
{% endif %}
{{ given(result.comments.get(each.question)) }}
</section>
{% endfor %}
{% endif %}

{% if cells %}
<h2>Your code, and what it showed when it was run again</h2>
{% for cell in cells %}
<section class="card">
<h3>{{ cell.heading }}</h3>
{% if cell.several %}
<p class="hint">Your notebook has this exercise in the cells {{ cell.several|sort|join(", ") }}. Only cell {{ cell.several[0] }} was graded: put everything into it, and
delete the rest.</p>
{% endif %}
{% if cell.source is not none %}
<details{{ " open" if cell.comment else "" }}><summary>Your code of <code>{{ cell.name }}</code></summary>
<pre><code>{{ cell.source }}</code></pre>
</details>
{% endif %}
{{ given(cell.comment) }}
{% for kind, output in cell.outputs %}
{% if kind == "picture" %}
<img src="data:image/png;base64,{{ output }}"
 alt="Output {{ loop.index }} of {{ loop.length }} of the cell under “{{ cell.heading }}”: a picture">
{% else %}
{% if kind == "error" %}
<p>The cell stopped here:</p>
{% endif %}
<pre>{{ output }}</pre>
{% endif %}
{% endfor %}
</section>
{% endfor %}
{% endif %}
{% endif %}
{% endblock %}
""")


def page(result, lesson, manual=None):
    """The HTML of one learner's page.

    lesson: the autograder.page.Released of result.lesson. manual: what a person gave, an autograder.gradebook.Total.
    """
    result = pages.marked(result, manual)
    return PAGE.render(
        result=result, lesson=lesson, cells=_cells(result, lesson),
        passed=sum(each.verdict == PASSED for each in result.verdicts),
        next=next((each for each in result.verdicts if each.verdict == FAILED), None),
        answers_waiting=sum(each.points is None for each in result.by_hand))


def _cells(result, lesson):
    """The cells to show, in the lesson's order: the learner's code, and whatever else of the lesson showed something."""
    found, room = [], PICTURES_CHARACTERS
    for cell_id in dict.fromkeys([*lesson.headings, *result.sources]):
        if cell_id.startswith(("setup-", "answer-", "check-")):
            continue
        outputs, name = [], lesson.grade_ids.get(cell_id, cell_id)
        for kept in result.outputs.get(cell_id, ()):
            outputs.append(_output(kept, room))
            room -= len(outputs[-1][1]) if outputs[-1][0] == "picture" else 0
        source, comment = result.sources.get(cell_id), result.comments.get(name)
        if source is not None or outputs or comment:
            found.append({"name": name, "heading": lesson.headings.get(cell_id, name), "source": source, "several": result.several.get(cell_id),
                          "outputs": outputs, "comment": comment})
    return found


def _output(kept, room):
    """One output of the re-run as (kind, what to show): a picture as base64, or an error's or any other text."""
    if "png" in kept:
        picture = png(kept["png"])
        return ("picture", pages.Printable(picture)) if picture and len(picture) <= room else ("text", "(A picture that can't be shown: broken, or too large.)")
    kind = "error" if "error" in kept else "text"
    return kind, str(kept.get(kind, ""))


# --- Where nbgrader looks for it ---

def write_all(classroom, course, lesson, students=None):
    """Write the pages of `students`, or of all whose submissions were graded. Returns their paths.

    Raises LessonError for a student without a result, and for a class without any.
    """
    results = {result.student: result for result in pages.results_of(classroom, lesson)}
    missing = [student for student in students or () if student not in results]
    if missing:
        raise LessonError(f"{lesson}: there is no result of {student!r}; `autograder grade {lesson}` makes one"
                          for student in missing)
    about, manual, written = pages.released(course, lesson), pages.manual_of(classroom, lesson, students), []
    for student in students or results:
        folder = classroom.root / "feedback" / student / lesson
        _address(folder, results[student], _secret_of(classroom, student, lesson))
        written.append(pages.write(folder / f"{lesson}.html", page(results[student], about, manual.get(student))))
    return written


def pack(classroom, lesson, handins):
    """Pack the pages of these autograder.handin.Handins into one zip, each at its `reply`. Returns its path, and the students who have no page."""
    path, without = classroom.root / "feedback" / f"{lesson}.zip", []
    with whole(path) as unfinished, zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as packed:
        for each in handins:
            page = classroom.root / "feedback" / each.student / lesson / f"{lesson}.html"
            if page.is_file():
                packed.write(page, each.reply.encode("utf-8", "replace").decode())  # a folder's name may be no text
            else:
                without.append(each.student)
    return path, without


def _address(folder, result, secret):
    """Write the two files that `nbgrader release_feedback` reads beside a page.

    A submission that didn't come through nbgrader's exchange has no secret, and its learner nowhere to fetch the page.
    It gets one all the same, since the release would stop there and leave the others without theirs.
    """
    pages.write(folder / "timestamp.txt", result.submitted or result.graded)
    if re.fullmatch("[!-~]{16,200}", secret):
        pages.write(folder / SECRET, secret)
    elif not (folder / SECRET).is_file():
        pages.write(folder / SECRET, secrets.token_hex(64))


def _secret_of(classroom, student, lesson):
    """The secret that nbgrader's exchange has given a submission; "" where there is none."""
    try:
        return read_file(classroom.root / "submitted", (student, lesson, SECRET)).decode("ascii", "replace")
    except Unreadable:
        return ""
