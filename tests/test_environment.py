"""Setting up: one list of pins, and a sentence for each thing that a machine may lack."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, need

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]


@pytest.fixture
def checkout(tmp_path):
    """A folder with what `make setup` reads. (A space in its name: people have those.)"""
    folder = tmp_path / "my course"
    folder.mkdir()
    for name in ("Makefile", "setup.sh", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    return folder


def make(folder, *arguments, **environment):
    """Run make there as from a shell; a variable given as None is unset. (These tests may themselves run under make.)"""
    inherited = {name: value for name, value in os.environ.items()
                 if not name.startswith("MAKE") and name not in {"MFLAGS", "PYTHON", "DISK_GB", "LAB_ARGS", "TEST_ARGS"}}
    merged = {name: value for name, value in (inherited | environment).items() if value is not None}
    return subprocess.run(["make", *arguments], cwd=folder, env=merged, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=120)


def program(path, script):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return path


def python_311():
    need(sys.version_info[:2] == (3, 11), "this is not Python 3.11")
    return sys.executable


# --- The pins ---

def test_every_dependency_is_pinned_exactly():
    for pin in PINS:
        assert re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z]+\])?==[0-9][0-9a-z.]*", pin), pin


def test_environment_yml_has_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, packages = environment["dependencies"]
    assert python == "python=3.11" and pip == "pip"
    assert sorted(packages["pip"]) == sorted(PINS)


def test_what_is_installed_is_what_is_pinned():
    need(Path(sys.prefix) == ROOT / ".venv" or os.environ.get("CI"), "not run from .venv, where the pins are installed")
    for pin in PINS:
        name, _, wanted = pin.partition("==")
        assert version(name) == wanted


# --- What is missing is said ---

def test_another_python_is_named(checkout, tmp_path):
    for name in ("python3.11", "python3", "python"):
        program(tmp_path / "bin" / name, "echo 3.12.4\n" if name != "python3.11" else "exit 127\n")
    result = make(checkout, "lab", PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert result.returncode != 0
    assert "needs Python 3.11" in result.stderr
    assert "python3 is 3.12.4, python is 3.12.4" in result.stderr
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_named(checkout):
    result = make(checkout, "setup", PYTHON="/nowhere/python3.11")
    assert result.returncode != 0
    assert "looked for /nowhere/python3.11, found: nothing that runs" in result.stderr


def test_a_missing_venv_module_is_named(checkout, tmp_path):
    python = program(tmp_path / "bin" / "python", 'case "$*" in *ensurepip*) exit 1;; *) echo 3.11.2;; esac\n')
    result = make(checkout, "setup", PYTHON=str(python))
    assert result.returncode != 0
    assert "python3.11-venv" in result.stderr


def test_too_small_a_disk_is_named(checkout):
    result = make(checkout, "test", PYTHON=python_311(), DISK_GB="1000000")
    assert result.returncode != 0
    assert "1000000 GB of free disk" in result.stderr
    assert str(checkout) in result.stderr
    assert not (checkout / ".venv").exists()


def test_an_unreachable_index_is_named_and_a_half_built_environment_replaced(checkout):
    left_over = checkout / ".venv" / "left-over"  # of a run that was interrupted
    left_over.parent.mkdir()
    left_over.touch()
    result = make(checkout, "setup", PYTHON=python_311(), DISK_GB="0", PIP_CONFIG_FILE=os.devnull,
                  PIP_INDEX_URL="http://127.0.0.1:9/",  # the discard port: refused at once
                  PIP_EXTRA_INDEX_URL=None, PIP_FIND_LINKS=None)
    assert result.returncode != 0
    assert "About 6 GB on disk" in result.stdout  # said before it starts
    assert "index could not be reached" in result.stderr
    assert not left_over.exists()
    assert not (checkout / ".venv" / ".complete").exists()


# --- What is there costs nothing ---

@pytest.fixture
def built(checkout):
    """A finished .venv, as far as setup.sh looks at it; its uv says what it was asked to do."""
    program(checkout / ".venv" / "bin" / "python", "exit 1\n")
    program(checkout / ".venv" / "bin" / "uv", '[ "$1" = cache ] && echo cache || echo "uv $*"\n')
    program(checkout / ".venv" / "bin" / "course", 'echo "course $*"\n')
    stamp(checkout, checkout)
    return checkout


def stamp(checkout, folder):
    checksum = subprocess.run("cksum < pyproject.toml", shell=True, cwd=checkout, capture_output=True, text=True).stdout
    (checkout / ".venv" / ".complete").write_text(f"{folder} {checksum}")


def test_setting_up_again_costs_nothing(built):
    before = os.times()
    result = make(built, "setup")
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 0.3
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_lab_passes_arguments_through(built):
    assert make(built, "lab", "LAB_ARGS=--no-browser --port=9999").stdout == "course lab -- --no-browser --port=9999\n"


def test_a_changed_pyproject_installs_what_changed(built):
    with (built / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    result = make(built, "setup")
    assert result.returncode == 0, result.stderr
    assert "pyproject.toml has changed" in result.stdout
    assert "uv pip install" in result.stdout
    assert make(built, "setup").stdout == ""


def test_a_failed_update_is_not_taken_for_finished(built):
    program(built / ".venv" / "bin" / "uv", '[ "$1" = cache ] && echo cache || exit 1\n')
    with (built / "pyproject.toml").open("a") as file:
        file.write("# changed\n")
    assert make(built, "setup").returncode != 0
    assert not (built / ".venv" / ".complete").exists()


def test_a_moved_folder_is_built_anew(built):
    stamp(built, "/where/it/was/before")
    result = make(built, "setup", PYTHON="/nowhere/python3.11")  # building anew begins with looking for Python
    assert "looked for /nowhere/python3.11" in result.stderr


def test_an_environment_whose_python_is_gone_is_built_anew(built):
    (built / ".venv" / "bin" / "python").unlink()
    (built / ".venv" / "bin" / "python").symlink_to("/usr/bin/python-of-last-year")
    result = make(built, "setup", PYTHON="/nowhere/python3.11")
    assert "looked for /nowhere/python3.11" in result.stderr


def test_help_names_every_target(checkout):
    targets = " ".join(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)).split()
    shown = make(checkout, "help").stdout
    assert make(checkout).stdout == shown
    assert {"setup", "lab", "test"} <= set(targets)
    for target in set(targets) - {"help"}:
        assert f"make {target}" in shown


# --- What the README says ---

README = re.sub(r"```.*?```", "", (ROOT / "README.md").read_text(), flags=re.DOTALL)


def test_the_readme_points_to_files_that_are_there():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("program, package", [("course", "course_lib"), ("autograder", "autograder")])
def test_the_readme_names_commands_that_exist(program, package):
    named = set(re.findall(rf"`{program} ([a-z]+)", README))
    shown = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv = ['{program}', '--help']; from {package}.cli import main; main()"],
        cwd=ROOT, capture_output=True, text=True).stdout
    assert named
    for command in named:
        assert re.search(rf"\b{command}\b", shown), f"`{program} {command}` is not in `{program} --help`"


def test_the_readme_lists_the_lessons_there_are():
    here = set(re.findall(r"^\| `(\w+)` \|.*\| about [^|]* \|$", README, re.M))
    assert here == {path.parent.name for path in (ROOT / "lessons").glob("*/*.ipynb")}
