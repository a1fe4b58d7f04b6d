"""What happens inside a network: where its attention goes, and how much its branches take from one another.

Nothing is kept in the network: a copy that shares its weights runs once, with hooks that record. So others may use the network at
the same time. M tracks (class-wise networks: one ``Track`` for all classes), H heads, T label frames, C channels.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from ..frames import LABEL_FRAME_SECONDS
from ..inference.model import Model
from ..models.layers import CrossStitch, MultiHeadSelfAttention

WEIGHTS = ("SED from SED", "SED from DoA", "DoA from SED", "DoA from DoA")  # of a cross-stitch, row by row


@dataclass(frozen=True)
class Place:
    """The place of a self-attention: track and layer from 0, the branch "sed" or "doa"."""

    track: int
    branch: str
    layer: int


@dataclass(frozen=True)
class Stitch:
    """A cross-stitch (equation 7). name: "after block 1", "end of track 2"; order: see ``CrossStitch``.

    weight (C, 2, 2): of each channel [[SED from SED, SED from DoA], [DoA from SED, DoA from DoA]].
    """

    name: str
    order: str
    weight: np.ndarray

    def spread(self) -> np.ndarray:
        """Over the channels least, lower quartile, median, upper quartile, largest and mean of the weights, (4, 6), as ``WEIGHTS``."""
        by_weight = self.weight.reshape(-1, 4).T
        return np.concatenate(
            [np.quantile(by_weight, (0, 0.25, 0.5, 0.75, 1), axis=1).T, by_weight.mean(1)[:, None]], 1
        )

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation over the channels, (4,) each, as ``WEIGHTS``."""
        by_weight = self.weight.reshape(-1, 4)
        return by_weight.mean(0), by_weight.std(0)


@dataclass(frozen=True)
class Internals:
    """What happens inside a network on one chunk.

    attention: by place, (H, T, T) float32: row t holds where frame t looks, and sums to 1. Empty without self-attention (crnn).
    taken: by name of the cross-stitch, (share of SED that comes from DoA, share of DoA that comes from SED), in [0, 1]: by mean
    magnitude, over channels and time, of the two summands of equation 7.
    """

    attention: dict[Place, np.ndarray]
    taken: dict[str, tuple[float, float]]


def stitches(network: nn.Module) -> list[Stitch]:
    """The cross-stitches of a network in the order that a signal meets them; none without soft sharing."""
    return [
        Stitch(name, module.order, module.weight.detach().float().cpu().numpy())
        for name, module in _stitch_modules(network)
    ]


def _stitch_modules(network: nn.Module) -> list[tuple[str, CrossStitch]]:
    tracks = getattr(network, "tracks", ())
    blocks = getattr(getattr(network, "encoder", None), "stitches", {})
    found = [(f"after block {number}", module) for number, module in blocks.items()]
    ends = [f"end of track {m + 1}" for m in range(len(tracks))] if network_is_trackwise(network) else ["end"]
    return found + [(name, track.stitch) for name, track in zip(ends, tracks) if track.stitch is not None]


def network_is_trackwise(network: nn.Module) -> bool:
    return getattr(network, "trackwise", False)


def _attention_modules(network: nn.Module) -> list[tuple[Place, MultiHeadSelfAttention]]:
    return [
        (Place(m, branch, n), layer.attention)
        for m, track in enumerate(getattr(network, "tracks", ()))
        for branch, layers in track.layers.items()
        for n, layer in enumerate(layers)
    ]


def is_scaled(network: nn.Module) -> bool:
    """Whether its attention divides scores by the root of a head's width, which equation 5 does not."""
    return any(module.scaled for _, module in _attention_modules(network))


def record_internals(model: Model, signal: np.ndarray) -> Internals:
    """Run one chunk (4, S) float32 at the model's sample rate, at most ``chunk_seconds`` long, and record what happens inside.

    A shorter one is filled with silence, as at the end of a clip. ValueError on another shape or length.
    """
    size = model.chunk_seconds * model.sample_rate
    if signal.ndim != 2 or signal.shape[0] != 4 or not 0 < signal.shape[1] <= size:
        raise ValueError(f"signal must be (4, 1 to {size}), not {signal.shape}")
    watched = copy.copy(model.core)
    watched.network = _sharing_weights(model.network)
    attention: dict[Place, np.ndarray] = {}
    taken: dict[str, tuple[float, float]] = {}
    for place, module in _attention_modules(watched.network):
        module.register_forward_pre_hook(_record_attention(attention, place))
    for name, module in _stitch_modules(watched.network):
        module.register_forward_hook(_record_taken(taken, name))
    watched.run(np.pad(signal, ((0, 0), (0, size - signal.shape[1])))[None].astype(np.float32, copy=False))
    return Internals(attention, taken)


def _sharing_weights(network: nn.Module) -> nn.Module:
    """A copy of the modules with the same tensors in it."""
    memo = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, memo)


def _record_attention(notes: dict, place: Place):
    def hook(module: MultiHeadSelfAttention, inputs: tuple) -> None:
        notes[place] = module.weights(inputs[0])[0].float().cpu().numpy()

    return hook


def _record_taken(notes: dict, name: str):
    def hook(module: CrossStitch, inputs: tuple, outputs: tuple) -> None:
        sed, doa = inputs
        source = outputs[0] if module.order == "sequential" else sed
        w = module.weight
        notes[name] = (_share(w[:, 0, 1], doa, w[:, 0, 0], sed), _share(w[:, 1, 0], source, w[:, 1, 1], doa))

    return hook


def _share(weight: torch.Tensor, taken: torch.Tensor, own_weight: torch.Tensor, own: torch.Tensor) -> float:
    """Of the magnitudes of both summands, (B, C, ...) each with weights (C,), the share of the first."""
    part, rest = (
        float((w.abs() * x.abs().transpose(1, -1).flatten(0, -2).mean(0)).mean())
        for w, x in ((weight, taken), (own_weight, own))
    )
    return part / (part + rest) if part + rest else 0.0


def reach(attention: np.ndarray) -> np.ndarray:
    """How far each head looks on average, in seconds: weights (H, T, T) -> (H,)."""
    frames = np.arange(attention.shape[-1])
    away = np.abs(frames[:, None] - frames) * LABEL_FRAME_SECONDS
    return (attention * away).sum(-1).mean(-1)
