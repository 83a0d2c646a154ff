"""What a larger batch does to the best rate, in `data_parallel`: `python tests/benchmarks/large_batches.py --seeds 5`.

The lesson's small net, 16,000 images of Fashion-MNIST (14×14) in all, batches and rates over a grid, with and without a warm-up over a
fifth of the steps. Each run is a line of large_batches.jsonl beside this file; what is there isn't run again.
"""

import argparse
import statistics
from pathlib import Path

import torch
import torch.nn.functional as F
from records import complete, kept
from torch import nn

from course_lib import classify
from course_lib.data import load_images

PATH = Path(__file__).with_name("large_batches.jsonl")
BATCHES, RATES, LOOKS = (32, 128, 512), (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64), 16_000


def measure(seeds):
    train = load_images("fashion_mnist", "train", size=14, limit=4_000)
    test = load_images("fashion_mnist", "test", size=14, limit=2_000)

    def accuracy(batch, rate, warmup, seed):
        torch.manual_seed(seed)
        net = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10))
        steps = LOOKS // batch
        warm = max(1, int(warmup * steps))
        classify.train_classifier(net, train.images, train.labels, F.cross_entropy, torch.optim.SGD(net.parameters(), rate, momentum=0.9), steps,
                                  batch, rate=lambda step: rate * min(1, (step + 1) / warm), generator=torch.Generator().manual_seed(seed))
        return {"accuracy": round(classify.accuracy(net, test.images, test.labels), 4)}

    complete(PATH, [{"batch": batch, "rate": rate, "warmup": warmup, "seed": seed} for seed in range(seeds) for batch in BATCHES
                    for warmup in (0, 0.2) for rate in RATES], accuracy)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--table", action="store_true")
    chosen = options.parse_args()
    if not chosen.table:
        torch.set_num_threads(1)
        measure(chosen.seeds)
    runs = kept(PATH)
    print(f"| batch | warm-up | {' | '.join(f'rate {rate:g}' for rate in RATES)} |\n|---|---|{'---|' * len(RATES)}")
    for batch, warmup in dict.fromkeys((run["batch"], run["warmup"]) for run in runs):
        cells = [[run["accuracy"] for run in runs if (run["batch"], run["warmup"], run["rate"]) == (batch, warmup, rate)] for rate in RATES]
        print(f"| {batch} | {'a fifth' if warmup else 'none'} | " + " | ".join(f"{statistics.mean(cell):.3f} ({min(cell):.3f} to {max(cell):.3f})"
                                                                            for cell in cells if cell) + " |")
