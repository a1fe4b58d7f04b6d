"""Are directions pulled to the middle of two sources? What a network does that is trained without PIT.

Where nothing tells which of two events belongs on which track, the squared error is least at the mean of both directions, so a
track that is trained against either of them, now the one, now the other, points at their midpoint. Units: frames of 100 ms,
degrees.
"""

from dataclasses import dataclass

import numpy as np

from .. import geometry
from .common import Counts, active_classes, pairwise_distance, require_shape, share

APART_DEGREES = 40.0  # of two sources that are nearer the midpoint is as good as a source
OPPOSITE_DEGREES = 170.0  # beyond, their midpoint is no direction


@dataclass(frozen=True)
class Distances:
    """N estimated directions in frames with two sources: frame and track (N,), and degrees (N,) to the midpoint of the sources
    and to the nearer one of them."""

    frame: np.ndarray
    track: np.ndarray
    to_midpoint: np.ndarray
    to_source: np.ndarray

    @property
    def counts(self) -> "MidpointCounts":
        """To be added up over clips."""
        return MidpointCounts(
            len(self.frame),
            int((self.to_midpoint < self.to_source).sum()),
            float(self.to_midpoint.sum()),
            float(self.to_source.sum()),
        )


@dataclass(frozen=True)
class MidpointCounts(Counts):
    """n directions; those nearer to the midpoint than to either source; degrees to the midpoint, and to the nearer source, added up."""

    n: int = 0
    nearer_midpoint: int = 0
    midpoint_degrees: float = 0.0
    source_degrees: float = 0.0

    @property
    def share(self) -> float | None:
        """nearer_midpoint / n, in [0, 1]; None without such frames."""
        return share(self.nearer_midpoint, self.n)

    @property
    def to_midpoint(self) -> float | None:
        """Mean distance to the midpoint, degrees."""
        return share(self.midpoint_degrees, self.n)

    @property
    def to_source(self) -> float | None:
        """Mean distance to the nearer source, degrees."""
        return share(self.source_degrees, self.n)


def sources_and_midpoints(
    reference_sed: np.ndarray, reference_doa: np.ndarray, apart: float = APART_DEGREES
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The frames (N,) with exactly two events more than ``apart`` degrees from each other (and not opposite), the directions of
    both (N, 2, 3), and the unit vectors between them (N, 3). Arrays as in ``distances``."""
    active = active_classes(reference_sed)[0]
    frames = np.flatnonzero(active.sum(1) == 2)
    sources = reference_doa[frames][active[frames]].reshape(-1, 2, 3).astype(float)
    angle = geometry.distance(sources[:, 0], sources[:, 1])
    fit = (angle > apart) & (angle < OPPOSITE_DEGREES)
    sources = sources[fit]
    middle = sources.sum(1)
    return frames[fit], sources, middle / np.linalg.norm(middle, axis=-1, keepdims=True)


def distances(
    reference_sed: np.ndarray,
    reference_doa: np.ndarray,
    doa: np.ndarray,
    class_wise: bool = False,
    apart: float = APART_DEGREES,
) -> Distances:
    """How far one clip's directions are from the midpoint and from the sources, whatever their activity.

    doa (T, L, 3); reference_sed (T, M, K) and reference_doa (T, M, 3), zero where silent. Of a trackwise network every track
    counts; ``class_wise`` (L = K): the directions of the classes that sound. ValueError on shapes that do not fit.
    """
    n_frames, n_tracks, n_classes = reference_sed.shape
    require_shape("reference_doa", reference_doa, (n_frames, n_tracks, 3))
    require_shape("doa", doa, (n_frames, n_classes if class_wise else "L", 3))
    frames, sources, middle = sources_and_midpoints(reference_sed, reference_doa, apart)
    counted = reference_sed[frames].max(1) > 0.5 if class_wise else np.ones((len(frames), doa.shape[1]), bool)
    row, track = np.nonzero(counted)
    estimate = doa[frames]
    to_source = pairwise_distance(sources, estimate).min(1)
    to_midpoint = pairwise_distance(middle[:, None], estimate)[:, 0]
    return Distances(frames[row], track, to_midpoint[row, track], to_source[row, track])
