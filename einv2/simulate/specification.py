"""A scene as a small JSON that says all that is in it, and rebuilds its audio and annotation to the bit.

    {"version": 1, "seed": 7, "seconds": 10, "sample_rate": 24000, "class_list": "dcase2020",
     "room": {"size_m": [7.0, 6.0, 3.0], "rt60_s": 0.4}, "noise": {"snr_db": 20.0}, "peak_db": -3.0,
     "sources": [{"class": "alarm", "sound": {"name": "procedural", "seed": 3}, "onset_s": 0.5, "length_s": 3.0,
                  "start_deg": [30.0, 0.0], "end_deg": [90.0, 20.0], "distance_m": 1.0, "level_db": 0.0}, ...]}

A reverberation time of 0 is a free field; a noise of null is none. A sound is procedural, with a seed, or a mono file, by its
name and the SHA-256 of its bytes, of which the first ``length_s`` are taken. A path goes in a straight line from (azimuth,
elevation) ``start_deg`` to ``end_deg``: azimuths count on past +-180, so 170 to 190 crosses the back, and 0 to 360 is once around.
A key ``disturbances`` may hold what recordings have besides, as a drawn scene has it: sounds of no class (procedural ones), noise
from a direction, ambience, walls, microphone, channel.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..atomic_files import write_text
from ..audio import recordings
from ..config import from_json, to_json
from ..labels import class_lists, dcase_csv
from ..messages import one_line
from .render import SAMPLE_RATE, render_sounds
from .rooms import Room
from .scene import (
    Disturbances,
    Scene,
    SceneConfig,
    SceneEvent,
    disturbances_from_json,
    free_path,
    require_possible,
    sample_event,
    waypoints,
)
from .sources import PROCEDURAL
from .synthesis import PROCEDURAL_CLASSES, synthesise

VERSION = 1
MAX_SECONDS = 120  # of a scene
MAX_SOUND_SECONDS = 60.0
MAX_SOURCES = 64
MAX_AT_ONCE = 8
MAX_BYTES = 1_000_000  # of a JSON
SIDE_M = (2.0, 30.0)  # of a room
HEIGHT_M = (2.0, 12.0)
ABSORPTION = (0.02, 0.98)  # of walls that can be built
FREE_FIELD_M = 5.0  # a source is nearer
LEVELS_DB = (-60.0, 20.0)
SHORTEST_DRAWN_SECONDS = 0.5
_HEX = re.compile("[0-9a-f]{64}")
Pair = tuple[float, float]


@dataclass(frozen=True)
class Sound:
    """A procedural sound by its seed, or a file by its name and the SHA-256 of its bytes (lower-case hexadecimal)."""

    name: str
    seed: int = 0
    sha256: str = ""

    @property
    def is_file(self) -> bool:
        return self.name != PROCEDURAL

    def plain(self) -> dict:
        return {"name": self.name} | ({"sha256": self.sha256} if self.is_file else {"seed": self.seed})


@dataclass(frozen=True)
class SpecifiedRoom:
    """A shoebox, length, width and height in m, and its reverberation time in s; 0 is a free field."""

    size_m: tuple[float, float, float]
    rt60_s: float

    @property
    def receiver_m(self) -> tuple[float, float, float]:
        """Half-way up, and a little off the middle, where no two reflections coincide."""
        x, y, z = self.size_m
        return 0.46 * x, 0.53 * y, 0.5 * z

    def possible_rt60_s(self) -> Pair:
        """Least and greatest reverberation time (Eyring) that walls of ``ABSORPTION`` give."""
        of_one_second = -math.log(1 - Room(self.size_m, self.receiver_m, 1.0, SAMPLE_RATE).absorption)
        low, high = (of_one_second / -math.log(1 - a) for a in reversed(ABSORPTION))
        return low, high


@dataclass(frozen=True)
class Noise:
    """Diffuse noise, ``snr_db`` below the mean level of what sounds."""

    snr_db: float


@dataclass(frozen=True)
class Source:
    """A sound, its onset and length, and its path from one direction to another, (azimuth, elevation) in degrees."""

    class_name: str = field(metadata={"key": "class"})
    sound: Sound
    onset_s: float
    length_s: float
    start_deg: Pair
    end_deg: Pair
    distance_m: float
    level_db: float

    def event(self, class_index: int) -> SceneEvent:
        rates = [(b - a) / self.length_s for a, b in zip(self.start_deg, self.end_deg)]
        return SceneEvent(
            class_index=class_index,
            onset=self.onset_s,
            max_seconds=self.length_s,
            azimuth=self.start_deg[0],
            elevation=self.start_deg[1],
            azimuth_rate=rates[0],
            elevation_rate=rates[1],
            distance_m=self.distance_m,
            level_db=self.level_db,
            seed=self.sound.seed,
        )


@dataclass(frozen=True)
class Specification:
    """All of a scene. seed: of the noise and the late reverberation; peak_db: of the whole scene, dB re full scale; class_list: a
    known list, or names of one's own as ``class_lists.named`` reads them."""

    seed: int
    seconds: int
    room: SpecifiedRoom
    noise: Noise | None
    peak_db: float
    sources: tuple[Source, ...]
    class_list: str = "dcase2020"
    sample_rate: int = SAMPLE_RATE
    version: int = VERSION
    disturbances: Disturbances | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        return class_lists.named(self.class_list)

    @property
    def files(self) -> dict[str, Sound]:
        """SHA-256 to sound, of the files that it needs."""
        return {s.sound.sha256: s.sound for s in self.sources if s.sound.is_file}

    @property
    def stem(self) -> str:
        """A file name of its own."""
        return f"scene_{hashlib.sha256(to_text(self).encode()).hexdigest()[:8]}"

    def scene(self) -> Scene:
        return Scene(
            seconds=self.seconds,
            room_m=self.room.size_m,
            receiver_m=self.room.receiver_m,
            rt60_s=self.room.rt60_s,
            snr_db=math.inf if self.noise is None else self.noise.snr_db,
            peak_db=self.peak_db,
            seed=self.seed,
            events=tuple(source.event(self.classes.index(source.class_name)) for source in self.sources),
            disturbances=self.disturbances,
        )


