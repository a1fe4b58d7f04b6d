"""Data sets of every year in folders, their parts, class lists and numbers of tracks, and fetching them."""

import shutil
import sys
import urllib.error

import pytest

from einv2.commands import main as cli
from einv2.config import FeatureConfig
from einv2.datasets import chunking, class_decision, discovery, download
from einv2.labels import class_lists
from einv2.training import loop
from support.data_sets import ROWS, flat, write

HEADER = "sound_event_recording,start_time,end_time,ele,azi,dist"
EVENTS_2019 = [HEADER, "clearthroat,0.2,0.71,-10,-10,2", "doorslam,0.4,0.9,20,170,2"]
ROWS_2024 = ["0,{0},0,30,0,150", "1,{0},0,31,0,0", "1,3,1,-90,10,210"]
YEARS = {  # clips and CSVs as the archives unpack; rows; sample rate; the class list; clips that --train-part finds
    "dcase2019": (
        {
            "foa_dev/split1_ir0_ov1_1": "metadata_dev/split1_ir0_ov1_1",
            "foa_dev/split2_ir3_ov2_11": "metadata_dev/split2_ir3_ov2_11",
            "proj/asignal/DCASE2019/dataset/foa_eval/split0_1": "metadata_eval/split0_1",
        },
        (EVENTS_2019, 48000, "dcase2019", {"split1": 1, "foa_eval": 1, "split0": 1, "foa_dev": 2}),
    ),
    "dcase2020": (
        {
            "foa_dev/fold1_room1_mix001_ov1": "metadata_dev/fold1_room1_mix001_ov1",
            "foa_dev/fold2_room1_mix001_ov2": "metadata_dev/fold2_room1_mix001_ov2",
            "foa_dev/fold10_room1_mix001_ov2": "metadata_dev/fold10_room1_mix001_ov2",
            "foa_eval/mix001": "metadata_eval/mix001",
        },
        (ROWS, 24000, "dcase2020", {"fold1": 1, "foa_dev": 3, "foa_eval": 1}),
    ),
    "dcase2021": (
        {
            "foa_dev/dev-train/fold1_room1_mix001": "metadata_dev/dev-train/fold1_room1_mix001",
            "foa_dev/dev-val/fold5_room1_mix001": "metadata_dev/dev-val/fold5_room1_mix001",
            "foa_dev/dev-test/fold6_room2_mix001": "metadata_dev/dev-test/fold6_room2_mix001",
            "foa_eval/eval-test/mix001": "metadata_eval/mix001",
        },
        (ROWS, 24000, "dcase2021", {"dev-train": 1, "fold5": 1, "eval-test": 1}),
    ),
    "dcase2022": (
        {
            "foa_dev/dev-train-sony/fold3_room21_mix001": "metadata_dev/dev-train-sony/fold3_room21_mix001",
            "foa_dev/dev-train-tau/fold3_room4_mix001": "metadata_dev/dev-train-tau/fold3_room4_mix001",
            "foa_dev/dev-test-tau/fold4_room8_mix001": "metadata_dev/dev-test-tau/fold4_room8_mix001",
        },
        (ROWS, 24000, "dcase2022", {"dev-train": 2, "dev-train-sony": 1, "dev-test": 1, "fold3": 2}),
    ),
    "dcase2024": (
        {
            "foa_dev/dev-train-sony/fold3_room21_mix001": "metadata_dev/dev-train-sony/fold3_room21_mix001",
            "foa_dev/dev-train-tau/fold3_room21_mix001": "metadata_dev/dev-train-tau/fold3_room21_mix001",
        },
        (ROWS_2024, 24000, "dcase2022", {"dev-train": 2, "dev-train-tau": 1}),
    ),
}
MODEL = ("--channels", "4,4,8,8", "--n-heads", 2, "--n-mels", 16, "--precision", "fp32", "--chunk-seconds", 1)


# Every year as it is unpacked


