"""How far scores would move with other clips: confidence intervals over clips, and of the difference of two systems.

The bootstrap draws as many clips as there are, with replacement, and takes percentiles of the scores (Efron, 1979). The
jackknife leaves out one clip at a time, corrects the bias and takes Student's t for the quantile, as the official
scripts of DCASE do; it assumes nearly normal scores and may leave their range, so it is cut to what a score can be.
"""

import numpy as np
from scipy.special import stdtrit  # Student's t: quantiles

from .dcase import Tally

METHODS = ("bootstrap", "jackknife")  # the first is the default everywhere
HIGHEST = {"F": 1.0, "LR": 1.0, "LE": 180.0}  # that a score can be; the others have no upper end, and none is below 0


def intervals(
    clips: Tally,
    method: str = "bootstrap",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 2020,
    cut: bool = True,
) -> dict[str, tuple[float, float]]:
    """(low, high) for each score, of the counts of each clip, (clips, K), as ``dcase.tally`` gives them.

    level: the share of intervals that hold the true score. n_resamples and seed are the bootstrap's. cut: to what a score can be;
    False gives the jackknife's figures of the official scripts. NaN where a score has no value. ValueError with fewer than two
    clips.
    """
    found = _bounds([clips], lambda scores: scores[0], method, level, n_resamples, seed)
    return {k: _cut(v, 0.0, HIGHEST.get(k, np.inf)) for k, v in found.items()} if cut else found


def differences(
    first: Tally,
    second: Tally,
    method: str = "bootstrap",
    level: float = 0.95,
    n_resamples: int = 2000,
    seed: int = 2020,
) -> dict[str, tuple[float, float]]:
    """(low, high) for each score of the second system minus that of the first, on the same clips in the same order.

    The same clips are drawn, or left out, for both: an interval without 0 tells the systems apart. ValueError if the clips are
    not as many on both sides.
    """
    if first.n_clips != second.n_clips:
        raise ValueError(f"the systems must have the same clips, not {first.n_clips} and {second.n_clips}")
    found = _bounds([first, second], lambda scores: scores[1] - scores[0], method, level, n_resamples, seed)
    return {k: _cut(v, -HIGHEST.get(k, np.inf), HIGHEST.get(k, np.inf)) for k, v in found.items()}


def _cut(bounds: tuple[float, float], low: float, high: float) -> tuple[float, float]:
    return float(np.clip(bounds[0], low, high)), float(np.clip(bounds[1], low, high))


def _bounds(systems: list[Tally], combine, method, level, n_resamples, seed) -> dict[str, tuple[float, float]]:
    n = systems[0].n_clips
    if n < 2:
        raise ValueError(f"confidence intervals over clips need at least 2 clips, not {n}")
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(n, np.full(n, 1 / n), n_resamples) if method == "bootstrap" else 1 - np.eye(n)
    overall = combine([_scores(system, np.ones((1, n))) for system in systems])[0]
    varied = combine([_scores(system, weights) for system in systems])
    low, high = _percentiles(varied, level) if method == "bootstrap" else _jackknife(overall, varied, level)
    return {key: (float(a), float(b)) for key, a, b in zip(systems[0].scores(), low, high)}


def _scores(clips: Tally, weights: np.ndarray) -> np.ndarray:
    """(R, scores) of the clips each taken ``weights`` (R, clips) times."""
    return np.stack(list(clips.each(lambda counts: weights @ counts).scores().values()), -1)


def _percentiles(varied: np.ndarray, level: float) -> np.ndarray:
    """(2, scores); a draw in which a score has no value is left out for that score."""
    known = ~np.isnan(varied)
    filled = [v[k] if k.any() else np.array([np.nan]) for v, k in zip(varied.T, known.T)]
    return np.array([np.quantile(v, [(1 - level) / 2, (1 + level) / 2]) for v in filled]).T


def _jackknife(overall: np.ndarray, partial: np.ndarray, level: float) -> np.ndarray:
    """(2, scores) of the scores of all clips (scores,) and with each left out (clips, scores)."""
    n = len(partial)
    estimate = n * overall - (n - 1) * partial.mean(0)
    error = np.sqrt((n - 1) * partial.var(0)) * stdtrit(n - 1, (1 + level) / 2)
    return np.stack([estimate - error, estimate + error])
