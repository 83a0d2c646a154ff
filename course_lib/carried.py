"""Ranks whose messages the check carries: how code for several processes is judged with none of them running.

A rank of a submission is played again and again, each time up to where it waits for a message that hasn't come. What it has
sent until then comes back to the check, which hands it to the other ranks' plays, and counts it. So nothing hangs: ranks
that wait for each other are seen to, and told. And a submission can't say that it has sent or received what it hasn't:

- numbers and bytes are counted here, outside;
- `mark` is added to every number on its way, or it is multiplied by `factor`. What really came over the wire bears that, and
  what was computed past the wire doesn't;
- `witness` hands out a number in the middle of a backward pass, but only when an all-reduce has been launched by then.

Inside a play `torch.distributed` is initialised with a process group that knows all this, so that the learner's code calls
`dist.send`, `dist.all_reduce` and the rest as it does between processes. As with gloo, a send is over when it is received. A
broadcast is over for its root at once, and elsewhere when the root has made it.
"""

import math
import sys
from dataclasses import dataclass

import torch
import torch.distributed as dist

from course_lib.verdict import Failed

PLAYS = 300  # of one rank; far more than any exercise needs
OPERATIONS = 1_000  # of one rank
BYTES = 16 * 2**20  # that one rank sends
REDUCTIONS = {"SUM": lambda stacked: stacked.sum(0), "MAX": lambda stacked: stacked.amax(0), "MIN": lambda stacked: stacked.amin(0),
              "PRODUCT": lambda stacked: stacked.prod(0), "AVG": lambda stacked: stacked.sum(0) / len(stacked)}
UNSUMMED = (torch.int16, torch.uint16, torch.uint32, torch.uint64)  # gloo's collectives refuse them: "Invalid scalar type"
NAMES = {"send": "a send to rank {peer}", "recv": "a receive from rank {peer}", "all_reduce": "an all-reduce", "reduce": "a reduce to rank {peer}",
         "broadcast": "a broadcast from rank {peer}", "all_gather": "an all-gather", "barrier": "a barrier"}


# --- Beside the submission: one play of one rank ---

class _Waits(BaseException):
    """The rank can't go on before operation number `index` is over."""

    def __init__(self, index):
        self.index = index


class _Work(dist._Work):
    """What an operation that was launched gives back; its tensors change when it is waited for, and not before."""

    def __init__(self, group, index, tensors):
        super().__init__()
        self._group, self._index, self._tensors = group, index, tensors

    def wait(self, timeout=None):
        if not self.is_completed():
            raise _Waits(self._index)
        self._group.unwaited.discard(self._index)
        with torch.no_grad():
            for tensor, new in zip(self._tensors, self._group.arrived[self._index]):
                tensor.copy_(new.reshape(tensor.shape))
        self._tensors = ()
        return True

    def get_future(self):
        raise RuntimeError("in a check, an operation gives back something to `wait()` for, and no future")

    def is_completed(self):
        return self._index in self._group.arrived


