"""The paper's comparisons, from nothing to a table, at a size of seconds."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import pytest

from einv2.checkpoints import checkpoint
from einv2.commands import main as cli
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, require_compatible
from einv2.datasets import chunking, discovery
from einv2.experiments import report, reproduce, scales, systems
from einv2.experiments.deviations import DEVIATIONS
from einv2.labels import class_lists
from einv2.models.build import build
from einv2.simulate.render import write_scenes
from einv2.simulate.scene import SceneConfig
from einv2.simulate.sources import SourceBank
from support.places import ROOT
from support.tiny_scale import TINY


@pytest.fixture(scope="module")
def folders(scenes, tmp_path_factory):
    """Training, validation and test on recordings of their own: six scenes, and two copies of two of them."""
    copies = []
    for name, first in (("validation", 1), ("test", 3)):
        root = tmp_path_factory.mktemp(name)
        copies.append(root)
        for kind in ("foa_dev", "metadata_dev", "scenes"):
            (root / kind).mkdir()
            for path in sorted((scenes / kind).iterdir())[first : first + 2]:
                shutil.copy(path, root / kind)
    return reproduce.Folders((scenes,), *((root,) for root in copies))


def test_the_scales_have_the_names_that_the_command_line_knows():
    assert tuple(scales.SCALES) == ("small", "paper")


@pytest.mark.parametrize("name", systems.SYSTEMS)
def test_every_system_is_a_network_that_can_be_built(name):
    for scale in scales.SCALES.values():
        model, _ = systems.SYSTEMS[name].apply(scale.model, scale.train)
        require_compatible(model, scale.features)
        assert build(dataclasses.replace(model, channels=tuple(8 for _ in model.channels))) is not None


def small(scale: scales.Scale) -> scales.Scale:
    """The same setting with a network, a budget and chunks of the size of a test."""
    model = dataclasses.replace(scale.model, channels=(4, 4, 8, 8), n_heads=2)
    config = dataclasses.replace(scale.train, epochs=1, batch_size=4, precision="fp32")
    return dataclasses.replace(scale, model=model, features=FeatureConfig(n_mels=16), train=config, n_seeds=1)


def test_table2_trains_each_task_alone_and_writes_what_the_paper_has_beside_ours(folders, tmp_path):
    report = reproduce.reproduce("table2", tmp_path, TINY, folders, systems=["sed-tpit", "doa-tpit"])
    (row,) = report["rows"]
    assert row["paper"] == {"F": 0.838, "LE": 12.39}
    assert 0 <= row["ours"]["F"] <= 1 and 0 <= row["ours"]["LE"] <= 180
    assert json.loads((tmp_path / "table2.json").read_text())["rows"][0]["ours"] == row["ours"]
    text = (tmp_path / "table2.md").read_text()
    assert "| Trackwise, tPIT | 0.838 |" in text
    assert all(" | ".join(row) in text for row in DEVIATIONS)


def test_one_system_of_a_row_is_run_alone(folders, tmp_path):
    (row,) = reproduce.reproduce("table2", tmp_path, TINY, folders, systems=["sed-nopit"])["rows"]
    assert row["systems"] == ["sed-nopit"] and "F" in row["ours"] and "LE" not in row["ours"]
    assert "| Trackwise, no PIT | 0.795 | 0." in (tmp_path / "table2.md").read_text()


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
    assert "pit" not in checkpoint.read_header(checkpoint_file)["provenance"]["train"]
    quoted = [row for row in again["rows"] if not row["systems"]]
    assert [row["paper"]["ER"] for row in quoted] == [0.25, 0.20] and not any(row["ours"] for row in quoted)


def test_seeds_have_a_mean_and_a_spread_and_the_augmented_rows_rotation_and_masks_alone(folders, tmp_path):
    report = reproduce.reproduce("table3", tmp_path, small(scales.SCALES["paper"]), folders, (1, 2), ["accdoa"])
    plain, _ = (row for row in report["rows"] if row["systems"])
    values = [seed["LE"] for seed in plain["seeds"]]
    assert plain["ours"]["LE"] == pytest.approx(sum(values) / 2)
    assert plain["spread"]["LE"] == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    text = (tmp_path / "table3.md").read_text()
    assert f"{plain['ours']['LE']:.1f} ± {plain['spread']['LE']:.1f}" in text
    kept = {p.name: json.loads((p / "config.json").read_text())["train"] for p in (tmp_path / "runs").iterdir()}
    assert set(kept) == {f"accdoa{kind}-seed{seed}" for kind in ("-plain", "") for seed in (1, 2)}
    changed = {k for k in TrainConfig.__dataclass_fields__ if kept["accdoa-seed1"][k] != kept["accdoa-plain-seed1"][k]}
    assert changed == {"rotate", "time_mask_frames", "frequency_mask_bins"}


def test_the_scale_of_the_paper_is_its_setting():
    scale = scales.SCALES["paper"]
    config = dataclasses.asdict(scale.train) | scales.PLAIN
    assert (scale.model, scale.features.n_mels, scale.n_seeds) == (ModelConfig(), 256, 5)
    assert (scale.overlap_seconds, scale.n_frames) == (0, 600)
    asked = dict(epochs=100, learning_rate=5e-4, schedule="steps", chunk_seconds=4, chunk_offset=False, clip_norm=0)
    assert asked.items() <= config.items()
    assert not any(
        config[name] for name in ("rotate", "time_mask_frames", "frequency_mask_bins", "gain_db", "filter_db")
    )
    assert [row.spread.get("ER") for row in systems.TABLE3 if row.systems == ("einv2-tpit",)] == [0.03, 0.03]


def test_fig3_is_the_localisation_error_of_networks_for_directions_alone(folders, tmp_path):
    scale = small(scales.SCALES["paper"])
    scale = dataclasses.replace(scale, train=dataclasses.replace(scale.train, epochs=2))
    report = reproduce.reproduce("fig3", tmp_path, scale, folders)
    assert [row["systems"] for row in report["rows"]] == [["doa-seldnet"], ["doa-nopit"], ["doa-cpit"], ["doa-tpit"]]
    for row in report["rows"]:
        assert [epoch["LE"] for epoch in row["seeds"][0]["curve"]] == row["le_by_epoch"]
        assert len(row["le_by_epoch"]) == 2 and all(0 < le < 180 for le in row["le_by_epoch"])
    last = " | ".join(f"{row['le_by_epoch'][1]:.1f}" for row in report["rows"])
    assert f"| epoch 2 | {last} |" in (tmp_path / "fig3.md").read_text()


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


def test_the_readme_has_the_table_of_deviations():
    assert report.deviations() in (ROOT / "einv2" / "README.md").read_text(encoding="utf-8")


def test_an_unknown_system_is_named_with_those_there_are(folders, tmp_path):
    with pytest.raises(ValueError, match="table2 has no system accdoa; it has sed-seldnet"):
        reproduce.reproduce("table2", tmp_path, TINY, folders, systems=["accdoa", "sed-tpit"])


def test_classes_and_tracks_are_told_by_the_data(folders, tmp_path):
    three = tmp_path / "three"
    for kind in ("foa_dev", "metadata_dev"):
        shutil.copytree(folders.train[0] / kind, three / kind)
    for table in (three / "metadata_dev").iterdir():
        table.write_text("0,11,0,10,0\n0,11,1,90,0\n0,3,0,-90,0\n")
    for kind, of_2021 in (("foa_dev", "dev-train"), ("metadata_dev", "dev-train")):
        (three / kind).rename(three / "all")
        (three / kind).mkdir()
        (three / "all").rename(three / kind / of_2021)
    other = [tmp_path / name for name in "ab"]
    for root in other:
        shutil.copytree(three, root)
    scale, classes = reproduce.fitted(TINY, reproduce.Folders((three,), *((root,) for root in other)))
    assert classes == class_lists.CLASS_LISTS["dcase2021"]
    assert (scale.model.n_classes, scale.model.n_tracks) == (12, 3)


@pytest.mark.parametrize("way", ["same", "relative", "link", "link to a file"])
def test_no_recording_has_two_roles(folders, tmp_path, way):
    (train,), (validation,), (test,) = folders.train, folders.validation, folders.test
    if way == "link":
        (tmp_path / "link").symlink_to(train)
    elif way == "link to a file":
        shutil.copytree(test, tmp_path / "link")
        file = next((tmp_path / "link" / "foa_dev").iterdir())
        file.unlink()
        file.symlink_to(validation / "foa_dev" / sorted(os.listdir(validation / "foa_dev"))[0])
    same = {"same": train, "relative": Path(os.path.relpath(train))}.get(way, tmp_path / "link")
    with pytest.raises(ValueError, match=r"is in the data for \w+ and for test"):
        reproduce.reproduce("fig3", tmp_path, TINY, reproduce.Folders((train,), (validation,), (same,)))


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A data set in which three events sound at once."""
    root = tmp_path_factory.mktemp("crowded")
    bank = SourceBank(class_lists.DCASE2020_CLASSES, None, 0.2)
    config = SceneConfig(seconds=8, max_overlap=3, polyphonic_share=1.0, gap_seconds=0.1)
    list(write_scenes(root, 2, config, bank, seed=4))
    assert discovery.largest_overlap(discovery.find_clips(root), class_lists.DCASE2020_CLASSES) == 3
    return root


