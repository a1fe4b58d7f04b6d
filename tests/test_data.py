"""Data sets in folders, their cached features, and the chunks that the network is trained on."""

import os
import shutil

import numpy as np
import pytest
import torch

from einv2 import audio, data, labels
from einv2.config import FeatureConfig
from einv2.features import LogMelIntensity

RATE = 24000
CONFIG = FeatureConfig(n_mels=16)


def write_clip(root, stem, seconds, rows=(), seed=0, suffix="foa_dev", metadata="metadata_dev"):
    for folder in (suffix, metadata):
        (root / folder).mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal((4, round(seconds * RATE)))
    audio.write_flac(root / suffix / f"{stem}.flac", noise, RATE)
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (root / metadata / f"{stem}.csv").write_text(text)


def chunk_set(root, n_tracks=2, chunk_seconds=1):
    return data.ChunkSet(data.find_clips(root), CONFIG, n_tracks, labels.DCASE2020_CLASSES, chunk_seconds)


# Folders


def test_clips_are_found_in_sub_folders_and_sorted(tmp_path):
    write_clip(tmp_path, "b", 0.5, suffix="foa_dev/dev-train", metadata="metadata_dev/dev-train")
    write_clip(tmp_path, "a", 0.5, suffix="foa_dev/dev-test", metadata="metadata_dev/dev-test")
    (tmp_path / "foa_dev" / "notes.txt").write_text("no audio")
    assert [c.stem for c in data.find_clips(tmp_path)] == ["a", "b"]
    assert all(c.audio.stem == c.metadata.stem for c in data.find_clips(tmp_path))


def test_folders_without_a_data_set(tmp_path):
    with pytest.raises(ValueError, match=r"holds no data set: audio is expected in .*foa_dev"):
        data.find_clips(tmp_path / "missing")
    write_clip(tmp_path, "a", 0.5)
    (tmp_path / "metadata_dev" / "a.csv").unlink()
    with pytest.raises(ValueError, match="holds no data set"):
        data.find_clips(tmp_path)


def test_a_clip_without_annotation_is_named(tmp_path):
    for stem in ("a", "b", "c"):
        write_clip(tmp_path, stem, 0.5)
    for stem in ("b", "c"):
        (tmp_path / "metadata_dev" / f"{stem}.csv").unlink()
    with pytest.raises(ValueError, match=r"^2 clips of .* have no CSV of the same name in metadata_dev, first b\.flac"):
        data.find_clips(tmp_path)


def test_two_clips_of_one_stem_are_refused(tmp_path):
    """They would share an annotation and a file of cached features."""
    write_clip(tmp_path, "a", 0.5)
    write_clip(tmp_path, "a", 0.5, suffix="foa_dev/more")
    with pytest.raises(ValueError, match="have the same stem"):
        data.find_clips(tmp_path)


# Features


def test_features_are_cached_until_the_clip_changes(tmp_path, monkeypatch):
    write_clip(tmp_path, "a", 1.0)
    (clip,) = data.find_clips(tmp_path)
    computed = []
    compute = data.compute_features
    monkeypatch.setattr(data, "compute_features", lambda path, config: computed.append(path) or compute(path, config))
    first = np.array(data.cached_features(clip, CONFIG))
    assert first.shape == (7, 41, 16) and first.dtype == np.float16
    assert np.array_equal(data.cached_features(clip, CONFIG), first) and len(computed) == 1
    assert data.cached_features(clip, FeatureConfig(n_mels=8)).shape == (7, 41, 8) and len(computed) == 2
    write_clip(tmp_path, "a", 1.5, seed=1)
    later = clip.audio.stat().st_mtime + 10
    os.utime(clip.audio, (later, later))
    assert data.cached_features(clip, CONFIG).shape == (7, 61, 16) and len(computed) == 3


def test_a_broken_clip_leaves_no_features(tmp_path):
    write_clip(tmp_path, "a", 1.0)
    (clip,) = data.find_clips(tmp_path)
    clip.audio.write_bytes(clip.audio.read_bytes()[:2000])
    with pytest.raises(audio.AudioError, match=r"a\.flac"):
        data.cached_features(clip, CONFIG)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and ".features" in str(p)]


# Chunks


def test_chunks_equal_features_and_labels_of_the_clip(scenes):
    chunks = chunk_set(scenes, chunk_seconds=2)
    clips = data.find_clips(scenes)
    (batch,) = chunks.batches(100, None)
    assert batch.features.shape == (24, 7, 81, 16) and batch.sed.shape == (24, 20, 2, 14)
    with torch.inference_mode():
        for index, (clip, start) in enumerate((c, s) for c in clips for s in (0, 20, 40, 60)):
            whole = LogMelIntensity(CONFIG)(torch.from_numpy(audio.load(clip.audio))[None])[0]
            expected = whole[:, 4 * start : 4 * start + 81]
            torch.testing.assert_close(batch.features[index], expected, atol=0.04, rtol=1e-3)  # kept in 16 bits
            sed, doa, _ = labels.to_tracks(labels.read_csv(clip.metadata), 80, 2, 14)
            np.testing.assert_array_equal(batch.sed[index], sed[start : start + 20])
            np.testing.assert_allclose(batch.doa[index], doa[start : start + 20], atol=1e-3)


