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


def positional_encoding(n_frames: int, width: int, scale: float = 0.1, device=None) -> torch.Tensor:
    """Equation 4, (T, C): scale * sin(t / 10^(8i / C)) on channel 2i, the cosine of the same on channel 2i + 1."""
    time = torch.arange(n_frames, device=device, dtype=torch.float32)[:, None]
    pair = torch.arange(0, width, 2, device=device, dtype=torch.float32)
    angle = time * torch.exp(-math.log(10000.0) * pair / width)
    return scale * torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaled: bool = False
) -> tuple[torch.Tensor, torch.Tensor]:
    """Equation 5: softmax(Q K^T) V, and the softmax. All (..., T, d); the softmax (..., T, T). scaled: Q K^T / sqrt(d)."""
    scores = query @ key.transpose(-2, -1)
    weights = torch.softmax(scores / math.sqrt(query.shape[-1]) if scaled else scores, dim=-1)
    return weights @ value, weights


class MultiHeadSelfAttention(nn.Module):
    """Equation 6: the heads' attention (equation 5), concatenated and projected. (B, T, C) -> (B, T, C).

    positional_scale: amplitude of the positions (equation 4) that are added to what queries and keys are made of, and not to
    what values are made of; 0 for none. scaled and bias, both off in equation 5: scores over sqrt(d), biases of Q, K and V.
    """

    def __init__(
        self,
        width: int,
        n_heads: int,
        dropout: float,
        scaled: bool = False,
        bias: bool = False,
        positional_scale: float = 0.0,
    ):
        super().__init__()
        self.n_heads = n_heads
        self.dropout = dropout
        self.scaled = scaled
        self.positional_scale = positional_scale
        self.qkv = nn.Linear(width, 3 * width, bias)
        self.out = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.qkv.weight)
        if bias:
            nn.init.zeros_(self.qkv.bias)
        nn.init.zeros_(self.out.bias)

    def heads(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Query, key and value, each (B, heads, T, C / heads)."""
        projected = self.qkv(x)
        if self.positional_scale:  # (X + P) W = X W + P W, for queries and keys
            n_frames, width = x.shape[1:]
            positions = positional_encoding(n_frames, width, self.positional_scale, x.device).to(x.dtype)
            projected = projected + F.pad(F.linear(positions, self.qkv.weight[: 2 * width]), (0, width))
        return projected.unflatten(-1, (3, self.n_heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        dropout = self.dropout if self.training else 0.0
        scale = None if self.scaled else 1.0  # None is 1 / sqrt(d)
        query, key, value = self.heads(x)
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scale)  # equation 5, fused
        return self.out(mixed.transpose(1, 2).flatten(2))

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """The attention weights of each head, (B, heads, T, T): rows belong to the attending frames and sum to 1."""
        query, key, value = self.heads(x)
        return attention(query, key, value, self.scaled)[1]


class TrackLayer(nn.Module):
    """Self-attention, and where there is a ``feedforward`` width that after it, each with dropout at its end.

    residual_norm: each is added to its input and followed by layer norm (post-norm). Table 1 of the paper draws neither; with
    them, ``feedforward`` and attention that is scaled and has biases, this is the standard transformer encoder layer.
    """

    def __init__(
        self,
        attention: MultiHeadSelfAttention,
        width: int,
        dropout: float,
        feedforward: int | None = None,
        residual_norm: bool = True,
    ):
        super().__init__()
        self.attention = attention
        self.attention_norm = nn.LayerNorm(width) if residual_norm else None
        self.dropout = nn.Dropout(dropout)
        self.feedforward = self.feedforward_norm = None
        if feedforward is not None:
            self.feedforward = nn.Sequential(
                nn.Linear(width, feedforward), nn.ReLU(), nn.Dropout(dropout), nn.Linear(feedforward, width)
            )
            self.feedforward_norm = nn.LayerNorm(width) if residual_norm else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self._around(self.attention, self.attention_norm, x)
        return x if self.feedforward is None else self._around(self.feedforward, self.feedforward_norm, x)

    def _around(self, part: nn.Module, norm: nn.LayerNorm | None, x: torch.Tensor) -> torch.Tensor:
        y = self.dropout(part(x))
        return y if norm is None else norm(x + y)
