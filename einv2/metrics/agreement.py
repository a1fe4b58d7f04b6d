"""Two systems on one clip: do they agree, and where is one right and the other not?

Frame tables (see ``einv2.labels.frame_tables``) of one clip, with classes of one list. Units: degrees (great-circle), frames of
100 ms, seconds.

Which output track a system puts an event on is arbitrary, so tracks are never compared by their number: in every frame the rows
of both are matched at least total distance, in the stages of ``errors``.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from ..frames import LABEL_FRAMES_PER_SECOND
from ..matching import MATCH_DEGREES
from .common import share
from .errors import (
    CORRECT,
    DUPLICATE,
    FALSE_ALARM,
    KINDS,
    MISSED,
    SYSTEM_ALONE,
    WRONG_CLASS,
    WRONG_PLACE,
    Outcomes,
    classify,
    table_runs,
)

DISAGREEMENTS = ("only first", "only second", "other place", "other class")
_ONLY_FIRST, _ONLY_SECOND, _OTHER_PLACE, _OTHER_CLASS = range(len(DISAGREEMENTS))


@dataclass(frozen=True)
class Agreement:
    """How far two systems agree, without a reference.

    first, second: rows of each, an output in a frame; same: pairs of them of one class at most 20 degrees apart; degrees: the
    mean distance of these pairs, None without any. pairs (L1, L2): how many of them are on each pair of output tracks.
    permutation (L1,): the output track of the second that goes with each of the first, so that most pairs are on such tracks
    over the whole clip; -1 for one too many. stretches: where they differ, see ``agreement``.
    """

    first: int
    second: int
    same: int
    degrees: float | None
    pairs: np.ndarray
    permutation: np.ndarray
    stretches: pd.DataFrame

    @property
    def share(self) -> float | None:
        """2 same / (first + second), in [0, 1]: 1 where they never differ, None where neither has any output. Symmetric."""
        return share(2 * self.same, self.first + self.second)

    @property
    def in_order(self) -> float | None:
        """The share of the same pairs that is on tracks of ``permutation``, in [0, 1]: below 1 one of the two swaps tracks."""
        matched = self.permutation >= 0
        return share(int(self.pairs[matched, self.permutation[matched]].sum()), self.same)


def agreement(
    first: pd.DataFrame, second: pd.DataFrame, n_first: int, n_second: int, threshold: float = MATCH_DEGREES
) -> Agreement:
    """How far two systems agree; they have the output tracks 0 to n_first - 1 and 0 to n_second - 1.

    ``stretches``: runs of consecutive frames in which they differ in one way, longest first, with the columns kind (of
    ``DISAGREEMENTS``), class, track (of the first system; of the second where only it says something), onset, offset (s), frames.
    ValueError as in ``errors.classify``.
    """
    outcomes = classify(first, second, threshold)
    same = np.flatnonzero(outcomes.reference_kind == CORRECT)
    tracks = first["track"].to_numpy()[same], second["track"].to_numpy()[outcomes.reference_partner[same]]
    pairs = np.zeros((n_first, n_second), np.int64)
    np.add.at(pairs, tracks, 1)
    degrees = float(outcomes.reference_distance[same].mean()) if len(same) else None
    stretches = _disagreements(first, second, outcomes)
    return Agreement(len(first), len(second), len(same), degrees, pairs, _permutation(pairs), stretches)


def _permutation(pairs: np.ndarray) -> np.ndarray:
    permutation = np.full(len(pairs), -1)
    rows, columns = linear_sum_assignment(-pairs)
    permutation[rows] = columns
    return permutation


def _disagreements(first: pd.DataFrame, second: pd.DataFrame, outcomes: Outcomes) -> pd.DataFrame:
    kinds = np.full(len(KINDS), -1)
    kinds[[MISSED, WRONG_PLACE, WRONG_CLASS]] = _ONLY_FIRST, _OTHER_PLACE, _OTHER_CLASS
    of_first = _rows(first, kind=kinds[outcomes.reference_kind])[outcomes.reference_kind != CORRECT]
    of_second = _rows(second, kind=_ONLY_SECOND)[np.isin(outcomes.estimate_kind, SYSTEM_ALONE)]
    table = pd.concat([of_first, of_second], ignore_index=True)
    stretches = _stretches(table, ("kind", "class", "track"))
    return stretches.assign(kind=np.array(DISAGREEMENTS, object)[stretches["kind"].to_numpy(int)])


def differences(
    reference: pd.DataFrame, first: pd.DataFrame, second: pd.DataFrame, threshold: float = MATCH_DEGREES
) -> pd.DataFrame:
    """Where one of two systems is right and the other is not: stretches of consecutive frames, longest first.

    right    0: the first system, 1: the second
    side     "reference": one finds an event and the other does not; "system": the other says what is not there, and the one
             right does not say anything wrong of that class in the frame
    kind     what the other does, a name of ``errors.KINDS``; of several in a stretch the most frequent
    class    of the reference, or on the side of the system of its output
    track    number of the reference's instance, or on the side of the system the output track
    onset, offset (s), frames

    A frame is right where it is "correct" as in ``errors``. ValueError as in ``errors.classify``.
    """
    outcomes = [classify(reference, system, threshold) for system in (first, second)]
    correct = [o.reference_kind == CORRECT for o in outcomes]
    parts = []
    for right, wrong in ((0, 1), (1, 0)):
        rows = _rows(reference, right=right, side=0, kind=outcomes[wrong].reference_kind)
        parts.append(rows[correct[right] & ~correct[wrong]])
        parts.append(_extra((first, second), outcomes, right, wrong))
    stretches = _stretches(pd.concat(parts, ignore_index=True), ("right", "side", "class", "track"), of="kind")
    names = {"side": ("reference", "system"), "kind": KINDS}
    return stretches.assign(**{c: np.array(n, object)[stretches[c].to_numpy(int)] for c, n in names.items()})


def _extra(tables: tuple, outcomes: list[Outcomes], right: int, wrong: int) -> pd.DataFrame:
    """What the wrong system says too much, where the right one says nothing too much of the class in the frame."""
    too_much = [np.isin(o.estimate_kind, (FALSE_ALARM, DUPLICATE)) for o in outcomes]
    rows = _rows(tables[wrong], right=right, side=1, kind=outcomes[wrong].estimate_kind)[too_much[wrong]]
    said = tables[right].loc[too_much[right], ["frame", "class"]].drop_duplicates()
    shared = pd.MultiIndex.from_frame(rows[["frame", "class"]]).isin(pd.MultiIndex.from_frame(said))
    return rows[~shared]


def _rows(table: pd.DataFrame, **columns) -> pd.DataFrame:
    return table[["frame", "class", "track", "azimuth", "elevation"]].assign(**columns)


def _stretches(table: pd.DataFrame, columns: tuple[str, ...], of: str | None = None) -> pd.DataFrame:
    """Runs in which ``columns`` stay the same, longest first; of a column ``of`` of ``KINDS`` the most frequent counts."""
    runs = table_runs(table, columns)
    first, last = table.iloc[runs.first], table.iloc[runs.last]
    found = first[list(columns)].assign(
        onset=first["frame"] / LABEL_FRAMES_PER_SECOND,
        offset=(last["frame"].to_numpy() + 1) / LABEL_FRAMES_PER_SECOND,
        frames=runs.lengths,
    )
    if of is not None:
        counts = np.eye(len(KINDS), dtype=int)[table[of].to_numpy(int)[runs.order]]
        found[of] = np.add.reduceat(counts, runs.starts).argmax(1) if len(runs.starts) else np.zeros(0, int)
    return found.sort_values(["frames", "onset", "track"], ascending=[False, True, True], ignore_index=True)
