"""The class's page and table: the right sums for any class, and nothing handed in comes alive in browser or spreadsheet."""

import base64
import csv
import io
import json
import time
import xml.etree.ElementTree
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_feedback import LESSON, Page, assert_inert, judged, results, totals, unreadable
from toy_course import make_course

from autograder import build, report
from autograder.errors import LessonError
from autograder.gradebook import Total
from autograder.results import ClassFolder, Question, Result
from course_lib import expect
from course_lib.verdict import FAILED, NOT_GRADED, PASSED

RING = {"modes": expect.at_least(smoke=8), "quality": expect.at_least(smoke=0.8, cpu=0.9)}
TRAINED = SimpleNamespace(title="A ring of Gaussians.", bounds=RING)


def trained(verdict, modes, quality):
    hint = "" if verdict == PASSED else "Train again."
    return judged("ring", verdict, hint=hint, figures={"modes": modes, "quality": quality})


@pytest.fixture(scope="module")
def class_of_four():
    """Ada passes; Bob and Carl make one mistake, with other numbers; Dora's training couldn't be judged."""
    def handed_in(student, mean, ring, seconds, notes=(), points=None, sandbox="bubblewrap"):
        return Result(student, "toy", [mean, ring], [Question("outliers", 2, points)], notes=list(notes), seconds=seconds,
                      graded=f"2025-03-0{seconds}T08:00:00+00:00", judged_by={"scale": "cpu", "sandbox": sandbox})

    return [
        handed_in("ada", judged(seconds=1, memory=100), trained(PASSED, 8, 0.97), 1, points=1.5),
        handed_in("bob", judged(verdict=FAILED, hint="`mean` is off by 2.5.", seconds=2, memory=300),
                  trained(FAILED, 7, 0.93), 3),
        handed_in("carl", judged(verdict=FAILED, hint="`mean` is off by -1e-3.", seconds=9, memory=200),
                  trained(FAILED, 8, float("nan")), 5, ["Two cells had one id."]),
        handed_in("dora", judged(seconds=3, memory=400), judged("ring", NOT_GRADED, hint="It took too long."), 7,
                  sandbox="none (--unsafe)")]


@pytest.fixture(scope="module")
def lesson():
    return replace(LESSON, checks={**LESSON.checks, "ring": TRAINED})


# --- Figures ---

def test_the_class_in_figures(class_of_four):
    made = report.table(class_of_four)
    assert made["submissions"] == 4
    assert made["points"] == {"median": 1.5, "greatest": 6, "least": 0, "of": 6}
    assert made["seconds"] == {"median": 4, "greatest": 7}
    mean, ring = made["checks"]["mean"], made["checks"]["ring"]
    assert (mean["passed"], mean["failed"], mean["not graded"], mean["pass_rate"]) == (2, 2, 0, 0.5)
    assert (ring["passed"], ring["failed"], ring["not graded"], ring["pass_rate"]) == (1, 2, 1, 1 / 3)
    assert mean["seconds"] == {"median": 2.5, "greatest": 9} and mean["memory"] == {"median": 250, "greatest": 400}
    assert ring["hints"] == [["Train again.", 2]]
    assert ring["figures"]["modes"] == [[8, PASSED, "cpu"], [7, FAILED, "cpu"], [8, FAILED, "cpu"]]
    assert made["not_graded"] == [["dora", "It took too long.", ["ring"]]]
    assert made["questions"]["outliers"] == {"max_points": 2, "given": 1, "median": 1.5, "waiting": ["bob", "carl", "dora"]}
    assert made["notes"] == {"carl": ["Two cells had one id."]} and made["unsafe"] == ["dora"]
    json.dumps(made)


def test_what_was_not_graded_at_all_is_left_out_of_the_figures(class_of_four, lesson):
    made = [*class_of_four, unreadable()]
    before, after = report.table(class_of_four), report.table(made)
    assert (after["submissions"], after["judged"], before["judged"]) == (5, 4, 4)
    assert all(after[name] == before[name] for name in ("points", "seconds", "memory"))
    assert after["checks"]["mean"]["not graded"] == 1
    assert all(after["checks"]["mean"][name] == before["checks"]["mean"][name] for name in ("pass_rate", "seconds", "memory"))
    text = " ".join(Page(report.page(lesson, made)).text.split())
    assert "Median 1.5 of 6 points from checks; 0 at least, 6 at most. 1 not graded at all, and left out" in text
    assert "kurt ? ?" in text
    *_, kurt = csv.DictReader(io.StringIO(report.csv(made)))
    assert {kurt[name] for name in ("points", "total", "mean: points", "spread: points", "outliers: points")} == {""}
    assert kurt["status"] == "not graded" and kurt["max_points"] == "6"
    *_, kurt = csv.DictReader(io.StringIO(report.csv(made, {"kurt": Total(1, 8, 0.0, True, {"check-mean": (1, None)})})))
    assert (kurt["points"], kurt["total"], kurt["mean: points"], kurt["spread: points"]) == ("1", "1.0", "1", "")


