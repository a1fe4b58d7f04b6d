import dataclasses
import functools
import itertools
import json

import numpy as np
import pandas as pd
import pytest
import scipy.signal

from einv2 import geometry
from einv2.audio import foa, inputcheck, inputformat
from einv2.audio import recordings as clips
from einv2.labels import dcase_csv, frame_tables
from support.places import EXAMPLES

RATE = 24000
RNG_SEEDS = range(8)
FILES = sorted(EXAMPLES.glob("*.flac"))


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


@pytest.mark.parametrize("c, d", [(1, 2), (2, 3), (1, 3)])
def test_a_directional_channel_in_place_of_another(c, d):
    audio = scene(2, 4, diffuse=0.2)
    audio[c] = audio[d]
    (finding,) = inputcheck.check(audio, RATE)
    assert finding.code == "identical" and finding.evidence["channels"] == [foa.CHANNELS[c], foa.CHANNELS[d]]


def test_a_source_between_two_axes_has_no_copied_channels():
    w = 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    assert codes(np.stack([w, w / 2**0.5, 0 * w, w / 2**0.5])) == ["ok"]


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


# FuMa before anything rarer, and no certainty where there is none


def sound(kind, rng, seconds=2):
    """White noise, pink noise, or harmonics that come and go like syllables."""
    white = rng.standard_normal(seconds * RATE)
    if kind == "white":
        return white
    if kind == "pink":
        spectrum = np.fft.rfft(white)
        return 30 * np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 5)), len(white))
    t = np.arange(len(white)) / RATE
    phase = 2 * np.pi * np.cumsum(rng.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * t))) / RATE
    syllables = np.clip(3 * np.sin(2 * np.pi * 4 * t + rng.uniform(0, 6)), 0, 1)
    return syllables * sum(np.sin(k * phase) / k for k in range(1, 40)) + 0.05 * syllables * white + 0.002 * white


def from_everywhere(rng, kind="pink"):
    directions = [(rng.uniform(-180, 180), np.degrees(np.arcsin(rng.uniform(-1, 1)))) for _ in range(16)]
    return sum(foa.encode(sound(kind, rng), *direction) for direction in directions)


