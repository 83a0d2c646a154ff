# ---
# jupyter:
#   course:
#     title: SANet, counting a crowd
#     minutes: 170
#     builds_on: []
#     place: 4
#     cover: train-my-net-eval
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # SANet, counting a crowd
#
# How many people are in this picture? Nobody marks their outlines; all there is to learn from is a dot on each head. In this lesson you turn the dots into something a network can learn, rebuild the Scale Aggregation Network
# (Cao, Wang, Zhao & Su 2018) and its loss, train it, and find out why one line of the recipe, taken literally, makes the count disappear.
#
# | you build | by |
# |---|---|
# | density maps that sum to the count, also at the border | code that is compared number by number |
# | SANet: scale aggregation, encoder, decoder | the same; exactly 914,801 parameters |
# | local SSIM, the local pattern consistency loss | the same, gradients as well |
# | scores as crowd counting reports them, and pictures put together from tiles | the same |
# | a net that counts people in scenes it has never seen | training, on one CPU core or on a GPU |
#
# **What it takes.** About three hours at the keyboard; on one CPU core some two and a half minutes of training in all. You should have trained some network with PyTorch, and know what a convolution is.
#
# **How it works.** You write code where it says `YOUR CODE HERE`, and run the `check` below it. Where you rebuild a module, the check puts its own weights into it in the order in which you made its parts, so make them **in the order in which the data pass through
# them, branches from first to last**. Everything else is free: names, style. Nothing you get wrong is counted. In your solutions use Python, torch and NumPy: where they are graded, libraries that hold answers (SciPy, scikit-learn, torchvision and their like) aren't there.

# %% tags=["setup"]
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import counting, current_scale, start

check = start("sanet")
scale = current_scale()

# %% [markdown]
# ### Commit yourself first
#
# Three predictions. Replace each `"?"`; there are no points for being right, and you meet each again where it is measured.
#
# 1. A linear fit guesses how many people are in a picture from two numbers, the mean and the standard deviation of its pixels: a weight for each and a constant, the best for the pictures to learn from. Call it *the line*. How much better is it than always guessing the average? (`"not at all"`, `"a little"`, `"twice as good"`)
# 2. Instance norm gives each channel of each picture the mean 0 and the variance 1. By what factor does the channel's sum after it and one ReLU grow, when there are four times as many heads? (`"1"`, `"2"`, `"4"`)
# 3. A kernel near the border lies partly outside the picture. Of 1,000 heads spread evenly over 768×1024 pixels, how many does a density map lose if nothing is done about it, with σ = 15? (`"3"`, `"30"`, `"300"`)

# %%
my_predictions = {"line": "?", "instance norm": "?", "border": "?"}

# %% [markdown]
# ## 1 · Counting as density
#
# Look at the data first. The well-known crowds (ShanghaiTech, WorldExpo'10) can't be passed on with a course, so this one brings a generator: cameras over squares and streets, with perspective, shadows, clutter that isn't people, and every head known. Whoever
# has the real ones can load them too (`course_lib/crowd_data.py`).

# %% [markdown] tags=["demo", "instructor"]
# ## How many?
#
# > **Ask the room** to write down a number, quickly. Then look: this is the last of the five pictures below. Who was within a tenth? Did you count, or did you guess?
# >
# > Nobody marks outlines. What can a net learn from a dot on each head?

# %% tags=["demo", "instructor"]
from IPython.display import Image

from course_lib.crowd import TEST_CAMERAS, crowd_scenes
from course_lib.picture import image_png, to_uint8

Image(image_png(to_uint8(crowd_scenes(TEST_CAMERAS, 5, size=256, seed=3).images)[4]), width=512,
      alt="A square with a crowd on it")

# %% tags=["demo"]
from matplotlib import pyplot as plt

from course_lib.crowd import TEST_CAMERAS, TRAIN_CAMERAS, crowd_scenes
from course_lib.style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, use_style

use_style()
street = crowd_scenes(TEST_CAMERAS, 5, size=256, seed=3)
figure, panels = plt.subplots(2, 5, figsize=(12, 5))
for image, points, (plain, dotted) in zip(street.images, street.heads, panels.T):
    for panel in (plain, dotted):
        panel.imshow(image.permute(1, 2, 0))
        panel.set_axis_off()
    dotted.plot(*points.T, ".", color=ORANGE, markersize=4)
    plain.set_title(f"{len(points)} people")
plt.show()

# %% [markdown]
# A net could be asked for the number alone. It would get one number to learn from for each picture, and we couldn't see where it counts. Lempitsky & Zisserman (2010) had a better idea: ask for a **density map**, a picture whose sum over a region is the number of people there, but for those at its edge.
# Put a small bell on each head $p_i$, of sum 1:
#
# $$ Y(p) = \sum_{i=1}^{N} G_{\sigma}(p - p_i), \qquad \sum_{p} Y(p) = N . $$
#
# Two things need care. A sum over pixels isn't an integral, and a bell at the border hangs over it (some authors let it). Both are cured at once by dividing each bell by its own sum over *this picture's* pixels. And it is cheap, since a Gaussian is a product, $e^{-(x^2+y^2)/2\sigma^2} = e^{-x^2/2\sigma^2}e^{-y^2/2\sigma^2}$, and so is its sum:
#
# $$ G_i(r, c) = a_i(r)\, b_i(c), \qquad a_i(r) = \frac{e^{-(r + 1/2 - y_i)^2/2\sigma^2}}{\sum_{r'} e^{-(r' + 1/2 - y_i)^2/2\sigma^2}}, \qquad b_i(c) \text{ alike with } x_i . $$
#
# Each $a_i$ and each $b_i$ has the sum 1, so $\sum_{r,c} a_i(r) b_i(c) = 1$. And the sum over heads is $Y(r, c) = \sum_i a_i(r)\, b_i(c)$: **a matrix product**, $Y = A^\top B$, of the $N \times h$ matrix $A$ and the $N \times w$ matrix $B$.
#
# ### Exercise 1 · The density map  *(easy, 15 minutes)*
#
# <details><summary>Hint 1</summary>
#
# `torch.arange(length) + 0.5 - centre[:, None]` is a matrix of distances, a row for each head. Which coordinate belongs to the rows of the picture, x or y?
# </details>
# <details><summary>Hint 2</summary>
#
# One inner function makes both A and B: distances, bell, divided by its sum along `dim=1`. σ may be a number or one for each head: `expand` makes the same of both, and it then belongs to the rows, as the heads do.
# </details>

# %% solution="density"
def density_map(heads, height, width, sigma):
    """The density map of an image of height×width pixels: a Gaussian for each head, cut off at the
    border and scaled to sum to 1.

    heads (n, 2): the (x, y) of each, in pixels from the upper left corner; the middle of row i,
    column j is (j + ½, i + ½). n may be 0.
    sigma: the Gaussian's standard deviation in pixels, one number or (n,), at least 0.1.
    Returns (height, width), of the heads' dtype.
    """
    ### BEGIN SOLUTION
    sigma = torch.as_tensor(sigma, dtype=heads.dtype).expand(len(heads))[:, None]

    def profile(centre, length):
        distance = torch.arange(length, dtype=heads.dtype) + 0.5 - centre[:, None]
        bell = torch.exp(-distance**2 / (2 * sigma**2))
        return bell / bell.sum(1, keepdim=True)

    return profile(heads[:, 1], height).T @ profile(heads[:, 0], width)
    ### END SOLUTION

# %% check="density"
check("density")

# %% [markdown]
# Two witnesses. Away from the border it must agree with the slow way: a picture with a single 1 for each head, smoothed by SciPy over the whole picture (a head that stands in the middle of a pixel). And at the border it must not lose anybody:

# %%
import time

from scipy.ndimage import gaussian_filter

torch.manual_seed(0)
middle = torch.randint(100, 600, (20, 2)).double() + 0.5
slow = torch.zeros(768, 1024, dtype=torch.float64)
for x, y in middle.long().tolist():
    one = torch.zeros(768, 1024, dtype=torch.float64)
    one[y, x] = 1
    slow += torch.from_numpy(gaussian_filter(one.numpy(), 15.0, mode="constant", truncate=6.0))
start_slow = time.perf_counter()
for _ in range(5):
    gaussian_filter(one.numpy(), 15.0, mode="constant")    # cut off at 4σ, its default, is quicker
slow_seconds = (time.perf_counter() - start_slow) / 5
difference = (density_map(middle, 768, 1024, 15.0) - slow).abs().max()
print(f"20 heads away from the border: largest difference {difference:.0e}")
crowd = torch.rand(1000, 2, dtype=torch.float64) * torch.tensor([1024.0, 768.0])
start_fast = time.perf_counter()
# fifty at a time, so that there is also room for a map of each
whole = sum(density_map(some, 768, 1024, 15.0) for some in crowd.split(50))
fast_seconds = time.perf_counter() - start_fast
print(f"1,000 heads: yours {1000 * fast_seconds:.0f} ms; "
      f"a filter for each head {1000 * slow_seconds:.0f} s, "
      f"{1000 * slow_seconds / fast_seconds:.0f} times as long")
lost = torch.zeros(768, 1024, dtype=torch.float64)
columns, rows = crowd.long().T
lost.index_put_((rows, columns), torch.ones(1000, dtype=torch.float64), accumulate=True)
careless = gaussian_filter(lost.numpy(), 15.0, mode="constant")
print(f"the sum of yours: {whole.sum():.6f}; "
      f"smoothed without care for the border: {careless.sum():.1f}. "
      f"You predicted a loss of {my_predictions['border']}")

