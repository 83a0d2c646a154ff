# ---
# jupyter:
#   course:
#     title: The mathematics of GANs
#     minutes: 110
#     builds_on: []
#     place: 1
#     cover: train-from-course-lib-data-import-load-images
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The mathematics of GANs
#
# Towards the end of this notebook you type a phone number, and a net that you trained yourself writes it down in handwriting
# that nobody ever wrote. Between here and there you derive, check and rebuild what makes that possible: a game between
# two networks, whose equilibrium is a theorem and whose road to the equilibrium is not.
#
# | you build | by |
# |---|---|
# | the value of the game, the best discriminator, what the generator really minimises, under either of its losses | proof, then code, then a measurement |
# | one step for each player, and the loop around them | code that is checked to ten decimals |
# | a generator of 8 Gaussians on a ring | training, about 10 seconds on one CPU core |
# | the smallest GAN that circles for ever, and its cure | a simulation you can steer |
# | a generator of handwritten digits | training, about 15 seconds on one CPU core |
#
# **What it takes.** About two hours at the keyboard. You need to know what a gradient and a sigmoid are, and to have
# trained some network with PyTorch. You need to know nothing about GANs.
#
# **How it works.** You write code where it says `YOUR CODE HERE`, and then run the `check` below it. A check looks at
# what your functions *do*; when it can tell which mistake was made, it says so. Nothing you get wrong is counted: check
# as often as you like. In your solutions use Python, torch and NumPy: where they are graded, libraries that hold answers (SciPy, scikit-learn, torchvision and their like) aren't there.
# The symbols are those of the paper (Goodfellow et al. 2014), so that you can read it alongside.

# %% tags=["setup"]
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import Scale, current_scale, gan, start

check = start("gan_math")
scale = current_scale()

# %% [markdown]
# ### Commit yourself first
#
# Three predictions, before the first line of mathematics. Replace each `"?"` by your answer and run the cell. There are no
# points for being right. You will meet each of them again at the place where it is measured.
#
# 1. You train some discriminator until it no longer improves. On new data it is right exactly half of the time. Are the fakes
#    then perfect? (`"yes"`, `"no"`, `"it depends"`)
# 2. The discriminator has become far too good: it gives every fake a probability of 0.00005 of being real. Two losses for the
#    generator are common. By what factor is the gradient (with respect to D's output before the sigmoid) of the better one
#    larger than that of the other? (`"2"`, `"100"`, `"20000"`)
# 3. Two players with one parameter each follow their gradients, both at the same time, in small steps. They start at distance
#    1.4 from the equilibrium. After 500 steps they are … (`"at it"`, `"closer"`, `"further away"`)

# %%
my_predictions = {"half right": "?", "gradient factor": "?", "two players": "?"}

# %% [markdown]
# ## 1 · Two players, one number
#
# Data come from a distribution $p_\text{data}$ that we can sample but not write down. A **generator** $G$ turns noise
# $z \sim p_z$ into a fake $G(z)$. We call the distribution of the fakes $p_g$. A **discriminator** $D$ looks at a point
# $x$ and answers with $D(x) \in (0, 1)$, its probability that $x$ is real. Both are scored by the same number,
#
# $$ V(D, G) \;=\; \mathbb{E}_{x \sim p_\text{data}}\big[\log D(x)\big] \;+\; \mathbb{E}_{z \sim p_z}\big[\log\big(1 - D(G(z))\big)\big], $$
#
# which $D$ wants high and $G$ wants low: $\min_G \max_D V(D, G)$. The first term is high when real points are called real,
# the second when fakes are called fake. Both terms are logarithms of probabilities, so $V \le 0$. A discriminator that
# always says ½ gets $\log\tfrac12 + \log\tfrac12 = -\log 4 \approx -1.386$. Keep that number in mind.
#
# A network doesn't output a probability. It outputs a **logit** $a \in \mathbb{R}$, and $D(x) = \sigma(a) = 1/(1+e^{-a})$.
# The formula can be typed just like that, and then it breaks. Run this:

# %%
logits = torch.tensor([1.0, 10.0, 16.0, 17.0, 100.0, 10_000.0])
print("logit a                   ", "".join(f"{a:>9g}" for a in logits))
print("log(1 − sigmoid(a))       ",
      "".join(f"{v:>9.3g}" for v in torch.log(1 - torch.sigmoid(logits))))
print("  the same in float64     ",
      "".join(f"{v:>9.3g}" for v in torch.log(1 - torch.sigmoid(logits.double()))))

# %% [markdown]
# From $a \approx 16.6$ on, float32 rounds $1 + e^{-a}$ to 1, and with it `sigmoid(a)`; then $1 - 1 = 0$ and the logarithm is
# $-\infty$. In float64 the same happens, later. One infinite entry makes the mean infinite and the gradients NaN. A
# discriminator that is sure, and wrong, about a single fake produces such a logit. $\log\sigma(a)$ breaks at the other end:
# at $a = -110$, typed as `log(sigmoid(a))`, it is $-\infty$ in float32 too. A real point that $D$ is sure is fake has such a logit;
# in section 4 so has any hopeless fake.
#
# The cure is algebra before arithmetic. Two steps:
#
# $$ 1 - \sigma(a) \;=\; 1 - \frac{1}{1+e^{-a}} \;=\; \frac{e^{-a}}{1+e^{-a}} \;=\; \frac{1}{e^{a}+1} \;=\; \sigma(-a), $$
#
# $$ \log \sigma(a) \;=\; -\log\big(1+e^{-a}\big) \;=\; -\operatorname{softplus}(-a). $$
#
# PyTorch computes `F.logsigmoid` and `F.softplus` so that they stay finite for every finite logit: for $a \ll 0$,
# $\log\sigma(a)$ is simply $a$ to all digits. Check both identities with numbers:

# %%
a = torch.linspace(-30, 30, 7, dtype=torch.float64)
print("1 − σ(a) against σ(−a), largest relative difference:",
      f"{((1 - torch.sigmoid(a)) / torch.sigmoid(-a) - 1).abs().max():.1e}")
print("log σ(a) against −softplus(−a), largest difference: ",
      f"{(torch.log(torch.sigmoid(a)) + F.softplus(-a)).abs().max():.1e}")

# %% [markdown]
# The first line isn't quite 0: at $a = 30$ the subtraction $1 - \sigma(a)$ has kept three digits of float64's sixteen.
# That is the very loss we avoid by never forming $1 - \sigma(a)$. The second isn't quite 0 either: beyond 20 PyTorch's `softplus` takes
# a shortcut and returns its input, which at $a = -30$ leaves out $\log(1 + e^{-30}) \approx 9.4\cdot10^{-14}$.
#
# ### Exercise 1 · The value, from logits  *(easy, 5 minutes)*
#
# Write $V$ as a function of the logits that $D$ gives to a batch of real points and to a batch of fakes. The batches may
# have different sizes. It must stay finite for logits of ±10 000. A net that ends in `nn.Linear(…, 1)` gives its logits in a column, $(n, 1)$;
# the value is one number all the same.
#
# <details><summary>Hint 1</summary>
#
# An expectation over a batch is a mean. There are two expectations, so there are two means.
# </details>
# <details><summary>Hint 2</summary>
#
# The first term is the mean of `F.logsigmoid` of the real logits. For the second, use $1-\sigma(a) = \sigma(-a)$.
# </details>

# %% solution="gan_value"
def gan_value(real_logits, fake_logits):
    """V(D, G) estimated on two batches.

    real_logits (n,) or (n, 1), fake_logits (m,) or (m, 1): D's logits of real points
    and of fakes; the nets of this lesson give columns. Returns a scalar tensor, of the shape ().
    """
    ### BEGIN SOLUTION
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()
    ### END SOLUTION

# %% check="gan_value"
check("gan_value")

# %% [markdown]
# See it at work on three discriminators. The undecided one gets $-\log 4$. A good one approaches 0 from below. A very
# confident one that has it backwards pays dearly, but a finite price:

# %%
for name, (real, fake) in {"undecided": (0.0, 0.0), "good": (4.0, -4.0),
                           "sure, and wrong": (-10_000.0, 10_000.0)}.items():
    print(f"{name:>16}: V = {gan_value(torch.tensor([real]), torch.tensor([fake])):.4f}")

# %% [markdown]
# ## 2 · The best possible discriminator
#
# Fix the generator. Which $D$ maximises $V$? Write both expectations as integrals over $x$. For the second this uses that
# $G(z)$ has the density $p_g$ when $z$ has the density $p_z$: that is what $p_g$ *means*.
#
# $$ V(D, G) = \int \underbrace{\Big[\, p_\text{data}(x) \log D(x) + p_g(x) \log\big(1 - D(x)\big) \Big]}_{\text{depends on } D \text{ only through the one number } D(x)} \, dx $$
#
# $D$ may be any function, so its value at each $x$ can be chosen freely, and the integral is largest when the bracket is
# largest at each $x$. That leaves a problem from school. For fixed $p, q \ge 0$, not both 0, maximise over $y \in (0, 1)$
#
# $$ f(y) = p \log y + q \log(1-y). $$
#
# *First derivative.* $\; f'(y) = \dfrac{p}{y} - \dfrac{q}{1-y} = \dfrac{p(1-y) - q y}{y(1-y)} = \dfrac{p - (p+q)\,y}{y(1-y)}$,
# which is positive for $y < \frac{p}{p+q}$, zero there, and negative beyond.
#
# *So* $f$ rises up to $y = \frac{p}{p+q}$ and falls after it: a maximum, the only one, and global. (If $p = 0$ or $q = 0$
# it is approached at an end of the interval, 0 or 1, and the formula gives that end.) *Second derivative*, for the record:
# $f''(y) = -p/y^2 - q/(1-y)^2 < 0$. Hence
#
# $$ \boxed{\; D^*_G(x) = \frac{p_\text{data}(x)}{p_\text{data}(x) + p_g(x)} \;} $$
#
# Where both densities are 0 the bracket is 0 whatever $D$ says; no data ever lie there, and any value will do. Don't take
# the proof's word for it. Try 9 999 values of $y$ and see which is best:

