"""The one list of networks: shipped in pretrained/, kept in the folder of user data, and trained there.

    shipped   pretrained/NAME.safetensors           called NAME
    kept      models/NAME.safetensors               called NAME (uploaded, imported or copied here)
    trained   runs/RUN/best or last.safetensors     called RUN (best), RUN (last)

Names are unique: what is kept may not be called as what is shipped, and brackets are in no name of a kept one. The list is cheap to
ask for at every rerun: headers are read once for each state of a file. Nothing here is ever unpickled.
"""

import contextlib
import functools
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from app import userdata
from einv2 import checkpoint, inference, official
from einv2.checkpoint import Checkpoint, CheckpointError
from einv2.config import FeatureConfig, ModelConfig

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


@dataclass(frozen=True)
class Card:
    """A checkpoint that was read as a whole, without its weights. parameters: how many each tensor of the network has, by name."""

    model: ModelConfig
    features: FeatureConfig
    classes: tuple[str, ...]
    parameters: dict[str, int]
    provenance: dict
    scores: dict
    curve: list

    @property
    def n_parameters(self) -> int:
        return sum(self.parameters.values())


# The list


def entries() -> list[Entry]:
    """All files, those that cannot be used too: shipped, the default first; kept; trained."""
    shipped = [_entry(name, SHIPPED, path) for name, path in inference.available_models().items()]
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


def load(entry: Entry) -> inference.Model:
    """The network, ready to run. ValueError, one sentence, if it cannot."""
    try:
        _require_small_header(entry.file, entry.file_name)
        return inference.Model(checkpoint.load(entry.file, entry.file_name), name=entry.file_name)
    except OSError as error:
        raise ValueError(f"{entry.name} cannot be read: {error.strerror or error}.") from None


def outline(entry: Entry) -> Outline:
    """ValueError, one sentence, if the file is not one that can be used."""
    if entry.problem:
        raise ValueError(entry.problem)
    return _said(_outline(entry.file, entry.file_name, entry.stamp))


def card(entry: Entry) -> Card:
    """The same of the whole file: its weights are read, checked and let go."""
    if entry.problem:
        raise ValueError(entry.problem)
    return _said(_card(entry.file, entry.file_name, entry.stamp))


def _runs(entry: Entry) -> bool:
    try:
        return outline(entry).model.task == "seld"
    except ValueError:
        return False


def _user_files(kind: str) -> list[Path]:
    try:
        return [userdata.path_of(kind, kept.name) for kept in userdata.kept(kind)]
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


def _said(result):
    if isinstance(result, str):
        raise ValueError(result)
    return result


def _sentence_of(function: Callable) -> Callable:
    """The result, or the sentence of the error, so that either is remembered."""

    @functools.lru_cache(maxsize=_CACHED)
    def remembered(path: Path, name: str, stamp: tuple):
        try:
            return function(path, name)
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}."
        except ValueError as error:
            return str(error)

    return remembered


@_sentence_of
def _outline(path: Path, name: str) -> Outline:
    _require_small_header(path, name)
    header = checkpoint.read_header(path, name)
    model, features = checkpoint.configurations(header, name)
    parts = (header[key] for key in ("provenance", "scores", "curve"))
    return Outline(model, features, checkpoint.count_parameters(path), *parts)


@_sentence_of
def _card(path: Path, name: str) -> Card:
    _require_small_header(path, name)
    found = checkpoint.load(path, name)
    parameters = {key: p.numel() for key, p in found.network.named_parameters()}
    return Card(found.model, found.features, found.classes, parameters, found.provenance, found.scores, found.curve)


def _require_small_header(path: Path, name: str) -> None:
    """A safetensors file begins with the size of its header, 8 bytes."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if MAX_HEADER_BYTES < size < path.stat().st_size:
        raise ValueError(
            f"{name} has a header of {userdata.size_text(size)}, more than the {userdata.size_text(MAX_HEADER_BYTES)} that are read."
        )


# Keeping


def suggest(file_name: str) -> str:
    """A name that may be given to a network from a file, and is free."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(file_name).stem).strip(".-_")[:40].strip(".-_") or "network"
    taken = {entry.name for entry in entries()}
    numbered = (f"{stem}-{n}" for n in range(2, len(taken) + 3))
    return stem if stem not in taken else next(name for name in numbered if name not in taken)