class CarriedGroup(dist.ProcessGroup):
    """The process group of a play. operations: those launched so far, each a dict of what it is and holds. arrived: the tensors that
    an operation has brought, by its number, for those that are over. ahead: by the number of a collective, the (root, tensor) of a
    broadcast whose root has made it already. unwaited: the numbers of the operations that nobody has waited for."""

    def __init__(self, rank, world, arrived, ahead):
        super().__init__(rank, world)
        self.operations, self.arrived, self.ahead, self.unwaited = [], arrived, ahead, set()

    def _launch(self, kind, tensor, into, peer=-1, tag=0, reduction="", sends=True):
        """sends: whether the tensor's numbers are anybody's business. Where a message is to come, they may be anything."""
        if kind in ("send", "recv", "reduce", "broadcast") and not 0 <= peer < self.size():
            raise ValueError(f"rank {self.rank()} wants {NAMES[kind].format(peer=peer)}, and there are only ranks 0 to {self.size() - 1}")
        if kind in ("send", "recv") and peer == self.rank():
            raise ValueError(f"rank {self.rank()} wants {NAMES[kind].format(peer=peer)}, itself")
        if kind not in ("send", "recv", "witness") and tensor.dtype in UNSUMMED:
            raise RuntimeError(f"Invalid scalar type: gloo has no {NAMES[kind].format(peer=peer).split(' ', 1)[1]} of {tensor.dtype}. Take torch.int32.")
        if len(self.operations) >= OPERATIONS:
            raise RuntimeError(f"more than {OPERATIONS:,} operations: does a loop not end?")
        self.unwaited.add(len(self.operations))
        self.operations.append({"kind": kind, "peer": int(peer), "tag": int(tag), "reduction": reduction,
                                "like": tensor.detach().clone() if sends else torch.zeros_like(tensor)})
        return _Work(self, len(self.operations) - 1, into)

    def send(self, tensors, dst, tag=0):
        return self._launch("send", tensors[0], [], dst, tag)

    def recv(self, tensors, src, tag=0):
        return self._launch("recv", tensors[0], tensors, src, tag, sends=False)

    def recv_anysource(self, tensors, tag=0):
        raise RuntimeError("receive from a rank that you name: `dist.recv(tensor, src)`")

    def allreduce(self, tensors, opts):
        return self._launch("all_reduce", tensors[0], tensors, reduction=_reduction(opts.reduceOp, tensors[0].dtype))

    def reduce(self, tensors, opts):
        into = tensors if opts.rootRank == self.rank() else []
        return self._launch("reduce", tensors[0], into, opts.rootRank, reduction=_reduction(opts.reduceOp, tensors[0].dtype))

    def broadcast(self, tensors, opts):
        root, number = opts.rootRank == self.rank(), sum(map(_is_collective, self.operations))
        work = self._launch("broadcast", tensors[0], [] if root else tensors, opts.rootRank, sends=root)
        sender, tensor = self.ahead.get(number, (None, None))
        if root:
            self.arrived[len(self.operations) - 1] = []
        elif sender == opts.rootRank and tensor.numel() == tensors[0].numel() and tensor.dtype == tensors[0].dtype:
            self.arrived[len(self.operations) - 1] = [tensor]
        return work

    def allgather(self, outputs, inputs, opts):
        return self._launch("all_gather", inputs[0], outputs[0])

    def all_gather_single(self, output, given, opts):
        # all_gather_object makes it, and then sends bytes that nobody has written, other ones in each play
        raise RuntimeError("a check carries no `all_gather_object` and no `all_gather_into_tensor`: put what the ranks tell each other into a tensor, and "
                           "take `dist.all_gather` or `dist.all_reduce`")

    def barrier(self, opts=None):
        return self._launch("barrier", torch.zeros(0), [], sends=False)

    def witness(self):
        """A number from the check, handed out once an all-reduce has been launched."""
        number = torch.zeros((), dtype=torch.float64)
        self._launch("witness", number, [number], sends=False).wait()
        return number

    def _get_backend(self, device):
        return self  # for `batch_isend_irecv`

    def getBackendName(self):
        return "carried"


def _reduction(operation, dtype):
    for name in REDUCTIONS:
        if operation == getattr(dist.ReduceOp, name):
            if name == "AVG" and not dtype.is_floating_point:
                raise RuntimeError(f"result type Float can't be cast: gloo has no average of whole numbers, and these are {dtype}. Sum them, or make them "
                                   "floating-point numbers.")
            return name
    raise ValueError("gloo reduces by SUM, AVG, MAX, MIN or PRODUCT")


def _is_collective(operation):
    return operation["kind"] not in ("send", "recv", "witness")


_now = {}  # the group of the play that is going on
_kept = {}  # by rank: what has arrived in the plays before, and what is ahead, so that it needn't be sent again
dist.Backend.register_backend("carried", lambda store, rank, world, timeout: _now["group"], devices=["cpu"])


def play(function, rank, world, known, fresh, ahead):
    """Run `function()` as this rank, as far as what has arrived lets it.

    known: how many of its operations the check knows from earlier plays, None in the first. fresh: [number of an operation, the
    tensors that it has brought] since the last play; ahead: [number of a collective, root, tensor], likewise. Returns a dict: the
    operations after the known ones, the known ones in short, the number of the operation that it waits for, or None and its result,
    and the numbers of those that it never waited for.
    """
    if dist.is_initialized():
        raise RuntimeError("torch.distributed is initialised in the notebook itself; call `dist.destroy_process_group()` there. "
                           "Ranks are for `launch`, in processes of their own.")
    if known is None:
        _kept[rank], known = ({}, {}), 0
    arrived, coming = _kept[rank]
    arrived.update(fresh)
    coming.update({number: (root, tensor) for number, root, tensor in ahead})
    group = _now["group"] = CarriedGroup(rank, world, arrived, coming)
    torch.default_generator.manual_seed(rank)  # ranks that were started apart draw apart
    hook = sys.excepthook
    dist.init_process_group("carried", store=dist.HashStore(), rank=rank, world_size=world)
    try:
        result, waits = function(), None
    except _Waits as stopped:
        result, waits = None, stopped.index
    finally:
        dist.destroy_process_group()
        sys.excepthook = hook  # initialising sets one that puts the rank before each line
    return {"operations": group.operations[known:], "known": summary(group.operations[:known]), "waits": waits, "result": result,
            "unwaited": sorted(group.unwaited)}


