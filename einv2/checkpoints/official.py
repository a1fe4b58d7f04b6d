"""Import of checkpoints of the authors' released code (github.com/yinkalario/EIN-SELD; weights: Zenodo record 4158864).

Their ``.pth`` is a pickle: the weights under the key ``model``, and beside them the state of optimiser, sampler and random
generators. It is read by torch's restricted unpickler, which builds tensors, plain containers and the numpy arrays of those
states, and refuses everything else, so that no code in the file can run; ``pickles`` refuses before what would not end.
"""

import re
from pathlib import Path

import numpy as np
import torch
from numpy._core import multiarray

from ..audio import features
from ..config import FeatureConfig, ModelConfig
from ..labels import class_lists
from ..models.build import build
from . import pickle_safety
from .checkpoint import DTYPES, Checkpoint, CheckpointError, require_finite

KNOWN_KEYS = {"epoch", "it", "model", "optimizer", "sampler", "rng", "cuda_rng", "random", "np_random"}
N_MELS = 256  # of the released configuration; the weights do not depend on it
_NUMPY_NAMES = ("numpy._core.multiarray", "numpy.core.multiarray")  # since, and before, numpy 2

# our name <- theirs; {branch} is sed or doa, tracks and blocks count from 1 there and from 0 here
_LAYER_NAMES = {
    "attention.qkv.weight": "self_attn.in_proj_weight",
    "attention.qkv.bias": "self_attn.in_proj_bias",
    "attention.out.weight": "self_attn.out_proj.weight",
    "attention.out.bias": "self_attn.out_proj.bias",
    "attention_norm.weight": "norm1.weight",
    "attention_norm.bias": "norm1.bias",
    "feedforward.0.weight": "linear1.weight",
    "feedforward.0.bias": "linear1.bias",
    "feedforward.3.weight": "linear2.weight",
    "feedforward.3.bias": "linear2.bias",
    "feedforward_norm.weight": "norm2.weight",
    "feedforward_norm.bias": "norm2.bias",
}
_RULES = (
    (r"encoder\.blocks\.(sed|doa)\.(\d+)\.(.+)", lambda m: f"{m[1]}_conv_block{int(m[2]) + 1}.0.double_conv.{m[3]}"),
    (r"encoder\.stitches\.(\d+)\.weight", lambda m: f"stitch.{int(m[1]) - 1}"),
    (
        r"tracks\.(\d+)\.layers\.(sed|doa)\.(\d+)\.(.+)",
        lambda m: f"{m[2]}_trans_track{int(m[1]) + 1}.layers.{m[3]}.{_LAYER_NAMES[m[4]]}",
    ),
    (r"tracks\.(\d+)\.(sed|doa)_head\.(.+)", lambda m: f"fc_{m[2]}_track{int(m[1]) + 1}.{m[3]}"),
)


def their_name(name: str) -> str:
    """The key in the authors' state dict of a key in ours."""
    for pattern, theirs in _RULES:
        match = re.fullmatch(pattern, name)
        if match:
            return theirs(match)
    raise KeyError(name)


