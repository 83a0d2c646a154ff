"""A conditional DCGAN for 32×32 images: what a GPU trains in place of the digits.

Pairs of an image and its label are one vector, as in `course_lib.gan`, so that the learner's steps train it unchanged.
"""

import torch
from torch import nn

from course_lib.gan import CLASSES


class ImageGenerator(nn.Module):
    """A conditional DCGAN (Radford, Metz & Chintala 2016): noise (n, noise + 10) → pairs (n, channels·32·32 + 10)."""

    def __init__(self, channels=3, width=64, noise=100):
        super().__init__()
        self.noise = noise
        up = lambda i, o: (nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
        self.paint = nn.Sequential(
            nn.Linear(noise + CLASSES, 4 * width * 16, bias=False), nn.Unflatten(1, (4 * width, 4, 4)),
            nn.BatchNorm2d(4 * width), nn.ReLU(), *up(4 * width, 2 * width), *up(2 * width, width),
            nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh(), nn.Flatten())

    def forward(self, z):
        return torch.cat([self.paint(z), z[:, self.noise:]], dim=1)


class ImageDiscriminator(nn.Module):
    """Pairs (n, channels·32·32 + 10) → logits (n, 1); strided convolutions, no pooling, a score per class."""

    def __init__(self, channels=3, width=64):
        super().__init__()
        down = lambda i, o: (nn.Conv2d(i, o, 4, 2, 1), nn.LeakyReLU(0.2))
        self.score = nn.Sequential(nn.Unflatten(1, (channels, 32, 32)), *down(channels, width), *down(width, 2 * width),
                                   *down(2 * width, 4 * width), nn.Flatten(), nn.Linear(4 * width * 16, CLASSES))

    def forward(self, x):
        return (self.score(x[:, :-CLASSES]) * x[:, -CLASSES:]).sum(dim=1, keepdim=True)


def image_noise(n, labels=None, noise=100, device="cpu"):
    """Noise for the image generator, (n, noise + 10): normals, and the one-hot of `labels` (n,), drawn evenly when not given."""
    labels = torch.randint(CLASSES, (n,)) if labels is None else labels
    return torch.cat([torch.randn(n, noise), nn.functional.one_hot(labels, CLASSES).float()], dim=1).to(device)


def image_players(channels=3, width=64, rate=2e-4, betas=(0.5, 0.999), device="cpu"):
    """(D, G, opt_D, opt_G) for 32×32 images with labels, at DCGAN's own rates."""
    D, G = ImageDiscriminator(channels, width).to(device), ImageGenerator(channels, width).to(device)
    return D, G, torch.optim.Adam(D.parameters(), rate, betas), torch.optim.Adam(G.parameters(), rate, betas)


