"""The training loop on a tiny network and short simulated scenes."""

import dataclasses
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

import einv2
from einv2.checkpoints import checkpoint
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, to_json
from einv2.datasets import chunking
from einv2.datasets.discovery import DataSelection
from einv2.labels import class_lists
from einv2.models.build import build
from einv2.training import distributed, loop, schedules
from einv2.training.run import Run, RunOptions, averaged
from einv2.training.run_folder import RunData, RunFolder, RunSettings
from einv2.training.scoring import SCORES
from support.places import ROOT

MODEL = ModelConfig(channels=(4, 4, 8, 8), n_heads=2, feedforward=16)
FEATURES = FeatureConfig(n_mels=16)
CONFIG = TrainConfig(
    epochs=3, batch_size=4, chunk_seconds=2, learning_rate=5e-3, precision="fp32", validation_share=0.2, seed=1
)


KILLED = """
import json, os, pathlib, signal, sys, torch
from einv2.training import loop, run_folder
from einv2.config import from_json
from einv2.atomic_files import replacing
from einv2.datasets.discovery import DataSelection

def die_in_step_6(*arguments):
    return os.kill(os.getpid(), signal.SIGKILL) if next(count) == 6 else step(*arguments)

def die_in_save_2(path, content):
    if next(count) == 2:
        with replacing(path) as temporary:
            temporary.write_bytes(content[: len(content) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
    write(path, content)

torch.set_num_threads(1)
data, out, when, settings = sys.argv[1:]
count, step, write = iter(range(1, 100)), loop.train_step, run_folder.write_bytes
if when == "step":
    loop.train_step = die_in_step_6
else:
    run_folder.write_bytes = die_in_save_2  # the state
settings = from_json(run_folder.RunSettings, json.loads(settings))
loop.train(out, settings, DataSelection((pathlib.Path(data),)))
"""


def settings_of(config=CONFIG, model=MODEL, features=FEATURES, classes=class_lists.DCASE2020_CLASSES):
    return RunSettings(model, features, config, RunData(classes))


def run(scenes, out, config=CONFIG, model=MODEL, classes=class_lists.DCASE2020_CLASSES, **options):
    data = DataSelection((scenes,), options.pop("validation_folders", ()))
    should_stop = options.pop("should_stop", lambda: False)
    return loop.train(out, settings_of(config, model, classes=classes), data, RunOptions(**options), should_stop)


def stop_after(steps):
    """A ``should_stop`` that says yes after so many steps."""
    count = iter(range(1, 10**6))
    return lambda: next(count) >= steps


def lines(out):
    """The records in metrics.jsonl."""
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


def without_seconds(curve):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in curve]


@pytest.fixture(scope="module")
def finished(scenes, tmp_path_factory):
    """A run of three epochs that was never stopped."""
    return run(scenes, tmp_path_factory.mktemp("runs") / "finished", provenance={"data": "six scenes"})


def test_a_run_is_made_longer_while_its_learning_rates_so_far_stay_the_same(scenes, tmp_path, finished):
    out = tmp_path / "run"
    shorter = dataclasses.replace(CONFIG, epochs=2)
    run(scenes, out, shorter, should_stop=lambda: bool(lines(out)))
    assert len(lines(out)) == 1
    longer = run(scenes, out, CONFIG, resume=True)
    assert without_seconds(longer.curve) == without_seconds(finished.curve)
    assert json.loads((out / "config.json").read_text())["train"]["epochs"] == 3
    with pytest.raises(ValueError, match=r"has trained 3 of 3 epochs, at learning rates that a run of 6 .*--init"):
        run(scenes, out, dataclasses.replace(CONFIG, epochs=6), resume=True)
    with pytest.raises(ValueError, match="3 epochs already"):
        run(scenes, out, dataclasses.replace(CONFIG, epochs=2), resume=True)


