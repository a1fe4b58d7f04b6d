import math

import numpy as np
import pytest
import torch

from einv2.config import ModelConfig
from einv2.models import layers
from einv2.models.build import build


@pytest.mark.parametrize("scaled", [False, True])
def test_attention_by_hand(scaled):
    query = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    key = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    value = torch.tensor([[10.0], [20.0]])
    mixed, weights = layers.attention(query, key, value, scaled)
    score = 1 / math.sqrt(2) if scaled else 1.0
    first = math.exp(score) / (math.exp(score) + 1)
    np.testing.assert_allclose(weights, [[first, 1 - first], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(mixed, [[10 * first + 20 * (1 - first)], [15]], rtol=1e-6)


def test_attention_equals_torch():
    torch.manual_seed(0)
    ours, theirs = (
        layers.MultiHeadSelfAttention(8, 2, 0.0, True, True),
        torch.nn.MultiheadAttention(8, 2, batch_first=True),
    )
    theirs.load_state_dict(
        {
            "in_proj_weight": ours.qkv.weight,
            "in_proj_bias": ours.qkv.bias,
            "out_proj.weight": ours.out.weight,
            "out_proj.bias": ours.out.bias,
        }
    )
    x = torch.randn(2, 7, 8)
    mixed, weights = theirs(x, x, x, average_attn_weights=False)
    torch.testing.assert_close(ours(x), mixed)
    torch.testing.assert_close(ours.weights(x), weights)


def test_positions_in_the_sequence_reach_values_and_residual():
    """As the released code adds them: once, before the first layer; the same as no positions in a sequence that has them."""
    torch.manual_seed(0)
    small = dict(channels=(4, 8), time_pooling=(2, 2), frequency_pooling=(2, 2), stitch_blocks=(1,), n_heads=2)
    with_positions = build(ModelConfig(positions_in="sequence", positional_scale=0.7, **small)).eval()
    without = build(ModelConfig(positional_encoding=False, **small)).eval()
    without.load_state_dict(with_positions.state_dict())
    x = torch.randn(1, 7, 20, 16)
    positions = layers.positional_encoding(5, 8, scale=0.7)
    sequences = [s + positions for s in without.encoder(x)]
    without.encoder.forward = lambda x: sequences
    for ours, expected in zip(with_positions(x), without(x)):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    "order, doa", [("simultaneous", 3 * 1.0 + 4 * 10.0), ("sequential", 3 * (1 * 1.0 + 2 * 10.0) + 4 * 10.0)]
)
def test_cross_stitch_is_equation_7(order, doa):
    stitch = layers.CrossStitch(1, order)
    stitch.weight.data = torch.tensor([[[1.0, 2.0], [3.0, 4.0]]])
    mixed = stitch(torch.full((1, 1, 1, 1), 1.0), torch.full((1, 1, 1, 1), 10.0))
    assert [m.item() for m in mixed] == [21.0, doa]


def test_cross_stitch_mixes_each_channel_by_its_own_weights():
    stitch = layers.CrossStitch(2)
    stitch.weight.data = torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    sed, doa = torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[3.0], [4.0]]])
    mixed = stitch(sed, doa)
    assert mixed[0].flatten().tolist() == [1, 4] and mixed[1].flatten().tolist() == [3, 2]


def test_released_network_has_the_known_size():
    assert sum(p.numel() for p in build(ModelConfig.released()).parameters()) == 26_218_978


@pytest.mark.parametrize("config", [ModelConfig, ModelConfig.released])
@pytest.mark.parametrize("n_tracks, n_classes", [(1, 3), (2, 14), (4, 12)])
def test_any_number_of_tracks_and_classes(config, n_tracks, n_classes):
    network = build(
        config(n_tracks=n_tracks, n_classes=n_classes, channels=(4, 4, 8, 8), n_heads=2, feedforward=16)
    ).eval()
    sed, doa = network(torch.randn(2, 7, 161, 16))
    assert sed.shape == (2, 40, n_tracks, n_classes) and doa.shape == (2, 40, n_tracks, 3)
    assert doa.abs().max() <= 1


def test_sed_branch_sees_no_intensity_without_stitching(tiny_model):
    import dataclasses

    network = build(dataclasses.replace(tiny_model, stitch_blocks=(), stitch_tracks=False)).eval()
    x = torch.randn(1, 7, 41, 16)
    y = x.clone()
    y[:, 4:] += 1
    assert torch.equal(network(x).sed, network(y).sed)
    assert not torch.equal(network(x).doa, network(y).doa)


def test_every_parameter_is_trained(tiny_model):
    network = build(tiny_model)
    output = network(torch.randn(2, 7, 41, 16))
    (output.sed.square().mean() + output.doa.square().mean()).backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for name, p in network.named_parameters() if "bias" not in name
    )
