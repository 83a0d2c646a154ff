"""The zip for learners: what is in it, that it installs, and that nothing else gets in."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile

import nbformat
import pytest
from conftest import ROOT
from toy_course import SOURCE, make_course

from autograder import build, cli, release


@pytest.fixture
def course(tmp_path):
    made = make_course(tmp_path / "checkout")
    build.build(made, "toy")
    return made


def add(course, name, text=""):
    path = course.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def packed(course, out):
    release.release(course, out)
    with zipfile.ZipFile(out) as archive:
        assert archive.testzip() is None
        return {entry.filename.removeprefix("toy-course/"): archive.read(entry) for entry in archive.infolist()}


def refusal(course):
    with pytest.raises(build.LessonError) as refused:
        release.release(course)
    assert not (course.root / "dist").exists()
    return refused.value.problems


# --- What is in it ---

def test_only_what_is_on_the_list_goes_in(course, tmp_path):
    for name in ("course_lib/__pycache__/cli.cpython-311.pyc", "course_lib/.secret", "course_lib/notes.py~", "autograder/build.py",
                 "tests/test_x.py", "solutions/toy/wrong_answers.py", "lessons/toy/.ipynb_checkpoints/toy-checkpoint.ipynb",
                 "lessons/toy/.progress.json", "docs/architecture.md", ".git/config", "data/x.gz", "gradebook.db"):
        add(course, name, "x")
    assert sorted(packed(course, tmp_path / "x.zip")) == [
        "Makefile", "README.md", "course_lib/__init__.py", "course_lib/checks/__init__.py", "course_lib/checks/toy.py",
        "course_lib/checks/toy.snapshot", "course_lib/cli.py", "environment.yml", "lessons/toy/toy.ipynb", "pyproject.toml",
        "setup.sh"]
    add(course, "LICENSE", "free")
    assert "LICENSE" in packed(course, tmp_path / "x.zip")


def test_the_lesson_in_it_is_the_learners(course, tmp_path):
    assert packed(course, tmp_path / "x.zip")["lessons/toy/toy.ipynb"] == course.released("toy").read_bytes()


def test_what_is_for_staff_stays_out(course, tmp_path):
    files = packed(course, tmp_path / "x.zip")
    assert files["README.md"].decode() == "# Toy\n\nHow to learn.\n"
    assert files["Makefile"].decode() == "lab:\n\techo lab\n"
    project = tomllib.loads(files["pyproject.toml"].decode())
    assert project["project"]["scripts"] == {"course": "course_lib.cli:main"}
    assert project["tool"]["setuptools"]["packages"] == ["course_lib", "course_lib.checks"]


def test_the_same_files_give_the_same_bytes(course, tmp_path):
    release.release(course, tmp_path / "a.zip")
    os.utime(course.root / "README.md", (0, 10**9))
    (course.root / "setup.sh").chmod(0o600)
    copy = shutil.copytree(course.root, tmp_path / "elsewhere")
    release.release(build.Course(copy, course.checks_of), tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_setup_can_be_run_after_unpacking(course, tmp_path):
    release.release(course, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        modes = {entry.filename: entry.external_attr >> 16 for entry in archive.infolist()}
    assert modes["toy-course/setup.sh"] == 0o100755 and modes["toy-course/README.md"] == 0o100644


def test_it_installs_without_the_autograder(course, tmp_path):
    """setuptools builds a wheel of the unpacked release, with the command for learners and the checks' snapshots."""
    pytest.importorskip("setuptools")
    release.release(course, tmp_path / "a.zip")
    zipfile.ZipFile(tmp_path / "a.zip").extractall(tmp_path)
    subprocess.run([sys.executable, "-c", "import setuptools.build_meta as b; b.build_wheel('.')"],
                   cwd=tmp_path / "toy-course", check=True, capture_output=True)
    wheel, = (tmp_path / "toy-course").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        commands = archive.read("toy_course-1.2.dist-info/entry_points.txt").decode()
    assert "course_lib/checks/toy.snapshot" in names and not any("autograder" in name for name in names)
    assert commands == "[console_scripts]\ncourse = course_lib.cli:main\n"


