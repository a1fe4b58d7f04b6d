"""Procedural sounds are sane and repeatable; a folder of recordings is split by recording and drawn with variation."""

import inspect

import numpy as np
import pytest
import soundfile

from einv2.labels.class_lists import DCASE2020_CLASSES
from einv2.simulate import sources, synthesis
from einv2.simulate.sources import SoundFolder, SourceBank, recording_key
from einv2.simulate.synthesis import synthesise

RATE = 24000


def generator(seed=0):
    return np.random.default_rng(seed)


def write_tone(path, seconds=0.5, rate=RATE, hertz=440.0, channels=1):
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    soundfile.write(path, np.tile(tone[:, None], (1, channels)), rate)


def peak_hertz(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return np.argmax(spectrum) * RATE / len(samples)


def share_of_energy(samples, low, high):
    energy = np.abs(np.fft.rfft(samples)) ** 2
    frequencies = np.fft.rfftfreq(len(samples), 1 / RATE)
    return energy[(frequencies >= low) & (frequencies < high)].sum() / energy.sum()


def onsets(samples, gap=0.1, floor=0.1):
    """How many times the sound begins after at least ``gap`` seconds below ``floor``."""
    loud = np.flatnonzero(np.abs(samples) > floor)
    return 1 + np.sum(np.diff(loud) > gap * RATE)


def assert_sane(samples):
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert np.all(np.isfinite(samples))
    assert np.max(np.abs(samples)) == pytest.approx(0.9, abs=1e-4)
    assert abs(samples.mean()) < 3e-3 * max(1, RATE / len(samples))
    assert abs(samples[0]) < 1e-3 and abs(samples[-1]) < 0.02


def test_every_dcase2020_class_can_be_synthesised():
    assert sources.PROCEDURAL_CLASSES == DCASE2020_CLASSES


@pytest.mark.parametrize("class_name", DCASE2020_CLASSES)
def test_a_natural_sound_is_sane_and_follows_the_generator(class_name):
    sounds = [synthesise(class_name, generator(seed)) for seed in (1, 2, 3)]
    for sound in sounds:
        assert_sane(sound)
        assert 0.05 * RATE <= len(sound) <= 8 * RATE
        assert np.abs(sound[-round(0.3 * RATE) :]).max() > 1e-3, "it ends in silence"
    np.testing.assert_array_equal(sounds[0], synthesise(class_name, generator(1)))
    shortest = min(len(sound) for sound in sounds)
    assert not np.allclose(sounds[0][:shortest], sounds[1][:shortest], atol=0.01)


@pytest.mark.parametrize("class_name", DCASE2020_CLASSES)
@pytest.mark.parametrize("seconds, sample_rate", [(0.1, RATE), (1.2345, RATE), (0.7, 16000), (0.7, 44100)])
def test_a_requested_length_is_exact_at_any_rate(class_name, seconds, sample_rate):
    sound = synthesise(class_name, generator(4), seconds, sample_rate)
    assert len(sound) == round(seconds * sample_rate)
    assert_sane(sound)


def test_an_instant_of_speech_without_voice_is_finite():
    assert all(np.all(np.isfinite(synthesise("male speech", generator(seed), 0.1))) for seed in range(30, 40))


@pytest.mark.parametrize("class_name", DCASE2020_CLASSES)
def test_a_long_sound_is_active_all_along(class_name):
    quarters = np.split(synthesise(class_name, generator(5), 12.0), 4)
    assert all(np.max(np.abs(quarter)) > 0.05 for quarter in quarters)


def test_the_generator_is_the_only_source_of_chance():
    text = inspect.getsource(sources)
    assert "np.random.seed" not in text and "np.random.uniform" not in text and "import random" not in text
    rng = generator(6)
    assert not np.array_equal(synthesise("piano", rng, 1.0), synthesise("piano", rng, 1.0))


def test_classes_have_the_spectrum_they_are_known_by():
    def mean_share(class_name, low, high):
        return np.mean([share_of_energy(synthesise(class_name, generator(s), 2.0), low, high) for s in range(5)])

    assert mean_share("running engine", 20, 300) > 0.5
    assert mean_share("female scream", 650, 12000) > 0.9
    assert mean_share("male speech", 60, 200) > mean_share("female speech", 60, 155) + 0.05
    assert mean_share("burning fire", 2000, 12000) > mean_share("knocking on door", 2000, 12000)


def test_knocks_and_steps_are_separate_strikes():
    assert onsets(synthesise("knocking on door", generator(1), 4.0)) >= 4
    for seed in range(4):  # 1.5 to 2.5 steps a second, some of them seen as heel and toe
        assert 8 <= onsets(synthesise("footsteps", generator(seed), 6.0), gap=0.2, floor=0.02) <= 17


def test_pulses_have_unit_power_and_the_pitch_asked_for():
    pulses = synthesis._pulses(np.full(RATE, 200.0))
    assert np.mean(pulses**2) == pytest.approx(1, abs=0.01)
    levels = np.abs(np.fft.rfft(pulses))
    assert levels[200] > 100 * levels[150] and levels[400] > 100 * levels[350]
    fall_db = 20 * np.log10(levels[200] / levels[6200])
    assert fall_db == pytest.approx(50 * 6000 / 12000, abs=0.5)


def test_a_moving_formant_does_not_click():
    tone = np.sin(2 * np.pi * 150 * np.arange(RATE) / RATE)
    track = np.linspace(300, 900, 200)[:, None]
    out = synthesis._resonate(tone, track)
    assert share_of_energy(out * np.hanning(RATE), 3000, 12000) < 1e-7


def test_a_mode_rings_at_its_frequency_and_dies_with_its_time_constant():
    impulse = np.zeros(RATE)
    impulse[0] = 1
    ring = synthesis._ring(impulse, [1000.0], [0.1], [1.0])
    assert peak_hertz(ring) == pytest.approx(1000, abs=2)
    assert np.max(np.abs(ring[2400:2500])) / np.max(np.abs(ring[:100])) == pytest.approx(np.exp(-1), rel=0.02)


def test_an_unknown_class_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"'kazoo'.*alarm"):
        synthesise("kazoo", generator())


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_length_that_cannot_be_is_an_error(seconds):
    with pytest.raises(ValueError, match="seconds"):
        synthesise("alarm", generator(), seconds)


