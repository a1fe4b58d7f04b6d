"""The folder of data that the app was started with, `streamlit run app/main.py -- --data-root DIR`, and what lies in it.

No other folder can be read: what a page asks for is a path relative to this root, and is refused if it leads out of it.
"""

import argparse
import os
import re
import sys
from pathlib import Path

from einv2.atomic_files import below, is_visible
from einv2.audio.containers import SUFFIXES

MAX_DEPTH = 4
MAX_FOLDERS = 2000  # looked into
MAX_FILES = 5000  # offered
KINDS = {"tables": (".csv",), "recordings": SUFFIXES}


def data_root(arguments: list[str] | None = None) -> Path | None:
    """The folder given at the start, resolved; None if none was given, or if it is no folder."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--data-root", type=Path)
    root = parser.parse_known_args(sys.argv[1:] if arguments is None else arguments)[0].data_root
    return root.resolve() if root is not None and root.is_dir() else None


def folders_with(root: Path, kind: str) -> list[str]:
    """The folders below ``root``, relative to it, in which, or right below which, files of a kind of ``KINDS`` lie."""
    found = set()
    for seen, (place, subfolders, files) in enumerate(os.walk(root), 1):
        here = Path(place).relative_to(root)
        subfolders[:] = sorted(s for s in subfolders if is_visible(Path(s))) if len(here.parts) < MAX_DEPTH else []
        if any(file.lower().endswith(KINDS[kind]) and is_visible(Path(file)) for file in files):
            found |= {here} | ({here.parent} if here.parts else set())
        if seen >= MAX_FOLDERS:
            break
    return [p.as_posix() for p in sorted(found)]


def recordings(root: Path) -> list[str]:
    """The recordings below ``root``, relative to it: at most ``MAX_FILES``, none behind a link that leads out."""
    found = []
    for folder in folders_with(root, "recordings"):
        for path in sorted(p for p in (root / folder).iterdir() if is_visible(Path(p.name))):
            if path.suffix.lower() in KINDS["recordings"] and path.is_file() and path.resolve().is_relative_to(root):
                found.append(path.relative_to(root).as_posix())
    return found[:MAX_FILES]


def recording_at(root: Path, relative: str) -> Path:
    """The recording at a relative path. ValueError, one sentence, if it leads out of the root or is not there."""
    path = root / relative
    if "\0" in relative or ".." in Path(relative).parts or not path.resolve().is_relative_to(root):
        raise ValueError(f"{relative} leads out of the data root: choose a recording inside of it.")
    if path.suffix.lower() not in KINDS["recordings"] or not path.is_file():
        raise ValueError(f"{relative} is no recording in the data root (any more): choose another.")
    return path


def truth_of(root: Path, recording: str) -> Path | None:
    """The metadata of a recording: beside it, or in metadata_dev where it lies in foa_dev or mic_dev, and so with _eval."""
    beside = Path(recording).with_suffix(".csv")
    parts = [re.sub(r"^(foa|mic)_(dev|eval)$", r"metadata_\2", part) for part in beside.parts]
    for path in (root / beside, root.joinpath(*parts)):
        for found in (path, path.with_suffix(".CSV")):
            if found.is_file() and found.resolve().is_relative_to(root):
                return found
    return None


def inside(root: Path, relative: str) -> Path:
    """The folder at a relative path. ValueError, one sentence, if it leads out of the root or is not there."""
    path = (root / relative).resolve()
    if not path.is_relative_to(root):
        raise ValueError(f"{relative} leads out of the data root: choose a folder inside of it.")
    if not path.is_dir():
        raise ValueError(f"{relative} is no folder in the data root (any more): choose another.")
    return path


def files_in(root: Path, relative: str, kind: str) -> dict[str, Path]:
    """Stem to file, of a kind of ``KINDS``, in a folder and below it. ValueError if there are none, or two with one stem."""
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
