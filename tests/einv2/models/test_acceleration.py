"""The network for inference says what the network says."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from einv2.config import ModelConfig
from einv2.inference.model import Model
from einv2.models import acceleration
from einv2.models.build import build

SMALL = dict(channels=(4, 4, 8, 8), n_heads=2, feedforward=16)
NETWORKS = {
    "paper": ModelConfig(**SMALL),
    "released": ModelConfig.released(),
    "hard": ModelConfig(**SMALL, sharing="hard"),
    "accdoa": ModelConfig(**SMALL, output_format="accdoa", stitch_tracks=False),
    "crnn": ModelConfig(
        network="crnn", output_format="seldnet", channels=(8, 8, 8), time_pooling=(2, 2, 1), frequency_pooling=(2, 2, 2)
    ),
    "wide": ModelConfig(**SMALL | dict(channels=(4, 128, 136, 8))),
}


def built(config):
    """A network with weights and statistics as training leaves them: none is 0 or 1."""
    torch.manual_seed(1)
    network = build(config).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            for tensor in (module.running_var, module.weight, module.bias):
                nn.init.uniform_(tensor, 0.5, 1.5)
    return network


@pytest.mark.parametrize("name", NETWORKS)
@torch.inference_mode()
def test_outputs_are_the_networks(name):
    network = built(NETWORKS[name])
    x = torch.randn(3, 7, 40, 16 if name != "released" else 32)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for ours, theirs in zip(acceleration.for_inference(network)(x), network(x)):
        if theirs is not None:
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


@pytest.mark.parametrize("n_frames, n_bands", [(4, 4), (1, 1), (5, 7), (40, 3), (17, 64), (64, 40), (160, 33)])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_winograd_is_the_convolution(n_frames, n_bands, bias):
    torch.manual_seed(2)
    convolution = nn.Conv2d(6, 5, 3, padding=1, bias=bias)
    x = torch.randn(3, 6, n_frames, n_bands)  # of the larger two and one go through, or one at a time
    y = acceleration.WinogradConv2d(convolution)(x)
    torch.testing.assert_close(y, convolution(x), atol=1e-5, rtol=1e-4)


def test_only_convolutions_that_it_fits_become_winograd():
    with pytest.raises(ValueError, match="3x3"):
        acceleration.WinogradConv2d(nn.Conv2d(4, 4, 5, padding=2))


def test_wide_convolutions_take_fewer_products_and_no_batch_norm_is_left():
    found = acceleration.for_inference(built(NETWORKS["wide"]))
    kinds = [type(m) for m in found.modules()]
    assert (
        nn.BatchNorm2d not in kinds and kinds.count(acceleration.WinogradConv2d) == 2 * 4
    )  # from 128 and 136 channels, two branches
    assert not any(p.requires_grad for p in found.parameters())


def test_bfloat16_is_near(tiny_checkpoint):
    signal = np.random.default_rng(0).standard_normal((4, 24000 * 5)).astype(np.float32) * 0.1
    exact, near = (Model(tiny_checkpoint, precision=p).predict_audio(signal) for p in acceleration.PRECISIONS)
    assert near.sed.dtype == near.doa.dtype == np.float32
    assert 0 < np.abs(exact.sed - near.sed).max() < 0.1 and np.abs(exact.doa - near.doa).max() < 0.1


def test_another_precision_is_refused(tiny_checkpoint):
    with pytest.raises(ValueError, match="precision must be one of float32, bfloat16, not 'int4'"):
        Model(tiny_checkpoint, precision="int4")


@pytest.mark.parametrize("n_frames, n_bands", [(5, 7), (40, 3), (64, 40)])
def test_gradients_of_winograd_are_the_convolutions(n_frames, n_bands):
    torch.manual_seed(3)
    plain = nn.Sequential(nn.Conv2d(128, 6, 3, padding=1))
    x = torch.randn(3, 128, n_frames, n_bands, requires_grad=True)
    wanted = torch.randn(3, 6, n_frames, n_bands)
    found = []
    for network in (plain, acceleration.for_training(copy.deepcopy(plain))):
        y = network(x)
        found.append([y, *torch.autograd.grad((y * wanted).sum(), [x, *network.parameters()])])
    for ours, theirs in zip(*found):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


def test_what_learns_is_named_as_before():
    network = built(NETWORKS["wide"])
    names = list(network.state_dict())
    learning = acceleration.for_training(network)
    assert list(learning.state_dict()) == names
    assert sum(type(m) is not nn.Conv2d and isinstance(m, nn.Conv2d) for m in learning.modules()) == 2 * 4
    x = torch.randn(2, 7, 40, 16)
    for ours, theirs in zip(acceleration.for_inference(learning)(x), learning.eval()(x)):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
