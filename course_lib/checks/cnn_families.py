"""The checks of the lesson `cnn_families`."""

import functools

import torch

from course_lib import expect
from course_lib.check import check
from course_lib.data import load_images
from course_lib.modules import agree_module, behaviour, filled, of_module
from course_lib.scale import Scale
from course_lib.verdict import Failed


# --- VGG ---

def in_eval_mode(names, numbers, images):
    """The logits of a VGG-11 with its default dropout, in eval mode."""
    net = filled(names.vgg(11, 4, 3, 2, 6), numbers, images).eval()
    torch.manual_seed(0)
    with torch.no_grad():
        return net(images)


def between_two_runs(names, numbers, images):
    """How far apart the logits of two runs of one VGG-11 are, in train mode without dropout."""
    net = filled(names.vgg(11, 4, 3, 2, 6, 0.0), numbers, images).train()
    with torch.no_grad():
        return net(images) - net(images)


def with_half_dropped(names, numbers, image):
    """The different first logits that 200 copies of an image get of a VGG-11 with single hidden units and dropout at ½, in order; none if
    there are more than three. With weights that are all positive each logit tells which of the two units has been dropped."""
    net = filled(names.vgg(11, 4, 3, 2, 1, 0.5), numbers.abs(), image).train()
    with torch.no_grad():
        logits = net(image.expand(200, -1, -1, -1) * 1)[:, 0].sort().values
    different = [logit for before, logit in zip([-float("inf"), *logits.tolist()], logits.tolist()) if logit - before > 1e-9 * logit]
    return different if len(different) <= 3 else []


def with_all_dropped(names, numbers, images):
    """The logits of a VGG-11 in train mode whose dropout lets nothing through."""
    with torch.no_grad():
        return filled(names.vgg(11, 4, 3, 2, 6, 1.0), numbers, images).train()(images)


@check(points=2)
def vgg(student, reference, draw):
    """VGG's block, and VGG-11, -13, -16 and -19 from one table (Simonyan & Zisserman 2015, Table 1)."""
    numbers = draw.normal(5_000)
    for convs in (1, 3):
        agree_module(student, reference, f"`vgg_block` with {convs} convolution{'s' * (convs > 1)}", of_module, "vgg_block",
                     [convs, 3, 4], numbers, draw.normal(2, 3, 16, 16))
    images = draw.normal(2, 3, 64, 64)
    expect.agree_run(student, reference, between_two_runs, numbers, images, using=[filled], what="the difference of two runs of VGG-11",
                     hint="With `dropout` = 0 two runs of VGG-11 on the same images differ in train mode: something is dropped all the same. "
                          "Hand the argument `dropout` on to `nn.Dropout`.")
    for depth in (11, 13, 16, 19):  # of so many hidden units some are below 0, all but surely
        agree_module(student, reference, f"VGG-{depth}", of_module, "vgg", [depth, 4, 3, 2, 16, 0.0], numbers, images)
    agree_module(student, reference, "VGG-11 for 5 classes, of width 3", of_module, "vgg", [11, 5, 3, 3, 16, 0.0], numbers, images)
    agree_module(student, reference, "VGG-11 of images with 2 channels", of_module, "vgg", [11, 4, 2, 2, 16, 0.0], numbers, images[:, :2])
    expect.agree_run(student, reference, in_eval_mode, numbers, images, using=[filled], rtol=1e-8, atol=1e-9, what="VGG-11 in eval mode",
                     hint="In eval mode dropout must let everything through: use `nn.Dropout`, which knows the mode, and hand it "
                          "the argument `dropout`.")
    expect.agree_run(student, reference, with_all_dropped, numbers, images, using=[filled], rtol=1e-8, atol=1e-9,
                     what="VGG-11 with dropout = 1 in train mode",
                     hint="With `dropout` = 1 nothing of a hidden linear layer may get through in train mode. `nn.Dropout(dropout)` stands "
                          "after the ReLU of both, and nowhere else: logits aren't dropped.")
    expect.agree_run(student, reference, with_half_dropped, numbers, images[:1], using=[filled], rtol=1e-8, atol=1e-9,
                     what="the different answers of VGG-11 with dropout = 0.5 in train mode",
                     hint="With `dropout` = ½ each unit of the two hidden linear layers is dropped half of the times, and else kept at "
                          "twice its size. Yours are dropped otherwise.")


