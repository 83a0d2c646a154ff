"""Images per second of the course's training loop beside d2l's Trainer: `python tests/benchmarks/images_per_second.py`.

The same net (ResNet with one block in each of three stages, 16 channels), the same digits at 28×28, batches of 32, SGD, one thread,
in turns in one process, so that both meet the same machine. d2l's plots are switched off; its validation is left out. Seconds
are the processor's. Prints medians; asserts nothing.
"""

import copy
import statistics
import time

import torch
from d2l import torch as d2l
from torch.nn import functional as F

from autograder.answers import reference_namespace
from course_lib import classify
from course_lib.data import load_images

ROUNDS, IMAGES, BATCH, RATE = 5, 960, 32, 0.05


class Digits(d2l.DataModule):
    """The training digits behind d2l's own loader, shuffled."""

    def __init__(self, data):
        super().__init__()
        self.data, self.batch_size = data, BATCH

    def train_dataloader(self):
        return self.get_tensorloader((self.data.images, self.data.labels), train=True)

    def val_dataloader(self):
        return None


class Wrapped(d2l.Classifier):
    """A net in d2l's clothes."""

    def __init__(self, net):
        super().__init__()
        self.net, self.lr = net, RATE

    def plot(self, key, value, train):
        """Draws nothing."""


def seconds(run):
    began = time.process_time()
    run()
    return time.process_time() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    data, lesson = load_images("digits", limit=IMAGES), reference_namespace("cnn_families")
    net = lesson["ResNet"](lesson["BasicBlock"], (1, 1, 1), 10, 1, 16, True)

    def ours():
        mine = copy.deepcopy(net)
        classify.train_classifier(mine, data.images, data.labels, F.cross_entropy, torch.optim.SGD(mine.parameters(), RATE), IMAGES // BATCH, BATCH)

    def theirs():
        d2l.Trainer(max_epochs=1).fit(Wrapped(copy.deepcopy(net)), Digits(data))

    times = {"course_lib.classify": [], "d2l.Trainer": []}
    for turn in range(ROUNDS + 1):
        for name, run in zip(times, (ours, theirs)):
            taken = seconds(run)
            if turn:  # the first round warms up
                times[name].append(taken)
    for name, taken in times.items():
        print(f"{name:<22}{IMAGES / statistics.median(taken):6.0f} images/s  (median of {ROUNDS})")
