"""The runs that the monitor of `gan_training` is tried on.

Each is a GAN on the ring of 8, trained by the solution's round. The lesson's monitor sees the history up to a round; then the run went on as
long again. Score: the energy distance of 1,000 samples to the data, smaller is better, in the mean of the last quarter of what the monitor sees
and of the last two looks in the end. The lesson reads these runs from `course_lib/gan_histories.json`.
"""

import json
import statistics

import torch

from autograder.answers import reference_namespace
from course_lib import gan_recipes
from course_lib.gan_recipes import Mixture, Recipe
from tests.benchmarks.page import grid
from tests.benchmarks.records import kept, path_of

MINUTES = {"cpu": 2}
POINTS, SCORES = 100, 32
ROUNDS = {"a tenth of the usual rates": 800, "G begins 12 away from the data": 800, "the usual rates, for long": 1600,
          "G learns 500 times slower than D": 800, "G ends in tanh, the data reach to 2": 800}


def setting(told, objective):
    """(recipe, data) of the run that is told so."""
    ring = gan_recipes.ring()
    moved = Mixture(ring.centres + torch.tensor([12.0, 0.0]), ring.sigma)
    return {"a tenth of the usual rates": (Recipe(objective, rate_D=2e-4, rate_G=2e-4), ring),
            "G begins 12 away from the data": (Recipe(objective, rate_D=5e-4, rate_G=5e-4), moved),
            "the usual rates, for long": (Recipe(objective), ring),
            "G learns 500 times slower than D": (Recipe(objective, rate_D=5e-3, rate_G=1e-5), ring),
            "G ends in tanh, the data reach to 2": (Recipe(objective, last=torch.nn.Tanh()), ring)}[told]


def wanted(scale):
    return [{"told": told, "rounds": rounds} for told, rounds in ROUNDS.items()]


def measure(scale):
    lesson = reference_namespace("gan_training")

    def figures(told, rounds):
        """The history up to `rounds`, and score and modes after as many again."""
        recipe, data = setting(told, lesson["non_saturating"])
        torch.manual_seed(5)
        real, found = data.sample(1000), []

        def look(number, G):
            if (number + 1) % (rounds // SCORES) == 0:
                found.append(gan_recipes.energy_distance(gan_recipes.samples(G, 1000)[0], real))

        G, _, history = gan_recipes.train(recipe, lesson["play_round"], data, 2 * rounds, runs=1, after_round=look)
        short = lambda values: [float(f"{value:.4g}") for value in values]
        thinned = lambda losses: short(torch.tensor(losses[:rounds]).unflatten(0, (POINTS, -1)).mean(1).tolist())
        return {"loss_D": thinned(history["loss_D"]), "loss_G": thinned(history["loss_G"]), "score": short(found[:SCORES]),
                "score when it went on": short(found[SCORES:][3::4]), "modes in the end": gan_recipes.figures(G, data)[0]["modes"]}

    return figures


def hand_on():
    runs = [{key: value for key, value in run.items() if key != "on"} for run in kept(path_of("gan_histories", "cpu"), wanted("cpu"))]
    if len(runs) == len(ROUNDS):
        gan_recipes.HISTORIES.write_text("[\n" + ",\n".join(json.dumps(run, ensure_ascii=False) for run in runs) + "\n]\n")


def tables(runs, scale):
    mean = lambda values: f"{statistics.mean(values):.3g}"
    return grid(("run", "rounds seen", "D's loss in the last fifth", "score", "score in the end", "modes in the end"),
                [(run["told"], run["rounds"], mean(run["loss_D"][-POINTS // 5:]), mean(run["score"][-SCORES // 4:]),
                  mean(run["score when it went on"][-2:]), run["modes in the end"]) for run in runs])
