"""Does an event stay on its output track? Nets trained with tPIT may move it from frame to frame; with cPIT they should not."""

from dataclasses import dataclass

import numpy as np

from .. import geometry
from .common import MATCH_DEGREES, Counts, active_classes, assign, pairwise_distance, require_shape, share


@dataclass(frozen=True)
class SwapCounts(Counts):
    """Steps from one frame to the next within an event that was found in both, and those on which it changed track."""

    swaps: int = 0
    steps: int = 0

    @property
    def rate(self) -> float | None:
        """swaps / steps, in [0, 1]; None where there were no steps."""
        return share(self.swaps, self.steps)


def swap_rate(
    sed: np.ndarray, doa: np.ndarray, reference_sed: np.ndarray, reference_doa: np.ndarray, threshold: float = 0.5
) -> SwapCounts:
    """Track swaps of one clip; ``.rate`` of the sum over clips is the swap rate.

    sed (T, L, K) probabilities, doa (T, L, 3); reference_sed (T, M, K) and reference_doa (T, M, 3), zero where silent. Each
    reference track stands for one event at a time. In class-wise formats track k holds class k only, so none swaps.
    """
    match = match_tracks(sed, doa, reference_sed, reference_doa, threshold)
    _, classes = active_classes(reference_sed)
    # A direction that jumps between two frames is the next event, which follows on the same track without a gap.
    one_event = (classes[1:] == classes[:-1]) & (
        geometry.distance(reference_doa[1:], reference_doa[:-1]) <= MATCH_DEGREES
    )
    steps = one_event & (match[1:] >= 0) & (match[:-1] >= 0)
    return SwapCounts(int((steps & (match[1:] != match[:-1])).sum()), int(steps.sum()))


def match_tracks(
    sed: np.ndarray, doa: np.ndarray, reference_sed: np.ndarray, reference_doa: np.ndarray, threshold: float = 0.5
) -> np.ndarray:
    """The estimated track that each reference track is found on, (T, M); -1 where it is silent or not found.

    Found: right class, within 20 degrees, at least total distance over the frame's pairs. Arrays as in ``swap_rate``.
    """
    n_frames, n_reference, n_classes = reference_sed.shape
    require_shape("reference_doa", reference_doa, (n_frames, n_reference, 3))
    require_shape("sed", sed, (n_frames, "L", n_classes))
    require_shape("doa", doa, (n_frames, sed.shape[1], 3))
    active, classes = active_classes(sed, threshold)
    reference_active, reference_classes = active_classes(reference_sed)
    distance = pairwise_distance(reference_doa, doa)
    found = (
        (reference_active[:, :, None] & active[:, None])
        & (reference_classes[:, :, None] == classes[:, None])
        & (distance <= MATCH_DEGREES)
    )
    return assign(np.where(found, distance, np.inf))
