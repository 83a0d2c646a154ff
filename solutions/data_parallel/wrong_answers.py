"""Mistakes people make in `data_parallel`, each with the sentence that helps. Each check must fail them, with that sentence.

Never released to learners. To add one: write the mistake as it would be written in the notebook, and its hint.
"""

import copy
import math

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call


# --- parts ---

@wrong("parts", hint="With fewer examples than devices some parts are empty. No part may be: there are at most as many parts as examples.")
def scatter(batch, count):
    return list(batch.tensor_split(count))


@wrong("parts", hint="`torch.chunk` rounds the size of a part up: the last one gets what is left, and there can be fewer parts than devices. "
                     "Sizes may differ by 1 at most; `tensor_split` does it so.")
def scatter(batch, count):
    return list(batch.chunk(count))


@wrong("parts", hint="The size of a part is rounded down, so that a part more than there are devices holds what is left. Spread the remainder over the "
                     "first parts.")
def scatter(batch, count):
    return list(batch.split(max(1, len(batch) // count)))


@wrong("parts", hint="The last part takes all of the remainder. Give one example more to each of the first parts, so that sizes differ by 1 at most.")
def scatter(batch, count):
    count = min(count, len(batch))
    size = len(batch) // count
    return [batch[at * size:(at + 1) * size if at + 1 < count else None] for at in range(count)]


@wrong("parts", hint="Examples are lost: the remainder of len(batch) / count is in no part.")
def scatter(batch, count):
    count = min(count, len(batch))
    size = len(batch) // count
    return [batch[at * size:(at + 1) * size] for at in range(count)]


@wrong("parts", hint="The larger parts come last. They should be first.")
def scatter(batch, count):
    return [part.flip(0) for part in batch.flip(0).tensor_split(min(count, len(batch)))][::-1]


@wrong("parts", hint="Every count-th example goes to a part. Parts are to be consecutive, so that the outputs, joined, are in the order of the batch.")
def scatter(batch, count):
    return [batch[first::count] for first in range(min(count, len(batch)))]


@wrong("parts", hint="All parts are single examples. There should be one part for each device, of len(batch) / count examples.")
def scatter(batch, count):
    return list(batch.split(1))


@wrong("parts", hint="This is the mean of the means. It is the mean over the batch only if all parts are of one size: weigh each with its size.")
def mean_of_parts(means, sizes):
    return sum(means) / len(means)


@wrong("parts", hint="The weighted sum isn't divided by the number of examples in all, sum(sizes).")
def mean_of_parts(means, sizes):
    return sum(size * mean for size, mean in zip(sizes, means))


@wrong("parts", hint="The weighted sum is divided by the number of parts. It should be the number of examples, sum(sizes).")
def mean_of_parts(means, sizes):
    return sum(size * mean for size, mean in zip(sizes, means)) / len(sizes)


@wrong("parts", hint="The weights are upside down: a large part should count more, not less. Its weight is size / sum(sizes).")
def mean_of_parts(means, sizes):
    return sum(mean / size for size, mean in zip(sizes, means)) / sum(1 / size for size in sizes)


@wrong("parts", hint="The mean goes over the entries of the tensors too, so that a single number comes out. Only the parts are averaged, entry by entry.")
def mean_of_parts(means, sizes):
    return sum(size * mean.mean() for size, mean in zip(sizes, means)) / sum(sizes)


@wrong("parts", hint="Only the largest part counts here.")
def mean_of_parts(means, sizes):
    return means[max(range(len(sizes)), key=lambda part: sizes[part])]


@wrong("parts", hint="`mean_of_parts` changes the means that it is given: `mul_` and `*=` write into the caller's tensors. Make new ones: `size * mean`.")
def mean_of_parts(means, sizes):
    for mean, size in zip(means, sizes):
        mean.mul_(size)
    return sum(means) / sum(sizes)


# --- replicas ---

@wrong("replicas", hint="The batch is split by `torch.chunk`, which leaves devices without work where `scatter` doesn't. Take your own `scatter`.")
def data_parallel(net, x, devices, move):
    def one(device, part):
        here = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(copy.deepcopy(net), here, (move(part, device),))

    outputs = in_threads([lambda device=device, part=part: one(device, part) for device, part in zip(devices, x.chunk(len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The buffers stay where they were. A device computes with them too: move `net.named_buffers()` like the parameters.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in net.named_parameters()}
        return functional_call(net, there, (move(part, device),))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The outputs are joined without having been moved. Each is on its own device: `move(output, devices[0])` first.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (move(part, device),))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat(outputs)


@wrong("replicas", hint="`torch.cat` is given tensors of several devices, which fails on real ones. Move each output first, then join them.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (move(part, device),))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return move(torch.cat(outputs), devices[0])


@wrong("replicas", hint="The outputs are joined in another order than the parts of x were.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (move(part, device),))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat([move(output, devices[0]) for output in reversed(outputs)])


@wrong("replicas", hint="The replicas are copies without a way back (`load_state_dict` copies outside of autograd): no gradient reaches the parameters of `net`. Compute with what `move` gives for the "
                        "parameters themselves, not with copies of the data.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        replica = copy.deepcopy(net)
        for tensor in (*replica.parameters(), *replica.buffers()):
            tensor.data = move(tensor.data, device)
        return replica(move(part, device))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="Nothing that is computed here has a gradient: the forward pass runs under `torch.no_grad()`, or its output is detached.")
def data_parallel(net, x, devices, move):
    @torch.no_grad()
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (move(part, device),))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="No gradient finds its way back to the input: the parts of x are detached.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (move(part.detach(), device),))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The net goes to every device, also to one without a part. With fewer examples than devices the last ones get nothing.")
def data_parallel(net, x, devices, move):
    state = {device: {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())} for device in devices}
    outputs = [functional_call(net, state[device], (move(part, device),)) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The parts of x stay where they were. Each has to arrive on its device by `move`.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (part,))

    outputs = [forward(device, part) for device, part in zip(devices, scatter(x, len(devices)))]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The whole batch travels to every device, which then takes its part. Scatter first, and move the part.")
def data_parallel(net, x, devices, move):
    used = devices[:min(len(devices), len(x))]

    def forward(number, device):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (scatter(move(x, device), len(devices))[number],))

    outputs = [forward(number, device) for number, device in enumerate(used)]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The first device computes with `net` itself. What it computes with should come by `move` as well, so that all devices are alike.")
def data_parallel(net, x, devices, move):
    outputs = []
    for number, (device, part) in enumerate(zip(devices, scatter(x, len(devices)))):
        if number == 0:
            outputs.append(net(part))
        else:
            there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
            outputs.append(move(functional_call(net, there, (move(part, device),)), devices[0]))
    return torch.cat(outputs)


@wrong("replicas", hint="The net is handed on from device to device. It should come to each of them straight from `net`, in one move.")
def data_parallel(net, x, devices, move):
    state, outputs = {**dict(net.named_parameters()), **dict(net.named_buffers())}, []
    for device, part in zip(devices, scatter(x, len(devices))):
        state = {name: move(tensor, device) for name, tensor in state.items()}
        outputs.append(functional_call(net, state, (move(part, device),)))
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The outputs are gathered on the last device. They belong on devices[0].")
def data_parallel(net, x, devices, move):
    used = list(zip(devices, scatter(x, len(devices))))
    there = lambda device: {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
    outputs = [functional_call(net, there(device), (move(part, device),)) for device, part in used]
    return torch.cat([move(output, used[-1][0]) for output in outputs])


@wrong("replicas", hint="Two threads call one and the same net at once. `functional_call` puts the tensors into the net that it is given, and takes them out "
                        "again; so each thread needs a net of its own, `copy.deepcopy(net)`.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(net, there, (move(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, scatter(x, len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="All parts are computed on devices[0]. Each has a device of its own.")
def data_parallel(net, x, devices, move):
    there = {name: move(tensor, devices[0]) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
    outputs = [functional_call(net, there, (move(part, devices[0]),)) for part in scatter(x, len(devices))]
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="All devices compute the last part: a lambda in a loop keeps the variable, and not what it stood for. "
                        "`lambda device=device, part=part: forward(device, part)`.")
def data_parallel(net, x, devices, move):
    used = list(zip(devices, scatter(x, len(devices))))

    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(copy.deepcopy(net), there, (move(part, device),))

    calls = []
    for device, part in used:
        calls.append(lambda: forward(device, part))
    return torch.cat([move(output, devices[0]) for output in in_threads(calls)])


@wrong("replicas", hint="The replicas are copies that were never moved: no parameter has travelled to a device, and no gradient finds its way back. Move each of "
                        "`net.named_parameters()`, and call the net with those by `functional_call`.")
def data_parallel(net, x, devices, move):
    used = list(zip(devices, scatter(x, len(devices))))
    outputs = in_threads([lambda device=device, part=part: copy.deepcopy(net)(move(part, device)) for device, part in used])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The replicas are in eval mode, whatever the net is in. Dropout and batch norm compute something else there: leave the mode as it is.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(copy.deepcopy(net).eval(), there, (move(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, scatter(x, len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="Two threads call one and the same net at once.")
def data_parallel(net, x, devices, move):
    replica = copy.deepcopy(net)  # one for all

    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(replica, there, (move(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, scatter(x, len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="The net and the part stay where they are on devices[0]. Every device gets them by `move`, the first one too.")
def data_parallel(net, x, devices, move):
    there = lambda tensor, device: tensor if device == devices[0] else move(tensor, device)

    def forward(device, part):
        state = {name: there(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(copy.deepcopy(net), state, (there(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, scatter(x, len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="Nothing arrives on devices[0]: what is to go there is taken as it is, the outputs of the other devices too. Every journey is "
                        "made by `move`, also one to the first device.")
def data_parallel(net, x, devices, move):
    there = lambda tensor, device: tensor if device == devices[0] else move(tensor, device)

    def forward(device, part):
        state = {name: there(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(copy.deepcopy(net), state, (there(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, scatter(x, len(devices)))])
    return torch.cat([there(output, devices[0]) for output in outputs])


@wrong("replicas", hint="devices[0] computes with a copy of the net, whose parameters haven't come by `move` and lead no gradient back. Treat the first "
                        "device like all the others.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        if device == devices[0]:
            return copy.deepcopy(net)(part)
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(copy.deepcopy(net), there, (move(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, scatter(x, len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="Some parts are empty, and the net travels to their devices too. Split x with your `scatter`: a device without a part gets nothing.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in (*net.named_parameters(), *net.named_buffers())}
        return functional_call(copy.deepcopy(net), there, (move(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, x.tensor_split(len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


@wrong("replicas", hint="A weight that the net uses twice comes in under both of its names, as two tensors. That is how `net.state_dict()` has it; and its tensors are "
                        "detached, so that no gradient would find its way back. Move `net.named_parameters()` and `net.named_buffers()`, which have each once.")
def data_parallel(net, x, devices, move):
    def forward(device, part):
        there = {name: move(tensor, device) for name, tensor in net.state_dict().items()}
        return functional_call(copy.deepcopy(net), there, (move(part, device),))

    outputs = in_threads([lambda each=each: forward(*each) for each in zip(devices, scatter(x, len(devices)))])
    return torch.cat([move(output, devices[0]) for output in outputs])


# --- star ---

@wrong("star", hint="Every rank sends to all the others here, so that all wait for somebody to receive. Only the root sends; the others receive from it.")
def star_broadcast(tensor, root):
    for other in range(dist.get_world_size()):
        if other != dist.get_rank():
            dist.send(tensor, other)
    if dist.get_rank() != root:
        dist.recv(tensor, root)


@wrong("star", hint="The root waits for messages, and the others send: that's the way of a reduce. In a broadcast the root sends.")
def star_broadcast(tensor, root):
    if dist.get_rank() == root:
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(tensor, other)
    else:
        dist.send(tensor, root)


@wrong("star", hint="The root sends to itself too, which `dist.send` refuses. Leave the root out of the loop.")
def star_broadcast(tensor, root):
    if dist.get_rank() == root:
        for other in range(dist.get_world_size()):
            dist.send(tensor, other)
    else:
        dist.recv(tensor, root)


@wrong("star", hint="Rank 0 is taken for the root in the broadcast, whatever `root` says.")
def star_broadcast(tensor, root):
    if dist.get_rank() == 0:
        for other in range(1, dist.get_world_size()):
            dist.send(tensor, other)
    else:
        dist.recv(tensor, 0)


@wrong("star", hint="The last rank is taken for the root in the broadcast, whatever `root` says.")
def star_broadcast(tensor, root):
    last = dist.get_world_size() - 1
    if dist.get_rank() == last:
        for other in range(last):
            dist.send(tensor, other)
    else:
        dist.recv(tensor, last)


@wrong("star", hint="The root sends to the ranks from 1 on: with another root than 0, one of them is the root itself, and rank 0 gets nothing.")
def star_broadcast(tensor, root):
    if dist.get_rank() == root:
        for other in range(1, dist.get_world_size()):
            if other != root:
                dist.send(tensor, other)
    else:
        dist.recv(tensor, root)


@wrong("star", hint="The root sends to ranks 1 to N − 1. If it isn't rank 0, it is among them and sends to itself, and rank 0 gets nothing: "
                     "go through all ranks, and leave out the root.")
def star_broadcast(tensor, root):
    if dist.get_rank() == root:
        for other in range(1, dist.get_world_size()):
            dist.send(tensor, other)
    else:
        dist.recv(tensor, root)


@wrong("star", hint="The root receives from ranks 1 to N − 1. If it isn't rank 0, it is among them and waits for itself, and rank 0 isn't heard: "
                     "go through all ranks, and leave out the root.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived = torch.empty_like(tensor)
        for other in range(1, dist.get_world_size()):
            dist.recv(arrived, other)
            tensor += arrived
    else:
        dist.send(tensor, root)


@wrong("star", hint="What is received stands in a new tensor, and the caller's stays as it was. Receive into `tensor` itself, or copy into it.")
def star_broadcast(tensor, root):
    if dist.get_rank() == root:
        for other in range(dist.get_world_size()):
            if other != root:
                dist.send(tensor, other)
    else:
        arrived = torch.empty_like(tensor)
        dist.recv(arrived, root)
        tensor = arrived


@wrong("star", hint="This is torch's own broadcast. The exercise is to build it from `dist.send` and `dist.recv`.")
def star_broadcast(tensor, root):
    dist.broadcast(tensor, root)


@wrong("star", hint="The ranks hand the tensor on from one to the next: that is a chain. In a star the root sends to each of the others itself.")
def star_broadcast(tensor, root):
    world = dist.get_world_size()
    place = (dist.get_rank() - root) % world
    if place > 0:
        dist.recv(tensor, (dist.get_rank() - 1) % world)
    if place < world - 1:
        dist.send(tensor, (dist.get_rank() + 1) % world)


@wrong("star", hint="The root's own tensor isn't in the sum.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived, total = torch.empty_like(tensor), torch.zeros_like(tensor)
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(arrived, other)
                total += arrived
        tensor.copy_(total)
    else:
        dist.send(tensor, root)


@wrong("star", hint="The ranks that aren't the root have lost their tensors. A reduce leaves theirs as they were.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived = torch.empty_like(tensor)
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(arrived, other)
                tensor += arrived
    else:
        dist.send(tensor, root)
        tensor.zero_()


@wrong("star", hint="All ranks end with the sum: this is an all-reduce. In a reduce only the root's tensor changes.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived = torch.empty_like(tensor)
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(arrived, other)
                tensor += arrived
    else:
        dist.send(tensor, root)
    star_broadcast(tensor, root)


@wrong("star", hint="Each message is received into `tensor` and overwrites what was there. Receive into a tensor apart, and add that.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(tensor, other)
    else:
        dist.send(tensor, root)


@wrong("star", hint="The root's tensor stays as it was: the sum is in a new one, as `tensor = tensor + arrived` makes it. Add in place, `tensor += arrived`, or copy "
                     "the sum into it.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived = torch.empty_like(tensor)
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(arrived, other)
                tensor = tensor + arrived
    else:
        dist.send(tensor, root)


@wrong("star", hint="The root has the mean. The sum is asked for.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived = torch.empty_like(tensor)
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(arrived, other)
                tensor += arrived
        tensor /= dist.get_world_size()
    else:
        dist.send(tensor, root)


@wrong("star", hint="Rank 0 is taken for the root in the reduce, whatever `root` says.")
def star_reduce(tensor, root):
    if dist.get_rank() == 0:
        arrived = torch.empty_like(tensor)
        for other in range(1, dist.get_world_size()):
            dist.recv(arrived, other)
            tensor += arrived
    else:
        dist.send(tensor, 0)


@wrong("star", hint="All messages are received into one tensor before the first is added, so that the last one counts for all. Give each its own.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived = torch.empty_like(tensor)
        others = [other for other in range(dist.get_world_size()) if other != root]
        for work in [dist.irecv(arrived, other) for other in others]:
            work.wait()
        tensor += len(others) * arrived
    else:
        dist.send(tensor, root)


@wrong("star", hint="This is torch's own reduce. The exercise is to build it from `dist.send` and `dist.recv`.")
def star_reduce(tensor, root):
    own = tensor.clone()
    dist.reduce(tensor, root)
    if dist.get_rank() != root:
        tensor.copy_(own)


@wrong("star", hint="`arrived = tensor` is the root's own tensor under a second name, so that each message overwrites the sum. Receive into `torch.empty_like(tensor)`.")
def star_reduce(tensor, root):
    if dist.get_rank() == root:
        arrived = tensor
        for other in range(dist.get_world_size()):
            if other != root:
                dist.recv(arrived, other)
                tensor += arrived
    else:
        dist.send(tensor, root)


@wrong("star", hint="Each rank adds its own and hands the sum on to the next: that is a chain. In a star each of the others sends to the root itself.")
def star_reduce(tensor, root):
    world = dist.get_world_size()
    place, total = (dist.get_rank() - root) % world, tensor.clone()
    if place < world - 1:
        arrived = torch.empty_like(tensor)
        dist.recv(arrived, (dist.get_rank() + 1) % world)
        total += arrived
    if place:
        dist.send(total, (dist.get_rank() - 1) % world)
    else:
        tensor.copy_(total)


@wrong("star", hint="`dist.isend` only begins to send, and nobody waits for it. A send whose handle is dropped may never arrive: `dist.send`, or `wait()` before you return.")
def star_broadcast(tensor, root):
    if dist.get_rank() == root:
        for other in range(dist.get_world_size()):
            if other != root:
                dist.isend(tensor, other)
    else:
        dist.recv(tensor, root)


# --- ring ---

def _ring(tensor, chunks, gather=True, add=True, copy=True, off=1, way=1, last=0):
    rank, world, chunks = dist.get_rank(), dist.get_world_size(), list(chunks)
    for phase in range(1 + gather):
        for step in range(world - 1 - phase * last):
            leaving = (rank - way * (step - phase * off)) % world
            coming = (leaving - way) % world
            arrived = torch.empty_like(chunks[coming])
            sent = dist.isend(chunks[leaving], (rank + way) % world)
            dist.recv(arrived, (rank - way) % world)
            sent.wait()
            if not copy if phase else add:
                chunks[coming] += arrived
            else:
                chunks[coming].copy_(arrived)


@wrong("ring", hint="The chunks are counted up: a rank sends on a chunk that nobody has added to. Count them down with the steps: what came in at one step, chunk "
                    "(rank − step − 1) mod N, is what leaves at the next.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = list(tensor.view(-1).tensor_split(world))
    for step in range(world - 1):
        sent, arrived = dist.isend(chunks[(rank + step) % world], (rank + 1) % world), torch.empty_like(chunks[(rank + step - 1) % world])
        dist.recv(arrived, (rank - 1) % world)
        sent.wait()
        chunks[(rank + step - 1) % world] += arrived
    for step in range(world - 1):
        sent = dist.isend(chunks[(rank + 1 + step) % world], (rank + 1) % world)
        dist.recv(chunks[(rank + step) % world], (rank - 1) % world)
        sent.wait()


@wrong("ring", hint="At every step a rank sends its own chunk. It is the one that came in at the step before that goes on, with this rank's part added.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = list(tensor.view(-1).tensor_split(world))
    for step in range(world - 1):
        sent, arrived = dist.isend(chunks[rank], (rank + 1) % world), torch.empty_like(chunks[(rank - 1) % world])
        dist.recv(arrived, (rank - 1) % world)
        sent.wait()
        chunks[(rank - 1) % world] += arrived
    for step in range(world - 1):
        sent = dist.isend(chunks[(rank + 1 - step) % world], (rank + 1) % world)
        dist.recv(chunks[(rank - step) % world], (rank - 1) % world)
        sent.wait()


@wrong("ring", hint="Only the reduce-scatter is done: each rank has one whole chunk, and parts of the others. The all-gather is missing.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()), gather=False)


@wrong("ring", hint="The all-gather starts with the wrong chunk. After the reduce-scatter rank r holds the whole sum of chunk r + 1, and sends that on first.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()), off=0)


@wrong("ring", hint="The all-gather starts with chunk r + 2. After the reduce-scatter rank r holds the whole sum of chunk r + 1.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()), off=2)


@wrong("ring", hint="In the all-gather chunks are added to what stands there. They are whole sums already, and take its place.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()), copy=False)


@wrong("ring", hint="In the reduce-scatter a chunk that arrives takes the place of the rank's own. It is to be added: receive into a tensor apart, "
                     "`torch.empty_like(chunk)`, and add that.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()), add=False)


@wrong("ring", hint="The all-gather stops a step early: it takes N − 1 steps too.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()), last=1)


@wrong("ring", hint="The ring turns the other way: a rank sends to the one before it. It should send to (rank + 1) mod N.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()), way=-1)


@wrong("ring", hint="The sum is divided by the number of ranks. The sum itself is asked for.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()))
    tensor /= dist.get_world_size()


@wrong("ring", hint="The caller's tensor stays as it was. Either the ring runs on a copy (`view(-1)` is the tensor itself, `clone()` isn't), or `chunks[i] = …` replaces the "
                     "list's entry: write into the chunk, by `+=` or `copy_`.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.clone().view(-1).tensor_split(dist.get_world_size()))


@wrong("ring", hint="The tensor is cut along its first dimension, so that chunks differ by a whole row, and a single number can't be cut. Cut `tensor.view(-1)`.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.tensor_split(dist.get_world_size()) if tensor.ndim else [tensor, tensor.view(1)[:0]])


@wrong("ring", hint="A tensor smaller than the world gives fewer chunks than ranks. `tensor_split` makes empty ones where `chunk` makes none.")
def ring_all_reduce(tensor):
    _ring(tensor, tensor.view(-1).chunk(dist.get_world_size()))


@wrong("ring", hint="The remainder of the size divided by N is in no chunk, and isn't summed.")
def ring_all_reduce(tensor):
    world = dist.get_world_size()
    size = tensor.numel() // world
    _ring(tensor, [tensor.view(-1)[at * size:(at + 1) * size] for at in range(world)])


@wrong("ring", hint="The tensor is padded to a multiple of N, and the padding travels too. Chunks may be of different sizes, also empty.")
def ring_all_reduce(tensor):
    world = dist.get_world_size()
    padded = F.pad(tensor.view(-1), (0, -tensor.numel() % world))
    _ring(padded, padded.view(world, -1))
    tensor.copy_(padded[:tensor.numel()].view_as(tensor))


@wrong("ring", hint="Whole tensors go round the ring, N − 1 of them from each rank. Cut it into N chunks, and send one of those in each step.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    leaving = tensor.clone()
    for _ in range(world - 1):
        arrived = torch.empty_like(tensor)
        sent = dist.isend(leaving, (rank + 1) % world)
        dist.recv(arrived, (rank - 1) % world)
        sent.wait()
        tensor += arrived
        leaving = arrived


@wrong("ring", hint="All ranks send first, and wait until somebody receives: nobody ever does. Use `dist.isend`, receive, and wait for it afterwards.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.view(-1).tensor_split(world)
    for phase in range(2):
        for step in range(world - 1):
            leaving = (rank - step + phase) % world
            arrived = torch.empty_like(chunks[leaving - 1])
            dist.send(chunks[leaving], (rank + 1) % world)
            dist.recv(arrived, (rank - 1) % world)
            chunks[leaving - 1].copy_(arrived if phase else chunks[leaving - 1] + arrived)


@wrong("ring", hint="All ranks receive first, and nobody sends. Start the send with `dist.isend` before you wait for what arrives.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.view(-1).tensor_split(world)
    for phase in range(2):
        for step in range(world - 1):
            leaving = (rank - step + phase) % world
            arrived = torch.empty_like(chunks[leaving - 1])
            dist.recv(arrived, (rank - 1) % world)
            dist.send(chunks[leaving], (rank + 1) % world)
            chunks[leaving - 1].copy_(arrived if phase else chunks[leaving - 1] + arrived)


@wrong("ring", hint="A world of one rank sends to itself, which `dist.isend` refuses. With N = 1 there are no steps: 2(N − 1) = 0.")
def ring_all_reduce(tensor):
    if dist.get_world_size() == 1:
        dist.isend(tensor, dist.get_rank()).wait()
    _ring(tensor, tensor.view(-1).tensor_split(dist.get_world_size()))


@wrong("ring", hint="This is the star: all goes through rank 0. In a ring each rank sends to the next one only, chunk by chunk.")
def ring_all_reduce(tensor):
    star_reduce(tensor, 0)
    star_broadcast(tensor, 0)


@wrong("ring", hint="The sum is found on the way round, and the whole of it is then passed on from rank to rank. It's a chain: cut the tensor into chunks, so that "
                    "all ranks are busy at each step.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    arrived, after = torch.empty_like(tensor), (rank + 1) % world
    if rank > 0:
        dist.recv(arrived, rank - 1)
        tensor += arrived
    if world > 1:
        dist.send(tensor, after)
    if rank < world - 1:
        dist.recv(tensor, (rank - 1) % world)
    if rank < world - 2:
        dist.send(tensor, after)


@wrong("ring", hint="This is torch's own all-reduce. The exercise is to build it from `dist.isend` and `dist.recv`.")
def ring_all_reduce(tensor):
    dist.all_reduce(tensor)


@wrong("ring", hint="What the all-gather brings isn't copied into the tensor: `chunk = arrived` only changes what a name stands for. `chunk.copy_(arrived)`.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = list(tensor.view(-1).tensor_split(world))
    for phase in (0, 1):
        for step in range(world - 1):
            leaving = (rank - step + phase) % world
            arrived = torch.empty_like(chunks[(leaving - 1) % world])
            sent = dist.isend(chunks[leaving], (rank + 1) % world)
            dist.recv(arrived, (rank - 1) % world)
            sent.wait()
            if phase:
                chunks[(leaving - 1) % world] = arrived
            else:
                chunks[(leaving - 1) % world] += arrived


@wrong("ring", hint="or `chunks[i] = …` replaces the list's entry: write into the chunk, by `+=` or `copy_`.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = list(tensor.view(-1).tensor_split(world))
    for step in range(2 * (world - 1)):
        coming = (rank - step - 1) % world
        arrived = torch.empty_like(chunks[coming])
        sent = dist.isend(chunks[(rank - step) % world], (rank + 1) % world)
        dist.recv(arrived, (rank - 1) % world)
        sent.wait()
        chunks[coming] = chunks[coming] + arrived if step < world - 1 else arrived


@wrong("ring", hint="Nobody waits for the sends. One whose handle is dropped may never arrive, and the caller may change the tensor while the last chunk is on its way: "
                    "keep what `dist.isend` gives back, and `wait()` for it.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.view(-1).tensor_split(world)
    for step in range(2 * (world - 1)):
        dist.isend(chunks[(rank - step) % world], (rank + 1) % world)
        mine = chunks[(rank - step - 1) % world]
        arrived = torch.empty_like(mine)
        dist.recv(arrived, (rank - 1) % world)
        if step < world - 1:
            mine += arrived
        else:
            mine.copy_(arrived)


@wrong("ring", hint="It is to be added: receive into a tensor apart")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.view(-1).tensor_split(world)
    for step in range(2 * (world - 1)):
        sent = dist.isend(chunks[(rank - step) % world], (rank + 1) % world)
        dist.recv(chunks[(rank - step - 1) % world], (rank - 1) % world)
        sent.wait()


@wrong("ring", hint="What arrives is received straight into the chunk, and then the chunk is added to itself. Receive into a tensor of its own, and add that.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.view(-1).tensor_split(world)
    for step in range(2 * (world - 1)):
        mine = chunks[(rank - step - 1) % world]
        sent = dist.isend(chunks[(rank - step) % world], (rank + 1) % world)
        dist.recv(mine, (rank - 1) % world)
        sent.wait()
        if step < world - 1:
            mine += mine


@wrong("ring", hint="Chunks are added once too often: the first half is of N − 1 steps, 0 … N − 2. If you count steps through both halves, add while `step < N − 1`.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.view(-1).tensor_split(world)
    for step in range(2 * (world - 1)):
        mine = chunks[(rank - step - 1) % world]
        arrived = torch.empty_like(mine)
        sent = dist.isend(chunks[(rank - step) % world], (rank + 1) % world)
        dist.recv(arrived, (rank - 1) % world)
        sent.wait()
        mine.copy_(mine + arrived if step <= world - 1 else arrived)


@wrong("ring", hint="Each half has a step too many: N − 1 are enough to sum a chunk, and N − 1 to bring it to all. `range(world - 1)`.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    if world == 1:
        return
    chunks = tensor.view(-1).tensor_split(world)
    for phase in range(2):
        for step in range(world):
            mine = chunks[(rank - step + phase - 1) % world]
            arrived = torch.empty_like(mine)
            sent = dist.isend(chunks[(rank - step + phase) % world], (rank + 1) % world)
            dist.recv(arrived, (rank - 1) % world)
            sent.wait()
            mine.copy_(arrived if phase else mine + arrived)


@wrong("ring", hint="A rank sends to the one before it, and receives from that one too: nobody receives what is sent. Send to (rank + 1) mod N, receive from "
                    "(rank − 1) mod N.")
def ring_all_reduce(tensor):
    rank, world = dist.get_rank(), dist.get_world_size()
    chunks = tensor.view(-1).tensor_split(world)
    for step in range(2 * (world - 1)):
        mine = chunks[(rank - step - 1) % world]
        arrived = torch.empty_like(mine)
        sent = dist.isend(chunks[(rank - step) % world], (rank - 1) % world)
        dist.recv(arrived, (rank - 1) % world)
        sent.wait()
        mine.copy_(mine + arrived if step < world - 1 else arrived)


# --- naive_ddp ---

@wrong("naive_ddp", hint="Which gradients are there is guessed from the sums: where a rank has none, and the others' are 0, it keeps None. The ranks have to tell "
                         "each other which ones they have.")
def average_gradients(net):
    for parameter in net.parameters():
        if parameter.requires_grad:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(gradient)
            if parameter.grad is not None or gradient.any():
                parameter.grad = gradient / dist.get_world_size()


@wrong("naive_ddp", hint="A frozen parameter's gradient is taken away. What doesn't train is left as it is: leave it out altogether.")
def average_gradients(net):
    for parameter in net.parameters():
        used = torch.tensor(int(parameter.grad is not None))
        dist.all_reduce(used)
        if used and parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
        else:
            parameter.grad = None


@wrong("naive_ddp", hint="The mean is taken twice: each rank divides its gradients by the number of ranks before they are summed, and the sum once more.")
def average_gradients(net):
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    used = torch.tensor([parameter.grad is not None for parameter in parameters], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, count in zip(parameters, used.tolist()):
        if count:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad / dist.get_world_size()
            dist.all_reduce(gradient)
            parameter.grad = gradient / dist.get_world_size()


@wrong("naive_ddp", hint="The tensors are right, but they are packed as a Python object, which is pickled on one rank and unpickled on the others. Send each tensor "
                         "itself: `dist.broadcast(tensor, 0)`.")
def broadcast_module(net):
    box = [net.state_dict()]
    dist.broadcast_object_list(box, src=0)
    net.load_state_dict(box[0])


@wrong("naive_ddp", hint="Only the parameters are broadcast. The buffers belong to the net as well: `net.buffers()`.")
def broadcast_module(net):
    for parameter in net.parameters():
        dist.broadcast(parameter.detach(), 0)


@wrong("naive_ddp", hint="Frozen parameters aren't broadcast. The net computes with them too, so all ranks need rank 0's.")
def broadcast_module(net):
    for tensor in (*(p for p in net.parameters() if p.requires_grad), *net.buffers()):
        dist.broadcast(tensor.detach(), 0)


@wrong("naive_ddp", hint="Buffers of whole numbers, such as a count of batches, aren't broadcast.")
def broadcast_module(net):
    for tensor in (*net.parameters(), *net.buffers()):
        if tensor.is_floating_point():
            dist.broadcast(tensor.detach(), 0)


@wrong("naive_ddp", hint="What arrives stands in copies, and the net stays as it was. Broadcast the tensors themselves: `parameter.detach()` shares the memory, "
                         "`clone()` doesn't.")
def broadcast_module(net):
    for tensor in (*net.parameters(), *net.buffers()):
        dist.broadcast(tensor.detach().clone(), 0)


@wrong("naive_ddp", hint="The last rank's values are broadcast. All begin with rank 0's.")
def broadcast_module(net):
    for tensor in (*net.parameters(), *net.buffers()):
        dist.broadcast(tensor.detach(), dist.get_world_size() - 1)


@wrong("naive_ddp", hint="Every rank names itself as the source. All ranks must name the same one: rank 0.")
def broadcast_module(net):
    for tensor in (*net.parameters(), *net.buffers()):
        dist.broadcast(tensor.detach(), dist.get_rank())


@wrong("naive_ddp", hint="Only rank 0 calls the broadcast. It's a collective: every rank calls it, the one that sends and those that receive.")
def broadcast_module(net):
    if dist.get_rank() == 0:
        for tensor in (*net.parameters(), *net.buffers()):
            dist.broadcast(tensor.detach(), 0)


@wrong("naive_ddp", hint="The ranks begin with the mean of all their weights. Random weights, averaged, are smaller than they should be: take rank 0's.")
def broadcast_module(net):
    for tensor in (*net.parameters(), *net.buffers()):
        dist.all_reduce(tensor.detach())
        tensor.detach().copy_(tensor.detach() / dist.get_world_size())


@wrong("naive_ddp", hint="Gradients are summed and not averaged. Divide by the number of ranks.")
def average_gradients(net):
    trained = [p for p in net.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad)


@wrong("naive_ddp", hint="The sum is divided by the number of ranks that have the gradient. A missing one counts as zeros: divide by the number of all ranks.")
def average_gradients(net):
    trained = [p for p in net.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad)
            parameter.grad /= ranks


@wrong("naive_ddp", hint="A rank leaves out the parameters that have no gradient there, while another one sums theirs: the all-reduces no longer fit each "
                         "other. Every rank takes part in each, with zeros if need be.")
def average_gradients(net):
    for parameter in net.parameters():
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="A parameter that no rank has a gradient for gets zeros. It should stay None: an optimiser moves what has a gradient, by momentum and by "
                         "weight decay also where that is 0.")
def average_gradients(net):
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="Frozen parameters get a gradient. Leave out those whose `requires_grad` is False.")
def average_gradients(net):
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        dist.all_reduce(parameter.grad)
        parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="A frozen parameter's gradient is averaged. It may still hold one from before it was frozen, and keeps it: leave out those whose "
                         "`requires_grad` is False.")
def average_gradients(net):
    parameters = list(net.parameters())
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(parameters, used.tolist()):
        if ranks:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="A rank that has no gradient itself is left without one, though others have it: it should get the mean too, or the ranks drift apart.")
def average_gradients(net):
    for parameter in net.parameters():
        if parameter.requires_grad:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(gradient)
            if parameter.grad is not None:
                parameter.grad = gradient / dist.get_world_size()


@wrong("naive_ddp", hint="A weight that is used twice in the net is averaged twice. `net.parameters()` gives it once; the state dict, or names with duplicates, twice.")
def average_gradients(net):
    trained = [p for _, p in net.named_parameters(remove_duplicate=False) if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="All ranks get rank 0's gradients, and what the others have computed is lost. Sum them: `dist.all_reduce`.")
def average_gradients(net):
    used = torch.tensor([p.grad is not None for p in net.parameters()], dtype=torch.int32)
    dist.broadcast(used, 0)
    for parameter, there in zip(net.parameters(), used.tolist()):
        if there:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.broadcast(parameter.grad, 0)
        else:
            parameter.grad = None


@wrong("naive_ddp", hint="Only rank 0 gets the sum: that is what `dist.reduce` does. All ranks need it, or they step apart.")
def average_gradients(net):
    trained = [p for p in net.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.reduce(parameter.grad, 0)
            parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="The weights are averaged, and the gradients left as they are.")
def average_gradients(net):
    for parameter in net.parameters():
        dist.all_reduce(parameter.detach())
        parameter.detach().copy_(parameter.detach() / dist.get_world_size())


@wrong("naive_ddp", hint="The all-reduce is launched with `async_op=True`, and nobody waits for it: the sum isn't there yet when it is divided.")
def average_gradients(net):
    trained = [p for p in net.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad, async_op=True)
            parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="A missing gradient is guessed from zeros: one that is there and is 0 isn't missing. Ask `grad is None` on each rank, and let the ranks tell each "
                         "other.")
def average_gradients(net):
    for parameter in net.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()
            if not parameter.grad.any():
                parameter.grad = None


@wrong("naive_ddp", hint="Only gradients that all ranks have are averaged. One that some ranks have counts too, with zeros for the others, and all get the mean.")
def average_gradients(net):
    trained = [p for p in net.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks == dist.get_world_size():
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


@wrong("naive_ddp", hint="The mean is computed and not put into `parameter.grad`: `gradient = gradient / world` is a new tensor. Write it there, also where it was None.")
def average_gradients(net):
    trained = [p for p in net.parameters() if p.requires_grad]
    used = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(used)
    for parameter, ranks in zip(trained, used.tolist()):
        if ranks:
            gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            dist.all_reduce(gradient)
            gradient = gradient / dist.get_world_size()


# --- buckets ---

@wrong("buckets", hint="The buckets go from the first parameter to the last. Backward starts at the last: `reversed(range(len(sizes)))`.")
def assign_buckets(sizes, cap):
    buckets, held = [], cap
    for position in range(len(sizes)):
        if held >= cap:
            buckets.append([])
            held = 0
        buckets[-1].append(position)
        held += sizes[position]
    return buckets


@wrong("buckets", hint="Buckets are made from the first parameter on, and put into reverse order afterwards. That gives other buckets: begin with the last parameter.")
def assign_buckets(sizes, cap):
    buckets, held = [], cap
    for position in range(len(sizes)):
        if held >= cap:
            buckets.append([])
            held = 0
        buckets[-1].append(position)
        held += sizes[position]
    return [bucket[::-1] for bucket in buckets[::-1]]


@wrong("buckets", hint="Buckets are made from the first parameter on, and only their order is turned round. Begin with the last parameter: that gives other buckets.")
def assign_buckets(sizes, cap):
    buckets, held = [], cap
    for position in range(len(sizes)):
        if held >= cap:
            buckets.append([])
            held = 0
        buckets[-1].append(position)
        held += sizes[position]
    return buckets[::-1]


@wrong("buckets", hint="A bucket is closed before it would exceed the cap. It is full only when it has reached the cap, so it may hold more.")
def assign_buckets(sizes, cap):
    buckets, held = [], cap
    for position in reversed(range(len(sizes))):
        if not buckets or held + sizes[position] > cap:
            buckets.append([])
            held = 0
        buckets[-1].append(position)
        held += sizes[position]
    return buckets


@wrong("buckets", hint="A bucket that holds exactly `cap` bytes is still filled. It has reached the cap, and is full: `>=`, not `>`.")
def assign_buckets(sizes, cap):
    buckets, held = [], math.inf
    for position in reversed(range(len(sizes))):
        if held > cap:
            buckets.append([])
            held = 0
        buckets[-1].append(position)
        held += sizes[position]
    return buckets


@wrong("buckets", hint="The bytes held aren't set back to 0 for a new bucket, so that all after the first are of one parameter.")
def assign_buckets(sizes, cap):
    buckets, held = [[]] if sizes else [], 0
    for position in reversed(range(len(sizes))):
        if held >= cap:
            buckets.append([])
        buckets[-1].append(position)
        held += sizes[position]
    return buckets


@wrong("buckets", hint="A new bucket begins with the bytes by which the one before went beyond the cap. They have left with that one: begin at 0.")
def assign_buckets(sizes, cap):
    buckets, bucket, held = [], [], 0
    for position in reversed(range(len(sizes))):
        bucket.append(position)
        held += sizes[position]
        if held >= cap:
            buckets.append(bucket)
            bucket = []
            held -= cap
    return buckets + [bucket] if bucket else buckets


@wrong("buckets", hint="The last bucket is lost where it isn't full. Its gradients have to travel as well.")
def assign_buckets(sizes, cap):
    buckets, bucket, held = [], [], 0
    for position in reversed(range(len(sizes))):
        bucket.append(position)
        held += sizes[position]
        if held >= cap:
            buckets.append(bucket)
            bucket, held = [], 0
    return buckets


@wrong("buckets", hint="There is an empty bucket: at the end when the last one is exactly full, and where there are no parameters at all.")
def assign_buckets(sizes, cap):
    buckets, held = [[]], 0
    for position in reversed(range(len(sizes))):
        buckets[-1].append(position)
        held += sizes[position]
        if held >= cap:
            buckets.append([])
            held = 0
    return buckets


@wrong("buckets", hint="The buckets hold sizes. They should hold positions in `sizes`.")
def assign_buckets(sizes, cap):
    buckets, held = [], cap
    for size in reversed(sizes):
        if held >= cap:
            buckets.append([])
            held = 0
        buckets[-1].append(size)
        held += size
    return buckets


@wrong("buckets", hint="Positions are counted from the end. They should be those in `sizes`: the last parameter's is len(sizes) − 1.")
def assign_buckets(sizes, cap):
    buckets, held = [], cap
    for position, size in enumerate(reversed(sizes)):
        if held >= cap:
            buckets.append([])
            held = 0
        buckets[-1].append(position)
        held += size
    return buckets


@wrong("buckets", hint="Within a bucket positions ascend. They should be in the order in which they were put in, from the last to the first.")
def assign_buckets(sizes, cap):
    buckets, held = [], cap
    for position in reversed(range(len(sizes))):
        if held >= cap:
            buckets.append([])
            held = 0
        buckets[-1].insert(0, position)
        held += sizes[position]
    return buckets


@wrong("buckets", hint="Every parameter has a bucket to itself. Put them together until `cap` bytes are reached.")
def assign_buckets(sizes, cap):
    return [[position] for position in reversed(range(len(sizes)))]


@wrong("buckets", hint="The cap is taken for a number of parameters. It is a number of bytes.")
def assign_buckets(sizes, cap):
    order = list(reversed(range(len(sizes))))
    return [order[at:at + cap] for at in range(0, len(order), cap)]


# --- overlap ---

@wrong("overlap", hint="A hook waits for the all-reduce that it has launched, so that the backward pass stands still meanwhile. Launch it with `async_op=True`, go "
                       "on, and wait in `finish`.")
class DDP(DDP):
    def launch_next(self):
        super().launch_next()
        self.flying[-1][2].wait()


@wrong("overlap", hint="Nothing is launched before the backward pass is over. A bucket should leave in a hook, as soon as its last gradient is there: "
                       "`register_post_accumulate_grad_hook`. Or do all hooks name the last bucket? `lambda parameter, bucket=bucket: …` keeps its own.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        pass


@wrong("overlap", hint="Each bucket leaves when it is complete, whichever that is. Which one is complete first differs from rank to rank, where one has no gradient: "
                       "launch bucket 1 only after bucket 0.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        if self.syncing:
            self.missing[bucket] -= 1
            if self.missing[bucket] == 0:
                self.launch(bucket)

    def launch(self, bucket):
        parameters = [self.trained[position] for position in self.buckets[bucket]]
        flat = torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in parameters])
        self.flying.append((parameters, flat, dist.all_reduce(flat, async_op=True)))
        self.missing[bucket] = -1

    def finish(self):
        for bucket, missing in enumerate(self.missing):
            if missing >= 0:
                self.launch(bucket)
        super().finish()


@wrong("overlap", hint="Under `no_sync` buckets leave all the same. Within it gradients are only added up: the hook has to ask `self.syncing`.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        syncing, self.syncing = self.syncing, True
        super().gradient_is_there(bucket)
        self.syncing = syncing


@wrong("overlap", hint="What was added up under `no_sync` is lost: only the last batch's gradients are sent. Send `parameter.grad`, which holds the sum.")
class DDP(DDP):
    def forward(self, *inputs):
        if self.syncing:
            for parameter in self.trained:
                parameter.grad = None
        return super().forward(*inputs)


@wrong("overlap", hint="`finish` leaves the counts and the launched buckets of this step where they are, and the next step finds them. Set them back at its end.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        self.begun = False
        super().__init__(net, cap)

    def begin(self):
        if not self.begun:
            super().begin()
        self.begun = True


@wrong("overlap", hint="The launched buckets are forgotten after each step, and the counts aren't set back: in the next step a bucket seems complete too "
                       "early, or never. Begin both anew.")
class DDP(DDP):
    def begin(self):
        if not hasattr(self, "flying"):
            super().begin()
        self.flying = []


@wrong("overlap", hint="`finish` leaves the launched buckets where they are, so that the next step launches none and takes the old means again. Call `begin` "
                       "at its end.")
class DDP(DDP):
    def finish(self):
        while len(self.flying) < len(self.buckets):
            self.launch_next()
        used = torch.tensor([p.grad is not None for p in self.trained], dtype=torch.int32)
        dist.all_reduce(used)
        used = dict(zip(self.trained, used.tolist()))
        for parameters, flat, work in self.flying:
            work.wait()
            for parameter, mean in zip(parameters, (flat / dist.get_world_size()).split([p.numel() for p in parameters])):
                if used[parameter]:
                    parameter.grad = mean.view_as(parameter)


@wrong("overlap", hint="Every forward pass in train mode broadcasts the whole net. Parameters are equal on all ranks from `__init__` on, and stay so: "
                       "broadcast only the buffers.")
class DDP(DDP):
    def forward(self, *inputs):
        if self.training:
            broadcast_module(self.net)
        return self.net(*inputs)


@wrong("overlap", hint="`finish` broadcasts the parameters. They are equal on all ranks from `__init__` on, and stay so, since all step with the same "
                       "gradients: nothing else has to travel here.")
class DDP(DDP):
    def finish(self):
        super().finish()
        for parameter in self.trained:
            dist.broadcast(parameter.detach(), 0)


@wrong("overlap", hint="Nobody waits for the all-reduces: `finish` takes the sums before they are there. `work.wait()` for each.")
class DDP(DDP):
    def finish(self):
        while len(self.flying) < len(self.buckets):
            self.launch_next()
        used = torch.tensor([p.grad is not None for p in self.trained], dtype=torch.int32)
        dist.all_reduce(used)
        used = dict(zip(self.trained, used.tolist()))
        for parameters, flat, work in self.flying:
            flat /= dist.get_world_size()
            for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters])):
                if used[parameter]:
                    parameter.grad = mean.view_as(parameter)
        self.begin()


@wrong("overlap", hint="In train mode each forward pass should begin with rank 0's buffers on all ranks. Here every rank goes on with its own.")
class DDP(DDP):
    def forward(self, *inputs):
        return self.net(*inputs)


@wrong("overlap", hint="The ranks begin with different parameters: `broadcast_module(net)` is missing in `__init__`.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        before = [parameter.detach().clone() for parameter in net.parameters()]
        super().__init__(net, cap)
        with torch.no_grad():
            for parameter, old in zip(net.parameters(), before):
                parameter.copy_(old)


def _finish(ddp, mean_of, unused=None):
    while len(ddp.flying) < len(ddp.buckets):
        ddp.launch_next()
    used = torch.tensor([p.grad is not None for p in ddp.trained], dtype=torch.int32)
    dist.all_reduce(used)
    used = dict(zip(ddp.trained, used.tolist()))
    for parameters, flat, work in ddp.flying:
        work.wait()
        for parameter, total in zip(parameters, flat.split([p.numel() for p in parameters])):
            if used[parameter] if unused is None else unused(parameter):
                parameter.grad = mean_of(total, used[parameter]).view_as(parameter)
    ddp.begin()


@wrong("overlap", hint="The buckets hold sums. Divide by the number of ranks: the mean of all ranks' gradients is asked for.", trains="gradients summed, not averaged")
class DDP(DDP):
    def finish(self):
        _finish(self, lambda total, ranks: total)


@wrong("overlap", hint="A sum is divided by the number of ranks that have this gradient. A missing one counts as zeros: divide by the number of all ranks.")
class DDP(DDP):
    def finish(self):
        _finish(self, lambda total, ranks: total / max(ranks, 1))


@wrong("overlap", hint="A parameter that no rank has a gradient for gets zeros from its bucket. It should stay None: an optimiser's momentum and weight decay move "
                       "it otherwise. The ranks have to tell each other which ones they have.")
class DDP(DDP):
    def finish(self):
        _finish(self, lambda total, ranks: total / dist.get_world_size(), lambda parameter: True)


@wrong("overlap", hint="A rank that has no gradient itself keeps None, though another rank has one: it should get the mean too.")
class DDP(DDP):
    def finish(self):
        _finish(self, lambda total, ranks: total / dist.get_world_size(), lambda parameter: parameter.grad is not None)


@wrong("overlap", hint="The means are computed and not put into `parameter.grad`: the optimiser steps with each rank's own gradients.")
class DDP(DDP):
    def finish(self):
        _finish(self, lambda total, ranks: total, lambda parameter: False)


@wrong("overlap", hint="A bucket in which a gradient is missing never leaves on that rank, while the other ranks wait for it. `finish` has to launch what has not left, "
                       "with zeros for what is missing.")
class DDP(DDP):
    def finish(self):
        launched = len(self.flying)
        while len(self.flying) < len(self.buckets):
            self.flying.append(([], torch.zeros(1), None))
        del self.flying[launched:]
        used = torch.tensor([p.grad is not None for p in self.trained], dtype=torch.int32)
        for parameters, flat, work in self.flying:
            work.wait()
            flat /= dist.get_world_size()
            for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters])):
                parameter.grad = mean.view_as(parameter)
        self.begin()


@wrong("overlap", hint="Frozen parameters are in the buckets too. No gradient ever comes for them, so their bucket is never complete, and it and all behind it "
                       "leave only in `finish`. Leave out what doesn't require one.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        frozen = [parameter for parameter in net.parameters() if not parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_()
        super().__init__(net, cap)
        for parameter in frozen:
            parameter.requires_grad_(False)


@wrong("overlap", hint="Each gradient has an all-reduce to itself: the cap isn't looked at. `assign_buckets(sizes, cap)` says which travel together.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        super().__init__(net, 1)


@wrong("overlap", hint="All gradients are in one bucket, whatever `cap` says: nothing leaves before the last gradient is there.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        super().__init__(net, 10**9)


@wrong("overlap", hint="The cap is compared with numbers, and not with bytes: `p.numel() * p.element_size()` is the size of a parameter.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        super().__init__(net, 8 * cap)


@wrong("overlap", hint="A bucket was launched while a gradient of it was still to come: another bucket was complete, and the next one in order left for it. Launch "
                       "the *next* bucket, and only if that one lacks nothing.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        if self.syncing:
            self.missing[bucket] -= 1
            if self.missing[bucket] == 0 and len(self.flying) < len(self.buckets):
                self.launch_next()


@wrong("overlap", hint="Under `no_sync` buffers aren't broadcast. Here rank 0's come before each forward pass in train mode, whether gradients are sent or not.")
class DDP(DDP):
    def forward(self, *inputs):
        if self.training and self.syncing:
            for buffer in self.net.buffers():
                dist.broadcast(buffer, 0)
        return self.net(*inputs)


@wrong("overlap", hint="Gradients that come under `no_sync` are counted, so that buckets seem complete in the next backward pass before they are. Count only what is "
                       "to be sent: ask `self.syncing` first.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        self.missing[bucket] -= 1
        if self.syncing:
            while len(self.flying) < len(self.buckets) and self.missing[len(self.flying)] <= 0:
                self.launch_next()


def _hooked(ddp, net, cap, register):
    """DDP's __init__ with hooks of another kind."""
    nn.Module.__init__(ddp)
    ddp.net, ddp.syncing = net, True
    broadcast_module(net)
    ddp.trained = [p for p in net.parameters() if p.requires_grad]
    ddp.buckets = assign_buckets([p.numel() * p.element_size() for p in ddp.trained], cap)
    register(ddp)
    ddp.begin()


@wrong("overlap", hint="Or do all hooks name the last bucket? `lambda parameter, bucket=bucket: …` keeps its own.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        def register(ddp):
            for bucket, positions in enumerate(ddp.buckets):
                for position in positions:
                    ddp.trained[position].register_post_accumulate_grad_hook(lambda parameter: ddp.gradient_is_there(bucket))

        _hooked(self, net, cap, register)


@wrong("overlap", hint="Buckets leave before the gradients are in `grad`: `register_hook` calls before they are put there. `register_post_accumulate_grad_hook` calls after it.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        def register(ddp):
            for bucket, positions in enumerate(ddp.buckets):
                for position in positions:
                    ddp.trained[position].register_hook(lambda gradient, bucket=bucket: ddp.gradient_is_there(bucket))

        _hooked(self, net, cap, register)


@wrong("overlap", hint="A missing gradient is guessed from zeros: one that is there and is 0 isn't missing. Ask `grad is None` on each rank, and let the ranks tell each other.")
class DDP(DDP):
    def finish(self):
        while len(self.flying) < len(self.buckets):
            self.launch_next()
        for parameters, flat, work in self.flying:
            work.wait()
            flat /= dist.get_world_size()
            for parameter, mean in zip(parameters, flat.split([p.numel() for p in parameters])):
                parameter.grad = mean.view_as(parameter) if mean.any() else None
        self.begin()


@wrong("overlap", hint="The mean is added to the rank's own gradient. It takes its place.")
class DDP(DDP):
    def finish(self):
        while len(self.flying) < len(self.buckets):
            self.launch_next()
        used = torch.tensor([p.grad is not None for p in self.trained], dtype=torch.int32)
        dist.all_reduce(used)
        used = dict(zip(self.trained, used.tolist()))
        for parameters, flat, work in self.flying:
            work.wait()
            for parameter, mean in zip(parameters, (flat / dist.get_world_size()).split([p.numel() for p in parameters])):
                if used[parameter]:
                    parameter.grad = mean.view_as(parameter) + (0 if parameter.grad is None else parameter.grad)
        self.begin()


@wrong("overlap", hint="Buffers are averaged over the ranks. They are to be rank 0's: `dist.broadcast`.")
class DDP(DDP):
    def forward(self, *inputs):
        if self.training:
            for buffer in self.net.buffers():
                dist.all_reduce(buffer)
                buffer.copy_(buffer / dist.get_world_size())
        return self.net(*inputs)


@wrong("overlap", hint="Buffers are divided in `forward`, and some hold whole numbers, which can't be averaged. They aren't averaged at all: all ranks get rank 0's, by "
                       "`dist.broadcast`.")
class DDP(DDP):
    def forward(self, *inputs):
        if self.training:
            for buffer in self.net.buffers():
                dist.all_reduce(buffer)
                buffer /= dist.get_world_size()
        return self.net(*inputs)


@wrong("overlap", hint="Buffers are broadcast in eval mode too. There nothing moves them, and ranks with shares of other lengths would wait for each other: only `if self.training`.")
class DDP(DDP):
    def forward(self, *inputs):
        for buffer in self.net.buffers():
            dist.broadcast(buffer, 0)
        return self.net(*inputs)


@wrong("overlap", hint="Buffers are broadcast after the forward pass, which has then computed with other ones on each rank. Broadcast first.")
class DDP(DDP):
    def forward(self, *inputs):
        outputs = self.net(*inputs)
        if self.training:
            for buffer in self.net.buffers():
                dist.broadcast(buffer, 0)
        return outputs


@wrong("overlap", hint="When the last bucket has left there is no next one, and the list of buckets is at its end: `while len(self.flying) < len(self.buckets) and …`.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        if self.syncing:
            self.missing[bucket] -= 1
            while self.missing[len(self.flying)] == 0:
                self.launch_next()


@wrong("overlap", hint="Which gradients are there is guessed from the sums: where a rank has none, and the others' are 0, it is taken for one that nobody has. The "
                       "ranks have to tell each other which ones they have.")
class DDP(DDP):
    def finish(self):
        while len(self.flying) < len(self.buckets):
            self.launch_next()
        for parameters, flat, work in self.flying:
            work.wait()
            for parameter, mean in zip(parameters, (flat / dist.get_world_size()).split([p.numel() for p in parameters])):
                if parameter.grad is not None or mean.any():
                    parameter.grad = mean.view_as(parameter)
        self.begin()


@wrong("overlap", hint="A hook launches one bucket at most: those behind it that are complete already wait for another hook, or for `finish`. `while`, not `if`.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        if self.syncing:
            self.missing[bucket] -= 1
            if len(self.flying) < len(self.buckets) and self.missing[len(self.flying)] == 0:
                self.launch_next()


@wrong("overlap", hint="What leaves during the backward pass is a stand-in, and `finish` sends the buckets. Let each bucket leave itself: the hook launches the "
                       "all-reduce of its gradients.")
class DDP(DDP):
    def begin(self):
        super().begin()
        self.shown = []

    def gradient_is_there(self, bucket):
        if self.syncing and not self.shown:
            self.shown = [dist.all_reduce(torch.zeros(1, dtype=torch.int32), async_op=True) for _ in self.buckets]


@wrong("overlap", hint="Count only what is to be sent: ask `self.syncing` first.")
class DDP(DDP):
    def gradient_is_there(self, bucket):
        self.missing[bucket] -= 1
        while self.syncing and len(self.flying) < len(self.buckets) and self.missing[len(self.flying)] == 0:
            self.launch_next()


@wrong("overlap", hint="All numbers are taken to be of 4 bytes. Those of float64 have 8: `p.numel() * p.element_size()`.")
class DDP(DDP):
    def __init__(self, net, cap=25 * 2**20):
        super().__init__(net, 2 * cap)


# --- sampler ---

def _shard(length, rank, world, shuffle, drop_last, seed, fill=None, start=None):
    order = torch.randperm(length, generator=torch.Generator().manual_seed(seed)) if shuffle else torch.arange(length)
    if drop_last:
        order = order[:length // world * world]
    elif length:
        total = -(-length // world) * world
        order = order.repeat(-(-total // length))[:total] if fill is None else torch.cat([order, fill(order, total - length)])
    return order[rank if start is None else start::world]


@wrong("sampler", hint="The epoch isn't looked at, so that all epochs have one order. The generator's seed is `seed + epoch`.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed)


@wrong("sampler", hint="The seed depends on the rank, so that each rank shuffles in its own way: examples are seen twice, others never. All ranks make the same order.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch + rank)


@wrong("sampler", hint="The seed is seed · epoch: epoch 0 has the same order whatever the seed. It should be `seed + epoch`.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed * epoch)


@wrong("sampler", hint="The order is filled up with the last positions. It should be its own beginning.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch, lambda order, more: order[length - more:] if more <= length
                  else order.repeat(-(-more // length))[:more])


@wrong("sampler", hint="Also a length that is a multiple of world is filled up, by one more for each rank: `length // world + 1` rounds up too far. `-(-length // world)`.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    order = _shard(length, 0, 1, shuffle, False, seed + epoch)
    total = length // world * world if drop_last else (length // world + 1) * world
    return order.repeat(-(-total // length))[:total][rank::world]


@wrong("sampler", hint="The order is filled up with its last position. It should be its own beginning.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch, lambda order, more: order[-1:].repeat(more))


@wrong("sampler", hint="`shard` gives int32. Positions are int64, as torch's are.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch).int()


@wrong("sampler", hint="Each rank takes a block of consecutive positions. It should be every world-th, from its own rank on: order[rank::world].")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    order = torch.cat([_shard(length, 0, 1, shuffle, drop_last, seed + epoch)])
    total = (length // world if drop_last else -(-length // world)) * world
    order = order.repeat(-(-total // length))[:total] if length else order
    return order[rank * (total // world):(rank + 1) * (total // world)]


@wrong("sampler", hint="Positions of −1 fill the order up. Nobody has such an example, and Python takes it for the last one: fill up with the order's own beginning.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch, lambda order, more: torch.full((more,), -1))


@wrong("sampler", hint="The order is filled up with zeros: the first example of all counts once more each time. Fill up with the order's own beginning.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch, lambda order, more: torch.zeros(more, dtype=torch.int64))


@wrong("sampler", hint="`drop_last` isn't looked at: the order is filled up all the same.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, False, seed + epoch)


@wrong("sampler", hint="Without `drop_last` the order has to be filled up. Here the last ranks get an example less: they end the epoch earlier, and "
                        "the others wait for them in a last all-reduce, until the backend's time is over.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch, lambda order, more: order[:0])


@wrong("sampler", hint="The order is cut off also without `drop_last`, so that some examples are never seen in this epoch.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, True, seed + epoch)


@wrong("sampler", hint="The order is filled up once at most. If there are fewer examples than half the ranks, that isn't enough: again and again, until it is long enough.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch, lambda order, more: order[:more])


@wrong("sampler", hint="Every rank gets rank 0's share. Start at the rank: order[rank::world].")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, shuffle, drop_last, seed + epoch, start=0)


@wrong("sampler", hint="`shuffle` isn't looked at, and the order is always shuffled.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, True, drop_last, seed + epoch)


@wrong("sampler", hint="The order is never shuffled. With `shuffle` it's a permutation from a generator with the seed `seed + epoch`.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    return _shard(length, rank, world, False, drop_last, seed + epoch)


@wrong("sampler", hint="Each rank shuffles its own share, and sees the same examples in every epoch. Shuffle all positions first, and then take every world-th.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    share = _shard(length, rank, world, False, drop_last, seed)
    return share[torch.randperm(len(share), generator=torch.Generator().manual_seed(seed + epoch))] if shuffle else share


@wrong("sampler", hint="`shard` seeds, or draws from, the random numbers that everybody else uses: afterwards all ranks draw the same.")
def shard(length, rank, world, epoch=0, seed=0, shuffle=True, drop_last=False):
    torch.manual_seed(seed + epoch)
    order = torch.randperm(length) if shuffle else torch.arange(length)
    if drop_last:
        order = order[:length // world * world]
    elif length:
        total = -(-length // world) * world
        order = order.repeat(-(-total // length))[:total]
    return order[rank::world]


# --- training ---

def _train(rank, world, net, images, labels, steps, batch, rate, *, share=None, epochs=True, first=0, kept=True, goes_on=True, drop=True,
           momentum=0.9, part=None, finish=True, zero=True, moves=True, ends=True, direct=False, cut=True, after_step=None, tell=lambda step, loss: (step, loss)):
    ddp = DDP(net)
    make_optimizer = lambda: torch.optim.SGD(net.parameters(), rate, momentum=momentum)
    optimizer, step, epoch, share = make_optimizer(), 0, first, share or batch // world
    while step < steps:
        optimizer = optimizer if kept else make_optimizer()
        positions = shard(len(images), rank if part is None else part, world, epoch * epochs, drop_last=cut)
        for chosen in (positions[:len(positions) // share * share] if drop else positions).split(share)[:None if goes_on else 1]:
            if step == steps and ends:
                break
            if zero:
                optimizer.zero_grad()
            loss = F.cross_entropy((net if direct else ddp)(images[chosen]), labels[chosen])
            loss.backward()
            if finish:
                ddp.finish()
            if moves:
                optimizer.step()
            told = after_step and tell(step, loss.item())
            if told:
                after_step(*told)
            step += 1
        epoch += goes_on
    return net.state_dict()


@wrong("training", hint="yours has the name 'net.")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return {f"net.{name}": value for name, value in _train(rank, world, net, images, labels, steps, batch, rate, after_step=after_step).items()}


@wrong("training", hint="goes on to the end of the epoch")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, ends=False, after_step=after_step)


@wrong("training", hint="each rank computes with its own buffers")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, direct=True, after_step=after_step)


@wrong("training", hint="`after_step` is never called")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate)


@wrong("training", hint="never called on rank 1")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, after_step=None if rank else after_step)


@wrong("training", hint="Steps count from 0")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, after_step=after_step, tell=lambda step, loss: (step + 1, loss))


@wrong("training", hint="isn't told 0, 1, 2 and so on")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, after_step=after_step, tell=lambda step, loss: (step % 3, loss))


@wrong("training", hint="the losses that `after_step` is told aren't those of its steps")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, after_step=after_step, tell=lambda step, loss: (step, loss * batch))


@wrong("training", hint="not because they work together")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    # Each rank trains on whole batches, by itself.
    broadcast_module(net)
    return _alone(net, images, labels, steps, batch, rate, world, after_step)


@wrong("training", hint="Let each rank train on its share, and take the others' part from them")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    # Rank 0 trains, and sends what it has at the end.
    if rank == 0:
        _alone(net, images, labels, steps, batch, rate, world)
    broadcast_module(net)
    return net.state_dict()


def _alone(net, images, labels, steps, batch, rate, world, after_step=None):
    net.eval()
    optimizer, step, epoch = torch.optim.SGD(net.parameters(), rate, momentum=0.9), 0, 0
    while step < steps:
        for chosen in shard(len(images), 0, 1, epoch)[:len(images) // batch * batch].split(batch)[:steps - step]:
            loss = F.cross_entropy(net(images[chosen]), labels[chosen])
            net[0].train()(images[chosen[::world]])  # rank 0's part moves the buffers
            net.eval()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if after_step is not None:
                after_step(step, loss.item())
            step += 1
        epoch += 1
    return net.state_dict()


@wrong("training", hint="each rank tells its own, of its part of the batch")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    def tell(step, loss):
        mean = torch.tensor(loss, dtype=torch.float64)
        dist.all_reduce(mean)
        return step, mean.item() / world

    return _train(rank, world, net, images, labels, steps, batch, rate, after_step=after_step, tell=tell)


@wrong("training", hint="all epochs take the examples in the same order", trains="the epoch isn't handed to `shard`")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, epochs=False)


@wrong("training", hint="each rank takes `batch` examples a step", trains="a batch per rank")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, share=batch)


@wrong("training", hint="each step begins the epoch anew")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, goes_on=False)


@wrong("training", hint="gradients are summed over the ranks, and not averaged")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate * world)


@wrong("training", hint="the rate is divided by `world`")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate / world)


@wrong("training", hint="Is `optimizer.step()` called, and are the gradients still there when it is?")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, moves=False)


@wrong("training", hint="the first epoch has the order of the second one")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, first=1)


@wrong("training", hint="each epoch begins with an optimizer of its own", trains="an optimizer for each epoch")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, kept=False)


@wrong("training", hint="it trains on what is left at the end of an epoch", trains="a short batch at an epoch's end")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, drop=False)


@wrong("training", hint="the order is filled up, and not cut off")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, cut=False, after_step=after_step)


@wrong("training", hint="SGD has no momentum")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, momentum=0.0)


@wrong("training", hint="only rank 0's examples count")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, part=0)


@wrong("training", hint="The ranks end with different weights", trains="`finish` is forgotten")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    ddp = DDP(net)
    with ddp.no_sync():
        optimizer = torch.optim.SGD(net.parameters(), rate, momentum=0.9)
        step, epoch, share = 0, 0, batch // world
        while step < steps:
            for chosen in shard(len(images), rank, world, epoch, drop_last=True).split(share):
                if step < steps and len(chosen) == share:
                    optimizer.zero_grad()
                    F.cross_entropy(ddp(images[chosen]), labels[chosen]).backward()
                    optimizer.step()
                    step += 1
            epoch += 1
    return net.state_dict()


@wrong("training", hint="gradients are never set back to zero", trains="gradients are never set back to zero")
def train_rank(rank, world, net, images, labels, steps, batch, rate, after_step=None):
    return _train(rank, world, net, images, labels, steps, batch, rate, zero=False)
