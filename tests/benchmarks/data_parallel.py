"""What a step costs in ranks.

With the reference's pieces of `data_parallel`: a step of training (forward, backward, means of the gradients in place) by one process and by
each way of data parallelism, by net, size of buckets and world; an all-reduce as a star, as a ring and by torch, by size; threads and
processes on a function in Python. What is compared runs in turn within one run, on one thread a rank; medians of 15, by the clock.
"""

import statistics
import time

import torch
import torch.distributed as dist
from torch import nn

from autograder.answers import reference_namespace
from course_lib import parallel_speed
from course_lib.parallel_speed import BUCKETS, METHODS, SINGLE, TORCH
from course_lib.processes import launch, prepare
from tests.benchmarks.page import grid

MINUTES = {"cpu": 6, "gpu": None}
STEPS = 15
FEATURES, CLASSES, BATCH = 256, 10, 96
CAPS = {"64 KiB": 2**16, "1 MiB": 2**20, "25 MiB": 25 * 2**20}
SIZES = (2**10, 2**14, 2**18, 2**22, 2**24)
LOOPS = 500_000


def perceptron(width):
    widths = [FEATURES, width, width, width]
    layers = [layer for pair in zip(widths, widths[1:]) for layer in (nn.Linear(*pair), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


def convolutions():
    layers = [layer for a, b in ((1, 32), (32, 64), (64, 96)) for layer in (nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))]
    return nn.Sequential(nn.Unflatten(1, (1, 16, 16)), *layers, nn.Flatten(), nn.Linear(96 * 4, CLASSES))


NETS = {"convolutions": convolutions, "perceptron, small": lambda: perceptron(160), "perceptron, middle": lambda: perceptron(640),
        "perceptron, large": lambda: perceptron(2200)}


def wanted(scale):
    runs = [{"kind": "step", "net": net, "world": world, "cap": "25 MiB"} for world in (1, 2, 3) for net in NETS]
    runs += [{"kind": "step", "net": "perceptron, middle", "world": 2, "cap": cap} for cap in CAPS if cap != "25 MiB"]
    if scale != "gpu":
        runs += [{"kind": "all-reduce", "world": world} for world in (2, 3)]
        runs += [{"kind": "interpreter", "workers": workers} for workers in (1, 2, 3)]
    return [run | {"steps": STEPS} for run in runs]


def measure(scale):
    prepare()
    lesson = reference_namespace("data_parallel")

    def step(net, world, cap, steps):
        torch.manual_seed(0)
        made = NETS[net]()
        x, y = torch.randn(BATCH, FEATURES), torch.randint(CLASSES, (BATCH,))
        times = parallel_speed.step_seconds(lesson, made, x, y, world, CAPS[cap], steps, device="cuda" if scale == "gpu" else "cpu")
        return {"parameters": sum(p.numel() for p in made.parameters()), "ms": in_ms(parallel_speed.medians(times)),
                "quarters": {name: in_ms(dict(zip(("low", "high"), statistics.quantiles(each, n=4)[::2]))) for name, each in times.items()}}

    def all_reduce(world, steps):
        times = parallel_speed.all_reduce_seconds(lesson, SIZES, world, steps)
        return {"ms": {name: in_ms(each) for name, each in times.items()}}

    def interpreter(workers, steps):
        def count():
            return sum(number % 7 for number in range(LOOPS))

        def in_rank(rank, world):  # defined in here, it is sent as it stands: a rank that had to import this module would take seconds
            dist.barrier()
            began = time.perf_counter()
            count()
            return time.perf_counter() - began

        def threads():
            began = time.perf_counter()
            lesson["in_threads"]([count] * workers)
            return time.perf_counter() - began

        pairs = [(threads(), max(launch(in_rank, workers))) for _ in range(steps)]
        return {"ms": in_ms(dict(zip(("threads", "processes"), map(statistics.median, zip(*pairs)))))}

    kinds = {"step": step, "all-reduce": all_reduce, "interpreter": interpreter}
    return lambda kind, **run: kinds[kind](**run)


def in_ms(seconds):
    return {str(name): round(1000 * value, 3) for name, value in seconds.items()}


def tables(runs, scale):
    return "\n\n".join(table(own) for kind, table in {"step": steps_table, "all-reduce": sums_table, "interpreter": loops_table}.items()
                       if (own := [run for run in runs if run["kind"] == kind]))


def steps_table(runs):
    rows = []
    for run in runs:
        ms = run["ms"]
        rows.append((run["net"], f"{run['parameters']:,}", run["world"], run["cap"], *(f"{ms[name]:.3g}" for name in METHODS),
                     f"{ms[SINGLE] / ms[BUCKETS]:.3g}", f"{1000 * BATCH / ms[BUCKETS]:,.0f}", f"{ms[BUCKETS] / ms[TORCH]:.3g}"))
    return grid(("net", "parameters", "ranks", "bucket", *(f"{name}, ms" for name in METHODS), "speed-up with buckets", "images a second",
                 "buckets / torch's DDP"), rows)


def sums_table(runs):
    rows = []
    for run in runs:
        for size in map(str, SIZES):
            star, ring, torchs = (run["ms"][name][size] for name in ("star", "ring", "dist.all_reduce"))
            rows.append((f"{int(size) // 2**10:,} KiB", run["world"],
                         *(f"{value:.3g}" for value in (star, ring, torchs, star / ring, ring / torchs))))
    return grid(("all-reduce of", "ranks", *(f"{name}, ms" for name in runs[0]["ms"]), "star / ring", "ring / torch's"), rows)


def loops_table(runs):
    rows = []
    for run in runs:
        threads, processes = run["ms"]["threads"], run["ms"]["processes"]
        rows.append((run["workers"], *(f"{value:.3g}" for value in (threads, processes, threads / processes))))
    return grid(("counting in Python, at once", "in threads, ms", "in processes, ms", "threads / processes"), rows)
