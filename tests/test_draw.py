"""Draws: the same for ever, of the right distribution, and none like another."""

import os

import numpy as np
import pytest
import torch
from scipy import stats

from course_lib.draw import Draw, public_draw
from course_lib.scale import Scale, at_scale, current_scale


def test_the_bits_are_pinned():
    """A change here breaks every recorded snapshot: these are PCG64's bits under SHA-256 of the key."""
    draw = Draw(b"pinned")
    assert draw.uniform(2).tolist() == pytest.approx(PINNED_UNIFORM, abs=1e-15)
    assert draw.integers(0, 100, 3).tolist() == PINNED_INTEGERS


PINNED_UNIFORM = [0.1982686239763251, 0.9564389367623216]
PINNED_INTEGERS = [49, 36, 28]


def test_distributions():
    draw = Draw(b"distribution")
    assert stats.kstest(draw.uniform(20_000, low=-2, high=3).numpy(), stats.uniform(-2, 5).cdf).pvalue > 1e-3
    assert stats.kstest(draw.normal(20_000, mean=1, std=2).numpy(), stats.norm(1, 2).cdf).pvalue > 1e-3
    counts = torch.bincount(draw.integers(3, 8, 20_000), minlength=8)
    assert counts[:3].sum() == 0 and stats.chisquare(counts[3:].numpy()).pvalue > 1e-3
    assert sorted(draw.permutation(50).tolist()) == list(range(50))
    assert draw.normal(2, 3).shape == (2, 3) and draw.normal(2, 3).dtype == torch.float64
    assert draw.normal().shape == () and draw.uniform(0).shape == (0,)


def test_a_nonce_has_128_bits():
    made = [Draw(bytes([key])).nonce() for key in range(200)]
    assert all(len(each) == 32 and int(each, 16) >= 0 for each in made)
    ones = sum(int(each, 16).bit_count() for each in made) / 200
    assert abs(ones - 64) < 3 and len(set(made)) == 200  # of 200 means of 128 fair bits, 0.4 is the standard deviation


def test_keys_give_independent_streams():
    a, b, again = Draw(b"a").normal(1000), Draw(b"b").normal(1000), Draw(b"a").normal(1000)
    assert torch.equal(a, again)
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.15
    assert not torch.equal(public_draw("l", "x").normal(5), public_draw("l", "y").normal(5))


def test_scale_from_the_environment(monkeypatch):
    monkeypatch.setenv("COURSE_SCALE", "smoke")
    assert current_scale() is Scale.SMOKE
    monkeypatch.setenv("COURSE_SCALE", "huge")
    with pytest.raises(ValueError, match="huge.*smoke"):
        current_scale()
    assert Scale.GPU.pick(smoke=1, cpu=2) == 2 and Scale.SMOKE.pick(smoke=1, cpu=2) == 1
    with pytest.raises(ValueError, match="smoke"):
        Scale.SMOKE.pick(cpu=2)


def test_a_scale_is_the_current_one_for_a_while(monkeypatch):
    for before in ("gpu", None):
        monkeypatch.setenv("COURSE_SCALE", before) if before else monkeypatch.delenv("COURSE_SCALE")
        with pytest.raises(KeyError), at_scale(Scale.SMOKE):
            assert current_scale() is Scale.SMOKE
            raise KeyError
        assert os.environ.get("COURSE_SCALE") == before
