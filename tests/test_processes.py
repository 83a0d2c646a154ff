"""Launching ranks: what they return, what is said when one fails or waits in vain, and that nothing of them is left."""

import inspect
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import cloudpickle
import numpy
import psutil
import pytest
import torch
import torch.distributed as dist
from conftest import ROOT, need

from autograder import walls
from autograder.sandbox import Limits, Sandbox
from course_lib import processes, wire
from course_lib.processes import RankError, launch
from course_lib.scale import Scale

# The functions below are sent as a notebook's are, by value: in a rank this file can't be imported.
cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module", autouse=True)
def server():
    processes.prepare()


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.fixture(autouse=True)
def nothing_left(tmp_path, monkeypatch):
    """After each test: no process but the server's, no file, no descriptor that wasn't there before."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    descriptors, others = psutil.Process().num_fds(), children()
    yield
    assert children() - others <= {processes._server[0].pid}
    assert list(tmp_path.glob("ranks-*")) == []
    assert psutil.Process().num_fds() <= descriptors


def failure(function, world=2, **options):
    """The words with which a launch fails."""
    with pytest.raises(RankError) as caught:
        launch(function, world, **options)
    return str(caught.value)


# --- What comes back ---

def powers(rank, world, base):
    x = torch.tensor([base ** rank, 1.0], dtype=torch.float64)
    dist.all_reduce(x)
    return rank, world, dist.get_rank(), dist.get_world_size(), x


@pytest.mark.parametrize("world", [1, 2, 3])
def test_results_come_by_rank_and_collectives_reach_all(world):
    for rank, (*numbers, x) in enumerate(launch(powers, world, 3)):
        assert numbers == [rank, world] * 2
        assert x.tolist() == [(3 ** world - 1) / 2, world]  # the geometric series


def test_a_second_launch_needs_no_import_of_torch():
    began = time.monotonic()
    launch(powers, 2, 3)
    assert time.monotonic() - began < 1.5  # 0.1 s; an import takes longer, and two at once on a busy machine much longer


def test_a_function_of_a_cell_brings_along_what_it_uses():
    namespace = {"__name__": "__main__"}
    exec("import torch\nscale = 10\nclass Net(torch.nn.Linear):\n    factor = 2\n"
         "def outer(shift):\n"
         "    def inner(rank, world, net): return rank * scale + shift, net.factor, Net(1, 1)\n"
         "    return inner", namespace)
    results = launch(namespace["outer"](3), 2, namespace["Net"](1, 1))
    assert [result[:2] for result in results] == [(3, 2), (13, 2)]
    assert all(isinstance(net, namespace["Net"]) for _, _, net in results)
    assert launch(lambda rank, world: world - rank, 2) == [2, 1]


def echo(rank, world, value):
    return value


def test_tensors_come_back_as_they_are_and_share_what_they_shared():
    whole = torch.arange(6.0, dtype=torch.float64)
    sent = {"whole": whole, "views": [whole[:2], whole[2:].view(2, 2)], "parameter": torch.nn.Parameter(torch.ones(2)),
            "odd": torch.tensor([torch.nan, torch.inf]), "half": torch.ones(3, dtype=torch.bfloat16), "none": torch.empty(0, 3)}
    for got in launch(echo, 2, sent):
        assert got["whole"].dtype == torch.float64 and torch.equal(got["whole"], whole)
        assert isinstance(got["parameter"], torch.nn.Parameter) and got["parameter"].requires_grad
        assert got["odd"].isnan()[0] and got["odd"].isinf()[1]
        assert (got["half"].dtype, got["none"].shape) == (torch.bfloat16, (0, 3))
        got["views"][0][1] = got["views"][1][0, 0] = 9
        assert got["whole"].tolist() == [0, 9, 9, 3, 4, 5]
    assert whole[1] == 1


def test_large_tensors_come_through():
    large = torch.arange(10_000_000, dtype=torch.int32)  # 40 MB, many times what a pipe holds
    assert all(torch.equal(got, large) for got in launch(echo, 2, large))


def settings(rank, world):
    import helper_of_the_learner
    return (torch.get_num_threads(), os.getcwd(), os.environ["OF_THE_LEARNER"], helper_of_the_learner.value,
            random.random(), numpy.random.rand(), torch.rand(1).item())


def test_a_rank_is_where_the_notebook_is_and_draws_its_own_numbers(tmp_path, monkeypatch):
    (tmp_path / "helper_of_the_learner.py").write_text("value = 7")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OF_THE_LEARNER", "x")
    monkeypatch.syspath_prepend(str(tmp_path))
    first, second = launch(settings, 2)
    assert first[:4] == second[:4] == (1, str(tmp_path), "x", 7)
    assert all(one != other for one, other in zip(first[4:], second[4:]))
    assert launch(settings, 2) == [first, second]


def ddp_step(rank, world):
    net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(1, 1, bias=False))
    before = net.module.weight.item()
    net(torch.tensor([[rank + 1.0]])).sum().backward()
    torch.optim.SGD(net.parameters(), lr=1.0).step()
    return before - net.module.weight.item()


def test_autograd_optimisers_and_torchs_own_ddp_run_in_a_rank():
    assert launch(ddp_step, 2) == pytest.approx([1.5, 1.5])  # the mean of d(w·x)/dw = x over x = 1 and 2


# --- What is shown ---

def talk(rank, world):
    print("one\ntwo", end="")
    print(f"\nto stderr {rank}", file=sys.stderr)
    os.system("echo from a child")
    print("no end", end="")


def test_output_has_its_rank_in_front_of_each_line(capfd):
    launch(talk, 2)
    shown, errors = capfd.readouterr()
    for rank in range(2):
        assert [line for line in shown.splitlines() if line.startswith(f"rank {rank}: ")] == [
            f"rank {rank}: {line}" for line in ("one", "two", f"to stderr {rank}", "from a child", "no end")]
    assert len(shown.splitlines()) == 10 and errors == ""


def test_output_is_shown_while_the_rank_runs(capsys):
    def print_and_fail(rank, world):
        print("before")
        time.sleep(60)

    began = time.monotonic()
    failure(print_and_fail, 1, timeout=0.5)
    assert "rank 0: before" in capsys.readouterr().out and time.monotonic() - began < 10


@pytest.mark.parametrize("text", ["x" * 10**6, "word\n" * 10**5], ids=["one line", "many lines"])
def test_long_output_is_cut(text, capsys):
    def print_much(rank, world, text):
        print(text)
        return "done"

    assert launch(print_much, 2, text) == ["done"] * 2
    shown = capsys.readouterr().out
    assert len(re.sub("rank .: ", "", shown)) < 2 * processes.SHOWN + 200
    assert shown.count("what else it prints isn't shown") == 2


# --- What goes wrong ---

def test_an_exception_is_told_with_the_learners_own_lines():
    def divide(rank):
        return 1 / (1 - rank)  # by zero in rank 1

    def step(rank, world):
        divide(rank)
        dist.barrier()

    told = failure(step, 3)
    assert told.splitlines()[0] == "rank 1 raised ZeroDivisionError: division by zero"
    assert [re.sub(r"\d+", "N", line) for line in told.splitlines()[1:]] == [
        "    line N of `step`: divide(rank)", "    line N of `divide`: return N / (N - rank)  # by zero in rank N"]


def test_the_error_is_shown_without_the_launchers_stack():
    with pytest.raises(RankError) as caught:
        launch(lambda rank, world: [][0], 1)
    shown = "\n".join(caught.value._render_traceback_())
    assert "rank 0 raised IndexError" in shown and "processes.py" not in shown


@pytest.mark.parametrize("end, told", [
    (lambda: os._exit(3), "rank 1 ended its process with exit code 3"),
    (lambda: os._exit(0), "rank 1 ended its process with exit code 0"),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), "rank 1 was killed by SIGKILL"),
    (lambda: os.kill(os.getpid(), signal.SIGSEGV), "rank 1 was killed by SIGSEGV"),
    (lambda: sys.exit("enough"), "rank 1 raised SystemExit: enough"),
])
def test_a_rank_that_ends_is_named_although_the_others_fail_with_it(end, told):
    def leave(rank, world, end):
        dist.barrier()
        if rank == 1:
            end()
        dist.all_reduce(torch.ones(100))

    with pytest.raises(RankError) as caught:
        launch(leave, 3, end)
    assert str(caught.value).splitlines()[0] == told


def test_a_skipped_collective_is_noticed_long_before_the_time_is_over():
    def skip(rank, world):
        if rank:
            dist.all_reduce(torch.ones(2))

    began = time.monotonic()
    told = failure(skip, 3, timeout=60)
    assert time.monotonic() - began < 10
    assert told.splitlines()[:2] == ["ranks wait for one that has ended", "rank 0 has ended"]
    for rank in (1, 2):
        assert re.search(rf"rank {rank} waits in all_reduce\n    line \d+ of `skip`: dist.all_reduce\(torch.ones\(2\)\)", told)


def test_when_time_is_over_each_rank_says_where_it_is():
    def wait_for_each_other(rank, world):
        if rank == 2:
            while True:
                pass
        dist.recv(torch.ones(1), 1 - rank)

    began = time.monotonic()
    told = failure(wait_for_each_other, 3, timeout=3)
    assert 3 <= time.monotonic() - began < 10
    assert re.fullmatch(r"""not all ranks have ended after 3 s
