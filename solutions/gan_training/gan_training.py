# ---
# jupyter:
#   course:
#     title: Making GANs train
#     minutes: 200
#     builds_on: [gan_math]
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Making GANs train

# %% tags=["setup"]
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import current_scale, gan, start

check = start("gan_training")
scale = current_scale()

# %% [markdown]
# ### Commit yourself first

# %% [markdown]
# ## 1 · A DCGAN by hand

# %% solution="dcgan_nets"
class Generator(nn.Module):
    """Noise (n, noise) → images (n, 1, 28, 28) in (−1, 1).

    Linear to 2·width channels of 7×7, then two transposed convolutions, to width channels of 14×14 and to the image.
    """

    def __init__(self, noise, width):
        super().__init__()
        ### BEGIN SOLUTION
        self.paint = nn.Sequential(
            nn.Linear(noise, 2 * width * 49, bias=False), nn.Unflatten(1, (2 * width, 7, 7)),
            nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.ConvTranspose2d(width, 1, 4, 2, 1), nn.Tanh())
        ### END SOLUTION

    def forward(self, z):
        ### BEGIN SOLUTION
        return self.paint(z)
        ### END SOLUTION


class Discriminator(nn.Module):
    """Images (n, 1, 28, 28) → logits (n, 1).

    Two strided convolutions, to width channels of 14×14 and 2·width of 7×7, then a linear layer.
    """

    def __init__(self, width):
        super().__init__()
        ### BEGIN SOLUTION
        self.look = nn.Sequential(
            nn.Conv2d(1, width, 4, 2, 1), nn.LeakyReLU(0.2),
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width), nn.LeakyReLU(0.2),
            nn.Flatten())
        self.judge = nn.Linear(2 * width * 49, 1)
        ### END SOLUTION

    def features(self, x):
        """What the linear layer is given, (n, 98·width)."""
        ### BEGIN SOLUTION
        return self.look(x)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.judge(self.features(x))
        ### END SOLUTION


def initialise(net):
    """Give the net's weights a fresh beginning, as DCGAN does, and give the net back."""
    ### BEGIN SOLUTION
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1.0, 0.02)
        if hasattr(module, "bias") and module.bias is not None:
            nn.init.zeros_(module.bias)
    return net
    ### END SOLUTION

# %% check="dcgan"
check("dcgan")

# %% solution="round"
def non_saturating(real_logits, fake_logits):
    """The losses of both players (Goodfellow et al. 2014), from logits of any shape. Returns (loss of D, loss of G)."""
    ### BEGIN SOLUTION
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean(), F.softplus(-fake_logits).mean()
    ### END SOLUTION


def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    """One step of D, then one of G, on the same batches.

    D, G: functions of one batch. real, z: a batch of images and one of noise.
    objective: (real logits, fake logits) → (loss of D, loss of G).
    penalty: (D, real, fake) → a number that D's loss has on top, or None.
    Returns both losses as floats, that of D with the penalty.
    """
    ### BEGIN SOLUTION
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()

    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()
    ### END SOLUTION

# %% check="training"
check("training")

# %% [markdown]
# ## 2 · More filters, sharper pictures?

# %% [markdown]
# ## 3 · When to stop
#
# The losses have been flat for an hour. Stop?
#
# With a classifier, yes: a flat loss means that nothing more is learned. A GAN's losses are a score in a game. When both players get better at the same pace, the score stands still. So what *does* the loss of $D$ say? Write $L_D = -V(D, G)$, as in section 1. No $D$ scores more than the best one, and what the best one scores was proved in `gan_math`:
#
# $$ -L_D = V(D, G) \;\le\; \max_D V(D, G) = -\log 4 + 2\,\mathrm{JSD}(p_\text{data}\,\|\,p_g) \quad\Longrightarrow\quad \boxed{\;\mathrm{JSD} \;\ge\; \log 2 - \tfrac12 L_D\;} $$
#
# A bound, and from one side only. It says:
#
# * **$L_D$ near 0**: then the divergence is near $\log 2$, the largest that there is. Somebody has proved that the fakes hardly overlap with the data. That is bad news, and you can rely on it.
# * **$L_D$ at $\log 4 \approx 1.386$**: then $\mathrm{JSD} \ge 0$. That was known before. The fakes may be perfect, or $D$ may be blind.
# * **$L_D$ flat in between**: the divergence is at least some number, and $D$ may be far from the best. Nothing follows about whether $G$ gets better.
#
# Try the bound on two densities whose divergence we can compute, with discriminators of which only one is the best: the logit is $t$ times the best one.

