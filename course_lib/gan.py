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
PIXELS = 28 * 28
DIGIT_NOISE = 16
RING_NOISE = 2


# --- the ring of Gaussians ---

def ring_modes(modes=8, radius=2.0, angle=0.0):
    """Centres, (modes, 2), evenly spread on a circle; `angle` in radians turns the ring."""
    turns = angle + 2 * math.pi * torch.arange(modes) / modes
    return radius * torch.stack([turns.cos(), turns.sin()], dim=1)


def ring(n, generator=None, modes=8, radius=2.0, sigma=0.1, angle=0.0):
    """Draw n points, (n, 2), from a mixture of `modes` equally likely Gaussians of standard deviation `sigma` on a circle."""
    centres = ring_modes(modes, radius, angle)
    which = torch.randint(modes, (n,), generator=generator)
    return centres[which] + sigma * torch.randn(n, 2, generator=generator)


def count_modes(samples, centres, sigma):
    """Modes found and share of high-quality samples, as the papers on mode collapse count them.

    samples (n, 2), centres (modes, 2). A sample is of high quality when it lies within 3 sigma of its nearest centre;
    a centre is found when it has at least one such sample (Lin et al. 2018, PacGAN, section 4.1; Srivastava et al.
    2017, VEEGAN, section 4.1). Even the true mixture scores 1 − exp(−9/2) = 0.989, not 1.

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


# --- labelled digits ---

def labelled(images, labels):
    """Images (n, 1, 28, 28) or (n, 784) with values in [−1, 1] and labels (n,) in 0…9 → pairs (n, 794): pixels, then the one-hot class."""
    return torch.cat([images.reshape(len(images), PIXELS), F.one_hot(labels, CLASSES).to(images)], dim=1)


def digit_noise(n, generator=None, labels=None):
    """Noise for the digit generator, (n, 26): 16 normals and the one-hot of `labels` (n,), drawn evenly when not given."""
    if labels is None:
        labels = torch.randint(CLASSES, (n,), generator=generator)
    return torch.cat([torch.randn(n, DIGIT_NOISE, generator=generator), F.one_hot(labels, CLASSES).float()], dim=1)


class DigitGenerator(nn.Module):
    """(n, 26) noise with a class → (n, 794) image in [−1, 1] with the same class."""

    def __init__(self, channels=32):
        super().__init__()
        self.channels = channels
        self.project = nn.Sequential(nn.Linear(DIGIT_NOISE + CLASSES, channels * 7 * 7, bias=False),
                                     nn.BatchNorm1d(channels * 7 * 7), nn.ReLU())
        self.paint = nn.Sequential(
            nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False), nn.BatchNorm2d(channels // 2), nn.ReLU(),
            nn.ConvTranspose2d(channels // 2, 1, 4, 2, 1), nn.Tanh())

    def forward(self, z):
        image = self.paint(self.project(z).view(-1, self.channels, 7, 7))
        return torch.cat([image.flatten(1), z[:, DIGIT_NOISE:]], dim=1)


class DigitDiscriminator(nn.Module):
    """(n, 794) image with a class → (n, 1) logit: one score per class, of which the class picks its own."""

    def __init__(self, channels=16):
        super().__init__()
        self.score = nn.Sequential(nn.Conv2d(1, channels, 4, 2, 1), nn.LeakyReLU(0.2),
                                   nn.Conv2d(channels, 2 * channels, 4, 2, 1), nn.LeakyReLU(0.2),
                                   nn.Flatten(), nn.Linear(2 * channels * 7 * 7, CLASSES))

    def forward(self, x):
        image, which = x[:, :PIXELS].reshape(-1, 1, 28, 28), x[:, PIXELS:]
        return (self.score(image) * which).sum(dim=1, keepdim=True)


def digit_generator(channels=32):
    """Noise (n, 26) → pairs (n, 794); see DigitGenerator."""
    return DigitGenerator(channels)


def digit_discriminator(channels=16):
    """Pairs (n, 794) → logits (n, 1); see DigitDiscriminator."""
    return DigitDiscriminator(channels)


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
    statistics) likewise. The samples of the average are far steadier than those of the net itself (Yazici et al. 2019).
    """

    def __init__(self, net, decay=0.995):
        self.source, self.decay = net, decay
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, step=None):
        now = self.source.state_dict()
        for name, average in self.net.state_dict().items():
            if average.is_floating_point():
                average.lerp_(now[name], 1 - self.decay)
            else:
                average.copy_(now[name])
