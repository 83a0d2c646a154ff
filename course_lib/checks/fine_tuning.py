"""The checks of the lesson `fine_tuning`."""

import torch
import torch.nn.functional as F

from course_lib import classify, expect, pretrained
from course_lib.check import check
from course_lib.modules import filled
from course_lib.verdict import Failed


# --- a net of the check's own ---

def staged(numbers):
    """A net of four stages and batch norm at several depths, in train mode with the check's weights: (n, 2, 6, 6) → (n, 3)."""
    nn = torch.nn
    conv = lambda inputs, outputs: [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs, eps=0.1), nn.LeakyReLU(0.2)]
    net = nn.Sequential(nn.Sequential(*conv(2, 3)), nn.Sequential(*conv(3, 4), nn.Sequential(*conv(4, 4))), nn.Sequential(*conv(4, 3)),
                        nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.BatchNorm1d(12, eps=0.1), nn.Linear(12, 3)))
    filled(net, numbers)
    for module in net.modules():
        if hasattr(module, "running_mean"):
            count = len(module.running_mean)
            module.running_mean.copy_(numbers[:count])
            module.running_var.copy_(0.5 + numbers[count:2 * count] ** 2)
    return net


def a_step(net, optimizer, images, labels, before=None):
    """One step as many training loops make it: in train mode, with gradients set to zeros rather than dropped."""
    net.train()
    if before is not None:
        before()
    optimizer.zero_grad(set_to_none=False)
    torch.nn.functional.cross_entropy(net(images), labels).backward()
    optimizer.step()


def tensors(*modules):
    """All numbers of the modules, parameters and then buffers, in one row."""
    return torch.cat([value.detach().double().flatten() for module in modules for value in (*module.parameters(), *module.buffers())])


def weights(module):
    """All numbers of a module's parameters in one row."""
    return torch.cat([value.detach().flatten() for value in module.parameters()])


def _bitwise(got, want, what):
    """The one is, to the last bit, the other."""
    expect.true(torch.equal(got, want), f"{what} should be the same to the last bit; it has moved.")


# --- features and the probe ---

def remembered(names, numbers, images, batch):
    """Features by a body whose parts are in different modes, and what the body does afterwards."""
    body, seen = staged(numbers)[:3].train(), []
    body[1][3][1].eval()

    class Narrow(torch.nn.Module):  # a hook could be taken off for a while; too many images at once get other features here
        def forward(self, x):
            seen.append(len(x))
            return x if len(x) <= batch else 2 * x

    body.insert(0, Narrow())
    features = names.features_of(body, images, batch)
    shape, graph, greatest = list(features.shape), bool(features.requires_grad), max(seen, default=0)
    modes = [module.training for module in body.modules()]
    asleep = staged(numbers)[:3].eval()
    names.features_of(asleep, images, batch)
    return {"the features' shape": shape, "the greatest number of images that the body gets at a time": greatest,
            "the features": features.detach(), "whether they carry a graph": graph,
            "whether they were made in inference mode": features.is_inference(),
            "the modes of the body's modules afterwards": modes, "whether a body in eval mode is in train mode afterwards": asleep.training,
            "the body's own answers afterwards": body(images).detach(),
            "its statistics": tensors(body), "whether the body can still be trained": body(images).requires_grad}


def flat_features(names, numbers, images):
    """Features of a body that gives (n, d) already, with fewer images than a batch."""
    return names.features_of(staged(numbers)[:3].append(torch.nn.Flatten()), images)


def form(names, features, labels):
    """How the probe's numbers come."""
    weight, bias = names.linear_probe(features, labels, 4)
    if not (isinstance(weight, torch.Tensor) and isinstance(bias, torch.Tensor)):
        return {"whether they are tensors": False}
    learned = names.linear_probe(features.clone().requires_grad_(), labels, 4)  # of a body that trains
    return {"whether they are tensors": True, "whether they have the features' type": weight.dtype == bias.dtype == features.dtype,
            "whether they carry a graph": bool(weight.requires_grad or bias.requires_grad),
            "whether they carry one where the features want a gradient": any(each.requires_grad for each in learned)}


