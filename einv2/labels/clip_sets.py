"""Many metadata files at once: read into one frame table and matched by stem, with notes on anything unusual.

What one file leaves open is decided by the other files of its folder, or by the other side: which of two sets of columns, the unit
of distances, the frame length of the predictions.

The tables have a column ``clip``, an index into the stems, and keep the rows as they are in the files: the official measures up to
2023 count a repeated row as two instances, and identify an instance by its place among the rows of its frame; those of 2024 and
2025 identify it by its track number.
"""

import contextlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .. import geometry
from ..atomic_files import below
from ..frames import LABEL_FRAME_MS
from ..messages import counted
from . import class_lists, csv_layout, dcase_csv, frame_tables
from .class_lists import is_class_file
from .csv_layout import POLAR, USUAL, Reading
from .frame_tables import clip_of, keys
from .instances import linked

NAMED = 3  # most stems that a note names
METRES_ABOVE = 20  # distances that are smaller than the true ones by more than this are not in cm
LARGER_BY = 8  # distances that are larger than the true ones by more than this are perhaps neither in cm nor in metres
_READING_FLAG = re.compile(r"--(columns|units|distance-unit|frame-ms|first-frame)\b")  # see ``einv2.commands.evaluate``
_WHOLE_NUMBERS = re.compile(rb"[0-9,\-\r\n]*")
_HOPS_MS = (10, 20, 25, 40, 50, 80, 200)  # possible frame lengths besides the 100 ms of every DCASE format
_AGREEMENT = 0.3  # two sides belong together if the F of their activity by frame is above this
_CLOSE = 0.95  # above this even a small difference decides
_FITTING = 30.0  # degrees between the directions of two sides, median, up to which the unit is right
_BOUNDS = {
    "frame": (0, dcase_csv.MAX_FRAME),
    "track": (-np.inf, np.inf),
    "azimuth": (-360, 360),
    "elevation": (-90, 90),
    "distance": (0, np.inf),
}


@dataclass(frozen=True)
class Clips:
    """What is evaluated: estimate and reference, frame tables of all clips as written, with notes on their files.

    stems: of the clips, in order; n_frames: (clips,) int, the frames of 100 ms from the first to the last on either side.
    """

    stems: tuple[str, ...]
    estimate: pd.DataFrame
    reference: pd.DataFrame
    classes: tuple[str, ...]
    n_frames: np.ndarray
    notes: tuple[str, ...]


def csv_files(folder: str | Path) -> dict[str, Path]:
    """Stem to file of all CSVs below a folder except class files. ValueError, one sentence, if there are none, or two with one stem."""
    if not Path(folder).is_dir():
        raise ValueError(f"{folder} is no folder: give the one that the CSV files lie in.")
    found: dict[str, Path] = {}
    for path in [p for p in below(folder, ".csv") if not is_class_file(p)]:
        if (other := found.setdefault(path.stem, path)) != path:
            raise ValueError(
                f"{other} and {path} have the same stem, by which files are matched; give one folder of them."
            )
    if not found:
        raise ValueError(f"{folder} holds no CSV files: give the folder that they lie in.")
    return found


