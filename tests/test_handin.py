"""What a class handed in, found in the layouts there are, whatever the learners did to them."""

import os
import re
import stat
import struct
import time
import unicodedata
import warnings
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograder import handin
from autograder.errors import LessonError
from autograder.handin import find
from autograder.results import STUDENT, ClassFolder

NOTEBOOK = b'{"cells": [], "nbformat": 4}'


def put(folder, *names, data=NOTEBOOK, date=None):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        if date:
            os.utime(path, (date, date))
    return folder


def zipped(path, members, date=(2024, 1, 1, 0, 0, 0)):
    """A zip of {name: bytes}, or {name: (bytes, date)}; a name that ends in / is a folder."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
        for name, content in members.items():
            data, when = content if isinstance(content, tuple) else (content, date)
            info = zipfile.ZipInfo(name, when)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


def students(source, lesson="gan_math"):
    return [each.student for each in find(source, lesson)]


def only(source, lesson="gan_math"):
    found, = find(source, lesson)
    return found


# --- The layouts ---

def test_nbgraders_submitted_folder(tmp_path):
    put(tmp_path, "bea/gan_math/gan_math.ipynb", "al@x.org/gan_math/gan_math.ipynb", "cy/sanet/sanet.ipynb")
    put(tmp_path, "bea/gan_math/timestamp.txt", data=b"2015-02-02 15:58:23.948203 UTC\n")
    put(tmp_path, "bea/sanet/sanet.ipynb", "bea/gan_math/.ipynb_checkpoints/gan_math-checkpoint.ipynb")
    first, second = find(tmp_path, "gan_math")
    assert first == handin.Handin("al@x.org", NOTEBOOK, submitted=None, problem="", notes=(), reply="al@x.org/gan_math.html")
    assert (second.student, second.submitted, second.notes) == ("bea", "2015-02-02T15:58:23.948203+00:00", ())


@pytest.mark.parametrize("text, submitted", [
    (b"2015-02-02 15:58:23", "2015-02-02T15:58:23+00:00"), (b"2015-02-02 15:58:23 EST5EDT", "2015-02-02T20:58:23+00:00"),
    (b"2015-02-02 15:58:23 +0100", "2015-02-02T14:58:23+00:00"), (b"2015-02-02 15:58:23 /etc/localtime", None),
    (b"2015-02-02 15:58:23 America/New_York", "2015-02-02T20:58:23+00:00"),
    (b"2015-99-99 15:58:23 UTC", None), (b"", None), (b"\xff\x00", None),
    (b"2015-02-02 " * 10**6, None),
    (b"0001-01-01 00:00:00 +9999", None), (b"2015-02-02 15:58:23 ../../../etc/localtime", None),
])
def test_a_timestamp_is_read_with_care(tmp_path, text, submitted):
    put(tmp_path, "bea/gan_math/gan_math.ipynb")
    put(tmp_path, "bea/gan_math/timestamp.txt", data=text)
    found = only(tmp_path)
    assert (found.data, found.problem) == (NOTEBOOK, "")
    assert found.submitted == submitted and bool(found.notes) == (submitted is None)


def test_a_timestamp_of_the_learners_own_says_nothing(tmp_path):
    put(tmp_path, "Bea Li_12_assignsubmission_file_/gan_math.ipynb")
    put(tmp_path, "Bea Li_12_assignsubmission_file_/timestamp.txt", data=b"2015-02-02 15:58:23 UTC")
    assert only(tmp_path).submitted is None


def test_loose_notebooks(tmp_path):
    put(tmp_path, "bea.ipynb", "cy_gan_math.ipynb", "readme.txt", ".hidden.ipynb")
    assert [(each.student, each.data, each.notes) for each in find(tmp_path, "gan_math")] == [
        ("bea", NOTEBOOK, ()), ("cy", NOTEBOOK, ())]


@pytest.mark.parametrize("ids", [["2024_0153", "2024_0154"], ["2024_153", "2024_154"], ["group_1_2", "group_1_3"]])
def test_ids_that_look_like_canvas_numbers_are_kept_apart(tmp_path, ids):
    put(tmp_path, *(f"{each}_gan_math.ipynb" for each in ids), "li_7_1001_gan_math.ipynb")
    assert students(tmp_path) == sorted([*ids, "li_7"])


@pytest.mark.parametrize("name, student", [
    ("mallory_333_444_ada_attempt_2020-01-01-00-00-00_gan_math.ipynb", "mallory_333"),
    ("mallory_333_444_ada_7_assignsubmission_file_gan_math.ipynb", "mallory_333"),
    ("gan_math_mallory_attempt_2024-01-01-00-00-00_ada_7_8_gan_math.ipynb", "mallory"),
    ("Mallory_7_assignsubmission_file_gan_math_ada_attempt_2020-01-01-00-00-00_x.ipynb", "Mallory_7")])
def test_a_files_own_name_makes_nobody_else_of_its_student(tmp_path, name, student):
    found = only(zipped(tmp_path / "class.zip", {name: NOTEBOOK}))
    assert found.student == student and (found.submitted or "2024").startswith("2024")


def test_what_course_submit_has_named_after_another_lesson_is_nobodys(tmp_path):
    put(tmp_path, "ada_gan_math.ipynb", "ada_sanet.ipynb", "ada/sanet.ipynb")
    assert [each.student for each in find(tmp_path, "gan_math", others=["sanet"]) if not each.problem] == ["ada"]
    assert [each.student for each in find(tmp_path, "sanet", others=["gan_math"]) if not each.problem] == ["ada"]


def test_one_notebook(tmp_path):
    put(tmp_path, "bea_gan_math.ipynb", "cy/gan_math/gan_math.ipynb", "cy/gan_math/helper.py")
    put(tmp_path, "cy/gan_math/timestamp.txt", data=b"2015-02-02 15:58:23 UTC")
    assert only(tmp_path / "bea_gan_math.ipynb").student == "bea"
    found = only(tmp_path / "cy" / "gan_math" / "gan_math.ipynb")
    assert (found.student, found.data, found.submitted) == ("cy", NOTEBOOK, "2015-02-02T15:58:23+00:00")
    assert "helper.py" in found.notes[0]


MOODLE = {"Zoë Ann Li_12345_assignsubmission_file_/solution.ipynb": NOTEBOOK,
          "Zoë Ann Li_12345_assignsubmission_onlinetext_/onlinetext.html": b"<p>hello</p>",
          "Participant_77_assignsubmission_file/gan_math.ipynb": NOTEBOOK,
          "Participant_78_assignsubmission_file_gan_math.ipynb": NOTEBOOK,
          "Default group_assignsubmission_file/work/gan_math.ipynb": NOTEBOOK}
CANVAS = {"liann_LATE_123_456_gan_math-2.ipynb": NOTEBOOK, "obrien_124_457_my work_1.ipynb": NOTEBOOK,
          "anon_x7Yz1_458_gan_math.ipynb": NOTEBOOK, "LATE_anon_q9_459_gan_math.ipynb": NOTEBOOK}
BLACKBOARD = {"gan_math_bitdiddle_attempt_2016-01-30-15-00-00_problem1.ipynb": NOTEBOOK}
LAYOUTS = {
    "moodle": (MOODLE, ["Default_group", "Participant_77", "Participant_78", "Zoe_Ann_Li_12345"]),
    "canvas": (CANVAS, ["anon_q9", "anon_x7Yz1", "liann_123", "obrien_124"]),
    "blackboard": (BLACKBOARD, ["bitdiddle"]),
    "nbgrader": ({"bea/gan_math/gan_math.ipynb": NOTEBOOK, "cy/gan_math/gan_math.ipynb": NOTEBOOK}, ["bea", "cy"]),
    "loose": ({"bea.ipynb": NOTEBOOK, "cy_gan_math.ipynb": NOTEBOOK}, ["bea", "cy"]),
    "folders": ({"bea/gan_math.ipynb": NOTEBOOK, "cy/x.ipynb": NOTEBOOK, "di/deep/gan_math.ipynb": NOTEBOOK},
                ["bea", "cy", "di"]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("around", ["folder", "zip", "zip with folders", "zip with a folder around"])
def test_layouts_unpacked_and_packed(tmp_path, layout, around):
    members, wanted = LAYOUTS[layout]
    if around == "folder":
        for name, data in members.items():
            put(tmp_path / "source", name, data=data)
        source = tmp_path / "source"
    else:
        folders = {f"{name.rpartition('/')[0]}/": b"" for name in members if "/" in name}
        members = {**(folders if "folders" in around else {}), **members}
        prefix = "export/" if "around" in around else ""
        members = {prefix + name: data for name, data in members.items()}
        source = zipped(tmp_path / "all.zip", {"__MACOSX/": b"", "__MACOSX/._x": b"", **members})
    found = find(source, "gan_math")
    assert sorted(each.student for each in found) == wanted
    assert {(each.data, each.problem) for each in found} == {(NOTEBOOK, "")}


def test_all_layouts_at_once(tmp_path):
    members = {name: data for layout, _ in LAYOUTS.values() for name, data in layout.items()}
    wanted = {student for _, students in LAYOUTS.values() for student in students}
    assert set(students(zipped(tmp_path / "all.zip", members))) == wanted


def test_what_the_lms_says_is_kept(tmp_path):
    by_id = {each.student: each for each in find(zipped(tmp_path / "all.zip", CANVAS | BLACKBOARD | MOODLE), "gan_math")}
    assert by_id["bitdiddle"].submitted == "2016-01-30T15:00:00+00:00"
    assert any("late" in note for note in by_id["liann_123"].notes)
    assert not any("late" in note for note in by_id["obrien_124"].notes)
    assert any("my work_1.ipynb was taken for gan_math.ipynb" in note for note in by_id["obrien_124"].notes)
    assert any("⟨Zoë Ann Li_12345⟩" in note for note in by_id["Zoe_Ann_Li_12345"].notes)
    assert any("onlinetext.html" in note for note in by_id["Zoe_Ann_Li_12345"].notes)


# --- Which notebook, and what else is there ---

def moodle_gives_it_to(path):
    """The participant to whom Moodle files a page: the number in the first part of its path that is named as Moodle names them."""
    return next((int(info[1]) for part in path.split("/") if len(info := part.split("_", 4)) >= 4 and info[1].isdigit()), None)


def canvas_gives_it_to(path):
    """(user, file) to whom Canvas attaches a page: the first two numbers between underscores of the file's name."""
    return tuple(int(part) for part in path.rpartition("/")[2].split("_") if part.isdigit())[:2]


