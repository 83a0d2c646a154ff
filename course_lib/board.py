"""A live board for training: curves, a picture that appears as the net learns, the time that is left.

As the callback of a training loop, which is what the lessons do:

    with Board("Ring of 8", 4000) as board:
        def after_step(step, loss_D, loss_G):
            board.after_step(step, loss_D, loss_G)
            if board.due():
                board.scatter(data, G(z).detach())
        train_gan(D, G, opt_D, opt_G, real, noise, 4000, 1, after_step)

or around a loop of one's own:

    board = Board("Ring of 8")
    for step in board.steps(4000):
        ...
        board.log(step, loss_D=loss_D, loss_G=loss_G)

In a notebook the same figure is redrawn, at most as often as costs a tenth of the time. What stays in the notebook when
training ends, is interrupted or fails is an ordinary PNG and a line of text, readable without widgets and without a
kernel. In a terminal there is a progress bar, and `board.png()` has the picture.
"""

import html
import math
import sys
import time

import numpy as np

from course_lib.shell import has_kernel, ipython
from course_lib.style import (DISCRIMINATOR, FAKE, GENERATOR, GREY, OKABE_ITO, REAL, course_style, image_axes, new_figure)

DRAW_SHARE = 0.05  # of the time, for drawing; sampling, layout and progress bring the whole board below a tenth
DRAW_EVERY_S = 0.3
PROGRESS_EVERY_S = 0.25
POINTS = 200  # of a curve; with more steps than that, each point is the mean of several

_COLOURS = {"loss D": DISCRIMINATOR, "loss G": GENERATOR}
_DASHES = ("-", (0, (4, 1)), "-.", ":")