GRID = [
    (directions, diffuse, kind, level)
    for n, directions in enumerate(
        [[(azimuth, 0)] for azimuth in range(-180, 180, 45)]
        + [[(azimuth, elevation)] for azimuth in (0, 30, 90) for elevation in (-60, 35.26, 90)]
        + [[(10, 0), (100, 20)], [(-60, 0), (45, 10), (170, -30)]]
    )
    for diffuse, kind, level in [((0, 0.3, 0.8)[n % 3], ("white", "pink", "speech")[n // 2 % 3], (-1, -20, -55)[n % 3])]
]


@pytest.mark.parametrize("directions, diffuse, kind, level", GRID)
def test_scenes_in_sn3d_fuma_and_n3d(directions, diffuse, kind, level):
    """SN3D is never suspected, FuMa is named, N3D is named, alone or with FuMa."""
    rng = np.random.default_rng(len(directions))
    audio = sum(foa.encode(sound(kind, rng), *direction) for direction in directions)
    if diffuse:
        field = from_everywhere(rng)
        audio = audio * np.sqrt((1 - diffuse) / np.mean(audio[0] ** 2)) + field * np.sqrt(
            diffuse / np.mean(field[0] ** 2)
        )

    def written(a):
        return (np.round(a / np.abs(a).max() * 10 ** (level / 20) * 2**15) / 2**15).astype(np.float32)

    assert {f.level for f in inputcheck.check(written(audio), RATE)} == {"plausible"}
    (fuma,) = inputcheck.check(written(BROKEN["FuMa"](audio)), RATE)
    assert fuma.code == "not_sn3d" and inputformat.FUMA is fuma.fixes[0]
    (n3d,) = inputcheck.check(written(BROKEN["N3D"](audio)), RATE)
    assert (n3d.code == "not_sn3d" and "N3D" in n3d.message) or np.ptp(np.abs(audio), axis=0).max() < 1e-9


def test_fuma_without_height():
    """Its silent fourth channel is Z, not a fault; and the remedy is a sentence."""
    fuma = BROKEN["FuMa"](scene(1, 3, diffuse=0, flat=True))
    assert np.abs(fuma[3]).max() < 1e-7
    (finding,) = inputcheck.check(fuma, RATE)
    assert finding.fix is inputformat.FUMA and "silent" not in finding.message
    dead = scene(2, 2, diffuse=0.2)
    dead[1] = 0
    assert inputcheck.check(dead, RATE)[0].remedy == (
        "check the recording and the export, unless no sound of the scene comes along that axis"
    )


def test_w_x_y_z_without_height_cannot_be_told_from_a_vertical_plane():
    (finding,) = inputcheck.check(scene(1, 3, diffuse=0, flat=True)[[0, 3, 1, 2]], RATE)
    assert finding.level == "plausible" and finding.fix is inputformat.WXYZ and "fourth channel" in finding.message


def test_order_and_signs_are_never_confirmed_without_labels():
    audio, table = labelled(SPREAD)
    for broken in (audio, audio[[0, 2, 1, 3]], inputformat.LEFT_RIGHT.apply(audio), audio[[0, 3, 1, 2]]):
        found = inputcheck.check(broken, RATE)
        assert inputcheck.status(found) == "plausible" and "cannot be told without ground truth" in found[0].message
    with_labels = inputcheck.together(inputcheck.check(audio, RATE), inputcheck.check_against(audio, RATE, table))
    assert [f.code for f in with_labels] == ["fits_labels"] and inputcheck.status(with_labels) == "ok"


def test_what_was_chosen_is_not_confirmed_either():
    (finding,) = inputcheck.check(scene(1, 2), RATE, inputformat.FUMA)
    assert finding.level == "plausible" and "reading them as FuMa" in finding.message


def test_a_file_without_height_is_not_said_to_have_a_silent_channel():
    audio = scene(2, 2, diffuse=0.2)
    audio[2] = 0
    assert codes(audio) == ["dead_channel"]
    assert [f.code for f in inputcheck.check(audio, RATE, inputformat.FUMA)] == ["ok"]


def delayed(signal, seconds):
    f = np.fft.rfftfreq(len(signal), 1 / RATE)
    return np.fft.irfft(np.fft.rfft(signal) * np.exp(-2j * np.pi * f * seconds), len(signal))


CIRCLE = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]])
TETRAHEDRON = geometry.to_vector(np.array([45, -45, 135, -135]), np.array([35.3, -35.3, -35.3, 35.3]))


@pytest.mark.parametrize("kind", ["white", "pink", "speech"])
@pytest.mark.parametrize("places", [0.032 * CIRCLE, 0.1 * CIRCLE, 0.042 * TETRAHEDRON, 0.005 * TETRAHEDRON])
@pytest.mark.parametrize("n_sources", [1, 3])
def test_microphones_apart_from_each_other(kind, places, n_sources):
    rng = np.random.default_rng(n_sources)
    audio = 0
    for azimuth, elevation in [(20, 0), (-100, 30), (150, -20)][:n_sources]:
        signal, direction = sound(kind, rng), geometry.to_vector(azimuth, elevation)
        audio = audio + np.stack([delayed(signal, -place @ direction / 343) for place in places])
    (finding,) = inputcheck.check((0.1 * audio / audio.std()).astype(np.float32), RATE)
    assert finding.code == "microphones" and finding.fixes == () and finding.level == "warning"


