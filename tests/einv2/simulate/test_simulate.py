"""The simulator: what is drawn, where it is heard from, how rooms and noise behave, and that a seed fixes every byte."""

import importlib
import os
import signal
from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest

from einv2 import geometry
from einv2.audio import foa, recordings
from einv2.labels import class_lists, dcase_csv
from einv2.simulate.render import render, render_event, write_scenes
from einv2.simulate.rooms import SPEED_OF_SOUND, Room
from einv2.simulate.scene import WALL_MARGIN_M, Scene, SceneConfig, SceneEvent, sample_scene, waypoints

RATE = 24000
FRAME = RATE // 10
ENGINE, SPEECH = 4, 6  # classes that sound without long pauses
NOISE_BANK = SimpleNamespace(
    classes=class_lists.DCASE2020_CLASSES,
    draw=lambda name, rng, seconds: (rng.standard_normal(round(seconds * RATE)), "noise"),
)


def make_event(**changes):
    values = dict(class_index=ENGINE, onset=0.537, max_seconds=2.5, azimuth=30.0, elevation=-20.0, azimuth_rate=0.0)
    values |= dict(elevation_rate=0.0, distance_m=1.5, level_db=0.0, seed=5)
    return SceneEvent(**(values | changes))


def make_scene(*events, rt60_s=0.0, snr_db=120.0, seconds=4):
    return Scene(seconds, (7.0, 6.0, 3.0), (3.4, 2.9, 1.4), rt60_s, snr_db, -3.0, 9, events)


def room(rt60_s, size=(7.0, 6.0, 3.0)):
    return Room(size, (0.45 * size[0], 0.52 * size[1], 1.4), rt60_s, RATE)


def frame_directions(signal, table):
    """For each row of a table: angular distance (degrees) of its frame's intensity from its label, and the frame's energy."""
    errors, energies = [], []
    for row in table.itertuples():
        part = signal[:, row.frame * FRAME : (row.frame + 1) * FRAME]
        errors.append(geometry.angular_distance(*foa.intensity_direction(part), row.azimuth, row.elevation))
        energies.append(np.sum(part[0] ** 2))
    return np.array(errors), np.array(energies)


@pytest.fixture(scope="module")
def drawn():
    """Forty scenes as they are drawn by default, not rendered."""
    return [sample_scene(SceneConfig(), 14, np.random.default_rng([11, i])) for i in range(40)]


# The same seed gives the same bytes


