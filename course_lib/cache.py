"""Where the course keeps what it would rather not download or make twice."""

import os
from pathlib import Path


def cache_dir():
    """The course's folder for downloads and decoded images: $COURSE_CACHE, else one in the user's cache folder."""
    if chosen := os.environ.get("COURSE_CACHE"):
        return Path(chosen).expanduser()
    user_cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(user_cache) if user_cache else Path("~/.cache").expanduser()) / "rebuild-by-hand"
