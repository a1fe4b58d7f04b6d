import numpy as np
import pytest

from einv2.audio import foa, listening, recordings

RATE = 24000
DIRECTIONS = [(azimuth, elevation) for azimuth in range(-180, 180, 45) for elevation in (-60, -30, 0, 30, 60)]


def path(seconds=4):
    """A trajectory with a gap, jumps, a turn through the back, and no direction at the end."""
    frames = seconds * 10
    azimuth = np.linspace(100, 260, frames)
    azimuth[5:9] = azimuth[12] = np.nan
    azimuth[20:] -= 170
    azimuth[-6:] = np.nan
    return azimuth, np.linspace(-30, 60, frames)


def ways():
    return [listening.way(name, RATE, *path()) for name in listening.WAYS]


def levels(ears):
    return 10 * np.log10(np.mean(np.square(ears), axis=1))


@pytest.mark.parametrize("cuts", [[1, 2, 50, 51, 400, 24000], [2400, 4800], [10, 10, 20]])
def test_blocks_joined_are_the_whole(rng, cuts):
    clip = (0.1 * rng.standard_normal((4, 4 * RATE + 1234))).astype(np.float32)
    for whole, listen in zip(ways(), ways()):
        joined = np.concatenate([listen(block) for block in np.split(clip, cuts, axis=1)], axis=1)
        np.testing.assert_allclose(joined, whole(clip), atol=1e-5)
        assert joined.dtype == np.float32 and joined.shape[1] == clip.shape[1]


def test_channels_and_inputs_left_alone(scene_audio):
    before = scene_audio.copy()
    assert [len(listen(scene_audio)) for listen in ways()] == [2, 2, 1, 1]
    np.testing.assert_array_equal(scene_audio, before)


def test_a_clip_from_a_file(tmp_path, scene_audio):
    recordings.write_flac(tmp_path / "clip.flac", scene_audio, RATE)
    for whole, listen in zip(ways(), ways()):
        heard = np.concatenate(
            [listen(b) for b in recordings.stream(tmp_path / "clip.flac", block_seconds=0.3)], axis=1
        )
        np.testing.assert_allclose(heard, whole(recordings.load(tmp_path / "clip.flac")), atol=1e-5)


def test_stereo_and_w(rng):
    mono = rng.standard_normal(1000).astype(np.float32)
    left = foa.encode(mono, 90, 0)
    np.testing.assert_allclose(listening.stereo(left), [mono, 0 * mono], atol=1e-6)
    np.testing.assert_array_equal(listening.omni(left), mono[None])


# Binaural


@pytest.mark.parametrize("azimuth", [30, 60, 90, 120])
def test_a_source_at_the_left_is_louder_and_earlier_in_the_left_ear(rng, azimuth):
    left, right = listening.Binaural(RATE)(foa.encode(rng.standard_normal(RATE) * 0.1, azimuth, 0))
    difference = np.subtract(*levels([left, right]))
    assert 3 < difference < 20
    spectra = np.fft.rfft([left, right])
    phase = np.angle(spectra[1].conj() * spectra[0])[150:600]  # up to 600 Hz the ears agree in shape and differ in time
    delay = np.median(phase / (2 * np.pi * np.arange(150, 600)))
    assert 2e-4 < delay < 1e-3


def test_a_source_in_the_middle_is_the_same_in_both_ears(rng):
    for azimuth, elevation in ((0, 0), (180, 0), (0, 90), (0, -40)):
        left, right = listening.Binaural(RATE)(foa.encode(rng.standard_normal(RATE) * 0.1, azimuth, elevation))
        np.testing.assert_allclose(left, right, atol=1e-6)


def test_the_mirrored_scene_swaps_the_ears(scene_audio):
    mirrored = scene_audio * np.array([[1], [-1], [1], [1]], np.float32)
    ears = listening.Binaural(RATE)(scene_audio)
    np.testing.assert_allclose(listening.Binaural(RATE)(mirrored), ears[::-1], atol=1e-6)


