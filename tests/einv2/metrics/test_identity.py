"""Events on output tracks: cases counted by hand, and plain loops over random tables."""

from itertools import groupby, pairwise

import numpy as np
import pandas as pd
import pytest

from einv2 import geometry
from einv2.labels import frame_tables
from einv2.metrics import dcase
from einv2.metrics.identity import (
    RATES,
    IdentityCounts,
    SwapCounts,
    identity_by_clip,
    identity_counts,
    identity_events,
    match_tracks,
    swap_rate,
)
from support.tracks import K, arrays, cheapest, table


def swaps(estimate, reference):
    return swap_rate(*reference, *estimate)


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
    np.testing.assert_array_equal(match_tracks(*reference, *estimate), [[1, 0]])
    one = arrays([(0, 1, 1, 6)], n_frames=1)
    np.testing.assert_array_equal(match_tracks(*reference, *one), [[-1, 0]])


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
        swap_rate(*reference, reference[0][:4], reference[1])
    with pytest.raises(ValueError, match=r"doa must be \(5, 2, 3\), not \(5, 1, 3\)"):
        swap_rate(*reference, reference[0], reference[1][:, :1])


# Frame tables


def test_an_event_that_stays_on_its_track():
    reference = table((0, 1, 30, 0, 60))
    counts = identity_counts(reference, table((2, 1, 50, 0, 60)))
    assert counts == IdentityCounts(events=1, found_events=1, frames=60, found=60, fragments=1, held=60)
    assert counts.rates() == {
        "coverage": 1, "swaps_per_minute": 0, "swaps_per_event": 0, "fragments_per_event": 1, "purity": 1,
        "duplicate_share": 0, "duplicates_per_minute": 0,
    }  # fmt: skip


def test_a_swap_costs_nothing_in_f_and_shows_here():
    reference = table((0, 1, 30, 0, 60))
    estimate = table((0, 1, 30, 0, 30), (1, 1, 30, 30, 60))
    assert dcase.evaluate([(reference, estimate)], K)["F"] == 1
    counts = identity_counts(reference, estimate)
    assert counts == IdentityCounts(events=1, found_events=1, frames=60, found=60, swaps=1, fragments=2, held=60)
    assert counts.swaps_per_minute == pytest.approx(10) and counts.swaps_per_event == 1
    assert counts.fragments_per_event == 2 and counts.purity == 1


def test_rates_per_event_leave_out_events_never_found():
    """Rates per minute do not: 1 swap in 2 x 30 frames."""
    reference = table((0, 1, 30, 0, 30), (0, 2, 30, 0, 30))
    counts = identity_counts(reference, table((0, 1, 30, 0, 10), (1, 1, 30, 10, 30)))
    assert (counts.swaps_per_event, counts.fragments_per_event, counts.swaps_per_minute) == (1, 2, 10)


def test_gaps_make_fragments_and_do_not_hide_swaps():
    """Missed in frame 4; wrong class in 8, too far in 9; back on another track from 10, and home again from 15."""
    reference = table((0, 1, 0, 0, 20))
    estimate = table(
        (0, 1, 0, 0, 4), (0, 1, 0, 5, 8), (0, 2, 0, 8, 9), (0, 1, 21, 9, 10), (1, 1, 0, 10, 15), (0, 1, 0, 15, 20)
    )
    counts = identity_counts(reference, estimate)
    assert counts == IdentityCounts(events=1, found_events=1, frames=20, found=17, swaps=2, fragments=4, held=17)
    assert counts.coverage == pytest.approx(17 / 20)
    (event,) = identity_events(reference, estimate).to_dict("records")
    assert event == {
        "clip": 0, "class": 1, "track": 0, "onset": 0, "offset": 2, "frames": 20, "found": 17, "swaps": 2, "fragments": 4,
        "duplicates": 0, "tracks": (0, 1),
    }  # fmt: skip


@pytest.mark.parametrize("classes", [(0, 2), (1, 1)])
def test_two_events_that_exchange_tracks(classes):
    """Each track holds one event for 12 frames and the other for 8, without a pause: purity (12 + 12) / 40."""
    a, b = classes
    reference = table((0, a, 0, 0, 20), (1, b, 90, 0, 20))
    estimate = table((0, a, 0, 0, 12), (1, b, 90, 0, 12), (1, a, 0, 12, 20), (0, b, 90, 12, 20))
    counts = identity_counts(reference, estimate)
    assert counts == IdentityCounts(events=2, found_events=2, frames=40, found=40, swaps=2, fragments=4, held=24)
    assert counts.purity == pytest.approx(24 / 40) and dcase.evaluate([(reference, estimate)], K)["F"] == 1
    assert identity_events(reference, estimate)["tracks"].tolist() == [(0, 1), (1, 0)]


