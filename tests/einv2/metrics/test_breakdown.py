"""Measures by group, confusions and distances: cases by hand, and sums that must come out."""

import numpy as np
import pandas as pd
import pytest

from einv2 import geometry
from einv2.labels import frame_tables
from einv2.metrics import breakdown
from einv2.metrics.errors import KINDS, classify, counts
from support.many_clips import clips, random_tables, table

NAMES = ("a", "b", "c")


def case():
    """(estimate, reference) of one kind a frame: correct 10 off, wrong place 40 off, class 0 taken for 2, missed, correct with
    a duplicate, false alarm."""
    reference = table((0, 0, 0), (1, 0, 0), (2, 0, 0), (3, 1, 0), (4, 1, 0))
    estimate = table((0, 0, 10), (1, 0, 40), (2, 2, 3), (4, 1, 4), (4, 1, 6), (5, 2, 0))
    return estimate, reference


def groupings(estimate, reference, outcomes):
    """Every grouping that has each row in one group."""
    levels = [np.zeros(100)] * 3
    return {
        "everything": breakdown.everything(outcomes),
        "classes": breakdown.classes(reference, estimate, NAMES),
        "clips": breakdown.clips(reference, estimate, NAMES),
        "polyphony": breakdown.polyphony(reference, estimate),
        "azimuths": breakdown.azimuths(reference, estimate),
        "elevations": breakdown.elevations(reference, estimate),
        "levels": breakdown.levels(reference, estimate, levels),
    }


# Measures


def test_measures_by_hand():
    """Of all: 5 and 6 rows, 2 correct, (10 + 40 + 4) / 3 degrees."""
    estimate, reference = case()
    outcomes = classify(reference, estimate)
    row = breakdown.by(outcomes, *breakdown.everything(outcomes)).loc["all"]
    assert row[["reference", "system"]].tolist() == [5, 6]
    assert row[list(KINDS)].to_dict() == {**dict.fromkeys(KINDS, 1), "correct": 2}
    assert row[["precision", "recall", "F", "LE"]].tolist() == pytest.approx([2 / 6, 2 / 5, 4 / 11, 18])


def test_classes_by_hand():
    """The frame of class 0 that is taken for 2 is a wrong class of 0, and a row of the system's 2."""
    estimate, reference = case()
    found = breakdown.by(classify(reference, estimate), *breakdown.classes(reference, estimate, NAMES))
    assert found.index.tolist() == ["a", "b", "c"] and found.index.name == "group"
    assert found["reference"].tolist() == [3, 2, 0] and found["system"].tolist() == [2, 2, 2]
    assert found[list(KINDS)].to_numpy().tolist() == [[1, 1, 1, 0, 0, 0], [1, 0, 0, 1, 0, 1], [0, 0, 0, 0, 1, 0]]
    assert found["precision"].tolist() == pytest.approx([1 / 2, 1 / 2, 0])
    assert found["recall"].tolist() == pytest.approx([1 / 3, 1 / 2, np.nan], nan_ok=True)
    assert found["F"].tolist() == pytest.approx([2 / 5, 2 / 4, 0])
    assert found["LE"].tolist() == pytest.approx([25, 4, np.nan], nan_ok=True)


def test_a_pair_in_two_groups_counts_on_each_side():
    """22 is front, 23 front left: the row of the reference is found, that of the system is right."""
    estimate, reference = table((0, 0, 23)), table((0, 0, 22), (1, 0, 22))
    found = breakdown.by(classify(reference, estimate), *breakdown.azimuths(reference, estimate))
    assert found["correct"].tolist()[:2] == [1, 0]
    assert found["LE"].tolist()[:2] == pytest.approx([1, np.nan], nan_ok=True)
    assert found["recall"].tolist()[:2] == pytest.approx([1 / 2, np.nan], nan_ok=True)
    assert found["precision"].tolist()[:2] == pytest.approx([np.nan, 1], nan_ok=True)
    assert found["F"].tolist()[:2] == pytest.approx([1 / 2, 1])


