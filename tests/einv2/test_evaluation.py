"""Everything measured of a system at once: the same figures as its parts give, plain values, and the difference of two."""

import json

import numpy as np
import pandas as pd
import pytest

import einv2
from einv2 import evaluation
from einv2.audio import recordings
from einv2.inference.model import Prediction
from einv2.labels import clip_sets, dcase_csv, frame_tables
from einv2.metrics import dcase, errors, intervals

CLASSES = ("alarm", "piano", "crash")


def rows(*events):
    """CSV of events (class, track, azimuth, frames)."""
    return "".join(f"{f},{c},{t},{azimuth},0\n" for c, t, azimuth, frames in events for f in frames)


REFERENCE = {
    "a": rows((0, 0, 0, range(30)), (1, 0, 90, range(10, 30))),
    "b": rows((1, 0, -90, range(20)), (1, 1, 45, range(10, 20))),
}
ESTIMATE = {
    "a": rows((0, 0, 3, range(15)), (0, 1, 3, range(15, 30)), (1, 1, 130, range(10, 15)), (2, 1, 88, range(20, 30))),
    "b": rows((1, 0, -80, range(20)), (0, 1, 170, range(5))),
}


def clips(estimate=ESTIMATE, reference=REFERENCE):
    encoded = ({stem: text.encode() for stem, text in side.items()} for side in (estimate, reference))
    return clip_sets.read_clips(*encoded, CLASSES)


@pytest.fixture(scope="module")
def result():
    return evaluation.evaluate_clips(clips())


def test_scores_are_those_of_each_measure(result):
    for measure in dcase.MEASURES:
        expected = dcase.report(result.tallies[measure].sum())
        assert {k: result.scores[measure][k] for k in expected if k != "per_class"} == {
            k: v for k, v in expected.items() if k != "per_class"
        }
        bounds = intervals.intervals(result.tallies[measure], "jackknife")
        assert result.scores[measure]["intervals"]["jackknife"]["F"] == pytest.approx(bounds["F"])
    assert [c["class"] for c in result.scores["dcase2020"]["per_class"]] == list(CLASSES)


def test_every_frame_has_its_kind(result):
    found = errors.counts(result.outcomes)
    assert found["reference"] == {"correct": 50, "wrong place": 5, "wrong class": 10, "missed": 15}
    assert found["system"] == {"correct": 50, "wrong place": 5, "wrong class": 10, "false alarm": 5, "duplicate": 0}
    named = result.named_error_events()
    assert set(zip(named["clip"], named["kind"], named["class"], named["heard_as"])) == {
        ("a", "missed", "piano", ""),
        ("a", "wrong place", "piano", ""),
        ("a", "wrong class", "piano", "crash"),
        ("b", "missed", "piano", ""),
        ("b", "false alarm", "alarm", ""),
    }


def test_breakdowns_add_up_to_all(result):
    total = result.breakdowns["all"].loc["all"]
    assert total["reference"] == 80 and total["correct"] == 50
    for name in ("class", "clip", "polyphony", "azimuth", "elevation"):
        table = result.breakdowns[name]
        assert table[list(errors.KINDS)].sum().tolist() == [total[k] for k in errors.KINDS], name
    assert "level" not in result.breakdowns


def test_events_in_a_group_are_those_of_its_rows(result):
    piano = result.events_in("class", "piano")
    assert set(piano["kind"]) == {"missed", "wrong place", "wrong class"}
    assert piano["frames"].sum() == 30
    two = result.events_in("polyphony", "two of one class")
    assert two[["clip", "kind", "frames"]].to_numpy().tolist() == [[1, "missed", 10]]


def test_a_swap_shows_in_identity_only(result):
    assert result.identity_rates["swaps_per_event"] == pytest.approx(1 / 2)
    swapped = result.events.iloc[0]
    assert (swapped["swaps"], swapped["tracks"]) == (1, (0, 1))
    assert result.scores["dcase2020"]["per_class"][0]["F"] < 1  # for the false alarm in b
    assert result.tallies["dcase2020"].each(lambda counts: counts[0]).class_scores()["F"][0] == 1


