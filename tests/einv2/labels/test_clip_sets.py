"""Many metadata files at once: the same rows as one by one, and what is said of odd ones."""

import math

import numpy as np
import pandas as pd
import pytest

from einv2.labels import class_lists, clip_sets, dcase_csv
from einv2.labels.csv_layout import Reading
from einv2.metrics import dcase

CLASSES = class_lists.DCASE2020_CLASSES
DCASE2019 = "sound_event_recording,start_time,end_time,ele,azi,dist\nknock,0.5,1.5,10,20,1\n"


def clips(estimates, references, classes=CLASSES):
    encoded = ({stem: text.encode() for stem, text in side.items()} for side in (estimates, references))
    return clip_sets.read_clips(*encoded, classes)


@pytest.mark.parametrize(
    "texts",
    [
        ["3,1,0,10,5\n2,1,0,-20,5\n", "0,13,1,179,0\r\n7,2,0,4,4\r\n", ""],
        ["3,1,10,5\n", "2,1,0,10,5,130\n2,3,0,10,5,0\n", "1,1,0,10,5\n"],
        ["3,1,0,0.5,0.5,0.7\n", "3,1,0,10.0,5.0\n", "\n\n1,1,0,10,5\n\n"],
        ["3,1,0,10,5\n3,1,0,40,5\n3,1,0,70,5\n", "3,1,0,10,5\n3,1,0,40,5\n"],
    ],
    ids=["one_width", "several_widths", "not_whole_numbers", "shared_track_numbers"],
)
def test_together_is_one_by_one(texts, tmp_path):
    files = {}
    for n, text in enumerate(texts):
        files[f"clip{n}"] = tmp_path / f"clip{n}.csv"
        files[f"clip{n}"].write_text(text, newline="")
    together = clip_sets.read_many(files, CLASSES)
    alone = [dcase_csv.read_csv(f, CLASSES, as_written=True).assign(clip=n) for n, f in enumerate(files.values())]
    pd.testing.assert_frame_equal(together, pd.concat(alone, ignore_index=True), check_like=True)
    assert len(together) == sum(len(t.split()) for t in texts)


def test_rows_keep_the_order_of_the_file_within_a_frame():
    table = clip_sets.read_many({"a": b"5,1,2,40,0\n5,1,0,10,0\n4,1,0,9,0\n5,1,1,20,0\n"}, CLASSES)
    assert table["frame"].tolist() == [4, 5, 5, 5] and table["azimuth"].tolist() == [9, 40, 10, 20]


def test_files_of_2019():
    table = clip_sets.read_many({"a": DCASE2019.encode(), "b": b"3,1,0,10,5\n"}, class_lists.DCASE2019_CLASSES)
    assert table["frame"].tolist() == [*range(5, 15), 3] and table["clip"].tolist() == [0] * 10 + [1]


def test_the_bad_file_and_line_are_named():
    files = {f"clip{k}": b"3,1,0,10,5\n" for k in range(5)} | {"odd": b"3,1,0,10,5\n4,1,0,10,95\n"}
    with pytest.raises(ValueError, match=r"odd\.csv: elevation 95 on line 2"):
        clip_sets.read_many(files, CLASSES)
    with pytest.raises(ValueError, match=r"odd\.csv: line 2 has 3 columns"):
        clip_sets.read_many(files | {"odd": b"3,1,0,10,5\n4,1,0\n"}, CLASSES)
    with pytest.raises(ValueError, match=r"odd\.csv: class 14 on line 1"):
        clip_sets.read_many(files | {"odd": b"3,14,0,10,5\n"}, CLASSES)


def test_a_tidy_set_has_no_notes():
    found = clips({"b": "3,1,0,10,5\n", "a": "1,1,0,10,5\n"}, {"a": "1,1,0,10,5\n2,1,0,10,5\n", "b": "3,1,0,10,5\n"})
    assert found.notes == () and found.stems == ("a", "b") and found.n_frames.tolist() == [3, 4]


