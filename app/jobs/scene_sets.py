"""Training sets of the Scenes page: random scenes, which a process renders into the folder of user data.

A server renders one set at a time. Its process and the server hold the lock of its unfinished folder (see ``app.jobs.process``), which
becomes a kept set when all scenes are rendered. A set that a server left unfinished when it ended is continued by the next one that
looks for it. Errors are ValueErrors of one sentence.
"""

import atexit
import sys
import threading
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

from app.jobs import process, training_runs
from app.storage import user_folder
from einv2 import status
from einv2.atomic_files import write_json
from einv2.config import from_json
from einv2.simulate.scene import SceneConfig

MAX_SET_SCENES, MAX_SET_SECONDS = 10_000, 120
BYTES_PER_SECOND = 24000 * 4 * 2  # of a scene, as FLAC at worst
POLL_SECONDS = 1.0
CONFIG = "set.json"  # of an unfinished set, in its folder
WORK_FILES = (
    CONFIG,
    process.LOCK,
    process.START,
    process.OUTPUT,
    status.FILE,
    "simulate.log",
)  # the last: of older versions


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


def _flag(name: str, value: Any) -> str:
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return flag
    return f"{flag}={','.join(f'{v:g}' for v in value) if isinstance(value, tuple) else f'{value:g}'}"


@dataclass
class Batch:
    """A training set that a process renders. outcome: empty while it runs, then one sentence that says how it ended."""

    config: SetConfig
    folder: Path
    job: process.Job
    lock: IO[str]
    n_before: int = 0  # scenes that were rendered when the process started
    began: float = field(default_factory=time.monotonic)
    outcome: str = ""
    is_kept: bool = False
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def n_done(self) -> int:
        return _n_scenes(self.folder)

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the scenes rendered so far; None before the first."""
        done = self.n_done
        if done <= self.n_before:
            return None
        return (time.monotonic() - self.began) / (done - self.n_before) * (self.config.n_scenes - done)

    def stop(self) -> None:
        self.stopped.set()


def _n_scenes(folder: Path) -> int:
    return sum(1 for _ in folder.glob("metadata_dev/*.csv"))


_BATCHES: list[Batch] = []  # the one that this server renders, or rendered last
_STARTING = threading.Lock()


@atexit.register
def _stop_all() -> None:
    for batch in _BATCHES:
        if batch.job.is_running:
            batch.job.popen.terminate()


def batch_at_work() -> Batch | None:
    """The set that is being rendered, whoever started it. One that another server left unfinished is continued."""
    with _STARTING:
        return _at_work()


def _at_work() -> Batch | None:
    if any(not batch.outcome for batch in _BATCHES):
        return _BATCHES[0]
    for folder in user_folder.unfinished("scenes"):
        if _config_of(folder) and (lock := process.try_lock(folder)):
            if config := _config_of(folder):  # the folder still exists
                return _launch(config, folder, lock)
            lock.close()
    return None


def _config_of(folder: Path) -> SetConfig | None:
    """The configuration of an unfinished set; None if the folder holds none."""
    try:
        found = process.read_json(folder / CONFIG)
        scene = from_json(SceneConfig, found["scene"])
        return SetConfig(str(found["name"]), int(found["n_scenes"]), int(found["seed"]), scene)
    except (ValueError, KeyError, TypeError):
        return None


def begin_set(config: SetConfig) -> Batch:
    """Start to render a training set. ValueError if its name or size is not possible."""
    if not 1 <= config.n_scenes <= MAX_SET_SCENES or not 1 <= config.scene.seconds <= MAX_SET_SECONDS:
        raise ValueError(f"a set has from 1 to {MAX_SET_SCENES} scenes of 1 to {MAX_SET_SECONDS} s")
    user_folder.path_of("scenes", config.name)
    with _STARTING:
        if _at_work() is not None:
            raise ValueError("another training set is being made on this server: wait until it is done")
        user_folder.require_room(config.most_bytes)
        folder = user_folder.begin("scenes", config.name)
        write_json(folder / CONFIG, asdict(config))
        lock = process.try_lock(folder, seconds=1.0)
        if lock is None:
            raise ValueError("another training set is being made on this server: wait until it is done")
        return _launch(config, folder, lock)


def _launch(config: SetConfig, folder: Path, lock: IO[str]) -> Batch:
    """Start the process of a set. It keeps the scenes that are already rendered."""
    command = [sys.executable, "-m", "einv2", "simulate", str(folder), *config.arguments]
    job = process.start(command, folder, lock, environment={"OMP_NUM_THREADS": "1"})
    batch = Batch(config, folder, job, lock, _n_scenes(folder))
    _BATCHES[:] = [batch]
    threading.Thread(target=_watch, args=(batch,), daemon=True).start()
    return batch


def _watch(batch: Batch) -> None:
    """Wait for the end of the process, or end it if the set is stopped or the folder is full; then keep the set or discard it."""
    why = ""
    while batch.job.is_running and not why:
        why = "Stopped; nothing was kept." if batch.stopped.wait(POLL_SECONDS) else _full()
    batch.job.stop()
    batch.outcome = _end(batch, why)
    batch.lock.close()


def _end(batch: Batch, why: str) -> str:
    """Keep the set if its process succeeded and was not stopped (``why`` is empty). One sentence that says how it ended."""
    if batch.job.popen.returncode == 0 and not why:
        try:
            for name in WORK_FILES:
                (batch.folder / name).unlink(missing_ok=True)
            user_folder.finish(batch.folder)
            batch.is_kept = True
            return f"{batch.config.name} is kept: {batch.config.n_scenes} scenes."
        except OSError as error:
            why = f"The set could not be kept: {error.strerror}."
    last = status.read(batch.folder)
    reason = last.reason if last is not None and last.state == status.FAILED else "its process ended early."
    user_folder.discard(batch.folder)
    return why or f"The set could not be rendered: {reason}"


def scenes_of(name: str) -> list[Path]:
    """The recordings of a kept set, in the order of their numbers."""
    found = user_folder.path_of("scenes", name).glob("foa_dev/*.flac")
    return sorted((p for p in found if not p.is_symlink()), key=lambda p: (p.stem.rpartition("mix")[2], p.stem))


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
