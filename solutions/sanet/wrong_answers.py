"""Mistakes people make in `sanet`, each with the sentence that helps. Each check must fail them, with that sentence.

Never released to learners. To add one: write the mistake as it would be written in the notebook, and its hint. A class that
differs from the reference in one point derives from it: the reference's own definition is there under the same name.
"""

import torch
import torch.nn.functional as F
from torch import nn


# --- density ---

def _bells(heads, height, width, sigma, middle=0.5):
    """The Gaussian of each head with the height 1, (k, height, width)."""
    sigma = torch.as_tensor(sigma, dtype=heads.dtype).expand(len(heads))[:, None, None]
    rows, columns = torch.arange(height)[:, None] + middle, torch.arange(width) + middle
    return torch.exp(-((columns - heads[:, 0, None, None])**2 + (rows - heads[:, 1, None, None])**2) / (2 * sigma**2))


def _of_ones(bells):
    """The map of bells that are scaled to sum to 1 each."""
    return (bells / bells.sum((1, 2), keepdim=True)).sum(0)


@wrong("density", hint="x and y have changed places: a head is (x, y), so its first number belongs to the columns and its "
                       "second to the rows.",
       trains="x and y exchanged in the maps")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads.flip(1), height, width, sigma))


@wrong("density", hint="The whole map lies half a pixel off. The middle of row i, column j is (j + ½, i + ½): add ½ to "
                       "`torch.arange`.")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads, height, width, sigma, middle=0))


@wrong("density", hint="Each Gaussian is divided by 2πσ², the volume of one that no border cuts and no grid samples. Divide "
                       "it by its own sum over the image, and a head at the border counts as one too.")
def density_map(heads, height, width, sigma):
    sigma = torch.as_tensor(sigma, dtype=heads.dtype).expand(len(heads))[:, None, None]
    return (_bells(heads, height, width, sigma[:, 0, 0]) / (2 * torch.pi * sigma**2)).sum(0)


@wrong("density", hint="The map is scaled once, as a whole: its sum is right, but a head in the middle gives some of its "
                       "share to those at the border. Scale each head's Gaussian by itself, and then add them.")
def density_map(heads, height, width, sigma):
    total = _bells(heads, height, width, sigma).sum(0)
    return total * len(heads) / total.sum()


@wrong("density", hint="The map sums to 1, however many heads there are. It is a map of counts, not a probability: each "
                       "head brings a 1 of its own.")
def density_map(heads, height, width, sigma):
    bells = _bells(heads, height, width, sigma).sum(0)
    return bells / bells.sum() if len(heads) else bells


@wrong("density", hint="Each head's Gaussian is 1 at its middle. It is the *sum* over the image that has to be 1: divide "
                       "each by its sum.")
def density_map(heads, height, width, sigma):
    return _bells(heads, height, width, sigma).sum(0)


@wrong("density", hint="The exponent is divided by 2σ. It is −distance²/(2σ²), with σ squared.")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads, height, width, torch.as_tensor(sigma, dtype=heads.dtype).sqrt()))


@wrong("density", hint="The 2 is missing in the exponent, −distance²/(2σ²). Without it the Gaussian is narrower than its σ "
                       "says.")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads, height, width, torch.as_tensor(sigma, dtype=heads.dtype) / 2**0.5))


@wrong("density", hint="The heads are moved to the middle of their pixels first. Measure the distance from where a head "
                       "really is.")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads.floor() + 0.5, height, width, sigma))


@wrong("density", hint="The Gaussians are cut off at 3σ. Only the image's border cuts them here; all of its pixels get "
                       "their share.")
def density_map(heads, height, width, sigma):
    bells = _bells(heads, height, width, sigma)
    return _of_ones(bells * (bells > torch.exp(torch.tensor(-4.5))))


@wrong("density", hint="Where Gaussians overlap, you keep the largest. Densities add: two heads close together are still "
                       "two.")
def density_map(heads, height, width, sigma):
    bells = _bells(heads, height, width, sigma)
    bells = bells / bells.sum((1, 2), keepdim=True)
    return bells.amax(0) if len(bells) else bells.sum(0)


@wrong("density", hint="With a σ for each head, all of them get the same one. Let σ go along with its head: a shape such as "
                       "(n, 1) does that.")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads, height, width, torch.as_tensor(sigma, dtype=heads.dtype).mean()))


@wrong("density", hint="The map is float32, although the heads are float64. Say so where you make it: `torch.zeros(…, "
                       "dtype=heads.dtype)`.")
def density_map(heads, height, width, sigma):
    total = torch.zeros(height, width)
    total += _of_ones(_bells(heads, height, width, sigma))
    return total


@wrong("density", hint="An image without heads stops you: there is nothing to stack, and no largest of nothing. Begin with "
                       "a map of zeros and add to it, or let a sum over no heads make the zeros.")
def density_map(heads, height, width, sigma):
    sigma = torch.as_tensor(sigma, dtype=heads.dtype).expand(len(heads))
    return torch.stack([_of_ones(_bells(head[None], height, width, each)) for head, each in zip(heads, sigma)]).sum(0)


@wrong("density", hint="Each Gaussian is divided by what all heads have at that place. Each is to have the sum 1 by itself: sum "
                       "along its own pixels, `dim=1`.")
def density_map(heads, height, width, sigma):
    bells = _bells(heads, height, width, sigma)
    rows, columns = bells.sum(2), bells.sum(1)
    return (rows / rows.sum(0)).T @ (columns / columns.sum(0)) if len(heads) else bells.sum(0)


@wrong("density", hint="The exponent is −distance²/2·σ²: `/ 2 * sigma**2` multiplies by σ². Put (2σ²) in brackets.")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads, height, width, 1 / torch.as_tensor(sigma, dtype=heads.dtype)))


@wrong("density", hint="Two heads at one place have become one. Marks may coincide, and each counts.")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads.unique(dim=0) if torch.as_tensor(sigma).ndim == 0 else heads, height, width, sigma))


@wrong("density", hint="Very narrow Gaussians don't sum to 1: a small number is added where you divide. The sum isn't 0, since some pixel "
                       "is always nearest.")
def density_map(heads, height, width, sigma):
    bells = _bells(heads, height, width, sigma)
    return (bells / (bells.sum((1, 2), keepdim=True) + 1e-6)).sum(0)


@wrong("density", hint="The exponent is divided by (2σ)², which is 4σ². Only σ is squared: 2σ².")
def density_map(heads, height, width, sigma):
    return _of_ones(_bells(heads, height, width, torch.as_tensor(sigma, dtype=heads.dtype) * 2**0.5))


# --- adaptive ---

_adaptive_sigmas = adaptive_sigmas


def _sigmas(heads, k, beta, alone, mean=lambda nearest, k: nearest.mean(1), p=2, first=1, largest=False):
    """The reference's rule, with places where it is easily got wrong."""
    if len(heads) < 2:
        return torch.full((len(heads),), alone, dtype=heads.dtype)
    distance = (heads[:, None] - heads).norm(p, dim=2)
    return beta * mean(distance.sort(dim=1, descending=largest).values[:, first:first + k], k)


