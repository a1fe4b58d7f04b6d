"""Where a system does well and badly: the measures of single frames by class, clip, polyphony, motion, direction and level.

A row of a frame table is counted by its outcome (see ``einv2.metrics.errors``). Units: degrees, frames of 100 ms, dB. R rows of
the reference, E of the estimate, K classes. Of any set of rows:

    precision  correct / system          system: rows of the estimate
    recall     correct / reference       reference: rows of the reference
    F          2 correct / (reference + system)
    LE         mean distance in degrees of the correct and the wrong-place pairs

A ``Grouping`` says which rows make up each set; ``by(outcomes, *grouping)`` gives the measures of every one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import geometry
from ..labels import frame_tables
from ..matching import ROUNDING_DEGREES
from .common import shares
from .errors import CORRECT, KINDS, REFERENCE_KINDS, WRONG_CLASS, WRONG_PLACE, Outcomes, require_rows, table_runs
from .matching import vectors

STATIC_DEGREES = 5.0  # mean distance from its mean direction up to which an event stands still
HEIGHT_DEGREES = 20.0  # elevations further from the horizon are above or below
LEVEL_STEP_DB = 10
POLYPHONIES = ("one event", "two of different classes", "two of one class", "three or more", "silence")
MOTIONS = ("static", "moving")
AZIMUTHS = ("front", "front left", "left", "back left", "back", "back right", "right", "front right")
ELEVATIONS = ("below -20°", "-20° to 20°", "above 20°")
LEVELS = ("0 to -10 dB", "-10 to -20 dB", "-20 to -30 dB", "-30 to -40 dB", "-40 to -50 dB", "below -50 dB")


class Grouping(NamedTuple):
    """The group of each row, an index into names; -1 for a row in no group: reference (R,), estimate (E,)."""

    reference: np.ndarray
    estimate: np.ndarray
    names: tuple[str, ...]


def by(
    outcomes: Outcomes, reference_group: np.ndarray, estimate_group: np.ndarray, names: Sequence[str]
) -> pd.DataFrame:
    """The measures of each group: one row a name, in their order; the index is called ``group``.

    Columns: reference, system (rows of each side), those of ``errors.KINDS``, precision, recall, F (in [0, 1]) and LE (degrees),
    NaN where there is nothing to count. Correct, wrong place, wrong class and missed are rows of the reference, false alarm
    and duplicate of the system. The rows of a pair may be in different groups: LE goes by the reference's, precision counts
    the correct rows of the system, and F = (correct rows of either side) / (reference + system). ValueError where a group
    is not one of [-1, len(names)), or not given for each row.
    """
    of_reference = _tabulate("reference_group", reference_group, outcomes.reference_kind, len(names))
    of_system = _tabulate("estimate_group", estimate_group, outcomes.estimate_kind, len(names))
    reference, system, correct = of_reference.sum(1), of_system.sum(1), of_reference[:, CORRECT]
    kinds = {name: (of_reference if k in REFERENCE_KINDS else of_system)[:, k] for k, name in enumerate(KINDS)}
    degrees = np.where(outcomes.reference_kind <= WRONG_PLACE, outcomes.reference_distance, 0)
    measures = {
        "precision": shares(of_system[:, CORRECT], system),
        "recall": shares(correct, reference),
        "F": shares(correct + of_system[:, CORRECT], reference + system),
        "LE": shares(_count(reference_group, len(names), degrees), correct + of_reference[:, WRONG_PLACE]),
    }
    index = pd.Index(list(names), dtype=object, name="group")
    return pd.DataFrame({"reference": reference, "system": system, **kinds, **measures}, index)


# Groupings


def everything(outcomes: Outcomes) -> Grouping:
    """One group of all rows."""
    return Grouping(np.zeros_like(outcomes.reference_kind), np.zeros_like(outcomes.estimate_kind), ("all",))


def classes(reference: pd.DataFrame, estimate: pd.DataFrame, names: Sequence[str]) -> Grouping:
    """By class, names (K,): of a wrong-class pair the reference row counts with its class, the system's with the other."""
    return Grouping(reference["class"].to_numpy(), estimate["class"].to_numpy(), tuple(names))


def clips(reference: pd.DataFrame, estimate: pd.DataFrame, names: Sequence[str]) -> Grouping:
    """By clip, names of the clips from 0."""
    return Grouping(frame_tables.clip_of(reference), frame_tables.clip_of(estimate), tuple(names))


