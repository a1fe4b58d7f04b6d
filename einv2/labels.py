"""Annotations: DCASE metadata of 2019 to 2024 in and out, events, and the arrays that a network is trained on.

A *frame table* is a pandas DataFrame with one row per sounding source and 100 ms frame, sorted by frame:

    frame      int    from 0
    class      int    index into the class list
    track      int    instance number in a reference, output track in an estimate
    azimuth    float  degrees, [-180, 180), counter-clockwise from the front
    elevation  float  degrees, [-90, 90], up
    distance   float  cm, NaN where the file has none

An *event table* has one row per event: class, track, onset and offset (seconds), azimuth, elevation (degrees, of the mean
direction) and confidence (mean probability, NaN for a reference). Beside them stand name (of the class), distance (mean,
cm) and spread (mean angular distance from the mean direction, degrees: 0 for a source that stands still).

The formats, as the DCASE task pages of each year describe them; only that of 2019 has a header:

    dcase2019         sound_event_recording, start_time, end_time (s), ele, azi (degrees), dist (m): one row per event
    dcase2020         frame, class, track, azimuth, elevation; also 2021 and 2022
    dcase2020_output  frame, class, azimuth, elevation
    dcase2024         frame, class, source, azimuth, elevation, distance (cm); also 2023
    cartesian         frame, class, x, y, z; or with a source before x; or with that and a distance (cm) after z
"""

import csv
import functools
import io
import math
import os
import re
from pathlib import Path
from typing import NoReturn

import numpy as np
import pandas as pd

from . import geometry
from .config import LABEL_FRAME_MS, LABEL_FRAMES_PER_SECOND, MAX_SECONDS, one_line
from .files import replacing

DCASE2019_CLASSES = (
    "knock", "drawer", "clear throat", "phone", "keys drop", "speech", "keyboard", "page turn", "cough", "door slam",
    "laughter",
)  # fmt: skip
DCASE2020_CLASSES = (
    "alarm", "crying baby", "crash", "barking dog", "running engine", "female scream", "female speech", "burning fire",
    "footsteps", "knocking on door", "male scream", "male speech", "ringing phone", "piano",
)  # fmt: skip
DCASE2021_CLASSES = (
    "alarm", "crying baby", "crash", "barking dog", "female scream", "female speech", "footsteps", "knocking on door",
    "male scream", "male speech", "ringing phone", "piano",
)  # fmt: skip
DCASE2022_CLASSES = (
    "female speech", "male speech", "clapping", "telephone", "laughter", "domestic sounds", "walk, footsteps",
    "door, open or close", "music", "musical instrument", "water tap, faucet", "bell", "knock",
)  # fmt: skip
CLASS_LISTS = {
    "dcase2019": DCASE2019_CLASSES,
    "dcase2020": DCASE2020_CLASSES,
    "dcase2021": DCASE2021_CLASSES,
    "dcase2022": DCASE2022_CLASSES,
    "dcase2023": DCASE2022_CLASSES,
    "dcase2024": DCASE2022_CLASSES,
}
FRAME_COLUMNS = ("frame", "class", "track", "azimuth", "elevation", "distance")

EVENT_COLUMNS = (
    "class", "name", "track", "onset", "offset", "azimuth", "elevation", "distance", "spread", "confidence",
)  # fmt: skip

MOST_CLASSES = 1000  # of a file whose class list is not known yet
MAX_BYTES = 50_000_000
MAX_ROWS = 5_000_000
MAX_EVENT_FRAMES = 1_000_000  # that the events of a file of 2019 last in all: 28 hours, from a few bytes
MAX_FRAME = MAX_SECONDS * LABEL_FRAMES_PER_SECOND  # beyond it a typing error would cost gigabytes downstream

