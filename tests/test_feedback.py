"""A learner's page: what it says, what it keeps to itself, and that nothing handed in can come alive on it."""

import base64
import html.parser
import io
import os
import re
import struct
import zipfile
import zlib
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from toy_course import make_course

from autograder import build, cli, feedback
from autograder import page as pages
from autograder.errors import LessonError
from autograder.gradebook import Total
from autograder.results import ClassFolder, Judged, Question, Result
from course_lib.card import printable
from course_lib.verdict import FAILED, NOT_GRADED, PASSED

NASTY = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='alert(1)", "</style><script>x",
         "</pre></section><h1>You pass</h1>", "{{ 7 * 7 }}{% raw %}", "javascript:alert(1)", "\x1b[31mred", "\ud800",
         "&lt;b&gt;", "`<b>` and `", "<!-- ", "\x00<", "\u202egnp.exe", "=1+1", "<a href=//evil.example>", "$\\frac{$"]
hostile = st.lists(st.sampled_from(NASTY) | st.text(max_size=20), max_size=3).map("".join)
points = st.sampled_from([0, 0.5, 1, 2.5, 3])

TAGS = set("""html head meta title style body main h1 h2 h3 p a section div span table thead tbody tr th td details summary
              pre code img br""".split())
ATTRIBUTES = set("lang charset http-equiv content name class id href src alt open scope tabindex role aria-label".split())
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
LESSON = pages.Released(
    "Means and spreads", {"mean": SimpleNamespace(title="The `mean` of some numbers.", bounds={})},
    {"setup-1": "Means and spreads", "solution-mean": "The mean", "check-mean": "The mean", "train-loop": "Training",
     "solution-spread": "The spread", "answer-outliers": "Outliers"},
    {"setup-1": "setup-1", "solution-mean": "mean", "check-mean": "check-mean", "solution-spread": "spread",
     "answer-outliers": "outliers"})


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: `text` outside styles, `tags` with their attributes, `styles`."""

    def __init__(self, source):
        super().__init__()
        self.texts, self.tags, self.styles, self._in_style = [], [], [], False
        self.feed(source)
        self.close()
        self.text = "".join(self.texts)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._in_style = tag == "style"
        self.texts += " " * (tag in ("td", "th"))

    def handle_endtag(self, tag):
        self._in_style = False

    def handle_data(self, data):
        (self.styles if self._in_style else self.texts).append(data)

    def handle_comment(self, data):
        raise AssertionError(f"a comment: {data}")

    handle_pi = unknown_decl = handle_comment

    def all(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


def assert_inert(source, styles):
    """Only the course's own elements are on the page, none of which can run, load or send anything."""
    page = Page(source)
    assert {tag for tag, _ in page.tags} <= TAGS
    assert {name for _, attributes in page.tags for name in attributes} <= ATTRIBUTES
    assert all(re.fullmatch(r"data:image/(png|svg\+xml);base64,[A-Za-z0-9+/=]+", image["src"]) for image in page.all("img"))
    assert all(re.fullmatch(r"#(check-\d+|waiting)", link["href"]) for link in page.all("a"))
    assert all(image["alt"] for image in page.all("img"))
    assert page.styles == styles
    policy, = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith(POLICY)
    source.encode("utf-8")  # no lone surrogates
    assert not set(map(chr, [*range(9), *range(11, 32), 0x202E])) & set(source)
    return page


def png(width=3, height=2):
    file = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "PNG")
    return file.getvalue()


def b64(data):
    return base64.b64encode(data).decode()


def judged(check="mean", verdict=PASSED, points=None, max_points=3, **rest):
    return Judged(check, verdict, (max_points if verdict == PASSED else 0) if points is None else points, max_points, **rest)


def result(*verdicts, student="ada", **rest):
    return Result(student, "toy", list(verdicts), **rest)


def text_of(made, manual=None):
    return " ".join(Page(feedback.page(made, LESSON, manual)).text.split())


# --- Nothing comes alive ---

verdicts = st.builds(judged, check=hostile, verdict=st.sampled_from([PASSED, FAILED, NOT_GRADED]), hint=hostile,
                     detail=hostile, figures=st.dictionaries(hostile, st.floats(), max_size=2))
