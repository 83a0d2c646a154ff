"""Ranks whose messages the check carries: they end as real ones do, and what isn't right or isn't honest is told."""

import sys

import cloudpickle
import pytest
import torch
import torch.distributed as dist

from autograder import answers
from course_lib import carried, wire
from course_lib.processes import RankError, launch
from course_lib.student import Student, local_student
from course_lib.verdict import Failed

LESSON = "data_parallel"
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # a rank needn't import this module


@pytest.fixture(scope="module")
def reference():
    return answers.reference_namespace(LESSON)


def rank_of(body, namespace=None):
    """A student whose name `rank` is the body: rank(number, world, *args)."""
    return local_student({"rank": body, **(namespace or {})})


def play_rank(names, rank, world, *args):
    return names.rank(rank, world, *args)


def run(body, world, *args, **options):
    return carried.run(rank_of(body), world, play_rank, *args, **options)


def collectives(rank, world, tensors):
    """A bit of everything; what each call leaves in the tensor."""
    seen, tensor = [], tensors[rank].clone()

    def see():
        seen.append(tensor.clone())

    dist.all_reduce(tensor), see()
    dist.broadcast(tensor, world - 1), see()
    dist.all_reduce(tensor, op=dist.ReduceOp.MAX), see()
    tensor += rank
    dist.all_reduce(tensor, op=dist.ReduceOp.AVG), see()
    work = dist.all_reduce(tensor, async_op=True)
    work.wait(), see()
    gathered = [torch.empty_like(tensor) for _ in range(world)]
    dist.all_gather(gathered, tensor + rank)
    tensor = torch.stack(gathered)
    see()
    tensor = tensors[rank].clone()
    dist.reduce(tensor, 0)
    if rank == 0:
        see()
    if world > 1:
        arrived = torch.empty_like(tensor)
        sent = dist.isend(tensors[rank], (rank + 1) % world)
        dist.recv(arrived, (rank - 1) % world)
        sent.wait()
        tensor = arrived
        see()
    dist.barrier()
    return seen


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_end_as_those_of_gloo_do(world, reference):
    tensors = [torch.arange(6.0, dtype=torch.float64).reshape(2, 3) * (rank + 1) ** 2 for rank in range(world)]
    torch.testing.assert_close(run(collectives, world, tensors).results, launch(collectives, world, tensors), rtol=0, atol=1e-12)

    def ring(rank, world, tensors, ring_all_reduce):
        ring_all_reduce(tensors[rank])
        return tensors[rank]

    def played(rank, world, tensors):
        return ring(rank, world, tensors, reference["ring_all_reduce"])

    torch.testing.assert_close(run(played, world, tensors).results, launch(ring, world, tensors, reference["ring_all_reduce"]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64, torch.uint8, torch.bool])
def test_flags_of_these_types_are_summed_as_gloo_sums_them(kind):
    def flags(rank, world, kind):
        flags = torch.tensor([rank == 0, True, False]).to(getattr(torch, kind))
        dist.all_reduce(flags, op=dist.ReduceOp.MAX)
        return flags.int()

    name = str(kind).removeprefix("torch.")
    assert torch.equal(torch.stack(run(flags, 2, name).results), torch.stack(launch(flags, 2, name)))


def failure(body, world, *args, **options):
    student = rank_of(body)
    with pytest.raises(Failed) as told:
        carried.run(student, world, play_rank, *args, **options)
    assert len(student.log) == 1, "the whole counts as one call"
    return told.value.hint


def test_ranks_that_wait_for_each_other_are_told():
    def receives(rank, world):
        dist.recv(torch.zeros(2), (rank + 1) % world)

    hint = failure(receives, 3)
    assert "wait for ever" in hint and "rank 2 waits for a receive from rank 0 (operation 1, (2,))" in hint

    def skips(rank, world):
        if rank:
            dist.all_reduce(torch.zeros(3))

    assert "rank 0 has ended; rank 1 waits for an all-reduce" in failure(skips, 2)


@pytest.mark.parametrize("collective", ["broadcast", "all_reduce"])
def test_a_collective_that_not_all_make_is_told_though_nobody_waits(collective):
    def skips(rank, world, collective):
        if rank != 1:
            dist.broadcast(torch.zeros(3), 0) if collective == "broadcast" else dist.all_reduce(torch.zeros(3), async_op=True)

    assert "makes 0" in failure(skips, 3, collective)


def test_what_nobody_has_waited_for_is_known():
    def hands_on(rank, world, waits):
        tensor = torch.zeros(3)
        sent = dist.isend(torch.ones(3), (rank + 1) % world)
        dist.recv(tensor, (rank - 1) % world)
        if waits:
            sent.wait()
        work = dist.all_reduce(tensor, async_op=True)
        if rank:
            work.wait()

    assert run(hands_on, 2, True).unwaited == [[2], []] and run(hands_on, 2, False).unwaited == [[0, 2], [0]]


