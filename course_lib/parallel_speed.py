"""How long a step takes, measured: by one process, and by each way of data parallelism, in turn within one run, so that all meet the
same machine.

`pieces` holds, by name, the functions of the lesson `data_parallel`, as `globals()` of its notebook does: data_parallel,
average_gradients, DDP; for `all_reduce_seconds` star_reduce, star_broadcast, ring_all_reduce.
"""

import copy
import statistics
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F

from course_lib import parallel_cost
from course_lib.processes import launch

PIECES = ("data_parallel", "average_gradients", "DDP", "star_reduce", "star_broadcast", "ring_all_reduce")
SINGLE, DP, NAIVE, BUCKETS, TORCH = METHODS = "one process", "DataParallel", "DDP, naive", "DDP, buckets", "torch's DDP"
SMALL, LARGE = 4, 2**24  # bytes, for `links_here`
WARM_UP = 2  # steps that aren't counted; torch's DDP arranges its buckets anew after the first


def step_seconds(pieces, net, x, y, world, cap=25 * 2**20, steps=10, methods=METHODS, device="cpu", timeout=300.0):
    """Seconds of a step in `world` processes: name → a list, step by step; "forward" and "backward" are the two parts of "one process".

    A step: forward, cross-entropy, backward, and the means of the gradients in place, without the optimiser's. The batch x, y is split
    among the ranks, or by DataParallel among `world` threads of rank 0; one process has it whole, and the others wait. Of each step the
    slowest rank counts. device: "cpu", or "cuda" (rank r on GPU r modulo their number; untried on more than one).
    """
    by_rank = launch(_step_seconds, world, _only(pieces), net, x, y, cap, steps, methods, device, timeout=timeout)
    return {name: [max(times) for times in zip(*(rank[name] for rank in by_rank if name in rank))] for name in by_rank[0]}


def medians(times):
    """Name → the median of its seconds."""
    return {name: statistics.median(each) for name, each in times.items()}


def all_reduce_seconds(pieces, sizes, world, repeats=10, timeout=300.0):
    """Seconds of an all-reduce of float32 tensors of so many bytes: {name: {size: median}} for "star", "ring", "dist.all_reduce"."""
    by_rank = launch(_all_reduce_seconds, world, _only(pieces), sizes, repeats, timeout=timeout)
    return {name: {size: statistics.median(map(max, zip(*(rank[name][size] for rank in by_rank)))) for size in sizes} for name in by_rank[0]}


