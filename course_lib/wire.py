"""The one format in which values cross between a check and the code it judges.

Tensors, numbers, strings, None, and lists, tuples and dicts of them: a small JSON tree that says how they are nested,
followed by the tensors in safetensors' format. Nothing in it can run code when it is read, and everything has a cap,
because in grading the other side is hostile. A frame is

    length of the tree (4 bytes, little endian) | tree, JSON | tensors, safetensors (absent when there are none)

In the tree a list stands for itself, and a dict with one key says what it is: {"tensor": 3}, {"tuple": [...]},
{"dict": [[key, value], ...]}.
"""

import json
from dataclasses import dataclass

import numpy as np
import safetensors.torch
import torch


DTYPES = {torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
          torch.uint8, torch.bool}
DIMENSIONS = 12


class WireError(ValueError):
    """The value, or the frame, can't cross. The message says why, in words a learner can act on."""


@dataclass(frozen=True)
class Limits:
    """Caps on one frame: bytes of the tree, number of tensors, bytes of tensors, depth of nesting."""

    tree_bytes: int = 256 * 1024
    tensors: int = 1024
    tensor_bytes: int = 256 * 1024**2
    depth: int = 12


LIMITS = Limits()


def encode(value, limits=LIMITS):
    """`value` as bytes. Raises WireError where it holds something that can't cross, or too much of it."""
    tensors = {}
    tree = json.dumps(_to_tree(value, tensors, limits.depth)).encode("ascii")
    if len(tree) > limits.tree_bytes:
        raise WireError(f"is too long: {len(tree):,} bytes of numbers and text, {limits.tree_bytes:,} may cross; "
                        "return a tensor rather than a long list")
    if len(tensors) > limits.tensors:
        raise WireError(f"holds {len(tensors):,} tensors, at most {limits.tensors:,} may cross")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if size > limits.tensor_bytes:
        raise WireError(f"holds {size:,} bytes of tensors, at most {limits.tensor_bytes:,} may cross")
    return len(tree).to_bytes(4, "little") + tree + (safetensors.torch.save(tensors) if tensors else b"")


def decode(frame, limits=LIMITS):
    """The value that `encode` was given (tensors detached, on the CPU). Raises WireError on anything malformed."""
    length = int.from_bytes(frame[:4], "little")
    if len(frame) < 4 or length > limits.tree_bytes or len(frame) < 4 + length:
        raise WireError("is not a whole frame")
    try:
        tree = json.loads(bytes(frame[4:4 + length]))
    except (ValueError, RecursionError):
        raise WireError("holds a tree that isn't JSON") from None
    return _from_tree(tree, _tensors(memoryview(frame)[4 + length:], limits), limits.depth)


def _tensors(data, limits):
    if not data:
        return {}
    # The header's size stands in its first 8 bytes; a huge one costs seconds to parse, so it is capped unread.
    if int.from_bytes(data[:8], "little") > 256 * limits.tensors or len(data) > limits.tensor_bytes + 256 * limits.tensors:
        raise WireError("holds more tensors than may cross")
    try:
        tensors = safetensors.torch.load(bytes(data))
    except Exception as error:  # the library raises several kinds on malformed input
        raise WireError(f"holds tensors that can't be read ({type(error).__name__})") from None
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if len(tensors) > limits.tensors or size > limits.tensor_bytes:
        raise WireError("holds more tensors than may cross")
    for tensor in tensors.values():
        _comparable(tensor)
    return tensors


def _to_tree(value, tensors, depth):
    if depth < 0:
        raise WireError("is nested too deeply")
    if value is None or type(value) in (bool, float, str):
        return value
    if type(value) is int:
        if not -2**63 <= value < 2**63:
            raise WireError("holds an integer that doesn't fit 64 bits")
        return value
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        tensors[name] = _plain(value)
        return {"tensor": name}
    if isinstance(value, np.generic):
        return _to_tree(value.item(), tensors, depth)
    if isinstance(value, np.ndarray):
        try:
            return _to_tree(torch.from_numpy(np.array(value)), tensors, depth)
        except (TypeError, ValueError):  # text and dates; numbers in another machine's order of bytes
            raise WireError(f"holds a NumPy array of {value.dtype}, which torch doesn't know") from None
    if isinstance(value, dict):
        if not all(type(key) is str for key in value):
            raise WireError("holds a dict whose keys aren't all strings")
        return {"dict": [[key, _to_tree(item, tensors, depth - 1)] for key, item in value.items()]}
    if isinstance(value, (list, tuple)):
        items = [_to_tree(item, tensors, depth - 1) for item in value]
        return items if isinstance(value, list) else {"tuple": items}
    raise WireError(f"holds a {type(value).__name__}; only tensors, numbers, strings and lists of them can be judged")


def _plain(tensor):
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter, torch.nn.Buffer):
        raise WireError(f"holds a {type(tensor).__name__}, a subclass of Tensor; return a plain tensor")
    if tensor.device.type != "cpu":
        raise WireError(f"holds a tensor on {tensor.device}; return it where the inputs are, on the CPU")
    if tensor.layout != torch.strided:
        raise WireError("holds a sparse tensor; return a dense one")
    _comparable(tensor)
    if tensor.numel() * tensor.element_size() > LIMITS.tensor_bytes:
        raise WireError(f"holds a tensor of {tensor.numel():,} numbers, more than may cross")
    # A clone, because safetensors refuses tensors that share memory, and the sender may change its own later.
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _comparable(tensor):
    """Raise WireError for what a check couldn't compare, or only at a price: a list of places has a number for each dimension."""
    if tensor.dtype not in DTYPES:
        raise WireError(f"holds a tensor of {tensor.dtype}; only real numbers, integers and booleans can be judged")
    if tensor.ndim > DIMENSIONS:
        raise WireError(f"holds a tensor of {tensor.ndim} dimensions, at most {DIMENSIONS} may cross")


def _from_tree(tree, tensors, depth):
    if depth < 0:
        raise WireError("is nested too deeply")
    if isinstance(tree, int) and not -2**63 <= tree < 2**63:
        raise WireError("holds an integer that doesn't fit 64 bits")
    if tree is None or isinstance(tree, (bool, int, float)):
        return tree
    if isinstance(tree, str):
        return tree.encode("utf-8", "replace").decode()  # a lone surrogate would crash whoever prints it
    if isinstance(tree, list):
        return [_from_tree(item, tensors, depth - 1) for item in tree]
    if len(tree) == 1:
        (kind, content), = tree.items()
        if kind == "tensor" and isinstance(content, str) and content in tensors:
            return tensors[content]
        if kind == "tuple" and isinstance(content, list):
            return tuple(_from_tree(item, tensors, depth - 1) for item in content)
        if kind == "dict" and isinstance(content, list) and all(
                isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in content):
            return {key: _from_tree(item, tensors, depth - 1) for key, item in content}
    raise WireError("holds a tree that doesn't follow the format")
