"""A clip in, a Prediction out: the network over chunks of 4 s, in memory that does not grow with the clip's samples."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from . import audio, checkpoint, fast, labels
from .background import ahead
from .checkpoint import Checkpoint
from .config import LABEL_FRAME_SECONDS, LABEL_FRAMES_PER_SECOND
from .decode import Decoding, as_tracks, decode
from .features import LogMelIntensity
from .models import Output

CHUNK_SECONDS = 4
CHUNK_FRAMES = CHUNK_SECONDS * LABEL_FRAMES_PER_SECOND
BATCH_CHUNKS = 8  # at a time, of a network so wide that
BATCH_MAPS = 2**17  # its first maps, of this many numbers a frame, stay near the processor; a wider one takes fewer
PRETRAINED = Path(__file__).resolve().parent.parent / "pretrained"


@dataclass(frozen=True)
class Prediction:
    """Trackwise output for a clip: sed (T, M, K) probabilities, doa (T, M, 3) vectors (x front, y left, z up).

    A network of a class-wise format gives one track a class; see ``einv2.decode``.
    """

    sed: np.ndarray
    doa: np.ndarray
    classes: tuple[str, ...]
    frame_seconds: float = LABEL_FRAME_SECONDS
    class_wise: bool = False

    @property
    def track_names(self) -> tuple[str, ...]:
        """What the tracks are called where they are shown: track 1, track 2.. or, class-wise, the classes."""
        return self.classes if self.class_wise else tuple(f"track {m + 1}" for m in range(self.sed.shape[1]))

    def frames(self, threshold: float = 0.5, decoding: Decoding | None = None) -> pd.DataFrame:
        """Detections as a frame table with a column ``confidence``; see ``einv2.decode``. ``decoding`` replaces ``threshold``."""
        return decode(self.sed, self.doa, threshold, decoding)

    def events(self, threshold: float = 0.5, decoding: Decoding | None = None) -> pd.DataFrame:
        """Detections as an event table: class, track, onset, offset (s), azimuth, elevation (degrees), confidence."""
        return labels.frames_to_events(self.frames(threshold, decoding), self.classes)


class Model:
    """A checkpoint ready to run on the CPU or a GPU, by the network that ``fast.for_inference`` makes of its own.

    ValueError if the network has one branch only (Table 2 of the paper), or on a precision that ``fast.PRECISIONS`` lacks.
    """

    def __init__(
        self,
        loaded: Checkpoint,
        device: str | torch.device = "cpu",
        name: str = "the network",
        precision: str = "float32",
    ):
        if loaded.model.task != "seld":
            what = {"sed": "activities", "doa": "directions"}[loaded.model.task]
            raise ValueError(
                f"{name} estimates {what} only: give a network with both branches, trained with the task seld."
            )
        self.checkpoint = loaded
        self.device = torch.device(device)
        self.precision = precision
        self.network = fast.for_inference(loaded.network.to(self.device), precision)
        self.extract = LogMelIntensity(loaded.features).to(self.device)
        self.mean, self.std = loaded.feature_mean.to(self.device), loaded.feature_std.to(self.device)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.checkpoint.classes

    @property
    def sample_rate(self) -> int:
        return self.checkpoint.features.sample_rate

    @property
    def batch_chunks(self) -> int:
        """How many chunks go through the network at a time."""
        maps = self.checkpoint.model.channels[0] * self.checkpoint.features.n_mels
        return max(1, min(BATCH_CHUNKS, BATCH_MAPS // (8 * maps)))

    @torch.inference_mode()
    def run(self, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Audio chunks (B, 4, S) float32 -> probabilities (B, T, M, K) and directions (B, T, M, 3)."""
        x = self.extract(torch.from_numpy(chunks).to(self.device))
        x = ((self.turn(x) - self.mean) / self.std).to(getattr(torch, self.precision))
        output = Output(*(None if y is None else y.float() for y in self.network(x)))
        sed, doa = as_tracks(output, self.checkpoint.model)
        return sed.cpu().numpy(), self.turn_back(doa).cpu().numpy()

    def turn(self, x: torch.Tensor) -> torch.Tensor:
        """What the network hears of the features: they themselves. ``ensemble.Turned`` turns the scene."""
        return x

    def turn_back(self, doa: torch.Tensor) -> torch.Tensor:
        """Directions (B, T, M, 3) as they are in the scene that was not turned."""
        return doa

    def predict(
        self, clip: str | Path, name: str | None = None, progress: Callable[[float], None] | None = None
    ) -> Prediction:
        """Run over a file of any length and rate. ``progress`` is called with the seconds done; it may raise to stop.

        audio.AudioError, in one sentence with ``name`` (default the file's), if the file cannot be used.
        """
        return self.predict_blocks(audio.stream(clip, self.sample_rate, CHUNK_SECONDS, name=name), progress)

    def predict_audio(self, signal: np.ndarray) -> Prediction:
        """Run over a signal (4, S) float32 at the model's sample rate."""
        size = CHUNK_SECONDS * self.sample_rate
        return self.predict_blocks(signal[:, i : i + size] for i in range(0, signal.shape[1], size))

    def predict_blocks(
        self, blocks: Iterator[np.ndarray], progress: Callable[[float], None] | None = None
    ) -> Prediction:
        """Run over blocks (4, S) of 4 s at the model's sample rate; the last may be shorter."""
        sed, doa, n_samples = _Rows(), _Rows(), 0
        for batch, samples in ahead(_batches(blocks, CHUNK_SECONDS * self.sample_rate, self.batch_chunks)):
            n_samples += samples
            probabilities, directions = self.run(batch)
            sed.extend(probabilities.reshape(-1, *probabilities.shape[2:]))
            doa.extend(directions.reshape(-1, *directions.shape[2:]))
            if progress:
                progress(n_samples / self.sample_rate)
        n_frames = audio.label_frames(n_samples, self.sample_rate)
        if not n_samples:
            raise ValueError("there is no audio to run over: the signal has 0 samples")
        class_wise = self.checkpoint.model.output_format != "trackwise"
        return Prediction(sed.rows[:n_frames], doa.rows[:n_frames], self.classes, class_wise=class_wise)


