"""Fixtures: the lessons served by JupyterLab, a page of the system's Chromium, and notebooks opened in it."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, need

from .lab import Notebook, lab_server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# The browser's own errands (updates, sync) only ask a network that tests do without.
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
         "--disable-sync", "--no-first-run"]


@pytest.fixture(scope="package")  # playwright keeps an event loop running, which other tests must not find
def browser():
    need(CHROMIUM, "no Chromium on the PATH (Debian: apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def screenshots(tmp_path):
    """Where pictures go: $SCREENSHOTS, or a folder that pytest keeps for a while."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(browser, screenshots, request):
    """A fresh page; its last sight is kept as a picture, whatever became of the test."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(10_000)
    yield page
    page.screenshot(path=screenshots / f"{request.node.name}-end.png")
    page.close()


@contextmanager
def served_course(tmp_path_factory):
    """The folder that is served, the address and the token. The course is copied, so that nothing done to it lasts."""
    course = tmp_path_factory.mktemp("course")
    for folder in ("lessons", "course_lib"):
        shutil.copytree(ROOT / folder, course / folder, ignore=shutil.ignore_patterns("__pycache__", ".*", "start.ipynb"))
    shutil.copy(ROOT / "pyproject.toml", course)
    with lab_server(course, tmp_path_factory.mktemp("jupyter")) as (address, token):
        yield course / "lessons", address, token


@pytest.fixture(scope="package")
def lab(browser, tmp_path_factory):
    with served_course(tmp_path_factory) as served:
        yield served


@pytest.fixture
def open_notebook(lab, page, screenshots):
    """open_notebook(path) opens a notebook of the served folder."""
    folder, address, token = lab

    def open_notebook(path):
        return Notebook(page, address, token, path, folder, screenshots)

    return open_notebook
