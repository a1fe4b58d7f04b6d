"""DCASE 2020 measures: cases computed by hand, and plain loops after the challenge's own code."""

import numpy as np
import pandas as pd
import pytest

from einv2 import geometry
from einv2.labels import frame_tables
from einv2.metrics import dcase
from support import plain_measures


def table(*rows):
    """A frame table of rows (frame, class, azimuth) or (frame, class, azimuth, elevation)."""
    if not rows:
        return frame_tables.empty_table()
    full = [(*row, 0)[:4] for row in rows]
    columns = pd.DataFrame(full, columns=["frame", "class", "azimuth", "elevation"]).astype({"azimuth": float})
    return columns.assign(track=columns.groupby(["frame", "class"]).cumcount(), distance=np.nan)


def event(class_index, azimuth, frames):
    return [(frame, class_index, azimuth) for frame in frames]


def tally(estimate, reference, measure="dcase2020", threshold=20.0):
    return dcase.tally(reference, estimate, 4, measure, threshold)


def counts(total, *names):
    """Of all classes."""
    return tuple(int(total[name].sum()) for name in names)


def scores(estimate, reference, n_classes=4):
    return dcase.evaluate([(reference, estimate)], n_classes)


def test_perfect():
    reference = table(*event(0, 10, range(25)), *event(2, -170, range(12, 40)))
    result = scores(reference, reference)
    assert {k: result[k] for k in ("ER", "F", "LE", "LR", "SELD")} == dict(ER=0, F=1, LE=0, LR=1, SELD=0)
    assert [c["n_reference"] for c in result["per_class"]] == [3, 0, 3, 0]


def test_one_class_missed():
    """2 of 4 class-seconds are found: ER 2/4, F and LR 2 * 2 / (2 + 4)."""
    reference = table(*event(0, 10, range(20)), *event(1, 50, range(20)))
    result = scores(table(*event(0, 15, range(20))), reference)
    assert result["ER"] == pytest.approx(0.5) and result["F"] == pytest.approx(2 / 3)
    assert result["LE"] == pytest.approx(5) and result["LR"] == pytest.approx(2 / 3)
    assert result["SELD"] == pytest.approx((0.5 + 1 / 3 + 5 / 180 + 1 / 3) / 4)
    assert result["per_class"][1]["F"] == 0 and result["per_class"][1]["LE"] == 180
    assert result["per_class"][0]["F"] == 1 and result["per_class"][0]["LR"] == 1


def test_false_alarm_and_miss_in_one_second_are_one_substitution():
    total = tally(table(*event(1, 0, range(10))), table(*event(0, 0, range(10))))
    assert counts(total, "substitutions", "deletions", "insertions") == (1, 0, 0)
    assert total.scores()["ER"] == 1


def test_false_alarm_and_miss_in_two_seconds_are_not():
    reference = table(*event(0, 0, range(20)))
    estimate = table(*event(0, 0, range(10)), *event(1, 0, range(9)))
    total = tally(estimate, reference)
    assert counts(total, "substitutions", "deletions", "insertions") == (0, 1, 1)
    assert total.scores()["ER"] == 1 and total.scores()["F"] == pytest.approx(2 / 4)


def test_far_direction_is_a_miss_without_a_false_alarm():
    total = tally(table(*event(0, 21, range(10))), table(*event(0, 0, range(10))))
    assert counts(total, "hits", "substitutions", "deletions", "insertions") == (0, 0, 1, 0)
    assert counts(total, "matched", "system") == (1, 1) and total["degrees"].sum() == pytest.approx(21)
    assert total.scores()["LR"] == 1 and total.scores()["F"] == 0


def test_distance_of_exactly_the_threshold_is_a_hit():
    estimate, reference = table(*event(0, 20, range(10))), table(*event(0, 0, range(10)))
    distance = tally(estimate, reference)["degrees"].sum()
    assert tally(estimate, reference, threshold=distance)["hits"].sum() == 1
    assert tally(estimate, reference, threshold=distance - 1e-9)["hits"].sum() == 0


