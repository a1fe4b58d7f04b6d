"""The one list of networks: shipped in pretrained/, kept in the folder of user data, and trained there.

    shipped   pretrained/NAME.safetensors           called NAME
    kept      models/NAME.safetensors               called NAME (uploaded, imported or copied here)
    trained   runs/RUN/best or last.safetensors     called RUN (best), RUN (last)

Names are unique: a kept network cannot have the name of a shipped one, nor brackets in its name. The list is cheap enough for every
rerun of a page: headers are read once, until the file changes, and without PyTorch, so that the first page does not wait for it.
``app.networks.network_files`` reads the weights, and keeps, renames and deletes networks. Nothing is ever unpickled.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from app.storage import user_folder
from einv2.checkpoints import headers
from einv2.config import FeatureConfig, ModelConfig

T = TypeVar("T")

SHIPPED, KEPT, TRAINED = "shipped", "kept", "trained"
SUFFIX = ".safetensors"
BEST_AND_LAST = ("best", "last")  # of a run
MAX_HEADER_BYTES = 4 * 2**20  # of a checkpoint that is listed; that of 100 epochs takes 40 kB
CACHED_FILES = 256


@dataclass(frozen=True)
class NetworkFile:
    """A file of the list. stamp: (path, ns, bytes), which differs when the file has changed; problem: why it cannot be used at all,
    one sentence."""

    name: str
    origin: str
    path: Path
    stamp: tuple[str, int, int]
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
        """Its name in sentences and as a download."""
        return f"{self.path.parent.name}-{self.path.name}" if self.origin == TRAINED else self.path.name


@dataclass(frozen=True)
class Header:
    """The header of a checkpoint."""

    model: ModelConfig
    features: FeatureConfig
    n_parameters: int
    provenance: dict[str, Any]
    scores: dict[str, Any]
    curve: list[Any]


# The list


def files() -> list[NetworkFile]:
    """All files, also those that cannot be used: shipped, the default first; kept; trained."""
    shipped = [_network_file(name, SHIPPED, path) for name, path in headers.available_models().items()]
    taken = {network.name for network in shipped if network}
    kept = [_kept_file(path, taken) for path in _user_paths("models")]
    trained = [
        _network_file(f"{run.name} ({which})", TRAINED, path)
        for run in _user_paths("runs")
        for which in BEST_AND_LAST
        if (path := run / f"{which}{SUFFIX}").is_file()
    ]
    return [network for network in shipped + kept + trained if network]


def names() -> list[str]:
    """Of the networks that a clip can go through, the default first. A damaged shipped one is included: its use gives the error."""
    return [network.name for network in files() if network.origin == SHIPPED or _is_seld(network)]


def find(name: str) -> NetworkFile:
    """ValueError, one sentence, if there is none of this name."""
    for network in files():
        if network.name == name:
            return network
    raise ValueError(f"There is no network {name} any more: it was deleted or renamed.")


def stamp(name: str) -> tuple:
    """A value that changes when the file of a network does; for an ensemble, "A + B", the values of all."""
    stamps = {network.name: network.stamp for network in files()}
    return tuple(stamps.get(part) for part in ([name] if name in stamps else name.split(" + ")))


def unchanged(network: NetworkFile) -> bool:
    """Whether the file is still the one that was listed."""
    again = _network_file(network.name, network.origin, network.path)
    return again is not None and again.stamp == network.stamp


def _is_seld(network: NetworkFile) -> bool:
    try:
        return header(network).model.task == "seld"
    except ValueError:
        return False


def _user_paths(kind: str) -> list[Path]:
    try:
        return [user_folder.path_of(kind, name) for name in user_folder.names(kind)]
    except (ValueError, OSError):
        return []  # the Models page shows the error


def _network_file(name: str, origin: str, path: Path, problem: str | None = None) -> NetworkFile | None:
    """None if the file has gone, or is a link in the folder of user data."""
    try:
        found = path.stat() if origin == SHIPPED else path.lstat()
    except OSError:
        return None
    if path.is_symlink() and origin != SHIPPED:
        return None
    return NetworkFile(name, origin, path, (str(path), found.st_mtime_ns, found.st_size), problem)


def _kept_file(path: Path, taken: set[str]) -> NetworkFile | None:
    if path.suffix != SUFFIX or not path.is_file():
        problem = f"{path.name} is no {SUFFIX} file: upload it, so that it is read or imported."
        return _network_file(path.name, KEPT, path, problem)
    if path.stem in taken:
        problem = f"{path.name} has the name of a network that comes with the app: rename it."
        return _network_file(path.name, KEPT, path, problem)
    return _network_file(path.stem, KEPT, path)


# Reading


def cached(read: Callable[[Path, str], T]) -> Callable[[NetworkFile], T]:
    """``read(path, name)`` as a function of a network file, called once until the file changes.

    It returns what was read, or raises ValueError with one sentence, if the file cannot be used.
    """

    @functools.lru_cache(maxsize=CACHED_FILES)
    def result_or_sentence(path: Path, name: str, stamp: tuple) -> T | str:
        try:
            return read(path, name)
        except OSError as error:
            return f"{name} cannot be read: {error.strerror or error}."
        except ValueError as error:
            return str(error)

    def of_file(network: NetworkFile) -> T:
        found = network.problem or result_or_sentence(network.path, network.file_name, network.stamp)
        if isinstance(found, str):
            raise ValueError(found)
        return found

    return of_file


@cached
def header(path: Path, name: str) -> Header:
    require_small_header(path, name)
    values = headers.read_header(path, name)
    model, features = headers.configurations(values, name)
    n_parameters = headers.count_parameters(path)
    return Header(model, features, n_parameters, values["provenance"], values["scores"], values["curve"])


def require_small_header(path: Path, name: str) -> None:
    """A safetensors file begins with the size of its header, 8 bytes."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if MAX_HEADER_BYTES < size < path.stat().st_size:
        raise ValueError(
            f"{name} has a header of {user_folder.size_text(size)}, "
            f"more than the {user_folder.size_text(MAX_HEADER_BYTES)} that are read."
        )
