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
# Read them from left to right, with your verdicts below:
#
# * The first two have flat losses nearly all the time, and the best of scores to come. Who had stopped the first when $D$'s loss had stood at 1.3 for some hundred rounds would have missed seven eighths of the way.
# * The third is slow because it has arrived: all modes, and little left to gain. Slow doesn't tell *arrived* from *stuck*; the size of the score does.
# * In the fourth $D$ is far ahead, with a loss of 0.2. Not 0: the bound says $\mathrm{JSD} \ge 0.59$ of at most 0.69. Alive isn't well. The scores rise, and went on rising; the rates are what to change.
# * The last is dead, and stays dead: the data reach to 2, and a tanh ends at 1. $D$ needs only look whether a point is out of reach. Its loss is 0.002, and $\mathrm{JSD} \ge 0.692$. This is what images with pixels outside $[-1, 1]$ do to a generator that ends in tanh.

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
#
# Dozens of objectives have been proposed since 2014. Each comes with a reason, most with a table. We go through those that are used; each reason gets its mathematics, and then all of them the same nets, the same number of rounds and five runs each. The round is yours from section 1; it takes any objective.
#
# ### Least squares
#
# Drop the sigmoid, and draw $D$'s output to 1 on real and to 0 on generated samples, by squared distance (Mao et al. 2017):
#
# $$ L_D = \tfrac12\,\mathbb{E}_{x\sim p_\text{data}}\big[(D(x)-1)^2\big] + \tfrac12\,\mathbb{E}_z\big[D(G(z))^2\big], \qquad L_G = \tfrac12\,\mathbb{E}_z\big[(D(G(z))-1)^2\big]. $$
#
# *The best $D$.* At each $x$ minimise $\frac p2(y-1)^2 + \frac q2 y^2$, with $p, q$ the two densities there. The derivative $p(y-1) + qy$ is 0 at $y = \frac{p}{p+q}$: the same $D^*$ as ever.
#
# *What $G$ then minimises.* Add $\frac12\mathbb{E}_{p}[(D-1)^2]$ to $L_G$. $G$ can't change it as long as $D$ is fixed, so no gradient changes. With $D^*$, where $D^* - 1 = -\frac{q}{p+q}$, the sum is
#
# $$ \frac12 \int (p+q)\Big(\frac{q}{p+q}\Big)^2 dx = \frac12\int \frac{q^2}{p+q}\,dx \;\ge\; \frac14, \qquad\text{since}\quad 1 = \Big(\int q\Big)^2 = \Big(\int \frac{q}{\sqrt{p+q}}\sqrt{p+q}\Big)^2 \le \int\frac{q^2}{p+q} \cdot \underbrace{\int (p+q)}_{2} $$
#
# by Cauchy and Schwarz, with equality only where $q/(p+q)$ is the same everywhere, that is for $q = p$. So the game has the right optimum. What is different is the way: the slope $D - 1$ grows with the distance, and a sample far on the *right* side is drawn back, too. There are no flat ends.
#
# ### Wasserstein
#
# `gan_math` ended a section with the sentence that a generator off by 1 and one off by 3 are told the same: the JSD is $\log 2$ as soon as nothing overlaps. A distance that knows how far is the least work of moving one heap of sand onto the other,
#
# $$ W(p, q) = \min_{\gamma} \mathbb{E}_{(x, y)\sim\gamma} \lVert x - y\rVert, $$
#
# over all joint distributions $\gamma$ of $x \sim p$ and $y \sim q$, plans of who goes where. Let $f$ be any function that rises by at most 1 per unit of length, $|f(x)-f(y)| \le \lVert x-y\rVert$: a **1-Lipschitz** function. Then for every plan
#
# $$ \mathbb{E}_p f - \mathbb{E}_q f = \mathbb{E}_\gamma[f(x) - f(y)] \le \mathbb{E}_\gamma\lVert x-y\rVert, \qquad\text{so}\qquad \sup_{f\ 1\text{-Lipschitz}} \big(\mathbb{E}_p f - \mathbb{E}_q f\big) \le W(p, q). $$
#
# There is in fact an $f$ that reaches it (Kantorovich and Rubinstein; we use that without proof). So let $D$ be $f$: a **critic**, whose outputs are heights, not opinions (Arjovsky et al. 2017):
#
# $$ L_D = \mathbb{E}_z[D(G(z))] - \mathbb{E}_x[D(x)], \qquad L_G = -\mathbb{E}_z[D(G(z))], \qquad D\ \text{1-Lipschitz}. $$
#
# On a line the best plan moves the smallest to the smallest, so $W$ can be read off two sorted samples:

