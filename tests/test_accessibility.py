"""For eyes and hands of any kind: colours under colour-blindness, contrast, a text for each figure.

Colour vision is simulated by the matrices of Machado, Oliveira & Fernandes (2009) at severity 1, in linear RGB; distances
are Euclidean in CIELAB (CIE 1976), contrasts those of WCAG 2.
"""

import ast
import itertools
import re

import jupytext
import numpy as np
import pytest

from autograder import page as pages
from autograder.build import Course
from course_lib import card, style
from course_lib.verdict import Verdict

VISION = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    "tritan": np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
}
XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])  # of sRGB, D65
LIGHT, DARK = ("#FFFFFF", "#222222"), ("#111111", "#E8E8E8")  # a page's background, and its text


def rgb(colour):
    return np.array([int(colour[i:i + 2], 16) for i in (1, 3, 5)]) / 255


def linear(shares):
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def seen(colour, vision):
    """CIELAB coordinates of a colour as somebody with that vision sees it."""
    share = XYZ @ (VISION[vision] @ linear(rgb(colour))).clip(0, 1) / XYZ.sum(1)
    f = np.where(share > 216 / 24389, np.cbrt(share), (24389 / 27 * share + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def distance(one, other, vision):
    return np.linalg.norm(seen(one, vision) - seen(other, vision))


def contrast(one, other):
    """WCAG's contrast of two colours, each "#rrggbb" or shares of red, green and blue."""
    darker, lighter = sorted(XYZ[1] @ linear(rgb(each) if isinstance(each, str) else each) for each in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def test_these_measures_know_known_cases():
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.01)  # the lightest grey that passes for text
    np.testing.assert_allclose(seen("#FF0000", "normal"), [53.24, 80.09, 67.20], atol=0.02)
    np.testing.assert_allclose([matrix @ np.ones(3) for matrix in VISION.values()], 1, atol=2e-6)  # greys stay grey
    assert distance("#B07A00", "#8C8C00", "normal") > 25 > 10 > distance("#B07A00", "#8C8C00", "deutan")  # a pair to avoid


@pytest.mark.parametrize("vision", VISION)
def test_the_palette_is_told_apart_with_any_colour_vision(vision):
    near = {(one, other): round(distance(one, other, vision), 1) for one, other in itertools.combinations(style.OKABE_ITO, 2)}
    assert min(near.values()) > 15, near


@pytest.mark.parametrize("vision", VISION)
def test_colours_that_mean_something_differ_from_their_opposite(vision):
    verdicts = [colour for _, _, colour in pages.LOOKS.values()]
    for one, other in [(style.REAL, style.FAKE), (style.DISCRIMINATOR, style.GENERATOR), *itertools.combinations(verdicts, 2)]:
        assert distance(one, other, vision) > 15, (one, other)


def test_the_first_colours_of_curves_stand_out_from_the_white_they_are_drawn_on():
    for colour in (*style.OKABE_ITO[:4], style.GREY):
        assert contrast(colour, "#FFFFFF") >= 3, colour  # WCAG's bound for graphics


@pytest.mark.parametrize("background, text", [LIGHT, DARK])
@pytest.mark.parametrize("verdict", ["passed", "failed", "not graded"])
def test_a_card_can_be_read_on_a_light_page_and_on_a_dark_one(verdict, background, text):
    shown = card.as_html(Verdict("mean", verdict, 0, 1, "A hint."))
    mixed, share, tint, weight = re.search(r"background:color-mix\(in srgb,(#\w+) (\d+)%,transparent\).*color:color-mix\(in srgb,(#\w+) (\d+)%,currentColor\)",
                                           shown).groups()
    below = int(share) / 100 * rgb(mixed) + (1 - int(share) / 100) * rgb(background)
    word = int(weight) / 100 * rgb(tint) + (1 - int(weight) / 100) * rgb(text)
    assert contrast(word, below) >= 4.5  # WCAG's bound for text
    faint = 0.75 * rgb(text) + 0.25 * below  # points and details have an opacity of .75
    assert contrast(faint, below) >= 4.5


def test_no_colour_alone_says_how_a_check_went():
    assert len({(mark, word) for mark, word, _ in pages.LOOKS.values()}) == len(pages.LOOKS)


@pytest.mark.parametrize("lesson", Course().lessons())
def test_each_figure_of_a_lesson_has_words_in_it_that_become_its_text(lesson):
    """In the source: a title, a label or a legend in each cell that shows a figure, and use_style before it. What the text
    is shows when the lesson runs; `autograder site` refuses a picture without one."""
    styled, shown = False, 0
    for cell in jupytext.read(Course().source(lesson), fmt="py:percent").cells:
        if cell.cell_type != "code":
            continue
        calls = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call)]
        names = [ast.unparse(call.func).rpartition(".")[2] for call in calls]
        styled |= "use_style" in names
        if "show" in names and "subplots" in names:
            shown += 1
            words = {keyword.arg for call in calls for keyword in call.keywords} & {"title", "xlabel", "ylabel", "label", "num"}
            assert words or {"set_title", "set_xlabel", "set_ylabel", "suptitle"} & set(names), cell.source
            assert styled, f"use_style() must come before this figure: {cell.source}"
    assert shown
