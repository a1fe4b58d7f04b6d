"""The DCASE challenge's joint measures of detection and localisation, of 2020 to 2025, as the official code computes them.

Mesaros et al., "Joint Measurement of Localization and Detection of Sound Events", WASPAA 2019; Politis et al., "Overview and
Evaluation of Sound Event Localization and Detection in DCASE 2019", TASLP 2020; and the code that came with each challenge.
References and estimates are frame tables (see ``einv2.labels.frame_tables``) of one clip, or of many with a column ``clip``.
Units: degrees, frames of 100 ms, segments of 10 frames; ER, F and LR are plain numbers, F and LR in [0, 1].

Every measure counts per clip and class (``tally``), adds up over clips, and takes its rates of the sums (``Tally.scores``):

    dcase2020  a class counts once in a segment, however many instances it has. Both sides have it: the mean, over the frames
               common to both, of the least total distance of the frame decides; at most T degrees is a hit, more is a miss
               (and no false alarm). F and LR are harmonic means of the shares of the system's and of the reference's counts.
    dcase2021  an instance counts: n of them in a segment if n sound at once in some frame. In each common frame instances are
               matched at least total distance, and the mean over frames decides for each: a hit, or "far", a false alarm in the
               wrong place. Surplus instances are false alarms or misses. Micro average: over all instances.
    dcase2022  the same counts, far ones weighing twice as much in F as in 2021; macro average: F, LE, LR and SELD are means over
    dcase2023  classes, absent ones with F and LR 0 and LE 180; ER stays micro.
    dcase2024  frames take the place of segments. A class never matched has no LE, and is left out of its mean and that of SELD.
               Where both sides carry distances: a hit also needs a relative distance error of at most 1, DE and RDE are the
               means of the error and of the relative error, and SELD is the mean of 1 - F, LE / 180 and RDE.
    dcase2025  the same for stereo: of a direction only the azimuth counts, folded into [-90, 90], the back onto the front. Official
               are F, LE (the error of the folded azimuth), DE and RDE, of sound alone; ER, LR and SELD are as in 2024.

Peculiarities of the official code that are kept, so that scores compare with published ones: what lies after the reference's last
frame is not looked at, nor is that frame itself where it opens a segment (2024: ever). So the scripts from 2022 on; those of 2020 and
2021, and of the EINV2 paper, look at 60 s of every clip, which n_frames = 600 does: false alarms after the last event count there.
Where a class is in a segment on both
sides but never in the same frame, the misses of 2021 to 2023 are as many as the *system's* instances; an instance is known by its
place among the rows of its frame, so that a row written twice is two instances. In 2024 and 2025 it is known by its track number,
where one that is repeated in a frame and class is an instance of its own (in the official code of 2024 since 2024-06-18), too;
of more than ten instances of a class 2025 keeps ten. In 2024 unit vectors are shortened a little, so that equal directions are
0.0008 degrees apart. A distance of 0 is unknown on the side of the reference; in an estimate it is 0, unless its clip has no others.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd

from .. import matching
from ..frames import LABEL_FRAMES_PER_SECOND
from ..labels import frame_tables

MEASURES = ("dcase2020", "dcase2021", "dcase2022", "dcase2023", "dcase2024", "dcase2025")
THRESHOLD_DEGREES = 20.0
RELATIVE_DISTANCE = 1.0  # error of distance / true distance, up to which an estimate is a hit from 2024 on
NO_MATCH_DEGREES = 180.0  # the localisation error, up to 2023, of a class that was never found
OF_FRAMES = ("dcase2024", "dcase2025")  # measures that count frames, not segments
MOST_INSTANCES = 10  # of a class in a frame, in 2025
_MACRO = ("dcase2022", "dcase2023", *OF_FRAMES)


@dataclass(frozen=True)
class Tally:
    """Counts by clip and class, arrays (..., K), and by clip, (...): what each measure adds up. ``+`` and ``sum`` join clips.

    hits: found within the threshold; far: found beyond it; misses and false_alarms: on one side only; reference and system:
    what each side has; matched: found at all, with the sum of their ``degrees`` of error; ranged: of these, pairs with a distance
    on both sides, with the sums of their error (cm) and relative error; errors: the sum over segments of max(false alarms, misses).
    A segment's false alarms (2021 on: with the far ones) and misses (2020: with the far ones), over all classes, are paired
    as ``substitutions``; what is left are ``deletions`` and ``insertions``.
    """

    measure: str
    hits: np.ndarray
    far: np.ndarray
    misses: np.ndarray
    false_alarms: np.ndarray
    reference: np.ndarray
    system: np.ndarray
    matched: np.ndarray
    degrees: np.ndarray
    ranged: np.ndarray
    relative_distance: np.ndarray
    distance: np.ndarray
    errors: np.ndarray
    substitutions: np.ndarray
    deletions: np.ndarray
    insertions: np.ndarray

    def each(self, function) -> "Tally":
        """The tally with ``function`` applied to each array."""
        return Tally(self.measure, *(function(getattr(self, f.name)) for f in fields(self)[1:]))

    def sum(self, axis: int = 0) -> "Tally":
        """Clips added up."""
        return self.each(lambda counts: counts.sum(axis))

    def __getitem__(self, clips) -> "Tally":
        """The tally of some of the clips."""
        return self.each(lambda counts: counts[clips])

    def __add__(self, other: "Tally") -> "Tally":
        if self.measure != other.measure:
            raise ValueError(f"counts of {self.measure} and of {other.measure} do not add up")
        return Tally(self.measure, *(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)[1:]))

    def scores(self) -> dict[str, np.ndarray]:
        """ER, F, LE (degrees), LR, SELD and, from 2024 on where there are distances, RDE and DE (cm): each (...), with K summed or
        averaged."""
        wrong = self.substitutions + self.deletions + self.insertions
        error_rate = wrong / np.maximum(self.reference.sum(-1), 1)
        if self.measure not in _MACRO:
            total = self.each(lambda counts: counts if counts.ndim == wrong.ndim else counts.sum(-1))
            return {"ER": error_rate, **total._rates(error_rate)}
        classes = self._rates(error_rate[..., None])
        with np.errstate(invalid="ignore"):
            return {"ER": error_rate, **{k: _mean_of_known(v) for k, v in classes.items()}}

    def class_scores(self) -> dict[str, np.ndarray]:
        """F, LE, LR and SELD of each class, (..., K), and ER: in 2020 and 2021 that of the class; later, as in the official code,
        there is one for all, which SELD contains. NaN where a class was never matched, from 2024 on."""
        if self.measure not in _MACRO:
            error_rate = self.errors / np.maximum(self.reference, 1)
            return {"ER": error_rate, **self._rates(error_rate)}
        error_rate = np.broadcast_to(self.scores()["ER"][..., None], self.hits.shape)
        return {"ER": error_rate, **self._rates(error_rate)}

    def _rates(self, error_rate: np.ndarray) -> dict[str, np.ndarray]:
        """F, LE, LR, SELD, RDE and DE of counts."""
        if self.measure == "dcase2020":
            f, lr = (_ratio(2 * n, self.system + self.reference) for n in (self.hits, self.matched))
        else:
            weight = 0.5 if self.measure == "dcase2021" else 1.0
            f = _ratio(self.hits, self.hits + weight * self.far + (self.false_alarms + self.misses) / 2)
            lr = _ratio(self.matched, self.matched + self.misses)
        never = np.nan if self.measure in OF_FRAMES else NO_MATCH_DEGREES
        le = _ratio(self.degrees, self.matched, never)
        parts = [error_rate, 1 - f, le / 180, 1 - lr]
        rates = {"F": f, "LE": le, "LR": lr}
        ranged = self.measure in OF_FRAMES and self.ranged.any()
        if ranged:
            rates["RDE"] = _ratio(self.relative_distance, self.ranged, np.nan)
            parts = [1 - f, le / 180, rates["RDE"]]
        rates["SELD"] = _mean_of_known(np.stack(np.broadcast_arrays(*parts), -1))
        return rates | ({"DE": _ratio(self.distance, self.ranged, np.nan)} if ranged else {})


def tally(
    estimate: pd.DataFrame,
    reference: pd.DataFrame,
    n_classes: int,
    measure: str = "dcase2020",
    threshold: float = THRESHOLD_DEGREES,
    n_clips: int | None = None,
    n_frames: int | None = None,
) -> Tally:
    """Counts (n_clips, K); of one clip, without n_clips, (K,).

    n_clips: the number of clips in tables that have a column ``clip``, from 0. threshold: degrees. n_frames: how many frames of every
    clip are looked at; without it as many as the reference's last frame says. ValueError on an unknown measure, or on a class
    outside [0, n_classes).
    """
    return tallies(estimate, reference, n_classes, (measure,), threshold, n_clips, n_frames)[measure]


def tallies(
    estimate: pd.DataFrame,
    reference: pd.DataFrame,
    n_classes: int,
    measures: Sequence[str] = MEASURES,
    threshold: float = THRESHOLD_DEGREES,
    n_clips: int | None = None,
    n_frames: int | None = None,
) -> dict[str, Tally]:
    """Counts by several measures, in less time than one after the other; otherwise as ``tally``."""
    for measure in measures:
        if measure not in MEASURES:
            raise ValueError(f"measure must be one of {', '.join(MEASURES)}, not {measure!r}")
    highest = max((int(t["class"].max()) for t in (estimate, reference) if len(t)), default=0)
    if highest >= n_classes:
        raise ValueError(f"class {highest} in the table, but n_classes is {n_classes}")
    found: dict[str, Tally] = {}
    for length, distance, instances, counts in _COUNTED:
        if wanted := [m for m in measures if m in counts]:
            found_there, there = _scored(estimate, reference, length, n_clips or 1, n_frames)
            if length == 1:
                found_there = _with_distances(found_there)
            scored = instances(found_there), instances(there)
            cells = _Cells.of(*scored, length)
            matches = _match(cells, *scored, distance)
            for way in {counts[m] for m in wanted}:
                function, far_as = way
                counted = function(cells, *scored, matches, threshold)
                total = _add_up(cells, counted, far_as, n_clips or 1, n_classes)
                found |= {m: replace(total, measure=m) for m in wanted if counts[m] == way}
    return {m: found[m] if n_clips is not None else found[m][0] for m in measures}


def evaluate(
    pairs: Iterable[tuple[pd.DataFrame, pd.DataFrame]],
    n_classes: int,
    measure: str = "dcase2020",
    threshold: float = THRESHOLD_DEGREES,
) -> dict[str, Any]:
    """Scores over clips, each a pair (estimate, reference) of frame tables: ER, F, LE, LR, SELD and ``per_class``.

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
    """Counts (clips, K) of clips, each a pair (estimate, reference) of frame tables. n_frames: see ``tally``."""
    pairs = list(pairs)
    clips = [[side.assign(clip=n) for side in pair] for n, pair in enumerate(pairs)]
    estimate, reference = (pd.concat(side) for side in zip(*clips)) if pairs else 2 * [frame_tables.empty_table()]
    return tally(estimate, reference, n_classes, measure, threshold, len(pairs), n_frames)


