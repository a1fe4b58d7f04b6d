"""The measures of 2020 to 2025, and their peculiarities by hand.

The scores and jackknife intervals in official_scores.json were given, for the same clips, by the loops of each year's official code,
transcribed (for 2024 and 2025 in plain_measures.py), from the CSV files on: up to the reference's last frame, and where n_frames is
given for so many frames of each clip.
"""

import json

import numpy as np
import pandas as pd
import pytest

from einv2.metrics import dcase, intervals
from support import plain_measures
from support.places import TESTS

OFFICIAL = json.loads((TESTS / "support" / "official_scores.json").read_text())
N_CLASSES = 6
COLUMNS = ["frame", "class", "track", "azimuth", "elevation", "distance"]


def random_clip(rng):
    """(estimate, reference): events that overlap, of one class too; lost, moved, confused, repeated, exactly 20 degrees off; numbers
    of tracks that clash; an azimuth of 180; rows in any order."""
    reference, estimate = [], []
    for _ in range(rng.integers(3, 14)):
        start, length, c = rng.integers(0, 200), rng.integers(1, 60), rng.integers(0, N_CLASSES - 1)
        azimuth, elevation, cm = rng.integers(-180, 180), rng.choice([0, rng.integers(-40, 50)]), rng.integers(50, 500)
        track, off, late = rng.integers(0, 4), rng.choice([0, 3, 10, 20, 20, 30, 80]), rng.integers(-8, 9)
        missed, heard_as = rng.random() < 0.2, c if rng.random() < 0.8 else rng.integers(0, N_CLASSES)
        for frame in range(start, start + length):
            azimuth = (azimuth + rng.integers(-1, 2) + 180) % 360 - 180
            reference.append([frame, c, track, 180 if azimuth == -180 else azimuth, elevation, cm])
            found = [frame + late, heard_as, rng.integers(0, 3), (azimuth + off + 180) % 360 - 180, elevation]
            found.append(int(cm * rng.uniform(0.3, 2.5)))
            if not missed and rng.random() < 0.9 and frame + late >= 0:
                estimate += [found] * (2 if rng.random() < 0.1 else 1)
    return tuple(
        pd.DataFrame(rows, columns=COLUMNS).sample(frac=1, random_state=1).sort_values("frame", kind="stable")
        for rows in (estimate, reference)
    )


def random_set(seed, distances):
    rng = np.random.default_rng(seed)
    pairs = [random_clip(rng) for _ in range(5)]
    return pairs if distances else [tuple(t.assign(distance=np.nan) for t in pair) for pair in pairs]


def reference_first(pairs):
    return [(reference, estimate) for estimate, reference in pairs]


@pytest.mark.parametrize("case", OFFICIAL, ids=lambda c: f"{c['measure']}-{c['seed']}-{c['n_frames']}")
def test_scores_are_those_of_the_official_code(case):
    pairs = random_set(case["seed"], case["distances"])
    tally = dcase.tally_pairs(reference_first(pairs), N_CLASSES, case["measure"], n_frames=case["n_frames"])
    ours = dcase.report(tally.sum())
    bounds = intervals.intervals(tally, "jackknife", cut=False)
    for key, pair in case["jackknife"].items():
        assert bounds[key] == pytest.approx(pair, abs=1e-6), key
    for key, value in case["scores"].items():
        assert ours[key] == pytest.approx(value, abs=1e-6), key
    for key, values in case["per_class"].items():
        found = [c[key] for c in ours["per_class"]]
        assert [v is None for v in found] == [v is None for v in values], key
        assert [v or 0 for v in found] == pytest.approx([v or 0 for v in values], abs=1e-6), key


