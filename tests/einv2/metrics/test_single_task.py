"""Detection alone, directions alone and overlapping events: cases computed by hand."""

import numpy as np
import pandas as pd
import pytest

from einv2 import geometry
from einv2.inference.decoding import decode
from einv2.labels import frame_tables
from einv2.metrics.single_task import DoaError, OverlapCounts, SedCounts, doa_alone, overlap_recall, sed_alone
from support.tracks import arrays


def directions(*azimuths, n_frames):
    """doa (T, L, 3) that stays the same over time."""
    return np.tile(geometry.to_vector(np.array(azimuths, float), 0), (n_frames, 1, 1))


# Directions alone


def test_directions_are_put_on_the_tracks_that_fit_best():
    """Frames 0-4: two events at 0 and 90, estimated 85 and 10: 10 + 5. Frames 5-9: one at 0, the nearer track is 10 off."""
    reference = arrays([(0, 10, 0, 0)], [(0, 5, 1, 90)], n_frames=10)
    error = doa_alone(*reference, directions(85, 10, n_frames=10))
    assert (error.n, error.overlap_n) == (15, 10)
    assert error.total_degrees == pytest.approx(5 * 15 + 5 * 10) and error.overlap_degrees == pytest.approx(5 * 15)
    assert error.le == pytest.approx(125 / 15)
    assert (error.le_single, error.le_overlap) == (pytest.approx(10), pytest.approx(7.5))


def test_least_total_not_nearest_first():
    """Events at 0 and 30, estimates at 20 and 100: 20 + 70 and not 10 + 100."""
    reference = arrays([(0, 1, 0, 0)], [(0, 1, 1, 30)], n_frames=1)
    assert doa_alone(*reference, directions(20, 100, n_frames=1)).total_degrees == pytest.approx(90)


def test_length_and_class_do_not_matter_trackwise():
    reference = arrays([(0, 3, 2, 45)], [], n_frames=3)
    assert doa_alone(*reference, 0.01 * directions(50, -90, n_frames=3)).le == pytest.approx(5)


@pytest.mark.parametrize("output_format", ["seldnet", "accdoa"])
def test_class_wise_directions(output_format):
    """Class 0 is 4 degrees off. Two events of class 2, at 90 and -90, share one estimate at 80: 10 and 170."""
    reference = arrays([(0, 2, 0, 0), (2, 4, 2, 90)], [(2, 4, 2, -90)], n_frames=4)
    error = doa_alone(*reference, directions(4, 0, 80, n_frames=4), output_format)
    assert (error.n, error.overlap_n) == (6, 4)
    assert error.le_single == pytest.approx(4) and error.le_overlap == pytest.approx(90)


def test_surplus_events_and_silence():
    reference = arrays([(0, 2, 0, 0)], [(0, 2, 1, 90)], n_frames=2)
    error = doa_alone(*reference, directions(80, n_frames=2))
    assert (error.n, error.le) == (2, pytest.approx(10))
    silent = arrays([], n_frames=2)
    assert doa_alone(*silent, directions(80, n_frames=2)) == DoaError() and DoaError().le is None
    assert DoaError().le_single is None and DoaError().le_overlap is None


def test_a_vector_of_length_zero_is_no_perfect_answer():
    reference = arrays([(0, 1, 0, 90)], n_frames=1)
    assert doa_alone(*reference, np.zeros((1, 2, 3))).le == pytest.approx(90)


def test_doa_errors_add_up():
    total = DoaError(10, 2, 4, 1) + DoaError(20, 3)
    assert total == DoaError(30, 5, 4, 1) and total.le == 6 and total.le_single == pytest.approx(6.5)


def test_without_pit_events_stand_on_the_tracks_of_the_labels():
    reference = arrays([(0, 1, 0, 0)], [(0, 1, 1, 100)], n_frames=1)
    crossed = directions(100, 10, n_frames=1)
    assert doa_alone(*reference, crossed).total_degrees == pytest.approx(10)
    assert doa_alone(*reference, crossed, as_labelled=True).total_degrees == pytest.approx(190)
    one = doa_alone(*reference, directions(10, n_frames=1), as_labelled=True)  # the second event has no track
    assert (one.total_degrees, one.n) == (pytest.approx(10), 1)


def test_doa_alone_refuses():
    reference = arrays([], [], n_frames=2)
    with pytest.raises(ValueError, match=r"doa must be \(2, 3, 3\), not \(2, 2, 3\)"):
        doa_alone(*reference, directions(0, 1, n_frames=2), "seldnet")
    with pytest.raises(ValueError, match="output_format must be trackwise"):
        doa_alone(*reference, directions(0, 1, n_frames=2), "tracks")


# Detection alone