def test_pages_go_back_to_those_whose_hand_ins_they_are_about(tmp_path):
    """By the rules of Moodle's importziplib.php, and of Canvas's infer_comment_context_from_filename."""
    theirs = {**MOODLE, "An Yu_79_assignsubmission_file_/Bo Li_80_assignsubmission_file_x.ipynb": NOTEBOOK}
    replies = {each.student: each.reply for each in find(zipped(tmp_path / "moodle.zip", theirs), "gan_math")}
    assert {student: moodle_gives_it_to(reply) for student, reply in replies.items() if student != "Default_group"} == {
        "Zoe_Ann_Li_12345": 12345, "Participant_77": 77, "Participant_78": 78, "An_Yu_79": 79}
    files = {**CANVAS, "liann_123_450_gan_math.ipynb": NOTEBOOK, "poe_125_460_7_8_gan_math.ipynb": NOTEBOOK}
    replies = {each.student: each.reply for each in find(zipped(tmp_path / "canvas.zip", files), "gan_math")}
    assert {student: canvas_gives_it_to(reply) for student, reply in replies.items() if not student.startswith("anon")} == {
        "liann_123": (123, 456), "obrien_124": (124, 457), "poe_125": (125, 460)}
    assert all(reply.endswith(".html") for reply in replies.values())


