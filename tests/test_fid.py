"""FID and its neighbour: torchmetrics' whole way with an untrained Inception, what is said when something is missing, and order among pictures."""

import builtins
import hashlib

import pytest
import torch
from torch import nn
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
from torchmetrics.image.fid import FrechetInceptionDistance

from course_lib import data, fid, frechet
from course_lib.data import load_images

NO_ANSWER = "no answer from its server: there is no network"


def pictures(n, channels=1, seed=0, size=28):
    return torch.rand(n, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """torch.hub's folder, empty, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(data, "_no_answer_from", lambda address: NO_ANSWER)
    return tmp_path / "hub" / "checkpoints"


def of_few(a, b):
    """The Fréchet distance of fewer points than dimensions, without a matrix of dimensions: with the centred points X and Y as rows,
    tr (XᵀX YᵀY)^½ is the sum of the singular values of XYᵀ."""
    x, y = ((points - points.mean(0)).double() / (len(points) - 1) ** 0.5 for points in (a, b))
    return ((a.double().mean(0) - b.double().mean(0)).square().sum() + x.square().sum() + y.square().sum() - 2 * torch.linalg.svdvals(x @ y.T).sum()).item()


def test_our_frechet_distance_is_that_of_torchmetrics():
    a, b = torch.randn(40, 5, generator=torch.Generator().manual_seed(0)), 1 + 2 * torch.rand(30, 5, generator=torch.Generator().manual_seed(1))
    flat = nn.Flatten()
    flat.num_features = 5
    metric = FrechetInceptionDistance(feature=flat, normalize=True)
    metric.update(a[:25], real=True)
    metric.update(a[25:], real=True)
    metric.update(b, real=False)
    assert metric.compute().item() == pytest.approx(frechet.frechet_distance(a, b), rel=1e-5)
    assert of_few(a[:4], b[:5]) == pytest.approx(frechet.frechet_distance(a[:4], b[:5]), rel=1e-6)


def draw_weights(net, _):
    """In the place of load_state_dict: weights that keep the size of what passes."""
    torch.manual_seed(3)
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)


def test_fid_is_the_distance_in_what_an_inception_sees(folder, monkeypatch):
    """The whole way of fid() but for the weights, which are drawn."""
    path = folder / URL_INCEPTION_V3.rpartition("/")[2]
    folder.mkdir(parents=True)
    torch.save({}, path)
    monkeypatch.setattr(fid, "SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", draw_weights)
    drawn, real = pictures(4), pictures(3, seed=1) ** 3
    got, net = fid.fid(drawn, real, batch=3), FeatureExtractorInceptionV3("inception-v3-compat", ["2048"]).eval()
    levels = lambda images: torch.tensor([min(255, int((x + 1) / 2 * 255 + 0.5)) for x in images.flatten().tolist()], dtype=torch.uint8)
    seen = [net(levels(images).reshape(images.shape).repeat(1, 3, 1, 1))[0] for images in (drawn, real)]
    assert seen[0].shape == (4, 2048) and 1 < of_few(*seen) == pytest.approx(got, rel=1e-3)


def test_without_a_network_fid_says_where_the_weights_belong(folder):
    with pytest.raises(fid.Missing) as missing:
        fid.fid(pictures(2), pictures(2))
    said = str(missing.value)
    assert NO_ANSWER in said and URL_INCEPTION_V3 in said and str(folder / URL_INCEPTION_V3.rpartition("/")[2]) in said
    assert not folder.exists()


def test_a_download_that_breaks_off_is_said(folder, monkeypatch):
    def broken(*_):
        raise OSError("connection reset")

    monkeypatch.setattr(data, "_no_answer_from", lambda address: None)
    monkeypatch.setattr(torch.hub, "download_url_to_file", broken)
    with pytest.raises(fid.Missing, match="connection reset.*put it here"):
        fid.weights(URL_INCEPTION_V3)


def test_only_the_very_file_is_opened(folder, monkeypatch):
    folder.mkdir(parents=True)
    path = folder / URL_INCEPTION_V3.rpartition("/")[2]
    path.write_bytes(b"half of it")
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(fid.Missing, match="Delete it"):
        fid.fid(pictures(2), pictures(2))
    monkeypatch.setattr(fid, "SHA256", hashlib.sha256(b"half of it").hexdigest())
    assert fid.weights(URL_INCEPTION_V3) == path
    assert URL_INCEPTION_V3.endswith("-6726825d.pth")  # the first digits of the checksum that the course has, by torch.hub's custom


@pytest.mark.parametrize("package", ["torch_fidelity", "torchmetrics"])
def test_a_missing_package_is_named(package, monkeypatch):
    def without(name, *rest, imported=builtins.__import__):
        if name.partition(".")[0] == package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(fid.Missing, match=f"{package} isn't installed here: `make setup`.*pip install"):
        fid.fid(pictures(2), pictures(2))


def test_the_other_distance_ranks_what_is_nearer_to_real_pictures():
    train, test = (2 * load_images("digits", split, limit=60).images - 1 for split in ("train", "test"))
    noise = torch.randn(test.shape, generator=torch.Generator().manual_seed(0))
    same, noisy, nothing = (frechet.frechet_distance(fid.lite0_features(each), fid.lite0_features(test)) for each in (train, (train + 0.5 * noise).clamp(-1, 1), 0 * train))
    assert same < 0.7 * noisy and noisy < nothing
    assert fid.lite0_features(test[:3]).shape == (3, 320)
    assert torch.allclose(fid.lite0_features(test[:3]), fid.lite0_features(test[:3].expand(-1, 3, -1, -1)), atol=1e-4)