questions = st.builds(Question, st.just("outliers") | hostile, points, st.none() | points, st.booleans())
outputs = st.lists(st.fixed_dictionaries({"text": hostile}) | st.fixed_dictionaries({"error": hostile}) |
                   st.fixed_dictionaries({"png": hostile | st.just(b64(png()))}), max_size=3)
cell_ids = st.sampled_from(["solution-mean", "answer-outliers", "train-loop"]) | hostile
results = st.builds(
    Result, student=hostile, lesson=hostile, verdicts=st.lists(verdicts, max_size=3),
    by_hand=st.lists(questions, max_size=2),
    sources=st.dictionaries(cell_ids, hostile, max_size=3), outputs=st.dictionaries(cell_ids, outputs, max_size=3),
    notes=st.lists(hostile, max_size=2), submitted=st.none() | hostile, graded=hostile,
    judged_by=st.fixed_dictionaries({"scale": hostile, "sandbox": hostile}), problem=st.just("") | hostile)
totals = st.none() | st.builds(
    Total, points, points, points, st.booleans(),
    st.dictionaries(st.sampled_from(["check-mean", "mean", "outliers"]) | hostile,
                    st.tuples(st.none() | points, st.none() | hostile), max_size=3))


@settings(max_examples=150, deadline=None)
@given(results, totals)
def test_nothing_handed_in_comes_alive(made, manual):
    page = assert_inert(feedback.page(made, LESSON, manual), Page(feedback.page(result(), LESSON)).styles)
    shown = "".join(page.text.split())
    for source in [text for cell_id, text in made.sources.items() if cell_id.startswith("solution-") and not made.problem]:
        assert "".join(printable(source).split()) in shown


@pytest.mark.parametrize("text", NASTY)
def test_an_answer_is_shown_as_it_was_written(text):
    made = result(judged(), by_hand=[Question("outliers", 2)], sources={"answer-outliers": f"I say {text} here"})
    assert printable(f"I say {text} here") in Page(feedback.page(made, LESSON)).text


# --- What it says ---

def test_each_check_has_its_verdict_points_title_and_what_to_do():
    made = result(
        judged(), judged("spread", FAILED, hint="Take the `root`.", detail="It is off by 2.", figures={"accuracy": 0.25}),
        judged("median", NOT_GRADED, hint="It took too long.\nFile judge.py, line 3", detail="kept for the instructor"),
        judged_by={"scale": "cpu"}, submitted="2025-03-01T12:00:00+02:00", graded="2025-03-02T08:30:00+00:00")
    text = text_of(made)
    assert "ada" in text and "handed in 1 March 2025, 10:00 UTC · judged 2 March 2025, 08:30 UTC, at the scale “cpu”" in text
    assert "1 of 3 checks pass; next: spread. 1 part waits for your instructor." in text
    assert "✓ Passed: The mean of some numbers. mean · 3 of 3 points" in text
    assert "✗ Not yet: spread spread · 0 of 3 points Take the root. It is off by 2. Measured: accuracy 0.25" in text
    assert "? Not graded: median median · 0 of 3 points It took too long. This costs you nothing yet: your" in text
    assert "judge.py" not in text and "kept for the instructor" not in text
    assert "<code>root</code>" in feedback.page(made, LESSON)


def test_the_link_to_what_is_next_leads_to_it():
    page = Page(feedback.page(result(judged(), judged("spread", FAILED, hint="Take the root.")), LESSON))
    assert [link["href"] for link in page.all("a")] == ["#check-2"]
    assert [section.get("id") for section in page.all("section")] == ["check-1", "check-2"]


@pytest.mark.parametrize("verdicts, sentence", [
    ([], "No check was judged."), ([judged()], "The check passes."), ([judged(), judged("spread")], "All 2 checks pass."),
    ([judged(verdict=NOT_GRADED)], "0 of 1 checks pass. 1 part waits for your instructor."),
])
def test_the_line_at_the_top(verdicts, sentence):
    assert sentence in text_of(result(*verdicts))


