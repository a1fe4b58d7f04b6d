"""Fixtures of training runs."""

import shutil
import sys

import pytest

from app.jobs import training_runs


@pytest.fixture
def six_scenes(monkeypatch, tmp_path, scenes):
    """A folder of user data with one set; the runs in it are stopped in the end."""
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(tmp_path / "data")])
    shutil.copytree(scenes / "foa_dev", tmp_path / "data" / "scenes" / "six" / "foa_dev")
    shutil.copytree(scenes / "metadata_dev", tmp_path / "data" / "scenes" / "six" / "metadata_dev")
    yield
    for run in training_runs.runs():
        training_runs.stop(run.name)
