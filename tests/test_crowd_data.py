"""The loaders of ShanghaiTech and WorldExpo'10, on small files written here in the sets' own layout: positions, counts and
regions against what was written, and every kind of missing, broken or hostile file."""

import struct
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from matplotlib.path import Path as Outline
from PIL import Image
from scipy.io import loadmat, savemat
from scipy.io.matlab import MatlabObject
from scipy.sparse import csc_matrix

from course_lib import matfile
from course_lib.crowd_data import shanghaitech, worldexpo
from course_lib.data import DataError
from course_lib.matfile import read_mat

H, W = 30, 40


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    return tmp_path


def photograph(path, mode="RGB", size=(W, H), seed=0):
    """A JPEG of noise. Returns what Pillow reads from it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, "JPEG")
    with Image.open(path) as image:
        return np.array(image)


def image_info(marks):
    """As MATLAB saves ShanghaiTech's image_info: a cell that holds a struct."""
    info = np.zeros((1, 1), dtype=[("location", object), ("number", object)])
    info["location"][0, 0], info["number"][0, 0] = np.array(marks), np.array([[len(marks)]], np.uint16)
    cell = np.empty((1, 1), object)
    cell[0, 0] = info
    return {"image_info": cell}


def write_shanghaitech(root, top="part_A_final", labels="ground_truth", marks=None, split="train", mode="RGB"):
    """marks: {number: positions as MATLAB counts them}. Returns {number: pixels}."""
    folder, written = root / top / f"{split}_data", {}
    for number, positions in (marks or {1: [[1.0, 1.0]]}).items():
        written[number] = photograph(folder / "images" / f"IMG_{number}.jpg", mode, seed=number)
        (folder / labels).mkdir(exist_ok=True)
        savemat(folder / labels / f"GT_IMG_{number}.mat", image_info(positions), do_compression=True)
    return written


SQUARE = [[5, 5], [30, 5], [30, 25], [5, 25]]  # from pixel 5 to pixel 30, as MATLAB counts them


def write_worldexpo(root, frames, split="test", roi=SQUARE, perspective=None):
    """frames: {scene: {frame: positions}}. The train split has all frames in one folder, as the set has."""
    for scene, of_scene in frames.items():
        labels = root / f"{split}_label" / scene
        labels.mkdir(parents=True)
        x, y = np.array(roi, float).T[:, :, None]
        savemat(labels / "roi.mat", {"maskVerticesXCoordinates": x, "maskVerticesYCoordinates": y})
        if perspective is not None:
            (root / f"{split}_perspective").mkdir(exist_ok=True)
            savemat(root / f"{split}_perspective" / f"{scene}.mat", {"pMap": perspective})
        for frame, positions in of_scene.items():
            photograph(root / f"{split}_frame" / (scene if split == "test" else "") / f"{frame}.jpg")
            if positions is not None:
                label = {"point_num": len(positions), "point_position": np.array(positions)}
                savemat(labels / f"{frame}.mat", label)


# ---------------------------------------------------------------- what is read


@pytest.mark.parametrize("top", ["part_A_final", "part_A", "ShanghaiTech/part_A", "data/ShanghaiTech/part_A_final"])
@pytest.mark.parametrize("labels", ["ground_truth", "ground-truth"])
def test_shanghaitech_gives_back_what_was_written(root, top, labels):
    marks = {10: [[3.25, 4.5], [39.75, 29.5]], 9: [[20.0, 10.0]], 1: np.empty((0, 2))}
    written = write_shanghaitech(root, top, labels, marks)
    crowds = shanghaitech("A", "train")
    assert [crowd.name for crowd in crowds] == ["IMG_1", "IMG_9", "IMG_10"]
    for number, crowd in zip((1, 9, 10), crowds):
        assert crowd.image.dtype == torch.float32 and crowd.heads.dtype == torch.float64
        assert np.array_equal((crowd.image * 255).round().byte().permute(1, 2, 0), written[number])
        assert np.array_equal(crowd.heads, np.array(marks[number]) - 0.5)
        assert crowd.scene == "A" and crowd.left_out == 0 and crowd.roi is None and crowd.perspective is None


def test_parts_and_splits_are_kept_apart(root):
    for part in "AB":
        for split in ("train", "test"):
            number = 10 * "AB".index(part) + len(split)
            write_shanghaitech(root, f"part_{part}_final", marks={number: [[2.0, 3.0]]}, split=split)
            assert [crowd.name for crowd in shanghaitech(part, split)] == [f"IMG_{number}"]