@pytest.mark.parametrize("seed, name", [(s, n) for s in (1, 3, 5) for n in ("fuma", "acn-n3d", "acn-sn3d")])
def test_a_source_between_three_axes_in_a_room_is_no_raw_capsule(seed, name):
    rng = np.random.default_rng(seed)
    audio, field = foa.encode(sound("white", rng), 45, 35.3), from_everywhere(rng, "white")
    audio = audio + 0.6 * audio.std() / field.std() * field
    written = {"fuma": BROKEN["FuMa"], "acn-n3d": BROKEN["N3D"]}.get(name, np.asarray)(audio)
    (finding,) = inputcheck.check((0.1 * written).astype(np.float32), RATE)
    assert finding.code == ("ok" if name == "acn-sn3d" else "not_sn3d")
    assert name == "acn-sn3d" or finding.fix.key == name


# Remedies


def assert_same_up_to_a_gain(audio, expected):
    gain = np.sum(audio * expected) / np.sum(audio**2)
    assert gain > 0
    np.testing.assert_allclose(gain * audio, expected, atol=1e-5 * np.abs(expected).max())


def the_fix(audio):
    (finding,) = inputcheck.check(audio, RATE)
    return finding.fix


BROKEN = {
    "quiet": lambda a: 1e-4 * a,
    "over full scale": lambda a: 100 * a,
    "W last": lambda a: a[[1, 2, 3, 0]],
    "W second": lambda a: a[[1, 0, 2, 3]],
    "FuMa": lambda a: a[[0, 3, 1, 2]] * np.sqrt([[0.5], [1], [1], [1]]),
    "N3D": lambda a: a * np.sqrt([[1], [3], [3], [3]]),
}


@pytest.mark.parametrize("how", BROKEN)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fix_gives_back_the_original(how, seed):
    original = scene(seed, 4)
    broken = BROKEN[how](original).astype(np.float32)
    (finding,) = inputcheck.check(broken, RATE)
    fixed = [fix.apply(broken) for fix in finding.fixes]
    if not how.startswith("W "):  # where gains explain the energies as well, they come first
        assert_same_up_to_a_gain(fixed[0], original)
        assert codes(fixed[0]) == ["ok"]
    assert any(np.allclose(f * np.linalg.norm(original) / np.linalg.norm(f), original, atol=1e-5) for f in fixed)


def test_no_fix_where_samples_cannot_be_set_right():
    noise = 0.1 * np.random.default_rng(0).standard_normal((4, RATE)).astype(np.float32)
    dead, mono = scene(2, 2, diffuse=0.2), scene(2, 2)
    dead[1], mono[1:] = 0, 0
    clipped = np.clip(40 * scene(5, 2), -1, 1)
    for audio in (noise, noise[[0, 0, 0, 0]], dead, mono, clipped, np.zeros((4, RATE))):
        assert the_fix(audio) is None


def capsules(seed):
    """Four cardioids of a tetrahedral microphone, in the same place, and their own noise; four scenes one after the other."""
    x, y, z = 3**-0.5 * np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]])
    decode = 0.5 * np.stack([np.ones(4), y, z, x], axis=1)
    noise = 1e-3 * np.random.default_rng(seed).standard_normal((4, 4 * RATE))
    audio = np.concatenate([scene(4 * seed + part, 1, 0.02, seconds=1) for part in range(4)], axis=1)
    return (decode @ audio + noise).astype(np.float32)


@pytest.mark.parametrize("seed", RNG_SEEDS)
def test_raw_capsules_are_not_ambisonics(seed):
    (finding,) = inputcheck.check(capsules(seed), RATE)
    assert finding.code == "not_ambisonics" and finding.level == "error" and finding.fix is None


def test_a_clip_without_low_frequencies_is_judged_by_the_others():
    high = scipy.signal.sosfilt(scipy.signal.ellip(12, 0.1, 140, 1800, "high", fs=RATE, output="sos"), scene(1, 3))
    assert codes(high) == ["ok"]


