"""`course`: the learner's commands."""

import argparse
import json
import os
import sys
from importlib.metadata import entry_points
from pathlib import Path

EXAMPLES = """examples:
  course lab                          open JupyterLab on the lessons
  course list                         the lessons, their points, and what you have passed
  course check gan_math               run all checks of a lesson on your notebook
  course check gan_math --only gan_value
  course check gan_math --notebook ~/handed_in/gan_math.ipynb --json
  course demo gan_math                a page without code, made of your own functions
"""


def main(arguments=None):
    """Run a command; returns the exit status: 0, 1 when a check doesn't pass, 2 for what can't be run."""
    options = _parser().parse_args(arguments)
    from course_lib.lessons import LessonError
    try:
        return options.run(options)
    except (LessonError, LookupError, FileNotFoundError) as error:
        print(f"course: {error.args[0] if error.args else error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ncourse: interrupted.", file=sys.stderr)
        return 130


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

    demo = commands.add_parser("demo", help="open a lesson's demo in the browser: its explorables, without code",
                               description="Open a page with the lesson's explorables and without its code, served on this machine "
                                           "alone. It runs on the functions of your notebook. Ctrl-C ends it.")
    demo.add_argument("lesson")
    demo.add_argument("--no-browser", action="store_true", help="only say where the page is")
    demo.add_argument("--port", type=int, default=8866, help="the first to try (default: 8866)")
    demo.set_defaults(run=_demo, notebook=_own_notebook)

    for each in entry_points(group="course_lib.commands"):  # of the staff's package, which a learner hasn't got
        each.load()(commands)
    return parser


def _lab(options):
    from course_lib.lessons import COURSE
    folder = COURSE / "lessons"
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; run this from the course's own environment")
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    os.chdir(folder)
    command = [sys.executable, "-m", "jupyterlab", *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, command)


def _list(options):
    from course_lib.lessons import lessons
    from course_lib.progress import Progress
    found = lessons()
    if options.json:
        print(json.dumps([each.as_dict() for each in found], indent=1))
        return 0
    for each in found:
        progress = Progress(each.name, each.path.parent)
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
    return 0


def _check(options):
    from course_lib import card
    from course_lib.check import checks_of, judge_locally
    from course_lib.lessons import lesson, run_cells
    from course_lib.notebook import bar
    from course_lib.progress import Progress
    about = lesson(options.lesson)
    names = options.only or list(checks_of(about.name))
    unknown = [name for name in names if name not in checks_of(about.name)]
    if unknown:
        raise LookupError(f"{about.name} has no check {unknown[0]!r}; it has: {', '.join(checks_of(about.name))}")
    stdout = sys.stdout
    if options.json:
        sys.stdout = sys.stderr  # what the notebook prints must not mix with the JSON
    try:
        namespace, failures = run_cells(options.notebook or about.path)
        for cell, error in failures:
            print(f"The cell {cell} stops with {type(error).__name__}: {card.printable(error)}")
        progress, verdicts = Progress(about.name, about.path.parent), []
        for name in names:
            verdicts.append(judge_locally(about.name, name, namespace, progress=bar))
            if options.notebook is None:
                progress.record(verdicts[-1])
            if not options.json:
                print(card.as_text(verdicts[-1]), flush=True)
    finally:
        sys.stdout = stdout
    if options.json:
        print(json.dumps([verdict.as_dict() for verdict in verdicts], indent=1))
    else:
        print(f"{sum(v.points for v in verdicts):g} of {sum(v.max_points for v in verdicts):g} points")
    return 0 if all(verdict.passed for verdict in verdicts) else 1


def _demo(options):
    from course_lib.demo import serve
    serve(options.notebook(options.lesson), options.lesson, options.port, not options.no_browser)
    return 0


def _own_notebook(name):
    from course_lib.lessons import lesson, read_notebook
    return read_notebook(lesson(name).path)


if __name__ == "__main__":
    sys.exit(main())
