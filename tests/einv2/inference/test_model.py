"""A clip in, a Prediction out: chunks, lengths, rates, files."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from einv2.audio import recordings
from einv2.audio.features import LogMelIntensity
from einv2.checkpoints import checkpoint, headers
from einv2.frames import CHUNK_SECONDS
from einv2.inference import runner
from einv2.inference.model import Model, load_model
from einv2.inference.prediction import Prediction
from einv2.inference.runner import _batches, _windows, batch_chunks
from einv2.labels import class_lists

RATE = 24000


@pytest.fixture
def model(tiny_checkpoint):
    return Model(tiny_checkpoint)


def signal(seconds, seed=0):
    """Noise (4, S) whose level and channels vary, so that frames differ."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    swell = np.interp(
        np.arange(n), np.arange(0, n + 2400, 2400), rng.uniform(0, 0.3, len(np.arange(0, n + 2400, 2400)))
    )
    return (rng.standard_normal((4, n)) * swell * rng.uniform(0.2, 1, (4, 1))).astype(np.float32)


@torch.inference_mode()
def by_hand(loaded, chunk):
    """Network output (T, M, K) and (T, M, 3) for one chunk (4, S) of 4 s."""
    x = LogMelIntensity(loaded.features)(torch.from_numpy(chunk)[None])
    output = loaded.network((x - loaded.feature_mean) / loaded.feature_std)
    return torch.sigmoid(output.sed)[0].numpy(), output.doa[0].numpy()


@pytest.mark.parametrize("seconds, n_frames", [(0.2, 2), (3.9, 39), (4.0, 40), (4.1, 41), (9.37, 94)])
def test_frame_counts(model, seconds, n_frames):
    prediction = model.predict_audio(signal(seconds))
    assert prediction.sed.shape == (n_frames, 2, 14) and prediction.doa.shape == (n_frames, 2, 3)
    assert ((prediction.sed >= 0) & (prediction.sed <= 1)).all() and (np.abs(prediction.doa) <= 1).all()
    assert prediction.classes == class_lists.DCASE2020_CLASSES and prediction.frame_seconds == 0.1


def test_chunks_are_the_network_run_by_hand(tiny_checkpoint):
    """9.37 s: two whole chunks, and a third filled up with silence."""
    audio_signal = signal(9.37)
    prediction = Model(tiny_checkpoint, overlap_seconds=0).predict_audio(audio_signal)
    padded = np.pad(audio_signal, ((0, 0), (0, 12 * RATE - audio_signal.shape[1])))
    for chunk in range(3):
        sed, doa = by_hand(tiny_checkpoint, np.ascontiguousarray(padded[:, 4 * RATE * chunk : 4 * RATE * (chunk + 1)]))
        frames = slice(40 * chunk, min(40 * (chunk + 1), 94))
        np.testing.assert_allclose(prediction.sed[frames], sed[: frames.stop - frames.start], atol=1e-5)
        np.testing.assert_allclose(prediction.doa[frames], doa[: frames.stop - frames.start], atol=1e-5)
    assert np.ptp(prediction.sed, axis=0).max() > 0.01  # a constant output would prove nothing


def trained_on(loaded, seconds):
    return replace(loaded, provenance={"train": {"chunk_seconds": seconds}})


