"""Runs submissions within walls: starts a box, asks it under a deadline, watches its memory, and ends all of it.

    with Sandbox(sights, scale) as sandbox:
        with sandbox.open() as box:
            box.run_cell(source)
            with box.check(): box.answer(frame)

A Sandbox keeps one zygote (autograder/zygote.py), from which a box is forked in 0.05 s. With a GPU, or where the fork isn't
to be had, bubblewrap starts the process itself, with the same arguments. Whatever goes wrong in a box ends it, raises
BoxGone with the reason, and costs nobody else anything.
"""

import json
import math
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autograder import walls
from autograder.box import ANSWER, GONE, HEADER, send
from course_lib import wire
from course_lib.scale import Scale

# A start imports torch: five seconds of a processor's time, and minutes on the clock where many share it. What can't start at
# all hangs up at once, so that only what hangs is waited for so long.
READY_S = 600
FORK_S = 60  # it takes 0.05 s of a processor's time
DONE_S = 10  # the fork of a check has nothing left to do
PATIENCE = 3  # a limit in seconds may become so many times as long where others take the processor; that in all doesn't
NO_WALLS = "bubblewrap could not build the walls"
TICKS = os.sysconf("SC_CLK_TCK")


class BoxGone(Exception):
    """The box has ended, or was ended, before it answered. The message says why, for the instructor."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use. Seconds on the clock for one cell, one check, one that trains, and in all; bytes of memory;
    processes and threads; bytes of one file; number of files."""

    cell_s: float = 60
    check_s: float = 60
    train_s: float = 300
    total_s: float = 1800
    memory: int = 4 * 1024**3
    processes: int = 64
    file: int = 64 * 1024**2
    files: int = 20_000

    @classmethod
    def at(cls, scale):
        """The limits for a scale; a check that trains may take many times what it is made for."""
        return cls(train_s=scale.pick(smoke=60, cpu=300, gpu=900))


class Sandbox:
    """Where boxes are opened. isolated: False runs submissions without walls (`--unsafe`), as this very user.

    Raises walls.NoIsolation when walls are wanted and this machine can't build them.
    """

    def __init__(self, sights, scale=Scale.CPU, limits=None, isolated=True, warm=True):
        self.sights, self.limits, self.isolated = sights, limits or Limits.at(scale), isolated
        self._environment = walls.environment(sights, scale)
        self._warm = warm and isolated and not sights.gpu
        self._folder = self._zygote = None
        # Boxes of two judges must not share a user, or one's fork bomb would starve the other.
        self._uid = 20_000 + os.getpid() % 40_000 if isolated and not walls.user_namespace() else None
        if isolated:
            self._bubblewrap = walls.bubblewrap()

    def __enter__(self):
        self._folder = tempfile.TemporaryDirectory(prefix="grading-")
        if not self.isolated:
            self._environment |= dict.fromkeys(("HOME", "TMPDIR", "IPYTHONDIR", "MPLCONFIGDIR"), self._folder.name)
        walls.prepare(Path(self._folder.name), self._uid or os.getuid())
        try:
            if self.isolated:
                walls.probe(self.sights)
            if self._warm:
                self._zygote_socket()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._end_zygote()
        self._folder.cleanup()

    def _end_zygote(self):
        if self._zygote:
            self._zygote[0].kill()
            self._zygote[0].wait()
            self._zygote[1].close()
            self._zygote = None

    def open(self, until=None, data=False):
        """A fresh Box, which ends when time.monotonic() is `until` (default: total_s from now). data: whether the data sets are
        in sight. Raises BoxGone when it can't be started."""
        return Box(self, until or time.monotonic() + self.limits.total_s, data)

    def settings(self):
        """What a box is told on its way in; see autograder.box.harden."""
        limits = self.limits
        # CUDA reserves far more address space than it uses: there only the watch on resident memory counts.
        data = {} if self.sights.gpu else {"DATA": limits.memory}
        return {"uid": self._uid, "user_namespace": walls.user_namespace(), "isolated": self.isolated,
                "environment": self._environment,
                "folder": walls.HOME if self.isolated else self._folder.name,
                "rlimits": data | {"NPROC": limits.processes, "FSIZE": limits.file, "CPU": int(limits.total_s), "CORE": 0,
                                   "NOFILE": 128, "MEMLOCK": 0, "MSGQUEUE": 0}}

    def bwrap(self, data, *arguments):
        return [self._bubblewrap, *walls.arguments(self.sights, Path(self._folder.name), data), *arguments]

    def fork(self, channel, process):
        """Have the zygote fork into the walls of `process` (a pidfd). Returns the fork's pid. Raises BoxGone."""
        for attempt in range(2):
            requests = self._zygote_socket()
            try:
                socket.send_fds(requests, [json.dumps(self.settings()).encode()], [channel, process])
                said = _line(requests, FORK_S)
            except OSError:
                said = ""
            if said.isdigit():
                return int(said)
            self._end_zygote()
        raise BoxGone(f"no process could be forked into the walls: {said}")

    def _zygote_socket(self):
        if self._zygote and self._zygote[0].poll() is None:
            return self._zygote[1]
        mine, its = _line_to_a_process()
        with its:
            home = Path(self._folder.name) / "zygote"
            home.mkdir(exist_ok=True)
            process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", "autograder.zygote", str(its.fileno())], pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                # What it imports writes caches; in the walls these places are the submission's own.
                env=self._environment | {"HOME": str(home), "TMPDIR": str(home), "IPYTHONDIR": str(home), "MPLCONFIGDIR": str(home)})
        self._zygote = process, mine
        try:
            said = _line(mine, READY_S)
        except OSError:  # also a TimeoutError
            said = ""
        if said != "ready":
            self._end_zygote()
            raise BoxGone("the process that boxes are forked from didn't start; `python -m autograder.zygote` says why")
        return mine


