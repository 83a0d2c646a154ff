"""A picture in a notebook: figures and arrays as PNG, and the widget that shows one, with a text for who can't see it."""

import io
import threading

import anywidget
import numpy as np
import traitlets

from course_lib.style import PAGE_DPI

# JupyterLab's kernel answers widgets in a second thread as well: two drawings of one figure must not interleave.
DRAWING = threading.RLock()


class Stage:
    """A figure that is drawn again and again. What moved since the last drawing is drawn over a kept picture of the rest.

    Most of the cost of a drawing is ticks, labels and titles, which seldom change. An artist counts as moving from the
    first time that it is found changed, and is from then on drawn above those that never were. New axis limits draw
    everything anew: round them, so that they change seldom. The figure's layout is kept as it is at the beginning.
    """

    def __init__(self, figure):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        self.figure, self._canvas = figure, FigureCanvasAgg(figure)
        self._moving, self._legends, self._limits, self._rest = [], [], None, None
        self._canvas.draw()
        figure.set_layout_engine("none")

    @property
    def css_width(self):
        """The width to show the picture with, in a page's units."""
        return f"{self.figure.get_size_inches()[0] * PAGE_DPI:.0f}px"

    def png(self):
        """Draw the present state; returns PNG bytes."""
        moved = [artist for axes in self.figure.axes for artist in _contents(axes)
                 if artist.stale and artist not in self._moving]
        limits = [(axes.get_xlim(), axes.get_ylim()) for axes in self.figure.axes]
        if moved or self._rest is None or limits != self._limits:
            self._moving = sorted(self._moving + moved, key=lambda artist: artist.zorder)
            self._legends = [legend for axes in {artist.axes: None for artist in self._moving} if (legend := axes.get_legend())]
            for artist in moved + self._legends:
                artist.set_animated(True)  # left out when everything else is drawn
            self._canvas.draw()
            self._rest, self._limits = self._canvas.copy_from_bbox(self.figure.bbox), limits
        self._canvas.restore_region(self._rest)
        for artist in self._moving + self._legends:
            artist.axes.draw_artist(artist)
        return _png(np.asarray(self._canvas.buffer_rgba())[..., :3])


def _contents(axes):
    from matplotlib.axis import Axis
    from matplotlib.legend import Legend
    from matplotlib.spines import Spine
    return [artist for artist in axes.get_children() if artist is not axes.patch and not isinstance(artist, (Axis, Legend, Spine))]


def image_png(image, zoom=1):
    """PNG bytes of one image, (height, width) or (height, width, 3), uint8; each pixel `zoom` × `zoom` dots."""
    return _png(np.asarray(image, dtype=np.uint8).repeat(zoom, axis=0).repeat(zoom, axis=1))


def _png(pixels):
    from PIL import Image
    file = io.BytesIO()
    # Level 1 is several times quicker than the default and, on plots, hardly larger.
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def to_uint8(images):
    """Images as pictures: uint8, (n, height, width) or (n, height, width, 3).

    images: values in [−1, 1], or in [0, 1] where none is negative; (n, height, width), (n, 1 or 3, height, width) or flat
    (n, height²); a labelled digit (n, 794) loses its class. A tensor on any device or an array. Not-a-numbers are drawn in
    the middle of the range, values beyond it at its ends. Raises ValueError for another shape.
    """
    pixels = images.detach().cpu().float().numpy() if hasattr(images, "detach") else np.asarray(images, dtype=float)
    if pixels.ndim == 2:
        pixels = pixels[:, :784] if pixels.shape[1] == 794 else pixels
        side = round(pixels.shape[1] ** 0.5)
        if side * side != pixels.shape[1]:
            raise ValueError(f"{pixels.shape[1]} numbers in a row are no square image: give (n, height, width)")
        pixels = pixels.reshape(-1, side, side)
    if pixels.ndim == 4 and pixels.shape[1] in (1, 3):
        pixels = pixels[:, 0] if pixels.shape[1] == 1 else pixels.transpose(0, 2, 3, 1)
    if not (pixels.ndim == 3 or pixels.ndim == 4 and pixels.shape[3] == 3):
        raise ValueError(f"images of shape {tuple(pixels.shape)}; they can be (n, h, w), (n, 1, h, w), (n, 3, h, w) or (n, h²)")
    low = -1.0 if (pixels < 0).any() else 0.0
    pixels = np.nan_to_num(pixels, nan=(low + 1) / 2, posinf=1, neginf=low).clip(low, 1)
    return ((pixels - low) / (1 - low) * 255).round().astype(np.uint8)


def montage(pixels, columns, gap=1, background=255):
    """Lay images (n, height, width[, 3]) out in rows of `columns`, `gap` pixels apart: one image."""
    n, height, width = pixels.shape[:3]
    columns = max(1, min(columns, n))
    rows = -(-n // columns)
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, *pixels.shape[3:]), background, np.uint8)
    for i, image in enumerate(pixels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top:top + height, left:left + width] = image
    return sheet


class Picture(anywidget.AnyWidget):
    """A PNG with its text alternative. ipywidgets' own Image has no such text; this one is an <img alt="…">."""

    png = traitlets.Bytes(b"").tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    width = traitlets.Unicode("100%").tag(sync=True)

    _esm = """
    function render({ model, el }) {
      const image = document.createElement("img");
      image.style.maxWidth = "100%";
      image.style.display = "block";
      let address = "";
      const show = () => {
        const old = address;
        address = URL.createObjectURL(new Blob([model.get("png")], { type: "image/png" }));
        image.src = address;
        if (old) URL.revokeObjectURL(old);
      };
      const text = () => { image.alt = model.get("alt"); };
      const size = () => { image.style.width = model.get("width"); };
      const watched = [["png", show], ["alt", text], ["width", size]];
      watched.forEach(([name, update]) => { update(); model.on("change:" + name, update); });
      el.appendChild(image);
      return () => {
        watched.forEach(([name, update]) => model.off("change:" + name, update));
        URL.revokeObjectURL(address);
      };
    }
    export default { render };
    """

    def show(self, stage, alt):
        """Show what `stage` draws; `alt` says in words what that is."""
        self.width, self.alt, self.png = stage.css_width, alt, stage.png()
