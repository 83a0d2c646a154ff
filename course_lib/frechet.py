"""How far generated digits are from real ones: a small classifier, its features, and the Fréchet distance between them."""

import functools
import inspect

import torch
from torch import nn
from torch.nn import functional as F


def _untrained_classifier():
    return nn.Sequential(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10))


def _train_classifier(images, labels, epochs=10, batch=64):
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        net = _untrained_classifier()
        optimizer = torch.optim.Adam(net.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * (len(images) // batch))
        for _ in range(epochs):
            for chosen in torch.randperm(len(images))[:len(images) // batch * batch].split(batch):
                moved = torch.roll(images[chosen], torch.randint(-2, 3, (2,)).tolist(), (2, 3))
                loss = F.cross_entropy(net(2 * moved - 1), labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return net


@functools.lru_cache
def digit_classifier():
    """The classifier of the course, images (n, 1, 28, 28) in [−1, 1] → logits (n, 10), in eval mode.

    Trained on the 4,000 training digits the first time it is needed (about 5 s on one thread), then kept in the cache
    folder. It reads 97 to 98 % of the 1,000 test digits.
    """
    from course_lib.data import load_images
    from course_lib.kept import kept

    def train(_):
        digits = load_images("digits")
        return _train_classifier(digits.images, digits.labels)

    recipe = inspect.getsource(_untrained_classifier) + inspect.getsource(_train_classifier)
    return kept("digit-classifier", recipe, _untrained_classifier(), train).eval().requires_grad_(False)


@torch.no_grad()
def features(images):
    """The classifier's last hidden layer, (n, 64), for images (n, 1, 28, 28) in [0, 1]."""
    return torch.cat([digit_classifier()[:-1](2 * part - 1) for part in images.split(500)])


@torch.no_grad()
def accuracy(images, labels):
    """The share of images (n, 1, 28, 28) in [0, 1] that the classifier reads as `labels` (n,)."""
    read = torch.cat([digit_classifier()(2 * part - 1).argmax(1) for part in images.split(500)])
    return (read == labels).double().mean().item()


def frechet_distance(a, b):
    """The squared Fréchet distance between Gaussians fitted to features a (n, d) and b (m, d).

    ‖μ_a − μ_b‖² + tr(Σ_a + Σ_b − 2 (Σ_a Σ_b)^½) (Dowson & Landau 1982; as a score for generators, Heusel et al. 2017),
    in float64, with covariances over n − 1 and m − 1. tr (Σ_a Σ_b)^½ is the sum of the roots of the eigenvalues of
    Σ_a^½ Σ_b Σ_a^½, which is symmetric. Its unit is that of the features, squared; its estimate is too large for few
    samples, so compare only figures from equally many. Raises ValueError for shapes that don't fit and values that
    aren't finite.
    """
    for name, samples in (("a", a), ("b", b)):
        if samples.ndim != 2 or len(samples) < 2:
            raise ValueError(f"features {name} have shape {tuple(samples.shape)}: give (n, d) with n of at least 2")
        if not samples.isfinite().all():
            raise ValueError(f"features {name} hold NaN or infinite values: look at the images they were made from")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"features of {a.shape[1]} and {b.shape[1]} numbers can't be compared: use the same net for both")
    a, b = a.double(), b.double()
    cov_a, cov_b = torch.cov(a.T).reshape(a.shape[1], -1), torch.cov(b.T).reshape(a.shape[1], -1)
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return ((a.mean(0) - b.mean(0)).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross).item()
