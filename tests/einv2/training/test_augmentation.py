"""Augmentation on features does what the same change of the sound does."""

import numpy as np
import pytest
import torch

from einv2 import geometry
from einv2.audio import foa, rotations
from einv2.audio.features import LogMelIntensity
from einv2.config import FeatureConfig, TrainConfig
from einv2.datasets.chunking import Sample
from einv2.training import augmentation

EXTRACT = LogMelIntensity(FeatureConfig(n_mels=16))


def turned(audio, matrix):
    """The FOA scene (4, S) with its x, y, z components turned by a matrix."""
    out = audio.copy()
    out[list(foa.XYZ_CHANNELS)] = matrix @ audio[list(foa.XYZ_CHANNELS)]
    return out.astype(np.float32)


def features_of(audio):
    return EXTRACT(torch.from_numpy(np.ascontiguousarray(audio))[None])


def sample_of(audio, doa=None):
    doa = torch.zeros(1, 5, 2, 3) if doa is None else doa
    return Sample(features_of(audio), torch.ones(1, 5, 2, 4), doa)


def test_sixteen_distinct_orthogonal_patterns():
    matrices = [rotations.pattern_matrix(p) for p in range(rotations.N_PATTERNS)]
    assert np.array_equal(matrices[0], np.eye(3))
    assert len({m.tobytes() for m in (m + 0.0 for m in matrices)}) == 16
    for m in matrices:
        np.testing.assert_array_equal(m @ m.T, np.eye(3))
        assert abs(m[2, 2]) == 1  # z stays vertical


