"""Runs that were broken on purpose, to be diagnosed from their curves. Don't read this file before you have made your guess."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import classify


@dataclass(frozen=True)
class Run:
    """losses: the training loss of each step. right: the share of test images classified right after each tenth of the steps,
    the images in the order of their classes, twenty at a time. shuffled: the last share again, the images in random order."""

    losses: list
    right: list
    shuffled: float


def classifiers(stack_of, block, train, test, steps, progress=iter):
    """{letter: Run} of five classifiers, four of them broken. stack_of(block, count) → a net of the learner's blocks.

    train, test: ImageSets. progress: wraps the iterable of the runs, to show how far they are.
    """
    order = test.labels.argsort(stable=True)
    shuffled = torch.randperm(len(order), generator=torch.Generator().manual_seed(0))

    def run(make, measured=lambda net: net.eval(), seen=lambda images: images):
        def share(order):
            with torch.no_grad():
                answers = torch.cat([measured(net)(seen(part)) for part in test.images[order].split(20)])
            net.train()
            return (answers.argmax(1) == test.labels[order]).double().mean().item()

        def after_step(step, loss):
            losses.append(loss)
            if (step + 1) % (steps // 10) == 0:
                state = {name: value.clone() for name, value in net.state_dict().items()}
                right.append(share(order))
                net.load_state_dict(state)  # looking must not change what is looked at

        torch.manual_seed(0)
        net, losses, right = make(), [], []
        classify.train_classifier(net, train.images, train.labels, F.cross_entropy, torch.optim.SGD(net.parameters(), 0.05, momentum=0.9),
                                  steps, after_step=after_step)
        return Run(losses, right, share(shuffled))

    whole = lambda: stack_of(block, 1)
    runs = {"A": lambda: run(lambda: nn.Sequential(*whole(), nn.Softmax(1))),
            "B": lambda: run(whole, seen=lambda images: (images - test.images.mean()) / test.images.std()),
            "C": lambda: run(lambda: stack_of(classify.PlainBlock, 6)),
            "D": lambda: run(whole, measured=lambda net: net.train()),
            "E": lambda: run(whole)}
    return {letter: runs[letter]() for letter in progress(list(runs))}
