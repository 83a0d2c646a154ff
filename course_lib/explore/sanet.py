"""The explorables of the lesson `sanet`. What it asks the learner to write, they are handed."""

import math

import ipywidgets as widgets
import numpy as np
import torch

from course_lib import counting
from course_lib.explore import Explorable, choice, exercise, explorable, finite, slider
from course_lib.explore.sketchpad import PointPad
from course_lib.picture import image_png, to_uint8
from course_lib.style import BLUE, GREY, SKY, course_style, image_axes, new_figure

WHOLE, CUT = "each head sums to 1: your density_map", "cut off at the border, not scaled to sum to 1"
SSIM_WINDOW = 11, 1.5  # width and σ of the window in ssim_map
WIDEST = 31


@course_style()
def heads_and_count(density_map, image, heads):
    """A picture whose heads can be dragged, beside its density map and the map's sum.

    density_map(heads, height, width, sigma) → (height, width) is the learner's. image: (3, h, w) or (h, w), in [0, 1].
    heads (k, 2): (x, y) in pixels, x to the right, y down; the middle of row i, column j is (j + ½, i + ½).
    Heads are dragged with the mouse, or chosen and moved by sliders. Controls: head, x, y, sigma, border (whether the kernels are
    cut off there without being scaled). Raises ValueError when there is no head.
    """
    if not len(heads):
        raise ValueError("heads: the picture needs at least one head to move.")
    pixels = to_uint8(image[None])[0]
    height, width = pixels.shape[:2]
    pad = PointPad(value=[[round(float(place), 1) for place in point] for point in heads], png=image_png(pixels),
                   width=width, height=height, label="The picture, a dot on each head. Drag one, or choose and move it with the sliders.")
    head = slider("head", 1, len(heads), 1)
    x, y = (slider(f"its {name}, pixels", 0.0, float(length), start, 0.1, digits=1)
            for name, length, start in zip(("x", "y"), (width, height), pad.value[0]))

    def show_chosen(change=None):
        head.value = pad.chosen + 1
        x.value, y.value = pad.value[pad.chosen]

    def move(axis, place):
        moved = [list(point) for point in pad.value]
        moved[pad.chosen][axis] = place
        pad.value = moved

    pad.observe(show_chosen, ["value", "chosen"])
    head.observe(lambda change: pad.set_trait("chosen", change["new"] - 1), "value")
    x.observe(lambda change: move(0, change["new"]), "value")
    y.observe(lambda change: move(1, change["new"]), "value")

    inches = 3.42 / max(height, width)  # as large as the pad shows the picture
    figure, axes = new_figure(0.08 + inches * width, 0.08 + inches * height, [["density"]])
    image_axes(axes["density"])
    shown = axes["density"].imshow(np.zeros((height, width)), cmap="magma", extent=(0, width, height, 0))
    chosen, = axes["density"].plot([], [], "o", color=SKY, markersize=10, markeredgewidth=2, fillstyle="none", clip_on=False)
    axes["density"].set(xlim=(0, width), ylim=(height, 0))

    def redraw(points, head, x, y, sigma, border):
        # The whole kernel is what a larger map has of it: cut down to the picture, it has lost what fell beyond the border.
        margin = math.ceil(5 * sigma) if border == CUT else 0
        with exercise("density"):
            answer = density_map(torch.tensor(points, dtype=torch.float32) + margin, height + 2 * margin, width + 2 * margin, sigma)
            density = finite(answer, height + 2 * margin, width + 2 * margin)[margin:margin + height, margin:margin + width]
        shown.set_data(density)
        shown.set_clim(0, max(density.max(), 1e-12))
        chosen.set_data([x], [y])
        lost = f" Lost over the border: {max(0.0, len(points) - density.sum()):.3f}." if border == CUT else ""
        return (f"Number of heads: {len(points)}. Sum of the map: {density.sum():.3f}.{lost}\n"
                f"Head {head} is at x = {x:.1f}, y = {y:.1f}. With σ = {sigma:g} the map reaches {density.max():.3g} heads per pixel.")

    panel = explorable("Heads and their density", figure, redraw,
                       "Left the picture, right its density map. Drag a head to the border, by mouse or sliders: what does the sum do?",
                       points=pad, head=head, x=x, y=y, sigma=slider("σ, pixels", 0.5, 12.0, 4.0, 0.1, digits=1),
                       border=choice("kernels", [WHOLE, CUT]))
    if isinstance(panel, Explorable):
        title, _, *controls, picture, readout = panel.children
        both = widgets.HBox([pad, picture], layout={"flex_flow": "row wrap", "align_items": "center"})
        panel.children = [title, *controls, both, readout]
    return panel


