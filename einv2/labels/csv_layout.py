"""The layout of a table of annotations: its delimiter, header, columns and units, inferred from the whole file.

Most DCASE files have no header, and systems write them in many ways. ``parse`` finds the columns of one file by evidence (names in
a header, the number of columns, the range of every column, the length of vectors) and reports each decision that is not the usual
one as a note. Where the evidence allows two readings, the other one is ``Written.alternative``. ``Reading`` gives by hand what a
file does not determine. Columns:

    frame, or onset and offset     frames from 0; seconds
    class, name                    index into the class list, or a name of it
    track                          instance of a class, or output track
    azimuth, elevation             degrees; or x, y, z, a vector towards the source (x front, y left, z up)
    distance                       cm or m
    onscreen, confidence           ignored
"""

import csv
import io
import re
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
import pandas as pd

MAX_ROWS = 5_000_000
MAX_COLUMNS = 60  # of a file with a header
MAX_LINE = 10_000  # characters

UNITS = ("degrees", "radians", "cartesian")
DISTANCE_UNITS = ("cm", "m")
HEADER_2019 = ("sound_event_recording", "start_time", "end_time", "ele", "azi", "dist")
HEADER_2025 = ("frame", "class", "source", "azimuth", "distance", "onscreen")
EXPECTED = (
    "frame,class,track,azimuth,elevation (DCASE 2020 to 2022), with a distance (2023, 2024), DCASE 2019 events, or a header that "
    "names the columns"
)
ASK = "name them in a header line, or in order (--columns frame,class,...)"

POLAR = {
    4: ("frame", "class", "azimuth", "elevation"),
    5: ("frame", "class", "track", "azimuth", "elevation"),
    6: ("frame", "class", "track", "azimuth", "elevation", "distance"),
}
CARTESIAN = {
    5: ("frame", "class", "x", "y", "z"),
    6: ("frame", "class", "track", "x", "y", "z"),
    7: ("frame", "class", "track", "x", "y", "z", "distance"),
}
STEREO = ("frame", "class", "track", "azimuth", "distance", "onscreen")  # DCASE 2025
EVENTS_2019 = ("class", "onset", "offset", "elevation", "azimuth", "distance")

_SYNONYMS = {
    "frame": "frame frames frameindex frameidx frameid frameno framenumber framenum labelframe",
    "onset": "onset onsettime start starttime begin begintime from",
    "offset": "offset offsettime end endtime stop stoptime to",
    "class": "class classindex classidx classid classno classnumber event eventclass soundevent soundeventclass soundclass category "
    "activeclass activeclassindex classes",
    "name": "name classname label eventlabel eventname soundeventrecording soundeventlabel",
    "track": "track trackid trackindex trackidx trackno tracknumber tracknumberindex source sourceid sourceindex sourceidx "
    "sourceno sourcenumber sourcenumberindex instance instanceid instanceindex",
    "azimuth": "azimuth azi az azimuthangle azim",
    "elevation": "elevation ele el elev elevationangle",
    "x": "x posx xposition",
    "y": "y posy yposition",
    "z": "z posz zposition",
    "distance": "distance dist range sourcedistance",
    "onscreen": "onscreen isonscreen",
    "confidence": "confidence conf probability prob score",
}
_NAMES = {word: column for column, words in _SYNONYMS.items() for word in words.split()}
_IGNORED = {"", "index", "spread", "file", "filename", "clip", "unnamed0"}
_UNIT_WORDS = {
    "deg": "degrees", "degree": "degrees", "degrees": "degrees", "rad": "radians", "radians": "radians", "cm": "cm", "m": "m",
    "metres": "m", "meters": "m", "metre": "m", "meter": "m", "s": "s", "sec": "s", "seconds": "s",
}  # fmt: skip
_TEXT_COLUMNS = ("class", "name", "onscreen")
_MAY_BE_EMPTY = ("distance", "onscreen", "confidence")
_FLAGS = {"true": 1.0, "false": 0.0}
_MISSING = ("", "nan", "na", "n/a", "none", "null")  # in any case, in place of a number that may be empty
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DELIMITERS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}

