"""Matching the tracks of two outputs for the same frames, and joining overlapping chunks.

The order of tracks is arbitrary for a network trained with permutation-invariant training. So track k of one output is never
averaged with track k of another, but with the one that agrees with it: frame by frame in an ensemble, once per chunk where two
chunks overlap.
"""

import numpy as np
import torch

from ..permutations import best_permutation

EPSILON = 1e-6  # directions that no output is confident of get a plain mean


def agreement(sed_a: np.ndarray, doa_a: np.ndarray, sed_b: np.ndarray, doa_b: np.ndarray) -> np.ndarray:
    """How well every track of a goes with every track of b, (T, M, M), from 0 to 2; sed (T, M, K), doa (T, M, 3).

    Let each track be the vector of its class probabilities p_k and of p_k times its direction. The permutation of least
    squared distance between these is that of greatest inner products, the sum over k of p_k q_k (1 + cos angle), returned
    here. A silent track lies near the origin, equally far from all others, so its place has no weight.
    """
    cosine = np.einsum("tix,tjx->tij", _unit(doa_a), _unit(doa_b))
    return np.einsum("tik,tjk->tij", sed_a, sed_b) * (1 + cosine)


def best_order(agreement: np.ndarray) -> np.ndarray:
    """For each track of a the track of b that it goes with: (..., M, M) -> (..., M)."""
    return best_permutation(torch.from_numpy(-agreement)).numpy()


def _unit(doa: np.ndarray) -> np.ndarray:
    return doa / np.maximum(np.linalg.norm(doa, axis=-1, keepdims=True), EPSILON)


class TrackStitcher:
    """Joins the output of chunks that overlap by ``n_overlap`` frames: arrays ``sed`` and ``doa`` that grow at the end.

    A chunk's tracks are put in the order that agrees best with the chunk before, over all frames that they share. There
    probabilities are cross-faded, and so are directions, weighted by each chunk's confidence in its track. groups: (number of
    tracks, are they to be ordered) for each network whose tracks are side by side; class-wise ones have a fixed order.
    """

    def __init__(self, n_overlap: int, groups: tuple[tuple[int, bool], ...]):
        self.n_overlap, self.groups = n_overlap, groups
        self._sed, self._doa = _Rows(), _Rows()
        self._later = ((np.arange(n_overlap) + 0.5) / max(n_overlap, 1)).astype(np.float32)[:, None]

    def add(self, sed: np.ndarray, doa: np.ndarray) -> None:
        """The next chunk: sed (T, L, K), doa (T, L, 3), T larger than ``n_overlap``."""
        n = self.n_overlap if self._sed.length else 0
        if n:
            order = self._order(sed[:n], doa[:n])
            sed, doa = sed[:, order], doa[:, order]
            self._fade(sed[:n], doa[:n])
        self._sed.extend(sed[n:])
        self._doa.extend(doa[n:])

    @property
    def sed(self) -> np.ndarray:
        return self._sed.rows

    @property
    def doa(self) -> np.ndarray:
        return self._doa.rows

    def _order(self, sed: np.ndarray, doa: np.ndarray) -> np.ndarray:
        order, first = [], 0
        before = self.sed[-len(sed) :], self.doa[-len(sed) :]
        for n_tracks, free in self.groups:
            own = slice(first, first + n_tracks)
            found = np.arange(n_tracks)
            if free and n_tracks > 1:
                found = best_order(agreement(*(a[:, own] for a in (*before, sed, doa))).sum(0))
            order.append(first + found)
            first += n_tracks
        return np.concatenate(order)

    def _fade(self, sed: np.ndarray, doa: np.ndarray) -> None:
        """Cross-fade a chunk's first frames with the last frames already joined."""
        old_sed, old_doa = self.sed[-len(sed) :], self.doa[-len(sed) :]
        old = ((1 - self._later) * (old_sed.max(-1) + EPSILON))[..., None]
        new = (self._later * (sed.max(-1) + EPSILON))[..., None]
        old_doa[:] = (old * old_doa + new * doa) / (old + new)
        old_sed[:] = (1 - self._later[..., None]) * old_sed + self._later[..., None] * sed


class _Rows:
    """An array that grows at the end. A list of pieces would fragment the heap."""

    def __init__(self):
        self.array, self.length = None, 0

    def extend(self, rows: np.ndarray) -> None:
        if self.array is None:
            self.array = np.empty((2 * len(rows), *rows.shape[1:]), rows.dtype)
        while self.length + len(rows) > len(self.array):
            self.array = np.concatenate([self.array, np.empty_like(self.array)])
        self.array[self.length : self.length + len(rows)] = rows
        self.length += len(rows)

    @property
    def rows(self) -> np.ndarray:
        return self.array[: self.length]
