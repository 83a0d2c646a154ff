"""The process inside the walls: gives up every privilege, runs a submission's cells, and serves the judge's calls.

Nothing here is trusted once the first cell has run. It holds no secret, decides nothing and attests nothing: the judge
takes its answers as the submission's own. What it does carefully is what the *honest* submission needs: outputs kept
short, one check's changes hidden from the next (each runs in a fork), errors put into words.

The process is either forked from one that has imported torch already (autograder/zygote.py), or started by bubblewrap:

    python box.py SETTINGS CHANNEL     settings as JSON; the number of the inherited socket to the judge

A message is a kind (one byte), a length (eight bytes) and a frame of course_lib.wire. The judge asks: `cell` runs a cell,
`check` forks, after which the fork answers the requests of course_lib.student until `done`. A GONE message says that the
fork has ended by itself.
"""

import ctypes
import io
import os
import platform
import resource
import struct
import sys
from contextlib import contextmanager

ANSWER, GONE = b"A", b"G"
HEADER = struct.Struct("<cQ")
TEXT_CHARACTERS, PICTURES, PICTURE_BYTES = 30_000, 12, 1024**2  # of a cell's output; the judge holds what it gets to the same
CUT = "\n… (cut: too long)"


# --- Messages ---

def send(channel, kind, payload):
    channel.sendall(HEADER.pack(kind, len(payload)) + payload)


def receive(channel):
    """(kind, payload), or None when the other end has closed."""
    header = _exactly(channel, HEADER.size)
    if header is None:
        return None
    kind, length = HEADER.unpack(header)
    return kind, _exactly(channel, length)


def _exactly(channel, size):
    received = bytearray()
    while len(received) < size:
        part = channel.recv(min(size - len(received), 1 << 20))
        if not part:
            return None
        received += part
    return bytes(received)


# --- Privileges ---

# System calls that a submission has no use for and that reach beyond the walls, or hold memory that nobody counts:
# (x86-64, aarch64) numbers of the kernel's own tables.
FORBIDDEN = {
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "pidfd_getfd": (438, 438), "kcmp": (312, 272),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "swapon": (167, 224), "swapoff": (168, 225),
    "reboot": (169, 142), "acct": (163, 89), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "adjtimex": (159, 171), "clock_adjtime": (305, 266), "quotactl": (179, 60), "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265), "personality": (135, 92), "syslog": (103, 116), "vhangup": (153, 58),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190), "msgget": (68, 186),
}
CLONE, CLONE3, SOCKET, MMAP = (56, 220), (435, 435), (41, 198), (9, 222)
SHARED_NOBODYS = 0x21  # MAP_SHARED | MAP_ANONYMOUS: pages that can be kept without showing in any process' memory
NEW_NAMESPACES = 0x7E020000
SOCKET_FAMILIES = (1, 2, 10, 16)  # unix, IPv4, IPv6, netlink (getaddrinfo): no vsock, which a network namespace lets through
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}


def harden(settings):
    """Give up, for good, what a submission must not have. settings: as autograder.sandbox makes them.

    Raises OSError where the system doesn't let it; nothing of a submission may run then.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        if libc.prctl(23, capability, 0, 0, 0) == 1:  # PR_CAPBSET_READ
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP, where we may
    if settings["uid"] is not None:
        os.setgroups([])
        os.setresgid(settings["uid"], settings["uid"], settings["uid"])
        os.setresuid(settings["uid"], settings["uid"], settings["uid"])
    _require(libc.prctl(47, 4, 0, 0, 0), "prctl(PR_CAP_AMBIENT)")  # PR_CAP_AMBIENT_CLEAR_ALL
    _require(libc.capset(struct.pack("<Ii", 0x20080522, 0), bytes(24)), "capset")
    for name, value in settings["rlimits"].items():
        kind = getattr(resource, f"RLIMIT_{name}")
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    _require(libc.prctl(38, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    program = _filter(*ARCHITECTURES[platform.machine()])
    code = ctypes.create_string_buffer(program)
    pointer = struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    _require(libc.prctl(22, 2, pointer, 0, 0), "prctl(PR_SET_SECCOMP)")


def _require(failed, what):
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _filter(column, architecture):
    """The seccomp program, in the kernel's classic BPF: what is FORBIDDEN fails with EPERM, all else is allowed."""
    load = lambda offset: struct.pack("<HBBI", 0x20, 0, 0, offset)
    jump = lambda code, value, yes, no: struct.pack("<HBBI", code, yes, no, value)
    give = lambda value: struct.pack("<HBBI", 0x06, 0, 0, value)
    equal, at_least, any_bit = 0x15, 0x35, 0x45
    allow, refuse, no_such_call = give(0x7FFF0000), give(0x00050000 | 1), give(0x00050000 | 38)  # EPERM, ENOSYS
    program = [load(4), jump(equal, architecture, 1, 0), refuse, load(0)]
    if column == 0:
        program += [jump(at_least, 0x40000000, 0, 1), refuse]  # the x32 calls have numbers of their own
    program += [part for numbers in FORBIDDEN.values() for part in (jump(equal, numbers[column], 0, 1), refuse)]
    program += [jump(equal, CLONE3[column], 0, 1), no_such_call]  # its flags lie in memory; the C library then uses clone
    program += [jump(equal, CLONE[column], 0, 4), load(16), jump(any_bit, NEW_NAMESPACES, 0, 1), refuse, allow]
    program += [jump(equal, MMAP[column], 0, 5), load(40), struct.pack("<HBBI", 0x54, 0, 0, SHARED_NOBODYS),
                jump(equal, SHARED_NOBODYS, 0, 1), refuse, allow]
    families = [jump(equal, family, len(SOCKET_FAMILIES) - index, 0) for index, family in enumerate(SOCKET_FAMILIES)]
    program += [jump(equal, SOCKET[column], 0, len(families) + 3), load(16), *families, refuse, allow]
    return b"".join([*program, allow])


