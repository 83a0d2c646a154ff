"""The checks of the lesson `gan_math`."""

import math

import torch

from course_lib import expect, frechet, gan
from course_lib.check import check
from course_lib.data import load_images
from course_lib.verdict import Failed

FAR = torch.tensor([-1e4, -800.0, -40.0, 0.0, 40.0, 800.0, 1e4], dtype=torch.float64)


CLIPPED = ("`{}` is right for ordinary logits but wrong at ±10 000: something is clipped on the way, or a small constant "
           "is added inside the logarithm. `F.logsigmoid` needs neither.")


@check(points=1)
def gan_value(student, reference, draw):
    """The value V(D, G) from logits, finite wherever the logits are (Goodfellow et al. 2014, eq. 1)."""
    expect.agree(student, reference, "gan_value", draw.normal(5, std=2), draw.normal(7, std=2))
    expect.agree(student, reference, "gan_value", FAR, FAR.flip(0), hint=CLIPPED.format("gan_value"))
    undecided = student.gan_value(torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))
    expect.close(undecided, -math.log(4), "V where D says 1/2 everywhere")
    for wrt in (0, 1):
        expect.agree_grad(student, reference, "gan_value", draw.normal(4, std=3), draw.normal(4, std=3), wrt=wrt)
        expect.agree_grad(student, reference, "gan_value", FAR, FAR.flip(0), wrt=wrt)
    columns = draw.branch("columns")  # the shape that the nets of this lesson give
    value = expect.agree(student, reference, "gan_value", columns.normal(5, 1, std=2), columns.normal(7, 1, std=2))
    expect.tensor(value, "The value of logits of the shapes (5, 1) and (7, 1)", ())


@check(points=2)
def optimal_discriminator(student, reference, draw):
    """The optimum under smoothed labels, and the density ratio read back from a discriminator's logit."""
    p, q = draw.uniform(6), draw.uniform(6)
    p[0] = q[1] = p[2] = q[2] = 0.0
    expect.agree(student, reference, "optimal_discriminator", p, q, 1.0, 0.0)
    real, fake = draw.number(0.7, 0.95), draw.number(0.02, 0.3)
    expect.agree(student, reference, "optimal_discriminator", p[3:], q[3:], real, 0.0)
    expect.agree(student, reference, "optimal_discriminator", p[3:], q[3:], real, fake)
    # The same by brute force: no other D scores higher, whatever formula it came from.
    best = expect.tensor(student.optimal_discriminator(p[3:], q[3:], real, fake), "`optimal_discriminator`", (3,))
    for nearby in (best - 1e-3, best + 1e-3):
        expect.true((_smoothed_value(nearby, p[3:], q[3:], real, fake)
                     < _smoothed_value(best, p[3:], q[3:], real, fake)).all(),
                    "Another D scores higher than yours at some point x. Set the derivative of the pointwise value to 0.")
    tiny = torch.tensor([1e-30, 3e-30, 2e-30], dtype=torch.float64)
    expect.agree(student, reference, "optimal_discriminator", tiny, tiny.flip(0), 1.0, 0.0)
    for targets in ((1.0, 0.0), (real, fake), (real, 0.0), (1.0, fake)):
        inside = draw.uniform(5, low=targets[1] + 0.02, high=targets[0] - 0.02)  # what an optimal D can say
        expect.agree(student, reference, "density_ratio", torch.logit(inside), *targets)
    expect.agree(student, reference, "density_ratio", torch.tensor([-50.0, 40.0, 200.0]).double(), 1.0, 0.0)


def _smoothed_value(d, p, q, real, fake):
    target = real * p + fake * q
    return target * torch.log(d) + (p + q - target) * torch.log(1 - d)


@check(points=2)
def jensen_shannon(student, reference, draw):
    """The Jensen–Shannon divergence by quadrature, from log-densities, in nats."""
    x = torch.linspace(-60.0, 60.0, 4801, dtype=torch.float64)
    dx = (x[1] - x[0]).item()
    normal = lambda mean, std: -0.5 * ((x - mean) / std) ** 2 - math.log(std * math.sqrt(2 * math.pi))
    p, q = normal(draw.number(-2, 0), draw.number(0.8, 1.5)), normal(draw.number(0.5, 2), draw.number(0.8, 1.5))
    expect.agree(student, reference, "jensen_shannon", p, q, dx)
    unit = 1e9  # the same densities of x in another unit: only ratios count
    expect.agree(student, reference, "jensen_shannon", p - math.log(unit), q - math.log(unit), dx * unit)
    expect.agree(student, reference, "jensen_shannon", normal(-48.0, 1.0), normal(48.0, 1.0), dx)
    apart = [torch.where((x > low) & (x < low + 1), 0.0, -math.inf).double() for low in (-3.0, 4.0)]
    expect.agree(student, reference, "jensen_shannon", *apart, dx, rtol=1e-3)
    expect.close(student.jensen_shannon(p, p, dx), 0.0, "JSD(p‖p)", atol=1e-9)
    expect.close(student.jensen_shannon(q, p, dx), student.jensen_shannon(p, q, dx), "JSD(q‖p) against JSD(p‖q)")


