"""Right answers to `gan_training` in another style than the reference: each check must pass them.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


# --- 1: a DCGAN ---

@right("dcgan")
class Generator(nn.Module):
    """Layers by name, functions in between."""

    def __init__(self, noise, width):
        super().__init__()
        self.project = nn.Linear(noise, 2 * width * 7 * 7, bias=False)
        self.norm1 = nn.BatchNorm2d(2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, kernel_size=4, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.up2 = nn.ConvTranspose2d(width, 1, kernel_size=4, stride=2, padding=1)

    def forward(self, z):
        x = self.project(z).view(len(z), -1, 7, 7)
        x = F.relu(self.norm1(x))
        x = F.relu(self.norm2(self.up1(x)))
        return torch.tanh(self.up2(x))


@right("dcgan")
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(1, width, 4, stride=2, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(2 * width)
        self.last = nn.Linear(2 * width * 49, 1)

    def features(self, x):
        x = F.leaky_relu(self.first(x), 0.2)
        x = self.norm(self.second(x))
        return torch.maximum(x, 0.2 * x).flatten(1)

    def forward(self, x):
        return self.last(self.features(x))


@right("dcgan")
def initialise(net):
    def begin(module):
        kind = type(module).__name__
        if kind.startswith("Conv") or kind == "Linear":
            module.weight.data.normal_(0.0, 0.02)
        elif kind.startswith("BatchNorm"):
            module.weight.data.normal_(1.0, 0.02)
        else:
            return
        if module.bias is not None:
            module.bias.data.zero_()
    return net.apply(begin)


@right("dcgan")
@torch.no_grad()
def initialise(net):
    for name, value in net.named_parameters():
        layer, _, kind = name.rpartition(".")
        if not isinstance(net.get_submodule(layer), (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)):
            continue
        if kind == "bias":
            value.copy_(torch.zeros_like(value))
        else:
            value.copy_(0.02 * torch.randn(value.shape) + (1 if value.ndim == 1 else 0))
    return net


@right("training")
def non_saturating(on_real, on_fake):
    one, zero = torch.ones_like, torch.zeros_like
    bce = F.binary_cross_entropy_with_logits
    return bce(on_real, one(on_real)) + bce(on_fake, zero(on_fake)), bce(on_fake, one(on_fake))


@right("training", trains="fakes made again for G's step")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    # The fakes made twice, by the same noise, rather than kept with their graph.
    opt_D.zero_grad()
    with torch.no_grad():
        fake = G(z)
    loss_D = objective(D(real), D(fake))[0]
    if penalty:
        loss_D = loss_D + penalty(D, real, fake)
    loss_D.backward()
    opt_D.step()
    opt_G.zero_grad(set_to_none=False)
    loss_G = objective(D(real).detach(), D(G(z)))[1]
    loss_G.backward()
    opt_G.step()
    return float(loss_D), float(loss_G)


# --- 3: when to stop ---


@right("monitor")
def diagnose(history):
    for series in history.values():
        if not math.isfinite(float(torch.as_tensor(series).double().sum())):
            return "dead"
    score = [float(value) for value in history["score"]]
    size = len(score) // 4
    before, last = score[len(score) - 2 * size:len(score) - size], score[len(score) - size:]
    mean = lambda values: sum(values) / len(values)
    variance = lambda values: sum((value - mean(values)) ** 2 for value in values) / (len(values) - 1)
    error = math.sqrt(variance(before) / size + variance(last) / size)
    losses = [float(value) for value in history["loss_D"]]
    verdict = "slow"
    if mean(losses[-(len(losses) // 5):]) < 0.05:
        verdict = "dead"
    if mean(before) - mean(last) > 2 * error:
        verdict = "running"
    return verdict


# --- 4: labels ---

@right("smoothing")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    bce = F.binary_cross_entropy_with_logits
    return (bce(real_logits, torch.full_like(real_logits, real_target))
            + bce(fake_logits, torch.full_like(fake_logits, fake_target)))


@right("smoothing")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    earned = lambda a, t: t * F.logsigmoid(a) + (1 - t) * F.logsigmoid(-a)
    return -earned(real_logits, real_target).mean() - earned(fake_logits, fake_target).mean()


@right("smoothing")
def flipped_optimum(p, q, e):
    best = e + (1 - 2 * e) * p / (p + q)
    return torch.nan_to_num(best, nan=0.5)


@right("smoothing")
def flip_noise(real_logits, fake_logits, flipped):
    weights = torch.cat([real_logits / len(real_logits), fake_logits / len(fake_logits)])
    return torch.linalg.vector_norm(weights) * math.sqrt(flipped * (1 - flipped))


@right("conditional")
class ClassGenerator(nn.Module):
    """A table of numbers in the place of the embedding, and a net of its own."""

    def __init__(self, noise, width, classes):
        super().__init__()
        self.table = nn.Parameter(torch.randn(classes, noise))
        self.net = Generator(noise + noise, width)

    def forward(self, z, labels):
        return self.net(torch.hstack([z, self.table[labels]]))


@right("conditional")
class ClassDiscriminator(nn.Module):
    """Not derived, and the inner product by bmm."""

    def __init__(self, width, classes):
        super().__init__()
        self.inner = Discriminator(width)
        self.rows = nn.Embedding(classes, 2 * width * 49, _weight=torch.zeros(classes, 2 * width * 49))

    def forward(self, x, labels):
        phi = self.inner.features(x)
        return self.inner.judge(phi) + torch.bmm(self.rows(labels)[:, None], phi[:, :, None])[:, 0]


@right("conditional")
class ClassDiscriminator(Discriminator):
    """Zeros that are given, and not frozen."""

    def __init__(self, width, classes):
        super().__init__(width)
        self.rows = nn.Embedding.from_pretrained(torch.zeros(classes, 98 * width), freeze=False)

    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + torch.einsum("nd,nd->n", seen, self.rows(labels)).unsqueeze(1)


@right("conditional")
class ClassDiscriminator(Discriminator):
    """A weight for each class on top of the one that all share."""

    def __init__(self, width, classes):
        super().__init__(width)
        self.own = nn.Embedding(classes, 98 * width)
        self.own.weight.data.zero_()

    def forward(self, x, labels):
        phi = self.features(x)
        return ((self.judge.weight + self.own(labels)) * phi).sum(1, keepdim=True) + self.judge.bias


@right("conditional")
class ClassDiscriminator(Discriminator):
    """A table of zeros in the place of the embedding."""

    def __init__(self, width, classes):
        super().__init__(width)
        self.table = nn.Parameter(torch.zeros(classes, 98 * width))

    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + (self.table[labels] * seen).sum(1, keepdim=True)


# --- 5: other objectives ---


@right("objectives")
def least_squares(real_logits, fake_logits):
    ones, zeros = torch.ones_like(real_logits), torch.zeros_like(fake_logits)
    loss_D = 0.5 * (F.mse_loss(real_logits, ones) + F.mse_loss(fake_logits, zeros))
    return loss_D, 0.5 * F.mse_loss(fake_logits, torch.ones_like(fake_logits))


@right("objectives")
def wasserstein(real_logits, fake_logits):
    return -(real_logits.mean() - fake_logits.mean()), fake_logits.mean().neg()


@right("objectives")
def relativistic(real_logits, fake_logits):
    return -F.logsigmoid(real_logits - fake_logits).mean(), F.binary_cross_entropy_with_logits(fake_logits - real_logits, torch.ones_like(real_logits))


@right("objectives")
def clip_(net, c):
    for parameter in net.parameters():
        parameter.data = parameter.data.clamp(min=-c).clamp(max=c)


@right("objectives")
@torch.no_grad()
def clip_(net, c):
    for parameter in net.parameters():
        parameter.copy_(torch.minimum(torch.maximum(parameter, torch.tensor(-c).to(parameter)), torch.tensor(c).to(parameter)))


@right("penalties")
def gradient_penalty(D, real, fake, share, target=1.0):
    mixed = torch.stack([torch.lerp(f, r, s) for r, f, s in zip(real, fake, share)]).requires_grad_()
    logits = D(mixed)
    slope, = torch.autograd.grad(logits, mixed, grad_outputs=torch.ones_like(logits), create_graph=True, retain_graph=True)
    lengths = torch.stack([one.square().sum().sqrt() for one in slope])
    return (lengths - target).pow(2).mean()


@right("penalties")
def r1(D, x):
    x = x.clone().requires_grad_()
    slope, = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return 0.5 * slope.pow(2).sum() / len(x)


@right("spectral_norm")
def spectral_norm(weight, u, iterations=1):
    rows = weight.reshape(weight.shape[0], -1)
    fixed = rows.detach()
    for _ in range(iterations):
        v = fixed.t().mv(u)
        v = v / v.norm()
        u = fixed.mv(v)
        u = u / u.norm()
    return weight / torch.dot(u, rows.mv(v)), u


@right("spectral_norm")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("direction", u.detach().clone())

    def forward(self, weight):
        result = spectral_norm(weight, self.direction)
        if self.training:
            self.direction = result[1]
        return result[0]


# --- 6: mode collapse ---


@right("packing")
def pack(x, m):
    if len(x) % m != 0:
        raise ValueError("packs would be incomplete")
    return torch.cat([x[start::m] for start in range(m)], dim=1)


@right("packing")
def packed_distance(p, q, m):
    import itertools
    product = lambda distribution, modes: math.prod(distribution[mode].item() for mode in modes)
    return sum(abs(product(p, modes) - product(q, modes)) for modes in itertools.product(range(len(p)), repeat=m)) / 2


@right("frechet")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    # The eigenvalues of the product itself, which are real, whatever rounding says.
    eigenvalues = torch.linalg.eigvals(cov_a @ cov_b).real.clamp(min=0)
    return torch.dist(mean_a, mean_b) ** 2 + torch.trace(cov_a + cov_b) - 2 * eigenvalues.sqrt().sum()


@right("frechet")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    # tr (AᵀA)^½ is the sum of A's singular values: A = Σ_b^½ Σ_a^½.
    def root(cov):
        u, s, _ = torch.linalg.svd(cov)
        return u @ torch.diag(s.sqrt()) @ u.T

    between = mean_a - mean_b
    return between @ between + cov_a.diag().sum() + cov_b.diag().sum() - 2 * torch.linalg.matrix_norm(root(cov_b) @ root(cov_a), "nuc")