# %%
x = torch.linspace(-15, 15, 6001, dtype=torch.float64)
dx = x[1] - x[0]
print("distance   " + "".join(f"bound, t = {t:<8}" for t in (0.25, 0.5, 1, 2)) + "JSD")
for distance in (0.0, 1.0, 2.0, 4.0, 8.0):
    log_p, log_q = (torch.distributions.Normal(mean, 1.0).log_prob(x) for mean in (0.0, distance))
    p, q, best = log_p.exp(), log_q.exp(), log_p - log_q
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)
    divergence = ((p * (log_p - log_m) + q * (log_q - log_m)).sum() * dx / 2).item()
    losses = [((p * F.softplus(-t * best) + q * F.softplus(t * best)).sum() * dx).item() for t in (0.25, 0.5, 1, 2)]
    print(f"{distance:8}   " + "".join(f"{math.log(2) - loss / 2:<19.4f}" for loss in losses) + f"{divergence:.4f}")

# %% [markdown]
# At $t = 1$ the bound is the divergence itself; everywhere else it is less, and may even be negative.
#
# And when $L_D$ *is* near 0, is the run dead? Not always. The generator's gradient comes by the chain rule in three factors: how the loss depends on the logit, the logit on the point, the point on the weights. With the non-saturating loss the first is $\sigma(a) - 1 \approx -1$: full force. If $D$ still slopes towards the data, and $G$ can go there, then it goes. So ask somebody else: a **score** that measures the samples themselves, smaller is better. For images that is a Fréchet distance, for points something simpler, the **energy distance** $2\,\mathbb{E}\lVert x-y\rVert - \mathbb{E}\lVert x-x'\rVert - \mathbb{E}\lVert y-y'\rVert$ between data $x$ and samples $y$ (it is 0 only between equal distributions; Székely & Rizzo 2013).
#
# A score is computed from samples, so it wobbles. Has it *fallen*, or was that luck? Take the last quarter of the scores and the quarter before, $n$ numbers each. The mean of $n$ independent numbers of variance $s^2$ has the variance $s^2/n$, and the variances of a difference add up. So the difference of the two means has the **standard error**
#
# $$ \mathrm{SE} = \sqrt{\frac{s_\text{before}^2}{n} + \frac{s_\text{last}^2}{n}}, \qquad\text{and we believe in progress when}\quad \bar s_\text{before} - \bar s_\text{last} > 2\,\mathrm{SE} . $$
#
# Whatever the unit of the scores, both sides have it. (Scores that follow each other aren't quite independent, so the true error is larger. It is a rule of thumb, and better than an eye that wants the run to be going well.)
#
# ### Exercise · A monitor  *(medium, 15 minutes)*
#
# From the history alone, say one of three things, in this order:
#
# 1. `"dead"` when any number in the history is NaN or infinite;
# 2. `"running"` when the scores fall: the rule above, on the last quarter and the quarter before, of `len(score) // 4` scores each;
# 3. `"dead"` when $D$ has won: the mean of its loss over the last fifth of the steps, `len(loss_D) // 5`, is below 0.05 (then the JSD is within 0.025 of its ceiling);
# 4. `"slow"` else. Alive, and no progress that could be told from noise: no reason to stop by itself.
#
# <details><summary>Hint 1</summary>
#
# Everything is compared with means of pieces from the end: `score[-2 * quarter:-quarter]` and `score[-quarter:]`. `tensor.var()` divides by n − 1, as it should.
# </details>
# <details><summary>Hint 2</summary>
#
# A comparison with NaN is always False, so a NaN slips through every `<`. `tensor.isfinite().all()` asks for it.
# </details>

