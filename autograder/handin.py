"""Finds what a class handed in: one Handin a student, whether the notebook can be read or not.

It is looked for in one of these, or in a folder or zip that mixes them:

    <student>/<lesson>/<lesson>.ipynb     nbgrader's submitted/; a timestamp.txt beside it says when
    <student>.ipynb, <student>_<lesson>.ipynb
    <student>/<any name>.ipynb            a folder a student
    Full Name_12345_assignsubmission_file_/<any name>.ipynb     Moodle; or the file itself with such a beginning
    lastfirst_LATE_123_456_<any name>.ipynb                     Canvas; 123 is the student's number, 456 the file's
    <lesson>_<student>_attempt_2016-01-30-15-00-00_<any name>.ipynb     Blackboard, as nbgrader's zip_collect reads it

Names and contents come from learners. No link is followed, only regular files are read, nothing is written, what is read
has a limit however a zip describes it, and a zip inside is not opened. Who handed in is read off the outermost name alone,
since what is further in may be of the learner's making.
"""

import dataclasses
import functools
import hashlib
import itertools
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import timezone
from pathlib import Path
from typing import Callable

from autograder.errors import LessonError
from autograder.results import STUDENT
from course_lib.card import printable

MAX_BYTES = 20 * 1024**2  # a notebook
MAX_ZIP_BYTES = 1024**3  # all that is unpacked from one zip
MAX_RATIO = 200  # unpacked to packed, beyond the first megabyte; a notebook's is 3 to 20
MAX_FILES = 20_000  # looked at in a zip, or in one folder
MAX_DEPTH = 10

LINK, IRREGULAR = "is a link, and links aren't followed", "isn't a regular file"

IGNORED = re.compile(r"\..*|__MACOSX", re.DOTALL)
MOODLE = re.compile(r"(?P<who>.+?(?:_\d+)?)_assignsubmission_[a-z]+_?(?P<name>.*)", re.DOTALL)
# A number of Canvas's begins with no zero and comes after a name: 2024_0153_gan_math.ipynb is a student number's own.
CANVAS = re.compile(r"(?:(?!LATE_)(?P<who>.+?)_(?:(?P<late>LATE)_)?(?P<number>[1-9]\d*)|(?:(?P<anonymous_late>LATE)_)?(?P<anonymous>anon_[^\W_]+))"
                    r"_(?P<order>[1-9]\d{0,19})_(?P<name>.+)", re.DOTALL)
BLACKBOARD = re.compile(r".+?_(?P<who>[^_]+)_attempt_(?P<when>\d{4}(?:-\d\d){5})_(?P<name>.+)", re.DOTALL)
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?(?: (?:[+-]\d{4}|[A-Za-z][A-Za-z0-9/_+-]{0,40}))?")

# What Unicode doesn't decompose into plain letters, the way names are usually written in Latin ones.
LETTERS = dict(zip("абвгдежзиклмнопрстуфхцчшщъыьэюяєії",
                   "a b v g d e zh z i k l m n o p r s t u f kh ts ch sh shch  y  e yu ya ye i i".split(" ")))
LETTERS |= dict(zip("αβγδεζηθικλμνξοπρσςτυφχψω",
                    "a v g d e z i th i k l m n x o p r s s t y f ch ps o".split(" ")))
LETTERS |= dict(zip("ßæœøđðþłıħ", "ss ae oe o d d th l i h".split(" ")))


@dataclass(frozen=True)
class Handin:
    """What one student handed in for a lesson.

    student: an id that matches autograder.results.STUDENT. data: the notebook's bytes, not looked into; None if there are
    none. submitted: when, ISO and UTC, if something trustworthy says so. problem: why there are no data, a sentence, or "".
    notes: sentences for the instructor. reply: the path in a zip at which Moodle and Canvas take a page for the student back: they
    go by how they named what came from them, Moodle's folder or file by one number in it, Canvas's file by two.
    """

    student: str
    data: bytes | None
    submitted: str | None = None
    problem: str = ""
    notes: tuple = ()
    reply: str = ""


class Unreadable(Exception):
    """A file that isn't read. The message goes on from its name: "is a link, …"."""


