"""Places for mouse, pen or finger: one to draw in, with what was drawn as a distribution to sample from; one to drag points in."""

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


# What both pads are: a canvas, sharp on fine screens, that hands on where something presses on it, as [x, y] from 0 to 1,
# from the upper left corner. begin(place) says whether to follow; then come move(place)s, draw() after some, and end().
_CANVAS = """
    function pressedCanvas(model, el, width, height, { begin, move, draw, end }) {
      const canvas = document.createElement("canvas");
      canvas.sharp = Math.max(1, Math.round(window.devicePixelRatio || 1));
      canvas.width = width * canvas.sharp;
      canvas.height = height * canvas.sharp;
      Object.assign(canvas.style, { width: width + "px", height: height + "px", touchAction: "none", cursor: "crosshair",
        background: "white", border: "1px solid #8A8A8A", borderRadius: "4px", display: "block" });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", model.get("label"));
      let pressed = false;
      const place = (event) => {
        const box = canvas.getBoundingClientRect();
        const share = (at, from, length) => Math.min(1, Math.max(0, (at - from) / length));
        return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
      };
      canvas.addEventListener("pointerdown", (event) => {
        event.preventDefault();
        pressed = begin(place(event));
        if (!pressed) return;
        canvas.setPointerCapture(event.pointerId);
        draw();
      });
      canvas.addEventListener("pointermove", (event) => {
        if (!pressed) return;
        for (const part of event.getCoalescedEvents?.() ?? [event]) move(place(part));
        draw();
      });
      const finish = () => {
        if (!pressed) return;
        pressed = false;
        end();
        draw();
      };
      canvas.addEventListener("pointerup", finish);
      canvas.addEventListener("pointercancel", finish);
      el.appendChild(canvas);
      return canvas;
    }
"""


class Sketchpad(anywidget.AnyWidget):
    """A square to draw in. `strokes`: a list of strokes, each a list of [x, y] in [−1, 1], y upwards.

    It changes when a stroke ends, and can be set from Python.
    """

    strokes = traitlets.List([]).tag(sync=True)
    colour = traitlets.Unicode("#0072B2").tag(sync=True)
    label = traitlets.Unicode("A square to draw in with mouse, pen or finger").tag(sync=True)

    _esm = _CANVAS + """
    const SIZE = 300, NEAR = 0.012;
    function render({ model, el }) {
      let current = null;
      const square = ([x, y]) => [2 * x - 1, 1 - 2 * y];
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
          pen.font = 16 * canvas.sharp + "px sans-serif";
          pen.textAlign = "center";
          pen.fillText("draw here", half, half);
        }
      };
      const canvas = pressedCanvas(model, el, SIZE, SIZE, {
        begin: (place) => (current = [square(place)]),
        move: (place) => {
          const point = square(place), last = current[current.length - 1];
          if (Math.hypot(point[0] - last[0], point[1] - last[1]) > NEAR) current.push(point);
        },
        draw,
        end: () => {
          model.set("strokes", model.get("strokes").concat([current]));
          current = null;
          model.save_changes();
        },
      });
      const pen = canvas.getContext("2d");
      model.on("change:strokes", draw);
      draw();
      return () => model.off("change:strokes", draw);
    }
    export default { render };
    """


class PointPad(anywidget.AnyWidget):
    """A picture with points over it that can be dragged. `value`: a list of [x, y] in the picture's pixels, from its upper left corner.

    png, width, height: the picture and its size in pixels. chosen: the number of the point that was pressed last, from 0.
    Both change while a point is dragged, and can be set from Python.
    """

    value = traitlets.List([]).tag(sync=True)
    chosen = traitlets.Int(0).tag(sync=True)
    png = traitlets.Bytes(b"").tag(sync=True)
    width = traitlets.Int(1).tag(sync=True)
    height = traitlets.Int(1).tag(sync=True)
    label = traitlets.Unicode("A picture with points to drag").tag(sync=True)

    _esm = _CANVAS + """
    const LONGER_SIDE = 340, REACH = 20;
    function render({ model, el }) {
      const size = [model.get("width"), model.get("height")];
      const zoom = LONGER_SIDE / Math.max(...size);
      const replaced = (place) => model.get("value").map((point, i) => i != model.get("chosen") ? point
        : place.map((share, axis) => Math.round(10 * share * size[axis]) / 10));
      const draw = () => {
        pen.setTransform(canvas.sharp, 0, 0, canvas.sharp, 0, 0);
        pen.clearRect(0, 0, canvas.width, canvas.height);
        const dot = ([x, y], radius, inside, around) => {
          pen.beginPath();
          pen.arc(zoom * x, zoom * y, radius, 0, 2 * Math.PI);
          Object.assign(pen, { fillStyle: inside, strokeStyle: around, lineWidth: 1.5 });
          pen.fill();
          pen.stroke();
        };
        const points = model.get("value"), chosen = points[model.get("chosen")];
        for (const point of points) dot(point, 3.5, "#F0E442", "black");
        if (chosen) dot(chosen, 6.5, "#56B4E9", "white");
      };
      const canvas = pressedCanvas(model, el, zoom * size[0], zoom * size[1], {
        begin: ([x, y]) => {
          const far = model.get("value").map((point) => zoom * Math.hypot(point[0] - x * size[0], point[1] - y * size[1]));
          const nearest = far.indexOf(Math.min(...far));
          if (!(far[nearest] < REACH)) return false;
          model.set("chosen", nearest);
          return true;
        },
        move: (place) => model.set("value", replaced(place)),
        draw: () => (draw(), model.save_changes()),
        end: () => {},
      });
      const pen = canvas.getContext("2d");
      const address = URL.createObjectURL(new Blob([model.get("png")], { type: "image/png" }));
      Object.assign(canvas.style, { background: `url(${address}) 0 0 / 100% 100%`, imageRendering: "pixelated", cursor: "grab" });
      model.on("change:value change:chosen", draw);
      draw();
      return () => (model.off("change:value change:chosen", draw), URL.revokeObjectURL(address));
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
