"""Makes the course's pages for reading without running: lessons with their results, this project's guides, a search.

    solutions/ ── build, execute ─▶ executed/ ── page ─▶ source/ ── Sphinx ─▶ html

The pages are made by Sphinx with MyST-NB (notebooks) and the Sphinx Book Theme, and need nothing from any network: MathJax,
fonts and the search index lie beside them. By default a page has no solution: an exercise shows what the learner gets,
with the check's card and all that the lesson draws and prints below it. With solutions, those are folded away below the
stub. Instructor's cells are in neither. Before anything is written, each page is searched for what learners don't get.

What runs on a kernel only, an explorable, stands there as a still, with the names of what it is moved by.
"""

import copy
import dataclasses
import hashlib
import html
import io
import json
import re
import shutil
import socket
from base64 import b64decode
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import nbformat
from myst_nb.core.render import NbElementRenderer

from autograder import build
from autograder.errors import LessonError
from autograder.release import PERSONAL_PATH
from course_lib.card import points_text, printable
from course_lib.lessons import in_order
from course_lib.scale import current_scale

CSS = Path(__file__).with_name("website.css")
MATHJAX = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions")
WIDGET_VIEW, WIDGET_STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"

SETTINGS = {
    "extensions": ["myst_nb", "sphinx_design"],
    "html_theme": "sphinx_book_theme",
    "html_theme_options": {"use_download_button": False, "use_fullscreen_button": False, "home_page_in_toc": True, "navbar_persistent": [],
                           "show_toc_level": 2, "pygments_light_style": "a11y-high-contrast-light",
                           "pygments_dark_style": "a11y-high-contrast-dark"},
    "html_context": {"default_mode": "auto"},
    "html_static_path": ["_static"], "html_css_files": ["website.css"],
    "html_copy_source": False, "html_show_sourcelink": False, "html_show_sphinx": False,
    "language": "en", "smartquotes": False, "author": "", "html_show_copyright": False,
    "myst_enable_extensions": ["dollarmath", "amsmath", "colon_fence"], "myst_heading_anchors": 4,
    "mathjax_path": "mathjax/tex-chtml.js", "mathjax3_config": {"options": {"enableMenu": False}},
    "nb_execution_mode": "off", "nb_render_plugin": "course", "nb_merge_streams": True, "nb_output_stderr": "remove",
    "nb_ipywidgets_js": {}, "nb_code_prompt_show": "Show the solution", "nb_code_prompt_hide": "Hide the solution",
    # A lesson goes from ## to #### where an exercise is no section; links are looked for in text, not in outputs.
    "suppress_warnings": ["myst.header", "mystnb.mime_priority"],
    "linkcheck_anchors": True,
}


def make(course, lessons, out, work, solutions=False, external=False, run=None):
    """Make the pages of these lessons and of the guides in the folder `out`. Returns {index, pages, external: addresses not asked}.

    work: a folder for what is kept between runs: executed notebooks (a lesson runs again when it, course_lib or the scale
    has changed) and Sphinx's own. external: also ask the addresses of other sites that pages link to.
    run: (lesson, path, course) → None, runs the notebook at `path` and saves it with its outputs. Raises LessonError, a line each for what is wrong: a lesson that doesn't run, a
    page that holds what readers don't get, a picture without a text, a broken link. Then `out` is as it was.
    """
    out, work = Path(out), Path(work)
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").is_file():
        raise LessonError(f"{course.shown(out)} holds something else than such pages; name another folder")
    pages = {lesson: page(course, lesson, executed(course, lesson, work / "executed", run), solutions) for lesson in lessons}
    wrong = [problem for lesson, made in pages.items() for problem in problems(course, lesson, made, solutions)]
    if wrong:
        raise LessonError(wrong)
    _write_all(work / "source", _source(course, pages, solutions))
    shutil.rmtree(work / "html", ignore_errors=True)
    _run_sphinx(work, "html")
    _run_sphinx(work, "linkcheck", {} if external else {"linkcheck_ignore": ["https?://"]})
    asked = [json.loads(line) for line in (work / "linkcheck" / "output.json").read_text(encoding="utf-8").splitlines()]
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(work / "html", out, ignore=shutil.ignore_patterns(".doctrees", ".buildinfo*", "objects.inv"))
    return {"index": course.shown(out / "index.html"), "pages": len(list((work / "source").rglob("*.md"))) + len(pages),
            "external": sorted({link["uri"] for link in asked if link["status"] == "ignored"})}


