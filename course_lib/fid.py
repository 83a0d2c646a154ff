"""FID, the distance of drawn pictures from real ones that papers quote; and features for a distance of that kind where it can't be had.

FID is torchmetrics', and needs one file, the weights of its Inception net, downloaded once. The features are those of another net that
knows ImageNet and comes with the course: they need no network, and their distance can be held against nothing that was published.
"""

import functools
import hashlib
from pathlib import Path

import torch
import torch.nn.functional as F

from course_lib import data, pretrained
from course_lib.pretrained import Missing

# Of the file that torch-fidelity names, and unpickles without looking at it: none other may get that far.
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
SEEN_AT = 64  # pixels that EfficientNet-Lite0 is shown; its own 224 take ten times as long


def fid(drawn, real, batch=100):
    """The Fréchet Inception distance (Heusel et al. 2017) between images drawn (n, c, h, w) and real (m, c, h, w), smaller is better.

    In [−1, 1], c 1 or 3: grey ones are shown in three equal colours. Pixels are rounded to 256 values and enlarged to 299×299 as TensorFlow
    did in 2015 (torchmetrics' antialias=False, not its default), so that it can be held against papers, which take n of 10,000 or 50,000.
    The net runs on the device of `drawn`. Raises Missing where a package or the weights can't be had.
    """
    FrechetInceptionDistance, address = _torchmetrics()
    weights(address)  # where torch-fidelity looks for them
    metric = FrechetInceptionDistance(antialias=False).to(drawn.device)
    for images, are_real in ((drawn, False), (real, True)):
        for part in images.to(drawn.device).split(batch):
            metric.update(((part + 1) * 127.5).round().clamp(0, 255).byte().expand(-1, 3, -1, -1), real=are_real)
    return metric.cpu().compute().item()  # on the CPU: not every build for GPUs has eigenvalues of matrices that aren't symmetric


def _torchmetrics():
    """(torchmetrics' FrechetInceptionDistance, where its weights are downloaded from). Raises Missing."""
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3
        from torchmetrics.image.fid import FrechetInceptionDistance
    except ImportError as error:
        raise Missing(f"FID needs the packages torchmetrics and torch-fidelity, and {(error.name or 'one of them').partition('.')[0]} isn't installed here: `make setup` "
                      "installs both, and so does `pip install torchmetrics==1.9.0 torch-fidelity==0.3.0`.") from error
    return FrechetInceptionDistance, URL_INCEPTION_V3


def weights(address):
    """The file with the weights of FID's Inception net, in torch.hub's folder; downloaded from `address` the first time. Raises Missing."""
    path = Path(torch.hub.get_dir(), "checkpoints", address.rpartition("/")[2])
    by_hand = f"On a machine with a network get {address} (96 MB), and put it here as {path}."
    if not path.is_file():
        if refusal := data._no_answer_from(address):
            raise Missing(f"FID needs the weights of its Inception net, and there is {refusal}. {by_hand}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(address, str(path), SHA256)
        except (OSError, RuntimeError) as error:
            raise Missing(f"FID needs the weights of its Inception net, and the download was broken off: {error}. {by_hand}") from error
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise Missing(f"{path} isn't the file that FID needs, or only a part of it. Delete it, and it is downloaded again.")
    return path


@functools.lru_cache
def _lite0(device):
    return pretrained.efficientnet_lite0()[:-2].to(device).requires_grad_(False)  # without the last 1,280 channels, and the head


@torch.no_grad()
def lite0_features(images, batch=250):
    """What EfficientNet-Lite0 sees of images (n, 1 or 3, h, w) in [−1, 1], on their device: (n, 320) on the CPU, means over places of its
    last stage, for frechet.frechet_distance. Raises Missing where its package isn't installed."""
    net = _lite0(str(images.device))
    shown = lambda part: F.interpolate((part / 2 + 0.5).expand(-1, 3, -1, -1), (SEEN_AT, SEEN_AT), mode="bilinear")
    return torch.cat([net(shown(part)).mean((2, 3)).cpu() for part in images.split(batch)])
