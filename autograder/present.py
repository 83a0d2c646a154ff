"""The instructor's notebook of a lesson, executed, in two shapes: a notebook with slide marks, and one HTML file that needs nothing else.

Slides follow the headings: `#` and `##` begin one, `###` one below it, and so does code, with what stands below it up to the next; the
instructor's cells are notes; setup and checks are skipped. JupyterLab shows the marks, and `jupyter nbconvert --to slides` makes slides
of them.

In the HTML file pictures are embedded, formulas are drawn by a MathJax that is part of it, and an explorable shows its picture and
what stands below it as they were when the notebook ran. What only a room is shown isn't in it.
"""

import base64
import html
import re
from importlib.metadata import files

import nbformat
from jinja2 import DictLoader
from nbconvert import HTMLExporter

from autograder.build import execute, notebooks, outside, without_marks, write
from course_lib.files import whole

WIDGET, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
_HEADING = re.compile(r"\s*(#{1,3}) ")
_PARTS = re.compile(r"^(?=#{2,3} )", re.MULTILINE)
_SILENT = ("TextModel", "ButtonModel")  # they say nothing in a still picture
_UNSTARTED = "A training is started here by a press of a button, in the notebook and in the demo."
_PAGE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js -%}{%- endblock -%}
{%- block jupyter_widgets -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}
<script>MathJax = {tex: {inlineMath: [["$", "$"]], processEscapes: true}};</script>
<script>{{ resources.mathjax }}</script>
{%- endblock -%}
{%- block html_head_css -%}
<style>
  main { max-width: 1020px; margin: 0 auto; }
  .celltag_instructor { border-left: 4px solid #E69F00; background: #FFF8E8; padding-left: 8px; }
  details > summary { cursor: pointer; }
</style>
{%- endblock -%}
"""


def present(course, lesson, folder, again=False, report=lambda done, total, cell_id: None):
    """Write FOLDER/<lesson>.ipynb and FOLDER/<lesson>.html; returns their paths.

    What was executed already isn't again, unless the source has changed since or `again`. report: as for `build.execute`.
    Raises LessonError for a lesson that can't be built, or naming the cell that failed.
    """
    folder = outside(course, folder)
    wanted = marked(notebooks(course, lesson).solved)
    path, page = folder / f"{lesson}.ipynb", folder / f"{lesson}.html"
    if again or not _is_executed(path, wanted):
        write(path, wanted)
        execute(path, course.root, report)
    with whole(page) as unfinished:
        unfinished.write_text(as_page(nbformat.read(path, as_version=4)), encoding="utf-8")
    return path, page


def marked(notebook):
    """The notebook, with a slide mark on each cell, text in a cell for each heading, and without the lines that enclose solutions."""
    notebook.cells = [part for cell in notebook.cells for part in _parts(cell)]
    for number, cell in enumerate(notebook.cells):
        cell.source = without_marks(cell.source)
        tags, heading = cell.metadata.get("tags", ()), _HEADING.match(cell.source) if cell.cell_type == "markdown" else None
        if "instructor" in tags and "demo" not in tags:
            kind = "notes"
        elif "setup" in tags or cell.id.startswith("check-"):
            kind = "skip"
        elif heading or number == 0:
            kind = "subslide" if heading and len(heading[1]) == 3 else "slide"
        else:
            kind = "subslide" if cell.cell_type == "code" else "-"
        cell.metadata["slideshow"] = {"slide_type": kind}
    return notebook


def _parts(cell):
    """The cell, or, since only a cell can begin a slide, a cell for each heading in a text that learners see."""
    texts = [cell.source]
    if cell.cell_type == "markdown" and "nbgrader" not in cell.metadata and "instructor" not in cell.metadata.get("tags", ()):
        texts = [text.strip() for text in _PARTS.split(cell.source) if text.strip()] or texts
    return [nbformat.from_dict(cell | {"id": f"{cell.id[:60]}-{number}" if number else cell.id, "source": text})
            for number, text in enumerate(texts)]


def _is_executed(path, wanted):
    """Whether the notebook at `path` is `wanted`, run to its end."""
    try:
        there = nbformat.read(path, as_version=4)
    except (OSError, ValueError, nbformat.reader.NotJSONError, nbformat.ValidationError):
        return False
    return ([(cell.id, cell.source, cell.metadata.get("slideshow")) for cell in there.cells]
            == [(cell.id, cell.source, cell.metadata.slideshow) for cell in wanted.cells]
            and all(cell.execution_count for cell in there.cells if cell.cell_type == "code" and cell.source.strip()))


def as_page(notebook):
    """The executed notebook as HTML that loads nothing."""
    notebook.cells = [cell for cell in notebook.cells if not {"demo", "instructor"} <= set(cell.metadata.get("tags", ()))]
    models = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if WIDGET in data:
                output.data = nbformat.from_dict({"text/html": _still(data[WIDGET].get("model_id"), models)})
    notebook.metadata.pop("widgets", None)
    notebook.metadata["title"] = notebook.metadata.get("course", {}).get("title", "")
    mathjax = next(file for file in files("sphinx-mathjax-offline") if file.name == "tex-svg-full.js").locate().read_text(encoding="utf-8")
    # Without embed_images: it would close each <details> before what is folded in it, and outputs' pictures are embedded anyhow.
    exporter = HTMLExporter(template_name="lab", template_file="page", extra_loaders=[DictLoader({"page": _PAGE})])
    return exporter.from_notebook_node(notebook, resources={"mathjax": mathjax})[0]


def _still(model_id, models):
    """A widget as it stands in the state that the notebook keeps: pictures, text, and what controls are set to."""
    model = models.get(model_id)
    if model is None:
        return ""
    state = model["state"]
    if "live-training" in state.get("_dom_classes", ()):
        return f"<p>{_UNSTARTED}</p>"
    if state.get("children"):
        inside = "".join(_still(child.removeprefix("IPY_MODEL_"), models) for child in state["children"])
        return f'<div style="display:flex;flex-wrap:wrap;gap:1em;align-items:start">{inside}</div>' if model["model_name"] == "HBoxModel" else inside
    png = next((each["data"] for each in model.get("buffers", ()) if each["path"] == ["png"]), "")
    if png and base64.b64decode(png):
        text, width = state.get("alt") or state.get("label", ""), state.get("width", "auto")  # of a picture, or of a pad to draw on
        width = f"{width}px" if isinstance(width, int) else width
        return (f'<img src="data:image/png;base64,{png}" alt="{html.escape(text)}" '
                f'style="width:{html.escape(width)};max-width:100%;display:block">')
    if model["model_name"] == "HTMLModel":
        return state["value"]
    if state.get("description") and model["model_name"] not in _SILENT:
        value = state.get("value", "")
        if "_options_labels" in state:
            value = state["_options_labels"][state["index"]]
        return f"<div>{html.escape(str(state['description']))}: {html.escape(f'{value:g}' if isinstance(value, float) else str(value))}</div>"
    return ""
