"""Objectives, penalties and norms on the ring and the grid, in `gan_training`.

Each recipe of the lesson, trained by its solution's round: nets with two hidden layers of 128, batches of 64, 600 rounds on the ring of 8
Gaussians, 1,500 on the grid of 25, five runs each (seed 0, trained at once, in batched matrices). Modes: those with a sample within 3σ. High
quality: the share of 2,500 samples within 3σ of a mode. Reverse KL: of the shares of samples nearest to each mode to equal shares. Seconds
of processor time for all five runs, one thread. Median (least to greatest).
"""

import statistics
import time

from autograder.answers import reference_namespace
from course_lib import gan_recipes
from tests.benchmarks.page import grid

MINUTES = {"cpu": 20}
RUNS = 5
ROUNDS = {"ring": 600, "grid": 1_500}


def wanted(scale):
    return [{"data": data, "recipe": name, "rounds": rounds, "runs": RUNS}
            for data, rounds in ROUNDS.items() for name in reference_namespace("gan_training")["recipes"]]


def measure(scale):
    lesson = reference_namespace("gan_training")

    def figures(data, recipe, rounds, runs):
        began, mixture = time.process_time(), getattr(gan_recipes, data)()
        G, _, _ = gan_recipes.train(lesson["recipes"][recipe], lesson["play_round"], mixture, rounds, runs)
        return {"figures": [{key: round(value, 4) for key, value in each.items()} for each in gan_recipes.figures(G, mixture)],
                "seconds": round(time.process_time() - began, 1)}

    return figures


def tables(runs, scale):
    def table(own):
        of = lambda run, key, digits: "{1:.{3}f} ({0:.{3}f} to {2:.{3}f})".format(
            *(take([each[key] for each in run["figures"]]) for take in (min, statistics.median, max)), digits)
        return grid(("recipe", "modes", "high quality", "reverse KL", "seconds"),
                    [(run["recipe"], of(run, "modes", 0), of(run, "quality", 2), of(run, "reverse KL", 2), f"{run['seconds']:.0f}") for run in own])

    title = {"ring": "The ring of 8", "grid": "The grid of 25"}
    return "\n\n".join(f"**{title[data]}**\n\n{table([run for run in runs if run['data'] == data])}" for data in ROUNDS)