class Box:
    """One submission's process, and all that it starts. Used as a context; leaving it ends everything inside.

    memory: the most bytes held inside so far. times: as `_times` gives them, at the moment `looked`.
    """

    def __init__(self, sandbox, until, data):
        self.sandbox, self.memory, self._over, self._data = sandbox, 0, until, data
        self._reason, self._ended, self.times, self.looked = "", threading.Event(), ({}, 0.0), -math.inf
        self._channel, its = _line_to_a_process()
        try:
            with its:
                if sandbox._warm:
                    self._enter_warm(its)
                else:
                    self._enter_cold(its)
        except BaseException:
            self.end()
            raise
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()

    def _enter_warm(self, its):
        inside, told = os.pipe()
        self._process = subprocess.Popen(
            self.sandbox.bwrap(self._data, "--info-fd", str(told), "/bin/sh", "-c", "echo; exec cat"), pass_fds=[told], env={}, cwd="/",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True)
        os.close(told)
        self._init = _first_inside(inside)
        if not self._process.stdout.read(1):  # it tells before the walls stand; the sleeper's first byte comes when they do
            raise BoxGone(NO_WALLS)
        process = os.pidfd_open(self._init)
        try:
            self._roots = self._init, self.sandbox.fork(its.fileno(), process)
        finally:
            os.close(process)

    def _enter_cold(self, its):
        settings = self.sandbox.settings()
        run = [sys.executable, "-s", "-P"]
        if self.sandbox.isolated:
            inside, told = os.pipe()
            command = self.sandbox.bwrap(self._data, "--info-fd", str(told), "--chdir", "/", *run, walls.INSIDE_BOX)
        else:
            inside, told, command = None, None, [*run, str(walls.BOX)]
        passed = [its.fileno()] + ([told] if told is not None else [])
        self._process = subprocess.Popen([*command, json.dumps(settings), str(its.fileno())], pass_fds=passed,
                                         env=self.sandbox._environment, cwd="/", stdin=subprocess.DEVNULL,
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self._init = self._process.pid
        if told is not None:
            os.close(told)
            self._init = _first_inside(inside)
        self._roots = [self._init]
        with open(f"/proc/{self._process.pid}/oom_score_adj", "w") as file:
            file.write("1000")
        its.close()
        self._receive(self.deadline(READY_S))

    # --- asking ---

    def run_cell(self, source):
        """Run a cell. Returns (outputs, error): a list of {"text": str} and {"png": uint8 tensor}, and None or a dict of
        strings as course_lib.worker describes errors."""
        self._send({"do": "cell", "source": source})
        answer = self._value(self._receive(self.deadline(self.sandbox.limits.cell_s)))
        outputs, error = answer.get("outputs"), answer.get("error")
        if not isinstance(outputs, list) or not (error is None or isinstance(error, dict)):
            raise self._broken()
        return outputs, error and {str(key): str(value) for key, value in error.items()}

    @contextmanager
    def check(self):
        """A fork of what the cells have made, which the calls of one check run in."""
        self._send({"do": "check"})
        yield
        if not self.gone:
            self._send({"do": "done"})
            if self._receive(self.deadline(DONE_S), expected=GONE)[0] != GONE:
                raise self._broken()

    def deadline(self, seconds):
        """The Deadline for what is to be answered within `seconds` from now."""
        return Deadline(self, seconds)

    def answer(self, frame, deadline):
        """The answer, before a Deadline is over, to one request of a Student, both as frames."""
        self._transmit(frame)
        return self._receive(deadline)[1]

    def _send(self, request):
        self._transmit(wire.encode(request))

    def _transmit(self, frame):
        if self.gone:
            raise BoxGone(self._reason)
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._channel, selectors.EVENT_READ)
            if waiting.select(0):
                raise self._gone() if self._hung_up() else self._broken()
        try:
            self._channel.settimeout(self.sandbox.limits.check_s)
            send(self._channel, b"R", frame)
        except OSError:
            raise self._gone() from None

    def _hung_up(self):
        try:
            return not self._channel.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def _receive(self, deadline, expected=ANSWER):
        kind, length = HEADER.unpack(self._bytes(HEADER.size, deadline))
        if kind not in (ANSWER, GONE) or length > wire.LIMITS.tree_bytes + wire.LIMITS.tensor_bytes + 2**20:
            raise self._broken()
        payload = self._bytes(length, deadline)
        if kind == GONE != expected:
            status = self._value((kind, payload)).get("signal")
            ended = f"by signal {status}" if isinstance(status, int) and status else "by itself"
            raise self._lost(f"the code ended its own process ({ended})")
        return kind, payload

    def _bytes(self, size, deadline):
        received = bytearray()
        while len(received) < size:
            left = deadline.left()
            if left <= 0:
                raise self._lost("it ran out of its time" if time.monotonic() < self._over else
                                 f"the whole submission took longer than {self.sandbox.limits.total_s:g} s")
            self._channel.settimeout(left)
            try:
                part = self._channel.recv(min(size - len(received), 1 << 20))
            except TimeoutError:
                continue
            except OSError:
                part = b""
            if not part:
                raise self._gone()
            received += part
        return received

    def _value(self, message):
        try:
            value = wire.decode(message[1])
        except wire.WireError:
            raise self._broken() from None
        if not isinstance(value, dict):
            raise self._broken()
        return value

    def _broken(self):
        return self._lost("the process that runs it doesn't keep to the protocol: it speaks unasked, or in another form")

    def _gone(self):
        return self._lost("the code ended its own process")

    @property
    def gone(self):
        """Whether it has ended."""
        return self._ended.is_set()

    def _lost(self, reason):
        """The BoxGone to raise: the box is ended, and the first reason holds."""
        self._reason = self._reason or reason
        self.end()
        return BoxGone(self._reason)

    # --- watching and ending ---

    def _watch_memory(self):
        limits = self.sandbox.limits
        while not self._ended.wait(0.1):
            inside = self._look()
            if len(inside) > limits.processes + 8:
                self._reason = self._reason or f"it started more than {limits.processes} processes"
            elif self.memory > limits.memory and sum(map(_own_share, inside)) > limits.memory:
                self._reason = self._reason or f"it used more than {limits.memory / 1024**3:g} GB of memory"
            elif self.sandbox.isolated and sum(_files(f"/proc/{self._init}/root{place}") for place, _ in walls.TMPFS) > limits.files:
                self._reason = self._reason or f"it made more than {limits.files:,} files"
            else:
                continue
            return self._kill()

    def _look(self):
        """The processes inside; what they hold counts for `memory`, and `times` is what they have had of the processor."""
        inside = _descendants(self._roots) if self.sandbox.isolated else [self._init]
        self.memory = max(self.memory, sum(map(_held, inside)))
        self.times, self.looked = _times(inside), time.monotonic()
        return inside

    def _kill(self):
        try:
            os.kill(self._init, signal.SIGKILL)  # the first process of the namespace takes all others along
        except ProcessLookupError:
            pass
        if not self.sandbox.isolated:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def end(self):
        """End everything inside, and wait until it is gone."""
        if self._ended.is_set():
            return
        self._ended.set()
        if hasattr(self, "_roots"):
            self._look()
        if hasattr(self, "_init"):
            self._kill()
        if hasattr(self, "_process"):
            try:
                self._process.wait(DONE_S)  # it goes when the namespace is empty
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream:
                    stream.close()
        self._channel.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


