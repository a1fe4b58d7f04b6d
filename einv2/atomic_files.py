"""Atomic file writes, and the visible files below a folder."""

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside ``path`` that replaces it if the block ends without an error, and is removed otherwise.

    OSError names ``path`` unless it names another file. Libraries that write files themselves report a full disk by other kinds of
    errors: let them write into memory, then use ``write_bytes``.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path} cannot be written: there is no folder {path.parent}")
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def below(folder: str | Path, *suffixes: str) -> list[Path]:
    """The files with these suffixes, in any case, in a folder and below it, sorted.

    Hidden files are left out, and so are the extra files in macOS archives (._NAME, __MACOSX).
    """
    folder = Path(folder)
    found = (path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    return sorted(path for path in found if is_visible(path.relative_to(folder)) and path.is_file())


def is_visible(path: Path) -> bool:
    return not any(part.startswith(".") or part == "__MACOSX" for part in path.parts)


def write_text(path: str | Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: str | Path, value) -> None:
    write_text(path, json.dumps(value, indent=1))
