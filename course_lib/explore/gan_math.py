"""The explorables of the lesson `gan_math`. What it asks the learner to write, they don't know: they are handed it.

Where what they are handed fails, they show in one sentence which exercise to finish first.
"""

import functools
import math
import re
from contextlib import nullcontext

import ipywidgets as widgets
import numpy as np
import torch

from course_lib import gan
from course_lib.classify import evaluating
from course_lib.explore import Readout, button, choice, exercise, explorable, finite, heading, slider, steps_slider
from course_lib.explore.live import LiveTraining
from course_lib.explore.sketchpad import SHAPES, Sketchpad, sample_strokes
from course_lib.picture import Picture, Stage, image_png, to_uint8
from course_lib.style import (BLACK, DISCRIMINATOR, FAKE, GENERATOR, GREEN, GREY, ORANGE, REAL, VERMILLION,
                              course_style, image_axes, new_figure)

SATURATING, NON_SATURATING = "saturating", "non-saturating"
_OVER_POINTS = dict(loc="upper right", handletextpad=0.1, columnspacing=0.8, frameon=True, framealpha=0.9, edgecolor="none")


def _number(value, digits=4):
    """A number for a readout: `digits` significant ones, in powers of ten where that is shorter; a true minus sign."""
    return f"{value:.{digits}g}".replace("-", "−")


# --- the generator's two losses ---

LOGITS = np.linspace(-10, 10, 201)


def _loss_and_slope(loss):
    """(loss, |gradient|) at each of LOGITS by itself, (2, 201), by autograd."""
    logits = [torch.tensor([logit], requires_grad=True) for logit in LOGITS]
    with exercise("generator_losses"):
        values = [loss(logit).sum() for logit in logits]
        slopes = [torch.autograd.grad(value, logit)[0].abs().sum() for value, logit in zip(values, logits)]
        return finite(torch.stack(values + slopes), 2 * len(LOGITS)).reshape(2, -1)


@course_style()
def saturation(saturating_loss, non_saturating_loss):
    """The generator's two losses and their gradients at a discriminator's logit a between −10 and 10.

    Both are the learner's: logits (m,) → a scalar (Goodfellow et al. 2014, section 3). Control: a.
    """
    figure, axes = new_figure(8.6, 3.4, [["loss", "gradient"]])
    lines, dots = [], []
    for label, colour, dash in [("saturating", VERMILLION, "-"), ("non-saturating", GREEN, "--")]:
        for panel in axes.values():
            lines += panel.plot(LOGITS, LOGITS, dash, color=colour, label=label)
            dots += panel.plot([], [], "o", color=colour, markersize=9, markeredgecolor="white", zorder=3)
    axes["loss"].set(title="Loss that the generator minimises", ylim=(-11, 11), yticks=range(-10, 11, 5))
    axes["gradient"].set(title="|gradient| with respect to a", yscale="log", ylim=(1e-5, 3))
    axes["loss"].legend(loc="upper right")
    for panel in axes.values():
        panel.set(xlim=(-10.3, 10.3), xticks=range(-10, 11, 5), xlabel="logit a of the discriminator on a generated sample")
    marks = [panel.axvline(0, color=GREY, linewidth=1.2, linestyle=":") for panel in axes.values()]
    curves_of = functools.cache(_loss_and_slope)  # for this explorable only: what a loss calls may change

    def redraw(a):
        curves = np.stack([*curves_of(saturating_loss), *curves_of(non_saturating_loss)])
        here = curves[:, np.abs(LOGITS - a).argmin()]
        for line, dot, curve, height in zip(lines, dots, curves, here):
            line.set_ydata(curve)
            dot.set_data([a], [height])
        for mark in marks:
            mark.set_xdata([a, a])
        opinion = "sure that the sample is fake" if a < -3 else "fooled" if a > 3 else "undecided"
        return (f"σ(a) = {_number(1 / (1 + math.exp(-a)))}: the discriminator is {opinion}.\n"
                f"|gradient|: saturating {_number(here[1])}, non-saturating {_number(here[3], 5)}.")

    return explorable("Which loss still moves the generator?", figure, redraw,
                       "Move a to the left: the discriminator grows sure that the sample is fake.",
                       a=slider("logit a", -10.0, 10.0, -4.0, 0.1, digits=1))