@check(points=2)
def generator_losses(student, reference, draw):
    """The saturating and the non-saturating loss of the generator, and their gradients."""
    for name in ("saturating_loss", "non_saturating_loss"):
        logits = draw.normal(6, std=3)
        expect.agree(student, reference, name, logits)
        expect.agree_grad(student, reference, name, logits)
        expect.agree(student, reference, name, FAR, hint=CLIPPED.format(name))
        expect.agree_grad(student, reference, name, FAR)
        loss = expect.agree(student, reference, name, draw.branch(f"{name}, a column").normal(6, 1, std=3))
        expect.tensor(loss, f"`{name}` of logits of the shape (6, 1)", ())


# --- Algorithm 1: one step of each player, and the loop ---

def small_nets(generator, discriminator):
    """A generator 2 → 3 and a discriminator 3 → 1 with the given weights, in float64, both with batch norm.

    Batch norm shows which batch went through which net, and in which mode.
    """
    def net(sizes, weights):
        made = torch.nn.Sequential(torch.nn.Linear(sizes[0], sizes[1]), torch.nn.BatchNorm1d(sizes[1]),
                                   torch.nn.LeakyReLU(0.2), torch.nn.Linear(sizes[1], sizes[2])).double()
        with torch.no_grad():
            for parameter, weight in zip(made.parameters(), weights, strict=True):
                parameter.copy_(weight)
        return made
    return net((2, 6, 3), generator), net((3, 6, 1), discriminator)


def _small_weights(draw):
    """Weights for `small_nets`: of the generator, and of the discriminator."""
    shapes = lambda inputs, outputs: [(6, inputs), (6,), (6,), (6,), (outputs, 6), (outputs,)]
    return [[draw.normal(*shape) for shape in shapes(*sizes)] for sizes in ((2, 3), (3, 1))]


def two_discriminator_steps(names, generator, discriminator, x, z):
    """D after one step, and after a second one that finds the gradients a generator's step leaves behind."""
    torch.manual_seed(0)  # so that noise of the step's own gives a mistake that is known
    G, D = small_nets(generator, discriminator)
    opt_D, opt_G = torch.optim.SGD(D.parameters(), lr=0.1, momentum=0.5), torch.optim.SGD(G.parameters(), lr=0.1)
    first_loss = names.discriminator_step(D, G, opt_D, x[0], z[0])
    first = {name: value.detach().clone() for name, value in D.named_parameters()}
    opt_G.step()  # moves G only if the step left gradients in it
    untouched = {name: value.detach().clone() for name, value in G.named_parameters()}
    D(G(z[1])).square().sum().backward()
    second_loss = names.discriminator_step(D, G, opt_D, x[1], z[1])
    opt_G.zero_grad()
    D(G(z[0])).sum().backward()
    opt_G.step()  # moves G as it should only if the steps left it in train mode and free to learn
    return {"the loss of the first step": first_loss, "D after one step": first, "G after a D step": untouched,
            "D after a second step": dict(D.named_parameters()), "the loss of the second step": second_loss,
            "G after a step of its own": dict(G.named_parameters()),
            "whether the loss still holds on to the graph": isinstance(first_loss, torch.Tensor) and first_loss.requires_grad}