# --- what a net costs ---

@check(points=3)
def cost(student, reference, draw):
    """Parameters, multiply-adds and receptive field by formula."""
    whole = lambda low, high: draw.integers(low, high, 1).item()
    for size in (12, 13):  # with a stride of 2, what is left is once odd and once even
        expect.agree(student, reference, "conv_cost", 3, 8, 5, size, 2)
    for stride, padding, bias in ((1, 2, True), (2, 3, False), (3, 0, True), (2, 0, False)):
        expect.agree(student, reference, "conv_cost", whole(8, 11), whole(11, 20), whole(6, 8), whole(21, 40), stride, padding, bias)
    both = expect.agree(student, reference, "conv_cost", 3, 8, 5, 12)
    expect.true(not any(isinstance(number, float) for number in both), "`conv_cost`: the numbers are right, but floats, and two ints are asked "
                "for. `//` rounds down and gives an int; `np.floor` and `/` give floats.")
    # Each known wrong formula gives another number for these: only so are they told apart.
    expect.agree(student, reference, "receptive_field", [(11, 3), (3, 2), (7, 1), (5, 2), (1, 1), (3, 3), (4, 1)])
    expect.agree(student, reference, "receptive_field", [(3, 1), (3, 1)])
    expect.agree(student, reference, "receptive_field", [(whole(1, 8), whole(1, 4)) for _ in range(5)])


# --- GoogLeNet ---

@check(points=2)
def inception(student, reference, draw):
    """The Inception block with its four branches (Szegedy et al. 2015, Figure 2b)."""
    numbers = draw.normal(3_000)
    for args in ([5, 2, (3, 4), (2, 3), 3], [4, 3, (2, 3), (3, 2), 4], [13, 2, (3, 4), (2, 3), 4]):
        agree_module(student, reference, "`Inception`", of_module, "Inception", args, numbers, draw.normal(2, args[0], 7, 7))


# --- ResNet ---

@check(points=2)
def residual(student, reference, draw):
    """The residual block of ResNet-18 and -34, with and without a change of shape (He et al. 2016)."""
    numbers = draw.normal(2_000)
    # Channels and stride change one by one before they do together: so an error tells which half of the shortcut's condition is missing.
    for channels, args in ((4, [4, 4]), (3, [3, 4, 1]), (4, [4, 4, 2]), (3, [3, 4, 2]), (8, [8, 4])):
        shape = f"{args[0]} to {args[1]} channels, stride {(args + [1])[2]}"
        agree_module(student, reference, f"`BasicBlock`, {shape}", of_module, "BasicBlock", args, numbers, draw.normal(2, channels, 6, 6))


def expansions(names):
    return [int(getattr(names, block).expansion) for block in ("Bottleneck", "PreActivation")]


@check(points=2, needs=["residual"])
def variants(student, reference, draw):
    """The bottleneck of ResNet-50, and the block with pre-activation (He et al. 2016a, 2016b)."""
    expect.agree_run(student, reference, expansions, what="`expansion`",
                     hint="A block's `expansion` says how many channels come out for each of `channels`: 4 for the bottleneck, 1 for pre-activation.")
    numbers = draw.normal(2_000)
    # Four channels and more: of two, both may be silenced by their ReLUs under some weights, and with them a mistake before.
    for name, args in (("Bottleneck", [3, 4, 1]), ("Bottleneck", [16, 4]), ("Bottleneck", [16, 4, 2]),
                       ("PreActivation", [4, 4]), ("PreActivation", [3, 4, 1]), ("PreActivation", [4, 4, 2]), ("PreActivation", [3, 4, 2]),
                       ("Bottleneck", [20, 4]), ("PreActivation", [8, 4])):
        agree_module(student, reference, f"`{name}`, {args[0]} channels in, stride {(args + [1])[2]}", of_module, name, args, numbers,
                     draw.normal(2, args[0], 6, 6))


def of_resnet(names, block, args, numbers, images):
    """The behaviour of a ResNet of blocks of that name."""
    return behaviour(names.ResNet(getattr(names, block), *args), numbers, images)


