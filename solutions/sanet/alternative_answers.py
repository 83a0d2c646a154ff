"""Right answers to `sanet` in another style than the reference: each check must pass them."""

import math

import torch
import torch.nn.functional as F
from torch import nn


@right("density")
def density_map(heads, height, width, sigma):
    # A loop over the heads, each on the whole image.
    rows = torch.arange(height, dtype=heads.dtype).reshape(-1, 1) + 0.5
    columns = torch.arange(width, dtype=heads.dtype).reshape(1, -1) + 0.5
    total = torch.zeros(height, width, dtype=heads.dtype)
    for number, (x, y) in enumerate(heads):
        s = sigma[number] if isinstance(sigma, torch.Tensor) and sigma.ndim else sigma
        kernel = torch.exp(-0.5 * ((columns - x) / s) ** 2) * torch.exp(-0.5 * ((rows - y) / s) ** 2)
        total += kernel / kernel.sum()
    return total


@right("density")
def density_map(heads, height, width, sigma):
    # A softmax over all pixels of each head's map: normalised in one go.
    grid = torch.cartesian_prod(torch.arange(height), torch.arange(width)).flip(1) + 0.5
    exponent = -(grid[None] - heads[:, None]).square().sum(2) / (2 * torch.as_tensor(sigma).reshape(-1, 1) ** 2)
    return torch.softmax(exponent.double(), dim=1).sum(0).reshape(height, width).to(heads.dtype)


@right("density")
def density_map(heads, height, width, sigma):
    # Two softmaxes joined by einsum.
    sigma = torch.as_tensor(sigma, dtype=heads.dtype)
    middle = lambda length: torch.linspace(0.5, length - 0.5, length, dtype=heads.dtype)[:, None]
    across = (-((middle(width) - heads[:, 0]) / sigma) ** 2 / 2).softmax(0)
    down = (-((middle(height) - heads[:, 1]) / sigma) ** 2 / 2).softmax(0)
    return torch.einsum("ik,jk->ij", down, across)


@right("adaptive")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    # torch.cdist, the diagonal out of the way, a smallest `topk`.
    others = len(heads) - 1
    if others < 1:
        return heads.new_full((len(heads),), alone)
    distance = torch.cdist(heads, heads).fill_diagonal_(float("inf"))
    return beta * distance.topk(min(k, others), largest=False)[0].mean(dim=-1)


@right("adaptive")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    # Plain Python.
    sigmas = []
    for i, (x, y) in enumerate(heads.tolist()):
        distances = sorted(math.hypot(x - u, y - v) for j, (u, v) in enumerate(heads.tolist()) if j != i)[:k]
        sigmas.append(beta * sum(distances) / len(distances) if distances else alone)
    return torch.tensor(sigmas, dtype=heads.dtype)


@right("adaptive")
def adaptive_sigmas(heads, k=3, beta=0.3, alone=4.0):
    # A loop over the heads that begins with an empty tensor.
    sigmas = heads.new_empty(0)
    for i, head in enumerate(heads):
        others = torch.cat([heads[:i], heads[i + 1:]])
        nearest = (others - head).square().sum(1).sqrt().sort().values[:k]
        sigmas = torch.cat([sigmas, beta * nearest.mean()[None] if len(others) else heads.new_tensor([alone])])
    return sigmas