def read_clips(
    estimates: Mapping[str, Path | bytes],
    references: Mapping[str, Path | bytes],
    classes: tuple[str, ...],
    progress: Callable[[float, str], None] = lambda share, what: None,
    reading: Reading = USUAL,
    reference_reading: Reading = USUAL,
    measure: str | None = None,
) -> Clips:
    """The clips that both sides have, given as stem to CSV file, or its bytes.

    ``progress`` is called with the share that is done and what is being done; it may raise to stop. reading and
    reference_reading: what is known about the layout of either side's files. measure: the one that was asked for; that of 2025
    implies its layout. OSError or ValueError, one sentence that names the
    file, if one cannot be read; ValueError if no stem is on both sides.
    """
    stems = sorted(estimates.keys() & references.keys())
    if not stems:
        raise ValueError(
            f"no prediction has the stem of a ground truth, by which they are matched: {named(estimates)} on one side, "
            f"{named(references)} on the other."
        )
    progress(0.0, f"Reading {len(stems)} predictions")
    system = _read_side({s: estimates[s] for s in stems}, classes, reading, measure=measure)
    progress(0.5, f"Reading {len(stems)} ground truths")
    with flags_of("reference-"):
        truth = _read_side({s: references[s] for s in stems}, classes, reference_reading, system.columns, measure)
    if system.unsettled:
        system = _read_side({s: estimates[s] for s in stems}, classes, reading, truth.columns, measure)
    system, truth = _with_settled_angles(system, truth)
    estimate, reference, converted = _in_cm(system, truth)
    if reading.frame_ms is None and reading.first_frame is None:
        estimate, timed = _in_label_frames(estimate, reference)
        converted += timed
    notes = _unmatched(estimates, references) + _said(system, truth, stems) + converted
    notes += _classes_from_one(estimate, reference) + _oddities(estimate, reference, stems)
    n_frames = np.zeros(len(stems), np.int64)
    for table in (estimate, reference):
        np.maximum.at(n_frames, clip_of(table), table["frame"].to_numpy() + 1)
    return Clips(tuple(stems), estimate, reference, tuple(classes), n_frames, tuple(notes))


def frames_beyond(clips: Clips, n_frames: Sequence[int | None]) -> list[str]:
    """Notes on rows after the end of the recordings, given their lengths in frames, None where unknown."""
    notes: list[str] = []
    if not n_frames:
        return notes
    ends = np.array([np.iinfo(np.int64).max if n is None else n for n in n_frames])
    for side, table in (("predictions", clips.estimate), ("ground truth", clips.reference)):
        beyond = table["frame"].to_numpy() >= ends[clip_of(table)]
        if n := np.count_nonzero(beyond):
            where = named([clips.stems[k] for k in np.unique(clip_of(table)[beyond])])
            notes.append(f"{_rows(int(n), 'lie', side)} after the end of the recording ({where}). Kept.")
    return notes


def tidied(clips: Clips) -> Clips:
    """The clips with azimuths in [-180, 180), and track numbers that tell apart the rows of one frame and class.

    Where the numbers of a class in a clip do not, its rows are linked by their directions; single repeats get new numbers.
    """
    return replace(clips, estimate=_with_numbers(clips.estimate), reference=_with_numbers(clips.reference))


def _with_numbers(table: pd.DataFrame) -> pd.DataFrame:
    table = table.assign(azimuth=geometry.wrap_azimuth(table["azimuth"].to_numpy()))
    if nameless := _without_numbers(table):
        track, clip, index = (table[c].to_numpy(copy=True) for c in ("track", "clip", "class"))
        for n, c in nameless:
            rows = np.flatnonzero((clip == n) & (index == c))
            track[rows] = linked(table.iloc[rows])
        table = table.assign(track=track)
    return frame_tables.distinct_instances(table)


def _without_numbers(table: pd.DataFrame) -> list[tuple[int, int]]:
    """(clip, class) of which in most frames with several rows these share a track number."""
    frame = table.groupby(["clip", "class", "frame"])["track"].agg(["size", "nunique"])
    several = frame[frame["size"] > 1]
    shared = (several["nunique"] < several["size"]).groupby(["clip", "class"]).mean()
    return [*shared.index[shared > 0.5]]


@dataclass(frozen=True)
class ClassEvidence:
    """The classes that many CSVs contain. largest: class index, -1 without any; place: the file and line that have it. names:
    the class names in those that name them, by stem. ranged: stems of the others that have distances."""

    largest: int
    place: str
    ranged: frozenset[str]
    names: dict[str, frozenset[str]]


