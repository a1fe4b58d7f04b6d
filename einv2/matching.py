"""One-to-one matching of reference and estimate: as many pairs as can be, and of those matchings the one of least total cost.

``least_cost`` takes lists of pairs, for the tables of many clips at once; ``assign`` takes the cost matrices of frames. Both use
the Hungarian method. Costs are degrees, as a rule, and infinite where a pair is not allowed.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

MATCH_DEGREES = 20.0  # an estimate further away than this is not the event
ROUNDING_DEGREES = 1e-9  # azimuths 30 and 50 are 20 apart, whatever the last bit of the distance says
_FORBIDDEN = 1e6  # above any total of distances, so that a forbidden pair is made only where no other is left


def within(degrees: np.ndarray, max_degrees: float = MATCH_DEGREES) -> np.ndarray:
    """The distances, infinite where they are above ``max_degrees``: the costs of a matching."""
    return np.where(degrees <= max_degrees + ROUNDING_DEGREES, degrees, np.inf)


def pairs_within(reference_key: np.ndarray, estimate_key: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every pair (row of the reference, row of the estimate) with the same key, each (P,); in the order of the key, then of the
    reference's rows, then of the estimate's."""
    order = np.argsort(estimate_key, kind="stable")
    first, last = (np.searchsorted(estimate_key[order], reference_key, side) for side in ("left", "right"))
    rows = np.argsort(reference_key, kind="stable")
    n = (last - first)[rows]
    place = np.arange(n.sum()) - np.repeat(np.cumsum(n) - n, n)
    return np.repeat(rows, n), order[np.repeat(first[rows], n) + place]


def least_cost(
    i: np.ndarray, j: np.ndarray, key: np.ndarray, cost: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The matching among the pairs that ``pairs_within`` gives: (i, j, cost) of the pairs that are made.

    i, j (P,): rows of the two sides; key (P,): that of each pair, within which rows are matched; cost (P,).
    """
    allowed = np.isfinite(cost)
    contested = allowed & ((np.bincount(i, allowed)[i] > 1) | (np.bincount(j, allowed)[j] > 1))
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    ends = np.append(starts[1:], len(key))
    in_contest = np.logical_or.reduceat(contested, starts) if len(starts) else np.zeros(0, bool)
    made = [np.flatnonzero(allowed & ~np.repeat(in_contest, ends - starts))]
    finite = np.where(allowed, cost, _FORBIDDEN)
    n_rows = np.add.reduceat(np.diff(i, prepend=-1) != 0, starts) if len(starts) else starts
    for start, end, n in zip(starts[in_contest], ends[in_contest], n_rows[in_contest]):
        row, column = linear_sum_assignment(finite[start:end].reshape(n, -1))
        made.append(start + row * ((end - start) // n) + column)
    made = np.sort(np.concatenate(made))
    made = made[allowed[made]]
    return i[made], j[made], cost[made]


def assign(cost: np.ndarray) -> np.ndarray:
    """The column of each row, (T, M), in the cost matrices (T, M, L) of T frames; -1 for a row that is left alone."""
    match = np.full(cost.shape[:2], -1)
    allowed = np.isfinite(cost)
    cost = np.where(allowed, cost, _FORBIDDEN)
    for t in np.flatnonzero(allowed.any((1, 2))):
        rows, columns = linear_sum_assignment(cost[t])
        kept = allowed[t, rows, columns]
        match[t, rows[kept]] = columns[kept]
    return match
