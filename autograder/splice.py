"""Takes from a hand-in the text of the cells that are graded, and nothing else; a hand-in is data here, never run.

`splice` gives the code of the released notebook's solution cells and the answers in words, `fill` puts them into a fresh
copy of the released notebook. Metadata, tags, ids, outputs, attachments and other cells of the hand-in go no further.

What makes an answer in words safe to show

An answer stays Markdown, and is shown by programs that let raw HTML pass: nbgrader's formgrader and feedback pages, whose
HTML isn't sanitised, JupyterLab, our own pages. They don't agree on what is code, what is maths and what is text, so
nothing here depends on that. Wherever something harmful could begin, a space is put into its beginning, in code and maths
too, where a space changes neither meaning nor much of the look; and no program between here and the page takes it out:

    what                                        can't begin, since
    a tag, a comment, <https:…>                 no < is followed by a letter, / ! or ?
    an entity that spells one of the others     no & is followed by # or by a word with a semicolon
    a link or picture, [x](javascript:…)        no ] is followed by (
    the same by reference, [x]: javascript:…    no line begins with [x] and a colon; without that, [x][y] is text
    \\href, \\def … in maths                    no \\ is followed by one of UNSAFE_TEX
    a diagram drawn by the page, ```mermaid     a fence names one of LANGUAGES, or nothing
    an id that is somebody else's, # score      a heading ends in a character that no id of a page has, an invisible one

Addresses written out, https://…, become links of themselves; their looks can't deceive.
"""

import copy
import hashlib
import json
import re
import zlib
from dataclasses import dataclass, field

import nbformat

from autograder.handin import MAX_BYTES
from autograder.results import png
from course_lib.card import printable

MAX_CELL = 20_000  # characters
MAX_PARTS = 500_000  # lists and objects in a notebook's JSON; 20 MB of nothing else would take a gigabyte to hold
MAX_NAMES = 1000
PACKED = 10_000  # bytes of all code, compressed: the lessons' own solutions take 2,000 to 5,000, and a stored net doesn't compress

LANGUAGES = "python|python3|py|text|bash|json"
# MathJax's and KaTeX's commands that make links, attributes or ids, that define others, or that put boxes anywhere.
UNSAFE_TEX = """
    href url hyperref class cssId style data html htmlClass htmlId htmlStyle htmlData includegraphics unicode char mmlToken
    enclose bbox toggle mathtip texttip tooltip action label ref eqref tag
    def gdef edef xdef let futurelet global long newcommand renewcommand providecommand newenvironment renewenvironment
    DeclareMathOperator DeclarePairedDelimiter DeclarePairedDelimiters DeclarePairedDelimiterX DeclarePairedDelimiterXPP
    Newextarrow newtagform renewtagform usetagform definecolor require setOptions mathtoolsset begingroup endgroup
    csname expandafter catcode input include special
    rule Rule Space raise lower moveleft moveright kern mkern hskip mskip hspace mspace vspace vskip
""".split()
UNSEEN = "\u2060"  # a word joiner: no width, and not white space to anything that trims

# Those that take something out come first: what they join is looked at by those that put something in.
ESCAPES = [(re.compile(pattern, re.MULTILINE), replacement) for pattern, replacement in (
    (r"!\[([^\[\]\n]*)\]\([^()\n]*\)", r"\1"),  # a picture becomes its text, a link its text and address
    (r"(?<!\w)\[([^\[\]\n]*)\]\((https?://[^\s()<>]*+)[^()\n]*\)", r"\1 (\2)"),
    (rf"^([^A-Za-z\n`~]*(?:`{{3,}}+|~{{3,}}+))(?![^\S\n]*(?:{LANGUAGES})?[^\S\n]*$)(?:(?<=`)[^\n`]+|(?<=~)[^\n]+)$", r"\1"),
    (r"<(?=[A-Za-z/!?])", "< "),
    (r"&(?=#|[^\s<&;]{1,40};)", "& "),
    (r"\](?=\()", "] "),
    (r"^([^A-Za-z\n\[]*\[(?:[^\\\[\]]|\\[\s\S]){0,999}\])(?=:)", r"\1 "),
    (rf"\\(?=(?:{'|'.join(UNSAFE_TEX)})(?!(?!https?://)[A-Za-z]))", r"\\ "),  # an address ends a name, as a link
    (r"^([^A-Za-z\n#]*#[^\n]*)$", rf"\1{UNSEEN}"),
    (r"^([^A-Za-z\n|]*[=\-][^\S\n]*)$", rf"\1{UNSEEN}"),  # the line under a heading
)]

