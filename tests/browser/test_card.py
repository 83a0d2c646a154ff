"""A card in a page that sets formulas, as nbgrader's formgrader does: what a submission has said in it stays text."""

from importlib.metadata import files

from course_lib import card
from course_lib.verdict import FAILED, Verdict

ATTACK = r"$\href{https://evil.invalid}{\text{log in again}}$ $\rule{400pt}{300pt}$ \(\raise{-60pt}{\text{✓ 1 point}}\) \[x^2\]"


def test_formulas_in_a_card_are_not_set(page):
    mathjax = next(file for file in files("sphinx-mathjax-offline") if file.name == "tex-svg-full.js").locate().read_text(encoding="utf-8")
    shown = card.as_html(Verdict("gan_value", FAILED, 0, 1, ATTACK, ATTACK))
    page.set_content(f"<script>MathJax = {{tex: {{inlineMath: [['$', '$'], ['\\\\(', '\\\\)']]}}}}</script><p id=outside>$x^2$</p>{shown}"
                     f"<script>{mathjax}</script>")
    page.wait_for_selector("#outside mjx-container")  # it does set those of the page itself
    assert page.locator("[role=status] mjx-container").count() == 0 and page.locator("[role=status] a").count() == 0
    assert r"\href{https://evil.invalid}" in page.locator("[role=status]").inner_text()
