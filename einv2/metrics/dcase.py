"""The DCASE challenge's joint measures of detection and localisation, of 2020 to 2025, as the official code computes them.

Mesaros et al., "Joint Measurement of Localization and Detection of Sound Events", WASPAA 2019; Politis et al., "Overview and
Evaluation of Sound Event Localization and Detection in DCASE 2019", TASLP 2020; and the code that came with each challenge.
References and estimates are frame tables (see ``einv2.labels.frame_tables``) of one clip, or of many with a column ``clip``.
Units: degrees, frames of 100 ms, segments of 10 frames; ER, F and LR are plain numbers, F and LR in [0, 1]. K classes.

Every measure counts per clip and class (``tally``), adds up over clips, and computes its rates from the sums (``Tally.scores``). What
differs between the years is data: a ``Measure`` each, in ``MEASURES``.

    dcase2020  a class counts once in a segment, however many instances it has. Both sides have it: the mean, over the frames
               common to both, of the least total distance of the frame decides; at most T degrees is a hit, more is a miss
               (and no false alarm). F and LR are harmonic means of precision and recall.
    dcase2021  an instance counts: n of them in a segment if n sound at once in some frame. In each common frame instances are
               matched at least total distance, and the mean over frames decides for each: a hit, or "far", a false alarm in the
               wrong place. Surplus instances are false alarms or misses. Micro average: over all instances.
    dcase2022  the same counts, far ones weighing twice as much in F as in 2021; macro average: F, LE, LR and SELD are means over
    dcase2023  classes, absent ones with F and LR 0 and LE 180; ER stays a micro average.
    dcase2024  frames take the place of segments. A class never matched has no LE, and is left out of its mean and that of SELD.
               Where both sides carry distances: a hit also needs a relative distance error of at most 1, DE and RDE are the
               means of the error and of the relative error, and SELD is the mean of 1 - F, LE / 180 and RDE.
    dcase2025  the same for stereo: of a direction only the azimuth counts, folded into [-90, 90], the back onto the front. Official
               are F, LE (the error of the folded azimuth), DE and RDE, of sound alone; ER, LR and SELD are as in 2024.

Peculiarities of the official code are kept, so that scores compare with published ones:

- Nothing after the reference's last frame is looked at, nor is that frame itself where it opens a segment (2024: never). This is what
  the scripts from 2022 on do; those of 2020 and 2021, and of the EINV2 paper, look at 60 s of every clip, as n_frames = 600 does: false
  alarms after the last event count there.
- Where a class is in a segment on both sides but never in the same frame, the misses of 2021 to 2023 are as many as the *system's*
  instances.
- Up to 2023 an instance is identified by its place among the rows of its frame, so a row that is written twice is two instances. In
  2024 and 2025 it is identified by its track number; a number that is repeated in a frame and class is a further instance (in the
  official code of 2024 since 2024-06-18). Of more than ten instances of a class 2025 keeps ten.
- In 2024 unit vectors are shortened a little, so that equal directions are 0.0008 degrees apart.
- A distance of 0 means unknown in the reference; in an estimate it is 0, unless the clip has no other distances.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from .. import matching
from ..frames import LABEL_FRAMES_PER_SECOND
from ..labels import frame_tables
from .common import none_if_nan, shares

THRESHOLD_DEGREES = 20.0
RELATIVE_DISTANCE = 1.0  # error of distance / true distance, up to which an estimate is a hit from 2024 on
MOST_INSTANCES = 10  # of a class in a frame, in 2025

PER_CLASS = (
    "hits", "far", "misses", "false_alarms", "reference", "system", "matched", "degrees", "ranged", "relative_distance",
    "distance", "errors",
)  # fmt: skip
PER_CLIP = ("substitutions", "deletions", "insertions")


@dataclass(frozen=True)
class Tally:
    """What a measure adds up: ``counts`` by clip and class, arrays (..., K), and by clip, (...). ``+`` and ``sum`` join clips.

    By clip and class (``PER_CLASS``): hits: found within the threshold; far: found beyond it; misses and false_alarms: on one side
    only; reference and system: what each side has; matched: found at all, with the sum of their ``degrees`` of error; ranged: of
    these, pairs with a distance on both sides, with the sums of their error (``distance``, cm) and ``relative_distance`` error;
    errors: the sum over segments of max(false alarms, misses).

    By clip (``PER_CLIP``): a segment's false alarms and misses, over all classes, where one of them includes the far ones
    (``Measure.far_counts_as``), are paired as ``substitutions``; the rest are ``deletions`` and ``insertions``.
    """

    measure: str
    counts: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.counts[name]

    @property
    def n_clips(self) -> int:
        """How many clips there are in a tally that has not been summed."""
        return len(self["substitutions"])

    def each(self, function: Callable[[np.ndarray], np.ndarray]) -> "Tally":
        """The tally with ``function`` applied to each array."""
        return Tally(self.measure, {name: function(counts) for name, counts in self.counts.items()})

    def sum(self, axis: int = 0) -> "Tally":
        """Clips added up."""
        return self.each(lambda counts: counts.sum(axis))

    def __add__(self, other: "Tally") -> "Tally":
        if self.measure != other.measure:
            raise ValueError(f"counts of {self.measure} and of {other.measure} do not add up")
        return Tally(self.measure, {name: counts + other[name] for name, counts in self.counts.items()})

    def scores(self) -> dict[str, np.ndarray]:
        """ER, F, LE (degrees), LR, SELD and, from 2024 on where there are distances, RDE and DE (cm): each (...), with K summed or
        averaged."""
        wrong = self["substitutions"] + self["deletions"] + self["insertions"]
        error_rate = wrong / np.maximum(self["reference"].sum(-1), 1)
        if not MEASURES[self.measure].macro:
            total = {name: counts.sum(-1) for name, counts in self.counts.items() if name in PER_CLASS}
            return {"ER": error_rate, **_rates(MEASURES[self.measure], total, error_rate)}
        classes = _rates(MEASURES[self.measure], self.counts, error_rate[..., None])
        with np.errstate(invalid="ignore"):
            return {"ER": error_rate, **{k: _mean_of_known(v) for k, v in classes.items()}}

    def class_scores(self) -> dict[str, np.ndarray]:
        """F, LE, LR and SELD of each class, (..., K), and ER: in 2020 and 2021 that of the class; later, as in the official code,
        there is one for all, which SELD contains. NaN where a class was never matched, from 2024 on."""
        if MEASURES[self.measure].macro:
            error_rate = np.broadcast_to(self.scores()["ER"][..., None], self["hits"].shape)
        else:
            error_rate = self["errors"] / np.maximum(self["reference"], 1)
        return {"ER": error_rate, **_rates(MEASURES[self.measure], self.counts, error_rate)}


def _rates(measure: "Measure", n: dict[str, np.ndarray], error_rate: np.ndarray) -> dict[str, np.ndarray]:
    """F, LE, LR, SELD, RDE and DE of counts."""
    if measure.harmonic_means:
        f, lr = (shares(2 * n[found], n["system"] + n["reference"], 0.0) for found in ("hits", "matched"))
    else:
        f = shares(n["hits"], n["hits"] + measure.far_weight * n["far"] + (n["false_alarms"] + n["misses"]) / 2, 0.0)
        lr = shares(n["matched"], n["matched"] + n["misses"], 0.0)
    le = shares(n["degrees"], n["matched"], measure.le_without_match)
    rates = {"F": f, "LE": le, "LR": lr}
    has_distances = measure.scores_distances and n["ranged"].any()
    if has_distances:
        rates["RDE"] = shares(n["relative_distance"], n["ranged"])
        parts = [1 - f, le / 180, rates["RDE"]]
    else:
        parts = [error_rate, 1 - f, le / 180, 1 - lr]
    rates["SELD"] = _mean_of_known(np.stack(np.broadcast_arrays(*parts), -1))
    return rates | ({"DE": shares(n["distance"], n["ranged"])} if has_distances else {})


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without NaN; NaN where nothing else is there."""
    known = ~np.isnan(values)
    return shares(np.where(known, values, 0).sum(-1), known.sum(-1))


