"""The checks of the lesson `data_parallel`. Ranks are played one at a time, and their messages carried: see course_lib/carried.py."""

import functools
import math

import torch
import torch.nn.functional as F

from course_lib import carried, expect
from course_lib.check import check
from course_lib.data import load_images
from course_lib.verdict import Failed


# --- the whole from its parts ---

@check(points=1)
def parts(student, reference, draw):
    """A batch in parts, and its mean from theirs."""
    for length, count in ((7, 3), (8, 4), (5, 5), (2, 4), (3, 1), (9, 4)):
        batch = draw.normal(length, 2)
        expect.agree(student, reference, "scatter", batch, count)
    for shape, sizes in (((), (3, 3)), ((2, 3), (5, 2, 1)), ((4,), (1, 1, 7)), ((2,), (6,))):
        expect.agree(student, reference, "mean_of_parts", [draw.normal(*shape) for _ in sizes], list(sizes))


class Mixed(torch.nn.Module):
    """A small net with most of what nets have: a weight that is used twice, a buffer that it computes with, an unused parameter."""

    def __init__(self, numbers):
        super().__init__()
        nn = torch.nn
        self.first, self.second, self.third, self.head = nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 4, bias=False), nn.Linear(4, 2)
        self.third.weight = self.second.weight
        self.idle = nn.Parameter(torch.zeros(3))
        self.register_buffer("scale", torch.zeros(4))
        place = 0
        with torch.no_grad():
            for tensor in (*self.double().parameters(), self.scale):
                tensor.copy_(numbers[place:place + tensor.numel()].reshape(tensor.shape))
                place += tensor.numel()

        self.busy, self.shared = [0], []  # lists, which copies of the net may share or not

    def forward(self, x):
        import time
        self.busy[0] += 1
        hidden = torch.tanh(self.first(x)) * self.scale
        time.sleep(0.005)  # now the other threads get their turn
        self.shared.append(self.busy[0] > 1)
        self.busy[0] -= 1
        return self.head(torch.tanh(self.third(torch.tanh(self.second(hidden)))))


def on_devices(names, numbers, x, factors):
    """Outputs and gradients of the learner's data_parallel. Each device leaves its mark on what arrives there: a factor."""
    net, devices, arrivals = Mixed(numbers), [f"device {number}" for number in range(len(factors))], []

    def move(tensor, device):
        arrivals.append(devices.index(device))
        return tensor * factors[devices.index(device)]

    x = x.clone().requires_grad_()
    output = names.data_parallel(net, x, devices, move)
    if any(net.shared):
        return {"shared": True}
    gradients = torch.autograd.grad((output * torch.cos(torch.arange(output.numel())).reshape(output.shape)).sum(), [x, *net.parameters()],
                                    allow_unused=True)
    return {"the outputs": output.detach(), "the gradients, at the input first": [0.0 if each is None else each for each in gradients],
            "how many tensors have arrived on each device": [arrivals.count(number) for number in range(len(devices))]}


@check(points=2, needs=["parts"])
def replicas(student, reference, draw):
    """DataParallel on any list of devices."""
    for length, count in ((4, 2), (7, 3), (5, 1), (2, 3)):
        asked = [draw.normal(80), draw.normal(length, 3), 0.5 + draw.uniform(count)]
        got, want = (side.run(on_devices, *asked, using=[Mixed]) for side in (student, reference))
        expect.true(got != {"shared": True}, "Two threads call one and the same net at once. `functional_call` puts the tensors into the net that it is "
                                             "given, and takes them out again; so each thread needs a net of its own, `copy.deepcopy(net)`.")
        expect.same(got, want, "`data_parallel`", rtol=1e-10, atol=1e-10)


# --- collectives from messages ---

def collective(names, rank, world, name, tensors, *more):
    """What a rank's tensor is after the learner's collective, and the tensor as its caller still holds it."""
    tensor = tensors[rank].clone()
    getattr(names, name)(tensor, *more)
    return tensor


def _only_messages(ran, name):
    for rank, operations in enumerate(ran.operations):
        for kind, _, _ in operations:
            expect.true(kind in ("send", "recv"), f"`{name}` is to be built from messages between two ranks; rank {rank} calls "
                                                  f"{carried.NAMES[kind].format(peer=0)} of torch's own.")


