"""Small GANs of points, trained by any recipe: an objective, a penalty, a norm, noise or packing, and the same budget for each.

What a recipe is made of, and the round that it is played by, are functions of the lesson's. Here is what all have in common: mixtures of
Gaussians to learn from, figures that tell a collapsed generator, and several runs at once. The runs are independent. They stand side by side
in batched matrices, because nets this small take hardly longer five at a time.
"""

import copy
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import torch
from torch import nn
from torch.nn.utils import parametrize

from course_lib import gan

WIDTH, BATCH, NOISE = 128, 64, 2
HISTORIES = Path(__file__).with_name("gan_histories.json")


# --- data, and figures ---

@dataclass(frozen=True)
class Mixture:
    """Equally likely Gaussians in the plane: centres (modes, 2), each of standard deviation sigma."""

    centres: torch.Tensor
    sigma: float

    def sample(self, n):
        """n points, (n, 2), with torch's own random numbers."""
        return self.centres[torch.randint(len(self.centres), (n,))] + self.sigma * torch.randn(n, 2)

    def figures(self, samples):
        """{"modes", "quality", "reverse KL"} of samples (n, 2); the first two as `gan.count_modes` counts them."""
        modes, quality = gan.count_modes(samples, self.centres, self.sigma)
        return {"modes": modes, "quality": quality, "reverse KL": self.reverse_kl(samples)}

    def reverse_kl(self, samples):
        """KL(q‖p) in nats: q, the shares of samples (n, 2) by nearest mode; p, uniform. 0 to log(modes).

        So it is computed in the tables of Lin et al. 2018 (PacGAN); it is log(modes) minus the entropy of q, and a mode that nobody
        goes to costs no infinity. Samples that aren't finite belong to no mode; NaN when none is finite.
        """
        nearest = torch.cdist(samples[samples.isfinite().all(1)], self.centres).argmin(dim=1)
        shares = nearest.bincount(minlength=len(self.centres)).double() / len(nearest)
        return math.log(len(self.centres)) + torch.special.xlogy(shares, shares).sum().item()


def ring():
    """Eight modes on a circle of radius 2, σ = 0.1: `gan.ring`."""
    return Mixture(gan.ring_modes(), gan.RING_SIGMA)


def grid():
    """25 modes at {−4, −2, 0, 2, 4}², σ = 0.05 (Lin et al. 2018, section 4.1)."""
    return Mixture(torch.cartesian_prod(*[torch.arange(-4.0, 5, 2)] * 2), 0.05)


# --- nets, several runs in each ---

class Linear(nn.Module):
    """(runs, n, inputs) → (runs, n, outputs): a linear layer for each run, begun as nn.Linear begins."""

    def __init__(self, runs, inputs, outputs):
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(runs, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(runs, 1, outputs).uniform_(-bound, bound))

    def forward(self, x):
        return torch.baddbmm(self.bias, x, self.weight.mT)


class Net(nn.Module):
    """(runs · n, inputs) → (runs · n, outputs), the runs' rows one after the other: linear layers and activations between.

    hidden(): makes a module that stands between each hidden linear layer and its activation. last: what stands at the end.
    """

    def __init__(self, runs, sizes, activation, hidden=None, last=None):
        super().__init__()
        layers = []
        for inputs, outputs in zip(sizes[:-2], sizes[1:-1]):
            layers += [Linear(runs, inputs, outputs), *([hidden()] if hidden else []), activation]
        self.runs, self.layers = runs, nn.Sequential(*layers, Linear(runs, *sizes[-2:]), *([last] if last else []))

    def forward(self, x):
        return self.layers(x.unflatten(0, (self.runs, -1))).flatten(0, 1)


def generator(runs, last=None):
    """Noise (runs · n, 2) → points (runs · n, 2): as `gan.ring_generator`, `runs` times."""
    return Net(runs, [NOISE, WIDTH, WIDTH, 2], nn.ReLU(), last=last)


def discriminator(runs, inputs=2, hidden=None):
    """Points (runs · n, inputs) → logits (runs · n, 1): as `gan.ring_discriminator`, `runs` times."""
    return Net(runs, [inputs, WIDTH, WIDTH, 1], nn.LeakyReLU(0.2), hidden)


class Autoencoder(nn.Module):
    """BEGAN's discriminator (Berthelot et al. 2017): points (runs · n, 2) → how far each lies from its reconstruction, (runs · n, 1).

    The bottleneck is a single number; with two it could copy.
    """

    def __init__(self, runs, inputs=2, hidden=None):
        super().__init__()
        self.copy = Net(runs, [inputs, WIDTH, 1, WIDTH, inputs], nn.LeakyReLU(0.2), hidden)

    def forward(self, x):
        return (x - self.copy(x)).abs().mean(dim=1, keepdim=True)


# --- what may stand in a discriminator ---

class Noise(nn.Module):
    """Adds normal noise; `fade(share)` leaves (1 − share) of the first standard deviation."""

    def __init__(self, std):
        super().__init__()
        self.first = self.std = std

    def fade(self, share):
        self.std = self.first * (1 - share)

    def forward(self, x):
        return x + self.std * torch.randn_like(x)


