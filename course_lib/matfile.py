"""MATLAB files (versions 5 to 7), read as data and nothing else: numbers, cells and structs, with caps on size and depth.

Annotations of crowds come in such files, from strangers. SciPy's reader can be made to crash the process by a spoilt file of a
few hundred bytes; this one refuses what it doesn't know.
"""

import math
import struct
import zlib

import numpy as np

from course_lib.data import DataError

LARGEST_FILE = 2**26  # bytes of a MATLAB file, packed and unpacked; the largest honest one has some 4 million
COMPRESSED, MATRIX = 15, 14  # kinds of elements; the others are plain numbers, stored as
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
CELL, STRUCT, NUMBERS = 1, 2, range(6, 16)  # kinds of matrices
COMPLEX = 0x800
DEEPEST = 4  # matrices in matrices: in ShanghaiTech, numbers stand in a struct in a cell


def read_mat(path, *names):
    """{name: value} for variables of a MATLAB file, versions 5 to 7 (MathWorks, MAT-File Level 5 File Format).

    A matrix of numbers becomes a float64 array of its shape; a cell array a list, column by column; a single struct a
    dict. Other variables in the file are skipped, whatever they are.
    Raises DataError where the file or a variable is missing, damaged, too large, or of another kind: text, complex or
    sparse matrices, objects, function handles.
    """
    found, room = {}, LARGEST_FILE
    try:
        if path.stat().st_size > room:
            raise ValueError(f"over {LARGEST_FILE:,} bytes, far more than this set's files have")
        contents = path.read_bytes()
        if contents.startswith(b"MATLAB 7.3"):
            raise ValueError("saved as version 7.3; load it there and save it with -v7")
        order = {b"IM": "<", b"MI": ">"}[contents[126:128]]
        for kind, data in _elements(memoryview(contents)[128:], order):
            if kind == COMPRESSED:
                unpacker = zlib.decompressobj()
                data = unpacker.decompress(data, room)
                room -= len(data)
                if not unpacker.eof or room <= 0:
                    raise ValueError(f"cut off, or over {LARGEST_FILE:,} bytes when unpacked")
                ((kind, data),) = _elements(memoryview(data), order)
            if kind == MATRIX:
                found.update(_named(data, order, names))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # a damaged file can fail in any way
        raise DataError(f"{path}: not to be read as a MATLAB file ({type(error).__name__}: {error})") from None
    if missing := [name for name in names if name not in found]:
        raise DataError(f"{path}: has no {' and no '.join(missing)}")
    return {name: found[name] for name in names}


def _elements(data, order):
    """Yield (kind, contents) of the elements that stand one behind the other."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        at += 8
        if kind >> 16:  # a small one: kind and size share four bytes, the contents are in the next four
            kind, size, at = kind & 0xFFFF, kind >> 16, at - 4
        if at + size > len(data):
            raise ValueError("ends too early")
        yield kind, data[at : at + size]
        at += size if kind == COMPRESSED else size + -(at + size) % 8


def _named(data, order, names=None, depth=1):
    """{name: value} of a matrix, or {} when the name isn't asked for."""
    if not len(data):  # an empty member
        return {"": np.empty((0, 0))}
    elements = _elements(data, order)

    def plain():
        kind, stored = next(elements)
        return np.frombuffer(stored, order + STORED[kind])

    flags, shape, name = int(plain()[0]), plain().tolist(), bytes(plain()).decode()
    kind = flags & 0xFF
    if names is not None and name not in names:
        return {}
    if kind in NUMBERS and not flags & COMPLEX:
        return {name: plain().astype(np.float64).reshape(shape, order="F")}
    if kind not in (CELL, STRUCT) or depth == DEEPEST:
        raise ValueError(f"{name} holds something other than real numbers, cells and structs")
    keys = range(math.prod(shape))
    if kind == STRUCT:
        width, letters = int(plain()[0]), bytes(plain())
        keys = [letters[i : i + width].rstrip(b"\0").decode() for i in range(0, len(letters), width)]
    members = [value for _, member in elements for value in _named(member, order, None, depth + 1).values()]
    if len(members) != len(keys):
        raise ValueError(f"{name} has {len(members)} members, expected {len(keys)}")
    return {name: dict(zip(keys, members)) if kind == STRUCT else members}
