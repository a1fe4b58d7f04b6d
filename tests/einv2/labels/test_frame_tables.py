import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from einv2 import geometry
from einv2.labels import class_lists, csv_layout, dcase_csv, frame_tables


def table(*rows):
    """A frame table of rows (frame, class, track, azimuth, elevation[, distance])."""
    rows = [(*row, np.nan) if len(row) == 5 else row for row in rows]
    return pd.DataFrame(rows, columns=frame_tables.FRAME_COLUMNS).astype(frame_tables.empty_table().dtypes.to_dict())


def event(k, instance, onset, offset, azimuth=0, elevation=0):
    return [(t, k, instance, azimuth, elevation) for t in range(onset, offset)]


def read(text, **options):
    return dcase_csv.read_csv(io.StringIO(text), name="clip.csv", **options)


def written(frames, format, **options):
    buffer = io.StringIO()
    dcase_csv.write_csv(frames, buffer, format, **options)
    return buffer.getvalue()


def assert_same(a, b):
    pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True))


SCENE = table(
    *event(3, 0, 0, 4, -180, -90),
    *event(3, 1, 2, 5, 179, 90),
    *event(0, 2, 7, 8, -35, 10),
).sort_values(["frame", "class", "track"], ignore_index=True)


@pytest.mark.parametrize("format", ["dcase2020", "dcase2021", "dcase2022", "dcase2023", "dcase2024"])
def test_formats_with_tracks_round_trip(format):
    assert_same(read(written(SCENE, format)), SCENE)


def test_distance_round_trips_and_unknown_is_zero():
    frames = SCENE.assign(distance=[120.0, np.nan, *[300.0] * 6])
    assert written(frames, "dcase2024").splitlines()[1].endswith(",0")
    assert_same(read(written(frames, "dcase2024")), frames)


def test_output_format_numbers_simultaneous_instances():
    back = read(written(SCENE, "dcase2020_output"))
    assert back.query("frame == 2")["track"].tolist() == [0, 1]
    assert_same(back.drop(columns="track"), SCENE.drop(columns="track"))


def test_cartesian_round_trips():
    text = written(SCENE, "cartesian")
    assert dcase_csv.detect_format(text) == "cartesian"
    back = read(text)
    vectors = [geometry.to_vector(t["azimuth"], t["elevation"]) for t in (back, SCENE)]
    assert geometry.distance(*vectors).max() < 1e-3
    assert back[["frame", "class"]].equals(SCENE[["frame", "class"]])


@pytest.mark.parametrize("row", ["0,1,2,0.0,1.0,0.0", "0,1,2,0.0,1.0,0.0,150"])
def test_cartesian_with_source_and_distance(row):
    back = read(row).iloc[0]
    assert (back["track"], back["azimuth"], back["elevation"]) == (2, 90, 0)
    assert np.isnan(back["distance"]) if row.endswith("0.0") else back["distance"] == 150


def test_2019_round_trip():
    frames = SCENE.assign(distance=200.0)
    text = written(frames, "dcase2019", classes=class_lists.DCASE2020_CLASSES)
    assert text.splitlines()[0] == "sound_event_recording,start_time,end_time,ele,azi,dist"
    assert text.splitlines()[1] == "barking dog,0,0.4,-90,-180,2"
    back = read(text)
    assert_same(back.drop(columns="track"), frames.drop(columns="track"))


def test_2019_spelling_of_the_data_set_times_and_wrap():
    text = (
        "sound_event_recording,start_time,end_time,ele,azi,dist\nkeysDrop,0.3,0.7,10,180,2\nclearthroat,0,0.01,0,0,1\n"
    )
    back = read(text, classes=class_lists.DCASE2019_CLASSES)
    keys = back[back["class"] == 4]
    assert keys["frame"].tolist() == [3, 4, 5, 6]  # int(0.7 / 0.1) is 6, which would lose the last frame
    assert set(keys["azimuth"]) == {-180} and set(keys["distance"]) == {200}
    assert back[back["class"] == 2]["frame"].tolist() == [0]


@pytest.mark.parametrize(
    "seconds, frame", [("0.24", 2), ("0.249", 2), ("0.25", 3), ("0.26", 3), ("59.95", 600), ("4.1", 41)]
)
def test_2019_times_go_to_the_nearest_frame(seconds, frame):
    text = f"sound_event_recording,start_time,end_time,ele,azi,dist\nknock,{seconds},70,0,0,1\n"
    assert read(text, classes=class_lists.DCASE2019_CLASSES)["frame"].agg(["min", "max"]).tolist() == [frame, 699]


