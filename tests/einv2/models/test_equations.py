"""Equations 3 to 7 of the paper, transcribed here in NumPy from its text alone, against the code.

Cao et al., "An Improved Event-Independent Network for Polyphonic Sound Event Localization and Detection", ICASSP 2021. D_t frames,
D_c feature maps, N_h heads of D_h; M tracks, K classes.
"""

import itertools

import numpy as np
import pytest
import torch

from einv2.config import ModelConfig
from einv2.models import layers
from einv2.models.build import build
from einv2.models.einv2 import track_layer
from einv2.training import losses

N_FRAMES, WIDTH, N_HEADS = 7, 8, 2
SMALL = dict(channels=(4, WIDTH), time_pooling=(2, 2), frequency_pooling=(2, 2), stitch_blocks=(1,), n_heads=N_HEADS)


def equation_4(n_frames, width):
    """P_(t, 2i) = 0.1 sin(t / 10^(8i / D_c)), P_(t, 2i+1) = 0.1 cos(t / 10^(8i / D_c))."""
    p = np.zeros((n_frames, width))
    for t in range(n_frames):
        for i in range(width // 2):
            p[t, 2 * i] = 0.1 * np.sin(t / 10 ** (8 * i / width))
            p[t, 2 * i + 1] = 0.1 * np.cos(t / 10 ** (8 * i / width))
    return p


def equation_5(x, p, w_qry, w_key, w_val):
    """SA(X) = softmax((X + P) W_qry W_key^T (X + P)^T) X W_val. The softmax is over the frames that are looked at."""
    scores = (x + p) @ w_qry @ w_key.T @ (x + p).T
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True)) @ x @ w_val


def equation_6(x, p, heads, w_out, b_out):
    """MHSA(X) = concat over the heads of SA_h(X), times W_out, plus b_out."""
    return np.concatenate([equation_5(x, p, *head) for head in heads], axis=1) @ w_out + b_out