# %% [markdown]
# About three in a hundred are lost without care. By hand: a head at the distance $d$ from a border loses $\Phi(-d/\sigma)$, where $\varphi$ is the density of the standard normal distribution and $\Phi$ its distribution function, $\Phi' = \varphi$. Added up over all $d$, with $t = d/\sigma$ and by parts,
#
# $$ \int_0^\infty \Phi(-d/\sigma)\,\mathrm dd = \sigma \int_0^\infty \Phi(-t)\,\mathrm dt = \sigma \int_0^\infty t\,\varphi(t)\,\mathrm dt = \frac{\sigma}{\sqrt{2\pi}}, $$
#
# since $t\,\Phi(-t)$ is 0 at both ends. That is a strip $\sigma/\sqrt{2\pi}$ wide along the whole border, $2 \cdot (768 + 1024) \cdot 15/\sqrt{2\pi} / (768 \cdot 1024) = 2.7\,\%$ of the picture: 27 of 1,000 heads, on average. Where the heads are drawn at random, 1,000 of them lose 27 with a standard deviation of 2.7; these lose 33. (Where all bells are equally wide, one filter over a picture of dots does the same work, and loses at the border. A filter for each head is what code for σ that differ often does.)
#
# ### How wide?
#
# A head far away covers two pixels, a near one twenty. Where the camera's perspective isn't known, the crowd itself tells: in a dense crowd people stand about a head or two apart, so the distance to the neighbours measures the head's size. The **geometry-adaptive** kernel (Zhang et al. 2016; the $k = 3$ is what later code uses) takes
#
# $$ \sigma_i = \beta\, \bar d_i , \qquad \bar d_i = \text{mean distance to the } k \text{ nearest other heads}, \quad k = 3,\ \beta = 0.3 . $$
#
# The paper doesn't say what happens with fewer than $k$ neighbours; take those there are, and a fixed σ for somebody who is alone. (Which kernel SANet's authors used, and with which σ, their text doesn't settle.)
#
# A net may answer at a lower resolution. Then the truth must be made smaller **so that its sum survives**: add up the pixels of each square, don't average them and don't pick one.
#
# ### Exercise 2 · σ from the neighbours, and a smaller map  *(easy, 10 minutes)*
#
# <details><summary>Hint 1</summary>
#
# `(heads[:, None] - heads).norm(dim=2)` holds all distances. Each head is its own nearest neighbour, at distance 0: leave that one out.
# </details>
# <details><summary>Hint 2</summary>
#
# Average pooling gives the mean of a square. How do you get from the mean of `factor * factor` numbers to their sum?
# </details>

# %% solution="adaptive"
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    """A σ for each head from how close its neighbours are: beta × the mean distance to the k nearest
    other heads (Zhang et al. 2016).

    heads (n, 2); n may be 0. Of fewer than k other heads all are taken; the only head of an image
    gets `alone`.
    Returns (n,), without heads (0,); 0 for a head whose neighbours all stand where it stands.
    """
    ### BEGIN SOLUTION
    n = len(heads)
    if n < 2:
        return torch.full((n,), alone, dtype=heads.dtype)
    distance = (heads[:, None] - heads).norm(dim=2)
    nearest = distance.sort(dim=1).values[:, 1:k + 1]
    return beta * nearest.mean(1)
    ### END SOLUTION


def shrink(maps, factor):
    """The maps (n, 1, h, w) at 1/factor of the resolution, with the same sums. h and w are
    multiples of factor.
    """
    ### BEGIN SOLUTION
    return F.avg_pool2d(maps, factor) * factor**2
    ### END SOLUTION

# %% check="adaptive"
check("adaptive")

# %%
image, points = street.images[2], street.heads[2].double()
# heads far away stand closer than a pixel, and marks may coincide
sigmas = adaptive_sigmas(points).clamp(min=0.5)
maps = {"fixed, σ = 4": density_map(points, 256, 256, 4.0),
        "geometry-adaptive": density_map(points, 256, 256, sigmas)}
figure, panels = plt.subplots(1, 3, figsize=(11, 3.6))
panels[0].imshow(image.permute(1, 2, 0))
panels[0].set_title(f"{len(points)} people")
for panel, (title, made) in zip(panels[1:], maps.items()):
    panel.imshow(made, cmap="inferno", vmax=0.5 * made.max())
    panel.set_title(f"{title}: sum {made.sum():.3f}")
for panel in panels:
    panel.set_axis_off()
plt.show()
small = shrink(maps["fixed, σ = 4"][None, None], 8)
print(f"at an eighth of the resolution, {tuple(small.shape[2:])}: sum {small.sum():.3f}")

# %% [markdown] tags=["demo", "instructor"]
# ## A dot becomes a density
#
# Each head becomes a little hill whose sum is 1. The sum of the map is the count.
#
# > **Ask the room.** Drag a head to the border. Half of its hill falls off the picture: what should the sum do? And what does it do where nobody takes care?

# %% tags=["demo"]
from course_lib.explore import sanet as explore

explore.heads_and_count(density_map, street.images[2], street.heads[2].double())

# %% [markdown]
# ## 2 · Scale
#
# The same person is two pixels wide at the back of a square and twenty at the front. Multi-column nets (Zhang et al. 2016) answer with three nets beside each other, one for each size, and as many scales as columns. SANet puts the choice **into each layer**: a *scale aggregation module* runs kernels of 1, 3, 5 and 7 on the
# same input and joins what they find, and the next module runs four kernels on that. How many scales does that make? Follow all paths. A kernel $k$ in module $l$ adds $(k - 1)\, j_l$ pixels to what an output sees, where $j_l = 1, 2, 4, 8$ is how far apart neighbours lie there, because a pooling stands between two modules (and adds 1, 2, 4 of its own):

# %%
from itertools import product

sides = {1 + sum((kernel - 1) * jump for kernel, jump in zip(path, (1, 2, 4, 8))) + 1 + 2 + 4
         for path in product((1, 3, 5, 7), repeat=4)}
print(f"{4**4} paths through the encoder see {len(sides)} different sizes, "
      f"from {min(sides)} to {max(sides)} pixels: {sorted(sides)[:5]} … {sorted(sides)[-2:]}")
print("a net of three columns: 3 paths, 3 sizes")

# %% [markdown]
# The wide kernels would be dear on many channels. So a 1×1 convolution comes before the kernels of 3, 5 and 7 (not before the 1×1, and not in the first module, which has three channels to begin with), and gives **twice the branch's width**: 64 → 64, 128 → 64, 128 → 32. The paper's text leaves that width open; its number of parameters, 0.91 million,
# fits it, and doesn't fit half of the input's channels (0.88 million).
#
# After every convolution stand instance norm and ReLU. Here is that unit, and its relative that doubles the resolution. Use them:

# %% tags=["setup"]
NORMS = {"instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
         "batch": nn.BatchNorm2d,
         "none": lambda channels: nn.Identity()}


