"""The one list of networks: shipped in pretrained/, kept in the folder of user data, and trained there.

    shipped   pretrained/NAME.safetensors           called NAME
    kept      models/NAME.safetensors               called NAME (uploaded, imported or copied here)
    trained   runs/RUN/best or last.safetensors     called RUN (best), RUN (last)

Names are unique: what is kept may not be called as what is shipped, and brackets are in no name of a kept one. The list is cheap to
ask for at every rerun: headers are read once for each state of a file, and without PyTorch, so that the first page does not wait
for it. ``app.networks.network_files`` reads the weights, and keeps, renames and deletes. Nothing is ever unpickled.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from app.storage import user_folder
from einv2.checkpoints import headers
from einv2.config import FeatureConfig, ModelConfig

T = TypeVar("T")

SHIPPED, KEPT, TRAINED = "shipped", "kept", "trained"
SUFFIX = ".safetensors"
BEST_AND_LAST = ("best", "last")  # of a run
MAX_HEADER_BYTES = 4 * 2**20  # of a checkpoint that is listed; that of 100 epochs takes 40 kB
_CACHED = 256


@dataclass(frozen=True)
class Entry:
    """A file of the list. stamp: equal as long as the file is the same; problem: one sentence, why it cannot be used at all."""

    name: str
    origin: str
    file: Path
    stamp: tuple
    problem: str | None = None

    @property
    def n_bytes(self) -> int:
        return self.stamp[2]

    @property
    def changed(self) -> float:
        """s since 1970."""
        return self.stamp[1] / 1e9

    @property
    def file_name(self) -> str:
        """What it is called in sentences and as a download."""
        return f"{self.file.parent.name}-{self.file.name}" if self.origin == TRAINED else self.file.name


@dataclass(frozen=True)
class Outline:
    """What the header of a checkpoint says."""

    model: ModelConfig
    features: FeatureConfig
    n_parameters: int
    provenance: dict
    scores: dict
    curve: list


# The list


def entries() -> list[Entry]:
    """All files, those that cannot be used too: shipped, the default first; kept; trained."""
    shipped = [_entry(name, SHIPPED, path) for name, path in headers.available_models().items()]
    taken = {entry.name for entry in shipped if entry}
    found = shipped + [_kept_entry(path, taken) for path in _user_files("models")]
    found += [_entry(*trained, path) for run in _user_files("runs") for trained, path in _trained(run)]
    return [entry for entry in found if entry]


def names() -> list[str]:
    """Of the networks that a clip can go through, the default first. Shipped ones are there even if they are broken, to be said."""
    return [e.name for e in entries() if e.origin == SHIPPED or _runs(e)]


def find(name: str) -> Entry:
    """ValueError, one sentence, if there is none of this name."""
    for entry in entries():
        if entry.name == name:
            return entry
    raise ValueError(f"There is no network {name} any more: it was deleted or renamed.")


def stamp(name: str) -> tuple:
    """Another one as soon as the file of a network is another; of an ensemble, "A + B", that of all."""
    stamps = {entry.name: entry.stamp for entry in entries()}
    return tuple(stamps.get(part) for part in ([name] if name in stamps else name.split(" + ")))


def unchanged(entry: Entry) -> bool:
    """Is the file still the one of the entry?"""
    again = _entry(entry.name, entry.origin, entry.file)
    return again is not None and again.stamp == entry.stamp


def _runs(entry: Entry) -> bool:
    try:
        return outline(entry).model.task == "seld"
    except ValueError:
        return False


def _user_files(kind: str) -> list[Path]:
    try:
        return [user_folder.path_of(kind, kept.name) for kept in user_folder.kept(kind)]
    except (ValueError, OSError):
        return []  # the Models page says why


def _entry(name: str, origin: str, path: Path, problem: str | None = None) -> Entry | None:
    """None if the file went away, or is a link in the folder of user data."""
    try:
        found = path.stat() if origin == SHIPPED else path.lstat()
    except OSError:
        return None
    if path.is_symlink() and origin != SHIPPED:
        return None
    return Entry(name, origin, path, (str(path), found.st_mtime_ns, found.st_size), problem)


def _kept_entry(path: Path, taken: set[str]) -> Entry | None:
    if path.suffix != SUFFIX or not path.is_file():
        return _entry(
            path.name, KEPT, path, f"{path.name} is no {SUFFIX} file: upload it, so that it is read or imported."
        )
    if path.stem in taken:
        return _entry(path.name, KEPT, path, f"{path.name} is called as a network that comes with the app: rename it.")
    return _entry(path.stem, KEPT, path)


def _trained(run: Path) -> Iterator[tuple[tuple[str, str], Path]]:
    for which in BEST_AND_LAST:
        if (path := run / f"{which}{SUFFIX}").is_file():
            yield (f"{run.name} ({which})", TRAINED), path


# Reading


def remembered(read: Callable[[Path, str], T]) -> Callable[[Entry], T]:
    """``read(path, name)`` as a function of an entry, called once for each state of its file.

    It gives what was read, or raises ValueError with one sentence, if the file is not one that can be used.
    """

    @functools.lru_cache(maxsize=_CACHED)
    def result_or_sentence(path: Path, name: str, stamp: tuple) -> T | str:
        try:
            return read(path, name)
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}."
        except ValueError as error:
            return str(error)

    def of_entry(entry: Entry) -> T:
        found = entry.problem or result_or_sentence(entry.file, entry.file_name, entry.stamp)
        if isinstance(found, str):
            raise ValueError(found)
        return found

    return of_entry


@remembered
def outline(path: Path, name: str) -> Outline:
    require_small_header(path, name)
    header = headers.read_header(path, name)
    model, features = headers.configurations(header, name)
    parts = (header[key] for key in ("provenance", "scores", "curve"))
    return Outline(model, features, headers.count_parameters(path), *parts)


def require_small_header(path: Path, name: str) -> None:
    """A safetensors file begins with the size of its header, 8 bytes."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if MAX_HEADER_BYTES < size < path.stat().st_size:
        raise ValueError(
            f"{name} has a header of {user_folder.size_text(size)}, "
            f"more than the {user_folder.size_text(MAX_HEADER_BYTES)} that are read."
        )
