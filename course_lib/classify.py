"""A training loop by hand for image classifiers, and what is measured with it. Nets, losses and rates are the learner's.

    net = nn.Sequential(Normalise(train.images), ResNet(...))
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    train_classifier(net, train.images, train.labels, F.cross_entropy, optimizer, steps=500)
    accuracy(net, test.images, test.labels)
"""

import contextlib
import csv

import torch
from torch import nn

from course_lib.data import batches


class Normalise(nn.Module):
    """(x − mean)/std for each channel, with the statistics of the images it is made from: the first layer of a net, so that
    no image gets past it. images: (n, c, h, w)."""

    def __init__(self, images):
        super().__init__()
        std, mean = torch.std_mean(images, dim=(0, 2, 3), keepdim=True)
        self.register_buffer("mean", mean[0])
        self.register_buffer("std", std[0])

    def forward(self, x):
        return (x - self.mean) / self.std


class PlainBlock(nn.Sequential):
    """A residual block without its shortcut: what remains is twice a 3×3 convolution, batch norm and ReLU."""

    expansion = 1

    def __init__(self, in_channels, channels, stride=1):
        layers = []
        for inputs, step in ((in_channels, stride), (channels, 1)):
            layers += [nn.Conv2d(inputs, channels, kernel_size=3, stride=step, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU()]
        super().__init__(*layers)


def train_classifier(net, images, labels, loss, optimizer, steps, batch=32, rate=None, augment=None, after_step=None,
                     mixed=False, generator=None):
    """Train `net` for `steps` steps, in train mode, on batches drawn without repetition within an epoch.

    images (n, c, h, w) and labels (n,) lie on the net's device. loss(logits, labels) → a scalar tensor. rate(step): the
    learning rate of each step, from 0, if it isn't to stay the optimiser's own. augment(images) → images of a batch.
    after_step(step, loss): called with the step's loss, a float.
    mixed: bfloat16 where it is safe. generator: for a repeatable order.
    """
    # Channels last in memory: the same numbers, and the order in which fast convolutions want them.
    net.train().to(memory_format=torch.channels_last)
    half = torch.autocast(images.device.type, torch.bfloat16) if mixed else contextlib.nullcontext()
    for step, chosen in zip(range(steps), batches(torch.arange(len(images)), batch, generator)):
        chosen = chosen.to(images.device)
        x, y = images[chosen], labels[chosen]
        if augment is not None:
            x = augment(x)
        if rate is not None:
            for group in optimizer.param_groups:
                group["lr"] = rate(step)
        with half:
            value = loss(net(x.to(memory_format=torch.channels_last)), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        if after_step is not None:
            after_step(step, value.item())


@torch.no_grad()
def logits(net, images, batch=500):
    """The net's answers (n, classes) for images (n, c, h, w), a part at a time, in the mode the net is in."""
    return torch.cat([net(part) for part in images.split(batch)])


def accuracy(net, images, labels):
    """The share of images (n, c, h, w) that the net, in eval mode, gives their own label (n,). Each of its modules is left in its mode."""
    with evaluating(net):
        return (logits(net, images).argmax(1) == labels).double().mean().item()


@contextlib.contextmanager
def evaluating(net):
    """Within it the net is in eval mode; afterwards each of its modules is in the mode that it was in."""
    modes = [(module, module.training) for module in net.modules()]
    net.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def random_crops(n, padding, generator=None):
    """What a batch of n needs for crops and flips: (top, left, flip), int64 in 0 … 2·padding and bool, (n,) each."""
    top, left = torch.randint(2 * padding + 1, (2, n), generator=generator)
    return top, left, torch.rand(n, generator=generator) < 0.5


def write_submission(path, labels, classes):
    """Write predicted labels (n,) as Kaggle's CIFAR-10 competition takes them: a line "id,label", then 1,frog and so on."""
    with open(path, "w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["id", "label"])
        rows.writerows((number, classes[label]) for number, label in enumerate(labels.tolist(), 1))