class Deadline:
    """Seconds for a Box to answer in. Those in which it waits for a processor that others are using don't count, up to PATIENCE times
    as many on the clock, and never beyond the end of the submission's time: whoever keeps many processes busy would else take the
    neighbours' work along. What its own processes take from each other counts."""

    def __init__(self, box, seconds):
        # What it had of the processor before, starting up for instance, isn't had within these seconds. The watch looks ten times a
        # second, and a look reads of each process of the machine.
        if time.monotonic() - box.looked > 0.5:
            box._look()
        self._box, self._seconds, self._start, self._then = box, seconds, time.monotonic(), box.times
        self._until = self._start + seconds

    def left(self):
        """Seconds until it is over; 0 or less when it is."""
        last = min(self._start + PATIENCE * self._seconds, self._box._over)
        if self._until <= time.monotonic() < last:
            self._box._look()
            self._until = self._start + self._seconds + _kept_waiting(self._then, self._box.times)
        return min(self._until, last) - time.monotonic()


def _line_to_a_process():
    """A pair of sockets, the second one for another process, which waits at it: socket.setdefaulttimeout, of which that process
    doesn't know, would leave it one that never waits."""
    mine, its = socket.socketpair()
    its.setblocking(True)
    return mine, its


def _first_inside(told):
    """The pid of the first process within the walls, which bubblewrap tells at the descriptor `told`. Raises BoxGone where it tells nothing."""
    with os.fdopen(told) as info:
        said = info.read()
    if not said:
        raise BoxGone(NO_WALLS)
    return json.loads(said)["child-pid"]