# %%
torch.manual_seed(0)
real = torch.rand(20_000).sort().values
print("the fakes are off by   W, from sorted samples   JSD")
for theta in (0.0, 0.5, 1.0, 2.0, 3.0):
    fake = (torch.rand(20_000) + theta).sort().values
    overlap = max(0.0, 1 - theta)
    print(f"{theta:20}   {(real - fake).abs().mean():23.3f}   {(1 - overlap) * math.log(2):.3f}")

# %% [markdown]
# (Both are uniform, on $[0,1]$ and on $[\theta, 1+\theta]$. Where only one density is there, the JSD's integrand is $\frac12\log 2$ times that density, where both are it is 0: that makes $\log 2 \cdot \min(\theta, 1)$.)
#
# How does one make a net 1-Lipschitz? The first answer was **clipping**: after each step, cut every weight to $[-c, c]$. A layer $h \mapsto Wh$ stretches by at most $\lVert W\rVert_2 \le \lVert W\rVert_F \le c\sqrt{n_\text{in} n_\text{out}}$, LeakyReLU by at most 1, so the whole net by at most the product. It is *some* bound $K$, and then $D$ measures at most $K\,W$. Which $K$? For our critic, $2 \to 128 \to 128 \to 1$:

# %%
for c in (0.01, 0.1, 1.0):
    bounds = [c * math.sqrt(inputs * outputs) for inputs, outputs in ((2, 128), (128, 128), (128, 1))]
    print(f"c = {c:4}: the net stretches by at most {math.prod(bounds):.4g}")

# %% [markdown]
# The bound goes with the third power of $c$: far too flat, or not bounded to speak of. In the paper's own words, "weight clipping is a clearly terrible way to enforce a Lipschitz constraint". Better ways follow.
#
# ### Relativistic pairing
#
# $D(x)$ doesn't have to say whether $x$ is real. Let it say which of two is *more* real: the $i$-th real sample, or the $i$-th fake (Jolicoeur-Martineau 2019; without an average over the others, as here, Huang et al. 2024):
#
# $$ L_D = \mathbb{E}\big[\operatorname{softplus}\!\big(-(D(x) - D(G(z)))\big)\big], \qquad L_G = \mathbb{E}\big[\operatorname{softplus}\!\big(-(D(G(z)) - D(x))\big)\big]. $$
#
# Only differences count: add 5 to all of $D$'s outputs, and nothing changes. $D$ can't push all fakes below one common bar and be done with it; each is held against a real sample, wherever that lies. Note that $G$'s loss now looks at the real samples too: your round hands it both.
#
# ### Exercise · Three objectives  *(easy, 15 minutes)*
#
# <details><summary>Hint 1</summary>
#
# Each is the formula above, term by term, from the logits. `F.softplus` stays finite for logits of ±10 000.
# </details>
# <details><summary>Hint 2</summary>
#
# `net.parameters()` gives all that is learned and nothing else. `clamp_` works in place, and a parameter may be changed in place within `torch.no_grad()`.
# </details>

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

# %% [markdown]
# The inequality of least squares, on a grid, with your two losses as witnesses of $D^*$: a $D$ a little above or below pays more.

# %%
x = torch.linspace(-12, 14, 5201, dtype=torch.float64)
dx = (x[1] - x[0]).item()
p = torch.distributions.Normal(0.0, 1.0).log_prob(x).exp()
print("q's mean    ½∫ q²/(p + q)     loss of D at D*, D* + 0.01, D* − 0.01, by sampling")
for mean in (0.0, 1.0, 2.0, 6.0):
    q = torch.distributions.Normal(mean, 1.0).log_prob(x).exp()
    best = lambda points: torch.sigmoid(mean**2 / 2 - mean * points)    # p/(p + q) of two normals: σ(log p − log q)
    torch.manual_seed(0)
    real, fake = torch.randn(200_000, dtype=torch.float64), torch.randn(200_000, dtype=torch.float64) + mean
    losses = [least_squares(best(real) + off, best(fake) + off)[0].item() for off in (0.0, 0.01, -0.01)]
    print(f"{mean:8}    {(q**2 / (p + q).clamp(min=1e-300)).sum() * dx / 2:13.4f}     " + ", ".join(f"{loss:.6f}" for loss in losses))