def asleep(names, name, args):
    """Which parameters of a ResNet, in their order, begin at 0 because of `zero_init`, the last argument."""
    args = [getattr(names, value) if isinstance(value, str) else value for value in args]
    zeros = lambda zero_init: {number for number, parameter in enumerate(getattr(names, name)(*args, zero_init).parameters())
                               if not torch.nn.parameter.is_lazy(parameter) and not parameter.any()}
    return sorted(zeros(True) - zeros(False))


def asleep_without(names, name, args):
    """How many batch norms of a ResNet begin at 0 without `zero_init`, the last argument."""
    args = [getattr(names, value) if isinstance(value, str) else value for value in args]
    norms = [module for module in getattr(names, name)(*args, False).modules() if isinstance(module, torch.nn.BatchNorm2d)]
    return sum(not module.weight.any() for module in norms if not torch.nn.parameter.is_lazy(module.weight))


@check(points=2, needs=["residual", "variants"])
def resnet(student, reference, draw):
    """ResNet-18, -34 and -50 from one table, both stems, and zero-initialised last batch norms."""
    numbers, small, large = draw.normal(20_000), draw.normal(3, 2, 8, 8), draw.normal(2, 2, 48, 48)
    for block, counts in (("BasicBlock", (1, 2)), ("Bottleneck", (1, 1)), ("PreActivation", (1, 1, 1))):
        agree_module(student, reference, f"`ResNet` of {block} × {counts} for small images", of_resnet, block,
                     [counts, 3, 2, 4, True], numbers, small)
    agree_module(student, reference, "`ResNet` of BasicBlock × (1, 1) for large images", of_resnet, "BasicBlock",
                 [(1, 1), 3, 2, 4], numbers, large)
    agree_module(student, reference, "`ResNet` of BasicBlock × (1, 1) for 5 classes and images with 1 channel", of_resnet, "BasicBlock",
                 [(1, 1), 5, 1, 4, True], numbers, small[:, :1])
    agree_module(student, reference, "`resnet(18, 5, 1, 4, True)`", of_module, "resnet", [18, 5, 1, 4, True], numbers, small[:, :1])
    for depth in (18, 34, 50):
        agree_module(student, reference, f"ResNet-{depth}", of_module, "resnet", [depth, 3, 2, 2], numbers, large)
    for depth, width in ((18, 4), (34, 2), (50, 2)):
        agree_module(student, reference, f"`resnet({depth}, 3, 2, {width}, True)`", of_module, "resnet", [depth, 3, 2, width, True], numbers, small)
    for name, args in (("ResNet", ["BasicBlock", (1, 2), 3, 2, 4, True]), ("ResNet", ["Bottleneck", (1, 2), 3, 2, 4, True]),
                       ("ResNet", ["PreActivation", (1, 2), 3, 2, 4, True]), ("resnet", [18, 3, 2, 4, True]), ("resnet", [34, 3, 2, 2, True]),
                       ("resnet", [50, 3, 2, 2, True])):
        called = f"`{name}({', '.join(map(str, args))}, {{}})`"
        expect.agree_run(student, reference, asleep_without, name, args, what=f"the number of batch norms that begin at 0 in {called.format(False)}",
                         hint="Without `zero_init` no batch norm's weight begins at 0; in yours some do. Set them only `if zero_init:`.")
        expect.agree_run(student, reference, asleep, name, args,
                         what=f"what `zero_init` sets to 0 in {called.format(True)}, by the parameters' numbers in their order")


# --- the recipe ---

@check(points=1)
def augmentation(student, reference, draw):
    """Crops, flips and cutout, exactly where they are told to be."""
    images = draw.uniform(6, 2, 5, 7) + 0.1
    flip = torch.tensor([True, False, True, False, True, False])[draw.permutation(6)]
    expect.agree(student, reference, "crop_and_flip", images, draw.integers(0, 5, 6), draw.integers(0, 5, 6), flip, 2)
    expect.agree(student, reference, "crop_and_flip", images, draw.integers(0, 9, 6), draw.integers(0, 9, 6), ~flip)
    still = torch.zeros(6, dtype=torch.int64)
    expect.agree(student, reference, "crop_and_flip", images, still, still, flip, 0)
    centre = lambda side: torch.cat([torch.tensor([0, side - 1]), draw.integers(0, side, 4)])
    expect.agree(student, reference, "cutout", images, centre(5), centre(7).flip(0), 4)
    expect.agree(student, reference, "cutout", images, centre(5), centre(7), 2)