# %%
y = torch.linspace(0.0001, 0.9999, 9_999, dtype=torch.float64)
print("   p     q    best y of the 9 999   p/(p+q)")
for p, q in [(0.8, 0.2), (0.1, 0.3), (0.5, 0.5), (0.02, 1.7)]:
    value = p * y.log() + q * (1 - y).log()
    print(f"{p:4.2f}  {q:4.2f}   {y[value.argmax()]:16.4f}   {p / (p + q):10.4f}")

# %% [markdown]
# Now a case that the boxed formula doesn't cover. A popular trick, **label smoothing**, tells $D$ that a real point is real with
# probability $r$ only, say 0.9, and that a fake is real with probability $s$, usually 0. The score becomes
#
# $$ V_{r,s} = \mathbb{E}_{x\sim p_\text{data}}\big[r \log D + (1-r)\log(1-D)\big] + \mathbb{E}_{x\sim p_g}\big[s \log D + (1-s)\log(1-D)\big]. $$
#
# ### Exercise 2 · The optimum under smoothed labels, and back  *(medium, 15 minutes, with a pencil)*
#
# 1. `optimal_discriminator`: the $D$ that maximises $V_{r,s}$, as a function of the two densities. Where both densities are
#    0, answer ½.
# 2. `density_ratio`: the way back. A discriminator that was trained to that optimum gives the logit $a$ at some $x$. What is
#    $p_\text{data}(x)/p_g(x)$? With $r = 1, s = 0$ it should work for any logit from −50 to 200, in float64.
#
# <details><summary>Hint 1</summary>
#
# Collect what multiplies $\log D(x)$ and what multiplies $\log(1 - D(x))$ in the integrand. You have just maximised
# $A \log y + B\log(1-y)$.
# </details>
# <details><summary>Hint 2</summary>
#
# For the ratio, solve $\sigma(a) = D^*$ for $p/q$. You get $(\sigma(a) - s)/(r - \sigma(a))$. That subtracts numbers that are
# almost equal when $r = 1$ and $a$ is large. Multiply numerator and denominator by $1 + e^a$ and simplify.
# </details>

# %% solution="optimal_discriminator"
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    """The D that maximises V under smoothed labels.

    p_data, p_g: densities at the same points, tensors of one shape.
    real_target r, fake_target s: the probability of "real" that D is taught
    for real points and for fakes.
    Returns D*, a tensor of that shape; ½ where both densities are 0.
    """
    ### BEGIN SOLUTION
    total = p_data + p_g
    best = (real_target * p_data + fake_target * p_g) / torch.where(total > 0, total, 1)
    return torch.where(total > 0, best, 0.5)
    ### END SOLUTION


def density_ratio(logits, real_target=1.0, fake_target=0.0):
    """p_data/p_g at points where a discriminator at its optimum has these logits.

    logits: a tensor of any shape. Returns a tensor of that shape.
    """
    ### BEGIN SOLUTION
    odds = logits.exp()
    return ((1 - fake_target) * odds - fake_target) / (real_target - (1 - real_target) * odds)
    ### END SOLUTION

# %% check="optimal_discriminator"
check("optimal_discriminator")

# %% [markdown]
# What does smoothing do to a generator? Where there are only fakes, $D^*$ itself is flat with smoothing or without, close to $s$ (to 0,
# then, if $s = 0$). The difference shows in its logarithm, which the generator will climb (section 4). With $s = 0$ that is
# $\log r + \log\frac{p_\text{data}}{p_\text{data}+p_g}$: lowering $r$ shifts it by a constant, and its slope stays. With $s > 0$ it levels off at
# $\log s$, and the slope that would draw the fakes towards the data is gone. That is why practitioners smooth the real side only
# (Salimans et al. 2016). Data around 0, fakes around 8, and the slopes where the fakes are:

# %%
x = torch.tensor([7.99, 8.01], dtype=torch.float64)
for s in (0.0, 0.1):
    best = optimal_discriminator(torch.exp(-x**2 / 2), torch.exp(-(x - 8)**2 / 2), 0.9, s)
    print(f"s = {s}: slope of D* {(best[1] - best[0]) / 0.02:9.1e}, "
          f"of log D* {(best[1].log() - best[0].log()) / 0.02:9.1e}")

# %% [markdown] tags=["demo", "instructor"]
# ## The best discriminator
#
# Two players, one number: $D$ says how likely a point is real, and wants to be right; $G$ makes points, and wants $D$ to be wrong. Here both densities are known, so nobody has to train: the purple curve is the best $D$ there can be.
#
# > **Ask the room.** The orange hill sits exactly on the blue one. What does the best discriminator say, everywhere?
# >
# > Now slide them far apart. Where the orange points are, which way would *you* send them, by the purple curve alone? How steep is it there?

# %% tags=["demo"]
from course_lib.explore import gan_math as explore

explore.optimal_discriminator(optimal_discriminator)

# %% [markdown]
# ### Does training find it?
#
# $D^*$ is the best of *all* functions. A network with two hidden layers of 64, trained on samples, never sees a density. How close does
# it come? Two densities that we know, and 1 500 steps:

# %%
from matplotlib import pyplot as plt

from course_lib.style import BLACK, BLUE, GREEN, ORANGE, use_style

use_style()


def normal(x, mean, std):
    """The density of the normal distribution."""
    return torch.exp(-0.5 * ((x - mean) / std) ** 2) / (std * math.sqrt(2 * math.pi))


torch.manual_seed(0)
D = nn.Sequential(nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))
optimizer = torch.optim.Adam(D.parameters(), lr=3e-3)
decay = gan.linear_decay([optimizer], 1_500)
for step in range(1_500):
    real, fake = torch.randn(512, 1) * 0.8 - 1.0, torch.randn(512, 1) * 1.2 + 1.0
    loss = -gan_value(D(real), D(fake))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    decay(step)

x = torch.linspace(-5, 6, 400)
p, q = normal(x, -1.0, 0.8), normal(x, 1.0, 1.2)
best = optimal_discriminator(p, q)
with torch.no_grad():
    learned = torch.sigmoid(D(x[:, None])).squeeze()

figure, axes = plt.subplots(figsize=(8, 3.2))
axes.fill_between(x, p, color=BLUE, alpha=0.25, label=r"$p_{data}$")
axes.fill_between(x, q, color=ORANGE, alpha=0.25, label=r"$p_g$")
axes.plot(x, best, color=BLACK, label=r"$D^*$, by the formula")
axes.plot(x, learned, color=GREEN, linestyle="--", linewidth=2.5, label="$D$, by training")
axes.set(xlabel="x", ylim=(0, 1.05))
axes.legend(loc="upper right")
plt.show()
off = ((learned - best).abs() * (p + q) / (p + q).sum()).sum()
print(f"|D − D*|, averaged over where the data and the fakes are: {off:.3f}")
best_value = ((p * best.log() + q * (1 - best).log()) * (x[1] - x[0])).sum()
with torch.no_grad():
    reached = gan_value(D(torch.randn(100_000, 1) * 0.8 - 1.0),
                        D(torch.randn(100_000, 1) * 1.2 + 1.0))
print(f"value reached: {reached:.3f}; the greatest possible, V(D*, G): {best_value:.3f}")

# %% [markdown]
# Over the data the two agree to a few thousandths on average. Outside, where no sample ever falls, nothing holds the network to
# the formula.
#
# A discriminator at its optimum knows the **ratio of the densities**, although nobody told it either density. Read it back
# with your own function:

# %%
with torch.no_grad():
    ratio = density_ratio(D(x[:, None]).squeeze())
print("   x     p_data/p_g, true    from the network")
for i in (110, 150, 180, 200, 230):
    print(f"{x[i]:5.2f}   {p[i] / q[i]:16.3f}   {ratio[i]:16.3f}")

# %% [markdown]
# ### What chance accuracy proves
#
# A discriminator can serve as a statistical test of whether two samples come from the same distribution (Lopez-Paz & Oquab
# 2017): train it on one half of the data, count how often it is right on the other half. If the distributions are equal, $D$
# calls a fake real exactly as often as it does a real point, so its expected accuracy is ½ whatever it learned, and the standard deviation
# over $n$ held-out points is at most $\tfrac{1}{2\sqrt n}$. Much more than ½ is strong evidence of a difference. And ½? Three pairs of samples, two discriminators:

# %%
def two_sample_test(D, real, fake, steps=400):
    """Accuracy of D on held-out halves of `real` and `fake` (n, d), after training on the rest."""
    half = len(real) // 2
    optimizer = torch.optim.Adam(D.parameters(), lr=1e-2)
    for _ in range(steps):
        optimizer.zero_grad()
        (-gan_value(D(real[:half]), D(fake[:half]))).backward()
        optimizer.step()
    with torch.no_grad():
        return ((D(real[half:]) > 0).double().mean()
                + (D(fake[half:]) < 0).double().mean()).item() / 2


torch.manual_seed(0)
n = 4_000
pairs = {"same distribution": (torch.randn(n, 1), torch.randn(n, 1)),
         "shifted by 0.5": (torch.randn(n, 1), torch.randn(n, 1) + 0.5),
         "same mean, other shape": (
             torch.randn(n, 1), torch.sign(torch.randn(n, 1)) * (1 + 0.1 * torch.randn(n, 1)))}
print("±2 standard deviations around ½: "
      f"{0.5 - 1 / math.sqrt(n):.3f} … {0.5 + 1 / math.sqrt(n):.3f}")
