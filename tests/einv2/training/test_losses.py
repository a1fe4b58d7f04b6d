import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

from einv2 import permutations
from einv2.training import losses


def random_case(n_tracks, batch=2, frames=12, n_classes=5, seed=0):
    torch.manual_seed(seed)
    logits, doa = torch.randn(batch, frames, n_tracks, n_classes), torch.tanh(torch.randn(batch, frames, n_tracks, 3))
    sed = (torch.rand(batch, frames, n_tracks, n_classes) > 0.7).float()
    return logits, doa, sed, torch.randn(batch, frames, n_tracks, 3)


def test_pairwise_costs_by_hand():
    logits = torch.tensor([0.0, 2.0]).reshape(1, 1, 2, 1)
    reference = torch.tensor([1.0, 0.0]).reshape(1, 1, 2, 1)
    expected = [[np.log(2), np.log(2)], [np.log1p(np.exp(-2)), np.log1p(np.exp(2))]]
    np.testing.assert_allclose(losses.pairwise_bce(logits, reference)[0, 0], expected, rtol=1e-6)
    doa = torch.tensor([[1.0, 0, 0], [0, 1, 0]]).reshape(1, 1, 2, 3)
    np.testing.assert_allclose(losses.pairwise_mse(doa, doa.flip(2))[0, 0], [[2 / 3, 0], [0, 2 / 3]], rtol=1e-6)


@pytest.mark.parametrize("n_tracks", [1, 2, 3, 4, 5, 7])
def test_search_equals_the_hungarian_method(n_tracks):
    cost = torch.rand(50, n_tracks, n_tracks, generator=torch.Generator().manual_seed(1))
    for matrix, permutation in zip(cost.numpy(), permutations.best_permutation(cost).numpy()):
        np.testing.assert_array_equal(permutation, linear_sum_assignment(matrix)[1])


@pytest.mark.parametrize("n_tracks", [3, 5])
def test_the_identity_wins_a_tie(n_tracks):
    cost = torch.rand(4, n_tracks, 1).expand(4, n_tracks, n_tracks)  # as where the reference is silent
    assert torch.equal(permutations.best_permutation(cost), torch.arange(n_tracks).expand(4, n_tracks))


@pytest.mark.parametrize("n_tracks", [2, 3, 4])
def test_tpit_does_not_see_the_order_of_reference_tracks(n_tracks):
    logits, doa, sed, ref = random_case(n_tracks)
    first = losses.pit_losses(logits, doa, sed, ref, "tpit").total
    for order in itertools.permutations(range(n_tracks)):
        other = losses.pit_losses(logits, doa, sed[:, :, list(order)], ref[:, :, list(order)], "tpit").total
        torch.testing.assert_close(other, first)


def test_tpit_may_swap_in_every_frame_and_none_may_not():
    logits, doa, sed, ref = random_case(2)
    shuffled = torch.arange(12) % 2 == 1
    sed_swapped, ref_swapped = (torch.where(shuffled[:, None, None], t.flip(2), t) for t in (sed, ref))
    for pit, same in (("tpit", True), ("none", False)):
        a, b = (losses.pit_losses(logits, doa, *t, pit).total for t in ((sed, ref), (sed_swapped, ref_swapped)))
        assert torch.isclose(a, b).item() is same


def test_identity_without_pit():
    permutation = losses.pit_losses(*random_case(3), "none").permutation
    assert torch.equal(permutation, torch.arange(3).expand(2, 12, 3))


@pytest.mark.parametrize(
    "events, runs",
    [
        ([(0, 0, 3), (1, 2, 5)], [0, 0, 0, 0, 0, 1, 2, 3]),  # overlapping: together; silent frames: each alone
        ([(0, 0, 3), (1, 3, 5)], [0, 0, 0, 1, 1, 2, 3, 4]),  # touching: apart
        ([(0, 0, 4), (1, 2, 6), (0, 4, 8)], [0] * 8),  # two that touch, and one over both
    ],
)
def test_runs_of_events(events, runs):
    sed = torch.zeros(1, 8, 2, 3)
    for number, (track, onset, offset) in enumerate(events):
        sed[0, onset:offset, track, number] = 1
    assert losses.event_runs(losses.continuing(sed))[0].tolist() == runs


def test_cpit_keeps_one_permutation_from_onset_to_offset():
    logits, doa, sed, ref = random_case(3, frames=20)
    sed[:, :, 0, 0] = 1  # an event as long as the clip
    sed[:, 7:9] = 0  # two runs, apart
    permutation = losses.pit_losses(logits, doa, sed, ref, "cpit").permutation
    for run in (slice(0, 7), slice(9, 20)):
        assert (permutation[:, run] == permutation[:, run][:, :1]).all()


def test_cpit_chooses_what_is_best_over_the_run():
    # frame 0 slightly prefers the swap, frames 1 and 2 clearly the identity
    cost = torch.tensor([[[1.0, 0.9], [0.9, 1.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])[None]
    continues = torch.tensor([[False, True, True]])
    assert losses.find_permutation(cost, continues, "tpit")[0].tolist() == [[1, 0], [0, 1], [0, 1]]
    assert losses.find_permutation(cost, continues, "cpit")[0].tolist() == [[0, 1]] * 3


@pytest.mark.parametrize("n_tracks", [3, 5])
def test_loss_is_the_least_over_all_permutations(n_tracks):
    logits, doa, sed, ref = random_case(n_tracks, batch=1, frames=1)
    total = losses.pit_losses(logits, doa, sed, ref, "tpit", sed_weight=0.5).total
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    each = [
        0.5 * bce(logits, sed[:, :, list(p)]) + 0.5 * torch.nn.functional.mse_loss(doa, ref[:, :, list(p)])
        for p in itertools.permutations(range(n_tracks))
    ]
    torch.testing.assert_close(total, min(each))


def test_frames_with_overlap_count_more():
    logits, doa, sed, ref = random_case(2)
    one = sed * torch.tensor([1.0, 0.0])[:, None]  # the second track is silent
    alone = losses.pit_losses(logits, doa, one, ref, "tpit")
    for total, other in zip(alone[:3], losses.pit_losses(logits, doa, one, ref, "tpit", overlap_weight=3.0)[:3]):
        torch.testing.assert_close(total, other)
    both = torch.cat([sed.clamp(min=1), one], dim=1)  # 12 frames with two events, then 12 with at most one
    twice = [torch.cat([x, x], dim=1) for x in (logits, doa)]
    halves = [losses.pit_losses(logits, doa, part, ref).total for part in both.split(12, dim=1)]
    total = losses.pit_losses(*twice, both, torch.cat([ref, ref], dim=1), overlap_weight=3.0).total
    torch.testing.assert_close(total, (3 * halves[0] + halves[1]) / 2)


def test_too_many_tracks_and_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="5 tracks"):
        permutations.all_permutations(5)
    with pytest.raises(ValueError, match="upit"):
        losses.pit_losses(*random_case(2), "upit")
