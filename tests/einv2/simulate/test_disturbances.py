"""What recordings have beside their events: it is off by default, drawn apart from the scene, unlabelled, and rebuilt to the bit."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from scipy import fft, signal

from einv2 import geometry
from einv2.audio import foa
from einv2.commands import config_flags
from einv2.commands import main as cli
from einv2.config import to_json
from einv2.simulate import specification
from einv2.simulate.disturbances import CODECS, Ambience, Channel, DirectionalNoise, through_channel
from einv2.simulate.microphone import CAPSULES, CENTRE, TAPS, Encoder, Microphone, capsule_matrix, record
from einv2.simulate.render import render, render_event, write_scenes
from einv2.simulate.rooms import Room, Walls
from einv2.simulate.scene import (
    DISTURBED,
    NO_CLASS,
    Disturbances,
    Scene,
    SceneConfig,
    SceneEvent,
    sample_scene,
    scene_from_json,
    scene_to_json,
)
from einv2.simulate.unclassified import UnclassifiedBank, synthesise_unclassified

RATE = 24000
SIZE = (7.0, 6.0, 3.0)
RECEIVER = (3.15, 3.12, 1.4)
SHORT = SceneConfig(seconds=3, event_seconds=(0.5, 1.5))


def event(**changes):
    values = dict(class_index=4, onset=0.5, max_seconds=2.0, azimuth=30.0, elevation=-20.0, azimuth_rate=0.0)
    return SceneEvent(**(values | dict(elevation_rate=0.0, distance_m=1.5, level_db=0.0, seed=5) | changes))


def scene(*events, rt60_s=0.0, snr_db=120.0, seconds=3, **disturbances):
    return Scene(seconds, SIZE, RECEIVER, rt60_s, snr_db, -3.0, 9, events, Disturbances(**disturbances))


def impulse(room, seed=0, **changes):
    dry = np.zeros(2400)
    dry[0] = 1
    return render_event(event(**changes), dry, room, np.random.default_rng(seed))


def room(rt60_s=0.5, **changes):
    return Room(SIZE, RECEIVER, rt60_s, RATE, **changes)


def everything(**changes):
    """Every kind of disturbance in every scene."""
    shares = {name: 1.0 for name in vars(SceneConfig()) if name.endswith("_share") and name in DISTURBED}
    return SceneConfig.disturbed(seconds=3, event_seconds=(0.5, 1.5), **(shares | changes))


# Off by default, drawn apart


def test_without_disturbances_scenes_are_what_they_always_were(bank):
    """Figures of the simulator before it knew any disturbance."""
    drawn = sample_scene(SceneConfig(seconds=10), 14, np.random.default_rng([1, 0]), bank.classes)
    text = json.dumps(scene_to_json(drawn), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "f62378f8493ba7ba"
    audio, _ = render(drawn, bank)
    expected = [[0.0688108, 0.0657341], [-0.0395647, -0.0186201], [-0.06909, -0.0663605], [0.0563909, 0.0614682]]
    np.testing.assert_allclose(audio[:, 100_000:100_002], expected, atol=2e-6)


def test_a_disturbed_scene_has_the_events_room_and_noise_of_the_undisturbed_one(bank):
    plain = sample_scene(SHORT, 14, np.random.default_rng(3), bank.classes)
    disturbed = sample_scene(everything(class_levels=0.0, direct_loss_db=(0.0, 0.0), long_rt60_share=0.0), 14,
                             np.random.default_rng(3), bank.classes)  # fmt: skip
    assert replace(disturbed, disturbances=None) == plain
    found = disturbed.disturbances
    assert all((found.interferers, found.noise, found.ambience, found.walls, found.microphone, found.channel))
    less = sample_scene(replace(everything(), interferer_share=0.0), 14, np.random.default_rng(3), bank.classes)
    assert less.disturbances == replace(
        sample_scene(everything(), 14, np.random.default_rng(3), bank.classes).disturbances, interferers=()
    )
    assert render(disturbed, bank)[1].equals(render(plain, bank)[1])


def test_shares_and_ranges_of_drawn_disturbances():
    drawn = [sample_scene(SceneConfig.disturbed(seconds=20), 14, np.random.default_rng([5, i])) for i in range(150)]
    found = [s.disturbances or Disturbances() for s in drawn]
    for share, has in (
        ("interferer_share", [bool(d.interferers) for d in found]),
        ("directional_noise_share", [d.noise is not None for d in found]),
        ("ambience_share", [d.ambience is not None for d in found]),
        ("wall_share", [d.walls is not None for d in found]),
        ("long_rt60_share", [s.rt60_s > 1 for s in drawn]),
        ("wrong_gain_share", [d.microphone is not None and d.microphone.convention != "sn3d" for d in found]),
        ("low_pass_share", [d.channel is not None and d.channel.low_pass_hz is not None for d in found]),
        ("codec_share", [d.channel is not None and d.channel.codec is not None for d in found]),
    ):
        assert np.mean(has) == pytest.approx(DISTURBED[share], abs=0.13), share
    microphones = [d.microphone for d in found if d.microphone and d.microphone.radius_m]
    assert len(microphones) > 90 and {m.rigid for m in microphones} == {True, False}
    assert 0.5 < np.mean([np.std(m.gains_db) for m in microphones]) < 0.9
    assert all(0.004 <= m.radius_m <= 0.015 for m in microphones)
    losses = [e.direct_loss_db for s in drawn for e in s.events]
    assert min(losses) >= 0 and 5.5 < max(losses) <= 6
    assert all(e.class_index == NO_CLASS for d in found for e in d.interferers)


def test_lanes_drawn_evenly_and_levels_by_class():
    config = SceneConfig(seconds=30, max_overlap=3, polyphonic_share=1.0, even_overlap=True, gap_seconds=0.0)
    names = ("female scream", "footsteps")
    drawn = [sample_scene(replace(config, class_levels=1.0), 2, np.random.default_rng(i), names) for i in range(12)]
    plain = [sample_scene(config, 2, np.random.default_rng(i), names) for i in range(12)]
    rises = {
        (b.class_index, round(b.level_db - a.level_db, 6))
        for x, y in zip(plain, drawn)
        for a, b in zip(x.events, y.events)
    }
    assert rises == {(0, 8.0), (1, -8.0)}
    most = [max(sum(a.onset <= t < a.onset + a.max_seconds for a in s.events) for t in range(30)) for s in drawn]
    assert set(most) == {2, 3}


@pytest.mark.parametrize(
    "field, value",
    [("interferer_share", 1.1), ("scattering", (0.0, 1.2)), ("microphone_radius_m", (0.0, 0.2)), ("low_pass_hz", (5, 20000)),
     ("ambience_sources", (0, 3)), ("capsule_gain_db", (1.0, 0.5)), ("class_levels", -1), ("interferer_gap_seconds", -1)],
)  # fmt: skip
def test_impossible_disturbances_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        SceneConfig(**{field: value})


# Written down, and rebuilt


def test_a_drawn_scene_is_rebuilt_to_the_bit_by_the_command(tmp_path, bank, monkeypatch):
    other = tmp_path / "other" / "below"
    other.mkdir(parents=True)
    soundfile.write(other / "hum.wav", 0.1 * np.sin(np.arange(RATE) / 20), RATE)
    flags = ["--procedural-share", "0.2", "--interferers", str(tmp_path / "other")]
    drawn = [
        "--scenes",
        "2",
        "--seconds",
        "3",
        "--seed",
        "4",
        "--disturbed",
        "--interferer-share",
        "1",
        "--codec-share",
        "1",
    ]
    assert cli.main(["simulate", str(tmp_path / "one"), *drawn, *flags]) == 0
    files = sorted((tmp_path / "one" / "scenes").iterdir())
    again = [flag for file in files for flag in ("--specification", str(file))]
    assert cli.main(["simulate", str(tmp_path / "two"), *again, *flags]) == 0
    for file in (tmp_path / "one").glob("*/*.*"):
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes(), file


def test_other_sounds_and_damaged_scenes_are_refused(tmp_path, capsys):
    assert cli.main(["simulate", str(tmp_path), "--scenes", "1", "--seconds", "6", "--seed", "1"]) == 0
    (file,) = (tmp_path / "scenes").iterdir()
    values = json.loads(file.read_text())
    for change, text in (({"sounds": "?"}, "was drawn from other sounds"), ({"rt60_s": "long"}, "rt60_s must be of type float"),
                         ({"disturbances": {"microphone": {"radius": 1}}}, "has an unknown key, 'radius'"),
                         ({"disturbances": {"wind": {}}}, "wind"), ({"disturbances": [1]}, "is not a scene"),
                         ({"seconds": 10**9}, "lasts from 1 to"), ({"receiver_m": [9, 1, 1]}, "is not inside of a room"),
                         ({"snr_db": float("nan")}, "finite numbers"), ({"peak_db": 900.0}, "levels lie in"),
                         ({"events": [values["events"][0] | {"onset": 7.0}]}, "does not fit"),
                         ({"events": [values["events"][0] | {"distance_m": 70.0}]}, "not inside of the room"),
                         ({"events": [values["events"][0] | {"class_index": 14}]}, "a class beyond the 14")):  # fmt: skip
        file.write_text(json.dumps(values | change))
        assert cli.main(["simulate", str(tmp_path / "out"), "--specification", str(file)]) != 0
        message = capsys.readouterr().err
        assert text in message and message.count("\n") == 1


def test_json_of_a_scene_gives_the_scene_back():
    drawn = sample_scene(everything(), 14, np.random.default_rng(8))
    assert scene_from_json(json.loads(json.dumps(scene_to_json(drawn)))) == drawn


def test_a_specification_may_hold_disturbances(tmp_path):
    plain = specification.draw(3, 4, 3, 2, specification.SpecifiedRoom(SIZE, 0.4))
    text = specification.to_text(plain)
    assert "disturbances" not in text and specification.from_text(text) == plain
    found = sample_scene(everything(), 14, np.random.default_rng(8)).disturbances
    found = replace(found, interferers=(event(class_index=NO_CLASS),), noise=DirectionalNoise(40.0, 0.0, 1.0, 10.0, 3))
    disturbed = replace(plain, disturbances=found)
    read = specification.from_text(specification.to_text(disturbed))
    assert read == disturbed and not specification.problems(read)
    audio, table = specification.rebuild(read)
    np.testing.assert_array_equal(audio, specification.rebuild(disturbed)[0])
    assert table.equals(specification.rebuild(plain)[1]) and not np.allclose(audio, specification.rebuild(plain)[0])
    for change in (dict(noise=DirectionalNoise(0.0, 0.0, 50.0, 10.0, 3)), dict(interferers=(event(onset=9.0),))):
        (problem,) = specification.problems(replace(plain, disturbances=replace(found, **change)))
        assert "among the disturbances" in problem.text and problem.source is None
    values = json.loads(text)
    for wrong, said in (
        ({"microphone": {"size": 3}}, "unknown key, 'size'"),
        ([1], "cannot be read"),
        ({"wind": {}}, "wind"),
    ):
        with pytest.raises(ValueError, match="is not the specification of a scene") as error:
            specification.from_text(json.dumps(values | {"disturbances": wrong}))
        assert said in str(error.value)


def test_scenes_of_other_recordings_of_no_class_are_refused(tmp_path, bank):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    recordings = UnclassifiedBank.scan(tmp_path)
    list(write_scenes(tmp_path / "out", 1, SHORT, bank, 1, unclassified=recordings))
    with pytest.raises(ValueError, match="of other settings or sounds"):
        list(write_scenes(tmp_path / "out", 1, SHORT, bank, 1))


def test_flag_disturbed_stands_for_its_flags_and_gives_way_to_them():
    parser = cli.parser(["simulate"])
    for flags in (["--disturbed", "--codec-share", "0.7"], ["--codec-share", "0.7", "--disturbed"]):
        config = config_flags.read(SceneConfig, parser.parse_args(["simulate", "out", *flags]))
        assert config == SceneConfig.disturbed(codec_share=0.7)
    assert to_json(config_flags.read(SceneConfig, parser.parse_args(["simulate", "out"]))) == to_json(SceneConfig())


# Other sounds


def test_procedural_sounds_of_no_class_differ_and_are_sound():
    sounds = [synthesise_unclassified(np.random.default_rng(i), 0.1 + 0.05 * i) for i in range(40)]
    for i, sound in enumerate(sounds):
        assert len(sound) == round((0.1 + 0.05 * i) * RATE) and sound.dtype == np.float32
        assert np.abs(sound).max() == pytest.approx(0.9, rel=1e-4)
    centroids = [np.average(fft.rfftfreq(len(s), 1 / RATE), weights=np.abs(fft.rfft(s))) for s in sounds]
    assert np.percentile(centroids, 90) > 3 * np.percentile(centroids, 10)
    np.testing.assert_array_equal(sounds[7], synthesise_unclassified(np.random.default_rng(7), 0.45))


def test_a_folder_of_no_class_is_searched_below(tmp_path):
    with pytest.raises(ValueError, match="is not a folder"):
        UnclassifiedBank.scan(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no recordings"):
        UnclassifiedBank.scan(tmp_path)
    (tmp_path / "a").mkdir()
    soundfile.write(tmp_path / "a" / "x.flac", 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    names = {UnclassifiedBank.scan(tmp_path).draw(np.random.default_rng(i), 1.0)[1] for i in range(20)}
    assert names == {"a/x.flac", "procedural"}


def test_interferer_comes_from_its_direction_and_has_no_label(bank):
    sound = event(class_index=NO_CLASS, azimuth=-100.0, elevation=40.0, onset=0.2)
    audio, table = render(scene(interferers=(sound,)), bank)
    assert table.empty
    assert geometry.angular_distance(*foa.intensity_direction(audio), -100, 40) < 0.5
    _, table = render(scene(event(), interferers=(sound,)), bank)
    assert set(table["class"]) == {4}


@pytest.mark.parametrize("rt60_s", [0.0, 0.4])
def test_directional_noise_is_steady_at_its_level_and_direction(bank, rt60_s):
    noise = DirectionalNoise(azimuth=75.0, elevation=10.0, distance_m=1.0, level_db=12.0, seed=3)
    plain, _ = render(scene(event(onset=0.0, max_seconds=3.0), rt60_s=rt60_s), bank)
    noisy, _ = render(scene(event(onset=0.0, max_seconds=3.0), rt60_s=rt60_s, noise=noise), bank)
    plain = plain * np.vdot(noisy, plain) / np.vdot(plain, plain)  # the two differ in peak, too
    added = noisy - plain
    assert 10 * np.log10(np.mean(plain[0] ** 2) / np.mean(added[0] ** 2)) == pytest.approx(12, abs=0.7)
    assert geometry.angular_distance(*foa.intensity_direction(added), 75, 10) < (2 if rt60_s == 0 else 25)
    parts = [np.std(part) for part in np.array_split(added[0, RATE // 2 :], 5)]
    assert max(parts) / min(parts) < 1.6


def test_ambience_is_diffuse_and_soft(bank):
    directions = ((0.0, 0.0), (90.0, 10.0), (180.0, -10.0), (-90.0, 0.0))
    plain, _ = render(scene(event(onset=0.0, max_seconds=3.0), rt60_s=0.4), bank)
    noisy, _ = render(
        scene(event(onset=0.0, max_seconds=3.0), rt60_s=0.4, ambience=Ambience(directions, 15.0, 2)), bank
    )
    plain = plain * np.vdot(noisy, plain) / np.vdot(plain, plain)
    added = noisy - plain
    assert 10 * np.log10(np.mean(plain[0] ** 2) / np.mean(added[0] ** 2)) == pytest.approx(15, abs=1)
    intensity = np.linalg.norm(added[[3, 1, 2]] @ added[0]) / (0.5 * np.sum(added**2))
    assert intensity < 0.75


# Walls and sources


def test_turned_source_loses_direct_sound_alone():
    plain, turned = impulse(room()), impulse(room(), direct_loss_db=6.0)
    at = np.argmax(np.abs(plain[0]) > 0.5)
    assert 20 * np.log10(plain[0, at] / turned[0, at]) == pytest.approx(6, abs=0.1)
    np.testing.assert_allclose(plain[:, at + 60 :], turned[:, at + 60 :], atol=1e-6)


def decay_time(sound, low, high):
    """T20 of a band."""
    energy = signal.sosfilt(signal.butter(3, (low, high), "bandpass", fs=RATE, output="sos"), sound[0]) ** 2
    curve = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-20)
    at = [np.argmax(curve < level) / RATE for level in (-5, -25)]
    return 3 * (at[1] - at[0])


def test_walls_absorb_by_frequency():
    sound = impulse(room(0.6, walls=Walls(1.6, 0.4, 0.3, 1)))
    assert decay_time(sound, 80, 180) == pytest.approx(0.96, rel=0.3)
    assert decay_time(sound, 700, 1400) == pytest.approx(0.6, rel=0.3)
    assert decay_time(sound, 5000, 9000) == pytest.approx(0.24, rel=0.35)


def test_neutral_walls_change_no_reflection_and_scattering_keeps_the_energy():
    early, neutral, scattering = (
        impulse(room(0.6, walls=walls))[:, :2000] for walls in (None, Walls(1.0, 1.0, 0.0, 1), Walls(1.0, 1.0, 0.8, 1))
    )
    at = int(np.argmax(np.abs(early[0]) > 0.5))
    np.testing.assert_allclose(neutral[:, :680], early[:, :680], atol=2e-3)
    assert scattering[0, at] == pytest.approx(early[0, at], abs=0.02)
    ratio = np.sum(scattering[:, at + 50 :] ** 2) / np.sum(early[:, at + 50 :] ** 2)
    assert abs(10 * np.log10(ratio)) < 2.5
    assert np.abs(scattering[0, at + 50 :]).max() < 0.8 * np.abs(early[0, at + 50 :]).max()


# The microphone


def test_an_ideal_microphone_changes_nothing(rng):
    sound = rng.standard_normal((4, 1000)).astype(np.float32)
    np.testing.assert_allclose(record(sound, Microphone(), 1.0, RATE, rng), sound, atol=1e-6)


def test_capsule_gains_mix_the_channels_as_four_cardioids_would():
    gains_db = (1.0, 0.0, -1.0, 0.0)
    direction = geometry.to_vector(50.0, 20.0)
    cardioids = 0.5 + 0.5 * CAPSULES @ direction
    heard = 10 ** (np.array(gains_db) / 20) * cardioids
    omni, dipole = heard.mean() * 2, CAPSULES.T @ heard * 1.5  # x, y, z
    expected = [omni, dipole[1], dipole[2], dipole[0]]
    np.testing.assert_allclose(
        capsule_matrix(Microphone(gains_db=gains_db)) @ foa.gains(50.0, 20.0), expected, atol=1e-12
    )


def test_delays_shift_the_capsules_and_a_sphere_suffers_most_at_low_frequencies(rng):
    sound = np.zeros((4, 4000), np.float32)
    sound[0, 2000] = 1
    late = record(sound, Microphone(delays_us=(0.0, 0.0, 0.0, 40.0)), 1.0, RATE, rng)
    spectrum = np.abs(fft.rfft(late, axis=1))
    assert spectrum[1, 1800] > 5 * spectrum[1, 100] > 0  # a delay matters in proportion to the frequency
    sphere = record(sound, Microphone(0.01, True, gains_db=(0.5, 0.0, 0.0, -0.5)), 1.0, RATE, rng)
    open_air = record(sound, Microphone(0.01, False, gains_db=(0.5, 0.0, 0.0, -0.5)), 1.0, RATE, rng)
    ratio = np.abs(fft.rfft(sphere[3])) / np.abs(fft.rfft(open_air[3]))
    assert ratio[35] > 5 and ratio[1900] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("rigid", [False, True])
def test_encoder_is_exact_at_low_frequencies_and_aliases_at_high_ones(rng, rigid):
    azimuth, elevation = rng.uniform(-180, 180, 30), rng.uniform(-80, 80, 30)
    spectra = fft.rfft(Encoder(Microphone(0.01, rigid), RATE)(azimuth, elevation), axis=2)
    spectra *= np.exp(2j * np.pi * np.arange(spectra.shape[2]) * CENTRE / TAPS)
    ideal = foa.gains(azimuth, elevation)
    error = np.sqrt(np.mean(np.abs(spectra - ideal[..., None]) ** 2, axis=(0, 1)))
    hz = fft.rfftfreq(TAPS, 1 / RATE)
    assert error[hz <= 750].max() < 0.1 and error[hz > 8000].min() > 0.2


def test_an_encoder_of_cardioids_equals_their_sum():
    """Against the capsules themselves, delayed by their place and mixed."""
    radius, azimuth, elevation = 0.01, 35.0, 20.0
    spectra = fft.rfft(Encoder(Microphone(radius, equalised=False), RATE)([azimuth], [elevation])[0], axis=1)
    hz = fft.rfftfreq(TAPS, 1 / RATE)
    spectra *= np.exp(2j * np.pi * np.arange(len(hz)) * CENTRE / TAPS)
    cosines = CAPSULES @ geometry.to_vector(azimuth, elevation)
    capsules = (0.5 + 0.5 * cosines) * np.exp(2j * np.pi * hz[:, None] / 343 * radius * cosines)
    expected = np.concatenate(
        [2 * capsules.mean(axis=1, keepdims=True), 1.5 * capsules @ CAPSULES[:, [1, 2, 0]]], axis=1
    ).T
    np.testing.assert_allclose(spectra[:, 1:11], expected[:, 1:11], atol=0.05)


def test_labels_stay_with_a_microphone_of_some_size(bank):
    audio, table = render(scene(event(), microphone=Microphone(0.008)), bank)
    low = signal.sosfilt(signal.butter(6, 3000, fs=RATE, output="sos"), audio, axis=1)
    assert geometry.angular_distance(*foa.intensity_direction(low), 30, -20) < 3
    assert len(table) == 20


def test_noise_of_the_microphone_and_wrong_gains(rng):
    sound = np.ones((4, 48000), np.float32)
    noisy = record(sound, Microphone(noise_db=20.0), 4.0, RATE, rng) - sound
    assert not noisy[0].any()
    assert 10 * np.log10(4 / np.mean(noisy[1:] ** 2)) == pytest.approx(20, abs=0.5)
    for convention, expected in (("n3d", [1, 3**0.5, 3**0.5, 3**0.5]), ("fuma", [0.5**0.5, 1, 1, 1])):
        got = record(sound, Microphone(convention=convention), 1.0, RATE, rng)[:, 0]
        np.testing.assert_allclose(got, expected, rtol=1e-6)


# The channel


@pytest.mark.parametrize("codec", CODECS)
def test_codecs_keep_time_and_level(rng, codec):
    sound = 0.1 * signal.sosfilt(
        signal.butter(2, 3000, fs=RATE, output="sos"), rng.standard_normal((4, 30_000)), axis=1
    )
    out = through_channel(sound, Channel(codec=codec, compression=0.4), RATE)
    assert out.shape == sound.shape and not np.allclose(out, sound, atol=1e-5)
    assert np.corrcoef(out[1, 5000:25_000], sound[1, 5000:25_000])[0, 1] > 0.9
    np.testing.assert_array_equal(out, through_channel(sound, Channel(codec=codec, compression=0.4), RATE))


def test_low_pass_takes_the_high_frequencies(rng):
    sound = rng.standard_normal((4, 24_000))
    power = np.abs(fft.rfft(through_channel(sound, Channel(low_pass_hz=4000.0), RATE))) ** 2
    assert np.mean(power[:, 8000:]) < 1e-3 * np.mean(power[:, 500:3000])
