"""A process that has imported torch and IPython once, and forks into walls whenever it is asked: 0.05 s instead of 3.

    python -m autograder.zygote CHANNEL

It is started afresh, with the environment of the walls, and never holds anything of a class: a submission gets a copy of its
memory. It runs no operation of torch and keeps to one thread, since a fork of a process with two may hang for ever. Over the
socket CHANNEL come SETTINGS as JSON, with two descriptors: of the socket to the judge, and of a process inside the walls that
bubblewrap has built. Answered is the fork's pid, or words that say why there is none.
"""

import ctypes
import gc
import json
import os
import signal
import socket
import sys

NAMESPACES = 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000  # mount, pid, net, ipc, uts
USER_NAMESPACE = 0x10000000
PR_SET_CHILD_SUBREAPER = 36


def main(requests):
    import torch
    import torch._dynamo
    import matplotlib.pyplot
    from autograder import box, walls
    import course_lib.worker  # with the others: what a fork needs is imported here, once
    torch.set_num_threads(1)
    walls.close_torch(torch.utils.data)
    shell = box.make_shell()
    gc.collect()
    gc.freeze()  # what a fork's collector doesn't touch needn't be copied
    # Without it an ended fork would wait for the machine's init to be buried, and its walls with it.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGCHLD, _bury)
    requests.sendall(b"ready\n")
    while True:
        message, descriptors, _, _ = socket.recv_fds(requests, 1 << 16, 2)
        if not message:
            return
        requests.sendall(_fork(json.loads(message), *descriptors, requests, shell, box).encode() + b"\n")
        for descriptor in descriptors:
            os.close(descriptor)


def _bury(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _fork(settings, channel, process, requests, shell, box):
    """Fork into the walls of the process behind the descriptor `process`. Returns its pid, or what went wrong."""
    answer, say = os.pipe()
    if os.fork() == 0:
        try:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            os.close(answer)
            # The kernel's choice when memory runs out should be the submission, before any of ours.
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("1000")
            libc = ctypes.CDLL(None, use_errno=True)
            # Entering the walls' user namespace first, if there is one, gives the right to enter the others.
            spaces = NAMESPACES | (USER_NAMESPACE if settings["user_namespace"] else 0)
            if libc.setns(process, spaces):
                raise OSError(ctypes.get_errno(), "setns")
            if pid := os.fork():  # only a child is in the new pid namespace; from there it couldn't tell its number here
                os.write(say, str(pid).encode())
                os._exit(0)
            os.setsid()
            box.enter(settings)
            kept = {channel, say}
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                if descriptor > 2 and descriptor not in kept:
                    try:
                        os.close(descriptor)
                    except OSError:
                        pass  # the listing's own
            os.close(say)
            with socket.socket(fileno=channel) as judge:
                box.serve(judge, shell)
        except BaseException as error:
            try:
                os.write(say, f"{type(error).__name__}: {error}".encode()[:1000])
            except OSError:
                pass
        finally:
            os._exit(0)
    os.close(say)
    said = b""
    while part := os.read(answer, 4096):
        said += part
    os.close(answer)
    return said.decode("utf-8", "replace") or "the fork ended without a word"


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as channel:
        main(channel)
