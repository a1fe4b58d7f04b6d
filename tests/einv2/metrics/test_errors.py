"""Kinds of error and error events: cases by hand, invariants, and agreement with a search of all matchings."""

import itertools

import numpy as np
import pandas as pd
import pytest

from einv2 import geometry
from einv2.labels import frame_tables
from einv2.metrics.errors import KINDS, classify, counts, error_events, table_runs
from support.many_clips import clips, random_tables, table

CORRECT, WRONG_PLACE, WRONG_CLASS, MISSED, FALSE_ALARM, DUPLICATE = KINDS


def kinds(outcomes):
    """Names of the kinds of (reference rows, estimate rows)."""
    return [KINDS[k] for k in outcomes.reference_kind], [KINDS[k] for k in outcomes.estimate_kind]


# Kinds


@pytest.mark.parametrize(
    ("reference", "estimate", "of_reference", "of_estimate"),
    [
        ([(0, 0)], [(0, 20)], [CORRECT], [CORRECT]),
        ([(0, 0)], [(0, 20.01)], [WRONG_PLACE], [WRONG_PLACE]),
        ([(0, 0)], [(1, -20)], [WRONG_CLASS], [WRONG_CLASS]),
        ([(0, 0)], [(1, -20.01)], [MISSED], [FALSE_ALARM]),
        ([(0, 175)], [(0, -175)], [CORRECT], [CORRECT]),
        ([(0, -180)], [(0, 180)], [CORRECT], [CORRECT]),
        ([(0, 0)], [(0, -5), (0, 1)], [CORRECT], [DUPLICATE, CORRECT]),
        ([(0, 0)], [(0, 20), (0, -20), (0, 1)], [CORRECT], [DUPLICATE, DUPLICATE, CORRECT]),
        ([(0, 0)], [(0, 1), (0, 90)], [CORRECT], [CORRECT, FALSE_ALARM]),
        ([(0, 0)], [(0, 90), (0, 60)], [WRONG_PLACE], [FALSE_ALARM, WRONG_PLACE]),
        ([(0, 0), (1, 90)], [(0, 90)], [WRONG_PLACE, MISSED], [WRONG_PLACE]),  # of its class before that of its place
        ([(0, 0), (1, 5)], [(0, 1), (0, 6)], [CORRECT, WRONG_CLASS], [CORRECT, WRONG_CLASS]),  # no duplicate
        ([(0, 0), (0, 15)], [(0, 8)], [MISSED, CORRECT], [CORRECT]),  # one near two does not serve for both
        ([(0, 0), (1, 0)], [(1, 5)], [MISSED, CORRECT], [CORRECT]),
        ([(0, 0), (1, 9)], [(2, 5)], [MISSED, WRONG_CLASS], [WRONG_CLASS]),
        ([], [(0, 0)], [], [FALSE_ALARM]),
        ([(0, 0)], [], [MISSED], []),
    ],
)
def test_kinds_of_one_frame(reference, estimate, of_reference, of_estimate):
    """Rows (class, azimuth)."""
    outcomes = classify(table(*[(3, *row) for row in reference]), table(*[(3, *row) for row in estimate]))
    assert kinds(outcomes) == (of_reference, of_estimate)


def test_whole_degrees_at_the_threshold_are_within_it():
    """Some of these distances are a little above 20 in floating point."""
    azimuth = np.arange(-180, 180)
    reference = table(*[(t, 0, a) for t, a in enumerate(azimuth)])
    estimate = table(*[(t, 0, a + 20) for t, a in enumerate(azimuth)])
    outcomes = classify(reference, estimate)
    assert (outcomes.reference_distance > 20).any()
    assert counts(outcomes)["reference"][CORRECT] == 360
    assert counts(classify(reference, estimate.assign(**{"class": 1})))["reference"][WRONG_CLASS] == 360
    assert counts(classify(reference, estimate, 19.999))["reference"][WRONG_PLACE] == 360


