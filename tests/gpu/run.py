"""Runs a part in a process of its own: one that fails, hangs, or leaves the GPU in a bad state stops no other.

The processes are forks of one that has imported torch, and no more: it hasn't asked for a GPU, since CUDA doesn't outlive a fork.
"""

import multiprocessing
import os
import signal
import tempfile
import time
import traceback
from contextlib import suppress
from pathlib import Path

from autograder.walls import NoIsolation
from course_lib.data import DataError

from .parts import FAILED, SKIPPED, Row, Skip

WHOLE = "the whole part"
LOOK_S = 0.5  # how often to look whether it still lives: what it has started may hold its end of the pipe open
LAST = 1_500  # characters of what a process that ended without a word has printed


def run(part, where, seconds):
    """The Rows of a part, run on `where` for at most `seconds`: what it gave, and one for whatever kept it from giving more."""
    forking, rows, deadline = multiprocessing.get_context("forkserver"), [], time.monotonic() + seconds
    forking.set_forkserver_preload(["torch", "torch._dynamo"])
    hear, say = forking.Pipe(duplex=False)
    with tempfile.TemporaryDirectory() as folder, hear:
        printed = Path(folder) / "printed"
        process = forking.Process(target=_run, args=[part, where, say, printed])
        process.start()
        say.close()
        try:
            while time.monotonic() < deadline:
                alive = process.is_alive()  # asked first: what it gave before its end is in the pipe then
                if hear.poll(LOOK_S if alive else 0):
                    if (row := hear.recv()) is None:
                        return rows
                    rows.append(row)
                elif not alive:
                    return [*rows, _ended(printed)]
            return [*rows, Row(WHOLE, state=FAILED, reason=f"not done after {seconds:.0f} s")]
        except EOFError:
            return [*rows, _ended(printed)]
        finally:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)  # and what it has started
            process.kill()
            process.join()


def _ended(printed):
    said = printed.read_text(errors="replace")[-LAST:] if printed.exists() else ""
    return Row(WHOLE, state=FAILED, reason=f"its process has ended; it said: {said.strip()}")


def _run(part, where, say, printed):
    os.setsid()
    with printed.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    try:
        for row in part(where):
            say.send(row)
    except (Skip, DataError, NoIsolation) as reason:
        say.send(Row(WHOLE, state=SKIPPED, reason=str(reason)))
    except BaseException:
        say.send(Row(WHOLE, state=FAILED, reason=traceback.format_exc()[-LAST:]))
    say.send(None)