# %% solution="monitor"
def diagnose(history):
    """What a run is: "running", "slow" or "dead".

    history: {"loss_D", "loss_G", "score"}, a tensor (n,) of each player's loss by step, and one (k,), k ≥ 8, of distances
    from the data, smaller is better, in whatever unit.
    """
    ### BEGIN SOLUTION
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"
    ### END SOLUTION

# %% check="monitor"
check("monitor")

# %% [markdown]
# Now on runs that really happened. Each is a GAN on the ring of eight Gaussians from `gan_math`, recorded beforehand. Your monitor sees the left of the dotted line; then the run went on as long again. Look at the losses first, and decide for yourself which you would have stopped.

# %%
from course_lib.gan_recipes import recorded_histories

runs = recorded_histories()
figure, axes = plt.subplots(2, len(runs), figsize=(13, 4.4), sharex="col")
for (loss_axes, score_axes), run in zip(axes.T, runs):
    steps = torch.linspace(0, run["rounds"], len(run["loss_D"]))
    loss_axes.plot(steps, run["loss_D"], color=BLUE, label="D's loss")
    loss_axes.plot(steps, run["loss_G"], color=ORANGE, linestyle="--", label="G's loss")
    score_axes.plot(torch.linspace(0, run["rounds"], len(run["score"])), run["score"], color=BLACK, label="score")
    score_axes.axvline(run["rounds"], color=BLACK, linestyle=":")
    later = run["score when it went on"]
    score_axes.plot(torch.linspace(run["rounds"], 2 * run["rounds"], len(later)), later, color=GREEN, label="how it went on")
    loss_axes.set_title(run["told"], fontsize=9)
    score_axes.set(xlabel="round", yscale="log")
for each in axes[:, 0]:
    each.legend(fontsize=8)
plt.show()
for run in runs:
    seen = {name: torch.tensor(run[name], dtype=torch.float64) for name in ("loss_D", "loss_G", "score")}
    print(f"{run['told']:>45}: {diagnose(seen):>7}; score {seen['score'][-8:].mean():.3f}, in the end "
          f"{sum(run['score when it went on'][-2:]) / 2:.3f}, with {run['modes in the end']} of 8 modes")

# %% [markdown]
# ## 4 · Labels

# %% solution="smoothing"
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    """D's loss against smoothed targets.

    real_logits (n,), fake_logits (m,): D's logits. real_target r, fake_target s: what D is taught to say of real images and of fakes.
    Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    cost = lambda logits, target: (F.softplus(logits) - target * logits).mean()
    return cost(real_logits, real_target) + cost(fake_logits, fake_target)
    ### END SOLUTION


def flipped_optimum(p_data, p_g, flipped):
    """The best D when each label, of real and of fake, is flipped with the probability `flipped`.

    p_data, p_g: densities at the same points. Returns a tensor of their shape, ½ where both are 0.
    """
    ### BEGIN SOLUTION
    total = p_data + p_g
    return torch.where(total > 0, ((1 - flipped) * p_data + flipped * p_g) / torch.where(total > 0, total, 1), 0.5)
    ### END SOLUTION


def flip_noise(real_logits, fake_logits, flipped):
    """The standard deviation of D's loss over the flips of a batch's labels, each by itself with the probability `flipped`.

    real_logits (n,), fake_logits (m,). Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    part = lambda logits: logits.square().mean() / len(logits)
    return (flipped * (1 - flipped) * (part(real_logits) + part(fake_logits))).sqrt()
    ### END SOLUTION

# %% check="smoothing"
check("smoothing")

# %% solution="conditional"
class ClassGenerator(nn.Module):
    """Noise (n, noise) and classes (n,) → images (n, 1, 28, 28): an embedding of the class beside the noise, then a Generator."""

    def __init__(self, noise, width, classes):
        super().__init__()
        ### BEGIN SOLUTION
        self.embed = nn.Embedding(classes, noise)
        self.paint = Generator(2 * noise, width)
        ### END SOLUTION

    def forward(self, z, labels):
        ### BEGIN SOLUTION
        return self.paint(torch.cat([z, self.embed(labels)], dim=1))
        ### END SOLUTION


