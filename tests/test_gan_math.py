"""The reference solution of `gan_math` against witnesses of another kind: SciPy, d2l, closed forms, finite differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from scipy import integrate, optimize, stats
from scipy.spatial.distance import jensenshannon
from torch import nn

from autograder.answers import reference_namespace
from course_lib import gan

logits = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=6).map(lambda values: torch.tensor(values, dtype=torch.float64))
densities = st.floats(1e-3, 10)


@pytest.fixture(scope="module")
def lesson():
    return reference_namespace("gan_math")


@given(real=logits, fake=logits)
@settings(max_examples=60, deadline=None)
def test_value_is_minus_the_cross_entropies(lesson, real, fake):
    bce = nn.BCEWithLogitsLoss()
    expected = -bce(real, torch.ones_like(real)) - bce(fake, torch.zeros_like(fake))
    value = lesson["gan_value"](real, fake)
    assert math.isfinite(value) and value <= 0 and value.item() == pytest.approx(expected.item(), rel=1e-12)


@given(densities, densities, st.floats(0.6, 1), st.floats(0, 0.4))
@settings(max_examples=60, deadline=None)
def test_optimum_is_found_by_a_numerical_optimiser(lesson, p, q, real, fake):
    loss = lambda d: -(p * (real * np.log(d) + (1 - real) * np.log(1 - d)) + q * (fake * np.log(d) + (1 - fake) * np.log(1 - d)))
    found = optimize.minimize_scalar(loss, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10}).x
    best = lesson["optimal_discriminator"](torch.tensor([p]), torch.tensor([q]), real, fake).item()
    assert best == pytest.approx(found, abs=1e-4)


@given(densities, densities, st.floats(0.6, 1), st.floats(0, 0.4))
@settings(max_examples=60, deadline=None)
def test_ratio_undoes_the_optimum(lesson, p, q, real, fake):
    p, q = torch.tensor([p], dtype=torch.float64), torch.tensor([q], dtype=torch.float64)
    logit = torch.logit(lesson["optimal_discriminator"](p, q, real, fake))
    assert lesson["density_ratio"](logit, real, fake).item() == pytest.approx((p / q).item(), rel=1e-6)


@pytest.mark.parametrize("mean, std", [(0.5, 1.0), (3.0, 0.5), (6.0, 2.0)])
def test_divergence_against_adaptive_quadrature_and_scipy(lesson, mean, std):
    p, q = stats.norm(0, 1), stats.norm(mean, std)
    m = lambda x: (p.pdf(x) + q.pdf(x)) / 2
    part = lambda x: sum(f.pdf(x) * (f.logpdf(x) - np.log(m(x))) for f in (p, q)) / 2 if m(x) > 0 else 0.0
    expected, _ = integrate.quad(part, -20, 25, limit=400)
    x = np.linspace(-20, 25, 9001)
    found = lesson["jensen_shannon"](torch.from_numpy(p.logpdf(x)), torch.from_numpy(q.logpdf(x)), x[1] - x[0]).item()
    assert found == pytest.approx(expected, abs=1e-7)
    assert found == pytest.approx(jensenshannon(p.pdf(x), q.pdf(x)) ** 2, abs=1e-6)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=12), st.lists(st.floats(0, 1), min_size=3, max_size=12))
@settings(max_examples=60, deadline=None)
def test_divergence_is_symmetric_and_bounded_and_zero_for_equals(lesson, a, b):
    n = min(len(a), len(b))
    p, q = (torch.tensor(values[:n], dtype=torch.float64) + torch.eye(n, dtype=torch.float64)[0] * 1e-3 for values in (a, b))
    p, q = (p / p.sum()).log(), (q / q.sum()).log()
    js = lesson["jensen_shannon"]
    assert js(p, q, 1.0).item() == pytest.approx(js(q, p, 1.0).item(), abs=1e-12)
    assert -1e-12 <= js(p, q, 1.0).item() <= math.log(2) + 1e-12 and abs(js(p, p, 1.0).item()) < 1e-12


def test_generator_losses_have_the_slopes_of_the_table(lesson):
    a = torch.tensor([-10.0, -2.0, 0.0, 2.0, 10.0], dtype=torch.float64)
    for name, slope in (("saturating_loss", -torch.sigmoid(a)), ("non_saturating_loss", torch.sigmoid(a) - 1)):
        each = torch.stack([(lesson[name](a[i:i + 1] + 1e-5) - lesson[name](a[i:i + 1] - 1e-5)) / 2e-5 for i in range(5)])
        assert torch.allclose(each, slope, atol=1e-8)


@pytest.mark.filterwarnings("ignore")
def test_steps_are_the_books_at_half_the_loss_and_twice_the_rate(lesson):
    import copy
    d2l = pytest.importorskip("d2l.torch")
    torch.manual_seed(0)
    D, G = gan.ring_discriminator().double(), gan.ring_generator().double()
    book_D, book_G = copy.deepcopy(D), copy.deepcopy(G)
    x, z = torch.randn(16, 2).double(), torch.randn(16, 2).double()
    sgd = lambda net, rate: torch.optim.SGD(net.parameters(), rate)
    lesson["discriminator_step"](D, G, sgd(D, 0.1), x, z)
    lesson["generator_step"](D, G, sgd(G, 0.1), z)
    torch.set_default_dtype(torch.float64)
    try:
        d2l.update_D(x, z, book_D, book_G, nn.BCEWithLogitsLoss(), sgd(book_D, 0.2))
        d2l.update_G(z, book_D, book_G, nn.BCEWithLogitsLoss(), sgd(book_G, 0.1))
    finally:
        torch.set_default_dtype(torch.float32)
    for mine, book in zip((*D.parameters(), *G.parameters()), (*book_D.parameters(), *book_G.parameters())):
        assert torch.allclose(mine, book, rtol=0, atol=1e-14)


def test_the_loop_counts_its_calls(lesson):
    calls = []
    lesson = dict(lesson)
    source = lesson["train_gan"]
    loop = type(source)(source.__code__, {**lesson, "discriminator_step": lambda *a: calls.append("D") or 1.0,
                                          "generator_step": lambda *a: calls.append("G") or 2.0}, "train_gan", source.__defaults__)
    seen = []
    loop(None, None, None, None, lambda: calls.append("real"), lambda: calls.append("noise"), 2, 2, lambda *a: seen.append(a))
    assert "".join(c[0] for c in calls if c in "DG") == "DDGDDG" and calls.count("real") == 4 and calls.count("noise") == 6
    assert seen == [(0, 1.0, 2.0), (1, 1.0, 2.0)]


def test_the_dirac_field_is_the_gradient_of_the_game(lesson):
    theta, psi, gamma = (torch.tensor(v, dtype=torch.float64, requires_grad=v != 0.7) for v in (0.4, -1.1, 0.7))
    f = lambda t: -torch.log(1 + torch.exp(-t))
    game = f(psi * theta) + f(torch.zeros(())) - gamma / 2 * psi**2
    d_theta, d_psi = torch.autograd.grad(game, (theta, psi))
    v_theta, v_psi = lesson["dirac_field"](theta, psi, gamma)
    assert v_theta.item() == pytest.approx(-d_theta.item()) and v_psi.item() == pytest.approx(d_psi.item())
    climb, = torch.autograd.grad(f(-psi * theta), theta)
    assert lesson["dirac_field"](theta, psi, 0.0, True)[0].item() == pytest.approx(climb.item())


@pytest.mark.parametrize("settings_, simultaneous, alternating", [
    ({}, 3.10, 1.413), ({"non_saturating": True}, 0.64, 0.271), ({"gamma": 0.3}, 2.64e-6, 2.38e-7), ({"gamma": 1.0}, 9.5e-22, 8.49e-17)])
def test_the_table_of_the_dirac_gan_is_reproduced(lesson, settings_, simultaneous, alternating):
    """Final distances after 500 steps of 0.2 from (1, 1), as the authors' code gives them; alternating: D first."""
    field = lambda theta, psi: lesson["dirac_field"](theta, psi, **settings_)
    for order, expected in ((False, simultaneous), (True, alternating)):
        theta = psi = torch.tensor(1.0, dtype=torch.float64)
        for _ in range(500):
            theta, psi = lesson["dirac_step"](field, theta, psi, 0.2, order)
        assert math.hypot(theta, psi) == pytest.approx(expected, rel=6e-3)


def test_pairs_hold_the_image_and_its_label(lesson):
    images, labels = torch.rand(5, 1, 28, 28), torch.tensor([3, 0, 9, 3, 1])
    pairs = lesson["labelled"](images, labels)
    assert pairs.shape == (5, 794) and torch.allclose(pairs[:, :784].reshape(5, 1, 28, 28) / 2 + 0.5, images, atol=1e-6)
    assert torch.equal(pairs[:, 784:].argmax(1), labels) and torch.equal(pairs[:, 784:].sum(1), torch.ones(5))
