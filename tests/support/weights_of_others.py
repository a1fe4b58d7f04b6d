"""Checkpoints as the authors' code saves them, made small."""

import io
import random

import numpy as np
import torch


def their_state_dict(channels=(64, 128, 256, 512), n_classes=14, feedforward=1024, seed=0):
    """A random network with their names and shapes."""
    generator = torch.Generator().manual_seed(seed)

    def randn(*shape, scale=1.0):
        return torch.randn(*shape, generator=generator) * scale

    state = {}
    for branch, first in (("sed", 4), ("doa", 7)):
        for block, (c_in, c_out) in enumerate(zip((first, *channels), channels), start=1):
            prefix = f"{branch}_conv_block{block}.0.double_conv."
            for conv, norm, width in ((0, 1, c_in), (3, 4, c_out)):
                state[f"{prefix}{conv}.weight"] = randn(c_out, width, 3, 3, scale=(2 / (9 * width)) ** 0.5)
                state[f"{prefix}{norm}.weight"] = 1 + randn(c_out, scale=0.1)
                state[f"{prefix}{norm}.bias"] = randn(c_out, scale=0.1)
                state[f"{prefix}{norm}.running_mean"] = randn(c_out, scale=0.1)
                state[f"{prefix}{norm}.running_var"] = 1 + 0.2 * torch.rand(c_out, generator=generator)
                state[f"{prefix}{norm}.num_batches_tracked"] = torch.tensor(7)
    for i, width in enumerate(channels[:3]):
        state[f"stitch.{i}"] = torch.rand(width, 2, 2, generator=generator) * 0.8 + 0.1
    d = channels[-1]
    for branch in ("sed", "doa"):
        for track in (1, 2):
            for layer in (0, 1):
                prefix = f"{branch}_trans_track{track}.layers.{layer}."
                for name, shape in (
                    ("self_attn.in_proj_weight", (3 * d, d)),
                    ("self_attn.out_proj.weight", (d, d)),
                    ("linear1.weight", (feedforward, d)),
                    ("linear2.weight", (d, feedforward)),
                ):
                    state[prefix + name] = randn(*shape, scale=shape[1] ** -0.5)
                for name, n in (
                    ("self_attn.in_proj_bias", 3 * d),
                    ("self_attn.out_proj.bias", d),
                    ("linear1.bias", feedforward),
                    ("linear2.bias", d),
                    ("norm1.bias", d),
                    ("norm2.bias", d),
                ):
                    state[prefix + name] = randn(n, scale=0.1)
                for name in ("norm1.weight", "norm2.weight"):
                    state[prefix + name] = 1 + randn(d, scale=0.1)
            for head, n in ((f"fc_{branch}_track{track}", n_classes if branch == "sed" else 3),):
                state[f"{head}.weight"], state[f"{head}.bias"] = randn(n, d, scale=d**-0.5), randn(n, scale=0.1)
    return state


def their_checkpoint(state):
    """All that their training writes beside the weights."""
    np_state = np.random.RandomState(3).get_state()
    sampler = {"random": np_state, "indexes": np.arange(12), "pointer": 4}
    return {
        "epoch": 90,
        "it": 1234,
        "model": state,
        "optimizer": {
            "state": {0: {"step": 3, "exp_avg": torch.zeros(2)}},
            "param_groups": [{"lr": 5e-4, "params": [0]}],
        },
        "sampler": sampler,
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.zeros(16, dtype=torch.uint8),
        "random": random.getstate(),
        "np_random": np_state,
    }


SMALL = dict(channels=(8, 8, 16, 16), feedforward=32)


def as_pth(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()
