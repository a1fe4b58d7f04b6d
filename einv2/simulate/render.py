"""From a drawn scene to audio and annotation, and folders of scenes."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import signal

from ..atomic_files import write_json
from ..audio import recordings
from ..frames import LABEL_FRAMES_PER_SECOND, SAMPLE_RATE
from ..labels import class_lists, dcase_csv, frame_tables
from ..messages import one_line
from .disturbances import ambient_sound, steady_noise, through_channel
from .microphone import Encoder, record
from .rooms import Room, diffuse_noise
from .scene import Disturbances, Scene, SceneConfig, SceneEvent, sample_scene, scene_from_json, scene_to_json, waypoints
from .sources import SourceBank
from .unclassified import PROCEDURAL_ONLY, UnclassifiedBank

FRAME_SAMPLES = SAMPLE_RATE // LABEL_FRAMES_PER_SECOND
SHORTEST_SAMPLES = FRAME_SAMPLES  # a shorter sound would have no label frame


def render(
    scene: Scene, bank: SourceBank, unclassified: UnclassifiedBank = PROCEDURAL_ONLY
) -> tuple[np.ndarray, pd.DataFrame]:
    """The audio (4, S) float32 in [-1, 1] at 24 kHz and the frame table of a scene, its sounds drawn from a bank.

    unclassified: what the sounds of no class are drawn from.
    """
    return render_sounds(scene, (_drawn_sound(event, bank) for event in scene.events), unclassified=unclassified)


def render_sounds(
    scene: Scene,
    sounds: Iterable[np.ndarray],
    progress: Callable[[int], None] = lambda done: None,
    unclassified: UnclassifiedBank = PROCEDURAL_ONLY,
) -> tuple[np.ndarray, pd.DataFrame]:
    """As ``render``, with the dry sound (S0,) of each event given, in their order. progress is told how many are done."""
    n_samples = scene.seconds * SAMPLE_RATE
    disturbances = scene.disturbances or Disturbances()
    room = _room(scene, disturbances)
    rng = np.random.default_rng(scene.seed)
    mix = np.zeros((4, n_samples))
    active = np.zeros(n_samples, bool)
    tables = []
    for instance, (event, sound) in enumerate(zip(scene.events, sounds)):
        dry = _dry_sound(event, sound)
        onset = round(event.onset * SAMPLE_RATE)
        _add(mix, onset, render_event(event, dry, room, rng))
        active[onset : onset + len(dry)] = True
        tables.append(_label(event, onset, len(dry), scene.seconds * LABEL_FRAMES_PER_SECOND, instance))
        progress(instance + 1)
    noise = diffuse_noise(n_samples, SAMPLE_RATE, rng)
    power = np.mean(mix[0, active] ** 2) if active.any() else 1e-3
    mix += noise * np.sqrt(power * 10 ** (-scene.snr_db / 10))
    if scene.disturbances is not None:
        mix = _disturbed(mix, power, disturbances, room, scene.seed, unclassified)
    mix *= 10 ** (scene.peak_db / 20) / np.abs(mix).max()
    if disturbances.channel is not None:
        mix = through_channel(mix, disturbances.channel, SAMPLE_RATE).clip(-1, 1)
    return mix.astype(np.float32), _join(tables)


def _room(scene: Scene, disturbances: Disturbances) -> Room:
    microphone = disturbances.microphone
    encoder = Encoder(microphone, SAMPLE_RATE) if microphone is not None and microphone.radius_m else None
    return Room(scene.room_m, scene.receiver_m, scene.rt60_s, SAMPLE_RATE, disturbances.walls, encoder)


def _disturbed(
    mix: np.ndarray, power: float, disturbances: Disturbances, room: Room, seed: int, unclassified: UnclassifiedBank
) -> np.ndarray:
    """The mix (4, S), whose events have a mean power in W, with other sounds, as the microphone has it."""
    rng, n_samples = np.random.default_rng([seed, 1]), mix.shape[1]
    for event in disturbances.interferers:
        sound = unclassified.draw(np.random.default_rng(event.seed), event.max_seconds)[0]
        _add(mix, round(event.onset * SAMPLE_RATE), render_event(event, _dry_sound(event, sound), room, rng))
    if (noise := disturbances.noise) is not None:
        steady = steady_noise(n_samples, np.random.default_rng(noise.seed))
        wet = render_static(steady, noise.azimuth, noise.elevation, noise.distance_m, room, rng)
        mix += _at_level(wet[:, :n_samples], power, noise.level_db)
    if (ambience := disturbances.ambience) is not None:
        mix += _at_level(ambient_sound(ambience, n_samples, room, unclassified), power, ambience.level_db)
    if disturbances.microphone is not None:
        mix = record(mix, disturbances.microphone, power, SAMPLE_RATE, rng)
    return mix


def _at_level(sound: np.ndarray, power: float, level_db: float) -> np.ndarray:
    """A sound (4, S) so loud that the events stand ``level_db`` above it in W."""
    return sound * np.sqrt(power * 10 ** (-level_db / 10) / np.mean(sound[0] ** 2, dtype=float))


def render_event(event: SceneEvent, dry: np.ndarray, room: Room, rng: np.random.Generator) -> np.ndarray:
    """The reverberant FOA sound (4, S) of a dry one (S0,) on its way; time 0 is the event's onset."""
    times = waypoints(len(dry) / SAMPLE_RATE) if event.azimuth_rate or event.elevation_rate else np.zeros(1)
    early = room.early_responses(*event.direction(times), event.distance_m, event.direct_loss_db)
    scattered = None if room.is_plain else room.scattered_response(event.azimuth, event.elevation, event.distance_m)
    tail = room.late_response(early[0], rng, scattered).astype(np.float32)
    dry, early = dry.astype(np.float32), early.astype(np.float32)  # transforms of single precision take half the time
    wet = np.zeros((4, len(dry) + max(early.shape[2], tail.shape[1]) - 1))
    direct = signal.oaconvolve(dry[None], early[0], axes=1) if len(times) == 1 else _convolve_moving(dry, early)
    wet[:, : direct.shape[1]] += direct
    if tail.shape[1]:
        wet[:, : len(dry) + tail.shape[1] - 1] += signal.oaconvolve(dry[None], tail, axes=1)
    return wet


