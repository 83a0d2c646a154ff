"""The ladder: recipes for training one net, from the loss, rate and schedule that a book prints to a good one, a change a rung.

What a rung is made of (the loss, the schedule, the augmentation, the average) is the learner's own: `pieces` holds those
functions by name, as `globals()` of a notebook does.
"""

import copy
import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from course_lib import classify

BATCH = 32
MOMENTUM, WEIGHT_DECAY, AVERAGE_DECAY = 0.9, 5e-4, 0.99


@dataclass(frozen=True)
class Recipe:
    """How to train. As it stands: *Dive into Deep Learning*, "Image Classification (CIFAR-10) on Kaggle", without its
    normalisation and its augmentation, so that these can be measured too.

    summed: the batch's losses are summed rather than averaged. rate: at the start, or at the peak. warm: up over an eighth of
    the steps and down by a cosine, rather than ×0.9 after each fifth. crop: out of an image padded by an eighth of its side,
    rounded down: by 4 pixels of 32, by 1 of 14. cutout: of a square twice as wide: 8×8 of 32×32, 2×2 of 14×14.
    """

    summed: bool = True
    rate: float = 2e-4
    normalise: bool = False
    flip: bool = False
    crop: bool = False
    cutout: bool = False
    warm: bool = False
    spare_norms: bool = False
    smoothing: float = 0.0


# Name → what it changes of the rung before.
CHANGES = {
    "the book's loss, rate and schedule": {},
    "mean of the losses, rate 0.05": {"summed": False, "rate": 0.05},
    "warm-up and cosine": {"warm": True},
    "normalised images": {"normalise": True},
    "flips": {"flip": True},
    "crops": {"crop": True},
    "cutout": {"cutout": True},
    "no decay of norms and biases": {"spare_norms": True},
    "label smoothing 0.1": {"smoothing": 0.1},
}


def rungs():
    """{name: Recipe}, each with the changes of those before it."""
    made, recipe = {}, Recipe()
    for name, changes in CHANGES.items():
        made[name] = recipe = replace(recipe, **changes)
    return made


def climb(recipe, pieces, net, train, test, steps, seed, after_step=None, mixed=False):
    """Train `net` by `recipe` for `steps` steps of 32 images, and measure it on `test`.

    train, test: ImageSets with values in [0, 1], on the net's device. after_step(step, loss) is called after each step.
    Returns the shares of test images that are classified right: {"net": by the net, "average": by the moving average of its
    weights, "flips": by that average over each image and its mirror image}. Neither of the latter two changes the training.
    """
    torch.manual_seed(seed)
    normalise = classify.Normalise(train.images) if recipe.normalise else nn.Identity()
    net = nn.Sequential(normalise, net).to(train.images.device)
    net.eval()(train.images[:2])  # lazy layers, if there are any, learn their sizes
    average = copy.deepcopy(net)
    groups = pieces["parameter_groups"](net, WEIGHT_DECAY) if recipe.spare_norms else [
        {"params": list(net.parameters()), "weight_decay": WEIGHT_DECAY}]
    optimizer = torch.optim.SGD(groups, recipe.rate, MOMENTUM)

    def loss(logits, labels):
        mean = pieces["smoothed_cross_entropy"](logits, labels, recipe.smoothing)
        return mean * len(labels) if recipe.summed else mean

    def rate(step):
        if recipe.warm:
            return pieces["learning_rate"](step, steps, recipe.rate, max(1, steps // 8))
        return recipe.rate * 0.9 ** math.floor(5 * step / steps)

    def augment(x):
        n, _, height, width = x.shape
        padding = height // 8 * recipe.crop
        top, left, flip = (each.to(x.device) for each in classify.random_crops(n, padding))
        x = pieces["crop_and_flip"](x, top, left, flip & recipe.flip, padding)
        if recipe.cutout:
            y, column = (torch.randint(side, (n,)).to(x.device) for side in (height, width))
            x = pieces["cutout"](x, y, column, height // 8 * 2)
        return x

    def end_of_step(step, value):
        pieces["update_average"](average, net, min(AVERAGE_DECAY, (1 + step) / (10 + step)))
        if after_step is not None:
            after_step(step, value)

    classify.train_classifier(net, train.images, train.labels, loss, optimizer, steps, BATCH, rate, augment, end_of_step, mixed)
    flips = torch.cat([pieces["predict"](average, part) for part in test.images.split(500)]).argmax(1)
    return {"net": classify.accuracy(net, test.images, test.labels), "average": classify.accuracy(average, test.images, test.labels),
            "flips": (flips == test.labels).double().mean().item()}