def conv_unit(in_channels, out_channels, kernel, norm="instance"):
    """A convolution that keeps the size, normalisation, ReLU. The convolution has a bias only where no
    normalisation follows.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=norm == "none"),
        NORMS[norm](out_channels), nn.ReLU())


def up_unit(channels, norm="instance"):
    """A 2×2 transposed convolution with stride 2, which doubles height and width;
    normalisation, ReLU.
    """
    return nn.Sequential(
        nn.ConvTranspose2d(channels, channels, 2, stride=2, bias=norm == "none"),
        NORMS[norm](channels), nn.ReLU())


# %% [markdown]
# ### Exercise 3 · The scale aggregation module  *(easy, 15 minutes)*
#
# ```
#            ┌── 1×1, width ──────────────────────────┐
#  input ────┼── (1×1, 2·width) ── 3×3, width ────────┼── channels joined: 4·width
#            ├── (1×1, 2·width) ── 5×5, width ────────┤        in brackets: only with `reduce`
#            └── (1×1, 2·width) ── 7×7, width ────────┘
# ```
#
# <details><summary>Hint 1</summary>
#
# A list of branches in an `nn.ModuleList`, so that PyTorch finds their parameters. Each branch is a `conv_unit`, or an `nn.Sequential` of two.
# </details>
# <details><summary>Hint 2</summary>
#
# Channels are dimension 1. Hand `norm` on to each unit.
# </details>

# %% solution="aggregation"
class ScaleAggregation(nn.Module):
    """Four branches with kernels of 1, 3, 5 and 7, their channels joined in this order:
    (n, in_channels, h, w) → (n, 4·width, h, w).

    Each branch ends in a `conv_unit` of `width` channels. With `reduce`, the branches of 3, 5 and 7
    begin with a 1×1 `conv_unit` of 2·width channels. norm: handed on to each `conv_unit`.
    """

    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__()
        ### BEGIN SOLUTION
        branches = [conv_unit(in_channels, width, 1, norm)]
        for kernel in (3, 5, 7):
            if reduce:
                branches.append(nn.Sequential(conv_unit(in_channels, 2 * width, 1, norm),
                                              conv_unit(2 * width, width, kernel, norm)))
            else:
                branches.append(conv_unit(in_channels, width, kernel, norm))
        self.branches = nn.ModuleList(branches)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return torch.cat([branch(x) for branch in self.branches], dim=1)
        ### END SOLUTION

# %% check="aggregation"
check("aggregation")

# %% [markdown]
# What each branch does to a single bright pixel shows its kernel. Without norm, and with all weights 1, each branch of a first module answers by a square as wide as its kernel:

# %%
module = ScaleAggregation(1, 1, reduce=False, norm="none")
for parameter in module.parameters():
    nn.init.constant_(parameter, 1.0 if parameter.ndim > 1 else 0.0)
impulse = torch.zeros(1, 1, 15, 15)
impulse[0, 0, 7, 7] = 1
figure, panels = plt.subplots(1, 4, figsize=(8, 2.2))
for kernel, answer, panel in zip((1, 3, 5, 7), module(impulse)[0].detach(), panels):
    panel.imshow(answer, vmin=0, vmax=1)
    panel.set_title(f"{kernel}×{kernel}: {int(answer.sum())} pixels")
    panel.set_axis_off()
plt.show()

# %% [markdown]
# ### Exercise 4 · SANet  *(medium, 25 minutes)*
#
# | encoder | branches' width | channels out | | decoder | kernel | channels |
# |---|---|---|---|---|---|---|
# | module 1, no reduction | 16 | 64 | | conv unit, up unit | 9×9 | 64 |
# | pool, module 2 | 32 | 128 | | conv unit, up unit | 7×7 | 32 |
# | pool, module 3 | 32 | 128 | | conv unit, up unit | 5×5 | 16 |
# | pool, module 4 | 16 | 64 | | conv unit | 3×3 | 16 |
# | | | | | convolution alone | 1×1 | 1 |
#
# Write `width` for 16, 2 and 4 times `width` for 32 and 64, so that a small one can be made. Three poolings take a side down to an eighth and three up units bring it back; for a side that isn't a multiple of 8 something has to be done, or the map won't fit the picture: pad with zeros at the right and at the bottom, and cut the map.
#
# <details><summary>Hint 1</summary>
#
# `encoder` and `decoder` as two `nn.Sequential`, in this order. The last 1×1 convolution has a bias, and neither norm nor ReLU.
# </details>
# <details><summary>Hint 2</summary>
#
# `-side % 8` is how many pixels are missing to the next multiple of 8. `F.pad(x, (left, right, top, bottom))`.
# </details>

# %% solution="network"
class SANet(nn.Module):
    """The Scale Aggregation Network (Cao et al. 2018, Figure 1): images (n, in_channels, h, w) →
    maps (n, 1, h, w), for any h and w of which one is larger than 8 (at an eighth of that, instance
    norm refuses a single pixel).

    Encoder: four ScaleAggregation of width, 2, 2 and 1 times width channels a branch, the first without
    reduction, 2×2 max-pooling between them. Decoder: conv_units of 9×9, 7×7 and 5×5 kernels with 4, 2
    and 1 times width channels, each followed by an `up_unit` of as many; a 3×3 conv_unit of width
    channels; a 1×1 convolution (with bias) to one channel.
    decoder_norm: the decoder's norm where it isn't the encoder's.
    """

    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__()
        ### BEGIN SOLUTION
        encoder, now = [], in_channels
        for number, times in enumerate((1, 2, 2, 1)):
            if number:
                encoder.append(nn.MaxPool2d(2))
            encoder.append(ScaleAggregation(now, times * width, number > 0, norm))
            now = 4 * times * width
        decoder, norm = [], decoder_norm or norm
        for kernel, times in ((9, 4), (7, 2), (5, 1)):
            decoder += [conv_unit(now, times * width, kernel, norm), up_unit(times * width, norm)]
            now = times * width
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder, conv_unit(width, width, 3, norm), nn.Conv2d(width, 1, 1))
        ### END SOLUTION

    def forward(self, x):
        """Sides that aren't multiples of 8 are padded with zeros at the right and at the bottom, and
        the map is cut to size.
        """
        ### BEGIN SOLUTION
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % 8, 0, -height % 8))
        return self.decoder(self.encoder(x))[:, :, :height, :width]
        ### END SOLUTION

# %% check="network"
check("network")

# %%
def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


print(f"instance norm everywhere, as in the paper: {parameters(SANet()):,} parameters; "
      f"without norm, with biases: {parameters(SANet(norm='none')):,}")
for height, width in ((64, 64), (101, 75)):
    out = SANet(width=2)(torch.zeros(1, 3, height, width))
    print(f"{height}×{width} pixels in, {tuple(out.shape[2:])} out")

# %% [markdown]
# 914,801 and 913,697. The paper's 0.91 million fit both; its text says that the norm is there.
#
# ## 3 · Why pixels alone blur
#
# The usual loss compares pixel by pixel, $L_E = \frac1n \sum_p (F(p) - Y(p))^2$, where $F$ is the predicted map, as in the paper (in the code, `F` is `torch.nn.functional`). Suppose a head is seen, but not exactly where: it may be at $p_1$ or at $p_2$, each with probability ½. Which map $F$ has the smallest expected loss? For each pixel, $\mathbb E\,(F - Y)^2 = (F - \mathbb E Y)^2 + \operatorname{Var} Y$, smallest at
# $F = \mathbb E\, Y$: **the mean of the two maps**, half a head here and half a head there, a map that is certainly wrong. Whenever a net is unsure it is best off, in this loss, to smear. See it:

# %%
here, there = (density_map(torch.tensor([[x, 16.0]]), 32, 32, 2.0) for x in (12.0, 20.0))
share = torch.linspace(0, 1, 101)
mixtures = [s * here + (1 - s) * there for s in share]
expected = torch.stack([0.5 * F.mse_loss(mixture, here) + 0.5 * F.mse_loss(mixture, there)
                        for mixture in mixtures])
print("of all mixtures s·here + (1 − s)·there, the expected squared error is least at "
      f"s = {share[expected.argmin()]:.2f}")

# %% [markdown]
# Each pixel is judged alone, as if its neighbours didn't exist. **SSIM** (Wang et al. 2004) judges a pixel by what is around it. Lay a window over both maps, with weights $w$ that fall off like a Gaussian and have the sum 1, and take the local means, variances and the covariance:
#
# $$ \mu_F = \sum_o w(o) F(p + o), \qquad \sigma_F^2 = \sum_o w(o) \big(F(p+o) - \mu_F\big)^2 = \sum_o w(o) F(p+o)^2 - \mu_F^2, $$
#
# $$ \sigma_{FY} = \sum_o w(o)\, F(p+o)\, Y(p+o) - \mu_F \mu_Y . $$
#
# (The second form of the variance: multiply out, $\sum w F^2 - 2\mu_F \sum w F + \mu_F^2 \sum w$, with $\sum w F = \mu_F$ and $\sum w = 1$. The covariance alike.) Then
#
# $$ \mathrm{SSIM} = \underbrace{\frac{2\mu_F\mu_Y + C_1}{\mu_F^2 + \mu_Y^2 + C_1}}_{\text{same level?}} \cdot \underbrace{\frac{2\sigma_{FY} + C_2}{\sigma_F^2 + \sigma_Y^2 + C_2}}_{\text{same pattern?}} , \qquad C_1 = 0.01^2,\ C_2 = 0.03^2 . $$
#
# Since $|2ab| \le a^2 + b^2$, the first fraction lies between −1 and 1, also where the net's map is negative, and it reaches 1 only for $\mu_F = \mu_Y$. So does the second: $\sigma_F^2 + \sigma_Y^2 \mp 2\sigma_{FY}$ are the variances of $F - Y$ and of $F + Y$, and neither is negative. It is below 0 where one map clearly rises as the other falls. So **SSIM lies between −1 and 1**, and not between 0 and 1. The constants are those for values up to 1.
#
# "11×11" is the window's full width; half of it is 5. It has σ = 1.5. We let it stand only where it fits into the map, as pytorch-msssim does, so the map of SSIM is 10 pixels narrower than what it compares. (torchmetrics 1.9 lets it stand at the border too and mirrors the map there: another number. The tests of this course compare with both.)
#
# **How to be quick.** The window is a product again, $w(o) = g(o_1)\, g(o_2)$, so a local mean is a sum down and then a sum across. Each is a matrix product with a *band* matrix, a row for each place of the window, in which the eleven weights stand one further to the right in each row: $\mu = D_h\, F\, D_w^\top$. And of the five means in the formula two
# are needed only as a sum: $\sigma_F^2 + \sigma_Y^2 = \mathrm{mean}(F^2 + Y^2) - \mu_F^2 - \mu_Y^2$. Four will do.
#
# ### Exercise 5 · Local SSIM  *(medium, 30 minutes)*
#
# <details><summary>Hint 1</summary>
#
# `local_mean` by convolution: `F.conv2d` with the window as a column, then as a row; no padding. Convert the window to the maps' dtype: `window.to(maps)`. By matrices: a row for each place of the window; each weight stands on a diagonal, and `diagonal(offset)` of a matrix can be filled.
# </details>
# <details><summary>Hint 2</summary>
#
# `ssim_map`: local means of x, y, x·y, and of x² + y². Covariance: mean of the product minus product of the means.
# </details>

# %% solution="ssim"
def gaussian_window(size=11, sigma=1.5):
    """The weights of a Gaussian window along one axis, (size,) float64: symmetric about its middle,
    with the sum 1.
    """
    ### BEGIN SOLUTION
    weights = torch.exp(-(torch.arange(size, dtype=torch.float64) - (size - 1) / 2) ** 2
                        / (2 * sigma**2))
    return weights / weights.sum()
    ### END SOLUTION


def local_mean(maps, window):
    """The mean of what lies under the window, down and across, at each place where the window fits into
    the map: weighed by the window as it stands, which needn't sum to 1.

    maps (n, 1, h, w), window (size,) → (n, 1, h − size + 1, w − size + 1).
    """
    ### BEGIN SOLUTION
    def band(length):  # a row for each place of the window
        places = maps.new_zeros(length - len(window) + 1, length)
        for offset, weight in enumerate(window):
            places.diagonal(offset).fill_(weight)
        return places

    return band(maps.shape[2]) @ maps @ band(maps.shape[3]).T
    ### END SOLUTION


def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    """Structural similarity at each place of an 11×11 Gaussian window with σ = 1.5 (Wang et al. 2004;
    Cao et al. 2018, Eq. 4 to 6).

    x, y (n, 1, h, w) → (n, 1, h − 10, w − 10), from −1 to 1.
    """
    ### BEGIN SOLUTION
    window = gaussian_window().to(x)
    mean_x, mean_y, squares, product = local_mean(
        torch.cat([x, y, x * x + y * y, x * y]), window).split(len(x))
    means, mean_squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = product - means, squares - mean_squares
    return (2 * means + C1) * (2 * covariance + C2) / ((mean_squares + C1) * (variances + C2))
    ### END SOLUTION

# %% check="ssim"
check("ssim")

# %% [markdown]
# The check has compared your gradient with the reference's. Compare it yourself with what a derivative *is*: move one pixel by a little, and see what the result does. And see the whole range from −1 to 1:

# %%
torch.manual_seed(0)
x, y = torch.rand(2, 1, 1, 14, 15, dtype=torch.float64)
x.requires_grad_()
gradient, = torch.autograd.grad(ssim_map(x, y).mean(), x)
step, worst = 1e-5, 0.0
with torch.no_grad():
    for row, column in ((0, 0), (3, 7), (7, 7), (13, 14)):
        nudge = torch.zeros_like(x)
        nudge[0, 0, row, column] = step
        difference = (ssim_map(x + nudge, y).mean() - ssim_map(x - nudge, y).mean()) / (2 * step)
        worst = max(worst, (difference - gradient[0, 0, row, column]).abs().item())
print(f"largest difference between gradient and finite difference: {worst:.0e}")
waves = 5 + torch.sin(torch.arange(30.0))[None, None, None, :].expand(1, 1, 30, 30)
print(f"a pattern with itself: {ssim_map(waves, waves).mean():.3f}; "
      f"with its negative about the same mean: {ssim_map(waves, 10 - waves).mean():.3f}")

# %% [markdown] tags=["demo", "instructor"]
# ## The count, or the pattern
#
# Left the truth, in the middle a prediction, right how alike they are at each place (SSIM).
#
# > **Ask the room.** Blur the prediction: does the count notice? Shift it: who notices, the count or the pattern? Scale it by 0.8: who notices now?

# %% tags=["demo"]
truth = counting.SCALE * density_map(street.heads[2].double() / 4, 64, 64, 2.0)
explore.similarity(ssim_map, gaussian_window, truth)

# %% [markdown]
# Scale the prediction and the count goes; blur it and the count stays. SSIM minds both, and so does $L_E$, but $L_E$ takes each pixel alone and SSIM the window around it. SANet adds the two:
#
# $$ L_C = 1 - \frac1{n'} \sum_p \mathrm{SSIM}(p), \qquad L = L_E + \alpha_C L_C, \qquad \alpha_C = 0.001 . $$
#
# **What does 0.001 mean?** Nothing, before it is said what the maps are. $L_E$ has the unit of the map squared: maps a hundred times as large make it ten thousand times as large. $L_C$ has no unit, but for $C_1$ and $C_2$, which are measured against the map's values. So the same $\alpha_C$ can be a heavy weight or none at all. The paper doesn't say how its
# maps are scaled; and a program that sums over the pixels, where we take their mean, has an $L_E$ thousands of times as large. What counts for training is how hard each term *pulls*, that is, the size of its gradient.
#
# ### Exercise 6 · The loss, and who pulls harder  *(medium, 15 minutes)*
#
# <details><summary>Hint 1</summary>
#
# `gradient_ratio` needs a prediction that takes part in a graph of its own: `prediction.detach().requires_grad_()`. `torch.autograd.grad(value, prediction)` gives a tuple.
# </details>
# <details><summary>Hint 2</summary>
#
# The ratio of the two norms, L_C's above. `.item()` makes a float of it.
# </details>

# %% solution="loss"
def consistency_loss(prediction, truth):
    """The local pattern consistency loss L_C = 1 − the mean of SSIM over all places
    (Cao et al. 2018, Eq. 7). A scalar tensor.
    """
    ### BEGIN SOLUTION
    return 1 - ssim_map(prediction, truth).mean()
    ### END SOLUTION


def sanet_loss(prediction, truth, alpha=0.001):
    """L = L_E + alpha·L_C (Eq. 8), with L_E the mean of the squared differences over all pixels of
    the batch. A scalar tensor.
    """
    ### BEGIN SOLUTION
    return F.mse_loss(prediction, truth) + alpha * consistency_loss(prediction, truth)
    ### END SOLUTION


def gradient_ratio(prediction, truth):
    """‖∂L_C/∂prediction‖ / ‖∂L_E/∂prediction‖: how hard one term pulls at the prediction
    compared with the other. A float.
    """
    ### BEGIN SOLUTION
    prediction = prediction.detach().requires_grad_()
    pull = [torch.autograd.grad(loss(prediction, truth), prediction)[0].norm()
            for loss in (consistency_loss, F.mse_loss)]
    return (pull[0] / pull[1]).item()
    ### END SOLUTION

# %% check="loss"
check("loss")

# %% [markdown]
# Does it cure the smearing? The mixtures from the beginning of this section once more, a head that may be here or there, now judged by $L_C$:

# %%
for factor in (1, counting.SCALE):
    expected = torch.stack([
        0.5 * sum(consistency_loss(factor * mixture[None, None], factor * truth[None, None])
                  for truth in (here, there)) for mixture in mixtures])
    print(f"maps × {factor:3.0f}: expected L_C {expected[0]:.3f} for one place, "
          f"{expected[50]:.3f} for the mean of both; least at s = {share[expected.argmin()]:.2f}")

# %% [markdown]
# On maps × 100 a decision is now better than the smear. On the raw maps, whose values are far below what $C_1$ and $C_2$ are made for, SSIM smears just as $L_E$ does. How hard the two terms pull depends on the scale as well:

# %%
true_maps, blurred = (
    torch.stack([density_map(points.double() / 4, 64, 64, sigma) for points in street.heads])[:, None]
    for sigma in (2.0, 4.0))
print("a blurred prediction          L_E        L_C    ‖∂L_C‖/‖∂L_E‖   so that both pull alike, α_C =")
for factor in (1, 100):
    prediction, truth = factor * blurred, factor * true_maps
    ratio = gradient_ratio(prediction, truth)
    print(f"maps × {factor:3}             {F.mse_loss(prediction, truth):.2e}   "
          f"{consistency_loss(prediction, truth):.3f}   {ratio:13.3g}   {1 / ratio:14.2g}")

# %% [markdown]
# Maps × 100, $L_E$ a mean over pixels, no padding: with these, α_C = 0.001 is next to nothing, and an ablation would find that $L_C$ "doesn't matter". On the raw maps the same 0.001 lets both pull about alike. **State the map's scale, the reduction and the padding with every weight of a loss**, and choose the weight from the ratio of the pulls. Here maps are × 100. From the ratio, for this blurred prediction, it would be about 1; for others it is another, since the pulls change as the net learns. The training below keeps the paper's 0.001 all the same, and so hardly hears $L_C$: over five seeds the count couldn't tell 0.001 from 1 (section 7), only the maps could.
#
# What about a discriminator, as other papers of the time use against blur? It would judge patterns too. But it is a second net to train and to balance, and unless it is shown the picture too it judges whether a map is *possible*, not whether it is *this picture's*. SSIM compares with the truth, has nothing to train, and costs a few matrix products.
#
# ## 4 · What there is to beat
#
# Three sets of scenes: many cameras to learn from, a few others to choose by, and five test cameras that nothing is chosen by. On a CPU at 64×64 pixels, so that a core trains in seconds.

# %% tags=["train"]
sizes = scale.pick(smoke=(392, 50, 100), cpu=(784, 100, 200))
pixels = scale.pick(smoke=48, cpu=64, gpu=256)
groups = TRAIN_CAMERAS[:-5], TRAIN_CAMERAS[-5:], TEST_CAMERAS
learn, choose, test = (crowd_scenes(cameras, n, pixels, seed=1) for cameras, n in zip(groups, sizes))
print(learn, choose, test, sep="\n")

# %% [markdown]
# Before a net is trained, know what can be had for nothing. Always guess the average; or fit the line, from two numbers of the picture. Both are reported as crowd counting reports:
#
# * **MAE**, the mean of $|\hat N - N|$ over all pictures (ShanghaiTech); or within each scene, and then over the scenes (WorldExpo'10).
# * "**MSE**", which in this field is the *root* of the mean of $(\hat N - N)^2$. It weighs large errors more.
#
# ### Exercise 7 · Scores  *(easy, 10 minutes)*
#
# <details><summary>Hint 1</summary>
#
# `error[scene == 2]` are the errors of scene 2. `int(scene.max()) + 1` is the number of scenes.
# </details>
# <details><summary>Hint 2</summary>
#
# The mean over scenes and the mean over frames differ as soon as the scenes have different numbers of frames. Which of them is `by_scene.mean()`?
# </details>

# %% solution="scores"
def scores(predicted, true, scene):
    """The errors of predicted counts, as crowd counting reports them.

    predicted, true (n,): counts. scene (n,) int64: which scene each picture is of, 0, 1, …; each
    has at least one.
    Returns {"by scene": a tensor (scenes,), the mean absolute error of each, not less precise than
    `predicted`; "mean over scenes": of these; "mean over frames": of all pictures' absolute errors;
    "MSE": the *root* of the mean squared error over all pictures, as the field calls it}, floats.
    """
    ### BEGIN SOLUTION
    error = (predicted - true).abs().double()
    by_scene = torch.stack([error[scene == each].mean() for each in range(int(scene.max()) + 1)])
    return {"by scene": by_scene, "mean over scenes": by_scene.mean().item(),
            "mean over frames": error.mean().item(), "MSE": error.square().mean().sqrt().item()}
    ### END SOLUTION

# %% check="scores"
check("scores")

# %% tags=["train"]
def features(images):
    return torch.stack([images.mean((1, 2, 3)), images.std((1, 2, 3)), torch.ones(len(images))], dim=1)


def print_errors(name, result):
    by_scene = "  ".join(f"{error:5.2f}" for error in result["by scene"].tolist())
    print(f"{name:>36}: by scene {by_scene}   "
          f"mean {result['mean over scenes']:5.2f}   MSE {result['MSE']:5.2f}")


line = torch.linalg.lstsq(features(learn.images), learn.counts[:, None].float()).solution[:, 0]
baselines = {"the average": learn.counts.float().mean().expand(len(test)),
             "the line from mean and deviation": features(test.images) @ line}
for name, predicted in baselines.items():
    print_errors(name, scores(predicted, test.counts, test.camera))
print("How much better the line would be, you predicted:", my_predictions["line"])

# %% [markdown]
# ### A training log, read as a detective
#
# This is how SANet's training on WorldExpo'10 looks when somebody keeps a log. (One run of one practitioner, unpublished; with which code and settings it was made isn't recorded here. Take it for an exercise in reading, and not for a result of SANet.) Error for each of the five test scenes (119, 120, 120, 120 and 120 frames), and the mean that was printed:
#
# | epoch | scene 0 | scene 1 | scene 2 | scene 3 | scene 4 | mean |
# |---|---|---|---|---|---|---|
# | 6 | 12.9089 | 34.0544 | 4.2624 | 21.2200 | 32.5930 | 21.0213 |
# | 7 | 10.6995 | 28.6209 | 4.0876 | 24.5653 | 28.8847 | 19.3861 |
# | 8 | 8.8342 | 23.3993 | 4.9173 | 29.7230 | 24.9723 | 18.3851 |
# | 9 | 8.8407 | 21.5716 | 4.9843 | 31.0110 | 23.6525 | 18.0273 |
# | 10 | 7.2827 | 18.1437 | 6.4502 | 37.1199 | 20.0578 | 17.8284 |
# | 11 | 7.5707 | 18.3962 | 6.2368 | 34.0716 | 20.2758 | 17.3265 |
# | 12 | 6.9881 | 17.9817 | 6.5780 | 34.2621 | 19.8616 | 17.1512 |
#
# From epoch 6 on the mean falls from epoch to epoch (at epoch 4 it had been 19.6045, so it rose before). Which scenes end worse than they began? And which mean is it, over scenes or over frames? Let your `scores` tell, to the fourth digit: give each frame of a scene that scene's error.

# %%
frames = torch.tensor([119, 120, 120, 120, 120])
log = torch.tensor([[6.9881, 17.9817, 6.5780, 34.2621, 19.8616]], dtype=torch.float64)
errors = log[0].repeat_interleave(frames)
result = scores(errors, torch.zeros(599), torch.arange(5).repeat_interleave(frames))
print(f"epoch 12: mean over scenes {result['mean over scenes']:.4f}, "
      f"mean over frames {result['mean over frames']:.4f}; printed was 17.1512")

# %% [markdown]
# It is the mean over frames; the benchmark's is the plain mean over scenes, 17.1343. A small difference here, because the scenes have nearly equally many frames, and a large one wherever they haven't. Scene 3 goes from 21 to 34 people of error, and scene 2 from 4.3 to 6.6, while the mean "improves"; whether the net counts too many or too few there, absolute errors can't say. And the best epoch is
# chosen *on the test scenes*, so the number that is reported is the luckiest of all epochs. (SANet's published figures for WorldExpo'10 are 2.6, 13.2, 9.0, 13.3 and 3.0, mean 8.2; this run is far from them.) You will choose on other cameras.
#
# ## 5 · Trained for real
#
# Now the recipe. Built as in the paper, with instance norm after every convolution, the net hardly counts *here*, a quarter as wide and trained for 250 steps; section 7 has it measured. Its authors report the published figures above with it, at full size. Why it has to struggle for the count can be seen before.
#
# ### Why instance norm takes the count away
#
# Take one channel $z$ of the last 3×3 convolution, on one picture with $n$ pixels. Instance norm replaces it by
#
# $$ \hat z(p) = \gamma\, \frac{z(p) - \bar z}{s} + \beta, \qquad \bar z = \frac1n \sum_p z(p), \quad s^2 = \frac1n \sum_p (z(p) - \bar z)^2 , $$
#
# and so $\sum_p \hat z(p) = n\beta$, **whatever is in the picture**. If the 1×1 convolution came right after it, $F = \sum_c v_c \hat z_c + b$, the predicted count would be $\sum_p F(p) = n\,(\sum_c v_c \beta_c + b)$: the same number for every picture. All that rescues anything is the ReLU between them. How much? Let $z$ be the ideal, $1$ on the heads and $0$ elsewhere,
# with heads on a share $q$ of the pixels. Then $\bar z = q$ and $s = \sqrt{q(1-q)}$; with $\gamma = 1$ and $\beta = 0$ the heads get $\hat z = (1-q)/s = \sqrt{(1-q)/q}$ and the rest gets less than 0, which ReLU cuts off. What remains is
#
# $$ \sum_p \operatorname{ReLU}(\hat z(p)) = nq \sqrt{\frac{1-q}{q}} = n\sqrt{q(1-q)} \approx n\sqrt q . $$
#
# **Four times as many people make twice the sum.** (Several channels with different β, put together rightly, could undo that: $\operatorname{ReLU}(\hat z) - \operatorname{ReLU}(\hat z - 1)$ is 1 on each head, as long as they cover no more than half the picture. The training has to find it.) With numbers:

# %%
norm = nn.InstanceNorm2d(1)
print("heads    before ReLU    after ReLU    n·√(q(1 − q))")
for people in (4, 16, 64):
    z = torch.zeros(1, 1, 64, 64, dtype=torch.float64)
    for number in range(people):
        top, left = 8 * (number // 8), 8 * (number % 8)
        z[0, 0, top:top + 3, left:left + 3] = 1    # a head: 3×3 pixels
    q = 9 * people / 4096
    print(f"{people:5}   {norm(z).sum().abs():11.4f}   {F.relu(norm(z)).sum():11.2f}   "
          f"{4096 * (q * (1 - q)) ** 0.5:11.2f}")
print("Four times as many heads: you predicted the factor", my_predictions["instance norm"])

# %% [markdown]
# So the sum still grows with the count, if only as its root, and a line through it could count. But $L_E$ judges each pixel. The heads have come out $\sqrt{(1-q)/q}$ high: the same head is about twice as high in a picture with a quarter of the heads, while the truth wants one height for all of them. One $v_c$ can't be right for both. Give each norm the best there could be, the true density map itself, let ReLU follow, and find the line that takes each *pixel* nearest to the truth, as $L_E$ asks of $v$ and $b$; beside it, the line that takes each picture's *sum* nearest to its count:

# %% tags=["train"]
true_counts = test.counts.double()
ideal = counting.SCALE * torch.stack([
    density_map(points.double(), pixels, pixels, scale.pick(smoke=2.25, cpu=3.0, gpu=6.0))
    for points in test.heads])[:, None]


def nearest_line(x, y):
    """y as a straight line of x would have it, by least squares."""
    from_mean = x - x.mean()
    return y.mean() + from_mean * (from_mean * (y - y.mean())).sum() / from_mean.square().sum()


print("mean absolute error over scenes      by pixels   by sums")
for name, norm in (("no norm", nn.Identity()), ("batch norm", nn.BatchNorm2d(1).double()),
                   ("instance norm", nn.InstanceNorm2d(1))):
    seen = F.relu(norm(ideal)).detach()
    by_pixels = counting.counts(nearest_line(seen, ideal))
    by_sums = nearest_line(seen.sum((1, 2, 3)), true_counts)
    print(f"{name:>36} " + "".join(
        f"{scores(guess, true_counts, test.camera)['mean over scenes']:10.2f}"
        for guess in (by_pixels, by_sums)))
guess = true_counts.mean().expand(len(test))
print(f"{'always their average':>36} "
      f"{scores(guess, true_counts, test.camera)['mean over scenes']:10.2f}")

# %% [markdown]
# Behind instance norm, what is best for the pixels is little better than the average, although the sums know more. (How much more depends on the pictures; a true map isn't 0 and 1.) This is one channel with one ReLU; section 7 has whole nets.
#
# Batch norm divides by statistics of the *batch* (in eval mode, by their running average over the last batches), the same for each picture: what differs between pictures stays different. Normalisation in the encoder does less harm, since a count can still be made of the pattern that is left; in the decoder it is the last word.
#
# ### A recipe
#
# What trains here (what it costs to leave out the first two is measured in section 7):
#
# * **batch norm** in the place of instance norm;
# * **the last convolution's weights at 0 and its bias at the mean of the maps**, so that the net begins with a flat map whose sum is the average count, whatever the seed. The first steps then only find what to make of the features there are;
# * **Adam with a large rate**, 0.01, that warms up over a tenth of the steps and comes down to 0 along half a cosine.
#
# ### Exercise 8 · Train it  *(medium, 20 minutes)*
#
# Put your pieces together. `counting.train_counter` is the loop (a page in `course_lib/counting.py`, worth reading): it takes your loss, your optimiser and a rate for each step, mirrors half of each batch, and can go on after a stop. Whatever else you choose, take batches of 8 (16 on a GPU), since the cells below count on it, and let the net take pictures to maps × `counting.SCALE`. You are judged on pictures from cameras that your net has never seen,
# against two that know nothing about heads: the line for *how many* (at most 0.85 of its error, on a CPU), and the mean density map for *where* (in a grid of 4×4 cells, at most 0.8 of its error).
#
# <details><summary>Hint 1</summary>
#
# `SANet(images.shape[1], 4, "batch")`, a quarter of the width, is enough on a CPU. Maps with σ = 3 pixels (6 for 256×256), multiplied by `counting.SCALE`, as (n, 1, h, w) and on the images' device, made once before the training; batches of 8. The loop is `counting.train_counter(net, images, maps, loss, optimizer, steps, batch, rate, after_step)`, where `rate(step)` gives a number.
# </details>
# <details><summary>Hint 2</summary>
#
# `nn.init.zeros_(…)` and `nn.init.constant_(…)` set the last convolution's weights and bias. `steps = budget // batch`, and a rate that is 0.01 times two factors: one that rises to 1 over the first tenth of the steps, one that falls from 1 to 0 along half a cosine.
# </details>

# %% solution="training"
def train_mine(images, heads, budget, after_step=None):
    """A SANet of yours, trained by looking at `budget` images at most; one seen twice counts twice.

    images (n, c, h, w) in [0, 1]; heads: for each image a tensor (people, 2), on the CPU.
    after_step(step, loss, net), if given, must be called after each step.
    Returns a net that takes images to maps (n, 1, h, w) of counting.SCALE times the density. It will
    be used on pictures in [0, 1] as they come: whatever you do to them belongs inside it.
    """
    ### BEGIN SOLUTION
    # larger pictures have larger heads
    sigma, batch = scale.pick(smoke=(2.25, 8), cpu=(3.0, 8), gpu=(6.0, 16))
    height, width = images.shape[2:]
    maps = counting.SCALE * torch.stack([
        density_map(points.float(), height, width, sigma) for points in heads
    ])[:, None].to(images.device)
    net = SANet(images.shape[1], scale.pick(smoke=4, gpu=16), "batch").to(images.device)
    *_, last = (module for module in net.modules() if isinstance(module, nn.Conv2d))
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, maps.mean().item())
    steps, peak = budget // batch, 0.01
    rate = lambda step: (peak * min(1, 10 * (step + 1) / steps)
                         * (1 + math.cos(math.pi * step / steps)) / 2)
    counting.train_counter(net, images, maps, sanet_loss,
                           torch.optim.Adam(net.parameters()), steps, batch, rate, after_step)
    return net
    ### END SOLUTION

# %% [markdown] tags=["demo", "instructor"]
# ## Counting, learned live
#
# Three pictures from cameras that the net never learns from, what it should find there, and what it finds. The dotted line is the error of always guessing the average.
#
# > **Ask the room.** The paper puts instance norm after every convolution. It gives every channel of every picture the mean 0 and the variance 1. Will the net still be able to count? Bet, then train with *instance*; the run before stays behind as a shadow.

# %% tags=["demo", "instructor"]
from matplotlib import colormaps

from course_lib.explore import choice, steps_slider
from course_lib.explore.live import live_run

seen = crowd_scenes(TRAIN_CAMERAS[:-5], 196, 48, seed=1)
unseen = crowd_scenes(TEST_CAMERAS, 25, 48, seed=1)
seen_maps, unseen_maps = (
    counting.SCALE * torch.stack([density_map(points.float(), 48, 48, 2.25)
                                  for points in scenes.heads])[:, None]
    for scenes in (seen, unseen))
average_error = (unseen.counts.float() - seen.counts.float().mean()).abs().mean().item()


def train_counting(board, norm, alpha):
    """The lesson's recipe at a smaller size; the net begins with a flat map of the average count."""
    torch.manual_seed(0)
    net = SANet(seen.images.shape[1], 4, norm)
    *_, last = (module for module in net.modules() if isinstance(module, nn.Conv2d))
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, seen_maps.mean().item())
    steps, error = board.total, average_error

    def coloured(maps):
        colours = colormaps["magma"]((maps[:, 0] / unseen_maps[:3].max()).clamp(0, 1).numpy())
        return torch.from_numpy(colours[..., :3]).permute(0, 3, 1, 2).float()

    def after_step(step, loss, net):
        nonlocal error
        if board.due():
            maps = counting.predict_maps(net, unseen.images)
            error = (counting.counts(maps) - unseen.counts).abs().mean().item()
            board.images(
                torch.cat([unseen.images[:3], coloured(unseen_maps[:3]), coloured(maps[:3])]),
                columns=3, title="picture, truth, prediction")
        board.log(step, error_of_the_count=error, loss=loss)

    counting.train_counter(
        net, seen.images, seen_maps, lambda prediction, truth: sanet_loss(prediction, truth, alpha),
        torch.optim.Adam(net.parameters()), steps, 8,
        lambda step: (0.01 * min(1, 10 * (step + 1) / steps)
                      * (1 + math.cos(math.pi * step / steps)) / 2),
        after_step)