def test_a_run_begun_before_fields_were_there_goes_on(scenes, tmp_path, finished):
    out = tmp_path / "run"
    shutil.copytree(finished.out, out)
    settings = json.loads((out / "config.json").read_text())
    for name in ("clip_norm", "masked_loss", "chunk_offset"):
        del settings["train"][name]
    (out / "config.json").write_text(json.dumps(settings))
    assert run(scenes, out, resume=True).epoch == 3


def test_training_reduces_the_loss(scenes, tmp_path):
    config = TrainConfig(**(vars(CONFIG) | dict(epochs=6, rotate=False, gain_db=0.0)))
    losses = [record["loss"] for record in run(scenes, tmp_path / "run", config).curve]
    assert losses[-1] < 0.7 * losses[0]


def test_files_of_a_run(finished):
    assert {p.name for p in finished.out.iterdir()} == {
        "config.json", "metrics.jsonl", "log.txt", "events", "last.safetensors", "best.safetensors", "state.pt",
    }  # fmt: skip
    settings = json.loads((finished.out / "config.json").read_text())
    assert settings["data"].pop("classes") == list(class_lists.DCASE2020_CLASSES)
    assert settings["data"].pop("training").startswith("5 clips, ")
    assert settings["data"].pop("validation").startswith("1 clips, ")
    assert settings == {"model": to_json(MODEL), "features": to_json(FEATURES), "train": to_json(CONFIG), "data": {}}
    records = lines(finished.out)
    assert records == finished.curve and [r["epoch"] for r in records] == [1, 2, 3]
    expected = "epoch loss sed_loss doa_loss validation_loss ER F LE LR SELD swap_rate learning_rate seconds"
    assert set(records[0]) == set(expected.split())
    for record in records:
        assert record["loss"] == pytest.approx((record["sed_loss"] + record["doa_loss"]) / 2, abs=2e-5)
    log = (finished.out / "log.txt").read_text()
    assert "epoch 3/3" in log and "training: 5 clips" in log and "validation: 1 clip," in log


def test_checkpoints_of_a_run(finished):
    last, best = (checkpoint.load(finished.out / f"{name}.safetensors") for name in ("last", "best"))
    state = finished.network.state_dict()
    assert all(torch.equal(t, state[k]) for k, t in last.network.state_dict().items())
    assert last.curve == finished.curve and last.scores["validation"] == finished.curve[-1]
    idle = {"warmup_share", "masked_loss"}  # of the schedule one-cycle and of the SELDnet format
    settings = {name: value for name, value in to_json(CONFIG).items() if name not in idle}
    assert last.provenance == {"data": "six scenes", "train": settings, "epochs_done": 3}
    lowest = min(range(3), key=lambda i: finished.curve[i]["SELD"])
    assert best.provenance["epochs_done"] == lowest + 1
    assert finished.best == finished.curve[lowest] == best.curve[-1]


@pytest.mark.full("long")
def test_a_compiled_network_gives_the_same_curve_and_the_same_files(scenes, tmp_path, finished, monkeypatch):
    compiling = torch.compile
    monkeypatch.setattr(torch, "compile", lambda network, **_: compiling(network, backend="eager"))  # needs no compiler
    compiled = run(scenes, tmp_path / "run", compiled=True)
    losses = [[record[name] for name in loop.LOSSES] for record in finished.curve]
    np.testing.assert_allclose([[r[name] for name in loop.LOSSES] for r in compiled.curve], losses, rtol=1e-4)
    assert set(checkpoint.load(compiled.out / "last.safetensors").network.state_dict()) == set(
        finished.network.state_dict()
    )
    assert run(scenes, tmp_path / "run", resume=True).epoch == 3


@pytest.mark.parametrize("steps", [2, 6])
def test_stopped_in_an_epoch_and_resumed_gives_the_same_curve(scenes, tmp_path, finished, steps):
    """Four steps are an epoch: stopped before any epoch is done, and in the second."""
    stopped = run(scenes, tmp_path / "run", should_stop=stop_after(steps))
    assert stopped.epoch == (steps - 1) // 4 < 3
    resumed = run(scenes, tmp_path / "run", resume=True)
    assert without_seconds(resumed.curve) == without_seconds(finished.curve)
    state = finished.network.state_dict()
    assert all(torch.equal(t, state[k]) for k, t in resumed.network.state_dict().items())


