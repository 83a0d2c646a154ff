"""A lesson's demo: a page without code, for a room. `course demo LESSON` serves it from this machine alone.

The page is made of the lesson's notebook: the cells marked `demo` are shown, its setup and its solutions run unseen before them.
In the staff's notebook those are the reference's and the demo has its questions to the room; in a learner's they are the learner's
own, and the page shows what was marked for everybody.

What answers a question stays covered until somebody presses "Show".
"""

import os
import tempfile
import webbrowser
from pathlib import Path

import nbformat

from course_lib.lessons import COURSE, LessonError

UNFINISHED = "It runs on your own code: finish the exercises that it is made of, and load this page again."
COVER = '<details class="cover"><summary>Show</summary></details>'  # the template hides what stands below it while it is closed
# What draws widgets. Others that are installed, nbgrader's among them, look for a JupyterLab that isn't there.
EXTENSIONS = ["@voila-dashboards/widgets-manager8", "@jupyter-widgets/jupyterlab-manager", "anywidget"]


def page(notebook):
    """The demo in a lesson's notebook, as a notebook for Voilà. Raises LessonError when no cell is marked `demo`."""
    cells, shown = [], 0
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", ())
        if "demo" in tags:
            shown += 1
            marks = ["raises-exception"] if cell.cell_type == "code" else tags  # one part that fails leaves the others
            cells.append(nbformat.from_dict(cell | {"metadata": {"tags": marks}}))
        elif cell.cell_type == "code" and ("setup" in tags or cell.metadata.get("nbgrader", {}).get("solution")):
            cells.append(nbformat.v4.new_code_cell("%%capture\n" + cell.source, id=cell.id))
    about = notebook.metadata.get("course", {})
    if not shown:
        raise LessonError(f"{about.get('lesson', 'this notebook')} has no demo: none of its cells is marked `demo`.")
    _cover_answers(cells)
    cells.insert(0, nbformat.v4.new_markdown_cell(f"# {about.get('title', '')}", id="title"))
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": notebook.metadata.get("kernelspec", {}), "title": about.get("title", "")})


def _cover_answers(cells):
    """Put a COVER over the last part between each question to the room and the next text; those before it belong to the question."""
    answer = None
    for place, cell in reversed(list(enumerate(cells))):
        tags = cell.metadata.get("tags", ())
        if cell.cell_type == "code":
            answer = place if answer is None and "raises-exception" in tags else answer
        else:
            if answer is not None and "instructor" in tags:
                cells.insert(answer, nbformat.v4.new_markdown_cell(COVER, id=f"cover-{answer}"))
            answer = None


def serve(notebook, name, port=8866, browser=True):
    """Serve the demo of `notebook` under `name` on this machine until Ctrl-C or SIGTERM; then nothing of it is left.

    port: the first to try. browser: whether to open it there. Raises LessonError as `page` does.
    """
    from traitlets.config import Config
    for variable, path in (("JUPYTER_PATH", Path(__file__).parent), ("PYTHONPATH", COURSE)):  # the template; course_lib for the kernel
        os.environ[variable] = os.pathsep.join(filter(None, [str(path), os.environ.get(variable)]))
    from jupyter_server.base.websocket import WS_PING_INTERVAL
    from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
    from voila.app import Voila
    from voila.shutdown_kernel_handler import VoilaShutdownKernelHandler

    # A page that closes asks for its kernel's end without the token that forms carry; who could forge that would have to know the kernel's id.
    VoilaShutdownKernelHandler.check_xsrf_cookie = lambda handler: None

    class QuietKernels(AsyncMappingKernelManager):
        async def _async_start_kernel(self, **options):
            """A kernel warns that it isn't encrypted, on this machine itself."""
            return await super()._async_start_kernel(**options | {"extra_arguments": ["--IPKernelApp.log_level=ERROR"]})

        start_kernel = _async_start_kernel

    class Demo(Voila):
        def launch_browser(self):
            """Voilà's own leaves a file in the temporary folder."""
            print(f"The demo of {name} is at {self.connection_url} and nowhere else. Ctrl-C ends it.", flush=True)
            if browser:
                webbrowser.open(self.connection_url)

    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        path = Path(folder) / f"{name}.ipynb"
        nbformat.write(page(notebook), path)
        app = Demo(config=Config(Voila={"ip": "127.0.0.1", "port": port, "log_level": "ERROR", "connection_dir_root": folder,
                                        "tornado_settings": {"ws_ping_timeout": WS_PING_INTERVAL}},  # its own is longer, and warned about
                                 VoilaConfiguration={"template": "course", "extension_allowlist": EXTENSIONS,
                                                     "multi_kernel_manager_class": QuietKernels},
                                 VoilaExecutor={"cell_error_instruction": UNFINISHED}))
        app.initialize([str(path)])
        app.start()