for name, (real, fake) in pairs.items():
    linear = two_sample_test(nn.Linear(1, 1), real, fake)
    network = two_sample_test(nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 1)),
                              real, fake)
    print(f"{name:>24}: linear D {linear:.3f}, network {network:.3f}")
by_hand = ((real < 0.8).double().mean() + (fake > 0.8).double().mean()).item() / 2
print(f"on the last pair, the linear D with the logit 8 − 10x, set by hand: {by_hand:.3f}, "
      f"at V = {gan_value(8 - 10 * real, 8 - 10 * fake):.2f}")
print("You predicted for a discriminator at chance:", my_predictions["half right"],
      "- and it depends: on what D can express, and on what it is trained for")

# %% [markdown]
# The last pair is the point. The linear discriminator is at chance, and yet a small network tells the two apart almost nine times in ten.
# Even a linear one can do better than chance: the one set by hand does. But training climbs $V$ and not the accuracy, and the $V$ of that one is far
# below the $-1.386$ of a $D$ that always says ½. For the logit $wx + b$, the slopes of $V$ at $w = b = 0$ are
# $\tfrac12(\mathbb{E}_{p_\text{data}}[x] - \mathbb{E}_{p_g}[x])$ and $\tfrac12 - \tfrac12$. With equal means both are 0, and $V$ is concave in $(w, b)$: of all linear $D$, the
# undecided one has the greatest $V$. Chance accuracy says "*this* discriminator, with this training, sees nothing". It
# proves equality only if $D$ is the best of all functions, and that isn't something one measures.
#
# ## 3 · What the generator minimises
#
# Let $D$ be at its optimum. What is left for $G$, which wants $V$ low? Insert $D^*_G$, with $p = p_\text{data}$, $q = p_g$ for short, and let
# $m = \tfrac12(p+q)$ be the mixture of the two.
#
# $$ \max_D V = V(D^*_G, G) = \mathbb{E}_{p}\Big[\log \frac{p}{p+q}\Big] + \mathbb{E}_{q}\Big[\log \frac{q}{p+q}\Big]
#    \qquad \text{since } 1 - \frac{p}{p+q} = \frac{q}{p+q} $$
#
# $$ = \mathbb{E}_{p}\Big[\log \frac{p}{2m}\Big] + \mathbb{E}_{q}\Big[\log \frac{q}{2m}\Big]
#    = -2\log 2 + \underbrace{\mathbb{E}_{p}\Big[\log\frac{p}{m}\Big]}_{\mathrm{KL}(p\,\|\,m)} + \underbrace{\mathbb{E}_{q}\Big[\log\frac{q}{m}\Big]}_{\mathrm{KL}(q\,\|\,m)} $$
#
# The sum of these two divergences, halved, has a name: $\mathrm{JSD}(p\,\|\,q) = \tfrac12 \mathrm{KL}(p\|m) + \tfrac12\mathrm{KL}(q\|m)$,
# the Jensen–Shannon divergence. So
#
# $$ \boxed{\; V(D^*_G, G) = -\log 4 + 2\,\mathrm{JSD}(p_\text{data} \,\|\, p_g) \;} $$
#
# *Lower bound.* A KL divergence is never negative and is 0 only between equal distributions (Gibbs' inequality: by
# $\log t \le t - 1$, $-\mathrm{KL}(p\|m) = \mathbb{E}_p[\log\frac mp] \le \mathbb{E}_p[\frac mp - 1] \le 0$, with equality only for $m = p$). So $V(D^*_G, G) \ge -\log 4$, and it is
# reached exactly when $p_g = p_\text{data}$: **the one optimum of the game is the generator that is right.**
#
# *Upper bound.* $p \le p + q = 2m$, so $\log\frac pm \le \log 2$, the same for $q$, and $\mathrm{JSD} \le \log 2$. It is reached when $p$ and $q$ never overlap.
#
# To compute a JSD by quadrature (a sum over a fine grid) one needs care of the same kind as in section 1. Typing the
# formula in terms of $D^*$ works while the two densities are close. Slide them apart:

# %%
grid = torch.linspace(-8, 8, 1_601)
dx = grid[1] - grid[0]
for distance in (0.5, 1, 2, 4, 8):
    p, q = normal(grid, -distance / 2, 1.0), normal(grid, distance / 2, 1.0)
    d = p / (p + q)
    value = ((p * torch.log(d) + q * torch.log(1 - d)) * dx).sum()
    print(f"means {distance:3g} apart: V(D*, G) by the formula as typed = {value:.4f}")

# %% [markdown]
# Where $q$ is some seventeen million times smaller than $p$, $d$ rounds to 1 in float32 and $\log(1-d)$ to $-\infty$. Means four standard deviations
# apart are enough for that, somewhere on the grid. (On a wider grid, where $q$ itself rounds to 0, $0 \cdot (-\infty)$ makes it NaN.) The cure again: stay with
# logarithms. $\log p$ is harmless where $p$ is not ($\log$ of a normal density is a parabola), and $\log m$ follows from
# $\log p$ and $\log q$ by `torch.logaddexp`, which computes $\log(e^u + e^v)$ without leaving the logarithms.
#
# ### Exercise 3 · The Jensen–Shannon divergence  *(medium, 10 minutes)*
#
# Compute it from log-densities on a grid of spacing `dx`. A log-density may be $-\infty$ where a density is 0; there
# $0 \log 0$ counts as 0, as it does in the limit.
#
# <details><summary>Hint 1</summary>
#
# $\log m = \log(e^{\log p} + e^{\log q}) - \log 2$. The integrand of the first divergence is $p\,(\log p - \log m)$ with $p = e^{\log p}$.
# </details>
# <details><summary>Hint 2</summary>
#
# Where $p$ is 0, the product is $0 \cdot (-\infty - \dots)$, which is NaN, and you want 0: `torch.where(p > 0, p * (log_p - log_m), 0)`.
# </details>

