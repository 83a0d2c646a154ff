"""The explorables of the lesson `gan_training`. What it asks the learner to write, they don't know: they are handed it."""

import math

import numpy as np
import torch

from course_lib.explore import choice, exercise, explorable, finite, slider
from course_lib.style import BLACK, FAKE, REAL, VERMILLION, course_style, image_axes, new_figure


# --- flipped labels ---

@course_style()
def flipped_labels(flipped_optimum):
    """The pull of the best discriminator on the fakes, as labels are flipped: the slope of log D*, with flips and without.

    flipped_optimum(p_data, p_g, flipped) is the learner's: densities (n,) → D there, (n,). Controls: distance, flipped.
    """
    x = torch.linspace(-3, 11, 1_401, dtype=torch.float64)
    density = lambda mean: torch.distributions.Normal(mean, 1.0).log_prob(x).exp()
    p = density(0.0)
    figure, axes = new_figure(8.6, 4.6, [["densities"], ["slope"]], sharex=True)
    axes["densities"].plot(x, p, color=REAL, label="real")
    q_line, = axes["densities"].plot(x, p, "--", color=FAKE, label="generated")
    axes["densities"].set(title="Densities", ylim=(0, 0.5), xlim=(x[0], x[-1]))
    axes["densities"].legend(loc="upper right")
    plain_line, = axes["slope"].plot(x, x, "--", color=BLACK, label="no label flipped")
    flipped_line, = axes["slope"].plot(x, x, color=VERMILLION, label="as flipped: your function")
    axes["slope"].set(title="Slope of log D*: below 0 it pulls to the left, to the data", xlabel="x", ylim=(-8.5, 0.6))
    axes["slope"].legend(loc="lower left")

    def pull(q, share):
        with exercise("smoothing"):
            best = finite(flipped_optimum(p, q, share), len(x))
        return np.gradient(np.log(np.clip(best, 1e-300, None)), (x[1] - x[0]).item())

    def redraw(distance, flipped):
        q = density(distance)
        with_flips, without = pull(q, flipped), pull(q, 0.0)
        q_line.set_ydata(q)
        flipped_line.set_ydata(with_flips)
        plain_line.set_ydata(without)
        mean = lambda slope: float((slope * q.numpy()).sum() / q.sum())
        return (f"Averaged over the generated samples, the slope is {mean(with_flips):.3f} with {100 * flipped:.1f} % of the labels flipped, "
                f"and {mean(without):.3f} with none.".replace("-", "−"))

    return explorable("What flipping labels does to the generator", figure, redraw,
                      "Each label, of real and of generated samples, is flipped with the same probability.",
                      distance=slider("distance of the means", 0.0, 8.0, 4.0, 0.05),
                      flipped=slider("share of labels flipped", 0.0, 0.3, 0.02, 0.005, digits=3))


# --- where a penalty lets the players rest ---

PSI, STEPS, RATE = torch.linspace(-20, 20, 2_001, dtype=torch.float64), 600, 0.1


@course_style()
def penalty_target(gradient_penalty):
    """The Dirac-GAN with Wasserstein's losses and a gradient penalty: how hard the penalty pushes ψ, and where the players go from (1, 1).

    gradient_penalty(D, real, fake, share, target) is the learner's. The penalty of D(x) = ψx doesn't depend on θ; its slope in ψ is
    found once for a grid of ψ, with a D that has a ψ of its own for each sample. Controls: target; weight, λ.
    """
    figure, axes = new_figure(9.0, 4.2, [["push", "path"]])
    axes["push"].axhline(0, color=BLACK, linewidth=0.8)
    push_line, = axes["push"].plot(PSI, PSI, color=FAKE)
    axes["push"].set(title="How the penalty pushes ψ", xlabel="ψ", ylabel="−λ · slope of the penalty", xlim=(-3, 3), ylim=(-9, 9))
    path_line, = axes["path"].plot([], [], color=REAL, linewidth=1.2)
    axes["path"].plot(1, 1, "o", color=BLACK, label="start", linestyle="none")
    end, = axes["path"].plot([], [], "s", color=VERMILLION, markersize=8, label="end", linestyle="none")
    axes["path"].plot(0, 0, "+", color=BLACK, markersize=14, markeredgewidth=2, label="where it should end", linestyle="none")
    axes["path"].set(title="Both players", xlabel="generator θ, the data are at 0", ylabel="discriminator ψ", xlim=(-8, 8), ylim=(-3, 3))
    axes["path"].legend(loc="lower left")

    def slope(target):
        psi = PSI[:, None].clone().requires_grad_()
        n = len(psi)
        with exercise("penalties"):
            penalty = gradient_penalty(lambda x: x * psi, torch.zeros(n, 1).double(), torch.ones(n, 1).double(), torch.full((n,), 0.5).double(), target)
            return finite(n * torch.autograd.grad(penalty, psi)[0][:, 0], n)

    def redraw(target, weight):
        push = -weight * slope(target)
        push_line.set_ydata(push)
        path = np.empty((STEPS + 1, 2))
        path[0] = 1.0
        for now, after in zip(path, path[1:]):
            theta, psi = now
            after[:] = theta + RATE * psi, psi + RATE * (np.interp(psi, PSI, push) - theta)
            np.clip(after, -1e3, 1e3, out=after)
        path_line.set_data(*path.T)
        end.set_data(*path[-1:].T)
        return f"After {STEPS} steps of {RATE}: θ = {path[-1, 0]:.2f}, ψ = {path[-1, 1]:.2f}.".replace("-", "−")

    return explorable("A penalty, and where it lets the players rest", figure, redraw,
                      "The discriminator is D(x) = ψx. At the data it should end up flat, and the generator's one sample at 0.",
                      target=slider("target of the slope", 0.0, 1.5, 1.0, 0.05), weight=slider("weight λ", 0.0, 3.0, 1.0, 0.05))


# --- between two noises ---

STRAIGHT, CIRCLE = "straight line", "great circle"


@course_style()
def walk(G, noise):
    """The picture that G makes on the way from one noise to another, and how long the noise is there.

    G: noise (n, noise) → images (n, 1, h, w) in [−1, 1]. Controls: t from 0 to 1; path; pair, the number of the two ends.
    """
    figure, axes = new_figure(3.4, 3.4, [["picture"]])
    image_axes(axes["picture"])
    shown = axes["picture"].imshow(np.zeros((28, 28)), cmap="gray", vmin=-1, vmax=1)

    def redraw(t, path, pair):
        ends = torch.randn(2, noise, generator=torch.Generator().manual_seed(pair))
        shares = (1 - t, t) if path == STRAIGHT else (math.cos(math.pi / 2 * t), math.sin(math.pi / 2 * t))
        z = shares[0] * ends[0] + shares[1] * ends[1]
        with exercise("training"), torch.no_grad():
            picture = G(z[None]).cpu()[0, 0]
            shown.set_data(finite(picture.flatten(), picture.numel()).reshape(picture.shape))
        return f"‖z‖² divided by the number of dimensions: {z.square().mean():.2f}. For draws from the normal distribution it is 1 on average."

    return explorable("Between two noises", figure, redraw, "Do shapes change by and by, or does it jump from one picture to the next?",
                      t=slider("t", 0.0, 1.0, 0.5, 0.01), path=choice("path", [CIRCLE, STRAIGHT]), pair=slider("pair of noises", 1, 50, 3))