def test_two_of_one_class_that_cross():
    """In frame 0 each is nearest to its own; in frame 1 they have changed places; in frame 2 only a detour serves both: 0 and 10
    with 2 and -12; in frame 3 the least total within 20 degrees comes first, and leaves 100 degrees to the other."""
    reference = table(*[(t, 0, a) for t, a in [(0, 0), (0, 90), (1, 0), (1, 90), (2, 0), (2, 10), (3, 0), (3, 30)]])
    estimate = table(*[(t, 0, a) for t, a in [(0, 1), (0, 88), (1, 88), (1, 1), (2, 2), (2, -12), (3, 20), (3, 100)]])
    outcomes = classify(reference, estimate)
    assert outcomes.reference_partner.tolist() == [0, 1, 3, 2, 5, 4, 7, 6]
    assert outcomes.estimate_partner.tolist() == [0, 1, 3, 2, 5, 4, 7, 6]
    assert outcomes.reference_distance == pytest.approx([1, 2, 1, 2, 12, 8, 100, 10])
    assert outcomes.estimate_distance == pytest.approx([1, 2, 2, 1, 8, 12, 10, 100])
    assert kinds(outcomes)[0] == [CORRECT] * 6 + [WRONG_PLACE, CORRECT]


def test_distances_and_partners():
    """Nothing is a partner of what is left over, not even a duplicate; elevations count."""
    outcomes = classify(table((0, 0, 0), (4, 0, 0)), table((0, 0, 0, 12), (0, 0, 0, -15), (5, 0, 0)))
    assert outcomes.reference_partner.tolist() == [0, -1] and outcomes.estimate_partner.tolist() == [0, -1, -1]
    assert outcomes.reference_distance == pytest.approx([12, np.nan], nan_ok=True)
    assert outcomes.estimate_distance == pytest.approx([12, np.nan, np.nan], nan_ok=True)
    assert kinds(outcomes) == ([CORRECT, MISSED], [CORRECT, DUPLICATE, FALSE_ALARM])


def test_clips_do_not_meet():
    some, other = table((0, 0, 0)), table((0, 0, 50))
    outcomes = classify(clips(some, other), clips(other, some))
    assert kinds(outcomes)[0] == [WRONG_PLACE, WRONG_PLACE]
    assert outcomes.reference_partner.tolist() == [0, 1]
    assert kinds(classify(table((0, 0, 0), clip=0), table((0, 0, 0), clip=1))) == ([MISSED], [FALSE_ALARM])


def best_matching(allowed):
    """Of the pairs {(i, j): degrees}, by trying all: as many as can be, at least total."""
    found = ((), 0.0)
    for n in range(1, len(allowed) + 1):
        fitting = [p for p in itertools.combinations(allowed, n) if all(len(set(side)) == n for side in zip(*p))]
        if not fitting:
            break
        found = min(((p, sum(allowed[pair] for pair in p)) for p in fitting), key=lambda item: item[1])
    return found[0]


def by_search(estimate, reference, threshold):
    """(kinds of the reference, of the estimate, partner of each reference row) by the definition, frame by frame."""
    of_reference, of_estimate = [MISSED] * len(reference), [FALSE_ALARM] * len(estimate)
    partner = [-1] * len(reference)
    a, b = (list(t.to_dict("records")) for t in (reference, estimate))
    place = [(r["clip"], r["frame"]) for r in a], [(r["clip"], r["frame"]) for r in b]
    for where in sorted({*place[0]} | {*place[1]}):
        rows, columns = ([i for i, p in enumerate(side) if p == where] for side in place)
        degrees = {
            (i, j): float(geometry.angular_distance(*(r[c] for r in (a[i], b[j]) for c in ("azimuth", "elevation"))))
            for i in rows
            for j in columns
        }
        same = {(i, j) for i, j in degrees if a[i]["class"] == b[j]["class"]}
        near = {pair for pair, d in degrees.items() if d <= threshold}
        for kind, pairs in ((CORRECT, same & near), (WRONG_PLACE, same - near), (WRONG_CLASS, near - same)):
            free = {(i, j): degrees[i, j] for i, j in sorted(pairs) if partner[i] < 0 and of_estimate[j] == FALSE_ALARM}
            for i, j in best_matching(free):
                of_reference[i], of_estimate[j], partner[i] = kind, kind, j
        for i, j in same & near:
            if of_estimate[j] == FALSE_ALARM and partner[i] >= 0:
                of_estimate[j] = DUPLICATE
    return of_reference, of_estimate, partner


