"""A lesson's checks on a notebook file, from the shell: what `course check` and `course submit` run."""

from course_lib import card
from course_lib.check import checks_of, judge_locally
from course_lib.lessons import Unknown, read_notebook, run_cells, there_twice
from course_lib.notebook import bar


def check_notebook(about, notebook=None, names=None):
    """Run the setup and solution cells of the lesson `about`, then its checks; what it finds is printed as it comes.

    notebook: another path than the lesson's own, whose verdicts aren't kept as progress. names: of the checks; all by default.
    Returns (failures, verdicts): [(cell id, error)] of cells that stopped, and a Verdict for each check. Raises Unknown.
    """
    checks = checks_of(about.name)
    unknown = [name for name in names or () if name not in checks]
    if unknown:
        raise Unknown(f"{about.name} has no check {unknown[0]!r}; it has: {', '.join(checks)}")
    for sentence in there_twice(read_notebook(notebook or about.path)).values():
        print(f"Careful: {sentence}.")
    namespace, failures = run_cells(notebook or about.path)
    for cell, error in failures:
        print(f"The cell {cell} stops with {type(error).__name__}: {card.printable(error)}")
    progress, verdicts = about.progress, []
    for name in names or checks:
        verdicts.append(judge_locally(about.name, name, namespace, progress=bar))
        if notebook is None:
            progress.record(verdicts[-1])
        print(card.as_text(verdicts[-1]), flush=True)
    return failures, verdicts
