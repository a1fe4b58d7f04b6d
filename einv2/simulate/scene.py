"""What is in a scene: the ranges to draw from (``SceneConfig``), and one drawn scene (``Scene``), which rebuilds the audio.

The default ranges are near those of TAU-NIGENS Spatial Sound Events 2020: minutes of at most two simultaneous events, half
of them moving, in rooms of 0.2 to 1 s reverberation time at 6 to 30 dB signal-to-noise ratio.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from .. import geometry
from ..config import LABEL_FRAME_SECONDS, LABEL_FRAMES_PER_SECOND

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

    def __post_init__(self) -> None:
        if self.seconds < 1 or self.max_overlap < 1:
            raise ValueError(f"a scene needs at least 1 s and 1 lane, not {self.seconds} s and {self.max_overlap}")
        for name in ("polyphonic_share", "same_class_share", "moving_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in [0, 1]")
        for name, lowest in _LOWEST.items():
            value = getattr(self, name)
            if len(value) != 2 or not lowest <= value[0] <= value[1] < np.inf:
                raise ValueError(f"{name} {value} must be low and high, with {lowest} <= low <= high")
        if not 0 <= self.gap_seconds < np.inf:
            raise ValueError(f"gap_seconds {self.gap_seconds} must not be negative")
        if not 0 <= self.max_elevation <= 90:
            raise ValueError(f"max_elevation {self.max_elevation} must lie in [0, 90] degrees")


@dataclass(frozen=True)
class SceneEvent:
    """A sound on its way: a straight line in (azimuth, elevation) at constant distance."""

    class_index: int
    onset: float  # s
    max_seconds: float  # a longer sound is cut
    azimuth: float  # degrees at the onset
    elevation: float
    azimuth_rate: float  # degrees/s; 0 if static
    elevation_rate: float
    distance_m: float
    level_db: float
    seed: int  # of the sound

    def direction(self, seconds) -> tuple[np.ndarray, np.ndarray]:
        """(azimuth, elevation) in degrees, ``seconds`` after the onset."""
        seconds = np.asarray(seconds, float)
        azimuth = geometry.wrap_azimuth(self.azimuth + self.azimuth_rate * seconds)
        return azimuth, self.elevation + self.elevation_rate * seconds


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


def scene_from_json(values: dict) -> Scene:
    """The scene of a JSON object as ``write_scenes`` writes it, less ``sounds``, which names what it was rendered with.

    ValueError if a field is missing or unknown.
    """
    try:
        events = tuple(SceneEvent(**event) for event in values["events"])
        lists = {key: tuple(values[key]) for key in ("room_m", "receiver_m")}
        fields = {key: value for key, value in values.items() if key != "sounds"}
        return Scene(**(fields | lists | {"events": events}))
    except (TypeError, KeyError) as error:
        raise ValueError(f"this is not a scene: {error}") from error


def sample_scene(config: SceneConfig, n_classes: int, rng: np.random.Generator) -> Scene:
    """Draw a scene. Events never exceed ``max_overlap`` at a time: each lane holds one after the other."""
    room = np.array([rng.uniform(*config.floor_m), rng.uniform(*config.floor_m), rng.uniform(*config.height_m)])
    receiver = np.array([*(room[:2] * rng.uniform(0.4, 0.6, 2)), rng.uniform(1.2, 1.6)])
    lanes = config.max_overlap if rng.random() < config.polyphonic_share else 1
    events: list[SceneEvent] = []
    for _ in range(lanes):
        _fill_lane(events, config, n_classes, room, receiver, rng)
    return Scene(
        seconds=config.seconds,
        room_m=tuple(room.tolist()),
        receiver_m=tuple(receiver.tolist()),
        rt60_s=0.0 if config.anechoic else float(rng.uniform(*config.rt60_s)),
        snr_db=float(rng.uniform(*config.snr_db)),
        peak_db=float(rng.uniform(*config.peak_db)),
        seed=int(rng.integers(2**31)),
        events=tuple(sorted(events, key=lambda e: (e.onset, e.seed))),
    )


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
