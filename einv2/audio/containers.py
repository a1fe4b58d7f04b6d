"""Audio files as containers: where their samples are, whether they are complete, and what the header declares.

libsndfile decodes the samples. What it does not report is read here from the chunks of WAV, RF64, BW64, W64, AIFF and CAF files: a
file that was cut off, a 32-bit size that wrapped at 4 GiB, the ambisonic sub-format of .amb files. ``View`` gives libsndfile a
header it can read where the file's own is BW64 or has a wrong size.

Sources: "Multiple channel audio data and WAVE files" (Microsoft, 2001); EBU Tech 3306 (RF64); ITU-R BS.2088 (BW64); R. Dobson, "The
AMB Ambisonic File Format" (2003).
"""

import io
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

SUFFIXES = (".flac", ".wav", ".ogg", ".amb", ".aif", ".aiff", ".bw64", ".caf", ".rf64", ".w64", ".wave")

_UNKNOWN_SIZES = (0, 0x7FFFF000, 0xFFFFFFFF)  # of a WAV data chunk, from writers that did not know the length
# or nearly so: the same less a header, in a file that holds fewer bytes
_UNKNOWN_SIZE_RANGES = ((0x7FFF0000, 0x80000100), (0xFFFF0000, 0xFFFFFFFF))
_TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBEGIN")  # that music players append to a file
_MOST_PADDING = 1 << 20
_WRAP = 1 << 32
_RIFF = {b"RIFF": "WAV", b"RIFX": "RIFX", b"RF64": "RF64", b"BW64": "BW64"}
_AMBISONIC = bytes.fromhex("2107d3118644c8c1ca000000")  # the sub-format GUID after its first four bytes
_W64_RIFF, _W64_DATA = (name + bytes.fromhex(end) for name, end in (
    (b"riff", "2e91cf11a5d628db04c10000"), (b"data", "f3acd3118cd100c04f8edb8a")))  # fmt: skip
_EXTENSIBLE, _PCM, _FLOAT = 0xFFFE, 1, 3


class ContainerError(ValueError):
    """The rest of a sentence that begins with the name of the file."""


@dataclass(frozen=True)
class Samples:
    """The place of the samples in a file.

    promised: their size in bytes by the header, or None; held: the bytes that the file has for them. note: how the file was
    read in spite of its header, a sentence without its end. is_b_format: the header declares FuMa B-format (.amb).
    """

    kind: str
    start: int
    promised: int | None
    held: int
    fmt: bytes = b""
    note: str = ""
    is_b_format: bool = False

    @property
    def needs_view(self) -> bool:
        return self.kind == "BW64" or bool(self.note and self.fmt)


def samples_of(path: str | Path) -> Samples | None:
    """The samples as the chunks of a file describe them; None for other kinds of files, or without samples.

    ContainerError if its sizes do not fit its content and the right ones cannot be inferred.
    """
    with open(path, "rb") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(0)
        magic = file.read(16)
        if magic[:4] in _RIFF:
            return _in_riff(file, end, magic)
        if magic[:4] == b"FORM" and len(magic) >= 12:
            return _first(_chunks(file, 12, end, "big"), b"SSND", end, "AIFF")
        if magic[:4] == b"caff":
            return _first(_caf_chunks(file, end), b"data", end, "CAF")
        if magic == _W64_RIFF:
            return _first(_w64_chunks(file, end), _W64_DATA, end, "W64")
    return None


Chunk = tuple[bytes, int, int]  # name, start and size of its content


def _chunks(file: BinaryIO, start: int, end: int, order: Literal["big", "little"]) -> Iterator[Chunk]:
    """The chunks from ``start`` on, as in their headers; the last may be longer than the file."""
    while start + 8 <= end:
        file.seek(start)
        header = file.read(8)
        size = int.from_bytes(header[4:], order)
        yield header[:4], start + 8, size
        start += 8 + size + size % 2  # chunks are padded to even sizes


