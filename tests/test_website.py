"""The pages for reading: made of one small lesson, looked at as files and in Chromium without any network but its own server."""

import functools
import http.server
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup

from autograder import build, cli, website
from autograder.build import Course
from autograder.errors import LessonError
from browser.conftest import CHROMIUM, FLAGS
from conftest import ROOT, need

SOURCE = r'''# ---
# jupyter:
#   course:
#     title: Powers
#     minutes: 5
#     builds_on: []
#     cover: code-from-matplotlib-import-pyplot-as-plt
# ---

# %% [markdown]
# # Powers
#
# What $x^n$ looks like, and why $\int_0^1 x^n\,dx = \tfrac{1}{n+1}$.
#
# $$ \boxed{\; \frac{d}{dx} x^n = n x^{n-1} \;} $$
#
# | n | area |
# |---|---|
# | 1 | $\tfrac12$ |
#
# At length $1 + x + x^2 + x^3 + x^4 + x^5 + x^6 + x^7 + x^8 + x^9 + x^{10} + x^{11}$ is
# `numpy.polynomial.polynomial.polyval_of_twelve_ones`.

# %% tags=["setup"]
import numpy as np


def check(name):
    assert power(2.0, 3) == 8

# %% [markdown]
# ## Write it
#
# <details><summary>Hint 1</summary>
#
# Multiply $x$ by itself.
# </details>

# %% solution="power"
def power(x, n):
    """x to the power n, a whole number above 0."""
    ### BEGIN SOLUTION
    return x if n == 1 else x * power(x, n - 1)  # herring
    ### END SOLUTION

# %% check="power"
check("power")

# %% [markdown] tags=["instructor"]
# Many forget the mackerel; ask them about it before they start.

# %%
from matplotlib import pyplot as plt

from course_lib.style import use_style

use_style()
x = np.linspace(0, 1, 50)
figure, axes = plt.subplots()
axes.plot(x, power(x, 3), label="third")
axes.set(xlabel="x", ylabel="power")
axes.legend()
plt.show()

# %%
from course_lib.explore import Explorable, slider
from course_lib.style import new_figure

moving, panels = new_figure(4, 2, [["power"]])
line, = panels["power"].plot(x, x)


def redraw(n):
    line.set_ydata(power(x, n))
    return f"x to the power {n}"


Explorable("Powers to turn", moving, redraw, "Turn the exponent.", n=slider("exponent", 1, 9, 4))

# %% [markdown] answer="why" points=2
# ### BEGIN SOLUTION
# Because the sprat of every power is a power of the sprat, up to a factor.
# ### END SOLUTION
'''
README = "# Powers by hand\n\nA course of *one* lesson.\n\n## Setting up\n\nSay [how](docs/how.md#in-short) and `make`.\n"
HOW = "# How\n\n## In short\n\nBack to the [start](../README.md), or [elsewhere](https://example.org/).\n"
CHECKS = {"power": SimpleNamespace(name="power", points=3)}
pytestmark = pytest.mark.filterwarnings("ignore:.*Check CHANGES for Sphinx API modifications")
SECRETS = {"solution": "herring", "model answer": "sprat", "instructor's note": "mackerel"}


def make_course(root, readme=README):
    for name, text in {"solutions/powers/powers.py": SOURCE, "README.md": readme, "docs/how.md": HOW}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return Course(root, lambda lesson: CHECKS)


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return make_course(tmp_path_factory.mktemp("course"))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def site(course, work, tmp_path_factory):
    """The finished pages, and what making them returned."""
    out = tmp_path_factory.mktemp("pages") / "site"
    return SimpleNamespace(folder=out, made=website.make(course, ["powers"], out, work))


@pytest.fixture(scope="module")
def run_already(site, course, work):
    """The executed notebook, which the pages were made of."""
    def refuse(*_):
        raise AssertionError("it is run again")
    return website.executed(course, "powers", work / "executed", refuse)


def pages(folder):
    return {path.relative_to(folder).as_posix(): BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
            for path in folder.rglob("*.html") if "_static" not in path.parts}