def polyphony(reference: pd.DataFrame, estimate: pd.DataFrame) -> Grouping:
    """By what sounds at once in the frame: the reference's rows in it, ``POLYPHONIES``.

    "three or more" are so of whatever classes. A row of the system takes the group of its frame, "silence" where the reference
    has nothing.
    """
    reference_key, estimate_key = frame_tables.keys(("frame",), reference, estimate)
    frames, frame, n = np.unique(reference_key, return_inverse=True, return_counts=True)
    lowest, highest = np.full(len(frames), np.iinfo(np.int64).max), np.full(len(frames), -1)
    np.minimum.at(lowest, frame, reference["class"].to_numpy())
    np.maximum.at(highest, frame, reference["class"].to_numpy())
    group = np.select([n == 1, n > 2, lowest < highest], [0, 3, 1], 2)
    frames, group = np.append(frames, -1), np.append(group, POLYPHONIES.index("silence"))
    place = np.searchsorted(frames[:-1], estimate_key)
    return Grouping(group[frame], np.where(frames[place] == estimate_key, group[place], group[-1]), POLYPHONIES)


def motion(reference: pd.DataFrame, outcomes: Outcomes, threshold: float = STATIC_DEGREES) -> Grouping:
    """By whether the event moves, ``MOTIONS``.

    An event of the reference is a run of consecutive frames of one (clip, class, track). It is static if the mean angular
    distance of its frames from its mean direction is at most ``threshold`` degrees. A row of the system takes the group of
    its partner; one without a partner is in no group. So only recall and LE mean something here: precision and F leave out
    the false alarms and duplicates.
    """
    runs = table_runs(reference, ("class", "track"))
    directions = vectors(reference)[runs.order]
    spread = runs.mean(geometry.distance(directions, runs.mean(directions)[runs.of_position]))
    group = np.empty(len(reference) + 1, np.int64)
    group[runs.order] = (spread > threshold + ROUNDING_DEGREES)[runs.of_position]
    group[-1] = -1  # of the partner -1
    return Grouping(group[:-1], group[outcomes.estimate_partner], MOTIONS)


def azimuths(reference: pd.DataFrame, estimate: pd.DataFrame) -> Grouping:
    """By the row's own azimuth: eight sectors, ``AZIMUTHS``, each from 22.5 degrees right of its centre to below 22.5 left of it."""
    sides = (t["azimuth"].to_numpy(float) for t in (reference, estimate))
    of_reference, of_estimate = (np.floor((a + 22.5) / 45).astype(np.int64) % len(AZIMUTHS) for a in sides)
    return Grouping(of_reference, of_estimate, AZIMUTHS)


def elevations(reference: pd.DataFrame, estimate: pd.DataFrame) -> Grouping:
    """By the row's own elevation: ``ELEVATIONS``; -20 and 20 degrees belong to the middle."""
    sides = (t["elevation"].to_numpy(float) for t in (reference, estimate))
    of_reference, of_estimate = (1 + (e > HEIGHT_DEGREES) - (e < -HEIGHT_DEGREES).astype(np.int64) for e in sides)
    return Grouping(of_reference, of_estimate, ELEVATIONS)


def levels(reference: pd.DataFrame, estimate: pd.DataFrame, frame_levels: Sequence[np.ndarray | None]) -> Grouping:
    """By how far the frame is below the clip's loudest, ``LEVELS``: above -10 dB, -10 to above -20 dB, ...

    frame_levels: for each clip from 0, its signal's level in each frame (T,) in dB of any reference, or None where unknown. -inf,
    digital silence, is in the last group; frames that have no level, or NaN, are in none. ValueError where a row's clip is
    not among them.
    """
    n_clips = 1 + max(int(frame_tables.clip_of(t).max(initial=-1)) for t in (reference, estimate))
    if n_clips > len(frame_levels):
        raise ValueError(f"frame_levels must be given for {n_clips} clips, not {len(frame_levels)}")
    depth = [_below_loudest(level) for level in frame_levels]
    return Grouping(_level_group(reference, depth), _level_group(estimate, depth), LEVELS)


# Which class for which, and how far