def _at_the_optimum(features, labels, weight, bias, decay):
    """The objective's gradient at this weight and bias, in float64, is 0 as nearly as the exercise asks."""
    features, weight, bias = features.double(), weight.double(), bias.double()
    error = ((features @ weight.T + bias).softmax(1) - F.one_hot(labels, len(bias))) / len(labels)
    left = max((error.T @ features + decay * weight).abs().max().item(), error.sum(0).abs().max().item())
    expect.true(left < 1e-6, f"{UNFINISHED} Here the gradient is still {left:.0e} somewhere; less than 1e-6 is asked for.")


UNFINISHED = ("`linear_probe` stops before the optimum. Compute in float64, also for features in float32, and go on until the gradient is 0: "
              "`torch.optim.LBFGS` gives up early unless it gets a large `max_iter` and tolerances far below its own.")


def _weight_and_bias(answer, size):
    """What `linear_probe` gives for four classes and features of this size, in float64."""
    if not isinstance(answer, (list, tuple)) or len(answer) != 2:
        raise Failed("`linear_probe` should give two tensors: the weight and the bias.")
    return [expect.tensor(each, f"`linear_probe`, {name}", shape).double()
            for each, name, shape in zip(answer, ("the weight", "the bias"), ((4, size), (4,)))]


@check(points=3)
def probing(student, reference, draw):
    """Features without a trace, and the linear probe at its one optimum."""
    numbers, images = draw.normal(400), draw.normal(7, 2, 6, 6)
    expect.agree_run(student, reference, remembered, numbers, images, 3, using=[filled, staged, tensors], what="`features_of`")
    expect.agree_run(student, reference, flat_features, numbers, images, using=[filled, staged], what="`features_of`, of a body that gives (n, d)")
    labels, answered = torch.cat([torch.arange(4), draw.integers(0, 4, 26)]), []
    for size, decay in ((1.0, (0.05,)), (4.0, (0.3,)), (1.0, ())):
        features = size * draw.normal(30, 5) + draw.normal(5)
        answer = student.linear_probe(features, labels, 4, *decay)
        wanted = reference.linear_probe(features, labels, 4, *decay)
        weight, bias = _weight_and_bias(answer, 5)
        # A constant added to all classes changes nothing, in the bias; in the weight the decay forbids it. How near they are to it is asked
        # last: here two searches that stop too early can come out equal, each for a reason of its own.
        expect.same(weight, wanted[0], "`linear_probe`, the weight", rtol=1e-2, atol=1e-2)
        expect.same(bias - bias.mean(), wanted[1] - wanted[1].mean(), "`linear_probe`, the bias (up to a constant)", rtol=1e-2, atol=1e-2)
        answered.append((features, labels, weight, bias, *(decay or (0.01,))))
    expect.agree_run(student, reference, form, features.float(), labels, what="`linear_probe`, asked for what it gives")
    # Features as a ReLU gives them, with much in common: what is too slow or too coarse a search shows here.
    features = ((draw.normal(40, 8) + 0.5).relu() * draw.uniform(8, low=0.3, high=1.0) + 3 * draw.uniform(40, 1)).float()
    labels = torch.cat([torch.arange(4), draw.integers(0, 4, 36)])
    _at_the_optimum(features, labels, *_weight_and_bias(student.linear_probe(features, labels, 4, 0.002), 8), 0.002)
    for each in answered:
        _at_the_optimum(*each)


# --- freezing ---

def frozen_on_the_way(names, numbers, images, labels):
    """A stage is frozen and thawed again while an optimiser with momentum and decay goes on."""
    net = staged(numbers)
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=0.3)
    for _ in range(2):
        a_step(net, optimizer, images, labels)
    at_first = weights(net[1])
    names.freeze(net[1])
    left = [parameter.grad.abs().sum() for parameter in net[1].parameters() if parameter.grad is not None]
    for _ in range(2):
        a_step(net, optimizer, images, labels)
    frozen, around = weights(net[1]), tensors(net[0], net[2], net[3])
    names.unfreeze(net[1])
    a_step(net, optimizer, images, labels)
    thawed = tensors(net)
    names.freeze(net[3][3])
    fresh = staged(numbers)
    names.freeze(fresh[1])
    still_train = [parameter.requires_grad for parameter in fresh[1].parameters()]
    a_step(net, optimizer, images, labels)
    return {"the frozen stage, when it was frozen": at_first, "the frozen stage, two steps later": frozen,
            "what is left in its gradients": left, "the stages around it": around,
            "whether what never had a gradient still trains": still_train,
            "all weights a step after `unfreeze`": thawed, "all weights a step after a single layer was frozen": tensors(net)}