DEFINED = re.compile(r"^(?:(?:async[ \t]+)?def|class)[ \t]+(\w{1,80})|^(\w{1,80})[ \t]*(?::[^=\n]{1,80})?=(?!=)"
                     r"|^(?:from[ \t]+[\w.]+[ \t]+)?import[ \t][^\n#]*?\bas[ \t]+(\w{1,80})[ \t]*(?:#|$)"
                     r"|^(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(\w{1,80})[ \t]*(?:#|$)", re.MULTILINE)


@dataclass
class Spliced:
    """What was taken from a hand-in.

    sources: {cell id: text} for each solution cell and each answer in words of the released notebook; empty if there is a
    problem. notes: sentences for the instructor. problem: why nothing could be taken, or "". elsewhere: {name: number} of
    what the hand-in defines in cells that aren't graded. several: {cell id: [numbers]} of exercises that are there more than once, the
    one that was taken first. Numbers count all cells from 1.
    """

    sources: dict = field(default_factory=dict)
    notes: list = field(default_factory=list)
    problem: str = ""
    elsewhere: dict = field(default_factory=dict)
    several: dict = field(default_factory=dict)

    @property
    def content(self):
        """A hash of the sources: what has the same is the same submission."""
        return hashlib.sha256(json.dumps(self.sources, sort_keys=True).encode()).hexdigest()


@dataclass(eq=False)
class _Cell:
    """A cell of a hand-in. number: from 1. The others are None where the hand-in has no string for them."""

    number: int
    kind: str | None
    id: str | None
    grade_id: str | None
    text: str | None


def splice(released, data):
    """The Spliced of a hand-in.

    released: the released notebook, a NotebookNode. data: the hand-in's bytes. Nothing in them raises.
    """
    try:
        cells = _cells(data)
    except ValueError as problem:
        return Spliced(problem=str(problem))
    made, taken = Spliced(), []
    graded = [cell for cell in released.cells if cell.metadata.get("nbgrader", {}).get("solution")]
    known = {cell.id for cell in graded}
    for cell in graded:
        grade_id = cell.metadata.nbgrader.grade_id
        found = [each for each in cells if each.id == cell.id]
        found += [each for each in cells if each.grade_id == grade_id and each.id not in known]
        made.sources[cell.id], note = _source(cell, found)
        if note:
            made.notes.append(f"{cell.id}: {note}")
        if len(found) > 1:
            made.several[cell.id] = [each.number for each in found[:6]]
            numbers = ", ".join(map(str, made.several[cell.id][1:]))
            made.notes.append(f"{cell.id}: is there {len(found)} times; cell {found[0].number} was taken, and not {numbers}")
        taken += found[:1]
    if not taken:
        return Spliced(problem="the notebook holds none of this lesson's exercises; is it another lesson's?")
    code = "\n".join(made.sources[cell.id] for cell in graded if cell.cell_type == "code")
    if (packed := len(zlib.compress(code.encode()))) > PACKED:
        made.notes.append(f"its code, compressed, is {packed / 1000:.0f} kB long, where the lesson's own is at most 5: is a trained net stored in it?")
    untouched = {cell.source for cell in released.cells}
    for each in cells:
        if each.kind == "code" and each.text and each not in taken and each.text not in untouched:
            for match in DEFINED.finditer(each.text[:MAX_CELL]):
                if len(made.elsewhere) < MAX_NAMES:
                    made.elsewhere.setdefault(match[match.lastindex], each.number)
    return made


