"""Predictions for a clip: of both tasks (``Prediction``), of one task (``BranchPrediction``), and of a pair of networks, one for each
task, as one system (``paired``)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from ..frames import CHUNK_SECONDS, LABEL_FRAME_SECONDS
from ..labels import frame_tables
from ..labels.class_lists import mapping
from .decoding import Decoding, decode
from .stitching import best_order

MATCH_FRAMES = 30  # frames before and after that also decide which tracks of a pair belong together


@dataclass(frozen=True)
class Prediction:
    """Trackwise output for a clip: sed (T, M, K) probabilities, doa (T, M, 3) vectors (x front, y left, z up).

    A network of a class-wise format gives one track a class; see ``einv2.inference.decoding``. chunk_seconds: of the chunks that
    it ran on.
    """

    sed: np.ndarray
    doa: np.ndarray
    classes: tuple[str, ...]
    frame_seconds: float = LABEL_FRAME_SECONDS
    class_wise: bool = False
    chunk_seconds: int = CHUNK_SECONDS

    @property
    def track_names(self) -> tuple[str, ...]:
        """The names of the tracks: track 1, track 2... or, class-wise, the classes."""
        return self.classes if self.class_wise else tuple(f"track {m + 1}" for m in range(self.sed.shape[1]))

    def frames(self, threshold: float = 0.5, decoding: Decoding | None = None) -> pd.DataFrame:
        """Detections as a frame table with a column ``confidence``; see ``einv2.inference.decoding``. ``decoding`` replaces
        ``threshold``."""
        return decode(self.sed, self.doa, threshold, decoding)

    def events(self, threshold: float = 0.5, decoding: Decoding | None = None) -> pd.DataFrame:
        """Detections as an event table: class, track, onset, offset (s), azimuth, elevation (degrees), confidence."""
        return frame_tables.frames_to_events(self.frames(threshold, decoding), self.classes)


@dataclass(frozen=True)
class BranchPrediction:
    """The output of a network of one task for a clip: sed (T, M, K) or doa (T, M, 3), as in ``Prediction``; the other is None.

    Of detection alone there are classes and tracks, and no directions. Of directions alone there are no classes. Trackwise the
    length of a vector, at most 1, stands for the probability that its track is active: in training the target of a silent
    track is 0, so the estimate of least squared error is the direction times that probability. In the SELDnet format only
    active classes are trained, and the length says nothing: every class has a direction in every frame, for the case that it sounds.
    """

    sed: np.ndarray | None
    doa: np.ndarray | None
    classes: tuple[str, ...]
    frame_seconds: float = LABEL_FRAME_SECONDS
    class_wise: bool = False
    chunk_seconds: int = CHUNK_SECONDS

    def __len__(self) -> int:
        """Label frames."""
        return len(self._known)

    @property
    def _known(self) -> np.ndarray:
        known = self.doa if self.sed is None else self.sed
        assert known is not None  # a network has at least one branch
        return known

    @property
    def has_events(self) -> bool:
        """Whether it contains activity."""
        return self.sed is not None or not self.class_wise

    def frames(self, threshold: float = 0.5, decoding: Decoding | None = None) -> pd.DataFrame:
        """What is known of each frame, columns in this order; ``threshold`` and ``decoding`` as in ``einv2.inference.decoding``.

        Detection alone: frame, class, track, confidence. Directions alone: frame, track, azimuth, elevation, confidence (the
        length of the vector); in the SELDnet format frame, class, azimuth, elevation, all classes in every frame.
        """
        if not self.has_events:
            return self._decoded(0.0, None)[["frame", "class", "azimuth", "elevation"]]
        unknown = ["azimuth", "elevation"] if self.doa is None else ["class"]
        return self._decoded(threshold, decoding).drop(columns=[*unknown, "distance"])

    def events(self, threshold: float = 0.5, decoding: Decoding | None = None) -> pd.DataFrame:
        """As ``Prediction.events``, without the columns that are not known. ValueError if it contains no activity."""
        if not self.has_events:
            raise ValueError(
                "directions of all classes in every frame are no events: pair them with a detection network"
            )
        found = frame_tables.frames_to_events(
            self._decoded(threshold, decoding), self.classes if self.sed is not None else None
        )
        return found.drop(columns=["azimuth", "elevation", "spread"] if self.doa is None else ["class", "name"])

    def _decoded(self, threshold: float, decoding: Decoding | None) -> pd.DataFrame:
        """The frame table, with placeholders for what is not known: the front, and class 0."""
        sed = activities(self._known, self.class_wise) if self.sed is None else self.sed
        doa = np.zeros((*sed.shape[:2], 3), sed.dtype) if self.doa is None else self.doa
        if self.sed is None and self.class_wise:
            sed = np.repeat(np.eye(sed.shape[1], dtype=sed.dtype)[None], len(sed), axis=0)
        return decode(sed, doa, threshold, decoding)


Said = TypeVar("Said", Prediction, BranchPrediction)


def on_classes(prediction: Said, classes: Sequence[str]) -> Said:
    """The prediction on another class list, matched by class names; classes that it lacks have probability 0.

    ValueError, one sentence, if it lacks one of the prediction's classes.
    """
    places = mapping(prediction.classes, classes)
    arrays: dict[str, Any] = {"sed": prediction.sed, "doa": prediction.doa}
    arrays["sed"] = _spread(arrays["sed"], 2, places, len(classes))
    if prediction.class_wise:
        arrays = {name: _spread(array, 1, places, len(classes)) for name, array in arrays.items()}
    return replace(prediction, **arrays, classes=tuple(classes))


def _spread(array: np.ndarray | None, axis: int, places, size: int) -> np.ndarray | None:
    """The array with its entries along an axis moved to ``places`` of a longer axis, zeros elsewhere; None stays None."""
    if array is None:
        return None
    out = np.zeros((*array.shape[:axis], size, *array.shape[axis + 1 :]), array.dtype)
    out[(slice(None),) * axis + (places,)] = array
    return out


def activities(doa: np.ndarray, class_wise: bool) -> np.ndarray:
    """The activity that directions imply, (..., M, 3) -> (..., M, 1): the length of the vectors; class-wise 1."""
    lengths = np.linalg.norm(doa, axis=-1, keepdims=True)
    return np.ones_like(lengths) if class_wise else np.minimum(lengths, 1)


def paired(detection: BranchPrediction, directions: BranchPrediction) -> Prediction:
    """The predictions of a detection network and of a direction network for one clip as one, on the tracks of the former.

    Class-wise directions: each track has the direction of its most probable class. Trackwise ones: the order of tracks of two
    networks is arbitrary, and only activity shows which belong together. So in each frame the tracks are matched whose
    activities (probability, and length of the vector) agree best, in that frame and, with weights that fall with the distance, in
    those up to 3 s around it. Two events that begin and end together cannot be told apart by this, and may exchange directions.
    """
    n = min(len(detection), len(directions))
    sed, doa = detection._known[:n], directions._known[:n]
    if directions.class_wise and not detection.class_wise:
        doa = np.take_along_axis(doa, sed.argmax(-1)[..., None], 1)
    elif not directions.class_wise:
        doa = _matched(sed, doa)
    return Prediction(
        sed, doa, detection.classes, class_wise=detection.class_wise, chunk_seconds=detection.chunk_seconds
    )


def _matched(sed: np.ndarray, doa: np.ndarray) -> np.ndarray:
    """The directions (T, N, 3) on the tracks of sed (T, M, K) that they agree with, (T, M, 3); 0 where there are too few."""
    n_tracks = sed.shape[1]
    missing = max(n_tracks - doa.shape[1], 0)
    doa = np.pad(doa, ((0, 0), (0, missing), (0, 0)))
    active, length = sed.max(-1), activities(doa, False)[..., 0]
    active = np.pad(active, ((0, 0), (0, doa.shape[1] - n_tracks)))
    agreement = np.einsum("ti,tj->tij", active, length) + np.einsum("ti,tj->tij", 1 - active, 1 - length)
    order = best_order(agreement + _mean_around(agreement))[:, :n_tracks]
    return np.take_along_axis(doa, order[..., None], 1)


def _mean_around(values: np.ndarray) -> np.ndarray:
    """The mean (T, ...) over the frames up to ``MATCH_FRAMES`` away, with weights that fall with the distance; 0 beyond the ends."""
    weight = np.bartlett(2 * MATCH_FRAMES + 3)[1:-1]
    frames = slice(MATCH_FRAMES, MATCH_FRAMES + len(values))
    series = values.reshape(len(values), -1).T
    return np.stack([np.convolve(s, weight / weight.sum())[frames] for s in series], axis=1).reshape(values.shape)
