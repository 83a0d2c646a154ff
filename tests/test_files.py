"""What is written whole or not at all."""

import os

import pytest

from course_lib.files import whole


def test_it_takes_the_place_of_what_was_there_and_makes_the_folder(tmp_path):
    path = tmp_path / "new" / "file.txt"
    for text in ("one", "two"):
        with whole(path) as unfinished:
            unfinished.write_text(text)
    assert path.read_text() == "two" and os.listdir(path.parent) == ["file.txt"]


@pytest.mark.parametrize("stop", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_what_stops_in_the_middle_leaves_the_file_as_it_was_and_nothing_beside_it(tmp_path, stop):
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(type(stop)), whole(path) as unfinished:
        unfinished.write_text("half")
        raise stop
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file.txt"]
