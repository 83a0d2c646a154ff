"""What each rung of the ladder in `cnn_families` is worth.

A narrow ResNet (one block in each of three stages, 16 channels) on 6,400 images of CIFAR-10 (lossy JPEG copies, found through `COURSE_DATA`),
600 steps of 32, one thread: shares of 2,000 test images right, mean of the seeds (least to greatest), and seconds of processor time. On a
GPU: ResNet-18 at full width on all of CIFAR-10.
"""

import statistics
import time

import torch

from autograder.answers import reference_namespace
from course_lib import ladder
from course_lib.data import ImageSet, load_images
from tests.benchmarks.page import grid, spread

MINUTES = {"cpu": 17, "gpu": None}
SEEDS = 3
SIZES = {"cpu": {"images": 6_400, "tests": 2_000, "steps": 600, "net": "ResNet (1, 1, 1), width 16"},
         "gpu": {"images": 50_000, "tests": 10_000, "steps": 50_000, "net": "ResNet-18"}}


def make_net(lesson, scale):
    return lesson["resnet"](18, 10, 3, 64, True, True) if scale == "gpu" else lesson["ResNet"](
        lesson["BasicBlock"], (1, 1, 1), 10, 3, 16, True, True)


def on(device, data):
    return ImageSet(data.images.to(device), data.labels.to(device), data.name, data.split, data.classes, data.source)


def wanted(scale):
    return [{"rung": rung, "seed": seed, "size": SIZES[scale]} for rung in ladder.rungs() for seed in range(SEEDS)]


def measure(scale):
    lesson, size, recipes = reference_namespace("cnn_families"), SIZES[scale], ladder.rungs()
    device = "cuda" if scale == "gpu" else "cpu"
    train, test = (on(device, load_images("cifar10", split, limit=size[key])) for split, key in (("train", "images"), ("test", "tests")))

    def figures(rung, seed, size):
        torch.manual_seed(seed)
        net, began = make_net(lesson, scale), time.process_time()
        reached = ladder.climb(recipes[rung], lesson, net, train, test, size["steps"], seed, mixed=scale == "gpu")
        return {"seconds": round(time.process_time() - began, 1), **reached}

    return figures


def tables(runs, scale):
    rows = []
    for name in dict.fromkeys(run["rung"] for run in runs):
        own = [run for run in runs if run["rung"] == name]
        rows.append((name, len(own), *(spread([run[key] for run in own]) for key in ("net", "average", "flips")),
                     f"{statistics.median(run['seconds'] for run in own):.0f}"))
    return grid(("rung", "seeds", "accuracy", "average of the weights", "and flips", "seconds"), rows)
