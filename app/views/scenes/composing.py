"""What the Scenes page computes: scenes rendered into the session, and training sets into the folder of user data."""

import atexit
import fcntl
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import streamlit as st

from app.jobs import training_runs
from app.paths import ROOT
from app.storage import user_folder
from app.ui import class_menu
from app.ui.session import Source as Clip
from einv2 import status
from einv2.atomic_files import write_json
from einv2.config import from_json
from einv2.simulate import specification as scenes
from einv2.simulate.scene import SceneConfig
from einv2.simulate.specification import Noise, Problem, Sound, Source, Specification, SpecifiedRoom

KEPT_RENDERED = 3  # in a session
MAX_UPLOADS = 20
MAX_UPLOAD_SECONDS = 600.0  # of all sounds of a session together
MAX_SET_SCENES, MAX_SET_SECONDS = 10_000, 120
BYTES_PER_SECOND = 24000 * 4 * 2  # of a scene, as FLAC at worst
POLL_SECONDS = 1.0
BUILT_IN = "built-in"
NEW_SECONDS = 2.0  # of a source that is placed on the map
COLUMNS = (
    "class", "sound", "number", "onset", "length", "azimuth", "elevation", "azimuth to", "elevation to", "distance", "level",
)  # fmt: skip
_RENDERED = "scenes_rendered"
_SOUNDS = "scenes_sounds"
Progress = Callable[[float, str], None]


# Sounds that the user uploaded


@dataclass(frozen=True)
class Upload:
    """A mono sound of the session: samples (S,) float32 at 24 kHz, named by the user's file and the SHA-256 of its bytes."""

    sound: Sound
    samples: np.ndarray

    @property
    def seconds(self) -> float:
        return len(self.samples) / scenes.SAMPLE_RATE


def read_uploads(files: list) -> None:
    """Take uploaded files, each read once, into the session, where they stay when the page is left."""
    kept: dict = st.session_state.setdefault(_SOUNDS, {})
    for file in files:
        if file.file_id not in kept:
            kept[file.file_id] = _read_within_limits(file, [u for u in kept.values() if isinstance(u, Upload)])


def _read_within_limits(file, others: list[Upload]) -> "Upload | str":
    if len(others) >= MAX_UPLOADS:
        return f"{file.name} is not used: a session holds at most {MAX_UPLOADS} sounds."
    if any(other.sound.name == file.name for other in others):
        return f"{file.name} is not used: there is a sound of this name; rename the file, or remove the other."
    read = _read_upload(file.name, file.getvalue())
    if isinstance(read, Upload) and read.seconds + sum(other.seconds for other in others) > MAX_UPLOAD_SECONDS:
        return f"{file.name} is not used: a session holds at most {MAX_UPLOAD_SECONDS / 60:g} minutes of sounds."
    return read


def uploads() -> tuple[dict[str, Upload], list[str]]:
    """Name to sound, of the sounds of the session, and what was wrong with other files, a sentence each."""
    kept = st.session_state.get(_SOUNDS, {}).values()
    return {u.sound.name: u for u in kept if isinstance(u, Upload)}, [u for u in kept if isinstance(u, str)]


def forget_uploads(file_ids: set[str] | None = None) -> None:
    """Sounds that the user removed; None: all, and what was wrong with files."""
    kept: dict = st.session_state.get(_SOUNDS, {})
    for file_id in list(kept):
        if file_ids is None or file_id in file_ids:
            del kept[file_id]


def _read_upload(name: str, data: bytes) -> Upload | str:
    """The sound, or the sentence that says why it is none."""
    with tempfile.NamedTemporaryFile(suffix=Path(name).suffix) as file:
        try:
            file.write(data)
            file.flush()
            digest, samples = scenes.read_sound(file.name, name)
        except ValueError as error:
            return str(error)
        except OSError as error:
            return f"{name} could not be kept for reading: {error.strerror}."
    return Upload(Sound(name, sha256=digest), samples)


# Between the table on the page and the specification


def to_rows(sources: tuple[Source, ...]) -> pd.DataFrame:
    """The table of the page, a row a source."""
    return pd.DataFrame([_row(source) for source in sources], columns=list(COLUMNS)).astype(
        {c: (object if c in ("class", "sound") else float) for c in COLUMNS}
    )


