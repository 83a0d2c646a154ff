"""The training script: any number of ranks trains what one process does, also when one is killed on the way. Its checkpoints."""

import os
import re
import signal
import subprocess
import sys

import pytest
import torch

from course_lib import data, ddp_script
from course_lib.data import load_images
from course_lib.ddp_script import main, make_net

# In float64: that ranks add their gradients in another order than one process moves a weight by some 1e-14 then, and what could
# go wrong (the images' order, a step lost or taken twice, momentum lost) by over 1e-4. In float32 rounding itself comes to 5e-5,
# since it changes which of two pixels is the larger.
ROUNDING = dict(rtol=0, atol=1e-10)
STEPS, IMAGES, BATCH = 9, 490, 96  # an epoch has 5 steps, and 10 images are left over

IN_FLOAT64 = f"""
import dataclasses, functools, runpy, torch
from course_lib import data
torch.set_default_dtype(torch.float64)
original = data.load_images
@functools.cache
def load_images(name, split):
    images = original(name, split, limit={IMAGES} if split == "train" else None)
    return dataclasses.replace(images, images=images.images.double())
data.load_images = load_images
"""

SETTINGS = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "GLOO_SOCKET_IFNAME": "lo",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def command(folder, ranks, *more):
    """torchrun on a machine whose own name may lead nowhere, without a network."""
    script = folder / "script.py"
    script.write_text(IN_FLOAT64 + 'runpy.run_module("course_lib.ddp_script", run_name="__main__")')
    return [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={ranks}",
            "--max-restarts=1", str(script), *arguments(folder / "last.pt"), *more]


def arguments(checkpoint, steps=STEPS, **more):
    more = {"data": "digits", "every": 3, "batch": BATCH} | more
    return [f"--checkpoint={checkpoint}", f"--steps={steps}", *(f"--{name}={value}" for name, value in more.items())]


def weights(file):
    return torch.load(file, weights_only=True)["net"]


def recognised(net):
    """How many of the test images a net of these weights recognises, and how many there are."""
    test = load_images("digits", "test")
    model = make_net(1, 10)
    model.load_state_dict(net)
    with torch.no_grad():
        return (model(test.images.double()).argmax(1) == test.labels).sum().item(), len(test)


@pytest.fixture(scope="module", autouse=True)
def in_float64():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(data, "load_images", data.load_images)  # to be set back
        patched.setattr(torch.cuda, "device_count", lambda: 0)
        names = {}
        exec(IN_FLOAT64, names)
        patched.setattr(ddp_script, "load_images", names["load_images"])
        yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(autouse=True)
