# ---
# jupyter:
#   course:
#     title: VGG, GoogLeNet and ResNet, rebuilt
#     minutes: 220
#     builds_on: []
#     place: 3
#     cover: train-torch-manual-seed-2
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # VGG, GoogLeNet and ResNet, rebuilt
#
# "I rebuilt the classic networks, my ResNet-18 stays at about 0.8 on CIFAR-10, and I don't know which trick is missing." This lesson gives you
# the tests that would find it. First you rebuild the three families, VGG and ResNet so exactly that your nets and torchvision's give the same numbers; then you know that the
# blocks and the stem are what they are meant to be. What is still missing is in the recipe, and you take the recipe apart, one change at a time, and measure what each is worth in a
# short training. The long trainings beyond 0.9 are for a GPU, and aren't measured here.
#
# | you build | by |
# |---|---|
# | VGG-11, -13, -16, -19 from one table | code that is compared number by number, weights, outputs and gradients |
# | what a net costs and what a neuron sees | two formulas, checked against real nets |
# | the Inception block, and GoogLeNet of it | the same |
# | residual blocks of three kinds; ResNet-18, -34, -50 from one table | the same; equal to torchvision's |
# | augmentation, label smoothing, a schedule, decay where it belongs, an average of the weights | code that is compared number by number |
# | a ladder from a book's recipe to a better one, and a net by a recipe of your own | training, on one CPU core or on a GPU |
#
# **What it takes.** About three and a half to four hours at the keyboard; on one CPU core some five minutes of training in all. You should have trained some
# network with PyTorch, and know what a convolution and batch norm are.
#
# **How it works.** You write code where it says `YOUR CODE HERE`, and run the `check` below it. A check puts its own weights into your modules, in the
# order in which you made them, and compares what they do. So make modules **in the order in which the data pass through them, the main path
# before the shortcut**. Everything else is free: names, style, `nn.Sequential` or not (but for `vgg_block`, which is to be one). Nothing you get wrong is counted.
# In your solutions use Python, torch and NumPy: where they are graded, libraries that hold answers (SciPy, scikit-learn, torchvision and their like) aren't there.

# %% tags=["setup"]
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import Scale, classify, current_scale, start

check = start("cnn_families")
scale = current_scale()

# %% [markdown]
# ### Commit yourself first
#
# Three predictions. Replace each `"?"`; there are no points for being right, and you meet each again where it is measured.
#
# 1. VGG-16 has 138 million parameters. What share of them is in the 13 convolutions? (`"11 %"`, `"50 %"`, `"89 %"`)
# 2. A plain net of 20 layers and one of 8, both with batch norm, are trained equally long. The deep one has more parameters. Which has the
#    lower *training* loss? (`"deep"`, `"shallow"`, `"equal"`)
# 3. A book trains its ResNet by a loss that is the *sum* over the batch, at a low rate that hardly falls. You change that, each change on top of those before it, and train for 150 steps on batches of 32, so that not even all of 6 000 images are looked at once. Which change gains most?
#    The mean of the losses at a higher rate (`"mean and rate"`), a rate that climbs and falls (`"schedule"`), normalised images (`"normalise"`), `"flips"`, `"crops"`, a square cut out of each image (`"cutout"`), a weight decay that spares batch norms and biases (`"decay"`), smoothed labels (`"smoothing"`),
#    or `"none"`, if the greatest gain isn't clear of the spread between three seeds?

# %%
my_predictions = {"convolutions": "?", "deep or shallow": "?", "most": "?"}

# %% [markdown]
# ## 1 · From AlexNet to VGG
#
# AlexNet (Krizhevsky, Sutskever & Hinton 2012) has five convolutions, each with sizes of its own: 11×11 with stride 4, then 5×5, then
# 3×3 three times. Here it is as torchvision has it, after the one-column version of Krizhevsky (2014): without local response normalisation, and with fewer channels in the fourth layer than that paper:

# %%
def alexnet(classes=1000):
    """AlexNet: images (n, 3, 224, 224) → logits (n, classes)."""
    return nn.Sequential(
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, stride=2),
        nn.AdaptiveAvgPool2d(6), nn.Flatten(),
        nn.Dropout(0.5), nn.Linear(256 * 36, 4096), nn.ReLU(),
        nn.Dropout(0.5), nn.Linear(4096, 4096), nn.ReLU(),
        nn.Linear(4096, classes))


def parameters(net):
    return sum(parameter.numel() for parameter in net.parameters())


def on_paper(make, *args):
    """A net with shapes and no memory behind them: it costs nothing, however large."""
    with torch.device("meta"):
        net = make(*args)
        net(torch.empty(2, 3, 224, 224))      # lazy layers, if there are any, learn their sizes
    return net


print(f"AlexNet has {parameters(on_paper(alexnet)):,} parameters; torchvision's has 61,100,840")

# %% [markdown]
# Two years later VGG (Simonyan & Zisserman, in print in 2015) had one idea instead of five sizes: **only 3×3 convolutions, in blocks.** A block repeats (3×3 convolution with
# padding 1, ReLU) and ends in a 2×2 max-pooling. So a block keeps the picture's size until its end, and halves it there. All that remains to be chosen is how often each of
# five blocks repeats:
#
# | | block 1 | block 2 | block 3 | block 4 | block 5 | linear layers |
# |---|---|---|---|---|---|---|
# | channels | 64 | 128 | 256 | 512 | 512 | 4096, 4096, classes |
# | VGG-11 | 1 | 1 | 2 | 2 | 2 | 3 |
# | VGG-13 | 2 | 2 | 2 | 2 | 2 | 3 |
# | VGG-16 | 2 | 2 | 3 | 3 | 3 | 3 |
# | VGG-19 | 2 | 2 | 4 | 4 | 4 | 3 |
#
# The number in a name counts the layers with weights: 13 convolutions and 3 linear layers make VGG-16.
#
# ### Exercise 1 · One block, one table, four nets  *(easy, 15 minutes)*
#
# Write the block, then the net for all four depths. Between blocks and linear layers stands an average pooling to 7×7 (which changes nothing for 224×224 images, and lets the
# net take others). The widths are arguments, so that a check can build a small one.
#
# <details><summary>Hint 1</summary>
#
# The first convolution of a block goes from `in_channels` to `out_channels`, all others from `out_channels` to `out_channels`. One variable that is overwritten
# in the loop does both.
# </details>
# <details><summary>Hint 2</summary>
#
# `nn.AdaptiveAvgPool2d(7)`, `nn.Flatten()`, and the first linear layer has 8·width·7·7 inputs. `nn.Dropout(dropout)` comes after the ReLU, twice.
# </details>

# %% solution="vgg"
def vgg_block(convs, in_channels, out_channels):
    """`convs` times a 3×3 convolution that keeps the size, each followed by ReLU; then 2×2 max-pooling
    that halves it.

    The first convolution goes from in_channels to out_channels. Returns an nn.Sequential.
    """
    ### BEGIN SOLUTION
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))
    ### END SOLUTION


def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    """VGG-`depth`, for a depth of 11, 13, 16 or 19: images (n, in_channels, h, w) → logits
    (n, classes).

    Five blocks of width, 2, 4, 8 and 8 times width channels, average pooling to 7×7, then three
    linear layers with `hidden` units between, and ReLU and dropout after each but the last.
    """
    ### BEGIN SOLUTION
    convs = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}[depth]
    channels = [in_channels, *(width * times for times in (1, 2, 4, 8, 8))]
    blocks = [vgg_block(*block) for block in zip(convs, channels, channels[1:])]
    head = [nn.Linear(channels[-1] * 7 * 7, hidden), nn.ReLU(), nn.Dropout(dropout),
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(7), nn.Flatten(), *head)
    ### END SOLUTION

# %% check="vgg"
check("vgg")

# %% [markdown]
# Full size, counted. Then see where the parameters of VGG-16 are:

# %%
for depth in (11, 13, 16, 19):
    print(f"VGG-{depth}: {parameters(on_paper(vgg, depth)):,}")

from matplotlib import pyplot as plt

from course_lib.style import BLACK, BLUE, GREEN, ORANGE, VERMILLION, use_style

use_style()
with_weights = (nn.Conv2d, nn.Linear)
layers = [module for module in on_paper(vgg, 16).modules() if isinstance(module, with_weights)]
counts = [parameters(layer) / 1e6 for layer in layers]
figure, axes = plt.subplots(figsize=(8, 2.6))
axes.bar(range(1, 17), counts,
         color=[BLUE if isinstance(layer, nn.Conv2d) else ORANGE for layer in layers])
axes.set(xlabel="layer of VGG-16 (blue: convolutions, orange: linear)", ylabel="million parameters",
         xticks=range(1, 17))
plt.show()
print(f"in the convolutions: {100 * sum(counts[:13]) / sum(counts):.0f} %. "
      f"You predicted {my_predictions['convolutions']}")