def import_checkpoint(
    path: str | Path, scalar: str | Path | None = None, classes=class_lists.DCASE2020_CLASSES
) -> Checkpoint:
    """Our checkpoint from one of theirs. Without ``scalar`` features are left as they are (mean 0, deviation 1).

    CheckpointError, one sentence, if the file holds anything but tensors and the known plain state, or another network.
    """
    name = Path(path).name
    weights = read_weights(path)
    model = _infer_config(weights, name)
    renamed = _renamed(weights, model, name)
    require_finite(renamed, name)
    if len(classes) != model.n_classes:
        classes = [f"class {k}" for k in range(model.n_classes)]
    mean, std = read_scalar(scalar) if scalar else (torch.zeros(1, features.N_CHANNELS, 1, N_MELS), None)
    std = torch.ones_like(mean) if std is None else std
    network = build(model)
    network.load_state_dict(renamed)
    provenance = {"imported_from": name, "code": "github.com/yinkalario/EIN-SELD", "scalar": bool(scalar)}
    return Checkpoint(
        network.eval(), model, FeatureConfig(n_mels=mean.shape[-1]), tuple(classes), mean, std, provenance=provenance
    )


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Their state dict, names to tensors."""
    name = Path(path).name
    if not Path(path).is_file():
        raise CheckpointError(f"{path}: no such file; expected a .pth checkpoint of the authors' code.")
    try:
        pickle_safety.require_harmless(path)
    except ValueError as error:
        raise CheckpointError(f"{name} is refused: {error}.") from error
    try:
        with torch.serialization.safe_globals(_allowed()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises many kinds on a damaged or hostile file
        raise CheckpointError(
            f"{name} is refused: it is no checkpoint of tensors and plain numbers (it is damaged, or would build other objects)."
        ) from error
    if not isinstance(content, dict) or not isinstance(content.get("model"), dict):
        raise CheckpointError(
            f"{name} is no checkpoint of the authors' code: it has no dictionary of weights under 'model'."
        )
    unknown = sorted(key if isinstance(key, str) else f"a {type(key).__name__}" for key in set(content) - KNOWN_KEYS)
    if unknown:
        raise CheckpointError(
            f"{name} is refused: it holds {', '.join(unknown)}, which the authors' checkpoints do not have."
        )
    weights = content["model"]
    if not all(isinstance(k, str) and _is_plain(t) for k, t in weights.items()):
        raise CheckpointError(f"{name} is refused: its weights are not all plain tensors.")
    if sum(t.numel() * t.element_size() for t in weights.values()) > Path(path).stat().st_size:
        raise CheckpointError(f"{name} is refused: it describes more weights than it holds.")
    return weights


def _is_plain(value) -> bool:
    """A tensor of numbers in memory: not sparse, quantised, complex, or without data."""
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.device.type == "cpu"
        and value.dtype in DTYPES
    )


def _allowed() -> list:
    """The globals that numpy pickles arrays and numbers with. None of them runs code from the file."""
    named = [
        (getattr(multiarray, function), f"{module}.{function}")
        for module in _NUMPY_NAMES
        for function in ("_reconstruct", "scalar")
    ]
    dtypes = [type(np.dtype(kind)) for kind in ("uint32", "int64", "int32", "float64", "float32")]
    return [*named, np.ndarray, np.dtype, *dtypes]


def read_scalar(path: str | Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation (1, 7, 1, mels) from the authors' HDF5 file."""
    import h5py

    name = Path(path).name
    try:
        with h5py.File(path, "r") as file:
            datasets = [_own_dataset(file, key) for key in ("mean", "std")]
            shapes = [tuple(dataset.shape) for dataset in datasets]
            if shapes[0] != shapes[1] or datasets[0].size % features.N_CHANNELS or datasets[0].size > 7 * 4096:
                raise CheckpointError(f"{name} has mean {shapes[0]} and std {shapes[1]}; (1, 7, 1, mels) wanted.")
            mean, std = (torch.from_numpy(np.asarray(dataset, np.float32)) for dataset in datasets)
    except CheckpointError:
        raise
    except (OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{name} is no scalar file: an HDF5 file with `mean` and `std` is expected.") from error
    require_finite({"feature_mean": mean, "feature_std": std}, name)
    mean, std = (t.reshape(1, features.N_CHANNELS, 1, -1) for t in (mean, std))
    return mean, std


def _own_dataset(file, key: str):
    """A data set stored in the file itself; HDF5 can also refer to any other file of the machine."""
    import h5py

    dataset = file[key] if isinstance(file.get(key, getlink=True), h5py.HardLink) else None
    if (
        not isinstance(dataset, h5py.Dataset)
        or dataset.external
        or dataset.is_virtual
        or dataset.dtype.kind not in "fiu"
    ):
        raise ValueError(f"{key} is no data set of numbers in the file")
    return dataset


def _infer_config(weights: dict, name: str) -> ModelConfig:
    """The configuration that the shapes imply."""

    def count(pattern: str) -> int:
        return len({m[1] for key in weights if (m := re.fullmatch(pattern, key))})

    try:
        n_blocks = count(r"sed_conv_block(\d+)\..*")
        return ModelConfig.released(
            n_tracks=count(r"fc_sed_track(\d+)\.weight"),
            n_classes=weights["fc_sed_track1.weight"].shape[0],
            channels=tuple(weights[f"sed_conv_block{b + 1}.0.double_conv.0.weight"].shape[0] for b in range(n_blocks)),
            stitch_blocks=tuple(b + 1 for b in range(count(r"stitch\.(\d+)"))),
            n_layers=count(r"sed_trans_track1\.layers\.(\d+)\..*"),
            feedforward=weights["sed_trans_track1.layers.0.linear1.weight"].shape[0],
        )
    except (KeyError, ValueError, IndexError) as error:
        raise CheckpointError(
            f"{name} is no EINV2 of the authors' code: its weights have other names or shapes."
        ) from error


def _renamed(weights: dict, model: ModelConfig, name: str) -> dict[str, torch.Tensor]:
    """Their tensors under our names, if they are all that the network needs. Nothing of that size is allocated before this is known."""
    try:
        with torch.device("meta"):
            wanted = build(model).state_dict()
    except RuntimeError as error:  # a size beyond 64 bits
        raise CheckpointError(f"{name} is no EINV2 of the authors' code: it describes too large a network.") from error
    renamed = {ours: weights[their_name(ours)] for ours in wanted if their_name(ours) in weights}
    odd = [ours for ours, t in wanted.items() if ours not in renamed or renamed[ours].shape != t.shape]
    if odd or len(wanted) != len(weights):
        what = their_name(odd[0]) if odd else "an entry more than the network has"
        raise CheckpointError(f"{name} is no EINV2 of the authors' code: {what} is missing or of another shape.")
    return renamed
