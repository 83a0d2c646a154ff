"""The command `autograder`, for those who write, release and grade lessons.

A command is a function that adds its parser to `commands` and names what runs it; COMMANDS lists them. What runs it gets
the parsed arguments and the course, and returns the exit status: 0, or 1 when something is wrong with the course. It
imports what it needs itself, so that `--help` comes at once.
"""

import argparse
import json
import sys
from pathlib import Path


def main(argv=None, course=None):
    """Run one command. course: the autograder.build.Course to work on, this repository by default."""
    parser = argparse.ArgumentParser(prog="autograder", description="Builds and releases the course's lessons.",
                                     epilog="`autograder COMMAND --help` explains a command, with examples.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    arguments = parser.parse_args(argv)
    from autograder.build import LessonError
    try:
        return arguments.run(arguments, course or this_course())
    except LessonError as error:
        return _say_problems(error.problems, arguments)
    except OSError as error:
        print(f"autograder: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("autograder: interrupted; what was written is whole", file=sys.stderr)
        return 130


def this_course():
    """The course in this repository, with its checks recorded by autograder.record."""
    from autograder import record
    from autograder.build import Course
    return Course(record=record.write, is_recorded=record.is_current)


def _parser(commands, name, help, description, examples, run):
    parser = commands.add_parser(name, help=help, description=description, epilog=examples,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(run=run)
    return parser


def _say_problems(problems, arguments):
    if getattr(arguments, "json", False):
        print(json.dumps({"problems": problems}, indent=1, ensure_ascii=False))
    else:
        for line in problems:
            print(line, file=sys.stderr)
    return 1 if problems else 0


# --- build ---

def add_build(commands):
    parser = _parser(commands, "build", "write the notebooks from solutions/", """\
Writes lessons/<lesson>/<lesson>.ipynb, what learners open, from solutions/<lesson>/<lesson>.py: solutions and
instructor's cells out, nbgrader's metadata in; and records what the lesson's checks compare with. Without a LESSON, all.
How a source is written stands at the top of autograder/build.py.""", """\
examples:
  autograder build                        write what has changed
  autograder build gan_math               only this lesson
  autograder build --check                write nothing; say what is wrong or out of date, and exit with 1 if anything is
  autograder build --solved shown --execute
                                          shown/<lesson>/<lesson>.ipynb: the instructor's notebook, with its results
  autograder build --solved course/submitted/model
                                          the same notebook as a hand-in of nbgrader's student `model`
  autograder build --source course/source
                                          nbgrader's own source notebooks, for `nbgrader generate_assignment`

A hand-in with solutions is complete, and the question in words is answered as far as the source holds a model answer;
a person still has to grade that. Instructor's cells are in it, tagged so; nbgrader leaves cells that it doesn't know alone.""",
                     run_build)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="a folder of solutions/ (default: all)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="write nothing; exit with 1, and a line each, on what is wrong")
    what.add_argument("--solved", metavar="DIR", type=Path, help="write DIR/<lesson>/<lesson>.ipynb, solutions in, instead")
    what.add_argument("--source", metavar="DIR", type=Path, help="write nbgrader's source notebooks there instead")
    parser.add_argument("--execute", action="store_true", help="with --solved: run the notebooks, without a time limit")
    parser.add_argument("--json", action="store_true", help="say what was done, or what is wrong, as JSON")


def run_build(arguments, course):
    from autograder import build
    if arguments.execute and not arguments.solved:
        raise build.LessonError("--execute goes with --solved DIR")
    lessons = course.choose(arguments.lessons)
    if arguments.check:
        problems = build.problems(course, lessons) + ([] if arguments.lessons else build.orphans(course))
        if not problems and not arguments.json:
            print(f"{_count(lessons, 'lesson')}: lessons/ is what the sources make, and every check has its cell")
        return _say_problems(problems, arguments)
    if arguments.solved or arguments.source:
        done, wrong = _build_elsewhere(arguments, course, lessons)
    else:
        done, wrong = _each(lessons, lambda lesson: build.build(course, lesson))
    if arguments.json:
        print(json.dumps({"built": done, "problems": wrong}, indent=1, ensure_ascii=False))
        return 1 if wrong else 0
    for line in map(_line, done):
        print(line)
    return _say_problems(wrong, arguments)


def _build_elsewhere(arguments, course, lessons):
    from autograder import build

    def make(lesson):
        path = build.build_to(course, lesson, arguments.solved or arguments.source,
                              "solved" if arguments.solved else "source")
        if arguments.execute:
            _execute(lesson, path, course)
        return {"lesson": lesson, "path": course.shown(path), "executed": arguments.execute}

    return _each(lessons, make)


def _each(lessons, make):
    """(what `make(lesson)` gives for each lesson, the problems of those where it can't): one doesn't stop the others."""
    from autograder.build import LessonError
    done, wrong = [], []
    for lesson in lessons:
        try:
            done.append(make(lesson))
        except LessonError as error:
            wrong += error.problems
    return done, wrong


def _execute(lesson, path, course):
    from autograder.build import execute
    from tqdm import tqdm
    with tqdm(desc=lesson, unit="cell") as bar:
        def report(done, total, cell_id):
            bar.total, bar.n = total, done
            bar.set_postfix_str(cell_id)

        execute(path, course.root, report)
        bar.n = bar.total
        bar.set_postfix_str("done")


def _line(built):
    if "cells" not in built:
        return f"{built['lesson']}: {built['path']}{', executed' if built['executed'] else ''}"
    state = "written" if built["changed"] else "unchanged"
    return (f"{built['lesson']}: {built['path']} {state}{', its checks recorded anew' if built['recorded'] else ''}; "
            f"{_count(built['cells'], 'cell')}, {_count(built['checks'], 'check')}, {_count(built['points'], 'point')}")


def _count(things, noun):
    number = things if isinstance(things, (int, float)) else len(things)
    return f"{number:g} {noun}{'' if number == 1 else 's'}"


# --- release ---

def add_release(commands):
    parser = _parser(commands, "release", "pack one zip for learners", """\
Packs lessons, helper library, environment and README into one zip, and nothing of a solution: from a list of what may go
in, and after looking for solutions, instructor's text, outputs and personal paths in every file. lessons/ must be up to
date. A learner unpacks it and runs `make lab`.""", """\
examples:
  autograder release                      dist/<project>-<version>.zip
  autograder release --out week1.zip""", run_release)
    parser.add_argument("--out", metavar="FILE.zip", type=Path, help="where to write it")
    parser.add_argument("--json", action="store_true", help="say what was done, or what is wrong, as JSON")


def run_release(arguments, course):
    from autograder.release import release
    made = release(course, arguments.out)
    print(json.dumps(made, indent=1) if arguments.json else
          f"{made['path']}: {_count(made['files'], 'file')}, {made['bytes'] / 1024:.0f} KB")
    return 0


COMMANDS = [add_build, add_release]

if __name__ == "__main__":
    sys.exit(main())
