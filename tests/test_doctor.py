"""`course doctor`: each failure that it can find is made here, and found, with a remedy."""

import json
import shutil
import subprocess
import sys
import webbrowser
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import ROOT

from course_lib import cli, doctor
from course_lib.doctor import AMISS, NOTE, OK


def only(checkup):
    finding, = checkup()
    assert finding.remedy or finding.state == OK
    return finding


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course in a folder of the test's own: one lesson, and the pins."""
    for name in ("pyproject.toml", "lessons/gan_math/gan_math.ipynb", "course_lib/checks/gan_math.snapshot"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    monkeypatch.setattr(doctor, "COURSE", tmp_path)
    monkeypatch.setattr("course_lib.lessons.COURSE", tmp_path)
    monkeypatch.setattr("course_lib.progress.__file__", str(tmp_path / "course_lib" / "progress.py"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


Version = namedtuple("Version", "major minor micro")


@pytest.mark.parametrize("version, state", [((3, 10, 9), AMISS), ((3, 11, 7), OK), ((3, 12, 1), NOTE)])
def test_python(monkeypatch, version, state):
    monkeypatch.setattr(doctor.sys, "version_info", Version(*version))
    finding = only(doctor.python)
    assert finding.state == state and ".".join(map(str, version)) in finding.found


def test_packages_of_this_environment_are_as_pinned():
    finding = only(doctor.packages)
    assert finding.state == OK, finding


@pytest.mark.parametrize("name, version, words", [
    ("safetensors", None, "missing: safetensors"), ("torch", "2.9.0+cpu", "torch 2.9.0+cpu (the course asks for"),
    ("numpy", "2.1.0", "numpy 2.1.0 (d2l asks for 1.23.5)")])
def test_a_package_that_is_missing_or_another(monkeypatch, name, version, words):
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda each: version if each == name else real(each))
    finding = only(doctor.packages)
    assert finding.state == AMISS and words in finding.found and "make setup" in finding.remedy
    monkeypatch.setattr(doctor.sys, "version_info", Version(3, 12, 1))  # a hosted notebook has its own
    assert only(doctor.packages).state == NOTE


def test_a_local_build_of_the_same_version_is_the_same(monkeypatch):
    real = doctor.installed
    monkeypatch.setattr(doctor, "installed", lambda each: real(each) + "+cu130" if each == "torch" else real(each))
    assert only(doctor.packages).state == OK


@pytest.mark.parametrize("text", [None, "[project\n", "[project]\n"])
def test_pins_that_cant_be_read(course, text):
    (course / "pyproject.toml").unlink() if text is None else (course / "pyproject.toml").write_text(text)
    assert only(doctor.packages).state == AMISS


@pytest.mark.parametrize("free, state", [(50e9, OK), (1e9, NOTE), (1e8, AMISS)])
def test_disk(monkeypatch, free, state):
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    assert {finding.state for finding in doctor.disk()} == {state}


def test_lessons_that_cant_be_written_to(course, monkeypatch):
    monkeypatch.setattr(doctor.os, "access", lambda path, mode: path != course / "lessons")
    assert any(finding.state == AMISS and "can't be written to" in finding.found for finding in doctor.disk())


@pytest.mark.parametrize("total, state", [(16.0, OK), (2.0, NOTE), (None, NOTE)])
def test_memory(monkeypatch, total, state):
    monkeypatch.setattr(doctor, "memory_gb", lambda: total)
    assert only(doctor.memory).state == state


def test_a_containers_limit_counts(monkeypatch):
    monkeypatch.setattr(Path, "read_text", lambda self: "1000000000" if self.name == "memory.max" else "")
    assert doctor.memory_gb() == 1.0
    monkeypatch.setattr(Path, "read_text", lambda self: "max\n")
    assert doctor.memory_gb() > 1.0


class Machine:
    """Answers in the place of nvidia-smi and of the Python that is asked about torch."""

    def __init__(self, smi, torch=(0, "", "")):
        self.smi, self.torch = smi, torch

    def run(self, command, **_):
        answer = self.smi if command[0] == "nvidia-smi" else self.torch
        if isinstance(answer, Exception):
            raise answer
        return SimpleNamespace(**dict(zip(("returncode", "stdout", "stderr"), answer)))


SMI = (0, "NVIDIA Y100, 999.10, 81559 MiB\n", "")


@pytest.mark.parametrize("smi, torch, state, words", [
    (FileNotFoundError(), None, OK, "no NVIDIA driver"),
    (subprocess.TimeoutExpired("nvidia-smi", 10), None, NOTE, "doesn't answer"),
    ((9, "", "Failed to initialize NVML: Driver/library version mismatch"), None, NOTE, "mismatch"),
    ((0, "\n", ""), None, NOTE, "no GPU listed"),
    (SMI, (0, "True 13.0\n", ""), OK, "torch uses it"),
    (SMI, (0, "False 13.0\n", ""), NOTE, "built for CUDA 13.0, can't use it"),
    (SMI, (0, "False None\n", ""), NOTE, "built without CUDA"),
    (SMI, (1, "", "Traceback\nImportError: libcudnn.so.9: cannot open"), AMISS, "libcudnn.so.9"),
])
def test_gpu(monkeypatch, smi, torch, state, words):
    monkeypatch.setattr(doctor.subprocess, "run", Machine(smi, torch).run)
    finding = only(doctor.gpu)
    assert finding.state == state and words in finding.found


@pytest.mark.parametrize("wanted, states", [(None, []), ("cpu", [OK]), ("GPU", [OK]), ("large", [AMISS])])
def test_scale(monkeypatch, wanted, states):
    monkeypatch.delenv("COURSE_SCALE", raising=False)
    if wanted:
        monkeypatch.setenv("COURSE_SCALE", wanted)
    assert [finding.state for finding in doctor.scale()] == states


def test_data(monkeypatch, tmp_path):
    monkeypatch.setattr("course_lib.data.course_data_report", lambda: [
        ("digits", None, "make setup"), ("fashion_mnist", None, "connect"), ("cifar10", "/somewhere", "")])
    assert [finding.state for finding in doctor.data()] == [AMISS, NOTE, OK]
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "gone"))
    assert next(iter(doctor.data())).found.endswith("gone, which isn't there")


