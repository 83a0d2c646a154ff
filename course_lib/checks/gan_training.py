"""The checks of the lesson `gan_training`."""

import math
import statistics

import torch

from course_lib import expect, gan, gan_images, gan_recipes
from course_lib.check import check
from course_lib.data import load_images
from course_lib.modules import agree_module, behaviour, filled, of_module
from course_lib.verdict import Failed

# --- 1: a DCGAN ---

def features(names, numbers, images):
    """What the learner's discriminator of width 2 hands to its last layer, with the check's weights."""
    return filled(names.Discriminator(2), numbers).eval().features(images)[:, ::7]


def net_of_threes():
    """A net of all kinds of layers that `initialise` should know, nested, and of one that it shouldn't touch; all its numbers are 3."""
    nn = torch.nn
    net = nn.Sequential(nn.Sequential(nn.Conv2d(4, 16, 4), nn.BatchNorm2d(16), nn.LeakyReLU(0.2)), nn.ConvTranspose2d(16, 4, 4, bias=False),
                        nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(32, 32), nn.BatchNorm1d(256), nn.LayerNorm(32))), nn.Embedding(4, 8))
    with torch.no_grad():
        for value in (*net.parameters(), *net.buffers()):
            value.fill_(3)
    return net


def initialised(names, seed):
    """Such a net after the learner's `initialise`."""
    net = net_of_threes()
    torch.manual_seed(seed)
    given_back = names.initialise(net)
    return {"given back": "the net" if given_back is net else type(given_back).__name__} | {
        name: value.detach().flatten() for name, value in net.state_dict().items()}


def _drawn_from_normal(values, mean, std, what, slack):
    """`values`, a list of numbers, look like draws from N(mean, std): their mean, their spread and their tails. slack: of the spread, relative."""
    values = values - mean
    expect.true(abs(values.std() / std - 1) < slack, f"{what} should have the standard deviation {std}; theirs is {values.std():.3g}.")
    expect.true(values.mean().abs() < 5 * std / len(values) ** 0.5, f"{what} should have the mean {mean}; theirs is {values.mean() + mean:.3g}.")
    beyond = (values.abs() > 2 * std).double().mean()  # of a normal distribution 4.6 % lie beyond two standard deviations
    expect.true(0.005 < beyond < 0.12, f"{what} have the right spread, but they aren't normal: {100 * beyond:.0f} % lie beyond two standard deviations.")


@check(points=2)
def dcgan(student, reference, draw):
    """A DCGAN for 28×28 images: its generator, its discriminator, and how their weights begin."""
    numbers, images = draw.normal(4999), draw.uniform(3, 1, 28, 28, low=-1.0, high=1.0)
    # of so many channels that not all of them are shut by a ReLU for every input, whatever the weights
    agree_module(student, reference, "`Generator(5, 8)`", of_module, "Generator", [5, 8], numbers, draw.normal(3, 5))
    agree_module(student, reference, "`Discriminator(2)`", of_module, "Discriminator", [2], numbers, images)
    agree_module(student, reference, "`Generator(4, 6)`", of_module, "Generator", [4, 6], numbers, draw.branch("another width").normal(3, 4))
    agree_module(student, reference, "`Discriminator(3)`", of_module, "Discriminator", [3], numbers, images)
    expect.agree_run(student, reference, features, numbers, images, using=[filled], what="`Discriminator.features`", rtol=1e-8, atol=1e-9)
    answer = student.run(initialised, draw.seed(), using=[net_of_threes])
    weights = dict(answer) if isinstance(answer, dict) else {}
    expect.true(weights.pop("given back", None) == "the net", "`initialise` should give back the net that it was given.")
    sizes = {name: (value.numel(),) for name, value in net_of_threes().state_dict().items()}
    expect.true(weights.keys() == sizes.keys(), "`initialise` should leave the net with the parameters and the buffers that it had.")
    weights = {name: expect.tensor(weights[name], f"After `initialise`, {name}", size).double() for name, size in sizes.items()}
    first = weights["0.0.weight"]
    for name, kind in (("0.0.weight", "convolution"), ("1.weight", "transposed convolution"), ("2.1.0.weight", "linear layer")):
        _drawn_from_normal(weights.pop(name), 0, 0.02, f"The weights of a {kind}", 0.12)
    batch_norm = [weights.pop(name) for name in ("0.1.weight", "2.1.1.weight")]
    for kind, values in zip(("nn.BatchNorm2d", "nn.BatchNorm1d"), batch_norm):
        expect.true((values != 3).any(), f"`initialise` leaves the weights of `{kind}` as they were. It is for any batch norm, 1d or 2d.")
    batch_norm = torch.cat(batch_norm)
    _drawn_from_normal(batch_norm, 1, 0.02, "The weights of batch norm", 0.25)
    of = {"0.0": "a convolution", "0.1": "`nn.BatchNorm2d`", "2.1.0": "a linear layer", "2.1.1": "`nn.BatchNorm1d`"}
    for name, value in weights.items():
        module, _, kind = name.rpartition(".")
        other = {"2.1.2": "`nn.LayerNorm`", "3": "`nn.Embedding`"}.get(module)
        what = (f"The {kind} of an {other}, which `initialise` should leave as it was," if other else
                f"The bias of {of[module]}, which should be 0 after `initialise`," if kind == "bias" else
                "A running statistic of batch norm, which isn't a weight and should be left as it was,")
        expect.close(value, torch.full((len(value),), 0.0 if kind == "bias" and not other else 3.0), what)
    again = student.run(initialised, draw.branch("another beginning").seed(), using=[net_of_threes])
    again = expect.tensor(again.get("0.0.weight") if isinstance(again, dict) else None, "The weights of a convolution", tuple(first.shape))
    expect.true((again != first).any(),
                "`initialise` gives two nets the same weights, though the seed was another. Leave the seed to the caller.")


