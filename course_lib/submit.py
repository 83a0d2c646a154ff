"""`course submit`: what a notebook still lacks, what the public checks give, and one file to hand in.

The file is named `<student>_<lesson>.ipynb`, which the instructor's folder takes as it is. Each is put into a folder of its
own, so that none replaces another, and the learner's notebook is only read.
"""

import ast
import getpass
import json
import re
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path

from course_lib import oracles
from course_lib.files import whole
from course_lib.lessons import COURSE, LessonError, exercise_cells, lesson, read_notebook, there_twice

HANDED_IN = COURSE / "handed_in"
MOST_BYTES = 20 * 1024**2  # of a notebook that is graded
ANSWER_STUB = "YOUR ANSWER HERE"


def submit(options):
    """Run the command; returns the exit status: 0 when the file is made (and has reached the exchange, where there is one)."""
    about = lesson(options.lesson)
    source = options.notebook or about.path
    notebook = read_notebook(source)
    if not any(cell.metadata.get("nbgrader", {}).get("solution") for cell in notebook.cells):
        raise LessonError(f"{source} has no exercise of {about.name} in it. Is it the right notebook?")
    student = student_id(options.student)
    with redirect_stdout(sys.stderr if options.json else sys.stdout):  # all that people read; JSON has stdout for itself
        told = _submit(about, source, notebook, student, options)
    if options.json:
        print(json.dumps(told, indent=1))
    return int(bool(told["exchange"] and told["exchange"]["error"]))


def _submit(about, source, notebook, student, options):
    failures, verdicts = [], []
    if options.checks:
        from course_lib.checking import check_notebook
        print(f"{about.name}: running your cells and the public checks; Ctrl-C stops it, and nothing is lost.\n", flush=True)
        failures, verdicts = check_notebook(about, options.notebook)
    passed = {verdict.check for verdict in verdicts if verdict.passed}
    told = {"lesson": about.name, "notebook": str(source), "student": student,
            "unwritten": [name for name in unwritten(notebook) if name not in passed], "unanswered": unanswered(notebook),
            "twice": there_twice(notebook), "out_of_reach": out_of_reach(notebook),
            "stopped": [{"cell": cell, "error": type(error).__name__} for cell, error in failures],
            "verdicts": [verdict.as_dict() for verdict in verdicts], "points": sum(verdict.points for verdict in verdicts),
            "points_of_checks": sum(about.worth.values()), "points_by_hand": sum(points for _, points in about.by_hand)}
    _say_what_is_missing(told)
    path, lighter, old = pack(source, about.name, student, options.to, options.replace)
    told |= {"packed": str(path), "outputs_left_out": lighter}
    if old:
        print(f"\n{path} holds just this already; nothing was written.")
    else:
        print(f"\nPacked: {path}")
    if lighter:
        print("  Its outputs were left out, since the notebook is larger than 20 MB; yours has kept them. Grading makes its own.")
    told["exchange"] = exchanged = to_exchange(about.name, path)
    if exchanged is None:
        print("Hand in this one file where your instructor has told you to: upload it, or put it into the class's folder.")
    elif exchanged["error"]:
        print(f"nbgrader's exchange didn't take it: {exchanged['error']}\nAsk your instructor; the file above can be handed in by hand.")
    else:
        print(f"Handed in through nbgrader's exchange: {exchanged['course']}, {about.name}, {exchanged['when']}.")
    print("You can go on working and submit again; the newest counts.")
    return told


def student_id(wanted=None):
    """What the file is named after: `wanted`, or this computer's user. Raises LessonError for a name that is no id."""
    try:
        name = wanted or re.sub(r"[^A-Za-z0-9._@+-]", "", getpass.getuser()).lstrip("._@+-")[:80] or "me"
    except (OSError, KeyError):  # a container's user may have no name
        name = "me"
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,79}", name):
        raise LessonError(f"--student {name!r}: use letters, digits and . _ @ + - only, as in your user name or student number")
    return name


def unwritten(notebook):
    """Names of the exercises in which the given `raise NotImplementedError()` still stands."""
    return [name for name, cell in _counting(notebook) if cell.cell_type == "code" and _is_stub(cell.source)]


def _counting(notebook):
    return [(name, cells[0][1]) for name, cells in exercise_cells(notebook).items()]


def _is_stub(source):
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return False  # there is something; running it says what is wrong
    return any(isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).removesuffix("()") == "NotImplementedError"
               for node in ast.walk(tree))


def unanswered(notebook):
    """Names of the questions in words without an answer."""
    return [name for name, cell in _counting(notebook) if cell.cell_type == "markdown" and cell.source.strip() in ("", ANSWER_STUB)]


