"""What is taken from a hand-in: the right cells, from whatever bytes; answers that can do nothing where they are shown."""

import ast
import base64
import copy
import json
import random
import re
import time
from html.parser import HTMLParser

import nbformat
import nbgrader.server_extensions.formgrader
import pytest
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert import HTMLExporter
from nbconvert.filters import markdown2html_mistune, strip_files_prefix
from toy_course import make_course

from autograder import build
from autograder.splice import MAX_CELL, fill, safe_markdown, splice

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1 and so on").decode()
STUB = "raise NotImplementedError()"


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory):
    return build.notebooks(make_course(tmp_path_factory.mktemp("course")), "toy")


@pytest.fixture(scope="module")
def released(notebooks):
    return notebooks.released


def as_json(notebook):
    return json.loads(nbformat.writes(notebook))


def edited(notebook, **sources):
    """The notebook as plain JSON, with other texts in the cells of these names (underscores for dashes)."""
    plain = as_json(notebook)
    for cell in plain["cells"]:
        name = cell["id"].replace("-", "_")
        cell["source"] = sources.get(name, cell["source"])
    return plain


def handed_in(released, plain):
    return splice(released, json.dumps(plain).encode())


def cell_of(plain, cell_id):
    return next(cell for cell in plain["cells"] if cell["id"] == cell_id)


# --- Which text is taken ---

def test_the_untouched_notebook_comes_back_as_it_was(released):
    made = splice(released, build.as_text(released).encode())
    assert (made.problem, made.notes, made.elsewhere) == ("", [], {})
    assert set(made.sources) == {"solution-mean", "solution-spread", "answer-outliers"}
    assert STUB in made.sources["solution-mean"]
    assert fill(released, made.sources) == released


def test_the_untouched_lesson_comes_back_as_it_was():
    data = (ROOT / "lessons" / "gan_math" / "gan_math.ipynb").read_bytes()
    released = nbformat.reads(data.decode(), as_version=4)
    made = splice(released, data)
    assert (made.problem, made.notes, made.elsewhere) == ("", [], {})
    assert fill(released, made.sources) == released


def test_solutions_and_answers_are_taken_and_all_else_is_as_released(notebooks):
    made = splice(notebooks.released, build.as_text(notebooks.solved).encode())
    assert "math.fsum" in made.sources["solution-mean"] and "report the median" in made.sources["answer-outliers"]
    graded = fill(notebooks.released, made.sources)
    nbformat.validate(graded)
    for ours, theirs in zip(graded.cells, notebooks.released.cells, strict=True):
        assert ours | {"source": ""} == theirs | {"source": ""}
        assert ours.source == made.sources.get(ours.id, theirs.source)


def test_what_a_learner_changes_around_the_solutions_goes_no_further(released):
    plain = edited(released, solution_mean="mean = 1")
    plain["metadata"] = {"kernelspec": {"name": "evil"}, "title": "<script>"}
    plain["cells"].reverse()
    for cell in plain["cells"]:
        cell["metadata"] = {"tags": ["skip-execution"], "nbgrader": {"points": 100, "schema_version": 99}}
        cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "full marks"}]
        cell["attachments"] = {"x.svg": {"image/svg+xml": "<svg onload=alert(1)>"}}
        if cell["id"] == "check-mean":
            cell["source"] = "print('passed')"
    made = handed_in(released, plain)
    assert made.sources["solution-mean"] == "mean = 1"
    assert fill(released, made.sources) == fill(released, {"solution-mean": "mean = 1"})


@pytest.mark.parametrize("source", ["mean = 1\n", ["mean ", "= 1\n"], "mean = 1\r\n", "mean = 1\r", "mean\0 = \x1b1\7\n"])
def test_a_source_is_a_string_or_a_list_and_keeps_no_control_characters(released, source):
    assert handed_in(released, edited(released, solution_mean=source)).sources["solution-mean"] == "mean = 1\n"


