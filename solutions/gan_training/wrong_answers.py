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


@wrong("dcgan", hint="`initialise` sets the biases of whatever has one to 0. Only those of convolutions, linear layers and batch norms: the rest of the net stays as it is.")
def initialise(net):
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    return net


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


@wrong("dcgan", hint="`Generator`: the ReLUs come before batch norm. Each layer is followed by its norm, then by the ReLU.")
class Generator(nn.Module):
    def __init__(self, noise, width):
        super().__init__()
        linear, shape, norm, act, up, second, also, last, tanh = _generator(noise, width, nn.Tanh())
        self.paint = nn.Sequential(linear, shape, act, norm, up, also, second, last, tanh)

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


@wrong("dcgan", hint="`Discriminator`: the second leaky ReLU comes before batch norm. Here each convolution is followed by its norm, then by the leaky ReLU.")
class Discriminator(nn.Module):
    def __init__(self, width):
        super().__init__()
        *first, norm, act, flatten = _looks(width)
        self.look = nn.Sequential(*first, act, norm, flatten)
        self.judge = nn.Linear(2 * width * 49, 1)

    def features(self, x):
        return self.look(x)

    def forward(self, x):
        return self.judge(self.look(x))


@wrong("dcgan", hint="`Discriminator`: batch norm after the first convolution. DCGAN leaves it out there.")
class Discriminator(nn.Module):
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