def test_export_scores_as_predict_and_evaluate_do_also_beyond_the_tracks(crowded, tiny_checkpoint, tmp_path, capsys):
    checkpoint.save(tiny_checkpoint, tmp_path / "two.safetensors")
    out = tmp_path / "exported.safetensors"
    assert cli.main(["export", str(tmp_path / "two.safetensors"), str(out), "--test", f"three={crowded}"]) == 0
    clips = [str(path) for path in (crowded / "foa_dev").iterdir()]
    assert cli.main(["predict", *clips, "--model", str(out), "--out", str(tmp_path / "p")]) == 0
    reference = str(crowded / "metadata_dev")
    assert cli.main(["evaluate", str(tmp_path / "p"), reference, "--json", str(tmp_path / "e.json")]) == 0
    scored, said = checkpoint.read_header(out)["scores"]["three"], json.loads((tmp_path / "e.json").read_text())
    assert {k: scored[k] for k in ("ER", "F", "LE", "LR")} == pytest.approx(
        {k: said[k] for k in ("ER", "F", "LE", "LR")}
    )


def test_validation_counts_events_beyond_the_tracks(crowded):
    chunks = chunking.ChunkSet(
        discovery.find_clips(crowded), FeatureConfig(n_mels=16), 2, class_lists.DCASE2020_CLASSES, 2
    )
    assert chunks.dropped > 0
    for (_, sed, doa), whole in zip(chunks.items, chunks.references):
        assert whole.sed.sum() == len(whole.table) > sed.sum()
        assert (whole.sed[:, :2] == sed).all() and abs(whole.doa[:, :2] - doa).max() < 1e-3


def test_the_command_line_wants_all_folders_or_none(tmp_path, capsys):
    assert cli.main(["reproduce", "table2", "--out", str(tmp_path), "--data", str(tmp_path)]) == 1
    assert "go together" in capsys.readouterr().err
