"""The runs to be diagnosed show what they are meant to show."""

import pytest
import torch
from torch import nn

from autograder.answers import reference_namespace
from course_lib import broken, counting
from course_lib.data import ImageSet


def images(n, seed):
    """Four classes of noise about a pattern of their own."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 4
    patterns = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(0))
    return ImageSet(patterns[labels] * 0.6 + 0.4 * torch.rand(n, 1, 6, 6, generator=generator), labels, "patterns", "train", ("a", "b", "c", "d"), "")


def stack(block, count):
    return nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), *(block(8, 8) for _ in range(3 * count)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 4))


class Block(nn.Sequential):
    def __init__(self, inputs, outputs):
        super().__init__(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


def test_each_fault_leaves_its_mark():
    runs = broken.classifiers(stack, Block, images(400, 1), images(200, 2), 60)
    assert list(runs) == ["A", "B", "C", "D", "E"]
    healthy = runs["E"]
    assert len(healthy.losses) == 60 and len(healthy.right) == 10 and healthy.right[-1] > 0.9
    assert abs(healthy.right[-1] - healthy.shuffled) < 1e-6, "in eval mode the order of the images doesn't matter"
    assert runs["B"].losses == runs["D"].losses == healthy.losses, "only the measuring differs, and looking changes nothing"
    assert runs["D"].shuffled > runs["D"].right[-1] + 0.1
    floor = torch.log(torch.tensor(torch.e + 3)) - 1  # four classes
    assert min(runs["A"].losses) > floor and min(healthy.losses) < floor


def test_each_of_the_counters_has_the_mark_that_gives_it_away():
    """A net that is right everywhere but for noise: who has broken something shows in one number each."""
    lesson = reference_namespace("sanet")
    heads = [torch.rand(n, 2, generator=torch.Generator().manual_seed(n)) * 32 for n in (2, 5, 9, 20, 4, 7, 11, 14)]
    images = counting.SCALE * torch.stack([lesson["density_map"](points, 32, 32, 2.0) for points in heads])[:, None].repeat(1, 3, 1, 1)
    reports = broken.counters(lesson, Brightness(), images, heads, 2.0)
    right = reports["C"]
    assert abs(right.predicted - 9) < 1e-3 and abs(right.true - 9) < 1e-3 and right.places == 22 * 22 and right.ssim > 0.99
    assert reports["A"].places == 10 * 10 and abs(reports["A"].ssim - right.ssim) < 0.02
    assert reports["B"].true < 8.5 and reports["B"].predicted == right.predicted
    assert reports["D"].predicted == 0 and reports["D"].related == 0
    assert reports["E"].predicted == pytest.approx(100 * right.predicted) and reports["E"].related == pytest.approx(right.related)


class Brightness(nn.Module):
    """A net that answers what it sees."""

    def forward(self, images):
        return images[:, :1]


def test_each_training_on_two_processes_has_the_mark_that_gives_it_away():
    lesson, train, test = reference_namespace("data_parallel"), images(96, 1), images(40, 2)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(train.images[0].numel(), 4))
    runs = broken.ranks(lesson, net, train, test, epochs=2, batch=32)
    healthy = runs["D"]
    assert [name for name, run in runs.items() if run.apart > 0] == ["E"]
    assert [name for name, run in runs.items() if run.repeated == 1] == ["A"] and healthy.repeated == 0
    assert runs["B"].first_step == pytest.approx(2 * healthy.first_step, rel=1e-4)
    assert runs["C"].right == 2 * healthy.right and runs["C"].losses == healthy.losses
    assert len(healthy.losses) == 2 * 3 and healthy.of == 40


def test_each_of_the_gans_has_the_mark_that_gives_it_away():
    images = 2 * (torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0)) > 0.7).float() - 1
    games = broken.gans(reference_namespace("gan_training"), images, 2, 6)
    assert list(games) == ["run 1", "run 2", "run 3", "run 4"] and all(len(game.losses) == 6 and game.pictures.shape == (64, 1, 28, 28) for game in games.values())
    marks = {letter: (game.company > 1e-3, game.pushed > 1e-4, game.passed < 0.7) for letter, game in games.items()}
    assert marks == {"run 1": (True, False, False), "run 2": (False, False, False), "run 3": (False, True, False), "run 4": (False, False, True)}
