"""What each rung of the ladder in `cnn_families` is worth, over seeds: `python tests/benchmarks/ladder.py --seeds 3`.

With the reference's pieces, a narrow ResNet (one block in each of three stages, 16 channels) and a part of CIFAR-10, on one
thread. Each run is a line of ladder.cpu.jsonl beside this file with all that it depends on; what is there isn't run again. With
--scale gpu: ResNet-18 at full width on all of CIFAR-10, kept in ladder.gpu.jsonl. --table prints what is kept.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from records import complete, kept

from autograder.answers import reference_namespace
from course_lib import ladder
from course_lib.data import ImageSet, load_images

SIZES = {"cpu": {"images": 6_400, "tests": 2_000, "steps": 600, "net": "ResNet (1, 1, 1), width 16"},
         "gpu": {"images": 50_000, "tests": 10_000, "steps": 50_000, "net": "ResNet-18"}}


def make_net(lesson, scale):
    return lesson["resnet"](18, 10, 3, 64, True, True) if scale == "gpu" else lesson["ResNet"](
        lesson["BasicBlock"], (1, 1, 1), 10, 3, 16, True, True)


def on(device, data):
    return ImageSet(data.images.to(device), data.labels.to(device), data.name, data.split, data.classes, data.source)


def measure(scale, seeds, path):
    lesson, size, recipes = reference_namespace("cnn_families"), SIZES[scale], ladder.rungs()
    device = "cuda" if scale == "gpu" else "cpu"
    train, test = (on(device, load_images("cifar10", split, limit=size[key])) for split, key in (("train", "images"), ("test", "tests")))

    def run(rung, seed, size):
        torch.manual_seed(seed)
        net, began = make_net(lesson, scale), time.process_time()
        figures = ladder.climb(recipes[rung], lesson, net, train, test, size["steps"], seed, mixed=scale == "gpu")
        return {"seconds": round(time.process_time() - began, 1), **figures}

    complete(path, [{"rung": rung, "seed": seed, "size": size} for seed in range(seeds) for rung in recipes], run)


def table(scale, path):
    runs = [run for run in kept(path) if run["size"] == SIZES[scale]]
    print("| rung | seeds | accuracy | average of the weights | and flips | seconds |\n|---|---|---|---|---|---|")
    for name in ladder.rungs():
        these = [run for run in runs if run["rung"] == name]
        if these:
            spread = lambda key: f"{statistics.mean(run[key] for run in these):.3f} ({min(run[key] for run in these):.3f} to " \
                                 f"{max(run[key] for run in these):.3f})"
            print(f"| {name} | {len(these)} | {spread('net')} | {spread('average')} | {spread('flips')} | "
                  f"{statistics.median(run['seconds'] for run in these):.0f} |")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=3)
    options.add_argument("--scale", choices=SIZES, default="cpu")
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    record = Path(__file__).with_name(f"ladder.{chosen.scale}.jsonl")
    if not chosen.table:
        torch.set_num_threads(1)
        measure(chosen.scale, chosen.seeds, record)
    table(chosen.scale, record)
