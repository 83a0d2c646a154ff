"""When a rank computes and when it communicates, from real timestamps, without a change to what it runs.

    def step(rank, world):
        ...
        with timeline.record(net) as spans:
            loss_of(ddp(x)).backward()
            ddp.finish()
        return spans

    timeline.draw(launch(step, 2))
"""

import functools
import threading
import time
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import torch
import torch.distributed as dist
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

COLLECTIVES = ("all_reduce", "broadcast", "reduce", "all_gather")
LANES = ("compute", "communication")
TALL = 0.7  # of a lane


@contextmanager
def record(net):
    """Within it, note what the process does: a list of (what, label, begin, end) that fills, and is complete and sorted at its end.

    what: "forward" (of `net`, label its class), "backward" (of any tensor), "gradient" (the moment at which that of the parameter with
    this name is there: begin is end), "step" (of any optimiser, label its class), or one of COLLECTIVES with its bytes as label. Times
    are seconds of time.monotonic, which all processes of a machine share. A collective begins when it is called and ends when its result
    is there on this rank; the time in which it waits for the other ranks is part of it. A call of `dist.all_reduce` is seen, one of a name
    imported from there before isn't; torch's own DistributedDataParallel calls from C++, which isn't seen either. On a GPU forward and
    backward end when they have been queued.
    """
    spans, flying, begun, now = [], [], {}, time.monotonic
    noting = threading.Lock()

    def note(what, label, begin):
        with noting:
            spans.append((what, label, begin, now()))

    def collective(name, original):
        @functools.wraps(original)
        def call(*arguments, **options):
            tensors = arguments[0] if arguments else options.get("tensor")
            size = sum(each.numel() * each.element_size() for each in (tensors if isinstance(tensors, (list, tuple)) else [tensors]))
            begin = now()
            work = original(*arguments, **options)
            if work is None:  # it waited
                note(name, size, begin)
            else:
                flying.append(work.get_future().then(lambda _: note(name, size, begin)))
            return work
        return call

    def backward(original):
        @functools.wraps(original)
        def call(*arguments, **options):
            begin = now()
            original(*arguments, **options)
            note("backward", "", begin)
        return call

    def begins(what):
        return lambda *_: begun.__setitem__(what, now())

    def ends(what):
        return lambda of, *_: note(what, type(of).__name__, begun[what])

    with ExitStack() as until:
        for name in COLLECTIVES:
            until.enter_context(patch.object(dist, name, collective(name, getattr(dist, name))))
        until.enter_context(patch.object(torch.Tensor, "backward", backward(torch.Tensor.backward)))
        for handle in (net.register_forward_pre_hook(begins("forward")), net.register_forward_hook(ends("forward")),
                       register_optimizer_step_pre_hook(begins("step")), register_optimizer_step_post_hook(ends("step")),
                       *(parameter.register_post_accumulate_grad_hook(lambda _, name=name: note("gradient", name, now()))
                         for name, parameter in net.named_parameters() if parameter.requires_grad)):
            until.callback(handle.remove)
        yield spans
    for future in flying:
        future.wait()
    spans.sort(key=lambda span: span[2])


def hidden(spans):
    """The share of a rank's communication, in seconds, that goes on during its backward pass; 0 if there is none."""
    passes = [span[2:] for span in spans if span[0] == "backward"]
    sent = _union([span[2:] for span in spans if span[0] in COLLECTIVES])
    inside = sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in sent for since, until in passes)
    return inside / (sum(end - begin for begin, end in sent) or 1.0)


def quickest(runs):
    """Of several recordings on each rank, [rank][recording], the one that took the least: a busy machine only makes it longer."""
    def seconds(by_rank):
        return max(span[3] for spans in by_rank for span in spans) - min(span[2] for spans in by_rank for span in spans)

    return min(zip(*runs), key=seconds)


def _union(intervals):
    """The same stretches of time, each once: disjoint intervals in order."""
    joined = []
    for begin, end in sorted(intervals):
        if joined and begin <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([begin, end])
    return joined


