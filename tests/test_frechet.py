"""The Fréchet distance against closed forms and scipy; the classifier against held-out digits and damaged caches."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import frechet
from course_lib.data import load_images

finite = st.floats(-50, 50)


def samples(n, d, seed, scale=1.0, shift=0.0):
    return shift + scale * torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def standardised(n, seed):
    """n numbers with mean 0 and standard deviation 1, exactly."""
    x = samples(n, 1, seed)
    return (x - x.mean()) / x.std()


@settings(deadline=None, max_examples=30)
@given(finite, finite, st.floats(0.01, 20), st.floats(0.01, 20))
def test_one_dimension_has_a_closed_form(mean_a, mean_b, std_a, std_b):
    a, b = mean_a + std_a * standardised(40, 1), mean_b + std_b * standardised(70, 2)
    expected = (mean_a - mean_b) ** 2 + (std_a - std_b) ** 2
    assert math.isclose(frechet.frechet_distance(a, b), expected, rel_tol=1e-8, abs_tol=1e-9)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 12), st.integers(0, 10**6))
def test_agrees_with_a_general_matrix_root(d, seed):
    mix = samples(d, d, seed + 1)
    a, b = samples(60, d, seed + 2) @ mix, samples(80, d, seed + 3, shift=0.7)
    cov_a, cov_b = (np.cov(x.numpy(), rowvar=False).reshape(d, d) for x in (a, b))
    root = np.real(scipy.linalg.sqrtm(cov_a @ cov_b))
    expected = np.sum((a.mean(0) - b.mean(0)).numpy() ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert frechet.frechet_distance(a, b) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=20)
@given(st.integers(2, 8), st.integers(0, 10**6))
def test_is_symmetric_and_ignores_rotation_and_order(d, seed):
    a, b = samples(50, d, seed), samples(50, d, seed + 1, scale=2.0, shift=1.0)
    turn = torch.linalg.qr(samples(d, d, seed + 2)).Q
    distance = frechet.frechet_distance(a, b)
    assert frechet.frechet_distance(b, a) == pytest.approx(distance, rel=1e-9)
    assert frechet.frechet_distance(a @ turn, b @ turn) == pytest.approx(distance, rel=1e-9)
    assert frechet.frechet_distance(a.flip(0), b) == pytest.approx(distance, rel=1e-9)


def test_vanishes_for_equal_sets_also_when_features_are_constant():
    a = torch.cat([samples(30, 4, 0), torch.zeros(30, 3)], dim=1)  # a dead unit makes the covariance singular
    assert frechet.frechet_distance(a, a) == pytest.approx(0, abs=1e-10)
    assert frechet.frechet_distance(a, a + 2) == pytest.approx(4 * 7, rel=1e-9)


def test_float32_features_are_compared_in_float64():
    a = samples(200, 5, 0).float() + 1000
    assert frechet.frechet_distance(a, a.flip(0)) == pytest.approx(0, abs=1e-8)


@pytest.mark.parametrize("a, b, named", [
    (torch.ones(4), torch.ones(4, 2), r"a have shape \(4,\)"),
    (torch.ones(4, 2), torch.ones(1, 2), r"b have shape \(1, 2\)"),
    (torch.ones(4, 2), torch.ones(4, 3), "2 and 3"),
    (torch.tensor([[0.0], [math.nan]]), torch.ones(4, 1), "a hold NaN"),
])
def test_says_what_was_wrong_with_the_features(a, b, named):
    with pytest.raises(ValueError, match=named):
        frechet.frechet_distance(a, b)


@pytest.fixture(scope="module")
def held_out():
    return load_images("digits", "test")


def test_the_classifier_reads_digits_it_has_not_seen(held_out):
    assert frechet.accuracy(held_out.images, held_out.labels) >= 0.96
    assert frechet.accuracy(held_out.images, (held_out.labels + 1) % 10) <= 0.03


def test_features_are_those_the_classifier_decides_by(held_out):
    features = frechet.features(held_out.images[:600])
    assert features.shape == (600, 64) and not features.requires_grad
    last = frechet.digit_classifier()[-1]
    decided = (features @ last.weight.T + last.bias).argmax(dim=1)
    assert (decided == held_out.labels[:600]).float().mean() >= 0.95


def test_distance_ranks_real_noisy_and_mirrored_digits(held_out):
    real = frechet.features(load_images("digits").images[:1000])
    to_real = lambda images: frechet.frechet_distance(frechet.features(images), real)
    noise = torch.randn(held_out.images.shape, generator=torch.Generator().manual_seed(0))
    same, noisy = to_real(held_out.images), to_real((held_out.images + 0.25 * noise).clamp(0, 1))
    mirrored = to_real(held_out.images.flip(3))
    assert 3 * same < noisy and 10 * same < mirrored


def test_the_classifier_comes_from_its_cache_and_a_damaged_one_is_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "not there yet"))
    trained = []

    def train(images, labels):
        trained.append(len(images))
        torch.manual_seed(len(trained))
        return frechet._untrained_classifier()

    monkeypatch.setattr(frechet, "_train_classifier", train)
    load = frechet.digit_classifier.__wrapped__
    with torch.random.fork_rng(devices=[]):
        first, again = load(), load()
        assert trained == [4000] and torch.equal(first[0].weight, again[0].weight) and not again.training
        [cached] = (tmp_path / "not there yet").iterdir()
        whole = cached.read_bytes()
        flipped = bytearray(whole)
        flipped[-5] ^= 1
        for damaged in (whole[:1000], b"", bytes(flipped)):
            cached.write_bytes(damaged)
            load()
        assert trained == [4000] * 4 and list((tmp_path / "not there yet").iterdir()) == [cached]


def test_training_the_classifier_repeats_itself_and_leaves_the_random_state_alone(held_out):
    before = torch.get_rng_state()
    one, two = (frechet._train_classifier(held_out.images, held_out.labels, epochs=1) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters()))
    assert torch.equal(torch.get_rng_state(), before)
