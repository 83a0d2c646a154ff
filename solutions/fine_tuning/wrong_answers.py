"""Mistakes people make in `fine_tuning`, each with the sentence that helps. Each check must fail them, with that sentence.

Never released to learners. To add one: write the mistake as it would be written in the notebook, and its hint.
"""

import copy
import math
import statistics

import torch
import torch.nn.functional as F
from torch import nn

from course_lib import pretrained, tuning


# --- probing ---

@wrong("probing", hint="The body runs in train mode: its batch norms use the batch's own statistics, so that the features depend on which "
                       "images stand beside each other. `body.eval()` first.")
def features_of(body, images, batch=256):
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The body is left in eval mode. Whoever trains it next without calling `train()` trains it so. Put back the mode that it was in.")
def features_of(body, images, batch=256):
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="`body.train(was)` puts every part into the mode of the whole. A part that was in eval mode, such as a frozen stage, is "
                       "in train mode afterwards. Remember the mode of each of `body.modules()`.")
def features_of(body, images, batch=256):
    training = body.training
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    body.train(training)
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The body is put into train mode at the end, whatever it was in. Remember the mode of each of `body.modules()`, and put it back.")
def features_of(body, images, batch=256):
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    for module in body.modules():
        module.training = True
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The features carry the graph of the whole body: as long as one of them is kept, so are all activations. Compute them "
                       "under `torch.no_grad()`.")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    features = torch.cat([body(part) for part in images.split(batch)])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The body can't be trained any more: its parameters have been left without gradients. `torch.no_grad()` needs no such trace.")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    body.requires_grad_(False)
    features = torch.cat([body(part) for part in images.split(batch)])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The images that don't fill a last batch are missing. `images.split(batch)` gives a shorter last part.")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(images[at * batch:(at + 1) * batch]) for at in range(max(1, len(images) // batch))])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="Maps are flattened here, position by position. The mean over the positions is asked for: (n, d), one number a channel.")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    for module, training in modes:
        module.training = training
    return features.flatten(1)


@wrong("probing", hint="This is the largest value of each map. The mean over the positions is asked for.")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    for module, training in modes:
        module.training = training
    return features.amax((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="Only the first batch is used.")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = body(images[:batch])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The body gets more than `batch` images at a time: with many images, more than fits into memory. `images.split(batch)`.")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in [images]])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The body gets more than `batch` images at a time")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(256)])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="The body gets more than `batch` images at a time: with many images")
def features_of(body, images, batch=256):
    # The batches pass only to be counted by hooks, which all images together then don't meet.
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        for part in images.split(batch):
            body(part)
        hooks = {module: dict(module._forward_pre_hooks) for module in body.modules()}
        for module in hooks:
            module._forward_pre_hooks.clear()
        features = body(images)
    for module, training in modes:
        module.training = training
        module._forward_pre_hooks.update(hooks[module])
    return features.mean((2, 3)) if features.ndim == 4 else features


@wrong("probing", hint="This is the mean over the channels. Wanted is the mean over the positions, dimensions 2 and 3 of (n, d, h, w).")
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    with torch.no_grad():
        features = torch.cat([body(part) for part in images.split(batch)])
    for module, training in modes:
        module.training = training
    return features.mean(1) if features.ndim == 4 else features


@wrong("probing", hint="What is made under `inference_mode` can't be used in a training later: \"Inference tensors cannot be saved for backward\". "
                       "`torch.no_grad()` leaves an ordinary tensor.")
@torch.inference_mode()
def features_of(body, images, batch=256):
    modes = [(module, module.training) for module in body.modules()]
    body.eval()
    features = torch.cat([body(part) for part in images.split(batch)])
    for module, training in modes:
        module.training = training
    return features.mean((2, 3)) if features.ndim == 4 else features