def folder_bytes(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_bytes_depend_on_seed_and_number_only(tmp_path, bank):
    config = SceneConfig(seconds=3, event_seconds=(0.5, 1.5))
    for name, n, seed, workers in (("one", 3, 1, 1), ("two", 3, 1, 2), ("fewer", 2, 1, 1), ("other", 3, 2, 1)):
        assert len(list(write_scenes(tmp_path / name, n, config, bank, seed, workers))) == n
    one, two, fewer, other = (folder_bytes(tmp_path / n) for n in ("one", "two", "fewer", "other"))
    assert len(one) == 10 and {n.rsplit(".")[-1] for n in one} == {"flac", "csv", "json", "txt"}
    assert one == two
    assert fewer == {name: data for name, data in one.items() if "mix0003" not in name}
    assert one.keys() == other.keys() and not any(one[n] == other[n] for n in one if n.endswith("flac"))


def test_complete_scenes_are_kept_and_others_refused(tmp_path, bank):
    config = SceneConfig(seconds=2, event_seconds=(0.5, 1.0))
    (stem,) = write_scenes(tmp_path, 1, config, bank, seed=1)
    before = (tmp_path / "foa_dev" / f"{stem}.flac").stat().st_mtime_ns
    assert len(list(write_scenes(tmp_path, 2, config, bank, seed=1))) == 2
    assert (tmp_path / "foa_dev" / f"{stem}.flac").stat().st_mtime_ns == before
    fewer_sounds = replace(bank, procedural_share=0.5)
    for other, sounds, seed in (
        (config, bank, 2),
        (replace(config, snr_db=(0.0, 1.0)), bank, 1),
        (config, fewer_sounds, 1),
    ):
        with pytest.raises(ValueError, match=rf"{stem}\.json is a scene of another seed"):
            list(write_scenes(tmp_path, 2, other, sounds, seed))


def test_a_scene_without_recordings_is_whole(scenes):
    for clip in sorted((scenes / "foa_dev").iterdir()):
        info = recordings.probe(clip)
        assert (info.channels, info.sample_rate, info.seconds) == (4, RATE, 8.0)
        table = dcase_csv.read_csv(scenes / "metadata_dev" / f"{clip.stem}.csv")
        assert len(table) and table["frame"].max() < 80


# Directions


@pytest.mark.parametrize("azimuth, elevation", [(0, 0), (90, 0), (-90, 30), (179, -45), (-135, 45), (37.4, -12.3)])
def test_static_anechoic_event_comes_from_its_label(rng, azimuth, elevation):
    event = make_event(azimuth=azimuth, elevation=elevation)
    wet = render_event(event, rng.standard_normal(RATE), room(0.0), rng)
    assert geometry.angular_distance(*foa.intensity_direction(wet), azimuth, elevation) < 0.01


@pytest.mark.parametrize("azimuth_rate, elevation_rate", [(0, 0), (40, 0), (-40, 12), (25, -15)])
def test_anechoic_labels_frame_by_frame(bank, azimuth_rate, elevation_rate):
    event = make_event(azimuth=150.0, azimuth_rate=azimuth_rate, elevation_rate=elevation_rate, distance_m=2.5)
    signal, table = render(make_scene(event), bank)
    assert len(table) in (25, 26)
    assert np.ptp(np.unwrap(table["azimuth"], period=360)) == pytest.approx(abs(azimuth_rate) * 2.45, abs=4)
    errors, _ = frame_directions(signal, table)
    assert errors.max() < 2


def test_every_event_of_a_drawn_anechoic_scene_comes_from_its_labels(bank):
    config = SceneConfig(seconds=10, event_seconds=(0.8, 3.0), anechoic=True, polyphonic_share=1.0)
    scene = sample_scene(config, 14, np.random.default_rng(4))
    assert len(scene.events) >= 5 and scene.rt60_s == 0
    for event in scene.events:
        signal, table = render(replace(scene, events=(event,), snr_db=120.0), bank)
        errors, energies = frame_directions(signal, table)
        assert np.average(errors, weights=energies) < 2, event


def test_moving_source_equals_the_encoded_one(rng):
    """No clicks and no smearing: nowhere far from the ideal encoder with the direction of each sample."""
    event = make_event(azimuth=-170.0, azimuth_rate=40.0, elevation=-30.0, elevation_rate=20.0, distance_m=2.0)
    dry = rng.standard_normal(2 * RATE + 1234)
    wet = render_event(event, dry, room(0.0), rng)
    delay = round(2.0 / SPEED_OF_SOUND * RATE)
    ideal = foa.encode(dry, *event.direction(np.arange(len(dry)) / RATE))
    np.testing.assert_allclose(wet[:, delay : delay + len(dry)], ideal, atol=2e-3 * np.abs(dry).max())
    outside = np.concatenate([wet[:, :delay], wet[:, delay + len(dry) :]], axis=1)
    assert np.abs(outside).max() < 1e-6  # transforms of single precision


# What is drawn


def test_events_never_exceed_max_overlap():
    for max_overlap in (1, 3):
        config = SceneConfig(
            seconds=12, max_overlap=max_overlap, polyphonic_share=1.0, event_seconds=(0.3, 2.0), gap_seconds=0.05,
            anechoic=True,
        )  # fmt: skip
        most = []
        for seed in range(5):
            _, table = render(sample_scene(config, 14, np.random.default_rng(seed)), NOISE_BANK)
            assert not table.duplicated(["frame", "class", "track"]).any()
            most.append(table.groupby("frame").size().max())
        assert max(most) == max_overlap


def speed_along_the_sphere(event):
    """Mean great-circle speed, degrees/s."""
    times = np.linspace(0, event.max_seconds, 200)
    vectors = geometry.to_vector(*event.direction(times))
    return geometry.distance(vectors[1:], vectors[:-1]).sum() / event.max_seconds


def test_ranges_of_drawn_scenes(drawn):
    events = [e for s in drawn for e in s.events]
    assert len(events) > 400
    moving = [e for e in events if e.azimuth_rate]
    assert len(moving) / len(events) == pytest.approx(0.5, abs=0.06)
    speeds = np.array([speed_along_the_sphere(e) for e in moving])
    assert 9 <= speeds.min() < 13 and 37 < speeds.max() <= 41 and np.mean((speeds >= 10) & (speeds <= 40)) > 0.95
    assert np.mean([e.azimuth_rate > 0 for e in moving]) == pytest.approx(0.5, abs=0.1)
    for values, low, high in (
        ([s.rt60_s for s in drawn], 0.2, 1.0),
        ([s.snr_db for s in drawn], 6, 30),
        ([s.peak_db for s in drawn], -16, -1),
    ):
        assert low <= min(values) and max(values) <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.15 * (high - low))
    elevations = np.concatenate([e.direction(np.array([0, e.max_seconds]))[1] for e in events])
    assert np.abs(elevations).max() <= 45 + 1e-9 and np.abs(elevations).max() > 43
    azimuths = np.array([e.azimuth for e in events])
    assert np.linalg.norm(geometry.to_vector(azimuths, 0).mean(axis=0)) < 0.1
    assert set(np.unique([e.class_index for e in events])) == set(range(14))
    assert all(e.onset >= 0 and e.onset + e.max_seconds <= s.seconds for s in drawn for e in s.events)


def test_sources_stay_inside_the_room(drawn):
    for scene in drawn:
        for event in scene.events:
            directions = geometry.to_vector(*event.direction(waypoints(event.max_seconds)))
            positions = np.array(scene.receiver_m) + event.distance_m * directions
            assert (positions > WALL_MARGIN_M - 1e-6).all()
            assert (positions < np.array(scene.room_m) - WALL_MARGIN_M + 1e-6).all()
            assert 0.3 < event.distance_m <= 4