_DCASE2019_HEADER = ("sound_event_recording", "start_time", "end_time", "ele", "azi", "dist")
_EXPECTED = (
    "frame,class,track,azimuth,elevation (DCASE 2020 to 2022), with a distance (2023, 2024), or DCASE 2019 events"
)
_COLUMNS = {
    "dcase2020_output": ("frame", "class", "azimuth", "elevation"),
    "dcase2020": ("frame", "class", "track", "azimuth", "elevation"),
    "dcase2024": ("frame", "class", "track", "azimuth", "elevation", "distance"),
}
_CARTESIAN_COLUMNS = {
    5: ("frame", "class", "x", "y", "z"),
    6: ("frame", "class", "track", "x", "y", "z"),
    7: ("frame", "class", "track", "x", "y", "z", "distance"),
}
_MAX_COLUMNS = 7
_WRITE_COLUMNS = {
    "dcase2020": _COLUMNS["dcase2020"],
    "dcase2020_output": _COLUMNS["dcase2020_output"],
    "dcase2021": _COLUMNS["dcase2020"],
    "dcase2022": _COLUMNS["dcase2020"],
    "dcase2023": _COLUMNS["dcase2024"],
    "dcase2024": _COLUMNS["dcase2024"],
}
WRITE_FORMATS = ("dcase2019", *_WRITE_COLUMNS, "cartesian")


def empty_table() -> pd.DataFrame:
    """A frame table without rows, with the right columns and types."""
    return _frame_table({name: np.zeros(0) for name in FRAME_COLUMNS})


def detect_format(text_or_rows) -> str:
    """The format of a CSV, given as its text or as a sequence of rows of fields: a name of the module's docstring.

    Told apart by the header and the number of columns. Columns of coordinates are cartesian when all of their values lie in
    [-1, 1] and some are written with a decimal point: degrees are whole numbers in every DCASE format. A CSV without rows is
    "dcase2020". ValueError where no format fits.
    """
    if not isinstance(text_or_rows, str):
        text_or_rows = "\n".join(",".join(map(str, row)) for row in text_or_rows)
    lines, numbers = _lines(text_or_rows)
    if not lines:
        return "dcase2020"
    if _is_2019_header(lines[0]):
        return "dcase2019"
    return _numeric_format(_parse_numbers(lines, numbers, "the table"))


def read_csv(
    path_or_buffer, classes=DCASE2020_CLASSES, name: str | None = None, as_written: bool = False
) -> pd.DataFrame:
    """The frame table of a CSV in any of the formats of the module's docstring.

    path_or_buffer: a path, or an open file of text or of bytes. classes: the names, in order, that the file's class indices
    (2019: class names) refer to. name: the file name used in messages.

    Rows may stand in any order; exact duplicates are dropped. Where a file has no track numbers, or gives one number to
    several directions of a class in a frame, the instances of a class are numbered so that (frame, class, track) is
    unique. Distances become cm; 0 stands for "unknown" and becomes NaN. A 2019 event becomes one instance of its class,
    its times rounded to the nearest frame, at least one frame long. A file without rows is a valid empty table.

    as_written: keeps rows that repeat others, track numbers that several directions share, the order of the file within a frame,
    and azimuths beyond [-180, 180).

    OSError if the file cannot be opened; ValueError, one sentence that names the file, the line, what is wrong and what
    would be right, if it does not hold such a table.
    """
    name = name or _name_of(path_or_buffer)
    lines, numbers = _lines(_read_text(path_or_buffer, name))
    if len(lines) > MAX_ROWS:
        raise ValueError(f"{name}: has {len(lines)} rows, but at most {MAX_ROWS} are read")
    if not lines:
        return empty_table()
    if _is_2019_header(lines[0]):
        return _read_2019(lines, numbers, classes, name)
    raw = _parse_numbers(lines, numbers, name)
    raw.columns = _column_names(raw)
    raw = _with_angles(raw, numbers, name)
    _check_values(raw, numbers, len(classes), name)
    return _tidy(raw, as_written)


def write_csv(table: pd.DataFrame, path_or_buffer, format: str = "dcase2020", classes=None) -> None:
    """Write a frame table; ``format`` is one of ``WRITE_FORMATS``.

    Angles are rounded to whole degrees, azimuth to [-180, 180), except in "cartesian" (frame, class, x, y, z). "dcase2023"
    and "dcase2024" write the distance in whole cm, 0 where it is unknown (NaN). "dcase2019" needs the class names and
    writes one row for each stretch of one instance with one direction, so a moving source becomes several.

    A path is replaced only by a complete file. ValueError on an unknown format or a table that is not a frame table.
    """
    text = _csv_text(_checked(table), format, classes)
    if isinstance(path_or_buffer, (str, os.PathLike)):
        with replacing(Path(path_or_buffer)) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
    elif isinstance(path_or_buffer, io.TextIOBase):
        path_or_buffer.write(text)
    else:
        path_or_buffer.write(text.encode())