# %% solution="jensen_shannon"
def jensen_shannon(log_p, log_q, dx):
    """JSD(p‖q) in nats, by quadrature.

    log_p, log_q (n,): log-densities on a grid of spacing dx, −inf where the
    density is 0. Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    log_m = torch.logaddexp(log_p, log_q) - math.log(2)

    def kl_from_mixture(log_density):
        density = log_density.exp()
        return (torch.where(density > 0, density * (log_density - log_m), 0) * dx).sum()

    return (kl_from_mixture(log_p) + kl_from_mixture(log_q)) / 2
    ### END SOLUTION

# %% check="jensen_shannon"
check("jensen_shannon")

# %% [markdown]
# Three independent witnesses: SciPy, the boxed identity, and the bound. (SciPy's `jensenshannon` is the *square root* of
# the divergence, a distance. Many a comparison has failed on that.)

# %%
from scipy.spatial.distance import jensenshannon as scipy_js_distance


def log_normal(x, mean, std):
    return -0.5 * ((x - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))


grid = torch.linspace(-20, 20, 8_001, dtype=torch.float64)
dx = (grid[1] - grid[0]).item()
print("distance   your JSD   SciPy²     (V(D*, G) + log 4)/2    log 2 = 0.6931")
for distance in (0.5, 1, 2, 4):
    log_p, log_q = log_normal(grid, -distance / 2, 1.0), log_normal(grid, distance / 2, 1.0)
    p, q = log_p.exp(), log_q.exp()
    optimal_logit = log_p - log_q        # D* = σ(log p − log q): the ratio of densities, once more
    value = ((p * F.logsigmoid(optimal_logit) + q * F.logsigmoid(-optimal_logit)) * dx).sum()
    print(f"{distance:8}   {jensen_shannon(log_p, log_q, dx):.6f}   "
          f"{scipy_js_distance(p, q)**2:.6f}   {(value + math.log(4)) / 2:.6f}")

# %% [markdown]
# Widen the grid to ±40 and run it again: SciPy, which is handed densities, says `inf` in three of the four rows, where the densities are about to vanish and their mean
# rounds to 0 before they do. Yours doesn't.
#
# ### A flat ceiling
#
# The bound $\log 2$ has a consequence (Arjovsky & Bottou 2017). Let the data be uniform on
# $[0, 1]$ and the fakes uniform on $[\theta, \theta + 1]$, and slide the fakes away:

# %%
def log_uniform(x, low):
    return torch.where((x >= low) & (x < low + 1), 0.0, -math.inf).double()


fine = torch.linspace(-4, 5, 9_001, dtype=torch.float64)
thetas = torch.linspace(-3, 3, 121)
values = [jensen_shannon(log_uniform(fine, 0.0), log_uniform(fine, t.item()), 0.001)
          for t in thetas]
figure, axes = plt.subplots(figsize=(8, 2.8))
axes.plot(thetas, values, color=BLUE)
axes.axhline(math.log(2), color=BLACK, linestyle=":", label="log 2")
axes.set(xlabel=r"$\theta$, how far the fakes are off", ylabel="JSD", ylim=(0, 0.8))
axes.legend(loc="lower right")
plt.show()

# %% [markdown]
# As soon as the two supports part, at $|\theta| \ge 1$, the divergence is $\log 2$ and stays there. A generator that is off by 1
# and one that is off by 3 are told the same, and the slope of $V$, which is all a generator of this game has to go by, is 0. Images fill a
# thin sheet in the space of all pixel values, and two thin sheets as a rule hardly overlap. So this case isn't exotic: it is where a GAN on images has to be expected to begin.
#
# ## 4 · Two losses for the generator
#
# $G$ moves only through the logits of its fakes, $a = $ the logit of $D$ at $G(z)$. Two losses to minimise are in use:
#
# $$ \text{saturating: } \; \mathbb{E}_z\big[\log(1 - D(G(z)))\big], \qquad\qquad \text{non-saturating: } \; -\mathbb{E}_z\big[\log D(G(z))\big]. $$
#
# The first is the part of $V$ that $G$ can change, the game as defined. The second was proposed in the same paper because of its gradient. Differentiate
# with respect to the logit, using $\sigma'(a) = \sigma(a)(1-\sigma(a))$:
#
# $$ \frac{\partial}{\partial a} \log(1 - \sigma(a)) = \frac{-\sigma(a)(1-\sigma(a))}{1-\sigma(a)} = -\sigma(a), \qquad
#    \frac{\partial}{\partial a} \big[-\log \sigma(a)\big] = \frac{-\sigma(a)(1-\sigma(a))}{\sigma(a)} = \sigma(a) - 1. $$
#
# Both are negative everywhere: both losses push the logits of the fakes up. They differ in *whom* they push. A hopeless fake has $a \ll 0$.
# There $\sigma(a) \approx 0$, so the first barely moves it and the second pushes with full force.
#
# **A sentence to be careful with.** One often reads: "early on $D(G(z))$ goes to 0, so $\log(1-D)$ is flat there". Look again. As a
# function of $D$ it isn't flat at all: $\frac{d}{dD}\log(1-D) = -\frac{1}{1-D} \to -1$. What goes to 0 is the *sigmoid's* slope,
# $\frac{dD}{da} = D(1-D)$. The product of the two is the $-\sigma(a)$ above. The loss isn't flat in $D$; $D$ is flat in $a$.
#
# ### Exercise 4 · Both losses  *(easy, 5 minutes)*
#
# From the logits of a batch of fakes, finite (with finite gradients) for logits of ±10 000.
#
# <details><summary>Hint 1</summary>
#
# You have both pieces from exercise 1.
# </details>
# <details><summary>Hint 2</summary>
#
# Saturating: the second term of $V$. It is negative, and the generator makes it more so. Non-saturating: mind the minus.
# </details>

# %% solution="generator_losses"
def saturating_loss(fake_logits):
    """E[log(1 − D(G(z)))] from the logits, (m,) or (m, 1), of fakes; a scalar tensor."""
    ### BEGIN SOLUTION
    return F.logsigmoid(-fake_logits).mean()
    ### END SOLUTION


def non_saturating_loss(fake_logits):
    """−E[log D(G(z))] from the logits, (m,) or (m, 1), of fakes; a scalar tensor."""
    ### BEGIN SOLUTION
    return -F.logsigmoid(fake_logits).mean()
    ### END SOLUTION

# %% check="generator_losses"
check("generator_losses")

# %%
print("logit a   D = σ(a)    |gradient|: saturating   non-saturating   ratio")
for value in (-10.0, -5.0, -2.0, 0.0, 2.0, 5.0, 10.0):
    a = torch.tensor([value], dtype=torch.float64, requires_grad=True)
    slow, = torch.autograd.grad(saturating_loss(a), a)
    fast, = torch.autograd.grad(non_saturating_loss(a), a)
    print(f"{value:7.0f}   {torch.sigmoid(a).item():.6f}   {abs(slow.item()):20.6f}   "
          f"{abs(fast.item()):14.6f}   {(fast / slow).item():8.4g}")
print("You predicted for D = 0.00005, which is a logit of about −10:",
      my_predictions["gradient factor"], "- and it is 20000")

# %% [markdown] tags=["demo", "instructor"]
# ## Two losses, one of them stuck
#
# The generator may *lower* $\log(1 - D)$ or *raise* $\log D$. Both want the same thing.
#
# > **Ask the room.** The discriminator is sure that a sample is fake, at a logit of −10. By what factor is one gradient larger than the other: 2, 100, 20 000?

# %% tags=["demo"]
explore.saturation(saturating_loss, non_saturating_loss)

# %% [markdown]
# Now see it happen. The data sit at $x \approx 4$, the generator is a bare shift, $G(z) = \theta + z/2$, and starts at $\theta = -4$. We let $D$
# become strong before $G$ may move at all, then let them alternate. Same start, same discriminator, one loss each. ($G$ takes plain gradient steps here: Adam would rescale even a tiny gradient.)

# %%
def shift_generator(generator_loss, steps=150):
    """The path of the shift θ under one generator loss, against a D that starts far too strong."""
    torch.manual_seed(1)
    theta = torch.tensor(-4.0, requires_grad=True)
    D = nn.Sequential(nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    opt_D, opt_G = torch.optim.Adam(D.parameters(), lr=1e-2), torch.optim.SGD([theta], lr=0.1)
    path = []
    for step in range(300 + steps):
        real, fake = 4 + torch.randn(256, 1) / 2, theta + torch.randn(256, 1) / 2
        opt_D.zero_grad()
        (-gan_value(D(real), D(fake.detach()))).backward()
        opt_D.step()
        if step >= 300:
            opt_G.zero_grad()
            generator_loss(D(fake)).backward()
            opt_G.step()
            path.append(theta.item())
    return path, -gan_value(D(real), D(fake)).item()


(stuck, loss_D), (moving, _) = shift_generator(saturating_loss), shift_generator(non_saturating_loss)
figure, axes = plt.subplots(figsize=(8, 2.8))
axes.plot(moving, color=BLUE, label="non-saturating")
axes.plot(stuck, color=ORANGE, linestyle="--", label="saturating")
axes.axhline(4, color=BLACK, linestyle=":", label="where the data are")
axes.set(xlabel="generator steps", ylabel=r"$\theta$")
axes.legend(loc="center right")
plt.show()
print(f"after 150 steps θ has moved by {stuck[-1] + 4:.4f} (saturating) "
      f"and by {moving[-1] + 4:.2f} (non-saturating); where it is stuck, D's loss is {loss_D:.0e}")

# %% [markdown]
# The saturating generator stands still. The other one arrives, overshoots and swings; section 6 is about that.
#
# ### What the non-saturating loss minimises
#
# Section 3 put $D^*_G$ into $V$, so its $-\log 4 + 2\,\mathrm{JSD}$ is what $G$ minimises with the *saturating* loss. For the other one, hold $D$ at the
# optimum for the fakes as they are, of density $q$, and let $q_\theta$ be their density as $G$ begins to move. By $\frac{p}{p+q} = \frac pq \cdot \frac{q}{p+q}$,
#
# $$ -\mathbb{E}_{q_\theta}\big[\log D^*\big] = \mathbb{E}_{q_\theta}\Big[\log\frac{q}{p}\Big] - \mathbb{E}_{q_\theta}\big[\log(1 - D^*)\big]. $$
#
# Take the slopes where $q_\theta = q$. The first term has that of $\mathrm{KL}(q_\theta\|p) = \mathbb{E}_{q_\theta}[\log\frac{q_\theta}{p}]$: letting the $q$ in the logarithm move too
# adds $\int q_\theta \nabla\log q_\theta = \nabla\!\int q_\theta = \nabla 1 = 0$. The last expectation is the saturating loss, with the slope of $2\,\mathrm{JSD}$: letting $D^*$
# follow adds nothing either, since $V$ has no slope in $D$ at its maximum. Hence (Arjovsky & Bottou 2017, Theorem 2.5)
#
# $$ \underbrace{\nabla_\theta\, \mathbb{E}_z\big[-\log D^*(G(z))\big]}_{D^* \text{ held}} = \nabla_\theta \big[\, \mathrm{KL}(p_g \,\|\, p_\text{data}) - 2\,\mathrm{JSD}(p_\text{data} \,\|\, p_g) \,\big]. $$
#
# The minus sign is less alarming than it looks: $\log\frac qp - \log\frac qm = \log\frac mp$, so the bracket is $\mathbb{E}_q[\log\frac mp] + \mathbb{E}_p[\log\frac mp] = 2\,\mathrm{KL}(m\|p)$,
# which again is 0 only for $p_g = p_\text{data}$. Data around 0, fakes around $\theta$, and the slopes in $\theta$ by small differences:

# %%
log_p, h = log_normal(grid, 0.0, 1.0), 1e-4
log_q = lambda t: log_normal(grid, t, 1.0)
log_m = lambda t: torch.logaddexp(log_p, log_q(t)) - math.log(2)
expected = lambda log_density, values: (log_density.exp() * values).sum() * dx
slope = lambda f, t: ((f(t + h) - f(t - h)) / (2 * h)).item()
two_jsd = lambda t: 2 * jensen_shannon(log_p, log_q(t), dx)

print("  θ   saturating       2 JSD   non-saturating   KL − 2 JSD   2 KL(m‖p)")
for theta in (0.5, 1.0, 2.0, 4.0):
    logit = log_p - log_q(theta)         # of D*, held while the fakes move
    print(f"{theta:3g}   {slope(lambda t: expected(log_q(t), F.logsigmoid(-logit)), theta):10.6f}   "
          f"{slope(two_jsd, theta):9.6f}   "
          f"{slope(lambda t: -expected(log_q(t), F.logsigmoid(logit)), theta):14.6f}   "
          f"{slope(lambda t: expected(log_q(t), log_q(t) - log_p) - two_jsd(t), theta):10.6f}   "
          f"{slope(lambda t: 2 * expected(log_m(t), log_m(t) - log_p), theta):9.6f}")

# %% [markdown]
# From $\theta = 2$ to 4 the saturating slope falls off, and the other one grows.
#
# ## 5 · Algorithm 1
#
# Here is the algorithm of the paper. For each round:
#
# 1. $k$ times: take a batch of real points $x$ and a batch of noise $z$; **one step up** the gradient of
#    $\tfrac1n\sum \log D(x) + \tfrac1m\sum\log(1 - D(G(z)))$ for the parameters of $D$, and of $D$ only.
# 2. Once: take a new batch of noise; **one step down** for the parameters of $G$, and of $G$ only. (We use the non-saturating loss.)
#
# It is ten lines of code, and each line has a way of being wrong that raises no error. The usual ones:
#
# * **Gradients in the wrong net.** `backward()` writes a gradient into *every* parameter that took part. The generator's
#   step goes *through* $D$ and leaves gradients there; the discriminator's step goes through $G$ unless something stops it.
# * **Gradients from last time.** `backward()` *adds*. A step must not depend on what it finds lying about.
# * **Labels the wrong way round.** Then both players pull the rope in the same direction.
# * **Statistics from the wrong batch.** With batch norm in $D$, one pass over real and fake together normalises each with the
#   statistics of both, which no later pass will see again. Real and fake go through $D$ separately (Chintala et al. 2016).
# * **A net in the wrong mode.** During training both nets stay in train mode, also the one that isn't being trained.
#
# ### Exercise 5 · One step of the discriminator  *(medium, 10 minutes)*
#
# Minimise $-V$, exactly: the sum of the two means, not half of it. Two forward passes through $D$. Whatever gradients were
# in $D$ before must not matter, and none must appear in $G$. Return the loss of the step as a number (`loss.item()`): a tensor that isn't detached would hold on to the whole graph.
#
# <details><summary>Hint 1</summary>
#
# `opt_D.zero_grad()`, the loss by `gan_value`, `backward()`, `opt_D.step()`.
# </details>
# <details><summary>Hint 2</summary>
#
# `G(z).detach()` cuts the graph between the fakes and $G$: the same values, no way back.
# </details>

# %% solution="discriminator_step"
def discriminator_step(D, G, opt_D, x, z):
    """One step of D up the value, on real points x (n, …) and noise z (m, …); G's parameters stay.

    D maps points to logits; opt_D holds D's parameters.
    Returns the loss −V before the step, a number or a detached tensor.
    """
    ### BEGIN SOLUTION
    loss = -gan_value(D(x), D(G(z).detach()))
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()
    ### END SOLUTION

# %% check="discriminator_step"
check("discriminator_step")

# %% [markdown]
# ### Exercise 6 · One step of the generator  *(medium, 5 minutes)*
#
# With the non-saturating loss. $D$'s parameters must come out as they went in, and each as free to learn as before. Return the loss as a number here too.
#
# <details><summary>Hint 1</summary>
#
# This time the gradient has to flow *through* $D$ into $G$. Nothing is detached.
# </details>
# <details><summary>Hint 2</summary>
#
# Gradients do end up in $D$'s parameters. That is no harm: `opt_G` doesn't know them, and your discriminator step clears
# them before it adds its own.
# </details>

# %% solution="generator_step"
def generator_step(D, G, opt_G, z):
    """One step of G down the non-saturating loss, on noise z (m, …); D's parameters stay.

    Returns the loss before the step, a number or a detached tensor.
    """
    ### BEGIN SOLUTION
    loss = non_saturating_loss(D(G(z)))
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()
    ### END SOLUTION

# %% check="generator_step"
check("generator_step")

# %% [markdown]
# The book *Dive into Deep Learning* has both steps as functions, `d2l.update_D` and `d2l.update_G`. Are yours the same? Almost: the
# book halves the discriminator's loss. With plain gradient descent, half the loss at twice the rate is the same step. So it
# should agree to the last digits (loading the book's package takes a few seconds):

# %%
import copy

from d2l import torch as d2l

torch.manual_seed(0)
D, G = gan.ring_discriminator().double(), gan.ring_generator().double()
book_D, book_G = copy.deepcopy(D), copy.deepcopy(G)
x, z = torch.randn(64, 2).double(), torch.randn(64, 2).double()
bce = nn.BCEWithLogitsLoss()

discriminator_step(D, G, torch.optim.SGD(D.parameters(), lr=0.1), x, z)
generator_step(D, G, torch.optim.SGD(G.parameters(), lr=0.1), z)
with torch.random.fork_rng():
    torch.set_default_dtype(torch.float64)      # the book builds its labels in the default type
    d2l.update_D(x, z, book_D, book_G, bce, torch.optim.SGD(book_D.parameters(), lr=0.2))
    d2l.update_G(z, book_D, book_G, bce, torch.optim.SGD(book_G.parameters(), lr=0.1))
    torch.set_default_dtype(torch.float32)

for name, mine, book in (("D", D, book_D), ("G", G, book_G)):
    difference = max((a - b).abs().max().item()
                     for a, b in zip(mine.parameters(), book.parameters()))
    print(f"{name}: largest difference between your parameters and the book's: {difference:.1e}")

# %% [markdown]
# ### Exercise 7 · The loop  *(easy, 5 minutes)*
#
# `steps` rounds of Algorithm 1. `real()` gives a fresh batch of real points and `noise()` a fresh batch of noise each time it is
# called; every step of either player gets its own. After each round, call `after_step(step, loss_D, loss_G)`, if there is one, with the
# number of the round from 0 and the two latest losses. The curves and pictures below live from it.
#
# Its check comes after the training below. Write it now.
#
# <details><summary>Hint 1</summary>
#
# A round is: `k` times `discriminator_step(D, G, opt_D, real(), noise())`, then once `generator_step(D, G, opt_G, noise())`.
# </details>

# %% solution="train_gan"
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    """Algorithm 1: `steps` rounds of k steps of D and one of G.

    real() → a batch of data, noise() → a batch of noise, fresh at each call.
    after_step(step, loss_D, loss_G): called after each round.
    """
    ### BEGIN SOLUTION
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step is not None:
            after_step(step, loss_D, loss_G)
    ### END SOLUTION

# %% [markdown]
# ### A ring of eight Gaussians
#
# The drosophila of GAN research: data with eight **modes**, evenly spaced on a circle of radius 2, each a small Gaussian of standard deviation 0.1.
# In two dimensions everything can be seen, and two numbers can be counted (as in Srivastava et al. 2017 and Lin et al. 2018):
#
# * **quality**: the share of samples within 3 standard deviations of a mode. The true distribution itself scores $1 - e^{-9/2} = 0.989$;
# * **modes**: how many of the eight have at least one such sample.
#
# You need both. A generator stuck on one mode can have perfect quality; one that sprays points everywhere finds all modes.
#
# The nets are two small MLPs with 128 hidden units in each of two layers. The optimiser is Adam at $2\cdot10^{-3}$ with $\beta_1 = 0$, since momentum makes two players
# overshoot (try 0.9 in the playground below). The rates are held for the first half and go down to 0 over the second.

# %% tags=["train"]
from course_lib.board import Board

torch.manual_seed(0)
D, ring_G, opt_D, opt_G = gan.ring_players(rate=2e-3, betas=(0.0, 0.99))
ring_steps = scale.pick(smoke=1_500, cpu=4_000)
show_noise = torch.randn(1_000, gan.RING_NOISE)
data = gan.ring(1_000)
decay = gan.linear_decay([opt_D, opt_G], ring_steps)

with Board("A ring of eight Gaussians", ring_steps) as board:
    def after_step(step, loss_D, loss_G):
        decay(step)
        board.after_step(step, loss_D, loss_G)
        if board.due():
            board.scatter(data, ring_G(show_noise).detach())

    train_gan(D, ring_G, opt_D, opt_G, lambda: gan.ring(gan.RING_BATCH),
              lambda: torch.randn(gan.RING_BATCH, gan.RING_NOISE), ring_steps,
              after_step=after_step)

with torch.no_grad():
    modes, quality = gan.count_modes(ring_G(torch.randn(4_000, gan.RING_NOISE)),
                                     gan.ring_modes(), gan.RING_SIGMA)
print(f"modes found: {modes} of 8, quality: {quality:.3f}")

# %% [markdown]
# | | modes | quality |
# |---|---|---|
# | published, GAN (Lin et al. 2018, Table 1; mean of 10 trials) | 6.3 ± 0.5 | 0.982 |
# | published, PacGAN2 (the same) | 7.9 | 0.956 |
# | a perfect sampler | 8 | 0.989 |
# | you should see, at 4 000 steps (50 seeds: least to greatest) | 8 | 0.958 to 0.974 |
# | yours | printed above | |
#
# The published rows are means of ten trials with other nets, other settings and narrower modes (the ± is a standard error). There, finding all modes cost
# a little quality.
#
# Now compare the picture with the *losses*. At the end they stand close to $\log 4 \approx 1.386$ and $\log 2 \approx 0.693$: the discriminator is at chance. And yet you can see streaks between
# the modes that the data don't have. It is the message of section 2 once more: *this* discriminator, with this training, sees nothing.

# %% check="ring"
check("ring")

# %% [markdown]
# Now turn the knobs. What happens with $\beta_1 = 0.9$? With the saturating loss? With $k = 5$, or a rate ten times as high?
# Bet before you press start. You will find that the loss curves tell you little, and the picture nearly everything.

# %% [markdown] tags=["demo", "instructor"]
# ## A ring of eight
#
# Eight small hills on a circle, and a net that has never seen a circle. Press Start.
#
# > **Ask the room,** before you press it. Will it find all eight at once, one after the other, or only some?
# >
# > Then: momentum ($\beta_1$) at 0.9; five steps of $D$ for one of $G$; ten times the rate; the saturating loss. Take bets on each before you move the slider.

# %% tags=["demo"]
explore.ring_playground(discriminator_step, generator_step, saturating_loss)

# %% [markdown]
# And a distribution of your own. Draw something with the mouse (or take a ready-made shape), press start, and watch your two steps learn it:

# %% [markdown] tags=["demo", "instructor"]
# ## Their own distribution
#
# > **Ask somebody** to draw. Their name, a face, two islands. What will the net find hard: thin lines, gaps, corners?

# %% tags=["demo"]
explore.draw_a_distribution(discriminator_step, generator_step)

# %% [markdown]
# ## 6 · Does it converge?
#
# Section 3 says where the optimum is. Nothing so far says that gradient steps get there: $\min_G\max_D$ was a statement about best
# responses, not about two players who each take a small step. The smallest GAN that shows the difference has one parameter
# on each side, the **Dirac-GAN** (Mescheder, Geiger & Nowozin 2018). The data are the single point 0, the generator's fake is the single
# point $\theta$, and the discriminator is linear, with the logit $\psi x$ at $x$. In the paper's convention ($D$ wants the logit high at
# the *fake*; nothing depends on it) the game is
#
# $$ L(\theta, \psi) = f(\psi\theta) + f(0), \qquad f(t) = -\log(1 + e^{-t}), \qquad f'(t) = \frac{e^{-t}}{1+e^{-t}} = \sigma(-t). $$
#
# $D$ goes up the gradient, $G$ goes down. By the chain rule, the directions in which they move are
#
# $$ v_\theta = -\frac{\partial L}{\partial\theta} = -\psi f'(\psi\theta), \qquad v_\psi = \frac{\partial L}{\partial\psi} = \theta f'(\psi\theta). $$
#
# At $(0, 0)$ both vanish: $\theta = 0$ is the right generator, and a flat discriminator can't object. It is the only equilibrium. But
# take the product with the position: $\theta v_\theta + \psi v_\psi = -\theta\psi f' + \psi\theta f' = 0$. **The motion is always at a right angle to
# the way home.** The players circle.
#
# Three things can be varied, the first two in the field:
#
# * *Non-saturating*: $G$ climbs $f(-\psi\theta)$ instead, so $v_\theta = -\psi f'(-\psi\theta)$.
# * *R1*: the discriminator pays $\frac\gamma2$ times its squared gradient at the data. Here $\partial(\psi x)/\partial x = \psi$, so it pays $\frac\gamma2\psi^2$, and $v_\psi$ gains $-\gamma\psi$.
# * *The order*: **simultaneous** steps move both from the same point. **Alternating** steps, as in Algorithm 1, move $D$ first, and $G$ answers the new $D$.
#
# ### Exercise 8 · The Dirac-GAN  *(medium, 10 minutes)*
#
# Write the field with the first two, and one step in *any* field `field(theta, psi)`, in both orders.
#
# <details><summary>Hint 1</summary>
#
# $f'(t) = \sigma(-t)$ is `torch.sigmoid(-t)`. The minimax player uses it at $t = \psi\theta$, the non-saturating one at $t = -\psi\theta$.
# </details>
# <details><summary>Hint 2</summary>
#
# Alternating: compute $\psi$'s step, update $\psi$, call `field` once more with the new $\psi$, and use its $v_\theta$.
# </details>

# %% solution="dirac_gan"
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    """(v_theta, v_psi): the directions in which the two players move.

    theta, psi: tensors of one shape. gamma: the weight of R1.
    """
    ### BEGIN SOLUTION
    slope = torch.sigmoid(-psi * theta)
    v_theta = -psi * (torch.sigmoid(psi * theta) if non_saturating else slope)
    return v_theta, theta * slope - gamma * psi
    ### END SOLUTION


def dirac_step(field, theta, psi, h, alternating=False):
    """(theta, psi) after one step of size h.

    field(theta, psi) → (v_theta, v_psi), the directions.
    alternating: psi moves first, and theta follows the field at the new psi.
    """
    ### BEGIN SOLUTION
    v_theta, v_psi = field(theta, psi)
    psi_next = psi + h * v_psi
    if alternating:
        v_theta, _ = field(theta, psi_next)
    return theta + h * v_theta, psi_next
    ### END SOLUTION

# %% check="dirac_gan"
check("dirac_gan")

# %% [markdown]
# Now 500 steps of size 0.2 from $(1, 1)$. How far from the equilibrium do they end? The start is at $\sqrt2 \approx 1.414$.

# %%
from functools import partial


def dirac_path(field, steps=500, h=0.2, alternating=False):
    """The path (steps + 1, 2) of (theta, psi) from (1, 1)."""
    theta = psi = torch.tensor(1.0, dtype=torch.float64)
    path = [(theta, psi)]
    for _ in range(steps):
        theta, psi = dirac_step(field, theta, psi, h, alternating)
        path.append((theta, psi))
    return torch.tensor(path)


fields = {"GAN": dirac_field, "non-saturating": partial(dirac_field, non_saturating=True),
          "R1, γ = 0.3": partial(dirac_field, gamma=0.3),
          "R1, γ = 1": partial(dirac_field, gamma=1.0)}
print(f"{'after 500 steps':>16}   simultaneous   alternating")
for name, field in fields.items():
    ends = [dirac_path(field, alternating=order)[-1].norm().item() for order in (False, True)]
    print(f"{name:>16}   {ends[0]:12.3g}   {ends[1]:11.3g}")
print("You predicted for two players who step at the same time:", my_predictions["two players"],
      "- and it is further away")

# %% [markdown]
# | from the reference implementation, same settings | simultaneous | alternating ($D$ first) |
# |---|---|---|
# | GAN | 3.10 | 1.41 |
# | non-saturating | 0.64 | 0.27 |
# | R1, γ = 0.3 | 2.6e-6 | 2.4e-7 |
# | R1, γ = 1 | 9.5e-22 | 8.5e-17 |
#
# Plain simultaneous steps on the GAN end *further away* than they began: each step leaves the circle along its tangent, to the outside. Alternating
# steps stay close to the circle. R1 spirals in quickly at $\gamma = 0.3$, and comes in without a turn at $\gamma = 1$. Why, one can compute. Near the equilibrium $f'\approx\tfrac12$ and the
# field is linear, $v = J\,(\theta, \psi)^\top$ with
#
# $$ J = \begin{pmatrix} 0 & -\tfrac12 \\ \tfrac12 & -\gamma \end{pmatrix}, \qquad
#    \det(J - \lambda I) = \lambda(\lambda + \gamma) + \tfrac14 = 0 \;\Longrightarrow\; \lambda = -\frac\gamma2 \pm \sqrt{\frac{\gamma^2}{4} - \frac14}. $$
#
# Without R1, $\lambda = \pm \tfrac i2$: purely imaginary, a rotation. One simultaneous step multiplies by $I + hJ$, whose eigenvalues have modulus
# $\sqrt{1 + h^2/4} > 1$ for *every* $h$: no step size helps. With $\gamma > 0$ the real part is negative, and at $\gamma = 1$ the root vanishes:
# critical damping. (Alternating steps have eigenvalues of their own: without R1 their modulus is 1, and at $\gamma = 1$, $h = 0.2$ the larger is 0.927, where simultaneous steps
# have 0.9. Hence 8.5e-17 in the table and not 9.5e-22.) Numbers, from the Jacobian of your own field (the non-saturating one has the same $J$ as the plain GAN: its pull inwards is of higher order):

# %%
zero = torch.tensor(0.0, dtype=torch.float64)
print("   γ    eigenvalues of J, computed          by the formula              |1 + hλ| at h = 0.2")
for gamma in (0.0, 0.3, 1.0, 1.5):
    J = torch.stack([torch.stack(row) for row in torch.autograd.functional.jacobian(
        lambda t, p: dirac_field(t, p, gamma), (zero, zero))])
    computed = torch.linalg.eigvals(J)
    formula = -gamma / 2 + torch.tensor([1, -1]) * torch.sqrt(
        torch.tensor(gamma**2 / 4 - 0.25, dtype=torch.complex128))
    ordered = lambda values: sorted(
        (complex(round(v.real, 3) + 0.0, round(v.imag, 3) + 0.0) for v in values.tolist()),
        key=lambda v: (v.real, v.imag))
    show = lambda values: ", ".join(f"{v.real:+.3f}{v.imag:+.3f}i" for v in ordered(values))
    print(f"{gamma:5.1f}   {show(computed)}    {show(formula)}    "
          f"{(1 + 0.2 * computed).abs().max():.5f}")

# %% [markdown]
# And the non-saturating loss? Multiply its field with the position again, with $t = \psi\theta$: $\;\theta v_\theta + \psi v_\psi = t\,(\sigma(-t) - \sigma(t)) = -t \tanh\frac t2 \le 0$. It does pull
# inwards, but near the equilibrium weakly, like $-\frac12 t^2$; on a circle of radius $\rho$ that is $-\frac{\rho^4}{16}$ on average. A simultaneous step of size $h$ changes $\rho^2$ by $2h$ times that, and by $+h^2 \rho^2/4$ for
# leaving along the tangent. The two balance at $\rho^2 = 2h$. So the simultaneous non-saturating run isn't on its way home; at $\rho = \sqrt{0.4} = 0.632$ it has settled:

# %%
for steps in (500, 2_000, 20_000):
    ends = [dirac_path(fields["non-saturating"], steps, alternating=order)[-1].norm().item()
            for order in (False, True)]
    print(f"non-saturating after {steps:6,} steps: simultaneous {ends[0]:.3f}, "
          f"alternating {ends[1]:.3f}")

# %% [markdown] tags=["demo", "instructor"]
# ## Does it converge?
#
# The smallest GAN there is: one number $\theta$ for the generator, one number $\psi$ for the discriminator, and the only equilibrium in the middle.
#
# > **Ask the room.** Both follow their gradients in small steps. After 500 steps, are they at the equilibrium, closer to it, or further away?
# >
# > Will a smaller step cure it? What does a little R1 do ($\gamma$ = 0.3)? And $\gamma$ = 1?

# %% tags=["demo"]
explore.dirac_gan(dirac_field, dirac_step)

# %% [markdown]
# A GAN with two million parameters has two million eigenvalues, and the same question is asked of each. R1 is what StyleGAN2, for one,
# was trained with (Karras et al. 2020; the sequel of this lesson, on making GANs train, goes on from here).
#
# ## 7 · Handwritten digits
#
# Your steps know nothing about rings. They take any $D$, any $G$ and any data. Now the data are 4 000 handwritten digits, and since we want to
# dial a number, we want to choose *which* digit comes out: a **conditional** GAN (Mirza & Osindero 2014). Does that need new steps? No:
#
# * A real example is the pair (image, label), written as one longer vector: 784 pixels, then 10 numbers that are 0 but for a 1 at the label.
# * The noise is a pair too: 16 normal numbers, then a label. $G$ paints an image *for that label* and passes the label on.
# * $D$ judges pairs: is this a real image *with its own label*?
#
# So a conditional GAN is a GAN on pairs. Everything you proved holds, with $x$ read as (image, label), on one condition: $G$ passes its labels on as they
# are, so $p_g = p_\text{data}$ is within its reach only if the labels in the noise are distributed as those of the data. Here they are: 400 images of each
# digit (counted before training, below), and `gan.digit_noise` draws the ten labels evenly.
#
# ### Exercise 9 · Images with their labels  *(easy, 5 minutes)*
#
# The generator ends in a tanh, so its pixels lie in $[-1, 1]$; the images come with pixels in $[0, 1]$. If the real ones stayed there, $D$ would
# need to look no further.
#
# Its check comes after the training below, which takes whatever you give it. So look at one pair before you train.
#
# <details><summary>Hint 1</summary>
#
# `images.flatten(1)` makes rows of 784; `F.one_hot(labels, 10)` makes the label part (as integers: convert them); `torch.cat(…, dim=1)` joins.
# </details>

# %% solution="labelled"
def labelled(images, labels):
    """Pairs (image, label) as vectors.

    images (n, 1, 28, 28) in [0, 1], float32, labels (n,) int64 in 0…9
    → (n, 794), float32: 784 pixels in [−1, 1], then the label, one-hot.
    At the end of the section come images of other shapes: don't rely on 784.
    """
    ### BEGIN SOLUTION
    return torch.cat([2 * images.flatten(1) - 1, F.one_hot(labels, 10).to(images.dtype)], dim=1)
    ### END SOLUTION

# %%
pair = labelled(torch.zeros(1, 1, 28, 28), torch.tensor([7]))
print(f"{tuple(pair.shape)}, {pair.dtype}; values of the pixels: {pair[0, :784].unique().tolist()}")
print("label:", pair[0, 784:].tolist())

# %% [markdown]
# A black image with the label 7 should come out as one row of 794 numbers of the type `torch.float32`, with −1 for all pixels, and ten numbers of which the eighth is 1. If it does, train
# it. Samples appear as they get better, one row for each digit class; the generator shown is a moving average of the weights, which is calmer than the generator itself.

# %% tags=["train"]
from course_lib.data import load_images

digits = load_images("digits")
print("images of each digit:", digits.labels.bincount().tolist())
pairs = labelled(digits.images, digits.labels)

torch.manual_seed(0)
D, G, opt_D, opt_G = gan.digit_players()
digit_steps = scale.pick(smoke=300, cpu=1_200)
decay, average = gan.linear_decay([opt_D, opt_G], digit_steps), gan.WeightAverage(G)
show_noise = gan.digit_noise(100, labels=torch.arange(10).repeat_interleave(10))

with Board("Handwritten digits", digit_steps) as board:
    def after_step(step, loss_D, loss_G):
        decay(step)
        average.update()
        board.after_step(step, loss_D, loss_G)
        if board.due():
            board.images(average.net(show_noise), columns=10)

    train_gan(D, G, opt_D, opt_G, lambda: pairs[torch.randint(len(pairs), (gan.DIGIT_BATCH,))],
              lambda: gan.digit_noise(gan.DIGIT_BATCH), digit_steps, after_step=after_step)
digit_G = average.net

# %% [markdown]
# ### How good is it?
#
# There are many scores and none that settles it. The usual one, the **Fréchet distance**, compares two sets of images in the features of a classifier
# (Heusel et al. 2017): fit a Gaussian to the features of each set, and take $\lVert\mu_1-\mu_2\rVert^2 + \operatorname{tr}\big(\Sigma_1+\Sigma_2-2(\Sigma_1\Sigma_2)^{1/2}\big)$. Ours is a small classifier
# trained on these very digits, so these numbers can be compared with each other and with nothing else. Beside it, a plainer one: how often does the
# classifier read the digit that was ordered?

# %% tags=["train"]
from course_lib import frechet

test = load_images("digits", "test")
noise = gan.digit_noise(1_000)
wanted = noise[:, gan.DIGIT_NOISE:].argmax(1)
with torch.no_grad():
    drawn = digit_G(noise)[:, :784].reshape(-1, 1, 28, 28) / 2 + 0.5
    torch.manual_seed(5)
    untrained = gan.DigitGenerator().eval()(noise)[:, :784].reshape(-1, 1, 28, 28) / 2 + 0.5
memorised = digits.images[39 * torch.arange(100)].repeat(10, 1, 1, 1)
to_test = lambda images: frechet.frechet_distance(frechet.features(images),
                                                  frechet.features(test.images))
copied = torch.randperm(len(digits.images))[:1_000]
print(f"{'1 000 training images, copied':>42}: {to_test(digits.images[copied]):8.1f}")
print(f"{'yours':>42}: {to_test(drawn):8.1f}")
print(f"{'100 memorised training images, 10 times each':>42}: {to_test(memorised):8.1f}")
print(f"{'an untrained generator':>42}: {to_test(untrained):8.1f}")
print("The classifier reads the digit that was ordered in "
      f"{100 * frechet.accuracy(drawn, wanted):.1f} % of yours.")

# %% [markdown]
# | | Fréchet distance | ordered digit is read |
# |---|---|---|
# | 1 000 training images, copied | 3.4 | |
# | you should see, at 1 200 steps | about 4 to 11 (50 seeds, of one draw each: least, median, greatest 5.0, 6.5, 10.3; from draw to draw one net differs by about 2) | 95 to 99 % |
# | 100 memorised images | about 16 | |
# | an untrained generator | 1 200 to 1 300 | about 10 % |
#
# Don't compare these with published distances: those are measured in the features of a large net trained on photographs, and depend on the number of
# images. (For orientation: on all of MNIST and by that other ruler, the non-saturating GAN reached 6.8 with the best of many settings; Lucic et al. 2018.)
#
# Look at the first line. It is what a "generator" gets that only copies training images, and it beats yours. Even 100 of them, repeated, are some eighty times nearer than an untrained generator.
# The distance compares means and covariances; it can't tell drawing from copying. So also look at the pictures, and at the training image nearest to each:

# %% tags=["train"]
distance, nearest = torch.cdist(drawn[:10].flatten(1), digits.images.flatten(1)).min(1)
figure, axes = plt.subplots(2, 10, figsize=(9, 2.1))
for i in range(10):
    axes[0, i].imshow(drawn[i, 0])
    axes[1, i].imshow(digits.images[nearest[i], 0])
for row, title in zip(axes, ("drawn by your net", "the nearest of the 4 000 training images")):
    row[0].set_title(title)
for each in axes.flat:
    each.set_axis_off()
plt.show()
apart = torch.cdist(digits.images[:500].flatten(1), digits.images.flatten(1))
within = apart.topk(2, largest=False).values[:, 1]
print(f"distance to the nearest training image: {distance.mean():.1f} for drawn digits, "
      f"{within.mean():.1f} between training images themselves")

# %% [markdown]
# The two figures tell whether the net has copied. A copy would lie at distance 0, or close to it. If drawn digits lie as far from the training images as those lie from one another, or further,
# they aren't copies, pixel by pixel; whether they are good digits, this doesn't say.

# %% check="digits"
check("digits")

# %% [markdown]
# ### Dial
#
# Your own phone number, please, in handwriting that didn't exist a minute ago.

# %%
explore.dial(digit_G)

# %% [markdown] tags=["demo", "instructor"]
# ## Handwriting that nobody wrote
#
# The same two steps, on 4 000 handwritten digits. Each column of the picture is one digit, asked for by its label. Let it train, and dial a number at any time: the net draws as well as it can by then.
#
# > **Ask the room.** After how many steps can you read it? Is the loss of any help to tell?

# %% tags=["demo", "instructor"]
from course_lib.data import load_images
from course_lib.explore.live import live_run

digits = load_images("digits")
digit_pairs, dialled = labelled(digits.images, digits.labels), gan.DigitGenerator()


def train_digits(board):
    """The lesson's own training; `dialled` gets the weights whenever the picture does."""
    torch.manual_seed(0)
    D, G, opt_D, opt_G = gan.digit_players()
    decay, average = gan.linear_decay([opt_D, opt_G], board.total), gan.WeightAverage(G)
    shown = gan.digit_noise(50, labels=torch.arange(10).repeat(5))

    def after_step(step, loss_D, loss_G):
        decay(step)
        average.update()
        if board.due():
            board.images(average.net(shown), columns=10)
            dialled.load_state_dict(average.net.state_dict())
        board.after_step(step, loss_D, loss_G)

    train_gan(D, G, opt_D, opt_G,
              lambda: digit_pairs[torch.randint(len(digit_pairs), (gan.DIGIT_BATCH,))],
              lambda: gan.digit_noise(gan.DIGIT_BATCH), board.total, after_step=after_step)