def _row(s: Source) -> dict:
    sound = (s.sound.name, 0) if s.sound.is_file else (BUILT_IN, s.sound.seed)
    values = (s.class_name, *sound, s.onset_s, s.length_s, *s.start_deg, *s.end_deg, s.distance_m, s.level_db)
    return dict(zip(COLUMNS, values))


def from_rows(rows: pd.DataFrame, sounds: Mapping[str, Sound]) -> tuple[tuple[Source, ...], list[Problem]]:
    """The sources of the table's rows, and what is missing in the others. sounds: by the name of the file."""
    found, missing = [], []
    for n, row in enumerate(rows.to_dict("records")):
        if empty := [column for column in COLUMNS if _is_empty(row[column]) and column not in _OPTIONAL]:
            missing.append(Problem(n, f"it has no {', '.join(empty)}"))
        elif row["sound"] != BUILT_IN and row["sound"] not in sounds:
            missing.append(Problem(n, f"the file {row['sound']} is not among the uploaded sounds"))
        else:
            found.append(_source(row, sounds))
    return tuple(found), missing


_OPTIONAL = {"azimuth to": "azimuth", "elevation to": "elevation", "number": None}  # empty: as this column, or 0


def _is_empty(value) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _source(row: dict, sounds: Mapping[str, Sound]) -> Source:
    for column, other in _OPTIONAL.items():
        if _is_empty(row[column]):
            row[column] = row[other] if other else 0
    sound = Sound(scenes.PROCEDURAL, seed=int(row["number"])) if row["sound"] == BUILT_IN else sounds[row["sound"]]
    return Source(
        class_name=row["class"],
        sound=sound,
        onset_s=float(row["onset"]),
        length_s=float(row["length"]),
        start_deg=(float(row["azimuth"]), float(row["elevation"])),
        end_deg=(float(row["azimuth to"]), float(row["elevation to"])),
        distance_m=float(row["distance"]),
        level_db=float(row["level"]),
    )


def with_source(rows: pd.DataFrame, class_name: str, where: tuple[float, float]) -> pd.DataFrame:
    """The rows and one more: a built-in sound of its own that stands at ``where``, (azimuth, elevation) in degrees."""
    sound = Sound(scenes.PROCEDURAL, seed=len(rows) + 1)
    row = to_rows((Source(class_name, sound, 0.0, NEW_SECONDS, where, where, 1.0, 0.0),))
    return row if rows.empty else pd.concat([rows, row], ignore_index=True)


def moved(rows: pd.DataFrame, row: int, end: str, where: tuple[float, float]) -> pd.DataFrame:
    """The rows, with the "start" or the "end" of one at ``where``; one that stands stands there."""
    rows, start, to = rows.copy(), ["azimuth", "elevation"], ["azimuth to", "elevation to"]
    stands = bool((rows.loc[row, start].to_numpy() == rows.loc[row, to].to_numpy()).all())
    if end == "end" or stands:
        rows.loc[row, to] = where
    if end == "start":
        rows.loc[row, start] = where
    return rows


def first_scene() -> Specification:
    """What the page begins with: one source that stands, and one that walks past it."""
    phone = Source("ringing phone", Sound(scenes.PROCEDURAL, 3), 1.0, 5.0, (60.0, 10.0), (60.0, 10.0), 1.0, 0.0)
    speech = Source("male speech", Sound(scenes.PROCEDURAL, 5), 3.0, 6.0, (-110.0, 0.0), (30.0, 0.0), 1.0, 0.0)
    return Specification(1, 10, SpecifiedRoom((7.0, 6.0, 3.0), 0.4), Noise(20.0), -3.0, (phone, speech))


# One scene


@dataclass(frozen=True)
class Rendered:
    """A rendered scene. clip: its FLAC and DCASE 2020 CSV, as the other pages open them; text: the JSON that rebuilds it."""

    specification: Specification
    clip: Clip
    text: str


def render(specification: Specification, uploads: Mapping[str, Upload], progress: Progress) -> Rendered:
    """The scene of a specification, from the session if it was rendered before. ValueError, one sentence, if it is impossible or
    cannot be written; ``progress`` may raise to stop."""
    kept: dict = st.session_state.setdefault(_RENDERED, {})
    text = scenes.to_text(specification)
    kept[text] = kept.pop(text) if text in kept else _render(specification, uploads, progress)
    for old in list(kept)[:-KEPT_RENDERED]:
        del kept[old]
    return kept[text]


