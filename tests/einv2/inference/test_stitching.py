"""Chunks that overlap become one: by hand."""

import numpy as np

from einv2.inference.stitching import TrackStitcher, agreement, best_order


def chunk(*tracks):
    """sed (T, M, 2) and doa (T, M, 3) of tracks, each (class, probability, direction), the same in 4 frames."""
    sed, doa = np.zeros((4, len(tracks), 2), np.float32), np.zeros((4, len(tracks), 3), np.float32)
    for m, (k, p, direction) in enumerate(tracks):
        sed[:, m, k], doa[:, m] = p, direction
    return sed, doa


FRONT, LEFT, BACK = (1, 0, 0), (0, 1, 0), (-1, 0, 0)


def test_tracks_that_swapped_are_put_back():
    joined = TrackStitcher(2, ((2, True),))
    joined.add(*chunk((0, 0.8, FRONT), (1, 0.6, LEFT)))
    joined.add(*chunk((1, 0.6, LEFT), (0, 0.8, FRONT)))
    np.testing.assert_allclose(joined.sed, np.tile([[[0.8, 0], [0, 0.6]]], (6, 1, 1)), atol=1e-6)
    np.testing.assert_allclose(joined.doa, np.tile([[FRONT, LEFT]], (6, 1, 1)), atol=1e-6)


def test_direction_tells_two_of_one_class_apart():
    sed, doa = chunk((0, 0.9, FRONT), (0, 0.9, BACK))
    assert best_order(agreement(sed, doa, sed[:, ::-1], doa[:, ::-1])).tolist() == [[1, 0]] * 4


def test_the_overlap_fades():
    """Of two frames the first is three quarters of the chunk before, the second a quarter; directions go with probabilities."""
    joined = TrackStitcher(2, ((1, True),))
    joined.add(*chunk((0, 0.8, FRONT)))
    joined.add(*chunk((0, 0.4, LEFT)))
    np.testing.assert_allclose(joined.sed[:, 0, 0], [0.8, 0.8, 0.7, 0.5, 0.4, 0.4], atol=1e-6)
    np.testing.assert_allclose(joined.doa[2, 0], [0.6 / 0.7, 0.1 / 0.7, 0], atol=1e-5)
    np.testing.assert_allclose(joined.doa[3, 0], [0.2 / 0.5, 0.3 / 0.5, 0], atol=1e-5)


def test_class_wise_tracks_stay_and_each_network_is_ordered_alone():
    joined = TrackStitcher(2, ((2, False), (2, True)))
    first, second = (0, 0.9, FRONT), (1, 0.9, LEFT)
    joined.add(*chunk(first, second, first, second))
    joined.add(*chunk(second, first, second, first))
    assert joined.sed[-1].argmax(-1).tolist() == [1, 0, 0, 1]


def test_without_overlap_nothing_changes():
    joined = TrackStitcher(0, ((2, True),))
    parts = [chunk((0, 0.8, FRONT), (1, 0.6, LEFT)), chunk((1, 0.6, LEFT), (0, 0.8, FRONT))]
    for part in parts:
        joined.add(*part)
    np.testing.assert_array_equal(joined.sed, np.concatenate([sed for sed, _ in parts]))
