"""What several measures share: addable counts, rates of them, and what the output tracks say in a frame.

Shapes: T frames, M reference tracks, L estimated tracks, K classes. Distances are great-circle, in degrees.
"""

from dataclasses import fields
from typing import Self

import numpy as np

from .. import geometry

FRONT = (1.0, 0.0, 0.0)  # ``einv2.inference.decoding`` reads a vector of length 0 as this


class Counts:
    """Base of the dataclasses that a measure adds up over clips: ``+`` joins two of a kind."""

    def __add__(self, other: Self) -> Self:
        return type(self)(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})  # type: ignore[arg-type]


def share(part: float, whole: float) -> float | None:
    """part / whole, None where there was nothing to count."""
    return part / whole if whole else None


def shares(part, whole, empty: float = np.nan) -> np.ndarray:
    """part / whole of arrays that broadcast, ``empty`` where whole is 0."""
    part, whole = np.broadcast_arrays(np.asarray(part, float), np.asarray(whole, float))
    return np.divide(part, whole, out=np.full(part.shape, empty), where=whole > 0)


def none_if_nan(value: float | np.ndarray) -> float | None:
    """A number, or an array of no dimensions, as a plain float for JSON; None for NaN, where there was nothing to count."""
    return None if np.isnan(value) else float(value)


def active_classes(sed: np.ndarray, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """(active, class), both (T, L), of probabilities (T, L, K): the most probable class, active if above ``threshold``."""
    return sed.max(-1) > threshold, sed.argmax(-1)


def pairwise_distance(reference_doa: np.ndarray, doa: np.ndarray) -> np.ndarray:
    """Degrees between every reference and every estimated direction: (T, M, 3), (T, L, 3) -> (T, M, L)."""
    doa = np.where(np.any(doa != 0, axis=-1, keepdims=True), doa, FRONT)
    return geometry.distance(reference_doa[:, :, None], doa[:, None])


def require_shape(name: str, array: np.ndarray, shape: tuple) -> None:
    """ValueError unless the array has this shape; a letter in it stands for any length."""
    if array.ndim != len(shape) or any(isinstance(n, int) and n != m for n, m in zip(shape, array.shape)):
        raise ValueError(f"{name} must be ({', '.join(map(str, shape))}), not {array.shape}")
