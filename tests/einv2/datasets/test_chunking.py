"""Cached features, and the chunks that the network is trained on."""

import os
import shutil

import numpy as np
import pytest
import torch

from einv2.audio import recordings
from einv2.audio.features import LogMelIntensity
from einv2.config import FeatureConfig
from einv2.datasets import chunking, discovery
from einv2.labels import class_lists, dcase_csv, frame_tables

RATE = 24000
CONFIG = FeatureConfig(n_mels=16)


def write_clip(root, stem, seconds, rows=(), seed=0, suffix="foa_dev", metadata="metadata_dev", rate=RATE, channels=4):
    for folder in (suffix, metadata):
        (root / folder).mkdir(parents=True, exist_ok=True)
    noise = 0.1 * np.random.default_rng(seed).standard_normal((channels, round(seconds * rate)))
    recordings.write_flac(root / suffix / f"{stem}.flac", noise, rate)
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (root / metadata / f"{stem}.csv").write_text(text)


def chunk_set(root, n_tracks=2, chunk_seconds=1):
    return chunking.ChunkSet(discovery.find_clips(root), CONFIG, n_tracks, class_lists.DCASE2020_CLASSES, chunk_seconds)


# Features


def test_features_are_cached_until_the_clip_changes(tmp_path, monkeypatch):
    write_clip(tmp_path, "a", 1.0)
    (clip,) = discovery.find_clips(tmp_path)
    computed = []
    compute = chunking.compute_features
    monkeypatch.setattr(
        chunking, "compute_features", lambda path, config: computed.append(path) or compute(path, config)
    )
    first = np.array(chunking.cached_features(clip, CONFIG))
    assert first.shape == (7, 41, 16) and first.dtype == np.float16
    assert np.array_equal(chunking.cached_features(clip, CONFIG), first) and len(computed) == 1
    assert chunking.cached_features(clip, FeatureConfig(n_mels=8)).shape == (7, 41, 8) and len(computed) == 2
    write_clip(tmp_path, "a", 1.5, seed=1)
    later = clip.audio.stat().st_mtime + 10
    os.utime(clip.audio, (later, later))
    assert chunking.cached_features(clip, CONFIG).shape == (7, 61, 16) and len(computed) == 3


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b[:40], lambda b: b"", lambda b: b"no array"])
def test_damaged_features_are_computed_again(tmp_path, damage):
    write_clip(tmp_path, "a", 1.0)
    (clip,) = discovery.find_clips(tmp_path)
    first = np.array(chunking.cached_features(clip, CONFIG))
    (path,) = tmp_path.rglob("*.npy")
    path.write_bytes(damage(path.read_bytes()))
    assert np.array_equal(chunking.cached_features(clip, CONFIG), first)
    np.save(path, first[:, :, :3])
    assert np.array_equal(chunking.cached_features(clip, CONFIG), first)


def test_clips_of_one_stem_have_features_of_their_own(tmp_path):
    """Of dev and eval, of sub-folders, and of two sets with one cache."""
    for root in (tmp_path / "1" / "set", tmp_path / "2" / "set"):
        for seed, kind in enumerate(("dev", "eval", "dev/more")):
            write_clip(root, "a.b", 0.5 + seed / 10, suffix=f"foa_{kind}", metadata=f"metadata_{kind}")
    roots = [tmp_path / "1" / "set", tmp_path / "2" / "set"]
    for cache in (None, tmp_path / "cache"):
        clips = discovery.find_clips(*roots, cache=cache)
        lengths = [chunking.cached_features(clip, CONFIG).shape[1] for clip in clips]
        assert sorted(lengths) == [21, 21, 25, 25, 29, 29]
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 6
    names = {p.relative_to(roots[0]).parts[1:] for p in roots[0].glob(".features-*/**/*.npy")}
    assert names == {("a.b.npy",), ("more", "a.b.npy"), ("foa_eval", "a.b.npy")}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("4096 requested and 1024 written")])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, error):
    write_clip(tmp_path, "a", 1.0)
    (clip,) = discovery.find_clips(tmp_path)

    def full(file, array):
        file.write(b"half")
        raise error

    monkeypatch.setattr(np, "save", full)
    said = (
        r"features of a\.flac \(0 MB\) cannot be kept in .* \((No space|4096).*\): free space there, or .* --cache\.$"
    )
    with pytest.raises(OSError, match=said):
        chunking.cached_features(clip, CONFIG)
    assert not [p for p in tmp_path.rglob(".features-*/*") if p.is_file()]


def test_a_folder_that_cannot_be_written_asks_for_a_cache(tmp_path):
    write_clip(tmp_path / "set", "a", 1.0)
    (tmp_path / "file").write_text("where a folder should be made")
    (clip,) = discovery.find_clips(tmp_path / "set", cache=tmp_path / "file")
    with pytest.raises(OSError, match=r"cannot be kept in .*--cache"):
        chunking.cached_features(clip, CONFIG)


@pytest.mark.parametrize("rate, seconds", [(48000, 1.5), (24000, 1.5), (44100, 0.35)])
def test_any_rate_gives_the_frames_of_the_network(tmp_path, rate, seconds):
    write_clip(tmp_path, "a", seconds, [(1, 3, 0, 90, 0)], rate=rate)
    chunks = chunk_set(tmp_path)
    x, sed, _ = chunks.items[0]
    assert x.shape == (7, round(seconds * 40) + 1, 16) and len(sed) == int(10 * seconds) and sed[1, 0, 3] == 1


