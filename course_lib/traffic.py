"""Counts what travels: between the devices of one process, and between processes."""

import contextlib
import threading
from collections import Counter
from unittest.mock import patch

import torch
import torch.distributed as dist


class Ledger:
    """Moves tensors between devices and keeps the books. The devices are names: on a machine with one processor, it stands for all.

    home: the device on which everything begins. bytes: {(from, to): bytes} of all moves so far, gradients on their way back among
    them; a move to where a tensor already is costs nothing.
    """

    def __init__(self, home):
        self.home, self.bytes, self._lock = home, Counter(), threading.Lock()

    def move(self, tensor, device):
        """The tensor as it arrives on `device`, a copy through which gradients go back."""
        return _Move.apply(tensor, self, self._place(tensor), device)

    def through(self, device):
        """(bytes that have left the device, bytes that have come)."""
        return tuple(sum(size for ends, size in self.bytes.items() if ends[end] == device) for end in (0, 1))

    def _place(self, tensor):
        """Where a tensor is: on the device to which the last tensor was moved that it was computed from."""
        nodes, seen = [tensor.grad_fn], set()
        while nodes:
            node = nodes.pop()
            if isinstance(node, _Move._backward_cls):
                return node.device
            if node is not None and node not in seen:
                seen.add(node)
                nodes += [earlier for earlier, _ in node.next_functions]
        return self.home

    def _count(self, origin, device, tensor):
        if origin != device:
            with self._lock:
                self.bytes[origin, device] += tensor.numel() * tensor.element_size()


class _Move(torch.autograd.Function):
    @staticmethod
    def forward(ctx, tensor, ledger, origin, device):
        ctx.ledger, ctx.origin, ctx.device = ledger, origin, device
        ledger._count(origin, device, tensor)
        return tensor.clone()

    @staticmethod
    def backward(ctx, gradient):
        ctx.ledger._count(ctx.device, ctx.origin, gradient)
        return gradient, None, None, None


@contextlib.contextmanager
def sent_bytes():
    """Counts the bytes that this process hands to `dist.send` and `dist.isend` within it: yields a Counter, {rank: bytes}."""
    sent = Counter()

    def counting(send):
        def wrapper(tensor, dst=None, *more, **options):
            sent[dst if dst is not None else options.get("group_dst")] += tensor.numel() * tensor.element_size()
            return send(tensor, dst, *more, **options)
        return wrapper

    with patch.multiple(dist, send=counting(dist.send), isend=counting(dist.isend)):
        yield sent
