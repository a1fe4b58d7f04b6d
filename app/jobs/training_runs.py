"""Trainings of the Train page: each a folder of user data, runs/NAME, and a process that outlives the page, the tab and the server.

What is known of a run is read from its folder: what ``python -m einv2 train`` writes, and

    order.json      what was asked for, with the arguments of the command, and when the run was first started
    process.json    of the last start: process, its start time, when, whether it was a resumption, from which byte of the output on, and
                    whether a stop was asked
    output.txt      what the command said
    .lock           locked (flock) by the process from its first moment to its last, however it ends

so that neither a kill nor a reused process number leaves a run that seems to go on. Errors are ValueErrors of one sentence.
"""

import contextlib
import dataclasses
import fcntl
import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from app.paths import ROOT
from app.storage import server_folder, user_folder
from einv2.atomic_files import write_json
from einv2.checkpoints import checkpoint
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, without_effect
from einv2.datasets import chunking, discovery
from einv2.experiments.systems import SYSTEMS
from einv2.labels import class_lists

COMMAND = (sys.executable, "-m", "einv2", "train")
ORDER, PROCESS, OUTPUT, LOCK = "order.json", "process.json", "output.txt", ".lock"
FEATURES = ".features"  # of data-root sets, which are only read, kept beside the runs for the next one
RUNNING, STOPPED, FINISHED, FAILED = "running", "stopped", "finished", "failed"
TAIL_BYTES = 20_000  # of the output that is looked at
STOP_SECONDS = 10.0
COPIES = 5  # of the weights in a run's folder: last, best, and a state with two moments of AdamW


@dataclass(frozen=True)
class Size:
    """Width of the first convolution block (each further block doubles it), width inside transformer layers, mel bands."""

    title: str
    width: int
    feedforward: int
    n_mels: int = 64


SIZES = {
    "tiny": Size("tiny, for a try", 4, 32),
    "compact": Size("compact, for two cores", 16, 512),
    "medium": Size("medium, as the app's default network", 32, 512),
    "paper": Size("the paper's, for a GPU", 64, 1024, 256),
}


@dataclass(frozen=True)
class DataSet:
    """A folder to train on, by the name that the page gives it."""

    title: str
    path: str
    is_kept: bool  # among the user data, so that its features may be kept in it


@dataclass(frozen=True)
class Order:
    """What a run is to be. Without validation sets or parts a share of the clips (``train.validation_share``) is held out."""

    name: str
    data: tuple[DataSet, ...]
    system: str = "einv2-tpit"
    size: str = "compact"
    released: bool = True  # the layers of the authors' released code, else those of the paper's equations
    dropout: float = 0.1
    train: TrainConfig = field(default_factory=TrainConfig)
    validation: tuple[DataSet, ...] = ()
    train_part: tuple[str, ...] = ()
    validation_part: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()  # the class list of the data; told by them without

    @property
    def configs(self) -> tuple[ModelConfig, FeatureConfig, TrainConfig]:
        """As the command builds them, but for the numbers of tracks and classes, which the data tell."""
        size, base = SIZES[self.size], ModelConfig.released() if self.released else ModelConfig()
        model, train = SYSTEMS[self.system].apply(base, self.train)
        if model.network == "crnn":
            model = dataclasses.replace(ModelConfig.crnn(), channels=(size.width,) * 3)
        else:
            widths = tuple(size.width * 2**n for n in range(len(model.channels)))
            model = dataclasses.replace(model, channels=widths, feedforward=size.feedforward, dropout=self.dropout)
        return model, FeatureConfig(n_mels=size.n_mels), train

    @property
    def arguments(self) -> list[str]:
        """Of ``python -m einv2 train``, the folder of the run left out."""
        lists = {"--train-part": self.train_part, "--validation-part": self.validation_part}
        given = SYSTEMS[self.system].model | SYSTEMS[self.system].train
        model, features, train = self.configs
        idle = {
            *without_effect(model, train),
            *(["validation_share"] if self.validation or self.validation_part else []),
        }
        sets = [("--data", s) for s in self.data] + [("--validation", s) for s in self.validation]
        parts = [
            *(text for flag, one in sets for text in (flag, one.path)),
            *(text for flag, names in lists.items() if names for text in (flag, ",".join(names))),
            *(("--classes", class_lists.written(self.classes)) if self.classes else ()),
            *("--system", self.system),
            *(text for config in (model, features, train) for text in _flags(config, given, idle)),
        ]
        return parts + (["--cache", str(self.cache)] if self.cache else [])

    @property
    def cache(self) -> Path | None:
        """Where features are kept that may not be kept beside their clips."""
        all_kept = all(one.is_kept for one in (*self.data, *self.validation))
        return None if all_kept else user_folder.root() / "runs" / FEATURES

    @property
    def command(self) -> str:
        """The whole command, as it would be typed in the project's folder, a flag a line."""
        folder = user_folder.root() / "runs" / (self.name or "NAME")
        words = map(shlex.quote, [*self.arguments, "--out", str(folder)])
        return "python -m einv2 train" + "".join(f" \\\n  {w}" if w.startswith("--") else f" {w}" for w in words)

    def clips(self) -> tuple[list[discovery.Clip], list[discovery.Clip]]:
        """Those to train on and those to validate on. ValueError, OSError if the data do not do."""
        if not self.data:
            raise ValueError("Choose data to train on.")
        paths = ([one.path for one in sets] for sets in (self.data, self.validation))
        share, seed = self.train.validation_share, self.train.seed
        return discovery.split_clips(*paths, self.train_part, self.validation_part, share, seed, self.cache)

    @property
    def most_bytes(self) -> int:
        """What the run will write: its networks, and the features that are not there yet. ValueError, OSError as ``clips``."""
        model, features, _ = self.configs
        return COPIES * 4 * n_parameters(model) + chunking.missing_bytes(
            [clip for part in self.clips() for clip in part], features
        )


