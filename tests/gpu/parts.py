"""What needs a GPU, in parts. Each is a generator of rows: what was measured or compared, against what, and whether that holds.

A part is a function of a Where. It gives its rows as they come, so that what fails later takes none of them along. Where it can't be
tried it raises Skip, or what a missing data set or missing walls raise.
"""

import contextlib
import functools
import math
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from autograder import gate
from autograder.answers import reference_namespace
from autograder.build import ROOT, Course
from autograder.sandbox import Sandbox
from autograder.task import Terms
from course_lib import classify, counting, dcgan, frechet, gan, parallel_speed, pretrained, tuning
from course_lib import gan_full_size as full_size
from course_lib.check import checks_of, judge_locally
from course_lib.checks import data_parallel
from course_lib.data import DataError, load_images
from course_lib.processes import launch
from course_lib.scale import Scale, at_scale
from course_lib.student import Student
from course_lib.verdict import NOT_GRADED

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
ON_THE_GPU = ("cnn_families", "sanet")  # the lessons whose `training` judges a net as it lies there


TRAINED_THERE = {("cnn_families", "training"), ("sanet", "training"), ("gan_training", "training")}  # what others train is too small for it


class Skip(Exception):
    """This can't be tried here. Says why."""


@dataclass(frozen=True)
class Where:
    """What parts run on. device: "cuda", or "cpu" to try the parts themselves. scale: how much a check trains."""

    device: str
    scale: Scale

    @classmethod
    def on(cls, device):
        return cls(device, Scale.GPU if device == "cuda" else Scale.SMOKE)

    def size(self, gpu, cpu):
        """What is for a GPU, or what is small enough to be tried on a CPU."""
        return gpu if self.device == "cuda" else cpu


@dataclass(frozen=True)
class Row:
    """what was measured; the figure, and its unit; what it is held against, in words; OK, FAILED or SKIPPED; and why."""

    what: str
    figure: float | None = None
    unit: str = ""
    against: str = ""
    state: str = OK
    reason: str = ""


def held(what, figure, holds, against, unit="", reason=""):
    return Row(what, figure, unit, against, OK if holds else FAILED, "" if holds else reason)


def at_least(what, figure, least, unit=""):
    return held(what, figure, figure >= least, f"at least {least:g}", unit)


def at_most(what, figure, most, unit=""):
    return held(what, figure, figure <= most, f"at most {most:g}", unit)


# --- checks that train ---

def training(where, lesson, name):
    """A check that trains, at this scale, with the reference and on secret inputs, in this process."""
    torch.set_num_threads(1)
    began = time.perf_counter()
    yield from _judged(where, lesson, name)
    yield Row("seconds", round(time.perf_counter() - began, 1), "s")
    if where.device == "cuda" and (lesson, name) in TRAINED_THERE:
        memory = torch.cuda.max_memory_allocated() / 1024**3
        yield held("the GPU's memory, at most", round(memory, 2), memory > 0.1, "more than 0.1: it trained there", "GB")


def _judged(where, lesson, name, boxes=None):
    check = checks_of(lesson)[name]
    trial = next(trial for trial in gate.trials(lesson) if (trial.check, trial.label) == (name, gate.REFERENCE))
    verdict = gate.judge_in_grading(lesson, trial, where.scale, boxes)
    if verdict.verdict == NOT_GRADED and "DataError" in verdict.hint:
        raise DataError(verdict.detail)
    for figure, bound in check.bounds.items():
        if figure in verdict.figures:
            value = verdict.figures[figure]
            yield held(figure, value, bound.holds(value, where.scale), f"{bound.sense} {bound.value(where.scale):g}")
    yield Row("verdict", against="passed", state=OK if verdict.passed else FAILED, reason=f"{verdict.hint} {verdict.detail}".strip())


def just_trained(where, lesson):
    """A net trained on the device, judged in the notebook as it lies there: the figures matter less than that there are some."""
    with at_scale(where.scale):
        namespace = reference_namespace(lesson)
        images, truth = _few_images(where, lesson)
        torch.manual_seed(0)
        rest = (truth.to(where.device), 10) if lesson == "cnn_families" else (truth,)
        namespace["my_net"] = namespace["train_mine"](images.to(where.device), *rest, where.size(5_120, 320), lambda *_: None)
        verdict = judge_locally(lesson, "training", namespace, scale=where.scale, made=lambda name, functions: True)
    if verdict.verdict == NOT_GRADED and "DataError" in verdict.hint:
        raise DataError(verdict.detail)
    for figure in checks_of(lesson)["training"].bounds:
        yield held(figure, verdict.figures.get(figure), figure in verdict.figures, "is measured", reason=f"{verdict.hint} {verdict.detail}")


