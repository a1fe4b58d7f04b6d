"""The paper's comparisons, from nothing to a table, at a size of seconds."""

import dataclasses
import json

import pytest

from einv2 import checkpoint, cli, models, reproduce, systems
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, require_compatible

TINY = reproduce.Scale(
    n_train=3,
    n_dense=1,
    n_validation=1,
    n_test=2,
    model=ModelConfig.released(channels=(4, 4, 8, 8), n_heads=2, feedforward=16, dropout=0.0),
    features=FeatureConfig(n_mels=32),
    train=TrainConfig(epochs=1, batch_size=4, chunk_seconds=2, precision="fp32", schedule="one-cycle"),
)


@pytest.fixture
def folders(scenes):
    return reproduce.Folders((scenes,), (scenes,), (scenes,))


def test_the_scales_have_the_names_that_the_command_line_knows():
    assert tuple(reproduce.SCALES) == systems.SCALE_NAMES


@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_every_system_is_a_network_that_can_be_built(name):
    for scale in reproduce.SCALES.values():
        model, _ = systems.SYSTEMS[name].apply(scale.model, scale.train)
        require_compatible(model, scale.features)
        assert models.build(dataclasses.replace(model, channels=tuple(8 for _ in model.channels))) is not None


def test_table2_trains_each_task_alone_and_writes_what_the_paper_has_beside_ours(folders, tmp_path):
    report = reproduce.reproduce("table2", tmp_path, TINY, folders, systems=["sed-tpit", "doa-tpit"])
    (row,) = report["rows"]
    assert row["paper"] == {"F": 0.838, "LE": 12.39}
    assert 0 <= row["ours"]["F"] <= 1 and 0 <= row["ours"]["LE"] <= 180
    assert json.loads((tmp_path / "table2.json").read_text())["rows"][0]["ours"] == row["ours"]
    assert "| Trackwise, tPIT | 0.838 |" in (tmp_path / "table2.md").read_text()


def test_table3_goes_on_with_what_stands_and_has_overlaps_and_intervals(folders, tmp_path):
    first = reproduce.reproduce("table3", tmp_path, TINY, folders, systems=["seldnet"])
    checkpoint_file = next((tmp_path / "runs").glob("*/last.safetensors"))
    written = checkpoint_file.stat().st_mtime_ns
    again = reproduce.reproduce("table3", tmp_path, TINY, folders, systems=["seldnet"])
    assert checkpoint_file.stat().st_mtime_ns == written and again["rows"] == first["rows"]
    result = again["rows"][0]["seeds"][0]
    assert result["intervals"]["F"][0] <= result["F"] <= result["intervals"]["F"][1]
    assert result["overlap"]["same"]["found"] in (None, 0), "SELDnet's format has one direction a class"
    assert len(result["curve"]) == 1


def test_augmented_and_plain_runs_differ(folders, tmp_path):
    reproduce.reproduce("table3", tmp_path, TINY, folders, systems=["accdoa"])
    kept = {p.name: checkpoint.read_header(p / "last.safetensors") for p in (tmp_path / "runs").iterdir()}
    assert set(kept) == {"accdoa-plain-seed2020", "accdoa-seed2020"}
    assert not kept["accdoa-plain-seed2020"]["provenance"]["train"]["rotate"]


def test_fig3_shows_the_curves(folders, tmp_path):
    reproduce.reproduce("fig3", tmp_path, TINY, folders, systems=["einv2-nopit"])
    assert "after each epoch" in (tmp_path / "fig3.md").read_text()


def test_data_are_simulated_once_and_apart(tmp_path):
    scale = dataclasses.replace(TINY, n_train=1, n_test=1)
    folders = reproduce.simulate_data(tmp_path, scale, None, seconds=4)
    assert [p.name for part in (folders.train, folders.validation, folders.test) for p in part] == [
        "train",
        "train-dense",
        "validation",
        "test",
    ]
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.flac")}
    reproduce.simulate_data(tmp_path, scale, None, seconds=4)
    assert len(files) == 4 and files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.flac")}


def test_an_unknown_system_is_named_with_those_there_are(folders, tmp_path):
    with pytest.raises(ValueError, match="table2 has no row of accdoa; its systems are sed-seldnet"):
        reproduce.reproduce("table2", tmp_path, TINY, folders, systems=["accdoa"])


def test_the_command_line_wants_all_folders_or_none(tmp_path, capsys):
    assert cli.main(["reproduce", "table2", "--out", str(tmp_path), "--data", str(tmp_path)]) == 1
    assert "go together" in capsys.readouterr().err
