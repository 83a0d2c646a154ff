"""Nets that the course trains itself, once: weights kept in the cache folder, and trained again where they aren't as they were written."""

import hashlib

import torch

from course_lib.data import cache_dir
from course_lib.files import whole


def kept(name, recipe, net, train):
    """Load the weights of `net` from the cache folder, or make them by train(net) → trained net, and keep them. Returns the net.

    name: what the file's name begins with. recipe: a string of all that the weights depend on; another recipe is another file.
    The file holds a checksum of its weights, and is written whole or not at all, also by two processes at once.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load, save
    path = cache_dir() / f"{name}-{hashlib.sha256((recipe + torch.__version__).encode()).hexdigest()[:12]}.weights"
    try:
        checksum, _, weights = path.read_bytes().partition(b"\n")
        if checksum != hashlib.sha256(weights).hexdigest().encode():
            raise ValueError("half written or damaged")
        net.load_state_dict(load(weights))
    except (OSError, ValueError, RuntimeError, SafetensorError):  # not there, or not as it was written: train it again
        net = train(net)
        weights = save(net.state_dict())
        try:
            with whole(path) as unfinished:
                unfinished.write_bytes(hashlib.sha256(weights).hexdigest().encode() + b"\n" + weights)
        except OSError:
            pass  # a full or read-only disk: it is trained once a process
    return net