def _few_images(where, lesson):
    """(images, labels or heads): some of what the lesson's net learns from."""
    if lesson == "sanet":
        from course_lib.crowd import TRAIN_CAMERAS, crowd_scenes
        made = crowd_scenes(TRAIN_CAMERAS, 82, where.size(256, 48), "few")
        return made.images, made.heads
    data = load_images("cifar10") if where.scale is Scale.GPU else load_images("fashion_mnist", size=14, limit=1_000, fallback="digits")
    return data.images, data.labels


# --- the judge's training, in the sandbox ---

def _sandbox(where, lesson):
    """The Sandbox that grading at this scale takes, and with it the cold way in, also on a CPU."""
    sights = Terms.of(Course(), lesson, where.scale).sandbox().sights
    return Sandbox(sights, where.scale, warm=False)


def computed(names, device, x):
    """A probe: a product and what autograd makes of it, on a device."""
    x = x.to(device).requires_grad_()
    (x @ x.T).square().sum().backward()
    return x.grad.cpu()


BEGINS_CUDA = "import ctypes\nprint(ctypes.CDLL('libcuda.so.1').cuInit(0))"


def sandbox(where):
    """What a box with the GPU's devices can do: see it, and compute on it in a check's fork, whatever the cells have done before."""
    x = torch.randn(64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    want = computed(None, "cpu", x)
    cells = {"a check, after cells that ask for no GPU": "import torch",
             "a check, after a cell that asks whether there is one": "import torch\ndevice = 'cuda' if torch.cuda.is_available() else 'cpu'\ndevice",
             "a check, after a cell that computes there": f"import torch\nprint(torch.ones(3, device={where.device!r}).sum())"}
    with _sandbox(where, "cnn_families") as made:
        if where.device == "cuda":
            with made.open() as box:
                outputs, error = box.run_cell(BEGINS_CUDA)
            said = "".join(output.get("text", "") for output in outputs).strip()
            yield Row("the driver begins within the walls: cuInit", against="0", state=OK if said == "0" else FAILED, reason=f"{said} {error or ''}".strip())
        for what, source in cells.items():
            began = time.perf_counter()
            with made.open() as box:
                if what == next(iter(cells)):
                    yield Row("a box opens", round(time.perf_counter() - began, 2), "s")
                outputs, error = box.run_cell(source)
                said = "".join(output.get("text", "") for output in outputs)
                if error or "asks whether" in what and where.device not in said:
                    yield Row(what, state=FAILED, reason=f"the cell said {said!r} {error}")
                    continue
                with box.check():
                    got = Student(lambda frame: box.answer(frame, box.deadline(60))).run(computed, where.device, x)
                yield at_most(f"{what}: error of a gradient", ((got - want).abs().max() / want.abs().max()).item(), 1e-12)
                memory = box.memory / 1024**3
            yield Row("memory of the box", round(memory, 2), "GB", f"told only; it may have {made.limits.memory / 1024**3:.0f}")


def sandbox_training(where, lesson):
    """A check that trains, in the sandbox, as a hand-in with the reference meets it."""
    with _sandbox(where, lesson) as made:
        with made.open() as box:
            _, error = box.run_cell(f"import torch\ntorch.ones(1, device={where.device!r})")
        if error:
            yield Row("torch computes within the walls", state=FAILED, reason=f"{error['type']}: {error['message']}")
            return
        began = time.perf_counter()
        with contextlib.closing(gate.Boxes(made)) as boxes:
            yield from _judged(where, lesson, "training", boxes)
        yield Row("seconds", round(time.perf_counter() - began, 1), "s")


# --- data parallel ---

STEPS, BATCH, RATE = 24, 48, 0.1


def own_ddp_gloo(where):
    """The lesson's DDP, by the lesson's own call, with several processes on one device: the weights are those of one process."""
    train, task = reference_namespace("data_parallel")["train_rank"], _task()
    for world in (2, 4):
        given = [data_parallel.small_net(task[0]), *task[1:]]
        states = launch(train, world, *(each.to(where.device) for each in given), STEPS, BATCH, RATE, timeout=90)
        yield _digits(f"{world} processes on one {where.size('GPU', 'CPU')}", states, task, world)


def own_ddp_nccl(where):
    """The same, with a GPU for each process."""
    world = min(torch.cuda.device_count(), 4)
    if world < 2:
        raise Skip(f"nccl takes a GPU for each process, and this machine has {world}")
    train, task = reference_namespace("data_parallel")["train_rank"], _task()

    def rank_of_ours(rank, world, train, *given):
        return train(rank, world, *(each.cuda(rank) for each in given[:3]), *given[3:])

    states = launch(rank_of_ours, world, train, data_parallel.small_net(task[0]), *task[1:], STEPS, BATCH, RATE, timeout=90, backend="nccl")
    yield _digits(f"{world} processes on {world} GPUs", states, task, world)


def _task():
    """(numbers that make the net, images, labels), in float64: the check's own task with other numbers."""
    images, labels = data_parallel.training_images(191)
    count = sum(parameter.numel() for parameter in data_parallel.small_net(torch.zeros(10_000)).parameters())
    return torch.randn(count, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), images, labels


def _digits(what, states, task, world):
    """To how many digits, of the largest change of a weight, the ranks' weights are those of one process on the CPU."""
    before = data_parallel.small_net(task[0])
    flat = lambda state: torch.cat([state[name].cpu().flatten() for name, _ in before.named_parameters()])
    want = flat(data_parallel.trained_alone(*task, STEPS, BATCH, RATE, world=world)[0])
    moved = (want - flat(before.state_dict())).abs().max()
    off = max((flat(state) - want).abs().max().item() for state in states)
    return at_least(f"{what}, beside one process: digits", round(-math.log10(max(off / moved.item(), 1e-16)), 1), 8)


def ddp_script(where):
    """course_lib/ddp_script.py, started by torchrun with two processes and by hand with one: nearly the same net."""
    found = {}
    for world in (1, 2):
        started = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"] if world > 1 else []
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, *started, "-m", "course_lib.ddp_script", "--steps", "100", "--data", "digits", "--checkpoint",
                                   str(Path(folder) / "last.pt")], cwd=ROOT, capture_output=True, text=True)
        right = re.search(r"([\d.]+)% of [\d,]+ test images", done.stdout)
        if done.returncode or not right:
            yield Row(f"{world} processes", state=FAILED, reason=(done.stdout + done.stderr)[-2000:])
            return
        found[world] = float(right[1])
        yield held(f"digits recognised, {world} by torchrun" if world > 1 else "digits recognised, one process", found[world],
                   f"ranks on {where.device}" in done.stdout, f"trained on {where.device}", "%", done.stdout[:200])
    yield at_most("two processes beside one", abs(found[1] - found[2]), 2, "points")