def _caf_chunks(file: BinaryIO, end: int) -> Iterator[Chunk]:
    start = 8
    while start + 12 <= end:
        file.seek(start)
        header = file.read(12)
        size = int.from_bytes(header[4:], "big", signed=True)  # -1: up to the end of the file
        yield header[:4], start + 12, size
        if size < 0:
            return
        start += 12 + size


def _w64_chunks(file: BinaryIO, end: int) -> Iterator[Chunk]:
    start = 40
    while start + 24 <= end:
        file.seek(start)
        header = file.read(24)
        size = int.from_bytes(header[16:], "little") - 24  # theirs counts the header
        if size < 0:
            return
        yield header[:16], start + 24, size
        start += 24 + size + -size % 8


def _first(chunks: Iterator[Chunk], name: bytes, end: int, kind: str) -> Samples | None:
    for found, start, size in chunks:
        if found == name:
            return Samples(kind, start, size if size >= 0 else None, end - start)
    return None


def _in_riff(file: BinaryIO, end: int, magic: bytes) -> Samples | None:
    kind = _RIFF[magic[:4]]
    order: Literal["big", "little"] = "big" if kind == "RIFX" else "little"
    fmt, long_size = b"", None
    for name, start, size in _chunks(file, 12, end, order):
        if name == b"ds64":  # keeps the sizes of RF64 and BW64 in 64 bits
            file.seek(start)
            long_size = int.from_bytes(file.read(16)[8:], "little")
        elif name == b"fmt ":
            file.seek(start)
            fmt = file.read(min(size, 64))
        elif name == b"data":
            if size == 0xFFFFFFFF and long_size:
                size = long_size
            found = Samples(kind, start, size, end - start, fmt, is_b_format=_is_b_format(fmt))
            return _without_length(file, found, end) if _is_unknown(found) else _measured(file, found, end, order)
    return None


def _is_b_format(fmt: bytes) -> bool:
    """Whether a WAVE format of 40 bytes has the ambisonic sub-format, of integers or of floats."""
    return fmt[28:40] == _AMBISONIC and fmt[:2] == b"\xfe\xff" and fmt[24:28] in (b"\1\0\0\0", b"\3\0\0\0")


def _is_unknown(found: Samples) -> bool:
    size = found.promised or 0
    about = any(low <= size <= high for low, high in _UNKNOWN_SIZE_RANGES)
    return size in _UNKNOWN_SIZES or (about and size > found.held)


def _without_length(file: BinaryIO, found: Samples, end: int) -> Samples:
    """The samples of a writer that did not know the length: they extend to the end of the file."""
    if found.promised == 0 and (not found.held or _are_chunks(file, found.start, end)):
        return found
    note = "its header does not say how long it is, as of a stream: read to the end of the file"
    return _with(found, promised=None, note=note, fmt=found.fmt if _can_be_rewritten(found) else b"")