def test_points_of_checks_and_people_and_the_penalty_add_up():
    made = result(judged(max_points=3), judged("spread", FAILED, max_points=1.5), judged("median", NOT_GRADED, max_points=2),
                  by_hand=[Question("outliers", 2), Question("units", 4)])
    text = text_of(made)
    assert "Checks 3 of 6.5 points Questions, graded by a person not yet, of 6 points Total so far 3 of 12.5 points" in text
    given = Total(0, 0, 1.0, False, {"outliers": (1.5, "Well seen."), "check-median": (1, None),
                                     "check-spread": (0.5, "Nearly."), "mean": (None, "A neat sum.")})
    text = text_of(made, given)
    assert "Checks 4.5 of 6.5 points Questions, graded by a person 1.5 so far, of 6 points" in text
    assert "Handed in late −1 point Total so far 5 of 12.5 points" in text
    assert "✎ By hand: median" in text and "Your instructor gave 1 of 2." in text
    assert "Your instructor gave 0.5 of 1.5. Your instructor writes: Nearly." in text and "Well seen." in text
    assert "Your instructor writes: A neat sum." in text
    given.given["units"] = (4, None)
    assert "Total 9 of 12.5 points" in text_of(made, given)


def test_points_that_a_person_has_taken_away_are_told():
    text = text_of(result(judged()), Total(0, 3, 0.0, False, {"check-mean": (0, None)}))
    assert "✓ Passed" in text and "0 of 3 points Your instructor gave 0 of 3." in text


def unreadable(problem="the notebook is empty", student="kurt"):
    return result(judged(verdict=NOT_GRADED, hint=problem), judged("spread", NOT_GRADED, hint=problem), student=student,
                  by_hand=[Question("outliers", 2)], problem=problem)


@pytest.mark.parametrize("problem, said", [("the notebook is empty", "the notebook is empty."),
                                           ("the notebook isn't JSON; was it saved to its end?", None)])
def test_a_hand_in_that_cannot_be_read_gets_one_box_that_says_why(problem, said):
    source = feedback.page(unreadable(problem), LESSON)
    text = " ".join(Page(source).text.split())
    assert f"Nothing could be graded: {said or problem} Hand in the one file that course submit toy packs." in text and text.count(problem) == 1
    assert len(Page(source).all("section")) == 1
    for silent in ("left this one open", "costs you nothing", "0 of", "waits for", "Your code"):
        assert silent not in text


def test_what_a_person_gave_for_a_hand_in_that_cannot_be_read_is_told():
    text = text_of(unreadable(), Total(1, 8, 0.0, True, {"check-mean": (1, None), "mean": (None, "Seen in class.")}))
    assert "packs. Your instructor gave 1 of 8 points. Your instructor writes: Seen in class." in text


def test_a_penalty_takes_no_more_than_there_is():
    assert "Total 0 of 3 points" in text_of(result(judged(verdict=FAILED)), Total(0, 3, 5.0, False, {}))


def test_points_that_must_be_looked_at_again_are_so_far():
    made = result(judged(), by_hand=[Question("outliers", 2)])
    text = text_of(made, Total(4, 5, 0.0, True, {"outliers": (1, None)}))
    assert "1 part waits for your instructor" in text and "Total so far 4 of 5 points" in text


def test_an_unanswered_question_says_so():
    made = result(judged(), by_hand=[Question("outliers", 2, 0, answered=False)],
                  sources={"answer-outliers": "YOUR ANSWER HERE"})
    assert "Outliers outliers · 0 of 2 points You left this one open." in text_of(made)


def test_code_stands_in_the_order_of_the_lesson_with_what_it_showed():
    made = result(judged(), sources={"solution-spread": "second()", "solution-mean": "first()", "solution-old": "third()"},
                  outputs={"solution-mean": [{"text": "3.0"}, {"png": b64(png())}], "train-loop": [{"text": "epoch 1"}],
                           "solution-spread": [{"error": "NameError: x"}], "setup-1": [{"text": "hidden machinery"}],
                           "check-mean": [{"text": "hidden check"}]})
    source, text = feedback.page(made, LESSON), text_of(made)
    parts = "first()", "3.0", "epoch 1", "second()", "The cell stopped here: NameError: x", "third()"
    order = [text.index(part) for part in parts]
    assert order == sorted(order)
    assert "hidden" not in text
    image, = Page(source).all("img")
    assert base64.b64decode(image["src"].partition(",")[2]) == png()
    assert image["alt"] == "Output 2 of 2 of the cell under “The mean”: a picture"