def test_stems_on_one_side_are_left_out_and_said():
    found = clips({"a": "1,1,0,0,0\n", "b": "1,1,0,0,0\n"}, {"a": "1,1,0,0,0\n", **{f"c{k}": "" for k in range(5)}})
    assert found.stems == ("a",)
    assert found.notes[0] == "1 prediction without a ground truth of that stem: b. Left out."
    assert found.notes[1].startswith(
        "5 ground truths without a prediction of that stem: c0, c1, c2 and 2 more. Left out"
    )
    with pytest.raises(
        ValueError, match=r"no prediction has the stem of a ground truth.*: x on one side, y on the other"
    ):
        clips({"x": ""}, {"y": ""})


def test_repeated_rows_are_kept_as_the_official_code_keeps_them():
    truth = "".join(f"{f},1,0,10,5\n" for f in range(20))
    found = clips({"a": truth + "4,1,0,10,5\n"}, {"a": truth})
    assert "1 row of the predictions repeats another of their frame, class and direction (a)" in found.notes[0]
    assert "Track numbers of the predictions do not tell instances of a class apart (a)" in found.notes[1]
    for measure, false_alarms in {"dcase2020": 0, "dcase2021": 1, "dcase2024": 1, "dcase2025": 1}.items():
        total = dcase.tally(found.reference, found.estimate, 14, measure)
        assert int(total["false_alarms"].sum()) == false_alarms, measure
    assert not clip_sets.tidied(found).estimate.duplicated(["frame", "class", "track"]).any()


def test_rows_without_numbers_of_their_own_are_linked_by_direction_where_tracks_are_followed():
    """Two instances with one number, in an order that changes from frame to frame; another class with numbers keeps them."""
    truth = "".join(f"{f},1,0,10,5\n{f},1,1,90,5\n{f},2,3,0,5\n" for f in range(20))
    swapped = "".join(
        f"{f},1,0,{a},5\n{f},1,0,{100 - a},5\n{f},2,7,0,5\n" for f in range(20) for a in [10 + 80 * (f % 2)]
    )
    found = clip_sets.tidied(clips({"a": swapped}, {"a": truth})).estimate
    assert found.groupby(["class", "azimuth"])["track"].nunique().tolist() == [1, 1, 1]
    assert set(found["track"][found["class"] == 2]) == {7}
    assert set(found["track"][found["class"] == 1]) == {0, 1}


def test_track_numbers_are_those_of_the_file():
    table = clip_sets.read_many({"a": b"5,1,7,40,0\n5,1,7,10,0\n", "b": b"5,1,40,0\n5,1,10,0\n"}, CLASSES)
    assert table["track"].tolist() == [7, 7, 0, 0]


def test_distances_in_metres_are_told_by_their_size():
    found = clips({"a": "1,1,0,0,0,2\n2,1,0,0,0,3\n"}, {"a": "1,1,0,0,0,190\n2,1,0,0,0,310\n"})
    assert "read as metres" in found.notes[0] and found.estimate["distance"].tolist() == [200, 300]
    assert clips({"a": "1,1,0,0,0,20\n"}, {"a": "1,1,0,0,0,190\n"}).notes == ()


def test_rows_after_the_end_of_the_recording_are_said():
    found = clips(
        {"a": "1,1,0,0,0\n30,1,0,0,0\n", "b": "1,1,0,0,0\n"}, {"a": "1,1,0,0,0\n31,1,0,0,0\n", "b": "1,1,0,0,0\n"}
    )
    assert clip_sets.frames_beyond(found, [30, None]) == [
        f"1 row of the {side} lies after the end of the recording (a). Kept."
        for side in ("predictions", "ground truth")
    ]
    assert clip_sets.frames_beyond(found, [32, 2]) == clip_sets.frames_beyond(found, ()) == []


