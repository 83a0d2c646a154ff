"""Pictures of crowds as a surveillance camera sees them, with every head known: the benchmark the counting lesson trains on.

Written for this course, since the real data sets can't be passed on with it. As in WorldExpo'10 (Zhang et al. 2015) there
are 108 cameras, five of them held out for the test. A camera is a number: from it come its perspective, its ground and
walls, its street furniture, how many people it sees. Any other whole number is another camera.

How a picture is made: everything that stands on the ground, people and things, is a stack of rounded boxes measured in
head diameters. Each stack is rendered with soft edges into a small window, a sprite, all of like size at once. Then each
picture is filled from front to back: a sprite adds what those before it have left uncovered, so how much of a head can be
seen is known at the moment it is painted. Ground, shadows, light, blur and noise come last.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from course_lib.draw import Draw

__all__ = ["TEST_CAMERAS", "TRAIN_CAMERAS", "Camera", "CrowdSet", "camera", "crowd_scenes"]

TEST_CAMERAS = (20, 3, 62, 52, 86)
TRAIN_CAMERAS = tuple(number for number in range(108) if number not in TEST_CAMERAS)

VISIBLE = 0.5  # a person is in the picture, and counts, when at least this part of the head can be seen
PIXELS = 2**19  # of the pictures made together
CACHED = 2**17  # pixels of the windows rendered together: what a processor keeps at hand
BODY = 6.0  # from the middle of the head to the feet, in head diameters, seen from the side

# Ground: its colour, a tile's width and depth in head diameters (0: none), how dark the joints are, how blotchy it is.
GROUNDS = {
    "asphalt": ((0.36, 0.36, 0.38), 0, 0, 0.0, 0.25),
    "slabs": ((0.60, 0.58, 0.55), 4.0, 4.0, 0.30, 0.15),
    "bricks": ((0.58, 0.42, 0.35), 2.4, 1.2, 0.25, 0.20),
    "cobbles": ((0.46, 0.45, 0.43), 1.3, 1.3, 0.45, 0.25),
    "sand": ((0.70, 0.62, 0.49), 0, 0, 0.0, 0.25),
    "lawn": ((0.33, 0.44, 0.22), 0, 0, 0.0, 0.45),
    "marble": ((0.74, 0.73, 0.70), 7.0, 7.0, 0.25, 0.08),
    "planks": ((0.50, 0.40, 0.30), 1.2, 12.0, 0.40, 0.20),
}

# Things: boxes painted one over the other, each (u, v, half width, half height, roundness, colour): u to the right and v
# down in head diameters from the point where it stands, roundness 1 for discs and capsules, colour a row of _colours.
THINGS = {
    "lamp": [(0, -5.5, 0.13, 5.5, 0, 2), (0, -0.4, 0.3, 0.4, 0, 2), (0, -11.3, 0.55, 0.45, 1, 3)],
    "bollard": [(0, -1.6, 0.3, 1.6, 0.3, 2), (0, -3.5, 0.5, 0.5, 1, 0)],
    "bin": [(0, -1.6, 1.0, 1.6, 0.3, 0), (0, -3.2, 1.1, 0.3, 1, 2), (0, -2.5, 0.6, 0.2, 0.5, 2)],
    "bench": [(-2, -0.6, 0.15, 0.6, 0, 2), (2, -0.6, 0.15, 0.6, 0, 2), (0, -1.4, 2.7, 0.25, 0.3, 0),
              (0, -2.5, 2.7, 0.4, 0.3, 0)],
    "bush": [(0, -0.8, 2.0, 0.8, 1, 4), (-1.2, -1.2, 1.0, 1.0, 1, 4), (1.3, -1.1, 1.0, 1.0, 1, 5),
             (0.1, -1.9, 1.2, 1.1, 1, 5), (-0.7, -2.2, 0.6, 0.6, 1, 4), (0.8, -2.3, 0.5, 0.5, 1, 4)],
    "car": [(-3.2, -0.8, 0.9, 0.8, 1, 2), (3.2, -0.8, 0.9, 0.8, 1, 2), (0, -1.8, 5.3, 1.0, 0.6, 0),
            (0, -3.3, 3.2, 1.1, 0.6, 0), (-1.5, -3.3, 1.2, 0.7, 0.4, 2), (1.5, -3.3, 1.2, 0.7, 0.4, 2),
            (-4.8, -1.9, 0.3, 0.3, 1, 3), (4.8, -1.9, 0.3, 0.3, 1, 1)],
    "stones": [(-0.8, -0.4, 0.55, 0.45, 1, 6), (0.5, -0.5, 0.7, 0.55, 1, 6), (0.1, -0.2, 0.4, 0.3, 1, 6)],
    "sign": [(0, -3.3, 0.1, 3.3, 0, 2), (0, -6.6, 0.8, 0.8, 1, 0), (0, -6.6, 0.5, 0.5, 1, 3)],
    "balloons": [(0, -3.5, 0.04, 3.5, 0, 2), (-0.6, -7.2, 0.5, 0.55, 1, 0), (0.5, -7.5, 0.5, 0.55, 1, 1)],
    "planter": [(0, -0.8, 1.6, 0.8, 0.2, 6), (-0.7, -1.9, 0.8, 0.7, 1, 4), (0.7, -2.0, 0.8, 0.7, 1, 5),
                (0, -2.6, 0.6, 0.6, 1, 5), (-0.5, -2.4, 0.25, 0.25, 1, 0), (0.6, -2.5, 0.25, 0.25, 1, 1)],
    "railing": [(0, -3.0, 4.0, 0.1, 0, 2), (0, -0.5, 4.0, 0.08, 0, 2)]
               + [(u, -1.5, 0.09, 1.5, 0, 2) for u in (-3.9, -2.4, -0.8, 0.8, 2.4, 3.9)],
    "parasol": [(0, -3.5, 0.12, 3.5, 0, 2), (0, -6.0, 3.4, 0.5, 0.6, 0), (0, -6.7, 2.4, 0.6, 1, 0),
                (0, -7.1, 1.2, 0.5, 1, 0)],
}  # fmt: skip
BOXES, HEAD = 8, 6  # boxes in a stack, and the one that is a person's head
_SHAPES = np.zeros((len(THINGS), BOXES, 6))
for _row, _boxes in zip(_SHAPES, THINGS.values()):
    _row[: len(_boxes)] = _boxes


# ---------------------------------------------------------------- what a lesson sees


@dataclass(frozen=True)
class Camera:
    """One camera: where it hangs and what it sees.

    far, near: the diameter of a head at the top and at the bottom of a 64×64 picture, in pixels; linear between them.
    tilt: how far it looks down, in radians (0: to the horizon).
    crowd: how many people walk through a 64×64 picture, on average. clumps: the part of them that go in groups.
    wall: the part of the picture's height taken by a facade. border: bearing (radians) and offset of the edge of the
    ground that people keep to. sun: the direction in which shadows fall, radians.
    """

    number: int
    far: float
    near: float
    tilt: float
    crowd: float
    clumps: float
    wall: float
    border: tuple[float, float]
    sun: float

    def head_size(self, y, size=64):
        """The diameter of a head, in pixels, at height `y` (a number or an array, 0 at the top) of a picture of `size`."""
        height, width = _size(size)
        return (self.far + (self.near - self.far) * y / height) * _growth(height, width)

    def perspective(self, size=64):
        """The perspective map: the diameter of a head in each row of a picture of `size`, float32 (height,)."""
        rows = np.arange(_size(size)[0]) + 0.5
        return torch.from_numpy(self.head_size(rows, size).astype(np.float32))


@dataclass(frozen=True, eq=False, repr=False)
class CrowdSet:
    """Pictures of crowds.

    images: (n, 3, height, width) float32 in [0, 1], red, green, blue.
    heads: n tensors (k, 2) float64, the (x, y) of each head's middle in pixels: x to the right from the left edge, y down
        from the top edge, so that it is in column int(x) of row int(y).
    camera: (n,) int64, which of `cameras` took each.
    cameras: the cameras, in the order given.
    """

    images: torch.Tensor
    heads: list[torch.Tensor]
    camera: torch.Tensor
    cameras: tuple[Camera, ...]

    def __len__(self):
        return len(self.images)

    @property
    def counts(self):
        """How many heads each picture has, int64 (n,)."""
        return torch.tensor([len(points) for points in self.heads])

    def quarters(self):
        """A CrowdSet of each picture cut in four, its left and right upper, left and right lower quarter. Nobody is lost.

        Raises ValueError when a side isn't even.
        """
        height, width = self.images.shape[2:]
        if height % 2 or width % 2:
            raise ValueError(f"pictures of {height}×{width} can't be cut into four alike: both sides must be even.")
        half, images, heads = torch.tensor([width // 2, height // 2]), [], []
        for picture, points in zip(self.images, self.heads):
            rows = picture.reshape(3, 2, height // 2, 2, width // 2).permute(1, 3, 0, 2, 4)
            images.append(rows.flatten(0, 1))
            right, lower = (points >= half).unbind(1)
            heads += [points[(lower == y) & (right == x)] - half * torch.tensor([x, y]) for y in (0, 1) for x in (0, 1)]
        return CrowdSet(torch.cat(images), heads, self.camera.repeat_interleave(4), self.cameras)

    def __repr__(self):
        n, _, height, width = self.images.shape
        counts = self.counts
        heads = f"{counts.min()} to {counts.max()} heads"
        return f"<{n} crowds from {len(self.cameras)} cameras, {height}×{width} RGB, {heads}>"


def camera(number):
    """The `Camera` of this number, a whole number from 0 up: always the same one. Raises ValueError for anything else."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise ValueError(f"camera {number!r}: a camera is a whole number from 0 up.")
    u = Draw(f"crowd/camera {number}".encode()).uniform(9).tolist()
    return Camera(
        number=number,
        far=2.3 + 1.0 * u[0],
        near=4.0 + 2.6 * u[1],
        tilt=math.radians(22 + 30 * u[2]),
        crowd=5 * 7 ** u[3],
        clumps=0.8 * u[4],
        wall=max(0.0, 0.45 * u[5] - 0.15),
        border=(math.radians(30 + 120 * u[6]), 4 + 14 * u[7]),
        sun=2 * math.pi * u[8],
    )


