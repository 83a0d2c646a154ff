"""How long training takes here: this machine's pace beside that of the machine on which the lessons were timed.

A fixed small piece of training is timed once, in a few seconds, and its time kept in the cache folder. RECORD holds the same
piece's time and the lessons' on another machine; the benchmark tests/benchmarks/lesson_seconds.py writes it.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from course_lib.cache import cache_dir
from course_lib.files import whole
from course_lib.scale import Scale, chosen_scale

RECORD = Path(__file__).with_name("pace.json")
REPEATS = 12


@dataclass(frozen=True)
class Machine:
    """What was measured here. seconds: the piece of training, on one thread. cuda: whether torch sees a GPU.

    key: what a measurement holds for; another key asks for another one.
    """

    seconds: float
    cuda: bool
    key: str

    @property
    def scale(self):
        """The name of the scale that lessons train at, as course_lib.scale chooses it."""
        return (chosen_scale() or (Scale.GPU if self.cuda else Scale.CPU)).value


def this_machine(again=False, say=print):
    """The Machine, measured unless that has been done; None where torch doesn't run."""
    from importlib.metadata import PackageNotFoundError, version
    try:
        key = " ".join([version("torch"), platform.machine(), processor(), str(shutil.which("nvidia-smi")),
                        os.environ.get("CUDA_VISIBLE_DEVICES", "")])
    except PackageNotFoundError:
        return None
    path = cache_dir() / "pace.json"
    try:
        known = Machine(**json.loads(path.read_text()))
        if known.key == key and not again:
            return known
    except (OSError, ValueError, TypeError):
        pass  # not measured yet, or by another version
    say("Measuring once how fast this machine trains: a few seconds.")
    done = subprocess.run([sys.executable, "-m", "course_lib.pace"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          cwd=Path(__file__).resolve().parent.parent)
    try:
        machine = Machine(**json.loads(done.stdout), key=key)
    except (ValueError, TypeError):
        return None  # `course doctor` says why
    try:
        with whole(path) as unfinished:
            unfinished.write_text(json.dumps(asdict(machine)))
    except OSError:
        pass  # it is measured again next time
    return machine


def processor():
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def slower(machine):
    """How many times as long as on the machine of RECORD a training takes on `machine`."""
    return machine.seconds / record()["seconds"]


def training_seconds(lesson, machine):
    """Seconds that all training of `lesson` takes at the machine's scale, or None if it hasn't been timed at that scale."""
    timed = record()["lessons"].get(lesson, {}).get(machine.scale)
    return None if timed is None or machine.scale == "gpu" else timed * slower(machine)


def record():
    """What was timed on another machine: {"machine", "seconds", "lessons": {lesson: {scale: processor seconds}}}."""
    return json.loads(RECORD.read_text())


def measure():
    """The piece of training: 5 steps of a small convolutional net, one thread. Returns the least of REPEATS times.

    In seconds of the processor, and the least, because other programs can only make it longer.
    """
    import torch
    from torch import nn
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            images, labels = torch.randn(64, 1, 28, 28), torch.arange(64) % 10
            net = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
                                nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
                                nn.Flatten(), nn.Linear(32 * 49, 10))
            optimizer, times = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9), []
            for _ in range(REPEATS):
                start = time.process_time()
                for _ in range(5):
                    optimizer.zero_grad()
                    nn.functional.cross_entropy(net(images), labels).backward()
                    optimizer.step()
                times.append(time.process_time() - start)
        return min(times)
    finally:
        torch.set_num_threads(threads)


if __name__ == "__main__":
    import torch
    print(json.dumps({"seconds": measure(), "cuda": torch.cuda.is_available()}))