def tally(
    reference: pd.DataFrame,
    estimate: pd.DataFrame,
    n_classes: int,
    measure: str = "dcase2020",
    threshold: float = THRESHOLD_DEGREES,
    n_clips: int | None = None,
    n_frames: int | None = None,
) -> Tally:
    """Counts (n_clips, K); of one clip, without n_clips, (K,).

    n_clips: the number of clips in tables that have a column ``clip``, from 0. threshold: degrees. n_frames: how many frames of every
    clip are looked at; without it as many as the reference's last frame implies. ValueError on an unknown measure, or on a class
    outside [0, n_classes).
    """
    return tallies(reference, estimate, n_classes, (measure,), threshold, n_clips, n_frames)[measure]


def tallies(
    reference: pd.DataFrame,
    estimate: pd.DataFrame,
    n_classes: int,
    measures: Iterable[str] | None = None,
    threshold: float = THRESHOLD_DEGREES,
    n_clips: int | None = None,
    n_frames: int | None = None,
) -> dict[str, Tally]:
    """Counts by several measures, by default all, sharing what they have in common; otherwise as ``tally``."""
    measures = tuple(MEASURES if measures is None else measures)
    for name in measures:
        if name not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}, not {name!r}")
    highest = max((int(t["class"].max()) for t in (reference, estimate) if len(t)), default=0)
    if highest >= n_classes:
        raise ValueError(f"class {highest} in the table, but n_classes is {n_classes}")
    matched: dict[tuple, _Matched] = {}
    tallied: dict[tuple, Tally] = {}
    found: dict[str, Tally] = {}
    for name in measures:
        measure = MEASURES[name]
        rows = measure.segment_frames, measure.distance, measure.instances
        if rows not in matched:
            matched[rows] = _match(measure, reference, estimate, n_clips or 1, n_frames)
        counting = *rows, measure.count, measure.far_counts_as
        if counting not in tallied:
            counted = measure.count(matched[rows], threshold)
            tallied[counting] = _add_up(measure, matched[rows].cells, counted, n_clips or 1, n_classes)
        found[name] = replace(tallied[counting], measure=name)
    return (
        found if n_clips is not None else {name: counts.each(lambda array: array[0]) for name, counts in found.items()}
    )


