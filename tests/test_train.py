"""The training loop on a tiny network and short simulated scenes."""

import json
import shutil

import numpy as np
import pytest
import torch

from einv2 import augment, checkpoint, train
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, to_json

MODEL = ModelConfig(channels=(4, 4, 8, 8), n_heads=2, feedforward=16)
FEATURES = FeatureConfig(n_mels=16)
CONFIG = TrainConfig(
    epochs=3, batch_size=4, chunk_seconds=2, learning_rate=5e-3, precision="fp32", validation_share=0.2, seed=1
)


def run(scenes, out, config=CONFIG, model=MODEL, **options):
    return train.train([scenes], out, model, FEATURES, config, **options)


def stop_after(steps):
    """A ``should_stop`` that says yes after so many steps."""
    count = iter(range(1, 10**6))
    return lambda: next(count) >= steps


def without_seconds(curve):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in curve]


@pytest.fixture(scope="module")
def finished(scenes, tmp_path_factory):
    """A run of three epochs that was never stopped."""
    return run(scenes, tmp_path_factory.mktemp("runs") / "finished", provenance={"data": "six scenes"})


def test_training_reduces_the_loss(scenes, tmp_path):
    config = TrainConfig(**(vars(CONFIG) | dict(epochs=6, rotate=False, gain_db=0.0)))
    losses = [record["loss"] for record in run(scenes, tmp_path / "run", config).curve]
    assert losses[-1] < 0.7 * losses[0]


def test_files_of_a_run(finished):
    assert {p.name for p in finished.out.iterdir()} == {
        "config.json", "metrics.jsonl", "log.txt", "last.safetensors", "best.safetensors", "state.pt",
    }  # fmt: skip
    settings = json.loads((finished.out / "config.json").read_text())
    assert settings == {"model": to_json(MODEL), "features": to_json(FEATURES), "train": to_json(CONFIG)}
    records = [json.loads(line) for line in (finished.out / "metrics.jsonl").read_text().splitlines()]
    assert records == finished.curve and [r["epoch"] for r in records] == [1, 2, 3]
    expected = "epoch loss sed_loss doa_loss validation_loss ER F LE LR SELD learning_rate seconds"
    assert set(records[0]) == set(expected.split())
    for record in records:
        assert record["loss"] == pytest.approx((record["sed_loss"] + record["doa_loss"]) / 2, abs=2e-5)
    log = (finished.out / "log.txt").read_text()
    assert "epoch 3/3" in log and "training: 5 clips" in log and "validation: 1 clips" in log


def test_checkpoints_of_a_run(finished):
    last, best = (checkpoint.load(finished.out / f"{name}.safetensors") for name in ("last", "best"))
    state = finished.network.state_dict()
    assert all(torch.equal(t, state[k]) for k, t in last.network.state_dict().items())
    assert last.curve == finished.curve and last.scores["validation"] == finished.curve[-1]
    assert last.provenance == {"data": "six scenes", "train": to_json(CONFIG), "epochs_done": 3}
    lowest = min(range(3), key=lambda i: finished.curve[i]["SELD"])
    assert best.provenance["epochs_done"] == lowest + 1
    assert finished.best == pytest.approx(finished.curve[lowest]["SELD"], abs=1e-5)


@pytest.mark.parametrize("steps", [2, 6])
def test_stopped_in_an_epoch_and_resumed_gives_the_same_curve(scenes, tmp_path, finished, steps):
    """Four steps are an epoch: stopped before any epoch is done, and in the second."""
    stopped = run(scenes, tmp_path / "run", should_stop=stop_after(steps))
    assert stopped.epoch == (steps - 1) // 4 < 3
    resumed = run(scenes, tmp_path / "run", resume=True)
    assert without_seconds(resumed.curve) == without_seconds(finished.curve)
    state = finished.network.state_dict()
    assert all(torch.equal(t, state[k]) for k, t in resumed.network.state_dict().items())


def test_resuming_a_finished_run_does_nothing(scenes, tmp_path, finished):
    shutil.copytree(finished.out, tmp_path / "run")
    again = run(scenes, tmp_path / "run", resume=True)
    assert again.epoch == 3 and again.curve == finished.curve


def test_an_existing_run_is_not_overwritten(scenes, finished):
    before = {p.name: p.read_bytes() for p in finished.out.iterdir()}
    with pytest.raises(ValueError, match="holds a run already: add --resume"):
        run(scenes, finished.out)
    assert before == {p.name: p.read_bytes() for p in finished.out.iterdir()}


def test_resuming_with_other_settings_is_refused(scenes, finished):
    other = TrainConfig(**(vars(CONFIG) | dict(seed=2, pit="cpit")))
    with pytest.raises(ValueError, match=r"other settings \(train\.pit, train\.seed\)"):
        run(scenes, finished.out, other, resume=True)
    wider = ModelConfig(**(vars(MODEL) | dict(feedforward=17)))
    with pytest.raises(ValueError, match=r"model\.feedforward"):
        run(scenes, finished.out, model=wider, resume=True)


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
        train.train([scenes], tmp_path / "run", MODEL, FeatureConfig(n_mels=16, hop=1200), CONFIG)
    assert not list(tmp_path.iterdir())


def test_a_validation_folder_keeps_all_clips_for_training(scenes, tmp_path):
    run(scenes, tmp_path / "run", validation_dirs=[scenes], should_stop=lambda: True)
    log = (tmp_path / "run" / "log.txt").read_text()
    assert "training: 6 clips" in log and "validation: 6 clips" in log
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_a_loss_that_is_not_a_number_is_named(scenes, tmp_path, monkeypatch):
    original = train.pit_losses

    def broken(*arguments):
        losses = original(*arguments)
        return losses._replace(total=losses.total * float("nan"))

    monkeypatch.setattr(train, "pit_losses", broken)
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
    batch = augment.Sample(torch.randn(2, 7, 81, 16) - 40, sed, doa)
    network = train.models.build(model)
    state = train.Run(
        tmp_path, model, FEATURES, config, (), {}, network, torch.optim.AdamW(network.parameters(), 1e-2),
        torch.full((1, 7, 1, 16), -40.0), torch.ones(1, 7, 1, 16), torch.device("cpu"),
    )  # fmt: skip
    before = [p.detach().clone() for p in network.parameters()]
    losses = [train.train_step(state, batch, np.random.default_rng(0))[0] for _ in range(8)]
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters()))
    assert np.isfinite(losses).all() and losses[-1] < losses[0]


def test_one_cycle():
    assert train.one_cycle(0, 0.2) == pytest.approx(0.04)
    assert train.one_cycle(0.1, 0.2) == pytest.approx(0.52)
    assert train.one_cycle(0.2, 0.2) == pytest.approx(1)
    assert train.one_cycle(0.6, 0.2) == pytest.approx(0.5)
    assert train.one_cycle(1, 0.2) == pytest.approx(0, abs=1e-12)
    assert train.one_cycle(0, 0.0) == 1
    shares = np.linspace(0, 1, 101)
    rates = np.array([train.one_cycle(s, 0.2) for s in shares])
    assert (np.diff(rates[:21]) > 0).all() and (np.diff(rates[20:]) < 0).all()
