"""Grades a class: every hand-in judged in a process of Dask's, every result written here and at once.

Only the coordinator, this process, writes results and gradebook. A run that is stopped goes on where it was: what has been
graded stands in the class folder, and is judged again only when the hand-in or the code that judges it has changed.
"""

import dataclasses
import functools
import hashlib
import json
import signal
import threading
from contextlib import contextmanager
from pathlib import Path

from autograder import build, gradebook, handin, record
from autograder.errors import LessonError
from autograder.judge import Judge
from autograder.splice import Spliced, splice
from autograder.task import Terms, judge_submission
from autograder.walls import NoIsolation
from course_lib.check import checks_of

DEATHS = 1  # of workers that a submission may have seen, before it is tried alone, and once more before it is given up


def grade(classroom, course, lesson, *, terms=None, source=None, students=None, jobs=None, scheduler=None, regrade=False,
          begin=lambda left, total, processes: None, tell=lambda result, fresh: None, pass_over=lambda names: None):
    """Grade the hand-ins in `source` (default: the class's submitted/) and return their Results, by student.

    terms: the Terms; by default those of this machine. students: only these. jobs: processes on this machine (default: its
    cores); scheduler: the address of a Dask scheduler instead. regrade: also what is graded already. begin: called before the
    first is judged, with how many of how many are left, and by how many processes. tell: called for each result, with
    whether it was judged just now. pass_over: as for `handin.find`. Raises LessonError for what keeps the whole class from
    being graded.
    """
    terms = terms or Terms.of(course, lesson)
    if work := build.worked_in(course, lesson):  # what a hand-in lacks is taken from there, and what it runs may read it
        raise LessonError(work)
    submitted = classroom.root / "submitted"
    if not source and not submitted.exists():
        raise LessonError(f"{submitted}: there is no such folder; --submitted PATH names the hand-ins where they are elsewhere")
    ids = classroom.ids
    handins = handin.find(Path(source or submitted), lesson, students, set(course.lessons()) - {lesson}, pass_over, ids)
    released, keys, secret, results, pending = terms.released(), judge_keys(lesson, terms.scale), classroom.secret, {}, {}
    try:
        here = Judge(lesson, released, terms.sandbox(), terms.scale, secret, keys)
    except NoIsolation as reason:
        raise LessonError(_refusal(reason)) from None

    with gradebook.writing(classroom):
        gradebook.prepare(classroom, course, lesson)
        classroom.keep_ids(ids)
        if regrade:
            gradebook.backup(classroom)

        def keep(result, fresh=True):
            classroom.save(result)
            gradebook.write(classroom, result, released)
            results[result.student] = result
            tell(result, fresh)

        for each in handins:
            spliced, known = _spliced(released, each), classroom.load(lesson, each.student)
            if not regrade and is_current(known, spliced, keys, terms.all_cells):
                keep(_dated(known, each), fresh=False)
            elif spliced.problem:
                keep(_dated(here.not_graded(each.student, spliced.problem, spliced), each))
            else:
                pending[each.student] = dataclasses.replace(each, data=None), spliced, None if regrade else known
        if pending:
            with _cluster(jobs or _room(terms), scheduler, terms, len(pending)) as client:
                begin(len(pending), len(handins), len(client.nthreads()))
                for name, outcome in _outcomes(client, terms, secret, keys, pending):
                    each, spliced, _ = pending[name]
                    keep(_dated(here.not_graded(name, outcome, spliced) if isinstance(outcome, str) else outcome, each))
    return [results[name] for name in sorted(results)]


def _dated(result, handed_in):
    """The result with what is known of the hand-in itself."""
    result.submitted, result.received = handed_in.submitted, list(handed_in.notes)
    return result


def current(classroom, course, lesson, student):
    """The Result kept for a student if it is that of the hand-in, and of the judging code, as they are now; else None."""
    terms = Terms.of(course, lesson)
    each, = handin.find(classroom.root / "submitted", lesson, [student], ids=classroom.ids)
    known, spliced = classroom.load(lesson, student), _spliced(terms.released(), each)
    return _dated(known, each) if is_current(known, spliced, judge_keys(lesson, terms.scale)) else None