def evaluate(
    pairs: Iterable[tuple[pd.DataFrame, pd.DataFrame]],
    n_classes: int,
    measure: str = "dcase2020",
    threshold: float = THRESHOLD_DEGREES,
) -> dict[str, Any]:
    """Scores over clips, each a pair (reference, estimate) of frame tables: ER, F, LE, LR, SELD and ``per_class``.

    ``per_class`` is a list of K dictionaries with the same keys and ``n_reference``: the reference's counts of the class, in
    class-seconds (2020), instance-seconds (2021 to 2023) or instance-frames (from 2024 on). None where a score has no value.
    """
    return report(tally_pairs(pairs, n_classes, measure, threshold).sum())


def tally_pairs(
    pairs: Iterable[tuple[pd.DataFrame, pd.DataFrame]],
    n_classes: int,
    measure: str = "dcase2020",
    threshold: float = THRESHOLD_DEGREES,
    n_frames: int | None = None,
) -> Tally:
    """Counts (clips, K) of clips, each a pair (reference, estimate) of frame tables. n_frames: see ``tally``."""
    clips = [[side.assign(clip=n) for side in pair] for n, pair in enumerate(pairs)]
    reference, estimate = (pd.concat(side) for side in zip(*clips)) if clips else 2 * [frame_tables.empty_table()]
    return tally(reference, estimate, n_classes, measure, threshold, len(clips), n_frames)


def report(total: Tally) -> dict[str, Any]:
    """The scores of a tally (K,) as ``evaluate`` gives them."""
    classes = total.class_scores()
    per_class = [
        {k: none_if_nan(v[c]) for k, v in classes.items()} | {"n_reference": int(n)}
        for c, n in enumerate(total["reference"])
    ]
    return {k: none_if_nan(v) for k, v in total.scores().items()} | {"per_class": per_class}


# The distance of two directions, as the code of each year computes it