def frames_to_events(table: pd.DataFrame, classes=None, confidence=None) -> pd.DataFrame:
    """The event table of a frame table: one event per run of consecutive frames of one (track, class).

    classes: names by class index; None names a class by its index. confidence: a probability for each row of ``table``
    (N,); without it the table's own column ``confidence`` is used, and without that the events have NaN. Times are
    onset = first frame * 0.1 s and offset = (last frame + 1) * 0.1 s. Sorted by onset, track, class.
    """
    table = _checked(table)
    if confidence is None:
        confidence = table["confidence"] if "confidence" in table else np.full(len(table), np.nan)
    table = distinct_instances(table.assign(confidence=np.asarray(confidence, float)))
    order, starts, ends = _runs(table)
    table = table.iloc[order]
    vectors = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
    lengths = ends - starts
    means = _sum_runs(vectors, starts) / lengths[:, None]
    azimuth, elevation = geometry.to_angles(means)
    off_mean = geometry.distance(vectors, np.repeat(means, lengths, axis=0))
    first, last = table.iloc[starts], table.iloc[ends - 1]
    events = pd.DataFrame(
        {
            "class": first["class"].to_numpy(),
            "name": _class_names(first["class"].to_numpy(), classes),
            "track": first["track"].to_numpy(),
            "onset": first["frame"].to_numpy() / LABEL_FRAMES_PER_SECOND,
            "offset": (last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
            "azimuth": azimuth,
            "elevation": elevation,
            "distance": _sum_runs(table["distance"].to_numpy(), starts) / lengths,
            "spread": _sum_runs(off_mean, starts) / lengths,
            "confidence": _sum_runs(table["confidence"].to_numpy(), starts) / lengths,
        }
    )
    return events.sort_values(["onset", "track", "class"], kind="stable", ignore_index=True)


def events_to_frames(events: pd.DataFrame) -> pd.DataFrame:
    """The frame table of an event table: each event sounds from its mean direction in all of its frames.

    The inverse of ``frames_to_events`` for sources that stand still. Times are rounded to the nearest frame; an event is at
    least one frame long. ``distance`` may be missing.
    """
    onset = _to_frame(events["onset"])
    offset = np.maximum(_to_frame(events["offset"]), onset + 1)
    if len(onset) and onset.min() < 0:
        raise ValueError(f"an event starts at {events['onset'].min()} s; times must not be negative")
    lengths = offset - onset
    rows = np.repeat(np.arange(len(events)), lengths)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    distance = events["distance"] if "distance" in events else pd.Series(np.nan, events.index)
    columns = {"frame": onset[rows] + within, "distance": distance.to_numpy(float)[rows]}
    columns |= {c: events[c].to_numpy()[rows] for c in ("class", "track", "azimuth", "elevation")}
    return _tidy(pd.DataFrame(columns))


def to_tracks(table: pd.DataFrame, n_frames: int, n_tracks: int, n_classes: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The arrays a trackwise network is trained on: (sed (T, M, K), doa (T, M, 3), dropped), float32.

    A reference event is a run of consecutive frames of one (class, instance). In order of onset, ties in table order, it
    goes to the first track that no earlier event occupies at its onset, and keeps it to its offset. An event that finds no
    free track is left out, and its frames count in ``dropped``. Rows at or after ``n_frames`` are ignored. ``doa`` holds
    unit vectors (x, y, z), zeros where a track is inactive. ValueError on a class outside [0, n_classes).
    """
    table = _checked(table)
    if len(table) and table["class"].max() >= n_classes:
        raise ValueError(f"class {table['class'].max()} in the table, but n_classes is {n_classes}")
    table = distinct_instances(table[table["frame"] < n_frames])
    sed = np.zeros((n_frames, n_tracks, n_classes), np.float32)
    doa = np.zeros((n_frames, n_tracks, 3), np.float32)
    order, starts, ends = _runs(table)
    frames, classes = table["frame"].to_numpy(), table["class"].to_numpy()
    vectors = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
    events = sorted((order[s:e] for s, e in zip(starts, ends)), key=lambda rows: (frames[rows[0]], rows[0]))
    free_from = [0] * n_tracks
    dropped = 0
    for rows in events:
        onset, offset = frames[rows[0]], frames[rows[-1]] + 1
        track = next((m for m in range(n_tracks) if free_from[m] <= onset), None)
        if track is None:
            dropped += len(rows)
            continue
        free_from[track] = offset
        sed[onset:offset, track, classes[rows[0]]] = 1
        doa[onset:offset, track] = vectors[rows]
    return sed, doa, dropped


def distinct_instances(table: pd.DataFrame) -> pd.DataFrame:
    """The table with new track numbers where several rows share (frame, class, track), so that this key is unique.

    Some systems write the same source number for every direction of a class. The first row keeps its number; the j-th
    further one gets j more than the largest number of its class, so it keeps the number from frame to frame. A table of many
    clips tells them apart by a column ``clip``.
    """
    clip = ["clip"] if "clip" in table else []
    key = [*clip, "frame", "class", "track"]
    if not table.duplicated(key).any():
        return table
    repeat = table.groupby(key).cumcount().to_numpy()
    # Numbered within (frame, class), so that repeats of two different tracks do not collide.
    extra = pd.Series(repeat > 0, table.index).groupby([table[c] for c in key[:-1]]).cumsum().to_numpy()
    largest = table.groupby([*clip, "class"])["track"].transform("max").to_numpy()
    return table.assign(track=np.where(repeat > 0, largest + extra, table["track"].to_numpy()))


# Reading


def _name_of(path_or_buffer) -> str:
    if not isinstance(path_or_buffer, (str, os.PathLike)):
        path_or_buffer = getattr(path_or_buffer, "name", None)
    return Path(path_or_buffer).name if isinstance(path_or_buffer, (str, os.PathLike)) else "the CSV"


def _read_text(path_or_buffer, name: str) -> str:
    if isinstance(path_or_buffer, (str, os.PathLike)):
        with open(path_or_buffer, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    else:
        data = path_or_buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ValueError(f"{name}: is larger than {MAX_BYTES // 10**6} MB, too large for the annotation of one clip")
    try:
        text = (data if isinstance(data, str) else bytes(data).decode()).removeprefix("\ufeff")
    except UnicodeDecodeError:
        text = "\0"
    if re.search(r"[\0-\x08\x0e-\x1f]", text):
        raise ValueError(f"{name}: is not a text file in UTF-8; expected a CSV with the columns {_EXPECTED}")
    return text


def _lines(text: str) -> tuple[list[str], list[int]]:
    """The lines that are not blank, and their numbers in the file, from 1."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    numbers = [i for i, line in enumerate(lines, 1) if line.strip()]
    return [lines[i - 1] for i in numbers], numbers


def _is_2019_header(line: str) -> bool:
    return sorted(field.strip().strip('"').lower() for field in line.split(",")) == sorted(_DCASE2019_HEADER)


def _parse_numbers(lines: list[str], numbers: list[int], name: str) -> pd.DataFrame:
    """A table of numbers of 4 to 7 columns, integer columns where no field has a decimal point."""
    if lines[0].count(",") >= _MAX_COLUMNS:  # the fast parser would take minutes over millions
        _raise_bad_line(lines, numbers, name)
    text = "\n".join(lines).replace('"', "")
    try:
        raw = pd.read_csv(io.StringIO(text), header=None, quoting=csv.QUOTE_NONE, low_memory=False)
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        raw = None
    if raw is None or raw.shape[1] not in (4, 5, 6, 7) or any(d.kind not in "if" for d in raw.dtypes):
        _raise_bad_line(lines, numbers, name)
    if not np.isfinite(raw.to_numpy(float)).all():
        _raise_bad_line(lines, numbers, name)
    return raw


def _raise_bad_line(lines: list[str], numbers: list[int], name: str) -> NoReturn:
    """ValueError for the first line that is not a row of numbers. Slow, so only called once the fast parser failed."""
    first = [field.strip().strip('"') for field in lines[0].split(",")]
    separator = next((s for s in (";", "\t") if len(first) == 1 and len(first[0].split(s)) > 1), None)
    if separator:
        which = "semicolons" if separator == ";" else "tabs"
        raise ValueError(f"{name}: its columns are separated by {which}; expected commas, as in {_EXPECTED}")
    if len(first) > 1 and not any(_is_number(field) for field in first):
        raise ValueError(
            f"{name}: line {numbers[0]} is the header {_shorten(lines[0])!r}, which belongs to no format known here; "
            f"expected no header, or that of DCASE 2019: {','.join(_DCASE2019_HEADER)}"
        )
    if len(first) not in (4, 5, 6, 7):
        count = "1 column" if len(first) == 1 else f"{len(first)} columns"
        raise ValueError(f"{name}: line {numbers[0]} has {count}; expected {_EXPECTED}")
    for number, line in zip(numbers, lines):
        fields = line.replace('"', "").split(",")
        if len(fields) != len(first):
            raise ValueError(
                f"{name}: line {number} has {len(fields)} columns; expected {len(first)}, as on line {numbers[0]}"
            )
        bad = next((f for f in fields if not _is_number(f) or abs(float(f)) > 1e12), None)
        if bad is not None:
            what = f"{_shorten(bad.strip())!r} on line {number} is not a number" if bad.strip() else None
            raise ValueError(f"{name}: {what or f'line {number} has an empty field'}; expected {_EXPECTED}")
    raise ValueError(f"{name}: is not a table of plain decimal numbers; expected {_EXPECTED}")


def _is_number(field: str) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _numeric_format(raw: pd.DataFrame) -> str:
    width = raw.shape[1]
    if width == 7:
        return "cartesian"
    if width > 4:
        xyz = raw.iloc[:, width - 3 :]
        if any(d.kind == "f" for d in xyz.dtypes) and np.abs(xyz.to_numpy()).max() <= 1:
            return "cartesian"
    return {4: "dcase2020_output", 5: "dcase2020", 6: "dcase2024"}[width]


def _column_names(raw: pd.DataFrame) -> tuple[str, ...]:
    format = _numeric_format(raw)
    return _CARTESIAN_COLUMNS[raw.shape[1]] if format == "cartesian" else _COLUMNS[format]


def _with_angles(raw: pd.DataFrame, numbers: list[int], name: str) -> pd.DataFrame:
    """Replace columns x, y, z, if there are any, by azimuth and elevation."""
    if "x" not in raw:
        return raw
    xyz = raw[["x", "y", "z"]].to_numpy(float)
    _refuse(np.all(xyz == 0, axis=1), numbers, name, lambda i: "x, y, z are all 0", "a vector towards the source")
    azimuth, elevation = geometry.to_angles(xyz)
    return raw.drop(columns=["x", "y", "z"]).assign(azimuth=azimuth, elevation=elevation)


def _refuse(bad: np.ndarray, numbers: list[int], name: str, what, expected: str) -> None:
    """ValueError for the first row of the mask ``bad``; ``what(row)`` says what is wrong with it."""
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name}: {what(row)} on line {numbers[row]}; expected {expected}")


def _check_values(raw: pd.DataFrame, numbers: list[int], n_classes: int, name: str) -> None:
    def refuse(column, bad, expected):
        _refuse(bad, numbers, name, lambda row: f"{column} {raw[column].iloc[row]:g}", expected)

    for column in [c for c in ("frame", "class", "track") if c in raw]:
        values = raw[column].to_numpy()
        refuse(column, values != np.floor(values), "a whole number")
    frame, index = raw["frame"].to_numpy(), raw["class"].to_numpy()
    refuse("frame", frame < 0, "frames of 100 ms counted from 0")
    refuse("frame", frame > MAX_FRAME, f"frames of 100 ms up to {MAX_FRAME} (one week)")
    if (outside := (index < 0) | (index >= n_classes)).any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"{name}: class {index[row]:g} on line {numbers[row]}, but the class list has {n_classes} (0 to {n_classes - 1})"
        )
    refuse("azimuth", np.abs(raw["azimuth"].to_numpy()) > 360, "degrees within [-360, 360]")
    refuse("elevation", np.abs(raw["elevation"].to_numpy()) > 90, "degrees within [-90, 90]")
    if "distance" in raw:
        refuse("distance", raw["distance"].to_numpy() < 0, "cm, not negative")


