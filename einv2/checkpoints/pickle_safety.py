"""Checks before unpickling a ``.pth``: no decompression bombs, no pickles that never finish loading.

Torch's restricted unpickler makes sure that no code in the file runs. But a pickle of 100 bytes can nest tuples so that hashing them
never ends, and a zip archive can decompress to a thousand times its size; both would stop the whole process.
"""

import io
import pickletools
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

TRUST = 2  # times its size that an archive may decompress to; torch does not compress
MAX_OPERATIONS = 1_000_000  # in a pickle; a training state has 20,000
MAX_SHARED = 16  # containers that are used again; each may double the size of the result
_PICKLES = 5  # in one file, as torch wrote them before it wrote archives
_CONTAINERS = {
    "LIST",
    "DICT",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "EMPTY_LIST",
    "EMPTY_DICT",
    "EMPTY_SET",
    "FROZENSET",
}
_FILLING = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"}  # leave the container on the stack
_NOTHING = {"PROTO", "FRAME", "MARK"}


def require_harmless(path: str | Path) -> None:
    """ValueError, the end of a sentence about the file, unless it is a pickle or archive that is safe to unpickle."""
    try:
        with open(path, "rb") as file:
            if file.read(4) == b"PK\x03\x04":
                _require_harmless_archive(path)
            else:
                file.seek(0)
                for _ in range(_PICKLES):
                    _require_harmless_pickle(file)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, OSError, RuntimeError, zlib.error) as error:
        raise ValueError("its archive is damaged") from error


def _require_harmless_archive(path: str | Path) -> None:
    with zipfile.ZipFile(path) as archive:
        unfolded = sum(info.file_size for info in archive.infolist())
        if unfolded > TRUST * Path(path).stat().st_size:
            raise ValueError(f"it would unfold to {unfolded / 2**20:.1f} MiB")
        for info in archive.infolist():
            if info.filename.endswith(".pkl"):
                _require_harmless_pickle(io.BytesIO(archive.read(info)))


def _require_harmless_pickle(file: BinaryIO) -> None:
    shared = 0
    for number, is_shared in enumerate(_shared(file)):
        shared += is_shared
        if number > MAX_OPERATIONS or shared > MAX_SHARED:
            raise ValueError("it is more deeply nested than a checkpoint, or has more parts")


def _shared(file: BinaryIO) -> Iterator[bool]:
    """For each operation of a pickle, whether it reads a container from the memo."""
    containers: set[int] = set()
    on_top, stored = False, 0
    for operation, argument in _operations(file):
        name, taken = operation.name, False
        if "PUT" in name or name == "MEMOIZE":
            key = stored if name == "MEMOIZE" else argument
            stored += 1
            (containers.add if on_top else containers.discard)(key)
        elif "GET" in name:
            on_top = taken = argument in containers
        elif name not in _NOTHING:
            on_top = name in _CONTAINERS or name in _FILLING
        yield taken


def _operations(file: BinaryIO) -> Iterator[tuple]:
    try:
        for operation, argument, _ in pickletools.genops(file):
            yield operation, argument
    except (ValueError, OverflowError, MemoryError) as error:
        raise ValueError("it is damaged, or no checkpoint at all") from error
