"""From a network's output to detections. Written once; training, inference and every page use it."""

import numpy as np
import pandas as pd
import torch

from . import geometry
from .config import ModelConfig
from .models import Output


def as_tracks(output: Output, model: ModelConfig) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Probabilities (B, T, M, K) and directions (B, T, M, 3) from the output of any format.

    The class-wise formats become one track a class (M = K), track k holding class k alone; ACCDOA's probability is the length
    of the vector, at most 1. Without a DoA branch the directions are 0; without an SED branch the probabilities are None.
    """
    sed, doa = output
    if model.output_format == "accdoa":
        return doa.norm(dim=-1).clamp(max=1).diag_embed(), doa
    if sed is None:
        return None, doa
    probabilities = sed.sigmoid() if model.output_format == "trackwise" else sed.sigmoid().diag_embed()
    return probabilities, probabilities.new_zeros(*probabilities.shape[:3], 3) if doa is None else doa


def decode(sed: np.ndarray, doa: np.ndarray, threshold: float = 0.5) -> pd.DataFrame:
    """The frame table of a prediction, with a column ``confidence``.

    sed (T, M, K) probabilities, doa (T, M, 3). On each track the class of the largest probability, active where that is
    above ``threshold``; azimuth and elevation are those of the track's vector, whatever its length.
    """
    if sed.ndim != 3 or doa.shape != (*sed.shape[:2], 3):
        raise ValueError(f"sed must be (T, M, K) and doa (T, M, 3), not {sed.shape} and {doa.shape}")
    best = sed.argmax(-1)
    confidence = np.take_along_axis(sed, best[..., None], -1)[..., 0]
    frame, track = np.nonzero(confidence > threshold)
    azimuth, elevation = geometry.to_angles(doa[frame, track])
    table = pd.DataFrame(
        {
            "frame": frame,
            "class": best[frame, track],
            "track": track,
            "azimuth": azimuth,
            "elevation": elevation,
            "distance": np.nan,
            "confidence": confidence[frame, track].astype(float),
        }
    )
    return table.sort_values(["frame", "class", "track"], ignore_index=True)
