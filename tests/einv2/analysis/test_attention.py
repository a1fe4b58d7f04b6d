"""Looking into networks: attention and cross-stitches of every kind of network, and that looking changes nothing."""

import numpy as np
import pytest
import torch

from einv2.analysis import attention
from einv2.analysis.attention import Place, Stitch, reach, record_internals, stitches
from einv2.checkpoints import checkpoint
from einv2.config import ModelConfig
from einv2.inference.model import Model
from einv2.labels import class_lists
from einv2.models.build import build

TINY = dict(channels=(4, 4, 8, 8), n_heads=2, feedforward=16, dropout=0.5)


def model_of(config, features) -> Model:
    torch.manual_seed(2)
    network = build(config).eval()
    statistics = (torch.zeros(1, 7, 1, features.n_mels), torch.ones(1, 7, 1, features.n_mels))
    return Model(
        checkpoint.Checkpoint(network, config, features, class_lists.DCASE2020_CLASSES, *statistics, {}, {}, [])
    )


@pytest.fixture
def signal(rng):
    return (0.1 * rng.standard_normal((4, 4 * 24000))).astype(np.float32)


@pytest.mark.parametrize(
    "config, tracks, branches, names",
    [
        (ModelConfig(**TINY), 2, ("sed", "doa"), [f"after block {n}" for n in (1, 2, 3)] + [f"end of track {n}" for n in (1, 2)]),
        (ModelConfig.released(**TINY), 2, ("sed", "doa"), [f"after block {n}" for n in (1, 2, 3)]),
        (ModelConfig(n_tracks=3, stitch_blocks=(2,), **TINY), 3, ("sed", "doa"),
         ["after block 2", "end of track 1", "end of track 2", "end of track 3"]),
        (ModelConfig(sharing="hard", **TINY), 2, ("sed", "doa"), []),
        (ModelConfig(output_format="seldnet", **TINY), 1, ("sed", "doa"),
         [*(f"after block {n}" for n in (1, 2, 3)), "end"]),
        (ModelConfig(output_format="accdoa", **TINY), 1, ("doa",), []),
    ],
)  # fmt: skip
def test_every_kind_of_network(config, tracks, branches, names, tiny_features, signal):
    model = model_of(config, tiny_features)
    found = record_internals(model, signal)
    assert set(found.attention) == {Place(m, b, n) for m in range(tracks) for b in branches for n in range(2)}
    for weights in found.attention.values():
        assert weights.shape == (2, 40, 40)
        np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    assert [s.name for s in stitches(model.network)] == names == list(found.taken)
    assert all(0 < share < 1 for pair in found.taken.values() for share in pair)


def test_a_recurrent_network_has_neither(tiny_features, signal):
    model = model_of(ModelConfig.crnn(channels=(4, 4, 4), frequency_pooling=(2, 2, 2)), tiny_features)
    assert record_internals(model, signal) == attention.Internals({}, {}) and stitches(model.network) == []


def test_looking_leaves_the_network_as_it_was(tiny_features, signal):
    model = model_of(ModelConfig(**TINY), tiny_features)
    before = model.runner.run(signal[None])
    modules = list(model.network.modules())
    record_internals(model, signal)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in modules)
    for a, b in zip(before, model.runner.run(signal[None])):
        np.testing.assert_array_equal(a, b)


def test_attention_is_what_the_layer_says_of_its_input(tiny_features, signal):
    """Of the first layer of track 1, whose input is computed here."""
    model = model_of(ModelConfig(**TINY), tiny_features)
    with torch.inference_mode():
        x = model.network.encoder(
            (model.core.extract(torch.from_numpy(signal[None])) - model.core.mean) / model.core.std
        )[1]
        expected = model.network.tracks[0].layers["doa"][0].attention.weights(x)[0].numpy()
    np.testing.assert_allclose(record_internals(model, signal).attention[Place(0, "doa", 0)], expected, atol=1e-6)


@pytest.mark.parametrize("order", ["simultaneous", "sequential"])
def test_shares_of_a_stitch_counted_by_hand(order, tiny_features, signal, monkeypatch):
    """All weights of the first stitch at 1, 0, 0, 1 or 0, 1, 1, 0: each branch keeps all of its own, or all of the other."""
    model = model_of(ModelConfig(stitch_order=order, **TINY), tiny_features)
    weight = model.network.encoder.stitches["1"].weight
    for values, expected in (((1, 0, 0, 1), (0, 0)), ((0, 1, 1, 0), (1, 1))):
        weight.data[:] = torch.tensor(values, dtype=torch.float32).reshape(2, 2)
        assert record_internals(model, signal).taken["after block 1"] == expected


def test_share_by_mean_magnitude():
    """Channel 0: 2 * |1| from the other, 1 * |-3| of its own; channel 1: 0 and 1 * 1. Means (1, 2), so 1 / 3."""
    other = torch.tensor([[[1.0, -1.0], [5.0, 5.0]]])
    own = torch.tensor([[[-3.0, 3.0], [1.0, 1.0]]])
    assert attention._share(torch.tensor([2.0, 0]), other, torch.tensor([1.0, 1]), own) == pytest.approx(1 / 3)
    maps = [x[..., None].expand(1, 2, 2, 3) for x in (other, own)]
    assert attention._share(torch.tensor([2.0, 0]), maps[0], torch.tensor([1.0, 1]), maps[1]) == pytest.approx(1 / 3)


def test_spread_and_moments_over_channels():
    weight = np.arange(5.0)[:, None, None] * np.array([[1, 2], [3, 4]])
    stitch = Stitch("after block 1", "simultaneous", weight)
    np.testing.assert_allclose(stitch.spread()[1], [0, 2, 4, 6, 8, 4])
    mean, deviation = stitch.moments()
    np.testing.assert_allclose(mean, [2, 4, 6, 8])
    np.testing.assert_allclose(deviation, np.sqrt(2) * np.arange(1, 5))


def test_how_far_heads_look():
    at_itself, all_alike = np.eye(4), np.full((4, 4), 0.25)
    distances = [6, 4, 4, 6]  # of each frame to the four, added up
    np.testing.assert_allclose(reach(np.stack([at_itself, all_alike])), [0, 0.1 * np.mean(distances) / 4])


def test_a_short_chunk_is_filled_and_a_wrong_one_named(tiny_features, signal):
    model = model_of(ModelConfig(**TINY), tiny_features)
    assert record_internals(model, signal[:, :5000]).attention[Place(0, "sed", 0)].shape == (2, 40, 40)
    for wrong in (signal[:3], np.concatenate([signal, signal], 1), signal[:, :0], signal[0]):
        with pytest.raises(ValueError, match=r"signal must be \(4, 1 to 96000\)"):
            record_internals(model, wrong)