def class_evidence(files: Mapping[str, Path | bytes], reading: Reading = USUAL) -> ClassEvidence:
    """Read only for their classes. ValueError, one sentence, if a file is no table."""
    stems, contents = [*files], [_bytes(file) for file in files.values()]
    said = [_name(stem, file) for stem, file in files.items()]
    tables, done = _read_plain(contents, class_lists.MOST_CLASSES) if reading == USUAL else ([], set())
    largest = {int(n): int(k) for t in tables for n, k in t.groupby("clip", as_index=False)["class"].max().to_numpy()}
    ranged = {stems[n] for t in tables for n in t["clip"][t["distance"].notna()].unique()}
    names: dict[str, frozenset[str]] = {}
    for n in {*range(len(contents))} - done:
        written = csv_layout.parse(csv_layout.decode(contents[n], said[n]), said[n], reading)
        if written is None:
            continue
        rows = written.rows
        if "class" in rows and pd.api.types.is_numeric_dtype(rows["class"]):
            largest |= {n: int(rows["class"].max())} if len(rows) else {}
            if "distance" in rows and (rows["distance"] > 0).any():
                ranged.add(stems[n])
        else:
            names[stems[n]] = frozenset(rows["class" if "class" in rows else "name"].astype(str))
    first = max(largest, key=largest.__getitem__, default=None)
    place = "" if first is None else f"{Path(said[first]).name}{_line_of(largest[first], contents[first], reading)}"
    return ClassEvidence(-1 if first is None else largest[first], place, frozenset(ranged), names)


def _line_of(index: int, content: bytes, reading: Reading) -> str:
    """ ", line N" with the first line that has this class index."""
    written = csv_layout.parse(csv_layout.decode(content, ""), "", reading)
    assert written is not None
    return f", line {written.lines[int((written.rows['class'] == index).to_numpy().argmax())]}"


def read_many(files: Mapping[str, Path | bytes], classes) -> pd.DataFrame:
    """The frame tables of many CSVs, as written (see ``dcase_csv.read_csv``), in one with a column ``clip``: the place in ``files``.

    Files of whole numbers, which nearly all are, are parsed together. ValueError, one sentence that names the file and line.
    """
    return _read_side(files, classes).table


@dataclass(frozen=True)
class _Side:
    """The files of one side: their table, the clips that each note is about, how many files have which columns, and the clips whose
    columns or units are undecided."""

    table: pd.DataFrame
    notes: dict[str, list[int]] = field(default_factory=dict)
    columns: Counter = field(default_factory=Counter)
    unsettled: bool = False
    doubtful_distances: frozenset[int] = frozenset()
    small_angles: Mapping[int, str] = field(default_factory=dict)  # the unit in which each is read that has no others

    @property
    def all_small(self) -> bool:
        """Whether all tables with rows may be in degrees or in radians."""
        return bool(self.small_angles) and {*self.table["clip"].unique().tolist()} <= self.small_angles.keys()

    @property
    def notes_without_angles(self) -> dict[str, list[int]]:
        return {note: clips for note, clips in self.notes.items() if note not in csv_layout.SMALL_ANGLES.values()}


