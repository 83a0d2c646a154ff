"""The command `autograder`, for those who write, release and grade lessons.

A command is a function that adds its parser to `commands` and names what runs it; COMMANDS lists them. What runs it gets
the parsed arguments and the course, and returns the exit status: 0, or 1 when something is wrong with the course. It
imports what it needs itself, so that `--help` comes at once.
"""

import argparse
import json
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

from course_lib.cli import reader_is_gone
from course_lib.files import whole


def main(argv=None, course=None):
    """Run one command. course: the autograder.build.Course to work on, this repository by default."""
    parser = argparse.ArgumentParser(prog="autograder", description="Builds, releases and grades the course's lessons.",
                                     epilog="`autograder COMMAND --help` explains a command, with examples.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in COMMANDS:
        add(commands)
    arguments = parser.parse_args(argv)
    from course_lib.lessons import LessonError
    try:
        status = arguments.run(arguments, course or this_course())
        sys.stdout.flush()
        return status
    except LessonError as error:
        return _say_problems(getattr(error, "problems", [str(error)]), arguments)
    except OSError as error:
        if isinstance(error, BrokenPipeError) and reader_is_gone():
            return 0
        print(f"autograder: {error.strerror or error}{f': {error.filename}' if error.filename else ''}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("autograder: interrupted; what was written is whole. Run the same command to go on", file=sys.stderr)
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
    folder = build.outside(course, arguments.solved or arguments.source)

    def make(lesson):
        path = build.build_to(course, lesson, folder, "solved" if arguments.solved else "source")
        if arguments.execute:
            _execute(lesson, path, course)
        return {"lesson": lesson, "path": course.shown(path), "executed": arguments.execute}

    return _each(lessons, make)


def _each(lessons, make):
    """(what `make(lesson)` gives for each lesson, the problems of those where it can't): one doesn't stop the others."""
    from autograder.errors import LessonError
    done, wrong = [], []
    for lesson in lessons:
        try:
            done.append(make(lesson))
        except LessonError as error:
            wrong += error.problems
    return done, wrong


def _execute(lesson, path, course):
    """Run the notebook at `path`, with a bar."""
    from autograder import build
    with _progress(lesson) as report:
        build.execute(path, course.root, report)


@contextmanager
def _progress(lesson):
    """A bar over the cells of a notebook that is executed; yields the `report` for it."""
    from tqdm import tqdm
    with tqdm(desc=lesson, unit="cell") as bar:
        def report(done, total, cell_id):
            bar.total, bar.n = total, done
            bar.set_postfix_str(cell_id)

        yield report
        if bar.total is not None:  # else nothing had to be run
            bar.n = bar.total
            bar.set_postfix_str("done")


def _line(built):
    if "cells" not in built:
        return f"{built['lesson']}: {built['path']}{', executed' if built['executed'] else ''}"
    state = "written" if built["changed"] else "unchanged"
    return (f"{built['lesson']}: {built['path']} {state}{', its checks recorded anew' if built['recorded'] else ''}; "
            f"{_count(built['cells'], 'cell')}, {_count(built['checks'], 'check')}, {_count(built['points'], 'point')}"
            + (f"; somebody had worked in it, and that is kept as {built['kept']}" if built["kept"] else ""))


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
  autograder release --out week1.zip
  autograder release --out week2.zip --lessons sanet,fine_tuning""", run_release)
    parser.add_argument("--out", metavar="FILE.zip", type=Path, help="where to write it")
    parser.add_argument("--lessons", metavar="A,B", help="only these lessons' notebooks")
    parser.add_argument("--json", action="store_true", help="say what was done, or what is wrong, as JSON")


def run_release(arguments, course):
    from autograder.release import release
    made = release(course, arguments.out, arguments.lessons.split(",") if arguments.lessons else ())
    print(json.dumps(made, indent=1) if arguments.json else
          f"{made['path']}: {_count(made['files'], 'file')}, {made['bytes'] / 1024:.0f} KB")
    return 0


# --- site ---

def add_site(commands):
    parser = _parser(commands, "site", "make the course's pages, for reading without running", """\
Runs the solved notebooks and makes static pages of them and of the guides: searchable, with maths, light and dark, and
without need of a network. An exercise shows what learners get; no solution, and no instructor's cell, is in them. What was run
is kept in build/site, and runs again only when the lesson, course_lib or the scale has changed. $COURSE_SCALE is the scale.""", """\
examples:
  autograder site                         dist/site/index.html; some minutes for each lesson the first time
  autograder site gan_math --out pages
  autograder site --solutions             for a class that has handed in: solutions in, folded away
  COURSE_SCALE=smoke autograder site      quick, to see how it looks""", run_site)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help="a folder of solutions/ (default: all)")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to (default: dist/site)")
    parser.add_argument("--solutions", action="store_true", help="also the solutions and model answers, folded away")
    parser.add_argument("--external-links", action="store_true", help="also ask the addresses of other sites that pages link to")


def run_site(arguments, course):
    from autograder import website
    made = website.make(course, course.choose(arguments.lessons), arguments.out or course.root / "dist" / "site",
                        course.root / "build" / "site", arguments.solutions, arguments.external_links, _execute)
    unasked = f"; {_count(made['external'], 'link')} to other sites not asked (--external-links)" if made["external"] else ""
    print(f"{made['index']}: {_count(made['pages'], 'page')}, no broken link{unasked}")
    return 0


# --- gate and calibrate ---

def add_gate(commands):
    parser = _parser(commands, "gate", "try every known answer on every check", """\
Puts the reference, the stub, all known wrong answers and all alternative right ones to the checks of a lesson, as the
notebook would and as grading would. The reference and the alternatives must pass; the stub and the wrong answers must fail,
and each wrong one with its own hint.""", """\
examples:
  autograder gate gan_math                at the smoke scale, as the tests do
  autograder gate gan_math --scale cpu    at the scale of a learner's machine: minutes
  autograder gate gan_math --only ring
  autograder gate gan_math --draws 20     whether chance lets a wrong answer pass""", run_gate)
    parser.add_argument("lesson", metavar="LESSON")
    parser.add_argument("--only", metavar="CHECK", action="append", help="this check only (may be repeated)")
    parser.add_argument("--draws", metavar="N", type=_at_least_one, default=1,
                        help="try in grading on N secret draws where nothing trains (default: 1)")
    _add_scale(parser, "smoke")
    parser.add_argument("--json", action="store_true", help="the problems as JSON")


def run_gate(arguments, course):
    from autograder.errors import LessonError
    from autograder.gate import run
    from course_lib.scale import Scale
    from tqdm import tqdm
    course.choose([arguments.lesson])
    unknown = set(arguments.only or ()) - set(course.checks_of(arguments.lesson))
    if unknown:
        raise LessonError(f"{arguments.lesson} has no check {sorted(unknown)[0]!r}; it has: "
                          f"{', '.join(course.checks_of(arguments.lesson))}")
    tried, problems = run(arguments.lesson, Scale(arguments.scale), arguments.only, lambda work: tqdm(work, unit="answer"), arguments.draws)
    if not problems and not arguments.json:
        print(f"{arguments.lesson}: {_count(tried, 'answer')} met with the right verdict, in the notebook and in grading")
    return _say_problems(problems, arguments)


def add_calibrate(commands):
    parser = _parser(commands, "calibrate", "measure a training check over many seeds", """\
Trains over many seeds with the reference and with the answers marked trains="…", keeps each run's figures in
solutions/<lesson>/calibration/, and writes docs/calibration.md. Goes on where it was stopped; runs whose check, answer or nets
have changed are made again. Bounds stand in course_lib/checks/<lesson>.py; changing one needs no new run.""", """\
examples:
  autograder calibrate gan_math ring
  autograder calibrate gan_math ring --seeds 50 --wrong-seeds 20 --scale smoke
  autograder calibrate gan_math ring --seeds 0 --wrong-seeds 0     only write docs/calibration.md
  autograder calibrate gan_math ring --unchanged                   a message was changed: see that the figures weren't""", run_calibrate)
    parser.add_argument("lesson", metavar="LESSON")
    parser.add_argument("check", metavar="CHECK")
    parser.add_argument("--seeds", type=int, default=50, help="runs of the reference (default: 50)")
    parser.add_argument("--wrong-seeds", type=int, default=20, help="runs of each other answer (default: 20)")
    parser.add_argument("--unchanged", metavar="COMMIT", nargs="?", const="HEAD",
                        help="make the first two runs of each answer whose code has changed again, and keep all of its runs if these come out "
                             "equal to those on record, or to what the code of this commit gives here (default: HEAD)")
    _add_scale(parser, "cpu")


def run_calibrate(arguments, course):
    from autograder import calibrate
    from autograder.errors import LessonError
    from course_lib.scale import Scale
    from tqdm import tqdm
    course.choose([arguments.lesson])
    check = course.checks_of(arguments.lesson).get(arguments.check)
    if check is None or not check.trains:
        trains = ", ".join(name for name, each in course.checks_of(arguments.lesson).items() if each.trains)
        raise LessonError(f"{arguments.lesson} has no check {arguments.check!r} that trains; those are: {trains or 'none'}")
    scale = Scale(arguments.scale)
    try:
        if arguments.unchanged and (moved := calibrate.keep_unchanged(check, scale, arguments.unchanged, lambda work: tqdm(work, unit="answer"))):
            raise LessonError([f"{arguments.check}: the figures of {label!r} are others now; its runs have to be made again" for label in moved])
        if not arguments.unchanged:
            calibrate.calibrate(check, scale, arguments.seeds, arguments.wrong_seeds, lambda work: tqdm(work, unit="run"))
    finally:
        path = course.root / "docs" / "calibration.md"
        with whole(path) as unfinished:
            unfinished.write_text(calibrate.page({lesson: course.checks_of(lesson).values() for lesson in course.lessons()},
                                                 [Scale.SMOKE, Scale.CPU]), encoding="utf-8")
    print(f"{course.shown(path)} written")
    return 0


def _add_scale(parser, default):
    parser.add_argument("--scale", choices=["smoke", "cpu", "gpu"], default=default,
                        help=f"default: {default or 'gpu where there is one, else cpu'}")


# --- a class: grade, feedback, report ---

def add_grade(commands):
    parser = _parser(commands, "grade", "grade a class's hand-ins", """\
Grades every hand-in for a lesson: each runs in a sandbox without network, files or time to spare, and is judged from
outside on inputs that nobody knows. Writes results/, nbgrader's gradebook and the autograded notebooks of the class folder.
What is graded already isn't run again, unless the hand-in or the code that judges it has changed; a run that was stopped
goes on where it was. Questions in words wait for a person, in nbgrader's formgrader.""", """\
examples:
  autograder grade gan_math                         the class in this folder, hand-ins in submitted/<student>/gan_math/
  autograder grade gan_math --submitted inbox       a folder of student.ipynb files
  autograder grade gan_math --submitted moodle.zip  as a learning management system packs them
  autograder grade gan_math --students ada,grace --regrade
  autograder grade gan_math --scheduler tls://head:8786     on a cluster: Slurm, Kubernetes, anything Dask runs on""", run_grade)
    parser.add_argument("lesson", metavar="LESSON")
    _add_class(parser)
    parser.add_argument("--submitted", metavar="PATH", type=Path, help="the hand-ins (default: submitted/ of the class)")
    parser.add_argument("--jobs", metavar="N", type=_at_least_one, help="processes at once (default: one for each core)")
    parser.add_argument("--scheduler", metavar="ADDRESS", help="a running Dask scheduler to use instead")
    parser.add_argument("--regrade", action="store_true", help="judge again what is graded already; the gradebook is backed up")
    parser.add_argument("--all-cells", action="store_true",
                        help="also run the lesson's other cells on the learner's code, for their plots; those graded already too")
    _add_scale(parser, None)
    parser.add_argument("--unsafe", action="store_true", help="run submissions without a sandbox, as you; every result says so")
    parser.add_argument("--json", action="store_true", help="print the results as JSON when all are there")


def _at_least_one(text):
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} isn't a number from 1 up")
    return int(text)


def run_grade(arguments, course):
    from autograder import grading
    from autograder.task import Terms
    from course_lib.scale import Scale
    from tqdm import tqdm
    course.choose([arguments.lesson])
    if arguments.unsafe:
        print("UNSAFE: submissions run without a sandbox, as you, with all that you may do. Every result will say so.",
              file=sys.stderr)
    terms = Terms.of(course, arguments.lesson, arguments.scale and Scale(arguments.scale),
                     isolated=not arguments.unsafe, all_cells=arguments.all_cells)
    with ExitStack() as stack:
        bars, passed_over = [], []

        def begin(left, total, processes):
            print(f"grading {_count(left, 'hand-in')} on {processes} process{'' if processes == 1 else 'es'}", file=sys.stderr)
            bars.append(stack.enter_context(  # none in a file
                tqdm(desc=arguments.lesson, unit="hand-in", total=total, initial=total - left, file=sys.stderr, disable=None)))

        def tell(result, fresh):
            if not arguments.json:
                tqdm.write(f"{_graded(result)}{'' if fresh else ' (as before)'}")
                sys.stdout.flush()
            for bar in bars:
                bar.update()

        results = grading.grade(_classroom(arguments), course, arguments.lesson, terms=terms, source=arguments.submitted,
                                students=_students(arguments), jobs=arguments.jobs, scheduler=arguments.scheduler,
                                regrade=arguments.regrade, begin=begin, tell=tell, pass_over=passed_over.extend)
    if passed_over:
        print(f"passed over, since they aren't notebooks (.ipynb), and nobody's folder: {', '.join(passed_over)}", file=sys.stderr)
    if arguments.json:
        print(json.dumps([result.summary() for result in results], indent=1, ensure_ascii=False))
        return 0
    waiting = [result for result in results if result.status != "graded"]
    in_part = sum(result.judged for result in waiting)
    counts = {"graded": len(results) - len(waiting), "graded in part": in_part, "not graded": len(waiting) - in_part}
    print(", ".join(f"{count} {what}" for what, count in counts.items() if count) + (". For you to look at:" if waiting else ""))
    for result in waiting:
        reasons = dict.fromkeys(each.hint for each in result.verdicts if each.verdict == "not graded")
        print(f"  {result.student}: {' '.join(reasons)}")
    return 0


def _graded(result):
    by_verdict = {verdict: sum(each.verdict == verdict for each in result.verdicts) for verdict in ("failed", "not graded")}
    rest = ", ".join(f"{count} {verdict}" for verdict, count in by_verdict.items() if count)
    return (f"{result.student}: {result.points:g} of {_count(result.max_points, 'point')}, {rest or 'all passed'}, "
            f"{result.seconds:.1f} s")


def add_feedback(commands):
    parser = _parser(commands, "feedback", "write each learner a page", """\
Writes feedback/<student>/<lesson>/<lesson>.html: verdict, points and hint of each check, the learner's code with what it
showed, and the points and comments a person gave. `nbgrader release_feedback LESSON` hands them out. With --like, also packs
them into feedback/<lesson>.zip, each named after its hand-in there, for Moodle or Canvas to take back.""", """\
examples:
  autograder feedback gan_math
  autograder feedback gan_math --students ada
  autograder feedback gan_math --like moodle.zip""", run_feedback)
    parser.add_argument("lesson", metavar="LESSON")
    _add_class(parser)
    parser.add_argument("--like", metavar="PATH", type=Path, help="the hand-ins as they came from the learning management system")


def run_feedback(arguments, course):
    from autograder import feedback, handin
    course.choose([arguments.lesson])
    classroom, students = _classroom(arguments), _students(arguments)
    handins = arguments.like and handin.find(arguments.like, arguments.lesson, students, set(course.lessons()) - {arguments.lesson}, ids=classroom.ids)
    written = feedback.write_all(classroom, course, arguments.lesson, students)
    print(f"{_count(written, 'page')} written below {classroom.root / 'feedback'}")
    if handins:
        path, without = feedback.pack(classroom, arguments.lesson, handins)
        print(f"{_count(len(handins) - len(without), 'page')} packed into {path}, named after the hand-ins in {arguments.like}")
        if without:
            print(f"without a page, since they weren't graded: {', '.join(without)}", file=sys.stderr)
        if absent := sorted({page.parts[-3] for page in written} - {each.student for each in handins}):
            print(f"not in {arguments.like}, so their pages aren't packed: {', '.join(absent)}", file=sys.stderr)
    return 0


def add_report(commands):
    parser = _parser(commands, "report", "show how the class did", """\
Writes reports/<lesson>.html, with plots (points, checks by pass rate, the hints most given, time and memory, what waits for a
person), and reports/<lesson>.csv, a row for each learner.""", """\
examples:
  autograder report gan_math""", run_report)
    parser.add_argument("lesson", metavar="LESSON")
    _add_class(parser, students=False)


def run_report(arguments, course):
    from autograder import report
    course.choose([arguments.lesson])
    for path in report.write(_classroom(arguments), course, arguments.lesson):
        print(path)
    return 0


def _add_class(parser, students=True):
    parser.add_argument("--class", dest="folder", metavar="DIR", type=Path, default=Path(),
                        help="the class folder (default: this one)")
    if students:
        parser.add_argument("--students", metavar="A,B", help="only these")


def _classroom(arguments):
    from autograder.errors import LessonError
    from autograder.results import ClassFolder
    if not arguments.folder.is_dir():
        raise LessonError(f"{arguments.folder} isn't a folder; --class names the folder of the class")
    return ClassFolder(arguments.folder.resolve())


def _students(arguments):
    return arguments.students.split(",") if arguments.students else None


# --- what `course` can do besides, where this package is ---

def add_to_course(commands):
    """Called by `course`: its demos run on the solutions then, and it has `present`."""
    commands.choices["demo"].set_defaults(notebook=lambda lesson: _solved(lesson, this_course()))
    parser = _parser(commands, "present", "the solutions, executed, with notes and slide marks: as a notebook and as one HTML file", """\
Runs the instructor's notebook of a lesson, which takes as long as its trainings do, and writes DIR/<lesson>.ipynb, with slide
marks and the instructor's notes, for JupyterLab, and DIR/<lesson>.html, one file that needs no network. What was run already isn't
run again, unless the source has changed.""", """\
examples:
  course present gan_math
  course present gan_math --out talk --again
  COURSE_SCALE=smoke course present gan_math              shorter trainings
  jupyter nbconvert --to slides --SlidesExporter.reveal_scroll=True presented/gan_math.ipynb
                                                          slides of it; those ask a network for reveal.js""", lambda arguments: run_present(arguments, this_course()))
    parser.add_argument("lesson", metavar="LESSON")
    parser.add_argument("--out", metavar="DIR", type=Path, help="where to write (default: presented/ of the course)")
    parser.add_argument("--again", action="store_true", help="run it even if nothing has changed")


def run_present(arguments, course):
    from autograder.present import present
    lesson, = course.choose([arguments.lesson])
    with _progress(lesson) as report:
        written = present(course, lesson, arguments.out or course.root / "presented", arguments.again, report)
    for path in written:
        print(course.shown(path))
    return 0


def _solved(lesson, course):
    from autograder.build import notebooks
    return notebooks(course, *course.choose([lesson])).solved


COMMANDS = [add_build, add_release, add_site, add_grade, add_feedback, add_report, add_gate, add_calibrate]

if __name__ == "__main__":
    sys.exit(main())
