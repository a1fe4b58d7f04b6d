"""Several models in one: their tracks are aligned in every frame, then averaged.

Which event stands on which track is arbitrary for a network trained with permutation-invariant training, and changes
from frame to frame with tPIT. So track k of one model is never averaged with track k of another, but with the one that
agrees with it.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..audio import recordings
from ..audio.inputformat import InputFormat
from ..audio.rotations import N_PATTERNS
from .model import ESTIMATES, BranchModel, Model, Pair
from .prediction import Prediction
from .runner import SideBySide, only_sample_rate, run_over_blocks
from .stitching import EPSILON, agreement, best_order

_PATTERNS = (0, 6, 3, 5, 8, 14, 11, 13, 1, 7, 2, 4, 9, 15, 10, 12)  # as ``rotations.pattern_matrix`` numbers them


class Ensemble:
    """Several models, or pairs of one-task networks, as one: it has the interface of a ``Model``.

    ValueError unless their classes are the same, and each estimates activities and directions.
    """

    def __init__(self, models: Sequence[Model | Pair | BranchModel]):
        _require_same_classes([model.classes for model in models])
        self.models = tuple(_of_both_tasks(model) for model in models)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.models[0].classes

    @property
    def _single(self) -> list[Model]:
        """The models, where none is a pair. ValueError otherwise."""
        if any(isinstance(model, Pair) for model in self.models):
            raise ValueError("a pair of networks in an ensemble runs over files only: give a file instead")
        return [model for model in self.models if isinstance(model, Model)]

    @property
    def sample_rate(self) -> int:
        """Of the audio that all models use, Hz. ValueError if it differs; ``predict`` takes such models, too."""
        return only_sample_rate([model.runner for model in self._single])

    def predict(
        self,
        clip: str | Path,
        name: str | None = None,
        progress: Callable[[float], None] | None = None,
        read_as: InputFormat | None = None,
        observe: Callable[[np.ndarray, int], None] | None = None,
    ) -> Prediction:
        """Run every model over a file, one after the other, and combine them; see ``Model.predict``.

        ``observe`` is called with the blocks of the first model.
        """
        seconds = recordings.probe(clip, name, read_as=read_as).seconds
        predictions = []
        for i, model in enumerate(self.models):
            part = _part(progress, i * seconds, len(self.models))
            predictions.append(model.predict(clip, name, part, read_as, None if i else observe))
        # Models of different rates may count one frame more or less at the end of a clip.
        n = min(len(p.sed) for p in predictions)
        return combine([replace(p, sed=p.sed[:n], doa=p.doa[:n]) for p in predictions])

    def predict_blocks(
        self, blocks: Iterator[np.ndarray], progress: Callable[[float], None] | None = None
    ) -> Prediction:
        """Run every model over blocks as they come, and combine them; see ``Model.predict_blocks``.

        The result is that of ``predict``. ValueError if the models use different sample rates, or chunks of different lengths.
        """
        models = self._single
        together = SideBySide([model.runner for model in models])
        sed, doa = run_over_blocks(together, blocks, progress)
        last_tracks = np.cumsum([n_tracks for n_tracks, _ in together.groups])[:-1]
        parts = zip(models, *(np.split(array, last_tracks, axis=1) for array in (sed, doa)))
        return combine(
            [
                Prediction(s, d, self.classes, class_wise=m.class_wise, chunk_seconds=m.chunk_seconds)
                for m, s, d in parts
            ]
        )


def _of_both_tasks(model: Model | Pair | BranchModel) -> Model | Pair:
    if isinstance(model, BranchModel):
        raise ValueError(
            f"{model.name} estimates {ESTIMATES[model.task]} only, and an average needs both: pair it with another "
            "network, as in `predict --model DETECTION+DIRECTIONS`."
        )
    return model


def _part(progress: Callable[[float], None] | None, before: float, n_models: int) -> Callable[[float], None] | None:
    """The progress of one of the models, as seconds done of all, of which ``before`` were done before it."""
    return None if progress is None else lambda done: progress((before + done) / n_models)


def rotated(model: Model | Pair | BranchModel, pattern: int) -> Model | Pair | BranchModel:
    """A model, or both of a pair, in a scene that is rotated; the model itself for the pattern that changes nothing."""
    if not pattern:
        return model
    if isinstance(model, Pair):
        return Pair(model.detection.rotated(pattern), model.directions.rotated(pattern))
    return model.rotated(pattern)


def in_rotations(models: Sequence[Model | Pair | BranchModel], n: int) -> list[Model | Pair | BranchModel]:
    """Each model as it is, and in n - 1 rotations of the scene: averaging over n views reduces a network's errors.

    n: 1 to 16; half turns come before quarter turns and mirrors. ValueError otherwise.
    """
    if not 1 <= n <= N_PATTERNS:
        raise ValueError(f"a scene can be turned in 1 to {N_PATTERNS} ways, not {n}.")
    return [rotated(model, pattern) for model in models for pattern in _PATTERNS[:n]]


def combine(predictions: Sequence[Prediction]) -> Prediction:
    """The average of several predictions for one clip, with tracks in the order of the first trackwise one.

    sed is the mean of the probabilities. doa is the mean of the vectors, each weighted by the probability that its model
    gives to the class which wins, so a silent track's direction does not pull. The result has as many tracks as the
    trackwise prediction with the most; beside one, a class-wise prediction (K tracks, class k on track k) is reduced to
    that many, the most probable of each frame. Class-wise predictions alone are averaged class by class.

    ValueError unless all have the same classes and frames.
    """
    _require_same_classes([p.classes for p in predictions])
    if len(lengths := {len(p.sed) for p in predictions}) > 1:
        raise ValueError(
            f"predictions for one clip have as many frames each, not {', '.join(map(str, sorted(lengths)))}"
        )
    ordered = sorted(predictions, key=lambda p: p.class_wise)  # the trackwise ones first
    if ordered[0].class_wise:
        aligned = [(p.sed, p.doa) for p in ordered]
    else:
        aligned = _align(ordered, max(p.sed.shape[1] for p in ordered if not p.class_wise))
    sed, doa = _average(aligned)
    return replace(ordered[0], sed=sed, doa=doa)


def _require_same_classes(class_lists: Sequence[tuple[str, ...]]) -> None:
    if not class_lists:
        raise ValueError("an ensemble needs at least one model")
    first = tuple(class_lists[0])
    for number, classes in enumerate(class_lists[1:], 2):
        if tuple(classes) != first:
            raise ValueError(
                f"the models of an ensemble must have the same classes in the same order: model 1 has {len(first)} "
                f"({', '.join(first)}), model {number} has {len(classes)} ({', '.join(classes)})."
            )


def _align(predictions: Sequence[Prediction], n_tracks: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(sed (T, M, K), doa (T, M, 3)) of each, all on the tracks of the first."""
    aligned: list[tuple[np.ndarray, np.ndarray]] = []
    for sed, doa in (_with_tracks(p, n_tracks) for p in predictions):
        if aligned:
            order = best_order(agreement(*_average(aligned), sed, doa))
            sed, doa = _take(sed, order), _take(doa, order)
        aligned.append((sed, doa))
    return aligned


def _with_tracks(prediction: Prediction, n_tracks: int) -> tuple[np.ndarray, np.ndarray]:
    """sed and doa with ``n_tracks`` tracks: the most probable ones of each frame, or silent ones added."""
    probability = prediction.sed.max(-1)
    kept = np.sort(np.argsort(-probability, axis=1, kind="stable")[:, :n_tracks], axis=1)
    missing = ((0, 0), (0, n_tracks - kept.shape[1]), (0, 0))
    return np.pad(_take(prediction.sed, kept), missing), np.pad(_take(prediction.doa, kept), missing)


def _take(array: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Tracks in another order in each frame: (T, L, ...), (T, M) -> (T, M, ...)."""
    return np.take_along_axis(array, order[..., None], 1)


def _average(tracks: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean probabilities (T, M, K) and directions (T, M, 3) of aligned tracks."""
    sed, doa = (np.stack(arrays) for arrays in zip(*tracks))
    mean = sed.mean(0)
    winner = mean.argmax(-1)[None, ..., None]
    weight = np.take_along_axis(sed, winner, -1) + EPSILON
    return mean, (weight * doa).sum(0) / weight.sum(0)