@check(points=2)
def star(student, reference, draw):
    """Broadcast and reduce, through one rank."""
    for world, root in ((1, 0), (2, 1), (3, 0), (3, 2)):
        tensors = [draw.normal(2, 3) for _ in range(world)]
        mark = draw.number(2.0, 3.0)
        ran = carried.run(student, world, collective, "star_broadcast", tensors, root, using=[])
        for rank, got in enumerate(ran.results):
            expect.close(got, tensors[root], f"With {world} ranks and root {root}, rank {rank}'s tensor after `star_broadcast`")
        _only_messages(ran, "star_broadcast")
        ran = carried.run(student, world, collective, "star_broadcast", tensors, root, mark=mark)
        _came_over_the_wire("star_broadcast", ran, [torch.full_like(each, mark * (rank != root)) + tensors[root] for rank, each in enumerate(tensors)])
        ran = carried.run(student, world, collective, "star_reduce", tensors, root)
        for rank, got in enumerate(ran.results):
            want = sum(tensors) if rank == root else tensors[rank]
            expect.close(got, want, f"With {world} ranks and root {root}, {'the root' if rank == root else f'rank {rank}'}'s tensor after `star_reduce`")
        _only_messages(ran, "star_reduce")
        ran = carried.run(student, world, collective, "star_reduce", tensors, root, mark=mark)
        _came_over_the_wire("star_reduce", ran, [sum(tensors) + (world - 1) * mark if rank == root else each for rank, each in enumerate(tensors)])


def _came_over_the_wire(name, ran, wanted):
    for rank, (got, want) in enumerate(zip(ran.results, wanted)):
        expect.close(got, want, f"Rank {rank}'s tensor after `{name}`",
                     "The result is right, but it didn't come in the messages: numbers that the check changes on their way arrive unchanged, or "
                     "more often than once. Each of the other ranks sends to the root once, or is sent to once.")


@check(points=3)
def ring(student, reference, draw):
    """All-reduce in a ring: the sum on every rank, with 2(N−1)/N of the bytes."""
    for world, shape in ((1, (4,)), (2, (6,)), (3, (9,)), (3, (2, 4)), (4, (3,)), (2, ())):
        tensors = [draw.normal(*shape) for _ in range(world)]
        size = tensors[0].numel()
        ran = carried.run(student, world, collective, "ring_all_reduce", tensors)
        for rank, got in enumerate(ran.results):
            expect.close(got, sum(tensors), f"With {world} ranks and {size} numbers, rank {rank}'s tensor")
        _only_messages(ran, "ring_all_reduce")
        for rank, operations in enumerate(ran.operations):
            to = {peer for kind, _, peer in operations if kind == "send"} - {(rank + 1) % world}
            expect.true(not to, f"With {world} ranks, rank {rank} sends to rank {', '.join(map(str, sorted(to)))} too: in a ring it sends to the next "
                                "one only, (rank + 1) mod N.")
        most = 2 * (world - 1) * math.ceil(size / world) * 8
        expect.true(max(ran.sent) <= most, f"With {world} ranks and {8 * size} bytes to be summed, a rank of yours sends {max(ran.sent)} bytes; "
                                           f"2(N − 1) chunks of an Nth each are {most} at most. Is a whole tensor sent where a chunk would do?")
        expect.true(sum(ran.sent) <= 2 * (world - 1) * size * 8, f"With {world} ranks and {8 * size} bytes to be summed, yours send {sum(ran.sent)} bytes in "
                    f"all; {2 * (world - 1) * size * 8} are enough. Is the tensor padded?")
        if world > 1 and size >= world:  # a chunk that has been sent on k times bears k marks
            mark = draw.number(2.0, 3.0)
            ran = carried.run(student, world, collective, "ring_all_reduce", tensors, mark=mark)
            for rank, got in enumerate(ran.results):
                hops = (expect.tensor(got, "A rank's tensor", shape) - sum(tensors)) / mark
                _hops(hops.flatten().tolist(), rank, world)


def _hops(hops, rank, world):
    """Chunks arrive after N − 1 … 2N − 2 steps, each number of steps once."""
    rounded = [round(each) for each in hops]
    exact = all(abs(one - other) < 1e-6 for one, other in zip(hops, rounded))
    expect.true(exact and set(rounded) == set(range(world - 1, 2 * world - 1)),
                f"Rank {rank} of {world} has the right sum, but not by a ring: there, each chunk takes N − 1 steps to be summed, and then up to N − 1 more "
                "to reach everybody; numbers that the check changes at each step don't show that.")


# --- distributed data parallel ---

