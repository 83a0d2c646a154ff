"""What a matplotlib figure shows, in words: the text in the place of the picture, for who can't see it.

It goes into an output's metadata, {"image/png": {"alt": …}}, from where the course's pages and nbconvert's classic ones take it. JupyterLab
takes it from nowhere; so beside the PNG the output holds the same picture as HTML, an <img alt="…">, which JupyterLab then prefers.
"""

import html
import re
import weakref
from itertools import groupby

import numpy as np


def text_of(figure):
    """The figure in a few short sentences: of each plot its title, axes, curves, bars and pictures. "" for an empty figure.

    An author who can say it better names the figure, `plt.subplots(num="…")` or `figure.set_label("…")`: then that is the text.
    """
    if figure.get_label():
        return figure.get_label()
    title = f"{_plain(figure._suptitle.get_text())}." if figure._suptitle else ""
    plots = [_plot(axes) for axes in figure.axes if axes.get_visible() and axes.get_label() != "<colorbar>"]
    counted = [_counted(text, len(list(same))) for text, same in groupby(filter(None, plots))]
    return " ".join(filter(None, [title, *counted]))


def show_with_text(shell):
    """From now on the figures that this IPython shows bring their text along."""
    from matplotlib.figure import Figure
    for kind, made in (("text/html", html_with_text), ("image/png", png_with_text)):
        shell.display_formatter.formatters[kind].for_type(Figure, made)


_printed = weakref.WeakKeyDictionary()  # a figure's PNG, from one formatter to the next: it takes a tenth of a second


def html_with_text(figure):
    """The figure as IPython's HTML formatter hands it on; None for an empty figure. IPython asks for this one first."""
    png = _printed[figure] = _print(figure)
    return png and f'<img src="data:image/png;base64,{png}" alt="{html.escape(text_of(figure))}">'


def png_with_text(figure):
    """The figure as IPython's PNG formatter hands it on: (PNG in base64, {"alt": its text}); None for an empty figure."""
    png = _printed.pop(figure, None) or _print(figure)
    return png and (png, {"alt": text_of(figure)})


def _print(figure):
    from IPython.core.pylabtools import print_figure
    return print_figure(figure, base64=True)


def _counted(text, times):
    if times == 1:
        return text
    return f"{times} pictures." if text == "A picture." else f"{times} times: {text}"


def _plot(axes):
    title = next(filter(None, (axes.get_title(place) for place in ("left", "center", "right"))), "")
    across, up = _plain(axes.get_xlabel()), _plain(axes.get_ylabel())
    labels = [f"{up} against {across}" if up and across else up and f"upwards {up}" or across and f"from left to right {across}"]
    bars = [bars for bars in axes.containers if hasattr(bars, "datavalues")]
    drawn = (["a picture"] * bool(axes.images) + [_curve(line) for line in axes.lines if _name(line)]
             + [_bars(each, axes) for each in bars] + [_name(each) for each in axes.collections])
    said = "; ".join(part for part in labels + drawn if part)
    if not (said or title or axes.lines or axes.collections):
        return ""
    text = ": ".join(filter(None, [_plain(title) or ("" if axes.images else "plot"), said]))
    return f"{text[0].upper()}{text[1:]}."


def _curve(line):
    across, heights = (np.ma.compressed(np.ma.masked_invalid(np.asarray(line.get_data(orig=False)[axis], dtype=float))) for axis in (0, 1))
    if len(heights) < 2:
        return _name(line)
    if np.ptp(heights) == 0:
        return f"{_name(line)} at {heights[0]:.3g}"
    if np.ptp(across) == 0:
        return f"{_name(line)} upright at {across[0]:.3g}"
    if line.get_linestyle() == "None":
        return f"{_name(line)}, {len(heights)} points between {heights.min():.3g} and {heights.max():.3g}"
    return f"{_name(line)} from {heights[0]:.3g} to {heights[-1]:.3g}"


def _bars(bars, axes):
    sizes = [float(size) for size in bars.datavalues]
    ticks = axes.get_xticklabels() if bars.orientation == "vertical" else axes.get_yticklabels()
    if len(sizes) == len(ticks) <= 10:  # a name below each bar
        said = ", ".join(f"{_plain(tick.get_text())} {size:.3g}" for tick, size in zip(ticks, sizes))
    else:
        said = f"{len(sizes)} bars from {min(sizes):.3g} to {max(sizes):.3g}" if sizes else ""
    return ": ".join(filter(None, [_name(bars), said]))


def _name(artist):
    """What the legend calls it; "" where it has no name of its own."""
    label = str(artist.get_label())
    return "" if label.startswith("_") else _plain(label)


def _plain(text):
    """Text with its mathematics as one would type it: `$p_{data}$` → p_data. On one line."""
    text = re.sub(r"\\(?:mathrm|mathbf|text|operatorname)\b", "", text)
    return " ".join(re.sub(r"[${}\\]", "", text).split())