live_run("Handwritten digits", train_digits, steps=1_200, curves=("loss D", "loss G"), panels=1)

# %% tags=["demo", "instructor"]
explore.dial(dialled, "0123456789")

# %% [markdown]
# And now you are the discriminator. One of the two is real. Your score comes with its uncertainty: you know from section 2 what it would take to *prove*
# that you can see a difference, and what it would mean if you can't.

# %%
explore.be_the_discriminator(test.images, drawn)

# %% [markdown]
# ### Larger pictures, with a GPU
#
# The same three functions train a DCGAN (Radford, Metz & Chintala 2016) on colour photographs: nets of four layers, three of them (transposed) convolutions, instead of two small ones. On a machine
# with a GPU the next cell does that on CIFAR-10; on a CPU it would take hours, so there it says so and stops. (We have not measured this part on a GPU yet; no figures are promised.)

# %% tags=["train"]
if scale is Scale.GPU:
    from course_lib import dcgan

    photos = load_images("cifar10", size=32, fallback="digits")
    photo_pairs = labelled(photos.images, photos.labels).to(scale.device)
    torch.manual_seed(0)
    D, G, opt_D, opt_G = dcgan.image_players(photos.images.shape[1], device=scale.device)
    photo_noise = lambda n, labels=None: dcgan.image_noise(n, labels, device=scale.device)
    average, shown = gan.WeightAverage(G), photo_noise(100, torch.arange(10).repeat_interleave(10))
    with Board(f"{photos.name}, {len(photos):,} images", 20_000) as board:
        def after_step(step, loss_D, loss_G):
            average.update()
            board.after_step(step, loss_D, loss_G)
            if board.due():
                board.images(average.net(shown)[:, :-10].reshape(-1, *photos.images.shape[1:]),
                             columns=10)

        train_gan(D, G, opt_D, opt_G,
                  lambda: photo_pairs[torch.randint(len(photo_pairs), (128,), device=scale.device)],
                  lambda: photo_noise(128), 20_000, after_step=after_step)
