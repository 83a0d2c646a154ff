"""What figures show, in words: sentences written by hand for figures whose contents are known, and the way into a notebook's output."""

import matplotlib
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from matplotlib import pyplot as plt
from nbconvert import HTMLExporter

from course_lib.alt import show_with_text, text_of

matplotlib.use("agg")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def curves(axes):
    axes.plot([0, 1, 2], [3.0, 2.0, 0.5], label="loss of $D$")
    axes.plot([0, 1], [np.nan, 1.0], label="not a number at first")
    axes.plot([0, 1, 2], [1, 9, 4], "o", label="runs")
    axes.plot([0, 1], [5, 6])  # without a name
    axes.axhline(0.6931, label=r"$\log 2$")
    axes.axvline(1, label="now")
    axes.set(title="Loss", xlabel="step", ylabel="loss")


def categories(axes):
    axes.bar(["head", "all"], [0.25, 0.5])


def across(axes):
    axes.barh(["head", "all"], [0.25, 0.5], label="share")
    axes.set(xlabel="test images right")


def many_bars(axes):
    axes.bar(range(20), range(20), tick_label=[""] * 20)


def named_on_a_scale(axes):
    axes.plot(["a", "b"], [1, 2], label="scores")


def areas(axes):
    axes.fill_between([0, 1], [1, 2], label="$p_{data}$")
    axes.scatter([0, 1], [1, 2])


@pytest.mark.parametrize("draw, text", [
    (curves, "Loss: loss against step; loss of D from 3 to 0.5; not a number at first; runs, 3 points between 1 and 9; log 2 at 0.693; "
             "now upright at 1."),
    (categories, "Plot: head 0.25, all 0.5."),
    (across, "Plot: from left to right test images right; share: head 0.25, all 0.5."),
    (named_on_a_scale, "Plot: scores from 1 to 2."),
    (areas, "Plot: p_data."),
    (lambda axes: axes.imshow(np.zeros((3, 5))), "A picture."),
    (lambda axes: None, ""),
])
def test_one_plot_in_words(draw, text):
    figure, axes = plt.subplots()
    draw(axes)
    figure.canvas.draw()
    assert text_of(figure) == text


def test_many_bars_are_summed_up():
    figure, axes = plt.subplots()
    axes.bar(np.arange(20), 1.0 + np.arange(20))
    assert text_of(figure) == "Plot: 20 bars from 1 to 20."


def test_plots_beside_each_other_are_all_there_and_equal_ones_counted():
    figure, panels = plt.subplots(2, 3)
    for axes in panels.flat:
        axes.imshow(np.zeros((4, 4)))
    panels[0, 0].set_title("drawn")
    figure.suptitle("Digits")
    assert text_of(figure) == "Digits. Drawn: a picture. 5 pictures."


def test_an_author_can_say_it_better():
    figure, axes = plt.subplots(num="A spiral that never ends.")
    curves(axes)
    assert text_of(figure) == "A spiral that never ends."


def test_the_text_goes_with_the_picture_into_the_output():
    shell = InteractiveShell()
    show_with_text(shell)
    figure, axes = plt.subplots(num='"All" <b> & more')
    across(axes)
    data, metadata = shell.display_formatter.format(figure)
    assert metadata["image/png"] == {"alt": '"All" <b> & more'}
    assert data["image/png"].startswith("iVBORw0KGgo")  # a PNG's first bytes, in base64
    image = BeautifulSoup(data["text/html"], "html.parser").find("img")
    assert image.attrs == {"alt": '"All" <b> & more', "src": f"data:image/png;base64,{data['image/png']}"}
    axes.set_title("another")
    assert shell.display_formatter.format(figure)[0]["image/png"] != data["image/png"]
    assert not {"image/png", "text/html"} & set(shell.display_formatter.format(plt.figure())[0])


@pytest.mark.parametrize("template", ["classic", "lab"])
def test_nbconvert_shows_the_text_beside_the_picture(template):
    shell = InteractiveShell()
    show_with_text(shell)
    figure, axes = plt.subplots()
    across(axes)
    data, metadata = shell.display_formatter.format(figure)
    output = nbformat.v4.new_output("display_data", data=data, metadata=metadata)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("plt.show()", outputs=[output])])
    page, _ = HTMLExporter(template_name=template).from_notebook_node(notebook)
    image, = BeautifulSoup(page, "html.parser").find_all("img")
    assert image["alt"] == text_of(figure) == "Plot: from left to right test images right; share: head 0.25, all 0.5."