@pytest.mark.parametrize("year", YEARS)
def test_every_year_as_it_is_unpacked(tmp_path, year):
    places, (rows, rate, class_list, parts) = YEARS[year]
    write(tmp_path, places, rows, rate)
    clips = discovery.find_clips(tmp_path)
    assert {c.place.as_posix(): c.metadata.relative_to(tmp_path).as_posix() for c in clips} == {
        place: f"{table}.csv" for place, table in places.items()
    }
    assert [c.stem for c in clips] == sorted(c.stem for c in clips)
    for part, count in parts.items():
        assert len(discovery.find_clips(tmp_path, parts=[part])) == count, part
    assert class_decision.class_list(clips).year == class_list
    classes = class_lists.CLASS_LISTS[class_list]
    assert discovery.largest_overlap(clips, classes) == 2
    chunks = chunking.ChunkSet(clips, FeatureConfig(n_mels=8), 2, classes, 2)
    assert chunks.dropped == 0 and chunks.total == len(places) * (10 if year == "dcase2019" else 3)
    batch = chunks.batch(chunks.plan(None))
    assert batch.features.shape == (len(places), 7, 81, 8) and batch.sed.shape == (len(places), 20, 2, len(classes))
    assert batch.sed.sum() == chunks.total


def test_a_simulated_set(scenes):
    clips = discovery.find_clips(scenes)
    assert len(clips) == 6 and class_decision.class_list(clips).year == "dcase2020"


def test_several_sets_at_once_may_share_stems(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, flat("fold1_a", "fold2_b"))
    clips = discovery.find_clips(tmp_path / "one", tmp_path / "two", tmp_path / "one", parts=["fold2"])
    assert [c.root.name for c in clips] == ["one", "two"] and {c.stem for c in clips} == {"fold2_b"}


def test_only_visible_audio_counts(tmp_path):
    write(tmp_path, flat("a"))
    (tmp_path / "foa_dev" / "notes.txt").write_text("no audio")
    (tmp_path / "foa_dev" / "._a.wav").write_text("what macOS leaves behind")
    (tmp_path / "metadata_dev" / "._a.csv").write_text("what macOS leaves behind")
    (tmp_path / "foa_dev.zip").write_text("archive")
    assert [c.audio.name for c in discovery.find_clips(tmp_path)] == ["a.wav"]


def test_the_folders_may_be_links(tmp_path):
    write(tmp_path / "disk", flat("a"))
    (tmp_path / "set").mkdir()
    for folder in ("foa_dev", "metadata_dev"):
        (tmp_path / "set" / folder).symlink_to(tmp_path / "disk" / folder)
    assert len(discovery.find_clips(tmp_path / "set")) == 1


def test_the_same_place_goes_before_the_same_stem(tmp_path):
    write(tmp_path, {"foa_dev/a/x": "metadata_dev/a/x", "foa_dev/b/x": "metadata_dev/b/x", "foa/y": "metadata_dev/c/y"})
    pairs = {c.place.as_posix(): c.metadata.parent.name for c in discovery.find_clips(tmp_path)}
    assert pairs == {"foa_dev/a/x": "a", "foa_dev/b/x": "b", "foa/y": "c"}


# What is wrong with a folder


def test_folders_without_a_data_set(tmp_path):
    with pytest.raises(ValueError, match=r"holds no data set: audio is expected in .*foa_dev"):
        discovery.find_clips(tmp_path / "missing")
    write(tmp_path, flat("a"))
    (tmp_path / "metadata_dev" / "a.csv").unlink()
    with pytest.raises(ValueError, match=r"holds no annotations: a CSV for each clip is expected in .*metadata_dev"):
        discovery.find_clips(tmp_path)


def test_a_clip_without_annotation_is_named(tmp_path):
    write(tmp_path, flat("a", "b", "c"))
    for stem in ("b", "c"):
        (tmp_path / "metadata_dev" / f"{stem}.csv").rename(tmp_path / "metadata_dev" / f"{stem}_labels.csv")
    with pytest.raises(
        ValueError, match=r"^2 of 3 clips of .* no CSV of the same name below metadata_dev, first b\.wav"
    ):
        discovery.find_clips(tmp_path)


def test_an_evaluation_set_without_annotation_can_be_left_out(tmp_path):
    write(tmp_path, flat("fold1_a") | {"foa_eval/mix001": "elsewhere/mix001"})
    with pytest.raises(ValueError, match=r"below metadata_eval, first mix001\.wav: add them, or choose other parts"):
        discovery.find_clips(tmp_path)
    assert [c.stem for c in discovery.find_clips(tmp_path, parts=["foa_dev"])] == ["fold1_a"]


