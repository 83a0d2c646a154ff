"""Runs a function of the notebook in several processes, the ranks, which torch.distributed connects.

    def total(rank, world, x):
        dist.all_reduce(x)
        return x

    launch(total, 2, torch.ones(3))      # [tensor([2., 2., 2.]), tensor([2., 2., 2.])]

Ranks are forked from a server, a clean process that has imported torch once: 0.1 s instead of the seconds of an import. The
server runs no operation of torch, and a rank has one thread for them, since a fork of a process that has used two may hang
for ever.

What is sent is pickled, code and tensors alike, and whoever unpickles it runs what it says. That is right here: both ends are
the learner's own processes, in grading behind the same walls. Nothing that judges may call `launch` or read its messages:
what crosses to the judge is in course_lib.wire's format, which holds data only.
"""

import io
import linecache
import os
import random
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import traceback
from contextlib import suppress
from multiprocessing import connection
from pathlib import Path

import numpy
import torch
import torch.distributed as dist

START_S = 60  # the server imports torch, on a busy machine
ANSWER_S = 1  # for saying where one is
END_S = 10  # for the system to end what was killed
LINGER_S = 1  # how long a rank that has returned keeps its connections open: others may still read what it sent
SHOWN = 20_000  # characters of a rank's output
DEEP = 5  # lines of a stack
# Where code is from that isn't the learner's; "<string>" is what Python itself generates.
LIBRARIES = ("<frozen", "<string>", str(Path(__file__).parent),
             *map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib")))

_server = None  # its process, and the socket on which it is asked for ranks


class RankError(RuntimeError):
    """A rank has failed, or ranks wait in vain. The message says which and where; the launcher's own stack isn't shown."""

    def _render_traceback_(self):
        return [f"RankError: {self}"]


def launch(function, world, *arguments, timeout=20.0, backend="gloo"):
    """Run `function(rank, world, *arguments)` in `world` processes at once. Returns a list, by rank, of what each returned.

    In a rank torch.distributed is initialised with `backend` ("gloo": on the CPU, or on GPUs that ranks may share; "nccl": a
    GPU for each), torch has one thread, and the random numbers of torch, NumPy and Python are seeded with the rank: as in
    processes that were started apart, they differ. Arguments and results are copies; tensors that share memory share it in
    the copy too. What a rank prints is shown as it comes, up to SHOWN characters.

    timeout: seconds from when all processes are there. Raises RankError when a rank raises, ends its process or is killed,
    when ranks wait for one that has ended, or when time is over; ValueError for what can't be started or sent. However it
    ends, by Ctrl-C too, no process and no file of the ranks is left.
    """
    if not hasattr(os, "fork"):
        raise ValueError("launch forks processes, which this system doesn't do: use Linux, macOS, or WSL on Windows")
    if world < 1:
        raise ValueError(f"a world has at least one rank; {world} were asked for")
    if backend == "nccl" and torch.cuda.device_count() < world:
        raise ValueError(f"nccl takes a GPU for each rank, {world}, and there are {torch.cuda.device_count()}: use backend='gloo'")
    work = _pack(f"`{getattr(function, '__name__', function)}`, or something that it uses,", (function, arguments))
    with tempfile.TemporaryDirectory(prefix="ranks-") as folder:
        ranks = []
        try:
            for number in range(world):
                ranks.append(_Rank(number))
            for rank in ranks:
                rank.start((world, backend, os.path.join(folder, "store")), work)
            late = _wait_for(ranks, timeout)
        finally:
            for rank in ranks:
                rank.kill()
            for rank in ranks:
                rank.close()
    for rank in ranks:
        if rank.state[0] in ("raised", "ended"):
            raise RankError(rank.words())
    if any(rank.state[0] != "returned" for rank in ranks):
        words = [f"not all ranks have ended after {timeout:g} s" if late else "ranks wait for one that has ended"]
        raise RankError("\n".join(words + [rank.words() for rank in ranks]))
    return [_unpack(rank.state[1]) for rank in ranks]


def prepare():
    """Start the server without waiting for it, if there is none: the first launch is then as quick as the next. On a system that can't
    fork nothing is started, as `launch` will say."""
    global _server
    if _server is None and hasattr(os, "fork"):
        mine, its = socket.socketpair()
        program = f"import sys; sys.path = {sys.path!r}; from course_lib.processes import _serve; _serve({its.fileno()})"
        with its:
            process = subprocess.Popen([sys.executable, "-c", program], pass_fds=[its.fileno()], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"},
                                       start_new_session=True)  # an interrupt of the notebook's processes isn't meant for it
        _server = process, mine


def _pack(what, value):
    import cloudpickle
    packed = io.BytesIO()
    try:
        torch.save(value, packed, pickle_module=cloudpickle)  # which, unlike pickle alone, keeps what tensors share
    except Exception as error:
        raise ValueError(f"{what} can't be sent to another process: {error}") from error
    return packed.getvalue()


def _unpack(packed):
    return torch.load(io.BytesIO(packed), weights_only=False)


# --- The caller's side ---

class _Rank:
    """A rank as its caller sees it.

    state: ("runs",), ("returned", packed result), ("raised", words, place), ("waits", place) or ("ended", exit code), where a
    code below zero is a signal's; a place is what `_place` makes. sources: what there still is to hear.
    """

    def __init__(self, number):
        self.number, self.state, self._pid, self._begun, self._room = number, ("runs",), None, b"", SHOWN
        self._channel, channel = connection.Pipe()
        self._told, told = connection.Pipe(duplex=False)
        self._printed, printed = connection.Pipe(duplex=False)
        os.set_blocking(self._printed.fileno(), False)
        self.sources = [self._channel, self._told, self._printed]
        with channel, told, printed:
            _request([channel.fileno(), told.fileno(), printed.fileno()])

    def start(self, settings, work):
        """Wait until the process is there, and hand it its work. Raises RankError when it doesn't come."""
        try:
            if not self._told.poll(START_S):
                raise EOFError
            self._pid = self._told.recv()
        except EOFError:
            raise RankError(f"no process could be started for rank {self.number}; do too many run already?") from None
        with suppress(OSError):  # it may have ended, which is told
            self._channel.send((self.number, *settings, sys.path, os.getcwd(), dict(os.environ)))
            self._channel.send_bytes(work)

    def ask_where(self):
        with suppress(OSError):
            self._channel.send_bytes(b"where?")

    def hear(self):
        """Take in what the rank has said and printed, and whether it has ended."""
        over = self._told in self.sources and self._told.poll()  # asked first: what it said before is in the channel then
        try:
            while self._channel in self.sources and self._channel.poll():
                said = self._channel.recv()
                if self.state[0] in ("runs", "waits"):  # where it is, it may say when it has returned
                    self.state = said
        except (EOFError, OSError):
            self.sources.remove(self._channel)
        if self._printed in self.sources:
            self._show()
        if over:
            try:
                code = self._told.recv()
                self.sources.clear()
            except EOFError:  # the server was killed; the rank may still be there
                code = -signal.SIGKILL
            if self.state[0] == "runs":
                self.state = "ended", code

    def _show(self):
        try:
            part = os.read(self._printed.fileno(), 1 << 16)  # as much as a pipe holds
        except BlockingIOError:
            return
        if not part:
            self.sources.remove(self._printed)
        *lines, begun = (self._begun + part).split(b"\n")
        self._begun = begun[:SHOWN]
        for line in lines:
            self._print(line)

    def _print(self, line):
        if self._room > 0:
            line = line.decode("utf-8", "replace")
            print(f"rank {self.number}: {line[:self._room]}", flush=True)
            self._room -= len(line) + 1
            if self._room <= 0:
                print(f"rank {self.number}: … (what else it prints isn't shown)", flush=True)

    def kill(self):
        """End the process and all that it started."""
        self._channel.close()  # ends it too, should it only be about to start
        if self._pid and self._told in self.sources:  # else it is buried, and its number may be another's
            with suppress(OSError):
                os.killpg(self._pid, signal.SIGKILL)

    def close(self):
        """Wait until it is gone, and show the last that it has printed."""
        if self._pid and self._told in self.sources:
            self._told.poll(END_S)
        if self._printed in self.sources:
            self._show()
        if self._begun:
            self._print(self._begun)
        self._told.close()
        self._printed.close()

    def words(self):
        """What became of the rank, in a line; below it the learner's own lines on the way there."""
        kind, *about = self.state
        if kind == "returned":
            return f"rank {self.number} has ended"
        if kind == "runs":
            return f"rank {self.number} still runs, and doesn't say where"
        if kind == "ended":
            code, = about
            return f"rank {self.number} " + (f"ended its process with exit code {code}" if code >= 0
                                             else f"was killed by {signal.Signals(-code).name}")
        *words, (calls, inside) = about
        told = f"raised {words[0]}" if words else f"waits in {inside}" if inside else "still runs"
        lines = [f"rank {self.number} {told}"]
        for file, line, function in calls:
            code = linecache.getline(file, line).strip()  # read here: a rank doesn't know the text of the notebook's cells
            lines.append(f"    line {line} of `{function}`" + (f": {code[:200]}" if code else ""))
        return "\n".join(lines)


def _request(descriptors):
    """Ask the server for a rank with these ends of its connections."""
    global _server
    prepare()
    try:
        socket.send_fds(_server[1], [b"r"], descriptors)
    except BrokenPipeError:  # someone has ended it
        (process, mine), _server = _server, None
        mine.close()
        process.wait()
        prepare()
        socket.send_fds(_server[1], [b"r"], descriptors)


def _wait_for(ranks, timeout):
    """Hear the ranks until all have returned, one has failed, or those that haven't returned wait in vain.

    When time is over they are asked where they are. Returns whether it came to that.
    """
    late, deadline = False, time.monotonic() + timeout
    while True:
        for rank in ranks:
            rank.hear()
        states = {rank.state[0] for rank in ranks}
        if "runs" not in states or states & {"raised", "ended"}:
            return late
        left = deadline - time.monotonic()
        if left > 0:
            connection.wait([source for rank in ranks for source in rank.sources], left)
        elif late:
            return True
        else:
            late, deadline = True, time.monotonic() + ANSWER_S
            for rank in ranks:
                rank.ask_where()


# --- In the server, and in a rank ---

def _serve(requests):
    """Fork a rank for each request and tell when one has ended, until the caller is gone."""
    import gc
    import torch._dynamo  # a process' first optimiser imports it
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()  # what a fork's collector doesn't touch needn't be copied
    requests, (endings, ending) = socket.socket(fileno=requests), socket.socketpair()
    ending.setblocking(False)
    signal.set_wakeup_fd(ending.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    running = {}  # by a process' number: where to tell its end
    while True:
        if requests in connection.wait([requests, endings]):
            message, descriptors, *_ = socket.recv_fds(requests, 1, 3)
            if not message:
                os._exit(0)  # at once: some libraries complain when they are cleaned up
            channel, told, printed = map(connection.Connection, descriptors)
            with channel, printed:
                try:
                    pid = os.fork()
                except OSError:  # no further process is allowed
                    told.close()  # which the caller sees
                    continue
                if pid == 0:
                    for other in (requests, endings, ending, told, *running.values()):
                        other.close()
                    _be_rank(channel, printed.fileno())
                os.setpgid(pid, pid)
                running[pid] = told
                with suppress(OSError):
                    told.send(pid)
        else:
            endings.recv(1 << 12)
            for pid in list(running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    with suppress(OSError):
                        os.killpg(pid, signal.SIGKILL)  # what it has started
                    with running.pop(pid) as told, suppress(OSError):
                        told.send(os.waitstatus_to_exitcode(status))


def _be_rank(channel, printed):
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        sys.stdout = sys.stderr = open(1, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
        settings, work, speaking = channel.recv(), channel.recv_bytes(), threading.Lock()

        def say(*state):
            with speaking:
                channel.send(state)

        threading.Thread(target=_say_where, args=[channel, say], daemon=True).start()
        try:
            result = _pack("what it returns", _work(work, *settings))
            sys.stdout.flush()
            say("returned", result)
            time.sleep(LINGER_S)
        except BaseException as error:  # sys.exit() too
            sys.stdout.flush()
            words, (calls, inside) = _words(error), _place(traceback.walk_tb(error.__traceback__))
            if "by peer" in words or "Broken pipe" in words:  # a rank has ended, and that is what the caller should tell
                say("waits", (calls, inside or "a collective"))
            else:
                say("raised", words, (calls, inside))
            threading.Event().wait()  # for the caller to end it: the others mustn't fail because it is gone
    finally:
        os._exit(0)


def _work(work, number, world, backend, store, path, folder, environment):
    """What the function returns, in a process made to look like the caller's and connected with the other ranks."""
    sys.path[:] = path
    os.chdir(folder)
    os.environ.update(environment)
    # Otherwise gloo takes the address that this machine's name stands for, which may be none or another's.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    for seed in (random.seed, numpy.random.seed, torch.manual_seed):
        seed(number)
    if backend == "nccl":
        torch.cuda.set_device(number)
    both = "cpu:gloo,cuda:nccl" if backend == "nccl" else backend  # what is counted on the CPU travels too
    dist.init_process_group(both, store=dist.FileStore(store, world), rank=number, world_size=world)
    function, arguments = _unpack(work)
    return function(number, world, *arguments)


def _say_where(channel, say):
    """A rank's second thread: answers the caller's question, and ends the rank when the caller is gone."""
    main = threading.main_thread().ident
    with suppress(EOFError, OSError):
        while channel.recv_bytes():
            say("waits", _place(reversed([*traceback.walk_stack(sys._current_frames()[main])])))
    os._exit(1)


def _place(stack):
    """Where a stack of (frame, line), outermost first, is: (file, line, function) for the last calls in the learner's code,
    and the name of the function of torch.distributed within, or ""."""
    calls, inside = [], ""
    for frame, line in stack:
        file, name = frame.f_code.co_filename, frame.f_code.co_name
        if not file.startswith(LIBRARIES):
            calls, inside = [*calls, (file, line, name)], ""
        elif f"torch{os.sep}distributed" in file and not name.startswith("_") and name != "wrapper":
            inside = name
    return calls[-DEEP:], inside


def _words(error):
    try:
        message = str(error)[:1000]
    except Exception:
        message = "(its message can't be shown)"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
