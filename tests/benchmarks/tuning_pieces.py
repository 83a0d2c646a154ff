"""Two smaller measurements of `fine_tuning`, over seeds: `python tests/benchmarks/tuning_pieces.py --seeds 5`.

How far features move when the new head begins at random or as the probe (section 3), and what batches of 32, 8 and 2 cost with each
norm, in the source net and in a shallow one (section 6). Each run is a line of tuning_pieces.jsonl beside this file; what is there isn't
run again.
"""

import argparse
import statistics
from pathlib import Path

import torch
from records import complete, kept

from autograder.answers import reference_namespace
from course_lib import classify, pretrained, tuning

PATH = Path(__file__).with_name("tuning_pieces.jsonl")
DISTORTED = ("all, one rate", "all, small rate", "LP-FT")
BATCHES, LOOKS, TESTS = (32, 8, 2), 1_600, 200


def measure(seeds):
    lesson, train, test = reference_namespace("fine_tuning"), pretrained.tasks("train"), pretrained.tasks("test")
    source = lesson["freeze_norms"](pretrained.source_net())
    new, known = test["like"].images[:500], test["source"].images[:500]
    judged_on = pretrained.few(test["like"], TESTS)

    def distorted(strategy, seed):
        data = pretrained.few(train["like"], 10, seed)
        moved = tuning.distortion(tuning.STRATEGIES[strategy], lesson, source, data, [data.images, new, known], 100, seed)
        return dict(zip(("trained on", "new", "the source's"), (round(each, 4) for each in moved)))

    def trained(net, norm, batch, seed):
        data = pretrained.few(train["like"], 100, seed)
        make = {"source": lambda: pretrained.with_new_head(tuning.NORMS[norm](lesson), 5), "shallow": lambda: tuning.shallow(norm, 5)}[net]
        result = tuning.in_batches(make, lesson, data, batch, LOOKS * (1 if net == "source" else 2), 0.03 if net == "source" else 0.05, seed)
        return {"accuracy": round(classify.accuracy(result, judged_on.images, judged_on.labels), 4)}

    complete(PATH, [{"strategy": name, "seed": seed} for seed in range(seeds) for name in DISTORTED], distorted)
    complete(PATH, [{"net": net, "norm": norm, "batch": batch, "seed": seed} for seed in range(seeds)
                    for net, norms in (("source", tuning.NORMS), ("shallow", tuning.SHALLOW_NORMS)) for norm in norms for batch in BATCHES], trained)


def spread(values):
    return f"{statistics.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})" if values else ""


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    if not chosen.table:
        torch.set_num_threads(1)
        measure(chosen.seeds)
    runs = kept(PATH)
    print("| features moved | trained on | new ones like them | the source's classes |\n|---|---|---|---|")
    for name in DISTORTED:
        own = [run for run in runs if run.get("strategy") == name]
        print(f"| {name} | " + " | ".join(spread([run[key] for run in own]) for key in ("trained on", "new", "the source's")) + " |")
    print(f"\n| net | norm | {' | '.join(f'batch {batch}' for batch in BATCHES)} |\n|---|---|---|---|---|")
    for net, norm in dict.fromkeys((run["net"], run["norm"]) for run in runs if "net" in run):
        shares = [[run["accuracy"] for run in runs if (run.get("net"), run.get("norm"), run.get("batch")) == (net, norm, batch)] for batch in BATCHES]
        print(f"| {net} | {norm} | {' | '.join(map(spread, shares))} |")