def test_lessons(course):
    assert only(doctor.lessons).state == OK
    (course / "course_lib" / "checks" / "gan_math.snapshot").unlink()
    assert "gan_math: what its checks compare with is missing" in [finding.found for finding in doctor.lessons()]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"nbformat": 3}'])
def test_a_broken_lesson_is_named(course, content):
    (course / "lessons" / "gan_math" / "gan_math.ipynb").write_text(content)
    first, *_ = doctor.lessons()
    assert first.state == AMISS and "gan_math.ipynb can't be read as a notebook" in first.found
    shutil.rmtree(course / "lessons" / "gan_math")
    assert only(doctor.lessons).found.startswith("none below")


def test_jupyterlab(monkeypatch, tmp_path):
    assert only(doctor.jupyterlab).state == OK
    monkeypatch.setattr(doctor.sys, "prefix", str(tmp_path))
    assert "ipywidgets and anywidget is missing" in only(doctor.jupyterlab).found
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    assert only(doctor.jupyterlab).found == "isn't installed"
    assert "ipykernel isn't installed" in only(doctor.kernel).found


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """Write the kernel.json of a user's own python3."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))

    def write(text):
        spec = tmp_path / "kernels" / "python3" / "kernel.json"
        spec.parent.mkdir(parents=True)
        spec.write_text(text)
    return write


@pytest.mark.parametrize("text, state", [
    (json.dumps({"argv": ["python", "-m", "ipykernel_launcher"]}), OK), (json.dumps({"argv": [sys.executable, "-m"]}), OK),
    (json.dumps({"argv": ["/opt/another/bin/python3", "-m"]}), AMISS), ("{", AMISS), ('{"argv": []}', AMISS), ("[]", AMISS)])
def test_kernel(kernels, text, state):
    kernels(text)
    assert only(doctor.kernel).state == state


def test_kernel_of_this_environment():
    assert only(doctor.kernel).state == OK


def test_browser(monkeypatch):
    monkeypatch.setattr(webbrowser, "get", lambda: object())
    assert only(doctor.browser).state == OK

    def none():
        raise webbrowser.Error("could not locate runnable browser")
    monkeypatch.setattr(webbrowser, "get", none)
    assert only(doctor.browser).state == NOTE


def test_staff(course, monkeypatch):
    assert list(doctor.staff()) == []  # a release
    (course / "autograder").mkdir()
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert only(doctor.staff).found.startswith("isn't installed")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/bwrap")
    for status, state in ((1, NOTE), (0, OK)):
        monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=status, stderr="No permission"))
        assert only(doctor.staff).state == state


def test_a_checkup_that_fails_doesnt_stop_the_others(monkeypatch):
    def odd():
        raise OSError("the disk is on fire")
        yield
    monkeypatch.setattr(doctor, "CHECKUPS", [odd, doctor.python])
    first, second = doctor.examine()
    assert first.state == NOTE and "on fire" in first.found and second.about == "Python"


def test_the_command(monkeypatch, capsys):
    assert cli.main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert all(set(each) == {"about", "state", "found", "remedy"} for each in found) and len(found) > 9
    assert not any(each["state"] == AMISS for each in found)
    monkeypatch.setattr(doctor, "CHECKUPS", [lambda: [doctor.Finding("Python", AMISS, "old", "install a new one")]])
    assert cli.main(["doctor"]) == 1
    assert capsys.readouterr().out == "✗ Python: old\n    → install a new one\n\n1 thing to mend.\n"