def _cells(data):
    """The _Cells of a hand-in. Raises ValueError with a sentence if it isn't a notebook."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"the notebook is larger than {MAX_BYTES // 1024**2} MB")
    if not data.strip():
        raise ValueError("the notebook is empty")
    if data.count(b"{") + data.count(b"[") > MAX_PARTS:
        raise ValueError(f"the notebook has more than {MAX_PARTS:,} parts; clear its outputs, save it, hand it in again")
    try:
        notebook = json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ValueError(f"the notebook isn't UTF-8 text: byte {error.start} is {data[error.start]:#04x}") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"the notebook isn't JSON: {error.msg} in line {error.lineno}; was it saved to its end?") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"the notebook's JSON can't be read ({type(error).__name__})") from None
    version = notebook.get("nbformat", 4) if isinstance(notebook, dict) else None
    if version in (1, 2, 3):
        raise ValueError(f"the notebook is in format {version}; open it in JupyterLab, save it, and hand it in again")
    if version != 4 or not isinstance(notebook.get("cells"), list):
        raise ValueError("the file is JSON, but not a notebook in format 4")
    return [_cell(number, cell) for number, cell in enumerate(notebook["cells"], 1) if isinstance(cell, dict)]


def _cell(number, cell):
    def string(place, name):
        value = place.get(name) if isinstance(place, dict) else None
        return value if isinstance(value, str) else None

    lines, metadata = cell.get("source"), cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    if isinstance(lines, list) and all(isinstance(line, str) for line in lines):
        lines = "".join(lines)
    text = _clean(lines) if isinstance(lines, str) else None
    return _Cell(number, string(cell, "cell_type"), string(cell, "id"), string(marks, "grade_id"), text)


def _clean(text):
    """The text with \\n as its only line ends, without control characters, fit for UTF-8."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace").decode()
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "", text)


def _source(cell, found):
    """(the text for a cell of the released notebook, a sentence if there is something to say). found: where it may be."""
    wanted = found[0] if found else None
    if wanted is None:
        return cell.source, "isn't in the notebook; graded as released"
    if wanted.text is None:
        return cell.source, f"has no text (cell {wanted.number}); graded as released"
    if wanted.text == cell.source:
        return cell.source, ""
    length = len(wanted.text)
    if cell.cell_type == "markdown":
        changed = f"isn't a Markdown cell any more (cell {wanted.number}); its text was taken"
        note = "" if wanted.kind == "markdown" else changed
        if length <= MAX_CELL:
            return safe_markdown(wanted.text), note
        cut = f"[… cut here: the answer is {length:,} characters long, and at most {MAX_CELL:,} are kept]"
        return f"{safe_markdown(wanted.text[:MAX_CELL])}\n\n**{cut}**", f"is {length:,} characters long; the end was cut off"
    if wanted.kind != cell.cell_type:
        return cell.source, f"isn't a code cell any more (cell {wanted.number}); graded as released"
    if length > MAX_CELL:
        said = f"this cell is {length:,} characters long; at most {MAX_CELL:,} are graded"
        return f'raise ValueError("{said}")', said
    return wanted.text, ""


def safe_markdown(text):
    """Markdown that shows the same text and can do nothing else; see the top of this module. text: as _clean gives it."""
    for pattern, replacement in ESCAPES:
        text = pattern.sub(replacement, text)
    return text


def fill(released, sources, outputs=None):
    """A copy of the released notebook with `sources`, {cell id: text}, in its cells.

    outputs: {id of a code cell: list of {"text": …}, {"error": …} or {"png": base64}}, what running it gave. They become
    text, tracebacks in plain text, and PNG pictures; what is none of that becomes a line that says so.
    """
    notebook = copy.deepcopy(released)
    for cell in notebook.cells:
        cell.source = sources.get(cell.id, cell.source)
        if outputs and cell.cell_type == "code":
            cell.outputs = [_output(output, cell.id) for output in outputs.get(cell.id, ())]
    return notebook


def _output(output, cell_id):
    (kind, content), = output.items()
    if kind == "png" and (picture := png(content)):
        return nbformat.v4.new_output("display_data", {"image/png": picture},
                                      metadata={"image/png": {"alt": f"A picture made by the cell {cell_id}"}})
    if kind == "error":
        lines = printable(content).strip("\n").split("\n")
        name, colon, message = lines[-1].partition(":")
        is_name = re.fullmatch(r"[\w.]{1,100}", name)
        return nbformat.v4.new_output("error", ename=name if is_name else "Error", traceback=lines,
                                      evalue=message.strip() if is_name else lines[-1])
    text = printable(content) if kind == "text" else "[something that is neither text nor a PNG picture was left out]\n"
    return nbformat.v4.new_output("stream", name="stdout", text=text)