def _rows(spans):
    """Span → the row, from 0, in which it doesn't lie on another."""
    rows, free = {}, []
    for span in sorted(spans, key=lambda span: span[2]):
        row = next((row for row, end in enumerate(free) if end <= span[2]), len(free))
        free[row:row + 1] = [span[3]]
        rows[span] = row
    return rows


def in_bytes(size):
    """Bytes for a reader: 4.1 kB, 1.2 MB."""
    return f"{size / 1e6:.3g} MB" if size >= 1e6 else f"{size / 1e3:.3g} kB" if size >= 1e3 else f"{size} B"


def describe(by_rank):
    """In words, two lines a rank: what it sent, for how long, and how much of that while its backward pass ran."""
    lines = []
    for rank, spans in enumerate(by_rank):
        sent = [span for span in spans if span[0] in COLLECTIVES]
        busy, passes = (1000 * sum(end - begin for begin, end in _union([span[2:] for span in these]))
                        for these in (sent, [span for span in spans if span[0] == "backward"]))
        lines += [f"rank {rank}: backward {passes:.1f} ms; {len(sent)} collectives of {in_bytes(sum(span[1] for span in sent))} in all",
                  f"        are under way for {busy:.1f} ms, {100 * hidden(spans):.0f} % of it during the backward pass"]
    return "\n".join(lines)


def draw(runs):
    """A figure with a lane for compute and one for communication of each rank.

    runs: a list by rank of what `record` gave, or a dict of such lists by title, drawn one below the other on one scale of time. Each
    begins at 0 when its first rank begins. What is wide enough has its bytes written on it; collectives that are under way at once
    share the lane's height. A tick above the compute lane: a gradient is there. In words: `describe`.
    """
    from matplotlib.patches import Patch
    from course_lib.style import BLACK, BLUE, GREEN, GREY, ORANGE, SKY, course_style, new_figure
    colours = {"forward": SKY, "backward": BLUE, "step": GREY, "broadcast": GREEN}
    colours |= {name: ORANGE for name in COLLECTIVES if name not in colours}
    runs = runs if isinstance(runs, dict) else {"": runs}
    ranks = [len(by_rank) for by_rank in runs.values()]
    begins = {title: min((span[2] for spans in by_rank for span in spans), default=0.0) for title, by_rank in runs.items()}
    longest = 1000 * max((span[3] - begins[title] for title, by_rank in runs.items() for spans in by_rank for span in spans), default=0.001)
    shown = {}
    with course_style():
        figure, axes = new_figure(9.6, 0.7 * len(runs) + 0.62 * sum(ranks) + 0.7, [[title] for title in runs], sharex=True, height_ratios=ranks)
        for (title, by_rank), panel in zip(runs.items(), axes.values()):
            for rank, spans in enumerate(by_rank):
                rows = _rows([span for span in spans if span[0] in COLLECTIVES])
                share = TALL / (1 + max(rows.values(), default=0))
                for span in spans:
                    what, label, begin, end = span
                    begin, width = 1000 * (begin - begins[title]), 1000 * (end - begin)
                    if what == "gradient":
                        panel.plot([begin, begin], [2 * rank - 0.46, 2 * rank - 0.36], color=BLACK, linewidth=0.9)
                        continue
                    lane, tall = (2 * rank + 1 - TALL / 2 + (rows[span] + 0.5) * share, share) if span in rows else (2 * rank, TALL)
                    panel.barh(lane, width, left=begin, height=tall, color=colours[what], edgecolor="white", linewidth=0.5)
                    shown[what] = Patch(color=colours[what], label=what)
                    if span in rows and width > 0.06 * longest and tall > 0.2:
                        panel.text(begin + width / 2, lane, in_bytes(label), ha="center", va="center", fontsize=8)
            panel.set(title=title, yticks=range(2 * len(by_rank)), ylim=(2 * len(by_rank) - 0.5, -0.6), xlim=(0, 1.01 * longest),
                      yticklabels=[f"rank {rank}: {lane}" for rank in range(len(by_rank)) for lane in LANES])
            panel.grid(axis="y", visible=False)
        list(axes.values())[-1].set_xlabel("milliseconds")
        figure.legend(handles=list(shown.values()), loc="outside lower center", ncols=len(shown) or 1)
    return figure
