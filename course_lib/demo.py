"""A lesson's demo: a page without code, for a room. `course demo LESSON` serves it from this machine alone.

The page is made of the lesson's notebook: the cells marked `demo` are shown, its setup and its solutions run unseen before them.
In the staff's notebook those are the reference's and the demo has its questions to the room; in a learner's they are the learner's
own, and the page shows what was marked for everybody.
"""

import os
import tempfile
import webbrowser
from pathlib import Path

import nbformat

from course_lib.lessons import COURSE, LessonError

UNFINISHED = "It runs on your own code: finish the exercises that it is made of, and load this page again."
# What draws widgets. Others that are installed, nbgrader's among them, look for a JupyterLab that isn't there.
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"]


def page(notebook):
    """The demo in a lesson's notebook, as a notebook for Voilà. Raises LessonError when no cell is marked `demo`."""
    cells, shown = [], 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", ())
        if "demo" in tags:
            shown += 1
            tags = ["raises-exception"] if cell.cell_type == "code" else []  # one part that fails leaves the others
            cells.append(nbformat.from_dict(cell | {"metadata": {"tags": tags}}))
        elif cell.cell_type == "code" and ("setup" in tags or cell.metadata.get("nbgrader", {}).get("solution")):
            cells.append(nbformat.v4.new_code_cell("%%capture\n" + cell.source, id=cell.id))
    about = notebook.metadata.get("course", {})
    if not shown:
        raise LessonError(f"{about.get('lesson', 'this notebook')} has no demo: none of its cells is marked `demo`.")
    cells.insert(0, nbformat.v4.new_markdown_cell(f"# {about.get('title', '')}", id="title"))
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": notebook.metadata.get("kernelspec", {}), "title": about.get("title", "")})


def serve(notebook, name, port=8866, browser=True):
    """Serve the demo of `notebook` under `name` on this machine until Ctrl-C or SIGTERM; then nothing of it is left.

    port: the first to try. browser: whether to open it there. Raises LessonError as `page` does.
    """
    from traitlets.config import Config
    for variable, path in (("JUPYTER_PATH", Path(__file__).parent), ("PYTHONPATH", COURSE)):  # the template; course_lib for the kernel
        os.environ[variable] = os.pathsep.join(filter(None, [str(path), os.environ.get(variable)]))
    from voila.app import Voila

    class Demo(Voila):
        def launch_browser(self):
            """Voilà's own leaves a file in the temporary folder."""
            print(f"The demo of {name} is at {self.connection_url} and nowhere else. Ctrl-C ends it.", flush=True)
            if browser:
                webbrowser.open(self.connection_url)

    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        path = Path(folder) / f"{name}.ipynb"
        nbformat.write(page(notebook), path)
        app = Demo(config=Config(Voila={"ip": "127.0.0.1", "port": port, "log_level": "ERROR", "connection_dir_root": folder},
                                 VoilaConfiguration={"template": "course", "extension_allowlist": EXTENSIONS},
                                 VoilaExecutor={"cell_error_instruction": UNFINISHED}))
        app.initialize([str(path)])
        app.start()
