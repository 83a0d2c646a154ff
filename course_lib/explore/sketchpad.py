"""A place to draw with mouse, pen or finger, and what was drawn as a distribution to sample from."""

import math

import anywidget
import torch
import traitlets


def _curve(x, y, begin, end, points=80):
    """The curve (x(t), y(t)) for t from `begin` to `end`, as a stroke."""
    ts = [begin + (end - begin) * i / (points - 1) for i in range(points)]
    return [[x(t), y(t)] for t in ts]


def _circle(radius, centre=(0.0, 0.0), begin=0.0, end=2 * math.pi):
    return _curve(lambda t: centre[0] + radius * math.cos(t), lambda t: centre[1] + radius * math.sin(t), begin, end)


# For hands that don't draw: the same distributions by button.
SHAPES = {
    "spiral": [_curve(lambda t: 0.06 * t * math.cos(t), lambda t: 0.06 * t * math.sin(t), 0.5, 4.5 * math.pi, 160)],
    "two moons": [_circle(0.5, (-0.25, -0.15), 0, math.pi), _circle(0.5, (0.25, 0.15), math.pi, 2 * math.pi)],
    "smile": [_circle(0.8), _circle(0.05, (-0.3, 0.3)), _circle(0.05, (0.3, 0.3)), _circle(0.45, (0, 0), 1.15 * math.pi, 1.85 * math.pi)],
}


class Sketchpad(anywidget.AnyWidget):
    """A square to draw in. `strokes`: a list of strokes, each a list of [x, y] in [−1, 1], y upwards.

    It changes when a stroke ends, and can be set from Python.
    """

    strokes = traitlets.List([]).tag(sync=True)
    colour = traitlets.Unicode("#0072B2").tag(sync=True)
    label = traitlets.Unicode("A square to draw in with mouse, pen or finger").tag(sync=True)

    _esm = """
    const SIZE = 300, NEAR = 0.012;
    function render({ model, el }) {
      const canvas = document.createElement("canvas");
      const sharp = Math.max(1, Math.round(window.devicePixelRatio || 1));
      canvas.width = canvas.height = SIZE * sharp;
      Object.assign(canvas.style, { width: SIZE + "px", height: SIZE + "px", touchAction: "none", cursor: "crosshair",
        background: "white", border: "1px solid #8A8A8A", borderRadius: "4px", display: "block" });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", model.get("label"));
      const pen = canvas.getContext("2d");
      let current = null;

      const place = (event) => {
        const box = canvas.getBoundingClientRect();
        const scaled = (at, from, length) => Math.min(1, Math.max(-1, 2 * (at - from) / length - 1));
        return [scaled(event.clientX, box.left, box.width), -scaled(event.clientY, box.top, box.height)];
      };
      const draw = () => {
        const strokes = current ? model.get("strokes").concat([current]) : model.get("strokes");
        pen.setTransform(1, 0, 0, 1, 0, 0);
        pen.clearRect(0, 0, canvas.width, canvas.height);
        const half = canvas.width / 2;
        pen.setTransform(half, 0, 0, -half, half, half);
        pen.lineWidth = 0.035;
        pen.lineCap = pen.lineJoin = "round";
        pen.strokeStyle = model.get("colour");
        for (const stroke of strokes) {
          pen.beginPath();
          pen.moveTo(...stroke[0]);
          for (const point of stroke) pen.lineTo(...point);
          pen.stroke();
        }
        if (!strokes.length) {
          pen.setTransform(1, 0, 0, 1, 0, 0);
          pen.fillStyle = "#6B6B6B";
          pen.font = 16 * sharp + "px sans-serif";
          pen.textAlign = "center";
          pen.fillText("draw here", half, half);
        }
      };
      canvas.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        canvas.setPointerCapture(event.pointerId);
        current = [place(event)];
        draw();
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!current) return;
        for (const part of event.getCoalescedEvents?.() ?? [event]) {
          const point = place(part), last = current[current.length - 1];
          if (Math.hypot(point[0] - last[0], point[1] - last[1]) > NEAR) current.push(point);
        }
        draw();
      });
      const finish = () => {
        if (!current) return;
        model.set("strokes", model.get("strokes").concat([current]));
        current = null;
        model.save_changes();
        draw();
      };
      canvas.addEventListener("pointerup", finish);
      canvas.addEventListener("pointercancel", finish);
      model.on("change:strokes", draw);
      draw();
      el.appendChild(canvas);
      return () => model.off("change:strokes", draw);
    }
    export default { render };
    """


def sample_strokes(strokes, n, generator=None, scale=2.0, blur=0.03):
    """n points, (n, 2), evenly along the strokes by length, blurred by a Gaussian of standard deviation blur·scale.

    The square [−1, 1]² becomes [−scale, scale]². A dot counts as a tiny stroke. Raises ValueError when there is no stroke.
    """
    if not strokes:
        raise ValueError("nothing is drawn yet")
    pieces = torch.cat([torch.tensor([[*a, *b] for a, b in zip(stroke, stroke[1:] or stroke)]) for stroke in strokes])
    begin, end = pieces[:, :2], pieces[:, 2:]
    length = (end - begin).norm(dim=1).clamp_min(1e-3)
    which = torch.multinomial(length, n, replacement=True, generator=generator)
    along = torch.rand(n, 1, generator=generator)
    points = begin[which] + along * (end - begin)[which]
    return scale * (points + blur * torch.randn(n, 2, generator=generator))
