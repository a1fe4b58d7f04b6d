"""What a system does wrong: every row of reference and estimate gets one kind, and runs of frames become error events.

References and estimates are frame tables (see ``einv2.labels.frame_tables``) of one clip, or of many with a column ``clip``;
rows in any order. Units: degrees (great-circle), frames of 100 ms, seconds. R rows of the reference, E of the estimate.

Within each frame of a clip, rows are matched one to one in stages, each with as many pairs as can be and of those matchings
the one of least total distance; a row that is matched is out of the later stages. T is the threshold, 20 degrees:

    correct      same class, at most T apart
    wrong place  same class, further apart
    wrong class  another class, at most T apart
    duplicate    an estimate left over, at most T from a reference of its class, which is matched already
    false alarm  any other estimate left over
    missed       a reference left over

Of matchings at equal total distance, one is taken that depends on what the rows say and not on their order.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from .. import geometry, matching
from ..frames import LABEL_FRAMES_PER_SECOND
from ..labels import frame_tables
from ..matching import MATCH_DEGREES, ROUNDING_DEGREES

KINDS = ("correct", "wrong place", "wrong class", "missed", "false alarm", "duplicate")
CORRECT, WRONG_PLACE, WRONG_CLASS, MISSED, FALSE_ALARM, DUPLICATE = range(len(KINDS))
REFERENCE_KINDS = (CORRECT, WRONG_PLACE, WRONG_CLASS, MISSED)
SYSTEM_ALONE = (FALSE_ALARM, DUPLICATE)
SYSTEM_KINDS = (CORRECT, WRONG_PLACE, WRONG_CLASS, *SYSTEM_ALONE)
_COLUMNS = ("frame", "class", "track", "azimuth", "elevation")


@dataclass(frozen=True)
class Outcomes:
    """For each row of the reference (R,) and of the estimate (E,), in the tables' order: what became of it.

    kind: index into ``KINDS``; partner: row of the other table, from 0, that it is matched with, or -1; distance: degrees to the
    partner, NaN without one.
    """

    reference_kind: np.ndarray
    reference_partner: np.ndarray
    reference_distance: np.ndarray
    estimate_kind: np.ndarray
    estimate_partner: np.ndarray
    estimate_distance: np.ndarray


def classify(estimate: pd.DataFrame, reference: pd.DataFrame, threshold: float = MATCH_DEGREES) -> Outcomes:
    """The outcome of every row, by the stages of the module's docstring.

    threshold: degrees, [0, 180]; a pair exactly that far apart is within it. ValueError on a threshold outside of this, on a
    missing column, on a negative frame or class, and on directions that are not finite.
    """
    if not 0 <= threshold <= 180:
        raise ValueError(f"threshold must be degrees from 0 to 180, not {threshold}")
    sides = _checked("reference", reference), _checked("estimate", estimate)
    order, vectors = [_order(t) for t in sides], [_vectors(t) for t in sides]
    outcomes = _unmatched(len(reference), len(estimate))

    class_key = frame_tables.keys(("frame", "class"), *sides)
    i, j, degrees = _pairs(class_key, order, vectors)
    near = degrees <= threshold + ROUNDING_DEGREES
    _settle(outcomes, CORRECT, i, j, class_key[0], np.where(near, degrees, np.inf))
    left = _left(outcomes, i, j)
    _settle(outcomes, WRONG_PLACE, i[left], j[left], class_key[0], degrees[left])
    _settle_other_class(outcomes, frame_tables.keys(("frame",), *sides), order, vectors, threshold)
    again = near & (outcomes.estimate_kind[j] == FALSE_ALARM)
    outcomes.estimate_kind[j[again]] = DUPLICATE
    return outcomes


def counts(outcomes: Outcomes) -> dict[str, dict[str, int]]:
    """{"reference": {kind: rows}, "system": {kind: rows}}, each with the kinds that its rows can have."""
    sides = {"reference": REFERENCE_KINDS, "system": SYSTEM_KINDS}
    kinds = outcomes.reference_kind, outcomes.estimate_kind
    n = [np.bincount(k, minlength=len(KINDS)) for k in kinds]
    return {side: {KINDS[k]: int(rows[k]) for k in possible} for (side, possible), rows in zip(sides.items(), n)}


def error_events(
    estimate: pd.DataFrame,
    reference: pd.DataFrame,
    outcomes: Outcomes,
    within: tuple[np.ndarray, np.ndarray] | None = None,
) -> pd.DataFrame:
    """The errors as events: runs of consecutive frames of one clip, side, class, track, kind and class heard instead.

    outcomes: those of ``classify`` for these tables. within: which rows of reference (R,) and estimate (E,) to look at. One row
    per event, sorted by clip and onset, with the columns

        clip       int
        kind       a name of ``KINDS``, never "correct"
        class      int, of the reference; of the estimate where the side is the system
        heard_as   int, the estimate's class of a wrong class; -1 for other kinds
        track      int, the number of the instance in the reference, or of the output track
        side       "reference" (missed, wrong place, wrong class), "system" (false alarm, duplicate)
        onset      s, first frame * 0.1
        offset     s, (last frame + 1) * 0.1
        azimuth    degrees, of the mean of the run's unit vectors on its side; so is elevation
        error      mean degrees to the partner, NaN for kinds without
        frames     int, the length of the run

    ValueError where the outcomes have not as many rows as the tables.
    """
    errors = _error_rows(estimate, reference, outcomes, within or (True, True))
    order, starts, ends = runs(errors, ("kind", "class", "heard_as", "track"))
    errors = errors.iloc[order]
    azimuth, elevation = geometry.to_angles(run_means(_vectors(errors), starts, ends))
    first, last = errors.iloc[starts], errors.iloc[ends - 1]
    events = pd.DataFrame(
        {
            **{c: first[c].to_numpy() for c in ("clip", "kind", "class", "heard_as", "track")},
            "side": np.where(first["kind"].isin(REFERENCE_KINDS), "reference", "system"),
            "onset": first["frame"].to_numpy() / LABEL_FRAMES_PER_SECOND,
            "offset": (last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
            "azimuth": azimuth,
            "elevation": elevation,
            "error": run_means(errors["error"].to_numpy(), starts, ends),
            "frames": ends - starts,
        }
    )
    events = events.iloc[np.lexsort([events["onset"], events["clip"]])].reset_index(drop=True)
    return events.assign(kind=np.array(KINDS, object)[events["kind"]])


def runs(table: pd.DataFrame, columns: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs of consecutive frames of one clip in which all ``columns`` (of integers) stay the same: (order, starts, ends).

    Run r holds the rows ``order[starts[r]:ends[r]]``, one in each frame. Of several such rows in one frame, the n-th by
    azimuth and elevation continues the n-th of the frame before. Runs are in order of clip, columns, n and onset.
    """
    frame = table["frame"].to_numpy()
    key = _joint_key(frame_tables.clip_of(table), *(table[c] for c in columns))
    of_frame = key * (1 + int(frame.max(initial=0))) + frame
    order = _order_of(of_frame, table)
    n = _repeat(of_frame[order])
    if n.any():  # the next n of a key does not start after the last frame of the one before
        order = order[np.lexsort([n, key[order]])]
    starts = np.flatnonzero((np.diff(key[order], prepend=-1) != 0) | (np.diff(frame[order], prepend=-1) != 1))
    return order, starts, np.append(starts, len(order))[1:]


