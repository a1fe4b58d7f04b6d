"""From a network's output to detections: used by training, inference and every page."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import median_filter

from .. import geometry
from ..config import ModelConfig
from ..models.einv2 import Output
from ..runs import Runs, find_runs

SILENT = -1  # instead of a class index


@dataclass(frozen=True)
class Decoding:
    """How detections are read off the probabilities. Frames are label frames (100 ms); thresholds lie in [0, 1].

    threshold: a class is active above it. class_thresholds: (class index, threshold) pairs, or a mapping, for classes
    with a separate threshold; stored as sorted pairs. median_frames: odd length of a median filter over time of the
    probabilities of each track and class, the first and last frame repeated beyond the ends; 1 is none. gap_frames: silence
    of at most this length between two stretches of one class on one track is bridged. minimum_frames: events (stretches
    of one class on one track) that are shorter are dropped, after bridging.

    ValueError, naming the field, on a value out of range.
    """

    threshold: float = 0.5
    class_thresholds: tuple[tuple[int, float], ...] = ()
    median_frames: int = 1
    minimum_frames: int = 1
    gap_frames: int = 0

    def __post_init__(self):
        pairs = self.class_thresholds
        pairs = tuple(sorted(tuple(pair) for pair in (pairs.items() if isinstance(pairs, Mapping) else pairs)))
        object.__setattr__(self, "class_thresholds", pairs)
        _require_threshold("threshold", self.threshold)
        for index, value in pairs:
            _require_count("class_thresholds", index, 0)
            _require_threshold(f"class_thresholds of class {index}", value)
        if len({index for index, _ in pairs}) < len(pairs):
            raise ValueError(f"class_thresholds must name a class once, not {pairs}")
        for name, least in (("median_frames", 1), ("minimum_frames", 1), ("gap_frames", 0)):
            _require_count(name, getattr(self, name), least)
        if self.median_frames % 2 == 0:
            raise ValueError(f"median_frames must be odd, not {self.median_frames}")


def _require_threshold(name: str, value: float) -> None:
    if not 0 <= value <= 1 or math.isnan(value):
        raise ValueError(f"{name} must be within [0, 1], not {value}")


def _require_count(name: str, value: int, least: int) -> None:
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, not {value!r}")


def as_tracks(output: Output, model: ModelConfig) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Probabilities (B, T, M, K) and directions (B, T, M, 3) from the output of any format.

    The class-wise formats become one track a class (M = K), track k holding class k alone; ACCDOA's probability is the length
    of the vector, at most 1. Without a DoA branch the directions are 0; without an SED branch the probabilities are None.
    """
    sed, doa = output
    if sed is None:
        assert doa is not None  # a network has at least one branch
        accdoa = model.output_format == "accdoa"
        return doa.norm(dim=-1).clamp(max=1).diag_embed() if accdoa else None, doa
    probabilities = sed.sigmoid() if model.output_format == "trackwise" else sed.sigmoid().diag_embed()
    return probabilities, probabilities.new_zeros(*probabilities.shape[:3], 3) if doa is None else doa


def decode(sed: np.ndarray, doa: np.ndarray, threshold: float = 0.5, decoding: Decoding | None = None) -> pd.DataFrame:
    """The frame table of a prediction, with a column ``confidence``.

    sed (T, M, K) probabilities, doa (T, M, 3). On each track the class that is furthest above its threshold; with one
    threshold for all, that is the class of the largest probability. A probability at the threshold is not above it.
    Azimuth and elevation are those of the track's vector, whatever its length; across a bridged gap they follow the great
    circle between the frames beside it, at an even pace. ``confidence`` is the probability of the class, after the median
    filter where there is one, so in a bridged gap it may lie below the threshold.

    decoding: all of the choices; ``threshold`` is not looked at beside it. ValueError on other shapes, or on a threshold
    for a class beyond K.
    """
    if sed.ndim != 3 or doa.shape != (*sed.shape[:2], 3):
        raise ValueError(f"sed must be (T, M, K) and doa (T, M, 3), not {sed.shape} and {doa.shape}")
    decoding = decoding or Decoding(threshold)
    sed = smooth(sed, decoding.median_frames)
    active, doa = _events(_active(sed, decoding), doa, decoding)
    frame, track = np.nonzero(active != SILENT)
    index = active[frame, track]
    azimuth, elevation = geometry.to_angles(doa[frame, track])
    table = pd.DataFrame(
        {
            "frame": frame,
            "class": index,
            "track": track,
            "azimuth": azimuth,
            "elevation": elevation,
            "distance": np.nan,
            "confidence": sed[frame, track, index].astype(float),
        }
    )
    return table.sort_values(["frame", "class", "track"], ignore_index=True)


