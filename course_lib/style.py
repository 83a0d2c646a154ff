"""How the course's figures look: one palette for readers with any colour vision, readable type, quiet axes.

Figures are plain `matplotlib.figure.Figure` objects drawn by Agg. pyplot isn't needed, and isn't imported.
"""

import contextlib

from course_lib.shell import has_kernel, ipython

# Okabe & Ito, "Color Universal Design" (2008): told apart with normal, protan, deutan and tritan vision.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILLION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
OKABE_ITO = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW, BLACK)
GREY = "#6B6B6B"

# What a colour stands for, the same in every lesson.
REAL, FAKE = BLUE, VERMILLION
DISCRIMINATOR, GENERATOR = PURPLE, GREEN

DPI = 130  # dots drawn for an inch, of which a page shows 100: sharp on fine screens, and still quick to draw
PAGE_DPI = 100

_SETTINGS = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that a figure looks the same everywhere
    "font.size": 10.5, "axes.titlesize": 11, "axes.labelsize": 10.5,
    "xtick.labelsize": 9.5, "ytick.labelsize": 9.5, "legend.fontsize": 9.5,
    "figure.facecolor": "white", "axes.facecolor": "white", "savefig.facecolor": "white",
    "text.color": "#222222", "axes.labelcolor": "#222222", "axes.edgecolor": "#8A8A8A",
    "xtick.color": "#444444", "ytick.color": "#444444",
    "axes.titlelocation": "left", "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": "#E4E4E4", "grid.linewidth": 0.8, "axes.axisbelow": True,
    "legend.frameon": False, "lines.linewidth": 2.0, "image.interpolation": "nearest", "image.cmap": "gray",
}


def _settings():
    from cycler import cycler
    return _SETTINGS | {"axes.prop_cycle": cycler(color=OKABE_ITO)}


def use_style():
    """From now on, matplotlib draws every new figure of this process in the course's style; in a notebook, inline, with its text."""
    import matplotlib
    if has_kernel():
        # matplotlib-inline 0.1.6, which d2l pins, doesn't switch itself on under this IPython: figures would be mere text.
        ipython().run_line_magic("matplotlib", "inline")
        from course_lib.alt import show_with_text
        show_with_text(ipython())
    matplotlib.rcParams.update(_settings() | {"figure.dpi": PAGE_DPI})


@contextlib.contextmanager
def course_style():
    """The style for what is made within: `with course_style():`, or `@course_style()` above a function that draws."""
    import matplotlib
    with matplotlib.rc_context(_settings()):
        yield


@course_style()
def new_figure(width, height, mosaic, **options):
    """A figure of `width` × `height` inches and its axes by name, as `Figure.subplot_mosaic` takes and returns them.

    >>> figure, axes = new_figure(6, 3, [["left", "right"]])
    >>> axes["left"].set(title="...")

    The layout makes room for labels at each drawing, or once and for all on a `picture.Stage`.
    """
    from matplotlib.figure import Figure
    figure = Figure((width, height), dpi=DPI, layout="constrained")
    return figure, figure.subplot_mosaic(mosaic, **options)


def image_axes(axes):
    """Turn `axes` into a bare place for a picture: no ticks, frame or grid."""
    axes.grid(False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
