"""The explorable of the lesson `data_parallel`. What it asks the learner to write, it is handed."""

from course_lib import parallel_cost
from course_lib.board import rounded_up
from course_lib.explore import choice, exercise, explorable, slider, steps_slider, tick
from course_lib.parallel_cost import LINKS, Step
from course_lib.style import BLUE, GREEN, GREY, ORANGE, course_style, new_figure

DEVICES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
BANDWIDTHS = (0.1, 0.2, 0.5, 1, 1.25, 2, 5, 10, 20, 50, 100, 200, 300, 450)  # GB/s
LATENCIES = (1, 2, 3.4, 5.7, 10, 20, 50, 100, 200, 500, 1000)  # µs
PARAMETERS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 25.6, 50, 110, 340)  # millions
BUCKETS = (0.064, 0.25, 1, 5, 25, 100, 1000)  # MB
MILLISECONDS = (0.5, 1, 2, 5, 10, 20, 35, 50, 70, 100, 200, 500, 1000)
TENSORS = 160  # parameters, equally large: ResNet-50 has 161
COLOURS = {"DataParallel": ORANGE, "DDP, all-reduce for each parameter": BLUE, "DDP, buckets": GREEN}


def predictions(step, link, devices, buckets, overlap=True):
    """Name → seconds of a step, for each way in COLOURS."""
    seconds = (parallel_cost.data_parallel(step, link, devices), parallel_cost.naive_ddp(step, link, devices),
               parallel_cost.bucketed_ddp(step, link, devices, buckets, overlap))
    return dict(zip(COLOURS, seconds))


def speed_ups(step, link, devices, buckets, overlap=True, split=False):
    """Name → how many times as many examples a second as one device takes. split: the devices share one batch; else each has one as
    large."""
    each = step.part(devices) if split else step
    return {name: step.compute * (1 if split else devices) / seconds
            for name, seconds in predictions(each, link, devices, buckets, overlap).items()}


def _ms(seconds):
    """Milliseconds in words, to three digits: "0.45 ms", "5,830 ms"."""
    rounded = float(f"{1000 * seconds:.3g}")
    return f"{rounded:,.0f} ms" if rounded >= 1000 else f"{rounded:g} ms"