rank 0 waits in recv
    line \d+ of `wait_for_each_other`: dist.recv\(torch.ones\(1\), 1 - rank\)
rank 1 waits in recv
    line \d+ of `wait_for_each_other`: dist.recv\(torch.ones\(1\), 1 - rank\)
rank 2 still runs
    line \d+ of `wait_for_each_other`: (pass|while True:)""", told)


def test_a_rank_that_python_cannot_interrupt_is_ended_too():
    def hold_the_interpreter(rank, world):
        if rank:
            re.match("(a+)+$", "a" * 60 + "b")

    told = failure(hold_the_interpreter, timeout=1.5)
    assert told.splitlines()[1:] == ["rank 0 has ended", "rank 1 still runs, and doesn't say where"]


def test_what_a_rank_started_ends_with_it():
    def start_and_fail(rank, world):
        subprocess.Popen(["sleep", "98764"])
        return 1 / rank

    failure(start_and_fail)
    assert ["sleep", "98764"] not in [process.info["cmdline"] for process in psutil.process_iter(["cmdline"])]


def test_what_cannot_be_sent_or_started_is_named():
    lock = threading.Lock()

    def uses_a_lock(rank, world):
        return lock

    with pytest.raises(ValueError, match="`uses_a_lock`, or something that it uses, can't be sent.*lock"):
        launch(uses_a_lock, 2)
    assert "what it returns can't be sent" in failure(lambda rank, world: (i for i in "ab"), 1)
    with pytest.raises(ValueError, match="at least one rank; 0"):
        launch(powers, 0)
    with pytest.raises(ValueError, match="nccl takes a GPU for each rank"):
        launch(powers, torch.cuda.device_count() + 1, 3, backend="nccl")
    assert "TypeError" in failure(powers)  # an argument is missing


def note_and_wait(rank, world, folder):
    with open(f"{folder}/{rank}", "w") as file:
        print(os.getpid(), file=file)
    if rank == 0:
        dist.barrier()
    while True:
        time.sleep(1)


def noted(folder):
    """The processes of both ranks, as soon as they have noted their numbers."""
    files, until = [folder / "0", folder / "1"], time.monotonic() + 60
    while not all(file.is_file() and file.read_text().endswith("\n") for file in files):
        assert time.monotonic() < until
        time.sleep(0.01)
    return [psutil.Process(int(file.read_text())) for file in files]


def test_an_interrupted_launch_ends_its_ranks(tmp_path):
    ranks = []

    def interrupt():
        ranks.extend(noted(tmp_path))
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        launch(note_and_wait, 2, tmp_path)
    assert len(ranks) == 2 and not any(rank.is_running() for rank in ranks)


def test_an_interrupt_from_the_terminal_reaches_the_notebook_alone():
    assert os.getsid(0) not in launch(lambda rank, world: os.getsid(0), 2)


def test_ranks_end_with_a_notebook_that_is_killed(tmp_path):
    notebook = os.fork()
    if notebook == 0:
        try:
            launch(note_and_wait, 2, tmp_path)
        finally:
            os._exit(1)
    ranks = noted(tmp_path)
    os.kill(notebook, signal.SIGKILL)
    os.waitpid(notebook, 0)
    assert psutil.wait_procs(ranks, timeout=5)[1] == []
    for left in tmp_path.glob("ranks-*"):  # whoever is killed can't clean up
        shutil.rmtree(left)


def test_a_server_that_was_ended_is_started_again():
    process, _ = processes._server
    process.kill()
    process.wait()
    assert launch(echo, 2, 5) == [5, 5]


# --- Within the walls ---

CELL = """
import torch, torch.distributed as dist
from course_lib.processes import launch
def total(rank, world):
    x = torch.tensor([rank + 1.0])
    dist.all_reduce(x)
    print("all of", world)
    return x.item()