class _Rows:
    """An array that grows at the end. Pieces kept in a list instead would hold on to the heap around them."""

    def __init__(self):
        self.array, self.length = None, 0

    def extend(self, rows: np.ndarray) -> None:
        if self.array is None:
            self.array = np.empty((2 * len(rows), *rows.shape[1:]), rows.dtype)
        while self.length + len(rows) > len(self.array):
            self.array = np.concatenate([self.array, np.empty_like(self.array)])
        self.array[self.length : self.length + len(rows)] = rows
        self.length += len(rows)

    @property
    def rows(self) -> np.ndarray:
        return self.array[: self.length]


def _batches(blocks: Iterator[np.ndarray], size: int, n: int) -> Iterator[tuple[np.ndarray, int]]:
    """Blocks in batches (n, 4, size), the last block filled with silence, and the number of true samples in each batch."""
    batch, samples = [], 0
    for block in blocks:
        batch.append(np.pad(block, ((0, 0), (0, size - block.shape[1]))).astype(np.float32, copy=False))
        samples += block.shape[1]
        if len(batch) == n:
            yield np.stack(batch), samples
            batch, samples = [], 0
    if batch:
        yield np.stack(batch), samples


def available_models(folder: str | Path | None = None) -> dict[str, Path]:
    """Names and files of the checkpoints in a folder, pretrained/ by default; the default model first."""
    found = {p.stem: p for p in sorted(Path(folder or PRETRAINED).glob("*.safetensors"))}
    return {name: found[name] for name in sorted(found, key=lambda n: (n != "einv2", n))}


def resolve(name_or_file: str | Path) -> Path:
    """The file of a name in pretrained/, or of a path. ValueError that lists the names if it is neither."""
    models = available_models()
    if str(name_or_file) in models:
        return models[str(name_or_file)]
    if Path(name_or_file).is_file():
        return Path(name_or_file)
    names = f", or one of {', '.join(models)}" if models else ""
    raise ValueError(f"there is no model {str(name_or_file)!r}: give the path of a .safetensors file{names}.")


def load(name_or_file: str | Path = "einv2", device: str | torch.device = "cpu", precision: str = "float32") -> Model:
    """The model of a name in pretrained/ or of a checkpoint file; precision: of ``fast.PRECISIONS``."""
    path = resolve(name_or_file)
    return Model(checkpoint.load(path), device, path.name, precision)
