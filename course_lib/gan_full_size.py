"""GANs at full size, which takes a GPU: whole data sets, by a round of the learner's, with the batches, noise and rates of published runs."""

import torch
from torch.nn.utils import parametrize

from course_lib import gan_images

BATCH, NOISE = 64, 128
WIDTH = {"fashion_mnist": 64, "cifar10": 128}
STEPS = {"fashion_mnist": 20_000, "cifar10": 50_000}  # about 21 and 64 times through the set


def train(play_round, objective, D, G, images, steps, **how):
    """As gan_images.train, without labels, with 64 images a batch, 128 numbers of noise, and DCGAN's rates and β1. how: what it takes besides."""
    def larger_round(D, G, opt_D, opt_G, real, z, objective, penalty):
        chosen = torch.randint(len(images), (BATCH,), device=images.device)
        return play_round(D, G, opt_D, opt_G, images[chosen], torch.randn(BATCH, NOISE, device=images.device), objective, penalty)

    return gan_images.train(larger_round, objective, D, G, images, steps, **{"rates": (2e-4, 2e-4), "betas": (0.5, 0.999)} | how)


@torch.no_grad()
def draw(G, count, seed=0):
    """`count` images of G, (count, c, h, w) on its device, in eval mode, of the noise of this seed."""
    z = torch.randn(count, NOISE, generator=torch.Generator().manual_seed(seed)).to(next(G.parameters()).device)
    return torch.cat([G.eval()(part) for part in z.split(500)])


def with_weights(net, weights):
    """`net`, a sequence of layers, with each weight w of it used as weights(w)(w): a parametrisation for each."""
    for layer in net:
        if hasattr(layer, "weight"):
            parametrize.register_parametrization(layer, "weight", weights(layer.weight))
    return net
