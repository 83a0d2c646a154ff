"""Mistakes people make in `gan_training`, each with the sentence that helps. Each check must fail them, with that sentence.

Never released to learners. To add one: write the mistake as it would be written in the notebook, and its hint.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn


# --- 1: a DCGAN ---

def _up(i, o, last=False):
    return (nn.ConvTranspose2d(i, o, 4, 2, 1),) if last else (nn.ConvTranspose2d(i, o, 4, 2, 1, bias=False), nn.BatchNorm2d(o), nn.ReLU())


def _generator(noise, width, *end):
    return nn.Sequential(nn.Linear(noise, 2 * width * 49, bias=False), nn.Unflatten(1, (2 * width, 7, 7)), nn.BatchNorm2d(2 * width), nn.ReLU(),
                         *_up(2 * width, width), *_up(width, 1, last=True), *end)


def _looks(width, slope=0.2, first=(), second=True):
    return nn.Sequential(nn.Conv2d(1, width, 4, 2, 1), *first, nn.LeakyReLU(slope),
                         nn.Conv2d(width, 2 * width, 4, 2, 1, bias=False), *([nn.BatchNorm2d(2 * width)] if second else []), nn.LeakyReLU(slope), nn.Flatten())


@wrong("dcgan", hint="`Generator`: the tanh at the end is missing. Real images have pixels in [−1, 1]; yours go as far as they like.")
class Generator(nn.Module):
    def __init__(self, noise, width):
        super().__init__()
        self.paint = _generator(noise, width)

    def forward(self, z):
        return self.paint(z)


@wrong("dcgan", hint="`Generator`: it ends in a sigmoid, with pixels in [0, 1]. The images have pixels in [−1, 1]: use tanh.")
class Generator(nn.Module):
    def __init__(self, noise, width):
        super().__init__()
        self.paint = _generator(noise, width, nn.Sigmoid())

    def forward(self, z):
        return self.paint(z)


@wrong("dcgan", hint="`Generator`: there is no ReLU after the linear layer and its batch norm.")
class Generator(nn.Module):
    def __init__(self, noise, width):
        super().__init__()
        self.paint = nn.Sequential(nn.Linear(noise, 2 * width * 49, bias=False), nn.Unflatten(1, (2 * width, 7, 7)), nn.BatchNorm2d(2 * width),
                                   *_up(2 * width, width), *_up(width, 1, last=True), nn.Tanh())

    def forward(self, z):
        return self.paint(z)


@wrong("dcgan", hint="`Generator`: leaky ReLUs. DCGAN has them in the discriminator only; the generator has plain ReLUs.")
class Generator(nn.Module):
    def __init__(self, noise, width):
        super().__init__()
        self.paint = nn.Sequential(*(nn.LeakyReLU(0.2) if isinstance(layer, nn.ReLU) else layer for layer in _generator(noise, width, nn.Tanh())))

    def forward(self, z):
        return self.paint(z)


@wrong("dcgan", hint="`Discriminator`: it ends in a sigmoid. It should give logits; the loss brings its own sigmoid, and twice is once too often.")
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.look, self.judge = _looks(width), nn.Linear(2 * width * 49, 1)

    def features(self, x):
        return self.look(x)

    def forward(self, x):
        return torch.sigmoid(self.judge(self.look(x)))


@wrong("dcgan", hint="`Discriminator`: its leaky ReLUs have PyTorch's own slope, 0.01. It should be 0.2.")
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.look, self.judge = _looks(width, slope=0.01), nn.Linear(2 * width * 49, 1)

    def features(self, x):
        return self.look(x)

    def forward(self, x):
        return self.judge(self.look(x))


@wrong("dcgan", hint="`Discriminator`: plain ReLUs. Below 0 they pass on no gradient, and G learns by nothing else; use leaky ones of slope 0.2.")
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.look, self.judge = _looks(width, slope=0.0), nn.Linear(2 * width * 49, 1)

    def features(self, x):
        return self.look(x)

    def forward(self, x):
        return self.judge(self.look(x))


@wrong("dcgan", hint="too many, of the shape 2")
class Discriminator(nn.Module):
    """Batch norm on the first layer."""

    def __init__(self, width):
        super().__init__()
        self.look, self.judge = _looks(width, first=[nn.BatchNorm2d(width)]), nn.Linear(2 * width * 49, 1)

    def features(self, x):
        return self.look(x)

    def forward(self, x):
        return self.judge(self.look(x))


@wrong("dcgan", hint="`Discriminator.features`: this is what stands before the last leaky ReLU. The linear layer sees what comes after it.")
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.look, self.judge = _looks(width), nn.Linear(2 * width * 49, 1)

    def features(self, x):
        return self.look[:4](x).flatten(1)

    def forward(self, x):
        return self.judge(self.look(x))


@wrong("dcgan", hint="`initialise`: it goes through the net's direct children only, and so leaves out what is nested deeper. `net.modules()` gives all.")
def initialise(net):
    for module in net.children():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
    return net


def _initialise(net, layer=lambda weight: nn.init.normal_(weight, 0.0, 0.02), norm=lambda weight: nn.init.normal_(weight, 1.0, 0.02),
                kinds=(nn.Conv2d, nn.ConvTranspose2d, nn.Linear), biases=True, norms=True):
    for module in net.modules():
        if isinstance(module, kinds):
            layer(module.weight)
        elif norms and isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            norm(module.weight)
        else:
            continue
        if biases and module.bias is not None:
            nn.init.zeros_(module.bias)
    return net


@wrong("dcgan", hint="`initialise`: the weights of batch norm get N(0, 0.02) like all others. They multiply what is normalised, so their mean should be 1: "
                     "with 0 next to nothing passes.")
def initialise(net):
    return _initialise(net, norm=lambda weight: nn.init.normal_(weight, 0.0, 0.02))


@wrong("dcgan", hint="`initialise`: 0.02 has become the variance. It is the standard deviation, and `normal_` takes that.")
def initialise(net):
    return _initialise(net, layer=lambda weight: nn.init.normal_(weight, 0.0, 0.02 ** 0.5))


@wrong("dcgan", hint="`initialise`: the weights are uniform between −0.02 and 0.02. DCGAN's are normal with that standard deviation.")
def initialise(net):
    return _initialise(net, layer=lambda weight: nn.init.uniform_(weight, -0.02, 0.02))


@wrong("dcgan", hint="`initialise`: transposed convolutions are left out. `nn.ConvTranspose2d` isn't a kind of `nn.Conv2d`; name it too.")
def initialise(net):
    return _initialise(net, kinds=(nn.Conv2d, nn.Linear))


@wrong("dcgan", hint="`initialise`: linear layers are left out, as in code for nets that have none. This generator begins with one.")
def initialise(net):
    return _initialise(net, kinds=(nn.Conv2d, nn.ConvTranspose2d))


@wrong("dcgan", hint="`initialise`: the biases keep what they had. Set them to 0, those of batch norm too.")
def initialise(net):
    return _initialise(net, biases=False)


@wrong("dcgan", hint="`initialise` should give back the net that it was given.")
def initialise(net):
    _initialise(net)


@wrong("training", hint="`non_saturating`: this is log(1 + eᵃ) typed as it stands, which overflows at 1,000. `F.softplus` stays finite.")
def non_saturating(real_logits, fake_logits):
    plus = lambda a: torch.log(1 + torch.exp(a)).mean()
    return plus(-real_logits) + plus(fake_logits), plus(-fake_logits)


@wrong("training", hint="`non_saturating`: the generator's loss is the saturating one, E log(1 − D). It vanishes when D has the upper hand; "
                        "take −E log D.")
def non_saturating(real_logits, fake_logits):
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean(), -F.softplus(fake_logits).mean()


@wrong("training", hint="`non_saturating`: the generator's loss comes first. Give back that of D, then that of G.")
def non_saturating(real_logits, fake_logits):
    return F.softplus(-fake_logits).mean(), F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


@wrong("training", hint="`non_saturating`: D's loss is halved. It is the sum of two means.")
def non_saturating(real_logits, fake_logits):
    return (F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()) / 2, F.softplus(-fake_logits).mean()


@wrong("training", hint="`play_round`: D's gradients are never cleared, so that each of its steps takes those of all steps before, G's too. "
                        "`opt_D.zero_grad()` comes right before its `backward()`.", trains="D's gradients are never cleared")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: G's gradients are never cleared. `opt_G.zero_grad()` comes right before its `backward()`.",
       trains="G's gradients are never cleared")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: D steps on its own gradients and on those that G's loss left in it, which make fakes look real: the optimiser's step "
                        "for D stands after both backward passes.", trains="D steps on the generator's loss too")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_D.step()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: real images and fakes go through D in one batch, so that batch norm mixes their statistics: each image's logit says "
                        "what company it is in. Call D twice.", trains="real and fake in one batch")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    parts = [len(real), len(fake)]
    loss_D, _ = objective(*D(torch.cat([real, fake.detach()])).split(parts))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(*D(torch.cat([real, fake])).split(parts))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: G's step uses D's logits from before D's step. D has learned since: ask it again, about real images and fakes alike.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    on_real = D(real)
    loss_D, _ = objective(on_real, D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(on_real.detach(), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: the generator steps first. The discriminator does: it should be as good as it can when G asks it.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: D's step isn't taken. `backward()` only finds the gradients; `opt_D.step()` moves the weights.",
       trains="D never steps")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: the penalty is left out. Add `penalty(D, real, fake)` to D's loss when there is one.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: the loss of D that is given back is without the penalty. D has stepped on both together.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    opt_D.zero_grad()
    (loss_D if penalty is None else loss_D + penalty(D, real, fake.detach())).backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: fakes aren't detached in D's step, so its backward pass goes on into G, and uses up the graph that G's own step needs. "
                        "Give D's step `fake.detach()`.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake)
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


# --- 3: when to stop ---


# --- 4: labels ---

def _cost(logits, target):
    return (F.softplus(logits) - target * logits).mean()


@wrong("smoothing", hint="`smoothed_loss`: the target only scales the logarithm that it belongs to. What is left, 1 − r, belongs to the other one: "
                         "r·log D + (1 − r)·log(1 − D).")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    return real_target * F.softplus(-real_logits).mean() + (1 - fake_target) * F.softplus(fake_logits).mean()


@wrong("smoothing", hint="`smoothed_loss`: the fakes' target is left out.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    return _cost(real_logits, real_target) + _cost(fake_logits, 0.0)


@wrong("smoothing", hint="`smoothed_loss`: the fakes' target has become 1 − s. s is the probability of \"real\" that D is taught for a fake, as r is for a real image.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    return _cost(real_logits, real_target) + _cost(fake_logits, 1 - fake_target)


@wrong("smoothing", hint="`smoothed_loss`: a sigmoid and then logarithms: at large logits one of the two is log 0. "
                         "`F.binary_cross_entropy_with_logits` takes logits, and targets between 0 and 1.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    cost = lambda p, target: -(target * torch.log(p) + (1 - target) * torch.log(1 - p)).mean()
    return cost(torch.sigmoid(real_logits), real_target) + cost(torch.sigmoid(fake_logits), fake_target)


@wrong("smoothing", hint="`smoothed_loss`: this is the squared distance of D from its targets, least squares. Here it is the cross-entropy.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    return ((torch.sigmoid(real_logits) - real_target) ** 2).mean() + ((torch.sigmoid(fake_logits) - fake_target) ** 2).mean()


@wrong("smoothing", hint="`smoothed_loss`: one mean over all logits. It is the mean over the real ones plus the mean over the fakes.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    n, m = len(real_logits), len(fake_logits)
    return (n * _cost(real_logits, real_target) + m * _cost(fake_logits, fake_target)) / (n + m)


def _share(top, p, q):
    return torch.where(p + q > 0, top / torch.where(p + q > 0, p + q, 1), 0.5)


@wrong("smoothing", hint="`flipped_optimum`: this is the optimum without flips, p/(p + q).")
def flipped_optimum(p_data, p_g, flipped):
    return _share(p_data, p_data, p_g)


@wrong("smoothing", hint="`flipped_optimum`: only real labels are flipped here. A fake that is called real, with the probability ε, adds ε·p_g to the numerator.")
def flipped_optimum(p_data, p_g, flipped):
    return _share((1 - flipped) * p_data, p_data, p_g)


@wrong("smoothing", hint="`flipped_optimum`: ε and 1 − ε have changed places. With ε = 0 it should be p/(p + q).")
def flipped_optimum(p_data, p_g, flipped):
    return _share(flipped * p_data + (1 - flipped) * p_g, p_data, p_g)


@wrong("smoothing", hint="`flipped_optimum`: where both densities are 0, 0/0 is NaN. Answer ½ there, with a divisor that isn't 0 either.")
def flipped_optimum(p_data, p_g, flipped):
    return ((1 - flipped) * p_data + flipped * p_g) / (p_data + p_g)


def _noise(real_logits, fake_logits, factor, part=lambda logits: logits.square().mean() / len(logits)):
    return (factor * (part(real_logits) + part(fake_logits))).sqrt()


@wrong("smoothing", hint="`flip_noise`: this is the variance. Take its square root.")
def flip_noise(real_logits, fake_logits, flipped):
    return _noise(real_logits, fake_logits, flipped * (1 - flipped)) ** 2


@wrong("smoothing", hint="`flip_noise`: the variance of a coin that falls on 1 with the probability ε is ε(1 − ε), not ε.")
def flip_noise(real_logits, fake_logits, flipped):
    return _noise(real_logits, fake_logits, flipped)


@wrong("smoothing", hint="`flip_noise`: the noise of one label, not of a mean over n. The mean's variance is that of one label divided by n once more.")
def flip_noise(real_logits, fake_logits, flipped):
    return _noise(real_logits, fake_logits, flipped * (1 - flipped), lambda logits: logits.square().mean())


@wrong("smoothing", hint="`flip_noise`: standard deviations of independent parts don't add up, variances do: add first, then take the root.")
def flip_noise(real_logits, fake_logits, flipped):
    return _noise(real_logits, real_logits[:1] * 0, flipped * (1 - flipped)) + _noise(real_logits[:1] * 0, fake_logits, flipped * (1 - flipped))


@wrong("smoothing", hint="`flip_noise`: this is how much the logits differ from each other. Flipping the label of an image changes its loss by the logit itself, "
                         "even when all logits are equal.")
def flip_noise(real_logits, fake_logits, flipped):
    return _noise(real_logits, fake_logits, flipped * (1 - flipped), lambda logits: logits.var(correction=0) / len(logits))


@wrong("conditional", hint="`ClassGenerator`: the class comes before the noise. Join them as (noise, class).")
class ClassGenerator(nn.Module):
    def __init__(self, noise, width, classes):
        super().__init__()
        self.embed = nn.Embedding(classes, noise)
        self.paint = Generator(2 * noise, width)

    def forward(self, z, labels):
        return self.paint(torch.cat([self.embed(labels), z], dim=1))


@wrong("conditional", hint="`ClassGenerator` doesn't have the parameters it should have: 1 too many, of the shape 98×5; 2 missing")
class ClassGenerator(nn.Module):
    """The embedding is added to the noise, where the class can't be told from it."""

    def __init__(self, noise, width, classes):
        super().__init__()
        self.embed = nn.Embedding(classes, noise)
        self.paint = Generator(noise, width)

    def forward(self, z, labels):
        return self.paint(z + self.embed(labels))