def test_hints_that_differ_in_numbers_only_are_counted_as_one(class_of_four):
    assert report.table(class_of_four)["checks"]["mean"]["hints"] == [["`mean` is off by 2.5.", 2]]


def test_hints_are_in_the_order_of_how_often_they_were_given():
    hints = ["rare", "common", "common", "middling", "common", "middling"]
    made = report.table([Result(str(i), "toy", [judged(verdict=FAILED, hint=hint)]) for i, hint in enumerate(hints)])
    assert made["checks"]["mean"]["hints"] == [["common", 3], ["middling", 2], ["rare", 1]]


def test_checks_not_graded_for_one_reason_are_one_line():
    reasons = {"a": "no notebook", "b": "memory", "c": "no notebook"}
    made = report.table([Result("ada", "toy", [judged(name, NOT_GRADED, hint=hint) for name, hint in reasons.items()])])
    assert made["not_graded"] == [["ada", "no notebook", ["a", "c"]], ["ada", "memory", ["b"]]]


# --- The page ---

def test_the_page_says_it(class_of_four, lesson):
    page = Page(report.page(lesson, class_of_four))
    text = " ".join(page.text.split())
    assert "4 submissions · last judged 7 March 2025, 08:00 UTC · scale cpu" in text
    assert "Median 1.5 of 6 points from checks; 0 at least, 6 at most." in text
    assert "3 submissions wait for a person." in text
    assert "Judged without a sandbox: dora." in text
    assert "ring: A ring of Gaussians. 2 × Train again." in text
    assert "dora It took too long. ring" in text and "carl Two cells had one id." in text
    assert "Question outliers: 1 given (median 1.5 of 2 points), 3 waiting: bob, carl, dora." in text
    rows = [line.strip() for line in text.partition("late penalty")[0].split("Student ") if line.startswith("Total")]
    assert "ada 7.5 ✓ 3 ✓ 3 1.5" in rows[0] and "dora 3 + ? ✓ 3 ? ?" in rows[0]
    levels = [int(tag[1]) for tag, _ in page.tags if tag in ("h1", "h2", "h3")]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


def test_what_people_gave_counts(class_of_four, lesson):
    given = {"dora": Total(0, 0, 1.0, False, {"check-ring": (2, "Looked at."), "outliers": (0.5, None)})}
    text = " ".join(Page(report.page(lesson, class_of_four, given)).text.split())
    assert "dora 4.5 ✓ 3 ✎ 2 0.5 −1" in text
    assert "Every check came to a verdict." in text and "2 submissions wait" in text


def test_plots_are_pictures_with_their_text_drawn(class_of_four, lesson):
    page = Page(report.page(lesson, class_of_four))
    images = page.all("img")
    assert len(images) == 3  # points, verdicts, ring
    for image in images:
        root = xml.etree.ElementTree.fromstring(base64.b64decode(image["src"].partition("base64,")[2]))
        assert root.tag.endswith("svg") and not [each for each in root.iter() if each.tag.endswith(("text", "script"))]
    assert "Median 1.5 of 6, from 0 to 6." in images[0]["alt"]
    assert "mean 50%, ring 33%" in images[1]["alt"]


def test_the_same_class_gives_the_same_page(class_of_four, lesson):
    assert report.page(lesson, class_of_four) == report.page(lesson, class_of_four)


def test_figures_that_are_no_numbers_are_counted_and_left_out(lesson):
    made = [Result("ada", "toy", [trained(FAILED, 8, float("nan"))], judged_by={"scale": "cpu"}),
            Result("bob", "toy", [trained(PASSED, 8, 0.95)], judged_by={"scale": "cpu"})]
    *_, plot = Page(report.page(lesson, made)).all("img")
    assert plot["alt"] == "A mark for each submission. Medians: modes 8, quality 0.95."


def test_the_bound_is_drawn_where_it_is(monkeypatch, lesson):
    drawn = {}
    monkeypatch.setattr(report, "_picture", lambda figure: drawn.update(figure=figure) or "data:,")
    report._figures_plot({"quality": [[0.95, PASSED, "cpu"], [0.5, FAILED, "smoke"], [1e300, FAILED, "cpu"]]}, RING)
    axes, = drawn["figure"].axes
    assert sorted(line.get_xdata()[0] for line in axes.lines) == [0.8, 0.9]
    assert {text.get_text() for text in axes.texts} == {"at least 0.8 (smoke)", "at least 0.9 (cpu)"}
    assert sorted(x for dots in axes.collections for x, _ in dots.get_offsets()) == [0.5, 0.95]
    assert axes.get_xlabel() == "1 beyond what can be drawn"


def test_an_empty_class_has_a_page_and_a_table(lesson):
    assert "Nothing has been graded yet." in Page(report.page(lesson, [])).text
    assert list(csv.reader(io.StringIO(report.csv([]))))[1:] == []
    assert report.table([])["points"]["median"] is None


