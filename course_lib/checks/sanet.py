"""The checks of the lesson `sanet`."""

import functools

import torch

from course_lib import counting, expect
from course_lib.check import check
from course_lib.crowd import TEST_CAMERAS, TRAIN_CAMERAS, crowd_scenes
from course_lib.modules import agree_module, of_module
from course_lib.verdict import Failed


# --- counting as density ---

@check(points=2)
def density(student, reference, draw):
    """A density map that sums to the count, at the border too."""
    near = {"rtol": 1e-5, "atol": 1e-7}  # a loop over heads that computes in float32 on its way is right too
    heads = lambda n: draw.uniform(n, 2) * torch.tensor([14.0, 9.0])
    expect.agree(student, reference, "density_map", torch.tensor([[7.2, 4.9]], dtype=torch.float64), 9, 14, 0.8, **near)
    expect.agree(student, reference, "density_map", heads(5), 9, 14, draw.number(1.2, 2.5), **near)
    corners = torch.tensor([[0.1, 0.2], [13.9, 8.8], [0.3, 8.7], [0.3, 8.7]], dtype=torch.float64)
    made = expect.agree(student, reference, "density_map", corners, 9, 14, 3, **near)
    expect.close(torch.as_tensor(made).sum(), 4.0, "the sum of a map of four heads near the border, two of them at one place", rtol=1e-5)
    sigmas = torch.cat([draw.uniform(1, low=0.5, high=0.8), draw.uniform(3, low=0.8, high=3.0)])
    expect.agree(student, reference, "density_map", heads(4), 9, 14, sigmas, **near)
    expect.agree(student, reference, "density_map", torch.tensor([[3.0, 2.0]], dtype=torch.float64), 5, 6, 0.1, **near)
    made = expect.agree(student, reference, "density_map", heads(3).float(), 9, 14, 1.5, rtol=1e-4, atol=1e-7)
    expect.true(getattr(made, "dtype", None) == torch.float32, "The map of float32 heads isn't float32. It has the heads' dtype: "
                "a net learns from maps of its own dtype.")
    made = expect.agree(student, reference, "density_map", corners.float(), 9, 14, sigmas, rtol=1e-4, atol=1e-7)
    expect.true(getattr(made, "dtype", None) == torch.float32, "The map of float32 heads with σ in float64 isn't float32. It has the heads' "
                "dtype, whatever type σ comes in.")
    expect.agree(student, reference, "density_map", torch.zeros(0, 2, dtype=torch.float64), 5, 6, 2.0,
                 hint="Nobody in the picture: the map is zeros, height×width of them.")


@check(points=1)
def adaptive(student, reference, draw):
    """Geometry-adaptive σ (Zhang et al. 2016), and a map at a lower resolution with the same sum."""
    heads = lambda n: draw.uniform(n, 2, high=50.0)
    expect.agree(student, reference, "adaptive_sigmas", heads(12))
    expect.agree(student, reference, "adaptive_sigmas", heads(9), 2, draw.number(0.2, 0.5))
    expect.agree(student, reference, "adaptive_sigmas", heads(3))
    expect.agree(student, reference, "adaptive_sigmas", heads(1), 3, 0.3, draw.number(2.0, 6.0))
    expect.agree(student, reference, "adaptive_sigmas", heads(0))
    alone = expect.tensor(expect.agree(student, reference, "adaptive_sigmas", heads(1)), "What `adaptive_sigmas` gives for one head", (1,))
    expect.true(alone.is_floating_point(), "A σ is a floating-point number, also where there is one head.")
    expect.agree(student, reference, "adaptive_sigmas", draw.uniform(6, 2, high=2.0))
    expect.agree(student, reference, "adaptive_sigmas", draw.uniform(6, 2, high=5000.0))
    together = torch.tensor([[3.0, 4.0]] * 4 + [[9.0, 9.0]], dtype=torch.float64)
    expect.agree(student, reference, "adaptive_sigmas", together, atol=1e-6)
    expect.agree(student, reference, "adaptive_sigmas", heads(5).float(), rtol=1e-4, atol=1e-6)
    expect.agree(student, reference, "adaptive_sigmas", draw.branch("two").uniform(2, 2, high=50.0))
    maps = draw.uniform(2, 1, 24, 48)
    for factor in (4, 8, 3, 1):
        expect.agree(student, reference, "shrink", maps, factor)
    expect.agree(student, reference, "shrink", maps.float(), 2, rtol=1e-4, atol=1e-6)
    expect.agree(student, reference, "shrink", torch.cat([maps[:1], 0 * maps[:1]]), 4)  # a picture without heads beside another
    expect.agree(student, reference, "shrink", 0 * maps[:1], 4)


