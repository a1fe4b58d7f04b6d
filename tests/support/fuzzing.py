"""Files that are wrong on purpose: seeded mutations of whole ones, and what a reader may make of them."""

import contextlib
import faulthandler
import io
import json
import os
import random
import signal
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

SECONDS = 5  # that a case may take
LONGEST = 300  # characters of a sentence
TEMPORARY = tempfile.gettempdir()
GROWTH_BYTES = 80 * 2**20  # of the process, over thousands of cases
WORDS = [b"\0", b"\xff", b"\r\n", b",", b"-", b'"', b"NaN", b"1e999", b"<b>", b"\xef\xbb\xbf", "é".encode(), b"../../x"]

FIELDS = [
    b"",
    b" ",
    b"-1",
    b"0",
    b"1",
    b"13",
    b"14",
    b"359",
    b"-180",
    b"6048001",
    b"1e5",
    b"0.5",
    b"-0.0",
    b"nan",
    b"-inf",
]
FIELDS += [
    b"1_0",
    b"0x10",
    b"True",
    b"None",
    b"1;2",
    b'"1"',
    b'"',
    b"9" * 30,
    b"9" * 400,
    b"1e400",
    b"<b>x</b>",
    "١".encode(),
]


def integers(n_bytes: int, order: str = "little") -> list[bytes]:
    """The numbers at which counting in so many bytes goes wrong."""
    top = 1 << 8 * n_bytes
    values = {0, 1, 2, 3, 255, 65535, top // 2 - 1, top // 2, top // 2 + 1, top - 2, top - 1, top // 4, top // 8}
    return [value.to_bytes(n_bytes, order) for value in sorted(values) if value < top]


# Any bytes


def flipped(content: bytes, draw: random.Random) -> bytes:
    out = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 8))):
        out[draw.randrange(len(out))] ^= 1 << draw.randrange(8)
    return bytes(out)