class ClassDiscriminator(Discriminator):
    """Images (n, 1, 28, 28) and classes (n,) → logits (n, 1), by projection."""

    def __init__(self, width, classes):
        super().__init__(width)
        ### BEGIN SOLUTION
        self.embed = nn.Embedding(classes, 98 * width)
        nn.init.zeros_(self.embed.weight)
        ### END SOLUTION

    def forward(self, x, labels):
        ### BEGIN SOLUTION
        seen = self.features(x)
        return self.judge(seen) + (self.embed(labels) * seen).sum(dim=1, keepdim=True)
        ### END SOLUTION

# %% check="conditional"
check("conditional")

# %% [markdown]
# ## 5 · Other objectives

# %% solution="objectives"
def least_squares(real_logits, fake_logits):
    """The least-squares GAN with targets 1 for real and 0 for fake (Mao et al. 2017).

    real_logits, fake_logits (n, 1): D's outputs. Returns (loss of D, loss of G), scalar tensors.
    """
    ### BEGIN SOLUTION
    loss_D = ((real_logits - 1) ** 2).mean() / 2 + (fake_logits**2).mean() / 2
    return loss_D, ((fake_logits - 1) ** 2).mean() / 2
    ### END SOLUTION


def wasserstein(real_logits, fake_logits):
    """The Wasserstein GAN's (loss of D, loss of G) (Arjovsky et al. 2017)."""
    ### BEGIN SOLUTION
    return fake_logits.mean() - real_logits.mean(), -fake_logits.mean()
    ### END SOLUTION


def relativistic(real_logits, fake_logits):
    """The relativistic pairing GAN's (loss of D, loss of G): the i-th real against the i-th fake."""
    ### BEGIN SOLUTION
    ahead = real_logits - fake_logits
    return F.softplus(-ahead).mean(), F.softplus(ahead).mean()
    ### END SOLUTION


def clip_(net, c):
    """Put each parameter of net that is outside [−c, c] at the nearer end of it, in place."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.clamp_(-c, c)
    ### END SOLUTION

# %% check="objectives"
check("objectives")

# %% solution="penalties"
def gradient_penalty(D, real, fake, share, target=1.0):
    """E (‖∇D(x̂)‖ − target)² at x̂ = share · real + (1 − share) · fake (Gulrajani et al. 2017).

    real, fake (n, …): points or images; share (n,) in [0, 1], one number for each pair.
    D: any callable, (n, …) → logits (n, 1). Returns a scalar tensor, with a graph to D's parameters.
    """
    ### BEGIN SOLUTION
    share = share.reshape(-1, *[1] * (real.ndim - 1))
    between = (share * real + (1 - share) * fake).detach().requires_grad_()
    slope, = torch.autograd.grad(D(between).sum(), between, create_graph=True)
    return ((slope.flatten(1).norm(dim=1) - target) ** 2).mean()
    ### END SOLUTION


def r1(D, x):
    """½ E ‖∇D(x)‖² (Mescheder et al. 2018); at the real points it is R1, at the fakes R2.

    x (n, …); D as above. Returns a scalar tensor, with a graph to D's parameters.
    """
    ### BEGIN SOLUTION
    x = x.detach().requires_grad_()
    slope, = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return slope.flatten(1).square().sum(dim=1).mean() / 2
    ### END SOLUTION

# %% check="penalties"
check("penalties")

# %% solution="spectral_norm"
def spectral_norm(weight, u, iterations=1):
    """(weight / σ, u): the weight divided by its largest singular value, as power iteration knows it.

    weight (outputs, …), a matrix of `outputs` rows; u (outputs,): the present guess of the left singular
    vector, of length 1. One iteration: v ← Wᵀu, then u ← Wv, each made of length 1. Then σ = uᵀWv, through
    which gradients reach the weight; u and v count as constants. Returns the new u, u itself unchanged.
    """
    ### BEGIN SOLUTION
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v), u
    ### END SOLUTION


class SpectralNorm(nn.Module):
    """A parametrisation, weight → weight / σ: one iteration at each call in train mode, from where the last one ended.

    u (outputs,): where it begins. It is kept with the state, and not learned. In eval mode it stays as it is.
    """

    def __init__(self, u):
        super().__init__()
        ### BEGIN SOLUTION
        self.register_buffer("u", u)
        ### END SOLUTION

    def forward(self, weight):
        ### BEGIN SOLUTION
        normed, u = spectral_norm(weight, self.u)
        if self.training:
            self.u.copy_(u)
        return normed
        ### END SOLUTION

# %% check="spectral_norm"
check("spectral_norm")

# %% tags=["setup"]
from course_lib.gan_recipes import Autoencoder, BatchNorm, Noise, Recipe, WeightNorm


def mixed_penalty(D, real, fake):
    return gradient_penalty(D, real, fake, torch.rand(len(real)))


def begin_spectral(weight):
    return SpectralNorm(F.normalize(torch.randn(len(weight)), dim=0))


class Began:
    """BEGAN's objective; its logits are errors of an autoencoder, and its k balances the two players."""

    def __init__(self, ratio=0.5, rate=0.01):
        self.k, self.ratio, self.rate = 0.0, ratio, rate

    def __call__(self, real_errors, fake_errors):
        real, fake = real_errors.mean(), fake_errors.mean()
        self.k = min(1.0, max(0.0, self.k + self.rate * (self.ratio * real - fake).item()))
        return real - self.k * fake, fake