class Odd(torch.nn.Module):
    """A net with what makes data parallelism hard: a weight that is used twice, a frozen parameter, one that only some examples use,
    one that nobody uses, a buffer that moves with the data, and one of whole numbers."""

    def __init__(self, numbers):
        super().__init__()
        nn = torch.nn
        self.frozen = nn.Parameter(torch.zeros(4), requires_grad=False)
        self.first, self.idle, self.second, self.third = nn.Linear(3, 4), nn.Linear(1, 3), nn.Linear(4, 4), nn.Linear(4, 4)
        self.head, self.rare = nn.Linear(4, 2), nn.Linear(1, 2, bias=False)
        self.third.weight = self.second.weight
        self.register_buffer("middle", torch.zeros(3))
        place = 0
        with torch.no_grad():
            for tensor in (*self.double().parameters(), self.middle):
                tensor.copy_(numbers[place:place + tensor.numel()].reshape(tensor.shape))
                place += tensor.numel()
        self.register_buffer("seen", (10 * numbers[:1]).long())

    def forward(self, x, counted=None):
        """counted: the examples that move the buffers, where they aren't all."""
        hidden = torch.tanh(self.first(x - self.middle)) * self.frozen
        counted = x if counted is None else counted
        if self.training:
            self.middle = 0.9 * self.middle + 0.1 * counted.detach().mean(0)
            self.seen = self.seen + len(counted)
        outputs, special = self.head(torch.tanh(self.third(torch.tanh(self.second(hidden))))), x[:, :1] > 5
        return outputs + self.rare(special.double()) if special.any() else outputs


def weights(net):
    """All parameters, each in a row."""
    return [parameter.detach().flatten() for parameter in net.parameters()]


def buffers(net):
    return [buffer.flatten() for buffer in net.buffers()]


def gradients(net):
    """Each parameter's gradient, and None where there is none."""
    return [None if parameter.grad is None else parameter.grad.flatten() for parameter in net.parameters()]


def loss_of(outputs, targets):
    return ((outputs - targets) ** 2).mean()


def optimizer_for(net):
    """One that moves whatever has a gradient, also if that is 0."""
    return torch.optim.SGD([parameter for parameter in net.parameters() if parameter.requires_grad], 0.1, momentum=0.9, weight_decay=0.05)


def part_of(batch, rank, world):
    share = len(batch) // world
    return batch[rank * share:(rank + 1) * share]


ODD = [Odd, weights, buffers, gradients, loss_of, optimizer_for, part_of]


def started(names, rank, world, numbers):
    """Parameters and buffers of a rank after the learner's broadcast_module."""
    net = Odd(numbers[rank])
    names.broadcast_module(net)
    return [*weights(net), *buffers(net)]


def averaged(names, rank, world, numbers, x, y):
    """Gradients of a rank after the learner's average_gradients."""
    net = Odd(numbers)
    loss_of(net(part_of(x, rank, world)), part_of(y, rank, world)).backward()
    names.average_gradients(net)
    return gradients(net)


def naively(names, rank, world, numbers, xs, ys):
    """Parameters of a rank after steps with the learner's two functions."""
    net = Odd(numbers[rank])
    names.broadcast_module(net)
    optimizer = optimizer_for(net)
    for x, y in zip(xs, ys):
        optimizer.zero_grad()
        loss_of(net(part_of(x, rank, world), part_of(x, 0, world)), part_of(y, rank, world)).backward()
        names.average_gradients(net)
        optimizer.step()
    return weights(net)


def overlapping(names, rank, world, numbers, xs, ys, cap, accumulate):
    """Parameters of a rank after steps with the learner's DDP, each of `accumulate` batches."""
    import contextlib
    net = Odd(numbers[rank])
    ddp = names.DDP(net, cap)
    optimizer = optimizer_for(net)
    for step in range(0, len(xs), accumulate):
        optimizer.zero_grad()
        for number in range(step, step + accumulate):
            with ddp.no_sync() if number + 1 < step + accumulate else contextlib.nullcontext():
                (loss_of(ddp(part_of(xs[number], rank, world)), part_of(ys[number], rank, world)) / accumulate).backward()
        ddp.finish()
        optimizer.step()
    return weights(net)


