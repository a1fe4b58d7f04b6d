"""The permutation search of PIT: costs of all pairs of tracks in, the best assignment of tracks out (equation 3)."""

from itertools import permutations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

MAX_TRACKS = (
    4  # 24 permutations, all of which are compared; of more tracks the best one is found by the Hungarian method
)


def all_permutations(n_tracks: int, device=None) -> torch.Tensor:
    """(M!, M), the identity first. ValueError above ``MAX_TRACKS`` tracks."""
    if not 1 <= n_tracks <= MAX_TRACKS:
        raise ValueError(
            f"the permutations of {n_tracks} tracks are too many to list; those of 1 to {MAX_TRACKS} are not"
        )
    return torch.tensor(list(permutations(range(n_tracks))), device=device)


def permutation_costs(cost: torch.Tensor) -> torch.Tensor:
    """Mean over tracks of the cost of every permutation: (..., M, M) -> (..., M!), in the order of ``all_permutations``."""
    orders = all_permutations(cost.shape[-1], cost.device)
    rows = torch.arange(cost.shape[-1], device=cost.device)
    return cost[..., rows, orders].mean(-1)


def best_permutation(cost: torch.Tensor) -> torch.Tensor:
    """The permutation of least cost: (..., M, M) -> (..., M), for any M. The identity wins a tie.

    The minimum of equation 3. Up to ``MAX_TRACKS`` tracks all permutations are compared at once, on the cost's device; beyond,
    the Hungarian method finds the same one, on the CPU, as costs are sums over tracks.
    """
    if cost.shape[-1] > MAX_TRACKS:
        return _assigned(cost)
    return all_permutations(cost.shape[-1], cost.device)[permutation_costs(cost).argmin(-1)]


def _assigned(cost: torch.Tensor) -> torch.Tensor:
    n_tracks = cost.shape[-1]
    matrices = cost.detach().cpu().double().numpy().reshape(-1, n_tracks, n_tracks)
    found = np.tile(np.arange(n_tracks), (len(matrices), 1))
    for order, matrix in zip(found, matrices):
        columns = linear_sum_assignment(matrix)[1]
        if matrix[order, columns].sum() < np.trace(matrix):
            order[:] = columns
    return torch.from_numpy(found).reshape(cost.shape[:-1]).to(cost.device)


def take(cost: torch.Tensor, permutation: torch.Tensor) -> torch.Tensor:
    """The costs along a permutation: (..., M, M), (..., M) -> (..., M)."""
    return cost.gather(-1, permutation.unsqueeze(-1)).squeeze(-1)
