"""Training data: the features of clips, cached on disk, and batches of chunks."""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from ..atomic_files import replacing
from ..audio import recordings
from ..audio.features import N_CHANNELS, LogMelIntensity
from ..config import FeatureConfig, to_json
from ..frames import LABEL_FRAMES_PER_SECOND
from ..labels import dcase_csv, frame_tables
from .discovery import Clip

SILENCE_DB = -100.0  # log-mel of padding


def cached_features(clip: Clip, config: FeatureConfig) -> np.ndarray:
    """Features of a whole clip, (7, T, F) float16, memory-mapped; computed once and cached below ``clip.features``.

    The cache is keyed by the feature configuration. A file is written atomically, and computed again if it is damaged or older than
    its clip. OSError if it cannot be written.
    """
    path = _cache_path(clip, config)
    if (kept := _kept_features(path, clip, config)) is not None:
        return kept
    features = compute_features(clip.audio, config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, features)
        return np.load(path, mmap_mode="r")
    except OSError as error:
        raise OSError(
            f"the features of {clip.audio.name} ({features.nbytes / 1e6:.0f} MB) cannot be kept in {clip.features} "
            f"({error.strerror or error}): free space there, or choose another folder with --cache."
        ) from error


def missing_bytes(clips: Sequence[Clip], config: FeatureConfig) -> int:
    """About how much ``cached_features`` will write for clips: nothing for those whose features are cached."""
    missing = [clip for clip in clips if _kept_features(_cache_path(clip, config), clip, config) is None]
    a_second = N_CHANNELS * config.n_mels * np.dtype(np.float16).itemsize * config.sample_rate / config.hop
    return round(sum(recordings.probe(clip.audio).seconds for clip in missing) * a_second)


def _cache_path(clip: Clip, config: FeatureConfig) -> Path:
    key = hashlib.sha256(json.dumps(to_json(config), sort_keys=True).encode()).hexdigest()[:12]
    return clip.features / f".features-{key}" / _cache_name(clip)


def _cache_name(clip: Clip) -> Path:
    """The path of the features in the cache. Clips outside foa_dev are below a folder, since they may have the same names."""
    first, *folders, name = clip.place.parts
    return Path(*folders if first == "foa_dev" else (first, *folders), f"{name}.npy")


def _kept_features(path: Path, clip: Clip, config: FeatureConfig) -> np.ndarray | None:
    """The features in the cache, if they are there, complete and as new as the clip."""
    try:
        if path.stat().st_mtime < clip.audio.stat().st_mtime:
            return None
        features = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError):  # ValueError: numpy's for a damaged header or too short a file
        return None
    fits = features.ndim == 3 and features.shape[::2] == (N_CHANNELS, config.n_mels) and features.dtype == np.float16
    return features if fits else None