def with_ddp(names, rank, world, numbers, x, y, cap, waits):
    """Gradients of a rank after one backward pass of the learner's DDP; one that waits asks for the witness on its way."""
    def ask(module, inputs, output):
        output.register_hook(lambda gradient: gradient * group.witness())

    group, net = torch.distributed.group.WORLD, Odd(numbers)
    ddp = names.DDP(net, cap)
    if waits:
        net.second.register_forward_hook(ask)
    loss_of(ddp(part_of(x, rank, world)), part_of(y, rank, world)).backward()
    ddp.finish()
    return gradients(net)


def single(numbers, xs, ys, world, accumulate=1):
    """Parameters after the same steps in one process on whole batches, by the check itself. The first rank's part moves the buffers."""
    net = Odd(numbers)
    optimizer = optimizer_for(net)
    for step in range(0, len(xs), accumulate):
        optimizer.zero_grad()
        for x, y in zip(xs[step:step + accumulate], ys[step:step + accumulate]):
            (loss_of(net(x, part_of(x, 0, world)), y) / accumulate).backward()
        optimizer.step()
    return weights(net)


def mean_gradients(numbers, x, y, witness=1.0):
    """Gradients of the whole batch; those from the second layer on back are multiplied by the witness."""
    net = Odd(numbers)
    net.second.register_forward_hook(lambda module, inputs, output: (output.register_hook(lambda gradient: gradient * witness), None)[1])
    loss_of(net(x), y).backward()
    return gradients(net)


def batches(draw, steps, count, world):
    """Whole batches of `count` examples, special ones in one rank's part each time, a different one's; in the last step in nobody's."""
    xs, ys = draw.normal(steps, count, 3), draw.normal(steps, count, 2)
    for step in range(steps - 1):
        part_of(xs[step], (world - 1 + step) % world, world)[0, 0] = 9.0
    return xs, ys


def _equal_ranks(ran, want, what, world):
    for rank, got in enumerate(ran.results):
        expect.same(got, want, f"With {world} rank{'s' * (world > 1)}, rank {rank}'s {what}", rtol=1e-10, atol=1e-10)


def _bear_the_mark(ran, means, mark):
    """Each gradient has come in an all-reduce: it bears the mark, which is divided by the number of ranks if the sum is."""
    world = len(ran.results)
    for rank, found in enumerate(ran.results):
        expect.same([each is None for each in found], [each is None for each in means], f"Whether rank {rank} has gradients")
        for got, want in zip(found, means):
            if want is not None:
                more = expect.tensor(got, "A gradient", tuple(want.shape)) - want
                expect.true(any(torch.allclose(more, torch.full_like(more, each), atol=1e-8) for each in (mark, mark / world)),
                            f"Rank {rank}'s gradients are the right means, but they haven't come in an all-reduce, each once: numbers that the check "
                            "changes on their way don't arrive so.")


@check(points=2)
def naive_ddp(student, reference, draw):
    """One start for all ranks, and the mean of their gradients."""
    numbers = draw.normal(3, 80)
    for world, mark in ((2, 0.0), (3, draw.number(2.0, 3.0))):
        ran = carried.run(student, world, started, numbers, using=ODD, mark=mark)
        first = Odd(numbers[0])
        for rank, got in enumerate(ran.results):
            want = [*weights(first), *buffers(first)]
            if rank:
                want = [each + mark if each.is_floating_point() else each for each in want]
            expect.same(got, want, f"Rank {rank}'s parameters and buffers after `broadcast_module`" + ", changed on their way by the check," * bool(mark),
                        rtol=1e-10, atol=1e-10)
    for world, mark in ((1, 0.0), (3, 0.0), (2, draw.number(2.0, 3.0))):
        (x, *_), (y, *_) = batches(draw, 2, 12, world)
        ran = carried.run(student, world, averaged, numbers[0], x, y, using=ODD, mark=mark, marked=["all_reduce"])
        means = mean_gradients(numbers[0], x, y)
        _bear_the_mark(ran, means, mark) if mark else _equal_ranks(ran, means, "gradients after `average_gradients`", world)
    xs, ys = batches(draw, 3, 12, 2)
    ran = carried.run(student, 2, naively, numbers, xs, ys, using=ODD)
    _equal_ranks(ran, single(numbers[0], xs, ys, 2), "parameters after three steps", 2)


@check(points=1)
def buckets(student, reference, draw):
    """Which gradients travel together."""
    for sizes, cap in (([4, 4, 4, 4], 8), ([10, 3, 7, 2, 9, 1], 10), ([5], 100), ([100, 1, 1], 10), ([], 10), ([3, 3, 3], 1), ([8, 8, 0, 8], 16),
                       (draw.integers(1, 60, 12).tolist(), 90)):
        expect.agree(student, reference, "assign_buckets", sizes, cap)


