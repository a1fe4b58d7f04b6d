"""DCASE metadata of 2019 to 2025: CSV files in and out.

The formats, as the DCASE task pages of each year describe them; those of 2019 and 2025 have a header:

    dcase2019         sound_event_recording, start_time, end_time (s), ele, azi (degrees), dist (m): one row per event
    dcase2020         frame, class, track, azimuth, elevation; also 2021 and 2022
    dcase2020_output  frame, class, azimuth, elevation
    dcase2024         frame, class, source, azimuth, elevation, distance (cm); also 2023
    dcase2025         frame, class, source, azimuth, distance (cm), onscreen: stereo, so no elevation, which is read as 0
    cartesian         frame, class, x, y, z; or with a source before x; or with that and a distance (cm) after z

Other ways to write a table are read too: see ``csv_layout``.
"""

import functools
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .. import geometry
from ..atomic_files import replacing
from ..frames import LABEL_FRAME_MS, LABEL_FRAMES_PER_SECOND, MAX_SECONDS
from ..messages import one_line
from . import csv_layout
from .class_lists import DCASE2020_CLASSES
from .csv_layout import HEADER_2025, POLAR, USUAL, Reading
from .frame_tables import checked, class_names, empty_table, events_to_frames, frame_runs, tidied

MAX_BYTES = 50_000_000


MAX_EVENT_FRAMES = 1_000_000  # total length of the events in a file of 2019: 28 hours, possible with a few bytes


MAX_FRAME = MAX_SECONDS * LABEL_FRAMES_PER_SECOND  # beyond it a typing error would cost gigabytes downstream


_SILENCE = ("nothing", "none", "silence", "background", "noevent")  # classes of rows in which nothing sounds


_WRITE_COLUMNS = {
    "dcase2020": POLAR[5],
    "dcase2020_output": POLAR[4],
    "dcase2021": POLAR[5],
    "dcase2022": POLAR[5],
    "dcase2023": POLAR[6],
    "dcase2024": POLAR[6],
}


WRITE_FORMATS = ("dcase2019", *_WRITE_COLUMNS, "dcase2025", "cartesian")


def detect_format(text_or_rows) -> str:
    """The format of a CSV, given as its text or as a sequence of rows of fields: a name of the module's docstring.

    Inferred from the header, the number of columns and their values (see ``csv_layout``). A CSV without rows is "dcase2020". ValueError
    where no format fits.
    """
    if not isinstance(text_or_rows, str):
        text_or_rows = "\n".join(",".join(map(str, row)) for row in text_or_rows)
    written = csv_layout.parse(text_or_rows, "the table")
    if written is None:
        return "dcase2020"
    return _format_of(written)


def _format_of(written: csv_layout.Written) -> str:
    columns = {*written.columns}
    if "frame" not in columns:
        return "dcase2019"
    if written.units == "cartesian":
        return "cartesian"
    if "elevation" not in columns:
        return "dcase2025"
    if "distance" in columns:
        return "dcase2024"
    return "dcase2020" if "track" in columns else "dcase2020_output"


def read_csv(
    path_or_buffer,
    classes=DCASE2020_CLASSES,
    name: str | None = None,
    as_written: bool = False,
    reading: Reading = USUAL,
) -> pd.DataFrame:
    """The frame table of a CSV in any of the formats of the module's docstring, or in another that ``csv_layout`` knows.

    path_or_buffer: a path, or an open file of text or of bytes. classes: the names, in order, that the file's class indices
    or class names refer to. name: the file name used in messages. reading: what is known about the file (see ``csv_layout.Reading``).

    Rows may be in any order; exact duplicates are dropped. Where a file has no track numbers, or gives one number to
    several directions of a class in a frame, the instances of a class are numbered so that (frame, class, track) is
    unique. Distances become cm; 0 stands for "unknown" and becomes NaN. A 2019 event becomes one instance of its class,
    its times rounded to the nearest frame, at least one frame long. A file without rows is a valid empty table.

    as_written: keeps rows that repeat others, track numbers that several directions share, the order of the file within a frame,
    and azimuths beyond [-180, 180).

    OSError if the file cannot be opened; ValueError, one sentence that names the file, the line, what is wrong and what
    would be right, if it does not hold such a table.
    """
    return read(path_or_buffer, classes, name, as_written, reading).frames