def test_2019_overlapping_events_of_a_class_are_two_instances():
    header = "sound_event_recording,start_time,end_time,ele,azi,dist\n"
    back = read(header + "knock,0,1,0,0,1\nknock,0.5,1.5,0,90,1\n", classes=class_lists.DCASE2019_CLASSES)
    assert back.groupby("track")["frame"].agg(["min", "max"]).to_numpy().tolist() == [[0, 9], [5, 14]]


def test_2019_without_events():
    assert_same(read("sound_event_recording,start_time,end_time,ele,azi,dist\n"), frame_tables.empty_table())


@pytest.mark.parametrize(
    "text, format",
    [
        ("sound_event_recording,start_time,end_time,ele,azi,dist\n", "dcase2019"),
        ("0,1,0,10,2\n", "dcase2020"),
        ("0,1,0,1,0\n", "dcase2020"),
        ("0,1,10,2\n", "dcase2020_output"),
        ("0,1,0,10,2,100\n", "dcase2024"),
        ("0,1,0.5,-0.5,0.7071\n", "cartesian"),
        ("0,1,2,0.5,-0.5,0.7071\n", "cartesian"),
        ("0,1,2,0.5,-0.5,0.7071,100\n", "cartesian"),
        ("0,1,0,10.5,2\n", "dcase2020"),
        ("", "dcase2020"),
    ],
)
def test_detect_format(text, format):
    assert dcase_csv.detect_format(text) == format
    assert dcase_csv.detect_format([line.split(",") for line in text.splitlines()]) == format


def test_rows_are_sorted_wrapped_and_unique():
    back = read("5,1,0,180,2\r\n\r\n0,2,1,-190,4\r\n0,2,0,359,4\r\n5,1,0,180,2\r\n")
    assert back[["frame", "class", "track"]].to_numpy().tolist() == [[0, 2, 0], [0, 2, 1], [5, 1, 0]]
    assert back["azimuth"].tolist() == [-1, 170, -180]


@pytest.mark.parametrize(
    "text", ["0, 1, 0, 10, 2", '"0","1","0","10","2"', "\ufeff0,1,0,10,2", "0.0,1.0,0.0,10.0,2.0", "0,1,0,10,2\r"]
)
def test_harmless_spellings(text):
    assert_same(read(text), table((0, 1, 0, 10, 2)))


def test_one_source_number_for_several_directions():
    """Some systems write source 0 for every direction."""
    back = read("0,1,0,10,0\n0,1,0,90,0\n1,1,0,10,0\n1,1,0,90,0\n")
    assert back["track"].tolist() == [0, 1, 0, 1]
    assert frame_tables.frames_to_events(back)["azimuth"].round(6).tolist() == [10, 90]


def test_distinct_instances_does_not_reuse_numbers():
    frames = table((0, 1, 0, 0, 0), (0, 1, 0, 9, 0), (0, 1, 1, 20, 0), (0, 1, 1, 30, 0), (0, 2, 0, 40, 0))
    out = frame_tables.distinct_instances(frames)
    assert not out.duplicated(["frame", "class", "track"]).any()
    assert out["track"].tolist()[::2] == [0, 1, 0]
    assert frame_tables.distinct_instances(SCENE) is SCENE


@pytest.mark.parametrize(
    "text, says",
    [
        ("0,1,0,10,2\n0,17,0,10,2\n", "class 17 on line 2, but the class list has 14 (0 to 13)"),
        ("0,-1,0,10,2\n", "class -1 on line 1"),
        ("0,1,0,10,2\n\n0,1,x,10,2\n", "'x' on line 3 is not a number"),
        ("0,1,0,10,2\n0,1,10,2\n", "line 2 has 4 columns; expected 5"),
        ("0,1,10,2\n0,1,0,10,2\n", "line 2 has 5 columns; expected 4"),
        ("0,1,2\n", "line 1 has 3 columns"),
        ("hello\n", "line 1 has 1 column"),
        ("-1,1,0,10,2\n", "frame -1 on line 1"),
        ("1.5,1,0,10,2\n", "frame 1.5 on line 1; expected a whole number"),
        ("99999999,1,0,10,2\n", "one week"),
        ("9" * 30 + ",1,0,10,2\n", "line 1"),
        ("0,1,0,10,91\n", "elevation 91 on line 1; expected degrees within [-90, 90]"),
        ("0,1,0,-361,0\n", "azimuth -361 on line 1"),
        ("0,1,0,10,2,-5\n", "distance -5 on line 1"),
        ("0,1,0,nan,2\n", "'nan' on line 1 is not a number"),
        ("0,1,0,inf,2\n", "'inf' on line 1 is not a number"),
        ("0,1,0,10,\n0,1,0,10,2\n", "line 1 has an empty field"),
        ("True,1,0,10,2\n", "'True' on line 1"),
        ("0,1,2,0.0,0.0,0.0\n0,1,2,0.0,0.5,-0.1\n", "x, y, z are all 0 on line 1"),
        (
            "filename,onset,offset,event_label\na.wav,0,1,Dog\n",
            "line 1 is the header 'filename,onset,offset,event_label'",
        ),
        ("RIFF\0\0\0\0WAVE", "is not a text file"),
    ],
)
def test_bad_files_are_one_sentence(text, says):
    with pytest.raises(ValueError) as error:
        read(text)
    message = str(error.value)
    assert message.startswith("clip.csv: ") and says in message and "\n" not in message