# --- the optimal discriminator ---

@course_style()
def optimal_discriminator(discriminator):
    """Two Gaussians p (real) and q (generated), and the discriminator that is best against them.

    discriminator(p, q, r, s) is the learner's: densities (n,) and the targets r for real, s for generated samples → the
    best D there, (n,). Controls: distance, width, real, fake.
    """
    x = torch.linspace(-5, 11, 641, dtype=torch.float64)
    density = lambda mean, std: torch.distributions.Normal(mean, std).log_prob(x).exp()
    p = density(0.0, 1.0)
    figure, axes = new_figure(8.6, 4.6, [["density"], ["decision"]], sharex=True)
    axes["density"].plot(x, p, color=REAL, label="p, real: N(0, 1)")
    q_line, = axes["density"].plot(x, x, "--", color=FAKE, label="q, generated")
    axes["density"].set(title="Densities", ylim=(0, 1.4), xlim=(x[0], x[-1]))
    axes["density"].legend(loc="upper right")
    best_line, = axes["decision"].plot(x, x, color=DISCRIMINATOR)
    axes["decision"].set(title="D*(x), the best discriminator: your function", ylim=(-0.05, 1.05), yticks=[0, 0.5, 1], xlabel="x")

    def redraw(distance, width, real, fake):
        q = density(distance, width)
        with exercise("optimal_discriminator"):
            best = finite(discriminator(p, q, real, fake), len(x))
        q_line.set_ydata(q)
        best_line.set_ydata(best)
        at_p, at_q = np.interp([0.0, distance], x, best)
        return (f"D* = {_number(at_p, 3)} at the mean of the real samples, {_number(at_q, 3)} at that of the generated.\n"
                f"Between x = −5 and x = 11 it lies between {_number(best.min(), 3)} and {_number(best.max(), 3)}.")

    return explorable("The best discriminator against two known densities", figure, redraw,
                       "D* depends on p/q and the targets alone. Slide the means apart: how steep is it where the samples are?",
                       distance=slider("distance of the means", 0.0, 8.0, 2.0, 0.05),
                       width=slider("width of q (std)", 0.3, 3.0, 1.0, 0.05),
                       real=slider("target for real samples", 0.5, 1.0, 1.0, 0.01),
                       fake=slider("target for generated", 0.0, 0.5, 0.0, 0.01))


# --- the Dirac-GAN ---

MINIMAX = "GAN (minimax)"
SIMULTANEOUS, ALTERNATING = "simultaneous", "alternating (D first)"
DIRAC_START = (1.0, 1.0)
FAR = 1e9  # a trajectory that gets there is followed no further


def _walk(step, start, steps):
    """(θ, ψ) from `start` on, (≤ steps + 1, 2): step(θ, ψ) → (θ, ψ) again and again, until FAR. Float64."""
    path, players = [start], torch.tensor(start, dtype=torch.float64)
    while len(path) <= steps and max(map(abs, path[-1])) < FAR:
        players = step(*players)
        path.append(tuple(map(float, players)))
    return finite(np.array(path), len(path), 2)


def _eigenvalues(step, apart=1e-6):
    """The two eigenvalues, complex, of `step` linearised at (0, 0), by central differences."""
    ends = [_walk(step, start, 1)[-1] for start in [(apart, 0.0), (-apart, 0.0), (0.0, apart), (0.0, -apart)]]
    return np.linalg.eigvals(np.transpose([ends[0] - ends[1], ends[2] - ends[3]]) / (2 * apart)).astype(complex)


