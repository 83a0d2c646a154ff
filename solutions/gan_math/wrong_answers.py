"""Mistakes people make in `gan_math`, each with the sentence that helps. Each check must fail them, with that sentence.

Never released to learners. To add one: write the mistake as it would be written in the notebook, and its hint.
"""

import math

import torch
import torch.nn.functional as F


# --- gan_value ---

@wrong("gan_value", hint="At large logits `sigmoid` or `exp` leaves the range of floating-point numbers before the logarithm is taken, "
                         "and the result is −∞. Use `F.logsigmoid`, with log(1 − σ(a)) = log σ(−a).")
def gan_value(real_logits, fake_logits):
    return torch.log(torch.sigmoid(real_logits)).mean() + torch.log(1 - torch.sigmoid(fake_logits)).mean()


@wrong("gan_value", hint="The second term is log(1 − D) = log σ(−a): the logits of the fakes need a minus sign.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(fake_logits).mean()


@wrong("gan_value", hint="An expectation over a batch is a mean, not a sum: the value must not grow with the batch.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).sum() + F.logsigmoid(-fake_logits).sum()


@wrong("gan_value", hint="This is −V, the discriminator's loss. V itself is a sum of logarithms of probabilities, "
                         "so it is never positive.")
def gan_value(real_logits, fake_logits):
    return -(F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean())


@wrong("gan_value", hint="V is the sum of the two means. You have one mean over both batches together, "
                         "or half of the sum.")
def gan_value(real_logits, fake_logits):
    return torch.cat([F.logsigmoid(real_logits), F.logsigmoid(-fake_logits)]).mean()


@wrong("gan_value", hint="V is the sum of the two means, without a ½ in front.")
def gan_value(real_logits, fake_logits):
    return (F.logsigmoid(real_logits).mean() + F.logsigmoid(-fake_logits).mean()) / 2


@wrong("gan_value", hint="A small constant inside the logarithm keeps it finite but changes the value: "
                         "log(1e-8) is −18, where the truth is −10 000. Use `F.logsigmoid`.")
def gan_value(real_logits, fake_logits):
    real, fake = torch.sigmoid(real_logits), torch.sigmoid(fake_logits)
    return torch.log(real + 1e-8).mean() + torch.log(1 - fake + 1e-8).mean()


@wrong("gan_value", hint="The real and the fake logits have changed places.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(fake_logits).mean() + F.logsigmoid(-real_logits).mean()


# --- optimal_discriminator (and density_ratio) ---

def _best(p, q, r, s):
    total = p + q
    return torch.where(total > 0, (r * p + s * q) / torch.where(total > 0, total, 1), 0.5)


@wrong("optimal_discriminator", hint="Where both densities are 0, 0/0 is NaN. Answer ½ there: "
                                     "`torch.where(total > 0, ..., 0.5)`, with a divisor that isn't 0 either.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return (real_target * p_data + fake_target * p_g) / (p_data + p_g)


@wrong("optimal_discriminator", hint="This is the optimum without smoothing. The targets r and s belong in the numerator: "
                                     "collect everything that multiplies log D(x).")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return _best(p_data, p_g, 1.0, 0.0)


@wrong("optimal_discriminator", hint="The fakes' target s is missing: E over p_g of s·log D adds s·p_g to the numerator.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return _best(p_data, p_g, real_target, 0.0)


@wrong("optimal_discriminator", hint="The denominator isn't smoothed. What multiplies log D and what multiplies log(1 − D) "
                                     "add up to p + q, whatever the targets.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    top, bottom = real_target * p_data, real_target * p_data + (1 - fake_target) * p_g
    return torch.where(bottom > 0, top / torch.where(bottom > 0, bottom, 1), 0.5)


@wrong("optimal_discriminator", hint="This is 1 − D*: high where the fakes are. D says how probable it is that x is real.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return _best(p_g, p_data, real_target, fake_target)


@wrong("optimal_discriminator", hint="`density_ratio`: this is p_g/p_data. Solve σ(a) = p/(p+q) for p/q, not for q/p.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    d = torch.sigmoid(logits)
    return (real_target - d) / (d - fake_target)


@wrong("optimal_discriminator", hint="`density_ratio`: right without smoothing only. "
                                     "Solve σ(a) = (r·p + s·q)/(p + q) for p/q.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    return logits.exp()


@wrong("optimal_discriminator", hint="`density_ratio`: correct on paper, but for a = 40 the denominator r − σ(a) is 1 − 1 = 0. "
                                     "Multiply numerator and denominator by 1 + eᵃ first, and simplify.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    d = torch.sigmoid(logits)
    return (d - fake_target) / (real_target - d)


@wrong("optimal_discriminator", hint="`density_ratio`: this is D itself, a probability. The ratio p/q goes from 0 to ∞.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    return torch.sigmoid(logits)


# --- jensen_shannon ---

def _kl(log_a, log_b, dx):
    a = log_a.exp()
    return (torch.where(a > 0, a * (log_a - log_b), 0) * dx).sum()


def _log_mixture(log_p, log_q):
    return torch.logaddexp(log_p, log_q) - math.log(2)


@wrong("jensen_shannon", hint="A small constant stands in the logarithm. Where densities are small it changes their ratio, and in another unit of x all densities are: "
                              "stay with log p − log m.")
def jensen_shannon(log_p, log_q, dx):
    p, q = log_p.exp(), log_q.exp()
    m = (p + q) / 2
    part = lambda a: a * torch.log((a + 1e-12) / (m + 1e-12))
    return ((part(p) + part(q)) * dx).sum() / 2


@wrong("jensen_shannon", hint="This is the square root of the divergence (a distance, what SciPy gives). Leave the root out.")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    return ((_kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)) / 2).clamp(min=0).sqrt()


@wrong("jensen_shannon", hint="This is in bits. Use natural logarithms: the upper bound is log 2 = 0.693 nats, not 1.")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    return (_kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)) / 2 / math.log(2)


@wrong("jensen_shannon", hint="The two divergences are halved in the JSD: ½ KL(p‖m) + ½ KL(q‖m).")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    return _kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)


@wrong("jensen_shannon", hint="m is the mixture ½(p + q), so log m needs −log 2. Without it the result is too small by log 2.")
def jensen_shannon(log_p, log_q, dx):
    log_m = torch.logaddexp(log_p, log_q)
    return (_kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)) / 2


@wrong("jensen_shannon", hint="m is the mean of the densities, ½(p + q). You took the mean of their logarithms.")
def jensen_shannon(log_p, log_q, dx):
    log_m = (log_p + log_q) / 2
    return (_kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)) / 2


@wrong("jensen_shannon", hint="`dx` is missing: an integral over a grid is the sum times the spacing.")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    return (_kl(log_p, log_m, 1) + _kl(log_q, log_m, 1)) / 2


@wrong("jensen_shannon", hint="Each divergence is weighted by its own density: KL(p‖m) = ∫ p (log p − log m). "
                              "You have KL(m‖p), or the weights are those of the mixture.")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    m = log_m.exp()
    return ((m * (log_m - log_p) + m * (log_m - log_q)) * dx).sum() / 2


@wrong("jensen_shannon", hint="Where a density is 0, 0 · log 0 gave NaN. It counts as 0: "
                              "`torch.where(p > 0, p * (log_p - log_m), 0)`.")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    return ((log_p.exp() * (log_p - log_m) + log_q.exp() * (log_q - log_m)) * dx).sum() / 2


@wrong("jensen_shannon", hint="The result is NaN. Either the mixture was formed from the densities, which underflow far from their means, so that log m is −∞ there: "
                              "stay with logarithms, `torch.logaddexp(log_p, log_q) - math.log(2)`. Or a logarithm was taken of what is one already: p is `log_p.exp()`.")
def jensen_shannon(log_p, log_q, dx):
    log_m = torch.log((log_p.exp().float() + log_q.exp().float()) / 2).to(log_p.dtype)
    part = lambda a: a.exp() * (a - log_m)
    return ((part(log_p) + part(log_q)) * dx).sum() / 2


# --- generator_losses ---

@wrong("generator_losses", hint="`saturating_loss` and `non_saturating_loss` have changed places.")
def saturating_loss(fake_logits):
    return -F.logsigmoid(fake_logits).mean()


@wrong("generator_losses", hint="`saturating_loss`: the sign. G *minimises* log(1 − D), which is negative. "
                                "With a minus in front it would make its fakes worse.")
def saturating_loss(fake_logits):
    return F.softplus(fake_logits).mean()


@wrong("generator_losses", hint="`saturating_loss`: once a is large, `sigmoid` or `exp` leaves the range of floating-point numbers "
                                "before the logarithm is taken, and the result is −∞. Use `F.logsigmoid`, with "
                                "log(1 − σ(a)) = log σ(−a).")
def saturating_loss(fake_logits):
    return torch.log(1 - torch.sigmoid(fake_logits)).mean()


@wrong("generator_losses", hint="`non_saturating_loss`: the sign. G maximises log D, so the loss to minimise is −log D, "
                                "which is positive.")
def non_saturating_loss(fake_logits):
    return F.logsigmoid(fake_logits).mean()


@wrong("generator_losses", hint="`non_saturating_loss`: this is the discriminator's loss on fakes. It pushes the logits down; "
                                "G wants them up.")
def non_saturating_loss(fake_logits):
    return -F.logsigmoid(-fake_logits).mean()


@wrong("generator_losses", hint="`non_saturating_loss`: `sigmoid` or `exp` leaves the range of floating-point numbers once a is very "
                                "negative, just where the generator needs its gradient, and the loss is ∞. Use `F.logsigmoid`.")
def non_saturating_loss(fake_logits):
    return -torch.log(torch.sigmoid(fake_logits)).mean()


@wrong("generator_losses", hint="`saturating_loss`: the gradient is cut. Don't use `.detach()`, `.item()` or `torch.no_grad()` in a loss.")
def saturating_loss(fake_logits):
    return F.logsigmoid(-fake_logits.detach()).mean()


@wrong("generator_losses", hint="`non_saturating_loss`: an expectation is a mean, not a sum.")
def non_saturating_loss(fake_logits):
    return -F.logsigmoid(fake_logits).sum()


# --- discriminator_step ---

@wrong("discriminator_step", hint="The labels are swapped: this step makes D call real points fake. Minimise −V.",
       trains="labels swapped in D's step")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(G(z).detach()), D(x))
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="The sign: this step goes down V. D climbs it, so it minimises −V.")
def discriminator_step(D, G, opt_D, x, z):
    loss = gan_value(D(x), D(G(z).detach()))
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="The second step is polluted by gradients from before: clear them (`opt_D.zero_grad()`) "
                                  "before `backward()` adds new ones.",
       trains="D's gradients never cleared")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x), D(G(z).detach()))
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="Clearing the gradients at the end of the step is too late: the generator's step, which comes "
                                  "in between, leaves some in D. Clear them before `backward()`.")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x), D(G(z).detach()))
    loss.backward()
    opt_D.step()
    opt_D.zero_grad()
    return loss.item()