def test_the_newest_of_several_is_taken(tmp_path):
    put(tmp_path, "bea_1_assignsubmission_file_/gan_math.ipynb", data=b"old", date=1_000_000)
    put(tmp_path, "bea_1_assignsubmission_file_/gan_math (1).ipynb", data=b"new", date=2_000_000)
    put(tmp_path, "bea_1_assignsubmission_file_/other.ipynb", data=b"another", date=3_000_000)
    found = only(tmp_path)
    assert found.data == b"new" and "2 notebooks" in found.notes[0] and "gan_math (1).ipynb" in found.notes[0]


def test_in_a_zip_dates_count_and_in_canvas_the_files_numbers(tmp_path):
    dated = {"bea/gan_math.ipynb": (b"new", (2024, 5, 1, 0, 0, 0)), "bea/gan_math-1.ipynb": (b"old", (2024, 4, 1, 0, 0, 0))}
    assert only(zipped(tmp_path / "dated.zip", {**dated, "x.txt": b""})).data == b"new"
    numbered = {"li_1_30_gan_math.ipynb": b"new", "li_LATE_1_4_gan_math-1.ipynb": (b"old", (2025, 1, 1, 0, 0, 0))}
    assert only(zipped(tmp_path / "numbered.zip", numbered)).data == b"new"


