"""Thousands of checkpoints that are wrong on purpose: ours, those of the authors' code, and their HDF5 files."""

import io
import json
import os
import pickle
import random
import struct
import zipfile

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from einv2.checkpoints import checkpoint, headers, official, pickle_safety
from einv2.config import FeatureConfig, ModelConfig
from einv2.models.build import build
from support import fuzzing
from support.weights_of_others import their_checkpoint, their_state_dict

pytestmark = pytest.mark.full("fuzzing")


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A network of a few hundred weights."""
    torch.manual_seed(0)
    sizes = dict(channels=(2, 2), time_pooling=(2, 2), frequency_pooling=(2, 2), stitch_blocks=(1,))
    model = ModelConfig(**sizes, n_heads=1, n_layers=1, feedforward=4, n_classes=2)
    statistics = torch.zeros(1, 7, 1, 8), torch.ones(1, 7, 1, 8)
    whole = checkpoint.Checkpoint(
        build(model),
        model,
        FeatureConfig(n_mels=8),
        ("a", "b"),
        *statistics,
        {"seed": 3},
        {"F": 0.5},
        [{"loss": 1}],
    )
    path = tmp_path_factory.mktemp("ours") / "net.safetensors"
    checkpoint.save(whole, path)
    return path


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """Path to a ``.pth``: a zip archive of a pickle and tensors. Beside it "old.pth", one pickle after the other, as torch 1.5 had."""
    path = tmp_path_factory.mktemp("theirs") / "net.pth"
    content = their_checkpoint(their_state_dict(channels=(2, 2, 2, 8), n_classes=2, feedforward=4))
    torch.save(content, path)
    torch.save(content, path.with_name("old.pth"), _use_new_zipfile_serialization=False)
    return path


def read(path):
    header = checkpoint.read_header(path)
    loaded = checkpoint.load(path)
    assert loaded.provenance == header["provenance"] and all(p.isfinite().all() for p in loaded.network.parameters())
    headers.count_parameters(path)


def parts(content):
    """Header and tensors of a safetensors file."""
    size = struct.unpack("<Q", content[:8])[0]
    return json.loads(content[8 : 8 + size]), content[8 + size :]


def joined(header, tensors):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def with_other_configuration(content, draw):
    """What stands in our own JSON, inside the metadata, is another."""
    header, tensors = parts(content)
    inside = json.loads(header["__metadata__"][checkpoint.METADATA_KEY])
    text = json.dumps(fuzzing.mutated_json(inside, draw))
    return joined(header | {"__metadata__": {checkpoint.METADATA_KEY: text}}, tensors)


def with_other_tensors(content, draw):
    """Types, shapes, places and names of the tensors are others."""
    header, tensors = parts(content)
    return joined(fuzzing.mutated_json(header, draw), tensors)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_mutated_checkpoint_is_read_or_refused_in_one_sentence(tmp_path, ours):
    content, draw = ours.read_bytes(), random.Random("checkpoint")
    ways = (
        lambda: with_other_configuration(content, draw),
        lambda: with_other_configuration(content, draw),
        lambda: with_other_tensors(content, draw),
        lambda: fuzzing.mutated(content, draw, head=len(content) - len(parts(content)[1])),
        lambda: fuzzing.mutated(content, draw),
    )
    cases = (draw.choice(ways)() for _ in range(1650))
    assert fuzzing.refusals([content], tmp_path / "net.safetensors", read) == [None]
    found = fuzzing.refusals(cases, tmp_path / "net.safetensors", read)
    assert found.count(None) > 40 and len(set(found)) > 100


@pytest.mark.parametrize("name, cases", [("net.pth", 200), ("old.pth", 150)])
def test_a_mutated_checkpoint_of_the_authors_is_read_or_refused_in_one_sentence(tmp_path, theirs, name, cases):
    content, draw = theirs.with_name(name).read_bytes(), random.Random(f"official {name}")
    ways = [lambda: fuzzing.mutated(content, draw), lambda: fuzzing.mutated(content, draw, head=8000)]
    if name == "net.pth":
        ways += 2 * [lambda: fuzzing.zipped(content, draw)]
    mutated = (draw.choice(ways)() for _ in range(cases))
    assert fuzzing.refusals([content], tmp_path / "net.pth", official.import_checkpoint) == [None]
    found = fuzzing.refusals(mutated, tmp_path / "net.pth", official.import_checkpoint)
    assert 0 < found.count(None) < cases and len(set(found)) > 3


def test_a_mutated_scalar_is_read_or_refused_in_one_sentence(tmp_path):
    with h5py.File(tmp_path / "whole.h5", "w") as file:
        file["mean"], file["std"] = np.zeros((1, 7, 1, 8)), np.ones((1, 7, 1, 8))
    content, draw = (tmp_path / "whole.h5").read_bytes(), random.Random("scalar")
    (tmp_path / "whole.h5").unlink()
    cases = (fuzzing.mutated(content, draw, head=draw.choice((None, 200, 2048))) for _ in range(400))
    found = fuzzing.refusals(cases, tmp_path / "scalar.h5", official.read_scalar)
    assert 20 < found.count(None) < 380


# One at a time


def refused(read, path, says):
    began = fuzzing.resident_bytes()
    sentence = fuzzing.outcome(lambda: read(path), path.name)
    assert sentence and says in sentence, sentence
    assert fuzzing.resident_bytes() - began < fuzzing.GROWTH_BYTES


@pytest.mark.parametrize("size", [2**31, 2**40, 2**63, 2**64 - 1])
def test_a_header_of_gigabytes_is_refused_before_it_is_read(tmp_path, size):
    path = tmp_path / "net.safetensors"
    path.write_bytes(struct.pack("<Q", size))
    os.truncate(path, 3 * 2**30)  # a hole that takes no room
    refused(checkpoint.load, path, "is not a checkpoint")


@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"n_tracks": 10**400}},
        {"model": {"dropout": 10**400}},
        {"model": {"time_pooling": [10**4000] * 9}},
        {"model": {"channels": [1] * 5000}},
        {"model": {"x" * 5000: 1}},
        {"model": {"n_heads": json.loads("[" * 900 + "]" * 900)}},
        {"format": "x" * 5000},
        {"format": json.loads("[" * 900 + "]" * 900)},
        {"classes": ["\u202e", "\n"]},
        {"features": {"f_max": float("nan")}},
    ],
    ids=lambda changes: str(changes)[:40],
)
def test_what_a_header_holds_does_not_become_the_sentence(tmp_path, ours, changes):
    header, tensors = parts(ours.read_bytes())
    inside = json.loads(header["__metadata__"][checkpoint.METADATA_KEY])
    for key, value in changes.items():
        inside[key] = inside[key] | value if isinstance(value, dict) else value
    path = tmp_path / "net.safetensors"
    path.write_bytes(joined(header | {"__metadata__": {checkpoint.METADATA_KEY: json.dumps(inside)}}, tensors))
    refused(checkpoint.load, path, "net.safetensors has")


def test_markup_in_class_names_is_kept_as_text(tmp_path, ours):
    header, tensors = parts(ours.read_bytes())
    inside = json.loads(header["__metadata__"][checkpoint.METADATA_KEY]) | {"classes": ["<img src=x>", "**b**"]}
    path = tmp_path / "net.safetensors"
    path.write_bytes(joined(header | {"__metadata__": {checkpoint.METADATA_KEY: json.dumps(inside)}}, tensors))
    assert checkpoint.load(path).classes == ("<img src=x>", "**b**")


def test_a_name_of_a_tensor_does_not_break_the_sentence(tmp_path, ours):
    path = tmp_path / "net.safetensors"
    metadata = parts(ours.read_bytes())[0]["__metadata__"]
    save_file(load_file(ours) | {"a\nb" + "x" * 5000: torch.zeros(1)}, path, metadata)
    refused(checkpoint.load, path, "does not fit its own configuration: a\\nbx")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_of_the_authors_that_are_no_numbers(tmp_path, value):
    state = their_state_dict(channels=(2, 2, 2, 8), n_classes=2, feedforward=4)
    state["fc_sed_track1.bias"][1] = value
    torch.save({"model": state}, tmp_path / "net.pth")
    refused(official.import_checkpoint, tmp_path / "net.pth", "with numbers that are not finite")


@pytest.mark.parametrize("std, says", [(np.nan, "not finite"), (0.0, "not above 0"), (-1.0, "not above 0")])
def test_a_scalar_that_cannot_standardise(tmp_path, std, says):
    with h5py.File(tmp_path / "scalar.h5", "w") as file:
        file["mean"], file["std"] = np.zeros((1, 7, 1, 8)), np.full((1, 7, 1, 8), std)
    refused(official.read_scalar, tmp_path / "scalar.h5", says)


class Runs:
    """Unpickled in full it would write a file, in one of many ways."""

    def __init__(self, function, *arguments):
        self.reduced = function, arguments

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("suffix, read", [(".pth", official.import_checkpoint), (".safetensors", checkpoint.load)])
@pytest.mark.parametrize("how", ["open", "system", "eval", "exec", "getattr", "load", "import"])
def test_code_in_a_file_does_not_run(tmp_path, suffix, read, how):
    """Each writes by another builtin or function of torch or numpy; at the top, and in a pickle without torch's container."""
    target = tmp_path / "was_here"
    code = f"open({str(target)!r}, 'w')"
    trap = {
        "open": Runs(open, str(target), "w"),
        "system": Runs(os.system, f"touch {target}"),
        "eval": Runs(eval, code),
        "exec": Runs(exec, code),
        "getattr": Runs(getattr, "text", "upper"),
        "load": Runs(np.save, str(target), np.zeros(2)),
        "import": Runs(__import__, "antigravity"),
    }
    path = tmp_path / f"net{suffix}"
    for write in (torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))):
        write({"model": {"weight": trap[how]}}, path)
        with fuzzing.only_in(path):  # no other file is written, no process started
            refused(read, path, path.name)
    assert not target.exists()


