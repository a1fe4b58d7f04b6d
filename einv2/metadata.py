"""Many metadata files at once: read into one frame table, matched by stem, and told what is odd about them.

The tables have a column ``clip`` that counts into the stems, and keep the rows as the files have them: the official measures up
to 2023 count a row that is written twice as two instances, and know an instance by its place among the rows of its frame; that of
2024 knows it by its track number.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from . import geometry, labels
from .metrics.matching import clip_of

NAMED = 3  # stems named in a note
METRES_ABOVE = 20  # distances that are smaller than the true ones by more than this are not in cm
_WHOLE_NUMBERS = re.compile(rb"[0-9,\-\r\n]*")
_COLUMNS = {
    4: ["frame", "class", "azimuth", "elevation"],
    5: ["frame", "class", "track", "azimuth", "elevation"],
    6: ["frame", "class", "track", "azimuth", "elevation", "distance"],
}
_BOUNDS = {
    "frame": (0, labels.MAX_FRAME),
    "track": (-np.inf, np.inf),
    "azimuth": (-360, 360),
    "elevation": (-90, 90),
    "distance": (0, np.inf),
}


@dataclass(frozen=True)
class Clips:
    """What is evaluated: estimate and reference, frame tables of all clips as written, with what was odd about their files.

    stems: of the clips, in order; n_frames: (clips,) int, the frames of 100 ms from the first to the last that either side has.
    """

    stems: tuple[str, ...]
    estimate: pd.DataFrame
    reference: pd.DataFrame
    classes: tuple[str, ...]
    n_frames: np.ndarray
    notes: tuple[str, ...]


def csv_files(folder: str | Path) -> dict[str, Path]:
    """Stem to file of all CSVs below a folder. ValueError, one sentence, if there are none, or two with one stem."""
    if not Path(folder).is_dir():
        raise ValueError(f"{folder} is no folder: give the one that the CSV files lie in.")
    files: dict[str, Path] = {}
    for path in sorted(Path(folder).rglob("*.csv")):
        if (other := files.setdefault(path.stem, path)) != path:
            raise ValueError(
                f"{other} and {path} have the same stem, by which files are matched; give one folder of them."
            )
    if not files:
        raise ValueError(f"{folder} holds no CSV files: give the folder that they lie in.")
    return files


def read_clips(
    estimates: Mapping[str, Path | bytes],
    references: Mapping[str, Path | bytes],
    classes: tuple[str, ...],
    progress: Callable[[float, str], None] = lambda share, what: None,
) -> Clips:
    """The clips that both sides have, given as stem to CSV file, or its bytes.

    ``progress`` is called with the share that is done and what is being done; it may raise to stop. OSError or ValueError, one
    sentence that names the file, if one cannot be read; ValueError if no stem is on both sides.
    """
    stems = sorted(estimates.keys() & references.keys())
    if not stems:
        raise ValueError(
            f"no prediction has the stem of a ground truth, by which they are matched: {named(estimates)} on one side, "
            f"{named(references)} on the other."
        )
    progress(0.0, f"Reading {len(stems)} predictions")
    estimate = read_many({s: estimates[s] for s in stems}, classes)
    progress(0.5, f"Reading {len(stems)} ground truths")
    reference = read_many({s: references[s] for s in stems}, classes)
    estimate, converted = _in_cm(estimate, reference)
    notes = _unmatched(estimates, references) + converted + _oddities(estimate, reference, stems)
    n_frames = np.zeros(len(stems), np.int64)
    for table in (estimate, reference):
        np.maximum.at(n_frames, clip_of(table), table["frame"].to_numpy() + 1)
    return Clips(tuple(stems), estimate, reference, tuple(classes), n_frames, tuple(notes))


def frames_beyond(clips: Clips, n_frames: Sequence[int | None]) -> list[str]:
    """What is to be said of rows after the end of the recordings, given their lengths in frames, None where unknown."""
    notes: list[str] = []
    if not n_frames:
        return notes
    ends = np.array([np.iinfo(np.int64).max if n is None else n for n in n_frames])
    for side, table in (("predictions", clips.estimate), ("ground truth", clips.reference)):
        beyond = table["frame"].to_numpy() >= ends[clip_of(table)]
        if n := np.count_nonzero(beyond):
            where = named([clips.stems[k] for k in np.unique(clip_of(table)[beyond])])
            notes.append(f"{n} rows of the {side} lie after the end of the recording ({where}). Kept.")
    return notes


def tidied(clips: Clips) -> Clips:
    """The clips with azimuths in [-180, 180), and track numbers that tell apart the rows of one frame and class."""
    estimate, reference = (
        labels.distinct_instances(t.assign(azimuth=geometry.wrap_azimuth(t["azimuth"].to_numpy())))
        for t in (clips.estimate, clips.reference)
    )
    return replace(clips, estimate=estimate, reference=reference)


def largest_class(files: Mapping[str, Path | bytes]) -> int:
    """The largest class index in many CSVs, -1 without rows; those of 2019, which name their classes, are not looked at."""
    contents = {stem: _bytes(file) for stem, file in files.items()}
    indexed = {
        stem: content for stem, content in contents.items() if b"sound_event_recording" not in content[:200].lower()
    }
    return int(read_many(indexed, range(labels.MOST_CLASSES))["class"].max()) if any(indexed.values()) else -1


def read_many(files: Mapping[str, Path | bytes], classes) -> pd.DataFrame:
    """The frame tables of many CSVs, as written (see ``labels.read_csv``), in one with a column ``clip``: the place in ``files``.

    Files of whole numbers, which nearly all are, are parsed together. ValueError, one sentence that names the file and line.
    """
    contents = {n: _bytes(content) for n, content in enumerate(files.values())}
    plain = {width: [n for n in contents if _width(contents[n]) == width] for width in _COLUMNS}
    tables, done = [], set()
    for width, clips in plain.items():
        if clips and (table := _read_together([contents[n] for n in clips], width, len(classes))) is not None:
            tables.append(table.assign(clip=np.array(clips)[table["clip"]]))
            done |= {*clips}
    names = [_name(stem, file) for stem, file in files.items()]
    for n in contents.keys() - done:
        table = labels.read_csv(io.BytesIO(contents[n]), classes, names[n], as_written=True)
        tables.append(table.assign(clip=n))
    return pd.concat(tables).sort_values(["clip", "frame"], kind="stable", ignore_index=True)


def _bytes(content: Path | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    with open(content, "rb") as file:
        return file.read(labels.MAX_BYTES + 1)


def _name(stem: str, file: Path | bytes) -> str:
    return f"{stem}.csv" if isinstance(file, bytes) else str(file)


def _width(content: bytes) -> int | None:
    """The columns of a table of whole numbers without blank lines; None for anything else."""
    content = content.strip(b"\r\n")
    if not content or len(content) > labels.MAX_BYTES or not _WHOLE_NUMBERS.fullmatch(content):
        return None
    if b"\n\n" in content or b"\n\r" in content or b"\r" in content.replace(b"\r\n", b""):
        return None
    return content.partition(b"\n")[0].count(b",") + 1


def _read_together(contents: list[bytes], width: int, n_classes: int) -> pd.DataFrame | None:
    """One table of files of whole numbers and one width, ``clip`` being their place; None if a value is not as it must be."""
    contents = [content.strip(b"\r\n") for content in contents]
    rows = np.array([content.count(b"\n") + 1 for content in contents])
    try:
        table = pd.read_csv(io.BytesIO(b"\n".join(contents)), header=None, dtype=np.int64)
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    if table.shape != (rows.sum(), width):
        return None
    table.columns = _COLUMNS[width]
    for column, (low, high) in (_BOUNDS | {"class": (0, n_classes - 1)}).items():
        if column in table and not table[column].between(low, high).all():
            return None
    distance = table["distance"].astype(float) if "distance" in table else pd.Series(np.nan, table.index)
    table = table.assign(clip=np.repeat(np.arange(len(rows)), rows), distance=distance.mask(distance == 0))
    return table.assign(track=table.get("track", 0), **{c: table[c].astype(float) for c in ("azimuth", "elevation")})[
        [*labels.FRAME_COLUMNS, "clip"]
    ]


def _in_cm(estimate: pd.DataFrame, reference: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The estimate with its distances in cm, and a note if they were in metres, as the official baseline of 2024 writes them."""
    found, true = (t["distance"].dropna() for t in (estimate, reference))
    if not (len(found) and len(true) and found.median() * METRES_ABOVE < true.median()):
        return estimate, []
    note = (
        f"The distances of the predictions (median {found.median():.3g}) are to those of the ground truth ({true.median():.3g} cm) as "
        "metres are. Read as metres."
    )
    return estimate.assign(distance=100 * estimate["distance"]), [note]


