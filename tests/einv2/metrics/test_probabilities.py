"""Reliability and thresholds: cases computed by hand, decoding and a plain count, and probabilities that are known to be true."""

from functools import reduce
from operator import add

import numpy as np
import pandas as pd
import pytest

from einv2 import geometry
from einv2.inference.decoding import decode
from einv2.labels import frame_tables
from einv2.metrics.probabilities import THRESHOLDS, ReliabilityCounts, by_threshold, reliability
from support.tracks import K, arrays, cheapest, table


def at(threshold):
    return THRESHOLDS.index(threshold)


def assert_bins(values, **expected):
    """``values`` (10,) are those of the bins named b0 to b9, and 0 elsewhere."""
    np.testing.assert_allclose(values, [expected.get(f"b{b}", 0) for b in range(10)])


# Reliability


def test_reliability_by_hand():
    """Frames 0-3 right at 0.85; 4-5 too far at 0.82; 6 the wrong class at 0.35; 7-8 nothing there at 0.35; 9 silent at 0.04."""
    estimate = arrays(
        [(0, 4, 1, 10, 0.85), (4, 6, 1, 25, 0.82), (6, 7, 2, 0, 0.35), (7, 9, 1, 0, 0.35), (9, 10, 1, 0, 0.04)],
        n_frames=10,
    )
    counts = reliability(table((0, 1, 0, 0, 7), (0, 1, 0, 9, 10)), *estimate)
    assert_bins(counts.n, b8=6, b3=3)
    assert_bins(counts.right, b8=4)
    assert_bins(counts.probability, b8=4 * 0.85 + 2 * 0.82, b3=3 * 0.35)
    assert counts.mean_probability[8] == pytest.approx(5.04 / 6) and counts.share_right[8] == pytest.approx(4 / 6)
    assert np.isnan(counts.share_right[0]) and np.isnan(counts.mean_probability[0])
    assert counts.ece == pytest.approx(6 / 9 * (5.04 / 6 - 4 / 6) + 3 / 9 * 0.35)


def test_bins_hold_their_lower_edge():
    probabilities = (0.06, 0.3, 0.7, 0.95, 1)
    sed, doa = arrays([(t, t + 1, 0, 0, p) for t, p in enumerate(probabilities)], n_frames=5)
    for dtype in (np.float32, np.float64):
        assert_bins(reliability(table(), sed.astype(dtype), doa).n, b0=1, b3=1, b7=1, b9=2)


def test_one_row_makes_one_track_right():
    """The nearer one, also where the other is more probable; a second event makes both right, at 12 + 8 degrees and not 2."""
    estimate = arrays([(0, 1, 1, 2, 0.25)], [(0, 1, 1, -12, 0.95)], n_frames=1)
    assert_bins(reliability(table((0, 1, 0, 0, 1)), *estimate).right, b2=1)
    assert_bins(reliability(table((0, 1, 0, 0, 1), (1, 1, 10, 0, 1)), *estimate).right, b2=1, b9=1)


def test_true_probabilities_are_well_calibrated(rng):
    """Two tracks of different classes, each event there with the probability that the track has: ECE near 0, not so doubled."""
    probability = rng.uniform(0.05, 0.95, (20000, 2))
    sed, doa = np.zeros((20000, 2, K)), np.zeros((20000, 2, 3))
    sed[:, [0, 1], [0, 2]], doa[:] = probability, geometry.to_vector(30, 10)
    frame, track = np.nonzero(rng.random(probability.shape) < probability)
    reference = pd.DataFrame({"frame": frame, "class": 2 * track, "track": 0, "azimuth": 30.0, "elevation": 10.0})
    counts = reliability(reference, sed, doa)
    assert counts.n.sum() == pytest.approx(40000, abs=20) and counts.ece < 0.015
    assert reliability(reference, sed**2, doa).ece > 0.1
    first = reference["frame"] < 5000
    clips = [
        reliability(reference[first], sed[:5000], doa[:5000]),
        reliability(reference[~first].assign(frame=frame[~first] - 5000), sed[5000:], doa[5000:]),
    ]
    assert sum(clips, ReliabilityCounts()).ece == pytest.approx(counts.ece)


# Thresholds


def test_thresholds_by_hand():
    """Class 1: right in frames 0-5 at 0.7 and 6-9 at 0.3, false in 10-13 at 0.2. Class 2: never there, claimed at 0.6."""
    estimate = arrays([(0, 6, 1, 0, 0.7), (6, 10, 1, 0, 0.3), (10, 14, 1, 0, 0.2)], [(0, 2, 2, 0, 0.6)], n_frames=14)
    counts = by_threshold(table((0, 1, 5, 0, 10)), *estimate)
    assert counts.reference.tolist() == [0, 10, 0]
    rows = {p: (counts.correct[at(p), 1], counts.system[at(p), 1]) for p in (0.15, 0.2, 0.25, 0.3, 0.65, 0.7, 0.95)}
    assert rows == {
        0.15: (10, 14), 0.2: (10, 10), 0.25: (10, 10), 0.3: (6, 6), 0.65: (6, 6), 0.7: (0, 0), 0.95: (0, 0)
    }  # fmt: skip
    assert counts.system[at(0.55), 2] == 2 and counts.system[at(0.6), 2] == 0
    assert counts.f[at(0.05), 1] == pytest.approx(20 / 24) and np.isnan(counts.f[:, 0]).all()
    assert counts.best_thresholds.tolist() == [0.5, 0.25, 0.5]
    np.testing.assert_array_equal(counts.best_f, [np.nan, 1, 0])
    np.testing.assert_allclose(counts.overall_f[[at(0.05), at(0.5), at(0.65)]], [20 / 26, 12 / 18, 12 / 16])
    assert counts.overall_best_f == pytest.approx(20 / 22)
    assert counts.report() == {
        "threshold": 0.25, "F": pytest.approx(20 / 22), "F_default": pytest.approx(12 / 18),
        "F_each_best": pytest.approx(20 / 22), "per_class": [
            {"threshold": 0.5, "F": None, "F_default": None, "n_reference": 0},
            {"threshold": 0.25, "F": 1, "F_default": pytest.approx(12 / 16), "n_reference": 10},
            {"threshold": 0.5, "F": 0, "F_default": 0, "n_reference": 0},
        ],
    }  # fmt: skip


