"""What is done with the networks of the list (``app.networks.registry``): read them as a whole, keep, rename and delete them."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from app.networks import registry
from app.networks.registry import KEPT, SHIPPED, SUFFIX, TRAINED, Entry, remembered, require_small_header
from app.storage import user_folder
from einv2.checkpoints import checkpoint, headers, official
from einv2.checkpoints.checkpoint import Checkpoint, CheckpointError
from einv2.config import FeatureConfig, ModelConfig
from einv2.inference.model import Model


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

    @property
    def chunk_seconds(self) -> int:
        return headers.chunk_seconds(self.provenance)


# Reading


def load(entry: Entry) -> Model:
    """The network, ready to run. ValueError, one sentence, if it cannot."""
    try:
        require_small_header(entry.file, entry.file_name)
        return Model(checkpoint.load(entry.file, entry.file_name), name=entry.file_name)
    except OSError as error:
        raise ValueError(f"{entry.name} cannot be read: {error.strerror or error}.") from None


@remembered
def card(path: Path, name: str) -> Card:
    require_small_header(path, name)
    found = checkpoint.load(path, name)
    parameters = {key: p.numel() for key, p in found.network.named_parameters()}
    return Card(found.model, found.features, found.classes, parameters, found.provenance, found.scores, found.curve)


# Keeping


def suggest(file_name: str) -> str:
    """A name that may be given to a network from a file, and is free."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(file_name).stem).strip(".-_")[:40].strip(".-_") or "network"
    taken = {entry.name for entry in registry.entries()}
    numbered = (f"{stem}-{n}" for n in range(2, len(taken) + 3))
    return stem if stem not in taken else next(name for name in numbered if name not in taken)


def keep_upload(name: str, file_name: str, data: bytes) -> Entry:
    """Keep an uploaded checkpoint of ours, as it is. ValueError, one sentence, if it is not whole or the name cannot be."""
    require_free(name)
    user_folder.require_room(len(data))
    with _making(name) as path:
        path.write_bytes(data)
        require_small_header(path, file_name)
        checkpoint.load(path, file_name)
    return registry.find(name)


def keep_import(name: str, file_name: str, data: bytes, scalar: tuple[str, bytes] | None = None) -> Entry:
    """Import a ``.pth`` of the authors, and keep what comes of it. scalar: (name, content) of their HDF5 file.

    ValueError, one sentence, if it is not theirs. The file is read by the restricted unpickler of ``einv2.checkpoints.official``.
    """
    require_free(name)
    user_folder.require_room(len(data))
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
    if not registry.unchanged(entry):
        raise ValueError(f"{entry.name} was changed meanwhile: look at it again.")
    entry.file.rename(path)
    return registry.find(name)


def delete(entry: Entry) -> None:
    """ValueError, one sentence, if the network is shipped, or was replaced since the user saw it."""
    if entry.origin == SHIPPED:
        raise ValueError(f"{entry.name} comes with the app: it cannot be deleted.")
    if not registry.unchanged(entry):
        raise ValueError(f"{entry.name} was changed or deleted meanwhile: look at it again.")
    if entry.origin == KEPT:
        user_folder.remove("models", entry.file.name)
    else:
        (user_folder.path_of("runs", entry.file.parent.name) / entry.file.name).unlink()


def require_free(name: str) -> Path:
    """Where a network of this name would be kept. ValueError, one sentence, if the name cannot be or is taken."""
    user_folder.path_of("models", name)
    if name in headers.available_models():
        raise ValueError(f"{name} is the name of a network that comes with the app: choose another name.")
    path = user_folder.path_of("models", f"{name}{SUFFIX}")
    if path.exists():
        raise ValueError(f"{name} is there already: choose another name, or delete it first.")
    return path


def _require_kept(entry: Entry) -> None:
    if entry.origin == SHIPPED:
        raise ValueError(f"{entry.name} comes with the app: it cannot be renamed.")
    if entry.origin == TRAINED:
        raise ValueError(f"{entry.name} belongs to its training run: keep a copy under another name.")


def _keep(name: str, found: Checkpoint) -> Entry:
    user_folder.require_room(4 * found.n_parameters)
    with _making(name) as path:
        checkpoint.save(found, path)
    return registry.find(name)


@contextlib.contextmanager
def _making(name: str) -> Iterator[Path]:
    """A path to write a network to, which is kept under its name once the block has ended well."""
    place = user_folder.begin("models", f"{name}{SUFFIX}")
    try:
        path = place / f"{name}{SUFFIX}"
        yield path
        path.rename(require_free(name))
    except OSError as error:
        raise ValueError(f"{name} cannot be kept: {error.strerror or error}.") from None
    finally:
        user_folder.discard(place)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _named(sentence: str, names: dict[str, str]) -> str:
    """A sentence about temporary files, with the names that the user knows."""
    for path, name in names.items():
        sentence = sentence.replace(path, name)
    return sentence
