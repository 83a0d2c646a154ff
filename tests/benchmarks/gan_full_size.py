"""GANs at full size, with FID.

The reference's round, objectives and spectral norm of `gan_training` on whole data sets (section 9): Fashion-MNIST with the lesson's own
nets at width 64, CIFAR-10 with those of `course_lib/dcgan.py` at width 128, batches of 64, noise of 128 numbers, rates of 0.0002 that fall
over the second half, a moving average of the generator. FID: torchmetrics', 10,000 drawn images against the 10,000 test images, enlarged by
TensorFlow's old rule; it is left out where Inception's weights can't be had (`course_lib/fid.py` says how to get them). Distance: Fréchet's in
320 features of EfficientNet-Lite0, of the same images; "real images" are as many of the training set. Mean of the seeds (least to greatest).
Published FIDs are of other nets and budgets: of Lucic et al. 2018 after a search of settings for each cell, 10,000 images against as many
of the test set; of Miyato et al. 2018 (the norms, real images) with 10,000 and 5,000 images.
"""

import functools
import statistics
import time

import torch
from torch import nn

from autograder.answers import reference_namespace
from course_lib import dcgan, fid, frechet
from course_lib import gan_full_size as full_size
from course_lib.data import load_images
from course_lib.scale import Scale
from tests.benchmarks.page import grid, spread

MINUTES = {"gpu": None}
SEEDS, DRAWN, REAL = 3, 10_000, "real images"
PUBLISHED = {("fashion_mnist", "non-saturating"): "26.5 ± 1.6", ("fashion_mnist", "least squares"): "30.7 ± 2.2",
             ("cifar10", "non-saturating"): "58.5 ± 1.9; 56.3", ("cifar10", "least squares"): "87.1 ± 47.5",
             ("cifar10", "spectral norm in D"): "29.3", ("cifar10", REAL): "7.8", ("fashion_mnist", REAL): ""}


def wanted(scale):
    return [{"data": data, "recipe": recipe, "seed": seed, "steps": 0 if recipe == REAL else full_size.STEPS[data], "width": full_size.WIDTH[data],
             "drawn": DRAWN} for data, recipe in PUBLISHED for seed in range(1 if recipe == REAL else SEEDS)]


def players(lesson, data, recipe, width):
    """(D, G) of a recipe as they begin."""
    if data == "fashion_mnist":
        return lesson["initialise"](lesson["Discriminator"](width)), lesson["initialise"](lesson["Generator"](full_size.NOISE, width))
    spectral = recipe == "spectral norm in D"
    D = lesson["initialise"](dcgan.discriminator(3, width, norm=None if spectral else nn.BatchNorm2d))
    G = lesson["initialise"](dcgan.generator(3, width, full_size.NOISE))
    return full_size.with_weights(D, lesson["begin_spectral"]) if spectral else D, G


def measure(scale):
    lesson, device = reference_namespace("gan_training"), Scale(scale).device

    @functools.lru_cache
    def images(data, split):
        return load_images(data, split, scale=(-1, 1)).images.to(device)

    def figures(data, recipe, seed, steps, width, drawn):
        train, real, found = images(data, "train"), images(data, "test")[:drawn], {}
        if recipe == REAL:
            pictures = train[:drawn]
        else:
            torch.manual_seed(seed)
            D, G = (net.to(device) for net in players(lesson, data, recipe, width))
            began, objective = time.perf_counter(), lesson["least_squares" if recipe == "least squares" else "non_saturating"]
            G = full_size.train(lesson["play_round"], objective, D, G, train, steps)
            found = {"seconds": round(time.perf_counter() - began, 1)}
            pictures = full_size.draw(G, drawn)
        found["distance"] = round(frechet.frechet_distance(fid.lite0_features(pictures), fid.lite0_features(real)), 2)
        try:
            return found | {"FID": round(fid.fid(pictures, real), 2)}
        except fid.Missing as missing:
            print(missing)
            return found

    return figures


def tables(runs, scale):
    rows = []
    for data, recipe in PUBLISHED:
        if own := [run for run in runs if (run["data"], run["recipe"]) == (data, recipe)]:
            seconds = [run["seconds"] for run in own if "seconds" in run]
            rows.append((data, recipe, f"{own[0]['steps']:,}", len(own), spread([run["FID"] for run in own if "FID" in run], 1), PUBLISHED[data, recipe],
                         spread([run["distance"] for run in own], 0), f"{statistics.median(seconds):.0f}" if seconds else ""))
    return grid(("data", "recipe", "rounds", "seeds", "FID", "published FID", "distance", "seconds"), rows)
