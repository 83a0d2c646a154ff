"""Sets the course up on a hosted notebook: `%run …/course_lib/hosted.py`, as the README's snippet does.

Such a machine brings Python, PyTorch, NumPy 2 and a notebook of its own, which are left as they are: d2l's exact pins don't
install there, so it is installed without them. Only what is missing is fetched; JupyterLab and the like aren't needed. Nothing of the
course is imported before that is there. Run again, it installs nothing.
"""

import importlib
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

COURSE = Path(__file__).resolve().parent.parent
# What the notebook's own machine is there for, or only terminals, classes and tests need.
LEFT_OUT = {"jupyterlab", "jsonschema", "nbgrader", "jupytext", "distributed", "cryptography", "voila", "sphinx", "myst-nb", "sphinx-book-theme", "sphinx-design",
            "sphinx-mathjax-offline"}
LEFT_AS_IT_IS = {"torch", "torchvision", "matplotlib", "ipywidgets", "scikit-learn", "tqdm"}  # any version that is there will do


def set_up(pip=None):
    """Install what is missing and make `import course_lib` work. Returns the names of what was installed.

    pip: called with pip's arguments; by default runs it. Raises RuntimeError where a package can't be had.
    """
    pip = pip or _pip
    if sys.version_info < (3, 11):
        raise RuntimeError(f"the course needs Python 3.11 or newer, and this notebook runs Python {sys.version.split()[0]}")
    missing = missing_packages()
    alone = [pin for pin in missing if pin.startswith("d2l==")]
    others = [pin for pin in missing if pin not in alone]
    for pins, options in ((others, []), (alone, ["--no-deps"])):
        if pins:
            print(f"Installing {', '.join(pins)} …", flush=True)
            pip(["install", "--quiet", *options, *pins])
    importlib.invalidate_caches()
    if str(COURSE) not in sys.path:
        sys.path.insert(0, str(COURSE))
    return missing


def missing_packages():
    """What of pyproject.toml's packages isn't here, with the version to install; torch comes with torchvision to match."""
    pins = tomllib.loads((COURSE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    wanted = {re.split("==", pin)[0]: pin for pin in pins}
    here = {name for name in wanted if _is_here(name)}
    return [name if name in LEFT_AS_IT_IS and name not in ("torch", "torchvision") else pin
            for name, pin in wanted.items() if name not in here | LEFT_OUT]


def _is_here(name):
    try:
        importlib.metadata.version(name)
        return True
    except importlib.metadata.PackageNotFoundError:
        return False


def _pip(arguments):
    done = subprocess.run([sys.executable, "-m", "pip", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines() or ["pip said nothing"]
        raise RuntimeError(f"pip couldn't install it: {said[-1]} Has this notebook been allowed to use the internet?")


def main():
    set_up()
    from course_lib.lessons import names
    print(f"The course is ready, from {COURSE}. Lessons here: {', '.join(names())}.")
    print("Now run the lesson from its first cell. Your work is in the notebook: download it before the session ends.")


if __name__ == "__main__":
    main()