def _measured(file: BinaryIO, found: Samples, end: int, order: Literal["big", "little"]) -> Samples:
    """A file with more behind its samples than chunks: a wrapped size is corrected.

    Certain cases are a size that is wrong by multiples of 4 GiB, and one after which whole samples follow, no chunk, up to the end
    of the file. Zeros, tags and anything shorter than a sound are left out. ContainerError in other cases.
    """
    size = found.promised or 0
    behind = found.start + size + size % 2
    if behind >= end or _are_chunks(file, behind, end, order):
        return found
    for wraps in range((found.held - size) // _WRAP, 0, -1):
        longer = size + wraps * _WRAP
        stop = found.start + longer + longer % 2
        if stop >= end or _are_chunks(file, stop, end, order):
            return _read_on(found, longer)
    file.seek(behind)
    frame, rest = _frame_bytes(found.fmt), end - found.start - size
    if rest <= _MOST_PADDING and not any(file.read(rest)):
        return found
    file.seek(behind)
    if rest < _least_rest(found) or file.read(16).startswith(_TAGS):
        note = f"{rest} bytes behind its samples are no chunk of a WAV file: left out"
        return _with(found, note=note, fmt=found.fmt if _can_be_rewritten(found) else b"")
    if frame and _can_be_rewritten(found) and size % frame == 0 and rest % frame == 0 and rest >= _least_rest(found):
        return _read_on(found, found.held)
    raise ContainerError(
        f"holds {rest} bytes behind the {size} bytes of samples that its header tells, which are no chunk; its size may have wrapped "
        "at 4 GiB: expected it exported again, as RF64 or W64 if it is that long"
    )


def _read_on(found: Samples, size: int) -> Samples:
    if not _can_be_rewritten(found):
        raise ContainerError(
            "has a wrong size in its header, of a coding in which the right one cannot be told; expected it as RF64"
        )
    share = size / max(found.promised or 0, 1)
    times = f"{share:.0f} times" if share >= 1.95 else f"{share:.2f} times"
    note = (
        f"its header tells of {found.promised} bytes of samples, and it holds {times} as many (a 32-bit size wraps at 4 GiB): "
        "read to the end"
    )
    return _with(found, promised=size, note=note)


def _with(found: Samples, **changes) -> Samples:
    return Samples(**{**vars(found), **changes})


def _can_be_rewritten(found: Samples) -> bool:
    tag = int.from_bytes(found.fmt[:2], "little")
    if tag == _EXTENSIBLE:
        tag = int.from_bytes(found.fmt[24:26], "little")
    return found.kind != "RIFX" and tag in (_PCM, _FLOAT) and _frame_bytes(found.fmt) > 0


def _frame_bytes(fmt: bytes) -> int:
    return int.from_bytes(fmt[12:14], "little")


def _least_rest(found: Samples) -> int:
    """A twentieth of a second in bytes; less is not taken for sound."""
    return int.from_bytes(found.fmt[4:8], "little") * _frame_bytes(found.fmt) // 20


def _are_chunks(file: BinaryIO, start: int, end: int, order: Literal["big", "little"] = "little") -> bool:
    """Whether chunks, with names as they have them, fill the file from ``start`` to its end; the last one may lack its padding."""
    for name, at, size in _chunks(file, start, end, order):
        if not all(32 <= letter < 127 for letter in name) or at + size > end:
            return False
        start = at + size + size % 2
    return end - start < 8  # too short for a header


class View(io.RawIOBase):
    """A WAV file for libsndfile: a new header, and after it the samples of a file as they stand there."""

    def __init__(self, path: str | Path, found: Samples):
        super().__init__()
        frame = _frame_bytes(found.fmt)
        size = found.held if found.promised is None else min(found.promised, found.held)
        size -= size % frame if frame else 0
        self._file, self._start, self._size, self._at = open(path, "rb"), found.start, size, 0  # noqa: SIM115 - closed by close
        self._head = _header(found.fmt, size)

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = (0, self._at, len(self._head) + self._size)[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer) -> int:
        into = memoryview(buffer).cast("B")
        if self._at < len(self._head):
            part = self._head[self._at : self._at + len(into)]
            into[: len(part)] = part
            n = len(part)
        else:
            at = self._at - len(self._head)
            self._file.seek(self._start + at)
            n = self._file.readinto(into[: max(0, min(len(into), self._size - at))])
        self._at += n
        return n


def _header(fmt: bytes, size: int) -> bytes:
    fmt += bytes(len(fmt) % 2)
    chunk = struct.pack("<4sI", b"fmt ", len(fmt)) + fmt
    if size < _WRAP - 1024:
        return (
            struct.pack("<4sI4s", b"RIFF", 4 + len(chunk) + 8 + size, b"WAVE")
            + chunk
            + struct.pack("<4sI", b"data", size)
        )
    sizes = struct.pack(
        "<4sIQQQI", b"ds64", 28, 4 + 36 + len(chunk) + 8 + size, size, size // max(_frame_bytes(fmt), 1), 0
    )
    return (
        struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE") + sizes + chunk + struct.pack("<4sI", b"data", 0xFFFFFFFF)
    )
