"""A JupyterLab of the test's own, and a learner's hands in it: open, read, type, run, slide.

The server runs with settings of its own, so that nobody's configuration or open tabs matter. A cell is named by its id
(the build makes ids from names) or found by a text in its source.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import expect

READY_S = 60  # a cold start of JupyterLab on a busy machine
RUN_S = 60  # a cell: the first one imports torch
COURSE_LAB = [sys.executable, "-c", "from course_lib.cli import main; main()", "lab", "--"]
SLIDER = ".noUi-handle, input[type=range]"  # ipywidgets' own, and a page's own

# Every cell stays in the page: by default JupyterLab drops those that are scrolled out of sight.
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},
}


@contextmanager
def lab_server(folder, home, command=COURSE_LAB):
    """Run a JupyterLab in `folder`; yields its address and its token.

    `command` starts it: by default `course lab`, as `make lab` does, for a folder that holds lessons/ and course_lib/ as a
    release does. `home` is an empty folder for the server's settings and log. On leaving, the server and every kernel are
    gone: one that had to be killed is an error.
    """
    for name, settings in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(settings))
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "PYTHONPATH": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    options = ["--no-browser", "--ServerApp.port=0"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")
    log = home / "server.log"
    with log.open("w") as output:
        server = psutil.Popen([*command, *options], env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                              stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        yield _address_when_ready(server, home / "runtime", log)
    finally:
        _end(server)


def _address_when_ready(server, runtime, log):
    """The server writes its address, with the port it was given and its token, once it listens."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                facts = json.loads(file.read_text())
            except ValueError:  # being written
                continue
            return f"http://127.0.0.1:{facts['port']}", facts["token"]
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab ended, or did not start within {READY_S} s:\n{log.read_text()[-4000:]}")


def _end(server):
    """Ask the server to stop, which ends its kernels too; kill what is left, and say so."""
    if server.poll() is not None:
        return
    family = [server, *server.children(recursive=True)]  # a kernel has a session of its own: a group's end misses it
    server.send_signal(signal.SIGTERM)
    _, alive = psutil.wait_procs(family, timeout=20)
    for process in alive:
        process.kill()
    psutil.wait_procs(alive, timeout=5)
    if alive:
        raise RuntimeError(f"still running after JupyterLab was told to stop, and killed: {alive}")


class Notebook:
    """One notebook open in JupyterLab, as its reader sees it."""

    def __init__(self, page, address, token, path, folder, screenshots):
        """Open `path` (relative to the served `folder`) and wait until its kernel is idle."""
        self.page, self.screenshots = page, Path(screenshots)
        cells = json.loads((Path(folder) / path).read_text())["cells"]
        self.ids = [cell["id"] for cell in cells]
        self.code = {cell["id"] for cell in cells if cell["cell_type"] == "code"}
        page.goto(f"{address}/lab/tree/{path}?token={token}&reset")
        self.root = page.locator(".jp-Notebook").first
        expect(self.root).to_be_visible(timeout=READY_S * 1000)
        expect(self.root.locator(".jp-Cell")).to_have_count(len(self.ids), timeout=READY_S * 1000)
        self.wait_idle()

    def wait_idle(self):
        """Wait for a kernel, and for its rest: before there is one, the indicator says "idle" too, and a run is lost."""
        panel = self.page.locator(".jp-NotebookPanel").first
        expect(panel.locator(".jp-KernelName")).to_have_text(re.compile("Python"), timeout=READY_S * 1000)
        indicator = panel.locator(".jp-Notebook-ExecutionIndicator")
        expect(indicator).to_have_attribute("data-status", "idle", timeout=READY_S * 1000)

    def cell(self, name):
        """The cell with this id, or else the one code cell whose source contains `name`."""
        if name in self.ids:
            return self.root.locator(".jp-Cell").nth(self.ids.index(name))
        found = self.root.locator(".jp-CodeCell").filter(has=self.page.locator(".jp-InputArea-editor", has_text=name))
        expect(found).to_have_count(1)
        return found

    def write(self, name, source):
        """Replace the source of a cell, as if pasted into it."""
        editor = self.cell(name).locator(".cm-content")
        editor.scroll_into_view_if_needed()
        editor.fill(source)

    def run(self, name, timeout=RUN_S):
        """Run one cell with Ctrl+Enter and wait until it has finished; returns the cell. Seconds."""
        cell = self.cell(name)
        prompt = cell.locator(".jp-InputPrompt")
        before = prompt.inner_text()
        cell.scroll_into_view_if_needed()
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Control+Enter")
        # The number only grows, so a new one means that this run is over.
        expect(prompt).not_to_have_text(before, timeout=5000)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]"), timeout=timeout * 1000)
        return cell

    def output(self, name):
        """The outputs of a cell: a locator, for `expect(...).to_contain_text(...)`."""
        return self.cell(name).locator(".jp-Cell-outputWrapper")

    def slide(self, name, steps, which=0):
        """Move a slider in a cell's output by `steps` presses of an arrow key (negative: to the left)."""
        handle = self.output(name).locator(SLIDER).nth(which)
        handle.scroll_into_view_if_needed()
        handle.focus()
        for _ in range(abs(steps)):
            self.page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")

    def drawn(self, name):
        """What a cell's output shows apart from its controls: its pictures and text, to be compared later."""
        return self.output(name).locator("img, canvas, svg, pre").evaluate_all(
            "shown => shown.map(it => it.tagName == 'CANVAS' ? it.toDataURL() : it.outerHTML)")

    def until(self, condition, what, timeout=10):
        """Wait until `condition()` holds; `what` says what was waited for. Seconds."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
            self.page.wait_for_timeout(100)

    def screenshot(self, title, of=None):
        """Keep a picture of the page, or of a cell's whole output, as <title>.png."""
        (self.output(of) if of else self.page).screenshot(path=self.screenshots / f"{title}.png")
