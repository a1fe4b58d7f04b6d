"""What the user has chosen, as frozen values, and the keys it is kept under in the session."""

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
SEEK = "seek"  # what the player is asked to play
CLOSED = "closed"  # how many clips were closed
PUT_AWAY = "put_away"  # an upload that the browser's Back closed, for its Forward
RESULTS = "results"  # what came of it
MOMENT = "moment"  # (onset, offset) in s, at which the Inspect page is to open its clip


@dataclass(frozen=True)
class SystemTable:
    """What a system that is no network here says of a clip: its name, its CSV, and the classes that the indices mean."""

    name: str
    data: bytes
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A clip the user opened: its bytes, or its file, with the name they know it by, and the ground truth that came with it.

    fix: what its channels were said to be, None for what its header tells; start: seconds, a multiple of 60, from which it is
    looked at. truth_classes: the list that the classes of its ground truth are of, as ``clip.choose_truth_classes`` calls it, or
    the names of one's own, where that is known. system: to be shown beside the networks.
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
                found = self.data.stat()
            except OSError:
                return f"{self.data} has gone"
            return f"{self.data} {found.st_mtime_ns} {found.st_size}"
        return hashlib.sha256(self.data).hexdigest()

    @property
    def key(self) -> tuple:
        """Equal where the same is seen and heard, whatever the ground truth."""
        return self.digest, self.name, self.fix, self.start

    @cached_property
    def link(self) -> tuple[str, str]:
        """What the address calls it: ("example", key), ("recording", path below the data root), or ("upload", name)."""
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
    return Source(path.name, path, truth and truth.name, truth and truth.read_bytes())


def seek(start: float, end: float, play: bool = True) -> dict:
    """An order for the player: go to a stretch of the clip (s), and play it. Each is newer than those before."""
    return {"t": float(start), "end": float(end), "play": play, "nonce": time.time_ns() // 1_000_000}


def examples() -> list[Example]:
    return [Example(**entry) for entry in json.loads((EXAMPLES / "examples.json").read_text())]


def example(key: str) -> Example | None:
    return next((found for found in examples() if found.key == key), None)