@pytest.mark.full("long")
@pytest.mark.parametrize("when", ["step", "save"])
def test_killed_and_resumed_gives_the_same_curve(scenes, tmp_path, finished, when):
    """Killed in a step of the second epoch, and while the state after that epoch is written."""
    settings = json.dumps(to_json(settings_of()))
    command = [sys.executable, "-c", KILLED, str(scenes), str(tmp_path / "run"), when, settings]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    left = checkpoint.load(tmp_path / "run" / "last.safetensors")
    assert left.curve == lines(tmp_path / "run") and len(left.curve) == (1 if when == "step" else 2)
    assert bool(list((tmp_path / "run").glob(".*.tmp"))) == (when == "save")
    time.sleep(1.1)  # the files of TensorBoard are read in the order of the second they were begun
    resumed = run(scenes, tmp_path / "run", resume=True)
    assert without_seconds(resumed.curve) == without_seconds(finished.curve)
    assert not list((tmp_path / "run").glob(".*.tmp"))
    state = finished.network.state_dict()
    assert all(torch.equal(t, state[k]) for k, t in resumed.network.state_dict().items())
    events = EventAccumulator(str(tmp_path / "run" / "events")).Reload()
    assert [e.step for e in events.Scalars("train/loss")] == [1, 2, 3]  # what the killed run wrote of epoch 2 is purged
    for tag, name in (("train/doa_loss", "doa_loss"), ("validation/loss", "validation_loss"), ("validation/ER", "ER")):
        assert [e.value for e in events.Scalars(tag)] == pytest.approx([r[name] for r in finished.curve], rel=1e-5)


@pytest.mark.parametrize("failing", ["checkpoint.save", "torch.save"])
def test_a_full_disk_is_said_and_what_was_saved_stays(scenes, tmp_path, finished, monkeypatch, failing):
    run(scenes, tmp_path / "run", should_stop=stop_after(6))
    before = [(tmp_path / "run" / name).read_bytes() for name in ("state.pt", "best.safetensors")]

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(f"einv2.training.run_folder.{failing}", full)
        with pytest.raises(
            OSError, match=r"^epoch 2 could not be saved in .*: No space left on device\. What was saved"
        ):
            run(scenes, tmp_path / "run", resume=True)
    assert before[0] == (tmp_path / "run" / "state.pt").read_bytes()
    assert len(checkpoint.load(tmp_path / "run" / "last.safetensors").curve) == (
        1 if failing == "checkpoint.save" else 2
    )
    assert without_seconds(run(scenes, tmp_path / "run", resume=True).curve) == without_seconds(finished.curve)


@pytest.mark.parametrize(
    "events, says", [(0, r"/run/events could not be written: "), (5, r"^epoch 1 could not be saved in ")]
)
def test_a_disk_that_is_full_for_tensorboard_is_said_in_one_sentence(
    scenes, tmp_path, finished, monkeypatch, capfd, events, says
):
    write, left = RecordWriter.write, iter(range(events))

    def full(self, content):
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, content)

    with monkeypatch.context() as patch:
        patch.setattr(RecordWriter, "write", full)
        with pytest.raises(OSError, match=rf"{says}.*No space left on device"):
            run(scenes, tmp_path / "run")
    assert "Traceback" not in capfd.readouterr().err
    again = run(scenes, tmp_path / "run", resume=True)
    assert without_seconds(again.curve) == without_seconds(finished.curve)


def test_resuming_with_other_data_or_classes_is_refused(scenes, tmp_path, finished):
    shutil.copytree(scenes, tmp_path / "data")
    last = sorted((tmp_path / "data" / "metadata_dev").iterdir())[-1]
    last.write_text(last.read_text() + "79,0,9,0,0\n")
    with pytest.raises(ValueError, match=r"other data \(data\.(training|validation)\); resume needs the same"):
        run(tmp_path / "data", finished.out, resume=True)
    with pytest.raises(ValueError, match=r"other data \(data\.classes\)"):
        run(scenes, finished.out, classes=class_lists.DCASE2020_CLASSES[::-1], resume=True)


