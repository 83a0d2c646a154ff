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
    for length, count in ((8, 3), (8, 4), (5, 5), (2, 4), (3, 1), (9, 4)):
        batch = draw.normal(length, 2)
        expect.agree(student, reference, "scatter", batch, count)
    for shape, sizes in (((), (3, 3)), ((2, 3), (5, 2, 1)), ((4,), (1, 1, 7)), ((2,), (6,))):
        expect.agree(student, reference, "mean_of_parts", [draw.normal(*shape) for _ in sizes], list(sizes))


class Meeting:
    """Where the threads that call a net, or copies of it, meet, so that it isn't left to chance whether two are in one net at once: each
    waits in its forward pass until all parts have got that far. shared: whether two have been in one net. What calls from the probe's own
    thread comes one after the other, and needn't wait."""

    def __init__(self, parts):
        import threading
        self.parts, self.home, self.inside, self.came, self.shared, self.patience = parts, threading.get_ident(), [], 0, False, 5.0

    def __deepcopy__(self, memo):
        return self

    def enter(self, net):
        import threading
        import time
        if threading.get_ident() == self.home:
            return
        self.shared |= net in self.inside
        self.inside.append(net)
        self.came += 1
        until = time.monotonic() + self.patience
        while self.came < self.parts and time.monotonic() < until:
            time.sleep(0.001)
        if self.came < self.parts:  # one thread for all, or a lock
            self.patience = 0.0

    def leave(self, net):
        if net in self.inside:
            self.inside.remove(net)


class Mixed(torch.nn.Module):
    """A small net with most of what nets have: a weight that is used twice, a buffer that it computes with, an unused parameter, and
    something that it does in train mode only."""

    def __init__(self, numbers, meeting=None):
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

        self.meeting = meeting

    def forward(self, x):
        hidden = torch.tanh(self.first(x)) * self.scale * (2 if self.training else 1)
        if self.meeting:
            self.meeting.enter(id(self.first))  # a copy that shares its layers with the net is no copy
        output = self.head(torch.tanh(self.third(torch.tanh(self.second(hidden)))))
        if self.meeting:
            self.meeting.leave(id(self.first))
        return output


def on_devices(names, numbers, x, factors):
    """Outputs and gradients of the learner's data_parallel. Each device leaves its mark on what arrives there: a factor."""
    meeting, devices = Meeting(min(len(x), len(factors))), [f"device {number}" for number in range(len(factors))]
    net = Mixed(numbers, meeting)
    arrivals = [{} for _ in devices]  # by what it is: a weight that is used twice may be moved twice

    def move(tensor, device):
        arrivals[devices.index(device)][id(tensor)] = tensor
        return tensor * factors[devices.index(device)]

    x = x.clone().requires_grad_()
    try:
        output = names.data_parallel(net, x, devices, move)
    except ValueError as error:
        if "which are tied" not in str(error):
            raise
        return {"tied": True}  # what torch says of it isn't the point
    if meeting.shared:
        return {"shared": True}
    inputs, gradients = [x, *net.parameters()], [None] * 100
    if output.requires_grad:
        weighted = (output * torch.cos(torch.arange(output.numel())).reshape(output.shape)).sum()
        gradients = torch.autograd.grad(weighted, inputs, allow_unused=True)
    return {"the outputs": output.detach(),
            "the gradients, at the input first": [torch.zeros_like(each) if got is None else got for each, got in zip(inputs, gradients)],
            "how many tensors, and numbers, have arrived on each device": [[len(each), sum(map(torch.numel, each.values()))] for each in arrivals]}


@check(points=2, needs=["parts"])
def replicas(student, reference, draw):
    """DataParallel on any list of devices."""
    for length, count in ((4, 2), (7, 3), (5, 1), (2, 3)):
        asked = [draw.normal(80), draw.normal(length, 3), 0.5 + draw.uniform(count)]
        got, want = (side.run(on_devices, *asked, using=[Meeting, Mixed]) for side in (student, reference))
        expect.true(not (isinstance(got, dict) and "shared" in got), "Two threads call one and the same net at once. `functional_call` puts the tensors into "
                    "the net that it is given, and takes them out again; so each thread needs a net of its own, `copy.deepcopy(net)`.")
        expect.true(not (isinstance(got, dict) and "tied" in got), "A weight that the net uses twice comes in under both of its names, as two tensors. That is "
                    "how `net.state_dict()` has it; and its tensors are detached, so that no gradient would find its way back. Move "
                    "`net.named_parameters()` and `net.named_buffers()`, which have each once.")
        expect.same(got, want, "`data_parallel`", rtol=1e-10, atol=1e-10)


# --- collectives from messages ---

def collective(names, rank, world, name, tensors, *more):
    """What a rank's tensor, as its caller holds it, is after the learner's collective."""
    tensor = tensors[rank].clone()
    getattr(names, name)(tensor, *more)
    return tensor