class Board:
    """Curves and pictures of one training run.

    title: one line. curves: names of what is plotted against the step; `log` takes them with underscores for spaces.
    steps: how many there will be, or None if nobody knows. panels: places for a scatter or images, beside the curves;
    fill them when `due()`. levels: name → height of a dotted line across the curves, such as {"log 4": 1.386}.
    unit: what `step` counts. view: where it shows, made anew for each stretch of training: a _Live in a notebook and a _Terminal elsewhere by default.
    """

    def __init__(self, title, steps=None, curves=("loss D", "loss G"), panels=1, levels=None, unit="step", view=None):
        self.title, self.curves, self.panels, self._levels = title, tuple(curves), panels, dict(levels or {})
        self.values = {name: [] for name in self.curves}  # name → [(step, value)]
        self.extra = {}  # what else was logged: name → latest value
        self.total, self.step, self.unit = steps, None, unit
        self._spent, self._began = 0.0, None  # seconds of training before the present start; when that was
        self._make_view, self._view, self._stage = view, None, None
        self._due = False  # whether the next step that is logged draws first

    # --- what a training loop says ---

    def after_step(self, step, loss_D, loss_G):
        """The callback of `train_gan`: log both losses of a step, counted from 0."""
        self.log(step, loss_D=loss_D, loss_G=loss_G)

    def log(self, step, **values):
        """Log numbers of a step. Names of curves are plotted, with "_" for " "; others stand in the status line.

        Raises TypeError for a value that isn't one number.
        """
        if self._view is None:
            self._begin()
        if self._due:
            self._draw()
        self.step = step
        for name, value in values.items():
            name = name.replace("_", " ")
            try:
                value = float(value)
            except (TypeError, ValueError, RuntimeError):
                raise TypeError(f"board.log got {name!r} = {value!r:.80}; it plots one number per step, a mean for example") from None
            if name in self.values:
                self.values[name].append((step, value))
            else:
                self.extra[name] = value
        now = time.perf_counter()
        if now >= self._next_progress:
            self._view.progress()
            self._next_progress = now + PROGRESS_EVERY_S
        self._due = step + 1 == self.total or self._view.draws and now >= self._next_drawing

    def due(self):
        """Whether the picture is about to be drawn, so that samples for its panels are worth making. True at the last step.

        It is drawn when the next step is logged. Make the samples from noise of your own, drawn once before the training:
        how often this is true depends on the machine's speed, and must not move the random numbers of the training. A net
        with batch norm belongs into eval mode for it.
        """
        return self._due

    def scatter(self, real, fake, panel=0, reach=None):
        """Put points into a panel: real and generated, each (n, 2); `reach`: half the side of the square shown."""
        self._make_panel(panel, _Scatter).put(_points(real), _points(fake), reach)

    def images(self, images, panel=0, columns=None, title="generated"):
        """Put images into a panel with that title, in rows of `columns`, as near to a square as can be by default.

        images: (n, 1 or 3, h, w), (n, h, w), (n, h²) or labelled digits (n, 794); values in [−1, 1] or [0, 1].
        """
        from course_lib.picture import montage, to_uint8
        self._make_panel(panel, _Images).put(montage(to_uint8(images), columns or math.ceil(math.sqrt(len(images))), background=128), title)

    def steps(self, n):
        """Iterate over range(n) with progress; when the loop ends, by whatever way, the last picture stays."""
        self.total = n
        with self:
            yield from range(n)

    # --- begin and end ---

    def __enter__(self):
        self._begin()
        return self

    def __exit__(self, kind, error, traceback):
        """An interrupt (the ■ of the toolbar, Ctrl-C) ends the block and nothing else: what was learned stays."""
        self.finish()
        return kind is KeyboardInterrupt

    def _begin(self):
        if self._view is None:
            self._began = time.monotonic()
            self._view = (self._make_view or (_Live if has_kernel() else _Terminal))(self)
            self._next_drawing = self._next_progress = 0.0

    def finish(self):
        """Draw once more and leave that as an ordinary picture. Logging again after that begins a new one."""
        if self._view is None:
            return
        view, self._view, self._due = self._view, None, False
        self._spent, self._began = self.seconds, None
        view.close(self.summary())

    def clear(self):
        """Begin anew, in the same figure: no steps, no curves. Those that were there stay behind as shadows, until the next time."""
        with course_style():
            self._set_stage()
            for name, line in self._lines.items():
                self._shadows[name].set_data(*line.get_data())
        self.finish()
        self.values, self.extra, self.step, self._spent = {name: [] for name in self.curves}, {}, None, 0.0

    @property
    def seconds(self):
        """Seconds of training so far."""
        return self._spent + (time.monotonic() - self._began if self._began is not None else 0.0)

    def remaining(self):
        """Seconds that are left, estimated from the steps so far; None when nobody knows."""
        if not self.total or self.step is None:
            return None
        done = self.step + 1
        return max(0.0, self.seconds / done * (self.total - done))

    def progress_text(self):
        """One line: "1200 of 4000 steps, 0:07 left"."""
        if self.step is None:
            return "starting"
        done = f"{self.step + 1} of {self.total} {self.unit}s" if self.total else f"{self.step + 1} {self.unit}s"
        left = self.remaining()
        return done + (f", {_clock(left)} left" if left is not None else f", {_clock(self.seconds)}")

    def summary(self):
        """What happened, in a sentence: steps, time, the latest values."""
        if self.step is None:
            return f"{self.title}: no step was done."
        done = self.step + 1
        whole = not self.total or done >= self.total
        way = (f"{done} {self.unit}s in {_clock(self.seconds)}" if whole else
               f"stopped after {done} of {self.total} {self.unit}s, {_clock(self.seconds)}; what was learned so far is kept")
        return f"{self.title}: {way}." + (f" {values}." if (values := self.latest()) else "")

    def latest(self):
        """The latest values in words; curves as the mean of the last twentieth."""
        shown = {name: _mean([value for _, value in points[-max(1, len(points) // 20):]])
                 for name, points in self.values.items() if points}
        return ", ".join(f"{name} {value:.4g}" for name, value in (shown | self.extra).items())

    # --- drawing ---

    def png(self):
        """The board as it stands, as PNG bytes."""
        self._set_stage()
        self._move_curves()
        return self._stage.png()

    @property
    def css_width(self):
        self._set_stage()
        return self._stage.css_width

    def _draw(self):
        self._set_stage()  # once, so it doesn't count for how often to draw
        began = time.perf_counter()
        self._view.picture()
        ended = time.perf_counter()
        self._next_drawing = ended + max(DRAW_EVERY_S, (ended - began) * (1 - DRAW_SHARE) / DRAW_SHARE)

    @course_style()
    def _make_figure(self):
        names = [f"panel {i}" for i in range(self.panels)]
        curves = ["curves"] if self.curves else []
        self._figure, self._axes = new_figure(5.0 * len(curves) + 3.6 * self.panels, 3.5, [curves + names],
                                              width_ratios=[1.35] * len(curves) + [1] * self.panels)
        self._contents = [None] * self.panels
        for name in names:
            image_axes(self._axes[name])
        self._lines, self._shadows = {}, {}
        if curves:
            axes = self._axes["curves"]
            spare = iter(OKABE_ITO)
            for i, name in enumerate(self.curves):
                self._lines[name], = axes.plot([], [], linestyle=_DASHES[i % 4], linewidth=1.6, color=_COLOURS.get(name) or next(spare), label=name)
                self._shadows[name], = axes.plot([], [], linestyle=_DASHES[i % 4], linewidth=1.6, color=self._lines[name].get_color(), alpha=0.3)
            for name, height in self._levels.items():
                axes.axhline(height, color=GREY, linewidth=1, linestyle=":")
                axes.annotate(name, (1, height), (-2, 3), xycoords=("axes fraction", "data"), textcoords="offset points", ha="right", color=GREY)
            axes.set(xlabel=self.unit, xlim=(0, self.total or 10_000))  # the layout, made once, leaves room for the last label
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, borderaxespad=0.2, columnspacing=1.2)

    def _set_stage(self):
        from course_lib.picture import Stage
        if not hasattr(self, "_figure"):
            self._make_figure()
        if self._stage is None:
            self._stage = Stage(self._figure)

    def _make_panel(self, panel, kind):
        if not 0 <= panel < self.panels:
            raise ValueError(f"this board has {self.panels} panel(s), counted from 0; there is no panel {panel}")
        if not hasattr(self, "_figure"):
            self._make_figure()
        if not isinstance(self._contents[panel], kind):
            with course_style():
                self._axes[f"panel {panel}"].clear()
                self._contents[panel] = kind(self._axes[f"panel {panel}"])
            self._stage = None
        return self._contents[panel]

    def _move_curves(self):
        heights = list(self._levels.values())
        for name, line in self._lines.items():
            points = _thinned(self.values[name])
            line.set_data(*(zip(*points) if points else ([], [])))
            heights += [value for value in (*line.get_ydata(), *self._shadows[name].get_ydata()) if math.isfinite(value)]
        if self._lines:
            last = self.total or rounded_up((self.step or 0) + 1)
            self._axes["curves"].set(xlim=(0, max(1, last)), ylim=_rounded_limits(heights))


class _Scatter:
    """Real and generated points in a square."""

    def __init__(self, axes):
        self.axes, self.reach = axes, 0.0
        self.real, = axes.plot([], [], ".", color=REAL, markersize=4, alpha=0.5, label="real")
        self.fake, = axes.plot([], [], "x", color=FAKE, markersize=4, markeredgewidth=1, alpha=0.8, label="generated")
        axes.grid(False)
        axes.spines[:].set_visible(True)
        axes.set(aspect="equal")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2, handletextpad=0.1, markerscale=1.8)

    def put(self, real, fake, reach):
        self.real.set_data(*real.T)
        self.fake.set_data(*fake.T)
        # The data set the frame: what flies out of it flies out of the picture.
        far = abs(real[np.isfinite(real)]).max(initial=0)
        self.reach = reach or self.reach or 1.4 * float(far) or 1.0
        self.axes.set(xlim=(-self.reach, self.reach), ylim=(-self.reach, self.reach))


class _Images:
    """A sheet of images."""

    def __init__(self, axes):
        self.axes, self.image = axes, None
        image_axes(axes)

    def put(self, sheet, title):
        if self.image is None:
            self.axes.set_title(title)
            self.image = self.axes.imshow(sheet, cmap="gray", vmin=0, vmax=255)
        self.image.set_data(sheet)
        height, width = sheet.shape[:2]
        self.image.set_extent((0, width, height, 0))
        self.axes.set(xlim=(0, width), ylim=(height, 0))


# --- where it shows ---

class _Live:
    """In a notebook: a widget and a progress bar, which give way to a plain picture and a line of text.

    Whatever ends the cell ends the board too, so that a run that failed leaves its picture.
    """

    draws = True

    def __init__(self, board):
        import ipywidgets as widgets
        from IPython.display import display
        from course_lib.picture import Picture
        self.board, self._events = board, ipython().events
        self._widget = Picture(alt=board.title, width="0px")
        self._bar = widgets.FloatProgress(value=0.0, min=0.0, max=1.0, layout={"width": "22em"})
        self._text = widgets.HTML()
        title = widgets.HTML(f"<strong>{html.escape(board.title)}</strong>")
        self._at_status = display(widgets.HBox([title, self._bar, self._text]), display_id=True)
        self._at_picture = display(self._widget, display_id=True)
        self._widgets = [self._widget, self._bar, self._text, title]
        self._events.register("post_run_cell", self._cell_ended)

    def _cell_ended(self, result):
        self.board.finish()

    def progress(self):
        if self.board.total and self.board.step is not None:
            self._bar.value = (self.board.step + 1) / self.board.total
        self._text.value = html.escape(", ".join(filter(None, [self.board.progress_text(), self.board.latest()])))

    def picture(self):
        png = self.board.png()
        self._widget.width, self._widget.png, self._widget.alt = self.board.css_width, png, self.board.progress_text()

    def close(self, summary):
        self._events.unregister("post_run_cell", self._cell_ended)
        self._widget.png = b""  # else whoever keeps the widgets' state keeps the picture a second time
        self._at_picture.update(_png_bundle(self.board, summary), raw=True, metadata=_png_metadata(self.board, summary))
        self._at_status.update({"text/html": f"<div>{html.escape(summary)}</div>", "text/plain": summary}, raw=True)
        for widget in self._widgets:
            widget.close()


class Hosted:
    """Inside a widget that draws the board when it likes, by `png()`. The board says all the same when samples are `due()`."""

    draws = True

    def __init__(self, board):
        pass

    def progress(self):
        pass

    def picture(self):
        pass

    def close(self, summary):
        pass


class _Terminal:
    """A progress bar on stdout (what stands on stderr counts as a failure in stock nbgrader), none where it isn't a terminal."""

    draws = False

    def __init__(self, board):
        from tqdm import tqdm
        self.board, self._bar = board, tqdm(total=board.total, desc=board.title, file=sys.stdout, disable=None, leave=False)

    def progress(self):
        self._bar.n = self.board.step + 1
        self._bar.set_postfix_str(self.board.latest())

    def picture(self):
        """None while it trains."""

    def close(self, summary):
        self._bar.close()
        if ipython():  # IPython without a kernel, as the autograder runs it: it keeps the picture
            from IPython.display import display
            png = _png_bundle(self.board, summary)
            display(png, raw=True, metadata=_png_metadata(self.board, summary))
        else:
            print(summary)


def _png_bundle(board, summary):
    return {"image/png": board.png(), "text/plain": summary}


def _png_metadata(board, summary):
    return {"image/png": {"width": int(board.css_width.removesuffix("px")), "alt": summary}}


# --- numbers ---

def _points(points):
    points = np.asarray(points.detach().cpu() if hasattr(points, "detach") else points, dtype=float)
    if points.ndim != 2 or points.shape[1] != 2:
        raise ValueError(f"points of the shape {points.shape}; a scatter takes (n, 2)")
    return points


def _mean(values):
    return sum(values) / len(values)


def _thinned(points):
    """At most POINTS points (step, value), each the mean of as many neighbours."""
    size = -(-len(points) // POINTS) or 1
    chunks = [points[i:i + size] for i in range(0, len(points), size)]
    return points if size == 1 else [tuple(map(_mean, zip(*chunk))) for chunk in chunks]


def rounded_up(n):
    """1, 2 or 5 times a power of ten, at least n: an axis that grows in few jumps."""
    power = 10.0 ** math.floor(math.log10(n))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= n)


def _rounded_limits(values):
    """Limits around `values` at whole steps of a round size, so that they seldom change."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    size = rounded_up(max(high - low, abs(high), 1e-6)) / 10
    low, high = math.floor(low / size) * size, math.ceil(high / size) * size
    return (low, high) if high > low else (low, low + size)


def _clock(seconds):
    """75 → "1:15"; 3700 → "1:01:40"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
