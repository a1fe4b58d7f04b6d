"""Work on the networks of the list (``app.networks.registry``): read, keep, rename and delete them."""

import contextlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.networks import registry
from app.networks.registry import KEPT, SHIPPED, SUFFIX, TRAINED, NetworkFile, cached, require_small_header
from app.storage import user_folder
from einv2.checkpoints import checkpoint, headers, official
from einv2.checkpoints.checkpoint import Checkpoint, CheckpointError
from einv2.config import FeatureConfig, ModelConfig
from einv2.inference.model import Model


@dataclass(frozen=True)
class Summary:
    """A checkpoint that was read completely, without its weights. parameters: the size of each tensor of the network, by name."""

    model: ModelConfig
    features: FeatureConfig
    classes: tuple[str, ...]
    parameters: dict[str, int]
    provenance: dict[str, Any]
    scores: dict[str, Any]
    curve: list[Any]

    @property
    def n_parameters(self) -> int:
        return sum(self.parameters.values())

    @property
    def chunk_seconds(self) -> int:
        return headers.chunk_seconds(self.provenance)


# Reading


def load(network: NetworkFile) -> Model:
    """The network, ready to run. ValueError, one sentence, if it cannot."""
    try:
        require_small_header(network.path, network.file_name)
        return Model(checkpoint.load(network.path, network.file_name), name=network.file_name)
    except OSError as error:
        raise ValueError(f"{network.name} cannot be read: {error.strerror or error}.") from None


@cached
def summary(path: Path, name: str) -> Summary:
    require_small_header(path, name)
    found = checkpoint.load(path, name)
    parameters = {key: p.numel() for key, p in found.network.named_parameters()}
    return Summary(found.model, found.features, found.classes, parameters, found.provenance, found.scores, found.curve)


# Keeping


def suggest(file_name: str) -> str:
    """A free name for a network, made from the name of its file."""
    stem = re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(file_name).stem).strip(".-_")[:40].strip(".-_") or "network"
    taken = {network.name for network in registry.files()}
    numbered = (f"{stem}-{n}" for n in range(2, len(taken) + 3))
    return stem if stem not in taken else next(name for name in numbered if name not in taken)


def keep_upload(name: str, file_name: str, data: bytes) -> NetworkFile:
    """Keep an uploaded checkpoint of this project, as it is. ValueError, one sentence, if it is damaged or the name is not possible."""
    require_free(name)
    user_folder.require_room(len(data))
    with _making(name) as path:
        path.write_bytes(data)
        require_small_header(path, file_name)
        checkpoint.load(path, file_name)
    return registry.find(name)


def keep_import(name: str, file_name: str, data: bytes, scalar: tuple[str, bytes] | None = None) -> NetworkFile:
    """Import a ``.pth`` of the authors, and keep the result. scalar: (name, content) of their HDF5 file.

    ValueError, one sentence, if it is not theirs. The file is read by the restricted unpickler of ``einv2.checkpoints.official``.
    """
    require_free(name)
    user_folder.require_room(len(data))
    with tempfile.TemporaryDirectory() as folder:
        path, scalar_path = Path(folder) / "weights.pth", Path(folder) / "scalar.h5"
        path.write_bytes(data)
        if scalar is not None:
            scalar_path.write_bytes(scalar[1])
        try:
            imported = official.import_checkpoint(path, scalar_path if scalar else None)
        except CheckpointError as error:
            raise ValueError(
                _named(str(error), {"weights.pth": file_name, "scalar.h5": scalar[0] if scalar else ""})
            ) from None
    imported.provenance["imported_from"] = file_name
    return _keep(name, imported)


def keep_copy(network: NetworkFile, name: str) -> NetworkFile:
    """Keep a trained network under another name; it stays when its run is deleted."""
    return keep_upload(name, network.file_name, network.path.read_bytes())


def rename(network: NetworkFile, name: str) -> NetworkFile:
    """ValueError, one sentence, if the network is not a kept one or the name is not possible."""
    if network.origin == SHIPPED:
        raise ValueError(f"{network.name} comes with the app: it cannot be renamed.")
    if network.origin == TRAINED:
        raise ValueError(f"{network.name} belongs to its training run: keep a copy under another name.")
    path = require_free(name)
    if not registry.unchanged(network):
        raise ValueError(f"{network.name} was changed meanwhile: look at it again.")
    network.path.rename(path)
    return registry.find(name)


def delete(network: NetworkFile) -> None:
    """ValueError, one sentence, if the network is shipped, or was replaced since the user saw it."""
    if network.origin == SHIPPED:
        raise ValueError(f"{network.name} comes with the app: it cannot be deleted.")
    if not registry.unchanged(network):
        raise ValueError(f"{network.name} was changed or deleted meanwhile: look at it again.")
    if network.origin == KEPT:
        user_folder.remove("models", network.path.name)
    else:
        (user_folder.path_of("runs", network.path.parent.name) / network.path.name).unlink()


def require_free(name: str) -> Path:
    """Where a network of this name would be kept. ValueError, one sentence, if the name is not possible or is taken."""
    user_folder.path_of("models", name)
    if name in headers.available_models():
        raise ValueError(f"{name} is the name of a network that comes with the app: choose another name.")
    path = user_folder.path_of("models", f"{name}{SUFFIX}")
    if path.exists():
        raise ValueError(f"{name} is there already: choose another name, or delete it first.")
    return path


def _keep(name: str, found: Checkpoint) -> NetworkFile:
    user_folder.require_room(4 * found.n_parameters)
    with _making(name) as path:
        checkpoint.save(found, path)
    return registry.find(name)


@contextlib.contextmanager
def _making(name: str) -> Iterator[Path]:
    """A path to write a network to, which is kept under its name if the block ends without an error."""
    place = user_folder.begin("models", f"{name}{SUFFIX}")
    try:
        path = place / f"{name}{SUFFIX}"
        yield path
        path.rename(require_free(name))
    except OSError as error:
        raise ValueError(f"{name} cannot be kept: {error.strerror or error}.") from None
    finally:
        user_folder.discard(place)


def _named(sentence: str, names: dict[str, str]) -> str:
    """A sentence about temporary files, with the names that the user knows; ``names``: from temporary names."""
    for temporary, name in names.items():
        sentence = sentence.replace(temporary, name)
    return sentence