@course_style()
def dirac_gan(dirac_field, dirac_step):
    """Phase portrait of the Dirac-GAN: vector field, a trajectory from (1, 1), its distance from the equilibrium, eigenvalues.

    The learner's: dirac_field(theta, psi, gamma, non_saturating) → (v_theta, v_psi), and dirac_step(field, theta, psi, h,
    alternating) → (theta, psi) (Mescheder, Geiger, Nowozin 2018, section 2). Controls: h, gamma, order, loss, steps.
    """
    from matplotlib.ticker import NullLocator
    figure, axes = new_figure(9.0, 4.6, [["phase", "norm"], ["phase", "eigenvalues"]], width_ratios=[1.2, 1])
    unit = np.stack(np.meshgrid(*[np.linspace(-1, 1, 17)] * 2)).reshape(2, -1)
    arrows = axes["phase"].quiver(*unit, *unit, color="#A8A8A8", pivot="mid", scale=22, width=0.004)
    path_line, = axes["phase"].plot([], [], color=REAL, linewidth=1.4)
    axes["phase"].plot(*DIRAC_START, "o", color=GREEN, markersize=9, label="start", linestyle="none")
    end, = axes["phase"].plot([], [], "s", color=VERMILLION, markersize=8, label="end", linestyle="none")
    axes["phase"].plot(0, 0, "+", color=BLACK, markersize=14, markeredgewidth=2, label="equilibrium", linestyle="none")
    axes["phase"].set(title="Trajectory and vector field", xlabel="generator θ", ylabel="discriminator ψ", aspect="equal")
    axes["phase"].legend(ncols=3, **_OVER_POINTS)
    norm_line, = axes["norm"].plot([], [], color=REAL)
    axes["norm"].set(title="Distance ‖(θ, ψ)‖ from the equilibrium", yscale="log", xlabel="step")
    axes["norm"].yaxis.set_minor_locator(NullLocator())
    turn = np.linspace(0, 2 * np.pi, 181)
    axes["eigenvalues"].plot(np.cos(turn), np.sin(turn), color=GREY, linewidth=1.2, linestyle="--")
    eigen, = axes["eigenvalues"].plot([], [], "X", color=ORANGE, markersize=10, markeredgecolor=BLACK, linestyle="none")
    axes["eigenvalues"].set(title="Eigenvalues λ of one step; dashed: |λ| = 1", xlabel="Re λ", ylabel="Im λ", aspect="equal",
                            anchor="W", xlim=(-2.2, 1.4), ylim=(-1.15, 1.15))

    def redraw(h, gamma, order, loss, steps):
        field = lambda theta, psi: dirac_field(theta, psi, gamma, loss == NON_SATURATING)
        step = lambda theta, psi: dirac_step(field, theta, psi, h, order == ALTERNATING)
        with exercise("dirac_gan"):
            path, values = _walk(step, DIRAC_START, steps), _eigenvalues(step)
            reach = next((reach for reach in (2.4, 5, 10, 20, 50) if reach >= abs(path).max()), 100)
            places = torch.tensor(0.98 * reach * unit)
            u, v = (finite(part, unit.shape[1]) for part in field(*places))
        axes["phase"].set(xlim=(-reach, reach), ylim=(-reach, reach))
        arrows.set_offsets(places.T.numpy())
        length = np.hypot(u, v).clip(1e-9)
        arrows.set_UVC(u / length, v / length)
        path_line.set_data(*path.T)
        end.set_data(*path[-1:].T)
        norms = np.linalg.norm(path, axis=1)
        norm_line.set_data(np.arange(len(norms)), norms)
        axes["norm"].set(xlim=(0, steps), ylim=_decades(norms))
        eigen.set_data(values.real, values.imag)
        radius = np.abs(values).max()
        verdict = "> 1: pushed away" if radius > 1 + 1e-7 else "< 1: drawn in" if radius < 1 - 1e-7 else "= 1: neither"
        return (f"After {len(path) - 1} steps ‖(θ, ψ)‖ = {_number(norms[-1], 3)} (start {_number(norms[0], 3)}).\n"
                f"Near the equilibrium one step has the eigenvalues {values[0]:.3f} and {values[1]:.3f}; "
                f"spectral radius {radius:.5f} {verdict}.")

    return explorable("Does it converge? The Dirac-GAN", figure, redraw,
                       "The data sit at 0, the generator at θ, and D's logit at x is ψ·x: the smallest GAN there is.",
                       h=slider("step size h", 0.01, 1.0, 0.2, 0.01), gamma=slider("R1 weight γ", 0.0, 3.0, 0.0, 0.05),
                       order=choice("order of the steps", [SIMULTANEOUS, ALTERNATING]),
                       loss=choice("generator's loss", [MINIMAX, NON_SATURATING]),
                       steps=slider("steps", 10, 2000, 500, 10))


