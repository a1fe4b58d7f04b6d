"""The folder of a training run, from which it can be resumed.

    config.json         the settings, with the class list and fingerprints of the data
    metrics.jsonl       one record per finished epoch
    log.txt             what was printed
    events/             for TensorBoard
    last.safetensors    the network after the last epoch
    best.safetensors    the network after the best epoch so far
    state.pt            what resuming needs: weights, optimiser, feature statistics, curve

Files are replaced atomically. state.pt is written last: a run that is killed while it saves repeats the epoch.
"""

import contextlib
import dataclasses
import hashlib
import io
import json
import pickle
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from ..atomic_files import write_bytes, write_json, write_text
from ..checkpoints import checkpoint
from ..checkpoints.checkpoint import Checkpoint
from ..config import FeatureConfig, ModelConfig, TrainConfig, from_json, to_json
from ..datasets.discovery import Clip
from ..messages import counted


@dataclass(frozen=True)
class RunData:
    """The class list, and fingerprints of the clips (``fingerprint``): other fingerprints mean other data."""

    classes: tuple[str, ...]
    training: str = ""
    validation: str = ""


@dataclass(frozen=True)
class RunSettings:
    """Everything that determines a run; config.json."""

    model: ModelConfig
    features: FeatureConfig
    train: TrainConfig
    data: RunData

    def differences(self, other: "RunSettings") -> list[str]:
        """The fields that differ, as "train.seed"."""
        ours, theirs = to_json(self), to_json(other)
        return [f"{part}.{key}" for part, values in ours.items() for key in values if values[key] != theirs[part][key]]


def fingerprint(clips: Sequence[Clip]) -> str:
    """The number of clips, and a digest of their names and file sizes."""
    sizes = [(clip.place.as_posix(), clip.audio.stat().st_size, clip.metadata.stat().st_size) for clip in clips]
    return f"{len(clips)} clips, {hashlib.sha256(json.dumps(sizes).encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class RunFolder:
    path: Path

    @property
    def holds_run(self) -> bool:
        return (self.path / "config.json").exists()

    def require_new(self) -> None:
        if self.holds_run:
            raise ValueError(f"{self.path} holds a run already: add --resume to continue it, or choose another folder.")

    def settings(self) -> RunSettings:
        """The settings of the run that is there; a field that an older version did not write has the value it had then.

        ValueError if config.json is damaged.
        """
        try:
            return from_json(RunSettings, self._config())
        except ValueError as error:
            raise ValueError(
                f"{self.path / 'config.json'} is damaged ({error}): start the run again in another folder."
            ) from error

    def as_started(self, model: ModelConfig) -> ModelConfig:
        """The network to resume a run with. A field that config.json lacks, and that ``model`` has at its default, has the value
        of the time when the run was started (``ModelConfig.as_once_meant``)."""
        if not self.holds_run:
            return model
        started, written = self.settings().model, self._config()["model"]
        lacking = [f.name for f in dataclasses.fields(model) if f.name not in written]
        defaults = [name for name in lacking if getattr(model, name) == getattr(ModelConfig, name)]
        return dataclasses.replace(model, **{name: getattr(started, name) for name in defaults})

    def _config(self) -> Any:
        return json.loads((self.path / "config.json").read_text())

    def begin(self, settings: RunSettings) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.path / "metrics.jsonl", "")
        write_json(self.path / "config.json", to_json(settings))

    def resume(self, settings: RunSettings) -> dict[str, Any] | None:
        """The state after the last finished epoch, None if no epoch was finished.

        ValueError if the settings are not those of the run, or a file is damaged. The number of epochs may differ while the
        learning rates so far are the same; config.json then gets the new number.
        """
        started = self.settings()
        if changed := [name for name in settings.differences(started) if name != "train.epochs"]:
            own = [
                name for name in changed if not name.startswith("data.")
            ]  # these may be why the data differ: the seed
            what = "settings" if own else "data"
            raise ValueError(
                f"{self.path} was started with other {what} ({', '.join(own or changed)}); resume needs the same."
            )
        for leftover in self.path.glob(".*.tmp"):  # of a run that was killed while it wrote
            leftover.unlink()
        state = self._state()
        if settings != started:
            self._require_same_rates(started.train, settings.train, len(json.loads(state["curve"])) if state else 0)
            write_json(self.path / "config.json", to_json(settings))
        return state

    def _state(self) -> dict[str, Any] | None:
        if not (self.path / "state.pt").exists():
            return None
        try:
            return torch.load(self.path / "state.pt", map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"{self.path / 'state.pt'} is damaged: start the run again in another folder.") from error

    def _require_same_rates(self, started: TrainConfig, now: TrainConfig, n_done: int) -> None:
        """ValueError unless a run of the new length would have had the same learning rates in the epochs done: with the schedule
        "steps" before the rate falls, with "one-cycle" never."""
        if n_done > now.epochs:
            raise ValueError(
                f"{self.path} has trained {counted(n_done, 'epoch')} already, more than --epochs {now.epochs}."
            )
        if n_done and not (now.schedule == "steps" and 10 * n_done <= 9 * min(started.epochs, now.epochs)):
            raise ValueError(
                f"{self.path} has trained {n_done} of {started.epochs} epochs, at learning rates that a run of {now.epochs} epochs "
                f"would not have had (schedule {now.schedule}): resume it with --epochs {started.epochs}, or begin a new run with its "
                f"weights by --init {self.path / 'last.safetensors'}."
            )

    def save(self, network: Checkpoint, state: dict[str, Any], is_best: bool) -> None:
        """Write what an epoch changes. OSError or RuntimeError (of PyTorch) if the disk is full."""
        checkpoint.save(network, self.path / "last.safetensors")
        if is_best:
            checkpoint.save(network, self.path / "best.safetensors")
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(record) + "\n" for record in network.curve))
        content = io.BytesIO()
        torch.save(state, content)
        write_bytes(self.path / "state.pt", content.getbuffer())

    def log(self, line: str) -> None:
        """Print a line with the time, and append it to log.txt."""
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}"
        tqdm.write(line)
        with (self.path / "log.txt").open("a") as file:
            file.write(line + "\n")

    @contextlib.contextmanager
    def events(self, n_done: int) -> Iterator[SummaryWriter]:
        """TensorBoard's writer. What a killed run wrote of the epoch after ``n_done`` is hidden. OSError if the disk is full."""
        with _without_thread_tracebacks():
            try:
                writer = SummaryWriter(self.path / "events", purge_step=n_done + 1 if n_done else None)
            except OSError as error:
                raise OSError(f"{self.path / 'events'} could not be written: {error.strerror or error}") from error
            try:
                yield writer
            finally:
                with contextlib.suppress(OSError):  # raised before, by the flush after each epoch
                    writer.close()


@contextlib.contextmanager
def _without_thread_tracebacks() -> Iterator[None]:
    """TensorBoard's thread prints no traceback when the disk is full: the next write raises its error."""
    shown = threading.excepthook
    threading.excepthook = lambda error: None if isinstance(error.exc_value, OSError) else shown(error)
    try:
        yield
    finally:
        threading.excepthook = shown