print([launch(total, world) for world in (1, 2, 3)])
"""


def probe(names):
    from course_lib.processes import launch
    return launch(lambda rank, world, total: [rank, total(rank, world)], 2, names.total)


def test_it_runs_in_the_sandbox_in_a_cell_and_in_a_check():
    sights = walls.Sights(ROOT / "course_lib", ROOT / "lessons" / "gan_math")
    try:
        walls.probe(sights)
    except walls.NoIsolation as reason:
        need(False, str(reason))
    with Sandbox(sights, Scale.SMOKE, Limits()) as sandbox, sandbox.open() as box:
        outputs, error = box.run_cell(CELL)
        text = "".join(output["text"] for output in outputs)
        assert error is None, error
        assert "[[1.0], [3.0, 3.0], [6.0, 6.0, 6.0]]" in text and text.count("all of 3") == 3
        _, error = box.run_cell("launch(lambda rank, world: rank and dist.barrier(), 2)")
        assert error["type"] == "RankError" and "rank 1 waits in barrier" in error["message"]
        request = wire.encode({"do": "run", "name": "probe", "source": inspect.getsource(probe), "args": []})
        for _ in range(2):  # each in a fork of its own
            with box.check():
                assert wire.decode(box.answer(request, box.deadline(30))) == {"value": [[0, 3.0], [1, 3.0]]}