def step_times(where):
    """A step in two processes that share the device, by each way of the lesson; what a step takes is told, not judged."""
    lesson, torch_net = reference_namespace("data_parallel"), _resnet(where)
    batch = where.size(256, 16)
    x, y = torch.rand(batch, 3, 32, 32), torch.randint(10, (batch,))
    times = parallel_speed.step_seconds(lesson, torch_net, x, y, 2, steps=where.size(10, 2), device=where.device, timeout=100)
    for name, seconds in parallel_speed.medians(times).items():
        if name in parallel_speed.METHODS:
            yield held(name, round(1000 * seconds, 2), math.isfinite(seconds), "told only", "ms")


# --- nets at full size ---

def dcgan_training(where):
    """The lesson's loop on course_lib/dcgan.py's nets: drawings come nearer to the pictures, by the Fréchet distance of coarse pixels."""
    lesson, there = reference_namespace("gan_math"), False
    steps, width, batch = where.size((2_000, 64, 128), (200, 16, 32))
    for name in ("cifar10", "fashion_mnist"):
        try:
            data = load_images(name, size=32, limit=where.size(None, 500))
        except DataError as reason:
            yield Row(name, state=SKIPPED, reason=str(reason))
            continue
        pairs = lesson["labelled"](data.images, data.labels).to(where.device)
        torch.manual_seed(0)
        D, G, opt_D, opt_G = dcgan.image_players(data.images.shape[1], width, device=where.device)
        noise, average = functools.partial(dcgan.image_noise, device=where.device), gan.WeightAverage(G)
        shown = noise(len(data.classes) * 100, torch.arange(len(data.classes)).repeat(100))
        coarse = lambda drawn: F.avg_pool2d(drawn[:, :-gan.CLASSES].reshape(len(drawn), -1, 32, 32), 8).flatten(1).cpu()
        distance = lambda: frechet.frechet_distance(coarse(average.net(shown)), coarse(pairs[:len(shown)]))
        before, losses, began = distance(), [], time.perf_counter()
        lesson["train_gan"](D, G, opt_D, opt_G, lambda: pairs[torch.randint(len(pairs), (batch,), device=where.device)], lambda: noise(batch), steps,
                            after_step=lambda step, *loss: (average.update(), losses.append(loss)))
        taken = time.perf_counter() - began
        yield held(f"{name}, {steps:,} steps: images learned from", round(steps * batch / taken), True, "told only", "a second")
        losses = torch.tensor(losses)
        yield held(f"{name}: losses, last", round(losses[-1].sum().item(), 3), bool(losses.isfinite().all()), "finite, all of them")
        yield at_most(f"{name}: distance of drawings, of what it was before", round(distance() / before, 3), 0.5)


