"""Something that learns while the notebook stays usable: start, pause, reset."""

import asyncio
import time

import ipywidgets as widgets

from course_lib.explore import Readout, button
from course_lib.picture import DRAWING, Picture, Stage

SLICE_S = 0.04  # longest time the kernel is busy between two looks at what else is asked of it
PAUSE_S = 0.005
DRAW_EVERY_S = 0.4
DRAW_SHARE = 0.15  # of the time at most, for drawing


class LiveTraining(widgets.VBox):
    """Buttons, a picture and a line of text around `step()`, which trains in slices on the kernel's own event loop.

    reset(): start anew. step(): train one step. redraw() → str: move the figure's artists, say what they show.
    limit: steps after which it pauses by itself, so that a forgotten one costs nothing.

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
        self._anew = button("Reset", self.reset, "Throw both nets away and begin anew")
        reset()
        redraw()
        self._stage = Stage(figure)
        self.draw()
        super().__init__([widgets.HBox([self._start, self._anew, self._state], layout={"align_items": "center"}),
                          self.picture, self.readout])

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

    def reset(self):
        """Begin anew: untrained nets, no steps done; running if it was."""
        self.steps_done = 0
        self._reset()
        if not self.is_running:
            self._start.description = "Start"
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
            except Exception as error:  # the learner's own step: show what it said, keep the notebook alive
                self.pause(f"Stopped at step {self.steps_done}: {type(error).__name__}: {error}")
                return
            if self.steps_done >= self.limit:
                self.pause(f"Done: {self.limit} steps. Reset to begin anew.")
                return
            if time.perf_counter() >= draw_again:
                cost = self.draw()
                draw_again = time.perf_counter() + max(DRAW_EVERY_S, cost * (1 - DRAW_SHARE) / DRAW_SHARE)
            await asyncio.sleep(PAUSE_S)