def _line(channel, seconds):
    channel.settimeout(seconds)
    received = b""
    while not received.endswith(b"\n"):
        part = channel.recv(4096)
        if not part:
            break
        received += part
    return received.decode("utf-8", "replace").strip()


def _after_name(pid):
    """The fields of /proc/<pid>/stat from the third on. Bytes: a process may give itself a name that isn't text."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def _descendants(roots):
    """These processes and all that come from them. Unlike its namespace, a process can't hide where it comes from."""
    children = defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            children[int(_after_name(name)[1])].append(int(name))
        except OSError:
            pass  # it has ended meanwhile
    found = list(roots)
    for process in found:
        found += children[process]
    return found


def _times(pids):
    """({process: seconds it has waited for a processor}, seconds that they, and what they have buried, have had of one)."""
    waited, had = {}, 0.0
    for pid in pids:
        try:
            had += sum(map(int, _after_name(pid)[11:15])) / TICKS
            with open(f"/proc/{pid}/schedstat", "rb") as file:
                waited[pid] = int(file.read().split()[1]) / 1e9
        except (OSError, IndexError):
            pass  # it has ended meanwhile, or the kernel doesn't keep count
    return waited, had


def _kept_waiting(then, now):
    """Seconds, between two _times, in which a process waited for a processor that none of the others had."""
    (before, had), (waited, have) = then, now
    return max(0.0, max((seconds - before.get(pid, 0.0) for pid, seconds in waited.items()), default=0.0) - (have - had))


def _files(place):
    """Files there, empty ones too: they cost the kernel memory that the size of a tmpfs doesn't count."""
    try:
        room = os.statvfs(place)
        return room.f_files - room.f_ffree
    except OSError:
        return 0


def _held(pid):
    """Bytes of a process that aren't a file's: what it shares with its parent after a fork is counted for both."""
    return _sum_of(f"/proc/{pid}/status", (b"RssAnon:", b"RssShmem:", b"VmPTE:"))


def _own_share(pid):
    """The same with what is shared divided among those that share it; dearer to find out, and can be hidden from us."""
    pages = _sum_of(f"/proc/{pid}/smaps_rollup", (b"Pss_Anon:", b"Pss_Shmem:"))
    return pages + _sum_of(f"/proc/{pid}/status", (b"VmPTE:",)) if pages else _held(pid)


def _sum_of(path, names):
    try:
        with open(path, "rb") as file:
            return sum(int(line.split()[1]) * 1024 for line in file if line.startswith(names))
    except (OSError, ValueError):
        return 0
