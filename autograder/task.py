"""What a worker of Dask's does: judge one submission, in a sandbox that it keeps open for the next."""

import atexit
import contextlib
import functools
import os
from dataclasses import dataclass
from pathlib import Path

import nbformat

from autograder.judge import Judge
from autograder.results import Result
from autograder.sandbox import Limits, Sandbox
from autograder.walls import NoIsolation, Sights
from course_lib.data import cache_dir
from course_lib.scale import Scale, current_scale


@dataclass(frozen=True)
class Terms:
    """On what terms submissions are judged. root: of the course. data, cache: for $COURSE_DATA and $COURSE_CACHE. isolated:
    False for `--unsafe`. all_cells: also run the cells that grading doesn't need, for their pictures."""

    root: Path
    lesson: str
    scale: Scale
    data: Path | None = None
    cache: Path | None = None
    isolated: bool = True
    all_cells: bool = False
    limits: Limits | None = None

    @classmethod
    def of(cls, course, lesson, scale=None, **others):
        """The terms for a lesson of `course`; the scale is this machine's own if none is given."""
        data, cache = os.environ.get("COURSE_DATA"), cache_dir()
        return cls(course.root, lesson, scale or current_scale(), Path(data).expanduser() if data else None,
                   cache if cache.is_dir() else None, **others)

    @property
    def gpu(self):
        return self.scale is Scale.GPU

    def sandbox(self):
        """The Sandbox for these terms, not opened yet. Raises NoIsolation."""
        sights = Sights(self.root / "course_lib", self.root / "lessons" / self.lesson, self.data, self.cache, self.gpu)
        return Sandbox(sights, self.scale, self.limits, self.isolated)

    def released(self):
        """The lesson's released notebook."""
        return nbformat.read(self.root / "lessons" / self.lesson / f"{self.lesson}.ipynb", as_version=4)


def judge_submission(terms, secret, keys, student, spliced, known):
    """The Result for a Spliced. known: an earlier Result as JSON, or None. Raises NoIsolation."""
    return _open_judge(terms, secret, tuple(keys.items())).grade(student, spliced, known and Result.from_json(known))


@functools.lru_cache(maxsize=1)
def _open_judge(terms, secret, keys):
    return Judge(terms.lesson, terms.released(), _sandboxes.on(terms), terms.scale, secret, dict(keys), terms.all_cells)


def require_gpu(sandbox):
    """Raises NoIsolation where what runs in the sandbox can't compute on the GPU, which no learner should pay for."""
    with sandbox.open() as box:
        _, error = box.run_cell("import torch\ntorch.ones(1, device='cuda')")
    if error:
        raise NoIsolation(f"CUDA doesn't start within the walls ({error['type']}: {error['message']})")


class _Sandboxes(contextlib.ExitStack):
    """The one sandbox that is open: the next class on the same terms has it too, and for other terms it is closed, with its processes."""

    terms = None

    def on(self, terms):
        if self.terms != terms:
            self.close()
            self.sandbox = self.enter_context(terms.sandbox())
            if terms.gpu:
                require_gpu(self.sandbox)
            self.terms = terms
        return self.sandbox

    def close(self):
        self.terms = None
        super().close()


_sandboxes = _Sandboxes()
atexit.register(_sandboxes.close)