def write_csv(table: pd.DataFrame, path_or_buffer, format: str = "dcase2020", classes=None) -> None:
    """Write a frame table; ``format`` is one of ``WRITE_FORMATS``.

    Angles are rounded to whole degrees, azimuth to [-180, 180), except in "cartesian" (frame, class, x, y, z). "dcase2023"
    and "dcase2024" write the distance in whole cm, 0 where it is unknown (NaN). "dcase2025" has a header, and no elevations; its column
    onscreen is 0, as the official baseline without video writes it. "dcase2019" needs the class names and
    writes one row for each stretch of one instance with one direction, so a moving source becomes several.

    A path is replaced only by a complete file. ValueError on an unknown format or a table that is not a frame table.
    """
    text = _csv_text(checked(table), format, classes)
    if isinstance(path_or_buffer, (str, os.PathLike)):
        with replacing(Path(path_or_buffer)) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
    elif isinstance(path_or_buffer, io.TextIOBase):
        path_or_buffer.write(text)
    else:
        path_or_buffer.write(text.encode())


@dataclass(frozen=True)
class Table:
    """A frame table as ``read`` gives it. notes: unusual decisions about its file; written: how it was read, None
    for an empty file."""

    frames: pd.DataFrame
    notes: tuple[str, ...]
    written: csv_layout.Written | None


def read(
    path_or_buffer,
    classes=DCASE2020_CLASSES,
    name: str | None = None,
    as_written: bool = False,
    reading: Reading = USUAL,
) -> Table:
    """As ``read_csv``, with what was decided about the file. reading: what is known about the file, a ``csv_layout.Reading``."""
    name = name or _name_of(path_or_buffer)
    written = csv_layout.parse(_read_text(path_or_buffer, name), name, reading)
    if written is None:
        return Table(empty_table(), (), None)
    rows = _with_angles(_with_classes(written, tuple(classes), name), written, name)
    if "frame" not in rows:
        frames = _frames_of_events(rows, written, len(classes), name)
    else:
        rows = rows.assign(frame=rows["frame"] - (reading.first_frame or 0))
        _check_values(rows, written.lines[rows.index], len(classes), name)
        frames = tidied(resampled(_in_cm(rows, written), reading.frame_ms or LABEL_FRAME_MS), as_written)
    return Table(frames, (*written.notes, *written.doubt), written)


