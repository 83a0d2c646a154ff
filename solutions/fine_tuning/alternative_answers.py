"""Right answers to `fine_tuning` in another style than the reference: each check must pass them."""

import copy
import math
import statistics

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import pretrained, tuning


# --- probing ---

@right("probing")
def features_of(body, images, batch=256):
    # A copy is put into eval mode; the body itself is never touched.
    copied = copy.deepcopy(body).eval()
    with torch.no_grad():
        joined = torch.cat([copied(images[at:at + batch]) for at in range(0, len(images), batch)])
    return joined.flatten(2).mean(2) if joined.dim() > 2 else joined


@right("probing")
@torch.no_grad()
def features_of(body, images, batch=256):
    # Only what is in train mode is changed, and changed back, also after an error.
    training = [module for module in body.modules() if module.training]
    try:
        for module in training:
            module.training = False
        return torch.cat([F.adaptive_avg_pool2d(x, 1).flatten(1) if x.ndim == 4 else x for x in map(body, images.split(batch))])
    finally:
        for module in training:
            module.training = True


@right("probing")
def features_of(body, images, batch=256):
    # Parts of equal size, none larger than a batch.
    modes = {module: module.training for module in body.modules()}
    body.eval()
    with torch.no_grad():
        maps = [body(part) for part in images.tensor_split(math.ceil(len(images) / batch))]
    for module in modes:
        module.training = modes[module]
    return torch.cat([x.mean((-2, -1)) if x.ndim == 4 else x for x in maps])


@right("probing")
def linear_probe(features, labels, classes, decay=1e-2):
    # Newton's method on all (d + 1)·classes numbers, with a step that is halved until the objective falls.
    x = torch.cat([features.detach().double(), torch.ones(len(features), 1, dtype=torch.float64)], dim=1)
    n, d = x.shape
    mask = torch.ones(classes, d, dtype=torch.float64)
    mask[:, -1] = 0
    w = torch.zeros(classes, d, dtype=torch.float64)
    target = F.one_hot(labels, classes).double()
    objective = lambda w: F.cross_entropy(x @ w.T, labels) + decay / 2 * (mask * w).square().sum()
    for _ in range(100):
        p = (x @ w.T).softmax(1)
        gradient = (p - target).T @ x / n + decay * mask * w
        if gradient.abs().max() < 1e-10:
            break
        blocks = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
        hessian = torch.einsum("nab,ni,nj->aibj", blocks, x, x).reshape(classes * d, -1) / n + torch.diag(decay * mask.flatten() + 1e-10)
        direction, size = torch.linalg.solve(hessian, gradient.flatten()).reshape(classes, d), 1.0
        while objective(w - size * direction) > objective(w) and size > 1e-6:
            size /= 2
        w = w - size * direction
    return w[:, :-1].to(features.dtype), w[:, -1].to(features.dtype)