_UNIT_NORM = 0.05  # the length of a unit vector is this near to 1
_VECTOR = 2.0  # coordinates of a network's vectors; angles of a whole file are hardly so small
_POSITION = 20.0  # metres
MOST_TRACKS = 20  # a larger number is an odd track number
NEAR_METRES = 20.0  # distances with decimals that are all smaller are metres
_NEAR_WHOLE_METRES = 15.0  # whole ones
_SMALL_ANGLES = 0.1  # radians, up to which it does not matter
_WIDE = np.pi  # azimuths over more than this are not degrees of a source that hardly moves


@dataclass(frozen=True)
class Reading:
    """How tables are written. None is inferred from the file.

    columns: names in order, "-" for one to ignore. units: "degrees", "radians", or "cartesian" (x, y, z). distance_unit: "cm" or
    "m". frame_ms: of a frame. first_frame: the number of the first frame. ValueError on anything else.
    """

    columns: tuple[str, ...] | None = None
    units: str | None = None
    distance_unit: str | None = None
    frame_ms: int | None = None
    first_frame: int | None = None

    def __post_init__(self):
        if self.columns is not None:
            named = [None if c.strip() == "-" else column_of(c)[0] for c in self.columns]
            if wrong := [c for c, n in zip(self.columns, named) if n is None and c.strip() != "-"]:
                raise ValueError(
                    f"{wrong[0]!r} is no column of a table: name {', '.join(_SYNONYMS)}, or - for one to read over"
                )
            if lacking := _lacking(named):
                raise ValueError(f"the columns {','.join(self.columns)} lack {lacking}")
        for value, choices, what in (
            (self.units, UNITS, "units"),
            (self.distance_unit, DISTANCE_UNITS, "unit of distance"),
        ):
            if value is not None and value not in choices:
                raise ValueError(f"{what} must be one of {', '.join(choices)}, not {value!r}")
        if self.frame_ms is not None and not 1 <= self.frame_ms <= 10_000:
            raise ValueError(f"a frame lasts 1 to 10000 ms, not {self.frame_ms}")
        if self.first_frame not in (None, 0, 1):
            raise ValueError(f"frames count from 0 or from 1, not from {self.first_frame}")


USUAL = Reading()


@dataclass(frozen=True)
class Written:
    """A table as it is in a file.

    rows: its known columns, numbers but for class names; lines: the number in the file of each row; columns: of the file, in
    order, None for one that is ignored. units: "degrees", "radians" or "cartesian"; distance_unit: None without distances.
    notes: unusual decisions. alternative: other columns that the file's values would fit as well.
    doubtful_distance: only the size of whole numbers decides the unit. doubtful_angles: only their size decides whether they are
    degrees or radians.
    """

    rows: pd.DataFrame
    lines: np.ndarray
    columns: tuple[str | None, ...]
    units: str
    distance_unit: str | None
    notes: tuple[str, ...]
    alternative: tuple[str, ...] | None = None
    doubtful_distance: bool = False
    doubtful_angles: bool = False

    @property
    def doubt(self) -> tuple[str, ...]:
        """Notes on the other columns, or the other unit of angles, that the values would also fit."""
        if self.alternative is None:
            return (SMALL_ANGLES[self.units],) if self.doubtful_angles else ()
        said = ", ".join(c for c in self.columns if c)
        return (f"Read as {said}; the values would fit {', '.join(self.alternative)} as well (--columns).",)


@dataclass(frozen=True)
class _Columns:
    """The columns of a file, and notes on them."""

    names: tuple[str | None, ...]
    notes: tuple[str, ...] = ()
    alternative: tuple[str, ...] | None = None
    units: str | None = None
    distance_unit: str | None = None


def column_of(field: str) -> tuple[str | None, str | None]:
    """(column, unit) of a name in a header, in any case and with any signs: ("distance", "m") of "Distance [m]". None if unknown."""
    words = re.findall(r"[a-z0-9]+", field.lower())
    unit = _UNIT_WORDS.get(words[-1]) if len(words) > 1 else None
    if unit and "".join(words) not in _NAMES:
        words = words[:-1]
    return _NAMES.get("".join(words)), unit