else:
    print("There is no GPU here; nothing is lost for the rest of the lesson.")

# %% [markdown]
# ## 8 · Broken on purpose
#
# A colleague shows you the curves of a new run on the ring. "The generator's loss falls and falls. It's winning! Best GAN I have ever trained."
# Run the cell, look at the *curves only* (they come first), and decide: what do you expect the samples to look like? Then run the next cell.

# %% tags=["train"]
torch.manual_seed(0)
D, G = gan.ring_discriminator(), gan.ring_generator()
opt_D = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.0, 0.99))
opt_G = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.0, 0.99))
history = []
D_before, G_before = copy.deepcopy(D.state_dict()), copy.deepcopy(G.state_dict())
train_gan(D, G, opt_D, opt_G, lambda: gan.ring(gan.RING_BATCH),
          lambda: torch.randn(gan.RING_BATCH, gan.RING_NOISE), 600,
          after_step=lambda step, loss_D, loss_G: history.append((loss_D, loss_G)))

figure, axes = plt.subplots(figsize=(8, 2.8))
axes.plot([d for d, _ in history], color=BLUE, label="loss of D")
axes.plot([g for _, g in history], color=ORANGE, linestyle="--", label="loss of G")
axes.set(xlabel="step", ylabel="loss", yscale="log")
axes.legend()
plt.show()

