"""The training in front of the user: its data, what comes out of it, and the process that the page watches."""

import gc
import json
import time

import numpy as np
import pytest

from app.jobs import toy_run
from app.jobs.process import Job
from einv2 import geometry
from einv2.analysis import pit_toy


@pytest.fixture(scope="module")
def batch():
    return pit_toy.draw(np.random.default_rng(3), 40)


def test_examples_have_two_classes_from_two_directions(batch):
    assert batch.features.shape == (40, 7, pit_toy.N_FRAMES * pit_toy.RATIO + 1, pit_toy.N_BANDS)
    assert batch.sed.shape == (40, pit_toy.N_FRAMES, 2, pit_toy.N_CLASSES) and batch.doa.shape == (
        40,
        pit_toy.N_FRAMES,
        2,
        3,
    )
    assert np.isfinite(batch.features).all()
    classes = batch.sed.argmax(-1)
    assert (classes[..., 0] != classes[..., 1]).all() and (batch.sed.sum(-1) == 1).all()
    np.testing.assert_allclose(np.linalg.norm(batch.doa, axis=-1), 1, atol=1e-6)
    apart = geometry.distance(batch.doa[..., 0, :], batch.doa[..., 1, :])
    assert (apart > 50).all() and (apart < 165).all()


def test_where_a_source_is_alone_the_intensity_points_at_it():
    power = np.zeros((1, 2, 5, 4))
    power[0, 0, :, :2] = power[0, 1, :, 2:] = 1.0
    directions = geometry.to_vector(np.array([[40, -80]]), np.array([[10, 0]]))
    x = pit_toy._features(power, directions)[0]
    for band, direction in ((0, directions[0, 0]), (3, directions[0, 1])):
        np.testing.assert_allclose(x[4:, 0, band], direction[[1, 2, 0]] / (1 + pit_toy.NOISE), rtol=1e-5)
        np.testing.assert_allclose(10 ** x[:4, 0, band] - pit_toy.NOISE, [1, *direction[[1, 2, 0]] ** 2], atol=1e-5)


def test_scores_of_the_truth_and_of_the_mean(batch):
    assert pit_toy.scores(batch.doa[:, :, ::-1], batch) == {"le": pytest.approx(0, abs=1e-4), "midpoint": 0}
    mean = np.repeat(batch.doa.mean(2, keepdims=True), 2, axis=2)
    found = pit_toy.scores(mean, batch)
    half = geometry.distance(batch.doa[..., 0, :], batch.doa[..., 1, :]).mean() / 2
    assert found["le"] == pytest.approx(half, rel=1e-5) and found["midpoint"] == 1


@pytest.mark.full("long")
def test_without_pit_the_directions_go_to_the_middle():
    lines = [line for line, _ in pit_toy.train(steps=90, seed=1, max_seconds=1e6, every=45)]
    first, last = lines[0], lines[-1]
    assert [line["step"] for line in lines] == [0, 45, 90] and [line["done"] for line in lines] == [False, False, True]
    assert first["tpit"] == first["none"]  # the same network, until they are trained
    assert last["tpit"]["le"] < 0.7 * last["none"]["le"]
    assert last["none"]["midpoint"] > last["tpit"]["midpoint"] + 0.2


def test_the_same_seed_gives_the_same_run():
    runs = [
        [(line["tpit"], line["none"]) for line, _ in pit_toy.train(steps=2, every=1, max_seconds=1e6)] for _ in range(2)
    ]
    assert runs[0] == runs[1]


def test_a_run_ends_in_time():
    lines = [line for line, _ in pit_toy.train(steps=1000, max_seconds=-1)]
    assert len(lines) == 1 and lines[0]["done"]


def test_the_command_writes_lines_and_examples(tmp_path):
    pit_toy.main(["--out", str(tmp_path / "run"), "--steps", "2"])
    lines = [json.loads(line) for line in (tmp_path / "run" / pit_toy.METRICS).read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 2] and lines[-1]["done"]
    with np.load(tmp_path / "run" / pit_toy.EXAMPLES) as arrays:
        assert {name: arrays[name].shape[:3] for name in ("doa", "tpit", "none")} == dict.fromkeys(
            ("doa", "tpit", "none"), (pit_toy.N_HELD_OUT, pit_toy.N_FRAMES, 2)
        )


def test_the_command_refuses_too_few_steps(tmp_path, capsys):
    with pytest.raises(SystemExit):
        pit_toy.main(["--out", str(tmp_path), "--steps", "1"])
    assert "at least 2" in capsys.readouterr().err


def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.1)
    raise TimeoutError


def test_a_process_of_its_own_that_is_stopped_and_leaves_nothing_behind():
    run = toy_run.start(steps=10**6)
    wait_until(run.read)
    assert run.running and run.read()[0]["step"] == 0 and run.examples() is None
    run.stop()
    assert not run.running and run.stopped and not run.failed
    folder, process = run.job.folder, run.job.popen
    assert folder.is_dir() and process.poll() is not None
    del run
    gc.collect()
    assert not folder.exists()


def test_a_process_ends_with_the_session_that_holds_it():
    run = toy_run.start(steps=10**6)
    process, folder = run.job.popen, run.job.folder
    del run
    gc.collect()
    assert process.poll() is not None and not folder.exists()


def test_a_line_that_is_being_written_is_not_read(tmp_path):
    run = toy_run.ToyRun(Job(None, tmp_path))
    assert run.read() == []
    (tmp_path / pit_toy.METRICS).write_text('{"step": 0}\n{"st')
    assert run.read() == [{"step": 0}]