def decode(data: bytes, name: str) -> str:
    """The text of a file in UTF-8, UTF-16 with a byte order mark, or a Western code page. ValueError on anything else."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
    else:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = data.decode("cp1252", "replace")
    return checked_text(text, name)


def checked_text(text: str, name: str) -> str:
    if re.search(r"[\0-\x08\x0e-\x1f\ufffd]", text):
        raise ValueError(f"{name}: is not a text file; expected a CSV with the columns {EXPECTED}")
    return text.removeprefix("\ufeff")


def parse(text: str, name: str, reading: Reading = USUAL) -> Written | None:
    """The table in a text, None if it has no rows and no header. ValueError, one sentence that names the file and line."""
    lines, numbers = _lines(text)
    if len(lines) > MAX_ROWS:
        raise ValueError(f"{name}: has {len(lines)} rows, but at most {MAX_ROWS} are read")
    if not lines:
        return None
    if long := next((n for n, line in zip(numbers, lines) if len(line) > MAX_LINE), None):
        raise ValueError(f"{name}: line {long} has more than {MAX_LINE} characters; expected {EXPECTED}")
    delimiter = _delimiter(lines)
    header = _header(lines[0], delimiter)
    body = slice(1, None) if header else slice(None)
    values, texts = _cells(lines[body], numbers[body], delimiter, name)
    values, texts, header, trailing = _without_trailing(values, texts, header)
    if not header and reading.columns is None:
        _require_numbers(values, texts, numbers, name)
    if header and len(values) and values.shape[1] == len(header) + 1:  # names of rows stand before those of columns
        header = ["", *header]
    if header and len(values) and values.shape[1] != len(header):
        raise ValueError(
            f"{name}: line {numbers[1]} has {values.shape[1]} columns; expected {len(header)}, as in the header on line {numbers[0]}"
        )
    found = _columns(header, values, texts, reading, name, numbers[0])
    rows = _named(found.names, values, texts, numbers[body], name)
    notes = [*_delimiter_notes(delimiter, header, trailing, found), *found.notes]
    angles, doubtful_angles = _angle_unit(found, values, texts, reading.units)
    unit, doubtful, said = _distance_unit(rows, texts, reading.distance_unit or found.distance_unit)
    return Written(
        rows,
        np.array(numbers[body], np.int64),
        found.names,
        angles if "azimuth" in found.names else "cartesian",
        unit,
        (*notes, *said),
        found.alternative,
        doubtful,
        doubtful_angles,
    )


# Lines and fields


def _lines(text: str) -> tuple[list[str], list[int]]:
    """The lines that are neither blank nor comments, and their numbers in the file, from 1. A comment that names the columns counts as
    the header."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or (not kept and re.fullmatch(r"\s*\"?sep=.\"?\s*", line)):
            continue
        if line.lstrip().startswith(("#", "%", "//")):
            line = line.lstrip().lstrip("#%/ ")
            if kept or not _is_header(line):
                continue
        kept.append(line)
        numbers.append(number)
    return kept, numbers


def _is_header(line: str) -> bool:
    fields = re.split(r"[;\t,|]|\s{2,}", line) if re.search(r"[;\t,|]", line) else line.split()
    return not _lacking([column_of(field)[0] for field in fields])


def _delimiter(lines: list[str]) -> str:
    """Of the delimiters that give three or more columns, the one that leaves no other delimiter within a field; " " is any white
    space."""
    line = lines[min(1, len(lines) - 1)]
    counts = {d: len(line.split(d)) for d in _DELIMITERS if line.count(d) >= 2}
    for delimiter in counts:
        fields = [field.strip() for field in line.split(delimiter)]
        if not any(re.search(r"[;\t|]|\d\s+[-+.\d]", field) for field in fields):
            return delimiter
    if len(line.split()) >= 3 and all(_NUMBER.fullmatch(f.replace(",", ".")) for f in line.split()[:1]):
        return " "
    return max(counts, key=counts.__getitem__, default=",")


def _fields(line: str, delimiter: str) -> list[str]:
    if delimiter == " ":
        return line.split()
    if '"' not in line:
        return [field.strip() for field in line.split(delimiter)]
    return [field.strip() for field in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]


def _header(line: str, delimiter: str) -> list[str] | None:
    """The fields of a line of names; None if there is a number among them."""
    try:
        fields = _fields(line, delimiter)
    except csv.Error:
        return None
    return None if len(fields) < 2 or any(_NUMBER.fullmatch(field) for field in fields) else fields