def optimised(names, numbers, images, labels, rate, *settings):
    """Weights after steps of the learner's optimiser with gradients of 2 laid into all parameters, the frozen ones' as well."""
    net = staged(numbers)
    for frozen in (net[0], net[2]):
        for parameter in frozen.parameters():
            parameter.requires_grad_(False)
    optimizer = names.make_optimizer(net, rate, *settings)
    for _ in range(3):
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, 2.0)  # with 1, a step of SGD and one of Adam are equal
        optimizer.step()
    return {"the stages that don't train": tensors(net[0], net[2]), "the stages that do": tensors(net[1], net[3]),
            "how many numbers the optimiser holds": sum(parameter.numel() for group in optimizer.param_groups for parameter in group["params"])}


@check(points=2)
def freezing(student, reference, draw):
    """Frozen parameters stay to the last bit, and an optimiser holds only what trains."""
    numbers, images, labels = draw.normal(400), draw.normal(8, 2, 6, 6), draw.integers(0, 3, 8)
    got = expect.agree_run(student, reference, frozen_on_the_way, numbers, images, labels, using=[filled, staged, a_step, tensors, weights],
                           what="a net with a frozen stage")
    _bitwise(got["the frozen stage, two steps later"], got["the frozen stage, when it was frozen"], "A frozen stage")
    for settings in ((0.1,), (0.1, 0.5, 0.2), (0.03, 0.0, 0.4)):
        got = expect.agree_run(student, reference, optimised, numbers, images, labels, *settings, using=[filled, staged, tensors],
                               what="three steps with `make_optimizer`")
        sent = staged(numbers)
        _bitwise(got["the stages that don't train"], tensors(sent[0], sent[2]), "A stage that doesn't train")


# --- frozen batch norm ---

def shape_of_rows(names, rows):
    """The shape of what a frozen BatchNorm1d makes of (n, c)."""
    head = torch.nn.Sequential(torch.nn.BatchNorm1d(rows.shape[1])).double().eval()
    names.freeze_norms(head)
    return {"the shape of what a frozen BatchNorm1d makes of (n, c)": list(head(rows).shape)}


def with_frozen_norms(names, numbers, images, labels):
    """A net trained before and after its batch norms were frozen."""
    nn = torch.nn
    import copy
    net = staged(numbers)
    net[2].append(nn.GroupNorm(3, 3).double())
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=0.3)
    a_step(net, optimizer, images[0], labels)
    norms = [name for name, module in net.named_modules() if hasattr(module, "running_mean")]

    def four_of(net):
        state = net.state_dict()
        found = [state.get(f"{norm}.{name}") for norm in norms for name in ("weight", "bias", "running_mean", "running_var")]
        return torch.cat(found).clone() if all(isinstance(each, torch.Tensor) for each in found) else "not all in the state dict"

    others = lambda named: [value for name, value in named if not any(f"{name}.".startswith(norm + ".") for norm in norms)]
    net[0].eval()
    at_first = four_of(net)
    returned = names.freeze_norms(net) is net
    if any("." in name for module in net.modules() for name, _ in module.named_children()):
        return {"dotted": True}
    if not any(parameter.requires_grad for parameter in others(net.named_parameters())):
        return {"whole": True}
    modes = [module.training for module in others(net.named_modules())]
    at_once = net(images[1]).detach()
    x = images[1].clone().requires_grad_()
    for stage in net.train():  # a stage by itself, as `open_stages` does it
        stage.train()
    inner = net[:3](x)
    gradient, = torch.autograd.grad((inner * torch.cos(torch.arange(inner.numel())).reshape(inner.shape)).sum(), x, allow_unused=True)
    a_step(net, optimizer, images[1], labels)
    one_step_later = four_of(net)
    net.requires_grad_(True)  # as `unfreeze` and `open_stages` do
    fresh = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=0.3)
    for _ in range(2):
        a_step(net, fresh, images[2], labels)
    all_others = torch.cat([value.flatten() for value in others(net.state_dict().items())])
    aside = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(1.0)).double()
    names.freeze_norms(aside)
    copied = copy.deepcopy(net).eval()
    copied.load_state_dict({name: 2 * value for name, value in net.state_dict().items()}, strict=False)
    return {"whether the net itself is returned": returned, "its answers at once": at_once, "the inner features in train mode": inner.detach(),
            "the gradient at the input": "none" if gradient is None else gradient, "the norms' four tensors when frozen": at_first,
            "the norms' four tensors a step later": one_step_later,
            "the norms' four tensors two steps after all parameters were let train again": four_of(net), "all other weights then": all_others,
            "the answers in train mode": net.train()(images[1]).detach(), "the answers in eval mode": net.eval()(images[1]).detach(),
            "the answers of a copy that a state dict was loaded into": copied(images[1]).detach(),
            "the answers of batch norm and dropout in train mode": aside.train()(images[0, :, :, 0, 0]).detach(),
            "the modes of all other modules": modes}