def test_a_class_of_which_nothing_could_be_judged(lesson):
    made = [Result("ada", "toy", [judged(name, NOT_GRADED, hint="no notebook") for name in ("mean", "ring")]),
            Result("bob", "toy", [])]
    text = " ".join(Page(report.page(lesson, made)).text.split())
    assert "ada no notebook mean, ring" in text and "No check has failed." in text


def test_five_hundred_students_are_quick(lesson):
    made = [Result(f"s{i}", "toy", [judged(verdict=FAILED, hint=f"off by {i}"), trained(PASSED, 8, i / 500)], graded="",
                   judged_by={"scale": "cpu"}) for i in range(500)]
    start = time.process_time()
    page = Page(report.page(lesson, made))
    assert time.process_time() - start < 10  # takes about one
    assert sum(tag == "tr" for tag, _ in page.tags) >= 500
    assert sum(len(image["src"]) for image in page.all("img")) < 2_000_000


def with_the_courses_names(made):
    """Those of checks, figures and scales are the course's own."""
    verdicts = [replace(each, check=name, figures={"quality": value for value in each.figures.values()})
                for each, name in zip(made.verdicts, ("mean", "ring", "spread"))]
    return replace(made, verdicts=verdicts, judged_by=made.judged_by | {"scale": "cpu"})


@settings(max_examples=10, deadline=None)
@given(st.lists(results.map(with_the_courses_names), max_size=3), totals)
def test_nothing_handed_in_comes_alive(made, manual):
    lesson = replace(LESSON, checks={"ring": TRAINED})
    source = report.page(lesson, made, {each.student: manual for each in made if manual})
    assert_inert(source, Page(report.page(lesson, [])).styles)


# --- CSV ---

@settings(max_examples=60, deadline=None)
@given(st.lists(results, max_size=3))
def test_no_cell_is_a_formula_and_every_row_is_whole(made):
    rows = list(csv.reader(io.StringIO(report.csv(made).encode("utf-8").decode(), newline="")))
    assert len(rows) == 1 + len(made) and len({len(row) for row in rows}) == 1
    for cell in (cell for row in rows for cell in row if cell):
        try:
            float(cell)  # a negative number is no formula
        except ValueError:
            assert cell[0] not in "=+-@\t\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\x00=1", "\u200b=1",
                                  "\x1b[0m=1", "\r\n@SUM(A1)"])
def test_text_that_begins_like_a_formula_gets_an_apostrophe(text):
    _, row = csv.reader(io.StringIO(report.csv([Result(text, "toy", [])]), newline=""))
    assert row[0].startswith("'")


def test_the_table_has_each_students_points(class_of_four):
    given = {"bob": Total(0, 0, 0.5, False, {"check-mean": (2, None), "outliers": (1, None)})}
    rows = {row["student"]: row for row in csv.DictReader(io.StringIO(report.csv(class_of_four, given)))}
    assert list(rows) == ["ada", "bob", "carl", "dora"]
    ada, bob, dora = rows["ada"], rows["bob"], rows["dora"]
    assert float(ada["points"]) == 6 and float(ada["max_points"]) == 6 and ada["status"] == "graded"
    assert float(ada["total"]) == 7.5 and float(ada["max_total"]) == 8 and ada["waiting"] == "0"
    assert float(bob["points"]) == 2 and float(bob["late_penalty"]) == 0.5 and float(bob["total"]) == 2.5
    assert float(bob["mean: points"]) == 2 and bob["mean: verdict"] == "failed" and float(bob["outliers: points"]) == 1
    assert dora["status"] == "not graded" and dora["ring: verdict"] == "not graded" and dora["outliers: points"] == ""
    assert dora["waiting"] == "2" and float(dora["total"]) == 3


def test_submissions_graded_by_other_versions_share_a_table():
    made = [Result("ada", "toy", [judged("mean")]), Result("bob", "toy", [judged("spread")], [Question("outliers", 2)])]
    ada, bob = csv.DictReader(io.StringIO(report.csv(made)))
    assert (ada["mean: points"], ada["spread: points"], bob["mean: points"], bob["spread: points"]) == ("3", "", "", "3")


# --- Where it is written ---

def test_it_is_written_whole_in_reports(tmp_path, class_of_four):
    course, classroom = make_course(tmp_path / "checkout"), ClassFolder(tmp_path / "class")
    build.build(course, "toy")
    for made in class_of_four:
        classroom.save(made)
    page, table = report.write(classroom, course, "toy")
    assert (page, table) == (classroom.root / "reports" / "toy.html", classroom.root / "reports" / "toy.csv")
    assert "Means and spreads: the class" in page.read_text(encoding="utf-8")
    assert len(table.read_text(encoding="utf-8").splitlines()) == 5
    assert sorted(path.name for path in page.parent.iterdir()) == ["toy.csv", "toy.html"]
    with pytest.raises(LessonError, match="nosuch"):
        report.write(classroom, course, "nosuch")
    with pytest.raises(LessonError, match="no results of toy"):
        report.write(ClassFolder(tmp_path), course, "toy")
