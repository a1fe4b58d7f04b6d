"""Checkpoints: exact round trips, whole files only, and one sentence for every file that is none."""

import errno
import json
import pickle
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from einv2.checkpoints import checkpoint, headers
from einv2.commands import main as cli
from einv2.config import FeatureConfig, ModelConfig, from_json
from einv2.models import build as build_module
from einv2.models.build import build


@pytest.fixture
def saved(tmp_path, tiny_checkpoint):
    checkpoint.save(tiny_checkpoint, tmp_path / "tiny.safetensors")
    return tmp_path / "tiny.safetensors"


def edited(path, header=None, tensors=None, raw=None):
    """The checkpoint with changes to its header (nested dictionaries are merged) and its tensors (None removes)."""
    values = checkpoint.read_header(path)
    for key, value in (header or {}).items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            values[key] = values[key] | value
        elif value is None:
            del values[key]
        else:
            values[key] = value
    weights = {k: t for k, t in (load_file(path) | (tensors or {})).items() if t is not None}
    text = json.dumps(values) if raw is None else raw
    out = path.with_name("edited.safetensors")
    save_file(weights, out, metadata={checkpoint.METADATA_KEY: text})
    return out


def refused(path, says):
    with pytest.raises(checkpoint.CheckpointError) as error:
        checkpoint.load(path)
    message = str(error.value)
    assert path.name in message and says in message and "\n" not in message, message


def as_it_was(network, x, config):
    """EINV2's tracks as they were when checkpoints had no fields for it: encoding of amplitude 1 added once before the first
    layer; softmax(Q K^T / sqrt(d)) V with biases; each layer LN(x + attention), in a transformer followed by LN(x + FFN)."""
    sequences = network.encoder(x)
    n_frames, width = sequences[0].shape[1:]
    if config.get("positional_encoding", True):
        time, pair = torch.arange(n_frames)[:, None].double(), torch.arange(0, width, 2).double()
        angle = time / 10000 ** (pair / width)
        positions = torch.stack([angle.sin(), angle.cos()], -1).flatten(1).float()
        sequences = [s + positions for s in sequences]
    outputs = []
    for track in network.tracks:
        after = []
        for layers, y in zip(track.layers.values(), sequences):
            for layer in layers:
                q, k, v = (t.unflatten(-1, (2, -1)).transpose(1, 2) for t in layer.attention.qkv(y).chunk(3, -1))
                mixed = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1) @ v
                y = layer.attention_norm(y + layer.attention.out(mixed.transpose(1, 2).flatten(2)))
                if layer.feedforward is not None:
                    y = layer.feedforward_norm(y + layer.feedforward(y))
            after.append(y.transpose(1, 2))
        sed, doa = (y.transpose(1, 2) for y in (after if track.stitch is None else track.stitch(*after)))
        outputs.append((track.sed_head(sed), torch.tanh(track.doa_head(doa))))
    return [torch.stack(each, 2) for each in zip(*outputs)]


@pytest.mark.parametrize(
    "then",
    [
        {},
        {"track_layer": "transformer", "positional_encoding": False, "stitch_tracks": False},
        {"track_layer": "transformer"},
    ],
)
def test_a_checkpoint_without_the_newer_fields_means_what_it_meant(tmp_path, tiny_checkpoint, then):
    model = from_json(ModelConfig, {"channels": [4, 4, 8, 8], "n_heads": 2, "feedforward": 16, **then})
    torch.manual_seed(5)
    network = build(model).eval()
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    path = tmp_path / "new.safetensors"
    checkpoint.save(replace(tiny_checkpoint, network=network, model=model), path)
    header = checkpoint.read_header(path)
    for name in ("positional_scale", "positions_in", "scaled_attention", "attention_bias", "residual_norm"):
        del header["model"][name]
    loaded = checkpoint.load(edited(path, raw=json.dumps(header)))
    x = torch.randn(2, 7, 41, 16)
    for ours, expected in zip(loaded.network(x), as_it_was(network, x, then)):
        torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-6)
    assert loaded.model == model


def test_a_shipped_network_is_that_of_the_released_code():
    """No field that is not in its header changes it."""
    loaded = checkpoint.load(headers.available_models()["einv2"])
    changes = dict(channels=(32, 64, 128, 256), feedforward=512, dropout=0.1)
    assert loaded.model == ModelConfig.released(**changes)


def test_round_trip_is_exact(saved, tiny_checkpoint):
    loaded = checkpoint.load(saved)
    for key in ("model", "features", "classes", "provenance", "scores", "curve", "n_parameters"):
        assert getattr(loaded, key) == getattr(tiny_checkpoint, key), key
    for key in checkpoint.STATISTICS:
        assert torch.equal(getattr(loaded, key), getattr(tiny_checkpoint, key))
    ours, theirs = tiny_checkpoint.network.state_dict(), loaded.network.state_dict()
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)
    assert not loaded.network.training
    x = torch.randn(1, 7, 41, 16)
    assert all(torch.equal(a, b) for a, b in zip(tiny_checkpoint.network(x), loaded.network(x)))


