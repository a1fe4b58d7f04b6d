"""Tables as systems and spreadsheets write them: delimiter, header, columns and units are told by the whole file, and said."""

import io
import math

import numpy as np
import pytest

from einv2.labels import class_lists, csv_layout, dcase_csv, frame_tables
from einv2.labels.csv_layout import Reading

CLASSES = class_lists.DCASE2022_CLASSES
UNIT = (0.852869, 0.492404, 0.173648)  # azimuth 30, elevation 10


def read(text, classes=CLASSES, **reading):
    data = text if isinstance(text, bytes) else text.encode()
    return dcase_csv.read(io.BytesIO(data), classes, "clip.csv", reading=Reading(**reading))


def rows(table, columns=("frame", "class", "track", "azimuth", "elevation")):
    return table.frames[list(columns)].round(2).to_numpy().tolist()


def lines(*rows, between=","):
    return "".join(between.join(map(str, row)) + "\n" for row in rows)


# Delimiters and spellings

PLAIN = [[0, 3, 1, 30.5, 10], [1, 3, 1, 30.5, 10]]


@pytest.mark.parametrize(
    "text, note",
    [
        ("0;3;1;30.5;10\n1;3;1;30.5;10\n", "Columns separated by semicolons."),
        ("0;3;1;30,5;10,0\n1;3;1;30,5;10,0\n", "Columns separated by semicolons."),
        ("0;3;1;30,5;10\n1;3;1;30,5;10\n", "Columns separated by semicolons."),
        ("0\t3\t1\t30.5\t10\n1\t3\t1\t30.5\t10\n", "Columns separated by tabs."),
        ("0|3|1|30.5|10\n1|3|1|30.5|10\n", "Columns separated by bars."),
        ("0 3 1 30.5 10\n1 3 1 30.5 10\n", "Columns separated by white space."),
        ("   0   3   1  30,5  10,0\n   1   3   1  30,5  10,0\n", "Columns separated by white space."),
        ("0,3,1,30.5,10,\n1,3,1,30.5,10,\n", "Every line ends with an empty field"),
        ("0,3,1,30.5,10,,\r\n1,3,1,30.5,10,,\r\n", "Every line ends with an empty field"),
        ('"0","3","1","30.5","10"\n"1","3","1","30.5","10"\n', None),
        ("# made by a system\n0,3,1,30.5,10\n\n% and so on\n1,3,1,30.5,10\n", None),
        ("0,3,1,30.5,10\r1,3,1,30.5,10\r", None),
    ],
)
def test_delimiters_and_spellings(text, note):
    found = read(text)
    assert rows(found) == PLAIN
    assert len(found.notes) == (note is not None) and all(n.startswith(note) for n in found.notes)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(encoding):
    text = "frame;class;track;azimuth (°);elevation (°)\n0;3;1;30;10\n"
    mark = "﻿" if encoding == "utf-16-le" else ""
    assert rows(read((mark + text).encode(encoding))) == [[0, 3, 1, 30, 10]]


# Headers


@pytest.mark.parametrize(
    "header, fields",
    [
        ("frame,class,track,azimuth,elevation", "0,3,1,30,10"),
        ("elevation,azimuth,instance,class,frame", "10,30,1,3,0"),
        ("Frame;Class Index;Source ID;Azi;Ele", "0;3;1;30;10"),
        ("frame_index,active class index,track number index,azimuth [deg],elevation [deg]", "0,3,1,30,10"),
        (",frame,class,track,azimuth,elevation", "7,0,3,1,30,10"),
        ("Unnamed: 0,frame,class,track,azimuth,elevation,confidence", "7,0,3,1,30,10,0.9"),
        ("# frame class track azimuth elevation", "0 3 1 30 10"),
        ("frame,class,track,azimuth,elevation", "row1,0,3,1,30,10"),
        ("frame,class,track,azimuth,elevation,", "0,3,1,30,10,"),
        ("frame,label,track,azi_rad,ele_rad", f"0,telephone,1,{math.radians(30)},{math.radians(10)}"),
        ("frame,class,track,x,y,z", "0,Telephone,1,{},{},{}".format(*UNIT)),
        ("frame,track,az,el,class", '0,1,30,10,"tele phone"'),
    ],
)
def test_a_header_tells_the_columns_in_any_order(header, fields):
    found = read(f"{header}\n{fields}\n")
    assert rows(found) == [[0, 3, 1, 30, 10]]
    assert found.notes and all(";" not in note for note in found.notes)


