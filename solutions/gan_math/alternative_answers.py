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
    for parameter in D.parameters():
        parameter.requires_grad_(False)
    G.zero_grad()
    logits = D(G(z))
    loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
    loss.backward()
    opt_G.step()
    for parameter in D.parameters():
        parameter.requires_grad_(True)
    return loss


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
    pairs = torch.zeros(len(images), 794, dtype=images.dtype)
    pairs[:, :784] = (images.reshape(-1, 784) - 0.5) / 0.5
    pairs[torch.arange(len(images)), 784 + labels] = 1
    return pairs