# --- the network ---

@check(points=2)
def aggregation(student, reference, draw):
    """The scale aggregation module: four branches, four scales (Cao et al. 2018, Section 3.1)."""
    numbers = draw.normal(3_000)
    for args in ([3, 2, False], [8, 2], [5, 3, True, "batch"], [4, 2, True, "none"], [3, 2, True], [6, 2, False], [2, 4], [3, 2, False, "batch"]):
        agree_module(student, reference, f"`ScaleAggregation({', '.join(map(repr, args))})`", of_module, "ScaleAggregation", args, numbers,
                     draw.normal(2, args[0], 9, 10))


@check(points=2, needs=["aggregation"])
def network(student, reference, draw):
    """SANet: encoder, decoder, and a map as large as the image, whatever its size (Cao et al. 2018, Figure 1)."""
    numbers = draw.normal(20_000)
    for args, height, width in (([3, 2], 16, 32), ([1, 4, "batch"], 24, 16), ([3, 4], 13, 18), ([3, 2, "none"], 16, 18),
                                ([3, 2], 13, 16), ([2, 1, "batch", "none"], 16, 16), ([], 8, 16)):
        agree_module(student, reference, f"`SANet({', '.join(map(repr, args))})` on {height}×{width} pixels", of_module, "SANet", args, numbers,
                     draw.normal(2, *(args[:1] or [3]), height, width))


# --- the losses ---

@check(points=3)
def ssim(student, reference, draw):
    """Local structural similarity with an 11×11 Gaussian window (Wang et al. 2004)."""
    expect.agree(student, reference, "gaussian_window")
    expect.agree(student, reference, "gaussian_window", 6, draw.number(0.8, 2.0))
    window = draw.uniform(5)
    window = window / window.sum()
    maps = draw.normal(2, 1, 8, 11)
    expect.agree(student, reference, "local_mean", maps, window)
    for size in (4, 1):
        expect.agree(student, reference, "local_mean", maps, draw.uniform(size))
    expect.agree(student, reference, "local_mean", maps.float(), window, rtol=1e-4, atol=1e-5)
    x = draw.uniform(2, 1, 24, 25)  # a window that is 23 wide still fits, and is told by its result
    y = 0.6 * x + 0.3 * draw.uniform(2, 1, 24, 25)
    expect.agree(student, reference, "ssim_map", x, y)
    expect.agree(student, reference, "ssim_map", 5 * draw.normal(1, 1, 13, 12), draw.uniform(1, 1, 13, 12), 0.2, 0.7)
    expect.agree(student, reference, "ssim_map", x, 1 - x)
    expect.agree(student, reference, "ssim_map", x * (x > 0.9), y * (y > 0.8))  # mostly flat, as density maps are
    expect.agree(student, reference, "ssim_map", x / 20, y / 20)  # nearly flat everywhere
    expect.agree(student, reference, "ssim_map", x.float(), y.float(), rtol=1e-3, atol=1e-4)
    itself = expect.tensor(student.ssim_map(x, x), "The similarity of a map with itself", reference.ssim_map(x, x).shape)
    expect.close(itself.min(), 1.0, "the least similarity of a map with itself")
    for which in (0, 1):
        expect.agree_grad(student, reference, "ssim_map", x, y, wrt=which)


