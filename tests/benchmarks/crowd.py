"""What each part of SANet's recipe is worth.

SANet at a quarter of its width and other nets of about that size, trained alike for 2,000 looks (2.4 epochs) at 824 generated pictures of
64×64 pixels and measured on 200 pictures of five test cameras: mean absolute errors, and seconds of processor time on one thread. On a GPU:
at full width, 64,000 looks, pictures of 256×256.
"""

import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

from autograder.answers import reference_namespace
from course_lib import counting
from course_lib.crowd import TEST_CAMERAS, TRAIN_CAMERAS, crowd_scenes
from tests.benchmarks.page import grid, spread

MINUTES = {"cpu": 25, "gpu": None}
SEEDS = 5
SIZES = {"cpu": {"pixels": 64, "sigma": 3.0, "width": 4, "batch": 8, "looks": 2_000, "train": 824, "test": 200},
         "gpu": {"pixels": 256, "sigma": 6.0, "width": 16, "batch": 16, "looks": 64_000, "train": 824, "test": 200}}
PEAK = 0.01
BASELINES = ("always the average", "a line through mean and deviation")


def multi_column(lesson, width):
    """Three columns with kernels of their own and no exchange until the end (after Zhang et al. 2016), at a quarter of the resolution."""
    unit = lesson["conv_unit"]
    columns = [nn.Sequential(unit(3, a * width, first, "batch"), nn.MaxPool2d(2), unit(a * width, 2 * a * width, then, "batch"), nn.MaxPool2d(2),
                             unit(2 * a * width, a * width, then, "batch")) for a, first, then in ((2, 9, 7), (3, 7, 5), (3, 5, 3))]

    class Columns(nn.Module):
        def __init__(self):
            super().__init__()
            self.columns, self.last = nn.ModuleList(columns), nn.Conv2d(8 * width, 1, 1)

        def forward(self, x):
            return F.interpolate(self.last(torch.cat([column(x) for column in self.columns], dim=1)), scale_factor=4)

    return Columns()


def baselines(train, test):
    """Counts by what knows nothing about heads: {name: (n,)}."""
    features = lambda images: torch.stack([images.mean((1, 2, 3)), images.std((1, 2, 3)), torch.ones(len(images))], dim=1)
    line = torch.linalg.lstsq(features(train.images), train.counts[:, None].float()).solution[:, 0]
    return dict(zip(BASELINES, (train.counts.float().mean().expand(len(test)), features(test.images) @ line)))


# Name → (net, how its last convolution starts, α of L_C).
def variants(lesson, width):
    sanet = lambda *norms: lesson["SANet"](3, width, *norms)
    return {"instance norm everywhere, the paper's structure": (lambda: sanet("instance"), "average", 0.0),
            "instance norm in the encoder, none in the decoder": (lambda: sanet("instance", "none"), "average", 0.0),
            "instance norm in the encoder, batch norm in the decoder": (lambda: sanet("instance", "batch"), "average", 0.0),
            "no norm": (lambda: sanet("none"), "average", 0.0),
            "batch norm": (lambda: sanet("batch"), "average", 0.0),
            "batch norm, last convolution as PyTorch draws it": (lambda: sanet("batch"), "as drawn", 0.0),
            "batch norm, last bias at the mean, last weights as drawn": (lambda: sanet("batch"), "bias", 0.0),
            "batch norm, α = 0.001": (lambda: sanet("batch"), "average", 0.001),
            "batch norm, α = 0.1": (lambda: sanet("batch"), "average", 0.1),
            "batch norm, α = 1": (lambda: sanet("batch"), "average", 1.0),
            "multi-column, batch norm": (lambda: multi_column(lesson, 5 * width // 4), "average", 0.0)}


def wanted(scale):
    nets = variants(None, None)
    return [{"net": name, "seed": 0} for name in BASELINES] + [{"net": name, "seed": seed} for name in nets for seed in range(SEEDS)]


def measure(scale):
    lesson, size, device = reference_namespace("sanet"), SIZES[scale], "cuda" if scale == "gpu" else "cpu"
    train = crowd_scenes(TRAIN_CAMERAS, size["train"], size["pixels"], "training")
    test = crowd_scenes(TEST_CAMERAS, size["test"], size["pixels"], "public")
    known, nets = baselines(train, test), variants(lesson, size["width"])
    return lambda net, seed: errors(lesson["scores"](known[net], test.counts, test.camera)) if net in known else trained(
        lesson, *nets[net], size, seed, train, test, device)


def trained(lesson, make, start, alpha, size, seed, train, test, device):
    """One run: {"by scene", "mean", "MSE", "ssim", "psnr", "parameters", "seconds"}."""
    maps = lambda scenes: counting.SCALE * torch.stack(
        [lesson["density_map"](points.float(), size["pixels"], size["pixels"], size["sigma"]) for points in scenes.heads])[:, None]
    truth, wanted = maps(train).to(device), maps(test)
    torch.manual_seed(seed)
    net = make().to(device)
    *_, last = (module for module in net.modules() if isinstance(module, nn.Conv2d))
    if start != "as drawn":
        nn.init.constant_(last.bias, truth.mean().item())
    if start == "average":
        nn.init.zeros_(last.weight)
    steps = size["looks"] // size["batch"]
    loss = lambda prediction, y: lesson["sanet_loss"](prediction, y, alpha) if alpha else F.mse_loss(prediction, y)
    began = time.process_time()
    counting.train_counter(net, train.images.to(device), truth, loss, torch.optim.Adam(net.parameters()), steps, size["batch"],
                           lambda step: PEAK * min(1, 10 * (step + 1) / steps) * (1 + math.cos(math.pi * step / steps)) / 2, seed=seed)
    seconds = time.process_time() - began
    found = counting.predict_maps(net, test.images.to(device)).cpu()
    result = lesson["scores"](counting.counts(found), test.counts, test.camera)
    error = (found - wanted).square().mean((1, 2, 3))
    return errors(result) | {"ssim": round(1 - lesson["consistency_loss"](found, wanted).item(), 4),
                             "psnr": round((10 * torch.log10(wanted.amax((1, 2, 3)) ** 2 / error)).mean().item(), 2),
                             "parameters": sum(parameter.numel() for parameter in net.parameters()), "seconds": round(seconds, 1)}


def errors(result):
    """What `scores` gave, rounded."""
    return {"by scene": [round(value, 3) for value in result["by scene"].tolist()], "mean": round(result["mean over scenes"], 3),
            "MSE": round(result["MSE"], 3)}


def tables(runs, scale):
    rows = []
    for name in dict.fromkeys(run["net"] for run in runs):
        own = [run for run in runs if run["net"] == name]
        mean = lambda key, places: f"{statistics.mean(run[key] for run in own):.{places}f}" if key in own[0] else ""
        scenes = [f"{statistics.mean(values):.1f}" for values in zip(*(run["by scene"] for run in own))]
        parameters, seconds = own[0].get("parameters"), [run["seconds"] for run in own if "seconds" in run]
        rows.append((name, len(own), *scenes, spread([run["mean"] for run in own], 2), mean("MSE", 2), mean("ssim", 3), mean("psnr", 1),
                     f"{parameters:,}" if parameters else "", mean("seconds", 0),
                     f"{SIZES[scale]['looks'] / statistics.mean(seconds):.0f}" if seconds else ""))
    return grid(("net", "seeds", "scene 0", "1", "2", "3", "4", "mean over scenes (least to greatest)", "MSE", "SSIM", "PSNR", "parameters",
                 "seconds", "pictures a second"), rows)
