"""Networks of one task: what each tells, and two of them as one system."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import einv2
from einv2.audio import recordings
from einv2.checkpoints import checkpoint
from einv2.commands.main import main as cli
from einv2.inference import ensemble
from einv2.inference.model import Model, Pair, load_model
from einv2.inference.prediction import BranchPrediction, paired
from einv2.labels import dcase_csv
from einv2.models.build import build

FRONT, LEFT, UP = np.eye(3)
CLASSES = tuple("abcd")


@pytest.fixture
def branches(tmp_path, tiny_checkpoint):
    """Files of random networks: sed.safetensors, doa.safetensors, and both in the SELDnet format."""
    files = {}
    for task in ("sed", "doa"):
        for output_format in ("trackwise", "seldnet"):
            model = replace(tiny_checkpoint.model, task=task, output_format=output_format)
            torch.manual_seed(3)
            network = build(model).eval()
            for name, parameter in network.named_parameters():
                if name.endswith("head.weight"):
                    torch.nn.init.normal_(parameter, std=2.0)
            name = task if output_format == "trackwise" else f"{task}-seldnet"
            files[name] = tmp_path / f"{name}.safetensors"
            checkpoint.save(replace(tiny_checkpoint, network=network, model=model), files[name])
    return files


@pytest.fixture
def clip(tmp_path, scene_audio):
    path = tmp_path / "clip.flac"
    recordings.write_flac(path, np.tile(scene_audio, 3), 24000)  # 6 s
    return path


def detected(frames, n_tracks=2, **options):
    """A detection of (track, class) lists by frame."""
    sed = np.zeros((len(frames), n_tracks, len(CLASSES)))
    for t, found in enumerate(frames):
        for track, index in found:
            sed[t, track, index] = 0.9
    return BranchPrediction(sed, None, CLASSES, **options)


def directed(frames, n_tracks=2, **options):
    """Directions of (track, vector) lists by frame; the others are 0."""
    doa = np.zeros((len(frames), n_tracks, 3))
    for t, found in enumerate(frames):
        for track, vector in found:
            doa[t, track] = 0.9 * vector
    return BranchPrediction(None, doa, CLASSES, **options)


def test_a_detection_network_tells_no_directions():
    alone = detected([[(0, 2)], [(0, 2), (1, 3)], []])
    assert alone.frames().to_dict("list") == {
        "frame": [0, 1, 1], "class": [2, 2, 3], "track": [0, 0, 1], "confidence": [0.9] * 3
    }  # fmt: skip
    events = alone.events()
    assert events["name"].tolist() == ["c", "d"] and events["offset"].tolist() == [0.2, 0.2] and "azimuth" not in events


def test_a_direction_network_tells_activity_by_the_length_of_its_vectors():
    alone = directed([[(0, LEFT)], [(1, UP)], []])
    frames = alone.frames()
    assert list(frames) == ["frame", "track", "azimuth", "elevation", "confidence"]
    assert frames[["frame", "track"]].to_numpy().tolist() == [[0, 0], [1, 1]] and frames["azimuth"][0] == 90
    assert frames["elevation"][1] == 90 and len(alone.frames(0.95)) == 0
    assert alone.events()["track"].tolist() == [0, 1] and "class" not in alone.events()


def test_class_wise_directions_are_those_of_every_class_in_every_frame():
    alone = directed([[(0, LEFT), (1, UP)], []], n_tracks=4, class_wise=True)
    frames = alone.frames()
    assert list(frames) == ["frame", "class", "azimuth", "elevation"] and len(frames) == 8
    assert frames["azimuth"][0] == 90 and frames["class"].tolist() == [0, 1, 2, 3] * 2
    with pytest.raises(ValueError, match="no events"):
        alone.events()


def test_tracks_of_a_pair_are_those_that_sound_together():
    """Two events in turn and at once; the second network has them on the other tracks, and swaps them in the middle."""
    a, b = [(0, 2)], [(1, 3)]
    detection = detected([a] * 10 + [a + b] * 5 + [b] * 10 + [[]] * 5 + [a] * 10)
    x, y = [(1, FRONT)], [(0, LEFT)]
    directions = directed([x] * 10 + [x + y] * 5 + [y] * 10 + [[]] * 5 + [[(0, UP)]] * 10)
    both = paired(detection, directions)
    np.testing.assert_allclose(both.doa[:15, 0], [0.9 * FRONT] * 15)
    np.testing.assert_allclose(both.doa[10:25, 1], [0.9 * LEFT] * 15)
    np.testing.assert_allclose(both.doa[30:, 0], [0.9 * UP] * 10)
    np.testing.assert_array_equal(both.sed, detection.sed)
    assert not both.class_wise


def test_a_short_event_between_long_ones_keeps_its_direction():
    frames = [[(0, FRONT)]] * 40 + [[(1, UP)]] * 2 + [[(0, FRONT)]] * 40
    detection = detected([[(0, 2)]] * 40 + [[(0, 1)]] * 2 + [[(0, 2)]] * 40)
    np.testing.assert_allclose(paired(detection, directed(frames)).doa[39:43, 0] / 0.9, [FRONT, UP, UP, FRONT])


@pytest.mark.parametrize("n_detected, n_directed", [(1, 3), (3, 1), (2, 5)])
def test_numbers_of_tracks_may_differ(n_detected, n_directed):
    detection = detected([[(n_detected - 1, 2)]] * 3, n_detected)
    both = paired(detection, directed([[(n_directed - 1, UP)]] * 4, n_directed))
    assert both.doa.shape == (3, n_detected, 3)
    np.testing.assert_allclose(both.doa[:, n_detected - 1], [0.9 * UP] * 3)


def test_pairs_with_class_wise_networks():
    by_class = directed([[(2, UP), (3, LEFT)]], n_tracks=4, class_wise=True)
    np.testing.assert_allclose(paired(detected([[(0, 3), (1, 2)]]), by_class).doa[0], [0.9 * LEFT, 0.9 * UP])
    activities = detected([[(2, 2)]], n_tracks=4, class_wise=True)
    both = paired(activities, by_class)
    np.testing.assert_allclose(both.doa, by_class.doa)
    assert both.class_wise
    np.testing.assert_allclose(paired(activities, directed([[(1, FRONT)]])).doa[0, 2], 0.9 * FRONT)


def test_networks_of_one_task_run_by_themselves_and_as_a_pair(branches, clip):
    alone = {name: einv2.load(file).predict(clip) for name, file in branches.items()}
    assert [alone[n].sed.shape for n in ("sed", "sed-seldnet")] == [(60, 2, 14), (60, 14, 14)]
    assert [alone[n].doa.shape for n in ("doa", "doa-seldnet")] == [(60, 2, 3), (60, 14, 3)]
    assert alone["sed"].doa is None and alone["doa"].sed is None
    for first, second in (
        ("sed", "doa"),
        ("doa-seldnet", "sed"),
        ("sed-seldnet", "doa-seldnet"),
        ("doa", "sed-seldnet"),
    ):
        pair = einv2.load(f"{branches[first]}+{branches[second]}")
        said = pair.predict(clip)
        detection, directions = (alone[n] for n in sorted((first, second), key=lambda n: n.startswith("doa")))
        expected = paired(detection, directions)
        np.testing.assert_array_equal(said.sed, expected.sed)
        np.testing.assert_array_equal(said.doa, expected.doa)
        assert len(said.events(0.1))


def test_what_is_no_pair_is_said(branches, tiny_checkpoint, clip, tmp_path):
    checkpoint.save(tiny_checkpoint, tmp_path / "both.safetensors")
    other = tmp_path / "other.safetensors"
    doa = checkpoint.load(branches["doa"])
    checkpoint.save(replace(doa, classes=tuple(doa.classes[::-1])), other)
    for names, says in (
        ((branches["sed"], branches["sed-seldnet"]), "both estimate activities: a pair is"),
        ((branches["sed"], tmp_path / "both.safetensors"), "both.safetensors estimates activities and directions"),
        ((branches["sed"], other), "have other classes"),
        ((branches["sed"], tmp_path / "missing.safetensors"), "there is no model"),
    ):
        with pytest.raises(ValueError, match=says):
            einv2.load("+".join(map(str, names)))
    with pytest.raises(ValueError, match="estimates activities only, and an average needs both"):
        ensemble.Ensemble([load_model(branches["sed"])] * 2)


def test_a_plus_in_a_path_is_no_pair(branches, tmp_path):
    odd = branches["sed"].rename(tmp_path / "a+b.safetensors")
    assert einv2.load(odd).task == "sed"
    assert isinstance(einv2.load(f"{odd}+{branches['doa']}"), Pair)


def test_pairs_in_ensembles_and_rotations(branches, tiny_checkpoint, clip):
    pair = load_model(f"{branches['sed']}+{branches['doa']}")
    members = ensemble.in_rotations([pair, Model(tiny_checkpoint)], 2)
    together = ensemble.Ensemble(members)
    assert together.predict(clip).sed.shape == (60, 2, 14)
    with pytest.raises(ValueError, match="give a file instead"):
        together.predict_blocks(iter(()))


@pytest.mark.parametrize(
    "name, header",
    [
        ("sed", "frame,class,track"),
        ("doa", "frame,track,azimuth,elevation"),
        ("doa-seldnet", "frame,if_class,azimuth,elevation"),
    ],
)
def test_predict_writes_what_a_network_of_one_task_knows(name, header, branches, clip, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["predict", clip, "--model", branches[name], "--out", out, "--threshold", 0.2, "--arrays"]
    assert cli([*map(str, arguments)]) == 0
    assert f"only; the CSVs have a header and the columns {header}." in capsys.readouterr().err
    first, *rows = (out / "clip.csv").read_text().splitlines()
    assert first == header and rows and all(len(row.split(",")) == len(first.split(",")) for row in rows)
    with np.load(out / "clip.npz") as arrays:
        assert set(arrays) == {name[:3], "classes"}
    (tmp_path / "truth").mkdir()
    (tmp_path / "truth" / "clip.csv").write_text("0,1,0,10,20\n")
    assert cli(["evaluate", str(out), str(tmp_path / "truth"), "--breakdown"]) == 1  # never scored as if it told all
    assert "lacks" in capsys.readouterr().err
    assert cli([*map(str, arguments), "--format", "dcase2024"]) == 1
    assert "not enough for --format dcase2024" in capsys.readouterr().err


def test_predict_writes_a_pair_as_any_system(branches, clip, tmp_path):
    pair = f"{branches['sed']}+{branches['doa']}"
    assert cli(["predict", str(clip), "--model", pair, "--out", str(tmp_path / "out"), "--threshold", "0.2"]) == 0
    table = dcase_csv.read_csv(tmp_path / "out" / "clip.csv")
    assert len(table) and table["frame"].max() < 60
