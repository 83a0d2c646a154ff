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
from torch.nn.utils import parametrize

from autograder.answers import reference_namespace
from course_lib import gan_recipes

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

def history(loss_D, score):
    return {"loss_D": torch.as_tensor(loss_D).double(), "loss_G": torch.ones(len(loss_D)).double(), "score": torch.as_tensor(score).double()}


@pytest.mark.parametrize("drop, running", [(1.9, False), (2.1, True)])
def test_progress_begins_at_two_standard_errors(lesson, drop, running):
    """Quarters of known mean and variance: (−1, 0, 1) has the variance 1, so the standard error is √(2/3)."""
    quarter = torch.tensor([-1.0, 0.0, 1.0])
    score = torch.cat([quarter, quarter, quarter + drop * (2 / 3) ** 0.5, quarter])
    assert lesson["diagnose"](history([1.2] * 50, score)) == ("running" if running else "slow")


@pytest.mark.parametrize("level, verdict", [(0.049, "dead"), (0.051, "slow")])
def test_a_discriminator_has_won_below_0_05(lesson, level, verdict):
    assert lesson["diagnose"](history([9.0] * 40 + [level] * 10, [1.0, 2.0] * 4)) == verdict


def test_recorded_runs_of_each_kind(lesson):
    """All three verdicts occur, and who was called dead found no mode in as many rounds again."""
    verdicts = {}
    for run in gan_recipes.recorded_histories():
        verdict = lesson["diagnose"]({name: torch.tensor(run[name]).double() for name in ("loss_D", "loss_G", "score")})
        verdicts.setdefault(verdict, []).append(run)
    assert set(verdicts) == {"running", "slow", "dead"}
    assert all(run["modes in the end"] == 0 for run in verdicts["dead"])
    assert all(run["score when it went on"][-1] < min(run["score"][-8:]) for run in verdicts["running"])


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

def test_least_squares_has_the_optimum_of_the_formula(lesson):
    """Minimised by Newton over D at two points, one with density ratio 3 : 1, one 1 : 3."""
    real = torch.tensor([0, 0, 0, 1])  # which of the two points each sample is
    fake = torch.tensor([0, 1, 1, 1])
    loss = lambda D: lesson["least_squares"](D[real], D[fake])[0]
    start = torch.zeros(2, dtype=torch.float64)
    best = start - torch.linalg.solve(torch.autograd.functional.hessian(loss, start), torch.autograd.functional.jacobian(loss, start))
    assert torch.allclose(best, torch.tensor([0.75, 0.25], dtype=torch.float64))


def test_the_best_clipped_critic_knows_the_distance(lesson):
    """A linear critic on a line whose slope is clipped to 1 reaches W between two shifted samples: the shift."""
    critic, points = nn.Linear(1, 1).double(), torch.randn(50, 1, dtype=torch.float64)
    optimizer = torch.optim.SGD(critic.parameters(), 0.5)
    for _ in range(20):
        loss, _ = lesson["wasserstein"](critic(points + 3), critic(points))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        lesson["clip_"](critic, 1.0)
    assert loss.item() == pytest.approx(-3.0)


def test_relativistic_losses_see_differences_only(lesson):
    real, fake = torch.randn(2, 6, 1, dtype=torch.float64)
    assert torch.allclose(torch.stack(lesson["relativistic"](real, fake)), torch.stack(lesson["relativistic"](real + 5, fake + 5)))
    swapped = lesson["relativistic"](fake, real)
    assert torch.allclose(torch.stack(lesson["relativistic"](real, fake)), torch.stack(swapped[::-1]))


def smooth_critic():
    torch.manual_seed(3)
    return nn.Sequential(nn.Flatten(), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 1)).double()


def penalty_by_differences(D, x, cost, step=1e-6):
    """The mean of cost(‖∇D‖) over the rows of x, the gradients by central differences."""
    slopes = [[(D((row + step * unit)[None]) - D((row - step * unit)[None])).item() / (2 * step)
               for unit in torch.eye(row.numel(), dtype=torch.float64).reshape(-1, *row.shape)] for row in x]
    return sum(cost(math.hypot(*slope)) for slope in slopes) / len(slopes)