def test_early_stop(scenes, tmp_path, monkeypatch):
    """The second of five epochs is the best: with a patience of 2, the fourth is the last; resume adds none."""
    scores = iter([0.5, 0.4, 0.4, 0.6, 0.1])
    original = loop.validate
    monkeypatch.setattr(loop, "validate", lambda *a: original(*a) | {"SELD": next(scores)})
    config = TrainConfig(**(vars(CONFIG) | dict(epochs=5, patience=2)))
    stopped = run(scenes, tmp_path / "run", config)
    assert stopped.epoch == 4 and stopped.best["epoch"] == 2
    assert "stopped after 2 epochs without a better validation SELD" in (tmp_path / "run" / "log.txt").read_text()
    assert checkpoint.load(tmp_path / "run" / "best.safetensors").provenance["epochs_done"] == 2
    assert run(scenes, tmp_path / "run", config, resume=True).epoch == 4


SYSTEMS = {
    "seldnet": dict(output_format="seldnet"),
    "accdoa": dict(output_format="accdoa", sharing="none"),
    "sed": dict(task="sed"),
    "doa": dict(task="doa"),
}


@pytest.mark.parametrize("system", SYSTEMS)
def test_every_system_trains_and_has_the_scores_of_its_task(scenes, tmp_path, system):
    model = ModelConfig(**(vars(MODEL) | SYSTEMS[system]))
    config = TrainConfig(**(vars(CONFIG) | dict(epochs=2)))
    done = run(scenes, tmp_path / "run", config, model)
    has = {"sed": {"F"}, "doa": {"LE"}}.get(system, set(SCORES))
    for record in lines(tmp_path / "run"):
        assert {name for name in SCORES if record[name] is not None} <= has
        assert all(record[name] is not None for name in has - {"swap_rate"})  # None while nothing is found
        assert (record["sed_loss"] == 0) == (system in ("doa", "accdoa")) and (record["doa_loss"] == 0) == (
            system == "sed"
        )
    best = min(done.curve, key=lambda r: -r["F"] if system == "sed" else r["LE" if system == "doa" else "SELD"])
    assert done.best == best == checkpoint.load(tmp_path / "run" / "best.safetensors").curve[-1]


def test_resuming_a_finished_run_does_nothing(scenes, tmp_path, finished):
    shutil.copytree(finished.out, tmp_path / "run")
    again = run(scenes, tmp_path / "run", resume=True)
    assert again.epoch == 3 and again.curve == finished.curve


def test_an_existing_run_is_not_overwritten(scenes, finished):
    before = {p: p.read_bytes() for p in finished.out.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match="holds a run already: add --resume"):
        run(scenes, finished.out)
    assert before == {p: p.read_bytes() for p in finished.out.rglob("*") if p.is_file()}


def test_resuming_with_other_settings_is_refused(scenes, finished):
    other = TrainConfig(**(vars(CONFIG) | dict(seed=2, pit="cpit")))
    with pytest.raises(ValueError, match=r"other settings \(train\.pit, train\.seed\)"):
        run(scenes, finished.out, other, resume=True)
    wider = ModelConfig(**(vars(MODEL) | dict(feedforward=17)))
    with pytest.raises(ValueError, match=r"model\.feedforward"):
        run(scenes, finished.out, model=wider, resume=True)


