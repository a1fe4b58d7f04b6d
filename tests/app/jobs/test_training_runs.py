"""Runs of the Train page: what is told from their folders alone, whatever became of the process, the server or the page."""

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from app.jobs import process, training_order, training_runs, training_speed
from app.jobs.training_order import DataSet, Order
from app.storage import user_folder
from einv2 import status
from einv2.commands import main as cli
from einv2.config import FeatureConfig, ModelConfig, without_effect
from einv2.datasets import chunking, discovery
from einv2.experiments.systems import SYSTEMS
from einv2.labels import class_lists
from einv2.status import FAILED, FINISHED, RUNNING, STOPPED
from support.places import ROOT
from support.trainings import TRAIN, two_epochs, until


@pytest.fixture(autouse=True)
def _place(monkeypatch, tmp_path, scenes):
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data")])
    shutil.copytree(scenes / "foa_dev", tmp_path / "data" / "scenes" / "six" / "foa_dev")
    shutil.copytree(scenes / "metadata_dev", tmp_path / "data" / "scenes" / "six" / "metadata_dev")
    yield
    for run in training_runs.runs():
        training_runs.stop(run.name)


def order(name="mine", **changes) -> Order:
    return Order(name, tuple(training_order.data_sets()), size="tiny", train=TRAIN, **changes)


def test_a_resumed_run_keeps_the_time_of_its_first_start(fake, tmp_path):
    fake("time.sleep(600)")  # says nothing before it is stopped
    first = training_runs.start(order())
    assert first.resumed is None and first.started == pytest.approx(first.began, abs=60)
    training_runs.stop("mine")
    again = training_runs.resume("mine")
    assert again.started == first.started and again.resumed == again.began > first.began
    file = again.folder / training_runs.ORDER  # as orders were before they held the time
    kept = json.loads(file.read_text())
    kept.pop("began")
    file.write_text(json.dumps(kept))
    os.utime(file, (first.started, first.started))
    assert training_runs.read_run("mine").started == pytest.approx(first.started)


def pid_of(run) -> int:
    return json.loads((run.folder / process.START).read_text())["pid"]


# What is asked for


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize("released", [True, False])
def test_the_command_builds_what_the_page_says(system, released):
    for size in training_order.SIZES:
        asked = dataclasses.replace(order(system=system, released=released), size=size)
        options = cli.parser(["train"]).parse_args(["train", *asked.arguments, "--out", "x"])
        model, _, train = asked.configs
        idle = without_effect(model, train)
        assert not options.given & idle.keys()
        for config in asked.configs:
            for f in dataclasses.fields(config):
                if f.name not in ("n_tracks", "n_classes", *idle):
                    assert getattr(options, f.name) == getattr(config, f.name), (size, f.name)


def test_parameters_are_those_of_the_network(tiny_model):
    from einv2.models.build import build

    assert training_order.n_parameters(tiny_model) == sum(p.numel() for p in build(tiny_model).parameters())


def test_what_can_be_trained_on(monkeypatch, tmp_path):
    root = tmp_path / "root"
    for place in ("A/foa_dev/dev-train", "A/foa_eval", "deep/B/foa_dev", "loose"):
        (root / place).mkdir(parents=True)
        (root / place / "a.wav").touch()
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--data-root", str(root)])
    found = training_order.data_sets()
    assert [one.title for one in found] == ["six", "root/A (data root)", "root/deep/B (data root)"]
    assert [one.is_kept for one in found] == [True, False, False]
    asked = Order("mine", found[:1] + found[1:2])
    assert asked.arguments[-2:] == ["--cache", str(user_folder.root() / "runs" / training_order.FEATURES)]
    assert "--cache" not in Order("mine", found[:1]).arguments
    assert f" \\\n  --data {found[1].path} \\\n" in asked.command and asked.command.endswith("runs/mine")


