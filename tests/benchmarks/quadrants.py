"""Which way of fine-tuning is best when, over seeds: `python tests/benchmarks/quadrants.py --seeds 5`.

Few or many images of classes like or unlike those that the source net knows, with each strategy of course_lib/tuning.py and the
reference's pieces, on one thread. Each run is a line of quadrants.jsonl beside this file, with all that it depends on; what is
there isn't run again. What is kept is then written to course_lib/measured.py, which the lesson reads, and printed; --table does only this.
With --scale gpu: a ResNet-18, photographs and digits, kept in quadrants.gpu.jsonl, which is only printed.
"""

import argparse
import os
import statistics
from dataclasses import asdict
from pathlib import Path

import torch
from records import complete, kept

from autograder.answers import reference_namespace
from course_lib import pretrained, tuning

RECORDS = {"cpu": Path(__file__).with_name("quadrants.jsonl"), "gpu": Path(__file__).with_name("quadrants.gpu.jsonl")}
MEASURED = Path(tuning.__file__).with_name("measured.py")
HEADER = '''"""What tests/benchmarks/quadrants.py measured, and wrote here: fine-tuning in four quadrants, seed by seed."""


def runs(shift="as they are"):
    """A dict for each run: "strategy", "per_class", "likeness", "seed", "seconds" and "accuracy", on test images under that shift."""
    return [{"strategy": strategy, "per_class": per_class, "likeness": likeness, "seed": seed, "seconds": seconds, "accuracy": accuracy}
            for (per_class, likeness, strategy), columns in TABLE.items()
            for seed, (seconds, accuracy) in enumerate(zip(columns["seconds"], columns[shift]))]


# (images a class, likeness, strategy) → figures by seed: seconds of the processor, and shares right by shift.
TABLE = {
'''
SIZES = {"cpu": {"few": {"per_class": 5, "steps": 100}, "many": {"per_class": 400, "steps": 300}},
         "gpu": {"few": {"per_class": 5, "steps": 200}, "many": {"per_class": 400, "steps": 2_000}}}
TESTS = 200  # images of each class; digits have 100


def identity(scale, size, likeness, name, strategy, seed):
    return {"size": size, "likeness": likeness, "strategy": name, **asdict(strategy), **SIZES[scale][size], "seed": seed}


def measure(scale, seeds, sizes):
    full = scale == "gpu"
    lesson, source = reference_namespace("fine_tuning"), pretrained.source_net(full=full)
    train, test = pretrained.tasks("train", full), pretrained.tasks("test", full)

    def run(size, likeness, strategy, seed, steps, per_class, **_):
        net, seconds = tuning.run(tuning.STRATEGIES[strategy], lesson, source, pretrained.few(train[likeness], per_class, seed), steps, seed)
        figures = tuning.accuracies(net, pretrained.few(test[likeness], TESTS))
        return {"accuracy": {shift: round(share, 4) for shift, share in figures.items()}, "seconds": round(seconds, 2)}

    complete(RECORDS[scale], [identity(scale, size, likeness, name, strategy, seed) for seed in range(seeds) for size in sizes
                              for likeness in ("like", "unlike") for name, strategy in tuning.STRATEGIES.items()], run)


def as_module():
    """What course_lib/measured.py should say: the runs with today's sizes and strategies, of those seeds that are whole."""
    today = {}
    for run in kept(RECORDS["cpu"]):
        size, likeness, name = run["size"], run["likeness"], run["strategy"]
        if size in SIZES["cpu"] and name in tuning.STRATEGIES and \
                identity("cpu", size, likeness, name, tuning.STRATEGIES[name], run["seed"]).items() <= run.items():
            today.setdefault((run["per_class"], likeness, name), {})[run["seed"]] = run
    lines = [HEADER]
    for key, by_seed in today.items():
        columns = {"seconds": [by_seed[seed]["seconds"] for seed in sorted(by_seed)]}
        columns |= {shift: [by_seed[seed]["accuracy"][shift] for seed in sorted(by_seed)] for shift in tuning.SHIFTS}
        lines.append(f"    {key}: {{\n" + "".join(f"        {name!r}: {values},\n" for name, values in columns.items()) + "    },\n")
    return "".join(lines).replace("'", '"') + "}\n"


def table(scale, shift):
    runs = kept(RECORDS[scale])
    columns = [(size, likeness) for size in SIZES[scale] for likeness in ("like", "unlike")]
    print(f"Test images {shift}: mean of the seeds (least to greatest)\n")
    print("| strategy | " + " | ".join(f"{size}, {likeness}" for size, likeness in columns) + " | seconds |")
    print("|---" * (len(columns) + 2) + "|")
    for name, strategy in tuning.STRATEGIES.items():
        cells, seconds = [], []
        for size, likeness in columns:
            these = [run for run in runs if identity(scale, size, likeness, name, strategy, run["seed"]).items() <= run.items()]
            shares = [run["accuracy"][shift] for run in these]
            seconds += [statistics.median(run["seconds"] for run in these)] if these else []
            cells.append(f"{statistics.mean(shares):.3f} ({min(shares):.3f} to {max(shares):.3f}), {len(shares)}" if shares else "")
        print(f"| {name} | " + " | ".join(cells) + f" | {' / '.join(f'{each:.1f}' for each in seconds)} |")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--size", choices=SIZES["cpu"], action="append", help="only these quadrants")
    options.add_argument("--scale", choices=SIZES, default="cpu")
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    if not chosen.table:
        torch.set_num_threads(1)
        os.environ["COURSE_SCALE"] = chosen.scale
        measure(chosen.scale, chosen.seeds, chosen.size or SIZES[chosen.scale])
    if chosen.scale == "cpu":
        MEASURED.write_text(as_module())
    for each in tuning.SHIFTS:
        table(chosen.scale, each)
