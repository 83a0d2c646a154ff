"""The submission's side of the boundary: runs its functions on request and answers in the wire format.

The same code serves in the notebook, called directly, and in the grading sandbox, at the other end of a pipe. It
trusts nobody and attests nothing: whatever it answers may come from a hostile submission, and the check treats it so.
"""

import functools
import inspect
import linecache
import re

import torch

from course_lib import wire


_compiled = functools.lru_cache(maxsize=16)(lambda source: compile(source, "<the check's probe>", "exec"))


class Missing(Exception):
    """A name the check needs isn't defined."""


class BadSignature(Exception):
    """A function can't be called with the arguments the exercise states."""


# torch says so by a NotImplementedError, as an unwritten exercise does; the second, of `mean` of whole numbers.
NO_FORWARD, NO_DTYPE = 'is missing the required "forward" function', "could not infer output dtype"


class Worker:
    """Answers the requests of a `Student` on a namespace.

    namespace: the dict in which the submission's cells ran. made: made(name, functions) says whether a probe may take what the
    learner has already made there (a trained net) instead of making it again with these functions; only in the learner's own
    notebook. progress: wraps the iterable of a long loop, to show how far it is.
    """

    def __init__(self, namespace, made=None, progress=iter):
        self._namespace, self._made, self._progress = namespace, made, progress

    def handle(self, frame):
        """One request in, one answer out, both as frames. Never raises for what the submission does wrong."""
        request = wire.decode(frame)
        names = Names(self._namespace, self._made, self._progress)
        try:
            answer = {"value": None} | getattr(self, f"_{request['do']}")(names, request)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit() in a submission ends the call, not the check
            return wire.encode({"error": self.describe(error)})
        try:
            return wire.encode(answer)
        except wire.WireError as error:
            return wire.encode({"error": {"kind": "unsendable", "message": str(error)}})

    def _call(self, names, request):
        args = request["args"]
        before = [wire.encode(arg) for arg in args]
        value = getattr(names, request["name"])(*args)
        return {"value": value, "changed": [index for index, arg in enumerate(args) if not _is_still(arg, before[index])]}

    def _grad(self, names, request):
        """d(sum of the result)/d(argument wrt): autograd doesn't cross the boundary, so it runs here."""
        args, wrt = request["args"], request["wrt"]
        args[wrt].requires_grad_(True)
        value = getattr(names, request["name"])(*args)
        if isinstance(value, (int, float)):
            return {"no_gradient": True}
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"a tensor was expected, to differentiate it; it is a {type(value).__name__}")
        if not value.requires_grad:
            return {"no_gradient": True}
        gradient, = torch.autograd.grad(value.sum(), args[wrt], allow_unused=True)
        return {"no_gradient": True} if gradient is None else {"value": gradient}

    def _run(self, names, request):
        scope = {"torch": torch}
        exec(_compiled(request["source"]), scope)
        names.functions = re.findall(r"\bnames\.(\w+)", request["source"])
        return {"value": scope[request["name"]](names, *request["args"])}

    def describe(self, error):
        """What went wrong in the submission: its kind, type and message, and the submission's own line, as strings."""
        kinds = {Missing: "missing", NotImplementedError: "unwritten", BadSignature: "signature"}
        where = self._where(error)
        try:
            message = str(error)[:2000]
        except Exception:
            message = "(its message can't be shown)"
        kind = "raised" if NO_FORWARD in message or NO_DTYPE in message else kinds.get(type(error), "raised")
        return {"kind": kind, "type": type(error).__name__[:100], "message": message, **where}

    def _where(self, error):
        """The last line of the submission's own code on the way to the error."""
        where, traceback = {}, error.__traceback__
        while traceback:
            frame = traceback.tb_frame
            if frame.f_globals is self._namespace:
                line = linecache.getline(frame.f_code.co_filename, traceback.tb_lineno).strip()
                name = frame.f_code.co_qualname.rpartition("<locals>.")[2]  # of a method, with its class
                where = {"function": name, "line": traceback.tb_lineno, "code": line[:200]}
            traceback = traceback.tb_next
        return where


def _is_still(value, frame):
    """Whether `value`, with all that is in it, is what the frame holds, to the last bit."""
    try:
        return wire.encode(value) == frame
    except wire.WireError:
        return False


class Names:
    """What a probe sees of the submission: its names as attributes, calls checked against their signatures."""

    def __init__(self, namespace, made, progress):
        self._namespace, self._made, self.progress, self.functions = namespace, made, progress, []

    def __getattr__(self, name):
        if name not in self._namespace:
            raise Missing(name)
        value = self._namespace[name]
        if not callable(value):
            raise BadSignature(f"`{name}` is of the type {type(value).__name__} and not a function: a later cell gave the name to something else")
        if not inspect.isroutine(value):
            return value

        def call(*args):
            try:
                signature = inspect.signature(value)
            except (TypeError, ValueError):
                signature = None
            if signature is not None:
                try:
                    signature.bind(*args)
                except TypeError as error:
                    raise BadSignature(f"{name}{signature} was called with {len(args)} arguments: {error}") from None
            return value(*args)

        return call

    def made(self, name):
        """What the learner has already made under `name` in the notebook; None in grading, when there is none, or when the functions
        that the probe would make it with have changed since."""
        if self._made and name in self._namespace and self._made(name, self.functions):
            return self._namespace[name]
        return None