def _remark(student, ran):
    """From here on it is the ranks' operations that count as well: wrong ones may have right results."""
    student.remark({"results": ran.results, "operations": [[list(each) for each in operations] for operations in ran.operations],
                    "unwaited": ran.unwaited})


def _only_messages(ran, name):
    for rank, operations in enumerate(ran.operations):
        for kind, _, _ in operations:
            expect.true(kind in ("send", "recv"), f"`{name}` is to be built from messages between two ranks; rank {rank} calls "
                                                  f"{carried.NAMES[kind].format(peer=0)} of torch's own.")


def _all_waited_for(student, ran, name):
    """What arrives too late makes wrong results too, so this is asked before they are looked at."""
    if any(ran.unwaited):
        _remark(student, ran)
        _only_messages(ran, name)
    for rank, (operations, unwaited) in enumerate(zip(ran.operations, ran.unwaited)):
        kinds = {operations[index][0] for index in unwaited}
        calls = " and ".join(f"`dist.{call}`" for kind, call in (("send", "isend"), ("recv", "irecv")) if kind in kinds)
        expect.true(not unwaited, f"`{name}` returns, and on rank {rank} nobody has waited for what {calls} began. A send whose handle is dropped may never "
                                  "arrive, and the caller may change the tensor while it is on its way: `wait()` for each before you return.")


@check(points=2)
def star(student, reference, draw):
    """Broadcast and reduce, through one rank."""
    for name in ("star_broadcast", "star_reduce"):
        for world, root in ((1, 0), (3, 1), (2, 1)):
            tensors = [draw.normal(2, 3) for _ in range(world)]
            ran = carried.run(student, world, collective, name, tensors, root)
            _all_waited_for(student, ran, name)
            for rank, got in enumerate(ran.results):
                want = tensors[root] if name == "star_broadcast" else sum(tensors) if rank == root else tensors[rank]
                expect.close(got, want, f"With {world} ranks and root {root}, {'the root' if rank == root else f'rank {rank}'}'s tensor after `{name}`")
            _remark(student, ran)
            _only_messages(ran, name)
            for rank, operations in enumerate(ran.operations):
                for kind, _, peer in operations:
                    sender, receiver = (rank, peer) if kind == "send" else (peer, rank)
                    expect.true(root == (sender if name == "star_broadcast" else receiver), f"With root {root}, rank {sender} sends to rank {receiver} in `{name}`. "
                                + ("Only the root sends, to each of the others." if name == "star_broadcast" else "Each of the others sends to the root itself."))
        mark, tensors = draw.number(2.0, 3.0), [draw.normal(2, 3) for _ in range(3)]
        ran = carried.run(student, 3, collective, name, tensors, 2, mark=mark)
        for rank, got in enumerate(ran.results):
            want = tensors[2] + mark * (rank != 2) if name == "star_broadcast" else sum(tensors) + 2 * mark if rank == 2 else tensors[rank]
            expect.close(got, want, f"Rank {rank}'s tensor after `{name}`",
                         "The result is right, but it didn't come in the messages: numbers that the check changes on their way arrive unchanged, or "
                         "more often than once. Each of the other ranks sends to the root once, or is sent to once.")
        expect.true(sum(ran.sent) == 2 * 6 * 8, f"With 3 ranks and 48 bytes, those of yours send {sum(ran.sent)} bytes in `{name}`. Each of the other ranks "
                                                "sends its tensor to the root once, or is sent it once: 96 bytes.")


