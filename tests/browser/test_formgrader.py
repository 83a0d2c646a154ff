"""A class in nbgrader's formgrader: autograded with its button, points and a comment given by hand, feedback generated.

What is handed in trains nothing, and tries to act in the page of whoever looks at it.
"""

import re
import sys
import time

import nbformat
import pytest
from nbgrader.api import Gradebook
from playwright.sync_api import expect
from test_grading import LESSON, SOLVED, isolation  # noqa: F401

from autograder import gradebook
from autograder.cli import this_course
from autograder.results import ClassFolder

from .lab import lab_server

GRADED_S = 120  # from the press of the button, on a busy machine
MATHJAX = "https://cdnjs.cloudflare.com/ajax/libs/mathjax/"  # nbgrader's pages ask for it, whatever is in them
HOSTILE = """<script>document.title = "hostile"; alert(1)</script>
<img src="https://example.invalid/seen" onerror="alert(2)"> <iframe src="javascript:alert(3)"></iframe>
"""
CELLS = {
    "solution-gan_value": SOLVED["solution-gan_value"],
    "solution-jensen_shannon": f"from IPython.display import HTML, Javascript, Markdown\nevil = {HOSTILE!r}\n"
                               "display(HTML(evil), Markdown(evil), Javascript('alert(4)'))\n"
                               "print(evil)\nraise OSError(evil)",
    "answer-nash": f"Each follows its own slope.\n\n{HOSTILE}\n\n[more](javascript:alert(5)) ![](https://example.invalid/seen)",
}
POINTS = 1  # what the one exercise that is solved is worth
COMMENT = "Say which way the slopes point."


@pytest.fixture(scope="module")
def classroom(tmp_path_factory, isolation):  # noqa: F811
    """A class that has the lesson, and one hand-in that isn't graded yet."""
    classroom = ClassFolder(tmp_path_factory.mktemp("class"))
    gradebook.prepare(classroom, this_course(), LESSON)
    notebook = nbformat.read(this_course().released(LESSON), as_version=4)
    for cell in notebook.cells:
        cell.source = CELLS.get(cell.id, cell.source)
    path = classroom.root / "submitted" / "ada" / LESSON / f"{LESSON}.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(notebook, path)
    return classroom


@pytest.fixture(scope="module")
def server(browser, classroom, tmp_path_factory):
    """The address and the token of `jupyter lab`, started in the class folder."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("COURSE_SCALE", "smoke")
        with lab_server(classroom.root, tmp_path_factory.mktemp("jupyter"), [sys.executable, "-m", "jupyterlab"]) as server:
            yield server


@pytest.fixture
def harm(page, server):
    """What a page did that only a hand-in could have made it do: dialogs, and requests to elsewhere."""
    address, _ = server
    seen = []

    def elsewhere(route):
        if not route.request.url.startswith(MATHJAX):
            seen.append(route.request.url)
        route.abort()

    page.route(lambda url: not url.startswith((address, "file:", "data:")), elsewhere)
    page.on("dialog", lambda dialog: (seen.append(dialog.message), dialog.dismiss()))
    return seen


def test_harm_would_be_seen(page, harm):
    page.set_content(HOSTILE)
    page.wait_for_load_state("networkidle")
    assert {"1", "3", "https://example.invalid/seen"} <= set(harm)
    assert page.title() == "hostile"


class Formgrader:
    """The pages of the formgrader, as an instructor sees them."""

    def __init__(self, page, server, screenshots):
        """Open it from JupyterLab's menu, then in a tab of its own."""
        self.page, self.screenshots = page, screenshots
        self.address, token = server
        page.goto(f"{self.address}/lab?token={token}&reset")
        page.get_by_text("Nbgrader", exact=True).click(timeout=60_000)
        page.get_by_role("menuitem", name="Formgrader").click()
        expect(page.frame_locator("iframe").get_by_role("heading", name="Manage Assignments")).to_be_visible(timeout=20_000)
        page.goto(f"{self.address}/formgrader")

    def follow(self, *names):
        """Click one link after the other."""
        for name in names:
            self.page.get_by_role("link", name=name, exact=True).last.click()

    def submissions(self):
        """Go to the lesson's table of submissions; returns ada's row."""
        self.page.goto(f"{self.address}/formgrader/manage_submissions/{LESSON}")
        return self.page.locator("#main-table tr", has_text="ada")

    def press(self, row, column):
        """Press a row's button, dismiss the box that comes up, and return what it said."""
        row.locator(f".{column} a").click()
        box = self.page.locator("#success-modal, #error-modal")
        expect(box.get_by_role("button", name="OK")).to_be_visible(timeout=30_000)
        said = box.inner_text()
        self.screenshot(f"{column}-pressed")
        box.get_by_role("button", name="OK").click()
        expect(box).to_have_count(0)
        return said

    def screenshot(self, title):
        self.page.screenshot(path=self.screenshots / f"formgrader-{title}.png")


def test_from_the_autograde_button_to_feedback(page, server, classroom, harm, screenshots):
    formgrader = Formgrader(page, server, screenshots)
    row = formgrader.submissions()
    expect(row.locator(".status")).to_have_text("needs autograding")
    assert "It has been queued" in formgrader.press(row, "autograde")
    log, deadline = classroom.root / "logs" / f"{LESSON}.ada.log", time.monotonic() + GRADED_S
    while "1 graded" not in log.read_text():
        assert time.monotonic() < deadline, log.read_text()
        page.wait_for_timeout(200)
    assert f"{POINTS} of 18 points by checks" in formgrader.press(row, "autograde")
    expect(row.locator(".score")).to_have_text(f"{POINTS} / 20")
    expect(row.locator(".status")).to_have_text("needs manual grading")

    formgrader.follow("Manual Grading", LESSON, LESSON, "Submission #1")
    expect(page.get_by_text("✓ Passed")).to_have_count(1)
    expect(page.get_by_text("<script>document.title")).to_have_count(4)  # code, output, error, and the hint that quotes it
    page.locator("#jensen_shannon-comment").scroll_into_view_if_needed()
    formgrader.screenshot("hostile-output")
    points, comment = page.locator("#nash"), page.locator("#nash-comment")
    expect(points).to_have_class(re.compile("needs_manual_grade"))
    points.fill("1.5")
    comment.fill(COMMENT)
    comment.blur()
    expect(points).not_to_have_class(re.compile("needs_manual_grade"))
    page.wait_for_load_state("networkidle")
    formgrader.screenshot("answer")
    assert page.title() != "hostile"

    row = formgrader.submissions()
    expect(row.locator(".score")).to_have_text(f"{POINTS + 1.5} / 20")
    expect(row.locator(".status")).to_have_text("graded")
    assert "Successfully generated feedback" in formgrader.press(row, "generate-feedback")
    with Gradebook(f"sqlite:///{classroom.root / 'gradebook.db'}") as book:
        assert book.find_grade("nash", LESSON, LESSON, "ada").manual_score == 1.5
        assert book.find_comment("nash", LESSON, LESSON, "ada").manual_comment == COMMENT

    page.goto((classroom.root / "feedback" / "ada" / LESSON / f"{LESSON}.html").as_uri())
    expect(page.get_by_text(COMMENT)).to_be_visible()
    expect(page.locator("body")).to_contain_text(f"(Score: {POINTS + 1.5} / 20.0)")
    formgrader.screenshot("feedback")
    page.get_by_text(COMMENT).scroll_into_view_if_needed()
    assert page.title() != "hostile"
    assert not harm