def overwritten(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    new = draw.randbytes(draw.choice((1, 2, 4, 64)))
    return content[:at] + new + content[at + len(new) :]


def with_integer(content: bytes, draw: random.Random) -> bytes:
    at, new = (
        draw.randrange(len(content)),
        draw.choice(integers(draw.choice((1, 2, 4, 8)), draw.choice(("little", "big")))),
    )
    return content[:at] + new + content[at + len(new) :]


def truncated(content: bytes, draw: random.Random) -> bytes:
    return content[: draw.randrange(len(content))]


def doubled(content: bytes, draw: random.Random) -> bytes:
    start, end = sorted(draw.randrange(len(content)) for _ in range(2))
    return content[:end] + content[start:end] * draw.choice((1, 1, 3)) + content[end:]


def without_part(content: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(content))
    return content[:start] + content[start + draw.randrange(1, 200) :]


def spliced(content: bytes, draw: random.Random) -> bytes:
    """A part of it stands in another place."""
    start, to = draw.randrange(len(content)), draw.randrange(len(content))
    part = content[start : start + draw.randrange(1, 500)]
    return content[:to] + part + content[to + draw.choice((0, len(part))) :]


def with_word(content: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(content))
    return content[:at] + draw.choice(WORDS) + content[at + draw.choice((0, 1)) :]


ANY = (flipped, overwritten, with_integer, truncated, doubled, without_part, spliced, with_word)


def with_field(content: bytes, draw: random.Random) -> bytes:
    """A field of a CSV is another."""
    lines = content.split(b"\n")
    n = draw.randrange(len(lines))
    fields = lines[n].split(b",")
    fields[draw.randrange(len(fields))] = draw.choice(FIELDS)
    lines[n] = b",".join(fields)
    return b"\n".join(lines)


def with_column(content: bytes, draw: random.Random) -> bytes:
    """Every row of a CSV has a column more, less, or in another place."""
    what, to, new = draw.randrange(3), draw.randrange(8), draw.choice(FIELDS)
    rows = []
    for line in content.split(b"\n"):
        fields = line.split(b",")
        moved = new if what == 0 else fields.pop(to % len(fields))
        rows.append(b",".join(fields if what == 1 else [*fields[:to], moved, *fields[to:]]))
    return b"\n".join(rows)


def mutated(content: bytes, draw: random.Random, ways: tuple = ANY, head: int | None = None) -> bytes:
    """One to three mutations; of the first ``head`` bytes only, if that is given."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        rest = b"" if head is None else content[head:]
        content = (draw.choice(ways)(content[:head], draw) or b"\0") + rest
    return content


# Parts of a container, and numbers in them


def shuffled_parts(parts: list, draw: random.Random) -> list:
    """A part is gone, doubled, or stands elsewhere."""
    parts = list(parts)
    at, to = draw.randrange(len(parts)), draw.randrange(len(parts))
    what = draw.randrange(4)
    if what == 0:
        del parts[at]
    elif what == 1:
        parts.insert(to, parts[at])
    elif what == 2:
        parts[at], parts[to] = parts[to], parts[at]
    else:
        parts[to:to] = [parts[at]] * 50
    return parts


def riff(content: bytes, draw: random.Random) -> bytes:
    """The chunks of a WAV in another order, with other names, sizes and fields."""
    chunks, at = [], 12
    while at + 8 <= len(content):
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        chunks.append((content[at : at + 4], content[at + 4 : at + 8], content[at + 8 : at + 8 + size + size % 2]))
        at += 8 + size + size % 2
    what = draw.randrange(4)
    n = draw.randrange(len(chunks))
    kind, size, body = chunks[n]
    if what == 0:
        chunks = shuffled_parts(chunks, draw)
    elif what == 1:
        chunks[n] = kind, draw.choice(integers(4)), body
    elif what == 2:
        kinds = (b"data", b"fmt ", b"fact", b"LIST", b"ds64", b"bext", b"cue ", b"smpl", b"PEAK", b"id3 ", b"\0\0\0\0")
        chunks[n] = draw.choice(kinds), size, body
    else:
        chunks[0] = kind, size, mutated(chunks[0][2] or b"\0", draw, (flipped, with_integer))
    start = content[:12] if draw.random() < 0.8 else mutated(content[:12], draw)
    return start + b"".join(b"".join(chunk) for chunk in chunks)


def flac(content: bytes, draw: random.Random) -> bytes:
    """The metadata blocks of a FLAC file in another order, with other kinds, sizes and fields."""
    blocks, at, last = [], 4, False
    while not last and at + 4 <= len(content):
        last, size = bool(content[at] & 0x80), int.from_bytes(content[at + 1 : at + 4], "big")
        blocks.append((content[at : at + 1], content[at + 1 : at + 4], content[at + 4 : at + 4 + size]))
        at += 4 + size
    what = draw.randrange(4)
    n = draw.randrange(len(blocks))
    kind, size, body = blocks[n]
    if what == 0:
        blocks = shuffled_parts(blocks, draw)
    elif what == 1:
        blocks[n] = kind, draw.choice(integers(3, "big")), body
    elif what == 2:
        blocks[n] = draw.randbytes(1), size, body
    else:  # rate, channels, bits, samples: the numbers that matter stand in bytes 10 to 17
        info = bytearray(blocks[0][2])
        for _ in range(draw.choice((1, 2))):
            info[draw.choice((*range(10), *(2 * [*range(10, 18)])))] = draw.choice(
                (0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256))
            )
        blocks[0] = blocks[0][0], blocks[0][1], bytes(info)
    return content[:4] + b"".join(b"".join(block) for block in blocks) + content[at:]


def ogg(content: bytes, draw: random.Random) -> bytes:
    """The pages of an OGG file in another order, with other fields, tables and packets; mostly with checksums that fit."""
    pages = [b"OggS" + page for page in content.split(b"OggS")[1:]]
    what = draw.randrange(5)
    if what == 0:
        pages = shuffled_parts(pages, draw)
    elif what < 3:
        n = draw.randrange(len(pages))
        start, size = draw.choice(((4, 1), (5, 1), (6, 8), (14, 4), (18, 4), (26, 1)))
        pages[n] = pages[n][:start] + draw.choice(integers(size)) + pages[n][start + size :]
    else:
        n = draw.randrange(min(3, len(pages)))
        at = draw.randrange(27, len(pages[n]))
        pages[n] = pages[n][:at] + mutated(pages[n][at:], draw, (flipped, overwritten, with_integer))
    return b"".join(map(_with_checksum, pages) if draw.random() < 0.8 else pages)


def _crc_table(bits: int, polynomial: int) -> list[int]:
    top, table = 1 << (bits - 1), []
    for byte in range(256):
        value = byte << (bits - 8)
        for _ in range(8):
            value = (value << 1) ^ polynomial if value & top else value << 1
        table.append(value & ((1 << bits) - 1))
    return table


_OGG_TABLE, _FLAC_TABLE_8, _FLAC_TABLE_16 = _crc_table(32, 0x04C11DB7), _crc_table(8, 0x07), _crc_table(16, 0x8005)


def _crc(content: bytes, table: list[int], bits: int) -> int:
    value, shift, mask = 0, bits - 8, (1 << bits) - 1
    for byte in content:
        value = ((value << 8) & mask) ^ table[(value >> shift) ^ byte]
    return value


def _with_checksum(page: bytes) -> bytes:
    page = page[:22] + bytes(4) + page[26:]
    return page[:22] + struct.pack("<I", _crc(page, _OGG_TABLE, 32)) + page[26:]


# FLAC of silence, made by hand: four constant subframes take 14 bytes a channel's 65535 samples


def flac_frame(number: int, block: int = 65535, draw: random.Random | None = None) -> bytes:
    """A frame of silence in 4 channels of 16 bits; ``draw`` changes its fields, and the checksums fit all the same."""
    head = b"\xff\xf8\x70\x38" + chr(number).encode("utf-8", "surrogatepass") + struct.pack(">H", block - 1)
    body = 4 * b"\0\0\0"
    if draw:
        head = head[:2] + mutated(head[2:], draw, (flipped, with_integer))
        body = mutated(body, draw, (flipped, overwritten, doubled))
    head += bytes([_crc(head, _FLAC_TABLE_8, 8)])
    return head + body + struct.pack(">H", _crc(head + body, _FLAC_TABLE_16, 16))


def silent_flac(
    seconds: float, rate: int = 24000, promised: int | None = None, draw: random.Random | None = None
) -> bytes:
    """Silence of whole frames of 65535 samples. promised: the samples that the header gives, if not those that follow."""
    n = -(-round(seconds * rate) // 65535)
    promised = n * 65535 if promised is None else promised
    info = (
        struct.pack(">HH", 65535, 65535)
        + bytes(6)
        + ((rate << 44) | (3 << 41) | (15 << 36) | promised).to_bytes(8, "big")
    )
    frames = b"".join(flac_frame(number, draw=draw) for number in range(n))
    return b"fLaC\x80" + struct.pack(">I", 34)[1:] + info + bytes(16) + frames


# What a reader may make of them


class TooSlow(BaseException):
    """Not an Exception: what is tested must not catch it."""


@contextlib.contextmanager
def _limited_time() -> Iterator[None]:
    """TooSlow after ``SECONDS``; a call that does not even come back into Python ends the process with its stack."""

    def stop(*_):
        raise TooSlow

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    faulthandler.dump_traceback_later(12 * SECONDS, exit=True)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Without what measures coverage: it makes loops five times slower, and the time of a case is the library's own."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)


def require_sentence(message: str) -> None:
    assert message.isprintable() and len(message) <= LONGEST, f"no sentence: {message[:2000]!r}"


def outcome(read: Callable[[], object], name: str) -> str | None:
    """None if there is a result, else the sentence. AssertionError if it is none, or says more than it should of the machine."""
    began = time.monotonic()
    try:
        with _untraced(), _limited_time():
            read()
        message = None
    except (ValueError, OSError) as error:
        message = str(error)
        require_sentence(message)
        assert name in message, f"does not name {name}: {message}"
        assert TEMPORARY not in message, f"names a path of the machine: {message}"
    except TooSlow:
        raise AssertionError(f"takes more than {SECONDS} s") from None
    assert time.monotonic() - began < SECONDS
    return message


def refusals(cases: Iterator[bytes], path: Path, read: Callable[[Path], object]) -> list[str | None]:
    """The outcome of each content, written to ``path``. AssertionError with the content's number; the file is left to look at."""
    found = []
    before = resident_bytes()
    with only_in(path.parent):
        for number, content in enumerate(cases):
            path.write_bytes(content)
            try:
                found.append(outcome(lambda: read(path), path.name))
            except BaseException as error:
                raise AssertionError(f"case {number}, {path.name} of {len(content)} bytes: {error!r}") from error
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert resident_bytes() - before < GROWTH_BYTES
    return found


def resident_bytes() -> int:
    if not (statm := Path("/proc/self/statm")).exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


_folder: Path | None = None  # that files may be written in at this moment
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_NEVER = (
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "subprocess.Popen",
    "socket.connect",
    "os.remove",
    "os.rename",
    "os.mkdir",
)


def _watch(event: str, arguments: tuple) -> None:
    """An audit hook, which stays for the life of the process: it looks only inside ``only_in``."""
    if _folder is None:
        return
    if event == "open" and isinstance(arguments[0], (str, bytes)) and arguments[2] & _WRITING:
        inside = Path(os.fsdecode(arguments[0])).resolve().is_relative_to(_folder)
        assert inside or arguments[0] == os.devnull, f"writes {arguments[0]!r}"
    assert event not in _NEVER, f"{event} {arguments}"


@contextlib.contextmanager
def only_in(folder: Path) -> Iterator[None]:
    """AssertionError where Python code writes a file outside of ``folder``, removes one, or starts a process."""
    global _folder
    if not getattr(sys, "_einv2_watched", False):
        sys._einv2_watched = True
        sys.addaudithook(_watch)
    _folder = folder.resolve()
    try:
        yield
    finally:
        _folder = None


# JSON and archives


VALUES = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**400,
    -0.5,
    1e308,
    "",
    "<script>alert(1)</script>",
    "a\nb",
    "x" * 5000,
    [],
    {},
    [[]],
)
VALUES += ("F4", "F8_E5M2", "BOOL", "I8", "I64", "C64", [2, 2], [1 << 40, 1 << 40], [0] * 70)
VALUES += ([1] * 5000, {"x" * 5000: 1}, float("nan"), float("inf"), "\ud800", "../../x")