@wrong("conditional", hint="`ClassGenerator`: the class isn't used: the embedding is made, and the zeros beside the noise stay zeros.")
class ClassGenerator(nn.Module):
    def __init__(self, noise, width, classes):
        super().__init__()
        self.embed = nn.Embedding(classes, noise)
        self.paint = Generator(2 * noise, width)

    def forward(self, z, labels):
        return self.paint(torch.cat([z, torch.zeros_like(z)], dim=1))


class _Projection(Discriminator):
    def __init__(self, width, classes):
        super().__init__(width)
        self.embed = nn.Embedding(classes, 98 * width)
        nn.init.zeros_(self.embed.weight)


@wrong("conditional", hint="`ClassDiscriminator`: what doesn't depend on the class, ψ(φ(x)), is missing. The linear layer's logit is added to the inner product.")
class ClassDiscriminator(_Projection):
    def forward(self, x, labels):
        return (self.embed(labels) * self.features(x)).sum(dim=1, keepdim=True)


@wrong("conditional", hint="`ClassDiscriminator`: the inner product is a mean over the features. It is their sum.")
class ClassDiscriminator(_Projection):
    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + (self.embed(labels) * seen).mean(dim=1, keepdim=True)


@wrong("conditional", hint="has the shape (4, 4); it should be")
class ClassDiscriminator(_Projection):
    """`sum` without `keepdim`: (n, 1) + (n,) is (n, n)."""

    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + (self.embed(labels) * seen).sum(dim=1)


@wrong("conditional", hint="`ClassDiscriminator`: all images are scored against all classes of the batch, and summed up. Each belongs with its own class: "
                           "multiply elementwise, then sum over the features.")
class ClassDiscriminator(_Projection):
    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + (seen @ self.embed(labels).T).sum(dim=1, keepdim=True)


@wrong("conditional", hint="`ClassDiscriminator`: the linear layer gets the features with the class's embedding added. Its logit is of the features alone.")
class ClassDiscriminator(_Projection):
    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen + self.embed(labels)) + (self.embed(labels) * seen).sum(dim=1, keepdim=True)


@wrong("conditional", hint="Begin with embeddings of zeros, so that the class has to be learned.")
class ClassDiscriminator(Discriminator):
    """PyTorch's own N(0, 1) embeddings."""

    def __init__(self, width, classes):
        super().__init__(width)
        self.embed = nn.Embedding(classes, 98 * width)

    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + (self.embed(labels) * seen).sum(dim=1, keepdim=True)


# --- 5: other objectives ---


# --- 6: mode collapse ---
