"""Something that learns while the notebook stays usable: start, pause, reset.

    def train(board, strategy):
        ...
        fine_tune(..., after_step=lambda step, loss: board.log(step, loss=loss))

    live_run("Fine-tuning", train, steps=200, curves=("loss",), panels=0, strategy=choice("strategy", [...]))
"""

import asyncio
import threading
import time

import ipywidgets as widgets

from course_lib.board import Board, Hosted
from course_lib.explore import Readout, button, heading
from course_lib.picture import DRAWING, Picture, Stage

SLICE_S = 0.04  # longest time the kernel is busy between two looks at what else is asked of it
PAUSE_S = 0.005
MEASUREMENTS = 40  # in a whole run
DRAW_EVERY_S = 0.4
DRAW_SHARE = 0.15  # of the time at most, for drawing


class LiveTraining(widgets.VBox):
    """Buttons, a picture and a line of text around `step()`, which trains in slices on the kernel's own event loop.

    figure: a Figure, or a Board. reset(): start anew. step(): train one step; StopIteration says that there are no more.
    redraw() → str: move the figure's artists, say what they show. limit: steps after which it pauses by itself, so that a forgotten one costs nothing.

    Only one LiveTraining runs at a time: starting one pauses the other. What `step` raises ends up in the line of text,
    and pauses the training.
    """

    _running = None

    def __init__(self, figure, reset, step, redraw, limit=20_000):
        self.steps_done, self.limit = 0, limit
        self._reset, self._step, self._redraw, self._task = reset, step, redraw, None
        self.picture, self.readout, self._state = Picture(), Readout(), Readout()
        self._start = button("Start", self.toggle, "Train, or pause the training", "primary")
        self._start.layout.width = "7em"
        self._anew = button("Reset", self.reset, "Throw away what was learned and begin anew")
        reset()
        redraw()
        self._stage = figure if isinstance(figure, Board) else Stage(figure)
        self.draw()
        super().__init__([widgets.HBox([self._start, self._anew, self._state], layout={"align_items": "center"}),
                          self.picture, self.readout])
        self.add_class("live-training")

    @property
    def is_running(self):
        return self._task is not None

    def toggle(self):
        """What the first button does."""
        self.pause() if self.is_running else self.start()

    def start(self):
        """Go on training. Needs a running event loop, as a notebook has."""
        if self.is_running:
            return
        if LiveTraining._running is not None:
            LiveTraining._running.pause()
        LiveTraining._running = self
        self._state.say("")
        self._start.description, self._start.button_style = "Pause", "warning"
        self._task = asyncio.get_running_loop().create_task(self._train())

    def pause(self, because="Paused."):
        """Stop after the present step and show where it stands."""
        if not self.is_running:
            return
        self._task, task = None, self._task
        if LiveTraining._running is self:
            LiveTraining._running = None
        self._start.description, self._start.button_style = "Go on", "primary"
        self.draw()
        self._state.say(because)
        return task

    def _end(self):
        self.pause(f"Done: {self.steps_done:,} steps. Reset to begin anew.")
        self._start.description, self._start.button_style, self._start.disabled = "Done", "", True

    def reset(self):
        """Begin anew: untrained nets, no steps done; running if it was."""
        self.steps_done = 0
        self._reset()
        if not self.is_running:
            self._start.description, self._start.button_style, self._start.disabled = "Start", "primary", False
            self._state.say("")
        self.draw()

    def draw(self):
        """Show the present state; returns the seconds that it took."""
        began = time.perf_counter()
        with DRAWING:
            text = self._redraw()
            self.picture.show(self._stage, text)
            self.readout.say(text)
        return time.perf_counter() - began

    async def _train(self):
        me, draw_again = self._task, 0.0
        while self._task is me:
            until = time.perf_counter() + SLICE_S
            try:
                while time.perf_counter() < until and self.steps_done < self.limit:
                    self._step()
                    self.steps_done += 1
            except StopIteration:
                self._end()
                return
            except Exception as error:  # the learner's own step: show what it said, keep the notebook alive
                self.pause(f"Stopped at step {self.steps_done}: {type(error).__name__}: {error}")
                return
            if self.steps_done >= self.limit:
                self._end()
                return
            if time.perf_counter() >= draw_again:
                cost = self.draw()
                draw_again = time.perf_counter() + max(DRAW_EVERY_S, cost * (1 - DRAW_SHARE) / DRAW_SHARE)
            await asyncio.sleep(PAUSE_S)


# --- a whole training loop, a step at a time ---

class _Ended(BaseException):
    """Raised where a loop waits for its next step, when there will be none."""


class Steps:
    """A training loop that is left after each step: `step()` goes on to the next.

    loop(after_step): trains and calls after_step() once a step. It runs in a thread of its own, in turns with whoever calls
    `step`: never both at once.
    """

    def __init__(self, loop):
        self._loop, self._error, self._thread = loop, None, None
        self._go, self._rest = threading.Semaphore(0), threading.Semaphore(0)
        self._closed = False

    def step(self):
        """Go on to the end of the next step. Raises StopIteration when the loop has ended, and what it raised."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        elif not self._thread.is_alive():
            raise StopIteration
        self._go.release()
        self._rest.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def close(self):
        """End the loop where it is."""
        self._closed = True
        if self._thread is not None and self._thread.is_alive():
            self._go.release()
            self._thread.join()

    def _run(self):
        self._go.acquire()
        try:
            self._loop(self._after_step)
            self._error = StopIteration()
        except _Ended:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._rest.release()

    def _after_step(self):
        self._rest.release()
        self._go.acquire()
        if self._closed:
            raise _Ended


class _SteppedBoard(Board):
    """A board whose `log` hands over to whoever steps the training."""

    hand_over = staticmethod(lambda: None)

    def due(self):
        """Whether to measure before the coming step is logged: at even distances and at the last one. Steps decide it and not the clock, so
        that the same settings give the same figures."""
        coming = 1 if self.step is None else self.step + 2  # counted from 1
        return coming % max(1, self.total // MEASUREMENTS) == 0 or coming >= self.total

    def log(self, step, **values):
        super().log(step, **values)
        self.hand_over()


def live_run(title, train, below="", *, steps, unit="step", curves=("loss",), panels=0, levels=None, **settings):
    """A training as a lesson's own loop does it, live: its settings, start, pause, reset, and a board.

    train(board, **values) trains for `steps` steps and calls board.log once after each; before that, where board.due(), it may fill
    panels and measure. Where a setting decides how many steps there are, another `unit` is what board.log counts, such as "image".
    curves, panels, levels: the Board's. settings: name → widget; another value begins anew, and the curves of the last run
    stay behind as shadows. Returns a widget; its `training` has start(), pause(), reset().
    """
    board = _SteppedBoard(title, steps, curves, panels, levels, unit, Hosted)
    run = None

    def loop(after_step):
        board.hand_over = after_step
        train(board, **{name: widget.value for name, widget in settings.items()})

    def reset():
        nonlocal run
        if run is not None:
            run.close()
        board.clear()
        run = Steps(loop)

    def redraw():
        if board.step is None:
            return f"Not yet begun. {steps:,} {unit}s."
        return f"{unit.capitalize()} {board.step + 1:,} of {steps:,}: {board.latest()}."

    training = LiveTraining(board, reset, lambda: run.step(), redraw, limit=steps + 1)
    for widget in settings.values():
        widget.observe(lambda change: training.reset(), "value")
    panel = widgets.VBox([heading(title, below), *settings.values(), training])
    panel.training = training
    return panel