def summary(operations):
    """What tells whether a play does the same as the one before: [kinds and peers, the sum of all that is sent]."""
    return [" ".join(f"{each['kind']}:{each['peer']}" for each in operations),
            float(sum(each["like"].double().nan_to_num().sum() for each in operations))]


def played(names, body, rank, world, known, fresh, ahead, args):
    """The probe around a check's own: `body`, by name, plays a rank."""
    from course_lib.carried import play
    return play(lambda: globals()[body](names, rank, world, *args), rank, world, known, fresh, ahead)


# --- In the check: the carrier ---

@dataclass(frozen=True)
class Ran:
    """results: what each rank returned. operations: by rank, each operation's (kind, numbers, peer), in the order of their launch;
    sent: by rank, the bytes that it has sent itself, between two ranks; summed: by rank, how many numbers each of its all-reduces of
    float64 sums; left: by rank, how many of those had been launched each time that it asked for the witness; unwaited: by rank, the
    numbers of the operations that it has launched and never waited for, as it says itself."""

    results: list
    operations: list
    sent: list
    summed: list
    left: list
    unwaited: list


def run(student, world, body, *args, using=(), mark=0.0, factor=1.0, marked=("recv", "all_reduce", "reduce", "broadcast", "all_gather"),
        witness=None):
    """Run the probe `body(names, rank, world, *args)` as `world` ranks and carry their messages. Returns what Ran says.

    mark, factor: every floating number on its way to another rank is multiplied by the one and has the other added, in operations
    of the kinds `marked`. witness: the number that `CarriedGroup.witness` gives out; with it, no all-reduce is over before each rank
    has asked for it. The whole counts as one call in `student.log`. Raises Failed: a rank raises, two ranks' operations don't fit each
    other, ranks wait in vain.
    """
    ranks, marks = [_Rank(rank) for rank in range(world)], dict.fromkeys(marked if world > 1 else (), (factor, mark))
    with student.one_call() as result:
        ran = _carry(student, ranks, body, args, using, marks, witness, result)
        result.append({"results": ran.results})
    return ran


def _carry(student, ranks, body, args, using, marks, witness, result):
    """Play the ranks on until all have ended, or raise Failed; what failed between them is put into `result`."""
    world = len(ranks)

    def fail(kind, hint, detail=""):
        result.append({"failed": kind, "detail": hint})
        raise Failed(hint, detail)

    while True:
        for rank in ranks:
            if rank.can_go_on():
                try:
                    said = student.run(played, body.__name__, rank.number, world, len(rank.operations) if rank.plays else None, rank.fresh(),
                                       rank.coming(ranks, marks), list(args), using=(*using, body))
                except Failed as failure:
                    raise Failed(failure.hint, failure.detail or f"in rank {rank.number} of {world}") from None
                problem = rank.take(said, world)
                if problem:
                    fail("form", problem)
        if not any([*(_carry_messages(ranks, marks, fail)), *(_carry_collectives(ranks, marks, witness is not None, fail)),
                    *(_give_witness(ranks, witness))]):
            break
    if not all(rank.done for rank in ranks):
        if witness is not None and any(rank.waits_early() for rank in ranks):
            fail("waits", "Your backward pass stops to wait for an all-reduce. Launch it with `async_op=True`, go on, and wait in `finish`.")
        waiting = "; ".join(f"rank {rank.number} {rank.state()}" for rank in ranks)
        fail("waits", f"With {world} ranks yours wait for ever: {waiting}.")
    for rank in ranks:
        for index, each in enumerate(rank.operations):
            if each["kind"] in ("send", "recv") and index not in rank.arrived:
                fail("waits", f"With {world} ranks all of yours end, but {_named(each)} by rank {rank.number} has found no counterpart.")
    made = [sum(map(_is_collective, rank.operations)) for rank in ranks]
    if len(set(made)) > 1:
        fail("order", f"Rank {made.index(max(made))} makes {max(made)} collectives, and rank {made.index(min(made))} makes {min(made)}. "
                      "All ranks must make the same ones in the same order.")
    return Ran([rank.result for rank in ranks], [[(o["kind"], o["like"].numel(), o["peer"]) for o in rank.operations] for rank in ranks],
               [sum(o["like"].numel() * o["like"].element_size() for o in rank.operations if o["kind"] == "send") for rank in ranks],
               [_summed(rank.operations) for rank in ranks],
               [[len(_summed(rank.operations[:index])) for index, o in enumerate(rank.operations) if o["kind"] == "witness"] for rank in ranks],
               [rank.unwaited for rank in ranks])