def everything(folder):
    """All text of all files, but for libraries'."""
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in folder.rglob("*")
                     if path.is_file() and path.suffix in (".html", ".js", ".txt", ".json", ".ipynb", ".md") and "mathjax" not in path.parts)


def test_the_link_checkers_patience_is_not_left_behind(site):
    assert socket.getdefaulttimeout() is None


# --- what is on them, and what isn't ---

def test_neither_solution_nor_instructors_note_is_anywhere(site):
    text = everything(site.folder)
    assert "NotImplementedError" in text and "YOUR CODE HERE" in text
    assert [what for what, word in SECRETS.items() if word in text] == []


def test_with_solutions_they_are_folded_away_and_the_instructors_note_is_still_left_out(course, work, run_already, tmp_path):
    website.make(course, ["powers"], tmp_path / "site", work, solutions=True)
    lesson = pages(tmp_path / "site")["lessons/powers/powers.html"]
    folded = [details.get_text() for details in lesson.find_all("details") if not details.has_attr("open")]
    assert any("herring" in text for text in folded) and any("sprat" in text for text in folded)
    for details in lesson.find_all("details"):
        details.decompose()
    assert "herring" not in lesson.get_text() and "sprat" not in lesson.get_text()
    assert "NotImplementedError" in lesson.get_text()
    assert "mackerel" not in everything(tmp_path / "site")


def test_what_the_lesson_draws_and_asks_is_there(site):
    lesson = pages(site.folder)["lessons/powers/powers.html"]
    assert [row.get_text(" ", strip=True) for row in lesson.select("table tr")][0] == "n area"
    assert lesson.find("details").summary.get_text() == "Hint 1"
    pictures = [image["alt"] for image in lesson.select(".cell_output img")]
    assert pictures == ["Plot: power against x; third from 0 to 1.", "x to the power 4"]
    assert "Powers to turn" in lesson.get_text() and "you move it by hand: exponent." in lesson.get_text()
    assert "answer in your own words" in lesson.get_text() and "2 points" in lesson.get_text()


def test_the_map_leads_to_the_lesson_and_says_what_it_takes(site):
    index = pages(site.folder)["index.html"]
    card = index.select_one(".sd-card")
    assert "Powers" in card.get_text() and "5 minutes at the keyboard · 5 points" in card.get_text()
    assert card.select_one("a")["href"] == "lessons/powers/powers.html" and card.img["alt"]
    assert "A course of one lesson." in index.get_text()
    assert site.made["pages"] == 4


def test_a_lesson_says_whose_results_stand_below_its_exercises(site, course, run_already):
    said = pages(site.folder)["lessons/powers/powers.html"].select_one(".admonition.note")
    assert "those of the solutions, which aren't shown" in said.get_text(" ", strip=True)
    assert said.a["href"] == "../../README.html"
    with_solutions = website.page(course, "powers", run_already, solutions=True).cells[1]
    assert "are folded away below them" in with_solutions.source


def test_what_is_for_those_who_teach_stands_apart_and_no_author_is_made_up(site):
    index = pages(site.folder)["index.html"]
    captions = [caption.get_text() for caption in index.select(".bd-sidebar-primary .caption-text")]
    assert captions == ["Lessons", "Guide", "For those who teach and write lessons"]
    assert [name for name, page in pages(site.folder).items() if "Author" in page.get_text() or "Copyright" in page.get_text()] == []


def test_every_picture_has_a_text(site):
    assert [(name, image) for name, page in pages(site.folder).items() for image in page.find_all("img") if not image.get("alt")] == []