@pytest.mark.parametrize(
    "name, key",
    [
        ("deskclock__timer-expire.flac", "deskclock__timer-expire"),
        ("deskclock__timer-expire_p2.flac", "deskclock__timer-expire"),
        ("field__walk-1_p12.wav", "field__walk"),
        ("librispeech__1998-15444-0002.flac", "librispeech__1998"),
        ("84-121123-0000.flac", "84"),
        ("esc10__1-17808-B.flac", "esc10__1-17808"),
        ("1-17808-A-12.wav", "1-17808"),
        ("game__step.2.ogg", "game__step"),
        ("game__scream-1.ogg", "game__scream"),
        ("game__scream.ogg", "game__scream"),
        ("keys__A4.flac", "keys__A4"),
        ("keys__Ds1.flac", "keys__Ds1"),
        ("home__dog2.flac", "home__dog2"),
        ("bark_01.wav", "bark_01"),
        ("freesound__100032.wav", "freesound__100032"),
        (
            "cry__hungry-643D64AD-B711-469A-AF69-55C0D5D3E30F-14301-1.0-m.flac",
            "cry__643d64ad-b711-469a-af69-55c0d5d3e30f",
        ),
        (
            "cry__tired-643D64AD-B711-469A-AF69-55C0D5D3E30F-14345-1.0-m.flac",
            "cry__643d64ad-b711-469a-af69-55c0d5d3e30f",
        ),
    ],
)
def test_recording_key(name, key):
    assert recording_key(name) == key


@pytest.fixture
def folder(tmp_path):
    for i in range(5):
        write_tone(tmp_path / "Barking_Dog" / f"home__dog{i}.wav")
        write_tone(tmp_path / "Barking_Dog" / f"home__dog{i}_p2.wav")
    for i in range(3):
        write_tone(tmp_path / "footsteps" / f"game__step-{i}.flac", 0.2)
        write_tone(tmp_path / "footsteps" / f"game__boot-{i}.flac", 0.2)
    write_tone(tmp_path / "running engine" / "long.wav", 12.0, 44100, channels=2)
    write_tone(tmp_path / "piano" / "C4.wav", 1.0)
    write_tone(tmp_path / "kazoo" / "toot.wav")
    (tmp_path / "piano" / "notes.txt").write_text("not a sound")
    (tmp_path / "alarm").mkdir()
    return SoundFolder.scan(tmp_path, DCASE2020_CLASSES)