@dataclass(frozen=True)
class _File:
    """A file, not yet read. parts: its path below the source; the last is "" where it stands for a folder with nothing to
    be had from. date: of its last change, to sort by. read: gives its bytes. why_not: the reason if it isn't read."""

    parts: tuple
    date: float = 0
    read: Callable | None = None
    why_not: str = ""

    def content(self):
        if self.why_not:
            raise Unreadable(self.why_not)
        return self.read()


@dataclass(frozen=True)
class _Found:
    """A file, and whose it is. name: what the student called it, a path within what is theirs. kind: how it was found,
    one of "nbgrader", "folder", "LMS", "loose". order: the LMS's own count of files. late, when: what the LMS says of it."""

    who: str
    name: str
    kind: str
    file: _File
    order: int = 0
    late: bool = False
    when: str | None = None


def find(source, lesson, students=None, others=(), pass_over=lambda names: None, ids=None):
    """The Handins for `lesson` in `source`, sorted by student.

    source: a folder, a zip or a notebook; see the top of this module. students: ids; only these are read. others: the
    course's other lessons, whose notebooks may lie beside. pass_over: called with the names of files that are nobody's, since
    they lie at the top and aren't notebooks, if there are any. ids: {name that somebody handed in by: id}, of earlier times; who
    is new is added. Raises LessonError when there is no such source, nothing in it for the lesson, or not all of the students.
    """
    source, ids = Path(source).absolute(), {} if ids is None else ids
    made = functools.partial(_handins, source=source, lesson=lesson, students=students, others=others, pass_over=pass_over, ids=ids)
    if source.is_dir():
        return made(_in_folder(source))
    if source.suffix.lower() == ".ipynb" and os.path.lexists(source):
        folder = source.parent
        if folder.name == lesson == source.stem:  # out of nbgrader's submitted/
            return made(_in_folder(folder, (folder.parent.name, lesson)))
        return made([_File((source.name,), read=lambda: read_file(folder, (source.name,)))])
    if not source.is_file():
        raise LessonError(f"{source}: there is no such folder, zip or notebook")
    try:
        archive = zipfile.ZipFile(source)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise LessonError(f"{source}: isn't a folder or a notebook, nor a zip that can be read ({error})") from None
    with archive:
        files = _in_zip(archive, source)
        around = _around(files, lesson, ids)
        if around is None:
            return made(files)
        handins = made([dataclasses.replace(file, parts=file.parts[1:]) for file in files])
    note = f"the folder ⟨{_shown(around)}⟩ in the zip was taken for one around all hand-ins, and not for a student's"
    return [dataclasses.replace(each, notes=(*each.notes, note)) for each in handins]


def _handins(files, source, lesson, students, others, pass_over, ids):
    files, whose = list(files), defaultdict(list)
    top = {file.parts[0] for file in files}
    found = {file: _whose(file, lesson) for file in files}
    if nobodys := sorted(_shown(file.parts[0]) for file, each in found.items() if each is None and not file.parts[0].startswith(".")):
        pass_over(nobodys)
    found = [each for each in found.values() if each]
    count = Counter((each.who, each.name) for each in found if each.order)
    for each in found:
        if each.order and count[each.who, each.name] > 1:
            # Canvas gives no two files of a student one name: group_1_2_gan_math.ipynb and group_1_3_gan_math.ipynb are of two groups.
            each = _loose(each.file, lesson)
        if each and not (each.kind == "loose" and _is_of(each.name, others) and not _is_of(each.name, [lesson])):
            whose[each.who].append(each)
    theirs = {who: chosen for who, found in whose.items() if (chosen := _for_lesson(found, lesson))}
    if not theirs:
        raise LessonError(f"{source}: holds nothing handed in for {lesson}. Looked for <student>/{lesson}/{lesson}.ipynb, "
                          f"<student>.ipynb, <student>_{lesson}.ipynb, and what Moodle, Canvas and Blackboard make of them; "
                          f"there: {_listed(top)}")
    ids = _ids(theirs, ids)
    missing = sorted(set(students or ()) - set(ids.values()))
    if missing:
        raise LessonError(f"{source}: {_shown(name)} handed in nothing for {lesson}; there are: "
                          f"{', '.join(sorted(ids.values()))}" for name in missing)
    wanted = [who for who in theirs if not students or ids[who] in students]
    return [_handin(theirs[who], ids[who], lesson) for who in sorted(wanted, key=ids.get)]