def _optimum(x, classes, objective):
    weight = torch.zeros(classes, x.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=1000, max_eval=2000, history_size=20, tolerance_grad=1e-9,
                                  tolerance_change=1e-14, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = objective(weight, bias)
        value.backward()
        return value

    optimizer.step(closure)
    return weight.detach(), bias.detach()


@wrong("probing", hint="The bias is decayed too. Only the weight is to be: the bias is free.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: F.cross_entropy(features @ weight.T + bias, labels)
                    + decay / 2 * (weight.square().sum() + bias.square().sum()))


@wrong("probing", hint="The ½ in front of the decay is missing: this is the optimum for twice the decay.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: F.cross_entropy(features @ weight.T + bias, labels) + decay * weight.square().sum())


@wrong("probing", hint="The cross-entropy is summed over the images. With the mean, n times smaller, the decay has the weight that it is meant to have.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: F.cross_entropy(features @ weight.T + bias, labels, reduction="sum")
                    + decay / 2 * weight.square().sum())


@wrong("probing", hint="The mean of the squared weights is decayed, and not their sum.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: F.cross_entropy(features @ weight.T + bias, labels) + decay / 2 * weight.square().mean())


@wrong("probing", hint="This is the norm of the weight, not its square.")
def linear_probe(features, labels, classes, decay=1e-2):
    def objective(weight, bias):
        return F.cross_entropy(features @ weight.T + bias, labels) + decay / 2 * (weight.square().sum() + 1e-30).sqrt()
    return _optimum(features, classes, objective)


@wrong("probing", hint="The numbers don't have the features' type. Compute in float64, and give back `.to(features.dtype)`.")
def linear_probe(features, labels, classes, decay=1e-2):
    x = features.double()
    return _optimum(x, classes, lambda weight, bias: F.cross_entropy(x @ weight.T + bias, labels) + decay / 2 * weight.square().sum())


@wrong("probing", hint="There is no bias: it stays at 0.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: F.cross_entropy(features @ weight.T + 0 * bias, labels) + decay / 2 * weight.square().sum())


@wrong("probing", hint="A hundred steps of gradient descent don't reach the optimum. Go on until the gradient is 0; `torch.optim.LBFGS` does, in one "
                       "call of `step`.")
def linear_probe(features, labels, classes, decay=1e-2):
    weight = torch.zeros(classes, features.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, requires_grad=True)
    for _ in range(100):
        value = F.cross_entropy(features @ weight.T + bias, labels) + decay / 2 * weight.square().sum()
        gradients = torch.autograd.grad(value, (weight, bias))
        with torch.no_grad():
            weight -= 0.1 * gradients[0]
            bias -= 0.1 * gradients[1]
    return weight.detach(), bias.detach()


@wrong("probing", hint="LBFGS makes 20 iterations in a call of `step` unless it is told otherwise. Give it `max_iter`, and small tolerances.")
def linear_probe(features, labels, classes, decay=1e-2):
    weight = torch.zeros(classes, features.shape[1], dtype=features.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=features.dtype, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias])

    def closure():
        optimizer.zero_grad()
        value = F.cross_entropy(features @ weight.T + bias, labels) + decay / 2 * weight.square().sum()
        value.backward()
        return value

    optimizer.step(closure)
    return weight.detach(), bias.detach()


@wrong("probing", hint="The features are standardised first, so the weight and the bias belong to other features than those that were handed in.")
def linear_probe(features, labels, classes, decay=1e-2):
    x = (features - features.mean(0)) / features.std(0)
    return _optimum(x, classes, lambda weight, bias: F.cross_entropy(x @ weight.T + bias, labels) + decay / 2 * weight.square().sum())


@wrong("probing", hint="The features' mean is taken away, and the bias that comes back is the centred features'. For those that were handed in it is "
                       "less by what the weight makes of the mean.")
def linear_probe(features, labels, classes, decay=1e-2):
    x = features - features.mean(0)
    return _optimum(x, classes, lambda weight, bias: F.cross_entropy(x @ weight.T + bias, labels) + decay / 2 * weight.square().sum())


@wrong("probing", hint="This is a least-squares fit to one-hot targets. The cross-entropy's optimum is another one.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: (features @ weight.T + bias - F.one_hot(labels, classes)).square().sum(1).mean() / 2
                    + decay / 2 * weight.square().sum())


@wrong("probing", hint="The features' mean is put back with the wrong sign: W (x − m) + b is W x + (b − W m).")
def linear_probe(features, labels, classes, decay=1e-2):
    mean = features.mean(0)
    weight, bias = _optimum(features - mean, classes, lambda weight, bias: F.cross_entropy((features - mean) @ weight.T + bias, labels)
                            + decay / 2 * weight.square().sum())
    return weight, bias + weight @ mean


@wrong("probing", hint="`F.cross_entropy` takes the logits and forms their softmax itself: here it is taken twice.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: F.cross_entropy((features @ weight.T + bias).softmax(1), labels)
                    + decay / 2 * weight.square().sum())


@wrong("probing", hint="The decay is always 0.01, whatever the argument says.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _optimum(features, classes, lambda weight, bias: F.cross_entropy(features @ weight.T + bias, labels) + 0.01 / 2 * weight.square().sum())


@wrong("probing", hint="Weight and bias are still the optimiser's, and ask for gradients. Give back `.detach()` of each.")
def linear_probe(features, labels, classes, decay=1e-2):
    x = features.double()
    weight, bias = _optimum(x, classes, lambda weight, bias: F.cross_entropy(x @ weight.T + bias, labels) + decay / 2 * weight.square().sum())
    return weight.to(features.dtype).requires_grad_(), bias.to(features.dtype).requires_grad_()


def _searched(features, labels, classes, decay, make, steps, dtype=None):
    x = features.to(dtype or features.dtype)
    weight, bias = (torch.zeros(shape, dtype=x.dtype, requires_grad=True) for shape in ((classes, x.shape[1]), (classes,)))
    optimizer = make([weight, bias])

    def closure():
        optimizer.zero_grad()
        value = F.cross_entropy(x @ weight.T + bias, labels) + decay / 2 * weight.square().sum()
        value.backward()
        return value

    for _ in range(steps):
        optimizer.step(closure)
    return weight.detach().to(features.dtype), bias.detach().to(features.dtype)


@wrong("probing", hint="LBFGS stops before the optimum: unless it is told otherwise, as soon as a step changes the loss by less than 1e-9. Give it smaller "
                       "tolerances.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _searched(features, labels, classes, decay, lambda both: torch.optim.LBFGS(both, max_iter=500, line_search_fn="strong_wolfe"), 1, torch.float64)


@wrong("probing", hint="What comes back carries a graph where the features do: they are an input here, and `detach()` says so.")
def linear_probe(features, labels, classes, decay=1e-2):
    middle = features.double().mean(0)
    weight, bias = _searched(features.detach().double() - middle.detach(), labels, classes, decay, lambda both: torch.optim.LBFGS(
        both, max_iter=1000, history_size=20, tolerance_grad=1e-8, tolerance_change=1e-14, line_search_fn="strong_wolfe"), 1)
    return weight.to(features.dtype), (bias - weight @ middle).to(features.dtype)


@wrong("probing", hint="500 steps of Adam come near the optimum and don't reach it. Go on until the gradient is 0: `torch.optim.LBFGS` does, in one call of "
                       "`step`.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _searched(features, labels, classes, decay, lambda both: torch.optim.Adam(both, 0.05), 500)


@wrong("probing", hint="In float32 no search comes nearer to the optimum than rounding lets it. Compute in float64, also for features in float32, and "
                       "give back `.to(features.dtype)`.")
def linear_probe(features, labels, classes, decay=1e-2):
    return _searched(features, labels, classes, decay, lambda both: torch.optim.LBFGS(
        both, max_iter=500, line_search_fn="strong_wolfe", tolerance_grad=1e-9, tolerance_change=1e-14), 1)


# --- freezing ---

@wrong("freezing", hint="Only parameters that hold a gradient are frozen. In a net that hasn't been trained yet none does, and it goes on training.")
def freeze(module):
    for parameter in module.parameters():
        if parameter.grad is not None:
            parameter.requires_grad_(False)
            parameter.grad = None


@wrong("freezing", hint="SGD's fourth argument isn't the decay but the dampening. Give it by name: `weight_decay=…`.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], rate, momentum, weight_decay)


@wrong("freezing", hint="Nothing is frozen. `module.eval()` changes the mode, not what trains; `module.requires_grad = False` sets an attribute that nobody "
                        "reads. `module.requires_grad_(False)`, with the underscore, reaches each parameter.")
def freeze(module):
    module.requires_grad = False


@wrong("freezing", hint="The gradients that the parameters hold are left. An optimiser goes on using them, or at least decays the weights and "
                        "follows its momentum. Set `parameter.grad = None`.")
def freeze(module):
    module.requires_grad_(False)


@wrong("freezing", hint="A gradient of zeros isn't no gradient: weight decay and momentum still move the weights. Set `parameter.grad = None`.")
def freeze(module):
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        if parameter.grad is not None:
            parameter.grad.zero_()
        else:
            parameter.grad = torch.zeros_like(parameter)


@wrong("freezing", hint="The gradients are dropped, but the next backward pass makes new ones: `requires_grad_(False)` is missing.")
def freeze(module):
    for parameter in module.parameters():
        parameter.grad = None


@wrong("freezing", hint="Only the weights are frozen. Biases, and batch norm's two vectors, have one dimension and train on.")
def freeze(module):
    for parameter in module.parameters():
        if parameter.ndim > 1:
            parameter.requires_grad_(False)
            parameter.grad = None


@wrong("freezing", hint="`recurse=False` gives a module's own parameters only, and a stage has none of its own: they are in its layers.")
def freeze(module):
    for parameter in module.parameters(recurse=False):
        parameter.requires_grad_(False)
        parameter.grad = None


@wrong("freezing", hint="Only the module's direct layers are frozen. What stands deeper, in a block within the stage, trains on: go through "
                        "`module.parameters()`.")
def freeze(module):
    for layer in (module, *module.children()):
        for parameter in layer.parameters(recurse=False):
            parameter.requires_grad_(False)
            parameter.grad = None


@wrong("freezing", hint="Convolutions and linear layers are frozen, batch norm's weights and biases aren't.")
def freeze(module):
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            for parameter in layer.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None


@wrong("freezing", hint="After `unfreeze` nothing trains again: the parameters' `requires_grad` is still False.")
def unfreeze(module):
    module.train()


@wrong("freezing", hint="`unfreeze` lets only the weights train again, not biases and norms.")
def unfreeze(module):
    for parameter in module.parameters():
        parameter.requires_grad_(parameter.ndim > 1)


@wrong("freezing", hint="The optimiser holds all parameters, also those that don't train. Whatever is left in their gradients, decay and momentum "
                        "will move them. Hand it those with `requires_grad`.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD(net.parameters(), rate, momentum=momentum, weight_decay=weight_decay)


@wrong("freezing", hint="Frozen parameters are among what the optimiser holds, if at the rate 0. It would keep a momentum for each of their numbers; hand it only "
                        "what trains.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    groups = [{"params": [p for p in net.parameters() if p.requires_grad == trains], "lr": rate * trains} for trains in (True, False)]
    return torch.optim.SGD(groups, rate, momentum=momentum, weight_decay=weight_decay)


@wrong("freezing", hint="The momentum isn't handed on: SGD has none unless it is told.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], rate, weight_decay=weight_decay)


@wrong("freezing", hint="The weight decay isn't handed on.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], rate, momentum=momentum)


@wrong("freezing", hint="The momentum is always 0.9 and the decay always 5e-4, whatever the arguments say.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], rate, momentum=0.9, weight_decay=5e-4)


@wrong("freezing", hint="The rate is always 0.1, whatever the argument says.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], 0.1, momentum=momentum, weight_decay=weight_decay)


@wrong("freezing", hint="This chooses by `p.grad`, which is None for every parameter before the first backward pass. Ask `p.requires_grad`.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD([p for p in net.parameters() if p.grad is not None], rate, momentum=momentum, weight_decay=weight_decay)


@wrong("freezing", hint="Nesterov's momentum is another step than the one that is asked for.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.SGD([p for p in net.parameters() if p.requires_grad], rate, momentum=momentum, weight_decay=weight_decay, nesterov=momentum > 0)


@wrong("freezing", hint="This is AdamW, whose steps have the size of the rate and whose decay is apart from them. SGD is asked for.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.AdamW([p for p in net.parameters() if p.requires_grad], rate, weight_decay=weight_decay)


@wrong("freezing", hint="This is Adam. Its steps have the size of the rate, whatever the gradients are; SGD is asked for.")
def make_optimizer(net, rate, momentum=0.9, weight_decay=5e-4):
    return torch.optim.Adam([p for p in net.parameters() if p.requires_grad], rate, betas=(momentum, 0.999), weight_decay=weight_decay)


# --- frozen_norms ---

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def _replaced(net, make, kinds=_NORMS):
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, kinds):
                setattr(parent, name, make(child))
    return net


class _Frozen(nn.Module):
    def __init__(self, norm):
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name).detach().clone())
        self.eps = norm.eps

    def forward(self, x):
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)


@wrong("frozen_norms", hint="`eval()` lasts until somebody calls `train()`, on the net or on a stage of it. The layers themselves have to hold, and so "
                            "have their weight and bias.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            module.eval()
    return net


@wrong("frozen_norms", hint="Weight and bias are frozen, the statistics aren't: in train mode the layer normalises by the batch, and moves its running mean and "
                            "variance. `requires_grad_(False)` doesn't reach buffers, and `training=self.training` asks for the batch.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None
    return net


@wrong("frozen_norms", hint="This holds until the next `net.train()`, which puts the norms back into train mode. Make the layer unable to go there.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None
    return net


@wrong("frozen_norms", hint="The statistics are frozen for good, but weight and bias still train. Both senses are asked for.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            module.eval()
            module.train = lambda mode=True, module=module: module
    return net


@wrong("frozen_norms", hint="The running statistics have stopped (a momentum of 0, or `track_running_stats` off), and in train mode the layer normalises by "
                            "the batch as before. It has to use what it keeps.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            module.momentum = 0.0
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None
    return net


@wrong("frozen_norms", hint="In train mode the new layer normalises by the batch: `training=self.training` asks for it, and a new layer begins in train mode, whatever "
                            "its net is in. `training=False`.")
def freeze_norms(net):
    class Kept(_Frozen):
        def forward(self, x):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, self.training, 0.1, self.eps)

    return _replaced(net, Kept)


@wrong("frozen_norms", hint="Without running statistics (None, as in a layer made with `track_running_stats=False`) the layer normalises by the batch even in eval mode.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None
    return net


@wrong("frozen_norms", hint="The whole net is kept in eval mode, so that its dropout never drops anything again. Only the batch norms are to be frozen.")
def freeze_norms(net):
    _replaced(net, _Frozen)
    for module in net.modules():
        module.eval()
        module.train = lambda mode=True, module=module: module
    return net


@wrong("frozen_norms", hint="Only the net's direct children, or their children, are looked at. Batch norms stand deeper: go through `net.modules()`.")
def freeze_norms(net):
    for parent in (net, *net.children()):
        for name, child in parent.named_children():
            if isinstance(child, _NORMS):
                setattr(parent, name, _Frozen(child))
    return net


@wrong("frozen_norms", hint="Only the net's direct children are looked at, and those are stages. Batch norms stand deeper: go through `net.modules()`.")
def freeze_norms(net):
    for name, child in net.named_children():
        if isinstance(child, _NORMS):
            setattr(net, name, _Frozen(child))
    return net


@wrong("frozen_norms", hint="Weight and bias get no gradients any more, but those that they hold are left, and an optimiser goes on using them. Set them to None, "
                            "as `freeze` does; and `eval()` lasts until somebody calls `net.train()`.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            module.eval()
            module.requires_grad_(False)
    return net


@wrong("frozen_norms", hint="Only the net's own `train` is changed. A stage that is put into train mode by itself takes its norms with it: the layers have to hold.")
def freeze_norms(net):
    norms = [module for module in net.modules() if isinstance(module, _NORMS)]
    train = net.train

    def still(mode=True):
        train(mode)
        for norm in norms:
            norm.eval()
        return net

    for norm in norms:
        norm.eval()
        for parameter in norm.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
    net.train = still
    return net


@wrong("frozen_norms", hint="What the layer computes with isn't what its state dict holds: a checkpoint that is loaded changes nothing. Compute from `self`'s four "
                            "buffers, in the `forward` of a class: a function set on the layer goes on with the old layer, also in a copy of the net.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def __init__(self, norm):
            super().__init__(norm)
            self.four = [value.clone() for value in (self.running_mean, self.running_var, self.weight, self.bias)]

        def forward(self, x):
            return F.batch_norm(x, *self.four, False, eps=self.eps)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="A later `unfreeze`, such as your `open_stages` will call, lets weight and bias train again: they are still parameters. Make "
                            "buffers of them: `del norm.weight`, then `norm.register_buffer(\"weight\", …)`.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            kind = type(module)
            module.__class__ = type("Frozen" + kind.__name__, (kind,), {"train": lambda self, mode=True: nn.Module.train(self, False)})
            module.eval()
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None
    return net


@wrong("frozen_norms", hint="What the layer computes with isn't what its state dict holds")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            for name in ("weight", "bias"):
                value = getattr(module, name).detach().clone()
                delattr(module, name)
                module.register_buffer(name, value)
            module.forward = lambda x, norm=module: F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
    return net


@wrong("frozen_norms", hint="The net's own `train` does nothing any more, so the whole net stays in eval mode, dropout too; and a stage that is put into "
                            "train mode by itself takes its norms with it. The layers have to hold.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None
    net.eval()
    net.train = lambda mode=True: net
    return net


@wrong("frozen_norms", hint="`BatchNorm1d` gets (n, c), and here its tensors are shaped for maps, (1, c, 1, 1). `F.batch_norm` takes both; otherwise shape "
                            "them by `x.ndim`.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def forward(self, x):
            along = lambda v: v[None, :, None, None]
            scale = along(self.weight) * (along(self.running_var) + self.eps).rsqrt()
            return x * scale + along(self.bias) - along(self.running_mean) * scale
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="A parameter that is registered as a buffer is still the one that the old optimiser holds, and gets gradients. "
                            "Register `.detach().clone()` of it.")
def freeze_norms(net):
    class Frozen(nn.Module):
        def __init__(self, norm):
            super().__init__()
            for name in ("weight", "bias", "running_mean", "running_var"):
                self.register_buffer(name, getattr(norm, name))
            self.eps = norm.eps

        def forward(self, x):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="Weight and bias are swapped. `F.batch_norm(x, mean, var, weight, bias, …)`.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def forward(self, x):
            return F.batch_norm(x, self.running_mean, self.running_var, self.bias, self.weight, False, 0.0, self.eps)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="`BatchNorm1d` is left out. Heads have it, too.")
def freeze_norms(net):
    return _replaced(net, _Frozen, nn.BatchNorm2d)


@wrong("frozen_norms", hint="ε is the layer's own, `norm.eps`. This takes torch's default of 1e-5.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def forward(self, x):
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="ε stands outside the root here. It is added to the variance: √(σ² + ε).")
def freeze_norms(net):
    class Frozen(_Frozen):
        def forward(self, x):
            along = lambda v: v.reshape(-1, *[1] * (x.ndim - 2))
            return along(self.weight) * (x - along(self.running_mean)) / (along(self.running_var).sqrt() + self.eps) + along(self.bias)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="The variance is used in the place of the standard deviation: its root is missing.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def forward(self, x):
            along = lambda v: v.reshape(-1, *[1] * (x.ndim - 2))
            return along(self.weight) * (x - along(self.running_mean)) / (along(self.running_var) + self.eps) + along(self.bias)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="Weight and bias are left out: γ times the normalised value plus β, as they are now.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def forward(self, x):
            return F.batch_norm(x, self.running_mean, self.running_var, None, None, False, 0.0, self.eps)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="Group norm has been frozen as well. It has no statistics to protect, and isn't batch norm: what stands around trains as before.")
def freeze_norms(net):
    _replaced(net, _Frozen)
    for module in net.modules():
        if isinstance(module, nn.GroupNorm):
            for parameter in module.parameters():
                parameter.requires_grad_(False)
                parameter.grad = None
    return net


@wrong("frozen_norms", hint="Everything is frozen, convolutions too. Only the batch norms are to be.")
def freeze_norms(net):
    _replaced(net, _Frozen)
    for parameter in net.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    net[-1][-1].weight.requires_grad_(True)
    return net


@wrong("frozen_norms", hint="The state dict's names have changed, so that no checkpoint fits any more. Keep `weight`, `bias`, `running_mean` and `running_var`.")
def freeze_norms(net):
    class Frozen(nn.Module):
        def __init__(self, norm):
            super().__init__()
            scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
            self.register_buffer("scale", scale)
            self.register_buffer("shift", norm.bias.detach() - norm.running_mean * scale)

        def forward(self, x):
            along = lambda v: v.reshape(-1, *[1] * (x.ndim - 2))
            return along(self.scale) * x + along(self.shift)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="No gradient passes through the frozen layer, so nothing before it trains. Its tensors are constants, its input isn't.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def forward(self, x):
            with torch.no_grad():
                return super().forward(x)
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="The four tensors are views of the old layer's, which an optimiser that was made before still holds and moves. Clone them.")
def freeze_norms(net):
    class Frozen(_Frozen):
        def __init__(self, norm):
            super().__init__(norm)
            for name in ("weight", "bias", "running_mean", "running_var"):
                setattr(self, name, getattr(norm, name).detach())
    return _replaced(net, Frozen)


@wrong("frozen_norms", hint="The gradients that weight and bias hold are left, and an optimiser that is running goes on moving them. Set `grad = None`.")
def freeze_norms(net):
    for module in net.modules():
        if isinstance(module, _NORMS):
            module.requires_grad_(False)
            module.eval()
            module.train = lambda mode=True, module=module: module
    return net


@wrong("frozen_norms", hint="The new layers begin at weight 1, bias 0, mean 0 and variance 1. They are to keep what the old ones have.")
def freeze_norms(net):
    def fresh(norm):
        return _Frozen(type(norm)(norm.num_features, eps=norm.eps).to(norm.weight))
    return _replaced(net, fresh)


@wrong("frozen_norms", hint="The net is left in eval mode. All other layers stay as they are, each in its mode: only the batch norms change.")
def freeze_norms(net):
    return _replaced(net, _Frozen).eval()


@wrong("frozen_norms", hint="The whole net is put into train mode. All other layers stay as they are, also one that somebody has put into eval mode.")
def freeze_norms(net):
    return _replaced(net, _Frozen).train()


@wrong("frozen_norms", hint="You have frozen the whole net: none of its parameters trains any more. Only the batch norms' are to be frozen.")
def freeze_norms(net):
    for parameter in net.parameters():
        parameter.requires_grad_(False)
        parameter.grad = None
    return net


@wrong("frozen_norms", hint="A name with a dot isn't a path: `setattr(net, \"1.1\", …)` adds a layer under that name to the net itself, and the old one stays where "
                            "it is. Set the new layer in its parent: `net.get_submodule(…)` gives it.")
def freeze_norms(net):
    for name, child in list(net.named_modules()):
        if isinstance(child, _NORMS):
            setattr(net, name, _Frozen(child))
    return net


@wrong("frozen_norms", hint="The net isn't returned.")
def freeze_norms(net):
    _replaced(net, _Frozen)


# --- discriminative ---

def _groups(stages, rate_of):
    return [{"params": [p for p in stage.parameters() if p.requires_grad], "lr": rate_of(len(stages) - 1 - number)}
            for number, stage in enumerate(stages)]


@wrong("discriminative", hint="The order is upside down: the first stage trains fastest and the head slowest.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate / factor ** (len(stages) - 1 - distance))


@wrong("discriminative", hint="The rates grow towards the input. Divide by the factor, stage by stage, and don't multiply.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate * factor ** distance)


@wrong("discriminative", hint="The head's rate is divided too. It trains at `rate` itself, and the stage before it at rate/factor.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate / factor ** (distance + 1))


@wrong("discriminative", hint="The rate falls in proportion to the distance. Each stage's is that of the next one, divided: a power of the factor.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate / (factor * distance) if distance else rate)


@wrong("discriminative", hint="The rate falls like 1/(1 + factor·distance). Each stage's is that of the next one, divided: a power of the factor.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate / (factor * distance + 1))


@wrong("discriminative", hint="The number of stages is built in here. Count the ones that come: `len(stages)`.")
def layer_rates(stages, rate, factor=2.6):
    return [{"params": [p for p in stage.parameters() if p.requires_grad], "lr": rate / factor ** (4 - number)} for number, stage in enumerate(stages)]


@wrong("discriminative", hint="`stages.reverse()` turns the caller's list round. `reversed(stages)` leaves it as it is.")
def layer_rates(stages, rate, factor=2.6):
    stages.reverse()
    return [{"params": [p for p in stage.parameters() if p.requires_grad], "lr": rate / factor ** distance} for distance, stage in enumerate(stages)]


@wrong("discriminative", hint="All stages before the head have the same rate. Each is to be slower than the next by the factor.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate / factor if distance else rate)


@wrong("discriminative", hint="The factor is always 2.6, whatever the argument says.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate / 2.6 ** distance)


@wrong("discriminative", hint="A stage that has nothing to train is skipped in the count, so those before it train too fast. Every stage counts for the depth.")
def layer_rates(stages, rate, factor=2.6):
    groups, distance = [], 0
    for stage in reversed(stages):
        trained = [p for p in stage.parameters() if p.requires_grad]
        if trained:
            groups.append({"params": trained, "lr": rate / factor ** distance})
            distance += 1
    return groups


@wrong("discriminative", hint="A stage without any parameters is skipped in the count, so those before it train too fast. Every stage counts for the depth.")
def layer_rates(stages, rate, factor=2.6):
    stages = [stage for stage in stages if list(stage.parameters())]
    return _groups(stages, lambda distance: rate / factor ** distance)


@wrong("discriminative", hint="Frozen parameters are in the groups, and decay or leftover gradients move them. Take those with `requires_grad`.")
def layer_rates(stages, rate, factor=2.6):
    return [{"params": list(stage.parameters()), "lr": rate / factor ** distance} for distance, stage in enumerate(reversed(stages))]


@wrong("discriminative", hint="A stage of which a part is frozen is left out whole. Take those of its parameters that train.")
def layer_rates(stages, rate, factor=2.6):
    return [{"params": list(stage.parameters()), "lr": rate / factor ** distance} for distance, stage in enumerate(reversed(stages))
            if all(p.requires_grad for p in stage.parameters())]


@wrong("discriminative", hint="The group's rate has a key that the optimiser doesn't know. It is called \"lr\".")
def layer_rates(stages, rate, factor=2.6):
    return [{"params": [p for p in stage.parameters() if p.requires_grad], "rate": rate / factor ** distance}
            for distance, stage in enumerate(reversed(stages))]


@wrong("discriminative", hint="The depth counts every parameter tensor, not every stage. All of a stage trains at one rate.")
def layer_rates(stages, rate, factor=2.6):
    parameters = [p for stage in stages for p in stage.parameters()]
    return [{"params": [p], "lr": rate / factor ** distance} for distance, p in enumerate(reversed(parameters)) if p.requires_grad]


@wrong("discriminative", hint="The head is left out. It trains too, at `rate`.")
def layer_rates(stages, rate, factor=2.6):
    return _groups(stages, lambda distance: rate / factor ** distance)[:-1]


@wrong("discriminative", hint="Frozen parameters are in groups of their own, at the rate 0. The optimiser would keep a momentum for each of their numbers: leave them out.")
def layer_rates(stages, rate, factor=2.6):
    return [{"params": [p for p in stage.parameters() if p.requires_grad == trains], "lr": trains * rate / factor ** distance}
            for distance, stage in enumerate(reversed(stages)) for trains in (True, False)]


@wrong("discriminative", hint="The groups are empty. `recurse=False` gives a module's own parameters only, and a stage has none of its own; and `p.grad` is None "
                              "before the first backward pass: ask `p.requires_grad`.")
def layer_rates(stages, rate, factor=2.6):
    return [{"params": [p for p in stage.parameters(recurse=False) if p.requires_grad], "lr": rate / factor ** distance}
            for distance, stage in enumerate(reversed(stages))]


@wrong("discriminative", hint="The parameters of a group come as something that is spent after one pass. Make a list of them, which can be counted and "
                              "looked at again.")
def layer_rates(stages, rate, factor=2.6):
    return [{"params": filter(lambda p: p.requires_grad, stage.parameters()), "lr": rate / factor ** distance}
            for distance, stage in enumerate(reversed(stages))]


# --- gradual ---

@wrong("gradual", hint="At the first step nothing is open. The head trains from step 0 on: one more than `step // every`.")
def stages_open(step, every, count):
    return min(count, step // every)


@wrong("gradual", hint="The next stage opens a step too early: at step `every` − 1, counted from 0, only `every` − 1 steps have been made.")
def stages_open(step, every, count):
    return min(count, 1 + (step + 1) // every)


@wrong("gradual", hint="Rounded, a stage opens half of `every` too early. A stage more after every *full* `every` steps: `step // every`.")
def stages_open(step, every, count):
    return min(count, 1 + round(step / every))


@wrong("gradual", hint="An open stage isn't put into train mode: once closed, it stays in eval mode for good. `stage.train()`, whatever was before.")
def open_stages(stages, opened):
    for number, stage in enumerate(stages):
        if number >= len(stages) - opened:
            unfreeze(stage)
        else:
            freeze(stage)
            stage.eval()


@wrong("gradual", hint="When all are open it begins anew: that is the remainder. All stay open: `min(count, …)`.")
def stages_open(step, every, count):
    return 1 + (step // every) % count


@wrong("gradual", hint="The number of stages is built in here. It is the argument `count`.")
def stages_open(step, every, count):
    return min(4, 1 + step // every)


@wrong("gradual", hint="Only the batch norms of a closed stage are put into eval mode. All of it is to be: dropout too. `stage.eval()`.")
def open_stages(stages, opened):
    for number, stage in enumerate(stages):
        if number >= len(stages) - opened:
            unfreeze(stage)
            stage.train()
        else:
            freeze(stage)
            for module in stage.modules():
                if isinstance(module, _NORMS):
                    module.eval()


@wrong("gradual", hint="The number of steps for a stage is built in here. It is the argument `every`.")
def stages_open(step, every, count):
    return min(count, 1 + step // (5 if count < 9 else 1))


@wrong("gradual", hint="The number goes on growing when all stages are open.")
def stages_open(step, every, count):
    return 1 + step // every


@wrong("gradual", hint="The next stage opens a step too late: after `every` steps, that is at step number `every`, counted from 0.")
def stages_open(step, every, count):
    return min(count, 1 + max(0, step - 1) // every)


@wrong("gradual", hint="One stage is opened at every step, and `every` is forgotten.")
def stages_open(step, every, count):
    return min(count, 1 + step)


@wrong("gradual", hint="A fraction of a stage can't be open: `//` rounds down.")
def stages_open(step, every, count):
    return min(count, 1 + step / every)


def _set(stages, is_open):
    for number, stage in enumerate(stages):
        (unfreeze if is_open(number) else freeze)(stage)
        stage.train(is_open(number))


@wrong("gradual", hint="The first stages are opened, and the head last. It is the other way round: begin at the head.")
def open_stages(stages, opened):
    _set(stages, lambda number: number < opened)


@wrong("gradual", hint="Only the stage that is opened last trains, and those above it are closed again. They stay open.")
def open_stages(stages, opened):
    _set(stages, lambda number: number == len(stages) - opened)


@wrong("gradual", hint="One stage too many is open. With `opened` = 1 the head trains alone.")
def open_stages(stages, opened):
    _set(stages, lambda number: number >= len(stages) - opened - 1)


@wrong("gradual", hint="One stage too few is open: with `opened` = 1 the head trains, which is number `len(stages) - 1`. `>=`.")
def open_stages(stages, opened):
    _set(stages, lambda number: number > len(stages) - opened)


@wrong("gradual", hint="The frozen stages are left in train mode: their batch norms normalise by the batch, and their statistics move.")
def open_stages(stages, opened):
    for number, stage in enumerate(stages):
        (unfreeze if number >= len(stages) - opened else freeze)(stage)


@wrong("gradual", hint="Frozen stages are put in eval mode, and their weights train on: `freeze` is missing.")
def open_stages(stages, opened):
    for number, stage in enumerate(stages):
        stage.train(number >= len(stages) - opened)


@wrong("gradual", hint="Everything is frozen once and never opened: a stage that is open needs `unfreeze`, and train mode.")
def open_stages(stages, opened):
    for number, stage in enumerate(stages):
        if number < len(stages) - opened:
            freeze(stage)
            stage.eval()


@wrong("gradual", hint="Stages are opened and never closed: whatever was before, those below are to be frozen.")
def open_stages(stages, opened):
    for stage in stages[len(stages) - opened:]:
        unfreeze(stage)
        stage.train()


@wrong("gradual", hint="`stages[-opened:]` is the whole list for `opened` = 0, so everything trains when nothing should.")
def open_stages(stages, opened):
    for stage in stages:
        freeze(stage)
        stage.eval()
    for stage in stages[-opened:]:
        unfreeze(stage)
        stage.train()


@wrong("gradual", hint="The gradients that a closed stage holds are left, so that decay and momentum go on moving it. Your `freeze` drops them.")
def open_stages(stages, opened):
    for number, stage in enumerate(stages):
        stage.requires_grad_(number >= len(stages) - opened)
        stage.train(number >= len(stages) - opened)


@wrong("gradual", hint="The whole net is put in eval mode, the open stages as well. They train in train mode.")
def open_stages(stages, opened):
    for number, stage in enumerate(stages):
        (unfreeze if number >= len(stages) - opened else freeze)(stage)
        stage.eval()


# --- chooser ---

def _chosen(runs, per_class, likeness, budget, nearest=lambda n, m: abs(math.log(n / m)), told=None, cost_of=statistics.median, early=True,
            mean=statistics.mean, pick=min, likenesses=True, sizes=True, among_all=False):
    everything = runs
    runs = [run for run in runs if run["likeness"] == likeness or not likenesses]
    size = min({run["per_class"] for run in (everything if among_all else runs)}, key=lambda m: nearest(per_class, m))
    shares, seconds = {}, {}
    for run in runs:
        if run["per_class"] == size or not sizes:
            shares.setdefault(run["strategy"], {})[run["seed"]] = run["accuracy"]
            seconds.setdefault(run["strategy"], []).append(run["seconds"])
    cost = {name: cost_of(each) for name, each in seconds.items()}
    possible = [name for name in shares if cost[name] <= budget]
    best = max(possible if early else shares, key=lambda name: mean(shares[name].values()))

    told = told or _paired()
    by_seed = lambda name: [shares[name][seed] for seed in sorted(shares[name])]
    equal = [name for name in possible if name == best or not told(by_seed(best), by_seed(name))]
    return pick(equal or possible, key=cost.get)


def _paired(times=2.0, root=True, ddof=1):
    def told(a, b):
        apart = [x - y for x, y in zip(a, b)]
        spread = statistics.stdev(apart) if ddof else statistics.pstdev(apart)
        return statistics.mean(apart) > times * spread / (len(apart) ** 0.5 if root else 1)
    return told


@wrong("chooser", hint="A strategy that takes exactly the budget is out here. Out is what is above it.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget - 1e-9)


@wrong("chooser", hint="This always takes the highest mean, however close the others are. What can't be told from it counts as equal, and of equals the "
                       "cheapest is wanted.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, told=lambda *_: True)


@wrong("chooser", hint="This takes the cheapest of all, however bad. Only those that can't be told from the best are in question.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, told=lambda *_: False)


@wrong("chooser", hint="The differences aren't paired, or paired by the order of the runs and not by `seed`: the spread of the seeds, which both strategies "
                       "share, drowns them. Take the difference seed by seed, and its standard error.")
def choose(runs, per_class, likeness, budget):
    def told(a, b):
        error = (statistics.variance(a) / len(a) + statistics.variance(b) / len(b)) ** 0.5
        return statistics.mean(a) - statistics.mean(b) > 2 * error
    return _chosen(runs, per_class, likeness, budget, told=told)


@wrong("chooser", hint="This compares with twice the standard deviation of the differences. The standard error of their mean is smaller: divide by √n.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, told=_paired(root=False))


@wrong("chooser", hint="One standard error isn't two.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, told=_paired(1.0))


@wrong("chooser", hint="The differences are divided by n. With n − 1 the spread isn't underestimated: `statistics.stdev`, not `pstdev`.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, told=_paired(ddof=0))


@wrong("chooser", hint="The budget is forgotten: a strategy that takes longer is out.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, float("inf"))


@wrong("chooser", hint="The best is looked for among all strategies, also those that are too slow, and what is left is compared with it. First drop what "
                       "the budget doesn't allow.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, early=False)


@wrong("chooser", hint="The mean of the seconds counts here, which a single slow run spoils. The median is asked for.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, cost_of=statistics.mean)


@wrong("chooser", hint="Each run is held against the budget, so that a strategy is judged by its quick runs alone. It is out as a whole, or in with all of its runs: by "
                       "its median.")
def choose(runs, per_class, likeness, budget):
    return _chosen([run for run in runs if run["seconds"] <= budget], per_class, likeness, budget, told=_of_common)


def _of_common(a, b):
    n = min(len(a), len(b))
    return n > 1 and _paired()(a[:n], b[:n])


@wrong("chooser", hint="The best is taken by the median of its accuracies. It is the highest mean that is asked for.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, mean=statistics.median)


@wrong("chooser", hint="The likeness is forgotten: only runs with the same one count.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, likenesses=False)


@wrong("chooser", hint="The runs of all sizes are thrown together. Only those of the nearest measured size count.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, sizes=False)


@wrong("chooser", hint="The nearest size is looked for on a linear scale. From 150 images 400 are nearer than 10, by ratio: 2.7 times against 15.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, nearest=lambda n, m: abs(n - m))


@wrong("chooser", hint="The largest size that is at most `per_class` is taken, and not the nearest by ratio.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, nearest=lambda n, m: (m > n, -m if m <= n else m))


@wrong("chooser", hint="The cost is the mean of the seconds here, which a single slow run upsets. The median is asked for, for the cheapest as well.")
def choose(runs, per_class, likeness, budget):
    possible = [run for run in runs if run["likeness"] == likeness]
    size = min({run["per_class"] for run in possible}, key=lambda n: abs(math.log(per_class / n)))
    seconds = lambda name: [run["seconds"] for run in possible if run["per_class"] == size and run["strategy"] == name]
    names = [name for name in dict.fromkeys(run["strategy"] for run in possible) if statistics.median(seconds(name)) <= budget]
    left = [run for run in runs if run["strategy"] in names]
    return _chosen(left, per_class, likeness, 1e9, cost_of=statistics.mean)


@wrong("chooser", hint="The number of seeds is built in as 5. Count them.")
def choose(runs, per_class, likeness, budget):
    def told(a, b):
        apart = [x - y for x, y in zip(a, b)]
        return statistics.mean(apart) > 2 * statistics.stdev(apart) / 5 ** 0.5
    return _chosen(runs, per_class, likeness, budget, told=told)


@wrong("chooser", hint="This goes by each strategy's best seed. The mean over the seeds is what can be expected.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, mean=max)


@wrong("chooser", hint="Of those that can't be told from the best, this takes the most expensive.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, pick=max)


@wrong("chooser", hint="The nearest size is looked for among the runs of all likenesses, and may have none of the one that is asked for. First keep the "
                       "runs of the right likeness.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, among_all=True)


@wrong("chooser", hint="Of an even number of seconds this takes the lower one of the two in the middle. The median is their mean: `statistics.median`.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, cost_of=statistics.median_low)


@wrong("chooser", hint="Of an even number of seconds this takes the higher one of the two in the middle. The median is their mean: `statistics.median`.")
def choose(runs, per_class, likeness, budget):
    return _chosen(runs, per_class, likeness, budget, cost_of=statistics.median_high)


@wrong("chooser", hint="A strategy that is equal to the best at every seed is counted as told apart from it: 0 isn't above twice 0. `>`, not `>=`.")
def choose(runs, per_class, likeness, budget):
    def told(a, b):
        apart = [x - y for x, y in zip(a, b)]
        return statistics.mean(apart) >= 2 * statistics.stdev(apart) / len(apart) ** 0.5
    return _chosen(runs, per_class, likeness, budget, told=told)


@wrong("chooser", hint="The cheapest is the one with the fastest single run here. It is the lowest median that counts, as for the budget.")
def choose(runs, per_class, likeness, budget):
    fastest = lambda seconds: min(seconds) if statistics.median(seconds) <= budget else float("inf")
    return _chosen(runs, per_class, likeness, budget, cost_of=fastest)


def _in_question(runs, per_class, likeness, budget):
    """Of the strategies that keep to the budget, by name: the accuracies, seed by seed, and the cost."""
    runs = [run for run in runs if run["likeness"] == likeness]
    size = min({run["per_class"] for run in runs}, key=lambda n: abs(math.log(per_class / n)))
    shares, seconds = {}, {}
    for run in sorted(runs, key=lambda run: run["seed"]):
        if run["per_class"] == size:
            shares.setdefault(run["strategy"], []).append(run["accuracy"])
            seconds.setdefault(run["strategy"], []).append(run["seconds"])
    cost = {name: statistics.median(each) for name, each in seconds.items()}
    possible = [name for name in shares if cost[name] <= budget]
    return {name: shares[name] for name in possible}, {name: cost[name] for name in possible}


@wrong("chooser", hint="This goes down the means and stops at the first strategy that is told apart from the best. One further down, with differences that are "
                       "spread more widely, may not be: look at all.")
def choose(runs, per_class, likeness, budget):
    shares, cost = _in_question(runs, per_class, likeness, budget)
    best, *others = sorted(shares, key=lambda name: -statistics.mean(shares[name]))
    equal = [best]
    for name in others:
        if _paired()(shares[best], shares[name]):
            break
        equal.append(name)
    return min(equal, key=cost.get)


@wrong("chooser", hint="A strategy is out here as soon as any other is told apart from it. It is held against the best alone.")
def choose(runs, per_class, likeness, budget):
    shares, cost = _in_question(runs, per_class, likeness, budget)
    unbeaten = [name for name in shares if not any(_paired()(shares[other], shares[name]) for other in shares if other != name)]
    return min(unbeaten or shares, key=cost.get)


@wrong("chooser", hint="`runs.sort(…)` puts the caller's list into another order. `sorted(runs, …)` makes a new one.")
def choose(runs, per_class, likeness, budget):
    runs.sort(key=lambda run: run["seed"])
    return _chosen(runs, per_class, likeness, budget)


# --- accumulation ---

@wrong("accumulation", hint="The parts' mean losses are added up as they are: with k parts the step is k times too large. Weight each by its share of the images.")
def accumulated_step(net, optimizer, parts):
    optimizer.zero_grad()
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        value += loss.item() * len(labels) / total
    optimizer.step()
    return value


@wrong("accumulation", hint="The parts' mean losses are added up as they are, in the gradient and in what is returned. Weight each by its share of the images.")
def accumulated_step(net, optimizer, parts):
    optimizer.zero_grad()
    value = 0.0
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="The optimiser steps after every part. One step is asked for, after the last.")
def accumulated_step(net, optimizer, parts):
    optimizer.zero_grad()
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        optimizer.step()
        value += loss.item()
    return value


@wrong("accumulation", hint="The parts are put together again, so that the whole batch has to fit after all. Take one after the other: that is what it is for.")
def accumulated_step(net, optimizer, parts):
    images, labels = (torch.cat(each) for each in zip(*parts))
    optimizer.zero_grad()
    loss = F.cross_entropy(net(images), labels)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("accumulation", hint="The parts pass through the net without a gradient, and the step is made on the whole batch at once, which has to fit after all. "
                            "Each part needs a backward of its own.")
def accumulated_step(net, optimizer, parts):
    with torch.no_grad():
        for images, _ in parts:
            net(images)
    hooks = {module: dict(module._forward_pre_hooks) for module in net.modules()}
    for module in hooks:
        module._forward_pre_hooks.clear()
    images, labels = (torch.cat(each) for each in zip(*parts))
    optimizer.zero_grad()
    loss = F.cross_entropy(net(images), labels)
    loss.backward()
    optimizer.step()
    for module in hooks:
        module._forward_pre_hooks.update(hooks[module])
    return loss.item()


@wrong("accumulation", hint="The net is put into eval mode. It is to stay in the mode that it is in, each layer in its own.")
def accumulated_step(net, optimizer, parts):
    net.eval()
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="Dividing by the number of parts gives an image in a small part more weight than one in a large part. Weight by `len(labels) / total`.")
def accumulated_step(net, optimizer, parts):
    optimizer.zero_grad()
    value = 0.0
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) / len(parts)
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="The parts' weights are relative to the first part's size. They are to be relative to all images.")
def accumulated_step(net, optimizer, parts):
    optimizer.zero_grad()
    value, first = 0.0, len(parts[0][1])
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / (first * len(parts))
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="The losses are summed over the images. Divide by their number: the mean is asked for.")
def accumulated_step(net, optimizer, parts):
    optimizer.zero_grad()
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels, reduction="sum")
        loss.backward()
        value += loss.item() / total
    optimizer.step()
    return value


@wrong("accumulation", hint="The optimiser steps after every part, on that part's gradient alone. Gradients are to add up: clear them once, before the first part, "
                            "and step once, after the last.")
def accumulated_step(net, optimizer, parts):
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    for images, labels in parts:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        optimizer.step()
        value += loss.item()
    return value


@wrong("accumulation", hint="Every part has a step of its own, and counts in it as if it were the whole batch. Clear the gradients once, weight each part by its share "
                            "of the images, and step once, after the last.")
def accumulated_step(net, optimizer, parts):
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    for images, labels in parts:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels)
        loss.backward()
        optimizer.step()
        value += loss.item() * len(labels) / total
    return value


@wrong("accumulation", hint="The gradients are cleared before every part, so that only the last part's are left. Clear them once.")
def accumulated_step(net, optimizer, parts):
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    for images, labels in parts:
        optimizer.zero_grad()
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="Gradients from before are still there at the beginning, and count. Clear them first.")
def accumulated_step(net, optimizer, parts):
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        value += loss.item()
    optimizer.step()
    optimizer.zero_grad()
    return value


@wrong("accumulation", hint="What is returned is the last part's loss. The mean over all images is asked for.")
def accumulated_step(net, optimizer, parts):
    total = sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels)
        (loss * len(labels) / total).backward()
    optimizer.step()
    return loss.item()


@wrong("accumulation", hint="The gradients are right, and what is returned is the mean of the parts' means, in which images of small parts count more.")
def accumulated_step(net, optimizer, parts):
    total, losses = sum(len(labels) for _, labels in parts), []
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels)
        (loss * len(labels) / total).backward()
        losses.append(loss.item())
    optimizer.step()
    return sum(losses) / len(losses)


@wrong("accumulation", hint="The optimiser never steps.")
def accumulated_step(net, optimizer, parts):
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        value += loss.item()
    return value


@wrong("accumulation", hint="The net is put into train mode. It is to stay in the mode that it is in: whoever froze a part of it had a reason.")
def accumulated_step(net, optimizer, parts):
    net.train()
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="All parts' graphs are alive until one backward at the end, and that is the memory of the whole batch. One backward for each "
                            "part, before the next is taken.")
def accumulated_step(net, optimizer, parts):
    total = sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    loss = sum(F.cross_entropy(net(images), labels) * len(labels) / total for images, labels in parts)
    loss.backward()
    optimizer.step()
    return loss.item()


@wrong("accumulation", hint="All parts' graphs are alive until one backward at the end, and that is the memory of the whole batch. One backward for each "
                            "part, before the next is taken. And the mean is to be returned as a float: `.item()`.")
def accumulated_step(net, optimizer, parts):
    total = sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    loss = sum(F.cross_entropy(net(images), labels) * len(labels) / total for images, labels in parts)
    loss.backward()
    optimizer.step()
    return loss


@wrong("accumulation", hint="`retain_graph=True` keeps a part's graph when its backward is done, while the next part makes its own. Leave it out.")
def accumulated_step(net, optimizer, parts):
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward(retain_graph=True)
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="A tensor is returned. The mean is asked for as a float, which holds on to no graph: add up `loss.item()`.")
def accumulated_step(net, optimizer, parts):
    value, total = 0.0, sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
        value += loss
    optimizer.step()
    return value


@wrong("accumulation", hint="The losses are summed over the images, in the gradient and in what is returned. Divide by the number of all images: the mean is "
                            "asked for.")
def accumulated_step(net, optimizer, parts):
    optimizer.zero_grad()
    value = 0.0
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels, reduction="sum")
        loss.backward()
        value += loss.item()
    optimizer.step()
    return value


@wrong("accumulation", hint="What is returned is the last part's share of the loss. Add up the shares of all parts.")
def accumulated_step(net, optimizer, parts):
    total = sum(len(labels) for _, labels in parts)
    optimizer.zero_grad()
    for images, labels in parts:
        loss = F.cross_entropy(net(images), labels) * len(labels) / total
        loss.backward()
    optimizer.step()
    return loss.item()


# --- training ---

def _tuned(net, images, labels, rate=0.03, steps=150, parameters=None, after_step=None):
    optimizer = torch.optim.SGD(parameters or net.parameters(), rate, momentum=0.9, weight_decay=5e-4)
    tuning.train(net, images, labels, optimizer, steps, after_step=after_step)
    return net.eval()


@wrong("training", hint="This net doesn't begin from the source's weights", trains="from scratch")
def fine_tune(source, images, labels, classes, after_step=None):
    return _tuned(pretrained.untrained(classes), images, labels, 0.1, after_step=after_step)


@wrong("training", hint="does something set it back, or make a new one?")
def fine_tune(source, images, labels, classes, after_step=None):
    net = pretrained.with_new_head(source, classes)
    for module in net.modules():  # meant for the head
        if hasattr(module, "reset_parameters"):
            module.reset_parameters()
    return _tuned(net, images, labels, after_step=after_step)


@wrong("training", hint="Is a `return` missing?")
def fine_tune(source, images, labels, classes, after_step=None):
    net = pretrained.with_new_head(source, classes)
    _tuned(net, images, labels, steps=2, after_step=after_step)


@wrong("training", hint="a head for the 5 new classes")
def fine_tune(source, images, labels, classes, after_step=None):
    # The source's own head goes on, with the first of its outputs for the new classes.
    return _tuned(copy.deepcopy(source), images, labels, steps=2, after_step=after_step)


@wrong("training", hint="changes the source net that it is given")
def fine_tune(source, images, labels, classes, after_step=None):
    source.head[-1] = nn.Linear(source.head[-1].in_features, classes)
    return _tuned(source, images, labels, steps=2, after_step=after_step)


@wrong("training", hint="whoever fine-tunes it next begins with something else")
def fine_tune(source, images, labels, classes, after_step=None):
    source.train()(images)  # its statistics move
    return _tuned(pretrained.with_new_head(source, classes), images, labels, steps=2, after_step=after_step)


@wrong("training", hint="its weights, its mode, and which of its parameters train")
def fine_tune(source, images, labels, classes, after_step=None):
    net = pretrained.with_new_head(source, classes)
    freeze(source)
    return _tuned(net, images, labels, steps=2, after_step=after_step)


@wrong("training", hint="it isn't the source net with a new head")
def fine_tune(source, images, labels, classes, after_step=None):
    net = nn.Sequential(source, nn.Linear(20, classes))
    return _tuned(net, images, labels, steps=2, after_step=after_step)


@wrong("training", hint="the training has diverged")
def fine_tune(source, images, labels, classes, after_step=None):
    return _tuned(pretrained.with_new_head(source, classes), images, labels, 1e9, steps=10, after_step=after_step)


@wrong("training", hint="do the labels still belong to the images", trains="labels of other images")
def fine_tune(source, images, labels, classes, after_step=None):
    net = pretrained.with_new_head(source, classes)
    return _tuned(net, images, labels.roll(1 + len(labels) // classes // 2).roll(len(labels) // classes), after_step=after_step)


@wrong("training", hint="has the source's body to the last bit", trains="an untrained copy")
def fine_tune(source, images, labels, classes, after_step=None):
    net = pretrained.with_new_head(source, classes)
    _tuned(copy.deepcopy(net), images, labels, steps=5, after_step=after_step)
    return net


@wrong("training", hint="get enough steps", trains="five steps")
def fine_tune(source, images, labels, classes, after_step=None):
    return _tuned(pretrained.with_new_head(source, classes), images, labels, 0.01, 5, after_step=after_step)


@wrong("training", hint="is the rate so large that nothing of the source is left")
def fine_tune(source, images, labels, classes, after_step=None):
    return _tuned(pretrained.with_new_head(source, classes), images, labels, 3.0, after_step=after_step)
