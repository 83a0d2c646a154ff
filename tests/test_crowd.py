"""The generated crowds: always the same ones, heads where they are said to be, seen by cameras that obey perspective."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib import crowd
from course_lib.crowd import TEST_CAMERAS, TRAIN_CAMERAS, camera, crowd_scenes


@pytest.fixture(scope="module")
def test_scenes():
    return crowd_scenes(TEST_CAMERAS, 40, seed="some")


def test_what_is_made(test_scenes):
    images, counts = test_scenes.images, test_scenes.counts
    assert images.shape == (40, 3, 64, 64) and images.dtype == torch.float32 and len(test_scenes) == 40
    assert images.min() >= 0 and images.max() <= 1 and images.std(dim=(1, 2, 3)).min() > 0.04
    assert test_scenes.camera.tolist() == [0, 1, 2, 3, 4] * 8
    assert [c.number for c in test_scenes.cameras] == list(TEST_CAMERAS)
    assert counts.tolist() == [len(points) for points in test_scenes.heads] and 2 <= counts.min() and counts.max() <= 60
    assert f"40 crowds from 5 cameras, 64×64 RGB, {counts.min()} to {counts.max()} heads" in repr(test_scenes)
    for points in test_scenes.heads:
        assert points.dtype == torch.float64 and points.shape[1] == 2
        assert (points >= 0).all() and (points < 64).all() and len(points.unique(dim=0)) == len(points)


def test_the_test_scenes_differ_in_density(test_scenes):
    per_scene = [test_scenes.counts[test_scenes.camera == c].double().mean().item() for c in range(5)]
    assert per_scene == sorted(per_scene) and per_scene[0] < 8 and per_scene[4] > 22
    assert not set(TEST_CAMERAS) & set(TRAIN_CAMERAS) and len(TEST_CAMERAS + TRAIN_CAMERAS) == 108


def test_the_same_pictures_again_and_in_any_company():
    once, again = crowd_scenes((3, 20), 6, seed=7), crowd_scenes((3, 20), 6, seed=7)
    assert torch.equal(once.images, again.images) and all(map(torch.equal, once.heads, again.heads))
    fewer = crowd_scenes((3, 20), 3, seed=7)
    assert torch.allclose(once.images[:3], fewer.images, atol=1e-5) and all(map(torch.equal, once.heads, fewer.heads))
    other = crowd_scenes((3, 20), 6, seed=8)
    assert all((a - b).abs().mean() > 0.02 for a, b in zip(once.images, other.images))
    assert not any(len(a) == len(b) and torch.equal(a, b) for a, b in zip(once.heads, other.heads))


def test_the_first_heads_are_pinned():
    """A change here means that everything trained on these pictures has to be trained again."""
    assert crowd_scenes(TEST_CAMERAS, 2, seed=0).heads[0][0].tolist() == pytest.approx(PINNED_HEAD, abs=1e-9)


PINNED_HEAD = [27.169634290617314, 1.2768646806870518]


def test_cameras_differ_and_new_ones_come_from_their_number():
    cameras = [camera(number) for number in (*range(40), 10**9, 2**62)]
    assert len({c.crowd for c in cameras}) == len(cameras) and camera(10**9) == cameras[40]
    assert max(c.crowd for c in cameras) > 4 * min(c.crowd for c in cameras)
    grounds = [crowd._View(c, 32, 32).ground for c in cameras[:12]]
    apart = [np.abs(a - b).mean() for i, a in enumerate(grounds) for b in grounds[:i]]
    assert min(apart) > 0.03


def test_larger_pictures_have_larger_heads_and_more_of_them():
    small, large, wide = (crowd_scenes((52,), 2, size, seed=1) for size in (64, 256, (64, 128)))
    assert large.images.shape == (2, 3, 256, 256) and wide.images.shape == (2, 3, 64, 128)
    assert 2.5 < large.counts.sum() / small.counts.sum() < 6
    for points in wide.heads:
        assert (points >= 0).all() and (points < torch.tensor([128, 64])).all()
    ratio = camera(3).perspective(256)[::4] / camera(3).perspective(64)
    assert torch.allclose(ratio, torch.tensor(2.0), atol=0.05)


def test_quarters_together_are_the_picture():
    scenes = crowd_scenes((3, 52), 3, (64, 96), seed=1)
    parts = scenes.quarters()
    assert parts.images.shape == (12, 3, 32, 48) and parts.camera.tolist() == [0] * 4 + [1] * 4 + [0] * 4
    for i, (image, points) in enumerate(zip(scenes.images, scenes.heads)):
        found = []
        for part, (top, left) in enumerate(((0, 0), (0, 48), (32, 0), (32, 48)), 4 * i):
            assert torch.equal(parts.images[part], image[:, top:top + 32, left:left + 48])
            moved = parts.heads[part]
            assert (moved >= 0).all() and (moved < torch.tensor([48, 32])).all()
            found += (moved + torch.tensor([left, top])).tolist()
        assert sorted(found) == sorted(points.tolist())
    with pytest.raises(ValueError, match="33×64 can't be cut into four"):
        crowd_scenes((3,), 1, (33, 64)).quarters()


def test_perspective_is_that_of_a_pinhole():
    """The ground, projected by similar triangles, is where `on_ground` says, and a person's head has the size of its row."""
    view = crowd._View(camera(62), 96, 128)
    slope = view.unit_at(1) - view.unit_at(0)
    horizon, hangs = -view.unit_at(0) / slope, 1 / slope
    looks_at = hangs / np.tan(view.camera.tilt)
    focal = view.unit_at(48) * looks_at
    for x, y in ((3.0, 0.0), (64.0, 48.0), (100.0, 90.0)):
        right, away = view.on_ground(x, y)
        z = looks_at + away
        assert (64 + focal * right / z, horizon + focal * hangs / z) == pytest.approx((x, y))
    rows = np.linspace(0, 96, 9)
    sizes = view.head_size(rows)
    assert np.allclose(view.unit_at(rows + view.body * sizes), sizes) and np.allclose(np.diff(sizes, 2), 0)
    assert np.allclose(view.camera.perspective((96, 128)), np.interp(np.arange(96) + 0.5, rows, sizes), atol=1e-5)
    assert (np.diff(sizes) > 0).all()