def _flags(config, given: dict, idle: set[str]) -> Iterator[str]:
    """A configuration as flags: what differs from the defaults, and from what ``--system`` sets, but for ``idle`` fields."""
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if f.name in idle or value == given.get(f.name, f.default):
            continue
        flag = f.name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{flag}" if value else f"--no-{flag}"
        else:
            yield from (f"--{flag}", ",".join(map(str, value)) if isinstance(value, tuple) else str(value))


@lru_cache(maxsize=64)
def n_parameters(config: ModelConfig) -> int:
    """Of the network of a configuration; no memory is taken for them."""
    import torch

    from einv2.models.build import build

    with torch.device("meta"):
        return sum(p.numel() for p in build(config).parameters())


def data_sets() -> list[DataSet]:
    """What can be trained on: kept scenes first, then the data sets below the data root."""
    kept = [DataSet(k.name, str(user_folder.path_of("scenes", k.name)), True) for k in user_folder.kept("scenes")]
    root = server_folder.data_root()
    if root is None:
        return kept
    places = (Path(folder).parts for folder in server_folder.folders_with(root, "recordings"))
    found = {Path(*p[:n]) for p in places for n, part in enumerate(p) if part.startswith("foa")}
    named = [(f"{root.name}/{place.as_posix()}" if place.parts else root.name, root / place) for place in sorted(found)]
    return kept + [DataSet(f"{title} (data root)", str(path), False) for title, path in named]


# Runs as they stand


@dataclass(frozen=True)
class Run:
    """A run as its folder tells it. records: one an epoch, see ``einv2.training.loop``; reason: why it failed or stopped, a
    sentence."""

    name: str
    folder: Path
    order: dict
    records: list[dict]
    state: str
    reason: str = ""
    began: float | None = None  # of the last start, s since 1970
    epoch_began: float | None = None  # of the epoch that is trained now; None before the first
    started: float | None = None  # of the first start
    resumed: float | None = None  # of the last start, if it was not the first

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
    def best(self) -> dict | None:
        """The record of the best epoch, which stands in its checkpoint."""
        try:
            return checkpoint.read_header(self.folder / "best.safetensors")["scores"]["validation"]
        except (ValueError, OSError, KeyError):
            return None

    @property
    def seconds_an_epoch(self) -> float | None:
        """By the last three epochs, or else as it was measured before the start; None if it was not."""
        last = [record["seconds"] for record in self.records[-3:]]
        return sum(last) / len(last) if last else self.order.get("seconds_an_epoch")

    def done(self, now: float | None = None) -> float:
        """Epochs, with the share of the present one that its time tells."""
        each = self.seconds_an_epoch
        if self.state != RUNNING or self.epoch_began is None or not each:
            return float(len(self.records))
        within = ((time.time() if now is None else now) - self.epoch_began) / each
        return min(len(self.records) + min(max(within, 0.0), 0.99), float(self.epochs))

    def seconds_left(self, now: float | None = None) -> float | None:
        each = self.seconds_an_epoch
        return None if each is None else (self.epochs - self.done(now)) * each


