"""Right answers to `data_parallel` in another style than the reference: each check must pass them."""

import copy
import functools
import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call


# --- parts ---

@right("parts")
def scatter(batch, count):
    # By arithmetic: the first `more` parts have one example more.
    count = min(count, batch.shape[0])
    size, more = divmod(batch.shape[0], count)
    ends = [part * size + min(part, more) for part in range(count + 1)]
    return [batch[first:last] for first, last in zip(ends, ends[1:])]


@right("parts")
def scatter(batch, count):
    # Each part is a rounded-up share of what is left.
    parts, left = [], batch
    for devices in range(min(count, len(batch)), 0, -1):
        size = math.ceil(len(left) / devices)
        parts.append(left[:size])
        left = left[size:]
    return tuple(parts)


@right("parts")
def mean_of_parts(means, sizes):
    weights = torch.tensor(sizes, dtype=means[0].dtype, device=means[0].device)
    return torch.tensordot(weights / weights.sum(), torch.stack(means), dims=1)


@right("parts")
def mean_of_parts(means, sizes):
    # A running mean, part by part.
    mean, seen = torch.zeros_like(means[0]), 0
    for part, size in zip(means, sizes):
        seen += size
        mean = mean + (part - mean) * (size / seen)
    return mean


# --- replicas ---

@right("replicas")
def data_parallel(net, x, devices, move):
    # Replicas as modules, as nn.DataParallel has them: copies whose tensors are what has been moved, and no longer parameters.
    def replica_on(device):
        replica = copy.deepcopy(net)
        for place, module in net.named_modules():
            copied = replica.get_submodule(place)
            for name, parameter in module.named_parameters(recurse=False):
                del copied._parameters[name]
                setattr(copied, name, move(parameter, device))
            for name, buffer in module.named_buffers(recurse=False):
                copied._buffers[name] = move(buffer, device)
        return replica

    outputs = []
    for part, device in zip(scatter(x, len(devices)), devices):
        outputs.append(move(replica_on(device)(move(part, device)), devices[0]))
    return torch.cat(outputs, dim=0)


@right("replicas")
def data_parallel(net, x, devices, move):
    # All is moved by one thread, then each device computes in its own; also the second name of a weight that is used twice.
    parts = [move(part, device) for part, device in zip(scatter(x, len(devices)), devices)]
    names = [*net.named_parameters(remove_duplicate=False), *net.named_buffers(remove_duplicate=False)]
    states = [{name: move(tensor, device) for name, tensor in names} for device in devices[:len(parts)]]
    with ThreadPoolExecutor() as threads:
        outputs = list(threads.map(lambda state, part: functional_call(copy.deepcopy(net), state, (part,), tie_weights=False), states, parts))
    return torch.cat([move(output, devices[0]) for output in outputs])


@right("replicas")
def data_parallel(net, x, devices, move):
    # All in one thread, with the net itself: nobody is in it at the same time.
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return move(functional_call(net, there, (move(part, device),)), devices[0])

    return torch.cat([forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))])


# --- star ---

@right("star")
def star_broadcast(tensor, root):
    # All sends under way at once.
    rank, world = dist.get_rank(), dist.get_world_size()
    others = [other for other in range(world) if other != root]
    works = [dist.isend(tensor, other) for other in others] if rank == root else [dist.irecv(tensor, root)]
    for work in works:
        work.wait()


@right("star")
def star_broadcast(tensor, root):
    # Into a tensor apart, from the last rank to the first.
    if dist.get_rank() != root:
        arrived = torch.zeros_like(tensor)
        dist.recv(arrived, src=root, tag=1)
        tensor.copy_(arrived)
        return
    for other in reversed(range(dist.get_world_size())):
        if other != root:
            dist.send(tensor, dst=other, tag=1)


@right("star")
def star_reduce(tensor, root):
    # Everything received first, each in its own place, then summed.
    rank, world = dist.get_rank(), dist.get_world_size()
    if rank != root:
        dist.isend(tensor.clone(), root).wait()
        return
    arrived = torch.zeros(world, *tensor.shape, dtype=tensor.dtype)
    works = [dist.irecv(arrived[other], other) for other in range(world) if other != root]
    for work in works:
        work.wait()
    tensor.add_(arrived.sum(0))


# --- ring ---

