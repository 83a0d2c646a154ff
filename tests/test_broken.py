"""The runs to be diagnosed show what they are meant to show."""

import torch
from torch import nn

from course_lib import broken
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