def test_without_ids_cells_are_known_by_nbgraders(released):
    plain = edited(released, solution_mean="mean = 1", answer_outliers="both")
    for number, cell in enumerate(plain["cells"]):
        cell["id"] = f"new-{number}"
    made = handed_in(released, plain)
    assert (made.sources["solution-mean"], made.sources["answer-outliers"], made.notes) == ("mean = 1", "both", [])
    for cell in plain["cells"]:
        del cell["id"]
    plain["nbformat_minor"] = 0
    assert handed_in(released, plain).sources == made.sources


def test_an_id_counts_before_nbgraders_name(released):
    plain = edited(released, solution_mean="mean = 1", solution_spread="spread = 2")
    cell_of(plain, "solution-mean")["metadata"]["nbgrader"]["grade_id"] = "spread"
    cell_of(plain, "solution-spread")["metadata"]["nbgrader"]["grade_id"] = "mean"
    made = handed_in(released, plain)
    assert (made.sources["solution-mean"], made.sources["solution-spread"], made.notes) == ("mean = 1", "spread = 2", [])


def test_of_two_cells_with_one_id_the_first_counts(released):
    plain = edited(released, solution_mean="mean = 1")
    plain["cells"].append({**copy.deepcopy(cell_of(plain, "solution-mean")), "source": "mean = 2\nhelper = 3"})
    made = handed_in(released, plain)
    assert made.sources["solution-mean"] == "mean = 1"
    assert "solution-mean: is there 2 times" in made.notes[0] and str(len(plain["cells"])) in made.notes[0]
    assert made.elsewhere == {"mean": len(plain["cells"]), "helper": len(plain["cells"])}
    taken, other = made.several["solution-mean"]
    assert plain["cells"][taken - 1]["source"] == "mean = 1" and other == len(plain["cells"]) and len(made.several) == 1


def test_a_cell_that_is_missing_or_no_code_any_more_is_graded_as_released(released):
    plain = edited(released, solution_spread="spread = 2")
    plain["cells"].remove(cell_of(plain, "solution-mean"))
    cell_of(plain, "solution-spread")["cell_type"] = "markdown"
    made = handed_in(released, plain)
    assert STUB in made.sources["solution-mean"] and STUB in made.sources["solution-spread"]
    assert "isn't in the notebook" in made.notes[0] and "isn't a code cell any more" in made.notes[1]


def test_an_answer_counts_in_a_cell_of_any_type(released):
    plain = edited(released, answer_outliers="the median")
    cell_of(plain, "answer-outliers")["cell_type"] = "code"
    made = handed_in(released, plain)
    assert made.sources["answer-outliers"] == "the median" and "isn't a Markdown cell any more" in made.notes[0]


def test_too_long_a_solution_says_so_where_it_would_run(released):
    made = handed_in(released, edited(released, solution_mean="x = 1\n" * MAX_CELL))
    text = made.sources["solution-mean"]
    assert "\n" not in text and isinstance(ast.parse(text).body[0], ast.Raise)
    assert "120,000 characters" in text and "20,000" in text and "120,000 characters" in made.notes[0]


def test_too_long_an_answer_is_cut_visibly(released):
    made = handed_in(released, edited(released, answer_outliers="word " * MAX_CELL))
    text = made.sources["answer-outliers"]
    assert MAX_CELL < len(text) < MAX_CELL + 200 and "cut here" in text and "100,000 characters" in made.notes[0]


def test_a_stored_net_is_noted_and_no_solution_of_ours(released):
    weights = base64.b85encode(bytes(random.Random(0).choices(range(256), k=12_000))).decode()
    note, = handed_in(released, edited(released, solution_mean=f"WEIGHTS = {weights!r}")).notes
    assert "a trained net stored" in note
    for lesson in build.Course().lessons():
        made = build.notebooks(build.Course(), lesson)
        assert not splice(made.released, json.dumps(as_json(made.solved)).encode()).notes


def test_a_notebook_of_another_lesson_is_no_hand_in(released):
    assert "is it another lesson's?" in splice(released, json.dumps(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])).encode()).problem


