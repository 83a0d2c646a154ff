"""A learner's first half hour in `gan_math`, with real keys in a real browser."""

import ast

from autograder.answers import reference_cells, wrong_answers
from playwright.sync_api import expect

LESSON = "gan_math"
EXERCISE = "gan_value"
EXPLORABLE = "explore.optimal_discriminator("  # the lesson's first slider


def wrong_answer():
    """(source, hint) of the first known wrong answer to the exercise, as a learner would type it."""
    answer = next(answer for answer in wrong_answers(LESSON) if answer.check == EXERCISE)
    *shared, function = answer.statements
    imports = [statement for statement in shared if isinstance(statement, (ast.Import, ast.ImportFrom))]
    source = "\n".join(ast.unparse(statement) for statement in (*imports, function))
    return source, answer.hint.replace("`", "")  # the card sets what stands in backticks as code


def test_from_the_first_cell_to_the_first_check_passed(open_notebook):
    notebook = open_notebook(f"{LESSON}/{LESSON}.ipynb")
    solution, check = f"solution-{EXERCISE}", f"check-{EXERCISE}"
    notebook.screenshot("1-opened")

    for name in notebook.ids[:notebook.ids.index(solution)]:
        if name in notebook.code:
            notebook.run(name)
            expect(notebook.output(name)).not_to_contain_text("Traceback")
    notebook.screenshot("2-first-cells")

    source, hint = wrong_answer()
    notebook.write(solution, source)
    notebook.run(solution)
    notebook.run(check)
    expect(notebook.output(check)).to_contain_text(hint)
    expect(notebook.output(check)).not_to_contain_text("Traceback")
    notebook.screenshot("3-wrong-answer-hint")

    notebook.write(solution, dict(reference_cells(LESSON))[EXERCISE])
    notebook.run(solution)
    notebook.run(check)
    expect(notebook.output(check)).to_contain_text("✓ Passed")
    expect(notebook.output(check)).not_to_contain_text(hint)
    notebook.screenshot("4-passed")

    drawn_by = "solution-optimal_discriminator"  # the explorable draws the learner's own function
    notebook.write(drawn_by, dict(reference_cells(LESSON))["optimal_discriminator"])
    notebook.run(drawn_by)
    notebook.run(EXPLORABLE)
    notebook.until(lambda: notebook.drawn(EXPLORABLE), "the explorable draws")
    before = notebook.drawn(EXPLORABLE)
    notebook.slide(EXPLORABLE, +3)
    notebook.until(lambda: notebook.drawn(EXPLORABLE) != before, "the picture follows the slider")
    notebook.wait_idle()
    notebook.screenshot("5-slider-moved", of=EXPLORABLE)