def full_size_gans(where):
    """gan_training's section 9, shortened: the benchmark's own runs, beside nets that haven't trained; and FID, of few images."""
    from tests.benchmarks import gan_full_size
    figures = gan_full_size.measure(where.scale.value)
    steps, drawn = where.size((2_000, 2_000), (20, 60))
    for data, recipe in (("fashion_mnist", "non-saturating"), ("cifar10", "non-saturating"), ("cifar10", "spectral norm in D")):
        # What has hardly begun may be farther off than grey: on a CPU, and with spectral norm, it is told only.
        most, width = 0.9 if where.device == "cuda" and recipe == "non-saturating" else math.inf, where.size(full_size.WIDTH[data], 8)
        try:
            before, after = (figures(data, recipe, 0, rounds, width, drawn) for rounds in (0, steps))
        except (DataError, pretrained.Missing) as reason:
            yield Row(f"{data}, {recipe}", state=SKIPPED, reason=str(reason))
            continue
        yield Row(f"{data}, {recipe}: rounds", round(steps / max(after["seconds"], 0.1)), "a second", "told only")
        for name in ("distance", "FID"):
            what = f"{data}, {recipe}: {name} after {steps:,} rounds, of what it was"
            if name in after:
                yield at_most(what, round(after[name] / before[name], 3), most)
            else:
                yield Row(what, state=SKIPPED, reason="its net's weights can't be had here: fid.fid says how to get them")


def full_fine_tuning(where):
    """fine_tuning at full size, shortened: a ResNet-18 on photographs as the source, and two strategies from it."""
    if where.device == "cpu":
        raise Skip("a ResNet-18 on 25,000 photographs takes a GPU")
    pretrained.FULL_EPOCHS = 2
    lesson = reference_namespace("fine_tuning")
    with at_scale(where.scale):
        train, test = (pretrained.tasks(split, full=True) for split in ("train", "test"))
        began = time.perf_counter()
        source = pretrained.source_net(full=True)
        yield Row("the source net, 2 epochs (or kept from before)", round(time.perf_counter() - began, 1), "s")
        test_source = pretrained.few(test["source"], 100)
        yield at_least("source: its own twenty classes", classify.accuracy(source, test_source.images, test_source.labels), 0.3)
        for name in ("head only", "all, one rate"):
            net, _ = tuning.run(tuning.STRATEGIES[name], lesson, source, pretrained.few(train["like"], 400, 0), 300, 0)
            few = pretrained.few(test["like"], 100)
            yield at_least(f"{name}, 300 steps: five other classes", round(classify.accuracy(net, few.images, few.labels), 3), 0.4)


# --- how quick ---

