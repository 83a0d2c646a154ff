"""GANs of points by any recipe: the figures have closed forms, and runs that stand side by side don't touch each other."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from course_lib import gan, gan_recipes
from course_lib.gan_recipes import Recipe


def non_saturating(real, fake):
    softplus = nn.functional.softplus
    return softplus(-real).mean() + softplus(fake).mean(), softplus(-fake).mean()


def play_round(D, G, opt_D, opt_G, real, z, objective, penalty=None):
    fake = G(z)
    loss_D = objective(D(real), D(fake.detach()))[0] + (penalty(D, real, fake.detach()) if penalty else 0)
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()
    loss_G = objective(D(real), D(fake))[1]
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()
    return loss_D.item(), loss_G.item()


@pytest.mark.parametrize("mixture, modes", [(gan_recipes.ring(), 8), (gan_recipes.grid(), 25)])
def test_the_data_themselves(mixture, modes):
    """All modes, 1 − exp(−9/2) within 3σ, and equal shares."""
    torch.manual_seed(0)
    found = mixture.figures(mixture.sample(50_000))
    assert found["modes"] == modes
    assert found["quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.003)
    assert found["reverse KL"] == pytest.approx(0, abs=2e-3)


def test_reverse_kl_of_lost_modes():
    """Equal shares of j modes out of k: log(k/j). What is far away counts for its nearest mode; what isn't finite doesn't count."""
    grid = gan_recipes.grid()
    assert grid.reverse_kl(grid.centres[:5].repeat(3, 1)) == pytest.approx(math.log(5))
    assert grid.reverse_kl(grid.centres[:1]) == pytest.approx(math.log(25))
    assert grid.reverse_kl(torch.cat([grid.centres, torch.tensor([[math.nan, 0.0], [math.inf, 1.0]])])) == pytest.approx(0, abs=1e-12)
    assert math.isnan(grid.reverse_kl(torch.full((3, 2), math.nan)))


def test_energy_distance_is_scipys():
    """In one dimension scipy knows it, as a root, and with all pairs."""
    torch.manual_seed(0)
    a, b = torch.randn(40, 1), torch.randn(60, 1) + 1
    assert gan_recipes.energy_distance(a, b) == pytest.approx(stats.energy_distance(a.flatten(), b.flatten()) ** 2, rel=1e-4)


def test_each_run_is_a_net_of_its_own():
    """The batched nets are plain ones with the runs' weights, one after the other."""
    for batched, plain in ((gan_recipes.generator(3), gan.ring_generator()), (gan_recipes.discriminator(3), gan.ring_discriminator())):
        x = torch.randn(3 * 4, 2)
        layers = [layer for layer in batched.layers if isinstance(layer, gan_recipes.Linear)]
        for run, (part, output) in enumerate(zip(x.chunk(3), batched(x).chunk(3))):
            with torch.no_grad():
                for layer, linear in zip(layers, [module for module in plain if isinstance(module, nn.Linear)], strict=True):
                    linear.weight.copy_(layer.weight[run])
                    linear.bias.copy_(layer.bias[run, 0])
            assert torch.allclose(plain(part), output, atol=1e-6)


def test_runs_take_the_steps_they_would_take_alone(monkeypatch):
    """With plain gradient steps, which don't forgive a wrong scale: each of three runs ends where it ends by itself."""
    weights, batches = {}, []
    monkeypatch.setattr(torch.optim, "Adam", lambda parameters, rate, betas: torch.optim.SGD(parameters, rate))
    mixture = gan_recipes.ring()

    def recorded(D, G, opt_D, opt_G, real, z, objective, penalty=None):
        if not batches:
            weights.update({"G": [value.detach().clone() for value in G.parameters()]}, D=[value.detach().clone() for group in opt_D.param_groups for value in group["params"]])
        batches.append((real, z))
        return play_round(D, G, opt_D, opt_G, real, z, objective, penalty)

    G, _, history = gan_recipes.train(Recipe(non_saturating, rate_D=0.1, rate_G=0.1), recorded, mixture, 4, runs=3)
    alone_losses = []
    for run in range(3):
        nets = gan.ring_discriminator(), gan.ring_generator()
        for net, kept in zip(nets, (weights["D"], weights["G"])):
            with torch.no_grad():
                for parameter, value in zip(net.parameters(), kept, strict=True):
                    parameter.copy_(value[run].reshape(parameter.shape))
        optimizers = [torch.optim.SGD(net.parameters(), 0.1) for net in nets]
        decay = gan.linear_decay(optimizers, 4)
        for number, (real, z) in enumerate(batches):
            alone_losses.append(play_round(*nets, *optimizers, real.chunk(3)[run], z.chunk(3)[run], non_saturating))
            decay(number)
        z = torch.randn(5, 2)
        assert torch.allclose(G(z.repeat(3, 1)).chunk(3)[run], nets[1](z), atol=1e-5)
    first = [alone_losses[run * 4][0] for run in range(3)]
    assert history["loss_D"][0] == pytest.approx(sum(first) / 3, rel=1e-5)


def test_noise_fades_and_norms_do_what_they_say():
    noise = gan_recipes.Noise(2.0)
    noise.fade(1.0)
    x = torch.randn(2, 50, 3) * 4 + 1
    assert torch.equal(noise(x), x)
    normed = gan_recipes.BatchNorm()(x)
    assert torch.allclose(normed.mean(1), torch.zeros(2, 3), atol=1e-5) and torch.allclose(normed.std(1, unbiased=False), torch.ones(2, 3), atol=1e-3)
    weight = torch.randn(2, 4, 3)
    assert torch.allclose(gan_recipes.WeightNorm(weight)(7 * weight), weight, atol=1e-6)  # the length is its own


def test_packs_stay_within_their_run():
    """D judges as many packs as there are, and a change in one run's points moves no other run's logits."""
    pack = lambda x, m: x.reshape(len(x) // m, -1)
    D = Recipe(non_saturating, pack=pack, packed=4).make_discriminator(2)
    x = torch.randn(2 * 8, 2)
    before = D(pack(x, 4))
    x[:8] += 1
    after = D(pack(x, 4))
    assert before.shape == (4, 1) and torch.equal(before[2:], after[2:]) and not torch.equal(before[:2], after[:2])


def test_the_same_seed_is_the_same_training():
    ends = [gan_recipes.figures(gan_recipes.train(Recipe(non_saturating, noise=0.1), play_round, gan_recipes.ring(), 3, runs=2)[0], gan_recipes.ring())
            for _ in range(2)]
    assert ends[0] == ends[1]