def test_every_link_leads_somewhere_and_those_elsewhere_are_listed(site):
    made = pages(site.folder)
    broken, elsewhere, followed = [], set(), 0
    for name, page in made.items():
        for tag, attribute in [("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")]:
            for address in filter(None, (each.get(attribute) for each in page.find_all(tag))):
                parts = urlsplit(address)
                if parts.scheme:
                    elsewhere.add(address)
                    continue
                target = (site.folder / name).parent / unquote(parts.path) if parts.path else site.folder / name
                followed += 1
                if not target.is_file():
                    broken.append((name, address))
                elif parts.fragment and target.suffix == ".html":
                    there = made[target.resolve().relative_to(site.folder.resolve()).as_posix()]
                    if not there.find(id=unquote(parts.fragment)):
                        broken.append((name, address))
    assert broken == [] and followed > 50
    assert elsewhere == {"https://example.org/"} == set(site.made["external"])


def test_a_broken_link_is_refused_and_nothing_written(course, run_already, work, tmp_path):
    wrong = make_course(tmp_path / "course", README.replace("#in-short", "#at-length").replace("`make`", "[more](docs/more.md)"))
    with pytest.raises(LessonError) as error:
        website.make(wrong, ["powers"], tmp_path / "site", tmp_path / "work", run=lambda lesson, path, course: build.write(path, run_already))
    assert "at-length" in str(error.value) and "more.md" in str(error.value)
    assert not (tmp_path / "site").exists()


# --- what keeps it from being made ---

def changed(notebook, **outputs):
    made = nbformat.from_dict(notebook)
    made.cells.append(nbformat.v4.new_code_cell("6 * 7", id="extra", outputs=[nbformat.v4.new_output("display_data", **outputs)]))
    return made


@pytest.mark.parametrize("outputs, complaint", [
    ({"data": {"text/plain": "    return x if n == 1 else x * power(x, n - 1)  # herring"}}, "which readers don't get"),
    ({"data": {"text/html": "<p>Many forget the mackerel; ask them about it before they start.</p>"}}, "which readers don't get"),
    ({"data": {"text/plain": "/home/somebody/course/plot.py:3: UserWarning"}}, "a path of this machine"),
    ({"data": {"image/png": "iVBORw0KGgo="}}, "a picture without a text"),
    ({"data": {"text/plain": "42"}}, None),
])
def test_what_readers_do_not_get_is_found_in_outputs_too(course, run_already, outputs, complaint):
    made = website.page(course, "powers", changed(run_already, **outputs))
    found = website.problems(course, "powers", made)
    assert len(found) == (complaint is not None)
    assert all(complaint in line and "`extra`" in line for line in found)


def test_a_lesson_runs_again_only_when_something_it_depends_on_has_changed(course, run_already, work, tmp_path, monkeypatch):
    runs = []

    def run(lesson, path, course):
        runs.append(lesson)
        if fails:
            raise LessonError("the kernel died")

    fails = False
    mine = make_course(tmp_path / "course")
    executed = lambda: website.executed(mine, "powers", tmp_path / "executed", run)
    executed(), executed()
    assert len(runs) == 1
    helper = mine.root / "course_lib" / "help.py"
    helper.parent.mkdir()
    helper.write_text("x = 1")
    executed(), executed()
    assert len(runs) == 2
    (helper.parent / "checks").mkdir()
    (helper.parent / "checks" / "powers.py").write_text("x = 2")
    fails = True
    for _ in range(2):
        with pytest.raises(LessonError):
            executed()
    assert len(runs) == 4
    fails = False
    executed()
    monkeypatch.setenv("COURSE_SCALE", "smoke" if website.current_scale().value != "smoke" else "cpu")
    executed()
    assert len(runs) == 6
    assert len(list((tmp_path / "executed").iterdir())) == 1


def test_the_command_runs_lessons_with_a_bar_and_says_where_the_pages_are(course, tmp_path, monkeypatch, capsys):
    executed, notebook = [], tmp_path / "lesson.ipynb"

    def make(course, lessons, out, work, solutions, external_links, run):
        run(lessons[0], notebook, course)
        return {"index": out / "index.html", "pages": lessons, "external": []}

    monkeypatch.setattr(website, "make", make)
    monkeypatch.setattr(build, "execute", lambda path, root, report: (report(1, 1, "a cell"), executed.append((path, root))))
    assert cli.main(["site", "--out", str(tmp_path)], course) == 0
    assert executed == [(notebook, course.root)] and str(tmp_path / "index.html") in capsys.readouterr().out