def test_scan_finds_the_known_classes_in_sorted_order(folder):
    assert set(folder.files) == {"barking dog", "footsteps", "running engine", "piano"}
    assert [file.name for file in folder.files["piano"]] == ["C4.wav"]
    dogs = [file.name for file in folder.files["barking dog"]]
    assert len(dogs) == 10 and dogs == sorted(dogs)


def test_scan_says_what_is_wrong(tmp_path):
    with pytest.raises(ValueError, match="nowhere is not a folder"):
        SoundFolder.scan(tmp_path / "nowhere", DCASE2020_CLASSES)
    (tmp_path / "holidays").mkdir()
    with pytest.raises(ValueError, match=f"{tmp_path.name} holds no sounds.*barking_dog"):
        SoundFolder.scan(tmp_path, ["barking dog"])


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("seed", [0, 1])
def test_no_recording_is_on_both_sides_of_a_split(folder, share, seed):
    train, held_out = folder.split(share, seed)
    for name, files in folder.files.items():
        ours, theirs = train.files[name], held_out.files.get(name, ())
        assert sorted(ours + theirs) == sorted(files)
        assert not {recording_key(file) for file in ours} & {recording_key(file) for file in theirs}
        n_recordings = len({recording_key(file) for file in files})
        assert bool(theirs) == (n_recordings > 1) and ours
    assert len(held_out.files["barking dog"]) == 2 * min(4, max(1, round(share * 5)))


def test_a_split_follows_its_seed(folder):
    assert folder.split(0.4, 3) == folder.split(0.4, 3)
    assert len({folder.split(0.4, seed)[1].files["barking dog"] for seed in range(8)}) > 1


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1])
def test_a_share_that_leaves_a_side_empty_is_an_error(folder, share):
    with pytest.raises(ValueError, match="held_out_share"):
        folder.split(share, 0)


def test_a_draw_is_sane_named_and_follows_the_generator(folder):
    for name in folder.files:
        samples, file = folder.draw(name, generator(7))
        assert_sane(samples)
        assert folder.path / file in folder.files[name]
        np.testing.assert_array_equal(samples, folder.draw(name, generator(7))[0])


def test_a_draw_varies_speed_and_pitch_within_bounds_at_any_file_rate(folder):
    for name, seconds in (("piano", 1.0), ("running engine", None)):
        draws = [folder.draw(name, generator(seed))[0] for seed in range(12)]
        speeds = np.array([peak_hertz(samples) / 440 for samples in draws])
        assert speeds.min() > 0.84 and speeds.max() < 1.19 and np.ptp(speeds) > 0.1
        if seconds:
            lengths = np.array([len(samples) / RATE for samples in draws])
            np.testing.assert_allclose(lengths, seconds / speeds, rtol=0.01)


def test_single_steps_become_a_rhythm_and_short_barks_repeat(folder):
    steps, _ = folder.draw("footsteps", generator(1), 4.0)
    assert len(steps) == 4 * RATE and 6 <= onsets(steps) <= 11
    barks, _ = folder.draw("barking dog", generator(1), 4.0)
    assert 2 * RATE < len(barks) <= 4 * RATE and 3 <= onsets(barks, gap=0.05) <= 8
    note, _ = folder.draw("piano", generator(1), 4.0)
    assert len(note) < 1.3 * RATE, "a note is not repeated"


def test_a_long_recording_is_cut(folder):
    assert len(folder.draw("running engine", generator(1))[0]) == 8 * RATE
    excerpts = [folder.draw("running engine", generator(seed), 1.5, 16000)[0] for seed in (1, 2)]
    assert [len(excerpt) for excerpt in excerpts] == [24000, 24000]


