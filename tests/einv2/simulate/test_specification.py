"""A scene as a small JSON: what it says is what is rendered, to the bit, and what is impossible is said."""

import dataclasses
import hashlib
import json

import numpy as np
import pytest
import soundfile

from einv2 import geometry
from einv2.audio import foa, recordings
from einv2.commands import main as cli
from einv2.labels import dcase_csv
from einv2.simulate import specification as scenes
from einv2.simulate.specification import Noise, Sound, Source, Specification, SpecifiedRoom

RATE = 24000
FREE = SpecifiedRoom((7.0, 6.0, 3.0), 0.0)
MEDIUM = SpecifiedRoom((7.0, 6.0, 3.0), 0.4)


def make_source(**changes):
    values = dict(class_name="running engine", sound=Sound("procedural", 4), onset_s=0.5, length_s=2.0)
    values |= dict(start_deg=(30.0, 0.0), end_deg=(30.0, 0.0), distance_m=1.0, level_db=0.0)
    return Source(**(values | changes))


def make(*sources, **changes):
    values = dict(seed=7, seconds=4, room=FREE, noise=None, peak_db=-3.0, sources=sources or (make_source(),))
    return Specification(**(values | changes))


def said(*sources, sounds=None, **changes):
    return [(p.source, p.text) for p in scenes.problems(make(*sources, **changes), sounds)]


# The JSON


@pytest.mark.parametrize("seed", range(5))
def test_the_json_gives_the_same_specification_and_the_same_samples(seed):
    drawn = scenes.draw(seed, 4, 3, 2, MEDIUM, Noise(15.5) if seed else None)
    again = scenes.from_text(scenes.to_text(drawn))
    assert again == drawn and scenes.to_text(again) == scenes.to_text(drawn)
    if seed < 2:
        (first, truth), (second, other) = scenes.rebuild(drawn), scenes.rebuild(again)
        assert np.array_equal(first, second) and truth.equals(other)


def test_the_json_is_small_and_says_all():
    values = json.loads(scenes.to_text(make()))
    assert values["version"] == 1 and values["sample_rate"] == RATE and values["class_list"] == "dcase2020"
    assert values["room"] == {"size_m": [7.0, 6.0, 3.0], "rt60_s": 0.0} and values["noise"] is None
    assert values["sources"] == [
        {
            "class": "running engine",
            "sound": {"name": "procedural", "seed": 4},
            "onset_s": 0.5,
            "length_s": 2.0,
            "start_deg": [30.0, 0.0],
            "end_deg": [30.0, 0.0],
            "distance_m": 1.0,
            "level_db": 0.0,
        }
    ]


def changed(path, value):
    """The JSON with one thing changed; None deletes it."""
    values = json.loads(scenes.to_text(make()))
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    if value is None:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    "text, says",
    [
        ("no json", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        ("[]", "the scene must be an object"),
        (changed(["volume"], 3), "unknown key, 'volume'"),
        (changed(["sources", 0, "colour"], "red"), "source 1 has an unknown key, 'colour'"),
        (changed(["sources", 0, "sound", "sha256"], "0"), "the sound of source 1 has an unknown key"),
        (changed(["sources", 0, "onset_s"], None), "source 1 has no onset_s"),
        (changed(["room", "rt60_s"], "long"), "rt60_s must be of type float"),
        (changed(["seconds"], 2.5), "seconds must be of type int"),
        (changed(["version"], 2), "version 2, but version 1"),
        (changed(["sources"], {}), "sources must be a list"),
        (changed(["peak_db"], 10**400), "too large"),
        ("[" * 100_000, "recursion"),
        (" " * 2_000_000, "larger than 1 MB"),
    ],
)
def test_another_json_is_refused_in_one_sentence(text, says):
    with pytest.raises(ValueError, match=r"^mine\.json is not the specification of a scene") as error:
        scenes.from_text(text, "mine.json")
    assert says in str(error.value) and "\n" not in str(error.value)


# What is possible