@wrong("discriminator_step", hint="Gradients have leaked into G: a step of its optimiser would now move it. "
                                  "Cut the graph with `G(z).detach()`.")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x), D(G(z)))
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="Real and fake went through D in one batch, so batch norm mixed their statistics. "
                                  "Call D once for each.")
def discriminator_step(D, G, opt_D, x, z):
    logits = D(torch.cat([x, G(z).detach()]))
    loss = -gan_value(logits[:len(x)], logits[len(x):])
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="G was put into eval mode: its batch norm then uses running statistics, and D learns to judge "
                                  "other fakes than G makes in training. Leave both nets in train mode.")
def discriminator_step(D, G, opt_D, x, z):
    G.eval()
    loss = -gan_value(D(x), D(G(z).detach()))
    G.train()
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="The loss is halved (or a mean over both batches). Minimise −V, the sum of the two means.")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x), D(G(z).detach())) / 2
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="D hasn't moved. The order is `zero_grad()`, `backward()`, `step()`, and nothing may clear the "
                                  "gradients between the last two.")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x), D(G(z).detach()))
    opt_D.zero_grad()
    loss.backward()
    return loss.item()


@wrong("discriminator_step", hint="Only the fakes have moved D. Either the real half of the loss is cut off from D, or its gradients are "
                                  "cleared before the step.")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x).detach(), D(G(z).detach()))
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


# --- generator_step ---

@wrong("generator_step", hint="This is the saturating loss. Take the non-saturating one, −log D(G(z)).",
       trains="saturating loss")
def generator_step(D, G, opt_G, z):
    loss = saturating_loss(D(G(z)))
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="The sign: this step makes the fakes easier to recognise. It is the discriminator's loss on fakes.",
       trains="G's step with the wrong sign")
def generator_step(D, G, opt_G, z):
    loss = -F.logsigmoid(-D(G(z))).mean()
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="G hasn't moved. Either no gradient reaches it (the fakes are detached, or made under "
                              "`torch.no_grad()`), or the order isn't `zero_grad()`, `backward()`, `step()`.")
def generator_step(D, G, opt_G, z):
    loss = non_saturating_loss(D(G(z).detach()))
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="The second step is polluted by gradients from before: clear G's (`opt_G.zero_grad()`) before "
                              "`backward()` adds new ones.",
       trains="G's gradients never cleared")
def generator_step(D, G, opt_G, z):
    loss = non_saturating_loss(D(G(z)))
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="D's parameters were frozen and not released: its next own step does nothing. "
                              "Nothing needs freezing; `opt_G` doesn't hold them.")
def generator_step(D, G, opt_G, z):
    D.requires_grad_(False)
    loss = non_saturating_loss(D(G(z)))
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="D has moved in the generator's step. Only G may: by its own optimiser.",
       trains="D also moved in G's step")
def generator_step(D, G, opt_G, z):
    D.zero_grad()
    loss = non_saturating_loss(D(G(z)))
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    with torch.no_grad():
        for parameter in D.parameters():
            parameter -= 0.1 * parameter.grad
    return loss.item()


@wrong("generator_step", hint="D was in eval mode here: its batch norm then uses running statistics, and G trains against another "
                              "judge than the one D's own step trains. Leave both nets in train mode.")
def generator_step(D, G, opt_G, z):
    D.eval()
    loss = non_saturating_loss(D(G(z)))
    D.train()
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="The step must use the noise it is given, `z`, and no noise of its own.")
def generator_step(D, G, opt_G, z):
    loss = non_saturating_loss(D(G(torch.randn_like(z))))
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="G hasn't moved.")
def generator_step(D, G, opt_G, z):
    loss = non_saturating_loss(D(G(z)))
    opt_G.zero_grad()
    loss.backward()
    return loss.item()


# --- ring: the loop ---

