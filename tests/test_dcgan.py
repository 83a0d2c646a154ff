"""The GPU's nets at a small size: right shapes, labels passed on, and the lesson's own steps train them."""

import torch

from autograder.answers import reference_namespace
from course_lib import dcgan


def test_the_lessons_steps_train_labelled_colour_images():
    lesson = reference_namespace("gan_math")
    torch.manual_seed(0)
    D, G, opt_D, opt_G = dcgan.image_players(channels=3, width=8)
    pairs = lesson["labelled"](torch.rand(64, 3, 32, 32), torch.arange(64) % 10)
    assert pairs.shape == (64, 3 * 32 * 32 + 10)
    before = [parameter.clone() for parameter in (*D.parameters(), *G.parameters())]
    losses = []
    lesson["train_gan"](D, G, opt_D, opt_G, lambda: pairs[:16], lambda: dcgan.image_noise(16), 3,
                        after_step=lambda *values: losses.append(values))
    assert len(losses) == 3 and all(torch.isfinite(torch.tensor(values)).all() for values in losses)
    assert all(not torch.equal(old, new) for old, new in zip(before, (*D.parameters(), *G.parameters())))
    z = dcgan.image_noise(10, torch.arange(10))
    drawn = G(z)
    assert drawn.shape == (10, 3082) and torch.equal(drawn[:, -10:].argmax(1), torch.arange(10)) and drawn[:, :-10].abs().max() <= 1
    assert D(drawn).shape == (10, 1)


def test_a_label_chooses_its_own_score():
    D = dcgan.ImageDiscriminator(channels=1, width=8)
    image = torch.rand(1, 32 * 32)
    scores = D.score(image)[0]
    pairs = torch.cat([image.expand(10, -1), torch.eye(10)], dim=1)
    assert torch.allclose(D(pairs).squeeze(1), scores, atol=1e-5)