def small_players(numbers):
    """A generator 2 → 3 and a discriminator 3 → 1 with batch norm, which shows what went through together, in float64 with the check's weights."""
    nn = torch.nn
    net = lambda inputs, outputs: nn.Sequential(nn.Linear(inputs, 6), nn.BatchNorm1d(6), nn.LeakyReLU(0.2), nn.Linear(6, outputs))
    return filled(net(3, 1), numbers), filled(net(2, 3), numbers.flip(0))


def two_rounds(names, numbers, real, z, penalised):
    """Losses and both players after a first and a second round, under an objective in which everything depends on everything."""
    D, G = small_players(numbers)
    opt_D, opt_G = torch.optim.SGD(D.parameters(), 0.1, momentum=0.5), torch.optim.SGD(G.parameters(), 0.2, momentum=0.5)
    loss = torch.nn.functional.softplus
    objective = lambda a, b: (loss(b.mean() - a).mean() + 0.3 * b.square().mean(), loss(a.mean() - b).mean() + 0.2 * b.mean())
    penalty = (lambda D, real, fake: 0.5 * D(real).square().mean() + 0.7 * D((real[:4] + fake[:4]) / 2).mean()) if penalised else None
    now = lambda net: torch.cat([value.detach().flatten() for value in net.parameters()])
    seen = {}
    for number in range(2):
        play = (D, G, opt_D, opt_G, real[number], z[number], objective)
        losses = names.play_round(*play, penalty) if penalised else names.play_round(*play)
        seen |= {f"the losses of round {number + 1}": [one.item() if isinstance(one, torch.Tensor) else float(one) for one in losses],
                 f"D after round {number + 1}": now(D), f"G after round {number + 1}": now(G)}
    return seen | {"the kind of each loss": ["float" if isinstance(loss, float) else type(loss).__name__ for loss in losses]}


def a_round_between_functions(names, numbers, real, z):
    """Both players after a round in which the round sees functions of one argument, and nets that are free to learn afterwards."""
    D, G = small_players(numbers)
    opt_D, opt_G = torch.optim.SGD(D.parameters(), 0.1), torch.optim.SGD(G.parameters(), 0.2)
    names.play_round(lambda x: D(x * 2), lambda z: G(z - 1), opt_D, opt_G, real, z, lambda a, b: (b.mean() - a.mean(), -b.mean()))
    between = torch.cat([value.detach().flatten() for value in (*D.parameters(), *G.parameters())])
    opt_D.zero_grad(), opt_G.zero_grad()
    D(G(z)).mean().backward()
    opt_D.step(), opt_G.step()
    return {"the players after the round": between, "the players after a step of their own":
            torch.cat([value.detach().flatten() for value in (*D.parameters(), *G.parameters())])}


def trained_generator(names, images, width, steps, seed, device):
    """The learner's generator after training by the learner's rounds: its parameters and its buffers, in the order in which they were made."""
    from course_lib import gan_images
    G = names.made("dcgan_G")
    if G is None:
        torch.manual_seed(seed)
        D, G = names.initialise(names.Discriminator(width)).to(device), names.initialise(names.Generator(gan_images.NOISE, width)).to(device)
        G = gan_images.train(names.play_round, names.non_saturating, D, G, images.float().to(device) / 127.5 - 1, steps, progress=names.progress)
    return {"parameters": [value.detach().cpu() for value in G.parameters()], "buffers": [value.detach().cpu() for value in G.buffers()]}


def painted(names, width, weights, z):
    """The images (n, 1, 28, 28) that a generator with these weights makes of z."""
    G = names.Generator(z.shape[1], width).eval()
    with torch.no_grad():
        for kind, values in (("parameters", G.parameters()), ("buffers", G.buffers())):
            for value, weight in zip(values, weights[kind], strict=True):
                value.copy_(weight)
        return G(z)


def width_and_steps(scale):
    """How wide and how long `training` trains at this scale."""
    return scale.pick(smoke=(8, 200), cpu=(8, 400), gpu=(64, 5_000))


TRAINING = {"distance": expect.at_most(smoke=400, cpu=200), "kinds": expect.at_least(smoke=4, cpu=5)}
CUT_OFF = ("`non_saturating` is right for ordinary logits but wrong at ±10,000: a small constant is added inside the logarithm, or "
           "something is clipped on the way. `F.softplus` needs neither.")
TRAIN_AGAIN = "The round is right: train again from the cell above, as it stands, for the full number of rounds."