def repeated(pair, rng):
    """A clip in which numbers of tracks repeat and clash, and a class has up to a dozen instances at once; a distance that is 0."""
    sides = []
    for side in pair:
        crowd = [
            [f, 2, rng.integers(0, 14), a, 0, 120]
            for f in range(5, 12)
            for a in rng.integers(-180, 180, rng.integers(2, 13))
        ]
        side = pd.concat([side, pd.DataFrame(crowd, columns=COLUMNS)]).astype(dict.fromkeys(COLUMNS, int))
        track = np.where(rng.random(len(side)) < 0.5, rng.integers(-2, 3), side["track"])
        sides.append(side.assign(track=track).sample(frac=1, random_state=2).sort_values("frame", kind="stable"))
    estimate, reference = sides
    return estimate.assign(distance=np.where(rng.random(len(estimate)) < 0.05, 0, estimate["distance"])), reference


@pytest.mark.parametrize("measure", dcase.MEASURES)
@pytest.mark.parametrize("seed", [11, 12])
def test_random_clips_are_scored_as_by_plain_loops(measure, seed):
    rng = np.random.default_rng(seed)
    pairs = [repeated(random_clip(rng), rng) for _ in range(3)]
    plain, each = plain_measures.scores([[t.to_numpy().tolist() for t in pair] for pair in pairs], N_CLASSES, measure)
    with_nan = [tuple(t.assign(distance=t["distance"].where(t["distance"] > 0)) for t in pair) for pair in pairs]
    ours = dcase.evaluate(reference_first(with_nan), N_CLASSES, measure)
    assert {*plain} == {*ours} - {"per_class"} and 0 < ours["F"] < 1
    assert [ours[k] for k in plain] == pytest.approx([*plain.values()], abs=1e-9)
    for key, values in each.items():
        assert [np.nan if c[key] is None else c[key] for c in ours["per_class"]] == pytest.approx(
            values.tolist(), abs=1e-9, nan_ok=True
        )


def table(*events):
    """Events (class, azimuth, frames)."""
    rows = [(f, c, 0, azimuth, 0, np.nan) for c, azimuth, frames in events for f in frames]
    return pd.DataFrame(rows, columns=COLUMNS).astype({c: float if c == "distance" else int for c in COLUMNS})


def counts(estimate, reference, measure):
    total = dcase.tally(reference, estimate, 2, measure)
    return {k: int(total[k].sum()) for k in ("hits", "far", "misses", "false_alarms", "reference", "system")}


def test_far_is_a_false_alarm_without_a_miss_from_2021_on():
    reference, estimate = table((0, 0, range(20))), table((0, 60, range(20)))
    expected = dict(hits=0, far=2, misses=0, false_alarms=0, reference=2, system=2)
    assert counts(estimate, reference, "dcase2021") == expected
    total = dcase.tally(reference, estimate, 2, "dcase2021")
    assert (int(total["insertions"]), int(total["deletions"])) == (2, 0) and total.scores()["LR"] == 1


def test_far_weighs_twice_as_much_from_2022_on():
    """One hit and one far: F = 1 / (1 + 1/2) in 2021, 1 / (1 + 1) in the class of 2022."""
    reference = table((0, 0, range(20)), (1, 0, [20]))
    estimate = table((0, 0, range(10)), (0, 60, range(10, 20)))
    assert dcase.evaluate([(reference, estimate)], 1 + 1, "dcase2021")["per_class"][0]["F"] == pytest.approx(2 / 3)
    assert dcase.evaluate([(reference, estimate)], 1 + 1, "dcase2022")["per_class"][0]["F"] == pytest.approx(1 / 2)


def test_two_instances_of_a_class_count_twice_from_2021_on():
    reference = table((0, 0, range(20)), (0, 90, range(20)))
    assert counts(table((0, 3, range(20))), reference, "dcase2020")["misses"] == 0
    assert counts(table((0, 3, range(20))), reference, "dcase2021")["misses"] == 2


