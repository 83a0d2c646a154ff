"""A demonstrator in front of a room, and the instructor's page: with every network but this machine's own cut off."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest
from conftest import ROOT
from playwright.sync_api import expect
from toy_course import SOURCE, make_course

from autograder import build, present

READY_S = 240  # the server and the demo's cells, on a busy machine
COURSE = [sys.executable, "-c", "import sys; from course_lib.cli import main; sys.exit(main())"]


@contextmanager
def demo_server(lesson, folder):
    """`course demo LESSON` as from a shell, ended as by Ctrl-C; yields its address. Afterwards nothing of it may be left."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "COURSE_SCALE": "smoke"}
    log = (folder / "log").open("w+")
    server = psutil.Popen([*COURSE, "demo", lesson, "--no-browser", "--port", "18866"], env=environment, cwd=ROOT,
                          stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + READY_S
        while not (found := re.search(r"http://127\.0\.0\.1:\d+/", (folder / "log").read_text())):
            assert server.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield found[0]
        family = [server, *server.children(recursive=True)]
        server.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive and not list(folder.glob("demo-*")), f"left: {alive}, {list(folder.iterdir())}"
        assert server.returncode == 0
    finally:
        if server.poll() is None:
            for process in [*server.children(recursive=True), server]:
                process.kill()
        log.close()


@pytest.fixture
def offline(page):
    """The page without a network; yields what it asked for elsewhere and what went wrong in it."""
    outside, errors = [], []

    def only_here(route):
        if re.match(r"(http|ws)://127\.0\.0\.1:|file://|data:|blob:", route.request.url):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    page.route("**/*", only_here)
    page.on("response", lambda response: errors.append((response.status, response.url)) if response.status >= 400 else None)
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return outside, errors


def test_a_demonstrator_in_front_of_a_room(page, offline, screenshots, tmp_path):
    outside, errors = offline
    page.set_default_timeout(60_000)
    with demo_server("gan_math", tmp_path) as address:
        page.goto(address, timeout=READY_S * 1000)
        expect(page.get_by_role("heading", name="The mathematics of GANs")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("Show", exact=True).first).to_be_visible(timeout=60_000)
        assert not any(handle.is_visible() for handle in page.locator(".noUi-handle").all())  # no answer before its question
        for _ in page.get_by_text("Show", exact=True).all():
            page.get_by_text("Show", exact=True).locator("visible=true").first.click()
        expect(page.locator(".noUi-handle").first).to_be_visible(timeout=60_000)
        assert page.locator("mjx-container").count() > 3  # formulas are drawn
        assert page.get_by_text("Ask the room").count() >= 4 and page.get_by_text("def gan_value").count() == 0

        readout = page.get_by_role("status").first
        expect(readout).to_contain_text("D* = 0.881")
        page.locator(".noUi-handle").first.focus()
        page.keyboard.press("ArrowRight")
        expect(readout).not_to_contain_text("D* = 0.881")

        step = page.get_by_role("status").filter(has_text=re.compile(r"Step \d+: \d of 8 modes"))
        number = lambda: int(re.search(r"Step (\d+)", step.inner_text())[1])
        assert number() == 0
        page.get_by_role("button", name="Start", exact=True).first.click()
        expect(step).not_to_contain_text("Step 0:")
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.get_by_text("Paused.")).to_be_visible()
        paused_at = number()
        page.wait_for_timeout(1500)
        assert number() == paused_at > 0
        page.get_by_role("button", name="Go on", exact=True).click()
        expect(step).not_to_contain_text(f"Step {paused_at}:")
        page.get_by_role("button", name="Pause", exact=True).click()
        page.get_by_role("button", name="Reset", exact=True).first.click()
        expect(step).to_contain_text("Step 0:")
        page.screenshot(path=screenshots / "demo.png")
        page.goto("about:blank")  # else it complains when the server ends
    assert not outside and not errors, (outside, errors)


def test_the_instructors_page_draws_its_formulas_by_itself(page, offline, screenshots, tmp_path):
    outside, errors = offline
    course = make_course(tmp_path / "course", SOURCE)
    file = tmp_path / "toy.html"
    file.write_text(present.as_page(present.marked(build.notebooks(course, "toy").solved)), encoding="utf-8")
    page.goto(file.as_uri())
    expect(page.locator("mjx-container svg").first).to_be_visible(timeout=60_000)
    page.screenshot(path=screenshots / "presented.png")
    assert not outside and not errors, (outside, errors)