def _cells(lines: list[str], numbers: list[int], delimiter: str, name: str) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """(values, texts) of the fields: values are NaN where a field is not a number; texts is None if all are numbers."""
    if delimiter == "," and (plain := _plain_numbers(lines)) is not None:
        return plain, None
    rows = []
    for number, line in zip(numbers, lines):
        try:
            fields = _fields(line, delimiter)
        except (csv.Error, StopIteration):
            raise ValueError(f"{name}: line {number} has an open quotation; expected {EXPECTED}") from None
        rows.append(fields)
        if len(fields) != len(rows[0]):
            raise ValueError(
                f"{name}: line {number} has {_count(fields)}; expected {len(rows[0])}, as on line {numbers[0]}"
            )
    texts = pd.DataFrame(rows, dtype=object)
    if delimiter != ",":
        texts = texts.map(lambda field: re.sub(r"^([+-]?\d*),(\d+)$", r"\1.\2", field))
    values, last = texts.map(_number).astype(float), texts.shape[1] - 1
    if last >= 4 and (flags := texts[last].str.lower()).isin([*_FLAGS, "0", "1"]).all() and flags.isin([*_FLAGS]).any():
        values[last] = flags.map(_FLAGS | {"0": 0.0, "1": 1.0})
    return values, texts


def _count(fields: list[str]) -> str:
    return "1 column" if len(fields) == 1 else f"{len(fields)} columns"


def _plain_numbers(lines: list[str]) -> pd.DataFrame | None:
    """The fast path: a table of numbers only; None for any other."""
    if not lines or lines[0].count(",") >= MAX_COLUMNS or '"' in lines[0]:
        return None
    width = lines[0].count(",")
    if any(line.count(",") != width for line in lines):
        return None
    try:
        raw = pd.read_csv(io.StringIO("\n".join(lines)), header=None, quoting=csv.QUOTE_NONE, low_memory=False)
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    if any(d.kind not in "if" for d in raw.dtypes) or not np.isfinite(raw.to_numpy(float)).all():
        return None
    return raw if np.abs(raw.to_numpy(float)).max() <= 1e12 else None


def _number(field: str) -> float:
    if not _NUMBER.fullmatch(field):
        return np.nan
    value = float(field)
    return value if abs(value) <= 1e12 else np.nan


def _without_trailing(values, texts, header) -> tuple[pd.DataFrame, pd.DataFrame | None, list[str] | None, bool]:
    """Without empty last columns, which a delimiter at the end of every line makes."""
    n = values.shape[1]
    while (
        texts is not None
        and n > 1
        and (texts[n - 1] == "").all()
        and not (header and header[n - 1 :][:1] not in ([], [""]))
    ):
        n -= 1
    if texts is None or n == values.shape[1]:
        return values, texts, header, False
    return values.iloc[:, :n], texts.iloc[:, :n], header and header[:n], True


# Columns


def _columns(header, values, texts, reading: Reading, name: str, line: int) -> _Columns:
    """By hand, by the header, or by the values."""
    if reading.columns is not None:
        named = tuple(None if c.strip() == "-" else column_of(c)[0] for c in reading.columns)
        if len(values) and values.shape[1] != len(named):
            raise ValueError(
                f"{name}: has {values.shape[1]} columns, but {len(named)} are named: {','.join(reading.columns)}"
            )
        unit = next((u for c, u in map(column_of, reading.columns) if c == "distance" and u in DISTANCE_UNITS), None)
        return _Columns(named, distance_unit=unit)
    if header:
        return _columns_of_header(header, texts, name, line)
    width = values.shape[1]
    if reading.units is not None:
        known = CARTESIAN if reading.units == "cartesian" else POLAR
        if width not in known:
            raise ValueError(f"{name}: has {width} columns, which is no table of {reading.units}; {ASK}")
        return _Columns(known[width])
    if width == 6 and values[0].isna().all():
        return _Columns(EVENTS_2019, ("Read as events of DCASE 2019 without their header.",), None, None, "m")
    decide = {4: _four, 5: _five, 6: _six, 7: _seven}.get(width)
    if decide is None:
        raise ValueError(f"{name}: line {line} has {_count(list(values))}; expected {EXPECTED}")
    found = decide(_Evidence(values, texts))
    if found is None:
        raise ValueError(f"{name}: its {width} columns cannot be told apart by their values; {ASK}")
    return found