recipes = {
    "non-saturating": Recipe(non_saturating),
    "non-saturating, Adam's β1 = 0.9": Recipe(non_saturating, betas=(0.9, 0.99)),
    "least squares": Recipe(least_squares),
    "Wasserstein, unbounded": Recipe(wasserstein),
    "Wasserstein, clipped at 0.1": Recipe(wasserstein, after=lambda D: clip_(D, 0.1)),
    "Wasserstein, gradient penalty": Recipe(wasserstein, penalty=mixed_penalty),
    "relativistic": Recipe(relativistic),
    "relativistic, R1 + R2": Recipe(relativistic, penalty=lambda D, real, fake: 0.1 * (r1(D, real) + r1(D, fake))),
    "R1": Recipe(non_saturating, penalty=lambda D, real, fake: 0.1 * r1(D, real)),
    "spectral norm": Recipe(non_saturating, weights=begin_spectral),
    "weight norm": Recipe(non_saturating, weights=WeightNorm),
    "layer norm": Recipe(non_saturating, hidden=lambda: nn.LayerNorm(128, elementwise_affine=False)),
    "batch norm": Recipe(non_saturating, hidden=BatchNorm),
    "noise at D's input, fading": Recipe(non_saturating, noise=0.2),
    "noise in D's layers, fading": Recipe(non_saturating, hidden=lambda: Noise(0.2)),
    "BEGAN": Recipe(Began(), body=Autoencoder),
}

# %% [markdown]
# ## 6 · Mode collapse

# %% solution="packing"
def pack(x, m):
    """m samples in a row become one, along dimension 1: (n, c, …) → (n / m, m · c, …).

    Raises ValueError when m doesn't divide n.
    """
    ### BEGIN SOLUTION
    if len(x) % m:
        raise ValueError(f"{len(x)} samples can't be packed by {m}")
    return x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:])
    ### END SOLUTION


def packed_distance(p, q, m):
    """½ Σ |pᵐ − qᵐ|: the total variation distance between packs of m samples from p and packs from q.

    p, q (k,): two distributions over k modes. A pack is a sequence of m modes drawn one by one, and has kᵐ values.
    Returns a scalar tensor in [0, 1].
    """
    ### BEGIN SOLUTION
    packs_p, packs_q = p, q
    for _ in range(m - 1):
        packs_p, packs_q = torch.outer(packs_p, p).flatten(), torch.outer(packs_q, q).flatten()
    return (packs_p - packs_q).abs().sum() / 2
    ### END SOLUTION

# %% check="packing"
check("packing")

# %% tags=["setup"]
recipes["packing 2"] = Recipe(non_saturating, pack=pack, packed=2)
recipes["packing 4"] = Recipe(non_saturating, pack=pack, packed=4)

# %% [markdown]
# ## 7 · Looking

# %% [markdown]
# ## 8 · Broken on purpose

# %% [markdown]
# ## 9 · In your own words

# %% [markdown]
# ## What to remember