def test_only_the_lessons_that_are_asked_for_go_in(course, tmp_path, capsys):
    add(course, "solutions/other/other.py", SOURCE)
    build.build(course, "other")
    assert cli.main(["release", "--out", str(tmp_path / "x.zip"), "--lessons", "toy"], course) == 0
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert [name for name in archive.namelist() if name.endswith(".ipynb")] == ["toy-course/lessons/toy/toy.ipynb"]
    assert cli.main(["release", "--lessons", "nosuch"], course) == 1
    assert "there is no lesson 'nosuch'" in capsys.readouterr().err


# --- What keeps it from being released ---

def test_lessons_that_are_not_up_to_date_are_not_released(course):
    course.released("toy").write_text("{")
    assert "half-saved" in refusal(course)[0]
    shutil.rmtree(course.root / "lessons")
    assert "is missing" in refusal(course)[0]


def test_a_lesson_that_somebody_has_worked_in_is_refused(course):
    notebook = nbformat.read(course.released("toy"), as_version=4)
    notebook.cells[3].source = "mean = sum"
    nbformat.write(notebook, course.released("toy"))
    line, = refusal(course)
    assert "somebody has worked in it" in line and "`autograder build toy` keeps a copy" in line


@pytest.mark.parametrize("name, text, sentence", [
    ("course_lib/hints.py", "def f(v):\n    return   math.sqrt(math.fsum(squares(v)) / 1)\n\n    return total / len(values)\n",
     "course_lib/hints.py: holds line 32 of solutions/toy/toy.py"),
    ("course_lib/notes.txt", "remember: Many forget that an empty list has no mean at all; ask them.",
     "course_lib/notes.txt: holds line 39 of solutions/toy/toy.py"),
    ("course_lib/hints.py", "# It moves the mean by its distance over n, and the spread much more; report the median.",
     "course_lib/hints.py: holds line"),
    ("course_lib/data.py", 'ROOT = "/home/someone/course"', "course_lib/data.py: holds a path of somebody's machine: /home/someone"),
    ("course_lib/data.py", r'ROOT = "C:\Users\someone"', "course_lib/data.py: holds a path of somebody's machine: C:"),
    ("course_lib/data.py", "ROOT = '{root}/x'", "course_lib/data.py: holds a path of somebody's machine"),
])
def test_leaks_are_named(course, name, text, sentence):
    add(course, name, text.replace("{root}", str(course.root)))
    line, = refusal(course)
    assert line.startswith(sentence)


@pytest.mark.parametrize("text", ["https://example.org/home/page", "~/root/x", "lessons/root/x", "the root/leaf", "/usr/share/datasets",
                                  "for value in values:\n    total += value"])
def test_what_everybody_writes_is_no_leak(course, text, tmp_path):
    add(course, "course_lib/data.py", text)
    packed(course, tmp_path / "x.zip")


def test_lines_that_a_lesson_calls_common_are_no_leaks(course, tmp_path):
    line = "total = math.fsum(value for value in values)"
    add(course, "course_lib/data.py", f"def f(values):\n    {line}\n")
    assert "holds line" in refusal(course)[0]
    source = course.source("toy")
    source.write_text(source.read_text().replace("builds_on: []", f"builds_on: []\n#     common: ['{line}']", 1))
    build.build(course, "toy")
    files = packed(course, tmp_path / "x.zip")
    assert line not in files["lessons/toy/toy.ipynb"].decode()


