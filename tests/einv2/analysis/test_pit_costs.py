import numpy as np
import pytest
import torch

from einv2 import geometry
from einv2.analysis import pit_costs
from einv2.training import losses

LEFT, RIGHT = geometry.to_vector(90, 0), geometry.to_vector(-90, 0)


def clip(orders, silent=()):
    """Two events, class 0 from the left and class 1 from the right, on reference tracks 0 and 1; in each frame the network says
    the same, sure to 0.9, on the tracks in order (0) or swapped (1)."""
    n = len(orders)
    reference_sed = np.tile(np.eye(2, dtype=np.float32), (n, 1, 1))
    reference_doa = np.tile(np.stack([LEFT, RIGHT]).astype(np.float32), (n, 1, 1))
    swapped = np.array(orders, bool)[:, None, None]
    sed = np.where(swapped, reference_sed[:, ::-1], reference_sed) * 0.8 + 0.1
    doa = np.where(swapped, reference_doa[:, ::-1], reference_doa)
    for frame in silent:
        reference_sed[frame] = reference_doa[frame] = 0
    return sed, doa, reference_sed, reference_doa


def test_choices_margins_and_pulls_of_a_known_clip():
    found = pit_costs.examine(*clip([0, 1, 1, 0], silent=[3]))
    assert found.permutations.tolist() == [[0, 1], [1, 0]]
    assert found.chosen["tpit"].tolist() == [0, 1, 1, 0]
    assert found.chosen["cpit"].tolist() == [1, 1, 1, 0]  # two of the three frames of the run are swapped
    assert found.chosen["none"].tolist() == [0, 0, 0, 0]
    assert found.active.tolist() == [True, True, True, False]
    right, wrong = -np.log(0.9), -np.log(0.1)
    np.testing.assert_allclose(found.costs["sed"][:2], [[right, wrong], [wrong, right]], rtol=1e-6)
    np.testing.assert_allclose(found.costs["doa"][:2], [[0, 4 / 3], [4 / 3, 0]], atol=1e-6)
    np.testing.assert_allclose(found.margin, [wrong - right + 4 / 3] * 3 + [0], atol=1e-6)
    assert found.pulled("tpit").tolist() == [False] * 4
    assert found.pulled("cpit").tolist() == [True, False, False, False]
    assert found.pulled("none").tolist() == [False, True, True, False]
    assert [found.changes(rule) for rule in pit_costs.RULES] == [1, 0, 0]


def test_cpit_ends_its_runs_where_training_cuts_chunks():
    arrays = clip([0, 0, 0, 1, 1])
    assert pit_costs.examine(*arrays, chunk_frames=5).chosen["cpit"].tolist() == [0] * 5
    assert pit_costs.examine(*arrays, chunk_frames=3).chosen["cpit"].tolist() == [0, 0, 0, 1, 1]


def test_cpit_may_choose_anew_after_silence():
    found = pit_costs.examine(*clip([0, 0, 0, 1, 1], silent=[2]))
    assert found.chosen["cpit"].tolist() == [0, 0, 0, 1, 1]
    assert found.changes("cpit") == 0  # it changes in silence


@pytest.mark.parametrize("n_tracks", [1, 2, 3])
@pytest.mark.parametrize("rule", pit_costs.RULES)
def test_the_losses_are_those_of_training(rule, n_tracks, rng):
    logits = torch.from_numpy(rng.normal(0, 4, (1, 30, n_tracks, 5)).astype(np.float32))
    doa = torch.from_numpy(rng.uniform(-1, 1, (1, 30, n_tracks, 3)).astype(np.float32))
    sed = torch.from_numpy((rng.random((1, 30, n_tracks, 5)) < 0.1).astype(np.float32))
    reference = torch.nn.functional.normalize(torch.randn(1, 30, n_tracks, 3), dim=-1) * sed.amax(-1, keepdim=True)
    trained = losses.pit_losses(logits, doa, sed, reference, rule)
    found = pit_costs.examine(*(a[0].numpy() for a in (logits.sigmoid(), doa, sed, reference)), chunk_frames=30)
    loss = found.loss(rule)
    for name in ("total", "sed", "doa"):
        assert loss[name] == pytest.approx(getattr(trained, name).item(), rel=1e-5)
    np.testing.assert_array_equal(found.permutations[found.chosen[rule]], trained.permutation[0].numpy())


def test_no_rule_beats_tpit_and_no_pit_is_never_best(rng):
    arrays = clip(rng.integers(0, 2, 90))
    loss = {rule: pit_costs.examine(*arrays).loss(rule)["total"] for rule in pit_costs.RULES}
    assert loss["tpit"] <= loss["cpit"] <= loss["none"]


def test_the_order_of_the_reference_matters_without_pit_only():
    sed, doa, reference_sed, reference_doa = clip([0, 0, 1, 0])
    found = pit_costs.examine(sed, doa, reference_sed, reference_doa)
    turned = pit_costs.examine(sed, doa, reference_sed[:, ::-1], reference_doa[:, ::-1])
    for rule in ("tpit", "cpit"):
        assert found.loss(rule)["total"] == pytest.approx(turned.loss(rule)["total"])
        assert (found.chosen[rule] != turned.chosen[rule]).all()
        np.testing.assert_array_equal(found.pulled(rule), turned.pulled(rule))
    np.testing.assert_array_equal(found.pulled("none"), ~turned.pulled("none"))


def test_of_three_tracks_the_right_one_of_six_is_found():
    directions = geometry.to_vector([0, 120, -120], 0)
    order = [2, 0, 1]
    sed = np.eye(3)[order][None] * 0.98 + 0.01
    found = pit_costs.examine(sed, directions[order][None], np.eye(3)[None], directions[None])
    assert len(found.permutations) == 6
    assert found.permutations[found.chosen["tpit"][0]].tolist() == order
    best, second = np.sort(found.total[0])[:2]
    assert found.margin[0] == pytest.approx(second - best) and found.margin[0] > 1


def test_one_track_leaves_no_choice():
    found = pit_costs.examine(np.full((4, 1, 2), 0.5), np.zeros((4, 1, 3)), np.ones((4, 1, 2)), np.ones((4, 1, 3)))
    assert found.margin.tolist() == [0] * 4 and not found.pulled("none").any()


def test_logits_come_back_from_probabilities():
    logits = np.linspace(-15, 15, 61, dtype=np.float32)
    back = pit_costs.logits(torch.from_numpy(logits).sigmoid().numpy())
    np.testing.assert_allclose(back[logits < 8], logits[logits < 8], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(np.logaddexp(0, -back), np.logaddexp(0, -logits), atol=1e-6)  # costs, where it is coarse
    assert np.isfinite(pit_costs.logits(np.array([0.0, 1.0]))).all()


def test_shapes_that_do_not_fit_are_refused():
    sed, doa, reference_sed, reference_doa = clip([0, 1])
    with pytest.raises(ValueError, match="sed must be"):
        pit_costs.examine(sed[:1], doa, reference_sed, reference_doa)
    with pytest.raises(ValueError, match="doa must be"):
        pit_costs.examine(sed, doa[:, :1], reference_sed, reference_doa)