def painted(monkeypatch, number, seed, size):
    """One picture, with what went into it: foot and (x, y) of each stack, people first; its boxes in pixels; its sprite."""
    known = {}

    def spy(owner, name):
        function = getattr(owner, name)

        def watched(*args, **kwargs):
            given = function(*args, **kwargs)
            known.setdefault(name, (args, given))
            return given

        monkeypatch.setattr(owner, name, watched)

    for owner, name in ((crowd, "_sprites"), (crowd._Moment, "people"), (crowd._Moment, "things")):
        spy(owner, name)
    scene = crowd_scenes((number,), 1, size, seed)
    people = known["people"][1][0]
    rows = np.concatenate([people, known["things"][1][0]])
    (boxes, _, at, unit, *_), sprites = known["_sprites"]
    return scene, rows, len(people), boxes, at, unit, sprites


def test_drawn_heads_grow_down_the_picture_as_the_perspective_says(monkeypatch):
    scene, rows, people, *_, sprites = painted(monkeypatch, 58, "grow", 192)
    painted_area = np.array([head.sum() for _, _, head in sprites[:people]])
    # A head is a capsule 0.84 wide and 1 high.
    diameter = np.sqrt(painted_area / (np.pi * 0.42**2 + 0.84 * 0.16))
    nominal = scene.cameras[0].head_size(rows[:people, 2], 192)
    assert people > 30 and nominal.max() > 1.3 * nominal.min()
    assert (0.74 < diameter / nominal).all() and (diameter / nominal < 1.1).all()
    slope, nominal_slope = (np.polyfit(rows[:people, 2], sizes, 1)[0] for sizes in (diameter, nominal))
    assert slope == pytest.approx(nominal_slope, rel=0.35)


