"""What each piece of advice does to digits, in `gan_training`.

One recipe, and changes of it, one at a time. The nets and the round are the lesson's solution: width 8, 400 steps of 32 digits, rates of 0.004
for both players, one thread. Distance: Fréchet's, of 1,000 drawn digits to held-out ones, in the features of the course's classifier, for the
moving average of G's weights and for G itself. Read: the share that the classifier is sure of by at least 0.9. Kinds: how many of the ten
digits make up at least 2 % of what is drawn. Sharpness: real digits being 1. Seconds of processor time. Least / median / greatest of the seeds.
"""

import statistics
import time

import torch
from torch import nn
from torch.nn.utils import parametrize

from autograder.answers import reference_namespace
from course_lib import frechet, gan_images
from course_lib.data import load_images
from tests.benchmarks.page import grid

MINUTES = {"cpu": 45}
SEEDS, WIDTH, STEPS = 5, 8, 400
RECIPES = {
    "Widths and steps": {
        "width 4": dict(width=4), "as it stands": {}, "width 16": dict(width=16), "width 32": dict(width=32),
        "width 4, 800 steps": dict(width=4, steps=800), "1,000 steps": dict(steps=1_000)},
    "The nets and the optimiser": {
        "β1 = 0.9": dict(betas=(0.9, 0.99)), "β1 = 0": dict(betas=(0.0, 0.99)), "rates of 0.0002": dict(rates=(2e-4, 2e-4)),
        "rates that don't fall": dict(decay=False), "PyTorch's own initialisation": dict(initial=False),
        "ReLU in the discriminator": dict(change="relu"), "no batch norm in D": dict(change="no norm in D"),
        "no batch norm in G": dict(change="no norm in G"), "no batch norm": dict(change="no norm"),
        "instance norm in D": dict(change="instance norm in D"), "real and fake in one batch": dict(change="one batch"),
        "average pooling in place of strides": dict(change="pooling"), "nearest neighbours and convolution": dict(change="upsampling"),
        "real images in [0, 1]": dict(change="positive")},
    "Labels": {
        "one-sided smoothing, 0.9": dict(targets=(0.9, 0.0)), "smoothing on both sides, 0.9 and 0.1": dict(targets=(0.9, 0.1)),
        "a tenth of the labels flipped": dict(flipped=0.1), "classes, by projection": dict(change="classes")},
    "Objectives and penalties": {
        "least squares": dict(objective="least_squares"), "relativistic": dict(objective="relativistic"),
        "spectral norm in place of batch norm in D": dict(change="spectral norm in D"),
        "R1, without batch norm in D": dict(change="no norm in D", penalty="R1"),
        "relativistic, R1 + R2, without batch norm in D": dict(objective="relativistic", change="no norm in D", penalty="R1 + R2"),
        "Wasserstein, gradient penalty, without batch norm in D": dict(objective="wasserstein", change="no norm in D", penalty="gradient")},
}
ALL = {name: how for group in RECIPES.values() for name, how in group.items()}
NORMS = nn.BatchNorm1d, nn.BatchNorm2d


def replaced(net, kind, make):
    """`net` with each layer of this kind replaced by what `make(layer)` gives, within its Sequentials."""
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential):
            for place, layer in enumerate(module):
                if isinstance(layer, kind):
                    module[place] = make(layer)
    return net


def changed(D, G, change, lesson):
    """Both players with one thing changed in their nets; with change=None as they are."""
    nothing = lambda layer: nn.Identity()
    if change == "relu":
        replaced(D, nn.LeakyReLU, lambda layer: nn.ReLU())
    if change in ("no norm", "no norm in D", "spectral norm in D"):
        replaced(D, NORMS, nothing)
    if change in ("no norm", "no norm in G"):
        replaced(G, NORMS, nothing)
    if change == "instance norm in D":
        replaced(D, NORMS, lambda layer: nn.InstanceNorm2d(layer.num_features, affine=True))
    if change == "spectral norm in D":
        for layer in [layer for layer in D.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]:
            parametrize.register_parametrization(layer, "weight", lesson["begin_spectral"](layer.weight))
    if change == "pooling":
        replaced(D, nn.Conv2d, lambda old: nn.Sequential(nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1), nn.AvgPool2d(2)))
    if change == "upsampling":
        replaced(G, nn.ConvTranspose2d, lambda old: nn.Sequential(nn.Upsample(scale_factor=2),
                                                                  nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1)))
    return D, G