def test_purity_is_of_runs():
    """Silent between two events, an output track is pure; without a pause, 6 of 10 frames are of one event."""
    reference = table((0, 0, 0, 0, 6), (0, 2, 0, 6, 10))
    without_pause = table((0, 0, 0, 0, 6), (0, 2, 0, 6, 10))
    assert identity_counts(reference, without_pause).purity == pytest.approx(0.6)
    with_pause = table((0, 0, 0, 0, 5), (0, 2, 0, 6, 10))
    assert identity_counts(reference, with_pause).purity == 1


def test_duplicates():
    """Frames 2 to 4 have a second estimate in reach, frame 4 a third; one too far off, of another class, or after the end does
    not count. Of two estimates the nearest is matched, so that the event stays on track 0."""
    reference = table((0, 1, 0, 0, 10))
    estimate = table(
        (0, 1, 2, 0, 10), (1, 1, 19, 2, 5), (2, 1, -10, 4, 5), (1, 1, 25, 6, 7), (2, 2, 0, 7, 8), (1, 1, 0, 10, 11)
    )  # fmt: skip
    counts = identity_counts(reference, estimate)
    assert (counts.duplicates, counts.swaps, counts.found, counts.fragments) == (3, 0, 10, 1)
    assert counts.duplicate_share == pytest.approx(0.3)
    assert counts.duplicates_per_minute == pytest.approx(3 / (1 / 60))


def test_a_duplicate_near_two_events_counts_once_at_the_nearest():
    reference = table((0, 1, 0, 0, 1), (1, 1, 30, 0, 1))
    estimate = table((0, 1, 0, 0, 1), (1, 1, 30, 0, 1), (2, 1, 16, 0, 1))
    assert identity_events(reference, estimate)["duplicates"].tolist() == [0, 1]


def test_two_estimates_for_two_events_are_no_duplicates():
    """As many as can be are matched: 12 + 8 degrees find both events, 2 degrees only one."""
    reference = table((0, 1, 0, 0, 1), (1, 1, 10, 0, 1))
    counts = identity_counts(reference, table((0, 1, 2, 0, 1), (1, 1, -12, 0, 1)))
    assert (counts.found, counts.duplicates) == (2, 0)


def test_events_are_runs_of_the_reference():
    """A pause, another class, another instance and another clip are other events."""
    one = table((0, 1, 0, 0, 5), (0, 1, 0, 6, 9), (0, 2, 0, 9, 12), (1, 2, 90, 9, 12))
    reference = pd.concat([one.assign(clip=1), table((0, 1, 0, 0, 5), clip=3)])
    events = identity_events(reference, table(clip=0))
    assert events[["clip", "class", "track", "frames"]].to_numpy().tolist() == [
        [1, 1, 0, 5], [1, 1, 0, 3], [1, 2, 0, 3], [1, 2, 1, 3], [3, 1, 0, 5]
    ]  # fmt: skip
    np.testing.assert_allclose(events["onset"], [0, 0.6, 0.9, 0.9, 0])
    np.testing.assert_allclose(events["offset"], [0.5, 0.9, 1.2, 1.2, 0.5])
    assert events["tracks"].tolist() == [()] * 5


def test_nothing_on_one_side_or_both():
    something, nothing = table((0, 1, 0, 0, 5)), frame_tables.empty_table()
    assert identity_counts(nothing, nothing) == identity_counts(nothing, something) == IdentityCounts()
    assert set(IdentityCounts().rates().values()) == {None} and set(IdentityCounts().rates()) == set(RATES)
    missed = identity_counts(something, nothing)
    assert missed == IdentityCounts(events=1, frames=5)
    assert (missed.coverage, missed.swaps_per_minute, missed.fragments_per_event, missed.purity) == (0, 0, None, None)
    assert identity_by_clip(nothing, nothing, 2) == [IdentityCounts()] * 2
    assert len(identity_events(nothing, something)) == 0
    assert list(identity_events(nothing, something)) == list(identity_events(something, something))


def test_tables_that_do_not_fit_are_refused():
    reference = table((0, 1, 0, 0, 5), clip=3)
    with pytest.raises(ValueError, match="clip 3 in the table, but n_clips is 3"):
        identity_by_clip(reference, table(clip=0), 3)
    with pytest.raises(ValueError, match="two rows of clip 3, frame 4, class 1, track 0"):
        identity_counts(pd.concat([reference, table((0, 1, 90, 4, 6), clip=3)]), reference)


