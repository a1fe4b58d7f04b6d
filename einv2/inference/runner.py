"""Runners: what maps chunks of audio to trackwise output. One network, a network in a rotated scene, or several side by side."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Protocol

import numpy as np
import torch

from ..audio.features import LogMelIntensity
from ..audio.recordings import label_frames
from ..audio.rotations import pattern_matrix, rotate_audio
from ..checkpoints.checkpoint import Checkpoint
from ..frames import CHUNK_SECONDS, LABEL_FRAMES_PER_SECOND
from ..models import acceleration
from ..models.einv2 import Output
from ..prefetch import ahead
from .decoding import as_tracks
from .prediction import activities
from .stitching import TrackStitcher

# Most chunks of 4 s per forward pass. A wide network gets fewer: of its first feature map, a frame of all of a batch's chunks should
# fit into this many bytes, near the processor.
BATCH_CHUNKS = 8
FRAME_BYTES = 2**16
# Overlap of two chunks, or half of one where that is less: F rises by 2 points and more, see pretrained/README.md.
OVERLAP_SECONDS = 1.0


class Runner(Protocol):
    """Runs over chunks of audio. The lengths are those of its chunks.

    groups: ((number of tracks, is their order arbitrary), ...), as ``stitching.TrackStitcher`` takes them. batch_chunks: most chunks
    per call of ``run``.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def chunk_seconds(self) -> int: ...
    @property
    def overlap_frames(self) -> int: ...
    @property
    def groups(self) -> tuple[tuple[int, bool], ...]: ...
    @property
    def batch_chunks(self) -> int: ...

    def run(self, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Audio chunks (B, 4, S) float32 -> probabilities (B, T, M, K) and directions (B, T, M, 3)."""
        ...


def run_over_blocks(
    runner: Runner, blocks: Iterable[np.ndarray], progress: Callable[[float], None] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (T, M, K) and directions (T, M, 3) of a signal that comes in blocks (4, S) of any lengths, at the runner's rate.

    Overlapping chunks are joined (``TrackStitcher``). ``progress`` is called with the seconds done; it may raise to stop. ValueError
    on a signal without samples.
    """
    stitched, n_samples = TrackStitcher(runner.overlap_frames, runner.groups), 0
    size = runner.chunk_seconds * runner.sample_rate
    step = size - runner.overlap_frames * runner.sample_rate // LABEL_FRAMES_PER_SECOND
    for batch, n_new in ahead(_batches(_windows(blocks, size, step), runner.batch_chunks)):
        n_samples += n_new
        for sed, doa in zip(*runner.run(batch)):
            stitched.add(sed, doa)
        if progress:
            progress(n_samples / runner.sample_rate)
    if not n_samples:
        raise ValueError("there is no audio to run over: the signal has 0 samples")
    n_frames = label_frames(n_samples, runner.sample_rate)
    return stitched.sed[:n_frames], stitched.doa[:n_frames]


def _windows(blocks: Iterable[np.ndarray], size: int, step: int) -> Iterator[tuple[np.ndarray, int]]:
    """Windows (4, size), one every ``step`` samples, the last filled with silence; and how many samples of each are new."""
    window, filled, n_old = np.zeros((4, size), np.float32), 0, 0
    for block in blocks:
        while block.shape[1]:
            part, block = np.split(block, [size - filled], axis=1)
            window[:, filled : filled + part.shape[1]] = part
            filled += part.shape[1]
            if filled == size:
                yield window, size - n_old
                following, n_old = np.zeros_like(window), size - step
                following[:, :n_old] = window[:, step:]
                window, filled = following, n_old
    if filled > n_old:
        yield window, filled - n_old


def _batches(windows: Iterator[tuple[np.ndarray, int]], n: int) -> Iterator[tuple[np.ndarray, int]]:
    """Up to n windows at a time, (B, 4, size), and how many of their samples are new."""
    while batch := list(islice(windows, n)):
        yield np.stack([window for window, _ in batch]), sum(n_new for _, n_new in batch)


class NetworkRunner:
    """A checkpoint ready to run on the CPU or a GPU, by a faster copy of its network (``acceleration.for_inference``).

    Chunks are as long as in training (``Checkpoint.chunk_seconds``). They overlap by ``overlap_seconds``, at most half a chunk, by
    default ``OVERLAP_SECONDS``. ValueError on a precision that ``acceleration.PRECISIONS`` lacks, or on an impossible overlap.
    """

    def __init__(
        self,
        loaded: Checkpoint,
        device: str | torch.device = "cpu",
        precision: str = "float32",
        overlap_seconds: float | None = None,
    ):
        self.checkpoint = loaded
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
        """Whether there is a track for each class."""
        return self.checkpoint.model.output_format != "trackwise"

    @property
    def groups(self) -> tuple[tuple[int, bool], ...]:
        return ((len(self.classes) if self.class_wise else self.checkpoint.model.n_tracks, not self.class_wise),)

    @property
    def batch_chunks(self) -> int:
        model, features = self.checkpoint.model, self.checkpoint.features
        return batch_chunks(model.channels[0], features.n_mels, self.precision, self.chunk_seconds)

    @torch.inference_mode()
    def run(self, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As ``Runner.run``. A network of one task gives directions of 0, or the one activity (B, T, M, 1) that vectors imply."""
        x = self.extract(torch.from_numpy(chunks).to(self.device))
        x = ((x - self.mean) / self.std).to(getattr(torch, self.precision))
        output = Output(*(None if y is None else y.float() for y in self.network(x)))
        sed, doa = as_tracks(output, self.checkpoint.model)
        vectors = doa.cpu().numpy()
        return activities(vectors, self.class_wise) if sed is None else sed.cpu().numpy(), vectors


class Rotated:
    """A runner that gets the scene rotated or mirrored by one of the 16 patterns of FOA; its directions are rotated back."""

    def __init__(self, runner: Runner, pattern: int):
        self.runner, self.matrix = runner, pattern_matrix(pattern).astype(np.float32)
        self.classes, self.sample_rate = runner.classes, runner.sample_rate
        self.chunk_seconds, self.overlap_frames = runner.chunk_seconds, runner.overlap_frames
        self.groups, self.batch_chunks = runner.groups, runner.batch_chunks

    def run(self, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sed, doa = self.runner.run(rotate_audio(chunks, self.matrix))
        return sed, doa @ self.matrix  # the inverse of an orthogonal matrix is its transpose


class SideBySide:
    """Runners over the same chunks, the tracks of each beside those of the one before it.

    ValueError if they use different sample rates or chunks of different lengths.
    """

    def __init__(self, runners: Sequence[Runner]):
        self.runners = tuple(runners)
        self.classes = runners[0].classes
        self.sample_rate = only_sample_rate(runners)
        lengths = sorted({runner.chunk_seconds for runner in runners})
        if len(lengths) > 1:
            raise ValueError(
                f"the models of this ensemble run on chunks of {' and '.join(map(str, lengths))} s: give a file instead"
            )
        self.chunk_seconds = lengths[0]
        self.overlap_frames = max(runner.overlap_frames for runner in runners)
        self.groups = tuple(group for runner in runners for group in runner.groups)
        self.batch_chunks = min(runner.batch_chunks for runner in runners)

    def run(self, chunks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sed, doa = zip(*(runner.run(chunks) for runner in self.runners))
        return np.concatenate(sed, axis=2), np.concatenate(doa, axis=2)


def only_sample_rate(runners: Sequence[Runner]) -> int:
    """The sample rate that all runners use, Hz. ValueError if they differ."""
    rates = sorted({runner.sample_rate for runner in runners})
    if len(rates) > 1:
        raise ValueError(f"the models of this ensemble use {' and '.join(map(str, rates))} Hz: give a file instead")
    return rates[0]


def batch_chunks(n_channels: int, n_mels: int, precision: str = "float32", chunk_seconds: int = CHUNK_SECONDS) -> int:
    """Chunks per forward pass of a network whose first feature map has so many channels of ``acceleration.PRECISIONS``."""
    frame_bytes = n_channels * n_mels * getattr(torch, precision).itemsize
    return max(1, min(BATCH_CHUNKS, FRAME_BYTES // frame_bytes) * CHUNK_SECONDS // chunk_seconds)


def _overlap_frames(overlap_seconds: float | None, chunk_seconds: int) -> int:
    """Label frames of an overlap, or of the default one. ValueError if chunks cannot overlap by it."""
    if overlap_seconds is None:
        overlap_seconds = min(OVERLAP_SECONDS, chunk_seconds / 2)
    exact = overlap_seconds * LABEL_FRAMES_PER_SECOND
    frames = round(exact) if math.isfinite(exact) else -1
    if not 0 <= 2 * frames <= chunk_seconds * LABEL_FRAMES_PER_SECOND or abs(frames - exact) > 1e-6:
        raise ValueError(
            f"chunks of {chunk_seconds} s overlap by 0 to {chunk_seconds / 2:g} s in steps of 0.1, not {overlap_seconds}"
        )
    return frames