@check(points=3)
def ring(student, reference, draw):
    """All-reduce in a ring: the sum on every rank, with 2(N−1)/N of the bytes."""
    for world, shape in ((1, (4,)), (3, (2, 4)), (2, (6,)), (4, (3,)), (2, ())):
        tensors = [draw.normal(*shape) for _ in range(world)]
        size = tensors[0].numel()
        ran = carried.run(student, world, collective, "ring_all_reduce", tensors)
        _all_waited_for(student, ran, "ring_all_reduce")
        _remark(student, ran)
        for rank, got in enumerate(ran.results):
            expect.close(got, sum(tensors), f"With {world} ranks and {size} numbers, rank {rank}'s tensor")
        _only_messages(ran, "ring_all_reduce")
        for rank, operations in enumerate(ran.operations):
            to = {peer for kind, _, peer in operations if kind == "send"} - {(rank + 1) % world}
            expect.true(not to, f"With {world} ranks, rank {rank} sends to rank {', '.join(map(str, sorted(to)))}: in a ring it sends to the next one "
                                "only, (rank + 1) mod N.")
        most = 2 * (world - 1) * math.ceil(size / world) * 8
        expect.true(max(ran.sent) <= most, f"With {world} ranks and {8 * size} bytes to be summed, a rank of yours sends {max(ran.sent)} bytes; "
                                           f"2(N − 1) chunks of an Nth each are {most} at most. Is a whole tensor sent where a chunk would do?")
        enough = 2 * (world - 1) * size * 8
        expect.true(sum(ran.sent) == enough, f"With {world} ranks and {8 * size} bytes to be summed, yours send {sum(ran.sent)} bytes in all; in a ring "
                                             f"{enough} are needed, and enough: each chunk takes 2(N − 1) steps. Is the tensor padded?")
        if world == 3:  # a chunk that has been sent on k times bears k marks
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
    """A net with what makes data parallelism hard: a weight that is used twice, a frozen parameter, two that only some examples use, of
    which one has a gradient of exactly 0, one that nobody uses, a buffer that moves with the data, and one of whole numbers."""

    def __init__(self, numbers):
        super().__init__()
        nn = torch.nn
        self.frozen, self.dead = nn.Parameter(torch.zeros(4), requires_grad=False), nn.Parameter(torch.zeros(2))
        # Not in the order of the forward pass: a bucket in the middle is the last to be complete.
        self.idle, self.second, self.third, self.first = nn.Linear(1, 3), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(3, 4)
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
        return outputs + self.rare(special.double()) + torch.relu(self.dead - 1000) if special.any() else outputs


def weights(net):
    """All parameters by name, each in a row."""
    return {name: parameter.detach().flatten() for name, parameter in net.named_parameters()}


def buffers(net):
    return {name: buffer.flatten() for name, buffer in net.named_buffers()}


def gradients(net):
    """Each parameter's gradient by name, and None where there is none."""
    return {name: None if parameter.grad is None else parameter.grad.flatten() for name, parameter in net.named_parameters()}


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
    return weights(net) | buffers(net)


def averaged(names, rank, world, numbers, x, y):
    """Gradients of a rank after the learner's average_gradients. The frozen parameter has one from before it was frozen."""
    net = Odd(numbers)
    net.frozen.grad = net.frozen.detach().clone()
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


def with_ddp(names, rank, world, numbers, xs, ys, cap):
    """Gradients of a rank after backward passes of the learner's DDP, all but the last under no_sync. The last asks for the witness on
    its way, and once more before `finish`."""
    def ask(module, inputs, output):
        output.register_hook(lambda gradient: gradient * group.witness())

    group, net = torch.distributed.group.WORLD, Odd(numbers)
    ddp = names.DDP(net, cap)
    for x, y in zip(xs[:-1], ys[:-1]):
        with ddp.no_sync():
            loss_of(ddp(part_of(x, rank, world)), part_of(y, rank, world)).backward()
    net.second.register_forward_hook(ask)
    loss_of(ddp(part_of(xs[-1], rank, world)), part_of(ys[-1], rank, world)).backward()
    group.witness()
    ddp.finish()
    return gradients(net)


def all_reached(names, rank, world, numbers, x):
    """Gradients of a rank after a backward pass of the learner's DDP, in two buckets, that leaves no parameter without one."""
    net = plain_net(numbers)
    ddp = names.DDP(net, 20)
    ddp(part_of(x, rank, world)).square().mean().backward()
    ddp.finish()
    return gradients(net)


def plain_net(numbers):
    """An ordinary net (n, 3) → (n, 2): every parameter trains, and is used."""
    net = torch.nn.Linear(3, 2).double()
    with torch.no_grad():
        net.weight.copy_(numbers[:6].reshape(2, 3)), net.bias.copy_(numbers[6:8])
    return net


def forwards(names, rank, world, numbers, x):
    """Outputs of the learner's DDP in train and in eval mode, after each rank has changed a buffer in its own way."""
    net = Odd(numbers)
    ddp, outputs = names.DDP(net, 40), {}
    for mode in ("train", "eval"):
        getattr(ddp, mode)()
        net.middle.add_(0.5 * rank)
        outputs[f"in {mode} mode"] = ddp(x).detach()
    return outputs


def forwards_alone(numbers, x, rank):
    """What those should be, by the check itself."""
    net = Odd(numbers)
    trained = net(x).detach()  # with rank 0's buffers
    net.eval().middle.add_(0.5 * rank)
    return {"in train mode": trained, "in eval mode": net(x).detach()}


def single(numbers, xs, ys, world, accumulate, factor):
    """Parameters after the same steps in one process on whole batches, by the check itself. The first rank's part moves the buffers;
    the gradients of each step are multiplied by the factor."""
    net = Odd(numbers)
    optimizer = optimizer_for(net)
    for step in range(0, len(xs), accumulate):
        optimizer.zero_grad()
        for x, y in zip(xs[step:step + accumulate], ys[step:step + accumulate]):
            (factor * loss_of(net(x, part_of(x, 0, world)), y) / accumulate).backward()
        optimizer.step()
    return weights(net)


