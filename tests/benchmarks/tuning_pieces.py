"""What fine-tuning does to features, and small batches to norms.

How far features move when 50 images of other clothes are trained on for 100 steps, batch norms frozen, relative to their size, with the new
head beginning at random or as the probe (section 3 of `fine_tuning`). And what small batches cost with each norm (section 6): shares of 1,000
test images right after 1,600 looks (source net, rate 0.03 for 32) or 3,200 (two convolutions from scratch, 0.05) at 500 images, rates in
proportion to the batch. Means of the seeds (least to greatest); differences in points, seed by seed, ± their standard error.
"""

import statistics

from autograder.answers import reference_namespace
from course_lib import classify, pretrained, tuning
from tests.benchmarks.page import grid, spread

MINUTES = {"cpu": 8}
SEEDS = 5
DISTORTED = ("all, one rate", "all, small rate", "LP-FT")
BATCHES, LOOKS, TESTS = (32, 8, 2), 1_600, 200


def wanted(scale):
    return [*({"strategy": name, "seed": seed} for name in DISTORTED for seed in range(SEEDS)),
            *({"net": net, "norm": norm, "batch": batch, "seed": seed} for net, norms in (("source", tuning.NORMS), ("shallow", tuning.SHALLOW_NORMS))
              for norm in norms for batch in BATCHES for seed in range(SEEDS))]


def measure(scale):
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

    return lambda seed, strategy=None, **run: distorted(strategy, seed) if strategy else trained(**run, seed=seed)


def tables(runs, scale):
    moved = [(name, *(spread([run[key] for run in runs if run.get("strategy") == name]) for key in ("trained on", "new", "the source's")))
             for name in dict.fromkeys(run["strategy"] for run in runs if "strategy" in run)]
    of = lambda *which: {run["seed"]: run["accuracy"] for run in runs if (run.get("net"), run.get("norm"), run.get("batch")) == which}
    shares = [(net, norm, *(spread(list(of(net, norm, batch).values())) for batch in BATCHES))
              for net, norm in dict.fromkeys((run["net"], run["norm"]) for run in runs if "net" in run)]
    batches = [f"batch {batch}" for batch in BATCHES]
    usual, *others = tuning.NORMS
    better = [(f"{usual} − {other}", *(paired(of("source", usual, batch), of("source", other, batch)) for batch in BATCHES)) for other in others]
    return "\n\n".join([grid(("features moved", "trained on", "new ones like them", "the source's classes"), moved),
                        grid(("net", "norm", *batches), shares), grid(("source net, in points", *batches), better)])


def paired(first, second):
    """The difference of two {seed: share} in points, seed by seed: its mean ± standard error."""
    differences = [100 * (first[seed] - second[seed]) for seed in first.keys() & second.keys()]
    if len(differences) < 2:
        return ""
    return f"{statistics.mean(differences):.2f} ± {statistics.stdev(differences) / len(differences) ** 0.5:.2f}".replace("-", "−")
