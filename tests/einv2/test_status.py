"""The status file of a command: how far it is, and how it ended."""

import pytest

from einv2 import status
from einv2.commands import main as cli
from einv2.status import FAILED, FINISHED, RUNNING, STOPPED, Status


def test_progress_and_end_are_written(tmp_path):
    with status.reporting(tmp_path, "scenes") as progress:
        assert status.read(tmp_path) == Status(RUNNING, what="scenes")
        progress(1, 3)
        assert status.read(tmp_path) == Status(RUNNING, 1, 3, "scenes")
    assert status.read(tmp_path) == Status(FINISHED, 1, 3, "scenes")


@pytest.mark.parametrize(
    "error, state, reason",
    [
        (ValueError("a.wav is empty"), FAILED, "a.wav is empty"),
        (MemoryError("no room"), FAILED, "MemoryError: no room"),
        (KeyboardInterrupt(), STOPPED, ""),
    ],
)
def test_an_error_is_written_and_raised(tmp_path, error, state, reason):
    with pytest.raises(type(error)), status.reporting(tmp_path, "scenes") as progress:
        progress(1, 3)
        raise error
    assert status.read(tmp_path) == Status(state, 1, 3, "scenes", reason)


def test_rank_0_alone_writes(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    with status.reporting(tmp_path, "scenes") as progress:
        progress(1, 3)
    assert not list(tmp_path.iterdir())


def test_work_without_a_folder_has_no_status(tmp_path):
    with status.reporting(tmp_path / "nowhere", "scenes") as progress:
        progress(1, 3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content", ["", "{", "3", "[]", '{"state": "odd"}', '{"state": "running", "done": "two"}', '{"state": "running", "x": 1}', "{}"]
)  # fmt: skip
def test_a_status_that_is_not_whole_is_none(tmp_path, content):
    (tmp_path / status.FILE).write_text(content)
    assert status.read(tmp_path) is None


def test_simulate_and_train_write_their_status(tmp_path, capsys):
    simulate = ["simulate", "--seconds", "4", "--scenes", "2"]
    assert cli.main([*simulate, str(tmp_path / "set"), "--seed", "1"]) == 0
    assert status.read(tmp_path / "set") == Status(FINISHED, 2, 2, "scenes")
    assert cli.main([*simulate, str(tmp_path / "set"), "--seed", "2"]) == 1
    failed = status.read(tmp_path / "set")
    assert failed.state == FAILED and "scene of another seed" in failed.reason

    train = ["train", "--data", str(tmp_path / "set"), "--out", str(tmp_path / "run")]
    small = "--channels 2,2,2,8 --n-mels 16 --batch-size 1 --chunk-seconds 2"
    assert cli.main([*train, *small.split(), "--epochs", "1"]) == 0
    finished = status.read(tmp_path / "run")
    assert finished == Status(FINISHED, 1, 1, "epochs")
    assert cli.main([*train, *small.split(), "--epochs", "1"]) == 1 and "holds a run already" in capsys.readouterr().err
    assert status.read(tmp_path / "run") == finished
    assert cli.main([*train, *small.split(), "--epochs", "1", "--resume", "--seed", "9"]) == 1
    failed = status.read(tmp_path / "run")
    assert failed.state == FAILED and "resume needs the same" in failed.reason