def mean_gradients(numbers, xs, ys, world, witness=1.0):
    """Gradients of whole batches, added up; those of the last, from the second layer on back, are multiplied by the witness. The first
    rank's part moves the buffers."""
    net = Odd(numbers)
    for x, y in zip(xs[:-1], ys[:-1]):
        loss_of(net(x, part_of(x, 0, world)), y).backward()
    net.second.register_forward_hook(lambda module, inputs, output: (output.register_hook(lambda gradient: gradient * witness), None)[1])
    loss_of(net(xs[-1]), ys[-1]).backward()
    return gradients(net)


def batches(draw, steps, count, world):
    """Whole batches of `count` examples, special ones in one rank's part each time, a different one's; in the last step in nobody's."""
    xs, ys = draw.normal(steps, count, 3), draw.normal(steps, count, 2)
    for step in range(steps - 1):
        part_of(xs[step], (world - 1 + step) % world, world)[0, 0] = 9.0
    return xs, ys


def _over_the_wire(student, draw, world, body, args, wanted, what, witness=None, using=ODD, hint=""):
    """Run the ranks with the numbers of each all-reduce multiplied by a secret factor. wanted(factor): what each rank should have then;
    hint: what to say of anything else."""
    factor = draw.number(1.5, 2.0) if world > 1 else 1.0
    ran = carried.run(student, world, body, *args, using=using, factor=factor, marked=["all_reduce"], witness=witness)
    want, unmarked = wanted(factor), wanted(1.0)
    for rank, got in enumerate(ran.results):
        if world > 1 and expect.equal_values(got, unmarked, rtol=1e-10, atol=1e-10):
            hint = (f"Rank {rank}'s {what} are right, but the gradients haven't come in an all-reduce: numbers that the check multiplies on "
                    "their way don't arrive so. Each gradient goes through `dist.all_reduce`, once.")
        for name in (name for name, each in want.items() if each is not None and isinstance(got, dict) and got.get(name, each) is None):
            if name == "frozen":
                raise Failed("A frozen parameter's gradient is taken away. What doesn't train is left as it is: leave it out altogether.")
            raise Failed(f"With {world} rank{'s' * (world > 1)}, `{name}` of rank {rank} has no gradient (`grad` is None) among its {what}. It should have one: some "
                         "rank's examples have reached it, even where its gradient is 0.")
        expect.same(got, want, f"With {world} rank{'s' * (world > 1)}, rank {rank}'s {what} (the check multiplies what all-reduces bring by {factor:.3g})",
                    rtol=1e-10, atol=1e-10, hint=hint)
    return ran


def _times(gradients, factor):
    return {name: None if each is None else each * factor for name, each in gradients.items()}


@check(points=2)
def naive_ddp(student, reference, draw):
    """One start for all ranks, and the mean of their gradients."""
    numbers, mark = draw.normal(3, 80), draw.number(2.0, 3.0)
    ran, first = carried.run(student, 3, started, numbers, using=ODD, mark=mark), Odd(numbers[0])
    for rank, got in enumerate(ran.results):
        want = {name: each + mark * (rank > 0) if each.is_floating_point() else each for name, each in (weights(first) | buffers(first)).items()}
        expect.same(got, want, f"Rank {rank}'s parameters and buffers after `broadcast_module`" + f" (the check adds {mark:.3g} on the way)" * (rank > 0),
                    rtol=1e-10, atol=1e-10)
    for world in (2, 3, 1):
        (x, *_), (y, *_) = batches(draw, 2, 12, world)
        means, left = mean_gradients(numbers[0], [x], [y], world), {"frozen": Odd(numbers[0]).frozen.detach()}
        _over_the_wire(student, draw, world, averaged, [numbers[0], x, y], lambda factor: _times(means, factor) | left,
                       "gradients after `average_gradients`")
    xs, ys = batches(draw, 2, 12, 2)
    _over_the_wire(student, draw, 2, naively, [numbers, xs, ys], functools.partial(single, numbers[0], xs, ys, 2, 1), "parameters after two steps")


@check(points=1)
def buckets(student, reference, draw):
    """Which gradients travel together."""
    for sizes, cap in (([10, 3, 7, 2, 9, 1], 10), ([4, 4, 4, 4], 8), ([5], 100), ([100, 1, 1], 10), ([], 10), ([3, 3, 3], 1), ([8, 8, 0, 8], 16),
                       ([1, 9, 1], 10), ([1, 9, 9, 9], 10), (draw.integers(1, 60, 12).tolist(), 90)):
        expect.agree(student, reference, "assign_buckets", sizes, cap)