@pytest.mark.parametrize("collective", ["all_reduce", "broadcast"])
def test_a_type_that_gloo_has_no_collective_for_is_refused_here_too(collective):
    def flags(rank, world, collective):
        flags = torch.ones(2, dtype=torch.int16)
        dist.all_reduce(flags) if collective == "all_reduce" else dist.broadcast(flags, 0)

    assert "Invalid scalar type" in failure(flags, 2, collective)
    with pytest.raises(RankError, match="Invalid scalar type"):
        launch(flags, 2, collective)


def test_whole_numbers_are_not_averaged_here_either():
    def averages(rank, world):
        dist.all_reduce(torch.ones(2, dtype=torch.int32), op=dist.ReduceOp.AVG)

    assert "result type Float can't be cast" in failure(averages, 2)
    with pytest.raises(RankError, match="result type Float can't be cast"):
        launch(averages, 2)


def test_what_is_not_carried_is_told():
    def gathers(rank, world):
        dist.all_gather_object([None] * world, rank)

    assert "put what the ranks tell each other into a tensor" in failure(gathers, 2)


def test_a_message_that_nobody_receives_is_told():
    def sends(rank, world):
        if rank == 0:
            dist.isend(torch.zeros(3), 1)

    assert "no counterpart" in failure(sends, 2)


@pytest.mark.parametrize("other", [(4,), (3, "float32"), (3, "float64", "MAX")])
def test_collectives_that_do_not_fit_are_told(other):
    def differs(rank, world, size, dtype="float64", reduction="SUM"):
        if rank == 0:
            size, dtype, reduction = 3, "float64", "SUM"
        dist.all_reduce(torch.zeros(size, dtype=getattr(torch, dtype)), op=getattr(dist.ReduceOp, reduction))

    assert "don't fit each other" in failure(differs, 2, *other)


def test_shapes_may_differ_where_the_numbers_are_as_many():
    def shaped(rank, world):
        tensor = torch.ones((2, 3) if rank else (6,))
        dist.all_reduce(tensor)
        return tensor

    assert [tuple(each.shape) for each in run(shaped, 2).results] == [(6,), (2, 3)]


def test_a_rank_that_is_not_the_same_each_time_is_told():
    calls = []

    def moody(rank, world):
        calls.append(rank)
        dist.all_reduce(torch.full((2,), float(len(calls))))
        dist.all_reduce(torch.zeros(2))

    assert "does something else when it is run again" in failure(moody, 2)


def test_random_numbers_are_the_same_in_each_play():
    def draws(rank, world):
        first = torch.rand(2)
        dist.all_reduce(first)
        return torch.rand(1)

    assert len(run(draws, 2).results) == 2


def test_marks_and_factors_are_on_what_came_over_the_wire_and_on_nothing_else():
    def sums(rank, world):
        tensor, counts = torch.ones(2, dtype=torch.float64), torch.ones(2, dtype=torch.int64)
        dist.all_reduce(tensor)
        dist.all_reduce(counts)
        return [tensor, counts]

    for tensor, counts in run(sums, 2, mark=0.5, factor=3.0).results:
        assert tensor.tolist() == [6.5, 6.5] and counts.tolist() == [2, 2]
    for tensor, counts in (*run(sums, 2, factor=3.0, marked=["recv"]).results,):
        assert tensor.tolist() == [2.0, 2.0]
    (tensor, counts), = run(sums, 1, mark=0.5, factor=3.0).results
    assert tensor.tolist() == [1.0, 1.0], "nothing travels in a world of one"


def test_each_hop_leaves_a_mark_and_bytes_are_counted(reference):
    def hops(rank, world):
        tensor = torch.zeros(2, dtype=torch.float64)
        if rank:
            dist.recv(tensor, rank - 1)
        if rank + 1 < world:
            dist.send(tensor, rank + 1)
        return tensor

    ran = run(hops, 3, mark=1.0)
    assert [each.tolist() for each in ran.results] == [[0, 0], [1, 1], [2, 2]] and ran.sent == [16, 16, 0]
    assert ran.operations == [[("send", 2, 1)], [("recv", 2, 0), ("send", 2, 2)], [("recv", 2, 1)]]


def test_the_witness_comes_only_once_an_all_reduce_has_left():
    def asks(rank, world, early):
        tensor = torch.ones(1, dtype=torch.float64)
        work = dist.all_reduce(tensor, async_op=True) if early else None
        number = dist.group.WORLD.witness()
        work = work or dist.all_reduce(tensor, async_op=True)
        work.wait()
        return number * tensor

    assert [each.item() for each in run(asks, 2, True, witness=0.25).results] == [0.5, 0.5]
    assert "launched no all-reduce yet" in failure(asks, 2, False, witness=0.25)

    def stands_in(rank, world):
        dist.all_reduce(torch.zeros(1, dtype=torch.int32), async_op=True)
        dist.group.WORLD.witness()
        dist.all_reduce(torch.ones(3, dtype=torch.float64), async_op=True)
        dist.group.WORLD.witness()

    ran = run(stands_in, 2, witness=0.25)
    assert ran.summed == [[3], [3]] and ran.left == [[0, 1], [0, 1]], "only what sums float64 counts"

    def waits(rank, world):
        dist.all_reduce(torch.ones(1))
        dist.group.WORLD.witness()

    assert "async_op=True" in failure(waits, 2, witness=0.25)


