import dataclasses
import json

import numpy as np
import pytest

from einv2 import foa, inputcheck

RATE = 24000
RNG_SEEDS = range(8)


def scene(seed, n_sources, diffuse=0.02, flat=False, seconds=4):
    rng = np.random.default_rng(seed)
    audio = diffuse * rng.standard_normal((4, seconds * RATE)) / np.sqrt([[1], [3], [3], [3]])
    for _ in range(n_sources):
        elevation = 0 if flat else np.degrees(np.arcsin(rng.uniform(-1, 1)))
        source = rng.uniform(0.02, 0.2) * rng.standard_normal(seconds * RATE)
        audio += foa.encode(source, rng.uniform(-180, 180), elevation)
    return (0.3 * audio).astype(np.float32)


def codes(audio):
    findings = inputcheck.check(audio, RATE)
    json.dumps([dataclasses.asdict(f) for f in findings])
    assert inputcheck.summary(findings) and "\n" not in inputcheck.summary(findings)
    return [f.code for f in findings]


@pytest.mark.parametrize("seed", RNG_SEEDS)
@pytest.mark.parametrize("diffuse", [0, 0.02, 0.2])
def test_no_false_alarm_on_scenes(seed, diffuse):
    assert codes(scene(seed, 1 + seed % 4, diffuse)) == ["ok"]


@pytest.mark.parametrize("azimuth, elevation", [(0, 0), (90, 0), (45, 0), (30, 40), (0, 90)])
def test_no_false_alarm_on_one_source_without_reverberation(azimuth, elevation):
    noise = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert codes(foa.encode(noise, azimuth, elevation)) == ["ok"]


def test_no_false_alarm_on_a_pure_tone_between_reflections():
    """At a node of W a tone has any ratio of energies, and no error."""
    tone = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE)
    audio = foa.encode(tone, 0, 0) - 0.9 * foa.encode(tone, 180, 0)
    assert codes(audio) == ["ok"]


def test_horizontal_scene_has_no_dead_channel():
    assert codes(scene(1, 3, diffuse=0, flat=True)) == ["ok"]


@pytest.mark.parametrize("channel", range(4))
def test_dead_channel(channel):
    audio = scene(2, 2, diffuse=0.2)
    audio[channel] = 0
    finding = inputcheck.check(audio, RATE)[0]
    assert finding.code == "dead_channel" and finding.evidence == {"channels": [foa.CHANNELS[channel]]}
    assert finding.level == ("error" if channel == 0 else "warning")


def test_mono_in_w_only_is_an_error():
    audio = scene(2, 2)
    audio[1:] *= 1e-4
    assert inputcheck.check(audio, RATE)[0].level == "error"


def test_copied_channels():
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, RATE))
    assert codes(noise[[0, 0, 0, 0]]) == ["identical"]
    assert codes(noise[[0, 1, 0, 1]]) == ["identical"]


@pytest.mark.parametrize("seed", RNG_SEEDS)
def test_other_gains(seed):
    audio = scene(seed, 1 + seed % 4)
    n3d = audio * np.sqrt([[1], [3], [3], [3]])
    fuma = audio * np.sqrt([[0.5], [1], [1], [1]])
    assert codes(n3d) == codes(fuma) == ["not_sn3d"]


def test_unrelated_microphones():
    assert codes(0.1 * np.random.default_rng(0).standard_normal((4, RATE))) == ["not_sn3d"]


def test_w_last():
    finding = inputcheck.check(scene(3, 4)[[1, 2, 3, 0]], RATE)[0]
    assert finding.code == "not_sn3d" and finding.evidence["could_be_w"] == 4


def test_weak_directions():
    audio = scene(4, 2) * np.array([[1], [0.05], [0.05], [0.05]])
    assert codes(audio) == ["weak_directions"]


def test_clipping_and_level():
    audio = scene(5, 2)
    assert codes(audio / np.abs(audio).max()) == ["ok"]  # normalised to the peak is not clipped
    assert "clipping" in codes(np.clip(audio * 40, -1, 1))
    assert "over_full_scale" in codes(audio * 100)


def test_silence_and_short_clips():
    assert codes(np.zeros((4, RATE))) == codes(np.zeros((4, 0))) == codes(1e-4 * scene(6, 2)) == ["quiet"]
    assert codes(scene(6, 2)[:, : RATE // 5]) == ["ok"]
    assert codes(scene(6, 2)[:, :100]) == ["ok"]


def test_the_worst_comes_first():
    findings = [inputcheck.Finding("a", "warning", "low"), inputcheck.Finding("b", "error", "dead")]
    assert inputcheck.summary(findings) == "error: dead; warning: low"


def test_shape():
    with pytest.raises(ValueError, match="shape"):
        inputcheck.check(np.zeros((2, 100)), RATE)
