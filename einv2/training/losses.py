"""The losses of every output format; ``seld_losses`` chooses. Trackwise: permutation-invariant training (PIT).

PIT has three separate steps. Costs compare every predicted track with every reference track, (B, T, M, M); the search does not
depend on the meaning of the costs; the losses are the costs along the best permutation. Equation 3 of the paper: the loss of a
frame (tPIT) or of a chunk of frames (cPIT) is the least over all M! assignments.

The class-wise formats have nothing to permute: a class has one activity and one direction, so ``class_wise`` drops one of two
simultaneous events of the same class.
"""

import functools
from typing import NamedTuple

import torch
import torch.nn.functional as F

from ..config import ModelConfig, TrainConfig
from ..models.einv2 import Output
from ..permutations import best_permutation, take

DEFAULTS = TrainConfig()


class Losses(NamedTuple):
    """Scalars, and the permutation (B, T, M): predicted track i is compared with reference track permutation[..., i].

    sed or doa is 0 where the network has no such output; the permutation None where there are no tracks.
    """

    total: torch.Tensor
    sed: torch.Tensor
    doa: torch.Tensor
    permutation: torch.Tensor | None


def seld_losses(
    output: Output,
    reference_sed: torch.Tensor,
    reference_doa: torch.Tensor,
    model: ModelConfig,
    train: TrainConfig = DEFAULTS,
) -> Losses:
    """The losses of a network's output, in full precision, against a reference that is always trackwise.

    reference_sed (B, T, M, K) of 0 and 1; reference_doa (B, T, M, 3), zero where a track is silent. Of ``train``, ``pit`` and
    ``overlap_weight`` apply to the trackwise format only, ``masked_loss`` to the SELDnet format. total = sed_weight SED +
    (1 - sed_weight) DoA; for a network of one task its loss.
    """
    sed, doa = (None if x is None else x.float() for x in output)
    if model.output_format == "trackwise":
        return pit_losses(sed, doa, reference_sed, reference_doa, train.pit, train.sed_weight, train.overlap_weight)
    activity, direction = class_wise(reference_sed, reference_doa)
    sed_loss = None if sed is None else F.binary_cross_entropy_with_logits(sed, activity)
    if doa is None:
        return _weighted(sed_loss, None, train.sed_weight)
    if model.output_format == "accdoa":
        doa_loss = F.mse_loss(doa, direction)
    else:
        doa_loss = {"mse": masked_mse, "root": masked_root}[train.masked_loss](doa, direction, activity)
    return _weighted(sed_loss, doa_loss, train.sed_weight)