def test_the_content_is_the_sources_and_nothing_else(released):
    plain = edited(released, solution_mean="mean = 1")
    first = handed_in(released, plain)
    plain["metadata"]["note"] = "another run"
    assert handed_in(released, plain).content == first.content and re.fullmatch("[0-9a-f]{64}", first.content)
    assert handed_in(released, edited(released, solution_mean="mean = 2")).content != first.content


# --- What is no notebook, or a strange one ---

@pytest.mark.parametrize("data, problem", [
    (b"", "is empty"), (b" \n", "is empty"), (b"\xef\xbb\xbf", "isn't JSON"),
    (b"\xff\xfe{\x00}\x00", "isn't UTF-8"), (b"\x80", "isn't UTF-8"), (b'{"cells": [', "saved to its end"),
    (b"[" * 100_000, "can't be read"), (b'{"a":' * 100_000, "can't be read"), (b"[" * 600_000, "parts"),
    (b"9" * 5000, "can't be read"), (b"null", "not a notebook"), (b"[]", "not a notebook"), (b'"cells"', "not a notebook"),
    (b"{}", "not a notebook"), (b'{"cells": {}}', "not a notebook"), (b'{"nbformat": 5, "cells": []}', "not a notebook"),
    (b'{"nbformat": "4", "cells": []}', "not a notebook"), (b'{"nbformat": [4], "cells": []}', "not a notebook"),
    (b'{"nbformat": 3, "worksheets": []}', "format 3; open it in JupyterLab"), (b"NaN", "not a notebook"),
    (b" " * (20 * 1024**2 + 1), "larger than 20 MB"), (b"PK\x03\x04", "isn't JSON"),
], ids=lambda value: repr(value)[:24])
def test_what_is_no_notebook_is_said_to_be_none(released, data, problem):
    made = splice(released, data)
    assert problem in made.problem and (made.sources, made.notes) == ({}, []) and made.content


@pytest.mark.parametrize("change", [
    lambda plain: plain.update(nbformat_minor=99, metadata=None), lambda plain: plain.pop("nbformat"),
    lambda plain: plain.pop("metadata"), lambda plain: [cell.pop("metadata") for cell in plain["cells"]],
    lambda plain: plain["cells"].extend([None, 1, [], "x", {}, {"id": [1]}, {"id": {}, "source": 3}, {"source": [1]},
                                         {"metadata": 1}, {"metadata": {"nbgrader": [1]}, "cell_type": []},
                                         {"metadata": {"nbgrader": {"grade_id": {}}}}]),
    lambda plain: plain.update(x=float("nan"), y=float("inf"), z=10**300),
])
def test_what_is_strange_around_a_solution_does_not_matter(released, change):
    plain = edited(released, solution_mean="mean = 1")
    change(plain)
    made = handed_in(released, plain)
    assert (made.problem, made.sources["solution-mean"]) == ("", "mean = 1")


@pytest.mark.parametrize("source", [None, 1, {}, [1], ["a", None], True])
def test_a_source_that_is_no_text_is_graded_as_released(released, source):
    made = handed_in(released, edited(released, solution_mean=source))
    assert STUB in made.sources["solution-mean"] and "has no text" in made.notes[0]


def test_a_byte_order_mark_and_doubled_keys_are_read_as_jupyter_reads_them(released):
    text = json.dumps(edited(released, solution_mean="FIRST")).replace('"FIRST"', '"FIRST", "source": "last"')
    assert splice(released, b"\xef\xbb\xbf" + text.encode()).sources["solution-mean"] == "last"


def test_lone_surrogates_are_replaced(released):
    text = json.dumps(edited(released, solution_mean="x = 'MARK'")).replace("MARK", r"\ud800 \ud83d\ude00")
    made = splice(released, text.encode())
    assert made.sources["solution-mean"] == "x = '? 😀'"


def test_a_large_hostile_notebook_is_read_in_seconds(released):
    cells = [{"cell_type": "code", "source": "a = 1\n" * 2500} for _ in range(1000)]
    cells += [{"id": "solution-mean", "cell_type": "code"}] * 10_000
    start = time.process_time()
    made = handed_in(released, {"cells": cells})
    assert time.process_time() - start < 5 and not made.problem and len(made.notes) <= 6