# %% [markdown]
# ### A penalty on the slope
#
# Look at the best critic more closely. Let $\gamma$ be the best plan, and $f$ a 1-Lipschitz function that reaches $W$. Then $f(x) - f(y) = \lVert x-y\rVert$ for (almost) all pairs of the plan. Walk from $y$ to $x$ in a straight line, and stop at $\hat x = s\,x + (1-s)\,y$:
#
# $$ \lVert x-y\rVert = \underbrace{f(x) - f(\hat x)}_{\le (1-s)\lVert x-y\rVert} + \underbrace{f(\hat x) - f(y)}_{\le s\lVert x-y\rVert} \le \lVert x-y\rVert . $$
#
# Both parts must be equalities. So along the whole line $f$ rises with slope exactly 1; as nowhere it may rise faster, its gradient there *is* of length 1 (where it has one). Hence the **gradient penalty** (Gulrajani et al. 2017): at random points between real samples and fakes,
#
# $$ \lambda\;\mathbb{E}_{\hat x}\big[(\lVert\nabla_{\hat x} D(\hat x)\rVert - 1)^2\big], \qquad \hat x = s\,x + (1-s)\,y, \quad s \sim \text{uniform}(0,1). $$
#
# (In practice the pairs are taken as they come, not by the best plan. There the theorem says nothing; this part is a heuristic.)
#
# And **R1** (Mescheder et al. 2018), which you know from the Dirac-GAN: $\frac\gamma2\,\mathbb{E}_{x\sim p_\text{data}}\lVert\nabla D(x)\rVert^2$. No target: where the data are, $D$ shall be flat, for there an equilibrium has $D$ constant. The same at the fakes is called R2.
#
# Both put a *gradient into the loss*, which is then differentiated once more, for the weights. Autograd can do that if it keeps a graph of the first differentiation: `torch.autograd.grad(…, create_graph=True)`. For the simplest critic, $D(x) = w\cdot x$, all can be done by hand: $\nabla_x D = w$, the penalty is $(\lVert w\rVert - 1)^2$, and its gradient $2(\lVert w\rVert - 1)\,w/\lVert w\rVert$.
#
# One trap: each sample has a gradient of its own, but autograd differentiates one number. Take the *sum* of the logits. Since the $i$-th logit depends on the $i$-th sample only, row $i$ of the gradient of the sum is $\nabla D(x_i)$. (With batch norm in $D$ that is no longer true: there, every logit depends on all samples. Critics with a gradient penalty go without it.)
#
# ### Exercise · Penalties  *(medium, 20 minutes)*
#
# <details><summary>Hint 1</summary>
#
# The point to differentiate at has to be told so: `x.detach().requires_grad_()`. `share` has the shape (n,); to multiply images (n, c, h, w) by it, it has to be (n, 1, 1, 1), and for points (n, 1).
# </details>
# <details><summary>Hint 2</summary>
#
# `slope, = torch.autograd.grad(D(x).sum(), x, create_graph=True)`; then `slope.flatten(1)` has a row for each sample. The norm is taken of each row, the mean over the rows.
# </details>

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

# %% [markdown]
# The linear critic, by hand and by your code; then the finite difference, for a critic of which nobody would compute it by hand:

# %%
torch.manual_seed(0)
w = torch.randn(3, 1, dtype=torch.float64, requires_grad=True)
real, fake, share = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64), torch.rand(6, dtype=torch.float64)
penalty = gradient_penalty(lambda x: x @ w, real, fake, share)
by_code, = torch.autograd.grad(penalty, w)
length = w.detach().norm()
print("linear:  by hand", (2 * (length - 1) * w.detach() / length).flatten().tolist(), "\n         by code", by_code.flatten().tolist())

critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
r1(critic, real).backward()
weight, step = critic[0].weight, 1e-5
with torch.no_grad():
    weight[0, 0] += step
above = r1(critic, real).item()
with torch.no_grad():
    weight[0, 0] -= 2 * step
below = r1(critic, real).item()
print(f"R1 of a small net, at one weight: by code {weight.grad[0, 0]:.8f}, by finite differences {(above - below) / (2 * step):.8f}")