def two_generator_steps(names, generator, discriminator, z):
    """G after one step, after a second one that finds the gradients a D step leaves behind, and D after both."""
    torch.manual_seed(0)  # so that noise of the step's own gives a mistake that is known
    G, D = small_nets(generator, discriminator)
    opt_D, opt_G = torch.optim.SGD(D.parameters(), lr=0.1), torch.optim.SGD(G.parameters(), lr=0.1, momentum=0.5)
    first_loss = names.generator_step(D, G, opt_G, z[0])
    first = {name: value.detach().clone() for name, value in G.named_parameters()}
    D(G(z[1])).square().sum().backward()  # a plain sum is constant under a batch norm whose units keep their signs
    names.generator_step(D, G, opt_G, z[1])
    untouched = {name: value.detach().clone() for name, value in D.named_parameters()}
    opt_D.zero_grad()
    D(G(z[2])).sum().backward()
    opt_D.step()  # moves D only if the steps left its parameters free to learn
    return {"the loss of the first step": first_loss, "G after one step": first,
            "G after a second step": dict(G.named_parameters()), "D after G steps": untouched,
            "D after a step of its own": dict(D.named_parameters()),
            "whether the loss still holds on to the graph": isinstance(first_loss, torch.Tensor) and first_loss.requires_grad}


def steps_of_a_sure_discriminator(names, generator, discriminator, x, z):
    """D after a step from logits near 800, where it is wrong about all fakes, and after one from logits near −800."""
    after = {}
    for bias in (800.0, -800.0):
        G, D = small_nets(generator, discriminator)
        with torch.no_grad():
            D[-1].bias.fill_(bias)
        loss = names.discriminator_step(D, G, torch.optim.SGD(D.parameters(), lr=0.1), x, z)
        after |= {f"the loss at logits near {bias:g}": loss, f"D after a step from logits near {bias:g}": dict(D.named_parameters())}
    return after


def step_against_a_sure_discriminator(names, generator, discriminator, z):
    """G after a step against a D that gives all its fakes logits near −800."""
    G, D = small_nets(generator, discriminator)
    with torch.no_grad():
        D[-1].bias.fill_(-800.0)
    loss = names.generator_step(D, G, torch.optim.SGD(G.parameters(), lr=0.1), z)
    return {"the loss at logits near -800": loss, "G after a step from logits near -800": dict(G.named_parameters())}


def step_against_a_partly_frozen_discriminator(names, generator, discriminator, z):
    """G after a step against a D of which one parameter isn't free to learn, and D after a step of its own."""
    G, D = small_nets(generator, discriminator)
    D[-1].weight.requires_grad_(False)
    names.generator_step(D, G, torch.optim.SGD(G.parameters(), lr=0.1), z[0])
    stepped = {name: value.detach().clone() for name, value in G.named_parameters()}
    opt_D = torch.optim.SGD(D.parameters(), lr=0.1)
    opt_D.zero_grad()
    D(G(z[1])).sum().backward()
    opt_D.step()  # moves the frozen parameter only if the step has released it
    return {"G after a step": stepped, "D, partly frozen, after a step of its own": dict(D.named_parameters())}


def a_few_rounds(names, generator, discriminator, x, z, steps, k):
    """Both nets after `steps` rounds of the loop, which takes its batches from `x` and its noise from `z` in turn."""
    G, D = small_nets(generator, discriminator)
    opt_D, opt_G = torch.optim.SGD(D.parameters(), lr=0.1), torch.optim.SGD(G.parameters(), lr=0.1)
    real, noise, seen = iter(x), iter(z), []
    names.train_gan(D, G, opt_D, opt_G, lambda: next(real), lambda: next(noise), steps, k,
                    lambda step, loss_D, loss_G: seen.append([float(step), float(loss_D), float(loss_G)]))
    return {"D": dict(D.named_parameters()), "G": dict(G.named_parameters()),
            "what after_step was called with": torch.tensor(seen, dtype=torch.float64)}


def rounds_with_defaults(names, generator, discriminator, x, z):
    """Both nets after two rounds of the loop with k and after_step left out."""
    G, D = small_nets(generator, discriminator)
    opt_D, opt_G = torch.optim.SGD(D.parameters(), lr=0.1), torch.optim.SGD(G.parameters(), lr=0.1)
    real, noise = iter(x), iter(z)
    names.train_gan(D, G, opt_D, opt_G, lambda: next(real), lambda: next(noise), 2)
    return {"D": dict(D.named_parameters()), "G": dict(G.named_parameters())}


@check(points=3, needs=["gan_value"])
def discriminator_step(student, reference, draw):
    """One step of D on a real and a fake batch: exact, whatever gradients were left, and none of it in G."""
    weights, x, z = _small_weights(draw), draw.normal(2, 5, 3), draw.normal(2, 7, 2)
    expect.agree_run(student, reference, two_discriminator_steps, *weights, x, z, using=[small_nets],
                     what="`discriminator_step`")
    expect.agree_run(student, reference, steps_of_a_sure_discriminator, *weights, x[0], z[0], using=[small_nets],
                     what="`discriminator_step`")