KEYS = st.sampled_from(["cells", "nbformat", "id", "source", "metadata", "nbgrader", "grade_id", "cell_type"])
JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=15)


@settings(max_examples=100, deadline=None)
@given(value=JSON, cells=st.lists(st.dictionaries(
    st.sampled_from(["id", "source", "metadata", "cell_type"]),
    JSON | st.sampled_from(["solution-mean", "answer-outliers", "code", "markdown"]), max_size=4), max_size=4))
def test_no_json_raises(released, value, cells):
    handed_in(released, value)
    made = handed_in(released, {"cells": cells, "nbformat": 4})
    nbformat.validate(fill(released, made.sources))


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_raise(released, data):
    assert splice(released, data).problem


# --- Names in cells of one's own ---

def test_names_in_cells_that_are_not_graded_are_found(released):
    plain = edited(released, setup_1="import math\nepsilon = 1e-8")
    plain["cells"].insert(0, {"cell_type": "code", "source": """\
def helper(x):
    inner = 1
async def waits(): pass
class Net: pass
rate = 0.1
size: int = 3
import numpy as np
import torch
from os import path
from os import sep as separator  # that one
rate == 2
print("a = b")
Étude=1
"""})
    plain["cells"].insert(0, {"cell_type": "markdown", "source": "text = 1"})
    plain["cells"].append({"cell_type": "code", "source": "rate = 3\nlast = 1"})
    made = handed_in(released, plain)
    setup = next(number for number, cell in enumerate(plain["cells"], 1) if cell.get("id") == "setup-1")
    assert made.elsewhere == {**dict.fromkeys(["helper", "waits", "Net", "rate", "size", "np", "torch", "path", "separator",
                                               "Étude"], 2),
                              "math": setup, "epsilon": setup, "last": len(plain["cells"])}


# --- Answers in words, where they are shown ---