def test_a_grey_photograph_has_three_equal_channels(root):
    written = write_shanghaitech(root, mode="L")
    image = shanghaitech()[0].image
    assert image.shape == (3, H, W) and torch.equal(image[0], image[1]) and torch.equal(image[0], image[2])
    assert np.array_equal((image[0] * 255).round().byte(), written[1])


def test_a_mark_on_a_pixel_is_found_in_that_pixel(root):
    """The white pixel in the last row and column is (W, H) to MATLAB, and its label leads to it here."""
    write_shanghaitech(root, marks={1: [[W, H]]})
    pixels = np.zeros((H, W), np.uint8)
    pixels[H - 1, W - 1] = 255
    Image.fromarray(pixels).save(root / "part_A_final" / "train_data" / "images" / "IMG_1.jpg", "PNG")
    crowd = shanghaitech()[0]
    x, y = crowd.heads[0].long()
    assert crowd.image[0, y, x] == 1 == crowd.image[0].max() and (crowd.image[0] == 1).sum() == 1


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(-20, 2 * W), st.integers(-20, 2 * H)), max_size=20))
def test_heads_outside_the_image_dont_count(root, marks):
    write_shanghaitech(root, marks={1: np.array(marks, np.int16).reshape(-1, 2)})
    inside = [(x - 0.5, y - 0.5) for x, y in marks if x in range(1, W + 1) and y in range(1, H + 1)]
    crowd = shanghaitech()[0]
    assert [tuple(head) for head in crowd.heads.tolist()] == inside and crowd.left_out == len(marks) - len(inside)


def test_images_are_read_one_at_a_time_when_asked_for(root):
    write_shanghaitech(root, marks={n: [[1.0, 2.0]] * n for n in (1, 2, 3)})
    crowds = shanghaitech()
    (root / "part_A_final" / "train_data" / "images" / "IMG_2.jpg").write_bytes(b"")
    assert len(crowds) == 3 and len(crowds[-1].heads) == 3 and crowds.scenes == ("A",) * 3
    last = crowds[1:]
    assert len(last) == 2 and last[1].name == "IMG_3"
    assert "3 images" in repr(crowds) and "IMG_3" in repr(last[1]) and "30×40, 3 heads" in repr(last[1])
    with pytest.raises(IndexError):
        crowds[3]