@pytest.mark.parametrize("number, seed", [(52, 1), (86, 2), (93, 3)])
def test_who_counts(monkeypatch, number, seed):
    """Each head's visible part computed again, from the shapes alone, on points eight times as dense as the pixels.

    Nearest first, whoever shows half a head is there and hides others; the points are in a rounded box or not.
    """
    size, fine = 64, 8
    scene, rows, people, boxes, at, unit, _ = painted(monkeypatch, number, seed, size)
    points = (np.arange(-size * fine // 2, 3 * size * fine // 2) + 0.5) / fine  # the picture with half of it all around
    inside = (0 < points) & (points < size)
    hidden = ~(inside[:, None] & inside)

    def covered(i, b):
        """The points in a box of a stack: as slices of `points`, and a mask of these."""
        u, v, half_width, half_height, roundness = boxes[i, b]
        radius = max(roundness * min(half_width, half_height) * unit[i], min(0.5, min(half_width, half_height) * unit[i]))
        place = []
        for middle, half in ((at[i, 0] + u * unit[i], half_width), (at[i, 1] + v * unit[i], half_height)):
            first, last = np.searchsorted(points, (middle - half * unit[i], middle + half * unit[i]))
            place.append((slice(first, last), np.maximum(abs(points[first:last] - middle) - half * unit[i] + radius, 0)))
        (columns, x), (lines, y) = place
        return (lines, columns), x**2 + y[:, None] ** 2 <= radius**2

    counted, doubtful = set(), 0
    truly = {tuple(point) for point in scene.heads[0].tolist()}
    for i in np.argsort(-rows[:, 0], kind="stable"):
        if i < people:
            where, head = covered(i, crowd.HEAD)
            visible = (head & ~hidden[where]).sum() / head.sum()
            there = tuple(at[i]) in truly
            if abs(visible - 0.5) < 0.12:  # so near the limit pixels and points may differ
                doubtful += 1
            else:
                assert there == (visible > 0.5)
            if not there:
                continue
            counted.add(tuple(at[i]))
        for b in np.flatnonzero(boxes[i, :, 2]):
            where, mask = covered(i, b)
            hidden[where] |= mask
    assert counted == truly and len(truly) > 10 and doubtful < 0.3 * people
    assert len(truly) < people, "nobody is hidden: this picture shows nothing"


@settings(deadline=None, max_examples=30)
@given(
    x=st.floats(-20, 20), y=st.floats(-20, 20), unit=st.floats(2, 30), wide=st.floats(0.3, 2), high=st.floats(0.3, 2),
    roundness=st.floats(0, 1),
)  # fmt: skip
def test_a_box_covers_its_area_and_is_where_it_should_be(x, y, unit, wide, high, roundness):
    boxes = np.array([[[0.5, -1.0, wide, high, roundness]]])
    ((left, top), pixels, _), = crowd._sprites(
        boxes, np.ones((1, 1, 3)), np.array([[x, y]]), np.array([unit]), np.zeros(1), np.zeros(1, bool)
    )  # fmt: skip
    cover = pixels[3].astype(float)
    corner = max(roundness * min(wide, high) * unit, 0.5)
    area = 4 * wide * high * unit**2 - (4 - np.pi) * corner**2
    assert cover.sum() == pytest.approx(area, rel=0.06, abs=0.7)
    middle = [cover.sum(axis) @ (np.arange(cover.shape[1 - axis]) + 0.5) / cover.sum() for axis in (0, 1)]
    assert [left + middle[0], top + middle[1]] == pytest.approx([x + 0.5 * unit, y - unit], abs=0.1)
    assert np.allclose(pixels[:3], pixels[3], atol=1e-5)


def test_a_person_is_seen_where_the_head_is_said_to_be():
    """Pictures of two seeds differ where somebody stands in one of them, more than elsewhere."""
    scenes = crowd_scenes((71,), 24, 64, seed="where")
    empty = scenes.images.median(dim=0).values
    differs = (scenes.images - empty).abs().sum(1)
    at_heads, elsewhere = [], []
    for difference, points in zip(differs, scenes.heads):
        x, y = points.long().T
        at_heads.append(difference[y, x].mean())
        elsewhere.append(difference.mean())
    assert torch.stack(at_heads).mean() > 1.3 * torch.stack(elsewhere).mean()


@pytest.mark.parametrize(
    "arguments, says",
    [
        (((), 4), "at least one camera"),
        ((3, 4), "cameras=3.*TEST_CAMERAS"),
        (("all", 4), "cameras='all'"),
        (((1, -2), 4), "camera -2.*from 0 up"),
        (((1.5,), 4), "camera 1.5"),
        (((True,), 4), "camera True"),
        (((1,), 0), "n=0"),
        (((1,), 2.0), "n=2.0"),
        (((1,), 1, 16), "size=16.*32 to 1024"),
        (((1,), 1, (64,)), "size="),
        (((1,), 1, (64, 64.0)), "size=.*64.0"),
        (((1,), 1, 64, None), "seed=None"),
    ],
)
def test_arguments_that_make_no_sense_are_named(arguments, says):
    with pytest.raises(ValueError, match=says):
        crowd_scenes(*arguments)