@pytest.mark.parametrize("how", ["FuMa", "N3D"])
def test_one_source_on_the_diagonal_is_not_taken_for_capsules(how):
    """There the channels of N3D are even equal."""
    noise = 0.02 * np.random.default_rng(0).standard_normal((5, 4 * RATE))
    audio = foa.encode(noise[0], 45, 35) + 0.05 * noise[1:]
    assert_same_up_to_a_gain(the_fix(BROKEN[how](audio)).apply(BROKEN[how](audio)), audio)


def test_a_remedy():
    audio = scene(0, 2)
    np.testing.assert_array_equal(inputformat.InputFormat().apply(audio), audio)
    turned = inputformat.InputFormat((0, 2, 3, 1), (1, -2, 1, 1)).apply(audio)
    np.testing.assert_array_equal(turned, [audio[0], -2 * audio[2], audio[3], audio[1]])
    assert turned.dtype == np.float32
    with pytest.raises(ValueError, match="shape"):
        inputformat.InputFormat().apply(audio[:2])


def test_two_remedies_in_one():
    audio = scene(0, 2)
    first, second = (
        inputformat.InputFormat((0, 2, 3, 1), (1, -2, 1, 1)),
        inputformat.InputFormat((3, 1, 0, 2), (1, 0.5, 1, 3)),
    )
    np.testing.assert_allclose(first.then(second).apply(audio), second.apply(first.apply(audio)), rtol=1e-6)
    assert inputformat.N3D.then(inputformat.LEFT_RIGHT).gains[1] == pytest.approx(-(3**-0.5))
    assert inputformat.LEFT_RIGHT.then(inputformat.LEFT_RIGHT) is inputformat.AS_IS
    assert inputformat.WXYZ.then(inputformat.FUMA) is inputformat.FUMA  # not reordered twice


@pytest.mark.parametrize(
    "written, gains, fix",
    [
        ([0, 3, 1, 2], [2**-0.5, 1, 1, 1], "FuMa"),
        ([0, 1, 2, 3], [1, -(3**0.5), 3**0.5, 3**0.5], "left and right flipped, then N3D (ACN)"),
    ],
)
def test_gains_and_axes_that_are_both_wrong_have_one_fix(written, gains, fix):
    audio, table = labelled(SPREAD)
    file = audio[written] * np.array(gains, np.float32)[:, None]
    findings = inputcheck.together(inputcheck.check(file, RATE) + inputcheck.check_against(file, RATE, table))
    fixes = [f.fix for f in findings if f.fix]
    assert [f.name for f in fixes] == [fix]
    np.testing.assert_allclose(fixes[0].apply(file), audio, atol=1e-6)


def test_choices_set_right_what_they_name():
    azimuth, elevation = 50, 20
    mono = np.random.default_rng(0).standard_normal(RATE) * 0.1
    w, y, z, x = foa.encode(mono, azimuth, elevation)
    files = {
        "ACN/SN3D (AmbiX)": [w, y, z, x],
        "W, X, Y, Z in SN3D": [w, x, y, z],
        "FuMa": [w / 2**0.5, x, y, z],
        "N3D (ACN)": [w, 3**0.5 * y, 3**0.5 * z, 3**0.5 * x],
        "left and right flipped": [w, -y, z, x],
        "front and back flipped": [w, y, z, -x],
        "up and down flipped": [w, y, -z, x],
    }
    assert [choice.name for choice in inputformat.CHOICES] == list(files)
    for choice in inputformat.CHOICES:
        np.testing.assert_allclose(choice.apply(np.stack(files[choice.name])), [w, y, z, x], atol=1e-7)