live_run("SANet learns to count", train_counting,
         "Pictures, truth, prediction; and the mean error of the count on 25 pictures.", steps=240,
         curves=("error of the count",), panels=1, levels={"always the average": average_error},
         norm=choice("norm", ["batch", "instance"]),
         alpha=steps_slider("weight of SSIM, α_C", [0, 0.001, 0.1, 1], 0.001))

# %% tags=["train"]
from course_lib.board import Board

budget, batch = scale.pick(smoke=1_200, cpu=2_000, gpu=64_000), scale.pick(smoke=8, gpu=16)
steps, device = budget // batch, scale.device


def watch(cameras, **options):
    return counting.Validation(cameras.images.to(device), cameras.counts, cameras.camera, scores,
                               **options)


validation, peek, my_losses = watch(choose), watch(test, prints=False), []
torch.manual_seed(0)
with (Board("SANet", steps, curves=("loss",), panels=0) as board,
      counting.Looks(learn.images) as my_looks):    # for the check below
    look = validation.every(steps // 10, lambda step, loss: board.log(step, loss=loss))
    look_at_test = peek.every(steps // 10)

    def after_step(step, loss, net):
        look(step, loss, net)
        look_at_test(step, loss, net)
        my_losses.append(loss)

    my_net = train_mine(learn.images.to(device), learn.heads, budget, my_looks.heard(after_step))
validation.plot()
plt.show()

# %% [markdown]
# Each line is what practitioners watch after every epoch (on a CPU our whole training is two and a half epochs, so here it is every tenth of it): the error of each scene, their mean, the best mean so far and when it was. While the rate is high the mean jumps about; as it comes down the jumps mostly get smaller, but they needn't stop. (Perhaps it is batch norm's running statistics, which go by the last batches; we haven't measured that.) Is there a scene that gets worse while the mean improves? These five cameras are for *choosing*, and the state of the best step is kept in `validation.best`. (Whoever must stop and
# go on later gives `train_counter` a file, `checkpoint="my_net.pt"`: it writes its state there after each epoch, and goes on from it as if nothing had been.) Now, once, the test cameras:

# %% tags=["train"]
import copy


def report(net, name):
    """Print a net's errors on the test cameras; returns its maps."""
    maps = counting.predict_maps(net, test.images.to(device)).cpu()
    print_errors(name, scores(counting.counts(maps), test.counts, test.camera))
    return maps


for name, predicted in baselines.items():
    print_errors(name, scores(predicted, test.counts, test.camera))
best_net = copy.deepcopy(my_net)
best_net.load_state_dict(validation.best)
report(best_net, "your SANet at its best step")
found = report(my_net, "your SANet at its last")
luckiest = peek.best_so_far()
print(f"The step that looks best on the test cameras themselves: {luckiest['step']}, "
      f"mean {luckiest['mean over scenes']:.2f}")
size = test.images.shape[-1]
figure, panels = plt.subplots(3, 5, figsize=(11, 6.6))
for column in range(5):
    truth = density_map(test.heads[column], size, size, scale.pick(smoke=2.25, cpu=3.0, gpu=6.0))
    shown = test.images[column].permute(1, 2, 0), truth, found[column, 0] / counting.SCALE
    titles = (f"camera {column}", f"true: {truth.sum():.1f}",
              f"yours: {found[column].sum() / counting.SCALE:.1f}")
    for panel, picture, title in zip(panels[:, column], shown, titles):
        look = {} if picture.ndim == 3 else {"cmap": "inferno", "vmin": 0, "vmax": truth.max()}
        panel.imshow(picture, **look)
        panel.set_title(title)
        panel.set_axis_off()
plt.show()

# %% [markdown]
# The number at the luckiest step is what somebody reports who chooses on the test scenes, as the log above does. It can't be larger than the honest one, whatever the net has learnt.
#
# | five test cameras, mean absolute error, on a CPU | mean over scenes |
# |---|---|
# | always the average, measured | 9.2 |
# | the line from mean and deviation, measured | 8.2 |
# | you should see, with the reference's recipe | about 4; over five seeds 3.1 to 4.9 (section 7) |
# | yours | printed above |
# | published, other data: SANet on WorldExpo'10, five scenes, full size | 8.2 |
#
# ### What overfitting looks like
#
# The same recipe and the same number of steps (at the scale `smoke`: a third), but only a dozen pictures to learn from. Beside it your own run:

# %% tags=["train"]
dozen, few, losses = max(12, batch), watch(choose, prints=False), []
torch.manual_seed(3)
train_mine(learn.images[:dozen].to(device), learn.heads[:dozen],
           scale.pick(smoke=400, cpu=budget),
           few.every(steps // 10, lambda step, loss: losses.append(loss)))
figure, panels = plt.subplots(1, 2, figsize=(11, 3.2), sharey=True)
for panel, watched, number in zip(panels, (validation, few), (len(learn), dozen)):
    watched.plot(panel)
    panel.set(title=f"learning from {number} pictures",
              ylim=(0, 1.5 * choose.counts.float().mean().item()))
plt.show()
tenth = len(losses) // 10
for watched, own, number in ((validation, my_losses, len(learn)), (few, losses, dozen)):
    print(f"{number:3} pictures: the mean loss of the first tenth is {sum(own[:tenth]) / tenth:.3f}, "
          f"of the last {sum(own[-tenth:]) / tenth:.3f}, and the best mean was at step "
          f"{watched.best_so_far()['step']} of {watched.history[-1]['step']}")

# %% [markdown]
# Left, the best situation: all scenes come down together, with jumps, and the best step is one of the last. Right, the loss falls further than on many pictures, and from some step on the new cameras know nothing of it: the mean stays or rises, and the best step lies well before the end. (How clearly it shows differs from seed to seed, and at the scale `smoke` the run is too short to show it. Try others.)

# %% check="training"
check("training")

# %% [markdown]
# ## 6 · Patches, and their seams
#
# The paper trains on patches of a quarter of the picture and tests on tiles of that size, and finds it better than whole pictures: on ShanghaiTech A, an MAE of 88.1 whole and 67.0 in patches (Cao et al. 2018, their ablation, with both losses). Two things have changed there at once, the training and the testing. Take them apart.
#
# ### Exercise 9 · Pictures larger than the training's  *(medium, 15 minutes)*
#
# SANet's **tiles** overlap by half. Where tiles overlap we take the mean. A picture smaller than a tile is one tile. The net comes in the mode it is to be used in; leave that alone.
#
# <details><summary>Hint 1</summary>
#
# The last tile must end at the border exactly: its start is `length - tile`, even if that isn't a multiple of the stride.
# </details>
# <details><summary>Hint 2</summary>
#
# Add up the tiles' answers in one tensor and how often each pixel was covered in another; divide at the end. Slices beyond the border end at the border.
# </details>

# %% solution="tiles"
def tile_starts(length, tile, stride):
    """Where tiles begin along a side of `length`: at 0, stride, 2·stride, … while they fit, and
    a last one that ends at the border.

    No start occurs twice. A side that isn't longer than a tile has one start, 0. Returns a list of
    ints, ascending.
    """
    ### BEGIN SOLUTION
    last = max(0, length - tile)
    return [*range(0, last, stride), last]
    ### END SOLUTION


def predict_in_tiles(net, images, tile, stride):
    """The net's map, put together from tiles of tile×tile pixels: where tiles overlap, the mean
    of what they say.

    images (n, c, h, w) → (n, 1, h, w) of the images' dtype. No gradients, and no memory for them.
    """
    ### BEGIN SOLUTION
    n, _, height, width = images.shape
    total, times = images.new_zeros(n, 1, height, width), images.new_zeros(height, width)
    with torch.no_grad():
        for top in tile_starts(height, tile, stride):
            for left in tile_starts(width, tile, stride):
                here = (..., slice(top, top + tile), slice(left, left + tile))
                total[here] += net(images[here])
                times[here] += 1
    return total / times
    ### END SOLUTION

# %% check="tiles"
check("tiles")

# %% [markdown]
# ### Trained on quarters
#
# Pictures of twice the side, from the same cameras. One net learns from the whole pictures, another from their quarters, four times as many of them: both look at the same number of pixels. Which counts better in large pictures of the test cameras?

# %% tags=["train"]
from tqdm.auto import tqdm

side = (2 * size, 2 * size)
wide = crowd_scenes(TRAIN_CAMERAS[:-5], scale.pick(smoke=49, cpu=196), side, seed=2)
large = crowd_scenes(TEST_CAMERAS, scale.pick(smoke=20, cpu=50, gpu=20), side, seed=5)
pictures = large.images.to(device)
ways = {"whole": (2 * size, 2 * size), "tiles beside each other": (size, size),
        "tiles that overlap by half": (size, size // 2)}
average = wide.counts.float().mean().expand(len(large))
print_errors("the average", scores(average, large.counts, large.camera))
quarters_seen = scale.pick(smoke=160, cpu=budget)
for name, crowds, looks in (("whole", wide, quarters_seen // 4),
                            ("quarters", wide.quarters(), quarters_seen)):
    torch.manual_seed(0)
    with tqdm(total=looks // batch, desc=f"learning from {name}", leave=False) as bar:
        net = train_mine(crowds.images.to(device), crowds.heads, looks, lambda *_: bar.update()).eval()
    for way, (tile, stride) in ways.items():
        counted = counting.counts(predict_in_tiles(net, pictures, tile, stride)).cpu()
        print_errors(f"{name}: {way}", scores(counted, large.counts, large.camera))

# %% [markdown]
# One seed each. Over five seeds (`tests/benchmarks/crowd_crops.py`; mean absolute error over scenes, in brackets the least and the greatest; always the average: 21.2), with a third net that looks at whole pictures for as many *steps* as the second:
#
# | learns from | tested whole | in tiles | in overlapping tiles |
# |---|---|---|---|
# | whole pictures, 62 steps | 12.1 (10.4 to 16.3) | 13.3 (11.4 to 16.6) | 13.3 (11.5 to 16.5) |
# | quarters, 250 steps, as many pixels | 6.3 (5.7 to 7.5) | 6.3 (5.1 to 9.1) | 6.2 (5.2 to 8.8) |
# | whole pictures, 250 steps, four times the pixels | 4.2 (3.8 to 4.7) | 4.8 (4.2 to 6.1) | 4.9 (4.4 to 6.3) |
#
# For the same work quarters are twice as good, and no two seeds overlap. But the third row says why: it is the number of steps that a crop buys, and not the crop. Who can afford as many steps on whole pictures does better still. Net by net, those from whole pictures lose in tiles beside each other: all five of the first row (1.3 ± 0.4, the mean and its standard error) and four of five of the third (0.7 ± 0.3). Those from quarters, on average, don't (0.0 ± 0.4). (How the paper's gain divides between training and testing its table doesn't say.)
#
# ### The seam
#
# A tile ends where a person doesn't. At its border a convolution sees zeros where the picture goes on. Look at it with the net you trained above, without and with overlap:

# %% tags=["train"]
my_net.eval()
maps_of = {name: predict_in_tiles(my_net, pictures, *way) for name, way in ways.items()}
figure, panels = plt.subplots(1, 4, figsize=(12, 3.2))
panels[0].imshow(large.images[4].permute(1, 2, 0))
for panel, (name, maps) in zip(panels[1:], maps_of.items()):
    panel.imshow(maps[4, 0].cpu(), cmap="inferno", vmin=0, vmax=maps_of["whole"][4].max().item())
    panel.set_title(name)
for panel in panels:
    panel.set_axis_off()
plt.show()
print("                                             difference from 'whole' in the rows around")
print("                            mean error     a quarter    the middle    three quarters")
for name, maps in maps_of.items():
    error = (counting.counts(maps).cpu() - large.counts).abs().mean()
    difference = (maps - maps_of["whole"]).abs()
    first, middle, last = (difference[:, :, row - 2:row + 2].mean()
                           for row in (size // 2, size, size + size // 2))
    print(f"{name:>26}   {error:9.2f}   {first:11.3f}   {middle:11.3f}   {last:15.3f}")

# %% [markdown]
# Tiles beside each other have one level seam, in the middle. Overlap weakens it, because a pixel at the border of one tile lies in the middle of another. For that it has two more, at a quarter and at three quarters, weakened in the same way. (The upright seams cross all these rows, so no difference there is 0.) And it costs more work: here nine tiles instead of four, for very large pictures four times as many. (These pictures are twice as large as those the net learnt from, with larger heads and twice as many of them, so errors are larger in all three.)
#
# ## 7 · What each part is worth
#
# Seeds differ, so one run of each says little. Here each net was trained five times by the reference's recipe, with $L_E$ alone where no $\alpha$ is given: 2,000 looks at 824 pictures of 64×64 pixels, about 58,000 parameters, and measured on 200 other pictures of the five test cameras (`tests/benchmarks/crowd.py`; mean of the five seeds, in brackets the least and the greatest):
#
# | net | mean absolute error over scenes | "MSE" | SSIM of the maps | PSNR |
# |---|---|---|---|---|
# | always the average, for comparison | 9.7 | 12.3 | | |
# | the line from mean and deviation | 8.6 | 11.1 | | |
# | no norm, at this rate | 9.7 (9.7 to 9.7) | 12.3 | 0.01 | 14.8 |
# | instance norm everywhere, the paper's structure | 9.5 (9.3 to 9.6) | 12.1 | 0.28 | 17.1 |
# | instance norm in the encoder, none in the decoder | 8.5 (5.9 to 9.7) | 11.3 | 0.04 | 15.4 |
# | instance norm in the encoder, batch norm in the decoder | 5.1 (4.5 to 5.6) | 6.6 | 0.25 | 17.4 |
# | three columns (kernels 9 and 7, 7 and 5, 5 and 3), batch norm | 4.1 (3.8 to 4.5) | 5.5 | 0.30 | 18.2 |
# | batch norm, $L_E$ alone | 3.8 (3.3 to 4.2) | 4.9 | 0.20 | 17.4 |
# | … last convolution as PyTorch draws it | 4.0 (3.7 to 4.3) | 5.4 | 0.15 | 16.9 |
# | … only its bias at the mean | 4.2 (3.5 to 5.7) | 5.5 | 0.17 | 17.0 |
# | … $L_E + 0.001\, L_C$ | 3.8 (3.1 to 4.9) | 4.9 | 0.22 | 17.5 |
# | … $L_E + 0.1\, L_C$ | 3.6 (3.2 to 3.9) | 4.8 | 0.29 | 17.5 |
# | … $L_E + 1\, L_C$ | 3.8 (3.2 to 4.1) | 5.4 | 0.49 | 17.8 |
#
# And the paper's own ablation (Cao et al. 2018; ShanghaiTech A, full size; MAE and "MSE"):
#
# | | whole pictures | patches |
# |---|---|---|
# | $L_E$ | 116.8, 180.4 | 71.0, 107.5 |
# | $L_E + 0.001\, L_C$ | 88.1, 134.3 | 67.0, 104.5 |
#
# (PSNR: $10 \log_{10}$ of the squared peak of each true map over the mean squared error. SSIM and PSNR on maps × 100. The columns answer at a quarter of the resolution, enlarged by repeating pixels.) What can be read off, and what can't?
#
# * **The norm decides.** Between instance norm everywhere and batch norm lies more than a factor of two, and no two seeds overlap. The maps of the paper's structure have an SSIM of 0.28 even so, more than batch norm's with the same loss (0.20): it sees something of *where* people are, and has lost *how many*. In the encoder instance norm costs less; in the decoder it takes the count.
# * **$L_C$ does what it promises to the maps**: the larger its weight, the better the SSIM, 0.20, 0.22, 0.29, 0.49. For the count nothing can be said: the ranges of the seeds overlap from the first to the last. With α = 0.001 and maps × 100 it hardly takes part, just as the ratio of the pulls in section 3 foretold. The paper's 71.0 and 67.0 are one number each, on other data; how far apart two seeds were there we don't know.
# * **The columns** come close at equal size. That many scales beat three can't be seen on these pictures.
# * **How the last convolution starts** makes no difference that five seeds can show. Why one seed ended at 5.7 we haven't looked into.
#
# ## 8 · Broken on purpose
#
# Five people have measured your net on the same pictures, and four have broken something: for one, the maps have faded to zero; one has a window 23 wide, having taken 11 for half its width; one forgot to divide by 100; one has true maps whose bells hang over the border. Who is who? (The faults are written in `course_lib/broken.py`. Guess first.)

# %% tags=["train"]
from course_lib import broken

reports = broken.counters(globals(), my_net, test.images[:50].to(device), test.heads[:50],
                          scale.pick(smoke=2.25, cpu=3.0, gpu=6.0))
print("   mean true count   mean predicted   correlation   mean SSIM   at places")
for name, each in reports.items():
    print(f"{name}  {each.true:15.2f}   {each.predicted:14.2f}   {each.related:11.3f}   "
          f"{each.ssim:9.3f}   {each.places:9}")

# %% [markdown]
# <details><summary>The answer</summary>
#
# **C** is right. **E** forgot to divide by 100: its counts are a hundred times too large and related to the true ones exactly as C's are, to the last digit, since a factor doesn't change a correlation. **D** has faded: the prediction is 0, and yet the SSIM isn't, since where nobody is an empty map is right; it may even beat the right one's. Never read an SSIM without a count beside it. **B** has lost heads at the border: the *true* count is smaller than everybody else's. **A** has the wide window. Its SSIM is hardly different: with σ = 1.5 the weights beyond 5 pixels are next to nothing (0.004 of the middle's at 5 already), and what little differs comes from the places at the border, where it no longer fits. What gives it away is the number of places where it fits.
# </details>
#
# ## 9 · A picture of your own
#
# Name a photograph of a crowd on this machine, and let your net count in it. It has only ever seen made pictures, so don't believe the number; look at *where* it counts, and at what it takes for heads. Where there is none, a scene from a camera that belongs to no set serves.

# %%
my_picture = ""      # for example "crowd.jpg"

if my_picture:
    import numpy as np
    from PIL import Image

    with Image.open(my_picture) as photograph:
        photograph = photograph.convert("RGB")
        photograph.thumbnail((512, 512))
        mine = torch.from_numpy(np.asarray(photograph).copy()).permute(2, 0, 1)[None].float() / 255
else:
    mine = crowd_scenes([1_000], 1, (2 * size, 2 * size), seed=9).images
map_of_mine = predict_in_tiles(my_net.eval(), mine.to(device), size, size // 2).cpu()
figure, panels = plt.subplots(1, 2, figsize=(9, 4))
panels[0].imshow(mine[0].permute(1, 2, 0))
panels[1].imshow(map_of_mine[0, 0], cmap="inferno", vmin=0)
panels[1].set_title(f"your net counts {counting.counts(map_of_mine).item():.1f}")
for panel in panels:
    panel.set_axis_off()
plt.show()

# %% [markdown]
# ## 10 · In your own words
#
# In 120 to 250 words. First: somebody rebuilds SANet exactly as published, trains it, and finds that it counts 14 in nearly every picture. Which part of the structure explains that, what height does a head get there, and how would you show it to them without training anything? Then: their log shows a falling mean error over five scenes. Name two things that you would look at before you believe that the net has become
# better, and say for each what in this notebook made you look.
#
# <details><summary>What a good answer has in it</summary>
#
# The sum over pixels of what comes out of the norm; what ReLU leaves of it; which height a head gets, and what $L_E$ makes of it. Errors by scene; which mean; on which scenes the best epoch was chosen; what the line reaches. Numbers from your own run.
# </details>

# %% [markdown] answer="words" points=2
# ### BEGIN SOLUTION
# The instance norm in the decoder. For each channel of each picture it subtracts the picture's own mean and divides by its own deviation, so the sum over all pixels is n·β whatever the picture shows. After the ReLU only the shape of the distribution is left: for heads on a share q of the pixels the sum is n·√(q(1−q)), so four times as many people give about twice the sum, and how strongly the
# heads answer is lost altogether. A head comes out √((1 − q)/q) high: higher, the emptier the picture. The loss judges pixels and wants one height for all, one weight can't give it, and so the fit falls back on the average map. I would show it with one channel of zeros and ones and `nn.InstanceNorm2d`, as in section 5: the sum before the ReLU is 0 for 4, 16 and 64 heads.
#
# Before I believe the mean I look at the errors scene by scene: in the log that the lesson reads scene 3 went from 21 to 34 while the mean fell from 21.0 to 17.2. And I ask on which scenes the best epoch was chosen: choosing on the test scenes reports the luckiest epoch. In my run the line from mean and deviation had a mean error of 8 and the net of 4; without the line I wouldn't know what 4 is worth.
# ### END SOLUTION

# %% [markdown] tags=["instructor"]
# **Rubric (2 points, halves allowed).**
#
# * ½ · Instance norm in the decoder, with the reason: each picture's own mean is subtracted, so the sum over pixels doesn't depend on the picture (or: the count enters as its square root only; or: a head's height depends on how many others there are, and L_E wants one).
# * ½ · A proof without training: the sum of the norm's output for pictures with different numbers of heads, or the two lines of algebra.
# * ½ · Two things to look at, of: errors by scene, which mean is printed, selection on the test scenes, the baseline, the spread between seeds.
# * ½ · Each tied to something seen in the notebook, with a number.
#
# A wrong answer to expect: "instance norm normalises the input's brightness". It takes the brightness out of the encoder's features, and that costs far less than in the decoder (section 7: 5.1, against 9.5 everywhere and 3.8 without).

# %% [markdown]
# ## What to remember
#
# 1. Ask for a density, not for a number: its sum is the count, and it says where. Divide each bell by its own sum over the picture, and nobody is lost at the border.
# 2. A sum of separable bells is a matrix product; so is a local mean.
# 3. The squared error per pixel smears when it is unsure. SSIM asks about patterns, on maps × 100, and runs from −1 to 1.
# 4. A weight in a loss means nothing without the scale of what it weighs: compare the gradients.
# 5. What a norm subtracts is gone. In the decoder of a counting net, instance norm subtracts what the count is made of.
# 6. Errors by scene; "MSE" with a root; which mean; chosen on which scenes; and first of all, what a linear fit from two numbers reaches.
#
# ## What to try next
#
# * Geometry-adaptive σ for the training maps: better or worse, in which scene?
# * α_C = 1, where both terms pulled alike in section 3: `lambda prediction, truth: sanet_loss(prediction, truth, 1.0)` as the loss. Look at the maps, not only at the count.
# * The real crowds: `course_lib.crowd_data.shanghaitech("B")` with `$COURSE_DATA`, on a GPU, at full width. Its pictures are large and of different sizes: cut one crop from each, with its heads moved, and you have what `train_mine` takes. `worldexpo()` brings a region of interest for each scene; only heads inside it count.
#
# ## Sources
#
# * Cao, Wang, Zhao & Su (2018), *Scale aggregation network for accurate and efficient crowd counting*, ECCV. Structure, losses, published errors.
# * Lempitsky & Zisserman (2010), *Learning to count objects in images*, NeurIPS. Density maps.
# * Zhang, Zhou, Chen, Gao & Ma (2016), *Single-image crowd counting via multi-column convolutional neural network*, CVPR. Geometry-adaptive kernels, multi-column nets, ShanghaiTech.
# * Zhang, Li, Wang & Yang (2015), *Cross-scene crowd counting via deep convolutional neural networks*, CVPR. WorldExpo'10.
# * Wang, Bovik, Sheikh & Simoncelli (2004), *Image quality assessment: from error visibility to structural similarity*, IEEE Transactions on Image Processing. SSIM and its constants.
# * Ulyanov, Vedaldi & Lempitsky (2016), *Instance normalization: the missing ingredient for fast stylization*. 
