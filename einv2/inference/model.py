"""A clip in, a Prediction out. The network runs over chunks of the length that it was trained on (4 s by default), in memory that does
not grow with the clip's samples."""

import copy
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, Self, TypeVar

import numpy as np
import torch

from ..audio import recordings
from ..audio.inputformat import InputFormat
from ..checkpoints import checkpoint
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.headers import available_models
from ..frames import CHUNK_SECONDS
from .prediction import BranchPrediction, Prediction, paired
from .runner import NetworkRunner, Rotated, Runner, run_over_blocks

Said = TypeVar("Said", Prediction, BranchPrediction)
ESTIMATES = {"seld": "activities and directions", "sed": "activities", "doa": "directions"}  # by task


class _NetworkModel(Generic[Said]):
    """A checkpoint ready to run: a file or a signal in, a prediction out. device, precision, overlap_seconds: see ``NetworkRunner``.

    ValueError if the task of the network is not one of ``tasks``.
    """

    tasks: tuple[str, ...]

    def __init__(
        self,
        loaded: Checkpoint,
        device: str | torch.device = "cpu",
        name: str = "the network",
        precision: str = "float32",
        overlap_seconds: float | None = None,
    ):
        if loaded.model.task not in self.tasks:
            raise ValueError(_other_task(name, loaded.model.task))
        self.name, self.checkpoint = name, loaded
        self.core = NetworkRunner(loaded, device, precision, overlap_seconds)
        self.runner: Runner = self.core

    def rotated(self, pattern: int) -> Self:
        """The same network, not a copy of it, in a scene that is rotated by one of the 16 patterns."""
        other = copy.copy(self)
        other.runner = Rotated(self.core, pattern)
        return other

    @property
    def network(self) -> torch.nn.Module:
        return self.core.network

    @property
    def classes(self) -> tuple[str, ...]:
        return self.core.classes

    @property
    def sample_rate(self) -> int:
        return self.core.sample_rate

    @property
    def class_wise(self) -> bool:
        """Whether there is a track for each class."""
        return self.core.class_wise

    @property
    def chunk_seconds(self) -> int:
        return self.core.chunk_seconds

    @property
    def overlap_frames(self) -> int:
        return self.core.overlap_frames

    def predict(
        self,
        clip: str | Path,
        name: str | None = None,
        progress: Callable[[float], None] | None = None,
        read_as: InputFormat | None = None,
        observe: Callable[[np.ndarray, int], None] | None = None,
    ) -> Said:
        """Run over a file of any length and rate. ``progress`` is called with the seconds done; it may raise to stop.

        read_as: what the channels are, see ``recordings.probe``. ``observe`` is called with each block (4, S) that is
        read, and its rate in Hz. AudioError, in one sentence with ``name`` (default the file's), if the file cannot be used.
        """
        blocks = recordings.stream(clip, self.sample_rate, CHUNK_SECONDS, name=name, read_as=read_as)
        return self.predict_blocks(
            blocks if observe is None else _observed(blocks, observe, self.sample_rate), progress
        )

    def predict_audio(self, signal: np.ndarray) -> Said:
        """Run over a signal (4, S) float32 at the model's sample rate."""
        size = self.chunk_seconds * self.sample_rate
        return self.predict_blocks(signal[:, i : i + size] for i in range(0, signal.shape[1], size))

    def predict_blocks(self, blocks: Iterable[np.ndarray], progress: Callable[[float], None] | None = None) -> Said:
        """Run over blocks (4, S), of any lengths, at the model's sample rate; see ``run_over_blocks``."""
        return self._prediction(*run_over_blocks(self.runner, blocks, progress))

    def _prediction(self, sed: np.ndarray, doa: np.ndarray) -> Said:
        raise NotImplementedError


class Model(_NetworkModel[Prediction]):
    """A network of both tasks: clips -> ``Prediction``."""

    tasks = ("seld",)

    def _prediction(self, sed: np.ndarray, doa: np.ndarray) -> Prediction:
        return Prediction(sed, doa, self.classes, class_wise=self.class_wise, chunk_seconds=self.chunk_seconds)


class BranchModel(_NetworkModel[BranchPrediction]):
    """A network of one task, as in Table 2 of the paper: clips -> ``BranchPrediction``."""

    tasks = ("sed", "doa")

    @property
    def task(self) -> str:
        return self.checkpoint.model.task

    def _prediction(self, sed: np.ndarray, doa: np.ndarray) -> BranchPrediction:
        return BranchPrediction(
            sed if self.task == "sed" else None,
            doa if self.task == "doa" else None,
            self.classes,
            class_wise=self.class_wise,
            chunk_seconds=self.chunk_seconds,
        )