@right("ring")
def ring_all_reduce(tensor):
    # Both messages of a step in one call; chunks by arithmetic on the flat tensor.
    rank, world = dist.get_rank(), dist.get_world_size()
    if world == 1:
        return
    flat, size = tensor.view(-1), math.ceil(tensor.numel() / world)
    chunk = lambda number: flat[number % world * size:(number % world + 1) * size]
    after, before = (rank + 1) % world, (rank - 1) % world

    def exchange(leaving, coming):
        arrived = torch.empty_like(chunk(coming))
        for work in dist.batch_isend_irecv([dist.P2POp(dist.isend, chunk(leaving).clone(), after), dist.P2POp(dist.irecv, arrived, before)]):
            work.wait()
        return arrived

    for step in range(world - 1):
        chunk(rank - step - 1).add_(exchange(rank - step, rank - step - 1))
    for step in range(world - 1):
        chunk(rank - step).copy_(exchange(rank - step + 1, rank - step))


@right("ring")
def ring_all_reduce(tensor):
    # Rank 0 sends first, the others receive first: no send waits for one that waits for it. Other chunks first.
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.flatten().tensor_split(world)
    for step in range(2 * (world - 1)):
        leaving = chunks[(rank - step - 1) % world].clone()
        there = chunks[(rank - step - 2) % world]
        arrived = torch.empty_like(there)
        if rank == 0:
            dist.send(leaving, 1)
            dist.recv(arrived, world - 1)
        else:
            dist.recv(arrived, rank - 1)
            dist.send(leaving, (rank + 1) % world)
        there.copy_(there + arrived if step < world - 1 else arrived)


@right("ring")
def ring_all_reduce(tensor):
    # Receives are under way first; one buffer for all that arrives; no message for an empty chunk.
    rank, world = dist.get_rank(), dist.get_world_size()
    flat = tensor.reshape(-1)
    ends = [flat.numel() * number // world for number in range(world + 1)]
    chunks = [flat[first:last] for first, last in zip(ends, ends[1:])]
    room = torch.empty(max(map(len, chunks)), dtype=tensor.dtype)
    for step in range(2 * world - 2):
        leaving, coming = chunks[(rank - step) % world], chunks[(rank - step - 1) % world]
        works = []
        if len(coming):
            works.append(dist.irecv(room[:len(coming)], (rank - 1) % world))
        if len(leaving):
            works.append(dist.isend(leaving, (rank + 1) % world))
        for work in works:
            work.wait()
        if step < world - 1:
            coming += room[:len(coming)]
        else:
            coming[:] = room[:len(coming)]


@right("ring")
def ring_all_reduce(tensor):
    # Nobody waits for a send before the last step: the chunk that has left is written over only when its sum comes round.
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks, sends = tensor.view(-1).tensor_split(world), []
    for step in range(2 * (world - 1)):
        sends.append(dist.isend(chunks[(rank - step) % world], (rank + 1) % world))
        mine = chunks[(rank - step - 1) % world]
        arrived = torch.empty_like(mine)
        dist.recv(arrived, (rank - 1) % world)
        mine.copy_(mine + arrived if step < world - 1 else arrived)
    for send in sends:
        send.wait()


# --- naive_ddp ---

@right("naive_ddp")
@torch.no_grad()
def broadcast_module(net):
    for value in net.state_dict().values():
        dist.broadcast(value, src=0)


@right("naive_ddp")
def broadcast_module(net):
    # The course's own broadcast.
    for tensor in [parameter.data for parameter in net.parameters()] + list(net.buffers()):
        star_broadcast(tensor, 0)


@right("naive_ddp")
def average_gradients(net):
    # All gradients in one flat tensor, divided before the sum; flags as bytes, by their maximum.
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    used = torch.tensor([parameter.grad is not None for parameter in trained]).to(torch.uint8)
    dist.all_reduce(used, op=dist.ReduceOp.MAX)
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in trained]) / dist.get_world_size()
    dist.all_reduce(flat)
    for parameter, there, mean in zip(trained, used, flat.split([p.numel() for p in trained])):
        if there:
            parameter.grad = mean.reshape(parameter.shape).clone()


@right("naive_ddp")
def average_gradients(net):
    # Flags as numbers, in the same tensor as the gradient; nothing to do in a world of one.
    world = dist.get_world_size()
    if world == 1:
        return
    works = []
    for parameter in filter(lambda p: p.requires_grad, net.parameters()):
        here = parameter.grad is not None
        gradient = parameter.grad.clone() if here else torch.zeros_like(parameter)
        flag = torch.full((1,), float(here), dtype=gradient.dtype)
        both = torch.cat([gradient.reshape(-1), flag])
        works.append((parameter, both, dist.all_reduce(both, async_op=True)))
    for parameter, both, work in works:
        work.wait()
        if both[-1] > 0:
            parameter.grad = both[:-1].view(parameter.shape) / world


