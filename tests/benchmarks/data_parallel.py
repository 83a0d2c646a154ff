"""Data parallelism measured, with the reference's pieces: `python tests/benchmarks/data_parallel.py`; --quick for less than a minute.

A step of training (forward, backward, means of the gradients in place) by one process and by each way of data parallelism, by net, size of
buckets and world; an all-reduce as a star, as a ring and by torch, by size; threads and processes on a function in Python. What is
compared runs in turn within one run, on one thread a rank. Each run is a line of data_parallel.cpu.jsonl beside this file; what is
there isn't run again. --device cuda: steps on GPUs, kept in data_parallel.cuda.jsonl (written, not tried yet). --table prints what is
kept; --quick keeps nothing.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
from records import complete, kept
from torch import nn
from tqdm import tqdm

from autograder.answers import reference_namespace
from course_lib import parallel_speed
from course_lib.parallel_speed import BUCKETS, METHODS, SINGLE, TORCH
from course_lib.processes import launch, prepare

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


def wanted(quick, device):
    """The runs, each with all that tells it from the others."""
    steps, middle = 3 if quick else 15, "perceptron, middle"
    runs = [{"kind": "step", "net": net, "world": world, "cap": "25 MiB"} for world in ((2,) if quick else (1, 2, 3)) for net in NETS]
    runs += [{"kind": "step", "net": middle, "world": 2, "cap": cap} for cap in CAPS if cap != "25 MiB"]
    if device == "cpu":
        runs += [{"kind": "all-reduce", "world": world} for world in ((2,) if quick else (2, 3))]
        runs += [{"kind": "interpreter", "workers": workers} for workers in ((2,) if quick else (1, 2, 3))]
    return [run | {"steps": steps, "device": device} for run in runs]


def looped(rank, world, count):
    """Seconds in which a rank counts in Python, with the others."""
    dist.barrier()
    began = time.perf_counter()
    sum(number % 7 for number in range(count))
    return time.perf_counter() - began


def measure(lesson):
    def step(net, world, cap, steps, device):
        torch.manual_seed(0)
        made = NETS[net]()
        x, y = torch.randn(BATCH, FEATURES), torch.randint(CLASSES, (BATCH,))
        times = parallel_speed.step_seconds(lesson, made, x, y, world, CAPS[cap], steps, device=device)
        return {"parameters": sum(p.numel() for p in made.parameters()), "ms": in_ms(parallel_speed.medians(times)),
                "quarters": {name: in_ms(dict(zip(("low", "high"), statistics.quantiles(each, n=4)[::2]))) for name, each in times.items()}}

    def all_reduce(world, steps, device):
        times = parallel_speed.all_reduce_seconds(lesson, SIZES, world, steps)
        return {"ms": {name: in_ms(each) for name, each in times.items()}}

    def interpreter(workers, steps, device):
        def count():
            return sum(number % 7 for number in range(LOOPS))

        def threads():
            began = time.perf_counter()
            lesson["in_threads"]([count] * workers)
            return time.perf_counter() - began

        pairs = [(threads(), max(launch(looped, workers, LOOPS))) for _ in range(steps)]
        return {"ms": in_ms(dict(zip(("threads", "processes"), map(statistics.median, zip(*pairs)))))}

    kinds = {"step": step, "all-reduce": all_reduce, "interpreter": interpreter}
    return lambda kind, **run: kinds[kind](**run)


def in_ms(seconds):
    return {str(name): round(1000 * value, 3) for name, value in seconds.items()}


def row(*cells):
    print("| " + " | ".join(cell if isinstance(cell, str) else f"{cell:.3g}" for cell in cells) + " |")


def head(*cells):
    print()
    row(*cells)
    print("|" + "---|" * len(cells))


def tables(runs):
    """What was measured, as Markdown."""
    steps = [run for run in runs if run["kind"] == "step"]
    if steps:
        head("net", "parameters", "ranks", "bucket", *(f"{name}, ms" for name in METHODS), "speed-up with buckets", "images a second",
             "buckets / torch's DDP")
    for run in steps:
        ms = run["ms"]
        row(run["net"], f"{run['parameters']:,}", str(run["world"]), run["cap"], *(ms[name] for name in METHODS), ms[SINGLE] / ms[BUCKETS],
            f"{1000 * BATCH / ms[BUCKETS]:,.0f}", ms[BUCKETS] / ms[TORCH])
    sums = [run for run in runs if run["kind"] == "all-reduce"]
    if sums:
        head("all-reduce of", "ranks", *(f"{name}, ms" for name in sums[0]["ms"]), "star / ring", "ring / torch's")
    for run in sums:
        for size in map(str, SIZES):
            star, ring, torchs = (run["ms"][name][size] for name in ("star", "ring", "dist.all_reduce"))
            row(f"{int(size) // 2**10:,} KiB", str(run["world"]), star, ring, torchs, star / ring, ring / torchs)
    loops = [run for run in runs if run["kind"] == "interpreter"]
    if loops:
        head("counting in Python, at once", "in threads, ms", "in processes, ms", "threads / processes")
    for run in loops:
        row(str(run["workers"]), run["ms"]["threads"], run["ms"]["processes"], run["ms"]["threads"] / run["ms"]["processes"])


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = (Path(folder) if chosen.quick else Path(__file__).parent) / f"data_parallel.{chosen.device}.jsonl"
        runs = wanted(chosen.quick, chosen.device)
        if not chosen.table:
            prepare()
            complete(path, tqdm(runs, unit="run"), measure(reference_namespace("data_parallel")))
        tables([run for run in kept(path) if any(one.items() <= run.items() for one in runs)])