def test_a_possible_scene_has_no_problem():
    assert said() == [] and said(make_source(length_s=3.5), room=MEDIUM, noise=Noise(6.0)) == []


@pytest.mark.parametrize(
    "changes, says",
    [
        (dict(onset_s=4.0), "the onset at 4 s is not within the 4 s"),
        (dict(onset_s=-0.1), "the onset at -0.1 s"),
        (dict(onset_s=float("nan")), "the onset at nan s"),
        (dict(length_s=0.0), "lasts from 0.1 to 60 s, not 0 s"),
        (dict(onset_s=3.0), "it would end at 5 s, but the scene ends at 4 s"),
        (dict(class_name="thunder"), "'thunder' is not in the list"),
        (dict(level_db=99.0), "the level must lie in"),
        (dict(start_deg=(0.0, 95.0)), "elevations lie in"),
        (dict(start_deg=(200.0, 0.0)), "the first azimuth lies in"),
        (dict(end_deg=(float("inf"), 0.0)), "the last in"),
        (dict(start_deg=(1.0,)), "an azimuth and an elevation"),
        (dict(distance_m=9.0), "from 0.3 to 5 m away"),
        (dict(sound=Sound("dog.wav", sha256="no")), "64 hexadecimal digits"),
        (dict(sound=Sound("procedural", -1)), "whole number from 0 on"),
    ],
)
def test_what_is_impossible_is_said_of_its_source(changes, says):
    ((source, text),) = said(make_source(), make_source(**changes))
    assert source == 1 and says in text


def test_a_source_does_not_walk_through_the_wall():
    way = dict(start_deg=(0.0, 0.0), end_deg=(0.0, 90.0))
    assert said(make_source(distance_m=2.0, **way)) == []
    ((_, text),) = said(make_source(distance_m=2.0, **way), room=MEDIUM)
    assert "at most 1.2 m are free" in text  # half the height of 3 m, less 0.3 m


def test_a_class_without_a_built_in_sound_needs_a_file():
    ((_, text),) = said(make_source(class_name="clapping"), class_list="dcase2022")
    assert text == "clapping has no built-in sound: give it a file"


@pytest.mark.parametrize("rt60_s", [0.01, 30.0, -1.0, float("nan")])
def test_an_impossible_reverberation_time_is_said_with_the_possible_ones(rt60_s):
    room = SpecifiedRoom((7.0, 6.0, 3.0), rt60_s)
    ((source, text),) = said(room=room)
    assert source is None and "0.04 to 6.2 s are possible" in text
    low, high = room.possible_rt60_s()
    # Sabine's 24 ln 10 / c * V / A, with Eyring's absorption area A = -S ln(1 - a)
    assert high == pytest.approx(24 * np.log(10) / 343 * 126 / (162 * -np.log(0.98)))
    assert said(room=SpecifiedRoom(room.size_m, low)) == said(room=SpecifiedRoom(room.size_m, high)) == []


@pytest.mark.parametrize(
    "changes, says",
    [
        (dict(room=SpecifiedRoom((1.0, 6.0, 3.0), 0.4)), "not 1 × 6 × 3 m"),
        (dict(seconds=0), "from 1 to 120 s"),
        (dict(seconds=10**9), "from 1 to 120 s"),
        (dict(noise=Noise(float("nan"))), "signal-to-noise ratio"),
        (dict(peak_db=3.0), "the peak"),
        (dict(class_list="dcase1999"), "class lists"),
        (dict(sources=()), "from 1 to 64 sources"),
        (dict(sample_rate=48000), "24000 Hz"),
        (dict(seed=-1), "the seed"),
    ],
)
def test_what_is_impossible_of_the_scene_is_said(changes, says):
    ((source, text),) = [(p.source, p.text) for p in scenes.problems(dataclasses.replace(make(), **changes))]
    assert source is None and says in text


def test_too_many_at_once_are_said_where_they_begin():
    crowd = [make_source(onset_s=0.1 * n) for n in range(9)]
    assert said(*crowd[:8]) == []
    assert said(*crowd) == [(8, "at its onset 9 sources sound at once; at most 8 may")]