@check(points=2, needs=["generator_losses"])
def generator_step(student, reference, draw):
    """One step of G against a fixed D: exact, whatever gradients were left, and D as free to learn as before."""
    weights, z = _small_weights(draw), draw.normal(3, 6, 2)
    expect.agree_run(student, reference, two_generator_steps, *weights, z, using=[small_nets], what="`generator_step`")
    expect.agree_run(student, reference, step_against_a_sure_discriminator, *weights, z[0], using=[small_nets],
                     what="`generator_step`")
    expect.agree_run(student, reference, step_against_a_partly_frozen_discriminator, *weights, z[:2], using=[small_nets],
                     what="`generator_step`")


# --- trained for real ---

def train_on_ring(names, angle, steps, seed):
    """The weights of the learner's generator after training on a ring turned by `angle`."""
    from course_lib import gan
    G = names.made("ring_G")
    if G is None:
        torch.manual_seed(seed)
        D, G, opt_D, opt_G = gan.ring_players()
        bar, decay = iter(names.progress(range(steps))), gan.linear_decay([opt_D, opt_G], steps)
        names.train_gan(D, G, opt_D, opt_G, lambda: gan.ring(gan.RING_BATCH, angle=angle),
                        lambda: torch.randn(gan.RING_BATCH, gan.RING_NOISE), steps, 1,
                        lambda step, loss_D, loss_G: (decay(step), next(bar, None)))
    return dict(G.state_dict())


RING = {"modes": expect.at_least(smoke=8), "quality": expect.at_least(smoke=0.8, cpu=0.9)}


@check(points=2, needs=["discriminator_step", "generator_step"], bounds=RING)
def ring(student, reference, draw):
    """The loop of Algorithm 1, exactly; then a ring of 8 Gaussians: all modes, and in the right place."""
    weights = _small_weights(draw)
    for k in (1, 2):
        expect.agree_run(student, reference, a_few_rounds, *weights, draw.normal(8, 5, 3), draw.normal(12, 6, 2), 3, k,
                         using=[small_nets], what=f"`train_gan` with k = {k}")
    plain = draw.branch("defaults")
    expect.agree_run(student, reference, rounds_with_defaults, *_small_weights(plain), plain.normal(2, 5, 3),
                     plain.normal(4, 6, 2), using=[small_nets], what="`train_gan` without k and after_step")
    # The lesson's own ring in the notebook, where the learner's run is judged; turned in grading, where it is repeated.
    angle = gan.turned_apart(draw.number(0, 2 * math.pi)) if draw.secret else 0.0
    weights = student.train(train_on_ring, angle, draw.scale.pick(smoke=1500, cpu=4000), draw.seed())
    G = _load(gan.ring_generator(), weights, "The generator trained on the ring")
    modes, quality = gan.count_modes(G(draw.normal(4000, gan.RING_NOISE).float()), gan.ring_modes(angle=angle), gan.RING_SIGMA)
    expect.measured(modes=modes, quality=quality)
    expect.within("modes", modes, RING["modes"], draw.scale, "Your generator leaves out some of the eight modes. The "
                  "steps are right, so the training itself went astray: train again from the cell above, as it stands.")
    expect.within("quality", quality, RING["quality"], draw.scale, "Your generator finds the ring, but too many of its "
                  "points lie between the modes. The steps are right: train again for the full number of rounds, with the "
                  "rates of the cell above.")


# --- the Dirac-GAN ---

def dirac_walk(names, matrix, theta, psi, h, alternating):
    """Five steps of the learner's `dirac_step` in a linear field of the check's own."""
    field = lambda theta, psi: (matrix[0, 0] * theta + matrix[0, 1] * psi, matrix[1, 0] * theta + matrix[1, 1] * psi)
    path = {}
    for step in range(5):
        theta, psi = names.dirac_step(field, theta, psi, h, alternating)
        path[f"after step {step + 1}"] = [theta, psi]
    return path


@check(points=2)
def dirac_gan(student, reference, draw):
    """The field of the Dirac-GAN, with R1 and without, and the two orders of stepping in it."""
    theta, psi = draw.normal(6), draw.normal(6)
    for gamma, non_saturating in ((0.0, False), (0.0, True), (draw.number(0.2, 0.9), False),
                                  (draw.number(0.2, 0.9), True)):
        expect.agree(student, reference, "dirac_field", theta, psi, gamma, non_saturating)
    matrix = draw.normal(2, 2)
    for alternating in (False, True):
        order = "discriminator first" if alternating else "both at once"
        for h in (0.2, draw.branch(order).number(0.02, 0.1)):
            expect.agree_run(student, reference, dirac_walk, matrix, theta[:2], psi[:2], h, alternating, what=f"`dirac_step`, {order}")