def test_apart_in_time_is_as_many_misses_as_the_system_has_instances():
    """As in the official code: the reference has one, the system two, never in the same frame."""
    reference, estimate = table((0, 0, range(5)), (1, 0, [9])), table((0, 0, range(5, 9)), (0, 90, range(5, 9)))
    found = counts(estimate, reference, "dcase2021")
    assert found["misses"] == 2 + 1 and found["false_alarms"] == 0


def test_macro_mean_counts_absent_classes_until_2023_and_in_f_of_2024():
    pair = [(table((0, 0, range(20))), table((0, 0, range(20))))]
    of_2022, of_2024 = (dcase.evaluate(pair, 2, m) for m in ("dcase2022", "dcase2024"))
    assert of_2022["F"] == of_2024["F"] == 0.5 and of_2022["LE"] == 90
    assert of_2024["LE"] == pytest.approx(0.00081, abs=1e-5) and of_2024["per_class"][1]["LE"] is None


@pytest.mark.parametrize("measure", ("dcase2024", "dcase2025"))
def test_a_repeated_track_number_is_an_instance_of_its_own(measure):
    """Two instances, both found, with one number for both: class F 1, macro F and LR 1 / 13."""
    reference = table((0, 0, range(11)), (0, 90, range(11))).assign(track=np.arange(22) // 11)
    estimate = table((0, 0, range(11)), (0, 90, range(11)))
    found = dcase.evaluate([(reference, estimate)], 13, measure)
    assert found["per_class"][0]["F"] == 1 and found["F"] == found["LR"] == pytest.approx(1 / 13)
    for tracks in ([0, 0, 0], [-1, 0, 0], [0, -1, -1], [9, 9, 11]):
        rows = table(*((0, 40 * n, [0]) for n in range(3))).assign(track=tracks)
        assert counts(rows, pd.concat([rows, table((1, 0, [1]))]), measure)["hits"] == 3


def test_2025_keeps_ten_instances():
    rows = table(*((0, n, [0]) for n in range(12)))
    reference = pd.concat([rows.head(1), table((1, 0, [1]))])
    assert counts(rows, reference, "dcase2025")["false_alarms"] == 9
    assert counts(rows, reference, "dcase2024")["false_alarms"] == 11


@pytest.mark.parametrize(
    "azimuth, error", [(30, 0), (150, 0), (-150, 60), (130, 20), (129, 21), (180, 30), (-180, 30), (90, 60)]
)
def test_2025_folds_the_back_onto_the_front_and_ignores_elevation(azimuth, error):
    reference, estimate = table((0, 30, range(11))), table((0, azimuth, range(11))).assign(elevation=60)
    found = dcase.evaluate([(reference, estimate)], 1, "dcase2025")
    assert found["LE"] == error and found["F"] == (error <= 20)


def test_2025_wants_the_distance_right_where_both_sides_have_one():
    reference = table((0, 0, range(11))).assign(distance=100.0)
    for distance, hits in ((200.0, 10), (201.0, 0), (np.nan, 10)):
        estimate = table((0, 0, range(11))).assign(distance=distance)
        found = dcase.evaluate([(reference, estimate)], 1, "dcase2025")
        assert found["F"] == hits / 10 and found.get("DE", distance - 100) == pytest.approx(distance - 100, nan_ok=True)
    assert dcase.evaluate([(reference, estimate)], 1, "dcase2025")["SELD"] == 0


def test_an_estimated_distance_of_0_is_0_where_the_clip_has_distances():
    reference = table((0, 0, range(11))).assign(distance=100.0)
    estimate = table((0, 0, range(11))).assign(distance=[np.nan, *[100.0] * 10])
    for measure in ("dcase2024", "dcase2025"):
        found = dcase.evaluate([(reference, estimate)], 1, measure)
        assert found["F"] == 1 and found["RDE"] == pytest.approx(0.1) and found["DE"] == pytest.approx(10)


@pytest.mark.full("long")
def test_exactly_20_degrees_as_the_official_code_rounds_them():
    """20 degrees of azimuth at elevation 0: by the last bit, some are a hit and some are not."""
    for azimuth, is_hit in {
        azimuth: plain_degrees(azimuth, azimuth + 20) <= 20 for azimuth in range(-180, 160)
    }.items():
        reference, estimate = table((0, azimuth, range(10))), table((0, azimuth + 20, range(10)))
        assert counts(estimate, reference, "dcase2020")["hits"] == is_hit, azimuth


def plain_degrees(a, b):
    a, b = a * np.pi / 180, b * np.pi / 180
    return sum(10 * [np.arccos(np.clip(np.cos(np.abs(a - b)), -1, 1)) * 180 / np.pi]) / 10


def test_a_number_of_frames_takes_the_place_of_the_last_event():
    reference, estimate = table((0, 0, range(20))), table((0, 0, range(20)), (1, 0, range(30, 70)))
    assert dcase.tally(reference, estimate, 2, "dcase2020")["false_alarms"].sum() == 0
    assert dcase.tally(reference, estimate, 2, "dcase2020", n_frames=60)["false_alarms"].sum() == 3
    assert dcase.tally(reference, estimate, 2, "dcase2024", n_frames=60)["false_alarms"].sum() == 30
    assert dcase.tally(reference, estimate, 2, "dcase2021", n_frames=55)["false_alarms"].sum() == 3


def test_2024_leaves_out_the_last_frame():
    assert counts(table(), table((0, 0, range(11))), "dcase2024")["reference"] == 10


def test_2024_wants_the_distance_right_where_both_have_one():
    reference = table((0, 0, range(11))).assign(distance=100.0)
    near, far = (table((0, 0, range(11))).assign(distance=d) for d in (199.0, 210.0))
    assert counts(near, reference, "dcase2024")["hits"] == 10 and counts(far, reference, "dcase2024")["far"] == 10
    scores = dcase.evaluate([(reference, far)], 1, "dcase2024")
    assert scores["RDE"] == pytest.approx(1.1) and scores["SELD"] == pytest.approx((1 + 0.00081 / 180 + 1.1) / 3)
    assert "RDE" not in dcase.evaluate([(reference, table((0, 0, range(11))))], 1, "dcase2024")


def clip_tally(pair, measure):
    estimate, reference = pair
    return dcase.tally(reference, estimate, N_CLASSES, measure)


@pytest.mark.parametrize("measure", dcase.MEASURES)
def test_clips_in_one_table_are_kept_apart(measure):
    pairs = random_set(3, distances=False)
    total = sum(
        (clip_tally(pair, measure) for pair in pairs[1:]),
        clip_tally(pairs[0], measure),
    )
    joint = dcase.tally_pairs(reference_first(pairs), N_CLASSES, measure).sum()
    for key, value in total.scores().items():
        assert joint.scores()[key] == pytest.approx(value), key


@pytest.mark.parametrize("measure", dcase.MEASURES)
def test_empty_sides(measure):
    full = table((0, 0, range(15)))
    nothing_found = dcase.evaluate([(full, table())], 2, measure)
    assert (nothing_found["ER"], nothing_found["F"], nothing_found["LR"]) == (1, 0, 0)
    assert nothing_found["LE"] == (None if dcase.MEASURES[measure].segment_frames == 1 else 180)
    assert dcase.evaluate([(table(), full)], 2, measure)["ER"] == 0
    assert dcase.evaluate([], 2, measure)["ER"] == 0


def test_refusals():
    with pytest.raises(ValueError, match=r"measure must be one of dcase2020, .* not 'dcase2019'"):
        dcase.evaluate([], 2, "dcase2019")
    with pytest.raises(ValueError, match="class 2 in the table, but n_classes is 2"):
        dcase.evaluate([(table(), table((2, 0, [1])))], 2)
    with pytest.raises(ValueError, match="dcase2020 and of dcase2021 do not add up"):
        dcase.tally_pairs([], 2, "dcase2020") + dcase.tally_pairs([], 2, "dcase2021")
