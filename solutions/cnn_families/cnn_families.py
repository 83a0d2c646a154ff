# ---
# jupyter:
#   course:
#     title: VGG, GoogLeNet and ResNet, rebuilt
#     minutes: 150
#     builds_on: []
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% tags=["setup"]
import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import Scale, classify, current_scale, start

check = start("cnn_families")
scale = current_scale()

# %% solution="vgg"
def vgg_block(convs, in_channels, out_channels):
    """`convs` times a 3×3 convolution that keeps the size, each followed by ReLU; then 2×2 max-pooling that halves it.

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
    """VGG-`depth`, for a depth of 11, 13, 16 or 19: images (n, in_channels, h, w) → logits (n, classes).

    Five blocks of width, 2, 4, 8 and 8 times width channels, average pooling to 7×7, then three linear layers
    with `hidden` units between, and ReLU and dropout after each but the last.
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

# %% solution="cost"
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    """(parameters, multiply-adds) of a kernel×kernel convolution on one image of size×size.

    A multiply-add is one weight times one input, added up; biases count as parameters and cost none. Two ints.
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

# %% solution="inception"
class Inception(nn.Module):
    """GoogLeNet's block: four branches beside each other, their channels joined in this order.

    one: channels of the 1×1 branch. three, five: (channels after the 1×1 reduction, channels of the branch) of the
    3×3 and of the 5×5 branch. pool: channels of the 1×1 convolution that follows a 3×3 max-pooling.
    A ReLU follows each convolution; height and width stay.
    """

    def __init__(self, in_channels, one, three, five, pool):
        super().__init__()
        ### BEGIN SOLUTION
        conv = lambda inputs, outputs, kernel: (nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU())
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

# %% solution="residual"
class BasicBlock(nn.Module):
    """The residual block of ResNet-18 and -34: (n, in_channels, h, w) → (n, channels, h/stride, w/stride).

    3×3, batch norm, ReLU, 3×3, batch norm; the shortcut is added, then ReLU. Where the shape changes, the shortcut is a
    1×1 convolution and batch norm. No convolution has a bias; the first 3×3 and the 1×1 take the stride.
    """

    expansion = 1  # output channels per `channels`

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != channels:
            self.shortcut = nn.Sequential(nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return F.relu(self.main(x) + self.shortcut(x))
        ### END SOLUTION

# %% check="residual"
check("residual")

# %% solution="variants"
class Bottleneck(nn.Module):
    """The residual block of ResNet-50: (n, in_channels, h, w) → (n, 4·channels, h/stride, w/stride).

    1×1 to `channels`, 3×3 (which takes the stride), 1×1 to 4·channels, each followed by batch norm, the first two by ReLU as
    well; the shortcut is added, then ReLU. The shortcut is as in BasicBlock.
    """

    expansion = 4

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        outputs = 4 * channels
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, channels, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential()
        if stride != 1 or in_channels != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(in_channels, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        ### END SOLUTION

    def forward(self, x):
        ### BEGIN SOLUTION
        return F.relu(self.main(x) + self.shortcut(x))
        ### END SOLUTION


class PreActivation(nn.Module):
    """The block of He et al. (2016b), with the shapes of BasicBlock: batch norm and ReLU stand before each convolution.

    Batch norm, ReLU, 3×3 (which takes the stride), batch norm, ReLU, 3×3; the shortcut is added, and nothing follows. Where
    the shape changes, the shortcut is a 1×1 convolution alone, of what comes out of the first batch norm and ReLU.
    """

    expansion = 1

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        ### BEGIN SOLUTION
        self.first = nn.Sequential(nn.BatchNorm2d(in_channels), nn.ReLU())
        self.main = nn.Sequential(
            nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False))
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

# %% solution="resnet"
class ResNet(nn.Module):
    """Stem, stages of residual blocks, and a linear layer on the mean over all positions: images → logits (n, classes).

    block: a class as above. counts: the blocks of each stage; the first has `width` channels (times block.expansion), each
    further one twice as many at half the size. Stem: 7×7 with stride 2, batch norm, ReLU, 3×3 max-pooling with stride 2; for
    small_images 3×3 with stride 1, batch norm, ReLU. zero_init: the last batch norm of each BasicBlock or Bottleneck begins
    with weight 0.
    """

    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__()
        ### BEGIN SOLUTION
        kernel, stride = (3, 1) if small_images else (7, 2)
        self.stem = nn.Sequential(nn.Conv2d(in_channels, width, kernel, stride, padding=kernel // 2, bias=False),
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
    block, counts = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)), 50: (Bottleneck, (3, 4, 6, 3))}[depth]
    return ResNet(block, counts, classes, in_channels, width, small_images, zero_init)
    ### END SOLUTION

# %% check="resnet"
check("resnet")

# %% solution="augmentation"
def crop_and_flip(images, top, left, flip, padding=4):
    """A window of each image, of the image's own size, after `padding` zeros were put around it; then mirrored, or not.

    images (n, c, h, w). top, left (n,) in 0 … 2·padding: the window's upper left corner in the padded image. flip (n,) bool:
    which windows are mirrored left to right. Returns (n, c, h, w).
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

    images (n, c, h, w). y, x (n,): the rows y − size/2 … y + size/2 − 1 and such columns are meant, where they lie in the
    image. size: an even int. Returns (n, c, h, w) and leaves `images` as they are.
    """
    ### BEGIN SOLUTION
    inside = lambda centre, length: (torch.arange(length, device=images.device) - centre[:, None] + size // 2)
    rows, columns = inside(y, images.shape[2]), inside(x, images.shape[3])
    within = lambda offset: (offset >= 0) & (offset < size)
    hole = within(rows)[:, None, :, None] & within(columns)[:, None, None, :]
    return images.masked_fill(hole, 0)
    ### END SOLUTION

# %% check="augmentation"
check("augmentation")

# %% solution="recipe"
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    """The mean over the batch of −Σ_k t_k log softmax(logits)_k, where t is one-hot, mixed with the uniform distribution:
    1 − smoothing of the former, smoothing of the latter.

    logits (n, K), labels (n,) int64. Returns a scalar tensor.
    """
    ### BEGIN SOLUTION
    log_p = F.log_softmax(logits, dim=1)
    right = log_p.gather(1, labels[:, None]).squeeze(1)
    return -((1 - smoothing) * right + smoothing * log_p.mean(1)).mean()
    ### END SOLUTION


def learning_rate(step, steps, peak, warmup):
    """The rate of step 0 … steps − 1: up in a line to `peak` over the first `warmup` steps, (step + 1)/warmup of it at each;
    from step `warmup` on half a cosine, which begins at the peak and would reach 0 at step `steps`. A float.
    """
    ### BEGIN SOLUTION
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2
    ### END SOLUTION


def parameter_groups(net, weight_decay):
    """The net's parameters for an optimiser, in two groups: weights of convolutions and linear layers decay; biases and batch
    norm's parameters don't. Returns a list of dicts with "params" and "weight_decay".
    """
    ### BEGIN SOLUTION
    weights = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in net.parameters() if parameter.ndim <= 1]
    return [{"params": weights, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
    ### END SOLUTION


def update_average(average, net, decay):
    """Move the net `average` towards `net`, in place: each parameter to decay·average + (1 − decay)·net. Buffers, which are
    averages already (or counts), are copied.
    """
    ### BEGIN SOLUTION
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine.lerp_(new, 1 - decay)
        for mine, new in zip(average.buffers(), net.buffers()):
            mine.copy_(new)
    ### END SOLUTION


def predict(net, images):
    """The mean of the net's logits for the images and for their mirror images, (n, classes), in eval mode and without
    gradients. The net is left in the mode it was in.
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

