"""What a value of --classes, a file of class names and the files of a data set say about the class list."""

import io
import json

import numpy as np
import pytest

import einv2
from einv2.datasets import class_decision
from einv2.inference.prediction import BranchPrediction, Prediction, on_classes
from einv2.labels import class_lists, dcase_csv, frame_tables

THREE = ("alarm", "walk, footsteps", "Türe zu")


@pytest.mark.parametrize(
    "value, names",
    [
        ("dcase2024", class_lists.DCASE2022_CLASSES),
        ("DCASE2019", class_lists.DCASE2019_CLASSES),
        ("3", ("class 0", "class 1", "class 2")),
        ("alarm, dog bark ,crash", ("alarm", "dog bark", "crash")),
        ('alarm,"walk, footsteps",Türe zu', THREE),
        ("speech,", ("speech",)),
    ],
)
def test_values(value, names):
    assert class_lists.parse(value) == names


@pytest.mark.parametrize(
    "value, says",
    [
        ("0", "1 to 1000 classes, not 0"),
        ("1001", "not 1001"),
        ("dcase2018", "is no class list: give a known list .dcase2019, .*ends with a comma: dcase2018,"),
        ("nowhere/names.txt", "no file of class names nowhere/names.txt"),
        ("a,,b", "class 1 has no name"),
        ("a,b,a", "class 2: 'a' is the name of class 0 already"),
        ("", "is no class list"),
        ("a," + 101 * "b", "is no class name"),
    ],
)
def test_values_that_are_no_list(value, says):
    with pytest.raises(ValueError, match=says):
        class_lists.parse(value)


@pytest.mark.parametrize(
    "suffix, text",
    [
        ("txt", "alarm\nwalk, footsteps\nTüre zu\n"),
        ("txt", "\ufeff# three of them\r\n\r\nalarm\r\n  walk, footsteps \r\nTüre zu"),
        ("txt", "2 Türe zu\n0 alarm\n1 walk, footsteps\n"),
        ("txt", "0: alarm\n1: walk, footsteps\n2: Türe zu\n"),
        ("txt", 'alarm,"walk, footsteps",Türe zu\n'),
        ("csv", "0,alarm\n1,walk, footsteps\n2,Türe zu\n"),
        ("csv", '0,alarm,/m/1\n1,"walk, footsteps",/m/2\n2,Türe zu,/m/3\n'),
        ("csv", 'index,mid,display_name\n0,/m/1,"alarm"\n1,/m/2,"walk, footsteps"\n2,/m/3,"Türe zu"\n'),
        ("csv", 'class;name\n1;"walk, footsteps"\n0;alarm\n2;Türe zu\n'),
        ("csv", 'name,id\n"walk, footsteps",1\nalarm,0\nTüre zu,2\n'),
        ("csv", 'alarm,0\n"walk, footsteps",1\nTüre zu,2\n'),
        ("csv", 'class\nalarm\n"walk, footsteps"\nTüre zu\n'),
        ("tsv", "0\talarm\n1\twalk, footsteps\n2\tTüre zu\n"),
        ("json", json.dumps(THREE)),
        ("json", json.dumps({"classes": THREE, "version": 2})),
        ("json", json.dumps({"walk, footsteps": 1, "alarm": 0, "Türe zu": 2})),
        ("json", json.dumps({str(k): name for k, name in enumerate(THREE)})),
    ],
)
def test_files(tmp_path, suffix, text):
    file = tmp_path / f"names.{suffix}"
    file.write_bytes(text.encode())
    assert class_lists.parse(str(file)) == THREE


@pytest.mark.parametrize(
    "content, says",
    [
        (b"", "holds no class names"),
        (b"a\nb\n\na\n", "line 4: 'a' is the name of line 1 already"),
        (b"0,a\n2,b\n", "indices 0 to 1 were expected, but 1 is missing"),
        (b"1,a\n2,b\n", "but 0 is missing; mend the indices, or leave them out"),
        (b"0,a\n0,b\n", "index 0 stands on line 1 and on line 2"),
        (b"0,a\n1,\n", "line 2 has no name"),
        (b"0,a\nx,b\n2,c\n", "line 2 has no class index"),
        (b"index,name\n0,a\nx,b\n", "line 3 has no class index"),
        (b"[1, 2]", "expected a JSON list of class names"),
        (b'{"a": ', "is not valid JSON"),
        (b"\xff\xfe", "is not a text file in UTF-8"),
        (b"a\nb\x00c\n", "is no class name"),
    ],
)
def test_files_that_hold_no_list(tmp_path, content, says):
    file = tmp_path / "classes.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError, match=says) as error:
        class_lists.read(file)
    assert str(file) in str(error.value) and "\n" not in str(error.value)


def test_written_lists_are_read_again(tmp_path):
    for names in (*class_lists.CLASS_LISTS.values(), THREE, class_lists.numbered(20)):
        class_lists.write(tmp_path, names)
        found = class_lists.of_folders(tmp_path / "nowhere", tmp_path)
        assert found and found.names == names and found.source == f"the file {tmp_path.name}/classes.txt"


def test_the_file_of_a_data_set(tmp_path):
    assert class_lists.of_folders(tmp_path) is None
    (tmp_path / "Class_Names.json").write_text('["a", "b"]')
    assert class_lists.file_in(tmp_path) == tmp_path / "Class_Names.json"
    (tmp_path / "classes.csv").write_text("0,a\n1,b\n")
    assert class_lists.of_folders(tmp_path).names == ("a", "b")  # two that agree
    (tmp_path / "classes.csv").write_text("0,b\n1,a\n")
    with pytest.raises(ValueError, match="hold different class names"):
        class_lists.file_in(tmp_path)