@pytest.mark.parametrize(
    "header, says",
    [
        ("frame,class,track", "lacks azimuths (or x, y, z)"),
        ("class,azimuth,elevation,foo", "lacks frames (or onsets and offsets)"),
        ("frame,azimuth,elevation,foo", "lacks classes"),
        ("frame,class,azimuth,azi", "has two columns azimuth"),
    ],
)
def test_a_header_that_does_not_do_is_refused(header, says):
    with pytest.raises(ValueError, match=r"^clip\.csv: line 1 is the header ") as error:
        read(header + "\n" + ",".join("0" for _ in header.split(",")) + "\n")
    assert says in str(error.value) and "--columns" in str(error.value)


def test_what_the_library_gives_as_data_frames_is_read_again():
    frames = dcase_csv.read_csv(io.StringIO("0,3,0,30,10\n1,3,0,30,10\n")).assign(confidence=0.75)
    events = frame_tables.frames_to_events(frames, CLASSES)
    for text in (frames.to_csv(), frames.to_csv(index=False), events.to_csv(), events.to_csv(index=False)):
        assert rows(read(text)) == [[0, 3, 0, 30, 10], [1, 3, 0, 30, 10]], text
    for text in (frames.to_csv(header=False, index=False), frames.iloc[:, :6].to_csv(header=False, index=False)):
        assert rows(read(text)) == [[0, 3, 0, 30, 10], [1, 3, 0, 30, 10]], text


def test_names_of_classes_count_more_than_numbers_of_another_list():
    text = "class,name,track,onset,offset,azimuth,elevation\n5,bell,0,0,0.1,30,10\n"
    assert rows(read(text)) == [[0, 11, 0, 30, 10]]
    with pytest.raises(ValueError, match="class 'alarm' on line 2; expected one of female speech"):
        read(text.replace("bell", "alarm"))
    assert rows(read(text, range(20)))[0][1] == 5


def test_labels_of_l3das():
    text = "File,Start,End,Class,X,Y,Z\n{},0.2,0.4,Male_speech,-1.5,1.0,0.3\n{},0,0.1,Bell,0.0,1.0,0.0\n"
    found = read(text.format("a", "a"))
    assert found.frames["frame"].tolist() == [0, 2, 3] and found.frames["class"].tolist() == [11, 1, 1]
    assert found.frames["azimuth"].round(1).tolist() == [90, 146.3, 146.3]
    with pytest.raises(ValueError, match=r"clip\.csv: has rows of 2 files \(column File\)"):
        read(text.format("a", "b"))
    with pytest.raises(ValueError, match="class 'Scissors' on line 2; expected one of"):
        read(text.format("a", "a").replace("Male_speech", "Scissors"))


def test_rows_in_which_nothing_sounds_are_left_out():
    assert rows(read("frame,class,x,y,z\n0,NOTHING,0,0,0\n1,bell,0.0,2.5,0.0\n")) == [[1, 11, 0, 90, 0]]


def test_names_of_classes_without_a_header():
    assert rows(read("0,bell,0,30,10\n1,music,0,30,10\n")) == [[0, 11, 0, 30, 10], [1, 8, 0, 30, 10]]
    events = read("bell,0,0.2,10,30,2\nmusic,0,0.1,10,30,2\n")
    assert rows(events, ("frame", "class", "distance")) == [[0, 8, 200], [0, 11, 200], [1, 11, 200]]


# Degrees or vectors


@pytest.mark.parametrize("scale", [1, 1.0000001, 1.0004, 0.7, 1.6])
@pytest.mark.parametrize("front", [[0, 3], [0, 3, 0]])
def test_vectors_are_told_by_their_length_and_decimals(scale, front):
    found = read(lines(*[[f, *front[1:], *(scale * v for v in UNIT)] for f in range(5)]))
    assert rows(found, ("azimuth", "elevation"))[0] == [30, 10]
    assert found.notes[0] == csv_layout.VECTORS
    assert (csv_layout.NOT_NORMALISED in found.notes) == (scale in (0.7, 1.6))


def test_positions_in_metres_are_vectors():
    found = read("0,3,-1.5,4.0,0.3\n1,3,-1.5,4.0,-0.3\n")
    assert found.frames["azimuth"].round(1).tolist() == [110.6, 110.6] and csv_layout.NOT_NORMALISED in found.notes


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0,3,0,0.5,0.0\n1,3,0,1.5,0.0\n", [0.5, 0]),  # a track that is whole throughout
        ("0,3,1,30.0,10.0,150.5\n", [30, 10]),
        ("0,3,0,0.0,0.0\n", [0, 0]),
        ("0,3,0,-3.25,80.5\n", [-3.25, 80.5]),
    ],
)
def test_angles_with_decimals_are_angles(text, expected):
    found = read(text)
    assert rows(found, ("azimuth", "elevation"))[0] == expected and csv_layout.VECTORS not in found.notes


