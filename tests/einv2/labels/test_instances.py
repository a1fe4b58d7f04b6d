"""Rows without numbers, put in order by hand-built paths."""

import numpy as np
import pandas as pd
import pytest

from einv2.labels import frame_tables
from einv2.labels.instances import GAP_FRAMES, linked
from einv2.metrics.identity import identity_counts
from einv2.metrics.track_assignment import follow


def table(*rows):
    """Frame table of (frame, class, azimuth) in the order given, all with track 0."""
    columns = np.array(rows, float).reshape(-1, 3).T
    return pd.DataFrame(
        {
            "frame": columns[0].astype(int),
            "class": columns[1].astype(int),
            "track": 0,
            "azimuth": columns[2],
            "elevation": 0.0,
            "distance": np.nan,
        }
    )


def test_two_paths_of_a_class_are_told_apart_whatever_the_order_of_the_rows():
    rows = []
    for frame in range(20):
        pair = [(frame, 3, 10 + frame), (frame, 3, -80)]
        rows += pair if frame % 3 else pair[::-1]
    found = linked(table(*rows))
    still = np.array([azimuth == -80 for _, _, azimuth in rows])
    assert len(set(found[still])) == len(set(found[~still])) == 1 and set(found) == {0, 1}


def test_one_ends_and_the_other_stays_what_it_is():
    rows = [(frame, 1, azimuth) for frame in range(10) for azimuth in (0, 90) if azimuth or frame < 5]
    found = linked(table(*rows))
    assert found[:10].tolist() == [0, 1] * 5 and found[10:].tolist() == [1] * 5


def test_a_gap_is_bridged_and_a_later_event_takes_what_is_free():
    first = [(frame, 1, 0) for frame in (0, 1, 1 + GAP_FRAMES)]
    later = [(40, 1, 170)]
    assert linked(table(*first, *later)).tolist() == [0, 0, 0, 0]
    assert linked(table((0, 1, 0), (1, 1, 170))).tolist() == [0, 1]  # too far to be the same


def test_of_free_instances_the_nearest_is_taken():
    assert linked(table((0, 1, 0), (0, 1, 90), (30, 1, 100), (30, 1, -10))).tolist() == [0, 1, 1, 0]


def test_classes_are_apart_and_rows_may_stand_in_any_order(rng):
    rows = [(frame, k, 90 * m) for frame in range(6) for k in (0, 1) for m in (0, 1)]
    expected = [m for _ in range(6) for _ in (0, 1) for m in (0, 1)]
    order = rng.permutation(len(rows))
    found = np.empty(len(rows), int)
    found[order] = linked(table(*(rows[n] for n in order)))
    for k in (0, 1):
        of_class = np.array([row[1] == k for row in rows])
        assert np.isin(np.abs(np.array(expected)[of_class] - found[of_class]).mean(), (0, 1))  # but for their names
    assert linked(frame_tables.empty_table()).tolist() == []


@pytest.mark.parametrize("seed", range(4))
def test_a_perfect_system_without_numbers_has_no_swap(seed):
    """Events of one class that begin and end while others sound: numbered by their order in the file they seem to swap."""
    rng = np.random.default_rng(seed)
    events = [
        (start, start + int(rng.integers(5, 30)), 72 * n - 180)
        for n, start in enumerate(rng.integers(0, 60, 5).tolist())
    ]
    parts = [
        table(*((f, 0, azimuth) for f in range(start, end))).assign(track=n)
        for n, (start, end, azimuth) in enumerate(events)
    ]
    reference = pd.concat(parts).sort_values("frame", kind="stable", ignore_index=True)
    unnumbered = reference.assign(track=0)
    counts = identity_counts(reference, unnumbered.assign(track=linked(unnumbered)))
    assert counts.swaps == 0 and counts.coverage == 1
    assert (follow(reference, unnumbered.assign(track=linked(unnumbered))).marks["kind"] != "swap").all()
