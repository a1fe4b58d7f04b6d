"""Frame tables of one clip, and of many."""

import numpy as np
import pandas as pd

from einv2 import geometry


def table(*rows, clip=None):
    """A frame table of rows (frame, class, azimuth[, elevation[, track]])."""
    rows = [(*row, *(0, 0)[len(row) - 3 :]) for row in rows]
    columns = pd.DataFrame(rows, columns=["frame", "class", "azimuth", "elevation", "track"])
    columns = columns.astype({"frame": int, "class": int, "track": int, "azimuth": float, "elevation": float})
    return columns.assign(distance=np.nan, **({} if clip is None else {"clip": clip}))


def clips(*tables):
    return pd.concat([t.assign(clip=n) for n, t in enumerate(tables)], ignore_index=True)


def random_tables(rng, n_rows=60, n_clips=3, n_frames=5, n_classes=3, step=None):
    """(estimate, reference) in random order and with a strange index, crowded, around the azimuth of 180.

    step: degrees; directions are multiples of it, so that many distances are equal.
    """

    def one():
        azimuth, elevation = rng.uniform(160, 200, n_rows), rng.uniform(-10, 10, n_rows)
        if step:
            azimuth, elevation = (np.round(a / step) * step for a in (azimuth, elevation))
        integers = {"clip": n_clips, "frame": n_frames, "class": n_classes, "track": 2}
        columns = {c: rng.integers(0, n, n_rows) for c, n in integers.items()}
        columns |= {"azimuth": geometry.wrap_azimuth(azimuth), "elevation": elevation, "distance": np.nan}
        return pd.DataFrame(columns, index=rng.permutation(n_rows) + 7).drop_duplicates()

    return one(), one()