def test_outputs_and_instructors_cells_are_leaks_of_their_own(course):
    """Should building ever let them through."""
    solved = build.notebooks(course, "toy").solved
    solved.cells[1].outputs = [nbformat.v4.new_output("stream", text="hello")]
    files = release.contents(course) | {"lessons/toy/toy.ipynb": build.as_text(solved).encode(), "autograder/x.py": b""}
    found = "\n".join(release.leaks_in(course, files))
    for sentence in ("cell `setup-1` has outputs", "cell `instructor-many-forget-that-an-empty-list-has-no` is for instructors",
                     "holds line 31 of", "holds line 39 of", "autograder/x.py: isn't on the list"):
        assert sentence in found


def test_a_link_is_refused(course):
    (course.root / "course_lib" / "link.py").symlink_to(course.source("toy"))
    assert refusal(course) == ["course_lib/link.py is a link; a release holds files only"]


@pytest.mark.parametrize("name, text, sentence", [
    ("README.md", "<!-- BEGIN STAFF -->\n", "README.md:1: this BEGIN STAFF is never closed"),
    ("README.md", "a\n<!-- END STAFF -->\n", "README.md:2: BEGIN STAFF and END STAFF don't alternate"),
    ("pyproject.toml", '[project]\nname = "x"\nversion = "1"\n[project.scripts]\nserve = "tools.serve:main"\n',
     "pyproject.toml names tools.serve, which isn't part of a release"),
    ("pyproject.toml", "[project\n", "pyproject.toml can't be read"),
])
def test_files_that_would_not_work_are_refused(course, name, text, sentence):
    add(course, name, text)
    line, = refusal(course)
    assert line.startswith(sentence)


def test_a_missing_file_is_named(course):
    (course.root / "setup.sh").unlink()
    assert refusal(course) == ["setup.sh is missing, and learners need it"]


# --- The command ---

def test_release_from_the_command_line(course, tmp_path, capsys):
    assert cli.main(["release"], course) == 0
    assert re.fullmatch(r"dist/toy-course-1\.2\.zip: 11 files, \d KB\n", capsys.readouterr().out)
    assert cli.main(["release", "--out", str(tmp_path / "deep" / "week1.zip"), "--json"], course) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["files"] == 11 and made["bytes"] == (tmp_path / "deep" / "week1.zip").stat().st_size
    course.released("toy").unlink()
    assert cli.main(["release", "--json"], course) == 1
    assert len(json.loads(capsys.readouterr().out)["problems"]) == 1
    add(course, "file")
    build.build(course, "toy")
    assert cli.main(["release", "--out", str(course.root / "file" / "x.zip")], course) == 1
    assert capsys.readouterr().err.startswith("autograder: ")


# --- This course ---

def test_the_release_of_this_course_holds_no_solution(tmp_path):
    """Built from its sources here, so that lessons/ on disk doesn't matter; looked through in another way than release does:
    no solution, and no three lines of one that follow each other, stand in any file, however they are spaced."""
    real = build.Course()
    for folder in ("solutions", "course_lib"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in release.FILES:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path)
    course = build.Course(tmp_path)
    assert course.lessons() == real.lessons()
    for lesson in course.lessons():
        build.build(course, lesson)
    made = release.release(course)
    with zipfile.ZipFile(tmp_path / made["path"]) as archive:
        files = {name: squeezed(archive.read(name).decode("utf-8", "replace")) for name in archive.namelist()}
    for lesson in course.lessons():
        for region in re.findall(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", course.source(lesson).read_text(), re.DOTALL):
            lines = [squeezed(line) for line in region.splitlines() if line.strip() and not STEP.fullmatch(line)]
            for part in ["".join(lines)] + ["".join(lines[i:i + 3]) for i in range(len(lines) - 2)]:
                assert len(part) < 30 or [name for name, text in files.items() if part in text] == [], part


STEP = re.compile(r"\s*\w+\.(zero_grad|backward|step)\(\)")  # which every training has


def squeezed(text):
    """Without white space, and without what JSON adds between and inside the lines of a cell."""
    return re.sub(r'\\n|[\s"\\,]', "", text)
