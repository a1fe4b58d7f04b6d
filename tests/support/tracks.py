"""Trackwise arrays and tables for the measures of identity."""

from itertools import permutations

import numpy as np
import pandas as pd

from einv2 import geometry

K = 3


def arrays(*tracks, n_frames):
    """(sed (T, M, K), doa (T, M, 3)) of tracks, each a list of (first frame, end, class, azimuth) or with a probability."""
    sed, doa = np.zeros((n_frames, len(tracks), K)), np.zeros((n_frames, len(tracks), 3))
    for m, events in enumerate(tracks):
        for start, end, class_index, azimuth, *probability in events:
            sed[start:end, m, class_index] = probability[0] if probability else 1
            doa[start:end, m] = geometry.to_vector(azimuth, 0)
    return sed, doa


def table(*stretches, clip=None):
    """A frame table of stretches (track, class, azimuth, first frame, end)."""
    rows = [(t, c, m, a) for m, c, a, first, end in stretches for t in range(first, end)]
    rows = pd.DataFrame(rows, columns=["frame", "class", "track", "azimuth"]).astype({"azimuth": float})
    rows = rows.assign(elevation=0.0, distance=np.nan)
    return rows if clip is None else rows.assign(clip=clip)


def cheapest(cost):
    """Pairs (row, column) of the matching with the most finite entries, at least total cost, by trying all."""
    n, m = cost.shape
    if n > m:
        return [(i, j) for j, i in cheapest(cost.T)]
    trials = [[(i, j) for i, j in enumerate(order) if np.isfinite(cost[i, j])] for order in permutations(range(m), n)]
    return min(trials, key=lambda pairs: (-len(pairs), sum(cost[pair] for pair in pairs)))