VOID = {"br", "hr", "input", "img"}
ALLOWED = {
    **dict.fromkeys("p em strong del pre ul blockquote hr br table thead tbody tr dl dt dd".split(), set()),
    "ol": {"start"}, "th": {"style"}, "td": {"style"}, "code": {"class"}, "span": {"class"}, "div": {"class"},
    "li": {"class"}, "input": {"class", "type", "disabled", "checked"}, "a": {"href", "class"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
}
VALUES = {"style": r"text-align:(left|right|center)", "type": "checkbox", "start": r"\d+", "disabled": "", "checked": "",
          "class": r"(language-)?[A-Za-z0-9+ -]*", "id": r"[!-~]*%E2%81%A0[!-~]*", "href": r"https?://.*|mailto:.*|#.*"}
TEX = re.compile(r"\\(href|url|class|cssId|style|unicode|require|def|let|newcommand|htmlData|includegraphics)(?![A-Za-z])")


class Page(HTMLParser):
    """Reads HTML and remembers what it shows, as text, and what in it could do something, as `harm`."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.text, self.harm, self.inside = [""], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag not in ALLOWED or any(name not in ALLOWED[tag] or not re.fullmatch(VALUES[name], value or "", re.DOTALL)
                                     for name, value in attributes):
            self.harm.append((tag, attributes))
        if tag == "pre" and ("class", "mermaid") in attributes:
            self.harm.append("mermaid")
        self.text.append("")
        if tag not in VOID:
            self.inside.append(tag)

    def handle_endtag(self, tag):
        self.text.append("")
        if self.inside and self.inside[-1] == tag:
            self.inside.pop()

    def handle_data(self, data):
        self.text[-1] += data
        if not {"pre", "code"} & set(self.inside) and TEX.search(self.text[-1]):  # MathJax leaves code alone
            self.harm.append(self.text[-1])

    def handle_comment(self, data):
        self.harm.append(("comment", data))

    handle_decl = handle_pi = unknown_decl = handle_comment


def shown(text):
    """What a page makes of an answer: with the filters that nbgrader's templates use."""
    return Page(strip_files_prefix(markdown2html_mistune(safe_markdown(text))))


def visible(text):
    return "".join(shown(text).text).replace("\u2060", "")


ATTACKS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a<svg/onload=alert(1)>", "</div></td><b>",
    "<!-- x --><x>", "<?php x ?>", "<![CDATA[<b>]]>", "<!DOCTYPE html>", "<https://evil.example>",
    "<javascript:alert(1)>", "[x](javascript:alert(1))", "[x](JaVaScRiPt&colon;alert(1))",
    "[x]( <javascript:alert(1)> 'title')", "[x][y]\n\n[y]: javascript:alert(1)",
    "[x]\n\n> [x]: data:text/html,<script>", "- [x]:\n  javascript:alert(1)\n\n[x]", "[a\nb]\n\n[a\nb]: javascript:x",
    "[x](data:text/html;base64,PHNjcmlwdD4=)", "![x](https://evil.example/pixel.png)", "![x](attachment:evil.svg)",
    "![x](attachment:missing.png)", "![x][y]\n\n[y]: https://evil.example/pixel.png", "[![x](a)](b)", "![![x](a)](b)",
    '[x](https://ok "\\"onmouseover=alert(1)")', '[x](https://a "<script>")', "[x](//evil.example)", "[x](relative)",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&#60;script&#62;", "&#x0000000000000000000003c;script>", "&ltscript;",
    "```mermaid\n<img src=x onerror=alert(1)>\n```", "~~~  mermaid\n</pre><script>\n~~~",
    "> - ```mermaid\n>   <b>\n>   ```", "```\u2003mermaid\nx\n```", "``` mermaid `x\n~~~ mermaid ` ~\n<b>",
    '```"onload=x <script>\n<b>\n```', "```html\n<b>\n```", r"$\href{javascript:alert(1)}{x}$",
    r"\\(\href{javascript:alert(1)}{x}\\)", r"$$\def\x{\href{a}{b}}\x$$",
    r"&#36;&#92;&#104;ref{javascript:alert(1)}{x}&#36;", r"$\&#104;ref{a}{b}$", r"&dollar;&bsol;href{a}{b}&dollar;",
    r"\\href{a}{b}", r"\\\href{a}{b}", r"\begin{a}\class{x}{y}\end{a}", r"$\unicode[a]{x41}$", r"$\require{html}$",
    r"$\hrefhttps://e.x$", "$$\n```\n$$\n\\href{javascript:alert(1)}{x}\n```\n$$", "`$`\\href{a}{b}`$`", "$<script>$",
    "$$</p><script>$$", r"\begin{a}<script>\end{a}", "| a |\n|---|\n| <script> [x](javascript:a) \\href{a}{b} |",
    "a | b\n--|--\n<b> | ![x](y)", "# <script>", "# score", "score\n===", "score\n---", "score\n-", "- score\n  =-=",
    "> # score", "1. #score #", "# \\#", ":   # score", "term\n:   # score\n:   <script>",
    "term\n:   [x]: javascript:a\n\n[x]", "    <script>\n\n<script>", "- [ ] <script>", "- [x] # score",
    "<a href='x' <b>", "<a\nhref=x>", "<\na>", "<\u200bscript>", "\\<script>", "<\\script>",
    "https://evil.example/\"onmouseover=alert(1)", "https://evil.example/<script>", "https://e/](javascript:a)",
    "[x]\\(javascript:a)", "[x](files/a)", "\\[x](/files/javascript:a)", "src='/files/x'", "- \u2003# score",
    "[x]\u200b(javascript:a)",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_answer_does_nothing_where_it_is_shown(attack):
    assert shown(attack).harm == []


def test_the_page_reader_sees_harm():
    """Of the attacks, as they are, it calls most harmful; those left are so only in combination or in another program."""
    def harm(attack):
        try:
            return Page(strip_files_prefix(markdown2html_mistune(attack))).harm
        except Exception:  # of an attachment that isn't there
            return True
    assert sum(bool(harm(attack)) for attack in ATTACKS) > 0.7 * len(ATTACKS)


PIECES = [
    "<", ">", "/", "!", "?", "&", "#", ";", "\\", "\\\\", "[", "]", "(", ")", ":", "](", "]:", "![", "`", "```", "~~~",
    "$", "$$", "\n", "\n\n", " ", "    ", "\t", "|", "-", "=", "---", "===", ">", "* ", "1. ", ": ", "**", "_", "~~",
    '"', "'", "@", "a", "b", "x", "script", "img", "svg", "onerror=", "href", "class", "def", "unicode", "{", "}",
    "lt;", "&lt;", "&#60;", "&bsol;", "&#92;", "&#104;", "ref", "javascript:", "data:", "https://e.x", "mermaid",
    "attachment:", "/files/", "\\(", "\\)", "\\[", "\\]", "\\begin{a}", "\\end{a}", "<!--", "-->", "<![CDATA[", "score",
    "\u2028", "\u00a0", "\u2003", "\u2060", "é",
]


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_no_answer_does_anything_where_it_is_shown(text):
    assert shown(text).harm == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(ATTACKS), min_size=2, max_size=4), st.sampled_from(["", " ", "\n", "\n\n", "`", "$"]))
