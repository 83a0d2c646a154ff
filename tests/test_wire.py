"""The wire format: what goes in comes out, nothing else comes in, and hostile frames end in a sentence."""

import collections
import json
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st

from course_lib import wire

scalars = st.none() | st.booleans() | st.integers(-2**63, 2**63 - 1) | st.floats(allow_nan=False) | st.text()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner)
                      | st.dictionaries(st.text(max_size=5), inner, max_size=4), max_leaves=20)


@given(values)
@settings(max_examples=200, deadline=None)
def test_plain_values_come_back_as_they_were(value):
    surrogates = json.dumps(value) != json.dumps(value).encode("utf-8", "replace").decode() or r"\ud" in json.dumps(value)
    back = wire.decode(wire.encode(value))
    assert surrogates or repr(back) == repr(value)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 4), (2, 3, 4)])
def test_tensors_come_back_bit_by_bit(dtype, shape):
    tensor = (torch.rand(shape) * 5).to(dtype)
    back = wire.decode(wire.encode({"x": [tensor]}))["x"][0]
    assert back.dtype == dtype and back.shape == tensor.shape and torch.equal(back, tensor)


def test_special_floats_and_numpy_and_parameters():
    assert math.isnan(wire.decode(wire.encode(math.nan)))
    assert wire.decode(wire.encode([math.inf, -math.inf])) == [math.inf, -math.inf]
    assert wire.decode(wire.encode(np.float64(2.5))) == 2.5
    assert wire.decode(wire.encode(np.arange(3))).tolist() == [0, 1, 2]
    assert wire.decode(wire.encode(np.arange(6).reshape(2, 3)[:, ::-1])).tolist() == [[2, 1, 0], [5, 4, 3]]
    assert wire.decode(wire.encode(torch.nn.Parameter(torch.ones(2)))).requires_grad is False
    assert wire.decode(wire.encode(collections.OrderedDict(a=torch.ones(1))))["a"].item() == 1


def test_tensors_that_share_memory_are_sent_apart():
    base = torch.arange(6.0)
    back = wire.decode(wire.encode([base, base[::2], base.flip(0), base.expand(2, 6)]))
    assert back[1].tolist() == [0, 2, 4] and back[3].shape == (2, 6)


class Sly(torch.Tensor):
    pass


@pytest.mark.parametrize("value, word", [
    (object(), "object"), ({1: 2}, "keys"), (torch.ones(2).to_sparse(), "sparse"), (torch.ones(2, dtype=torch.complex64), "complex"),
    (torch.empty(2, device="meta"), "meta"), (torch.ones(2).as_subclass(Sly), "Sly"), (2**64, "64 bits"), (lambda: 0, "function"),
    (np.array(["a"]), "NumPy"), (np.arange(3, dtype=">f8"), ">f8"), (torch.nn.Linear(1, 1), "Linear"), ({1, 2}, "set"), (b"bytes", "bytes")])
def test_what_cannot_cross_is_named(value, word):
    with pytest.raises(wire.WireError, match=word):
        wire.encode([value])


def test_caps_hold_on_both_sides():
    small = wire.Limits(tree_bytes=200, tensors=2, tensor_bytes=100, depth=3)
    for value in ("x" * 300, [torch.ones(1)] * 3, torch.ones(26), [[[[[1]]]]]):
        with pytest.raises(wire.WireError):
            wire.encode(value, small)
        with pytest.raises(wire.WireError):
            wire.decode(wire.encode(value), small)


@pytest.mark.parametrize("frame", [
    b"", b"\x00", b"\xff\xff\xff\xff", b"\x05\x00\x00\x00[1", b"\x02\x00\x00\x00{}", b"\x0e\x00\x00\x00" + b'{"tensor":"7"}',
    b"\x01\x00\x00\x00[", (12).to_bytes(4, "little") + b'{"tuple":12}', b"\x04\x00\x00\x00null" + b"\xff" * 64,
    b"\x04\x00\x00\x00null" + (2**40).to_bytes(8, "little") + b"{}", pickle.dumps({"a": 1}),
    (200_000).to_bytes(4, "little") + b"[" * 200_000])
def test_malformed_frames_end_in_a_wire_error(frame):
    with pytest.raises(wire.WireError):
        wire.decode(frame)


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_decode_or_are_refused(noise):
    for frame in (noise, len(noise).to_bytes(4, "little") + noise, b"\x04\x00\x00\x00null" + noise):
        try:
            wire.decode(frame)
        except wire.WireError:
            pass


def test_lone_surrogates_become_printable():
    wire.decode(wire.encode("\ud800")).encode("utf-8")


def test_a_sent_tensor_is_a_copy():
    tensor = torch.zeros(2)
    frame = wire.encode(tensor)
    tensor += 1
    assert wire.decode(frame).tolist() == [0, 0]
