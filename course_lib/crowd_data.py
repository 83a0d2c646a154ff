"""Photographs of real crowds with every head marked: ShanghaiTech A and B, and WorldExpo'10.

Their authors give them out, so nothing is downloaded: `$COURSE_DATA` names the folder that holds them as they were
unpacked, or one up to two folders above. An image is read when it is asked for, one at a time.

    part_A_final/train_data/images/IMG_1.jpg           train_frame/<frame>.jpg, test_frame/<scene>/<frame>.jpg
    part_A_final/train_data/ground_truth/GT_IMG_1.mat  train_label/<scene>/<frame>.mat, train_label/<scene>/roi.mat, …
    part_A_final/test_data/…, part_B_final/…           train_perspective/<scene>.mat, … (these may be missing)

Labels are MATLAB files. scipy 1.10's `loadmat` isn't asked to read them: one wrong byte in a file of 424 ended the whole
process in 2 of 96 tries. `course_lib.matfile` knows numbers, cells and structs, and refuses everything else.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from course_lib.data import IMAGE_SUFFIXES, SPLITS, DataError
from course_lib.matfile import read_mat

__all__ = ["CrowdImage", "CrowdImages", "read_mat", "shanghaitech", "worldexpo"]



@dataclass(frozen=True, eq=False, repr=False)
class CrowdImage:
    """A photograph and the heads in it that count.

    image: (3, h, w) float32 in [0, 1]; of a grey photograph all channels are the same.
    heads: (k, 2) float64, (x, y) in pixels, x to the right and y down; the first pixel covers 0 ≤ x < 1, 0 ≤ y < 1.
    left_out: how many heads are marked outside the image or the region of interest. They don't count.
    roi: (h, w) bool, the region of interest, or None where that is the whole image.
    perspective: (h, w) float32, the pixels that a metre takes up at each place, or None.
    """

    name: str
    scene: str
    image: torch.Tensor
    heads: torch.Tensor
    left_out: int
    roi: torch.Tensor | None
    perspective: torch.Tensor | None

    def __repr__(self):
        _, height, width = self.image.shape
        return f"<{self.name}, scene {self.scene}: {height}×{width}, {len(self.heads):,} heads, {self.left_out} left out>"


class _Files(NamedTuple):
    photograph: Path
    label: Path
    scene: str
    roi: Path | None = None
    perspective: Path | None = None


@dataclass(frozen=True, eq=False, repr=False)
class CrowdImages(Sequence):
    """One split of a set. An index reads that `CrowdImage`; a slice is a smaller set, of which nothing is read yet.

    unlabelled: names of the frames that are left out, because the set has no labels for them.
    Reading raises DataError, which names the file, where one is missing, broken or of another form.
    """

    name: str
    split: str
    files: tuple[_Files, ...]
    unlabelled: tuple[str, ...] = ()

    @property
    def scenes(self):
        """The scene of each image."""
        return tuple(files.scene for files in self.files)

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return replace(self, files=self.files[index])
        try:
            return _read(self.files[index])
        except DataError as error:
            raise DataError(f"{error}. Put a sound copy in its place.") from None

    def __repr__(self):
        without = f", {len(self.unlabelled)} more without labels" if self.unlabelled else ""
        return f"<{self.name}, {self.split}: {len(self):,} images{without}; scenes: {', '.join(sorted(set(self.scenes)))}>"


def shanghaitech(part="A", split="train"):
    """ShanghaiTech (Zhang et al., CVPR 2016) as `CrowdImages`, in the order of the numbers. The part is the scene.

    part: "A" (from the web, sizes differ, some are grey; 300 / 182 images) or "B" (streets, 768×1024; 400 / 316).
    split: "train" or "test".
    Raises DataError where the set or one of its labels isn't there, ValueError for an argument that makes no sense.
    """
    if part not in ("A", "B"):
        raise ValueError(f"part={part!r}: ShanghaiTech has the parts 'A' and 'B'.")
    folder, photographs = _find(
        f"part_{part}*/{{}}_data/images",
        split,
        f"ShanghaiTech {part} comes from the authors of Single-image crowd counting via multi-column convolutional neural "
        "network (Zhang, Zhou, Chen, Gao, Ma; CVPR 2016). Set COURSE_DATA to the folder in which "
        f"part_{part}_final/{split}_data/ has images/IMG_1.jpg, ground_truth/GT_IMG_1.mat and so on.",
    )
    hyphened = folder.with_name("ground-truth")  # as one of the copies about has it
    labels = hyphened if hyphened.is_dir() else folder.with_name("ground_truth")
    files = tuple(_Files(p, labels / f"GT_{p.stem}.mat", part) for p in photographs)
    if missing := [f.label for f in files if not f.label.is_file()]:
        raise DataError(f"{missing[0]}: not there ({len(missing)} labels are missing). Unpack the whole set once more.")
    return CrowdImages(f"ShanghaiTech {part}", split, files)


def worldexpo(split="test"):
    """WorldExpo'10 (Zhang et al., CVPR 2015) as `CrowdImages`: frames of 576×720, scene by scene.

    split: "train" (3,380 frames of 103 cameras) or "test" (five other cameras, some 120 frames each).
    The benchmark counts within the region of interest: sum a predicted map over `roi` only.
    A label without a single head is taken at its word; a frame without a label is left out.
    Raises DataError where the set isn't there, ValueError for an argument that makes no sense.
    """
    folder, photographs = _find(
        "{}_frame",
        split,
        "WorldExpo'10 is given out on request by the authors of Cross-scene crowd counting via deep convolutional neural "
        "networks (Zhang, Li, Wang, Yang; CVPR 2015). Set COURSE_DATA to the folder that holds "
        f"{split}_frame with the images and {split}_label with <scene>/<frame>.mat and <scene>/roi.mat.",
    )
    labels = {p.stem: p for p in folder.with_name(f"{split}_label").glob("*/[!.]*.mat")}
    files = []
    for photograph in photographs:
        if label := labels.get(photograph.stem):
            scene, roi = label.parent.name, label.with_name("roi.mat")
            perspective = folder.with_name(f"{split}_perspective") / f"{scene}.mat"
            files.append(_Files(photograph, label, scene, roi, perspective if perspective.exists() else None))
    if not files:
        raise DataError(f"{folder}: {split}_label beside it has no <scene>/<frame>.mat for any frame in it.")
    files.sort(key=lambda f: f.scene)  # stable: the frames of a scene stay in order
    return CrowdImages(
        "WorldExpo'10", split, tuple(files), tuple(p.stem for p in photographs if p.stem not in labels)
    )


def _find(pattern, split, remedy):
    """The first folder of this pattern in $COURSE_DATA that holds images, and these in the order of their numbers."""
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: a set has the splits 'train' and 'test'.")
    pattern, chosen = pattern.format(split), os.environ.get("COURSE_DATA")
    if not chosen:
        raise DataError(f"COURSE_DATA isn't set. {remedy}")
    for above in ("", "*/", "*/*/"):
        for folder in sorted(Path(chosen).expanduser().glob(above + pattern)):
            if images := [p for p in folder.rglob("[!.]*") if p.suffix.lower() in IMAGE_SUFFIXES]:
                return folder, sorted(images, key=_numbered)
    raise DataError(f"There are no images in {pattern} under {chosen} ($COURSE_DATA). {remedy}")


def _numbered(path):
    """A key to sort by that puts IMG_2 before IMG_10."""
    return [int(part) if part.isdecimal() else part for part in re.split("([0-9]+)", path.name)]


# ---------------------------------------------------------------- one image


def _read(files):
    from PIL import Image

    try:
        with Image.open(files.photograph, formats=("JPEG", "PNG")) as photograph:
            pixels = np.array(photograph.convert("RGB"))
    except Exception as error:  # a damaged image can fail in any way
        raise DataError(f"{files.photograph}: not a whole JPEG or PNG image ({error or type(error).__name__})") from None
    size = pixels.shape[:2]

    # MATLAB counts from one: its first pixel has its centre at (1, 1) and ends at 1.5; here it ends at 1.
    heads = _marks(files) - 0.5
    counts = ((heads >= 0) & (heads < size[::-1])).all(1)
    roi = perspective = None
    if files.roi:
        roi = _read_roi(files.roi, size)
        column, row = heads[counts].astype(int).T
        counts[counts] = roi[row, column]
    if files.perspective:
        perspective = _matrix(files.perspective, "pMap", read_mat(files.perspective, "pMap")["pMap"])
        if perspective.shape != size:
            raise DataError(f"{files.perspective}: pMap has the shape {perspective.shape}, its image {size}")
    return CrowdImage(
        name=files.photograph.stem,
        scene=files.scene,
        image=torch.from_numpy(pixels).permute(2, 0, 1).float() / 255,
        heads=torch.from_numpy(heads[counts]),
        left_out=int((~counts).sum()),
        roi=None if roi is None else torch.from_numpy(roi),
        perspective=None if perspective is None else torch.from_numpy(perspective).float(),
    )


def _marks(files):
    """The heads as a label has them: (k, 2)."""
    name = "point_position" if files.roi else "image_info"
    value = read_mat(files.label, name)[name]
    if name == "image_info":
        while isinstance(value, list) and len(value) == 1:  # a struct in a cell
            (value,) = value
        if not isinstance(value, dict) or "location" not in value:
            raise DataError(f"{files.label}: image_info is no struct with a location")
        name, value = "location", value["location"]
    marks = _matrix(files.label, name, value)
    if marks.size == 0:  # MATLAB's []
        return np.empty((0, 2))
    if marks.ndim != 2 or marks.shape[1] != 2:
        raise DataError(f"{files.label}: {name} has the shape {marks.shape}, expected (heads, 2)")
    return marks


def _read_roi(path, size):
    """The pixels whose centres lie in a polygon or on its edge: (h, w) bool."""
    found = read_mat(path, "maskVerticesXCoordinates", "maskVerticesYCoordinates")
    xs, ys = (_matrix(path, name, value).ravel() for name, value in found.items())
    if len(xs) != len(ys) or len(xs) < 3:
        raise DataError(f"{path}: {len(xs)} x and {len(ys)} y coordinates don't make a polygon")
    y, x = np.ogrid[1 : size[0] + 1, 1 : size[1] + 1]
    inside, edge = np.zeros(size, bool), np.zeros(size, bool)
    for x0, y0, x1, y1 in zip(xs, ys, np.roll(xs, -1), np.roll(ys, -1)):
        side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        # Going right from a point inside, one crosses an odd number of sides.
        inside ^= ((y0 > y) != (y1 > y)) & ((side > 0) == (y1 > y0))
        edge |= (side == 0) & (x >= min(x0, x1)) & (x <= max(x0, x1)) & (y >= min(y0, y1)) & (y <= max(y0, y1))
    return inside | edge


def _matrix(path, name, value):
    if not isinstance(value, np.ndarray) or not np.isfinite(value).all():
        raise DataError(f"{path}: {name} isn't a matrix of finite numbers")
    return value