NORM_FAULTS = {
    "dotted": "A name with a dot isn't a path: `setattr(net, \"1.1\", …)` adds a layer under that name to the net itself, and the old one stays where it is. "
              "Set the new layer in its parent: `net.get_submodule(…)` gives it.",
    "whole": "You have frozen the whole net: none of its parameters trains any more. Only the batch norms' are to be frozen.",
}


@check(points=3)
def frozen_norms(student, reference, draw):
    """Batch norm frozen in both senses, and staying so."""
    images = torch.stack([draw.normal(6, 2, 6, 6), 3 + 2 * draw.normal(6, 2, 6, 6), draw.normal(6, 2, 6, 6) - 2])
    expect.agree_run(student, reference, shape_of_rows, draw.branch("rows").normal(6, 5), what="a net with a frozen norm")
    asked = [draw.normal(400), images, draw.integers(0, 3, 6)]
    got, want = (side.run(with_frozen_norms, *asked, using=[filled, staged, a_step]) for side in (student, reference))
    for fault, hint in NORM_FAULTS.items():
        expect.true(not (isinstance(got, dict) and fault in got), hint)
    expect.same(got, want, "a net with frozen norms", rtol=1e-10, atol=1e-10)
    for later in ("a step later", "two steps after all parameters were let train again"):
        _bitwise(got[f"the norms' four tensors {later}"], got["the norms' four tensors when frozen"], "A frozen norm's tensors")


# --- rates by depth ---

def one_step_by_depth(names, numbers, first, rate, *factor):
    """Weights after a step of an optimiser with the learner's groups, gradients of 1 everywhere: the rates make the difference."""
    net = staged(numbers)
    stages = [net[0], torch.nn.ReLU(), net[1], net[2], net[3]][first:]
    given = list(stages)
    for parameter in (*net[1][3].parameters(), *net[2].parameters()):
        parameter.requires_grad_(False)
    groups = list(names.layer_rates(stages, rate, *factor))
    listed = all(isinstance(group, dict) and isinstance(group.get("params"), (list, tuple)) for group in groups)
    optimizer = torch.optim.SGD(groups, lr=100.0)  # for a group that says nothing
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return {"the head": tensors(net[3]), "the stage before it, frozen": tensors(net[2]), "the stage before that, half frozen": tensors(net[1]),
            "the first stage": tensors(net[0]), "how many numbers are in the groups": sum(
                parameter.numel() for group in optimizer.param_groups for parameter in group["params"]), "whether the list of stages is as it was": stages == given,
            "whether the params of each group are a list": listed}


@check(points=2)
def discriminative(student, reference, draw):
    """A learning rate for each stage, by depth (Howard & Ruder 2018)."""
    numbers = draw.normal(400)
    for first, factor in enumerate(((), (draw.number(1.3, 2.0),), (draw.number(3.0, 5.0),))):
        expect.agree_run(student, reference, one_step_by_depth, numbers, first, draw.number(0.1, 0.9), *factor, using=[filled, staged, tensors],
                         what="a step with `layer_rates`")


# --- gradual unfreezing ---