@course_style()
def similarity(ssim_map, gaussian_window, truth):
    """A density map, a prediction made from it by blurring, shifting and scaling, and the SSIM of the two at each place.

    The learner's: ssim_map(x, y), (1, 1, h, w) each → (1, 1, h − 10, w − 10), with a window of 11 pixels and σ 1.5; and
    gaussian_window(size, sigma) → (size,). truth (h, w), 11 pixels or more each way: a density map times `counting.SCALE`.
    Controls: blur, shift, scale (of the prediction; its count stays under the first two: what the blur carries over a border is
    reflected, what is shifted out on the right comes in on the left); width, sigma (of a window drawn over the truth; your
    ssim_map keeps its own). Raises ValueError for a truth of another shape.
    """
    from matplotlib.patches import Rectangle
    from scipy.ndimage import gaussian_filter
    if truth.ndim != 2 or min(truth.shape) < SSIM_WINDOW[0]:
        raise ValueError(f"truth of shape {tuple(truth.shape)}: give one map (h, w), at least {SSIM_WINDOW[0]} pixels high and wide.")
    truth = truth.detach().double().cpu()
    height, width = truth.shape
    figure, axes = new_figure(9.2, 2.1 + 2.8 * height / width, [["truth", "prediction", "ssim"], ["window"] * 3],
                              height_ratios=[2.8 * height / width, 1.2])
    for name in ("truth", "prediction", "ssim"):
        image_axes(axes[name])
    axes["truth"].set_title("Truth, and a window over it")
    axes["prediction"].set_title("Prediction")
    mean = axes["ssim"].set_title("")
    inset = SSIM_WINDOW[0] // 2
    maps = dict(cmap="magma", vmin=0, vmax=truth.max().item(), extent=(0, width, height, 0))
    axes["truth"].imshow(truth, **maps)
    predicted = axes["prediction"].imshow(truth, **maps)
    alike = axes["ssim"].imshow(truth[inset:-inset, inset:-inset], cmap="gray", vmin=0, vmax=1,
                                extent=(inset, width - inset, height - inset, inset))
    axes["ssim"].set(xlim=(0, width), ylim=(height, 0))
    figure.colorbar(alike, ax=axes["ssim"], extend="min", ticks=[0, 0.5, 1])
    row, column = divmod(int(truth.argmax()), width)  # where there is most to see
    outline = axes["truth"].add_patch(Rectangle((0, 0), 1, 1, fill=False, edgecolor="white", linewidth=1.5))
    fixed, weights = (axes["window"].plot([], [], dash, marker="o", markersize=3, color=colour, label=label)[0]
                      for dash, colour, label in (("--", GREY, "in ssim_map: 11, σ 1.5"), ("-", BLUE, "as set above")))
    axes["window"].set(title="Weights of the window along one axis, the middle one as 1", xlabel="pixels from the middle", ylim=(-0.05, 1.1),
                       xlim=(-WIDEST // 2, WIDEST // 2 + 1))
    axes["window"].legend(loc="upper right")

    def profile(line, size, sigma):
        window = finite(gaussian_window(size, sigma), size)
        line.set_data(np.arange(size) - size // 2, window / window.max())
        return window

    def redraw(blur, shift, scale, size, sigma):
        prediction = scale * torch.from_numpy(gaussian_filter(truth.numpy(), blur)).roll(shift, 1)
        with exercise("ssim"):
            profile(fixed, *SSIM_WINDOW)
            window = profile(weights, size, sigma)
            ssim = finite(ssim_map(prediction[None, None], truth[None, None]), 1, 1, height - 2 * inset, width - 2 * inset)[0, 0]
        predicted.set_data(prediction)
        alike.set_data(ssim)
        mean.set_text(f"Your SSIM map, mean {ssim.mean():.3f}")
        left, top = (min(max(middle - size // 2, 0), length - size) for middle, length in ((column, width), (row, height)))
        outline.set_bounds(left, top, size, size)
        lowest = f"{ssim.min():.2f}".replace("-", "−")
        count, true = (counting.counts(each[None, None]).item() for each in (prediction, truth))
        return (f"Mean squared error {(prediction - truth).square().mean():.3g}. L_C = 1 − mean SSIM = {1 - ssim.mean():.3f}; SSIM lies "
                f"between {lowest} and {ssim.max():.2f}.\nPredicted count {count:.1f}, true count {true:.1f}.\n"
                f"The window of width {size} and σ {sigma:g} fits at {height - size + 1}×{width - size + 1} places; its outermost weight "
                f"is {window[0] / window.max():.4f} of the one in the middle.")

    widest = min(WIDEST, (min(height, width) - 1) // 2 * 2 + 1)
    return explorable("The same count, or the same pattern?", figure, redraw,
                      "Which of blur, shift and scale does the count notice, and which does the pattern?",
                      blur=slider("blur, σ in pixels", 0.0, 8.0, 2.0, 0.1, digits=1), shift=slider("shift, pixels", 0, 16, 0),
                      scale=slider("scale factor", 0.0, 2.0, 1.0, 0.05), size=slider("window: width", 3, widest, SSIM_WINDOW[0], 2),
                      sigma=slider("window: σ", 0.5, 6.0, SSIM_WINDOW[1], 0.1, digits=1))