@wrong("ring", hint="`for k in range(k)` gives k a new value: from the second round on D takes fewer steps, or none. Count with another name, `for _ in range(k)`.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        for k in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="`discriminator_step` gets `opt_G`, so that D never moves. It needs `opt_D`.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_G, real(), noise())
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="`k` isn't used: D takes k steps before G takes one.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        loss_D = discriminator_step(D, G, opt_D, real(), noise())
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="G takes k steps too. Only D does; G takes one a round.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
            loss_G = generator_step(D, G, opt_G, noise())
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="The batch of real points is drawn once and used for all k steps of D. Each step gets its own.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        x = real()
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, x, noise())
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="G gets the noise that D has just seen. Each step draws its own: call `noise()` again.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        for _ in range(k):
            z = noise()
            loss_D = discriminator_step(D, G, opt_D, real(), z)
        loss_G = generator_step(D, G, opt_G, z)
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="The noise is drawn once, before the loop: G would learn to place these few points and no others. "
                    "Call `noise()` for every step.",
       trains="noise drawn once for all rounds")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    z = noise()
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), z)
        loss_G = generator_step(D, G, opt_G, z)
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="G moves before D in each round. In Algorithm 1 D comes first.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        loss_G = generator_step(D, G, opt_G, noise())
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
        if after_step:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="`after_step` is called once a round, with the round's number from 0 and both losses: "
                    "`after_step(step, loss_D, loss_G)`.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
        loss_G = generator_step(D, G, opt_G, noise())


# --- dirac_gan ---

@wrong("dirac_gan", hint="`dirac_field`: this is the game of a D that wants its logit high at the data, as in section 1. Here, as in the paper, D wants it high at the fake: "
                         "L = f(ψθ) + f(0).")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(psi * theta)
    return psi * (torch.sigmoid(-psi * theta) if non_saturating else slope), -theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: v_θ has the wrong sign. G goes *down* the gradient of L, so v_θ = −∂L/∂θ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: f′(t) is σ(−t), not σ(t): differentiate −log(1 + e⁻ᵗ).")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(psi * theta)
    return -psi * (torch.sigmoid(-psi * theta) if non_saturating else slope), theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: the non-saturating generator climbs f(−ψθ), so its slope is f′(−ψθ) = σ(ψθ). "
                         "The discriminator's direction stays as it is.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * slope, theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: the derivative of (γ/2)ψ² is γψ, not γψ/2.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope - gamma / 2 * psi