def random_clip(rng, n_frames=60, n_tracks=4):
    """Tracks and events close together, so that each has several to choose from."""
    sed = rng.random((n_frames, n_tracks, K)).astype(np.float32) ** 2
    vectors = geometry.to_vector(*rng.normal(0, 12, (2, n_frames, n_tracks)))
    rows = pd.DataFrame(np.argwhere(rng.random((n_frames, 3)) < 0.8), columns=["frame", "track"])
    rows["class"] = rng.integers(0, 2, len(rows))
    return sed, vectors, rows.assign(azimuth=rng.normal(0, 12, len(rows)), elevation=0.0)


def plain_count(estimate, reference):
    """(correct, system, reference), (K,) each."""
    correct = np.zeros(K, int)
    for (_, k), left in reference.groupby(["frame", "class"]):
        right = estimate[(estimate["frame"] == left["frame"].iloc[0]) & (estimate["class"] == k)]
        if len(right):
            a, b, c, d = (t[x].to_numpy() for t in (left, right) for x in ("azimuth", "elevation"))
            distance = geometry.angular_distance(a[:, None], b[:, None], c, d)
            cost = np.where(distance <= 20, distance, np.inf)
            correct[k] += sum(np.isfinite(cost[pair]) for pair in cheapest(cost))
    return correct, *(np.bincount(t["class"], minlength=K) for t in (estimate, reference))


@pytest.mark.parametrize("threshold", [0.05, 0.35, 0.5, 0.8])
def test_agrees_with_decoding_and_a_plain_count(rng, threshold):
    sed, doa, reference = random_clip(rng)
    sed[0, 0], doa[0, 0] = [threshold, 0, 0], 0
    counts = by_threshold(reference.sample(frac=1, random_state=1), sed, doa)
    row = at(threshold)
    expected = plain_count(decode(sed, doa, threshold), reference)
    np.testing.assert_array_equal([counts.correct[row], counts.system[row], counts.reference], expected)
    assert 0 < expected[0].sum() < expected[1].sum()


def test_a_more_probable_track_takes_the_row_from_a_nearer_one():
    """At every threshold as many as can be: the event is found up to 0.95 by the far track, up to 0.25 by the near one."""
    estimate = arrays([(0, 1, 1, 2, 0.28)], [(0, 1, 1, -12, 0.92)], n_frames=1)
    counts = by_threshold(table((0, 1, 0, 0, 1)), *estimate)
    np.testing.assert_array_equal(counts.correct[:, 1], [p < 0.92 for p in THRESHOLDS])


def test_a_vector_of_length_zero_points_to_the_front():
    sed, doa = arrays([(0, 2, 1, 0)], n_frames=2)
    counts = by_threshold(table((0, 1, 15, 0, 2)), sed, 0 * doa)
    assert counts.correct[at(0.5)].tolist() == [0, 2, 0]


def test_clips_add_up(rng):
    clips = [random_clip(rng) for _ in range(3)]
    total = reduce(add, (by_threshold(reference, sed, doa) for sed, doa, reference in clips))
    joined = pd.concat([clip[2].assign(frame=clip[2]["frame"] + 60 * n) for n, clip in enumerate(clips)])
    at_once = by_threshold(joined, *(np.concatenate(x) for x in list(zip(*clips))[:2]))
    for name in ("correct", "system", "reference"):
        np.testing.assert_array_equal(getattr(total, name), getattr(at_once, name))


# Both


def test_nothing_on_one_side_or_both():
    sed, doa = arrays([(0, 5, 1, 0, 0.9)], n_frames=5)
    nothing, event = frame_tables.empty_table(), table((0, 1, 0, 0, 5))
    assert reliability(nothing, sed, doa).ece == pytest.approx(0.9)
    assert reliability(event, 0 * sed, doa).ece is None and ReliabilityCounts().ece is None
    claimed, missed = by_threshold(nothing, sed, doa), by_threshold(event, 0 * sed, doa)
    assert claimed.overall_f[at(0.5)] == missed.overall_f[at(0.5)] == 0 and missed.best_f[1] == 0
    empty = by_threshold(nothing, sed[:0], doa[:0])
    assert empty.report()["F"] is None and empty.report()["F_each_best"] is None
    assert by_threshold(table((0, 1, 0, 3, 8)), sed, doa).reference[1] == 5
    assert reliability(nothing, sed[:0], doa[:0]).n.sum() == 0


def test_what_does_not_fit_is_refused():
    sed, doa = arrays([(0, 5, 1, 0)], n_frames=5)
    with pytest.raises(ValueError, match=r"doa must be \(5, 1, 3\), not \(4, 1, 3\)"):
        reliability(frame_tables.empty_table(), sed, doa[:4])
    with pytest.raises(ValueError, match=r"sed must be \(T, M, K\)"):
        by_threshold(frame_tables.empty_table(), sed[0], doa)
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\], not nan to nan"):
        reliability(frame_tables.empty_table(), sed * np.nan, doa)
    with pytest.raises(ValueError, match="class 3 in the reference, but sed has 3"):
        by_threshold(table((0, 3, 0, 0, 5)), sed, doa)