@pytest.mark.parametrize("rate", [16000, 24000, 44100, 48000])
def test_no_plane_wave_at_full_scale_clips_and_none_is_lost(rng, rate):
    noise = rng.uniform(-1, 1, rate // 2)
    for direction in DIRECTIONS:
        ears = listening.Binaural(rate)(foa.encode(noise, *direction))
        assert np.abs(ears).max() < 1
        assert -25 < levels(ears).max() - levels(noise[None])[0] < 0


def test_the_level_does_not_depend_on_the_rate():
    heard = []
    for rate in (16000, 24000, 48000):
        tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate)
        heard.append(levels(listening.Binaural(rate)(foa.encode(tone, 50, 10))[:, rate // 2 :]))
    np.testing.assert_allclose(heard, np.tile(heard[0], (3, 1)), atol=0.05)


def test_the_impulse_responses_are_small_and_free():
    folder = listening.HRIR.parent
    assert sum(file.stat().st_size for file in folder.iterdir()) < 100_000
    assert "Apache License" in (folder / "LICENSE").read_text() and "omnitone" in (folder / "README.md").read_text()


# Along a trajectory


def test_a_beam_keeps_its_source_and_lowers_others(rng):
    source, other = 0.1 * rng.standard_normal((2, 2 * RATE))
    azimuth, elevation = np.full(20, 70.0), np.full(20, 20.0)
    clean = foa.encode(source, 70, 20)
    middle = slice(RATE // 10, -RATE // 5)
    heard = listening.Along(RATE, azimuth, elevation)(clean)[0]
    np.testing.assert_allclose(heard[middle], source[middle], atol=1e-6)
    for direction, below in (((-110, -20), 5.9), ((-20, 0), 9), ((160, 0), 9)):
        heard = listening.Along(RATE, azimuth, elevation)(foa.encode(other, *direction))[0]
        assert levels(other[None, middle]) - levels(heard[None, middle]) > below


def test_a_beam_follows_a_moving_source(rng):
    azimuth = np.linspace(150, 230, 40)
    per_sample = np.interp((np.arange(4 * RATE) + 0.5) / 2400 - 0.5, np.arange(40), azimuth)
    source = 0.1 * rng.standard_normal(4 * RATE)
    heard = listening.Along(RATE, (azimuth + 180) % 360 - 180, np.zeros(40))(foa.encode(source, per_sample, 0))[0]
    np.testing.assert_allclose(heard[: -RATE // 5], source[: -RATE // 5], atol=1e-6)


def test_w_sounds_quietly_where_there_is_no_direction(rng):
    source = 0.1 * rng.standard_normal(2 * RATE)
    azimuth = np.full(10, np.nan)
    for trajectory in (azimuth, azimuth[:0]):
        heard = listening.Along(RATE, trajectory, trajectory)(foa.encode(source, 40, 0))[0]
        np.testing.assert_allclose(heard, source * 10 ** (-12 / 20), atol=1e-6)


def test_jumps_and_gaps_do_not_click():
    """A constant pressure shows the beam's gain: it moves by no more than a jump spread over 100 ms."""
    constant = np.ones((4, 4 * RATE)) * np.array([[1], [0.6], [0], [-0.8]])
    heard = listening.Along(RATE, *path())(constant)[0]
    assert np.abs(np.diff(heard)).max() < 2 * np.pi / 2400 and np.ptp(heard) > 0.5
    opposite = listening.Along(RATE, [0, 180, 0, -180], [0, 0, 0, 0])(constant)[0]
    assert np.isfinite(opposite).all() and np.abs(np.diff(opposite)).max() < 2 * np.pi / 2400


def test_what_cannot_be_listened_to():
    with pytest.raises(ValueError, match="ways to listen"):
        listening.way("mono", RATE)
    with pytest.raises(ValueError, match="needs azimuth"):
        listening.way("along", RATE)
    with pytest.raises(ValueError, match=r"both be \(T,\)"):
        listening.Along(RATE, np.zeros(3), np.zeros(4))
