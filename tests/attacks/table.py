"""Prints the table of attacks for the README: what each tries, deserves, and gets from stock nbgrader and here.

    python -m tests.attacks.table

What is given here, tests/test_attacks.py asserts. Where that is less than the honest part would have deserved, the attack has
destroyed it; stock nbgrader, which may not even notice such an attack, isn't wrong to give it.
"""

import json

from . import corpus, craft
from .against_stock import RECORD


def lines():
    """The lines of the table. What stock does wrongly is set in bold."""
    recorded = json.loads(RECORD.read_text())
    yield "| attack | what it tries | deserved | stock nbgrader | here |"
    yield "|---|---|---:|---:|---:|"
    for attack in corpus():
        stock, deserved = recorded.get(attack.name, "not run"), max(attack.points, craft.HONEST)
        shown = f"{stock:g}" if isinstance(stock, float) else stock
        shown = shown if stock in (attack.points, deserved if attack.lost else attack.points) else f"**{shown}**"
        yield f"| `{attack.name}` | {attack.tries} | {deserved:g} | {shown} | {attack.points:g} |"


if __name__ == "__main__":
    print("\n".join(lines()))