def test_other_files_are_named_and_ignored(tmp_path):
    put(tmp_path / "bea" / "gan_math", "gan_math.ipynb", "torch.py", "data/x.pt", "other.ipynb")
    found = only(tmp_path)
    assert found.data == NOTEBOOK and found.notes == ("handed in beside it, and ignored: data/x.pt, other.ipynb, torch.py",)


@pytest.mark.parametrize("names, said", [
    (["bea/gan_math/wrong.ipynb"], "handed in no gan_math.ipynb; found: wrong.ipynb"),
    (["bea/gan_math/all.zip"], "handed in no gan_math.ipynb; found: all.zip"),
    (["bea/gan_math/sub/gan_math.ipynb"], "handed in no gan_math.ipynb; found: sub/gan_math.ipynb"),
    (["bea_1_assignsubmission_file_/report.pdf"], "handed in no gan_math.ipynb; found: report.pdf"),
    (["bea_1_2_report.pdf"], "handed in no gan_math.ipynb; found: report.pdf"),
    (["bea/notes.txt"], "handed in no gan_math.ipynb; found: notes.txt"),
    (["bea/gan_math/gan_math.ipynb/x"], "handed in no gan_math.ipynb; found: gan_math.ipynb/x"),
])
def test_a_student_without_the_notebook_is_not_lost(tmp_path, names, said):
    found = only(put(tmp_path, *names))
    assert (found.data, found.problem) == (None, said)


def test_an_empty_folder_is_a_hand_in_too(tmp_path):
    (tmp_path / "bea" / "gan_math").mkdir(parents=True)
    assert only(tmp_path).problem == "handed in no gan_math.ipynb: the folder is empty"
    assert only(zipped(tmp_path / "all.zip", {"bea/gan_math/": b""})).problem == only(tmp_path).problem


def test_an_empty_notebook_is_data(tmp_path):
    assert only(put(tmp_path, "bea.ipynb", data=b"")).data == b""


# --- Hostile hand-ins ---

def test_one_learner_cannot_hand_in_for_another(tmp_path):
    put(tmp_path, "al_1_assignsubmission_file_/bea/gan_math/gan_math.ipynb", "al_1_assignsubmission_file_/gan_math.ipynb",
        "al_1_assignsubmission_file_/bea_2_assignsubmission_file_/gan_math.ipynb", "cy/bea/gan_math/gan_math.ipynb",
        "di/gan_math/bea/gan_math/gan_math.ipynb", "di/gan_math/gan_math.ipynb", "li_1_2_bea_3_4_gan_math.ipynb")
    assert students(tmp_path) == ["al_1", "cy", "di", "li_1"]


def test_links_are_not_followed(tmp_path):
    secret = put(tmp_path / "outside", "gan_math.ipynb", "secret.ipynb", data=b"secret")
    source = put(tmp_path / "source", "ok.ipynb", "in/gan_math/x.txt")
    (source / "a" / "gan_math").mkdir(parents=True)
    (source / "a" / "gan_math" / "gan_math.ipynb").symlink_to(secret / "secret.ipynb")
    (source / "b").mkdir()
    (source / "b" / "gan_math").symlink_to(secret)
    (source / "c").symlink_to(secret)
    (source / "d.ipynb").symlink_to(secret / "secret.ipynb")
    (source / "e.ipynb").symlink_to(tmp_path / "nowhere")
    (source / "in" / "gan_math" / "loop").symlink_to(source)
    found = {each.student: each for each in find(source, "gan_math")}
    assert set(found) == {"a", "b", "c", "d", "e", "in", "ok"}
    assert all(found[name].data is None and "link" in found[name].problem for name in "abcde")
    assert found["ok"].data == NOTEBOOK
    single = only(source / "d.ipynb")
    assert single.data is None and "link" in single.problem


def test_a_folder_that_becomes_a_link_is_not_followed(tmp_path):
    put(tmp_path, "a/gan_math/gan_math.ipynb")
    put(tmp_path / "outside", "gan_math.ipynb", data=b"secret")
    reader, = [file for file in handin._in_folder(tmp_path) if file.parts[0] == "a"]
    (tmp_path / "a" / "gan_math").rename(tmp_path / "moved")
    (tmp_path / "a" / "gan_math").symlink_to(tmp_path / "outside")
    with pytest.raises(handin.Unreadable):
        reader.content()