# %%
with torch.no_grad():
    samples = G(torch.randn(1_000, gan.RING_NOISE))
print("modes found and quality:", gan.count_modes(samples, gan.ring_modes(), gan.RING_SIGMA))
print(f"centre of the samples: ({samples[:, 0].mean():.0f}, {samples[:, 1].mean():.0f}); "
      "that of the ring is (0, 0), and its radius 2")

# %% [markdown]
# Which of these is it? Decide, and name the evidence you would look for. Then run the next cell.
#
# * the labels are swapped
# * the discriminator never learns
# * the generator has collapsed to one mode
# * the gradients are never cleared

# %%
moved = lambda before, net: max((before[name] - value).abs().max().item()
                                for name, value in net.state_dict().items())
print(f"largest change of a parameter in the run: {moved(D_before, D):.3g} in D, "
      f"{moved(G_before, G):.3g} in G")

# %% [markdown]
# <details><summary>The answer</summary>
#
# $D$ has never moved. Look at the line that makes `opt_D`: it was given the parameters of $G$. The generator then plays against a
# frozen opponent, finds a direction in which that opponent's logit grows without end, and walks off in it. Its loss goes to 0; so does its use. A falling
# generator loss says that $G$ gets better *against this D*, and nothing about the data. The other curve is the one that gives it away: $D$'s loss rises from $\log 4$ to about 12. Saying ½ to everything
# would cost $\log 4$, so a $D$ that pays far more, and ever more, isn't learning. ($D$'s gradients do pile up, since `opt_D` doesn't hold them and can't clear them; but nothing uses them.)
# </details>
#
# ## 9 · In your own words
#
# A **Nash equilibrium** is a state in which no player can do better by changing only what is theirs.
#
# In 100 to 200 words: what is it that the two players have reached when the GAN of this lesson is at one, and which values do the two losses of Algorithm 1 have there? Then: you watch a training run
# and see only the two loss curves. Name one thing that they can tell you and one that they can't, each with a run of this notebook as evidence.
#
# <details><summary>What a good answer has in it</summary>
#
# What $p_g$ and $D$ are at the equilibrium, and why neither can do better alone. Two numbers. Two observations, each tied to a run that you can point to.
# </details>

