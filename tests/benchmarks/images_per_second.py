"""The course's training loop beside d2l's.

Images a second of processor time: the same net (ResNet with one block in each of three stages, 16 channels), the same digits at 28×28,
batches of 32, SGD, one thread, in turns in one process, so that both meet the same machine; medians of five. d2l's plots are switched off,
and its validation is left out.
"""

import copy
import statistics
import time

import torch
from torch.nn import functional as F

from autograder.answers import reference_namespace
from course_lib import classify
from course_lib.data import load_images
from tests.benchmarks.page import grid

MINUTES = {"cpu": 1}
BATCH, RATE = 32, 0.05
LOOPS = {"ours": "`course_lib.classify`", "d2l's": "`d2l.Trainer`"}


def wanted(scale):
    return [{"images": 960, "rounds": 5}]


def trainer(net, data):
    """d2l's Trainer on a copy of `net` and shuffled `data`, to be called."""
    from d2l import torch as d2l

    class Digits(d2l.DataModule):
        """The training digits behind d2l's own loader."""

        def __init__(self):
            super().__init__()
            self.batch_size = BATCH

        def train_dataloader(self):
            return self.get_tensorloader((data.images, data.labels), train=True)

        def val_dataloader(self):
            return None

    class Wrapped(d2l.Classifier):
        """A net in d2l's clothes."""

        def __init__(self):
            super().__init__()
            self.net, self.lr = copy.deepcopy(net), RATE

        def plot(self, key, value, train):
            """Draws nothing."""

    return lambda: d2l.Trainer(max_epochs=1).fit(Wrapped(), Digits())


def measure(scale):
    lesson = reference_namespace("cnn_families")

    def figures(images, rounds):
        data = load_images("digits", limit=images)
        net = lesson["ResNet"](lesson["BasicBlock"], (1, 1, 1), 10, 1, 16, True)

        def ours():
            mine = copy.deepcopy(net)
            optimizer = torch.optim.SGD(mine.parameters(), RATE)
            classify.train_classifier(mine, data.images, data.labels, F.cross_entropy, optimizer, images // BATCH, BATCH)

        loops, times = dict(zip(LOOPS, (ours, trainer(net, data)))), {name: [] for name in LOOPS}
        for _ in range(rounds + 1):
            for name, loop in loops.items():
                began = time.process_time()
                loop()
                times[name].append(time.process_time() - began)
        return {name: round(images / statistics.median(taken[1:]), 1) for name, taken in times.items()}  # the first round warms up

    return figures


def tables(runs, scale):
    run, = runs
    return grid(("loop", "images a second"), [(name, f"{run[key]:.0f}") for key, name in LOOPS.items()])
