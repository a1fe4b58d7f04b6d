from itertools import groupby

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from einv2 import geometry
from einv2.inference.decoding import Decoding, decode, smooth
from einv2.inference.model import Prediction
from einv2.labels import dcase_csv, frame_tables


def test_decoding_by_hand():
    """Frame 0: track 0 has class 2, track 1 nothing. Frame 1: both tracks, the louder class of each."""
    sed = np.zeros((2, 2, 3))
    sed[0, 0] = 0.1, 0.2, 0.7
    sed[0, 1] = 0.5, 0.3, 0.0  # at the threshold is not above it
    sed[1, 0] = 0.6, 0.55, 0.0
    sed[1, 1] = 0.0, 0.9, 0.8
    doa = np.zeros((2, 2, 3))
    doa[0, 0] = 0, 0.2, 0  # left, and a short vector is as good as a long one
    doa[1, 0] = -1, 0, 0
    doa[1, 1] = 0.5, 0, 0.5
    table = decode(sed, doa)
    assert table[["frame", "class", "track"]].to_numpy().tolist() == [[0, 2, 0], [1, 0, 0], [1, 1, 1]]
    np.testing.assert_allclose(table["azimuth"], [90, -180, 0])
    np.testing.assert_allclose(table["elevation"], [0, 0, 45], atol=1e-9)
    np.testing.assert_allclose(table["confidence"], [0.7, 0.6, 0.9])
    assert table["distance"].isna().all()


def test_threshold():
    sed = np.array([0.2, 0.4, 0.6, 0.8]).reshape(4, 1, 1)
    doa = np.tile([1.0, 0, 0], (4, 1, 1))
    for threshold, frames in ((0.0, [0, 1, 2, 3]), (0.4, [2, 3]), (0.7, [3]), (0.8, []), (1.0, [])):
        assert decode(sed, doa, threshold)["frame"].tolist() == frames


def test_nothing_active_is_an_empty_frame_table(tmp_path):
    table = decode(np.zeros((5, 2, 3)), np.zeros((5, 2, 3)))
    assert table.empty and set(frame_tables.FRAME_COLUMNS) <= set(table.columns)
    dcase_csv.write_csv(table, tmp_path / "empty.csv")
    assert (tmp_path / "empty.csv").read_text() == ""


def test_round_trip_of_track_arrays(rng):
    """Reference arrays, read as an output, give the table that they were made of."""
    rows = [(f, 3, 0, 10.0 + f, -5.0) for f in range(8)] + [(f, 3, 1, -120.0, 40.0) for f in range(4, 12)]
    rows += [(f, 1, 0, 179.0, 0.0) for f in range(14, 20)]
    table = pd.DataFrame(rows, columns=["frame", "class", "track", "azimuth", "elevation"]).assign(distance=np.nan)
    sed, doa, dropped = frame_tables.to_tracks(table, 25, 2, 5)
    decoded = decode(sed, doa)
    assert dropped == 0 and len(decoded) == len(table)
    keys = ["frame", "class", "azimuth"]
    ours, theirs = decoded.sort_values(keys), table.sort_values(keys)
    assert (ours[["frame", "class"]].to_numpy() == theirs[["frame", "class"]].to_numpy()).all()
    angles = [t[["azimuth", "elevation"]].to_numpy().T for t in (ours, theirs)]
    assert geometry.angular_distance(*angles[0], *angles[1]).max() < 1e-4


@pytest.mark.parametrize(
    "sed, doa", [((5, 2), (5, 2, 3)), ((5, 2, 4), (5, 2, 2)), ((5, 2, 4), (4, 2, 3)), ((5, 2, 4), (5, 3, 3))]
)
def test_wrong_shapes_are_named(sed, doa):
    with pytest.raises(ValueError, match=r"sed must be \(T, M, K\) and doa \(T, M, 3\), not"):
        decode(np.zeros(sed), np.zeros(doa))


# Choices of decoding


def tracks(*lines, high=0.9, low=0.1, n_classes=3):
    """sed and doa of one track a line: a letter is a class (a is 0) of probability ``high``, a dot is silence (``low``)."""
    sed = np.full((len(lines[0]), len(lines), n_classes), low)
    for m, line in enumerate(lines):
        for t, letter in enumerate(line):
            if letter != ".":
                sed[t, m, ord(letter) - ord("a")] = high
    return sed, np.tile([1.0, 0, 0], (*sed.shape[:2], 1))


def drawn(table, n_frames, n_tracks):
    """The lines that ``tracks`` would draw for a frame table."""
    lines = [["."] * n_frames for _ in range(n_tracks)]
    for frame, index, track in table[["frame", "class", "track"]].to_numpy():
        lines[track][frame] = chr(ord("a") + index)
    return ["".join(line) for line in lines]


