"""Prints the table of attacks for the README: what each tries, deserves, gets from stock nbgrader, and gets here.

    python -m tests.attacks.table
"""

import json

from . import corpus
from .against_stock import RECORD


def lines():
    """The lines of the table. What stock gives wrongly is set in bold; what is given here, tests/test_attacks.py asserts."""
    recorded = json.loads(RECORD.read_text())
    yield "| attack | what it tries | deserved | stock nbgrader | here |"
    yield "|---|---|---:|---:|---:|"
    for attack in corpus():
        stock = recorded.get(attack.name, "not run")
        stock = f"{stock:g}" if isinstance(stock, float) else stock
        stock = f"**{stock}**" if stock != f"{attack.points:g}" else stock
        yield f"| `{attack.name}` | {attack.tries} | {attack.points:g} | {stock} | {attack.points:g} |"


if __name__ == "__main__":
    print("\n".join(lines()))
