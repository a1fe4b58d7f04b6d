"""One-file checkpoints, ``NAME.safetensors``: tensors, and in the header's metadata everything to rebuild the network.

Tensors: the network's state dict, and ``feature_mean`` and ``feature_std`` (1, 7, 1, F). Metadata: one JSON text under the
key ``einv2`` with format version, model and feature configuration, class names, provenance, scores and training curve.
Nothing is ever unpickled.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save as to_bytes

from ..atomic_files import write_bytes
from ..audio import features
from ..config import FeatureConfig, ModelConfig, to_json
from ..models.build import build, count_parameters
from .headers import (
    FORMAT_VERSION,
    METADATA_KEY,
    STATISTICS,
    CheckpointError,
    chunk_seconds,
    configurations,
    read_header,
)

DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64)
MAX_CLASS_NAME = 60  # characters


@dataclass
class Checkpoint:
    """A network with all that belongs to it. feature_mean and feature_std (1, 7, 1, F) standardise the features."""

    network: torch.nn.Module
    model: ModelConfig
    features: FeatureConfig
    classes: tuple[str, ...]
    feature_mean: torch.Tensor
    feature_std: torch.Tensor
    provenance: dict = field(default_factory=dict)
    scores: dict = field(default_factory=dict)
    curve: list = field(default_factory=list)  # one dictionary per epoch

    @property
    def chunk_seconds(self) -> int:
        """Length of the chunks that the network was trained on, s; 4 if its training is not known."""
        return chunk_seconds(self.provenance)

    @property
    def n_parameters(self) -> int:
        return count_parameters(self.network)


def save(checkpoint: Checkpoint, path: str | Path, half: bool = False) -> None:
    """Write a checkpoint atomically.

    half: weights of two and more dimensions in half precision, at half the size; ``load`` gives single precision again.
    CheckpointError if its numbers are not finite or its standard deviations not above 0.
    """
    tensors = {name: t.detach().cpu().contiguous() for name, t in checkpoint.network.state_dict().items()}
    if half:
        tensors = {name: t.half() if t.is_floating_point() and t.ndim > 1 else t for name, t in tensors.items()}
    tensors |= {name: getattr(checkpoint, name).detach().cpu().contiguous() for name in STATISTICS}
    require_finite(tensors, Path(path).name)
    header = {
        "format": FORMAT_VERSION,
        "model": to_json(checkpoint.model),
        "features": to_json(checkpoint.features),
        "classes": list(checkpoint.classes),
        "provenance": checkpoint.provenance,
        "scores": checkpoint.scores,
        "curve": checkpoint.curve,
    }
    write_bytes(path, to_bytes(tensors, metadata={METADATA_KEY: json.dumps(header)}))


def average(first: Checkpoint, others: Mapping[str, Checkpoint]) -> None:
    """Replace the weights of ``first`` by the mean over all checkpoints. ``others`` maps names, which appear in errors, to checkpoints.

    The mean of runs that continue one another is often better than each of them (stochastic weight averaging, Izmailov et al., UAI
    2018). ValueError, one sentence, if a checkpoint has another configuration, other classes or other feature statistics.
    """
    for name, other in others.items():
        same = (other.model, other.features, other.classes) == (first.model, first.features, first.classes)
        if not same or not all(torch.equal(getattr(other, s), getattr(first, s)) for s in STATISTICS):
            raise ValueError(
                f"{name} has another configuration or other feature statistics: its weights cannot be averaged."
            )
    states = [one.network.state_dict() for one in (first, *others.values())]
    first.network.load_state_dict(
        {k: torch.stack([s[k] for s in states]).mean(0) if t.is_floating_point() else t for k, t in states[0].items()}
    )
    first.provenance["averaged_with"] = [other.provenance for other in others.values()]


def load(path: str | Path, name: str | None = None) -> Checkpoint:
    """Read a checkpoint onto the CPU, the network in evaluation mode.

    CheckpointError, in one sentence that names the file, if it is not a checkpoint, has a newer format, or does not fit its own
    configuration.
    """
    name = name or Path(path).name
    header = read_header(path, name)
    model, feature_config = configurations(header, name)
    classes = _class_names(header["classes"], model.n_classes, name)
    chunk_seconds(header["provenance"], name)
    with safe_open(path, framework="pt") as file:
        _check_size(file, model, name)
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no iterator)
    require_finite(tensors, name)
    mean, std = (_statistic(tensors, key, feature_config, name) for key in STATISTICS)
    return Checkpoint(
        _network(model, tensors),
        model,
        feature_config,
        classes,
        mean,
        std,
        **{key: header[key] for key in ("provenance", "scores", "curve")},
    )


def _class_names(values, n_classes: int, name: str) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values) or len(values) != n_classes:
        raise CheckpointError(f"{name} has a damaged header: classes must be a list of {n_classes} names.")
    odd = [v for v in values if not v.isprintable() or not 0 < len(v) <= MAX_CLASS_NAME]
    if odd:
        raise CheckpointError(
            f"{name} has a damaged header: the class name {odd[0][:MAX_CLASS_NAME]!r} is empty, too long or not printable."
        )
    return tuple(values)


def _check_size(file, model: ModelConfig, name: str) -> None:
    """Before memory is taken: a small file must not describe a huge network."""
    found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys() if key not in STATISTICS}  # noqa: SIM118
    n_stacks = model.n_tracks if model.output_format == "trackwise" else 1
    if max(n_stacks * model.n_layers, len(model.channels)) > len(found):
        raise CheckpointError(f"{name} does not fit its own configuration: it has too few tensors for it.")
    try:
        with torch.device("meta"):
            wanted = {key: tuple(t.shape) for key, t in build(model).state_dict().items()}
    except RuntimeError as error:  # a size beyond 64 bits
        raise CheckpointError(
            f"{name} does not fit its own configuration: it describes too large a network."
        ) from error
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise CheckpointError(
                f"{name} does not fit its own configuration: {key} is {found.get(key, 'missing')}, "
                f"{wanted.get(key, 'nothing')} was expected."
            )


def _statistic(tensors: dict, key: str, config: FeatureConfig, name: str) -> torch.Tensor:
    shape = (1, features.N_CHANNELS, 1, config.n_mels)
    if key not in tensors or tuple(tensors[key].shape) != shape:
        raise CheckpointError(f"{name} lacks {key} of the shape {shape}.")
    return tensors.pop(key).float()


def require_finite(tensors: dict[str, torch.Tensor], name: str) -> None:
    """CheckpointError if a tensor of the file ``name`` is of no number format of ours, or holds NaN or infinity, or a deviation
    is not above 0."""
    for key, tensor in tensors.items():
        if tensor.dtype not in DTYPES:
            raise CheckpointError(f"{name} has {key} as {str(tensor.dtype).removeprefix('torch.')}, which is not read.")
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{name} has a {key} with numbers that are not finite.")
        if key == "feature_std" and not (tensor > 0).all():
            raise CheckpointError(f"{name} has a feature_std that is not above 0 everywhere.")


def _network(model: ModelConfig, tensors: dict) -> torch.nn.Module:
    network = build(model)
    network.load_state_dict(tensors)
    return network.eval()