@check(points=2, needs=["dcgan"], bounds=TRAINING)
def training(student, reference, draw):
    """One round, exactly, for any objective; then digits, trained for real."""
    ends = torch.tensor([-1e4, -700.0, -3.0, 0.0, 2.0, 700.0, 1e4], dtype=torch.float64)
    expect.agree(student, reference, "non_saturating", draw.normal(5, std=2), draw.normal(7, std=2))
    expect.agree(student, reference, "non_saturating", ends, ends.flip(0), hint=CUT_OFF)
    numbers = draw.normal(499)
    for penalised in (False, True):
        expect.agree_run(student, reference, two_rounds, numbers, draw.normal(2, 5, 3), draw.normal(2, 7, 2), penalised, using=[filled, small_players],
                         what="`play_round`" + (" with a penalty" if penalised else ""))
    expect.agree_run(student, reference, a_round_between_functions, numbers, draw.normal(5, 3), draw.normal(5, 2), using=[filled, small_players],
                     what="`play_round` between functions that aren't modules")

    bytes_of = lambda split: (load_images("digits", split).images * 255).to(torch.uint8)
    turned = (lambda images: images) if not draw.secret else _turn(draw.integers(0, 2, 3).tolist())
    width, steps = width_and_steps(draw.scale)
    weights = student.train(trained_generator, turned(bytes_of("train")), width, steps, draw.seed(), draw.scale.device.type)
    if not isinstance(weights, dict) or not all(isinstance(weights.get(kind), list) for kind in ("parameters", "buffers")):
        raise Failed("The trained generator isn't a net with parameters.")
    for number, weight in enumerate((*weights["parameters"], *weights["buffers"])):
        expect.tensor(weight, f"Number {number + 1} of the trained generator's weights")
    # In grading the solution's own generator paints with these weights: pictures that come back could be real ones.
    drawn = (reference if draw.secret else student).run(painted, width, weights, draw.normal(1000, gan_images.NOISE).float())
    drawn = expect.tensor(drawn, "What the trained generator paints", (1000, 1, 28, 28))
    scores = gan_images.scores(turned(drawn), 2 * load_images("digits", "test").images - 1)
    expect.measured(**scores)
    expect.within("distance", scores["distance"], TRAINING["distance"], draw.scale, f"Your digits are too far from real ones. {TRAIN_AGAIN}")
    expect.within("kinds", scores["kinds"], TRAINING["kinds"], draw.scale, f"Some of the ten digits are (nearly) missing from what your generator draws. {TRAIN_AGAIN}")


def _turn(how):
    """A change of images (n, 1, s, s) that undoes itself: mirrored, upside down, black and white exchanged, each or not.

    Black and white are exchanged in bytes as in numbers from −1 to 1."""
    mirrored, upside_down, negative = how

    def turned(images):
        images = images.flip(-1) if mirrored else images
        images = images.flip(-2) if upside_down else images
        return (255 - images if images.dtype == torch.uint8 else -images) if negative else images

    return turned


# --- 3: when to stop ---