# --- Whose a file is ---

def _whose(file, lesson):
    """The file as _Found, or None for a file at the top that is nobody's."""
    first, *inner = file.parts
    moodle = MOODLE.fullmatch(first)
    if inner and not moodle and inner[0] == lesson and len(inner) > 1:
        return _Found(_composed(first), "/".join(inner[1:]), "nbgrader", file)
    if inner:
        return _Found(_composed(moodle["who"] if moodle else first), "/".join(inner), "folder", file)
    fitting = filter(None, (pattern.fullmatch(first) for pattern in (MOODLE, BLACKBOARD, CANVAS)))
    # What the system has written comes first and the learner's own name for the file last, which may look like another system's.
    if named := min(fitting, key=lambda each: each.start("name"), default=None):
        says = defaultdict(str, {key: value or "" for key, value in named.groupdict().items()})
        who = says["anonymous"] or "_".join(filter(None, (says["who"], says["number"])))
        late = bool(says["late"] or says["anonymous_late"])
        return _Found(_composed(who), says["name"], "LMS", file, int(says["order"] or 0), late, says["when"])
    return _loose(file, lesson)


def _loose(file, lesson):
    """A notebook at the top, named after its student, or None for another file."""
    name, = file.parts
    stem, suffix = os.path.splitext(name)
    return _Found(_composed(stem.removesuffix(f"_{lesson}") or stem), name, "loose", file) if suffix.lower() == ".ipynb" else None


def _is_of(name, lessons):
    """Whether `course submit` has named this notebook, after one of the lessons."""
    return os.path.splitext(name)[0].endswith(tuple(f"_{lesson}" for lesson in lessons))


def _composed(name):
    """One spelling for a name, whichever the file system made of its accents."""
    return unicodedata.normalize("NFC", name)


def _for_lesson(found, lesson):
    """Of one student's files those that belong to the lesson; none, if they are all of other lessons."""
    certain = [each for each in found if each.kind != "folder"]
    if certain or not any(each.name for each in found):
        return certain or found
    here = any("/" not in each.name or each.name.endswith(f"/{lesson}.ipynb") for each in found if each.name)
    return found if here else []


def _ids(names, ids):
    """{name: id}. What isn't an id yet is transliterated; where several names come to the same, a hash keeps them apart. Who has an id in `ids`
    keeps it, whoever comes later; the others' are added."""
    wishes = {name: _transliterated(name) for name in names if name not in ids}
    claims, given = Counter(wishes.values()), set(ids.values())
    for name, wish in wishes.items():
        digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
        longer = (f"{wish[:79 - length]}-{digest[:length]}" for length in range(8, 65))
        free = wish not in given and (wish == name or claims[wish] == 1)
        ids[name] = wish if free else next(each for each in longer if each not in claims and each not in given)
    return {name: ids[name] for name in names}


def _transliterated(name):
    if STUDENT.fullmatch(name):
        return name
    letters = []
    for char in unicodedata.normalize("NFKD", name):
        if char.isascii() or unicodedata.combining(char):
            letters.append(char)
        else:
            plain = LETTERS.get(char.lower(), f"u{ord(char):x}" if char.isalnum() else "_" if char.isspace() else "")
            letters.append(plain.capitalize() if char.isupper() else plain)
    plain = re.sub(r"[^A-Za-z0-9._@+-]", "", re.sub(r"\s+", "_", "".join(letters).strip()))
    return plain.lstrip("._@+-")[:80] or "unnamed"


# --- One student's notebook ---

