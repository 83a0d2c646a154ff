"""The check's side of the boundary: the submission's functions, called through frames and never touched directly."""

import contextlib
import functools
import inspect
import re
import textwrap

from course_lib import wire
from course_lib.verdict import Failed
from course_lib.worker import NO_FORWARD, Worker


ADDRESS = re.compile(r"0x[0-9a-fA-F]+")  # of an object, another each time


class Student:
    """A submission, or the reference, behind a transport.

    `student.name(*args)` calls its function `name`. transport: a function from a request's frame to the answer's.
    log: the results so far, in the order of the calls; what tells one mistake from another. A call that failed leaves {"failed": how,
    "detail": the error's own message}. request: what the last of them is the
    whole answer to, or None where it is made of several answers, or of none.
    """

    def __init__(self, transport):
        self._transport, self.log, self._within, self.request = transport, [], None, None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return functools.partial(self.call, name)

    def call(self, name, *args):
        """The result of the submission's `name(*args)`. Raises Failed, with a sentence, where there is none."""
        return self.put({"do": "call", "name": name, "args": list(args)})

    def grad(self, name, *args, wrt=0):
        """The gradient of the sum of `name(*args)` with respect to argument `wrt`, computed beside the submission."""
        return self.put({"do": "grad", "name": name, "args": list(args), "wrt": wrt})

    def run(self, probe, *args, using=()):
        """What `probe(names, *args)` returns when it runs beside the submission.

        probe: a function without closures; its source is sent, with that of the functions in `using`, which it calls.
        It reaches the submission's functions as attributes of `names`. What comes back can be forged, so it must be
        something that only right work can produce.
        """
        return self.put({"do": "run", "name": probe.__name__, "source": "\n".join(map(_source, (*using, probe))), "args": list(args)})

    def put(self, request):
        """The result of a request, as `call`, `grad` and `run` make them. Raises Failed, with a sentence, where there is none."""
        self.request = request if self._within is None else None
        what = "Your code" if request["do"] == "run" else f"`{request['name']}`"
        answer = self._ask(what, request)
        if answer.get("changed"):
            number = answer["changed"][0] + 1
            self._fail(f"{what} changes its argument number {number} in place. "
                       "Leave inputs as they are: the caller still needs them.", "changed")
        if answer.get("no_gradient"):
            self._fail(f"No gradient flows through {what} to its argument number {request['wrt'] + 1}. "
                       "`.item()`, `.detach()`, `.data`, NumPy and `torch.tensor(...)` cut it.", "no gradient")
        return self._keep(answer["value"])

    def train(self, probe, *args, using=()):
        """`run`, for a probe that trains: apart, so that whoever only records exact answers can stop before it."""
        return self.run(probe, *args, using=using)

    @contextlib.contextmanager
    def one_call(self):
        """The calls made within count as one in the log. Yields a list to put its result into; else the last call's stands for it."""
        self._within, result = [], []
        try:
            yield result
        finally:
            self.log += (result or self._within)[-1:]
            self._within = self.request = None

    def remark(self, value):
        """Put into the log what the check has found out by itself, as a call of its own: it then tells mistakes apart as results do."""
        self.request = None
        self._keep(value)

    def _keep(self, value):
        if self._within is None:
            self.log.append(value)
        else:
            self._within[:] = [value]  # only the last is wanted, and another hand may have made all of them large
        return value

    def _fail(self, hint, kind, detail="", said=""):
        self._keep({"failed": kind, "detail": ADDRESS.sub("0x", said)[:300]})
        raise Failed(hint, detail)

    def _ask(self, what, request):
        try:
            answer = wire.decode(self._transport(wire.encode(request)))
        except wire.WireError as error:
            self._fail(f"{what}: its answer {error}.", "unsendable")
        if not _is_answer(answer):
            self._fail(f"{what}: its answer doesn't follow the format.", "unsendable")
        if "error" in answer:
            error = {key: str(value) for key, value in answer["error"].items()}
            hint, detail = _sentence(what, error)
            self._fail(hint, f"{error.get('kind')} {error.get('type', '')}", detail, error.get("message", ""))
        return answer


@functools.cache
def _source(function):
    return textwrap.dedent(inspect.getsource(function))


def _is_answer(answer):
    """Whether it has the form of what a Worker says; another hand may have made it."""
    if not isinstance(answer, dict) or not isinstance(answer.get("error", {}), dict) or not answer.keys() & {"error", "value"}:
        return False
    changed = answer.get("changed", [])
    return isinstance(changed, list) and all(type(index) is int for index in changed) and type(answer.get("no_gradient", False)) is bool


def _sentence(what, error):
    """The sentence for an error on the submission's side, and the line it happened on."""
    kind, message = error.get("kind"), error.get("message", "")
    place = f"line {error['line']} of `{error.get('function')}`: {error.get('code', '')}" if "line" in error else ""
    if kind == "missing":
        return f"`{message}` isn't defined yet. Run the cell that defines it, then check again.", ""
    if kind == "unwritten":
        return f"{_function(what, error)} isn't written yet: it still raises NotImplementedError.", ""
    if NO_FORWARD in message:
        return "A module of yours has no `forward`. Is it spelt so, and indented as a method of its class?", message
    if kind == "signature":
        return f"{message}. Keep the name and the arguments that the exercise gives.", ""
    if kind == "unsendable":
        return f"{what}: the result {message}.", ""
    return f"{_function(what, error)} raised {error.get('type')}: {message}", place


def _function(what, error):
    return f"`{error['function']}`" if error.get("function", "<module>") != "<module>" else what


def local_student(namespace, made=None, progress=iter):
    """The student whose functions are in `namespace`, in this process, through the same codec as a remote one."""
    return Student(Worker(namespace, made, progress).handle)


def replayed_student(answers):
    """A student that answers with recorded values, whatever it is asked: the reference, where the solution isn't."""
    remaining = iter(answers)
    return Student(lambda frame: wire.encode({"value": next(remaining)}))
