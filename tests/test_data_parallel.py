"""The reference of `data_parallel` against what isn't it: torch's own sampler, buckets, collectives and DDP, and one process on the whole batch."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import cloudpickle
import pytest
import torch
import torch.distributed as dist
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from autograder import answers
from course_lib.checks import data_parallel as checks
from course_lib.processes import launch

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a rank needn't import this module
cloudpickle.register_pickle_by_value(checks)


@pytest.fixture(scope="module")
def names():
    return answers.reference_namespace("data_parallel")


@settings(max_examples=100, deadline=None)
@given(length=st.integers(1, 40), count=st.integers(1, 12))
def test_parts_are_the_batch_and_their_mean_is_its_mean(names, length, count):
    batch = torch.randn(length, 3, dtype=torch.float64)
    parts = names["scatter"](batch, count)
    sizes = [len(part) for part in parts]
    assert torch.equal(torch.cat(parts), batch) and len(parts) == min(count, length)
    assert sizes == sorted(sizes, reverse=True) and max(sizes) - min(sizes) <= 1
    torch.testing.assert_close(names["mean_of_parts"]([part.mean(0) for part in parts], sizes), batch.mean(0))


@pytest.mark.parametrize("length, devices", [(7, 3), (2, 4), (6, 1)])
def test_data_parallel_is_the_net_itself_with_its_gradients(names, length, devices):
    net, x = checks.Mixed(torch.randn(80, dtype=torch.float64)), torch.randn(length, 3, dtype=torch.float64)
    output = names["data_parallel"](net, x, [f"device {number}" for number in range(devices)], lambda tensor, device: tensor.clone())
    torch.testing.assert_close(output, net(x))
    for got, want in zip(*(torch.autograd.grad((each ** 2).sum(), [p for p in net.parameters() if p is not net.idle]) for each in (output, net(x)))):
        torch.testing.assert_close(got, want)


def collectives(rank, world, star_broadcast, star_reduce, ring_all_reduce):
    """(the course's, torch's) of each collective on this rank."""
    pairs = []
    for shape in ((), (1,), (2, 5), (7,)):
        tensor = torch.arange(max(1, torch.Size(shape).numel()), dtype=torch.float64).reshape(shape) + 10 * rank
        for ours, theirs in ((lambda t: star_broadcast(t, world - 1), lambda t: dist.broadcast(t, world - 1)),
                             (ring_all_reduce, dist.all_reduce)):
            one, other = tensor.clone(), tensor.clone()
            ours(one), theirs(other)
            pairs.append((one, other))
        one, other = tensor.clone(), tensor.clone()
        star_reduce(one, world - 1), dist.all_reduce(other)
        pairs.append((one, other if rank == world - 1 else tensor))
    return pairs


def stepped(rank, world, numbers, xs, ys, cap, DDP):
    """Parameters after steps with the course's DDP, and after the same with torch's: [(ours, theirs)]. Each rank begins elsewhere."""
    results = []
    for make in (lambda net: DDP(net, cap), lambda net: nn.parallel.DistributedDataParallel(net, find_unused_parameters=True, bucket_cap_mb=cap / 2**20)):
        net = checks.Odd(numbers[rank])
        ddp, optimizer = make(net), checks.optimizer_for(net)
        for x, y in zip(xs, ys):
            optimizer.zero_grad()
            checks.loss_of(ddp(checks.part_of(x, rank, world)), checks.part_of(y, rank, world)).backward()
            if hasattr(ddp, "finish"):
                ddp.finish()
            optimizer.step()
        results.append(checks.weights(net))
    return results


@pytest.mark.parametrize("world", [1, 2, 3])
def test_real_ranks_agree_with_torchs_own_collectives(names, world):
    for pairs in launch(collectives, world, *(names[name] for name in ("star_broadcast", "star_reduce", "ring_all_reduce")), timeout=120):
        for ours, theirs in pairs:
            torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ddp_is_one_process_on_the_whole_batch_and_torchs_ddp_over_five_steps(names, world):
    """In float64 to 1e-10; weights used twice, frozen, used by some ranks only and by none; buffers; other weights on each rank at first."""
    generator = torch.Generator().manual_seed(world)
    numbers, xs, ys = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((3, 80), (5, 12, 3), (5, 12, 2)))
    for step in range(4):
        checks.part_of(xs[step], (world - 1 + step) % world, world)[0, 0] = 9.0
    want = checks.single(numbers[0], xs, ys, world, 1, 1.0)
    assert any((one - other).abs().max() > 0.1 for one, other in zip(want.values(), checks.weights(checks.Odd(numbers[0])).values())), "it has moved"
    for ours, theirs in launch(stepped, world, numbers, xs, ys, 200, names["DDP"], timeout=120):
        torch.testing.assert_close(ours, want, rtol=0, atol=1e-10)
        torch.testing.assert_close(theirs, want, rtol=0, atol=1e-10)


@settings(max_examples=200, deadline=None)
@given(counts=st.lists(st.integers(1, 50), min_size=1, max_size=20), cap=st.integers(1, 400))
def test_buckets_are_those_that_torch_makes(names, counts, cap):
    backwards = [torch.empty(count) for count in reversed(counts)]
    theirs, _ = torch._C._distributed_c10d._compute_bucket_assignment_by_size(backwards, [cap])
    theirs = [[len(counts) - 1 - position for position in bucket] for bucket in theirs]
    assert names["assign_buckets"]([4 * count for count in counts], cap) == theirs


@settings(max_examples=200, deadline=None)
@given(length=st.integers(1, 40), world=st.integers(1, 9), epoch=st.integers(0, 5), seed=st.integers(0, 99), shuffle=st.booleans(),
       drop_last=st.booleans())
def test_shares_are_those_of_torchs_sampler(names, length, world, epoch, seed, shuffle, drop_last):
    if drop_last and length < world:
        return  # torch's then takes a length that is negative, or raises
    for rank in range(world):
        sampler = torch.utils.data.DistributedSampler(range(length), world, rank, shuffle=shuffle, seed=seed, drop_last=drop_last)
        sampler.set_epoch(epoch)
        assert names["shard"](length, rank, world, epoch, seed, shuffle, drop_last).tolist() == list(sampler)


def test_the_known_mistakes_of_training_end_elsewhere():
    """Each hint of `mistaken` belongs to weights of its own."""
    draw = torch.Generator().manual_seed(0)
    numbers, images = torch.randn(5_000, generator=draw, dtype=torch.float64), torch.rand(47, 1, 14, 14, generator=draw, dtype=torch.float64)
    task = numbers, images, torch.arange(47) % 10, 13, 12, 0.1
    ends = [checks._flat(state.values()) for state in (*(state for _, state in checks.mistaken(*task)), checks.trained_alone(*task)[0])]
    for index, one in enumerate(ends):
        assert all((one - other).abs().max() > 1e-5 for other in ends[:index])


def test_two_threads_in_one_net_are_always_seen():
    """Whatever the threads' luck: one is held up on its way into the net, or none."""
    for late in (0.0, 0.3):
        def data_parallel(net, x, devices, move):
            def forward(number):
                time.sleep(late * number)
                return torch.func.functional_call(net, dict(net.named_parameters()), (x,))

            with ThreadPoolExecutor(len(devices)) as threads:
                return list(threads.map(forward, range(len(devices))))[0]

        asked = torch.randn(80, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64), torch.ones(2)
        assert checks.on_devices(SimpleNamespace(data_parallel=data_parallel), *asked) == {"shared": True}
