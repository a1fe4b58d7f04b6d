"""The parts of EINV2, in the order of the paper: convolution block, cross-stitch, positional encoding, self-attention."""

import math

import torch
import torch.nn.functional as F
from torch import nn


class ConvBlock(nn.Sequential):
    """(3x3 convolution, batch norm, ReLU) twice, then average pooling: (B, C_in, T, F) -> (B, C_out, T / pt, F / pf)."""

    def __init__(self, in_channels: int, out_channels: int, pooling: tuple[int, int]):
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.AvgPool2d(pooling),
        )
        for layer in self:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")


class CrossStitch(nn.Module):
    """Soft parameter sharing between the SED and the DoA branch (equation 7).

    weight (C, 2, 2) holds for each channel [[SED from SED, SED from DoA], [DoA from SED, DoA from DoA]]:

        sed' = w00 sed + w01 doa
        doa' = w10 sed + w11 doa          order "simultaneous", the paper
        doa' = w10 sed' + w11 doa         order "sequential", the authors' released code
    """

    def __init__(self, channels: int, order: str = "simultaneous"):
        super().__init__()
        self.order = order
        self.weight = nn.Parameter(torch.empty(channels, 2, 2).uniform_(0.1, 0.9))

    def forward(self, sed: torch.Tensor, doa: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """sed and doa (B, C, ...) -> the mixed pair, same shapes."""
        w = self.weight.to(sed.dtype).reshape(-1, 2, 2, *[1] * (sed.ndim - 2))  # maps of bf16 stay so under autocast
        mixed_sed = w[:, 0, 0] * sed + w[:, 0, 1] * doa
        source = mixed_sed if self.order == "sequential" else sed
        return mixed_sed, w[:, 1, 0] * source + w[:, 1, 1] * doa


def positional_encoding(n_frames: int, width: int, device=None) -> torch.Tensor:
    """Equation 4, (T, C): sin(t / 10000^(2i / C)) on channel 2i, the cosine of the same on channel 2i + 1."""
    time = torch.arange(n_frames, device=device, dtype=torch.float32)[:, None]
    pair = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    angle = time * torch.exp(-math.log(10000.0) * pair / width)
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


def attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Equation 5: softmax(Q K^T / sqrt(d)) V, and the softmax. All (..., T, d); the softmax (..., T, T)."""
    weights = torch.softmax(query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1]), dim=-1)
    return weights @ value, weights


class MultiHeadSelfAttention(nn.Module):
    """Equation 6: the heads' attention (equation 5), concatenated and projected. (B, T, C) -> (B, T, C)."""

    def __init__(self, width: int, n_heads: int, dropout: float):
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.qkv.weight)
        nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def heads(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Query, key and value, each (B, heads, T, C / heads)."""
        return self.qkv(x).unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dropout = self.dropout if self.training else 0.0
        query, key, value = self.heads(x)
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout)  # equation 5, fused
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """What each head looks at, (B, heads, T, T): rows are the frames that look and sum to 1."""
        return attention(*self.heads(x))[1]


class TrackLayer(nn.Module):
    """Self-attention with residual and layer norm (post-norm); with ``feedforward`` a standard transformer encoder layer."""

    def __init__(self, width: int, n_heads: int, dropout: float, feedforward: int | None = None):
        super().__init__()
        self.attention = MultiHeadSelfAttention(width, n_heads, dropout)
        self.attention_norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.feedforward = None
        if feedforward is not None:
            self.feedforward = nn.Sequential(
                nn.Linear(width, feedforward), nn.ReLU(), nn.Dropout(dropout), nn.Linear(feedforward, width)
            )
            self.feedforward_norm = nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.attention_norm(x + self.dropout(self.attention(x)))
        if self.feedforward is not None:
            x = self.feedforward_norm(x + self.dropout(self.feedforward(x)))
        return x