@pytest.mark.parametrize("seconds", [1, 6])
def test_chunks_are_as_long_as_those_of_the_training(tiny_checkpoint, seconds):
    clip = signal(12.0)
    model = Model(trained_on(tiny_checkpoint, seconds), overlap_seconds=0)
    prediction = model.predict_audio(clip)
    assert prediction.chunk_seconds == seconds
    for chunk in range(12 // seconds):
        sed, _ = by_hand(tiny_checkpoint, clip[:, seconds * RATE * chunk : seconds * RATE * (chunk + 1)].copy())
        np.testing.assert_allclose(prediction.sed[10 * seconds * chunk :][: 10 * seconds], sed, atol=1e-5)


@pytest.mark.parametrize("seconds, frames", [(1, 5), (2, 10), (4, 10), (30, 10)])
def test_chunks_overlap_by_a_second_or_half_of_them(tiny_checkpoint, seconds, frames):
    loaded = trained_on(tiny_checkpoint, seconds)
    assert Model(loaded).overlap_frames == frames
    assert Model(loaded, overlap_seconds=seconds / 2).overlap_frames == 5 * seconds
    with pytest.raises(
        ValueError, match=rf"^chunks of {seconds} s overlap by 0 to {seconds / 2:g} s in steps of 0\.1, not"
    ):
        Model(loaded, overlap_seconds=seconds / 2 + 0.1)


def test_a_batch_holds_as_many_seconds_whatever_the_chunk():
    assert [batch_chunks(8, 16, "float32", s) for s in (1, 4, 8, 30, 600)] == [32, 8, 4, 1, 1]


@pytest.mark.parametrize("seconds", [0.2, 3.9, 4.0, 4.1, 6.9, 7.0, 7.1, 10.0, 23.45])
@pytest.mark.parametrize("overlap", [0, 0.1, 1.0, 2.0])
@pytest.mark.parametrize("n", [1, 3])
def test_every_sample_is_in_a_window_and_counts_once(seconds, overlap, n):
    rng = np.random.default_rng(0)
    clip = rng.standard_normal((4, round(seconds * 100))).astype(np.float32)
    cuts = np.sort(rng.integers(0, clip.shape[1], 5))
    size, step = 400, 400 - round(overlap * 100)
    batches = list(_batches(_windows(np.split(clip, cuts, axis=1), size, step), n))
    assert sum(new for _, new in batches) == clip.shape[1] and {len(batch) for batch, _ in batches[:-1]} <= {n}
    windows = [window for batch, _ in batches for window in batch]
    padded = np.pad(clip, ((0, 0), (0, size)))
    for k, window in enumerate(windows):
        np.testing.assert_array_equal(window, padded[:, k * step : k * step + size])
    assert (len(windows) - 1) * step + size >= clip.shape[1] > (len(windows) - 2) * step + size or len(windows) == 1


def test_chunks_that_overlap_fade_into_one_another(tiny_checkpoint):
    """The middle of a chunk is its own; where two overlap the probabilities are a mean of both, on tracks that agree."""
    clip = signal(7.0)
    joined = Model(tiny_checkpoint).predict_audio(clip)
    alone = Model(tiny_checkpoint, overlap_seconds=0)
    first, second = alone.predict_audio(clip[:, : 4 * RATE]), alone.predict_audio(clip[:, 3 * RATE :])
    np.testing.assert_allclose(joined.sed[:30], first.sed[:30], atol=1e-5)
    least, most = (
        np.minimum(first.sed[30:].min(1), second.sed[:10].min(1)),
        np.maximum(first.sed[30:].max(1), second.sed[:10].max(1)),
    )
    assert (joined.sed[30:40] >= least[:, None] - 1e-5).all() and (joined.sed[30:40] <= most[:, None] + 1e-5).all()
    np.testing.assert_allclose(np.sort(joined.sed[40:], axis=1), np.sort(second.sed[10:], axis=1), atol=1e-5)


@pytest.mark.parametrize("overlap", [-0.1, 2.1, 0.05])
def test_an_impossible_overlap_is_refused(tiny_checkpoint, overlap):
    with pytest.raises(ValueError, match=r"overlap by 0 to 2 s in steps of 0\.1"):
        Model(tiny_checkpoint, overlap_seconds=overlap)


def test_batches_of_chunks_do_not_matter(model, monkeypatch):
    clip = signal(17.0)
    together = model.predict_audio(clip)
    monkeypatch.setattr(runner, "BATCH_CHUNKS", 2)
    np.testing.assert_allclose(model.predict_audio(clip).sed, together.sed, atol=1e-5)


def test_a_file_is_what_its_samples_are(model, tmp_path):
    path = tmp_path / "clip.flac"
    recordings.write_flac(path, signal(5.3), RATE)
    from_file, from_samples = model.predict(path), model.predict_audio(recordings.load(path))
    np.testing.assert_allclose(from_file.sed, from_samples.sed, atol=1e-6)
    np.testing.assert_allclose(from_file.doa, from_samples.doa, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_other_rates(model, tmp_path, rate):
    path = tmp_path / "clip.wav"
    rng = np.random.default_rng(0)
    soundfile.write(path, 0.1 * rng.standard_normal((round(4.25 * rate), 4)), rate, subtype="FLOAT")
    prediction = model.predict(path)
    assert len(prediction.sed) == 43
    np.testing.assert_allclose(prediction.sed, model.predict_audio(recordings.load(path)).sed, atol=1e-5)


def test_progress_counts_seconds_and_can_stop(model, tmp_path):
    path = tmp_path / "clip.flac"
    recordings.write_flac(path, signal(37.5), RATE)
    seconds = []
    model.predict(path, progress=seconds.append)
    assert seconds == [25.0, 37.5]  # 8 chunks of 4 s, which overlap by 1 s

    class Stopped(Exception):
        pass

    def stop(done):
        seconds.append(done)
        raise Stopped

    with pytest.raises(Stopped):
        model.predict(path, progress=stop)
    assert seconds == [25.0, 37.5, 25.0]


@pytest.mark.full("long")
def test_memory_does_not_grow_with_the_clip(model, monkeypatch):
    """Resident memory over 40 minutes of silence, after the first ten."""

    def resident_mb():
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    if not Path("/proc/self/statm").exists():
        pytest.skip("resident memory is read from /proc")
    seen = []
    silence = np.zeros((4, CHUNK_SECONDS * model.sample_rate), np.float32)
    prediction = model.predict_blocks(iter([silence] * 600), lambda seconds: seen.append(resident_mb()))
    assert len(prediction.sed) == 24000
    assert seen[-1] - seen[len(seen) // 4] < 30


def test_no_samples(model):
    with pytest.raises(ValueError, match="0 samples"):
        model.predict_audio(np.zeros((4, 0), np.float32))


def test_errors_carry_the_given_name(model, tmp_path):
    (tmp_path / "upload.tmp").write_text("text")
    with pytest.raises(recordings.AudioError, match=r"^mine\.wav: "):
        model.predict(tmp_path / "upload.tmp", name="mine.wav")


def test_frames_and_events():
    """Two frames of class 1 to the left on track 0, then one of class 0 behind on track 1."""
    sed, doa = np.zeros((5, 2, 2)), np.zeros((5, 2, 3))
    sed[1:3, 0, 1], doa[1:3, 0] = (0.6, 0.8), (0, 1, 0)
    sed[4, 1, 0], doa[4, 1] = 0.9, (-1, 0, 0)
    prediction = Prediction(sed, doa, ("crash", "piano"))
    assert prediction.frames()["frame"].tolist() == [1, 2, 4]
    assert prediction.frames(0.7)["frame"].tolist() == [2, 4]
    events = prediction.events()
    assert events["name"].tolist() == ["piano", "crash"] and events["track"].tolist() == [0, 1]
    np.testing.assert_allclose(events[["onset", "offset"]], [[0.1, 0.3], [0.4, 0.5]])
    np.testing.assert_allclose(events["azimuth"], [90, -180])
    np.testing.assert_allclose(events["confidence"], [0.7, 0.9])


def test_names_and_files(tiny_checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(headers, "PRETRAINED", tmp_path)
    with pytest.raises(ValueError, match=r"no model 'einv2': give the path of a \.safetensors file\.$"):
        load_model("einv2")
    for name in ("another", "einv2", "zeta"):
        checkpoint.save(tiny_checkpoint, tmp_path / f"{name}.safetensors")
    assert list(headers.available_models(tmp_path)) == ["einv2", "another", "zeta"]
    by_path = load_model(tmp_path / "zeta.safetensors")
    assert by_path.sample_rate == RATE and by_path.classes == class_lists.DCASE2020_CLASSES
    with pytest.raises(ValueError, match=r"no model 'einv3'.* one of einv2, another, zeta"):
        load_model("einv3")
    assert load_model("another").checkpoint.model == tiny_checkpoint.model