def report(total: Tally) -> dict[str, Any]:
    """The scores of a tally (K,) as ``evaluate`` gives them."""
    classes = total.class_scores()
    per_class = [
        {k: _plain(v[c]) for k, v in classes.items()} | {"n_reference": int(n)} for c, n in enumerate(total.reference)
    ]
    return {k: _plain(v) for k, v in total.scores().items()} | {"per_class": per_class}


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


def _scored(estimate, reference, length: int, n_clips: int, n_frames: int | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows of either side that count: up to the end of the segment before which, or in which, the reference's last frame lies;
    with n_frames, up to the end of the segment in which these end."""
    last = np.full(n_clips, n_frames or 0)
    if n_frames is None:
        np.maximum.at(last, frame_tables.clip_of(reference), reference["frame"].to_numpy())
    end = -(-last // length) * length
    return tuple(t[t["frame"].to_numpy() < end[frame_tables.clip_of(t)]] for t in (estimate, reference))


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


@dataclass(frozen=True)
class _Cells:
    """Where something can be counted: one class in one segment of a clip, N of them, each with the most that sounds at once."""

    clip: np.ndarray
    segment: np.ndarray  # distinct over clips
    class_index: np.ndarray
    n_reference: np.ndarray
    n_system: np.ndarray
    of_reference: np.ndarray  # the cell of each row
    frame_key: tuple[
        np.ndarray, np.ndarray
    ]  # of each row of reference and estimate: equal in one frame, class and clip
    place: np.ndarray  # of each reference row among those of its frame and class

    @classmethod
    def of(cls, estimate: pd.DataFrame, reference: pd.DataFrame, length: int) -> "_Cells":
        tables = [t.assign(segment=t["frame"] // length) for t in (reference, estimate)]
        cell_keys = frame_tables.keys(("segment", "class"), *tables)
        unique, cell = np.unique(np.concatenate(cell_keys), return_inverse=True)
        cells = np.split(cell, [len(reference)])
        frame_keys = frame_tables.keys(("frame", "class"), *tables)
        places = [pd.Series(k).groupby(k).cumcount().to_numpy() for k in frame_keys]
        most = [np.zeros(len(unique), np.int64) for _ in tables]
        for counts, rows, place in zip(most, cells, places):
            np.maximum.at(counts, rows, place + 1)
        where = pd.concat(tables)
        first = np.zeros(len(unique), np.int64)
        first[cell] = np.arange(len(cell))
        segment = frame_tables.keys(("segment",), where)[0]
        clip, segment, index = (a[first] for a in (frame_tables.clip_of(where), segment, where["class"].to_numpy()))
        n_reference, n_system = most
        return cls(clip, segment, index, n_reference, n_system, cells[0], (frame_keys[0], frame_keys[1]), places[0])


def _match(cells: _Cells, estimate, reference, distance: Callable) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of reference and estimate that are matched in their frame and class, and the degrees between them."""
    i, j = matching.pairs_within(*cells.frame_key)
    return matching.least_cost(i, j, cells.frame_key[0][i], distance(reference, estimate, i, j))


def _count_classes(cells: _Cells, estimate, reference, matches, threshold: float) -> dict[str, np.ndarray]:
    """Counts of each cell, (N,): a class is there or not."""
    i, _, degrees = matches
    _, first, frame = np.unique(cells.frame_key[0][i], return_index=True, return_inverse=True)
    total = np.bincount(frame, degrees, len(first))
    n = np.bincount(cells.of_reference[i][first], minlength=len(cells.clip))
    mean = np.bincount(cells.of_reference[i][first], total, len(cells.clip)) / np.maximum(n, 1)
    reference_has, system_has, matched = cells.n_reference > 0, cells.n_system > 0, n > 0
    hits = matched & (mean <= threshold)
    return {
        "hits": hits,
        "far": matched & ~hits,
        "misses": reference_has & ~matched,
        "false_alarms": system_has & ~reference_has,
        "reference": reference_has,
        "system": system_has,
        "matched": matched,
        "degrees": mean * matched,
    }


def _count_instances(cells: _Cells, estimate, reference, matches, threshold: float) -> dict[str, np.ndarray]:
    """Counts of each cell, (N,): the instances of a class."""
    i, _, degrees = matches
    cell, n_cells = cells.of_reference[i], len(cells.clip)
    widest = 1 + int(cells.place.max(initial=0))
    instances, instance = np.unique(cell * widest + cells.place[i], return_inverse=True)
    of_cell, n = instances // widest, np.bincount(instance, minlength=len(instances))
    mean = np.bincount(instance, degrees, len(instances)) / n
    within = mean <= threshold
    matched = np.bincount(of_cell, minlength=n_cells)
    hits = np.bincount(of_cell, within, n_cells)
    apart = (cells.n_reference > 0) & (cells.n_system > 0) & (matched == 0)
    surplus = cells.n_system - cells.n_reference
    return {
        "hits": hits,
        "far": matched - hits,
        "misses": np.where(apart, cells.n_system, np.maximum(-surplus, 0)),
        "false_alarms": np.where(apart, 0, np.maximum(surplus, 0)),
        "reference": cells.n_reference,
        "system": cells.n_system,
        "matched": matched,
        "degrees": np.bincount(of_cell, mean, n_cells),
    }


def _count_ranged(cells: _Cells, estimate, reference, matches, threshold: float) -> dict[str, np.ndarray]:
    """Counts of instances, (N,), in cells of one frame, where a relative distance error above the limit makes a match far."""
    i, j, degrees = matches
    cell, (error, relative) = cells.of_reference[i], _distance_errors(reference, estimate, i, j)
    counted = _count_instances(cells, estimate, reference, matches, threshold)
    hits = np.bincount(cell, (degrees <= threshold) & ~(relative > RELATIVE_DISTANCE), len(cells.clip))
    return counted | {
        "hits": hits,
        "far": counted["matched"] - hits,
        "ranged": np.bincount(cell, ~np.isnan(relative), len(cells.clip)),
        "relative_distance": np.bincount(cell, np.nan_to_num(relative), len(cells.clip)),
        "distance": np.bincount(cell, np.nan_to_num(error), len(cells.clip)),
    }


def _distance_errors(reference, estimate, i, j) -> tuple[np.ndarray, np.ndarray]:
    """(cm, relative) of rows i and j, NaN where one side has no distance."""
    true, found = reference["distance"].to_numpy(float)[i], estimate["distance"].to_numpy(float)[j]
    error = np.abs(true - found)
    return error, error / (true + np.finfo(float).eps)


_INSTANCES = (_count_instances, "false_alarms")
_COUNTED = (  # frames in a segment, distance, which rows are instances, and how each measure counts, with what far ones are to ER
    (
        LABEL_FRAMES_PER_SECOND,
        spherical_distance,
        _every_row,
        {
            "dcase2020": (_count_classes, "misses"),
            "dcase2021": _INSTANCES,
            "dcase2022": _INSTANCES,
            "dcase2023": _INSTANCES,
        },
    ),
    (1, shortened_distance, _every_row, {"dcase2024": (_count_ranged, "false_alarms")}),
    (1, folded_distance, _ten_instances, {"dcase2025": (_count_ranged, "false_alarms")}),
)


def _add_up(cells: _Cells, counted: dict[str, np.ndarray], far_as: str, n_clips: int, n_classes: int) -> Tally:
    """Counts of cells as a tally (n_clips, K), of no measure yet."""
    shape, place = (n_clips, n_classes), cells.clip * n_classes + cells.class_index
    missed, alarmed = (counted[k] + counted["far"] * (k == far_as) for k in ("misses", "false_alarms"))
    counted = counted | {"errors": np.maximum(missed, alarmed)}
    names = [f.name for f in fields(Tally)[1:13]]
    arrays = {k: np.bincount(place, counted[k], n_clips * n_classes) if k in counted else 0.0 for k in names}
    segments, first, segment = np.unique(cells.segment, return_index=True, return_inverse=True)
    missed, alarmed = (np.bincount(segment, counts, len(segments)) for counts in (missed, alarmed))
    paired = np.minimum(missed, alarmed)
    errors = (np.bincount(cells.clip[first], n, n_clips) for n in (paired, missed - paired, alarmed - paired))
    return Tally("", *(np.broadcast_to(a, n_clips * n_classes).reshape(shape) for a in arrays.values()), *errors)


def _ratio(part, whole, empty: float = 0.0) -> np.ndarray:
    """part / whole, ``empty`` where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over the last axis without NaN; NaN where nothing else is there."""
    known = ~np.isnan(values)
    return _ratio(np.where(known, values, 0).sum(-1), known.sum(-1), np.nan)


def _plain(value) -> float | None:
    return None if np.isnan(value) else float(value)
