"""The folder of user data: `streamlit run app/main.py -- --user-data DIR [--user-data-gib G]`, by default ~/.einv2-studio.

    scenes/NAME   training sets        models/NAME   checkpoints        runs/NAME   trainings

It belongs to the server: everyone who may use the app sees what is in it. What a session opens, uploads or composes stays in the
session, unless its user keeps it. Names cannot lead out of the folder, and links in it are not followed.
"""

import argparse
import contextlib
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

KINDS = ("scenes", "models", "runs")
DEFAULT = Path("~/.einv2-studio")
DEFAULT_GIB = 20.0
GIB = 2**30
LEAST_FREE_BYTES = GIB // 2  # left to the disk
SHARED = "What you keep is stored in the folder of user data on this server: everyone who may use this app sees it and can delete it."
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9 _.-]{0,62}[A-Za-z0-9_-])?")
_UNFINISHED = ".unfinished-"
_LEFT_OVER_SECONDS = 3600.0


@dataclass(frozen=True)
class Item:
    """A set, network or run in the folder. changed: s since 1970."""

    kind: str
    name: str
    n_bytes: int
    n_files: int
    changed: float


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(f"The app was started with a wrong option: {message}.")


def root(arguments: list[str] | None = None) -> Path:
    """The folder, resolved; it is created when something is first kept. This function and all below raise ValueError, one sentence,
    if the app was started with wrong options."""
    return _options(arguments).user_data.expanduser().resolve()


def limit_bytes(arguments: list[str] | None = None) -> int:
    """The most that the folder may hold."""
    gib = _options(arguments).user_data_gib
    if not 0 < gib < 2**30:
        raise ValueError(f"--user-data-gib must be greater than 0, not {gib:g}.")
    return round(gib * GIB)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("--user-data", type=Path, default=DEFAULT)
    parser.add_argument("--user-data-gib", type=float, default=DEFAULT_GIB)
    return parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)[0]


def path_of(kind: str, name: str) -> Path:
    """The path of an item, whether it exists or not. ValueError, one sentence, if the name is not a plain one, or a link is there."""
    folder = _folder(kind)
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{name!r} cannot be a name here: choose 1 to 64 letters (A to Z), digits, spaces, full stops, _ and -, "
            "beginning and ending with a letter or digit."
        )
    path = folder / name
    if path.is_symlink() or folder.is_symlink():
        raise ValueError(f"{name} is a link, which the folder of user data does not follow: choose another name.")
    return path


def _folder(kind: str) -> Path:
    if kind not in KINDS:
        raise ValueError(f"the kinds of user data are {', '.join(KINDS)}, not {kind!r}")
    return root() / kind


def names(kind: str) -> list[str]:
    """Of all finished items of a kind, sorted. Faster than ``items``, which measures each."""
    folder = _folder(kind)
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [p.name for p in sorted(folder.iterdir()) if _NAME.fullmatch(p.name) and not p.is_symlink()]


def items(kind: str) -> list[Item]:
    """All finished items of a kind, by name."""
    paths = [_folder(kind) / name for name in names(kind)]
    return [Item(kind, p.name, *_size(p), p.lstat().st_mtime) for p in paths]


def used_bytes() -> int:
    """What the folder holds, including unfinished items, but not what links in it refer to."""
    return _size(root())[0]


def _size(path: Path) -> tuple[int, int]:
    """(bytes, files) of a file or of a folder and all below it."""
    sizes = list(_sizes(path))
    return sum(sizes), len(sizes)


def _sizes(path: Path) -> Iterator[int]:
    with contextlib.suppress(FileNotFoundError):  # it may be deleted meanwhile
        if path.is_file() or not path.is_dir():
            yield path.lstat().st_size
            return
        for entry in os.scandir(path):
            if entry.is_dir(follow_symlinks=False):
                yield from _sizes(Path(entry.path))
            else:
                with contextlib.suppress(FileNotFoundError):
                    yield entry.stat(follow_symlinks=False).st_size


def require_room(more_bytes: int = 0) -> None:
    """ValueError, one sentence, if the folder is full, or would be with ``more_bytes``, or the disk is nearly full."""
    used, limit = used_bytes(), limit_bytes()
    if used + more_bytes > limit:
        needs = f" and this may need {size_text(more_bytes)} more" if more_bytes else ""
        raise ValueError(
            f"The folder of user data holds {size_text(used)} of at most {size_text(limit)}{needs}: delete what is no "
            "longer needed, or start the app with a larger --user-data-gib."
        )
    place = next(p for p in (root(), *root().parents) if p.is_dir())
    if shutil.disk_usage(place).free < more_bytes + LEAST_FREE_BYTES:
        raise ValueError(
            f"The disk that the folder of user data lies on has too little space for {size_text(more_bytes)} more: make room on it."
        )


def begin(kind: str, name: str) -> Path:
    """A new, empty, hidden folder in which an item is made until ``finish``. ValueError, one sentence, if the name is taken or the
    folder cannot be created."""
    path = path_of(kind, name)
    if path.exists():
        raise ValueError(f"{name} is there already: choose another name, or delete it first.")
    unfinished = path.with_name(_UNFINISHED + name)
    try:
        for folder in (root(), path.parent):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _sweep(path.parent)
        if unfinished.exists():
            raise ValueError(f"{name} is being made at this moment: choose another name, or wait.")
        unfinished.mkdir()
    except OSError as error:
        raise ValueError(f"The folder of user data cannot be written: {error.strerror}.") from None
    return unfinished


def unfinished(kind: str) -> list[Path]:
    """Folders of ``begin`` that are not finished, whichever session or server began them."""
    folder = _folder(kind)
    if folder.is_symlink() or not folder.is_dir():
        return []
    return [p for p in sorted(folder.glob(f"{_UNFINISHED}*")) if p.is_dir() and not p.is_symlink()]


def finish(unfinished: Path) -> Path:
    """Rename a folder of ``begin`` to the name of the item, which is kept from now on; returns its path."""
    path = unfinished.with_name(unfinished.name.removeprefix(_UNFINISHED))
    return unfinished.rename(path)


def discard(unfinished: Path) -> None:
    shutil.rmtree(unfinished, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Delete unfinished items that have not been written to for an hour: the app ended while it made them."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        newest = max(p.lstat().st_mtime for p in (path, *path.iterdir()))
        if not path.is_symlink() and time.time() - newest > _LEFT_OVER_SECONDS:
            discard(path)


def remove(kind: str, name: str) -> None:
    """Delete an item. ValueError, one sentence, if it is not there."""
    path = path_of(kind, name)
    if not path.exists():
        raise ValueError(f"{name} is not there any more.")
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def size_text(n_bytes: int) -> str:
    """ "12.3 GiB", "4.0 MiB", "7 KiB"."""
    if n_bytes >= 0.1 * GIB:
        return f"{n_bytes / GIB:.1f} GiB"
    return f"{n_bytes / 2**20:.1f} MiB" if n_bytes >= 2**18 else f"{n_bytes / 2**10:.0f} KiB"
