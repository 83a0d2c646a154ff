"""What a timeline records of a rank, against what is known to have happened there, and what its drawing shows."""

import sys
import time

import cloudpickle
import pytest
import torch
import torch.distributed as dist
from torch import nn

from autograder.answers import reference_namespace
from course_lib import timeline
from course_lib.processes import launch

cloudpickle.register_pickle_by_value(sys.modules[__name__])
LESSON = {name: reference_namespace("data_parallel")[name] for name in ("DDP", "average_gradients")}
SIZE = 64


class Slow(torch.autograd.Function):
    """Nothing, but its backward pass takes 200 ms."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        time.sleep(0.2)
        return gradient


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(SIZE, SIZE, bias=False), nn.Linear(SIZE, SIZE, bias=False)

    def forward(self, x):
        time.sleep(0.02)
        return self.last(Slow.apply(self.first(x)))


def one_step(rank, world, pieces, bucketed):
    net = Net()
    ddp = pieces["DDP"](net, cap=1) if bucketed else net
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    untouched = dist.all_reduce, dist.broadcast, torch.Tensor.backward
    dist.barrier()
    began = time.monotonic()
    with timeline.record(net) as spans:
        ddp(torch.ones(2, SIZE)).sum().backward()
        ddp.finish() if bucketed else pieces["average_gradients"](net)
        optimizer.step()
    assert began <= spans[0][2] and spans[-1][3] <= time.monotonic()
    assert untouched == (dist.all_reduce, dist.broadcast, torch.Tensor.backward)
    count = len(spans)
    net(torch.ones(2, SIZE)).sum().backward()
    assert len(spans) == count  # nothing is noted any longer
    return spans


@pytest.fixture(scope="module")
def runs():
    return {"after": launch(one_step, 2, LESSON, False), "buckets": launch(one_step, 2, LESSON, True)}


def of(spans, *kinds):
    return [span for span in spans if span[0] in kinds]


def test_what_happened_is_there_with_its_length(runs):
    for by_rank in runs.values():
        for spans in by_rank:
            (forward,), (backward,), (step,) = (of(spans, kind) for kind in ("forward", "backward", "step"))
            assert forward[1] == "Net" and step[1] == "SGD"
            assert 0.02 <= forward[3] - forward[2] and 0.2 <= backward[3] - backward[2]
            assert forward[3] <= backward[2] <= backward[3] <= step[2]
            assert [span[1] for span in of(spans, "gradient")] == ["last.weight", "first.weight"]
            assert sorted(span[1] for span in of(spans, "all_reduce")) == [8, SIZE * SIZE * 4, SIZE * SIZE * 4]
            assert spans == sorted(spans, key=lambda span: span[2]) and all(begin <= end for *_, begin, end in spans)


def test_without_hooks_nothing_is_sent_before_the_backward_pass_is_over(runs):
    for spans in runs["after"]:
        (backward,), sent = of(spans, "backward"), of(spans, "all_reduce")
        assert min(span[2] for span in sent) >= backward[3] and timeline.hidden(spans) == 0


def test_with_hooks_the_last_layers_bucket_is_sent_during_the_backward_pass(runs):
    """It has 200 ms for what takes less than one, on a machine that may have other things to do."""
    for spans in runs["buckets"]:
        (backward,), (first, *_) = of(spans, "backward"), of(spans, "all_reduce")
        assert backward[2] < first[2] < backward[3] and timeline.hidden(spans) > 0


def test_a_step_that_fails_leaves_nothing_wrapped():
    original = dist.all_reduce
    with pytest.raises(ZeroDivisionError), timeline.record(nn.Linear(1, 1)):
        1 / 0
    assert dist.all_reduce is original


def test_the_share_that_is_hidden():
    """2 of 4 seconds; what overlaps counts once."""
    spans = [("backward", "", 1.0, 3.0), ("all_reduce", 4, 2.0, 4.0), ("broadcast", 4, 3.0, 5.0), ("all_reduce", 4, 0.0, 1.0)]
    assert timeline.hidden(spans) == pytest.approx(1 / 4)
    assert timeline.hidden([("backward", "", 1.0, 3.0)]) == 0


def test_the_quickest_of_several_recordings_is_the_same_one_on_all_ranks():
    spans = lambda begin, end: [("backward", "", begin, end - 1), ("all_reduce", 8, end - 1, end)]
    runs = [[spans(0, 9), spans(20, 26), spans(40, 43)], [spans(1, 5), spans(21, 27), spans(41, 49)]]
    assert timeline.quickest(runs) == (spans(20, 26), spans(21, 27))


def test_the_drawing_has_a_lane_of_each_kind_for_each_rank_and_the_buckets_bytes(runs):
    figure = timeline.draw(runs)
    for axes, (title, by_rank) in zip(figure.axes, runs.items()):
        assert axes.get_title(loc="left") == title
        assert [label.get_text() for label in axes.get_yticklabels()] == [f"rank {r}: {lane}" for r in range(2) for lane in timeline.LANES]
        assert len(axes.patches) == sum(span[0] != "gradient" for spans in by_rank for span in spans)
        assert min(bar.get_x() for bar in axes.patches) == pytest.approx(0)
        assert len(axes.lines) == 4  # gradients
    one = [[("backward", "", 10.0, 11.0), ("all_reduce", 25_000_000, 10.2, 11.0), ("all_reduce", 4096, 10.4, 10.9)]]
    axes, = timeline.draw(one).axes
    assert [text.get_text() for text in axes.texts] == ["25 MB", "4.1 kB"]
    assert axes.patches[1].get_y() + axes.patches[1].get_height() <= axes.patches[2].get_y() + 1e-9  # one below the other
    assert timeline.describe(one) == ("rank 0: backward 1000.0 ms; 2 collectives of 25 MB in all\n"
                                      "        are under way for 800.0 ms, 100 % of it during the backward pass")
    timeline.draw([[], []])  # ranks that did nothing