def train_on_digits(names, images, labels, steps, seed):
    """The weights of the averaged generator after training on the pairs that the learner's `labelled` makes."""
    from course_lib import gan
    G = names.made("digit_G")
    if G is None:
        pairs = names.labelled(images.float() / 255, labels)
        torch.manual_seed(seed)
        D, net, opt_D, opt_G = gan.digit_players()
        average = gan.WeightAverage(net)
        G, bar, decay = average.net, iter(names.progress(range(steps))), gan.linear_decay([opt_D, opt_G], steps)
        names.train_gan(D, net, opt_D, opt_G, lambda: pairs[torch.randint(len(pairs), (gan.DIGIT_BATCH,))],
                        lambda: gan.digit_noise(gan.DIGIT_BATCH), steps, 1,
                        lambda step, loss_D, loss_G: (decay(step), average.update(), next(bar, None)))
    return dict(G.state_dict())


DIGITS = {"accuracy": expect.at_least(smoke=0.8, cpu=0.9), "distance": expect.at_most(smoke=60, cpu=13)}


@check(points=2, needs=["discriminator_step", "generator_step"], bounds=DIGITS)
def digits(student, reference, draw):
    """Images with their labels, exactly; then a generator that draws the digit it is asked for."""
    expect.agree(student, reference, "labelled", draw.uniform(3, 1, 28, 28).float(), draw.permutation(10)[:3], atol=1e-6)
    more = draw.branch("without a nine")  # the width of a one-hot must not depend on the labels that occur
    pairs = expect.agree(student, reference, "labelled", more.uniform(6, 1, 28, 28).float(), more.permutation(9)[:6], atol=1e-6)
    expect.true(pairs.dtype == torch.float32, "`labelled`: the pairs of float32 images aren't float32, and no net of this lesson takes "
                "them. Give the one-hot the images' dtype.")
    colour = draw.branch("in colour")  # as the photographs at the end of the section
    expect.agree(student, reference, "labelled", colour.uniform(4, 3, 6, 5).float(), colour.permutation(10)[:4], atol=1e-6)
    loop = draw.branch("the loop")  # without it, a generator that was finished before could be handed back
    expect.agree_run(student, reference, a_few_rounds, *_small_weights(loop), loop.normal(8, 5, 3), loop.normal(12, 6, 2), 3, 1,
                     using=[small_nets], what="`train_gan`")
    real = load_images("digits")
    images, labels = (real.images * 255).to(torch.uint8), real.labels
    mirrored, order = draw.secret and draw.number() < 0.5, draw.permutation(10) if draw.secret else torch.arange(10)
    weights = student.train(train_on_digits, images.flip(-1) if mirrored else images, order[labels],
                            draw.scale.pick(smoke=300, cpu=1200), draw.seed())
    G = _load(gan.DigitGenerator(), weights, "The generator trained on the digits")
    wanted = draw.integers(0, 10, 1000)
    noise = torch.cat([draw.normal(1000, gan.DIGIT_NOISE), torch.nn.functional.one_hot(order[wanted], 10)], dim=1)
    drawn = G(noise.float())[:, :gan.DIGIT_PIXELS].reshape(-1, 1, 28, 28) / 2 + 0.5
    drawn = drawn.flip(-1) if mirrored else drawn
    distance = frechet.frechet_distance(frechet.features(drawn), frechet.features(load_images("digits", "test").images))
    accuracy = frechet.accuracy(drawn, wanted)
    expect.measured(distance=distance, accuracy=accuracy)
    expect.within("accuracy", accuracy, DIGITS["accuracy"], draw.scale, "Your generator doesn't draw the digit it is "
                  "asked for. The steps are right: train again from the cell above, as it stands.")
    expect.within("distance", distance, DIGITS["distance"], draw.scale, "Your digits are too far from real ones. "
                  "The steps are right: train again for the full number of rounds, with the rates of the cell above.")


def _load(net, weights, what):
    """`net`, a net of the course's own, with the weights that came back from training."""
    mine = net.state_dict()
    if not isinstance(weights, dict) or set(weights) != set(mine):
        raise Failed(f"{what} isn't the net that the course made: its weights have other names.")
    for name, weight in weights.items():
        expect.tensor(weight, f"{what}, weight {name},", mine[name].shape)
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)