CAP = 100  # bytes
BUCKETS = [2 + 2 + 8 + 4, 4 + 16, 3 + 3 + 4 + 12]  # the numbers in each bucket of Odd's parameters, from rare to first


@check(points=3, needs=["naive_ddp", "buckets"])
def overlap(student, reference, draw):
    """DDP: buckets, hooks that send during the backward pass, accumulation."""
    numbers = draw.normal(3, 80)
    for world, cap, steps in ((2, 10**6, 2), (2, CAP, 3), (3, CAP, 5), (1, CAP, 2)):
        xs, ys = batches(draw, steps, 12, world)
        ran = carried.run(student, world, overlapping, numbers, xs, ys, cap, 1, using=ODD)
        _equal_ranks(ran, single(numbers[0], xs, ys, world), f"parameters after {steps} steps, with buckets of {cap} bytes", world)
    xs, ys = batches(draw, 4, 12, 2)
    ran = carried.run(student, 2, overlapping, numbers, xs, ys, CAP, 2, using=ODD)
    _equal_ranks(ran, single(numbers[0], xs, ys, 2, accumulate=2), "parameters after two steps of two batches, the first of each under `no_sync`", 2)
    for rank, operations in enumerate(ran.operations):
        sent = [count for kind, count, _ in operations if kind == "all_reduce" and count >= min(BUCKETS)]
        expect.true(sent == 2 * BUCKETS, f"In two steps of two batches rank {rank} sums up {sent} numbers by all-reduce. With `assign_buckets` and {CAP} bytes "
                                         f"a bucket it should be {2 * BUCKETS}, each bucket once in a step, and nothing under `no_sync`.")
    x, y = draw.normal(12, 3), draw.normal(12, 2)
    x[::3, 0] = 9.0
    witness, mark = draw.number(0.5, 2.0), draw.number(2.0, 3.0)
    ran = carried.run(student, 2, with_ddp, numbers[0], x, y, CAP, True, using=ODD, witness=witness)
    _equal_ranks(ran, mean_gradients(numbers[0], x, y, witness), "gradients after a backward pass that goes on only when the first bucket has left", 2)
    ran = carried.run(student, 2, with_ddp, numbers[0], x, y, CAP, False, using=ODD, mark=mark, marked=["all_reduce"])
    _bear_the_mark(ran, mean_gradients(numbers[0], x, y), mark)


# --- data ---

@check(points=2)
def sampler(student, reference, draw):
    """Each rank's share of the examples."""
    for length, world in ((12, 3), (10, 4), (3, 5), (0, 2), (7, 1)):
        for drop_last in (False, True):
            for rank in range(world):
                expect.agree(student, reference, "shard", length, rank, world, 3, 5, False, drop_last)
    length, world, seed = 23, 3, draw.integers(0, 1000, 1).item()
    for drop_last in (False, True):
        epochs = [[expect.tensor(student.shard(length, rank, world, epoch, seed, True, drop_last), f"Rank {rank}'s share", (7 if drop_last else 8,)).long()
                   for rank in range(world)] for epoch in (0, 1)]
        for shares in epochs:
            order = torch.stack(shares, dim=1).flatten()
            expect.true(bool(((order >= 0) & (order < length)).all()), "A shuffled share has positions outside 0 … length − 1.")
            fresh = len(order.unique())
            expect.true(fresh == min(length, len(order)), f"Shuffled, the ranks together see {fresh} of {length} examples in an epoch, some of them more than "
                        "once. All ranks must make the same permutation, and take every world-th of it, each from its own rank on.")
            expect.true(drop_last or bool((order[length:] == order[:len(order) - length]).all()),
                        "What fills the order up should be its own beginning, in this epoch's order.")
        one, other = (torch.stack(shares, dim=1).flatten() for shares in epochs)
        expect.true(not torch.equal(one, other), "Epochs 0 and 1 have the same order. The generator's seed should be `seed + epoch`.")
        expect.true(not torch.equal(one, one.sort().values), "With `shuffle` the order is still 0, 1, 2, …")
        again = expect.tensor(student.shard(length, 1, world, 1, seed, True, drop_last), "Rank 1's share").long()
        expect.true(torch.equal(again, epochs[1][1]), "Asked again for the same epoch, `shard` gives another order. It needs a generator of its own with "
                                                      "`seed + epoch` as its seed, or the ranks don't agree on one.")
        later = expect.tensor(student.shard(length, 1, world, 0, seed + 1, True, drop_last), "Rank 1's share").long()
        expect.true(torch.equal(later, epochs[1][1]), "Epoch 1 with the seed s should have the order of epoch 0 with the seed s + 1: seed the generator with "
                                                      "`seed + epoch`.")


