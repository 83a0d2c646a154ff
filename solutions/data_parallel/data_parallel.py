# ---
# jupyter:
#   course:
#     title: Data parallelism, and whether to switch
#     minutes: 200
#     builds_on: []
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Data parallelism, and whether to switch
#
# %% tags=["setup"]
import contextlib
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from course_lib import current_scale, start
from course_lib.processes import launch

check = start("data_parallel")
scale = current_scale()


def in_threads(functions):
    """What each function returns, all of them called at once, each in a thread of its own."""
    with ThreadPoolExecutor(len(functions)) as threads:
        return [running.result() for running in [threads.submit(each) for each in functions]]

# %% solution="parts"
def scatter(batch, count):
    """Split a batch (n, …) along its first dimension into parts, in order, for at most `count`
    devices: the sizes differ by at most 1, larger ones first, and no part is empty. A list.
    """
    ### BEGIN SOLUTION
    return list(batch.tensor_split(min(count, len(batch))))
    ### END SOLUTION


def mean_of_parts(means, sizes):
    """The mean over a whole batch from the means over its parts.

    means: a list of tensors of one shape, a loss or a gradient of each part; sizes: the number of
    examples in each part, a list of int. Returns a tensor of that shape.
    """
    ### BEGIN SOLUTION
    return sum(size * mean for size, mean in zip(sizes, means)) / sum(sizes)
    ### END SOLUTION

# %% check="parts"
check("parts")

# %% solution="replicas"
def data_parallel(net, x, devices, move):
    """net(x), computed in parts on several devices at once, as nn.DataParallel does it.

    devices: any list of names; net, x and the result are on devices[0]. move(tensor, device): gives
    the tensor as it arrives on a device (devices[0] as well), with gradients that find their way
    back. Every tensor that a device computes with has come there by it: its part of x, the
    parameters, the buffers. The outputs are gathered by it too. A device without a part gets
    nothing.
    """
    ### BEGIN SOLUTION
    used = list(zip(devices, scatter(x, len(devices))))

    def forward(device, part):
        state = [*net.named_parameters(), *net.named_buffers()]
        there = {name: move(tensor, device) for name, tensor in state}
        return functional_call(net, there, (move(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in used])
    return torch.cat([move(output, devices[0]) for output in outputs])
    ### END SOLUTION

# %% check="replicas"
check("replicas")

# %% solution="star"
def star_broadcast(tensor, root):
    """Every rank's tensor becomes the root's, in place. Built from dist.send and dist.recv."""
    ### BEGIN SOLUTION
    if dist.get_rank() == root:
        for other in range(dist.get_world_size()):
            if other != root:
                dist.send(tensor, other)
    else:
        dist.recv(tensor, root)
    ### END SOLUTION


def star_reduce(tensor, root):
    """The root's tensor becomes the sum of all ranks' tensors, in place; the others keep theirs.
    Built from dist.send and dist.recv.
    """
    ### BEGIN SOLUTION
    if dist.get_rank() == root:
        arrived = torch.empty_like(tensor)
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(arrived, other)
                tensor += arrived
    else:
        dist.send(tensor, root)
    ### END SOLUTION

# %% check="star"
check("star")

# %% solution="ring"
def ring_all_reduce(tensor):
    """Every rank's tensor becomes the sum of all ranks' tensors, in place, by a ring.

    tensor: contiguous, of any shape and size. A rank sends only to the next one, (rank + 1) mod N,
    and receives only from the one before. Built from dist.isend (or send) and dist.recv (or irecv);
    2(N − 1) messages a rank, of one chunk each.
    """
    ### BEGIN SOLUTION
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = list(tensor.view(-1).tensor_split(world))
    for phase in ("reduce-scatter", "all-gather"):
        for step in range(world - 1):
            leaving = (rank - step + (phase == "all-gather")) % world
            coming = (leaving - 1) % world
            arrived = torch.empty_like(chunks[coming])
            sent = dist.isend(chunks[leaving], (rank + 1) % world)
            dist.recv(arrived, (rank - 1) % world)
            sent.wait()
            if phase == "reduce-scatter":
                chunks[coming] += arrived
            else:
                chunks[coming].copy_(arrived)
    ### END SOLUTION

# %% check="ring"
check("ring")

# %% solution="naive_ddp"
def broadcast_module(net):
    """All ranks get rank 0's parameters and buffers, in place."""
    ### BEGIN SOLUTION
    for tensor in (*net.parameters(), *net.buffers()):
        dist.broadcast(tensor.detach(), 0)
    ### END SOLUTION


def average_gradients(net):
    """After the backward pass: the gradient of each parameter becomes the mean of all ranks' gradients.

    Where a rank has no gradient (`grad` is None), it counts as zeros. A parameter that has none on
    any rank has none afterwards either; frozen parameters are left out.
    """
    ### BEGIN SOLUTION
    trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
    used = torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
    ### END SOLUTION

# %% check="naive_ddp"
check("naive_ddp")

# %% solution="buckets"
def assign_buckets(sizes, cap):
    """Which gradients travel together.

    sizes: the bytes of each parameter, in the order of net.parameters(). Parameters are taken from
    the last to the first and put into the current bucket; a bucket that has reached `cap` bytes is
    full. Returns a list of buckets, each a list of positions in `sizes`.
    """
    ### BEGIN SOLUTION
    buckets, held = [], cap
    for position in reversed(range(len(sizes))):
        if held >= cap:
            buckets.append([])
            held = 0
        buckets[-1].append(position)
        held += sizes[position]
    return buckets
    ### END SOLUTION

# %% check="buckets"
check("buckets")

# %% solution="overlap"
class DDP(nn.Module):
    """DistributedDataParallel around `net`: the net itself, whose gradients become the mean of all
    ranks' gradients.

        ddp = DDP(net)
        loss_of(ddp(x)).backward()    # each bucket leaves as soon as its gradients are there
        ddp.finish()                  # wait, and put the means into place
        optimizer.step()

    cap: the size of a bucket in bytes, as in `assign_buckets`; only parameters that require a gradient
    are in buckets. All ranks begin with rank 0's parameters and buffers. As in `average_gradients`,
    a missing gradient counts as zeros, and one that is missing on all ranks stays None.
    """

    def __init__(self, net, cap=25 * 2**20):
        super().__init__()
        self.net, self.syncing = net, True
        ### BEGIN SOLUTION
        broadcast_module(net)
        self.trained = [parameter for parameter in net.parameters() if parameter.requires_grad]
        self.buckets = assign_buckets([p.numel() * p.element_size() for p in self.trained], cap)
        for bucket, positions in enumerate(self.buckets):
            for position in positions:
                self.trained[position].register_post_accumulate_grad_hook(
                    lambda parameter, bucket=bucket: self.gradient_is_there(bucket))
        self.begin()
        ### END SOLUTION

    def forward(self, *inputs):
        """net(*inputs). In train mode all ranks first get rank 0's buffers."""
        ### BEGIN SOLUTION
        if self.training:
            for buffer in self.net.buffers():
                dist.broadcast(buffer, 0)
        return self.net(*inputs)
        ### END SOLUTION

    ### BEGIN SOLUTION
    def begin(self):
        self.missing = [len(bucket) for bucket in self.buckets]
        self.flying = []

    def gradient_is_there(self, bucket):
        if self.syncing:
            self.missing[bucket] -= 1
            # In order, on every rank: one bucket may be complete here and another one elsewhere.
            while len(self.flying) < len(self.buckets) and self.missing[len(self.flying)] == 0:
                self.launch_next()

    def launch_next(self):
        parameters = [self.trained[position] for position in self.buckets[len(self.flying)]]
        flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten()
                          for p in parameters])
        self.flying.append((parameters, flat, dist.all_reduce(flat, async_op=True)))
    ### END SOLUTION

    def finish(self):
        """Wait until all buckets have come back, and put the means into the parameters' `grad`."""
        ### BEGIN SOLUTION
        while len(self.flying) < len(self.buckets):
            self.launch_next()
        used = torch.tensor([p.grad is not None for p in self.trained], dtype=torch.int32)
        dist.all_reduce(used)
        used = dict(zip(self.trained, used.tolist()))
        for parameters, flat, work in self.flying:
            work.wait()
            flat /= dist.get_world_size()
            for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters])):
                if used[parameter]:
                    parameter.grad = mean.view_as(parameter)
        self.begin()
        ### END SOLUTION

    @contextlib.contextmanager
    def no_sync(self):
        """Within it gradients are only added up, and nothing is sent."""
        self.syncing = False
        try:
            yield
        finally:
            self.syncing = True

