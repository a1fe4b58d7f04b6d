import math

import numpy as np
import pytest
import torch

from einv2 import models
from einv2.config import ModelConfig
from einv2.models import layers


def test_positional_encoding_is_equation_4():
    encoding = layers.positional_encoding(5, 6)
    for t in range(5):
        for i in range(3):
            angle = t / 10000 ** (2 * i / 6)
            assert encoding[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert encoding[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)


def test_attention_is_equation_5_by_hand():
    query = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    key = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    value = torch.tensor([[10.0], [20.0]])
    mixed, weights = layers.attention(query, key, value)
    first = math.exp(1 / math.sqrt(2)) / (math.exp(1 / math.sqrt(2)) + 1)
    np.testing.assert_allclose(weights, [[first, 1 - first], [0.5, 0.5]], rtol=1e-6)
    np.testing.assert_allclose(mixed, [[10 * first + 20 * (1 - first)], [15]], rtol=1e-6)


def test_multi_head_is_equation_6():
    """The fused forward equals heads of equation 5, concatenated and projected, written out."""
    torch.manual_seed(0)
    module = layers.MultiHeadSelfAttention(8, 2, dropout=0.0).eval()
    x = torch.randn(3, 5, 8)
    query, key, value = module.qkv(x).chunk(3, dim=-1)
    heads = [layers.attention(q, k, v)[0] for q, k, v in zip(query.split(4, -1), key.split(4, -1), value.split(4, -1))]
    torch.testing.assert_close(module(x), torch.cat(heads, -1) @ module.out.weight.T + module.out.bias)
    torch.testing.assert_close(module.weights(x).sum(-1), torch.ones(3, 2, 5))


def test_attention_equals_torch():
    torch.manual_seed(0)
    ours, theirs = layers.MultiHeadSelfAttention(8, 2, 0.0), torch.nn.MultiheadAttention(8, 2, batch_first=True)
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
    assert sum(p.numel() for p in models.build(ModelConfig.released()).parameters()) == 26_218_978


@pytest.mark.parametrize("config", [ModelConfig, ModelConfig.released])
@pytest.mark.parametrize("n_tracks, n_classes", [(1, 3), (2, 14), (4, 12)])
def test_any_number_of_tracks_and_classes(config, n_tracks, n_classes):
    network = models.build(
        config(n_tracks=n_tracks, n_classes=n_classes, channels=(4, 4, 8, 8), n_heads=2, feedforward=16)
    ).eval()
    sed, doa = network(torch.randn(2, 7, 161, 16))
    assert sed.shape == (2, 40, n_tracks, n_classes) and doa.shape == (2, 40, n_tracks, 3)
    assert doa.abs().max() <= 1


def test_sed_branch_sees_no_intensity_without_stitching(tiny_model):
    import dataclasses

    network = models.build(dataclasses.replace(tiny_model, stitch_blocks=(), stitch_tracks=False)).eval()
    x = torch.randn(1, 7, 41, 16)
    y = x.clone()
    y[:, 4:] += 1
    assert torch.equal(network(x).sed, network(y).sed)
    assert not torch.equal(network(x).doa, network(y).doa)


def test_every_parameter_is_trained(tiny_model):
    network = models.build(tiny_model)
    output = network(torch.randn(2, 7, 41, 16))
    (output.sed.square().mean() + output.doa.square().mean()).backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for name, p in network.named_parameters() if "bias" not in name
    )