def test_whole_numbers_that_could_be_vectors_are_said():
    text = "0,3,0,1,0\n1,3,0,1,0\n"
    assert rows(read(text))[0][2:] == [0, 1, 0]
    assert "would fit frame, class, x, y, z as well" in read(text).notes[0]
    assert rows(read(text, units="cartesian"))[0][2:] == [0, 90, 0] and rows(read(text, units="degrees"))[0][3:] == [
        1,
        0,
    ]


# Other columns


def test_columns_of_2025_without_their_header():
    for text in ("0,3,0,30,45,1\n1,3,0,30,45,0\n", "0,3,0,30,145,0\n", "0,3,0,30,45,True\n1,3,0,30,45,False\n"):
        found = read(text)
        assert rows(found)[0] == [0, 3, 0, 30, 0] and found.frames["distance"][0] in (45, 145)
        assert any("DCASE 2025" in note for note in found.notes)
    for text in ("0,3,0,30,-45,1\n", "0,3,0,30,45,2\n1,3,0,30,45,100\n", "0,3,0,30,0,0\n"):
        assert rows(read(text))[0][4] != 0 or text.endswith(",0,0\n")
    assert "would fit" in read("0,3,0,30,45,0\n").notes[0]


@pytest.mark.parametrize(
    "text, columns",
    [
        ("0,3,-45,10,150\n", ("azimuth", "elevation", "distance")),
        ("0,3,-45.5,10.5,150\n", ("azimuth", "elevation", "distance")),
        ("0,3,0,30.5,10.5,150,0.75\n", ("azimuth", "elevation", "distance", "confidence")),
        ("0,3,0,30,10,150,1\n", ("azimuth", "elevation", "distance", "onscreen")),
    ],
)
def test_columns_told_by_their_ranges(text, columns):
    found = read(text)
    assert found.written.columns[-len(columns) :] == columns and found.frames["distance"].tolist() == [150]
    assert found.notes[0].startswith("Read as frame, class")


@pytest.mark.parametrize("text", ["0,3,-45,100,1\n", "0,3,-45,10,150,1\n", "0,3,0,30,10,150,7\n", "0,3,-5,10.5,2\n"])
def test_columns_that_cannot_be_told_are_asked_for(text):
    with pytest.raises(
        ValueError, match=r"clip\.csv: its \d columns cannot be told apart by their values; .*--columns"
    ):
        read(text)


def test_columns_by_hand():
    found = read("x,0,30,3,10,2.5\n", columns=("-", "frame", "azi", "class", "ele", "distance_m"))
    assert rows(found, ("frame", "class", "azimuth", "elevation", "distance")) == [[0, 3, 30, 10, 250]]
    assert found.notes == ()
    assert rows(read("a,b,c,d,e\n0,3,1,30,10\n", columns=("frame", "class", "track", "azimuth", "elevation"))) == [
        [0, 3, 1, 30, 10]
    ]
    with pytest.raises(ValueError, match="has 5 columns, but 4 are named"):
        read("0,3,0,30,10\n", columns=("frame", "class", "azimuth", "elevation"))


@pytest.mark.parametrize(
    "wrong, says",
    [
        ({"columns": ("frame", "klass", "azimuth")}, "'klass' is no column of a table"),
        ({"columns": ("frame", "azimuth")}, "lack classes"),
        ({"units": "gon"}, "units must be one of degrees, radians, cartesian"),
        ({"distance_unit": "mm"}, "unit of distance must be one of cm, m"),
        ({"frame_ms": 0}, "1 to 10000 ms"),
        ({"first_frame": 2}, "from 0 or from 1"),
    ],
)
def test_a_reading_that_cannot_be_is_refused(wrong, says):
    with pytest.raises(ValueError, match=says):
        Reading(**wrong)


# Units


@pytest.mark.parametrize(
    "distances, unit",
    [((150, 220), "cm"), ((1.5, 2.25), "m"), ((2, 3), "m"), ((25.5, 31.5), "cm"), ((0, 0), "cm"), ((0, 2.5), "m")],
)
def test_distances_are_told_by_their_size(distances, unit):
    found = read(lines(*[[f, 3, 0, 30, -10, d] for f, d in enumerate(distances)]))
    factor = 100 if unit == "m" else 1
    np.testing.assert_allclose(found.frames["distance"].fillna(0), np.multiply(distances, factor))
    assert (csv_layout.METRES in found.notes) == (unit == "m")
    by_hand = read(lines(*[[f, 3, 0, 30, -10, d] for f, d in enumerate(distances)]), distance_unit="cm")
    np.testing.assert_allclose(by_hand.frames["distance"].fillna(0), distances)