def redrawn(*lines, **choices):
    sed, doa = tracks(*lines)
    return drawn(decode(sed, doa, decoding=Decoding(**choices)), len(lines[0]), len(lines))


@pytest.mark.parametrize(
    "choices, before, after",
    [
        ({}, "a.ab.b", "a.ab.b"),
        ({"gap_frames": 1}, "a.a..a.b.b", "aaa..a.bbb"),
        ({"gap_frames": 2}, "..a..a...a..", "..aaaa...a.."),
        ({"gap_frames": 5}, "a.b.a", "a.b.a"),  # what another class interrupts is two events
        ({"minimum_frames": 2}, "a.aa.bab.bb", "..aa.....bb"),
        ({"minimum_frames": 3}, "aaa.aa.a", "aaa....."),
        (
            {"minimum_frames": 3, "gap_frames": 1},
            "a.a..a.b",
            "aaa.....",
        ),  # fragments are joined before they are measured
        ({"minimum_frames": 3, "gap_frames": 1}, "aaabaaa", "aaaaaaa"),  # and again once the interruption is gone
        ({"median_frames": 3}, ".a.aa.aa.b", "..aaaaaa.b"),
        ({"median_frames": 3}, "a.......a", "a.......a"),  # the ends are repeated, so what stands there stays
        ({"median_frames": 5}, "...aaa.aab...", "...aaaaa....."),
    ],
)
def test_smoothing_by_hand(choices, before, after):
    assert redrawn(before, **choices) == [after]


def test_tracks_are_smoothed_apart():
    """One ends with the class that the next begins with; frames of one never count for another."""
    assert redrawn("...aa", "aa...", "a...a", gap_frames=3, minimum_frames=3) == [".....", ".....", "aaaaa"]
    assert redrawn("....a", ".a...", gap_frames=3) == ["....a", ".a..."]


def test_the_median_is_of_probabilities_and_so_is_the_confidence():
    sed = np.array([0.9, 0.2, 0.6, 0.8, 0.7]).reshape(5, 1, 1)
    table = decode(sed, np.ones((5, 1, 3)), decoding=Decoding(median_frames=3))
    np.testing.assert_allclose(table["confidence"], [0.9, 0.6, 0.6, 0.7, 0.7])