def no_group_is_left():
    yield
    if torch.distributed.is_initialized():  # as it is where main was stopped
        torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The checkpoint of one process."""
    file = tmp_path_factory.mktemp("alone") / "last.pt"
    main(arguments(file))
    return file


@pytest.fixture(scope="module")
def launched(tmp_path_factory):
    """Three ranks, of which one kills itself: the checkpoint, what was printed, errors, exit code. Once, since most of it is importing torch."""
    folder = tmp_path_factory.mktemp("launched")
    # In step 7 the rank that is to die waits for rank 0, which by then has written step 6.
    process = subprocess.Popen(command(folder, 3, "--die-at", "8", "1"), env=os.environ | SETTINGS, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    try:
        ended = process.communicate(timeout=300)
    finally:
        process.terminate()  # which torchrun passes on to its ranks
        process.wait()
    return folder / "last.pt", *ended, process.returncode


def test_after_a_rank_was_killed_three_go_on_at_the_checkpoint_to_the_net_of_one(alone, launched):
    file, printed, errors, code = launched
    assert code == 0, errors
    assert f"exitcode: -{signal.SIGKILL.value}" in errors
    lines = [re.sub(r" loss [\d.]+,", "", line) for line in printed.splitlines()[:-1]]
    assert lines == ["3 ranks on cpu, restart 0: from step 0", "step 3: saved", "step 6: saved", "rank 1 kills itself in step 8",
                     "3 ranks on cpu, restart 1: from step 6", "step 9: saved"]
    torch.testing.assert_close(weights(file), weights(alone), **ROUNDING)


def test_three_ranks_count_each_test_image_once(launched):
    file, printed, *_ = launched
    right, seen = recognised(weights(file))
    assert seen % 3  # or padding would not show
    assert printed.splitlines()[-1] == f"{right / seen:.1%} of {seen:,} test images recognised"


def test_what_three_ranks_began_one_goes_on_with(launched, tmp_path):
    begun, whole = tmp_path / "begun.pt", tmp_path / "whole.pt"
    begun.write_bytes(launched[0].read_bytes())
    for file in (begun, whole):
        main(arguments(file, steps=STEPS + 4))
    torch.testing.assert_close(weights(begun), weights(whole), **ROUNDING)


def test_one_process_takes_the_steps_of_sgd_with_momentum_in_a_new_order_each_epoch(alone):
    """The same by hand: DistributedSampler's order for one rank is the permutation that seed + epoch gives."""
    train = load_images("digits", limit=IMAGES)
    orders = [torch.randperm(IMAGES, generator=torch.Generator().manual_seed(epoch)).split(BATCH) for epoch in (0, 1)]
    torch.manual_seed(0)
    net = make_net(1, 10)
    velocity = [torch.zeros_like(weight) for weight in net.parameters()]
    for images in [*orders[0][:5], *orders[1][:5]][:STEPS]:
        loss = -net(train.images[images].double()).log_softmax(1)[torch.arange(BATCH), train.labels[images]].mean()
        gradients = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for weight, gradient, v in zip(net.parameters(), gradients, velocity):
                weight -= 0.05 * v.mul_(0.9).add_(gradient)
    torch.testing.assert_close(dict(net.state_dict()), dict(weights(alone)), **ROUNDING)


def test_another_order_of_images_is_far_outside_of_rounding(alone, tmp_path):
    main(arguments(tmp_path / "other.pt", seed=1))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(weights(tmp_path / "other.pt"), weights(alone), rtol=0, atol=1e-4)


def test_a_finished_training_is_only_evaluated(alone, capsys):
    before = alone.read_bytes()
    main(arguments(alone))
    assert alone.read_bytes() == before
    assert capsys.readouterr().out.splitlines()[0] == f"1 ranks on cpu, restart 0: from step {STEPS}"


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("contents", [b"", b"no checkpoint", "cut", {"step": 3}, [1, 2], Harmful()],
                         ids=["empty", "text", "cut off", "foreign", "list", "pickle with code"])
def test_what_is_no_checkpoint_is_named_and_nothing_in_it_runs(contents, alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "last.pt"
    if contents == "cut":
        contents = alone.read_bytes()[:-100]
    if isinstance(contents, bytes):
        file.write_bytes(contents)
    else:
        torch.save(contents, file)
    with pytest.raises(SystemExit, match=f"{re.escape(str(file))}: not a whole checkpoint"):
        main(arguments(file))
    assert os.listdir(tmp_path) == ["last.pt"]


def test_a_checkpoint_of_another_training_is_refused(alone):
    with pytest.raises(SystemExit, match="belongs to a training with .*'seed': 0.*; this one has .*'seed': 1"):
        main(arguments(alone, seed=1))


@pytest.mark.parametrize("wrong", [{"batch": 0}, {"batch": IMAGES + 1}, {"every": 0}], ids=str)
def test_what_cannot_be_is_refused(wrong, tmp_path):
    with pytest.raises(SystemExit, match="--batch is shared equally by 1 ranks and is at most 490; --every counts from 1"):
        main(arguments(tmp_path / "last.pt", **wrong))


def test_a_checkpoint_that_was_not_finished_leaves_the_one_before(alone, tmp_path, monkeypatch):
    file = tmp_path / "last.pt"
    main(arguments(file, steps=3))
    before = file.read_bytes()

    def killed(state, part):
        part.write_bytes(b"half of it")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(torch, "save", killed)
        main(arguments(file))
    assert file.read_bytes() == before
    torch.distributed.destroy_process_group()
    main(arguments(file))
    torch.testing.assert_close(weights(file), weights(alone), **ROUNDING)
