"""What a system does wrong: every row of reference and estimate gets one kind, and runs of frames become error events.

References and estimates are frame tables (see ``einv2.labels.frame_tables``) of one clip, or of many with a column ``clip``;
rows in any order. Units: degrees (great-circle), frames of 100 ms, seconds. R rows of the reference, E of the estimate.

Within each frame of a clip, rows are matched one to one in stages, each with as many pairs as can be and of those matchings
the one of least total distance; a matched row takes no part in the later stages. T is the threshold, 20 degrees:

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

from .. import geometry
from ..frames import LABEL_FRAMES_PER_SECOND
from ..labels import frame_tables
from ..matching import MATCH_DEGREES, ROUNDING_DEGREES
from ..runs import Runs, find_runs
from .matching import find_pairs, vectors

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


def classify(reference: pd.DataFrame, estimate: pd.DataFrame, threshold: float = MATCH_DEGREES) -> Outcomes:
    """The outcome of every row, by the stages of the module's docstring.

    threshold: degrees, [0, 180]; a pair exactly that far apart is within it. ValueError on a threshold outside of this, on a
    missing column, on a negative frame or class, and on directions that are not finite.
    """
    if not 0 <= threshold <= 180:
        raise ValueError(f"threshold must be degrees from 0 to 180, not {threshold}")
    _check("reference", reference)
    _check("estimate", estimate)
    rows = _order(reference), _order(estimate)
    outcomes = _unmatched(len(reference), len(estimate))
    same_class = find_pairs(reference, estimate, ("frame", "class"), rows)
    _settle(outcomes, CORRECT, same_class.matched(threshold))
    left = (outcomes.reference_kind[same_class.reference] == MISSED) & (
        outcomes.estimate_kind[same_class.estimate] == FALSE_ALARM
    )
    _settle(outcomes, WRONG_PLACE, same_class[left].matched())
    # Of the rows left in a frame none have the same class: the second stage matched all of those.
    rows = rows[0][outcomes.reference_kind[rows[0]] == MISSED], rows[1][outcomes.estimate_kind[rows[1]] == FALSE_ALARM]
    _settle(outcomes, WRONG_CLASS, find_pairs(reference, estimate, ("frame",), rows).matched(threshold))
    near = same_class.estimate[same_class.degrees <= threshold + ROUNDING_DEGREES]
    outcomes.estimate_kind[near[outcomes.estimate_kind[near] == FALSE_ALARM]] = DUPLICATE
    return outcomes


def counts(outcomes: Outcomes) -> dict[str, dict[str, int]]:
    """{"reference": {kind: rows}, "system": {kind: rows}}, each with the kinds that its rows can have."""
    sides = {"reference": REFERENCE_KINDS, "system": SYSTEM_KINDS}
    kinds = outcomes.reference_kind, outcomes.estimate_kind
    n = [np.bincount(k, minlength=len(KINDS)) for k in kinds]
    return {side: {KINDS[k]: int(rows[k]) for k in possible} for (side, possible), rows in zip(sides.items(), n)}


def error_events(
    reference: pd.DataFrame,
    estimate: pd.DataFrame,
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
    errors = _error_rows(reference, estimate, outcomes, within or (True, True))
    runs = table_runs(errors, ("kind", "class", "heard_as", "track"))
    first, last = errors.iloc[runs.first], errors.iloc[runs.last]
    errors = errors.iloc[runs.order]
    azimuth, elevation = geometry.to_angles(runs.mean(vectors(errors)))
    events = pd.DataFrame(
        {
            **{c: first[c].to_numpy() for c in ("clip", "kind", "class", "heard_as", "track")},
            "side": np.where(first["kind"].isin(REFERENCE_KINDS), "reference", "system"),
            "onset": first["frame"].to_numpy() / LABEL_FRAMES_PER_SECOND,
            "offset": (last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
            "azimuth": azimuth,
            "elevation": elevation,
            "error": runs.mean(errors["error"].to_numpy()),
            "frames": runs.lengths,
        }
    )
    events = events.iloc[np.lexsort([events["onset"], events["clip"]])].reset_index(drop=True)
    return events.assign(kind=np.array(KINDS, object)[events["kind"]])


def table_runs(table: pd.DataFrame, columns: tuple[str, ...]) -> Runs:
    """Runs of consecutive frames of one clip in which all ``columns`` (of integers) stay the same, one row in each frame.

    Of several such rows in one frame, the n-th by azimuth and elevation continues the n-th of the frame before. Runs are in order of
    clip, columns, n and onset.
    """
    frame = table["frame"].to_numpy()
    key = _joint_key(frame_tables.clip_of(table), *(table[c] for c in columns))
    of_frame = key * (1 + int(frame.max(initial=0))) + frame
    order = _order_of(of_frame, table)
    n = _repeat(of_frame[order])
    if n.any():  # the next n of a key does not start after the last frame of the one before
        order = order[np.lexsort([n, key[order]])]
    return find_runs(key, frame=frame, order=order)


def require_rows(reference: pd.DataFrame, estimate: pd.DataFrame, outcomes: Outcomes) -> None:
    """ValueError unless the outcomes have as many rows as the tables."""
    sides = {"reference": (reference, outcomes.reference_kind), "estimate": (estimate, outcomes.estimate_kind)}
    for name, (table, kind) in sides.items():
        if len(table) != len(kind):
            raise ValueError(f"outcomes must be those of the tables: {name} has {len(table)} rows, not {len(kind)}")


def _check(name: str, table: pd.DataFrame) -> None:
    if missing := [c for c in _COLUMNS if c not in table]:
        raise ValueError(f"{name} must be a frame table with {', '.join(_COLUMNS)}; missing: {', '.join(missing)}")
    if len(table) and min(table["frame"].min(), table["class"].min()) < 0:
        raise ValueError(f"{name} must have frames and classes from 0, not negative ones")
    if not np.isfinite(table[["azimuth", "elevation"]].to_numpy(float)).all():
        raise ValueError(f"{name} must have finite azimuths and elevations, not NaN or infinity")


# Matching


def _unmatched(n_reference: int, n_estimate: int) -> Outcomes:
    """The outcomes before the first stage, arrays that the stages fill in."""
    sides = (n_reference, MISSED), (n_estimate, FALSE_ALARM)
    return Outcomes(*(a for n, kind in sides for a in (np.full(n, kind), np.full(n, -1), np.full(n, np.nan))))


def _settle(outcomes: Outcomes, kind: int, matched: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """Enter matched rows of reference and estimate, and the degrees between them, into the outcomes."""
    i, j, degrees = matched
    outcomes.reference_kind[i] = outcomes.estimate_kind[j] = kind
    outcomes.reference_partner[i], outcomes.estimate_partner[j] = j, i
    outcomes.reference_distance[i] = outcomes.estimate_distance[j] = degrees


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


def _error_rows(reference: pd.DataFrame, estimate: pd.DataFrame, outcomes: Outcomes, within: tuple) -> pd.DataFrame:
    """One row per frame and error: clip, kind, class, heard_as, track, frame, azimuth, elevation, error."""
    require_rows(reference, estimate, outcomes)
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