def run_means(values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Means (runs, ...) of values (N, ...) in the order that ``runs`` gives."""
    sums = np.add.reduceat(values, starts, axis=0) if len(starts) else values[:0]
    return sums / (ends - starts).reshape(-1, *[1] * (values.ndim - 1))


def require_rows(estimate: pd.DataFrame, reference: pd.DataFrame, outcomes: Outcomes) -> None:
    """ValueError unless the outcomes have as many rows as the tables."""
    sides = {"reference": (reference, outcomes.reference_kind), "estimate": (estimate, outcomes.estimate_kind)}
    for name, (table, kind) in sides.items():
        if len(table) != len(kind):
            raise ValueError(f"outcomes must be those of the tables: {name} has {len(table)} rows, not {len(kind)}")


def _checked(name: str, table: pd.DataFrame) -> pd.DataFrame:
    if missing := [c for c in _COLUMNS if c not in table]:
        raise ValueError(f"{name} must be a frame table with {', '.join(_COLUMNS)}; missing: {', '.join(missing)}")
    if len(table) and min(table["frame"].min(), table["class"].min()) < 0:
        raise ValueError(f"{name} must have frames and classes from 0, not negative ones")
    if not np.isfinite(table[["azimuth", "elevation"]].to_numpy(float)).all():
        raise ValueError(f"{name} must have finite azimuths and elevations, not NaN or infinity")
    return table


def _vectors(table: pd.DataFrame) -> np.ndarray:
    return geometry.to_vector(table["azimuth"].to_numpy(float), table["elevation"].to_numpy(float))


# Matching


def _unmatched(n_reference: int, n_estimate: int) -> Outcomes:
    """The outcomes before the first stage, arrays that the stages fill in."""
    sides = (n_reference, MISSED), (n_estimate, FALSE_ALARM)
    return Outcomes(*(a for n, kind in sides for a in (np.full(n, kind), np.full(n, -1), np.full(n, np.nan))))


def _pairs(keys, order, vectors) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of a key: rows of reference and estimate, in the given order of each side, and the degrees between them."""
    i, j = matching.pairs_within(keys[0][order[0]], keys[1][order[1]])
    i, j = order[0][i], order[1][j]
    return i, j, geometry.distance(vectors[0][i], vectors[1][j])


def _left(outcomes: Outcomes, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Which pairs have both rows unmatched. Of all pairs of a key, these are again all pairs of the rows that are left."""
    return (outcomes.reference_kind[i] == MISSED) & (outcomes.estimate_kind[j] == FALSE_ALARM)


def _settle(outcomes: Outcomes, kind: int, i: np.ndarray, j: np.ndarray, key: np.ndarray, cost: np.ndarray) -> None:
    """Match pairs within the key of each reference row and enter them into the outcomes."""
    i, j, degrees = matching.least_cost(i, j, key[i], cost)
    outcomes.reference_kind[i] = outcomes.estimate_kind[j] = kind
    outcomes.reference_partner[i], outcomes.estimate_partner[j] = j, i
    outcomes.reference_distance[i] = outcomes.estimate_distance[j] = degrees


def _settle_other_class(outcomes: Outcomes, frame_key, order, vectors, threshold: float) -> None:
    """The third stage. Of the rows left in a frame none have the same class: the second stage matched all of those."""
    rows = order[0][outcomes.reference_kind[order[0]] == MISSED]
    columns = order[1][outcomes.estimate_kind[order[1]] == FALSE_ALARM]
    i, j, degrees = _pairs(frame_key, (rows, columns), vectors)
    degrees = np.where(degrees <= threshold + ROUNDING_DEGREES, degrees, np.inf)
    _settle(outcomes, WRONG_CLASS, i, j, frame_key[0], degrees)


# Order and runs


def _order(table: pd.DataFrame) -> np.ndarray:
    """The rows (N,) in an order that does not depend on the one they come in, but for rows that say the same."""
    return _order_of(_joint_key(frame_tables.clip_of(table), *(table[c] for c in ("frame", "class", "track"))), table)


def _order_of(key: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """The rows (N,) in order of the key (from 0), and rows of one key in that of azimuth and elevation."""
    order = np.argsort(key, kind="stable")
    shared = (np.diff(key[order], prepend=-1) == 0) | (np.diff(key[order], append=-1) == 0)
    rows = order[shared]
    azimuth, elevation = (table[c].to_numpy()[rows] for c in ("azimuth", "elevation"))
    order[shared] = rows[np.lexsort([elevation, azimuth, key[rows]])]
    return order


def _joint_key(first, *others) -> np.ndarray:
    """(N,) int from 0: equal where all columns, of any integers, are equal, and in the order of these."""
    key, _ = pd.factorize(np.asarray(first), sort=True)
    for column in others:
        rank, values = pd.factorize(np.asarray(column), sort=True)
        key = key * len(values) + rank
    return key


def _repeat(key: np.ndarray) -> np.ndarray:
    """How many rows of the same key stand before each, (N,), of rows in order of the key (from 0)."""
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    return np.arange(len(key)) - np.repeat(starts, np.diff(starts, append=len(key)))


def _error_rows(estimate: pd.DataFrame, reference: pd.DataFrame, outcomes: Outcomes, within: tuple) -> pd.DataFrame:
    """One row per frame and error: clip, kind, class, heard_as, track, frame, azimuth, elevation, error."""
    require_rows(estimate, reference, outcomes)
    heard = np.append(estimate["class"].to_numpy(), -1)[outcomes.reference_partner]  # partner -1 takes the last, -1
    heard = np.where(outcomes.reference_kind == WRONG_CLASS, heard, -1)
    sides = [
        (reference, outcomes.reference_kind, heard, outcomes.reference_distance, REFERENCE_KINDS),
        (estimate, outcomes.estimate_kind, np.full(len(estimate), -1), outcomes.estimate_distance, SYSTEM_ALONE),
    ]
    tables = []
    for (table, kind, heard_as, error, kinds), looked_at in zip(sides, within):
        columns = {"clip": frame_tables.clip_of(table), "kind": kind, "heard_as": heard_as, "error": error}
        wrong = np.isin(kind, kinds) & (kind != CORRECT) & looked_at
        tables.append(table[list(_COLUMNS)].assign(**columns)[wrong])
    return pd.concat(tables, ignore_index=True)