# %% [markdown]
# Does a target of 1 or of 0 matter? Take the Dirac-GAN of `gan_math`: the data at 0, the generator's one sample at $\theta$, $D(x) = \psi x$. Wasserstein's losses, both players at once, with each penalty; the penalties are yours.

# %%
def dirac_distance(penalty, steps=500, h=0.1):
    """The distance of (θ, ψ) from the equilibrium after `steps` simultaneous steps from (1, 1), and the least on the way of the last 100."""
    theta, psi = torch.ones(2, 1, 1, dtype=torch.float64)
    path = []
    for _ in range(steps):
        theta, psi = theta.detach().requires_grad_(), psi.detach().requires_grad_()
        D = lambda x: x @ psi
        loss_D, loss_G = wasserstein(D(torch.zeros_like(theta)), D(theta))
        slope_psi, = torch.autograd.grad(wasserstein(D(torch.zeros_like(theta)), D(theta.detach()))[0] + penalty(D, theta.detach()), psi)
        slope_theta, = torch.autograd.grad(loss_G, theta)
        theta, psi = theta - h * slope_theta, psi - h * slope_psi
        path.append(math.hypot(theta.item(), psi.item()))
    return path[-1], min(path[-100:])


zero = torch.zeros(1, 1, dtype=torch.float64)
half = torch.full((1,), 0.5, dtype=torch.float64)
for name, penalty in {"no penalty": lambda D, fake: 0.0,
                      "gradient penalty, target 1": lambda D, fake: gradient_penalty(D, zero, fake, half),
                      "gradient penalty, target 0": lambda D, fake: gradient_penalty(D, zero, fake, half, target=0.0),
                      "R1": lambda D, fake: r1(D, zero)}.items():
    last, least = dirac_distance(penalty)
    print(f"{name:>28}: {last:.3g} from the equilibrium after 500 steps, never nearer than {least:.3g} in the last 100")

# %% [markdown]
# With target 1 the slope of $D$ is held at 1, also at the equilibrium, where it should be 0. So $G$ is pushed past it again and again. Penalties that are centred at 0 come home. That is one parameter a player; what becomes of it in larger nets, the table below shows.
#
# ### Spectral norm
#
# Or build the bound in. The stretch of a layer is known exactly: the largest of $\lVert Wh\rVert/\lVert h\rVert$ is the **spectral norm** $\sigma(W)$, its largest singular value. Divide each weight by it, and the whole net is 1-Lipschitz, as a product of factors that are at most 1 (Miyato et al. 2018).
#
# A singular value decomposition at each step would cost too much. **Power iteration** does with two products: begin with some $u$, and repeat
#
# $$ v \leftarrow \frac{W^\top u}{\lVert W^\top u\rVert}, \qquad u \leftarrow \frac{W v}{\lVert W v\rVert}; \qquad \sigma \approx u^\top W v . $$
#
# *Why it works.* Let $u = \sum_i c_i u_i$ in the left singular vectors of $W$, where $WW^\top u_i = \sigma_i^2 u_i$. Up to its length, $u$ after $k$ rounds is $(WW^\top)^k u = \sum_i c_i \sigma_i^{2k} u_i$. Against the first term, the $i$-th shrinks like $(\sigma_i/\sigma_1)^{2k}$. So $u$ tends to $u_1$, unless $c_1 = 0$, which a random start avoids. And since a weight changes little in a step, *one* round a step is enough when it goes on from the last $u$.
#
# *Its gradient.* $\sigma$ depends on $W$, so dividing by it changes what the weight is taught. With $u_1, v_1$ of length 1, $d\sigma = u_1^\top\,dW\,v_1$: the changes of $u_1$ and $v_1$ contribute nothing, because $u_1^\top W\,dv_1 = \sigma\,v_1^\top dv_1 = 0$ (a vector of constant length changes at a right angle to itself), and so for $u_1$. Hence $u$ and $v$ may count as constants, and for a loss with the gradient $A$ at $\bar W = W/\sigma$,
#
# $$ \frac{\partial L}{\partial W} = \frac1\sigma\Big(A - \langle A, \bar W\rangle\, u_1 v_1^\top\Big). $$
#
# The part of $A$ that would only make $W$ longer is taken out. A convolution's weight (out, in, height, width) is read as a matrix with a row for each output channel; that isn't quite the stretch of the convolution, but it is what everybody divides by.
#
# ### Exercise · Spectral norm  *(medium, 20 minutes)*
#
# First the function, then a parametrisation around it that remembers $u$: PyTorch calls its `forward` whenever the layer's `weight` is used.
#
# <details><summary>Hint 1</summary>
#
# `matrix = weight.flatten(1)`. The iterations stand within `torch.no_grad()`, σ outside: so u and v are constants, and σ isn't.
# </details>
# <details><summary>Hint 2</summary>
#
# `self.register_buffer("u", u)` in `__init__`; in `forward`, `self.u.copy_(…)` when `self.training`.
# </details>

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