@wrong("adaptive", hint="`adaptive_sigmas`: each head counts among its own neighbours, at the distance 0. Leave it out, and "
                        "take k *others*.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, first=0)


@wrong("adaptive", hint="`adaptive_sigmas`: these are k + 1 neighbours. After sorting, place 0 is the head itself, and 1 to "
                        "k are its neighbours.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k + 1, beta, alone)


@wrong("adaptive", hint="`adaptive_sigmas`: two heads get `alone`, though each has the other for a neighbour. With fewer than k others, take those there are.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k, beta, alone) if len(heads) != 2 else torch.full((2,), alone, dtype=heads.dtype)


@wrong("adaptive", hint="`adaptive_sigmas`: β is forgotten. σ is β times the mean distance.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k, 1.0, alone)


@wrong("adaptive", hint="`adaptive_sigmas`: β is squared. It multiplies σ, once, and not σ².")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k, beta**2, alone)


@wrong("adaptive", hint="`adaptive_sigmas`: this is the distance to the k-th neighbour only, the farthest of the k. Take "
                        "the mean over all k.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, lambda nearest, k: nearest.amax(1))


@wrong("adaptive", hint="`adaptive_sigmas`: the distances are added, not averaged. Divide by how many neighbours there are.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, lambda nearest, k: nearest.sum(1))


@wrong("adaptive", hint="`adaptive_sigmas`: all heads get the same σ, from the mean over the whole image. Each has a σ of "
                        "its own: take the mean over its neighbours only, `dim=1`.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, lambda nearest, k: nearest.mean().expand(len(nearest)))


@wrong("adaptive", hint="`adaptive_sigmas`: the root of the distance is missing: these are squared distances.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, lambda nearest, k: nearest.square().mean(1))


@wrong("adaptive", hint="`adaptive_sigmas`: the distance is |Δx| + |Δy|. Take the straight line, √(Δx² + Δy²).")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, p=1)


@wrong("adaptive", hint="`adaptive_sigmas`: these are the k farthest heads. Sort ascending, or `topk` with `largest=False`.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, first=0, largest=True)


@wrong("adaptive", hint="`adaptive_sigmas`: the number of neighbours is always 3. It is the argument `k`.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, 3, beta, alone)


@wrong("adaptive", hint="`adaptive_sigmas`: where there are fewer than k others, you still divide by k. Divide by as many "
                        "as there are.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k, beta, alone, lambda nearest, k: nearest.sum(1) / k)


@wrong("adaptive", hint="`adaptive_sigmas`: with fewer than k other heads `topk` finds too little to choose from. Ask for "
                        "no more than there are.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    if len(heads) < 2:
        return torch.full((len(heads),), alone, dtype=heads.dtype)
    return beta * torch.cdist(heads, heads).topk(k + 1, dim=1, largest=False).values[:, 1:].mean(1)


@wrong("adaptive", hint="`adaptive_sigmas`: a head without any other gets NaN, the mean of nothing. Give it `alone`.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return beta * torch.cdist(heads, heads).sort(dim=1).values[:, 1:k + 1].mean(1)


@wrong("adaptive", hint="`adaptive_sigmas`: `alone` is multiplied by β. It is a σ already, in pixels, and stays as it is.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k, beta, alone * beta)


@wrong("adaptive", hint="`adaptive_sigmas`: an image without heads gets a σ all the same. There is one for each head, so "
                        "here none: a tensor of the shape (0,).")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k, beta, alone) if len(heads) else torch.tensor([alone], dtype=heads.dtype)


@wrong("adaptive", hint="`shrink`: the mean of factor×factor pixels makes the sum factor² times too small. Multiply by "
                        "factor².")
def shrink(maps, factor):
    return F.avg_pool2d(maps, factor)


@wrong("adaptive", hint="`shrink`: a cell has two sides: the mean is to be multiplied by factor², not by factor.")
def shrink(maps, factor):
    return F.avg_pool2d(maps, factor) * factor


@wrong("adaptive", hint="`shrink`: max-pooling keeps the largest pixel of each cell and throws the others' people away. Add "
                        "up all pixels of the cell.")
def shrink(maps, factor):
    return F.max_pool2d(maps, factor)


@wrong("adaptive", hint="`shrink`: taking each factor-th pixel drops all between. Each small pixel is the sum of "
                        "factor×factor large ones.")
def shrink(maps, factor):
    return maps[..., ::factor, ::factor]


@wrong("adaptive", hint="`shrink`: one pixel of each cell, times factor², stands for all of them. The sum is right only "
                        "where the map is flat: add the cell's pixels.")
def shrink(maps, factor):
    return F.interpolate(maps, scale_factor=1 / factor) * factor**2


@wrong("adaptive", hint="`shrink`: bilinear interpolation looks at one or four pixels in the middle of each cell only. Add all "
                        "of them.")
def shrink(maps, factor):
    return F.interpolate(maps, scale_factor=1 / factor, mode="bilinear") * factor**2


@wrong("adaptive", hint="`adaptive_sigmas`: all distances of 0 are left out, and with them others who stand at the same place. Leave out the "
                        "head itself only.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    if len(heads) < 2:
        return torch.full((len(heads),), alone, dtype=heads.dtype)
    distance = torch.cdist(heads, heads, compute_mode="donot_use_mm_for_euclid_dist")
    nearest = [row[row > 0].sort().values[:k] for row in distance]
    return beta * torch.stack([row.mean() for row in nearest])


@wrong("adaptive", hint="`adaptive_sigmas`: σ has a smallest value of 1. Leave that to whoever draws the map: here it is β times the mean "
                        "distance, however small.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k, beta, alone).clamp(min=1.0)


@wrong("adaptive", hint="`shrink`: the map is halved again and again, which fits factors of 2, 4 and 8 only. Take all factor×factor pixels at "
                        "once.")
def shrink(maps, factor):
    while factor > 1:
        maps, factor = 4 * F.avg_pool2d(maps, 2), factor // 2
    return maps


@wrong("adaptive", hint="`shrink`: a map without heads becomes NaN, since its sum, 0, is divided by. The ratio of the sums needn't be measured: it is "
                        "factor², for every map.")
def shrink(maps, factor):
    small = F.avg_pool2d(maps, factor)
    return small * (maps.sum((2, 3), keepdim=True) / small.sum((2, 3), keepdim=True))


@wrong("adaptive", hint="`shrink`: where none of the maps has a head, all become NaN: their sum, 0, is divided by. The ratio of the sums needn't be "
                        "measured: it is factor², whatever the maps.")
def shrink(maps, factor):
    small = F.avg_pool2d(maps, factor)
    return small * (maps.sum() / small.sum())


@wrong("adaptive", hint="`adaptive_sigmas`: you take k others and the head itself as well, at the distance 0: the mean has k + 1 terms. Leave "
                        "place 0 out.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _sigmas(heads, k + 1, beta, alone, first=0)


@wrong("adaptive", hint="`adaptive_sigmas`: this is one neighbour too few: `[:, 1:k]` ends before k. Take `[:, 1:k + 1]`.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return _adaptive_sigmas(heads, k - 1, beta, alone)


@wrong("adaptive", hint="`adaptive_sigmas`: `alone` is for a head without any other. Where there are fewer than k others, take those there are.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    return torch.full((len(heads),), alone, dtype=heads.dtype) if len(heads) <= k else _adaptive_sigmas(heads, k, beta, alone)


@wrong("adaptive", hint="`adaptive_sigmas`: a picture without heads stops you: there is nothing to choose from, and nothing to stack. No heads, "
                        "no σ: an empty tensor of the shape (0,).")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    if len(heads) == 1:
        return heads.new_full((1,), alone)
    distance = torch.cdist(heads, heads).fill_diagonal_(float("inf"))
    return beta * distance.topk(min(k, len(heads) - 1), largest=False).values.mean(1)


@wrong("adaptive", hint="`adaptive_sigmas`: another head at the same place is a neighbour, at the distance 0, and you set it infinitely far off. Leave "
                        "out only the head itself: the diagonal.")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    if len(heads) < 2:
        return torch.full((len(heads),), alone, dtype=heads.dtype)
    distance = (heads[:, None] - heads).norm(dim=2)
    distance[distance == 0] = float("inf")
    return beta * distance.sort(dim=1).values[:, :min(k, len(heads) - 1)].mean(1)


# --- aggregation ---

_ScaleAggregation = ScaleAggregation


def _reduced(in_channels, between, width, kernel, norm):
    return nn.Sequential(conv_unit(in_channels, between, 1, norm), conv_unit(between, width, kernel, norm))


def _branches(in_channels, between, width, norm):
    """A reduction to `between` channels and a larger kernel: the branches of 3, 5 and 7."""
    return [_reduced(in_channels, between, width, kernel, norm) for kernel in (3, 5, 7)]


@wrong("aggregation", hint="Without `reduce` the argument `norm` isn't handed on to each `conv_unit`: all have the instance norm.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm if reduce else "instance")


@wrong("aggregation", hint="The reduction gives `width` channels. It gives 2·width: twice as many as its branch puts out.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            self.branches = nn.ModuleList([self.branches[0], *_branches(in_channels, width, width, norm)])


@wrong("aggregation", hint="The reduction halves the input's channels. Its size goes by the branch, 2·width, whatever comes "
                           "in.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            self.branches = nn.ModuleList([self.branches[0], *_branches(in_channels, in_channels // 2, width, norm)])


@wrong("aggregation", hint="The 1×1 branch has a reduction as well. It is cheap already: only the branches of 3, 5 and 7 "
                           "begin with one.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            self.branches[0] = _reduced(in_channels, 2 * width, width, 1, norm)


@wrong("aggregation", hint="There is a reduction although `reduce` is false. Without it each branch is a single "
                           "`conv_unit`.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, True, norm)


@wrong("aggregation", hint="`reduce` is true, and yet the branches of 3, 5 and 7 work on all input channels. A 1×1 "
                           "`conv_unit` of 2·width channels comes before them.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, False, norm)


@wrong("aggregation", hint="The three branches share one reduction. Each has its own, so that each can choose other "
                           "channels.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            self.branches[2][0] = self.branches[3][0] = self.branches[1][0]


@wrong("aggregation", hint="The branches are joined from 7 to 1. It is 1, 3, 5, 7: the next layer's weights depend on the "
                           "order.")
class ScaleAggregation(ScaleAggregation):
    def forward(self, x):
        return torch.cat([branch(x) for branch in reversed(self.branches)], dim=1)


@wrong("aggregation", hint="The branches are added. Join their channels with `torch.cat`, so that the next layer can still "
                           "tell the scales apart.")
class ScaleAggregation(ScaleAggregation):
    def forward(self, x):
        return sum(branch(x) for branch in self.branches)


@wrong("aggregation", hint="The branches are joined along the batch: four times as many images. Channels are dimension 1: "
                           "`torch.cat(…, dim=1)`.")
class ScaleAggregation(ScaleAggregation):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches])


@wrong("aggregation", hint="The branches follow each other, each on what the one before gives. All four look at the "
                           "module's own input.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        self.branches = nn.ModuleList([self.branches[0], *_ScaleAggregation(width, width, reduce, norm).branches[1:]])

    def forward(self, x):
        made = []
        for branch in self.branches:
            x = branch(x)
            made.append(x)
        return torch.cat(made, dim=1)


@wrong("aggregation", hint="The kernels are 3, 5, 7 and 9. The smallest is 1×1, which looks at single pixels, and the "
                           "largest 7×7.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        self.branches = nn.ModuleList([conv_unit(in_channels, width, 3, norm)] + [
            _reduced(in_channels, 2 * width, width, kernel, norm) if reduce else conv_unit(in_channels, width, kernel, norm)
            for kernel in (5, 7, 9)])


@wrong("aggregation", hint="The larger kernels are 3×3 with dilation, which leaves gaps between the pixels it sees. Here "
                           "they are 5×5 and 7×7, dense.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        for branch, dilation in zip(self.branches[1:], (1, 2, 3)):
            unit = branch[1] if reduce else branch
            unit[0] = nn.Conv2d(unit[0].in_channels, width, 3, padding=dilation, dilation=dilation, bias=norm == "none")


@wrong("aggregation", hint="The reduction is a bare 1×1 convolution. It is a whole `conv_unit`, with normalisation and "
                           "ReLU.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            for branch in self.branches[1:]:
                branch[0] = nn.Conv2d(in_channels, 2 * width, 1)


@wrong("aggregation", hint="The ReLU after the reduction is missing. Without it the 1×1 and the larger kernel are nearly "
                           "one linear map.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            for branch in self.branches[1:]:
                branch[0][2] = nn.Identity()


@wrong("aggregation", hint="The ReLU at the branches' ends is missing; each ends in a whole `conv_unit`.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        for branch in self.branches:
            (branch if isinstance(branch[0], nn.Conv2d) else branch[1])[2] = nn.Identity()


@wrong("aggregation", hint="The convolutions have biases although a normalisation follows, which subtracts them again with "
                           "the mean: `bias=False`, or `conv_unit`, which sees to it.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        for unit in self.modules():
            if isinstance(unit, nn.Sequential) and isinstance(unit[0], nn.Conv2d):
                conv = unit[0]
                unit[0] = nn.Conv2d(conv.in_channels, conv.out_channels, conv.kernel_size, padding=conv.padding)


@wrong("aggregation", hint="`norm` isn't handed on, so each `conv_unit` takes its own default. Give it to all of them.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce)


@wrong("aggregation", hint="The reductions don't get `norm` and take the default. Hand it on to them as well.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            for branch in self.branches[1:]:
                branch[0] = conv_unit(in_channels, 2 * width, 1)


@wrong("aggregation", hint="Modules stand in a plain list. PyTorch doesn't find their parameters in there, and an optimiser would never move "
                           "them: make it an `nn.ModuleList`, or an `nn.Sequential`.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        branches = list(self.branches)
        del self.branches
        self.branches = branches


@wrong("aggregation", hint="Whether there is a reduction goes by the number of channels here. It goes by `reduce` alone.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, in_channels != 3, norm)


@wrong("aggregation", hint="Behind their reductions the larger kernels' units don't get `norm` and take the default. Hand it on to them as well.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        if reduce:
            for branch, kernel in zip(self.branches[1:], (3, 5, 7)):
                branch[1] = conv_unit(2 * width, width, kernel)


@wrong("aggregation", hint="The units that end the branches don't get `norm` and take the default, the 1×1 branch's too. Hand it on to "
                           "them as well.")
class ScaleAggregation(ScaleAggregation):
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__(in_channels, width, reduce, norm)
        for place, kernel in enumerate((1, 3, 5, 7)):
            unit = conv_unit(2 * width if reduce and place else in_channels, width, kernel)
            if reduce and place:
                self.branches[place][1] = unit
            else:
                self.branches[place] = unit


# --- network ---

@wrong("network", hint="The first module reduces as well. The image has three channels only: nothing to reduce, "
                       "`reduce=False` there.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        self.encoder[0] = ScaleAggregation(in_channels, width, True, norm)


@wrong("network", hint="None of the modules reduces. The second, third and fourth do; only the first doesn't.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        for place, inputs, times in ((2, 4, 2), (4, 8, 2), (6, 8, 1)):
            self.encoder[place] = ScaleAggregation(inputs * width, times * width, False, norm)


@wrong("network", hint="The fourth module's branches have 2·width channels. They are narrow again: 1, 2, 2 and 1 times "
                       "width.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        self.encoder[6] = ScaleAggregation(8 * width, 2 * width, True, norm)
        self.decoder[0] = conv_unit(8 * width, 4 * width, 9, decoder_norm or norm)


@wrong("network", hint="The encoder's pooling takes means. It takes the maximum of each 2×2 window: `nn.MaxPool2d(2)`.")
class SANet(SANet):
    def __init__(self, *args):
        super().__init__(*args)
        for place in (1, 3, 5):
            self.encoder[place] = nn.AvgPool2d(2)


@wrong("network", hint="The last module is pooled too, so the map comes out half as large. Pooling stands *between* the "
                       "four: three times.")
class SANet(SANet):
    def __init__(self, *args):
        super().__init__(*args)
        self.encoder.append(nn.MaxPool2d(2))


@wrong("network", hint="The decoder's kernels grow, 5, 7, 9. The largest comes first, where the map is smallest: 9, 7, 5.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        norm = decoder_norm or norm
        self.decoder[0], self.decoder[4] = conv_unit(4 * width, 4 * width, 5, norm), conv_unit(2 * width, width, 9, norm)


@wrong("network", hint="All of the decoder's convolutions have `width` channels. The first has 4·width, the second 2·width, "
                       "the third width.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        norm = decoder_norm or norm
        self.decoder[0], self.decoder[1] = conv_unit(4 * width, width, 9, norm), up_unit(width, norm)
        self.decoder[2], self.decoder[3] = conv_unit(width, width, 7, norm), up_unit(width, norm)
        self.decoder[4] = conv_unit(width, width, 5, norm)


@wrong("network", hint="The decoder has 64, 32 and 16 channels whatever `width` is: the paper's numbers are 4, 2 and 1 "
                       "times the width of 16.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        now, norm = 4 * width, decoder_norm or norm
        for place, (kernel, channels) in enumerate(((9, 64), (7, 32), (5, 16))):
            self.decoder[2 * place] = conv_unit(now, channels, kernel, norm)
            self.decoder[2 * place + 1] = up_unit(channels, norm)
            now = channels
        self.decoder[6], self.decoder[7] = conv_unit(16, 16, 3, norm), nn.Conv2d(16, 1, 1)


@wrong("network", hint="The decoder doubles the map first and convolves then. Each `conv_unit` comes before its `up_unit`, "
                       "on the smaller map.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        norm = decoder_norm or norm
        for place, inputs in ((0, 4), (2, 4), (4, 2)):
            self.decoder[place], self.decoder[place + 1] = up_unit(inputs * width, norm), self.decoder[place]


@wrong("network", hint="The map is enlarged by interpolation, which learns nothing. Here `up_unit` does it, a transposed "
                       "convolution.")
class SANet(SANet):
    def __init__(self, *args):
        super().__init__(*args)
        for place in (1, 3, 5):
            self.decoder[place] = nn.Upsample(scale_factor=2, mode="bilinear")


@wrong("network", hint="The transposed convolutions stand alone. Normalisation and ReLU follow them too: take `up_unit`.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        for place, times in ((1, 4), (3, 2), (5, 1)):
            self.decoder[place] = nn.ConvTranspose2d(times * width, times * width, 2, stride=2)


@wrong("network", hint="The 3×3 `conv_unit` before the last convolution is missing.")
class SANet(SANet):
    def __init__(self, *args):
        super().__init__(*args)
        del self.decoder[6]


@wrong("network", hint="The last convolution is a `conv_unit`. Normalised to the mean 0 and cut off by a ReLU, a map can't "
                       "hold a count any more: a plain `nn.Conv2d(width, 1, 1)` ends the net.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        self.decoder[7] = conv_unit(width, 1, 1, decoder_norm or norm)


@wrong("network", hint="A ReLU follows the last convolution. Where it gives 0 it passes no gradient on, and a map that has "
                       "faded stays so: leave it out.")
class SANet(SANet):
    def __init__(self, *args):
        super().__init__(*args)
        self.decoder.append(nn.ReLU())


@wrong("network", hint="The last convolution has no bias. No normalisation follows it, so it keeps its own.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        self.decoder[7] = nn.Conv2d(width, 1, 1, bias=False)


@wrong("network", hint="The 3×3 convolution has no padding, and the map loses a pixel on each side. `conv_unit` keeps the "
                       "size.")
class SANet(SANet):
    def __init__(self, *args):
        super().__init__(*args)
        self.decoder[6][0].padding = (0, 0)


@wrong("network", hint="`norm` isn't handed on to the encoder's modules, so they take their default.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, "instance", decoder_norm or norm)


@wrong("network", hint="The decoder takes instance norm whatever it is told. Without a `decoder_norm` it takes the "
                       "encoder's `norm`.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm or "instance")


@wrong("network", hint="`decoder_norm` has no effect: the decoder is made with the encoder's `norm`. Use `decoder_norm or "
                       "norm` there.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm)


@wrong("network", hint="`decoder_norm` changes the encoder as well. The encoder keeps `norm`.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, decoder_norm or norm)


@wrong("network", hint="Each pooling rounds down, so for sides that aren't multiples of 8 the map is smaller than the "
                       "image. Pad the image first.")
class SANet(SANet):
    def forward(self, x):
        return self.decoder(self.encoder(x))


@wrong("network", hint="The map is still as large as the padded image. Cut it to the image's own height and width.")
class SANet(SANet):
    def forward(self, x):
        return self.decoder(self.encoder(F.pad(x, (0, -x.shape[3] % 8, 0, -x.shape[2] % 8))))


@wrong("network", hint="The zeros are at the left and at the top. Put them at the right and at the bottom: `F.pad(x, (0, "
                       "right, 0, bottom))`.")
class SANet(SANet):
    def forward(self, x):
        right, bottom = -x.shape[3] % 8, -x.shape[2] % 8
        return self.decoder(self.encoder(F.pad(x, (right, 0, bottom, 0))))[:, :, bottom:, right:]


@wrong("network", hint="The zeros are spread over both sides. All of them go to the right and to the bottom.")
class SANet(SANet):
    def forward(self, x):
        height, width = x.shape[2:]
        left, top = -width % 8 // 2, -height % 8 // 2
        padded = F.pad(x, (left, -width % 8 - left, top, -height % 8 - top))
        return self.decoder(self.encoder(padded))[:, :, top:top + height, left:left + width]


@wrong("network", hint="A side that is a multiple of 8 already gets eight more zeros. `-width % 8` is 0 there; `8 - width % "
                       "8` isn't.")
class SANet(SANet):
    def forward(self, x):
        height, width = x.shape[2:]
        return self.decoder(self.encoder(F.pad(x, (0, 8 - width % 8, 0, 8 - height % 8))))[:, :, :height, :width]


@wrong("network", hint="Height and width are padded by each other's amount. `F.pad` takes the last dimension first: (left, "
                       "right, top, bottom).")
class SANet(SANet):
    def forward(self, x):
        height, width = x.shape[2:]
        return self.decoder(self.encoder(F.pad(x, (0, -height % 8, 0, -width % 8))))[:, :, :height, :width]


@wrong("network", hint="The border is repeated or mirrored in place of zeros, and heads at the border with it.")
class SANet(SANet):
    def forward(self, x):
        height, width = x.shape[2:]
        return self.decoder(self.encoder(F.pad(x, (0, -width % 8, 0, -height % 8), mode="replicate")))[:, :, :height, :width]


@wrong("network", hint="The map is stretched to the image's size, which moves its heads and changes its sum. Pad the image, "
                       "and cut the map.")
class SANet(SANet):
    def forward(self, x):
        return F.interpolate(self.decoder(self.encoder(x)), size=x.shape[2:], mode="bilinear")


@wrong("network", hint="The image is padded only where both sides need it. Each side is looked at by itself.")
class SANet(SANet):
    def forward(self, x):
        height, width = x.shape[2:]
        if height % 8 and width % 8:
            x = F.pad(x, (0, -width % 8, 0, -height % 8))
        return self.decoder(self.encoder(x))[:, :, :height, :width]


@wrong("network", hint="The pooling rounds up in place of padding. What stands at the border then comes from fewer pixels: pad the image with "
                       "zeros.")
class SANet(SANet):
    def __init__(self, *args):
        super().__init__(*args)
        for module in self.modules():
            if isinstance(module, nn.MaxPool2d):
                module.ceil_mode = True

    def forward(self, x):
        height, width = x.shape[2:]
        return self.decoder(self.encoder(x))[:, :, :height, :width]


@wrong("network", hint="The `up_unit`s have the default norm. Hand the decoder's norm on to them too.")
class SANet(SANet):
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__(in_channels, width, norm, decoder_norm)
        for place, times in ((1, 4), (3, 2), (5, 1)):
            self.decoder[place] = up_unit(times * width)


@wrong("network", hint="A sigmoid ends the net. A map times 100 goes beyond 1: leave the last convolution's answer as it is.")
class SANet(SANet):
    def forward(self, x):
        return torch.sigmoid(super().forward(x))


# --- ssim ---

def _gaussian(size, sigma, middle):
    return torch.exp(-(torch.arange(size, dtype=torch.float64) - middle) ** 2 / (2 * sigma**2))


@wrong("ssim", hint="`gaussian_window`: 11 is the window's whole width, not its half: this one is 23 wide.")
def gaussian_window(size=11, sigma=1.5):
    weights = _gaussian(2 * size + 1, sigma, size)
    return weights / weights.sum()


@wrong("ssim", hint="`gaussian_window`: the weights don't sum to 1. Divide them by their sum, or a mean under the window "
                    "isn't a mean.")
def gaussian_window(size=11, sigma=1.5):
    return _gaussian(size, sigma, (size - 1) / 2)


@wrong("ssim", hint="`gaussian_window`: the weights are divided by √(2π)·σ, the integral. The window is cut off at both "
                    "ends: divide by the sum.")
def gaussian_window(size=11, sigma=1.5):
    return _gaussian(size, sigma, (size - 1) / 2) / (2 * torch.pi)**0.5 / sigma


@wrong("ssim", hint="`gaussian_window`: the exponent is divided by 2σ. σ is squared there: −d²/(2σ²).")
def gaussian_window(size=11, sigma=1.5):
    weights = _gaussian(size, sigma**0.5, (size - 1) / 2)
    return weights / weights.sum()


@wrong("ssim", hint="`gaussian_window`: the 2 under the exponent is missing: −d²/(2σ²).")
def gaussian_window(size=11, sigma=1.5):
    weights = _gaussian(size, sigma / 2**0.5, (size - 1) / 2)
    return weights / weights.sum()


@wrong("ssim", hint="`gaussian_window`: the middle lies half a step off. Of places 0 to size − 1 it is (size − 1)/2, not "
                    "size/2.")
def gaussian_window(size=11, sigma=1.5):
    weights = _gaussian(size, sigma, size / 2)
    return weights / weights.sum()


@wrong("ssim", hint="`gaussian_window`: of an even size the middle lies between two places. (size − 1)/2 is right for both; "
                    "`size // 2` only for odd sizes.")
def gaussian_window(size=11, sigma=1.5):
    weights = _gaussian(size, sigma, size // 2)
    return weights / weights.sum()


@wrong("ssim", hint="`gaussian_window`: the weights are float32. Give `torch.arange` the dtype torch.float64.")
def gaussian_window(size=11, sigma=1.5):
    weights = torch.exp(-(torch.arange(size) - (size - 1) / 2) ** 2 / (2 * sigma**2))
    return weights / weights.sum()


@wrong("ssim", hint="`ssim_map`: the window is 23 wide. \"11×11\" is its full width, not half of it: `gaussian_window()`.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, squares, product = local_mean(
        torch.cat([x, y, x * x + y * y, x * y]), gaussian_window(23).to(x)).split(len(x))
    means, mean_squares = mean_x * mean_y, mean_x**2 + mean_y**2
    return (2 * means + C1) * (2 * (product - means) + C2) / ((mean_squares + C1) * (squares - mean_squares + C2))


def _convolved(maps, window):
    return F.conv2d(F.conv2d(maps, window[None, None, :, None]), window[None, None, None])


@wrong("ssim", hint="`local_mean`: the border is filled with zeros, and the means there are too small. Take only places "
                    "where the whole window fits: no padding.")
def local_mean(maps, window):
    return _convolved(F.pad(maps, (len(window) // 2,) * 4), window)


@wrong("ssim", hint="`local_mean`: the border is mirrored so that the size stays. Take only places where the whole window "
                    "fits.")
def local_mean(maps, window):
    return _convolved(F.pad(maps, (len(window) // 2,) * 4, mode="reflect"), window)


@wrong("ssim", hint="`local_mean`: the window only goes across. Weigh the rows too, with the same window.")
def local_mean(maps, window):
    return F.conv2d(maps, window[None, None, None])


@wrong("ssim", hint="`local_mean`: the window only goes down. Weigh the columns too, with the same window.")
def local_mean(maps, window):
    return F.conv2d(maps, window[None, None, :, None])


@wrong("ssim", hint="`local_mean`: each pixel under the window weighs the same. Weigh it by the window.")
def local_mean(maps, window):
    return F.avg_pool2d(maps, len(window), stride=1)


@wrong("ssim", hint="`local_mean`: the window is divided by its sum. Weigh by it as it stands, which needn't sum to 1: `gaussian_window` has seen to "
                    "that already.")
def local_mean(maps, window):
    kernel = torch.outer(window, window).to(maps)
    return F.conv2d(maps, (kernel / kernel.sum())[None, None])


@wrong("ssim", hint="`local_mean`: the window is turned round. Its first weight belongs to the first pixel it covers.")
def local_mean(maps, window):
    return _convolved(maps, window.flip(0))


def _statistics(x, y, mean=None):
    """The local means of both, their variances and their covariance."""
    mean = mean or (lambda maps: local_mean(maps, gaussian_window()))
    mean_x, mean_y = mean(x), mean(y)
    return mean_x, mean_y, mean(x * x) - mean_x**2, mean(y * y) - mean_y**2, mean(x * y) - mean_x * mean_y


def _ssim(mean_x, mean_y, variance_x, variance_y, covariance, C1, C2):
    return (2 * mean_x * mean_y + C1) * (2 * covariance + C2) / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))


@wrong("ssim", hint="`ssim_map`: C1 and C2 are squared once more. They come squared: 0.01² and 0.03².")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return _ssim(*_statistics(x, y), C1**2, C2**2)


@wrong("ssim", hint="`ssim_map`: C1 and C2 have changed places. C1 stands with the means, C2 with the variances.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return _ssim(*_statistics(x, y), C2, C1)


@wrong("ssim", hint="`ssim_map`: C1 and C2 are made for pixels from 0 to 255. Here they are 0.01² and 0.03², as the "
                    "arguments' defaults say.")
def ssim_map(x, y, C1=(0.01 * 255)**2, C2=(0.03 * 255)**2):
    return _ssim(*_statistics(x, y), C1, C2)


@wrong("ssim", hint="`ssim_map`: the arguments C1 and C2 have no effect. Use them where you have put the numbers.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return _ssim(*_statistics(x, y), 0.01**2, 0.03**2)


@wrong("ssim", hint="`ssim_map`: the covariance is the mean of the products *minus* the product of the means. The second "
                    "part is missing.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    *means_and_variances, covariance = _statistics(x, y)
    return _ssim(*means_and_variances, covariance + means_and_variances[0] * means_and_variances[1], C1, C2)


@wrong("ssim", hint="`ssim_map`: a variance is the mean of the squares *minus* the square of the mean. The second part is "
                    "missing.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return _ssim(mean_x, mean_y, variance_x + mean_x**2, variance_y + mean_y**2, covariance, C1, C2)


@wrong("ssim", hint="`ssim_map`: under the fraction stand standard deviations. Variances belong there, without the root.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return _ssim(mean_x, mean_y, variance_x.clamp(min=0).sqrt(), variance_y.clamp(min=0).sqrt(), covariance, C1, C2)


@wrong("ssim", hint="`ssim_map`: variances and covariance are multiplied by N/(N − 1), as of a sample. Under the window the "
                    "weights sum to 1: leave it out.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, *spread = _statistics(x, y)
    return _ssim(mean_x, mean_y, *(121 / 120 * each for each in spread), C1, C2)


@wrong("ssim", hint="`ssim_map`: a 2 is missing above the fraction: both factors there are doubled, 2·μ_x·μ_y + C1 and "
                    "2·σ_xy + C2.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return (mean_x * mean_y + C1) * (covariance + C2) / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))


@wrong("ssim", hint="`ssim_map`: only contrast and structure are compared. The factor of the means, (2μ_xμ_y + C1)/(μ_x² + "
                    "μ_y² + C1), is missing.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    _, _, variance_x, variance_y, covariance = _statistics(x, y)
    return (2 * covariance + C2) / (variance_x + variance_y + C2)


@wrong("ssim", hint="`ssim_map`: only the means are compared. The factor of the spread, (2σ_xy + C2)/(σ_x² + σ_y² + C2), is "
                    "missing.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, *_ = _statistics(x, y)
    return (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)


@wrong("ssim", hint="`ssim_map`: under the fraction stand products, 2·σ_x·σ_y or 2·μ_x·μ_y. It is the *sum* of the squares "
                    "there.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    deviations = (variance_x * variance_y).clamp(min=0).sqrt()
    return (2 * mean_x * mean_y + C1) * (2 * covariance + C2) / ((mean_x**2 + mean_y**2 + C1) * (2 * deviations + C2))


@wrong("ssim", hint="`ssim_map`: the window here is flat, 11×11 equal weights. Use `gaussian_window()`.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return _ssim(*_statistics(x, y, lambda maps: F.avg_pool2d(maps, 11, stride=1)), C1, C2)


@wrong("ssim", hint="`ssim_map`: the mean is taken already. A map is wanted, a similarity for each place of the window.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return _ssim(*_statistics(x, y), C1, C2).mean()


@wrong("ssim", hint="`ssim_map`: this is 1 − SSIM, the loss. The similarity itself is wanted, 1 where the maps are alike.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return 1 - _ssim(*_statistics(x, y), C1, C2)


@wrong("ssim", hint="`ssim_map`: negative similarities are set to 0. Where one map rises and the other falls SSIM is "
                    "negative, and its gradient still helps: leave it as it is.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return _ssim(*_statistics(x, y), C1, C2).clamp(min=0)


@wrong("ssim", hint="`ssim_map`: values below 0 are set to 0 before they are compared. A net's map has such values, and they "
                    "are wrong: compare them as they are.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    return _ssim(*_statistics(x.clamp(min=0), y.clamp(min=0)), C1, C2)


@wrong("ssim", hint="`ssim_map`: the covariance has lost its sign. Two maps that go opposite ways aren't alike.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    *means_and_variances, covariance = _statistics(x, y)
    return _ssim(*means_and_variances, covariance.abs(), C1, C2)


@wrong("ssim", hint="`ssim_map`: divided by the first bracket, and multiplied by the second. Put both into one pair of brackets under the "
                    "fraction.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return (2 * mean_x * mean_y + C1) * (2 * covariance + C2) / (mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2)


@wrong("ssim", hint="`ssim_map`: the two fractions are added. They are multiplied: alike is what has the same level *and* the same pattern.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1) + (2 * covariance + C2) / (variance_x + variance_y + C2)


@wrong("ssim", hint="`ssim_map`: under the fraction stands (μ_x + μ_y)². It is the sum of the squares, μ_x² + μ_y².")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return (2 * mean_x * mean_y + C1) * (2 * covariance + C2) / (((mean_x + mean_y)**2 + C1) * (variance_x + variance_y + C2))


@wrong("ssim", hint="`ssim_map`: the variances have a smallest value. Where both maps are flat they are 0, and C2 alone keeps the fraction whole.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return _ssim(mean_x, mean_y, variance_x.clamp(min=1e-3), variance_y.clamp(min=1e-3), covariance, C1, C2)


@wrong("ssim", hint="`local_mean`: what is padded and cut off again is counted for odd windows only. Without padding nothing needs cutting.")
def local_mean(maps, window):
    edge = len(window) // 2
    made = F.conv2d(F.pad(maps, [edge] * 4), torch.outer(window, window)[None, None].to(maps))
    return made[:, :, edge:maps.shape[2] - edge, edge:maps.shape[3] - edge]


@wrong("ssim", hint="`ssim_map`: the 2 before the covariance is missing: 2·σ_xy + C2.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    *means_and_variances, covariance = _statistics(x, y)
    return _ssim(*means_and_variances, covariance / 2, C1, C2)


@wrong("ssim", hint="`ssim_map`: the 2 before the product of the means is missing: 2·μ_x·μ_y + C1.")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    mean_x, mean_y, variance_x, variance_y, covariance = _statistics(x, y)
    return (mean_x * mean_y + C1) * (2 * covariance + C2) / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))


# --- loss ---

@wrong("loss", hint="`consistency_loss`: this is 1 + SSIM, and training would make the maps as unlike as it can. It is 1 "
                    "*minus* the mean.")
def consistency_loss(prediction, truth):
    return 1 + ssim_map(prediction, truth).mean()


@wrong("loss", hint="`consistency_loss`: this is the similarity. A loss is low where the maps are alike: 1 − the mean.")
def consistency_loss(prediction, truth):
    return ssim_map(prediction, truth).mean()


@wrong("loss", hint="`consistency_loss`: the 1 is missing. Its gradient is the same without, but L_C is 0 where the maps "
                    "are equal.")
def consistency_loss(prediction, truth):
    return -ssim_map(prediction, truth).mean()


@wrong("loss", hint="`consistency_loss`: the sum over the places is taken. Take the mean, or the loss grows with the image.")
def consistency_loss(prediction, truth):
    return 1 - ssim_map(prediction, truth).sum()


@wrong("loss", hint="`consistency_loss`: there is a loss for each image. Take the mean over the batch as well: a scalar.")
def consistency_loss(prediction, truth):
    return 1 - ssim_map(prediction, truth).mean((1, 2, 3))


@wrong("loss", hint="`consistency_loss`: it is halved, as the DSSIM is. Here L_C = 1 − the mean, from 0 to 2.")
def consistency_loss(prediction, truth):
    return (1 - ssim_map(prediction, truth).mean()) / 2


@wrong("loss", hint="`consistency_loss`: the maps are divided by their maximum first, so the loss no longer sees how many "
                    "heads they stand for. Compare them as they are.")
def consistency_loss(prediction, truth):
    return 1 - ssim_map(prediction / prediction.max(), truth / truth.max()).mean()


@wrong("loss", hint="`sanet_loss`: alpha stands at the wrong term. It weighs L_C: L_E + alpha·L_C.")
def sanet_loss(prediction, truth, alpha=0.001):
    return alpha * F.mse_loss(prediction, truth) + consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: L_E is weighed by 1 − alpha. It is taken whole: L_E + alpha·L_C.")
def sanet_loss(prediction, truth, alpha=0.001):
    return (1 - alpha) * F.mse_loss(prediction, truth) + alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: L_C is subtracted. Both terms are losses: add them.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth) - alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: alpha is missing. L_C is weighed by it: L_E + alpha · L_C.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth) + consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: the squared differences are summed. L_E is their mean over all pixels of the batch.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth, reduction="sum") + alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: the squared differences are summed over each image and averaged over the images only. "
                    "Take the mean over the pixels too; alpha is meant for that scale.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth, reduction="sum") / len(prediction) + alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: L_E is halved. Here it is the plain mean of the squared differences, without ½.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth) / 2 + alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: L_E has a root over it. It is the mean of the squares itself.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth).sqrt() + alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: L_E takes absolute differences. They are squared.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.l1_loss(prediction, truth) + alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: L_C is added as a number, so nothing is learnt from it: its gradient is cut. Leave out "
                    "`.item()` and `.detach()`.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth) + alpha * consistency_loss(prediction, truth).item()


@wrong("loss", hint="`sanet_loss`: the weight of L_C is always 0.001. It is the argument `alpha`.")
def sanet_loss(prediction, truth, alpha=0.001):
    return F.mse_loss(prediction, truth) + 0.001 * consistency_loss(prediction, truth)


def _pulls(prediction, truth):
    """The gradients of L_C and of L_E at the prediction."""
    prediction = prediction.detach().requires_grad_()
    return [torch.autograd.grad(loss(prediction, truth), prediction)[0] for loss in (consistency_loss, F.mse_loss)]


@wrong("loss", hint="`gradient_ratio`: the fraction is turned round. L_C stands above, L_E below.")
def gradient_ratio(prediction, truth):
    of_c, of_e = _pulls(prediction, truth)
    return (of_e.norm() / of_c.norm()).item()


@wrong("loss", hint="`gradient_ratio`: this is the ratio of the squared norms. Take the root of each.")
def gradient_ratio(prediction, truth):
    of_c, of_e = _pulls(prediction, truth)
    return (of_c.square().sum() / of_e.square().sum()).item()


@wrong("loss", hint="`gradient_ratio`: this compares absolute values, a norm of another kind. ‖·‖ is the root of the sum of "
                    "squares, `.norm()`.")
def gradient_ratio(prediction, truth):
    of_c, of_e = _pulls(prediction, truth)
    return (of_c.abs().sum() / of_e.abs().sum()).item()


@wrong("loss", hint="`gradient_ratio`: the losses themselves are compared. How hard a loss pulls is told by its gradient.")
def gradient_ratio(prediction, truth):
    return (consistency_loss(prediction, truth) / F.mse_loss(prediction, truth)).item()


@wrong("loss", hint="`gradient_ratio`: L_C's gradient comes with alpha. The ratio is of the two terms themselves; alpha is "
                    "chosen from it.")
def gradient_ratio(prediction, truth):
    of_c, of_e = _pulls(prediction, truth)
    return (0.001 * of_c.norm() / of_e.norm()).item()


@wrong("loss", hint="`gradient_ratio`: the gradients are taken at the truth. It is the prediction that learns.")
def gradient_ratio(prediction, truth):
    truth = truth.detach().requires_grad_()
    of_c, of_e = (torch.autograd.grad(loss(prediction, truth), truth)[0] for loss in (consistency_loss, F.mse_loss))
    return (of_c.norm() / of_e.norm()).item()


@wrong("loss", hint="`gradient_ratio`: the second `backward` adds its gradient to the first one's in `.grad`. Set it to "
                    "None between them, or use `torch.autograd.grad`.")
def gradient_ratio(prediction, truth):
    of_c, of_e = _pulls(prediction, truth)
    return (of_c.norm() / (of_c + of_e).norm()).item()


@wrong("loss", hint="`gradient_ratio`: both norms are of the same tensor. The second `backward` writes into `.grad` in place, and so into "
                    "what you kept of it: set it to None before, or use `torch.autograd.grad`.")
def gradient_ratio(prediction, truth):
    prediction = prediction.detach().requires_grad_()
    consistency_loss(prediction, truth).backward()
    of_c = prediction.grad
    F.mse_loss(prediction, truth).backward()
    return (of_c.norm() / prediction.grad.norm()).item()


@wrong("loss", hint="`gradient_ratio`: a ratio is taken at each pixel, or image, and then averaged. Take the norms over the "
                    "whole batch first.")
def gradient_ratio(prediction, truth):
    of_c, of_e = (pull.flatten(1).norm(dim=1) for pull in _pulls(prediction, truth))
    return (of_c / of_e).mean().item()


@wrong("loss", hint="`consistency_loss`: values below 0 are cut off from the prediction. They are wrong, and have to be felt.")
def consistency_loss(prediction, truth):
    return 1 - ssim_map(prediction.clamp(min=0), truth).mean()


@wrong("loss", hint="`sanet_loss`: the default of alpha is 0.001.")
def sanet_loss(prediction, truth, alpha=0.01):
    return F.mse_loss(prediction, truth) + alpha * consistency_loss(prediction, truth)


@wrong("loss", hint="`sanet_loss`: an alpha of 0 is taken for none at all. It switches L_C off.")
def sanet_loss(prediction, truth, alpha=None):
    return F.mse_loss(prediction, truth) + (alpha or 0.001) * consistency_loss(prediction, truth)


@wrong("loss", hint="`gradient_ratio`: below stands the gradient of the *sum* of the squares. L_E is their mean.")
def gradient_ratio(prediction, truth):
    prediction = prediction.detach().requires_grad_()
    pull = [torch.autograd.grad(loss(prediction, truth), prediction)[0].norm()
            for loss in (consistency_loss, lambda a, b: (a - b).square().sum())]
    return (pull[0] / pull[1]).item()


@wrong("loss", hint="`gradient_ratio`: the prediction that was handed in is marked as learning, and stays so. Work on "
                    "`prediction.detach()`.")
def gradient_ratio(prediction, truth):
    prediction.requires_grad_()
    pull = [torch.autograd.grad(loss(prediction, truth), prediction)[0].norm() for loss in (consistency_loss, F.mse_loss)]
    return (pull[0] / pull[1]).item()


@wrong("loss", hint="`consistency_loss`: 1 − SSIM is summed over the places. Take the mean, or the loss grows with the image.")
def consistency_loss(prediction, truth):
    return (1 - ssim_map(prediction, truth)).sum()


@wrong("loss", hint="`gradient_ratio`: below stands the gradient of the whole loss, L_E + alpha·L_C. It is L_E's alone.")
def gradient_ratio(prediction, truth):
    prediction = prediction.detach().requires_grad_()
    pull = [torch.autograd.grad(loss(prediction, truth), prediction)[0].norm() for loss in (consistency_loss, sanet_loss)]
    return (pull[0] / pull[1]).item()


# --- scores ---

def _scored(error, scene):
    """The scores as they should be, of signed errors."""
    error = error.abs()
    by_scene = torch.stack([error[scene == each].mean() for each in scene.unique()])
    return {"by scene": by_scene, "mean over scenes": by_scene.mean().item(), "mean over frames": error.mean().item(),
            "MSE": error.square().mean().sqrt().item()}


@wrong("scores", hint="The two means have changed places. Over frames each picture weighs the same, over scenes each scene.")
def scores(predicted, true, scene):
    made = _scored(predicted - true, scene)
    return made | {"mean over scenes": made["mean over frames"], "mean over frames": made["mean over scenes"]}


@wrong("scores", hint="\"mean over scenes\" is the mean over all pictures once more, so large scenes weigh more. Average "
                      "the scenes' own errors.")
def scores(predicted, true, scene):
    made = _scored(predicted - true, scene)
    return made | {"mean over scenes": made["mean over frames"]}


@wrong("scores", hint="\"mean over frames\" is the mean of the scenes once more. Average over all pictures, whatever their "
                      "scene.")
def scores(predicted, true, scene):
    made = _scored(predicted - true, scene)
    return made | {"mean over frames": made["mean over scenes"]}


@wrong("scores", hint="The root over the mean squared error is missing. The field says MSE and means the root.")
def scores(predicted, true, scene):
    made = _scored(predicted - true, scene)
    return made | {"MSE": made["MSE"]**2}


@wrong("scores", hint="The root is taken of each squared error, which gives the mean absolute error again. Average the "
                      "squares, then take the root.")
def scores(predicted, true, scene):
    made = _scored(predicted - true, scene)
    return made | {"MSE": (predicted - true).square().sqrt().mean().item()}


@wrong("scores", hint="The \"MSE\" is made of the scenes' errors. It goes over the pictures.")
def scores(predicted, true, scene):
    made = _scored(predicted - true, scene)
    return made | {"MSE": made["by scene"].square().mean().sqrt().item()}


@wrong("scores", hint="The \"MSE\" is the errors' standard deviation, which leaves their mean out. Square the errors "
                      "themselves.")
def scores(predicted, true, scene):
    return _scored(predicted - true, scene) | {"MSE": (predicted - true).std().item()}


@wrong("scores", hint="The errors keep their signs, so that one too many and one too few cancel. Take absolute values "
                      "first.")
def scores(predicted, true, scene):
    error = (predicted - true)
    by_scene = torch.stack([error[scene == each].mean() for each in scene.unique()])
    return {"by scene": by_scene, "mean over scenes": by_scene.mean().item(), "mean over frames": error.mean().item(),
            "MSE": error.square().mean().sqrt().item()}


@wrong("scores", hint="The absolute value is taken of each scene's mean error, where errors have cancelled already. Take it "
                      "of each picture's error.")
def scores(predicted, true, scene):
    error = (predicted - true)
    by_scene = torch.stack([error[scene == each].mean().abs() for each in scene.unique()])
    return _scored(error, scene) | {"by scene": by_scene, "mean over scenes": by_scene.mean().item()}


@wrong("scores", hint="A scene's error is the sum over its pictures. Divide by how many it has.")
def scores(predicted, true, scene):
    by_scene = torch.stack([(predicted - true)[scene == each].abs().sum() for each in scene.unique()])
    return _scored(predicted - true, scene) | {"by scene": by_scene, "mean over scenes": by_scene.mean().item()}


@wrong("scores", hint="A scene's error is the root of its mean squared error. By scene the mean absolute error is reported.")
def scores(predicted, true, scene):
    by_scene = torch.stack([(predicted - true)[scene == each].square().mean().sqrt() for each in scene.unique()])
    return _scored(predicted - true, scene) | {"by scene": by_scene, "mean over scenes": by_scene.mean().item()}


@wrong("scores", hint="The errors are divided by the true counts. Here they are heads, not shares.")
def scores(predicted, true, scene):
    return _scored((predicted - true) / true, scene)


@wrong("scores", hint="The predicted counts are rounded first. A sum of densities needn't be whole: judge it as it is.")
def scores(predicted, true, scene):
    return _scored(predicted.round() - true, scene)


@wrong("scores", hint="There are always five scenes, and one without pictures gives NaN. How many there are follows from "
                      "`scene`.")
def scores(predicted, true, scene):
    error = (predicted - true).abs()
    by_scene = torch.stack([error[scene == each].mean() for each in range(5)])
    return _scored(error, scene) | {"by scene": by_scene, "mean over scenes": by_scene.mean().item()}


@wrong("scores", hint="The scenes stand in the order in which they first occur. Put them in the order of their numbers, 0, "
                      "1, ….")
def scores(predicted, true, scene):
    error = (predicted - true).abs()
    by_scene = torch.stack([error[scene == each].mean() for each in dict.fromkeys(scene.tolist())])
    return _scored(error, scene) | {"by scene": by_scene}


@wrong("scores", hint="The predicted counts are made whole, the type of the true ones. Take the difference first.")
def scores(predicted, true, scene):
    return _scored((predicted.to(true.dtype) - true).double(), scene)


@wrong("scores", hint="A predicted count below 0 is taken for 0. It is an error like any other: judge it as it is.")
def scores(predicted, true, scene):
    return _scored((predicted.clamp(min=0) - true).double(), scene)


@wrong("scores", hint="There are always three scenes. How many there are follows from `scene`: its largest number and one.")
def scores(predicted, true, scene):
    made = _scored((predicted - true).double(), scene)
    by_scene = torch.stack([(predicted - true).abs().double()[scene == each].mean() for each in range(3)])
    return made | {"by scene": by_scene, "mean over scenes": by_scene.mean().item()}


# --- tiles ---

_tile_starts = tile_starts


@wrong("tiles", hint="`tile_starts`: what the last full step leaves over isn't covered. Add a last tile that ends at the "
                     "border.")
def tile_starts(length, tile, stride):
    return list(range(0, max(1, length - tile + 1), stride))


@wrong("tiles", hint="`tile_starts`: a last tile hangs over the border. Move it back so that it ends there: at length − "
                     "tile.")
def tile_starts(length, tile, stride):
    return list(range(0, length, stride)) if length > tile else [0]


@wrong("tiles", hint="`tile_starts`: where the steps end exactly at the border, the last start occurs twice, and its tile "
                     "is computed twice.")
def tile_starts(length, tile, stride):
    last = max(0, length - tile)
    return [*range(0, last + 1, stride), last] if last else [0]


@wrong("tiles", hint="`tile_starts`: the starts are spread evenly. They go in steps of `stride`, and only the last step may "
                     "be shorter.")
def tile_starts(length, tile, stride):
    last = max(0, length - tile)
    steps = -(-last // stride)
    return [last * step // steps for step in range(steps + 1)] if last else [0]


@wrong("tiles", hint="`tile_starts`: the steps are as long as a tile. They are `stride`, which may be shorter, so that "
                     "tiles overlap.")
def tile_starts(length, tile, stride):
    return _tile_starts(length, tile, tile)


@wrong("tiles", hint="`tile_starts`: a side shorter than a tile starts at a negative place. There it is one start, 0.")
def tile_starts(length, tile, stride):
    last = length - tile
    return [*range(0, last, stride), last]


@wrong("tiles", hint="`tile_starts`: a side shorter than a tile gets no start at all, so the map stays empty. There it is "
                     "one, 0.")
def tile_starts(length, tile, stride):
    return _tile_starts(length, tile, stride) if length >= tile else []


@wrong("tiles", hint="`tile_starts`: where a side is just as long as a tile, 0 occurs twice.")
def tile_starts(length, tile, stride):
    last = max(0, length - tile)
    return [0, *range(stride, last, stride), last] if length >= tile else [0]


def _put_together(net, images, tile, stride, put):
    """Tiles in the reference's order: put(total, times, here, answer) for each."""
    n, _, height, width = images.shape
    total, times = images.new_zeros(n, 1, height, width), images.new_zeros(height, width)
    with torch.no_grad():
        for top in tile_starts(height, tile, stride):
            for left in tile_starts(width, tile, stride):
                here = (..., slice(top, top + tile), slice(left, left + tile))
                put(total, times, here, net(images[here]))
    return total, times


def _add(total, times, here, answer):
    total[here] += answer
    times[here] += 1


@wrong("tiles", hint="`predict_in_tiles`: where tiles overlap their maps are added, and heads there count twice. Divide by "
                     "how many tiles cover a pixel.")
def predict_in_tiles(net, images, tile, stride):
    return _put_together(net, images, tile, stride, _add)[0]


@wrong("tiles", hint="`predict_in_tiles`: a later tile overwrites what an earlier one has said. Take the mean of both.")
def predict_in_tiles(net, images, tile, stride):
    def put(total, times, here, answer):
        total[here] = answer
    return _put_together(net, images, tile, stride, put)[0]


@wrong("tiles", hint="`predict_in_tiles`: what an earlier tile has said stays, and later tiles only fill what is left. Take "
                     "the mean of both.")
def predict_in_tiles(net, images, tile, stride):
    def put(total, times, here, answer):
        total[here] = torch.where(times[here] > 0, total[here], answer)
        times[here] += 1
    return _put_together(net, images, tile, stride, put)[0]


@wrong("tiles", hint="`predict_in_tiles`: where tiles overlap the larger answer wins, and the count grows. Take the mean.")
def predict_in_tiles(net, images, tile, stride):
    def put(total, times, here, answer):
        total[here] = torch.where(times[here] > 0, torch.maximum(total[here], answer), answer)
        times[here] += 1
    return _put_together(net, images, tile, stride, put)[0]


@wrong("tiles", hint="`predict_in_tiles`: each tile is averaged with what was there, so of three tiles the last weighs as "
                     "much as the others together. Add them all, and divide once.")
def predict_in_tiles(net, images, tile, stride):
    def put(total, times, here, answer):
        total[here] = torch.where(times[here] > 0, (total[here] + answer) / 2, answer)
        times[here] += 1
    return _put_together(net, images, tile, stride, put)[0]


@wrong("tiles", hint="`predict_in_tiles`: the whole map is divided by one number. Each pixel has its own number of tiles "
                     "that cover it.")
def predict_in_tiles(net, images, tile, stride):
    total, times = _put_together(net, images, tile, stride, _add)
    return total / times.max()


@wrong("tiles", hint="`predict_in_tiles`: tiles don't overlap here but for the last. Step by `stride`, not by `tile`.")
def predict_in_tiles(net, images, tile, stride):
    total, times = _put_together(net, images, tile, tile, _add)
    return total / times


@wrong("tiles", hint="`predict_in_tiles`: the map has as many channels as the images. It has one: make room for (n, 1, h, "
                     "w).")
def predict_in_tiles(net, images, tile, stride):
    total, times = _put_together(net, images, tile, stride, _add)
    return (total / times).expand(images.shape)


@wrong("tiles", hint="`predict_in_tiles`: the map still carries the graph of all tiles, and the memory it takes. Work under "
                     "`torch.no_grad()`.")
def predict_in_tiles(net, images, tile, stride):
    n, _, height, width = images.shape
    total, times = images.new_zeros(n, 1, height, width), images.new_zeros(height, width)
    for top in tile_starts(height, tile, stride):
        for left in tile_starts(width, tile, stride):
            _add(total, times, here := (..., slice(top, top + tile), slice(left, left + tile)), net(images[here]))
    return total / times


@wrong("tiles", hint="`predict_in_tiles`: height and width have changed places. The last dimension is the width.")
def predict_in_tiles(net, images, tile, stride):
    n, _, height, width = images.shape
    total, times = images.new_zeros(n, 1, height, width), images.new_zeros(height, width)
    with torch.no_grad():
        for top in tile_starts(width, tile, stride):
            for left in tile_starts(height, tile, stride):
                here = (..., slice(top, top + tile), slice(left, left + tile))
                _add(total, times, here, net(images[here]))
    return total / times


@wrong("tiles", hint="`tile_starts`: whether a last tile is needed is asked of length % stride. What counts is whether the last full step "
                     "ends at the border: length − tile.")
def tile_starts(length, tile, stride):
    if length <= tile:
        return [0]
    starts = list(range(0, length - tile + 1, stride))
    return starts + [length - tile] if length % stride else starts


@wrong("tiles", hint="`predict_in_tiles`: the net is put into eval mode. Leave its mode alone: whoever hands it over has chosen it.")
def predict_in_tiles(net, images, tile, stride):
    total, times = _put_together(net.eval(), images, tile, stride, _add)
    return total / times


@wrong("tiles", hint="`predict_in_tiles`: a picture smaller than a tile is filled up with zeros, which the net then sees. Such a picture is one "
                     "tile as it is.")
def predict_in_tiles(net, images, tile, stride):
    height, width = images.shape[2:]
    total, times = _put_together(net, F.pad(images, (0, max(0, tile - width), 0, max(0, tile - height))), tile, stride, _add)
    return (total / times)[:, :, :height, :width]


@wrong("tiles", hint="`predict_in_tiles`: the graph is cut off at the end only, when the memory for all tiles has been taken. Work under "
                     "`torch.no_grad()`.")
def predict_in_tiles(net, images, tile, stride):
    n, _, height, width = images.shape
    total, times = images.new_zeros(n, 1, height, width), images.new_zeros(height, width)
    for top in tile_starts(height, tile, stride):
        for left in tile_starts(width, tile, stride):
            _add(total, times, here := (..., slice(top, top + tile), slice(left, left + tile)), net(images[here]))
    return (total / times).detach()


# --- training ---

def _trained(net, maps_of, images, heads, budget, peak=None, start=True, loss=None):
    """The reference's training, with a net, maps or a loss of another kind."""
    sigma, batch = scale.pick(smoke=(2.25, 8), cpu=(3.0, 8), gpu=(6.0, 16))
    height, width = images.shape[2:]
    maps = maps_of(torch.stack([density_map(points.float(), height, width, sigma) for points in heads])[:, None].to(images.device))
    net = net.to(images.device)
    if start:
        *_, last = (module for module in net.modules() if isinstance(module, nn.Conv2d))
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, maps.mean().item())
    steps = budget // batch
    peak = peak or scale.pick(smoke=0.005, cpu=0.01)
    rate = lambda step: peak * min(1, 10 * (step + 1) / steps) * (1 - step / steps)
    counting.train_counter(net, images, maps, loss or sanet_loss, torch.optim.Adam(net.parameters()), steps, batch, rate)
    return net


@wrong("training", hint="Is a `return` missing?")
def train_mine(images, heads, budget, after_step=None):
    _trained(SANet(images.shape[1], 2, "batch"), lambda maps: 100 * maps, images, heads, 80)


@wrong("training", hint="Your net counts hardly better than a linear fit", trains="instance norm everywhere, as in the paper")
def train_mine(images, heads, budget, after_step=None):
    return _trained(SANet(images.shape[1], 4), lambda maps: 100 * maps, images, heads, budget)


@wrong("training", hint="find the heads no better than the mean of all maps", trains="maps of other pictures")
def train_mine(images, heads, budget, after_step=None):
    return _trained(SANet(images.shape[1], 4, "batch"), lambda maps: 100 * maps.roll(1, 0), images, heads, budget)


@wrong("training", hint="the heads aren't where it puts them", trains="maps with y counted from the bottom")
def train_mine(images, heads, budget, after_step=None):
    return _trained(SANet(images.shape[1], 4, "batch"), lambda maps: 100 * maps.flip(2), images, heads, budget)


@wrong("training", hint="Your net's counts are about a hundred times off.", trains="maps that aren't multiplied")
def train_mine(images, heads, budget, after_step=None):
    return _trained(SANet(images.shape[1], 4, "batch"), lambda maps: maps, images, heads, budget, loss=F.mse_loss)


@wrong("training", hint="Your net's maps have faded to zero.", trains="a ReLU after the last convolution, and its bias below zero")
def train_mine(images, heads, budget, after_step=None):
    net = nn.Sequential(SANet(images.shape[1], 4, "batch"), nn.ReLU())
    nn.init.constant_(net[0].decoder[-1].bias, -30.0)
    return _trained(net, lambda maps: 100 * maps, images, heads, budget, start=False)


@wrong("training", hint="maps are the same everywhere in a picture", trains="a count spread evenly over the picture")
def train_mine(images, heads, budget, after_step=None):
    class Even(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = SANet(images.shape[1], 4, "batch")

        def forward(self, x):
            return self.net(x).mean((2, 3), keepdim=True).expand(-1, 1, *x.shape[2:])

    return _trained(Even(), lambda maps: 100 * maps.mean((2, 3), keepdim=True).expand_as(maps), images, heads, budget, loss=F.mse_loss)


@wrong("training", hint="What your net answers is NaN")
def train_mine(images, heads, budget, after_step=None):
    return _trained(SANet(images.shape[1], 2, "batch"), lambda maps: 100 * maps, images, heads, 160, peak=1e30)


_train_mine = train_mine


@wrong("training", hint="`steps = budget // batch`.")
def train_mine(images, heads, budget, after_step=None):
    return _train_mine(images, heads, 8 * budget // 5, after_step)


@wrong("training", hint="`after_step` was never called")
def train_mine(images, heads, budget, after_step=None):
    return _train_mine(images, heads, budget)
