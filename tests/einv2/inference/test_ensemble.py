"""Tracks are aligned before they are averaged: copies in any order average to the original, noise averages out."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from einv2 import geometry
from einv2.audio import recordings
from einv2.frames import CHUNK_SECONDS
from einv2.inference import ensemble
from einv2.inference.decoding import decode
from einv2.inference.model import Model
from einv2.inference.prediction import Prediction
from einv2.inference.runner import BATCH_CHUNKS
from einv2.labels import frame_tables
from einv2.metrics import dcase
from einv2.metrics.single_task import overlap_recall
from einv2.models.build import build
from einv2.models.einv2 import Output

CLASSES = ("crash", "piano", "alarm", "footsteps")
K = len(CLASSES)
FRONT, LEFT, UP, BEHIND = np.array([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0]])


def prediction(sed, doa):
    return Prediction(np.asarray(sed, float), np.asarray(doa, float), CLASSES[: np.shape(sed)[2]])


def scene(*frames, n_tracks=2):
    """A prediction from frames, each a list of tracks (class, probability, direction) or None."""
    sed, doa = np.zeros((len(frames), n_tracks, K)), np.zeros((len(frames), n_tracks, 3))
    for t, tracks in enumerate(frames):
        for m, track in enumerate(tracks):
            if track:
                sed[t, m, track[0]], doa[t, m] = track[1:]
    return prediction(sed, doa)


def class_wise(frames):
    """Class-wise: frames of {class: (probability, direction)}."""
    tracks = scene(*([(k, *f[k]) if k in f else None for k in range(K)] for f in frames), n_tracks=K)
    return replace(tracks, class_wise=True)


def random_prediction(rng, n_frames=20, n_tracks=2):
    sed = rng.beta(0.3, 0.6, (n_frames, n_tracks, K))
    return prediction(sed, rng.normal(size=(n_frames, n_tracks, 3)))


def shuffled(rng, original):
    """The same tracks in another order in every frame."""
    order = np.argsort(rng.random(original.sed.shape[:2]), axis=1)[..., None]
    return replace(
        original, sed=np.take_along_axis(original.sed, order, 1), doa=np.take_along_axis(original.doa, order, 1)
    )


def assert_same(a, b):
    np.testing.assert_allclose(a.sed, b.sed, atol=1e-9)
    np.testing.assert_allclose(a.doa, b.doa, atol=1e-6)
    assert a.classes == b.classes


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n_tracks=st.integers(1, 4), n_copies=st.integers(1, 4))
def test_permuted_copies_average_to_the_original(seed, n_tracks, n_copies):
    rng = np.random.default_rng(seed)
    original = random_prediction(rng, n_tracks=n_tracks)
    copies = [shuffled(rng, original) for _ in range(n_copies)]
    assert_same(ensemble.combine([original, *copies]), original)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10**6), n_tracks=st.integers(2, 4))
def test_the_order_of_the_tracks_of_the_others_does_not_matter(seed, n_tracks):
    rng = np.random.default_rng(seed)
    first, second, third = (random_prediction(rng, n_tracks=n_tracks) for _ in range(3))
    together = ensemble.combine([first, second, third])
    assert_same(ensemble.combine([first, shuffled(rng, second), shuffled(rng, third)]), together)


def test_by_hand():
    """Frame 0: swapped, by class. Frame 1: one class twice, told apart by direction. Frame 2: b hears one event only."""
    a = scene(
        [(0, 0.8, FRONT), (1, 0.8, LEFT)],
        [(2, 0.8, FRONT), (2, 0.8, BEHIND)],
        [(0, 0.9, FRONT), (3, 0.9, UP)],
    )
    b = scene(
        [(1, 0.6, LEFT), (0, 0.6, FRONT)],
        [(2, 0.6, BEHIND), (2, 0.6, FRONT)],
        [(3, 0.7, LEFT), None],
    )
    both = ensemble.combine([a, b])
    np.testing.assert_allclose(both.sed[0], [[0.7, 0, 0, 0], [0, 0.7, 0, 0]])
    np.testing.assert_allclose(both.doa[0], [FRONT, LEFT], atol=1e-5)
    np.testing.assert_allclose(both.sed[1], [[0, 0, 0.7, 0]] * 2)
    np.testing.assert_allclose(both.doa[1], [FRONT, BEHIND], atol=1e-5)
    np.testing.assert_allclose(both.sed[2], [[0.45, 0, 0, 0], [0, 0, 0, 0.8]])
    np.testing.assert_allclose(both.doa[2, 1], (0.9 * UP + 0.7 * LEFT) / 1.6, atol=1e-5)


def test_a_silent_track_does_not_pull():
    """Neither a silent model, nor one that is sure of another class, moves the direction of the class that wins."""
    sure = scene([(1, 0.9, LEFT)], n_tracks=1)
    silent = scene([(1, 1e-4, BEHIND)], n_tracks=1)
    mistaken = scene([(2, 0.9, BEHIND)], n_tracks=1)
    combined = ensemble.combine([sure, silent, sure, mistaken])
    np.testing.assert_allclose(combined.doa[0, 0], LEFT, atol=1e-3)
    assert combined.sed[0, 0].argmax() == 1 and combined.sed[0, 0, 1] == pytest.approx((1.8 + 1e-4) / 4)
    nothing = ensemble.combine([scene([None, None]), scene([None, None])])
    assert not nothing.sed.any() and not nothing.doa.any()


def test_more_tracks_beside_fewer():
    two = scene([(0, 0.8, FRONT), (1, 0.8, LEFT)])
    three = scene([(3, 0.8, UP), (1, 0.8, LEFT), (0, 0.8, FRONT)], n_tracks=3)
    combined = ensemble.combine([two, three])
    np.testing.assert_allclose(combined.sed[0], [[0.8, 0, 0, 0], [0, 0.8, 0, 0], [0, 0, 0, 0.4]])


def test_class_wise_beside_trackwise():
    """Of three classes the two most probable are kept, and put on the tracks of the trackwise one, whichever comes first."""
    trackwise = scene([(3, 0.9, UP), (0, 0.9, FRONT)], [(1, 0.8, LEFT), None])
    by_class = class_wise([{0: (0.7, FRONT), 1: (0.2, LEFT), 3: (0.7, UP)}, {1: (0.6, LEFT)}])
    for order in ([trackwise, by_class], [by_class, trackwise]):
        combined = ensemble.combine(order)
        np.testing.assert_allclose(combined.sed[0], [[0, 0, 0, 0.8], [0.8, 0, 0, 0]])
        np.testing.assert_allclose(combined.doa[0], [UP, FRONT], atol=1e-5)
        np.testing.assert_allclose(combined.sed[1], [[0, 0.7, 0, 0], [0, 0, 0, 0]])


def test_any_number_of_tracks_is_aligned():
    events = [(k % 4, 0.9, d) for k, d in enumerate((UP, FRONT, LEFT, -FRONT, -LEFT, -UP))]
    one, other = scene(events, n_tracks=6), scene(events[::-1], n_tracks=6)
    combined = ensemble.combine([one, other])
    np.testing.assert_allclose(combined.sed, one.sed)
    np.testing.assert_allclose(combined.doa, one.doa, atol=1e-5)


def test_class_wise_alone_stay_class_by_class():
    a = class_wise([{0: (0.6, FRONT), 1: (0.4, LEFT), 3: (0.9, UP)}])
    b = class_wise([{0: (0.8, FRONT), 2: (0.4, BEHIND), 3: (0.7, UP)}])
    combined = ensemble.combine([a, b])
    np.testing.assert_allclose(combined.sed[0], np.diag([0.7, 0.2, 0.2, 0.8]))
    np.testing.assert_allclose(combined.doa[0], [FRONT, LEFT, BEHIND, UP], atol=1e-4)


def noisy(rng, sed, doa):
    """An imperfect prediction of the truth, its tracks in another order in each frame."""
    logits = 3.0 * sed - 1.5 + rng.normal(0, 1.3, sed.shape)
    return shuffled(rng, prediction(1 / (1 + np.exp(-logits)), doa + rng.normal(0, 0.25, doa.shape)))


def test_aligned_is_better_than_one_and_than_naive_averaging(rng):
    rows = []
    for track in range(2):
        for start in range(0, 600, 30):
            class_index, azimuth = rng.integers(K), rng.uniform(-180, 180)
            rows += [(f, class_index, track, azimuth, 0.0, np.nan) for f in range(start, start + 25)]
    table = pd.DataFrame(rows, columns=frame_tables.FRAME_COLUMNS)
    sed, doa, dropped = frame_tables.to_tracks(table, 600, 2, K)
    assert dropped == 0
    copies = [noisy(rng, sed, doa) for _ in range(2)]
    naive = prediction(np.mean([c.sed for c in copies], 0), np.mean([c.doa for c in copies], 0))
    estimates = {"one": copies[0], "naive": naive, "aligned": ensemble.combine(copies)}
    reference = decode(sed, doa)
    seld = {k: dcase.evaluate([(reference, p.frames())], K)["SELD"] for k, p in estimates.items()}
    recall = {k: overlap_recall(reference, p.frames()).recall() for k, p in estimates.items()}
    assert seld["aligned"] < seld["one"] - 0.03 and seld["aligned"] < seld["naive"] - 0.1
    assert all(recall["aligned"][k]["found"] > 1.2 * recall["naive"][k]["found"] for k in ("different", "same"))


def test_what_does_not_match_is_named(rng):
    four = random_prediction(rng)
    three = prediction(four.sed[..., :3], four.doa)
    with pytest.raises(ValueError, match=r"same classes in the same order: model 1 has 4 \(crash, .* model 2 has 3 \("):
        ensemble.combine([four, three])
    with pytest.raises(ValueError, match="as many frames each, not 19, 20"):
        ensemble.combine([four, prediction(four.sed[:-1], four.doa[:-1])])
    with pytest.raises(ValueError, match="at least one model"):
        ensemble.combine([])
    with pytest.raises(ValueError, match="at least one model"):
        ensemble.Ensemble([])


def test_inputs_are_left_alone(rng):
    first, second = random_prediction(rng), random_prediction(rng)
    before = [x.copy() for p in (first, second) for x in (p.sed, p.doa)]
    ensemble.combine([first, second])
    for x, y in zip(before, (first.sed, first.doa, second.sed, second.doa)):
        np.testing.assert_array_equal(x, y)


def test_an_ensemble_predicts_like_a_model(tiny_checkpoint, tmp_path, scene_audio):
    path = tmp_path / "clip.flac"
    recordings.write_flac(path, scene_audio, 24000)
    model = Model(tiny_checkpoint)
    seconds = []
    both = ensemble.Ensemble([model, model])
    combined, alone = both.predict(path, progress=seconds.append), model.predict(path)
    assert seconds == [1.0, 2.0] and both.classes == model.classes
    np.testing.assert_allclose(combined.sed, alone.sed, atol=1e-6)
    angle = geometry.distance(combined.doa, alone.doa)
    assert angle.max() < 0.1 and len(combined.events(0.6)) == len(alone.events(0.6))
    with pytest.raises(recordings.AudioError, match=r"^mine\.wav: "):
        both.predict(tmp_path / "missing.wav", name="mine.wav")


def clip_and_blocks(tmp_path, scene_audio):
    """A clip of 10.3 s as a file and as the blocks of it that are streamed to a network."""
    path = tmp_path / "clip.flac"
    recordings.write_flac(path, np.tile(scene_audio, 6)[:, : int(10.3 * 24000)], 24000)
    return path, recordings.stream(path, 24000, CHUNK_SECONDS)


def with_format(loaded, **changes):
    config = replace(loaded.model, **changes)
    return Model(replace(loaded, network=build(config).eval(), model=config))


def test_blocks_give_what_the_file_gives(tiny_checkpoint, tmp_path, scene_audio):
    """Also where the networks have different numbers of tracks; the blocks are taken once and never all at a time."""
    members = [Model(tiny_checkpoint)]
    members += [with_format(tiny_checkpoint, n_tracks=3), with_format(tiny_checkpoint, output_format="accdoa")]
    members += [members[0].rotated(3)]
    for chosen in (members, members[:1], members[2:3], members[::-1]):
        path, blocks = clip_and_blocks(tmp_path, scene_audio)
        seconds = []
        ours = ensemble.Ensemble(chosen).predict_blocks(blocks, seconds.append)
        theirs = ensemble.Ensemble(chosen).predict(path)
        np.testing.assert_array_equal(ours.sed, theirs.sed)
        np.testing.assert_array_equal(ours.doa, theirs.doa)
        assert (ours.classes, ours.class_wise, len(ours.sed)) == (theirs.classes, theirs.class_wise, 103)
        assert seconds == [pytest.approx(10.3)]


def test_blocks_report_and_can_be_stopped(tiny_checkpoint):
    """Progress counts the seconds of the clip, whatever the number of models, and an error raised in it stops the run."""
    both = ensemble.Ensemble([Model(tiny_checkpoint)] * 2)
    seconds, taken = [], []

    def blocks(n):
        for i in range(n):
            taken.append(i)
            yield np.zeros((4, 4 * both.sample_rate), np.float32)

    both.predict_blocks(blocks(9), seconds.append)
    assert seconds == [25, 36] and taken == list(range(9))

    def stop(_):
        raise KeyError("stopped")

    taken.clear()
    with pytest.raises(KeyError, match="stopped"):
        both.predict_blocks(blocks(30), stop)
    assert len(taken) <= 2 * BATCH_CHUNKS  # one batch used, and one read ahead
    with pytest.raises(ValueError, match="0 samples"):
        both.predict_blocks(iter(()))


def test_models_of_other_chunk_lengths_answer_together(tiny_checkpoint, tmp_path, scene_audio):
    models_ = [Model(tiny_checkpoint)]
    models_ += [Model(replace(tiny_checkpoint, provenance={"train": {"chunk_seconds": n}})) for n in (1, 6)]
    path, blocks = clip_and_blocks(tmp_path, scene_audio)
    assert ensemble.Ensemble(models_).predict(path).sed.shape == (103, 2, 14)
    with pytest.raises(ValueError, match="run on chunks of 1 and 4 and 6 s: give a file instead"):
        ensemble.Ensemble(models_).predict_blocks(blocks)


def test_blocks_of_one_rate_do_not_serve_networks_of_two(tiny_checkpoint):
    other = replace(tiny_checkpoint, features=replace(tiny_checkpoint.features, sample_rate=48000))
    mixed = ensemble.Ensemble([Model(tiny_checkpoint), Model(other)])
    with pytest.raises(ValueError, match="use 24000 and 48000 Hz"):
        mixed.predict_blocks(iter(()))


def test_networks_of_every_output_format_together(tiny_checkpoint, tmp_path, scene_audio):
    """Beside a trackwise network the result has its tracks; class-wise ones alone keep one a class."""
    path = tmp_path / "clip.flac"
    recordings.write_flac(path, scene_audio, 24000)
    trackwise = Model(tiny_checkpoint)
    by_class = []
    for output_format in ("seldnet", "accdoa"):
        config = replace(tiny_checkpoint.model, output_format=output_format)
        by_class.append(Model(replace(tiny_checkpoint, network=build(config).eval(), model=config)))
    assert ensemble.Ensemble([*by_class, trackwise]).predict(path).sed.shape == (20, 2, 14)
    alone = ensemble.Ensemble(by_class).predict(path)
    assert alone.sed.shape == (20, 14, 14) and not alone.sed[:, ~np.eye(14, dtype=bool)].any()


def test_a_network_that_follows_rotation_is_not_changed_by_them(tiny_checkpoint, scene_audio):
    """Its direction is the mean intensity, which turns with the scene."""

    class Intensity(torch.nn.Module):
        def forward(self, x):
            frames = x[:, 4:].mean(3)[..., :-1].unflatten(2, (-1, 4)).mean(3)  # (B, y z x, T)
            doa = frames[:, [2, 0, 1]].transpose(1, 2)[:, :, None]
            return Output(torch.ones(*doa.shape[:3], 14), doa.expand(-1, -1, 1, -1))

    tiny_checkpoint = replace(tiny_checkpoint, network=Intensity())
    tiny_checkpoint.feature_mean, tiny_checkpoint.feature_std = torch.zeros(1, 7, 1, 16), torch.ones(1, 7, 1, 16)
    plain = Model(tiny_checkpoint)
    for turned in ensemble.in_rotations([plain], 16):
        ours, theirs = (m.predict_audio(scene_audio).doa for m in (plain, turned))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_rotations_out_of_range_are_an_error():
    with pytest.raises(ValueError, match="1 to 16 ways, not 17"):
        ensemble.in_rotations([], 17)
