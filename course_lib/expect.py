"""The vocabulary of checks: what a result is expected to be, and the sentence when it is not.

Each function returns nothing, or what it compared, when the expectation holds, and raises `Failed` otherwise. The
messages say how far off a result is, and where, but never give the expected values whole.
"""

import contextlib
import contextvars
import math
from dataclasses import dataclass

import torch

from course_lib.verdict import Failed

_figures = contextvars.ContextVar("figures", default=None)


@contextlib.contextmanager
def recording_figures():
    """Collect what `measured` and `within` report while a check runs; yields the dict."""
    figures = {}
    token = _figures.set(figures)
    try:
        yield figures
    finally:
        _figures.reset(token)


def measured(**figures):
    """Report figures of a training run, by name, all of them before the first is judged: they appear in the verdict."""
    if _figures.get() is not None:
        _figures.get().update({name: round(float(value), 6) for name, value in figures.items()})


def agree(student, reference, name, *args, rtol=1e-6, atol=1e-9, hint=""):
    """`name(*args)` gives the same in the submission as in the reference. Returns the submission's result."""
    got = student.call(name, *args)
    same(got, reference.call(name, *args), f"`{name}`", rtol=rtol, atol=atol, hint=hint)
    return got


def agree_grad(student, reference, name, *args, wrt=0, rtol=1e-6, atol=1e-9, hint=""):
    """The gradient of `name(*args)` with respect to argument `wrt` is the reference's."""
    got = student.grad(name, *args, wrt=wrt)
    same(got, reference.grad(name, *args, wrt=wrt), f"the gradient of `{name}`", rtol=rtol, atol=atol, hint=hint)
    return got


def agree_run(student, reference, probe, *args, using=(), what, rtol=1e-10, atol=1e-10, hint=""):
    """The probe gives the same beside the submission as beside the reference. `what` names its result in messages."""
    got = student.run(probe, *args, using=using)
    same(got, reference.run(probe, *args, using=using), what, rtol=rtol, atol=atol, hint=hint)
    return got


def same(got, want, what, rtol=1e-6, atol=1e-9, hint=""):
    """`got` has the structure, shape and values of `want`: numbers, tensors, or lists, tuples and dicts of them.

    A Python number and a tensor of one element count as the same thing. hint: the sentence to show when the values
    (not the form) are off; without one, the learner is told how far off and where.
    """
    if isinstance(want, dict):
        if not isinstance(got, dict) or set(got) != set(want):
            raise Failed(f"{what} should be a dict with the keys {sorted(want)}; it is {_kind(got)}.")
        for key in want:
            same(got[key], want[key], f"{what}, {key}", rtol, atol, hint)
    elif isinstance(want, (list, tuple)):
        if not isinstance(got, (list, tuple)) or len(got) != len(want):
            raise Failed(f"{what} should be {len(want)} values; it is {_kind(got)}.")
        for index, (one, other) in enumerate(zip(got, want)):
            same(one, other, f"{what}, value {index + 1} of {len(want)}", rtol, atol, hint)
    elif want is None or isinstance(want, (str, bool)):
        if type(got) is not type(want) or got != want:
            raise Failed(hint or f"{what} should be {_kind(want)}; it is {_kind(got)}.")
    else:
        got = _numbers(got, what)
        if not isinstance(want, torch.Tensor) and got.is_floating_point():
            got = got.double()  # a number has no precision of its own to keep
        _same_tensor(got, _as_tensor(want), what, rtol, atol, hint)


def tensor(value, what, shape=None):
    """`value` as a tensor of finite numbers (of `shape`, if given), or a sentence that says what it is instead."""
    value = _numbers(value, what)
    if shape is not None and tuple(value.shape) != tuple(shape):
        raise Failed(f"{what} has the shape {tuple(value.shape)}; expected was {tuple(shape)}.")
    finite(value, what)
    return value


def _numbers(value, what):
    if value is None:
        raise Failed(f"{what} gave back nothing. Is a `return` missing?")
    if not isinstance(value, (torch.Tensor, int, float)) or isinstance(value, bool):
        raise Failed(f"{what} should be a tensor or a number; it is {_kind(value)}.")
    return _as_tensor(value)


def finite(value, what, hint=""):
    """No NaN and no infinity in `value`."""
    value = _as_tensor(value)
    if value.is_floating_point() and not torch.isfinite(value).all():
        bad = ~torch.isfinite(value)
        kinds = "NaN" if torch.isnan(value).all() or torch.isnan(value[bad]).all() else "infinite"
        where = "" if value.ndim == 0 else f" at {_position(bad)} ({int(bad.sum())} of {value.numel()} entries)"
        raise Failed(hint or f"{what} is {kinds}{where}.", f"{what} is {kinds}{where}." if hint else "")