class Pair:
    """A detection network and a direction network as one system: clips -> ``Prediction``, see ``prediction.paired``.

    Each runs at its own rate and on chunks of its own length. ValueError unless there is one of each, with the same classes.
    """

    def __init__(self, first: BranchModel, second: BranchModel):
        if {first.task, second.task} != {"sed", "doa"}:
            raise ValueError(
                f"{first.name} and {second.name} both estimate {ESTIMATES[first.task]}: a pair is a detection network and a "
                "direction network, trained with the tasks sed and doa."
            )
        self.detection, self.directions = (first, second) if first.task == "sed" else (second, first)
        self.classes = first.classes
        if second.classes != first.classes:
            raise ValueError(
                f"{first.name} and {second.name} have other classes: a pair needs the same, in the same order."
            )

    @property
    def overlap_frames(self) -> int:
        return max(self.detection.overlap_frames, self.directions.overlap_frames)

    def predict(
        self,
        clip: str | Path,
        name: str | None = None,
        progress: Callable[[float], None] | None = None,
        read_as: InputFormat | None = None,
        observe: Callable[[np.ndarray, int], None] | None = None,
    ) -> Prediction:
        """Run both over a file, one after the other; see ``Model.predict``. ``progress`` is called with the seconds done of both,
        ``observe`` with what the first reads."""
        seconds = recordings.probe(clip, name, read_as=read_as).seconds
        first = self.detection.predict(clip, name, progress and (lambda done: progress(done / 2)), read_as, observe)
        second = self.directions.predict(
            clip, name, progress and (lambda done: progress((seconds + done) / 2)), read_as
        )
        return paired(first, second)

    def predict_audio(self, signal: np.ndarray) -> Prediction:
        """Run both over a signal (4, S) float32. ValueError if they use different sample rates."""
        rates = self.detection.sample_rate, self.directions.sample_rate
        if rates[0] != rates[1]:
            raise ValueError(f"the networks of this pair use {rates[0]} and {rates[1]} Hz: give a file instead")
        return paired(self.detection.predict_audio(signal), self.directions.predict_audio(signal))


def _other_task(name: str, task: str) -> str:
    if task == "seld":
        return f"{name} estimates activities and directions: a pair is made of networks of one task each."
    other = {"sed": "doa", "doa": "sed"}[task]
    return (
        f"{name} estimates {ESTIMATES[task]} only: give a network with both branches, or pair it with one of the task {other}, "
        f"as in `predict --model {name}+OTHER`."
    )


def _observed(
    blocks: Iterator[np.ndarray], observe: Callable[[np.ndarray, int], None], sample_rate: int
) -> Iterator[np.ndarray]:
    for block in blocks:
        observe(block, sample_rate)
        yield block


def resolve(name_or_file: str | Path) -> Path:
    """The file of a name in pretrained/, or of a path. ValueError that lists the names if it is neither."""
    models = available_models()
    if str(name_or_file) in models:
        return models[str(name_or_file)]
    if Path(name_or_file).is_file():
        return Path(name_or_file)
    names = f", or one of {', '.join(models)}" if models else ""
    raise ValueError(f"there is no model {str(name_or_file)!r}: give the path of a .safetensors file{names}.")


def load_model(
    name_or_file: str | Path = "einv2",
    device: str | torch.device = "cpu",
    precision: str = "float32",
    overlap_seconds: float | None = None,
) -> Model | BranchModel | Pair:
    """The model of a name in pretrained/ or of a checkpoint file; the rest as in ``NetworkRunner``.

    A network of one task is a ``BranchModel``; "A+B", of two of these, a ``Pair``.
    """
    options = device, precision, overlap_seconds
    if (both := _two(str(name_or_file))) is None:
        return _load(resolve(name_or_file), *options)
    first, second = (_load(resolve(part), *options) for part in both)
    for one in (first, second):
        if not isinstance(one, BranchModel):
            raise ValueError(_other_task(one.name, "seld"))
    assert isinstance(first, BranchModel) and isinstance(second, BranchModel)
    return Pair(first, second)


def _two(text: str) -> tuple[str, str] | None:
    """The names or files on either side of the plus of a pair. One that is in a path is none."""
    if text in (known := available_models()) or Path(text).is_file():
        return None
    parts = [(text[:i], text[i + 1 :]) for i, sign in enumerate(text) if sign == "+"]
    found = [both for both in parts if all(part in known or Path(part).is_file() for part in both)]
    return next(iter(found or parts), None)


def _load(path: Path, device: str | torch.device, precision: str, overlap_seconds: float | None) -> Model | BranchModel:
    loaded = checkpoint.load(path)
    of = Model if loaded.model.task == "seld" else BranchModel
    return of(loaded, device, path.name, precision, overlap_seconds)