@right("naive_ddp")
def average_gradients(net):
    # The backend averages, all in flight at once.
    trained = [p for p in net.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used, op=dist.ReduceOp.MAX)
    works = []
    for parameter in (p for p, there in zip(trained, used) if there):
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        works.append(dist.all_reduce(gradient, op=dist.ReduceOp.AVG, async_op=True))
        parameter.grad = gradient
    for work in works:
        work.wait()


# --- buckets ---

@right("buckets")
def assign_buckets(sizes, cap):
    buckets, current = [], []
    for position in range(len(sizes) - 1, -1, -1):
        current.append(position)
        if sum(sizes[each] for each in current) >= cap:
            buckets.append(current)
            current = []
    return buckets + [current] if current else buckets


@right("buckets")
def assign_buckets(sizes, cap):
    # The first bucket, and then those of what is left.
    end, held = len(sizes), 0
    while end > 0 and held < cap:
        end -= 1
        held += sizes[end]
    first = list(range(len(sizes) - 1, end - 1, -1))
    return [first] + assign_buckets(sizes[:end], cap) if first else []


# --- overlap ---

@right("overlap")
class DDP(nn.Module):
    # Buckets as objects of their own; divided before the sum; means copied into the gradients that are there; flags as numbers.
    def __init__(self, net, cap=25 * 2**20):
        super().__init__()
        broadcast_module(net)
        self.net, self.syncing, self.world = net, True, dist.get_world_size()
        self.parameters_ = [p for p in net.parameters() if p.requires_grad]
        groups = assign_buckets([p.numel() * p.element_size() for p in self.parameters_], cap)
        self.order = [[self.parameters_[position] for position in group] for group in groups]
        self.works, self.ready = [], set()
        for parameter in self.parameters_:
            parameter.register_post_accumulate_grad_hook(functools.partial(self.on_gradient))

    def on_gradient(self, parameter):
        if self.syncing:
            self.ready.add(parameter)
            while len(self.works) < len(self.order) and self.ready.issuperset(self.order[len(self.works)]):
                self.send()

    @torch.no_grad()
    def send(self):
        group = self.order[len(self.works)]
        flat = torch.zeros(sum(p.numel() for p in group), dtype=group[0].dtype)
        place = 0
        for parameter in group:
            if parameter.grad is not None:
                flat[place:place + parameter.numel()] = parameter.grad.reshape(-1) / self.world
            place += parameter.numel()
        self.works.append((flat, dist.all_reduce(flat, op=dist.ReduceOp.SUM, async_op=True)))

    def forward(self, *inputs):
        if self.training:
            for buffer in self.net.buffers():
                dist.broadcast(buffer, 0)
        return self.net(*inputs)

    def finish(self):
        for _ in range(len(self.order) - len(self.works)):
            self.send()
        flags = torch.tensor([float(p.grad is not None) for p in self.parameters_])
        work = dist.all_reduce(flags, async_op=True)
        for flat, sent in self.works:
            sent.wait()
        work.wait()
        there = {parameter for parameter, flag in zip(self.parameters_, flags) if flag > 0}
        for group, (flat, _) in zip(self.order, self.works):
            place = 0
            for parameter in group:
                mean = flat[place:place + parameter.numel()].view_as(parameter)
                place += parameter.numel()
                if parameter in there:
                    parameter.grad = torch.empty_like(parameter) if parameter.grad is None else parameter.grad
                    parameter.grad.copy_(mean)
        self.works, self.ready = [], set()

    @contextlib.contextmanager
    def no_sync(self):
        before, self.syncing = self.syncing, False
        yield
        self.syncing = before