def _summed(operations):
    return [each["like"].numel() for each in operations if each["kind"] == "all_reduce" and each["like"].dtype == torch.float64]


class _Rank:
    """A rank as the carrier knows it. arrived: by an operation's number, what it has brought; given: how many of those it has been told;
    foreseen: the numbers of the broadcasts that it has been told ahead. kinds, total: the summary of its operations. unwaited: as Ran has it."""

    def __init__(self, number):
        self.number, self.operations, self.arrived, self.waits, self.done, self.result = number, [], {}, None, False, None
        self.plays, self.given, self.foreseen, self.kinds, self.total, self.bytes, self.unwaited = 0, 0, set(), "", 0.0, 0, []

    def can_go_on(self):
        return not self.done and (not self.plays or self.waits in self.arrived)

    def fresh(self):
        """What has arrived since it was last asked."""
        given, self.given = self.given, len(self.arrived)
        return [list(each) for each in list(self.arrived.items())[given:]]

    def coming(self, ranks, marks):
        """The broadcasts that their roots have made already and this rank hasn't: [number of the collective, root, tensor]."""
        made, coming = sum(map(_is_collective, self.operations)), []
        for root in ranks:
            for number, each in enumerate(filter(_is_collective, root.operations)):
                if each["kind"] == "broadcast" and each["peer"] == root.number != self.number and number >= made and number not in self.foreseen:
                    self.foreseen.add(number)
                    coming.append([number, root.number, _marked(each["like"], marks.get("broadcast"))])
        return coming

    def take(self, said, world):
        """Keep what a play said; returns a sentence when it isn't what a play of the same rank can say."""
        said = said if isinstance(said, dict) else {}
        new, waits, known, unwaited = said.get("operations"), said.get("waits"), said.get("known"), said.get("unwaited")
        if not isinstance(new, list) or not all(_is_operation(each, self.number, world) for each in new) or not _is_summary(known) \
                or not (waits is None or type(waits) is int and 0 <= waits < len(new) + len(self.operations) and said.get("result") is None) \
                or said.keys() - {"operations", "waits", "known", "unwaited", "result"} \
                or not isinstance(unwaited, list) or not all(type(each) is int and 0 <= each < len(new) + len(self.operations) for each in unwaited):
            return "What your ranks say to each other doesn't follow the format."
        self.bytes += sum(each["like"].numel() * each["like"].element_size() for each in new)
        if len(new) + len(self.operations) > OPERATIONS or self.bytes > BYTES:
            return f"Rank {self.number} makes more than {OPERATIONS:,} operations, or sends more than {BYTES:,} bytes: does a loop not end?"
        if known[0] != self.kinds or not math.isclose(known[1], self.total, rel_tol=1e-9, abs_tol=1e-9):
            return (f"Rank {self.number} does something else when it is run again with the same seed and the same messages. "
                    "It must depend on nothing but its arguments. Does it use what a `dist.irecv` brings, before anybody has waited for it?")
        self.plays += 1
        if self.plays > PLAYS:
            return f"Rank {self.number} waits more than {PLAYS:,} times."
        kinds, total = summary(new)
        self.operations += new
        self.kinds, self.total = f"{self.kinds} {kinds}".strip(), self.total + total
        self.waits, self.done, self.result, self.unwaited = waits, waits is None, said.get("result"), unwaited
        return None

    def waits_early(self):
        return not self.done and self.operations[self.waits]["kind"] == "all_reduce" and not any(
            each["kind"] == "witness" for each in self.operations)

    def state(self):
        if self.done:
            return "has ended"
        operation = self.operations[self.waits]
        if operation["kind"] == "witness":
            return "is in the middle of its backward pass, and has launched no all-reduce yet"
        return f"waits for {_named(operation)} (operation {self.waits + 1}, {tuple(operation['like'].shape)})"


def _named(operation):
    return NAMES[operation["kind"]].format(peer=operation["peer"])