def open_now(names, numbers, opened):
    """What trains, and what is in train mode, when so many stages of a net in train mode have just been opened."""
    net = staged(numbers)
    names.open_stages(list(net), opened)
    return {"whether all of a stage trains, for each": [all(parameter.requires_grad for parameter in stage.parameters()) for stage in net],
            "whether some of it does": [any(parameter.requires_grad for parameter in stage.parameters()) for stage in net],
            "the modes of all modules": [module.training for module in net.modules()][1:]}


def opened_by_and_by(names, numbers, images, labels, every):
    """A net whose stages are opened one by one, under an optimiser with momentum and decay that holds all of them."""
    net = staged(numbers)
    stages = list(net)
    modes = lambda: [module.training for module in net.modules()][1:]
    optimizer = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9, weight_decay=0.3)
    history = {}
    for step in range(4 * every):
        count = names.stages_open(step, every, len(stages))
        a_step(net, optimizer, images, labels, lambda: names.open_stages(stages, count))
        history[f"all weights and statistics after step {step}"] = tensors(net)
        if step == every - 1:
            history["the stages that aren't open yet"] = tensors(net[0], net[1], net[2])
    before = tensors(net[0], net[1])
    for _ in range(2):
        a_step(net, optimizer, images, labels, lambda: names.open_stages(stages, 2))
    history["two lower stages, all open, before they are closed"] = before
    history["the same, closed, two steps later"] = tensors(net[0], net[1])
    history["the upper stages then"] = tensors(net[2], net[3])
    net.train()
    names.open_stages(stages, 0)
    answers = net(images)
    history["the modes of all modules with no stage open"] = modes()
    history["the answers with no stage open"] = answers.detach()
    history["whether they can be trained"] = answers.requires_grad
    names.open_stages(stages, 4)
    history["the answers with all stages open again, in train mode"] = net(images).detach()
    return history


@check(points=2, needs=["freezing"])
def gradual(student, reference, draw):
    """Gradual unfreezing, stage by stage from the head."""
    for step, every, count in ((0, 5, 4), (3, 5, 4), (4, 5, 4), (5, 5, 4), (14, 5, 4), (15, 5, 4), (102, 5, 4), (6, 1, 9),
                               *draw.branch("stages").integers(3, 30, 3, 3).tolist()):
        expect.agree(student, reference, "stages_open", step, every, count)
    numbers, images, labels = draw.normal(400), draw.normal(8, 2, 6, 6), draw.integers(0, 3, 8)
    for opened in (1, 2):
        expect.agree_run(student, reference, open_now, numbers, opened, using=[filled, staged], what=f"`open_stages` with {opened} open")
    got = expect.agree_run(student, reference, opened_by_and_by, numbers, images, labels, 2, using=[filled, staged, a_step, tensors],
                           what="gradual unfreezing")
    _bitwise(got["the same, closed, two steps later"], got["two lower stages, all open, before they are closed"], "A closed stage")
    _bitwise(got["the stages that aren't open yet"], tensors(*staged(numbers)[:3]), "A stage that isn't open yet")


# --- the chooser ---

def advice(names, tables):
    """What the learner's `choose` answers to each question about each table of runs."""
    def answer(runs, question):
        try:
            return names.choose(runs, *question)
        except (ValueError, IndexError) as error:
            if any(words in str(error) for words in ("empty", "data point", "out of range")):  # such as the max() of nothing
                return "nothing: none is left"
            raise

    answers, kept = [], True
    for runs, questions in tables:
        for question in questions:
            given = [dict(run) for run in runs]
            answers.append(answer(given, question))
            kept = kept and given == runs
    return {"its answers": answers, "whether the list of runs is as it was": kept}


SIZES = {"like": (10, 400), "unlike": (10, 150)}
NEAR = {("like", 10): [50, 3, 10], ("like", 400): [80, 150, 300, 5000], ("unlike", 10): [35, 3, 10], ("unlike", 150): [45, 300, 200, 5000]}


