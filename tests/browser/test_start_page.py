"""The page that JupyterLab opens on: seen without running anything, brought up to date by a cell, and its links lead to lessons."""

import json
import re

import pytest
from playwright.sync_api import expect

from .conftest import served_course
from .lab import READY_S


@pytest.fixture
def lab(browser, tmp_path_factory):
    """A server of its own: where others have worked, JupyterLab opens what they had open, and something has been passed."""
    with served_course(tmp_path_factory) as served:
        yield served


def test_the_page_that_jupyterlab_opens_on(lab, page, screenshots):
    folder, address, token = lab
    gan_math = json.loads((folder / "gan_math" / "gan_math.ipynb").read_text())["metadata"]["course"]["title"]

    page.goto(f"{address}/?token={token}")  # no path: what a browser is sent to
    notebook = page.locator(".jp-Notebook").first
    expect(notebook.get_by_role("heading", name="Rebuild by hand")).to_be_visible(timeout=READY_S * 1000)
    assert page.url.partition("?")[0].endswith("/lab/tree/start.ipynb")
    output = notebook.locator(".jp-RenderedMarkdown.jp-OutputArea-output")
    expect(output.get_by_role("heading", name="Where you stand")).to_be_visible()
    expect(output).to_contain_text("0 of")
    expect(output.get_by_role("link", name=gan_math).first).to_be_visible()
    expect(output.get_by_role("heading", name="This machine")).to_be_visible()
    page.screenshot(path=screenshots / "start-1-opened.png")

    # A check passed since: running the cell shows it.
    (folder / "gan_math" / ".progress.json").write_text(json.dumps({"lesson": "gan_math", "verdicts": {"gan_value": "passed"}}))
    try:
        panel = page.locator(".jp-NotebookPanel").first
        expect(panel.locator(".jp-KernelName")).to_have_text(re.compile("Python"), timeout=READY_S * 1000)
        expect(panel.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute("data-status", "idle", timeout=READY_S * 1000)
        output.get_by_role("heading", name="Where you stand").click()
        page.keyboard.press("Shift+Enter")
        expect(output).to_contain_text("1 of", timeout=60_000)
        expect(output).to_contain_text(re.compile(r"Go on with .*next is optimal_discriminator"))
        page.screenshot(path=screenshots / "start-2-brought-up-to-date.png")

        notebook.locator(".jp-CodeCell", has_text="doctor.main()").locator(".cm-content").click()
        page.keyboard.press("Shift+Enter")
        expect(notebook).to_contain_text("Everything the course needs is here", timeout=60_000)
        page.screenshot(path=screenshots / "start-3-doctor.png")
        expect(page.get_by_text("official Jupyter news")).to_have_count(0)

        output.get_by_role("link", name=gan_math).first.click()
        expect(page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab", has_text="gan_math.ipynb")).to_be_visible(timeout=20_000)
        expect(page.get_by_role("heading", name=gan_math).first).to_be_visible(timeout=20_000)
        page.screenshot(path=screenshots / "start-4-lesson-opened.png")
    finally:
        (folder / "gan_math" / ".progress.json").unlink()