def mutated_json(value, draw: random.Random):
    """The same with one or two values replaced, removed, doubled or renamed, anywhere in it; JSON within strings too."""
    for _ in range(draw.choice((1, 1, 1, 2))):
        value = _json_step(value, draw)
    return value


def _json_step(value, draw: random.Random):
    if isinstance(value, str) and value[:1] == "{" and draw.random() < 0.9:
        return json.dumps(_json_step(json.loads(value), draw))
    if not isinstance(value, (dict, list)) or not value or draw.random() < 0.1:
        return draw.choice(VALUES)
    out = value.copy()
    key = draw.choice(list(out)) if isinstance(out, dict) else draw.randrange(len(out))
    what = draw.random()
    if what < 0.1:
        del out[key]
    elif what < 0.2 and isinstance(out, dict):
        out[draw.choice(("", "x" * 5000, "a\nb", *out))] = out.pop(key)
    elif what < 0.2:
        out *= draw.choice((2, 500))
    else:
        out[key] = _json_step(out[key], draw)
    return out


def zipped(content: bytes, draw: random.Random) -> bytes:
    """A zip archive with one member mutated or gone, and checksums that fit."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info, archive.read(info)) for info in archive.infolist()]
    n = next(k for k, (info, _) in enumerate(members) if info.filename.endswith(".pkl"))
    n = n if draw.random() < 0.8 else draw.randrange(len(members))
    if draw.random() < 0.05:
        del members[n]
    else:
        members[n] = members[n][0], mutated(members[n][1] or b"\0", draw)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, data in members:
            archive.writestr(info.filename, data)
    return out.getvalue()
