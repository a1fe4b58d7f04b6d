"""Which event each output track follows: cases counted by hand, and agreement with the counts of ``identity``."""

import numpy as np
import pandas as pd
import pytest

from einv2.labels import frame_tables
from einv2.metrics import track_assignment
from einv2.metrics.identity import identity_counts, identity_events
from einv2.metrics.track_assignment import MARKS, NOTHING, assignment, follow, segments
from support.numbered_tables import random_tables, table


def marks(found):
    return [tuple(row) for row in found.marks[["kind", "frame", "frames", "track", "event", "before"]].to_numpy()]


REFERENCE = table((0, 10, 1, 0, 0), (2, 12, 1, 1, 90))  # two events of one class


def test_two_events_that_change_places():
    """At frame 6 the tracks change what they follow."""
    estimate = table((0, 6, 1, 0, 5), (2, 6, 1, 1, 85), (6, 10, 1, 1, 5), (6, 12, 1, 0, 85))
    found = follow(REFERENCE, estimate)
    assert found.event.tolist() == [0] * 6 + [1] * 4 + [0] * 4 + [1] * 6 and not found.duplicate.any()
    assert marks(found) == [("swap", 6, 6, 0, 1, 1), ("swap", 6, 4, 1, 0, 0)]
    ribbon = segments(found, estimate)
    assert ribbon[["track", "event", "onset", "offset"]].to_numpy().tolist() == [
        [0, 0, 0.0, 0.6], [0, 1, 0.6, 1.2], [1, 1, 0.2, 0.6], [1, 0, 0.6, 1.0],
    ]  # fmt: skip


def test_a_gap_is_a_fragment_and_on_another_track_a_swap():
    estimate = table((0, 3, 1, 0, 0), (5, 7, 1, 0, 0), (8, 10, 1, 1, 0))
    assert marks(follow(REFERENCE, estimate)) == [("fragment", 5, 2, 0, 0, 0), ("swap", 8, 2, 1, 0, 0)]


def test_a_second_track_on_an_event_is_a_duplicate_and_a_false_alarm_follows_nothing():
    """Track 1 is further from event 0 than track 0 is; from frame 4 it is 30 degrees off, then another class."""
    estimate = table((0, 8, 1, 0, 0), (0, 4, 1, 1, -10), (4, 6, 1, 1, -30), (6, 8, 2, 1, 0))
    found = follow(REFERENCE, estimate)
    assert found.event.tolist() == [0] * 8 + [0] * 4 + [NOTHING] * 4
    assert found.duplicate.tolist() == [False] * 8 + [True] * 4 + [False] * 4
    assert marks(found) == [("duplicate", 0, 4, 1, 0, -1)]


def test_seconds_of_tracks_on_events():
    estimate = table((0, 6, 1, 0, 5), (2, 6, 1, 1, 85), (6, 9, 1, 1, 5), (6, 8, 1, 2, 10), (9, 12, 2, 0, 0))
    found = assignment(follow(REFERENCE, estimate), estimate, 3)
    np.testing.assert_allclose(found.follows, [[0.6, 0], [0.3, 0.4], [0, 0]])
    np.testing.assert_allclose(found.missed, [0.1, 0.6])
    np.testing.assert_allclose(found.duplicate, [0, 0, 0.2])
    np.testing.assert_allclose(found.nothing, [0.3, 0, 0])
    with pytest.raises(ValueError, match="tracks from 0 to 1, not 0 to 2"):
        assignment(follow(REFERENCE, estimate), estimate, 2)


@pytest.mark.parametrize("seed", range(8))
def test_marks_add_up_to_the_counts(seed):
    estimate, reference = random_tables(np.random.default_rng(seed))
    found, counts = follow(reference, estimate), identity_counts(reference, estimate)
    n = found.marks["kind"].value_counts().reindex(MARKS, fill_value=0)
    assert n["swap"] == counts.swaps
    assert n["swap"] + n["fragment"] + counts.found_events == counts.fragments
    assert ((found.event != NOTHING) & ~found.duplicate).sum() == counts.found
    events = identity_events(reference, estimate)
    columns = ["class", "track", "onset", "offset", "frames"]
    pd.testing.assert_frame_equal(found.events[columns], events[columns], check_dtype=False)
    of_event = np.bincount(found.event[(found.event != NOTHING) & ~found.duplicate], minlength=len(events))
    assert of_event.tolist() == events["found"].tolist()


@pytest.mark.parametrize("seed", range(4))
def test_seconds_add_up(seed):
    estimate, reference = random_tables(np.random.default_rng(seed))
    followed = follow(reference, estimate)
    found = assignment(followed, estimate, 2)
    np.testing.assert_allclose(found.follows.sum(0) + found.missed, followed.events["frames"] / 10)
    active = np.bincount(estimate["track"], minlength=2) / 10
    np.testing.assert_allclose(found.follows.sum(1) + found.duplicate + found.nothing, active)
    ribbon = segments(followed, estimate)
    assert (ribbon["offset"] - ribbon["onset"]).sum() == pytest.approx(len(estimate) / 10)


def test_names_of_tracks_do_not_matter_but_for_their_names(rng):
    estimate, reference = random_tables(rng)
    a, b = follow(reference, estimate), follow(reference, estimate.assign(track=1 - estimate["track"]))
    assert len(a.marks) == len(b.marks)
    assert (a.event == b.event).all() and (a.duplicate == b.duplicate).all()


def test_without_reference_or_estimate():
    estimate = table((0, 4, 1, 0, 0))
    found = follow(frame_tables.empty_table(), estimate)
    assert (found.event == NOTHING).all() and found.marks.empty and found.events.empty
    assert segments(found, estimate)[["event", "onset", "offset"]].to_numpy().tolist() == [[NOTHING, 0, 0.4]]
    assert assignment(found, estimate, 1).nothing.tolist() == [0.4]
    silent = follow(REFERENCE, frame_tables.empty_table())
    assert silent.marks.empty and segments(silent, frame_tables.empty_table()).empty
    assert assignment(silent, frame_tables.empty_table(), 2).missed.tolist() == [1, 1]
    assert set(MARKS) == {"swap", "duplicate", "fragment"} and track_assignment.NOTHING == -1