def _same_tensor(got, want, what, rtol, atol, hint):
    if got.shape != want.shape:
        if got.numel() == want.numel() == 1:
            got = got.reshape(want.shape)
        else:
            shape = "a single number" if want.ndim == 0 else f"of the shape {tuple(want.shape)}"
            raise Failed(f"{what} has the shape {tuple(got.shape)}; it should be {shape}.")
    finite(got, what)  # only now: the shape has shown that it isn't a thousand times as large as it should be
    if want.dtype == torch.float64 and got.dtype in (torch.float32, torch.float16, torch.bfloat16):
        raise Failed(f"{what} came back as {got.dtype} though the inputs are torch.float64: "
                     "something on the way converts them. Build new tensors from the inputs (`torch.ones_like(x)`).")
    got, want = got.to(torch.float64), want.to(torch.float64)
    error = (got - want).abs()
    bad = error > atol + rtol * want.abs()
    if bad.any():
        detail = f"{what} is off by {error.max():.3g}"
        if got.ndim:
            worst = (error * bad).argmax()
            detail += (f" at {_position(error == error.flatten()[worst])}, where yours is {got.flatten()[worst]:.5g}; "
                       f"{int(bad.sum())} of {bad.numel()} entries differ")
        else:
            detail += f"; yours is {got.item():.5g}"
        raise Failed(hint or detail + ".", detail + "." if hint else "")


def close(value, target, what, hint="", rtol=1e-6, atol=1e-9):
    """A number or tensor equals `target`, which the learner may know (a closed form, a property, another answer of theirs)."""
    _same_tensor(_numbers(value, what), _numbers(target, what).double(), what, rtol, atol, hint)


def true(condition, hint):
    """`condition` holds; the hint says what does not. A tensor of several numbers, which a forged answer can lead to, holds nothing."""
    if isinstance(condition, torch.Tensor) and condition.numel() != 1 or not condition:
        raise Failed(hint)


@dataclass(frozen=True)
class Bound:
    """What a figure of a training must reach, by scale. It comes from measured distributions: `docs/calibration.md`."""

    sense: str
    by_scale: dict

    def value(self, scale):
        """The bound at `scale`; one not given takes the next smaller scale's."""
        return scale.pick(**self.by_scale)

    def holds(self, figure, scale):
        """Whether `figure` keeps within the bound. NaN never does."""
        return bool(figure >= self.value(scale) if self.sense == "at least" else figure <= self.value(scale))


def at_least(**by_scale):
    """The Bound of a figure that must be high: `at_least(smoke=0.8, cpu=0.9)`."""
    return Bound("at least", by_scale)


def at_most(**by_scale):
    """The Bound of a figure that must be low."""
    return Bound("at most", by_scale)


def within(name, value, bound, scale, hint):
    """A measured figure keeps within its Bound at this scale; the hint says what to do when it doesn't."""
    measured(**{name: value})
    if not bound.holds(value, scale):
        raise Failed(hint, f"{name}: {_number(value)}; needed: {bound.sense} {_number(bound.value(scale))}.")


def equal_values(a, b, rtol=1e-6, atol=1e-9):
    """Whether two results are the same in form and value. NaN equals NaN here: two answers can share a mistake."""
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(equal_values(a[key], b[key], rtol, atol) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(equal_values(x, y, rtol, atol) for x, y in zip(a, b))
    if isinstance(a, (torch.Tensor, float, int)) and isinstance(b, (torch.Tensor, float, int)):
        a, b = _as_tensor(a), _as_tensor(b)
        if a.shape != b.shape and not a.numel() == b.numel() == 1:
            return False  # before the conversion, which makes a huge answer eight times as large
        return torch.allclose(a.to(torch.float64).reshape(b.shape), b.to(torch.float64), rtol=rtol, atol=atol, equal_nan=True)
    return type(a) is type(b) and a == b


def _as_tensor(value):
    """A Python float keeps its 64 bits."""
    return torch.as_tensor(value, dtype=torch.float64) if isinstance(value, float) else torch.as_tensor(value)


def _kind(value):
    if value is None:
        return "nothing (None)"
    if isinstance(value, torch.Tensor):
        return f"a tensor of the shape {tuple(value.shape)}"
    if isinstance(value, dict):
        return f"a dict with the keys {sorted(value)[:8]}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__} of {len(value)} values"
    return f"{value[:40]!r}" if isinstance(value, str) else f"{value!r}"[:60]


def _position(mask):
    index = mask.nonzero()[0].tolist()
    return f"position {index[0] if len(index) == 1 else index}"


def _number(value):
    return f"{value:.4g}" if not math.isnan(value) else "NaN"