# %% check="overlap"
check("overlap")

# %% solution="sampler"
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    """The positions of the examples that this rank sees in this epoch, an int64 tensor, as long on every
    rank.

    All ranks make the same order of all positions: 0 … length − 1, or with `shuffle` a permutation
    from a generator with the seed `seed + epoch`. Rank r takes every world-th of them, from the r-th
    on. If the length isn't a multiple of world, the order is filled up with its own beginning (again
    and again, if need be), or with `drop_last` cut off.
    """
    ### BEGIN SOLUTION
    if shuffle:
        order = torch.randperm(length, generator=torch.Generator().manual_seed(seed + epoch))
    else:
        order = torch.arange(length)
    if drop_last:
        order = order[:length // world * world]
    elif length:
        total = -(-length // world) * world
        order = order.repeat(-(-total // length))[:total]
    return order[rank::world]
    ### END SOLUTION

# %% check="sampler"
check("sampler")

# %% solution="training"
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    """Train `net` as one of `world` ranks, for `steps` steps of `batch` examples over all ranks together.
    Returns its state_dict.

    Each epoch takes the examples in the order of `shard` (seed 0, drop_last), epoch 0, 1, 2 …; a
    step takes the next batch // world positions, and what is left at the end of an epoch, too few for
    a step, is left out. Loss: cross-entropy; SGD with this rate and momentum 0.9.
    after_step(step, loss): called after each step with this rank's loss, if it is there.
    """
    ### BEGIN SOLUTION
    ddp = DDP(net)
    optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9)
    step, epoch, share = 0, 0, batch // world
    while step < steps:
        positions = shard(len(images), rank, world, epoch, drop_last=True)
        for chosen in positions[:len(positions) // share * share].split(share):
            if step == steps:
                break
            loss = F.cross_entropy(ddp(images[chosen]), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            ddp.finish()
            optimizer.step()
            if after_step is not None:
                after_step(step, loss.item())
            step += 1
        epoch += 1
    return net.state_dict()
    ### END SOLUTION

# %% check="training"
check("training")
