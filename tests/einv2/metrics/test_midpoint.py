import numpy as np
import pytest

from einv2 import geometry
from einv2.metrics import midpoint


def reference(*frames, classes=(0, 1)):
    """Frames of one or two azimuths, on two tracks: sed (T, 2, 2), doa (T, 2, 3)."""
    sed, doa = np.zeros((len(frames), 2, 2), np.float32), np.zeros((len(frames), 2, 3), np.float32)
    for t, azimuths in enumerate(frames):
        for m, azimuth in enumerate(azimuths):
            sed[t, m, classes[m]] = 1
            doa[t, m] = geometry.to_vector(azimuth, 0)
    return sed, doa


def estimate(*frames):
    return np.array([[0.5 * geometry.to_vector(azimuth, 0) for azimuth in frame] for frame in frames])


def test_distances_to_the_midpoint_and_to_the_nearer_source():
    found = midpoint.distances(*reference([60, -60], [60, -60]), estimate([0, 60], [-50, 10]))
    assert found.frame.tolist() == [0, 0, 1, 1] and found.track.tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(found.to_midpoint, [0, 60, 50, 10], atol=1e-5)
    np.testing.assert_allclose(found.to_source, [60, 0, 10, 50], atol=1e-5)
    counts = found.counts
    assert (counts.n, counts.nearer_midpoint, counts.share) == (4, 2, 0.5)
    assert counts.to_midpoint == pytest.approx(30) and counts.to_source == pytest.approx(30)


def test_the_midpoint_lies_across_the_back():
    found = midpoint.distances(*reference([140, -140]), estimate([180, 180]))
    np.testing.assert_allclose(found.to_midpoint, 0, atol=1e-5)
    np.testing.assert_allclose(found.to_source, 40, atol=1e-5)


def test_only_frames_with_two_sources_well_apart_count():
    frames = [10], [0, 30], [0, 180], [0, 41]
    found = midpoint.distances(*reference(*frames), estimate(*[[0, 0]] * 4))
    assert found.frame.tolist() == [3, 3]
    assert midpoint.distances(*reference([10]), estimate([0, 0])).counts.share is None


def test_with_three_events_there_is_no_midpoint():
    sed, doa = np.ones((1, 3, 1)), geometry.to_vector(np.array([[0, 90, 180]]), 0)
    assert not len(midpoint.distances(sed, doa, doa).frame)


def test_class_wise_the_classes_that_sound_count():
    frames = reference([60, -60]), reference([60, -60], classes=(1, 1))
    found = [midpoint.distances(*r, estimate([0, 60]), class_wise=True) for r in frames]
    assert found[0].track.tolist() == [0, 1]
    assert found[1].track.tolist() == [1] and found[1].to_source[0] == pytest.approx(0, abs=1e-5)


def test_the_mean_of_both_directions_is_all_midpoint_and_the_truth_none(rng):
    azimuth = rng.uniform(-180, 180, 50)
    sed, doa = reference(*np.stack([azimuth, azimuth + rng.uniform(45, 165, 50)], 1))
    middle = np.repeat(doa.mean(1, keepdims=True), 2, axis=1)
    assert midpoint.distances(sed, doa, middle).counts.share == 1
    assert midpoint.distances(sed, doa, doa).counts.share == 0


def test_counts_add_up_over_clips():
    total = sum(
        [midpoint.MidpointCounts(2, 1, 50.0, 30.0), midpoint.MidpointCounts(2, 0, 10.0, 10.0)],
        midpoint.MidpointCounts(),
    )
    assert (total.share, total.to_midpoint, total.to_source) == (0.25, 15, 10)


def test_shapes_that_do_not_fit_are_refused():
    sed, doa = reference([60, -60])
    with pytest.raises(ValueError, match="doa must be"):
        midpoint.distances(sed, doa, estimate([0, 0], [0, 0]))
