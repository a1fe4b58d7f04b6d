"""From trackwise probabilities and directions to detections. Written once; training, inference and every page use it."""

import numpy as np
import pandas as pd

from . import geometry


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
