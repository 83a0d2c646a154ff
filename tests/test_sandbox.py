"""The walls hold: what a submission sees, what it may use, and that nothing of it is left. Attacks stand in tests/attacks/."""

import dataclasses
import os
import socket
import subprocess
import time

import psutil
import pytest
import torch
from conftest import ROOT, need

from autograder import task, walls
from autograder.judge import _outputs, _Room
from autograder.sandbox import BoxGone, Limits, Sandbox, _descendants, _kept_waiting
from course_lib import wire
from course_lib.scale import Scale

SIGHTS = walls.Sights(ROOT / "course_lib", ROOT / "lessons" / "gan_math")
LIMITS = Limits(cell_s=4, check_s=4, memory=1024**3, processes=20, file=10**6, files=500)


@pytest.fixture(scope="module", params=["warm", "cold"])
def sandbox(request):
    os.environ["A_SECRET_OF_THE_HOST"] = "x"
    try:
        walls.probe(SIGHTS)
    except walls.NoIsolation as reason:
        need(False, str(reason))
    with Sandbox(SIGHTS, Scale.SMOKE, LIMITS, warm=request.param == "warm") as made:
        yield made
    del os.environ["A_SECRET_OF_THE_HOST"]


# What limits a box, and what it sees, is the same code for both ways in. A cold box takes seconds to start: where each test needs one of
# its own, those that say nothing of the way in try the warm one.
warm_only = pytest.mark.parametrize("sandbox", ["warm"], indirect=True)


@pytest.fixture(scope="module")
def box(sandbox):
    with sandbox.open() as made:
        yield made


def shown(box, source):
    """What a cell prints; it must not fail."""
    outputs, error = box.run_cell(source)
    assert error is None, error
    return "".join(output["text"] for output in outputs)


def refused(box, source):
    """The kind of error a cell ends with."""
    _, error = box.run_cell(source)
    assert error is not None, f"was allowed: {source}"
    return error["type"]


@pytest.mark.parametrize("warm", [True, False])
def test_a_limit_of_this_process_on_all_its_sockets_is_not_the_boxes(warm):
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(0.5)
    try:
        with Sandbox(SIGHTS, Scale.SMOKE, LIMITS, warm=warm) as sandbox, sandbox.open() as box:
            assert shown(box, "import time; time.sleep(1); print(1)") == "1\n"
            time.sleep(1)
            assert shown(box, "print(2)") == "2\n"
    finally:
        socket.setdefaulttimeout(patience)


def ask(box, **request):
    return wire.decode(box.answer(wire.encode(request), box.deadline(10)))


def status(box):
    lines = shown(box, "print(open('/proc/self/status').read())").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_it_has_no_privilege_left(box):
    about = status(box)
    assert {about[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}
    assert (about["NoNewPrivs"], about["Seccomp"]) == ("1", "2")
    assert os.geteuid() or "0" not in about["Uid"].split()


def test_it_sees_the_course_but_no_check_no_solution_and_no_grader(box):
    assert shown(box, "import course_lib.gan; from course_lib import start; start('gan_math')('gan_value')") == ""
    assert shown(box, "import os; print(sorted(os.listdir()))").strip() in ("['gan_math.ipynb']", "['.ipython', 'gan_math.ipynb']")
    for module in ("course_lib.checks", "course_lib.checks.gan_math", "autograder.answers", "autograder.judge"):
        assert refused(box, f"import {module}") in ("ImportError", "ModuleNotFoundError")
    for path in (ROOT / "solutions", ROOT / "tests", ROOT / "autograder" / "answers.py", ROOT / "README.md"):
        assert shown(box, f"import os; print(os.path.exists({str(path)!r}))") == "False\n"


@pytest.mark.parametrize("library", ["torchvision", "d2l", "scipy", "sklearn"])
def test_libraries_with_the_answers_are_out_of_sight(box, library):
    _, error = box.run_cell(f"import {library}")
    assert error["type"] == "ImportError" and "isn't there in grading" in error["message"]


def test_what_torch_itself_has_of_the_answers_cannot_be_made(box):
    assert refused(box, "from torch.utils.data import DistributedSampler; DistributedSampler(range(4), 2, 0)") == "ImportError"
    assert shown(box, "from torch.utils.data import DataLoader; print(len(list(DataLoader(range(4), 2))))") == "2\n"
    held = "any(b'drop_last' in path.read_bytes() for path in Path(torch.utils.data.__path__[0]).rglob('distributed.*'))"
    assert shown(box, f"import torch; from pathlib import Path; print({held})") == "False\n"  # nor in what Python has compiled


def test_nothing_of_the_hosts_environment_gets_in(box):
    seen = eval(shown(box, "import os; print(dict(os.environ))"), {})
    assert "A_SECRET_OF_THE_HOST" not in seen
    assert seen["HOME"] == "/home/learner" and seen["COURSE_SCALE"] == "smoke"
    assert "A_SECRET" not in shown(box, "import os; os.system('env > env'); print(open('env').read())")


def test_there_is_loopback_and_no_other_network(box):
    assert shown(box, "import socket\nheard = socket.socket(); heard.bind(('127.0.0.1', 0)); heard.listen()\n"
                      "socket.create_connection(heard.getsockname()); print('ok')") == "ok\n"
    assert refused(box, "socket.create_connection(('192.0.2.1', 80), 2)") == "OSError"
    assert refused(box, "socket.socket(40, socket.SOCK_STREAM)") == "PermissionError"  # vsock: the machine below this one


@pytest.mark.parametrize("path", ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/etc/passwd", "/x", "/usr/x", "/dev/x",
                                  "/proc/self/oom_score_adj"])