@pytest.mark.parametrize("n_classes", [1, 2, 4])
@pytest.mark.parametrize("threshold", [12, 20])
def test_agrees_with_a_search_of_all_matchings(rng, n_classes, threshold):
    seen = set()
    for _ in range(10):
        estimate, reference = random_tables(rng, n_rows=40, n_classes=n_classes)
        outcomes = classify(reference, estimate, threshold)
        of_reference, of_estimate, partner = by_search(estimate, reference, threshold)
        assert kinds(outcomes) == (of_reference, of_estimate)
        assert outcomes.reference_partner.tolist() == partner
        seen |= {*of_reference, *of_estimate}
    assert seen >= {*KINDS} - {WRONG_CLASS} and (n_classes == 1 or WRONG_CLASS in seen)


def with_outcomes(estimate, reference, estimate_id, reference_id):
    """Both tables with kind, distance and the name of the partner, in the order of names."""
    outcomes = classify(reference, estimate)
    sides = [
        (outcomes.reference_kind, outcomes.reference_distance, np.append(estimate_id, -1)[outcomes.reference_partner]),
        (outcomes.estimate_kind, outcomes.estimate_distance, np.append(reference_id, -1)[outcomes.estimate_partner]),
    ]
    names = ["kind", "degrees", "partner"]
    tables = [t.assign(**dict(zip(names, side))) for t, side in zip((reference, estimate), sides)]
    order = [np.argsort(reference_id), np.argsort(estimate_id)]
    return [t.iloc[o].reset_index(drop=True) for t, o in zip(tables, order)], outcomes


@pytest.mark.parametrize("step", [None, 10])
def test_order_of_rows_and_index_do_not_matter(rng, step):
    """With directions on a grid there are many matchings of the same total distance."""
    estimate, reference = random_tables(rng, n_rows=150, step=step)
    n = len(estimate), len(reference)
    (first, outcomes) = with_outcomes(estimate, reference, *map(np.arange, n))
    events = error_events(reference, estimate, outcomes)
    for _ in range(5):
        order = [rng.permutation(m) for m in n]
        moved_estimate, moved_reference = (
            t.iloc[o].set_axis(rng.permutation(len(o))) for t, o in zip((estimate, reference), order)
        )
        again, outcomes = with_outcomes(moved_estimate, moved_reference, *order)
        for one, other in zip(first, again):
            pd.testing.assert_frame_equal(one, other)
        pd.testing.assert_frame_equal(error_events(moved_reference, moved_estimate, outcomes), events)


def test_every_row_has_one_kind_and_pairs_are_mutual(rng):
    estimate, reference = random_tables(rng, n_rows=300, n_frames=20)
    outcomes, n = classify(reference, estimate), counts(classify(reference, estimate))
    assert sum(n["reference"].values()) == len(reference) and sum(n["system"].values()) == len(estimate)
    assert [n["reference"][k] for k in KINDS[:3]] == [n["system"][k] for k in KINDS[:3]]
    assert min(*n["reference"].values(), *n["system"].values()) > 0
    matched = outcomes.reference_kind < KINDS.index(MISSED)
    assert np.array_equal(matched, outcomes.reference_partner >= 0)
    partner = outcomes.reference_partner[matched]
    assert np.array_equal(outcomes.estimate_partner[partner], np.flatnonzero(matched))
    assert np.array_equal(outcomes.estimate_kind[partner], outcomes.reference_kind[matched])
    assert np.array_equal(outcomes.estimate_distance[partner], outcomes.reference_distance[matched])
    assert np.isnan(outcomes.reference_distance[~matched]).all()