def render_static(dry: np.ndarray, azimuth, elevation, distance_m, room: Room, rng: np.random.Generator) -> np.ndarray:
    """The reverberant FOA sound (4, S) of a dry one (S0,) that stands still."""
    event = SceneEvent(-1, 0.0, len(dry) / SAMPLE_RATE, azimuth, elevation, 0.0, 0.0, distance_m, 0.0, 0)
    return render_event(event, dry, room, rng)


def _convolve_moving(dry: np.ndarray, responses: np.ndarray) -> np.ndarray:
    """Triangular windows centred on the waypoints, each through the response of its waypoint, added up."""
    n, _, length = responses.shape
    hop = FRAME_SAMPLES
    padded = np.zeros((n + 1) * hop, np.float32)
    padded[hop : hop + len(dry)] = dry
    window = (np.concatenate([np.arange(hop), np.arange(hop, 0, -1)]) / hop).astype(np.float32)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop] * window
    wet = signal.fftconvolve(pieces[:, None], responses, axes=2)
    out = np.zeros((4, (n + 1) * hop + length - 1))
    for i, piece in enumerate(wet):
        out[:, i * hop : i * hop + piece.shape[1]] += piece
    return out[:, hop : hop + len(dry) + length - 1]


def _drawn_sound(event: SceneEvent, bank: SourceBank) -> np.ndarray:
    rng = np.random.default_rng(event.seed)
    return bank.draw(bank.classes[event.class_index], rng, event.max_seconds)[0]