@pytest.mark.parametrize("shape", [(4, 8), (4, 2, 2, 2)])
def test_penalties_are_those_of_finite_differences(lesson, shape):
    D, real, fake, share = smooth_critic(), *torch.randn(2, *shape, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    between = torch.stack([s * r + (1 - s) * f for s, r, f in zip(share, real, fake)])
    for target in (1.0, 0.0, 0.3):
        expected = penalty_by_differences(D, between, lambda slope: (slope - target) ** 2)
        assert lesson["gradient_penalty"](D, real, fake, share, target).item() == pytest.approx(expected, rel=1e-6)
    assert lesson["r1"](D, real).item() == pytest.approx(penalty_by_differences(D, real, lambda slope: slope**2 / 2), rel=1e-6)


def test_penalties_teach_what_finite_differences_say(lesson):
    D, real, fake, share = smooth_critic(), *torch.randn(2, 4, 8, dtype=torch.float64), torch.rand(4, dtype=torch.float64)
    for penalty in (lambda: lesson["r1"](D, real), lambda: lesson["gradient_penalty"](D, real, fake, share)):
        taught = torch.autograd.grad(penalty(), D[1].weight)[0]
        for place in ((0, 0), (3, 5)):
            ends = []
            for move in (1e-6, -2e-6):
                with torch.no_grad():
                    D[1].weight[place] += move
                ends.append(penalty().item())
            with torch.no_grad():
                D[1].weight[place] += 1e-6
            assert taught[place].item() == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-5, abs=1e-8)


def test_the_penalty_of_the_wasserstein_critic_in_one_dimension_is_zero(lesson):
    """f(x) = x has slope 1 everywhere: the critic that the penalty is made for."""
    real, fake, share = torch.randn(5, 1), torch.randn(5, 1), torch.rand(5)
    assert lesson["gradient_penalty"](lambda x: x, real, fake, share).item() == 0
    assert lesson["r1"](lambda x: 3 * x, real).item() == pytest.approx(4.5)


@pytest.mark.parametrize("shape", [(6, 4), (5, 2, 3, 3)])
def test_spectral_norm_is_that_of_torch(lesson, shape):
    """Pass by pass in train mode, with the gradients, and then in eval mode; torch's first version iterates in this order."""
    torch.manual_seed(0)
    make = lambda: (nn.Linear(4, 6, bias=False) if len(shape) == 2 else nn.Conv2d(2, 5, 3, bias=False)).double()
    theirs, mine, x = nn.utils.spectral_norm(make()), make(), torch.randn(3, *((4,) if len(shape) == 2 else (2, 5, 5)), dtype=torch.float64)
    with torch.no_grad():
        mine.weight.copy_(theirs.weight_orig)
    parametrize.register_parametrization(mine, "weight", lesson["SpectralNorm"](theirs.weight_u.clone()), unsafe=True)
    for _ in range(3):
        outputs = mine(x), theirs(x)
        direction = torch.randn_like(outputs[0])
        gradients = [torch.autograd.grad((output * direction).sum(), net.parameters())[0] for output, net in zip(outputs, (mine, theirs))]
        assert torch.allclose(*outputs, rtol=1e-10) and torch.allclose(*gradients, rtol=1e-8)
    for _ in range(300):
        mine(x), theirs(x)
    assert torch.allclose(mine.eval()(x), theirs.eval()(x), rtol=1e-8)
    assert torch.linalg.matrix_norm(mine.weight.flatten(1), 2).item() == pytest.approx(1.0)


def test_every_recipe_of_the_table_trains(lesson):
    """A round or two of each: figures come out, and they are numbers."""
    for name, recipe in lesson["recipes"].items():
        G, _, history = gan_recipes.train(recipe, lesson["play_round"], gan_recipes.ring(), 2, runs=2)
        assert len(history["loss_D"]) == 2 and all(map(math.isfinite, history["loss_D"] + history["loss_G"])), name
        assert len(gan_recipes.figures(G, gan_recipes.ring())) == 2


def test_began_steers_to_its_ratio(lesson):
    """While generated samples are copied better than γ asks, k goes up; else down, and never out of [0, 1]."""
    began = lesson["Began"](ratio=0.5, rate=1.0)
    began(torch.tensor([1.0]), torch.tensor([0.2]))
    assert began.k == pytest.approx(0.3)
    began(torch.tensor([1.0]), torch.tensor([0.9]))
    assert began.k == 0.0


# --- 6: mode collapse ---