def _made_up_table(draw, cheapest, seeds):
    """(runs in a random order, questions about them). Of seven strategies in each quadrant the differences from the best are so many standard
    errors: 0, nearly 2, under 1, over 2, over 2√7, far more than any luck, and over 1. cheapest: which of these is the cheapest, by quadrant."""
    names, runs, questions = ["probe", "upper", "all", "depth", "gradual", "scratch", "norms"], [], []
    quadrants = [(size, likeness) for sizes in zip(*SIZES.values()) for size, likeness in zip(sizes, SIZES)]
    for (size, likeness), bargain in zip(quadrants, cheapest):
        luck = draw.normal(seeds, std=0.05)  # good and bad seeds, shared by all
        apart = [0.0, draw.number(1.85, 1.97), draw.number(0.3, 0.8), draw.number(2.1, 2.3), draw.number(5.6, 7.0), draw.number(60.0, 80.0),
                 draw.number(1.2, 1.6)]
        costs = draw.permutation(7) + draw.uniform(7, low=0.1, high=0.9) + 1
        costs[bargain] = 0.5
        if bargain in (3, 4, 5):  # which are told apart: then the second cheapest is the answer, and the budgets below are about its median
            costs[2] = 1.0
        if bargain == 3:
            costs[0] = 9.0
        order, patterns = draw.permutation(7), []
        for place, errors in enumerate(apart):
            pattern = draw.normal(seeds)
            pattern = (pattern - pattern.mean()) / pattern.std()
            # At the luckiest seed the second is the best of all, and the others are at their worst.
            pattern = pattern.roll((luck.argmax() - (pattern.argmin() if place == 1 else pattern.argmax())).item())
            if place == 3 and size == 10:  # a little worse than the second, and at every seed
                pattern = patterns[1]
            if place == 2 and size == 10 and bargain == 1:  # a little better than the cheapest, and at every seed; neither is the best
                pattern = patterns[1]
            patterns.append(pattern)
            # With many images the second is spread so widely that its mean is below that of one that is told apart.
            worse = (0.02 if place == 1 and size > 10 else 0.008) * (pattern + errors / seeds ** 0.5) * (place > 0)
            for seed in range(seeds):
                slow = 20 * (seed == 3) * (1.0 if place == bargain else draw.number(0.0, 0.2))  # one slow run makes the cheapest dear, on the mean
                took = costs[place].item() + draw.number(0.0, 0.05) + slow
                if seed == 1 and place == (2 if bargain == 0 else 0):
                    took = 0.25  # one fast run, of a dearer one
                runs.append({"strategy": names[order[place]], "per_class": size, "likeness": likeness, "seed": 7 * seed + 2,
                             "accuracy": round((0.8 + luck[seed] - worse[seed]).item(), 6), "seconds": round(1024 * took) / 1024})
        near = NEAR[likeness, size]
        taken = sorted(run["seconds"] for run in runs[-seeds * len(apart):] if run["strategy"] == names[order[costs.argsort()[1]]])
        low, high = taken[(seeds - 1) // 2], taken[seeds // 2]  # the median is between them, or both
        budgets = [100.0, (low + high) / 2, (3 * low + high) / 4, *(costs.sort().values[count].item() + 0.06 for count in (0, 2, 4))]
        questions += [[near[(number + seeds) % 3], likeness, budget] for number, budget in enumerate(budgets)]
        questions += [[each, likeness, 100.0] for each in near[:2]]
    return [runs[place] for place in draw.permutation(len(runs))], questions


def _table(right, seconds, *questions):
    """(runs, questions): of 64 images a strategy gets right[strategy][seed], and takes seconds[strategy]."""
    return ([{"strategy": name, "per_class": 20, "likeness": "like", "seed": seed, "accuracy": each / 64, "seconds": seconds[name]}
             for name in right for seed, each in enumerate(right[name])], list(questions))


# Four strategies that are equal at every seed, the cheapest last: no difference isn't more than twice no error.
EQUALS = _table(dict.fromkeys(["all", "depth", "gradual", "upper"], (48, 52, 45, 50)), {"all": 4.0, "depth": 3.0, "gradual": 2.0, "upper": 1.0},
                [20, "like", 100.0], [20, "like", 3.5])
# The best by its mean, by which alone the cheapest is told apart; and one that two seeds of three make the best.
SKEWED = _table({"all": (54, 54, 54), "depth": (53, 53, 53), "upper": (58, 58, 38)}, {"all": 3.0, "depth": 1.0, "upper": 2.0}, [20, "like", 100.0])


@check(points=2)
def chooser(student, reference, draw):
    """The cheapest strategy of those that can't be told from the best."""
    tables = [_made_up_table(draw, cheapest, seeds) for cheapest, seeds in (((1, 2, 3, 6), 5), ((5, 6, 4, 3), 7), ((3, 1, 5, 2), 4), ((0, 4, 6, 1), 6))]
    expect.agree_run(student, reference, advice, [*tables, EQUALS, SKEWED], what="`choose`, asked several times about made-up runs")


# --- accumulation ---

def accumulated(names, numbers, images, labels, sizes):
    """Weights after two accumulated steps, with old gradients lying about; the mean losses; the mode afterwards; what lived meanwhile."""
    import weakref
    nn = torch.nn
    found, seen, kept, alive, floats = {}, [], weakref.WeakSet(), [], []

    class Kept:  # what a graph keeps for the backward pass, for as long as it does
        def __init__(self, tensor):
            self.tensor, self.part = tensor.detach(), len(seen)  # undetached, an output would hold its own graph
            kept.add(self)

    class Mixed(nn.Module):  # a hook could be taken off for a while; here the step itself depends on how the images go through
        def forward(self, x):
            alive.append(len({each.part for each in kept}))
            seen.append(len(x))
            with torch.autograd.graph.saved_tensors_hooks(Kept, lambda held: held.tensor):
                return x * x.mean(0).sigmoid() * 0.5 ** alive[-1]

    net = filled(nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), Mixed(), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)), numbers)
    optimizer = torch.optim.SGD(net.parameters(), 0.3, momentum=0.9, weight_decay=0.1)
    net.train()[1].eval()  # one layer's mode isn't the whole net's
    nn.functional.cross_entropy(net(images), labels).backward()
    seen.clear()
    for number, split in enumerate(sizes, 1):
        value = names.accumulated_step(net, optimizer, list(zip(images.split(split), labels.split(split))))
        floats.append(isinstance(value, float))
        found[f"the weights after step {number}"] = tensors(net)
        found[f"the mean loss of step {number}"] = value = value.detach() if isinstance(value, torch.Tensor) else value
        kept.clear()
    # What explains the weights is told before them.
    return {"the sizes of the parts that it was given, sorted": sorted(seen),
            "the number of earlier parts whose graphs are alive when a part is taken": max(alive, default=0), **found,
            "the modes of the net and its layers": [module.training for module in net.modules()],
            "whether the mean loss is a float": all(floats)}