def _unmatched(estimates: Mapping, references: Mapping) -> list[str]:
    notes = []
    if only := sorted(estimates.keys() - references.keys()):
        notes.append(f"{_count(only, 'prediction')} without a ground truth of that stem: {named(only)}. Left out.")
    if only := sorted(references.keys() - estimates.keys()):
        notes.append(
            f"{_count(only, 'ground truth')} without a prediction of that stem: {named(only)}. Left out, as the official code "
            "does; for a clip in which nothing was detected, give an empty file."
        )
    return notes


def _oddities(estimate: pd.DataFrame, reference: pd.DataFrame, stems: list[str]) -> list[str]:
    """What is unusual in the rows, and what becomes of it."""
    notes = []
    last = np.full(len(stems), -1)
    np.maximum.at(last, clip_of(reference), reference["frame"].to_numpy())
    for side, table in (("predictions", estimate), ("ground truth", reference)):
        repeated = table.duplicated(["clip", "frame", "class", "azimuth", "elevation"]).to_numpy()
        if n := np.count_nonzero(repeated):
            where = named([stems[k] for k in np.unique(clip_of(table)[repeated])])
            notes.append(
                f"{n} rows of the {side} repeat another of their frame, class and direction ({where}). Kept: the official code "
                "up to 2023 counts each as an instance."
            )
        shared = table.duplicated(["clip", "frame", "class", "track"], keep="last").to_numpy()
        if n := np.count_nonzero(shared):
            where = named([stems[k] for k in np.unique(clip_of(table)[shared])])
            notes.append(
                f"{n} rows of the {side} have the frame, class and track number of a later one, or no track number ({where}). Up to "
                "2023 each counts; in 2024 only the last, as in the official code."
            )
        if n := np.count_nonzero(table["azimuth"].to_numpy() >= 180):
            notes.append(f"{n} rows of the {side} have an azimuth of 180 degrees or more. Read as the same minus 360.")
    if silent := [stem for stem, frame in zip(stems, last) if frame < 0]:
        notes.append(
            f"{_count(silent, 'ground truth')} without events: {named(silent)}. The official measures look at nothing there."
        )
    beyond = estimate["frame"].to_numpy() > last[clip_of(estimate)]
    if n := np.count_nonzero(beyond):
        where = named([stems[k] for k in np.unique(clip_of(estimate)[beyond])])
        notes.append(
            f"{n} rows of the predictions lie after the last event of the ground truth ({where}). Scores do not look there, as in the "
            "official code from 2022 on; that of 2020 and 2021 looks at 60 s of every clip, for which there is a setting "
            "(--seconds 60). The error types look everywhere."
        )
    return notes


def _count(items, what: str) -> str:
    return f"{len(items)} {what}{'s' if len(items) != 1 else ''}"


def named(stems) -> str:
    """The first few, and how many more."""
    stems = sorted(stems)
    return ", ".join(stems[:NAMED]) + (f" and {len(stems) - NAMED} more" if len(stems) > NAMED else "")
