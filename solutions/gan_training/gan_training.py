# ---
# jupyter:
#   course:
#     title: Making GANs train
#     minutes: 270
#     builds_on: [gan_math]
#     place: 2
#     cover: train-ends-torch-randn-2-6-gan-images-noise
#     common:
#       - values, vectors = torch.linalg.eigh(cov_a)
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Making GANs train
#
# The lesson on the mathematics of GANs ended with small nets that were given to you. Now you build them yourself, and then you meet the advice: use tanh, don't pool, smooth the labels, use Wasserstein,
# penalise the gradient, watch this curve, never stop early. Some of it is a theorem, some was true in 2016, and some is folklore. In this notebook each piece is put to a test: the same data, the same budget,
# several seeds, a table.
#
# | you build | by |
# |---|---|
# | a DCGAN: generator, discriminator, initialisation | weights that agree with the reference to ten digits |
# | one round of the game, for any objective | the same; then digits, about a quarter of a minute on one CPU core |
# | a monitor that tells a slow run from a dead one | histories that it hasn't seen |
# | smoothed and flipped labels, and classes for both players | proofs, then exact checks |
# | three other objectives, two penalties, spectral norm | closed forms, and torch's own |
# | packing, against mode collapse | counting modes, after a training of some seconds |
# | the Fréchet distance | closed forms |
#
# **What it takes.** About four and a half hours at the keyboard, in as many sittings as you like; on one CPU core some three minutes of training in all. (Section 9 is for a machine with a GPU.) You should have done `gan_math`, or know what $D^* = p_\text{data}/(p_\text{data}+p_g)$ is and why generators don't minimise $\log(1-D)$.
#
# **How it works.** As before: write code where it says `YOUR CODE HERE`, run the `check` below, as often as you like, and use no SciPy or the like in your solutions, since it isn't there where they are graded. Where a number stands in the text, it was measured, and the command that measured it is named (it is in the course's repository, not in your copy); what is quoted has its source.

# %% tags=["setup"]
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import current_scale, frechet, gan, gan_images, gan_recipes, start

check = start("gan_training")
scale = current_scale()

# %% [markdown]
# ### Commit yourself first
#
# Four predictions. Replace each `"?"`; there are no points for being right, and you meet each again where it is measured.
#
# 1. You smooth the targets of real images only, from 1 to 0.9, and train $D$ to its optimum. How does the gradient change that the (non-saturating) generator gets? (`"smaller"`, `"larger"`, `"not at all"`)
# 2. DCGANs of width 4, 8, 16 and 32, the same number of steps. What does the distance to real digits do from 16 to 32? (`"falls"`, `"stays"`, `"rises"`)
# 3. A tenth of all labels that $D$ is shown are flipped at random. On average over the flips, which loss does it minimise? (`"the usual one"`, `"a smoothed one"`, `"something else"`)
# 4. A "generator" that shows the same 100 training images again and again, or one that draws new digits, half of them hard to read. Which has the better Fréchet distance? (`"the copies"`, `"the new ones"`)

# %%
my_predictions = {"smoothing": "?", "width": "?", "flips": "?", "copies": "?"}

# %% [markdown]
# ## 1 · A DCGAN by hand
#
# Until 2015, GANs with convolutions were hard to train. Radford, Metz and Chintala tried many nets, kept what worked, and wrote it down as a short list. Theirs is the **DCGAN**:
#
# * no pooling: $D$ shrinks images by convolutions of stride 2, $G$ enlarges them by transposed convolutions of stride 2;
# * batch norm in both, but not at $G$'s output nor at $D$'s input;
# * ReLU in $G$ and tanh at its end; leaky ReLU of slope 0.2 in $D$;
# * weights that begin as draws from $N(0, 0.02^2)$; Adam with $\beta_1 = 0.5$.
#
# ### How large is what comes out?
#
# A convolution of kernel $k$, stride $s$ and padding $p$ makes of $m$ pixels in a row
#
# $$ m' = \left\lfloor \frac{m + 2p - k}{s} \right\rfloor + 1 . $$
#
# With $k = 4, s = 2, p = 1$ and even $m$ that is $\lfloor (m-2)/2 \rfloor + 1 = m/2$: exactly half. The convolution is linear: write it as a matrix $C$ with $m'$ rows and $m$ columns, and the **transposed convolution** is the matrix $C^\top$.
# It goes back from $m/2$ to $m$ pixels (not to the same pixels: $C^\top$ isn't an inverse). What makes it the transpose is that $\langle Cx, y\rangle = \langle x, C^\top y\rangle$ for all $x$ and $y$. Does PyTorch's have that property?

# %%
from matplotlib import pyplot as plt

from course_lib.style import BLACK, BLUE, GREEN, GREY, ORANGE, VERMILLION, use_style

use_style()
torch.manual_seed(0)
kernel = torch.randn(3, 2, 4, 4, dtype=torch.float64)
x = torch.randn(1, 2, 28, 28, dtype=torch.float64)
y = torch.randn(1, 3, 14, 14, dtype=torch.float64)
shrunk = F.conv2d(x, kernel, stride=2, padding=1)
grown = F.conv_transpose2d(y, kernel, stride=2, padding=1)
print(f"28 → {shrunk.shape[-1]} by the convolution, 14 → {grown.shape[-1]} by the transposed one")
print(f"⟨Cx, y⟩ = {(shrunk * y).sum():.9f}   ⟨x, Cᵀy⟩ = {(x * grown).sum():.9f}")

# %% [markdown]
# So one kernel of $4\times4$ with stride 2 takes 28 to 14 and 14 to 7, and its transpose goes from 7 to 14 to 28. Odd kernels don't fit as well: section 8 shows what becomes of that.
#
# ### Why 0.02?
#
# A unit that sums $n$ inputs, each with mean square $v$ and independent weights of variance $\sigma^2$, has the variance $n\sigma^2 v$. With $\sigma = 0.02$ that is small: the 4×4 kernel of a transposed convolution of stride 2
# reaches each output pixel from $2\times2$ places, so with $w$ channels $n = 4w$. Where batch norm follows, the size doesn't matter, since it is divided out again. It matters at $G$'s end, where the tanh stands and no batch norm: what comes in are ReLUs of values
# with mean 0 and variance 1, so $v = \tfrac12$, and
#
# $$ \operatorname{std} = 0.02\sqrt{4w \cdot \tfrac12} = 0.02\sqrt{2w} . $$
#
# For $w = 8$ this is 0.08: the first pictures are nearly grey, and $\tanh'(0.08) \approx 0.99$ lets all gradients through. Section 8 has a generator that begins elsewhere.
#
# ### Why leaky?
#
# The generator learns *only* by what comes back through $D$. A ReLU passes on no gradient below 0, and after batch norm about half of what comes is below 0. Here are two discriminators that have trained for 60 steps to tell digits from noise, and differ in that alone. What gets through?

# %% tags=["train"]
from course_lib.data import load_images

