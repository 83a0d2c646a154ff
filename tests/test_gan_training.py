"""The reference solution of `gan_training` against witnesses of another kind: torch's own layers, closed forms, finite differences."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from scipy import optimize, stats
from torch import nn

from autograder.answers import reference_namespace

logits = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6).map(lambda values: torch.tensor(values, dtype=torch.float64))


@pytest.fixture(scope="module")
def lesson():
    return reference_namespace("gan_training")


# --- 1: a DCGAN ---

def transposed(x, weight, bias, size):
    """A transposed convolution of kernel 4, stride 2 and padding 1 as what it is named after: the transpose of the convolution."""
    below = torch.zeros(len(x), weight.shape[1], size, size, dtype=x.dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(F.conv2d(below, weight, stride=2, padding=1), below, x)
    return gradient if bias is None else gradient + bias[:, None, None]


def unfolded(x, weight, bias):
    """A convolution of kernel 4, stride 2 and padding 1 as one matrix product over patches."""
    patches = F.unfold(x, 4, padding=1, stride=2)
    out = torch.einsum("ok,nkl->nol", weight.flatten(1), patches).unflatten(2, [x.shape[-1] // 2] * 2)
    return out if bias is None else out + bias[:, None, None]


def standardised(x, weight, bias):
    return (x - x.mean((0, 2, 3), keepdim=True)) / (x.var((0, 2, 3), correction=0, keepdim=True) + 1e-5).sqrt() * weight[:, None, None] + bias[:, None, None]


def test_the_nets_are_their_layers_written_out(lesson):
    torch.manual_seed(0)
    G, D = lesson["Generator"](6, 3).double(), lesson["Discriminator"](3).double()
    with torch.no_grad():
        for parameter in (*G.parameters(), *D.parameters()):
            parameter.copy_(torch.randn(parameter.shape) / 3)
    z, images = torch.randn(4, 6).double(), torch.rand(4, 1, 28, 28).double()
    linear, w1, b1, up1, w2, b2, up2, b3 = G.parameters()
    x = torch.relu(standardised((z @ linear.T).reshape(4, 6, 7, 7), w1, b1))
    x = torch.relu(standardised(transposed(x, up1, None, 14), w2, b2))
    assert torch.allclose(G(z), torch.tanh(transposed(x, up2, b3, 28)), atol=1e-10) and G(z).shape == (4, 1, 28, 28)
    first, c1, second, w, b, last, c2 = D.parameters()
    leaky = lambda x: torch.maximum(x, 0.2 * x)
    x = leaky(standardised(unfolded(leaky(unfolded(images, first, c1)), second, None), w, b)).flatten(1)
    assert torch.allclose(D.features(images), x, atol=1e-10) and torch.allclose(D(images), x @ last.T + c2, atol=1e-10)


def test_weights_begin_normal_by_kolmogorov_and_smirnov(lesson):
    torch.manual_seed(1)
    nets = nn.ModuleList([lesson["Generator"](20, 40), lesson["Discriminator"](40)])
    assert lesson["initialise"](nets) is nets
    for module in nets.modules():
        if hasattr(module, "weight"):
            mean = 1 if isinstance(module, nn.BatchNorm2d) else 0
            assert stats.kstest(module.weight.detach().flatten().numpy(), "norm", (mean, 0.02)).pvalue > 1e-4
            assert module.bias is None or not module.bias.any()


@given(logits, logits)
@settings(max_examples=40, deadline=None)
def test_the_objective_is_cross_entropies(lesson, real, fake):
    bce, (loss_D, loss_G) = nn.BCEWithLogitsLoss(), lesson["non_saturating"](real, fake)
    assert loss_D.item() == pytest.approx((bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))).item(), rel=1e-12)
    assert loss_G.item() == pytest.approx(bce(fake, torch.ones_like(fake)).item(), rel=1e-12)


@pytest.mark.filterwarnings("ignore")
def test_a_round_is_the_books_updates_at_half_the_loss_and_twice_the_rate(lesson):
    d2l = pytest.importorskip("d2l.torch")
    torch.manual_seed(0)
    D = nn.Sequential(nn.Linear(2, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 1)).double()
    G = nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Tanh(), nn.Linear(5, 2)).double()
    book_D, book_G = copy.deepcopy(D), copy.deepcopy(G)
    sgd = lambda net, rate: torch.optim.SGD(net.parameters(), rate, momentum=0.9)
    mine, book = (sgd(D, 0.1), sgd(G, 0.1)), (sgd(book_D, 0.2), sgd(book_G, 0.1))
    torch.set_default_dtype(torch.float64)
    try:
        for _ in range(3):
            x, z = torch.randn(16, 2), torch.randn(16, 3)
            lesson["play_round"](D, G, *mine, x, z, lesson["non_saturating"])
            d2l.update_D(x, z, book_D, book_G, nn.BCEWithLogitsLoss(), book[0])
            d2l.update_G(z, book_D, book_G, nn.BCEWithLogitsLoss(), book[1])
    finally:
        torch.set_default_dtype(torch.float32)
    for one, other in zip((*D.parameters(), *G.parameters()), (*book_D.parameters(), *book_G.parameters())):
        assert torch.allclose(one, other, rtol=0, atol=1e-13)


def test_a_penalty_is_in_the_loss_and_in_the_step(lesson):
    D, G = nn.Linear(1, 1, bias=False).double(), nn.Linear(1, 1, bias=False).double()
    nn.init.constant_(D.weight, 2.0), nn.init.constant_(G.weight, 3.0)
    one = torch.ones(1, 1).double()
    losses = lesson["play_round"](D, G, torch.optim.SGD(D.parameters(), 0.1), torch.optim.SGD(G.parameters(), 0.1), one, one,
                                  lambda real, fake: ((fake - real).mean(), -fake.mean()), lambda D, real, fake: 0.5 * D(one).square().mean())
    # D: (3 − 1)·2 + ½·2² = 6, with the slope 2 + 2; then 2 − 0.4. G: −1.6·3, with the slope −1.6.
    assert losses == pytest.approx((6.0, -4.8)) and D.weight.item() == pytest.approx(1.6) and G.weight.item() == pytest.approx(3.16)


# --- 3: when to stop ---


# --- 4: labels ---

@given(logits, logits, st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_smoothed_loss_is_the_cross_entropy_with_soft_targets(lesson, real, fake, r, s):
    bce = F.binary_cross_entropy_with_logits
    expected = bce(real, torch.full_like(real, r)) + bce(fake, torch.full_like(fake, s))
    assert lesson["smoothed_loss"](real, fake, r, s).item() == pytest.approx(expected.item(), rel=1e-9, abs=1e-9)


def test_all_flips_one_by_one_have_the_smoothed_loss_as_their_mean_and_the_noise_as_their_deviation(lesson):
    torch.manual_seed(0)
    real, fake, flipped = 2 * torch.randn(4).double(), 2 * torch.randn(6).double(), 0.3
    cost = lambda logits, labels: F.binary_cross_entropy_with_logits(logits, labels).item()
    weighted = []
    for flips in itertools.product([0.0, 1.0], repeat=10):
        turned = torch.tensor(flips, dtype=torch.float64)
        weighted.append((flipped ** sum(flips) * (1 - flipped) ** (10 - sum(flips)), cost(real, 1 - turned[:4]) + cost(fake, turned[4:])))
    mean = sum(weight * loss for weight, loss in weighted)
    deviation = math.sqrt(sum(weight * (loss - mean) ** 2 for weight, loss in weighted))
    assert lesson["smoothed_loss"](real, fake, 1 - flipped, flipped).item() == pytest.approx(mean, rel=1e-10)
    assert lesson["flip_noise"](real, fake, flipped).item() == pytest.approx(deviation, rel=1e-10)


@given(st.floats(1e-3, 10), st.floats(1e-3, 10), st.floats(0.01, 0.49))
@settings(max_examples=40, deadline=None)
def test_the_optimum_under_flips_is_found_by_a_numerical_optimiser(lesson, p, q, flipped):
    loss = lambda d: -(p * ((1 - flipped) * np.log(d) + flipped * np.log(1 - d)) + q * ((1 - flipped) * np.log(1 - d) + flipped * np.log(d)))
    found = optimize.minimize_scalar(loss, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10}).x
    assert lesson["flipped_optimum"](torch.tensor([p]), torch.tensor([q]), flipped).item() == pytest.approx(found, abs=1e-4)


def test_without_embeddings_a_class_changes_nothing_and_with_them_it_adds_an_inner_product(lesson):
    torch.manual_seed(0)
    plain, D = lesson["Discriminator"](2).eval(), lesson["ClassDiscriminator"](2, 3).eval()
    D.load_state_dict(plain.state_dict(), strict=False)
    x, seen = torch.randn(5, 1, 28, 28), []
    labels = torch.tensor([0, 2, 1, 2, 0])
    assert torch.allclose(D(x, labels), plain(x))
    embedding = next(module for module in D.modules() if isinstance(module, nn.Embedding))
    nn.init.normal_(embedding.weight)
    next(module for module in D.modules() if isinstance(module, nn.Linear)).register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    added = D(x, labels) - plain(x)
    assert torch.allclose(added[:, 0], torch.stack([embedding.weight[k] @ row for k, row in zip(labels, seen[0])]), atol=1e-4)


def test_a_class_generator_is_a_generator_of_longer_noise(lesson):
    torch.manual_seed(0)
    G, plain = lesson["ClassGenerator"](4, 2, 3).eval(), lesson["Generator"](8, 2).eval()
    table, *rest = G.state_dict().values()
    plain.load_state_dict(dict(zip(plain.state_dict(), rest)))
    z, labels = torch.randn(5, 4), torch.tensor([0, 2, 1, 2, 0])
    assert torch.allclose(G(z, labels), plain(torch.cat([z, table[labels]], 1)))


def test_the_log_ratio_of_labelled_mixtures_is_a_projection():
    """What the conditional discriminator should be able to say is, between two classes, linear in x when classes are softmax-linear."""
    normal = lambda centre: stats.multivariate_normal(centre, np.eye(2))
    real, fake = [[0, 0], [2, 1], [-1, 3]], [[1, 0], [0, 2], [-2, -2]]
    x = np.random.default_rng(0).normal(size=(40, 2))
    ratio = np.stack([normal(a).logpdf(x) - normal(b).logpdf(x) for a, b in zip(real, fake)], 1)
    between = ratio[:, 1] - ratio[:, 0]
    fit, residual, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), between, rcond=None)
    assert residual.item() < 1e-20


# --- 5: other objectives ---


# --- 6: mode collapse ---
