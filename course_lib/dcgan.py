"""DCGANs for 32×32 images: what a GPU trains in place of the digits.

`generator` and `discriminator` give and take images. In the conditional nets, pairs of an image and its label are one vector, as in
`course_lib.gan`, so that the learner's steps train them unchanged.
"""

import torch
from torch import nn

from course_lib.gan import CLASSES


def generator(channels=3, width=64, noise=100):
    """A DCGAN's generator (Radford, Metz & Chintala 2016): noise (n, noise) → images (n, channels, 32, 32) in (−1, 1)."""
    up = lambda i, o: (nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())
    return nn.Sequential(
        nn.Linear(noise, 4 * width * 16, bias=False), nn.Unflatten(1, (4 * width, 4, 4)),
        nn.BatchNorm2d(4 * width), nn.ReLU(), *up(4 * width, 2 * width), *up(2 * width, width),
        nn.ConvTranspose2d(width, channels, 4, 2, 1), nn.Tanh())


def discriminator(channels=3, width=64, scores=1, norm=None):
    """Its discriminator: images (n, channels, 32, 32) → logits (n, scores); strided convolutions, no pooling.

    norm(channels) → the layer after each convolution but the first, as DCGAN's nn.BatchNorm2d; without, there is none.
    """
    down = lambda i, o, *norms: (nn.Conv2d(i, o, 4, 2, 1, bias=not norms), *norms, nn.LeakyReLU(0.2))
    normed = lambda i, o: down(i, o, *([norm(o)] if norm else []))
    return nn.Sequential(*down(channels, width), *normed(width, 2 * width), *normed(2 * width, 4 * width),
                         nn.Flatten(), nn.Linear(4 * width * 16, scores))


class ImageGenerator(nn.Module):
    """The conditional one: noise (n, noise + 10) → pairs (n, channels·32·32 + 10)."""

    def __init__(self, channels=3, width=64, noise=100):
        super().__init__()
        self.noise = noise
        self.draw = nn.Sequential(*generator(channels, width, noise + CLASSES), nn.Flatten())

    def forward(self, z):
        return torch.cat([self.draw(z), z[:, self.noise:]], dim=1)


class ImageDiscriminator(nn.Module):
    """The conditional one: pairs (n, channels·32·32 + 10) → logits (n, 1), by a score per class."""

    def __init__(self, channels=3, width=64):
        super().__init__()
        self.score = nn.Sequential(nn.Unflatten(1, (channels, 32, 32)), *discriminator(channels, width, CLASSES))

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


