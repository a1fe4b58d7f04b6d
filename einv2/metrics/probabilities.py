"""Can the probabilities be believed, and which threshold suits which class?

Counted of one clip from its output, sed (T, M, K) and doa (T, M, 3), and its reference, a frame table (see
``einv2.labels.frame_tables``). As in ``einv2.inference.decoding`` a track sounds its most probable class, with that probability
p. It can be *right* in a frame where it is matched to a row of the reference: same frame and class, at most 20 degrees apart,
one-to-one. Units: probabilities in [0, 1], degrees, frames of 100 ms.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from .. import geometry, matching
from .common import FRONT, Counts, active_classes, none_if_nan, require_shape, shares

LOWEST = 0.05  # a track less probable than this, or as much, is taken to be silent
N_BINS = 10
THRESHOLDS = tuple(percent / 100 for percent in range(5, 100, 5))
_DEFAULT = THRESHOLDS.index(0.5)


def _no_bins() -> np.ndarray:
    return np.zeros(N_BINS)


@dataclass(frozen=True)
class ReliabilityCounts(Counts):
    """Tracks in frames, (10,) by their probability: bin b is [b / 10, (b + 1) / 10), the last one with 1, the first from 0.05.

    n: how many; probability: the sum of their p; right: how many are right.
    """

    n: np.ndarray = field(default_factory=_no_bins)
    probability: np.ndarray = field(default_factory=_no_bins)
    right: np.ndarray = field(default_factory=_no_bins)

    @property
    def mean_probability(self) -> np.ndarray:
        """probability / n, (10,); NaN in an empty bin."""
        return shares(self.probability, self.n)

    @property
    def share_right(self) -> np.ndarray:
        """right / n, (10,), equal to ``mean_probability`` where the probabilities can be believed; NaN in an empty bin."""
        return shares(self.right, self.n)

    @property
    def ece(self) -> float | None:
        """Expected calibration error, the sum over bins of n / N * |share_right - mean_probability|, in [0, 1]; None if N = 0.

        Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI 2015.
        """
        total = self.n.sum()
        return float(np.abs(self.right - self.probability).sum() / total) if total else None


def reliability(reference: pd.DataFrame, sed: np.ndarray, doa: np.ndarray) -> ReliabilityCounts:
    """How often tracks are right, by their probability, of one clip. ``+`` joins clips.

    Every track of every frame with p > 0.05 is looked at. Within a frame the matching has the most pairs possible
    and, among those, the least total distance: of two tracks near one event the nearer one is right, whatever their
    probabilities. ValueError on arrays that do not fit, on probabilities outside [0, 1] and on a class that only the reference has.
    """
    probability, _, (i, j, key, distance) = _candidates(reference, sed, doa)
    right = np.zeros(len(probability))
    right[matching.least_cost(i, j, key, distance)[1]] = 1
    bins = np.digitize(probability, (np.arange(1, N_BINS) / N_BINS).astype(probability.dtype))
    return ReliabilityCounts(*(np.bincount(bins, w, N_BINS) for w in (np.ones(len(bins)), probability, right)))


@dataclass(frozen=True)
class ThresholdCounts(Counts):
    """Rows of frame tables by threshold (H of them, ``THRESHOLDS``) and class: correct and system (H, K), reference (K,).

    system: of the estimate decoded at the threshold; correct: of these, the most that can be matched to the reference, so that
    F = 2 * correct / (system + reference), by frame. F is NaN where there are neither.
    """

    correct: np.ndarray
    system: np.ndarray
    reference: np.ndarray

    @property
    def f(self) -> np.ndarray:
        """F of each class at each threshold, (H, K)."""
        return shares(2 * self.correct, self.system + self.reference)

    @property
    def overall_f(self) -> np.ndarray:
        """F of the counts of all classes together, one threshold for all, (H,)."""
        return shares(2 * self.correct.sum(1), self.system.sum(1) + self.reference.sum())

    @property
    def best_thresholds(self) -> np.ndarray:
        """The threshold of the largest F of each class, (K,). Of equals the nearest to 0.5, so 0.5 if the class is never right."""
        return np.array(THRESHOLDS)[_best(self.f)]

    @property
    def best_f(self) -> np.ndarray:
        """F of each class at its best threshold, (K,)."""
        return _pick(self.f, _best(self.f))

    @property
    def overall_best_f(self) -> float:
        """F of the counts of all classes together, each at its best threshold.

        What is best for each class need not be best for the sum: ``overall_f`` may be larger at some threshold.
        """
        correct, system = (_pick(counts, _best(self.f)).sum() for counts in (self.correct, self.system))
        return float(shares(2 * correct, system + self.reference.sum()))

    def report(self) -> dict[str, Any]:
        """Plain values. For all classes: threshold (the best single one) with its F, F_default (at 0.5), F_each_best (each class
        at its best); per_class: a list of K of threshold (the best), F, F_default and n_reference. None where F has no value."""
        best = _best(self.overall_f)
        overall = (THRESHOLDS[best], self.overall_f[best], self.overall_f[_DEFAULT])
        classes = zip(self.best_thresholds, self.best_f, self.f[_DEFAULT], self.reference)
        names = ("threshold", "F", "F_default")
        return {
            **_named(names, overall),
            "F_each_best": none_if_nan(self.overall_best_f),
            "per_class": [_named(names, row) | {"n_reference": int(n)} for *row, n in classes],
        }


def by_threshold(reference: pd.DataFrame, sed: np.ndarray, doa: np.ndarray) -> ThresholdCounts:
    """What is found of one clip at each of ``THRESHOLDS``. ``+`` joins clips.

    A row of the reference after the last frame of the output is missed. Errors as in ``reliability``.
    """
    probability, classes, (i, j, key, distance) = _candidates(reference, sed, doa)
    n_classes = sed.shape[-1]
    # The matching that prefers high probabilities is the largest possible above every threshold at once: which estimates can be
    # matched together is a matroid, and its heaviest basis holds the most of those above any weight.
    _, found, _ = matching.least_cost(i, j, key, np.where(np.isfinite(distance), -probability[j], np.inf))
    n_below = np.searchsorted(np.array(THRESHOLDS, probability.dtype), probability)
    correct, system = (_above(n_below[rows], classes[rows], n_classes) for rows in (found, slice(None)))
    return ThresholdCounts(correct, system, np.bincount(reference["class"].to_numpy(), minlength=n_classes))


def _candidates(reference: pd.DataFrame, sed: np.ndarray, doa: np.ndarray) -> tuple:
    """Probability and class, (N,) each, of the tracks with p > 0.05, and their pairs with the reference of the same frame and
    class: (row of the reference, candidate, key, distance), (P,) each, the distance infinite beyond 20 degrees."""
    _check(reference, sed, doa)
    active, classes = active_classes(sed, LOWEST)
    frame, track = np.nonzero(active)
    probability, classes, vectors = sed.max(-1)[active], classes[active], doa[frame, track]
    vectors = np.where(np.any(vectors != 0, axis=-1, keepdims=True), vectors, FRONT)
    key = reference["frame"].to_numpy() * sed.shape[-1] + reference["class"].to_numpy()
    i, j = matching.pairs_within(key, frame * sed.shape[-1] + classes)
    truth = geometry.to_vector(reference["azimuth"].to_numpy(), reference["elevation"].to_numpy())
    distance = geometry.distance(truth[i], vectors[j])
    return (
        probability,
        classes,
        (i, j, key[i], matching.within(distance)),
    )


def _check(reference: pd.DataFrame, sed: np.ndarray, doa: np.ndarray) -> None:
    require_shape("sed", sed, ("T", "M", "K"))
    require_shape("doa", doa, (*sed.shape[:2], 3))
    if not ((sed >= 0) & (sed <= 1)).all():
        raise ValueError(f"sed must hold probabilities in [0, 1], not {sed.min():g} to {sed.max():g}")
    if (highest := reference["class"].max()) >= sed.shape[-1]:
        raise ValueError(f"class {highest} in the reference, but sed has {sed.shape[-1]}")


def _above(n_below: np.ndarray, classes: np.ndarray, n_classes: int) -> np.ndarray:
    """How many of each class are above each threshold, (H, K); n_below: (N,) thresholds below each."""
    n_thresholds = len(THRESHOLDS)
    counts = np.bincount(n_below * n_classes + classes, minlength=(n_thresholds + 1) * n_classes)
    return counts.reshape(n_thresholds + 1, n_classes)[:0:-1].cumsum(0)[::-1]


def _best(f: np.ndarray) -> np.ndarray:
    """(...) the row of the largest F in (H, ...), of equals the nearest to that of 0.5; no value counts as 0."""
    order = np.argsort(np.abs(np.arange(len(f)) - _DEFAULT), kind="stable")
    return order[np.nan_to_num(f)[order].argmax(0)]


def _pick(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """values (H, K) at rows (K,) -> (K,)."""
    return values[rows, np.arange(len(rows))]


def _named(names: tuple[str, ...], values) -> dict[str, float | None]:
    return {name: none_if_nan(value) for name, value in zip(names, values)}