def runs() -> list[Run]:
    """All runs that were started here, the latest first."""
    found = (user_folder.path_of("runs", k.name) for k in user_folder.kept("runs"))
    return sorted((look(f.name) for f in found if _order(f)), key=lambda run: -(run.began or 0))


def damaged() -> list[str]:
    """Names of the folders of runs whose order cannot be read, so that they can be neither shown nor resumed."""
    found = (user_folder.path_of("runs", k.name) for k in user_folder.kept("runs"))
    return [f.name for f in found if (f / ORDER).is_file() and not _order(f)]


def look(name: str) -> Run:
    """The run of a name. ValueError if there is none that can be read."""
    folder = user_folder.path_of("runs", name)
    order = _order(folder)
    if not order:
        raise ValueError(f"There is no run {name} (any more).")
    running = _is_held(folder / LOCK)  # before the rest: what a run writes last is then seen
    process, records = _process(folder), _records(folder / "metrics.jsonl")
    state, reason = (RUNNING, "") if running else _ending(folder, order, process, records)
    began = process.get("began")
    epoch_began = _epoch_began(folder, math.inf if began is None else began)
    resumed = began if process.get("resumed") or process.get("output_from") else None
    return Run(name, folder, order, records, state, reason, began, epoch_began, _started(folder, order, began), resumed)


def _started(folder: Path, order: dict, began: float | None) -> float | None:
    """The first start. Orders that do not hold it were written at that moment, and never again."""
    if isinstance(known := order.get("began"), int | float):
        return known
    moments = (_changed(folder / ORDER), began)
    return min((moment for moment in moments if moment is not None), default=None)


ORDER_TYPES = {"epochs": int, "system": str, "size": str, "data": list, "seed": int, "arguments": list}


def _order(folder: Path) -> dict:
    """The order of a run; empty if it is not there, or not whole."""
    found = _json(folder / ORDER)
    whole = all(isinstance(found.get(key), kind) for key, kind in ORDER_TYPES.items()) and found["system"] in SYSTEMS
    return found if whole else {}


def _process(folder: Path) -> dict:
    """What is known of the process of a run: numbers, as far as they are."""
    found = _json(folder / PROCESS)
    return {k: v for k, v in found.items() if isinstance(v, int | float) or k == "started"}


def _epoch_began(folder: Path, began: float) -> float | None:
    """An epoch begins where the one before it, or the description of the data, was written down."""
    described = _changed(folder / "log.txt")
    if described is None or described < began:
        return None
    return max(described, _changed(folder / "metrics.jsonl") or described)


def _ending(folder: Path, order: dict, process: dict, records: list[dict]) -> tuple[str, str]:
    """How a run that does not go on has ended, and why."""
    lines = output(folder, process.get("output_from", 0)).splitlines()
    if wrong := _error_in(lines):
        return FAILED, public(wrong)
    if any("best.safetensors: " in line for line in lines[-3:]) or len(records) >= order["epochs"]:
        return FINISHED, ""
    if process.get("stopped"):
        return STOPPED, ""
    return STOPPED, (
        "Its process was killed, by a person or by the system (which does so when memory runs out), or the machine was switched "
        "off: nothing but the epoch it was in is lost."
    )


def _error_in(lines: list[str]) -> str:
    """What the command said was wrong; of an exception that it did not expect, the last line."""
    said = [line for line in lines if "error: " in line and not line.startswith((" ", "\t"))]
    if said:
        return said[-1].partition("error: ")[2]
    return next((line for line in reversed(lines) if line.strip()), "") if _TRACEBACK in lines else ""


_TRACEBACK = "Traceback (most recent call last):"


def public(text: str) -> str:
    """Without the places of folders on this server."""
    places = [user_folder.root() / kind for kind in user_folder.KINDS] + [user_folder.root()]
    for place in places + ([root.parent] if (root := server_folder.data_root()) else []):
        text = text.replace(f"{place}{os.sep}", "")
    return text