def _read_side(
    files: Mapping[str, Path | bytes],
    classes,
    reading: Reading = USUAL,
    others: Counter | None = None,
    measure: str | None = None,
) -> _Side:
    """others: how many other files have which columns."""
    others = others or Counter()
    expected: Counter = Counter({csv_layout.STEREO: 1}) if measure == "dcase2025" else Counter()
    contents = [_bytes(content) for content in files.values()]
    names = [_name(stem, file) for stem, file in files.items()]
    tables, done = _read_plain(contents, len(classes)) if reading == USUAL else ([], set())
    columns: Counter = Counter(POLAR[_width(contents[n]) or 0] for n in done)
    left = [n for n in range(len(contents)) if n not in done]
    try:
        found = {n: dcase_csv.read(io.BytesIO(contents[n]), classes, names[n], True, reading) for n in left}
    except dcase_csv.TooManyClasses:
        evidence = class_evidence(files, reading)  # the class list that is asked for is long enough for all files
        file, _, line = evidence.place.rpartition(", line ")
        raise dcase_csv.TooManyClasses(file, evidence.largest, int(line), len(classes)) from None
    written = {n: read.written for n, read in found.items() if read.written is not None}
    columns += Counter(w.columns for w in written.values() if w.alternative is None)
    notes: dict[str, list[int]] = {}
    unsettled = False
    for n, read in found.items():
        said = read.notes
        if n in written and (other := written[n].alternative):
            of_files, own = columns + others, written[n].columns
            by_files = of_files[own] - of_files[other]
            said, told = written[n].notes, by_files or expected[own] - expected[other]
            if told < 0:
                read = found[n] = dcase_csv.read(
                    io.BytesIO(contents[n]), classes, names[n], True, replace(reading, columns=other)
                )
                why = "other files are" if by_files else f"the tables of {measure} are"
                said = (f"Read as {', '.join(other)}, as {why}.",)
            elif told == 0:
                said, unsettled = read.notes, True
        for note in said:
            notes.setdefault(note, []).append(n)
    tables += [read.frames.assign(clip=n) for n, read in found.items()]
    table = pd.concat(tables) if tables else frame_tables.empty_table().assign(clip=0)
    table = table.sort_values(["clip", "frame"], kind="stable", ignore_index=True)
    doubtful = frozenset(n for n, w in written.items() if w.doubtful_distance)
    small = {n: read.written.units for n, read in found.items() if read.written and read.written.doubtful_angles}
    return _Side(table, notes, columns, unsettled, doubtful, small)


@contextlib.contextmanager
def flags_of(prefix: str) -> Iterator[None]:
    """Within it, errors name the flags of a side (``--reference-columns``) in place of those of the predictions."""
    try:
        yield
    except ValueError as error:
        raise ValueError(with_flags(str(error), prefix)) from None


def with_flags(text: str, prefix: str) -> str:
    """A message on how a table is written, with the flags of another side than the predictions."""
    return _READING_FLAG.sub(rf"--{prefix}\1", text)


def reading_notes(files: Mapping[str, Path | bytes], classes) -> list[str]:
    """The notes on how files were read, each once with the files that it is about."""
    side = _read_side(files, classes)
    return [f"{_files(clips, [*files])}: {note}" for note, clips in side.notes.items()]


def _files(clips: list[int], stems: list[str], what: str = "files") -> str:
    return f"{len(clips)} of {len(stems)} {what} ({named([stems[n] for n in clips])})"


def _said(system: _Side, truth: _Side, stems: list[str]) -> list[str]:
    """The notes on how files were read, each once a side."""
    said = []
    for what, side in (("predictions", system), ("ground truth", truth)):
        for note, clips in side.notes.items():
            who = what.capitalize() if len(clips) == len(stems) else _files(clips, stems, f"files of the {what}")
            said.append(f"{who}: {note if side is system else with_flags(note, 'reference-')}")
    return said


def _read_plain(contents: list[bytes], n_classes: int) -> tuple[list[pd.DataFrame], set[int]]:
    """(tables, places) of those files that are what most are: whole numbers and nothing odd."""
    tables, done = [], set()
    for width in POLAR:
        places = [n for n, content in enumerate(contents) if _width(content) == width]
        if places and (table := _read_together([contents[n] for n in places], width, n_classes)) is not None:
            table = table.assign(clip=np.array(places)[table["clip"]])
            usual = {*places} - _unusual(table, width)
            tables.append(table[table["clip"].isin(usual)])
            done |= usual
    return tables, done


def _unusual(table: pd.DataFrame, width: int) -> set[int]:
    """The clips whose values may have another meaning than in most files; these are read one by one."""
    near = table[["track", "azimuth", "elevation"]].abs().max(axis=1)
    by_clip = table.assign(near=near).groupby("clip")
    track = by_clip["track"]
    odd = (track.min() < 0) | (track.max() > csv_layout.MOST_TRACKS) | ((by_clip["near"].max() <= 1) & (width > 4))
    if width == 6:
        odd |= ~(by_clip["distance"].max() > csv_layout.NEAR_METRES)
    return {*odd.index[odd]}