def test_overlap_of_one_class_is_frequent(drawn):
    pairs = [
        (a.class_index == b.class_index)
        for s in drawn
        for i, a in enumerate(s.events)
        for b in s.events[i + 1 :]
        if b.onset < a.onset + a.max_seconds and a.onset < b.onset + b.max_seconds
    ]
    assert len(pairs) > 200 and 0.1 < np.mean(pairs) < 0.5  # 1 in 14 by chance


@pytest.mark.parametrize(
    "field, value",
    [
        ("seconds", 0), ("max_overlap", 0), ("moving_share", 1.5), ("event_seconds", (0.0, 1.0)), ("snr_db", (6.0,)),
        ("rt60_s", (1.0, 0.2)), ("height_m", (1.0, 2.0)), ("gap_seconds", -1.0), ("max_elevation", 91.0),
    ],
)  # fmt: skip
def test_impossible_ranges_are_refused(field, value):
    with pytest.raises(ValueError, match="a scene needs" if field in ("seconds", "max_overlap") else field):
        SceneConfig(**{field: value})


def test_a_drawn_scene_is_plain_data(drawn):
    """Its dictionary, as written beside the audio, rebuilds it."""
    scene = drawn[0]
    values = asdict(scene)
    assert Scene(**(values | {"events": tuple(SceneEvent(**e) for e in values["events"])})) == scene


# Rooms and noise


def impulse_response(rt60_s, size, seed):
    dry = np.zeros(FRAME)
    dry[0] = 1
    return render_event(make_event(), dry, room(rt60_s, size), np.random.default_rng(seed))


@pytest.mark.parametrize("rt60_s", [0.25, 0.5, 0.9])
@pytest.mark.parametrize("size", [(4.5, 5.0, 2.7), (9.5, 7.0, 3.8)])
def test_decay_is_the_reverberation_time(rt60_s, size):
    """T20: three times the fall from -5 to -25 dB of the backward-integrated energy."""
    energy = impulse_response(rt60_s, size, 0)[0] ** 2
    curve = 10 * np.log10(np.cumsum(energy[::-1])[::-1] / energy.sum() + 1e-20)
    at = [np.argmax(curve < level) / RATE for level in (-5, -25)]
    assert 3 * (at[1] - at[0]) == pytest.approx(rt60_s, rel=0.25)


def test_late_field_is_diffuse():
    """In SN3D each of Y, Z and X has a third of the energy of W, and the channels are not correlated."""
    late = impulse_response(0.8, (7.0, 6.0, 3.0), 1)[:, room(0.8).mixing_samples :]
    energy = np.sum(late**2, axis=1)
    np.testing.assert_allclose(10 * np.log10(energy[1:] / energy[0]), 10 * np.log10(1 / 3), atol=0.7)
    assert np.abs(np.corrcoef(late) - np.eye(4)).max() < 0.1


@pytest.mark.parametrize("snr_db", [6.0, 20.0])
@pytest.mark.parametrize("rt60_s", [0.0, 0.4])
def test_noise_has_the_drawn_level(snr_db, rt60_s):
    scene = make_scene(make_event(azimuth_rate=20.0), rt60_s=rt60_s)
    clean, _ = render(scene, NOISE_BANK)
    noisy, _ = render(replace(scene, snr_db=snr_db), NOISE_BANK)
    clean = clean * np.vdot(noisy, clean) / np.vdot(clean, clean)  # the two differ in level, too
    onset = round(0.537 * RATE)
    signal_power = np.mean(clean[0, onset : onset + round(2.5 * RATE)] ** 2)
    assert 10 * np.log10(signal_power / np.mean((noisy - clean)[0] ** 2)) == pytest.approx(snr_db, abs=0.5)
    assert np.abs(noisy).max() == pytest.approx(10 ** (-3 / 20), rel=1e-5)


def test_level_of_an_event_is_the_drawn_one(bank):
    """6 dB more in the drawing are 6 dB more between two events of one scene."""
    events = make_event(onset=0.2, max_seconds=1.5), make_event(onset=2.2, max_seconds=1.5, level_db=6.0)
    signal, _ = render(make_scene(*events), bank)
    first, second = (np.mean(signal[0, round(t * RATE) : round((t + 1.5) * RATE)] ** 2) for t in (0.2, 2.2))
    assert 10 * np.log10(second / first) == pytest.approx(6, abs=1)


def test_a_killed_worker_is_said_in_one_line(tmp_path, bank, monkeypatch):
    monkeypatch.setattr(importlib.import_module("einv2.simulate.render"), "_write_scene", _die)
    with pytest.raises(OSError, match="a process that renders scenes was killed"):
        list(write_scenes(tmp_path, 2, SceneConfig(seconds=2), bank, seed=1, workers=2))


def _die(job):
    os.kill(os.getpid(), signal.SIGKILL)