class BatchNorm(nn.Module):
    """(runs, n, features): each feature of each run with mean 0 and variance 1 over its n rows; no running statistics."""

    def forward(self, x):
        return (x - x.mean(1, keepdim=True)) / (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()


class WeightNorm(nn.Module):
    """Parametrisation: each row of a weight has a length of its own, learned apart from its direction (Salimans & Kingma 2016)."""

    def __init__(self, weight):
        super().__init__()
        self.length = nn.Parameter(weight.detach().norm(dim=-1, keepdim=True))

    def forward(self, weight):
        return self.length * nn.functional.normalize(weight, dim=-1)


class EachRun(nn.Module):
    """Parametrisation: a weight (runs, …) with a parametrisation of its own for each run."""

    def __init__(self, norms):
        super().__init__()
        self.norms = nn.ModuleList(norms)

    def forward(self, weight):
        return torch.stack([norm(each) for norm, each in zip(self.norms, weight)])


# --- a recipe, and its training ---

FAST_G = {"rate_D": 5e-4, "rate_G": 5e-3, "betas": (0.5, 0.99)}  # of a Recipe: G learns ten times as fast as D, and collapses


@dataclass(frozen=True)
class Recipe:
    """What may differ from one GAN to the next.

    objective(real_logits, fake_logits) → (loss of D, loss of G). penalty(D, real, fake): what is added to D's. hidden(): a module for each hidden
    layer of D. weights(weight): a parametrisation for each weight (outputs, inputs) of D. after(D): called after each round. pack(x, m): how
    m samples become one, and packed: m. noise: standard deviation at D's inputs, fading to 0. body: what makes D. last: what G ends in. rate_D, rate_G, betas: Adam's.
    """

    objective: Callable
    penalty: Callable = None
    hidden: Callable = None
    weights: Callable = None
    after: Callable = None
    pack: Callable = None
    packed: int = 1
    noise: float = 0.0
    body: Callable = discriminator
    last: nn.Module = None
    rate_D: float = 2e-3
    rate_G: float = 2e-3
    betas: tuple = (0.0, 0.99)

    def make_discriminator(self, runs):
        """D for `runs` runs: (runs · n, 2) → logits (runs · n / packed, 1)."""
        body = self.body(runs, 2 * self.packed, self.hidden)
        if self.weights:
            for layer in [module for module in body.modules() if isinstance(module, Linear)]:
                parametrize.register_parametrization(layer, "weight", EachRun([self.weights(each) for each in layer.weight]))
        return nn.Sequential(*([Noise(self.noise)] if self.noise else []), body)


def train(recipe, play_round, data, rounds, runs=5, seed=0, after_round=None, progress=iter):
    """(G, D, history) after `rounds` rounds of `runs` independent runs of a recipe on a Mixture.

    play_round(D, G, opt_D, opt_G, real, z, objective, penalty) → (loss of D, loss of G): the lesson's. Batches of 64 points for each run; the rates
    fall linearly over the second half. after_round(number, G). history: {"loss_D", "loss_G"}, a number for each round, the mean over the runs.
    Sets torch's seed.
    """
    torch.manual_seed(seed)
    G, D = generator(runs, recipe.last), recipe.make_discriminator(runs)
    opt_D = torch.optim.Adam(D.parameters(), recipe.rate_D, recipe.betas)
    opt_G = torch.optim.Adam(G.parameters(), recipe.rate_G, recipe.betas)
    decay, noises = gan.linear_decay([opt_D, opt_G], rounds), [module for module in D.modules() if isinstance(module, Noise)]
    whole = (lambda x: recipe.pack(x, recipe.packed)) if recipe.pack else (lambda x: x)
    judge = lambda x: D(whole(x))
    # a mean over the rows of all runs weighs each run's by 1/runs
    of_all_runs = copy.deepcopy(recipe.objective)  # one with a state begins afresh
    objective = lambda real, fake: tuple(runs * loss for loss in of_all_runs(real, fake))
    penalty = recipe.penalty and (lambda _, real, fake: runs * recipe.penalty(D, whole(real), whole(fake)))
    history = {"loss_D": [], "loss_G": []}
    for number in progress(range(rounds)):
        losses = play_round(judge, G, opt_D, opt_G, data.sample(runs * BATCH), torch.randn(runs * BATCH, NOISE), objective, penalty)
        for name, loss in zip(history, losses):
            history[name].append(float(loss) / runs)
        if recipe.after:
            recipe.after(D)
        decay(number)
        for noise in noises:
            noise.fade((number + 1) / rounds)
        if after_round:
            after_round(number, G)
    return G, D, history


@torch.no_grad()
def samples(G, n=2500, seed=1):
    """n points of each run's generator, (runs, n, 2)."""
    return G(torch.randn(G.runs * n, NOISE, generator=torch.Generator().manual_seed(seed))).unflatten(0, (G.runs, n))


def figures(G, data):
    """A list with the figures of each run's generator: `Mixture.figures` of 2,500 samples."""
    return [data.figures(each) for each in samples(G)]


def energy_distance(a, b):
    """The energy distance between samples (n, d) and (m, d): 2 E‖x − y‖ − E‖x − x′‖ − E‖y − y′‖ (Székely & Rizzo 2013).

    At least 0 for distributions, 0 only for equal ones, and in their unit. It needs no net, so it serves as a score of small GANs.
    """
    mean = lambda x, y: torch.cdist(x, y).mean()
    return (2 * mean(a, b) - mean(a, a) - mean(b, b)).item()


def recorded_histories():
    """Runs on the ring that were recorded up to a round, and what came of each; made by tests/benchmarks/gan_histories.py.

    Dicts of lists and numbers: "told" (how it was made), "rounds", "loss_D" and "loss_G" (100 means each), "score" (32 energy distances);
    then, of as many rounds again, "score when it went on" (8) and "modes in the end" (of 8).
    """
    return json.loads(HISTORIES.read_text())