def confusion(reference: pd.DataFrame, estimate: pd.DataFrame, outcomes: Outcomes, n_classes: int) -> np.ndarray:
    """(K + 1, K + 1) frames: rows are the reference's classes and "nothing", columns the system's and "nothing".

    Only what is matched within the threshold is a pair here: correct on the diagonal, wrong class off it. The last column holds
    the reference rows that nothing was heard for there, missed and wrong place; the last row what the system heard with
    nothing there: false alarms, duplicates and the other side of wrong place. The corner is 0. ValueError on a class of
    n_classes or above.
    """
    require_rows(reference, estimate, outcomes)
    true, heard = (np.append(t["class"].to_numpy(), -1) for t in (reference, estimate))  # the last: of the partner -1
    if (highest := max(true.max(), heard.max())) >= n_classes:
        raise ValueError(f"class {highest} in the table, but n_classes is {n_classes}")
    paired = np.isin(outcomes.reference_kind, (CORRECT, WRONG_CLASS))
    alone = heard[:-1][~np.isin(outcomes.estimate_kind, (CORRECT, WRONG_CLASS))]
    rows = np.append(true[:-1], np.full(len(alone), n_classes))
    columns = np.append(np.where(paired, heard[outcomes.reference_partner], n_classes), alone)
    size = n_classes + 1
    return np.bincount(rows * size + columns, minlength=size**2).reshape(size, size)


def distance_errors(outcomes: Outcomes) -> np.ndarray:
    """Degrees (P,) between the directions of every pair of one class: correct and wrong place."""
    return outcomes.reference_distance[outcomes.reference_kind <= WRONG_PLACE]


@dataclass(frozen=True)
class Histogram:
    """counts (B,) of values from edges[b] to below edges[b + 1], edges (B + 1,); median and percentile_90 are NaN of nothing."""

    edges: np.ndarray
    counts: np.ndarray
    median: float
    percentile_90: float


def histogram(degrees: np.ndarray, width: float = 2.0) -> Histogram:
    """How distances (P,), degrees in [0, 180], are spread; in bins of ``width`` degrees from 0, the last with its upper edge."""
    edges = np.arange(0, 180 + width, width)
    counts, _ = np.histogram(np.minimum(degrees + ROUNDING_DEGREES, 180), edges)
    median, percentile_90 = np.percentile(degrees, [50, 90]) if len(degrees) else (np.nan, np.nan)
    return Histogram(edges, counts, float(median), float(percentile_90))


def _count(group: np.ndarray, n_groups: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Rows, or their weights added up, in each group (n_groups,); those of group -1 are left out."""
    return np.bincount(np.asarray(group) + 1, weights, n_groups + 1)[1:]


def _tabulate(name: str, group: np.ndarray, kind: np.ndarray, n_groups: int) -> np.ndarray:
    """Rows of each group and kind, (n_groups, kinds)."""
    group = np.asarray(group)
    if group.shape != kind.shape:
        raise ValueError(f"{name} must be {kind.shape}, a group for each row, not {group.shape}")
    if len(group) and not -1 <= group.min() <= group.max() < n_groups:
        raise ValueError(f"{name} must be from -1 to {n_groups - 1}, not from {group.min()} to {group.max()}")
    cell = np.where(group < 0, -1, group * len(KINDS) + kind)
    return _count(cell, n_groups * len(KINDS)).reshape(n_groups, len(KINDS))


def _below_loudest(level: np.ndarray | None) -> np.ndarray:
    """dB (T,) from each frame up to the loudest: 0 or more, infinite for digital silence, NaN where there is no level."""
    level = np.zeros(0) if level is None else np.asarray(level, float)
    with np.errstate(invalid="ignore"):
        return np.fmax.reduce(level, initial=-np.inf) - level


def _level_group(table: pd.DataFrame, depth: list[np.ndarray]) -> np.ndarray:
    """The group of each row, of the depths (T,) of each clip's frames."""
    lengths = np.array([len(d) for d in depth], np.int64)
    flat = np.concatenate([*depth, [np.nan]])
    clip, frame = frame_tables.clip_of(table), table["frame"].to_numpy()
    place = np.where(frame < lengths[clip], (np.cumsum(lengths) - lengths)[clip] + frame, -1)
    step = np.minimum(np.floor(flat[place] / LEVEL_STEP_DB), len(LEVELS) - 1)
    return np.where(np.isnan(step), -1, step).astype(np.int64)