def asked_twice(names, prediction, truth):
    """A measurement leaves what it measures as it was."""
    given = prediction.clone()
    return {"asked once": names.gradient_ratio(given, truth), "asked again": names.gradient_ratio(given, truth),
            "does the prediction need a gradient afterwards": given.requires_grad, "is its .grad empty": given.grad is None}


@check(points=2, needs=["ssim"])
def loss(student, reference, draw):
    """The local pattern consistency loss, SANet's whole loss, and which of its terms pulls harder."""
    prediction, truth = draw.normal(3, 1, 14, 16), 2 * draw.uniform(3, 1, 14, 16)
    expect.agree(student, reference, "consistency_loss", prediction, truth)
    expect.agree_grad(student, reference, "consistency_loss", prediction, truth)
    for alpha in ((), (draw.number(0.2, 3.0),), (0.0,)):
        expect.agree(student, reference, "sanet_loss", prediction, truth, *alpha)
        expect.agree_grad(student, reference, "sanet_loss", prediction, truth, *alpha)
    expect.agree(student, reference, "gradient_ratio", prediction, truth)
    expect.agree(student, reference, "gradient_ratio", draw.uniform(1, 1, 12, 13), 30 * draw.uniform(1, 1, 12, 13))
    expect.agree(student, reference, "gradient_ratio", 1e-4 * draw.uniform(1, 1, 12, 13), 1e-4 * draw.uniform(1, 1, 12, 13))
    expect.agree_run(student, reference, asked_twice, prediction, truth, what="`gradient_ratio`")


# --- judging counts, and pictures larger than the training's ---

@check(points=1)
def scores(student, reference, draw):
    """Errors by scene, and the means that are reported."""
    for number, frames in ((3, 10), (5, 14), (1, 4)):
        scene = torch.cat([torch.arange(number), draw.integers(0, number, frames - number)])[draw.permutation(frames)]
        error = draw.uniform(frames, low=1.0, high=20.0) * torch.where(torch.arange(frames) % 5 < 3, 1, -1)
        true = draw.integers(2, 60, frames).double()
        expect.agree(student, reference, "scores", true + error, true, scene)
    few = torch.tensor([1, 0, 2, 3])  # heads counted are whole numbers, and a net's count may be less than nothing
    expect.agree(student, reference, "scores", torch.tensor([-1.5, 0.25, 2.5, 9.75], dtype=torch.float64), few, few.clamp(max=1))


def tiled(names, images, tile, stride, training):
    """Tiles of a net that answers by its mode, by where a pixel stands in its tile, and by the tile; and what is left as it was."""
    import weakref

    class Mark:
        pass

    class Marked(torch.autograd.Function):
        """Leaves a mark in the graph, which lives as long as the graph does."""

        @staticmethod
        def forward(context, answer):
            context.mark = Mark()
            marks.append(weakref.ref(context.mark))
            return answer.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones((), dtype=images.dtype))

        def forward(self, part):
            alive.append(sum(mark() is not None for mark in marks))
            rows, columns = part.shape[2:]
            place = torch.cos(torch.arange(rows)[:, None] * 10.0 + torch.arange(columns)) + rows + part.mean((1, 2, 3), keepdim=True)
            return Marked.apply(part.sum(1, keepdim=True) * self.weight * (2 if self.training else 1) + place)

    marks, alive = [], []
    net, given = Net().train(training), images.clone()
    answer = names.predict_in_tiles(net, given, tile, stride)
    return {"the map": answer, "whether it carries a graph": answer is not None and answer.requires_grad,
            "whether the graphs of several tiles were kept at once": max(alive, default=0) > 1,
            "whether the net is in train mode afterwards": net.training, "whether its weights still learn": net.weight.requires_grad,
            "whether the images are as they were": torch.equal(given, images)}


