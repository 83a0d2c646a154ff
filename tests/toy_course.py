"""A course of one small lesson, for the tests of building, releasing and grading: no torch, no training.

Its checks are looked at through `CHECKS`; in the notebook, its setup cell holds a `check` that raises on a wrong answer.
"""

from types import SimpleNamespace

from autograder.build import Course

CHECKS = {"mean": SimpleNamespace(name="mean", points=3), "spread": SimpleNamespace(name="spread", points=1.5)}

SOURCE = '''\
# ---
# jupyter:
#   course:
#     title: Means and spreads
#     minutes: 5
#     builds_on: []
# ---

# %% [markdown]
# # Means and spreads
#
# What $\\bar x$ says, and what it doesn't.

# %% tags=["setup"]
import math


def check(name):
    """Stands in for the course's own: raises where the answer is wrong."""
    assert {"mean": lambda: mean([1, 2, 6]) == 3, "spread": lambda: spread([1, 1, 7]) == 12 ** 0.5 * 0.8164965809277261}[name]()

# %% [markdown]
# ## The mean
#
# Write it.

# %% solution="mean"
def mean(values):
    """The mean of some numbers: `mean([1, 3])` is 2."""
    ### BEGIN SOLUTION
    total = math.fsum(value for value in values)
    return total / len(values)
    ### END SOLUTION

# %% check="mean"
check("mean")

# %% [markdown] tags=["instructor"]
# Many forget that an empty list has no mean at all; ask them.

# %% [markdown]
# ## The spread

# %% solution="spread"
def squares(values):
    ### BEGIN SOLUTION
    centre = mean(values)
    return [(value - centre) ** 2 for value in values]
    ### END SOLUTION


def spread(values):
    """The standard deviation."""
    # sum, divide, take the root
    ### BEGIN SOLUTION
    return math.sqrt(math.fsum(squares(values)) / len(values))
    ### END SOLUTION

# %% check="spread"
check("spread")

# %% tags=["demo"]
print("drawing")

# %% tags=["train"]
for epoch in range(2):
    print(f"epoch {epoch}")

# %%
6 * 7

# %% tags=["instructor"]
print("shown in front of the class only, never to a learner")

# %% [markdown] answer="outliers" points=2
# What does one outlier do to both, and which would you report?
#
# ### BEGIN SOLUTION
# It moves the mean by its distance over n, and the spread much more; report the median.
# ### END SOLUTION

# %% [markdown]
# ## What to remember
'''

FILES = {
    "pyproject.toml": '''\
[build-system]
requires = ["setuptools>=68"]
build-backend = "setuptools.build_meta"

[project]
name = "toy-course"
version = "1.2"

[project.scripts]
course = "course_lib.cli:main"
# BEGIN STAFF
autograder = "autograder.cli:main"
# END STAFF

[tool.setuptools]
packages = [
    "course_lib", "course_lib.checks",
    # BEGIN STAFF
    "autograder",
    # END STAFF
]

[tool.setuptools.package-data]
"course_lib.checks" = ["*.snapshot"]
''',
    "README.md": "# Toy\n\n<!-- BEGIN STAFF -->\nHow to grade.\n<!-- END STAFF -->\nHow to learn.\n",
    "Makefile": "lab:\n\techo lab\n# BEGIN STAFF\ntest:\n\techo test\n# END STAFF\n",
    "setup.sh": "#!/bin/sh\necho set up\n",
    "environment.yml": "name: toy\n",
    "course_lib/__init__.py": "",
    "course_lib/cli.py": "def main():\n    pass\n",
    "course_lib/checks/__init__.py": "",
    "course_lib/checks/toy.py": '"""The checks of the lesson."""\n',
    "course_lib/checks/toy.snapshot": "recorded \x00\x01",
}


def make_course(root, source=SOURCE, checks=CHECKS, **options):
    """A Course in the folder `root` whose one lesson, `toy`, has this source."""
    for name, text in FILES.items() | {("solutions/toy/toy.py", source)}:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return Course(root, lambda lesson: checks, **options)
