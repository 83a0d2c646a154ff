"""Mistakes people make in `cnn_families`, each with the sentence that helps. Each check must fail them, with that sentence.

Never released to learners. To add one: write the mistake as it would be written in the notebook, and its hint. A class that
differs from the reference in one point derives from it: the reference's own definition is there under the same name.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn


def _norm_shortcut(in_channels, outputs, stride, kernel=1, bias=False):
    return nn.Sequential(nn.Conv2d(in_channels, outputs, kernel, stride, padding=kernel // 2, bias=bias), nn.BatchNorm2d(outputs))


# --- vgg ---

@wrong("vgg", hint="A 3×3 convolution without padding takes a pixel off each side. Give it `padding=1`, so that only the pooling "
                   "changes the size.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@wrong("vgg", hint="A ReLU is missing in the block: one follows each convolution, the last one too. Two convolutions without one between are a single linear map.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@wrong("vgg", hint="Only the first convolution is followed by ReLU, or only the last; each of them is.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers.append(nn.Conv2d(in_channels, out_channels, 3, padding=1))
        in_channels = out_channels
    return nn.Sequential(*layers, nn.ReLU(), nn.MaxPool2d(2))


@wrong("vgg", hint="The pooling stands inside the loop and halves the size after each convolution. It comes once, at the block's end.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        in_channels = out_channels
    return nn.Sequential(*layers)


@wrong("vgg", hint="This is AlexNet's overlapping pooling, 3×3 with stride 2. VGG's windows are 2×2 with stride 2.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(3, stride=2, padding=1))


@wrong("vgg", hint="The maximum is asked for, not the mean: `nn.MaxPool2d`.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.AvgPool2d(2))


@wrong("vgg", hint="Batch norm came after VGG: the paper's nets have none, and their convolutions have biases.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.BatchNorm2d(out_channels), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def _vgg(convs, times, head, in_channels, width):
    channels = [in_channels, *(width * each for each in times)]
    return nn.Sequential(*[vgg_block(*block) for block in zip(convs, channels, channels[1:])],
                         nn.AdaptiveAvgPool2d(7), nn.Flatten(), *head(channels[-1] * 49))


def _head(hidden, classes, dropout):
    return lambda inputs: [nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(),
                           nn.Dropout(dropout), nn.Linear(hidden, classes)]


_CONVS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@wrong("vgg", hint="The channels double four times. After 8·width they stay: the fourth and the fifth block have the same number.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 16), _head(hidden, classes, dropout), in_channels, width)


@wrong("vgg", hint="The 16 of VGG-16 counts convolutions and linear layers together: 13 and 3. Here are 16 convolutions.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[19 if depth == 16 else depth], (1, 2, 4, 8, 8), _head(hidden, classes, dropout), in_channels, width)


@wrong("vgg", hint="VGG-11's first two blocks have one convolution each; the other three have two.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    convs = (2, 2, 2, 1, 1) if depth == 11 else _CONVS[depth]
    return _vgg(convs, (1, 2, 4, 8, 8), _head(hidden, classes, dropout), in_channels, width)


@wrong("vgg", hint="There is no ReLU between the linear layers, so the three together are one linear map.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [
        nn.Linear(inputs, hidden), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.Dropout(dropout), nn.Linear(hidden, classes)],
        in_channels, width)


@wrong("vgg", hint="The head has two linear layers. VGG has three: two with `hidden` units, and one to the classes.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)], in_channels, width)


@wrong("vgg", hint="The last layer gives logits. The softmax belongs to the loss, which takes it with the logarithm, in one stable step.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [*_head(hidden, classes, dropout)(inputs), nn.Softmax(dim=1)],
                in_channels, width)


@wrong("vgg", hint="A ReLU follows the last linear layer as well. Logits may be negative.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [*_head(hidden, classes, dropout)(inputs), nn.ReLU()], in_channels, width)


class _AlwaysDropout(nn.Dropout):
    def forward(self, x):
        return F.dropout(x, self.p)


@wrong("vgg", hint="In eval mode dropout must let everything through: use `nn.Dropout`, which knows the mode, and hand it "
                   "the argument `dropout`.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [
        nn.Linear(inputs, hidden), nn.ReLU(), _AlwaysDropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(),
        _AlwaysDropout(dropout), nn.Linear(hidden, classes)], in_channels, width)


@wrong("vgg", hint="The block's pooling is missing: nothing halves the size.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers)


@wrong("vgg", hint="`nn.MaxPool2d(2, 1)` moves its window by one pixel. Left out, the stride is the window's size, 2, and halves the image.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2, 1))


@wrong("vgg", hint="The average pooling gives 1×1 positions; VGG's first linear layer takes 7×7 of them: `nn.AdaptiveAvgPool2d(7)`.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    convs = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}[depth]
    channels = [in_channels, *(width * times for times in (1, 2, 4, 8, 8))]
    return nn.Sequential(*[vgg_block(*block) for block in zip(convs, channels, channels[1:])], nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(channels[-1], hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Dropout(dropout), nn.Linear(hidden, classes))


@wrong("vgg", hint="Nothing is dropped in train mode: `nn.Dropout(dropout)` stands after the ReLU of both hidden linear layers.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    convs = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}[depth]
    return _vgg(convs, (1, 2, 4, 8, 8), lambda inputs: _head(hidden, classes, 0.0)(inputs), in_channels, width)


@wrong("vgg", hint="With `dropout` = 0 two runs of VGG-11 on the same images differ in train mode: something is dropped all the same. "
                   "Hand the argument `dropout` on to `nn.Dropout`.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), _head(hidden, classes, 0.5), in_channels, width)


@wrong("vgg", hint="`in_channels` isn't used: the first block takes 3 channels whatever it says.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), _head(hidden, classes, dropout), 3, width)


@wrong("vgg", hint="The ReLU after the second linear layer is missing. One follows each linear layer but the last.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.Dropout(dropout), nn.Linear(hidden, classes)],
        in_channels, width)


@wrong("vgg", hint="The ReLU after the first linear layer is missing. One follows each linear layer but the last.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [
        nn.Linear(inputs, hidden), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)],
        in_channels, width)


@wrong("vgg", hint="The convolutions have no biases. Nothing stands behind them here that would take a bias away (as batch norm would): leave "
                   "`bias=False` out.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@wrong("vgg", hint="There are batch norms in the block. They came after VGG: the paper's nets have none.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU()]
        in_channels = out_channels
    return nn.Sequential(*layers, nn.MaxPool2d(2))


@wrong("vgg", hint="A convolution of the block doesn't get the channels it was made for. The first goes from `in_channels` to `out_channels`; from the "
                   "second on they take what the one before gives, `out_channels`.")
def vgg_block(convs, in_channels, out_channels):
    layers = []
    for _ in range(convs):
        layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.MaxPool2d(2))


def _vgg_joined_by(between, depth, classes, in_channels, width, hidden, dropout):
    channels = [in_channels, *(width * each for each in (1, 2, 4, 8, 8))]
    return nn.Sequential(*[vgg_block(*block) for block in zip(_CONVS[depth], channels, channels[1:])], *between,
                         *_head(hidden, classes, dropout)(channels[-1] * 49))


@wrong("vgg", hint="Between blocks and linear layers stands an *average* pooling to 7×7. This one takes the maximum.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg_joined_by([nn.AdaptiveMaxPool2d(7), nn.Flatten()], depth, classes, in_channels, width, hidden, dropout)


@wrong("vgg", hint="The sizes in VGG-11 don't fit each other. Between blocks and linear layers stand the average pooling to 7×7 and "
                   "`nn.Flatten()`. The first linear layer goes from 8·width·7·7 numbers to `hidden`, the second from `hidden` to `hidden`, the "
                   "third to `classes`.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg_joined_by([nn.Flatten()], depth, classes, in_channels, width, hidden, dropout)


@wrong("vgg", hint="The first linear layer gets maps, not rows of 8·width·7·7 numbers: `nn.Flatten()` comes before it, after the average pooling to 7×7.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg_joined_by([nn.AdaptiveAvgPool2d(7)], depth, classes, in_channels, width, hidden, dropout)


@wrong("vgg", hint="The first hidden layer's units are never dropped: `nn.Dropout(dropout)` stands after the ReLU of both hidden linear "
                   "layers.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, classes)],
        in_channels, width)


@wrong("vgg", hint="More is dropped than the units of the two hidden layers. `nn.Dropout` stands twice, after the ReLU of each hidden "
                   "linear layer; another one before the first linear layer is AlexNet's.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _vgg(_CONVS[depth], (1, 2, 4, 8, 8), lambda inputs: [nn.Dropout(dropout), *_head(hidden, classes, dropout)(inputs)],
                in_channels, width)


class _Listed(nn.Module):
    def __init__(self, depth, classes, in_channels, width, hidden, dropout):
        super().__init__()
        channels = [in_channels, *(width * times for times in (1, 2, 4, 8, 8))]
        self.features = [vgg_block(*block) for block in zip(_CONVS[depth], channels, channels[1:])]
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(7), nn.Flatten(), *_head(hidden, classes, dropout)(channels[-1] * 49))

    def forward(self, x):
        for block in self.features:
            x = block(x)
        return self.head(x)


@wrong("vgg", hint="Modules stand in a plain list. PyTorch doesn't find their parameters in there, and an optimiser would never move "
                   "them: make it an `nn.ModuleList`, or an `nn.Sequential`.")
def vgg(depth, classes=1000, in_channels=3, width=64, hidden=4096, dropout=0.5):
    return _Listed(depth, classes, in_channels, width, hidden, dropout)


# --- cost ---

def _side(size, kernel, stride, padding):
    return (size + 2 * padding - kernel) // stride + 1


@wrong("cost", hint="`conv_cost`: the biases are parameters too: one for each output channel, where `bias` is true.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights, weights * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`conv_cost`: the biases are counted even with `bias=False`.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + out_channels, weights * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`conv_cost`: each weight is used once for each position of the *output*, whose side is ⌊(size + 2·padding − kernel)/stride⌋ + 1. The input's size is another number.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, weights * size**2


@wrong("cost", hint="`conv_cost`: the padding is missing from the output's size; it adds to both sides.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, weights * ((size - kernel) // stride + 1)**2


@wrong("cost", hint="`conv_cost`: the padding counts once only. It stands on both sides: size + 2·padding.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, weights * ((size + padding - kernel) // stride + 1)**2


@wrong("cost", hint="`conv_cost`: a window that would reach over the edge isn't used: round down, with `//`.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    side = math.ceil((size + 2 * padding - kernel) / stride) + 1
    return weights + bias * out_channels, weights * side**2


@wrong("cost", hint="`conv_cost`: the + 1 is missing: the first window costs no step. Outputs per side: (size + 2·padding − kernel)//stride + 1.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, weights * ((size + 2 * padding - kernel) // stride)**2


@wrong("cost", hint="`conv_cost`: a kernel has two sides: kernel², not kernel.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel
    return weights + bias * out_channels, weights * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`conv_cost`: in the number of parameters the kernel has one side only. There are kernel² weights for each pair of "
                    "channels, as you count them in the multiply-adds.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    pairs = in_channels * out_channels
    return pairs * kernel + bias * out_channels, pairs * kernel**2 * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`conv_cost`: a map of outputs has two sides: the number of positions is squared.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, weights * _side(size, kernel, stride, padding)


@wrong("cost", hint="`conv_cost`: this counts each multiplication and each addition, which is twice the number of multiply-adds.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, 2 * weights * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`conv_cost`: biases are added without a multiplication, and don't count among the multiply-adds here.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    parameters = in_channels * out_channels * kernel**2 + bias * out_channels
    return parameters, parameters * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`conv_cost`: each output channel has a kernel of its own for *each* input channel: in·out·kernel² weights.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = out_channels * kernel**2
    return weights + bias * out_channels, weights * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`receptive_field`: the strides are forgotten. After a stride of 2, a step of one output is two inputs wide, and so is what "
                    "each further layer adds.")
def receptive_field(layers):
    return 1 + sum(kernel - 1 for kernel, _ in layers)


@wrong("cost", hint="`receptive_field`: each layer's addition is multiplied by the strides of *all* layers before it, their product, not by one.")
def receptive_field(layers):
    field, before = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * before
        before = stride
    return field


@wrong("cost", hint="`receptive_field`: a layer's own stride moves its outputs apart, but doesn't widen what one of them sees: multiply after "
                    "adding.")
def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        jump *= stride
        field += (kernel - 1) * jump
    return field


@wrong("cost", hint="`receptive_field`: two 3×3 layers see 5×5, not 9×9 and not 6×6: each adds kernel − 1 to what is there, and it begins "
                    "with the single pixel itself.")
def receptive_field(layers):
    field, jump = 0, 1
    for kernel, stride in layers:
        field += kernel * jump
        jump *= stride
    return field


@wrong("cost", hint="`receptive_field`: the single pixel it begins with is missing: 1, not 0.")
def receptive_field(layers):
    field, jump = 0, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump *= stride
    return field


@wrong("cost", hint="`conv_cost`: the output's side isn't a whole number. Round the division down: `//`, not `/`.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights, side = in_channels * out_channels * kernel**2, (size + 2 * padding - kernel) / stride + 1
    return weights + bias * out_channels, weights * side**2


@wrong("cost", hint="`conv_cost`: the stride is missing from the output's size. With a stride of 2 there are about half as many positions a side.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, weights * (size + 2 * padding - kernel + 1)**2


@wrong("cost", hint="`conv_cost`: the + 1 stands inside the division. It comes after it: (size + 2·padding − kernel)//stride + 1.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * out_channels, weights * ((size + 2 * padding - kernel + 1) // stride)**2


@wrong("cost", hint="`conv_cost`: the two numbers have changed places: parameters first, then multiply-adds.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights * ((size + 2 * padding - kernel) // stride + 1)**2, weights + bias * out_channels


@wrong("cost", hint="`receptive_field`: f = (f − 1)·stride + kernel is right from the output back to the input. Go through `reversed(layers)`, or keep "
                    "the jump as well.")
def receptive_field(layers):
    field = 1
    for kernel, stride in layers:
        field = (field - 1) * stride + kernel
    return field


@wrong("cost", hint="`conv_cost`: there is a bias for each *output* channel; here they are counted by input channels.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights = in_channels * out_channels * kernel**2
    return weights + bias * in_channels, weights * _side(size, kernel, stride, padding)**2


@wrong("cost", hint="`conv_cost`: the numbers are right, but floats, and two ints are asked for. "
                    "`//` rounds down and gives an int; `np.floor` and `/` give floats.")
def conv_cost(in_channels, out_channels, kernel, size, stride=1, padding=0, bias=True):
    weights, side = in_channels * out_channels * kernel**2, float(_side(size, kernel, stride, padding))
    return weights + bias * out_channels, weights * side**2


@wrong("cost", hint="`receptive_field`: what a layer adds is multiplied by its own stride alone. Multiply by the product of the strides *before* it.")
def receptive_field(layers):
    field = 1
    for kernel, stride in layers:
        field += (kernel - 1) * stride
    return field


@wrong("cost", hint="`receptive_field`: each layer adds kernel·jump; it is (kernel − 1)·jump. Of k neighbours the first is seen already.")
def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += kernel * jump
        jump *= stride
    return field


@wrong("cost", hint="`receptive_field`: each layer adds kernel·jump − 1; it is (kernel − 1)·jump, with the brackets.")
def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += kernel * jump - 1
        jump *= stride
    return field


@wrong("cost", hint="`receptive_field`: the field itself is multiplied by the stride. The stride moves outputs apart: it multiplies the jump alone, and each "
                    "layer adds (kernel − 1)·jump.")
def receptive_field(layers):
    field = 1
    for kernel, stride in layers:
        field = (field + kernel - 1) * stride
    return field


@wrong("cost", hint="`receptive_field`: the jump grows by stride − 1. It is multiplied: two strides of 2 move outputs 4 pixels apart, not 3.")
def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump += stride - 1
    return field


@wrong("cost", hint="`receptive_field`: the stride is added to the jump. It multiplies it: a stride of 1 leaves the jump as it is.")
def receptive_field(layers):
    field, jump = 1, 1
    for kernel, stride in layers:
        field += (kernel - 1) * jump
        jump += stride
    return field


@wrong("cost", hint="`receptive_field`: a second call with the same list gives something else: the first has changed the list "
                    "(`pop` does). Loop over it and leave it whole.")
def receptive_field(layers):
    field, jump = 1, 1
    while layers:
        kernel, stride = layers.pop(0)
        field += (kernel - 1) * jump
        jump *= stride
    return field


# --- inception ---

def _conv(inputs, outputs, kernel, **options):
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, **options), nn.ReLU()


@wrong("inception", hint="The third branch ends in a 5×5 convolution with padding 2. Here it is 3×3, which is torchvision's known slip.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[2] = nn.Sequential(*_conv(in_channels, five[0], 1), *_conv(*five, 3))


@wrong("inception", hint="In place of the 5×5 convolution stand two of 3×3. That is a later version of the net (Inception v2).")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[2] = nn.Sequential(*_conv(in_channels, five[0], 1), *_conv(*five, 3), *_conv(five[1], five[1], 3))


@wrong("inception", hint="There is no ReLU in the block. One follows each convolution, also the 1×1 ones.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        for branch in self.branches:
            for place, layer in enumerate(branch):
                if isinstance(layer, nn.ReLU):
                    branch[place] = nn.Identity()


@wrong("inception", hint="The reductions have no ReLU: in the 3×3 and in the 5×5 branch the 1×1 convolution is followed by one too.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[1][1], self.branches[2][1] = nn.Identity(), nn.Identity()


@wrong("inception", hint="The pooling's 1×1 convolution has no ReLU after it.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[3][2] = nn.Identity()


@wrong("inception", hint="The branches are joined in another order. It is 1×1, 3×3, 5×5, pooling: the next layer's weights depend on it.")
class Inception(Inception):
    def forward(self, x):
        return torch.cat([branch(x) for branch in reversed(self.branches)], dim=1)


@wrong("inception", hint="The 3×3 and the 5×5 branch work on all input channels. A 1×1 convolution first brings these down to the first "
                         "number of the pair.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[1] = nn.Sequential(*_conv(in_channels, three[1], 3))
        self.branches[2] = nn.Sequential(*_conv(in_channels, five[1], 5))


@wrong("inception", hint="The fourth branch takes the maximum of each 3×3 window, not its mean.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[3][0] = nn.AvgPool2d(3, stride=1, padding=1)


@wrong("inception", hint="In the fourth branch the pooling comes first, and the 1×1 convolution after it.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[3] = nn.Sequential(*_conv(in_channels, pool, 1), nn.MaxPool2d(3, stride=1, padding=1))


@wrong("inception", hint="The paper's GoogLeNet has no batch norm (torchvision's has): plain convolutions with biases, and ReLU.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        conv = lambda inputs, outputs, kernel: (nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False),
                                                nn.BatchNorm2d(outputs, eps=0.001), nn.ReLU())
        self.branches = nn.ModuleList([
            nn.Sequential(*conv(in_channels, one, 1)), nn.Sequential(*conv(in_channels, three[0], 1), *conv(*three, 3)),
            nn.Sequential(*conv(in_channels, five[0], 1), *conv(*five, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), *conv(in_channels, pool, 1))])


@wrong("inception", hint="No ReLU follows the branches' last convolutions. One follows each convolution; at the end it may stand before or after "
                         "the joining.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        for branch in self.branches:
            branch[-1] = nn.Identity()


@wrong("inception", hint="The 3×3 branch's reduction has no ReLU. One follows each convolution, the 1×1 ones too.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[1][1] = nn.Identity()


@wrong("inception", hint="The 5×5 branch's reduction has no ReLU. One follows each convolution, the 1×1 ones too.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[2][1] = nn.Identity()


@wrong("inception", hint="The 5×5 branch is joined before the 3×3 one. The order is 1×1, 3×3, 5×5, pooling.")
class Inception(Inception):
    def forward(self, x):
        one, three, five, pool = (branch(x) for branch in self.branches)
        return torch.cat([one, five, three, pool], dim=1)


@wrong("inception", hint="The pooling's branch is joined first. It is the last: 1×1, 3×3, 5×5, pooling.")
class Inception(Inception):
    def forward(self, x):
        *others, pool = (branch(x) for branch in self.branches)
        return torch.cat([pool, *others], dim=1)


@wrong("inception", hint="The fourth branch has no pooling: a 3×3 max-pooling comes before its 1×1 convolution.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[3][0] = nn.Identity()


@wrong("inception", hint="The branches' outputs can't be joined. Each must keep height and width: padding 0, 1 and 2 for kernels of 1, 3 and 5, "
                         "and for the pooling `stride=1` (left out, it is 3) and `padding=1`. Channels are dimension 1.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[3][0] = nn.MaxPool2d(3, padding=1)


@wrong("inception", hint="The 5×5 convolution needs `padding=2`. Without it the maps of its branch are smaller than the others, and can't be joined to them.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[2][2] = nn.Conv2d(*five, 5)


@wrong("inception", hint="The branches are joined along the batch. Channels are dimension 1: `torch.cat(…, dim=1)`.")
class Inception(Inception):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], dim=0)


@wrong("inception", hint="A convolution doesn't get the channels it was made for. All four branches begin from the block's input, with `in_channels`; "
                         "behind their reductions the 3×3 takes `three[0]` channels and the 5×5 `five[0]`.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[3][1] = nn.Conv2d(one, pool, 1)


@wrong("inception", hint="The 5×5 convolution has wrong numbers of channels. It goes from `five[0]`, what its reduction gives, to `five[1]`.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[2][2] = nn.Conv2d(five[1], five[0], 5, padding=2)


@wrong("inception", hint="The 3×3 convolution has wrong numbers of channels. It goes from `three[0]`, what its reduction gives, to `three[1]`.")
class Inception(Inception):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__(in_channels, one, three, five, pool)
        self.branches[1][2] = nn.Conv2d(three[1], three[0], 3, padding=1)


@wrong("inception", hint="Modules stand in a plain list. PyTorch doesn't find their parameters in there, and an optimiser would never move "
                         "them: make it an `nn.ModuleList`, or an `nn.Sequential`.")
class Inception(nn.Module):
    def __init__(self, in_channels, one, three, five, pool):
        super().__init__()
        self.branch1 = nn.Sequential(*_conv(in_channels, one, 1))
        self.branch2 = nn.Sequential(*_conv(in_channels, three[0], 1), *_conv(*three, 3))
        self.branch3 = [*_conv(in_channels, five[0], 1), *_conv(*five, 5)]
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), *_conv(in_channels, pool, 1))

    def forward(self, x):
        third = x
        for layer in self.branch3:
            third = layer(third)
        return torch.cat([self.branch1(x), self.branch2(x), third, self.branch4(x)], dim=1)


@wrong("inception", hint="`Inception.forward` gives back nothing. Is a `return` missing?")
class Inception(Inception):
    def forward(self, x):
        torch.cat([branch(x) for branch in self.branches], dim=1)


# --- residual ---

def _norm_shortcut(in_channels, outputs, stride, kernel=1, bias=False):
    return nn.Sequential(nn.Conv2d(in_channels, outputs, kernel, stride, padding=kernel // 2, bias=bias), nn.BatchNorm2d(outputs))


@wrong("residual", hint="The convolutions have biases. The batch norm after each subtracts the mean, and any bias with it: `bias=False`.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[0] = nn.Conv2d(in_channels, channels, 3, stride, padding=1)
        self.main[3] = nn.Conv2d(channels, channels, 3, padding=1)
        if len(self.shortcut):
            self.shortcut = _norm_shortcut(in_channels, channels, stride, bias=True)


@wrong("residual", hint="The shortcut has its 1×1 convolution only where more channels come out than went in. Fewer are another shape too: `in_channels != channels`.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if stride == 1 and in_channels > channels:
            self.shortcut = nn.Sequential()


@wrong("residual", hint="No ReLU follows the addition.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        return self.main(x) + self.shortcut(x)


@wrong("residual", hint="The last ReLU comes before the addition, so that the block can only ever add to its input. Add first.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        return F.relu(self.main(x)) + self.shortcut(x)


@wrong("residual", hint="Nothing is added: the input goes through the two convolutions only. The shortcut skips nothing.",
       trains="a shortcut that skips nothing")
class BasicBlock(BasicBlock):
    def forward(self, x):
        return F.relu(self.main(x))


@wrong("residual", hint="The stride is on the second 3×3 convolution; it belongs on the first.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[0] = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
        self.main[3] = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)


@wrong("residual", hint="The 1×1 shortcut has no batch norm. (The block of *Dive into Deep Learning* has none either; the paper's has.)")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if len(self.shortcut):
            self.shortcut = nn.Conv2d(in_channels, channels, 1, stride, bias=False)


@wrong("residual", hint="There is a 1×1 convolution on the shortcut although the shape stays the same. There the input itself is added.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = _norm_shortcut(in_channels, channels, stride)


@wrong("residual", hint="The ReLU between the two convolutions is missing.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[2] = nn.Identity()


@wrong("residual", hint="The shortcut's convolution is 1×1, not 3×3.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if len(self.shortcut):
            self.shortcut = _norm_shortcut(in_channels, channels, stride, kernel=3)


@wrong("residual", hint="A ReLU stands on the shortcut. The shortcut carries the input on as it is, or through 1×1 and batch norm only.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        shortcut = self.shortcut(x)
        return F.relu(self.main(x) + (F.relu(shortcut) if len(self.shortcut) else shortcut))


@wrong("residual", hint="The input is added before the second batch norm. It is added after it.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        return F.relu(self.main[4](self.main[:4](x) + self.shortcut(x)))


@wrong("residual", hint="The shortcut drops pixels and fills up with zeros (the paper's option A). Here it is a 1×1 convolution and batch norm.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut, self.stride, self.more = nn.Identity(), stride, channels - in_channels

    def forward(self, x):
        return F.relu(self.main(x) + F.pad(x[:, :, ::self.stride, ::self.stride], (0, 0, 0, 0, 0, self.more)))


@wrong("residual", hint="The second batch norm is missing, or both places share one. Each convolution has one of its own after it.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[4] = self.main[1]


@wrong("residual", hint="The second batch norm is missing, or both places share one. One of its own follows each convolution.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[4] = nn.Identity()


@wrong("residual", hint="A ReLU follows the second batch norm, and another the addition. Only the second of them is right: add first.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        return F.relu(F.relu(self.main(x)) + self.shortcut(x))


@wrong("residual", hint="ReLU comes before the first batch norm. The order is convolution, batch norm, ReLU.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[1], self.main[2] = self.main[2], self.main[1]


@wrong("residual", hint="One batch norm is used in both places, and the other never. Each convolution is followed by its own.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        first, norm, relu, second, _ = self.main
        return F.relu(norm(second(relu(norm(first(x))))) + self.shortcut(x))


def _main_path(in_channels, channels, strides, padding=1, between=None):
    between = between or channels
    return nn.Sequential(nn.Conv2d(in_channels, channels, 3, strides[0], padding=padding, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
                         nn.Conv2d(between, channels, 3, strides[1], padding=padding, bias=False), nn.BatchNorm2d(channels))


@wrong("residual", hint="With equal channels and stride 1 the two paths don't come out in one shape, and can't be added. Both 3×3 convolutions need "
                        "`padding=1`, and no 1×1 has padding; both give `channels`; and nothing but the argument `stride` makes the image smaller.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main = _main_path(in_channels, channels, (stride, 1), padding=0)


@wrong("residual", hint="The two paths can't be added where the channels change and the stride is 1. When the stride isn't 1 *or* the channels differ, "
                        "the shortcut is a 1×1 convolution, without padding, from `in_channels` to `channels`. Both 3×3 convolutions have "
                        "`padding=1` and give `channels`.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = _norm_shortcut(in_channels, channels, stride) if stride != 1 and in_channels != channels else nn.Identity()


@wrong("residual", hint="When the stride isn't 1 *or* the channels differ, the shortcut is a 1×1 convolution, without padding, from `in_channels` to "
                        "`channels`.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = _norm_shortcut(in_channels, channels, stride) if stride != 1 else nn.Identity()


@wrong("residual", hint="A convolution doesn't get the channels it was made for where the channels change. The first 3×3 goes from `in_channels` to "
                        "`channels`, the second from `channels` to `channels`, and the shortcut's 1×1 begins from the block's input, with "
                        "`in_channels`.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main = _main_path(in_channels, channels, (stride, 1), between=in_channels)


@wrong("residual", hint="The two paths can't be added where the stride is 2 and the channels stay. The shortcut needs its 1×1 convolution there as "
                        "well, when the stride isn't 1 *or* the channels differ. It takes the stride too, and of the 3×3 only the first does.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = _norm_shortcut(in_channels, channels, stride) if in_channels != channels else nn.Identity()


@wrong("residual", hint="The stride is on both 3×3 convolutions. Only the first takes it, and the shortcut's 1×1.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main = _main_path(in_channels, channels, (stride, stride))


@wrong("residual", hint="It takes the stride too, and of the 3×3 only the first does.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = _norm_shortcut(in_channels, channels, 1) if len(self.shortcut) else nn.Identity()


@wrong("residual", hint="A tensor is changed in place that autograd still needs as it was; the input under another name is one. Write `y = y + x` "
                        "rather than `y += x`, and leave `inplace=True` out.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        shortcut = self.shortcut(x)
        shortcut += self.main(x)
        return F.relu(shortcut)


@wrong("residual", hint="The shortcut's 1×1 convolution is given what the main path has made. It begins from the block's input, `x`.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        y = self.main(x)
        return F.relu(y + (self.shortcut(y) if len(self.shortcut) else x))


@wrong("residual", hint="A batch norm doesn't get the channels it was made for. Each stands right after a convolution and has what that gives: all have "
                        "`channels`.")
class BasicBlock(BasicBlock):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[1] = nn.BatchNorm2d(in_channels)


@wrong("residual", hint="Where the shape changes, only the shortcut is left: `a + b if … else c` means `(a + b) if … else c`. Put brackets "
                        "around what is added.")
class BasicBlock(BasicBlock):
    def forward(self, x):
        y = self.main(x)
        return F.relu(self.shortcut(x) if len(self.shortcut) else y + x)


# --- variants ---

@wrong("variants", hint="`Bottleneck`: the stride is on the first 1×1 convolution, as in the paper. Here the 3×3 takes it, "
                        "which looks at all pixels.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[0] = nn.Conv2d(in_channels, channels, 1, stride, bias=False)
        self.main[3] = nn.Conv2d(channels, channels, 3, padding=1, bias=False)


@wrong("variants", hint="`Bottleneck`: no ReLU follows the addition.")
class Bottleneck(Bottleneck):
    def forward(self, x):
        return self.main(x) + self.shortcut(x)


@wrong("variants", hint="`Bottleneck`: the ReLU after the third batch norm comes before the addition; it belongs after it.")
class Bottleneck(Bottleneck):
    def forward(self, x):
        return F.relu(self.main(x)) + self.shortcut(x)


@wrong("variants", hint="`Bottleneck`: the block gives `channels` channels. The last 1×1 widens them to 4·channels.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[6], self.main[7] = nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential() if in_channels == channels and stride == 1 else _norm_shortcut(in_channels, channels, stride)


@wrong("variants", hint="`Bottleneck`: the 3×3 convolution works on 4·channels. The point of a bottleneck is that it works on `channels`.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        outputs = 4 * channels
        self.main[3], self.main[4] = nn.Conv2d(channels, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs)
        self.main[6] = nn.Conv2d(outputs, outputs, 1, bias=False)


@wrong("variants", hint="`Bottleneck`: the ReLU after the second batch norm is missing.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[5] = nn.Identity()


@wrong("variants", hint="`Bottleneck`: the shortcut's 1×1 convolution has no batch norm.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if len(self.shortcut):
            self.shortcut = nn.Conv2d(in_channels, 4 * channels, 1, stride, bias=False)


@wrong("variants", hint="`PreActivation`: a ReLU follows the addition. Here nothing does: the sum goes on as it is, from block to block.")
class PreActivation(PreActivation):
    def forward(self, x):
        return F.relu(super().forward(x))


@wrong("variants", hint="`PreActivation`: where the shape changes, the 1×1 shortcut takes what comes out of the first batch norm and ReLU, not "
                        "the block's input.")
class PreActivation(PreActivation):
    def forward(self, x):
        return self.main(self.first(x)) + (x if self.shortcut is None else self.shortcut(x))


@wrong("variants", hint="`PreActivation`: where the shape stays, the input itself is added, not what comes out of the first batch norm and ReLU.")
class PreActivation(PreActivation):
    def forward(self, x):
        active = self.first(x)
        return self.main(active) + (active if self.shortcut is None else self.shortcut(active))


@wrong("variants", hint="`PreActivation`: this is the ordinary order, with batch norm after each convolution. Here it stands before.")
class PreActivation(nn.Module):
    expansion = 1

    def __init__(self, in_channels, channels, stride=1):
        super().__init__()
        self.main = nn.Sequential(nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
                                  nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        same = stride == 1 and in_channels == channels
        self.shortcut = nn.Sequential() if same else nn.Conv2d(in_channels, channels, 1, stride, bias=False)

    def forward(self, x):
        return self.main(x) + self.shortcut(x)


@wrong("variants", hint="`PreActivation`: the shortcut's 1×1 convolution stands alone; here a batch norm follows it.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if self.shortcut is not None:
            self.shortcut = _norm_shortcut(in_channels, channels, stride)


@wrong("variants", hint="`PreActivation`: the ReLU before the second convolution is missing.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[2] = nn.Identity()


@wrong("variants", hint="`Bottleneck`: the convolutions have biases. Batch norm takes them away again: `bias=False`.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[0] = nn.Conv2d(in_channels, channels, 1)
        self.main[3] = nn.Conv2d(channels, channels, 3, stride, padding=1)
        self.main[6] = nn.Conv2d(channels, 4 * channels, 1)
        if len(self.shortcut):
            self.shortcut = _norm_shortcut(in_channels, 4 * channels, stride, bias=True)


@wrong("variants", hint="`Bottleneck`: the shortcut has a 1×1 convolution although the shape stays. The block gives 4·channels: compare `in_channels` "
                        "with that.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = _norm_shortcut(in_channels, 4 * channels, stride)


@wrong("variants", hint="`PreActivation`: the first ReLU is missing. Batch norm *and* ReLU stand before each convolution.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.first[1] = nn.Identity()


@wrong("variants", hint="`Bottleneck.expansion` is 4: four times `channels` come out, and the next block has to know.")
class Bottleneck(Bottleneck):
    expansion = 1


@wrong("variants", hint="`Bottleneck`: the ReLU after the first batch norm is missing.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[2] = nn.Identity()


@wrong("variants", hint="`Bottleneck`: a ReLU follows the third batch norm, and another the addition. Only the second of them is right: add first.")
class Bottleneck(Bottleneck):
    def forward(self, x):
        return F.relu(F.relu(self.main(x)) + self.shortcut(x))


@wrong("variants", hint="`Bottleneck`: the two paths can't be added where the channels change and the stride is 1. Both give 4·channels; the 3×3 has "
                        "`padding=1`, and no 1×1 has padding. When the stride isn't 1 *or* `in_channels` isn't 4·channels, the shortcut is a "
                        "1×1 convolution.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = nn.Sequential()
        if stride != 1 and in_channels != 4 * channels:
            self.shortcut = _norm_shortcut(in_channels, 4 * channels, stride)


@wrong("variants", hint="`Bottleneck`: the 3×3 convolution needs `padding=1`. Without it the main path comes out smaller than the shortcut.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[3] = nn.Conv2d(channels, channels, 3, stride, bias=False)


@wrong("variants", hint="`Bottleneck`: the shortcut gives `channels`. It has to give 4·channels, as the main path does.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if len(self.shortcut):
            self.shortcut = _norm_shortcut(in_channels, channels, stride)


@wrong("variants", hint="`Bottleneck`: the two paths can't be added where the stride is 2 and the channels stay. The shortcut needs its 1×1 convolution "
                        "there as well, and it takes the stride, as the 3×3 does and no other.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.shortcut = _norm_shortcut(in_channels, 4 * channels, stride) if in_channels != 4 * channels else nn.Identity()


@wrong("variants", hint="`PreActivation`: ReLU comes before the first batch norm. The order is batch norm, ReLU, convolution.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.first = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(in_channels))


@wrong("variants", hint="`PreActivation`: the main path ends in a ReLU before the sum, so that the block can only ever add. Nothing follows the "
                        "second convolution.")
class PreActivation(PreActivation):
    def forward(self, x):
        active = self.first(x)
        return F.relu(self.main(active)) + (x if self.shortcut is None else self.shortcut(active))


@wrong("variants", hint="`PreActivation`: the first batch norm is computed twice, once for each path. In train mode each call moves its running "
                        "statistics, and so eval mode differs. Compute it once and keep the result.")
class PreActivation(PreActivation):
    def forward(self, x):
        return self.main(self.first(x)) + (x if self.shortcut is None else self.shortcut(self.first(x)))


@wrong("variants", hint="`PreActivation`: with equal channels and stride 1 the two paths don't come out in one shape, and can't be added. Both 3×3 "
                        "convolutions need `padding=1`, and no 1×1 has padding; both give `channels`; and nothing but the argument `stride` makes "
                        "the image smaller.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[0] = nn.Conv2d(in_channels, channels, 3, stride, bias=False)
        self.main[3] = nn.Conv2d(channels, channels, 3, bias=False)


@wrong("variants", hint="`PreActivation`: a batch norm doesn't get the channels it was made for. Each stands before a convolution and has what that "
                        "takes: the first `in_channels`, the second `channels`.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.first[0] = nn.BatchNorm2d(channels)


@wrong("variants", hint="`PreActivation`: the two paths can't be added where the channels change and the stride is 1. When the stride isn't 1 *or* the "
                        "channels differ, the shortcut is a 1×1 convolution, without padding, from `in_channels` to `channels`. Both 3×3 "
                        "convolutions have `padding=1` and give `channels`.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if stride == 1 or in_channels == channels:
            self.shortcut = None


@wrong("variants", hint="When the stride isn't 1 *or* the channels differ, the shortcut is a 1×1 convolution, without padding, from `in_channels` to "
                        "`channels`.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if stride == 1:
            self.shortcut = None


@wrong("variants", hint="`PreActivation`: the two paths can't be added where the stride is 2 and the channels stay. The shortcut needs its 1×1 convolution "
                        "there as well, and it takes the stride, as the first 3×3 does and not the second.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        if in_channels == channels:
            self.shortcut = None


@wrong("variants", hint="`Bottleneck`: a convolution doesn't get the channels it was made for. The main path goes 1×1 from `in_channels` to `channels`, 3×3 "
                        "from `channels` to `channels`, 1×1 from `channels` to 4·channels; the shortcut goes from the block's input, with "
                        "`in_channels`, to 4·channels.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[3] = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)


@wrong("variants", hint="`Bottleneck`: a batch norm doesn't get the channels it was made for. Each stands right after a convolution and has what that gives: "
                        "`channels`, `channels`, 4·channels, and 4·channels on the shortcut.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[7] = nn.BatchNorm2d(channels)


@wrong("variants", hint="`Bottleneck`: the second ReLU comes before its batch norm. The order is convolution, batch norm, ReLU.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[4], self.main[5] = self.main[5], self.main[4]


@wrong("variants", hint="`Bottleneck`: the first ReLU comes before its batch norm. The order is convolution, batch norm, ReLU.")
class Bottleneck(Bottleneck):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[1], self.main[2] = self.main[2], self.main[1]


@wrong("variants", hint="`PreActivation`: the second ReLU comes before its batch norm. The order is batch norm, ReLU, convolution.")
class PreActivation(PreActivation):
    def __init__(self, in_channels, channels, stride=1):
        super().__init__(in_channels, channels, stride)
        self.main[1], self.main[2] = self.main[2], self.main[1]


@wrong("variants", hint="`PreActivation`: the modules are made in the right order and called in the ordinary one, convolutions first. "
                        "Batch norm and ReLU come before each convolution, in `forward` too.")
class PreActivation(PreActivation):
    def forward(self, x):
        (norm1, _), (conv1, norm2, _, conv2) = self.first, self.main
        y = norm2(conv2(F.relu(norm1(conv1(x)))))
        return y + (x if self.shortcut is None else self.shortcut(x))


@wrong("variants", hint="`PreActivation`: convolution, batch norm, ReLU, twice, and then the addition: this is the ordinary order. Here batch "
                        "norm and ReLU come before each convolution, in `forward` too.")
class PreActivation(PreActivation):
    def forward(self, x):
        (norm1, _), (conv1, norm2, _, conv2) = self.first, self.main
        y = F.relu(norm2(conv2(F.relu(norm1(conv1(x))))))
        return y + (x if self.shortcut is None else self.shortcut(x))


@wrong("variants", hint="`PreActivation`: `forward` is BasicBlock's, convolutions first and a ReLU after the addition. Here batch norm and "
                        "ReLU come before each convolution, and nothing after the addition.")
class PreActivation(PreActivation):
    def forward(self, x):
        (norm1, _), (conv1, norm2, _, conv2) = self.first, self.main
        y = norm2(conv2(F.relu(norm1(conv1(x)))))
        return F.relu(y + (x if self.shortcut is None else self.shortcut(x)))


# --- resnet ---

@wrong("resnet", hint="The stem for small images still has its max-pooling: 32×32 images would reach the first block at half their size.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.stem[3] = nn.MaxPool2d(3, stride=2, padding=1)


@wrong("resnet", hint="The stem for small images is 3×3 with stride 1. Here it has stride 2.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if small_images:
            self.stem[0] = nn.Conv2d(in_channels, width, 3, 2, padding=1, bias=False)


@wrong("resnet", hint="The stem's convolution has a bias, in front of a batch norm that takes it away again.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        kernel, stride = (3, 1) if small_images else (7, 2)
        self.stem[0] = nn.Conv2d(in_channels, width, kernel, stride, padding=kernel // 2)


@wrong("resnet", hint="The stem's ReLU is missing.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.stem[2] = nn.Identity()


@wrong("resnet", hint="The stem for large images has no ReLU between batch norm and max-pooling; the one for small images has.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if not small_images:
            self.stem[2] = nn.Identity()


@wrong("resnet", hint="The stem's 3×3 pooling needs padding 1, or it loses a row and a column.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if not small_images:
            self.stem[3] = nn.MaxPool2d(3, stride=2)


def _stages(block, counts, width, stride_of, channels_of=lambda stage: 2**stage):
    stages, now = [], width
    for stage, count in enumerate(counts):
        for number in range(count):
            stages.append(block(now, width * channels_of(stage), stride_of(stage, number)))
            now = width * channels_of(stage) * block.expansion
    return nn.Sequential(*stages), now


@wrong("resnet", hint="The first stage begins with stride 2. The stem has reduced the size already; only the later stages halve it.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.stages, _ = _stages(block, counts, width, lambda stage, number: 1 if number else 2)


@wrong("resnet", hint="Every block of a stage has stride 2. Only the first of a stage halves the size; the others keep it.",
       trains="stride 2 in every block of a stage")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.stages, _ = _stages(block, counts, width, lambda stage, number: 2 if stage else 1)


@wrong("resnet", hint="All stages have the same number of channels. It doubles from stage to stage.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.stages, now = _stages(block, counts, width, lambda stage, number: 2 if stage and not number else 1, lambda stage: 1)
        self.head[2] = nn.Linear(now, classes)


@wrong("resnet", hint="The head takes the maximum over all positions. It is the mean: `nn.AdaptiveAvgPool2d(1)`.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.head[0] = nn.AdaptiveMaxPool2d(1)


@wrong("resnet", hint="The net ends in a softmax. It should give logits; the loss takes the softmax itself.")
class ResNet(ResNet):
    def forward(self, x):
        return super().forward(x).softmax(1)


@wrong("resnet", hint="`zero_init` doesn't set the weight of the last batch norm of each residual block to 0: look at which parameter it sets, if any.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, False)


@wrong("resnet", hint="`zero_init` sets every batch norm's weight to 0, and nothing gets through any more. Only the last of each block, before "
                      "the addition, begins at 0.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if zero_init:
            for module in self.modules():
                if isinstance(module, nn.BatchNorm2d):
                    nn.init.zeros_(module.weight)


@wrong("resnet", hint="`zero_init` sets the shortcut's batch norm to 0 as well. The shortcut is what should get through at the beginning.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        for each in self.stages:
            if zero_init and getattr(each, "shortcut", None) and len(each.shortcut):
                nn.init.zeros_(each.shortcut[-1].weight)


@wrong("resnet", hint="`zero_init` sets the first batch norm of each block to 0. It is the last, in front of the addition.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, False)
        for each in self.stages:
            if zero_init:
                nn.init.zeros_(each.main[1].weight)


@wrong("resnet", hint="ResNet-18 has two blocks in each of its four stages; (3, 4, 6, 3) makes a ResNet-34.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    block = Bottleneck if depth == 50 else BasicBlock
    return ResNet(block, (3, 4, 6, 3), classes, in_channels, width, small_images, zero_init)


@wrong("resnet", hint="ResNet-50 is made of bottlenecks. With basic blocks, (3, 4, 6, 3) is ResNet-34.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    return ResNet(BasicBlock, (2, 2, 2, 2) if depth == 18 else (3, 4, 6, 3), classes, in_channels, width, small_images, zero_init)


@wrong("resnet", hint="`small_images` isn't used, or is turned round: in yours, the stem for small images is the large one, 7×7 with stride 2.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, False, zero_init)


@wrong("resnet", hint="The stem for large images has no max-pooling.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.stem[3] = nn.Identity()


@wrong("resnet", hint="No stage halves the size. The first block of each stage but the first has stride 2.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        stages, now = [], width
        for stage, count in enumerate(counts):
            for _ in range(count):
                stages.append(block(now, width * 2**stage))
                now = width * 2**stage * block.expansion
        self.stages = nn.Sequential(*stages)


@wrong("resnet", hint="The stride of 2 is on the last block of a stage. It belongs on the first, where the channels change too.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        stages, now = [], width
        for stage, count in enumerate(counts):
            for number in range(count):
                stages.append(block(now, width * 2**stage, 2 if stage and number == count - 1 else 1))
                now = width * 2**stage * block.expansion
        self.stages = nn.Sequential(*stages)


@wrong("resnet", hint="`resnet` has to hand `small_images` and `zero_init` on to `ResNet`.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    block, counts = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)), 50: (Bottleneck, (3, 4, 6, 3))}[depth]
    return ResNet(block, counts, classes, in_channels, width)


@wrong("resnet", hint="`resnet` has to hand `zero_init` on to `ResNet`.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    block, counts = {18: (BasicBlock, (2, 2, 2, 2)), 34: (BasicBlock, (3, 4, 6, 3)), 50: (Bottleneck, (3, 4, 6, 3))}[depth]
    return ResNet(block, counts, classes, in_channels, width, small_images)


@wrong("resnet", hint="`zero_init` sets the second batch norm of a bottleneck to 0. The last one before the addition is meant: behind the "
                      "second stands a ReLU, which passes no gradient at 0, so that the block would never begin to learn.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init and block is BasicBlock)
        if zero_init and block is Bottleneck:
            for each in self.stages:
                nn.init.zeros_(each.main[4].weight)


@wrong("resnet", hint="`zero_init` is for BasicBlock and Bottleneck. PreActivation has no batch norm before its addition, and its inner ones stay as they are.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if zero_init and block is PreActivation:
            for each in self.stages:
                nn.init.zeros_(each.main[1].weight)


@wrong("resnet", hint="The head adds the positions up. It is their mean: `nn.AdaptiveAvgPool2d(1)`, or `.mean((2, 3))`.")
class ResNet(ResNet):
    def forward(self, x):
        return self.head[2](self.stages(self.stem(x)).sum((2, 3)))


@wrong("resnet", hint="The stem's max-pooling is 2×2. It is 3×3 with stride 2 and padding 1, so that its windows overlap.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if not small_images:
            self.stem[3] = nn.MaxPool2d(2)


@wrong("resnet", hint="The stem's max-pooling rounds up (`ceil_mode`). Here it has padding 1 on all sides.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if not small_images:
            self.stem[3] = nn.MaxPool2d(3, stride=2, ceil_mode=True)


@wrong("resnet", hint="The stem's 7×7 convolution has padding 2. It needs 3, half of the kernel: with 2 a 224×224 image comes out as 111×111.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if not small_images:
            self.stem[0] = nn.Conv2d(in_channels, width, 7, 2, padding=2, bias=False)


@wrong("resnet", hint="The stem's 7×7 convolution has padding 1. It needs 3, half of the kernel.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if not small_images:
            self.stem[0] = nn.Conv2d(in_channels, width, 7, 2, padding=1, bias=False)


@wrong("resnet", hint="The stem's 7×7 convolution has no padding. It needs `padding=3`, half of the kernel.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if not small_images:
            self.stem[0] = nn.Conv2d(in_channels, width, 7, 2, bias=False)


@wrong("resnet", hint="The stem for small images has no padding, and loses a pixel on each side: `padding=1`.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        if small_images:
            self.stem[0] = nn.Conv2d(in_channels, width, 3, bias=False)


@wrong("resnet", hint="With bottlenecks the channels don't fit. A block gives `block.expansion` times its `channels`: that is what the next block "
                      "gets, and at the end the linear layer.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        stages, now = [], width
        for stage, count in enumerate(counts):
            for number in range(count):
                stages.append(block(now, width * 2**stage, 2 if stage and not number else 1))
                now = width * 2**stage
        self.stages, self.head[2] = nn.Sequential(*stages), nn.Linear(now, classes)


@wrong("resnet", hint="With bottlenecks the linear layer doesn't fit. It takes what the last block gives, `width * 2**stage * block.expansion`, with the "
                      "last stage's number, counted from 0.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, zero_init)
        self.head[2] = nn.Linear(width * 2**(len(counts) - 1), classes)


@wrong("resnet", hint="Without `zero_init` no batch norm's weight begins at 0; in yours some do. Set them only `if zero_init:`.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, True)


@wrong("resnet", hint="`zero_init` sets a block's last batch norm to 0, counted with the shortcut's: where there is a 1×1 shortcut it hits the "
                      "one behind that. Take the last of the main path.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, False)
        for each in self.stages:
            if zero_init:
                nn.init.zeros_([module for module in each.modules() if isinstance(module, nn.BatchNorm2d)][-1].weight)


@wrong("resnet", hint="`zero_init` sets every batch norm of a block to 0, and the shortcut's with them. Only the last of the main path, before "
                      "the addition, begins at 0.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, False)
        for module in self.stages.modules():
            if zero_init and isinstance(module, nn.BatchNorm2d):
                nn.init.zeros_(module.weight)


@wrong("resnet", hint="`zero_init` sets all batch norms of the main path to 0. Only the last, before the addition, begins at 0.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, False)
        for each in self.stages:
            for module in each.main:
                if zero_init and isinstance(module, nn.BatchNorm2d):
                    nn.init.zeros_(module.weight)


@wrong("resnet", hint="`zero_init` sets the last convolution's weight to 0. It is the batch norm's after it: behind zeros that one divides by "
                      "√ε, so that the convolution's first gradient comes out some 300 times too large.")
class ResNet(ResNet):
    def __init__(self, block, counts, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
        super().__init__(block, counts, classes, in_channels, width, small_images, False)
        if zero_init and block is not PreActivation:
            for each in self.stages:
                nn.init.zeros_(each.main[-2].weight)


@wrong("resnet", hint="`resnet(34, …)` doesn't hand `small_images` on to `ResNet`, as `resnet(18, …)` does. All depths take all arguments.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    if depth == 18:
        return ResNet(BasicBlock, (2, 2, 2, 2), classes, in_channels, width, small_images, zero_init)
    return ResNet({34: BasicBlock, 50: Bottleneck}[depth], (3, 4, 6, 3), classes, in_channels, width)


@wrong("resnet", hint="`resnet(50, …)` doesn't hand `small_images` on to `ResNet`, as the other depths do. All take all arguments.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    if depth == 50:
        return ResNet(Bottleneck, (3, 4, 6, 3), classes, in_channels, width)
    return ResNet(BasicBlock, {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}[depth], classes, in_channels, width, small_images, zero_init)


@wrong("resnet", hint="`resnet(34, …)` doesn't hand `zero_init` on to `ResNet`, as `resnet(18, …)` does. All depths take all arguments.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    if depth == 18:
        return ResNet(BasicBlock, (2, 2, 2, 2), classes, in_channels, width, small_images, zero_init)
    return ResNet({34: BasicBlock, 50: Bottleneck}[depth], (3, 4, 6, 3), classes, in_channels, width, small_images)


@wrong("resnet", hint="`resnet(50, …)` doesn't hand `zero_init` on to `ResNet`, as the other depths do. All take all arguments.")
def resnet(depth, classes=1000, in_channels=3, width=64, small_images=False, zero_init=False):
    if depth == 50:
        return ResNet(Bottleneck, (3, 4, 6, 3), classes, in_channels, width, small_images)
    return ResNet(BasicBlock, {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}[depth], classes, in_channels, width, small_images, zero_init)


# --- augmentation ---

def _windows(images, top, left, flip, padding, mode="constant"):
    padded, (height, width) = F.pad(images, [padding] * 4, mode=mode), images.shape[2:]
    windows = [image[:, y:y + height, x:x + width] for image, y, x in zip(padded, top.tolist(), left.tolist())]
    return torch.stack([window.flip(2) if mirrored else window for window, mirrored in zip(windows, flip.tolist())])


@wrong("augmentation", hint="`crop_and_flip`: `top` counts rows and `left` columns; here they have changed places.")
def crop_and_flip(images, top, left, flip, padding=4):
    return _windows(images, left, top, flip, padding)


@wrong("augmentation", hint="`crop_and_flip`: this turns images upside down. Mirror left to right, along the last dimension.")
def crop_and_flip(images, top, left, flip, padding=4):
    windows = _windows(images, top, left, torch.zeros_like(flip), padding)
    return torch.where(flip[:, None, None, None], windows.flip(2), windows)


@wrong("augmentation", hint="`crop_and_flip`: the image is mirrored before the window is cut out, so that the window lies elsewhere. Cut first.")
def crop_and_flip(images, top, left, flip, padding=4):
    mirrored = torch.where(flip[:, None, None, None], images.flip(3), images)
    return _windows(mirrored, top, left, torch.zeros_like(flip), padding)


@wrong("augmentation", hint="`crop_and_flip`: all images are cut at the first one's place. Each has a window of its own.")
def crop_and_flip(images, top, left, flip, padding=4):
    return _windows(images, top[:1].expand(len(images)), left[:1].expand(len(images)), flip, padding)


@wrong("augmentation", hint="`crop_and_flip`: the images that `flip` doesn't name are the ones that are mirrored.")
def crop_and_flip(images, top, left, flip, padding=4):
    return _windows(images, top, left, ~flip, padding)


@wrong("augmentation", hint="`crop_and_flip`: nothing is mirrored.")
def crop_and_flip(images, top, left, flip, padding=4):
    return _windows(images, top, left, torch.zeros_like(flip), padding)


@wrong("augmentation", hint="`crop_and_flip`: all windows are mirrored. `flip` says which.")
def crop_and_flip(images, top, left, flip, padding=4):
    return _windows(images, top, left, torch.ones_like(flip), padding)


@wrong("augmentation", hint="`crop_and_flip`: with `padding` = 0 the slice `padding:-padding` is empty. End it at padding + the side, or "
                            "let `F.pad` put the zeros around.")
def crop_and_flip(images, top, left, flip, padding=4):
    n, channels, height, width = images.shape
    padded = images.new_zeros(n, channels, height + 2 * padding, width + 2 * padding)
    padded[:, :, padding:-padding, padding:-padding] = images
    return torch.stack([
        image[:, y:y + height, x:x + width].flip(2) if mirrored else image[:, y:y + height, x:x + width]
        for image, y, x, mirrored in zip(padded, top.tolist(), left.tolist(), flip.tolist())])


@wrong("augmentation", hint="`crop_and_flip`: the border repeats the image's own edge. It should be zeros.")
def crop_and_flip(images, top, left, flip, padding=4):
    return _windows(images, top, left, flip, padding, "replicate")


@wrong("augmentation", hint="`crop_and_flip`: what leaves on one side comes back on the other: `torch.roll` isn't a crop. Pad with zeros and cut.")
def crop_and_flip(images, top, left, flip, padding=4):
    rolled = [torch.roll(image, (padding - y, padding - x), (1, 2)) for image, y, x in zip(images, top.tolist(), left.tolist())]
    return torch.stack([image.flip(2) if mirrored else image for image, mirrored in zip(rolled, flip.tolist())])


def _hole(images, y, x, before, after):
    rows, columns = torch.arange(images.shape[2]), torch.arange(images.shape[3])
    in_rows = (rows >= y[:, None] - before) & (rows < y[:, None] + after)
    in_columns = (columns >= x[:, None] - before) & (columns < x[:, None] + after)
    return in_rows[:, None, :, None] & in_columns[:, None, None, :]


@wrong("augmentation", hint="`cutout`: y is the row and x the column of the centre; here they have changed places.")
def cutout(images, y, x, size):
    return images.masked_fill(_hole(images, x, y, size // 2, size // 2), 0)


@wrong("augmentation", hint="`cutout`: (y, x) is the square's centre, not its upper left corner.")
def cutout(images, y, x, size):
    return images.masked_fill(_hole(images, y, x, 0, size), 0)


@wrong("augmentation", hint="`cutout`: the square is one row and one column too large. With the centre at y, the last row is y + size/2 − 1.")
def cutout(images, y, x, size):
    return images.masked_fill(_hole(images, y, x, size // 2, size // 2 + 1), 0)


@wrong("augmentation", hint="`cutout`: `size` is the square's whole side, not half of it.")
def cutout(images, y, x, size):
    return images.masked_fill(_hole(images, y, x, size, size), 0)


@wrong("augmentation", hint="`cutout`: every image has the first one's hole. Each has its own.")
def cutout(images, y, x, size):
    return images.masked_fill(_hole(images, y[:1], x[:1], size // 2, size // 2), 0)


@wrong("augmentation", hint="`cutout`: a slice that begins below 0 counts from the image's end, and comes out empty. Begin at `max(0, …)`.")
def cutout(images, y, x, size):
    images, half = images.clone(), size // 2
    for image, row, column in zip(images, y.tolist(), x.tolist()):
        image[:, row - half:row + half, column - half:column + half] = 0
    return images


@wrong("augmentation", hint="`cutout`: the images that were handed in are changed. Write into a copy: the next epoch needs them whole.")
def cutout(images, y, x, size):
    images[_hole(images, y, x, size // 2, size // 2).expand_as(images)] = 0
    return images


@wrong("augmentation", hint="`crop_and_flip`: the argument `padding` isn't used: 4 zeros are put around whatever it says.")
def crop_and_flip(images, top, left, flip, padding=4):
    padded, (height, width) = F.pad(images, [4] * 4), images.shape[2:]
    windows = torch.stack([image[:, y:y + height, x:x + width] for image, y, x in zip(padded, top.tolist(), left.tolist())])
    return torch.where(flip[:, None, None, None], windows.flip(3), windows)


@wrong("augmentation", hint="`cutout`: the square is one row and one column too small. It begins at y − size/2 itself, not one after it.")
def cutout(images, y, x, size):
    rows, columns, half = torch.arange(images.shape[2]), torch.arange(images.shape[3]), size // 2
    hole = ((rows - y[:, None]).abs() < half)[:, None, :, None] & ((columns - x[:, None]).abs() < half)[:, None, None, :]
    return images.masked_fill(hole, 0)


@wrong("augmentation", hint="`cutout`: at the lower and right edge a row or column is spared. A slice leaves its end out already: end at the side itself, not at "
                            "the side − 1.")
def cutout(images, y, x, size):
    images, half, (height, width) = images.clone(), size // 2, images.shape[2:]
    for image, row, column in zip(images, y.tolist(), x.tolist()):
        image[:, max(0, row - half):min(height - 1, row + half), max(0, column - half):min(width - 1, column + half)] = 0
    return images


@wrong("augmentation", hint="`crop_and_flip`: the border mirrors the image. It should be zeros: `F.pad` without a mode.")
def crop_and_flip(images, top, left, flip, padding=4):
    return _windows(images, top, left, flip, padding, "reflect")


@wrong("augmentation", hint="`crop_and_flip`: the images are turned by 180°, mirrored on both axes. Mirror left to right only, along the last "
                            "dimension.")
def crop_and_flip(images, top, left, flip, padding=4):
    windows = _windows(images, top, left, torch.zeros_like(flip), padding)
    return torch.where(flip[:, None, None, None], windows.flip(2, 3), windows)


@wrong("augmentation", hint="`cutout`: a cross of whole rows and columns is blanked. A pixel of the square is in its rows *and* in its columns: "
                            "`&`, not `|`.")
def cutout(images, y, x, size):
    rows, columns = torch.arange(images.shape[2]), torch.arange(images.shape[3])
    in_rows = (rows >= y[:, None] - size // 2) & (rows < y[:, None] + size // 2)
    in_columns = (columns >= x[:, None] - size // 2) & (columns < x[:, None] + size // 2)
    return images.masked_fill(in_rows[:, None, :, None] | in_columns[:, None, None, :], 0)


@wrong("augmentation", hint="`cutout`: only the first channel is blanked. The square is cut out of all of them.")
def cutout(images, y, x, size):
    hole = _hole(images, y, x, size // 2, size // 2)
    return torch.cat([images[:, :1].masked_fill(hole, 0), images[:, 1:]], dim=1)


@wrong("augmentation", hint="`cutout`: the square lies one row and one column too far down and right. It begins at y − size/2, that row included.")
def cutout(images, y, x, size):
    return images.masked_fill(_hole(images, y, x, size // 2 - 1, size // 2 + 1), 0)


@wrong("augmentation", hint="`cutout`: the square lies one row and one column too far up and left. It begins at y − size/2 and ends at y + size/2 "
                            "− 1.")
def cutout(images, y, x, size):
    return images.masked_fill(_hole(images, y, x, size // 2 + 1, size // 2 - 1), 0)


@wrong("augmentation", hint="`cutout`: near the edge the square is pushed inside. It stays where it is; what lies outside the image is lost.")
def cutout(images, y, x, size):
    half, (height, width) = size // 2, images.shape[2:]
    return images.masked_fill(_hole(images, y.clamp(half, height - half), x.clamp(half, width - half), half, half), 0)


# --- recipe ---

@wrong("recipe", hint="`smoothed_cross_entropy`: the smoothing is spread over the K − 1 wrong classes. The uniform distribution gives the right "
                      "one its share too: smoothing/K for each of the K.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    log_p, classes = F.log_softmax(logits, dim=1), logits.shape[1]
    right = log_p.gather(1, labels[:, None]).squeeze(1)
    return -((1 - smoothing) * right + smoothing * (log_p.sum(1) - right) / (classes - 1)).mean()


@wrong("recipe", hint="`smoothed_cross_entropy`: the uniform part is added without taking anything from the right class. Its weight is "
                      "1 − smoothing, so that the targets still sum to 1.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    return F.cross_entropy(logits, labels) - smoothing * F.log_softmax(logits, dim=1).mean()


@wrong("recipe", hint="`smoothed_cross_entropy`: every class gets the whole smoothing. It is divided among the K classes.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    log_p = F.log_softmax(logits, dim=1)
    return -((1 - smoothing) * log_p.gather(1, labels[:, None]).squeeze(1) + smoothing * log_p.sum(1)).mean()


@wrong("recipe", hint="`smoothed_cross_entropy`: the batch's losses are summed. Take their mean, so that the rate means the same for each batch size.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")


@wrong("recipe", hint="`smoothed_cross_entropy`: the softmax is taken twice: `F.cross_entropy` takes it itself, of logits.",
       trains="softmax before the loss")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    return F.cross_entropy(logits.softmax(1), labels, label_smoothing=smoothing)


@wrong("recipe", hint="`smoothed_cross_entropy`: `smoothing` isn't used.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    return F.cross_entropy(logits, labels)


@wrong("recipe", hint="`smoothed_cross_entropy`: smoothing and 1 − smoothing have changed places.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    return F.cross_entropy(logits, labels, label_smoothing=1 - smoothing)


@wrong("recipe", hint="`learning_rate`: the first step has the rate 0 and learns nothing. In step 0 it is peak·1/warmup.")
def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * step / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


@wrong("recipe", hint="`learning_rate`: the cosine runs over all steps, so that the rate jumps down where the warm-up ends. It begins at step `warmup`.")
def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * step / steps)) / 2


@wrong("recipe", hint="`learning_rate`: after the warm-up the rate stays at its peak. It follows a cosine down.")
def learning_rate(step, steps, peak, warmup):
    return peak * min(1.0, (step + 1) / warmup) if warmup else peak


@wrong("recipe", hint="`learning_rate`: after the peak it falls in a line. A cosine is asked for, flat at both ends.")
def learning_rate(step, steps, peak, warmup):
    return peak * (step + 1) / warmup if step < warmup else peak * (steps - step) / (steps - warmup)


@wrong("recipe", hint="`learning_rate`: the cosine goes from 1 to −1; half of 1 + cos goes from 1 to 0. A negative rate climbs.")
def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * math.cos(math.pi * (step - warmup) / (steps - warmup))


@wrong("recipe", hint="`learning_rate`: the rate reaches 0 at the last step, one too early: that step does nothing. It would be 0 at step `steps`.")
def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - 1 - warmup))) / 2


@wrong("recipe", hint="`parameter_groups`: everything decays, also biases and batch norm's parameters.")
def parameter_groups(net, weight_decay):
    return [{"params": list(net.parameters()), "weight_decay": weight_decay}]


@wrong("recipe", hint="`parameter_groups`: the biases are spared, but batch norm's weights decay. Those have one dimension too: look at `ndim`.")
def parameter_groups(net, weight_decay):
    named = list(net.named_parameters())
    return [{"params": [p for name, p in named if not name.endswith("bias")], "weight_decay": weight_decay},
            {"params": [p for name, p in named if name.endswith("bias")], "weight_decay": 0.0}]


@wrong("recipe", hint="`parameter_groups`: batch norm is spared, but the biases of convolutions and linear layers decay.")
def parameter_groups(net, weight_decay):
    norms = [p for module in net.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()]
    others = [p for p in net.parameters() if all(p is not norm for norm in norms)]
    return [{"params": others, "weight_decay": weight_decay}, {"params": norms, "weight_decay": 0.0}]


@wrong("recipe", hint="`parameter_groups`: the two groups have changed places: the weights are spared, and the rest decays.")
def parameter_groups(net, weight_decay):
    return [{"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": weight_decay},
            {"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": 0.0}]


@wrong("recipe", hint="`parameter_groups`: biases and batch norm's parameters are in no group, so the optimiser never moves them. They belong "
                      "into the second, with a decay of 0.")
def parameter_groups(net, weight_decay):
    return [{"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": weight_decay}]


@wrong("recipe", hint="`update_average`: decay and 1 − decay have changed places: the average follows the net almost at once.")
def update_average(average, net, decay):
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine.lerp_(new, decay)
        for mine, new in zip(average.buffers(), net.buffers()):
            mine.copy_(new)


@wrong("recipe", hint="`update_average`: the average moves past the net's weights, by the share 1 + decay of the way. It goes the share 1 − decay.")
def update_average(average, net, decay):
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine.lerp_(new, 1 + decay)
        for mine, new in zip(average.buffers(), net.buffers()):
            mine.copy_(new)


@wrong("recipe", hint="`update_average`: batch norm's running statistics are averaged a second time, and lag behind. Copy the buffers.")
def update_average(average, net, decay):
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine.lerp_(new, 1 - decay)
        for mine, new in zip(average.buffers(), net.buffers()):
            mine.lerp_(new, 1 - decay) if mine.is_floating_point() else mine.copy_(new)


@wrong("recipe", hint="`update_average`: the buffers don't arrive at the average (left out, or copied the other way), so its batch norms keep the statistics they began with.",
       trains="an average without the running statistics")
def update_average(average, net, decay):
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine.lerp_(new, 1 - decay)


@wrong("recipe", hint="`update_average`: the net's weights are copied. An average keeps the share `decay` of what it was.")
def update_average(average, net, decay):
    average.load_state_dict(net.state_dict())


@wrong("recipe", hint="`update_average`: it is the net that moves, towards the average. Only the average may.")
def update_average(average, net, decay):
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            new.lerp_(mine, decay)


@wrong("recipe", hint="`update_average`: the average doesn't move. `mine = …` gives a name to a new tensor; write into the old one: `mine.copy_(…)`.")
def update_average(average, net, decay):
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine = decay * mine + (1 - decay) * new


@wrong("recipe", hint="`predict`: the net isn't put into eval mode, so each image's answer depends on the others of its batch.")
def predict(net, images):
    with torch.no_grad():
        return (net(images) + net(images.flip(3))) / 2


@wrong("recipe", hint="`predict`: the net is left in eval mode. Training that goes on would go on with frozen statistics: put it back.")
def predict(net, images):
    net.eval()
    with torch.no_grad():
        return (net(images) + net(images.flip(3))) / 2


@wrong("recipe", hint="`predict`: the net is put into train mode at the end, whatever it was in before.")
def predict(net, images):
    net.eval()
    with torch.no_grad():
        logits = (net(images) + net(images.flip(3))) / 2
    net.train()
    return logits


@wrong("recipe", hint="`predict`: the answers still carry the graph of all that made them. Wrap the calls in `torch.no_grad()`.")
def predict(net, images):
    training = net.training
    net.eval()
    logits = (net(images) + net(images.flip(3))) / 2
    net.train(training)
    return logits


@wrong("recipe", hint="`predict`: the second half of the answer is for images upside down. Mirror left to right: `images.flip(3)`.")
def predict(net, images):
    training = net.training
    net.eval()
    with torch.no_grad():
        logits = (net(images) + net(images.flip(2))) / 2
    net.train(training)
    return logits


@wrong("recipe", hint="`predict`: this is the sum of the two answers, not their mean.")
def predict(net, images):
    training = net.training
    net.eval()
    with torch.no_grad():
        logits = net(images) + net(images.flip(3))
    net.train(training)
    return logits


@wrong("recipe", hint="`predict`: the probabilities are averaged. The mean of the logits is asked for.")
def predict(net, images):
    training = net.training
    net.eval()
    with torch.no_grad():
        probabilities = (net(images).softmax(1) + net(images.flip(3)).softmax(1)) / 2
    net.train(training)
    return probabilities


@wrong("recipe", hint="`smoothed_cross_entropy`: the mean is taken over images *and* classes. Sum over the classes, then take the mean over the batch.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    targets = F.one_hot(labels, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * F.log_softmax(logits, dim=1)).mean()


@wrong("recipe", hint="`smoothed_cross_entropy`: the softmax runs over the batch. The classes are dimension 1.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    targets = F.one_hot(labels, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * F.log_softmax(logits, dim=0)).sum(1).mean()


@wrong("recipe", hint="`learning_rate`: after the warm-up the cosine is divided by `steps`, so that it ends before 0. It has steps − warmup to go.")
def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / steps)) / 2


@wrong("recipe", hint="`learning_rate`: 1 + cos goes from 2 to 0: the half is missing, and the rate begins at twice the peak.")
def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup)))


@wrong("recipe", hint="`parameter_groups`: `ndim == 4` finds the convolutions only. A linear layer's weight has two dimensions, and decays too.")
def parameter_groups(net, weight_decay):
    return [{"params": [p for p in net.parameters() if p.ndim == 4], "weight_decay": weight_decay},
            {"params": [p for p in net.parameters() if p.ndim != 4], "weight_decay": 0.0}]


@wrong("recipe", hint="`update_average`: the count `num_batches_tracked` is left out. Copy *all* buffers, whole numbers too.")
def update_average(average, net, decay):
    with torch.no_grad():
        for mine, new in zip(average.parameters(), net.parameters()):
            mine.lerp_(new, 1 - decay)
        for mine, new in zip(average.buffers(), net.buffers()):
            if mine.is_floating_point():
                mine.copy_(new)


@wrong("recipe", hint="`predict`: only the second half is divided by 2. Put brackets around the sum.")
def predict(net, images):
    training = net.training
    net.eval()
    with torch.no_grad():
        logits = net(images) + net(images.flip(3)) / 2
    net.train(training)
    return logits


@wrong("recipe", hint="`smoothed_cross_entropy`: `one_hot` counts the classes from the labels that it sees, and a batch needn't have them all. "
                      "Give it `logits.shape[1]`.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    targets = (1 - smoothing) * F.one_hot(labels) + smoothing / logits.shape[1]
    return -(targets * F.log_softmax(logits, dim=1)).sum(1).mean()


@wrong("recipe", hint="`smoothed_cross_entropy`: the number of classes is taken from the greatest label, and a batch needn't have them all. It is "
                      "`logits.shape[1]`.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    log_p, classes = F.log_softmax(logits, dim=1), int(labels.max()) + 1
    return -((1 - smoothing) * log_p.gather(1, labels[:, None]).squeeze(1) + smoothing / classes * log_p.sum(1)).mean()


@wrong("recipe", hint="`smoothed_cross_entropy`: the sign is wrong: log p is negative, and the loss is −Σ t log p. Minimised, this would make the "
                      "right class less likely.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    return -F.cross_entropy(logits, labels, label_smoothing=smoothing)


@wrong("recipe", hint="`smoothed_cross_entropy`: the right class has the target 1 − smoothing. It gets its share of the uniform part too, so 1 − "
                      "smoothing + smoothing/K.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    targets = torch.full_like(logits, smoothing / logits.shape[1]).scatter(1, labels[:, None], 1 - smoothing)
    return -(targets * F.log_softmax(logits, dim=1)).sum(1).mean()


@wrong("recipe", hint="`smoothed_cross_entropy`: for large logits a probability is rounded to 0, and its logarithm is infinite. `F.log_softmax` "
                      "takes both in one stable step.")
def smoothed_cross_entropy(logits, labels, smoothing=0.1):
    targets = F.one_hot(labels, logits.shape[1]) * (1 - smoothing) + smoothing / logits.shape[1]
    return -(targets * logits.softmax(dim=1).log()).sum(1).mean()


@wrong("recipe", hint="`learning_rate`: `warmup` may be 0. Then nothing may be divided by it: the cosine begins at step 0.")
def learning_rate(step, steps, peak, warmup):
    fall = (1 + math.cos(math.pi * max(0, step - warmup) / (steps - warmup))) / 2
    return peak * min(1, (step + 1) / warmup) * fall


@wrong("recipe", hint="`learning_rate`: step `warmup` still belongs to the line, and gets more than the peak. The line is for `step < warmup`.")
def learning_rate(step, steps, peak, warmup):
    if step <= warmup:
        return peak * (step + 1) / max(1, warmup)
    return peak * (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


@wrong("recipe", hint="`learning_rate`: the cosine is a step early. At step `warmup` it is at the peak: no + 1 there.")
def learning_rate(step, steps, peak, warmup):
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * (1 + math.cos(math.pi * (step + 1 - warmup) / (steps - warmup))) / 2


@wrong("recipe", hint="`parameter_groups`: the second group says nothing of `weight_decay`, and so takes the optimiser's. Say `\"weight_decay\": "
                      "0.0`.")
def parameter_groups(net, weight_decay):
    return [{"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": weight_decay},
            {"params": [p for p in net.parameters() if p.ndim <= 1]}]


@wrong("recipe", hint="`parameter_groups`: the weights' group says nothing of `weight_decay`, and so takes the optimiser's. Give it the argument.")
def parameter_groups(net, weight_decay):
    return [{"params": [p for p in net.parameters() if p.ndim > 1]}, {"params": [p for p in net.parameters() if p.ndim <= 1], "weight_decay": 0.0}]


@wrong("recipe", hint="`parameter_groups`: the linear layers' weights, with two dimensions, are in no group, so the optimiser never moves them.")
def parameter_groups(net, weight_decay):
    return [{"params": [p for p in net.parameters() if p.ndim == 4], "weight_decay": weight_decay},
            {"params": [p for p in net.parameters() if p.ndim == 1], "weight_decay": 0.0}]


@wrong("recipe", hint="`parameter_groups`: the biases of convolutions and linear layers are in no group, so the optimiser never moves them. They "
                      "belong to batch norm's.")
def parameter_groups(net, weight_decay):
    norms = [p for module in net.modules() if isinstance(module, nn.BatchNorm2d) for p in module.parameters()]
    return [{"params": [p for p in net.parameters() if p.ndim > 1], "weight_decay": weight_decay}, {"params": norms, "weight_decay": 0.0}]


@wrong("recipe", hint="`predict`: the mirror images aren't asked. The answer is the mean of the net's logits for the images and for "
                      "`images.flip(3)`.")
def predict(net, images):
    training = net.training
    net.eval()
    with torch.no_grad():
        logits = net(images)
    net.train(training)
    return logits


@wrong("recipe", hint="`predict`: only the mirror images are asked. The answer is the mean over both.")
def predict(net, images):
    training = net.training
    net.eval()
    with torch.no_grad():
        logits = net(images.flip(3))
    net.train(training)
    return logits


# --- training ---

@wrong("training", hint="These are probabilities, not logits: a softmax stands at the net's end.")
def train_mine(images, labels, classes, budget, after_step=None):
    net = nn.Sequential(classify.Normalise(images), ResNet(BasicBlock, (1, 1, 1), classes, images.shape[1], 16, True), nn.Softmax(1))
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, budget // 32)
    return net


@wrong("training", hint="Your net does no better than guessing.", trains="labels of other images")
def train_mine(images, labels, classes, budget, after_step=None):
    net = nn.Sequential(classify.Normalise(images), ResNet(BasicBlock, (1, 1, 1), classes, images.shape[1], 16, True))
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    classify.train_classifier(net, images, labels[torch.randperm(len(labels))], F.cross_entropy, optimizer, budget // 32)
    return net


@wrong("training", hint="Is a `return` missing?")
def train_mine(images, labels, classes, budget, after_step=None):
    net = nn.Sequential(classify.Normalise(images), ResNet(BasicBlock, (1, 1, 1), classes, images.shape[1], 16, True))
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
    classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, 2)


@wrong("training", hint="Your net's answers are NaN: the training has diverged.")
def train_mine(images, labels, classes, budget, after_step=None):
    net = nn.Sequential(classify.Normalise(images), ResNet(BasicBlock, (1, 1, 1), classes, images.shape[1], 16, True))
    optimizer = torch.optim.SGD(net.parameters(), 1e6, momentum=0.9)
    classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, 40)
    return net


@wrong("training", hint="Your net gives every image the same answer: the training has diverged, or the weights have collapsed.")
def train_mine(images, labels, classes, budget, after_step=None):
    net = nn.Sequential(classify.Normalise(images), ResNet(BasicBlock, (1, 1, 1), classes, images.shape[1], 16, True))
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=1.0)
    classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, budget // 32)
    return net


@wrong("training", hint="Your net gets too many of the held-out images wrong.", trains="the book's rate on the mean of the losses")
def train_mine(images, labels, classes, budget, after_step=None):
    net = nn.Sequential(classify.Normalise(images), ResNet(BasicBlock, (1, 1, 1), classes, images.shape[1], 16, True))
    optimizer = torch.optim.SGD(net.parameters(), 2e-4, momentum=0.9, weight_decay=5e-4)
    classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, budget // 32)
    return net


@wrong("training", hint="as a linear classifier does", trains="a linear classifier")
def train_mine(images, labels, classes, budget, after_step=None):
    net = nn.Sequential(classify.Normalise(images), nn.Flatten(), nn.Linear(images[0].numel(), classes)).to(images.device)
    optimizer = torch.optim.SGD(net.parameters(), 0.005, momentum=0.9)
    classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, budget // 32, rate=lambda step: learning_rate(
        step, budget // 32, 0.005, 10))
    return net
