"""Track swaps, counted by hand."""

import numpy as np
import pytest

from einv2 import geometry
from einv2.metrics.identity import SwapCounts, match_tracks, swap_rate

K = 3


def arrays(*tracks, n_frames):
    """(sed (T, M, K), doa (T, M, 3)) of tracks, each a list of (first frame, end, class, azimuth) or with a probability."""
    sed, doa = np.zeros((n_frames, len(tracks), K)), np.zeros((n_frames, len(tracks), 3))
    for m, events in enumerate(tracks):
        for start, end, class_index, azimuth, *probability in events:
            sed[start:end, m, class_index] = probability[0] if probability else 1
            doa[start:end, m] = geometry.to_vector(azimuth, 0)
    return sed, doa


def swaps(estimate, reference):
    return swap_rate(*estimate, *reference)


def test_no_swap_and_every_swap():
    reference = arrays([(0, 10, 1, 30)], [], n_frames=10)
    assert swaps(reference, reference) == SwapCounts(0, 9)
    other_track = arrays([], [(0, 10, 1, 30)], n_frames=10)
    assert swaps(other_track, reference) == SwapCounts(0, 9)
    ticking = arrays(
        [(t, t + 1, 1, 35) for t in range(0, 10, 2)], [(t, t + 1, 1, 25) for t in range(1, 10, 2)], n_frames=10
    )
    assert swaps(ticking, reference) == SwapCounts(9, 9)
    assert swaps(ticking, reference).rate == 1


def test_two_events_that_change_places_once():
    """Of 2 x 9 steps, both events swap on the step from frame 4 to frame 5."""
    reference = arrays([(0, 10, 0, 0)], [(0, 10, 2, 90)], n_frames=10)
    estimate = arrays([(0, 5, 0, 0), (5, 10, 2, 90)], [(0, 5, 2, 90), (5, 10, 0, 0)], n_frames=10)
    assert swaps(estimate, reference) == SwapCounts(2, 18)
    one_class = arrays([(0, 10, 1, 0)], [(0, 10, 1, 90)], n_frames=10)
    estimate = arrays([(0, 5, 1, 3), (5, 10, 1, 85)], [(0, 5, 1, 85), (5, 10, 1, 3)], n_frames=10)
    assert swaps(estimate, one_class) == SwapCounts(2, 18)


def test_only_steps_found_on_both_sides_count():
    """Missed in frame 4, far off in 5, the wrong class in 6, below the threshold in 7: steps 0-1 to 2-3 and 8-9 remain."""
    reference = arrays([(0, 10, 1, 0)], n_frames=10)
    estimate = arrays([(0, 4, 1, 19), (5, 6, 1, 21), (6, 7, 2, 0), (7, 8, 1, 0, 0.4)], [(8, 10, 1, 0)], n_frames=10)
    assert swaps(estimate, reference) == SwapCounts(0, 4)


def test_a_step_from_one_event_to_the_next_does_not_count():
    """On one reference track: class 0 then 1 without a gap; then class 1 from elsewhere; then a gap."""
    reference = arrays([(0, 4, 0, 0), (4, 8, 1, 0), (8, 12, 1, 120), (13, 15, 1, 120)], n_frames=15)
    estimate = arrays([(0, 4, 0, 0), (8, 12, 1, 120)], [(4, 8, 1, 0), (13, 15, 1, 120)], n_frames=15)
    assert swaps(estimate, reference) == SwapCounts(0, 3 + 3 + 3 + 1)


def test_a_moving_event_is_one_event():
    reference = arrays([(t, t + 1, 1, 5 * t) for t in range(20)], n_frames=20)
    assert swaps(reference, reference) == SwapCounts(0, 19)


def test_class_wise_never_swaps():
    reference = arrays([(0, 10, 0, 0)], [(0, 10, 2, 90)], n_frames=10)
    estimate = arrays([(0, 10, 0, 0)], [], [(0, 10, 2, 90)], n_frames=10)
    assert swaps(estimate, reference) == SwapCounts(0, 18)


def test_as_many_as_can_be_are_matched():
    """Track 0 is nearest to both events, but track 1 fits only the first: 12 + 8 degrees find both, 2 degrees only one."""
    reference = arrays([(0, 1, 1, 0)], [(0, 1, 1, 10)], n_frames=1)
    estimate = arrays([(0, 1, 1, 2)], [(0, 1, 1, -12)], n_frames=1)
    np.testing.assert_array_equal(match_tracks(*estimate, *reference), [[1, 0]])
    one = arrays([(0, 1, 1, 6)], n_frames=1)
    np.testing.assert_array_equal(match_tracks(*one, *reference), [[-1, 0]])


def test_nothing_to_count():
    silent = arrays([], [], n_frames=5)
    assert swaps(silent, silent) == SwapCounts(0, 0) and swaps(silent, silent).rate is None
    empty = arrays([], [], n_frames=0)
    assert swaps(empty, empty).rate is None


def test_clips_add_up():
    assert (SwapCounts(1, 4) + SwapCounts(2, 8)).rate == pytest.approx(0.25)


def test_random_labels_on_tracks_give_a_rate_of_half(rng):
    """Every frame's tracks in random order: half of the steps swap."""
    reference = arrays([(0, 2000, 0, 0)], [(0, 2000, 1, 90)], n_frames=2000)
    order = np.argsort(rng.random((2000, 2)), axis=1)[..., None]
    estimate = [np.take_along_axis(x, order, 1) for x in reference]
    assert swaps(estimate, reference).rate == pytest.approx(0.5, abs=0.05)


def test_wrong_shapes_are_named():
    reference = arrays([], [], n_frames=5)
    with pytest.raises(ValueError, match=r"sed must be \(5, L, 3\), not \(4, 2, 3\)"):
        swap_rate(reference[0][:4], reference[1], *reference)
    with pytest.raises(ValueError, match=r"doa must be \(5, 2, 3\), not \(5, 1, 3\)"):
        swap_rate(reference[0], reference[1][:, :1], *reference)
