"""Training runs are read from their folders alone, whatever happened to the process, the server or the page."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import pytest

from app.jobs import process, training_order, training_runs
from app.storage import user_folder
from einv2 import status
from einv2.status import FAILED, FINISHED, RUNNING, STOPPED
from support.places import ROOT
from support.trainings import order, two_epochs, until

pytestmark = pytest.mark.usefixtures("six_scenes")


def test_a_resumed_run_keeps_the_time_of_its_first_start(fake, tmp_path):
    fake("time.sleep(600)")  # says nothing before it is stopped
    first = training_runs.start(order())
    assert first.resumed is None and first.first_start == pytest.approx(first.last_start, abs=60)
    training_runs.stop("mine")
    again = training_runs.resume("mine")
    assert again.first_start == first.first_start and again.resumed == again.last_start > first.last_start
    file = again.folder / training_runs.ORDER  # as orders were before they held the time
    kept = json.loads(file.read_text())
    kept.pop("began")
    file.write_text(json.dumps(kept))
    os.utime(file, (first.first_start, first.first_start))
    assert training_runs.read_run("mine").first_start == pytest.approx(first.first_start)


def pid_of(run) -> int:
    return json.loads((run.folder / process.START).read_text())["pid"]


def test_a_run_is_read_from_its_folder(fake):
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


def test_the_time_left_before_the_first_epoch_is_as_measured(fake):
    fake()
    training_runs.start(order(), seconds_an_epoch=12.0)
    run = dataclasses.replace(two_epochs(), records=[], epoch_began=None)
    assert run.seconds_left() == 36.0
    assert dataclasses.replace(run, order=run.order | {"seconds_an_epoch": None}).seconds_left() is None


def test_a_killed_run_can_be_resumed(fake):
    fake()
    training_runs.start(order())
    os.kill(pid_of(two_epochs()), signal.SIGKILL)
    run = until("mine", lambda r: r.state != RUNNING)
    assert run.state == STOPPED and "was killed" in run.reason and len(run.records) == 2
    training_runs.resume("mine")
    assert until("mine", lambda r: r.state != RUNNING).state == FINISHED


def test_a_run_survives_the_server_that_started_it(fake):
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


def test_one_run_at_a_time_unless_asked_otherwise(fake):
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
def test_a_failed_run_gives_its_reason_until_it_is_resumed(fake, what, reason):
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


def test_a_reused_process_number_is_not_mistaken_for_the_run(fake):
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


def test_features_of_data_root_sets_can_be_deleted(fake):
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
