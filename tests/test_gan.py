"""The ring, its score, the nets and the callbacks, against definitions, closed forms and torch's own tools."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import gan


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@settings(deadline=None)
@given(st.integers(1, 20), st.floats(0.1, 5), st.floats(-7, 7))
def test_modes_lie_on_the_circle_and_share_it_evenly(modes, radius, angle):
    turns = [angle + 2 * math.pi * i / modes for i in range(modes)]
    expected = torch.tensor([[radius * math.cos(turn), radius * math.sin(turn)] for turn in turns])
    np.testing.assert_allclose(gan.ring_modes(modes, radius, angle), expected, atol=1e-5, rtol=1e-5)


def test_ring_is_the_mixture_it_claims_to_be():
    x = gan.ring(40_000, seeded(), angle=0.3)
    distance, nearest = torch.cdist(x, gan.ring_modes(angle=0.3)).min(dim=1)
    share = nearest.bincount(minlength=8) / len(x)
    assert (share - 1 / 8).abs().max() < 4 * math.sqrt(1 / 8 * 7 / 8 / len(x))
    # In two dimensions the distance to the centre is Rayleigh distributed: mean σ √(π/2).
    assert distance.mean().item() == pytest.approx(0.1 * math.sqrt(math.pi / 2), rel=0.01)
    assert torch.equal(x, gan.ring(40_000, seeded(), angle=0.3)) and x.shape == (40_000, 2)


def test_the_true_mixture_scores_what_the_rayleigh_distribution_says():
    modes, quality = gan.count_modes(gan.ring(40_000, seeded(1)), gan.ring_modes(), 0.1)
    assert modes == 8 and quality == pytest.approx(1 - math.exp(-9 / 2), abs=0.003)


def test_count_modes_on_a_case_counted_by_hand():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    samples = torch.tensor([[0.0, 2.9], [0.0, 3.1], [10.0, -2.0], [9.0, 0.0], [math.nan, 0.0]])
    assert gan.count_modes(samples, centres, 1.0) == (2, pytest.approx(3 / 5))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 8))
def test_count_modes_finds_just_the_modes_that_were_sampled(seed, found):
    centres = gan.ring_modes(angle=seed)
    chosen = torch.randperm(8, generator=seeded(seed))[:found]
    samples = torch.cat([centres[chosen].repeat(3, 1), torch.zeros(5, 2)])
    assert gan.count_modes(samples, centres, 0.1) == (found, pytest.approx(3 * found / (3 * found + 5)))


def test_the_ring_nets_take_points_to_points_and_logits():
    D, G, opt_D, opt_G = gan.ring_players()
    fake = G(torch.randn(5, gan.RING_NOISE))
    assert fake.shape == (5, 2) and D(fake).shape == (5, 1)
    assert owned(opt_D) == ids(D) and owned(opt_G) == ids(G)


def test_the_digit_nets_work_on_pairs():
    D, G, opt_D, opt_G = gan.digit_players()
    labels = torch.tensor([3, 1, 3])
    pairs = G(gan.digit_noise(3, labels=labels))
    assert pairs.shape == (3, 794) and pairs[:, :784].abs().max() <= 1
    assert torch.equal(pairs[:, 784:], torch.eye(10)[labels])
    assert owned(opt_D) == ids(D) and owned(opt_G) == ids(G)
    # The logit is the class's own entry of the scores, and the image's gradient reaches every pixel.
    images = torch.randn(3, 784, requires_grad=True)
    logits = D(torch.cat([images, torch.eye(10)[labels]], dim=1))
    np.testing.assert_allclose(logits.detach(), D.score(images).gather(1, labels[:, None]).detach(), rtol=1e-5)
    logits.sum().backward()
    assert (images.grad != 0).any(dim=0).all()


def test_digit_pixels_keep_their_places():
    """A pixel of the image is seen by the discriminator, and painted by the generator, where it stands: 4×4 blocks."""
    blocks = torch.nn.PixelShuffle(4)(torch.arange(16.0).view(1, 16, 1, 1)).view(4, 4)
    assert torch.equal(blocks, torch.arange(16.0).view(4, 4))
    D = gan.DigitDiscriminator().double()
    image = torch.zeros(1, 784, dtype=torch.double, requires_grad=True)
    D.score[:6](image)[0, :, 0, 0].sum().backward()  # the top left unit of the 7×7 map
    seen = image.grad.view(28, 28) != 0
    assert seen[:4, :4].all() and not seen[12:].any() and not seen[:, 12:].any()


def ids(net):
    return {id(p) for p in net.parameters()}


def owned(optimizer):
    return {id(p) for group in optimizer.param_groups for p in group["params"]}


def test_digit_noise_is_normal_numbers_and_a_class():
    z = gan.digit_noise(5000, seeded())
    assert z.shape == (5000, gan.DIGIT_NOISE + 10)
    assert z[:, :16].mean().abs() < 0.02 and (z[:, :16].std() - 1).abs() < 0.02
    assert set(z[:, 16:].unique().tolist()) == {0.0, 1.0} and (z[:, 16:].sum(1) == 1).all()
    assert (z[:, 16:].sum(0) - 500).abs().max() < 100
    assert torch.equal(gan.digit_noise(3, labels=torch.tensor([7, 0, 7]))[:, 16:].argmax(1), torch.tensor([7, 0, 7]))


def test_linear_decay_holds_then_falls_to_zero():
    two = [torch.optim.SGD([torch.zeros(1)], lr) for lr in (0.1, 3.0)]
    decay = gan.linear_decay(two, 10)
    rates = []
    for step in range(10):
        rates.append([o.param_groups[0]["lr"] for o in two])
        decay(step)
    shape = [1, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2]
    np.testing.assert_allclose(torch.tensor(rates), torch.tensor(shape)[:, None] * torch.tensor([0.1, 3.0]), rtol=1e-6)
    assert two[0].param_groups[0]["lr"] == 0


def test_weight_average_is_the_average_torch_keeps():
    """Against torch's own AveragedModel, once the ramp at the start is over; buffers that count are copied."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    average = gan.WeightAverage(net, decay=0.25)  # below (1 + n)/(10 + n) from the 2nd update on
    average.update()
    theirs = torch.optim.swa_utils.AveragedModel(average.net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.25))
    theirs.update_parameters(average.net)  # its first update copies
    for _ in range(5):
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        net(torch.randn(8, 2))
        average.update()
        theirs.update_parameters(net)
    for mine, torchs in zip(average.net.parameters(), theirs.module.parameters()):
        np.testing.assert_allclose(mine, torchs.detach(), rtol=1e-5)
    assert average.net[1].num_batches_tracked == 5
    assert not average.net.training and not any(p.requires_grad for p in average.net.parameters())
    assert net.training and all(p.requires_grad for p in net.parameters())


def test_weight_average_soon_forgets_where_it_started():
    net = torch.nn.Linear(1, 1)
    torch.nn.init.constant_(net.weight, 1000.0)
    average = gan.WeightAverage(net)
    torch.nn.init.constant_(net.weight, 0.0)
    for _ in range(200):
        average.update()
    assert average.net.weight.item() < 1e-3  # a plain average with decay 0.995 would still be at 367


@given(st.floats(0, 2 * math.pi), st.integers(2, 10))
def test_a_ring_turned_apart_shares_no_place_with_the_one_that_is_not(angle, modes):
    turned = gan.turned_apart(angle, modes)
    away = torch.cdist(gan.ring_modes(modes, 1.0, turned).double(), gan.ring_modes(modes, 1.0).double()).min()
    assert away > 2 * math.sin(0.15 / 2) - 1e-5
    assert turned == angle or math.isclose(turned, angle + math.pi / modes)