def links_here(world=2, repeats=20):
    """What connects this machine's ranks, and what a copy within its memory takes, as two parallel_cost.Link: from all-reduces, and copies,
    of SMALL and of LARGE bytes."""
    times = all_reduce_seconds({}, (SMALL, LARGE), world, repeats)["dist.all_reduce"]
    loopback = parallel_cost.link_from_times(times[SMALL], times[LARGE], LARGE, world)
    small, large = (statistics.median(_seconds(torch.ones(size // 4).clone) for _ in range(repeats)) for size in (SMALL, LARGE))
    return loopback, parallel_cost.Link(LARGE / max(large - small, 1e-9), small, 0.0, "measured here")


def predicted(net, times, world, link, copying, buckets):
    """Seconds of a step by the formulas of parallel_cost: name → seconds, for each of METHODS but torch's.

    times: medians of "forward" and "backward" on one device with the whole batch. link, copying: as `links_here` gives them. buckets:
    positions of parameters.
    """
    step = parallel_cost.Step(times["forward"], times["backward"], tuple(p.numel() * p.element_size() for p in net.parameters()))
    part = step.part(world)
    return {SINGLE: step.compute, DP: parallel_cost.data_parallel(part, copying, world, backward_at_once=False),
            NAIVE: parallel_cost.naive_ddp(part, link, world), BUCKETS: parallel_cost.bucketed_ddp(part, link, world, buckets)}


def table(rows):
    """Seconds by row and method as text, in milliseconds. rows: label → {name of METHODS: seconds}; what isn't there stays empty."""
    wide = max(map(len, ("ms", *rows)))
    lines = [f"{'ms':<{wide}}" + "".join(f"{name:>14}" for name in METHODS)]
    for label, row in rows.items():
        lines.append(f"{label:<{wide}}" + "".join(f"{1000 * row[name]:>14.2f}" if name in row else " " * 14 for name in METHODS))
    return "\n".join(lines)


def _only(pieces):
    return {name: pieces[name] for name in PIECES if name in pieces}


def _seconds(call, device="cpu"):
    if device == "cuda":
        torch.cuda.synchronize()
    began = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - began


# --- In a rank ---

def _step_seconds(rank, world, pieces, net, x, y, cap, steps, methods, device):
    there = f"cuda:{rank % torch.cuda.device_count()}" if device == "cuda" else "cpu"
    x, y = x.to(there), y.to(there)
    share = list(zip(x.tensor_split(world), y.tensor_split(world)))[rank]
    made = {name: step for name in methods if (step := _make_step(name, rank, world, pieces, copy.deepcopy(net).to(there), cap, device))}
    times = {name: [] for name in methods if name in made} | ({"forward": [], "backward": []} if SINGLE in made else {})
    for number in range(WARM_UP + steps):
        for name in methods:
            dist.barrier()
            if name in made:
                parts = _timed(made[name], *((x, y) if name in (SINGLE, DP) else share), device)
                if number >= WARM_UP:
                    times[name].append(sum(parts.values()))
                    for part in parts if name == SINGLE else ():
                        if part in times:
                            times[part].append(parts[part])
    dist.barrier()
    return times


def _make_step(name, rank, world, pieces, net, cap, device):
    """(net to call, what follows the backward pass, parameters) for a method; None where this rank has no part in it."""
    nothing = lambda: None
    if name in (SINGLE, DP) and rank:
        return None
    if name == SINGLE:
        return net, nothing, net
    if name == DP:
        devices = [f"cuda:{number % torch.cuda.device_count()}" for number in range(world)] if device == "cuda" else ["cpu"] * world
        # Devices that are one and the same, as the processor is or a GPU alone, have a copy too.
        move = lambda tensor, to: tensor.to(to) if tensor.device != torch.device(to) else tensor.clone()
        return lambda x: pieces["data_parallel"](net, x, devices, move), nothing, net
    if name == NAIVE:
        for tensor in net.state_dict().values():
            dist.broadcast(tensor, 0)
        return net, lambda: pieces["average_gradients"](net), net
    if name == BUCKETS:
        ddp = pieces["DDP"](net, cap)
        return ddp, ddp.finish, net
    return torch.nn.parallel.DistributedDataParallel(net, bucket_cap_mb=cap / 2**20), nothing, net


def _timed(step, x, y, device):
    forward, finish, net = step
    for parameter in net.parameters():
        parameter.grad = None
    loss = []
    return {"forward": _seconds(lambda: loss.append(F.cross_entropy(forward(x), y)), device),
            "backward": _seconds(lambda: loss[0].backward(), device), "after": _seconds(finish, device)}


def _all_reduce_seconds(rank, world, pieces, sizes, repeats):
    ways = {"dist.all_reduce": dist.all_reduce}
    if pieces:
        ways = {"star": lambda tensor: (pieces["star_reduce"](tensor, 0), pieces["star_broadcast"](tensor, 0)),
                "ring": pieces["ring_all_reduce"]} | ways
    times = {name: {size: [] for size in sizes} for name in ways}
    for number in range(WARM_UP + repeats):
        for size in sizes:
            for name, way in ways.items():
                tensor = torch.ones(-(-size // 4))
                dist.barrier()
                taken = _seconds(lambda: way(tensor))
                if number >= WARM_UP:
                    times[name][size].append(taken)
    dist.barrier()
    return times