def test_pipes_and_devices_do_not_hang(tmp_path):
    put(tmp_path, "ok.ipynb")
    os.mkfifo(tmp_path / "a.ipynb")
    (tmp_path / "b" / "gan_math").mkdir(parents=True)
    os.mkfifo(tmp_path / "b" / "gan_math" / "gan_math.ipynb")
    os.mkfifo(tmp_path / "b" / "gan_math" / "timestamp.txt")
    start = time.perf_counter()
    found = {each.student: each for each in find(tmp_path, "gan_math")}
    assert time.perf_counter() - start < 5
    assert "regular file" in found["a"].problem and "regular file" in found["b"].problem and found["ok"].data
    assert "regular file" in only(tmp_path / "a.ipynb").problem


def test_too_large_a_notebook_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(handin, "MAX_BYTES", 2 * 1024**2)
    put(tmp_path, "ok.ipynb", data=b" " * 2 * 1024**2)
    with (tmp_path / "large.ipynb").open("wb") as file:
        file.truncate(10**12)  # sparse
    large, ok = find(tmp_path, "gan_math")
    assert large.data is None and "larger than 2 MB" in large.problem and len(ok.data) == 2 * 1024**2


def test_what_may_not_be_read_says_so(tmp_path):
    put(tmp_path, "bea.ipynb", "cy.ipynb")
    reader = next(file for file in handin._in_folder(tmp_path) if file.parts == ("bea.ipynb",))
    (tmp_path / "bea.ipynb").unlink()
    with pytest.raises(handin.Unreadable, match="can't be read"):
        reader.content()


def test_zip_bombs_are_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(handin, "MAX_BYTES", 3 * 1024**2)
    monkeypatch.setattr(handin, "MAX_ZIP_BYTES", 11 * 1024**2)
    noise = os.urandom(2 * 1024**2)
    path = zipped(tmp_path / "all.zip", {"a.ipynb": noise, "b.ipynb": noise, "c.ipynb": bytes(2 * 1024**2),
                                         "d.ipynb": os.urandom(4 * 1024**2), "e.ipynb": noise})
    found = {each.student: each for each in find(path, "gan_math")}
    assert found["a"].data == found["b"].data == noise
    assert "200:1" in found["c"].problem and "larger than 3 MB" in found["d"].problem
    assert "more than 11 MB" in found["e"].problem
    assert only_of(path, "e").data == noise


def only_of(path, student):
    found, = find(path, "gan_math", [student])
    return found


def test_what_a_zip_says_of_sizes_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setattr(handin, "MAX_BYTES", 1024**2)
    path = zipped(tmp_path / "all.zip", {"a.ipynb": os.urandom(3 * 1024**2), "b.ipynb": NOTEBOOK})
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24:entry + 28] = struct.pack("<I", 10)  # its unpacked size
    path.write_bytes(data)
    found = {each.student: each for each in find(path, "gan_math")}
    assert found["a"].data is None and found["a"].problem and found["b"].data == NOTEBOOK


def test_broken_members_do_not_stop_the_others(tmp_path):
    path = zipped(tmp_path / "all.zip", {f"{name}.ipynb": NOTEBOOK * 9 for name in "abcd"})
    data = bytearray(path.read_bytes())
    entries = [match.start() for match in re.finditer(b"PK\x01\x02", data)]
    data[data.index(b"a.ipynb") + 9] ^= 0xff  # what is packed
    data[entries[1] + 8] |= 1  # encrypted
    data[entries[2] + 10] = 14  # LZMA
    path.write_bytes(data)
    found = {each.student: each for each in find(path, "gan_math")}
    assert "can't be unpacked" in found["a"].problem and "encrypted" in found["b"].problem
    assert "packed in a way" in found["c"].problem and found["d"].data == NOTEBOOK * 9


def test_a_zips_names_lead_nowhere_and_its_links_are_none(tmp_path):
    names = ["../../bea/gan_math/gan_math.ipynb", "/cy/gan_math/gan_math.ipynb", "di\\gan_math\\gan_math.ipynb",
             "..", "/", "./", ""]
    path = zipped(tmp_path / "all.zip", dict.fromkeys(names, NOTEBOOK))
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("el.ipynb")
        link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    before = sorted(tmp_path.rglob("*"))
    found = {each.student: each for each in find(path, "gan_math")}
    assert set(found) == {"bea", "cy", "di", "el"} and "link" in found["el"].problem
    assert sorted(tmp_path.rglob("*")) == before


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(handin, "MAX_FILES", 10)
    path = zipped(tmp_path / "all.zip", {f"{number}.ipynb": b"" for number in range(11)})
    with pytest.raises(LessonError, match="11 files"):
        find(path, "gan_math")