@course_style()
def where_it_pays(assign_buckets, links=None):
    """Step time and speed-up by the number of devices, as the formulas of course_lib.parallel_cost predict them.

    The learner's: assign_buckets(sizes, cap) → lists of positions. links: further ones by name, as {"this machine": Link(…)}; they come first.
    Controls: link, bandwidth, latency, devices, parameters, forward, backward, interpreter, bucket, overlap, split.
    """
    links = (links or {}) | LINKS
    among = lambda values, further, unit: sorted({*values, *(float(f"{further(link) / unit:.3g}") for link in links.values())})
    bandwidths, latencies = among(BANDWIDTHS, lambda link: link.bandwidth, 1e9), among(LATENCIES, lambda link: link.latency, 1e-6)
    placed = {name: (float(f"{link.bandwidth / 1e9:.3g}"), float(f"{link.latency / 1e-6:.3g}")) for name, link in links.items()}
    first = next(iter(links))
    figure, axes = new_figure(9.6, 3.7, [["speed", "time"]], width_ratios=[1.5, 1])
    axes["speed"].plot(DEVICES, DEVICES, ":", color=GREY, linewidth=1.2, label="ideal")
    lines = {name: axes["speed"].plot(DEVICES, DEVICES, "-o", color=colour, markersize=3.5, label=name)[0] for name, colour in COLOURS.items()}
    chosen = axes["speed"].axvline(8, color=GREY, linewidth=1)
    axes["speed"].set(title="Times as many examples a second", xlabel="devices", xscale="log", yscale="log", xlim=(0.93, 280), ylim=(0.1, 300))
    for axis, marks in ((axes["speed"].xaxis, (1, 2, 4, 8, 16, 32, 64, 128, 256)), (axes["speed"].yaxis, (0.1, 1, 10, 100))):
        axis.set_ticks(marks, [f"{mark:g}" for mark in marks])
        axis.set_ticks([], minor=True)
    axes["speed"].legend(loc="upper left", fontsize=8.5)
    heights = range(len(COLOURS))
    computing = axes["time"].barh(heights, [1.0] * 3, color=list(COLOURS.values()), height=0.6)
    waiting = axes["time"].barh(heights, [1.0] * 3, left=[1.0] * 3, color="white", edgecolor=list(COLOURS.values()), hatch="////", height=0.6)
    axes["time"].set(title="A step, ms (hatched: it waits)", yticks=[], ylim=(2.6, -0.7), xlim=(0, 10_000))  # wide labels for the layout
    axes["time"].grid(axis="y", visible=False)
    axes["time"].locator_params(axis="x", nbins=4)

    def redraw(link, bandwidth, latency, devices, parameters, forward, backward, interpreter, bucket, overlap, split):
        over = parallel_cost.Link(bandwidth * 1e9, latency * 1e-6, links[link].call)
        step = Step(forward / 1000, backward / 1000, (parameters * 4e6 / TENSORS,) * TENSORS, forward / 1000 * interpreter)
        with exercise("buckets"):
            buckets = assign_buckets(list(step.sizes), bucket * 1e6)
            assert sorted(position for each in buckets for position in each) == list(range(TENSORS)), "each parameter is in one bucket"
        curves = {number: speed_ups(step, over, number, buckets, overlap, split) for number in {*DEVICES, devices}}
        for name, line in lines.items():
            line.set_ydata([curves[number][name] for number in DEVICES])
        chosen.set_xdata([devices, devices])
        part = step.part(devices) if split else step
        seconds = predictions(part, over, devices, buckets, overlap)
        for bar, rest, taken in zip(computing, waiting, seconds.values()):
            bar.set_width(1000 * part.compute)
            rest.set_x(1000 * part.compute)
            rest.set_width(1000 * (taken - part.compute))
        axes["time"].set_xlim(0, rounded_up(1000 * max(seconds.values())))
        best = max(DEVICES, key=lambda number: curves[number]["DataParallel"])
        ceiling = parallel_cost.ceiling_of_data_parallel(step, over)
        if best == 1:
            verdict = "DataParallel never pays here: one device alone is quicker."
        elif best < DEVICES[-1]:
            verdict = f"DataParallel stops paying at {best} devices, where it is {curves[best]['DataParallel']:.2g} times as quick as one."
        else:
            verdict = f"DataParallel still gains at {best} devices, but never gets beyond {ceiling:.3g} times one."
        return (f"{devices} devices: " + ", ".join(f"{name} ×{curves[devices][name]:.3g} ({_ms(taken)})" for name, taken in seconds.items())
                + f".\n{verdict}\nA step computes for {_ms(part.compute)}; to send the {step.size / 1e6:.3g} MB of parameters once takes "
                f"{_ms(parallel_cost.star(step.sizes, over, 2))}.")

    controls = dict(
        link=choice("set the link to", links, first), bandwidth=steps_slider("bandwidth, GB/s", bandwidths, placed[first][0]),
        latency=steps_slider("latency, µs a message", latencies, placed[first][1]), devices=slider("devices", 1, 256, 8),
        parameters=steps_slider("parameters, millions", PARAMETERS, 25.6), forward=steps_slider("forward, ms", MILLISECONDS, 35),
        backward=steps_slider("backward, ms", MILLISECONDS, 70), interpreter=slider("interpreter's share of forward", 0.0, 1.0, 0.2, 0.05),
        bucket=steps_slider("bucket, MB", BUCKETS, 25), overlap=tick("buckets leave during the backward pass"),
        split=tick("the devices share one batch (else each has one as large)", False))

    def picked(change):
        controls["bandwidth"].value, controls["latency"].value = placed[change["new"]]

    controls["link"].observe(picked, "value")
    return explorable("Where does it pay?", figure, redraw,
                      "Predictions of a few formulas (course_lib/parallel_cost.py), with equal devices and nothing else going on.", **controls)