def transcribed(attention, x):
    """Equations 4 to 6 with the weights of a module: a head has its rows of each third of ``qkv``."""
    weight = attention.qkv.weight.detach().double().numpy().reshape(3, N_HEADS, WIDTH // N_HEADS, WIDTH)
    heads = [[weight[part, h].T for part in range(3)] for h in range(N_HEADS)]
    out = attention.out
    p = equation_4(len(x), WIDTH)
    return equation_6(x, p, heads, out.weight.detach().double().numpy().T, out.bias.detach().double().numpy())


def test_equation_4():
    np.testing.assert_allclose(layers.positional_encoding(50, 6), equation_4(50, 6), atol=1e-6)


def test_equations_4_to_6_are_the_default_layer_of_every_track_and_branch(rng):
    """Each self-attention of ``ModelConfig()``, the second layers too, which positions of the first could not replace."""
    torch.manual_seed(0)
    network = build(ModelConfig(**SMALL)).double().eval()
    x = rng.standard_normal((N_FRAMES, WIDTH))
    attentions = [m for m in network.modules() if isinstance(m, layers.MultiHeadSelfAttention)]
    assert len(attentions) == 2 * 2 * 2  # tracks, branches, layers
    for attention in attentions:
        attention.out.bias.data.normal_()
        ours = attention(torch.from_numpy(x)[None])[0].detach().numpy()
        np.testing.assert_allclose(ours, transcribed(attention, x), atol=1e-6)


def test_what_a_track_layer_adds_to_equation_6(rng):
    """residual_norm: LN(X + MHSA(X)); without, Table 1 as it is drawn."""
    x = rng.standard_normal((N_FRAMES, WIDTH))
    for residual_norm in (True, False):
        layer = track_layer(ModelConfig(residual_norm=residual_norm, **SMALL)).double().eval()
        expected = transcribed(layer.attention, x)
        if residual_norm:
            expected = x + expected
            expected -= expected.mean(1, keepdims=True)
            expected /= np.sqrt(expected.var(1, keepdims=True) + 1e-5)
        np.testing.assert_allclose(layer(torch.from_numpy(x)[None])[0].detach().numpy(), expected, atol=1e-6)


def test_shown_attention_is_the_softmax_of_equation_5(rng):
    """W_val = 1 in one head of width D_in, and frames that are unit vectors: SA(X) is the softmax itself."""
    torch.manual_seed(1)
    attention = track_layer(ModelConfig(**{**SMALL, "n_heads": 1})).attention.double().eval()
    x = 0.5 * np.eye(WIDTH)
    w_qry, w_key, _ = attention.qkv.weight.detach().numpy().reshape(3, WIDTH, WIDTH)
    expected = equation_5(x, equation_4(WIDTH, WIDTH), w_qry.T, w_key.T, 2 * np.eye(WIDTH))
    np.testing.assert_allclose(attention.weights(torch.from_numpy(x)[None])[0, 0].detach(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "shape", [(4, 5, 3), (4, 5)]
)  # after a block (D_c, D_t, D_f), at the end of a track (D_c, D_t)
def test_equation_7(shape, rng):
    """[x'_SED, x'_DoA]^T = alpha [x_SED, x_DoA]^T, alpha_ij in R^(D_c)."""
    stitch = layers.CrossStitch(4)
    alpha = rng.standard_normal((2, 2, 4))
    stitch.weight.data = torch.from_numpy(alpha.transpose(2, 0, 1))
    maps = rng.standard_normal((2, *shape))
    expected = np.zeros_like(maps)
    for i, j, c in np.ndindex(2, 2, 4):
        expected[i, c] += alpha[i, j, c] * maps[j, c]
    mixed = stitch(*(torch.from_numpy(m)[None] for m in maps))
    np.testing.assert_allclose(np.stack([m[0].detach() for m in mixed]), expected)


def equation_3(sed, doa, reference_sed, reference_doa):
    """min over alpha in P(o) of the sum over the M tracks of l_SED + l_DoA; o: frames (T, M, ...) that are assigned together.

    Both losses are means over their numbers: K classes of binary cross-entropy, x, y and z of the squared error; over the
    frames of o they add up.
    """
    n_tracks = sed.shape[1]
    each = []
    for alpha in itertools.permutations(range(n_tracks)):
        total = 0.0
        for m, target in enumerate(alpha):
            y, p = reference_sed[:, target], sed[:, m]
            total += -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=1).sum()
            total += ((doa[:, m] - reference_doa[:, target]) ** 2).mean(axis=1).sum()
        each.append(total)
    return min(each)


def events_on_tracks(events, n_tracks, n_frames, n_classes, rng):
    """A reference of (track, onset, offset, class) events, as activities and directions of the tracks."""
    sed, doa = np.zeros((n_frames, n_tracks, n_classes)), np.zeros((n_frames, n_tracks, 3))
    for track, onset, offset, index in events:
        sed[onset:offset, track, index] = 1
        doa[onset:offset, track] = rng.standard_normal(3)
    return sed, doa


# The paper's chunk is "a whole segment spanning from the start to the end of an event". Events of two tracks; their segments.
EVENTS = ((0, 1, 9, 0), (1, 4, 12, 1), (0, 12, 16, 2), (1, 18, 20, 0))  # the third begins as the second ends: apart
SEGMENTS = ((0, 1), (1, 12), (12, 16), (16, 18), (18, 20))


@pytest.mark.parametrize("pit", ["tpit", "cpit"])
@pytest.mark.parametrize("seed", range(3))
def test_equation_3(pit, seed):
    """``pit_losses`` is the mean of equation 3 over frames and tracks, half of it: SED and DoA weigh 0.5 each."""
    rng = np.random.default_rng(seed)
    n_frames, n_tracks, n_classes = 20, 2, 3
    reference = events_on_tracks(EVENTS, n_tracks, n_frames, n_classes, rng)
    sed = rng.uniform(0.05, 0.95, (n_frames, n_tracks, n_classes))
    doa = rng.uniform(-1, 1, (n_frames, n_tracks, 3))
    parts = SEGMENTS if pit == "cpit" else [(t, t + 1) for t in range(n_frames)]
    expected = sum(equation_3(*(a[slice(*part)] for a in (sed, doa, *reference))) for part in parts)
    logits = np.log(sed) - np.log1p(-sed)
    tensors = (torch.from_numpy(a)[None] for a in (logits, doa, *reference))
    assert losses.pit_losses(*tensors, pit).total.item() == pytest.approx(0.5 * expected / (n_frames * n_tracks))
