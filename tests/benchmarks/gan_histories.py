"""Records the runs that `gan_training`'s monitor is tried on: `python tests/benchmarks/gan_histories.py`.

Each is a GAN on the ring of 8, trained by the reference's `play_round`. The monitor sees the history up to a round; what came of the run when it
went on as long again is recorded beside it. Writes course_lib/gan_histories.json.
"""

import json

import torch

from autograder.answers import reference_namespace
from course_lib import gan_recipes
from course_lib.gan_recipes import Mixture, Recipe

POINTS, SCORES = 100, 32


def record(lesson, told, recipe, data, seen):
    """One run of 2 · `seen` rounds: its history up to `seen`, and its score and modes at both ends."""
    torch.manual_seed(5)
    real, found = data.sample(1000), []

    def look(number, G):
        if (number + 1) % (seen // SCORES) == 0:
            found.append(gan_recipes.energy_distance(gan_recipes.samples(G, 1000)[0], real))

    G, _, history = gan_recipes.train(recipe, lesson["play_round"], data, 2 * seen, runs=1, after_round=look)
    short = lambda values: [float(f"{value:.4g}") for value in values]
    thinned = lambda losses: short(torch.tensor(losses[:seen]).unflatten(0, (POINTS, -1)).mean(1).tolist())
    return {"told": told, "rounds": seen, "loss_D": thinned(history["loss_D"]), "loss_G": thinned(history["loss_G"]),
            "score": short(found[:SCORES]), "score when it went on": short(found[SCORES:][3::4]),
            "modes in the end": gan_recipes.figures(G, data)[0]["modes"]}


def runs(lesson):
    """What is recorded: (what is told of it, recipe, data, rounds that the monitor sees)."""
    ring, plain = gan_recipes.ring(), lesson["non_saturating"]
    moved = Mixture(ring.centres + torch.tensor([12.0, 0.0]), ring.sigma)
    return [("a tenth of the usual rates", Recipe(plain, rate_D=2e-4, rate_G=2e-4), ring, 800),
            ("G begins 12 away from the data", Recipe(plain, rate_D=5e-4, rate_G=5e-4), moved, 800),
            ("the usual rates, for long", Recipe(plain), ring, 1600),
            ("G learns 500 times slower than D", Recipe(plain, rate_D=5e-3, rate_G=1e-5), ring, 800),
            ("G ends in tanh, the data reach to 2", Recipe(plain, last=torch.nn.Tanh()), ring, 800)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    lesson = reference_namespace("gan_training")
    recorded = [record(lesson, *each) for each in runs(lesson)]
    gan_recipes.HISTORIES.write_text("[\n" + ",\n".join(json.dumps(run, ensure_ascii=False) for run in recorded) + "\n]\n")