def _decades(values):
    """Limits of a logarithmic axis: powers of ten around `values`, at even distances, from 2 to 24 of them."""
    high = math.ceil(math.log10(values.max()) + 0.02)
    low = math.floor(math.log10(max(values.min(), 1e-300)) - 0.02)
    apart = min(24, -2 * ((low - high) // 2))
    return 10.0 ** (high - apart), 10.0 ** high


# --- GANs in the plane, learned live by the learner's own steps ---

REACH = 3.0  # half the side of the square that is shown
SHOWN = 500  # points of each kind in the picture
_DRAW = 2000  # samples to count modes with


class _PlaneGAN:
    """Two small nets on points of the plane, the learner's two steps, and the picture of both."""

    def __init__(self, discriminator_step, generator_step, sample, settings, saturating_loss=None, beside=()):
        """sample(n, generator) → (n, 2) points; settings: the widgets k, rate, beta1, perhaps loss; beside: further axes."""
        self.discriminator_step, self.generator_step, self.saturating_loss = discriminator_step, generator_step, saturating_loss
        self.sample, self.settings = sample, settings
        with course_style():
            self.figure, self.axes = new_figure(8.8 if beside else 4.6, 4.3, [["plane", name] for name in beside] or [["plane"]])
            self._draw_plane(self.axes["plane"])
        self.reset()

    def _draw_plane(self, plane):
        from matplotlib.colors import LinearSegmentedColormap
        opinion = LinearSegmentedColormap.from_list("opinion", ["#F6C9A8", "#FFFFFF", "#A9D0EA"])
        self._opinion = plane.imshow(np.full((48, 48), 0.5), extent=(-REACH, REACH, -REACH, REACH), origin="lower", vmin=0, vmax=1,
                                     cmap=opinion, interpolation="bilinear")
        self._real, = plane.plot([], [], ".", color=REAL, markersize=4, alpha=0.55, label="real", linestyle="none")
        self._fake, = plane.plot([], [], "x", color=FAKE, markersize=4, markeredgewidth=1, alpha=0.8, label="generated", linestyle="none")
        plane.grid(False)
        plane.set(title="Samples; shade: D says real (blue), fake (orange)", xlim=(-REACH, REACH), ylim=(-REACH, REACH),
                  aspect="equal", xticks=[-2, 0, 2], yticks=[-2, 0, 2])
        plane.legend(ncols=2, markerscale=1.8, **_OVER_POINTS)

    def reset(self):
        """Both nets and optimisers anew, from the same seed each time, so that settings can be compared."""
        self.random = torch.Generator().manual_seed(0)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.D, self.G, self.opt_D, self.opt_G = gan.ring_players()

    def noise(self, n):
        return torch.randn(n, gan.RING_NOISE, generator=self.random)

    def step(self, batch=gan.RING_BATCH):
        """k steps of the discriminator, then one of the generator, at the present settings."""
        for optimizer in (self.opt_D, self.opt_G):
            for group in optimizer.param_groups:
                group["lr"], group["betas"] = self.settings["rate"].value, (self.settings["beta1"].value, group["betas"][1])
        for _ in range(self.settings["k"].value):
            x, z = self.sample(batch, self.random), self.noise(batch)
            with exercise("discriminator_step"):
                self.discriminator_step(self.D, self.G, self.opt_D, x, z)
        saturating = "loss" in self.settings and self.settings["loss"].value == SATURATING
        with self.D.register_forward_hook(self._saturate) if saturating else nullcontext(), exercise("generator_step"):
            self.generator_step(self.D, self.G, self.opt_G, self.noise(batch))

    def _saturate(self, D, points, logits):
        """Let the logits send back the saturating loss's slope, whatever the learner's step computes from them."""
        if logits.requires_grad:
            with exercise("generator_losses"):
                apart = logits.detach().requires_grad_()
                slope, = torch.autograd.grad(self.saturating_loss(apart), apart)
            logits.register_hook(lambda _: slope)

    @torch.no_grad()
    def show(self, real):
        """Move the points and the shade; returns generated samples, (2000, 2). `real`: points (n, 2) to show."""
        line = torch.linspace(-REACH, REACH, 48)
        places = torch.cartesian_prod(line, line).flip(1)
        self._opinion.set_data(torch.sigmoid(self.D(places)).reshape(48, 48).numpy())
        samples = self.G(torch.randn(_DRAW, gan.RING_NOISE, generator=torch.Generator().manual_seed(1)))
        self._fake.set_data(*samples[:SHOWN].T.numpy())
        self._real.set_data(*real[:SHOWN].T.numpy())
        return samples


def _training_settings():
    return {"k": slider("k, D steps per G step", 1, 5, 1),
            "rate": steps_slider("learning rate", [1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2], 2e-3),
            "beta1": slider("Adam's β₁", 0.0, 0.95, 0.0, 0.05)}


def ring_playground(discriminator_step, generator_step, saturating_loss=None, limit=20_000):
    """A ring of 8 Gaussians, learned live by the learner's own steps: samples, modes found, share of high quality.

    discriminator_step(D, G, opt_D, x, z) → loss and generator_step(D, G, opt_G, z) → loss, each doing one optimiser step;
    x (128, 2) is real, z (128, 2) noise. With saturating_loss(logits) → scalar, the learner's too, there is a choice of losses:
    "saturating" is the same generator step, down that loss's slope.
    Settings act at once, also in the middle of training; Reset begins from the same weights. It pauses after `limit` steps.
    Returns a widget; its `training` has start(), pause(), reset().
    """
    settings = _training_settings()
    if saturating_loss is not None:
        settings["loss"] = choice("generator's loss", [NON_SATURATING, SATURATING])
    players = _PlaneGAN(discriminator_step, generator_step, gan.ring, settings, saturating_loss, ["modes", "quality"])
    real = gan.ring(SHOWN, torch.Generator().manual_seed(2))
    axes, history = players.axes, []
    with course_style():
        modes_line, = axes["modes"].step([], [], where="post", color=GENERATOR)
        axes["modes"].set(title="Modes found, of 8", ylim=(-0.3, 8.4), yticks=range(0, 9, 2))
        quality_line, = axes["quality"].plot([], [], color=BLACK)
        axes["quality"].set(title="Share of high-quality samples", xlabel="step", ylim=(-0.03, 1.05))

    def reset():
        players.reset()
        history.clear()

    def redraw():
        modes, quality = gan.count_modes(players.show(real), gan.ring_modes(), gan.RING_SIGMA)
        history.append((training.steps_done if training else 0, modes, quality))
        step, found, share = zip(*history)
        modes_line.set_data(step, found)
        quality_line.set_data(step, share)
        for name in ("modes", "quality"):
            axes[name].set_xlim(0, 1000 * (1 + step[-1] // 1000))
        return (f"Step {step[-1]}: {modes} of 8 modes found, {quality:.1%} of the samples within 3σ of a mode "
                f"(a perfect sampler: 98.9 %).")

    training = None
    training = LiveTraining(players.figure, reset, players.step, redraw, limit)
    panel = widgets.VBox([heading("A ring of 8 Gaussians, learned by your own steps",
                                  "All settings can be changed while it trains. Which ones lose modes?"),
                          *settings.values(), training])
    panel.training = training
    return panel


def draw_a_distribution(discriminator_step, generator_step, limit=20_000):
    """Draw a distribution with mouse, pen or finger, or choose a shape, and watch the GAN learn it.

    The two steps are the learner's own, as for `ring_playground`. Drawing on while it trains changes the data at once.
    Returns a widget; its `training` has start(), pause(), reset(), its `pad` the strokes.
    """
    settings = _training_settings()
    pad = Sketchpad()
    sample = lambda n, generator: sample_strokes(pad.strokes, n, generator)
    players = _PlaneGAN(discriminator_step, generator_step, sample, settings)

    def redraw():
        drawn = bool(pad.strokes)
        players.show(sample(SHOWN, torch.Generator().manual_seed(2)) if drawn else torch.empty(0, 2))
        if not drawn:
            return "Nothing is drawn yet: draw in the square, or choose a shape, then press Start."
        return f"Step {training.steps_done if training else 0}: generated samples (orange crosses) over your drawing (blue dots)."

    training = None
    training = LiveTraining(players.figure, players.reset, players.step, redraw, limit)
    pad.observe(lambda change: training.draw(), "strokes")

    def put(shape):
        pad.strokes = shape

    shapes = [button(name, lambda name=name: put(SHAPES[name]), f"Draw the shape {name}") for name in SHAPES]
    shapes.append(button("clear", lambda: (training.pause(), put([])), "Wipe the drawing"))
    drawing = widgets.VBox([widgets.HTML("Your distribution:"), pad, widgets.HBox(shapes)], layout={"margin": "0 16px 0 0"})
    panel = widgets.VBox([heading("Draw a distribution and watch the GAN learn it",
                                  "Draw in the square or choose a shape, then press Start. Each stroke gets points by its length."),
                          *settings.values(), widgets.HBox([drawing, training], layout={"flex_flow": "row wrap"})])
    panel.training, panel.pad = training, pad
    return panel


# --- images: the reader as discriminator, and the generator's handwriting ---

def wilson_interval(right, n, z=1.959964):
    """95 % interval for a share, from `right` of n: (low, high) (Wilson 1927). n = 0 gives (0, 1)."""
    if n == 0:
        return 0.0, 1.0
    share, spread = right / n, z * z / n
    middle, half = share + spread / 2, z * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def be_the_discriminator(real_images, fake_images, rounds=20, seed=None):
    """A game: of two pictures, which is real? Running score with its 95 % interval; all pairs revealed at the end.

    real_images, fake_images: (n, 1 or 3, h, w), (n, h, w), (n, h²) or labelled digits (n, 794), values in [−1, 1] or [0, 1].
    The reader is the classifier of a two-sample test (Lopez-Paz & Oquab 2017): an accuracy surely above one half means
    that the two samples differ; chance accuracy means that this classifier, on this many pairs, saw no difference.
    Raises ValueError when there are fewer than one image of either kind. Returns a widget.
    """
    real, fake = to_uint8(real_images), to_uint8(fake_images)
    if not len(real) or not len(fake):
        raise ValueError("the game needs at least one real and one generated image")
    random = np.random.default_rng(seed)
    pairs = [(real[random.integers(len(real))], fake[random.integers(len(fake))], bool(random.integers(2))) for _ in range(rounds)]
    answers = []
    pictures, readout, reveal = [Picture(width="196px"), Picture(width="196px")], Readout(), Picture(width="0px")
    buttons = [button("The left one is real", lambda: answer(True), style="primary"),
               button("The right one is real", lambda: answer(False), style="primary")]
    again = button("Play again", lambda: play_again())
    columns = [widgets.VBox([picture, press], layout={"align_items": "center", "margin": "6px 24px 6px 0"})
               for picture, press in zip(pictures, buttons)]

    def answer(says_left):
        if len(answers) < rounds:
            answers.append(says_left)
            show()

    def show():
        done = len(answers)
        over = done == rounds
        for press in buttons:
            press.disabled = over
        again.layout.display = "" if over else "none"
        readout.say(_game_text(sum(said == left for said, (_, _, left) in zip(answers, pairs)), done, rounds))
        if over:
            reveal.png, reveal.width = _reveal(pairs, answers)
            reveal.alt = "All pairs, the real picture of each framed in blue; wrong answers are marked with a cross."
            return
        a_real, a_fake, real_left = pairs[done]
        shown = (a_real, a_fake) if real_left else (a_fake, a_real)
        for picture, image, side in zip(pictures, shown, ("left", "right")):
            picture.png, picture.alt = image_png(image, zoom=max(1, 196 // image.shape[0])), f"The {side} picture of pair {done + 1}"

    def play_again():
        fresh = be_the_discriminator(real_images, fake_images, rounds)
        panel.children = fresh.children

    show()
    panel = widgets.VBox([heading("Be the discriminator", "One of the two pictures is real, the other drawn by the generator. Which one is real?"),
                          widgets.HBox(columns), readout, widgets.HBox([again]), reveal])
    return panel


def _game_text(right, done, rounds):
    if not done:
        return f"Pair 1 of {rounds}. Guessing is right half of the time."
    low, high = wilson_interval(right, done)
    score = f"{right} of {done} right: accuracy {right / done:.0%}, 95 % interval {low:.0%} to {high:.0%}."
    if low > 0.5:
        meaning = "Chance, 50 %, lies below the interval: you tell them apart, so the two samples do differ."
    elif high < 0.5:
        meaning = "Chance, 50 %, lies above the interval: you see the difference but name it the wrong way round."
    else:
        meaning = (f"Chance, 50 %, lies in the interval: from {done} pair{'s' if done > 1 else ''} you have not told them apart. "
                   "That doesn't prove that they are alike: a sharper eye or more pairs might.")
    return f"{score}\n{meaning}" + (f"\nPair {done + 1} of {rounds}." if done < rounds else "\nAll pairs, the real picture framed in blue:")


@course_style()
def _reveal(pairs, answers, columns=5):
    """PNG of all pairs with the real picture framed, and the width to show it with."""
    from matplotlib.patches import Rectangle
    height, width = pairs[0][0].shape[:2]
    rows = -(-len(pairs) // columns)
    cell_w, cell_h = 2.6 * width, 1.2 * height
    figure, axes = new_figure(8.2, 8.2 / columns * cell_h / cell_w * rows, [["all"]])
    sheet_axes = axes["all"]
    for i, ((real, fake, real_left), said_left) in enumerate(zip(pairs, answers)):
        left, top = i % columns * cell_w, i // columns * cell_h
        for place, image in enumerate((real, fake) if real_left else (fake, real)):
            x = left + place * 1.08 * width
            sheet_axes.imshow(image, extent=(x, x + width, top + height, top), cmap="gray", vmin=0, vmax=255)
            framed = left if real_left else left + 1.08 * width
        sheet_axes.add_patch(Rectangle((framed, top), width, height, fill=False, edgecolor=REAL, linewidth=3))
        right = said_left == real_left
        sheet_axes.text(left + 2.16 * width, top + height / 2, "✓" if right else "✗", color=GREEN if right else VERMILLION,
                        fontsize=15, va="center", ha="left")
    sheet_axes.set(xlim=(-0.1 * width, columns * cell_w), ylim=(rows * cell_h, -0.1 * height), aspect="equal")
    image_axes(sheet_axes)
    stage = Stage(figure)
    return stage.png(), stage.css_width


def dial(generator, number=""):
    """Type a phone number and see it in the generator's handwriting; a button draws it anew.

    generator: noise (n, 26) = [16 normals, one-hot of the digit] → (n, ≥ 784), pixels in [−1, 1] first, as
    `gan.DigitGenerator` has it. It is put into eval mode for the drawing, and back. Returns a widget.
    """
    box = widgets.Text(value=number, placeholder="e.g. 030 1234567", description="Phone number",
                       style={"description_width": "initial"}, layout={"width": "22em"}, continuous_update=True)
    picture, readout = Picture(), Readout()

    def draw(change=None):
        signs = re.sub(r"[^0-9 ]", " ", box.value).strip()[:24]
        digits = [int(sign) for sign in signs if sign != " "]
        if not digits:
            picture.png, picture.alt, picture.width = b"", "", "0px"
            readout.say("Type at least one digit." if box.value else "")
            return
        drawn = iter(to_uint8(_handwriting(generator, digits)))
        line = np.concatenate([np.zeros((28, 12), np.uint8) if sign == " " else next(drawn) for sign in signs], axis=1)
        picture.png = image_png(line, zoom=2)
        picture.width, picture.alt = f"{1.5 * line.shape[1]:.0f}px", f"The number {signs}, handwritten by the generator"
        readout.say("The same noise never comes twice: press the button for other handwriting."
                    if len(signs) < 24 else "Only the first 24 signs are drawn.")

    box.observe(draw, "value")
    draw()
    return widgets.VBox([heading("Dial", "Your own phone number, drawn by the net."),
                         widgets.HBox([box, button("Draw it again", draw, "Draw the number with new noise", "primary")]), picture, readout])


@torch.no_grad()
def _handwriting(generator, digits):
    """Images (n, 784) in [−1, 1] of the digits, with fresh noise; each of the generator's modules is left in its mode."""
    z = gan.digit_noise(len(digits), labels=torch.tensor(digits)).to(next(generator.parameters()))
    with evaluating(generator):
        return generator(z)[:, :gan.DIGIT_PIXELS]