@pytest.mark.parametrize(
    "frame_ms, frames, expected",
    [
        (20, range(50, 100), range(10, 20)),
        (20, [52], [10]),
        (20, [51, 53], []),
        (10, range(100, 200), range(10, 20)),
        (200, range(5), range(10)),
        (100, [3, 4], [3, 4]),
        (250, [1], [2, 3, 4]),
    ],
)
def test_frames_of_another_length(frame_ms, frames, expected):
    """A frame of 100 ms is what stands at its middle."""
    found = read(lines(*[[f, 3, 0, 30, 10] for f in frames]), frame_ms=frame_ms)
    assert found.frames["frame"].tolist() == list(expected)


def test_frames_from_1():
    assert read("1,3,0,30,10\n2,3,0,30,10\n", first_frame=1).frames["frame"].tolist() == [0, 1]
    with pytest.raises(ValueError, match="frame -1 on line 1"):
        read("0,3,0,30,10\n", first_frame=1)


@pytest.mark.parametrize(
    "index, says", [("-1", "class -1 on line 2"), ("14", "class 14 on line 2"), ("0.5", "class 0.5")]
)
def test_class_numbers_of_events_are_checked_as_those_of_frames(tmp_path, index, says):
    path = tmp_path / "clip.csv"
    path.write_text(f"sound_event_recording,start_time,end_time,ele,azi,dist\n{index},0,1,0,10,1\n")
    with pytest.raises(ValueError, match=says):
        dcase_csv.read_csv(path, class_lists.DCASE2020_CLASSES)


@pytest.mark.parametrize(
    "angles, units",
    [
        ([(3.05, -0.61), (-2.93, 0.35), (0.44, 0.0)], "radians"),
        ([(0.5, 6.28), (0.25, 0.25)], None),  # degrees: no elevation in radians is so large
        ([(1.25, 0.5), (2.5, -0.25)], "degrees"),  # may be either: a source in front that hardly moves
        ([(1, 1), (-2, 0)], None),
        ([(0.0, 0.0)], None),
    ],
)
def test_small_angles_are_told_by_their_range_and_said(angles, units):
    found = read(lines(*[[f, 3, 0, *direction, 250] for f, direction in enumerate(angles)]))
    factor = 180 / math.pi if units == "radians" else 1
    np.testing.assert_allclose(found.frames[["azimuth", "elevation"]], np.multiply(angles, factor))
    assert [note for note in found.notes if note in csv_layout.SMALL_ANGLES.values()] == (
        [csv_layout.SMALL_ANGLES[units]] if units else []
    )


@pytest.mark.parametrize("units", ["degrees", "radians"])
def test_small_angles_of_a_unit_that_is_given_are_in_no_doubt(units):
    table = lines([0, 3, 0, 3.05, -0.61], [1, 3, 0, -2.93, 0.35])
    header = f"frame,class,track,azimuth [{units}],elevation [{units}]\n"
    for found in (read(table, units=units), read(header + table)):
        assert found.written.units == units and not {*found.notes} & {*csv_layout.SMALL_ANGLES.values()}


def test_vectors_along_axes_in_whole_numbers_are_doubtful():
    found = read("0,3,0,1,0,0\n1,3,0,0,1,0\n")
    assert found.frames["azimuth"].tolist() == [1, 0] and "x, y, z" in found.notes[-1]


def test_a_last_column_of_shares_is_a_confidence():
    found = read("0,3,-130,10,0.92\n1,3,-131,10,0.4\n")
    assert found.frames["azimuth"].tolist() == [-130, -131] and found.frames["distance"].isna().all()
    assert "confidence" in found.notes[0] and "distance" in found.notes[1]


@pytest.mark.parametrize("missing", ["nan", "NaN", "N/A", "None", ""])
def test_distances_that_are_not_known_may_be_named_so(missing):
    for text in (f"0,3,0,30,10,{missing}\n1,3,0,30,10,250\n", f"frame,class,dist,azi,ele\n0,3,{missing},30,10\n"):
        assert np.isnan(read(text).frames["distance"][0])
    with pytest.raises(ValueError, match="line 1"):
        read(f"0,3,0,{missing},10,250\n")


def test_track_numbers_of_minus_1_are_read():
    assert rows(read("0,3,-1,30,10,250\n")) == [[0, 3, -1, 30, 10]]
