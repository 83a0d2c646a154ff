"""Right answers to `gan_math` in another style than the reference: each check must pass them."""

import math

import torch
import torch.nn.functional as F
from torch import nn


@right("gan_value")
def gan_value(on_real, on_fake):
    return -F.softplus(-on_real).mean() - F.softplus(on_fake).mean()


@right("gan_value")
def gan_value(real_logits, fake_logits):
    bce = nn.BCEWithLogitsLoss()
    return -(bce(real_logits, torch.ones_like(real_logits)) + bce(fake_logits, torch.zeros_like(fake_logits)))


@right("optimal_discriminator")
def optimal_discriminator(p, q, r=1.0, s=0.0):
    share = p / (p + q)
    share[(p + q) == 0] = torch.nan
    answer = r * share + s * (1 - share)
    return torch.nan_to_num(answer, nan=0.5)


@right("optimal_discriminator")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    if real_target == 1 and fake_target == 0:
        return torch.exp(logits)
    d = torch.sigmoid(logits)
    return (d - fake_target) / (real_target - d)


@right("jensen_shannon")
def jensen_shannon(log_p, log_q, dx):
    # Entropy of the mixture less the mean entropy.
    p, q = torch.exp(log_p), torch.exp(log_q)
    m = (p + q) / 2
    entropy = lambda density: -torch.special.xlogy(density, density).sum() * dx
    return entropy(m) - (entropy(p) + entropy(q)) / 2


@right("jensen_shannon")
def jensen_shannon(log_p, log_q, dx):
    # Trapezoids instead of rectangles, and a loop over the two halves.
    total = 0
    for mine, other in ((log_p, log_q), (log_q, log_p)):
        inside = mine.exp() > 0
        integrand = torch.zeros_like(mine)
        integrand[inside] = mine[inside].exp() * (math.log(2) - F.softplus(other[inside] - mine[inside]))
        total = total + torch.trapezoid(integrand, dx=dx)
    return total / 2


@right("generator_losses")
def saturating_loss(fake_logits):
    return -F.softplus(fake_logits).mean()


@right("generator_losses")
def non_saturating_loss(fake_logits):
    return F.binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


@right("discriminator_step")
def discriminator_step(D, G, opt_D, x, z):
    opt_D.zero_grad(set_to_none=False)
    with torch.no_grad():
        fake = G(z)
    fake_logits, real_logits = D(fake), D(x)
    loss = (F.binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
            + F.binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits)))
    loss.backward()
    opt_D.step()
    return float(loss)


@right("discriminator_step")
def discriminator_step(D, G, opt_D, x, z):
    # Two backward passes, whose gradients add up; the loss comes back as a tensor.
    D.zero_grad()
    real_loss = F.softplus(-D(x)).mean()
    real_loss.backward()
    fake_loss = F.softplus(D(G(z).detach())).mean()
    fake_loss.backward()
    opt_D.step()
    return (real_loss + fake_loss).detach()


@right("generator_step")
def generator_step(D, G, opt_G, z):
    free = [parameter for parameter in D.parameters() if parameter.requires_grad]
    for parameter in free:
        parameter.requires_grad_(False)
    G.zero_grad()
    logits = D(G(z))
    loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss.backward()
    opt_G.step()
    for parameter in free:
        parameter.requires_grad_(True)
    return float(loss)


@right("generator_step")
def generator_step(D, G, opt_G, z):
    weights = list(G.parameters())
    loss = F.softplus(-D(G(z))).mean()
    for parameter, gradient in zip(weights, torch.autograd.grad(loss, weights)):
        parameter.grad = gradient
    opt_G.step()
    return loss.item()


@right("ring")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    done = 0
    while done < steps:
        losses = [discriminator_step(D, G, opt_D, real(), noise()) for _ in range(k)]
        last = generator_step(D, G, opt_G, noise())
        if callable(after_step):
            after_step(done, losses[-1], last)
        done += 1


@right("dirac_gan")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    f_prime = lambda t: torch.exp(-t) / (1 + torch.exp(-t))
    v_psi = theta * f_prime(psi * theta) - gamma * psi
    return (-psi * f_prime(-psi * theta) if non_saturating else -psi * f_prime(psi * theta)), v_psi


@right("dirac_gan")
def dirac_step(field, theta, psi, h, alternating=False):
    old = psi
    psi = psi + h * field(theta, psi)[1]
    return theta + h * field(theta, psi if alternating else old)[0], psi


@right("digits")
def labelled(images, labels):
    pixels = images[0].numel()
    pairs = torch.zeros(len(images), pixels + 10, dtype=images.dtype)
    pairs[:, :pixels] = (images.reshape(-1, pixels) - 0.5) / 0.5
    pairs[torch.arange(len(images)), pixels + labels] = 1
    return pairs


# --- more styles ---

