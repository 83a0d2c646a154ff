"""The reference solution of `sanet` against witnesses of another kind: SciPy, pytorch-msssim, torchmetrics, finite differences."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from pytorch_msssim import ssim as msssim
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree
from torch import nn
from torchmetrics.functional.image import structural_similarity_index_measure as torchmetrics_ssim

from autograder.answers import reference_namespace
from course_lib import counting


@pytest.fixture(scope="module")
def lesson():
    return reference_namespace("sanet")


# --- maps ---

def test_away_from_the_border_it_is_a_filter_over_the_whole_picture(lesson):
    """A head in the middle of a pixel, smoothed by SciPy: the same to 1e-4 of its peak and better."""
    heads, spots = torch.randint(40, 80, (12, 2), generator=torch.Generator().manual_seed(0)), np.zeros((120, 130))
    for x, y in heads.tolist():
        spots[y, x] += 1
    made = lesson["density_map"](heads.double() + 0.5, 120, 130, 5.0)
    assert np.abs(made.numpy() - gaussian_filter(spots, 5.0, truncate=8, mode="constant")).max() < 1e-8


@settings(deadline=None, max_examples=40)
@given(heads=st.lists(st.tuples(st.floats(0, 19.99), st.floats(0, 11.99)), max_size=9), sigma=st.floats(0.3, 30))
def test_a_map_sums_to_the_count_wherever_the_heads_are(lesson, heads, sigma):
    points = torch.tensor(heads, dtype=torch.float64).reshape(-1, 2)
    made = lesson["density_map"](points, 12, 20, sigma)
    assert made.shape == (12, 20) and (made >= 0).all() and abs(made.sum() - len(heads)) < 1e-9
    for factor in (2, 4):
        small = lesson["shrink"](made[None, None], factor)
        assert small.shape == (1, 1, 12 // factor, 20 // factor) and abs(small.sum() - len(heads)) < 1e-9
        assert abs(small[0, 0, 0, 0] - made[:factor, :factor].sum()) < 1e-9


def test_a_map_is_the_mirror_image_of_the_mirrored_heads(lesson):
    points = torch.rand(6, 2, dtype=torch.float64) * torch.tensor([20.0, 12.0])
    there = lesson["density_map"](torch.tensor([20.0, 0.0]) - points * torch.tensor([1.0, -1.0]), 12, 20, 2.0)
    torch.testing.assert_close(there.flip(1), lesson["density_map"](points, 12, 20, 2.0))


@settings(deadline=None, max_examples=30)
@given(n=st.integers(2, 30), k=st.integers(1, 5), seed=st.integers(0, 1000))
def test_sigmas_are_what_a_search_tree_finds(lesson, n, k, seed):
    points = np.random.default_rng(seed).uniform(0, 100, (n, 2))
    k = min(k, n - 1)
    distance, _ = cKDTree(points).query(points, k + 1)
    np.testing.assert_allclose(lesson["adaptive_sigmas"](torch.from_numpy(points), k, 0.3), 0.3 * distance[:, 1:].mean(1), rtol=1e-9)


# --- the net ---

def test_it_has_the_papers_number_of_parameters(lesson):
    count = lambda **options: sum(parameter.numel() for parameter in lesson["SANet"](**options).parameters())
    assert (count(), count(norm="batch"), count(norm="none")) == (914_801, 914_801, 913_697)


@pytest.mark.parametrize("height, width", [(8, 8), (17, 30), (24, 9)])
def test_the_map_is_as_large_as_the_picture(lesson, height, width):
    assert lesson["SANet"](1, 2, "batch")(torch.rand(2, 1, height, width)).shape == (2, 1, height, width)


def test_each_branch_sees_as_far_as_its_kernel(lesson):
    module, picture = lesson["ScaleAggregation"](1, 1, True, "none").double(), torch.zeros(1, 1, 15, 15, dtype=torch.float64)
    for parameter in module.parameters():
        nn.init.constant_(parameter, 1.0 if parameter.ndim > 1 else 0.0)
    picture[0, 0, 7, 7] = 1
    for answer, kernel in zip(module(picture)[0], (1, 3, 5, 7)):
        rows, columns = answer.nonzero().unbind(1)
        assert (rows.max() - rows.min() + 1, columns.max() - columns.min() + 1) == (kernel, kernel)


def test_instance_norm_takes_the_sum_away_and_relu_leaves_its_root():
    """The lesson's page: n·√(q(1 − q)) of what stands on a share q of n pixels."""
    for heads in (4, 64, 256):
        z = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
        z.view(-1)[torch.randperm(4096)[:heads]] = 1
        normed, q = nn.InstanceNorm2d(1, eps=0)(z), heads / 4096
        assert abs(normed.sum()) < 1e-8 and abs(F.relu(normed).sum() - 4096 * math.sqrt(q * (1 - q))) < 1e-6