def test_another_name_is_used_in_messages(tmp_path):
    (tmp_path / "upload.tmp").write_text("no")
    with pytest.raises(checkpoint.CheckpointError, match=r"mine\.safetensors is not a checkpoint"):
        checkpoint.load(tmp_path / "upload.tmp", name="mine.safetensors")


def test_a_failed_save_leaves_what_was_there(saved, tiny_checkpoint):
    before = saved.read_bytes()
    with pytest.raises(TypeError):
        checkpoint.save(replace(tiny_checkpoint, provenance={"data": object()}), saved)
    with pytest.raises(TypeError):
        checkpoint.save(replace(tiny_checkpoint, provenance={"data": object()}), saved.with_name("new.safetensors"))
    assert saved.read_bytes() == before and [p.name for p in saved.parent.iterdir()] == [saved.name]


def test_a_disk_that_fills_up_leaves_nothing(tmp_path, tiny_checkpoint, monkeypatch):
    def half_written(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half_written)
    with pytest.raises(OSError, match=r"No space left on device: .*tiny\.safetensors"):
        checkpoint.save(tiny_checkpoint, tmp_path / "tiny.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path, tiny_checkpoint):
    with pytest.raises(OSError, match="there is no folder"):
        checkpoint.save(tiny_checkpoint, tmp_path / "missing" / "tiny.safetensors")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint\n", bytes(200), b"\xff" * 200])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "other.safetensors"
    path.write_bytes(content)
    refused(path, "is not a checkpoint of EINV2 Studio")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_truncated(saved, share):
    cut = saved.with_name("cut.safetensors")
    cut.write_bytes(saved.read_bytes()[: int(share * saved.stat().st_size)])
    refused(cut, "is not a checkpoint")


def test_pickles_are_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    torch.save({"model": {}}, tmp_path / "weights.pth")
    refused(tmp_path / "weights.pth", "import-official")
    (tmp_path / "trap.safetensors").write_bytes(pickle.dumps(Trap()))
    refused(tmp_path / "trap.safetensors", "is not a checkpoint")
    assert not (tmp_path / "ran").exists()


def test_safetensors_of_another_project(tmp_path):
    path = tmp_path / "other.safetensors"
    for metadata in (None, {"format": "pt"}, {checkpoint.METADATA_KEY: "[]"}, {checkpoint.METADATA_KEY: "{}"}):
        save_file({"weight": torch.zeros(3)}, path, metadata=metadata)
        refused(path, "is not a checkpoint of EINV2 Studio")


@pytest.mark.parametrize(
    "header, says",
    [
        ({"format": checkpoint.FORMAT_VERSION + 1}, "this version reads format"),
        ({"model": {"n_trakcs": 2}}, "unknown key, 'n_trakcs'"),
        ({"features": {"fft": 512}}, "unknown key, 'fft'"),
        ({"model": {"n_tracks": "two"}}, "n_tracks must be of type int"),
        ({"model": {"dropout": 1.5}}, "dropout"),
        ({"model": None}, "model is missing"),
        ({"scores": None}, "scores is missing"),
        ({"curve": {"epoch": 1}}, "curve is missing or no JSON list"),
        ({"classes": ["a", "b"]}, "classes must be a list of 14 names"),
        ({"classes": list(range(14))}, "classes must be a list of 14 names"),
        ({"model": {"n_classes": 13}, "classes": ["c"] * 13}, "does not fit its own configuration"),
        ({"model": {"n_tracks": 3}}, "does not fit its own configuration"),
        ({"model": {"channels": [4, 4, 8, 16]}}, "does not fit its own configuration"),
        ({"model": {"time_pooling": [2, 1, 1, 1]}}, "time_pooling"),
        ({"model": {"frequency_pooling": [4, 4, 4, 1]}}, "frequency_pooling"),
        ({"classes": ["a" * 61] + ["b"] * 13}, "class name"),
        ({"classes": ["a\nb"] + ["b"] * 13}, "class name"),
        ({"features": {"n_mels": 17}}, "lacks feature_mean of the shape (1, 7, 1, 17)"),
        ({"features": {"n_fft": 1 << 40}}, "n_fft"),
        ({"features": {"sample_rate": 10**9, "hop": 25 * 10**6}}, "sample_rate"),
        *(
            ({"provenance": {"train": {"chunk_seconds": odd}}}, "chunk_seconds must be 1 to 600")
            for odd in (0, 10**6, 2.5, "4")
        ),
    ],
)
def test_headers_that_do_not_fit(saved, header, says):
    refused(edited(saved, header), says)


@pytest.mark.parametrize("raw, says", [("{", "not JSON"), ("[" * 100000, "not JSON"), ("null", "is not a checkpoint")])
def test_headers_that_are_not_json(saved, raw, says):
    refused(edited(saved, raw=raw), says)


def test_tensors_that_do_not_fit(saved):
    name = next(k for k in load_file(saved) if k.endswith("sed_head.bias"))
    refused(edited(saved, tensors={name: None}), f"{name} is missing")
    refused(edited(saved, tensors={"extra": torch.zeros(1)}), "extra is (1,), nothing was expected")
    refused(edited(saved, tensors={name: torch.zeros(3)}), f"{name} is (3,), (14,) was expected")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(saved, value):
    name = next(k for k in load_file(saved) if k.endswith("sed_head.bias"))
    refused(edited(saved, tensors={name: torch.full((14,), value)}), "numbers that are not finite")
    refused(
        edited(saved, tensors={"feature_mean": torch.full((1, 7, 1, 16), value)}),
        "feature_mean with numbers that are not finite",
    )


def test_statistics_that_cannot_standardise(saved):
    refused(edited(saved, tensors={"feature_std": torch.zeros(1, 7, 1, 16)}), "feature_std")
    refused(edited(saved, tensors={"feature_std": None}), "lacks feature_std")


@pytest.mark.parametrize(
    "huge",
    [
        {"channels": [65536] * 4, "n_heads": 2},
        {"channels": [1 << 40] * 4, "n_heads": 2},
        {"channels": [1 << 62] * 4, "n_heads": 2},
        {"feedforward": 1 << 40, "track_layer": "transformer"},
        {"n_tracks": 10**7},
        {"n_layers": 10**7},
    ],
)
def test_a_small_file_that_describes_a_huge_network_takes_no_memory(saved, huge, monkeypatch):
    """It is refused while only shapes are known: no weight is allocated, no module built in millions."""
    path = edited(saved, {"model": huge})
    build_any = build

    def on_meta_only(config):
        network = build_any(config)
        assert all(p.device.type == "meta" for p in network.parameters())
        return network

    monkeypatch.setattr(build_module, "build", on_meta_only)
    tracemalloc.start()
    refused(path, "does not fit its own configuration")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_the_header_alone_is_cheap_and_complete(saved):
    with safe_open(saved, framework="pt") as file:
        assert set(file.metadata()) == {checkpoint.METADATA_KEY}
    header = checkpoint.read_header(saved)
    assert set(header) == {"format", "model", "features", "classes", "provenance", "scores", "curve"}
    assert header["model"]["channels"] == [4, 4, 8, 8] and header["features"]["n_mels"] == 16


def test_default_configurations_fit_each_other():
    from einv2.config import require_compatible

    require_compatible(ModelConfig(), FeatureConfig())
    require_compatible(ModelConfig.released(), FeatureConfig(n_mels=256))
    with pytest.raises(ValueError, match="hop 1200 makes 2 in 100 ms"):
        require_compatible(ModelConfig(), FeatureConfig(hop=1200))


def test_other_number_formats_are_refused(saved):
    name = next(k for k in load_file(saved) if k.endswith("sed_head.bias"))
    refused(edited(saved, tensors={name: torch.zeros(14, dtype=torch.float8_e4m3fn)}), "float8_e4m3fn")


def test_what_could_not_be_loaded_is_not_saved(tmp_path, tiny_checkpoint):
    tiny_checkpoint.feature_std[0, 0, 0, 0] = 0
    with pytest.raises(checkpoint.CheckpointError, match="feature_std"):
        checkpoint.save(tiny_checkpoint, tmp_path / "zero.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_may_be_read_by_whom_other_files_may(saved, tmp_path):
    (tmp_path / "plain").touch()
    assert saved.stat().st_mode == (tmp_path / "plain").stat().st_mode


# Averages


def test_weights_are_averaged_and_both_origins_are_told(saved, tmp_path):
    first, second = checkpoint.load(saved), checkpoint.load(saved)
    for parameter in second.network.parameters():
        parameter.data += 2.0
    second.provenance = {"date": "2026-11-25"}
    checkpoint.save(second, tmp_path / "second.safetensors")
    out = tmp_path / "mean.safetensors"
    assert cli.main(["export", str(saved), str(out), "--average", str(tmp_path / "second.safetensors")]) == 0
    mean = checkpoint.load(out)
    for ours, theirs in zip(mean.network.parameters(), first.network.parameters()):
        torch.testing.assert_close(ours, theirs + 1.0)
    assert mean.provenance == first.provenance | {"averaged_with": [{"date": "2026-11-25"}]}


@pytest.mark.parametrize("changed", ["classes", "statistics"])
def test_networks_of_another_kind_are_not_averaged(saved, tmp_path, capsys, changed):
    other = checkpoint.load(saved)
    if changed == "classes":
        other.classes = tuple(reversed(other.classes))
    else:
        other.feature_mean = other.feature_mean + 1
    checkpoint.save(other, tmp_path / "other.safetensors")
    arguments = [
        "export",
        str(saved),
        str(tmp_path / "out.safetensors"),
        "--average",
        str(tmp_path / "other.safetensors"),
    ]
    assert cli.main(arguments) == 1 and not (tmp_path / "out.safetensors").exists()
    assert capsys.readouterr().err == (
        "error: other.safetensors has another configuration or other feature statistics: its weights cannot be averaged.\n"
    )