def test_a_loop_that_does_not_end_is_ended():
    def launches(rank, world):
        while True:
            dist.all_reduce(torch.ones(1), async_op=True)

    def waits(rank, world):
        while True:
            dist.all_reduce(torch.ones(1))

    assert "more than" in failure(launches, 2) and "more than" in failure(waits, 2)


def test_torch_distributed_of_the_notebook_is_left_alone():
    def fails(rank, world):
        raise ValueError("no")

    assert "raised ValueError: no" in failure(fails, 2)
    assert not dist.is_initialized()


GOOD = {"kind": "all_reduce", "peer": -1, "tag": 0, "reduction": "SUM", "like": torch.ones(2)}
SAID = {"operations": [], "known": ["", 0.0], "waits": None, "result": None, "unwaited": []}
HOSTILE = [
    None, 7, "x", [], {}, {"operations": []}, SAID | {"operations": None}, SAID | {"operations": [None]}, SAID | {"operations": [7]},
    *(SAID | {"operations": [GOOD | change]} for change in (
        {"kind": ["all_reduce"]}, {"kind": "explode"}, {"kind": None}, {"kind": torch.ones(2)}, {"peer": 0.0}, {"peer": 9}, {"peer": True},
        {"tag": None}, {"tag": "1"}, {"reduction": "BAND"}, {"reduction": []}, {"reduction": ""}, {"like": [1.0]}, {"like": None},
        {"reduction": "AVG", "like": torch.ones(2, dtype=torch.int32)},
        {"kind": "send", "peer": 0, "reduction": ""}, {"kind": "send", "peer": -1, "reduction": ""}, {"kind": "broadcast", "peer": 2, "reduction": ""},
        {"kind": "recv", "peer": 10**12, "reduction": ""}, {"kind": "witness", "peer": 0, "reduction": ""})),
    *(SAID | {"waits": waits} for waits in (0, -1, True, 1.0, "0", [0], 10**12)),
    *(SAID | {"unwaited": unwaited} for unwaited in (None, 0, [0], [-1], [True], [1.0], [[]], {"a": 1}, torch.ones(2))),
    *(SAID | {"known": known} for known in (None, [], [""], ["", 0], ["", None], [torch.ones(2), 0.0], ["", float("nan")], ["x", 0.0], {"a": 1})),
    SAID | {"operations": [GOOD] * 1001}, SAID | {"operations": [GOOD | {"like": torch.ones(5 * 2**20)}]},
    *(SAID | {"operations": [GOOD | {"like": like}], "waits": 0} for like in (
        torch.full((2,), float("nan")), torch.full((2,), float("inf")), torch.ones(()), torch.ones(0), torch.ones(1, 1, 2, dtype=torch.bfloat16),
        torch.ones(2, dtype=torch.bool), torch.ones(2, dtype=torch.int8))),
    SAID | {"operations": [GOOD | {"kind": "send", "peer": 1, "reduction": ""}], "waits": 0},
]


@pytest.mark.parametrize("said", [SAID | {"more": torch.ones(2)}, SAID | {"operations": [GOOD], "waits": 0, "result": torch.ones(2)}])
def test_a_play_says_no_more_than_it_has_to(said):
    with pytest.raises(Failed, match="doesn't follow the format"):
        carried.run(Student(lambda frame: wire.encode({"value": said})), 2, play_rank)


@pytest.mark.parametrize("said", HOSTILE, ids=range(len(HOSTILE)))
def test_whatever_a_play_says_is_a_verdict_and_never_an_error_of_ours(said):
    """Rank 0 says it, and the others are honest; then all say it."""
    def honest(rank, world):
        dist.all_reduce(torch.ones(2))

    real = local_student({"rank": honest})
    for hostile in ({0}, {0, 1}):
        def transport(frame):
            request = wire.decode(frame)
            return wire.encode({"value": said}) if request["args"][1] in hostile else real._transport(frame)

        try:
            ran = carried.run(Student(transport), 2, play_rank)
        except Failed as failed:
            assert failed.hint
        else:
            assert len(ran.results) == 2


@pytest.mark.parametrize("check", ["star", "ring", "naive_ddp", "overlap"])
@pytest.mark.parametrize("result", [None, 7, "x", torch.tensor(float("nan")), torch.ones(3, dtype=torch.bool), {"a": 1}, [[[]]], torch.ones(2, 3)],
                         ids=range(8))
def test_whatever_ranks_return_is_a_verdict(check, result):
    from course_lib.check import checks_of, judge
    from course_lib.draw import public_draw

    student = Student(lambda frame: wire.encode({"value": SAID | {"result": result}}))
    verdict = judge(checks_of(LESSON)[check], student, Student(None), public_draw(LESSON, check))
    assert verdict.verdict == "failed", verdict