def _resnet(where):
    lesson = reference_namespace("cnn_families")
    counts, width = where.size(((2, 2, 2, 2), 64), ((1, 1, 1), 8))
    return lesson["ResNet"](lesson["BasicBlock"], counts, 10, 3, width, small_images=True)


def images_per_second(where):
    """Training steps of the full nets on the GPU beside those of the same nets on all cores of the CPU."""
    for name, make in {"ResNet, float32": functools.partial(_resnet_step, False), "ResNet, bfloat16": functools.partial(_resnet_step, True),
                       "SANet": _sanet_step, "DCGAN": _dcgan_step}.items():
        on_cpu = _speed(*make(where, "cpu", where.size(32, 8)), "cpu", where.size(5, 0.5))
        if where.device == "cpu":
            yield held(name, round(on_cpu, 1), on_cpu > 0, "told only", "images/s")
            continue
        figure = _speed(*make(where, where.device, {"SANet": 16}.get(name, 512)), where.device, 3)
        yield held(name, round(figure), figure > on_cpu, f"more than the CPU's {on_cpu:,.1f} on {torch.get_num_threads()} threads", "images/s")


def _speed(step, batch, device, seconds):
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(2):
        step()
    wait()
    began, steps = time.perf_counter(), 0
    while time.perf_counter() - began < seconds or not steps:
        step()
        wait()
        steps += 1
    return steps * batch / (time.perf_counter() - began)


def _resnet_step(mixed, where, device, batch):
    net = _resnet(where).to(device, memory_format=torch.channels_last)
    images, labels = torch.rand(batch, 3, 32, 32, device=device), torch.randint(10, (batch,), device=device)
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    return lambda: classify.train_classifier(net, images, labels, F.cross_entropy, optimizer, 1, batch, mixed=mixed), batch


def _sanet_step(where, device, batch):
    lesson, side = reference_namespace("sanet"), where.size(256, 48)
    batch = batch if device == "cuda" else 2
    net = lesson["SANet"](3, where.size(16, 4), "batch").to(device)
    images, maps = torch.rand(batch, 3, side, side, device=device), torch.rand(batch, 1, side, side, device=device)
    optimizer = torch.optim.Adam(net.parameters())
    return lambda: counting.train_counter(net, images, maps, lesson["sanet_loss"], optimizer, 1, batch), batch


def _dcgan_step(where, device, batch):
    lesson = reference_namespace("gan_math")
    D, G, opt_D, opt_G = dcgan.image_players(width=where.size(64, 8), device=device)
    pairs = torch.cat([torch.rand(batch, 3 * 32 * 32) * 2 - 1, F.one_hot(torch.randint(10, (batch,)), 10)], 1).to(device)
    noise = lambda: dcgan.image_noise(batch, device=device)
    return lambda: lesson["train_gan"](D, G, opt_D, opt_G, lambda: pairs, noise, 1), batch


# --- all of them ---

def parts():
    """{name: (function of a Where, seconds it may take)}, in the order in which they should run when time is short: first what nothing but
    a GPU can tell, last the checks whose nets train on the processor wherever they are."""
    trained = [(lesson, check.name) for lesson in Course().lessons() for check in checks_of(lesson).values() if check.trains]
    of_check = lambda lesson, name: {f"training, {lesson}, {name}": (functools.partial(training, lesson=lesson, name=name), 300)}
    in_box = lambda lesson: {f"sandbox, training, {lesson}": (functools.partial(sandbox_training, lesson=lesson), 300)}
    found = {"sandbox": (sandbox, 120), "own DDP, gloo": (own_ddp_gloo, 120), "own DDP, nccl": (own_ddp_nccl, 120),
             "images per second": (images_per_second, 90), "DCGAN": (dcgan_training, 120), "GANs at full size": (full_size_gans, 240)}
    found |= {f"judged in the notebook, {lesson}": (functools.partial(just_trained, lesson=lesson), 90) for lesson in ON_THE_GPU}
    found |= of_check("gan_training", "training") | in_box("sanet") | in_box("cnn_families")
    found |= {"step times": (step_times, 120), "ddp_script": (ddp_script, 150), "fine_tuning at full size": (full_fine_tuning, 120)}
    for lesson, name in sorted(trained, key=lambda each: each not in TRAINED_THERE):
        found |= of_check(lesson, name)
    return found
