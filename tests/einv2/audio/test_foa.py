import numpy as np
import pytest
import scipy.signal

from einv2 import geometry
from einv2.audio import foa


@pytest.mark.parametrize(
    "azimuth, elevation, gains",
    [(0, 0, (1, 0, 0, 1)), (90, 0, (1, 1, 0, 0)), (0, 90, (1, 0, 1, 0)), (-90, 30, (1, -(0.75**0.5), 0.5, 0))],
)
def test_gains_in_acn_order(azimuth, elevation, gains):
    np.testing.assert_allclose(foa.gains(azimuth, elevation), gains, atol=1e-12)


def test_encode_shape_and_type(rng):
    encoded = foa.encode(rng.standard_normal(100).astype(np.float32), 30, 10)
    assert encoded.shape == (4, 100) and encoded.dtype == np.float32


def test_encode_follows_a_path(rng):
    mono = rng.standard_normal(4000)
    encoded = foa.encode(mono, np.linspace(0, 90, 4000), 0)
    assert foa.intensity_direction(encoded[:, :50])[0] == pytest.approx(0, abs=1)
    assert foa.intensity_direction(encoded[:, -50:])[0] == pytest.approx(90, abs=1)


def test_intensity_finds_the_direction(rng):
    for azimuth, elevation in [(33, -20), (-170, 45), (90, 0)]:
        assert foa.intensity_direction(foa.encode(rng.standard_normal(999), azimuth, elevation)) == pytest.approx(
            (azimuth, elevation), abs=1e-9
        )


def test_rotating_a_scene_rotates_its_direction(rng):
    turned = foa.rotate_z(foa.encode(rng.standard_normal(500), 100, 20), 120)
    azimuth, elevation = foa.intensity_direction(turned)
    assert geometry.wrap_azimuth(azimuth - 220) == pytest.approx(0, abs=1e-9)
    assert elevation == pytest.approx(20)


def test_a_beam_hears_its_direction_and_not_the_opposite(rng):
    mono = rng.standard_normal(500)
    encoded = foa.encode(mono, 60, 30)
    np.testing.assert_allclose(foa.steer(encoded, 60, 30), mono, atol=1e-12)
    np.testing.assert_allclose(foa.steer(encoded, -120, -30), 0, atol=1e-12)


def test_a_hypercardioid_hears_least_of_sound_from_all_sides(rng):
    mono = rng.standard_normal(500)
    np.testing.assert_allclose(foa.steer(foa.encode(mono, 60, 30), 60, 30, omni=0.25), mono, atol=1e-12)
    diffuse = rng.standard_normal((4, 100000)) / np.sqrt([[1], [3], [3], [3]])
    power = {omni: np.mean(foa.steer(diffuse, 20, 10, omni) ** 2) for omni in (0.2, 0.25, 0.3, 0.5)}
    assert power[0.25] == pytest.approx(1 / 4, rel=0.02) and power[0.5] == pytest.approx(1 / 3, rel=0.02)
    assert power[0.25] <= min(power[0.2], power[0.3])


# Energy maps

RATE = 24000


def low_and_high(rng, seconds):
    """Noise below and above 2 kHz, each (S,)."""
    noise = rng.standard_normal((2, seconds * RATE)) * 0.1
    edge = [scipy.signal.butter(8, 2000, kind, fs=RATE, output="sos") for kind in ("lowpass", "highpass")]
    return [scipy.signal.sosfilt(sos, part) for sos, part in zip(edge, noise)]


def cell_of(azimuth, elevation, rows=12, columns=24):
    return int((90 - elevation) / 180 * rows), int((180 - azimuth) / 360 * columns)


@pytest.mark.parametrize("azimuth, elevation", [(2, 3), (92, -35), (-178, 50), (178, -50), (-64, 0), (33, 88)])
def test_energy_maps_peak_at_the_source(rng, azimuth, elevation):
    mono = rng.standard_normal(2 * RATE) * 0.1
    by_azimuth, on_sphere = foa.energy_maps(foa.encode(mono, azimuth, elevation), RATE)
    assert by_azimuth.shape == (20, 72) and on_sphere.shape == (20, 12, 24)
    assert by_azimuth.dtype == on_sphere.dtype == np.float32
    away = geometry.wrap_azimuth(foa.azimuth_centres()[by_azimuth.argmax(axis=1)] - azimuth)
    assert np.abs(away).max() <= 5
    row, column = cell_of(azimuth, elevation)
    rows, columns = np.unravel_index(on_sphere.reshape(20, -1).argmax(axis=1), (12, 24))
    assert np.abs(rows - row).max() <= 1 and np.abs((columns - column + 12) % 24 - 12).max() <= 1