def _tidy(raw: pd.DataFrame, as_written: bool = False) -> pd.DataFrame:
    """The frame table of checked columns, sorted and typed; but for ``as_written`` also azimuth wrapped, duplicates dropped, and
    instances distinct."""
    distance = raw["distance"].to_numpy(float) if "distance" in raw else np.full(len(raw), np.nan)
    raw = raw.assign(distance=np.where(distance == 0, np.nan, distance))
    if not as_written:
        raw = raw.assign(azimuth=geometry.wrap_azimuth(raw["azimuth"].to_numpy(float))).drop_duplicates()
    raw = raw if "track" in raw else raw.assign(track=0)
    raw = raw if as_written else distinct_instances(raw)
    order = ["frame"] if as_written else ["frame", "class", "track"]
    return _frame_table(raw).sort_values(order, kind="stable", ignore_index=True)


def _frame_table(columns) -> pd.DataFrame:
    integer = ("frame", "class", "track")
    return pd.DataFrame({n: np.asarray(columns[n], np.int64 if n in integer else float) for n in FRAME_COLUMNS})


def _read_2019(lines: list[str], numbers: list[int], classes, name: str) -> pd.DataFrame:
    """The frame table of 2019 events. Each becomes an instance of its class, numbered in order of onset."""
    columns = [field.strip().strip('"').lower() for field in lines[0].split(",")]
    try:
        rows = list(csv.reader(lines[1:]))
    except csv.Error:  # a field of more than 131072 characters
        raise ValueError(f"{name}: is not a table of events; expected {','.join(_DCASE2019_HEADER)}") from None
    events = [
        _event_2019(dict(zip(columns, fields)), len(fields) == 6, tuple(classes), name, number)
        for number, fields in zip(numbers[1:], rows)
    ]
    events = pd.DataFrame(events, columns=["class", "onset", "offset", "elevation", "azimuth", "distance"])
    events = events.drop_duplicates().sort_values("onset", kind="stable")
    if (total := int((events["offset"] - events["onset"]).sum() * LABEL_FRAMES_PER_SECOND)) > MAX_EVENT_FRAMES:
        raise ValueError(f"{name}: its events last {total} frames in all, but at most {MAX_EVENT_FRAMES} are read")
    return events_to_frames(events.assign(track=events.groupby("class").cumcount()))