def _columns_of_header(header: list[str], texts, name: str, line: int) -> _Columns:
    named = [column_of(field) for field in header]
    columns = [column for column, _ in named]
    spoken = ",".join(header)
    spoken = spoken if len(spoken) <= 60 else spoken[:57] + "..."
    if twice := next((c for c in columns if c and columns.count(c) > 1), None):
        raise ValueError(f"{name}: line {line} is the header {spoken!r}, which has two columns {twice}; {ASK}")
    if lacking := _lacking(columns):
        raise ValueError(f"{name}: line {line} is the header {spoken!r}, which lacks {lacking}; {ASK}")
    _require_one_file(header, texts, name)
    units = {column: unit for column, unit in named if column}
    plain = tuple(header) in (HEADER_2019, HEADER_2025)
    used = ", ".join(c for c in columns if c and c not in ("onscreen", "confidence"))
    notes = [] if plain else [f"Columns by their header: {used}."]
    unknown = [
        f for f, c in zip(header, columns) if c is None and "".join(re.findall("[a-z0-9]", f.lower())) not in _IGNORED
    ]
    if unknown:
        notes.append(f"Columns not used: {', '.join(unknown)[:60]}.")
    if "x" not in columns and "elevation" not in columns:
        notes.append(NO_ELEVATION)
    metres = "m" if sorted(f.lower() for f in header) == sorted(HEADER_2019) else None
    distance = units.get("distance") if units.get("distance") in DISTANCE_UNITS else metres
    angles = next((u for u in ("radians", "degrees") if u in (units.get("azimuth"), units.get("elevation"))), None)
    return _Columns(tuple(columns), tuple(notes), None, angles, distance)


NO_ELEVATION = "Without elevations (DCASE 2025); these are taken as 0."


def _lacking(columns) -> str | None:
    """What is required and missing in a table, or None."""
    there = {*columns}
    if "frame" not in there and not {"onset", "offset"} <= there:
        return "frames (or onsets and offsets)"
    if not there & {"class", "name"}:
        return "classes"
    return None if "azimuth" in there or {"x", "y", "z"} <= there else "azimuths (or x, y, z)"


def _require_one_file(header: list[str], texts, name: str) -> None:
    """ValueError if a column of file names has several."""
    for k, field in enumerate(header):
        if texts is not None and field.strip().lower() in ("file", "filename") and texts[k].nunique() > 1:
            raise ValueError(f"{name}: has rows of {texts[k].nunique()} files (column {field}); give one table a clip")


@dataclass(frozen=True)
class _Evidence:
    """What the values of a file imply."""

    values: pd.DataFrame
    texts: pd.DataFrame | None

    def of(self, *columns: int) -> np.ndarray:
        return self.values.iloc[:, list(columns)].to_numpy(float)

    def pointed(self, *columns: int) -> bool:
        """Whether a field is written with a decimal point."""
        if self.texts is None:
            return any(self.values.dtypes.iloc[c].kind == "f" for c in columns)
        return any(self.texts.iloc[:, c].str.contains(".", regex=False).any() for c in columns)

    def largest(self, *columns: int) -> float:
        return float(np.nanmax(np.abs(self.of(*columns)), initial=0))

    def unit_vectors(self, *columns: int) -> bool:
        lengths = np.linalg.norm(self.of(*columns), axis=1)
        return bool((np.abs(lengths - 1) <= _UNIT_NORM).all())

    def counts(self, column: int) -> bool:
        """Whether it may be track numbers: whole, below 100, not negative except -1, an unknown track."""
        values = self.of(column)
        return bool(((values >= -1) & (values < 100) & (values == np.floor(values))).all())

    def flags(self, column: int) -> bool:
        return bool(np.isin(self.of(column), (0, 1)).all())

    def not_negative(self, column: int) -> bool:
        return bool((self.of(column) >= 0).all())

    def odd_tracks(self) -> tuple[str, ...]:
        if self.largest(2) <= MOST_TRACKS:
            return ()
        return (
            "The third column has numbers above 20; read as track numbers, if they are azimuths name the columns (--columns).",
        )


SMALL_ANGLES = {
    "degrees": "Read as degrees, though no azimuth is beyond 6.28 and no elevation beyond 1.57, as in radians (--units).",
    "radians": "Read as radians, since no azimuth is beyond 6.28 and no elevation beyond 1.57 (--units).",
}
METRES = "The distances are so small that they are read as metres, not cm."
VECTORS = "Read as vectors x, y, z (Cartesian: x front, y left, z up), not as degrees."
NOT_NORMALISED = "The vectors x, y, z are not of length 1; only their direction is used."


