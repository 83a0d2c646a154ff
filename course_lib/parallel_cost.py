"""What a step of data-parallel training should take: a few formulas, each with its source, to hold against measurements.

    step = Step(forward=0.02, backward=0.04, sizes=(4096, 16_000_000, 4096))
    naive_ddp(step, LINKS["PCIe"], devices=8)      # seconds

Seconds and bytes throughout. Left out: inputs, outputs and losses, which are small; the optimiser's own step, which is the same
everywhere; devices that aren't equally fast; communication that takes compute away from the device. So the predictions are too good,
above all on CPUs, where the same cores compute and send.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Link:
    """What connects the devices. bandwidth: bytes a second, in each direction. latency: seconds for a message, however small.
    call: seconds until a collective begins. source: where the figures are from."""

    bandwidth: float
    latency: float
    call: float = 0.0
    source: str = ""

    def message(self, size):
        """Seconds for a message of `size` bytes (the model of Hockney, 1994: a latency and a rate)."""
        return self.latency + size / self.bandwidth


# Latencies: NCCL's own constants for its ring and large messages, as torch._inductor.comm_analysis has them (baseLat, hwLat).
LINKS = {
    "NVLink 3": Link(300e9, 3.4e-6, 8.4e-6, "nominal: 600 GB/s in both directions together (NVIDIA A100); latency from NCCL's constants"),
    "PCIe": Link(10e9, 5.7e-6, 8.4e-6, "what torch._inductor.comm_analysis reckons with without NVLink; nominal for 3.0 ×16: 16 GB/s"),
    "10 Gbit Ethernet": Link(1.25e9, 50e-6, 0.0, "nominal rate; the latency is assumed"),
}


@dataclass(frozen=True)
class Step:
    """A step of training on a device by itself. forward, backward: seconds. sizes: bytes of each parameter, in the order of
    net.parameters(). python: those seconds of `forward` in which the interpreter is busy, and only one thread can be."""

    forward: float
    backward: float
    sizes: tuple
    python: float = 0.0

    @property
    def compute(self):
        return self.forward + self.backward

    @property
    def size(self):
        return sum(self.sizes)

    def part(self, devices):
        """The step when the batch is split among `devices`: in proportion, but the interpreter's work stays what it is."""
        return replace(self, forward=max(self.forward / devices, self.python), backward=self.backward / devices)


def ring_all_reduce(size, link, devices):
    """2(N − 1) steps, in each of which every device sends a chunk of size/N to its neighbour (Patarasuk & Yuan, "Bandwidth optimal
    all-reduce algorithms for clusters of workstations", 2009). For large tensors 2(N − 1)/N · size/bandwidth: once size/bandwidth for two devices, and less than twice for any number."""
    return link.call + 2 * (devices - 1) * link.message(size / devices) if devices > 1 else 0.0


def star(sizes, link, devices):
    """Each tensor from one device to each of the others, one after the other over that device's link: N − 1 messages a tensor. The way
    back, where the others' tensors are summed there, takes as long."""
    return (devices - 1) * sum(link.message(size) for size in sizes)


def data_parallel(step, link, devices, backward_at_once=True):
    """nn.DataParallel as the lesson builds it: the parameters to all, one by one (torch's packs small ones together), forward, backward, the
    gradients back to device 0.

    All forward passes share one interpreter. backward_at_once: autograd has a thread for each GPU; for CPUs it has one in all (then
    `backward` is done once for each device).
    """
    forward = max(step.forward, devices * step.python)
    backward = step.backward * (1 if backward_at_once else devices)
    return forward + backward + 2 * star(step.sizes, link, devices)


def naive_ddp(step, link, devices):
    """A process for each device; after the backward pass a ring all-reduce for each parameter, one after the other."""
    return step.compute + sum(ring_all_reduce(size, link, devices) for size in step.sizes)


def bucketed_ddp(step, link, devices, buckets, overlap=True):
    """As naive_ddp with a ring all-reduce for each bucket, which begins when its gradients are there and the one before is through
    (Li et al., "PyTorch Distributed: Experiences on Accelerating Data Parallel Training", VLDB 2020, section 3.2); without `overlap`
    all begin after the backward pass.

    buckets: lists of positions in step.sizes, in the order in which they leave. The time of the backward pass is spread over the
    parameters as their bytes are: right for linear layers, rough for convolutions.
    """
    there, end, whole = 0, 0.0, step.size
    for bucket in buckets:
        size = sum(step.sizes[position] for position in bucket)
        there += size
        ready = step.forward + step.backward * there / whole if overlap else step.compute
        end = max(ready, end) + ring_all_reduce(size, link, devices)
    return max(end, step.compute)


def ceiling_of_data_parallel(step, link):
    """How many times as fast as one device DataParallel is in the limit of ever more devices, each with a batch of its own:
    compute / (2 k + python), where k is the time to send all parameters once. What `data_parallel` gives, for N → ∞."""
    serial = 2 * star(step.sizes, link, 2) + step.python
    return step.compute / serial if serial else float("inf")


def link_from_times(small, large, size, devices):
    """The link on which a ring all-reduce of next to nothing takes `small` seconds and one of `size` bytes `large`."""
    steps = 2 * (devices - 1)
    return Link(steps * size / devices / max(large - small, 1e-9), small / steps, 0.0, "measured here")