# --- trained for real ---

def small_net(numbers):
    """A convolutional net (n, 1, 14, 14) → (n, 10) in float64 with the check's weights."""
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)).double()
    place = 0
    with torch.no_grad():
        for parameter in net.parameters():
            taken = numbers[place:place + parameter.numel()].reshape(parameter.shape)
            parameter.copy_(taken * (2 / taken[0].numel()) ** 0.5)
            place += parameter.numel()
    return net


def trained_on_ranks(names, world, numbers, images, labels, steps, batch, rate):
    """The weights on each of `world` ranks, which are processes, after the learner's training."""
    from course_lib.processes import launch

    def rank_of_ours(rank, world, train, net, *more):
        if rank:  # as if started apart: only rank 0 begins with the weights that are asked for
            with torch.no_grad():
                for parameter in net.parameters():
                    parameter.mul_(0.5).add_(0.1 * rank)
        return [value.cpu() for value in train(rank, world, net, *more).values()]

    return launch(rank_of_ours, world, names.train_rank, small_net(numbers), images, labels, steps, batch, rate, timeout=240.0)


def trained_alone(numbers, images, labels, steps, batch, rate):
    """The same in this process, on whole batches."""
    net = small_net(numbers)
    optimizer, step, epoch = torch.optim.SGD(net.parameters(), rate, momentum=0.9), 0, 0
    while step < steps:
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch))
        for chosen in order[:len(order) // batch * batch].split(batch)[:steps - step]:
            optimizer.zero_grad()
            F.cross_entropy(net(images[chosen]), labels[chosen]).backward()
            optimizer.step()
            step += 1
        epoch += 1
    return list(net.state_dict().values())


@functools.lru_cache
def training_images(limit):
    """(images (limit, 1, 14, 14) in float64, labels)."""
    data = load_images("fashion_mnist", "train", size=14, limit=limit, fallback="digits")
    return data.images.double(), data.labels


APART = "The ranks end with different weights. Do all begin with rank 0's, and step with the same gradients, at every step?"
OTHER = ("The ranks agree with each other, but not with one process that takes the whole batch at each step. Are gradients averaged, and not summed, "
         "does each step take the next batch // world of this epoch's share, and is the epoch handed to `shard`?")
TRAINING = {"difference": expect.at_most(smoke=1e-6), "apart": expect.at_most(smoke=1e-6)}


@check(points=2, needs=["overlap", "sampler"], bounds=TRAINING)
def training(student, reference, draw):
    """A net trained on two processes: the same as on one."""
    count, steps, batch, rate = draw.scale.pick(smoke=(210, 24, 48, 0.1), cpu=(2_000, 100, 64, 0.1))
    images, labels = training_images(count)
    numbers = draw.normal(sum(parameter.numel() for parameter in small_net(torch.zeros(10_000)).parameters()))
    if draw.secret:
        labels, chosen = draw.permutation(10)[labels], draw.permutation(count)
        images, labels = images[chosen], labels[chosen]
    got = student.train(trained_on_ranks, 2, numbers, images, labels, steps, batch, rate, using=[small_net])
    want = trained_alone(numbers, images, labels, steps, batch, rate)
    if not isinstance(got, list) or len(got) != 2 or not all(isinstance(each, list) and len(each) == len(want) for each in got):
        raise Failed("`train_rank` should give back the state_dict of the net that it was given.")
    ranks = [torch.cat([expect.tensor(one, "A weight of the trained net", tuple(other.shape)).double().flatten() for one, other in zip(each, want)])
             for each in got]
    want = torch.cat([each.flatten() for each in want])
    moved = (want - torch.cat([each.flatten() for each in small_net(numbers).state_dict().values()])).abs().max()
    figures = {"difference": ((ranks[0] - want).abs().max() / moved).item(), "apart": ((ranks[0] - ranks[1]).abs().max() / moved).item()}
    expect.measured(**figures)
    expect.within("apart", figures["apart"], TRAINING["apart"], draw.scale, APART)
    expect.within("difference", figures["difference"], TRAINING["difference"], draw.scale, OTHER)
