"""Uploaded files: their types, and a path to one that is held in memory."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from einv2.audio.containers import SUFFIXES

AUDIO_TYPES = [suffix[1:] for suffix in SUFFIXES]


@contextlib.contextmanager
def as_file(data: bytes | Path, suffix: str) -> Iterator[Path]:
    """A path to a file with this content; bytes are written to a temporary file. OSError if that is not possible."""
    if isinstance(data, Path):
        yield data
        return
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(data)
        file.flush()
        yield Path(file.name)