# Small files that would unfold to more than there is


def nested(depth, container):
    """A pickle of {"model": 1, KEY: 1}, in which KEY holds the container before it twice, and so on."""
    steps = b"".join(b"q" + bytes([k]) + b"h" + bytes([k]) + b"\x86" for k in range(depth))
    aliased = b"".join(b"q" + bytes([k]) + b"q\xffh\xff\x86" for k in range(depth))
    steps = {"tuple": steps, "alias": aliased}[container]
    return b"\x80\x02}(X\x05\x00\x00\x00modelK\x01)" + steps + b"K\x01u."


def as_archive(pickled):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in (("data.pkl", pickled), ("version", b"3\n"), ("byteorder", b"little")):
            archive.writestr(f"net/{name}", content)
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["tuple", "alias"])
@pytest.mark.parametrize("write", [as_archive, lambda pickled: pickled], ids=["archive", "plain"])
def test_a_key_that_takes_for_ever_to_hash_is_refused(tmp_path, write, container):
    """100 bytes that would stop the whole process: 2^60 tuples."""
    path = tmp_path / "net.pth"
    path.write_bytes(write(nested(60, container)))
    refused(official.import_checkpoint, path, "more deeply nested than a checkpoint")
    path.write_bytes(as_archive(nested(3, container)))
    refused(official.import_checkpoint, path, "no dictionary of weights under 'model'")


def test_an_archive_that_unfolds_to_much_more_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data/0", bytes(3_000_000))
    refused(official.import_checkpoint, tmp_path / "net.pth", "would unfold to 2.9 MiB")


def test_a_pickle_without_end_is_refused(tmp_path):
    path = tmp_path / "net.pth"
    path.write_bytes(as_archive(b"\x80\x02" + b"N" * 2_000_000 + b"."))
    refused(official.import_checkpoint, path, "or has more parts")


def test_what_the_authors_write_is_far_from_the_limits(theirs):
    for path in (theirs, theirs.with_name("old.pth")):
        pickle_safety.require_harmless(path)
    with zipfile.ZipFile(theirs) as archive:
        taken = list(pickle_safety._shared(io.BytesIO(archive.read("net/data.pkl"))))
    assert len(taken) < pickle_safety.MAX_OPERATIONS / 50 and sum(taken) < pickle_safety.MAX_SHARED / 2