@right("probing")
def linear_probe(features, labels, classes, decay=1e-2):
    # A linear layer, from a random start, the bias centred: another of the equal optima.
    layer = nn.Linear(features.shape[1], classes, dtype=torch.float64)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=3000, history_size=50, tolerance_grad=1e-10, tolerance_change=0,
                                  line_search_fn="strong_wolfe")

    def closure():
        layer.zero_grad()
        loss = F.cross_entropy(layer(features.double()), labels) + 0.5 * decay * (layer.weight ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    bias = layer.bias.detach()
    return [layer.weight.detach().to(features), (bias - bias.mean()).to(features)]


# --- freezing ---

@right("freezing")
def freeze(module):
    # Through torch's own methods.
    module.zero_grad(set_to_none=True)
    module.requires_grad_(False)


@right("freezing")
def unfreeze(module):
    for _, parameter in module.named_parameters():
        parameter.requires_grad = True


@right("freezing")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    # In groups, one for each module.
    groups = [{"params": [p for p in module.parameters(recurse=False) if p.requires_grad]} for module in net.modules()]
    return torch.optim.SGD([group for group in groups if group["params"]], lr=rate, momentum=momentum, weight_decay=weight_decay)


# --- frozen_norms ---

def _as_buffers(norm):
    for name in ("weight", "bias"):
        value = getattr(norm, name).detach().clone()
        delattr(norm, name)
        norm.register_buffer(name, value)


@right("frozen_norms")
def freeze_norms(net):
    # The layer itself, unable to go to train mode: a subclass takes the place of its class.
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            kind = type(module)
            module.__class__ = type("Frozen" + kind.__name__, (kind,), {"train": lambda self, mode=True: nn.Module.train(self, False)})
            module.eval()
            _as_buffers(module)
    return net


@right("frozen_norms")
def freeze_norms(net):
    # Recursive, with the affine map written out.
    class Affine(nn.Module):
        def __init__(self, norm):
            super().__init__()
            for name, value in norm.state_dict().items():
                self.register_buffer(name, value.clone())
            self.eps = norm.eps

        def forward(self, x):
            scale = self.weight * torch.rsqrt(self.running_var + self.eps)
            shape = (1, -1) + (1,) * (x.dim() - 2)
            return x * scale.view(shape) + (self.bias - self.running_mean * scale).view(shape)

    for name, child in net.named_children():
        if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
            net.add_module(name, Affine(child))
        else:
            freeze_norms(child)
    return net


@right("frozen_norms")
def freeze_norms(net):
    # The layer stays, and its train() does nothing.
    for module in net.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
            module.train = lambda mode=True, norm=module: norm
            _as_buffers(module)
    return net


# --- discriminative ---

@right("discriminative")
def layer_rates(stages, rate, factor=2.6):
    # From the input on, with the power that is left.
    return [dict(params=[p for p in stage.parameters() if p.requires_grad], lr=rate * factor ** (number + 1 - len(stages)))
            for number, stage in enumerate(stages)]


@right("discriminative")
def layer_rates(stages, rate, factor=2.6):
    # A running rate; stages with nothing to train give no group.
    groups = []
    for stage in stages[::-1]:
        params = list(filter(lambda p: p.requires_grad, stage.parameters()))
        if params:
            groups.insert(0, {"params": params, "lr": rate})
        rate /= factor
    return groups


@right("discriminative")
def layer_rates(stages, rate, factor=2.6):
    # A group for each parameter.
    return [{"params": [p], "lr": rate / math.pow(factor, len(stages) - 1 - depth)}
            for depth, stage in enumerate(stages) for p in stage.parameters() if p.requires_grad]


# --- gradual ---

@right("gradual")
def stages_open(step, every, count):
    return sum(step >= every * number for number in range(count))


@right("gradual")
def open_stages(stages, opened):
    # All closed first, then the last ones opened.
    for stage in stages:
        freeze(stage)
        stage.eval()
    for stage in stages[len(stages) - opened:]:
        unfreeze(stage)
        stage.train()


@right("gradual")
def open_stages(stages, opened):
    # By parameter, without the other exercise.
    for distance, stage in enumerate(reversed(stages)):
        stage.train(distance < opened)
        for parameter in stage.parameters():
            parameter.requires_grad = distance < opened
            if distance >= opened:
                parameter.grad = None


# --- chooser ---

@right("chooser")
def choose(runs, per_class, likeness, budget):
    # With arrays: a row for each strategy, a column for each seed.
    sizes = np.array(sorted({run["per_class"] for run in runs if run["likeness"] == likeness}))
    size = sizes[np.argmin(np.abs(np.log(sizes) - np.log(per_class)))]
    here = [run for run in runs if run["likeness"] == likeness and run["per_class"] == size]
    names, seeds = sorted({run["strategy"] for run in here}), sorted({run["seed"] for run in here})
    share, cost = np.zeros((len(names), len(seeds))), np.zeros((len(names), len(seeds)))
    for run in here:
        place = names.index(run["strategy"]), seeds.index(run["seed"])
        share[place], cost[place] = run["accuracy"], run["seconds"]
    cost = np.median(cost, axis=1)
    means = np.where(cost <= budget, share.mean(1), -np.inf)
    apart = share[means.argmax()] - share
    equal = apart.mean(1) <= 2 * apart.std(1, ddof=1) / np.sqrt(len(seeds))
    return names[int(np.argmin(np.where(equal & (cost <= budget), cost, np.inf)))]


@right("chooser")
def choose(runs, per_class, likeness, budget):
    # From the cheapest on: the first that isn't worse than some better one by two standard errors of the best.
    sizes = {run["per_class"] for run in runs if run["likeness"] == likeness}
    size = sorted(sizes, key=lambda n: max(n / per_class, per_class / n))[0]
    table = {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        if run["likeness"] == likeness and run["per_class"] == size:
            table.setdefault(run["strategy"], []).append((run["accuracy"], run["seconds"]))
    cost = {name: statistics.median(s for _, s in rows) for name, rows in table.items()}
    left = sorted((name for name in table if cost[name] <= budget), key=cost.get)
    best = max(left, key=lambda name: sum(a for a, _ in table[name]))
    for name in left:
        d = [a - b for (a, _), (b, _) in zip(table[best], table[name])]
        mean = sum(d) / len(d)
        if mean <= 2 * math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d)):
            return name


