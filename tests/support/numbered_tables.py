"""Frame tables with output tracks."""

import numpy as np
import pandas as pd


def table(*runs):
    """Frame table of runs (first frame, end, class, track, azimuth)."""
    rows = [(f, k, m, azimuth, 0) for start, end, k, m, azimuth in runs for f in range(start, end)]
    return pd.DataFrame(rows, columns=COLUMNS).astype(dict.fromkeys(COLUMNS[:3], np.int64)).assign(distance=np.nan)


def random_tables(rng):
    runs = [
        (s := int(rng.integers(60)), s + int(rng.integers(1, 20)), int(rng.integers(3)), m, 30 * m) for m in range(8)
    ]
    reference = table(*runs)
    estimate = reference[rng.random(len(reference)) < 0.8].copy()
    estimate["azimuth"] += rng.integers(-25, 25, len(estimate))
    estimate["track"] = rng.integers(0, 2, len(estimate))
    more = estimate[rng.random(len(estimate)) < 0.3].assign(track=lambda t: 1 - t["track"])
    estimate = pd.concat([estimate, more]).drop_duplicates(["frame", "class", "track"])
    return estimate.sample(frac=1, random_state=3).reset_index(drop=True), reference


COLUMNS = ["frame", "class", "track", "azimuth", "elevation"]