def out_of_reach(notebook):
    """{exercise: library} for those that import what isn't there in grading."""
    found = {name: oracles.imported(cell.source) for name, cell in _counting(notebook) if cell.cell_type == "code"}
    return {name: library for name, library in found.items() if library}


def _say_what_is_missing(told):
    lines = []
    if told["unwritten"]:
        lines.append(f"not written yet: {', '.join(told['unwritten'])}")
    if told["unanswered"]:
        lines.append(f"not answered yet: {', '.join(told['unanswered'])}")
    if told["stopped"]:
        lines.append("cells that stop with an error: " + ", ".join(f"{each['cell']} ({each['error']})" for each in told["stopped"]))
    lines += told["twice"].values()
    lines += [f"`{name}` takes {library}, which isn't there in grading: write what you need of it with torch or NumPy"
              for name, library in told["out_of_reach"].items()]
    failed = [each["check"] for each in told["verdicts"] if each["verdict"] != "passed" and each["check"] not in told["unwritten"]]
    if failed:
        lines.append(f"checks that don't pass yet: {', '.join(failed)}")
    if told["verdicts"]:
        print(f"\n{told['points']:g} of {told['points_of_checks']:g} points from the public checks; grading runs the same ones on other inputs. "
            f"Up to {told['points_by_hand']:g} more are given by hand, for answers in words.")
    print("\nStill missing (you may hand in all the same):\n  " + "\n  ".join(lines) if lines else "\nNothing is missing.")


def pack(source, name, student, folder=None, replace=False):
    """Put the notebook at `source` into a file to hand in. Returns (its path, whether outputs were left out, whether it was there).

    folder: where to; by default one of its own below handed_in/. A file that is there with other contents is replaced only if
    `replace`; without it LessonError is raised.
    """
    data = Path(source).read_bytes()
    lighter = len(data) > MOST_BYTES
    if lighter:
        data = _without_outputs(data)
        if len(data) > MOST_BYTES:
            raise LessonError(f"{source} is larger than 20 MB even without outputs, and won't be graded. "
                              "Is there a picture pasted into it? Remove it, save, and submit again.")
    file = f"{student}_{name}.ipynb"
    if folder is None:
        earlier = sorted((HANDED_IN / name).glob(f"*/{file}"))
        if earlier and earlier[-1].read_bytes() == data:
            return earlier[-1], lighter, True
        folder = HANDED_IN / name / time.strftime("%Y-%m-%d_%H-%M-%S")
    path = Path(folder) / file
    try:
        if path.exists():
            if path.read_bytes() == data:
                return path, lighter, True
            if not replace:
                raise LessonError(f"{path} is there, with other contents. `--replace` writes over it; another folder keeps both.")
        with whole(path) as unfinished:
            unfinished.write_bytes(data)
    except OSError as error:
        raise LessonError(f"{path} can't be written ({error.strerror}); `--to FOLDER` names another place") from None
    return path, lighter, False


def _without_outputs(data):
    notebook = json.loads(data)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell |= {"outputs": [], "execution_count": None}
    return json.dumps(notebook, indent=1, ensure_ascii=False).encode()


# --- nbgrader's exchange ---

def to_exchange(name, path):
    """Hand the packed file in through nbgrader, if it is set up here and has released the lesson; None otherwise.

    Returns {"course", "when", "error"}, one of the last two "".
    """
    from jupyter_core.paths import jupyter_config_path
    places = [Path.cwd(), *map(Path, jupyter_config_path())]
    if not any((place / f"nbgrader_config{suffix}").is_file() for place in places for suffix in (".py", ".json")):
        return None
    released = re.search(rf"^\[ListApp \| INFO\] (\S+) {re.escape(name)}$", _nbgrader("list").stderr, re.MULTILINE)
    if not released:
        return None  # no exchange folder, or none that has this lesson
    with tempfile.TemporaryDirectory() as folder:  # nbgrader takes a folder whole, and the lesson's own holds more
        inner = Path(folder) / name
        inner.mkdir()
        (inner / f"{name}.ipynb").write_bytes(path.read_bytes())
        done = _nbgrader("submit", name, f"--course={released[1]}", f"--Exchange.assignment_dir={folder}")
    when = re.search(r"Submitted as: \S+ \S+ (.+)", done.stderr)
    said = re.findall(r"^\[SubmitApp \| (?:ERROR|CRITICAL)\] (.+)$", done.stderr, re.MULTILINE) or [done.stderr.strip() or "it said nothing"]
    return {"course": released[1], "when": when[1] if when else "", "error": "" if when else said[0]}


def _nbgrader(*arguments):
    return subprocess.run([sys.executable, "-m", "nbgrader", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL)