@right("chooser")
def choose(runs, per_class, likeness, budget):
    # Filtering step by step; the spread as a tensor's.
    from collections import defaultdict
    here = [run for run in runs if run["likeness"] == likeness]
    ratio = lambda run: abs(math.log2(run["per_class"] / per_class))
    closest = min(map(ratio, here))
    by_name = defaultdict(list)
    for run in here:
        if ratio(run) == closest:
            by_name[run["strategy"]].append((run["seed"], run["accuracy"], run["seconds"]))
    rows = {name: torch.tensor(sorted(each), dtype=torch.float64) for name, each in by_name.items()}
    cost = {name: row[:, 2].quantile(0.5).item() for name, row in rows.items()}
    rows = {name: row[:, 1] for name, row in rows.items() if cost[name] <= budget}
    best = max(rows.values(), key=lambda row: row.mean().item())
    equal = [name for name, row in rows.items() if (best - row).mean() <= 2 * (best - row).std() / len(row) ** 0.5]
    return sorted(equal, key=cost.get)[0]


# --- accumulation ---

@right("accumulation")
def accumulated_step(net, optimizer, parts):
    # Sums, and the gradients divided at the end.
    optimizer.zero_grad()
    n, value = 0, 0.0
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels, reduction="sum")
        loss.backward()
        n, value = n + len(labels), value + loss.item()
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if parameter.grad is not None:
                parameter.grad /= n
    optimizer.step()
    return value / n


@right("accumulation")
def accumulated_step(net, optimizer, parts):
    # The mean is summed as a tensor, whose graph has given up what it kept, and becomes a float at the end.
    counts = torch.tensor([len(labels) for _, labels in parts], dtype=torch.float64)
    net.zero_grad()
    mean = 0
    for share, (images, labels) in zip(counts / counts.sum(), parts):
        loss = F.cross_entropy(net(images), labels) * share
        loss.backward()
        mean = mean + loss
    optimizer.step()
    return mean.item()


@right("accumulation")
def accumulated_step(net, optimizer, parts):
    # The gradients of each part, taken by themselves and averaged by hand.
    parameters = [p for p in net.parameters() if p.requires_grad]
    total, value = sum(y.shape[0] for _, y in parts), 0.0
    sums = [torch.zeros_like(p) for p in parameters]
    for x, y in parts:
        loss = F.cross_entropy(net(x), y)
        for one, gradient in zip(sums, torch.autograd.grad(loss, parameters)):
            one += gradient * (y.shape[0] / total)
        value += float(loss) * y.shape[0] / total
    for p, gradient in zip(parameters, sums):
        p.grad = gradient
    optimizer.step()
    return value


# --- training ---

@right("training", trains="rates by depth")
def fine_tune(source, images, labels, classes, after_step=None):
    net = pretrained.with_new_head(source, classes)
    optimizer = torch.optim.SGD(layer_rates(list(net), 0.1), 0.1, momentum=0.9, weight_decay=5e-4)
    tuning.train(net, images, labels, optimizer, 150, after_step=after_step)
    return net


@right("training", trains="the upper half, norms frozen")
def fine_tune(source, images, labels, classes, after_step=None):
    net = freeze_norms(pretrained.with_new_head(source, classes))
    stages = list(net)
    open_stages(stages, 3)
    tuning.train(net, images, labels, make_optimizer(net, 0.03), 150, before_step=lambda step: open_stages(stages, 3), after_step=after_step)
    return net


@right("training", trains="the probe alone")
def fine_tune(source, images, labels, classes, after_step=None):
    net = pretrained.with_new_head(source, classes)
    weight, bias = linear_probe(features_of(nn.Sequential(*net[:-1], nn.AdaptiveAvgPool2d(1), nn.Flatten()), images), labels, classes)
    net.head[-1].load_state_dict({"weight": weight, "bias": bias})
    return net
