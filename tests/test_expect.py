"""Expectations: they hold for what is right, and their sentences name what is wrong."""

import math

import pytest
import torch
from hypothesis import given, settings, strategies as st

from course_lib import expect
from course_lib.scale import Scale
from course_lib.verdict import Failed


def sentence(function, *args, **kwargs):
    with pytest.raises(Failed) as caught:
        function(*args, **kwargs)
    return f"{caught.value.hint} {caught.value.detail}"


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_same_accepts_equal_values_in_any_form(numbers):
    tensor = torch.tensor(numbers, dtype=torch.float64)
    expect.same(tensor, tensor.clone(), "x")
    expect.same([tensor, {"a": 1.5}], [tensor, {"a": torch.tensor(1.5, dtype=torch.float64)}], "x")


def test_a_python_float_keeps_its_64_bits():
    third = torch.tensor(1 / 3, dtype=torch.float64)
    expect.same(third, 1 / 3, "x", rtol=0, atol=1e-16)
    expect.same(1 / 3, third, "x", rtol=0, atol=1e-16)


@pytest.mark.parametrize("got, word", [
    (None, "return"), ("text", "tensor or a number"), (True, "tensor or a number"), ([1.0], "tensor or a number"),
    (torch.tensor([1.0, math.nan, 3.0]).double(), "NaN at position 1"),
    (torch.tensor([1.0, math.inf, 3.0]).double(), "infinite at position 1"),
    (torch.ones(2).double(), r"shape \(2,\).*\(3,\)"), (torch.tensor([1.0, 2.0, 3.0]), "float32"),
    (torch.tensor([1.0, 2.0, 7.0]).double(), "off by 4 at position 2.*yours is 7; 1 of 3")])
def test_same_says_what_is_off_and_where(got, word):
    import re
    said = sentence(expect.same, got, torch.tensor([1.0, 2.0, 3.0]).double(), "`f`")
    assert re.search(word, said) and "`f`" in said


def test_the_expected_values_are_never_given_whole():
    want = torch.tensor([0.12345, 0.23456, 0.34567]).double()
    said = sentence(expect.same, want + 1, want, "`f`")
    assert not any(number in said for number in ("0.12345", "0.23456", "0.34567"))


def test_a_forged_tensor_where_a_flag_or_a_word_is_wanted_is_a_failure_and_no_error():
    several = torch.ones(2, dtype=torch.bool)
    for want in (True, "word", None):
        with pytest.raises(Failed):
            expect.same(several, want, "the flag")
    for condition in (several, torch.ones(0), False, torch.tensor(False)):
        with pytest.raises(Failed):
            expect.true(condition, "It should hold.")
    expect.true(torch.tensor(True), "It holds.")


def test_structures_are_compared_part_by_part():
    assert "keys" in sentence(expect.same, {"a": 1.0}, {"b": 1.0}, "x")
    assert "x, b" in sentence(expect.same, {"a": 1.0, "b": 2.0}, {"a": 1.0, "b": 3.0}, "x")
    assert "2 values" in sentence(expect.same, [1.0], [1.0, 2.0], "x")
    assert "value 2 of 2" in sentence(expect.same, (1.0, 2.0), [1.0, 3.0], "x")


def test_a_hint_replaces_the_sentence_and_keeps_the_detail():
    with pytest.raises(Failed) as caught:
        expect.close(3.0, 2.0, "V", hint="mind the sign")
    assert caught.value.hint == "mind the sign" and "off by 1" in caught.value.detail


def test_bounds_hold_inclusively_and_never_for_nan():
    bound = expect.at_least(smoke=0.5, cpu=0.9)
    assert bound.holds(0.5, Scale.SMOKE) and not bound.holds(0.5, Scale.CPU) and bound.holds(0.9, Scale.GPU)
    assert not bound.holds(math.nan, Scale.SMOKE) and not expect.at_most(smoke=1).holds(math.nan, Scale.SMOKE)
    with expect.recording_figures() as figures:
        expect.within("quality", 0.95, bound, Scale.CPU, "train longer")
        assert "0.4" in sentence(expect.within, "modes", 0.4, bound, Scale.CPU, "train longer")
    assert figures == {"quality": 0.95, "modes": 0.4}


def test_equal_values_tells_results_apart():
    same = expect.equal_values
    assert same(torch.tensor([math.nan, 1.0]), torch.tensor([math.nan, 1.0])) and same(1.0, torch.tensor([1.0]))
    assert not same(torch.ones(2), torch.ones(3)) and not same({"a": 1}, {"b": 1}) and not same("a", 1) and not same([1], [1, 2])