def test_a_folder_with_something_else_in_it_is_left_alone(course, run_already, work, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(LessonError, match="something else"):
        website.make(course, ["powers"], tmp_path, work)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_a_cover_that_is_not_drawn_is_named(tmp_path, run_already):
    mine = make_course(tmp_path)
    source = mine.source("powers")
    source.write_text(source.read_text().replace("cover: code-from-matplotlib-import-pyplot-as-plt", "cover: no-such-cell"))
    with pytest.raises(LessonError, match="no-such-cell"):
        website.make(mine, ["powers"], tmp_path / "site", tmp_path / "work", run=lambda lesson, path, course: build.write(path, run_already))


def test_the_guides_of_this_course_hold_nothing_that_learners_do_not_get():
    """Pages take them as they are; lessons' pages are searched when they are made."""
    guides = {path.name: " ".join(path.read_text(encoding="utf-8").split()) for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
    secrets = [line for lesson in Course().lessons() for _, line in build.secrets(build.read(Course(), lesson))]
    assert len(secrets) > 100 and len(guides) > 4
    assert [(name, line) for name, text in guides.items() for line in secrets if line in text] == []


# --- in a browser that reaches nothing else ---

class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address(site):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site.folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium(site):  # after the site: playwright keeps an event loop running, in which no notebook can be executed
    need(CHROMIUM, "no Chromium on the PATH (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, address):
    """visit(path, **look) → the page, loaded; .asked_elsewhere and .errors say what it tried and complained of."""
    contexts = []

    def visit(path, **look):
        context = chromium.new_context(**look)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.asked_elsewhere, page.errors = [], []

        def route(route):
            if route.request.url.startswith((address, "data:", "blob:")):
                return route.continue_()
            page.asked_elsewhere.append(route.request.url)
            route.abort()

        context.route("**/*", route)
        page.on("console", lambda message: page.errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(address + path, wait_until="networkidle")
        return page

    yield visit
    for context in contexts:
        context.close()


def test_maths_is_set_without_a_network(visit):
    page = visit("lessons/powers/powers.html")
    page.wait_for_selector("mjx-container")
    assert page.locator("mjx-container").count() == 6 and page.locator("mjx-merror").count() == 0
    page.evaluate("document.fonts.ready")
    assert page.evaluate("[...document.fonts].some(font => font.family.startsWith('MJX') && font.status == 'loaded')")
    assert (page.asked_elsewhere, page.errors) == ([], [])


def test_search_finds_a_word_of_a_lesson_without_a_network(visit):
    page = visit("search.html?q=multiply")
    page.wait_for_selector("#search-results li a")
    assert "powers.html" in page.locator("#search-results li a").first.get_attribute("href")
    assert (page.asked_elsewhere, page.errors) == ([], [])


@pytest.mark.parametrize("scheme, is_dark", [("light", False), ("dark", True)])
def test_pages_follow_the_system_and_can_be_read_on_a_phone(visit, scheme, is_dark):
    page = visit("lessons/powers/powers.html", color_scheme=scheme, viewport={"width": 360, "height": 740}, is_mobile=True, has_touch=True)
    page.wait_for_selector("mjx-container")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("""[...document.querySelectorAll(".bd-article span.math")].filter(each => each.scrollWidth > each.clientWidth)
        .map(each => getComputedStyle(each).overflowX)""") == ["auto"]  # the long one, and no other, is to be scrolled
    light = "(text) => text.match(/[0-9.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b) / 3"
    shades = page.evaluate(f"""() => {{ const light = {light}, of = (place, what) => light(getComputedStyle(document.querySelector(place))[what]);
        return [of("body", "backgroundColor"), of(".bd-article p", "color"), of(".still-text", "color")]; }}""")
    assert [shade < 128 for shade in shades] == [is_dark, not is_dark, not is_dark]