def rendered(specification: Specification) -> Rendered | None:
    """The scene, if it has been rendered in this session and is kept."""
    return st.session_state.get(_RENDERED, {}).get(scenes.to_text(specification))


def _render(specification: Specification, uploads: Mapping[str, Upload], progress: Progress) -> Rendered:
    n, stem = len(specification.sources), specification.stem
    progress(0.0, f"Rendering {n} sources")
    samples = {upload.sound.sha256: upload.samples for upload in uploads.values()}
    try:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            scenes.write(
                specification,
                samples,
                out,
                stem,
                lambda done: progress(done / (n + 1), f"Source {done} of {n} is done"),
            )
            flac, csv = (
                (out / kind / f"{stem}{suffix}").read_bytes()
                for kind, suffix in (("foa_dev", ".flac"), ("metadata_dev", ".csv"))
            )
    except OSError as error:
        raise ValueError(f"The scene could not be written: {error.strerror}.") from error
    classes = class_menu.LABELS.get(specification.class_list, specification.classes)
    clip = Clip(f"{stem}.flac", flac, f"{stem}.csv", csv, truth_classes=classes)
    return Rendered(specification, clip, scenes.to_text(specification))


# Training sets


@dataclass(frozen=True)
class SetConfig:
    """A training set: how many scenes, what they are drawn from, and the seed."""

    name: str
    n_scenes: int
    seed: int
    scene: SceneConfig

    @property
    def arguments(self) -> list[str]:
        """Of ``python -m einv2 simulate OUT_DIR``: the length and the overlap, and what differs from the defaults."""
        values = {"--scenes": self.n_scenes, "--seconds": self.scene.seconds, "--max-overlap": self.scene.max_overlap}
        given = [text for flag, value in (values | {"--seed": self.seed}).items() for text in (flag, str(value))]
        others = [f for f in fields(SceneConfig) if f.name not in ("seconds", "max_overlap")]
        return given + [_flag(f.name, value) for f in others if (value := getattr(self.scene, f.name)) != f.default]

    @property
    def most_bytes(self) -> int:
        return self.n_scenes * self.scene.seconds * BYTES_PER_SECOND


def _flag(name: str, value) -> str:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return flag
    return f"{flag}={','.join(f'{v:g}' for v in value) if isinstance(value, tuple) else f'{value:g}'}"


@dataclass
class Batch:
    """A training set in the making, by a process of its own. ``outcome``: "" while it runs, then how it ended, in a sentence."""

    config: SetConfig
    folder: Path
    process: subprocess.Popen
    lock: IO
    n_before: int = 0  # scenes that stood there when it began
    began: float = field(default_factory=time.monotonic)
    outcome: str = ""
    is_kept: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def n_done(self) -> int:
        return _n_scenes(self.folder)

    @property
    def seconds_left(self) -> float | None:
        """By the scenes so far; None before the first."""
        done = self.n_done
        if done <= self.n_before:
            return None
        return (time.monotonic() - self.began) / (done - self.n_before) * (self.config.n_scenes - done)

    def stop(self) -> None:
        self.stopped.set()


def _n_scenes(folder: Path) -> int:
    return sum(1 for _ in folder.glob("metadata_dev/*.csv"))


LOG, CONFIG, LOCK = "simulate.log", "set.json", ".lock"  # of a set in the making, in its folder
_BATCHES: list[Batch] = []  # the one of this server that runs, or ran last
_STARTING = threading.Lock()


@atexit.register
def _stop_all() -> None:
    for batch in _BATCHES:
        if batch.process.poll() is None:
            batch.process.terminate()


def batch_at_work() -> Batch | None:
    """The set that is being made, whoever began it. One that a server left when it ended is gone on with."""
    with _STARTING:
        return _at_work()


def _at_work() -> Batch | None:
    if any(not batch.outcome for batch in _BATCHES):
        return _BATCHES[0]
    for folder in user_folder.unfinished("scenes"):
        if _config_of(folder) and (lock := _locked(folder)):
            if config := _config_of(folder):  # it is still there
                return _launch(config, folder, lock)
            lock.close()
    return None