# %% [markdown]
# PyTorch has the same in `torch.nn.utils.parametrizations`. Yours beside it, from the same start; then the gradient against the formula:

# %%
from torch.nn.utils import parametrizations, parametrize

torch.manual_seed(0)
theirs = parametrizations.spectral_norm(nn.Linear(6, 4, bias=False).double(), n_power_iterations=1)
mine = nn.Linear(6, 4, bias=False).double()
with torch.no_grad():
    mine.weight.copy_(theirs.parametrizations.weight.original)
norm = SpectralNorm(theirs.parametrizations.weight[0]._u.clone())
parametrize.register_parametrization(mine, "weight", norm)
norm.u.copy_(theirs.parametrizations.weight[0]._u)    # registering has called it once
x = torch.randn(5, 6, dtype=torch.float64)
print("three passes, the largest difference from torch's:", [f"{(mine(x) - theirs(x)).abs().max().item():.1e}" for _ in range(3)])

weight = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
A, u = torch.randn(4, 6, dtype=torch.float64), F.normalize(torch.randn(4, dtype=torch.float64), dim=0)
normed, u = spectral_norm(weight, u, 500)
by_code, = torch.autograd.grad((A * normed).sum(), weight)
U, S, V = torch.linalg.svd(weight.detach())
formula = (A - (A * weight.detach() / S[0]).sum() * torch.outer(U[:, 0], V[0])) / S[0]
print(f"the gradient: largest difference between your code and the formula {(by_code - formula).abs().max():.1e}")

# %% [markdown]
# ### What else is done to a discriminator
#
# * **Weight norm** (Salimans & Kingma 2016): $w = g\,v/\lVert v\rVert$ for each row. Length and direction are learned apart. It bounds nothing.
# * **Batch, layer and instance norm** standardise what passes: batch norm each feature over the batch, layer norm each sample over its features, instance norm each channel of each sample over its pixels. For points, which have no pixels, instance norm has nothing to average over, so layer norm takes its place below.
# * **Noise at the inputs**, fading: $D$ sees $x + \varepsilon$, real and generated (Arjovsky & Bottou 2017). It brings an overlap where there was none. Two single points at distance $\theta$ have the JSD $\log 2$; with noise of standard deviation $s$ they are two Gaussians, and theirs depends on $\theta/s$. Noise may also be added in the layers.
# * **BEGAN** (Berthelot et al. 2017) has no classifier at all. $D$ is an autoencoder, its "logit" the error $\mathcal L(x)$ of the reconstruction: low for real samples, high for fakes. $L_D = \mathcal L(x) - k\,\mathcal L(G(z))$, $L_G = \mathcal L(G(z))$, and $k$ is steered so that $\mathbb{E}\,\mathcal L(G(z)) = \gamma\,\mathbb{E}\,\mathcal L(x)$: $k \leftarrow k + \lambda\,(\gamma\,\mathcal L(x) - \mathcal L(G(z)))$, kept in $[0, 1]$. It asks for no sigmoid, no labels, and no tanh at the end of $G$.
#
# ### One harness
#
# A *recipe* is what may differ; the rest is the same for all: the nets (two hidden layers of 128), 64 samples a batch, Adam with $\beta_1 = 0$ and a rate of 0.002 for both players that falls over the second half, and your round. Five runs are trained at once, in batched matrices: they share the time and nothing else. (Therefore the weight of a penalty and the like are one choice for all: 0.1 for R1 and R2, 1 for the gradient penalty. Each method might do better with settings of its own. What a table like this one compares is methods *as somebody set them*.)

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

# %% tags=["train"]
from tqdm.auto import tqdm