@torch.inference_mode()
def compute_features(path: Path, config: FeatureConfig) -> np.ndarray:
    """Features (7, T, F) float16 of a recording, one frame per hop. ValueError if it is shorter than half a window."""
    extract = LogMelIntensity(config)
    signal = torch.from_numpy(recordings.load(path, config.sample_rate))
    if signal.shape[1] <= max(config.n_fft // 2, config.samples_per_label_frame):
        raise ValueError(
            f"{path.name}: lasts {signal.shape[1]} samples, too short for a window of {config.n_fft} samples"
        )
    return extract(signal[None])[0].numpy().astype(np.float16)


class Sample(NamedTuple):
    """One batch of features (B, 7, T, F), track activities (B, T', M, K) and directions (B, T', M, 3)."""

    features: torch.Tensor
    sed: torch.Tensor
    doa: torch.Tensor


class Reference(NamedTuple):
    """The whole ground truth of a clip: the frame table as written, and R tracks, of which the first M are the network's.

    sed (T, R, K) of 0 and 1, doa (T, R, 3), zero where a track is silent; R is large enough for every event.
    """

    table: pd.DataFrame
    sed: np.ndarray
    doa: np.ndarray


def reference(clip: Clip, classes: Sequence[str], n_frames: int, n_tracks: int) -> Reference:
    """The whole ground truth of a clip, of ``n_frames`` frames, for a network of ``n_tracks`` tracks."""
    table = dcase_csv.read_csv(clip.metadata, classes)
    n_events = int(np.bincount(table["frame"]).max(initial=0))
    sed, doa, _ = frame_tables.to_tracks(table, n_frames, max(n_events, n_tracks), len(classes))
    return Reference(dcase_csv.read_csv(clip.metadata, classes, as_written=True), sed, doa)


class ChunkSet:
    """Chunks of equal length from clips. In order they cover every label frame once; shuffled, they may start anywhere and leave out
    less than a chunk at either end of a clip.

    ``dropped`` of the ``total`` reference frames within the clips found no free track; ``overlap`` is the largest number of
    simultaneous events.
    """

    def __init__(
        self,
        clips: Iterable[Clip],
        feature_config: FeatureConfig,
        n_tracks: int,
        classes: Sequence[str],
        chunk_seconds: int,
        progress: Callable[[list[Clip]], Iterable[Clip]] = iter,
    ) -> None:
        self.ratio = feature_config.frames_per_label_frame
        self.label_frames = chunk_seconds * LABEL_FRAMES_PER_SECOND
        self.feature_frames = self.label_frames * self.ratio + 1
        self.clips, self.classes, self.n_tracks = list(clips), classes, n_tracks
        self.items = []
        self.dropped = self.total = self.overlap = 0
        for clip in progress(self.clips):
            x = cached_features(clip, feature_config)
            n_frames = (x.shape[1] - 1) // self.ratio
            table = dcase_csv.read_csv(clip.metadata, classes)
            sed, doa, dropped = frame_tables.to_tracks(table, n_frames, n_tracks, len(classes))
            self.items.append((x, sed.astype(np.float16), doa.astype(np.float16)))
            self.dropped += dropped
            events = np.bincount(table["frame"], minlength=n_frames)[:n_frames]
            self.total += int(events.sum())
            self.overlap = max(self.overlap, int(events.max()))

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the features over all frames of all clips, each (1, 7, 1, F)."""
        count, total, square = 0, np.zeros(()), np.zeros(())
        for x, _, _ in self.items:
            x = np.asarray(x, np.float32)
            count += x.shape[1]
            total = total + x.sum(1, dtype=np.float64)
            square = square + np.einsum("ctf,ctf->cf", x, x, dtype=np.float64)
        mean = total / count
        std = np.sqrt(np.maximum(square / count - mean**2, 1e-8))
        mean, std = (torch.from_numpy(s[None, :, None]).float() for s in (mean, std))
        return mean, std

    @functools.cached_property
    def references(self) -> list[Reference]:
        """The ground truth of each clip, for scores, which also count the events that found no free track."""
        return [
            reference(clip, self.classes, len(sed), self.n_tracks) for clip, (_, sed, _) in zip(self.clips, self.items)
        ]

    def plan(self, rng: np.random.Generator | None, offset: bool = True) -> list[tuple[int, int]]:
        """(clip, first label frame) of every chunk: in order without ``rng``, else shuffled, and with ``offset`` from a random start
        in each clip."""
        plan = []
        for index, (_, sed, _) in enumerate(self.items):
            length = len(sed)
            if rng is None or not offset or length <= self.label_frames:
                starts = range(0, length, self.label_frames)
            else:
                slack = min(length - self.label_frames, self.label_frames - 1)
                starts = range(int(rng.integers(slack + 1)), length - self.label_frames + 1, self.label_frames)
            plan += [(index, start) for start in starts]
        if rng is not None:
            rng.shuffle(plan)
        return plan

    def batch(self, plan: list[tuple[int, int]]) -> Sample:
        """The chunks of a plan, or of part of one. Features stay in half precision, which is faster to move."""
        chunks = [self._chunk(*p) for p in plan]
        return Sample(*(torch.from_numpy(np.stack(part)) for part in zip(*chunks)))

    def _chunk(self, index: int, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, sed, doa = self.items[index]
        first = start * self.ratio
        chunk = np.zeros((N_CHANNELS, self.feature_frames, x.shape[2]), np.float16)
        chunk[:4] = SILENCE_DB
        part = x[:, first : first + self.feature_frames]
        chunk[:, : part.shape[1]] = part
        frames = slice(start, start + self.label_frames)
        return chunk, _padded(sed[frames], self.label_frames), _padded(doa[frames], self.label_frames)


def _padded(labels: np.ndarray, length: int) -> np.ndarray:
    out = np.zeros((length, *labels.shape[1:]), np.float32)
    out[: len(labels)] = labels
    return out
