"""What several measures share: addable counts, which track sounds which class, and one-to-one matching frame by frame.

Shapes: T frames, M reference tracks, L estimated tracks, K classes. Distances are great-circle, in degrees.
"""

from dataclasses import fields

import numpy as np
from scipy.optimize import linear_sum_assignment

from .. import geometry

MATCH_DEGREES = 20.0  # an estimate further off than this is not the event
ROUNDING_DEGREES = 1e-9  # azimuths 30 and 50 are 20 apart, whatever the last bit of the distance says
FRONT = (1.0, 0.0, 0.0)  # what ``einv2.decode`` reads a vector of length 0 as
_FORBIDDEN = 1e6  # above any total of distances, so that a forbidden pair is made only where no other is left


class Counts:
    """Base of the dataclasses that a measure adds up over clips: ``+`` joins two of a kind."""

    def __add__(self, other):
        return type(self)(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


def share(part: float, whole: float) -> float | None:
    """part / whole, None where there was nothing to count."""
    return part / whole if whole else None


def active_classes(sed: np.ndarray, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """(active, class), both (T, L), of probabilities (T, L, K): the most probable class, active if above ``threshold``."""
    return sed.max(-1) > threshold, sed.argmax(-1)


def pairwise_distance(reference_doa: np.ndarray, doa: np.ndarray) -> np.ndarray:
    """Degrees between every reference and every estimated direction: (T, M, 3), (T, L, 3) -> (T, M, L)."""
    doa = np.where(np.any(doa != 0, axis=-1, keepdims=True), doa, FRONT)
    return geometry.distance(reference_doa[:, :, None], doa[:, None])


def assign(cost: np.ndarray) -> np.ndarray:
    """One-to-one matching in each frame: cost (T, M, L), infinite where a pair is not allowed -> column of each row (T, M).

    As many pairs as can be, and of those matchings the one of least total cost; -1 for a row that is left alone.
    """
    match = np.full(cost.shape[:2], -1)
    allowed = np.isfinite(cost)
    cost = np.where(allowed, cost, _FORBIDDEN)
    for t in np.flatnonzero(allowed.any((1, 2))):
        rows, columns = linear_sum_assignment(cost[t])
        kept = allowed[t, rows, columns]
        match[t, rows[kept]] = columns[kept]
    return match


def require_shape(name: str, array: np.ndarray, shape: tuple) -> None:
    """ValueError unless the array has this shape; a letter in it stands for any length."""
    if array.ndim != len(shape) or any(isinstance(n, int) and n != m for n, m in zip(shape, array.shape)):
        raise ValueError(f"{name} must be ({', '.join(map(str, shape))}), not {array.shape}")
