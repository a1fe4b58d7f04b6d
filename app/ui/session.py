"""The clip that is open, as a frozen value, and the session keys that several pages share."""

import hashlib
import json
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from app.paths import EXAMPLES
from app.storage import server_folder

if TYPE_CHECKING:
    from einv2.audio.inputformat import InputFormat


# session keys
CLIP = "clip"
FIX = "fix"  # (name of the clip, the InputFormat that the user chose for it)
SEEK = "seek"  # a request to the player, see ``seek``
CLOSED = "closed"  # how many clips were closed
PUT_AWAY = "put_away"  # an upload that the browser's Back closed, for its Forward
RESULTS = "results"  # of the Evaluate page
MOMENT = "moment"  # (onset, offset) in s, at which the Inspect page is to open its clip


@dataclass(frozen=True)
class SystemTable:
    """The output of a system that is not a network of this server: its name, its CSV, and the classes of its indices."""

    name: str
    data: bytes
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A clip that the user opened: its bytes or its file, its name, and the ground truth that came with it.

    fix: the format of its channels, as the user chose it; None: as in its header. start: seconds, a multiple of 60; the start of
    the window that is shown. truth_classes: the class list of its ground truth, if known: a label of ``class_menu.KNOWN``, or
    names. system: shown beside the networks.
    """

    name: str
    data: bytes | Path
    truth_name: str | None = None
    truth: bytes | None = None
    fix: "InputFormat | None" = None
    start: float = 0.0
    truth_classes: str | tuple[str, ...] | None = None
    system: SystemTable | None = None

    @cached_property
    def digest(self) -> str:
        if isinstance(self.data, Path):
            try:
                status = self.data.stat()
            except OSError:
                return f"{self.data} has gone"
            return f"{self.data} {status.st_mtime_ns} {status.st_size}"
        return hashlib.sha256(self.data).hexdigest()

    @property
    def key(self) -> tuple:
        """Equal if picture and sound are the same, whatever the ground truth."""
        return self.digest, self.name, self.fix, self.start

    @cached_property
    def link(self) -> tuple[str, str]:
        """How the address names it: ("example", key), ("recording", path below the data root), or ("upload", name)."""
        known = example(self.stem)
        if known is not None and self.data in (known.file, known.file.read_bytes()):
            return "example", known.key
        root = server_folder.data_root()
        if isinstance(self.data, Path) and root is not None and self.data.is_relative_to(root):
            return "recording", self.data.relative_to(root).as_posix()
        return "upload", self.name

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower() or ".wav"

    @property
    def stem(self) -> str:
        return Path(self.name).stem


@dataclass(frozen=True)
class Example:
    """A clip that comes with the app."""

    key: str
    title: str
    text: str

    @property
    def file(self) -> Path:
        return EXAMPLES / f"{self.key}.flac"

    def open(self) -> Source:
        truth = self.file.with_suffix(".csv")
        return Source(self.file.name, self.file.read_bytes(), truth.name, truth.read_bytes())


def recording(root: Path | None, name: str) -> Source:
    """A recording of the data root, with its metadata. ValueError, one sentence, if there is none of this name."""
    if root is None:
        raise ValueError(f"{name} is a recording of a data root, and this server was started without one.")
    path, truth = server_folder.recording_at(root, name), server_folder.truth_of(root, name)
    if truth is None:
        return Source(path.name, path)
    return Source(path.name, path, truth.name, truth.read_bytes())


def seek(start: float, end: float, play: bool = True) -> dict:
    """A request to the player: go to a section of the clip (s) and play it. The nonce tells a new request from a repeated one."""
    return {"t": float(start), "end": float(end), "play": play, "nonce": time.time_ns() // 1_000_000}


def examples() -> list[Example]:
    return [Example(**entry) for entry in json.loads((EXAMPLES / "examples.json").read_text())]


def example(key: str) -> Example | None:
    return next((found for found in examples() if found.key == key), None)