def test_median_filter_against_plain_loops(rng):
    sed = rng.random((23, 2, 3)).astype(np.float32)
    sed[:, 1, 2] = 0
    for frames in (1, 3, 7, 31):
        padded = np.concatenate([np.repeat(sed[:1], frames // 2, 0), sed, np.repeat(sed[-1:], frames // 2, 0)])
        expected = np.stack([np.median(padded[t : t + frames], axis=0) for t in range(len(sed))])
        np.testing.assert_array_equal(smooth(sed, frames), expected)


def test_thresholds_of_classes():
    """Frame 0: only class 1 is above its own. Frame 1: both are, and class 1 by more. Frame 2: class 0 by more. 3: neither."""
    sed = np.array([[0.55, 0.3], [0.7, 0.4], [0.9, 0.3], [0.6, 0.2]])[:, None]
    table = decode(sed, np.ones((4, 1, 3)), decoding=Decoding(0.6, {1: 0.2}))
    assert table[["frame", "class"]].to_numpy().tolist() == [[0, 1], [1, 1], [2, 0]]
    np.testing.assert_allclose(table["confidence"], [0.3, 0.4, 0.9])
    assert Decoding(0.6, {4: 0.3, 1: 0.2}) == Decoding(0.6, [[1, 0.2], [4, 0.3]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_threshold_for_all_classes_is_the_plain_rule(rng, dtype):
    sed, doa = rng.random((200, 2, 5)).round(2).astype(dtype), rng.normal(size=(200, 2, 3))
    for threshold in (0.0, 0.3, 0.7, 0.95):
        plain = decode(sed, doa, threshold)
        best = sed.max(-1)
        assert len(plain) == (best > dtype(threshold)).sum()
        pd.testing.assert_frame_equal(decode(sed, doa, 0.1, Decoding(threshold)), plain)
        each = dict.fromkeys(range(5), threshold)
        pd.testing.assert_frame_equal(decode(sed, doa, decoding=Decoding(1.0, each)), plain)


def test_a_bridged_gap_turns_evenly_along_the_great_circle():
    sed, doa = tracks("a...a", "ab..b")
    doa[:, 0] = geometry.to_vector(170, 0)
    doa[-1, 0] = 3 * geometry.to_vector(-150, 0)  # its length does not matter
    doa[1, 1], doa[4, 1] = geometry.to_vector(0, 60), geometry.to_vector(-180, 60)  # over the zenith
    table = decode(sed, doa, decoding=Decoding(gap_frames=3))
    first, second = table[table["track"] == 0], table[(table["track"] == 1) & (table["class"] == 1)]
    np.testing.assert_allclose(first["azimuth"], [170, -180, -170, -160, -150], atol=1e-9)
    np.testing.assert_allclose(first["confidence"], [0.9, 0.1, 0.1, 0.1, 0.9])
    np.testing.assert_allclose(second["elevation"], [60, 80, 80, 60])
    assert doa[2, 0].tolist() == geometry.to_vector(170, 0).tolist()  # the input is left alone


def test_opposite_directions_have_a_way_between_them():
    ends = np.array([[1.0, 0, 0], [0, 0, 1], [0, 0, 0], [0.3, -0.5, 0.2]])
    way = geometry.great_circle(
        ends, np.array([[-2.0, 0, 0], [0, 0, -1], [1, 0, 0], [0.3, -0.5, 0.2]]), np.full(4, 0.5)
    )
    np.testing.assert_allclose(way[:2], [[0, 1, 0], [0, 1, 0]], atol=1e-9)
    np.testing.assert_allclose(way[2:], [[1, 0, 0], ends[3] / np.linalg.norm(ends[3])], atol=1e-9)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    gap=st.integers(0, 4),
    minimum=st.integers(1, 4),
    median=st.sampled_from([1, 3, 5]),
    n_tracks=st.integers(1, 3),
)
def test_no_event_is_too_short_and_no_gap_is_left(seed, gap, minimum, median, n_tracks):
    rng = np.random.default_rng(seed)
    sed, doa = rng.beta(0.4, 0.6, (40, n_tracks, 3)), rng.normal(size=(40, n_tracks, 3))
    choices = Decoding(0.6, {1: 0.4}, median, minimum, gap)
    table = decode(sed, doa, decoding=choices)
    for line in drawn(table, 40, n_tracks):
        runs = [(letter, len(list(group))) for letter, group in groupby(line)]
        assert all(length >= minimum for letter, length in runs if letter != ".")
        around = zip(runs, runs[1:], runs[2:])
        assert not [r for r in around if r[1][0] == "." and r[1][1] <= gap and r[0][0] == r[2][0]]
    order = rng.permutation(n_tracks)
    moved = decode(sed[:, order], doa[:, order], decoding=choices)
    moved["track"] = order[moved["track"]]
    same = moved.sort_values(["frame", "class", "track"], ignore_index=True)
    pd.testing.assert_frame_equal(same, table, check_dtype=False)


@pytest.mark.parametrize("shape", [(0, 2, 3), (1, 2, 3), (2, 0, 3), (3, 14, 14)])
def test_clips_of_no_and_few_frames(shape):
    sed, doa = np.full(shape, 0.9), np.ones((*shape[:2], 3))
    choices = Decoding(median_frames=5, minimum_frames=1, gap_frames=2)
    assert len(decode(sed, doa, decoding=choices)) == shape[0] * shape[1]
    assert len(decode(sed, doa, decoding=Decoding(minimum_frames=4, gap_frames=1))) == 0


@pytest.mark.parametrize(
    "choices, says",
    [
        ({"threshold": 1.5}, "threshold must be within"),
        ({"threshold": float("nan")}, "threshold must be within"),
        ({"class_thresholds": {2: -0.1}}, "class_thresholds of class 2 must be within"),
        ({"class_thresholds": ((2, 0.1), (2, 0.3))}, "must name a class once"),
        ({"class_thresholds": {-1: 0.1}}, "class_thresholds must be a whole number of at least 0"),
        ({"median_frames": 4}, "median_frames must be odd"),
        ({"median_frames": 0}, "median_frames must be a whole number of at least 1"),
        ({"minimum_frames": 0}, "minimum_frames must be"),
        ({"gap_frames": -1}, "gap_frames must be"),
        ({"gap_frames": 1.5}, "gap_frames must be a whole number"),
    ],
)
def test_choices_out_of_range_are_named(choices, says):
    with pytest.raises(ValueError, match=says):
        Decoding(**choices)


def test_a_threshold_for_a_class_that_there_is_not():
    with pytest.raises(ValueError, match=r"class_thresholds names class 3, but there are 3"):
        decode(*tracks("ab"), decoding=Decoding(class_thresholds={3: 0.5}))


def test_a_prediction_passes_the_choices_on():
    sed, doa = tracks("aa.aa.b")
    prediction = Prediction(sed, doa, ("alarm", "piano", "crash"))
    choices = Decoding(gap_frames=1, minimum_frames=2)
    assert prediction.frames(decoding=choices)["frame"].tolist() == [0, 1, 2, 3, 4]
    assert prediction.events(decoding=choices)["offset"].tolist() == [0.5]
    assert len(prediction.events()) == 3