# --- Cells ---

def make_shell():
    """An IPython shell without history, threads or colours, whose outputs are kept; and the course's `start` for grading."""
    import torch
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config
    import course_lib
    import course_lib.notebook

    class Publisher(DisplayPublisher):
        def publish(self, data, metadata=None, **_):
            _kept.add(data)

        def clear_output(self, wait=False):
            pass

    class Hook(DisplayHook):
        def write_format_data(self, format_dict, md_dict=None):
            _kept.add(format_dict)

        write_output_prompt = finish_displayhook = lambda self: None

    class Shell(InteractiveShell):
        def enable_gui(self, gui=None):
            pass  # what `%matplotlib inline` asks for, and a kernel has

    torch.set_num_threads(1)
    # The checks aren't here, and their cells aren't run: the judge fills them in.
    course_lib.start = course_lib.notebook.start = lambda lesson: lambda name: None
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = Shell.instance(config=config, display_pub_class=Publisher, displayhook_class=Hook)
    shell.showtraceback = shell.showsyntaxerror = shell._showtraceback = lambda *_, **__: None  # the error is sent as a value
    return shell


class _Kept:
    """What a cell shows: text up to a length, and pictures."""

    def __init__(self):
        self.outputs, self.characters, self.pictures = [], 0, 0

    def text(self, text):
        room = TEXT_CHARACTERS - self.characters
        if room > 0 and text:
            self.characters += min(len(text), room)
            cut = text if len(text) <= room else text[:room] + CUT
            if self.outputs and "text" in self.outputs[-1]:
                self.outputs[-1]["text"] += cut
            else:
                self.outputs.append({"text": cut})

    def add(self, data):
        picture = data.get("image/png")
        if picture is None:
            return self.text(str(data.get("text/plain", "")) + "\n")
        import base64
        import torch
        picture = base64.b64decode(picture) if isinstance(picture, str) else bytes(picture)
        if self.pictures < PICTURES and len(picture) <= PICTURE_BYTES:
            self.pictures += 1
            self.outputs.append({"png": torch.frombuffer(bytearray(picture), dtype=torch.uint8)})


class _Stream(io.TextIOBase):
    """Stands for stdout and stderr while a cell runs."""

    encoding, errors = "utf-8", "replace"

    def write(self, text):
        _kept.text(str(text))
        return len(text)


_kept = _Kept()


@contextmanager
def _keeping_outputs():
    global _kept
    _kept, before = _Kept(), (sys.stdout, sys.stderr)
    sys.stdout = sys.stderr = _Stream()
    try:
        yield _kept
    finally:
        sys.stdout, sys.stderr = before


# --- Serving ---

def serve(channel, shell):
    """Answer the judge until it hangs up."""
    from course_lib import wire
    from course_lib.worker import Worker
    worker = Worker(shell.user_global_ns)
    while message := receive(channel):
        request = wire.decode(message[1])
        if request["do"] == "cell":
            send(channel, ANSWER, _run_cell(shell, worker, request["source"]))
        elif request["do"] == "check":
            send(channel, GONE, wire.encode({"signal": _run_check(channel, worker)}))


def _run_check(channel, worker):
    """Serve a check in a fork, whose changes the next one doesn't see. Returns the signal that ended it, or 0."""
    import torch
    if torch.cuda.is_initialized():  # by a cell that has computed on the GPU: CUDA doesn't outlive a fork, so nothing is hidden
        _serve_check(channel, worker)
        return 0
    pid = os.fork()
    if pid == 0:
        try:
            _serve_check(channel, worker)
        finally:
            os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def _serve_check(channel, worker):
    from course_lib import wire
    while message := receive(channel):
        if wire.decode(message[1])["do"] == "done":
            return
        with _keeping_outputs():
            answer = worker.handle(message[1])
        send(channel, ANSWER, answer)


def _run_cell(shell, worker, source):
    from course_lib import wire
    with _keeping_outputs() as kept:
        done = shell.run_cell(source, store_history=False)
    error = done.error_before_exec or done.error_in_exec
    if isinstance(error, SyntaxError):
        error.filename = None  # IPython's own name for the cell, which its author has never seen
    answer = {"outputs": kept.outputs, "error": worker.describe(error) if error is not None else None}
    try:
        return wire.encode(answer)
    except wire.WireError:
        return wire.encode(answer | {"outputs": [{"text": "(its output is too large to be kept)"}]})


def enter(settings):
    """What the process does first, whichever way it came in: privileges, place, randomness."""
    if settings["isolated"]:
        harden(settings)
    os.environ.update(settings["environment"])
    os.chdir(settings["folder"])
    import random
    import numpy
    import torch
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)


if __name__ == "__main__":
    import json
    import socket
    given = json.loads(sys.argv[1])
    enter(given)
    made = make_shell()
    import torch._dynamo  # a process' first optimiser imports it; better now than on a check's time
    with socket.socket(fileno=int(sys.argv[2])) as judge:
        send(judge, ANSWER, b"")  # ready
        serve(judge, made)
