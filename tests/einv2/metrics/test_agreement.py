"""Two systems on one clip: hand-made cases, and that neither the names of tracks nor the order of systems matters."""

import numpy as np
import pytest

from einv2.labels import frame_tables
from einv2.metrics.agreement import agreement, differences
from einv2.metrics.errors import CORRECT, classify
from support.numbered_tables import random_tables, table


def rows(found, *columns):
    return [tuple(row) for row in found[list(columns)].to_numpy()]


def test_a_system_agrees_with_itself_under_any_names_of_its_tracks():
    first = table((0, 10, 1, 0, 0), (2, 12, 1, 1, 90))
    for second in (first, first.assign(track=1 - first["track"])):
        found = agreement(first, second, 2, 2)
        assert (found.share, found.degrees, found.in_order) == (1, 0, 1) and found.stretches.empty
    assert found.permutation.tolist() == [1, 0] and found.pairs.tolist() == [[0, 10], [10, 0]]


def test_one_swap_between_them():
    """In frames 8 and 9 the second has the tracks the other way round: 16 of 20 pairs are on tracks that go together."""
    first = table((0, 10, 1, 0, 0), (0, 10, 2, 1, 90))
    second = table((0, 8, 1, 1, 10), (8, 10, 1, 0, 10), (0, 8, 2, 0, 90), (8, 10, 2, 1, 90))
    found = agreement(first, second, 2, 2)
    assert found.permutation.tolist() == [1, 0] and found.in_order == pytest.approx(0.8)
    assert found.share == 1 and found.degrees == pytest.approx(5)


def test_where_they_differ():
    """Class 1: 10 frames in both. Class 2: only the first for 5 frames; then the second has it 40 degrees off for 3; then class 0
    in its place for 2. Class 4: only the second, for 4 frames."""
    first = table((0, 10, 1, 0, 0), (0, 10, 2, 1, 90))
    second = table((0, 10, 1, 0, 0), (5, 8, 2, 1, 130), (8, 10, 0, 1, 90), (11, 15, 4, 0, 0))
    found = agreement(first, second, 2, 2)
    assert (found.first, found.second, found.same) == (20, 19, 10) and found.share == pytest.approx(20 / 39)
    assert rows(found.stretches, "kind", "class", "onset", "offset", "frames") == [
        ("only first", 2, 0.0, 0.5, 5), ("only second", 4, 1.1, 1.5, 4), ("other place", 2, 0.5, 0.8, 3),
        ("other class", 2, 0.8, 1.0, 2),
    ]  # fmt: skip


def test_more_tracks_than_the_other():
    first = table((0, 4, 1, 0, 0), (0, 6, 2, 1, 90), (0, 2, 3, 2, 180))
    found = agreement(first, first.assign(track=0), 3, 1)
    assert found.permutation.tolist() == [-1, 0, -1] and found.in_order == pytest.approx(0.5)


@pytest.mark.parametrize("seed", range(5))
def test_the_share_is_symmetric(seed):
    rng = np.random.default_rng(seed)
    first, second = random_tables(rng)
    first = first.assign(azimuth=first["azimuth"] + rng.random(len(first)))  # no two matchings cost the same
    second = second.assign(track=second["track"] % 2)
    a, b = agreement(first, second, 2, 2), agreement(second, first, 2, 2)
    assert (a.share, a.same) == (b.share, b.same)
    assert a.degrees == pytest.approx(b.degrees) and (a.pairs.sum(), a.in_order) == (b.pairs.sum(), b.in_order)
    frames = a.stretches.groupby("kind")["frames"].sum()
    assert frames.drop("only second", errors="ignore").sum() == len(first) - a.same


def test_nothing_said():
    silent = frame_tables.empty_table()
    found = agreement(silent, silent, 2, 2)
    assert (found.share, found.degrees, found.in_order) == (None, None, None) and found.stretches.empty
    assert agreement(table((0, 3, 1, 0, 0)), silent, 1, 1).share == 0
    assert differences(silent, silent, silent).empty


def test_where_one_is_right_and_the_other_is_not():
    """The first misses frames 4 to 9 of the event; the second is 30 degrees off in 0 and 1, and says a class that is not there for 7
    frames, of which the first says the same class wrongly in two."""
    reference = table((0, 10, 1, 0, 0))
    first = table((0, 4, 1, 0, 0), (10, 12, 2, 0, 90))
    second = table((0, 2, 1, 0, 30), (2, 10, 1, 0, 0), (10, 17, 2, 1, 90))
    found = differences(reference, first, second)
    assert rows(found, "right", "side", "kind", "class", "onset", "frames") == [
        (1, "reference", "missed", 1, 0.4, 6), (0, "system", "false alarm", 2, 1.2, 5), (0, "reference", "wrong place", 1, 0.0, 2),
    ]  # fmt: skip


def test_the_most_frequent_error_names_a_stretch():
    reference = table((0, 10, 1, 0, 0))
    second = table((0, 3, 1, 0, 40), (7, 10, 2, 0, 0))
    (stretch,) = differences(reference, reference, second).to_dict("records")
    assert (stretch["kind"], stretch["frames"], stretch["right"]) == ("missed", 10, 0)


@pytest.mark.parametrize("seed", range(5))
def test_frames_of_differences_are_those_of_the_outcomes(seed):
    first, reference = random_tables(np.random.default_rng(seed))
    second, _ = random_tables(np.random.default_rng(seed + 100))
    correct = [classify(reference, t).reference_kind == CORRECT for t in (first, second)]
    found = differences(reference, first, second)
    for right in (0, 1):
        frames = found.loc[(found["right"] == right) & (found["side"] == "reference"), "frames"].sum()
        assert frames == (correct[right] & ~correct[1 - right]).sum()
    assert found["frames"].is_monotonic_decreasing