@pytest.mark.parametrize(
    "changes, sentence",
    [
        ({"name": "../up"}, "cannot be a name"),
        ({"data": ()}, "Choose data"),
        ({"data": (DataSet("x", "/nowhere", True),)}, "holds no data set"),
        ({"validation_part": ("fold9",)}, "fold9"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_made(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        training_runs.start(dataclasses.replace(order(), **changes))
    assert training_runs.runs() == []


def test_features_that_are_not_there_yet_need_room(fake, monkeypatch):
    fake()
    asked = order()
    networks = training_order.COPIES * 4 * training_order.n_parameters(asked.configs[0])
    assert asked.most_bytes - networks == 6 * 8 * 40 * 7 * 64 * 2  # clips, seconds, frames a second, float16
    monkeypatch.setattr(user_folder, "limit_bytes", lambda: user_folder.used_bytes() + networks + 1_000_000)
    with pytest.raises(ValueError, match=r"this may need 3\.4 MiB more: delete what is no longer needed"):
        training_runs.start(asked)
    for clip in [clip for part in asked.clips() for clip in part]:
        chunking.cached_features(clip, asked.configs[1])
    assert asked.most_bytes == networks


def test_a_full_folder_is_said(monkeypatch):
    monkeypatch.setattr(user_folder, "limit_bytes", lambda: 1000)
    with pytest.raises(ValueError, match="of at most 1 KiB"):
        training_runs.start(order())


# What became of it


def test_a_run_is_told_from_its_folder(fake):
    fake()
    assert training_runs.start(order(), seconds_an_epoch=12.0).state == RUNNING
    run = two_epochs()
    assert (run.state, len(run.records), run.order["data"]) == (RUNNING, 2, ["six"])
    assert run.seconds_an_epoch == 15.0  # the mean of 10 and 20
    assert run.done(run.epoch_began + 6) == pytest.approx(2.4)
    assert run.seconds_left(run.epoch_began + 6) == pytest.approx(9.0)
    assert run.done(run.epoch_began + 600) == pytest.approx(2.99)
    with pytest.raises(ValueError, match="stop it before"):
        training_runs.delete("mine")
    training_runs.stop("mine")
    run = training_runs.read_run("mine")
    assert (run.state, run.reason, run.resumable) == (STOPPED, "", True)
    assert training_runs.resume("mine").state in (RUNNING, FINISHED)
    assert len(until("mine", lambda r: r.state == FINISHED).records) == 3
    training_runs.delete("mine")
    assert training_runs.runs() == [] and not run.folder.exists()


def test_the_time_left_before_the_first_epoch_is_the_measured_one(fake):
    fake()
    training_runs.start(order(), seconds_an_epoch=12.0)
    run = dataclasses.replace(two_epochs(), records=[], epoch_began=None)
    assert run.seconds_left() == 36.0
    assert dataclasses.replace(run, order=run.order | {"seconds_an_epoch": None}).seconds_left() is None


def test_a_killed_process_leaves_a_run_that_resumes(fake):
    fake()
    training_runs.start(order())
    os.kill(pid_of(two_epochs()), signal.SIGKILL)
    run = until("mine", lambda r: r.state != RUNNING)
    assert run.state == STOPPED and "was killed" in run.reason and len(run.records) == 2
    training_runs.resume("mine")
    assert until("mine", lambda r: r.state != RUNNING).state == FINISHED


def test_a_run_outlives_the_server_that_started_it(fake):
    code = (
        "import os, signal, sys; from app.jobs import training_order, training_runs; from einv2.config import TrainConfig; "
        f"training_runs.COMMAND = {fake()!r}; "
        "order = training_order.Order('mine', tuple(training_order.data_sets()), size='tiny', train=TrainConfig(epochs=3)); "
        "training_runs.start(order); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    server = subprocess.run([sys.executable, "-c", code, *sys.argv[1:]], cwd=ROOT)
    assert server.returncode == -signal.SIGKILL
    assert two_epochs().state == RUNNING
    with pytest.raises(ValueError, match="mine is training at this moment"):
        training_runs.start(order("other"))
    training_runs.stop("mine")
    assert training_runs.read_run("mine").state == STOPPED


def test_one_at_a_time_unless_said(fake):
    fake()
    training_runs.start(order())
    with pytest.raises(ValueError, match="wait until it is done, stop it, or choose to train beside it"):
        training_runs.start(order("other"))
    with pytest.raises(ValueError, match="mine is training already"):
        training_runs.resume("mine")
    assert [run.name for run in training_runs.runs()] == ["mine"]
    assert training_runs.start(order("other"), beside=True).state == RUNNING
    assert {run.state for run in training_runs.runs()} == {RUNNING}
    with pytest.raises(ValueError, match="is there already"):
        training_runs.start(order(), beside=True)


@pytest.mark.parametrize(
    "what, reason",
    [
        ("raise ValueError(str(out.parent.parent / 'scenes' / 'six') + ' is odd')", "six is odd"),
        ("raise MemoryError('no room')", "MemoryError: no room"),
    ],
)
def test_a_failed_run_says_why_until_it_goes_on(fake, what, reason):
    fake(what)
    training_runs.start(order())
    run = until("mine", lambda r: r.state != RUNNING)
    assert (run.state, run.reason, run.resumable) == (FAILED, reason, True)
    training_runs.resume("mine")
    assert until("mine", lambda r: r.state != RUNNING).state == FINISHED  # the old line is not taken for a new one


@pytest.mark.parametrize(
    "printed, records, stopped, state, reason",
    [
        ("old\nerror: six is odd\n", 2, False, FAILED, "six is odd"),
        (
            "Traceback (most recent call last):\n  raise\nMemoryError: no room\n",
            2,
            False,
            FAILED,
            "MemoryError: no room",
        ),
        ("", 3, False, FINISHED, ""),
        ("runs/mine/best.safetensors: SELD 0.5 after epoch 1 of 2\n", 2, False, FINISHED, ""),
        ("", 2, True, STOPPED, ""),
        ("", 2, False, STOPPED, training_runs.KILLED),
    ],
)
def test_runs_without_a_status_are_read_by_what_they_printed(fake, printed, records, stopped, state, reason):
    """As older versions wrote them, and where a process ends before it can write a status."""
    fake()
    training_runs.start(order())
    folder = two_epochs().folder
    training_runs.stop("mine")
    (folder / status.FILE).unlink()
    (folder / process.OUTPUT).write_text("error: of an earlier start\n" + printed)
    (folder / "metrics.jsonl").write_text('{"epoch": 1, "seconds": 1}\n' * records)
    known = json.loads((folder / process.START).read_text())
    known |= {"output_from": len("error: of an earlier start\n"), "stopped": stopped, "started": "123456"}
    (folder / process.START).write_text(json.dumps(known))
    run = training_runs.read_run("mine")
    assert (run.state, run.reason) == (state, reason)


def test_a_reused_process_number_is_not_taken_for_the_run(fake):
    fake()
    training_runs.start(order())
    run = two_epochs()
    file = run.folder / process.START
    known = json.loads(file.read_text())
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        file.write_text(json.dumps(known | {"pid": stranger.pid}))
        with pytest.raises(ValueError, match="cannot be found"):
            training_runs.stop("mine")
        os.kill(known["pid"], signal.SIGKILL)
        assert until("mine", lambda r: r.state != RUNNING).state == STOPPED
        training_runs.stop("mine")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_features_of_data_root_sets_go_when_they_are_asked_to(fake):
    fake()
    kept = user_folder.root() / "runs" / training_order.FEATURES / "A"
    kept.mkdir(parents=True)
    (kept / "a.npy").write_bytes(bytes(1000))
    training_runs.start(order())
    assert training_runs.features_bytes() == 1000
    with pytest.raises(ValueError, match="may need the features"):
        training_runs.delete_features()
    training_runs.stop("mine")
    training_runs.delete_features()
    assert training_runs.features_bytes() == 0 and [run.name for run in training_runs.runs()] == ["mine"]


# How long it will take


def test_chunks_of_an_epoch_are_those_of_training(scenes, rng, tiny_features):
    clips = discovery.find_clips(scenes)
    for seconds in (2, 3, 8, 20):
        chunks = chunking.ChunkSet(clips, tiny_features, 2, class_lists.DCASE2020_CLASSES, seconds)
        mean = np.mean([len(chunks.plan(rng)) for _ in range(200)])
        assert training_speed._chunks(clips, seconds).sum() == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_speed_is_measured_on_a_few_steps(tmp_path, batch_size):
    asked = order(dropout=0.0)
    asked = dataclasses.replace(asked, train=dataclasses.replace(TRAIN, batch_size=batch_size, validation_share=0.2))
    speed = training_speed.measure(training_speed.describe(asked), tmp_path / "speed.json")
    said = json.loads((tmp_path / "speed.json").read_text())
    assert said == {"share": 0.9, "text": "Validating"}
    assert speed.chunks == pytest.approx(15, abs=1) and speed.steps == max(speed.chunks // batch_size, 1)
    assert 0 < speed.chunks / speed.chunks_a_second < speed.seconds_an_epoch < 60
    assert speed.total(10) == pytest.approx(10 * speed.seconds_an_epoch + speed.features_seconds)
    assert speed.epochs_in(speed.total(7) + speed.seconds_an_epoch / 2) == 7 and speed.epochs_in(0) == 1
    assert not list(user_folder.path_of("scenes", "six").glob(".features*"))


def test_epochs_and_seed_do_not_call_for_a_new_measurement():
    first, later = order(), order("other")
    later = dataclasses.replace(later, train=dataclasses.replace(TRAIN, epochs=50, seed=TRAIN.seed))
    assert training_speed.describe(first) == training_speed.describe(later)
    assert training_speed.describe(first) != training_speed.describe(dataclasses.replace(first, size="compact"))
    described = json.loads(json.dumps(training_speed.describe(first)))
    assert described == training_speed.describe(first)
    assert {"ModelConfig", "FeatureConfig", "TrainConfig"} <= described.keys()
    assert (ModelConfig, FeatureConfig) == tuple(type(c) for c in first.configs[:2])