def test_counts_by_hand():
    outcomes = classify(
        table(*[(t, 0, 0) for t in range(3)]), table((0, 0, 0), (0, 0, 5), (1, 1, 0), (2, 0, 90), (3, 0, 0))
    )
    assert counts(outcomes) == {
        "reference": {CORRECT: 1, WRONG_PLACE: 1, WRONG_CLASS: 1, MISSED: 0},
        "system": {CORRECT: 1, WRONG_PLACE: 1, WRONG_CLASS: 1, FALSE_ALARM: 1, DUPLICATE: 1},
    }


def test_empty_tables():
    some, empty = table((0, 0, 0), (4, 1, 0)), frame_tables.empty_table()
    for estimate, reference in ((some, empty), (empty, some), (empty, empty)):
        outcomes = classify(reference, estimate)
        assert kinds(outcomes) == ([MISSED] * len(reference), [FALSE_ALARM] * len(estimate))
        events = error_events(reference, estimate, outcomes)
        assert len(events) == len(reference) + len(estimate)
        assert list(events) == list(error_events(some.iloc[:1], some, classify(some.iloc[:1], some)))


def test_refuses():
    some = table((0, 0, 0))
    with pytest.raises(ValueError, match="threshold must be degrees from 0 to 180, not -1"):
        classify(some, some, -1)
    with pytest.raises(ValueError, match=r"estimate must be a frame table .*missing: track"):
        classify(some, some.drop(columns="track"))
    with pytest.raises(ValueError, match="reference must have finite azimuths"):
        classify(some.assign(azimuth=np.nan), some)
    with pytest.raises(ValueError, match="estimate must have frames and classes from 0"):
        classify(some, some.assign(frame=-1))
    with pytest.raises(ValueError, match="outcomes must be those of the tables: reference has 2 rows, not 1"):
        error_events(table((0, 0, 0), (1, 0, 0)), some, classify(some, some))


# Error events


def test_an_event_with_all_that_can_go_wrong():
    """Class 1 on track 2, frames 3 to 14 at 0: found, missed (5-6), wrong place (7-8), found (9), taken for 0 (10), for 4 (11-12),
    missed (13-14). Beside it class 1 again: a duplicate on output track 0 in frame 9, and a false alarm in frames 20 and 22."""
    reference = table(*[(t, 1, 0, 0, 2) for t in range(3, 15)])
    estimate = table(
        *[(3, 1, 0), (4, 1, 5), (7, 1, 30, 0, 1), (8, 1, -40, 0, 0), (9, 1, 1), (9, 1, 11)],
        *[(10, 0, 8), (11, 4, 8), (12, 4, 10)],
        *[(20, 1, 70, 30, 1), (22, 1, 70, 30, 1)],
    )
    events = error_events(reference, estimate, classify(reference, estimate))
    expected = pd.DataFrame(
        [
            (MISSED, 1, -1, 2, "reference", 0.5, 0.7, 0, 0, np.nan, 2),
            (WRONG_PLACE, 1, -1, 2, "reference", 0.7, 0.9, 0, 0, 35, 2),
            (DUPLICATE, 1, -1, 0, "system", 0.9, 1.0, 11, 0, np.nan, 1),
            (WRONG_CLASS, 1, 0, 2, "reference", 1.0, 1.1, 0, 0, 8, 1),
            (WRONG_CLASS, 1, 4, 2, "reference", 1.1, 1.3, 0, 0, 9, 2),
            (MISSED, 1, -1, 2, "reference", 1.3, 1.5, 0, 0, np.nan, 2),
            (FALSE_ALARM, 1, -1, 1, "system", 2.0, 2.1, 70, 30, np.nan, 1),
            (FALSE_ALARM, 1, -1, 1, "system", 2.2, 2.3, 70, 30, np.nan, 1),
        ],
        columns=[
            "kind",
            "class",
            "heard_as",
            "track",
            "side",
            "onset",
            "offset",
            "azimuth",
            "elevation",
            "error",
            "frames",
        ],
    )
    expected.insert(0, "clip", 0)
    pd.testing.assert_frame_equal(events, expected, check_dtype=False, atol=1e-9)