@pytest.mark.parametrize(
    "row, says",
    [
        ("whistle,0,1,0,0,1", "class 'whistle' on line 2; expected one of knock, drawer"),
        ("knock,1,0,0,0,1", "offset 0 before onset 1"),
        ("knock,-1,0,0,0,1", "onset -1"),
        ("knock,0,x,0,0,1", "'x' on line 2 is not a number"),
        ("knock,0,1,0,0", "line 2 has 5 columns; expected 6"),
        ("knock,0,1,100,0,1", "elevation 100"),
        ("knock,0,1,0,400,1", "azimuth 400"),
        ("knock,0,1,0,0,-1", "distance -1 "),
        ("knock,0,1e9,0,0,1", "one week"),
    ],
)
def test_bad_2019_rows(row, says):
    with pytest.raises(ValueError, match=r"^clip\.csv: ") as error:
        read("sound_event_recording,start_time,end_time,ele,azi,dist\n" + row, classes=class_lists.DCASE2019_CLASSES)
    assert says in str(error.value)


def test_2019_events_cannot_fill_the_memory():
    rows = "knock,0,604800,0,{},1\n"
    text = "sound_event_recording,start_time,end_time,ele,azi,dist\n" + "".join(rows.format(i) for i in range(9))
    with pytest.raises(ValueError, match="at most 1000000"):
        read(text, classes=class_lists.DCASE2019_CLASSES)


def test_size_is_limited(monkeypatch):
    monkeypatch.setattr(csv_layout, "MAX_ROWS", 2)
    with pytest.raises(ValueError, match="has 3 rows"):
        read("0,1,0,10,2\n1,1,0,10,2\n2,1,0,10,2\n")
    monkeypatch.setattr(dcase_csv, "MAX_BYTES", 20)
    with pytest.raises(ValueError, match="is larger than"):
        read("0,1,0,10,2\n1,1,0,10,2\n")


def test_bytes_paths_and_names(tmp_path):
    path = tmp_path / "fold1.csv"
    path.write_bytes(b"\xef\xbb\xbf0,1,0,10,2\r\n")
    assert len(dcase_csv.read_csv(path)) == len(dcase_csv.read_csv(str(path))) == 1
    with open(path, "rb") as file:
        assert len(dcase_csv.read_csv(file)) == 1
    path.write_bytes(b"0,99,0,10,2\n")
    with pytest.raises(ValueError, match=r"^fold1\.csv: class 99"):
        dcase_csv.read_csv(path)
    with pytest.raises(ValueError, match=r"^bin\.csv: is not a text file"):
        dcase_csv.read_csv(io.BytesIO(b"\x80\x00\xff\xfe"), name="bin.csv")


@pytest.mark.parametrize("text", ["", "\n\n", " \r\n"])
def test_no_rows_is_a_valid_empty_table(text):
    empty = read(text)
    assert_same(empty, frame_tables.empty_table())
    assert written(empty, "dcase2020") == ""
    assert len(frame_tables.frames_to_events(empty)) == 0
    assert_same(frame_tables.events_to_frames(frame_tables.frames_to_events(empty)), empty)
    sed, doa, dropped = frame_tables.to_tracks(empty, 5, 2, 3)
    assert (sed.shape, doa.shape, sed.sum(), dropped) == ((5, 2, 3), (5, 2, 3), 0, 0)


def test_rounding_never_writes_180():
    frames = table((0, 0, 0, 179.6, 0), (1, 0, 0, 179.4, 0), (2, 0, 0, -179.7, -0.4))
    assert written(frames, "dcase2020") == "0,0,0,-180,0\n1,0,0,179,0\n2,0,0,-180,0\n"


