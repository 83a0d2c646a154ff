"""Learning from whole pictures and from their quarters, as in section 6 of `sanet`, over seeds: `python tests/benchmarks/crowd_crops.py`.

Three nets for each seed: from whole pictures of 128×128, from their quarters with as many pixels looked at, and from whole pictures
with as many steps (so four times the pixels). Each is measured on 50 pictures of the test cameras, whole and in tiles. Each run is a line
of crowd_crops.jsonl beside this file; what is there isn't run again.
"""

import argparse
import os
import statistics
from pathlib import Path

import torch
from records import complete, kept

SIDE, LOOKS = 64, 2_000
WAYS = {"whole": (2 * SIDE, 2 * SIDE), "tiles": (SIDE, SIDE), "overlapping tiles": (SIDE, SIDE // 2)}
LEARNS = {"whole pictures": LOOKS // 4, "quarters, as many pixels": LOOKS, "whole pictures, as many steps": LOOKS}
PATH = Path(__file__).with_name("crowd_crops.jsonl")

if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=5)
    seeds = options.parse_args().seeds
    os.environ["COURSE_SCALE"] = "cpu"
    from autograder.answers import reference_namespace
    from course_lib import counting
    from course_lib.crowd import TEST_CAMERAS, TRAIN_CAMERAS, crowd_scenes

    torch.set_num_threads(1)
    lesson = reference_namespace("sanet")
    wide = crowd_scenes(TRAIN_CAMERAS[:-5], 196, 2 * SIDE, seed=2)
    large = crowd_scenes(TEST_CAMERAS, 50, 2 * SIDE, seed=5)
    error = lambda counts: round(lesson["scores"](counts, large.counts, large.camera)["mean over scenes"], 2)

    def run(learns, seed):
        crowds = wide.quarters() if learns.startswith("quarters") else wide
        torch.manual_seed(seed)
        net = lesson["train_mine"](crowds.images, crowds.heads, LEARNS[learns]).eval()
        return {way: error(counting.counts(lesson["predict_in_tiles"](net, large.images, *tiles))) for way, tiles in WAYS.items()}

    complete(PATH, [{"learns": learns, "seed": seed} for learns in LEARNS for seed in range(seeds)], run)
    print(f"always the average: {error(wide.counts.float().mean().expand(len(large)))}")
    print(f"| learns from | {' | '.join(f'tested on {way}' for way in WAYS)} |\n|---|---|---|---|")
    for learns in LEARNS:
        spreads = [[run[way] for run in kept(PATH) if run["learns"] == learns] for way in WAYS]
        print(f"| {learns} | " + " | ".join(f"{statistics.mean(each):.1f} ({min(each):.1f} to {max(each):.1f})" for each in spreads) + " |")
