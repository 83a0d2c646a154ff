"""Packs what learners get into one zip, from a list of what may go in, and makes sure that nothing else is in it.

In the zip, below one folder named after the project:

    lessons/<lesson>/<lesson>.ipynb   as built; a lessons/ that isn't what would be built is refused
    course_lib/**                     the helper library with its checks and snapshots
    pyproject.toml, setup.sh, Makefile, environment.yml    what `make lab` and conda set up from
    README.md, LICENSE                the latter if there is one

In every one of the single files, lines from one that has BEGIN STAFF in it to one that has END STAFF are left out (in a comment of whatever
language the file is in): what learners have no use for.

The same files give the same bytes: sorted, with one date.
"""

import json
import re
import tempfile
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

from autograder.build import leaks, orphans, problems, read, secrets
from autograder.errors import LessonError
from course_lib.files import whole

FILES = ("pyproject.toml", "setup.sh", "Makefile", "environment.yml", "README.md", "LICENSE")
OPTIONAL = ("LICENSE",)
DATE = (2020, 1, 1, 0, 0, 0)
# A folder of someone's: not part of a longer path or an address.
PERSONAL_PATH = re.compile(r"(?<![\w.~/-])/(?:home|root|Users)/\w|(?<!\w)[A-Za-z]:\\+Users\\")


def release(course, out=None, lessons=()):
    """Pack the course's release into `out` (default: dist/<project>-<version>.zip) and return {path, files, bytes}.

    lessons: whose notebooks go in; all by default.
    Raises LessonError with one line for each thing that keeps it from being released; then nothing is written.
    """
    lessons = course.choose(lessons)
    wrong = problems(course, lessons) + orphans(course)
    if wrong:
        raise LessonError(wrong)
    if not lessons:
        raise LessonError("there is nothing to release: solutions/ has no lesson")
    files = contents(course, lessons)
    wrong = leaks_in(course, files)
    if wrong:
        raise LessonError(wrong)
    project = tomllib.loads(files["pyproject.toml"].decode())["project"]
    out = Path(out or course.root / "dist" / f"{project['name']}-{project['version']}.zip")
    pack(out, project["name"], files)
    return {"path": course.shown(out), "files": len(files), "bytes": out.stat().st_size}


def contents(course, lessons=()):
    """What goes into a release of these lessons, by default of all: {path in it: bytes}. Raises LessonError for a file that is missing or a link."""
    files = {}
    for name in FILES:
        path = course.root / name
        if path.is_file():
            files[name] = _for_learners(name, path.read_text(encoding="utf-8")).encode()
        elif name not in OPTIONAL:
            raise LessonError(f"{name} is missing, and learners need it")
    paths = [course.released(lesson) for lesson in course.choose(lessons)]
    paths += [path for path in (course.root / "course_lib").rglob("*") if not path.is_dir() and _belongs(path, course)]
    for path in paths:
        if path.is_symlink():
            raise LessonError(f"{course.shown(path)} is a link; a release holds files only")
        files[path.relative_to(course.root).as_posix()] = path.read_bytes()
    _installs(files)
    return files


def _belongs(path, course):
    parts = path.relative_to(course.root).parts
    return not any(part.startswith(".") or part.endswith("~") or part == "__pycache__" for part in parts)


def _for_learners(name, text):
    """The text of one of FILES as learners get it."""
    kept, opened = [], None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if "BEGIN STAFF" in line or "END STAFF" in line:
            if ("BEGIN STAFF" in line) == (opened is not None):
                raise LessonError(f"{name}:{number}: BEGIN STAFF and END STAFF don't alternate")
            opened = number if "BEGIN STAFF" in line else None
        elif opened is None:
            kept.append(line)
    if opened:
        raise LessonError(f"{name}:{opened}: this BEGIN STAFF is never closed by END STAFF")
    return "".join(kept)


def _installs(files):
    """Raise LessonError when pyproject.toml names a package or command of something that isn't in the release."""
    try:
        about = tomllib.loads(files["pyproject.toml"].decode())
    except tomllib.TOMLDecodeError as error:
        raise LessonError(f"pyproject.toml can't be read without its staff part: {error}") from None
    packages = about.get("tool", {}).get("setuptools", {}).get("packages", [])
    commands = about["project"].get("scripts", {}).values()
    modules = [*(packages if isinstance(packages, list) else []), *(command.partition(":")[0] for command in commands)]
    for module in modules:
        path = module.replace(".", "/")
        if f"{path}.py" not in files and f"{path}/__init__.py" not in files:
            raise LessonError(f"pyproject.toml names {module}, which isn't part of a release; "
                              "put its line between `# BEGIN STAFF` and `# END STAFF`, or add the file")


# --- What must not be in it ---

def leaks_in(course, files):
    """One line for each thing in `files` that learners shouldn't get: solutions, instructor's text, outputs, paths."""
    found = []
    texts = {name: _text(name, content) for name, content in files.items()}
    for lesson in course.lessons():
        for number, line in secrets(read(course, lesson)):
            found += [f"{name}: holds line {number} of solutions/{lesson}/{lesson}.py, which learners don't get: `{line}`"
                      for name, text in texts.items() if leaks(line, text)]
    here = [str(place) for place in {course.root.resolve(), Path.home(), Path(tempfile.gettempdir()).resolve()}
            if len(place.parts) > 2]
    for name, content in files.items():
        text = texts[name]
        personal = next((place for place in here if place in text), None) or PERSONAL_PATH.search(text)
        if personal:
            found.append(f"{name}: holds a path of somebody's machine: {_around(text, personal)}")
        for cell in json.loads(content)["cells"] if name.endswith(".ipynb") else ():
            if cell.get("outputs") or cell.get("execution_count"):
                found.append(f"{name}: cell `{cell.get('id')}` has outputs")
            if "instructor" in cell.get("metadata", {}).get("tags", ()):
                found.append(f"{name}: cell `{cell.get('id')}` is for instructors")
        if PurePosixPath(name).parts[0] not in ("lessons", "course_lib", *FILES):
            found.append(f"{name}: isn't on the list of what a release holds")
    return found


def _around(text, found):
    start = text.index(found) if isinstance(found, str) else found.start()
    return text[start:start + 60].split("\n")[0]


def _text(name, content):
    """The text in a file; of a notebook, all strings in it, as a person sees them."""
    if name.endswith(".ipynb"):
        return "\n".join(_strings(json.loads(content)))
    return content.decode("utf-8", "replace")


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, list) and all(isinstance(line, str) for line in value):
        yield "".join(value)
    elif isinstance(value, (list, dict)):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield str(key)
            yield from _strings(inner)


def pack(out, folder, files):
    """Write the zip, whole or not at all. setup.sh is executable in it; other files are not."""
    with whole(out) as unfinished, zipfile.ZipFile(unfinished, "w") as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(f"{folder}/{name}", DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, wherever it is packed
            entry.external_attr = (0o100755 if name.endswith(".sh") else 0o100644) << 16
            archive.writestr(entry, files[name])
