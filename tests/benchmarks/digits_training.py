"""What `cnn_families`' check `training` sees on digits.

Digits take the place of Fashion-MNIST where that can't be had. The reference, another right answer, a linear classifier, and each wrong answer
whose training is measured: shares right of all test digits. The check's bounds on digits come from these.
"""

import statistics

import torch

from autograder import answers, calibrate
from course_lib import classify
from course_lib.check import checks_of
from course_lib.data import load_images
from tests.benchmarks.page import grid

MINUTES = {"smoke": 10, "cpu": 20}
LOOKS, SEEDS = {"smoke": 9_600, "cpu": 38_400}, {"smoke": 20, "cpu": 10}

MEASURED = ("a linear classifier", "reference", "pre-activation and AdamW, no average", "softmax before the loss",
            "the book's rate on the mean of the losses")


def wanted(scale):
    # a linear classifier costs next to nothing
    return [{"answer": name, "seed": seed} for name in MEASURED for seed in range(20 if name == MEASURED[0] else SEEDS[scale])]


def measure(scale):
    known = calibrate.candidates(checks_of("cnn_families")["training"])
    train, test = (load_images("digits", split, size=14) for split in ("train", "test"))

    def figures(answer, seed):
        lesson = known[answer].make_namespace() if known[answer] else answers.reference_namespace("cnn_families")
        torch.manual_seed(seed)
        net = lesson.get("train_mine")(train.images, train.labels, 10, LOOKS[scale])
        return {"accuracy": classify.accuracy(net, test.images, test.labels)}

    return figures


def tables(runs, scale):
    rows = []
    for name in dict.fromkeys(run["answer"] for run in runs):
        values = [run["accuracy"] for run in runs if run["answer"] == name]
        rows.append((name, len(values), *(f"{figure(values):.3f}" for figure in (min, statistics.median, max))))
    return grid(("answer", "seeds", "least", "median", "greatest"), rows)