def test_no_two_attacks_help_each_other(attacks, between):
    assert shown(between.join(attacks)).harm == []


@pytest.mark.parametrize("text, looks", [
    ("**bold** and _not_", "bold and not"), ("# My answer", "My answer¶"), ("- one\n- two", "one two"),
    ("![a curve](https://evil.example/x.png)", "a curve"), ("| a | b |\n|---|---|\n| 1 | 2 |", "a b 1 2"),
    ("[GAN](https://arxiv.org/abs/1406.2661 'x') says", "GAN (https://arxiv.org/abs/1406.2661) says"),
    ("use `a < b` and `x[i]`", "use a < b and x[i]"), ("<script>", "< script>"), ("`<b>`", "< b>"), ("$a<b$", "$a< b$"),
    ("```python\n# loss < 1\nif a < b and x[0][1] > 2:\n    d[k]: int = 3  # <=\n```",
     "# loss < 1 if a < b and x[0][1] > 2: d[k]: int = 3 # <="),
])
def test_ordinary_markdown_still_looks_right(text, looks):
    assert " ".join(visible(text).split()) == looks


@pytest.mark.parametrize("text", [
    "a < b and x > 0", "R&D, AT&T & so on; more", "x<=3, y<2", "$p_g < 1$ and $D(x)\\in[0,1]$", "see [1] or [the paper]",
    "$$\\begin{aligned} a &= b \\\\ c &< d \\end{aligned}$$", "$\\left[\\frac{1}{2}\\right]_{x}^{y}$", "é ü 中文 😀 – “x”",
])
def test_plain_text_and_maths_show_as_they_are_written(text):
    assert visible(text).strip("\n") == text


def test_code_in_an_answer_is_set_as_code_and_still_runs():
    code = "def f(x, i):\n    # less\n    return 1 if x[i](2)<x[0](1) else [-1]\n"
    html = markdown2html_mistune(safe_markdown(f"```python\n{code}```"))
    assert '<div class="highlight">' in html
    again = "".join(Page(html).text)
    assert ast.dump(ast.parse(again)) == ast.dump(ast.parse(code))


@pytest.mark.parametrize("piece", ["<", "\\begin{a}", "[", "![", "[a](https://", "[x", "```", "~", "#", "-", "&a", "\\", ">",
                                   "= ", "[a]: "])
def test_escaping_takes_no_time(piece):
    start = time.process_time()
    safe_markdown((piece * MAX_CELL)[:MAX_CELL])
    safe_markdown(piece + "x" * MAX_CELL)
    assert time.process_time() - start < 0.5


@pytest.fixture(scope="module")
def exporters():
    formgrader = nbgrader.server_extensions.formgrader.__path__[0]
    feedback = HTMLExporter(template_name="feedback", extra_template_basedirs=[f"{formgrader}/templates"],
                            extra_template_paths=[f"{formgrader}/static/node_modules/bootstrap/dist/css"])
    return {"lab": HTMLExporter(), "feedback": feedback}