def small_net(numbers):
    """A net of the check's own, images (n, 2, 6, 6) → logits (n, 3), in which every kind of parameter occurs, some deeper than others."""
    features = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.BatchNorm2d(3), torch.nn.ReLU())
    return filled(torch.nn.Sequential(features, torch.nn.Flatten(), torch.nn.Linear(48, 3)), numbers)


def decayed(names, numbers, weight_decay):
    """Parameters after a step of an optimiser with the learner's groups, gradients of 1 and a rate of 1: decay makes the difference."""
    net = small_net(numbers)
    optimizer = torch.optim.SGD(names.parameter_groups(net, weight_decay), lr=1.0, weight_decay=0.7)  # for a group that says nothing
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return [parameter.detach() for parameter in net.parameters()]


def averaged(names, numbers, images, decay):
    """The average after each of two updates, what its buffers are then, and the net, which must stay as it was."""
    net, average, first = small_net(numbers), small_net(numbers.flip(0)), None
    for part in images:
        net(part)
        names.update_average(average, net, decay)
        first = first or [parameter.detach().clone() for parameter in average.parameters()]
    trains = net(part).requires_grad  # and moves the net's buffers, which are not the average's
    return {"the parameters of the average after one update": first, "the parameters of the average": list(average.parameters()),
            "the buffers of the average": list(average.buffers()), "the net itself": list(net.parameters()), "whether the net can still be trained": trains}


def predicted(names, numbers, images):
    """Predictions of a net in train mode, and its own answers before and after in the mode that `predict` leaves it in."""
    net = small_net(numbers)
    net(images)
    answer = names.predict(net, images)
    return {"the predictions": answer, "whether they carry a graph": answer.requires_grad, "the net's answers afterwards": net(images),
            "predictions of a net in eval mode": names.predict(net.eval(), images), "its answers afterwards": net(images),
            "whether the net can still be trained": net.train()(images).requires_grad}


@check(points=2)
def recipe(student, reference, draw):
    """Label smoothing, a schedule, weight decay where it belongs, an average of the weights, test-time flips."""
    logits, labels = draw.normal(6, 5, std=3), torch.cat([torch.tensor([4]), draw.integers(0, 5, 5)])
    smoothed = draw.number(0.1, 0.3)
    expect.agree(student, reference, "smoothed_cross_entropy", logits, labels, 0.0)
    expect.agree(student, reference, "smoothed_cross_entropy", 100 * logits, labels, smoothed)
    for smoothing in (0.0, smoothed):
        expect.agree(student, reference, "smoothed_cross_entropy", logits, labels, smoothing)
        expect.agree_grad(student, reference, "smoothed_cross_entropy", logits, labels, smoothing)
    expect.agree(student, reference, "smoothed_cross_entropy", logits, labels)
    expect.agree(student, reference, "smoothed_cross_entropy", logits, 0 * labels)  # a batch says nothing of how many classes there are
    peak = draw.number(0.1, 0.9)
    for step in (0, 3, 4, 5, 12, 19):
        expect.agree(student, reference, "learning_rate", step, 20, peak, 4, atol=1e-7)
    expect.agree(student, reference, "learning_rate", 0, 10, peak, 0, atol=1e-7)
    numbers, images = draw.normal(250), draw.normal(2, 8, 2, 6, 6)
    expect.agree_run(student, reference, decayed, numbers, draw.number(0.1, 0.4), using=[filled, small_net],
                     what="a step with `parameter_groups`")
    expect.agree_run(student, reference, averaged, numbers, images, draw.number(0.6, 0.9), using=[filled, small_net],
                     what="`update_average`")
    expect.agree_run(student, reference, predicted, numbers, images[0], using=[filled, small_net], what="`predict`")


# --- trained for real ---

def answers_after_training(names, images, labels, heldout, classes, budget, seed, device):
    """The trained net's logits for the held-out images, in eval mode."""
    import itertools
    net = names.made("my_net")
    if net is None:
        torch.manual_seed(seed)
        bar = iter(names.progress(itertools.count()))  # the budget is of images, and the learner's batch isn't known
        net = names.train_mine(images.float().to(device) / 255, labels.to(device), classes, budget, lambda step, loss: next(bar, None))
    if net is None:
        return None
    with torch.no_grad():
        return torch.cat([net.eval()(part.float().to(device) / 255) for part in heldout.split(500)]).float().cpu()


