"""How large the training is: a smoke test in CI, an honest size on a CPU, or the full size on a GPU."""

import contextlib
import os
from enum import Enum

from course_lib.lessons import LessonError


class UnknownScale(LessonError, ValueError):
    """$COURSE_SCALE names no scale."""


class Scale(Enum):
    """smoke: at most 5 s a check, one thread. cpu: at most 20 s a check, one thread. gpu: the full net and data."""

    SMOKE = "smoke"
    CPU = "cpu"
    GPU = "gpu"

    def pick(self, **by_scale):
        """The value for this scale; a scale not named takes the next smaller one's.

        >>> Scale.GPU.pick(smoke=100, cpu=4000)
        4000
        """
        order = [Scale.GPU, Scale.CPU, Scale.SMOKE]
        for scale in order[order.index(self):]:
            if scale.value in by_scale:
                return by_scale[scale.value]
        raise ValueError(f"no value for the scale {self.value!r} or a smaller one, only for {sorted(by_scale)}")

    @property
    def device(self):
        import torch
        return torch.device("cuda" if self is Scale.GPU else "cpu")


def current_scale():
    """$COURSE_SCALE if it is set, else gpu where torch sees one, else cpu.

    Raises UnknownScale when $COURSE_SCALE names none.
    """
    if chosen := chosen_scale():
        return chosen
    import torch
    return Scale.GPU if torch.cuda.is_available() else Scale.CPU


def chosen_scale():
    """The scale that $COURSE_SCALE names, or None where it isn't set. Raises UnknownScale when it names none."""
    wanted = os.environ.get("COURSE_SCALE")
    try:
        return Scale(wanted.lower()) if wanted else None
    except ValueError:
        known = ", ".join(scale.value for scale in Scale)
        raise UnknownScale(f"COURSE_SCALE is {wanted!r}; it can be one of {known}") from None


@contextlib.contextmanager
def at_scale(scale):
    """Within it `scale` is the current one, so that a lesson's setup cell run here takes its sizes."""
    before = os.environ.get("COURSE_SCALE")
    os.environ["COURSE_SCALE"] = scale.value
    try:
        yield
    finally:
        os.environ.pop("COURSE_SCALE")
        if before is not None:
            os.environ["COURSE_SCALE"] = before