def test_report_is_plain_json(result):
    report = json.loads(json.dumps(result.report(), allow_nan=False))
    assert report["n_clips"] == 2 and report["measures"]["dcase2024"]["F"] == result.scores["dcase2024"]["F"]
    assert report["confusion"]["classes"] == [*CLASSES, "nothing"] and report["confusion"]["frames"][1][2] == 10
    assert {r["group"]: r["missed"] for r in report["breakdowns"]["clip"]} == {"a": 5, "b": 10}
    assert report["overlap"]["same"] == {"frames": 10, "found": 0.0}
    assert "reliability" not in report


def test_probabilities_and_levels(rng):
    sed = np.zeros((30, 2, 3), np.float32)
    sed[:15, 0, 0], sed[15:, 1, 0] = 0.9, 0.7
    predictions = [Prediction(sed, np.tile([1.0, 0, 0], (30, 2, 1)), CLASSES)] * 2
    levels = [np.where(np.arange(30) < 10, -10.0, -35.0), None]
    found = evaluation.evaluate_clips(clips(), predictions, levels)
    assert found.reliability.n.sum() == 60 and found.reliability.right.sum() == 30
    assert found.report()["thresholds"]["per_class"][0]["class"] == "alarm"
    of_level = found.breakdowns["level"]["reference"]
    assert of_level["0 to -10 dB"] == 10 and of_level["-20 to -30 dB"] == 40 and of_level.sum() == 50


def test_difference_of_two_systems(result):
    better = evaluation.evaluate_clips(clips(REFERENCE))
    found = evaluation.differences(result, better)
    for measure, scores in found.items():
        change = better.scores[measure]["F"] - result.scores[measure]["F"]
        assert scores["F"]["value"] == pytest.approx(change) and change > 0, measure
        assert scores["F"]["low"] <= change <= scores["F"]["high"] + 1e-9
    with pytest.raises(ValueError, match="same clips"):
        evaluation.differences(result, evaluation.evaluate_clips(clips({"a": ""}, {"a": ""})))


def test_one_clip_has_no_intervals_and_no_harm_done():
    one = evaluation.evaluate_clips(clips({"a": ESTIMATE["a"]}, {"a": REFERENCE["a"]}))
    assert one.scores["dcase2020"]["intervals"] == {}
    assert evaluation.differences(one, one)["dcase2020"]["F"] == {"value": 0.0, "low": None, "high": None}


@pytest.mark.parametrize(
    "sides",
    [
        ({"a": ""}, {"a": rows((0, 0, 0, range(5)))}),
        ({"a": rows((0, 0, 0, range(5)))}, {"a": ""}),
        ({"a": ""}, {"a": ""}),
    ],
)
def test_empty_sides(sides):
    report = evaluation.evaluate_clips(clips(*sides)).report()
    assert json.dumps(report, allow_nan=False)


def test_progress_may_stop_it():
    def stop(share, what):
        if share > 0.5:
            raise InterruptedError(what)

    with pytest.raises(InterruptedError):
        evaluation.evaluate_clips(clips(), progress=stop)


def test_evaluate_in_a_notebook(tmp_path):
    """Events as ``Prediction.events`` gives them, a frame table, or a file, against a file."""
    file = tmp_path / "a.csv"
    file.write_text(REFERENCE["a"])
    table = dcase_csv.read_csv(file)
    events = frame_tables.frames_to_events(table)
    for estimate in (events, table, file):
        assert einv2.evaluate(estimate, file)["F"] == pytest.approx(1)
    several = einv2.evaluate(events, file, ["dcase2020", "dcase2024"])
    assert list(several) == ["dcase2020", "dcase2024"] and several["dcase2024"]["per_class"][0]["F"] == pytest.approx(1)
    with pytest.raises(ValueError, match="measure must be one of"):
        einv2.evaluate(events, file, "dcase2019")


def test_frame_levels():
    signal = np.zeros((4, 24000 // 4), np.float32)
    signal[0, :2400], signal[1:] = 0.1, 1.0
    assert recordings.frame_levels(signal) == pytest.approx([-20, -np.inf, -np.inf])
    assert pd.isna(recordings.frame_levels(signal[:, :0])).tolist() == []
