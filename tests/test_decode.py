import numpy as np
import pandas as pd
import pytest

from einv2 import geometry, labels
from einv2.decode import decode


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
    assert table.empty and set(labels.FRAME_COLUMNS) <= set(table.columns)
    labels.write_csv(table, tmp_path / "empty.csv")
    assert (tmp_path / "empty.csv").read_text() == ""


def test_round_trip_of_track_arrays(rng):
    """Reference arrays, read as an output, give the table that they were made of."""
    rows = [(f, 3, 0, 10.0 + f, -5.0) for f in range(8)] + [(f, 3, 1, -120.0, 40.0) for f in range(4, 12)]
    rows += [(f, 1, 0, 179.0, 0.0) for f in range(14, 20)]
    table = pd.DataFrame(rows, columns=["frame", "class", "track", "azimuth", "elevation"]).assign(distance=np.nan)
    sed, doa, dropped = labels.to_tracks(table, 25, 2, 5)
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