def keep_upload(name: str, file_name: str, data: bytes) -> Entry:
    """Keep an uploaded checkpoint of ours, as it is. ValueError, one sentence, if it is not whole or the name cannot be."""
    require_free(name)
    userdata.require_room(len(data))
    with _making(name) as path:
        path.write_bytes(data)
        _require_small_header(path, file_name)
        checkpoint.load(path, file_name)
    return find(name)


def keep_import(name: str, file_name: str, data: bytes, scalar: tuple[str, bytes] | None = None) -> Entry:
    """Import a ``.pth`` of the authors, and keep what comes of it. scalar: (name, content) of their HDF5 file.

    ValueError, one sentence, if it is not theirs. The file is read by the restricted unpickler of ``einv2.official``.
    """
    require_free(name)
    userdata.require_room(len(data))
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder) / "weights.pth", data)
        scalar_path = scalar and _written(Path(folder) / "scalar.h5", scalar[1])
        try:
            imported = official.import_checkpoint(path, scalar_path)
        except CheckpointError as error:
            raise ValueError(
                _named(str(error), {"weights.pth": file_name, "scalar.h5": scalar[0] if scalar else ""})
            ) from None
    imported.provenance["imported_from"] = file_name
    return _keep(name, imported)


def keep_copy(name: str, entry: Entry) -> Entry:
    """Keep a trained network under a name of its own, which stays when its run goes."""
    return keep_upload(name, entry.file_name, entry.file.read_bytes())


def rename(entry: Entry, name: str) -> Entry:
    """ValueError, one sentence, if the network is not a kept one or the name cannot be."""
    _require_kept(entry)
    path = require_free(name)
    if not _unchanged(entry):
        raise ValueError(f"{entry.name} was changed meanwhile: look at it again.")
    entry.file.rename(path)
    return find(name)


def delete(entry: Entry) -> None:
    """ValueError, one sentence, if the network is shipped, or was replaced since the user saw it."""
    if entry.origin == SHIPPED:
        raise ValueError(f"{entry.name} comes with the app: it cannot be deleted.")
    if not _unchanged(entry):
        raise ValueError(f"{entry.name} was changed or deleted meanwhile: look at it again.")
    if entry.origin == KEPT:
        userdata.remove("models", entry.file.name)
    else:
        (userdata.path_of("runs", entry.file.parent.name) / entry.file.name).unlink()


def require_free(name: str) -> Path:
    """Where a network of this name would be kept. ValueError, one sentence, if the name cannot be or is taken."""
    userdata.path_of("models", name)
    if name in inference.available_models():
        raise ValueError(f"{name} is the name of a network that comes with the app: choose another name.")
    path = userdata.path_of("models", f"{name}{SUFFIX}")
    if path.exists():
        raise ValueError(f"{name} is there already: choose another name, or delete it first.")
    return path


def _require_kept(entry: Entry) -> None:
    if entry.origin == SHIPPED:
        raise ValueError(f"{entry.name} comes with the app: it cannot be renamed.")
    if entry.origin == TRAINED:
        raise ValueError(f"{entry.name} belongs to its training run: keep a copy under another name.")


def _unchanged(entry: Entry) -> bool:
    again = _entry(entry.name, entry.origin, entry.file)
    return again is not None and again.stamp == entry.stamp


def _keep(name: str, found: Checkpoint) -> Entry:
    userdata.require_room(4 * found.n_parameters)
    with _making(name) as path:
        checkpoint.save(found, path)
    return find(name)


@contextlib.contextmanager
def _making(name: str) -> Iterator[Path]:
    """A path to write a network to, which is kept under its name once the block has ended well."""
    place = userdata.begin("models", f"{name}{SUFFIX}")
    try:
        path = place / f"{name}{SUFFIX}"
        yield path
        path.rename(require_free(name))
    except OSError as error:
        raise ValueError(f"{name} cannot be kept: {error.strerror or error}.") from None
    finally:
        userdata.discard(place)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _named(sentence: str, names: dict[str, str]) -> str:
    """A sentence about temporary files, with the names that the user knows."""
    for path, name in names.items():
        sentence = sentence.replace(path, name)
    return sentence