def smooth(sed: np.ndarray, frames: int) -> np.ndarray:
    """Probabilities (T, M, K) after a median filter of an odd number of frames, each track and class by itself."""
    if frames == 1 or not len(sed):
        return sed
    smoothed = np.zeros_like(sed)
    for track, index in np.argwhere(sed.any(axis=0)):  # the others are 0 throughout: in the class-wise formats, most
        # One by one: over one axis the filter's cost does not grow with its length.
        smoothed[:, track, index] = median_filter(sed[:, track, index], frames, mode="nearest")
    return smoothed


def _active(sed: np.ndarray, decoding: Decoding) -> np.ndarray:
    """The class of each frame and track, (T, M) int, or SILENT."""
    # In the precision of the probabilities, so that one at the threshold is not above it.
    thresholds = np.full(sed.shape[2], decoding.threshold, np.result_type(sed.dtype, 0.5))
    for index, value in decoding.class_thresholds:
        if index >= len(thresholds):
            raise ValueError(f"class_thresholds names class {index}, but there are {len(thresholds)} (from 0)")
        thresholds[index] = value
    best = (sed - thresholds if decoding.class_thresholds else sed).argmax(-1)
    above = np.take_along_axis(sed, best[..., None], -1)[..., 0] > thresholds[best]
    return np.where(above, best, SILENT)


def _events(active: np.ndarray, doa: np.ndarray, decoding: Decoding) -> tuple[np.ndarray, np.ndarray]:
    """``active`` and ``doa`` after bridging and dropping.

    Bridged before, so that fragments count as the event that they are parts of, and again after, where what stood between
    two stretches of a class was dropped: in the result no event is too short and no gap is left that should be bridged.
    """
    if decoding.gap_frames:
        active, doa = _bridge(active, doa, decoding.gap_frames)
    if decoding.minimum_frames > 1:
        runs, value = _runs(active)
        short = (value != SILENT) & (runs.lengths < decoding.minimum_frames)
        active = _from_runs(runs, np.where(short, SILENT, value), active.shape)
        if decoding.gap_frames:
            active, doa = _bridge(active, doa, decoding.gap_frames)
    return active, doa


def _runs(active: np.ndarray) -> tuple[Runs, np.ndarray]:
    """The stretches of equal values, track after track, of (T, M) laid out as (M * T,); and the value of each."""
    flat, track = active.T.ravel(), np.repeat(np.arange(active.shape[1]), len(active))
    runs = find_runs(flat, track)
    return runs, flat[runs.first]


def _from_runs(runs: Runs, value: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    return value[runs.of_position].reshape(shape[::-1]).T


def _bridge(active: np.ndarray, doa: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Silence of at most ``longest`` frames filled where the class before it is the class after it on the same track."""
    runs, value = _runs(active)
    start, length = runs.starts, runs.lengths
    track = start // max(len(active), 1)
    between = np.flatnonzero((value[1:-1] == SILENT) & (length[1:-1] <= longest)) + 1
    same = (value[between - 1] == value[between + 1]) & (track[between - 1] == track[between + 1])
    gaps = between[same]
    value = value.copy()
    value[gaps] = value[gaps - 1]
    return _from_runs(runs, value, active.shape), _interpolate(doa, start[gaps], length[gaps])


def _interpolate(doa: np.ndarray, start: np.ndarray, length: np.ndarray) -> np.ndarray:
    """doa (T, M, 3) with unit vectors along the great circle in the gaps, whose ``start`` counts as in ``_runs``."""
    n_frames, n_tracks = doa.shape[:2]
    flat = doa.transpose(1, 0, 2).reshape(n_tracks * n_frames, 3).copy()
    gap = np.repeat(np.arange(len(start)), length)
    step = np.arange(len(gap)) - np.repeat(np.cumsum(length) - length, length) + 1
    before, after = flat[start - 1][gap], flat[start + length][gap]
    flat[start[gap] + step - 1] = geometry.great_circle(before, after, step / (length[gap] + 1))
    return flat.reshape(n_tracks, n_frames, 3).transpose(1, 0, 2)