def _event_2019(fields: dict, complete: bool, classes: tuple, name: str, number: int) -> tuple:
    """(class, onset, offset, elevation, azimuth, distance in cm) of one row of a 2019 file."""
    if not complete:
        raise ValueError(f"{name}: line {number} has not the 6 columns {','.join(_DCASE2019_HEADER)} of its header")
    index, label = _indices(classes), fields["sound_event_recording"].strip()
    if _plain(label) not in index:
        raise ValueError(
            one_line(f"{name}: class {_shorten(label)!r} on line {number}; expected one of {', '.join(classes)}")
        )
    for column in _DCASE2019_HEADER[1:]:
        if not _is_number(fields[column]):
            raise ValueError(f"{name}: {column} {_shorten(fields[column])!r} on line {number}; expected a number")
    onset, offset, elevation, azimuth, metres = (float(fields[c]) for c in _DCASE2019_HEADER[1:])
    wrong = [
        (onset < 0, f"start_time {onset:g}", "seconds, not negative"),
        (offset < onset, f"end_time {offset:g} before start_time {onset:g}", "an event that ends after it starts"),
        (offset * LABEL_FRAMES_PER_SECOND > MAX_FRAME, f"end_time {offset:g}", "seconds within one week"),
        (abs(elevation) > 90, f"ele {elevation:g}", "degrees within [-90, 90]"),
        (abs(azimuth) > 360, f"azi {azimuth:g}", "degrees within [-360, 360]"),
        (metres < 0, f"dist {metres:g}", "metres, not negative"),
    ]
    for bad, what, expected in wrong:
        if bad:
            raise ValueError(f"{name}: {what} on line {number}; expected {expected}")
    return index[_plain(label)], onset, offset, elevation, azimuth, 100 * metres


