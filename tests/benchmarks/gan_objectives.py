"""The recipes of `gan_training` on the ring of 8 and the grid of 25, five runs each with the same budget:
`python tests/benchmarks/gan_objectives.py [--runs 5] [--table]`.

The reference's objectives, penalties and norms, trained by its `play_round`. All runs of a recipe on one data set are a line of
gan_objectives.jsonl beside this file; what is there isn't run again. The lesson and docs/results.md quote the table.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from records import complete, kept

RECORD = Path(__file__).with_suffix(".jsonl")
ROUNDS = {"ring": 600, "grid": 1_500}


def table():
    """One row a recipe: for each data set the median, least and greatest figure of its runs."""
    runs = kept(RECORD)
    print("| recipe | ring: modes of 8 | high quality | reverse KL | grid: modes of 25 | high quality | reverse KL |\n|---|---|---|---|---|---|---|")
    for name in dict.fromkeys(run["recipe"] for run in runs):
        cells = []
        for data in ROUNDS:
            figures = next((run["figures"] for run in runs if run["recipe"] == name and run["data"] == data), None)
            cells += ["" if figures is None else _spread([each[key] for each in figures], digits)
                      for key, digits in (("modes", 0), ("quality", 2), ("reverse KL", 2))]
        print(f"| {name} | {' | '.join(cells)} |")


def _spread(values, digits):
    least, middle, greatest = (f"{value:.{digits}f}" for value in (min(values), statistics.median(values), max(values)))
    return f"{middle} ({least} to {greatest})"


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    if not chosen.table:
        from autograder.answers import reference_namespace
        from course_lib import gan_recipes

        torch.set_num_threads(1)
        lesson = reference_namespace("gan_training")

        def measure(data, recipe, rounds, runs):
            began, mixture = time.process_time(), getattr(gan_recipes, data)()
            G, _, _ = gan_recipes.train(lesson["recipes"][recipe], lesson["play_round"], mixture, rounds, runs)
            figures = [{key: round(value, 4) for key, value in each.items()} for each in gan_recipes.figures(G, mixture)]
            return {"figures": figures, "seconds": round(time.process_time() - began, 1)}

        complete(RECORD, [{"data": data, "recipe": name, "rounds": rounds, "runs": chosen.runs}
                          for data, rounds in ROUNDS.items() for name in lesson["recipes"]], measure)
    table()
