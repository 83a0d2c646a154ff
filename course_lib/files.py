"""Files that are written whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path):
    """Within it, a path beside `path` to write to. When it ends well, what stands there becomes `path`; otherwise it is removed, and
    `path` is as it was. The folder is made. Raises what writing raises, and OSError where the folder can't be made.

        with whole("results.json") as unfinished:
            unfinished.write_text("…")
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