@dataclass(frozen=True)
class Problem:
    """What is impossible, in one sentence; source: from 0, None where it is about the whole scene."""

    source: int | None
    text: str


# The JSON


def to_text(specification: Specification) -> str:
    """The JSON; ``from_text`` gives an equal specification."""
    values = to_json(specification)
    for source, entry in zip(specification.sources, values["sources"]):
        entry["sound"] = source.sound.plain()
    if specification.disturbances is None:
        del values["disturbances"]
    return json.dumps(values, indent=1, sort_keys=True)


def from_text(text: str | bytes, name: str = "the specification") -> Specification:
    """The specification of a JSON. ValueError, one sentence that names the file, if a key is missing or unknown or a value is of
    the wrong type; whether the scene is possible is for ``problems``."""
    try:
        if len(text) > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES // 1_000_000} MB")
        return _specification(json.loads(text))
    except (ValueError, RecursionError, OverflowError) as error:
        what = "it is not JSON" if isinstance(error, (json.JSONDecodeError, UnicodeDecodeError)) else error
        raise ValueError(one_line(f"{name} is not the specification of a scene: {what}")) from error


def _specification(values: Any) -> Specification:
    if isinstance(values, dict) and values.get("version", VERSION) != VERSION:
        raise ValueError(f"it is of version {values['version']!r}, but version {VERSION} is read")
    optional = {"disturbances"} if not isinstance(values, dict) or "disturbances" not in values else set()
    _require_keys(values, {f.name for f in fields(Specification)} - optional, "the scene")
    found = from_json(Specification, values | {"disturbances": None}, "the scene")
    for n, source in enumerate(values["sources"], 1):
        unique = "sha256" if found.sources[n - 1].sound.is_file else "seed"
        _require_keys(source["sound"], {"name", unique}, f"the sound of source {n}")
    return replace(found, disturbances=_disturbances(values.get("disturbances")))


def _disturbances(values: Any) -> Disturbances | None:
    try:
        return None if values is None else disturbances_from_json(values)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"disturbances cannot be read: {error}") from error


