"""One training step on several processes, the same as on one.

Each process takes a slice of every batch. Gradients are averaged by Fabric (DistributedDataParallel); ``weight`` makes that
average, and that of the losses, the mean over all items; ``synchronise_batch_norm`` makes batch statistics those of the whole
batch.
"""

import logging
import os
from collections.abc import Callable
from typing import Literal, Self

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from torch import nn

from ..models.acceleration import replace_modules

# As Fabric names them.
_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {"fp32": "32-true", "bf16": "bf16-mixed"}


def launch(precision: str) -> Fabric:
    """Fabric on the GPUs, or else the CPU: one process, or those that torchrun started on all of its machines.

    precision: "fp32" or "bf16" (mixed). ValueError if there are more processes than GPUs.
    """
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # the run's log has the same lines
    on_gpu, world, local = torch.cuda.is_available(), 1, 1
    if dist.is_torchelastic_launched():
        world, local = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
    if on_gpu and local > torch.cuda.device_count():
        raise ValueError(
            f"{local} processes need a GPU each, but this machine has {torch.cuda.device_count()}: "
            f"start torchrun with --nproc-per-node={torch.cuda.device_count()}."
        )
    fabric = Fabric(
        accelerator="cuda" if on_gpu else "cpu",
        strategy="ddp" if world > 1 else "auto",
        devices=local,
        num_nodes=world // local,
        precision=_PRECISIONS[precision],
    )
    fabric.launch()
    return fabric


def resolve_precision(name: str) -> str:
    """The precision "fp32" or "bf16" that "auto" stands for: bf16 if the processor multiplies it natively."""
    if name != "auto":
        return name
    if torch.cuda.is_available():
        native = torch.cuda.is_bf16_supported()
    else:
        native = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return "bf16" if native else "fp32"


def share(fabric: Fabric, n: int) -> slice:
    """The items of a batch of n that this process takes. ValueError if there are fewer than processes."""
    rank, world = fabric.global_rank, fabric.world_size
    if n < world:
        raise ValueError(f"a batch of {n} chunks cannot be shared by {world} processes: start fewer.")
    return slice(n * rank // world, n * (rank + 1) // world)


def weight(fabric: Fabric, n_mine: int, n: int) -> float:
    """The weight of a mean over this process's ``n_mine`` of n items in a mean over processes."""
    return n_mine * fabric.world_size / n


def on_rank_zero(fabric: Fabric, make: Callable):
    """The result of ``make()`` on rank 0, or the ValueError or OSError it raises there, on every process."""
    made = error = None
    if fabric.is_global_zero:
        try:
            made = make()
        except (ValueError, OSError) as raised:
            error = raised
    made, error = fabric.broadcast((made, error))
    if error is not None:
        raise error
    return made


def on_any(fabric: Fabric, condition: bool) -> bool:
    """On every process, whether the condition holds on any."""
    return bool(fabric.all_reduce(torch.tensor(float(condition), device=fabric.device), reduce_op="sum"))


def gather(fabric: Fabric, items: list) -> list:
    """All items in order, on every process. ``items``: those of this process, every R-th from its rank on, with R processes."""
    if fabric.world_size == 1:
        return items
    parts: list[list] = [[] for _ in range(fabric.world_size)]
    dist.all_gather_object(parts, items)
    return [parts[i % len(parts)][i // len(parts)] for i in range(sum(map(len, parts)))]


def leave() -> None:
    """Leave the process group, all processes together, when the work is done: a process that still communicates is aborted when
    another has left.

    A reference to the group is kept. DistributedDataParallel has one too, and if that is the last one, PyTorch waits for the
    group's thread while it holds Python's global lock: a deadlock if that thread waits for the lock.
    """
    if dist.is_initialized():
        dist.barrier()
        _LEFT.append(dist.group.WORLD)
        dist.destroy_process_group()


_LEFT: list = []  # groups, until the process ends


def synchronise_batch_norm(network: nn.Module) -> nn.Module:
    """The network, its batch norms changed to take their statistics over the batches of all processes."""
    if torch.cuda.is_available():
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    return replace_modules(network, lambda module: isinstance(module, nn.BatchNorm2d), _SyncBatchNorm.sharing)


class _SyncBatchNorm(nn.BatchNorm2d):
    """nn.SyncBatchNorm for the CPU, which it does not support: (B, C, T, F) -> (B, C, T, F)."""

    momentum: float  # none of these is None in our networks
    running_mean: torch.Tensor
    running_var: torch.Tensor
    num_batches_tracked: torch.Tensor

    @classmethod
    def sharing(cls, norm: nn.BatchNorm2d) -> Self:
        """With the parameters and buffers of a batch norm."""
        layer = cls(norm.num_features, norm.eps, norm.momentum, device="meta")
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            setattr(layer, name, getattr(norm, name))
        return layer.train(norm.training)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        wide, dims = x.float(), (0, 2, 3)
        n = _Sum.apply(wide.new_tensor(x.numel() // x.shape[1]))
        mean = _Sum.apply(wide.sum(dims)) / n
        centred = wide - mean[:, None, None]
        variance = _Sum.apply(centred.square().sum(dims)) / n
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


class _Sum(torch.autograd.Function):
    """The sum of a tensor over processes. Backward, each gets the sum of all gradients."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        return _Sum.forward(ctx, gradient)
