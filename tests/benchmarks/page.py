"""docs/results.md: a block for each benchmark, written from its kept runs. What stands between the blocks is written by hand.

    <!-- bench: NAME -->
    …
    <!-- end -->
"""

import inspect
import re
import shlex
import statistics
from datetime import date

from tests.benchmarks.records import kept, path_of

MARKED = re.compile(r"(?<=^<!-- bench: )(\w+)( -->\n)(.*?)(?=^<!-- end -->$)", re.DOTALL | re.MULTILINE)
# Of lines from before they said so themselves.
UNMARKED = {"machine": "2 virtual x86-64 cores", "torch": "2.15.0"}


# --- The page ---

def blocks(page):
    """{name: text} of the blocks in the page's text."""
    return {name: text for name, _, text in MARKED.findall(page)}


def rewritten(page, name, text):
    """The page with `text`, whole lines, in the block of `name`, and everything else as it is."""
    return MARKED.sub(lambda found: f"{found[1]}{found[2]}{text}" if found[1] == name else found[0], page)


# --- A block ---

def block(benchmark):
    """What the page says of a benchmark's module: the title and text of its docstring; for each scale its tables, and where they come from."""
    title, _, text = inspect.cleandoc(benchmark.__doc__).partition("\n\n")
    parts = [f"### {title.rstrip('.')}", text.strip(), *(_at(scale, benchmark) for scale in benchmark.MINUTES)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _at(scale, benchmark):
    name, wanted = benchmark.__name__.rpartition(".")[2], benchmark.wanted(scale)
    runs = kept(path_of(name, scale), wanted)
    several = len(benchmark.MINUTES) > 1
    chosen = f"{name} --scale {scale}" if several else name
    command = lambda arguments: f"`make bench BENCH_ARGS={shlex.quote(arguments)}`"
    at_scale = f"Scale `{scale}`: " if several else ""
    if not runs:
        return f"*{at_scale}{'n' if several else 'N'}ot measured yet; {command(chosen)}*"
    part = f"; {len(runs)} of {len(wanted)} runs so far" if len(runs) < len(wanted) else ""
    return f"{benchmark.tables(runs, scale)}\n\n*{at_scale}{origin(runs)}{part}; {command('--again ' + chosen)}*"


def origin(runs):
    """Where, with what, on which seeds and when these runs were measured."""
    by_machine = {}
    for run in runs:
        on = run.get("on", UNMARKED)
        versions = ", ".join(f"{program} {on[key]}" for key, program in (("python", "Python"), ("torch", "torch")) if key in on)
        by_machine.setdefault(f"{on['machine']}, {versions}", []).append(run)
    places = [place + _when(own) + (f" ({len(own)} runs)" if len(by_machine) > 1 else "") for place, own in by_machine.items()]
    seeds = sorted({run["seed"] for run in runs if "seed" in run})
    return "; and ".join(places) + (f"; seeds {_span(seeds)}" if len(seeds) > 1 else f"; seed {seeds[0]}" if seeds else "")


def _when(runs):
    marks = [run["on"] for run in runs if "on" in run]
    if not marks:
        return ""
    days = [f"{day.day} {day:%B %Y}" for day in sorted({date.fromisoformat(mark["date"]) for mark in marks})]
    return f", load before it {_span(sorted({mark['load'] for mark in marks}))}, {_span(days)}"


def _span(values):
    """The first and the last of sorted values."""
    return str(values[0]) if len(values) == 1 else f"{values[0]} to {values[-1]}"


# --- What the tables of benchmarks are made with ---

def grid(head, rows):
    """A table in Markdown; cells are text or whole numbers."""
    line = lambda cells: "| " + " | ".join(map(str, cells)) + " |"
    return "\n".join([line(head), "|" + "---|" * len(head), *map(line, rows)])


def spread(values, digits=3):
    """mean (least to greatest), of one its value, of none ""."""
    if not values:
        return ""
    return f"{statistics.mean(values):.{digits}f}" + (f" ({min(values):.{digits}f} to {max(values):.{digits}f})" if len(values) > 1 else "")
