"""The training loop of nets that count: it learns, resumes as if it had never stopped, and is watched scene by scene."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from course_lib import counting


def spots(n=24, side=8):
    """Images of bright pixels, and maps of where they are, times SCALE."""
    generator = torch.Generator().manual_seed(0)
    where = (torch.rand(n, 1, side, side, generator=generator) < 0.1).float()
    return 0.2 + 0.6 * where.expand(-1, 3, -1, -1), counting.SCALE * where


def a_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 1, 1))


def trained(steps, **options):
    images, maps = spots()
    net, losses = a_net(), []
    counting.train_counter(net, images, maps, F.mse_loss, torch.optim.Adam(net.parameters(), 0.05), steps,
                           after_step=lambda step, loss, net: losses.append((step, loss)), **options)
    return net, losses


def test_it_learns_to_count():
    net, losses = trained(600, rate=lambda step: 0.5 * (1 - step / 600))
    images, maps = spots()
    assert [step for step, _ in losses] == list(range(600)) and losses[-1][1] < losses[0][1] / 100
    torch.testing.assert_close(counting.counts(counting.predict_maps(net, images)), counting.counts(maps), rtol=0.1, atol=0.2)


def test_a_stopped_training_ends_as_if_it_had_never_stopped(tmp_path):
    whole, losses = trained(10)
    file = tmp_path / "state.pt"
    assert trained(6, checkpoint=file)[1] == losses[:6]  # stops after two epochs of three steps
    resumed, rest = trained(10, checkpoint=file)
    assert rest == losses[6:]
    for one, other in zip(whole.state_dict().values(), resumed.state_dict().values()):
        assert torch.equal(one, other)
    assert list(tmp_path.iterdir()) == [file]


def test_each_epoch_sees_each_image_once_and_half_of_a_batch_mirrored():
    seen = []

    class Recorder(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(()))

        def forward(self, x):
            seen.append(x[:, 0].clone())
            return x[:, :1] * self.weight

    images = torch.rand(12, 3, 4, 4)
    net = Recorder()
    counting.train_counter(net, images, images[:, :1], F.mse_loss, torch.optim.SGD(net.parameters(), 0.1), 3, batch=4)
    of = [[next((index, mirrored) for index in range(12) for mirrored in (False, True)
                if torch.equal(picture, images[index, 0].flip(1) if mirrored else images[index, 0])) for picture in batch] for batch in seen]
    assert sorted(index for batch in of for index, _ in batch) == list(range(12))
    assert all(sum(mirrored for _, mirrored in batch) == 2 for batch in of)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="from 1 to the 24 images"):
        trained(1, batch=25)


def test_prediction_leaves_the_mode_and_uses_eval():
    net = nn.Sequential(nn.Conv2d(3, 1, 1), nn.Dropout(0.9)).train()
    images, _ = spots()
    torch.testing.assert_close(counting.predict_maps(net, images, batch=5), net[0](images))
    assert net.training


def test_validation_keeps_the_best_and_says_each_line(capsys):
    images, maps = spots(6)
    watched = counting.Validation(images, counting.counts(maps), torch.tensor([0, 0, 0, 1, 1, 1]),
                                  lambda predicted, true, scene: {"by scene": (predicted - true).abs().reshape(2, 3).mean(1),
                                                                  "mean over scenes": (predicted - true).abs().mean().item()})
    net = nn.Conv2d(3, 1, 1)
    nn.init.zeros_(net.weight)
    for step, bias in ((1, 3.0), (2, 10.0), (3, 90.0)):
        nn.init.constant_(net.bias, bias)
        watched(net, step)
    assert [entry["step"] for entry in watched.history] == [1, 2, 3] and watched.best_so_far()["step"] == 2
    assert watched.best["bias"].item() == 10.0 and net.bias.item() == 90.0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[2].endswith("at 2")
    watched.prints = False
    watched(net, 4)
    assert len(watched.history) == 4 and capsys.readouterr().out == ""
    axes = watched.plot()
    assert len(axes.lines) == 4 and axes.lines[2].get_ydata()[1] == watched.best_so_far()["mean over scenes"]


def test_validation_without_a_measurement_says_what_is_missing():
    with pytest.raises(ValueError, match="`after_step` was never called"):
        counting.Validation(*spots(6), torch.zeros(6).long(), scores=None).plot()


def test_looks_are_the_images_that_are_learnt_from():
    images, maps = spots()
    shared = nn.ReLU()
    net = nn.Sequential(nn.Conv2d(3, 3, 1), shared, nn.Conv2d(3, 3, 1), shared, nn.Conv2d(3, 1, 1))
    train = lambda after_step: counting.train_counter(net, images, maps, nn.MSELoss(), torch.optim.Adam(net.parameters()), 5, 4, after_step=after_step)
    with counting.Looks(images) as looks:
        train(looks.heard(lambda *_: counting.predict_maps(net, images)))
        with torch.no_grad():
            net.train()(images)
    assert (looks.images, looks.steps) == (20, 5)
    train(None)
    assert looks.images == 20
    with counting.Looks(images) as looks:
        train(None)
        net(images[..., : images.shape[-1] // 2])
    assert (looks.images, looks.steps) == (20 + len(images) // 2, 0)