@check(points=2)
def accumulation(student, reference, draw):
    """Accumulated gradients that are exactly the large batch's."""
    numbers, images, labels = draw.normal(400), draw.normal(12, 2, 6, 6), draw.integers(0, 3, 12)
    for sizes in ([[7, 4, 1], [2, 9, 1]], [[12], [12]], [[4, 4, 4], [1, 11]]):
        expect.agree_run(student, reference, accumulated, numbers, images, labels, sizes, using=[filled, tensors],
                         what=f"`accumulated_step` with parts of {' and '.join(map(str, sizes[0]))} images")


# --- trained for real ---

def weights_after_tuning(names, state, images, labels, classes, seed):
    """The state of the fine-tuned net, by name."""
    import itertools

    from course_lib import pretrained
    source = pretrained.untrained(len(state["head.2.bias"])).eval()
    source.load_state_dict(state)

    class Enough(BaseException):
        pass

    def stop(step, loss):
        raise Enough

    net = names.made("my_net")
    torch.manual_seed(seed)
    if net is None:
        bar = iter(names.progress(itertools.count()))
        net = names.fine_tune(source, images, labels, classes, lambda step, loss: next(bar, None))
    else:
        try:  # the net was made of another source: see what becomes of this one, as far as the first step
            names.fine_tune(source, images, labels, classes, stop)
        except Enough:
            pass
    if net is not None and not isinstance(net, torch.nn.Module):
        return {}
    own = source.state_dict()
    changed = own.keys() != state.keys() or any(not torch.equal(value, state[name]) for name, value in own.items()) or any(
        module.training for module in source.modules()) or not all(parameter.requires_grad for parameter in source.parameters())
    return None if net is None else {"net": {name: value.float() for name, value in net.state_dict().items()}, "source changed": changed}