def _is_operation(each, rank, world):
    """Whether it has the form of an operation of this rank; another hand may have made it."""
    if not isinstance(each, dict) or not all(type(each.get(key)) is kind for key, kind in
                                             (("kind", str), ("peer", int), ("tag", int), ("reduction", str), ("like", torch.Tensor))):
        return False
    reduces, to_one = each["kind"] in ("all_reduce", "reduce"), each["kind"] in ("send", "recv", "reduce", "broadcast")
    return each["kind"] in {*NAMES, "witness"} and each["reduction"] in (REDUCTIONS if reduces else {""}) \
        and (0 <= each["peer"] < world if to_one else each["peer"] == -1) and not (each["kind"] in ("send", "recv") and each["peer"] == rank)


def _is_summary(known):
    return isinstance(known, list) and len(known) == 2 and type(known[0]) is str and type(known[1]) is float


def _fits(one, other):
    return one["like"].numel() == other["like"].numel() and one["like"].dtype == other["like"].dtype


def _marked(tensor, marks):
    """marks: (factor, mark), or None where the kind of operation bears none."""
    return tensor * marks[0] + marks[1] if marks and tensor.is_floating_point() else tensor


def _carry_messages(ranks, marks, fail):
    """Hand over each message that is sent and received; yields True for each."""
    for sender in ranks:
        for receiver in ranks:
            ends = lambda rank, kind, peer: [index for index, each in enumerate(rank.operations)
                                             if each["kind"] == kind and each["peer"] == peer.number]
            tags = dict.fromkeys(sender.operations[index]["tag"] for index in ends(sender, "send", receiver))
            for tag in tags:
                pairs = zip(*([index for index in ends(rank, kind, peer) if rank.operations[index]["tag"] == tag]
                              for rank, kind, peer in ((sender, "send", receiver), (receiver, "recv", sender))))
                for sent, taken in pairs:
                    if sent not in sender.arrived:
                        one, other = sender.operations[sent], receiver.operations[taken]
                        if not _fits(one, other):
                            fail("fit", f"With {len(ranks)} ranks, rank {sender.number} sends {_size(one)} to rank {receiver.number}, "
                                        f"which has room for {_size(other)}.")
                        sender.arrived[sent], receiver.arrived[taken] = [], [_marked(one["like"], marks.get("recv"))]
                        yield True


def _size(operation):
    return f"{operation['like'].numel()} numbers of {str(operation['like'].dtype).removeprefix('torch.')}"


def _carry_collectives(ranks, marks, held, fail):
    """Bring those collectives to an end that all ranks have launched; yields True for each."""
    collectives = [[index for index, each in enumerate(rank.operations) if _is_collective(each)] for rank in ranks]
    for count, indices in enumerate(zip(*collectives), 1):
        if indices[0] in ranks[0].arrived:
            continue
        operations = [rank.operations[index] for rank, index in zip(ranks, indices)]
        for rank, other in zip(ranks, operations):
            one = operations[0]
            if any(one[key] != other[key] for key in ("kind", "peer", "reduction")) or not _fits(one, other):
                fail("order", f"The ranks' collectives don't fit each other. As collective number {count}, rank 0 makes {_named(one)} of "
                              f"{_size(one)}, and rank {rank.number} {_named(other)} of {_size(other)}. All ranks must make the same ones "
                              "in the same order.")
        if held and operations[0]["kind"] == "all_reduce" and not all(any(each["kind"] == "witness" for each in rank.operations) for rank in ranks):
            continue
        kind, stacked = operations[0]["kind"], torch.stack([each["like"].flatten() for each in operations])
        for rank, index in zip(ranks, indices):
            rank.arrived[index] = [_marked(each, marks.get(kind)) for each in _outcome(kind, operations[0], stacked, rank.number)]
        yield True


def _outcome(kind, operation, stacked, rank):
    if kind == "all_reduce" or kind == "reduce" and operation["peer"] == rank:
        return [REDUCTIONS[operation["reduction"]](stacked).to(stacked.dtype)]
    if kind == "broadcast" and operation["peer"] != rank:
        return [stacked[operation["peer"]]]
    return list(stacked) if kind == "all_gather" else []


def _give_witness(ranks, witness):
    """Give out the number to each rank that has launched an all-reduce before it asked; yields True for each."""
    for rank in ranks:
        kinds = [each["kind"] for each in rank.operations]
        for index, kind in enumerate(kinds):
            if kind == "witness" and index not in rank.arrived and "all_reduce" in kinds[:index]:
                rank.arrived[index] = [torch.as_tensor(witness, dtype=torch.float64)]
                yield True