# --- The lessons, executed ---

def executed(course, lesson, folder, run=None):
    """The lesson's solved notebook with its outputs: the one kept in `folder`, or run now, which takes minutes at the scale cpu."""
    solved = build.notebooks(course, lesson).solved
    kept = folder / f"{lesson}-{_key(course, lesson, solved)}"
    path = kept / lesson / f"{lesson}.ipynb"
    if not path.is_file():
        unfinished = folder / f"{lesson}-unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        made = build.build_to(course, lesson, unfinished, "solved")
        run(lesson, made, course) if run else build.execute(made, course.root)
        for old in folder.glob(f"{lesson}-*"):
            if old != unfinished:
                shutil.rmtree(old)
        unfinished.rename(kept)
    return nbformat.read(path, as_version=4)


def _key(course, lesson, solved):
    """What a lesson's results depend on: its cells, the helper library but for other lessons' own modules, and the scale."""
    others = set(course.lessons()) - {lesson}
    files = [path for path in sorted((course.root / "course_lib").rglob("*.*")) if path.suffix in (".py", ".snapshot") and path.stem not in others]
    digest = hashlib.sha256(f"{build.as_text(solved)}{current_scale().value}".encode())
    for path in files:
        digest.update(path.relative_to(course.root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


# --- From an executed notebook to a page ---

def page(course, lesson, notebook, solutions=False):
    """The notebook of the page: `notebook`, solved and executed, without what readers don't get and what needs a kernel.

    Its second cell says whose results are on it.
    """
    built = build.notebooks(course, lesson)
    stubs, sources = ({cell.id: cell.source for cell in each.cells} for each in (built.released, built.source))
    widgets = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    made = nbformat.v4.new_notebook(metadata={key: notebook.metadata[key] for key in ("kernelspec", "language_info", "course")})
    for cell in notebook.cells:
        if "instructor" in cell.metadata.get("tags", ()):
            continue
        cell = copy.deepcopy(cell)
        marks, cell.metadata = cell.metadata.get("nbgrader", {}), nbformat.NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [shown for output in cell.outputs for shown in _still(output, widgets)]
        if marks.get("solution"):
            made.cells += _exercise(cell, stubs[cell.id], sources[cell.id], marks, solutions)
        else:
            made.cells.append(cell)
    note = FOR_READING.format(where="are folded away below them" if solutions else "aren't shown")
    made.cells.insert(1, nbformat.v4.new_markdown_cell(note, id="for-reading"))
    return made


FOR_READING = """\
:::{{note}}
This page is for reading. The exercises stand as you would get them; the results and verdicts are those of the solutions, which {where}.
Where it says `?` for a prediction, yours will stand. To do all this yourself, [set the course up](../../README.md).
:::"""


def _exercise(cell, stub, source, marks, solutions):
    """The cells in the place of a solution cell or of a question in words: what learners get and, with solutions, the answer."""
    answer = copy.deepcopy(cell)
    answer.id = f"{cell.id}-answer"
    if cell.cell_type == "code":
        cell.source = stub
        answer.source = build.without_marks(answer.source)
        answer.metadata["tags"] = ["hide-input"]
        if solutions:
            cell.outputs = []
    else:
        hidden = ["\n".join(region) for region in build.regions(source)]
        answer.source = "\n\n".join(["<details><summary>A model answer</summary>", *hidden, "</details>"])
        cell.source = f"> Here you answer in your own words. A person grades it: {points_text(marks['points'])}."
        solutions = solutions and hidden
    return [cell, answer] if solutions else [cell]


def _still(output, widgets):
    """The outputs in the place of one: itself, or what can be shown of a widget without a kernel, if anything."""
    data = output.get("data", {})
    view = data.get(WIDGET_VIEW)
    if "image/png" in data:
        data.pop("text/html", None)  # the same picture, for JupyterLab
    if view is None:
        return [output]
    tree = list(_tree(view["model_id"], widgets))
    pictures = [(buffer["data"], model["state"].get("alt") or model["state"].get("label", ""))
                for model in tree for buffer in model.get("buffers", ()) if buffer["path"] == ["png"] and buffer["data"]]
    if not pictures:
        return []
    labels = [(model["model_name"] == "HTMLModel", model["state"]) for model in tree]
    title = next((state["value"] for is_text, state in labels if is_text), "")
    moved = dict.fromkeys(state["description"] for is_text, state in labels if not is_text and state.get("description"))
    hands = f" In the notebook you move it by hand: {html.escape(', '.join(moved))}." if moved else ""
    said = html.escape(" ".join(dict.fromkeys(alt for _, alt in pictures)))
    return [_output({"text/html": f'<div class="still-title">{title}</div>'}),
            *(_output({"image/png": png}, {"image/png": {"alt": alt}}) for png, alt in pictures),
            _output({"text/html": f'<p class="still-text">{said}<br><em>A still.{hands}</em></p>'})]


def _tree(model_id, widgets):
    """The widget with this id, and all in it."""
    model = widgets.get(model_id)
    if model is not None:
        yield model
        for child in model["state"].get("children", ()):
            yield from _tree(child.removeprefix("IPY_MODEL_"), widgets)


def _output(data, metadata=None):
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata or {})


class PictureRenderer(NbElementRenderer):
    """MyST-NB's own renderer, which takes a picture's text from the output's metadata too, as nbconvert does."""

    def render_image(self, data):
        """An <img> with the text alternative that the output brings along."""
        nodes = super().render_image(data)
        for node in nodes:
            node["alt"] = data.output_metadata.get(data.mime_type, {}).get("alt", "")
        return nodes


# --- What must not be on a page, and what must ---

def problems(course, lesson, made, solutions=False):
    """One line for each thing on a page that readers don't get, a path of somebody's machine, and a picture without text."""
    source = build.read(course, lesson)
    if solutions:
        source = dataclasses.replace(source, cells=[cell for cell in source.cells if cell.kind == "instructor"])
    secrets = build.secrets(source)
    found = []
    for cell in made.cells:
        outputs = cell.get("outputs", ())
        text = "\n".join([cell.source, *(text for output in outputs for text in _texts(output))])
        found += [f"{lesson}: cell `{cell.id}` shows line {number} of {course.shown(course.source(lesson))}, which readers don't get: `{line}`"
                  for number, line in secrets if build.leaks(line, text)]
        if str(course.root) in text or PERSONAL_PATH.search(text):
            found.append(f"{lesson}: cell `{cell.id}` shows a path of this machine")
        found += [f"{lesson}: cell `{cell.id}` shows a picture without a text: give the figure a title or labels, or the output an alt"
                  for output in outputs if "image/png" in output.get("data", {}) and not output.metadata.get("image/png", {}).get("alt")]
    return found


def _texts(output):
    data = output.get("data", {})
    return [output.get("text", ""), *(value for kind, value in data.items() if kind.startswith("text/")),
            *(each.get("alt", "") for each in output.get("metadata", {}).values() if isinstance(each, dict))]


# --- From pages to HTML ---

def _source(course, pages, solutions):
    """What Sphinx reads: {path: bytes}."""
    guides = [path for path in [course.root / "README.md", *sorted((course.root / "docs").glob("*.md"))] if path.is_file()]
    files = {path.relative_to(course.root).as_posix(): path.read_bytes() for path in guides}
    about = {lesson: made.metadata.course for lesson, made in pages.items()}
    order = [each.name for each in in_order(SimpleNamespace(**{"place": float("inf"), **each}, name=lesson) for lesson, each in about.items())]
    for lesson in order:
        files[f"lessons/{lesson}/{lesson}.ipynb"] = build.as_text(pages[lesson]).encode()
    files |= {f"pictures/{lesson}.png": picture for lesson in order if (picture := _cover(course, lesson, pages[lesson]))}
    cards = "\n".join(_card(course, lesson, number, pages[lesson], about, f"pictures/{lesson}.png" in files)
                      for number, lesson in enumerate(order, 1))
    heading, introduction = re.search(r"^# (.+)\n+((?:.+\n)*)", files.get("README.md", b"# Lessons\n").decode(), re.MULTILINE).groups()
    files["index.md"] = INDEX.format(
        heading=heading, introduction=introduction, cards=cards,
        solutions="Each exercise has its solution, folded away." if solutions else "The solutions aren't in them.",
        toctrees="\n\n".join(_toctree(caption, entries) for caption, entries in [
            ("Lessons", [f"lessons/{lesson}/{lesson}" for lesson in order]),
            ("Guide", ["Set it up and use it <README>"] if "README.md" in files else []),
            ("For those who teach and write lessons", sorted(name.removesuffix(".md") for name in files if name.startswith("docs/")))]
            if entries)).encode()
    files["_static/website.css"] = CSS.read_bytes()
    mathjax = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for part in MATHJAX:
        for path in [mathjax / part, *(mathjax / part).rglob("*")]:
            if path.is_file():
                files[f"_static/mathjax/{path.relative_to(mathjax).as_posix()}"] = path.read_bytes()
    return files


INDEX = """\
# {heading}

{introduction}
**These pages are for reading**: every lesson with what it draws and prints. {solutions} To write the code yourself, and to be told
at once whether it is right, [set the course up](README.md).

## The lessons

`````{{grid}} 1 1 2 2
:gutter: 3

{cards}
`````

{toctrees}
"""


def _toctree(caption, entries):
    """A part of the list of pages at the side."""
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"])


def _card(course, lesson, number, made, about, has_picture):
    """A lesson's place on the map: its picture, how it begins, and what it takes and builds on."""
    graded = [cell.metadata.nbgrader for cell in build.notebooks(course, lesson).released.cells if cell.metadata.get("nbgrader", {}).get("grade")]
    before = [about[name].title if name in about else name for name in about[lesson].builds_on]
    takes = [f"{about[lesson].minutes} minutes at the keyboard", points_text(sum(marks.points for marks in graded))]
    beginning = next((part for part in made.cells[0].source.split("\n\n") if not part.startswith("#")), "")
    picture = f":img-top: pictures/{lesson}.png\n:img-alt: {about[lesson].title}\n" if has_picture else ""
    return (f"````{{grid-item-card}} {number} · {about[lesson].title}\n:link: lessons/{lesson}/{lesson}\n:link-type: doc\n{picture}\n"
            f"{beginning}\n```{{card-footer}}\n{' · '.join(takes)}{' · builds on ' + ', '.join(before) if before else ''}\n```\n````")


def _cover(course, lesson, made):
    """The picture on a lesson's card, PNG: the last of the cell that the source's front matter names as `cover`; None without one."""
    cover = build.read(course, lesson).metadata.get("cover")
    drawn = [output.data["image/png"] for cell in made.cells if cell.id == cover for output in cell.get("outputs", ())
             if "image/png" in output.get("data", {})]
    if cover and not drawn:
        raise LessonError(f"{course.shown(course.source(lesson))}: its cover is to be drawn by the cell `{cover}`, and no cell of that id draws")
    return b64decode(drawn[-1]) if drawn else None


def _write_all(folder, files):
    """Make `folder` hold these files, {path: bytes}, and no others. What is there already isn't touched: Sphinx reads only what is new."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        path = folder / name
        if not path.is_file() or path.read_bytes() != content:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _run_sphinx(work, builder, settings={}):
    """Run one of Sphinx's builders from work/source to work/<builder>. Raises LessonError with all that it warns of."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils
    warnings, source, doctrees = io.StringIO(), work.resolve() / "source", work.resolve() / "doctrees"
    title = (source / "index.md").read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
    patience = socket.getdefaulttimeout()  # the link checker sets one, for all that this process does from then on
    with patch_docutils(source), docutils_namespace():
        app = Sphinx(source, None, work.resolve() / builder, doctrees, builder, SETTINGS | settings | {"project": title, "html_title": title},
                     status=None, warning=warnings)
        try:
            app.build()
        finally:
            socket.setdefaulttimeout(patience)
    found = [printable(line.replace(f"{source}/", "")) for line in warnings.getvalue().splitlines() if line.strip()]
    if found or app.statuscode:
        shutil.rmtree(doctrees)  # else a second run wouldn't read these pages, and not warn
        raise LessonError(found or [f"Sphinx's builder {builder} failed"])