def random_table(rng, n_clips, n_frames, numbered):
    """Up to three sources a frame in stretches, near one another. ``numbered``: as in a reference, one row for a track."""
    rows = pd.DataFrame(np.argwhere(rng.random((n_clips, n_frames, 3)) < 0.7), columns=["clip", "frame", "track"])
    rows["class"] = (rows["frame"] // 7 + rows["track"] // 2) % 2
    if not numbered:
        rows["track"] = (rows["track"] + rng.integers(0, 2, len(rows))) % 4
        rows["class"] = np.where(rng.random(len(rows)) < 0.1, 2, rows["class"])
    return rows.assign(azimuth=rng.normal(0, 12, len(rows)), elevation=rng.normal(0, 5, len(rows)), distance=np.nan)


def plain_matches(estimate, reference):
    """{row of reference: row of estimate}, {row of reference: True if an estimate is left over there}."""
    found, doubled = {}, {}
    for key, left in reference.groupby(["clip", "frame", "class"]):
        right = estimate[(estimate[["clip", "frame", "class"]] == key).all(axis=1)]
        if right.empty:
            continue
        sides = [[side[c].to_numpy() for c in ("azimuth", "elevation")] for side in (left, right)]
        distance = geometry.angular_distance(*(x[:, None] for x in sides[0]), *sides[1])
        cost = np.where(distance <= 20, distance, np.inf)
        pairs = cheapest(cost)
        found |= {left.index[i]: right.index[j] for i, j in pairs}
        spare = [j for j in set(range(len(right))) - {j for _, j in pairs} if np.isfinite(cost[:, j]).any()]
        doubled |= {left.index[cost[:, j].argmin()]: True for j in spare}
    return found, doubled


def plain_runs(rows, keys):
    """Lists of the rows of consecutive frames with the same keys."""
    ordered = rows.sort_values([*keys, "frame"])
    distinct = ordered.groupby(list(keys))["frame"].rank("dense") - ordered["frame"]
    marks = zip(*(ordered[k] for k in keys), distinct)
    return [[row for row, _ in run] for _, run in groupby(zip(ordered.index, marks), key=lambda pair: pair[1])]


def plain_counts(estimate, reference):
    found, doubled = plain_matches(estimate, reference)
    event_of, counts = (
        {},
        dict.fromkeys(("events", "found_events", "frames", "found", "swaps", "fragments", "duplicates"), 0),
    )
    for number, event in enumerate(plain_runs(reference, ("clip", "class", "track"))):
        event_of |= dict.fromkeys(event, number)
        tracks = [estimate["track"][found[row]] if row in found else None for row in event]
        used = [track for track in tracks if track is not None]
        counts["events"] += 1
        counts["found_events"] += bool(used)
        counts["frames"] += len(event)
        counts["found"] += len(used)
        counts["swaps"] += sum(a != b for a, b in pairwise(used))
        counts["fragments"] += sum(track is not None for track, _ in groupby(tracks))
        counts["duplicates"] += sum(row in doubled for row in event)
    holder = {j: event_of[i] for i, j in found.items()}
    held = [[holder[j] for j in run if j in holder] for run in plain_runs(estimate, ("clip", "track"))]
    return IdentityCounts(**counts, held=sum(max(map(run.count, run), default=0) for run in held))


def test_agrees_with_plain_loops(rng):
    n_clips = 5
    reference = random_table(rng, n_clips, 40, numbered=True)
    estimate = random_table(rng, n_clips, 40, numbered=False)
    by_clip = [plain_counts(estimate[estimate["clip"] == n], reference[reference["clip"] == n]) for n in range(n_clips)]
    total = sum(by_clip, IdentityCounts())
    assert min(total.swaps, total.duplicates, total.found - total.held, total.frames - total.found) > 15
    assert identity_by_clip(reference, estimate, n_clips) == by_clip
    shuffled = [t.sample(frac=1, random_state=3) for t in (reference, estimate)]
    assert identity_by_clip(*shuffled, n_clips) == by_clip and identity_counts(*shuffled) == total
    events = identity_events(*shuffled)
    columns = ["frames", "found", "swaps", "fragments", "duplicates"]
    assert events[columns].sum().to_dict() == {c: getattr(total, c) for c in columns}
    assert all(len(set(t)) == len(t) for t in events["tracks"])
    pd.testing.assert_frame_equal(events, identity_events(reference, estimate))