def _dry_sound(event: SceneEvent, sound: np.ndarray) -> np.ndarray:
    """The sound (S0,) at most as long as the event, with a faded end and at the event's level."""
    dry = sound[: int(event.max_seconds * SAMPLE_RATE)].astype(float)
    if len(dry) < SHORTEST_SAMPLES:
        dry = np.pad(dry, (0, SHORTEST_SAMPLES - len(dry)))
    fade = min(240, len(dry) // 4)
    dry[-fade:] *= np.linspace(1, 0, fade)
    return dry * (10 ** (event.level_db / 20) / _active_level(dry))


def _active_level(dry: np.ndarray) -> float:
    """Root mean square over the label frames within 25 dB of the loudest, so that pauses do not make a sound louder."""
    power = np.array([np.mean(dry[i : i + FRAME_SAMPLES] ** 2) for i in range(0, len(dry), FRAME_SAMPLES)])
    return float(np.sqrt(power[power >= power.max() * 10**-2.5].mean()) + 1e-9)


def _label(event: SceneEvent, onset: int, length: int, n_frames: int, instance: int) -> pd.DataFrame:
    """A row for each frame of which the event fills at least about half, with the direction at the middle of the frame."""
    first = round(onset / FRAME_SAMPLES)
    last = max(round((onset + length) / FRAME_SAMPLES), first + 1)
    frames = np.arange(first, min(last, n_frames))
    seconds = ((frames + 0.5) * FRAME_SAMPLES - onset) / SAMPLE_RATE
    azimuth, elevation = event.direction(np.clip(seconds, 0, length / SAMPLE_RATE))
    return pd.DataFrame(
        {
            "frame": frames,
            "class": event.class_index,
            "track": instance,
            "azimuth": azimuth,
            "elevation": elevation,
            "distance": event.distance_m * 100,
        }
    )


def _join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """One table; instances are numbered within their class, as in the DCASE annotations."""
    if not tables:
        return pd.DataFrame({c: pd.Series(dtype=float) for c in frame_tables.FRAME_COLUMNS}).astype(
            {"frame": int, "class": int, "track": int}
        )
    table = pd.concat(tables, ignore_index=True)
    table["track"] = table.groupby("class")["track"].transform(lambda t: t.rank(method="dense").astype(int) - 1)
    return table.sort_values(["frame", "class", "track"], ignore_index=True)


def _add(mix: np.ndarray, onset: int, wet: np.ndarray) -> None:
    stop = min(onset + wet.shape[1], mix.shape[1])
    mix[:, onset:stop] += wet[:, : stop - onset]


@dataclass(frozen=True)
class Job:
    """A scene of a folder: enough to draw and write it in a process of its own."""

    config: SceneConfig
    bank: SourceBank
    seed: int
    index: int
    out: Path
    unclassified: UnclassifiedBank = PROCEDURAL_ONLY


def write_scenes(
    out: Path,
    n_scenes: int,
    config: SceneConfig,
    bank: SourceBank,
    seed: int,
    workers: int = 1,
    unclassified: UnclassifiedBank = PROCEDURAL_ONLY,
) -> Iterator[str]:
    """Draw, render and write ``n_scenes``; yields each stem when it is written. Scenes that stand there already are kept;
    ValueError if one of them was drawn from another seed, configuration or set of sounds; OSError if a worker was killed.

    Writes out/foa_dev/STEM.flac, out/metadata_dev/STEM.csv (DCASE 2020), out/scenes/STEM.json (the drawn scene) and out/classes.txt,
    the class list. ValueError if another one stands there. A scene
    depends on the seed and its own number only: the order and the number of workers change nothing.
    """
    out = Path(out)
    _make_folders(out)
    _write_classes(out, bank.classes)
    jobs = [Job(config, bank, seed, index, out, unclassified) for index in range(n_scenes)]
    if workers == 1:
        yield from map(_write_scene, jobs)
        return
    try:
        with ProcessPoolExecutor(workers) as pool:
            yield from pool.map(_write_scene, jobs)
    except BrokenProcessPool as error:
        raise OSError(
            f"a process that renders scenes was killed, perhaps for want of memory: {out} keeps the scenes that are done; "
            "run the same again, with fewer --workers."
        ) from error


def fingerprint(bank: SourceBank, unclassified: UnclassifiedBank = PROCEDURAL_ONLY) -> str:
    """Names the sounds that scenes draw from: a bank's classes, its share of procedural sounds, its files, how they vary; and the
    recordings of no class."""
    names = {}
    if folder := bank.folder:
        names = {name: [str(path.relative_to(folder.path)) for path in paths] for name, paths in folder.files.items()}
    parts = [bank.classes, bank.procedural_share, names, *(["strong"] if bank.strong else [])]
    if unclassified.folder is not None:
        parts += ["no class", unclassified.procedural_share, unclassified.names]
    content = json.dumps(parts, sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _write_scene(job: Job) -> str:
    stem = f"fold1_room{job.index % 6 + 1}_mix{job.index + 1:04d}"
    metadata = job.out / "metadata_dev" / f"{stem}.csv"
    drawn = job.out / "scenes" / f"{stem}.json"
    rng = np.random.default_rng([job.seed, job.index])
    scene = sample_scene(job.config, len(job.bank.classes), rng, job.bank.classes)
    values = scene_to_json(scene) | {"sounds": fingerprint(job.bank, job.unclassified)}
    if metadata.exists():  # written last, so that its presence means a complete scene
        if drawn.exists() and json.loads(drawn.read_text()) != values:
            raise ValueError(f"{drawn} is a scene of another seed, of other settings or sounds; choose another folder")
        return stem
    write_scene(job.out, stem, scene, job.bank, job.unclassified)
    return stem


def write_scene(
    out: Path, stem: str, scene: Scene, bank: SourceBank, unclassified: UnclassifiedBank = PROCEDURAL_ONLY
) -> None:
    """Render a scene into out/foa_dev/STEM.flac, out/scenes/STEM.json and out/metadata_dev/STEM.csv, written last."""
    foa_audio, table = render(scene, bank, unclassified)
    recordings.write_flac(out / "foa_dev" / f"{stem}.flac", foa_audio, SAMPLE_RATE)
    write_json(out / "scenes" / f"{stem}.json", scene_to_json(scene) | {"sounds": fingerprint(bank, unclassified)})
    dcase_csv.write_csv(table, out / "metadata_dev" / f"{stem}.csv", "dcase2020")


def is_drawn(text: str | bytes) -> bool:
    """Whether a JSON is a drawn scene, as ``write_scenes`` writes it, and not a specification."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(values, dict) and "events" in values


def rebuild_drawn(
    out: Path, stem: str, text: str | bytes, bank: SourceBank, unclassified: UnclassifiedBank = PROCEDURAL_ONLY
) -> Scene:
    """Write the scene of a JSON of ``write_scenes`` again, the same bytes. ValueError if it was drawn from other sounds."""
    values = json.loads(text)
    try:
        scene = scene_from_json(values)
    except ValueError as error:
        raise ValueError(one_line(f"{stem}.json is not a scene: {error}")) from error
    if any(not 0 <= event.class_index < len(bank.classes) for event in scene.events):
        raise ValueError(f"{stem}.json has an event of a class beyond the {len(bank.classes)} of the sounds")
    if values.get("sounds") != fingerprint(bank, unclassified):
        raise ValueError(
            f"{stem}.json was drawn from other sounds: give --sources, --classes, --part, --held-out-share, "
            "--procedural-share, --strong-variation and --interferers as then."
        )
    _make_folders(out)
    _write_classes(out, bank.classes)
    write_scene(out, stem, scene, bank, unclassified)
    return scene


def _write_classes(out: Path, names: Sequence[str]) -> None:
    if (kept := class_lists.of_folders(out)) is None:
        class_lists.write(out, names)
    elif kept.names != tuple(names):
        raise ValueError(f"{out} holds a data set of other classes ({kept}): choose another folder.")


def _make_folders(out: Path) -> None:
    for folder in ("foa_dev", "metadata_dev", "scenes"):
        (out / folder).mkdir(parents=True, exist_ok=True)