def test_two_clips_may_not_share_an_annotation(tmp_path):
    write(tmp_path, flat("a"))
    write(tmp_path, {"foa_dev/more/a": "elsewhere/a"})
    with pytest.raises(ValueError, match=r"would have the same annotation, .*a\.csv: rename one"):
        discovery.find_clips(tmp_path)


def test_an_annotation_of_one_stem_too_many(tmp_path):
    write(tmp_path, {"foa_dev/x": "metadata_dev/a/x"})
    write(tmp_path, {"foa_dev/x": "metadata_dev/b/x"})
    with pytest.raises(ValueError, match=r"x\.wav may be annotated by .*a/x\.csv or .*b/x\.csv"):
        discovery.find_clips(tmp_path)


# Training and validation


def stems(clips):
    return [c.stem for c in clips]


def split(folders, validation_folders=(), parts=(), validation_parts=(), **draw):
    data = discovery.DataSelection(tuple(folders), tuple(validation_folders), tuple(parts), tuple(validation_parts))
    return discovery.split_clips(data, **draw)


def test_parts_for_training_and_validation(tmp_path):
    write(tmp_path / "set", flat(*(f"fold{k}_x" for k in range(1, 5))), seconds=0.2)
    training, validation = split([tmp_path / "set"], validation_parts=["fold1"])
    assert stems(training) == ["fold2_x", "fold3_x", "fold4_x"] and stems(validation) == ["fold1_x"]
    training, validation = split([tmp_path / "set"], parts=["fold2", "fold4"], validation_parts=["fold1"])
    assert stems(training) == ["fold2_x", "fold4_x"] and stems(validation) == ["fold1_x"]
    training, validation = split([tmp_path / "set"], parts=["fold2", "fold3", "fold4"], share=0.3, seed=1)
    assert len(training) == 2 and len(validation) == 1 and "fold1_x" not in stems(training + validation)
    assert split([tmp_path / "set"], seed=3) == split([tmp_path / "set"], seed=3)
    write(tmp_path / "other", flat("fold1_y", "fold2_y"), seconds=0.2)
    folders = [tmp_path / "set"], [tmp_path / "other"]
    training, validation = split(*folders)
    assert len(training) == 4 and stems(validation) == ["fold1_y", "fold2_y"]
    training, validation = split(*folders, ["fold3"], ["fold2"])
    assert stems(training) == ["fold3_x"] and stems(validation) == ["fold2_y"]


def test_parts_that_do_not_work_are_named(tmp_path):
    write(tmp_path, YEARS["dcase2021"][0], seconds=0.2)
    there = "dev-test, dev-train, dev-val, eval-test, foa_dev, foa_eval, fold1, fold5, fold6"
    with pytest.raises(ValueError, match=f"belongs to the part 'dev-tra'; there are {there}"):
        discovery.find_clips(tmp_path, parts=["dev-test", "dev-tra"])
    with pytest.raises(
        ValueError, match=r"^1 clip would be trained on and validated on, first fold5_room1_mix001\.wav"
    ):
        split([tmp_path], parts=["dev-train", "fold5"], validation_parts=["dev-val"])
    with pytest.raises(ValueError, match="no clip is left for training: all 4 are held out"):
        split([tmp_path], validation_parts=["foa_dev", "foa_eval"])
    with pytest.raises(ValueError, match="one clip is not enough"):
        split([tmp_path], parts=["dev-val"])


# Sets with folders of other names


