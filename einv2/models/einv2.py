"""EINV2, the event-independent network of Cao et al., "An Improved Event-Independent Network for Polyphonic Sound Event
Localization and Detection", ICASSP 2021 (Table 1): an SED and a DoA branch that share softly, and M output tracks.

The paper's network and that of the authors' released code are two configurations of the modules here.
"""

from typing import NamedTuple

import torch
from torch import nn

from .. import features
from ..config import ModelConfig
from .layers import ConvBlock, CrossStitch, TrackLayer, positional_encoding

BRANCHES = ("sed", "doa")
BRANCH_CHANNELS = {"sed": 4, "doa": features.N_CHANNELS}  # SED sees the log-mel channels only


class Output(NamedTuple):
    """Trackwise output. sed: logits (B, T, M, K); doa: (B, T, M, 3) in [-1, 1], x front, y left, z up."""

    sed: torch.Tensor
    doa: torch.Tensor


class Encoder(nn.Module):
    """Convolution blocks of both branches with cross-stitch in between: (B, 7, T, F) -> two sequences (B, T', C)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        poolings = list(zip(config.time_pooling, config.frequency_pooling))
        self.blocks = nn.ModuleDict(
            {
                branch: nn.ModuleList(
                    ConvBlock(c_in, c_out, pooling)
                    for c_in, c_out, pooling in zip(
                        (BRANCH_CHANNELS[branch], *config.channels), config.channels, poolings
                    )
                )
                for branch in BRANCHES
            }
        )
        self.stitches = nn.ModuleDict(
            {str(b): CrossStitch(config.channels[b - 1], config.stitch_order) for b in config.stitch_blocks}
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sed, doa = x[:, features.LOGMEL], x
        for number, (sed_block, doa_block) in enumerate(zip(self.blocks["sed"], self.blocks["doa"]), start=1):
            sed, doa = sed_block(sed), doa_block(doa)
            if str(number) in self.stitches:
                sed, doa = self.stitches[str(number)](sed, doa)
        return sed.mean(dim=3).transpose(1, 2), doa.mean(dim=3).transpose(1, 2)


class Track(nn.Module):
    """One output track: self-attention over time in each branch, cross-stitch, and the two heads."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        width = config.channels[-1]
        feedforward = config.feedforward if config.track_layer == "transformer" else None
        self.layers = nn.ModuleDict(
            {
                branch: nn.Sequential(
                    *(TrackLayer(width, config.n_heads, config.dropout, feedforward) for _ in range(config.n_layers))
                )
                for branch in BRANCHES
            }
        )
        self.stitch = CrossStitch(width, config.stitch_order) if config.stitch_tracks else None
        self.sed_head = nn.Linear(width, config.n_classes)
        self.doa_head = nn.Linear(width, 3)
        for head in (self.sed_head, self.doa_head):
            nn.init.xavier_uniform_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, sed: torch.Tensor, doa: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """sed, doa (B, T, C) -> logits (B, T, K), directions (B, T, 3)."""
        sed, doa = self.layers["sed"](sed), self.layers["doa"](doa)
        if self.stitch is not None:
            sed, doa = (x.transpose(1, 2) for x in self.stitch(sed.transpose(1, 2), doa.transpose(1, 2)))
        return self.sed_head(sed), torch.tanh(self.doa_head(doa))


class EINV2(nn.Module):
    """Features (B, 7, T, F) -> ``Output`` with T // (product of time_pooling) frames."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.tracks = nn.ModuleList(Track(config) for _ in range(config.n_tracks))

    def forward(self, x: torch.Tensor) -> Output:
        sed, doa = self.encoder(x)
        if self.config.positional_encoding:
            positions = positional_encoding(sed.shape[1], sed.shape[2], sed.device).to(sed.dtype)
            sed, doa = sed + positions, doa + positions
        logits, directions = zip(*(track(sed, doa) for track in self.tracks))
        return Output(torch.stack(logits, dim=2), torch.stack(directions, dim=2))