CAP = 40  # bytes
BUCKETS = [2 + 2 + 8, 4 + 12, 4 + 4, 16, 3 + 3, 2]  # the numbers in each bucket of Odd's parameters, from rare to idle, and dead
LARGEST = 16  # the numbers in the largest of them
COMPLETE = 4  # so many of them a backward pass completes, in this order; the second as the last one


@check(points=3, needs=["naive_ddp", "buckets"])
def overlap(student, reference, draw):
    """DDP: buckets, hooks that send during the backward pass, accumulation."""
    numbers = draw.normal(3, 80)
    for world, cap, steps in ((2, CAP, 3), (3, CAP, 5), (1, 10**6, 2)):
        xs, ys = batches(draw, steps, 12, world)
        try:
            _over_the_wire(student, draw, world, overlapping, [numbers, xs, ys, cap, 1], functools.partial(single, numbers[0], xs, ys, world, 1),
                           f"parameters after {steps} steps")
        except Failed as failure:
            if "`DDP.forward` raised RuntimeError: result type" not in failure.hint:
                raise
            student.remark("buffers divided")
            raise Failed("Buffers are divided in `forward`, and some hold whole numbers, which can't be averaged. They aren't averaged at all: all ranks get rank 0's, by "
                         "`dist.broadcast`.", failure.detail) from None
    x, net = draw.branch("reached").normal(4, 3), plain_net(numbers[0])
    net(x).square().mean().backward()
    _over_the_wire(student, draw, 2, all_reached, [numbers[0], x], functools.partial(_times, gradients(net)),
                   "gradients of a net of which every parameter is used", using=[plain_net, gradients, part_of])
    xs, ys = batches(draw, 4, 12, 2)
    ran = _over_the_wire(student, draw, 2, overlapping, [numbers, xs, ys, CAP, 2], functools.partial(single, numbers[0], xs, ys, 2, 2),
                         "parameters after two steps of two batches, the first of each under `no_sync`")
    _remark(student, ran)
    for rank, sent in enumerate(ran.summed):
        expect.true(sent == 2 * BUCKETS, f"In two steps of two batches rank {rank} sums up {sent} numbers by all-reduce. With `assign_buckets` and {CAP} bytes "
                                         f"a bucket it should be {2 * BUCKETS}, each bucket once in a step, and nothing under `no_sync`.")
    for rank, operations in enumerate(ran.operations):
        begun = operations.index(("all_reduce", BUCKETS[0], -1))
        expect.true(not any(kind == "broadcast" and count >= LARGEST for kind, count, _ in operations[begun:]),
                    f"Rank {rank} broadcasts parameters after its first step as well. They needn't travel again: nets that are equal, and step with the same "
                    "gradients, stay equal. Broadcast them once, in `__init__`; before a forward pass only the buffers are rank 0's.")
    xs, ys, witness = draw.normal(2, 12, 3), draw.normal(2, 12, 2), draw.number(0.5, 2.0)
    xs[:, ::3, 0] = 9.0
    for count, before in ((1, ""), (2, ", after one under `no_sync`")):
        means = mean_gradients(numbers[0], xs[:count], ys[:count], 2, witness)
        ran = _over_the_wire(student, draw, 2, with_ddp, [numbers[0], xs[:count], ys[:count], CAP], functools.partial(_times, means),
                             f"gradients after a backward pass that goes on only when the first bucket has left{before}", witness)
        _remark(student, ran)
        for rank, (sent, left) in enumerate(zip(ran.summed, ran.left)):
            expect.true(sent == BUCKETS and left[:1] == [1],
                        f"In the middle of the backward pass rank {rank} has launched an all-reduce, but not that of the first bucket, which is complete then. "
                        "It is the bucket itself that should leave: its gradients, flat, once in a step.")
            expect.true(left == [1, COMPLETE],
                        f"When `finish` begins, {left[-1]} of rank {rank}'s buckets have left; {COMPLETE} are complete. The bucket that lacks a gradient "
                        "longest may have others behind it that wait for nothing else: launch `while` the next one in order is complete.")
    x = draw.normal(4, 3)
    ran = carried.run(student, 2, forwards, numbers[0], x, using=ODD)
    for rank, got in enumerate(ran.results):
        expect.same(got, forwards_alone(numbers[0], x, rank), f"When each rank's buffers have changed, the outputs of rank {rank}'s DDP", rtol=1e-10, atol=1e-10)


# --- data ---

def drawn_after_sharing(names, seed):
    """Random numbers of everybody's, drawn after the learner's shard has shuffled."""
    torch.default_generator.manual_seed(seed)
    names.shard(23, 1, 3, 2, 5)
    return torch.rand(3)