def _handin(found, student, lesson):
    who, notes, data, problem = found[0].who, [], None, ""
    if student != who:
        notes.append(f"the id was made from ⟨{_shown(who)}⟩")
    candidates = _candidates(found, lesson)
    chosen = max(candidates, key=lambda each: (each.order, each.file.date, each.file.parts), default=None)
    stamps = [each for each in found if each.kind == "nbgrader" and each.name == "timestamp.txt"]
    others = [each for each in found if each is not chosen and each not in stamps and each.name]
    if chosen is None:
        names = [each.name for each in found if each.name]
        why_not = f"; found: {_listed(names)}" if names else f": the folder {found[0].file.why_not}"
        problem = f"handed in no {lesson}.ipynb{why_not}"
    else:
        try:
            data = chosen.file.content()
        except Unreadable as error:
            problem = f"{_shown(chosen.name)} {error}"
        if len(candidates) > 1:
            notes.append(f"{len(candidates)} notebooks were handed in; {_shown(chosen.name)}, the newest, was taken")
        elif chosen.kind in ("folder", "LMS") and not chosen.name.endswith(f"{lesson}.ipynb"):
            notes.append(f"{_shown(chosen.name)} was taken for {lesson}.ipynb")
        if others:
            notes.append(f"handed in beside it, and ignored: {_listed(each.name for each in others)}")
        if chosen.late:
            notes.append("Canvas says that it was late")
    submitted = _moment(f"{chosen.when[:10]} {chosen.when[11:].replace('-', ':')}") if chosen and chosen.when else None
    for stamp in stamps:
        try:
            submitted = _moment(stamp.file.content()[:100].decode("ascii", "replace").strip())
        except Unreadable:
            submitted = None
        if not submitted:
            notes.append("its timestamp.txt holds no date, so it isn't known when it was handed in")
    first, *inner = (chosen or found[0]).file.parts
    reply = f"{first}/{lesson}.html" if inner else f"{os.path.splitext(first)[0]}.html"
    return Handin(student, data, submitted, problem, tuple(notes), reply)


def _candidates(found, lesson):
    """The notebooks that may be the one. nbgrader wants the lesson's own name; learners' own files have any."""
    notebooks = [each for each in found if each.name.lower().endswith(".ipynb")
                 and (each.kind != "nbgrader" or each.name == f"{lesson}.ipynb")]
    named = [each for each in notebooks
             if each.kind == "loose" or each.name.rpartition("/")[2].lower().startswith(lesson.lower())]
    return named or notebooks


def _moment(text):
    """A time as nbgrader writes it, ISO and UTC; None if it is none.

    Without a time zone, or with an abbreviation that this system doesn't know, it counts as UTC, as it does for nbgrader.
    """
    if not TIMESTAMP.fullmatch(text):  # looked over first, since a time zone can name a file to dateutil
        return None
    from nbgrader.utils import parse_utc  # a second to import, and few hand-ins have a time
    try:
        together = re.sub(r" (?=[+-]\d{4}$)", "", text)  # apart, nbgrader takes +0100 for a hundred seconds
        return parse_utc(together).replace(tzinfo=timezone.utc).isoformat()
    except (ValueError, OverflowError):
        return None