@pytest.mark.parametrize("name", ["classes", "clips", "polyphony", "azimuths", "elevations", "levels"])
def test_groups_add_up_to_the_whole(rng, name):
    estimate, reference = random_tables(rng, n_rows=300, n_frames=60)
    outcomes = classify(reference, estimate)
    grouping = groupings(estimate, reference, outcomes)[name]
    found = breakdown.by(outcomes, *grouping)
    whole = breakdown.by(outcomes, *breakdown.everything(outcomes)).loc["all"]
    columns = ["reference", "system", *KINDS]
    assert found[columns].sum().tolist() == whole[columns].tolist()
    n = counts(outcomes)
    assert {k: whole[k] for k in n["reference"]} == n["reference"]
    assert whole["false alarm"] == n["system"]["false alarm"] and whole["duplicate"] == n["system"]["duplicate"]
    pairs = found["correct"] + found["wrong place"]
    assert (found["LE"] * pairs).sum() == pytest.approx(whole["LE"] * pairs.sum())


def test_a_clip_in_company_and_alone(rng):
    estimate, reference = random_tables(rng, n_rows=200)
    found = breakdown.by(classify(reference, estimate), *breakdown.clips(reference, estimate, NAMES))
    for clip, name in enumerate(NAMES):
        alone = classify(*(t[t["clip"] == clip] for t in (reference, estimate)))
        expected = breakdown.by(alone, *breakdown.everything(alone)).loc["all"]
        assert found.loc[name].tolist() == pytest.approx(expected.tolist())


def test_rows_in_no_group_are_left_out():
    estimate, reference = case()
    groups = np.array([0, -1, -1, 1, -1]), np.array([0, -1, -1, -1, -1, 1])
    found = breakdown.by(classify(reference, estimate), *groups, ("x", "y"))
    assert found["reference"].tolist() == [1, 1] and found["system"].tolist() == [1, 1]
    assert found["LE"].tolist() == pytest.approx([10, np.nan], nan_ok=True)
    assert found[list(KINDS)].to_numpy().sum(0).tolist() == [1, 0, 0, 1, 1, 0]


def test_nothing_on_one_side_or_both():
    some, empty = table((0, 0, 0)), frame_tables.empty_table()
    for estimate, reference in ((some, empty), (empty, some), (empty, empty)):
        outcomes = classify(reference, estimate)
        for grouping in (*groupings(estimate, reference, outcomes).values(), breakdown.motion(reference, outcomes)):
            found = breakdown.by(outcomes, *grouping)
            assert len(found) == len(grouping.names) and found["reference"].sum() == len(reference)
            assert np.isnan(found["LE"]).all() and not found["correct"].any()
        assert breakdown.confusion(reference, estimate, outcomes, 3).sum() == len(estimate) + len(reference)