def page(exporter, notebook):
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.metadata.get("nbgrader"):
            cell.metadata.nbgrader |= {"score": 0, "comment": ""}
    about = {"notebook": "toy", "score": 0, "max_score": 1, "late_penalty": 0}
    return exporter.from_notebook_node(notebook, {"nbgrader": nbformat.from_dict(about)})[0]


class Whole(HTMLParser):
    """A whole page: how often each element is there, and every attribute that runs something or loads something."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.risky = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append(tag)
        self.risky += [(tag, name, value) for name, value in attributes if name.startswith("on")
                       or name in ("src", "srcdoc", "action", "style") or "javascript:" in (value or "")]


@pytest.mark.parametrize("name", ["lab", "feedback"])
def test_whole_pages_hold_no_more_than_before(released, exporters, name):
    attack = "\n\n".join(ATTACKS)
    hostile = f"</pre></div><script>alert(1)</script>\n# {attack}"
    made = handed_in(released, edited(released, solution_mean=hostile, answer_outliers=attack))
    outputs = {"solution-mean": [{"text": hostile}, {"error": hostile}, {"png": PNG}, {"png": hostile}]}
    before = Whole(page(exporters[name], fill(released, {}, {"solution-mean": [{"png": PNG}]})))
    after = Whole(page(exporters[name], fill(released, made.sources, outputs)))
    risky = ("script", "img", "iframe", "svg", "style", "link", "object", "form", "base", "meta")
    assert {tag: after.elements.count(tag) for tag in risky} == {tag: before.elements.count(tag) for tag in risky}
    assert sorted(map(str, after.risky)) == sorted(map(str, before.risky))


# --- Outputs ---

def test_outputs_are_text_errors_and_pictures(released):
    outputs = {"solution-mean": [{"text": "\x1b[31mred\x1b[0m\x00 line\n"}, {"png": f"{PNG[:9]}\n{PNG[9:]}\n"},
                                 {"error": "\x1b[0;31mTraceback\x1b[0m\nNameError: name 'x' isn't defined"}],
               "check-mean": [{"error": "no colon here"}, {"error": ""}, {"text": "\ud800"}],
               "answer-outliers": [{"text": "not a code cell"}], "no-such-cell": [{"text": "x"}]}
    made = fill(released, {}, outputs)
    nbformat.validate(made)
    json.dumps(made).encode()
    cells = {cell.id: cell for cell in made.cells}
    text, picture, error = cells["solution-mean"].outputs
    assert (text.output_type, text.name, text.text) == ("stream", "stdout", "red line\n")
    assert picture.data == {"image/png": PNG} and "solution-mean" in picture.metadata["image/png"].alt
    assert (error.ename, error.evalue) == ("NameError", "name 'x' isn't defined")
    assert error.traceback == ["Traceback", "NameError: name 'x' isn't defined"]
    assert [output.get("ename") for output in cells["check-mean"].outputs] == ["Error", "Error", None]
    assert "outputs" not in cells["answer-outliers"] and cells["check-spread"].outputs == []


@pytest.mark.parametrize("output", [{"png": "<svg onload=alert(1)>"}, {"png": base64.b64encode(b"GIF89a").decode()},
                                    {"png": "é"}, {"png": 3}, {"png": PNG + "!"}, {"html": "<b>"}, {"text/html": "<b>"}])
def test_nothing_but_text_and_png_comes_out(released, output):
    filled = fill(released, {}, {"solution-mean": [output]})
    made, = next(cell.outputs for cell in filled.cells if cell.id == "solution-mean")
    assert made.output_type == "stream" and "left out" in made.text


def test_filling_leaves_the_released_notebook_alone(released):
    before = copy.deepcopy(released)
    filled = fill(released, {"solution-mean": "mean = 1"}, {"solution-mean": [{"text": "x"}]})
    filled.cells[0].metadata["changed"] = True
    assert released == before