def test_sed_by_hand():
    """Reference: class 0 in frames 0-14 (seconds 0, 1), class 1 in 20-24 (second 2), T = 25.
    Estimate: class 0 in frames 5-9 (second 0), class 2 in 8-11 (seconds 0, 1)."""
    reference, _ = arrays([(0, 15, 0, 0), (20, 25, 1, 0)], n_frames=25)
    estimate, _ = arrays([(5, 10, 0, 0)], [(8, 12, 2, 0)], n_frames=25)
    counts = sed_alone(reference, estimate)
    assert counts == SedCounts(1, 3, 3, 5, 9, 20)
    assert counts.f == pytest.approx(2 / 6) and counts.f_frame == pytest.approx(10 / 29)
    assert (counts + counts).f == counts.f and sed_alone(reference, reference).f == 1


def test_sed_counts_a_class_once_and_reads_tracks_as_decode_does():
    reference, _ = arrays([(0, 10, 1, 0)], [(0, 10, 1, 90)], n_frames=10)
    assert sed_alone(reference, reference) == SedCounts(1, 1, 1, 10, 10, 10)
    sed = np.full((10, 2, 3), 0.6)  # of equally probable classes a track has the first
    assert sed_alone(reference, sed) == SedCounts(0, 1, 1, 0, 10, 10)
    assert sed_alone(reference, sed, 0.7).frame_system == 0


def test_sed_of_nothing():
    assert sed_alone(np.zeros((0, 2, 3)), np.zeros((0, 2, 3))) == SedCounts()
    assert SedCounts().f is None and SedCounts().f_frame is None
    with pytest.raises(ValueError, match=r"sed must be \(5, L, 3\), not \(5, 2, 4\)"):
        sed_alone(np.zeros((5, 2, 3)), np.zeros((5, 2, 4)))


# Overlap


def table(*rows):
    """A frame table of rows (frame, class, azimuth)."""
    columns = pd.DataFrame(list(rows), columns=["frame", "class", "azimuth"]).astype({"azimuth": float})
    return columns.assign(elevation=0.0, distance=np.nan, track=columns.groupby(["frame", "class"]).cumcount())


def test_overlap_by_hand():
    reference = table(
        *[(0, 0, 0)],  # found
        *[(1, 0, 0)],  # wrong class
        *[(2, 0, 0), (2, 1, 90)],  # both found
        *[(3, 0, 0), (3, 1, 90)],  # one too far
        *[(4, 2, 0), (4, 2, 90)],  # both found, in the other order
        *[(5, 2, 0), (5, 2, 15)],  # one estimate within 20 degrees of both does not serve for two
        *[(6, 2, 0), (6, 2, 90), (6, 1, 0)],  # the third is missed
        *[(9, 1, 0)],  # nothing there
    )
    estimate = table(
        *[(0, 0, -19)],
        *[(1, 1, 0)],
        *[(2, 1, 80), (2, 0, 10)],
        *[(3, 0, 0), (3, 1, 111)],
        *[(4, 2, 100), (4, 2, 5)],
        *[(5, 2, 8)],
        *[(6, 2, 0), (6, 2, 90)],
        *[(7, 2, 0), (20, 0, 0)],  # no matter: false alarms
    )
    counts = overlap_recall(reference, estimate)
    assert counts == OverlapCounts(single=3, single_found=1, different=2, different_found=1, same=3, same_found=1)
    assert counts.recall()["different"] == {"frames": 2, "found": 0.5}
    assert (counts + OverlapCounts(same=1, same_found=1)).recall()["same"] == {"frames": 4, "found": 0.5}


def test_overlap_looks_for_the_matching_that_finds_all():
    """Events at 0 and 10; estimates at 2 and -12: the nearest pair first would leave one alone."""
    reference, estimate = table((0, 1, 0), (0, 1, 10)), table((0, 1, 2), (0, 1, -12))
    assert overlap_recall(reference, estimate).same_found == 1
    assert overlap_recall(reference, estimate, threshold=11).same_found == 0


def test_class_wise_systems_find_no_two_of_one_class():
    reference = arrays([(0, 10, 1, 0)], [(0, 10, 1, 90)], n_frames=10)
    estimate = arrays([], [(0, 10, 1, 0)], [], n_frames=10)
    counts = overlap_recall(decode(*reference), decode(*estimate))
    assert (counts.same, counts.same_found) == (10, 0)


def test_overlap_of_nothing():
    some = table((0, 1, 0))
    assert overlap_recall(frame_tables.empty_table(), some) == OverlapCounts()
    assert overlap_recall(some, frame_tables.empty_table()) == OverlapCounts(single=1)
    assert OverlapCounts().recall()["same"] == {"frames": 0, "found": None}