# %% solution="training"
def train_mine(images, labels, classes, budget, after_step=None):
    """A ResNet of yours, trained by a recipe of yours that looks at `budget` images at most, each as often as it comes.

    images (n, c, h, w) in [0, 1] and labels (n,), on one device. after_step(step, loss): called after each step.
    Returns the net, on that device, which takes images in [0, 1] to logits (n, classes).
    """
    ### BEGIN SOLUTION
    counts, width, batch, peak = scale.pick(smoke=((1, 1, 1), 16, 32, 0.1), gpu=((2, 2, 2, 2), 64, 512, 0.4))
    net = nn.Sequential(classify.Normalise(images),
                        ResNet(BasicBlock, counts, classes, images.shape[1], width, small_images=True, zero_init=True))
    net = net.to(images.device)
    average, steps, padding = copy.deepcopy(net), budget // batch, images.shape[-1] // 8
    optimizer = torch.optim.SGD(parameter_groups(net, 5e-4), peak, momentum=0.9, nesterov=True)

    def augment(x):
        top, left, flip = (each.to(x.device) for each in classify.random_crops(len(x), padding))
        return crop_and_flip(x, top, left, flip, padding)

    def end_of_step(step, loss):
        update_average(average, net, min(0.98, (1 + step) / (10 + step)))
        if after_step is not None:
            after_step(step, loss)

    classify.train_classifier(net, images, labels, smoothed_cross_entropy, optimizer, steps, batch,
                              lambda step: learning_rate(step, steps, peak, steps // 8), augment, end_of_step,
                              mixed=scale is Scale.GPU)
    return average
    ### END SOLUTION

# %% check="training"
check("training")