@wrong("dirac_gan", hint="`dirac_field`: the penalty has the wrong sign. It pulls ψ towards 0.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope + gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: R1 is the discriminator's penalty. It doesn't enter v_θ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return (-psi * (torch.sigmoid(psi * theta) if non_saturating else slope) - gamma * theta), theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_step`: with `alternating`, D (that is ψ) moves first and G answers the new ψ. "
                         "Here G moves first.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    theta_next = theta + h * v_theta
    if alternating:
        _, v_psi = field(theta_next, psi)
    return theta_next, psi + h * v_psi


@wrong("dirac_gan", hint="`dirac_step`: `alternating` makes no difference. With it, call `field` again with the new ψ "
                         "before θ moves.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    return theta + h * v_theta, psi + h * v_psi


@wrong("dirac_gan", hint="`dirac_step`: simultaneous means that both players move from the same point. "
                         "Here θ already sees the new ψ.")
def dirac_step(field, theta, psi, h, alternating=False):
    psi = psi + h * field(theta, psi)[1]
    return theta + h * field(theta, psi)[0], psi


@wrong("dirac_gan", hint="`dirac_step`: the step size is built in as 0.2. It is the argument h.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    psi_next = psi + 0.2 * v_psi
    if alternating:
        v_theta, _ = field(theta, psi_next)
    return theta + 0.2 * v_theta, psi_next


@wrong("dirac_gan", hint="`dirac_step`: the step size h is missing.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    psi_next = psi + v_psi
    if alternating:
        v_theta, _ = field(theta, psi_next)
    return theta + v_theta, psi_next


# --- digits: the pairs ---

@wrong("digits", hint="`labelled`: the pixels are still in [0, 1]. The generator's tanh gives [−1, 1]: use 2·image − 1.")
def labelled(images, labels):
    return torch.cat([images.flatten(1), F.one_hot(labels, 10).to(images.dtype)], dim=1)


@wrong("digits", hint="`labelled`: the pixels come first, then the label.")
def labelled(images, labels):
    return torch.cat([F.one_hot(labels, 10).to(images.dtype), 2 * images.flatten(1) - 1], dim=1)


@wrong("digits", hint="`labelled`: the label is one-hot, 0 and 1. Only the pixels are stretched to [−1, 1].")
def labelled(images, labels):
    return 2 * torch.cat([images.flatten(1), F.one_hot(labels, 10).to(images.dtype)], dim=1) - 1


@wrong("digits", hint="`labelled`: the label must be ten numbers, one-hot, not the digit itself.")
def labelled(images, labels):
    return torch.cat([2 * images.flatten(1) - 1, labels[:, None].to(images.dtype)], dim=1)


@wrong("digits", hint="`labelled`: the rows don't fit each other: the labels are in another order than the images.")
def labelled(images, labels):
    return torch.cat([2 * images.flatten(1) - 1, F.one_hot(labels.flip(0), 10).to(images.dtype)], dim=1)


# --- found by trying ---

@wrong("gan_value", hint="The fakes' term is subtracted. V is a sum: log D on the real points plus log(1 − D) on the fakes.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean()


@wrong("gan_value", hint="−log D is not log(1 − D). 1 − σ(a) is σ(−a): the minus sign belongs inside, before the logits.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean() - F.logsigmoid(fake_logits).mean()


@wrong("gan_value", hint="The 1 − … is taken of the logit, not of the probability. 1 − σ(a) is σ(−a), so the second term is "
                         "`F.logsigmoid(-fake_logits)`.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean() + F.logsigmoid(1 - fake_logits).mean()


@wrong("gan_value", hint="The 1 − … stands outside the logarithm. log(1 − σ(a)) is log σ(−a), not 1 − log σ(a).")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean() + (1 - F.logsigmoid(fake_logits)).mean()


@wrong("gan_value", hint="The result is NaN: a logarithm was taken of a negative number. The arguments are logits, any real "
                         "numbers, not probabilities: log D is `F.logsigmoid(a)`.")
def gan_value(real_logits, fake_logits):
    return torch.log(real_logits).mean() + torch.log(1 - fake_logits).mean()


@wrong("gan_value", hint="The mean of the logarithms is asked for; this is the logarithm of the mean. Take the logarithm of each "
                         "first.")
def gan_value(real_logits, fake_logits):
    return torch.log(torch.sigmoid(real_logits).mean()) + torch.log(torch.sigmoid(-fake_logits).mean())


@wrong("gan_value", hint="The term of the fakes is missing.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean()


@wrong("gan_value", hint="Each batch has its own size. Take two means, not one sum over both that is divided by one of the sizes.")
def gan_value(real_logits, fake_logits):
    return (F.logsigmoid(real_logits).sum() + F.logsigmoid(-fake_logits).sum()) / len(real_logits)


@wrong("gan_value", hint="The gradient at large logits is NaN. `torch.where` doesn't help: the branch not taken still gives "
                         "0 · ∞ on the way back. `F.logsigmoid` is finite in both directions.")
def gan_value(real_logits, fake_logits):
    stable = lambda a: torch.where(a > 30, -a, torch.log(1 - torch.sigmoid(a)))
    return stable(-real_logits).mean() + stable(fake_logits).mean()


@wrong("optimal_discriminator", hint="Right but for the points where both densities are 0: you answer 0 there, the exercise asks "
                                     "for ½.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return torch.nan_to_num((real_target * p_data + fake_target * p_g) / (p_data + p_g))


@wrong("optimal_discriminator", hint="½ is the answer only where *both* densities are 0. Where one of them is, D* is certain: 0 or 1 "
                                     "without smoothing.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return torch.where(p_data * p_g > 0, _best(p_data, p_g, real_target, fake_target), 0.5)


@wrong("optimal_discriminator", hint="A ratio p/q was formed first, and where q is 0 it is ∞. Keep p + q as the divisor.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    ratio = p_data / p_g
    return (real_target * ratio + fake_target) / (1 + ratio)


@wrong("optimal_discriminator", hint="s is added as it stands. It is multiplied by p_g, like r by p_data, before the division by p + q.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return torch.where(p_data + p_g > 0, _best(p_data, p_g, real_target, 0.0) + fake_target, 0.5)


@wrong("optimal_discriminator", hint="The numerator holds what multiplies log D: s for the fakes. 1 − s multiplies log(1 − D).")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return _best(p_data, p_g, real_target, 1 - fake_target)


@wrong("optimal_discriminator", hint="The numerator has p_g with the weight 1 − r. That is a real point's share of log(1 − D); "
                                     "what multiplies log D is r·p_data + s·p_g.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    return _best(p_data, p_g, real_target, 1 - real_target if real_target < 1 else 0.0)


@wrong("optimal_discriminator", hint="`density_ratio`: this is the logarithm of the ratio. Without smoothing the logit *is* log(p/q).")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    return logits


@wrong("optimal_discriminator", hint="`density_ratio`: the argument is a logit, and D = σ(a). You put the logit where D belongs.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    return (logits - fake_target) / (real_target - logits)


@wrong("optimal_discriminator", hint="`density_ratio`: a sign in the numerator. (σ(a) − s)(1 + eᵃ) is eᵃ − s·eᵃ − s.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    odds = logits.exp()
    return ((1 - fake_target) * odds + fake_target) / (real_target - (1 - real_target) * odds)


@wrong("optimal_discriminator", hint="`density_ratio`: a sign in the denominator. (r − σ(a))(1 + eᵃ) is r + r·eᵃ − eᵃ.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    odds = logits.exp()
    return ((1 - fake_target) * odds - fake_target) / (real_target + (1 - real_target) * odds)


@wrong("optimal_discriminator", hint="`density_ratio`: the fakes' target s is missing. It is subtracted in the numerator, σ(a) − s.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    odds = logits.exp()
    return odds / (real_target - (1 - real_target) * odds)


@wrong("optimal_discriminator", hint="`density_ratio`: this inverts D* = r·p/(r·p + (1 − s)·q). The divisor of D* is p + q, "
                                     "whatever the targets.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    return logits.exp() * (1 - fake_target) / real_target


@wrong("jensen_shannon", hint="Only one of the two divergences is there. The JSD is ½ KL(p‖m) + ½ KL(q‖m).")
def jensen_shannon(log_p, log_q, dx):
    return _kl(log_p, _log_mixture(log_p, log_q), dx)


@wrong("jensen_shannon", hint="This is ½ KL(p‖m) alone: the other half is missing. The JSD is ½ KL(p‖m) + ½ KL(q‖m).")
def jensen_shannon(log_p, log_q, dx):
    return _kl(log_p, _log_mixture(log_p, log_q), dx) / 2


@wrong("jensen_shannon", hint="This compares p and q with each other (KL(p‖q), or the mean of both directions). The JSD compares each "
                              "of them with the mixture m = ½(p + q).")
def jensen_shannon(log_p, log_q, dx):
    return (_kl(log_p, log_q, dx) + _kl(log_q, log_p, dx)) / 2


@wrong("jensen_shannon", hint="This is KL(p‖q), which compares p with q. The JSD compares each "
                              "of them with the mixture m = ½(p + q).")
def jensen_shannon(log_p, log_q, dx):
    return _kl(log_p, log_q, dx)


@wrong("jensen_shannon", hint="The sign: KL(p‖m) = ∫ p (log p − log m), and a divergence is never negative.")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    return -(_kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)) / 2


@wrong("jensen_shannon", hint="This is a mean over the grid. An integral is the sum times the spacing, `.sum() * dx`.")
def jensen_shannon(log_p, log_q, dx):
    log_m = _log_mixture(log_p, log_q)
    return (_kl(log_p, log_m, 1) + _kl(log_q, log_m, 1)) / 2 / len(log_p)


@wrong("jensen_shannon", hint="Points where only one density is 0 were left out. There the other one's term is p log(p/½p) = p log 2, "
                              "not 0: mask each divergence by its own density.")
def jensen_shannon(log_p, log_q, dx):
    both = torch.isfinite(log_p) & torch.isfinite(log_q)
    log_m = _log_mixture(log_p[both], log_q[both])
    return (_kl(log_p[both], log_m, dx) + _kl(log_q[both], log_m, dx)) / 2


@wrong("jensen_shannon", hint="log m is log(p + q) − log 2. You halved the logarithm, which is the square root of p + q.")
def jensen_shannon(log_p, log_q, dx):
    log_m = torch.logaddexp(log_p, log_q) / 2
    return (_kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)) / 2


@wrong("jensen_shannon", hint="The mixture formed from the densities underflows to 0 where p is the smallest number above it: one term "
                              "becomes p log(p/0) = ∞. Stay with logarithms: `torch.logaddexp(log_p, log_q) - math.log(2)`.")
def jensen_shannon(log_p, log_q, dx):
    log_m = ((log_p.exp().float() + log_q.exp().float()) / 2).log().to(log_p.dtype)
    return (_kl(log_p, log_m, dx) + _kl(log_q, log_m, dx)) / 2


@wrong("generator_losses", hint="`saturating_loss`: an expectation is a mean, not a sum.")
def saturating_loss(fake_logits):
    return F.logsigmoid(-fake_logits).sum()


@wrong("generator_losses", hint="`saturating_loss`: this is log D. The saturating loss is log(1 − D) = log σ(−a): a minus sign before "
                                "the logits.")
def saturating_loss(fake_logits):
    return F.logsigmoid(fake_logits).mean()


@wrong("generator_losses", hint="`saturating_loss`: the gradient at large logits is NaN. `torch.where` doesn't help: the branch not "
                                "taken still gives 0 · ∞ on the way back. `F.logsigmoid` is finite in both directions.")
def saturating_loss(fake_logits):
    return torch.where(fake_logits > 30, -fake_logits, torch.log(1 - torch.sigmoid(fake_logits))).mean()


@wrong("generator_losses", hint="`non_saturating_loss`: without a ½ in front.")
def non_saturating_loss(fake_logits):
    return -F.logsigmoid(fake_logits).mean() / 2


@wrong("generator_losses", hint="`non_saturating_loss`: the gradient is cut. Don't use `.detach()`, `.data`, `.item()` or "
                                "`torch.no_grad()` in a loss.")
def non_saturating_loss(fake_logits):
    return -F.logsigmoid(fake_logits.detach()).mean()


def _d_step(opt_D, loss):
    opt_D.zero_grad()
    loss.backward()
    opt_D.step()
    return loss.item()


@wrong("discriminator_step", hint="Only the real points have moved D. `D(G(z)).detach()`, or `torch.no_grad()` around D, cuts D off too: "
                                  "cut between the nets, `D(G(z).detach())`.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -gan_value(D(x), D(G(z)).detach()))


@wrong("discriminator_step", hint="The fakes' half of the loss is missing.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -F.logsigmoid(D(x)).mean())


@wrong("discriminator_step", hint="The real points' half of the loss is missing.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -F.logsigmoid(-D(G(z).detach())).mean())


@wrong("discriminator_step", hint="Both batches carry the label \"real\". The fakes' half is −log(1 − D(G(z))).")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -F.logsigmoid(D(x)).mean() - F.logsigmoid(D(G(z).detach())).mean())


@wrong("discriminator_step", hint="Both batches carry the label \"fake\". The real points' half is −log D(x).")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -F.logsigmoid(-D(x)).mean() - F.logsigmoid(-D(G(z).detach())).mean())


@wrong("discriminator_step", hint="The fakes never come in: D sees x in both places. The second batch is `G(z).detach()`.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -gan_value(D(x), D(x)))


@wrong("discriminator_step", hint="A sigmoid too many: `gan_value` takes logits, and D gives logits.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -gan_value(torch.sigmoid(D(x)), torch.sigmoid(D(G(z).detach()))))


@wrong("discriminator_step", hint="The losses are sums over the batch. V is made of means.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -F.logsigmoid(D(x)).sum() - F.logsigmoid(-D(G(z).detach())).sum())


@wrong("discriminator_step", hint="This is a critic's loss (Wasserstein), without the logarithms. Minimise −V.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, D(G(z).detach()).mean() - D(x).mean())


@wrong("discriminator_step", hint="The step is right, but what it returns is V. Return the loss, −V.")
def discriminator_step(D, G, opt_D, x, z):
    return -_d_step(opt_D, -gan_value(D(x), D(G(z).detach())))


@wrong("discriminator_step", hint="The step is right, but the loss is computed anew after it. Return the one from before the step.")
def discriminator_step(D, G, opt_D, x, z):
    _d_step(opt_D, -gan_value(D(x), D(G(z).detach())))
    return -gan_value(D(x), D(G(z).detach())).item()


@wrong("discriminator_step", hint="D moves twice: once for the real batch, then for the fakes. Add the two losses (or their gradients) "
                                  "and call `opt_D.step()` once.")
def discriminator_step(D, G, opt_D, x, z):
    real = -F.logsigmoid(D(x)).mean()
    _d_step(opt_D, real)
    return real.item() + _d_step(opt_D, -F.logsigmoid(-D(G(z).detach())).mean())


@wrong("discriminator_step", hint="`opt_D.step()` is called twice. Once is one step.")
def discriminator_step(D, G, opt_D, x, z):
    loss = _d_step(opt_D, -gan_value(D(x), D(G(z).detach())))
    opt_D.step()
    return loss


@wrong("discriminator_step", hint="The labels are smoothed. Algorithm 1 here has plain ones: minimise −V.")
def discriminator_step(D, G, opt_D, x, z):
    real, fake = D(x), D(G(z).detach())
    return _d_step(opt_D, F.binary_cross_entropy_with_logits(real, torch.full_like(real, 0.9))
                   + F.binary_cross_entropy_with_logits(fake, torch.zeros_like(fake)))


@wrong("discriminator_step", hint="Right to about seven digits only. Either something on the way is float32, such as labels from "
                                  "`torch.ones(...)` (take `torch.ones_like(logits)`), or a small constant stands inside a logarithm "
                                  "(your `gan_value` needs none).")
def discriminator_step(D, G, opt_D, x, z):
    real, fake = D(x), D(G(z).detach())
    return _d_step(opt_D, F.binary_cross_entropy_with_logits(real, torch.ones(real.shape, dtype=torch.float32))
                   + F.binary_cross_entropy_with_logits(fake, torch.zeros(fake.shape, dtype=torch.float32)))


@wrong("discriminator_step", hint="D was in eval mode here: its batch norm then uses running statistics instead of the batch's. "
                                  "Leave both nets in train mode.")
def discriminator_step(D, G, opt_D, x, z):
    D.eval()
    loss = _d_step(opt_D, -gan_value(D(x), D(G(z).detach())))
    D.train()
    return loss


@wrong("discriminator_step", hint="D is left in eval mode at the end, so the next step finds it there. Leave both nets in train mode.")
def discriminator_step(D, G, opt_D, x, z):
    loss = _d_step(opt_D, -gan_value(D(x), D(G(z).detach())))
    D.eval()
    return loss


@wrong("discriminator_step", hint="The step moves the weights by its own rule. Use the optimiser it is given, `opt_D.step()`: it keeps "
                                  "its own state (here, momentum) from step to step.")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x), D(G(z).detach()))
    opt_D.zero_grad()
    loss.backward()
    with torch.no_grad():
        for parameter in D.parameters():
            parameter -= 0.1 * parameter.grad
    return loss.item()


@wrong("discriminator_step", hint="G is left frozen: its own next step does nothing. Nothing needs freezing; `G(z).detach()` is enough.")
def discriminator_step(D, G, opt_D, x, z):
    G.requires_grad_(False)
    return _d_step(opt_D, -gan_value(D(x), D(G(z))))


@wrong("discriminator_step", hint="G is left in eval mode: its own next step trains with running statistics. Leave both nets in train "
                                  "mode.")
def discriminator_step(D, G, opt_D, x, z):
    G.train()
    loss = _d_step(opt_D, -gan_value(D(x), D(G(z).detach())))
    G.eval()
    return loss


def _g_step(opt_G, loss):
    opt_G.zero_grad()
    loss.backward()
    opt_G.step()
    return loss.item()


@wrong("generator_step", hint="Clearing the gradients at the end of the step is too late: D's step, which comes in between, may leave "
                              "some in G. Clear them before `backward()`.")
def generator_step(D, G, opt_G, z):
    loss = non_saturating_loss(D(G(z)))
    loss.backward()
    opt_G.step()
    opt_G.zero_grad()
    return loss.item()


@wrong("generator_step", hint="The sign: minimise `non_saturating_loss` as it is. With a minus in front, G makes its fakes easier to "
                              "recognise.")
def generator_step(D, G, opt_G, z):
    return _g_step(opt_G, -non_saturating_loss(D(G(z))))


@wrong("generator_step", hint="The step is right, but the loss comes back with the wrong sign. −log D is positive.")
def generator_step(D, G, opt_G, z):
    return -_g_step(opt_G, non_saturating_loss(D(G(z))))


@wrong("generator_step", hint="The step is right, but the loss is computed anew after it. Return the one from before the step.")
def generator_step(D, G, opt_G, z):
    _g_step(opt_G, non_saturating_loss(D(G(z))))
    return non_saturating_loss(D(G(z))).item()


@wrong("generator_step", hint="The loss is halved. Minimise −log D(G(z)), a mean over the batch.")
def generator_step(D, G, opt_G, z):
    return _g_step(opt_G, non_saturating_loss(D(G(z))) / 2)


@wrong("generator_step", hint="The loss is a sum over the batch. Minimise the mean of −log D(G(z)).")
def generator_step(D, G, opt_G, z):
    return _g_step(opt_G, -F.logsigmoid(D(G(z))).sum())


@wrong("generator_step", hint="G was in eval mode here: its batch norm then uses running statistics instead of the batch's. "
                              "Leave both nets in train mode.")
def generator_step(D, G, opt_G, z):
    G.eval()
    loss = non_saturating_loss(D(G(z)))
    G.train()
    return _g_step(opt_G, loss)


@wrong("generator_step", hint="D or G is left in eval mode at the end. Leave both nets in train mode.")
def generator_step(D, G, opt_G, z):
    loss = _g_step(opt_G, non_saturating_loss(D(G(z))))
    D.eval()
    return loss


@wrong("generator_step", hint="G is left in eval mode at the end. Leave both nets in train mode.")
def generator_step(D, G, opt_G, z):
    loss = _g_step(opt_G, non_saturating_loss(D(G(z))))
    G.eval()
    return loss


def _round(D, G, opt_D, opt_G, real, noise, k):
    for _ in range(k):
        loss_D = discriminator_step(D, G, opt_D, real(), noise())
    return loss_D, generator_step(D, G, opt_G, noise())


@wrong("ring", hint="Rounds are counted from 0: the first call is `after_step(0, loss_D, loss_G)`.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(1, steps + 1):
        losses = _round(D, G, opt_D, opt_G, real, noise, k)
        if after_step is not None:
            after_step(step, *losses)


@wrong("ring", hint="`after_step` takes the step, then D's loss, then G's. The two losses have changed places.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        loss_D, loss_G = _round(D, G, opt_D, opt_G, real, noise, k)
        if after_step is not None:
            after_step(step, loss_G, loss_D)


@wrong("ring", hint="`after_step` is called once, at the end. It belongs inside the loop, after each round.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        losses = _round(D, G, opt_D, opt_G, real, noise, k)
    if after_step is not None:
        after_step(step, *losses)


@wrong("ring", hint="`after_step` is called before G's step, or inside the loop over k: the loss of G it gets is the last round's. "
                    "It comes last in each round.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    loss_G = 0.0
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
            if after_step is not None:
                after_step(step, loss_D, loss_G)
        loss_G = generator_step(D, G, opt_G, noise())


@wrong("ring", hint="One step of D too many: `range(k)` already makes k steps.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        losses = _round(D, G, opt_D, opt_G, real, noise, k + 1)
        if after_step is not None:
            after_step(step, *losses)


@wrong("ring", hint="The loop ends one round early.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps - 1):
        losses = _round(D, G, opt_D, opt_G, real, noise, k)
        if after_step is not None:
            after_step(step, *losses)


@wrong("ring", hint="`steps` counts rounds, and each has k steps of D. You counted the steps of D.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        loss_D = discriminator_step(D, G, opt_D, real(), noise())
        if (step + 1) % k == 0:
            loss_G = generator_step(D, G, opt_G, noise())
            if after_step is not None:
                after_step(step, loss_D, loss_G)


@wrong("ring", hint="`k` belongs to D. Here D takes one step a round, and G takes k.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        loss_D = discriminator_step(D, G, opt_D, real(), noise())
        for _ in range(k):
            loss_G = generator_step(D, G, opt_G, noise())
        if after_step is not None:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="D's noise is drawn once a round and used for all its k steps. Each step gets its own: call `noise()` inside "
                    "the loop over k.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        z = noise()
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), z)
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step is not None:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="All steps of D come first, then all of G. The players take turns: k steps of D, one of G, and again.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for _ in range(steps * k):
        loss_D = discriminator_step(D, G, opt_D, real(), noise())
    for step in range(steps):
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step is not None:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="The data are drawn once, before the loop. Call `real()` for every step of D.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    x = real()
    for step in range(steps):
        losses = _round(D, G, opt_D, opt_G, lambda: x, noise, k)
        if after_step is not None:
            after_step(step, *losses)


@wrong("ring", hint="G's noise is drawn before D's steps. That is no worse, but Algorithm 1 draws it when G's turn comes, and this "
                    "check hands the batches out in that order.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        z = noise()
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
        loss_G = generator_step(D, G, opt_G, z)
        if after_step is not None:
            after_step(step, loss_D, loss_G)


@wrong("dirac_gan", hint="`dirac_field`: R1 is gone when `non_saturating` is set. It belongs to D's direction in both games.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    if non_saturating:
        return -psi * torch.sigmoid(psi * theta), theta * slope
    return -psi * slope, theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: v_ψ has the wrong sign. D goes *up* the gradient of L, so v_ψ = +∂L/∂ψ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), -theta * slope + gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: the two directions have changed places. θ's comes first.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return theta * slope - gamma * psi, -psi * (torch.sigmoid(psi * theta) if non_saturating else slope)


@wrong("dirac_gan", hint="`dirac_field`: the inner derivative: ∂(ψθ)/∂θ is ψ, and ∂(ψθ)/∂ψ is θ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -theta * (torch.sigmoid(psi * theta) if non_saturating else slope), psi * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: `non_saturating` changes the generator's direction only. D's stays θ·σ(−ψθ).")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(psi * theta) if non_saturating else torch.sigmoid(-psi * theta)
    return -psi * slope, theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: the non-saturating v_θ has the wrong sign. Both generators push the same way, only with "
                         "another strength.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return (psi * torch.sigmoid(psi * theta) if non_saturating else -psi * slope), theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: `gamma` isn't used. R1 adds −γψ to v_ψ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope


@wrong("dirac_gan", hint="`dirac_field`: the penalty (γ/2)ψ² must be differentiated: γψ, not γψ² and not 2γψ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope - gamma * psi**2


@wrong("dirac_gan", hint="`dirac_field`: the penalty (γ/2)ψ² gives γψ when differentiated: the ½ cancels the 2, so it isn't 2γψ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope - 2 * gamma * psi


@wrong("dirac_gan", hint="`dirac_field`: R1 pulls ψ to 0, not θ: the term is −γψ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope - gamma * theta


@wrong("dirac_gan", hint="`dirac_field`: σ(t)σ(−t) is the derivative of σ. f is −log(1 + e⁻ᵗ) = log σ(t), whose derivative is σ(−t).")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(psi * theta) * torch.sigmoid(-psi * theta)
    return -psi * slope, theta * slope - gamma * psi


@wrong("dirac_gan", hint="`dirac_step`: it moves in your own `dirac_field`. Use the `field` it is given.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = dirac_field(theta, psi)
    psi_next = psi + h * v_psi
    if alternating:
        v_theta, _ = dirac_field(theta, psi_next)
    return theta + h * v_theta, psi_next


@wrong("dirac_gan", hint="`dirac_step`: a minus too many. The field already holds the signs: both players move by +h·v.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    psi_next = psi + h * v_psi
    if alternating:
        v_theta, _ = field(theta, psi_next)
    return theta - h * v_theta, psi_next


@wrong("dirac_gan", hint="`dirac_step`: both players move backwards. The field already holds the signs: both players move by +h·v.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    psi_next = psi - h * v_psi
    if alternating:
        v_theta, _ = field(theta, psi_next)
    return theta - h * v_theta, psi_next


@wrong("dirac_gan", hint="`dirac_step`: return θ first, then ψ.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    psi_next = psi + h * v_psi
    if alternating:
        v_theta, _ = field(theta, psi_next)
    return psi_next, theta + h * v_theta


@wrong("dirac_gan", hint="`dirac_step`: with `alternating`, ψ moves twice. After its own step only θ's direction is taken anew.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    psi = psi + h * v_psi
    if alternating:
        v_theta, v_psi = field(theta, psi)
        psi = psi + h * v_psi
    return theta + h * v_theta, psi


@wrong("dirac_gan", hint="`dirac_step` changes θ or ψ in place (`+=` on a tensor does). Make new ones, `psi = psi + h * v_psi`: whoever "
                         "keeps the path would find the same point all along.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    psi += h * v_psi
    if alternating:
        v_theta, _ = field(theta, psi)
    theta += h * v_theta
    return theta, psi


@wrong("digits", hint="`labelled`: the width of the one-hot follows the largest label of this batch. Give it: `F.one_hot(labels, 10)`.")
def labelled(images, labels):
    return torch.cat([2 * images.flatten(1) - 1, F.one_hot(labels)], dim=1)


@wrong("digits", hint="`labelled`: the pixels are in [−½, ½]. The generator's tanh gives [−1, 1]: use 2·image − 1.")
def labelled(images, labels):
    return torch.cat([images.flatten(1) - 0.5, F.one_hot(labels, 10)], dim=1)


@wrong("digits", hint="`labelled`: the pixels are in [0, 2]; the − 1 is missing.")
def labelled(images, labels):
    return torch.cat([2 * images.flatten(1), F.one_hot(labels, 10)], dim=1)


@wrong("digits", hint="`labelled`: the pixels are divided by 255, but they come in [0, 1] already: use 2·image − 1.")
def labelled(images, labels):
    return torch.cat([images.flatten(1) / 127.5 - 1, F.one_hot(labels, 10)], dim=1)


@wrong("digits", hint="`labelled`: black and white have changed places: 2·image − 1, not 1 − 2·image.")
def labelled(images, labels):
    return torch.cat([1 - 2 * images.flatten(1), F.one_hot(labels, 10)], dim=1)


# --- rarer ones, and those that show at the extremes only ---

@wrong("gan_value", hint="The batches differ in size: one mean over both together, times two, gives the larger one more weight. "
                         "Take the mean of each by itself.")
def gan_value(real_logits, fake_logits):
    return 2 * torch.cat([F.logsigmoid(real_logits), F.logsigmoid(-fake_logits)]).mean()


@wrong("gan_value", hint="The batches differ in size, so their entries can't be added one by one. Each batch gets its own mean; add "
                         "the two means.")
def gan_value(real_logits, fake_logits):
    return (F.logsigmoid(real_logits) + F.logsigmoid(-fake_logits)).mean()


@wrong("gan_value", hint="The nets of this lesson give logits of the shape (n, 1), and V is a single number: `.mean()` takes the mean over "
                         "everything, `.mean(0)` over the first dimension only.")
def gan_value(real_logits, fake_logits):
    return F.logsigmoid(real_logits).mean(0) + F.logsigmoid(-fake_logits).mean(0)


@wrong("optimal_discriminator", hint="½ is for densities of exactly 0. Here both are tiny, and their ratio still counts: no threshold and no "
                                     "small constant, but `total > 0`.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    total = p_data + p_g
    return torch.where(total > 1e-3, (real_target * p_data + fake_target * p_g) / total, 0.5)


@wrong("optimal_discriminator", hint="A small constant in the divisor outweighs densities that are tinier still: D* comes out as 0 there. "
                                     "Divide by p + q itself, with `torch.where` for where it is 0.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    total = p_data + p_g
    return torch.where(total > 0, (real_target * p_data + fake_target * p_g) / (total + 1e-12), 0.5)


@wrong("optimal_discriminator", hint="What multiplies log(1 − D) is (1 − r)·p + (1 − s)·q: of a fake, only the share 1 − s goes there.")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    up, down = real_target * p_data + fake_target * p_g, (1 - real_target) * p_data + p_g
    return torch.where(up + down > 0, up / torch.where(up + down > 0, up + down, 1), 0.5)


@wrong("optimal_discriminator", hint="`density_ratio`: s counts with r = 1 too. Only with r = 1 *and* s = 0 is the ratio eᵃ.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    odds = logits.exp()
    return ((1 - fake_target) * odds - fake_target) / (real_target - (1 - real_target) * odds) if real_target < 1 else odds


@wrong("optimal_discriminator", hint="`density_ratio`: s must be multiplied by 1 + eᵃ too: (σ(a) − s)(1 + eᵃ) is eᵃ − s − s·eᵃ.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    odds = logits.exp()
    return (odds - fake_target) / (real_target - (1 - real_target) * odds)


@wrong("optimal_discriminator", hint="`density_ratio`: r must be multiplied by 1 + eᵃ too: (r − σ(a))(1 + eᵃ) is r + r·eᵃ − eᵃ.")
def density_ratio(logits, real_target=1.0, fake_target=0.0):
    odds = logits.exp()
    return ((1 - fake_target) * odds - fake_target) / (real_target - odds)


@wrong("jensen_shannon", hint="Points where only one density is 0 are masked out. Where only q is 0, p log(p/m) = p log 2 stays: mask each "
                              "divergence by its own density.")
def jensen_shannon(log_p, log_q, dx):
    log_m, p, q = _log_mixture(log_p, log_q), log_p.exp(), log_q.exp()
    integrand = torch.where((p > 0) & (q > 0), p * (log_p - log_m) + q * (log_q - log_m), 0)
    return (integrand * dx).sum() / 2


@wrong("discriminator_step", hint="You return a tensor, and it holds on to the whole graph. Return a number: `loss.item()`.")
def discriminator_step(D, G, opt_D, x, z):
    loss = -gan_value(D(x), D(G(z).detach()))
    _d_step(opt_D, loss)
    return loss


@wrong("discriminator_step", hint="Right for moderate logits. When D is sure and wrong, log(sigmoid(a)) and log(1 − sigmoid(a)) are −∞: "
                                  "use your `gan_value`, which starts from logits.")
def discriminator_step(D, G, opt_D, x, z):
    real, fake = torch.sigmoid(D(x)), torch.sigmoid(D(G(z).detach()))
    return _d_step(opt_D, -torch.log(real).mean() - torch.log(1 - fake).mean())


@wrong("discriminator_step", hint="Right for moderate logits. When D is sure that a real point is fake, log(sigmoid(a)) is −∞: use your "
                                  "`gan_value`, which starts from logits.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -torch.log(torch.sigmoid(D(x))).mean() - F.logsigmoid(-D(G(z).detach())).mean())


@wrong("discriminator_step", hint="Right for moderate logits. A cross-entropy of probabilities stops counting at log D = −100, and has no "
                                  "gradient there: use your `gan_value`, which starts from logits.")
def discriminator_step(D, G, opt_D, x, z):
    real, fake = torch.sigmoid(D(x)), torch.sigmoid(D(G(z).detach()))
    return _d_step(opt_D, F.binary_cross_entropy(real, torch.ones_like(real))
                   + F.binary_cross_entropy(fake, torch.zeros_like(fake)))


@wrong("discriminator_step", hint="The step must use the noise it is given, `z`, and no noise of its own.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -gan_value(D(x), D(G(torch.randn_like(z)).detach())))


@wrong("discriminator_step", hint="A float32 batch meets a net in float64. Use the batches that you are given, as they are; a step draws no "
                                  "noise of its own.")
def discriminator_step(D, G, opt_D, x, z):
    return _d_step(opt_D, -gan_value(D(x), D(G(torch.randn(len(z), z.shape[1])).detach())))


@wrong("discriminator_step", hint="No gradient reaches D: its logits were made under `torch.no_grad()`, or detached. Only the fakes are cut "
                                  "off: `G(z).detach()`.")
def discriminator_step(D, G, opt_D, x, z):
    with torch.no_grad():
        real, fake = D(x), D(G(z))
    return _d_step(opt_D, -gan_value(real, fake))


@wrong("generator_step", hint="You return a tensor, and it holds on to the whole graph. Return a number: `loss.item()`.")
def generator_step(D, G, opt_G, z):
    loss = non_saturating_loss(D(G(z)))
    _g_step(opt_G, loss)
    return loss


@wrong("generator_step", hint="Right for moderate logits. Where D is sure of the fakes, log(sigmoid(a)) is −∞, just where G needs its "
                              "gradient: use your `non_saturating_loss`, which starts from logits.")
def generator_step(D, G, opt_G, z):
    return _g_step(opt_G, -torch.log(torch.sigmoid(D(G(z)))).mean())


@wrong("generator_step", hint="Right for moderate logits. A cross-entropy of probabilities stops counting at log D = −100, and has no "
                              "gradient there: use your `non_saturating_loss`, which starts from logits.")
def generator_step(D, G, opt_G, z):
    fake = torch.sigmoid(D(G(z)))
    return _g_step(opt_G, F.binary_cross_entropy(fake, torch.ones_like(fake)))


@wrong("generator_step", hint="A small constant inside the logarithm keeps it finite, but where D is sure of the fakes no gradient is left: "
                              "use your `non_saturating_loss`, which starts from logits.")
def generator_step(D, G, opt_G, z):
    return _g_step(opt_G, -torch.log(torch.sigmoid(D(G(z))) + 1e-12).mean())


@wrong("generator_step", hint="A float32 batch meets a net in float64. Use the batches that you are given, as they are; a step draws no "
                              "noise of its own.")
def generator_step(D, G, opt_G, z):
    return _g_step(opt_G, non_saturating_loss(D(G(torch.randn(len(z), z.shape[1])))))


@wrong("generator_step", hint="No gradient comes back: D or G ran under `torch.no_grad()`, or D's logits were detached. In this step the "
                              "gradient must pass through D into G.")
def generator_step(D, G, opt_G, z):
    fake = G(z)
    with torch.no_grad():
        logits = D(fake)
    return _g_step(opt_G, non_saturating_loss(logits))


@wrong("generator_step", hint="`opt_G.step()` is called twice. Once is one step.")
def generator_step(D, G, opt_G, z):
    loss = _g_step(opt_G, non_saturating_loss(D(G(z))))
    opt_G.step()
    return loss


@wrong("ring", hint="One batch of real points and one of noise serve all k steps of D. Each step gets its own: call `real()` and "
                    "`noise()` inside the loop over k.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        x, z = real(), noise()
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, x, z)
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step is not None:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="`generator_step` gets `opt_D`, so it moves D, and G never learns. It needs `opt_G`.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
        loss_G = generator_step(D, G, opt_D, noise())
        if after_step is not None:
            after_step(step, loss_D, loss_G)


@wrong("ring", hint="The loop runs one round too many: `range(steps)` already makes `steps` rounds.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps + 1):
        losses = _round(D, G, opt_D, opt_G, real, noise, k)
        if after_step is not None:
            after_step(step, *losses)


@wrong("ring", hint="A loss is used before there is one. `after_step` belongs at the end of each round, after G's step, and not inside the "
                    "loop over k.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        for _ in range(k):
            loss_D = discriminator_step(D, G, opt_D, real(), noise())
            if after_step is not None:
                after_step(step, loss_D, loss_G)
        loss_G = generator_step(D, G, opt_G, noise())


@wrong("ring", hint="`after_step` gets the latest loss of D, that of the last of its k steps, and not their mean.")
def train_gan(D, G, opt_D, opt_G, real, noise, steps, k=1, after_step=None):
    for step in range(steps):
        losses = [discriminator_step(D, G, opt_D, real(), noise()) for _ in range(k)]
        loss_G = generator_step(D, G, opt_G, noise())
        if after_step is not None:
            after_step(step, sum(losses) / k, loss_G)


@wrong("dirac_gan", hint="`dirac_field`: R1 is the discriminator's penalty. Its −γψ belongs in v_ψ, not in v_θ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope) - gamma * psi, theta * slope


@wrong("dirac_gan", hint="`dirac_field`: R1 is the discriminator's penalty, on ψ. It is −γψ in v_ψ, not −γθ in v_θ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope) - gamma * theta, theta * slope


@wrong("optimal_discriminator", hint="Your divisor r·p + s·q is 0 where there are only fakes and s = 0. It is what multiplies log D alone: "
                                     "add what multiplies log(1 − D).")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    real, fake = real_target * p_data, fake_target * p_g
    return real / (real + fake)


@wrong("optimal_discriminator", hint="The divisor r·p + s·q holds only what multiplies log D: with s = 0 your D* is 1 wherever there are "
                                     "data, and NaN where there are only fakes. Add what multiplies log(1 − D).")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    real, fake = real_target * p_data, fake_target * p_g
    return torch.where(p_data + p_g > 0, real / (real + fake), 0.5)


@wrong("optimal_discriminator", hint="The divisor r·p + s·q holds only what multiplies log D: with s = 0 your D* is 1 wherever there are "
                                     "data, and ½ where there are only fakes. Add what multiplies log(1 − D).")
def optimal_discriminator(p_data, p_g, real_target=1.0, fake_target=0.0):
    real, fake = real_target * p_data, fake_target * p_g
    return torch.nan_to_num(real / (real + fake), nan=0.5)


@wrong("generator_losses", hint="`saturating_loss`: the nets of this lesson give logits of the shape (m, 1), and the loss is a single "
                                "number: `.mean()` takes the mean over everything, `.mean(0)` over the first dimension only.")
def saturating_loss(fake_logits):
    return F.logsigmoid(-fake_logits).mean(0)


@wrong("generator_losses", hint="`non_saturating_loss`: the nets of this lesson give logits of the shape (m, 1), and the loss is a single "
                                "number: `.mean()` takes the mean over everything, `.mean(0)` over the first dimension only.")
def non_saturating_loss(fake_logits):
    return -F.logsigmoid(fake_logits).mean(0)


@wrong("discriminator_step", hint="The loss that comes back is −V, but the step was made with +V and goes down it. D climbs V: call "
                                  "`backward()` on −V.")
def discriminator_step(D, G, opt_D, x, z):
    return -_d_step(opt_D, gan_value(D(x), D(G(z).detach())))


@wrong("generator_step", hint="D comes out freer than it went in: a parameter that was frozen before the step learns after it. Nothing "
                              "needs freezing, since `opt_G` doesn't hold D's parameters.")
def generator_step(D, G, opt_G, z):
    D.requires_grad_(False)
    loss = _g_step(opt_G, non_saturating_loss(D(G(z))))
    D.requires_grad_(True)
    return loss


@wrong("dirac_gan", hint="`dirac_field`: the penalty itself, (γ/2)ψ², stands in v_ψ. The field holds derivatives: take the penalty's with "
                         "respect to ψ.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    slope = torch.sigmoid(-psi * theta)
    return -psi * (torch.sigmoid(psi * theta) if non_saturating else slope), theta * slope - gamma / 2 * psi**2


@wrong("dirac_gan", hint="`dirac_field`: f stands where f′ belongs. The directions are derivatives of f(ψθ): f′(t) = σ(−t), times the "
                         "inner derivative.")
def dirac_field(theta, psi, gamma=0.0, non_saturating=False):
    v_theta = -psi * F.logsigmoid(-psi * theta if non_saturating else psi * theta)
    return v_theta, theta * F.logsigmoid(psi * theta) - gamma * psi


@wrong("dirac_gan", hint="`dirac_step`: with `alternating`, ψ's direction is taken anew at the new ψ as well. ψ's own step starts from "
                         "the old point; only θ answers the new ψ.")
def dirac_step(field, theta, psi, h, alternating=False):
    v_theta, v_psi = field(theta, psi)
    if alternating:
        v_theta, v_psi = field(theta, psi + h * v_psi)
    return theta + h * v_theta, psi + h * v_psi


@wrong("digits", hint="`labelled`: the pairs of float32 images aren't float32, and no net of this lesson takes them. Give the one-hot the "
                      "images' dtype.")
def labelled(images, labels):
    return torch.cat([2 * images.flatten(1) - 1, F.one_hot(labels, 10).double()], dim=1)


@wrong("digits", hint="`labelled`: right for images of 28 × 28 only. At the end of the section come larger ones, in colour: make a row of "
                      "whatever pixels an image has, with `images.flatten(1)`.")
def labelled(images, labels):
    return torch.cat([2 * images.reshape(-1, 784) - 1, F.one_hot(labels, 10).to(images.dtype)], dim=1)


@wrong("digits", hint="`labelled`: only the first channel of each image has come along. At the end of the section come images in colour: "
                      "make a row of all pixels, with `images.flatten(1)`.")
def labelled(images, labels):
    return torch.cat([2 * images[:, 0].flatten(1) - 1, F.one_hot(labels, 10).to(images.dtype)], dim=1)
