"""The scores of a network on clips, against their whole ground truth; in training and in the paper's comparisons."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from ..config import ModelConfig
from ..datasets.chunking import Reference
from ..inference.decoding import decode
from ..labels import dcase_csv
from ..metrics import dcase
from ..metrics.identity import SwapCounts, swap_rate
from ..metrics.single_task import DoaError, OverlapCounts, SedCounts, doa_alone, overlap_recall, sed_alone

THRESHOLD = 0.5
SCORES = ("ER", "F", "LE", "LR", "SELD", "swap_rate")  # of an epoch; None where the task has no such score


class ClipOutput(NamedTuple):
    """sed (T, M, K) probabilities and doa (T, M, 3), None where the network has no such branch, and the ground truth (T, R, ..)."""

    sed: Any  # np.ndarray | None; the task tells which
    doa: Any
    reference: Reference


@dataclass(frozen=True)
class Outputs:
    """The outputs of a network that was trained with ``pit``."""

    clips: Sequence[ClipOutput]
    model: ModelConfig
    pit: str

    @property
    def on_trained_tracks(self) -> bool:
        """Whether directions alone are compared on the tracks of the labels: of a network that was trained without PIT on them."""
        return self.model.task == "doa" and self.model.output_format == "trackwise" and self.pit == "none"

    def pairs(self, in_whole_degrees: bool = False) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
        """The ground truth's frame table and the decoded one, of each clip; in whole degrees as ``predict`` writes it."""
        tables = [decode(clip.sed, clip.doa, THRESHOLD) for clip in self.clips]
        if in_whole_degrees:
            tables = [dcase_csv.whole_degrees(table) for table in tables]
        return [(clip.reference.table, table) for table, clip in zip(tables, self.clips)]

    def detection(self) -> SedCounts:
        """Classes alone, directions ignored."""
        return sum((sed_alone(clip.reference.sed, clip.sed, THRESHOLD) for clip in self.clips), SedCounts())

    def directions(self, in_best_order: bool = False) -> DoaError:
        """Directions alone, activity and class from the ground truth. Its events are assigned to tracks in the order that fits
        best, or, without PIT (``on_trained_tracks``), stand on the tracks of the labels, unless ``in_best_order``."""
        as_labelled = self.on_trained_tracks and not in_best_order
        counts = (
            doa_alone(clip.reference.sed, clip.reference.doa, clip.doa, self.model.output_format, as_labelled)
            for clip in self.clips
        )
        return sum(counts, DoaError())

    def swaps(self) -> SwapCounts:
        """How often an event changes its output track."""
        counts = (
            swap_rate(clip.reference.sed, clip.reference.doa, clip.sed, clip.doa, THRESHOLD) for clip in self.clips
        )
        return sum(counts, SwapCounts())

    def overlaps(self) -> OverlapCounts:
        """In how many frames all of the simultaneous events are found."""
        return sum((overlap_recall(*pair) for pair in self.pairs(in_whole_degrees=True)), OverlapCounts())

    def scores(self) -> dict[str, float | None]:
        """``SCORES``. A network of one task is scored as in the paper's Table 2."""
        scores: dict[str, float | None] = dict.fromkeys(SCORES)
        if self.model.task == "sed":
            return scores | {"F": self.detection().f}
        if self.model.task == "doa":
            return scores | {"LE": self.directions().le}
        joint = dcase.evaluate(self.pairs(), self.model.n_classes)
        return scores | {name: joint[name] for name in SCORES[:-1]} | {"swap_rate": self.swaps().rate}