@pytest.mark.parametrize(
    "places",
    [
        {"one": "one", "two": "two"},  # a plain folder
        {"audio/one": "labels/one", "audio/two": "labels/two"},
        {"foa_dev/one": "annotations/one", "foa_dev/two": "annotations/two"},
        {"wav/one": "metadata_dev/one", "wav/two": "metadata_dev/two"},
        {"train/one": "train/one", "test/one": "test/one"},  # the same stem twice
        {"data/one_A": "labels/label_one", "data/two_A": "labels/label_two"},  # L3DAS
    ],
    ids=lambda places: next(iter(places)).replace("/", "-"),
)
def test_recordings_and_tables_in_any_folders(tmp_path, places):
    write(tmp_path, places, seconds=0.2)
    if "data/one_A" in places:
        shutil.copy(tmp_path / "data/one_A.wav", tmp_path / "data/one_B.wav")
    found = {c.place.as_posix(): c.metadata.relative_to(tmp_path).as_posix() for c in discovery.find_clips(tmp_path)}
    assert found == {audio: f"{table}.csv" for audio, table in places.items()}
    if "train/one" in places:
        assert len(discovery.find_clips(tmp_path, parts=["train"])) == 1
        with pytest.raises(ValueError, match="there are test, train"):
            discovery.find_clips(tmp_path, parts=["nothing"])


@pytest.mark.parametrize(
    "folder, says",
    [
        ("mic_dev", "microphone array, which are not first-order ambisonics; .*mic_dev cannot be used"),
        ("stereo_dev", "stereo recordings, which have no elevation"),
        ("one/foa_dev", r"is not a data set itself, but .*one is one"),
    ],
)
def test_sets_that_are_no_ambisonics_say_so(tmp_path, folder, says):
    write(tmp_path, {f"{folder}/a": "metadata_dev/a"}, seconds=0.2)
    with pytest.raises(ValueError, match=says):
        discovery.find_clips(tmp_path)


def test_a_plain_folder_without_the_table_of_a_clip(tmp_path):
    write(tmp_path, {"wav/one": "csv/one", "wav/two": "csv/other"}, seconds=0.2)
    with pytest.raises(ValueError, match=r"1 of 2 clips of .* have no CSV of the same name below it, first two\.wav"):
        discovery.find_clips(tmp_path)


# Classes and tracks


@pytest.mark.parametrize("stem, class_, guess", [("mix", 13, "dcase2020"), ("mix", 5, None), ("mix", 12, None)])
def test_classes_of_folders_that_follow_no_year(tmp_path, stem, class_, guess):
    write(tmp_path, flat(stem), class_=class_, seconds=0.2)
    clips = discovery.find_clips(tmp_path)
    if guess:
        assert class_decision.class_list(clips).year == guess
    else:
        choices = r".*dcase2020 \(14\), .*dcase2024 \(13\), .*; or, for classes of your own, --classes \d+ for "
        with pytest.raises(ValueError, match=rf"class indices up to {class_} .*: .*--classes, one of {choices}"):
            class_decision.class_list(clips)


def test_distances_tell_the_year(tmp_path):
    write(tmp_path, flat("a"), ROWS_2024, seconds=0.2)
    assert class_decision.class_list(discovery.find_clips(tmp_path)).year == "dcase2022"


def test_mixed_years_and_classes_that_do_not_fit_are_refused(tmp_path):
    write(tmp_path / "2020", flat("fold1_room1_mix001_ov1"), seconds=0.2)
    write(tmp_path / "2021", YEARS["dcase2021"][0], seconds=0.2)
    with pytest.raises(ValueError, match=r"class list of .*2020, .*2021 is not clear"):
        class_decision.class_list(discovery.find_clips(tmp_path / "2020", tmp_path / "2021"))
    write(tmp_path / "2021", YEARS["dcase2021"][0], class_=12, seconds=0.2)
    with pytest.raises(ValueError, match=r"is not clear from the files, with class indices up to 12 \(fold"):
        class_decision.class_list(discovery.find_clips(tmp_path / "2021"))


def test_largest_overlap(tmp_path):
    write(tmp_path, flat("a"), [], seconds=0.2)
    assert discovery.largest_overlap(discovery.find_clips(tmp_path), class_lists.DCASE2020_CLASSES) == 0
    write(tmp_path, flat("b"), [f"7,{k},0,{k},0" for k in range(5)], seconds=0.2)
    assert discovery.largest_overlap(discovery.find_clips(tmp_path), class_lists.DCASE2020_CLASSES) == 5


