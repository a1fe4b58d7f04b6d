"""What is in a scene: the ranges to draw from (``SceneConfig``), and one drawn scene (``Scene``), which rebuilds the audio.

The default ranges are near those of TAU-NIGENS Spatial Sound Events 2020: minutes of at most two simultaneous events, half
of them moving, in rooms of 0.2 to 1 s reverberation time at 6 to 30 dB signal-to-noise ratio. What recordings have besides, the
disturbances, is off by default. It is drawn from a generator of its own, so that a disturbed scene has the events, the room and
the noise of the undisturbed one of the same seed.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated

import numpy as np

from .. import geometry
from ..config import from_json
from ..frames import LABEL_FRAME_SECONDS, LABEL_FRAMES_PER_SECOND
from .disturbances import NO_CLASS, Ambience, Channel, DirectionalNoise
from .microphone import Microphone
from .rooms import Walls

MAX_SECONDS = 3600  # of a scene that is read
WALL_MARGIN_M = 0.3  # sources keep this far from every wall
Range = tuple[float, float]
_LOWEST = {
    "event_seconds": 0.1,
    "speed_deg_per_s": 0.0,
    "level_db": -np.inf,
    "snr_db": -np.inf,
    "rt60_s": 0.0,
    "floor_m": 2.0,
    "height_m": 2.2,  # the receiver stands up to 1.6 m high
    "peak_db": -np.inf,
    "interferer_level_db": -np.inf,
    "directional_noise_db": -np.inf,
    "ambience_db": -np.inf,
    "direct_loss_db": 0.0,
    "long_rt60_s": 0.0,
    "low_decay": 0.1,
    "high_decay": 0.1,
    "scattering": 0.0,
    "microphone_radius_m": 0.0,
    "capsule_gain_db": 0.0,
    "capsule_delay_us": 0.0,
    "channel_noise_db": -np.inf,
    "low_pass_hz": 500.0,
}
_HIGHEST = {"scattering": 1.0, "microphone_radius_m": 0.05, "low_pass_hz": 12000.0}
# Typical levels against speech, dB, of sources that are as far away
CLASS_LEVELS_DB = {
    "alarm": 4.0,
    "crying baby": 3.0,
    "crash": 6.0,
    "barking dog": 6.0,
    "running engine": 3.0,
    "female scream": 8.0,
    "burning fire": -8.0,
    "footsteps": -8.0,
    "knocking on door": -2.0,
    "male scream": 8.0,
    "piano": 2.0,
}


@dataclass(frozen=True)
class SceneConfig:
    """Ranges are (low, high), drawn uniformly unless the text beside them says otherwise."""

    seconds: Annotated[int, "length of a scene, s"] = 60
    max_overlap: Annotated[int, "most simultaneous events; each of so many lanes holds one event after the other"] = 2
    polyphonic_share: Annotated[float, "share of the scenes with max_overlap lanes, 0 to 1; the others have one"] = 0.6
    same_class_share: Annotated[float, "share of the events starting during another that take its class, 0 to 1"] = 0.25
    event_seconds: Annotated[Range, "longest length allowed to a sound, s, log-uniform"] = (0.8, 9.0)
    gap_seconds: Annotated[float, "mean pause between the events of a lane, s, exponential"] = 0.6
    moving_share: Annotated[float, "share of moving events, 0 to 1"] = 0.5
    speed_deg_per_s: Annotated[Range, "speed of a moving event along the sphere, degrees/s"] = (10.0, 40.0)
    max_elevation: Annotated[float, "greatest elevation, up or down, degrees"] = 45.0
    level_db: Annotated[Range, "level of an event against the others, dB"] = (-8.0, 4.0)
    snr_db: Annotated[Range, "signal-to-noise ratio, dB"] = (6.0, 30.0)
    rt60_s: Annotated[Range, "reverberation time, s"] = (0.2, 1.0)
    floor_m: Annotated[Range, "length and width of the room, m"] = (4.0, 10.0)
    height_m: Annotated[Range, "height of the room, m"] = (2.6, 4.0)
    peak_db: Annotated[Range, "peak of the whole scene, dB re full scale"] = (-16.0, -1.0)
    anechoic: Annotated[bool, "direct sound only"] = False
    even_overlap: Annotated[
        bool, "polyphonic scenes have 2, 3, .. or max_overlap lanes, drawn evenly, instead of max_overlap"
    ] = False
    class_levels: Annotated[float, "share of the typical differences of level between classes, 0 to 1"] = 0.0
    interferer_share: Annotated[float, "share of the scenes with sounds of no class, from a direction, unlabelled"] = (
        0.0
    )
    interferer_level_db: Annotated[Range, "level of a sound of no class, on the scale of level_db, dB"] = (-14.0, 2.0)
    interferer_gap_seconds: Annotated[float, "mean pause between two sounds of no class, s, exponential"] = 1.5
    directional_noise_share: Annotated[float, "share of the scenes with steady noise from one direction"] = 0.0
    directional_noise_db: Annotated[Range, "level of the events above that noise, dB"] = (6.0, 25.0)
    ambience_share: Annotated[float, "share of the scenes with several soft distant sources"] = 0.0
    ambience_sources: Annotated[tuple[int, int], "number of those sources"] = (3, 6)
    ambience_db: Annotated[Range, "level of the events above all of them, dB"] = (10.0, 30.0)
    direct_loss_db: Annotated[Range, "loss of the direct sound of an event, whose source is turned away, dB"] = (
        0.0,
        0.0,
    )
    long_rt60_share: Annotated[float, "share of the scenes with a reverberation time out of long_rt60_s"] = 0.0
    long_rt60_s: Annotated[Range, "long reverberation time, s"] = (1.0, 2.5)
    wall_share: Annotated[float, "share of the scenes whose walls absorb by frequency and scatter"] = 0.0
    low_decay: Annotated[Range, "their reverberation time below 250 Hz, times rt60_s"] = (0.8, 1.6)
    high_decay: Annotated[Range, "their reverberation time above 4 kHz, times rt60_s"] = (0.35, 0.9)
    scattering: Annotated[Range, "share of the energy that they scatter at a reflection, 0 to 1"] = (0.0, 0.6)
    microphone_share: Annotated[float, "share of the scenes recorded by four capsules that are not ideal"] = 0.0
    microphone_radius_m: Annotated[
        Range, "their distance from the centre, m; aliasing starts at about 55 / radius Hz; 0: none"
    ] = (0.004, 0.015)
    rigid_share: Annotated[float, "share of those microphones that are a rigid sphere, not cardioids in free air"] = (
        0.25
    )
    capsule_gain_db: Annotated[Range, "standard deviation of the gains of the capsules of a microphone, dB"] = (
        0.0,
        1.5,
    )
    capsule_delay_us: Annotated[Range, "standard deviation of the delays of the capsules, microseconds"] = (0.0, 4.0)
    channel_noise_share: Annotated[float, "share of those microphones with low-frequency noise of Y, Z and X"] = 0.3
    channel_noise_db: Annotated[Range, "level of the events above that noise, dB"] = (5.0, 40.0)
    wrong_gain_share: Annotated[float, "share of the scenes in which the gains of N3D or FuMa were left in"] = 0.0
    low_pass_share: Annotated[float, "share of the scenes without the highest frequencies"] = 0.0
    low_pass_hz: Annotated[Range, "where those scenes end, Hz, log-uniform"] = (3500.0, 11000.0)
    codec_share: Annotated[float, "share of the scenes that went through MP3 or Vorbis"] = 0.0

    @classmethod
    def disturbed(cls, **changes) -> "SceneConfig":
        """What recordings have, in ranges for training."""
        return cls(**(DISTURBED | changes))

    def __post_init__(self) -> None:
        if self.seconds < 1 or self.max_overlap < 1:
            raise ValueError(f"a scene needs at least 1 s and 1 lane, not {self.seconds} s and {self.max_overlap}")
        for name in ("class_levels", *(name for name in vars(self) if name.endswith("_share"))):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in [0, 1]")
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            highest = _HIGHEST.get(name, np.inf)
            if len(value) != 2 or not lowest <= value[0] <= value[1] <= highest or value[1] == np.inf:
                upper = f" <= {highest}" if highest < np.inf else ""
                raise ValueError(f"{name} {value} must be low and high, with {lowest} <= low <= high{upper}")
        for name in ("gap_seconds", "interferer_gap_seconds"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} {getattr(self, name)} must not be negative")
        if len(self.ambience_sources) != 2 or not 1 <= self.ambience_sources[0] <= self.ambience_sources[1] <= 50:
            raise ValueError(
                f"ambience_sources {self.ambience_sources} must be low and high, with 1 <= low <= high <= 50"
            )
        if not 0 <= self.max_elevation <= 90:
            raise ValueError(f"max_elevation {self.max_elevation} must lie in [0, 90] degrees")


DISTURBED: dict[str, float | Range] = {
    "class_levels": 0.5,
    "interferer_share": 0.7,
    "directional_noise_share": 0.5,
    "ambience_share": 0.3,
    "direct_loss_db": (0.0, 6.0),
    "long_rt60_share": 0.1,
    "wall_share": 0.7,
    "microphone_share": 0.8,
    "wrong_gain_share": 0.04,
    "low_pass_share": 0.1,
    "codec_share": 0.1,
}


@dataclass(frozen=True)
class SceneEvent:
    """A sound on its way: a straight line in (azimuth, elevation) at constant distance."""

    class_index: int  # NO_CLASS: not labelled
    onset: float  # s
    max_seconds: float  # a longer sound is cut
    azimuth: float  # degrees at the onset
    elevation: float
    azimuth_rate: float  # degrees/s; 0 if static
    elevation_rate: float
    distance_m: float
    level_db: float
    seed: int  # of the sound
    direct_loss_db: float = 0.0  # of the direct sound, as of a source that is turned away

    def direction(self, seconds) -> tuple[np.ndarray, np.ndarray]:
        """(azimuth, elevation) in degrees, ``seconds`` after the onset."""
        seconds = np.asarray(seconds, float)
        azimuth = geometry.wrap_azimuth(self.azimuth + self.azimuth_rate * seconds)
        return azimuth, self.elevation + self.elevation_rate * seconds


@dataclass(frozen=True)
class Disturbances:
    """Everything in one recording besides its events. ``interferers`` are sounds of no class that move as events do."""

    interferers: tuple[SceneEvent, ...] = ()
    noise: DirectionalNoise | None = None
    ambience: Ambience | None = None
    walls: Walls | None = None
    microphone: Microphone | None = None
    channel: Channel | None = None


@dataclass(frozen=True)
class Scene:
    """One scene, all of it drawn. Rendered with the same sources it gives the same samples."""

    seconds: int
    room_m: tuple[float, float, float]
    receiver_m: tuple[float, float, float]
    rt60_s: float  # 0: anechoic
    snr_db: float
    peak_db: float
    seed: int  # of the noise and the late reverberation
    events: tuple[SceneEvent, ...]
    disturbances: Disturbances | None = None


def scene_to_json(scene: Scene) -> dict:
    """A scene as plain JSON values; what is off is left out."""
    values = asdict(scene)
    if scene.disturbances is None:
        del values["disturbances"]
    for event in [*values["events"], *(values.get("disturbances") or {"interferers": ()})["interferers"]]:
        if not event["direct_loss_db"]:
            del event["direct_loss_db"]
    return json.loads(json.dumps(values))


def scene_from_json(values: dict) -> Scene:
    """The scene of a JSON object as ``write_scenes`` writes it, less ``sounds``, which names what it was rendered with.

    ValueError if a field is missing or unknown, or of the wrong type.
    """
    try:
        events = tuple(from_json(SceneEvent, event) for event in values["events"])
        disturbances = values.get("disturbances")
        flat = {key: value for key, value in values.items() if key not in ("sounds", "events", "disturbances")}
        scene = replace(
            from_json(Scene, flat | {"events": ()}),
            events=events,
            disturbances=None if disturbances is None else disturbances_from_json(disturbances),
        )
        require_possible(scene)
        return scene
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is not a scene: {error}") from error


def require_possible(scene: Scene) -> None:
    """ValueError, one sentence, if it cannot be rendered."""
    found = scene.disturbances or Disturbances()
    numbers = json.dumps(scene_to_json(replace(scene, snr_db=min(scene.snr_db, 1e3))))
    if "NaN" in numbers or "Infinity" in numbers:
        raise ValueError("a scene holds finite numbers only")
    if not 1 <= scene.seconds <= MAX_SECONDS:
        raise ValueError(f"a scene lasts from 1 to {MAX_SECONDS} s, not {scene.seconds} s")
    if len(scene.room_m) != 3 or len(scene.receiver_m) != 3 or not 0 <= scene.rt60_s <= 30:
        raise ValueError("a room has three sides, a receiver three coordinates, and up to 30 s of reverberation")
    if not all(0 < at < side <= 100 for at, side in zip(scene.receiver_m, scene.room_m)):
        raise ValueError(f"the receiver at {scene.receiver_m} is not inside of a room of {scene.room_m} m")
    sounds = (*scene.events, *found.interferers)
    levels = [scene.peak_db, *(level for sound in sounds for level in (sound.level_db, sound.direct_loss_db))]
    levels += [part.level_db for part in (found.noise, found.ambience) if part is not None]
    if max(map(abs, levels)) > 200:
        raise ValueError("levels lie in -200 to 200 dB")
    if (noise := found.noise) is not None:
        reach = free_path((noise.azimuth, noise.elevation), scene.room_m, scene.receiver_m)
        if not 0 < noise.distance_m <= reach + WALL_MARGIN_M:
            raise ValueError(f"the noise from a direction, {noise.distance_m} m away, is not inside of the room")
    for event in sounds:
        reach = free_path(
            event.direction(waypoints(min(event.max_seconds, MAX_SECONDS))), scene.room_m, scene.receiver_m
        )
        if not (0 <= event.onset < scene.seconds and 0.1 <= event.max_seconds <= scene.seconds):
            raise ValueError(
                f"an event at {event.onset} s of {event.max_seconds} s does not fit into {scene.seconds} s"
            )
        if not 0 < event.distance_m <= reach + WALL_MARGIN_M or event.seed < 0:
            raise ValueError(f"an event at {event.distance_m} m is not inside of the room, or has a negative seed")


def disturbances_from_json(values: dict) -> Disturbances:
    """TypeError, KeyError or ValueError if a field is missing, unknown or impossible."""
    kinds = {
        "noise": DirectionalNoise,
        "ambience": Ambience,
        "walls": Walls,
        "microphone": Microphone,
        "channel": Channel,
    }
    parts = {
        name: None if value is None else from_json(kinds[name], value)
        for name, value in values.items()
        if name != "interferers"
    }
    return Disturbances(tuple(from_json(SceneEvent, event) for event in values.get("interferers", ())), **parts)


def sample_scene(
    config: SceneConfig, n_classes: int, rng: np.random.Generator, class_names: Sequence[str] = ()
) -> Scene:
    """Draw a scene. Events never exceed ``max_overlap`` at a time: each lane holds one after the other.

    class_names: of the classes, for ``class_levels``.
    """
    room = np.array([rng.uniform(*config.floor_m), rng.uniform(*config.floor_m), rng.uniform(*config.height_m)])
    receiver = np.array([*(room[:2] * rng.uniform(0.4, 0.6, 2)), rng.uniform(1.2, 1.6)])
    lanes = config.max_overlap if rng.random() < config.polyphonic_share else 1
    if config.even_overlap and lanes > 2:
        lanes = int(rng.integers(2, lanes + 1))
    events: list[SceneEvent] = []
    for _ in range(lanes):
        _fill_lane(events, config, n_classes, room, receiver, rng)
    scene = Scene(
        seconds=config.seconds,
        room_m=tuple(room.tolist()),
        receiver_m=tuple(receiver.tolist()),
        rt60_s=0.0 if config.anechoic else float(rng.uniform(*config.rt60_s)),
        snr_db=float(rng.uniform(*config.snr_db)),
        peak_db=float(rng.uniform(*config.peak_db)),
        seed=int(rng.integers(2**31)),
        events=tuple(sorted(events, key=lambda e: (e.onset, e.seed))),
    )
    return _disturb(scene, config, class_names)


def _disturb(scene: Scene, config: SceneConfig, class_names: Sequence[str]) -> Scene:
    """The scene with all that recordings have besides. Each kind has a generator of its own: it is the same with or without
    the others."""
    rngs = [np.random.default_rng([scene.seed, kind]) for kind in range(8)]
    scene = replace(scene, events=_at_levels(scene.events, config, class_names, rngs[0]))
    if scene.rt60_s and rngs[1].random() < config.long_rt60_share:
        scene = replace(scene, rt60_s=float(rngs[1].uniform(*config.long_rt60_s)))
    disturbances = Disturbances(
        interferers=_interferers(scene, config, rngs[2]),
        noise=_directional_noise(scene, config, rngs[3]),
        ambience=_ambience(scene, config, rngs[4]),
        walls=_walls(config, rngs[5]) if scene.rt60_s else None,
        microphone=_microphone(config, rngs[6]),
        channel=_channel(config, rngs[7]),
    )
    return scene if disturbances == Disturbances() else replace(scene, disturbances=disturbances)


def _at_levels(events, config, class_names, rng) -> tuple[SceneEvent, ...]:
    """The events at the levels of their classes, their sources turned away."""
    if not config.class_levels and not any(config.direct_loss_db):
        return events
    offsets = [config.class_levels * CLASS_LEVELS_DB.get(name, 0.0) for name in class_names]
    return tuple(
        replace(
            event,
            level_db=event.level_db + (offsets[event.class_index] if offsets else 0.0),
            direct_loss_db=float(rng.uniform(*config.direct_loss_db)),
        )
        for event in events
    )


def _interferers(scene, config, rng) -> tuple[SceneEvent, ...]:
    if rng.random() >= config.interferer_share:
        return ()
    events: list[SceneEvent] = []
    ranges = replace(
        config, level_db=config.interferer_level_db, gap_seconds=config.interferer_gap_seconds, same_class_share=0.0
    )
    _fill_lane(events, ranges, 1, np.asarray(scene.room_m), np.asarray(scene.receiver_m), rng)
    return tuple(replace(event, class_index=NO_CLASS) for event in events)


def _directional_noise(scene, config, rng) -> DirectionalNoise | None:
    if rng.random() >= config.directional_noise_share:
        return None
    event = sample_event(
        replace(config, moving_share=0.0), NO_CLASS, 0.0, config.seconds, scene.room_m, scene.receiver_m, rng
    )
    level = float(rng.uniform(*config.directional_noise_db))
    return DirectionalNoise(event.azimuth, event.elevation, event.distance_m, level, event.seed)


def _ambience(scene, config, rng) -> Ambience | None:
    if rng.random() >= config.ambience_share:
        return None
    low, high = config.ambience_sources
    n = int(rng.integers(low, high + 1))
    directions = tuple((float(rng.uniform(-180, 180)), float(rng.uniform(-20, 45))) for _ in range(n))
    return Ambience(directions, float(rng.uniform(*config.ambience_db)), int(rng.integers(2**31)))


def _walls(config, rng) -> Walls | None:
    if rng.random() >= config.wall_share:
        return None
    low, high, scattering = (
        float(rng.uniform(*bounds)) for bounds in (config.low_decay, config.high_decay, config.scattering)
    )
    return Walls(low, high, scattering, int(rng.integers(2**31)))


def _microphone(config, rng) -> Microphone | None:
    differs, wrong = rng.random() < config.microphone_share, rng.random() < config.wrong_gain_share
    values: dict = {"convention": ("n3d", "fuma")[rng.integers(2)]} if wrong else {}
    if differs:
        spreads = rng.uniform(*config.capsule_gain_db), rng.uniform(*config.capsule_delay_us)
        values |= {
            "radius_m": float(rng.uniform(*config.microphone_radius_m)),
            "rigid": bool(rng.random() < config.rigid_share),
            "equalised": bool(rng.random() < 0.5),
            "gains_db": tuple(rng.normal(0, spreads[0], 4).tolist()),
            "delays_us": tuple(rng.normal(0, spreads[1], 4).tolist()),
        }
        if rng.random() < config.channel_noise_share:
            level, corner = rng.uniform(*config.channel_noise_db), np.exp(rng.uniform(np.log(40), np.log(400)))
            values |= {"noise_db": float(level), "noise_hz": float(corner)}
    return Microphone(**values) if values else None


def _channel(config, rng) -> Channel | None:
    low_pass = coded = None
    if rng.random() < config.low_pass_share:
        low_pass = float(np.exp(rng.uniform(*np.log(config.low_pass_hz))))
    if rng.random() < config.codec_share:
        coded = str(rng.choice(["mp3", "vorbis"]))
    return Channel(low_pass, coded, float(rng.uniform(0, 1))) if low_pass or coded else None


def _fill_lane(events, config, n_classes, room, receiver, rng) -> None:
    others = tuple(events)
    low, high = np.log(config.event_seconds)
    time = rng.exponential(config.gap_seconds)
    while True:
        length = float(np.exp(rng.uniform(low, high)))
        if time + length > config.seconds:
            return
        sounding = [e.class_index for e in others if e.onset <= time < e.onset + e.max_seconds]
        same = sounding and rng.random() < config.same_class_share
        class_index = sounding[0] if same else int(rng.integers(n_classes))
        events.append(sample_event(config, class_index, time, length, room, receiver, rng))
        # the next event starts at least one whole label frame later, so that a lane never holds two in one frame
        time += length + LABEL_FRAME_SECONDS + rng.exponential(config.gap_seconds)


def sample_event(config, class_index, onset, length, room, receiver, rng) -> SceneEvent:
    """Draw the path, level and distance of an event of a class at an onset and of a length (s), inside of a room (m)."""
    moving = rng.random() < config.moving_share
    elevation, end_elevation = rng.uniform(-config.max_elevation, config.max_elevation, 2)
    rates = _rates(config, elevation, end_elevation, length, rng) if moving else (0.0, 0.0)
    path = dict(
        azimuth=float(rng.uniform(-180, 180)),
        elevation=float(elevation),
        azimuth_rate=float(rates[0]),
        elevation_rate=float(rates[1]),
    )
    event = SceneEvent(
        class_index=class_index,
        onset=float(onset),
        max_seconds=length,
        distance_m=1.0,
        level_db=float(rng.uniform(*config.level_db)),
        seed=int(rng.integers(2**31)),
        **path,
    )
    reach = free_path(event.direction(waypoints(length)), room, receiver)
    distance = float(rng.uniform(min(0.8, 0.6 * reach), min(4.0, reach)))
    return SceneEvent(**(event.__dict__ | dict(distance_m=distance)))


def _rates(config, elevation, end_elevation, length, rng) -> tuple[float, float]:
    """Degrees/s of azimuth and elevation for a drawn speed along the sphere, heading for ``end_elevation``.

    At most half of the speed is vertical; the azimuth makes up the rest at the middle of the way.
    """
    speed = rng.uniform(*config.speed_deg_per_s)
    vertical = float(np.clip((end_elevation - elevation) / length, -speed / 2, speed / 2))
    middle = np.radians(elevation + vertical * length / 2)
    return rng.choice([-1, 1]) * np.sqrt(speed**2 - vertical**2) / np.cos(middle), vertical


def waypoints(seconds: float) -> np.ndarray:
    """Times (s) at which a path is evaluated: the start of every label frame, and one more."""
    return np.arange(int(np.ceil(seconds * LABEL_FRAMES_PER_SECOND)) + 1) / LABEL_FRAMES_PER_SECOND


def free_path(direction, room, receiver) -> float:
    """How far (m) a source may be from the receiver in every one of these directions and stay inside the room."""
    vectors = geometry.to_vector(*direction)
    room, receiver = np.asarray(room), np.asarray(receiver)
    gap = np.where(vectors > 0, room - receiver, receiver) - WALL_MARGIN_M
    return float(np.min(gap / np.maximum(np.abs(vectors), 1e-6)))