@functools.lru_cache(maxsize=8)
def _indices(classes: tuple) -> dict[str, int]:
    return {_plain(name): k for k, name in enumerate(classes)}


def _plain(label: str) -> str:
    """A class name without case, spaces and signs: the data set of 2019 writes keysDrop for "keys drop"."""
    return re.sub(r"[^a-z0-9]", "", str(label).lower())


def _to_frame(seconds) -> np.ndarray:
    """The nearest frame boundary of times in seconds, halves up, counted in whole milliseconds."""
    milliseconds = np.rint(np.asarray(seconds, float) * 1000).astype(np.int64)
    return (milliseconds + LABEL_FRAME_MS // 2) // LABEL_FRAME_MS


# Writing


def _csv_text(table: pd.DataFrame, format: str, classes) -> str:
    if format == "cartesian":
        xyz = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
        out = table[["frame", "class"]].assign(**{c: xyz[:, i] for i, c in enumerate("xyz")})
        return out.to_csv(header=False, index=False, float_format="%.6f", lineterminator="\n")
    if format not in WRITE_FORMATS:
        raise ValueError(f"format must be one of {', '.join(WRITE_FORMATS)}, not {format!r}")
    whole = _whole_degrees(table)
    if format == "dcase2019":
        return _csv_text_2019(whole, classes)
    return whole[list(_WRITE_COLUMNS[format])].to_csv(header=False, index=False, lineterminator="\n")


def _whole_degrees(table: pd.DataFrame) -> pd.DataFrame:
    """Angles and cm as integers. The azimuth is wrapped after rounding, so that 179.6 becomes -180 and not 180."""
    return table.assign(
        azimuth=geometry.wrap_azimuth(np.rint(table["azimuth"].to_numpy())).astype(int),
        elevation=np.rint(table["elevation"].to_numpy()).astype(int),
        distance=np.rint(np.nan_to_num(table["distance"].to_numpy())).astype(int),
    )


def _csv_text_2019(table: pd.DataFrame, classes) -> str:
    if classes is None:
        raise ValueError("dcase2019 names its classes: give classes, the list of class names")
    order, starts, ends = _runs(table, ("class", "track", "azimuth", "elevation", "distance"))
    first, last = table.iloc[order[starts]], table.iloc[order[ends - 1]]
    out = pd.DataFrame(
        {
            "sound_event_recording": _class_names(first["class"].to_numpy(), classes),
            "start_time": first["frame"].to_numpy() / LABEL_FRAMES_PER_SECOND,
            "end_time": (last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
            "ele": first["elevation"].to_numpy(),
            "azi": first["azimuth"].to_numpy(),
            "dist": first["distance"].to_numpy() / 100,
        }
    )
    out = out.sort_values(["start_time", "end_time"], kind="stable")
    return out.to_csv(index=False, float_format="%g", lineterminator="\n")


# Runs of frames


def _checked(table: pd.DataFrame) -> pd.DataFrame:
    missing = [c for c in FRAME_COLUMNS if c not in table]
    if missing:
        raise ValueError(f"a frame table has the columns {', '.join(FRAME_COLUMNS)}; missing: {', '.join(missing)}")
    if len(table) and min(table["frame"].min(), table["class"].min()) < 0:
        raise ValueError("a frame table has frames and classes from 0; this one has a negative value")
    if not np.isfinite(table[["azimuth", "elevation"]].to_numpy(float)).all():
        raise ValueError("a frame table has finite azimuths and elevations; this one has NaN or infinity")
    return table


def _runs(table: pd.DataFrame, keys=("class", "track")) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of consecutive frames in which all keys stay the same: (order, starts, ends).

    Run r holds the rows ``order[starts[r]:ends[r]]``, in order of frame.
    """
    within = [k for k in keys if k in ("class", "track")]
    frame = table["frame"].to_numpy()
    order = np.lexsort([frame, *(table[k].to_numpy() for k in within)])
    if not len(order):
        return order, order, order
    breaks = np.diff(frame[order]) != 1
    for key in keys:
        breaks |= np.diff(table[key].to_numpy()[order]) != 0
    starts = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    return order, starts, np.append(starts[1:], len(order))


def _sum_runs(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values, starts, axis=0) if len(starts) else values[:0]


def _class_names(indices: np.ndarray, classes) -> list[str]:
    if classes is None:
        return [str(k) for k in indices]
    if len(indices) and indices.max() >= len(classes):
        raise ValueError(f"class {indices.max()} in the table, but the class list has {len(classes)}")
    return [str(classes[k]) for k in indices]
