"""A module of the learner's with weights of ours: how checks tell whether a rebuilt net is the net that was asked for.

The check's numbers are laid into the parameters in the order in which they were made, so that names and style are free.
`filled`, `behaviour` and `of_module` are sent to the submission's side as source, and use nothing but torch.
"""

import torch

from course_lib import expect
from course_lib.verdict import Failed


def filled(net, numbers, images=None):
    """`net` in float64 with the check's weights: `numbers` in the order of its parameters, of a size that suits each.

    images: passed through the net before, so that lazy layers have their weights. Raises PlainList where layers are kept so that the
    net doesn't have them.
    """
    registered = {id(module) for module in net.modules()}

    def lost(value):
        if isinstance(value, torch.nn.Module):
            return id(value) not in registered and any(True for _ in value.parameters())
        return isinstance(value, (list, tuple, dict)) and any(map(lost, value.values() if isinstance(value, dict) else value))

    for module in net.modules():
        for name, value in vars(module).items():
            if isinstance(value, (list, tuple, dict)) and lost(value):
                kind = "nn.ModuleDict" if isinstance(value, dict) else "nn.ModuleList"
                raise type("PlainList", (TypeError,), {})(
                    f"`{name}` of `{type(module).__name__}` is a {type(value).__name__} of modules. PyTorch doesn't find their parameters "
                    f"in there, and an optimiser would never move them: make it an `{kind}`, or an `nn.Sequential`.")
    net, place = net.double(), 0
    with torch.no_grad():
        if images is not None:
            net.eval()(images * 1)
        for parameter in net.parameters():
            taken = numbers[(place + torch.arange(parameter.numel())) % len(numbers)]
            inputs = parameter[0].numel() if parameter.ndim > 1 else 4
            parameter.copy_(taken.reshape(parameter.shape) * (2 / inputs) ** 0.5)
            place += parameter.numel()
    return net


def behaviour(net, numbers, images):
    """What a net is and does: its parameters' shapes, and with the check's weights its outputs and its gradient. Where there is no net,
    or it gives no tensor, the name of the type of what there is."""
    if net is None:
        return "NoneType"
    net = filled(net, numbers, images).train()
    shapes = ["×".join(map(str, parameter.shape)) for parameter in net.parameters()]
    some = lambda values: values.flatten()[::max(1, values.numel() // 40)]  # enough to tell, and little to record
    x = images.clone().requires_grad_()
    trained = net(x * 1)
    if not isinstance(trained, torch.Tensor):
        return type(trained).__name__
    weights = torch.cos(torch.arange(trained.numel(), dtype=torch.float64)).reshape(trained.shape)
    gradient, = torch.autograd.grad((trained * weights).sum(), x)
    with torch.no_grad():
        evaluated = net.eval()(images * 1)
    return {"parameters": shapes, "the output's shape": "×".join(map(str, trained.shape)), "some of the output in train mode": some(trained),
            "some of the output in eval mode": some(evaluated), "some of the gradient at the input": some(gradient)}


def of_module(names, name, args, numbers, images):
    """The behaviour of what `name(*args)` makes."""
    return behaviour(getattr(names, name)(*args), numbers, images)


def agree_module(student, reference, what, probe, *args):
    """The probe, `of_module` or one like it, sees the same module in the submission as in the reference."""
    got, want = (side.run(probe, *args, using=[filled, behaviour]) for side in (student, reference))
    if isinstance(got, str):
        raise Failed(f"{what} gives back nothing. Is a `return` missing?" if got == "NoneType" else
                     f"{what} should give back one tensor; it gives a {got[:20]}.")
    if isinstance(got, dict) and isinstance(got.get("parameters"), list):
        _same_parameters([str(shape) for shape in got["parameters"]], want["parameters"], what)
    expect.same(got, want, what, rtol=1e-8, atol=1e-9)


def _same_parameters(got, want, what):
    """The same shapes in the same order, or a sentence about what is too many, missing or out of order."""
    if got == want:
        return
    extra, missing = list(got), []
    for shape in want:
        extra.remove(shape) if shape in extra else missing.append(shape)
    if not extra and not missing:
        raise Failed(f"{what} has the right parameters, made in another order. Make the modules in the order in which the data "
                     "pass through them, branches from first to last; a shortcut comes after its main path.")
    part = lambda kind, shapes: f"{len(shapes)} {kind}, of the shape {' or '.join(dict.fromkeys(shapes))}"[:200]
    raise Failed(f"{what} doesn't have the parameters it should have: " + "; ".join(
        part(kind, shapes) for kind, shapes in (("too many", extra), ("missing", missing)) if shapes) + ".")