# The scene


def test_what_is_rendered_is_what_is_specified():
    source = make_source(start_deg=(170.0, 10.0), end_deg=(250.0, -30.0))
    signal, table = scenes.rebuild(make(source))
    assert signal.shape == (4, 4 * RATE) and signal.dtype == np.float32
    assert 20 * np.log10(np.abs(signal).max()) == pytest.approx(-3.0, abs=1e-3)
    assert table["frame"].tolist() == list(range(5, 25)) and set(table["class"]) == {4}
    # 80 degrees in 2 s; the middle of the first frame is 0.05 s after the onset
    assert table["azimuth"].iloc[0] == pytest.approx(172.0) and table["azimuth"].iloc[-1] == pytest.approx(-112.0)
    assert table["elevation"].iloc[[0, -1]].to_numpy() == pytest.approx([9.0, -29.0])
    assert not np.any(signal[:, : RATE // 2]) and np.any(signal[:, RATE // 2 : RATE])
    for row in table.itertuples():
        part = signal[:, row.frame * 2400 : (row.frame + 1) * 2400]
        assert geometry.angular_distance(*foa.intensity_direction(part), row.azimuth, row.elevation) < 3


def test_levels_are_those_asked_for():
    quiet = make_source(onset_s=0.0, length_s=2.0, level_db=-12.0)
    loud = make_source(onset_s=2.0, length_s=2.0, level_db=0.0)
    signal, _ = scenes.rebuild(make(quiet, loud))
    levels = [np.mean(signal[0, start : start + 2 * RATE - 4800] ** 2) for start in (0, 2 * RATE + 1200)]
    assert 10 * np.log10(levels[1] / levels[0]) == pytest.approx(12.0, abs=0.5)


def test_progress_counts_the_sources():
    seen = []
    scenes.rebuild(make(make_source(), make_source(onset_s=1.0)), progress=seen.append)
    assert seen == [1, 2]


def test_an_impossible_scene_is_not_rendered():
    with pytest.raises(ValueError, match=r"^source 1: the onset at 9 s"):
        scenes.rebuild(make(make_source(onset_s=9.0)))


# Files


@pytest.fixture
def dog(tmp_path, rng):
    """A mono file of 1.5 s at 44.1 kHz."""
    path = tmp_path / "sounds" / "deep" / "dog.wav"
    path.parent.mkdir(parents=True)
    soundfile.write(path, 0.3 * rng.standard_normal(66150), 44100)
    return path


def of_file(path, **changes):
    sound = Sound(path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    return make_source(**({"class_name": "barking dog", "sound": sound, "length_s": 1.0} | changes))


def test_a_file_sounds_from_its_beginning(dog):
    specified = scenes.from_text(scenes.to_text(make(of_file(dog))))
    digest, samples = scenes.read_sound(dog)
    assert len(samples) == 36000 and digest in specified.files
    signal, _ = scenes.rebuild(specified, {digest: samples})
    delay = np.argmax(np.abs(signal[0]) > 1e-3) - RATE // 2  # of 1 m
    assert delay == pytest.approx(RATE / 343, abs=2)
    start = RATE // 2 + delay
    heard, dry = signal[0, start : start + 20000], samples[np.argmax(np.abs(samples) > 1e-3) :][:20000]
    assert np.corrcoef(heard, dry)[0, 1] > 0.999


def test_a_file_that_does_not_do_is_said(dog):
    digest, samples = scenes.read_sound(dog)
    ((_, text),) = said(of_file(dog), sounds={})
    assert f"dog.wav with the SHA-256 {digest[:12]}… is not at hand" in text
    ((_, text),) = said(of_file(dog, length_s=2.0), sounds={digest: samples})
    assert text == "dog.wav lasts 1.50 s, so it cannot sound for 2 s"
    ((_, text),) = said(of_file(dog), sounds={digest: samples * 0})
    assert text == "dog.wav is silent for its first 1 s"
    assert said(of_file(dog)) == []


@pytest.mark.parametrize(
    "signal, says",
    [
        (np.zeros((4800, 1)), "is silent"),
        (np.ones((100, 1)), "expected at least 0.2 s"),
        (np.ones((4800, 2)), "has 2 channels; expected a mono sound"),
        (np.ones((24000 * 61, 1)), "expected at most 60 s"),
    ],
)
def test_a_sound_is_mono_and_heard(tmp_path, signal, says):
    soundfile.write(tmp_path / "a.flac", signal * 0.1, RATE)
    with pytest.raises(recordings.AudioError, match=f"^mine.flac: .*{says}"):
        scenes.read_sound(tmp_path / "a.flac", "mine.flac")


# Random scenes


@pytest.mark.parametrize("room", [FREE, MEDIUM, SpecifiedRoom((2.5, 2.2, 2.1), 0.2)])
def test_random_scenes_are_possible_and_as_asked_for(room):
    for seed in range(40):
        overlap = 1 + seed % 4
        drawn = scenes.draw(seed, 12, 2 + seed % 11, overlap, room)
        assert scenes.problems(drawn) == [] and len(drawn.sources) == 2 + seed % 11
        spans = [(s.onset_s, s.onset_s + s.length_s) for s in drawn.sources]
        assert max(sum(a <= onset < b for a, b in spans) for onset, _ in spans) <= overlap
    assert scenes.draw(3, 12, 5, 2, room) == scenes.draw(3, 12, 5, 2, room) != scenes.draw(4, 12, 5, 2, room)


def test_more_events_than_fit_are_refused():
    assert len(scenes.draw(1, 10, 14, 1, FREE).sources) == 14  # each of 0.5 s, and 0.2 s between them
    with pytest.raises(ValueError, match="15 events one after the other do not fit into 10 s"):
        scenes.draw(1, 10, 15, 1, FREE)
    with pytest.raises(ValueError, match="no class of dcase2019"):
        scenes.draw(1, 10, 3, 1, FREE, class_list="dcase2019")


# The command line


def test_the_command_line_renders_the_same_bytes(tmp_path, dog, capsys):
    specified = make(of_file(dog), make_source(), room=MEDIUM, noise=Noise(20.0))
    file = tmp_path / "mine.json"
    file.write_text(scenes.to_text(specified))
    out = tmp_path / "out"
    command = ["simulate", str(out), "--specification", str(file), "--sources", str(tmp_path / "sounds")]
    assert cli.main(command) == 0 and "mine: 2 sources in 4 s" in capsys.readouterr().out
    digest, samples = scenes.read_sound(dog)
    table = scenes.write(specified, {digest: samples}, tmp_path / "page", "mine")
    for part in ("foa_dev/mine.flac", "metadata_dev/mine.csv", "scenes/mine.json"):
        assert (out / part).read_bytes() == (tmp_path / "page" / part).read_bytes()
    assert len(dcase_csv.read_csv(out / "metadata_dev" / "mine.csv")) == len(table) == 30


def test_the_command_line_says_what_is_missing(tmp_path, dog, capsys):
    file = tmp_path / "mine.json"
    file.write_text(scenes.to_text(make(of_file(dog))))
    command = ["simulate", str(tmp_path / "out"), "--specification", str(file)]
    soundfile.write(tmp_path / "other.wav", np.ones(9000), RATE)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "other.wav").rename(elsewhere / "dog.wav")
    for further, says in (
        ([], "give the folder it is in with --sources"),
        (["--sources", str(elsewhere)], "holds another file of that name"),
        (["--sources", str(tmp_path / "out")], "does not hold dog.wav"),
        (["--scenes", "2"], "leave --scenes and --seed out"),
    ):
        assert cli.main([*command, *further]) == 1
        error = capsys.readouterr().err
        assert says in error and error.count("\n") == 1
    assert cli.main(["simulate", str(tmp_path / "out")]) == 1
    assert "--scenes and --seed" in capsys.readouterr().err