def test_a_run_of_an_older_version_goes_on_as_the_network_that_it_was(scenes, tmp_path):
    """Its config.json has no fields for what was fixed then: positions of amplitude 1 in the sequence, scaled attention, biases."""
    then = dict(positional_scale=1.0, positions_in="sequence", scaled_attention=True, attention_bias=True)
    out = tmp_path / "run"
    run(scenes, out, model=dataclasses.replace(MODEL, **then), should_stop=stop_after(9))
    settings = json.loads((out / "config.json").read_text())
    for name in (*then, "residual_norm"):
        del settings["model"][name]
    (out / "config.json").write_text(json.dumps(settings))
    assert (
        dataclasses.replace(run(scenes, out, resume=True).settings.model, **{k: getattr(MODEL, k) for k in then})
        == MODEL
    )
    assert checkpoint.load(out / "last.safetensors").model == dataclasses.replace(MODEL, **then)
    with pytest.raises(ValueError, match=r"other settings \(model\.positional_scale\)"):
        run(scenes, out, model=dataclasses.replace(MODEL, positional_scale=0.2), resume=True)


@pytest.mark.parametrize("pit", ["tpit", "cpit"])
def test_five_tracks_train_and_predict(scenes, tmp_path, pit):
    config = dataclasses.replace(CONFIG, epochs=1, pit=pit)
    done = run(scenes, tmp_path / "run", config, dataclasses.replace(MODEL, n_tracks=5))
    assert np.isfinite(done.curve[-1]["loss"])
    clip = next((scenes / "foa_dev").glob("*.flac"))
    assert einv2.load(tmp_path / "run" / "last.safetensors").predict(clip).sed.shape == (80, 5, 14)


def test_a_damaged_state_is_named(scenes, tmp_path, finished):
    shutil.copytree(finished.out, tmp_path / "run")
    (tmp_path / "run" / "state.pt").write_bytes(b"cut off")
    with pytest.raises(ValueError, match=r"state\.pt is damaged"):
        run(scenes, tmp_path / "run", resume=True)


def test_one_clip_is_refused(scenes, tmp_path):
    for folder, suffix in (("foa_dev", "flac"), ("metadata_dev", "csv")):
        (tmp_path / "one" / folder).mkdir(parents=True)
        shutil.copy(sorted((scenes / folder).glob(f"*.{suffix}"))[0], tmp_path / "one" / folder)
    with pytest.raises(ValueError, match="one clip is not enough"):
        run(tmp_path / "one", tmp_path / "run")


def test_hop_and_pooling_that_do_not_fit_are_refused_before_work(scenes, tmp_path):
    with pytest.raises(ValueError, match="hop 1200"):
        settings = settings_of(features=FeatureConfig(n_mels=16, hop=1200))
        loop.train(tmp_path / "run", settings, DataSelection((scenes,)))
    assert not list(tmp_path.iterdir())


def test_a_validation_folder_keeps_all_clips_for_training(scenes, tmp_path):
    run(scenes, tmp_path / "run", validation_folders=(scenes,), should_stop=lambda: True)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "training: 6 clips" in log and "validation: 6 clips" in log
    assert "6 clips of the validation are trained on, too" in log
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_a_loss_that_is_not_a_number_is_named(scenes, tmp_path, monkeypatch):
    original = loop.seld_losses

    def broken(*arguments):
        losses = original(*arguments)
        return losses._replace(total=losses.total * float("nan"))

    monkeypatch.setattr(loop, "seld_losses", broken)
    with pytest.raises(ValueError, match="the loss became nan in epoch 1; try a lower --learning-rate"):
        run(scenes, tmp_path / "run")


@pytest.mark.parametrize("pit", ["tpit", "cpit", "none"])
@pytest.mark.parametrize("n_tracks", [1, 3])
def test_a_step_of_every_kind_of_pit_changes_the_weights(tmp_path, pit, n_tracks):
    model = ModelConfig(**(vars(MODEL) | dict(n_tracks=n_tracks)))
    config = TrainConfig(**(vars(CONFIG) | dict(pit=pit)))
    torch.manual_seed(0)
    sed = torch.zeros(2, 20, n_tracks, 14)
    sed[:, 5:15, 0, 3] = 1
    doa = sed.amax(-1, keepdim=True) * torch.tensor([0.0, 1, 0])
    batch = chunking.Sample(torch.randn(2, 7, 81, 16) - 40, sed, doa)
    fabric = distributed.launch("fp32")
    network = build(model)
    forward, optimizer = fabric.setup(network, torch.optim.AdamW(network.parameters(), 1e-2))
    mean, std = torch.full((1, 7, 1, 16), -40.0), torch.ones(1, 7, 1, 16)
    settings = settings_of(config, model, classes=())
    state = Run(RunFolder(tmp_path), settings, {}, fabric, network, forward, optimizer, mean, std)
    before = [p.detach().clone() for p in network.parameters()]
    losses = [loop.train_step(state, batch, np.random.default_rng(0))[0] for _ in range(8)]
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters()))
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_steps():
    """The paper: 90 of 100 epochs at the first rate, then 10 at a tenth."""
    assert [schedules.steps(epoch / 100) for epoch in (0, 50, 89.99, 90, 99.9)] == [1, 1, 1, 0.1, 0.1]
    assert TrainConfig().schedule == "steps"


