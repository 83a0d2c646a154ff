"""Learning from whole pictures and from their quarters.

As in section 6 of `sanet`, three nets for each seed: from whole pictures of 128×128, from their quarters with as many pixels looked at, and
from whole pictures with as many steps (so four times the pixels). Mean absolute errors over scenes on 50 pictures of the test cameras,
whole and in tiles (least to greatest).
"""

import torch

from autograder.answers import reference_namespace
from course_lib import counting
from course_lib.crowd import TEST_CAMERAS, TRAIN_CAMERAS, crowd_scenes
from tests.benchmarks.page import grid, spread

MINUTES = {"cpu": 12}
SIDE, LOOKS = 64, 2_000
WAYS = {"whole": (2 * SIDE, 2 * SIDE), "tiles": (SIDE, SIDE), "overlapping tiles": (SIDE, SIDE // 2)}
LEARNS = {"whole pictures": LOOKS // 4, "quarters, as many pixels": LOOKS, "whole pictures, as many steps": LOOKS}
SEEDS = 5
AVERAGE = "nothing: always the average"


def wanted(scale):
    return [{"learns": AVERAGE, "seed": 0}, *({"learns": learns, "seed": seed} for learns in LEARNS for seed in range(SEEDS))]


def measure(scale):
    lesson = reference_namespace("sanet")
    wide = crowd_scenes(TRAIN_CAMERAS[:-5], 196, 2 * SIDE, seed=2)
    large = crowd_scenes(TEST_CAMERAS, 50, 2 * SIDE, seed=5)
    error = lambda counts: round(lesson["scores"](counts, large.counts, large.camera)["mean over scenes"], 2)

    def figures(learns, seed):
        if learns == AVERAGE:
            return {"whole": error(wide.counts.float().mean().expand(len(large)))}
        crowds = wide.quarters() if learns.startswith("quarters") else wide
        torch.manual_seed(seed)
        net = lesson["train_mine"](crowds.images, crowds.heads, LEARNS[learns]).eval()
        return {way: error(counting.counts(lesson["predict_in_tiles"](net, large.images, *tiles))) for way, tiles in WAYS.items()}

    return figures


def tables(runs, scale):
    of = lambda learns, way: [run[way] for run in runs if run["learns"] == learns and way in run]
    return grid(("learns from", *(f"tested on {way}" for way in WAYS)),
                [(learns, *(spread(of(learns, way), 1) for way in WAYS)) for learns in dict.fromkeys(run["learns"] for run in runs)])
