"""Fixtures of the pages and of what they start."""

import shutil
import sys

import numpy as np
import pytest

from app.clip import analysis
from app.jobs import training_runs
from einv2.checkpoints import checkpoint, headers
from support.pages import encoded, noise
from support.trainings import FAKE, WAIT


@pytest.fixture
def fake(monkeypatch):
    """Trainings that take no time: what they do after two epochs."""

    def put(what: str = WAIT) -> tuple[str, ...]:
        command = (sys.executable, "-c", FAKE.replace("WHAT", what))
        monkeypatch.setattr(training_runs, "COMMAND", command)
        return command

    return put


@pytest.fixture
def minutes(monkeypatch):
    """Encoded hiss of so many minutes, with a window of one."""
    monkeypatch.setattr(analysis, "WINDOW_SECONDS", 60)
    rng = np.random.default_rng(0)
    return lambda n: encoded((300 * rng.standard_normal((4, 8000 * 60 * n))).astype(np.int16), format="FLAC", rate=8000)


@pytest.fixture
def data_root(tmp_path, monkeypatch):
    for folder in ("set/foa_dev", "set/metadata_dev"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "set/foa_dev/clip.wav").write_bytes(encoded(noise()))
    (tmp_path / "set/metadata_dev/clip.csv").write_text("3,1,0,10,0\n")
    (tmp_path / "alone.wav").write_bytes(encoded(noise(3.0)))
    monkeypatch.setattr(sys, "argv", ["main.py", "--data-root", str(tmp_path)])
    return tmp_path


@pytest.fixture
def two_networks(monkeypatch, tmp_path):
    for name in ("einv2", "other"):
        shutil.copy(headers.PRETRAINED / "einv2.safetensors", tmp_path / f"{name}.safetensors")
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)


@pytest.fixture
def one_shipped_network(tmp_path, monkeypatch, tiny_checkpoint):
    """A folder of user data with room for 10 MiB, and one small network in pretrained/."""
    pretrained = tmp_path / "pretrained"
    pretrained.mkdir()
    checkpoint.save(tiny_checkpoint, pretrained / "einv2.safetensors")
    monkeypatch.setattr(headers, "PRETRAINED", pretrained)
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data"), "--user-data-gib", "0.01"])
    return tmp_path / "data"


@pytest.fixture
def ours(tmp_path, tiny_checkpoint) -> bytes:
    """A checkpoint as its file."""
    checkpoint.save(tiny_checkpoint, tmp_path / "ours.safetensors")
    return (tmp_path / "ours.safetensors").read_bytes()
