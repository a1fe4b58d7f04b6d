"""Confidence intervals over clips: by hand, against the formula for a mean, and by how often they hold the truth."""

import numpy as np
import pytest
from scipy import stats

from einv2.metrics.dcase import Counts2020
from einv2.metrics.intervals import METHODS, intervals


def clip(hits, n=10, degrees=5.0):
    """A clip of n class-seconds of which some are hit, ``degrees`` off, and the others missed."""
    return Counts2020(
        true_positives=hits,
        deletions=n - hits,
        n_reference=n,
        n_system=hits,
        n_both=hits,
        total_distance=hits * degrees,
    )


@pytest.mark.parametrize("method", METHODS)
def test_clips_that_are_alike_leave_no_doubt(method):
    found = intervals([clip(5)] * 4, method)
    expected = clip(5).scores()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx((value, value), abs=1e-12)


def test_jackknife_of_a_ratio_with_one_denominator_is_the_t_interval():
    """ER of clips of equal length is the mean of their ERs, for which the jackknife is Student's interval."""
    rates = np.array([0.1, 0.4, 0.5, 0.9])
    low, high = intervals([clip(round(10 * (1 - r))) for r in rates], "jackknife")["ER"]
    half = stats.t.ppf(0.975, 3) * rates.std(ddof=1) / 2
    assert (low, high) == pytest.approx((rates.mean() - half, rates.mean() + half))


def test_bootstrap_of_two_clips():
    """Drawn: both of the first, both of the second, or one of each; a quarter, a quarter and a half of the time."""
    found = intervals([clip(2), clip(8)])
    assert found["ER"] == pytest.approx((0.2, 0.8)) and found["LE"] == pytest.approx((5, 5))
    assert intervals([clip(2), clip(8)], level=0.4)["ER"] == pytest.approx((0.5, 0.5))


def test_bootstrap_is_repeatable():
    first, same, other = (
        intervals([clip(k, degrees=k) for k in (1, 3, 4, 8, 9)], n_resamples=20, seed=s) for s in (1, 1, 2)
    )
    assert first == same != other


@pytest.mark.parametrize("method, least", [("bootstrap", 0.85), ("jackknife", 0.9)])
def test_coverage(method, least):
    """Clips whose hits are drawn at a share of 0.6: most intervals of 95 % hold the true ER of 0.4."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(60):
        counts = [clip(k) for k in rng.binomial(10, 0.6, 20)]
        low, high = intervals(counts, method, n_resamples=200)["ER"]
        held.append(low <= 0.4 <= high)
    assert np.mean(held) >= least


def test_refusals():
    with pytest.raises(ValueError, match="at least 2 clips, not 1"):
        intervals([clip(5)])
    with pytest.raises(ValueError, match="method must be one of bootstrap, jackknife, not 'normal'"):
        intervals([clip(5)] * 2, "normal")
