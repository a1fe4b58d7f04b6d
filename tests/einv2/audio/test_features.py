import librosa
import numpy as np
import pytest
import torch

from einv2 import geometry
from einv2.audio import foa
from einv2.audio.features import INTENSITY, LOGMEL, LogMelIntensity
from einv2.config import FeatureConfig


@pytest.fixture
def extract():
    return LogMelIntensity(FeatureConfig(n_mels=64))


def test_logmel_equals_librosa(extract, scene_audio):
    ours = extract(torch.from_numpy(scene_audio[None]))[0, LOGMEL].numpy()
    mel = [
        librosa.feature.melspectrogram(
            y=channel,
            sr=24000,
            n_fft=1024,
            hop_length=600,
            n_mels=64,
            fmin=20,
            fmax=12000,
            power=2.0,
            pad_mode="reflect",
        )
        for channel in scene_audio
    ]
    np.testing.assert_allclose(ours, 10 * np.log10(np.maximum(mel, 1e-10)).transpose(0, 2, 1), atol=2e-3)


def test_intensity_equals_its_definition(extract, scene_audio):
    ours = extract(torch.from_numpy(scene_audio[None]))[0, INTENSITY].numpy()
    w, *directional = (librosa.stft(c, n_fft=1024, hop_length=600, pad_mode="reflect") for c in scene_audio)
    vector = np.real(np.conj(w) * np.array(directional))
    vector /= np.linalg.norm(vector, axis=0) + 1.19e-7
    filters = librosa.filters.mel(sr=24000, n_fft=1024, n_mels=64, fmin=20, fmax=12000)
    np.testing.assert_allclose(ours, np.einsum("fb,cbt->ctf", filters, vector), atol=2e-3)


@pytest.mark.parametrize("azimuth, elevation", [(40, 10), (-100, -20), (180, 60)])
def test_intensity_points_to_a_plane_wave(extract, rng, azimuth, elevation):
    signal = foa.encode(rng.standard_normal(24000).astype(np.float32), azimuth, elevation)
    y, z, x = extract(torch.from_numpy(signal[None]))[0, INTENSITY].mean((1, 2)).tolist()
    assert geometry.distance((x, y, z), geometry.to_vector(azimuth, elevation)) < 0.5


def test_four_seconds_give_161_frames(extract):
    assert extract(torch.zeros(2, 4, 96000)).shape == (2, 7, 161, 64)


def test_silence_is_the_floor(extract):
    x = extract(torch.zeros(1, 4, 4800))
    assert torch.all(x[:, LOGMEL] == -100) and torch.all(x[:, INTENSITY] == 0)


def test_shape_is_checked(extract):
    with pytest.raises(ValueError, match="4, samples"):
        extract(torch.zeros(1, 2, 4800))
