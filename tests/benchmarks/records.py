"""The runs of a benchmark, kept as lines of JSON: what is there isn't run again."""

import json


def kept(path):
    """The runs in the file, each a dict; none when it isn't there."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def complete(path, wanted, measure):
    """Make the `wanted` runs that aren't in the file. Each is a dict of what tells it from the others; `measure(**run)` gives its
    figures, which are appended, and printed, when it ends."""
    there = kept(path)
    for run in wanted:
        if not any(run.items() <= other.items() for other in there):
            line = json.dumps(run | measure(**run), ensure_ascii=False)
            with path.open("a") as file:
                file.write(line + "\n")
            print(line, flush=True)