from course_lib import gan_recipes

recipe_rounds = scale.pick(smoke=60, cpu=600)
chosen = ["non-saturating", "least squares", "Wasserstein, clipped at 0.1", "Wasserstein, gradient penalty", "relativistic, R1 + R2"]
figure, axes = plt.subplots(1, len(chosen), figsize=(13, 3.2), sharex=True, sharey=True)
for each, name in zip(axes, tqdm(chosen, unit="recipe")):
    G, _, _ = gan_recipes.train(recipes[name], play_round, gan_recipes.ring(), recipe_rounds)
    found = gan_recipes.figures(G, gan_recipes.ring())
    points = gan_recipes.samples(G)[0, :500]
    each.scatter(*gan_recipes.ring().sample(500).T, s=2, color=BLUE, label="data")
    each.scatter(*points.T, s=5, color=ORANGE, marker="x", label="generated")
    modes, quality = (sum(run[key] for run in found) / len(found) for key in ("modes", "quality"))
    each.set(title=f"{name}\n{modes:.1f} modes, quality {quality:.2f}", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    each.title.set_fontsize(9)
axes[0].legend(loc="upper left", fontsize=7)
plt.show()

# %% [markdown]
# The pictures show the first of five runs, the figures are means over all five: how many of the 8 modes are found, and which share of the samples lies within $3\sigma$ of one. Other recipes: change `chosen` (`list(recipes)` has their names), or write one of your own.
#
# ### The table
#
# All recipes with 600 rounds on the ring and 1,500 on the grid of 25 (means $\{-4,-2,0,2,4\}^2$, $\sigma = 0.05$). Median of five runs, in brackets the least and the greatest (`python tests/benchmarks/gan_objectives.py`). Reverse KL is explained in the next section; 0 is best.
#
# TABLE
#
# READING

# %% [markdown]
# ## 6 · Mode collapse
#
# A generator that has found one place where $D$ is fooled can send all its noise there. $D$ learns to distrust the place, $G$ moves on, all of it, to the next: **mode collapse**. Each sample may be perfect. What is missing can't be seen in any single one, and $D$ looks at samples singly: its gradient at a sample asks "which way is more real?", and at equal places it gives equal answers, so samples that have come together stay together.
#
# How does one count it? With points, where the modes are known, by three figures, and each alone can be fooled:
#
# * **modes**: those that at least one sample comes within $3\sigma$ of. A cloud all over the place finds them all.
# * **high quality**: the share of samples within $3\sigma$ of some mode (of the data themselves, 98.9 %). One single mode, well hit, gets 1.
# * **reverse KL**: assign each sample to its nearest mode; with the shares $q_j$ and the true ones $p_j = \frac1k$, $\mathrm{KL}(q\,\|\,p) = \sum_j q_j \log\frac{q_j}{p_j}$. It is 0 for equal shares, and $\log k$ when all go to one: $\log 8 = 2.08$ on the ring, $\log 25 = 3.22$ on the grid. It is reverse in that the generator's distribution comes first, so that a mode nobody goes to costs no infinity. It is blind for how far from the modes the samples lie.
#
# So read the three together. Here is a collapse to look at: the non-saturating recipe with one number changed, Adam's $\beta_1$ from 0 to 0.9, the value that everybody uses for classifiers.

# %% tags=["train"]
collapsed, _, _ = gan_recipes.train(recipes["non-saturating, Adam's β1 = 0.9"], play_round, gan_recipes.ring(), recipe_rounds)
figure, axes = plt.subplots(1, 5, figsize=(13, 2.9), sharex=True, sharey=True)
for each, points, found in zip(axes, gan_recipes.samples(collapsed), gan_recipes.figures(collapsed, gan_recipes.ring())):
    each.scatter(*gan_recipes.ring().sample(400).T, s=2, color=BLUE, label="data")
    each.scatter(*points[:400].T, s=5, color=ORANGE, marker="x", label="generated")
    each.set(title=f"{found['modes']} modes, quality {found['quality']:.2f},\nreverse KL {found['reverse KL']:.2f}", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
axes[0].legend(loc="upper left", fontsize=7)
plt.show()

# %% [markdown]
# ### Packing
#
# If $D$ can't see a collapse in one sample, show it several at once: $m$ real ones in a pack, or $m$ generated ones, side by side as one longer input (Lin et al. 2018, PacGAN). Eight samples from the same place are suspicious, however good each is. Nothing else changes: the losses, the round, $G$.
#
# In theory, this changes what $G$ minimises: no longer a distance between $p$ and $q$, but between the distributions of *packs*, the products $p^m$ and $q^m$. Let us see what that does, with the simplest distance there is, the **total variation** $d(p, q) = \frac12\sum_j |p_j - q_j|$, and distributions over $k$ modes.
#
# *A collapse.* $p$ is uniform over $k$ modes, $q$ over $k' < k$ of them. With single samples $d = 1 - \frac{k'}{k}$: where $q$ is larger than $p$, its excess adds up to what $p$ has outside, $\frac{k-k'}{k}$. The packs: $p^m$ is uniform over $k^m$ sequences, $q^m$ over $k'^m$ of them, so the very same sentence gives
#
# $$ d(p^m, q^m) = 1 - \Big(\frac{k'}{k}\Big)^m . $$
#
# A quarter of the modes lost: 0.25 with single samples, $1 - 0.75^4 = 0.68$ with packs of four.
#
# *No collapse, but the same distance.* Let $q$ have all modes, half of them too often and half too seldom: $q_j = \frac{1 \pm 0.5}{k}$. Then $d(p, q) = 0.25$ as well. A single-sample $D$ of that kind finds both equally bad. And packs? Compute it.
#
# ### Exercise · Packing  *(easy, 10 minutes)*
#
# <details><summary>Hint 1</summary>
#
# `reshape` keeps the order of the numbers. A pack of m samples in a row *is* m rows in a row: `x.reshape(len(x) // m, …)`. For images that works too, since channels come right after the batch.
# </details>
# <details><summary>Hint 2</summary>
#
# If `packs` holds the probabilities of all packs of length j, then `torch.outer(packs, p).flatten()` holds those of length j + 1.
# </details>

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

# %%
k = 8
p = torch.full((k,), 1 / k, dtype=torch.float64)
collapse = torch.cat([torch.full((6,), 1 / 6), torch.zeros(2)]).double()
uneven = torch.tensor([1.5] * 4 + [0.5] * 4, dtype=torch.float64) / k
sizes = range(1, 6)
figure, axes = plt.subplots(figsize=(7, 3))
axes.plot(sizes, [packed_distance(p, collapse, m).item() for m in sizes], "o-", color=ORANGE, label="2 of 8 modes lost")
axes.plot(sizes, [1 - 0.75**m for m in sizes], ":", color=BLACK, label="$1 - (k'/k)^m$")
axes.plot(sizes, [packed_distance(p, uneven, m).item() for m in sizes], "s--", color=BLUE, label="all modes, unevenly")
axes.set(xlabel="m, samples in a pack", ylabel="distance of the packs", xticks=list(sizes), ylim=(0, 1))
axes.legend()
plt.show()

# %% [markdown]
# Both begin at 0.25. With larger packs both grow, as more samples tell any two distributions apart better; but the collapse grows faster. Minimise the distance of packs, and a collapse costs more than unevenness does. That is the theorem of the paper in one example.
#
# Does it cure ours? The same nets, rounds and $\beta_1 = 0.9$, with packs of four. (Only $D$'s first layer is larger, and it sees a quarter as many inputs.)

# %% tags=["setup"]
recipes["packing 2"] = Recipe(non_saturating, pack=pack, packed=2)
recipes["packing 4"] = Recipe(non_saturating, pack=pack, packed=4)
recipes["packing 4, Adam's β1 = 0.9"] = Recipe(non_saturating, pack=pack, packed=4, betas=(0.9, 0.99))

# %% tags=["train"]
packed, _, _ = gan_recipes.train(recipes["packing 4, Adam's β1 = 0.9"], play_round, gan_recipes.ring(), recipe_rounds)
for name, G in (("single", collapsed), ("packs of 4", packed)):
    found = gan_recipes.figures(G, gan_recipes.ring())
    print(f"{name:>10}: modes {[each['modes'] for each in found]}, reverse KL {[round(each['reverse KL'], 2) for each in found]}")

# %% [markdown]
# ## 7 · Looking

# %% [markdown]
# ## 8 · Broken on purpose

# %% [markdown]
# ## 9 · In your own words

# %% [markdown]
# ## What to remember
