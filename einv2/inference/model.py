"""A clip in, a Prediction out: the network over chunks as long as those that it was trained on (4 s by default), in memory that
does not grow with the clip's samples."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import torch

from ..audio import recordings
from ..audio.features import LogMelIntensity
from ..audio.inputformat import InputFormat
from ..checkpoints import checkpoint
from ..checkpoints.checkpoint import Checkpoint
from ..checkpoints.headers import available_models
from ..frames import CHUNK_SECONDS, LABEL_FRAMES_PER_SECOND
from ..models import acceleration
from ..models.einv2 import Output
from ..prefetch import ahead
from .decoding import as_tracks
from .prediction import BranchPrediction, Prediction, activities, paired
from .stitching import Joined

BATCH_CHUNKS = 8  # of 4 s at a time, of a network so wide that
BATCH_BYTES = 2**19  # its first maps, of this many bytes a frame, stay near the processor; a wider one takes fewer
OVERLAP_SECONDS = (
    1.0  # of two chunks, or half of one where that is less: F rises by 2 points and more, see pretrained/README.md
)


Said = TypeVar("Said", Prediction, BranchPrediction)
ESTIMATES = {"seld": "activities and directions", "sed": "activities", "doa": "directions"}  # by task


class Runner(Generic[Said]):
    """A checkpoint ready to run on the CPU or a GPU, by the network that ``fast.for_inference`` makes of its own.

    Chunks are as long as in training (``Checkpoint.chunk_seconds``). They overlap by ``overlap_seconds``, at most half of one, by
    default ``OVERLAP_SECONDS``, where their outputs are joined (``alignment.Joined``). ValueError if the task of the network is not
    one of ``tasks``, on a precision that ``fast.PRECISIONS`` lacks, or on an impossible overlap.
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
        self.checkpoint = loaded
        self.name = name
        self.device = torch.device(device)
        self.precision = precision
        self.chunk_seconds = loaded.chunk_seconds
        self.overlap_frames = _overlap_frames(overlap_seconds, self.chunk_seconds)
        self.network = acceleration.for_inference(loaded.network.to(self.device), precision)
        self.extract = LogMelIntensity(loaded.features).to(self.device)
        self.mean, self.std = loaded.feature_mean.to(self.device), loaded.feature_std.to(self.device)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.checkpoint.classes

    @property
    def sample_rate(self) -> int:
        return self.checkpoint.features.sample_rate

    @property
    def class_wise(self) -> bool:
        """Is there a track for each class?"""
        return self.checkpoint.model.output_format != "trackwise"

    @property
    def groups(self) -> tuple[tuple[int, bool], ...]:
        """((number of tracks, is their order arbitrary),), as ``alignment.Joined`` takes it."""
        return ((len(self.classes) if self.class_wise else self.checkpoint.model.n_tracks, not self.class_wise),)

    @property
    def batch_chunks(self) -> int:
        """How many chunks go through the network at a time."""
        model, features = self.checkpoint.model, self.checkpoint.features
        return batch_chunks(model.channels[0], features.n_mels, self.precision, self.chunk_seconds)

    @torch.inference_mode()
    def run(self, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Audio chunks (B, 4, S) float32 -> probabilities (B, T, M, K) and directions (B, T, M, 3).

        Where one of both is not known: directions of 0, or the one activity (B, T, M, 1) that vectors tell.
        """
        x = self.extract(torch.from_numpy(chunks).to(self.device))
        x = ((self.turn(x) - self.mean) / self.std).to(getattr(torch, self.precision))
        output = Output(*(None if y is None else y.float() for y in self.network(x)))
        sed, doa = as_tracks(output, self.checkpoint.model)
        vectors = self.turn_back(doa).cpu().numpy()
        return activities(vectors, self.class_wise) if sed is None else sed.cpu().numpy(), vectors

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        """What the network hears of the features: they themselves. ``ensemble.Turned`` turns the scene."""
        return x

    def turn_back(self, doa: torch.Tensor) -> torch.Tensor:
        """Directions (B, T, M, 3) as they are in the scene that was not turned."""
        return doa

    def predict(
        self,
        clip: str | Path,
        name: str | None = None,
        progress: Callable[[float], None] | None = None,
        read_as: InputFormat | None = None,
        observe: Callable[[np.ndarray, int], None] | None = None,
    ) -> Said:
        """Run over a file of any length and rate. ``progress`` is called with the seconds done; it may raise to stop.

        read_as: what the channels are, see ``audio.probe``. ``observe`` is called with each block (4, S) that is
        read, and its rate in Hz.
        audio.AudioError, in one sentence with ``name`` (default the file's), if the file cannot be used.
        """
        blocks = recordings.stream(clip, self.sample_rate, CHUNK_SECONDS, name=name, read_as=read_as)
        return self.predict_blocks(
            blocks if observe is None else _observed(blocks, observe, self.sample_rate), progress
        )

    def predict_audio(self, signal: np.ndarray) -> Said:
        """Run over a signal (4, S) float32 at the model's sample rate."""
        size = self.chunk_seconds * self.sample_rate
        return self.predict_blocks(signal[:, i : i + size] for i in range(0, signal.shape[1], size))

    def predict_blocks(self, blocks: Iterator[np.ndarray], progress: Callable[[float], None] | None = None) -> Said:
        """Run over blocks (4, S), of any lengths, at the model's sample rate."""
        joined, n_samples = Joined(self.overlap_frames, self.groups), 0
        size = self.chunk_seconds * self.sample_rate
        step = size - self.overlap_frames * self.sample_rate // LABEL_FRAMES_PER_SECOND
        for batch, samples in ahead(_batches(blocks, size, step, self.batch_chunks)):
            n_samples += samples
            for sed, doa in zip(*self.run(batch)):
                joined.add(sed, doa)
            if progress:
                progress(n_samples / self.sample_rate)
        n_frames = recordings.label_frames(n_samples, self.sample_rate)
        if not n_samples:
            raise ValueError("there is no audio to run over: the signal has 0 samples")
        return self._said(joined.sed[:n_frames], joined.doa[:n_frames])

    def _said(self, sed: np.ndarray, doa: np.ndarray) -> Said:
        """The prediction for a clip, of what ``run`` gave for its chunks."""
        raise NotImplementedError


class Model(Runner[Prediction]):
    """A network of both tasks: clips -> ``Prediction``."""

    tasks = ("seld",)

    def _said(self, sed: np.ndarray, doa: np.ndarray) -> Prediction:
        return Prediction(sed, doa, self.classes, class_wise=self.class_wise, chunk_seconds=self.chunk_seconds)


class BranchModel(Runner[BranchPrediction]):
    """A network of one task, as in Table 2 of the paper: clips -> ``BranchPrediction``."""

    tasks = ("sed", "doa")

    @property
    def task(self) -> str:
        return self.checkpoint.model.task

    def _said(self, sed: np.ndarray, doa: np.ndarray) -> BranchPrediction:
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
        """Run both over a file, one after the other; see ``Runner.predict``. ``progress`` is told the seconds done of both,
        ``observe`` what the first reads."""
        seconds = recordings.probe(clip, name, read_as=read_as).seconds
        first = self.detection.predict(clip, name, progress and (lambda done: progress(done / 2)), read_as, observe)
        second = self.directions.predict(
            clip, name, progress and (lambda done: progress((seconds + done) / 2)), read_as
        )
        return paired(first, second)

    def predict_audio(self, signal: np.ndarray) -> Prediction:
        """Run both over a signal (4, S) float32. ValueError if they hear different rates."""
        rates = self.detection.sample_rate, self.directions.sample_rate
        if rates[0] != rates[1]:
            raise ValueError(f"the networks of this pair hear {rates[0]} and {rates[1]} Hz: give a file instead")
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


def batch_chunks(n_channels: int, n_mels: int, precision: str = "float32", chunk_seconds: int = CHUNK_SECONDS) -> int:
    """How many chunks at a time, of a network whose first maps have so many channels of ``fast.PRECISIONS``."""
    frame_bytes = n_channels * n_mels * getattr(torch, precision).itemsize
    return max(1, min(BATCH_CHUNKS, BATCH_BYTES // (8 * frame_bytes)) * CHUNK_SECONDS // chunk_seconds)


def _overlap_frames(overlap_seconds: float | None, chunk_seconds: int) -> int:
    """Label frames of an overlap, or of the default one. ValueError if chunks cannot overlap by it."""
    if overlap_seconds is None:
        overlap_seconds = min(OVERLAP_SECONDS, chunk_seconds / 2)
    frames = round(overlap_seconds * LABEL_FRAMES_PER_SECOND) if math.isfinite(overlap_seconds) else -1
    if (
        not 0 <= 2 * frames <= chunk_seconds * LABEL_FRAMES_PER_SECOND
        or abs(frames - overlap_seconds * LABEL_FRAMES_PER_SECOND) > 1e-6
    ):
        raise ValueError(
            f"chunks of {chunk_seconds} s overlap by 0 to {chunk_seconds / 2:g} s in steps of 0.1, not {overlap_seconds}"
        )
    return frames


def _batches(blocks: Iterator[np.ndarray], size: int, step: int, n: int) -> Iterator[tuple[np.ndarray, int]]:
    """Windows of ``size`` samples, one every ``step``, the last filled with silence, in batches (up to n, 4, size) float32; and how
    many samples of a batch are new."""
    batch, row, known, filled, new = np.empty((n, 4, size), np.float32), 0, 0, 0, 0
    for block in blocks:
        while block.shape[1]:
            part, block = np.split(block, [size - filled], axis=1)
            batch[row, :, filled : filled + part.shape[1]] = part
            filled, new = filled + part.shape[1], new + part.shape[1]
            if filled < size:
                continue
            shared, row = batch[row, :, step:], row + 1
            if row == n:
                yield batch, new
                batch, row, new = np.empty_like(batch), 0, 0
            known = filled = size - step
            batch[row, :, :known] = shared
    if filled > known:
        batch[row, :, filled:] = 0
        row += 1
    if row:
        yield batch[:row], new


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
    """The model of a name in pretrained/ or of a checkpoint file; the rest as in ``Runner``.

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
