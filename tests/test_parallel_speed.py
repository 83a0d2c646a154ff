"""What is timed is what it says: each way gives the gradients of one process, and every rank's steps are in the figures."""

import copy
import sys

import cloudpickle
import pytest
import torch
from torch import nn

from autograder.answers import reference_namespace
from course_lib import parallel_speed
from course_lib.parallel_speed import BUCKETS, DP, METHODS, NAIVE, SINGLE
from course_lib.processes import launch

cloudpickle.register_pickle_by_value(sys.modules[__name__])
PIECES = {name: reference_namespace("data_parallel")[name] for name in parallel_speed.PIECES}


def made():
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    return net, torch.randn(8, 6, dtype=torch.float64), torch.randint(3, (8,))


def gradients(rank, world, pieces, net, x, y):
    """Method → the gradients after the step that is timed, and the names of its parts."""
    share = list(zip(x.tensor_split(world), y.tensor_split(world)))[rank]
    found = {}
    for name in METHODS:
        own = copy.deepcopy(net)
        step = parallel_speed._make_step(name, rank, world, pieces, own, 100, "cpu")
        if step:
            parts = parallel_speed._timed(step, *((x, y) if name in (SINGLE, DP) else share), "cpu")
            found[name] = list(parts), [parameter.grad for parameter in own.parameters()]
    return found


def test_every_way_ends_with_the_gradients_of_one_process():
    first, second = launch(gradients, 2, PIECES, *made())
    assert list(first) == list(METHODS) and SINGLE not in second and DP not in second
    for by_name in (first, second):
        for parts, found in by_name.values():
            assert parts == ["forward", "backward", "after"]
            for mine, expected in zip(found, first[SINGLE][1]):
                torch.testing.assert_close(mine, expected, rtol=0, atol=1e-12)


def test_figures_of_steps_sums_and_links():
    net, x, y = made()
    times = parallel_speed.step_seconds(PIECES, net, x, y, world=2, steps=3)
    assert set(times) == {*METHODS, "forward", "backward"} and all(len(each) == 3 and min(each) > 0 for each in times.values())
    sums = parallel_speed.all_reduce_seconds(PIECES, (4, 4096), 2, 2)
    assert list(sums) == ["star", "ring", "dist.all_reduce"] and all(list(each) == [4, 4096] and min(each.values()) > 0 for each in sums.values())
    loopback, copying = parallel_speed.links_here(repeats=2)
    assert min(loopback.bandwidth, loopback.latency, copying.bandwidth, copying.latency) > 0
    predicted = parallel_speed.predicted(net, {"forward": 1.0, "backward": 2.0}, 2, loopback, copying, [[3, 2], [1, 0]])
    assert predicted[SINGLE] == 3.0 and predicted[BUCKETS] >= 1.5 and predicted[NAIVE] >= 1.5 and predicted[DP] >= 2.5
    words = parallel_speed.table({"here": parallel_speed.medians(times), "predicted": predicted}).splitlines()
    assert words[2].split()[:2] == ["predicted", "3000.00"] and len(words[1].split()) == 6 and len(words[2].split()) == 5 and words[0].startswith("ms")


def test_a_failure_in_a_rank_is_told():
    with pytest.raises(RuntimeError, match="rank"):
        parallel_speed.step_seconds(PIECES | {"DDP": lambda net, cap: 1 / 0}, *made(), world=2, steps=1)
