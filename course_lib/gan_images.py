"""Training a GAN on images, in whatever nets and by whatever round, and what is measured of its pictures."""

import torch
import torch.nn.functional as F

from course_lib import frechet, gan

NOISE, BATCH = 16, 32


def train(play_round, objective, D, G, images, steps, labels=None, penalty=None, rates=(4e-3, 4e-3), betas=(0.5, 0.99), decay=True,
          progress=iter, after_step=None):
    """Train on images (n, c, h, w) in [−1, 1]; gives the moving average of G, in eval mode.

    play_round(D, G, opt_D, opt_G, real, z, objective, penalty) → (loss of D, loss of G) plays one round. labels (n,): then both nets take
    a second argument, the class, and each fake is of the class of the real image beside it. rates: Adam's, of D and of G; decay: whether
    they fall to 0 over the second half. after_step(step, loss_D, loss_G, averaged net) sees each round.
    """
    opt_D, opt_G = (torch.optim.Adam(net.parameters(), rate, betas) for net, rate in zip((D, G), rates))
    lower, average = gan.linear_decay([opt_D, opt_G], steps) if decay else lambda step: None, gan.WeightAverage(G)
    for step in progress(range(steps)):
        chosen = torch.randint(len(images), (BATCH,), device=images.device)
        z, players = torch.randn(BATCH, NOISE, device=images.device), (D, G)
        if labels is not None:
            players = lambda x, wanted=labels[chosen]: D(x, wanted), lambda z, wanted=labels[chosen]: G(z, wanted)
        losses = play_round(*players, opt_D, opt_G, images[chosen], z, objective, penalty)
        lower(step)
        average.update()
        if after_step:
            after_step(step, *losses, average.net)
    return average.net


def sharpness(images):
    """How much of images (n, 1, h, w) is edges: the mean square of their Laplacian, in squared pixel values."""
    kernel = torch.tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])
    return F.conv2d(images, kernel.to(images)[None, None]).square().mean().item()


@torch.no_grad()
def scores(drawn, real):
    """How near drawn digits are to real ones: {"distance", "readable", "kinds"}.

    drawn, real (n, 1, 28, 28) in [−1, 1]. distance: Fréchet's, in the features of the course's classifier. readable: the share of
    `drawn` that the classifier is sure of, by at least 0.9. kinds: how many of the ten digits make up at least 2 % of `drawn` each.
    """
    drawn, real = drawn.float().cpu() / 2 + 0.5, real.float().cpu() / 2 + 0.5
    sure, read = frechet.digit_classifier()(2 * drawn - 1).softmax(1).max(1)
    return {"distance": frechet.frechet_distance(frechet.features(drawn), frechet.features(real)),
            "readable": (sure >= 0.9).double().mean().item(),
            "kinds": (read.bincount(minlength=10) >= 0.02 * len(drawn)).sum().item()}