@check(points=2)
def sampler(student, reference, draw):
    """Each rank's share of the examples."""
    for length, world in ((12, 3), (10, 4), (2, 5), (7, 1)):
        for drop_last in (False, True):
            for rank in range(world):
                share = expect.agree(student, reference, "shard", length, rank, world, 3, 5, False, drop_last)
                expect.true(getattr(share, "dtype", None) == torch.int64, f"`shard` should give a tensor of torch.int64; it is of {getattr(share, 'dtype', type(share))}.")
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
        drawn = student.run(drawn_after_sharing, seed)
        expect.same(drawn, torch.rand(3, generator=torch.Generator().manual_seed(seed)), "What is drawn after `shard`", hint=(
            "`shard` seeds, or draws from, the random numbers that everybody else uses: afterwards all ranks draw the same. Make a generator of its own, "
            "`torch.Generator().manual_seed(seed + epoch)`, and hand it to `torch.randperm`."))
        again = expect.tensor(student.shard(length, 1, world, 1, seed, True, drop_last), "Rank 1's share").long()
        expect.true(torch.equal(again, epochs[1][1]), "Asked again for the same epoch, `shard` gives another order. It needs a generator of its own with "
                                                      "`seed + epoch` as its seed, or the ranks don't agree on one.")
        for epoch, shares in enumerate(epochs):
            order = torch.randperm(length, generator=torch.Generator().manual_seed(seed + epoch))
            expect.true(torch.equal(torch.stack(shares, dim=1).flatten()[:length], order[:len(shares[0]) * world]),
                        f"In epoch {epoch} the ranks share out a permutation, but not the one that others would: it should be "
                        "`torch.randperm(length, generator=…)` with a `torch.Generator` whose seed is `seed + epoch`.")


# --- trained for real ---

class Centred(torch.nn.Module):
    """Images less the running mean of those before: a buffer, which a forward pass in train mode moves."""

    def __init__(self):
        super().__init__()
        self.register_buffer("middle", torch.zeros(1, 14, 14, dtype=torch.float64))

    def forward(self, x):
        centred = x - self.middle
        if self.training:
            self.move(x)
        return centred

    def move(self, x):
        self.middle.lerp_(x.mean(0), 0.1)


def small_net(numbers):
    """A convolutional net (n, 1, 14, 14) → (n, 10) in float64 with the check's weights."""
    nn = torch.nn
    net = nn.Sequential(Centred(), nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)).double()
    place = 0
    with torch.no_grad():
        for parameter in net.parameters():
            taken = numbers[place:place + parameter.numel()].reshape(parameter.shape)
            parameter.copy_(taken * (2 / taken[0].numel()) ** 0.5)
            place += parameter.numel()
    return net


def trained_on_ranks(names, world, numbers, images, labels, steps, batch, rate):
    """What each of `world` ranks, which are processes, has after the learner's training: [its state_dict, what after_step was told]."""
    from course_lib.processes import launch

    def rank_of_ours(rank, world, train, net, *more):
        told = []
        if rank:  # as if started apart: only rank 0 begins with what is asked for
            with torch.no_grad():
                for tensor in (*net.parameters(), *net.buffers()):
                    tensor.mul_(0.5).add_(0.1 * rank)
        state = train(rank, world, net, *more, lambda step, loss: told.append([step, float(loss)]))
        return [{name: value.cpu() for name, value in state.items()} if isinstance(state, dict) else None, told]

    return launch(rank_of_ours, world, names.train_rank, small_net(numbers), images, labels, steps, batch, rate, timeout=240.0)


def trained_on_shares(names, rank, world, numbers, images, labels, steps, batch, rate):
    """Parameters of a rank after the learner's training. images: by rank, those that it has."""
    net = small_net(numbers)
    names.train_rank(rank, world, net, images[rank], labels, steps, batch, rate)
    return weights(net)


