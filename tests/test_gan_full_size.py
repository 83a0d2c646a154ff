"""GANs at full size, at a tiny one: nets, rounds, and what `make bench` would measure on a GPU, once through on the CPU."""

import pytest
import torch
from conftest import ROOT
from torch import nn

from autograder.answers import reference_namespace
from course_lib import dcgan, fid, gan_full_size
from course_lib.data import ImageSet


@pytest.fixture(scope="module")
def lesson():
    return reference_namespace("gan_training")


@pytest.mark.parametrize("norm, layers", [(None, 0), (nn.BatchNorm2d, 2)])
def test_the_nets_for_photographs(norm, layers):
    D, G = dcgan.discriminator(3, 4, norm=norm), dcgan.generator(3, 4, 6)
    drawn = G(torch.randn(5, 6))
    assert drawn.shape == (5, 3, 32, 32) and drawn.abs().max() < 1 and D(drawn).shape == (5, 1)
    convolutions = [layer for layer in D if isinstance(layer, nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [4, 8, 16]
    assert [layer.bias is None for layer in convolutions] == [False, *[bool(norm)] * 2]  # none before a batch norm
    assert sum(isinstance(layer, nn.BatchNorm2d) for layer in D) == layers
    assert [layer.out_channels for layer in G if isinstance(layer, nn.ConvTranspose2d)] == [8, 4, 3]


def test_training_hands_the_round_its_own_batches(lesson):
    images, seen, before = torch.rand(90, 1, 28, 28), [], []

    def round_(D, G, opt_D, opt_G, real, z, objective, penalty):
        seen.append((real, z))
        before.append((opt_G.param_groups[0]["lr"], opt_G.param_groups[0]["betas"]))
        return lesson["play_round"](D, G, opt_D, opt_G, real, z, objective, penalty)

    G = lesson["Generator"](gan_full_size.NOISE, 2)
    average = gan_full_size.train(round_, lesson["non_saturating"], lesson["Discriminator"](2), G, images, 4)
    assert [(len(real), *z.shape) for real, z in seen] == [(64, 64, 128)] * 4 and before[0] == (2e-4, (0.5, 0.999))
    assert all((real.flatten(1)[:, None] == images.flatten(1)).all(2).any(1).all() for real, _ in seen)
    assert len({real.sum().item() for real, _ in seen}) == len({z.sum().item() for _, z in seen}) == 4
    first, again, other = gan_full_size.draw(average, 3), gan_full_size.draw(average, 3), gan_full_size.draw(average, 3, seed=1)
    assert first.shape == (3, 1, 28, 28) and torch.equal(first, again) and not torch.equal(first, other)


def test_spectral_norm_on_every_weight_is_torchs(lesson):
    torch.manual_seed(0)
    D = gan_full_size.with_weights(dcgan.discriminator(3, 4), lesson["begin_spectral"])
    for _ in range(300):  # an iteration a call
        D(torch.randn(2, 3, 32, 32))
    norms = [torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() for layer in D.eval() if hasattr(layer, "weight")]
    assert norms == pytest.approx([1.0] * 4, abs=2e-3)


@pytest.fixture
def benchmark(monkeypatch):
    """The benchmark, on random pictures; what it would measure of FID, in the place of Inception, is a number."""
    monkeypatch.syspath_prepend(ROOT)
    from tests.benchmarks import gan_full_size as benchmark

    def some(name, split, scale):
        channels, size = {"fashion_mnist": (1, 28), "cifar10": (3, 32)}[name]
        return ImageSet(torch.rand(40, channels, size, size) * 2 - 1, torch.zeros(40).long(), name, split, ("one",), "Made here.", scale)

    monkeypatch.setattr(benchmark, "load_images", some)
    monkeypatch.setattr(fid, "fid", lambda drawn, real: float(len(drawn) + len(real)))
    return benchmark


def test_the_benchmark_runs_every_recipe_and_makes_its_table(benchmark, monkeypatch):
    assert list(benchmark.MINUTES) == ["gpu"]
    tiny = [run | {"steps": min(run["steps"], 2), "width": 2, "drawn": 8} for run in benchmark.wanted("gpu") if run["seed"] == 0]
    assert len(tiny) == 7
    measure = benchmark.measure("smoke")
    runs = [run | measure(**run) for run in tiny]
    assert all(run["FID"] == 16 and run["distance"] > 0 and ("seconds" in run) == (run["recipe"] != benchmark.REAL) for run in runs)
    again = measure(**tiny[0])
    assert again["distance"] == runs[0]["distance"]
    table = benchmark.tables(runs, "gpu")
    assert table.count("\n") == 8 and "| cifar10 | spectral norm in D | 2 | 1 | 16.0 | 29.3 |" in table

    def missing(drawn, real):
        raise fid.Missing("no weights")

    monkeypatch.setattr(fid, "fid", missing)
    without = tiny[-1] | measure(**tiny[-1])
    assert "FID" not in without and benchmark.tables([without], "gpu").endswith(f"| fashion_mnist | real images | 0 | 1 |  |  | {without['distance']:.0f} |  |")
