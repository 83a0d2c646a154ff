"""What each piece of the DCGAN's advice does to digits, over seeds: `python tests/benchmarks/dcgan_recipes.py [--seeds 5] [--table]`.

One recipe, and changes of it one at a time: widths, rates, initialisation, activations, normalisation, ways to change the size. Each run
is a line of dcgan_recipes.jsonl beside this file; what is there isn't run again. The nets and the round are the lesson's solution.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from records import complete, kept
from torch import nn

WIDTH, STEPS = 8, 400
WIDTHS = {"width 4": dict(width=4), "as it stands": {}, "width 16": dict(width=16), "width 32": dict(width=32),
          "width 4, 800 steps": dict(width=4, steps=800), "1,000 steps": dict(steps=1_000)}
CHANGES = {"β1 = 0.9": dict(betas=(0.9, 0.99)), "β1 = 0": dict(betas=(0.0, 0.99)), "rates of 0.0002": dict(rates=(2e-4, 2e-4)),
           "rates that don't fall": dict(decay=False), "PyTorch's own initialisation": dict(initial=False),
           "ReLU in the discriminator": dict(change="relu"), "no batch norm in D": dict(change="no norm in D"),
           "no batch norm in G": dict(change="no norm in G"), "no batch norm": dict(change="no norm"),
           "average pooling in place of strides": dict(change="pooling"), "nearest neighbours and convolution": dict(change="upsampling"),
           "real images in [0, 1]": dict(change="positive"), "one-sided smoothing, 0.9": dict(targets=(0.9, 0.0)),
           "smoothing on both sides, 0.9 and 0.1": dict(targets=(0.9, 0.1)), "a tenth of the labels flipped": dict(flipped=0.1),
           "real and fake in one batch": dict(change="one batch"), "classes, by projection": dict(change="classes")}
RECIPES = WIDTHS | CHANGES


def replaced(net, kind, make):
    """`net` with each layer of this kind replaced by what `make(layer)` gives, within its Sequentials."""
    for module in list(net.modules()):
        if isinstance(module, nn.Sequential):
            for place, layer in enumerate(module):
                if isinstance(layer, kind):
                    module[place] = make(layer)
    return net


def changed(D, G, change):
    norms, nothing = (nn.BatchNorm1d, nn.BatchNorm2d), lambda layer: nn.Identity()
    if change == "relu":
        replaced(D, nn.LeakyReLU, lambda layer: nn.ReLU())
    if change in ("no norm", "no norm in D"):
        replaced(D, norms, nothing)
    if change in ("no norm", "no norm in G"):
        replaced(G, norms, nothing)
    if change == "pooling":
        replaced(D, nn.Conv2d, lambda old: nn.Sequential(nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1), nn.AvgPool2d(2)))
    if change == "upsampling":
        replaced(G, nn.ConvTranspose2d, lambda old: nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1)))
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


def measure(recipe, seed):
    from autograder.answers import reference_namespace
    from course_lib import frechet, gan_images
    from course_lib.data import load_images
    lesson, how = reference_namespace("gan_training"), dict(RECIPES[recipe])
    images, real = (2 * load_images("digits", split).images - 1 for split in ("train", "test"))
    width, steps, change = how.pop("width", WIDTH), how.pop("steps", STEPS), how.pop("change", None)
    labels, wanted = load_images("digits").labels, torch.arange(1_000) % 10
    targets, flipped, initial = how.pop("targets", None), how.pop("flipped", 0.0), how.pop("initial", True)
    torch.manual_seed(seed)
    if change == "classes":
        D, G, how["labels"] = lesson["ClassDiscriminator"](width, 10), lesson["ClassGenerator"](gan_images.NOISE, width, 10), labels
    else:
        D, G = changed(lesson["Discriminator"](width), lesson["Generator"](gan_images.NOISE, width), change)
    if initial:
        lesson["initialise"](D), lesson["initialise"](G)

    def objective(on_real, on_fake):
        _, loss_G = lesson["non_saturating"](on_real, on_fake)
        if targets:
            return lesson["smoothed_loss"](on_real, on_fake, *targets), loss_G
        turned = [torch.where(torch.rand_like(logits) < flipped, -logits, logits) for logits in (on_real, on_fake)]
        return lesson["non_saturating"](*turned)[0], loss_G

    began = time.process_time()
    drawn_by = gan_images.train(together if change == "one batch" else lesson["play_round"], objective, D, G,
                                images / 2 + 0.5 if change == "positive" else images, steps, **how)
    seconds = time.process_time() - began
    z = torch.randn(1_000, gan_images.NOISE)
    with torch.no_grad():
        averaged, bare = (net.eval()(*([z, wanted] if "labels" in how else [z])) for net in (drawn_by, G))
    if change == "positive":
        averaged, bare = (2 * each.clamp(0, 1) - 1 for each in (averaged, bare))
    ordered = {"ordered is read": frechet.accuracy(averaged / 2 + 0.5, wanted)} if "labels" in how else {}
    figures = ordered | gan_images.scores(averaged, real) | {"distance without the average": gan_images.scores(bare, real)["distance"]}
    return figures | {"sharpness": gan_images.sharpness(averaged) / gan_images.sharpness(real), "seconds": round(seconds, 1),
                      "parameters": sum(value.numel() for value in (*D.parameters(), *G.parameters()))}


def table(path):
    print("| recipe | seeds | Fréchet distance | readable | kinds | sharpness | parameters | seconds |\n|---|---|---|---|---|---|---|---|")
    for recipe in RECIPES:
        runs = [run for run in kept(path) if run["recipe"] == recipe]
        spread = lambda name, form: (lambda values: f"{min(values):{form}} / {statistics.median(values):{form}} / {max(values):{form}}")([run[name] for run in runs])
        if runs:
            print(f"| {recipe} | {len(runs)} | {spread('distance', '.0f')} | {spread('readable', '.2f')} | {spread('kinds', '.0f')} | "
                  f"{spread('sharpness', '.2f')} | {runs[0]['parameters']:,} | {statistics.median(run['seconds'] for run in runs):.0f} |")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--table", action="store_true")
    chosen, record = options.parse_args(), Path(__file__).with_suffix(".jsonl")
    if not chosen.table:
        torch.set_num_threads(1)
        complete(record, [{"recipe": name, "seed": seed} for seed in range(chosen.seeds) for name in RECIPES], measure)
    table(record)