# %% [markdown]
# Three quarters of all parameters are in a single layer, the first linear one: 512·7·7 inputs times 4096 outputs. The nets of the next sections hardly have such a layer any more.
#
# ### What a net costs, and what a neuron sees
#
# Take a convolution from $c$ to $c'$ channels with a $k \times k$ kernel, stride $s$ and padding $p$, on an $n \times n$ image. The kernel's first position leaves $n + 2p - k$ pixels to
# move on to, and it moves by $s$. Positions that would reach over the edge are not used. So the output has the side
#
# $$ n' = \left\lfloor \frac{n + 2p - k}{s} \right\rfloor + 1. $$
#
# Each of the $c'$ output channels has $k^2$ weights for each of $c$ input channels, and one bias: $c\,c'k^2 + c'$ parameters. At each of the $n'^2$ positions every weight is multiplied once and
# added once: $c\,c'k^2 n'^2$ multiply-adds. The bias isn't counted. A pixel of the input is used many times, a position of the *output* is computed once: that is why $n'$ stands there.
#
# **The receptive field.** Which part of the input can change one output? Go from the input on. Let one output of layer $l$ see $f_l$ pixels, and let two outputs that are neighbours see squares that are $j_l$ pixels apart.
# Before the first layer, $f_0 = 1$ and $j_0 = 1$. A $k$-wide kernel spans $k$ neighbours, from the first to the last $k - 1$ jumps, so
#
# $$ f_{l} = f_{l-1} + (k_l - 1)\, j_{l-1}, \qquad j_{l} = s_l\, j_{l-1} . $$
#
# Two 3×3 layers with stride 1: $1 + 2 + 2 = 5$. Three: 7. That is VGG's argument. Two 3×3 layers see as much as one of 5×5, with $2\cdot 9 = 18$ weights a pair of channels instead of 25, and a ReLU more.
#
# ### Exercise 2 · Two formulas  *(easy, 15 minutes)*
#
# <details><summary>Hint 1</summary>
#
# `//` rounds down. `bias` is `True` or `False`, which Python multiplies like 1 and 0.
# </details>
# <details><summary>Hint 2</summary>
#
# `receptive_field` is a loop over two numbers, field and jump. Update the field before the jump.
# </details>

# %% solution="cost"
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    """(parameters, multiply-adds) of a kernel×kernel convolution on one image of size×size.

    A multiply-add is one weight times one input, added up; biases count as parameters and cost none.
    Two ints.
    """
    ### BEGIN SOLUTION
    weights = in_channels * out_channels * kernel**2
    side = (size + 2 * padding - kernel) // stride + 1
    return weights + bool(bias) * out_channels, weights * side**2
    ### END SOLUTION


def receptive_field(layers):
    """The side of the input square that one output of the last layer sees.

    layers: [(kernel, stride), …] of convolutions and poolings, from the input on. Returns an int.
    """
    ### BEGIN SOLUTION
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field
    ### END SOLUTION

# %% check="cost"
check("cost")

# %% [markdown]
# Formulas should meet reality. A **hook** is a function that PyTorch calls whenever a layer has run; it sees the layer, its input and its output. Below, hooks visit every convolution of three
# real nets and ask your formula; PyTorch's own counter (which counts a multiply-add as two operations) is the witness. And the receptive field of VGG-11's last pooling is measured by gradients: the pixels of the
# input at which they aren't 0. A max-pooling passes a gradient on to one of its four pixels and a ReLU may stop it, so a single output shows only a part of its field, or nothing. All channels at one place together show it whole.

# %%
from torch.utils.flop_counter import FlopCounterMode


def costs(net, size):
    """[(layer, parameters, multiply-adds)] of each convolution and linear layer, by your formula.

    A linear layer is a 1×1 convolution on a 1×1 image.
    """
    found = []

    def visit(layer, inputs, output):
        if isinstance(layer, nn.Conv2d):
            kernel = layer.kernel_size[0]
            padding = kernel // 2 if layer.padding == "same" else layer.padding[0]
            found.append((layer, *conv_cost(layer.in_channels, layer.out_channels, kernel,
                                            inputs[0].shape[-1], layer.stride[0], padding,
                                            layer.bias is not None)))
        else:
            found.append((layer, *conv_cost(layer.in_features, layer.out_features, 1, 1)))

    hooks = [layer.register_forward_hook(visit) for layer in net.modules()
             if isinstance(layer, (nn.Conv2d, nn.Linear))]
    net(torch.empty(1, 3, size, size, device=next(net.parameters()).device))
    for hook in hooks:
        hook.remove()
    return found


nets = {"AlexNet": on_paper(alexnet), "VGG-11": on_paper(vgg, 11), "VGG-16": on_paper(vgg, 16)}
for name, net in nets.items():
    by_formula = costs(net, 224)
    with FlopCounterMode(display=False) as counter:
        net(torch.empty(1, 3, 224, 224, device="meta"))
    print(f"{name:>8}: "
          f"{sum(p for _, p, _ in by_formula):>12,} parameters ({parameters(net):,} counted), "
          f"{sum(m for *_, m in by_formula):>15,} multiply-adds "
          f"({counter.get_total_flops() // 2:,} counted)")

torch.manual_seed(0)
plan = ((1, 3, 4), (1, 4, 8), (2, 8, 16), (2, 16, 32), (2, 32, 32))
features = nn.Sequential(*(vgg_block(*block) for block in plan)).double()
image = torch.randn(1, 3, 192, 192, dtype=torch.float64, requires_grad=True)
features(image)[0, :, 3, 3].sum().backward()
seen = image.grad.abs().sum((0, 1)).nonzero()
sides = (seen.max(0).values - seen.min(0).values + 1).tolist()
stack = [step for convs in (1, 1, 2, 2, 2) for step in [(3, 1)] * convs + [(2, 2)]]
print("all channels at one place behind VGG-11's fifth block: "
      f"gradients at {sides[0]}×{sides[1]} pixels; the formula says {receptive_field(stack)}")

# %% [markdown] tags=["demo", "instructor"]
# ## What a neuron sees, and what it costs
#
# VGG's idea: no large kernels, only stacks of small ones.
#
# > **Ask the room.** Two layers of 3×3 see as much as one layer of which size? And five? Which is cheaper, and by how much?
# >
# > Give the first layer a stride of 2. What happens to the field, and what to the cost?

# %% tags=["demo"]
from course_lib.explore import cnn_families as explore

explore.field_and_cost(receptive_field, conv_cost)