def trained_alone(numbers, images, labels, steps, batch, rate, *, epochs=True, first=0, kept=True, goes_on=True, drop=True, filled=False,
                  momentum=0.9, part=slice(None), fresh=True, ends=True, own=False, world=2, factor=1.0):
    """(state_dict, each rank's losses) of the same in this process, on whole batches; the options are for what people do instead.

    epochs: each has an order of its own; first: the number of the first. kept: the optimizer, from one epoch to the next. goes_on: a step
    takes the next batch, not the first. drop: what is left at an epoch's end is left out. filled: for two ranks the order is filled up. part: what of each batch is trained on. fresh: each step has gradients of its own.
    ends: it ends in the middle of an epoch too. own: each of two ranks goes on with its own buffers. world: so many ranks stand for it.
    factor: the gradients of each step are multiplied by it.
    """
    net, second = small_net(numbers).eval(), Centred()  # the buffers are moved here, by rank 0's part
    make_optimizer = lambda: torch.optim.SGD(net.parameters(), rate, momentum=momentum)
    optimizer, step, epoch, losses = make_optimizer(), 0, first, []
    while step < steps:
        optimizer = optimizer if kept else make_optimizer()
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(epoch * epochs))
        order = torch.cat([order, order[:len(order) % 2 * filled]])
        order = order[:len(order) // batch * batch if drop else len(order) // 2 * 2]
        for chosen in order.split(batch)[:(steps - step if ends else None) if goes_on else 1]:
            if fresh:
                optimizer.zero_grad()
            if own:
                outputs = net[1:](torch.cat([net[0](images[chosen[::2]]), second(images[chosen[1::2]])]))
                targets = labels[torch.cat([chosen[::2], chosen[1::2]])]
            else:
                outputs, targets = net(images[chosen[part]]), labels[chosen[part]]
            net[0].move(images[chosen[part] if part.start else chosen[::world]])
            (factor * F.cross_entropy(outputs, targets)).backward()
            optimizer.step()
            losses.append([F.cross_entropy(outputs[rank::world], targets[rank::world]).item() for rank in range(world)])
            step += 1
        epoch += goes_on
    return net.state_dict(), losses


@functools.lru_cache
def training_images(limit):
    """(images (limit, 1, 14, 14) in float64, labels)."""
    data = load_images("fashion_mnist", "train", size=14, limit=limit, fallback="digits")
    return data.images.double(), data.labels


APART = ("The ranks end with different weights: they don't agree with each other to 8 decimal digits. Do all begin with rank 0's, and step with the same "
         "gradients, at every step?")
OTHER = ("The ranks agree with each other, but not, to 8 decimal digits, with one process that takes the whole batch at each step. What does each step train "
         "on, and how?")
ALONE = ("On two processes the net is right, but not because they work together: in three steps more, in which each rank has the right images only where its "
         "own share of the epoch lies, it is another. Let each rank train on its share, and take the others' part from them, in the mean of the gradients.")
# How many digits the weights agree to, of the largest change of a weight in the training: with one process, and between the ranks.
TRAINING = {"equal digits": expect.at_least(smoke=8), "equal digits of the ranks": expect.at_least(smoke=8)}


def mistaken(numbers, images, labels, steps, batch, rate):
    """What people make of it: (what it looks like, the state_dict that it ends with), one by one."""
    alone = lambda batch=batch, rate=rate, **options: trained_alone(numbers, images, labels, steps, batch, rate, **options)[0]
    yield ("each rank computes with its own buffers. Call `DDP(net)`, and not `net`: its forward pass begins with rank 0's buffers on all ranks."), alone(own=True)
    yield "all epochs take the examples in the same order. Hand the epoch to `shard`.", alone(epochs=False)
    yield "each rank takes `batch` examples a step. They are over all ranks together: a rank's share is batch // world.", alone(2 * batch)
    yield "each step begins the epoch anew, so that all train on the same first examples. Go on where the step before has ended.", alone(goes_on=False)
    yield ("gradients are summed over the ranks, and not averaged, or the rate is multiplied by `world`. It is given for the whole batch: take it as it "
           "is, and the mean."), alone(rate=2 * rate)
    yield "after the last step that is asked for it goes on to the end of the epoch. Count the steps, and stop in the middle of an epoch too.", alone(ends=False)
    yield "it trains on what is left at the end of an epoch, too little for a step. Leave that out.", alone(drop=False)
    yield ("where the number of examples isn't a multiple of `world`, the order is filled up, and not cut off. Hand `drop_last=True` to `shard`.",
           alone(filled=True))
    yield "SGD has no momentum. It should be 0.9.", alone(momentum=0.0)
    yield "gradients are never set back to zero, so that each step takes those of all steps before. `optimizer.zero_grad()`.", alone(fresh=False)
    yield "only rank 0's examples count. The gradients of all ranks are to be averaged before each step.", alone(part=slice(0, None, 2))
    yield "every rank trains on rank 1's examples only.", alone(part=slice(1, None, 2))
    for nothing in (small_net(numbers).state_dict(), alone(rate=0.0)):  # the latter has moved the buffers
        yield ("nothing is trained. The weights are rank 0's first ones. Is `optimizer.step()` called, and are the gradients still there when it is?"), nothing
    yield "the rate is divided by `world`. It is given for the whole batch: take it as it is, and the mean of the gradients.", alone(rate=rate / 2)
    yield "the first epoch has the order of the second one. Epochs count from 0.", alone(first=1)
    yield "each epoch begins with an optimizer of its own, which knows nothing of the momentum so far. Make one before the first epoch.", alone(kept=False)


@check(points=2, needs=["overlap", "sampler"], bounds=TRAINING)
def training(student, reference, draw):
    """A net trained on two processes: the same as on one."""
    # Odd counts: filled up instead of cut off, each rank would have one batch more. The last step is in the middle of an epoch.
    count, steps, batch, rate = draw.scale.pick(smoke=(191, 25, 48, 0.1), cpu=(1_983, 100, 64, 0.1))
    images, labels = training_images(count)
    numbers = draw.normal(sum(parameter.numel() for parameter in small_net(torch.zeros(10_000)).parameters()))
    if draw.secret:
        labels, chosen = draw.permutation(10)[labels], draw.permutation(count)
        images, labels = images[chosen], labels[chosen]
    task = numbers, images, labels, steps, batch, rate
    got = student.train(trained_on_ranks, 2, *task, using=[Centred, small_net])
    (want, losses), begun = trained_alone(*task), small_net(numbers)
    if not isinstance(got, list) or len(got) != 2 or not all(isinstance(each, list) and len(each) == 2 for each in got):
        raise Failed("`train_rank` should give back the state_dict of the net that it was given.")
    for state, _ in got:
        if not isinstance(state, dict) or set(state) != set(want):
            other = next(iter(set(state) - set(want)), None) if isinstance(state, dict) else None
            raise Failed("`train_rank` should give back the state_dict of the net that it was given" + (
                f", `net.state_dict()`; yours has the name {str(other)[:60]!r}, which that hasn't." if other else "."))
    ranks = [_flat([expect.tensor(each[name], "A weight of the trained net", tuple(want[name].shape)) for name in want]) for each, _ in got]
    first, whole = _flat(begun.state_dict().values()), _flat(want.values())
    moved = (whole - first).abs().max()
    digits = lambda one, other: -math.log10(max((one - other).abs().max().item() / moved.item(), 1e-16))
    learnt = [_flat([state[name] for name, _ in begun.named_parameters()]) for state, _ in got]  # buffers: the others' have moved since they got rank 0's
    figures = {"equal digits": digits(ranks[0], whole), "equal digits of the ranks": digits(*learnt)}
    expect.measured(**figures)
    expect.within("equal digits of the ranks", figures["equal digits of the ranks"], TRAINING["equal digits of the ranks"], draw.scale, APART)
    if not TRAINING["equal digits"].holds(figures["equal digits"], draw.scale):
        for looks, weights_then in mistaken(*task):
            expect.true((ranks[0] - _flat(weights_then.values())).abs().max() > 1e-6 * moved, f"The ranks agree, but {looks}")
    expect.within("equal digits", figures["equal digits"], TRAINING["equal digits"], draw.scale, OTHER)
    _on_shares(student, draw.branch("shares"), numbers)
    for rank, (_, told) in enumerate(got):
        _told(told, rank, steps)
        told, own = (torch.tensor(each, dtype=torch.float64) for each in ([loss for _, loss in told], [each[rank] for each in losses]))
        expect.close(told, own, f"What `after_step` is told on rank {rank}", rtol=1e-6, hint=(
            "The training is right, but the losses that `after_step` is told aren't those of its steps: each rank tells its own, of its part of the batch."))


def _on_shares(student, draw, numbers):
    """Ranks that could each train alone, as all have all examples, can't where each has those of its share only. All within one epoch."""
    images, labels, given = draw.normal(2, 25, 1, 14, 14), draw.integers(0, 10, 25), (3, 8, 0.1)
    others, whole = torch.randperm(25, generator=torch.Generator().manual_seed(0))[1::2], images[0].clone()
    whole[others] = images[1, others]

    def alone(factor):
        net = small_net(numbers)
        net.load_state_dict(trained_alone(numbers, whole, labels, *given, factor=factor)[0])
        return weights(net)

    _over_the_wire(student, draw, 2, trained_on_shares, [numbers, images, labels, *given], alone, "parameters after three steps",
                   using=[Centred, small_net, weights], hint=ALONE)


def _told(told, rank, steps):
    """after_step has been called after each step, with a number for the loss."""
    whole = isinstance(told, list) and all(isinstance(each, list) and len(each) == 2 and type(each[0]) is int and type(each[1]) is float
                                           for each in told)
    expect.true(whole, "`after_step` should be told the number of the step, an int, and the loss, a number.")
    numbers = [step for step, _ in told]
    expect.true(bool(numbers), f"`after_step` is never called on rank {rank}. Every rank calls it, after each step: `after_step(step, loss.item())`.")
    expect.true(numbers[0] == 0, f"On rank {rank}, `after_step` is told {numbers[0]} after the first step. Steps count from 0.")
    expect.true(numbers == list(range(len(numbers))), f"On rank {rank}, `after_step` isn't told 0, 1, 2 and so on: it should be called once after each step, "
                                                      "with the number of the step in the whole training.")
    expect.true(len(numbers) == steps, f"On rank {rank}, `after_step` is called {len(numbers)} times in {steps} steps.")


def _flat(tensors):
    return torch.cat([torch.as_tensor(each).double().flatten() for each in tensors])
