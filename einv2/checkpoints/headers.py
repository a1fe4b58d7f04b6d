"""The headers of checkpoints, read without their weights and without PyTorch, whose import takes seconds."""

import json
import math
import reprlib
from pathlib import Path

from safetensors import SafetensorError, safe_open

from ..config import FeatureConfig, ModelConfig, from_json, require_compatible
from ..frames import CHUNK_SECONDS, MAX_CHUNK_SECONDS
from ..messages import one_line
from ..paths import PRETRAINED

FORMAT_VERSION = 1
METADATA_KEY = "einv2"
STATISTICS = ("feature_mean", "feature_std")
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # of batch norm: not trained
_JSON_NAMES = {dict: "object", list: "list"}
_HEADER_KINDS = {"model": dict, "features": dict, "classes": list, "provenance": dict, "scores": dict, "curve": list}


class CheckpointError(ValueError):
    """The file is not a valid checkpoint. The message is one sentence of bounded length, whatever the file contains."""

    def __init__(self, sentence: str):
        super().__init__(one_line(sentence))


def available_models(folder: str | Path | None = None) -> dict[str, Path]:
    """Names and files of the checkpoints in a folder, pretrained/ by default; the default model first."""
    found = {p.stem: p for p in sorted(Path(folder or PRETRAINED).glob("*.safetensors"))}
    return {name: found[name] for name in sorted(found, key=lambda n: (n != "einv2", n))}


def read_header(path: str | Path, name: str | None = None) -> dict:
    """The JSON header, without the weights. CheckpointError if there is none; OSError if the file cannot be read."""
    name = name or Path(path).name
    with open(path, "rb"):
        pass  # a file without read permission is reported as such
    try:
        with safe_open(path, framework="np") as file:
            return _parse_header((file.metadata() or {}).get(METADATA_KEY), name)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_not_a_checkpoint(name)) from error


def configurations(header: dict, name: str) -> tuple[ModelConfig, FeatureConfig]:
    """The configurations of network and features in a header. CheckpointError if they are impossible, alone or together."""
    try:
        model, feature_config = from_json(ModelConfig, header["model"]), from_json(FeatureConfig, header["features"])
        require_compatible(model, feature_config)
    except (ValueError, TypeError) as error:
        raise CheckpointError(f"{name} has a damaged header: {error}.") from error
    return model, feature_config


def chunk_seconds(provenance: dict, name: str = "the network") -> int:
    """Length of the chunks that a network was trained on, s; 4 if its training is not known.

    CheckpointError if the file ``name`` has an impossible one.
    """
    trained = provenance.get("train")
    seconds = trained.get("chunk_seconds", CHUNK_SECONDS) if isinstance(trained, dict) else CHUNK_SECONDS
    if type(seconds) is not int or not 1 <= seconds <= MAX_CHUNK_SECONDS:
        raise CheckpointError(
            f"{name} has a damaged header: chunk_seconds must be 1 to {MAX_CHUNK_SECONDS}, not {reprlib.repr(seconds)}."
        )
    return seconds


def count_parameters(path: str | Path) -> int:
    """The number of parameters of the network in a checkpoint, from the shapes in its header."""
    with safe_open(path, framework="np") as file:
        keys = [k for k in file.keys() if k not in STATISTICS and not k.endswith(_BUFFERS)]  # noqa: SIM118 (no iterator)
        return sum(math.prod(file.get_slice(key).get_shape()) for key in keys)


def _not_a_checkpoint(name: str) -> str:
    return (
        f"{name} is not a checkpoint of EINV2 Studio (a .safetensors file with its configuration inside); "
        "a .pth file of the authors' code is turned into one with `python -m einv2 import-official`."
    )


def _parse_header(text: str | None, name: str) -> dict:
    try:
        header = json.loads(text or "null")
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name} has a header that is not JSON.") from error
    if not isinstance(header, dict) or "format" not in header:
        raise CheckpointError(_not_a_checkpoint(name))
    if header["format"] != FORMAT_VERSION:
        raise CheckpointError(
            f"{name} has format {reprlib.repr(header['format'])}; this version reads format {FORMAT_VERSION}."
        )
    for key, kind in _HEADER_KINDS.items():
        if not isinstance(header.get(key), kind):
            raise CheckpointError(f"{name} has a damaged header: {key} is missing or no JSON {_JSON_NAMES[kind]}.")
    return header
