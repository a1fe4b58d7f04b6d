"""Confidence intervals over clips: by hand, against the formula for a mean, and by how often they hold the truth."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from einv2.metrics import dcase
from einv2.metrics.intervals import HIGHEST, METHODS, differences, intervals


def clip(hits, n=10, degrees=5.0):
    """A clip of n seconds of one class, of which some are hit, ``degrees`` off, and the others missed."""
    azimuth = np.full(10 * hits, degrees)
    reference = pd.DataFrame({"frame": range(10 * n), "class": 0, "track": 0, "azimuth": 0.0, "elevation": 0.0})
    reference["distance"] = np.nan
    return reference, reference.head(10 * hits).assign(azimuth=azimuth)


def of(clips):
    return dcase.tally_pairs(clips, 1)


@pytest.mark.parametrize("method", METHODS)
def test_clips_that_are_alike_leave_no_doubt(method):
    found = intervals(of([clip(5)] * 4), method)
    expected = of([clip(5)]).sum().scores()
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert found[key] == pytest.approx((float(value),) * 2, abs=1e-12)


def test_jackknife_of_a_ratio_with_one_denominator_is_the_t_interval():
    """ER of clips of equal length is the mean of their ERs, for which the jackknife is Student's interval."""
    rates = np.array([0.1, 0.4, 0.5, 0.9])
    low, high = intervals(of([clip(round(10 * (1 - r))) for r in rates]), "jackknife", cut=False)["ER"]
    half = stats.t.ppf(0.975, 3) * rates.std(ddof=1) / 2
    assert (low, high) == pytest.approx((rates.mean() - half, rates.mean() + half))


def test_bootstrap_of_two_clips():
    """Drawn: both of the first, both of the second, or one of each; a quarter, a quarter and a half of the time."""
    found = intervals(of([clip(2), clip(8)]))
    assert found["ER"] == pytest.approx((0.2, 0.8)) and found["LE"] == pytest.approx((5, 5))
    assert intervals(of([clip(2), clip(8)]), level=0.4)["ER"] == pytest.approx((0.5, 0.5))


def test_bootstrap_is_repeatable():
    first, same, other = (
        intervals(of([clip(k, degrees=k) for k in (1, 3, 4, 8, 9)]), n_resamples=20, seed=s) for s in (1, 1, 2)
    )
    assert first == same != other


@pytest.mark.full("long")
@pytest.mark.parametrize("method, least", [("bootstrap", 0.85), ("jackknife", 0.9)])
def test_coverage(method, least):
    """Clips whose hits are drawn at a share of 0.6: most intervals of 95 % hold the true ER of 0.4."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(60):
        counts = [clip(k) for k in rng.binomial(10, 0.6, 20)]
        low, high = intervals(of(counts), method, n_resamples=200)["ER"]
        held.append(low <= 0.4 <= high)
    assert np.mean(held) >= least


def test_refusals():
    with pytest.raises(ValueError, match="at least 2 clips, not 1"):
        intervals(of([clip(5)]))
    with pytest.raises(ValueError, match="method must be one of bootstrap, jackknife, not 'normal'"):
        intervals(of([clip(5)] * 2), "normal")


@pytest.mark.parametrize("method", METHODS)
def test_difference_of_a_system_with_itself_is_none(method):
    clips = of([clip(k) for k in (1, 5, 9)])
    assert all(bounds == pytest.approx((0, 0)) for bounds in differences(clips, clips, method).values())


@pytest.mark.parametrize("method", METHODS)
def test_a_small_difference_in_every_clip_is_told_from_none(method):
    """Clips differ much, so each system's interval is wide and they overlap; but one system is better in each of them."""
    hits = (2, 3, 5, 8, 9)
    worse, better = of([clip(k - 1) for k in hits]), of([clip(k) for k in hits])
    assert intervals(better, method)["ER"][1] > intervals(worse, method)["ER"][0]
    assert differences(worse, better, method)["ER"] == pytest.approx((-0.1, -0.1))
    with pytest.raises(ValueError, match="same clips, not 5 and 2"):
        differences(worse, of([clip(1)] * 2))


@pytest.mark.parametrize("measure", dcase.MEASURES)
def test_jackknife_is_that_of_scoring_again_without_each_clip(measure):
    clips = [clip(k, degrees=d) for k, d in ((2, 3), (5, 25), (9, 8))]
    overall = dcase.evaluate(clips, 1, measure)["F"]
    partial = np.array([dcase.evaluate(clips[:k] + clips[k + 1 :], 1, measure)["F"] for k in range(3)])
    centre = overall - 2 * (partial.mean() - overall)
    half = stats.t.ppf(0.975, 2) * np.sqrt(2 * partial.var())
    tally = dcase.tally_pairs(clips, 1, measure)
    found = intervals(tally, "jackknife", cut=False)["F"]
    assert found == pytest.approx((centre - half, centre + half))
    assert intervals(tally, "jackknife")["F"] == pytest.approx((max(centre - half, 0), min(centre + half, 1)))


@pytest.mark.parametrize("method", METHODS)
def test_no_interval_leaves_what_a_score_can_be(method):
    """One good clip among bad ones, for which the plain jackknife gives an F above 1 or an LE below 0."""
    good, bad = clip(10, degrees=0.1), (*clip(1, degrees=0)[:1], clip(1)[1])
    sides = of([good] * 3 + [(bad[0].assign(azimuth=170.0), bad[1])]), of([bad, bad, bad, good])
    plain = [intervals(side, "jackknife", cut=False) for side in sides]
    assert any(bounds["F"][1] > 1 or bounds["F"][0] < 0 for bounds in plain)
    for side in sides:
        for key, (low, high) in intervals(side, method).items():
            assert 0 <= low <= high <= HIGHEST.get(key, np.inf)
    assert all(-1 <= low <= high <= 1 for low, high in [differences(*sides, method)["F"]])
