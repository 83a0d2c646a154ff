"""What explorables share: a picture that follows its sliders.

    figure, axes = new_figure(6, 3, [["power"]])
    line, = axes["power"].plot(x, x)

    def redraw(power):
        line.set_ydata(x ** power)
        return f"x to the power {power}"

    Explorable("Powers", figure, redraw, power=slider("power", 0, 4, 1))

`redraw` moves the artists of the one figure, which costs a fraction of making a new one, and returns in words what the
picture shows. The words stand below it and are what a screen reader reads.
"""

import asyncio
import html
from contextlib import contextmanager

import ipywidgets as widgets
import numpy as np
import torch

from course_lib.picture import DRAWING, Picture, Stage

# Events that arrive within this time of each other cost one drawing, of the last state. Seconds.
GATHER_S = 0.015

_CONTROL = {"description_width": "11.5em"}
_WIDE = "34em"


def slider(label, low, high, value, step=None, digits=2):
    """A slider from `low` to `high`, by steps of `step` (a hundredth of the range by default). Whole if all numbers are."""
    if all(isinstance(number, int) for number in (low, high, value, step or 1)):
        return widgets.IntSlider(value, low, high, step or 1, description=label, style=_CONTROL, layout={"width": _WIDE})
    return widgets.FloatSlider(value, min=low, max=high, step=step or (high - low) / 100, description=label,
                               readout_format=f".{digits}f", style=_CONTROL, layout={"width": _WIDE})


def steps_slider(label, values, value):
    """A slider over `values`, for a scale that isn't even."""
    return widgets.SelectionSlider(options=[(f"{v:g}", v) for v in values], value=value, description=label,
                                   style=_CONTROL, layout={"width": _WIDE})


def choice(label, options, value=None):
    """One of `options` (strings), as a list to choose from."""
    return widgets.Dropdown(options=list(options), value=value or list(options)[0], description=label, style=_CONTROL,
                            layout={"width": _WIDE})


def tick(label, value=True):
    """A box to tick."""
    return widgets.Checkbox(value, description=label, indent=False, layout={"width": "auto"})


def button(label, action, help="", style=""):
    """A button that calls `action()`."""
    made = widgets.Button(description=label, tooltip=help or label, button_style=style, layout={"width": "auto", "flex": "0 0 auto"})
    made.on_click(lambda _: action())
    return made


def heading(text, below=""):
    """The title of an explorable and the sentence under it. Plain text."""
    below = f'<div style="line-height:1.4">{html.escape(below)}</div>' if below else ""
    return widgets.HTML(f'<div style="font-size:1.15em;font-weight:600">{html.escape(text)}</div>{below}')


class Readout(widgets.HTML):
    """A line of text that changes, announced by screen readers when it does. Plain text; newlines are kept."""

    def say(self, text):
        self.value = f'<div role="status" style="line-height:1.5;white-space:pre-line">{html.escape(text)}</div>'


class Explorable(widgets.VBox):
    """A title, controls, a picture that follows them, and the readout.

    figure: drawn once, its layout kept. redraw(**values) → str: moves the figure's artists to the controls' values.
    controls: name → widget with a `value`, in the order in which they stand. Raises Unfinished where the first redraw does; a later
    one's sentence is shown.
    """

    def __init__(self, title, figure, redraw, below="", **controls):
        self.picture, self.readout = Picture(), Readout()
        self._redraw, self._controls, self._due = redraw, controls, None
        with DRAWING:
            text = redraw(**self.values)
            self._stage = Stage(figure)
            self._show(text)
        for control in controls.values():
            control.observe(self._moved, "value")
        super().__init__([heading(title, below), *controls.values(), self.picture, self.readout])

    @property
    def values(self):
        """Name → value of each control."""
        return {name: control.value for name, control in self._controls.items()}

    def draw(self):
        """Draw the present state."""
        self._due = None
        with DRAWING:
            try:
                text = self._redraw(**self.values)
            except Unfinished as why:
                text = str(why)
            self._show(text)

    def _show(self, text):
        self.picture.show(self._stage, text)
        self.readout.say(text)

    def _moved(self, change):
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # a script: nothing would ever draw it later
            self.draw()
            return
        if self._due is None:
            self._due = loop.call_later(GATHER_S, self.draw)


# --- the learner's functions, written or not ---

class Unfinished(Exception):
    """The learner's code failed, or its answer can't be drawn. Says in one sentence which exercise to finish first."""


@contextmanager
def exercise(check):
    """Around calls of what the learner wrote for `check`: an error within becomes Unfinished."""
    try:
        yield
    except Unfinished:
        raise
    except Exception as error:
        now = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise Unfinished(f'This runs on your own code: finish the exercise above check("{check}") first, then run this cell '
                         f"again (now: {now}).") from error


def explorable(title, figure, redraw, below, **controls):
    """An Explorable on the learner's code. Where that fails, the sentence of the Unfinished stands in the picture's place."""
    try:
        return Explorable(title, figure, redraw, below, **controls)
    except Unfinished as why:
        return heading(title, str(why))


def finite(answer, *shape):
    """A tensor as an array. Raises ValueError unless it has this shape and is finite."""
    array = torch.as_tensor(answer).detach().double().numpy()
    if array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"an answer of shape {array.shape} that should be of shape {shape}, and finite")
    return array
