"""Everything that needs a GPU, in one table: `make gpu`, or `python -m tests.gpu`. Without one, why each part was skipped.

The same is written as JSON. A part that fails stops no other; what no time is left for is skipped, and --go-on runs what isn't in the
JSON yet. The exit status is 1 if anything failed. --device cpu tries the parts themselves on a processor, at a small size: that says nothing about a GPU.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path

import torch

from .parts import FAILED, OK, SKIPPED, Row, Where, parts
from .run import WHOLE, run

NO_GPU = "torch sees no GPU here"


def main(arguments=None):
    options = argparse.ArgumentParser(prog="tests.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("part", nargs="*", help="only the parts whose names begin so (default: all)")
    options.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options.add_argument("--seconds", type=float, default=540, help="for all parts together (default: 540)")
    options.add_argument("--go-on", action="store_true", help="keep what the JSON holds of this machine and was all right, and run the rest")
    options.add_argument("--json", type=Path, default=Path("build/gpu.json"), metavar="FILE", help="default: build/gpu.json")
    chosen = options.parse_args(arguments)
    wanted = {name: part for name, part in parts().items() if not chosen.part or name.startswith(tuple(chosen.part))}
    if not wanted:
        options.error(f"no part begins with {chosen.part[0]!r}; there are: {'; '.join(parts())}")
    where, began, found = Where.on(chosen.device), time.monotonic(), []
    there = chosen.device == "cpu" or torch.cuda.is_available()
    known = done_before(chosen.json, machine(where)) if chosen.go_on else {}
    found += known.values()
    for name, (part, seconds) in wanted.items():
        if name in known:
            continue
        left, start = chosen.seconds - (time.monotonic() - began), time.monotonic()
        if not there or left < 5:
            rows = [Row(WHOLE, state=SKIPPED, reason=f"no time is left of {chosen.seconds:.0f} s" if there else NO_GPU)]
        else:
            rows = run(part, where, min(seconds, left))
        for row in rows:
            print(line(name, row), flush=True)
        found.append({"part": name, "seconds": round(time.monotonic() - start, 1), "rows": list(map(asdict, rows))})
        chosen.json.parent.mkdir(parents=True, exist_ok=True)  # after each: whoever stops it keeps what there is
        chosen.json.write_text(json.dumps({"machine": machine(where), "parts": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    states = [row["state"] for part in found for row in part["rows"]]
    print(f"\n{', '.join(f'{states.count(state)} {state}' for state in dict.fromkeys(states))}, {time.monotonic() - began:.0f} s; "
          f"{'; '.join(f'{key} {value}' for key, value in machine(where).items())}; as JSON in {chosen.json}")
    return int(FAILED in states)


def done_before(path, here):
    """{part: what the JSON holds of it} for parts that this very machine has run to their end."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        same = kept["machine"] == here
        return {part["part"]: part for part in kept["parts"] if same and all(row["state"] == OK for row in part["rows"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def line(name, row):
    """A line of the table: the part, what, its figure, what it is held against, its state and why."""
    figure = "" if row.figure is None else f"{row.figure:,.6g} {row.unit}"
    return f"{name:<37}{row.what:<71}{figure:>18}  {row.against:<34}{row.state:<9}{' '.join(row.reason.split())}".rstrip()


def machine(where):
    """What it ran on."""
    named = {"python": platform.python_version(), "torch": torch.__version__, "scale": where.scale.value, "device": where.device}
    if where.device == "cuda" and torch.cuda.is_available():
        named |= {"GPUs": f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(0)}", "CUDA": torch.version.cuda}
    return named


if __name__ == "__main__":
    sys.exit(main())