def _require_keys(value, expected: set[str], name: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{name} must be an object with {', '.join(sorted(expected))}")
    if missing := sorted(expected - value.keys()):
        raise ValueError(f"{name} has no {', '.join(missing)}")
    if unknown := sorted(value.keys() - expected):
        raise ValueError(f"{name} has an unknown key, {', '.join(map(repr, unknown))}")


# What is possible


def problems(specification: Specification, sounds: Mapping[str, np.ndarray] | None = None) -> list[Problem]:
    """All that is impossible, none if it can be rendered. sounds: SHA-256 to samples of the files at hand; None: not looked at."""
    found = [Problem(None, one_line(text)) for text in _scene_problems(specification)]
    if found:
        return found
    for n, source in enumerate(specification.sources):
        text = next(_source_problems(source, specification), None) or _sound_problem(source, sounds)
        found += [Problem(n, one_line(text))] if text else []
    return found or [Problem(n, text) for n, text in _crowds(specification)]


def _scene_problems(s: Specification) -> Iterator[str]:
    if s.version != VERSION or s.sample_rate != SAMPLE_RATE:
        yield f"version {VERSION} and a sample rate of {SAMPLE_RATE} Hz are known, not {s.version} and {s.sample_rate} Hz"
    try:
        class_lists.named(s.class_list)
    except ValueError as error:
        yield f"the class lists are {', '.join(class_lists.CLASS_LISTS)}, or names of your own: {error}"
    if not 1 <= s.seconds <= MAX_SECONDS:
        yield f"a scene lasts from 1 to {MAX_SECONDS} s, not {s.seconds} s"
    if not 0 <= s.seed < 2**63:
        yield f"the seed must be a whole number from 0 on, not {s.seed}"
    if not -60 <= s.peak_db <= 0:
        yield f"the peak must lie in -60 to 0 dB, not at {s.peak_db:g} dB"
    if s.noise is not None and not -30 <= s.noise.snr_db <= 120:
        yield f"the signal-to-noise ratio must lie in -30 to 120 dB, not at {s.noise.snr_db:g} dB"
    if not 1 <= len(s.sources) <= MAX_SOURCES:
        yield f"a scene has from 1 to {MAX_SOURCES} sources, not {len(s.sources)}"
    yield from _room_problems(s.room)
    if s.disturbances is not None:
        yield from _disturbance_problems(s)


def _room_problems(room: SpecifiedRoom) -> Iterator[str]:
    limits = (SIDE_M, SIDE_M, HEIGHT_M)
    size = " × ".join(f"{side:g}" for side in room.size_m)
    if len(room.size_m) != 3 or not all(a <= side <= b for side, (a, b) in zip(room.size_m, limits)):
        yield (
            f"a room is from {SIDE_M[0]:g} to {SIDE_M[1]:g} m long and wide and from {HEIGHT_M[0]:g} to {HEIGHT_M[1]:g} m high, "
            f"not {size} m"
        )
        return
    low, high = room.possible_rt60_s()
    if room.rt60_s != 0 and not low <= room.rt60_s <= high:
        yield (
            f"no walls give a room of {size} m a reverberation time of {room.rt60_s:g} s: from {math.ceil(100 * low) / 100:g} to "
            f"{math.floor(10 * high) / 10:g} s are possible, or 0 for a free field"
        )


def _disturbance_problems(s: Specification) -> Iterator[str]:
    try:
        require_possible(replace(s, sources=()).scene())
    except ValueError as error:
        yield f"among the disturbances, {error}"


def _source_problems(s: Source, specification: Specification) -> Iterator[str]:
    if s.class_name not in specification.classes:
        known = specification.class_list in class_lists.CLASS_LISTS
        yield f"the class {s.class_name!r} is not in the list {specification.class_list if known else 'of your own'}"
    if s.sound.is_file and not _HEX.fullmatch(s.sound.sha256):
        yield f"the SHA-256 of {s.sound.name} must be 64 hexadecimal digits"
    if not s.sound.is_file and s.class_name not in PROCEDURAL_CLASSES:
        yield f"{s.class_name} has no built-in sound: give it a file"
    if not s.sound.is_file and not 0 <= s.sound.seed < 2**63:
        yield f"the number of a built-in sound is a whole number from 0 on, not {s.sound.seed}"
    yield from _time_problems(s, specification.seconds)
    if not LEVELS_DB[0] <= s.level_db <= LEVELS_DB[1]:
        yield f"the level must lie in {LEVELS_DB[0]:g} to {LEVELS_DB[1]:g} dB, not at {s.level_db:g} dB"
    yield from _path_problems(s, specification.room)


def _time_problems(s: Source, seconds: int) -> Iterator[str]:
    if not 0 <= s.onset_s < seconds:
        yield f"the onset at {s.onset_s:g} s is not within the {seconds} s of the scene"
    elif not 0.1 <= s.length_s <= MAX_SOUND_SECONDS:
        yield f"a source lasts from 0.1 to {MAX_SOUND_SECONDS:g} s, not {s.length_s:g} s"
    elif s.onset_s + s.length_s > seconds + 1e-6:
        yield f"it would end at {s.onset_s + s.length_s:g} s, but the scene ends at {seconds} s"


def _path_problems(s: Source, room: SpecifiedRoom) -> Iterator[str]:
    if len(s.start_deg) != 2 or len(s.end_deg) != 2:
        yield "a direction is an azimuth and an elevation"
    elif not all(-90 <= elevation <= 90 for _, elevation in (s.start_deg, s.end_deg)):
        yield "elevations lie in -90° to 90°"
    elif not (-180 <= s.start_deg[0] <= 180 and -720 <= s.end_deg[0] <= 720):
        yield "the first azimuth lies in -180° to 180°, the last in -720° to 720°"
    elif not 0.3 <= s.distance_m <= FREE_FIELD_M:
        yield f"a source is from 0.3 to {FREE_FIELD_M:g} m away, not {s.distance_m:g} m"
    elif room.rt60_s and s.distance_m > (free := _free_m(s, room)):
        yield f"at {s.distance_m:g} m it would meet a wall: on its way at most {math.floor(100 * free) / 100:g} m are free"


def _free_m(s: Source, room: SpecifiedRoom) -> float:
    return free_path(s.event(0).direction(waypoints(s.length_s)), room.size_m, room.receiver_m)


def _sound_problem(s: Source, sounds: Mapping[str, np.ndarray] | None) -> str | None:
    if not s.sound.is_file or sounds is None:
        return None
    if s.sound.sha256 not in sounds:
        return f"the file {s.sound.name} with the SHA-256 {s.sound.sha256[:12]}… is not at hand"
    samples = sounds[s.sound.sha256]
    if len(samples) / SAMPLE_RATE < s.length_s - 0.05:
        return f"{s.sound.name} lasts {len(samples) / SAMPLE_RATE:.2f} s, so it cannot sound for {s.length_s:g} s"
    if not np.any(samples[: round(s.length_s * SAMPLE_RATE)]):
        return f"{s.sound.name} is silent for its first {s.length_s:g} s"
    return None


def _crowds(specification: Specification) -> Iterator[tuple[int, str]]:
    """The sources at whose onset more than ``MAX_AT_ONCE`` sound."""
    spans = [(s.onset_s, s.onset_s + s.length_s) for s in specification.sources]
    for n, (onset, _) in enumerate(spans):
        at_once = sum(a <= onset < b for a, b in spans)
        if at_once > MAX_AT_ONCE:
            yield n, f"at its onset {at_once} sources sound at once; at most {MAX_AT_ONCE} may"


# The scene


def rebuild(
    specification: Specification,
    sounds: Mapping[str, np.ndarray] | None = None,
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Audio (4, S) float32 and frame table: the same samples for the same specification and sounds.

    sounds: SHA-256 to the samples (S,) of the files, as ``read_sound`` gives them. progress is told how many sources are done.
    ValueError, one sentence, if the scene is not possible.
    """
    if found := problems(specification, sounds or {}):
        where = "" if found[0].source is None else f"source {found[0].source + 1}: "
        raise ValueError(f"{where}{found[0].text}")
    dry = (_samples(source, sounds or {}) for source in specification.sources)
    return render_sounds(specification.scene(), dry, progress)


def _samples(source: Source, sounds: Mapping[str, np.ndarray]) -> np.ndarray:
    if source.sound.is_file:
        return sounds[source.sound.sha256]
    return synthesise(source.class_name, np.random.default_rng(source.sound.seed), source.length_s)


def write(
    specification: Specification,
    sounds: Mapping[str, np.ndarray] | None,
    out: Path,
    stem: str,
    progress: Callable[[int], None] = lambda done: None,
) -> pd.DataFrame:
    """Write out/foa_dev/STEM.flac, out/metadata_dev/STEM.csv (DCASE 2020) and out/scenes/STEM.json; gives the frame table."""
    signal, table = rebuild(specification, sounds, progress)
    for folder in ("foa_dev", "metadata_dev", "scenes"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    recordings.write_flac(out / "foa_dev" / f"{stem}.flac", signal, SAMPLE_RATE)
    dcase_csv.write_csv(table, out / "metadata_dev" / f"{stem}.csv", "dcase2020")
    write_text(out / "scenes" / f"{stem}.json", to_text(specification))
    return table


def read_sound(path: Path | str, name: str | None = None) -> tuple[str, np.ndarray]:
    """SHA-256 and samples (S,) at 24 kHz of a mono file of 0.2 to 60 s. ``recordings.AudioError``, one sentence, on any other."""
    name = name or Path(path).name
    samples = recordings.load_mono(path, MAX_SOUND_SECONDS, SAMPLE_RATE, name)
    if not np.any(samples):
        raise recordings.AudioError(f"{name}: is silent; expected a sound")
    return hashlib.sha256(Path(path).read_bytes()).hexdigest(), samples


def find_sounds(specification: Specification, folder: Path | str | None) -> dict[str, np.ndarray]:
    """The files of a specification, found in a folder and below it by name and SHA-256. ValueError names the one that is not
    there, or that is another file of the name."""
    needed = specification.files
    found: dict[str, np.ndarray] = {}
    if not needed:
        return found
    if folder is None:
        raise ValueError(f"the scene needs {next(iter(needed.values())).name}: give the folder it is in with --sources")
    names = {sound.name for sound in needed.values()}
    paths = [path for path in sorted(Path(folder).rglob("*")) if path.name in names]
    for path in paths:
        if hashlib.sha256(path.read_bytes()).hexdigest() in needed:
            key, samples = read_sound(path)
            found[key] = samples
    for key, sound in needed.items():
        if key not in found:
            other = " holds another file of that name, but" if any(p.name == sound.name for p in paths) else ""
            raise ValueError(f"{folder}{other} does not hold {sound.name} with the SHA-256 {key[:12]}…")
    return found


# Random scenes


def draw(
    seed: int,
    seconds: int,
    n_events: int,
    max_overlap: int,
    room: SpecifiedRoom,
    noise: Noise | None = Noise(20.0),
    class_list: str = "dcase2020",
) -> Specification:
    """A random scene of so many procedural events, at most ``max_overlap`` at a time; the same seed draws the same scene.

    Lengths, paths and levels are drawn from the ranges of ``SceneConfig``. ValueError if so many events do not fit, or if the
    class list has no class with a procedural sound.
    """
    classes = [name for name in class_lists.named(class_list) if name in PROCEDURAL_CLASSES]
    if not classes:
        which = class_list if class_list in class_lists.CLASS_LISTS else "your list"
        raise ValueError(f"no class of {which} has a built-in sound")
    if not (1 <= n_events <= MAX_SOURCES and 1 <= max_overlap <= MAX_AT_ONCE and 1 <= seconds <= MAX_SECONDS):
        raise ValueError(f"{n_events} events, {max_overlap} at a time, in {seconds} s are out of range")
    rng = np.random.default_rng(seed)
    sources = []
    for lane in range(max_overlap):
        for onset, length in _spans(rng, len(range(lane, n_events, max_overlap)), seconds):
            sources.append(_drawn_source(rng, classes[rng.integers(len(classes))], onset, length, room))
    ordered = tuple(sorted(sources, key=lambda s: (s.onset_s, s.sound.seed)))
    return Specification(seed, seconds, room, noise, -3.0, ordered, class_list)


def _spans(rng: np.random.Generator, n: int, seconds: int) -> list[Pair]:
    """Onsets and lengths, in hundredths of a second, of n events one after the other with at least 0.2 s between them."""
    room_for_all = seconds - 0.2 * n
    if n and room_for_all < n * SHORTEST_DRAWN_SECONDS:
        raise ValueError(
            f"{n} events one after the other do not fit into {seconds} s: ask for fewer, or for more at a time"
        )
    low, high = np.log(SceneConfig().event_seconds)
    lengths = np.exp(rng.uniform(low, high, n))
    spare = 0.9 * room_for_all - n * SHORTEST_DRAWN_SECONDS
    longer = np.maximum(lengths - SHORTEST_DRAWN_SECONDS, 0)
    longer *= min(1.0, max(spare, 0) / max(longer.sum(), 1e-9))
    lengths = np.floor(100 * (SHORTEST_DRAWN_SECONDS + longer)) / 100
    pauses = rng.dirichlet(np.ones(n + 1)) * (room_for_all - lengths.sum())
    onsets = np.cumsum(pauses[:n] + 0.2) + np.concatenate([[0.0], np.cumsum(lengths)])[:n] - 0.2
    return [(math.floor(100 * max(onset, 0.0)) / 100, float(length)) for onset, length in zip(onsets, lengths)]


def _drawn_source(rng, class_name: str, onset: float, length: float, room: SpecifiedRoom) -> Source:
    event = sample_event(SceneConfig(), 0, onset, length, room.size_m, room.receiver_m, rng)
    start = (float(round(event.azimuth)), float(round(event.elevation)))
    end = (event.azimuth + event.azimuth_rate * length, event.elevation + event.elevation_rate * length)
    end = (float(round(end[0])), float(np.clip(round(end[1]), -90, 90))) if event.azimuth_rate else start
    sound = Sound(PROCEDURAL, int(rng.integers(1000)))
    source = Source(class_name, sound, onset, length, start, end, event.distance_m, round(2 * event.level_db) / 2)
    most = min(event.distance_m, 0.98 * _free_m(source, room))  # the way has been rounded
    return Source(**(source.__dict__ | {"distance_m": max(math.floor(100 * most) / 100, 0.3)}))