def test_the_system_is_read_only(box, path):
    assert refused(box, f"open({path!r}, 'w')") in ("OSError", "PermissionError", "FileNotFoundError")


def test_it_can_write_where_a_learner_would(box):
    assert shown(box, "open('a.txt', 'w').write('1'); open('/tmp/b', 'w').write('2'); print(open('a.txt').read())") == "1\n"


def test_it_sees_its_own_processes_only(box):
    inside = eval(shown(box, "import os; print([int(n) for n in os.listdir('/proc') if n.isdigit()])"), {})
    assert len(inside) < 6 and max(inside) < 100


@pytest.mark.parametrize("call", ["unshare(0x10000000)", "mount(b'x', b'/tmp', b'tmpfs', 0, 0)", "ptrace(16, 1, 0, 0)",
                                  "memfd_create(b'x', 0)", "shmget(1, 100, 512)", "semget(0, 9, 384)",
                                  "mmap(0, 4096, 3, 33, -1, 0)", "syscall(321, 0, 0, 0)"])
def test_system_calls_that_reach_further_are_refused(box, call):
    assert shown(box, f"import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.{call}, ctypes.get_errno())") == "-1 1\n"


def test_threads_and_forks_still_work(box):
    assert shown(box, "import threading, subprocess\nt = threading.Thread(target=print, args=(1,)); t.start(); t.join()\n"
                      "print(subprocess.run(['echo', '2'], capture_output=True, text=True).stdout)") == "1\n2\n\n"


def test_outputs_are_text_and_pictures_only(box):
    assert shown(box, "import sys; print('a'); print('b', file=sys.stderr); 1 + 1") == "a\nb\n2\n"
    outputs, _ = box.run_cell("%matplotlib inline\nfrom matplotlib import pyplot; pyplot.plot([1, 2]); pyplot.show()")
    picture, = [output["png"] for output in outputs if "png" in output]
    assert bytes(picture[:4].tolist()) == b"\x89PNG"
    outputs, _ = box.run_cell("from IPython.display import HTML, display; display(HTML('<script>alert(1)</script>'))")
    assert "script" not in str(outputs)


def test_a_long_output_is_cut(box):
    long = shown(box, "print('x' * 10**7)")
    assert len(long) < 40_000 and long.endswith("… (cut: too long)")
    kept, = _outputs([{"text": ""}, {"text": long}], _Room())  # as the judge takes it
    assert kept["text"] == long
    assert len(_outputs([{"text": "x"}] * 3, room := _Room(outputs=2))) == 2 and room.outputs == 0
    assert not _outputs([{"text": long}], _Room(bytes=1000))
    assert shown(box, "import os\nfor _ in range(100): os.write(1, b'x' * 10**6)") == ""