@functools.lru_cache
def training_data(split, scale):
    """What `training` trains and judges on: (images as bytes, labels, number of classes, the set's name)."""
    if scale is Scale.GPU:
        data = load_images("cifar10", split)
    else:
        data = load_images("fashion_mnist", split, size=14, limit=25_600 if split == "train" else None, fallback="digits")
    return (data.images * 255).round().to(torch.uint8), data.labels, len(data.classes), data.name


GUESSING = ("Your net does no better than guessing. Is the net that `train_mine` returns the one that was trained, do the labels still "
            "belong to the images, does it normalise within the net, and if you average the weights: has the average had time to move? "
            "A decay of 0.999 takes thousands of steps.")
TOO_MANY = ("Your net gets too many of the held-out images wrong. Its parts are right, so look at how `train_mine` puts them together: "
            "the rate, the number of steps, augmentation that costs more than it gives in so few looks (crops of 4 pixels are much for 14×14), "
            "and whether the net normalises the images itself, by the training images' statistics.")
COLLAPSED = ("Your net gives every image the same answer: the training has diverged, or the weights have collapsed. Is the rate too high, "
             "or the weight decay? Lower it, or warm up for longer.")
LINEAR = ("Swap the lower halves of two images, and your net's answers to the new pair add up to exactly what they were for the old one. So "
          "it adds up what it sees in the two halves and never looks at them together, as a linear classifier does. Does the net "
          "that you train hold your blocks, with their ReLUs?")
# Digits, which take Fashion-MNIST's place where that can't be had, are easier: tests/benchmarks/digits_training.py.
ON_DIGITS = expect.at_least(smoke=0.94)
TRAINING = {"accuracy": expect.at_least(smoke=0.78, cpu=0.85, gpu=0.94)}


def swapped_halves(a, b):
    """Two images of each pair (a, b): the upper half of the one over the lower half of the other."""
    middle = a.shape[-2] // 2
    return (torch.cat([upper[..., :middle, :], lower[..., middle:, :]], dim=-2) for upper, lower in ((a, b), (b, a)))


@check(points=2, needs=["residual", "resnet", "augmentation", "recipe"], bounds=TRAINING)
def training(student, reference, draw):
    """Your ResNet, by your recipe, on images that it has never seen."""
    images, labels, classes, name = training_data("train", draw.scale)
    heldout, truth, *_ = training_data("test", draw.scale)
    # A submission that has brought the labels with it, in the images' order, must not know which image it is asked about.
    shuffled = draw.branch("order of the held-out images").permutation(len(heldout))
    heldout, truth = heldout[shuffled], truth[shuffled]
    order = draw.permutation(classes) if draw.secret else torch.arange(classes)
    budget = draw.scale.pick(smoke=9_600, cpu=38_400, gpu=1_000_000)
    asked = torch.cat([heldout, *swapped_halves(heldout[:50], heldout[50:100])])
    answers = student.train(answers_after_training, images, order[labels], asked, classes, budget, draw.seed(), draw.scale.device.type)
    if answers is None:
        raise Failed("`train_mine` gave back nothing. Is a `return` missing?")
    if isinstance(answers, torch.Tensor) and answers.is_floating_point():
        expect.finite(answers, "the net's answer", "Your net's answers are NaN: the training has diverged. Lower the rate, or warm up for longer.")
    answers = expect.tensor(answers, "What your net answers", (len(asked), classes)).double()
    expect.true((answers < 0).any() or (answers.sum(1) - 1).abs().max() > 1e-3,
                "These are probabilities, not logits: a softmax stands at the net's end. The loss takes one itself.")
    answers, swapped = answers.split([len(heldout), 100])
    accuracy = (answers.argmax(1) == order[truth]).double().mean().item()
    expect.measured(accuracy=accuracy)
    expect.true((answers - answers[0]).abs().max() > 1e-6 * answers.abs().max(), COLLAPSED)
    whole, halves = (each.reshape(2, 50, classes).sum(0) for each in (answers[:100], swapped))
    expect.true((whole - halves).abs().max() > 1e-3 * answers.std(), LINEAR)
    bound = ON_DIGITS if name == "digits" else TRAINING["accuracy"]
    expect.within("accuracy", accuracy, bound, draw.scale, GUESSING if accuracy < 2 / classes else TOO_MANY)