def test_batches_leave_out_an_incomplete_last_one():
    assert loop.batches([1, 2, 3, 4, 5], 2) == [[1, 2], [3, 4]]
    assert loop.batches([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]
    assert loop.batches([1], 2) == [[1]]


def test_one_cycle():
    assert schedules.one_cycle(0, 0.2) == pytest.approx(0.04)
    assert schedules.one_cycle(0.1, 0.2) == pytest.approx(0.52)
    assert schedules.one_cycle(0.2, 0.2) == pytest.approx(1)
    assert schedules.one_cycle(0.6, 0.2) == pytest.approx(0.5)
    assert schedules.one_cycle(1, 0.2) == pytest.approx(0, abs=1e-12)
    assert schedules.one_cycle(0, 0.0) == 1
    shares = np.linspace(0, 1, 101)
    rates = np.array([schedules.one_cycle(s, 0.2) for s in shares])
    assert (np.diff(rates[:21]) > 0).all() and (np.diff(rates[20:]) < 0).all()


def test_averaged_weights_are_validated_kept_and_resumed(scenes, tmp_path):
    config = dataclasses.replace(CONFIG, average_decay=0.5, epochs=2)
    whole = run(scenes, tmp_path / "whole", config)
    run(scenes, tmp_path / "parts", config, should_stop=stop_after(whole.average.n_averaged.item() - 1))
    resumed = run(scenes, tmp_path / "parts", config, resume=True)
    assert without_seconds(resumed.curve) == without_seconds(whole.curve)
    kept = checkpoint.load(tmp_path / "parts" / "last.safetensors").network.state_dict()
    averaged = whole.average.module.state_dict()
    for name, values in kept.items():
        torch.testing.assert_close(values, averaged[name], msg=name)
    assert not torch.equal(kept["tracks.0.sed_head.weight"], whole.network.state_dict()["tracks.0.sed_head.weight"])


def test_the_average_of_the_weights_is_what_its_name_says():
    network = torch.nn.Linear(1, 1, bias=False)
    average = averaged(network, 0.75)
    for value in (4.0, 8.0, 0.0):
        torch.nn.init.constant_(network.weight, value)
        average.update_parameters(network)
    assert average.module.weight.item() == pytest.approx(0.75 * (0.75 * 4 + 0.25 * 8))
    assert averaged(network, 0.0) is None


def test_a_run_may_begin_with_the_weights_and_statistics_of_a_checkpoint(scenes, finished, tmp_path):
    parent = finished.out / "last.safetensors"
    still = dataclasses.replace(CONFIG, epochs=1, learning_rate=1e-12)
    child = run(scenes, tmp_path / "child", still, init=parent)
    torch.testing.assert_close(
        child.network.tracks[0].sed_head.weight, checkpoint.load(parent).network.tracks[0].sed_head.weight
    )
    torch.testing.assert_close(child.mean, finished.mean)
    with pytest.raises(
        ValueError, match=r"last.safetensors has another configuration \(network\) .* flags, dropout 0.2\."
    ):
        run(scenes, tmp_path / "other", model=dataclasses.replace(MODEL, dropout=0.1), init=parent)
    assert not (tmp_path / "other").exists()