def test_an_error_comes_as_words(box):
    _, error = box.run_cell("def f():\n    return 1 / 0\nf()")
    assert (error["type"], error["line"], error["code"]) == ("ZeroDivisionError", "2", "return 1 / 0")
    _, error = box.run_cell("def f(:")
    assert error["type"] == "SyntaxError"


def test_a_check_leaves_the_next_what_the_cells_made(sandbox):
    with sandbox.open() as box:
        shown(box, "seen = []\ndef f(x):\n    seen.append(x)\n    return len(seen)")
        for _ in range(2):
            with box.check():
                assert [ask(box, do="call", name="f", args=[0])["value"] for _ in range(2)] == [1, 2]


def test_a_check_after_a_cell_that_computed_on_a_gpu_runs_where_the_cell_did(sandbox):
    """No GPU is needed to see where it runs: CUDA, once begun, is of no use in a fork."""
    with sandbox.open() as box:
        shown(box, "import os, torch\ntorch.cuda.is_initialized = lambda: True\nhere = os.getpid()\ndef f(x):\n    return os.getpid() - here")
        for _ in range(2):
            with box.check():
                assert ask(box, do="call", name="f", args=[0])["value"] == 0
        shown(box, "torch.cuda.is_initialized = lambda: False")
        with box.check():
            assert ask(box, do="call", name="f", args=[0])["value"] != 0


