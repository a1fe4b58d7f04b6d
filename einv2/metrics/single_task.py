"""What a system does well and badly: detection alone, directions alone, and events that overlap.

The first two are the protocol of the paper's Table 2, which judges each task without the other. Units: frames of 100 ms,
segments of 1 s, degrees.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..frames import LABEL_FRAMES_PER_SECOND
from ..labels import frame_tables
from ..matching import MATCH_DEGREES, assign
from .common import Counts, active_classes, pairwise_distance, require_shape, share
from .matching import find_pairs


@dataclass(frozen=True)
class DoaError(Counts):
    """Degrees of error added up over active (frame, event) pairs: all, and those in frames with two events or more."""

    total_degrees: float = 0.0
    n: int = 0
    overlap_degrees: float = 0.0
    overlap_n: int = 0

    @property
    def le(self) -> float | None:
        """Mean error, degrees; None without events."""
        return share(self.total_degrees, self.n)

    @property
    def le_single(self) -> float | None:
        """Mean error in frames with one event."""
        return share(self.total_degrees - self.overlap_degrees, self.n - self.overlap_n)

    @property
    def le_overlap(self) -> float | None:
        """Mean error in frames with two events or more."""
        return share(self.overlap_degrees, self.overlap_n)


def doa_alone(
    reference_sed: np.ndarray,
    reference_doa: np.ndarray,
    doa: np.ndarray,
    output_format: str = "trackwise",
    as_labelled: bool = False,
) -> DoaError:
    """The error of one clip's directions where activity and class are taken from the ground truth.

    reference_sed (T, M, K), reference_doa (T, M, 3), zero where silent. "trackwise": doa (T, L, 3), and in each frame the
    active reference tracks are put on the estimated ones at least total distance; with fewer estimated tracks than events,
    the surplus is left out. ``as_labelled``: each reference track stands on the estimated one of its number instead, the order
    that a network without PIT was trained for. "seldnet", "accdoa": doa (T, K, 3), and each event gets the direction of its
    class, so that two of one class share one.
    """
    n_frames, n_tracks, n_classes = reference_sed.shape
    require_shape("reference_doa", reference_doa, (n_frames, n_tracks, 3))
    active, classes = active_classes(reference_sed)
    if output_format not in ("trackwise", "seldnet", "accdoa"):
        raise ValueError(f"output_format must be trackwise, seldnet or accdoa, not {output_format!r}")
    trackwise = output_format == "trackwise"
    require_shape("doa", doa, (n_frames, "L" if trackwise else n_classes, 3))
    distance = pairwise_distance(reference_doa, doa)
    if not trackwise:
        column = np.where(active, classes, -1)
    elif as_labelled:
        tracks = np.arange(n_tracks)
        column = np.where(active & (tracks < doa.shape[1]), tracks, -1)
    else:
        column = assign(np.where(active[:, :, None], distance, np.inf))
    counted = column >= 0
    error = np.take_along_axis(distance, column[..., None], -1)[..., 0]
    overlap = counted & (active.sum(1, keepdims=True) > 1)
    return DoaError(float(error[counted].sum()), int(counted.sum()), float(error[overlap].sum()), int(overlap.sum()))


@dataclass(frozen=True)
class SedCounts(Counts):
    """Class activities, wherever they are heard: in the estimate, in the reference and in both; per segment and frame."""

    segment_hits: int = 0
    segment_system: int = 0
    segment_reference: int = 0
    frame_hits: int = 0
    frame_system: int = 0
    frame_reference: int = 0

    @property
    def f(self) -> float | None:
        """Micro F over segments of 1 s, in [0, 1]; None where neither side has an event."""
        return share(2 * self.segment_hits, self.segment_system + self.segment_reference)

    @property
    def f_frame(self) -> float | None:
        """Micro F over frames."""
        return share(2 * self.frame_hits, self.frame_system + self.frame_reference)


def sed_alone(reference_sed: np.ndarray, sed: np.ndarray, threshold: float = 0.5) -> SedCounts:
    """Detection of one clip without regard to direction. A class counts once in a frame or segment, on however many tracks.

    sed (T, L, K) probabilities, of any format in its trackwise form; reference_sed (T, M, K).
    """
    require_shape("sed", sed, (len(reference_sed), "L", reference_sed.shape[-1]))
    reference, system = _class_activity(reference_sed, 0.5), _class_activity(sed, threshold)
    return SedCounts(*_overlap(_by_segment(reference), _by_segment(system)), *_overlap(reference, system))


def _class_activity(sed: np.ndarray, threshold: float) -> np.ndarray:
    """(T, K) bool: does any track sound the class."""
    active, classes = active_classes(sed, threshold)
    frame, track = np.nonzero(active)
    activity = np.zeros((len(sed), sed.shape[-1]), bool)
    activity[frame, classes[frame, track]] = True
    return activity


def _by_segment(activity: np.ndarray) -> np.ndarray:
    return np.logical_or.reduceat(activity, np.arange(0, len(activity), LABEL_FRAMES_PER_SECOND), axis=0)


def _overlap(reference: np.ndarray, system: np.ndarray) -> tuple[int, int, int]:
    """In both, in the system, in the reference."""
    return int((system & reference).sum()), int(system.sum()), int(reference.sum())


OVERLAPS = {
    "single": "one event",
    "different": "two or more, each of another class",
    "same": "two or more, some of one class",
}


@dataclass(frozen=True)
class OverlapCounts(Counts):
    """Frames by the events that the reference has in them (keys of ``OVERLAPS``), and those in which all are found."""

    single: int = 0
    single_found: int = 0
    different: int = 0
    different_found: int = 0
    same: int = 0
    same_found: int = 0

    def recall(self) -> dict[str, dict]:
        """For each key of ``OVERLAPS``: "frames", and "found", the share of them in which all events are found, or None."""
        frames = {key: getattr(self, key) for key in OVERLAPS}
        return {k: {"frames": n, "found": share(getattr(self, f"{k}_found"), n)} for k, n in frames.items()}


def overlap_recall(reference: pd.DataFrame, estimate: pd.DataFrame, threshold: float = MATCH_DEGREES) -> OverlapCounts:
    """In how many frames all events are found: right class, within ``threshold`` degrees, a prediction each.

    reference, estimate: frame tables (see ``einv2.labels.frame_tables``) of one clip, or of many with a column ``clip``. A
    system with one direction a class finds none of "same".
    """
    found = np.zeros(len(reference), bool)
    found[find_pairs(reference, estimate).matched(threshold)[0]] = True
    rows = {"class": reference["class"].to_numpy(), "found": found}
    frame = pd.DataFrame(rows).groupby(frame_tables.keys(("frame",), reference)[0])
    all_found, n, n_classes = frame["found"].all(), frame["class"].size(), frame["class"].nunique()
    kinds = {"single": n == 1, "different": (n > 1) & (n_classes == n), "same": n_classes < n}
    counts = {key: int(kind.sum()) for key, kind in kinds.items()}
    return OverlapCounts(**counts, **{f"{key}_found": int((kind & all_found).sum()) for key, kind in kinds.items()})