def test_clip_class_and_track_end_a_run():
    """Frames 0 to 5 missed: the clip, then the class, then the track changes."""
    missed = [(0, 0, 0), (1, 0, 0)], [(2, 0, 0), (3, 1, 0), (4, 1, 0, 0, 1), (5, 1, 0, 0, 1)]
    reference = clips(*(table(*rows) for rows in missed))
    estimate = frame_tables.empty_table()
    events = error_events(reference, estimate, classify(reference, estimate))
    columns = [events[c].tolist() for c in ("clip", "class", "track", "frames")]
    assert list(zip(*columns)) == [(0, 0, 0, 2), (1, 0, 0, 1), (1, 1, 0, 1), (1, 1, 1, 2)]


def test_mean_direction_across_the_back():
    reference = table((0, 0, 170), (1, 0, -170, 0), (2, 0, -180, 0))
    events = error_events(reference, frame_tables.empty_table(), classify(reference, frame_tables.empty_table()))
    assert abs(events["azimuth"].item()) == pytest.approx(180) and events["frames"].item() == 3


def test_several_rows_of_one_track_in_a_frame_are_several_events():
    """Two false alarms of one class on one track, in either order in the table; the second stops after two frames."""
    rows = [(0, 0, -50), (0, 0, 50), (1, 0, 50), (1, 0, -50), (2, 0, -50)]
    estimate, empty = table(*rows), frame_tables.empty_table()
    events = error_events(empty, estimate, classify(empty, estimate))
    assert events["frames"].tolist() == [3, 2] and events["azimuth"].tolist() == pytest.approx([-50, 50])


def test_every_wrong_frame_is_in_one_event(rng):
    estimate, reference = random_tables(rng, n_rows=300, n_frames=20)
    outcomes = classify(reference, estimate)
    events, n = error_events(reference, estimate, outcomes), counts(outcomes)
    frames = events.groupby("kind")["frames"].sum().to_dict()
    assert frames == {k: v for k, v in (n["system"] | n["reference"]).items() if k != CORRECT}
    assert events["frames"].max() > 1
    assert (events["offset"] - events["onset"]).to_numpy() == pytest.approx(events["frames"].to_numpy() / 10)
    assert np.array_equal(np.lexsort([events["onset"], events["clip"]]), np.arange(len(events)))
    assert set(events.loc[events["kind"].isin([FALSE_ALARM, DUPLICATE]), "side"]) == {"system"}
    assert ((events["heard_as"] >= 0) == (events["kind"] == WRONG_CLASS)).all()
    assert (events["heard_as"] != events["class"]).all()


def test_runs_agree_with_the_events_of_labels(rng):
    """Of one clip whose tracks are distinct."""
    rows = pd.DataFrame(
        {"frame": rng.integers(0, 30, 80), "class": rng.integers(0, 2, 80), "track": rng.integers(0, 2, 80)}
    )
    rows = rows.drop_duplicates().assign(azimuth=0.0, elevation=0.0, distance=np.nan)
    runs = table_runs(rows, ("class", "track"))
    frame = rows["frame"].to_numpy()
    columns = [rows[c].to_numpy()[runs.first] for c in ("class", "track")]
    found = set(zip(*columns, frame[runs.first] / 10, (frame[runs.last] + 1) / 10))
    events = frame_tables.frames_to_events(rows)
    assert found == set(zip(*(events[c] for c in ("class", "track", "onset", "offset")))) and len(found) == len(
        runs.starts
    )
