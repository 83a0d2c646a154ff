"""The instructor's notebook, executed: its slide marks, and a page that needs nothing from elsewhere."""

import re

import nbformat
import pytest
from bs4 import BeautifulSoup
from toy_course import SOURCE, make_course

from autograder import build, cli, present
from autograder.errors import LessonError

MORE = '''
# %% [markdown]
# ### A picture
#
# of $x^2$
#
# <details><summary>A hint</summary>
#
# what is *folded* away
# </details>

# %%
from matplotlib import pyplot as plt
plt.plot([1, 4, 9]);

# %% tags=["demo"]
import torch
from course_lib.explore import Explorable, choice, slider
from course_lib.explore.live import live_run
from course_lib.style import new_figure
figure, axes = new_figure(3, 2, [["power"]])
line, = axes["power"].plot([0, 1], [0, 1])
Explorable("Powers", figure, lambda power, colour: f"to the {power}, in <{colour}>", power=slider("power", 0, 4, 3), colour=choice("colour", ["red"]))

# %% tags=["demo"]
live_run("Downhill", lambda board: None, steps=30)

# %% [markdown] tags=["demo", "instructor"]
# > **Ask the room.** Which power?
'''


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return make_course(tmp_path_factory.mktemp("course"), SOURCE + MORE)


@pytest.fixture(scope="module")
def presented(course, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presented")
    course_lib = course.root / "course_lib"
    course_lib.rename(course.root / "hidden")  # the toy's is empty; the notebook imports the real one
    try:
        return present.present(course, "toy", folder)
    finally:
        (course.root / "hidden").rename(course_lib)


def test_slides_follow_the_headings(course):
    marked = present.marked(build.notebooks(course, "toy").solved)
    kinds = {cell.id: cell.metadata.slideshow.slide_type for cell in marked.cells}
    assert kinds["means-and-spreads"] == kinds["the-mean"] == kinds["what-to-remember"] == "slide"
    assert kinds["a-picture"] == kinds["solution-mean"] == "subslide" and kinds["setup-1"] == kinds["check-mean"] == "skip"
    assert [kinds[name] for name in kinds if name.startswith("instructor-")] == ["notes", "notes", "-"]


def test_each_heading_begins_a_slide_wherever_it_stands(tmp_path):
    source = SOURCE + "\n# %% [markdown]\n# The last of the mean.\n#\n# ## Section\n#\n# Text.\n#\n# ### Exercise\n#\n# A #hash\n"
    *_, before, section, exercise = present.marked(build.notebooks(make_course(tmp_path, source), "toy").solved).cells
    assert [before.source, section.source, exercise.source] == ["The last of the mean.", "## Section\n\nText.", "### Exercise\n\nA #hash"]
    assert [cell.metadata.slideshow.slide_type for cell in (before, section, exercise)] == ["-", "slide", "subslide"]
    assert len({before.id, section.id, exercise.id}) == 3


def test_the_notebook_has_solutions_notes_and_results(presented):
    text = presented[0].read_text()
    notebook = nbformat.reads(text, as_version=4)
    nbformat.validate(notebook)
    assert "SOLUTION" not in text and "fsum" in text and "empty list" in text and "report the median" in text
    assert {cell.id: cell for cell in notebook.cells}["code-6-7"].outputs[0].data["text/plain"] == "42"


def test_the_page_loads_nothing_and_has_everything(presented):
    page = presented[1].read_text()
    without_mathjax = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//|url\(["']?(?:https?:)?//|@import""", without_mathjax)
    assert "<title>Means and spreads</title>" in page and "$x^2$" in page and "MathJax" in page
    assert page.count('src="data:image/png;base64,') == 2
    assert "to the 3, in &lt;red&gt;" in page and "power: 3" in page and "colour: red" in page and "VBox(" not in page


def test_the_page_leaves_out_what_waits_for_somebody(presented):
    page = presented[1].read_text()
    assert "Downhill" in page and present._UNSTARTED in page and "Not yet begun" not in page
    assert "Ask the room" not in page and "Ask the room" in presented[0].read_text()


def test_hints_stay_folded(presented):
    page = BeautifulSoup(presented[1].read_text(), "html.parser")
    folded, = [each for each in page.find_all("details") if each.summary.text == "A hint"]
    assert folded.find("em").text == "folded" and not folded.has_attr("open")


def test_what_has_run_is_not_run_again(course, presented, monkeypatch):
    ran = []
    monkeypatch.setattr(present, "execute", lambda *arguments: ran.append(arguments))
    folder = presented[0].parent
    present.present(course, "toy", folder)
    assert not ran
    changed = make_course(course.root, SOURCE + MORE + "\n# %%\n1 + 1\n")
    present.present(changed, "toy", folder)
    assert len(ran) == 1


def test_solutions_are_not_presented_where_learners_look(course):
    with pytest.raises(LessonError, match="name another folder"):
        present.present(course, "toy", course.root / "lessons")


def test_a_pad_to_draw_on_is_shown_with_its_label_and_size():
    pad = {"model_name": "AnyModel", "state": {"width": 120, "label": "Points <to> drag"}, "buffers": [{"path": ["png"], "data": "iVBORw0KGgo="}]}
    image = BeautifulSoup(present._still("pad", {"pad": pad}), "html.parser").find("img")
    assert image["alt"] == "Points <to> drag" and "width:120px" in image["style"] and image["src"].endswith("iVBORw0KGgo=")


def test_the_bar_bears_that_nothing_had_to_be_run(capsys):
    with cli._progress("toy"):
        pass
    assert "toy" in capsys.readouterr().err
