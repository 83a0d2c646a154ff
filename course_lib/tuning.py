"""Strategies for fine-tuning a net of stages, each a few choices, run with the learner's own pieces.

`pieces` holds, by name, the functions of the lesson `fine_tuning`, as `globals()` of its notebook does: freeze, make_optimizer,
layer_rates, open_stages, features_of, linear_probe.
"""

import math
import time
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from course_lib import classify, pretrained
from course_lib.data import batches

BATCH, MOMENTUM, WEIGHT_DECAY, PROBE_DECAY = 32, 0.9, 5e-4, 1e-2


@dataclass(frozen=True)
class Strategy:
    """rate: the highest learning rate, that of the head; 0 trains nothing but the linear probe. pretrained: begin from the
    source net. probe: the new head begins as the linear probe, rather than at random. opened: so many stages train, counted from the head; None for all.
    factor: by how much the rate falls from one stage to the one before. gradual: begin with the head alone, and open a stage
    more after each fifth of the first half of the steps."""

    rate: float
    pretrained: bool = True
    probe: bool = False
    opened: int | None = None
    factor: float = 1.0
    gradual: bool = False


# The rates were chosen on one seed, 100, that is in no table.
STRATEGIES = {
    "from scratch": Strategy(0.1, pretrained=False),
    "head only": Strategy(0.0, probe=True),
    "upper half": Strategy(0.03, opened=3),
    "all, one rate": Strategy(0.03),
    "all, small rate": Strategy(0.01),
    "rates by depth": Strategy(0.1, factor=2.6),
    "gradual": Strategy(0.1, factor=2.6, gradual=True),
    "LP-FT": Strategy(0.01, probe=True),
}


def train(net, images, labels, optimizer, steps, batch=BATCH, before_step=None, after_step=None, generator=None):
    """Train `net` for `steps` steps of `batch` images (or of as many as there are), with cross-entropy.

    Each of the optimiser's groups goes from its own rate down to 0 by half a cosine, after a warm-up over the first tenth.
    before_step(step): called when the net has been put in train mode, as it is before every step. after_step(step, loss).
    """
    own = [group["lr"] for group in optimizer.param_groups]
    warm = max(1, steps // 10)
    for step, chosen in zip(range(steps), batches(torch.arange(len(images)), min(batch, len(images)), generator)):
        chosen = chosen.to(images.device)
        net.train()
        if before_step is not None:
            before_step(step)
        share = min((step + 1) / warm, (1 + math.cos(math.pi * max(0, step - warm) / max(1, steps - warm))) / 2)
        for group, rate in zip(optimizer.param_groups, own):
            group["lr"] = rate * share
        loss = F.cross_entropy(net(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after_step is not None:
            after_step(step, loss.item())


def run(strategy, pieces, source, data, steps, seed, after_step=None):
    """A net for the new classes of `data` (an ImageSet): `source` (a net of stages), fine-tuned by a Strategy. Returns (net, seconds).

    The source stays as it is. seconds: of the processor, so that other programs don't count, and on a GPU of the clock; features and
    probe included.
    """
    begun = _now(data.images.device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        classes = len(data.classes)
        net = (pretrained.with_new_head if strategy.pretrained else pretrained.from_scratch)(source, classes)
    stages = list(net.children())
    if strategy.probe:
        body = torch.nn.Sequential(*stages[:-1], *stages[-1][:-1])
        weight, bias = pieces["linear_probe"](pieces["features_of"](body, data.images), data.labels, classes, PROBE_DECAY)
        with torch.no_grad():
            for own, probed in zip(net.head[-1].parameters(), (weight, bias)):
                own.copy_(probed)
    if strategy.rate:
        optimizer = torch.optim.SGD(pieces["layer_rates"](stages[-(strategy.opened or len(stages)):], strategy.rate, strategy.factor),
                                    strategy.rate, MOMENTUM, weight_decay=WEIGHT_DECAY)

        def before_step(step):
            if strategy.gradual:
                pieces["open_stages"](stages, min(len(stages), 1 + 2 * len(stages) * step // steps))
            elif strategy.opened:
                pieces["open_stages"](stages, strategy.opened)

        train(net, data.images, data.labels, optimizer, steps, BATCH, before_step, after_step, torch.Generator().manual_seed(seed))
    return net.eval(), _now(data.images.device) - begun


def _now(device):
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


# --- what fine-tuning does to features, and what small batches do ---

def distortion(strategy, pieces, source, data, others, steps, seed):
    """How far the last features of `others` (tensors of images) are from the source's when it has been fine-tuned on `data` by a
    Strategy: for each, the norm of the difference relative to the source's features'. A list of floats."""
    features = lambda net, images: pieces["features_of"](torch.nn.Sequential(*net[:-1], *net[-1][:-1]), images)
    net, _ = run(strategy, pieces, source, data, steps, seed)
    before = [features(source, images) for images in others]
    return [((features(net, images) - old).norm() / old.norm()).item() for images, old in zip(others, before)]


def _early_frozen(pieces):
    net = pretrained.source_net()
    pieces["freeze_norms"](net.stem)
    pieces["freeze_norms"](net.stage1)
    return net


# Name → pieces → the source net with these norms.
NORMS = {"batch norm": lambda pieces: pretrained.source_net(),
         "batch norm, early ones frozen": _early_frozen,
         "batch norm, all frozen": lambda pieces: pieces["freeze_norms"](pretrained.source_net()),
         "group norm": lambda pieces: pretrained.source_net("group")}
# Name → channels → the layer after each convolution of `shallow`.
SHALLOW_NORMS = {"no norm": lambda channels: torch.nn.Identity(), "batch norm": torch.nn.BatchNorm2d,
                 "group norm": lambda channels: torch.nn.GroupNorm(4, channels)}


def shallow(norm, classes):
    """Two convolutions from scratch, images (n, 1, 14, 14) → logits (n, classes). norm: one of SHALLOW_NORMS."""
    nn = torch.nn
    layers = lambda inputs, outputs: (nn.Conv2d(inputs, outputs, 3, 2, 1), SHALLOW_NORMS[norm](outputs), nn.ReLU())
    return nn.Sequential(*layers(1, 16), *layers(16, 32), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(128, classes))


def in_batches(make_net, pieces, data, batch, looks, rate, seed):
    """The net of make_net(), trained on `data` for `looks` looks, `batch` images at a time, at `rate` for 32 images and in proportion for
    others (Goyal et al. 2017)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make_net()
    train(net, data.images, data.labels, pieces["make_optimizer"](net, rate * batch / BATCH), looks // batch, batch,
          generator=torch.Generator().manual_seed(seed))
    return net


# --- measured where the test images aren't what they were ---

def noisy(images, size=0.15):
    """Normal noise added, always the same, and cut off at black and white."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + size * noise.to(images)).clamp(0, 1)


def blurred(images):
    """The mean over windows of 3×3 pixels."""
    return F.avg_pool2d(F.pad(images, [1] * 4, mode="replicate"), 3, stride=1)


def rotated(images, degrees=20):
    """Turned about the middle; what comes in at the corners is black."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = torch.tensor([[cos, -sin, 0.0], [sin, cos, 0.0]]).to(images).expand(len(images), 2, 3)
    return F.grid_sample(images, F.affine_grid(turn, list(images.shape), align_corners=False), align_corners=False)


SHIFTS = {"as they are": lambda images: images, "noise": noisy, "blur": blurred, "rotation": rotated}


def accuracies(net, data):
    """{shift: share of the images of `data` that the net gets right under it}."""
    return {name: classify.accuracy(net, shift(data.images), data.labels) for name, shift in SHIFTS.items()}