def _config_of(folder: Path) -> SetConfig | None:
    """Of a set in the making; None if the folder is no such set."""
    try:
        found = json.loads((folder / CONFIG).read_text())
        scene = from_json(SceneConfig, found["scene"])
        return SetConfig(str(found["name"]), int(found["n_scenes"]), int(found["seed"]), scene)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _locked(folder: Path) -> IO | None:
    """The lock of a set in the making, which its process and its server hold; None if others do."""
    lock = (folder / LOCK).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def begin_set(config: SetConfig) -> Batch:
    """Start to render a training set. ValueError, one sentence, if its name or size is not possible."""
    if not 1 <= config.n_scenes <= MAX_SET_SCENES or not 1 <= config.scene.seconds <= MAX_SET_SECONDS:
        raise ValueError(f"a set has from 1 to {MAX_SET_SCENES} scenes of 1 to {MAX_SET_SECONDS} s")
    user_folder.path_of("scenes", config.name)
    with _STARTING:
        if _at_work() is not None:
            raise ValueError("another training set is being made on this server: wait until it is done")
        user_folder.require_room(config.most_bytes)
        folder = user_folder.begin("scenes", config.name)
        write_json(folder / CONFIG, asdict(config))
        lock = _locked(folder)
        assert lock is not None  # the folder is new
        return _launch(config, folder, lock)


def _launch(config: SetConfig, folder: Path, lock: IO) -> Batch:
    """Scenes that stand there already are kept."""
    command = [sys.executable, "-m", "einv2", "simulate", str(folder), *config.arguments]
    with (folder / LOG).open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=output,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            pass_fds=(lock.fileno(),),
        )
    batch = Batch(config, folder, process, lock, _n_scenes(folder))
    _BATCHES[:] = [batch]
    threading.Thread(target=_watch, args=(batch,), daemon=True).start()
    return batch


def _watch(batch: Batch) -> None:
    """To the end of the process, which comes early if it is stopped or the folder is full; then the set is kept, or goes."""
    why = ""
    while batch.process.poll() is None and not why:
        why = "Stopped; nothing was kept." if batch.stopped.wait(POLL_SECONDS) else _full()
    if why:
        batch.process.terminate()
    batch.process.wait()
    batch.outcome = _end(batch, why)
    batch.lock.close()


def _end(batch: Batch, why: str) -> str:
    """The set is kept if its process ended well and was not stopped. How it ended, a sentence."""
    if batch.process.returncode == 0 and not why:
        try:
            for name in (LOG, CONFIG, LOCK, status.FILE):
                (batch.folder / name).unlink(missing_ok=True)
            user_folder.finish(batch.folder)
            batch.is_kept = True
            return f"{batch.config.name} is kept: {batch.config.n_scenes} scenes."
        except OSError as error:
            why = f"The set could not be kept: {error.strerror}."
    why = why or f"The set could not be rendered: {_last_line(batch.folder / LOG)}"
    user_folder.discard(batch.folder)
    return why


def scenes_of(name: str) -> list[Path]:
    """The recordings of a kept set, in the order of their numbers."""
    found = user_folder.path_of("scenes", name).glob("foa_dev/*.flac")
    return sorted((p for p in found if not p.is_symlink()), key=lambda p: (p.stem.rpartition("mix")[2], p.stem))


def open_scene(recording: Path) -> Clip:
    """A scene of a kept set. ValueError, one sentence, if it is not there any more."""
    truth = recording.parent.with_name("metadata_dev") / f"{recording.stem}.csv"
    try:
        return Clip(
            recording.name, recording, truth.name, truth.read_bytes(), truth_classes=class_menu.LABELS["dcase2020"]
        )
    except OSError as error:
        raise ValueError(f"{recording.name} cannot be opened: {error.strerror}.") from None


def remove_set(name: str) -> None:
    """Delete a kept set. ValueError, one sentence, if it is not there, or a run trains on it."""
    place = str(user_folder.path_of("scenes", name))
    for run in training_runs.runs():
        if run.state == training_runs.RUNNING and place in run.order.get("paths", []):
            raise ValueError(f"{run.name} is training on {name}: stop it before its data are deleted.")
    user_folder.remove("scenes", name)


def _full() -> str:
    try:
        user_folder.require_room()
    except ValueError as error:
        return f"{error} The set was given up."
    return ""


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    said = [line for line in lines if line.startswith("error: ")]
    return said[-1].removeprefix("error: ") if said else "its process ended early."
