"""The explorables of the lesson `cnn_families`. What it asks the learner to write, they are handed."""

import functools

import numpy as np
import torch

from course_lib import classify
from course_lib.explore import exercise, explorable, finite, slider, steps_slider
from course_lib.style import BLUE, GREEN, GREY, ORANGE, VERMILLION, course_style, new_figure

FLOW_WIDTH, FLOW_SIZE, FLOW_SEEDS, FLOW_DEPTH = 8, 8, 3, 24


@course_style()
def field_and_cost(receptive_field, conv_cost):
    """A stack of equal convolutions beside a single one with the same field: what a neuron sees, and what it costs.

    The learner's: receptive_field([(kernel, stride), …]) → int, and conv_cost(in, out, kernel, size, stride, padding, bias) →
    (parameters, multiply-adds). Controls: depth, kernel, width, stride (of the first layer), size of the image.
    """
    figure, axes = new_figure(9.0, 3.6, [["field", "parameters", "adds"]], width_ratios=[1.25, 1, 1])
    field_line, = axes["field"].step([], [], where="mid", color=BLUE)
    dot, = axes["field"].plot([], [], "o", color=BLUE, markersize=8)
    axes["field"].set(title="Side of the receptive field, in pixels", xlabel="after layer", xlim=(-0.5, 16.5), xticks=range(0, 17, 4),
                      ylim=(0, 6))
    axes["field"].yaxis.get_major_locator().set_params(integer=True)
    axes["field"].yaxis.set_major_formatter(lambda side, _: f"{side:.0f}".rjust(3, "\u2007"))  # the layout, made once, leaves room for three digits
    bars = {}
    for name, title in (("parameters", "Parameters"), ("adds", "Multiply-adds")):
        bars[name] = axes[name].bar(["the stack", "one layer,\nsame field"], [1, 1], color=[BLUE, ORANGE])
        axes[name].set(title=title, yscale="log")
        axes[name].grid(axis="x", visible=False)

    def redraw(depth, kernel, width, stride, size):
        layers = [(kernel, stride)] + [(kernel, 1)] * (depth - 1)
        with exercise("cost"):
            fields = [1] + [int(receptive_field(layers[:n])) for n in range(1, depth + 1)]
            side, costs = size, []
            for k, step in layers:
                costs.append(conv_cost(width, width, k, side, step, k // 2, False))
                side = (side + 2 * (k // 2) - k) // step + 1
            stack = np.array(costs, dtype=float).sum(0)
            single = np.array(conv_cost(width, width, fields[-1], size, stride, fields[-1] // 2, False), dtype=float)
        field_line.set_data(range(depth + 1), fields)
        dot.set_data([depth], [fields[-1]])
        axes["field"].set_ylim(0, 1.1 * fields[-1])
        for place, name in enumerate(("parameters", "adds")):
            for bar, value in zip(bars[name], (stack[place], single[place])):
                bar.set_height(value)
            axes[name].set_ylim(min(stack[place], single[place]) / 4, max(stack[place], single[place]) * 4)
        return (f"{depth} layers of {kernel}×{kernel} see {fields[-1]}×{fields[-1]} pixels, with {stack[0]:,.0f} parameters and "
                f"{stack[1]:,.0f} multiply-adds.\nA single {fields[-1]}×{fields[-1]} layer would have {single[0] / stack[0]:.3g} times the "
                f"parameters and {single[1] / stack[1]:.3g} times the multiply-adds.")

    return explorable("What does a neuron see, and what does it cost?", figure, redraw,
                      "A stack of equal convolutions, against one convolution that sees as much.",
                      depth=slider("layers", 1, 16, 2), kernel=steps_slider("kernel", [3, 5, 7], 3), width=slider("channels", 8, 512, 64, 8),
                      stride=slider("stride of the first", 1, 2, 1), size=slider("size of the image", 16, 224, 56, 8))


def nets_to_follow(make_block):
    """For each seed, what the input and FLOW_DEPTH blocks that have just begun make of it, tensors with their graph, and a direction for
    the loss. make_block(in_channels, channels) → a block that keeps the shape."""
    nets = []
    for seed in range(FLOW_SEEDS):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            blocks = [make_block(FLOW_WIDTH, FLOW_WIDTH) for _ in range(FLOW_DEPTH)]
            states = [torch.randn(8, FLOW_WIDTH, FLOW_SIZE, FLOW_SIZE, requires_grad=True)]
            direction = torch.randn(8, FLOW_WIDTH)
        for block in blocks:
            states.append(block(states[-1] * 1))
        nets.append((states, direction))
    return nets


def gradient_norms(nets, depth):
    """The norm of the loss's gradient at the input of each of the first `depth` blocks and at the end of the last, (depth + 1,): the
    geometric mean over the nets. A shallower net is the beginning of the deepest, so that only the way back is computed."""
    logs = []
    for states, direction in nets:
        loss = (states[depth].mean((2, 3)) * direction).sum()
        logs.append([gradient.norm().log().item() for gradient in torch.autograd.grad(loss, states[:depth + 1], retain_graph=True)])
    return np.exp(np.mean(logs, axis=0))


@course_style()
def gradient_flow(block):
    """How the gradient changes on its way back through a plain and through a residual net, both as they begin.

    block(in_channels, channels) is the learner's residual block; the plain one is the course's, the same without its shortcut.
    Control: depth, in blocks of two convolutions.
    """
    figure, axes = new_figure(8.6, 3.4, [["flow"]])
    lines = {}
    for label, colour, dash in (("plain", VERMILLION, "-"), ("residual: your block", GREEN, "--")):
        lines[label], = axes["flow"].plot([], [], dash, marker="o", markersize=4, color=colour, label=label)
    axes["flow"].axhline(1, color=GREY, linewidth=1, linestyle=":")
    axes["flow"].set(title="Norm of the gradient, relative to that at the end of the net", yscale="log", xlabel="after block (0: the net's input)",
                     xlim=(-0.5, FLOW_DEPTH + 0.5), ylim=(0.3, 10_000))
    axes["flow"].legend(loc="upper right")
    nets = functools.cache(nets_to_follow)
    norms = functools.cache(lambda make, depth: gradient_norms(nets(make), depth))

    def redraw(depth):
        with exercise("residual"):
            curves = [finite(norms(make, depth), depth + 1) for make in (classify.PlainBlock, block)]
        curves = [curve / curve[-1] for curve in curves]
        for line, curve in zip(lines.values(), curves):
            line.set_data(range(depth + 1), curve)
        low, high = axes["flow"].get_ylim()  # they only grow: new limits draw everything anew
        axes["flow"].set_ylim(min(low, 0.5 * min(curve.min() for curve in curves)), max(high, 2 * max(curve.max() for curve in curves)))
        return (f"{2 * depth} convolutions. From the end to the beginning the gradient's norm changes by a factor of {curves[0][0]:.3g} "
                f"in the plain net and of {curves[1][0]:.3g} in the residual one.")

    return explorable("The way back", figure, redraw, "The gradient of the loss at each block's input, in nets that have not been trained.",
                      depth=slider("blocks", 2, FLOW_DEPTH, 8))