def test_by_refuses():
    estimate, reference = case()
    outcomes = classify(reference, estimate)
    with pytest.raises(ValueError, match=r"reference_group must be \(5,\), a group for each row, not \(6,\)"):
        breakdown.by(outcomes, np.zeros(6, int), np.zeros(6, int), ("all",))
    with pytest.raises(ValueError, match="estimate_group must be from -1 to 1, not from 0 to 2"):
        breakdown.by(outcomes, np.zeros(5, int), np.arange(6) // 2, ("x", "y"))


# Groupings


def test_polyphony_by_hand():
    """Frames 0: one; 1: classes 0, 1; 2: class 2 twice; 3: class 0 thrice; 4: nothing; then clip 1, frame 1: one."""
    reference = [
        table((0, 0, 0), *[(1, 0, 0), (1, 1, 90)], *[(2, 2, 0), (2, 2, 90)], *[(3, 0, a) for a in (0, 90, 180)])
    ]
    reference = clips(*reference, table((1, 2, 0)))
    estimate = clips(table(*[(t, 0, 0) for t in range(5)]), table((0, 0, 0), (1, 0, 0), (900, 0, 0)))
    found = breakdown.polyphony(reference, estimate)
    assert found.reference.tolist() == [0, 1, 1, 2, 2, 3, 3, 3, 0]
    assert found.estimate.tolist() == [0, 1, 2, 3, 4, 4, 0, 4]
    assert found.names[2:] == ("two of one class", "three or more", "silence")


def test_motion_by_hand():
    """Track 0 turns by 2 degrees a frame over 11 frames: 0 to 10 from the middle, mean 60 / 11; its first 9 frames are 40 / 9 from
    theirs. Track 1 jumps between two directions 10 apart: 5 degrees, still static. An interruption makes two events."""
    turning = [(t, 0, 2 * t - 11, 0, 0) for t in range(11)]
    jumping = [(t, 0, 100 + 10 * (t % 2), 0, 1) for t in range(4)]
    later = [(t, 0, 50 * (t - 20) / 20 + 100, 0, 1) for t in range(20, 40)]
    reference = table(*turning, *jumping, *later)
    estimate = table((0, 0, 0), (5, 1, 0), (2, 0, 100), (2, 1, 60), (30, 0, 120))
    outcomes = classify(reference, estimate)
    found = breakdown.motion(reference, outcomes)
    assert found.names == ("static", "moving")
    assert found.reference.tolist() == [1] * 11 + [0] * 4 + [1] * 20
    assert found.estimate.tolist() == [1, 1, 0, -1, 1]  # of wrong class too; nothing of the false alarm
    shorter = reference[reference["frame"] != 9].sample(frac=1, random_state=1)
    found = breakdown.motion(shorter, classify(shorter, estimate)).reference
    assert (found == 1).tolist() == (shorter["frame"] >= 20).tolist()
    wide = breakdown.motion(reference, outcomes, threshold=60 / 11).reference
    assert not wide[:11].any() and wide[-1]


def test_whole_degrees_at_the_limit_are_static():
    """5 degrees either side, from everywhere; some of these means are a little above 5 in floating point."""
    reference = clips(*(table((0, 0, a), (1, 0, a + 10)) for a in range(-180, 180)))
    outcomes = classify(reference, frame_tables.empty_table())
    assert not breakdown.motion(reference, outcomes).reference.any()
    assert breakdown.motion(reference, outcomes, threshold=4.999).reference.all()


def test_sectors_by_hand():
    azimuth = [0, 22.4, 22.5, -22.5, -22.6, 45, 90, 135, 157.5, 180, -180, -135, -90, -45, 179.9]
    rows = table(*[(t, 0, a) for t, a in enumerate(azimuth)])
    found = breakdown.azimuths(rows, rows.iloc[:1])
    names = "front, front, front left, front, front right, front left, left, back left, back, back, back, back right, right, "
    assert [found.names[g] for g in found.reference] == [*names[:-2].split(", "), "front right", "back"]
    assert found.estimate.tolist() == [0]
    rows = table(*[(t, 0, 0, e) for t, e in enumerate([-90, -20.1, -20, 0, 20, 20.1, 90])])
    assert breakdown.elevations(rows, rows).reference.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert breakdown.elevations(rows, rows.iloc[:1]).estimate.tolist() == [0]


def test_levels_by_hand():
    """Clip 0: the loudest is at -20 dB. Clip 1 is not known; clip 2 ends before its last row; clip 3 is digital silence."""
    levels = [np.array([-20, -29.9, -30, -65, -200, -np.inf, np.nan]), None, np.zeros(1), np.full(2, -np.inf)]
    reference = clips(*(table(*[(t, 0, 0) for t in range(n)]) for n in (7, 1, 2, 1)))
    found = breakdown.levels(reference, reference.iloc[::-1], levels)
    assert found.reference.tolist() == [0, 0, 1, 4, 5, 5, -1, -1, 0, -1, -1]
    assert found.estimate.tolist() == found.reference.tolist()[::-1]
    assert found.names[1] == "-10 to -20 dB"
    with pytest.raises(ValueError, match="frame_levels must be given for 4 clips, not 3"):
        breakdown.levels(reference, frame_tables.empty_table(), levels[:3])


def test_groupings_follow_the_rows(rng):
    """Shuffled rows with another index have the same groups."""
    estimate, reference = random_tables(rng, n_rows=200, n_frames=30)
    outcomes = classify(reference, estimate)
    order = rng.permutation(len(estimate)), rng.permutation(len(reference))
    shuffled = [t.iloc[o].set_axis(rng.permutation(len(o))) for t, o in zip((estimate, reference), order)]
    again = classify(*shuffled[::-1])
    first = groupings(estimate, reference, outcomes) | {"motion": breakdown.motion(reference, outcomes)}
    second = groupings(*shuffled, again) | {"motion": breakdown.motion(shuffled[1], again)}
    for name, grouping in first.items():
        assert np.array_equal(grouping.estimate[order[0]], second[name].estimate), name
        assert np.array_equal(grouping.reference[order[1]], second[name].reference), name
        pd.testing.assert_frame_equal(breakdown.by(outcomes, *grouping), breakdown.by(again, *second[name]))


# Confusions and distances


def test_confusion_by_hand():
    estimate, reference = case()
    found = breakdown.confusion(reference, estimate, classify(reference, estimate), 3)
    assert found.tolist() == [
        [1, 0, 1, 1],  # found, taken for 2, in the wrong place
        [0, 1, 0, 1],  # found, missed
        [0, 0, 0, 0],
        [1, 1, 1, 0],  # wrong place, duplicate, false alarm
    ]
    with pytest.raises(ValueError, match="class 2 in the table, but n_classes is 2"):
        breakdown.confusion(reference, estimate, classify(reference, estimate), 2)


def test_confusion_has_every_row_once(rng):
    estimate, reference = random_tables(rng, n_rows=300)
    outcomes = classify(reference, estimate)
    found = breakdown.confusion(reference, estimate, outcomes, 3)
    by_class = breakdown.by(outcomes, *breakdown.classes(reference, estimate, NAMES))
    assert found[:3].sum(1).tolist() == by_class["reference"].tolist()
    assert found[:, :3].sum(0).tolist() == by_class["system"].tolist()
    assert np.diag(found)[:3].tolist() == by_class["correct"].tolist() and found[3, 3] == 0
    assert (found[:3, :3].sum(1) - np.diag(found)[:3]).tolist() == by_class["wrong class"].tolist()
    transposed = breakdown.confusion(estimate, reference, classify(estimate, reference), 3)
    assert np.array_equal(np.diag(found), np.diag(transposed))


def test_distance_errors_by_hand():
    estimate, reference = case()
    assert breakdown.distance_errors(classify(reference, estimate)) == pytest.approx([10, 40, 4])


def test_histogram_by_hand():
    """Whole degrees fall into the bin that they open, also where rounding has put them below it; 180 is in the last."""
    found = breakdown.histogram(np.array([0, 1.9, np.nextafter(2, 0), 180]))
    assert found.edges.tolist() == list(range(0, 181, 2)) and found.counts.shape == (90,)
    assert (found.counts[0], found.counts[1], found.counts[-1], found.counts.sum()) == (2, 1, 1, 4)
    found = breakdown.histogram(np.arange(11.0))
    assert (found.median, found.percentile_90) == (5, 9)
    nothing = breakdown.histogram(np.zeros(0), width=10)
    assert nothing.counts.tolist() == [0] * 18 and np.isnan([nothing.median, nothing.percentile_90]).all()


def test_distance_errors_are_great_circle(rng):
    estimate, reference = random_tables(rng, n_rows=100)
    outcomes = classify(reference, estimate)
    pairs = outcomes.reference_kind <= 1
    sides = reference[pairs], estimate.iloc[outcomes.reference_partner[pairs]]
    angles = [t[c].to_numpy() for t in sides for c in ("azimuth", "elevation")]
    assert breakdown.distance_errors(outcomes) == pytest.approx(geometry.angular_distance(*angles))
    assert (sides[0]["class"].to_numpy() == sides[1]["class"].to_numpy()).all() and pairs.sum() > 10
