"""The harness itself, on a notebook of the test's own: a cell runs, a slider moves, an error is seen.

And what `course lab` makes of JupyterLab: its terminals, and what of nbgrader is in it.
"""

import sys
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

CELLS = {
    "sum": "print(6 * 7)",
    "slider": """
import ipywidgets
ipywidgets.interact(lambda n: print("the square is", n * n), n=ipywidgets.IntSlider(value=3, min=0, max=10));
""",
    "mistake": "1 / 0",
    "far-below": "print('\\n'.join(map(str, range(100))))",
    "last": "print('reached')",
    "figure": """
from course_lib.style import use_style
use_style()
from matplotlib import pyplot as plt
plt.plot([1, 2, 4])
plt.title("Doubling")
plt.show()
""",
}

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}


@pytest.fixture
def notebook(lab, open_notebook):
    folder, *_ = lab
    cells = [nbformat.v4.new_code_cell(source.strip(), id=name) for name, source in CELLS.items()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), folder / "tiny.ipynb")
    return open_notebook("tiny.ipynb")


def test_a_learner_at_work(notebook):
    notebook.run("sum")
    expect(notebook.output("sum")).to_contain_text("42")

    notebook.run("slider")
    expect(notebook.output("slider")).to_contain_text("the square is 9")
    notebook.slide("slider", +2)
    expect(notebook.output("slider")).to_contain_text("the square is 25")
    notebook.slide("slider", -1)
    expect(notebook.output("slider")).to_contain_text("the square is 16")

    notebook.run("mistake")
    expect(notebook.output("mistake")).to_contain_text("ZeroDivisionError")
    notebook.write("mistake", "def half(x):\n    if x:\n        return x / 2\n\nprint(half(5), '(round)', [1, 2])")
    notebook.run("mistake")
    expect(notebook.output("mistake")).to_contain_text("2.5 (round) [1, 2]")
    expect(notebook.output("mistake")).not_to_contain_text("ZeroDivisionError")
    notebook.screenshot("tiny")

    notebook.run("far-below")
    notebook.run("reached")  # found by its source
    expect(notebook.output("last")).to_have_text("reached")


def test_a_figure_has_its_text(notebook, lab, open_notebook):
    notebook.run("figure")
    image = notebook.output("figure").locator("img")
    expect(image).to_have_attribute("alt", "Doubling.")
    notebook.screenshot("figure")

    # Opened again from elsewhere, a notebook isn't trusted, and its HTML is cleaned.
    folder, *_ = lab
    source = image.get_attribute("src")
    output = nbformat.v4.new_output("display_data", data={"image/png": source.partition(",")[2], "text/html": f'<img src="{source}" alt="Doubling.">'})
    cells = [nbformat.v4.new_code_cell("plt.show()", id="shown", outputs=[output], execution_count=1)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=KERNEL), folder / "untrusted.ipynb")
    image = open_notebook("untrusted.ipynb").output("shown").locator("img")
    expect(image).to_have_attribute("alt", "Doubling.")
    assert image.evaluate("image => image.naturalWidth") > 100


def test_a_terminal_finds_the_courses_commands(notebook, lab):
    folder, *_ = lab
    found = folder / "found.txt"
    notebook.page.get_by_role("menuitem", name="File", exact=True).click()
    for entry in ("New", "Terminal"):
        notebook.page.locator(".lm-Menu-itemLabel").get_by_text(entry, exact=True).click()
    terminal = notebook.page.locator(".jp-Terminal textarea")
    terminal.wait_for(state="attached")
    terminal.focus()
    notebook.page.keyboard.type("course --help && command -v course > found.txt\n")
    notebook.until(lambda: found.is_file() and found.read_text(), "the terminal's shell finds `course`", 60)
    notebook.screenshot("terminal")
    assert Path(found.read_text().strip()) == Path(sys.prefix, "bin", "course")


def test_a_kernel_knows_which_notebook_it_runs(lab, open_notebook):
    folder, *_ = lab
    start = nbformat.v4.new_code_cell('from course_lib import start\ncheck = start("gan_math")', id="start")
    nbformat.write(nbformat.v4.new_notebook(cells=[start], metadata=KERNEL), folder / "gan_math" / "solved.ipynb")
    for path, name, is_copy in [("gan_math/solved.ipynb", "start", True), ("gan_math/gan_math.ipynb", "setup-1", False)]:
        notebook = open_notebook(path)
        notebook.run(name)
        expect(notebook.output(name)).to_contain_text("from checks")
        notebook.screenshot(path.replace("/", "-"))
        assert ("This is solved.ipynb" in notebook.output(name).inner_text()) == is_copy
    (folder / "gan_math" / "solved.ipynb").unlink()


def test_learners_do_not_meet_nbgraders_tools_for_staff(notebook):
    page = notebook.page
    expect(page.get_by_role("button", name="Validate")).to_have_count(0)
    page.get_by_role("menuitem", name="Nbgrader", exact=True).click()
    expect(page.locator(".lm-Menu-itemLabel", has_text="Assignment List")).to_be_visible()
    notebook.screenshot("nbgrader-menu")
    for tool in ("Formgrader", "Create Assignment", "Course List"):
        expect(page.locator(".lm-Menu-itemLabel", has_text=tool)).to_have_count(0)