@pytest.mark.parametrize("pattern", range(16))
def test_turning_features_is_turning_the_sound(pattern, scene_audio, rng):
    matrix = rotations.pattern_matrix(pattern)
    doa = torch.from_numpy(geometry.to_vector(rng.uniform(-180, 180, (1, 5, 2)), rng.uniform(-90, 90, (1, 5, 2))))
    result = augmentation.rotate(sample_of(scene_audio, doa), torch.from_numpy(matrix[None]).float())
    torch.testing.assert_close(result.features, features_of(turned(scene_audio, matrix)), atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(result.doa, np.einsum("ij,btmj->btmi", matrix, doa.numpy()), atol=1e-6)
    assert torch.equal(result.sed, torch.ones(1, 5, 2, 4))


@pytest.mark.parametrize("pattern", range(16))
def test_labels_follow_the_sound(pattern, rng):
    """The intensity of the turned sound points where the turned label points."""
    matrix = rotations.pattern_matrix(pattern)
    audio = foa.encode(rng.standard_normal(6000).astype(np.float32), 35, 20)
    doa = torch.from_numpy(geometry.to_vector(35, 20)).reshape(1, 1, 1, 3).expand(1, 5, 2, 3).float()
    label = augmentation.rotate(sample_of(audio, doa), torch.from_numpy(matrix[None]).float()).doa[0, 0, 0].numpy()
    direction = geometry.to_vector(*foa.intensity_direction(turned(audio, matrix)))
    assert geometry.distance(label, direction) < 1e-3


def test_a_quarter_turn_is_rotation_about_z(scene_audio):
    """x becomes y and y becomes -x: one of the patterns is 90 degrees counter-clockwise."""
    quarter = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert any(np.array_equal(rotations.pattern_matrix(p), quarter) for p in range(16))
    result = augmentation.rotate(sample_of(scene_audio), torch.from_numpy(quarter[None]).float())
    expected = features_of(foa.rotate_z(scene_audio, 90))
    torch.testing.assert_close(result.features, expected, atol=1e-3, rtol=1e-3)


def test_items_of_a_batch_turn_on_their_own(scene_audio):
    one = sample_of(scene_audio)
    both = Sample(*(torch.cat([t, t]) for t in one))
    matrices = torch.from_numpy(np.stack([rotations.pattern_matrix(p) for p in (0, 11)])).float()
    result = augmentation.rotate(both, matrices)
    torch.testing.assert_close(result.features[:1], one.features)
    torch.testing.assert_close(result.features[1:], augmentation.rotate(one, matrices[1:]).features)
    assert torch.equal(both.features[:1], one.features)  # the input is left alone


def test_level_is_the_level_of_the_sound(scene_audio):
    changed = augmentation.change_level(features_of(scene_audio), torch.tensor([-6.0]))
    expected = features_of(scene_audio * np.float32(10 ** (-6 / 20)))
    torch.testing.assert_close(changed, expected, atol=1e-3, rtol=1e-3)
    silence = augmentation.change_level(torch.full((1, 7, 2, 3), -100.0), torch.tensor([-6.0]))
    assert silence[:, :4].min() == -100  # the floor of the features


@pytest.mark.parametrize("axis, widest", [(2, 10), (3, 5)])
def test_masks(axis, widest):
    rng = np.random.default_rng(0)
    x = augmentation.mask(torch.ones(200, 7, 40, 16), axis, widest, rng)
    hidden = (x == 0).all(dim=1)  # every channel at the same place
    assert torch.equal(hidden, (x == 0).any(dim=1))
    line = hidden.all(dim=2 if axis == 2 else 1)
    assert torch.equal(line.unsqueeze(2 if axis == 2 else 1).expand_as(hidden), hidden)
    widths = line.sum(1)
    assert widths.min() == 0 and widths.max() == widest
    assert ((line[:, 1:] & ~line[:, :-1]).sum(1) + line[:, 0] <= 1).all()  # one stretch
    assert line.any(0).all()  # anywhere, ends included


@pytest.mark.parametrize(
    "widest, size, width", [(8, 64, 8), (27 / 80, 80, 27), (0.3375, 256, 86), (0.25, 161, 40), (0, 9, 0), (9, 4, 4)]
)
def test_masks_are_as_wide_as_a_number_or_a_share(widest, size, width):
    assert augmentation.mask_width(widest, size) == width


def test_masks_cover_the_share_of_specaugment_of_any_number_of_bands():
    for n_mels in (64, 256):
        x = torch.ones(400, 1, 40, n_mels)
        config = TrainConfig(time_mask_frames=0)
        hidden = 1 - augmentation.augment_standardised(x, config, np.random.default_rng(0)).mean()
        assert hidden == pytest.approx(27 / 80 / 2, rel=0.1)


def test_masks_wider_than_the_chunk_fit():
    config = TrainConfig(time_mask_frames=1000, frequency_mask_bins=1000)
    x = augmentation.augment_standardised(torch.ones(20, 7, 40, 16), config, np.random.default_rng(0))
    assert x.shape == (20, 7, 40, 16)


def test_randomness_comes_from_the_generator(scene_audio):
    batch = Sample(*(t.repeat(6, *[1] * (t.ndim - 1)) for t in sample_of(scene_audio, torch.randn(1, 5, 2, 3))))
    first, again, other = (
        augmentation.augment_features(batch, TrainConfig(), np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, again))
    assert not torch.equal(first.features, other.features)
    masked = [
        augmentation.augment_standardised(batch.features.clone(), TrainConfig(), np.random.default_rng(s))
        for s in (1, 1, 2)
    ]
    assert torch.equal(masked[0], masked[1]) and not torch.equal(masked[0], masked[2])
    counts = np.bincount([m.numpy().tobytes() != np.eye(3, dtype=np.float32).tobytes()
                          for m in augmentation.sample_rotations(1600, np.random.default_rng(0))])  # fmt: skip
    assert counts[0] == pytest.approx(100, abs=35)  # the identity is one of 16


def test_all_off_changes_nothing(scene_audio):
    config = TrainConfig(rotate=False, gain_db=0.0, time_mask_frames=0, frequency_mask_bins=0)
    batch = sample_of(scene_audio)
    result = augmentation.augment_features(batch, config, np.random.default_rng(0))
    assert torch.equal(result.features, batch.features)
    assert torch.equal(
        augmentation.augment_standardised(batch.features, config, np.random.default_rng(0)), batch.features
    )


def test_filter_adds_one_curve_to_every_level_and_leaves_intensity():
    rng = np.random.default_rng(3)
    x = torch.randn(2, 7, 5, 16)
    curves = augmentation.filter_curves(2, 16, 6.0, rng)
    assert curves.shape == (2, 16) and curves.abs().max() <= 6 and curves.std(1).min() > 0
    out = augmentation.filter_levels(x, curves)
    torch.testing.assert_close(out[:, :4] - x[:, :4], curves[:, None, None].expand(2, 4, 5, 16))
    torch.testing.assert_close(out[:, 4:], x[:, 4:])


def test_shift_moves_every_channel_up_and_repeats_the_edge():
    x = torch.arange(6.0).expand(3, 7, 2, 6)
    out = augmentation.shift_bins(x, torch.tensor([0, 2, -1]))
    assert out[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5]
    assert out[1, 4, 1].tolist() == [0, 0, 0, 1, 2, 3]
    assert out[2, 6, 0].tolist() == [1, 2, 3, 4, 5, 5]