@right("overlap")
class DDP(nn.Module):
    # Hooks as closures, counts in a dict, state set back at each forward pass that syncs; flags at finish by MAX before the rest.
    def __init__(self, net, cap=25 * 2**20):
        super().__init__()
        self.net, self.syncing = net, True
        broadcast_module(net)
        self.list = [p for p in net.parameters() if p.requires_grad]
        self.buckets = assign_buckets([p.nelement() * p.element_size() for p in self.list], cap)
        self.reset()

        def hook_of(number):
            def hook(_):
                if self.syncing:
                    self.left[number] -= 1
                    self.launch_ready()
            return hook

        for number, bucket in enumerate(self.buckets):
            for position in bucket:
                self.list[position].register_post_accumulate_grad_hook(hook_of(number))

    def reset(self):
        self.left, self.works, self.flats = {number: len(bucket) for number, bucket in enumerate(self.buckets)}, {}, {}

    def launch_ready(self, all_of_them=False):
        for number, bucket in enumerate(self.buckets):
            if number in self.works:
                continue
            if self.left[number] and not all_of_them:
                return
            parts = [self.list[position].grad for position in bucket]
            parts = [torch.zeros(self.list[at].numel(), dtype=self.list[at].dtype) if g is None else g.view(-1) for g, at in zip(parts, bucket)]
            self.flats[number] = torch.hstack(parts)
            self.works[number] = dist.all_reduce(self.flats[number], async_op=True)

    def forward(self, *inputs):
        if self.net.training:
            for buffer in self.net.buffers():
                dist.broadcast(buffer, src=0)
        return self.net(*inputs)

    def finish(self):
        self.launch_ready(all_of_them=True)
        somewhere = torch.tensor([int(p.grad is not None) for p in self.list])
        dist.all_reduce(somewhere, dist.ReduceOp.MAX)
        for number, bucket in enumerate(self.buckets):
            self.works[number].wait()
            means = (self.flats[number] / dist.get_world_size()).split([self.list[position].numel() for position in bucket])
            for position, mean in zip(bucket, means):
                self.list[position].grad = mean.view(self.list[position].shape) if somewhere[position] else None
        self.reset()

    @contextlib.contextmanager
    def no_sync(self):
        self.syncing = False
        try:
            yield
        finally:
            self.syncing = True


@right("overlap")
class DDP(DDP):
    # The backend averages.
    def launch_next(self):
        parameters = [self.trained[position] for position in self.buckets[len(self.flying)]]
        flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters])
        self.flying.append((parameters, flat, dist.all_reduce(flat, op=dist.ReduceOp.AVG, async_op=True)))

    def finish(self):
        while len(self.flying) < len(self.buckets):
            self.launch_next()
        used = torch.tensor([p.grad is not None for p in self.trained], dtype=torch.int32)
        dist.all_reduce(used)
        used = dict(zip(self.trained, used.tolist()))
        for parameters, flat, work in self.flying:
            work.wait()
            for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters])):
                if used[parameter]:
                    parameter.grad = mean.view_as(parameter)
        self.begin()


# --- sampler ---

@right("sampler")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    # One by one, in a list.
    generator = torch.Generator()
    generator.manual_seed(seed + epoch)
    order = torch.randperm(length, generator=generator).tolist() if shuffle else list(range(length))
    share = length // world if drop_last else math.ceil(length / world)
    return torch.tensor([order[(rank + step * world) % length] for step in range(share)], dtype=torch.int64)


@right("sampler")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    # Positions in the order first, then the order.
    share = (length if drop_last else length + world - 1) // world
    places = torch.arange(share) * world + rank
    if not shuffle:
        return places % max(length, 1)
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed + epoch))[places % max(length, 1)]


@right("sampler")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    # Repeated as often as it takes; there is at least one example.
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed + epoch)) if shuffle else torch.arange(length)
    total = length - length % world if drop_last else -(-length // world) * world
    return order.repeat(-(-total // length))[:total][rank::world]


# --- training ---

@right("training", trains="one loop over the steps")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    # Where a step begins in its epoch is computed, not counted.
    ddp, share = DDP(net, cap=2_000), batch // world
    optimizer = torch.optim.SGD(ddp.parameters(), lr=rate, momentum=0.9)
    each = len(images) // world // share
    for step in range(steps):
        chosen = shard(len(images), rank, world, epoch=step // each, drop_last=True)[step % each * share:][:share]
        optimizer.zero_grad()
        loss = F.cross_entropy(ddp(images[chosen]), labels[chosen])
        loss.backward()
        ddp.finish()
        optimizer.step()
        if after_step:
            after_step(step, float(loss))
    return net.state_dict()


@right("training", trains="after each backward, `average_gradients`")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    # The naive way: no buckets, no hooks, and the buffers by hand.
    broadcast_module(net)
    optimizer, done, epoch = torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9), 0, 0
    while True:
        order = shard(len(images), rank, world, epoch, 0, True, True)
        for start in range(0, len(order) - batch // world + 1, batch // world):
            if done == steps:
                return net.state_dict()
            chosen = order[start:start + batch // world]
            net.zero_grad()
            for buffer in net.buffers():
                dist.broadcast(buffer, 0)
            loss = F.cross_entropy(net(images[chosen]), labels[chosen])
            loss.backward()
            average_gradients(net)
            optimizer.step()
            if after_step is not None:
                after_step(done, loss.item())
            done += 1
        epoch += 1
