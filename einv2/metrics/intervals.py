"""How far the DCASE 2020 scores would move with other clips: confidence intervals over clips.

The bootstrap draws as many clips as there are, with replacement, and takes percentiles of the scores (Efron, 1979). The
jackknife leaves out one clip at a time, corrects the bias and takes Student's t for the quantile, as the official
scripts of DCASE do; it assumes nearly normal scores and may leave their range.
"""

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np
from scipy.special import stdtrit  # Student's t: quantiles

from .dcase import Counts2020

METHODS = ("bootstrap", "jackknife")


def intervals(
    counts: Sequence[Counts2020],
    method: str = "bootstrap",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 2020,
) -> dict[str, tuple[float, float]]:
    """(low, high) for each of ER, F, LE (degrees), LR and SELD, from the counts of each clip (``dcase.counts_2020``).

    level: the share of intervals that hold the true score. n_resamples and seed are the bootstrap's. ValueError with fewer
    than two clips.
    """
    if len(counts) < 2:
        raise ValueError(f"confidence intervals over clips need at least 2 clips, not {len(counts)}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    table = np.array([astuple(c) for c in counts])
    rng = np.random.default_rng(seed)
    bounds = _bootstrap(table, level, n_resamples, rng) if method == "bootstrap" else _jackknife(table, level)
    return {key: (float(low), float(high)) for key, low, high in zip(Counts2020().scores(), *bounds)}


def _bootstrap(table: np.ndarray, level: float, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """(2, scores) of counts (clips, fields)."""
    n = len(table)
    drawn = rng.multinomial(n, np.full(n, 1 / n), n_resamples)
    return np.quantile(_scores(drawn @ table), [(1 - level) / 2, (1 + level) / 2], axis=0)


def _jackknife(table: np.ndarray, level: float) -> np.ndarray:
    """(2, scores) of counts (clips, fields)."""
    n = len(table)
    (overall,), partial = _scores(table.sum(0)[None]), _scores(table.sum(0) - table)
    estimate = n * overall - (n - 1) * partial.mean(0)
    error = np.sqrt((n - 1) * partial.var(0)) * stdtrit(n - 1, (1 + level) / 2)
    return np.stack([estimate - error, estimate + error])


def _scores(sums: np.ndarray) -> np.ndarray:
    """Summed counts (N, fields) -> scores (N, 5)."""
    return np.array([list(Counts2020(*row).scores().values()) for row in sums])