def test_in_order_every_label_frame_comes_once(tmp_path):
    for stem, seconds in (("a", 3.5), ("b", 0.5), ("c", 2.0)):
        write_clip(tmp_path, stem, seconds)
    assert chunk_set(tmp_path).plan(None) == [(0, 0), (0, 10), (0, 20), (0, 30), (1, 0), (2, 0), (2, 10)]


def test_shuffled_chunks_stay_inside_and_reach_everything(tmp_path):
    for stem, seconds in (("a", 4.5), ("b", 0.5)):
        write_clip(tmp_path, stem, seconds)
    chunks, seen, rng = chunk_set(tmp_path), set(), np.random.default_rng(0)
    orders = set()
    for _ in range(60):
        plan = chunks.plan(rng)
        starts = sorted(s for index, s in plan if index == 0)
        assert len(starts) in (3, 4) and starts[0] >= 0 and starts[-1] + 10 <= 45
        assert set(np.diff(starts)) == {10} and starts[0] < 10  # no frame twice, less than a chunk left out
        assert [s for index, s in plan if index == 1] == [0]
        seen |= {frame for s in starts for frame in range(s, s + 10)}
        orders.add(tuple(np.sign(np.diff([s for index, s in plan if index == 0]))))
    assert seen == set(range(45)) and len(orders) > 1
    assert chunks.plan(np.random.default_rng(5)) == chunks.plan(np.random.default_rng(5))


def test_a_clip_shorter_than_a_chunk_is_filled_with_silence(tmp_path):
    rows = [(frame, 3, 0, 90, 0) for frame in range(5)]
    write_clip(tmp_path, "a", 0.5, rows)
    (batch,) = chunk_set(tmp_path).batches(4, np.random.default_rng(0))
    assert batch.features.shape == (1, 7, 41, 16)
    assert (batch.features[:, :4, 21:] == data.SILENCE_DB).all() and (batch.features[:, 4:, 21:] == 0).all()
    assert (batch.features[:, :4, :21] > data.SILENCE_DB).all()
    assert batch.sed[0, :, 0, 3].tolist() == [1] * 5 + [0] * 5
    np.testing.assert_allclose(batch.doa[0, :5, 0], [[0, 1, 0]] * 5, atol=1e-3)


def test_batches_leave_out_an_incomplete_last_one_in_training_only(tmp_path):
    write_clip(tmp_path, "a", 5.0)
    chunks = chunk_set(tmp_path)
    assert [len(b.sed) for b in chunks.batches(2, None)] == [2, 2, 1]
    sizes = {tuple(len(b.sed) for b in chunks.batches(2, np.random.default_rng(s))) for s in range(20)}
    assert sizes == {(2, 2)}
    assert [len(b.sed) for b in chunks.batches(64, np.random.default_rng(0))] in ([4], [5])


def test_statistics_are_those_of_numpy(scenes):
    chunks = chunk_set(scenes)
    mean, std = chunks.statistics()
    frames = np.concatenate([np.asarray(x, np.float64) for x, _, _ in chunks.items], axis=1)
    assert mean.shape == std.shape == (1, 7, 1, 16)
    np.testing.assert_allclose(mean[0, :, 0], frames.mean(axis=1), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(std[0, :, 0], frames.std(axis=1), rtol=1e-3, atol=1e-4)


def test_dropped_frames_are_counted(tmp_path):
    """Three events at once on frames 4 to 7: with two tracks the last to start has no place."""
    rows = [(f, 0, 0, 0, 0) for f in range(8)] + [(f, 1, 0, 90, 0) for f in range(2, 10)]
    rows += [(f, 2, 0, -90, 0) for f in range(4, 10)]
    write_clip(tmp_path, "a", 1.0, rows)
    for n_tracks, dropped in ((1, 14), (2, 6), (3, 0)):
        chunks = chunk_set(tmp_path, n_tracks)
        assert (chunks.dropped, chunks.total) == (dropped, 22)
        assert chunks.items[0][1].sum() == 22 - dropped


def test_an_annotation_of_another_data_set_is_named(tmp_path, scenes):
    shutil.copytree(scenes / "foa_dev", tmp_path / "foa_dev")
    shutil.copytree(scenes / "metadata_dev", tmp_path / "metadata_dev")
    first = sorted((tmp_path / "metadata_dev").iterdir())[0]
    first.write_text("0,14,0,10,10\n")
    with pytest.raises(ValueError, match=f"{first.stem}.csv: class 14 on line 1"):
        chunk_set(tmp_path)
