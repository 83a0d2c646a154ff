"""The reference solution of `cnn_families` against witnesses of another kind: torchvision, d2l, torch's own counters and modules."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from autograder.answers import reference_namespace
from autograder.gate import Trial, judge_in_grading
from course_lib import classify, ladder
from course_lib.check import judge_locally
from course_lib.data import ImageSet, load_images
from course_lib.modules import filled
from course_lib.scale import Scale

torchvision = pytest.importorskip("torchvision")


@pytest.fixture(scope="module")
def lesson():
    return reference_namespace("cnn_families")


def on_meta(make, *args, **options):
    with torch.device("meta"):
        return make(*args, **options)


def count(net):
    return sum(parameter.numel() for parameter in net.parameters())


@pytest.mark.parametrize("name, args, parameters", [
    ("vgg", (11,), 132_863_336), ("vgg", (16,), 138_357_544), ("resnet", (18,), 11_689_512), ("resnet", (34,), 21_797_672),
    ("resnet", (50,), 25_557_032)])
def test_full_nets_have_torchvisions_parameter_counts(lesson, name, args, parameters):
    theirs = on_meta(getattr(torchvision.models, f"{name}{args[0]}"))
    mine = on_meta(lesson[name], *args)
    assert count(mine) == count(theirs) == parameters
    assert [p.shape for p in mine.parameters()] == [p.shape for p in theirs.parameters()]


def test_modules_in_a_plain_container_are_named_unless_the_net_has_them_as_well():
    class Net(nn.Module):
        def __init__(self, registered):
            super().__init__()
            self.stages = {"first": [nn.Linear(2, 2)]}
            if registered:
                self.first = self.stages["first"][0]

    assert filled(Net(True), torch.arange(3.0)).first.weight.dtype == torch.float64
    with pytest.raises(TypeError, match="`stages` of `Net` is a dict of modules"):
        filled(Net(False), torch.arange(3.0))


def copied(mine, theirs):
    with torch.no_grad():
        for one, other in zip(mine.parameters(), theirs.parameters(), strict=True):
            one.copy_(other)
    return mine, theirs


@pytest.mark.parametrize("make, theirs", [
    (lambda lesson: lesson["vgg"](11, dropout=0.0), lambda: torchvision.models.vgg11(dropout=0.0)),
    (lambda lesson: lesson["resnet"](18), lambda: torchvision.models.resnet18()),
    (lambda lesson: lesson["resnet"](50), lambda: torchvision.models.resnet50())], ids=["vgg11", "resnet18", "resnet50"])
def test_nets_with_torchvisions_weights_give_its_logits(lesson, make, theirs):
    torch.manual_seed(0)
    mine, theirs = copied(make(lesson), theirs())
    images = torch.randn(4, 3, 64, 64)
    with torch.no_grad():
        for training in (True, False):
            a, b = mine.train(training)(images), theirs.train(training)(images)
            assert torch.allclose(a, b, rtol=1e-5, atol=1e-5 * b.abs().max().item())


def test_zero_init_zeroes_what_torchvision_zeroes(lesson):
    for depth in (18, 50):
        mine = zeroed(lesson["resnet"](depth, 10, 3, 64, False, True))
        theirs = zeroed(getattr(torchvision.models, f"resnet{depth}")(num_classes=10, zero_init_residual=True))
        assert mine == theirs and any(mine)


def zeroed(net):
    return [not module.weight.any().item() for module in net.modules() if isinstance(module, nn.BatchNorm2d)]


def test_the_books_identity_block_agrees(lesson):
    d2l = pytest.importorskip("d2l.torch")
    torch.manual_seed(0)
    book, mine = d2l.Residual(6).double(), lesson["BasicBlock"](6, 6).double()
    x = torch.randn(3, 6, 5, 5, dtype=torch.float64)
    book(x)
    book.double()
    weights = [book.conv1.weight, book.bn1.weight, book.bn1.bias, book.conv2.weight, book.bn2.weight, book.bn2.bias]
    with torch.no_grad():
        book.conv1.bias.zero_(), book.conv2.bias.zero_()
        for one, other in zip(mine.parameters(), weights, strict=True):
            one.copy_(other)
    assert torch.allclose(mine.train()(x), book.train()(x), atol=1e-12)
    assert not any(isinstance(module, nn.BatchNorm2d) and name == "bn3" for name, module in d2l.Residual(8, True, 2).named_modules())


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 7), st.integers(7, 30), st.integers(1, 4), st.integers(0, 3), st.booleans())
@settings(max_examples=60, deadline=None)
def test_costs_are_what_torch_counts(lesson, inputs, outputs, kernel, size, stride, padding, bias):
    layer = on_meta(nn.Conv2d, inputs, outputs, kernel, stride, padding, bias=bias)
    with FlopCounterMode(display=False) as counter:
        layer(torch.empty(1, inputs, size, size, device="meta"))
    assert lesson["conv_cost"](inputs, outputs, kernel, size, stride, padding, bias) == (count(layer), counter.get_total_flops() // 2)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_receptive_field_is_where_the_gradient_is_not_zero(lesson, layers):
    field = lesson["receptive_field"](layers)
    net = nn.Sequential(*[nn.Conv1d(1, 1, kernel, stride, bias=False) for kernel, stride in layers]).double()
    for layer in net:
        nn.init.ones_(layer.weight)
    x = torch.ones(1, 1, field, dtype=torch.float64, requires_grad=True)
    out = net(x)
    assert out.shape[-1] == 1
    out.sum().backward()
    seen = x.grad.flatten().nonzero().flatten()
    assert seen.max() - seen.min() + 1 == field


def test_inception_is_the_paper_and_torchvisions_is_not(lesson):
    block = lesson["Inception"](192, 64, (96, 128), (16, 32), 32)
    kernels = [layer.kernel_size[0] for layer in block.modules() if isinstance(layer, nn.Conv2d)]
    assert sorted(kernels) == [1, 1, 1, 1, 3, 5] and block(torch.randn(1, 192, 9, 9)).shape == (1, 256, 9, 9)
    assert count(block) == 163_328 + 64 + 96 + 128 + 16 + 32 + 32
    theirs = torchvision.models.googlenet(aux_logits=False, init_weights=False)
    assert count(theirs) == 6_624_904 and theirs.inception3a.branch3[1].conv.kernel_size == (3, 3)


def test_pre_activation_is_the_identity_where_nothing_is_added(lesson):
    block = lesson["PreActivation"](4, 4)
    nn.init.zeros_(block.main[-1].weight)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(block(x), x)  # negative values too: nothing stands on the shortcut


@given(st.integers(2, 7), st.floats(0, 0.9), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_smoothed_loss_is_torchs(lesson, classes, smoothing, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(5, classes, dtype=torch.float64, generator=generator)
    labels = torch.randint(classes, (5,), generator=generator)
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    assert lesson["smoothed_cross_entropy"](logits, labels, smoothing).item() == pytest.approx(expected.item(), rel=1e-9)


@given(st.integers(0, 40), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_schedule_is_torchs_warm_up_and_cosine(lesson, warmup, rest):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], 0.7)
    schedules = [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, rest)]
    rates = []
    for _ in range(rest):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedules[0].step()
    steps = warmup + rest
    mine = [lesson["learning_rate"](step, steps, 0.7, warmup) for step in range(steps)]
    assert mine[warmup:] == pytest.approx(rates, abs=1e-9)
    assert mine[:warmup] == pytest.approx([0.7 * (i + 1) / warmup for i in range(warmup)])


def test_average_is_torchs(lesson):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    mine = copy.deepcopy(net)
    theirs = torch.optim.swa_utils.AveragedModel(net, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.8))
    theirs.update_parameters(net)  # its first update copies
    for _ in range(4):
        net(torch.randn(3, 1, 5, 5))
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
        lesson["update_average"](mine, net, 0.8)
        theirs.update_parameters(net)
    for name, value in theirs.module.state_dict().items():
        assert torch.allclose(mine.state_dict()[name].float(), value.float(), atol=1e-6), name


def test_crops_are_torchvisions(lesson):
    from torchvision.transforms import functional as transforms
    torch.manual_seed(0)
    images = torch.rand(20, 3, 8, 10)
    top, left, flip = classify.random_crops(20, 2)
    got = lesson["crop_and_flip"](images, top, left, flip, 2)
    for image, y, x, mirrored, window in zip(images, top, left, flip, got):
        expected = transforms.crop(transforms.pad(image, [2]), y, x, 8, 10)
        assert torch.equal(window, transforms.hflip(expected) if mirrored else expected)
    assert flip.any() and not flip.all() and top.max() == 4 and top.min() == 0


def test_cutout_blanks_a_square(lesson):
    images = torch.ones(3, 2, 9, 9)
    out = lesson["cutout"](images, torch.tensor([4, 0, 8]), torch.tensor([4, 8, 0]), 4)
    assert [(image[0] == 0).sum().item() for image in out] == [16, 2 * 3, 3 * 2]
    assert images.all() and not out[0, :, 2:6, 2:6].any()


def test_the_hint_for_an_error_leaves_the_errors_own_message():
    names = reference_namespace("cnn_families")

    class NoShortcut(names["BasicBlock"]):
        def __init__(self, *args):
            super().__init__(*args)
            self.shortcut = nn.Identity()

    verdict = judge_locally("cnn_families", "residual", names | {"BasicBlock": NoShortcut})
    assert "where the channels change" in verdict.hint and "must match the size" in verdict.detail


# --- what the course gives ---

def tiny(n=64):
    labels = torch.arange(n) % 2
    images = 0.2 * torch.rand(n, 1, 8, 8) + 0.5 * labels[:, None, None, None]
    return ImageSet(images, labels, "two greys", "train", ("dark", "light"), "Made here.")


def test_the_loop_learns_and_says_each_step():
    torch.manual_seed(0)
    data, seen = tiny(), []
    net = nn.Sequential(classify.Normalise(data.images), nn.Flatten(), nn.Linear(64, 2))
    rates = []
    optimizer = torch.optim.SGD(net.parameters(), 9.0)
    classify.train_classifier(net, data.images, data.labels, F.cross_entropy, optimizer, 20, 16, lambda step: 0.1 / (1 + step),
                              lambda x: x + 0.0, lambda step, loss: (seen.append((step, loss)), rates.append(optimizer.param_groups[0]["lr"])))
    assert [step for step, _ in seen] == list(range(20)) and seen[-1][1] < seen[0][1]
    assert rates == pytest.approx([0.1 / (1 + step) for step in range(20)])
    net[1].eval()  # one part is frozen
    assert classify.accuracy(net, data.images, data.labels) == 1.0
    assert [module.training for module in net.modules()] == [True, True, False, True]


def test_normalise_gives_mean_zero_and_deviation_one():
    images = 3 + 2 * torch.randn(50, 3, 4, 4)
    out = classify.Normalise(images)(images)
    assert out.mean((0, 2, 3)).abs().max() < 1e-5 and (out.std((0, 2, 3)) - 1).abs().max() < 1e-5


def test_a_submission_file_is_kaggles(tmp_path):
    classify.write_submission(tmp_path / "s.csv", torch.tensor([1, 0]), ("cat", "dog"))
    assert (tmp_path / "s.csv").read_text() == "id,label\n1,dog\n2,cat\n"


def test_each_rung_changes_what_it_says_and_trains(lesson):
    made = list(ladder.rungs().values())
    assert made[0] == ladder.Recipe() and made[-1].smoothing == 0.1 and made[-1].spare_norms and not made[-1].summed
    assert all(a != b for a, b in zip(made, made[1:]))
    data = tiny()
    for recipe in (made[0], made[-1]):
        torch.manual_seed(0)
        net = lesson["ResNet"](lesson["BasicBlock"], (1,), 2, 1, 4, True)
        figures = ladder.climb(recipe, lesson, net, data, data, 3, seed=0, mixed=recipe is made[-1])
        assert set(figures) == {"net", "average", "flips"} and all(0 <= value <= 1 for value in figures.values())


def test_the_books_recipe_is_the_mean_at_thirty_two_times_the_rate():
    def trained(rate, decay, reduction):
        torch.manual_seed(1)
        net = nn.Linear(4, 3).double()
        optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9, weight_decay=decay)
        for _ in range(4):
            loss = F.cross_entropy(net(torch.randn(32, 4, dtype=torch.float64)), torch.randint(3, (32,)), reduction=reduction)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return net.weight
    assert torch.allclose(trained(2e-4, 5e-4, "sum"), trained(6.4e-3, 5e-4 / 32, "mean"), rtol=1e-12)


def test_the_floor_of_a_loss_behind_a_softmax():
    """What the lesson says of run A: with a second softmax the loss of a certain and right net is log(e + 9) − 1."""
    certain = torch.eye(10, dtype=torch.float64)
    assert F.cross_entropy(certain, torch.arange(10)).item() == pytest.approx(math.log(math.e + 9) - 1)


def test_the_recipe_for_a_gpu_runs_on_a_cpu_too(monkeypatch):
    """All of it, but for the size of its batches: one of 512 takes half a minute here."""
    monkeypatch.setenv("COURSE_SCALE", "gpu")
    train, sizes = classify.train_classifier, []
    monkeypatch.setattr(classify, "train_classifier", lambda net, images, labels, loss, optimizer, steps, batch, *more, **options: (
        sizes.append(batch), train(net, images, labels, loss, optimizer, steps, 32, *more, **options)))
    torch.manual_seed(0)
    images, labels, losses = torch.rand(32, 3, 4, 4), torch.randint(10, (32,)), []
    net = reference_namespace("cnn_families")["train_mine"](images, labels, 10, 1024, lambda step, loss: losses.append(loss))
    assert sizes == [512] and len(losses) == 2
    assert sum(parameter.numel() for parameter in net.parameters()) == 11_173_962  # pytorch-cifar's ResNet-18
    assert torch.isfinite(net.eval()(images[:2])).all()


def test_labels_brought_along_in_the_images_order_are_worth_nothing():
    """Who knows the test set by heart, and reads from the training labels how the classes are renumbered, must still look."""
    known = {split: load_images("fashion_mnist", split, size=14, limit=limit, fallback="digits").labels
             for split, limit in (("train", 25_600), ("test", None))}

    class Knows(nn.Module):
        def __init__(self, classes):
            super().__init__()
            asked = torch.cat([known["test"], known["test"][:100]])  # the check asks about a hundred more, halves put together
            self.answers = iter(F.one_hot(classes[asked], 10).float().split(500))

        def forward(self, images):
            return next(self.answers) - 1

    def train_mine(images, labels, classes, budget, after_step=None):
        return Knows(torch.tensor([labels[(known["train"] == each).nonzero()[0, 0]] for each in range(10)]))

    stored = lambda: reference_namespace("cnn_families") | {"train_mine": train_mine}
    verdict = judge_in_grading("cnn_families", Trial("training", "stored labels", False, None, stored), Scale.SMOKE)
    assert not verdict.passed and 0.05 < verdict.figures["accuracy"] < 0.15