def resampled(rows: pd.DataFrame, frame_ms: int) -> pd.DataFrame:
    """Rows of frames of ``frame_ms`` as those of 100 ms, each of which is the frame at its middle."""
    if frame_ms == LABEL_FRAME_MS:
        return rows
    frame, half = rows["frame"].to_numpy(np.int64), LABEL_FRAME_MS // 2
    first = np.maximum(-((half - frame * frame_ms) // LABEL_FRAME_MS), 0)
    last = -((half - (frame + 1) * frame_ms) // LABEL_FRAME_MS)
    n = np.maximum(last - first, 0)
    within = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    return rows.iloc[np.repeat(np.arange(len(rows)), n)].assign(frame=np.repeat(first, n) + within)


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
    return csv_layout.checked_text(data, name) if isinstance(data, str) else csv_layout.decode(bytes(data), name)


def _with_classes(written: csv_layout.Written, classes: tuple, name: str) -> pd.DataFrame:
    """The rows with indices into ``classes``; rows of silence, which name no class of it, are left out.

    If there are an index and a name, the name counts, since the index may belong to another list.
    """
    rows = written.rows
    told = [rows[c] for c in ("name", "class") if c in rows and not pd.api.types.is_numeric_dtype(rows[c])]
    if not told:
        return rows if "class" in rows else rows.rename(columns={"name": "class"})
    if {"name", "class"} <= {*rows} and len(told) == 1 and not isinstance(classes[0], str):
        return rows.drop(columns="name")  # names are useless if no class has one
    index = _indices(classes)
    plain = told[0].map(_plain)
    sounding = ~plain.isin(_SILENCE) | plain.isin(index)
    if (unknown := sounding & ~plain.isin(index)).any():
        row = int(np.argmax(unknown))
        label = _shorten(str(told[0].iloc[row]))
        raise ValueError(
            one_line(
                f"{name}: class {label!r} on line {written.lines[row]}; expected one of {', '.join(map(str, classes))}"
            )
        )
    rows = rows.drop(columns=[c for c in ("name", "class") if c in rows])
    return rows.assign(**{"class": plain.map(index).astype(float)})[sounding]


def _with_angles(rows: pd.DataFrame, written: csv_layout.Written, name: str) -> pd.DataFrame:
    """The rows with azimuth and elevation in degrees, whatever the file has."""
    if written.units == "cartesian":
        xyz = rows[["x", "y", "z"]].to_numpy(float)
        lines = written.lines[rows.index]
        _refuse(np.all(xyz == 0, axis=1), lines, name, lambda i: "x, y, z are all 0", "a vector towards the source")
        azimuth, elevation = geometry.to_angles(xyz)
        return rows.drop(columns=["x", "y", "z"]).assign(azimuth=azimuth, elevation=elevation)
    if "elevation" not in rows:
        rows = rows.assign(elevation=0.0)
    if written.units == "radians":
        rows = rows.assign(**{c: np.degrees(rows[c].to_numpy(float)) for c in ("azimuth", "elevation")})
        rows = rows.assign(elevation=rows["elevation"].clip(-90, 90) if written.doubtful_angles else rows["elevation"])
    return rows


def _in_cm(rows: pd.DataFrame, written: csv_layout.Written) -> pd.DataFrame:
    return rows.assign(distance=100 * rows["distance"]) if written.distance_unit == "m" else rows


def _shorten(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _refuse(bad: np.ndarray, lines: np.ndarray, name: str, what, expected: str) -> None:
    """ValueError for the first row of the mask ``bad``; ``what(row)`` says what is wrong with it."""
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name}: {what(row)} on line {lines[row]}; expected {expected}")


def _check_values(rows: pd.DataFrame, lines: np.ndarray, n_classes: int, name: str) -> None:
    def refuse(column, bad, expected):
        _refuse(bad, lines, name, lambda row: f"{column} {rows[column].iloc[row]:g}", expected)

    for column in [c for c in ("frame", "class", "track") if c in rows]:
        values = rows[column].to_numpy(float)
        refuse(column, values != np.floor(values), "a whole number")
    frame, index = rows["frame"].to_numpy(), rows["class"].to_numpy()
    refuse("frame", frame < 0, "frames of 100 ms counted from 0")
    refuse("frame", frame > MAX_FRAME, f"frames of 100 ms up to {MAX_FRAME} (one week)")
    _require_classes(index, lines, n_classes, name)
    _check_places(rows, lines, name)


def _require_classes(index: np.ndarray, lines: np.ndarray, n_classes: int, name: str) -> None:
    if (outside := (index < 0) | (index >= n_classes)).any():
        row = int(np.argmax(np.where(outside, index, -np.inf) if (index >= 0).all() else index < 0))
        if index[row] < 0:
            raise ValueError(f"{name}: class {index[row]:g} on line {lines[row]}; expected class indices from 0")
        raise TooManyClasses(name, index[row], lines[row], n_classes)


def _check_places(rows: pd.DataFrame, lines: np.ndarray, name: str) -> None:
    checks = [
        ("azimuth", -360, 360, "degrees within [-360, 360]"),
        ("elevation", -90, 90, "degrees within [-90, 90] (or other columns: --columns)"),
        ("distance", 0, np.inf, "a distance that is not negative"),
    ]
    for column, low, high, expected in [check for check in checks if check[0] in rows]:
        values = rows[column].to_numpy(float)
        bad = (values < low) | (values > high)
        _refuse(bad, lines, name, lambda row, c=column, v=values: f"{c} {v[row]:g}", expected)


def _frames_of_events(events: pd.DataFrame, written: csv_layout.Written, n_classes: int, name: str) -> pd.DataFrame:
    """The frame table of events. Each is an instance of its class, numbered in order of onset if the file gives no number."""
    lines = written.lines[events.index]
    onset, offset = (events[c].to_numpy(float) for c in ("onset", "offset"))
    for bad, what, expected in (
        (onset < 0, lambda i: f"onset {onset[i]:g}", "seconds, not negative"),
        (
            offset < onset,
            lambda i: f"offset {offset[i]:g} before onset {onset[i]:g}",
            "an event that ends after it starts",
        ),
        (offset * LABEL_FRAMES_PER_SECOND > MAX_FRAME, lambda i: f"offset {offset[i]:g}", "seconds within one week"),
    ):
        _refuse(bad, lines, name, what, expected)
    for column in [c for c in ("class", "track") if c in events]:
        values = events[column].to_numpy(float)
        _refuse(
            values != np.floor(values), lines, name, lambda i, v=values, c=column: f"{c} {v[i]:g}", "a whole number"
        )
    _require_classes(events["class"].to_numpy(float), lines, n_classes, name)
    _check_places(events, lines, name)
    events = _in_cm(events, written).drop_duplicates().sort_values("onset", kind="stable")
    if (total := int((events["offset"] - events["onset"]).sum() * LABEL_FRAMES_PER_SECOND)) > MAX_EVENT_FRAMES:
        raise ValueError(f"{name}: its events last {total} frames in all, but at most {MAX_EVENT_FRAMES} are read")
    if "track" not in events:
        events = events.assign(track=events.groupby("class").cumcount())
    return events_to_frames(events)


@functools.lru_cache(maxsize=8)
def _indices(classes: tuple) -> dict[str, int]:
    return {_plain(name): k for k, name in enumerate(classes)}


def _plain(label: str) -> str:
    """A class name without case, spaces and signs: the data set of 2019 writes keysDrop for "keys drop"."""
    return re.sub(r"[^a-z0-9]", "", str(label).lower())


def _csv_text(table: pd.DataFrame, format: str, classes) -> str:
    if format == "cartesian":
        xyz = geometry.to_vector(table["azimuth"].to_numpy(), table["elevation"].to_numpy())
        out = table[["frame", "class"]].assign(**{c: xyz[:, i] for i, c in enumerate("xyz")})
        return out.to_csv(header=False, index=False, float_format="%.6f", lineterminator="\n")
    if format not in WRITE_FORMATS:
        raise ValueError(f"format must be one of {', '.join(WRITE_FORMATS)}, not {format!r}")
    whole = whole_degrees(table)
    if format == "dcase2019":
        return _csv_text_2019(whole, classes)
    if format == "dcase2025":
        whole = whole.rename(columns={"track": "source"}).assign(onscreen=0)
        return whole[list(HEADER_2025)].to_csv(index=False, lineterminator="\n")
    return whole[list(_WRITE_COLUMNS[format])].to_csv(header=False, index=False, lineterminator="\n")


def whole_degrees(table: pd.DataFrame) -> pd.DataFrame:
    """Angles and cm as integers. The azimuth is wrapped after rounding, so that 179.6 becomes -180 and not 180."""
    return table.assign(
        azimuth=geometry.wrap_azimuth(np.rint(table["azimuth"].to_numpy())).astype(int),
        elevation=np.rint(table["elevation"].to_numpy()).astype(int),
        distance=np.rint(np.nan_to_num(table["distance"].to_numpy())).astype(int),
    )


def _csv_text_2019(table: pd.DataFrame, classes) -> str:
    if classes is None:
        raise ValueError("dcase2019 names its classes: give classes, the list of class names")
    runs = frame_runs(table, ("class", "track", "azimuth", "elevation", "distance"))
    first, last = table.iloc[runs.first], table.iloc[runs.last]
    out = pd.DataFrame(
        {
            "sound_event_recording": class_names(first["class"].to_numpy(), classes),
            "start_time": first["frame"].to_numpy() / LABEL_FRAMES_PER_SECOND,
            "end_time": (last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
            "ele": first["elevation"].to_numpy(),
            "azi": first["azimuth"].to_numpy(),
            "dist": first["distance"].to_numpy() / 100,
        }
    )
    out = out.sort_values(["start_time", "end_time"], kind="stable")
    return out.to_csv(index=False, float_format="%g", lineterminator="\n")


class TooManyClasses(ValueError):
    """A table has a class index beyond the class list."""

    def __init__(self, name: str, index: float, line: int, n_classes: int) -> None:
        super().__init__(
            f"{name}: class {index:g} on line {line}, but the class list has {n_classes} (0 to {n_classes - 1}); "
            f"choose a longer one: --classes {index + 1:g}, or names of your own"
        )