@wrong("dcgan", hint="`initialise`: it draws anew whatever has a weight, embeddings too, and those of exercise 5 should stay zeros. Ask for the kinds of layers that it is for.")
def initialise(net):
    for module in net.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1.0, 0.02)
        elif hasattr(module, "weight"):
            nn.init.normal_(module.weight, 0.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    return net


@wrong("dcgan", hint="`initialise`: it draws anew whatever has a weight, embeddings too")
@torch.no_grad()
def initialise(net):
    for name, value in net.named_parameters():
        if name.endswith("bias"):
            value.zero_()
        else:
            value.normal_(1.0 if value.ndim == 1 else 0.0, 0.02)
    return net


@wrong("dcgan", hint="`initialise` leaves the weights of `nn.BatchNorm1d` as they were. It is for any batch norm, 1d or 2d.")
def initialise(net):
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        if getattr(module, "bias", None) is not None:
            nn.init.zeros_(module.bias)
    return net


@wrong("dcgan", hint="`initialise`: the biases of batch norm keep what they had. Set them to 0, as those of the other layers.")
def initialise(net):
    for module in net.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.normal_(module.weight, 1.0, 0.02)
    return net


@wrong("dcgan", hint="`initialise` gives two nets the same weights, though the seed was another. Leave the seed to the caller.")
def initialise(net):
    torch.manual_seed(0)
    return _initialise(net)


@wrong("dcgan", hint="`initialise` should give back the net that it was given.")
def initialise(net):
    _initialise(net)


@wrong("training", hint="`non_saturating`: log(1 + eᵃ), or the log of a sigmoid, typed as it stands: one overflows for large logits, the other takes the log of a sigmoid that was rounded to 0. `F.softplus` stays finite.")
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


@wrong("training", hint="`play_round`: G's gradients are never cleared. `opt_G.zero_grad()` comes right before its `backward()`.")
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


@wrong("training", hint="`play_round`: real images and fakes go through D in one batch, and `chunk(2)` halves it, wherever the real ones end. Call D twice: in one batch, "
                        "batch norm mixes their statistics.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(*D(torch.cat([real, fake.detach()])).chunk(2))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(*D(torch.cat([real, fake])).chunk(2))
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


@wrong("training", hint="`play_round`: the generator steps first, or both step on losses from before D's step. The discriminator steps first: it should be as good as it can when G asks it.")
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


@wrong("training", hint="`play_round`: D's step isn't taken. `backward()` only finds the gradients; `opt_D.step()` moves the weights.")
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


@wrong("training", hint="`play_round`: G's loss was computed before D's step, which then changed the weights under it. Ask D again after `opt_D.step()`.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    _, loss_G = objective(D(real), D(fake))
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: the generator steps first, or both step on losses from before D's step.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: G's step also uses gradients that D's loss left in it: give D's step `fake.detach()`, and clear G's gradients right before G's `backward()`.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    opt_D.zero_grad()
    opt_G.zero_grad()
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    loss_D.backward(retain_graph=True)
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: the losses come back as tensors, each with its graph. They are for curves: give back `loss_D.item()` and `loss_G.item()`.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D, loss_G


@wrong("training", hint="`non_saturating` is right for ordinary logits but wrong at ±10,000: a small constant is added inside the "
                        "logarithm, or something is clipped on the way. `F.softplus` needs neither.")
def non_saturating(real_logits, fake_logits):
    cost = lambda logits: -torch.log(torch.sigmoid(logits) + 1e-8).mean()
    return cost(real_logits) + cost(-fake_logits), cost(fake_logits)


@wrong("training", hint="`non_saturating`: D's loss has its signs turned round, and teaches D to take fakes for real. −log D(x) is "
                        "`F.softplus(-real_logits)`.")
def non_saturating(real_logits, fake_logits):
    return F.softplus(real_logits).mean() + F.softplus(-fake_logits).mean(), F.softplus(-fake_logits).mean()


@wrong("training", hint="`play_round`: D's step hands `objective` the fakes' logits first, so D learns to take fakes for real. The real "
                        "ones come first.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(fake.detach()), D(real))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: a loss has no graph, so that its `backward()` has nowhere to go: its logits were computed within "
                        "`torch.no_grad()`, or detached. Cut off nothing but the fakes, and those in D's step alone.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    with torch.no_grad():
        _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: G doesn't move, since the fakes of its own step are detached too. Keep `fake = G(z)` with its "
                        "graph, and detach it for D's step alone.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z).detach()
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


@wrong("training", hint="`play_round`: the gradients are cleared after each step, and then G's `backward()` leaves new ones in D, which "
                        "D's next step takes along. Clear a player's gradients right before its own `backward()`.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    loss_D.backward()
    opt_D.step()
    opt_D.zero_grad()
    _, loss_G = objective(D(real), D(fake))
    loss_G.backward()
    opt_G.step()
    opt_G.zero_grad()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: in D's step real images and fakes go through D in one batch, and batch norm mixes their "
                        "statistics. Call D twice there, as in G's step.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(*D(torch.cat([real, fake.detach()])).split([len(real), len(fake)]))
    if penalty is not None:
        loss_D = loss_D + penalty(D, real, fake.detach())
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    _, loss_G = objective(D(real), D(fake))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@wrong("training", hint="`play_round`: the penalty gets fakes that aren't detached, so D's `backward()` goes through it into G, and uses "
                        "up the graph that G's step needs. Give it `fake.detach()` as well.")
def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D, _ = objective(D(real), D(fake.detach()))
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


@wrong("monitor", hint="A flat loss is no reason to stop: both players can get better at the same pace. Look at the scores, and at whether D's loss has gone to 0.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].std() < 0.1 else "slow"


@wrong("monitor", hint="D's loss was near 0 for a while and came back, and you call that run dead. What counts is the last fifth of the steps.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[: len(loss) * 4 // 5].min() < 0.02 else "slow"


@wrong("monitor", hint="You look at D's loss of the last step alone, or at its least: one lucky batch for D, and the run counts as dead. Take the mean over the last fifth.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-1] < 0.05 else "slow"


@wrong("monitor", hint="Nobody tells you the unit of the scores: a fall by 0.01 may be everything or nothing. Measure it by the standard error of the scores themselves.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    quarter = len(score) // 4
    if score[-2 * quarter:-quarter].mean() - score[-quarter:].mean() > 10.0:
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="A history with a NaN or an infinity in it is a dead run, whatever the rest says. A comparison with NaN is always False, so ask first.")
def diagnose(history):
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="One standard error is too little to believe in: by chance alone, a difference is larger than that one time in six. Ask for two.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You add up the two standard errors. It is the variances that add up: put both under one root.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * (before.std() + last.std()) / quarter**0.5:
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="Your variances are divided by n, not by n − 1, which makes them too small for a few scores. `tensor.var()` does it right.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var(correction=0) + last.var(correction=0)) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="Your quarters are counted from the start. When four doesn't divide the number of scores, they aren't the last ones: count from the end.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[2 * quarter:3 * quarter], score[3 * quarter:]
    if before.mean() - last.mean() > 2 * (before.var() / len(before) + last.var() / len(last)).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You take the median of D's loss. Steps at which D loses clearly are rare, and the median doesn't see them: take the mean.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].median() < 0.05 else "slow"


@wrong("monitor", hint="G's losses aren't asked whether they are finite. A NaN there is a dead run too.")
def diagnose(history):
    if not all(series.isfinite().all() for series in (history["loss_D"], history["score"])):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="The sign is turned round: the scores are distances, and a run that gets better has scores that fall.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if last.mean() - before.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="A run whose scores still fall is running, even with D's loss at 0. Ask about the scores before you ask about D's loss.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    if loss[-(len(loss) // 5):].mean() < 0.05:
        return "dead"
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    return "running" if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt() else "slow"


@wrong("monitor", hint="You compare the best score, not the mean: one lucky score counts as progress. Compare the means of the two quarters.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    quarter = len(score) // 4
    if score[-quarter:].min() < score[:-quarter].min():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="Compared with the first quarter, a run that has levelled off long ago still looks as if it got better. Compare the last quarter with the one before.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    score, loss = series["score"], series["loss_D"]
    quarter = len(score) // 4
    before, last = score[:quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="The losses don't say whether a GAN gets better: a climbing loss of G, or a falling one of D, is no progress and no decay. Only the scores say that.")
def diagnose(history):
    series = {name: torch.as_tensor(values, dtype=torch.float64) for name, values in history.items()}
    if not all(values.isfinite().all() for values in series.values()):
        return "dead"
    loss, loss_G = series["loss_D"], series["loss_G"]
    fifth = len(loss) // 5
    if loss[-fifth:].mean() < 0.05:
        return "dead"
    return "running" if loss[-fifth:].mean() < loss[:fifth].mean() - 0.1 or loss_G[-fifth:].mean() < loss_G[:fifth].mean() - 0.1 else "slow"


@wrong("monitor", hint="You look at too few of D's last losses. It is the last fifth of *its own* steps that counts, `len(loss_D) // 5` of them; there are more losses than scores.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(history["score"]) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You look at too few of D's last losses.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You look at too many of D's last losses, a quarter of them: that is for the scores. D has won when the mean over the last *fifth* is below 0.05.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 4):].mean() < 0.05 else "slow"


@wrong("monitor", hint="D has won at a loss below 0.05, not below 0.5: at 0.2 it has still something to learn, and so has G.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.5 else "slow"


@wrong("monitor", hint="You take the last quarter's variance for both quarters. Each has its own, and they may scatter differently.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * (2 * last.var() / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You take the variance of the quarter before for both. Each has its own, and the last one may scatter more.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * (2 * before.var() / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You ask for three standard errors. The rule is content with two.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 3 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="The scores' own variances are held against the difference of two means. A mean of n scores has the variance s²/n: divide by n before you take the root.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * (before.var() + last.var()).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You compare the halves of the scores. A quarter is `len(score) // 4`, and it is compared with the quarter before it.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 2
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="The root is missing: you hold a difference of scores against a variance, whose unit is the square of theirs. The "
                       "standard error is the root of the whole sum.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * (before.var() + last.var()) / quarter:
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="Your n stands outside the root. It is the variance of a mean that is s²/n: divide by n first, then take the root.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * (before.var() + last.var()).sqrt() / quarter:
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="Scores that are all equal count as falling: 0 ≥ 2 · 0. The fall has to be *larger* than two standard errors.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() >= 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-(len(loss) // 5):].mean() < 0.05 else "slow"


@wrong("monitor", hint="You take one step too many: the last fifth is the last `len(loss_D) // 5` steps. `-len(loss_D) // 5` without brackets rounds the other way, "
                       "and so does `loss_D[4 * len(loss_D) // 5:]`.")
def diagnose(history):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    before, last = score[-2 * quarter:-quarter], score[-quarter:]
    if before.mean() - last.mean() > 2 * ((before.var() + last.var()) / quarter).sqrt():
        return "running"
    return "dead" if loss[-len(loss) // 5:].mean() < 0.05 else "slow"


def _told_apart(before, last):
    return before.mean() - last.mean() > 2 * ((before.var() + last.var()) / len(last)).sqrt()


def _by_the_rule(history, falls=_told_apart, won=lambda losses: losses.mean() < 0.05):
    if not all(series.isfinite().all() for series in history.values()):
        return "dead"
    score, loss = history["score"], history["loss_D"]
    quarter = len(score) // 4
    if falls(score[-2 * quarter:-quarter], score[-quarter:]):
        return "running"
    return "dead" if won(loss[-(len(loss) // 5):]) else "slow"


@wrong("monitor", hint="The standard error is that of one quarter's mean: n is the number of scores in one quarter, and you divide by that of both.")
def diagnose(history):
    return _by_the_rule(history, falls=lambda before, last: before.mean() - last.mean() > 2 * ((before.var() + last.var()) / (2 * len(last))).sqrt())


@wrong("monitor", hint="You take one variance over both quarters, and a fall from one to the next makes that larger. Take each quarter's own.")
def diagnose(history):
    return _by_the_rule(history, falls=lambda before, last: before.mean() - last.mean() > 2 * (2 * torch.cat([before, last]).var() / len(last)).sqrt())


@wrong("monitor", hint="D counts as winning only if its loss is near 0 at every step of the last fifth. One step above, and the run isn't dead to you: take the mean.")
def diagnose(history):
    return _by_the_rule(history, won=lambda losses: losses.max() < 0.05)


@wrong("monitor", hint="The bound on D's mean loss is smaller than 0.05, and a D that has won counts as one that hasn't.")
def diagnose(history):
    return _by_the_rule(history, won=lambda losses: losses.mean() < 0.025)


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


@wrong("smoothing", hint="`smoothed_loss`: a sigmoid and then `F.binary_cross_entropy`, which cuts off each logarithm at −100: a logit of 1,000 costs as much as one of 100. "
                         "`F.binary_cross_entropy_with_logits` takes the logits themselves.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    cost = lambda logits, target: F.binary_cross_entropy(torch.sigmoid(logits), torch.full_like(logits, target))
    return cost(real_logits, real_target) + cost(fake_logits, fake_target)


@wrong("smoothing", hint="`smoothed_loss`: a sigmoid, and then a loss with a sigmoid of its own. `F.binary_cross_entropy_with_logits` takes the logits as they are.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    return _cost(torch.sigmoid(real_logits), real_target) + _cost(torch.sigmoid(fake_logits), fake_target)


@wrong("smoothing", hint="`smoothed_loss`: this is the squared distance of D from its targets, least squares. Here it is the cross-entropy.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    return ((torch.sigmoid(real_logits) - real_target) ** 2).mean() + ((torch.sigmoid(fake_logits) - fake_target) ** 2).mean()


@wrong("smoothing", hint="`smoothed_loss`: the loss is halved. It is the sum of the two means, as in `non_saturating`.")
def smoothed_loss(real_logits, fake_logits, real_target=0.9, fake_target=0.0):
    return (_cost(real_logits, real_target) + _cost(fake_logits, fake_target)) / 2


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


@wrong("smoothing", hint="`flipped_optimum`: where both densities are 0, 0/0 is NaN. Answer ½ there: `torch.where` puts it in the "
                         "quotient's place.")
def flipped_optimum(p_data, p_g, flipped):
    return ((1 - flipped) * p_data + flipped * p_g) / (p_data + p_g)


@wrong("smoothing", hint="`flipped_optimum`: where both densities are small, but not 0, your answer is off. Their quotient counts, not "
                         "their size: put another number in the place of the divisor only where that is 0.")
def flipped_optimum(p_data, p_g, flipped):
    total = p_data + p_g
    return torch.where(total > 0, ((1 - flipped) * p_data + flipped * p_g) / (total + 1e-8), 0.5)


@wrong("smoothing", hint="`flipped_optimum`: the divisor is kept above a least number, which is far larger than p + q where both "
                         "densities are small. Put another number in its place only where it is 0.")
def flipped_optimum(p_data, p_g, flipped):
    total = p_data + p_g
    return torch.where(total > 0, ((1 - flipped) * p_data + flipped * p_g) / total.clamp(min=1e-12), 0.5)


@wrong("smoothing", hint="`flipped_optimum`: what is added to the divisor is far larger than p + q where both densities are small. "
                         "Put another number in its place only where it is 0.")
def flipped_optimum(p_data, p_g, flipped):
    total = p_data + p_g
    return torch.where(total > 0, ((1 - flipped) * p_data + flipped * p_g) / (total + 1e-12), 0.5)


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


@wrong("smoothing", hint="`flip_noise`: this is how much the logits differ from each other, by `.var()`. Flipping a label changes the loss by the logit itself: take the mean square.")
def flip_noise(real_logits, fake_logits, flipped):
    return _noise(real_logits, fake_logits, flipped * (1 - flipped), lambda logits: logits.var() / len(logits))


@wrong("smoothing", hint="`flip_noise`: one n for both batches. Each mean is over its own batch: n² under the real logits' squares, m² under the fakes'.")
def flip_noise(real_logits, fake_logits, flipped):
    squares = real_logits.square().sum() + fake_logits.square().sum()
    return (flipped * (1 - flipped) * squares / len(real_logits) ** 2).sqrt()


@wrong("smoothing", hint="`flip_noise`: one mean over all logits. The loss is a mean over the real ones plus a mean over the fakes, each with its own n.")
def flip_noise(real_logits, fake_logits, flipped):
    logits = torch.cat([real_logits, fake_logits])
    return (flipped * (1 - flipped) * logits.square().mean() / len(logits)).sqrt()


@wrong("conditional", hint="`ClassDiscriminator` looks at the images twice. In train mode each look moves batch norm's averages: call `self.features` once.")
class ClassDiscriminator(Discriminator):
    def __init__(self, width, classes):
        super().__init__(width)
        self.embed = nn.Embedding(classes, 98 * width)
        nn.init.zeros_(self.embed.weight)

    def forward(self, x, labels):
        return super().forward(x) + (self.embed(labels) * self.features(x)).sum(dim=1, keepdim=True)


@wrong("conditional", hint="`ClassGenerator`: the class comes before the noise. Join them as (noise, class).")
class ClassGenerator(nn.Module):
    def __init__(self, noise, width, classes):
        super().__init__()
        self.embed = nn.Embedding(classes, noise)
        self.paint = Generator(2 * noise, width)

    def forward(self, z, labels):
        return self.paint(torch.cat([self.embed(labels), z], dim=1))


@wrong("conditional", hint="`ClassGenerator`: its net takes 2·`noise` numbers. Join noise and class by `torch.cat`; don't add or multiply them.")
class ClassGenerator(nn.Module):
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


@wrong("conditional", hint="`ClassDiscriminator`: (n, 1) + (n,) broadcasts to (n, n). Keep the dimension when you sum: `keepdim=True`.")
class ClassDiscriminator(_Projection):
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


@wrong("conditional", hint="`ClassDiscriminator`: the class's embedding gets no gradient. It is frozen (`from_pretrained` freezes unless told `freeze=False`) or detached.")
class ClassDiscriminator(Discriminator):
    def __init__(self, width, classes):
        super().__init__(width)
        self.embed = nn.Embedding.from_pretrained(torch.zeros(classes, 98 * width))

    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + (self.embed(labels) * seen).sum(dim=1, keepdim=True)


@wrong("conditional", hint="`ClassDiscriminator`: the class's embedding gets no gradient.")
class ClassDiscriminator(_Projection):
    def forward(self, x, labels):
        seen = self.features(x)
        return self.judge(seen) + (self.embed(labels).detach() * seen).sum(dim=1, keepdim=True)


@wrong("conditional", hint="`ClassGenerator`: the class's embedding gets no gradient. It is frozen, or detached, and stays what chance has made of it.")
class ClassGenerator(nn.Module):
    def __init__(self, noise, width, classes):
        super().__init__()
        self.embed = nn.Embedding(classes, noise)
        self.paint = Generator(2 * noise, width)

    def forward(self, z, labels):
        return self.paint(torch.cat([z, self.embed(labels).detach()], dim=1))


# --- 5: other objectives ---


def _halves(real_logits, fake_logits, target=1.0):
    return ((real_logits - 1) ** 2).mean() / 2 + (fake_logits**2).mean() / 2, ((fake_logits - target) ** 2).mean() / 2


@wrong("objectives", hint="The ½ in front of each square is missing in `least_squares`.")
def least_squares(real_logits, fake_logits):
    return ((real_logits - 1) ** 2).mean() + (fake_logits**2).mean(), ((fake_logits - 1) ** 2).mean()


@wrong("objectives", hint="The ½ stands in front of each square of `least_squares`, that of the generator too.")
def least_squares(real_logits, fake_logits):
    return _halves(real_logits, fake_logits)[0], ((fake_logits - 1) ** 2).mean()


@wrong("objectives", hint="Least squares needs no sigmoid: D's output itself is drawn to 1 and to 0. A sigmoid would bring back the flat ends that this loss is there to avoid.")
def least_squares(real_logits, fake_logits):
    return _halves(torch.sigmoid(real_logits), torch.sigmoid(fake_logits))


@wrong("objectives", hint="In `least_squares` the generator draws the outputs at its fakes to 0, where D wants them too. Its target is 1.")
def least_squares(real_logits, fake_logits):
    return _halves(real_logits, fake_logits, target=0.0)


@wrong("objectives", hint="`least_squares` has the targets the wrong way round: 1 is for real, 0 for fake.")
def least_squares(real_logits, fake_logits):
    return (real_logits**2).mean() / 2 + ((fake_logits - 1) ** 2).mean() / 2, (fake_logits**2).mean() / 2


@wrong("objectives", hint="The Wasserstein critic maximises E D(real) − E D(fake). A loss is minimised, so it is the negative of that; yours has the sign of the value.")
def wasserstein(real_logits, fake_logits):
    return real_logits.mean() - fake_logits.mean(), -fake_logits.mean()


@wrong("objectives", hint="The sign of the Wasserstein generator's loss: it wants a high output at its fakes, so it minimises −E D(fake).")
def wasserstein(real_logits, fake_logits):
    return fake_logits.mean() - real_logits.mean(), fake_logits.mean()


@wrong("objectives", hint="A Wasserstein critic has no sigmoid and no logarithm: its outputs are heights, and their means are all there is.")
def wasserstein(real_logits, fake_logits):
    return -F.logsigmoid(real_logits).mean() - F.logsigmoid(-fake_logits).mean(), -F.logsigmoid(fake_logits).mean()


@wrong("objectives", hint="The relativistic losses are the wrong way round: D wants the real logit ahead of the fake one, and pays softplus(−(real − fake)).")
def relativistic(real_logits, fake_logits):
    ahead = real_logits - fake_logits
    return F.softplus(ahead).mean(), F.softplus(-ahead).mean()


@wrong("objectives", hint="That is the relativistic *average* GAN: each logit against the mean of the others. In the pairing, the i-th real stands against the i-th fake.")
def relativistic(real_logits, fake_logits):
    ahead, behind = real_logits - fake_logits.mean(), fake_logits - real_logits.mean()
    return F.softplus(-ahead).mean() + F.softplus(behind).mean(), F.softplus(ahead).mean() + F.softplus(-behind).mean()


@wrong("objectives", hint="`relativistic` holds each logit against the *mean* of the others. In the pairing, the i-th real stands against the i-th fake.")
def relativistic(real_logits, fake_logits):
    return F.softplus(-(real_logits - fake_logits.mean())).mean(), F.softplus(-(fake_logits - real_logits.mean())).mean()


@wrong("objectives", hint="`relativistic` holds each real logit against the fakes' mean. Each stands against its partner: the i-th real against the i-th fake.")
def relativistic(real_logits, fake_logits):
    ahead = real_logits - fake_logits.mean()
    return F.softplus(-ahead).mean(), F.softplus(ahead).mean()


@wrong("objectives", hint="The pairs in `relativistic` are made after the means: softplus of a mean isn't the mean of softplus. Pair first, then take the mean.")
def relativistic(real_logits, fake_logits):
    ahead = real_logits.mean() - fake_logits.mean()
    return F.softplus(-ahead), F.softplus(ahead)


@wrong("objectives", hint="Each real is paired with every fake in `relativistic`. Both batches have the shape (n, 1): subtract them as they are, without turning one round.")
def relativistic(real_logits, fake_logits):
    ahead = real_logits - fake_logits.T
    return F.softplus(-ahead).mean(), F.softplus(ahead).mean()


@wrong("objectives", hint="`relativistic` takes the logarithm of a sigmoid, which is infinite when one logit is far ahead. `F.softplus` and `F.logsigmoid` stay finite.")
def relativistic(real_logits, fake_logits):
    ahead = real_logits - fake_logits
    return -torch.log(torch.sigmoid(ahead)).mean(), -torch.log(torch.sigmoid(-ahead)).mean()


@wrong("objectives", hint="`clip_` shortens each parameter as a whole, by its norm. Weight clipping cuts each number by itself.")
def clip_(net, c):
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(min(1.0, c / parameter.norm().item()))


@wrong("objectives", hint="It is the parameters that are clipped, not their gradients.")
def clip_(net, c):
    nn.utils.clip_grad_value_(net.parameters(), c)


@wrong("objectives", hint="`clip_` leaves some parameters as they are. All of them are clipped, biases too.")
def clip_(net, c):
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if name.endswith("weight"):
                parameter.clamp_(-c, c)


@wrong("objectives", hint="`clip_` leaves vectors of parameters as they are: biases, and batch norm's weights. All parameters are clipped.")
def clip_(net, c):
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.dim() > 1:
                parameter.clamp_(-c, c)


@wrong("objectives", hint="`clip_` clips buffers too. A running mean isn't learned, and stays what it is: `net.parameters()` holds what is.")
def clip_(net, c):
    with torch.no_grad():
        for value in net.state_dict().values():
            value.clamp_(-c, c)


@wrong("objectives", hint="`clip_`: autograd doesn't let a parameter be changed in place while it watches. Work within `torch.no_grad()`.")
def clip_(net, c):
    for parameter in net.parameters():
        parameter.clamp_(-c, c)


@wrong("objectives", hint="`clip_` caps numbers from above only. A weight of −3 has to become −c.")
def clip_(net, c):
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.clamp_(max=c)


@wrong("objectives", hint="`clip_` doesn't change the net: `clamp` makes a new tensor, and that is lost. Work in place, with `clamp_`.")
def clip_(net, c):
    for parameter in net.parameters():
        parameter = parameter.clamp(-c, c)


def _slopes(D, x, create_graph=True):
    x = x.detach().requires_grad_()
    return torch.autograd.grad(D(x).sum(), x, create_graph=create_graph)[0].flatten(1)


def _between(real, fake, share):
    share = share.reshape(-1, *[1] * (real.ndim - 1))
    return share * real + (1 - share) * fake


@wrong("penalties", hint="The value of `gradient_penalty` is right, but D learns nothing from it: the gradient was taken without a graph. Give `torch.autograd.grad` `create_graph=True`.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(real, fake, share), create_graph=False).norm(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="The norm runs over the whole batch. Each example has a slope of its own: flatten from dimension 1 on, and take the norm along that.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return (_slopes(D, _between(real, fake, share)).norm() - target) ** 2


@wrong("penalties", hint="The slope comes out n times too small: you differentiate the mean of the logits. Take their sum, then each row of the gradient is one example's.")
def gradient_penalty(D, real, fake, share, target=1.0):
    slopes = _slopes(D, _between(real, fake, share))
    return (((slopes / len(slopes)).norm(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="The square of the norm is compared with the target, not the norm. Take the root.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(real, fake, share)).square().sum(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="`share` is the real image's: share · real + (1 − share) · fake. Yours mixes the other way round.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(fake, real, share)).norm(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="You penalise slopes above the target only. The penalty of Gulrajani et al. is two-sided: a slope below 1 costs as well.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(real, fake, share)).norm(dim=1) - target).clamp(min=0) ** 2).mean()


@wrong("penalties", hint="The norm is compared with the square of the target. It is the target itself that it should come near.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(real, fake, share)).norm(dim=1) - target**2) ** 2).mean()


@wrong("penalties", hint="`target` isn't used: yours is always 1.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(real, fake, share)).norm(dim=1) - 1) ** 2).mean()


@wrong("penalties", hint="For images the norm runs over one dimension alone. Flatten each example's gradient first.")
def gradient_penalty(D, real, fake, share, target=1.0):
    slope = _slopes(D, _between(real, fake, share)).reshape(real.shape)
    return ((slope.norm(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="For images the norm runs over the last dimension alone, a slope for each row of pixels. Flatten each example's gradient first.")
def gradient_penalty(D, real, fake, share, target=1.0):
    slope = _slopes(D, _between(real, fake, share)).reshape(real.shape)
    return ((slope.norm(dim=-1) - target) ** 2).mean()


@wrong("penalties", hint="All pairs are mixed alike: `share` has a number for each, and you use the first (or their mean) for all.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(real, fake, share[:1].expand(len(real)))).norm(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="`share[:, None]` is (n, 1). It multiplies points; against images torch lays its first dimension along their "
                         "height, not along the batch. It has to have as many dimensions as the samples.")
def gradient_penalty(D, real, fake, share, target=1.0):
    share = share[:, None]
    return ((_slopes(D, share * real + (1 - share) * fake).norm(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="`gradient_penalty` holds the mean of the norms against the target: slopes of 0 and 2 would cost nothing. Square "
                         "each deviation, then take the mean.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return (_slopes(D, _between(real, fake, share)).norm(dim=1).mean() - target) ** 2


@wrong("penalties", hint="`gradient_penalty` adds up over the batch. Over the pairs it is a mean.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes(D, _between(real, fake, share)).norm(dim=1) - target) ** 2).sum()


def _slopes_by_backward(D, x):
    x = x.detach().requires_grad_()
    D(x).sum().backward(create_graph=True)
    return x.grad.flatten(1)


@wrong("penalties", hint="`gradient_penalty` changes the `.grad` of D's parameters, on which D's next step builds. `backward()` adds to "
                         "them; `torch.autograd.grad` with respect to the samples gives back what you need and adds nothing.")
def gradient_penalty(D, real, fake, share, target=1.0):
    return ((_slopes_by_backward(D, _between(real, fake, share)).norm(dim=1) - target) ** 2).mean()


@wrong("penalties", hint="`r1` changes the `.grad` of D's parameters, on which D's next step builds. `backward()` adds to them; "
                         "`torch.autograd.grad` with respect to the samples gives back what you need and adds nothing.")
def r1(D, x):
    return _slopes_by_backward(D, x).square().sum(dim=1).mean() / 2


@wrong("penalties", hint="`r1` leaves its mark on the samples that it was given: they want a gradient from now on. Differentiate at a "
                         "copy, `x.detach().requires_grad_()`.")
def r1(D, x):
    x.requires_grad_()
    slope, = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return slope.flatten(1).square().sum(dim=1).mean() / 2


@wrong("penalties", hint="The ½ in `r1` is missing.")
def r1(D, x):
    return _slopes(D, x).square().sum(dim=1).mean()


@wrong("penalties", hint="`r1` takes the norm, not its square. (The norm has no derivative at 0, just where R1 wants to be.)")
def r1(D, x):
    return _slopes(D, x).norm(dim=1).mean() / 2


@wrong("penalties", hint="`r1` takes the mean over the pixels, too. The squared norm of an example's gradient is a sum; only over examples it is a mean.")
def r1(D, x):
    return _slopes(D, x).square().mean() / 2


@wrong("penalties", hint="`r1` adds up over the batch. Over examples it is a mean.")
def r1(D, x):
    return _slopes(D, x).square().sum() / 2


@wrong("penalties", hint="The value of `r1` is right, but D learns nothing from it: without `create_graph=True` the gradient is a number like any other.")
def r1(D, x):
    return _slopes(D, x, create_graph=False).square().sum(dim=1).mean() / 2


@wrong("penalties", hint="`r1` wants the slope to be 1. It has no target: the slope itself is what it costs.")
def r1(D, x):
    return ((_slopes(D, x).norm(dim=1) - 1) ** 2).mean() / 2


@wrong("spectral_norm", hint="The weight is divided by its Frobenius norm, the root of the sum of all squares. The spectral norm is the largest singular value alone.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            u = F.normalize(matrix @ F.normalize(matrix.T @ u, dim=0), dim=0)
    return weight / matrix.norm(), u


@wrong("spectral_norm", hint="σ counts as a constant in yours: `uᵀWv` is computed without a graph, so the gradient of the weight lacks the part that goes through σ. "
       "Only u and v are constants.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
        sigma = u @ matrix @ v
    return weight / sigma, u


@wrong("spectral_norm", hint="Gradients go through the power iteration itself. u and v count as constants: iterate within `torch.no_grad()`.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    for _ in range(iterations):
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v), u.detach()


@wrong("spectral_norm", hint="`iterations` isn't used, or each of them begins with the u that was given. Each goes on from the u of the one before.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        v = F.normalize(matrix.T @ u, dim=0)
        u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v), u


@wrong("spectral_norm", hint="u comes back as it was: give back the u of the last iteration, from which the next call goes on.")
def spectral_norm(weight, u, iterations=1):
    matrix, given = weight.flatten(1), u
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v), given


@wrong("spectral_norm", hint="You divide by the exact singular value. Here it is what power iteration knows of it, uᵀWv, from the u that was given: much cheaper, and exact in the end.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return weight / torch.linalg.matrix_norm(matrix, 2), u


@wrong("spectral_norm", hint="You divide by the exact singular value, and u comes back as it was.")
def spectral_norm(weight, u, iterations=1):
    return weight / torch.linalg.matrix_norm(weight.flatten(1), 2), u


@wrong("spectral_norm", hint="This is a singular value decomposition. It is exact, and costs too much at each step: iterate from the u that is given, as often as `iterations` says.")
def spectral_norm(weight, u, iterations=1):
    left, values, _ = torch.linalg.svd(weight.flatten(1), full_matrices=False)
    return weight / values[0], left[:, 0].detach()


@wrong("spectral_norm", hint="For a convolution's weight, the matrix has a row for each output channel: `weight.flatten(1)`. Yours joins other dimensions.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.transpose(1, -1).flatten(0, -2) if weight.ndim > 2 else weight
    u = u.repeat(len(matrix) // len(u))
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v), u[:weight.shape[0]]


@wrong("spectral_norm", hint="v isn't made of length 1, so that uᵀWv isn't the singular value. Normalise both, v and u.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            v = matrix.T @ u
            u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v), u


@wrong("spectral_norm", hint="The weight is multiplied by σ. Divide, and the largest singular value becomes 1.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return weight * (u @ matrix @ v), u


@wrong("spectral_norm", hint="The weight comes back as a matrix. It should keep its shape: divide `weight` by σ, not the matrix that was "
                             "made of it.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return matrix / (u @ matrix @ v), u


@wrong("spectral_norm", hint="`spectral_norm` should give back two things: the weight, and u.")
def spectral_norm(weight, u, iterations=1):
    matrix = weight.flatten(1)
    with torch.no_grad():
        for _ in range(iterations):
            v = F.normalize(matrix.T @ u, dim=0)
            u = F.normalize(matrix @ v, dim=0)
    return weight / (u @ matrix @ v)


@wrong("spectral_norm", hint="`SpectralNorm` writes into the u that it was given, which is the caller's. Keep a copy: `u.clone()`.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("u", u)

    def forward(self, weight):
        normed, u = spectral_norm(weight, self.u)
        if self.training:
            self.u.copy_(u)
        return normed


@wrong("spectral_norm", hint="In eval mode `SpectralNorm` gives the weight back as it is, undivided. There, too, call `spectral_norm`, "
                             "and throw the new u away.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("u", u.clone())

    def forward(self, weight):
        if not self.training:
            return weight
        normed, u = spectral_norm(weight, self.u)
        self.u.copy_(u)
        return normed


@wrong("spectral_norm", hint="`SpectralNorm` forgets: each call begins with the first u again. Keep the new one, and a single iteration a step is enough.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("u", u)

    def forward(self, weight):
        return spectral_norm(weight, self.u)[0]


@wrong("spectral_norm", hint="`SpectralNorm` goes on iterating in eval mode: the same input gives another output each time. There, u stays as it is.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("u", u)

    def forward(self, weight):
        normed, u = spectral_norm(weight, self.u)
        self.u.copy_(u)
        return normed


@wrong("spectral_norm", hint="In eval mode, too, one iteration is made, by `spectral_norm`; only its u is thrown away. Yours divides by the σ of the u that is stored.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("u", u)

    def forward(self, weight):
        if self.training:
            normed, u = spectral_norm(weight, self.u)
            self.u.copy_(u)
            return normed
        matrix = weight.flatten(1)
        return weight / (self.u @ matrix @ F.normalize(matrix.T @ self.u, dim=0))


@wrong("spectral_norm", hint="In eval mode, too, one iteration is made, by `spectral_norm`; only its u is thrown away. Yours uses the u and v of the last step, as torch does.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("u", u)
        self.register_buffer("v", None)

    def forward(self, weight):
        matrix = weight.flatten(1)
        if self.training or self.v is None:
            with torch.no_grad():
                self.v = F.normalize(matrix.T @ self.u, dim=0)
                self.u = F.normalize(matrix @ self.v, dim=0)
        return weight / (self.u @ matrix @ self.v)


@wrong("spectral_norm", hint="In eval mode, too, one iteration is made, by `spectral_norm`; only its u is thrown away. With none there is no v to make σ of.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.register_buffer("u", u)

    def forward(self, weight):
        normed, u = spectral_norm(weight, self.u, 1 if self.training else 0)
        self.u.copy_(u)
        return normed


@wrong("spectral_norm", hint="u isn't saved with the net: a net that is loaded begins with another. Make a copy of it "
                             "a buffer, with `self.register_buffer`.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.u = u

    def forward(self, weight):
        normed, u = spectral_norm(weight, self.u)
        if self.training:
            self.u = u
        return normed


@wrong("spectral_norm", hint="u is a parameter in yours, so an optimiser would change it. It isn't learned: a buffer is what it should be.")
class SpectralNorm(nn.Module):
    def __init__(self, u):
        super().__init__()
        self.u = nn.Parameter(u)

    def forward(self, weight):
        normed, u = spectral_norm(weight, self.u.detach())
        if self.training:
            self.u.data.copy_(u)
        return normed


# --- 6: mode collapse ---


@wrong("packing", hint="A pack holds samples that follow each other: the first m, then the next m. Yours deals them out like cards.")
def pack(x, m):
    if len(x) % m:
        raise ValueError("m doesn't divide n")
    return torch.cat(list(x.reshape(m, len(x) // m, *x.shape[1:])), dim=1)


@wrong("packing", hint="Images are packed along the channels, dimension 1; yours lie side by side along the last one.")
def pack(x, m):
    if len(x) % m:
        raise ValueError("m doesn't divide n")
    return torch.cat([x[start::m] for start in range(m)], dim=-1)


@wrong("packing", hint="Images keep their height and width when they are packed: only the channels become m times as many. Yours are flattened.")
def pack(x, m):
    if len(x) % m:
        raise ValueError("m doesn't divide n")
    return x.reshape(len(x) // m, -1)


@wrong("packing", hint="Samples that are left over are dropped without a word. Raise a ValueError when m doesn't divide n.")
def pack(x, m):
    x = x[: len(x) // m * m]
    return x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:])


@wrong("packing", hint="`pack` gives back None, and no error, when samples are left over. Raise a ValueError when m doesn't divide n.")
def pack(x, m):
    return x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:]) if len(x) % m == 0 else None


@wrong("packing", hint="`pack`: five samples don't make packs of two, and `reshape` says so in its own way. Ask first, and raise a ValueError when m doesn't divide n.")
def pack(x, m):
    return x.reshape(len(x) // m, m * x.shape[1], *x.shape[2:])


@wrong("packing", hint="The distance of packs isn't m times that of single samples; it never exceeds 1. List all k^m packs with their probabilities.")
def packed_distance(p, q, m):
    return m * (p - q).abs().sum() / 2


@wrong("packing", hint="Only packs of m equal modes are counted: p^m holds those alone. A pack may mix modes; there are k^m of them (`torch.outer`).")
def packed_distance(p, q, m):
    return (p**m - q**m).abs().sum() / 2


@wrong("packing", hint="The ½ in front of the sum is missing in `packed_distance`.")
def packed_distance(p, q, m):
    packs_p, packs_q = p, q
    for _ in range(m - 1):
        packs_p, packs_q = torch.outer(packs_p, p).flatten(), torch.outer(packs_q, q).flatten()
    return (packs_p - packs_q).abs().sum()


@wrong("packing", hint="1 − (1 − d)^m is only an upper bound of the distance of packs, reached when modes are lost outright and none of the others is rarer. Compute the distance itself, from all k^m packs.")
def packed_distance(p, q, m):
    return 1 - (1 - (p - q).abs().sum() / 2) ** m


@wrong("packing", hint="`torch.outer(packs, packs)` doubles the length of the packs each time. Put one mode more to each: `torch.outer(packs, p)`.")
def packed_distance(p, q, m):
    packs_p, packs_q = p, q
    for _ in range(m - 1):
        packs_p, packs_q = torch.outer(packs_p, packs_p).flatten(), torch.outer(packs_q, packs_q).flatten()
    return (packs_p - packs_q).abs().sum() / 2


@wrong("packing", hint="Each pack holds the same sample m times over, so D still judges single ones. A pack is m different samples.",
       trains="the same sample four times")
def pack(x, m):
    if len(x) % m:
        raise ValueError("m doesn't divide n")
    return x[::m].repeat(1, m, *[1] * (x.ndim - 2))


# --- 7: looking ---

def _root(cov):
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


def _cross(cov_a, cov_b):
    return torch.linalg.eigvalsh(_root(cov_a) @ cov_b @ _root(cov_a)).clamp(min=0).sqrt().sum()


@wrong("frechet", hint="The means are left out: two Gaussians of the same shape are at distance 0 for you, wherever they stand.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return cov_a.trace() + cov_b.trace() - 2 * _cross(cov_a, cov_b)


@wrong("frechet", hint="The distance of the means isn't squared.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).norm() + cov_a.trace() + cov_b.trace() - 2 * _cross(cov_a, cov_b)


@wrong("frechet", hint="The squared differences of the means are averaged. They are added up.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().mean() + cov_a.trace() + cov_b.trace() - 2 * _cross(cov_a, cov_b)


@wrong("frechet", hint="The factor 2 in front of the root is missing.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - _cross(cov_a, cov_b)


@wrong("frechet", hint="You give back the distance itself. What is asked for, and what FID means, is its square.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return ((mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * _cross(cov_a, cov_b)).sqrt()


@wrong("frechet", hint="You take the root of each entry. The root of a matrix is the matrix whose square it is, so the roots are those of its eigenvalues.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * (cov_a @ cov_b).clamp(min=0).sqrt().trace()


@wrong("frechet", hint="The product of the two roots isn't the root of the product, unless the matrices commute. Take the eigenvalues of Σ₁^½ Σ₂ Σ₁^½.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * (_root(cov_a) @ _root(cov_b)).trace()


@wrong("frechet", hint="You pair the eigenvalues of the two covariances with each other, as if both had the same eigenvectors. Those of Σ₁^½ Σ₂ Σ₁^½ are needed.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    roots_a, roots_b = (torch.linalg.eigvalsh(cov).clamp(min=0).sqrt() for cov in (cov_a, cov_b))
    return (mean_a - mean_b).square().sum() + (roots_a - roots_b).square().sum()


@wrong("frechet", hint="`eigvalsh` takes for granted that its matrix is symmetric, and reads one half of it. Σ₁Σ₂ isn't; Σ₁^½ Σ₂ Σ₁^½ is, with the same eigenvalues.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * torch.linalg.eigvalsh(cov_a @ cov_b).clamp(min=0).sqrt().sum()


@wrong("frechet", hint="The eigenvalues of Σ₁^½ Σ₂ Σ₁^½ are added up as they are. Their roots are what the trace needs.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * (_root(cov_a) @ cov_b @ _root(cov_a)).trace()


@wrong("frechet", hint="A Cholesky factor isn't the symmetric root: L Lᵀ is Σ₁, and L L isn't, so L Σ₂ L isn't symmetric either. Take the "
                       "root by `eigh`.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    root = torch.linalg.cholesky(cov_a)
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross


@wrong("frechet", hint="With a Cholesky factor L of Σ₁, L Σ₂ Lᵀ doesn't have the eigenvalues of Σ₁Σ₂. Take the symmetric root of Σ₁, by "
                       "`eigh`.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    root = torch.linalg.cholesky(cov_a)
    cross = torch.linalg.eigvalsh(root @ cov_b @ root.T).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross


@wrong("frechet", hint="`torch.linalg.cholesky` asks for a matrix without an eigenvalue of 0, and a covariance may have some. Take the "
                       "root by `eigh`, with the eigenvalues clamped at 0.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    root = torch.linalg.cholesky(cov_a)
    cross = torch.linalg.eigvalsh(root.T @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross


@wrong("frechet", hint="`cov_a.sqrt()` is the root of each entry, and NaN where one is negative. The root of a matrix has the roots of "
                       "its eigenvalues: take it by `eigh`.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    root = cov_a.sqrt()
    cross = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross


@wrong("frechet", hint="The roots of Σ₁'s eigenvalues are taken without a clamp: by rounding, one that should be 0 may be a little "
                       "negative, and its root is NaN. `clamp(min=0)` first, both times.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    values, vectors = torch.linalg.eigh(cov_a)
    root = vectors * values.sqrt() @ vectors.T
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * torch.linalg.eigvalsh(root @ cov_b @ root).sqrt().sum()


@wrong("frechet", hint="The second roots, those of the eigenvalues of Σ₁^½ Σ₂ Σ₁^½, are taken without a clamp: one that should be 0 may "
                       "be a little negative, and its root is NaN. `clamp(min=0)` there too.")
def frechet_distance(mean_a, cov_a, mean_b, cov_b):
    root = _root(cov_a)
    return (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * torch.linalg.eigvalsh(root @ cov_b @ root).sqrt().sum()
