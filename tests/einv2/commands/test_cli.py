"""Every command from end to end, and one line for every input that cannot be used."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from einv2.audio import recordings
from einv2.checkpoints import checkpoint, headers
from einv2.commands import main as cli
from einv2.commands.main import parser
from einv2.config import FeatureConfig, ModelConfig, TrainConfig
from einv2.experiments import bench
from einv2.inference import ensemble
from einv2.inference.model import Model, load_model
from einv2.labels import class_lists, dcase_csv, frame_tables
from einv2.metrics import dcase
from einv2.simulate.scene import SceneConfig
from support.places import ROOT
from support.weights_of_others import their_checkpoint, their_state_dict

RATE = 24000
TINY = [
    "--channels",
    "4,4,8,8",
    "--n-heads",
    "2",
    "--n-mels",
    "16",
    "--precision",
    "fp32",
    "--chunk-seconds",
    "2",
    "--batch-size",
    "4",
]


def main(*arguments):
    return cli.main([str(a) for a in arguments])


@pytest.fixture
def model_file(tmp_path, tiny_checkpoint):
    checkpoint.save(tiny_checkpoint, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "clip.wav")


def write_clip(path, seconds=1.05, channels=4, rate=RATE, **options):
    noise = 0.1 * np.random.default_rng(0).standard_normal((round(seconds * rate), channels))
    noise[:, 1:] *= 3**-0.5  # a diffuse field in SN3D
    soundfile.write(path, noise, rate, **options)
    return path


def one_error_line(captured, *says):
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), captured.err
    for text in says:
        assert text in lines[0], lines[0]


# predict


def test_predict_writes_a_dcase_csv(tmp_path, model_file, clip, capsys):
    assert main("predict", clip, "--model", model_file, "--out", tmp_path / "out", "--threshold", 0.6) == 0
    assert capsys.readouterr().err == ""
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["clip.csv"]
    rows = [line.split(",") for line in (tmp_path / "out" / "clip.csv").read_text().splitlines()]
    expected = load_model(model_file).predict(clip).frames(0.6)
    assert len(rows) == len(expected) > 0
    values = np.array([[int(field) for field in row] for row in rows])  # integers, and no header
    assert values.shape[1] == 5
    np.testing.assert_array_equal(values[:, :3], expected[["frame", "class", "track"]])
    assert (np.abs(values[:, 4] - expected["elevation"]) <= 0.5).all()
    azimuth_error = (values[:, 3] - expected["azimuth"] + 180) % 360 - 180
    assert (np.abs(azimuth_error) <= 0.5).all() and values[:, 3].min() >= -180 and values[:, 3].max() < 180
    assert values[:, 0].min() >= 0 and values[:, 0].max() <= 10


def test_predict_arrays_json_and_format(tmp_path, model_file, clip):
    options = ("--arrays", "--json", tmp_path / "report.json", "--format", "dcase2020_output")
    assert main("predict", clip, "--model", model_file, "--out", tmp_path / "out", *options) == 0
    prediction = load_model(model_file).predict(clip)
    with np.load(tmp_path / "out" / "clip.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"sed", "doa", "classes"}
        np.testing.assert_allclose(arrays["sed"], prediction.sed)
        np.testing.assert_allclose(arrays["doa"], prediction.doa)
        assert arrays["sed"].shape == (11, 2, 14) and arrays["doa"].shape == (11, 2, 3)
        assert tuple(arrays["classes"]) == class_lists.DCASE2020_CLASSES
    assert {line.count(",") for line in (tmp_path / "out" / "clip.csv").read_text().splitlines()} == {3}
    report = json.loads((tmp_path / "report.json").read_text())
    (entry,) = report["clips"]
    assert (entry["clip"], entry["seconds"]) == (str(clip), pytest.approx(1.1)) and report["threshold"] == 0.5
    assert entry["events"] == len(prediction.events())


def test_predict_goes_on_after_a_bad_clip(tmp_path, model_file, clip, capsys):
    stereo = write_clip(tmp_path / "stereo.wav", channels=2)
    after = write_clip(tmp_path / "after.flac", seconds=0.5)
    report = tmp_path / "report.json"
    out = tmp_path / "out"
    assert main("predict", clip, stereo, after, "--model", model_file, "--out", out, "--json", report, "--arrays") == 1
    one_error_line(capsys.readouterr(), "stereo.wav", "2 channels")
    assert {p.name for p in out.iterdir()} == {"clip.csv", "clip.npz", "after.csv", "after.npz"}
    assert ["error" in entry for entry in json.loads(report.read_text())["clips"]] == [False, True, False]


def test_predict_with_several_models_is_an_ensemble(tmp_path, model_file, tiny_checkpoint, clip):
    """Its output is that of the library; a copy of a model changes nothing."""
    other = tmp_path / "other.safetensors"
    with torch.no_grad():
        for track in tiny_checkpoint.network.tracks:
            track.sed_head.weight.neg_()
    checkpoint.save(tiny_checkpoint, other)
    out, report = tmp_path / "out", tmp_path / "report.json"

    def predicted(*names):
        models = [option for name in names for option in ("--model", name)]
        assert main("predict", clip, *models, "--out", out, "--arrays", "--json", report) == 0
        with np.load(out / "clip.npz") as arrays:
            return arrays["sed"], arrays["doa"]

    alone, twice, both = predicted(model_file), predicted(model_file, model_file), predicted(model_file, other)
    np.testing.assert_allclose(twice[0], alone[0], atol=1e-6)
    np.testing.assert_allclose(twice[1], alone[1], atol=1e-5)
    expected = ensemble.Ensemble([load_model(model_file), load_model(other)]).predict(clip)
    np.testing.assert_array_equal(both[0], expected.sed)
    np.testing.assert_array_equal(both[1], expected.doa)
    assert np.abs(both[0] - alone[0]).max() > 0.1
    assert json.loads(report.read_text())["model"] == f"{model_file} + {other}"


def test_predict_refuses_models_of_different_classes(tmp_path, model_file, tiny_checkpoint, clip, capsys):
    other = replace(tiny_checkpoint, classes=(*class_lists.DCASE2020_CLASSES[:-1], "organ"))
    checkpoint.save(other, tmp_path / "other.safetensors")
    out = tmp_path / "out"
    assert main("predict", clip, "--model", model_file, "--model", tmp_path / "other.safetensors", "--out", out) == 1
    one_error_line(capsys.readouterr(), "same classes in the same order", "model 2", "organ")
    assert not out.exists()


def test_predict_refuses_clips_that_would_overwrite_each_other(tmp_path, model_file, clip, capsys):
    (tmp_path / "other").mkdir()
    other = write_clip(tmp_path / "other" / "clip.flac")
    assert main("predict", clip, other, "--model", model_file, "--out", tmp_path / "out") == 1
    one_error_line(capsys.readouterr(), str(clip), str(other), "clip.csv")
    assert not (tmp_path / "out").exists()


# Bad audio


def silence_of_three_hours(path):
    """A WAV whose header promises three hours, and that holds a second."""
    write_clip(path, seconds=1.0)
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = (3 * 3600 * RATE * 8).to_bytes(4, "little")
    path.write_bytes(data)


def cut_in_half(path):
    write_clip(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def with_nan(path):
    samples = np.zeros((RATE, 4), np.float32)
    samples[777, 2] = np.nan
    soundfile.write(path, samples, RATE, subtype="FLOAT")


def mp3(path):
    if "MP3" not in soundfile.available_formats():
        pytest.skip("this libsndfile does not write MP3")
    write_clip(path, channels=2, format="MP3")


BAD_AUDIO = {
    "stereo.wav": (lambda p: write_clip(p, channels=2), "has 2 channels; first-order ambisonics has 4"),
    "mono.flac": (lambda p: write_clip(p, channels=1), "has 1 channel;"),
    "five.wav": (lambda p: write_clip(p, channels=5), "has 5 channels"),
    "empty.wav": (lambda p: write_clip(p, seconds=0), "holds no samples"),
    "nothing.wav": (lambda p: p.write_bytes(b""), "is empty (0 bytes)"),
    "blink.wav": (lambda p: write_clip(p, seconds=0.1), "expected at least 0.2 s"),
    "nan.wav": (with_nan, "not a number"),
    "song.wav": (mp3, "is MP3 data"),
    "cut.wav": (cut_in_half, "is cut off"),
    "cut.flac": (cut_in_half, "cut.flac"),
    "long.wav": (silence_of_three_hours, "is cut off: its header promises"),
    "notes.wav": (lambda p: p.write_text("frame,class\n"), "is a text file"),
    "missing.wav": (lambda p: None, "no such file"),
    "folder.wav": (lambda p: p.mkdir(), "is a folder"),
}


@pytest.mark.parametrize("command", ["predict", "check"])
@pytest.mark.parametrize("name", BAD_AUDIO)
def test_bad_audio_is_one_line(tmp_path, model_file, capsys, name, command):
    make, says = BAD_AUDIO[name]
    make(tmp_path / name)
    out = tmp_path / "out"
    options = ("--model", model_file, "--out", out, "--arrays") if command == "predict" else ()
    assert main(command, tmp_path / name, *options) == 1
    one_error_line(capsys.readouterr(), name, says)
    assert not out.exists() or not list(out.iterdir())


# Bad models


@pytest.mark.parametrize("content", [b"no weights", b"\x80\x02}q\x00.", b""])
def test_a_model_that_is_none(tmp_path, clip, capsys, content):
    (tmp_path / "model.safetensors").write_bytes(content)
    assert main("predict", clip, "--model", tmp_path / "model.safetensors", "--out", tmp_path / "out") == 1
    one_error_line(capsys.readouterr(), "model.safetensors is not a checkpoint")
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_lists_the_known_ones(tmp_path, clip, model_file, capsys, monkeypatch):
    monkeypatch.setattr(headers, "PRETRAINED", model_file.parent)
    assert main("predict", clip, "--model", "huge", "--out", tmp_path / "out") == 1
    one_error_line(capsys.readouterr(), "'huge'", "tiny")
    assert main("predict", clip, "--model", "tiny", "--out", tmp_path / "out") == 0


# models, check, import-official


def test_models(tmp_path, model_file, capsys, monkeypatch):
    monkeypatch.setattr(headers, "PRETRAINED", model_file.parent)
    assert main("models", "--json", tmp_path / "models.json") == 0
    line = capsys.readouterr().out
    assert line.startswith("tiny ") and "2 tracks, 14 classes" in line and "ER 0.5" in line and "F 0.25" in line
    (entry,) = json.loads((tmp_path / "models.json").read_text())
    assert (entry["name"], entry["classes"][0]) == ("tiny", "alarm") and entry["model"]["channels"] == [4, 4, 8, 8]


def test_models_goes_on_after_a_bad_file(tmp_path, model_file, capsys, monkeypatch):
    (tmp_path / "aaa.safetensors").write_text("junk")
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    assert main("models", "--json", tmp_path / "models.json") == 1
    captured = capsys.readouterr()
    assert "tiny" in captured.out and captured.err.count("\n") == 1 and "aaa.safetensors" in captured.err
    assert len(json.loads((tmp_path / "models.json").read_text())) == 1


def test_models_of_an_empty_folder(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    assert main("models") == 1
    one_error_line(capsys.readouterr(), "there is no model in")


def test_check(tmp_path, scenes, capsys):
    clips = sorted((scenes / "foa_dev").iterdir())[:2]
    assert main("check", *clips, "--json", tmp_path / "check.json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and all(str(c) in line and "8.00 s, 24000 Hz, FLAC" in line for c, line in zip(clips, lines))
    report = json.loads((tmp_path / "check.json").read_text())
    assert [entry["seconds"] for entry in report] == [8, 8] and report[0]["status"] == "plausible"


def test_check_goes_on_after_a_bad_clip(tmp_path, clip, capsys):
    assert main("check", tmp_path / "missing.wav", clip) == 1
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1 and captured.out.startswith(str(clip))


def test_import_official(tmp_path, clip, capsys):
    torch.save(their_checkpoint(their_state_dict((8, 8, 8, 16), feedforward=8)), tmp_path / "theirs.pth")
    out = tmp_path / "ours.safetensors"
    assert main("import-official", tmp_path / "theirs.pth", out) == 0
    assert "2 tracks, 14 classes" in capsys.readouterr().out
    assert main("predict", clip, "--model", out, "--out", tmp_path / "out") == 0
    capsys.readouterr()
    assert main("import-official", tmp_path / "theirs.pth", tmp_path / "missing" / "ours.safetensors") == 1
    one_error_line(capsys.readouterr(), "there is no folder")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "theirs.pth").read_bytes()[:5000])
    assert main("import-official", tmp_path / "cut.pth", tmp_path / "cut.safetensors") == 1
    one_error_line(capsys.readouterr(), "cut.pth is refused")
    assert not (tmp_path / "cut.safetensors").exists()


# evaluate


def test_evaluate_a_perfect_prediction(tmp_path, scenes, capsys):
    truth = scenes / "metadata_dev"
    shutil.copytree(truth, tmp_path / "estimate")
    assert main("evaluate", tmp_path / "estimate", truth, "--json", tmp_path / "scores.json") == 0
    assert "ER 0.000  F 1.000  LE 0.0 degrees  LR 1.000" in capsys.readouterr().out
    result = json.loads((tmp_path / "scores.json").read_text())
    found = [result[k] for k in ("ER", "F", "LE", "LR", "SELD")]
    assert found == pytest.approx([0, 1, 0, 1, 0], abs=1e-6)
    assert [entry["class"] for entry in result["per_class"]] == list(class_lists.DCASE2020_CLASSES)
    assert (result["metric"], result["n_clips"]) == ("dcase2020", 6)


def test_evaluate_intervals_and_overlap(tmp_path, scenes, capsys):
    """One clip of six without predictions: intervals that hold the scores, and frames that are not found."""
    truth = scenes / "metadata_dev"
    shutil.copytree(truth, tmp_path / "estimate")
    sorted((tmp_path / "estimate").iterdir())[0].write_text("")
    report = tmp_path / "scores.json"
    assert main("evaluate", tmp_path / "estimate", truth, "--json", report) == 0
    plain, plain_text = json.loads(report.read_text()), capsys.readouterr().out
    assert main("evaluate", tmp_path / "estimate", truth, "--intervals", "--overlap", "--json", report) == 0
    result, text = json.loads(report.read_text()), capsys.readouterr().out
    assert {k: v for k, v in result.items() if k not in ("intervals", "intervals_method", "overlap")} == plain
    assert (
        text.startswith(plain_text)
        and "over clips, bootstrap:" in text
        and "jackknife" not in text
        and "two or more, some of one class" in text
    )
    for bounds in result["intervals"].values():
        for key in ("ER", "F", "LR", "SELD"):
            low, high = bounds[key]
            assert low < plain[key] < high
    assert main("evaluate", "--intervals", tmp_path / "estimate", truth) == 0  # the plain flag before folders
    assert main("evaluate", tmp_path / "estimate", truth, "--intervals", "jackknife", "--against", truth) == 0
    text = capsys.readouterr().out
    assert "over clips, jackknife:" in text and "over clips (jackknife, clips paired)" in text
    single = result["overlap"]["single"]
    assert single["frames"] > 0 and 0 < single["found"] < 1


@pytest.mark.parametrize("metric", ["dcase2021", "dcase2022", "dcase2023", "dcase2024"])
def test_evaluate_of_other_years(tmp_path, scenes, capsys, metric):
    truth = scenes / "metadata_dev"
    assert main("evaluate", truth, truth, "--metric", metric, "--json", tmp_path / "scores.json") == 0
    assert f"6 clips, {metric}" in capsys.readouterr().out
    result = json.loads((tmp_path / "scores.json").read_text())
    estimates = [dcase_csv.read_csv(f) for f in sorted(truth.iterdir())]
    expected = dcase.evaluate([(t, t) for t in estimates], 14, metric)
    assert all(result[k] == pytest.approx(expected[k]) for k in ("ER", "F", "LE", "LR", "SELD"))


def test_evaluate_all_years_at_once(tmp_path, scenes, capsys):
    truth = scenes / "metadata_dev"
    assert main("evaluate", truth, truth, "--metric", "all", "--intervals", "--json", tmp_path / "all.json") == 0
    result, text = json.loads((tmp_path / "all.json").read_text()), capsys.readouterr().out
    assert list(result["measures"]) == list(dcase.MEASURES) and all(m in text for m in dcase.MEASURES)
    assert result["ER"] == result["measures"]["dcase2020"]["ER"]
    assert result["measures"]["dcase2022"]["intervals"]["jackknife"]["F"]


def test_evaluate_finds_the_class_list(tmp_path, capsys):
    """Clips of STARSS22 are told by their folders; class 13 fits the list of 2020 alone; the rest is said."""
    cases = {
        "dev-test-sony/fold4_room23_mix001": ("3,9,0,10,5\n", "musical instrument", False),
        "anything": ("3,13,0,10,5\n", "piano", False),
        "unclear": ("3,9,0,10,5\n", "knocking on door", True),
    }
    for place, (text, name, noted) in cases.items():
        file = tmp_path / place.partition("/")[0] / f"{place}.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        report = tmp_path / "scores.json"
        assert main("evaluate", file.parent, file.parent, "--json", report) == 0
        result = json.loads(report.read_text())
        assert name in [c["class"] for c in result["per_class"] if c["n_reference"] == 1]
        assert ("class list" in capsys.readouterr().err) == noted


def test_evaluate_is_told_how_files_are_written(tmp_path, capsys):
    for side, text in {"estimate": "30,1,9,3\n31,1,9,3\n", "truth": "1,1,2,0,9\n0,1,2,0,9\n"}.items():
        (tmp_path / side).mkdir()
        (tmp_path / side / "a.csv").write_text(text)
    layout = [
        "--columns",
        "azimuth,frame,-,class",
        "--first-frame",
        "1",
        "--reference-columns",
        "frame,-,-,azimuth,class",
    ]
    assert main("evaluate", tmp_path / "estimate", tmp_path / "truth", *layout, "--json", tmp_path / "scores.json") == 0
    assert json.loads((tmp_path / "scores.json").read_text())["per_class"][9]["n_reference"] == 1
    assert main("evaluate", tmp_path / "estimate", tmp_path / "truth", "--columns", "frame,klass") == 1
    assert "'klass' is no column of a table" in capsys.readouterr().err


def test_evaluate_further(tmp_path, scenes, capsys):
    """A system that is 30 degrees off in one clip: where it errs, and that it is behind the perfect one."""
    truth = scenes / "metadata_dev"
    shutil.copytree(truth, tmp_path / "estimate")
    file = sorted((tmp_path / "estimate").iterdir())[0]
    table = dcase_csv.read_csv(file)
    dcase_csv.write_csv(table.assign(azimuth=table["azimuth"] + 30), file)
    options = ["--breakdown", "--audio", scenes / "foa_dev", "--errors", tmp_path / "errors.csv", "--against", truth]
    assert main("evaluate", tmp_path / "estimate", truth, *options, "--json", tmp_path / "scores.json") == 0
    result, text = json.loads((tmp_path / "scores.json").read_text()), capsys.readouterr().out
    lines = (tmp_path / "errors.csv").read_text().splitlines()
    assert lines[0].startswith("clip,kind,class,heard_as,") and all(file.stem in line for line in lines[1:])
    assert any("wrong place" in line for line in lines)
    assert result["breakdown"]["outcomes"]["reference"]["missed"] == 0
    assert sum(row["reference"] for row in result["breakdown"]["breakdowns"]["level"]) > 0
    assert result["differences"]["dcase2020"]["F"]["value"] == pytest.approx(result["F"] - 1)
    assert "frames by polyphony" in text and "swaps per minute" in text and "minus" in text


def test_evaluate_with_probabilities(tmp_path, model_file, clip, capsys):
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / f"{clip.stem}.csv").write_text("3,1,0,10,5\n4,1,0,10,5\n")
    assert main("predict", clip, "--model", model_file, "--out", tmp_path / "estimate", "--arrays") == 0
    options = ["--breakdown", "--json", tmp_path / "scores.json"]
    assert main("evaluate", tmp_path / "estimate", tmp_path / "truth", *options) == 0
    breakdown = json.loads((tmp_path / "scores.json").read_text())["breakdown"]
    assert sum(entry["n"] for entry in breakdown["reliability"]["bins"]) > 0
    assert len(breakdown["thresholds"]["per_class"]) == 14


def test_evaluate_refuses_arrays_of_another_class_list(tmp_path, model_file, clip, capsys):
    assert main("predict", clip, "--model", model_file, "--out", tmp_path / "out", "--arrays") == 0
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / f"{Path(clip).stem}.csv").write_text("3,1,0,40,10\n")
    arguments = ["evaluate", tmp_path / "out", tmp_path / "truth", "--classes", "dcase2021", "--breakdown"]
    (tmp_path / "out" / f"{Path(clip).stem}.csv").write_text("3,1,0,40,10\n")
    assert main(*arguments) == 1
    assert "was made with 14 classes, and not those 12 that" in capsys.readouterr().err


def test_evaluate_against_a_system_that_lacks_a_clip(tmp_path, scenes, capsys):
    truth = scenes / "metadata_dev"
    shutil.copytree(truth, tmp_path / "other")
    lost = sorted((tmp_path / "other").iterdir())[2]
    lost.unlink()
    assert main("evaluate", truth, truth, "--against", tmp_path / "other") == 1
    one_error_line(capsys.readouterr(), f"other lacks {lost.stem}")


def test_evaluate_intervals_of_one_clip(tmp_path, scenes, capsys):
    (tmp_path / "one").mkdir()
    shutil.copy(sorted((scenes / "metadata_dev").iterdir())[0], tmp_path / "one")
    assert main("evaluate", tmp_path / "one", tmp_path / "one", "--intervals") == 1
    one_error_line(capsys.readouterr(), "at least 2 clips, not 1")


BAD_CSV = {
    "class_too_large": ("3,0,0,10,10\n4,14,0,10,10\n", "class 14 on line 2"),
    "of_2019": (
        "sound_event_recording,start_time,end_time,ele,azi,dist\ndrawer000.wav,0.5,1.5,10,20,1\n",
        "drawer000.wav",
    ),
    "other_header": ("onset,offset,label,pitch,loudness\n0,1,a,2,3\n", "header"),
    "prose": ("not a table at all\n", "line 1 has 1 column"),
    "elevation": ("0,1,0,10,95\n", "elevation 95 on line 1"),
}


@pytest.mark.parametrize("case", BAD_CSV)
def test_evaluate_names_the_bad_csv(tmp_path, scenes, capsys, case):
    text, says = BAD_CSV[case]
    shutil.copytree(scenes / "metadata_dev", tmp_path / "estimate")
    bad = sorted((tmp_path / "estimate").iterdir())[3]
    bad.write_text(text)
    report = tmp_path / "scores.json"
    assert main("evaluate", tmp_path / "estimate", scenes / "metadata_dev", "--json", report) == 1
    one_error_line(capsys.readouterr(), bad.name, says)
    assert not report.exists()


def test_evaluate_folders_that_do_not_match(tmp_path, scenes, capsys):
    shutil.copytree(scenes / "metadata_dev", tmp_path / "estimate")
    lost = sorted((tmp_path / "estimate").iterdir())[1]
    lost.unlink()
    (tmp_path / "estimate" / "other.csv").write_text("1,2,0,3,4\n")
    report = tmp_path / "scores.json"
    assert main("evaluate", tmp_path / "estimate", scenes / "metadata_dev", "--json", report) == 0
    captured = capsys.readouterr()
    notes = json.loads(report.read_text())["notes"]
    assert [f"note: {n}" for n in notes] == captured.err.splitlines()
    assert "without a ground truth of that stem: other. Left out." in notes[0]
    assert f"without a prediction of that stem: {lost.stem}. Left out" in notes[1] and len(notes) == 2
    assert captured.out.startswith("5 clips")
    for path in (tmp_path / "estimate").iterdir():
        path.rename(path.with_name(f"x{path.name}"))
    assert main("evaluate", tmp_path / "estimate", scenes / "metadata_dev") == 1
    one_error_line(capsys.readouterr(), "no prediction has the stem")
    assert main("evaluate", tmp_path / "nowhere", scenes / "metadata_dev") == 1
    one_error_line(capsys.readouterr(), "nowhere is no folder")
    (tmp_path / "empty").mkdir()
    assert main("evaluate", tmp_path / "empty", scenes / "metadata_dev") == 1
    one_error_line(capsys.readouterr(), "empty holds no CSV files")


def test_evaluate_looks_into_sub_folders_and_refuses_doubles(tmp_path, scenes, capsys):
    for part in ("dev-train", "dev-test"):
        shutil.copytree(scenes / "metadata_dev", tmp_path / "nested" / part)
    assert main("evaluate", tmp_path / "nested", scenes / "metadata_dev") == 1
    one_error_line(capsys.readouterr(), "same stem")
    shutil.rmtree(tmp_path / "nested" / "dev-train")
    assert main("evaluate", tmp_path / "nested", scenes / "metadata_dev") == 0


# simulate and train


def test_simulate(tmp_path, capsys):
    options = [
        "--scenes",
        "2",
        "--seconds",
        "2",
        "--seed",
        "5",
        "--event-seconds",
        "0.5,1",
        "--peak-db=-7,-6",
        "--anechoic",
    ]
    assert main("simulate", tmp_path / "data", *options) == 0
    assert "2 scenes of 2 s" in capsys.readouterr().out
    clips = sorted((tmp_path / "data" / "foa_dev").glob("*.flac"))
    assert len(clips) == 2 and len(list((tmp_path / "data" / "metadata_dev").glob("*.csv"))) == 2
    for path in clips:
        loaded = recordings.load(path)
        assert loaded.shape == (4, 2 * RATE) and -7 <= 20 * np.log10(np.abs(loaded).max()) <= -6 + 1e-3
    assert main("simulate", tmp_path / "data", *options, "--seed", 6) == 1
    one_error_line(capsys.readouterr(), "choose another folder")


@pytest.mark.parametrize(
    "options, says",
    [
        (["--sources", "nowhere"], "nowhere is not a folder"),
        (["--snr-db", "30,6"], "snr_db (30.0, 6.0) must be low and high"),
        (["--event-seconds", "2"], "event_seconds (2.0,)"),
        (["--seconds", "0"], "at least 1 s"),
    ],
)
def test_simulate_refuses(tmp_path, capsys, options, says):
    assert main("simulate", tmp_path / "data", "--scenes", 1, "--seed", 1, *options) == 1
    one_error_line(capsys.readouterr(), says)
    assert not (tmp_path / "data").exists()


def test_train_then_resume_then_predict(tmp_path, scenes, clip, capsys):
    out = tmp_path / "run"
    arguments = ("train", "--data", scenes, "--out", out, "--epochs", 1, *TINY, "--no-rotate")
    assert main(*arguments, "--data-description", "six scenes") == 0
    assert "best.safetensors: SELD" in capsys.readouterr().out
    assert main(*arguments) == 1
    one_error_line(capsys.readouterr(), "add --resume")
    assert main(*arguments, "--resume") == 0
    assert main("train", "--data", scenes, "--out", out, "--resume") == 0  # with the settings of the run
    assert main(*arguments, "--resume", "--seed", 3) == 1
    assert "other settings (train.seed)" in capsys.readouterr().err
    assert main("predict", clip, "--model", out / "best.safetensors", "--out", tmp_path / "out") == 0
    loaded = checkpoint.load(out / "best.safetensors")
    assert loaded.provenance["data"] == "six scenes" and not loaded.provenance["train"]["rotate"]
    assert "--channels 4,4,8,8" in loaded.provenance["arguments"] and str(scenes) not in json.dumps(loaded.provenance)


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--system seldnet --pit cpit", "--pit cpit would do nothing: it acts on output tracks"),
        ("--pit none --system accdoa", "--pit none would do nothing"),
        ("--system crnn --n-heads 4", "--n-heads 4 would do nothing: the network crnn has no such part"),
        (
            "--sharing hard --stitch-order sequential",
            "--stitch-order sequential would do nothing: cross-stitches belong",
        ),
        ("--system sed-tpit --no-stitch-tracks", "--no-stitch-tracks would do nothing: this network has one branch"),
        ("--feedforward 64", "--feedforward 64 would do nothing: it belongs to transformer layers"),
        ("--track-layer transformer --attention-bias", "--attention-bias would do nothing"),
        ("--no-positional-encoding --positional-scale 1", "--positional-scale 1.0 would do nothing"),
        ("--warmup-share 0.1", "--warmup-share 0.1 would do nothing: it belongs to the schedule one-cycle"),
        ("--system seldnet --overlap-weight 2", "--overlap-weight 2.0 would do nothing"),
        ("--n-tracks 1 --pit cpit", "--pit cpit would do nothing: it acts on several tracks"),
        ("--system accdoa --sed-weight 0.3", "--sed-weight 0.3 would do nothing: this network has one loss"),
        (
            "--masked-loss root",
            "--masked-loss root would do nothing: it is the loss of directions in the format seldnet",
        ),
        ("--validation x --validation-share 0.2", "--validation-share 0.2 would do nothing"),
        ("--system seldnet --pit none --overlap-weight 3", "--pit none, --overlap-weight 3.0 would do nothing"),
    ],
)
def test_flags_that_do_nothing_are_refused_before_anything_is_read(tmp_path, capsys, flags, said):
    assert main("train", "--data", tmp_path / "nothing", "--out", tmp_path / "run", *flags.split()) == 1
    one_error_line(capsys.readouterr(), said)


def test_flags_beside_a_system_have_the_last_word_in_any_order(capsys):
    for flags in ("--pit cpit --system einv2-tpit", "--system einv2-tpit --pit cpit"):
        options = parser(["train"]).parse_args(["train", "--data", "d", "--out", "o", *flags.split()])
        assert options.pit == "cpit"
    assert main("train", "--data", "nowhere", "--out", "o", "--pit", "cpit", "--system", "einv2-tpit") == 1
    assert "note: --pit cpit changes the system einv2-tpit." in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main("train", "--data", "d", "--out", "o", "--system", "crnn", "--system", "accdoa")
    assert "choose one system" in capsys.readouterr().err


def test_train_on_another_class_list(tmp_path, scenes, capsys):
    arguments = ("train", "--data", scenes, "--out", tmp_path / "run", "--epochs", 1, *TINY)
    assert main(*arguments, "--n-classes", 3) == 1
    one_error_line(capsys.readouterr(), "n_classes is 3, but the class list has 14")
    assert not (tmp_path / "run").exists()
    table = frame_tables.empty_table()
    for folder in ("foa_dev", "metadata_dev"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    for name in ("a", "b"):
        write_clip(tmp_path / "data" / "foa_dev" / f"{name}.wav", seconds=4)
        dcase_csv.write_csv(table, tmp_path / "data" / "metadata_dev" / f"{name}.csv")
    arguments = ("train", "--data", tmp_path / "data", "--out", tmp_path / "run", "--epochs", 1, *TINY)
    assert main(*arguments, "--classes", "dcase2022") == 0
    assert checkpoint.load(tmp_path / "run" / "best.safetensors").classes == class_lists.DCASE2022_CLASSES


def test_train_without_data(tmp_path, capsys):
    assert main("train", "--data", tmp_path / "nothing", "--out", tmp_path / "run", *TINY) == 1
    one_error_line(capsys.readouterr(), "nothing holds no data set")
    assert main("train", "--data", tmp_path, "--out", tmp_path / "run", "--hop", 1200) == 1
    one_error_line(capsys.readouterr(), "hop 1200")
    assert not (tmp_path / "run").exists()


# The parser


@pytest.mark.parametrize(
    "command, configs", [("train", (ModelConfig, FeatureConfig, TrainConfig)), ("simulate", (SceneConfig,))]
)
def test_help_explains_every_field_of_the_configurations(capsys, command, configs):
    with pytest.raises(SystemExit) as stop:
        main(command, "--help")
    text = capsys.readouterr().out
    assert stop.value.code == 0 and ".py" not in text
    words = " ".join(text.split())
    for field in (f for cls in configs for f in fields(cls)):
        assert f"--{field.name.replace('_', '-')}" in text
        assert field.type.__metadata__[0] in words
    assert f"(default: {'64,128,256,512' if command == 'train' else '-8.0,4.0'})" in words and "None" not in words
    assert f"(default: {'on' if command == 'train' else 'off'})" in words
    for unit in ("s", "Hz") if command == "train" else ("degrees", "degrees/s", "dB", " m", " s"):
        assert unit in words


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "a.wav", "--model", "m", "--out", "o", "--threshold", "1.5"],
        ["predict", "a.wav", "--out", "o"],
        ["simulate", "o", "--scenes", "-1", "--seed", "1"],
        ["train", "--data", "d", "--out", "o", "--channels", "4,x"],
        ["evaluate", "a", "b", "--metric", "dcase1999"],
        [],
    ],
)
def test_wrong_arguments_end_with_status_2(capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(*arguments)
    assert stop.value.code == 2 and capsys.readouterr().err


def test_keyboard_interrupt_is_one_line(tmp_path, model_file, clip, capsys, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Model, "predict", interrupted)
    assert main("predict", clip, "--model", model_file, "--out", tmp_path / "out") == 1
    one_error_line(capsys.readouterr(), "stopped")


def test_as_a_module(tmp_path):
    """python -m einv2: exit status and one line, in a process of its own."""
    root = ROOT
    (tmp_path / "notes.wav").write_text("no audio")
    command = [sys.executable, "-m", "einv2", "check", str(tmp_path / "notes.wav")]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1 and result.stdout == ""
    assert (
        result.stderr
        == "error: notes.wav: is a text file, not audio; expected a 4-channel WAV, FLAC, OGG, AIFF, CAF, W64 or BW64 file\n"
    )


# bench


@pytest.mark.full("long")
def test_bench_measures_what_a_user_waits_for(tmp_path, model_file, capsys, monkeypatch):
    def once(function):
        began = time.perf_counter()
        function()
        return time.perf_counter() - began

    monkeypatch.setattr(bench, "measure", once)
    assert main("bench", "--model", model_file, "--small", "--json", tmp_path / "bench.json") == 0
    figures = json.loads((tmp_path / "bench.json").read_text())
    printed = capsys.readouterr().out
    assert {"predict_60_s_s", "peak_memory_mb"} <= figures.keys()
    assert all(value > 0 and name in printed for name, value in figures.items())


# check against labels


def flipped_example(folder):
    """A shipped example with left and right exchanged, and its labels; the two paths."""
    example = ROOT / "app" / "examples" / "two_of_a_kind.flac"
    signal = recordings.load(example) * np.array([[1], [-1], [1], [1]], np.float32)
    recordings.write_flac(folder / "flipped.flac", signal, RATE)
    shutil.copy(example.with_suffix(".csv"), folder / "flipped.csv")
    return folder / "flipped.flac", folder / "flipped.csv"


def test_check_against_labels_finds_flipped_sides(tmp_path, capsys):
    clip, truth = flipped_example(tmp_path)
    assert main("check", clip) == 0 and "flipped;" not in capsys.readouterr().out
    for given in (truth, tmp_path):
        assert main("check", clip, "--truth", given, "--json", tmp_path / "check.json") == 0
        out = capsys.readouterr().out
        assert len(out.splitlines()) == 1 and "error: left and right are flipped; set right" in out
        assert out.endswith("To try: channels W, -Y, Z, X (--input=flip-y)\n")
        (entry,) = json.loads((tmp_path / "check.json").read_text())
        assert [f["code"] for f in entry["findings"]] == ["axes"]
        fix = entry["findings"][0]["fix"]
        assert fix["order"] == [0, 1, 2, 3] and fix["gains"] == [1, -1, 1, 1]


def test_check_against_labels_of_scenes_and_of_2019(tmp_path, scenes, capsys):
    clip, truth = flipped_example(tmp_path)
    dcase_csv.write_csv(
        dcase_csv.read_csv(truth).assign(**{"class": 5}), truth, "dcase2019", class_lists.DCASE2019_CLASSES
    )
    assert main("check", clip, "--truth", truth) == 0 and "left and right are flipped" in capsys.readouterr().out
    found = sorted((scenes / "foa_dev").iterdir())
    assert main("check", *found, "--truth", scenes / "metadata_dev") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and not any("error" in line or "warning" in line for line in lines)


def test_check_against_labels_that_cannot_be_used(tmp_path, clip, capsys):
    (tmp_path / "empty").mkdir()
    assert main("check", clip, "--truth", tmp_path / "empty") == 1
    one_error_line(capsys.readouterr(), f"{Path(clip).stem}.csv")
    (tmp_path / "bad.csv").write_text("0,1,x\n")
    assert main("check", clip, "--truth", tmp_path / "bad.csv") == 1
    one_error_line(capsys.readouterr(), "bad.csv")
    assert main("check", clip, clip, "--truth", tmp_path / "bad.csv") == 1
    one_error_line(capsys.readouterr(), "give a folder")


# Classes of one's own


def test_twenty_classes_of_ones_own_from_sounds_to_scores(tmp_path, capsys):
    """The sub-folders of sounds become the class list, which the set, the network and the scores carry."""
    names = [f"bird {k:02d}" for k in range(20)]
    rng = np.random.default_rng(0)
    for name in names:
        file = tmp_path / "sounds" / name.replace(" ", "_") / "take.wav"
        file.parent.mkdir(parents=True)
        soundfile.write(file, 0.3 * rng.standard_normal(4800), 24000)
    data, out = tmp_path / "set", tmp_path / "out"
    options = ("--scenes", 2, "--seconds", 4, "--seed", 1, "--anechoic", "--gap-seconds", 0.1)
    assert main("simulate", data, *options, "--sources", tmp_path / "sounds") == 0
    assert (data / "classes.txt").read_text().split("\n") == [*names, ""]
    assert main("train", "--data", data, "--out", tmp_path / "run", "--epochs", 1, *TINY) == 0
    network = tmp_path / "run" / "best.safetensors"
    assert checkpoint.load(network).classes == tuple(names)
    clips = sorted((data / "foa_dev").iterdir())
    predict = ("predict", *clips, "--model", network, "--threshold", 0.01)
    assert main(*predict, "--out", out / "own", "--arrays") == 0
    (tmp_path / "other.txt").write_text("\n".join(["owl", *names[::-1]]))
    assert main(*predict, "--out", out / "other", "--classes", tmp_path / "other.txt") == 0
    tables = [dcase_csv.read_csv(out / kind / f"{clips[0].stem}.csv", range(21)) for kind in ("own", "other")]
    own, other = (table.sort_values(["frame", "track"])["class"].to_numpy() for table in tables)
    assert len(own) and (20 - own).tolist() == other.tolist()
    capsys.readouterr()
    assert main("evaluate", out / "own", data / "metadata_dev", "--metric", "dcase2024", "--breakdown") == 0
    assert "class list: 20 classes (bird 00, bird 01" in capsys.readouterr().out
    assert main(*predict, "--out", out / "none", "--classes", "dcase2024") == 1
    one_error_line(capsys.readouterr(), "the class list has no 'bird 00' and no 'bird 01'", "and 17 more")
    assert not (out / "none").exists()
    assert main("check", clips[0], "--truth", data / "metadata_dev") == 0


def test_sounds_of_other_classes_among_those_of_2020_are_said(tmp_path, capsys):
    for name in ("alarm", "crash", "owl"):
        (tmp_path / "sounds" / name).mkdir(parents=True)
        write_clip(tmp_path / "sounds" / name / "a.wav", seconds=0.5)
    options = ("--scenes", 1, "--seconds", 1, "--seed", 1, "--anechoic", "--sources", tmp_path / "sounds")
    assert main("simulate", tmp_path / "set", *options) == 0
    assert '--classes "alarm,crash,owl"' in capsys.readouterr().err
    assert main("simulate", tmp_path / "set", *options, "--classes", "alarm,crash,owl") == 1
    one_error_line(capsys.readouterr(), "holds a data set of other classes")
    assert main("simulate", tmp_path / "own", *options, "--classes", "alarm,crash,owl") == 0
    assert (tmp_path / "own" / "classes.txt").read_text() == "alarm\ncrash\nowl\n"


def test_evaluate_says_what_a_measure_lacks_and_reads_the_other_system_by_its_own_flags(tmp_path, capsys):
    for side, text in {"a": "0,3,0,30,10\n", "b": "3,0,0,30,10\n", "truth": "0,3,0,30,10\n"}.items():
        (tmp_path / side).mkdir()
        (tmp_path / side / "clip.csv").write_text(text)
    both = ["evaluate", tmp_path / "a", tmp_path / "truth", "--metric", "dcase2025", "--json", tmp_path / "scores.json"]
    layout = ["--against-columns", "class,frame,track,azimuth,elevation"]
    assert main(*both, "--against", tmp_path / "b", *layout) == 0
    assert "Neither side has distances, so dcase2025 looks at directions alone." in capsys.readouterr().err
    assert json.loads((tmp_path / "scores.json").read_text())["differences"]["dcase2020"]["F"]["value"] == 0
    assert main(*both, *layout) == 1
    assert "would do nothing without --against" in capsys.readouterr().err
    (tmp_path / "b" / "clip.csv").write_text("0;3;0;30;10\n")
    assert main(*both, "--against", tmp_path / "b") == 0
    assert "b: Predictions: Columns separated by semicolons." in capsys.readouterr().err
