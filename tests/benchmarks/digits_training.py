"""What `cnn_families`' check `training` sees where Fashion-MNIST can't be had and digits take its place, over seeds:
`python tests/benchmarks/digits_training.py [--scale smoke|cpu] [--seeds 20] [--table]`.

The reference and each wrong answer whose training is measured, judged on all test digits. Each run is a line of
digits_training.<scale>.jsonl beside this file; what is there isn't run again. The check's bounds on digits come from these.
"""

import argparse
import os
import statistics
from pathlib import Path

import torch
from records import complete, kept

MEASURED = ("a linear classifier", "reference", "pre-activation and AdamW, no average", "softmax before the loss", "the book's rate on the mean of the losses")


def table(path):
    print("| answer | seeds | accuracy |\n|---|---|---|")
    for name in MEASURED:
        values = [run["accuracy"] for run in kept(path) if run["answer"] == name]
        if values:
            print(f"| {name} | {len(values)} | {min(values):.3f} / {statistics.median(values):.3f} / {max(values):.3f} |")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scale", choices=["smoke", "cpu"], default="cpu")
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    record = Path(__file__).with_name(f"digits_training.{chosen.scale}.jsonl")
    if not chosen.table:
        os.environ["COURSE_SCALE"] = chosen.scale
        from autograder import answers, calibrate
        from course_lib import classify
        from course_lib.check import checks_of
        from course_lib.data import load_images

        torch.set_num_threads(1)
        check, budget = checks_of("cnn_families")["training"], {"smoke": 9_600, "cpu": 38_400}[chosen.scale]
        train, test = (load_images("digits", split, size=14) for split in ("train", "test"))
        known = calibrate.candidates(check)

        def run(answer, seed):
            lesson = known[answer].make_namespace() if known[answer] else answers.reference_namespace("cnn_families")
            torch.manual_seed(seed)
            net = lesson.get("train_mine")(train.images, train.labels, 10, budget)
            return {"accuracy": classify.accuracy(net, test.images, test.labels)}

        complete(record, [{"answer": name, "seed": seed} for name in MEASURED for seed in range(chosen.seeds)], run)
    table(record)
