"""Runs the benchmarks and rewrites their blocks in docs/results.md.

Runs that are kept (tests/benchmarks/NAME.SCALE.jsonl) aren't made again. Stop it with Ctrl-C, and the same command goes on
where it was. A GPU's sizes are measured where there is one.

    make bench                                    what isn't measured yet
    make bench BENCH_ARGS='crowd ladder'          of these only
    make bench BENCH_ARGS='--again quickness'     anew, in the place of what was kept
    make bench BENCH_ARGS=--list                  which there are, how long they take, what of them is kept

A benchmark is a module beside this file with

    a docstring           its first line is the block's title, the rest, Markdown, the text above the tables
    MINUTES               {scale: about how many minutes it takes on two cores (gpu: on one GPU); None if nobody has tried}
    wanted(scale)         its runs, each a dict of what tells it from the others
    measure(scale)        → a function that makes one of them, measure(scale)(**run) → its figures, a dict for JSON
    tables(runs, scale)   → Markdown; runs: those that are kept, each with its figures, in the order of `wanted`
    hand_on()             if the course itself reads what was measured: writes that from what is kept
"""

import argparse
import importlib
import sys
import traceback

import torch

from course_lib.scale import Scale, at_scale
from tests.benchmarks import page, records

RESULTS = records.FOLDER.parent.parent / "docs" / "results.md"
MECHANISM = {"__main__", "page", "records"}


def names():
    """The benchmarks, by name."""
    return sorted(path.stem for path in records.FOLDER.glob("*.py") if path.stem not in MECHANISM)


def load(name):
    return importlib.import_module(f"tests.benchmarks.{name}")


def rewrite(name):
    """Bring the block of `name` in docs/results.md up to date."""
    before = RESULTS.read_bytes().decode()
    after = page.rewritten(before, name, page.block(load(name)))
    if after != before:
        RESULTS.write_bytes(after.encode())


def scales(benchmark, chosen):
    """Those of a benchmark's scales that were chosen; without a choice, those that this machine can do."""
    return [scale for scale in benchmark.MINUTES if scale == chosen or not chosen and (scale != "gpu" or torch.cuda.is_available())]


def run(name, chosen, again, keep):
    """Complete the runs of a benchmark, and rewrite what is made of them, also when it is stopped or fails."""
    benchmark = load(name)
    try:
        for scale in scales(benchmark, chosen) if not keep else ():
            path, wanted = records.path_of(name, scale), benchmark.wanted(scale)
            if again:
                path.unlink(missing_ok=True)
            if records.missing(path, wanted):
                print(f"{name}, scale {scale}: about {minutes(benchmark, scale)} for all of its {len(wanted)} runs", flush=True)
                torch.set_num_threads(1)
                with at_scale(Scale(scale)):
                    records.complete(path, wanted, benchmark.measure(scale))
    finally:
        rewrite(name)
        if hasattr(benchmark, "hand_on"):
            benchmark.hand_on()


def minutes(benchmark, scale):
    about = benchmark.MINUTES[scale]
    return "an unknown time" if about is None else f"{about} min"


def show(chosen):
    for name in chosen:
        benchmark = load(name)
        for scale in benchmark.MINUTES:
            wanted = benchmark.wanted(scale)
            lacking = len(records.missing(records.path_of(name, scale), wanted))
            print(f"{name:<20}{scale:<7}{minutes(benchmark, scale):<17}{len(wanted) - lacking:>4} of {len(wanted):>3} runs are kept")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a benchmark; all without")
    parser.add_argument("--scale", choices=[scale.value for scale in Scale], help="only this one")
    parser.add_argument("--list", action="store_true", help="say which benchmarks there are, and measure nothing")
    parser.add_argument("--kept", action="store_true", help="rewrite docs/results.md from what is kept, and measure nothing")
    parser.add_argument("--again", action="store_true", help="drop what is kept first; name the benchmarks")
    options = parser.parse_args(arguments)
    known, marked = names(), page.blocks(RESULTS.read_bytes().decode())
    for name in options.names:
        if name not in known:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(known)}")
    chosen = options.names or known
    for name in chosen:
        if options.scale and options.names and options.scale not in load(name).MINUTES:
            parser.error(f"{name} has no scale {options.scale}, only {', '.join(load(name).MINUTES)}")
        if name not in marked:
            parser.error(f"docs/results.md has no block for {name}: put the lines `<!-- bench: {name} -->` and `<!-- end -->` where it belongs")
    if options.again and (options.kept or not options.names):
        parser.error("--again drops what took hours: name the benchmarks, and leave --kept out")
    if options.list:
        show(chosen)
        return 0
    failed = []
    for name in chosen:
        try:
            run(name, options.scale, options.again, options.kept)
        except KeyboardInterrupt:
            print(f"\nStopped in {name}. What was measured is kept, and docs/results.md shows it; without --again the same command goes on.")
            return 130
        except Exception:  # whatever one benchmark meets, the others are measured all the same
            traceback.print_exc()
            failed.append(name)
    print("docs/results.md is up to date." if not failed else f"These failed, see above: {', '.join(failed)}. The others are measured.")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
