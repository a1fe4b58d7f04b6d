"""What permutation-invariant training sees in one clip: the cost of every permutation, frame by frame, and which one is taken.

The costs and the choices are those of ``einv2.training.losses``, which trains. Loss units: the SED cost is the binary cross-entropy, in
nats, mean over tracks and classes; the DoA cost the squared error of unit vectors, mean over tracks and x, y, z.
"""

from dataclasses import dataclass

import numpy as np
import torch

from .. import permutations as search
from ..frames import CHUNK_SECONDS, LABEL_FRAMES_PER_SECOND
from ..metrics.common import require_shape
from ..training import losses

RULES = ("tpit", "cpit", "none")
PARTS = ("sed", "doa")
CHUNK_FRAMES = CHUNK_SECONDS * LABEL_FRAMES_PER_SECOND
SURE = 3e-8  # a probability is at least so far from 0 and 1: the step of single precision below 1
WORTH = 1e-6  # a difference of costs below this is rounding


@dataclass(frozen=True)
class Microscope:
    """The costs of P = M! permutations in T frames, and the permutation that each rule of ``RULES`` takes.

    permutations (P, M): predicted track i is compared with reference track permutations[p, i]; the identity first.
    costs: "sed" and "doa", each (T, P). chosen: by rule, (T,) indices into permutations. active (T,): does the reference sound.
    """

    permutations: np.ndarray
    costs: dict[str, np.ndarray]
    chosen: dict[str, np.ndarray]
    active: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """(T, P): the unweighted sum of both costs, by which training chooses."""
        return self.costs["sed"] + self.costs["doa"]

    @property
    def margin(self) -> np.ndarray:
        """(T,): by how much the second best permutation costs more than the best, at least 0; 0 where there is only one."""
        if len(self.permutations) == 1:
            return np.zeros(len(self.active))
        best, second = np.partition(self.total, 1, axis=1)[:, :2].T
        return second - best

    def excess(self, rule: str) -> np.ndarray:
        """(T,): what the rule's permutation costs above the best one of the frame, at least 0."""
        return along(self.total, self.chosen[rule]) - self.total.min(axis=1)

    def pulled(self, rule: str) -> np.ndarray:
        """(T,) bool: frames in which training by the rule pulls the tracks the wrong way.

        There the rule compares the tracks with other events than those that they are nearest to, which tPIT would take.
        """
        return self.active & (self.excess(rule) > WORTH)

    def changes(self, rule: str) -> int:
        """How often the permutation changes from one sounding frame to the next, which sounds too."""
        both = self.active[1:] & self.active[:-1]
        return int((both & (np.diff(self.chosen[rule]) != 0)).sum())

    def loss(self, rule: str, sed_weight: float = 0.5) -> dict[str, float]:
        """The training losses of the clip under a rule: "sed" and "doa", means over frames, and their weighted sum "total"."""
        sed, doa = (float(along(self.costs[part], self.chosen[rule]).mean()) for part in PARTS)
        return {"total": sed_weight * sed + (1 - sed_weight) * doa, "sed": sed, "doa": doa}


def along(costs: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The costs (T, P) of the permutations chosen (T,): (T,)."""
    return np.take_along_axis(costs, chosen[:, None], 1)[:, 0]


def logits(probabilities: np.ndarray) -> np.ndarray:
    """The logits of probabilities, as far as single precision has kept them: within about +-17."""
    p = np.clip(np.asarray(probabilities, np.float64), SURE, 1 - SURE)
    return np.log(p) - np.log1p(-p)


def examine(
    sed: np.ndarray,
    doa: np.ndarray,
    reference_sed: np.ndarray,
    reference_doa: np.ndarray,
    chunk_frames: int = CHUNK_FRAMES,
) -> Microscope:
    """The costs of all permutations of one clip, and what each rule chooses.

    sed (T, M, K) probabilities, doa (T, M, 3); reference_sed (T, M, K) of 0 and 1 and reference_doa (T, M, 3), zero where
    silent, as ``frame_tables.to_tracks`` puts events on tracks. chunk_frames: training looks at chunks of this length, so a run of
    events, which cPIT gives one permutation, ends where a chunk does. ValueError on shapes that do not fit, and above
    ``permutations.MAX_TRACKS`` tracks.
    """
    n_frames, n_tracks, n_classes = reference_sed.shape
    for name, array, size in (("sed", sed, n_classes), ("doa", doa, 3), ("reference_doa", reference_doa, 3)):
        require_shape(name, array, (n_frames, n_tracks, size))
    pairwise = _pairwise(logits(sed), doa, reference_sed, reference_doa)
    active = reference_sed.max(axis=(1, 2), initial=0) > 0
    orders = search.all_permutations(n_tracks).numpy()
    total = pairwise["sed"] + pairwise["doa"]
    continues = losses.continuing(torch.from_numpy(np.asarray(reference_sed, np.float64))[None])[0].numpy()
    chosen = {rule: _choose(total, continues, rule, chunk_frames, orders) for rule in RULES}
    costs = {part: search.permutation_costs(cost).numpy() for part, cost in pairwise.items()}
    return Microscope(orders, costs, chosen, active)


def _pairwise(sed, doa, reference_sed, reference_doa) -> dict[str, torch.Tensor]:
    """Costs of every predicted track with every reference track, each (T, M, M)."""
    sed, doa, reference_sed, reference_doa = (
        torch.from_numpy(np.array(a, np.float64))[None] for a in (sed, doa, reference_sed, reference_doa)
    )
    return {
        "sed": losses.pairwise_bce(sed, reference_sed)[0],
        "doa": losses.pairwise_mse(doa, reference_doa)[0],
    }


def _choose(cost: torch.Tensor, continues: np.ndarray, rule: str, chunk_frames: int, orders: np.ndarray) -> np.ndarray:
    """The rule's permutation of each frame, (T,) indices into ``orders``. The last chunk is filled up with silence.

    No event goes on into a chunk from the one before it.
    """
    n_frames, n_tracks = cost.shape[:2]
    missing = -n_frames % chunk_frames
    cost = torch.nn.functional.pad(cost, (0, 0, 0, 0, 0, missing)).unflatten(0, (-1, chunk_frames))
    continues = torch.from_numpy(np.pad(continues, (0, missing))).unflatten(0, (-1, chunk_frames))
    continues[:, 0] = False
    found = losses.find_permutation(cost, continues, rule).reshape(-1, n_tracks)[:n_frames].numpy()
    return (found[:, None] == orders).all(-1).argmax(1)
