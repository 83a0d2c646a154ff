"""A lesson's first line, `check = start("lesson")`: the progress at the top, and `check("name")` below it."""

import functools
import html
import importlib
import os
import sys
import threading
from pathlib import Path

import torch

from course_lib import card
from course_lib.bindings import Bindings
from course_lib.check import checks_of, judge_locally
from course_lib.progress import Progress
from course_lib.scale import Scale, current_scale
from course_lib.shell import has_kernel, ipython
from course_lib.verdict import NOT_GRADED, Verdict


class CheckFailed(Exception):
    """A check didn't pass. Shown as one line below the card, without a traceback: there is nothing to see in it."""

    def __init__(self, verdict):
        super().__init__(f"{verdict.check}: {verdict.verdict}")
        self.verdict = verdict

    def _render_traceback_(self):
        return [f"{self.verdict.check}: {self.verdict.verdict}. Change your code above, run it, and check again."]


def start(lesson):
    """Show the lesson's progress and return its `check` function.

    Raises Unknown for an unknown lesson.
    """
    checks_of(lesson)
    if current_scale() is not Scale.GPU:
        # The lessons' nets are small: one thread is as quick as two, and ten times quicker when another core is busy.
        torch.set_num_threads(1)
    # The first optimiser of a process imports torch._dynamo, 1.3 s; that can happen while the learner reads.
    if "torch._dynamo" not in sys.modules:
        threading.Thread(target=importlib.import_module, args=["torch._dynamo"], daemon=True).start()
    return Checker(lesson)


class Checker:
    """`check("name")` runs a check on the names of the notebook that calls it and shows the verdict.

    Raises CheckFailed when the check doesn't pass, so that whoever executes the notebook sees it too.
    """

    def __init__(self, lesson):
        self.lesson, self.progress, self._widget = lesson, Progress(lesson, kept=not _elsewhere(lesson)), None
        self._bindings = _watched(ipython()) if has_kernel() else Bindings()
        self._show_progress()

    def __call__(self, name):
        namespace = sys._getframe(1).f_globals
        self._bindings.note(namespace)
        try:
            verdict = judge_locally(self.lesson, name, namespace, progress=bar, made=self._bindings.is_newer)
        except KeyboardInterrupt:
            verdict = Verdict(name, NOT_GRADED, 0, checks_of(self.lesson)[name].points,
                              "Interrupted. Nothing is lost: run the check again when you like.")
        else:
            self.progress.record(verdict)
        if self._widget is not None:
            self._widget.value = _overview(self.progress)
        _show(card.as_html(verdict), card.as_text(verdict))
        if not verdict.passed:
            raise CheckFailed(verdict) from None

    def _show_progress(self):
        if not has_kernel():
            return
        import ipywidgets
        from IPython.display import display
        self._widget = ipywidgets.HTML(_overview(self.progress))
        display(self._widget)


@functools.lru_cache
def _watched(shell):
    """The Bindings of a notebook's kernel: a setup cell that is run again must not forget what was made before which change."""
    bindings = Bindings()
    shell.events.register("post_run_cell", lambda result: bindings.note(shell.user_ns))
    return bindings


def bar(iterable):
    """A progress bar with the remaining time, on stdout: stock nbgrader takes anything on stderr for a failure."""
    from tqdm.auto import tqdm
    return tqdm(iterable, desc="training", file=sys.stdout, leave=False, mininterval=0.3)


def _elsewhere(lesson):
    """The name of the notebook that runs here, where Jupyter's server has said it and it isn't the lesson's own; else None."""
    name = Path(os.environ.get("JPY_SESSION_NAME", "")).name if has_kernel() else ""  # a kernel's children inherit it
    return name if name.endswith(".ipynb") and name != f"{lesson}.ipynb" else None


def _show(as_html, as_text):
    if has_kernel():
        from IPython.display import display
        display({"text/html": as_html, "text/plain": as_text}, raw=True)
    else:
        print(as_text)


def _overview(progress):
    """The strip at the top of a lesson: a mark for each check, points so far, and what comes next."""
    earned, total = progress.points()
    passed, coming = set(progress.passed()), progress.next()
    marks = " ".join(
        f'<span style="white-space:nowrap;margin-right:.9em;{"color:#009E73;font-weight:600" if name in passed else ""}">'
        f'{"✓" if name in passed else "○"} {html.escape(name)}</span>' for name in checks_of(progress.lesson))
    next_up = f"Next: <code>{html.escape(coming)}</code>." if coming else "All checks pass."
    if name := _elsewhere(progress.lesson):
        next_up += f" This is <code>{html.escape(name)}</code>: what passes here isn't kept as your progress."
    return (f'<div style="line-height:1.6;padding:6px 12px;border:1px solid color-mix(in srgb,currentColor 25%,transparent);'
            f'border-radius:6px"><strong>{earned:g} of {card.points_text(total)}</strong> from checks. {next_up} '
            f'<span style="opacity:.75">This machine trains at the scale <code>{current_scale().value}</code>.</span>'
            f'<br>{marks}</div>')