@right("gan_value")
def gan_value(*batches):
    # −log(1 + eᵗ) by hand, stably.
    log_sigmoid = lambda a: torch.minimum(a, torch.zeros_like(a)) - torch.log1p(torch.exp(-a.abs()))
    return sum(log_sigmoid(sign * a).mean() for sign, a in zip((1, -1), batches))


@right("optimal_discriminator")
def optimal_discriminator(p_data, p_g, r=1.0, s=0.0):
    # NumPy there and back.
    p, q = p_data.numpy(), p_g.numpy()
    safe = (p + q) > 0
    return torch.from_numpy(((r * p + s * q) / (p + q + ~safe)) * safe + 0.5 * ~safe)


@right("optimal_discriminator")
def density_ratio(logits, r=1.0, s=0.0):
    up, down = torch.sigmoid(logits), torch.sigmoid(-logits)
    return ((1 - s) * up - s * down) / (r * down - (1 - r) * up)


@right("jensen_shannon")
def jensen_shannon(log_p, log_q, dx):
    log_m = torch.logsumexp(torch.stack([log_p, log_q]), dim=0) - math.log(2)
    return float(sum(torch.nansum(a.exp() * (a - log_m)) for a in (log_p, log_q)) * dx / 2)


@right("generator_losses")
class non_saturating_loss(torch.autograd.Function):
    # A gradient of one's own: calling the class is calling `loss`.
    def __new__(cls, logits):
        return cls.apply(logits).mean()

    @staticmethod
    def forward(ctx, logits):
        ctx.save_for_backward(logits)
        return F.softplus(-logits)

    @staticmethod
    def backward(ctx, gradient):
        logits, = ctx.saved_tensors
        return -gradient * torch.sigmoid(-logits)


@right("discriminator_step")
def discriminator_step(D, G, opt_D, x, z):
    # G frozen for the moment and released again; gradients by autograd.grad.
    G.requires_grad_(False)
    weights = list(D.parameters())
    loss = -gan_value(D(x), D(G(z)))
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
        weight.grad = gradient
    opt_D.step()
    G.requires_grad_(True)
    return loss.detach().numpy()


@right("discriminator_step")
@torch.enable_grad()
def discriminator_step(D, G, opt_D, x, z):
    # A closure; backward into D's parameters only, so nothing needs detaching but the loss.
    def closure():
        opt_D.zero_grad(set_to_none=False)
        loss = -gan_value(D(x), D(G(z)))
        loss.backward(inputs=list(D.parameters()), retain_graph=True)
        return loss
    return opt_D.step(closure).detach()


@right("generator_step")
def generator_step(D, G, opt_G, z):
    # In two halves: the gradient at the fakes, then through G.
    fake = G(z)
    at_fake = fake.detach().requires_grad_()
    loss = non_saturating_loss(D(at_fake))
    gradient, = torch.autograd.grad(loss, at_fake)
    opt_G.zero_grad()
    fake.backward(gradient)
    opt_G.step()
    return loss.item()


@right("generator_step")
def generator_step(D, G, opt_G, z):
    # Through D's parameters as well, cleared afterwards.
    loss = non_saturating_loss(D(G(z)))
    G.zero_grad(set_to_none=False)
    loss.backward()
    opt_G.step()
    D.zero_grad()
    return loss.detach()


@right("ring")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=lambda *_: None, **more):
    # One flat loop over all steps of both players.
    history = []
    for turn in range(steps * (k + 1)):
        step, move = divmod(turn, k + 1)
        if move < k:
            z = noise()
            loss_D = discriminator_step(D, G, opt_D, real(), z)
        else:
            history.append((step, loss_D, generator_step(D, G, opt_G, noise())))
            after_step(*history[-1])
    return history


@right("dirac_gan")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    # By autograd, from the two objectives.
    theta, psi = theta.clone().requires_grad_(), psi.clone().requires_grad_()
    f = F.logsigmoid
    for_G = f(-psi * theta) if non_saturating else -f(psi * theta)
    for_D = f(psi * theta) - gamma / 2 * psi**2
    return [torch.autograd.grad(for_G.sum(), theta)[0], torch.autograd.grad(for_D.sum(), psi)[0]]


@right("dirac_gan")
def dirac_step(field, theta, psi, h, alternating=False):
    theta, psi = theta.clone(), psi.clone()
    v_theta, v_psi = field(theta, psi)
    psi += h * v_psi
    theta += h * (field(theta, psi)[0] if alternating else v_theta)
    return torch.stack([theta, psi])


@right("digits")
def labelled(images, labels):
    pixels = images.flatten(1)
    pairs = torch.zeros(len(images), pixels.shape[1] + 10)
    pairs[:, :-10] = pixels * 2 - 1
    pairs[range(len(images)), pixels.shape[1] + labels] = 1
    return pairs


@right("digits")
def labelled(images, labels):
    one_hot = torch.eye(10)[labels]
    return torch.stack([torch.cat([2 * image.ravel() - 1, hot]) for image, hot in zip(images, one_hot)])