def _histories(draw):
    """{what is told of a run: its history}: made up, with lengths, units and noise from `draw`."""
    steps, quarter = 10 * int(draw.integers(12, 20, 1)), int(draw.integers(5, 9, 1))
    zero, unit, tiny, huge = draw.number(-3, 3), *(10 ** draw.number(*powers) for powers in ((-2, 2), (-6, -4), (4, 6)))

    def still(count, noise, part):
        """Noise about 0 whose mean over each part, counted from the end, is 0."""
        parts = [values - values.mean() for values in (noise * draw.normal(count)).flip(0).split(part)]
        return torch.cat(parts).flip(0)

    down = lambda from_, to: torch.linspace(from_, to, steps, dtype=torch.float64)
    alive = lambda: 1.25 + still(steps, 0.03, steps // 10)
    won = lambda: 0.012 * draw.uniform(steps)
    scores = lambda mean, unit=unit: unit * (zero + mean + still(4 * quarter, 0.05, quarter))
    falls, flat = torch.linspace(2, 0, 4 * quarter, dtype=torch.float64), torch.ones(4 * quarter, dtype=torch.float64)
    luck = 0.015 * (torch.arange(4 * quarter) >= 3 * quarter) / quarter**0.5  # the last quarter is lower, by far less than the noise allows
    levels_off = torch.cat([falls[:2 * quarter], flat[:2 * quarter]])

    def fallen(errors, extra=0, spreads=(1.0, 1.0), unit=unit):
        """Scores whose last quarter is lower than the one before by so many standard errors, exactly. spreads: of the two."""
        before, last = (spread * (values - values.mean()) / values.std() for spread, values in zip(spreads, draw.normal(2, quarter)))
        return unit * (zero + torch.cat([draw.normal(2 * quarter + extra) - 5, before, last - errors * math.hypot(*spreads) / quarter**0.5]))

    def run(loss_D, score, loss_G=None):
        return {"loss_D": loss_D, "loss_G": alive() - 0.4 if loss_G is None else loss_G, "score": score}

    recovers, gone, lucky, broken = alive(), alive(), scores(flat), alive()
    recovers[: steps // 3] = won()[: steps // 3]
    gone[steps // 2:] = won()[steps // 2:]
    last_zero, climbing = alive(), down(0.7, 4.0)
    last_zero[-1] = 0.004
    lucky[4 * quarter - 3] = lucky.min() - 0.5 * unit
    lucky[4 * quarter - 2] = lucky[4 * quarter - 2] + (lucky.mean() - lucky[-quarter:].mean()) * quarter
    broken[-3] = math.nan
    endless, unknown, skewed = scores(falls), alive() - 0.4, alive()
    endless[-2] = math.inf
    unknown[2] = math.nan
    skewed[-(steps // 5):] = won()[-(steps // 5):]
    skewed[-2:] = 1.5  # of at least 24
    just_won, not_quite, spiked = alive(), alive(), alive()
    spiked[-(steps // 5):] = won()[-(steps // 5):]
    spiked[-3] = 0.3
    just_won[-(steps // 5):] = won()[-(steps // 5):]
    not_quite[-(steps // 5) + 3:] = won()[-(steps // 5) + 3:]
    one_before = torch.full((steps + 3,), 1.25, dtype=torch.float64)  # five doesn't divide its length
    one_before[-(steps // 5) - 1:] = 0.006
    one_before[-(steps // 5) - 1] = 5.0
    quarters = lambda *means: torch.tensor(means, dtype=torch.float64).repeat_interleave(quarter)
    return {
        "flat losses, scores that fall": run(alive(), scores(falls, tiny)),
        "flat losses, scores that neither rise nor fall": run(alive(), scores(flat - luck, huge)),
        "a falling loss of D, scores that neither rise nor fall": run(down(1.38, 0.6), scores(flat)),
        "a loss of D that has gone to 0 for good": run(gone, scores(flat)),
        "a loss of D that was 0 at first and came back": run(recovers, scores(flat)),
        "a loss of D that is 0 at the last step alone": run(last_zero, scores(flat)),
        "a loss of D at 0, and scores that fall all the same": run(gone.clone(), scores(falls)),
        "a loss of G that climbs, scores that fall": run(alive(), scores(falls), climbing),
        "scores that rise": run(alive(), scores(falls.flip(0))),
        "scores that fell and have levelled off": run(alive(), scores(levels_off)),
        "one lucky score": run(alive(), lucky),
        "scores that fell by 1.2 standard errors": run(alive(), fallen(1.2)),
        "scores that fell by 1.5 standard errors": run(alive(), fallen(1.5)),
        "scores that fell by 1.98 standard errors": run(alive(), fallen(1.98)),
        "scores that fell by 2.1 standard errors": run(alive(), fallen(2.1)),
        "scores that fell by 2.4 standard errors": run(alive(), fallen(2.4)),
        "scores that fell by 2.4 standard errors, not a multiple of four": run(alive(), fallen(2.4, extra=3)),
        "a loss of D near 0 in most of the last steps, but not in their mean": run(skewed, scores(flat)),
        "scores that fell by 2.7 standard errors": run(alive(), fallen(2.7)),
        "scores that fell by 3.5 standard errors": run(alive(), fallen(3.5)),
        "scores that fell by 2.6 standard errors, the last ones scattered more": run(alive(), fallen(2.6, spreads=(1.0, 4.0))),
        "scores that fell by 1.6 standard errors, the last ones scattered more": run(alive(), fallen(1.6, spreads=(1.0, 4.0))),
        "scores that fell, rose and have levelled off": run(alive(), scores(quarters(2, -2, 0, 0))),
        "a loss of D that is 0 in the last fifth and was 1.3 before": run(just_won, scores(flat)),
        "a loss of D that is 0 in a little less than the last fifth": run(not_quite, scores(flat)),
        "a loss of D that has come down to 0.2": run(0.2 * alive(), scores(flat)),
        "a loss of D near 0 in the last fifth but for one step": run(spiked, scores(flat)),
        "a loss of D that has come down to 0.049": run(0.0392 * alive(), scores(flat)),
        "a loss of D that has come down to 0.051": run(0.0408 * alive(), scores(flat)),
        "a NaN among the losses": run(broken, scores(falls)),
        "a NaN among G's losses": run(alive(), scores(falls), unknown),
        "an infinite score": run(alive(), endless),
        "a loss of D that is 0 in the last fifth and was 5 one step before":
            run(one_before, scores(flat), torch.full_like(one_before, 0.85)),
        "scores that fell by 0.95 standard errors": run(alive(), fallen(0.95)),
        "scores that fell by 1.5 standard errors, in a tiny unit": run(alive(), fallen(1.5, unit=tiny)),
        "scores that fell by 3.5 standard errors, in a huge unit": run(alive(), fallen(3.5, unit=huge)),
        "scores that are all equal": run(alive(), torch.full((4 * quarter,), 3.0, dtype=torch.float64))}


def diagnoses(names, histories):
    """What the learner's monitor says of each history, by number: what is told of a run would say how it went."""
    return {str(number): names.diagnose(history) for number, history in enumerate(histories)}


def _agree_diagnoses(student, reference, order, histories, what):
    """The same diagnoses of histories, {what is told of a run: its history}, put in this order."""
    told = [list(histories)[number] for number in order.tolist()]
    got, want = (side.run(diagnoses, [histories[each] for each in told]) for side in (student, reference))
    named = lambda answers: {each: answers[str(number)] for number, each in enumerate(told)}
    expect.true(isinstance(got, dict) and got.keys() == want.keys(), f"{what}: there is no answer for each history.")
    expect.same(named(got), named(want), what)


@check(points=2)
def monitor(student, reference, draw):
    """A running, a slow and a dead run, told apart by their histories alone."""
    histories = _histories(draw)
    _agree_diagnoses(student, reference, draw.branch("order").permutation(len(histories)), histories, "`diagnose`")
    recorded = gan_recipes.recorded_histories()
    unit = draw.number(0.01, 100) if draw.secret else 1.0
    told = {run["told"]: {name: torch.tensor(run[name], dtype=torch.float64) * (unit if name == "score" else 1)
                          for name in ("loss_D", "loss_G", "score")} for run in recorded}
    _agree_diagnoses(student, reference, draw.branch("order of the recorded").permutation(len(told)), told, "`diagnose`, of a recorded run")

# --- 4: labels ---

def _flipped_value(d, p, q, flipped):
    """What D earns at a point when labels are flipped with this probability."""
    good, bad = torch.log(d), torch.log(1 - d)
    return p * ((1 - flipped) * good + flipped * bad) + q * ((1 - flipped) * bad + flipped * good)


SMALL_DENSITIES = ("`flipped_optimum`: where both densities are small, but not 0, your answer is off. Their quotient counts, not their size: "
                   "put another number in the place of the divisor only where that is 0.")


@check(points=2)
def smoothing(student, reference, draw):
    """Smoothed and flipped labels: D's loss, its optimum, and what flipping costs in noise."""
    real, fake = draw.number(0.7, 0.95), draw.number(0.02, 0.3)
    for targets in ((real, 0.0), (real, fake), (1.0, 0.0)):
        logits = draw.normal(5, std=3), draw.normal(8, std=3)
        expect.agree(student, reference, "smoothed_loss", *logits, *targets)
        for wrt in (0, 1):
            expect.agree_grad(student, reference, "smoothed_loss", *logits, *targets, wrt=wrt)
    far = torch.tensor([-1e4, -700.0, 40.0, 700.0, 1e4], dtype=torch.float64)
    expect.agree(student, reference, "smoothed_loss", far, far.flip(0), real, fake)
    p, q, flipped = draw.uniform(7), draw.uniform(7), draw.number(0.05, 0.4)
    p[0] = q[1] = p[2] = q[2] = 0.0
    expect.agree(student, reference, "flipped_optimum", p, q, flipped)
    far_p, far_q = 10 ** draw.uniform(2, 4, low=-30, high=-12)  # far out both densities are small, and D is sure all the same
    far_p[0] = 4e-13  # near the least numbers that people take, where a floor and a term added differ
    expect.agree(student, reference, "flipped_optimum", far_p, far_q, flipped, hint=SMALL_DENSITIES)
    # The same by brute force: no other D earns more, whatever formula it came from.
    best = expect.tensor(student.flipped_optimum(p[3:], q[3:], flipped), "`flipped_optimum`", (4,))
    for nearby in (best - 1e-3, best + 1e-3):
        expect.true((_flipped_value(nearby, p[3:], q[3:], flipped) < _flipped_value(best, p[3:], q[3:], flipped)).all(),
                    "Another D scores higher than yours at some point x. Set the derivative of the pointwise value to 0.")
    expect.agree(student, reference, "flip_noise", draw.normal(6, std=2), draw.normal(9, std=2), flipped)
    expect.agree(student, reference, "flip_noise", draw.normal(4), draw.normal(2), draw.number(0.6, 0.9))


def of_conditional(names, name, args, numbers, inputs, labels):
    """The behaviour of a net of inputs and classes, for these classes, and what each of its parameters learns."""
    class Given(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = getattr(names, name)(*args)

        def parameters(self):
            """As torch gives them; but a table of D's own, in the place of an embedding, comes last, as the embedding does."""
            own = list(self.net.parameters(recurse=False)) if name == "ClassDiscriminator" else []
            return iter([each for each in self.net.parameters() if all(each is not one for one in own)] + own)

        def forward(self, inputs):
            return self.net(inputs, labels)

    given = Given()
    seen = behaviour(given, numbers, inputs)
    if "the output's shape" not in seen:
        return seen
    output, parameters = given(inputs), list(given.parameters())  # in eval mode, with the check's weights
    direction = torch.cos(torch.arange(output.numel(), dtype=torch.float64)).reshape(output.shape)
    learning = [parameter for parameter in parameters if parameter.requires_grad]
    found = dict(zip(learning, torch.autograd.grad((output * direction).sum(), learning, allow_unused=True)))
    learned = [torch.zeros_like(parameter) if found.get(parameter) is None else found[parameter] for parameter in parameters]
    return seen | {"some of the gradients at the parameters": [each.flatten()[::max(1, each.numel() // 10)] for each in learned]}


def before_training(names, seed, image):
    """What a new conditional discriminator says of one image as each of three classes."""
    torch.manual_seed(seed)
    D = names.ClassDiscriminator(2, 3).double().eval()
    with torch.no_grad():
        return D(image.expand(3, 1, 28, 28), torch.arange(3))


@check(points=2, needs=["dcgan"])
def conditional(student, reference, draw):
    """A class for the generator, and a discriminator that is told the class, by projection."""
    numbers, labels = draw.normal(9973), torch.tensor([2, 0, 2, 1])
    agree_module(student, reference, "`ClassGenerator(5, 8, 3)`", of_conditional, "ClassGenerator", [5, 8, 3], numbers, draw.normal(4, 5), labels)
    images = draw.uniform(4, 1, 28, 28, low=-1.0, high=1.0)
    agree_module(student, reference, "`ClassDiscriminator(2, 3)`", of_conditional, "ClassDiscriminator", [2, 3], numbers, images, labels)
    more = torch.tensor([4, 0, 3, 1])
    agree_module(student, reference, "`ClassGenerator(4, 6, 5)`", of_conditional, "ClassGenerator", [4, 6, 5], numbers, draw.branch("more classes").normal(4, 4), more)
    agree_module(student, reference, "`ClassDiscriminator(3, 5)`", of_conditional, "ClassDiscriminator", [3, 5], numbers, images, more)
    logits = expect.tensor(student.run(before_training, draw.seed(), images[:1]), "What a new `ClassDiscriminator` gives", (3, 1))
    expect.close(logits - logits[:1], torch.zeros(3, 1), "What the class changes before anything is learned", hint="A new `ClassDiscriminator` already "
                 "takes the same image for more real as one class than as another. Begin with embeddings of zeros, so that the class has to be learned.")


# --- 5: other objectives ---

def losses_and_gradients(names, name, real, fake):
    """Both losses of an objective, and the gradients that D gets of the first and G of the second."""
    real, fake = real.clone().requires_grad_(), fake.clone().requires_grad_()
    losses = getattr(names, name)(real * 1, fake * 1)
    if not isinstance(losses, (tuple, list)) or len(losses) != 2:
        return {"losses": 1}
    gradient = lambda loss, wrt: torch.autograd.grad(loss, wrt, retain_graph=True, allow_unused=True)[0] if loss.requires_grad else None
    given = lambda loss, wrt: torch.zeros_like(wrt) if (found := gradient(loss, wrt)) is None else found
    return {"losses": 2, "the loss of D": losses[0], "the loss of G": losses[1],
            "the gradient of D's loss at the real logits": given(losses[0], real),
            "the gradient of D's loss at the fake logits": given(losses[0], fake),
            "the gradient of G's loss at the fake logits": given(losses[1], fake)}


def clipped(names, numbers, c):
    """A net's state after the learner's clip_, and after a step of an optimiser that was made before it."""
    nn = torch.nn
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.LeakyReLU(0.2), nn.Linear(4, 1)).double()
    place = 0
    with torch.no_grad():
        for value in (*net.parameters(), net[1].running_mean, net[1].running_var):
            value.copy_(numbers[place:place + value.numel()].reshape(value.shape))
            place += value.numel()
        net[1].running_var.abs_()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    net.eval()(numbers[:6].reshape(2, 3)).sum().backward()
    names.clip_(net, c)
    then = {name: value.detach().clone() for name, value in net.state_dict().items() if value.is_floating_point()}
    optimizer.step()
    return {"after clip_": then, "after a step of the optimiser": dict(net.named_parameters())}


@check(points=1)
def objectives(student, reference, draw):
    """Least squares, Wasserstein with clipping, and the relativistic pairing: both players' losses, and their gradients."""
    far = torch.tensor([[-1e4], [30.0], [1e4], [-30.0]], dtype=torch.float64)
    for name in ("least_squares", "wasserstein", "relativistic"):
        for real, fake in ((draw.normal(5, 1, mean=0.7), draw.normal(5, 1, mean=-0.5)), (far, far.flip(0))):
            answer = student.run(losses_and_gradients, name, real, fake)
            expect.true(isinstance(answer, dict) and answer.get("losses") == 2,
                        f"`{name}` should give back two numbers, the loss of D and the loss of G.")
            expect.same(answer, reference.run(losses_and_gradients, name, real, fake), f"`{name}`")
    numbers, c = draw.normal(37, std=0.5).abs() * (1 - 2 * draw.integers(0, 2, 37)), draw.number(0.1, 0.3)
    c = round(1024 * c) / 1024  # a number that float32 holds exactly, for who makes a tensor of it
    numbers[16] += c * numbers[16].sign()  # a weight of the batch norm's that has to be clipped
    expect.agree_run(student, reference, clipped, numbers, c, what="`clip_`")


def critic(numbers, inputs):
    """Points or images of `inputs` numbers → logits (n, 1): a smooth net with the given weights, in float64."""
    nn = torch.nn
    net, place = nn.Sequential(nn.Flatten(), nn.Linear(inputs, 4), nn.Tanh(), nn.Linear(4, 1)).double(), 0
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(numbers[place:place + parameter.numel()].reshape(parameter.shape))
            place += parameter.numel()
    return net


def penalised(names, numbers, name, *args):
    """The value of a penalty at a critic with these weights, its gradients at each of them, and what the call has left behind:
    how many of the weights' own `.grad` it has moved, and of how many inputs it has asked a gradient."""
    D = critic(numbers, args[0][0].numel())
    for parameter in D.parameters():
        parameter.grad = torch.full_like(parameter, 0.5)
    value = getattr(names, name)(D, *args)
    if not isinstance(value, torch.Tensor):
        return {"value": value}
    left = {"moved": sum((parameter.grad != 0.5).any().item() if parameter.grad is not None else 1 for parameter in D.parameters()),
            "asked": sum(arg.requires_grad for arg in args if isinstance(arg, torch.Tensor))}
    gradients = (torch.autograd.grad(value, list(D.parameters()), allow_unused=True) if value.requires_grad and value.numel() == 1
                 else [None] * 4)
    return left | {"value": value, "gradients": [torch.zeros_like(parameter) if gradient is None else gradient
                                                 for parameter, gradient in zip(D.parameters(), gradients)]}


@check(points=2)
def penalties(student, reference, draw):
    """The gradient penalty and R1: their values, and what they teach D."""
    shapes = ((5, 2), (3, 2, 3, 3))
    for shape in shapes:
        numbers, real, fake = draw.normal(150), draw.normal(*shape), draw.normal(*shape, mean=1.0)
        _agree_penalty(student, reference, "gradient_penalty", numbers, real, fake, draw.uniform(len(real)))
        _agree_penalty(student, reference, "gradient_penalty", numbers, real, fake, draw.uniform(len(real)), 0.0)
        between = draw.branch(f"target {shape}")
        _agree_penalty(student, reference, "gradient_penalty", numbers, real, fake, between.uniform(len(real)), between.number(0.3, 0.7))
    for shape in shapes:
        _agree_penalty(student, reference, "r1", draw.normal(150), draw.normal(*shape))


LEAVES_GRADIENTS = "`backward()` adds to them; `torch.autograd.grad` with respect to the samples gives back what you need and adds nothing."
LEAVES_A_FLAG = ("leaves its mark on the samples that it was given: they want a gradient from now on. Differentiate at a copy, "
                 "`x.detach().requires_grad_()`.")


def _agree_penalty(student, reference, name, numbers, *args):
    got, want = (side.run(penalised, numbers, name, *args, using=[critic]) for side in (student, reference))
    value = got.get("value") if isinstance(got, dict) else None
    expect.same(value, want["value"], f"`{name}`")
    expect.same(got.get("gradients"), want["gradients"], f"The gradient of `{name}` at D's parameters")
    expect.true(got.get("moved") == 0, f"`{name}` changes the `.grad` of D's parameters, on which D's next step builds. {LEAVES_GRADIENTS}")
    expect.true(got.get("asked") == 0, f"`{name}` {LEAVES_A_FLAG}")


def normed(names, weight, u, iterations, direction):
    """The learner's spectral norm: the weight, the new u, and the gradient of a weighted sum of the result."""
    weight = weight.clone().requires_grad_()
    answer = names.spectral_norm(weight, u, *iterations)
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        return {"things": 1}
    result, new = answer
    if not isinstance(result, torch.Tensor) or result.shape != weight.shape:
        return {"things": 2, "the weight": result}
    weighted = (result * direction).sum()
    gradient = torch.autograd.grad(weighted, weight, allow_unused=True)[0] if weighted.requires_grad else None
    return {"things": 2, "the weight": result, "u": new,
            "the gradient at the weight": torch.zeros_like(weight) if gradient is None else gradient}


def parametrised(names, weight, u, x):
    """What a layer with the learner's SpectralNorm does, call by call: in train mode, in eval mode, and from a saved state."""
    from torch.nn.utils import parametrize

    def layer(u):
        made = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False).double()
        with torch.no_grad():
            made.weight.copy_(weight)
        parametrize.register_parametrization(made, "weight", names.SpectralNorm(u))
        return made

    given = u.clone()
    first = layer(given)
    found = {"parameters": len(list(first.parameters()))}
    found["in train mode, call by call"] = [first(x) for _ in range(3)]
    found["in eval mode, call by call"] = [first.eval()(x) for _ in range(3)]
    second = layer(torch.ones_like(u) / len(u) ** 0.5)
    second.load_state_dict(first.state_dict(), strict=False)
    found["in eval mode, from a saved state"] = second.eval()(x)
    found["the u that it was given, afterwards"] = given
    return found


def _far_from_arrived(draw, *shape):
    """A weight of this shape and a u from which power iteration takes long: whatever is drawn, each iteration still changes σ.

    The singular values are near each other, and u holds each of their left vectors to the same part.
    """
    rows, columns = shape[0], math.prod(shape[1:])
    rank = min(rows, columns)
    left, right = (torch.linalg.qr(draw.normal(size, rank))[0] for size in (rows, columns))
    weight = left * torch.linspace(1.0, 0.7, rank, dtype=torch.float64) @ right.T
    return draw.number(0.5, 2.0) * weight.reshape(shape), left.sum(1) / rank**0.5


TWO_THINGS = "`spectral_norm` should give back two things: the weight, and u."


@check(points=2)
def spectral_norm(student, reference, draw):
    """A weight divided by its largest singular value, by power iteration; and as a parametrisation that remembers."""
    unit = lambda values: values / values.norm()
    for shape, iterations in (((4, 6), ()), ((5, 3), (3,)), ((3, 2, 2, 3), (2,))):
        args = *_far_from_arrived(draw, *shape), list(iterations), draw.normal(*shape)
        answer = student.run(normed, *args)
        expect.true(isinstance(answer, dict) and answer.get("things") == 2, TWO_THINGS)
        expect.tensor(answer.get("the weight"), "The weight that `spectral_norm` gives back", shape)
        expect.same(answer, reference.run(normed, *args), "`spectral_norm`", rtol=1e-8, atol=1e-10)
    expect.agree_run(student, reference, parametrised, *_far_from_arrived(draw, 4, 3), draw.normal(2, 3),
                     what="A layer with your `SpectralNorm`", rtol=1e-8)
    # whatever the formula: of what comes out, the largest singular value is 1
    result = student.spectral_norm(torch.diag(torch.tensor([3.0, 2, 1]).double()) @ draw.normal(3, 3), unit(draw.uniform(3)), 2000)
    expect.true(isinstance(result, (tuple, list)) and len(result) == 2, TWO_THINGS)
    expect.close(torch.linalg.matrix_norm(expect.tensor(result[0], "The weight", (3, 3)).double(), 2), 1.0,
                 "After 2,000 iterations, the largest singular value of what `spectral_norm` gives back", rtol=1e-4)

# --- 6: mode collapse ---

def refused(names, x, m):
    """What becomes of a batch that can't be packed."""
    try:
        packs = names.pack(x, m)
        return f"packs of the shape {tuple(packs.shape)}" if isinstance(packs, torch.Tensor) else f"{type(packs).__name__}"
    except ValueError:
        return "a ValueError"


def cured(names, centres, rounds, runs, seed):
    """The weights of generators that learn ten times as fast as a discriminator which the learner's `pack` shows four samples at a time."""
    from course_lib import gan_recipes
    recipe = gan_recipes.Recipe(names.non_saturating, pack=names.pack, packed=4, **gan_recipes.FAST_G)
    G, _, _ = gan_recipes.train(recipe, names.play_round, gan_recipes.Mixture(centres, gan_recipes.ring().sigma), rounds, runs, seed, progress=names.progress)
    return [value.detach() for value in G.parameters()]


RUNS, ROUNDS = 3, 600
PACKING = {"modes": expect.at_least(smoke=5), "reverse KL": expect.at_most(smoke=0.3)}
COLLAPSED = ("Shown one sample at a time, D lets such a generator collapse, and packs of four should have cured it: yours {}. "
             "Is each pack made of four different samples, and does your `play_round` hand both losses the packs that D sees?")


@check(points=2, bounds=PACKING)
def packing(student, reference, draw):
    """Packs of m samples, how far apart packing puts two distributions, and a collapse that it cures."""
    for shape, m in (((6, 2), 3), ((4, 2, 3, 3), 2), ((3, 2), 1)):
        expect.agree(student, reference, "pack", draw.normal(*shape), m)
    expect.agree_run(student, reference, refused, draw.normal(5, 2), 2, what="What `pack` does with 5 samples and m = 2")
    p, q = draw.uniform(4, low=0.1), draw.uniform(4, low=0.1)
    for m in (1, 2, 4):
        expect.agree(student, reference, "packed_distance", p / p.sum(), q / q.sum(), m)
    half = torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64)
    expect.close(student.packed_distance(torch.full_like(half, 0.25), half, 5), 1 - 0.5**5, "The distance of packs of 5 when half of the modes is lost")

    # A cloud all over the place finds every mode evenly, without a GAN: so the rounds by which they train must be right.
    rounds = draw.branch("rounds")
    expect.agree_run(student, reference, two_rounds, rounds.normal(499), rounds.normal(2, 5, 3), rounds.normal(2, 7, 2), False,
                     using=[filled, small_players], what="`play_round`")

    data = gan_recipes.ring()
    if draw.secret:  # a generator that was trained elsewhere knows other places
        angle = gan.turned_apart(draw.uniform(1, high=math.pi / 4).item())
        turn = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        data = gan_recipes.Mixture(data.centres @ turn, data.sigma)
    weights = student.train(cured, data.centres, ROUNDS, RUNS, draw.seed())
    G = gan_recipes.generator(RUNS)
    if not isinstance(weights, list) or len(weights) != len(list(G.parameters())):
        raise Failed("The trained generators aren't what the harness makes.")
    with torch.no_grad():
        for number, (value, weight) in enumerate(zip(G.parameters(), weights)):
            value.copy_(expect.tensor(weight, f"Number {number + 1} of the generators' weights", tuple(value.shape)))
        points = G(draw.normal(RUNS * 2500, gan_recipes.NOISE).float()).unflatten(0, (RUNS, -1))
    found = [data.figures(each) for each in points]
    # One run in some hundreds collapses for all its packs, so the middle one of the three decides.
    figures = {name: statistics.median(each[name] for each in found) for name in PACKING}
    expect.measured(**figures)
    expect.within("modes", figures["modes"], PACKING["modes"], draw.scale, COLLAPSED.format("misses modes"))
    expect.within("reverse KL", figures["reverse KL"], PACKING["reverse KL"], draw.scale, COLLAPSED.format("visits them unevenly"))

# --- 7: looking ---

def _gaussian(draw, d, rank):
    """A mean (d,) and a covariance (d, d) of this rank."""
    factor = draw.normal(d, rank)
    return draw.normal(d), factor @ factor.T / d


SINGULAR = ("Of covariances that are singular (fewer images than features, say) the distance comes out wrong, or not at all. Rounding makes an eigenvalue "
            "that should be 0 a little negative: put it at 0 before you take its root, and don't invert anything.")


@check(points=1)
def frechet(student, reference, draw):
    """The Fréchet distance of two Gaussians, from their means and covariances."""
    for d in (1, 3, 6):
        expect.agree(student, reference, "frechet_distance", *_gaussian(draw, d, d + 2), *_gaussian(draw, d, d + 2))
    mean, cov = _gaussian(draw, 5, 7)
    expect.close(student.frechet_distance(mean, cov, mean + 2, cov), 20.0, "The distance of a Gaussian from itself, moved by 2 in each of 5 directions")
    for _ in range(6):
        expect.agree(student, reference, "frechet_distance", *_gaussian(draw, 7, 2), *_gaussian(draw, 7, 2), atol=1e-5, hint=SINGULAR)