def _cartesian(evidence: _Evidence, names: tuple[str, ...], alternative=None) -> _Columns:
    first = names.index("x")
    unit = evidence.unit_vectors(first, first + 1, first + 2)
    return _Columns(names, (VECTORS,) if unit else (VECTORS, NOT_NORMALISED), alternative)


def _four(evidence: _Evidence) -> _Columns:
    return _Columns(POLAR[4])


def _five(evidence: _Evidence) -> _Columns | None:
    unit, pointed, largest = evidence.unit_vectors(2, 3, 4), evidence.pointed(2, 3, 4), evidence.largest(2, 3, 4)
    if unit and pointed:
        return _cartesian(evidence, CARTESIAN[5])
    if evidence.counts(2):
        return _Columns(POLAR[5], evidence.odd_tracks(), CARTESIAN[5] if unit and len(evidence.values) else None)
    if largest <= _VECTOR or (largest <= _POSITION and not evidence.not_negative(4)):
        return _cartesian(evidence, CARTESIAN[5])
    angles = evidence.largest(2) <= 360 and evidence.largest(3) <= 90
    if evidence.not_negative(4) and angles and evidence.largest(2) > _POSITION and not evidence.flags(4):
        is_share = evidence.pointed(4) and 0 < evidence.largest(4) <= 1
        last = ("confidence", "distance") if is_share else ("distance",)
        names, *other = (("frame", "class", "azimuth", "elevation", column) for column in last)
        said = f"Read as {', '.join(names)}: the third column is no track number."
        return _Columns(names, (said,), other[0] if other else None)
    return None


def _six(evidence: _Evidence) -> _Columns | None:
    pointed, largest = evidence.pointed(3, 4, 5), evidence.largest(3, 4, 5)
    if not evidence.counts(2):
        if evidence.unit_vectors(2, 3, 4) and evidence.not_negative(5):
            return _cartesian(evidence, ("frame", "class", "x", "y", "z", "distance"))
        return None
    if evidence.unit_vectors(3, 4, 5) and pointed:
        return _cartesian(evidence, CARTESIAN[6])
    if pointed and evidence.pointed(3, 4) and largest <= _VECTOR:
        return _cartesian(evidence, CARTESIAN[6], POLAR[6] if evidence.not_negative(5) else None)
    if pointed and not evidence.not_negative(5) and largest <= _POSITION:
        return _cartesian(evidence, CARTESIAN[6])
    if evidence.unit_vectors(3, 4, 5) and len(evidence.values):
        return _Columns(POLAR[6], evidence.odd_tracks(), CARTESIAN[6])
    if evidence.flags(5) and evidence.not_negative(4):
        return _stereo_or_not(evidence)
    return _Columns(POLAR[6], evidence.odd_tracks())


def _stereo_or_not(evidence: _Evidence) -> _Columns:
    """Of a last column of zeros and ones: the on-screen flags of 2025, unless all may be distances that are not known."""
    beyond = evidence.largest(4) > 90
    if evidence.largest(5) > 0 or beyond:
        said = f"Read as DCASE 2025: {', '.join(STEREO)}."
        return _Columns(STEREO, (said, NO_ELEVATION) if beyond else (NO_ELEVATION,), None if beyond else POLAR[6])
    return _Columns(
        POLAR[6], evidence.odd_tracks(), STEREO if (evidence.of(4) > 0).all() and len(evidence.values) else None
    )


def _seven(evidence: _Evidence) -> _Columns | None:
    unit, largest = evidence.unit_vectors(3, 4, 5), evidence.largest(3, 4, 5)
    if unit or (evidence.pointed(3, 4, 5) and largest <= _VECTOR):
        return _cartesian(evidence, CARTESIAN[7])
    empty = np.isnan(evidence.of(5)).all()
    angles = evidence.counts(2) and evidence.largest(3) <= 360 and evidence.largest(4) <= 90
    if angles and (empty or evidence.not_negative(5)) and ((evidence.of(6) >= 0) & (evidence.of(6) <= 1)).all():
        names = (*POLAR[6], "onscreen" if evidence.flags(6) else "confidence")
        return _Columns(names, (f"Read as {', '.join(names)}.",))
    if evidence.pointed(3, 4, 5) and largest <= _POSITION:
        return _cartesian(evidence, CARTESIAN[7])
    return None