def test_an_excerpt_is_not_the_silent_part(tmp_path):
    silence = np.zeros(6 * RATE)
    silence[4 * RATE : 5 * RATE] = 0.5 * np.sin(np.arange(RATE))
    (tmp_path / "barking_dog").mkdir()
    soundfile.write(tmp_path / "barking_dog" / "one.wav", silence, RATE)
    folder = SoundFolder.scan(tmp_path, DCASE2020_CLASSES)
    for seed in range(10):
        samples, _ = folder.draw("barking dog", generator(seed), 1.0)
        assert np.mean(np.abs(samples) > 0.1) > 0.05


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "alarm").mkdir()
    (tmp_path / "alarm" / "broken.wav").write_bytes(b"RIFF not really")
    with pytest.raises(ValueError, match=r"broken\.wav"):
        SoundFolder.scan(tmp_path, DCASE2020_CLASSES).draw("alarm", generator())
    (tmp_path / "alarm" / "broken.wav").unlink()
    soundfile.write(tmp_path / "alarm" / "mute.wav", np.zeros(RATE), RATE)
    with pytest.raises(ValueError, match=r"mute\.wav is silent"):
        SoundFolder.scan(tmp_path, DCASE2020_CLASSES).draw("alarm", generator())


def test_a_draw_of_a_class_without_files_is_an_error(folder):
    with pytest.raises(ValueError, match="'crash'"):
        folder.draw("crash", generator())


def test_a_bank_mixes_procedural_sounds_and_recordings(folder):
    rng = generator(8)
    bank = SourceBank(DCASE2020_CLASSES, folder, 0.3)
    names = [bank.draw("piano", rng, 0.3)[1] for _ in range(60)]
    assert set(names) == {"procedural", "piano/C4.wav"}
    assert 8 <= names.count("procedural") <= 30
    assert SourceBank(DCASE2020_CLASSES, folder, 0.0).draw("crash", rng, 0.5)[1] == "procedural"
    assert SourceBank(DCASE2020_CLASSES, folder, 1.0).draw("piano", rng, 0.5)[1] == "procedural"
    assert SourceBank(DCASE2020_CLASSES, None, 0.0).draw("piano", rng, 0.5)[1] == "procedural"


def test_a_bank_of_other_classes_draws_from_its_folder(tmp_path):
    write_tone(tmp_path / "kazoo" / "toot.wav")
    folder = SoundFolder.scan(tmp_path, ["kazoo"])
    assert SourceBank(["kazoo"], folder, 1.0).draw("kazoo", generator())[1] == "kazoo/toot.wav"
    with pytest.raises(ValueError, match="'triangle'"):
        SourceBank(["kazoo", "triangle"], folder, 0.5)
    with pytest.raises(ValueError, match="procedural_share"):
        SourceBank(["kazoo"], folder, 1.5)
    with pytest.raises(ValueError, match="'piano' is not in this bank"):
        SourceBank(["kazoo"], folder, 0.5).draw("piano", generator())


def test_strong_variation_draws_recordings_evenly_and_wider_in_pitch(tmp_path):
    for part in range(2, 10):
        write_tone(tmp_path / "alarm" / f"a__long_p{part}.wav", hertz=440)
    write_tone(tmp_path / "alarm" / "a__other.wav", hertz=1000)
    write_tone(tmp_path / "male_speech" / "a__voice.wav", hertz=440)
    sounds = SoundFolder.scan(tmp_path, DCASE2020_CLASSES)
    drawn = [sounds.draw("alarm", generator(seed), 1.0, strong=True) for seed in range(60)]
    assert 15 < sum("other" in name for _, name in drawn) < 45
    pitches = [peak_hertz(samples) / 440 for samples, name in drawn if "long" in name]
    assert min(pitches) < 0.82 and max(pitches) > 1.22 and all(0.68 < p < 1.44 for p in pitches)
    voices = [peak_hertz(sounds.draw("male speech", generator(seed), 1.0, strong=True)[0]) / 440 for seed in range(40)]
    assert all(0.83 < p < 1.2 for p in voices), "another pitch would be another speaker's sex"


def test_strong_variation_fills_thin_classes_with_procedural_sounds(tmp_path):
    write_tone(tmp_path / "alarm" / "a.wav")
    for n in range(40):
        write_tone(tmp_path / "piano" / f"p{chr(97 + n // 10)}{n % 10}x.wav")
    folder = SoundFolder.scan(tmp_path, DCASE2020_CLASSES)
    strong = SourceBank(DCASE2020_CLASSES, folder, 0.1, strong=True)
    none = SourceBank(DCASE2020_CLASSES, folder, 0.0, strong=True)

    def share(bank, name):
        return np.mean([bank.draw(name, generator(seed), 0.3)[1] == "procedural" for seed in range(80)])

    assert 0.35 < share(strong, "alarm") < 0.65
    assert share(strong, "piano") < 0.35
    assert share(none, "alarm") == 0