def is_current(known, spliced, keys, all_cells=False):
    """Whether a Result is of this content, and every verdict of the code that judges now; with all_cells, whether all were run."""
    return (known is not None and known.content == spliced.content and (known.judged_by.get("all_cells") or not all_cells)
            and {each.check: each.key for each in known.verdicts} == keys
            and known.problem == spliced.problem)


def _spliced(released, each):
    """What a hand-in holds; where it can't be had, why."""
    return Spliced(problem=each.problem) if each.problem else splice(released, each.data)


@functools.lru_cache
def judge_keys(lesson, scale):
    """{check: a hash of all that its verdict depends on}: the lesson's checks, their words and bounds too, what they import of course_lib,
    the solution, the known mistakes, torch, and the scale."""
    return {name: hashlib.sha256(json.dumps([record.key(each), scale.value]).encode()).hexdigest()[:16]
            for name, each in checks_of(lesson).items()}


def _refusal(reason):
    return (f"submissions can't be walled in here: {reason}. Grading refuses to run them without; --unsafe runs them as you, "
            "with all that you may do, and every result says so")


# --- Dask ---

def _room(terms):
    """How many submissions this machine judges at once: one for each core, or for each GPU where they want one."""
    if terms.gpu:
        import torch
        return max(1, torch.cuda.device_count())
    from dask.system import CPU_COUNT  # of those that we may use: a container or a batch job has some of the machine's
    return CPU_COUNT


@contextmanager
def _cluster(jobs, scheduler, terms, tasks):
    """A client of a local cluster, or of the one at the address `scheduler`."""
    import dask
    from distributed import Client, LocalCluster
    quiet = {"distributed.scheduler.allowed-failures": DEATHS, "distributed.worker.daemon": False,
             # Dask gives up a worker that isn't back in time: it may be dying again at that moment, or the machine be slow, and without
             # any worker all would wait for ever. Its nanny starts it anew each time.
             "distributed.deploy.lost-worker-timeout": "7 days",
             "distributed.logging": {"distributed": "error", "tornado": "error"}, "distributed.scheduler.http.routes": []}
    with dask.config.set(quiet):
        if scheduler:
            try:
                client = Client(scheduler, timeout=30)
            except (OSError, TypeError, ValueError) as error:  # no answer, no certificate, no address
                raise LessonError(f"no Dask scheduler answers at {scheduler}: {error}") from None
            with client:
                yield client
            return
        # One thread for each worker, since a submission's walls end with the thread that built them; and TLS, since any
        # user of this machine could otherwise hand the scheduler code to run as us.
        with _deaf_to_interrupts():
            cluster = LocalCluster(n_workers=min(jobs, tasks), threads_per_worker=1, processes=True, memory_limit=0, security=True,
                                   dashboard_address="127.0.0.1:0", silence_logs=50, resources={"GPU": 1} if terms.gpu else None)
        with cluster, Client(cluster) as client:
            yield client


@contextmanager
def _deaf_to_interrupts():
    """Processes that are begun now leave Ctrl-C to this one, and don't each print where it has met them."""
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN) if threading.current_thread() is threading.main_thread() else None
    try:
        yield
    finally:
        if heard:
            signal.signal(signal.SIGINT, heard)


def _outcomes(client, terms, secret, keys, pending):
    """(student, Result or the reason why there is none), as they come."""
    from distributed import as_completed

    def submit(name):
        _, spliced, known = pending[name]
        return client.submit(judge_submission, terms, secret, keys, name, spliced, known and known.as_json(), pure=False,
                             resources={"GPU": 1} if terms.gpu else None)

    futures, again = {submit(name): name for name in pending}, []
    for future in as_completed(futures):
        name, outcome = futures[future], _outcome(future)
        if isinstance(outcome, str):
            again.append(name)
        else:
            yield name, outcome
        future.release()
    # With a worker die all the tasks that it had been given, and a machine that others had brought to its limits fails anybody:
    # alone, each shows whether it was to blame.
    for name in again:
        yield name, _outcome(submit(name))


def _outcome(future):
    """What a task gave: a Result, or the reason why there is none."""
    from distributed.scheduler import KilledWorker
    try:
        return future.result()
    except KilledWorker:
        return "The process that judges ended again and again while it judged this submission."
    except NoIsolation as reason:
        raise LessonError(_refusal(reason)) from None
    except Exception as error:  # a fault of the grader, not of the submission: the others must not wait for its cure
        return f"Grading itself failed ({type(error).__name__}: {error}). Please report it."