def test_left_is_left_and_up_is_up_in_the_picture_of_the_sphere(rng):
    mono = rng.standard_normal(RATE) * 0.1
    left = foa.energy_on_sphere(foa.encode(mono, 90, 0), RATE).sum(axis=(0, 1))
    assert left[:12].sum() > 100 * left[12:].sum()
    above = foa.energy_on_sphere(foa.encode(mono, 0, 60), RATE).sum(axis=(0, 2))
    assert above[:6].sum() > 100 * above[6:].sum()


def test_two_sources_have_two_maxima(rng):
    low, high = low_and_high(rng, 2)
    audio = foa.encode(low, 62, 0) + foa.encode(high, -98, 0)
    sums = foa.energy_by_azimuth(audio, RATE).sum(axis=0)
    first, second = foa.azimuth_centres()[np.argsort(sums)[-2:]]
    assert {first, second} == {62.5, -97.5}


def test_energy_of_a_plane_wave_is_its_mean_square(rng):
    tone = 0.2 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    for energy in foa.energy_maps(foa.encode(tone, 40, 10), RATE):
        np.testing.assert_allclose(energy.reshape(10, -1).sum(axis=1), 0.02, rtol=0.01)


def test_diffuse_sound_counts_little(rng):
    diffuse = rng.standard_normal((4, 4 * RATE)) / np.sqrt([[1], [3], [3], [3]])
    source = foa.encode(rng.standard_normal(4 * RATE), 20, 0)
    sums = [foa.energy_by_azimuth(audio, RATE).sum() for audio in (diffuse, source)]
    assert sums[0] < 0.2 * sums[1]
    assert foa.directness(source, RATE) == pytest.approx(1, abs=1e-3) and foa.directness(diffuse, RATE) < 0.4


def test_maps_of_blocks_are_those_of_the_whole(scene_audio):
    audio = scene_audio[:, :-1000]
    whole = foa.energy_maps(audio, RATE)
    blocks = [foa.energy_maps(part, RATE) for part in np.split(audio, [2400, 12000, 24000], axis=1)]
    for k in range(2):
        np.testing.assert_allclose(np.concatenate([b[k] for b in blocks]), whole[k], rtol=1e-5)
    np.testing.assert_array_equal(foa.energy_by_azimuth(audio, RATE), whole[0])
    np.testing.assert_array_equal(foa.energy_on_sphere(audio, RATE), whole[1])


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_maps_at_other_rates(rng, rate):
    by_azimuth, _ = foa.energy_maps(foa.encode(rng.standard_normal(rate) * 0.1, -42, 0), rate)
    assert by_azimuth.shape == (10, 72) and foa.azimuth_centres()[by_azimuth.sum(axis=0).argmax()] == -42.5


def test_maps_of_silence_and_of_nothing():
    for samples, frames in ((RATE, 10), (0, 0), (1, 1)):
        by_azimuth, on_sphere = foa.energy_maps(np.zeros((4, samples)), RATE)
        assert by_azimuth.shape == (frames, 72) and on_sphere.shape == (frames, 12, 24)
        assert not by_azimuth.any() and not on_sphere.any() and not foa.to_pixels(by_azimuth).any()
    assert (
        foa.directness(np.zeros((4, RATE)), RATE) == 0 and not foa.direction_by_frame(np.zeros((4, RATE)), RATE).any()
    )


def test_pixels_are_decibels_below_the_loudest():
    energy = np.array([[1.0, 0.1, 10**-1.5], [1e-3, 1e-9, 0]])
    assert foa.to_pixels(energy).tolist() == [[255, 170, 128], [0, 0, 0]]
    assert foa.to_pixels(energy, loudest=10).tolist() == [[170, 85, 42], [0, 0, 0]]
    assert foa.to_pixels(energy).dtype == np.uint8


def test_directions_by_frame(scene_audio):
    azimuth, elevation = geometry.to_angles(foa.direction_by_frame(scene_audio, RATE))
    np.testing.assert_allclose(azimuth, [40] * 10 + [-100] * 10, atol=1e-3)
    np.testing.assert_allclose(elevation, [10] * 10 + [-20] * 10, atol=1e-3)


def test_maps_name_what_they_cannot_use():
    with pytest.raises(ValueError, match="shape"):
        foa.energy_maps(np.zeros((2, 100)), RATE)
    with pytest.raises(ValueError, match="11025 Hz"):
        foa.energy_maps(np.zeros((4, 100)), 11025)