def test_two_instances_count_once_and_their_distances_add_up():
    reference = table(*event(0, 0, range(10)), *event(0, 90, range(10)))
    total = tally(table(*event(0, 94, range(10)), *event(0, 3, range(10))), reference)
    assert counts(total, "reference", "system", "hits") == (1, 1, 1)
    assert total["degrees"].sum() == pytest.approx(7)
    one = tally(table(*event(0, 94, range(10))), reference)
    assert counts(one, "reference", "hits") == (1, 1) and one["degrees"].sum() == pytest.approx(4)


def test_mean_over_common_frames_only():
    """Frames 0 to 4 both, 10 degrees off; what only one side has in that second does not weigh."""
    total = tally(table(*event(0, 10, range(5))), table(*event(0, 0, range(10))))
    assert total["hits"].sum() == 1 and total["degrees"].sum() == pytest.approx(10)


def test_same_second_but_no_common_frame_is_a_miss():
    total = tally(table(*event(0, 0, range(5))), table(*event(0, 0, range(5, 10))))
    assert counts(total, "hits", "deletions", "matched", "system") == (0, 1, 0, 1)


def test_frames_beyond_the_reference_are_ignored():
    """The reference ends in frame 15, so seconds 0 and 1 count; its frame 20, were it the last one, would not."""
    reference = table(*event(0, 0, range(16)))
    estimate = table(*event(0, 0, range(16)), *event(1, 0, range(20, 60)))
    assert scores(estimate, reference)["ER"] == 0
    total = tally(frame_tables.empty_table(), table(*event(0, 0, range(21))))
    assert total["reference"].sum() == 2


def test_empty_estimate_and_empty_reference():
    result = scores(frame_tables.empty_table(), table(*event(0, 0, range(10))))
    assert {k: result[k] for k in ("ER", "F", "LE", "LR", "SELD")} == dict(ER=1, F=0, LE=180, LR=0, SELD=1)
    silent = scores(table(*event(0, 0, range(10))), frame_tables.empty_table())
    assert silent["ER"] == 0 and silent["LE"] == 180


def test_clips_add_up():
    """Micro average: counts of clips are joined before the ratios are taken."""
    first = table(*event(0, 0, range(10)))
    second = table(*event(0, 0, range(30)))
    result = dcase.evaluate([(first, first), (second, frame_tables.empty_table())], 4)
    assert result["ER"] == pytest.approx(3 / 4) and result["F"] == pytest.approx(2 * 1 / (1 + 4))


# Agreement with an independent implementation

COLUMNS = ["frame", "class", "track", "azimuth", "elevation", "distance"]


def random_pair(rng, n_classes):
    """Random events, and an estimate that loses, moves, confuses and invents some."""
    reference, estimate = [], []
    for _ in range(rng.integers(0, 9)):
        start, length, c = rng.integers(0, 60), rng.integers(1, 25), rng.integers(n_classes)
        azimuth, elevation = rng.uniform(-180, 180), rng.uniform(-80, 80)
        rows = [(f, c, azimuth, elevation) for f in range(start, start + length)]
        reference += rows
        kind, off = rng.random(), rng.normal(0, 15, 2)
        if kind < 0.8:
            c = c if kind < 0.6 else rng.integers(n_classes)
            moved = geometry.wrap_azimuth(azimuth + off[0]), np.clip(elevation + off[1], -90, 90)
            estimate += [(f, c, *moved) for f, *_ in rows if rng.random() < 0.9]
    for _ in range(rng.integers(0, 3)):
        start, c = rng.integers(0, 90), rng.integers(n_classes)
        estimate += [(f, c, rng.uniform(-180, 180), 5.0) for f in range(start, start + 12)]
    return table(*estimate), table(*reference)


@pytest.mark.parametrize("seed", range(6))
def test_agreement_with_plain_loops(seed):
    rng = np.random.default_rng(seed)
    pairs = [random_pair(rng, 4) for _ in range(6)]
    rows = [[t[COLUMNS].fillna(0).to_numpy().tolist() for t in pair] for pair in pairs]
    ours, (plain, _) = dcase.evaluate([(r, e) for e, r in pairs], 4), plain_measures.scores(rows, 4, "dcase2020")
    assert 0 < plain["F"] < 1 and 0 < plain["LR"] < 1
    for key, value in plain.items():
        assert ours[key] == pytest.approx(value, abs=1e-6), key