def together(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    """A round whose discriminator sees real images and fakes in one batch."""
    fake = G(z)
    for optimizer, number, shown in ((opt_D, 0, fake.detach()), (opt_G, 1, fake)):
        optimizer.zero_grad()
        losses = objective(*D(torch.cat([real, shown])).split(len(real)))
        losses[number].backward()
        optimizer.step()
    return tuple(loss.item() for loss in losses)


def penalties(lesson):
    """D's penalties by name, with their papers' weights: γ = 10 of R1 (Mescheder et al. 2018), λ = 10 (Gulrajani et al. 2017)."""
    r1 = lesson["r1"]
    return {None: None, "R1": lambda D, real, fake: 10 * r1(D, real), "R1 + R2": lambda D, real, fake: 10 * (r1(D, real) + r1(D, fake)),
            "gradient": lambda D, real, fake: 10 * lesson["mixed_penalty"](D, real, fake)}


def objective_of(lesson, objective="non_saturating", targets=None, flipped=0.0):
    """The lesson's objective of this name; with targets, D's labels are smoothed, and the share `flipped` of them is turned round."""
    plain = lesson[objective]

    def with_other_labels(on_real, on_fake):
        _, loss_G = plain(on_real, on_fake)
        if targets:
            return lesson["smoothed_loss"](on_real, on_fake, *targets), loss_G
        turned = [torch.where(torch.rand_like(logits) < flipped, -logits, logits) for logits in (on_real, on_fake)]
        return plain(*turned)[0], loss_G

    return with_other_labels if targets or flipped else plain


def wanted(scale):
    return [{"recipe": name, "seed": seed} for seed in range(SEEDS) for name in ALL]


def measure(scale):
    lesson = reference_namespace("gan_training")
    digits = load_images("digits")
    images, real = 2 * digits.images - 1, 2 * load_images("digits", "test").images - 1
    ordered = torch.arange(1_000) % 10

    def figures(recipe, seed):
        how = dict(ALL[recipe])
        width, steps, change, initial = (how.pop(key, usual) for key, usual in
                                         (("width", WIDTH), ("steps", STEPS), ("change", None), ("initial", True)))
        objective = objective_of(lesson, **{key: how.pop(key) for key in ("objective", "targets", "flipped") if key in how})
        how["penalty"] = penalties(lesson)[how.pop("penalty", None)]
        torch.manual_seed(seed)
        if change == "classes":
            D, G = lesson["ClassDiscriminator"](width, 10), lesson["ClassGenerator"](gan_images.NOISE, width, 10)
            how["labels"] = digits.labels
        else:
            D, G = changed(lesson["Discriminator"](width), lesson["Generator"](gan_images.NOISE, width), change, lesson)
        if initial:
            for net in (D, G):
                lesson["initialise"](net)
        began = time.process_time()
        drawn_by = gan_images.train(together if change == "one batch" else lesson["play_round"], objective, D, G,
                                    digits.images if change == "positive" else images, steps, **how)
        seconds = time.process_time() - began
        z = torch.randn(1_000, gan_images.NOISE)
        with torch.no_grad():
            averaged, bare = (net.eval()(*([z, ordered] if "labels" in how else [z])) for net in (drawn_by, G))
        if change == "positive":
            averaged, bare = (2 * each.clamp(0, 1) - 1 for each in (averaged, bare))
        as_ordered = {"read as ordered": frechet.accuracy(averaged / 2 + 0.5, ordered)} if "labels" in how else {}
        return as_ordered | gan_images.scores(averaged, real) | {
            "distance without the average": gan_images.scores(bare, real)["distance"],
            "sharpness": gan_images.sharpness(averaged) / gan_images.sharpness(real), "seconds": round(seconds, 1),
            "parameters": sum(value.numel() for value in (*D.parameters(), *G.parameters()))}

    return figures


def tables(runs, scale):
    return "\n\n".join(f"**{group}**\n\n{table([run for run in runs if run['recipe'] in recipes])}" for group, recipes in RECIPES.items())


def table(runs):
    rows = []
    for recipe in dict.fromkeys(run["recipe"] for run in runs):
        own = [run for run in runs if run["recipe"] == recipe]
        of = lambda key, form: "{0:{3}} / {1:{3}} / {2:{3}}".format(
            *(take([run[key] for run in own]) for take in (min, statistics.median, max)), form)
        rows.append((recipe, len(own), of("distance", ".0f"), of("distance without the average", ".0f"), of("readable", ".2f"), of("kinds", ".0f"),
                     of("sharpness", ".2f"), f"{own[0]['parameters']:,}", f"{statistics.median(run['seconds'] for run in own):.0f}"))
    return grid(("recipe", "seeds", "distance", "without the average", "read", "kinds", "sharpness", "parameters", "seconds"), rows)