# %% [markdown] answer="nash" points=2
# ### BEGIN SOLUTION
# At a Nash equilibrium neither player can do better by changing only their own parameters. Here that is a generator with $p_g = p_\text{data}$ and a discriminator that says ½
# wherever there are data, and nowhere more (the simplest says ½ everywhere): against such a generator no $D$ reaches a higher $V$ than $-\log 4$, and against such a $D$ no fake, wherever $G$ puts it, is called real with more than ½. The discriminator's loss $-V$ is then
# $\log 4 \approx 1.386$ and the generator's non-saturating loss $\log 2 \approx 0.693$; neither is at its smallest possible value.
#
# The curves can tell that one player has won: when $D$'s loss goes to 0, as in section 4, the fakes are recognised and a saturating generator stops moving. They can't tell how good the
# samples are. In section 8 the generator's loss fell to almost 0 while its samples ran away from the ring, because the discriminator never learned; and on the ring both losses were nearly flat while
# the picture went from a blob to eight modes, with streaks between them.
# ### END SOLUTION

# %% [markdown] tags=["instructor"]
# **Rubric (2 points, halves allowed).**
#
# * ½ · Nash equilibrium: neither player can improve by changing their own parameters alone. Here: $p_g = p_\text{data}$ and $D = ½$ on the data (and nowhere above, but don't insist).
# * ½ · The losses there: $\log 4 \approx 1.386$ for D's $-V$ and $\log 2 \approx 0.693$ for G's non-saturating loss.
# * ½ · What curves can tell, with evidence: e.g. that D has won (its loss near 0, section 4), or that a player isn't learning (section 8).
# * ½ · What they can't: quality, coverage, even progress, with evidence: e.g. section 8 (G's loss falls to 0, useless samples), the ring
#   (flat losses while the picture improves), chance accuracy of a weak D (section 2), circling in the Dirac-GAN (section 6).
#
# A wrong answer to expect: "both losses are minimal". At the equilibrium neither is: D's loss is as high as a good D's can be.

# %% [markdown]
# ## What to remember
#
# 1. From logits, never from probabilities: `logsigmoid(a)` and `logsigmoid(-a)`.
# 2. The best $D$ is $p_\text{data}/(p_\text{data}+p_g)$; its logit is the log of the density ratio. With it, $G$ minimises $-\log 4 + 2\,\mathrm{JSD}$ with the
#    saturating loss, and with the non-saturating one follows the slope of $\mathrm{KL}(p_g\|p_\text{data}) - 2\,\mathrm{JSD}$.
# 3. The JSD is flat where the supports don't overlap. The non-saturating loss keeps a gradient where the saturating one has none, because of the sigmoid.
# 4. Algorithm 1 is ten lines with five silent traps. Test a step by its effect on parameters, not by whether it runs.
# 5. The right optimum doesn't make the road converge. Plain simultaneous steps spiral out of the Dirac-GAN; R1 brings them home.
# 6. Scores can be fooled and losses don't say what you think. Look at samples, and count.
#
# ## What to try next
#
# * Add R1 to your own discriminator step and find a rate on the ring at which only the R1 run survives.
# * Give the two-sample test the digits: real against drawn. Can a small convolutional net see the difference? Can it with only 100 images of each?
# * Train the digits with `saturating_loss`. We measured no difference in the final score. Why, when section 4 was so clear?
#
# ## Sources
#
# * Goodfellow et al. (2014), *Generative adversarial nets*, NeurIPS. The game, the best discriminator (Proposition 1), the least value −log 4 (Theorem 1), Algorithm 1.
# * Arjovsky & Bottou (2017), *Towards principled methods for training generative adversarial networks*, ICLR. Disjoint supports, the slope of the non-saturating loss.
# * Mescheder, Geiger & Nowozin (2018), *Which training methods for GANs do actually converge?*, ICML. The Dirac-GAN, R1.
# * Karras et al. (2020), *Analyzing and improving the image quality of StyleGAN*, CVPR. StyleGAN2, trained with R1.
# * Lopez-Paz & Oquab (2017), *Revisiting classifier two-sample tests*, ICLR.
# * Salimans et al. (2016), *Improved techniques for training GANs*, NeurIPS. One-sided label smoothing.
# * Srivastava et al. (2017), *VEEGAN*, and Lin et al. (2018), *PacGAN*, NeurIPS. Counting modes.
# * Heusel et al. (2017), *GANs trained by a two time-scale update rule*, NeurIPS. The Fréchet distance.
# * Mirza & Osindero (2014), *Conditional generative adversarial nets*.
# * Radford, Metz & Chintala (2016), *Unsupervised representation learning with deep convolutional generative adversarial networks*, ICLR. DCGAN.
# * Lucic et al. (2018), *Are GANs created equal?*, NeurIPS. Published Fréchet distances.
# * Chintala et al. (2016), *How to train a GAN? Tips and tricks*. Separate batches.
# * Zhang, Lipton, Li & Smola, *Dive into Deep Learning*, chapter on generative adversarial networks (`d2l.update_D`, `d2l.update_G`).
