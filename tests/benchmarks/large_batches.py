"""What a larger batch does to the best rate.

The small net of `data_parallel`, 16,000 images of Fashion-MNIST (14×14) in all, batches and rates over a grid, with and without a warm-up over
a fifth of the steps: shares of 2,000 test images right, mean of the seeds (least to greatest).
"""

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import classify
from course_lib.data import load_images
from tests.benchmarks.page import grid, spread

MINUTES = {"cpu": 15}
SEEDS = 5
BATCHES, RATES, LOOKS = (32, 128, 512), (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64), 16_000


def wanted(scale):
    return [{"batch": batch, "rate": rate, "warmup": warmup, "seed": seed} for batch in BATCHES for warmup in (0, 0.2) for rate in RATES
            for seed in range(SEEDS)]


def measure(scale):
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

    return accuracy


def tables(runs, scale):
    of = lambda *which: [run["accuracy"] for run in runs if (run["batch"], run["warmup"], run["rate"]) == which]
    return grid(("batch", "warm-up", *(f"rate {rate:g}" for rate in RATES)),
                [(batch, "a fifth" if warmup else "none", *(spread(of(batch, warmup, rate)) for rate in RATES))
                 for batch, warmup in dict.fromkeys((run["batch"], run["warmup"]) for run in runs)])