@pytest.mark.parametrize("channels, seconds, says", [(2, 1, "has 2 channels"), (4, 0.1, "lasts 0.100 s")])
def test_audio_that_cannot_be_used_is_named(tmp_path, channels, seconds, says):
    write_clip(tmp_path, "a", seconds, channels=channels)
    with pytest.raises(ValueError, match=rf"^a\.flac: .*{says}"):
        chunk_set(tmp_path)


def test_a_clip_shorter_than_the_window_is_named(tmp_path):
    write_clip(tmp_path, "a", 0.25)
    with pytest.raises(ValueError, match=r"a\.flac: lasts 6000 samples, too short for a window of 16384"):
        chunking.compute_features(tmp_path / "foa_dev" / "a.flac", FeatureConfig(n_mels=16, n_fft=16384))


def test_a_broken_clip_leaves_no_features(tmp_path):
    write_clip(tmp_path, "a", 1.0)
    (clip,) = discovery.find_clips(tmp_path)
    clip.audio.write_bytes(clip.audio.read_bytes()[:2000])
    with pytest.raises(recordings.AudioError, match=r"a\.flac"):
        chunking.cached_features(clip, CONFIG)
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and ".features" in str(p)]


# Chunks


def test_chunks_equal_features_and_labels_of_the_clip(scenes):
    chunks = chunk_set(scenes, chunk_seconds=2)
    clips = discovery.find_clips(scenes)
    batch = chunks.batch(chunks.plan(None))
    assert batch.features.shape == (24, 7, 81, 16) and batch.sed.shape == (24, 20, 2, 14)
    with torch.inference_mode():
        for index, (clip, start) in enumerate((c, s) for c in clips for s in (0, 20, 40, 60)):
            whole = LogMelIntensity(CONFIG)(torch.from_numpy(recordings.load(clip.audio))[None])[0]
            expected = whole[:, 4 * start : 4 * start + 81]
            torch.testing.assert_close(batch.features[index].float(), expected, atol=0.04, rtol=1e-3)  # kept in 16 bits
            sed, doa, _ = frame_tables.to_tracks(dcase_csv.read_csv(clip.metadata), 80, 2, 14)
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
    chunks = chunk_set(tmp_path)
    batch = chunks.batch(chunks.plan(np.random.default_rng(0)))
    assert batch.features.shape == (1, 7, 41, 16)
    assert (batch.features[:, :4, 21:] == chunking.SILENCE_DB).all() and (batch.features[:, 4:, 21:] == 0).all()
    assert (batch.features[:, :4, :21] > chunking.SILENCE_DB).all()
    assert batch.sed[0, :, 0, 3].tolist() == [1] * 5 + [0] * 5
    np.testing.assert_allclose(batch.doa[0, :5, 0], [[0, 1, 0]] * 5, atol=1e-3)


def test_shuffled_chunks_leave_out_less_than_a_chunk_at_either_end(tmp_path):
    write_clip(tmp_path, "a", 5.0)
    chunks = chunk_set(tmp_path)
    assert len(chunks.plan(None)) == 5
    assert {len(chunks.plan(np.random.default_rng(s))) for s in range(60)} == {4, 5}


def test_without_an_offset_shuffled_chunks_stand_end_to_end(tmp_path):
    write_clip(tmp_path, "a", 5.5)
    chunks = chunk_set(tmp_path)
    assert sorted(chunks.plan(np.random.default_rng(3), offset=False)) == chunks.plan(None)


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
        assert (chunks.dropped, chunks.total, chunks.overlap) == (dropped, 22, 3)
        assert chunks.items[0][1].sum() == 22 - dropped


def test_rows_after_the_end_of_the_clip_do_not_count(tmp_path):
    write_clip(tmp_path, "a", 1.0, [(f, k, 0, 0, 0) for f in range(8, 14) for k in range(2 if f < 10 else 3)])
    chunks = chunk_set(tmp_path)
    assert (chunks.dropped, chunks.total, chunks.overlap) == (0, 4, 2)


def test_events_keep_their_track(tmp_path):
    """A 2019 annotation: the phone starts during the cough, goes on after it, and the third event takes the freed track."""
    header = ("sound_event_recording", "start_time", "end_time", "ele", "azi", "dist")
    rows = [header, ("cough", 0.1, 0.52, 0, 0, 2), ("phone", 0.3, 1.2, 10, 90, 1), ("keysDrop", 0.84, 1.5, 0, -90, 1)]
    write_clip(tmp_path, "a", 1.5, rows)
    chunks = chunking.ChunkSet(discovery.find_clips(tmp_path), CONFIG, 2, class_lists.DCASE2019_CLASSES, 1)
    _, sed, doa = chunks.items[0]
    cough, phone, keys = (class_lists.DCASE2019_CLASSES.index(name) for name in ("cough", "phone", "keys drop"))
    expected = np.zeros((15, 2, 11))
    expected[1:5, 0, cough] = expected[3:12, 1, phone] = expected[8:15, 0, keys] = 1
    np.testing.assert_array_equal(sed, expected)
    np.testing.assert_allclose(doa[3:12, 1], [[0, np.cos(np.radians(10)), np.sin(np.radians(10))]] * 9, atol=1e-3)
    assert (chunks.dropped, chunks.total) == (0, 20)


def test_an_annotation_of_another_data_set_is_named(tmp_path, scenes):
    shutil.copytree(scenes / "foa_dev", tmp_path / "foa_dev")
    shutil.copytree(scenes / "metadata_dev", tmp_path / "metadata_dev")
    first = sorted((tmp_path / "metadata_dev").iterdir())[0]
    first.write_text("0,14,0,10,10\n")
    with pytest.raises(ValueError, match=f"{first.stem}.csv: class 14 on line 1"):
        chunk_set(tmp_path)
