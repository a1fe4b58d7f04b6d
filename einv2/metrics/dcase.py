"""The DCASE challenge's joint measures of detection and localisation (Mesaros et al., WASPAA 2019).

References and estimates are frame tables (see ``einv2.labels``). Units: seconds of 10 label frames, degrees; ER, F and LR
are plain numbers, F and LR in [0, 1].
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from .. import geometry
from ..config import LABEL_FRAMES_PER_SECOND
from .common import Counts

NO_MATCH_DEGREES = 180.0  # the localisation error where a class was never found


@dataclass
class Counts2020(Counts):
    """What the DCASE 2020 measure adds up over clips; ``+`` joins two."""

    true_positives: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0
    n_reference: int = 0
    n_system: int = 0
    total_distance: float = 0.0
    n_both: int = 0

    def scores(self) -> dict[str, float]:
        """ER, F, LE (degrees), LR and SELD = mean(ER, 1 - F, LE / 180, 1 - LR)."""
        error_rate = (self.substitutions + self.deletions + self.insertions) / max(self.n_reference, 1)
        f = _f_score(self.true_positives, self.n_system, self.n_reference)
        le = self.total_distance / self.n_both if self.n_both else NO_MATCH_DEGREES
        lr = _f_score(self.n_both, self.n_system, self.n_reference)
        seld = float(np.mean([error_rate, 1 - f, le / 180, 1 - lr]))
        return {"ER": error_rate, "F": f, "LE": le, "LR": lr, "SELD": seld}


def _f_score(hits: int, n_system: int, n_reference: int) -> float:
    """Harmonic mean of hits / n_system and hits / n_reference; 0 without hits."""
    return 2 * hits / (n_system + n_reference) if hits else 0.0


def counts_2020(
    estimate: pd.DataFrame, reference: pd.DataFrame, threshold: float = 20.0
) -> tuple[Counts2020, dict[int, Counts2020]]:
    """One clip's counts over all classes, and per class.

    A class counts once in a second, whatever the number of its instances. Where reference and system both have it, the mean
    over their common frames of the least total distance decides: at most ``threshold`` degrees is a true positive, more is
    a miss without a false alarm. Seconds beyond the reference's last frame are not looked at. These are the official
    code's peculiarities and are kept, so that scores compare with the paper's.
    """
    n_segments = -(-int(reference["frame"].max()) // LABEL_FRAMES_PER_SECOND) if len(reference) else 0
    in_reference, in_system = _by_segment(reference, n_segments), _by_segment(estimate, n_segments)
    total, per_class = Counts2020(), {}
    for segment in range(n_segments):
        counts = {
            class_index: _count_class(
                in_reference[segment].get(class_index), in_system[segment].get(class_index), threshold
            )
            for class_index in in_reference[segment].keys() | in_system[segment].keys()
        }
        for class_index, count in counts.items():
            per_class[class_index] = per_class.get(class_index, Counts2020()) + _with_errors(count)
        total += _with_errors(sum(counts.values(), Counts2020()))
    return total, per_class


def evaluate_2020(
    pairs: Iterable[tuple[pd.DataFrame, pd.DataFrame]], n_classes: int, threshold: float = 20.0
) -> dict[str, object]:
    """Scores over clips, each a pair (estimate, reference) of frame tables: ER, F, LE, LR, SELD and ``per_class``.

    ``per_class`` is a list of K dictionaries with the same keys and ``n_reference``, the class-seconds of the reference.
    """
    total, classes = Counts2020(), [Counts2020() for _ in range(n_classes)]
    for estimate, reference in pairs:
        clip, per_class = counts_2020(estimate, reference, threshold)
        total += clip
        for class_index, count in per_class.items():
            classes[class_index] += count
    return total.scores() | {"per_class": [c.scores() | {"n_reference": c.n_reference} for c in classes]}


def _by_segment(table: pd.DataFrame, n_segments: int) -> list[dict[int, dict[int, np.ndarray]]]:
    """Per second: class -> frame -> unit vectors (N, 3)."""
    segments: list[dict] = [{} for _ in range(n_segments)]
    vectors = geometry.to_vector(table["azimuth"], table["elevation"])
    for (frame, class_index), rows in table.groupby(["frame", "class"], sort=True).indices.items():
        segment = frame // LABEL_FRAMES_PER_SECOND
        if segment < n_segments:
            segments[segment].setdefault(class_index, {})[frame] = vectors[rows]
    return segments


def _count_class(reference: dict | None, system: dict | None, threshold: float) -> Counts2020:
    """Counts of one class in one second. A miss stands in ``deletions``, a false alarm in ``insertions``, unpaired yet."""
    if reference is None:
        return Counts2020(insertions=1, n_system=1)
    if system is None:
        return Counts2020(deletions=1, n_reference=1)
    common = reference.keys() & system.keys()
    if not common:
        return Counts2020(deletions=1, n_reference=1, n_system=1)
    distance = float(np.mean([least_total_distance(reference[f], system[f]) for f in sorted(common)]))
    hit = distance <= threshold
    return Counts2020(
        true_positives=int(hit), deletions=int(not hit), n_reference=1, n_system=1, total_distance=distance, n_both=1
    )


def _with_errors(count: Counts2020) -> Counts2020:
    """Pair the misses and false alarms of one second: S = min(FP, FN), D = max(0, FN - FP), I = max(0, FP - FN)."""
    pairs = min(count.deletions, count.insertions)
    return count + Counts2020(substitutions=pairs, deletions=-pairs, insertions=-pairs)


def least_total_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Total great-circle distance (degrees) of the best one-to-one matching of directions a (N, 3) and b (L, 3)."""
    cost = geometry.distance(a[:, None], b[None])
    return float(cost[linear_sum_assignment(cost)].sum())
