"""Faster CPU kernels: Winograd convolution, batch-norm folding, and bfloat16 where the user chooses it.

Wide 3x3 convolutions run as Winograd convolutions F(4x4, 3x3) of Lavin and Gray, "Fast algorithms for convolutional neural
networks", CVPR 2016, which give the same outputs but for rounding. For inference, where weights no longer change, batch norm is
folded into the convolution before it, and weights lie channels-last.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.grad import conv2d_weight
from torch.nn.utils.fusion import fuse_conv_bn_eval

PRECISIONS = ("float32", "bfloat16")
LEAST_CHANNELS = 128  # with fewer input channels, the sums added outweigh the products saved
TILE = 4
TILES = 320  # tiles per matrix product: enough to read the filters seldom, few enough to stay in the processor's cache

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


def for_inference(network: nn.Module, precision: str = "float32") -> nn.Module:
    """A copy of a network, in evaluation mode, that gives the same outputs faster.

    float32: within 1e-3 of the network's outputs. bfloat16: 8 bits of precision, at least 4 times faster where the processor
    multiplies such numbers (AMX, AVX-512 BF16; GPUs), slower elsewhere. The copy takes inputs of the precision's type; its modules
    keep their names. ValueError on any other precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    network = copy.deepcopy(network).eval().requires_grad_(False)
    for module in [m for m in network.modules() if isinstance(m, nn.Sequential)]:
        _fold(module)
        if precision == "float32" and next(network.parameters()).device.type == "cpu":
            _use_winograd(module)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    return network.bfloat16() if precision == "bfloat16" else network


def _fold(block: nn.Sequential) -> None:
    """Fold batch norm into the convolution right before it; an identity takes its place."""
    for i, (layer, following) in enumerate(itertools.pairwise(block)):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            block[i], block[i + 1] = fuse_conv_bn_eval(layer, following), nn.Identity()


def _use_winograd(block: nn.Sequential) -> None:
    for i, layer in enumerate(block):
        if isinstance(layer, nn.Conv2d) and layer.in_channels >= LEAST_CHANNELS:
            block[i] = WinogradConv2d(layer)


class WinogradConv2d(nn.Module):
    """A 3x3 convolution with padding 1 and fixed weights: (B, C_in, T, F) -> (B, C_out, T, F), channels-last."""

    filters: torch.Tensor
    bias: torch.Tensor | None

    def __init__(self, convolution: nn.Conv2d):
        super().__init__()
        if convolution.kernel_size != (3, 3) or convolution.padding != (1, 1) or convolution.stride != (1, 1):
            raise ValueError("Winograd convolution needs kernels of 3x3, padding 1 and stride 1")
        weight = convolution.weight.detach()
        self.register_buffer("filters", _transformed(weight.double()).to(weight.dtype))
        self.register_buffer("bias", None if convolution.bias is None else convolution.bias.detach())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = _winograd(x, self.filters)
        return y if self.bias is None else y + self.bias[:, None, None]


def for_training(network: nn.Module) -> nn.Module:
    """The network itself, whose wide convolutions and their gradients are now Winograd convolutions; float32, on the CPU.

    Weights and their names stay; outputs and gradients stay but for rounding.
    """
    is_wide = lambda module: isinstance(module, nn.Conv2d) and module.in_channels >= LEAST_CHANNELS  # noqa: E731
    return replace_modules(network, is_wide, TrainableWinogradConv2d.sharing)


def replace_modules(
    network: nn.Module, is_wanted: Callable[[nn.Module], bool], make: Callable[[Any], nn.Module]
) -> nn.Module:
    """The network itself, in which every wanted module is replaced by ``make(module)`` under the same name."""
    for parent in [*network.modules()]:
        for name, child in parent.named_children():
            if is_wanted(child):
                setattr(parent, name, make(child))
    return network


class TrainableWinogradConv2d(nn.Conv2d):
    """A 3x3 convolution with padding 1 that can be trained: (B, C_in, T, F) -> (B, C_out, T, F)."""

    @classmethod
    def sharing(cls, convolution: nn.Conv2d) -> Self:
        """With the parameters of a convolution: the same objects, so an optimiser keeps its state for them."""
        has_bias = convolution.bias is not None
        sizes = convolution.in_channels, convolution.out_channels
        layer = cls(*sizes, kernel_size=3, padding=1, bias=has_bias, device="meta")
        layer.weight, layer.bias = convolution.weight, convolution.bias
        return layer.train(convolution.training)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = _Winograd.apply(x, self.weight)
        return y if self.bias is None else y + self.bias[:, None, None]


class _Winograd(torch.autograd.Function):
    """A 3x3 convolution with padding 1 of x (B, C_in, T, F) by weight (C_out, C_in, 3, 3)."""

    @staticmethod
    def forward(ctx, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        return _winograd(x, _transformed(weight))

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, weight = ctx.saved_tensors
        of_x = _winograd(gradient, _transformed(weight.transpose(0, 1).flip(2, 3)))
        return of_x, conv2d_weight(x, weight.shape, gradient, padding=1)


def _transformed(weight: torch.Tensor) -> torch.Tensor:
    """Filters (C_out, C_in, 3, 3) -> (36, C_in, C_out)."""
    n_out, n_in = weight.shape[:2]
    return (_both(_G, weight) @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(36, n_in, n_out)


def _both(matrix: Sequence[Sequence[float]], like: torch.Tensor) -> torch.Tensor:
    """The matrix that transforms rows and columns at once, in the type of another tensor."""
    rows = torch.tensor(matrix, dtype=like.dtype)
    return torch.kron(rows, rows)


def _winograd(x: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """(B, C_in, T, F) by filters (36, C_in, C_out) -> (B, C_out, T, F), channels-last.

    A tile takes 36 products where a direct convolution takes 144; the sums before and after do not grow with the other side's
    channels. The batch is split so that about ``TILES`` tiles are multiplied at once.
    """
    rows, columns = (-(-size // TILE) for size in x.shape[2:])
    parts = x.permute(0, 2, 3, 1).split(max(1, TILES // (rows * columns)))
    return torch.cat([_winograd_batch(part, filters, rows, columns) for part in parts]).permute(0, 3, 1, 2)


def _winograd_batch(x: torch.Tensor, filters: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """(B, T, F, C_in), covered by rows x columns of tiles -> (B, T, F, C_out)."""
    n, n_frames, n_bands, n_channels = x.shape
    x = F.pad(x, (0, 0, 1, 1 + columns * TILE - n_bands, 1, 1 + rows * TILE - n_frames))
    tiles = x.unfold(1, TILE + 2, TILE).unfold(2, TILE + 2, TILE)  # (B, rows, columns, C_in, 6, 6)
    tiles = _both(_B, x) @ tiles.permute(4, 5, 0, 1, 2, 3).reshape(36, -1)
    products = torch.bmm(tiles.view(36, n * rows * columns, n_channels), filters)
    y = (_both(_A, x) @ products.flatten(1)).view(TILE, TILE, n, rows, columns, -1)
    y = y.permute(2, 3, 0, 4, 1, 5).reshape(n, rows * TILE, columns * TILE, -1)
    return y[:, :n_frames, :n_bands]
