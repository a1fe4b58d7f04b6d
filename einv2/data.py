"""Training data: folders of clips with annotations, their features cached on disk, and batches of chunks."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from . import audio, labels
from .augment import Sample
from .config import LABEL_FRAMES_PER_SECOND, FeatureConfig, to_json
from .features import N_CHANNELS, LogMelIntensity
from .files import replacing

AUDIO_SUFFIXES = (".flac", ".wav", ".ogg")
SILENCE_DB = -100.0  # log-mel of padding


@dataclass(frozen=True)
class Clip:
    """A recording and its annotation."""

    audio: Path
    metadata: Path

    @property
    def stem(self) -> str:
        return self.audio.stem


def find_clips(root: str | Path) -> list[Clip]:
    """All clips below root/foa* with a CSV of the same stem below root/metadata*, sorted by stem.

    ValueError in one sentence if there are none, or where a clip lacks its annotation.
    """
    root = Path(root)
    metadata = {p.stem: p for p in sorted(root.glob("metadata*/**/*.csv"))}
    recordings = [p for p in sorted(root.glob("foa*/**/*")) if p.suffix.lower() in AUDIO_SUFFIXES]
    if not recordings or not metadata:
        raise ValueError(
            f"{root} holds no data set: audio is expected in {root / 'foa_dev'}, annotations in {root / 'metadata_dev'}."
        )
    _require_unique_stems(recordings)
    lacking = [p.name for p in recordings if p.stem not in metadata]
    if lacking:
        raise ValueError(
            f"{len(lacking)} clips of {root} have no CSV of the same name in metadata_dev, first {lacking[0]}."
        )
    return sorted((Clip(p, metadata[p.stem]) for p in recordings), key=lambda c: c.stem)


def _require_unique_stems(recordings: list[Path]) -> None:
    seen = {}
    for path in recordings:
        if (other := seen.setdefault(path.stem, path)) != path:
            raise ValueError(f"{other} and {path} have the same stem, by which clips and CSVs are matched; rename one.")


def cached_features(clip: Clip, config: FeatureConfig) -> np.ndarray:
    """Features of a whole clip, (7, T, F) float16, memory-mapped; computed once and kept beside the data set.

    The cache is keyed by the feature configuration; a file is written beside and renamed.
    """
    key = hashlib.sha256(json.dumps(to_json(config), sort_keys=True).encode()).hexdigest()[:12]
    path = _root_of(clip) / f".features-{key}" / f"{clip.stem}.npy"
    if not path.exists() or path.stat().st_mtime < clip.audio.stat().st_mtime:
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.save(file, compute_features(clip.audio, config))
    return np.load(path, mmap_mode="r")


def _root_of(clip: Clip) -> Path:
    return next(p.parent for p in clip.audio.parents if p.name.startswith("foa"))


@torch.inference_mode()
def compute_features(path: Path, config: FeatureConfig) -> np.ndarray:
    """Features (7, T, F) float16 of a recording, one frame per hop."""
    extract = LogMelIntensity(config)
    signal = torch.from_numpy(audio.load(path, config.sample_rate))
    return extract(signal[None])[0].numpy().astype(np.float16)


class ChunkSet:
    """Chunks of equal length cut from clips. In order they cover every label frame once; shuffled, they start anywhere and
    leave out less than a chunk at either end of a clip.

    ``dropped`` counts the reference frames that found no free track, of ``total`` reference frames.
    """

    def __init__(self, clips, feature_config: FeatureConfig, n_tracks: int, classes, chunk_seconds: int, progress=iter):
        self.ratio = feature_config.frames_per_label_frame
        self.label_frames = chunk_seconds * LABEL_FRAMES_PER_SECOND
        self.feature_frames = self.label_frames * self.ratio + 1
        self.items = []
        self.dropped = self.total = 0
        for clip in progress(clips):
            x = cached_features(clip, feature_config)
            n_frames = (x.shape[1] - 1) // self.ratio
            table = labels.read_csv(clip.metadata, classes)
            sed, doa, dropped = labels.to_tracks(table, n_frames, n_tracks, len(classes))
            self.items.append((x, sed.astype(np.float16), doa.astype(np.float16)))
            self.dropped += dropped
            self.total += len(table)

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of the features over all frames of all clips, each (1, 7, 1, F)."""
        count, total, square = 0, 0.0, 0.0
        for x, _, _ in self.items:
            x = np.asarray(x, np.float32)
            count += x.shape[1]
            total = total + x.sum(1, dtype=np.float64)
            square = square + np.einsum("ctf,ctf->cf", x, x, dtype=np.float64)
        mean = total / count
        std = np.sqrt(np.maximum(square / count - mean**2, 1e-8))
        return tuple(torch.from_numpy(s[None, :, None]).float() for s in (mean, std))

    def plan(self, rng: np.random.Generator | None) -> list[tuple[int, int]]:
        """(clip, first label frame) of every chunk: shuffled and shifted by a random start, or in order without ``rng``."""
        plan = []
        for index, (_, sed, _) in enumerate(self.items):
            length = len(sed)
            if rng is None or length <= self.label_frames:
                starts = range(0, length, self.label_frames)
            else:
                slack = min(length - self.label_frames, self.label_frames - 1)
                starts = range(int(rng.integers(slack + 1)), length - self.label_frames + 1, self.label_frames)
            plan += [(index, start) for start in starts]
        if rng is not None:
            rng.shuffle(plan)
        return plan

    def batches(self, batch_size: int, rng: np.random.Generator | None) -> Iterator[Sample]:
        """One epoch in batches. With ``rng`` an incomplete last batch is left out, unless it is the only one."""
        plan = self.plan(rng)
        stop = len(plan) - len(plan) % batch_size if rng is not None and len(plan) >= batch_size else len(plan)
        for start in range(0, stop, batch_size):
            chunks = [self._chunk(*p) for p in plan[start : start + batch_size]]
            yield Sample(*(torch.from_numpy(np.stack(part)) for part in zip(*chunks)))

    def _chunk(self, index: int, start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x, sed, doa = self.items[index]
        first = start * self.ratio
        chunk = np.zeros((N_CHANNELS, self.feature_frames, x.shape[2]), np.float32)
        chunk[:4] = SILENCE_DB
        part = x[:, first : first + self.feature_frames]
        chunk[:, : part.shape[1]] = part
        frames = slice(start, start + self.label_frames)
        return chunk, _padded(sed[frames], self.label_frames), _padded(doa[frames], self.label_frames)


def _padded(labels_: np.ndarray, length: int) -> np.ndarray:
    out = np.zeros((length, *labels_.shape[1:]), np.float32)
    out[: len(labels_)] = labels_
    return out
