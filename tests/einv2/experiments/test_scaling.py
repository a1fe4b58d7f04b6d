"""The measurement of what grows: on little, so that it is about what is measured."""

import pytest

from einv2.checkpoints import checkpoint
from einv2.experiments import scaling

pytestmark = pytest.mark.full("scaling")


@pytest.fixture
def model(tiny_checkpoint, tmp_path):
    checkpoint.save(tiny_checkpoint, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def test_a_longer_clip_takes_longer_and_no_more_memory(model, tmp_path):
    short, long = (scaling.by_length(model, minutes, tmp_path) for minutes in (1, 6))
    assert long["seconds"] > short["seconds"] and long["memory_mb"] < short["memory_mb"] + 60


def test_processes_share_the_clips(model, tmp_path):
    found = scaling.by_number(model, 3, 2, tmp_path)
    assert found["processes"] == 2 and found["clips"] == 3 and found["seconds"] > 0
    assert {file.name for file in (tmp_path / "3_by_2").glob("*.csv")} == {f"clip{n}.csv" for n in range(3)}


def test_a_failed_measurement_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="absent"):
        scaling._predict(tmp_path / "absent.safetensors", [], tmp_path / "out")


def test_the_plain_loop_trains_on_the_chunks_that_are_counted(scenes, tiny_model, tiny_features, monkeypatch):
    monkeypatch.setattr(scaling.bench, "SECONDS", 8)  # as long as these scenes last
    assert scaling._n_chunks(6, 4) == 4
    assert scaling._plain_rate(scenes, tiny_model, tiny_features, 4) > 0