# --- losses ---

@pytest.mark.parametrize("scale", [1.0, 0.05])
def test_ssim_is_pytorch_msssims_and_torchmetrics(lesson, scale):
    x, y = scale * torch.rand(2, 3, 1, 24, 31, dtype=torch.float64)
    ours = lesson["ssim_map"](x, y).mean()
    assert abs(ours - msssim(x, y, data_range=1.0)) < 1e-5
    reflected = [F.pad(maps, [5] * 4, mode="reflect") for maps in (x, y)]  # this one lets the window stand at the border as well
    theirs = torchmetrics_ssim(x, y, data_range=1.0, gaussian_kernel=True, sigma=1.5, kernel_size=11)
    assert abs(lesson["ssim_map"](*reflected).mean() - theirs) < 1e-5


def test_the_losses_have_the_gradients_of_finite_differences(lesson):
    x, y = torch.rand(2, 1, 1, 12, 13, dtype=torch.float64)
    for name in ("consistency_loss", "sanet_loss"):
        assert torch.autograd.gradcheck(lambda prediction: lesson[name](prediction, y), x.clone().requires_grad_())


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), low=st.floats(-5, 0), high=st.floats(0.1, 200))
def test_ssim_is_symmetric_at_most_one_and_one_for_equals(lesson, seed, low, high):
    x, y = torch.rand(2, 1, 1, 13, 12, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * (high - low) + low
    ssim = lesson["ssim_map"]
    assert ssim(x, y).max() <= 1 + 1e-9 and ssim(x, y).min() >= -1 - 1e-9
    torch.testing.assert_close(ssim(x, y), ssim(y, x))
    torch.testing.assert_close(ssim(x, x), torch.ones_like(ssim(x, x)))


def test_the_ratio_of_gradients_is_that_of_small_steps(lesson):
    """‖∂L‖ is how much L changes for a step along its own gradient."""
    x, y = torch.rand(2, 1, 1, 14, 14, dtype=torch.float64)
    norms = []
    for loss in (lesson["consistency_loss"], F.mse_loss):
        variable = x.clone().requires_grad_()
        direction = torch.autograd.grad(loss(variable, y), variable)[0]
        direction = direction / direction.norm()
        norms.append(((loss(x + 1e-6 * direction, y) - loss(x - 1e-6 * direction, y)) / 2e-6).item())
    assert abs(lesson["gradient_ratio"](x, y) / (norms[0] / norms[1]) - 1) < 1e-5


# --- scores and tiles ---

def test_the_log_prints_the_mean_over_frames(lesson):
    """Epochs 6 to 12 as their author printed them, to the fourth digit."""
    frames = torch.tensor([119, 120, 120, 120, 120])
    for *errors, printed in ((12.9089, 34.0544, 4.2624, 21.2200, 32.5930, 21.0213), (10.6995, 28.6209, 4.0876, 24.5653, 28.8847, 19.3861),
                             (7.2827, 18.1437, 6.4502, 37.1199, 20.0578, 17.8284), (6.9881, 17.9817, 6.5780, 34.2621, 19.8616, 17.1512)):
        result = lesson["scores"](torch.tensor(errors, dtype=torch.float64).repeat_interleave(frames), torch.zeros(599), torch.arange(5).repeat_interleave(frames))
        assert abs(result["mean over frames"] - printed) < 1e-4 and abs(result["mean over scenes"] - np.mean(errors)) < 1e-9


@settings(deadline=None, max_examples=40)
@given(length=st.integers(1, 40), tile=st.integers(1, 12), stride=st.integers(1, 12))
def test_tiles_cover_a_side_and_end_at_its_border(lesson, length, tile, stride):
    stride = min(stride, tile)
    starts = lesson["tile_starts"](length, tile, stride)
    assert starts == sorted(set(starts)) and starts[0] == 0 and starts[-1] + tile >= length
    assert set(range(length)) <= {start + offset for start in starts for offset in range(tile)}
    assert length <= tile or starts[-1] + tile == length


def test_tiles_of_a_net_that_looks_at_one_pixel_are_the_whole(lesson):
    images = torch.rand(2, 3, 21, 30)
    net = nn.Conv2d(3, 1, 1)
    torch.testing.assert_close(lesson["predict_in_tiles"](net, images, 8, 4), net(images).detach())


def test_counts_are_sums(lesson):
    heads = [torch.rand(n, 2) * 16 for n in (0, 3, 11)]
    maps = counting.SCALE * torch.stack([lesson["density_map"](points, 16, 16, 2.0) for points in heads])[:, None]
    torch.testing.assert_close(counting.counts(maps), torch.tensor([0.0, 3.0, 11.0]))
