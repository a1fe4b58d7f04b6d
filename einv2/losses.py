"""Permutation-invariant training (PIT): pairwise costs, the permutation search, and the losses under the best permutation.

The three steps are apart. Costs compare every predicted track with every reference track, (B, T, M, M); the search knows
nothing of what the costs mean; the losses read the costs along the permutation found. Equations of the paper's section on
PIT: the loss of a frame (tPIT) or of a chunk of frames (cPIT) is the least over all M! assignments.
"""

from itertools import permutations
from typing import NamedTuple

import torch
import torch.nn.functional as F

MAX_TRACKS = 4  # 24 permutations; the search is exhaustive


class Losses(NamedTuple):
    """Scalars, and the permutation (B, T, M): predicted track i is compared with reference track permutation[..., i]."""

    total: torch.Tensor
    sed: torch.Tensor
    doa: torch.Tensor
    permutation: torch.Tensor


def pairwise_bce(logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over classes: logits, reference (B, T, M, K) -> (B, T, M predicted, M reference)."""
    agreement = torch.einsum("btik,btjk->btij", logits, reference)
    return (F.softplus(logits).sum(-1).unsqueeze(-1) - agreement) / logits.shape[-1]


def pairwise_mse(doa: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Mean squared error over x, y, z: doa, reference (B, T, M, 3) -> (B, T, M predicted, M reference)."""
    return (doa.unsqueeze(3) - reference.unsqueeze(2)).square().mean(-1)


def all_permutations(n_tracks: int, device=None) -> torch.Tensor:
    """(M!, M), the identity first. ValueError above ``MAX_TRACKS`` tracks."""
    if not 1 <= n_tracks <= MAX_TRACKS:
        raise ValueError(f"permutations of {n_tracks} tracks are not searched; 1 to {MAX_TRACKS} are")
    return torch.tensor(list(permutations(range(n_tracks))), device=device)


def permutation_costs(cost: torch.Tensor) -> torch.Tensor:
    """Mean over tracks of the cost of every permutation: (..., M, M) -> (..., M!), in the order of ``all_permutations``."""
    orders = all_permutations(cost.shape[-1], cost.device)
    rows = torch.arange(cost.shape[-1], device=cost.device)
    return cost[..., rows, orders].mean(-1)


def best_permutation(cost: torch.Tensor) -> torch.Tensor:
    """The permutation of least cost: (..., M, M) -> (..., M). The first wins a tie, so the identity where nothing speaks."""
    return all_permutations(cost.shape[-1], cost.device)[permutation_costs(cost).argmin(-1)]


def take(cost: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
    """The costs along a permutation: (..., M, M), (..., M) -> (..., M)."""
    return cost.gather(-1, permutation.unsqueeze(-1)).squeeze(-1)


def event_runs(active: torch.Tensor) -> torch.Tensor:
    """Number the runs of frames in which events overlap or touch: active (B, T) bool -> (B, T) int64 from 0.

    A run ends where a frame is silent, so an event lies in one run from onset to offset. The silent frames between two runs
    form a run of their own, in which every permutation costs the same.
    """
    change = active[:, 1:] != active[:, :-1]
    return F.pad(change.long().cumsum(1), (1, 0))


def sum_over_runs(cost: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
    """Each frame gets the total cost of its run: cost (B, T, M, M), runs (B, T) -> (B, T, M, M)."""
    index = runs[:, :, None, None].expand_as(cost)
    totals = torch.zeros_like(cost).scatter_add_(1, index, cost)
    return totals.gather(1, index)


def find_permutation(cost: torch.Tensor, active: torch.Tensor, pit: str) -> torch.Tensor:
    """The permutation of each frame under "tpit" (per frame), "cpit" (one per run of events) or "none" (the identity).

    cost (B, T, M, M), active (B, T) bool: does any reference track sound -> (B, T, M).
    """
    if pit == "none":
        return torch.arange(cost.shape[-1], device=cost.device).expand(cost.shape[:-1])
    if pit == "cpit":
        cost = sum_over_runs(cost, event_runs(active))
    elif pit != "tpit":
        raise ValueError(f"pit must be none, tpit or cpit, not {pit!r}")
    return best_permutation(cost)


def pit_losses(
    logits: torch.Tensor,
    doa: torch.Tensor,
    reference_sed: torch.Tensor,
    reference_doa: torch.Tensor,
    pit: str = "tpit",
    sed_weight: float = 0.5,
) -> Losses:
    """SED and DoA losses under one common permutation, which minimises their unweighted sum.

    logits, reference_sed (B, T, M, K); doa, reference_doa (B, T, M, 3), zero where a reference track is silent.
    total = sed_weight SED + (1 - sed_weight) DoA; each a mean over batch, frames and tracks.
    """
    sed_cost = pairwise_bce(logits, reference_sed)
    doa_cost = pairwise_mse(doa, reference_doa)
    active = reference_sed.amax((2, 3)) > 0
    permutation = find_permutation((sed_cost + doa_cost).detach(), active, pit)
    sed_loss, doa_loss = take(sed_cost, permutation).mean(), take(doa_cost, permutation).mean()
    return Losses(sed_weight * sed_loss + (1 - sed_weight) * doa_loss, sed_loss, doa_loss, permutation)