def _bytes(content: Path | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    with open(content, "rb") as file:
        return file.read(dcase_csv.MAX_BYTES + 1)


def _name(stem: str, file: Path | bytes) -> str:
    return f"{stem.removesuffix('.csv')}.csv" if isinstance(file, bytes) else str(file)


def _width(content: bytes) -> int | None:
    """The columns of a table of whole numbers without blank lines; None for anything else."""
    content = content.strip(b"\r\n")
    if not content or len(content) > dcase_csv.MAX_BYTES or not _WHOLE_NUMBERS.fullmatch(content):
        return None
    if b"\n\n" in content or b"\n\r" in content or b"\r" in content.replace(b"\r\n", b""):
        return None
    return content.partition(b"\n")[0].count(b",") + 1


def _read_together(contents: list[bytes], width: int, n_classes: int) -> pd.DataFrame | None:
    """One table of files of whole numbers and one width, ``clip`` being their place; None if a value is invalid."""
    contents = [content.strip(b"\r\n") for content in contents]
    rows = np.array([content.count(b"\n") + 1 for content in contents])
    try:
        table = pd.read_csv(io.BytesIO(b"\n".join(contents)), header=None, dtype=np.int64)
    except (ValueError, OverflowError):  # pandas' ParserError is a ValueError
        return None
    if table.shape != (rows.sum(), width):
        return None
    table.columns = list(POLAR[width])
    for column, (low, high) in (_BOUNDS | {"class": (0, n_classes - 1)}).items():
        if column in table and not table[column].between(low, high).all():
            return None
    distance = table["distance"].astype(float) if "distance" in table else pd.Series(np.nan, table.index)
    table = table.assign(clip=np.repeat(np.arange(len(rows)), rows), distance=distance.mask(distance == 0))
    return table.assign(track=table.get("track", 0), **{c: table[c].astype(float) for c in ("azimuth", "elevation")})[
        [*frame_tables.FRAME_COLUMNS, "clip"]
    ]


def _in_cm(system: _Side, truth: _Side) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Both tables with distances in cm, and a note if those of the predictions were in metres, as the official baseline of 2024 writes
    them."""
    reference = _settled_distances(truth, system.table)
    estimate = _settled_distances(system, reference)
    found, true = (t["distance"].dropna() for t in (estimate, reference))
    if not (len(found) and len(true)):
        return estimate, reference, []
    if found.median() > LARGER_BY * true.median():
        note = (
            f"The distances of the predictions (median {found.median():.0f} cm) are {found.median() / true.median():.0f} times those "
            f"of the ground truth ({true.median():.0f} cm): see that both are in cm or in metres."
        )
        return estimate, reference, [note]
    if not found.median() * METRES_ABOVE < true.median():
        return estimate, reference, []
    note = (
        f"The distances of the predictions (median {found.median():.3g}) are to those of the ground truth ({true.median():.3g} cm) as "
        "metres are. Read as metres."
    )
    return estimate.assign(distance=100 * estimate["distance"]), reference, [note]


def _settled_distances(side: _Side, other: pd.DataFrame) -> pd.DataFrame:
    """The table of a side in which small whole distances, read as metres, are cm if those of the other side are so small."""
    doubtful = side.table["clip"].isin(side.doubtful_distances).to_numpy()
    found, true = side.table["distance"][doubtful].median(), other["distance"].median()
    if not (np.isfinite(found) and np.isfinite(true)) or abs(np.log(found / true)) < abs(np.log(found / 100 / true)):
        return side.table
    return side.table.assign(distance=np.where(doubtful, side.table["distance"] / 100, side.table["distance"]))


def _with_settled_angles(system: _Side, truth: _Side) -> tuple[_Side, _Side]:
    """Both sides, with small angles in the unit in which they fit the other side best, if that has larger ones."""
    small = system.all_small or truth.all_small
    if small and all(side.all_small for side in (system, truth) if len(side.table)):
        unit = "radians" if "radians" in {*system.small_angles.values(), *truth.small_angles.values()} else "degrees"
        return _in_unit(system, unit, True), _in_unit(truth, unit, True)
    return _settled_angles(system, truth), _settled_angles(truth, system)


def _settled_angles(side: _Side, other: _Side) -> _Side:
    """A side in the unit of the other one, if that is certain. A table that is certain implies that the others of
    its side are in degrees."""
    if not side.all_small:
        return _in_unit(side, "degrees")
    apart = {unit: _distance_apart(_in_unit(side, unit).table, other.table) for unit in csv_layout.SMALL_ANGLES}
    if not min(apart.values()) <= _FITTING:  # so it is with NaN, too
        return _in_unit(side, "radians" if "radians" in side.small_angles.values() else "degrees", True)
    if apart["degrees"] <= apart["radians"]:
        return _in_unit(side, "degrees")
    note = "Read as radians, in which the angles fit those of the other side (--units)."
    return replace(_in_unit(side, "radians"), notes=side.notes_without_angles | {note: sorted(side.small_angles)})


def _in_unit(side: _Side, unit: str, is_said: bool = False) -> _Side:
    """A side with its small angles in one unit; is_said: with the note on that."""
    table, notes = side.table, side.notes_without_angles
    wrong = [clip for clip, found in side.small_angles.items() if found != unit]
    factor = np.where(table["clip"].isin(wrong), 180 / np.pi if unit == "radians" else np.pi / 180, 1.0)
    notes |= {csv_layout.SMALL_ANGLES[unit]: sorted(side.small_angles)} if is_said and side.small_angles else {}
    return replace(side, table=table.assign(**{c: table[c] * factor for c in ("azimuth", "elevation")}), notes=notes)


def _distance_apart(table: pd.DataFrame, other: pd.DataFrame) -> float:
    """The median distance, in degrees, between the rows of one frame and class and their nearest on the other side; NaN without any."""
    rows = table.reset_index().merge(other, on=["clip", "frame", "class"], suffixes=("", "_other"))
    if not len(rows):
        return np.nan
    here, there = (geometry.to_vector(rows[f"azimuth{s}"], rows[f"elevation{s}"]) for s in ("", "_other"))
    return float(rows.assign(apart=geometry.distance(here, there)).groupby("index")["apart"].min().median())


def _in_label_frames(estimate: pd.DataFrame, reference: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The estimate in frames of 100 ms, and a note if its frames had another length, which is seen from what sounds when."""
    if not len(estimate) or not len(reference):
        return estimate, []
    as_is = _agreement(estimate, reference)
    by_hop = {hop: dcase_csv.resampled(estimate, hop) for hop in _HOPS_MS} if as_is < 0.9 else {}
    agreed = {hop: _agreement(table, reference) for hop, table in by_hop.items()}
    best = max(agreed, key=agreed.__getitem__, default=LABEL_FRAME_MS)
    if agreed.get(best, 0) > min(max(_AGREEMENT, 2 * as_is), _CLOSE):
        note = (
            f"The frames of the predictions fit the ground truth as frames of {best} ms, not of {LABEL_FRAME_MS} ms. Read as such "
            "(--frame-ms)."
        )
        return by_hop[best].sort_values(["clip", "frame"], kind="stable", ignore_index=True), [note]
    earlier = estimate.assign(frame=estimate["frame"] - 1)
    if as_is < 1 and earlier["frame"].min() >= 0 and (shifted := _agreement(earlier, reference)) > max(_CLOSE, as_is):
        return estimate, [
            f"The frames of the predictions agree with the ground truth best if they count from 1 ({shifted:.3f} against {as_is:.3f}). "
            "Read from 0 (--first-frame 1)."
        ]
    return estimate, []


def _classes_from_one(estimate: pd.DataFrame, reference: pd.DataFrame) -> list[str]:
    """A note if the classes of the predictions fit those of the ground truth only when they count from 1."""
    earlier = estimate.assign(**{"class": estimate["class"] - 1})
    if not len(estimate) or earlier["class"].min() < 0 or (as_is := _agreement(estimate, reference)) > 0.5:
        return []
    if (shifted := _agreement(earlier, reference)) <= _CLOSE:
        return []
    return [
        f"The classes of the predictions agree with the ground truth best if they count from 1 ({shifted:.3f} against {as_is:.3f}). "
        "Read from 0, as the class list counts: write them from 0."
    ]


def _agreement(estimate: pd.DataFrame, reference: pd.DataFrame) -> float:
    """F of the activity of classes, by frame and clip."""
    found, true = (np.unique(k) for k in keys(("frame", "class"), estimate, reference))
    return 2 * len(np.intersect1d(found, true, assume_unique=True)) / max(len(found) + len(true), 1)


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
    """Notes on what is unusual in the rows, and how it is treated."""
    notes = []
    last = np.full(len(stems), -1)
    np.maximum.at(last, clip_of(reference), reference["frame"].to_numpy())
    has = [table["distance"].notna().any() for table in (estimate, reference)]
    if any(has) and not all(has) and len(estimate) and len(reference):
        side = "predictions have" if has[0] else "ground truth has"
        notes.append(f"Only the {side} distances: the measures of 2024 and 2025 look at directions alone.")
    for side, table in (("predictions", estimate), ("ground truth", reference)):
        repeated = table.duplicated(["clip", "frame", "class", "azimuth", "elevation"]).to_numpy()
        if n := np.count_nonzero(repeated):
            where = named([stems[k] for k in np.unique(clip_of(table)[repeated])])
            notes.append(
                f"{_rows(int(n), 'repeat', side)} another of their frame, class and direction ({where}). Kept: the official code from "
                "2021 on counts each as an instance."
            )
        if nameless := _without_numbers(table):
            where = named([stems[k] for k, _ in nameless])
            notes.append(
                f"Track numbers of the {side} do not tell instances of a class apart ({where}). Each row counts as an instance; where "
                "tracks are followed, rows are linked by their directions."
            )
        if n := np.count_nonzero(table["azimuth"].to_numpy() >= 180):
            notes.append(
                f"{_rows(int(n), 'have', side)} an azimuth of 180 degrees or more. Read as the same minus 360."
            )
    if silent := [stem for stem, frame in zip(stems, last) if frame < 0]:
        notes.append(
            f"{_count(silent, 'ground truth')} without events: {named(silent)}. The official measures look at nothing there."
        )
    beyond = estimate["frame"].to_numpy() > last[clip_of(estimate)]
    if n := np.count_nonzero(beyond):
        where = named([stems[k] for k in np.unique(clip_of(estimate)[beyond])])
        notes.append(
            f"{_rows(int(n), 'lie', 'predictions')} after the last event of the ground truth ({where}). Scores do not look "
            "there, as in the official code from 2022 on; that of 2020 and 2021 looks at 60 s of every clip, for which "
            "there is a setting (--seconds 60). The error types look everywhere."
        )
    return notes


def _rows(n: int, verb: str, side: str) -> str:
    """ "1 row of the predictions lies", "2 rows of the ground truth lie"."""
    verb = {"have": "has"}.get(verb, f"{verb}s") if n == 1 else verb
    return f"{counted(n, 'row')} of the {side} {verb}"


def _count(items, what: str) -> str:
    return f"{len(items)} {what}{'s' if len(items) != 1 else ''}"


def named(stems) -> str:
    """The first few, and how many more."""
    stems = sorted(stems)
    return ", ".join(stems[:NAMED]) + (f" and {len(stems) - NAMED} more" if len(stems) > NAMED else "")
