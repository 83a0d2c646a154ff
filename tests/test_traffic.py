"""What travels is counted where it leaves: against closed forms."""

import pytest
import torch
import torch.distributed as dist
from torch import nn

from course_lib.processes import launch
from course_lib.traffic import Ledger, sent_bytes


def test_a_move_is_a_copy_with_a_gradient_that_travels_back():
    ledger, x = Ledger("a"), torch.ones(3, dtype=torch.float64, requires_grad=True)
    there = ledger.move(x, "b")
    assert torch.equal(there, x) and there.data_ptr() != x.data_ptr()
    (2 * there).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]
    assert ledger.bytes == {("a", "b"): 24, ("b", "a"): 24}
    assert ledger.through("a") == ledger.through("b") == (24, 24)


def test_what_stays_where_it_is_costs_nothing():
    ledger, x = Ledger("a"), torch.ones(3, requires_grad=True)
    ledger.move(ledger.move(x, "a") + 1, "a").sum().backward()
    assert not ledger.bytes


def test_where_a_tensor_is_is_found_through_many_meeting_paths():
    ledger, x = Ledger("a"), torch.ones(3, requires_grad=True)
    there = ledger.move(x, "b")
    for _ in range(100):  # 2^100 ways back
        there = there + there.square()
    ledger.move(there, "a")
    assert ledger.bytes["b", "a"] == 12


@pytest.mark.parametrize("count", [1, 2, 3])
def test_replicas_by_hand_send_2_n_minus_1_times_the_net_through_their_home(count):
    net, ledger, devices = nn.Linear(5, 2), Ledger(0), range(count)
    outputs = [ledger.move(torch.ones(4, 5) @ ledger.move(net.weight, device).T + ledger.move(net.bias, device), 0) for device in devices]
    sum(output.sum() for output in outputs).backward()
    parameters, answers = 4 * 12, 4 * 8
    assert ledger.through(0) == ((count - 1) * (parameters + answers),) * 2  # the answers' gradients go out, the answers come


def count_two_ways(rank, world):
    other = 1 - rank
    with sent_bytes() as sent:
        sending = dist.isend(torch.ones(5), other)
        dist.recv(torch.ones(5), other)
        sending.wait()
        if rank == 0:
            dist.send(torch.ones(3, dtype=torch.float64), 1)
        else:
            dist.recv(torch.ones(3, dtype=torch.float64), 0)
    dist.barrier()
    return dict(sent), dist.isend.__name__, dist.send.__name__


def test_messages_are_counted_within_and_not_afterwards():
    (first, *names), (second, *_) = launch(count_two_ways, 2)
    assert first == {1: 20 + 24} and second == {0: 20}
    assert names == ["isend", "send"]
