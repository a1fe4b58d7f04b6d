"""Training runs of the Train page. Each is a folder of user data, runs/NAME, and a process that survives the page, the tab and the
server (see ``app.jobs.process``).

What is known of a run is read from its folder, which holds what ``python -m einv2 train`` writes, what ``app.jobs.process`` writes, and

    order.json      what was asked for, with the arguments of the command, and when the run was first started

Errors are ValueErrors of one sentence.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.jobs import process
from app.jobs.training_order import FEATURES, Order
from app.storage import server_folder, user_folder
from einv2 import status
from einv2.atomic_files import write_json
from einv2.checkpoints import checkpoint
from einv2.experiments.systems import SYSTEMS
from einv2.status import FAILED, FINISHED, RUNNING, STOPPED

COMMAND = (sys.executable, "-m", "einv2", "train")
ORDER = "order.json"
ORDER_TYPES = {"epochs": int, "system": str, "size": str, "data": list, "seed": int, "arguments": list}
KILLED = (
    "Its process was killed, by a person or by the system (which does so when memory runs out), or the machine was switched off: "
    "nothing but the epoch it was in is lost."
)


@dataclass(frozen=True)
class Run:
    """A run, as read from its folder. records: one an epoch, see ``einv2.training.loop``; reason: one sentence, why it failed or
    stopped. Times are in s since 1970."""

    name: str
    folder: Path
    order: dict[str, Any]
    records: list[dict[str, Any]]
    state: str
    reason: str = ""
    last_start: float | None = None
    epoch_began: float | None = None  # the current epoch; None before the first
    first_start: float | None = None
    resumed: float | None = None  # the last start, if it was not the first

    @property
    def epochs(self) -> int:
        return self.order["epochs"]

    @property
    def resumable(self) -> bool:
        return self.state in (STOPPED, FAILED)

    @property
    def task(self) -> str:
        return SYSTEMS[self.order["system"]].model.get("task", "seld")

    @property
    def is_seld(self) -> bool:
        """Has both branches, so that the other pages can use it."""
        return self.task == "seld"

    @property
    def best(self) -> dict[str, Any] | None:
        """The record of the best epoch, from its checkpoint."""
        try:
            return checkpoint.read_header(self.folder / "best.safetensors")["scores"]["validation"]
        except (ValueError, OSError, KeyError):
            return None

    @property
    def seconds_an_epoch(self) -> float | None:
        """The mean of the last three epochs; before the first, what was measured before the start, None if nothing was."""
        last = [record["seconds"] for record in self.records[-3:]]
        return sum(last) / len(last) if last else self.order.get("seconds_an_epoch")

    def done(self, now: float | None = None) -> float:
        """Epochs, including the share of the current one that its time suggests."""
        each = self.seconds_an_epoch
        if self.state != RUNNING or self.epoch_began is None or not each:
            return float(len(self.records))
        within = ((time.time() if now is None else now) - self.epoch_began) / each
        return min(len(self.records) + min(max(within, 0.0), 0.99), float(self.epochs))

    def seconds_left(self, now: float | None = None) -> float | None:
        each = self.seconds_an_epoch
        return None if each is None else (self.epochs - self.done(now)) * each


# Read


def runs() -> list[Run]:
    """All runs that were started here, the latest first."""
    found = [read_run(folder.name) for folder in _folders() if _read_order(folder)]
    return sorted(found, key=lambda run: -(run.last_start or 0))


def damaged() -> list[str]:
    """Names of the folders of runs whose order cannot be read, so that they can be neither shown nor resumed."""
    return [folder.name for folder in _folders() if (folder / ORDER).is_file() and not _read_order(folder)]


def _folders() -> list[Path]:
    return [user_folder.path_of("runs", name) for name in user_folder.names("runs")]


def read_run(name: str) -> Run:
    """The run of a name. ValueError if there is none that can be read."""
    folder = user_folder.path_of("runs", name)
    order = _read_order(folder)
    if not order:
        raise ValueError(f"There is no run {name} (any more).")
    running = process.is_running(folder)  # asked first: so what a run writes last is read, too
    start, records = process.last_start(folder), _read_records(folder / "metrics.jsonl")
    state, reason = (RUNNING, "") if running else _ending(folder, order, start, records)
    resumed = start.began if start.resumed or start.output_from else None
    first_start = _first_start(folder, order, start.began)
    return Run(
        name,
        folder,
        order,
        records,
        state,
        reason=public(reason),
        last_start=start.began,
        epoch_began=_epoch_began(folder),
        first_start=first_start,
        resumed=resumed,
    )


def _ending(folder: Path, order: dict[str, Any], start: process.Start, records: list[dict]) -> tuple[str, str]:
    """How a run ended that is not running, and why. Older versions wrote no status."""
    last = status.read(folder)
    if last is not None and last.state != RUNNING:
        return last.state, last.reason
    if error := process.printed_error(folder):
        return FAILED, error
    last_lines = process.output(folder, start.output_from).splitlines()[-3:]
    if len(records) >= order["epochs"] or any("best.safetensors: " in line for line in last_lines):
        return FINISHED, ""
    return STOPPED, "" if start.stopped else KILLED


def _epoch_began(folder: Path) -> float | None:
    """The status is written when the first epoch begins, and after each."""
    last = status.read(folder)
    return _changed(folder / status.FILE) if last is not None and last.total else None


def _first_start(folder: Path, order: dict[str, Any], began: float | None) -> float | None:
    """Older versions did not write it into the order, but wrote the order at that moment, and never again."""
    if isinstance(known := order.get("began"), int | float):
        return known
    moments = (_changed(folder / ORDER), began)
    return min((moment for moment in moments if moment is not None), default=None)


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _read_order(folder: Path) -> dict[str, Any]:
    """The order of a run; empty if there is none, or it is not whole."""
    order = process.read_json(folder / ORDER)
    whole = all(isinstance(order.get(key), kind) for key, kind in ORDER_TYPES.items()) and order["system"] in SYSTEMS
    return order if whole else {}


def _read_records(path: Path) -> list[dict[str, Any]]:
    try:
        records = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError):
        return []
    return [r for r in records if isinstance(r, dict) and isinstance(r.get("seconds"), int | float) and "epoch" in r]


def log_tail(run: Run, lines: int = 30) -> str:
    return public("\n".join(process.output(run.folder).splitlines()[-lines:]))


def public(text: str) -> str:
    """Without the places of folders on this server."""
    root = user_folder.root()
    data_root = server_folder.data_root()
    for place in (*(root / kind for kind in user_folder.KINDS), root, *([data_root.parent] if data_root else [])):
        text = text.replace(f"{place}{os.sep}", "")
    return text


# Start, stop, resume, delete


def start(order: Order, beside: bool = False, seconds_an_epoch: float | None = None) -> Run:
    """Start a run. beside: also if another is running; seconds_an_epoch: as it was measured."""
    user_folder.path_of("runs", order.name)
    user_folder.require_room(order.most_bytes)
    with _one_start_at_a_time(beside):
        unfinished = user_folder.begin("runs", order.name)
        write_json(
            unfinished / ORDER,
            {
                "name": order.name,
                "system": order.system,
                "size": order.size,
                "data": [one.title for one in order.data],
                "paths": [one.path for one in (*order.data, *order.validation)],
                "epochs": order.train.epochs,
                "seed": order.train.seed,
                "began": time.time(),
                "seconds_an_epoch": seconds_an_epoch,
                "arguments": order.arguments,
            },
        )
        folder = user_folder.finish(unfinished)
        try:
            _launch(folder)
        except BaseException:
            user_folder.discard(folder)
            raise
    return read_run(order.name)


def resume(name: str, beside: bool = False) -> Run:
    """Continue a run that stopped or failed, from its last finished epoch."""
    run = read_run(name)
    user_folder.require_room()
    with _one_start_at_a_time(beside, name):
        _launch(run.folder)
    return read_run(name)


def _launch(folder: Path) -> None:
    """Start the command of a run."""
    lock = process.try_lock(folder, seconds=1.0)
    if lock is None:
        raise ValueError(f"{folder.name} is training already.")
    command = [*COMMAND, *_read_order(folder)["arguments"], "--out", str(folder), "--resume"]
    with lock:
        try:
            process.start(command, folder, lock, detached=True)
        except OSError as error:
            raise ValueError(f"The training could not be started: {error.strerror}.") from error


@contextlib.contextmanager
def _one_start_at_a_time(beside: bool, name: str | None = None) -> Iterator[None]:
    """On all servers. ValueError if a run is training, and this one, of a ``name`` if it is resumed, is not to train beside it."""
    folder = user_folder.root() / "runs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = process.try_lock(folder, seconds=30.0)
    except OSError as error:
        raise ValueError(f"The folder of user data cannot be written: {error.strerror}.") from None
    if lock is None:
        raise ValueError("Another run is being started at this moment: try again.")
    with lock:
        others = [run.name for run in runs() if run.state == RUNNING and run.name != name]
        if others and not beside:
            raise ValueError(
                f"{others[0]} is training at this moment: wait until it is done, stop it, or choose to train beside it, which "
                "slows both down."
            )
        yield


def stop(name: str) -> None:
    """End the process of a run at once. The run can be resumed from its last finished epoch."""
    run = read_run(name)
    if run.state == RUNNING:
        process.stop(run.folder, name)


def delete(name: str) -> None:
    """Delete a run with its networks."""
    if read_run(name).state == RUNNING:
        raise ValueError(f"{name} is training: stop it before it is deleted.")
    user_folder.remove("runs", name)


def features_bytes() -> int:
    """The size of the cached features of data-root sets."""
    folder = user_folder.root() / "runs" / FEATURES
    return sum(p.stat().st_size for p in folder.rglob("*.npy")) if folder.is_dir() else 0


def delete_features() -> None:
    """They are computed again when a run needs them. ValueError while one does."""
    if any(run.state == RUNNING for run in runs()):
        raise ValueError("A run is training, and may need the features: delete them when it has finished.")
    user_folder.discard(user_folder.root() / "runs" / FEATURES)