TRAINING = {"accuracy": expect.at_least(smoke=0.7), "stem": expect.at_least(smoke=0.5)}


@check(points=2, needs=["probing", "freezing"], bounds=TRAINING)
def training(student, reference, draw):
    """The source net, fine-tuned on twenty images a class."""
    data, test = pretrained.tasks("train")["like"], pretrained.tasks("test")["like"]
    classes = len(data.classes)
    few = pretrained.few(data, 20, draw.seed() if draw.secret else None)
    order = draw.permutation(classes) if draw.secret else torch.arange(classes)
    source = pretrained.source_net()
    got = student.train(weights_after_tuning, dict(source.state_dict()), few.images, order[few.labels], classes, draw.seed())
    if got is None:
        raise Failed("`fine_tune` gave back nothing. Is a `return` missing?")
    if not isinstance(got, dict) or not isinstance(got.get("net"), dict):
        raise Failed("`fine_tune` should give back the fine-tuned net.")
    net = pretrained.with_new_head(source, classes)
    _load(net, got["net"])
    expect.true(got.get("source changed") is False, SPOILT)
    # In a random net the stem's filters have nothing in common with the source's.
    stem = F.cosine_similarity(net.stem[1].weight.flatten(), source.stem[1].weight.flatten(), dim=0).item()
    test = pretrained.few(test, draw.scale.pick(smoke=100, cpu=400))
    accuracy = classify.accuracy(net, test.images, order[test.labels])
    expect.measured(accuracy=accuracy, stem=stem)
    expect.within("stem", stem, TRAINING["stem"], draw.scale, SCRATCH)
    untouched = all(torch.equal(own, given) for own, given in zip(net[:-1].parameters(), source[:-1].parameters()))
    expect.within("accuracy", accuracy, TRAINING["accuracy"], draw.scale,
                  TOO_MANY if accuracy >= 2 / classes else UNTRAINED if untouched else GUESSING)


def _load(net, state):
    """Lay what came back into the check's own net, or say in a sentence why it doesn't fit."""
    for name, own in net.state_dict().items():
        if name.endswith("num_batches_tracked"):  # frozen norms needn't count
            continue
        if name not in state:
            raise Failed(f"The net that `fine_tune` gives back has no {name!r}: it isn't the source net with a new head. Begin with "
                         "`pretrained.with_new_head(source, classes)`, and give that net back, not wrapped into another.")
        if tuple(getattr(state[name], "shape", ())) != tuple(own.shape):
            raise Failed(f"{name!r} of the net that `fine_tune` gives back has the shape {tuple(getattr(state[name], 'shape', ()))}; it should "
                         f"be {tuple(own.shape)}: the source's body, and a head for the {net.head[-1].out_features} new classes.")
        expect.finite(state[name], name, "The net's weights are NaN or infinite: the training has diverged. Lower the rate.")
        with torch.no_grad():
            own.copy_(state[name])


SPOILT = ("`fine_tune` changes the source net that it is given: its weights, its mode, and which of its parameters train have to stay as they are, or whoever "
          "fine-tunes it next begins with something else. `pretrained.with_new_head` makes a copy; freeze and train that.")
SCRATCH = ("This net doesn't begin from the source's weights: the filters of its stem have nothing in common with the source's. "
           "`pretrained.with_new_head` copies the net that you are given; does something set it back, or make a new one? Or is the rate so large "
           "that nothing of the source is left?")
UNTRAINED = ("The net that comes back has the source's body to the last bit, and a head that guesses. Is it the one that was trained, and not "
             "the one that it was copied from, and does the optimiser hold this net's parameters? If the head alone was trained, do the images come at "
             "the scale that the source knows?")
GUESSING = ("Your net was trained, and gets fewer than two in five right, where guessing gets one. Is its new head among "
            "what the optimiser holds, do the labels still belong to the images, do the images come at the scale that the source knows, and does it get enough steps?")
TOO_MANY = ("Your net gets too many of the held-out images wrong. Does everything that should train get enough steps, at a rate that is "
            "neither too small for the new head nor so large that it wipes out what the source knows?")