def test_worldexpo_counts_within_the_region_of_interest(root):
    marks = [[5, 5], [30, 25], [4, 10], [20, 26], [17, 12], [W + 1, 12]]
    perspective = np.linspace(1, 9, H)[:, None] * np.ones(W)
    write_worldexpo(root, {"200608": {"200608_b": marks, "200608_a": np.empty((0, 0))}, "104207": {"104207_x": marks[:1]}},
                    perspective=perspective)  # fmt: skip
    crowds = worldexpo()
    assert crowds.scenes == ("104207", "200608", "200608")
    assert [crowd.name for crowd in crowds] == ["104207_x", "200608_a", "200608_b"]
    crowd = crowds[2]
    assert crowd.heads.tolist() == [[4.5, 4.5], [29.5, 24.5], [16.5, 11.5]] and crowd.left_out == 3
    expected = torch.zeros(H, W, dtype=torch.bool)
    expected[4:25, 4:30] = True
    assert torch.equal(crowd.roi, expected) and crowd.scene == "200608"
    assert np.allclose(crowd.perspective, perspective) and crowd.perspective.dtype == torch.float32
    assert crowds[1].heads.shape == (0, 2) and crowds[1].left_out == 0


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**6))
def test_the_region_is_the_polygon(tmp_path_factory, monkeypatch, seed):
    """Against matplotlib's point-in-polygon test; on the edge itself, both may be right."""
    root = tmp_path_factory.mktemp("expo")
    monkeypatch.setenv("COURSE_DATA", str(root))
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 7))
    polygon = [W / 2, H / 2] + rng.uniform(6, 24, (7, 1)) * np.stack([np.cos(angle), np.sin(angle)], 1)
    write_worldexpo(root, {"s": {"f": [[W // 2, H // 2]]}}, roi=polygon)
    roi = worldexpo()[0].roi.numpy()
    centres = np.stack(np.meshgrid(np.arange(W) + 1.0, np.arange(H) + 1.0), -1)  # as MATLAB counts them
    inside = Outline(polygon, closed=False).contains_points(centres.reshape(-1, 2)).reshape(H, W)
    start, along = polygon[:, None, None], (np.roll(polygon, -1, 0) - polygon)[:, None, None]
    t = (((centres - start) * along).sum(-1) / (along**2).sum(-1)).clip(0, 1)
    far = np.linalg.norm(centres - start - t[..., None] * along, axis=-1).min(0) > 1e-9
    assert np.array_equal(roi[far], inside[far])


def test_the_train_split_has_its_frames_in_one_folder(root):
    write_worldexpo(root / "WorldExpo" / "train", {"2": {"2_a": [[9, 9]]}, "1": {"1_b": [[9, 9]] * 2}}, split="train")
    crowds = worldexpo("train")
    assert crowds.scenes == ("1", "2") and [len(crowd.heads) for crowd in crowds] == [2, 1]
    assert crowds[0].perspective is None


def test_a_frame_without_a_label_is_left_out_and_named(root):
    write_worldexpo(root, {"104207": {"a": [[9, 9]], "b": None}})
    crowds = worldexpo()
    assert len(crowds) == 1 and crowds.unlabelled == ("b",) and "1 more without labels; scenes: 104207" in repr(crowds)


def test_what_a_mac_leaves_in_an_archive_is_no_image(root):
    write_shanghaitech(root)
    (root / "part_A_final" / "train_data" / "images" / "._IMG_1.jpg").write_bytes(b"\0\5\x16\7")
    other = root / "__MACOSX" / "part_A_final" / "train_data" / "images"
    other.mkdir(parents=True)
    (other / "._IMG_1.jpg").write_bytes(b"\0\5\x16\7")
    assert len(shanghaitech()) == 1


NUMBERS = hnp.arrays(
    st.sampled_from(["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "?"]).map(np.dtype),
    hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=5),
)


@settings(deadline=None, max_examples=60)
@given(a=NUMBERS, b=NUMBERS, packed=st.booleans())
def test_matlab_files_are_read_as_scipy_reads_them(tmp_path_factory, a, b, packed):
    path = tmp_path_factory.mktemp("mat") / "f.mat"
    cell = np.empty((1, 2), object)
    cell[0, 0], cell[0, 1] = a, b
    savemat(path, {"a": a, "text": "skipped", "s": {"a": a, "field": b}, "cell": cell}, do_compression=packed)
    ours, theirs = read_mat(path, "a", "s", "cell"), loadmat(path)
    pairs = [(ours["a"], theirs["a"]), (ours["s"]["a"], theirs["s"]["a"].item())]
    pairs += [(ours["s"]["field"], theirs["s"]["field"].item()), *zip(ours["cell"], theirs["cell"][0])]
    for mine, reference in pairs:
        assert mine.dtype == np.float64 and np.array_equal(mine, reference, equal_nan=True)
        assert mine.shape == reference.shape


# ---------------------------------------------------------------- what is missing


@pytest.mark.parametrize("load, paper", [(shanghaitech, "multi-column"), (worldexpo, "Cross-scene crowd counting")])
@pytest.mark.parametrize("chosen", [None, "", "empty", "nowhere"])
def test_a_set_that_isnt_there_is_explained(tmp_path, monkeypatch, load, paper, chosen):
    monkeypatch.delenv("COURSE_DATA", raising=False)
    (tmp_path / "empty").mkdir()
    if chosen is not None:
        monkeypatch.setenv("COURSE_DATA", chosen and str(tmp_path / chosen))
    with pytest.raises(DataError, match=f"{chosen or 'COURSE_DATA isn.t set'}.*{paper}.*CVPR.*Set COURSE_DATA to"):
        load()


def test_arguments_that_make_no_sense(root):
    for load, wrong in ((shanghaitech, {"part": "C"}), (shanghaitech, {"split": "val"}), (worldexpo, {"split": "dev"})):
        with pytest.raises(ValueError, match=repr(*wrong.values())):
            load(**wrong)


def test_missing_labels_are_named(root):
    write_shanghaitech(root, marks={1: [[1.0, 1.0]], 2: [[1.0, 1.0]]})
    (root / "part_A_final" / "train_data" / "ground_truth" / "GT_IMG_2.mat").unlink()
    with pytest.raises(DataError, match=r"GT_IMG_2.mat: not there \(1 label"):
        shanghaitech()
    write_worldexpo(root, {"s": {"a": None}})
    with pytest.raises(DataError, match="no <scene>/<frame>.mat"):
        worldexpo()


# ---------------------------------------------------------------- what is broken


def matrix(kind, name=b"", shape=(1, 1), contents=b"", order="<"):
    """A matrix of MATLAB's file format, from its description: flags, shape, name, and what follows."""
    body = struct.pack(order + "4I", 6, 8, kind, 0) + struct.pack(order + "2I2i", 5, 8, *shape)
    body += struct.pack(order + "2I", 1, len(name)) + name + b"\0" * (-len(name) % 8) + contents
    return struct.pack(order + "2I", 14, len(body)) + body


HEADER = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM"
LOCATION = struct.pack("<HHI2I", 5, 4, 9, 1, 9) + b"location".ljust(16, b"\0")  # a struct's only field
NO_NUMBERS = matrix(6, shape=(0, 0), contents=struct.pack("<2I", 9, 0))


def cells(depth):
    """A file of cells in cells. Each is as long as its head and all that is within it."""
    parts, length = [NO_NUMBERS], len(NO_NUMBERS)
    for level in range(depth):
        head = matrix(1, b"image_info" if level == depth - 1 else b"")[8:]
        parts.append(struct.pack("<2I", 14, len(head) + length) + head)
        length += len(parts[-1])
    return HEADER + b"".join(reversed(parts))


def struct_of(value):
    return lambda path: savemat(path, {"image_info": {"location": value}})


SPOILT_LABELS = {
    "empty": (lambda p: p.write_bytes(b""), "not to be read as a MATLAB file"),
    "half": (lambda p: p.write_bytes(p.read_bytes()[:200]), "not to be read as a MATLAB file.*ends too early"),
    "text": (lambda p: p.write_text("location\n1 2\n" * 30), "not to be read as a MATLAB file"),
    "version 7.3": (lambda p: p.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM" + bytes(400)), "7.3.*-v7"),
    "another variable": (lambda p: savemat(p, {"point_position": np.ones((2, 2))}), "has no image_info"),
    "no struct": (lambda p: savemat(p, {"image_info": np.ones((2, 2))}), "no struct with a location"),
    "another field": (lambda p: savemat(p, {"image_info": {"number": 3}}), "no struct with a location"),
    "two structs": (lambda p: savemat(p, {"image_info": np.zeros(2, [("location", object)])}), "2 members, expected 1"),
    "three columns": (struct_of(np.ones((4, 3))), r"location has the shape \(4, 3\)"),
    "three dimensions": (struct_of(np.ones((4, 2, 2))), r"location has the shape \(4, 2, 2\)"),
    "a struct for numbers": (struct_of({"x": 1.0, "y": 2.0}), "location isn't a matrix"),
    "not a number": (struct_of(np.full((4, 2), np.nan)), "location isn't a matrix of finite"),
    "text for numbers": (struct_of("here"), "something other than real numbers"),
    "complex": (struct_of(np.ones((4, 2)) * 1j), "something other than real numbers"),
    "sparse": (struct_of(csc_matrix(np.ones((4, 2)))), "something other than real numbers"),
    "an object": (lambda p: savemat(p, {"image_info": MatlabObject(np.zeros((1, 1), [("location", object)]), "Crowd")}),
                  "something other than real numbers"),
    "a function": (lambda p: p.write_bytes(HEADER + matrix(16, b"image_info", contents=NO_NUMBERS)), "something other than"),
    "opaque": (lambda p: p.write_bytes(HEADER + matrix(17, b"image_info", contents=NO_NUMBERS)), "something other than"),
    "a function in a struct": (lambda p: p.write_bytes(
        HEADER + matrix(2, b"image_info", contents=LOCATION + matrix(16, contents=NO_NUMBERS))), "something other than"),
    "cells in cells": (lambda p: p.write_bytes(cells(20_000)), "something other than"),
    "more cells than there are": (lambda p: p.write_bytes(HEADER + matrix(1, b"image_info", (2**30, 2**30))), "0 members"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILT_LABELS)
def test_spoilt_labels_are_named_and_refused(root, kind):
    spoil, says = SPOILT_LABELS[kind]
    write_shanghaitech(root)
    spoil(root / "part_A_final" / "train_data" / "ground_truth" / "GT_IMG_1.mat")
    with pytest.raises(DataError, match=f"GT_IMG_1.mat: .*{says}.*sound copy"):
        shanghaitech()[0]


def test_the_hand_written_format_is_sound(root):
    """So that the refusals above are of what they say: the same bytes with a matrix of numbers are read."""
    write_shanghaitech(root)
    label = root / "part_A_final" / "train_data" / "ground_truth" / "GT_IMG_1.mat"
    marks = matrix(6, shape=(1, 2), contents=struct.pack("<2I2d", 9, 16, 3.0, 4.0))
    label.write_bytes(HEADER + matrix(2, b"image_info", contents=LOCATION + marks))
    assert shanghaitech()[0].heads.tolist() == [[2.5, 3.5]]


def test_files_of_machines_that_write_the_high_byte_first(tmp_path):
    numbers = struct.pack(">2I6h", 3, 12, 1, 2, 3, -4, 5, 256) + bytes(4)
    (tmp_path / "f.mat").write_bytes(HEADER[:124] + b"\1\0MI" + matrix(10, b"pMap", (2, 3), numbers, ">"))
    assert read_mat(tmp_path / "f.mat", "pMap")["pMap"].tolist() == [[1, 3, 5], [2, -4, 256]]
    assert np.array_equal(loadmat(tmp_path / "f.mat")["pMap"], [[1, 3, 5], [2, -4, 256]])


SPOILT_SCENES = {
    "no region": (lambda s: (s / "roi.mat").unlink(), "roi.mat: .*No such file"),
    "no polygon": (lambda s: savemat(s / "roi.mat", {f"maskVertices{a}Coordinates": np.ones(2) for a in "XY"}),
                   "roi.mat: 2 x and 2 y coordinates"),
    "half a polygon": (lambda s: savemat(s / "roi.mat", {"maskVerticesXCoordinates": np.ones(4)}), "roi.mat: has no .*Y"),
    "positions as text": (lambda s: savemat(s / "f.mat", {"point_position": "none"}), "f.mat: .*point_position holds some"),
    "positions in a row": (lambda s: savemat(s / "f.mat", {"point_position": np.ones((1, 6))}), r"shape \(1, 6\)"),
    "an unpacked giant": (lambda s: savemat(s / "f.mat", {"point_position": np.zeros((2**16, 2))}, do_compression=True),
                          "f.mat: .*over 100,000 bytes"),
    "another's perspective": (lambda s: savemat(s.parents[1] / "test_perspective" / "s.mat", {"pMap": np.ones((3, 4))}),
                              r"s.mat: pMap has the shape \(3, 4\)"),
}  # fmt: skip


@pytest.mark.parametrize("kind", SPOILT_SCENES)
def test_spoilt_scenes_are_named_and_refused(root, monkeypatch, kind):
    monkeypatch.setattr(matfile, "LARGEST_FILE", 100_000)
    spoil, says = SPOILT_SCENES[kind]
    write_worldexpo(root, {"s": {"f": [[9, 9]]}}, perspective=np.ones((H, W)))
    assert len(worldexpo()[0].heads) == 1
    spoil(root / "test_label" / "s")
    with pytest.raises(DataError, match=says):
        worldexpo()[0]


@pytest.mark.parametrize("contents", [b"", b"GIF89a" + bytes(99), None])
def test_a_broken_photograph_is_named(root, contents):
    write_shanghaitech(root)
    path = root / "part_A_final" / "train_data" / "images" / "IMG_1.jpg"
    path.write_bytes(path.read_bytes()[:-300] if contents is None else contents)
    with pytest.raises(DataError, match="IMG_1.jpg: not a whole JPEG"):
        shanghaitech()[0]


@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_label_is_read_or_refused_and_nothing_else(tmp_path, packed):
    """Each byte spoilt in four ways, and the file cut off after each byte."""
    path = tmp_path / "f.mat"
    savemat(path, image_info([[3.0, 4.0], [5.0, 6.0]]), do_compression=packed)
    whole = path.read_bytes()
    spoilt = [whole[:at] for at in range(len(whole))]
    spoilt += [whole[:at] + bytes([v]) + whole[at + 1 :] for at in range(len(whole)) for v in (0, 14, 128, 255)]
    refused = 0
    for contents in spoilt:  # from memory: thousands of files take a while to write
        file = SimpleNamespace(stat=path.stat, read_bytes=lambda: contents)
        try:
            read_mat(file, "image_info")
        except DataError:
            refused += 1
    assert len(whole) <= refused < len(spoilt)