@pytest.mark.parametrize(
    "simultaneous, given, n_tracks", [(1, [], 2), (3, [], 3), (6, [], 4), (3, ["--n-tracks", 2], 2)]
)
def test_train_takes_classes_and_tracks_from_the_data(tmp_path, monkeypatch, simultaneous, given, n_tracks):
    rows = [f"3,{k},{k},{10 * k},0" for k in range(simultaneous)]
    write(tmp_path / "data", YEARS["dcase2022"][0], rows, seconds=0.2)
    write(
        tmp_path / "data", {"foa_dev/dev-test-tau/fold4_room8_mix001": "metadata_dev/dev-test-tau/fold4_room8_mix001"}
    )
    seen = {}

    def fake(out, settings, data, options, **_):
        seen.update(vars(data), model=settings.model, classes=settings.data.classes, provenance=options.provenance)
        raise ValueError("seen enough")

    monkeypatch.setattr(loop, "train", fake)
    flags = ("--validation-part", "dev-test", "--train-part", "dev-train,fold3", "--cache", tmp_path / "cache", *given)
    assert main("train", "--data", tmp_path / "data", "--out", tmp_path / "run", *MODEL, *flags) == 1
    assert seen["classes"] == class_lists.DCASE2022_CLASSES and seen["model"].n_classes == 13
    assert seen["model"].n_tracks == n_tracks and seen["cache"] == tmp_path / "cache"
    assert (seen["parts"], seen["validation_parts"]) == (("dev-train", "fold3"), ("dev-test",))
    assert ("--n-tracks" in seen["provenance"]["arguments"]) == (n_tracks != 2)


def test_train_on_parts_says_what_it_found(tmp_path, capsys):
    write(tmp_path / "data", flat(*(f"fold{k}_room1_mix001_ov2" for k in (1, 2, 3))), [*ROWS, "1,7,0,0,0", "1,8,0,9,0"])
    run = tmp_path / "run"
    flags = ("--validation-part", "fold3", "--epochs", 1, "--n-tracks", 3, "--cache", tmp_path / "cache")
    assert main("train", "--data", tmp_path / "data", "--out", run, *MODEL, *flags) == 0
    log = (run / "log.txt").read_text()
    assert "training: 2 clips, at most 4 events at a time; 2 of 10 reference frames (20.0%)" in log
    assert "3 tracks, 14 classes: alarm, " in log
    assert not list((tmp_path / "data").glob(".features*")) and len(list((tmp_path / "cache").rglob("*.npy"))) == 3


# fetch


def main(*arguments):
    return cli.main([str(a) for a in arguments])


def test_fetch(tmp_path, soundata, capsys):
    fake = soundata()
    assert main("fetch", "dcase2020", "--out", tmp_path) == 0
    assert f"{tmp_path}: foa_dev, metadata_dev" in capsys.readouterr().out
    assert fake.calls == [
        ("tau2020sse_nigens", str(tmp_path)),
        ("remote", "foa_dev.zip"),
        ("remote", "foa_dev.z01"),
        ("zip", "foa_dev_single.zip"),
        ("unzip", str(tmp_path / "foa_dev_single.zip"), True),
        ("download", "metadata_dev"),
        ("download", "index"),
    ]


@pytest.mark.parametrize(
    "options, says",
    [
        (
            {"error": urllib.error.URLError("no route")},
            "dcase2021 was not fetched: <urlopen error no route>; fetch needs int",
        ),
        ({"error": OSError("foa.zip has an MD5\n checksum")}, "foa.zip has an MD5 checksum; fetch needs internet"),
        ({"missing": ["foa_dev/b"]}, "1 missing file of dcase2021 in "),
    ],
)
def test_fetch_that_fails_is_one_line(tmp_path, soundata, capsys, options, says):
    soundata(**options)
    assert main("fetch", "dcase2021", "--out", tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and says in line


def test_fetch_without_its_programs(tmp_path, soundata, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundata", None)
    assert main("fetch", "dcase2020", "--out", tmp_path) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: fetch needs the package soundata: pip install soundata==1.0.1 (")
    soundata()
    monkeypatch.setattr(download.shutil, "which", lambda program: None)
    assert main("fetch", "dcase2020", "--out", tmp_path) == 1
    assert "the program zip, which joins archives, is not installed" in capsys.readouterr().err