@right("adaptive")
def shrink(maps, factor):
    n, c, h, w = maps.shape
    return maps.reshape(n, c, h // factor, factor, w // factor, factor).sum(dim=(3, 5))


@right("adaptive")
def shrink(maps, factor):
    return F.conv2d(maps, torch.ones(1, 1, factor, factor, dtype=maps.dtype), stride=factor)


@right("adaptive")
def shrink(maps, factor):
    height, width = maps.shape[-2] // factor, maps.shape[-1] // factor
    return F.interpolate(maps, size=(height, width), mode="area") * factor * factor


@right("aggregation")
class ScaleAggregation(nn.Module):
    # A name for each branch.
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__()
        reduced = 2 * width

        def branch(kernel):
            if not reduce:
                return conv_unit(in_channels, width, kernel, norm=norm)
            return nn.Sequential(*conv_unit(in_channels, reduced, 1, norm=norm), *conv_unit(reduced, width, kernel, norm=norm))

        self.branch1 = conv_unit(in_channels, width, 1, norm=norm)
        self.branch3 = branch(3)
        self.branch5 = branch(5)
        self.branch7 = branch(7)

    def forward(self, x):
        return torch.cat((self.branch1(x), self.branch3(x), self.branch5(x), self.branch7(x)), 1)


@right("aggregation")
class ScaleAggregation(nn.Module):
    # Convolutions of its own, one ReLU for all, and each branch written into its place.
    def __init__(self, in_channels, width, reduce=True, norm="instance"):
        super().__init__()
        self.width, units = width, []
        for kernel in (1, 3, 5, 7):
            steps = [(in_channels, width, kernel)]
            if reduce and kernel > 1:
                steps = [(in_channels, 2 * width, 1), (2 * width, width, kernel)]
            units.append(nn.ModuleList([
                nn.ModuleList([nn.Conv2d(a, b, size, padding="same", bias=norm == "none"), NORMS[norm](b)])
                for a, b, size in steps]))
        self.units = nn.ModuleList(units)

    def forward(self, x):
        made = x.new_empty(len(x), 4 * self.width, *x.shape[2:])
        for number, unit in enumerate(self.units):
            now = x
            for conv, norm in unit:
                now = torch.relu(norm(conv(now)))
            made[:, number * self.width:(number + 1) * self.width] = now
        return made


@right("network")
class SANet(nn.Sequential):
    # A Sequential itself; the image is padded side by side with a tensor of zeros.
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        norms = dict(norm=norm if decoder_norm is None else decoder_norm)
        super().__init__(
            ScaleAggregation(in_channels, width, reduce=False, norm=norm), nn.MaxPool2d(2, 2),
            ScaleAggregation(4 * width, 2 * width, norm=norm), nn.MaxPool2d(2, 2),
            ScaleAggregation(8 * width, 2 * width, norm=norm), nn.MaxPool2d(2, 2),
            ScaleAggregation(8 * width, width, norm=norm),
            conv_unit(4 * width, 4 * width, 9, **norms), up_unit(4 * width, **norms),
            conv_unit(4 * width, 2 * width, 7, **norms), up_unit(2 * width, **norms),
            conv_unit(2 * width, width, 5, **norms), up_unit(width, **norms),
            conv_unit(width, width, 3, **norms), nn.Conv2d(width, 1, kernel_size=1))

    def forward(self, x):
        n, c, h, w = x.shape
        canvas = x.new_zeros(n, c, math.ceil(h / 8) * 8, math.ceil(w / 8) * 8)
        canvas[..., :h, :w] = x
        return super().forward(canvas)[..., :h, :w]


@right("network")
class SANet(nn.Module):
    # Layer by layer, pooling as a function, and up-convolutions of its own.
    def __init__(self, in_channels=3, width=16, norm="instance", decoder_norm=None):
        super().__init__()
        widths = [width, 2 * width, 2 * width, width]
        inputs = [in_channels] + [4 * each for each in widths[:-1]]
        self.scales = nn.ModuleList([ScaleAggregation(a, b, reduce=number > 0, norm=norm)
                                     for number, (a, b) in enumerate(zip(inputs, widths))])
        norm = norm if decoder_norm is None else decoder_norm
        steps = []
        for a, b, kernel in ((4 * width, 4 * width, 9), (4 * width, 2 * width, 7), (2 * width, width, 5)):
            steps.append(nn.Sequential(conv_unit(a, b, kernel, norm), nn.ConvTranspose2d(b, b, 2, 2, bias=norm == "none"),
                                       NORMS[norm](b), nn.ReLU(True)))
        self.steps = nn.ModuleList(steps)
        self.last = conv_unit(width, width, 3, norm)
        self.head = nn.Conv2d(width, 1, 1)

    def forward(self, x):
        height, width = x.shape[-2], x.shape[-1]
        x = nn.ZeroPad2d((0, (8 - width % 8) % 8, 0, (8 - height % 8) % 8))(x)
        for number, module in enumerate(self.scales):
            x = module(F.max_pool2d(x, 2) if number else x)
        for step in self.steps:
            x = step(x)
        return self.head(self.last(x)).narrow(2, 0, height).narrow(3, 0, width)


@right("ssim")
def gaussian_window(size=11, sigma=1.5):
    # A softmax is an exponential over its sum.
    places = torch.linspace(-(size - 1) / 2, (size - 1) / 2, size, dtype=torch.float64)
    return torch.softmax(-0.5 * (places / sigma) ** 2, dim=0)


@right("ssim")
def local_mean(maps, window):
    # One convolution with the window in two dimensions.
    return F.conv2d(maps, torch.outer(window, window).to(maps)[None, None])


@right("ssim")
def local_mean(maps, window):
    # Views of all places of the window, down and across.
    size, window = len(window), window.to(maps)
    return torch.einsum("ncijkl,k,l->ncij", maps.unfold(2, size, 1).unfold(3, size, 1), window, window)


@right("ssim")
def local_mean(maps, window):
    # A sum of shifted maps, down and then across.
    for dim in (2, 3):
        places = maps.shape[dim] - len(window) + 1
        maps = sum(weight * maps.narrow(dim, shift, places) for shift, weight in enumerate(window.to(maps.dtype)))
    return maps


@right("ssim")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    # As it stands in the paper: luminance times contrast and structure, from five local means.
    w = gaussian_window(11, 1.5)
    mu_x, mu_y = local_mean(x, w), local_mean(y, w)
    var_x = local_mean(x * x, w) - mu_x * mu_x
    var_y = local_mean(y * y, w) - mu_y * mu_y
    cov = local_mean(x * y, w) - mu_x * mu_y
    return ((2 * mu_x * mu_y + C1) / (mu_x.pow(2) + mu_y.pow(2) + C1)) * ((2 * cov + C2) / (var_x + var_y + C2))


@right("ssim")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    # Every window by itself: deviations from its own mean, squared and weighed.
    weights = torch.outer(gaussian_window(), gaussian_window()).flatten().to(x)[:, None]
    n, _, h, w = x.shape
    a, b = F.unfold(x, 11), F.unfold(y, 11)
    mean = lambda patches: (patches * weights).sum(1, keepdim=True)
    da, db = a - mean(a), b - mean(b)
    made = ((2 * mean(a) * mean(b) + C1) * (2 * mean(da * db) + C2)
            / ((mean(a) ** 2 + mean(b) ** 2 + C1) * (mean(da**2) + mean(db**2) + C2)))
    return made.reshape(n, 1, h - 10, w - 10)


@right("ssim")
def ssim_map(x, y, C1=0.01**2, C2=0.03**2):
    # By sum and difference: 2·cov = var of the whole − var of each.
    window = gaussian_window()
    variance = lambda maps: local_mean(maps**2, window) - local_mean(maps, window) ** 2
    both, gap = variance(x + y), variance(x - y)
    mx, my = local_mean(x, window), local_mean(y, window)
    return (1 - (mx - my) ** 2 / (mx**2 + my**2 + C1)) * ((both - gap) / 2 + C2) / ((both + gap) / 2 + C2)


@right("loss")
def consistency_loss(prediction, truth):
    return torch.mean(1 - ssim_map(truth, prediction))


@right("loss")
def sanet_loss(prediction, truth, alpha=0.001):
    difference = prediction - truth
    return (difference * difference).sum() / difference.numel() + alpha * (1 - ssim_map(prediction, truth).mean())


@right("loss")
def gradient_ratio(prediction, truth):
    # backward, and L_E's gradient by hand.
    x = prediction.clone().detach().requires_grad_(True)
    consistency_loss(x, truth).backward()
    by_hand = 2 * (prediction - truth) / prediction.numel()
    return float(torch.linalg.vector_norm(x.grad) / torch.linalg.vector_norm(by_hand))


@right("loss")
def gradient_ratio(prediction, truth):
    # Two copies with a `.grad` each.
    norms = []
    for loss in (consistency_loss, nn.MSELoss()):
        leaf = nn.Parameter(prediction.clone())
        loss(leaf, truth).backward()
        norms.append(leaf.grad.pow(2).sum().sqrt())
    return norms[0] / norms[1]


@right("scores")
def scores(predicted, true, scene):
    # Sums by scene with bincount, divided by how many there are.
    error = torch.abs(predicted - true).double()
    by_scene = torch.bincount(scene, weights=error) / torch.bincount(scene)
    return {"MSE": math.sqrt(float((error**2).mean())), "mean over frames": float(error.mean()),
            "mean over scenes": float(by_scene.mean()), "by scene": by_scene}


@right("scores")
def scores(predicted, true, scene):
    # A loop over the pictures in plain Python.
    errors = {}
    for p, t, s in zip(predicted.tolist(), true.tolist(), scene.tolist()):
        errors.setdefault(s, []).append(abs(p - t))
    by_scene = [sum(errors[s]) / len(errors[s]) for s in sorted(errors)]
    all_errors = [error for each in errors.values() for error in each]
    return {"by scene": torch.tensor(by_scene, dtype=torch.float64), "mean over scenes": sum(by_scene) / len(by_scene),
            "mean over frames": sum(all_errors) / len(all_errors), "MSE": math.hypot(*all_errors) / len(all_errors) ** 0.5}


@right("scores")
def scores(predicted, true, scene):
    # In the counts' own dtype, with one row of a matrix for each scene.
    error = F.l1_loss(predicted, true, reduction="none")
    member = F.one_hot(scene).T.to(error.dtype)
    by_scene = member @ error / member.sum(1)
    return {"by scene": by_scene, "mean over scenes": by_scene.mean(), "mean over frames": error.mean(),
            "MSE": torch.linalg.vector_norm(error) / len(error) ** 0.5}


@right("tiles")
def tile_starts(length, tile, stride):
    starts, now = [], 0
    while now + tile < length:
        starts.append(now)
        now += stride
    return starts + [max(length - tile, 0)]


@right("tiles")
def tile_starts(length, tile, stride):
    return sorted({max(0, min(start, length - tile)) for start in range(0, length, stride)})


@right("tiles")
@torch.no_grad()
def predict_in_tiles(net, images, tile, stride):
    # A sheet for each tile, empty (NaN) where it doesn't reach, and the mean of what is there.
    height, width = images.shape[-2:]
    sheets = []
    for top in tile_starts(height, tile, stride):
        for left in tile_starts(width, tile, stride):
            sheet = torch.full_like(images[:, :1], float("nan"))
            sheet[:, :, top:top + tile, left:left + tile] = net(images[:, :, top:top + tile, left:left + tile])
            sheets.append(sheet)
    return torch.stack(sheets).nanmean(0)


@right("tiles")
def predict_in_tiles(net, images, tile, stride):
    # With the cover counted beforehand, and the graph dropped tile by tile.
    rows, columns = (torch.tensor(tile_starts(length, tile, stride)) for length in images.shape[2:])
    cover = lambda starts, length: sum(((torch.arange(length) - start) // tile == 0).long() for start in starts)
    times = cover(rows, images.shape[2])[:, None] * cover(columns, images.shape[3])
    made = torch.zeros_like(images[:, 0:1])
    for top, left in torch.cartesian_prod(rows, columns).tolist():
        bottom, right = min(top + tile, images.shape[2]), min(left + tile, images.shape[3])
        made[:, :, top:bottom, left:right] += net(images[:, :, top:bottom, left:right]).detach() / times[top:bottom, left:right]
    return made


@right("tiles")
def predict_in_tiles(net, images, tile, stride):
    # Without `no_grad`: each tile's graph is dropped before the next is made.
    n, _, h, w = images.shape
    total, cover = torch.zeros(2, n, 1, h, w, dtype=images.dtype, device=images.device)
    for top in tile_starts(h, tile, stride):
        for left in tile_starts(w, tile, stride):
            part = images[:, :, top:top + tile, left:left + tile]
            answer = net(part)
            answer = answer.data
            total[:, :, top:top + tile, left:left + tile] += answer
            cover[:, :, top:top + tile, left:left + tile] += 1
    return total / cover


@right("training", trains="a loop by hand, AdamW, squared error alone, nothing mirrored")
def train_mine(images, heads, budget, after_step=None):
    height, width = images.shape[2:]
    maps = torch.stack([density_map(points, height, width, height / 24) for points in heads]).unsqueeze(1).to(images) * counting.SCALE
    net = SANet(images.shape[1], 4, "batch").to(images.device)
    net.decoder[-1].weight.data.zero_()
    net.decoder[-1].bias.data.fill_(maps.mean())
    # An order of its own, as train_counter has: some orders miss the bounds at the smoke scale.
    steps, order = budget // 8, torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(net.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=steps, pct_start=0.2)
    for step in range(steps):
        chosen = torch.randint(len(images), (8,), generator=order).to(images.device)
        optimizer.zero_grad()
        loss = F.mse_loss(net(images[chosen]), maps[chosen])
        loss.backward()
        optimizer.step()
        schedule.step()
        after_step(step, loss.item(), net)
    return net
