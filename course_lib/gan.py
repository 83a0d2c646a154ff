"""What the GAN lesson trains on and measures with: the ring of Gaussians, the nets, the callbacks. The steps are the learner's.

A conditional GAN needs no steps of its own here. A labelled image is one longer vector, (image, one-hot of its class),
and so is the noise, (normals, one-hot); the generator copies the class through. A GAN on these pairs is the
conditional GAN of Mirza & Osindero (2014), so steps written for a ring of points train digits unchanged.
"""

import copy
import math

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10
RING_NOISE, RING_BATCH, RING_SIGMA = 2, 128, 0.1
DIGIT_NOISE, DIGIT_BATCH, DIGIT_PIXELS = 16, 32, 28 * 28


# --- the ring of Gaussians ---

def ring_modes(modes=8, radius=2.0, angle=0.0):
    """Centres, (modes, 2), evenly spread on a circle; `angle` in radians turns the ring."""
    turns = angle + 2 * math.pi * torch.arange(modes) / modes
    return radius * torch.stack([turns.cos(), turns.sin()], dim=1)


def turned_apart(angle, modes=8):
    """`angle`, or half a place more where that would turn a ring of so many modes (nearly) onto itself: up to ten modes then lie at least
    0.15 radians from those of the ring that isn't turned."""
    place = 2 * math.pi / modes
    return angle + place / 2 if abs(math.remainder(angle, place)) < 0.15 else angle


def ring(n, generator=None, modes=8, radius=2.0, sigma=RING_SIGMA, angle=0.0):
    """Draw n points, (n, 2), from a mixture of `modes` equally likely Gaussians of standard deviation `sigma` on a circle."""
    centres = ring_modes(modes, radius, angle)
    which = torch.randint(modes, (n,), generator=generator)
    return centres[which] + sigma * torch.randn(n, 2, generator=generator)


def count_modes(samples, centres, sigma):
    """Modes found and share of high-quality samples, as the papers on mode collapse count them.

    samples (n, 2), centres (modes, 2). A sample is of high quality when it lies within 3 sigma of its nearest centre;
    a centre is found when at least one such sample is its own (Srivastava et al. 2017, VEEGAN; counted so in the code
    of Lin et al. 2018, PacGAN). Even the true mixture scores 1 − exp(−9/2) = 0.989, not 1; and one sample is little:
    any wide enough blob of points finds all modes, so read both figures together.

    Returns (modes found, an int; share of high quality, between 0 and 1). Samples that are not finite count as bad.
    """
    distance, nearest = torch.cdist(samples, centres.to(samples)).min(dim=1)
    good = distance <= 3 * sigma
    return len(nearest[good].unique()), good.float().mean().item()


def ring_generator(width=128):
    """Noise (n, 2) → points (n, 2): two hidden layers with ReLU."""
    return nn.Sequential(nn.Linear(RING_NOISE, width), nn.ReLU(),
                         nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2))


def ring_discriminator(width=128):
    """Points (n, 2) → logits (n, 1): two hidden layers with leaky ReLU of slope 0.2."""
    return nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2),
                         nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))


def ring_players(rate=2e-3, betas=(0.0, 0.99)):
    """(D, G, opt_D, opt_G) for the ring: both nets, and Adam at `rate` for each. β1 = 0: momentum makes two players overshoot."""
    D, G = ring_discriminator(), ring_generator()
    return D, G, torch.optim.Adam(D.parameters(), rate, betas), torch.optim.Adam(G.parameters(), rate, betas)


# --- labelled digits ---

def digit_noise(n, generator=None, labels=None):
    """Noise for the digit generator, (n, 26): 16 normals and the one-hot of `labels` (n,), drawn evenly when not given."""
    if labels is None:
        labels = torch.randint(CLASSES, (n,), generator=generator)
    return torch.cat([torch.randn(n, DIGIT_NOISE, generator=generator), F.one_hot(labels, CLASSES).float()], dim=1)


class DigitGenerator(nn.Module):
    """(n, 26) noise with a class → (n, 794) image in [−1, 1] with the same class.

    It paints at 7×7 and lays the last 16 channels out as 4×4 blocks of pixels (Shi et al. 2016), which on a CPU is
    several times quicker than painting at full size.
    """

    def __init__(self, channels=32):
        super().__init__()
        self.paint = nn.Sequential(
            nn.Linear(DIGIT_NOISE + CLASSES, channels * 49, bias=False), nn.BatchNorm1d(channels * 49), nn.ReLU(),
            nn.Unflatten(1, (channels, 7, 7)),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, 16, 3, padding=1), nn.PixelShuffle(4), nn.Tanh(), nn.Flatten())

    def forward(self, z):
        return torch.cat([self.paint(z), z[:, DIGIT_NOISE:]], dim=1)


class DigitDiscriminator(nn.Module):
    """(n, 794) image with a class → (n, 1) logit: one score per class, of which the class picks its own."""

    def __init__(self, channels=32):
        super().__init__()
        self.score = nn.Sequential(
            nn.Unflatten(1, (1, 28, 28)), nn.PixelUnshuffle(2),
            nn.Conv2d(4, channels // 4, 3, padding=1), nn.LeakyReLU(0.2), nn.PixelUnshuffle(2),
            nn.Conv2d(channels, channels, 3, padding=1), nn.LeakyReLU(0.2),
            nn.Flatten(), nn.Linear(channels * 49, CLASSES))

    def forward(self, x):
        return (self.score(x[:, :DIGIT_PIXELS]) * x[:, DIGIT_PIXELS:]).sum(dim=1, keepdim=True)


def digit_players(rate_D=2e-3, rate_G=4e-3, betas=(0.0, 0.99)):
    """(D, G, opt_D, opt_G) for the labelled digits: both nets, and Adam for each."""
    D, G = DigitDiscriminator(), DigitGenerator()
    return D, G, torch.optim.Adam(D.parameters(), rate_D, betas), torch.optim.Adam(G.parameters(), rate_G, betas)


# --- what happens between steps ---

def linear_decay(optimizers, steps):
    """A callback `after_step(step)` that holds each learning rate for half of `steps`, then lowers it in a line to 0."""
    groups = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]

    def after_step(step):
        for group, rate in groups:
            group["lr"] = rate * min(1.0, 2 * (1 - (step + 1) / steps))

    return after_step


class WeightAverage:
    """Exponential moving average of a net's weights; `average.net` is the averaged copy, in eval mode.

    Call `update()` after each step. Parameters are averaged as decay·average + (1 − decay)·now, buffers (running
    statistics) likewise. The samples of the average are far steadier than those of the net itself (Yazıcı et al. 2019).
    The decay after n updates is at most (1 + n)/(10 + n), or a short run would mostly average its random start.
    """

    def __init__(self, net, decay=0.995):
        self.source, self.decay, self.updates = net, decay, 0
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self):
        self.updates += 1
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        now = self.source.state_dict()
        for name, average in self.net.state_dict().items():
            if average.is_floating_point():
                average.lerp_(now[name], share)
            else:
                average.copy_(now[name])
