"""The data root, a folder on the server that pages can read: `streamlit run app/main.py -- --data-root DIR`.

No other folder can be read: pages ask for paths relative to the root, and paths that lead out of it are refused.
"""

import argparse
import os
import re
import sys
from pathlib import Path

from einv2.atomic_files import below, is_visible
from einv2.audio.containers import SUFFIXES

MAX_DEPTH = 4
MAX_FOLDERS = 2000  # that are searched
MAX_FILES = 5000  # that are listed
KINDS = {"tables": (".csv",), "recordings": SUFFIXES}


def data_root(arguments: list[str] | None = None) -> Path | None:
    """The data root, resolved; None if the app was started without one, or it is not a folder."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data-root", type=Path)
    root = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)[0].data_root
    return root.resolve() if root is not None and root.is_dir() else None


def folders_with(root: Path, kind: str) -> list[str]:
    """Folders below ``root``, relative to it, with files of a kind (a key of ``KINDS``) in them or in one of their subfolders."""
    found: set[Path] = set()
    for seen, (place, subfolders, files) in enumerate(os.walk(root), 1):
        here = Path(place).relative_to(root)
        subfolders[:] = sorted(s for s in subfolders if is_visible(Path(s))) if len(here.parts) < MAX_DEPTH else []
        if any(file.lower().endswith(KINDS[kind]) and is_visible(Path(file)) for file in files):
            found |= {here} | ({here.parent} if here.parts else set())
        if seen >= MAX_FOLDERS:
            break
    return [p.as_posix() for p in sorted(found)]


def recordings(root: Path) -> list[str]:
    """The recordings below ``root``, relative to it: at most ``MAX_FILES``, without links that lead out of it."""
    found = []
    for folder in folders_with(root, "recordings"):
        for path in sorted(p for p in (root / folder).iterdir() if is_visible(Path(p.name))):
            if path.suffix.lower() in KINDS["recordings"] and path.is_file() and path.resolve().is_relative_to(root):
                found.append(path.relative_to(root).as_posix())
    return found[:MAX_FILES]


def recording_at(root: Path, relative: str) -> Path:
    """The recording at a relative path. ValueError, one sentence, if the path leads out of the root or there is none."""
    path = root / relative
    if "\0" in relative or ".." in Path(relative).parts or not path.resolve().is_relative_to(root):
        raise ValueError(f"{relative} leads out of the data root: choose a recording inside of it.")
    if path.suffix.lower() not in KINDS["recordings"] or not path.is_file():
        raise ValueError(f"{relative} is no recording in the data root (any more): choose another.")
    return path


def truth_of(root: Path, recording: str) -> Path | None:
    """The metadata of a recording: beside it, or in metadata_dev if it is in foa_dev or mic_dev (and likewise with _eval)."""
    beside = Path(recording).with_suffix(".csv")
    parts = [re.sub(r"^(foa|mic)_(dev|eval)$", r"metadata_\2", part) for part in beside.parts]
    for path in (root / beside, root.joinpath(*parts)):
        for found in (path, path.with_suffix(".CSV")):
            if found.is_file() and found.resolve().is_relative_to(root):
                return found
    return None


def inside(root: Path, relative: str) -> Path:
    """The folder at a relative path. ValueError, one sentence, if the path leads out of the root or there is none."""
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"{relative} leads out of the data root: choose a folder inside of it.")
    if not path.is_dir():
        raise ValueError(f"{relative} is no folder in the data root (any more): choose another.")
    return path


def files_in(root: Path, relative: str, kind: str) -> dict[str, Path]:
    """The files of a kind (a key of ``KINDS``) in a folder and below it, by stem. ValueError if there are none or two with a stem."""
    files: dict[str, Path] = {}
    for path in below(inside(root, relative), *KINDS[kind]):
        if not path.resolve().is_relative_to(root):
            continue
        if path.stem in files:
            raise ValueError(f"{relative} holds two files with the stem {path.stem}, by which files are matched.")
        files[path.stem] = path
    if not files:
        raise ValueError(
            f"{relative} holds no {'CSV files' if kind == 'tables' else 'recordings'}: choose another folder."
        )
    return files
