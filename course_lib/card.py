"""How a verdict looks: a card in the notebook, plain text in a terminal."""

import html
import re

from course_lib.verdict import FAILED, PASSED

# Okabe and Ito's palette: told apart by readers with any colour vision; the mark and the word say it again.
LOOKS = {PASSED: ("✓", "Passed", "#009E73"), FAILED: ("✗", "Not yet", "#D55E00")}
NOT_GRADED_LOOK = ("?", "Not graded", "#0072B2")


def points_text(points):
    """1 → "1 point", 2.5 → "2.5 points"."""
    return f"{points:g} point{'' if points == 1 else 's'}"


def as_text(verdict):
    """The verdict in a few lines of plain text."""
    mark, word, _ = LOOKS.get(verdict.verdict, NOT_GRADED_LOOK)
    lines = [f"{mark} {word}: {verdict.check} ({_score(verdict)})"]
    return "\n".join(lines + [f"  {printable(line)}" for line in (verdict.hint, verdict.detail, _figures(verdict)) if line])


def as_html(verdict):
    """The verdict as a card. Everything that may come from a submission is escaped, and no page's MathJax looks for formulas in it, which
    could hold links and boxes; `code` in backticks is set as code."""
    mark, word, colour = LOOKS.get(verdict.verdict, NOT_GRADED_LOOK)
    detail = f'<div style="margin-top:4px;opacity:.75;font-size:.92em">{_inline(verdict.detail)}</div>' if verdict.detail else ""
    hint = f'<div style="margin-top:4px">{_inline(verdict.hint)}</div>' if verdict.hint else ""
    figures = f'<div style="margin-top:4px;opacity:.75;font-size:.92em">{_inline(_figures(verdict))}</div>' if verdict.figures else ""
    return (f'<div role="status" class="tex2jax_ignore mathjax_ignore" style="border-left:5px solid {colour};padding:8px 14px;margin:2px 0;line-height:1.45;'
            f'background:color-mix(in srgb,{colour} 9%,transparent);max-width:50em;overflow-wrap:anywhere">'
            f'<strong style="color:{_on_any_page(colour)}">{mark} {word}</strong> &nbsp;<code>{html.escape(verdict.check)}</code>'
            f' &nbsp;<span style="opacity:.75">{_score(verdict)}</span>{hint}{detail}{figures}</div>')


def _on_any_page(colour):
    """The colour as CSS for text: towards the page's own text colour, so that it is read on a light page and on a dark one."""
    return f"color-mix(in srgb,{colour} 65%,currentColor)"


def _score(verdict):
    if verdict.passed:
        return points_text(verdict.points)
    return f"{verdict.points:g} of {points_text(verdict.max_points)}"


def _figures(verdict):
    return "Measured: " + ", ".join(f"{name} {value:.4g}" for name, value in verdict.figures.items()) if verdict.figures else ""


def _inline(text):
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(printable(text)))


def printable(text):
    """`text` without control characters (ANSI colours among them) and lone surrogates."""
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", str(text)).encode("utf-8", "replace").decode()
    return "".join(char for char in text if char.isprintable() or char in "\n\t")