def test_what_was_decided_about_files_is_said_once_a_side():
    vectors = "1,1,0.0,1.0,0.0\n"
    found = clips({"a": vectors, "b": "1,1,0,90,0\n", "c": "1;1;0;90;0\n"}, dict.fromkeys("abc", "1,1,0,90,0\n"))
    assert found.estimate["azimuth"].tolist() == [90, 90, 90]
    assert found.notes[0].startswith("1 of 3 files of the predictions (a): Read as vectors")
    assert found.notes[1] == "1 of 3 files of the predictions (c): Columns separated by semicolons."
    assert clips({"a": vectors}, {"a": "1,1,0,90,0\n"}).notes[0].startswith("Predictions: Read as vectors")


def test_what_one_file_leaves_open_is_told_by_the_others_or_the_other_side():
    """Six columns of which the last is 0: of 2024 without distances, or of 2025."""
    stereo, open_, full = "1,1,0,30,145,0\n", "1,1,0,30,45,0\n", "1,1,0,30,-45,0\n"
    found = clips({"a": open_, "b": stereo}, {"a": stereo, "b": stereo}).estimate
    assert found["elevation"].tolist() == [0, 0] and found["distance"].tolist() == [45, 145]
    assert clips({"a": open_}, {"a": stereo}).estimate["elevation"].tolist() == [0]
    assert clips({"a": stereo}, {"a": open_}).reference["elevation"].tolist() == [0]
    for found in (clips({"a": open_, "b": full}, {"a": full, "b": full}), clips({"a": open_}, {"a": full})):
        assert found.estimate["elevation"][0] == 45 and not any("would fit" in note for note in found.notes)
    assert any("would fit" in note for note in clips({"a": open_}, {"a": open_}).notes)


def test_distances_on_one_side_are_said():
    for with_distance, without in (("predictions have", "reference"), ("ground truth has", "estimate")):
        sides = {"estimate": {"a": "1,1,0,0,-9,120\n"}, "reference": {"a": "1,1,0,0,-9,120\n"}} | {
            without: {"a": "1,1,0,0,-9\n"}
        }
        assert (
            clips(**{f"{k}s": v for k, v in sides.items()}).notes[0].startswith(f"Only the {with_distance} distances")
        )


