"""The inputs a check draws: the same on every machine and every version of the libraries.

torch and NumPy promise that their generators' raw bits stay what they are, but not what is made of them. A check's
recorded answers must fit inputs drawn years later elsewhere, so only raw bits are taken from NumPy's PCG64.
"""

import hashlib
import math

import numpy as np
import torch

from course_lib.scale import Scale


class Draw:
    """A stream of random inputs, seeded by `key`, all float64 or int64 on the CPU.

    secret: False in the notebook, where seeds are public; True in grading, where the key is known to the judge only.
    scale: how large a training check trains.
    """

    def __init__(self, key, scale=Scale.CPU, secret=False):
        self._key, self._bits = key, np.random.PCG64(int.from_bytes(hashlib.sha256(key).digest(), "little"))
        self.scale, self.secret = scale, secret

    def branch(self, label):
        """A Draw of its own for a part of a check: what it draws leaves this one's numbers as they are."""
        return Draw(self._key + b"/" + label.encode(), self.scale, self.secret)

    def uniform(self, *shape, low=0.0, high=1.0):
        """A tensor of `shape`, uniform in (low, high), both ends excluded."""
        raw = self._bits.random_raw(math.prod(shape))
        unit = (np.asarray(raw, dtype=np.uint64) >> np.uint64(11)).astype(np.float64) * 2.0**-53 + 2.0**-54
        return torch.from_numpy(unit.reshape(shape)) * (high - low) + low

    def normal(self, *shape, mean=0.0, std=1.0):
        """A tensor of `shape`, normal with `mean` and `std` (Box and Muller 1958)."""
        radius = torch.sqrt(-2 * torch.log(self.uniform(*shape)))
        return mean + std * radius * torch.cos(2 * math.pi * self.uniform(*shape))

    def integers(self, low, high, *shape):
        """A tensor of `shape` of int64 in low … high − 1."""
        return (self.uniform(*shape) * (high - low)).long() + low

    def permutation(self, n):
        """A random order of 0 … n − 1, int64 (n,)."""
        return torch.argsort(self.uniform(n))

    def number(self, low=0.0, high=1.0):
        """One float, uniform in (low, high)."""
        return float((self._bits.random_raw() >> 11) * 2.0**-53 + 2.0**-54) * (high - low) + low  # as uniform, some hundred times in a check

    def seed(self):
        """An int for torch.manual_seed. It has 31 bits, and all can be tried: what must stay hidden is seeded by `nonce`."""
        return int(self._bits.random_raw() >> 33)

    def nonce(self):
        """A text of 128 bits, too many to be tried."""
        return "".join(f"{raw:016x}" for raw in self._bits.random_raw(2).tolist())


def public_draw(lesson, check, scale=Scale.CPU):
    """The draw of `check` in the notebook: known to all, so that its reference's answers can be recorded."""
    return Draw(f"{lesson}/{check}".encode(), scale)
