"""What the user has chosen, as frozen values, and the keys it is kept under in the session."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

EXAMPLES = Path(__file__).parent / "examples"

# session keys
CLIP = "clip"
ANALYSES = "analyses"
UPLOAD = "upload"  # (the uploader's ids of clip and ground truth, the Source made of them)
FIGURE = "figure"  # the last figure drawn, with what it was drawn from
JOB = "job"  # what the Evaluate page scores
RESULTS = "results"  # what came of it
BEHIND = "behind"  # (grouping, group, kind) whose errors are listed
MOMENT = "moment"  # (onset, offset) in s, at which the Inspect page is to open its clip
STOPPED = "stopped"  # digest of the clip whose analysis the user stopped


@dataclass(frozen=True)
class Source:
    """A clip the user opened: its bytes with the name they know it by, and the ground truth that came with it, if any."""

    name: str
    data: bytes
    truth_name: str | None = None
    truth: bytes | None = None

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

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

    def open(self) -> Source:
        audio, truth = EXAMPLES / f"{self.key}.flac", EXAMPLES / f"{self.key}.csv"
        return Source(audio.name, audio.read_bytes(), truth.name, truth.read_bytes())


def examples() -> list[Example]:
    return [Example(**entry) for entry in json.loads((EXAMPLES / "examples.json").read_text())]
