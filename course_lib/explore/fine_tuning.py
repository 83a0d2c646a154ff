"""The explorable of the lesson `fine_tuning`. What it asks the learner to write, it is handed."""

import copy
import time

import torch
import torch.nn.functional as F

from course_lib.explore import exercise, explorable, tick
from course_lib.style import BLUE, GREEN, GREY, ORANGE, course_style, new_figure

BATCH, REPEATS = 32, 3


def training_cost(net, images, labels, freeze, make_optimizer, frozen):
    """What a step of training costs when these stages (names) are frozen: a dict with

    "trained": parameters that get a gradient, by stage. "flow": the norm of the gradient of each stage's parameters, 0 where there
    is none. "gradients" and "state": bytes that gradients and optimiser hold after a step. "forward" and "backward": seconds,
    the quickest of three. net: of stages; a copy is trained.
    """
    net = copy.deepcopy(net).train()
    stages = dict(net.named_children())
    with exercise("freezing"):
        for name in frozen:
            freeze(stages[name])
        trained = {name: sum(p.numel() for p in stage.parameters() if p.requires_grad) for name, stage in stages.items()}
        optimizer = make_optimizer(net, 0.01) if any(trained.values()) else None
    forward, backward = [], []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        loss = F.cross_entropy(net(images), labels)
        forward.append(time.perf_counter() - begun)
        if optimizer is not None:
            optimizer.zero_grad()
            begun = time.perf_counter()
            loss.backward()
            backward.append(time.perf_counter() - begun)
            optimizer.step()
    size = lambda tensors: sum(each.numel() * each.element_size() for each in tensors)
    gradients = {name: [p.grad for p in stage.parameters() if p.grad is not None] for name, stage in stages.items()}
    held = [value for state in (optimizer.state.values() if optimizer else ()) for value in state.values() if isinstance(value, torch.Tensor)]
    return {"trained": trained, "flow": {name: sum(g.square().sum().item() for g in each) ** 0.5 for name, each in gradients.items()},
            "gradients": sum(map(size, gradients.values())), "state": size(held), "forward": min(forward), "backward": min(backward, default=0.0)}


@course_style()
def frozen_stages(freeze, make_optimizer, net):
    """A net whose stages are frozen by click: what trains, where the gradient arrives, memory, and time a step.

    The learner's: freeze(module), and make_optimizer(net, rate) → an optimiser. net: of named stages, for images of 14×14
    pixels; it stays as it is. Controls: a box for each stage, ticked where it trains.
    """
    random = torch.Generator().manual_seed(0)
    images = torch.rand(BATCH, 1, 14, 14, generator=random)
    with torch.no_grad():
        classes = copy.deepcopy(net).eval()(images[:1]).shape[1]
    labels = torch.randint(classes, (len(images),), generator=random)
    names = [name for name, _ in net.named_children()]
    whole = sum(p.numel() for p in net.parameters())
    figure, axes = new_figure(9.6, 3.0, [["flow", "memory", "time"]], width_ratios=[1.5, 1, 1])
    bars = {"flow": axes["flow"].bar(names, [1.0] * len(names), color=BLUE),
            "memory": axes["memory"].bar(["weights", "gradients", "momentum"], [1.0] * 3, color=[GREY, ORANGE, GREEN]),
            "time": axes["time"].bar(["forward", "backward"], [1.0] * 2, color=[GREY, ORANGE])}
    axes["flow"].set(title="Gradient that arrives at the weights", ylim=(0, 1.05), ylabel="norm, the largest is 1")
    axes["memory"].set(title="Memory, kB", ylim=(0, 1.1 * whole * 4 / 1000))
    axes["time"].set(title="A step of 32 images, ms")
    marks = [axes["flow"].text(number, 0.02, "", ha="center", va="bottom", rotation=90, color=GREY, fontsize=8) for number in range(len(names))]
    slowest = [0.0]

    def redraw(**trains):
        frozen = [name for name in names if not trains[name]]
        cost = training_cost(net, images, labels, freeze, make_optimizer, frozen)
        largest = max(cost["flow"].values()) or 1.0
        first = next((number for number, name in enumerate(names) if trains[name]), len(names))
        for number, (name, bar) in enumerate(zip(names, bars["flow"])):
            bar.set_height(cost["flow"][name] / largest)
            marks[number].set_text("" if trains[name] else "passes through" if number > first else "never arrives")
        for kind, values in (("memory", (whole * 4, cost["gradients"], cost["state"])), ("time", (cost["forward"] * 1e6, cost["backward"] * 1e6))):
            for bar, value in zip(bars[kind], values):
                bar.set_height(value / 1000)
        slowest[0] = max(slowest[0], cost["forward"], cost["backward"])
        axes["time"].set_ylim(0, 1.1 * slowest[0] * 1000)
        count = sum(cost["trained"].values())
        passed = [name for number, name in enumerate(names) if number > first and not trains[name]]
        note = (f"\nThe gradient has to pass through {', '.join(passed)} all the same." if passed else
                "\nNothing trains." if not count else "")
        return (f"{count:,} of {whole:,} parameters train ({100 * count / whole:.0f} %). Gradients hold {cost['gradients'] / 1000:,.0f} kB, momentum "
                f"{cost['state'] / 1000:,.0f} kB. A step takes {1000 * (cost['forward'] + cost['backward']):.1f} ms, {1000 * cost['backward']:.1f} "
                f"of them on the way back.{note}")

    return explorable("What does freezing save?", figure, redraw, "Take a stage's tick away, and it is frozen by your own function.",
                      **{name: tick(name) for name in names})
