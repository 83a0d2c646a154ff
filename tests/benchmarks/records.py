"""The runs of a benchmark, kept as lines of JSON: what is there isn't run again.

A run is a dict of what tells it from the others; its line adds its figures and, as "on", where and when it was measured.
"""

import importlib.metadata
import json
import os
import platform
from datetime import date
from pathlib import Path

from tqdm import tqdm

FOLDER = Path(__file__).parent


class Damaged(Exception):
    """A record can't be read. Says which line, and what to do."""


def path_of(name, scale):
    """Where the runs of the benchmark `name` at `scale` are kept."""
    return FOLDER / f"{name}.{scale}.jsonl"


def kept(path, wanted):
    """The lines of the file, each a dict, of those `wanted` runs that it has, in their order; none when it isn't there. Raises Damaged."""
    lines = []
    for number, text in enumerate(path.read_text().splitlines() if path.is_file() else [], 1):
        try:
            lines.append(json.loads(text))
        except ValueError:
            raise Damaged(f"{path.name}, line {number} is no JSON, perhaps half written: delete that line, and it is measured again") from None
    found = (next((line for line in lines if run.items() <= line.items()), None) for run in wanted)
    return [line for line in found if line]


def missing(path, wanted):
    """Those of the `wanted` runs that the file doesn't have."""
    there = kept(path, wanted)
    return [run for run in wanted if not any(run.items() <= line.items() for line in there)]


def complete(path, wanted, measure):
    """Make those of the `wanted` runs that the file lacks: `measure(**run)` gives a dict of figures, kept as soon as it is there."""
    runs = missing(path, wanted)
    with tqdm(total=len(wanted), initial=len(wanted) - len(runs), desc=path.stem, unit="run") as bar:
        for run in runs:
            bar.set_postfix_str(", ".join(str(value) for value in run.values() if not isinstance(value, (bool, dict))))
            on = here()  # the load before the run's own
            line = json.dumps(run | measure(**run) | {"on": on}, ensure_ascii=False)
            with path.open("a") as file:
                file.write(line + "\n")
            bar.update()


def here():
    """{"machine", "python", "torch", "load", "date"}: where and when a run is measured. load: programs that wanted a processor in
    the minute before."""
    return {"machine": machine(), "python": platform.python_version(), "torch": importlib.metadata.version("torch"),
            "load": round(os.getloadavg()[0], 1), "date": date.today().isoformat()}


def machine():
    """This machine in a few words: cores, processor, memory, GPU."""
    import torch
    from course_lib import doctor, pace
    information = Path("/proc/cpuinfo")
    virtual = "virtual " if information.is_file() and " hypervisor" in information.read_text() else ""
    memory = doctor.memory_gb()
    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return f"{os.cpu_count()} {virtual}{platform.machine()} cores ({pace.processor()}), " + (f"{memory:.0f} GB, " if memory else "") + gpu