def test_a_zip_inside_is_not_opened(tmp_path):
    inner = zipped(tmp_path / "inner.zip", {"gan_math.ipynb": NOTEBOOK}).read_bytes()
    found = only(zipped(tmp_path / "all.zip", {"bea_1_assignsubmission_file_/work.zip": inner}))
    assert found.problem == "handed in no gan_math.ipynb; found: work.zip"


# --- Ids ---

@pytest.mark.parametrize("name, student", [
    ("Zoë Müller-Łoś", "Zoe_Muller-Los"), ("Øystein Straße", "Oystein_Strasse"), ("Иван Жуков", "Ivan_Zhukov"),
    ("Σωκράτης", "Sokratis"), ("../../x", "x"), ("<script>alert(1)", "scriptalert1"),
    ("O'Brien, Pat", "OBrien_Pat"), ("a\x00\x1b[31mb", "a31mb"),
    ("王小明", "u738bu5c0fu660e"), ("a" * 300, "a" * 80), (".", "unnamed"), ("!!!", "unnamed"), ("ﬁ．．／x", "fi..x"),
    ("-rf", "rf"), ("a\u202eb", "ab"), ("me+1@x.org", "me+1@x.org"), ("٣", "u663"),
])
def test_an_id_is_readable_and_safe(name, student):
    assert list(handin._ids([name], {}).values()) == [student]


@settings(max_examples=200, deadline=None)
@given(st.sets(st.text(max_size=100) | st.sampled_from(["x", "../x", "<x>", "X", "x!", "", "é", "e"]), max_size=8))
def test_ids_are_ids_and_differ(names):
    ids = handin._ids(sorted(names), {})
    assert all(STUDENT.fullmatch(each) for each in ids.values()) and len(set(ids.values())) == len(names)
    assert all(ids[name] == name for name in names if STUDENT.fullmatch(name))
    assert handin._ids(sorted(names, reverse=True), {}) == ids


def test_who_has_an_id_keeps_it_whoever_comes_later(tmp_path):
    ids = {}
    assert [each.student for each in find(put(tmp_path / "first", "Müller.ipynb"), "gan_math", ids=ids)] == ["Muller"]
    later = find(put(tmp_path / "second", "Müller.ipynb", "Muller.ipynb", "ada.ipynb"), "gan_math", ids=ids)
    assert {each.reply: each.student for each in later}["Müller.html"] == "Muller" and len({each.student for each in later}) == 3
    classroom = ClassFolder(tmp_path / "class")
    assert classroom.ids == {}
    classroom.keep_ids(ids)
    assert classroom.ids == ids and ids["ada"] == "ada"
    (tmp_path / "class" / "ids.json").write_text('{"ada": "../ada"}')
    with pytest.raises(LessonError, match="ids.json should hold an object of names and ids"):
        classroom.ids


def test_a_students_folder_alone_in_a_zip_is_not_taken_for_one_around_others(tmp_path):
    homework = zipped(tmp_path / "homework.zip", {"eve/homework.ipynb": NOTEBOOK})
    assert [(each.student, each.data) for each in find(homework, "gan_math")] == [("eve", NOTEBOOK)]
    assert students(zipped(tmp_path / "more.zip", {"eve/homework.ipynb": NOTEBOOK, "eve/notes.txt": b"x"})) == ["eve"]
    others = zipped(tmp_path / "others.zip", {"eve/ada.ipynb": NOTEBOOK, "eve/grace.ipynb": NOTEBOOK})
    assert [each.student for each in find(others, "gan_math", ids={"eve": "eve"})] == ["eve"]
    around = find(others, "gan_math")  # nobody knows an eve
    assert [each.student for each in around] == ["ada", "grace"] and all("⟨eve⟩ in the zip was taken for one around" in each.notes[-1] for each in around)


def test_two_names_with_one_id_stay_apart(tmp_path):
    put(tmp_path, "x.ipynb", "x!.ipynb", "<x>.ipynb", data=b"")
    first = students(tmp_path)
    assert len(set(first)) == 3 and "x" in first and first == students(tmp_path)
    assert all(re.fullmatch(r"x(-[0-9a-f]{8})?", each) for each in first)


