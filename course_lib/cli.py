"""`course`: the learner's commands."""

import argparse
import json
import os
import shutil
import sys
from contextlib import redirect_stdout
from importlib.metadata import entry_points
from pathlib import Path

JUPYTER = Path(__file__).with_name("jupyter")  # what `course lab` tells Jupyter beside the user's own configuration
EXAMPLES = """examples:
  course lab                          open JupyterLab on the lessons
  course list                         the lessons, their points, and what you have passed
  course check gan_math               run all checks of a lesson on your notebook
  course check gan_math --only gan_value
  course submit gan_math              what is missing, what the checks give, and one file to hand in
  course doctor                       what to do when something doesn't work
  course check gan_math --notebook ~/handed_in/gan_math.ipynb --json
  course demo gan_math                a page without code, made of your own functions
"""


def main(arguments=None):
    """Run a command; returns the exit status: 0, 1 when a check doesn't pass, 2 for what can't be run."""
    options = _parser().parse_args(arguments)
    from course_lib.lessons import LessonError
    try:
        status = options.run(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        if not reader_is_gone():
            raise
        return 0
    except LessonError as error:
        print(f"course: {error.args[0] if error.args else error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncourse: interrupted.", file=sys.stderr)
        return 130


def reader_is_gone():
    """Whether nobody reads any more what is printed, since `head`, for instance, has seen enough: no other broken pipe is harmless. What
    is still to be printed then goes nowhere."""
    try:
        print(flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _parser():
    parser = argparse.ArgumentParser(prog="course", description="Open the lessons, see where you stand, check your work.",
                                     epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    lab = commands.add_parser("lab", help="open JupyterLab on the lessons",
                              description="Open JupyterLab on the lessons. What follows `--` is passed to jupyter lab.")
    lab.add_argument("arguments", nargs=argparse.REMAINDER, metavar="-- ARGS")
    lab.set_defaults(run=_lab)

    listing = commands.add_parser("list", help="the lessons, their points, and what you have passed")
    listing.add_argument("--json", action="store_true", help="for a program to read")
    listing.set_defaults(run=_list)

    check = commands.add_parser("check", help="run a lesson's checks on your notebook",
                                description="Run the setup and solution cells of your notebook, then its checks, as the notebook "
                                            "itself would. Checks that train take their time: see --only.")
    check.add_argument("lesson")
    check.add_argument("--only", action="append", metavar="NAME", help="this check only (may be repeated)")
    check.add_argument("--notebook", type=Path, help="another notebook than the one under lessons/")
    check.add_argument("--json", action="store_true", help="for a program to read")
    check.set_defaults(run=_check)

    submit = commands.add_parser("submit", help="say what your notebook lacks, and pack it to be handed in",
                                 description="Run your notebook's exercises and the public checks, say what is still missing, and "
                                             "pack one file to hand in; through nbgrader's exchange where there is one. Your "
                                             "notebook is only read.")
    submit.add_argument("lesson")
    submit.add_argument("--student", metavar="ID", help="your id in the class; the file is named after it (default: your user name)")
    submit.add_argument("--notebook", type=Path, help="another notebook than the one under lessons/")
    submit.add_argument("--to", type=Path, metavar="FOLDER", help="where to put the file, such as the class's folder "
                                                                  "(default: a new folder below handed_in/)")
    submit.add_argument("--replace", action="store_true", help="write over a file that is there")
    submit.add_argument("--no-checks", dest="checks", action="store_false", help="pack at once, without running anything")
    submit.add_argument("--json", action="store_true", help="for a program to read")
    submit.set_defaults(run=_submit)

    doctor = commands.add_parser("doctor", help="look over this machine, with a remedy for whatever is amiss",
                                 description="Look over what the course needs here: Python, packages, disk, memory, GPU, data, "
                                             "lessons, JupyterLab, kernel, browser. Exit status 1 if something is amiss.")
    doctor.add_argument("--json", action="store_true", help="for a program to read")
    doctor.set_defaults(run=_doctor)
    demo = commands.add_parser("demo", help="open a lesson's demo in the browser: its explorables, without code",
                               description="Open a page with the lesson's explorables and without its code, served on this machine "
                                           "alone. It runs on the functions of your notebook; in the course's repository, on the solutions. "
                                           "Ctrl-C ends it.")
    demo.add_argument("lesson")
    demo.add_argument("--no-browser", action="store_true", help="only say where the page is")
    demo.add_argument("--port", type=int, default=8866, help="the first to try (default: 8866)")
    demo.set_defaults(run=_demo, notebook=_own_notebook)

    for each in entry_points(group="course_lib.commands"):  # of the staff's package, which a learner hasn't got
        each.load()(commands)
    return parser


def _lab(options):
    from course_lib.lessons import COURSE, LessonError
    folder = COURSE / "lessons"
    if not folder.is_dir():
        raise LessonError(f"there is no folder {folder}; run this from the course's own environment")
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    from course_lib import start_page
    os.chdir(folder)
    for name, folder in (("PATH", Path(sys.executable).parent), ("JUPYTER_CONFIG_PATH", JUPYTER)):
        os.environ[name] = os.pathsep.join(filter(None, [str(folder), os.environ.get(name)]))
    # A login shell, which is what a terminal gets by default, would take `course` off the PATH again.
    shell = os.environ.get("SHELL") or shutil.which("bash") or "sh"
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.terminado_settings={ {'shell_command': [shell]} }"]
    if start_page.write():
        command.append(f"--LabApp.default_url=/lab/tree/{start_page.PAGE.name}")
    command += arguments
    sys.stdout.flush()
    os.execv(sys.executable, command)


def _list(options):
    from course_lib.lessons import lessons
    broken = []
    found = lessons(broken.append)
    for error in broken:
        print(f"course: {error}", file=sys.stderr)
    if options.json:
        print(json.dumps([each.as_dict() for each in found], indent=1))
        return 2 * bool(broken)
    for each in found:
        progress = each.progress
        earned, total = progress.points()
        print(f"{each.name}: {each.title} ({each.points:g} points, about {each.minutes} minutes)")
        print(f"  passed so far: {earned:g} of {total:g} points from checks"
              + (f"; next: {progress.next()}" if progress.next() else "; all checks pass"))
        passed = set(progress.passed())
        for check in each.checks:
            print(f"    {'✓' if check.name in passed else '○'} {check.name:<24}{check.points:>3g}"
                  + ("   trains" if check.trains else ""))
        for name, points in each.by_hand:
            print(f"    ✎ {name:<24}{points:>3g}   in words, graded by hand")
    return 2 * bool(broken)


def _check(options):
    from course_lib.checking import check_notebook
    from course_lib.lessons import lesson
    with redirect_stdout(sys.stderr if options.json else sys.stdout):  # what cells print must not mix with the JSON
        _, verdicts = check_notebook(lesson(options.lesson), options.notebook, options.only)
    if options.json:
        print(json.dumps([verdict.as_dict() for verdict in verdicts], indent=1))
    else:
        print(f"{sum(v.points for v in verdicts):g} of {sum(v.max_points for v in verdicts):g} points")
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _submit(options):
    from course_lib.submit import submit
    return submit(options)


def _doctor(options):
    from course_lib import doctor
    return doctor.main(options.json)


def _demo(options):
    from course_lib.demo import serve
    serve(options.notebook(options.lesson), options.lesson, options.port, not options.no_browser)
    return 0


def _own_notebook(name):
    from course_lib.lessons import lesson, read_notebook
    return read_notebook(lesson(name).path)


if __name__ == "__main__":
    sys.exit(main())