def test_with_a_gpu_the_box_finds_the_driver_and_asks_it_without_beginning_cuda(monkeypatch):
    monkeypatch.setenv("LD_LIBRARY_PATH", "/usr/local/nvidia/lib64")
    with_gpu = walls.environment(dataclasses.replace(SIGHTS, gpu=True), Scale.GPU)
    assert with_gpu["PYTORCH_NVML_BASED_CUDA_CHECK"] == "1" and with_gpu["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib64"
    assert not with_gpu.keys() & {"A_SECRET_OF_THE_HOST"}
    assert "LD_LIBRARY_PATH" not in walls.environment(SIGHTS, Scale.CPU)


def test_with_a_gpu_threads_may_be_named_and_nothing_else_of_proc_is_written_to():
    """NVIDIA's driver doesn't start where it can't name its threads. Whether there is a GPU plays no part in it."""
    with Sandbox(dataclasses.replace(SIGHTS, gpu=True), Scale.SMOKE, LIMITS, warm=False) as made, made.open() as box:
        assert shown(box, "print(open('/proc/thread-self/comm', 'w').write('cuda'))") == "4\n"
        for path in ("/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/proc/1/oom_score_adj"):
            assert refused(box, f"open({path!r}, 'w').write('1')") in ("OSError", "PermissionError", "FileNotFoundError"), path
        if not torch.cuda.is_available():
            with pytest.raises(walls.NoIsolation, match="CUDA doesn't start within the walls"):
                task.require_gpu(made)


LEAVES = "import os; os._exit(0)"
HOARDS = "import os, time\nfor _ in range(6):\n    if os.fork() == 0: kept = b'x' * 2 * 10**8; time.sleep(9)\ntime.sleep(9)"


@pytest.mark.parametrize("source, reason", [(LEAVES, "ended its own process"), (HOARDS, "GB of memory")])
def test_what_goes_too_far_is_ended_with_the_reason(sandbox, source, reason):
    ended(sandbox, source, reason)


def ended(sandbox, source, reason):
    with sandbox.open() as box, pytest.raises(BoxGone, match=reason):
        box.run_cell(source)
        box.run_cell("1")
    assert box.gone


@warm_only
@pytest.mark.parametrize("source, reason", [
    ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", "ran out of its time"),
    ("import ctypes\nctypes.CDLL(None).prctl(15, b'\\xff\\xfe', 0, 0, 0)  # no text: the name of the process, in /proc\n" + HOARDS, "GB of memory"),
    ("for i in range(10**6): open(f'/tmp/{i}', 'w').close()", "500 files"),
    ("import os\nfor fd in range(3, 100):\n    try: os.write(fd, b'A' + bytes(8))\n    except OSError: pass", "protocol"),
])
def test_this_goes_too_far_as_well(sandbox, source, reason):
    ended(sandbox, source, reason)


@warm_only
@pytest.mark.parametrize("source, error", [
    ("bytearray(3 * 10**9)", "MemoryError"),
    ("open('/tmp/large', 'wb').write(bytes(2 * 10**6))", "OSError"),
    ("import threading, time\nfor _ in range(100): threading.Thread(target=time.sleep, args=(60,)).start()", "RuntimeError"),
])
def test_what_asks_for_too_much_is_told_so(sandbox, source, error):
    with sandbox.open() as box:
        assert refused(box, source) == error


@warm_only
def test_what_others_take_of_the_processor_is_not_counted_against_it(sandbox):
    core = min(os.sched_getaffinity(0))
    busy = ["taskset", "-c", str(core), "sh", "-c", "while :; do :; done"]
    with sandbox.open() as box:
        for pid in _descendants(box._roots):
            os.sched_setaffinity(pid, {core})
        others = [subprocess.Popen(busy, start_new_session=True) for _ in range(14)]  # the kernel shares out between sessions
        try:
            start = time.monotonic()
            shown(box, "import time\nend = time.process_time() + 0.4\nwhile time.process_time() < end: pass")
            assert time.monotonic() - start > LIMITS.cell_s, "nobody took its time, and this has shown nothing"
        finally:
            for other in others:
                other.kill()
                other.wait()


@pytest.mark.parametrize("then, now, seconds", [
    (({}, 0), ({1: 0.0}, 5), 0),  # it ran all the time
    (({1: 1.0}, 1), ({1: 9.0, 2: 3.0}, 2), 7),  # others took eight seconds, one of which was its own process'
    (({1: 0.0}, 0), ({number: 9.0 for number in range(40)}, 20), 0),  # a fork bomb
    (({1: 9.0, 2: 9.0}, 5), ({1: 9.5}, 5), 0.5),  # one has ended
])
def test_what_its_own_processes_take_from_each_other_counts(then, now, seconds):
    assert _kept_waiting(then, now) == seconds


def test_a_start_that_takes_too_long_leaves_nothing_behind(monkeypatch):
    monkeypatch.setattr("autograder.sandbox.READY_S", 0.01)
    before, sandbox = psutil.Process().children(), Sandbox(SIGHTS, Scale.SMOKE, LIMITS)
    with pytest.raises(BoxGone, match="didn't start"):
        sandbox.__enter__()
    assert psutil.Process().children() == before and not os.path.exists(sandbox._folder.name)


def test_nothing_is_left_when_it_ends(sandbox):
    with sandbox.open() as box:
        shown(box, "import subprocess\nfor _ in range(3): p = subprocess.Popen(['sleep', '98765'], start_new_session=True)")
        assert "98765" in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout
    assert "98765" not in subprocess.run(["ps", "ax"], capture_output=True, text=True).stdout


def test_runs_are_repeatable(sandbox):
    drawn = []
    for _ in range(2):
        with sandbox.open() as box:
            drawn.append(shown(box, "import random, numpy, torch; print(random.random(), numpy.random.rand(), torch.rand(1), {'a', 'b'})"))
    assert drawn[0] == drawn[1]


@warm_only
def test_the_data_sets_are_in_sight_of_demonstrations_only(sandbox):
    load = "from course_lib.data import load_images; images = load_images('digits', 'test', limit=10)"
    look = "from pathlib import Path; folder = Path('/usr/share/datasets'); print(folder.is_dir() and [p.name for p in folder.iterdir()])"
    with sandbox.open() as box:
        assert refused(box, load) == "DataError"
        assert shown(box, look) in ("False\n", "['__init__.py']\n")
    with sandbox.open(data=True) as box:
        shown(box, load)
        assert shown(box, look) != "['__init__.py']\n"


def test_without_bubblewrap_it_refuses_and_says_how_to_get_it(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(walls.NoIsolation, match="apt install bubblewrap"):
        Sandbox(SIGHTS)


def test_unsafe_runs_without_walls():
    with Sandbox(SIGHTS, Scale.SMOKE, LIMITS, isolated=False) as sandbox, sandbox.open() as box:
        assert shown(box, f"import os; print(os.path.exists({str(ROOT / 'solutions')!r}), os.getuid())") == f"True {os.getuid()}\n"
        with pytest.raises(BoxGone):
            box.run_cell("while True: pass")
