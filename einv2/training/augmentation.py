"""Augmentation on features and track labels. Parameters are sampled first (numpy generator), then applied (torch).

Rotation: quarter turns about z and reflections left-right and up-down need no filtering of FOA: the channels X and Y swap, and X,
Y, Z change sign, 16 patterns in all (Mazzon et al., DCASE 2019). Log-mel channels swap, intensity channels swap and change sign,
label directions are multiplied by the same matrix.

``n`` and ``share``, in the functions that draw: parameters are drawn for a batch of n items, of which the given items are the
slice ``share``, so that processes that share a batch augment it as one process would. By default the items are the whole batch.
"""

import numpy as np
import torch

from ..audio import features
from ..audio.rotations import N_PATTERNS, pattern_matrix, rotate_features
from ..config import TrainConfig
from ..datasets.chunking import Sample

ALL = slice(None)


def sample_rotations(n: int, rng: np.random.Generator) -> torch.Tensor:
    """Matrices (n, 3, 3) drawn from the 16 patterns."""
    return torch.from_numpy(np.stack([pattern_matrix(p) for p in rng.integers(N_PATTERNS, size=n)])).float()


def rotate(sample: Sample, matrices: torch.Tensor) -> Sample:
    """Rotate every item of a batch by its matrix (B, 3, 3), which acts on (x, y, z)."""
    doa = torch.einsum("bij,btmj->btmi", matrices.to(sample.doa), sample.doa)
    return Sample(rotate_features(sample.features, matrices), sample.sed, doa)


def change_level(x: torch.Tensor, gains_db: torch.Tensor) -> torch.Tensor:
    """Features of the same sound with gains in dB (B,): log-mel changes, intensity does not."""
    x = x.clone()
    x[:, features.LOGMEL] = (x[:, features.LOGMEL] + gains_db[:, None, None, None].to(x)).clamp(min=-100.0)
    return x


def filter_curves(n: int, n_bins: int, most_db: float, rng: np.random.Generator) -> torch.Tensor:
    """FilterAugment (Nam et al., ICASSP 2022), linear type: gains in dB (n, F), straight lines between 3 to 6 random knots."""
    curves = np.empty((n, n_bins))
    for curve in curves:
        knots = np.sort(rng.uniform(0, n_bins - 1, rng.integers(3, 7)))
        curve[:] = np.interp(np.arange(n_bins), knots, rng.uniform(-most_db, most_db, len(knots)))
    return torch.from_numpy(curves).float()


def filter_levels(x: torch.Tensor, curves: torch.Tensor) -> torch.Tensor:
    """Features of the same sound through a filter of gains in dB ``curves`` (B, F), the same in every channel."""
    x = x.clone()
    x[:, features.LOGMEL] = (x[:, features.LOGMEL] + curves[:, None, None].to(x)).clamp(min=-100.0)
    return x


def shift_bins(x: torch.Tensor, shifts: torch.Tensor) -> torch.Tensor:
    """All channels shifted up by ``shifts`` (B,) mel bands, as for a sound of a different pitch; the outermost band is repeated."""
    bins = torch.arange(x.shape[-1], device=x.device) - shifts[:, None].to(x.device)
    index = bins.clamp(0, x.shape[-1] - 1)[:, None, None].expand(-1, *x.shape[1:3], -1)
    return x.gather(-1, index)


def sample_intervals(n: int, length: int, widest: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """n random intervals (start, width) within a length, each 0 to ``widest`` wide."""
    intervals = []
    for _ in range(n):
        width = int(rng.integers(widest + 1))
        intervals.append((int(rng.integers(length - width + 1)), width))
    return intervals


def mask_width(widest: float, size: int) -> int:
    """The widest mask over ``size`` frames or bins: ``widest`` of them, or below 1 that share of them."""
    return min(round(widest * size if widest < 1 else widest), size)


def mask(
    x: torch.Tensor, axis: int, widest: int, rng: np.random.Generator, n: int | None = None, share: slice = ALL
) -> torch.Tensor:
    """SpecAugment: one interval of at most ``widest`` frames (axis 2) or bins (axis 3) of every item set to 0, in place."""
    for item, (start, width) in zip(x, sample_intervals(n or len(x), x.shape[axis], widest, rng)[share]):
        item.narrow(axis - 1, start, width).zero_()
    return x


def augment_features(
    sample: Sample, config: TrainConfig, rng: np.random.Generator, n: int | None = None, share: slice = ALL
) -> Sample:
    """Rotation, level, filter and pitch, on features before standardisation."""
    n = n or len(sample.features)
    if config.rotate:
        sample = rotate(sample, sample_rotations(n, rng)[share])
    gains = torch.from_numpy(rng.uniform(-config.gain_db, config.gain_db, n))
    x = change_level(sample.features, gains[share])
    if config.filter_db:
        x = filter_levels(x, filter_curves(n, x.shape[-1], config.filter_db, rng)[share])
    if config.shift_bins:
        x = shift_bins(x, torch.from_numpy(rng.integers(-config.shift_bins, config.shift_bins + 1, n))[share])
    return sample._replace(features=x)


def augment_standardised(
    x: torch.Tensor, config: TrainConfig, rng: np.random.Generator, n: int | None = None, share: slice = ALL
) -> torch.Tensor:
    """Masks, on standardised features, where 0 is the mean.

    By default as wide as those of SpecAugment (Park et al., Interspeech 2019): 27 of 80 bands, and 1 s of a chunk of 4 s.
    """
    for axis, widest in ((2, config.time_mask_frames), (3, config.frequency_mask_bins)):
        if width := mask_width(widest, x.shape[axis]):
            x = mask(x, axis, width, rng, n, share)
    return x