digits = load_images("digits")
images = (2 * digits.images - 1).to(scale.device)
for slope in (0.0, 0.2):
    torch.manual_seed(0)
    judge = nn.Sequential(
        nn.Conv2d(1, 8, 4, 2, 1), nn.LeakyReLU(slope),
        nn.Conv2d(8, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.LeakyReLU(slope),
        nn.Flatten(), nn.Linear(784, 1))
    optimizer = torch.optim.Adam(judge.parameters(), 4e-3)
    for _ in range(60):
        real = images[torch.randint(len(images), (32,))].cpu()
        fake = torch.rand(32, 1, 28, 28) * 2 - 1
        loss = F.softplus(-judge(real)).mean() + F.softplus(judge(fake)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    fake = (torch.rand(500, 1, 28, 28) * 2 - 1).requires_grad_()
    first = judge[0](fake)
    second = judge[1:4](first)
    gradient, = torch.autograd.grad(judge[4:](second).sum(), fake)
    closed = [(layer <= 0).double().mean() for layer in (first, second)]
    dead = sum((layer <= 0).flatten(1).all(0).sum().item() for layer in (first, second))
    print(f"slope {slope}: at or below 0 are {closed[0]:.0%} of the first layer "
          f"and {closed[1]:.0%} of the second, {dead} units for every fake;\n"
          f"           pixels without any gradient: {(gradient == 0).double().mean():.1%}; "
          f"mean |gradient|: {gradient.abs().mean():.2g}")

# %% [markdown]
# At slope 0, each of those units is a closed door; at slope 0.2 it lets a fifth through. On average as much comes back through both: doors that are open make up for those that are closed. Yet hardly a pixel is left without any gradient, since many units look at it and some are open. A unit that is closed for *every* fake would be dead; count them in the output. Whether the pictures get better by leaky doors is another question,
# and is answered by the table at the end of this section.
#
# ### Exercise 1 · The nets  *(medium, 30 minutes)*
#
# `width` is $w$. Kernels are 4×4 with stride 2 and padding 1. A layer that batch norm follows has no bias, since batch norm would subtract it again; the others have one.
#
# | `Generator(noise, width)` | | `Discriminator(width)` | |
# |---|---|---|---|
# | linear, no bias, as $2w$ channels of 7×7 | batch norm, ReLU | convolution to $w$ channels of 14×14 | leaky ReLU 0.2 |
# | transposed convolution to $w$ channels of 14×14, no bias | batch norm, ReLU | convolution to $2w$ channels of 7×7, no bias | batch norm, leaky ReLU 0.2 |
# | transposed convolution to the image | tanh | linear to one logit | |
#
# The batch norms are `nn.BatchNorm2d`. `Discriminator.features(x)` gives what its linear layer sees; section 4 needs it. `initialise(net)`: weights of convolutions, transposed convolutions and linear layers from $N(0, 0.02^2)$, those of
# any batch norm, 1d or 2d, from $N(1, 0.02^2)$, the biases of all these 0. Whatever else is in the net, an embedding for one, stays as it is.
#
# Make the modules in the order in which the data pass through them: the check lays its weights in by that order.
#
# <details><summary>Hint 1</summary>
#
# `nn.Unflatten(1, (2 * width, 7, 7))` lays a row of $98w$ numbers out as channels; `nn.Flatten()` goes back. `nn.Conv2d(i, o, 4, 2, 1)` is kernel, stride, padding in this order, and `nn.ConvTranspose2d` likewise.
# </details>
# <details><summary>Hint 2</summary>
#
# For `initialise`, go through `net.modules()`, which gives modules at every depth. `nn.ConvTranspose2d` isn't a subclass of `nn.Conv2d`. A layer without a bias has `layer.bias is None`.
# </details>

# %% solution="dcgan_nets"
class Generator(nn.Module):
    """Noise (n, noise) → images (n, 1, 28, 28) in (−1, 1).

    Linear to 2·width channels of 7×7, then two transposed convolutions, to width channels of
    14×14 and to the image.
    """

    def __init__(self, noise, width):
        super().__init__()
        ### BEGIN SOLUTION
        self.paint = nn.Sequential(nn.Linear(noise, 2 * width * 49, bias=False),
            nn.Unflatten(1, (2 * width, 7, 7)), nn.BatchNorm2d(2 * width), nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, 2, 1, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(),
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
            nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2), nn.Flatten())
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
            mean = 0.0
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            mean = 1.0
        else:
            continue
        if module.weight is not None:
            nn.init.normal_(module.weight, mean, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    return net
    ### END SOLUTION

# %% check="dcgan"
check("dcgan")

# %% [markdown]
# The spread at $G$'s end was predicted to be $0.02\sqrt{2w}$ before the tanh. Is it?

# %%
print("width   predicted   measured")
for width in (4, 8, 32, 128):
    torch.manual_seed(0)
    with torch.no_grad():
        before_tanh = (torch.atanh(initialise(Generator(16, width))(torch.randn(50, 16)))
                       for _ in range(20))
        squares = [each[:, :, 2:-2, 2:-2].square().mean() for each in before_tanh]
    print(f"{width:5}   {0.02 * math.sqrt(2 * width):9.3f}   "
          f"{torch.stack(squares).mean().sqrt():8.3f}")

# %% [markdown]
# (The root of the mean square over twenty beginnings, without the border, where there are fewer neighbours to sum over. Since batch norm sets the mean square over *all* places to 1, those inside are a little louder.)
#
# ### Exercise 2 · One round  *(medium, 20 minutes)*
#
# The whole lesson is played by one function. It knows nothing of images, classes or Wasserstein: it is handed an **objective**, which makes both players' losses of the logits, and perhaps a **penalty** for $D$.
#
# 1. $G$ makes fakes of $z$. $D$ takes a step on its loss, plus the penalty if there is one. $G$ must not learn by it.
# 2. $G$ takes a step on *its* loss, as the $D$ sees it that has just learned. Some objectives of section 5 compare with the real images, so the objective gets their logits too. $D$ must not learn by it.
#
# Both steps use the same real images and the same fakes. Real images and fakes go through $D$ in **separate calls**: with batch norm, whoever is in the batch changes what $D$ says of the others. $D$ and $G$ may be any functions, not just
# modules; for a conditional GAN it will be `lambda x: D(x, labels)`. And `non_saturating` is the first objective: $-\mathbb{E}\log D(x) - \mathbb{E}\log(1-D(G(z)))$ for $D$ and $-\mathbb{E}\log D(G(z))$ for $G$, from logits, finite up to ±10,000.
#
# <details><summary>Hint 1</summary>
#
# $-\log\sigma(a) = $ `F.softplus(-a)`, and $-\log(1-\sigma(a)) =$ `F.softplus(a)`.
# </details>
# <details><summary>Hint 2</summary>
#
# Make `fake = G(z)` once, and give $D$'s step `fake.detach()`. In $G$'s step, the gradients that run into $D$'s parameters on the way are cleared by $D$'s own `zero_grad()` in the next round, if it stands right before `backward()`.
# </details>

# %% solution="round"
def non_saturating(real_logits, fake_logits):
    """The losses of both players (Goodfellow et al. 2014), from logits of any shape.

    Returns (loss of D, loss of G).
    """
    ### BEGIN SOLUTION
    return (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean(),
            F.softplus(-fake_logits).mean())
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

# %% [markdown]
# ### Train it
#
# 4,000 digits, no labels. What you see is the moving average of $G$'s weights. (`gan_images.train` draws the batches, calls your round, and lets the rates fall to 0 over the second half.) Stop it with ■ whenever you like; what was learned is kept.

# %% tags=["train"]
from course_lib.board import Board


def watched(title, D, G, steps, z, objective=non_saturating, labels=None, **how):
    """Train before your eyes, by your round: gives the moving average of G, also of a run that
    was stopped.

    z: a list of what G is called with for the picture. labels, how: as for gan_images.train.
    """
    kept = G
    with Board(title, steps) as board:
        def after_step(step, loss_D, loss_G, average):
            nonlocal kept
            kept = average
            board.after_step(step, loss_D, loss_G)
            if board.due():
                with torch.no_grad():
                    board.images(average(*z), columns=10)

        gan_images.train(play_round, objective, D.to(scale.device), G.to(scale.device), images,
                         steps, labels, after_step=after_step, **how)
    return kept


width, steps = scale.pick(smoke=(8, 200), cpu=(8, 400), gpu=(64, 5_000))
torch.manual_seed(0)
shown = torch.randn(50, gan_images.NOISE, device=scale.device)
dcgan_D = initialise(Discriminator(width))
dcgan_start = initialise(Generator(gan_images.NOISE, width))
dcgan_G = watched("A DCGAN on digits", dcgan_D, dcgan_start, steps, [shown])

# %% [markdown]
# How good is it? By the **Fréchet distance** of `gan_math` (section 7 takes it apart), by how many of your digits a classifier reads without doubt, and by how many of the ten kinds there are:

# %% tags=["train"]
real_test = 2 * load_images("digits", "test").images - 1


def drawn_by(G, *more):
    """1,000 images (1000, 1, 28, 28) of G, on the CPU; always of the same noise."""
    z = torch.randn(1_000, gan_images.NOISE, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return G.eval()(z.to(scale.device), *more).cpu()


def line(name, drawn):
    scores = gan_images.scores(drawn, real_test)
    print(f"{name:>34}: distance {scores['distance']:7.1f}, "
          f"{scores['readable']:4.0%} read without doubt, {scores['kinds']:2} kinds")


torch.manual_seed(1)
line("an untrained generator",
     drawn_by(initialise(Generator(gan_images.NOISE, width)).to(scale.device)))
line("yours", drawn_by(dcgan_G))
line("real digits, those of the training", images[:1_000].cpu())

# %% check="training"
check("training")

# %% [markdown]
# ### Which of the advice matters here?
#
# The same recipe, changed in one point at a time: median (least to greatest) over the seeds.
#
# | recipe | seeds | Fréchet distance | read without doubt | kinds | without the average |
# |---|---|---|---|---|---|
# | as it stands | 5 | 111 (98 to 132) | 25% (22% to 33%) | 9 (8 to 9) | 106 (100 to 148) |
# | β1 = 0.9 | 5 | 940 (506 to 1070) | 0% (0% to 7%) | 3 (2 to 9) | 928 (524 to 1056) |
# | β1 = 0 | 5 | 95 (91 to 113) | 24% (23% to 29%) | 9 (9 to 10) | 97 (87 to 111) |
# | rates of 0.0002 | 5 | 714 (642 to 898) | 0% (0% to 1%) | 5 (3 to 9) | 705 (624 to 889) |
# | rates that don't fall | 5 | 107 (100 to 114) | 25% (21% to 28%) | 9 (9 to 9) | 116 (101 to 134) |
# | PyTorch's own initialisation | 5 | 114 (90 to 121) | 24% (22% to 25%) | 9 (8 to 10) | 111 (90 to 122) |
# | ReLU in the discriminator | 5 | 105 (95 to 1246) | 26% (0% to 27%) | 9 (2 to 10) | 106 (96 to 1245) |
# | no batch norm in D | 5 | 121 (92 to 248) | 21% (14% to 26%) | 9 (8 to 9) | 131 (99 to 267) |
# | no batch norm in G | 5 | 121 (96 to 191) | 27% (20% to 31%) | 9 (8 to 10) | 122 (97 to 190) |
# | no batch norm | 5 | 194 (164 to 292) | 22% (17% to 27%) | 8 (6 to 10) | 182 (165 to 297) |
# | instance norm in D | 5 | 95 (84 to 101) | 26% (24% to 28%) | 9 (9 to 10) | 96 (85 to 100) |
# | real and fake in one batch | 5 | 90 (83 to 118) | 26% (21% to 28%) | 10 (9 to 10) | 92 (83 to 118) |
# | average pooling in place of strides | 5 | 106 (95 to 114) | 24% (22% to 26%) | 9 (8 to 9) | 108 (93 to 126) |
# | nearest neighbours and convolution | 5 | 96 (84 to 124) | 27% (24% to 32%) | 9 (9 to 10) | 92 (81 to 118) |
# | real images in [0, 1] | 5 | 122 (114 to 126) | 19% (16% to 25%) | 9 (9 to 9) | 123 (111 to 130) |
#
# Measured by `make bench BENCH_ARGS=dcgan_recipes`: 400 steps, width 8, batches of 32, rates of 0.004 for both players. Your training is the row *as it stands*, with another seed. Its own spread is what every other row has to be held against; fifty more seeds of it, made for the check above, lay between 85 and 137.
#
# * **Some changes are ruin.** With $\beta_1 = 0.9$, Adam's default, the pictures stay noise, or close to it. With rates of 0.0002, which the paper gives for its large nets and long runs, 400 steps lead nowhere: a rate belongs to a budget.
# * **Batch norm matters.** Without it in both nets, all runs lie beyond those fifty; without it in one, some do and some don't. In $D$, instance norm does at least as well: seed by seed it is 20 ± 7 nearer.
# * **Images in [0, 1] in place of [−1, 1]** seem to cost something: in the median fewer can be read. (A $G$ that ends in tanh *can* draw them; it has to leave half of its range unused.)
# * **ReLU in $D$** did as well in four runs. The fifth ended at 1,246, with nothing to be read. One run in five is no proof, but it is the kind of thing that advice is made of: it doesn't make good runs better, it may spare you the bad one.
# * **Of the rest one reads as much, and here they can't be told from another seed:** PyTorch's own initialisation, pooling, neighbours and a convolution in place of a transposed one, $\beta_1 = 0$, rates that don't fall. Even *real and fake in one batch* does no harm here, though
# section 8 shows that it makes $D$'s verdict on an image depend on its company. All of that is a statement about a small net and 400 steps.

# %% [markdown]
# ## 2 · More filters, sharper pictures?
#
# "If the pictures are blurred, use more filters." The number of parameters in this net grows with the square of the width (the convolution between the two hidden layers has $16 \cdot w \cdot 2w$ weights) plus a part that grows in proportion. Time grows less
# than that as long as the machine has lanes to spare. What do the pictures do? Train a narrow and a wider one for the same number of steps:

# %% tags=["train"]
sizes = scale.pick(smoke=(2, 4), cpu=(4, 16), gpu=(16, 128))
by_width = {}
for width_tried in sizes:
    torch.manual_seed(0)
    by_width[width_tried] = watched(
        f"Width {width_tried}", initialise(Discriminator(width_tried)),
        initialise(Generator(gan_images.NOISE, width_tried)), steps, [shown])
for width_tried, net in by_width.items():
    drawn = drawn_by(net)
    line(f"width {width_tried}", drawn)
    print(f"{'sharpness, real digits being 1':>34}: "
          f"{gan_images.sharpness(drawn) / gan_images.sharpness(real_test):.2f}")

# %% [markdown]
# **Sharpness** is here the mean square of the Laplacian, the sum of a pixel's four neighbours less four times the pixel: what an edge detector sees. It belongs beside the distance, not in its place: noise is sharp too. One seed shows little. Over seeds:
#
# | recipe | seeds | Fréchet distance | read without doubt | sharpness | parameters | seconds of one core |
# |---|---|---|---|---|---|---|
# | width 4 | 5 | 135 (106 to 201) | 22% (19% to 26%) | 1.12 (1.02 to 2.00) | 7,862 | 11 |
# | as it stands | 5 | 111 (98 to 132) | 25% (22% to 33%) | 1.25 (1.13 to 1.28) | 17,770 | 12 |
# | width 16 | 5 | 86 (84 to 109) | 29% (28% to 32%) | 1.27 (1.20 to 1.30) | 43,730 | 18 |
# | width 32 | 5 | 85 (76 to 98) | 31% (28% to 32%) | 1.18 (1.10 to 1.32) | 120,226 | 35 |
# | width 4, 800 steps | 5 | 108 (85 to 113) | 25% (21% to 30%) | 1.33 (1.29 to 1.50) | 7,862 | 21 |
# | 1,000 steps | 5 | 71 (58 to 88) | 37% (30% to 43%) | 1.28 (1.19 to 1.37) | 17,770 | 29 |
#
# Measured by the same command. From 4 to 16 filters the distance falls; from 16 to 32 no fall can be told (4 ± 7, seed by seed), while the time doubles (prediction 2). Look at the last row: the time that width 32 takes for 400 steps is enough for 1,000 steps at width 8, and *those* buy more. For a fixed time, take the largest width at which you can still afford
# enough steps. And look at the sharpness: it is *above* that of real digits. "Sharper" was never the point.

# %% [markdown]
# ## 3 · When to stop
#
# The losses have been flat for an hour. Stop?
#
# With a classifier, perhaps: its loss is what you want to be small. A GAN's losses are a score in a game. When both players get better at the same pace, the score stands still. So what *does* the loss of $D$ say? With $V$ for the value of the game, as in `gan_math`, the loss that `non_saturating` gives $D$ is $L_D = -V(D, G)$. No $D$ scores more than the best one, and what the best one scores was proved in `gan_math`:
#
# $$ -L_D = V(D, G) \;\le\; \max_D V(D, G) = -\log 4 + 2\,\mathrm{JSD}(p_\text{data}\,\|\,p_g) \quad\Longrightarrow\quad \boxed{\;\mathrm{JSD} \;\ge\; \log 2 - \tfrac12 L_D\;} $$
#
# A bound, and from one side only. It says:
#
# * **$L_D$ near 0**: then the divergence is near $\log 2$, the largest that there is. Somebody has proved that the fakes hardly overlap with the data. That is bad news, and as far as $L_D$ is what $D$ loses *on average*, single image by single image, you can rely on it. (So for a $D$ without batch norm, on images that it wasn't trained on: one that has its training images by heart, or judges whole batches, may have a small loss for other reasons.)
# * **$L_D$ at $\log 4 \approx 1.386$**: then $\mathrm{JSD} \ge 0$. That was known before. The fakes may be perfect, or $D$ may be blind.
# * **$L_D$ flat in between**: the divergence is at least some number, and $D$ may be far from the best. Nothing follows about whether $G$ gets better.
#
# Try the bound on two densities whose divergence we can compute, with discriminators of which only one is the best: the logit is $t$ times the best one.

# %%
x = torch.linspace(-15, 15, 6001, dtype=torch.float64)
dx = x[1] - x[0]
print("distance   " + "".join(f"bound, t = {t:<8}" for t in (0.25, 0.5, 1, 4)) + "JSD")
for distance in (0.0, 1.0, 2.0, 4.0, 8.0):
    log_p, log_q = (torch.distributions.Normal(mean, 1.0).log_prob(x) for mean in (0.0, distance))
    p, q, best = log_p.exp(), log_q.exp(), log_p - log_q
    log_m = torch.stack([log_p, log_q]).logsumexp(0) - math.log(2)
    divergence = ((p * (log_p - log_m) + q * (log_q - log_m)).sum() * dx / 2).item()
    losses = [((p * F.softplus(-t * best) + q * F.softplus(t * best)).sum() * dx).item()
              for t in (0.25, 0.5, 1, 4)]
    print(f"{distance:8}   "
          + "".join(f"{round(math.log(2) - loss / 2, 4) + 0.0:<19.4f}" for loss in losses)
          + f"{divergence:.4f}")

# %% [markdown]
# At $t = 1$ the bound is the divergence itself. Otherwise it is less, and may even be negative (but for equal densities, where the best logit is 0 and $t$ changes nothing).
#
# And when $L_D$ *is* near 0, is the run dead? Not always. The generator's gradient comes by the chain rule in three factors: how the loss depends on the logit, the logit on the point, the point on the weights. With the non-saturating loss the first is $\sigma(a) - 1 \approx -1$: full force. If $D$ still slopes towards the data, and $G$ can go there, then it goes. So ask somebody else: a **score** that measures the samples themselves, smaller is better. For images that is a Fréchet distance, for points something simpler, the **energy distance** $2\,\mathbb{E}\lVert x-y\rVert - \mathbb{E}\lVert x-x'\rVert - \mathbb{E}\lVert y-y'\rVert$ between data $x$ and samples $y$ (it is 0 only between equal distributions; Székely & Rizzo 2013).
#
# A score is computed from samples, so it wobbles. Has it *fallen*, or was that luck? Take the last quarter of the scores and the quarter before, $n$ numbers each. The mean of $n$ independent numbers of variance $s^2$ has the variance $s^2/n$, and the variances of a difference add up. So the difference of the two means has the **standard error**
#
# $$ \mathrm{SE} = \sqrt{\frac{s_\text{before}^2}{n} + \frac{s_\text{last}^2}{n}}, \qquad\text{and we believe in progress when}\quad \bar s_\text{before} - \bar s_\text{last} > 2\,\mathrm{SE} . $$
#
# Whatever the unit of the scores, both sides have it. (Scores that follow each other aren't quite independent, so the true error is larger. It is a rule of thumb, and better than an eye that wants the run to be going well.)
#
# ### Exercise 3 · A monitor  *(medium, 15 minutes)*
#
# From the history alone, say one of three things. Ask in this order:
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

    history: {"loss_D", "loss_G", "score"}, a tensor (n,) of each player's loss by step, and one
    (k,), k ≥ 8, of distances from the data, smaller is better, in whatever unit.
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
import textwrap

from course_lib.gan_recipes import recorded_histories

runs = recorded_histories()
figure, axes = plt.subplots(2, len(runs), figsize=(13, 5), sharex="col")
for (loss_axes, score_axes), run in zip(axes.T, runs):
    # the rounds that `count` numbers stand for
    at = lambda count, first=0: first + torch.linspace(run["rounds"] / count, run["rounds"], count)
    later = run["score when it went on"]
    loss_axes.plot(at(len(run["loss_D"])), run["loss_D"], color=BLUE, label="D's loss")
    loss_axes.plot(at(len(run["loss_G"])), run["loss_G"], color=ORANGE, linestyle="--",
                   label="G's loss")
    score_axes.plot(at(len(run["score"])), run["score"], color=BLACK, label="score")
    score_axes.plot(at(len(later), run["rounds"]), later, color=GREEN, label="how it went on")
    score_axes.axvline(run["rounds"], color=BLACK, linestyle=":")
    loss_axes.set_title("\n".join(textwrap.wrap(run["told"], 22)), fontsize=9)
    loss_axes.set_ylim(bottom=0)
    score_axes.set(xlabel="round", yscale="log", ylim=(4e-3, 30))
axes[0, 0].legend(fontsize=8)
axes[1, 0].legend(loc="upper left", bbox_to_anchor=(0, -0.3), ncols=2, fontsize=8)
plt.show()
for run in runs:
    seen = {name: torch.tensor(run[name], dtype=torch.float64)
            for name in ("loss_D", "loss_G", "score")}
    print(f"{run['told']:>34}: {diagnose(seen):>7}; "
          f"score {seen['score'][-16:-8].mean():.3f} in the third quarter, "
          f"{seen['score'][-8:].mean():.3f} in the last, "
          f"{sum(run['score when it went on'][-2:]) / 2:.3f} in the end, "
          f"with {run['modes in the end']} of 8 modes")

# %% [markdown]
# Read them from left to right, with your verdicts above:
#
# * In the first, $D$'s loss stands still at 1.3 from about round 450 on; in the second it swings about 1.4. Who had stopped in the third quarter would have missed the best: in the end the scores were about a quarter and an eleventh of what they were then.
# * The third is slow because it has nearly arrived: all modes, and a score of 0.02, where two samples of the data themselves score about 0.005 (`gan_recipes.energy_distance` of two times `gan_recipes.ring().sample(1000)`). Whether it still fell can't be told: its means were 0.016 and 0.021 in the last quarters, and 0.017 in what came after. Slow doesn't tell *arrived* from *stuck*; the size of the score does.
# * In the fourth, $D$'s loss lay at 0 for half of the way, and has come back to 0.2. So it isn't dead, by the rule. But alive isn't well: the scores rise, and went on rising. The rates are what to change.
# * The last is dead, and stays dead: the data reach to 2, and a tanh ends at 1. $D$ need only look whether a point is out of reach. Its loss is 0.002, so $\mathrm{JSD} \ge 0.692$, of at most 0.693. This is what images with pixels outside $[-1, 1]$ do to a generator that ends in tanh.

# %% [markdown]
# ## 4 · Labels
#
# Two kinds of label are meant when people talk of GANs: the *real/fake* labels that $D$ is trained on, and the *classes* of the images. Both can be played with.
#
# ### Smoothing
#
# Teach $D$ to say $r$ of real images and $s$ of fakes, in the place of 1 and 0. In `gan_math` you found its optimum,
#
# $$ D^*(x) = \frac{r\,p_\text{data}(x) + s\,p_g(x)}{p_\text{data}(x)+p_g(x)} . $$
#
# Go on from there. Write $D_0 = p_\text{data}/(p_\text{data}+p_g)$ for the optimum without smoothing. Since $p_g/(p_\text{data}+p_g) = 1 - D_0$,
#
# $$ D^* = r D_0 + s(1 - D_0) = s + (r-s)\,D_0 . $$
#
# The generator climbs $\log D$, so what it gets at its points is the gradient of $\log D^*$ in $x$:
#
# $$ \boxed{\;\nabla \log D^* = \frac{(r-s)\,\nabla D_0}{s + (r-s)\,D_0}\;} $$
#
# Now two cases.
#
# **One side, $s = 0$.** Then $\nabla \log D^* = \dfrac{r\nabla D_0}{r D_0} = \nabla\log D_0$. The $r$ cancels: $\log D^* = \log r + \log D_0$, and a constant has no gradient. *At its optimum, a discriminator that was smoothed on the real side gives the generator exactly the gradient of one that wasn't.* (Prediction 1.)
#
# **Both sides, $s > 0$.** Far from the data $D_0 \to 0$. Without smoothing, $\nabla\log D_0 = \nabla D_0/D_0$ stays large there, since numerator and denominator vanish together. With smoothing the denominator stays above $s$, and the gradient goes to 0 with $\nabla D_0$: the
# fakes that need the pull most get none. It is the saturation of `gan_math`, through the back door.
#
# Check both with numbers: data around 0, fakes around 3, and the slope of $\log D^*$ by differences.

# %%
def density(x, mean):
    return torch.exp(-0.5 * (x - mean) ** 2) / math.sqrt(2 * math.pi)


x = torch.linspace(-2, 8, 2_001, dtype=torch.float64)
unsmoothed = density(x, 0.0) / (density(x, 0.0) + density(x, 3.0))
figure, axes = plt.subplots(figsize=(8, 3))
for (r, s), colour, dash in (((1.0, 0.0), BLACK, "-"), ((0.9, 0.0), GREEN, "--"),
                             ((0.9, 0.1), VERMILLION, "-.")):
    slope = torch.gradient((s + (r - s) * unsmoothed).log(), spacing=(x,))[0]
    axes.plot(x, slope, dash, color=colour, linewidth=2, label=f"real → {r}, fake → {s}")
    at = {place: slope[(x - place).abs().argmin()].item() for place in (1.5, 3.0, 6.0)}
    print(f"targets {r}, {s}:  "
          + "   ".join(f"slope at x = {place}: {value:8.4f}" for place, value in at.items()))
axes.fill_between(x, -3.2 * density(x, 3.0), 0, color=ORANGE, alpha=0.3,
                  label="where the fakes are")
axes.set(xlabel="x", ylabel="slope of log D*", ylim=(-3.3, 0.2))
axes.legend(loc="lower left")
plt.show()

# %% [markdown]
# The green line lies on the black one. So what is one-sided smoothing good for? For a $D$ that *isn't* at its optimum. Without smoothing, what it is taught to say of a point where only real images lie is $+\infty$, as a logit: its weights may grow without end, and with them the slopes that $G$
# gets. With $r = 0.9$ the largest logit that it is taught is $\log\frac{0.9}{0.1} = 2.2$. (For fakes the logit may still go to $-\infty$; there the non-saturating loss has its full slope.) It is a bound on confidence, not another game: for $p_g = p_\text{data}$, $D^*$ is the constant $\frac r2$, flat, and there $G$ rests as before.
#
# ### Flipping
#
# Another piece of advice (Chintala et al. 2016): make the labels noisy, and *flip* some of them. Let each label be flipped with the probability $\varepsilon$. What does $D$ minimise? The cost of a logit $a$ with the label $y$ is
#
# $$ \ell(a, y) = -y \log\sigma(a) - (1-y)\log(1-\sigma(a)) = \operatorname{softplus}(a) - y\,a , $$
#
# where the second form uses $\operatorname{softplus}(-a) = \operatorname{softplus}(a) - a$. It is **linear in $y$**. So its expectation over a random label is the cost at the expected label, $\mathbb{E}\,\ell(a, y) = \ell(a, \mathbb{E} y)$, and the expected label is
# $1-\varepsilon$ for real images and $\varepsilon$ for fakes. *On average, flipping is smoothing on both sides*, with $r = 1-\varepsilon$ and $s = \varepsilon$ (prediction 3), and has its flaw.
#
# But only on average. Flipping one label changes its cost by $\ell(a, 1) - \ell(a, 0) = -a$: by the logit itself. A coin that falls on 1 with the probability $\varepsilon$ has the variance $\varepsilon(1-\varepsilon)$, and independent variances add up. For $D$'s loss, the sum of a mean over $n$ real logits $a_i$ and one over $m$ fake logits $b_j$,
#
# $$ \operatorname{Var} = \varepsilon(1-\varepsilon)\left[\frac{1}{n^2}\sum_i a_i^2 + \frac{1}{m^2}\sum_j b_j^2\right] . $$
#
# The surer $D$ is, the louder the noise. Smoothing gives the same expectation without it.
#
# ### Exercise 4 · Smoothed and flipped labels  *(medium, 20 minutes)*
#
# * `smoothed_loss`: $D$'s loss with the targets $r$ and $s$, from logits up to ±10,000.
# * `flipped_optimum`: the best $D$ when labels of both kinds are flipped with the probability $\varepsilon$. Where both densities are 0, answer ½.
# * `flip_noise`: the standard deviation of $D$'s loss over the flips.
#
# <details><summary>Hint 1</summary>
#
# $\operatorname{softplus}(a) - t\,a$, averaged over the batch, for each of the two batches with its own target $t$. Both `F.softplus` and the product stay finite.
# </details>
# <details><summary>Hint 2</summary>
#
# $\frac{1}{n^2}\sum_i a_i^2$ is `logits.square().mean() / n`. For `flipped_optimum`, put $r = 1-\varepsilon$ and $s = \varepsilon$ into the formula above, and mind 0/0, which is NaN: `torch.where` can put ½ in its place. (Where gradients are to pass, the divisor must not be 0 in the branch that isn't used, either; here none pass.)
# </details>

# %% solution="smoothing"
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    """D's loss against smoothed targets.

    real_logits (n,), fake_logits (m,): D's logits. real_target r, fake_target s: what D is taught
    to say of real images and of fakes. Returns a scalar tensor.
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
    return torch.where(
        total > 0, ((1 - flipped) * p_data + flipped * p_g) / torch.where(total > 0, total, 1), 0.5)
    ### END SOLUTION


def flip_noise(real_logits, fake_logits, flipped):
    """The standard deviation of D's loss over the flips of a batch's labels, each by itself with
    the probability `flipped`.

    real_logits (n,), fake_logits (m,). Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    part = lambda logits: logits.square().mean() / len(logits)
    return (flipped * (1 - flipped) * (part(real_logits) + part(fake_logits))).sqrt()
    ### END SOLUTION

# %% check="smoothing"
check("smoothing")

# %% [markdown]
# The formulas against 20,000 real flips of a batch's labels:

# %%
torch.manual_seed(0)
real_logits = 2 + torch.randn(32, dtype=torch.float64)
fake_logits = -2 + torch.randn(32, dtype=torch.float64)
flipped = 0.1
cost = lambda logits, labels: F.softplus(logits) - labels * logits
flips = (torch.rand(2, 20_000, 32) < flipped).double()
losses = cost(real_logits, 1 - flips[0]).mean(1) + cost(fake_logits, flips[1]).mean(1)
print(f"mean of the loss over the flips:  {losses.mean():.4f};  "
      f"smoothed_loss: {smoothed_loss(real_logits, fake_logits, 1 - flipped, flipped):.4f}")
print(f"its standard deviation:           {losses.std():.4f};  "
      f"flip_noise:    {flip_noise(real_logits, fake_logits, flipped):.4f}")
sure = flip_noise(5 * real_logits, 5 * fake_logits, flipped)
print(f"and for a D that is five times as sure: {sure:.4f}")

# %% [markdown] tags=["demo", "instructor"]
# ## Flip a few labels
#
# Somebody has read that a discriminator should be confused a little: flip some of its labels at random. Blue are real samples, orange those of a generator that is still far off. Below stands the pull that the best discriminator has on them.
#
# > **Ask the room.** How many of a hundred labels can be flipped before the orange samples feel nothing? And when they are further away?

# %% tags=["demo"]
from course_lib.explore import gan_training as explore

explore.flipped_labels(flipped_optimum)

# %% [markdown]
# Move the fakes away, and see how few flips it takes to leave them where they are. And digits, where the fakes soon lie near the data and $D$ is never at its optimum? The recipe of section 1, with other labels (the last row is what comes next):
#
# | recipe | seeds | Fréchet distance | read without doubt | kinds |
# |---|---|---|---|---|
# | as it stands | 5 | 111 (98 to 132) | 25% (22% to 33%) | 9 (8 to 9) |
# | one-sided smoothing, 0.9 | 5 | 96 (81 to 113) | 25% (20% to 26%) | 9 (9 to 10) |
# | smoothing on both sides, 0.9 and 0.1 | 5 | 108 (101 to 128) | 23% (23% to 28%) | 9 (8 to 10) |
# | a tenth of the labels flipped | 5 | 98 (95 to 114) | 22% (21% to 30%) | 9 (9 to 9) |
# | classes, by projection | 5 | 120 (66 to 134) | 52% (47% to 68%) | 9 (8 to 10) |
#
# Smoothing on one side changes nothing that these seeds could show, as the calculation says for the optimum. Nor does smoothing on both sides, or flipping a tenth.
#
# ### Classes
#
# Now the other labels. A **conditional** GAN (Mirza & Osindero 2014) tells both players which of the ten digits is meant. In `gan_math` the class was a one-hot vector beside the image. Here is what large GANs do instead, and why.
#
# $D$'s best logit for an image $x$ *with* the class $y$ is the log of the ratio of the joint densities. Split both:
#
# $$ a^*(x, y) = \log\frac{p(x, y)}{q(x, y)} = \underbrace{\log\frac{p(y \mid x)}{q(y \mid x)}}_{\text{is it a picture of } y\text{?}} + \underbrace{\log\frac{p(x)}{q(x)}}_{\text{is it a picture?}} $$
#
# with $p$ for the data and $q$ for the fakes. Suppose that $D$ has features $\varphi(x)$ that hold all that matters: $p(x)/q(x)$ depends on them alone, and the class can be read off them with a softmax, from data with weights $v^p_y$ and from fakes with weights $v^q_y$:
#
# $$ \log p(y\mid x) = \langle v^p_y, \varphi(x)\rangle - \log Z_p(\varphi(x)), \qquad Z_p(\varphi) = \sum_{y'} e^{\langle v^p_{y'}, \varphi\rangle}, $$
#
# and likewise for $q$. In the difference, the normalisers don't depend on $y$. Put them together with the second term:
#
# $$ a^*(x, y) = \big\langle \underbrace{v^p_y - v^q_y}_{e_y}, \varphi(x)\big\rangle + \underbrace{\log Z_q - \log Z_p + \log\frac{p(x)}{q(x)}}_{\psi(\varphi(x))} . $$
#
# So $D$ needs one vector $e_y$ for each class, an **embedding**, whose inner product with the features is added to the ordinary logit (which stands for $\psi$; ours is linear in the features, so that is one more simplification). This is the *projection discriminator* (Miyato & Koyama 2018). Check the algebra on densities that are known: three classes, a Gaussian
# each in the data and another each in the fakes, all with the same covariance. With $\varphi(x) = (x, 1)$, how $a^*$ differs between two classes should be linear in $x$, whatever $\psi$ is:

# %%
torch.manual_seed(0)
of_data, of_fakes = torch.randn(3, 2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
places = 2 * torch.randn(200, 2, dtype=torch.float64)
# (200, 3), up to a constant that cancels
log_density = lambda centres: -0.5 * torch.cdist(places, centres).square()
best_logit = log_density(of_data) - log_density(of_fakes)
with_one = torch.cat([places, torch.ones(200, 1, dtype=torch.float64)], 1)
for a, b in ((0, 1), (1, 2)):
    difference = best_logit[:, a] - best_logit[:, b]
    solution = torch.linalg.lstsq(with_one, difference[:, None]).solution[:, 0]
    embeddings = (of_data - of_fakes)[a] - (of_data - of_fakes)[b]
    print(f"classes {a} and {b}: slopes {[round(value, 4) for value in solution[:2].tolist()]}, "
          f"e_{a} − e_{b} by the formula {[round(value, 4) for value in embeddings.tolist()]}, "
          f"largest error {(with_one @ solution - difference).abs().max():.0e}")

# %% [markdown]
# ### Exercise 5 · Classes for both players  *(medium, 20 minutes)*
#
# * `ClassGenerator(noise, width, classes)`: an `nn.Embedding` of each class as `noise` numbers, first; then your `Generator`, of the noise with the embedding behind it, so of $2\cdot$`noise` inputs.
# * `ClassDiscriminator(width, classes)`: your `Discriminator`, and then an `nn.Embedding` as long as its features, which begins with zeros and is learned like all else. The logit is that of the `Discriminator` plus the inner product. Call `features` once: each look in train mode moves batch norm's averages.
#
# <details><summary>Hint 1</summary>
#
# In a class derived from `Discriminator`, `self.features(x)` is there. The last line of `Discriminator.forward` gives the part without the class.
# </details>
# <details><summary>Hint 2</summary>
#
# The inner product of row $i$ with row $i$: `(embedded * seen).sum(dim=1, keepdim=True)`. Without `keepdim`, $(n, 1) + (n,)$ broadcasts to $(n, n)$ and nothing complains.
# </details>

# %% solution="conditional"
class ClassGenerator(nn.Module):
    """Noise (n, noise) and classes (n,) → images (n, 1, 28, 28): an embedding of the class beside
    the noise, then a Generator.
    """

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
# Train it by the same round. For each batch, $D$ is $x \mapsto D(x, y)$ and $G$ is $z \mapsto G(z, y)$ with that batch's classes; `gan_images.train` hands your round just these functions.

# %% tags=["train"]
torch.manual_seed(0)
classes_shown = torch.arange(10, device=scale.device).repeat(5)
class_G = initialise(ClassGenerator(gan_images.NOISE, width, 10))
class_D = initialise(ClassDiscriminator(width, 10))
class_G = watched("Digits with their classes", class_D, class_G, 2 * steps, [shown, classes_shown],
                  labels=digits.labels.to(scale.device))

# %% tags=["train"]
wanted = torch.arange(1_000) % 10
ordered = drawn_by(class_G, wanted.to(scale.device))
line("without classes", drawn_by(dcgan_G))
line("with classes, twice the steps", ordered)
print("The classifier reads the digit that was ordered in "
      f"{frechet.accuracy(ordered / 2 + 0.5, wanted):.0%} of them; by chance it would be 10 %.")

# %% [markdown]
# What do labels buy? First of all the choice: you order a digit and get it. And more: with the seeds 0 to 4 in the two cells above, at the scale `cpu`, 62 % to 90 % were read without doubt after these 800 steps, and 75 % to 97 % as ordered. Without classes, 1,000 steps gave at most 43 % (the table of section 2). The distance says less: it lay between 29 and 165, without classes between 58 and 88. In the table above, after 400 steps, twice as many can be read as without classes, and there, too, the distance isn't smaller. (Yours will differ: seed 0 gave 29, 90 % and 97 % on one machine, 34, 80 % and 93 % on another.) Knowing what it is to draw, $G$ needn't
# draw what lies between a 4 and a 9.

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
# *What that says of the fakes.* With $u = \frac{q}{p+q} = 1 - D^*$, the least loss of $D$ is $\frac12\int p\,u^2 + \frac12\int q\,(1-u)^2 = \frac12\int (p+q)\,u(1-u)$, and since $\int (p+q)\,u = \int q = 1$,
#
# $$ \min_D L_D = \frac12 - \frac12\int \frac{q^2}{p+q}\,dx, \qquad \int \frac{q^2}{p+q}\,dx \;\ge\; \frac12, $$
#
# since
#
# $$ 1 = \Big(\int q\Big)^2 = \Big(\int \frac{q}{\sqrt{p+q}}\sqrt{p+q}\Big)^2 \le \int\frac{q^2}{p+q} \cdot \underbrace{\int (p+q)}_{2} $$
#
# by Cauchy and Schwarz, with equality only where $q/(p+q)$ is the same everywhere, that is for $q = p$. So $D$'s loss is largest, $\frac14$, exactly when the fakes are right. A $G$ that *maximised* it would be sent, at each sample, down the slope of $u$ with the weight $1-u$: there $-\frac12 D^2 = -\frac12(1-u)^2$ has the gradient $(1-u)\nabla u$. Its own loss $\frac12(D-1)^2$ sends it the same way, down the slope of $u$: at a sample
# the gradient of $\frac12 u^2$ is $u\,\nabla u$. Only the weight is another, $u$ in place of $1-u$, which is largest where the fakes are worst, and it rests where $D^*$ is flat. The slope grows with the distance from the target 1, and a sample far on the *right* side is drawn back, too. There are no flat ends.
#
# ### Wasserstein
#
# `gan_math` ended a section with the sentence that a generator off by 1 and one off by 3 are told the same: the JSD is $\log 2$ as soon as nothing overlaps. A distance that knows how far is the least work of moving one heap of sand onto the other,
#
# $$ W_1(p, q) = \min_{T} \mathbb{E}_{(x, y)\sim T} \lVert x - y\rVert, $$
#
# over all joint distributions $T$ of $x \sim p$ and $y \sim q$, plans of who goes where. Let $f$ be any function that rises by at most 1 per unit of length, $|f(x)-f(y)| \le \lVert x-y\rVert$: a **1-Lipschitz** function. Then for every plan
#
# $$ \mathbb{E}_p f - \mathbb{E}_q f = \mathbb{E}_T[f(x) - f(y)] \le \mathbb{E}_T\lVert x-y\rVert, \qquad\text{so}\qquad \sup_{f\ 1\text{-Lipschitz}} \big(\mathbb{E}_p f - \mathbb{E}_q f\big) \le W_1(p, q). $$
#
# There is in fact an $f$ that reaches it (Kantorovich and Rubinstein; we use that without proof). So let $D$ be $f$: a **critic**, whose outputs are heights, not opinions (Arjovsky et al. 2017):
#
# $$ L_D = \mathbb{E}_z[D(G(z))] - \mathbb{E}_x[D(x)], \qquad L_G = -\mathbb{E}_z[D(G(z))], \qquad D\ \text{1-Lipschitz}. $$
#
# On a line the best plan moves the smallest to the smallest (that, too, without proof: crossing ways are never shorter), so $W_1$ can be read off two sorted samples:

# %%
torch.manual_seed(0)
real = torch.rand(20_000).sort().values
print("the fakes are off by   W₁, from sorted samples   JSD")
for theta in (0.0, 0.5, 1.0, 2.0, 3.0):
    fake = (torch.rand(20_000) + theta).sort().values
    overlap = max(0.0, 1 - theta)
    print(f"{theta:20}   {(real - fake).abs().mean():23.3f}   {(1 - overlap) * math.log(2):.3f}")

# %% [markdown]
# (Both are uniform, on $[0,1]$ and on $[\theta, 1+\theta]$. Where only one density is there, the JSD's integrand is $\frac12\log 2$ times that density, where both are it is 0: that makes $\log 2 \cdot \min(\theta, 1)$.)
#
# How does one make a net 1-Lipschitz? The first answer was **clipping**: after each step, cut every weight to $[-c, c]$. A layer $h \mapsto Wh$ stretches by at most $\lVert W\rVert_2 \le \lVert W\rVert_F \le c\sqrt{n_\text{in} n_\text{out}}$, LeakyReLU by at most 1, so the whole net by at most the product. It is *some* bound $K$, and then $D$ measures at most $K\,W_1$. Which $K$? For our critic, $2 \to 128 \to 128 \to 1$:

# %%
for c in (0.01, 0.1, 1.0):
    bounds = [c * math.sqrt(inputs * outputs)
              for inputs, outputs in ((2, 128), (128, 128), (128, 1))]
    print(f"c = {c:4}: the net stretches by at most {math.prod(bounds):.4g}")

# %% [markdown]
# The bound goes with the third power of $c$: far too flat, or not bounded to speak of. In the paper's own words, "weight clipping is a clearly terrible way to enforce a Lipschitz constraint". Better ways follow.
#
# ### Relativistic pairing
#
# $D(x)$ doesn't have to say whether $x$ is real. Let it say which of two is *more* real: the $i$-th real sample, or the $i$-th fake (Jolicoeur-Martineau 2019, who also has a form with an average over the others; Huang et al. 2024 pair, as here):
#
# $$ L_D = \mathbb{E}\big[\operatorname{softplus}\!\big(-(D(x) - D(G(z)))\big)\big], \qquad L_G = \mathbb{E}\big[\operatorname{softplus}\!\big(-(D(G(z)) - D(x))\big)\big]. $$
#
# Only differences count: add 5 to all of $D$'s outputs, and nothing changes. $D$ can't push all fakes below one common bar and be done with it; each is held against a real sample, wherever that lies. Note that $G$'s loss now looks at the real samples too: your round hands it both.
#
# ### Exercise 6 · Three objectives  *(easy, 15 minutes)*
#
# Write `least_squares`, `wasserstein` and `relativistic`, each by its two formulas above: the loss of $D$ and the loss of $G$, of the logits alone. And `clip_`, the clipping of a Wasserstein critic: every parameter, number by number, in place.
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
    """The relativistic pairing GAN's (loss of D, loss of G): real i against fake i."""
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
# The inequality on a grid, with your loss of $D$ as a witness: at $D^*$ it is $\frac12$ less the second column, and a $D$ a little above or below pays more.

# %%
x = torch.linspace(-12, 14, 5201, dtype=torch.float64)
dx = (x[1] - x[0]).item()
p = torch.distributions.Normal(0.0, 1.0).log_prob(x).exp()
print("q's mean    ½∫ q²/(p + q)     loss of D at D*, D* + 0.01, D* − 0.01, by sampling")
for mean in (0.0, 1.0, 2.0, 6.0):
    q = torch.distributions.Normal(mean, 1.0).log_prob(x).exp()
    # p/(p + q) of two normals: σ(log p − log q)
    best = lambda points: torch.sigmoid(mean**2 / 2 - mean * points)
    torch.manual_seed(0)
    real = torch.randn(200_000, dtype=torch.float64)
    fake = torch.randn(200_000, dtype=torch.float64) + mean
    losses = [least_squares(best(real) + off, best(fake) + off)[0].item()
              for off in (0.0, 0.01, -0.01)]
    print(f"{mean:8}    {(q**2 / (p + q).clamp(min=1e-300)).sum() * dx / 2:13.4f}     "
          + ", ".join(f"{loss:.6f}" for loss in losses))

# %% [markdown]
# ### A penalty on the slope
#
# Look at the best critic more closely. Let $T$ be the best plan, and $f$ a 1-Lipschitz function that reaches $W_1$. Then $f(x) - f(y) = \lVert x-y\rVert$ for (almost) all pairs of the plan, since $\lVert x-y\rVert - (f(x)-f(y))$ is nowhere negative and its mean is 0. Walk from $y$ to $x$ in a straight line, and stop at $\hat x = s\,x + (1-s)\,y$:
#
# $$ \lVert x-y\rVert = \underbrace{f(x) - f(\hat x)}_{\le (1-s)\lVert x-y\rVert} + \underbrace{f(\hat x) - f(y)}_{\le s\lVert x-y\rVert} \le \lVert x-y\rVert . $$
#
# Both parts must be equalities. So along the whole line $f$ rises with slope exactly 1; as nowhere it may rise faster, its gradient there *is* of length 1 (where it has one, and for $x \ne y$). Hence the **gradient penalty** (Gulrajani et al. 2017): at random points between real samples and fakes,
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
# ### Exercise 7 · Penalties  *(medium, 20 minutes)*
#
# `gradient_penalty` is the formula of Gulrajani et al. without its $\lambda$, and with `target` in the place of the 1; its numbers $s$ are given as `share`, one for each pair. `r1` is $\frac12\,\mathbb{E}\lVert\nabla D(x)\rVert^2$, without the $\gamma$. Both must teach $D$: their gradients reach its parameters. And both leave the samples that they are given, and the `.grad` of $D$'s parameters, as they were.
#
# <details><summary>Hint 1</summary>
#
# The point to differentiate at has to be told so: `x.detach().requires_grad_()`. `share` has the shape (n,); to multiply images (n, c, h, w) by it, it has to be (n, 1, 1, 1), and for points (n, 1).
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.autograd.grad` of the summed logits, with `create_graph=True`, gives a tuple of one tensor, shaped like the samples. Flattened from dimension 1 on, it has a row for each. The norm is taken of each row, the mean over the rows.
# </details>

# %% solution="penalties"
def gradient_penalty(D, real, fake, share, target=1.0):
    """E (‖∇D(x̂)‖ − target)² at x̂ = share · real + (1 − share) · fake (Gulrajani et al. 2017).

    real, fake (n, …): points or images; share (n,) in [0, 1], one number for each pair.
    D: any callable, (n, …) → logits (n, 1). Returns a scalar tensor, with a graph to D's
    parameters.
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
real, fake = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
share = torch.rand(6, dtype=torch.float64)
penalty = gradient_penalty(lambda x: x @ w, real, fake, share)
by_code, = torch.autograd.grad(penalty, w)
length = w.detach().norm()
print("linear:  by hand", (2 * (length - 1) * w.detach() / length).flatten().tolist(),
      "\n         by code", by_code.flatten().tolist())

critic = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1)).double()
r1(critic, real).backward()
weight, step = critic[0].weight, 1e-5
with torch.no_grad():
    weight[0, 0] += step
above = r1(critic, real).item()
with torch.no_grad():
    weight[0, 0] -= 2 * step
below = r1(critic, real).item()
print(f"R1 of a small net, at one weight: by code {weight.grad[0, 0]:.8f}, "
      f"by finite differences {(above - below) / (2 * step):.8f}")

# %% [markdown]
# Does a target of 1 or of 0 matter? Take the Dirac-GAN of `gan_math`: the data at 0, the generator's one sample at $\theta$, $D(x) = \psi x$. Wasserstein's losses, both players at once, with each penalty; the penalties are yours.

# %%
def dirac_end(penalty, steps=500, h=0.1):
    """(θ, ψ) after `steps` simultaneous steps from (1, 1)."""
    theta = psi = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(steps):
        theta, psi = theta.detach().requires_grad_(), psi.detach().requires_grad_()
        D = lambda x: x @ psi
        loss_D, _ = wasserstein(D(origin), D(theta.detach()))
        _, loss_G = wasserstein(D(origin), D(theta))
        slope_psi, = torch.autograd.grad(loss_D + penalty(D, theta.detach()), psi)
        slope_theta, = torch.autograd.grad(loss_G, theta)
        theta, psi = theta - h * slope_theta, psi - h * slope_psi
    return theta.item(), psi.item()


origin, half = torch.zeros(1, 1, dtype=torch.float64), torch.full((1,), 0.5, dtype=torch.float64)
for name, penalty in {
        "no penalty": lambda D, fake: 0.0,
        "gradient penalty, target 1": lambda D, fake: gradient_penalty(D, origin, fake, half),
        "gradient penalty, target 0":
            lambda D, fake: gradient_penalty(D, origin, fake, half, target=0.0),
        "R1": lambda D, fake: r1(D, origin)}.items():
    theta, psi = dirac_end(penalty)
    print(f"{name:>28}: after 500 steps θ = {theta:9.2g}, ψ = {psi:9.2g}")

# %% [markdown]
# Without a penalty the players fly apart. With target 1 they come to rest, but look where: $D$ is flat and the generator's sample is 2 away from the data. The penalty is $(|\psi| - 1)^2$. Near $\psi = 0$ it pushes $\psi$ away from 0 with a force of 2, at the right $\theta$ too, where $D$ should be flat; and at $|\theta| = 2$ this just cancels the pull of the data. Penalties centred at 0 come home. That is one parameter a player; what becomes of it in larger nets, the table below shows.

# %% [markdown] tags=["demo", "instructor"]
# ## Where does it come to rest?
#
# The smallest GAN there is: the data are at 0, the generator is one sample at $\theta$, the discriminator is the line $D(x) = \psi x$. A penalty draws the slope of $D$ towards a target. The most used one has the target 1.
#
# > **Ask the room.** Where will the sample end with target 1? With which targets does it come home to the data? And is a smaller weight a cure?

# %% tags=["demo"]
explore.penalty_target(gradient_penalty)

# %% [markdown]
# Why? Call the target $t$, and let the steps be small. While $\psi > 0$, $\dot\theta = \psi$ and $\dot\psi = -\theta - 2\lambda(\psi - t)$. With $u = \theta - 2\lambda t$ these two say
#
# $$ \ddot u = -u - 2\lambda\,\dot u , $$
#
# a spring with a brake. It rests at $u = 0$, so at $\theta = 2\lambda t$ and not at 0. While $\psi < 0$ the penalty pushes the other way, and the spring pulls to $-2\lambda t$. With $\lambda \ge 1$ the brake is strong enough that $u$ creeps to an end without swinging about it: from $(1, 1)$ it ends at one of the two, with $\psi = 0$. With
# $\lambda < 1$ it swings through, $\psi = \dot u$ changes its sign, and the other spring takes over, each time. Half a swing shrinks the distance from the middle of *that* spring by $\kappa = e^{-\pi\lambda/\sqrt{1-\lambda^2}}$. So swings from $-A$ to $A$ that repeat themselves have $A - 2\lambda t = \kappa\,(A + 2\lambda t)$, or
#
# $$ A = 2\lambda t\,\frac{1+\kappa}{1-\kappa} \;\longrightarrow\; \frac{4t}{\pi} \quad\text{for}\ \lambda \to 0 , $$
#
# and that isn't 0: a smaller weight doesn't cure a target of 1. A target of 0 does: then both springs pull to the same place.
#
# ### Spectral norm
#
# Or build the bound in. The stretch of a layer is known exactly: the largest of $\lVert Wh\rVert/\lVert h\rVert$ is the **spectral norm** $\sigma(W)$, its largest singular value. Divide each weight by it, and the whole net is 1-Lipschitz, as a product of factors that are at most 1 (Miyato et al. 2018).
#
# A singular value decomposition at each step would cost too much. **Power iteration** does with two products: begin with some $u$, and repeat
#
# $$ v \leftarrow \frac{W^\top u}{\lVert W^\top u\rVert}, \qquad u \leftarrow \frac{W v}{\lVert W v\rVert}; \qquad \sigma \approx u^\top W v . $$
#
# *Why it works.* Let $u = \sum_i c_i u_i$ in the left singular vectors of $W$, where $WW^\top u_i = \sigma_i^2 u_i$. Up to its length, $u$ after $k$ rounds is $(WW^\top)^k u = \sum_i c_i \sigma_i^{2k} u_i$. Against the first term, the $i$-th shrinks like $(\sigma_i/\sigma_1)^{2k}$. So $u$ tends to $u_1$ when $\sigma_1$ is larger than the others, unless $c_1 = 0$, which a random start avoids. And since a weight changes little in a step, *one* round a step is enough when it goes on from the last $u$.
#
# *Its gradient.* $\sigma$ depends on $W$, so dividing by it changes what the weight is taught. With $u_1, v_1$ of length 1, $d\sigma = u_1^\top\,dW\,v_1$: the changes of $u_1$ and $v_1$ contribute nothing, because $u_1^\top W\,dv_1 = \sigma\,v_1^\top dv_1 = 0$ (a vector of constant length changes at a right angle to itself), and so for $u_1$. Hence $u$ and $v$ may count as constants, and for a loss with the gradient $A$ at $\bar W = W/\sigma$,
#
# $$ \frac{\partial L}{\partial W} = \frac1\sigma\Big(A - \langle A, \bar W\rangle\, u_1 v_1^\top\Big). $$
#
# So $\langle \frac{\partial L}{\partial W}, W\rangle = 0$, since $u_1^\top W v_1 = \sigma$: to first order, no step along the gradient makes $W$ longer or shorter (Adam's steps are not quite along it). A convolution's weight (out, in, height, width) is read as a matrix with a row for each output channel; that isn't quite the stretch of the convolution, but it is what everybody divides by.
#
# ### Exercise 8 · Spectral norm  *(medium, 20 minutes)*
#
# First the function, then a parametrisation around it that remembers $u$: PyTorch calls its `forward` whenever the layer's `weight` is used. In eval mode, call your `spectral_norm` just the same, and throw the new $u$ away.
#
# <details><summary>Hint 1</summary>
#
# `weight.flatten(1)` is the matrix, of any weight. The iterations stand within `torch.no_grad()`, σ outside: so u and v are constants, and σ isn't.
# </details>
# <details><summary>Hint 2</summary>
#
# In `__init__`, `self.register_buffer` keeps a copy of u under a name; in `forward`, `self.u.copy_(…)` when `self.training`.
# </details>

# %% solution="spectral_norm"
def spectral_norm(weight, u, iterations=1):
    """(weight / σ, u): the weight over its largest singular value, as power iteration knows it.

    weight (outputs, …), a matrix of `outputs` rows; u (outputs,): the present guess of the left
    singular vector, of length 1. One iteration: v ← Wᵀu, then u ← Wv, each made of length 1. Then
    σ = uᵀWv, through which gradients reach the weight; u and v count as constants. Returns the new
    u, u itself unchanged.
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
    """A parametrisation, weight → weight / σ: one iteration at each call in train mode, from where
    the last one ended.

    u (outputs,): where it begins. A copy of it is kept with the state, and not learned. In eval
    mode it stays as it is.
    """

    def __init__(self, u):
        super().__init__()
        ### BEGIN SOLUTION
        self.register_buffer("u", u.clone())
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
# PyTorch has the same (in two versions; the newer one begins with $v$). Yours beside the older, from the same start; then the gradient against the formula:

# %%
from torch.nn.utils import parametrize

torch.manual_seed(0)
theirs = nn.utils.spectral_norm(nn.Linear(6, 4, bias=False).double())
mine = nn.Linear(6, 4, bias=False).double()
with torch.no_grad():
    mine.weight.copy_(theirs.weight_orig)
parametrize.register_parametrization(mine, "weight", SpectralNorm(theirs.weight_u.clone()),
                                     unsafe=True)    # unsafe: don't call it now
x = torch.randn(5, 6, dtype=torch.float64)
print("three passes, the largest difference from torch's:",
      [f"{(mine(x) - theirs(x)).abs().max().item():.1e}" for _ in range(3)])

weight = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
A = torch.randn(4, 6, dtype=torch.float64)
u = F.normalize(torch.randn(4, dtype=torch.float64), dim=0)
normed, u = spectral_norm(weight, u, 500)
by_code, = torch.autograd.grad((A * normed).sum(), weight)
U, S, V = torch.linalg.svd(weight.detach())
formula = (A - (A * weight.detach() / S[0]).sum() * torch.outer(U[:, 0], V[0])) / S[0]
print("the gradient: largest difference between your code and the formula "
      f"{(by_code - formula).abs().max():.1e}")

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
# A *recipe* is what may differ; the rest is the same for all: the nets (two hidden layers of 128), 64 samples a batch, Adam with $\beta_1 = 0$ and a rate of 0.002 for both players that falls over the second half, and your round. Five runs are trained at once, in batched matrices: they share the time and nothing else (but BEGAN's $k$, which is steered by their mean). (Therefore the weight of a penalty and the like are one choice for all: 0.1 for R1 and R2, 1 for the gradient penalty. Each method might do better with settings of its own. What a table like this one compares is methods *as somebody set them*.)

# %% tags=["setup"]
from course_lib.gan_recipes import Autoencoder, BatchNorm, Noise, Recipe, WeightNorm


def mixed_penalty(D, real, fake):
    return gradient_penalty(D, real, fake, torch.rand(len(real)))


def begin_spectral(weight):
    return SpectralNorm(F.normalize(torch.randn(len(weight)), dim=0))


class Began:
    """BEGAN's objective; its logits are errors of an autoencoder, and k balances both players."""

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
    "relativistic, R1 + R2":
        Recipe(relativistic, penalty=lambda D, real, fake: 0.1 * (r1(D, real) + r1(D, fake))),
    "R1": Recipe(non_saturating, penalty=lambda D, real, fake: 0.1 * r1(D, real)),
    "spectral norm": Recipe(non_saturating, weights=begin_spectral),
    "weight norm": Recipe(non_saturating, weights=WeightNorm),
    "layer norm":
        Recipe(non_saturating, hidden=lambda: nn.LayerNorm(128, elementwise_affine=False)),
    "batch norm": Recipe(non_saturating, hidden=BatchNorm),
    "noise at D's input, fading": Recipe(non_saturating, noise=0.2),
    "noise in D's layers, fading": Recipe(non_saturating, hidden=lambda: Noise(0.2)),
    "BEGAN": Recipe(Began(), body=Autoencoder),
}

# %% tags=["train"]
from tqdm.auto import tqdm


def show_runs(clouds, titles):
    """A picture for each cloud of points (n, 2), over data from the ring."""
    figure, axes = plt.subplots(1, len(clouds), figsize=(13, 3.4), sharex=True, sharey=True)
    for each, points, title in zip(axes, clouds, titles):
        each.plot(*gan_recipes.ring().sample(300).T, ".", color=BLUE, markersize=3, label="data")
        each.plot(*points[:300].T, "x", color=ORANGE, markersize=4, markeredgewidth=0.8,
                  label="generated")
        each.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
        each.set_title(title, fontsize=9)
    axes[0].legend(loc="upper left", bbox_to_anchor=(0, -0.12), ncols=2, fontsize=8)
    plt.show()


recipe_rounds = scale.pick(smoke=60, cpu=600)
chosen = ["non-saturating", "least squares", "Wasserstein, clipped at 0.1",
          "Wasserstein, gradient penalty", "relativistic, R1 + R2"]
clouds, titles = [], []
for name in tqdm(chosen, unit="recipe"):
    G, _, _ = gan_recipes.train(recipes[name], play_round, gan_recipes.ring(), recipe_rounds)
    found = gan_recipes.figures(G, gan_recipes.ring())
    modes, quality = (sum(run[key] for run in found) / len(found) for key in ("modes", "quality"))
    clouds.append(gan_recipes.samples(G)[0])
    titles.append(f"{name}\n{modes:.1f} modes, quality {quality:.2f}"
                  .replace(", g", ",\ng").replace(", c", ",\nc"))
show_runs(clouds, titles)

# %% [markdown]
# The pictures show the first of five runs, the figures are means over all five: how many of the 8 modes are found, and which share of the samples lies within $3\sigma$ of one. Other recipes: change `chosen` (`list(recipes)` has their names), or write one of your own.
#
# ### The table
#
# 600 rounds on the ring of 8, 1,500 on a grid of 25 Gaussians (at $\{-4, -2, 0, 2, 4\}^2$, $\sigma = 0.05$): median of five runs, in brackets the least and the greatest (`make bench BENCH_ARGS=gan_objectives`). The next section explains reverse KL, of which 0 is best, packing, and what is meant by $G$ ten times as fast.
#
# | recipe | ring: modes of 8 | high quality | reverse KL | grid: modes of 25 | high quality | reverse KL |
# |---|---|---|---|---|---|---|
# | non-saturating | 8 (8 to 8) | 0.64 (0.56 to 0.69) | 0.00 (0.00 to 0.01) | 22 (21 to 24) | 0.05 (0.03 to 0.10) | 0.04 (0.01 to 0.07) |
# | non-saturating, Adam's β1 = 0.9 | 3 (0 to 8) | 0.07 (0.00 to 0.53) | 0.78 (0.12 to 2.08) | 17 (5 to 19) | 0.02 (0.01 to 0.02) | 0.06 (0.02 to 1.26) |
# | least squares | 8 (8 to 8) | 0.59 (0.55 to 0.63) | 0.00 (0.00 to 0.01) | 20 (20 to 25) | 0.05 (0.03 to 0.07) | 0.04 (0.02 to 0.05) |
# | Wasserstein, unbounded | 5 (1 to 8) | 0.27 (0.08 to 0.58) | 0.51 (0.00 to 2.08) | 14 (5 to 19) | 0.02 (0.01 to 0.03) | 0.15 (0.06 to 1.19) |
# | Wasserstein, clipped at 0.1 | 8 (5 to 8) | 0.29 (0.08 to 0.51) | 0.00 (0.00 to 0.66) | 17 (14 to 22) | 0.02 (0.01 to 0.03) | 0.05 (0.02 to 0.18) |
# | Wasserstein, gradient penalty | 8 (8 to 8) | 0.48 (0.11 to 0.53) | 0.01 (0.01 to 0.09) | 15 (10 to 15) | 0.02 (0.01 to 0.03) | 0.50 (0.40 to 0.52) |
# | relativistic | 8 (8 to 8) | 0.64 (0.60 to 0.69) | 0.00 (0.00 to 0.01) | 22 (19 to 23) | 0.04 (0.04 to 0.06) | 0.04 (0.03 to 0.05) |
# | relativistic, R1 + R2 | 8 (8 to 8) | 0.62 (0.58 to 0.65) | 0.00 (0.00 to 0.00) | 21 (16 to 24) | 0.04 (0.03 to 0.07) | 0.03 (0.03 to 0.12) |
# | R1 | 8 (8 to 8) | 0.64 (0.58 to 0.67) | 0.00 (0.00 to 0.00) | 22 (18 to 23) | 0.06 (0.03 to 0.07) | 0.05 (0.04 to 0.09) |
# | spectral norm | 8 (8 to 8) | 0.50 (0.46 to 0.53) | 0.00 (0.00 to 0.01) | 24 (19 to 24) | 0.15 (0.10 to 0.19) | 0.07 (0.06 to 0.12) |
# | weight norm | 8 (8 to 8) | 0.59 (0.54 to 0.69) | 0.00 (0.00 to 0.01) | 19 (18 to 24) | 0.06 (0.02 to 0.08) | 0.04 (0.02 to 0.12) |
# | layer norm | 8 (8 to 8) | 0.62 (0.46 to 0.63) | 0.01 (0.00 to 0.01) | 12 (9 to 16) | 0.03 (0.01 to 0.03) | 0.25 (0.14 to 0.37) |
# | batch norm | 0 (0 to 0) | 0.00 (0.00 to 0.00) | 0.02 (0.01 to 0.13) | 5 (2 to 6) | 0.02 (0.00 to 0.02) | 1.18 (0.91 to 1.64) |
# | noise at D's input, fading | 8 (8 to 8) | 0.61 (0.55 to 0.64) | 0.00 (0.00 to 0.00) | 19 (16 to 24) | 0.05 (0.02 to 0.05) | 0.05 (0.02 to 0.07) |
# | noise in D's layers, fading | 8 (8 to 8) | 0.56 (0.53 to 0.61) | 0.00 (0.00 to 0.01) | 19 (18 to 21) | 0.04 (0.03 to 0.06) | 0.03 (0.02 to 0.06) |
# | BEGAN | 1 (0 to 1) | 0.44 (0.00 to 1.00) | 2.08 (1.87 to 2.08) | 4 (2 to 7) | 0.06 (0.02 to 0.14) | 1.67 (0.78 to 1.93) |
# | G ten times as fast | 1 (1 to 1) | 0.17 (0.03 to 0.19) | 1.96 (1.80 to 2.08) | 6 (4 to 13) | 0.01 (0.01 to 0.02) | 1.14 (0.32 to 1.36) |
# | packing 2 | 8 (8 to 8) | 0.39 (0.39 to 0.44) | 0.00 (0.00 to 0.01) | 17 (15 to 18) | 0.02 (0.01 to 0.02) | 0.09 (0.04 to 0.11) |
# | packing 4 | 8 (8 to 8) | 0.14 (0.14 to 0.19) | 0.01 (0.01 to 0.02) | 21 (16 to 21) | 0.02 (0.02 to 0.02) | 0.06 (0.05 to 0.13) |
# | G ten times as fast, packing 4 | 8 (8 to 8) | 0.11 (0.09 to 0.12) | 0.02 (0.00 to 0.03) | 15 (8 to 17) | 0.02 (0.01 to 0.03) | 0.13 (0.10 to 0.25) |
#
# What it says, of two small nets on a small budget:
#
# * **The objective hardly matters.** Non-saturating, least squares and relativistic find all modes of the ring in all runs, and 19 to 25 of the grid; the ranges of all their figures overlap. R1, R1 + R2, weight norm and noise in the input change nothing that five runs could show; noise in the layers finds two or three modes of the grid fewer.
# * **The optimiser does.** One number, Adam's $\beta_1$ at 0.9 instead of 0, and the same objective loses most of the ring.
# * **A Wasserstein critic without a bound is no critic**: one run in five found a single mode. Clipping mends that in part. The gradient penalty does on the ring, and on the grid loses ten modes where the plain objective loses three.
# * **Spectral norm** costs a little quality on the ring and has the best quality on the grid: 0.10 to 0.19, where the plain objective has 0.03 to 0.10.
# * **Layer norm**, harmless on the ring, loses half of the grid. **Batch norm in every hidden layer ruins both.** Real and generated samples pass $D$ apart, as they should, and each batch is standardised by itself, already in the first layer: so $D$ can hardly see how large the ring is, nor where. That fits what was measured: on the ring the shares are nearly equal (reverse KL 0.02), and not one sample lies where it should. (DCGAN's advice is to leave it out of $D$'s first layer; whether that is enough here isn't in the table.)
# * **BEGAN collapses here.** Its autoencoder has a bottleneck of one number (with two, it could copy points), and a point of the plane isn't an image: take it as a warning about this table, not about BEGAN.
# * **Nobody has solved the grid.** Most recipes find most of its modes, but hardly one sample in twenty lies within $3\sigma$ of one. All recipes had the same rounds; they were too few for this $\sigma$.
#
# And digits? The DCGAN of section 1, 400 steps, with some of these in the place of the usual objective; the penalties with the weights of the first papers on them, $\gamma = 10$ for R1 (R2 gets the same) and $\lambda = 10$, and without batch norm in $D$, as they must be:
#
# | recipe | seeds | Fréchet distance | read without doubt | kinds | seconds of one core |
# |---|---|---|---|---|---|
# | as it stands | 5 | 111 (98 to 132) | 25% (22% to 33%) | 9 (8 to 9) | 12 |
# | least squares | 5 | 110 (103 to 113) | 24% (19% to 25%) | 9 (9 to 10) | 12 |
# | relativistic | 5 | 105 (97 to 111) | 28% (21% to 32%) | 9 (9 to 10) | 12 |
# | spectral norm in place of batch norm in D | 5 | 122 (96 to 136) | 24% (22% to 27%) | 9 (9 to 10) | 13 |
# | R1, without batch norm in D | 5 | 106 (97 to 129) | 26% (21% to 28%) | 9 (9 to 9) | 16 |
# | relativistic, R1 + R2, without batch norm in D | 5 | 134 (129 to 154) | 19% (17% to 21%) | 10 (9 to 10) | 22 |
# | Wasserstein, gradient penalty, without batch norm in D | 5 | 130 (116 to 147) | 24% (17% to 29%) | 9 (9 to 10) | 16 |
# | no batch norm in D | 5 | 121 (92 to 248) | 21% (14% to 26%) | 9 (8 to 9) | 11 |
#
# Again the objective makes no difference that the seeds could show. **R1 without batch norm is as good as batch norm**, and steadier than nothing at all, the last row. R1 + R2 doesn't get as far in 400 steps; spectral norm can't be told from it, and the gradient penalty is 18 ± 7 behind, seed by seed. And penalties take longer: each needs a second differentiation.
#
# Published: PacGAN's authors found, over ten trials, 6.3 modes of 8 on the ring for a plain GAN and 7.9 with packs of two; on the grid, 17.3 of 25, and 24.8 with packs of four, with more than nine in ten samples of high quality (Lin et al. 2018). Lucic et al. (2018) gave several GANs the same budget for searching settings; their Fréchet distances on MNIST were 6.8 for the non-saturating loss, 6.7 for Wasserstein with clipping and 20.3 with the gradient penalty, and none was consistently better than the non-saturating one.

# %% [markdown]
# ## 6 · Mode collapse
#
# A generator that has found one place where $D$ is fooled can send all its noise there. $D$ learns to distrust the place, $G$ moves on, all of it, to the next: **mode collapse**. Each sample may be perfect. What is missing can't be seen in any single one, and $D$ looks at samples singly: its gradient at a sample asks "which way is more real?", and at equal places it gives equal answers, so nothing in $D$ drives samples apart that have come together.
#
# How does one count it? With points, where the modes are known, by three figures, and each alone can be fooled:
#
# * **modes**: those that at least one sample comes within $3\sigma$ of. A cloud all over the place finds them all.
# * **high quality**: the share of samples within $3\sigma$ of some mode (of the data themselves, 98.9 %). One single mode, well hit, gets 1.
# * **reverse KL**: assign each sample to its nearest mode; with the shares $q_j$ and the true ones $p_j = \frac1k$, $\mathrm{KL}(q\,\|\,p) = \sum_j q_j \log\frac{q_j}{p_j}$. It is 0 for equal shares, and $\log k$ when all go to one: $\log 8 = 2.08$ on the ring, $\log 25 = 3.22$ on the grid. It is reverse in that the generator's distribution comes first, so that a mode nobody goes to costs no infinity. It is blind for how far from the modes the samples lie.
#
# So read the three together. Here is a collapse to look at. $G$ learns ten times as fast as $D$ (and Adam's $\beta_1$ is 0.5 for both): whatever $D$ likes best at the moment, $G$ is all there before $D$ has changed its mind.

# %% tags=["setup"]
from course_lib.gan_recipes import FAST_G

recipes["G ten times as fast"] = Recipe(non_saturating, **FAST_G)

# %% tags=["train"]
collapsed, _, _ = gan_recipes.train(recipes["G ten times as fast"], play_round, gan_recipes.ring(),
                                    recipe_rounds)
show_runs(gan_recipes.samples(collapsed),
          [f"{found['modes']} modes, quality {found['quality']:.2f}\n"
           f"reverse KL {found['reverse KL']:.2f}"
           for found in gan_recipes.figures(collapsed, gan_recipes.ring())])

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
# ### Exercise 9 · Packing  *(easy, 10 minutes)*
#
# `pack` puts $m$ samples that follow each other side by side, and raises a `ValueError` when some would be left over. `packed_distance` is $d(p^m, q^m)$ for any $p$ and $q$.
#
# The check then trains three generators like the one above for some seconds, by your round and with your packs of four, and counts their modes. The middle one of the three decides: now and then a run collapses with any packs.
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
    """½ Σ |pᵐ − qᵐ|: the total variation distance between packs of m samples from p and packs
    from q.

    p, q (k,): two distributions over k modes. A pack is a sequence of m modes drawn one by one,
    and has kᵐ values. Returns a scalar tensor in [0, 1].
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
axes.plot(sizes, [packed_distance(p, collapse, m).item() for m in sizes], "o-", color=ORANGE,
          label="2 of 8 modes lost")
axes.plot(sizes, [1 - 0.75**m for m in sizes], ":", color=BLACK, label="$1 - (k'/k)^m$")
axes.plot(sizes, [packed_distance(p, uneven, m).item() for m in sizes], "s--", color=BLUE,
          label="all modes, unevenly")
axes.set(xlabel="m, samples in a pack", ylabel="distance of the packs", xticks=list(sizes),
         ylim=(0, 1))
axes.legend()
plt.show()

# %% [markdown]
# Both begin at 0.25. With larger packs both grow, as more samples tell any two distributions apart better; but the collapse grows faster. Minimise the distance of packs, and a collapse costs more than unevenness does. That is the theorem of the paper in one example.
#
# Does it cure ours? The same nets, rates and rounds, with packs of four. (Only $D$'s first layer is larger, and it judges a quarter as many inputs.)

# %% tags=["setup"]
recipes["packing 2"] = Recipe(non_saturating, pack=pack, packed=2)
recipes["packing 4"] = Recipe(non_saturating, pack=pack, packed=4)
recipes["G ten times as fast, packing 4"] = Recipe(non_saturating, pack=pack, packed=4, **FAST_G)

# %% tags=["train"]
packed, _, _ = gan_recipes.train(recipes["G ten times as fast, packing 4"], play_round,
                                 gan_recipes.ring(), recipe_rounds)
for name, G in (("single", collapsed), ("packs of 4", packed)):
    found = gan_recipes.figures(G, gan_recipes.ring())
    of = lambda key: [round(each[key], 2) for each in found]
    print(f"{name:>10}: modes {of('modes')}, quality {of('quality')},\n"
          f"            reverse KL {of('reverse KL')}")

# %% [markdown]
# The modes are back, on our machine in all five runs; on yours one of them may lack a mode. The quality isn't back: 0.11, and the collapsed ones have 0.17. Now read the table of section 5 again. At the usual rates, where nothing has collapsed, packs of four find the ring's modes too, but of their samples only 0.14 are of high quality, against 0.64 with single ones; on the grid they find no more modes than single ones do. In a small net and a short
# training, packs cost sharpness: $D$ has a harder question to answer, and fewer examples of it. It is a medicine, not a vitamin.

# %% [markdown] tags=["demo", "instructor"]
# ## A ring, live
#
# Eight clusters, and a generator that has to find them all. The curves: the share of the eight modes that it has found, and the share of its samples that are close to one.
#
# > **Ask the room.** When the generator learns ten times as fast as the discriminator, what will it do? Bet, then choose it. And what changes if the discriminator is shown four samples at a time? The last run stays behind as a shadow.

# %% tags=["demo", "instructor"]
from course_lib.explore import choice
from course_lib.explore.live import live_run


def train_ring(board, recipe):
    ring, shares = gan_recipes.ring(), {}

    def after_round(number, G):
        if board.due() or not shares:
            points = gan_recipes.samples(G, 500)[0]
            modes, quality = gan.count_modes(points, ring.centres, ring.sigma)
            shares.update({"modes found": modes / 8, "close to a mode": quality})
            board.scatter(ring.sample(300), points[:300], reach=3.0)
        board.log(number, **shares)

    gan_recipes.train(recipes[recipe], play_round, ring, board.total, runs=1,
                      after_round=after_round)


live_run("Eight modes", train_ring, "Blue: data; orange: generated.", steps=600,
         curves=("modes found", "close to a mode"), panels=1,
         recipe=choice("recipe", ["non-saturating", "non-saturating, Adam's β1 = 0.9",
                                  "Wasserstein, unbounded", "relativistic, R1 + R2",
                                  "G ten times as fast", "G ten times as fast, packing 4"]))

# %% [markdown]
# ## 7 · Looking
#
# A distance is one number. Before you believe it, look, and know what to look for.
#
# ### Between two noises
#
# Walk from one noise to another and watch the picture. If $G$ had learned images by heart, it would jump from one to the next; if it has learned what digits are, shapes change by and by. But by which path? Two draws $z_1, z_2$ from $N(0, I)$ in $d$ dimensions have
# $\mathbb{E}\lVert z\rVert^2 = d$. Their midpoint has the variance $\frac14 + \frac14 = \frac12$ in each coordinate, so $\mathbb{E}\lVert \frac{z_1+z_2}{2}\rVert^2 = \frac d2$: it lies nearer to the origin than the noises that $G$ has trained on. On the arc,
#
# $$ z(t) = \cos(\tfrac{\pi}{2} t)\, z_1 + \sin(\tfrac{\pi}{2} t)\, z_2 , $$
#
# the variance is $\cos^2 + \sin^2 = 1$ at each $t$: every point on the way is again a draw from $N(0, I)$. (In many dimensions two draws are nearly of one length and at a right angle, and this is nearly a great circle.) Look at the middle columns: what is drawn there by the straight line comes from noises that $G$ has hardly seen. With our small $G$ the difference is slight.

# %% tags=["train"]
ends = torch.randn(2, 6, gan_images.NOISE, generator=torch.Generator().manual_seed(3))
way = torch.linspace(0, 1, 12)[:, None, None]
straight = (1 - way) * ends[0] + way * ends[1]
circle = torch.cos(math.pi / 2 * way) * ends[0] + torch.sin(math.pi / 2 * way) * ends[1]
many = torch.randn(2, 10_000, gan_images.NOISE)
print(f"mean of ‖z‖²/d at the ends {many[0].square().mean():.3f}; in the middle "
      f"of the straight line {((many[0] + many[1]) / 2).square().mean():.3f}, "
      f"of the circle {((many[0] + many[1]) / math.sqrt(2)).square().mean():.3f}")
figure, panels = plt.subplots(1, 2, figsize=(11, 3.2))
for panel, path, title in zip(panels, (straight, circle),
                              ("the straight line", "the great circle")):
    with torch.no_grad():
        frames = dcgan_G.eval()(
            path.transpose(0, 1).reshape(-1, gan_images.NOISE).to(scale.device)).cpu()
    panel.imshow(frames.reshape(6, 12, 28, 28).permute(0, 2, 1, 3).reshape(6 * 28, 12 * 28),
                 cmap="gray", vmin=-1, vmax=1)
    panel.set_title(f"six walks along {title}")
    panel.set_axis_off()
plt.show()

# %%
explore.walk(lambda z: dcgan_G(z.to(scale.device)), gan_images.NOISE)

# %% [markdown]
# ### Has it learned by heart?
#
# For each drawn digit, the training image that is nearest to it, pixel by pixel. A copy would have distance 0 (up to rounding). What *no* copy looks like, held-out real digits say: they have never been seen by $G$, and have nearest neighbours too.

# %% tags=["train"]
drawn, training = drawn_by(dcgan_G), images.cpu()
nearest = lambda some: torch.cdist(some.flatten(1), training.flatten(1)).min(1)
figure, rows = plt.subplots(2, 10, figsize=(9, 2.2))
for column, (image, neighbour) in enumerate(zip(drawn[:10], training[nearest(drawn[:10]).indices])):
    rows[0, column].imshow(image[0], cmap="gray", vmin=-1, vmax=1)
    rows[1, column].imshow(neighbour[0], cmap="gray", vmin=-1, vmax=1)
for each in rows.flat:
    each.set_axis_off()
rows[0, 0].set_title("drawn", loc="left")
rows[1, 0].set_title("the nearest training image", loc="left")
plt.show()
for name, some in (("drawn", drawn[:300]), ("held-out real", real_test[:300]),
                   ("copied", training[:300])):
    print(f"{name:>14}: distance to the nearest training image "
          f"{nearest(some).values.mean():5.2f}, on average over {len(some)}")

# %% [markdown]
# ### What the average does
#
# All along you have looked at a moving average of $G$'s weights (Yazıcı et al. 2019). The same run without it, at its last step:

# %% tags=["train"]
line("the average", drawn_by(dcgan_G))
line("G itself, at the last step", drawn_by(dcgan_start))

# %% [markdown]
# The rates had fallen to 0 by then, so the last weights hardly move any more, and the average has little left to do. In the table of section 1, compare the two columns of distances for *rates that don't fall*: there the average does more.
#
# ### A distance, and how to fool it
#
# The Fréchet distance compares two clouds of points as if each were a Gaussian. In one dimension it can be written down and understood: between $N(\mu_1, \sigma_1^2)$ and $N(\mu_2, \sigma_2^2)$,
#
# $$ d^2 = \mu_1^2 - 2\mu_1\mu_2 + \mu_2^2 + \sigma_1^2 + \sigma_2^2 - 2\sigma_1\sigma_2 = (\mu_1-\mu_2)^2 + (\sigma_1-\sigma_2)^2 . $$
#
# It is the least mean square by which points of the one have to move to become the other. For any pairing of $X$ with $Y$, $\mathbb{E}(X-Y)^2 = (\mu_1-\mu_2)^2 + \sigma_1^2 + \sigma_2^2 - 2\operatorname{cov}(X,Y)$, and the covariance is at most $\sigma_1\sigma_2$ (Cauchy and Schwarz). One pairing reaches that: move the point $u$ standard deviations from the one mean to the point $u$ standard deviations from the other, and $\mathbb{E}\big[(\mu_1 + \sigma_1 u - \mu_2 - \sigma_2 u)^2\big]$ is just that,
# since $\mathbb{E}u = 0$ and $\mathbb{E}u^2 = 1$. In $d$ dimensions, with covariances $\Sigma_1$ and $\Sigma_2$ (Dowson & Landau 1982),
#
# $$ d^2 = \lVert\mu_1-\mu_2\rVert^2 + \operatorname{tr}\big(\Sigma_1+\Sigma_2-2(\Sigma_1\Sigma_2)^{1/2}\big) . $$
#
# What is the root of a matrix? A symmetric $\Sigma$ without negative eigenvalues is $V\Lambda V^\top$, with the eigenvectors as columns of $V$. Then $\Sigma^{1/2} = V\Lambda^{1/2}V^\top$ is a matrix whose square is $\Sigma$, since $V^\top V = 1$. But $\Sigma_1\Sigma_2$ isn't symmetric. We need only the *trace* of its root, the
# sum of the roots of its eigenvalues, and those can be had from a matrix that is symmetric: with $R = \Sigma_1^{1/2}$ (invertible, say),
#
# $$ R^{-1}(\Sigma_1\Sigma_2)R = R^{-1}RR\,\Sigma_2R = R\,\Sigma_2 R , $$
#
# and $R^{-1}MR$ has the eigenvalues of $M$: from $Mx = \mu x$ follows $(R^{-1}MR)(R^{-1}x) = \mu R^{-1}x$. So $\operatorname{tr}(\Sigma_1\Sigma_2)^{1/2} = \sum_i\sqrt{\mu_i}$ with the eigenvalues $\mu_i$ of $\Sigma_1^{1/2}\Sigma_2\Sigma_1^{1/2}$. (If $\Sigma_1$ can't be inverted, add $\varepsilon$ times the identity and let $\varepsilon$ go to 0: both sides are continuous.)
#
# ### Exercise 10 · The distance  *(medium, 15 minutes)*
#
# Write `frechet_distance`, the $d^2$ of the last formula in $d$ dimensions, its trace of the root by those eigenvalues.
#
# <details><summary>Hint 1</summary>
#
# `torch.linalg.eigh` gives the eigenvalues of a symmetric matrix, and its eigenvectors as columns; `torch.linalg.eigvalsh` the eigenvalues alone.
# </details>
# <details><summary>Hint 2</summary>
#
# `V * root` multiplies the columns of V. By rounding, an eigenvalue that should be 0 may come out as −1e-17, and its root as NaN: `clamp(min=0)` first, both times.
# </details>

# %% solution="frechet"
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    """The squared Fréchet distance between two Gaussians.

    mean_a, mean_b (d,); cov_a, cov_b (d, d): symmetric, without negative eigenvalues; some may be
    0. Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    values, vectors = torch.linalg.eigh(cov_a)
    # V Λ^½ Vᵀ
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    # the sum of the roots of the eigenvalues of Σ_a^½ Σ_b Σ_a^½
    cross = torch.linalg.eigvalsh((root @ cov_b) @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    ### END SOLUTION

# %% check="frechet"
check("frechet")

# %% [markdown]
# Of your digits, beside the course's own, which has given you all the distances so far; and beside SciPy's root of the unsymmetric product itself:

# %% tags=["train"]
from scipy.linalg import sqrtm

features_of_real, features_of_drawn = (frechet.features(some / 2 + 0.5).double()
                                       for some in (real_test, drawn))
moments = [moment for some in (features_of_drawn, features_of_real)
           for moment in (some.mean(0), some.T.cov())]
product_root = sqrtm((moments[1] @ moments[3]).numpy()).real.trace()
by_scipy = ((moments[0] - moments[2]).square().sum()
            + moments[1].trace() + moments[3].trace() - 2 * product_root)
print(f"yours {frechet_distance(*moments):.6f}, the course's "
      f"{frechet.frechet_distance(features_of_drawn, features_of_real):.6f}, "
      f"by SciPy's root {by_scipy:.6f}")

# %% [markdown]
# For images, the points are features of a classifier (Heusel et al. 2017); with those of a net trained on ImageNet it is called FID. Ours are 64 features of a small net that knows digits, so our numbers can be compared with each other and with nothing that was published.
#
# Means and covariances are all it sees. Three ways to have a good score without drawing well, beside yours. (The Gaussian of the third is that of the very test set it is held against.)

# %% tags=["train"]
to_real = lambda features: frechet.frechet_distance(features, features_of_real)
some = torch.Generator().manual_seed(0)
copies = training[torch.randperm(len(training), generator=some)[:100]].repeat(10, 1, 1, 1)
centred = features_of_real - features_of_real.mean(0)
spread = torch.linalg.cholesky(centred.T @ centred / len(centred)
                               + 1e-4 * torch.eye(64, dtype=torch.float64))
invented = features_of_real.mean(0) + torch.randn(1_000, 64, generator=some).double() @ spread.T
print(f"{'1,000 training images, copied':>58}: "
      f"{to_real(frechet.features(training[:1_000] / 2 + 0.5)):6.1f}")
print(f"{'100 training images, ten times each':>58}: "
      f"{to_real(frechet.features(copies / 2 + 0.5)):6.1f}")
print(f"{'no images at all: features drawn from a Gaussian':>58}: {to_real(invented):6.1f}")
print(f"{'yours':>58}: {to_real(frechet.features(drawn / 2 + 0.5)):6.1f}")
print()
for count in (100, 200, 400, 1_000):
    print(f"{f'{count} real images only, nothing else changed':>58}: "
          f"{to_real(frechet.features(training[:count] / 2 + 0.5)):6.1f}")

# %% [markdown]
# Copies beat you, a hundred of them repeated beat you (prediction 4), and features that belong to no image at all score like real ones. And the estimate depends on the number of images: the fewer, the larger, for the very same distribution. So when somebody compares two distances, ask: the same features, the same number of images, the same real set?
# And look at nearest neighbours beside it.

# %% [markdown]
# ## 8 · Broken on purpose
#
# ### A pattern that nobody asked for
#
# Pictures from a transposed convolution often show a fine chessboard. Where does it come from? Count. A transposed convolution lays a copy of its kernel at each input pixel, $s$ pixels apart, and adds up where they overlap. In one dimension, output pixel $j$ is reached by the inputs $i$ with $0 \le j + p - s\,i < k$. There
# are $\lceil k/s \rceil$ of them or one less, and exactly $k/s$ at each $j$ when $s$ divides $k$. Put ones into kernels of ones:

# %%
figure, panels = plt.subplots(1, 3, figsize=(9, 2.6))
for panel, (kernel_size, padding, extra) in zip(panels, ((3, 1, 1), (4, 1, 0), (5, 2, 1))):
    overlaps = F.conv_transpose2d(
        torch.ones(1, 1, 7, 7), torch.ones(1, 1, kernel_size, kernel_size),
        stride=2, padding=padding, output_padding=extra)[0, 0]
    panel.imshow(overlaps, cmap="gray", vmin=0, vmax=9)
    panel.set_title(f"kernel {kernel_size}, stride 2")
    panel.set_axis_off()
    inner = overlaps[3:-3, 3:-3]
    print(f"kernel {kernel_size}: {overlaps.shape[-1]} pixels; contributions to an inner pixel: "
          f"{sorted(set(inner.flatten().int().tolist()))}")
plt.show()

# %% [markdown]
# With kernels of 3 some pixels get four times as many contributions as others, with 5 more than twice as many, and the net has to learn weights that undo it; with 4 all get the same (Odena, Dumoulin & Olah 2016). It only takes the *cause* away, not every pattern: a kernel of 4 has four sets of weights, one for each place within a block of two by two, and
# nothing makes them agree. That is why a young DCGAN shows a grid all the same.
#
# ### Four runs
#
# Four people have trained the nets that *you* wrote, from the same beginning, for the same number of steps. Three have made a mistake: one has a tanh that is saturated from the start; one let $D$ see real images and fakes in one batch; one let the generator's step move the discriminator too. One has made none. Look at the curves
# and the pictures, and decide who is who.

# %% tags=["train"]
from course_lib import broken
from tqdm.auto import tqdm

games = broken.gans(globals(), 2 * digits.images - 1, 8, scale.pick(smoke=20, cpu=100),
                    progress=lambda names: tqdm(names, unit="run"))
figure, panels = plt.subplots(2, 4, figsize=(12, 4.6), height_ratios=[1.3, 1])
for column, (name, game) in enumerate(games.items()):
    panels[0, column].plot([loss for loss, _ in game.losses], color=BLUE, label="loss of D")
    panels[0, column].plot([loss for _, loss in game.losses], "--", color=ORANGE, label="loss of G")
    panels[0, column].set(title=name, xlabel="step", ylim=(0, 9))
    sheet = game.pictures[:10, 0].reshape(2, 5, 28, 28).permute(0, 2, 1, 3).reshape(56, 140)
    panels[1, column].imshow(sheet, cmap="gray", vmin=-1, vmax=1)
    panels[1, column].set_axis_off()
panels[0, 0].legend(loc="center right", bbox_to_anchor=(1, 0.3))
plt.show()

# %% [markdown]
# Pictures after so few steps are bad in every run. What would *prove* each mistake? Think of a measurement for each before you run the next cell.

# %%
my_diagnoses = {"run 1": "?", "run 2": "?",    # "saturated tanh", "one batch",
                "run 3": "?", "run 4": "?"}    # "D moves in G's step" or "sound"

# %% tags=["train"]
print("          how far G's step     mean slope of the tanh"
      "     how much D's logits of real images          D's loss in the end,")
print("          moves D's weights     in the first pictures"
      "     change when other fakes are beside them     real and fake apart")
for name, game in games.items():
    print(f"{name}    {game.pushed:14.5f}     {game.passed:18.3f}     {game.company:26.4f}"
          f"     {game.apart:27.2f}")

# %% [markdown]
# <details><summary>The answer</summary>
#
# **Run 1** has real images and fakes in one batch. The third column gives it away: exchange the fakes, and $D$ thinks differently of *the same* real images. Batch norm has mixed them. In separate batches no fake can reach a real image's logit, and the number is 0.
# And the loss of $D$, near 0? It looks like a $D$ that has won; it goes by the company. Batch norm takes from each channel its mean over the batch. From separate batches it takes each one's own, so that real images and fakes come out with the same mean, and $D$ has to find another difference. From one batch it takes a common mean, and how theirs differ stays for $D$ to see.
# Hand this $D$ the two apart, as in the last column, and its loss is many times as large.
#
# **Run 3** lets the generator's step move $D$: its optimiser was given the parameters of both. $D$ is then pushed by each of $G$'s steps towards taking fakes for real. It loses: its loss is far above $\log 4 \approx 1.39$, $G$'s is near 0, and the pictures are noise. It looks like a generator that is winning.
#
# **Run 4** began with weights fifty times too large at the end: the tanh's mean slope $1 - \tanh^2$ says how much of a gradient gets through at the start. It can recover, since Adam rescales gradients.
#
# **Run 2** is sound.
# </details>


# %% [markdown]
# ## 9 · At full size
#
# Your nets have had 4,000 digits and a quarter of a minute. With a GPU they can have what papers have: this section is for a machine with one. On a CPU it trains on clothes for some seconds, and nothing after it needs more.
#
# **Fashion-MNIST** is 60,000 pictures of clothes, grey and 28×28: they fit your `Generator` and `Discriminator` as they are, at width 64. **CIFAR-10** is 50,000 photographs, 32×32 in three colours. From 4 to 32 pixels takes three doublings instead of your two, so `course_lib/dcgan.py` has
# nets for them, built by the list of section 1, at width 128. The round is yours in both cases, and so are `initialise` and the objective: none of them ever asked how large an image is. Batches of 64, noise of 128 numbers, and now the paper's rates of 0.0002, with the budget they belong to: 20,000 rounds, and 50,000.
#
# The photographs are learned twice: with batch norm in $D$, and with *your* spectral norm on each of its weights instead.
#
# ### The distance that papers quote
#
# Section 7 ended with three questions to ask of a distance: which features, how many images, which real set? The **FID** (Heusel et al. 2017) is a Fréchet distance with these answers:
#
# | | |
# |---|---|
# | features | 2,048 numbers, what the last layer is given in one particular net: Google's Inception of 2015, with its weights for ImageNet. The same kind of net, trained again, gives other numbers |
# | images drawn | 10,000 or 50,000. The authors ask for at least 10,000 (beside their code); with 2,048 or fewer the covariance couldn't even have full rank |
# | real images | those of the training or of the test set: here all 10,000 of the test set |
# | what the net sees | images enlarged to 299×299, by TensorFlow's rule of 2015 or by today's, which puts pixels elsewhere (torchmetrics knows both; here the old one, for papers' sake), of pixels rounded to 256 values; grey ones in three equal colours |
#
# Change one answer, and the figure changes with nothing drawn any better. So a published FID can be held against yours only as far as these agree.
#
# `fid.fid` is torchmetrics' FID. It needs Inception's weights, a file of 96 MB; where it can't be had, the cell says what is missing and where to put it. Beside it stands a distance that can always be had: the same formula in 320 features of EfficientNet-Lite0, which knows ImageNet too and comes with the course.
# It can be held against nothing that was published, and is a poor judge of beginnings: in our tries it put the grid of a young net farther off than plain grey.

# %% tags=["train"]
from course_lib import dcgan, fid, gan_full_size
from course_lib.data import DataError


def at_full_size(name, D, G, steps, limit=None, count=10_000, fallback=None, **how):
    """Train on a data set before your eyes, on `limit` images of it, and hold `count` drawn ones
    against as many of its test set.
    """
    train, test = (load_images(name, split, limit=most, scale=(-1, 1), fallback=fallback)
                   for split, most in (("train", limit), ("test", count)))
    learned_from, real = train.images.to(scale.device), test.images.to(scale.device)
    z, kept = torch.randn(50, gan_full_size.NOISE, device=scale.device), G
    with Board(f"{train.name}, {len(train):,} images", steps) as board:
        def after_step(step, loss_D, loss_G, average):
            nonlocal kept
            kept = average
            board.after_step(step, loss_D, loss_G)
            if board.due():
                with torch.no_grad():
                    board.images(average(z), columns=10)

        gan_full_size.train(play_round, non_saturating, D.to(scale.device), G.to(scale.device),
                            learned_from, steps, after_step=after_step, **how)
    drawn = gan_full_size.draw(kept, len(real))
    try:
        seen = fid.lite0_features(real)
        by_drawn, by_real = (frechet.frechet_distance(fid.lite0_features(some), seen)
                             for some in (drawn, learned_from[:len(real)]))
        print(f"{train.name}, distance from {len(real):,} test images by EfficientNet-Lite0:\n"
              f"{by_drawn:.0f} of as many drawn, {by_real:.0f} of as many training images")
        print(f"FID: {fid.fid(drawn, real):.1f}" if scale.pick(smoke=False, gpu=True) else
              "FID waits for a GPU: on a CPU, Inception takes too long for thousands of images.")
    except fid.Missing as missing:
        print(missing)


few = {"rates": (4e-3, 4e-3), "betas": (0.5, 0.99)}    # what few rounds need
channels, rounds, how = scale.pick(
    smoke=(4, 10, few | {"limit": 500, "count": 30}),
    cpu=(8, 120, few | {"limit": 4_000, "count": 100}),
    gpu=(gan_full_size.WIDTH["fashion_mnist"], gan_full_size.STEPS["fashion_mnist"], {}))
torch.manual_seed(0)
at_full_size("fashion_mnist", initialise(Discriminator(channels)),
             initialise(Generator(gan_full_size.NOISE, channels)), rounds, fallback="digits", **how)

# %% tags=["train"]
if scale.pick(smoke=False, gpu=True):
    channels, rounds = gan_full_size.WIDTH["cifar10"], gan_full_size.STEPS["cifar10"]
    try:
        for normed in ("batch norm", "spectral norm"):
            torch.manual_seed(0)
            norm = nn.BatchNorm2d if normed == "batch norm" else None
            D, G = (initialise(net) for net in (dcgan.discriminator(3, channels, norm=norm),
                                                dcgan.generator(3, channels, gan_full_size.NOISE)))
            print(f"{normed} in D")
            if normed == "spectral norm":
                D = gan_full_size.with_weights(D, begin_spectral)
            at_full_size("cifar10", D, G, rounds)
    except DataError as missing:
        print(missing)
else:
    print("CIFAR-10 needs a GPU.")

# %% [markdown]
# | FID | Fashion-MNIST | CIFAR-10 | |
# |---|---|---|---|
# | non-saturating | 26.5 ± 1.6 | 58.5 ± 1.9 | published, Lucic et al. 2018 |
# | least squares | 30.7 ± 2.2 | 87.1 ± 47.5 | the same |
# | Wasserstein, clipped | 21.5 ± 1.6 | 55.2 ± 2.3 | the same |
# | Wasserstein, gradient penalty | 24.5 ± 2.1 | 55.8 ± 0.9 | the same |
# | batch norm in $D$ | | 56.3 | published, Miyato et al. 2018 |
# | spectral norm in $D$ | | 29.3 | the same |
# | real photographs | | 7.8 | the same |
# | yours | | | what the cells above print |
#
# Hold the published figures apart, too. Lucic et al. took for each method the best of many settings, searched for each data set anew, and in their code measure 10,000 drawn against the 10,000 test images. Miyato et al. trained $G$ for 100,000 steps, mostly with five of $D$ to each, with a $D$ of about twice as many layers as the one above, a batch norm without factors to learn
# and the best of six settings for each method, and measured "over 10000 and 5000 samples": with so few, *real* photographs come to 7.8. What to compare is therefore two rows of one table, such as batch norm and spectral norm in $D$. In theirs, the second has about half the FID of the first. The cells above train both, with nothing else changed.

# %% [markdown]
# ## 10 · In your own words
#
# A colleague shows you a table: "Our GAN with trick X has a Fréchet distance of 21.3, the one without has 24.0. So X works."
#
# In 100 to 200 words: name three things that you would have to know before you believe it, each with a measurement of this notebook that shows why it matters. Then name one piece of advice for training GANs that held, in your runs or in the tables, and one that made no difference, with the figures.
#
# <details><summary>What a good answer has in it</summary>
#
# Three different reasons why two numbers can differ, or be equal, for a cause that isn't X; each with figures that you can point to in this notebook. Two pieces of advice, with figures, and with the spread over the seeds beside the difference.
# </details>

# %% [markdown] answer="advice" points=2
# ### BEGIN SOLUTION
# *Seeds.* In the table of section 1, runs of one and the same recipe differ between seeds by about as much as many changes of the recipe do; a difference of 2.7 between two single runs says nothing. I'd ask for at least five seeds of each, and their spread.
#
# *How the distance was measured.* It depends on the number of images and on the features: in section 7 the same real distribution came out farther with 100 images than with 1,000. Both must use the same.
#
# *What the distance doesn't see.* One hundred training images, repeated, had a better distance than my generator. So I'd look at nearest neighbours, and at modes or kinds found, before I call it better. (Also: the same budget in steps or time? Section 2: a wider net may need longer.)
#
# Advice that held: batch norm. Without it in both nets the distances were 164 to 292, beyond all fifty runs of the recipe as it stands (85 to 137). Advice that made no difference here: one-sided smoothing: its distances are 81 to 113 where the plain recipe's are 98 to 132, seed by seed 16 ± 11 nearer, which isn't two standard errors, as the calculation of section 4 leads one to expect at D's optimum.
# ### END SOLUTION

# %% [markdown] tags=["instructor"]
# **Rubric (2 points, halves allowed).**
#
# * 1 · Three reasons, each with figures of the notebook (two of them: ½): the spread over seeds; the number of images, the features, or the real set of the distance; that copies or a collapse can score well; the same budget (steps, time, width); whether the best of many checkpoints was reported; whether both were tuned equally.
# * ½ · A piece of advice that held, with figures that are larger than the spread over seeds.
# * ½ · One that made no difference, with figures *and* the spread, or the calculation that predicts it (one-sided smoothing).
#
# A wrong answer to expect: "21.3 is smaller, so it is better, but only a little". The question is whether it is smaller at all.

# %% [markdown]
# ## What to remember
#
# 1. Halving and doubling: kernel 4, stride 2, padding 1. Kernels that the stride doesn't divide invite chessboards.
# 2. One round for every objective: $D$ steps on detached fakes, $G$ on the $D$ that has just learned, real and fake in separate calls.
# 3. At $D$'s optimum, one-sided smoothing leaves $G$'s gradient as it is; smoothing both sides takes it away where it is needed most. Flipping is smoothing on both sides, plus noise.
# 4. Classes enter $D$ by an inner product with its features: it is what the log of a ratio of softmaxes looks like.
# 5. A difference smaller than the spread over seeds is no difference.
# 6. A small loss of $D$, on images that it wasn't trained on and each judged by itself, proves that the fakes hardly overlap with the data; a flat one proves nothing. Ask a score, and measure its changes in standard errors.
# 7. Least squares has the same best $D$ without the flat ends. Wasserstein needs a critic of bounded slope: clipping bounds it badly, a penalty asks for it, spectral norm builds it in. A penalty centred at 0 lets the players rest where they should; one centred at 1 lets them rest elsewhere, or not at all.
# 8. Collapse is counted by modes, quality and reverse KL together. Packs of samples make $D$ see it.
# 9. The Fréchet distance sees means and covariances of features, depends on the number of images, and likes copies. Look at pictures and neighbours too.
#
# ## What to try next
#
# * Give the classes of a conditional GAN *random* labels. What does the projection learn, and does the picture suffer?
# * Let the discriminator's rate be four times the generator's, and the other way round. Which is more robust, over five seeds?
# * Train on half of the digits and measure the distance to the nearest training image again. When does it begin to learn by heart?
#
# ## Sources
#
# * Radford, Metz & Chintala (2016), *Unsupervised representation learning with deep convolutional generative adversarial networks*, ICLR. DCGAN.
# * Chintala, Denton, Arjovsky & Mathieu (2016), *How to train a GAN? Tips and tricks to make GANs work*. The advice.
# * Goodfellow et al. (2014), *Generative adversarial nets*, NeurIPS. The non-saturating objective.
# * Salimans et al. (2016), *Improved techniques for training GANs*, NeurIPS. One-sided label smoothing.
# * Mirza & Osindero (2014), *Conditional generative adversarial nets*.
# * Miyato & Koyama (2018), *cGANs with projection discriminator*, ICLR.
# * Odena, Dumoulin & Olah (2016), *Deconvolution and checkerboard artifacts*, Distill.
# * Yazıcı et al. (2019), *The unusual effectiveness of averaging in GAN training*, ICLR.
# * Heusel et al. (2017), *GANs trained by a two time-scale update rule converge to a local Nash equilibrium*, NeurIPS. The Fréchet distance as a score.
# * Mao et al. (2017), *Least squares generative adversarial networks*, ICCV.
# * Arjovsky & Bottou (2017), *Towards principled methods for training generative adversarial networks*, ICLR. Noise at the inputs.
# * Arjovsky, Chintala & Bottou (2017), *Wasserstein GAN*, ICML. Clipping, and the sentence quoted on it.
# * Gulrajani et al. (2017), *Improved training of Wasserstein GANs*, NeurIPS. The gradient penalty.
# * Mescheder, Geiger & Nowozin (2018), *Which training methods for GANs do actually converge?*, ICML. R1, and the Dirac-GAN.
# * Miyato, Kataoka, Koyama & Yoshida (2018), *Spectral normalization for generative adversarial networks*, ICLR.
# * Jolicoeur-Martineau (2019), *The relativistic discriminator: a key element missing from standard GAN*, ICLR.
# * Huang, Gokaslan, Kuleshov & Tompkin (2024), *The GAN is dead; long live the GAN! A modern GAN baseline*, NeurIPS. R3GAN: the pairing with R1 and R2.
# * Salimans & Kingma (2016), *Weight normalization*, NeurIPS.
# * Berthelot, Schumm & Metz (2017), *BEGAN: boundary equilibrium generative adversarial networks*.
# * Lucic, Kurach, Michalski, Gelly & Bousquet (2018), *Are GANs created equal? A large-scale study*, NeurIPS.
# * Lin, Khetan, Fanti & Oh (2018), *PacGAN: the power of two samples in generative adversarial networks*, NeurIPS.
# * Székely & Rizzo (2013), *Energy statistics*, J. Statistical Planning and Inference. The energy distance.
# * Dowson & Landau (1982), *The Fréchet distance between multivariate normal distributions*, J. Multivariate Analysis.