def output(folder: Path, start: int = 0) -> str:
    """The end of what the command of a run said, from a byte on."""
    try:
        with (folder / OUTPUT).open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(start, file.tell() - TAIL_BYTES))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def log_tail(run: Run, lines: int = 30) -> str:
    return public("\n".join(output(run.folder).splitlines()[-lines:]))


def _records(path: Path) -> list[dict]:
    try:
        found = [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError):
        return []
    return [r for r in found if isinstance(r, dict) and isinstance(r.get("seconds"), int | float) and "epoch" in r]


def _json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _changed(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


# Start, stop, resume, delete


def start(order: Order, beside: bool = False, seconds_an_epoch: float | None = None) -> Run:
    """Begin a run; ``beside`` others that go, if it is asked for. seconds_an_epoch: as it was measured."""
    user_folder.path_of("runs", order.name)
    user_folder.require_room(order.most_bytes)
    with _alone(beside):
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
    return look(order.name)


def resume(name: str, beside: bool = False) -> Run:
    """Go on with a run that stopped or failed, from its last finished epoch."""
    run = look(name)
    user_folder.require_room()
    with _alone(beside, name):
        if _is_held(run.folder / LOCK):
            raise ValueError(f"{name} is training already.")
        _launch(run.folder)
    return look(name)


def _launch(folder: Path) -> None:
    """Start the command of a run, which takes over the lock."""
    arguments = [*_order(folder)["arguments"], "--out", str(folder), "--resume"]
    with (folder / LOCK).open("a") as lock, (folder / OUTPUT).open("ab") as said:
        _take(lock)
        before = said.tell()
        try:
            process = subprocess.Popen(
                [*COMMAND, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.fileno(),),
            )
        except OSError as error:
            raise ValueError(f"The training could not be started: {error.strerror}.") from error
    started = _start_of(process.pid)
    known = {"pid": process.pid, "started": started, "began": time.time(), "output_from": before}
    write_json(folder / PROCESS, known | {"resumed": (folder / PROCESS).exists()})


def _take(lock) -> None:
    """Lock a file for good; whoever looks whether it is locked holds it for a moment."""
    for _ in range(50):
        try:
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.02)
    raise ValueError(f"{Path(lock.name).parent.name} is training already.")


def _is_held(path: Path) -> bool:
    """Whether a process has locked a file."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def _alone(beside: bool, name: str | None = None) -> Iterator[None]:
    """One start at a time, of all servers; ValueError if a run goes and this one is not to train beside it."""
    place = user_folder.root() / "runs"
    try:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (place / ".starting").open("a")
    except OSError as error:
        raise ValueError(f"The folder of user data cannot be written: {error.strerror}.") from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        others = [run.name for run in runs() if run.state == RUNNING and run.name != name]
        if others and not beside:
            raise ValueError(
                f"{others[0]} is training at this moment: wait until it is done, stop it, or choose to train beside it, which "
                "slows both down."
            )
        yield


def stop(name: str) -> None:
    """End the process of a run, at once; it can be resumed from its last finished epoch."""
    run = look(name)
    process = _process(run.folder)
    if run.state != RUNNING:
        return
    pid, started = process.get("pid"), process.get("started")
    if not pid or _start_of(pid) != started:
        raise ValueError(f"The process of {name} cannot be found: end it where it was started.")
    write_json(run.folder / PROCESS, process | {"stopped": True})
    for way in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, way)
        for _ in range(int(STOP_SECONDS / 0.05)):
            if not _is_held(run.folder / LOCK):
                return
            time.sleep(0.05)
    raise ValueError(f"The process of {name} does not end.")


def _start_of(pid: int) -> str | None:
    """When a process began, in ticks since the machine did; None where the system does not tell (it has no /proc)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def delete(name: str) -> None:
    """Delete a run with its networks."""
    if look(name).state == RUNNING:
        raise ValueError(f"{name} is training: stop it before it is deleted.")
    user_folder.remove("runs", name)


def features_bytes() -> int:
    """How much the features of data-root sets take."""
    place = user_folder.root() / "runs" / FEATURES
    return sum(p.stat().st_size for p in place.rglob("*.npy")) if place.is_dir() else 0


def delete_features() -> None:
    """They are computed again when a run needs them. ValueError while one does."""
    if any(run.state == RUNNING for run in runs()):
        raise ValueError("A run is training, which may need the features: delete them when it is through.")
    user_folder.discard(user_folder.root() / "runs" / FEATURES)