def test_small_distances_are_cm_where_the_other_side_has_such():
    assert clips({"a": "1,1,0,0,0,12\n"}, {"a": "1,1,0,0,-1,21\n"}).estimate["distance"].tolist() == [12]


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 50, 80, 200])
def test_frames_of_another_length_show_in_what_sounds_when(frame_ms):
    """Events of 2019, in seconds, and the same frame by frame."""
    truth = "sound_event_recording,start_time,end_time,ele,azi,dist\nspeech,1.0,3.0,10,30,2\nknock,6,6.8,0,0,2\n"
    frames = [
        (f, c)
        for c, start, end in ((5, 1000, 3000), (0, 6000, 6800))
        for f in range(start // frame_ms, end // frame_ms)
    ]
    for row in ("{},{},30,10\n", "{},{},0,30,10\n", "{};{};0;30;10;200\n"):
        estimate = "".join(row.format(*frame) for frame in frames)
        found = clips({"a": estimate}, {"a": truth}, class_lists.DCASE2019_CLASSES)
        assert any(f"as frames of {frame_ms} ms, not of 100 ms" in note for note in found.notes)
        assert found.estimate["frame"].tolist() == found.reference["frame"].tolist()
        assert found.estimate["class"].tolist() == found.reference["class"].tolist()


def test_frames_of_100_ms_stay_whatever_they_hold():
    truth = "".join(f"{f},1,0,10,5\n" for f in range(100, 150))
    for estimate in ("1,1,0,10,5\n", "", "".join(f"{f},2,0,10,5\n" for f in range(100, 600)), truth):
        assert not any(" ms" in note for note in clips({"a": estimate}, {"a": truth}).notes)


def test_frames_from_1_are_said():
    truth = "".join(f"{f},1,0,10,5\n" for f in range(50))
    estimate = "".join(f"{f + 1},1,0,10,5\n" for f in range(50))
    found = clips({"a": estimate}, {"a": truth})
    assert any("if they count from 1 (1.000 against 0.980)" in note for note in found.notes)
    assert found.estimate["frame"].min() == 1
    by_hand = clip_sets.read_clips(
        {"a": estimate.encode()}, {"a": truth.encode()}, CLASSES, reading=Reading(first_frame=1)
    )
    assert by_hand.notes == () and by_hand.estimate["frame"].min() == 0


def test_files_that_are_no_tables_are_passed_over(tmp_path):
    (tmp_path / "__MACOSX").mkdir()
    for name in ("a.CSV", "._a.csv", "__MACOSX/._a.csv", "__MACOSX/a.csv", ".hidden.csv", ".DS_Store", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0\1")
    assert clip_sets.csv_files(tmp_path) == {"a": tmp_path / "a.CSV"}
    (tmp_path / "a.CSV").unlink()
    with pytest.raises(ValueError, match="holds no CSV files"):
        clip_sets.csv_files(tmp_path)


def test_azimuth_of_180_is_that_of_minus_180():
    found = clips({"a": "1,1,0,180,5\n2,1,0,180,5\n"}, {"a": "1,1,0,-180,5\n2,1,0,-180,5\n"})
    assert "2 rows of the predictions have an azimuth of 180 degrees or more" in found.notes[0]
    assert clip_sets.tidied(found).estimate["azimuth"].tolist() == [-180, -180]


def test_rows_after_the_last_event_and_silent_clips_are_said():
    found = clips({"a": "1,1,0,0,0\n9,1,0,0,0\n", "b": "1,1,0,0,0\n"}, {"a": "1,1,0,0,0\n", "b": ""})
    assert "1 ground truth without events: b" in found.notes[0]
    assert "2 rows of the predictions lie after the last event of the ground truth (a, b)" in found.notes[1]


def test_progress_may_stop_it():
    def stop(share, what):
        raise InterruptedError(what)

    with pytest.raises(InterruptedError, match="Reading 1 predictions"):
        clip_sets.read_clips({"a": b""}, {"a": b""}, CLASSES, stop)


def test_class_evidence():
    """The largest index and where it stands, who has distances, and who names classes."""
    files = {
        "a": b"1,3,0,0,0\n4,9,0,0,0\n",
        "b": b"1,3,0,0,0,120\n",
        "c": b"",
        "d": b"sound_event_recording,start_time,end_time,ele,azi,dist\nknock,0,1,0,0,1\n",
    }
    found = clip_sets.class_evidence(files)
    assert (found.largest, found.place, found.ranged) == (9, "a.csv, line 2", {"b"})
    assert found.names == {"d": {"knock"}}
    assert clip_sets.class_evidence({"b": b""}) == clip_sets.ClassEvidence(-1, "", frozenset(), {})


def test_notes_count_in_plain_grammar():
    assert clip_sets._rows(1, "lie", "predictions") == "1 row of the predictions lies"
    assert clip_sets._rows(2, "have", "ground truth") == "2 rows of the ground truth have"
    assert clip_sets._rows(1, "have", "predictions") == "1 row of the predictions has"


def table_of(angles, decimals=4):
    """A text with one frame of class 3 for each direction."""
    return "".join(f"{f},3,0,{a:.{decimals}f},{e:.{decimals}f}\n" for f, (a, e) in enumerate(angles))


DIRECTIONS = [(30, 10), (31, 10), (-150, -20), (175, 0)]
RADIANS = table_of([(math.radians(a), math.radians(e)) for a, e in DIRECTIONS])
DEGREES = table_of(DIRECTIONS, 0)
FRONT = [(0.5, 0.25), (1.5, -0.5), (-1.25, 1.0), (-1.4, 1.5)]  # degrees in which nothing says so


@pytest.mark.parametrize(
    "estimate, truth, found, said",
    [
        (RADIANS, DEGREES, (DIRECTIONS, DIRECTIONS), ["Predictions: Read as radians, in which the angles fit"]),
        (DEGREES, RADIANS, (DIRECTIONS, DIRECTIONS), ["Ground truth: Read as radians, in which the angles fit"]),
        (RADIANS, RADIANS, (DIRECTIONS, DIRECTIONS), ["Predictions: Read as radians, since", "Ground truth: Read as ra"]),
        (table_of(FRONT), table_of([(0, 0)] * 4, 0), (FRONT, [(0, 0)] * 4), []),
        (table_of(FRONT), table_of(FRONT), (FRONT, FRONT), ["Predictions: Read as degrees, th", "Ground truth: Read as deg"]),
        (table_of(FRONT), table_of([(90, 0)] * 4, 0), (FRONT, [(90, 0)] * 4), ["Predictions: Read as degrees, though"]),
    ],
)  # fmt: skip
def test_radians_are_told_by_the_other_side(estimate, truth, found, said):
    read = clips({"a": estimate}, {"a": truth})
    for table, expected in zip((read.estimate, read.reference), found):
        np.testing.assert_allclose(table[["azimuth", "elevation"]], expected, atol=0.01)
    assert len(read.notes) == len(said) and all(n.startswith(s) for n, s in zip(read.notes, said)), read.notes
    assert "--reference-units" in read.notes[-1] if said and said[-1].startswith("Ground") else True


def test_small_angles_are_degrees_if_a_further_file_says_so():
    read = clips({"a": table_of(FRONT), "b": table_of(DIRECTIONS, 1)}, {"a": DEGREES, "b": DEGREES})
    np.testing.assert_allclose(read.estimate[["azimuth", "elevation"]][:4], FRONT)
    assert not read.notes


def test_the_measure_of_2025_tells_what_its_tables_are():
    near = "".join(f"{f},3,0,{a},{80 - f},0\n" for f, a in enumerate((30, 40, 50)))
    side = {"a": near.encode()}
    plain, stereo = (clip_sets.read_clips(side, side, CLASSES, measure=m) for m in (None, "dcase2025"))
    assert plain.estimate["elevation"].tolist() == [80, 79, 78] and stereo.estimate["distance"].tolist() == [80, 79, 78]
    assert "--columns" in plain.notes[0] and "--reference-columns" in plain.notes[1]
    assert stereo.notes[0].endswith("as the tables of dcase2025 are.")


def test_distances_and_classes_that_look_wrong_are_said():
    truth = "".join(f"{f},{f % 5},0,{10 * f},0,200\n" for f in range(10))
    far = clips({"a": truth.replace(",200\n", ",2000\n")}, {"a": truth})
    assert far.notes[0].startswith("The distances of the predictions (median 2000 cm) are 10 times those")
    later = clips({"a": "".join(f"{f},{f % 5 + 1},0,{10 * f},0,200\n" for f in range(10))}, {"a": truth})
    assert later.notes[0].startswith(
        "The classes of the predictions agree with the ground truth best if they count from 1"
    )


def test_an_empty_side_says_nothing_of_distances():
    assert not any("distances" in note for note in clips({"a": ""}, {"a": "0,1,0,10,0,200\n"}).notes)


def test_errors_of_the_ground_truth_name_its_flags():
    with pytest.raises(ValueError, match="--reference-columns frame,class"):
        clips({"a": "0,1,0,10,0\n"}, {"a": "0,1,0.5,10.5,100.5,3\n"})


def test_too_short_a_class_list_names_the_largest_class_of_all_files():
    with pytest.raises(ValueError, match=r"b\.csv: class 19 on line 2, but the class list has 14 .*--classes 20"):
        clips({"a": "3,15,0,10,5\n", "b": "3,1,0,10,5\n4,19,0,10,5\n"}, {"a": "", "b": ""})


def test_how_files_are_read_is_told_of_all_together():
    files = {"a": b"0;3;0;10;5\n", "b": b"0,3,0,10,5\n", "c": b"0;3;0;10;5\n"}
    assert clip_sets.reading_notes(files, CLASSES) == ["2 of 3 files (a, c): Columns separated by semicolons."]
