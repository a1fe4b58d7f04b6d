"""The same network with less to do.

Exact but for rounding: on the CPU wide 3x3 convolutions take the minimal filtering of Lavin and Gray, "Fast algorithms for
convolutional neural networks", CVPR 2016; for inference, where weights no longer change, batch norm is folded into the
convolution before it, and weights lie channels-last. Below that precision, where the user chooses it: bfloat16. And the
memory of one map is kept for the next.
"""

import contextlib
import copy
import ctypes
import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.grad import conv2d_weight
from torch.nn.utils.fusion import fuse_conv_bn_eval

PRECISIONS = ("float32", "bfloat16")
LEAST_CHANNELS = 128  # from which on the products saved outweigh the sums added
TILE = 4
TILES = 320  # that go through together: enough to read the filters seldom, few enough to stay in the processor's cache

# F(4x4, 3x3): for a tile of 4x4 outputs, inputs of 6x6 are transformed by B, filters by G, products by A (section 4.3).
_B = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_G: list[list[float]] = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def keep_memory() -> None:
    """From now on this process keeps the memory that it frees, where the C library (of Linux) can be told so.

    The maps of a network are asked for and freed again many times a second; that the system hands out each anew, and clears it,
    is a tenth of the time of a clip.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL("libc.so.6")
        for option, most in ((_MMAP_THRESHOLD, 2**30), (_TRIM_THRESHOLD, 2**29)):
            library.mallopt(option, most)


_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD


def for_inference(network: nn.Module, precision: str = "float32") -> nn.Module:
    """A copy of a network, in evaluation, that gives the same outputs faster.

    float32: within 1e-3 of the network's outputs. bfloat16: numbers of 8 bits' precision, 4 times faster and more where the
    processor multiplies them (AMX, AVX-512 BF16; GPUs), slower where not. The copy takes inputs of the precision's type; its
    modules go by the names they had. ValueError on any other precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    network = copy.deepcopy(network).eval().requires_grad_(False)
    for module in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        _fold(module)
        if precision == "float32" and next(network.parameters()).device.type == "cpu":
            _filter_minimally(module)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    return network.bfloat16() if precision == "bfloat16" else network


def _fold(block: nn.Sequential) -> None:
    """Batch norm into the convolution right before it; nothing stands in its place."""
    for i, (layer, following) in enumerate(itertools.pairwise(block)):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            block[i], block[i + 1] = fuse_conv_bn_eval(layer, following), nn.Identity()


def _filter_minimally(block: nn.Sequential) -> None:
    for i, layer in enumerate(block):
        if isinstance(layer, nn.Conv2d) and layer.in_channels >= LEAST_CHANNELS:
            block[i] = MinimalFiltering(layer)


class MinimalFiltering(nn.Module):
    """A 3x3 convolution with padding 1 whose weights stay: (B, C_in, T, F) -> (B, C_out, T, F), channels-last."""

    filters: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        if convolution.kernel_size != (3, 3) or convolution.padding != (1, 1) or convolution.stride != (1, 1):
            raise ValueError("minimal filtering is for 3x3 convolutions with padding and stride 1")
        weight = convolution.weight.detach()
        self.register_buffer("filters", _transformed(weight.double()).to(weight.dtype))
        self.register_buffer("bias", None if convolution.bias is None else convolution.bias.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = _filtered(x, self.filters)
        return y if self.bias is None else y + self.bias[:, None, None]


def for_training(network: nn.Module) -> nn.Module:
    """The network itself, whose wide convolutions and their gradients take the minimal filtering from now on; float32, CPU.

    Weights and their names stay, outputs and gradients but for rounding, too.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.in_channels >= LEAST_CHANNELS:
            module.__class__ = _LearningFilters
    return network


class _LearningFilters(nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = _Filtering.apply(x, self.weight)
        return y if self.bias is None else y + self.bias[:, None, None]


class _Filtering(torch.autograd.Function):
    """A 3x3 convolution with padding 1 of x (B, C_in, T, F) by weight (C_out, C_in, 3, 3)."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return _filtered(x, _transformed(weight))

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, weight = ctx.saved_tensors
        of_x = _filtered(gradient, _transformed(weight.transpose(0, 1).flip(2, 3)))
        return of_x, conv2d_weight(x, weight.shape, gradient, padding=1)


def _transformed(weight: torch.Tensor) -> torch.Tensor:
    """Filters (C_out, C_in, 3, 3) -> (36, C_in, C_out)."""
    n_out, n_in = weight.shape[:2]
    return (_both(_G, weight) @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, n_in, n_out)


def _both(matrix: Sequence[Sequence[float]], like: torch.Tensor) -> torch.Tensor:
    """What transforms rows and columns at once, in the type of another tensor."""
    rows = torch.tensor(matrix, dtype=like.dtype)
    return torch.kron(rows, rows)


def _filtered(x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """(B, C_in, T, F) by filters (36, C_in, C_out) -> (B, C_out, T, F), channels-last.

    36 products where the direct way takes 144, for sums before and after that do not grow with the other side's channels. As
    many of the batch at a time as have ``TILES`` tiles.
    """
    rows, columns = (-(-size // TILE) for size in x.shape[2:])
    parts = x.permute(0, 2, 3, 1).split(max(1, TILES // (rows * columns)))
    return torch.cat([_filtered_at_once(part, filters, rows, columns) for part in parts]).permute(0, 3, 1, 2)


def _filtered_at_once(x: torch.Tensor, filters: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """(B, T, F, C_in), covered by so many tiles -> (B, T, F, C_out)."""
    n, n_frames, n_bands, n_channels = x.shape
    x = F.pad(x, (0, 0, 1, 1 + columns * TILE - n_bands, 1, 1 + rows * TILE - n_frames))
    tiles = x.unfold(1, TILE + 2, TILE).unfold(2, TILE + 2, TILE)  # (B, rows, columns, C_in, 6, 6)
    tiles = _both(_B, x) @ tiles.permute(4, 5, 0, 1, 2, 3).reshape(36, -1)
    products = torch.bmm(tiles.view(36, n * rows * columns, n_channels), filters)
    y = (_both(_A, x) @ products.flatten(1)).view(TILE, TILE, n, rows, columns, -1)
    y = y.permute(2, 3, 0, 4, 1, 5).reshape(n, rows * TILE, columns * TILE, -1)
    return y[:, :n_frames, :n_bands]