def test_narrow_clips_say_so():
    narrow = scipy.signal.sosfilt(scipy.signal.ellip(20, 0.1, 140, 3300, fs=RATE, output="sos"), scene(1, 3))
    (finding,) = inputcheck.check(narrow, RATE)
    assert (finding.code, finding.level) == ("narrow", "warning") and 3.5 <= finding.evidence["no_sound_above_khz"] <= 4
    assert "8 kHz" in finding.message or "7 kHz" in finding.message
    assert "no_sound_above_khz" not in inputcheck.check(scene(1, 3), RATE)[0].evidence
    assert "no_sound_above_khz" not in inputcheck.check(scene(1, 3), 8000)[0].evidence


# Against labels


@functools.cache
def labelled(directions, seconds=2):
    """A clip of sources in turn, from directions in degrees, with diffuse sound, and its frame table."""
    rng = np.random.default_rng(1)
    parts = [foa.encode(0.1 * rng.standard_normal(seconds * RATE), *d) for d in directions]
    audio = np.concatenate(parts, axis=1)
    diffuse = 0.02 * rng.standard_normal(audio.shape) / np.sqrt([[1], [3], [3], [3]])
    azimuth, elevation = np.repeat(directions, 10 * seconds, axis=0).T
    table = frame_tables.empty_table().reindex(range(len(azimuth))).fillna(0)
    table = table.assign(frame=np.arange(len(azimuth)), azimuth=azimuth, elevation=elevation)
    return (audio + diffuse).astype(np.float32), table


SPREAD = ((10, 30), (-60, 9), (73, -58))  # every order and sign of their coordinates is far from the right one


def test_labels_that_fit():
    audio, table = labelled(SPREAD)
    (finding,) = inputcheck.check_against(audio, RATE, table)
    assert finding.code == "fits_labels" and finding.level == "ok" and finding.fix is None
    assert finding.evidence["median_error_deg"] < 3 and finding.evidence["frames"] == 60


@pytest.mark.parametrize("order", itertools.permutations((1, 2, 3)))
@pytest.mark.parametrize("signs", itertools.product((1, -1), repeat=3))
def test_every_order_and_sign_of_the_axes_is_found(order, signs):
    audio, table = labelled(SPREAD)
    broken = audio[[0, *order]] * np.array([1, *signs], np.float32)[:, None]
    (finding,) = inputcheck.check_against(broken, RATE, table)
    if order == (1, 2, 3) and signs == (1, 1, 1):
        assert finding.code == "fits_labels"
        return
    assert finding.code == "axes" and finding.level == "error"
    assert finding.evidence["median_error_deg"] > 25 > 3 > finding.evidence["median_error_fixed_deg"]
    np.testing.assert_allclose(finding.fix.apply(broken), audio, atol=1e-6)
    json.dumps(dataclasses.asdict(finding))


@pytest.mark.parametrize(
    "order, signs, message, name",
    [
        ((1, 2, 3), (-1, 1, 1), "left and right are flipped;", "left and right flipped"),
        ((1, 2, 3), (-1, 1, -1), "left and right are flipped and front and back are flipped;", "W, -Y, Z, -X"),
        ((3, 2, 1), (1, 1, 1), "Y and X are swapped;", "W, X, Z, Y"),
        ((3, 1, 2), (1, 1, 1), "the channels are not W, Y, Z, X but W, X, Y, Z;", "W, X, Y, Z in SN3D"),
        ((3, 2, 1), (1, -1, 1), "the channels are not W, Y, Z, X but W, X, -Z, Y;", "W, X, -Z, Y"),
        ((1, 2, 3), (-1, -1, -1), "W has the wrong sign, or all of Y, Z and X have;", "W, -Y, -Z, -X"),
    ],
)
def test_what_is_wrong_with_the_axes_in_words(order, signs, message, name):
    audio, table = labelled(SPREAD)
    broken = audio[[0, *order]] * np.array([1, *signs], np.float32)[:, None]
    (finding,) = inputcheck.check_against(broken, RATE, table)
    assert finding.message.startswith(message) and finding.fix.name == name