def spherical_distance(reference: pd.DataFrame, estimate: pd.DataFrame, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Degrees between rows i and j, by the formula of the official code up to 2023."""
    (a, b), (c, d) = _radians(reference)[:, i], _radians(estimate)[:, j]
    return _degrees(np.sin(b) * np.sin(d) + np.cos(b) * np.cos(d) * np.cos(np.abs(a - c)))


def shortened_distance(reference: pd.DataFrame, estimate: pd.DataFrame, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Degrees between rows i and j, by the formula of the official code of 2024."""
    a, b = _shortened_vectors(reference)[:, i], _shortened_vectors(estimate)[:, j]
    return _degrees(a[0] * b[0] + a[1] * b[1] + a[2] * b[2])


def folded_distance(reference: pd.DataFrame, estimate: pd.DataFrame, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Degrees between the azimuths of rows i and j, the back folded onto the front, as in the official code of 2025."""
    a, b = (_folded(table["azimuth"].to_numpy(float)) for table in (reference, estimate))
    return np.abs(a[i] - b[j])


def _folded(azimuth: np.ndarray) -> np.ndarray:
    azimuth = (azimuth + 180) % 360 - 180
    return np.where(azimuth < -90, -180 - azimuth, np.where(azimuth > 90, 180 - azimuth, azimuth))


def _shortened_vectors(table: pd.DataFrame) -> np.ndarray:
    azimuth, elevation = _radians(table)
    level = np.cos(elevation)
    x, y, z = np.cos(azimuth) * level, np.sin(azimuth) * level, np.sin(elevation)
    return np.stack([x, y, z]) / np.sqrt(x**2 + y**2 + z**2 + 1e-10)


def _radians(table: pd.DataFrame) -> np.ndarray:
    """(2, N), azimuth and elevation. Operations are in the order of the official code: whole degrees are often exactly 20 apart,
    and the last bit decides whether that is a hit."""
    return table[["azimuth", "elevation"]].to_numpy(float).T * np.pi / 180


def _degrees(cosine: np.ndarray) -> np.ndarray:
    return np.arccos(np.clip(cosine, -1, 1)) * 180 / np.pi


# What is counted: which rows, in which cells


@dataclass(frozen=True)
class _Cells:
    """Where something can be counted: one class in one segment of a clip, N of them, each with the most that sounds at once."""

    clip: np.ndarray
    segment: np.ndarray  # distinct over clips
    class_index: np.ndarray
    n_reference: np.ndarray
    n_system: np.ndarray
    of_reference: np.ndarray  # the cell of each reference row
    place: np.ndarray  # of each reference row among those of its frame and class

    @classmethod
    def of(cls, reference: pd.DataFrame, estimate: pd.DataFrame, segment_frames: int) -> "_Cells":
        tables = [t.assign(segment=t["frame"] // segment_frames) for t in (reference, estimate)]
        cell_keys = frame_tables.keys(("segment", "class"), *tables)
        unique, cell = np.unique(np.concatenate(cell_keys), return_inverse=True)
        cells = np.split(cell, [len(reference)])
        places = [pd.Series(k).groupby(k).cumcount().to_numpy() for k in frame_tables.keys(("frame", "class"), *tables)]
        most = [np.zeros(len(unique), np.int64) for _ in tables]
        for counts, rows, place in zip(most, cells, places):
            np.maximum.at(counts, rows, place + 1)
        where = pd.concat(tables)
        first = np.zeros(len(unique), np.int64)
        first[cell] = np.arange(len(cell))
        segment = frame_tables.keys(("segment",), where)[0]
        clip, segment, index = (a[first] for a in (frame_tables.clip_of(where), segment, where["class"].to_numpy()))
        return cls(clip, segment, index, most[0], most[1], cells[0], places[0])


@dataclass(frozen=True)
class _Matched:
    """The rows that count, their cells, and P pairs of rows that are matched in their frame and class, at these degrees."""

    reference: pd.DataFrame
    estimate: pd.DataFrame
    cells: _Cells
    i: np.ndarray
    j: np.ndarray
    degrees: np.ndarray


def _match(
    measure: "Measure", reference: pd.DataFrame, estimate: pd.DataFrame, n_clips: int, n_frames: int | None
) -> _Matched:
    reference, estimate = _scored(reference, estimate, measure.segment_frames, n_clips, n_frames)
    if measure.scores_distances:
        estimate = _with_distances(estimate)
    reference, estimate = measure.instances(reference), measure.instances(estimate)
    keys = frame_tables.keys(("frame", "class"), reference, estimate)
    i, j = matching.pairs_within(*keys)
    i, j, degrees = matching.least_cost(i, j, keys[0][i], measure.distance(reference, estimate, i, j))
    return _Matched(reference, estimate, _Cells.of(reference, estimate, measure.segment_frames), i, j, degrees)


def _scored(
    reference: pd.DataFrame, estimate: pd.DataFrame, segment_frames: int, n_clips: int, n_frames: int | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of either side that count: up to the end of the segment before which, or in which, the reference's last frame lies;
    with n_frames, up to the end of the segment in which these end."""
    last = np.full(n_clips, n_frames or 0)
    if n_frames is None:
        np.maximum.at(last, frame_tables.clip_of(reference), reference["frame"].to_numpy())
    end = -(-last // segment_frames) * segment_frames
    reference, estimate = (t[t["frame"].to_numpy() < end[frame_tables.clip_of(t)]] for t in (reference, estimate))
    return reference, estimate


def _with_distances(estimate: pd.DataFrame) -> pd.DataFrame:
    """An estimate in which the distances that are 0, which frame tables have as NaN, are 0 in clips that have distances at all."""
    distance = estimate["distance"].to_numpy(float)
    known = np.isin(frame_tables.clip_of(estimate), frame_tables.clip_of(estimate)[~np.isnan(distance)])
    return estimate.assign(distance=np.where(known, np.nan_to_num(distance), distance)) if known.any() else estimate


def _every_row(table: pd.DataFrame) -> pd.DataFrame:
    return table


def _ten_instances(table: pd.DataFrame) -> pd.DataFrame:
    """The rows without those that are lost where a class has more than ten instances in a frame.

    A row takes the place of its track number, or if that is taken the first free one of ten; without any, it replaces the row in
    place 0.
    """
    key = [c for c in ("clip", "frame", "class") if c in table]
    within = table.groupby(key).cumcount().to_numpy()
    if within.max(initial=0) < MOST_INSTANCES:
        return table
    order, lost = np.arange(len(table)), np.zeros(len(table), bool)
    for rows in table.groupby(key).indices.values():
        if len(rows) <= MOST_INSTANCES:
            continue
        places: dict[int, int] = {}
        for row, track in zip(rows, table["track"].to_numpy()[rows]):
            free = track if track not in places and track < MOST_INSTANCES else None
            places[next((n for n in range(MOST_INSTANCES) if n not in places), 0) if free is None else free] = row
        kept = [*places.values()]
        lost[rows] = True
        lost[rows[: len(kept)]] = False
        order[rows[: len(kept)]] = kept
    return table.iloc[order[~lost]]


# How each cell is counted


def _count_classes(matched: _Matched, threshold: float) -> dict[str, np.ndarray]:
    """Counts of each cell, (N,): a class is there or not."""
    cells, i, degrees = matched.cells, matched.i, matched.degrees
    key = frame_tables.keys(("frame", "class"), matched.reference)[0]
    _, first, frame = np.unique(key[i], return_index=True, return_inverse=True)
    total = np.bincount(frame, degrees, len(first))
    n = np.bincount(cells.of_reference[i][first], minlength=len(cells.clip))
    mean = np.bincount(cells.of_reference[i][first], total, len(cells.clip)) / np.maximum(n, 1)
    reference_has, system_has, found = cells.n_reference > 0, cells.n_system > 0, n > 0
    hits = found & (mean <= threshold)
    return {
        "hits": hits,
        "far": found & ~hits,
        "misses": reference_has & ~found,
        "false_alarms": system_has & ~reference_has,
        "reference": reference_has,
        "system": system_has,
        "matched": found,
        "degrees": mean * found,
    }


def _count_instances(matched: _Matched, threshold: float) -> dict[str, np.ndarray]:
    """Counts of each cell, (N,): the instances of a class."""
    cells, i, degrees = matched.cells, matched.i, matched.degrees
    cell, n_cells = cells.of_reference[i], len(cells.clip)
    widest = 1 + int(cells.place.max(initial=0))
    instances, instance = np.unique(cell * widest + cells.place[i], return_inverse=True)
    of_cell, n = instances // widest, np.bincount(instance, minlength=len(instances))
    mean = np.bincount(instance, degrees, len(instances)) / n
    within = mean <= threshold
    found = np.bincount(of_cell, minlength=n_cells)
    hits = np.bincount(of_cell, within, n_cells)
    apart = (cells.n_reference > 0) & (cells.n_system > 0) & (found == 0)
    surplus = cells.n_system - cells.n_reference
    return {
        "hits": hits,
        "far": found - hits,
        "misses": np.where(apart, cells.n_system, np.maximum(-surplus, 0)),
        "false_alarms": np.where(apart, 0, np.maximum(surplus, 0)),
        "reference": cells.n_reference,
        "system": cells.n_system,
        "matched": found,
        "degrees": np.bincount(of_cell, mean, n_cells),
    }


def _count_ranged(matched: _Matched, threshold: float) -> dict[str, np.ndarray]:
    """Counts of instances, (N,), in cells of one frame, where a relative distance error above the limit makes a match far."""
    cell, n_cells = matched.cells.of_reference[matched.i], len(matched.cells.clip)
    true = matched.reference["distance"].to_numpy(float)[matched.i]
    found = matched.estimate["distance"].to_numpy(float)[matched.j]
    error = np.abs(true - found)  # cm, NaN where one side has no distance
    relative = error / (true + np.finfo(float).eps)
    counted = _count_instances(matched, threshold)
    hits = np.bincount(cell, (matched.degrees <= threshold) & ~(relative > RELATIVE_DISTANCE), n_cells)
    return counted | {
        "hits": hits,
        "far": counted["matched"] - hits,
        "ranged": np.bincount(cell, ~np.isnan(relative), n_cells),
        "relative_distance": np.bincount(cell, np.nan_to_num(relative), n_cells),
        "distance": np.bincount(cell, np.nan_to_num(error), n_cells),
    }


def _add_up(measure: "Measure", cells: _Cells, counted: dict[str, np.ndarray], n_clips: int, n_classes: int) -> Tally:
    """Counts of cells as a tally (n_clips, K), not yet of a year."""
    shape, place = (n_clips, n_classes), cells.clip * n_classes + cells.class_index
    missed, alarmed = (
        counted[kind] + counted["far"] * (kind == measure.far_counts_as) for kind in ("misses", "false_alarms")
    )
    counted = counted | {"errors": np.maximum(missed, alarmed)}
    nothing = np.zeros(len(place))
    counts = {
        name: np.bincount(place, counted.get(name, nothing), n_clips * n_classes).reshape(shape) for name in PER_CLASS
    }
    segments, first, segment = np.unique(cells.segment, return_index=True, return_inverse=True)
    missed, alarmed = (np.bincount(segment, errors, len(segments)) for errors in (missed, alarmed))
    paired = np.minimum(missed, alarmed)
    for name, n in zip(PER_CLIP, (paired, missed - paired, alarmed - paired)):
        counts[name] = np.bincount(cells.clip[first], n, n_clips)
    return Tally("", counts)


@dataclass(frozen=True)
class Measure:
    """How the official code of a year counts and scores.

    segment_frames: what one cell of counting spans. distance: degrees between rows. instances: the rows that are kept. count: counts of
    each cell. far_counts_as: what a match beyond the threshold is in ER; far_weight: its weight in the denominator of F.
    harmonic_means: F and LR are harmonic means of precision and recall. macro: F, LE, LR and SELD are means over classes.
    le_without_match: LE of a class that is never matched, degrees. scores_distances: RDE and DE are scored where both sides
    have distances.
    """

    distance: Callable[[pd.DataFrame, pd.DataFrame, np.ndarray, np.ndarray], np.ndarray]
    count: Callable[[_Matched, float], dict[str, np.ndarray]]
    segment_frames: int = LABEL_FRAMES_PER_SECOND
    instances: Callable[[pd.DataFrame], pd.DataFrame] = _every_row
    far_counts_as: str = "false_alarms"
    far_weight: float = 1.0
    harmonic_means: bool = False
    macro: bool = True
    le_without_match: float = 180.0
    scores_distances: bool = False


_2022 = Measure(spherical_distance, _count_instances)
_2024 = Measure(shortened_distance, _count_ranged, segment_frames=1, le_without_match=np.nan, scores_distances=True)
MEASURES = {
    "dcase2020": Measure(spherical_distance, _count_classes, far_counts_as="misses", harmonic_means=True, macro=False),
    "dcase2021": replace(_2022, far_weight=0.5, macro=False),
    "dcase2022": _2022,
    "dcase2023": _2022,
    "dcase2024": _2024,
    "dcase2025": replace(_2024, distance=folded_distance, instances=_ten_instances),
}