def crowd_scenes(cameras, n, size=64, seed=0):
    """Make `n` pictures taken by `cameras` in turn, as a `CrowdSet`.

    cameras: numbers of cameras, such as TRAIN_CAMERAS or TEST_CAMERAS.
    size: the pictures' height and width in pixels, one number or (height, width), from 32 to 1024. A larger picture shows
        more of the place as well as more detail: heads grow with the square root of its side, their number with its side.
    seed: a whole number or a string. Picture i depends on seed, i, its camera and the size alone.

    Who counts: everybody who is in the picture. A person is left out altogether if the middle of the head would be outside,
    or if less than half of the head could be seen: of its area (hair and hat aside) so much is hidden by people and things
    nearer to the camera, or cut off by the picture's edge. That leaves 1 to about 60 heads at 64×64, 15 on average, and 9
    to about 180 at 256×256.
    Raises ValueError for arguments that make no sense.
    """
    height, width = _size(size)
    if isinstance(n, bool) or not isinstance(n, int) or n < 1:
        raise ValueError(f"n={n!r}: ask for a whole number of pictures from 1 up.")
    if isinstance(seed, bool) or not isinstance(seed, (int, str)):
        raise ValueError(f"seed={seed!r}: give a whole number or a string.")
    if isinstance(cameras, (int, str)) or not len(cameras):
        raise ValueError(f"cameras={cameras!r}: give the numbers of at least one camera, as in TEST_CAMERAS.")
    cameras = tuple(camera(number) for number in cameras)
    images, heads = np.empty((n, 3, height, width), np.float32), [None] * n
    by_camera = sorted(range(n), key=lambda i: i % len(cameras))  # so that each camera's ground is made once
    together = max(1, PIXELS // (height * width))
    for start in range(0, n, together):
        part = by_camera[start : start + together]
        views = {c: _View(cameras[c], height, width) for c in {i % len(cameras) for i in part}}
        moments = [_Moment(views[i % len(cameras)], seed, i) for i in part]
        for i, (image, points) in zip(part, _photograph(moments)):
            images[i], heads[i] = image, torch.from_numpy(points)
    return CrowdSet(torch.from_numpy(images), heads, torch.arange(n) % len(cameras), cameras)


def _size(size):
    height, width = size if isinstance(size, (tuple, list)) and len(size) == 2 else (size, size)
    for side in (height, width):
        if isinstance(side, bool) or not isinstance(side, int) or not 32 <= side <= 1024:
            raise ValueError(f"size={size!r}: give one whole number from 32 to 1024, or (height, width).")
    return height, width


def _growth(height, width):
    """How many times larger heads are than in a picture of 64×64, and so of its square as many."""
    return (height * width) ** 0.25 / 8


# ---------------------------------------------------------------- where everybody stands


class _View:
    """A camera's perspective, furniture and ground in a picture of a given size."""

    def __init__(self, camera, height, width):
        self.camera, self.height, self.width = camera, height, width
        self.growth = _growth(height, width)
        self.squeeze = math.cos(camera.tilt)  # what stands upright looks so much shorter than from the side
        self.body = BODY * self.squeeze
        self.slope = self.head_size(1) - self.head_size(0)
        draw = Draw(f"crowd/camera {camera.number}/things".encode())
        self.kinds = draw.permutation(len(THINGS))[:5].numpy()
        self.furniture = draw.uniform(round(6 * self.growth), 20).numpy()

    def head_size(self, y):
        return self.camera.head_size(y, (self.height, self.width))

    def unit_at(self, foot):
        """The diameter of the head of somebody who stands at row `foot`: the head is higher up, so it is smaller."""
        return self.head_size(foot) / (1 + self.slope * self.body)

    def on_ground(self, x, foot):
        """The place seen at (x, foot), in head diameters to the right of, and further away than, the picture's middle."""
        unit, middle = self.unit_at(foot), self.unit_at(self.height / 2)
        # What is 1 long is f/z pixels long at distance z, where the ground is f·h/z below the horizon if the camera hangs
        # h high. So h is 1/slope of unit_at, the camera looks at z = h/tan(tilt), and z goes as 1/unit.
        hangs = (1 + self.slope * self.body) / self.slope
        return (x - self.width / 2) / unit, (middle / unit - 1) * hangs / math.tan(self.camera.tilt)

    def beside(self, right, away):
        """How far a place on the ground is beyond the border of where people walk, and how far along it."""
        bearing, offset = self.camera.border
        sin, cos = math.sin(bearing), math.cos(bearing)
        return right * sin + away * cos - offset, right * cos - away * sin

    @cached_property
    def ground(self):
        """What the camera sees where nobody is, (3, height, width)."""
        return _ground(self)


class _Moment:
    """A camera at one moment: the light, and who and what stands where."""

    def __init__(self, view, seed, i):
        self.view = view
        self.draw = Draw(f"crowd/{seed}/{i}/camera {view.camera.number}".encode())
        self.u = u = self.draw.uniform(16).tolist()
        bearing, length = view.camera.sun + 0.6 * (u[0] - 0.5), 0.3 + 0.6 * u[1]
        self.sun = length * math.cos(bearing), length * math.sin(bearing) * math.sin(view.camera.tilt)
        self.shadow = 0.15 + 0.4 * u[2]
        self.side = -0.4 * u[2] * math.cos(bearing)  # how much brighter the right side of everything is

    def people(self):
        """Where people are: rows of (foot, x, y, unit), and uniform numbers (k, 23) for what they look like."""
        view, cam, draw = self.view, self.view.camera, self.draw
        number = max(3, round(cam.crowd * view.growth**2 * (0.35 + 1.3 * self.u[3])))
        # Spread evenly over the ground they would be 1/size³ in the picture; people come nearer than that.
        rows = np.linspace(0, view.height, 65)
        share = np.cumsum(view.head_size(rows) ** -1.5)
        share -= share[0]
        groups = draw.uniform(max(2, round(3 * view.growth**2)), 2).numpy()
        u, step = draw.uniform(3 * number, 30).numpy(), draw.normal(3 * number, 2).numpy()
        group, grouped = groups[(u[:, 0] ** 1.5 * len(groups)).astype(int)], u[:, 1] < cam.clumps
        x = np.where(grouped, group[:, 0], u[:, 2]) * view.width
        y = np.interp(np.where(grouped, group[:, 1], u[:, 3]) * share[-1], share, rows)
        spread = grouped * 5 * view.head_size(y)
        x, y = x + spread * step[:, 0], y + spread * step[:, 1] * math.sin(cam.tilt)
        unit = view.head_size(y) * np.where(u[:, 5] < 0.08, 0.8, 0.94 + 0.12 * u[:, 6])  # children; short and tall people
        foot = y + view.body * unit
        inside = (0 <= x) & (x < view.width) & (0 <= y) & (y < view.height) & (foot > cam.wall * view.height)
        walks = (view.beside(*view.on_ground(x, foot))[0] < 0) | (u[:, 4] < 0.12)
        keep = np.flatnonzero(inside & walks)[:number]
        return np.stack([foot, x, y, unit], 1)[keep], u[keep, 7:]

    def things(self):
        """Where things are: rows of (foot, x, y, unit), their kinds, and uniform numbers (k, 17) for what they look like."""
        view, wall = self.view, self.view.camera.wall
        passing = self.draw.uniform(round(5 * view.growth * self.u[4]), 20).numpy()
        u = np.concatenate([view.furniture, passing])
        x, foot = u[:, 1] * view.width, (wall + (1.15 - wall) * u[:, 2]) * view.height
        kind = view.kinds[(u[:, 0] * len(view.kinds)).astype(int)]
        return np.stack([foot, x, foot, view.unit_at(foot)], 1), kind, u[:, 3:]

    def develop(self, over, lit):
        """The picture (3, height, width): `over` (4, …) is what stands there, `lit` (…) the ground's share of light."""
        view, u = self.view, self.u
        y = np.linspace(-1, 1, view.height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, view.width, dtype=np.float32)
        if u[5] < 0.5:  # the shadow of a building that isn't in the picture
            towards = x * math.cos(view.camera.sun) + y * math.sin(view.camera.sun)
            edge = (towards + 1.2 * (u[6] - 0.5)) * (view.height / 4)
            lit = lit * (1 - 0.9 * self.shadow * np.clip(edge, 0, 1)).astype(np.float32)
        picture = over[:3] + (1 - over[3]) * lit * view.ground
        picture += np.float32(0.15 * u[7] ** 2) * (1 - y) * (np.float32(0.75) - picture)  # haze
        lamp = (1 + 0.3 * (u[8] - 0.5) * x + 0.3 * (u[9] - 0.5) * y) * (1 - 0.12 * (x * x + y * y))
        tint = 1 + 0.16 * (np.array(u[11:14])[:, None, None] - 0.5)
        picture *= (lamp * tint * (0.8 + 0.4 * u[10])).astype(np.float32)
        blur = np.float32(0.02 + 0.15 * u[14])
        for axis in (1, 2):
            picture += blur * (np.roll(picture, 1, axis) + np.roll(picture, -1, axis) - 2 * picture)
        noise = self.draw.uniform(view.height + 2, view.width, low=-0.5, high=0.5).numpy().astype(np.float32)
        for c in range(3):
            picture[c] += np.float32(0.02 + 0.06 * u[15] ** 2) * noise[c : c + view.height]
        return np.clip(picture, 0, 1)


# ---------------------------------------------------------------- what they look like


def _hsv(hue, saturation, value):
    """Colours (..., 3) of hue, saturation and value in [0, 1]."""
    hue, saturation, value = np.broadcast_arrays(hue, saturation, value)
    wheel = 0.5 - 0.5 * np.cos(2 * math.pi * (hue[..., None] - np.array([0, 1 / 3, 2 / 3])))
    return value[..., None] * (1 - saturation[..., None] * wheel)


def _colours(u):
    """The colours (k, 7, 3) a thing may have, from uniform u (k, 16): two of any kind, iron, lamp, two greens, stone."""
    return np.stack([
        _hsv(u[:, 0], 0.8 * u[:, 1] ** 2, 0.1 + 0.8 * u[:, 2]),
        _hsv(u[:, 3], 0.8 * u[:, 4] ** 2, 0.1 + 0.8 * u[:, 5]),
        _hsv(0.6, 0.1, 0.06 + 0.25 * u[:, 6]),
        _hsv(0.15, 0.25 * u[:, 7], 0.6 + 0.35 * u[:, 8]),
        _hsv(0.24 + 0.08 * u[:, 9], 0.4 + 0.2 * u[:, 10], 0.15 + 0.2 * u[:, 11]),
        _hsv(0.20 + 0.08 * u[:, 9], 0.4 + 0.2 * u[:, 10], 0.25 + 0.25 * u[:, 11]),
        _hsv(0.07, 0.45 * u[:, 13], 0.1 + 0.65 * u[:, 14]),
    ], axis=1)  # fmt: skip


def _furnished(kind, u, squeeze):
    """The boxes (k, BOXES, 5) and colours (k, BOXES, 3) of things from their kinds and uniform u (k, 17)."""
    boxes = _SHAPES[kind, :, :5].copy()
    boxes[..., 1] *= squeeze[:, None]
    boxes[..., 3] *= np.where(boxes[..., 4] < 1, squeeze[:, None], 1.0)
    boxes[..., :4] *= 0.85 + 0.3 * u[:, 0, None, None]
    return boxes, _colours(u[:, 1:])[np.arange(len(u))[:, None], _SHAPES[kind, :, 5].astype(int)]


def _dressed(u, body):
    """The boxes (k, BOXES, 5) and colours (k, BOXES, 3) of people from uniform u (k, 23); (0, 0) is the middle of the head.

    body (k,): how far the feet are below it.
    """
    boxes, colours = np.zeros((len(u), BOXES, 5)), np.zeros((len(u), BOXES, 3))

    def put(box, across, top, bottom, half_width, roundness, colour):
        boxes[:, box, 0], boxes[:, box, 2], boxes[:, box, 4] = across, half_width, roundness
        boxes[:, box, 1], boxes[:, box, 3] = (top + bottom) / 2, (bottom - top) / 2
        colours[:, box] = colour

    stride, broad, left = 0.12 + 0.3 * u[:, 0], 0.8 + 0.2 * u[:, 1], u[:, 22] < 0.5
    coat = np.where(u[:, 2] < 0.2, 0.8, 0.55) * body
    # Most clothes are dark or light and hardly coloured; a quarter of the shirts are bright.
    shirt = _hsv(u[:, 4], np.where(u[:, 3] < 0.25, 0.85, 0.3) * u[:, 5], 0.06 + 0.86 * u[:, 6])
    trousers = _hsv(0.5 + 0.2 * u[:, 7], 0.45 * u[:, 8], 0.06 + 0.65 * u[:, 9] ** 1.5)
    skin = _hsv(0.06 + 0.03 * u[:, 10], 0.3 + 0.25 * u[:, 11], 0.3 + 0.6 * u[:, 12] ** 0.7)
    hat = u[:, 15] < 0.15
    hair = np.where(hat[:, None], _hsv(u[:, 16], 0.7 * u[:, 17], 0.15 + 0.75 * u[:, 18]),
                    _hsv(0.08, 0.6 * u[:, 13], 0.05 + 0.5 * u[:, 14] ** 3))  # fmt: skip
    turned = np.where(u[:, 20] < 0.6, 0.0, np.where(u[:, 20] < 0.8, -0.12, 0.12))
    away = np.where(u[:, 19] < 0.45, 0.36, -0.05)  # seen from behind, a head is all hair
    bag = _hsv(u[:, 16], 0.7 * u[:, 8] ** 2, 0.1 + 0.7 * u[:, 9])

    put(0, -stride, 0.5 * body, np.where(left, 0.9, 1.0) * body, 0.28, 0.7, 0.8 * trousers)
    put(1, stride, 0.5 * body, np.where(left, 1.0, 0.9) * body, 0.28, 0.7, trousers)
    put(2, -0.95 * broad, 0.12 * body, 0.5 * body, 0.22, 1, 0.75 * shirt)
    put(3, 0.95 * broad, 0.12 * body, 0.5 * body, 0.22, 1, 0.75 * shirt)
    put(4, 0, 0.07 * body, coat, 0.9 * broad, 0.7, shirt)
    put(5, np.where(left, -0.7, 0.7), 0.25 * body, 0.48 * body, np.where(u[:, 21] < 0.3, 0.5, 0), 0.5, bag)
    put(HEAD, 0, -0.5, 0.5, 0.42, 1, skin)
    put(7, turned, -0.57, np.where(hat, -0.1, away), np.where(hat, 0.56, 0.45), np.where(hat, 0.6, 1), hair)
    return boxes, colours


_LADDER = np.unique(np.ceil(6 * 1.3 ** np.arange(30)).astype(int))  # the sides that windows may have


def _sprites(boxes, colours, at, unit, light, alike, soft=1.0):
    """Render stacks of boxes, each into a small window.

    boxes (k, b, 5), colours (k, b, c): as in THINGS. at (k, 2), unit (k,): where (0, 0) is and how long 1 is, in pixels.
    light (k,): how much brighter the right side is. alike (k,): which stacks are of like shape and go together.
    soft: the width of an edge in pixels.
    Gives k triples: the window's corner (left, top); pixels (c + 1, h, w), the colours times coverage, then coverage; and
    the coverage (h, w) by box HEAD alone.
    """
    middle, reach = at[:, None] + boxes[..., :2] * unit[:, None, None], boxes[..., 2:4] * unit[:, None, None] + 1
    reach = np.where(boxes[..., 2:3] > 0, reach, -np.inf)
    low, high = middle - reach, middle + reach
    corner = np.floor(low.min(1)).astype(int)
    extent = _LADDER[np.searchsorted(_LADDER, high.max(1) - corner)]
    low, high = np.floor(low - corner[:, None]), np.ceil(high - corner[:, None])
    made = [None] * len(at)
    keys, group = np.unique(np.column_stack([alike, extent]), axis=0, return_inverse=True)
    for g, (_, width, height) in enumerate(keys):
        members, few = np.flatnonzero(group.ravel() == g), max(1, CACHED // (width * height))
        for these in (members[i : i + few] for i in range(0, len(members), few)):
            # The stacks come last, so that one operation runs over all of them at a pixel.
            pixels = np.zeros((colours.shape[2] + 1, height, width, len(these)), np.float32)
            head = np.zeros((height, width, len(these)), np.float32)
            side, (x, y) = light[these].astype(np.float32), (at[these] - corner[these]).T.astype(np.float32)
            for b in np.flatnonzero(boxes[these, :, 2].any(0)):
                (x0, y0), (x1, y1) = low[these, b].min(0).astype(int), high[these, b].max(0).astype(int)
                u, v, half_width, half_height = (boxes[these, b, :4] * unit[these, None]).T.astype(np.float32)
                across = np.arange(x0, x1, dtype=np.float32)[:, None] + 0.5 - x - u
                down = np.arange(y0, y1, dtype=np.float32)[:, None] + 0.5 - y - v
                radius = np.maximum(boxes[these, b, 4].astype(np.float32) * np.minimum(half_width, half_height), 0.5)
                beside = np.maximum(np.abs(across) - half_width + radius, 0)
                above = np.maximum(np.abs(down) - half_height + radius, 0)
                cover = np.sqrt(beside**2 + (above**2)[:, None])
                cover = np.minimum(np.maximum((radius - cover) / np.float32(soft) + np.float32(0.5), 0), 1)
                # What is thinner than a pixel covers a part of it.
                cover *= np.minimum(1, 2 * half_width) * np.minimum(1, 2 * half_height)
                if b == HEAD:
                    head[y0:y1, x0:x1] = cover
                paint = np.ones((colours.shape[2] + 1, 1, x1 - x0, len(these)), np.float32)
                shade = 1 + side * np.clip(across / np.maximum(half_width, 0.5), -1, 1)
                paint[:-1, 0] = colours[these, b].T[:, None] * shade
                part = pixels[:, y0:y1, x0:x1]
                part += cover * (paint - part)
            pixels, head = np.moveaxis(pixels, -1, 0).copy(), np.moveaxis(head, -1, 0).copy()
            for i, j in enumerate(these):
                made[j] = corner[j], pixels[i], head[i]
    return made


def _shadows(boxes, at, foot, unit, sun, lying):
    """The stacks' shadows on the ground: a disc below each, and a row of discs along `sun` as long as the stack is high."""
    wide, high = boxes[..., 2], boxes[..., 3]
    width = np.maximum((wide * wide * high).sum(1) / (wide * high).sum(1), 0.3)
    length = (foot - at[:, 1]) / unit - (boxes[..., 1] - high).min(1)
    discs = np.ones((len(boxes), 6, 5))
    discs[..., :2] = sun[:, None] * (length[:, None] * np.array([0, 0.1, 0.3, 0.5, 0.7, 0.9]))[..., None]
    discs[..., 2], discs[..., 3] = width[:, None], (width * lying)[:, None]
    alike = (sun > 0) @ [1, 2]
    place, colourless = np.column_stack([at[:, 0], foot]), np.zeros((len(boxes), 6, 0))
    return _sprites(discs, colourless, place, unit, 0 * unit, alike, soft=1.5)


# ---------------------------------------------------------------- ground and walls


def _noise(draw, right, away, period):
    """Smooth noise in [-1, 1] over the ground."""
    table = draw.uniform(32, 32, low=-1, high=1).numpy().astype(np.float32)
    u, v = right / np.float32(period) + 1024, away / np.float32(period) + 1024
    i, j = u.astype(int), v.astype(int)
    s, t, i, j, i1, j1 = u - i, v - j, i & 31, j & 31, (i + 1) & 31, (j + 1) & 31
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    return (table[i, j] * (1 - s) + table[i1, j] * s) * (1 - t) + (table[i, j1] * (1 - s) + table[i1, j1] * s) * t


def _line(distance, half, pixels):
    """How much of a pixel a line covers: `distance` from its middle and `half` its width in heads, `pixels` for a head."""
    return np.clip((half - distance) * pixels + 0.5, 0, 1) * np.minimum(1, 2 * half * pixels)


def _joints(place, every, pixels):
    """The coverage by joints between tiles that repeat `every` so many heads."""
    return _line(np.abs((place / every + 0.5) % 1 - 0.5) * every, 0.07, pixels)


def _paved(draw, kind, right, away, wide, deep):
    """A ground of this kind (3, …) at the places (right, away), where a head diameter is `wide` and `deep` pixels long."""
    colour, tile_width, tile_depth, joint, blotch = GROUNDS[kind]
    tint, value = 0.9 + 0.2 * draw.uniform(3).numpy(), draw.number(0.65, 1.25)
    light = 1 + blotch * (0.6 * _noise(draw, right, away, 9.0) + 0.5 * _noise(draw, right, away, 1.7))
    if tile_width:
        row = np.floor(away / tile_depth)
        shifted = right + 0.5 * tile_width * (row % 2) * (kind in ("bricks", "planks"))
        gap = np.maximum(_joints(shifted, tile_width, wide), _joints(away, tile_depth, deep))
        light = light * (1 - joint * gap) * (1 + 0.08 * np.sin(127.1 * np.floor(shifted / tile_width) + 311.7 * row))
    return (np.array(colour) * tint * value)[:, None, None] * light


def _ground(view):
    """What a view shows where nobody is, (3, height, width) float32."""
    draw = Draw(f"crowd/camera {view.camera.number}/ground".encode())
    y, x = np.mgrid[: view.height, : view.width].astype(np.float32) + np.float32(0.5)
    right, away = view.on_ground(x, y)
    right, away = right.astype(np.float32), away.astype(np.float32)
    beyond, along = view.beside(right, away)
    wide = view.unit_at(y).astype(np.float32)
    deep = np.abs(np.gradient(away, axis=0)) ** -1
    slant = np.hypot(*np.gradient(beyond)) ** -1  # pixels for a head diameter across the border
    main, other = (list(GROUNDS)[i] for i in draw.permutation(len(GROUNDS))[:2])
    picture = _paved(draw, main, right, away, wide, deep)

    def lay(over, cover):
        nonlocal picture
        picture = picture + cover * (over - picture)

    lay(_paved(draw, other, right, away, wide, deep), np.clip(beyond * slant + 0.5, 0, 1))
    kerb, dashes, zebra, steps = draw.uniform(4).numpy() < (0.7, 0.4, 0.3, 0.3)
    if kerb:
        lay(0.7, _line(np.abs(beyond), 0.3, slant))
    if dashes:
        lay(0.85, _line(np.abs(beyond - 8), 0.3, slant) * (along % 9 < 5))
    if zebra:
        bars = _line(np.abs(along % 3.2 - 1.6), 0.8, wide) * (np.abs(along) < 14)
        lay(0.8, _line(np.abs(beyond - 5), 4, slant) * bars)
    if steps:
        climbed = (away - draw.number(-5, 10)) / 2
        lay(picture * (0.75 + 0.5 * (climbed % 1)), (0 < climbed) & (climbed < 7))
    picture = picture * (1 + 0.08 * (draw.uniform(*y.shape).numpy() - 0.5))
    base = view.camera.wall * view.height
    facade = _facade(draw, x, y, base, view.unit_at(base))
    return np.where(y < base, facade, picture).astype(np.float32)


def _facade(draw, x, y, base, unit):
    """A wall with windows that stands on row `base`, where a head is `unit` wide."""
    wall = _hsv(0.08 + 0.06 * draw.number(), 0.35 * draw.number(), draw.number(0.3, 0.8))[:, None, None]
    glass, wide, high = draw.number(0.1, 0.7), draw.number(4, 9), draw.number(7, 11)
    right, up = x / unit, (base - y) / unit
    across, above = np.abs(right % wide / wide - 0.5), np.abs((up - 1) % high / high - 0.5)
    picture = wall * (1 + 0.1 * _noise(draw, right, up, 3.0) - 0.3 * (up < 0.6))
    picture = np.where((across < 0.36) & (above < 0.38), 0.6 * picture + 0.1, picture)
    sky = glass * (0.7 + 0.5 * _noise(draw, right, up, 5.0)) * np.array([0.8, 0.9, 1.0])[:, None, None]
    return np.where((across < 0.3) & (above < 0.32), sky, picture)


# ---------------------------------------------------------------- the picture


def _photograph(moments):
    """The pictures (3, height, width) of these moments, each with the heads (k, 2) that can be seen in it."""
    height, width = moments[0].view.height, moments[0].view.width

    def of_each(values, groups):
        return np.repeat(np.array(values), [len(group) for group in groups], axis=0)

    people, looks = zip(*(m.people() for m in moments))
    things, kinds, tastes = zip(*(m.things() for m in moments))
    number = np.arange(len(moments))
    dressed = _dressed(np.concatenate(looks), of_each([m.view.body for m in moments], people))
    squeeze = of_each([m.view.squeeze for m in moments], things)
    furnished = _furnished(np.concatenate(kinds), np.concatenate(tastes), squeeze)
    boxes, colours = (np.concatenate(pair) for pair in zip(dressed, furnished))
    foot, x, y, unit = np.concatenate(people + things).T
    person = np.arange(len(foot)) < len(dressed[0])
    of = np.concatenate([of_each(number, people), of_each(number, things)])

    at = np.column_stack([x, y])
    sprites = _sprites(boxes, colours, at, unit, np.array([m.side for m in moments])[of], person)
    canvas, shown = np.zeros((len(moments), 4, height, width), np.float32), np.zeros(len(foot), bool)
    for j in np.lexsort((-foot, of)):  # the nearest first
        corner, pixels, head = sprites[j]
        there, window = _overlap(corner, head.shape, height, width)
        here = canvas[of[j]][:, *there]
        free = 1 - here[3]
        shown[j] = not person[j] or (head[window] * free).sum() >= VISIBLE * head.sum()
        if shown[j]:
            here += free * pixels[:, *window]

    of_shown = of[shown]
    sun, lying = (np.array(a)[of_shown] for a in zip(*((m.sun, math.sin(m.view.camera.tilt)) for m in moments)))
    lit = np.ones((len(moments), height, width), np.float32)
    shadows = _shadows(boxes[shown], at[shown], foot[shown], unit[shown], sun, lying)
    for i, (corner, (shadow,), _) in zip(of_shown, shadows):
        there, window = _overlap(corner, shadow.shape, height, width)
        lit[i][there] *= 1 - np.float32(moments[i].shadow) * shadow[window]
    for i, moment in enumerate(moments):
        yield moment.develop(canvas[i], lit[i]), at[shown & person & (of == i)]


def _overlap(corner, shape, height, width):
    """The part of a window that lies in the picture: as slices of the picture, and of the window."""
    left, top = corner.tolist()
    x0, y0 = min(max(left, 0), width), min(max(top, 0), height)
    x1, y1 = max(x0, min(left + shape[1], width)), max(y0, min(top + shape[0], height))
    return (slice(y0, y1), slice(x0, x1)), (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