def test_an_axis_that_the_labels_leave_open_stays():
    """In a horizontal scene Z is as good upside down: the simplest explanation is a single flip."""
    audio, table = labelled(((40, 0), (130, 0), (-80, 0)))
    (finding,) = inputcheck.check_against(inputformat.LEFT_RIGHT.apply(audio), RATE, table)
    assert finding.fix == inputformat.LEFT_RIGHT


def test_too_little_to_compare():
    audio, table = labelled(((40, 0), (-80, 0)))
    overlapping = pd.concat([table, table.assign(track=1)])
    one_line = [labelled(((40, 10), (-140, -10))), labelled(((40, 0),), seconds=4)]
    cases = [(audio, table[:15]), (audio, table[:0]), (audio, overlapping), (0 * audio, table), *one_line]
    cases += [(audio, table.assign(frame=table["frame"] + 1000)), (audio[:, :100], table), (audio[:, :0], table)]
    for clip, reference in cases:
        (finding,) = inputcheck.check_against(clip, RATE, reference)
        assert finding.code == "not_compared" and finding.level == "plausible" and finding.fix is None


def test_labels_of_another_clip():
    audio, table = labelled(SPREAD)
    rng = np.random.default_rng(0)
    azimuth, elevation = geometry.to_angles(rng.standard_normal((len(table), 3)))
    (finding,) = inputcheck.check_against(audio, RATE, table.assign(azimuth=azimuth, elevation=elevation))
    assert finding.code == "not_at_labels" and finding.level == "warning"


def test_inputs_are_left_alone():
    audio, table = labelled(SPREAD)
    before = audio.copy(), table.copy()
    inputcheck.check(audio, RATE)
    inputcheck.check_against(audio, RATE, table)
    np.testing.assert_array_equal(audio, before[0])
    pd.testing.assert_frame_equal(table, before[1])
    with pytest.raises(ValueError, match="shape"):
        inputcheck.check_against(audio[:3], RATE, table)


def test_no_false_alarm_on_simulated_scenes_and_the_examples(scenes):
    simulated = [(clip, scenes / "metadata_dev" / f"{clip.stem}.csv") for clip in (scenes / "foa_dev").iterdir()]
    shipped = [(clip, clip.with_suffix(".csv")) for clip in FILES]
    assert len(simulated) == 6 and len(shipped) == 3
    for clip, truth in simulated + shipped:
        audio = clips.load(clip)
        assert codes(audio) == ["ok"], clip
        (finding,) = inputcheck.check_against(audio, RATE, dcase_csv.read_csv(truth))
        assert finding.code in ("fits_labels", "not_compared"), (clip, finding)
        assert finding.code == "fits_labels" or clip not in FILES


@pytest.mark.parametrize("clip", FILES, ids=lambda p: p.stem)
@pytest.mark.parametrize(
    "fix", [inputformat.WXYZ, inputformat.LEFT_RIGHT, inputformat.FRONT_BACK], ids=lambda f: f.name
)
def test_wrong_axes_of_the_examples_are_found(clip, fix):
    audio = clips.load(clip)
    broken = np.empty_like(audio)
    broken[list(fix.order)] = audio * np.array(fix.gains, np.float32)[:, None]
    (finding,) = inputcheck.check_against(broken, RATE, dcase_csv.read_csv(clip.with_suffix(".csv")))
    assert finding.fix == fix
    np.testing.assert_allclose(finding.fix.apply(broken), audio, atol=1e-6)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_silent_fourth_channel_hints_at_fuma(seed):
    """The height of a scene that has some, left out of a FuMa file."""
    original = scene(seed, 3, diffuse=0.2)
    fuma = original[[0, 3, 1, 2]] * np.sqrt([[0.5], [1], [1], [1]])
    fuma[3] = 0
    (finding,) = inputcheck.check(fuma.astype(np.float32), RATE)
    assert inputformat.FUMA in finding.fixes and finding.level == "warning"
    assert "FuMa" in finding.message + finding.remedy
