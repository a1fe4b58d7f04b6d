"""The 16 rotations and reflections of an FOA scene that need no filtering."""

import numpy as np
import torch

from . import features
from .foa import XYZ_CHANNELS

N_PATTERNS = 16


def pattern_matrix(pattern: int) -> np.ndarray:
    """Signed permutation (3, 3) of (x, y, z), pattern 0 to 15; 0 is the identity."""
    swap, negate_x, negate_y, negate_z = ((pattern >> bit) & 1 for bit in range(4))
    matrix = np.eye(3)[[1, 0, 2]] if swap else np.eye(3)
    return matrix * (1 - 2 * np.array([negate_x, negate_y, negate_z]))[:, None]


def rotate_audio(audio: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """FOA audio (..., 4, S) of the scene rotated by a signed permutation (3, 3) of (x, y, z)."""
    rotated = audio.copy()
    channels = np.array(XYZ_CHANNELS)
    sources = np.abs(matrix).argmax(1)
    rotated[..., channels, :] = audio[..., channels[sources], :] * matrix[range(3), sources][:, None].astype(
        audio.dtype
    )
    return rotated


def rotate_features(features_: torch.Tensor, matrices: torch.Tensor) -> torch.Tensor:
    """Features (B, 7, T, F) of the scenes rotated by their matrices (B, 3, 3)."""
    order = torch.tensor([1, 2, 0])  # the features' channels are y, z, x
    channel_matrices = matrices[:, order][:, :, order].to(features_)
    x = features_.clone()
    # log-mel is a level: it swaps with the channel but has no sign
    x[:, 1:4] = torch.einsum("bij,bjtf->bitf", channel_matrices.abs(), features_[:, 1:4])
    x[:, features.INTENSITY] = torch.einsum("bij,bjtf->bitf", channel_matrices, features_[:, features.INTENSITY])
    return x
