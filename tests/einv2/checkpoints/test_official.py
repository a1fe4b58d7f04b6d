"""Import of the authors' checkpoints, against a plain forward pass of their network written here from its description."""

import h5py
import librosa
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from einv2.checkpoints import checkpoint, official
from einv2.commands.main import main
from einv2.inference.model import Model
from support.weights_of_others import their_checkpoint, their_state_dict


def their_features(audio, mean, std):
    """(4, S) -> standardised (1, 7, T, 256), with librosa."""
    filters = librosa.filters.mel(sr=24000, n_fft=1024, n_mels=256, fmin=20, fmax=12000)
    spectra = np.stack([librosa.stft(c, n_fft=1024, hop_length=600, pad_mode="reflect") for c in audio])
    logmel = 10 * np.log10(np.maximum(np.einsum("fb,cbt->ctf", filters, np.abs(spectra) ** 2), 1e-10))
    vector = np.real(np.conj(spectra[0]) * spectra[1:])
    vector /= np.linalg.norm(vector, axis=0) + 1.19e-7
    x = np.concatenate([logmel, np.einsum("fb,cbt->ctf", filters, vector)])[None]
    return torch.from_numpy((x - mean) / std).float()


def their_forward(state, x, n_heads=8):
    """Their network in functions: blocks, stitches one after the other, transformer layers, heads."""

    def block(x, branch, number):
        for conv, norm in ((0, 1), (3, 4)):
            prefix = f"{branch}_conv_block{number}.0.double_conv."
            x = F.conv2d(x, state[f"{prefix}{conv}.weight"], padding=1)
            n = f"{prefix}{norm}."
            x = F.batch_norm(x, *(state[n + k] for k in ("running_mean", "running_var", "weight", "bias"))).relu()
        return F.avg_pool2d(x, (2, 2) if number < 3 else (1, 2))

    sed, doa = x[:, :4], x
    for number in (1, 2, 3, 4):
        sed, doa = block(sed, "sed", number), block(doa, "doa", number)
        if number < 4:
            w = state[f"stitch.{number - 1}"][..., None, None]
            sed = w[:, 0, 0] * sed + w[:, 0, 1] * doa
            doa = w[:, 1, 0] * sed + w[:, 1, 1] * doa
    out = {"sed": [], "doa": []}
    for branch, sequence in (("sed", sed.mean(3)), ("doa", doa.mean(3))):
        for track in (1, 2):
            y = sequence.transpose(1, 2)
            for layer in (0, 1):
                p = f"{branch}_trans_track{track}.layers.{layer}."
                d = y.shape[-1]
                module = torch.nn.TransformerEncoderLayer(
                    d, n_heads, state[p + "linear1.weight"].shape[0], 0.2, batch_first=True
                )
                module.load_state_dict({k[len(p) :]: v for k, v in state.items() if k.startswith(p)})
                y = module.eval()(y)
            y = y @ state[f"fc_{branch}_track{track}.weight"].T + state[f"fc_{branch}_track{track}.bias"]
            out[branch].append(y.sigmoid() if branch == "sed" else y.tanh())
    return tuple(torch.stack(out[b], 2)[0] for b in ("sed", "doa"))


@pytest.fixture
def small_state():
    return their_state_dict(channels=(4, 4, 8, 8), n_classes=3, feedforward=16)


@pytest.mark.full("long")
def test_import_agrees_with_their_network(tmp_path, rng, scene_audio):
    """Full size: every probability and direction within 1e-4 on the same audio."""
    state = their_state_dict()
    assert len(state) == 203
    torch.save(their_checkpoint(state), tmp_path / "their.pth")
    mean, std = rng.normal(0, 1, (1, 7, 1, 256)), rng.uniform(5, 20, (1, 7, 1, 256))
    with h5py.File(tmp_path / "scalar.h5", "w") as file:
        file["mean"], file["std"] = mean, std
    arguments = [
        str(tmp_path / "their.pth"),
        str(tmp_path / "ours.safetensors"),
        "--scalar",
        str(tmp_path / "scalar.h5"),
    ]
    assert main(["import-official", *arguments]) == 0

    audio = np.tile(scene_audio, (1, 2))
    with torch.inference_mode():
        sed, doa = their_forward(state, their_features(audio, mean, std))
    prediction = Model(checkpoint.load(tmp_path / "ours.safetensors")).predict_audio(audio)
    assert sed.std() > 0.05 and doa.std() > 0.05  # the comparison is not between constants
    np.testing.assert_allclose(prediction.sed, sed, atol=1e-4)
    np.testing.assert_allclose(prediction.doa, doa, atol=1e-4)


def test_old_numpy_pickles_are_read(tmp_path, small_state):
    """Checkpoints of 2020 name numpy's modules as numpy 1 did."""
    path = tmp_path / "old.pth"
    torch.save(their_checkpoint(small_state), path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    assert b"numpy._core.multiarray" in content
    path.write_bytes(content.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert set(official.read_weights(path)) == set(small_state)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("where", ["top", "optimizer", "model"])
def test_code_in_a_checkpoint_does_not_run(tmp_path, small_state, where):
    content = their_checkpoint(small_state)
    evil = Evil(tmp_path / "was_here")
    if where == "top":
        content = evil
    else:
        content[where]["evil"] = evil
    torch.save(content, tmp_path / "evil.pth")
    with pytest.raises(checkpoint.CheckpointError, match=r"evil\.pth is refused"):
        official.import_checkpoint(tmp_path / "evil.pth")
    assert not (tmp_path / "was_here").exists()


def test_what_is_not_theirs_is_refused(tmp_path, small_state, capsys):
    cases = {
        "extra.pth": their_checkpoint(small_state) | {"surprise": 1},
        "nomodel.pth": {"state_dict": small_state},
        "short.pth": {"model": {k: v for k, v in small_state.items() if k != "stitch.1"}},
        "shape.pth": {"model": small_state | {"fc_doa_track2.weight": torch.zeros(4, 8)}},
        "plain.pth": {"model": small_state | {"fc_doa_track2.weight": 3}},
    }
    for name, content in cases.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "text.pth").write_text("not a checkpoint")
    for name in (*cases, "text.pth", "missing.pth"):
        out = tmp_path / "out.safetensors"
        assert main(["import-official", str(tmp_path / name), str(out)]) == 1
        error = capsys.readouterr().err
        assert name in error and error.count("\n") == 1 and not out.exists()