# %% [markdown]
# ## 2 · GoogLeNet: several kernels beside each other
#
# Is 3×3 the right size, or 5×5, or 1×1? GoogLeNet (Szegedy et al. 2015) doesn't choose. Its **Inception block** runs four branches on the same input and joins their channels:
#
# ```
#            ┌── 1×1 ─────────────────────┐
#  input ────┼── 1×1 (reduce) ── 3×3 ─────┼── channels joined
#            ├── 1×1 (reduce) ── 5×5 ─────┤
#            └── 3×3 max-pool ── 1×1 ─────┘
# ```
#
# The 5×5 on all input channels would be expensive. So a 1×1 convolution, which mixes channels and looks at no neighbour, first **reduces** their number. From $c$ to $c'$ channels through $r$: $c\,r + 25\,r\,c'$ weights rather than
# $25\,c\,c'$. With the first block's numbers, $c = 192, r = 16, c' = 32$: 15,872 rather than 153,600, a tenth.
#
# ### Exercise 3 · The Inception block  *(easy, 15 minutes)*
#
# <details><summary>Hint 1</summary>
#
# To keep the size: padding 0, 1 and 2 for kernels of 1, 3 and 5. The pooling is 3×3 with stride **1** and padding 1.
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.cat([...], dim=1)` joins channels. ReLU commutes with joining, so it may stand before or after it; but the reductions need one of their own.
# </details>

# %% solution="inception"
class Inception(nn.Module):
    """GoogLeNet's block: four branches beside each other, their channels joined in this order.

    one: channels of the 1×1 branch. three, five: (channels after the 1×1 reduction, channels of the
    branch) of the 3×3 and of the 5×5 branch. pool: channels of the 1×1 convolution that follows a 3×3
    max-pooling. A ReLU follows each convolution; height and width stay.
    """

    def __init__(self, in_channels, one, three, five, pool):
        super().__init__()
        ### BEGIN SOLUTION
        conv = lambda inputs, outputs, kernel: (
            nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU())
        self.branches = nn.ModuleList([
            nn.Sequential(*conv(in_channels, one, 1)),
            nn.Sequential(*conv(in_channels, three[0], 1), *conv(*three, 3)),
            nn.Sequential(*conv(in_channels, five[0], 1), *conv(*five, 5)),
            nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *conv(in_channels, pool, 1))])
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return torch.cat([branch(x) for branch in self.branches], dim=1)
        ### END SOLUTION

# %% check="inception"
check("inception")

# %% [markdown]
# With the block, the net is a table again (Table 1 of the paper; the numbers of a row are your block's arguments):

# %%
INCEPTIONS = [(192, 64, (96, 128), (16, 32), 32), (256, 128, (128, 192), (32, 96), 64), "pool",
              (480, 192, (96, 208), (16, 48), 64), (512, 160, (112, 224), (24, 64), 64),
              (512, 128, (128, 256), (24, 64), 64), (512, 112, (144, 288), (32, 64), 64),
              (528, 256, (160, 320), (32, 128), 128), "pool",
              (832, 256, (160, 320), (32, 128), 128), (832, 384, (192, 384), (48, 128), 128)]


def googlenet(classes=1000):
    """GoogLeNet of the paper, without local response normalisation and auxiliary heads:
    images (n, 3, 224, 224) → logits.
    """
    pool = lambda: nn.MaxPool2d(3, stride=2, padding=1)
    blocks = [pool() if row == "pool" else Inception(*row) for row in INCEPTIONS]
    return nn.Sequential(
        nn.Conv2d(3, 64, 7, stride=2, padding=3), nn.ReLU(), pool(), nn.Conv2d(64, 64, 1), nn.ReLU(),
        nn.Conv2d(64, 192, 3, padding=1), nn.ReLU(), pool(), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(1024, classes))


total = sum(m for *_, m in costs(on_paper(googlenet), 224))
print(f"GoogLeNet: {parameters(on_paper(googlenet)):,} parameters, "
      f"{total:,} multiply-adds for an image of 224×224")
saved = 0
for c, one, (r3, c3), (r5, c5), pool in (row for row in INCEPTIONS if row != "pool"):
    reduced = sum(conv_cost(a, b, k, 1, 1, k // 2, False)[0]
                  for a, b, k in ((c, r3, 1), (r3, c3, 3), (c, r5, 1), (r5, c5, 5)))
    direct = conv_cost(c, c3, 3, 1, 1, 1, False)[0] + conv_cost(c, c5, 5, 1, 1, 2, False)[0]
    saved += direct - reduced
    print(f"   {c:3} channels in: 3×3 and 5×5 branches have {reduced:>9,} weights; "
          f"without reductions {direct:>9,}, {direct / reduced:.1f} times as many")
print(f"The reductions save {saved:,} weights, more than the whole net has.")

# %% [markdown]
# A twentieth of VGG-16's parameters and a tenth of its multiply-adds. There is no large linear layer: the mean over all positions comes before it.
#
# **Auxiliary heads.** The paper trains with two more small classifiers, on the outputs of the third and the sixth block (4a and 4d), whose losses are added with the weight 0.3. In a net of 22 layers without batch norm the gradient arrives weakly at the
# beginning; the heads bring some in half-way. When the net is used they are thrown away. The paper's own sequel found that they hardly help early in training, and acted as a regulariser at the end (Szegedy et al. 2016). The nets of
# section 3, with batch norm and shortcuts, have none.
#
# **Compare with torchvision.** Its GoogLeNet has 6,624,904 parameters, and it isn't yours with other names. Find out why by looking at its third branch:

# %%
import torchvision

theirs = on_paper(lambda: torchvision.models.googlenet(aux_logits=False, init_weights=False))
print(theirs.inception3a.branch3)
outputs = sum(layer.out_channels for layer in theirs.modules() if isinstance(layer, nn.Conv2d))
fives = sum(row[3][0] * row[3][1] for row in INCEPTIONS if row != "pool")
mine = parameters(on_paper(googlenet))
print(f"yours {mine:,}, less {fives:,} × (25 − 9) weights where the 5×5 kernels are 3×3, "
      f"plus {outputs:,} because batch norm has two numbers a channel and a bias has one: "
      f"{mine - 16 * fives + outputs:,}; torchvision has {parameters(theirs):,}")

# %% [markdown]
# The "5×5" branch is 3×3 there, a slip that is kept because trained weights depend on it. Two nets with one name can be different nets. Count parameters before you compare accuracies.

# %% [markdown]
# ## 3 · Degradation, and the shortcut
#
# More layers, better net? Try it, with everything of 2015 already there: 3×3 convolutions and batch norm. Plain nets of 8, 20 and 38 layers (three stages, 8 channels at first), equally many steps, on Fashion-MNIST at
# 14×14 pixels so that it takes seconds. What is compared is the loss on the *training* batches: overfitting has no say in it. The blocks are the course's; the net around them is a few lines here, and an exercise below.

# %% tags=["train"]
from course_lib.board import Board
from course_lib.data import load_images

small = {split: load_images("fashion_mnist", split, size=14, limit=limit, fallback="digits")
         for split, limit in (("train", 6_000), ("test", scale.pick(smoke=200, cpu=1_000)))}
degradation_steps = scale.pick(smoke=20, cpu=250)


def stack_of(block, count, width=8):
    """A stem, three stages of `count` blocks, and a head."""
    blocks, now = [], width
    for stage in range(3):
        for number in range(count):
            blocks.append(block(now, width << stage, 2 if stage and number == 0 else 1))
            now = width << stage
    net = nn.Sequential(
        classify.Normalise(small["train"].images),
        nn.Conv2d(small["train"].images.shape[1], width, 3, padding=1), *blocks,
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(now, 10))
    net.eval()(small["train"].images[:2])      # as on_paper does
    return net


def losses_of(net, steps=degradation_steps, rate=0.05):
    """The training loss at each step, and the share of test images the net has right after them."""
    losses = []
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9)
    classify.train_classifier(net, small["train"].images, small["train"].labels, F.cross_entropy,
                              optimizer, steps, after_step=lambda step, loss: losses.append(loss))
    return losses, classify.accuracy(net, small["test"].images, small["test"].labels)


def smooth(values, width=20):
    windows = [values[max(0, i - width):i + 1] for i in range(len(values))]
    return [sum(window) / len(window) for window in windows]


plain = {}
for count in (1, 3, 6):
    torch.manual_seed(0)
    plain[6 * count + 2] = losses_of(stack_of(classify.PlainBlock, count))
for layers, (losses, _) in plain.items():
    print(f"plain, {layers:2} layers: training loss over the last fifth "
          f"{sum(losses[-len(losses) // 5:]) / (len(losses) // 5):.3f}")
print("You predicted the lower training loss for:", my_predictions["deep or shallow"])

# %% [markdown]
# The deeper net fits the *training* data worse, although it could do all that the shallow one does: it would only have to leave its further layers at the identity, output = input. It doesn't find that. He et al. (2016a) called this **degradation**, and drew the
# conclusion: make the identity the easy case. Let a block compute what is to be *added* to its input,
#
# $$ y = \operatorname{ReLU}\big(x + F(x)\big). $$
#
# To be the identity (for $x \ge 0$) the block needs $F = 0$, weights at zero. And on the way back,
#
# $$ \frac{\partial\,(x + F(x))}{\partial x} = I + \frac{\partial F}{\partial x}, $$
#
# so that over many blocks (where no ReLU stands between them) the gradient is a product of factors $I + F'$ rather than of factors $F'$: one of the paths through the product is the identity. Check it with autograd on a linear $F(x) = Ax$, ten times over:

# %%
torch.manual_seed(0)
A = [0.1 * torch.randn(6, 6, dtype=torch.float64) for _ in range(10)]
x = torch.randn(6, dtype=torch.float64, requires_grad=True)
for name, skip in (("plain", 0.0), ("residual", 1.0)):
    y, product = x, torch.eye(6, dtype=torch.float64)
    for a in A:
        y, product = skip * y + a @ y, (skip * torch.eye(6, dtype=torch.float64) + a) @ product
    jacobian = torch.stack([torch.autograd.grad(y[i], x, retain_graph=True)[0] for i in range(6)])
    print(f"{name:>8}: the Jacobian of ten layers is the product of their factors to "
          f"{(jacobian - product).abs().max():.0e}; its norm is {jacobian.norm():.2g}")

# %% [markdown]
# The block of ResNet-18 and -34: 3×3 convolution, batch norm, ReLU, 3×3 convolution, batch norm; then the shortcut is added, then ReLU. Where the block halves the size or changes the number of channels, $x$ doesn't fit $F(x)$, and
# the shortcut becomes a 1×1 convolution with the same stride, followed by batch norm (the paper's option B).
#
# No convolution has a bias: batch norm subtracts the mean over the batch, and a bias with it. See for yourself that it changes nothing:

# %%
torch.manual_seed(0)
features, norm = torch.randn(8, 3, 5, 5, dtype=torch.float64), nn.BatchNorm2d(3).double()
bias = torch.tensor([5.0, -70.0, 0.3], dtype=torch.float64)[:, None, None]
print("largest change of batch norm's output when a bias is added before it: "
      f"{(norm(features + bias) - norm(features)).abs().max():.0e}")

# %% [markdown]
# ### Exercise 4 · The residual block  *(medium, 15 minutes)*
#
# <details><summary>Hint 1</summary>
#
# Two paths, made in `__init__` in this order: main, then shortcut. When is the shortcut the input itself? Stride 1 *and* as many channels out as in. `nn.Sequential()`, empty, hands its input on.
# </details>
# <details><summary>Hint 2</summary>
#
# `forward`: the sum of the two paths, then `F.relu`. A ReLU before the addition would let the block only ever add. Mind the order: convolution, its batch norm, the next convolution; the block of *Dive into Deep Learning*, if you know it, makes both convolutions first.
# </details>

# %% solution="residual"
class BasicBlock(nn.Module):
    """The residual block of ResNet-18 and -34:
    (n, in_channels, h, w) → (n, channels, h/stride, w/stride).

    3×3, batch norm, ReLU, 3×3, batch norm; the shortcut is added, then ReLU. Where the shape changes,
    the shortcut is a 1×1 convolution and batch norm. No convolution has a bias; the first 3×3 and the
    1×1 take the stride.
    """

    expansion = 1  # output channels per `channels`

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return F.relu(self.main(x) + self.shortcut(x))
        ### END SOLUTION

# %% check="residual"
check("residual")

# %% [markdown] tags=["demo", "instructor"]
# ## The way back
#
# A residual block computes what is *added* to its input. Both nets are untrained here; only the gradient of the loss is followed, from the end to the beginning.
#
# > **Ask the room.** 24 blocks deep, batch norm everywhere: does the plain net's gradient vanish, stay, or grow on its way back? By what factor?

# %% tags=["demo"]
explore.gradient_flow(BasicBlock)

# %% [markdown]
# Both nets are untrained. In the plain one the gradient grows on its way back by a nearly constant factor a block: for 24 blocks (move the slider there) we measured 2 000 and more between end and beginning, against about 20 with your shortcut. (He et al. 2016a made sure that their plain nets' gradients don't vanish; with batch norm they don't, they grow. We believe that such a spread makes one rate unfit for all layers; that isn't measured here.) Now the residual nets of the same depths, trained like the plain ones: losses beside the plain nets', accuracies below.

# %% tags=["train"]
residual = {}
for count in (1, 3, 6):
    torch.manual_seed(0)
    residual[6 * count + 2] = losses_of(stack_of(BasicBlock, count))
figure, panels = plt.subplots(1, 2, figsize=(9, 3), sharey=True)
for panel, title, runs in zip(panels, ("plain", "residual"), (plain, residual)):
    for (layers, (losses, _)), colour in zip(runs.items(), (GREEN, BLUE, VERMILLION)):
        panel.plot(smooth(losses), color=colour, label=f"{layers} layers")
    panel.set(title=title, xlabel="step")
panels[0].set(ylabel="training loss")
panels[0].legend()
plt.show()
print("layers   test accuracy, plain   residual")
for layers in plain:
    print(f"{layers:6}   {plain[layers][1]:20.3f}   {residual[layers][1]:8.3f}")

# %% [markdown]
# ### Exercise 5 · Two more blocks  *(medium, 20 minutes)*
#
# **The bottleneck** of ResNet-50 spends its 3×3 convolution on a quarter of the channels: 1×1 down, 3×3, 1×1 up. The paper puts the stride on the first 1×1, which then ignores three quarters of the pixels; torchvision, and you, put it on the 3×3.
#
# **Pre-activation** (He et al. 2016b) moves batch norm and ReLU in front of the convolutions. Nothing stands on the shortcut any more, not even the ReLU after the sum, so that within a stage what the first block gives reaches the last one unchanged: with $x_l$ for the input of block $l$, counted from 0, $x_L = x_1 + \sum_{l=1}^{L-1} F_l(x_l)$. Where the shape changes, the 1×1
# convolution starts from what comes out of the first batch norm and ReLU, as in the authors' code.
#
# <details><summary>Hint 1</summary>
#
# `Bottleneck`: `channels` is the narrow width; in and out are four times as wide. When does the shape stay? When `stride == 1` and `in_channels == 4 * channels`.
# </details>
# <details><summary>Hint 2</summary>
#
# `PreActivation`: compute `active`, the first batch norm and ReLU of x, once. The main path begins from it; so does the shortcut, if it has a convolution; otherwise the shortcut is `x` itself.
# </details>

# %% solution="variants"
class Bottleneck(nn.Module):
    """The residual block of ResNet-50: (n, in_channels, h, w) → (n, 4·channels, h/stride, w/stride).

    1×1 to `channels`, 3×3 (which takes the stride), 1×1 to 4·channels, each followed by batch norm, the
    first two by ReLU as well; the shortcut is added, then ReLU. The shortcut is as in BasicBlock.
    """

    expansion = 4

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        outputs = 4 * channels
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(), nn.Conv2d(channels, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return F.relu(self.main(x) + self.shortcut(x))
        ### END SOLUTION


class PreActivation(nn.Module):
    """The block of He et al. (2016b), with the shapes of BasicBlock: batch norm and ReLU stand before
    each convolution.

    Batch norm, ReLU, 3×3 (which takes the stride), batch norm, ReLU, 3×3; the shortcut is added, and
    nothing follows. Where the shape changes, the shortcut is a 1×1 convolution alone, of what comes
    out of the first batch norm and ReLU.
    """

    expansion = 1

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        self.first = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels),
            nn.ReLU(), nn.Conv2d(channels, channels, 3, padding=1, bias=False))
        self.shortcut = None
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        active = self.first(x)
        return self.main(active) + (x if self.shortcut is None else self.shortcut(active))
        ### END SOLUTION

# %% check="variants"
check("variants")

# %% [markdown]
# ### Exercise 6 · ResNet-18, -34 and -50 from one table  *(medium, 25 minutes)*
#
# | | stem | stage 1 | stage 2 | stage 3 | stage 4 | block |
# |---|---|---|---|---|---|---|
# | channels | 64 | 64 | 128 | 256 | 512 | (times 4 out of a bottleneck) |
# | ResNet-18 | 1 | 2 | 2 | 2 | 2 | basic |
# | ResNet-34 | 1 | 3 | 4 | 6 | 3 | basic |
# | ResNet-50 | 1 | 3 | 4 | 6 | 3 | bottleneck |
#
# The first block of stages 2, 3 and 4 has stride 2. The stem is a 7×7 convolution with stride 2 and padding 3, batch norm, ReLU and a 3×3 max-pooling with stride 2 and padding 1: a 224×224 image is down to 56×56 before the first block. A 32×32 image would be down to 8×8, and there are stages to come:
# **for small images the stem is one 3×3 convolution with stride 1 and padding 1**, batch norm and ReLU. A ResNet-18 that "stays at 0.8" on CIFAR-10 may just have the large stem.
#
# **Zero at the start.** `zero_init` sets the weight of the last batch norm of each block (before the addition) to 0. Then $F = 0$, and the net begins as its stem, its 1×1 shortcuts and its head: a shallow net that deepens as it learns (Goyal et al. 2017).
#
# The block is an argument, so `ResNet(PreActivation, …)` works too. It isn't quite the net of He et al. (2016b): that one has a batch norm and ReLU more after its last block, and one pair fewer at its beginning, where here the stem's are followed by the first block's own.
#
# <details><summary>Hint 1</summary>
#
# Keep a variable with the channels that the next block will get. After a block it is `width * 2**stage * block.expansion`.
# </details>
# <details><summary>Hint 2</summary>
#
# For `zero_init` find the last batch norm of the *main* path: if your blocks keep that path in one `nn.Sequential`, it is that one's last entry. `PreActivation` has none in that place.
# </details>

# %% solution="resnet"
class ResNet(nn.Module):
    """Stem, stages of residual blocks, and a linear layer on the mean over all positions:
    images → logits (n, classes).

    block: a class as above. counts: the blocks of each stage; the first has `width` channels (times
    block.expansion), each further one twice as many at half the size. Stem: 7×7 with stride 2 and
    padding 3, batch norm, ReLU, 3×3 max-pooling with stride 2 and padding 1; for small_images 3×3
    with stride 1 and padding 1, batch norm, ReLU. zero_init: the last batch norm of each BasicBlock
    or Bottleneck begins with weight 0.
    """

    def __init__(self, block, counts, classes=1000, in_channels=3, width=64,
                 small_images=False, zero_init=False):
        super().__init__()
        ### BEGIN SOLUTION
        kernel, stride = (3, 1) if small_images else (7, 2)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, kernel, stride, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(),
            nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1))
        stages, now = [], width
        for stage, count in enumerate(counts):
            for number in range(count):
                stages.append(block(now, width * 2**stage, 2 if stage and not number else 1))
                now = width * 2**stage * block.expansion
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(now, classes))
        if zero_init and block in (BasicBlock, Bottleneck):
            for each in stages:
                nn.init.zeros_(each.main[-1].weight)
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return self.head(self.stages(self.stem(x)))
        ### END SOLUTION


def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    """ResNet-`depth`, for a depth of 18, 34 or 50."""
    ### BEGIN SOLUTION
    block, counts = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)),
                     50: (Bottleneck, (3, 4, 6, 3))}[depth]
    return ResNet(block, counts, classes, in_channels, width, small_images, zero_init)
    ### END SOLUTION

# %% check="resnet"
check("resnet")

# %% [markdown] tags=["demo", "instructor"]
# ## Deeper is worse, until it isn't
#
# The same net with and without its shortcuts, trained on 6 000 pictures of clothes. Another setting begins anew; the run before stays behind as a shadow.
#
# > **Ask the room.** A plain net with one block a stage, then with four: which has the lower *training* loss after 250 steps? It isn't overfitting, so what is it?
# >
# > Now residual, with four. And with a rate ten times as high?

# %% tags=["demo", "instructor"]
from course_lib.data import load_images
from course_lib.explore import choice, slider, steps_slider
from course_lib.explore.live import live_run

clothes = {split: load_images("fashion_mnist", split, size=14, limit=limit, fallback="digits")
           for split, limit in (("train", 6_000), ("test", 500))}


def train_net(board, block, blocks, rate):
    """One of the two nets of section 3, with batches and beginnings that are the same each time."""
    data, tested = clothes["train"], clothes["test"]
    torch.manual_seed(0)
    kind = {"plain": classify.PlainBlock, "residual": BasicBlock}[block]
    net = nn.Sequential(classify.Normalise(data.images),
                        ResNet(kind, (blocks,) * 3, 10, data.images.shape[1], 8, small_images=True))
    smooth = 0.0

    def after_step(step, loss):
        nonlocal smooth
        smooth += (loss - smooth) * max(0.05, 1 / (step + 1))
        right = {"test_images_right": classify.accuracy(net, tested.images, tested.labels)} if board.due() else {}
        board.log(step, training_loss=smooth, **right)

    classify.train_classifier(net, data.images, data.labels, F.cross_entropy, torch.optim.SGD(net.parameters(), rate, 0.9),
                              board.total, after_step=after_step, generator=torch.Generator().manual_seed(0))


live_run("Plain or residual", train_net, "The mean of the training loss over the last twenty batches.", steps=250, curves=("training loss",),
         block=choice("block", ["plain", "residual"]), blocks=slider("blocks a stage", 1, 6, 1),
         rate=steps_slider("learning rate", [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5], 0.05))

# %%
for depth, published in ((18, 11_689_512), (34, 21_797_672), (50, 25_557_032)):
    net = on_paper(resnet, depth)
    print(f"ResNet-{depth}: {parameters(net):,} parameters (torchvision: {published:,}), "
          f"{sum(m for *_, m in costs(net, 224)):,} multiply-adds")

torch.manual_seed(0)
asleep = resnet(18, 10, width=8, small_images=True, zero_init=True).eval()
asleep(torch.randn(1, 3, 32, 32))
within = [module for module in asleep.modules() if isinstance(module, BasicBlock)
          and sum(p.numel() for p in module.parameters()) == 2 * 9 * 8 * 8 + 4 * 8]
features = torch.rand(1, 8, 6, 6)
print("with zero_init a block of the first stage changes its (positive) input by "
      f"{(within[0].eval()(features) - features).abs().max():.0e}")

# %% [markdown]
# ## 4 · Rebuilt means equal
#
# Equal counts are a strong hint and no proof. The proof: take torchvision's net as it is initialised, copy its weights into yours, one after the other in order, and compare what comes out, in eval mode and in train mode (dropout at 0, or each net would drop other
# units). Nobody writes down which layer is which: the order and the shapes are enough.

# %%
def copy_weights(mine, theirs):
    """Give `mine` the parameters of `theirs` in order.

    Raises ValueError when their shapes differ anywhere.
    """
    pairs = list(zip(mine.parameters(), theirs.parameters(), strict=True))
    for number, (one, other) in enumerate(pairs):
        if one.shape != other.shape:
            raise ValueError(f"parameter {number} has the shape {tuple(one.shape)} here "
                             f"and {tuple(other.shape)} there")
        with torch.no_grad():
            one.copy_(other)


torch.manual_seed(0)
images = torch.randn(4, 3, 64, 64)
for name, make_mine, make_theirs in (
        ("VGG-11", lambda: vgg(11, dropout=0.0), lambda: torchvision.models.vgg11(dropout=0.0)),
        ("ResNet-18", lambda: resnet(18), torchvision.models.resnet18),
        ("ResNet-50", lambda: resnet(50), torchvision.models.resnet50)):
    mine, theirs = make_mine(), make_theirs()
    mine.eval()(images)
    copy_weights(mine, theirs)
    with torch.no_grad():
        apart = {mode: (mine.train(mode == "train")(images)
                        - theirs.train(mode == "train")(images)).abs().max().item()
                 for mode in ("train", "eval")}
    print(f"{name:>9}: largest difference of a logit {apart['train']:.0e} in train mode, "
          f"{apart['eval']:.0e} in eval mode")

# %% [markdown]
# A difference of 0e+00 is meant literally: not a bit differs, because the same operations come in the same order.
#
# And the book's block? *Dive into Deep Learning* has `d2l.Residual`. Its identity version agrees with yours as soon as its convolutions' biases are out of the way (loading the book's package takes a few seconds):

# %%
from d2l import torch as d2l

torch.manual_seed(0)
mine, book = BasicBlock(8, 8).double(), d2l.Residual(8)
images = torch.randn(4, 8, 10, 10, dtype=torch.float64)
book.double()(images)      # its layers are lazy: the first call makes them, and yours if they are
mine(images)
for conv in (book.conv1, book.conv2):
    nn.init.zeros_(conv.bias)
weights = [book.conv1.weight, book.bn1.weight, book.bn1.bias,
           book.conv2.weight, book.bn2.weight, book.bn2.bias]
with torch.no_grad():
    for one, other in zip(mine.parameters(), weights, strict=True):
        one.copy_(other)
    print(f"identity block, largest difference: {(mine(images) - book(images)).abs().max():.0e}")
print("the book's block with a 1×1 shortcut:",
      [name for name, _ in d2l.Residual(16, use_1x1conv=True, strides=2).named_children()])

# %% [markdown]
# Its version with a 1×1 convolution can't be made equal, whatever weights you copy. Why not? Compare the list above with the parts of your own block. That is half of the question in section 7.
#
# ## 5 · The ladder
#
# So the net is right. Now the recipe. The book's chapter on the CIFAR-10 competition trains `d2l.resnet18` (which has the small stem already) like this: SGD with the rate 2·10⁻⁴, momentum 0.9, weight decay 5·10⁻⁴; the rate times 0.9 every 4 of 20 epochs; batches of 32 (128 for the full data); the losses of a batch are
# **summed**; and the whole stands inside `DataParallel`. What does each do?
#
# * It also normalises, flips and crops. We take these out first, so that each can be measured by itself.
# * *The sum.* The gradient of a sum over $B$ images is $B$ times that of the mean. Let $g$ be the gradient of the mean, $\eta$ the rate, $\lambda$ the decay. SGD with the sum moves $w$ by $-\eta(Bg + \lambda w) = -B\eta\,(g + \tfrac{\lambda}{B} w)$. That is SGD on the *mean* with the rate $B\eta$ and the decay $\lambda/B$.
#   With $B = 32$: a rate of 0.0064, and a decay of 1.6·10⁻⁵, which is next to none. And both change whenever the batch does.
# * *The schedule.* From beginning to end the rate falls to $0.9^4 = 0.66$ of itself: hardly a schedule at all.
# * *`DataParallel`* splits each batch over the GPUs. With one GPU, or none, it changes nothing; with several, each computes batch norm over its own part.
#
# The first claim, with numbers:

# %%
def three_steps(rate, decay, reduction):
    """The weights after three steps of SGD with momentum on fixed batches of 32."""
    torch.manual_seed(0)
    net = nn.Linear(5, 3).double()
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=decay)
    for _ in range(3):
        x, y = torch.randn(32, 5, dtype=torch.float64), torch.randint(3, (32,))
        optimizer.zero_grad()
        F.cross_entropy(net(x), y, reduction=reduction).backward()
        optimizer.step()
    return net.weight.detach()


apart = (three_steps(2e-4, 5e-4, "sum") - three_steps(32 * 2e-4, 5e-4 / 32, "mean")).abs().max()
print(f"sum at (2e-4, 5e-4) against mean at (6.4e-3, 1.6e-5): largest difference {apart:.0e}")

# %% [markdown]
# Now the pieces of a better recipe. Two exercises.
#
# ### Exercise 7 · Augmentation  *(medium, 15 minutes)*
#
# A cat moved by three pixels, or seen in a mirror, is a cat. **Crop**: put zeros around the image, cut a window of the old size out of it at random. **Flip**: mirror it. **Cutout** (DeVries & Taylor 2017): blank a square, so that no single detail decides. Where to cut, flip and blank is drawn
# elsewhere and handed to you: randomness that comes in by the front door can be tested.
#
# <details><summary>Hint 1</summary>
#
# `F.pad(images, [padding] * 4)`. A loop over the images is fine: `padded[i, :, top[i]:top[i] + h, left[i]:left[i] + w]`. The last dimension is the one from left to right.
# </details>
# <details><summary>Hint 2</summary>
#
# `cutout` without a loop: compare `torch.arange(h)` with `y[:, None]` and you get (n, h), true on the rows of each image's square; the same for columns; `&` them. With a loop, clone first, and mind squares that begin outside: `max(0, …)`.
# </details>

# %% solution="augmentation"
def crop_and_flip(images, top, left, flip, padding=4):
    """A window of each image, of the image's own size, after `padding` zeros were put around it; then
    mirrored, or not.

    images (n, c, h, w). top, left (n,) in 0 … 2·padding: the window's upper left corner in the padded
    image. flip (n,) bool: which windows are mirrored left to right. Returns (n, c, h, w).
    """
    ### BEGIN SOLUTION
    n, channels, height, width = images.shape
    padded = F.pad(images, [padding] * 4)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(n, width)
    columns = left[:, None] + torch.where(flip[:, None], columns.flip(1), columns)
    image, channel = torch.arange(n)[:, None, None, None], torch.arange(channels)[:, None, None]
    return padded[image, channel, rows[:, None, :, None], columns[:, None, None, :]]
    ### END SOLUTION


def cutout(images, y, x, size):
    """The images with a square of size×size pixels set to 0 in each (DeVries & Taylor 2017).

    images (n, c, h, w). y, x (n,): the rows y − size/2 … y + size/2 − 1 and such columns are meant,
    where they lie in the image. size: an even int. Returns (n, c, h, w); `images` stay as they are.
    """
    ### BEGIN SOLUTION
    inside = lambda centre, length: (
        torch.arange(length, device=images.device) - centre[:, None] + size // 2)
    rows, columns = inside(y, images.shape[2]), inside(x, images.shape[3])
    within = lambda offset: (offset >= 0) & (offset < size)
    hole = within(rows)[:, None, :, None] & within(columns)[:, None, None, :]
    return images.masked_fill(hole, 0)
    ### END SOLUTION

# %% check="augmentation"
check("augmentation")

# %% tags=["train"]
torch.manual_seed(2)
eight = load_images("cifar10", "test", limit=8, fallback="fashion_mnist").images
top, left, flip = classify.random_crops(8, 4)
height, width = eight.shape[2:]
moved = crop_and_flip(eight, top, left, flip)
rows = {"as they are": eight, "cropped and flipped": moved,
        "and cut out": cutout(moved, *torch.randint(height, (2, 8)), 8)}
figure, panels = plt.subplots(3, 8, figsize=(9, 3.6))
for (title, pictures), row in zip(rows.items(), panels):
    row[0].set_title(title)
    for picture, panel in zip(pictures, row):
        panel.imshow(picture.permute(1, 2, 0).squeeze())
        panel.set_axis_off()
plt.show()

# %% [markdown]
# ### Exercise 8 · The recipe's parts  *(medium, 25 minutes)*
#
# 1. `smoothed_cross_entropy`. **Label smoothing** (Szegedy et al. 2016) mixes the one-hot target with the uniform distribution over all $K$ classes: $t_k = (1-\varepsilon)\,[k = y] + \varepsilon/K$, where $y$ is now the label, and $[k = y]$ is 1 for the right class and 0 for all others. The loss is $-\sum_k t_k \log p_k$ with the softmax $p$ of the logits. The right class's target is $1 - \varepsilon + \varepsilon/K$, below 1, so the loss is lowest at a finite distance between logits, and not at infinity.
# 2. `learning_rate`. **Warm-up** in a line, then **a cosine** down.
# 3. `parameter_groups`. **Weight decay** pulls towards 0. Multiply all weights of a convolution by one positive number, and the batch norm after it takes the number out again; but the larger the weights, the less a step of the same rate changes what comes out. Decay keeps them from growing. Batch norm's own weight, and biases, have no reason to be small. They are spared.
# 4. `update_average`. An **exponential moving average** of the weights. Batch norm's running statistics are buffers, not parameters, and are averages already: copy them.
# 5. `predict`. **Test-time flips**: the mean of the logits for the image and for its mirror image.
#
# <details><summary>Hint 1</summary>
#
# The loss: $-\sum_k t_k \log p_k = -(1-\varepsilon)\log p_y - \frac{\varepsilon}{K}\sum_k \log p_k$, and the last part is $\varepsilon$ times the *mean* of $\log p$ over the classes. Parameters of batch norm and biases are those with one dimension.
# </details>
# <details><summary>Hint 2</summary>
#
# `with torch.no_grad():` around what changes parameters; `a.lerp_(b, t)` is $(1-t)\,a + t\,b$ in place, and you want $\text{decay}\cdot\text{average} + (1-\text{decay})\cdot\text{net}$. `net.training` is the mode a net is in; `net.train(mode)` sets it.
# </details>

# %% solution="recipe"
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    """The mean over the batch of −Σ_k t_k log softmax(logits)_k, where t is one-hot, mixed with the
    uniform distribution: 1 − smoothing of the former, smoothing of the latter.

    logits (n, K), labels (n,) int64. Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    log_p = F.log_softmax(logits, dim=1)
    right = log_p.gather(1, labels[:, None]).squeeze(1)
    return -((1 - smoothing) * right + smoothing * log_p.mean(1)).mean()
    ### END SOLUTION


def learning_rate(step, steps, peak, warmup):
    """The rate of step 0 … steps − 1: up in a line to `peak` over the first `warmup` steps,
    (step + 1)/warmup of it at each; from step `warmup` on half a cosine, which begins at the peak and
    would reach 0 at step `steps`. `warmup` may be 0: then the cosine begins at step 0. A float.
    """
    ### BEGIN SOLUTION
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    ### END SOLUTION


def parameter_groups(net, weight_decay):
    """The net's parameters for an optimiser, in two groups: weights of convolutions and linear layers
    decay; biases and batch norm's parameters don't. Returns a list of dicts with "params" and
    "weight_decay".
    """
    ### BEGIN SOLUTION
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in net.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    ### END SOLUTION


def update_average(average, net, decay):
    """Move the net `average` towards `net`, in place: each parameter to
    decay·average + (1 − decay)·net. Buffers, which are averages already (or counts), are copied.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine.lerp_(new, 1 - decay)
        for mine, new in zip(average.buffers(), net.buffers()):
            mine.copy_(new)
    ### END SOLUTION


def predict(net, images):
    """The mean of the net's logits for the images and for their mirror images, (n, classes), in eval
    mode and without gradients. The net is left in the mode it was in.
    """
    ### BEGIN SOLUTION
    training = net.training
    net.eval()
    with torch.no_grad():
        logits = (net(images) + net(images.flip(3))) / 2
    net.train(training)
    return logits
    ### END SOLUTION

# %% check="recipe"
check("recipe")

# %%
figure, axes = plt.subplots(figsize=(7, 2.4))
axes.plot([learning_rate(step, 600, 0.05, 75) for step in range(600)],
          color=BLUE, label="warm-up and cosine")
axes.plot([0.0064 * 0.9 ** (step // 120) for step in range(600)],
          color=ORANGE, linestyle="--", label="the book's, as a rate on the mean")
axes.set(xlabel="step", ylabel="rate")
axes.legend()
plt.show()
gap = torch.linspace(0, 12, 1_201, dtype=torch.float64)
logits = torch.cat([gap[:, None], torch.zeros(1_201, 9, dtype=torch.float64)], dim=1)
zero = torch.zeros(1, dtype=torch.long)
best = gap[torch.stack([smoothed_cross_entropy(row[None], zero, 0.1) for row in logits]).argmin()]
print(f"ε = 0.1, ten classes: the loss is lowest where the right logit is {best:.2f} "
      f"above the others; by hand, log(0.91/0.01) = {math.log(91):.2f}")
print("(where the derivative is 0, the softmax equals the targets: 0.91 and nine times 0.01)")

# %% [markdown]
# ### Climb it
#
# One rung at a time, each with all that came before. `course_lib/ladder.py` holds the changes (a page, worth reading) and puts *your* pieces together. Bet first: give each change a number, the percentage points you expect from it.

# %%
my_bets = {"mean of the losses, rate 0.05": 0, "warm-up and cosine": 0, "normalised images": 0,
           "flips": 0, "crops": 0, "cutout": 0,
           "no decay of norms and biases": 0, "label smoothing 0.1": 0}

# %% tags=["train"]
from itertools import product

from tqdm.auto import tqdm

from course_lib import ladder

seeds, ladder_steps = scale.pick(smoke=1, cpu=3), scale.pick(smoke=15, cpu=150)
climbed = {}
for seed, (name, recipe) in tqdm([*product(range(seeds), ladder.rungs().items())], unit="run"):
    torch.manual_seed(seed)
    net = ResNet(BasicBlock, (1, 1, 1), 10, small["train"].images.shape[1], 16, small_images=True)
    climbed.setdefault(name, []).append(
        ladder.climb(recipe, globals(), net, small["train"], small["test"], ladder_steps, seed))

figure, axes = plt.subplots(figsize=(8, 3.6))
for place, (name, runs) in enumerate(climbed.items()):
    axes.plot([run["net"] for run in runs], [place] * len(runs), "o", color=BLUE)
    axes.plot(sum(run["net"] for run in runs) / len(runs), place, "|", color=BLACK, markersize=16)
axes.set(yticks=range(len(climbed)), yticklabels=list(climbed),
         xlabel="share of test images classified right (points: seeds; bars: means)")
axes.invert_yaxis()
plt.show()
means = {name: 100 * sum(run["net"] for run in runs) / len(runs) for name, runs in climbed.items()}
print(f"{'':36}  worth   your bet   (percentage points)")
gains, clear = {}, []
for before, name in zip(means, list(means)[1:]):
    gains[name] = means[name] - means[before]
    lower, upper = ([run["net"] for run in climbed[each]] for each in (before, name))
    if seeds > 1 and (min(upper) > max(lower) or max(upper) < min(lower)):
        clear.append(name)
    print(f"{name:>36}   {gains[name]:+5.1f}   {my_bets.get(name, 0):+8.1f}"
          f"{'   clear of the spread' if name in clear else ''}")
last = climbed["label smoothing 0.1"]
mean_of = lambda key: 100 * sum(run[key] for run in last) / len(last)
print("On the last rung, the average of the weights is worth "
      f"{mean_of('average') - mean_of('net'):+.1f}, "
      f"and test-time flips on top of it {mean_of('flips') - mean_of('average'):+.1f}.")
most = max(gains, key=gains.get)
short = dict(zip(gains, ("mean and rate", "schedule", "normalise", "flips", "crops", "cutout", "decay",
                         "smoothing")))
spread = ("one seed shows no spread" if seeds == 1 else
          f"{'' if most in clear else 'not '}clear of the spread")
print(f"The greatest gain: {most} (\"{short[most]}\"), {gains[most]:+.1f}, {spread}. "
      f"You predicted: {my_predictions['most']}")

# %% [markdown]
# That was Fashion-MNIST at 14×14, 4 800 looks at images (150 steps of 32). A rung is called clear of the spread when all its seeds lie on one side of all those of the rung before. With three seeds each, luck alone does that to two equal rungs one time in ten. Eight pairs are compared, so luck calls 0.8 of them clear on average, and were they independent, at least one in 57 of 100 ladders; and
# one standard error of a share of 1 000 test images is 1.4 points. In our run the schedule gained most, 2.4 points, and wasn't clear; crops cost 5 points and were (3.4 on the other machine named below, and clear). Cutout (1.1 less) and label smoothing (1.4 more) came out clear too, by less than a point. On another machine, with the same seeds and another rounding, the schedule's gain (2.2) was clear, and so was a loss of 0.8 by normalisation; label smoothing's gain (1.2) wasn't.
# So rest nothing on a flag by itself. Both runs agree with the table below, which has a greater budget: the schedule gained most, and crops cost more than anything else. On real colour images, four times the budget, the same changes (and a net whose last batch norms begin at 0):
#
# | CIFAR-10, budget 19 200 looks; mean of three seeds (least to greatest) | the net | average of the weights | and flips |
# |---|---|---|---|
# | the book's loss, rate and schedule | 0.297 (0.251 to 0.324) | 0.332 (0.331 to 0.334) | 0.334 |
# | mean of the losses, rate 0.05 | 0.332 (0.241 to 0.389) | 0.373 (0.349 to 0.390) | 0.376 |
# | warm-up and cosine | 0.409 (0.401 to 0.413) | 0.407 (0.405 to 0.408) | 0.406 |
# | normalised images | 0.403 (0.398 to 0.408) | 0.402 (0.398 to 0.404) | 0.402 |
# | flips | 0.406 (0.399 to 0.412) | 0.407 (0.400 to 0.411) | 0.408 |
# | crops | 0.359 (0.355 to 0.362) | 0.356 (0.355 to 0.356) | 0.358 |
# | cutout | 0.347 (0.335 to 0.357) | 0.345 (0.335 to 0.354) | 0.349 |
# | no decay of norms and biases | 0.350 (0.346 to 0.356) | 0.348 (0.343 to 0.350) | 0.349 |
# | label smoothing 0.1 | 0.355 (0.343 to 0.368) | 0.355 (0.346 to 0.366) | 0.359 |
#
# (Measured: a ResNet with one block in each of three stages, 16 channels at first, zero-initialised; 6 400 training images, 600 steps of 32, so three looks at each; 2 000 test images, for which one standard error of a share is 0.011; about 33 s a run on one CPU
# core. The images are lossy JPEG copies of CIFAR-10's. `tests/benchmarks/ladder.py` made the table and keeps the runs.)
#
# The second and the third row are worth eleven points together. (The second changes more than its name says: on the mean, the rate grows from 0.0064 to 0.05 and the decay from 1.6·10⁻⁵ to 5·10⁻⁴; and by itself it isn't clear of the spread.) The average of the weights is clear of the spread on the first row only (0.332 against 0.297; on the second, 0.373 against 0.332, the ranges overlap), and from the third on it is worth nothing. That is where one would expect it: a rate that doesn't come down leaves the weights jumping about, and averaging is another way of coming down. Normalisation, flips, spared norms and label smoothing
# are worth nothing that three seeds could show. Crops cost five points; the one that cutout costs isn't clear of the spread.
#
# That is the lesson's main result: **"which trick" is a measurement, and its answer depends on the budget.** With three looks at each image, what makes the task harder (crops) cost accuracy, and what makes learning quicker (the schedule)
# paid. We believe the reason to be that so few looks don't overfit. Published recipes for 0.94 and beyond look 10 to 200 times at each of 50 000 images, and use crops and flips; we expect the tables to be turned there, and haven't measured that end ourselves yet: it takes a GPU. And compare a difference with the spread between seeds, before you believe it.
#
# Two more rungs change how fast a step is, not where it leads: the order in which an image's numbers lie in memory (**channels last**: all channels of a pixel beside each other, as fast convolutions want them), and **mixed precision** (products in bfloat16, 8 bits of
# precision, sums and weights in float32). What they are worth depends on the machine alone. Yours:

# %%
import time


def images_per_second(layout, mixed, steps=scale.pick(smoke=3, cpu=12, gpu=100),
                      batch=scale.pick(smoke=4, cpu=32, gpu=512)):
    """Training speed of a ResNet on random 32×32 images; the first steps, in which things are set up,
    don't count.
    """
    net = ResNet(BasicBlock, (2, 2, 2), 10, 3, scale.pick(smoke=16, gpu=64), small_images=True)
    x = torch.rand(batch, 3, 32, 32, device=scale.device).to(memory_format=layout)
    net.to(scale.device)(x)
    net.to(memory_format=layout)
    y = torch.randint(10, (batch,), device=scale.device)
    for step in range(steps + 2):
        if step == 2:
            loss.item()      # a GPU works ahead of Python: wait for it
            begun = time.perf_counter()
        with torch.autocast(scale.device.type, torch.bfloat16, enabled=mixed):
            loss = F.cross_entropy(net(x), y)
        net.zero_grad()
        loss.backward()
    loss.item()
    return steps * batch / (time.perf_counter() - begun)


for name, layout in (("channels first", torch.contiguous_format),
                     ("channels last", torch.channels_last)):
    print(f"{name:>14}: {images_per_second(layout, False):8,.0f} images a second in float32, "
          f"{images_per_second(layout, True):8,.0f} in mixed precision")

# %% [markdown]
# Mixed precision pays where the processor has units for it, as GPUs do; without them it can even cost. `classify.train_classifier` always lays images out channels last, and computes in mixed precision if told to.
#
# | CIFAR-10, full nets on a GPU | accuracy |
# |---|---|
# | published: ResNet-18 (pytorch-cifar, README) | 0.930 |
# | published: pre-activation ResNet-18 (the same) | 0.951 |
# | published: airbench, 94 % (its README, later than Jordan 2024), a net of its own | 0.940 in 2.6 s on one A100 |
# | published: standard ResNet-18 training (airbench's README) | 0.96 in 7 min |
# | yours, on a GPU | the next section, at the scale `gpu`: not yet measured by us |

# %% [markdown]
# ### A recipe of your own
#
# ### Exercise 9 · Train it  *(medium, 15 minutes)*
#
# Put your pieces together: your ResNet, your recipe, a stated budget of images to look at. You are judged on the set's test images, which your code isn't given: 0.85 of them is needed on a CPU (38 400 looks at 25 600 images of Fashion-MNIST, 14×14 pixels; where that can't be had, 0.94 of digits), 0.94 at
# the scale `gpu` (1 000 000 looks at CIFAR-10, 20 epochs; a bound taken from published runs and not yet tried by us). Nobody counts your looks but you. In grading the classes are renumbered in secret, so a stored net's answers are of no use as they are. Which rungs to take follows from what you have just measured.
#
# <details><summary>Hint 1</summary>
#
# `nn.Sequential(classify.Normalise(images), ResNet(...))` normalises inside the net, so that nobody can forget it. `classify.train_classifier` takes your loss, your rate and your augmentation; call `update_average` in its `after_step`.
# </details>
# <details><summary>Hint 2</summary>
#
# `ResNet(BasicBlock, (1, 1, 1), classes, images.shape[1], 16, small_images=True)` with a peak rate of 0.1 and batches of 32 will do on a CPU; `scale.pick(smoke=…, gpu=…)` chooses by scale; one that isn't named takes the next smaller one's. Hand `steps = budget // batch` to your schedule.
# </details>

