"""Which way of fine-tuning is best when.

The source net of `fine_tuning` (145,000 parameters), fine-tuned with each strategy of `course_lib/tuning.py` and the reference's pieces on
classes like or unlike its own; few: 5 images of each class and 100 steps, many: 400 and 300. Shares of 1,000 test images right, mean of the
seeds (least to greatest), and medians of the seconds of processor time in the four quadrants, one thread. There are 400 digits of each class:
in "many, unlike" the seeds share all images, and differ in the order and the new head. Differences seed by seed, with their standard
errors, are printed by two cells of the lesson, in sections 4 and 5, which read `course_lib/measured.py`: this benchmark writes it. On a GPU:
a ResNet-18, photographs and digits.
"""

import statistics
from dataclasses import asdict
from pathlib import Path

from autograder.answers import reference_namespace
from course_lib import pretrained, tuning
from tests.benchmarks.page import grid, spread
from tests.benchmarks.records import kept, path_of

MINUTES = {"cpu": 10, "gpu": None}
SEEDS = 5
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
SHIFTED = {"as they are": "as they are", "noise": "with noise", "blur": "blurred", "rotation": "turned by 20°"}
TESTS = 200  # images of each class; digits have 100


def identity(scale, size, likeness, name, strategy, seed):
    return {"size": size, "likeness": likeness, "strategy": name, **asdict(strategy), **SIZES[scale][size], "seed": seed}


def wanted(scale):
    return [identity(scale, size, likeness, name, strategy, seed) for size in SIZES[scale] for likeness in ("like", "unlike")
            for name, strategy in tuning.STRATEGIES.items() for seed in range(SEEDS)]


def measure(scale):
    full = scale == "gpu"
    lesson, source = reference_namespace("fine_tuning"), pretrained.source_net(full=full)
    train, test = pretrained.tasks("train", full), pretrained.tasks("test", full)

    def figures(size, likeness, strategy, seed, steps, per_class, **_):
        net, seconds = tuning.run(tuning.STRATEGIES[strategy], lesson, source, pretrained.few(train[likeness], per_class, seed), steps, seed)
        shares = tuning.accuracies(net, pretrained.few(test[likeness], TESTS))
        return {"accuracy": {shift: round(share, 4) for shift, share in shares.items()}, "seconds": round(seconds, 2)}

    return figures


def as_module():
    """What course_lib/measured.py should say."""
    by_cell = {}
    for run in kept(path_of("quadrants", "cpu"), wanted("cpu")):
        by_cell.setdefault((run["per_class"], run["likeness"], run["strategy"]), []).append(run)
    lines = [HEADER]
    for key, runs in by_cell.items():
        columns = {"seconds": [run["seconds"] for run in runs]}
        columns |= {shift: [run["accuracy"][shift] for run in runs] for shift in tuning.SHIFTS}
        lines.append(f"    {key}: {{\n" + "".join(f"        {name!r}: {values},\n" for name, values in columns.items()) + "    },\n")
    return "".join(lines).replace("'", '"') + "}\n"


def hand_on():
    MEASURED.write_text(as_module())


def tables(runs, scale):
    return "\n\n".join(f"Test images {SHIFTED[shift]}:\n\n{table(runs, scale, shift)}" for shift in tuning.SHIFTS)


def table(runs, scale, shift):
    quadrants = [(size, likeness) for size in SIZES[scale] for likeness in ("like", "unlike")]
    rows = []
    for name in tuning.STRATEGIES:
        own = [[run for run in runs if (run["size"], run["likeness"], run["strategy"]) == (*quadrant, name)] for quadrant in quadrants]
        rows.append((name, *(spread([run["accuracy"][shift] for run in cell]) for cell in own),
                     " / ".join(f"{statistics.median(run['seconds'] for run in cell):.1f}" for cell in own if cell)))
    head = ("strategy", *(f"{size}, {likeness}" for size, likeness in quadrants), "seconds")
    # training is the same whatever the test images are
    return grid(head, rows) if shift == "as they are" else grid(head[:-1], [row[:-1] for row in rows])