# Values


def _require_numbers(values: pd.DataFrame, texts, numbers: list[int], name: str) -> None:
    """ValueError for the first field that is not a number, except class names and empty fields in last columns."""
    if texts is None or not len(values) or values.shape[1] not in (4, 5, 6, 7):
        return
    bad = values.isna().to_numpy(copy=True)
    if bad[:, 0].all() and values.shape[1] == 6:  # events of 2019
        bad[:, 0] = False
    elif bad.shape[1] > 1:
        bad[:, 1] &= (texts[1] == "").to_numpy()
    for k in range(5, bad.shape[1]):  # distance, confidence
        bad[:, k] &= ~texts[k].str.lower().isin(_MISSING).to_numpy()
    if bad.any():
        row, k = map(int, np.argwhere(bad)[0])
        _refuse_field(texts.iloc[row, k], numbers[row], name)


def _named(names, values, texts, numbers: list[int], name: str) -> pd.DataFrame:
    """The known columns. ValueError for the first invalid field."""
    bad = np.zeros(values.shape, bool)
    for k, column in enumerate(names[: values.shape[1]]):
        if texts is None or column is None or column in _TEXT_COLUMNS:
            continue
        empty = texts[k].str.lower().isin(_MISSING).to_numpy() & (column in _MAY_BE_EMPTY)
        bad[:, k] = np.isnan(values[k].to_numpy(float)) & ~empty
    if bad.any():
        row, k = map(int, np.argwhere(bad)[0])
        _refuse_field(texts.iloc[row, k], numbers[row], name)
    rows = {}
    for k, column in enumerate(names):
        if column is None or column == "onscreen":
            continue
        named = (
            texts is not None and column in _TEXT_COLUMNS and len(values) and np.isnan(values[k].to_numpy(float)).any()
        )
        rows[column] = (texts if named else values)[k].to_numpy() if k in values else np.zeros(0)
    return pd.DataFrame(rows)


def _refuse_field(field: str, line: int, name: str) -> NoReturn:
    what = f"{(field if len(field) <= 60 else field[:57] + '...')!r} on line {line} is not a number" if field else None
    raise ValueError(f"{name}: {what or f'line {line} has an empty field'}; expected {EXPECTED}")


def _delimiter_notes(delimiter: str, header, trailing: bool, found: _Columns) -> list[str]:
    notes = []
    if delimiter != ",":
        notes.append(f"Columns separated by {_DELIMITERS.get(delimiter, 'white space')}.")
    if trailing and not header:
        notes.append(f"Every line ends with an empty field; read as {', '.join(c for c in found.names if c)}.")
    return notes


def _angle_unit(found: _Columns, values: pd.DataFrame, texts, given: str | None) -> tuple[str, bool]:
    """(degrees or radians, in doubt): as given, or by the size of the angles."""
    if given in ("degrees", "radians") or found.units or "azimuth" not in found.names or not len(values):
        return (given if given in ("degrees", "radians") else found.units) or "degrees", False
    evidence = _Evidence(values, texts)
    azimuth, *elevation = (found.names.index(c) for c in ("azimuth", "elevation") if c in found.names)
    largest = evidence.largest(azimuth), evidence.largest(*elevation) if elevation else 0.0
    fits = largest[0] <= 2 * np.pi + 0.01 and largest[1] <= np.pi / 2 + 0.01 and max(largest) > _SMALL_ANGLES
    if not fits or not evidence.pointed(azimuth, *elevation):
        return "degrees", False
    return "radians" if np.ptp(evidence.of(azimuth)) > _WIDE else "degrees", True


def _distance_unit(rows: pd.DataFrame, texts, given: str | None) -> tuple[str | None, bool, tuple[str, ...]]:
    """(unit, in doubt, notes): as given, or by the size of the distances."""
    if "distance" not in rows:
        return None, False, ()
    distance = rows["distance"].to_numpy(float)
    known = distance[distance > 0]
    if given or not len(known):
        return given or "cm", False, ()
    decimals = bool((known != np.floor(known)).any())
    if known.max() > (NEAR_METRES if decimals else _NEAR_WHOLE_METRES):
        return "cm", False, ()
    return "m", not decimals, (METRES,)