def test_packs_hold_samples_in_a_row(lesson):
    images = torch.arange(4 * 2 * 3 * 3).reshape(4, 2, 3, 3)
    assert torch.equal(lesson["pack"](images, 2)[1], torch.cat([images[2], images[3]]))
    assert torch.equal(lesson["pack"](images, 1), images)


@pytest.mark.parametrize("m", [1, 2, 5])
def test_the_distance_of_packs_has_its_closed_forms(lesson, m):
    """Modes lost: 1 − (k'/k)ᵐ. Two modes: the distance of two binomial distributions, since only the count matters."""
    p, q = torch.full((8,), 1 / 8).double(), torch.tensor([1 / 6] * 6 + [0] * 2).double()
    assert lesson["packed_distance"](p, q, m).item() == pytest.approx(1 - 0.75**m)
    binomial = lambda share: [math.comb(m, j) * share**j * (1 - share) ** (m - j) for j in range(m + 1)]
    expected = sum(abs(a - b) for a, b in zip(binomial(0.5), binomial(0.8))) / 2
    assert lesson["packed_distance"](torch.tensor([0.5, 0.5]).double(), torch.tensor([0.8, 0.2]).double(), m).item() == pytest.approx(expected)

@pytest.mark.parametrize("turned", [0.0, 0.3])
def test_packs_are_judged_on_a_ring_that_may_be_turned(lesson, turned, monkeypatch):
    """What `packing` trains and measures: generators that hit the modes pass, those of another ring, or of one mode, don't."""
    from course_lib.check import checks_of, judge
    from course_lib.checks import gan_training as checks
    from course_lib.draw import Draw
    from course_lib.student import local_student

    class Fixed(torch.nn.Module):  # all that the check asks of a generator: parameters, and points for noise
        def __init__(self, runs):
            super().__init__()
            self.centres = nn.Parameter(torch.zeros(8, 2))

        def forward(self, z):
            return self.centres[torch.arange(len(z)) % 8]

    ring = gan_recipes.ring()
    angle = torch.tensor(turned)
    turn = torch.stack([torch.stack([angle.cos(), angle.sin()]), torch.stack([-angle.sin(), angle.cos()])])
    monkeypatch.setattr(checks.gan_recipes, "generator", Fixed)

    def verdict(centres):
        student = local_student(lesson)
        student.train = lambda probe, *args, **_: [centres]
        return judge(checks_of("gan_training")["packing"], student, local_student(lesson), Draw(b"k", secret=False))

    assert (verdict(ring.centres @ turn).verdict == "passed") == (turned == 0)
    assert verdict(ring.centres[:1].repeat(8, 1)).figures["modes"] == 1

# --- 7: looking ---

@given(d=st.integers(1, 6), rank_a=st.integers(1, 8), rank_b=st.integers(1, 8), seed=st.integers(0, 10**6))
@settings(deadline=None, max_examples=25)
def test_the_frechet_distance_is_that_of_the_nearest_factors(lesson, d, rank_a, rank_b, seed):
    """Of Σ = FFᵀ, tr(Σ_a + Σ_b − 2(Σ_aΣ_b)^½) is the least ‖F_a − F_b U‖² over turns U: ‖F_a‖² + ‖F_b‖² less twice the singular values of F_aᵀF_b."""
    draw = np.random.default_rng(seed)
    means, factors = draw.normal(size=(2, d)), [draw.normal(size=(d, rank)) for rank in (rank_a, rank_b)]
    nearest = sum((factor**2).sum() for factor in factors) - 2 * np.linalg.svd(factors[0].T @ factors[1], compute_uv=False).sum()
    moments = [torch.from_numpy(moment) for mean, factor in zip(means, factors) for moment in (mean, factor @ factor.T)]
    assert lesson["frechet_distance"](*moments).item() == pytest.approx(((means[0] - means[1]) ** 2).sum() + nearest, abs=1e-5)
    assert lesson["frechet_distance"](*moments[:2], *moments[:2]).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("std_a, std_b", [(1.0, 2.0), (0.0, 3.0), (0.5, 0.5)])
def test_in_one_dimension_it_is_the_distance_of_means_and_of_spreads(lesson, std_a, std_b):
    of = lambda mean, std: (torch.tensor([mean]).double(), torch.tensor([[std**2]]).double())
    assert lesson["frechet_distance"](*of(1.0, std_a), *of(-2.0, std_b)).item() == pytest.approx(9 + (std_a - std_b) ** 2)