def test_lists_are_mapped_by_name():
    assert class_lists.mapping(("Knock", "crying_baby"), ("crying baby", "knock", "piano")) == [1, 0]
    assert class_lists.mapping(("c", "C"), ("C", "c")) == [1, 0]
    with pytest.raises(ValueError, match="the file has no 'organ': give one with all of the 2 classes"):
        class_lists.mapping(("piano", "organ"), ("piano",), "the file")


@pytest.mark.parametrize("class_wise", [False, True])
def test_a_prediction_is_brought_to_another_list(class_wise):
    """By name; class-wise, tracks are classes and move with them. Of a network of one task the other array stays unknown."""
    rng = np.random.default_rng(0)
    sed, doa = rng.random((5, 2, 2)), rng.random((5, 2, 3))
    moved = on_classes(Prediction(sed, doa, ("a", "b"), class_wise=class_wise), ("b", "c", "a"))
    assert moved.classes == ("b", "c", "a") and not moved.sed[:, :, 1].any()
    tracks = [2, 0] if class_wise else [0, 1]
    np.testing.assert_array_equal(moved.sed[:, tracks][:, :, [2, 0]], sed)
    np.testing.assert_array_equal(moved.doa[:, tracks], doa)
    alone = on_classes(BranchPrediction(sed, None, ("a", "b")), ("b", "a"))
    assert alone.doa is None and (alone.sed[..., 1] == sed[..., 0]).all()


# What files tell


@pytest.mark.parametrize(
    "text, measure, year, source",
    [
        ("3,9,0,10,5,120\n", None, "dcase2022", "the distances in the files"),
        ("3,9,0,10,5\n", "dcase2024", "dcase2022", "the measure dcase2024"),
        ("3,9,0,10,5\n", "dcase2021", "dcase2021", "the measure dcase2021"),
        ("3,13,0,10,5\n", "dcase2024", "dcase2020", "the largest class index, 13"),
        ("3,9,0,10,5,120\n", "dcase2020", "dcase2022", "the distances in the files"),
        ("3,9,0,10,5\n", None, "dcase2020", None),
        ("", "dcase2022", "dcase2022", "the measure dcase2022"),
        (
            "sound_event_recording,start_time,end_time,ele,azi,dist\nkeysDrop,0,1,0,0,1\n",
            "dcase2024",
            "dcase2019",
            "the header and the class names of 2019",
        ),
        ("sound_event_recording,start_time,end_time,ele,azi,dist\npiano,0,1,0,0,1\n", None, "dcase2020", None),
        (
            "sound_event_recording,start_time,end_time,ele,azi,dist\nrunning engine,0,1,0,0,1\n",
            None,
            "dcase2020",
            "the class names in the files",
        ),
    ],
)
def test_what_metadata_tell(text, measure, year, source):
    """The evidence of the files comes first; then the measure that was asked for; without either DCASE 2020, and that is said."""
    found, certain = class_decision.class_list_of_metadata({"a": text.encode()}, measure=measure)
    assert found.year == year and certain == (source is not None)
    assert source is None or found.source == source


def test_classes_of_ones_own_are_asked_for_with_advice_that_works(tmp_path):
    """20 classes: the error offers a number, which fits; a class file tells the names."""
    files = {"a": b"0,19,0,10,5\n"}
    with pytest.raises(
        ValueError, match=r"class indices up to 19 .a\.csv, line 1.: give --classes 20 for 20 classes without names"
    ):
        class_decision.class_list_of_metadata(files)
    assert class_decision.class_list_of_metadata(files, "20")[0].names == class_lists.numbered(20)
    named = {"a": b"sound_event_recording,start_time,end_time,ele,azi,dist\nowl,0,1,0,0,1\nfox,0,1,0,0,1\n"}
    with pytest.raises(ValueError, match='class names fox, owl: give --classes "fox,owl"'):
        class_decision.class_list_of_metadata(named)
    (tmp_path / "metadata_dev" / "dev-test").mkdir(parents=True)
    class_lists.write(tmp_path, class_lists.numbered(20))
    for folder in (tmp_path, tmp_path / "metadata_dev", tmp_path / "metadata_dev" / "dev-test"):
        found, certain = class_decision.class_list_of_metadata(files, folder=folder)
        assert certain and len(found.names) == 20
    with pytest.raises(ValueError, match=r"class 19 on line 1, but the class list has 14 .*--classes 20"):
        dcase_csv.read_csv(io.BytesIO(files["a"]), name="a.csv")


def test_a_notebook_tells_the_list_as_the_command(tmp_path):
    """A flat file with distances has the 13 classes of 2022 to 2024: macro F is 1, not 13 / 14."""
    file = tmp_path / "fold4_room23_mix001.csv"
    file.write_text("".join(f"{k},{k},0,10,5,120\n" for k in range(13)) + "13,0,0,10,5,120\n")
    scores = einv2.evaluate(file, file, "dcase2024")
    assert scores["F"] == pytest.approx(1) and scores["class_list"].startswith("class list: dcase2022 with 13 classes")
    table = dcase_csv.read_csv(file, class_lists.DCASE2022_CLASSES)
    for side in (table, frame_tables.frames_to_events(table)):
        assert einv2.evaluate(side, side, "dcase2024")["F"] == pytest.approx(1)
    own = einv2.evaluate(file, file, "dcase2020", classes=list("abcdefghijklmn"))
    assert [entry["class"] for entry in own["per_class"]] == list("abcdefghijklmn")