def test_one_name_however_its_accents_are_written_is_one_student(tmp_path):
    members = {unicodedata.normalize(form, "Zoë") + "/gan_math/" + name: NOTEBOOK
               for form, name in (("NFC", "gan_math.ipynb"), ("NFD", "data.csv"))}
    assert students(zipped(tmp_path / "all.zip", {**members, "bea.ipynb": b""})) == ["Zoe", "bea"]


def test_names_that_are_no_text_are_read(tmp_path):
    (tmp_path / os.fsdecode(b"b\xffa.ipynb")).write_bytes(NOTEBOOK)
    found = only(tmp_path)
    assert found.student == "ba" and found.data == NOTEBOOK
    "".join(found.notes).encode()


def test_hostile_names_in_zips_do_not_stop_anything(tmp_path):
    names = ["<script>.ipynb", "\x1b[31m.ipynb", "a" * 60_000 + ".ipynb", "_" * 5000 + "1.ipynb", "1_" * 20_000 + ".ipynb",
             "a/" * 20_000 + "gan_math.ipynb", "_1_1_x_attempt_" * 1000 + ".ipynb", "x_assignsubmission_" * 2000,
             "\n/gan_math/gan_math.ipynb", "ok.ipynb"]
    path = zipped(tmp_path / "all.zip", dict.fromkeys(names, NOTEBOOK))
    start = time.process_time()
    found = find(path, "gan_math")
    assert time.process_time() - start < 3 and "ok" in {each.student for each in found} and len(found) >= 7
    for each in found:
        assert STUDENT.fullmatch(each.student)
        assert all(note.isprintable() and len(note) < 500 for note in (*each.notes, each.problem))


# --- What isn't there ---

@pytest.mark.parametrize("make", [
    lambda path: None, lambda path: path.mkdir(), lambda path: put(path, "notes.txt", "bea/sanet/sanet.ipynb"),
    lambda path: path.write_bytes(b"PK no zip"), lambda path: path.write_bytes(b""), lambda path: zipped(path, {}),
    os.mkfifo, lambda path: path.symlink_to(path.parent / "nowhere"),
])
def test_a_source_with_nothing_in_it_is_an_error(tmp_path, make):
    make(tmp_path / "source")
    with pytest.raises(LessonError, match="source"):
        find(tmp_path / "source", "gan_math")


def test_the_error_says_what_was_looked_for_and_what_is_there(tmp_path):
    put(tmp_path, "notes.txt", "bea/sanet/sanet.ipynb")
    with pytest.raises(LessonError, match=r"<student>/gan_math/gan_math\.ipynb.*there: bea, notes\.txt"):
        find(tmp_path, "gan_math")


def test_files_at_the_top_that_are_nobodys_are_named(tmp_path):
    put(tmp_path, "bea.ipynb", "cy_gan_math.ipynb.txt", "mary.pdf", ".DS_Store", "dan_sanet.ipynb", "eve/notes.txt")
    named = []
    find(tmp_path, "gan_math", others=["sanet"], pass_over=named.extend)
    assert named == ["cy_gan_math.ipynb.txt", "mary.pdf"]
    with zipfile.ZipFile(tmp_path / "hands.zip", "w") as archive:
        for name in ("bea.ipynb", "cy.zip"):
            archive.writestr(name, b"{}")
    named.clear()
    find(tmp_path / "hands.zip", "gan_math", pass_over=named.extend)
    assert named == ["cy.zip"]


def test_students_are_picked_by_id(tmp_path):
    put(tmp_path, "bea.ipynb", "cy.ipynb", "Zoë.ipynb")
    assert [each.student for each in find(tmp_path, "gan_math", ["Zoe", "bea"])] == ["Zoe", "bea"]
    with pytest.raises(LessonError) as raised:
        find(tmp_path, "gan_math", ["bea", "nobody", "<b>"])
    assert len(raised.value.problems) == 2
    assert all("there are: Zoe, bea, cy" in problem for problem in raised.value.problems)


def test_a_class_is_read_at_once(tmp_path):
    for number in range(200):
        put(tmp_path, f"student{number}/gan_math/gan_math.ipynb", data=b"x" * 100_000)
    start = time.process_time()
    assert len(find(tmp_path, "gan_math")) == 200
    assert time.process_time() - start < 1