def _listed(names, most=5):
    names = sorted(_shown(name) for name in names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest or "nothing"


def _shown(name):
    """A learner's name for something, fit for a sentence."""
    name = printable(name).replace("\n", " ").replace("\t", " ").rstrip("/")
    return name if len(name) <= 60 else f"{name[:57]}…"


# --- What is in a folder or in a zip ---

def _in_folder(root, above=()):
    """The _Files below the folder `root`; `above` are parts to put before theirs."""
    todo = [()]
    while todo:
        inner = todo.pop()
        try:
            with os.scandir(root.joinpath(*inner)) as entries:
                entries = sorted(itertools.islice(entries, MAX_FILES), key=lambda entry: entry.name)
        except OSError as error:
            yield _File((*above, *inner, ""), why_not=f"can't be read ({error.strerror})")
            continue
        if not entries and (above or inner):
            yield _File((*above, *inner, ""), why_not="is empty")
        for entry in entries:
            parts = (*inner, entry.name)
            if IGNORED.fullmatch(entry.name):
                continue
            if entry.is_symlink():
                folder = () if entry.name.lower().endswith(".ipynb") else ("",)
                yield _File((*above, *parts, *folder), why_not=LINK)
            elif entry.is_dir() and len(parts) < MAX_DEPTH:
                todo.append(parts)
            elif entry.is_file():
                yield _File((*above, *parts), entry.stat().st_mtime, functools.partial(read_file, root, parts))
            else:
                yield _File((*above, *parts), why_not=IRREGULAR)


def read_file(root, parts):
    """The bytes of a regular file below the folder `root`, without following a link on the way."""
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[:-1]:
                outer, folder = folder, os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
                os.close(outer)
            file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise Unreadable(IRREGULAR)
            with open(file, "rb", closefd=False) as opened:
                return _capped(iter(lambda: opened.read(1024**2), b""))
        finally:
            os.close(file)
    except OSError as error:
        linked = os.path.islink(root.joinpath(*parts))
        raise Unreadable(LINK if linked else f"can't be read ({error.strerror})") from None


def _capped(chunks, packed=None):
    """The chunks as one; raises Unreadable as soon as they are too many. packed: what they were before, in bytes."""
    data, size = [], 0
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_BYTES:
            raise Unreadable(f"is larger than {MAX_BYTES // 1024**2} MB, which is the most that is read")
        if packed is not None and size > 1024**2 + MAX_RATIO * packed:
            raise Unreadable(f"is packed more than {MAX_RATIO}:1, as no notebook is")
        data.append(chunk)
    return b"".join(data)


def _in_zip(archive, source):
    """The _Files in a zip. Its names lead nowhere: they are only compared, and `..` in them is left out."""
    infos, left = archive.infolist(), [MAX_ZIP_BYTES]
    if len(infos) > MAX_FILES:
        raise LessonError(f"{source}: has {len(infos)} files in it, and at most {MAX_FILES} are looked at")
    files = []
    for info in infos:
        name = info.filename.replace("\\", "/")
        parts = tuple(part for part in name.split("/") if part not in ("", ".", ".."))
        parts = (*parts[:MAX_DEPTH], "/".join(parts[MAX_DEPTH:])) if len(parts) > MAX_DEPTH else parts
        if any(IGNORED.fullmatch(part) for part in parts):
            continue
        if name.endswith("/"):
            files.append(_File((*parts, ""), why_not="is empty"))
        else:
            files.append(_File(parts, info.date_time, functools.partial(_read_member, archive, info, left)))
    full = {file.parts[:depth] for file in files for depth in range(1, len(file.parts)) if file.parts[-1]}
    return [file for file in files if any(file.parts) and (file.parts[-1] or file.parts[:-1] not in full)]


def _around(files, lesson, ids):
    """The name of the one folder that holds all the files, where it seems to be around all hand-ins and isn't a student's; else None."""
    tops, inner = {file.parts[0] for file in files}, {file.parts[1] for file in files if len(file.parts) > 1}
    if len(tops) != 1 or not inner or inner & {lesson, f"{lesson}.ipynb", ""}:
        return None
    top, = tops
    if MOODLE.fullmatch(top) or _composed(top) in ids or top in ids.values():
        return None
    theirs = [found for file in files if (found := _whose(_File(file.parts[1:]), lesson))]
    lone = len(theirs) == 1 and theirs[0].kind == "loose" and not _is_of(theirs[0].name, [lesson])  # a notebook of whatever name: the folder's own
    return None if lone else top


def _read_member(archive, info, left):
    """The bytes of a zip's member. left: [what may still be unpacked from the zip], counted down."""
    if stat.S_ISLNK(info.external_attr >> 16):
        raise Unreadable(LINK)
    if info.flag_bits & 1:
        raise Unreadable("is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable("is packed in a way that no LMS uses")

    def chunks(opened):
        while chunk := opened.read(1024**2):
            left[0] -= len(chunk)
            if left[0] < 0:
                raise Unreadable(f"isn't read: the zip holds more than {MAX_ZIP_BYTES // 1024**2} MB; divide it")
            yield chunk

    try:
        with archive.open(info) as opened:
            return _capped(chunks(opened), packed=min(info.compress_size, os.fstat(archive.fp.fileno()).st_size))
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError, OSError) as error:
        raise Unreadable(f"can't be unpacked ({error})") from None