def test_an_exercise_that_is_there_twice_is_named_with_its_cells():
    made = result(judged(), sources={"solution-mean": "x", "solution-spread": "y"}, several={"solution-mean": [9, 7]})
    text = text_of(made)
    assert text.count("Your notebook has this exercise") == 1
    assert "The mean Your notebook has this exercise in the cells 7, 9. Only cell 9 was graded" in text


def test_a_comment_unfolds_the_code_it_is_about():
    made = result(judged(), sources={"solution-mean": "x", "solution-spread": "y"})
    page = Page(feedback.page(made, LESSON, Total(3, 3, 0.0, False, {"mean": (None, "Neat.")})))
    assert page.all("details") == [{"open": None}, {}]


def test_what_is_the_instructors_stays_there():
    made = result(judged(verdict=FAILED, hint="Take the root.", key="judgekey", seed="5eed" * 16, memory=987654321,
                         seconds=76.54), notes=["copied from a neighbour?"], content="contenthash", memory=987654321,
                  judged_by={"scale": "cpu", "secret": "fingerprint", "sandbox": "bubblewrap", "machine": "x86_64"})
    source = feedback.page(made, LESSON)
    for kept in ("5eed", "judgekey", "neighbour", "contenthash", "fingerprint", "bubblewrap", "x86_64", "987", "76.5"):
        assert kept not in source


def test_headings_come_in_order():
    made = result(judged(), by_hand=[Question("outliers", 2)], sources={"solution-mean": "x"})
    levels = [int(tag[1]) for tag, _ in Page(feedback.page(made, LESSON)).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


# --- Pictures ---

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


BOMB = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">2I5B", 60_000, 60_000, 8, 2, 0, 0, 0)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kept", ["", "rubbish!", b64(b"<svg onload=alert(1)>"), b64(b"GIF89a" + bytes(60)), b64(png()[:10]),
                                  b64(png())[:-1] + '"', "é" * 8, None, 7, b64(BOMB), b64(png() + bytes(20 * 1024**2))])
def test_what_is_no_sound_png_is_not_shown_as_one(kept):
    made = result(judged(), outputs={"train-loop": [{"png": kept}]})
    page = Page(feedback.page(made, LESSON))
    assert not page.all("img") and "A picture that can't be shown" in page.text


@given(st.binary(max_size=60))
def test_bytes_behind_the_signature_never_raise(data):
    shown = feedback.png(b64(b"\x89PNG\r\n\x1a\n" + data))
    assert shown is None or base64.b64decode(shown).startswith(b"\x89PNG")


def test_all_pictures_of_a_page_share_one_room():
    large = b64(png() + bytes(5 * 1024**2))
    made = result(judged(), outputs={"train-loop": [{"png": large}] * 6})
    page = Page(feedback.page(made, LESSON))
    assert 1 <= len(page.all("img")) < 6 and "A picture that can't be shown" in page.text


# --- Where it is written ---

@pytest.fixture
def course(tmp_path):
    made = make_course(tmp_path / "checkout")
    build.build(made, "toy")
    return made


@pytest.fixture
def classroom(tmp_path):
    made = ClassFolder(tmp_path / "class")
    for student in ("ada", "carl@uni.example"):
        made.save(result(judged(), judged("spread", FAILED, hint="Take the root."), student=student,
                         sources={"solution-mean": f"# by {student}"}, graded="2025-03-02T08:30:00+00:00"))
    return made


def test_pages_are_written_where_nbgrader_looks(course, classroom):
    written = feedback.write_all(classroom, course, "toy")
    assert written == [classroom.root / "feedback" / student / "toy" / "toy.html" for student in ("ada", "carl@uni.example")]
    first = written[0].read_text(encoding="utf-8")
    assert "Means and spreads" in first and "# by ada" in first and "carl" not in first
    assert not [path for path in classroom.root.rglob(".*")]


def test_only_those_asked_for(course, classroom):
    assert [path.parts[-3] for path in feedback.write_all(classroom, course, "toy", ["ada"])] == ["ada"]
    assert not (classroom.root / "feedback" / "carl@uni.example").exists()


