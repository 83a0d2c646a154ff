"""What grading a submission gave, and where a class keeps it: one JSON file a submission, always whole.

    <class>/results/<lesson>/<student>.json

Everything else (gradebook, notebooks, feedback, report) is made from these, as often as one likes.
"""

import base64
import json
import os
import re
import secrets
import struct
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from autograder.errors import LessonError
from course_lib.files import whole
from course_lib.verdict import NOT_GRADED

GRADED = "graded"
PNG, PIXELS = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16_000_000
# What a student's id may be; it becomes the name of files and folders.
STUDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,79}")


def png(encoded):
    """The base64 of a PNG, encoded anew, so that it holds nothing else; None for what isn't a PNG, or has too many pixels."""
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (AttributeError, ValueError):  # no text, or no base64
        return None
    return base64.b64encode(data).decode() if is_png(data) else None


def is_png(data):
    """Whether these bytes begin as a PNG does, of a size that a browser can show."""
    if not data.startswith(PNG) or len(data) < len(PNG) + 8:
        return False
    width, height = struct.unpack_from(">2I", data, len(PNG))
    return 0 < width * height <= PIXELS


@dataclass
class Judged:
    """The verdict on one check, as kept.

    verdict, points, max_points, hint, detail, figures, seconds: as in course_lib.verdict.Verdict. memory: the most bytes
    the submission held meanwhile. key: of the code that judged it; another key means that it has to be judged again.
    seed: of its secret inputs, in hex, for whoever must repeat it.
    """

    check: str
    verdict: str
    points: float
    max_points: float
    hint: str = ""
    detail: str = ""
    figures: dict = field(default_factory=dict)
    seconds: float = 0.0
    memory: int = 0
    key: str = ""
    seed: str = ""


@dataclass
class Question:
    """A question in words. points: None until a person has given them. answered: whether anything was written."""

    question: str
    max_points: float
    points: float | None = None
    answered: bool = True


@dataclass
class Result:
    """What grading gave for one submission.

    verdicts: one Judged for each check, in the lesson's order. by_hand: one Question each. sources: {cell id: text} of the
    cells that were taken from the submission. outputs: {cell id: outputs} of the re-run, each {"text": …},
    {"error": …} or {"png": base64}. notes: sentences for the instructor, from its judging. content: a hash of `sources`; what has the same
    is the same submission. submitted: when it was handed in (ISO, UTC), if that is known. judged_by: scale, device,
    sandbox ("bubblewrap" or "none"), versions, whether all cells were run, and the fingerprint of the class's secret. seconds: from first cell to
    last verdict. cells_seconds: of the submission's own cells. memory: the most bytes it held. received: sentences about
    the hand-in itself, as it was last found. problem: why nothing could be read of it, or "". several: {cell id: [numbers]} of exercises
    that it has more than one cell of, the one that was taken first.
    """

    student: str
    lesson: str
    verdicts: list
    by_hand: list = field(default_factory=list)
    sources: dict = field(default_factory=dict)
    outputs: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    content: str = ""
    submitted: str | None = None
    graded: str = ""
    judged_by: dict = field(default_factory=dict)
    seconds: float = 0.0
    cells_seconds: float = 0.0
    memory: int = 0
    received: list = field(default_factory=list)
    problem: str = ""
    several: dict = field(default_factory=dict)

    @property
    def all_notes(self):
        """What the instructor should know, each sentence once: of the hand-in, and of its judging."""
        return list(dict.fromkeys([*self.received, *self.notes]))

    @property
    def status(self):
        """GRADED, or NOT_GRADED when at least one check waits for a person."""
        return NOT_GRADED if any(each.verdict == NOT_GRADED for each in self.verdicts) else GRADED

    @property
    def judged(self):
        """Whether any check came to a verdict; where none did, the points say nothing."""
        return any(each.verdict != NOT_GRADED for each in self.verdicts)

    @property
    def points(self):
        """Of the checks; questions stand beside them."""
        return sum(each.points for each in self.verdicts)

    @property
    def max_points(self):
        return sum(each.max_points for each in self.verdicts)

    def as_json(self):
        return json.dumps(asdict(self), indent=1, ensure_ascii=True)

    @classmethod
    def from_json(cls, text):
        """Raises ValueError for what isn't a Result."""
        try:
            fields = json.loads(text)
            fields["verdicts"] = [Judged(**each) for each in fields["verdicts"]]
            fields["by_hand"] = [Question(**each) for each in fields["by_hand"]]
            return cls(**fields)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a result: {error}") from None

    def summary(self):
        """What `autograder grade --json` says of it."""
        keep = ("check", "verdict", "points", "max_points", "hint")
        return {"student": self.student, "lesson": self.lesson, "points": self.points, "max_points": self.max_points,
                "status": self.status, "verdicts": [{name: getattr(each, name) for name in keep} for each in self.verdicts],
                "by_hand": [asdict(each) for each in self.by_hand]}


@dataclass(frozen=True)
class ClassFolder:
    """A class: nbgrader's course folder, with `results/` and the secret beside its own folders."""

    root: Path

    @property
    def secret(self):
        """The class's 32 secret bytes, which seed its checks; made when first asked for, readable by the owner only. Raises LessonError
        where the file holds something else."""
        path = self.root / "grading.secret"
        if not path.exists():
            with tempfile.NamedTemporaryFile("w", dir=self.root, prefix=".grading.secret.") as file:
                file.write(secrets.token_hex(32) + "\n")
                file.flush()
                os.fsync(file.fileno())
                with suppress(FileExistsError):  # another process was first; and whoever finds it finds it whole
                    os.link(file.name, path)
        digits = path.read_text(errors="replace").strip()
        if not re.fullmatch("(?:[0-9a-fA-F]{2}){32,}", digits):
            raise LessonError(f"{path} should hold 64 hexadecimal digits; restore it, or delete it to grade all anew")
        return bytes.fromhex(digits)

    @property
    def ids(self):
        """{name that somebody handed in by: id}, of all who ever did. Raises LessonError where the file holds something else."""
        path = self.root / "ids.json"
        try:
            ids = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:
            ids = None
        if not isinstance(ids, dict) or not all(isinstance(each, str) and STUDENT.fullmatch(each) for each in ids.values()):
            raise LessonError(f"{path} should hold an object of names and ids; restore it, or delete it to have ids made anew")
        return ids

    def keep_ids(self, ids):
        with whole(self.root / "ids.json") as unfinished:
            unfinished.write_text(json.dumps(ids, indent=1) + "\n", encoding="utf-8")

    def path(self, lesson, student):
        return self.root / "results" / lesson / f"{student}.json"

    def load(self, lesson, student):
        """The Result kept for a student, or None; a file that can't be read counts as none."""
        try:
            return Result.from_json(self.path(lesson, student).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def load_all(self, lesson):
        """All Results of a lesson, by student."""
        students = sorted(path.stem for path in (self.root / "results" / lesson).glob("*.json"))
        return [result for student in students if (result := self.load(lesson, student))]

    def save(self, result):
        with whole(self.path(result.lesson, result.student)) as unfinished, unfinished.open("w", encoding="utf-8") as file:
            file.write(result.as_json())
            file.flush()
            os.fsync(file.fileno())
