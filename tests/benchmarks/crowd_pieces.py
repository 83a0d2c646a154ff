"""The pieces of `sanet` beside the fastest others we know, in one run: `python tests/benchmarks/crowd_pieces.py`.

Local SSIM, forward and backward, beside pytorch-msssim; a density map of 1,000 heads beside a filter over the whole picture for
each head. Seconds are the processor's, medians, on one thread.
"""

import statistics
import time

import numpy as np
import torch
from pytorch_msssim import ssim
from scipy.ndimage import gaussian_filter

from autograder.answers import reference_namespace

ROUNDS = 15


def seconds(call, rounds=ROUNDS):
    times = []
    for _ in range(rounds):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return statistics.median(times)


def compare_ssim(lesson, n, side):
    prediction, truth = torch.rand(n, 1, side, side, requires_grad=True), torch.rand(n, 1, side, side)
    ours = seconds(lambda: lesson["ssim_map"](prediction, truth).mean().backward())
    theirs = seconds(lambda: ssim(prediction, truth, data_range=1.0).backward())
    print(f"| local SSIM, forward and backward, {n} maps of {side}×{side} | {1000 * ours:.1f} ms | {1000 * theirs:.1f} ms | {ours / theirs:.2f} |")


def compare_maps(lesson, n=1000, height=768, width=1024, sigma=15.0, tried=10):
    heads = torch.rand(n, 2, dtype=torch.float64) * torch.tensor([width, height])
    ours = seconds(lambda: lesson["density_map"](heads, height, width, sigma))

    def filters():
        for x, y in heads[:tried].long().tolist():
            spot = np.zeros((height, width))
            spot[y, x] = 1
            gaussian_filter(spot, sigma)

    theirs = seconds(filters, 3) * n / tried
    print(f"| a density map of {n:,} heads on {height}×{width} | {1000 * ours:.0f} ms | {theirs:.1f} s (from {tried} heads) | {ours / theirs:.5f} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    names = reference_namespace("sanet")
    print("| what | ours | the other | ours / other |\n|---|---|---|---|")
    for maps, size in ((8, 64), (8, 128), (4, 256)):
        compare_ssim(names, maps, size)
    compare_maps(names)