def test_a_student_without_a_result_and_a_lesson_that_is_not_there_are_named(course, classroom):
    with pytest.raises(LessonError, match="no result of 'bob'; `autograder grade toy`"):
        feedback.write_all(classroom, course, "toy", ["ada", "bob"])
    assert not (classroom.root / "feedback").exists()
    with pytest.raises(LessonError, match="nosuch"):
        feedback.write_all(classroom, course, "nosuch")


def test_what_the_lesson_calls_things_comes_from_its_notebook(course):
    lesson = pages.released(course, "toy")
    assert lesson.title == "Means and spreads"
    assert lesson.headings["solution-mean"] == "The mean" and lesson.headings["solution-spread"] == "The spread"
    assert lesson.grade_ids["answer-outliers"] == "outliers"


def test_a_folder_without_results_is_no_class(course, tmp_path):
    with pytest.raises(LessonError, match="no results of toy in .*; grade first, or name the class with --class"):
        feedback.write_all(ClassFolder(tmp_path), course, "toy")
    assert not (tmp_path / "feedback").exists()


def test_nbgrader_releases_the_pages(course, classroom, tmp_path):
    from nbgrader.coursedir import CourseDirectory
    from nbgrader.exchange.default import ExchangeReleaseFeedback
    from nbgrader.utils import notebook_hash
    from traitlets.config import Config
    handed_in = classroom.root / "submitted" / "ada" / "toy"
    handed_in.mkdir(parents=True)
    (handed_in / "submission_secret.txt").write_text("a1" * 64)
    page, other = feedback.write_all(classroom, course, "toy")
    exchange = tmp_path / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    coursedir = CourseDirectory(root=str(classroom.root), course_id="c", assignment_id="toy")
    ExchangeReleaseFeedback(coursedir=coursedir, config=Config({"Exchange": {"root": str(exchange)}})).start()
    fetched = exchange / "c" / "feedback" / f"{notebook_hash(secret='a1' * 64, notebook_id='toy')}.html"
    assert fetched.read_bytes() == page.read_bytes()
    assert len(list(fetched.parent.iterdir())) == 2  # the other, who has no secret, didn't stop it


def test_pages_are_packed_for_the_system_that_the_hand_ins_came_from(course, classroom, capsys):
    with zipfile.ZipFile(classroom.root / "moodle.zip", "w") as handed_in:
        for name in ("ada/toy.ipynb", "Bob_7_assignsubmission_file_/toy.ipynb"):
            handed_in.writestr(name, "{}")
    asked = ["feedback", "toy", "--class", str(classroom.root), "--like", str(classroom.root / "moodle.zip")]
    assert cli.main(asked, course) == 0
    said = capsys.readouterr()
    assert "1 page packed" in said.out and "weren't graded: Bob_7" in said.err and "aren't packed: carl@uni.example" in said.err
    with zipfile.ZipFile(classroom.root / "feedback" / "toy.zip") as packed:
        assert packed.namelist() == ["ada/toy.html"]
        assert packed.read("ada/toy.html") == (classroom.root / "feedback" / "ada" / "toy" / "toy.html").read_bytes()
    assert not [path for path in classroom.root.rglob(".*")]
    assert cli.main([*asked[:-1], "nosuch.zip"], course) == 1 and "nosuch.zip: there is no such" in capsys.readouterr().err


def test_a_secret_is_taken_from_a_plain_file_only_and_otherwise_stays(course, classroom):
    handed_in = classroom.root / "submitted" / "ada" / "toy" / "submission_secret.txt"
    handed_in.parent.mkdir(parents=True)
    (classroom.root / "grading.secret").write_text("c0ffee" * 10)
    kept = classroom.root / "feedback" / "ada" / "toy" / "submission_secret.txt"
    handed_in.symlink_to(classroom.root / "grading.secret")
    feedback.write_all(classroom, course, "toy")
    first = kept.read_text()
    assert len(first) == 128 and "c0ffee" not in first
    for plant in (lambda: os.mkfifo(handed_in), lambda: handed_in.write_bytes(b"\xff" * 40),
                  lambda: handed_in.write_text(""), lambda: handed_in.write_text("x" * 900), handed_in.mkdir):
        handed_in.unlink()
        plant()
        feedback.write_all(classroom, course, "toy")
        assert kept.read_text() == first