def class_wise(reference_sed: torch.Tensor, reference_doa: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Activity (B, T, K) of each class, and activity times direction (B, T, K, 3), from a trackwise reference.

    A class is active where any track has it; its direction is that of the first such track. The second result is the
    target of ACCDOA (Shimada et al., "ACCDOA: activity-coupled Cartesian direction of arrival representation for sound event
    localization and detection", ICASSP 2021): a vector whose length is the activity of its class.
    """
    activity, first = reference_sed.max(dim=2)
    direction = reference_doa.gather(2, first.unsqueeze(-1).expand(-1, -1, -1, 3))
    return activity, activity.unsqueeze(-1) * direction


def masked_mse(doa: torch.Tensor, direction: torch.Tensor, activity: torch.Tensor) -> torch.Tensor:
    """Mean squared error over the active (frame, class) pairs and x, y, z; 0 if there are none.

    Directions of silent classes do not count.

    doa, direction (B, T, K, 3), activity (B, T, K).
    """
    error = (doa - direction).square().mean(-1)
    return (error * activity).sum() / activity.sum().clamp(min=1)


def masked_root(doa: torch.Tensor, direction: torch.Tensor, activity: torch.Tensor) -> torch.Tensor:
    """The root of the sum of squared errors over the active pairs and x, y, z, divided by their number; 0 if there are none.

    Shapes as in ``masked_mse``. The objective "masked_mse" in the code of the DCASE 2020 baseline (seld-dcase2020,
    keras_model.py), which weights it 1000 times as much as detection: it falls with the root of the number of active pairs
    in a batch.
    """
    squares = ((doa - direction).square().sum(-1) * activity).sum()
    root = squares.clamp(min=torch.finfo(squares.dtype).tiny).sqrt()  # the slope of the root at 0 is infinite
    return torch.where(squares > 0, root, 0.0) / (3 * activity.sum()).clamp(min=1)


def _weighted(
    sed: torch.Tensor | None, doa: torch.Tensor | None, sed_weight: float, permutation: torch.Tensor | None = None
) -> Losses:
    """Both losses and their weighted sum. Of a network of one task, its loss is the total and the other is 0."""
    if sed is not None and doa is not None:
        return Losses(sed_weight * sed + (1 - sed_weight) * doa, sed, doa, permutation)
    if sed is not None:
        return Losses(sed, sed, torch.zeros_like(sed), permutation)
    assert doa is not None  # a network has at least one branch
    return Losses(doa, torch.zeros_like(doa), doa, permutation)


def pairwise_bce(logits: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy, mean over classes: logits, reference (B, T, M, K) -> (B, T, M predicted, M reference)."""
    agreement = torch.einsum("btik,btjk->btij", logits, reference)
    return (F.softplus(logits).sum(-1).unsqueeze(-1) - agreement) / logits.shape[-1]


def pairwise_mse(doa: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Mean squared error over x, y, z: doa, reference (B, T, M, 3) -> (B, T, M predicted, M reference)."""
    return (doa.unsqueeze(3) - reference.unsqueeze(2)).square().mean(-1)


def continuing(reference_sed: torch.Tensor) -> torch.Tensor:
    """Whether an event sounds in this frame and in the one before: reference_sed (B, T, M, K) -> (B, T) bool; False in frame 0.

    An event is one class on one track of the reference, so two adjacent events of one class on the same track count as one.
    """
    both = (reference_sed[:, 1:] * reference_sed[:, :-1]).amax(dim=(2, 3)) > 0
    return F.pad(both, (1, 0))


def event_runs(continues: torch.Tensor) -> torch.Tensor:
    """Number the runs of frames that share one permutation in cPIT: ``continuing`` (B, T) -> (B, T) int64 from 0.

    The paper's chunk is "a whole segment spanning from the start to the end of an event". A run ends where no event continues, so
    an event is in one run together with the events that overlap it, which need the other tracks; adjacent events are in different
    runs. For two tracks this is the paper's definition. With three tracks and more it deviates: two events that do not overlap
    share a permutation if a third one overlaps both, although each could be assigned by itself. A run also ends with the training
    chunk. Each silent frame is a run, in which every permutation costs the same.
    """
    return (~continues).cumsum(1) - 1


def sum_over_runs(cost: torch.Tensor, runs: torch.Tensor) -> torch.Tensor:
    """The total cost of each frame's run: cost (B, T, M, M), runs (B, T) -> (B, T, M, M)."""
    index = runs[:, :, None, None].expand_as(cost)
    totals = torch.zeros_like(cost).scatter_add_(1, index, cost)
    return totals.gather(1, index)


def find_permutation(cost: torch.Tensor, continues: torch.Tensor, pit: str) -> torch.Tensor:
    """The permutation of each frame under "tpit" (per frame), "cpit" (one per run of events) or "none" (the identity).

    cost (B, T, M, M), ``continuing`` (B, T) bool -> (B, T, M).
    """
    if pit == "none":
        return torch.arange(cost.shape[-1], device=cost.device).expand(cost.shape[:-1])
    if pit == "cpit":
        cost = sum_over_runs(cost, event_runs(continues))
    elif pit != "tpit":
        raise ValueError(f"pit must be none, tpit or cpit, not {pit!r}")
    return best_permutation(cost)


def pit_losses(
    logits: torch.Tensor | None,
    doa: torch.Tensor | None,
    reference_sed: torch.Tensor,
    reference_doa: torch.Tensor,
    pit: str = "tpit",
    sed_weight: float = 0.5,
    overlap_weight: float = 1.0,
) -> Losses:
    """SED and DoA losses under one common permutation, which minimises their unweighted sum (equation 3).

    logits, reference_sed (B, T, M, K); doa, reference_doa (B, T, M, 3), zero where a reference track is silent. Each loss is a
    mean over batch, frames and tracks, in which frames with two or more events count ``overlap_weight`` times. Without logits,
    or without doa, the permutation minimises the other loss alone.
    """
    sed_cost = None if logits is None else pairwise_bce(logits, reference_sed)
    doa_cost = None if doa is None else pairwise_mse(doa, reference_doa)
    cost = functools.reduce(torch.add, (c.detach() for c in (sed_cost, doa_cost) if c is not None))
    n_events = (reference_sed.amax(3) > 0).sum(2)
    permutation = find_permutation(cost, continuing(reference_sed), pit)
    counts = torch.where(n_events > 1, overlap_weight, 1.0).unsqueeze(-1)
    sed_loss, doa_loss = (None if c is None else (counts * take(c, permutation)).mean() for c in (sed_cost, doa_cost))
    return _weighted(sed_loss, doa_loss, sed_weight, permutation)