def test_write_refuses_what_it_cannot_write():
    with pytest.raises(ValueError, match="format must be one of"):
        written(SCENE, "dcase1999")
    with pytest.raises(ValueError, match="missing: elevation"):
        written(SCENE.drop(columns="elevation"), "dcase2020")
    with pytest.raises(ValueError, match="NaN"):
        written(SCENE.assign(azimuth=np.nan), "dcase2020")
    with pytest.raises(ValueError, match="class names"):
        written(SCENE, "dcase2019")


def test_write_replaces_only_by_a_complete_file(tmp_path, monkeypatch):
    path = tmp_path / "out.csv"
    dcase_csv.write_csv(SCENE, path)
    assert_same(dcase_csv.read_csv(path), SCENE)

    def broken(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr(dcase_csv.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        dcase_csv.write_csv(frame_tables.empty_table(), path)
    assert_same(dcase_csv.read_csv(path), SCENE)
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


@st.composite
def drawn_tables(draw):
    cells = st.tuples(st.integers(0, 60), st.integers(0, 13), st.integers(0, 3))
    keys = sorted(draw(st.sets(cells, max_size=30)))
    return table(*[(*key, draw(st.integers(-180, 179)), draw(st.integers(-90, 90))) for key in keys])


@settings(max_examples=40, deadline=None)
@given(drawn_tables(), st.sampled_from(["dcase2020", "dcase2024"]), st.randoms())
def test_any_table_round_trips_in_any_order(frames, format, random):
    lines = written(frames, format).splitlines(keepends=True)
    random.shuffle(lines)
    assert_same(read("".join(lines)), frames)


@settings(max_examples=40, deadline=None)
@given(drawn_tables(), st.integers(1, 4))
def test_tracks_hold_every_frame_or_count_it(frames, n_tracks):
    sed, doa, dropped = frame_tables.to_tracks(frames, 50, n_tracks, 14)
    assert sed.sum() + dropped == (frames["frame"] < 50).sum()
    assert sed.sum(axis=2).max(initial=0) <= 1
    np.testing.assert_allclose(np.linalg.norm(doa, axis=2), sed.sum(axis=2), atol=1e-6)


def test_frames_to_events_by_hand():
    frames = table(*event(2, 0, 3, 7, 170, 0), *event(2, 0, 9, 10, 0, 45)).assign(confidence=[0.5, 0.7, 0.9, 0.7, 0.6])
    frames.loc[2:3, "azimuth"] = -170.0
    events = frame_tables.frames_to_events(frames, class_lists.DCASE2020_CLASSES)
    assert tuple(events.columns) == frame_tables.EVENT_COLUMNS
    assert events["onset"].tolist() == [0.3, 0.9] and events["offset"].tolist() == [0.7, 1.0]
    assert events["name"].tolist() == ["crash", "crash"]
    np.testing.assert_allclose(events["azimuth"], [-180, 0], atol=1e-9)
    np.testing.assert_allclose(events["spread"], [10, 0], atol=1e-9)
    np.testing.assert_allclose(events["confidence"], [0.7, 0.6])


def jumping(*azimuths):
    """A track of one class, a frame for each azimuth."""
    return table(*((t, 3, 0, a, 0) for t, a in enumerate(azimuths)))


@pytest.mark.parametrize(
    "azimuths, onsets",
    [
        ([70] * 6 + [-80] * 6, [0, 0.6]),  # from one source to another
        ([70] * 2 + [-80] * 3 + [70] * 2, [0, 0.2, 0.5]),  # and back
        ([170] * 4 + [-170] * 4, [0]),  # across 180 degrees
        ([10] * 4 + [54] * 4, [0]),  # a step that is not larger than a network's error
        ([10] * 4 + [56] * 4, [0, 0.4]),
        ([10] * 4 + [120] + [12] * 4, [0]),  # one frame is off
        ([10] * 4 + [120], [0]),  # or the last one
        ([10, 120] * 5, [0]),  # undecided between two
        ([4 * t for t in range(40)], [0]),  # a source that moves as fast as any in DCASE data
    ],
)
def test_an_event_ends_where_its_direction_jumps_to_another_source(azimuths, onsets):
    events = frame_tables.frames_to_events(jumping(*azimuths))
    assert events["onset"].tolist() == onsets
    assert events["offset"].tolist() == [*onsets[1:], len(azimuths) / 10]


def test_a_jump_in_elevation_is_one_and_each_part_has_its_own_direction():
    frames = table(*((t, 3, 0, 20, 60 if t < 5 else -30) for t in range(10)))
    assert frame_tables.frames_to_events(frames)["elevation"].round(6).tolist() == [60, -30]
    events = frame_tables.frames_to_events(jumping(*[70] * 6, *[-80] * 6))
    assert events["azimuth"].round(6).tolist() == [70, -80] and events["spread"].max() < 1e-6


def test_confidence_argument_follows_unsorted_rows():
    frames = table((1, 0, 0, 0, 0), (0, 5, 0, 0, 0))
    events = frame_tables.frames_to_events(frames, confidence=[0.25, 0.75])
    assert events[["class", "confidence"]].to_numpy().tolist() == [[5, 0.75], [0, 0.25]]
    assert frame_tables.frames_to_events(frames)["confidence"].isna().all()


def test_static_events_round_trip():
    frames = SCENE.assign(distance=150.0)
    back = frame_tables.events_to_frames(frame_tables.frames_to_events(frames))
    pd.testing.assert_frame_equal(back, frames, atol=1e-6)


def test_every_onset_in_tenths_is_exact():
    frames = table(*[(t, 0, 0, 0, 0) for t in range(0, 6000, 2)])
    assert frame_tables.events_to_frames(frame_tables.frames_to_events(frames))["frame"].tolist() == list(
        range(0, 6000, 2)
    )


def active(sed):
    """(onset, offset, class) of each track's cells."""
    return [[(t, int(k)) for t, k in np.argwhere(sed[:, m])] for m in range(sed.shape[1])]


def test_an_event_keeps_its_track_when_another_ends():
    frames = table(*event(0, 0, 0, 4, 90), *event(1, 0, 2, 6, -90, 0))
    sed, doa, dropped = frame_tables.to_tracks(frames, 6, 2, 3)
    assert active(sed) == [[(t, 0) for t in range(4)], [(t, 1) for t in range(2, 6)]]
    np.testing.assert_allclose(doa[5], [[0, 0, 0], [0, -1, 0]], atol=1e-7)
    assert dropped == 0 and sed.dtype == doa.dtype == np.float32


def test_a_track_is_free_in_the_frame_after_an_event():
    frames = table(*event(0, 0, 0, 3), *event(1, 0, 3, 5))
    sed, _, dropped = frame_tables.to_tracks(frames, 5, 1, 2)
    assert active(sed) == [[(0, 0), (1, 0), (2, 0), (3, 1), (4, 1)]] and dropped == 0


def test_a_third_simultaneous_event_is_dropped_as_a_whole():
    frames = table(*event(0, 0, 0, 5), *event(1, 0, 0, 3), *event(2, 0, 2, 9))
    sed, _, dropped = frame_tables.to_tracks(frames, 8, 2, 3)
    assert not sed[:, :, 2].any() and dropped == 6  # frames 2 to 7; frame 8 lies behind the clip


def test_two_instances_of_a_class():
    frames = table(*event(1, 0, 0, 3, 0), *event(1, 1, 1, 3, 90))
    sed, doa, _ = frame_tables.to_tracks(frames, 3, 2, 2)
    assert sed[:, :, 1].tolist() == [[1, 0], [1, 1], [1, 1]]
    np.testing.assert_allclose(doa[1], [[1, 0, 0], [0, 1, 0]], atol=1e-7)


def test_ties_go_in_table_order_and_moving_sources_move():
    frames = table((0, 2, 0, 0, 0), (0, 1, 0, 90, 0), (1, 2, 0, 180, 0), (1, 1, 0, 0, 90))
    sed, doa, _ = frame_tables.to_tracks(frames, 2, 2, 3)
    assert sed.argmax(axis=2).tolist() == [[2, 1], [2, 1]]
    np.testing.assert_allclose(doa[:, 0], [[1, 0, 0], [-1, 0, 0]], atol=1e-7)
    np.testing.assert_allclose(doa[1, 1], [0, 0, 1], atol=1e-7)


def test_to_tracks_refuses_unknown_classes():
    with pytest.raises(ValueError, match="class 3 in the table, but n_classes is 3"):
        frame_tables.to_tracks(table((0, 3, 0, 0, 0)), 5, 2, 3)


def test_the_format_of_2025_has_a_header_and_no_elevation():
    frames = table((0, 3, 1, -150, 20, 120), (1, 3, 1, 179.6, 20))
    text = written(frames, "dcase2025")
    assert text == "frame,class,source,azimuth,distance,onscreen\n0,3,1,-150,120,0\n1,3,1,-180,0,0\n"
    assert dcase_csv.detect_format(text) == "dcase2025"
    assert_same(read(text), frames.assign(azimuth=[-150.0, -180.0], elevation=0.0))
    assert_same(read(written(frame_tables.empty_table(), "dcase2025")), frame_tables.empty_table())
