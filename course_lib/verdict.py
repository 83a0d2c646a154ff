"""What a check can say of a submission: passed, failed with a hint, or not graded with the reason."""

from dataclasses import asdict, dataclass, field

PASSED, FAILED, NOT_GRADED = "passed", "failed", "not graded"


class Failed(Exception):
    """The submission is wrong. `hint` is the sentence the learner reads; `detail` says how far off, and where."""

    def __init__(self, hint, detail=""):
        super().__init__(hint)
        self.hint, self.detail = hint, detail


class NotGraded(Exception):
    """The check could not come to a verdict; a person must look. The message is the reason."""


@dataclass
class Verdict:
    """The outcome of one check.

    verdict: one of PASSED, FAILED, NOT_GRADED. points: earned, 0 unless passed. hint: what to do next, or why it is
    not graded. detail: how the result differs (may be empty). figures: what a training check measured, by name.
    seconds: how long the check took.
    """

    check: str
    verdict: str
    points: float
    max_points: float
    hint: str = ""
    detail: str = ""
    figures: dict = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def passed(self):
        return self.verdict == PASSED

    def as_dict(self):
        return asdict(self)
