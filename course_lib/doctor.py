"""`course doctor`: looks over what the course needs on this machine, and says what to do where something is amiss.

Nothing is imported that takes long, torch least of all: versions are read from what the packages say of themselves. Each
check-up is a function that yields Findings; `examine` runs them all.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from course_lib.lessons import COURSE

OK, NOTE, AMISS = "ok", "note", "amiss"
MARKS = {OK: "✓", NOTE: "!", AMISS: "✗"}
DISK_GB = 2  # for data sets, source nets and notebooks with pictures
MEMORY_GB = 4  # a kernel that trains takes up to 2 of them; the browser and JupyterLab want theirs
AGAIN = "run `make setup`; if that finds nothing to do, `rm -rf .venv` first"


@dataclass(frozen=True)
class Finding:
    """What a check-up found. state: OK, NOTE (the course works, with less) or AMISS. remedy: what to do, or ""."""

    about: str
    state: str
    found: str
    remedy: str = ""


def examine():
    """All Findings, in order. A check-up that fails itself is a Finding too."""
    found = []
    for checkup in CHECKUPS:
        try:
            found += checkup()
        except Exception as error:  # what is broken here may be anything, and the others still have something to say
            about = checkup.__name__.replace("_", " ")
            found.append(Finding(about, NOTE, f"couldn't be looked at ({type(error).__name__}: {error})"))
    return found


def python():
    version = "{}.{}.{}".format(*sys.version_info[:3])
    if sys.version_info < (3, 11):
        yield Finding("Python", AMISS, f"{version}; the course needs 3.11", "install Python 3.11, then run `make setup`")
    elif sys.version_info >= (3, 12):
        yield Finding("Python", NOTE, f"{version}; d2l's own pins need 3.11",
                      "lessons work all the same, as on hosted notebooks; elsewhere use `make setup`, which asks for 3.11")
    else:
        yield Finding("Python", OK, f"{version}, {sys.executable}")


def packages():
    """Against the pins of pyproject.toml, and what those packages themselves pin (numpy, by d2l)."""
    try:
        pins = tomllib.loads((COURSE / "pyproject.toml").read_text())["project"]["dependencies"]
    except (OSError, ValueError, KeyError) as error:
        yield Finding("packages", AMISS, f"{COURSE / 'pyproject.toml'} can't be read ({type(error).__name__})",
                      "unpack the course again; your notebooks in lessons/ are safe to copy over")
        return
    wanted = [(pin, "the course") for pin in pins]
    for pin in pins:
        name = re.split(r"[=<>! ]", pin)[0]
        exact = [each for each in _requires(name) if re.fullmatch(r"[\w.-]+ ?\(?==[\w.]+\)?", each)]
        wanted += [(each, name) for each in exact]
    missing, other = [], []
    for pin, who in wanted:
        name, version = re.fullmatch(r"([\w.-]+) ?\(?==([\w.]+)\)?", pin).groups()
        here = installed(name)
        if here is None:
            missing.append(name)
        elif here.partition("+")[0] != version:
            other.append(f"{name} {here} ({who} asks for {version})")
    hosted = sys.version_info >= (3, 12)
    if missing:
        yield Finding("packages", NOTE if hosted else AMISS, f"missing: {', '.join(missing)}", AGAIN)
    if other:
        yield Finding("packages", NOTE if hosted else AMISS, f"other versions than asked for: {', '.join(other)}", AGAIN)
    if not missing and not other:
        yield Finding("packages", OK, f"{len(wanted)} in the versions asked for; torch {installed('torch')}")


def installed(name):
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requires(name):
    try:
        return importlib.metadata.requires(name) or []
    except importlib.metadata.PackageNotFoundError:
        return []


def disk():
    from course_lib.cache import cache_dir
    kept = next(place for place in (cache_dir(), *cache_dir().parents) if place.exists())
    for about, place in {place.stat().st_dev: (about, place) for about, place in
                         (("disk for downloads", kept), ("disk", COURSE))}.values():
        free = shutil.disk_usage(place).free / 1e9
        remedy = "free some" + (", or set COURSE_CACHE to a folder on another disk" if place == kept else "")
        state = OK if free >= DISK_GB else NOTE if free >= 0.2 else AMISS
        yield Finding(about, state, f"{free:.1f} GB free at {place}", "" if state == OK else f"{remedy}; {DISK_GB} GB is comfortable")
    lessons = COURSE / "lessons"
    if not os.access(lessons, os.W_OK):
        yield Finding("lessons", AMISS, f"{lessons} can't be written to, so nothing you do there is kept",
                      "copy the course into a folder of your own, and run `make setup` there")


def memory():
    total = memory_gb()
    if total is None:
        yield Finding("memory", NOTE, "not known on this system", f"{MEMORY_GB} GB is comfortable")
    elif total < MEMORY_GB:
        yield Finding("memory", NOTE, f"{total:.1f} GB", f"{MEMORY_GB} GB is comfortable: close other programs, and shut down kernels "
                      "of lessons you aren't in (the round icon at JupyterLab's left edge)")
    else:
        yield Finding("memory", OK, f"{total:.1f} GB")


def memory_gb():
    """What this process may have, in 10⁹ bytes, or None where that isn't known: the machine's memory, or less if its container allows less."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    try:
        total = min(total, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (OSError, ValueError):
        pass  # no container, or one without a limit
    return total / 1e9


def gpu():
    """Asks the driver, and torch only if there is a GPU that it might not be able to use."""
    try:
        seen = subprocess.run(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
                              capture_output=True, text=True, timeout=10)
    except FileNotFoundError:
        yield Finding("GPU", OK, "no NVIDIA driver, so training runs on the processor; every lesson is made for that too")
        return
    except subprocess.TimeoutExpired:
        yield Finding("GPU", NOTE, "nvidia-smi doesn't answer", "restart the machine; until then, COURSE_SCALE=cpu")
        return
    if seen.returncode or not seen.stdout.strip():
        yield Finding("GPU", NOTE, f"the driver sees none: {(seen.stderr or seen.stdout).strip() or 'no GPU listed'}",
                      "if there is one, install the driver again and restart; until then, training runs on the processor")
        return
    name = seen.stdout.strip().splitlines()[0]
    asked = subprocess.run([sys.executable, "-c", "import torch; print(torch.cuda.is_available(), torch.version.cuda)"],
                           capture_output=True, text=True, timeout=120)
    usable, _, cuda = asked.stdout.strip().partition(" ")
    if usable == "True":
        yield Finding("GPU", OK, f"{name}; torch uses it")
    elif asked.returncode:
        said = asked.stderr.strip().splitlines() or ["no word"]
        yield Finding("GPU", AMISS, f"{name}; torch can't be imported: {said[-1]}", AGAIN)
    elif cuda == "None":
        yield Finding("GPU", NOTE, f"{name}; this torch is built without CUDA", f"for the GPU, {AGAIN}")
    else:
        yield Finding("GPU", NOTE, f"{name}; torch, built for CUDA {cuda}, can't use it",
                      "update NVIDIA's driver; is CUDA_VISIBLE_DEVICES set? Until then, training runs on the processor")


def scale():
    from course_lib.scale import UnknownScale, chosen_scale
    try:
        if chosen := chosen_scale():
            yield Finding("COURSE_SCALE", OK, f"{chosen.value}, chosen by you")
    except UnknownScale as error:
        yield Finding("COURSE_SCALE", AMISS, str(error), "correct it, or unset it")


def data():
    place = os.environ.get("COURSE_DATA")
    if place and not Path(place).expanduser().exists():
        yield Finding("COURSE_DATA", AMISS, f"names {place}, which isn't there", "correct it, or unset it")
    from course_lib.data import course_data_report
    for name, where, remedy in course_data_report():
        needed = name == "digits"
        yield Finding(f"data: {name}", OK if where else AMISS if needed else NOTE, where or "not on this machine", remedy)


def lessons():
    from course_lib import lessons as here
    problems = []
    found = here.lessons(problems.append)
    for problem in problems:
        yield Finding("lessons", AMISS, str(problem), "your other lessons work")
    if not found:
        yield Finding("lessons", AMISS, f"none below {COURSE / 'lessons'}", "unpack the course again")
    for each in found:
        if not (COURSE / "course_lib" / "checks" / f"{each.name}.snapshot").is_file():
            yield Finding("lessons", AMISS, f"{each.name}: what its checks compare with is missing", "unpack the course again")
    if found and not problems:
        yield Finding("lessons", OK, ", ".join(each.name for each in found))


def jupyterlab():
    if importlib.util.find_spec("jupyterlab") is None:
        yield Finding("JupyterLab", AMISS, "isn't installed", AGAIN)
        return
    extensions = Path(sys.prefix) / "share" / "jupyter" / "labextensions"
    lost = [name for name, folder in (("ipywidgets", "@jupyter-widgets/jupyterlab-manager"), ("anywidget", "anywidget"))
            if not (extensions / folder).is_dir()]
    if lost:
        yield Finding("JupyterLab", AMISS, f"its part of {' and '.join(lost)} is missing, so sliders and boards won't show", AGAIN)
    else:
        yield Finding("JupyterLab", OK, f"{installed('jupyterlab')}, with sliders and boards")


def kernel():
    """JupyterLab runs notebooks in the kernel called python3; one of the user's own comes before the environment's."""
    from jupyter_core.paths import jupyter_path
    if importlib.util.find_spec("ipykernel") is None:
        yield Finding("kernel", AMISS, "ipykernel isn't installed, so no notebook can run", AGAIN)
        return
    spec = next((place for each in jupyter_path("kernels") if (place := Path(each) / "python3" / "kernel.json").is_file()), None)
    if spec is None:  # then JupyterLab starts the Python that it runs in
        yield Finding("kernel", OK, f"python3, of {sys.prefix}")
        return
    try:
        program = json.loads(spec.read_text())["argv"][0]
    except (ValueError, KeyError, IndexError, TypeError) as error:
        yield Finding("kernel", AMISS, f"{spec} can't be read ({type(error).__name__})", f"delete the folder {spec.parent}")
        return
    ours = os.path.sep not in program or Path(program).absolute().parent == Path(sys.executable).absolute().parent
    if ours:
        yield Finding("kernel", OK, f"python3, of {sys.prefix}")
    else:
        yield Finding("kernel", AMISS, f"notebooks would run in {program}, and the course is installed in {sys.executable}",
                      f"rename or delete {spec.parent}, which comes before the course's own kernel")


def browser():
    import webbrowser
    try:
        webbrowser.get()
        yield Finding("browser", OK, "there is one")
    except webbrowser.Error:
        yield Finding("browser", NOTE, "none that can be opened from here",
                      "copy the address that JupyterLab prints into a browser; from a remote machine see the README")


def staff():
    """Only where the autograder is: a release for learners has none."""
    if not (COURSE / "autograder").is_dir():
        return
    program = shutil.which("bwrap")
    if not program:
        yield Finding("bubblewrap", NOTE, "isn't installed, so hand-ins can't be graded here (learners don't need it)",
                      "Debian and Ubuntu: apt install bubblewrap")
        return
    walls = [program, "--unshare-all", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(walls, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
    if done.returncode:
        yield Finding("bubblewrap", NOTE, f"can't build walls here, so hand-ins can't be graded: {done.stderr.strip()}",
                      "allow unprivileged user namespaces: docs/running_a_class.md, “When something goes wrong”")
    else:
        yield Finding("bubblewrap", OK, f"{program} builds walls; `autograder grade` tries its own as well")


CHECKUPS = [python, packages, disk, memory, gpu, scale, data, lessons, jupyterlab, kernel, browser, staff]


def main(as_json=False):
    """Print what was found, in words or as JSON; returns the exit status: 1 if something is amiss."""
    found = examine()
    if as_json:
        print(json.dumps([asdict(finding) for finding in found], indent=1))
    else:
        for finding in found:
            print(f"{MARKS[finding.state]} {finding.about}: {finding.found}")
            if finding.remedy and finding.state != OK:
                print(f"    → {finding.remedy}")
        amiss = sum(finding.state == AMISS for finding in found)
        notes = sum(finding.state == NOTE for finding in found)
        print(f"\n{amiss} thing{'s' * (amiss != 1)} to mend." if amiss else
              "\nEverything the course needs is here" + (f"; {notes} note{'s' * (notes != 1)} above." if notes else "."))
    return int(any(finding.state == AMISS for finding in found))