@check(points=2)
def tiles(student, reference, draw):
    """A map from overlapping tiles, each pixel the mean of those that cover it."""
    sides = [(10, 4, 4), (12, 4, 4), (11, 4, 2), (5, 8, 4), (8, 8, 4), (9, 8, 4), (10, 4, 3), (6, 4, 3), (9, 5, 3), (10, 4, 1)]
    for _ in range(3):
        tile = draw.integers(3, 9, 1).item()
        sides.append((draw.integers(tile, 30, 1).item(), tile, draw.integers(1, tile + 1, 1).item()))
    for length, tile, stride in sides:
        expect.agree(student, reference, "tile_starts", length, tile, stride)
    for height, width, tile, stride, training in ((6, 11, 6, 3, False), (9, 10, 4, 4, True), (5, 12, 8, 4, False)):
        expect.agree_run(student, reference, tiled, draw.normal(2, 3, height, width), tile, stride, training, what="`predict_in_tiles`")


# --- trained for real ---

def maps_after_training(names, images, heads, heldout, budget, batch, seed, device):
    """The trained net's maps for the held-out images, in eval mode; and what `counting.Looks` has counted, where it was there.

    In grading these two numbers come out of the submission's own process, which can say what it likes: they help an honest learner.
    """
    from course_lib import counting
    net, looks = names.made("my_net"), names.made("my_looks")
    if net is None:
        torch.manual_seed(seed)
        bar = iter(names.progress(range(budget // batch)))
        with counting.Looks(images) as looks:
            net = names.train_mine(images.float().to(device) / 255, heads, budget, looks.heard(lambda step, loss, net: next(bar, None)))
    if net is None:
        return None
    with torch.no_grad():
        maps = torch.cat([net.eval()(part.float().to(device) / 255) for part in heldout.split(50)]).float().cpu()
    counted = {"images": looks.images, "steps": looks.steps} if isinstance(looks, counting.Looks) else {}
    return {"maps": maps} | counted


@functools.lru_cache(maxsize=2)
def scenes(cameras, number, size, seed):
    """Pictures to train or to judge on: (images as bytes, heads, camera)."""
    made = crowd_scenes(cameras, number, size, seed)
    return (made.images * 255).round().to(torch.uint8), made.heads, made.camera


def cells(heads, size, grid=4):
    """How many heads are in each cell of a grid over the picture, (n, grid, grid): where they are, not only how many."""
    made = torch.zeros(len(heads), grid, grid)
    for counted, points in zip(made, heads):
        column, row = (points * grid / size).long().clamp(0, grid - 1).unbind(1)
        counted.index_put_((row, column), torch.ones(len(points)), accumulate=True)
    return made


def regression(images, counts, heldout):
    """Counts guessed from each picture's mean and standard deviation alone, by least squares: the honest baseline."""
    features = lambda pictures: torch.stack([pictures.float().mean((1, 2, 3)), pictures.float().std((1, 2, 3)), torch.ones(len(pictures))], dim=1)
    return features(heldout) @ torch.linalg.lstsq(features(images), counts[:, None]).solution[:, 0]


FADED = ("Your net's maps have faded to zero. Let it start from the average, with the last convolution's weights at 0 and its bias at the "
         "mean of the maps, so that it needn't find that first; and let no ReLU follow it. Where all that is done: is L_E in the loss, and does "
         "it learn maps times `counting.SCALE`?")
SCALED = ("Your net's counts are about a hundred times off. It learns maps times `counting.SCALE`, and answers with such maps.")
SUMMED = ("Your net's counts are far more than a hundred times too large. Does the last convolution's bias start at the mean over all "
          "*pixels* of the maps, and not at a map's sum?")
UNRELATED = ("Your net's maps find the heads no better than the mean of all maps does. Do the pictures and the maps that it learns from still "
             "belong together, is the net that `train_mine` returns the one that was trained, and does it get pictures in [0, 1] as it did "
             "then? What you do to them beforehand belongs inside the net.")
NO_BETTER = ("Your net counts hardly better than a linear fit from two numbers, the picture's mean and standard deviation. Which norm "
             "does the decoder have, how does the last convolution start, and how long and at which rate does it train?")
FLAT = ("Your net's maps are the same everywhere in a picture: they may say how many, but not where. Has the training diverged, "
        "at too high a rate? If not, let it learn from the maps themselves, pixel by pixel, and not from their sums.")
ELSEWHERE = ("Your net's counts are passable, but the heads aren't where it puts them. Are the maps made from (x, y), columns first?")
NOWHERE = 0.98  # of "place": the mean of all maps has 1
LEEWAY = 1.5  # a look at the loss, or an epoch rounded up, isn't held against anybody
TRAINING = {"count": expect.at_most(smoke=1.0, cpu=0.85), "place": expect.at_most(smoke=0.97, cpu=0.8)}


@check(points=3, needs=["density", "network", "loss"], bounds=TRAINING)
def training(student, reference, draw):
    """Your net, counting in scenes that it has never seen."""
    size = draw.scale.pick(smoke=48, cpu=64, gpu=256)
    images, heads, _ = scenes(TRAIN_CAMERAS, draw.scale.pick(smoke=412, cpu=824), size, "training")
    heldout, true_heads, camera = scenes(TEST_CAMERAS, draw.scale.pick(smoke=150, cpu=200), size, draw.nonce() if draw.secret else "public")
    if draw.secret:  # a net that was trained elsewhere knows other colours
        colours, negative = draw.permutation(3), draw.integers(0, 2, 1).item()
        images, heldout = (255 - each[:, colours] if negative else each[:, colours] for each in (images, heldout))
    budget = draw.scale.pick(smoke=1_200, cpu=2_000, gpu=64_000)
    batch = draw.scale.pick(smoke=8, gpu=16)
    made = student.train(maps_after_training, images, heads, heldout, budget, batch, draw.seed(), draw.scale.device.type)
    if made is None:
        raise Failed("`train_mine` gave back nothing. Is a `return` missing?")
    made = made if isinstance(made, dict) else {"maps": made}
    maps = expect.tensor(made.get("maps"), "What your net answers", (len(heldout), 1, size, size)).float()
    number = lambda each: torch.tensor([float(len(points)) for points in each])
    by_camera = lambda error: torch.stack([error[camera == each].mean() for each in camera.unique()]).mean().item()
    true, predicted = number(true_heads), counting.counts(maps)
    where = cells(true_heads, size)
    guessed = cells(heads, size).mean(0)
    found = torch.nn.functional.avg_pool2d(maps, size // 4)[:, 0] * (size // 4) ** 2 / counting.SCALE
    place = lambda found: (found - where).abs().mean().item() / (guessed - where).abs().mean().item()
    figures = {"count": by_camera((predicted - true).abs()) / by_camera((regression(images, number(heads), heldout) - true).abs()),
               "place": place(found)}
    expect.measured(**figures)
    off = predicted.mean().item() / true.mean().item()
    flat = (maps.amax((1, 2, 3)) - maps.amin((1, 2, 3))).max() <= 1e-3 * maps.abs().max()
    # Maps learned unmultiplied, made larger, came to 0.62 to 0.99 of "place" in seven draws. A faded net was at exactly 0 wherever it was
    # measured; were it a hundred times off, with its few remains elsewhere, this should tell it.
    hint = (SUMMED if off > 300 else SCALED if off > 30 or 0.003 < off < 0.03 and place(found * counting.SCALE) < 1.1
            else FADED if abs(off) < 0.03 else FLAT if flat else UNRELATED if figures["place"] > NOWHERE else NO_BETTER)
    expect.within("count", figures["count"], TRAINING["count"], draw.scale, hint)
    expect.true(not flat, FLAT)
    expect.within("place", figures["place"], TRAINING["place"], draw.scale, ELSEWHERE)
    images_seen, steps_told = (made[name] if isinstance(made.get(name), int) else None for name in ("images", "steps"))
    expect.true(images_seen is None or images_seen <= LEEWAY * budget,
                f"Your net has looked at {images_seen or 0:,} pictures; `budget` allows {budget:,}. A step looks at a whole batch: "
                "`steps = budget // batch`.")
    expect.true(steps_told != 0, counting.UNHEARD)