# %% solution="training"
def train_mine(images, labels, classes, budget, after_step=None):
    """A ResNet of yours, trained by a recipe of yours that looks at `budget` images at most, each as
    often as it comes.

    images (n, c, h, w) in [0, 1] and labels (n,), on one device. after_step(step, loss): called after
    each step. Returns the net, on that device, which takes images in [0, 1] to logits (n, classes).
    """
    ### BEGIN SOLUTION
    # With one or two looks at each image nothing is overfitted: there augmentation only costs
    # (section 5).
    counts, width, batch, peak, padding = scale.pick(
        smoke=((1, 1, 1), 16, 32, 0.1, None), gpu=((2, 2, 2, 2), 64, 512, 0.4, 4))
    net = nn.Sequential(classify.Normalise(images),
                        ResNet(BasicBlock, counts, classes, images.shape[1], width, small_images=True))
    net = net.to(images.device)
    average, steps = copy.deepcopy(net), budget // batch
    optimizer = torch.optim.SGD(parameter_groups(net, 5e-4), peak, momentum=0.9, nesterov=True)

    def augment(x):
        top, left, flip = (each.to(x.device) for each in classify.random_crops(len(x), padding))
        return crop_and_flip(x, top, left, flip, padding)

    def end_of_step(step, loss):
        update_average(average, net, min(0.98, (1 + step) / (10 + step)))
        if after_step is not None:
            after_step(step, loss)

    classify.train_classifier(net, images, labels, smoothed_cross_entropy, optimizer, steps, batch,
                              lambda step: learning_rate(step, steps, peak, steps // 8),
                              augment if padding else None, end_of_step, mixed=scale is Scale.GPU)
    return average
    ### END SOLUTION

# %% tags=["train"]
if scale is Scale.GPU:
    mine = {split: load_images("cifar10", split) for split in ("train", "test")}
else:
    mine = {split: load_images("fashion_mnist", split, size=14, limit=limit, fallback="digits")
            for split, limit in (("train", 25_600), ("test", None))}
budget = scale.pick(smoke=9_600, cpu=38_400, gpu=1_000_000)
torch.manual_seed(0)
with Board(f"Your recipe on {mine['train'].name}", curves=("loss",), panels=0) as board:
    my_net = train_mine(mine["train"].images.to(scale.device), mine["train"].labels.to(scale.device),
                        10, budget, lambda step, loss: board.log(step, loss=loss))
asked, truth = (each.to(scale.device) for each in (mine["test"].images, mine["test"].labels))
answers = torch.cat([predict(my_net, part) for part in asked.split(500)])
print(f"right: {classify.accuracy(my_net, asked, truth):.3f}, "
      f"with test-time flips {(answers.argmax(1) == truth).double().mean():.3f}")

# %% [markdown]
# | Fashion-MNIST | pixels | images looked at | accuracy |
# |---|---|---|---|
# | published (its README): two convolutions | 28×28 | all, many times | 0.876 to 0.934 |
# | published (the same): ResNet-18 | 28×28 | all, many times | 0.949 |
# | a linear classifier, measured with this budget | 14×14 | 38 400 | 0.80 |
# | you should see, with the reference's recipe (50 seeds: least, median, greatest) | 14×14 | 38 400 | 0.873, 0.878, 0.883 |
# | yours | 14×14 | 38 400 | printed above |
#
# If you trained without flips, as the reference does on a CPU, test-time flips cost accuracy (we saw 0.843 where the net alone had 0.877): the net has never met a shoe that points to the right. At test time do what you did in training.

# %% check="training"
check("training")

# %% [markdown]
# **For Kaggle.** The competition wants one line for each test image, numbered from 1, with the class by name. With a net trained on CIFAR-10 this is the file:

# %%
import tempfile
from pathlib import Path

path = Path(tempfile.gettempdir()) / "submission.csv"
classify.write_submission(path, answers.argmax(1), mine["test"].classes)
print("".join(path.read_text().splitlines(keepends=True)[:4]))

# %% [markdown]
# ## 6 · Broken on purpose
#
# Five colleagues, five runs, four of them broken. One has a deep ResNet whose shortcut skips nothing: 38 layers of it. One measures the net in train mode. One has put a softmax between the head and the loss. One normalises the test images a second time, by statistics of their own, although the net does that itself. And one run is healthy: a net of 8 layers.
#
# The test images come in the order of their classes, twenty at a time; at the end once more in random order. Run the cell, look at the curves and at the numbers, and decide which is which. (How the runs were broken is written in `course_lib/broken.py`. Guess first.)

# %% tags=["train"]
from course_lib import broken

runs = broken.classifiers(stack_of, BasicBlock, small["train"], small["test"],
                          scale.pick(smoke=20, cpu=300), lambda letters: tqdm(letters, unit="run"))
figure, panels = plt.subplots(1, 2, figsize=(10, 3.2))
for (name, run), colour in zip(runs.items(), (BLUE, ORANGE, GREEN, VERMILLION, BLACK)):
    line = "--" if name == "E" else "-"
    panels[0].plot(smooth(run.losses), line, color=colour, label=name)
    panels[1].plot([10 * (number + 1) for number in range(len(run.right))], run.right, line,
                   color=colour, marker="o", markersize=4, label=name)
panels[0].set(xlabel="step", ylabel="training loss", title="loss")
panels[1].set(xlabel="percent of the steps", ylabel="share right", title="test images, class by class",
              ylim=(0, 1))
panels[1].legend(ncols=5, loc="upper left")
plt.show()
for name, run in runs.items():
    print(f"{name}: loss at the end {sum(run.losses[-20:]) / 20:.2f}; "
          f"right in the order of the classes {run.right[-1]:.3f}, in random order {run.shuffled:.3f}")

# %% [markdown]
# <details><summary>The answer</summary>
#
# **A** is the softmax: the loss takes a second softmax, of numbers between 0 and 1, and can't get below $\log(e + 9) - 1 \approx 1.46$ however right the net is. Its accuracy is nearer to E's than to C's, while its loss is above both; C, whose loss is lower than A's, has far fewer right. **C** is the deep net without shortcuts: high in loss *and* low in accuracy, which fit together.
# **B** and **D** have E's training curve, step by step, and only the test suffers. They differ in the last column. In eval mode the order of the images can't matter: what changes with it, **D**, was measured in train mode, where twenty images of one class are normalised by their own mean, which takes away what tells the class. What doesn't change is **B**, with other statistics.
#
# So two of the four can't be seen in the training curve at all. Look at both, and at their *difference*; and know the floor of your loss.
# </details>
#
# ## 7 · In your own words
#
# In 120 to 250 words. First: the book's `Residual` with `use_1x1conv=True` and your block can't be made equal by copying weights. Which part differs, and why can no choice of weights make up for it in train mode? Then: somebody's ResNet-18 stays at 0.8 on CIFAR-10. Name three measurements that you would make, in
# the order in which you would make them, and what each would tell you, at least two of them with evidence from this notebook.
#
# <details><summary>What a good answer has in it</summary>
#
# One missing layer, and what it does with each batch. Three measurements, at least one on the net (not on the recipe) and at least one on the recipe, each tied to a number you saw here.
# </details>

# %% [markdown] answer="ladder" points=2
# ### BEGIN SOLUTION
# The book's shortcut is a 1×1 convolution without batch norm after it. In train mode batch norm divides by the standard deviation of the present batch and subtracts its mean; a convolution applies one and the same linear map to every batch. Fixed weights can imitate batch norm for one batch, or in eval mode where the statistics are fixed, but not for all batches.
#
# First I would count parameters and copy torchvision's weights into the net: if the logits agree, the architecture is right, including the stem (with the large stem a 32×32 image is down to 8×8 before the first block). Second I would look at loss and rate: is the loss a sum or a mean, and what is the rate on the mean? In section 5
# the sum at 2e-4 equalled the mean at 6.4e-3 with almost no decay, and the schedule, which brings the rate down to 0, was worth the most of all rungs. Third I would repeat the run with two more seeds and compare training with test accuracy: in section 6 two of four faults were invisible in the training curve. If the training loss is high, more steps or a better schedule come first;
# if it is low and the test isn't, augmentation, smoothing and decay do. With three looks at each image crops cost accuracy.
# ### END SOLUTION

# %% [markdown] tags=["instructor"]
# **Rubric (2 points, halves allowed).**
#
# * ½ · The batch norm after the 1×1 convolution is missing in the book's block.
# * ½ · Its effect depends on the batch (mean and standard deviation of it), so no fixed weights replace it in train mode. (In eval mode they could.)
# * ½ · Three measurements in a sensible order, one of them on the net itself (counts, equality with a known net, the stem), one on the recipe.
# * ½ · Evidence from the notebook for at least two of them.
#
# A wrong answer to expect: "the book's block has biases". Those can be set to 0, or absorbed; they aren't what prevents equality.

# %% [markdown]
# ## What to remember
#
# 1. VGG: one block, one table. Its parameters are in one linear layer, its work is in the convolutions. Cost counts the *output's* positions.
# 2. Inception: several kernels at once, made affordable by 1×1 reductions.
# 3. Plain nets degrade with depth on the *training* data. A shortcut makes the identity the easy case, and keeps the gradient far nearer to its size.
# 4. No bias before batch norm; stride on the 3×3; addition, then ReLU; a small stem for small images.
# 5. Equal means equal numbers under equal weights, in train mode too.
# 6. A rate means nothing without the loss's reduction and the batch's size. What a trick is worth is a measurement, with a budget and a spread.
#
# ## What to try next
#
# * Four times as many steps on the ladder. Which rungs change their sign?
# * Your `train_mine` with `zero_init=True`, three seeds each. What does it cost or gain in so short a training, and with more steps?
# * ResNet-18 with the large and with the small stem on 32×32 images, same recipe.
#
# ## Appendix · How the records run
#
# 94 % of CIFAR-10 in 3.29 s on an A100, as described by Jordan (2024), is built of pieces you know and a few more: a small net of 3×3 convolutions with a whitening first layer that is computed and not learned, identity-like initialisation, label smoothing, a short triangle of a schedule, a higher rate for biases, an average
# of the weights, flips that alternate from epoch to epoch rather than at random, and test-time flips; everything on the GPU, in half precision, channels last. (The repository's later 2.6 s come from another optimiser as well, Muon.) Of that, `classify.train_classifier` has the last line: it keeps the images on the device, lays them out channels last, and computes in bfloat16 if your `train_mine` passes it `mixed=True`, as is worth trying at the scale `gpu`. (We have
# not measured this on a GPU yet; no time is promised.)
#
# ## Sources
#
# * Krizhevsky, Sutskever & Hinton (2012), *ImageNet classification with deep convolutional neural networks*, NeurIPS; Krizhevsky (2014), *One weird trick for parallelizing convolutional neural networks*. AlexNet.
# * Simonyan & Zisserman (2015), *Very deep convolutional networks for large-scale image recognition*, ICLR. VGG.
# * Szegedy et al. (2015), *Going deeper with convolutions*, CVPR. GoogLeNet.
# * Szegedy et al. (2016), *Rethinking the Inception architecture for computer vision*, CVPR. Label smoothing; what auxiliary heads do.
# * He, Zhang, Ren & Sun (2016a), *Deep residual learning for image recognition*, CVPR; (2016b), *Identity mappings in deep residual networks*, ECCV.
# * Goyal et al. (2017), *Accurate, large minibatch SGD: training ImageNet in 1 hour*. Zero-initialised batch norms, warm-up.
# * DeVries & Taylor (2017), *Improved regularization of convolutional neural networks with cutout*.
# * Jordan (2024), *94 % on CIFAR-10 in 3.29 seconds on a single GPU*, and the repository cifar10-airbench. The repository pytorch-cifar (Liu). The README of Fashion-MNIST (Xiao, Rasul & Vollgraf 2017).
# * Zhang, Lipton, Li & Smola, *Dive into Deep Learning*: residual networks; image classification (CIFAR-10) on Kaggle.
# * torchvision's source of `vgg`, `googlenet` and `resnet`.
