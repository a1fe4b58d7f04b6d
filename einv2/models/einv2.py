"""EINV2, the event-independent network of Cao et al., "An Improved Event-Independent Network for Polyphonic Sound Event
Localization and Detection", ICASSP 2021 (Table 1): an SED and a DoA branch that share softly, and M output tracks.

The paper's network, that of the authors' released code, and what the paper compares with them are configurations of the
modules here: hard or no sharing, the class-wise output formats SELDnet and ACCDOA (Table 3), one branch alone (Table 2).
"""

from typing import NamedTuple

import torch
from torch import nn

from ..audio import features
from ..config import ModelConfig
from .layers import ConvBlock, CrossStitch, MultiHeadSelfAttention, TrackLayer, positional_encoding

# How many of the first feature channels an encoder sees: SED only the log-mel channels.
INPUT_CHANNELS = {"sed": features.LOGMEL.stop, "doa": features.N_CHANNELS, "shared": features.N_CHANNELS}


class Output(NamedTuple):
    """The output of a network for T frames. Directions are vectors in [-1, 1]: x front, y left, z up.

    trackwise   sed logits (B, T, M, K), doa (B, T, M, 3)
    seldnet     sed logits (B, T, K), doa (B, T, K, 3)
    accdoa      sed None, doa (B, T, K, 3), as long as its class is active

    A network of one branch alone (task "sed" or "doa") has None for the other.
    """

    sed: torch.Tensor | None
    doa: torch.Tensor | None


def branch_names(config: ModelConfig) -> tuple[str, ...]:
    """The branches of a network, the SED branch first. ACCDOA's vectors hold both: a DoA branch is all of it."""
    if config.output_format == "accdoa":
        return ("doa",)
    return ("sed", "doa") if config.task == "seld" else (config.task,)


class Encoder(nn.Module):
    """Convolution blocks: (B, 7, T, F) -> a sequence (B, T', C) for each branch.

    With hard sharing one stack of blocks serves both branches; otherwise each has its own, with cross-stitch in between
    where sharing is soft.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        branches = branch_names(config)
        self.n_branches = len(branches)
        stacks = ("shared",) if config.sharing == "hard" and len(branches) == 2 else branches
        stitch_blocks = config.stitch_blocks if config.sharing == "soft" and len(branches) == 2 else ()
        poolings = list(zip(config.time_pooling, config.frequency_pooling))
        self.blocks = nn.ModuleDict(
            {
                stack: nn.ModuleList(
                    ConvBlock(c_in, c_out, pooling)
                    for c_in, c_out, pooling in zip(
                        (INPUT_CHANNELS[stack], *config.channels), config.channels, poolings
                    )
                )
                for stack in stacks
            }
        )
        self.stitches = nn.ModuleDict(
            {str(b): CrossStitch(config.channels[b - 1], config.stitch_order) for b in stitch_blocks}
        )

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        maps = [x[:, : INPUT_CHANNELS[stack]] for stack in self.blocks]
        for number, blocks in enumerate(zip(*self.blocks.values()), start=1):
            maps = [block(m) for block, m in zip(blocks, maps)]
            if str(number) in self.stitches:
                maps = self.stitches[str(number)](*maps)
        sequences = [m.mean(dim=3).transpose(1, 2) for m in maps]
        return sequences * (self.n_branches // len(sequences))


def track_layer(config: ModelConfig) -> TrackLayer:
    """A layer of the tracks: (B, T, C) -> (B, T, C)."""
    width, standard = config.channels[-1], config.track_layer == "transformer"
    in_attention = config.positional_encoding and config.positions_in == "query-key"
    attention = MultiHeadSelfAttention(
        width,
        config.n_heads,
        config.dropout,
        scaled=standard or config.scaled_attention,
        bias=standard or config.attention_bias,
        positional_scale=config.positional_scale if in_attention else 0.0,
    )
    feedforward = config.feedforward if standard else None
    return TrackLayer(attention, width, config.dropout, feedforward, standard or config.residual_norm)


class Track(nn.Module):
    """The layers of one track, or of all classes together: self-attention over time in each branch, cross-stitch, heads."""

    def __init__(self, config: ModelConfig, head_sizes: dict[str, int]):
        super().__init__()
        width = config.channels[-1]
        self.layers = nn.ModuleDict(
            {branch: nn.Sequential(*(track_layer(config) for _ in range(config.n_layers))) for branch in head_sizes}
        )
        stitched = config.stitch_tracks and config.sharing == "soft" and len(head_sizes) == 2
        self.stitch = CrossStitch(width, config.stitch_order) if stitched else None
        for branch, size in head_sizes.items():
            head = nn.Linear(width, size)
            nn.init.xavier_uniform_(head.weight)
            nn.init.zeros_(head.bias)
            self.add_module(f"{branch}_head", head)

    def forward(self, sequences: list[torch.Tensor]) -> list[torch.Tensor]:
        """A sequence (B, T, C) of each branch -> the output of its head, (B, T, size)."""
        sequences = [layers(x) for layers, x in zip(self.layers.values(), sequences)]
        if self.stitch is not None:
            sequences = [x.transpose(1, 2) for x in self.stitch(*(x.transpose(1, 2) for x in sequences))]
        return [self.get_submodule(f"{branch}_head")(x) for branch, x in zip(self.layers, sequences)]


class EINV2(nn.Module):
    """Features (B, 7, T, F) -> ``Output`` with T // (product of time_pooling) frames.

    Trackwise there is a ``Track`` for each of M tracks, with heads of K and 3 numbers; class-wise there is one, with heads
    of K and 3 K.
    """

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.branches = branch_names(config)
        self.trackwise = config.output_format == "trackwise"
        sizes = {"sed": config.n_classes, "doa": 3 if self.trackwise else 3 * config.n_classes}
        n_tracks = config.n_tracks if self.trackwise else 1
        self.encoder = Encoder(config)
        self.tracks = nn.ModuleList(Track(config, {b: sizes[b] for b in self.branches}) for _ in range(n_tracks))

    def forward(self, x: torch.Tensor) -> Output:
        sequences = self.encoder(x)
        if self.config.positional_encoding and self.config.positions_in == "sequence":
            _, n_frames, width = sequences[0].shape
            positions = positional_encoding(n_frames, width, self.config.positional_scale, x.device)
            positions = positions.to(sequences[0].dtype)
            sequences = [s + positions for s in sequences]
        by_branch = zip(*(track(sequences) for track in self.tracks))
        heads = {branch: torch.stack(tracks, dim=2) for branch, tracks in zip(self.branches, by_branch)}
        sed, doa = heads.get("sed"), heads.get("doa")
        if sed is not None and not self.trackwise:
            sed = sed.squeeze(2)  # (B, T, 1, K) -> (B, T, K)
        if doa is not None:
            doa = torch.tanh(doa).flatten(2).unflatten(2, (-1, 3))  # class-wise (B, T, 1, 3 K) -> (B, T, K, 3)
        return Output(sed, doa)
