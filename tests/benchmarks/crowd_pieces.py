"""The pieces of `sanet` beside the fastest others we know.

Local SSIM, forward and backward, beside pytorch-msssim; a density map of 1,000 heads on 768×1024 beside SciPy's `gaussian_filter`, a filter
over the whole picture for each head, of which ten are timed. In one process on one thread, processor time, medians of 15 (of the filters: 3).
"""

import statistics
import time

import numpy as np
import torch

from autograder.answers import reference_namespace
from tests.benchmarks.page import grid

MINUTES = {"cpu": 1}
ROUNDS = 15
HEADS, HEIGHT, WIDTH, SIGMA, TRIED = 1000, 768, 1024, 15.0, 10


def wanted(scale):
    return [*({"maps": maps, "side": side} for maps, side in ((8, 64), (8, 128), (4, 256))), {"heads": HEADS}]


def measure(scale):
    lesson = reference_namespace("sanet")
    return lambda maps=None, side=None, heads=None: density_maps(lesson, heads) if heads else local_ssim(lesson, maps, side)


def seconds(call, rounds=ROUNDS):
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return statistics.median(times)


def local_ssim(lesson, n, side):
    from pytorch_msssim import ssim
    prediction, truth = torch.rand(n, 1, side, side, requires_grad=True), torch.rand(n, 1, side, side)
    return {"ours": seconds(lambda: lesson["ssim_map"](prediction, truth).mean().backward()),
            "other": seconds(lambda: ssim(prediction, truth, data_range=1.0).backward())}


def density_maps(lesson, n):
    from scipy.ndimage import gaussian_filter
    heads = torch.rand(n, 2, dtype=torch.float64) * torch.tensor([WIDTH, HEIGHT])

    def filters():
        for x, y in heads[:TRIED].long().tolist():
            spot = np.zeros((HEIGHT, WIDTH))
            spot[y, x] = 1
            gaussian_filter(spot, SIGMA)

    return {"ours": seconds(lambda: lesson["density_map"](heads, HEIGHT, WIDTH, SIGMA)), "other": seconds(filters, 3) * n / TRIED}


def tables(runs, scale):
    rows = []
    for run in runs:
        what = "a density map of {heads:,} heads" if "heads" in run else "local SSIM, {maps} maps of {side}×{side}"
        rows.append((what.format(**run), f"{1000 * run['ours']:.1f}", f"{1000 * run['other']:,.1f}", f"{run['ours'] / run['other']:.2g}"))
    return grid(("what", "ours, ms", "the other, ms", "ours / other"), rows)
