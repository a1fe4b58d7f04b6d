"""The list of networks, how they are added, and that nothing uploaded is executed or leads out of the folder."""

import io
import json
import pickle
import struct
import sys
import zipfile

import h5py
import numpy as np
import pytest
import torch

from app.networks import network_files, registry
from app.storage import user_folder
from einv2.checkpoints import checkpoint, headers
from einv2.config import ModelConfig
from support.weights_of_others import SMALL, as_pth, their_state_dict


@pytest.fixture(autouse=True)
def folder(one_shipped_network):
    return one_shipped_network


@pytest.fixture
def run(folder, ours):
    path = folder / "runs" / "first"
    path.mkdir(parents=True)
    for which in ("best", "last"):
        (path / f"{which}.safetensors").write_bytes(ours)
    return path


@pytest.fixture
def theirs() -> bytes:
    return as_pth({"epoch": 3, "model": their_state_dict(**SMALL)})


def origins():
    return [(n.name, n.origin) for n in registry.files()]


def nothing_left(folder):
    return not list((folder / "models").glob("*")) and not list((folder / "models").glob(".*"))


# The list


def test_all_origins_are_in_one_list(ours, run):
    assert registry.names() == ["einv2", "first (best)", "first (last)"]
    network_files.keep_upload("mine", "x.safetensors", ours)
    assert origins() == [
        ("einv2", registry.SHIPPED),
        ("mine", registry.KEPT),
        ("first (best)", registry.TRAINED),
        ("first (last)", registry.TRAINED),
    ]
    for name in registry.names():
        assert network_files.load(registry.find(name)).classes[0] == "alarm"


def test_the_header_and_the_summary_agree_with_the_checkpoint(tiny_checkpoint):
    network = registry.find("einv2")
    header, summary = registry.header(network), network_files.summary(network)
    assert header.n_parameters == summary.n_parameters == tiny_checkpoint.n_parameters
    assert header.model == summary.model == tiny_checkpoint.model and summary.classes == tiny_checkpoint.classes
    assert summary.curve == tiny_checkpoint.curve and summary.provenance == {"data": "simulated", "seed": 3}


def test_headers_are_read_once(monkeypatch, run):
    registry.names()
    monkeypatch.setattr(headers, "read_header", None)
    assert registry.names() == ["einv2", "first (best)", "first (last)"]


def test_a_file_that_changes_is_read_again(ours, tiny_checkpoint, run):
    before = registry.stamp("first (best) + einv2")
    assert before[1] == registry.stamp("einv2")[0] and None not in before
    tiny_checkpoint.provenance["seed"] = 44444
    checkpoint.save(tiny_checkpoint, run / "best.safetensors")
    assert registry.stamp("first (best) + einv2") != before
    assert registry.header(registry.find("first (best)")).provenance["seed"] == 44444
    (run / "best.safetensors").unlink()
    assert registry.stamp("first (best)") == (None,)
    with pytest.raises(ValueError, match=r"no network first \(best\) any more"):
        registry.find("first (best)")


def test_unusable_files_are_listed_with_the_reason(folder, ours, run):
    models = folder / "models"
    models.mkdir(parents=True)
    (models / "empty.safetensors").touch()
    (models / "half.safetensors").write_bytes(ours[: len(ours) // 2])
    (models / "theirs.pth").write_bytes(b"x")
    (models / "einv2.safetensors").write_bytes(ours)
    (models / "folder.safetensors").mkdir()
    (run / "last.safetensors").write_bytes(b"")
    assert registry.names() == ["einv2", "first (best)"]
    wrong = {}
    for network in registry.files():
        for read in (registry.header, network_files.summary):
            try:
                read(network)
            except ValueError as error:
                wrong[network.name] = str(error)
    assert set(wrong) == {"empty", "half", "theirs.pth", "einv2.safetensors", "folder.safetensors", "first (last)"}
    assert "empty.safetensors is not a checkpoint" in wrong["empty"] and "rename it" in wrong["einv2.safetensors"]
    assert "first-last.safetensors is not a checkpoint" in wrong["first (last)"]
    assert "is no .safetensors file" in wrong["theirs.pth"]
    assert str(folder) not in " ".join(wrong.values())


def test_a_network_of_one_branch_is_listed_but_not_offered(folder, tiny_checkpoint, tiny_features):
    from einv2.models.build import build

    config = ModelConfig(task="sed", channels=(4, 4, 8, 8), n_heads=2)
    tiny_checkpoint.network, tiny_checkpoint.model = build(config), config
    (folder / "models").mkdir(parents=True)
    checkpoint.save(tiny_checkpoint, folder / "models" / "sed.safetensors")
    assert registry.names() == ["einv2"] and network_files.summary(registry.find("sed")).model.task == "sed"


def test_links_in_the_folder_are_not_followed(folder, tmp_path, ours, run):
    (tmp_path / "secret.safetensors").write_bytes(ours)
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    (run / "best.safetensors").unlink()
    (run / "best.safetensors").symlink_to(tmp_path / "secret.safetensors")
    assert [name for name, _ in origins()] == ["einv2", "first (last)"]


# Keeping


def test_an_upload_is_kept_as_it_is(folder, ours):
    network = network_files.keep_upload("mine", "x.safetensors", ours)
    assert network.path == folder.resolve() / "models" / "mine.safetensors" and network.path.read_bytes() == ours
    assert [p.name for p in (folder / "models").iterdir()] == ["mine.safetensors"]


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "/etc/x", ".x", "a\\b", "a\0", "a\nb", "x" * 60, "x(best)"])
def test_names_cannot_lead_out_of_the_folder(folder, tmp_path, ours, theirs, name):
    before = sorted(p for p in tmp_path.rglob("*"))
    for act in (
        lambda: network_files.keep_upload(name, "x.safetensors", ours),
        lambda: network_files.keep_import(name, "x.pth", theirs),
    ):
        with pytest.raises(ValueError, match="cannot be a name here"):
            act()
    assert sorted(p for p in tmp_path.rglob("*")) == before


def test_names_are_unique_and_differ_from_shipped_ones(ours):
    network_files.keep_upload("mine", "x.safetensors", ours)
    with pytest.raises(ValueError, match="mine is there already"):
        network_files.keep_upload("mine", "x.safetensors", ours)
    with pytest.raises(ValueError, match="comes with the app"):
        network_files.keep_upload("einv2", "x.safetensors", ours)
    assert network_files.suggest("mine.safetensors") == "mine-2" and network_files.suggest("einv2.pth") == "einv2-2"
    assert network_files.suggest("../../ä <b>x</b>.pth") == "b" and network_files.suggest("...") == "network"


def test_a_damaged_upload_is_refused_and_leaves_nothing(folder, ours):
    header = json.dumps({"__metadata__": {}}).encode()
    wrong = {
        "empty": b"",
        "half": ours[:-10],
        "junk": b"junk" * 100,
        "pickle": pickle.dumps(object()),
        "plain": struct.pack("<Q", len(header)) + header,
        "claim": struct.pack("<Q", 2**60) + header,
    }
    for data in wrong.values():
        with pytest.raises(ValueError, match=r"^up\.safetensors is not a checkpoint"):
            network_files.keep_upload("mine", "up.safetensors", data)
    assert nothing_left(folder) and registry.names() == ["einv2"]


def test_an_upload_that_does_not_fit_its_configuration_is_refused(folder, tiny_checkpoint, tmp_path):
    from dataclasses import replace

    tiny_checkpoint.model = replace(tiny_checkpoint.model, n_tracks=3)
    checkpoint.save(tiny_checkpoint, tmp_path / "odd.safetensors")
    with pytest.raises(ValueError, match=r"^odd\.safetensors does not fit its own configuration"):
        network_files.keep_upload("mine", "odd.safetensors", (tmp_path / "odd.safetensors").read_bytes())
    assert nothing_left(folder)


def test_a_huge_header_is_refused_before_it_is_read(folder, tiny_checkpoint, tmp_path):
    tiny_checkpoint.provenance["data"] = "x" * (registry.MAX_HEADER_BYTES + 1)
    checkpoint.save(tiny_checkpoint, tmp_path / "big.safetensors")
    with pytest.raises(ValueError, match=r"big\.safetensors has a header of 4\.0 MiB"):
        network_files.keep_upload("mine", "big.safetensors", (tmp_path / "big.safetensors").read_bytes())


def test_the_limit_of_the_folder_holds(ours, monkeypatch, folder):
    monkeypatch.setattr(sys, "argv", ["main.py", "--user-data", str(folder), "--user-data-gib", "0.00001"])
    with pytest.raises(ValueError, match="--user-data-gib"):
        network_files.keep_upload("mine", "x.safetensors", ours)
    assert registry.names() == ["einv2"]


# Import


def test_the_authors_checkpoint_is_imported_with_its_scalar(theirs, tmp_path):
    with h5py.File(tmp_path / "scalar.h5", "w") as file:
        file["mean"], file["std"] = np.full((1, 7, 1, 256), 3.0), np.full((1, 7, 1, 256), 2.0)
    network = network_files.keep_import("theirs", "EINV2.pth", theirs, ("s.h5", (tmp_path / "scalar.h5").read_bytes()))
    summary = network_files.summary(network)
    assert summary.provenance["imported_from"] == "EINV2.pth" and summary.provenance["scalar"] is True
    assert summary.model == ModelConfig.released(**SMALL) and "theirs" in registry.names()
    assert (network_files.load(network).core.mean == 3).all()


class Runs:
    """A pickle that runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("inside", [False, True])
def test_a_hostile_pickle_does_not_run(folder, tmp_path, suffix, inside):
    mark = tmp_path / "ran"
    data = as_pth({"model": {"a": Runs(mark)}} if inside else Runs(mark))
    mark.unlink(missing_ok=True)
    act = network_files.keep_import if suffix == "pth" else network_files.keep_upload
    with pytest.raises(ValueError, match=rf"^bad\.{suffix} is (refused|not a checkpoint)"):
        act("mine", f"bad.{suffix}", data)
    assert not mark.exists() and registry.names() == ["einv2"]


def test_a_decompression_bomb_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data/0", bytes(3_000_000))
    with pytest.raises(ValueError, match=r"bomb\.pth is refused: it would unfold to 2\.9 MiB"):
        network_files.keep_import("mine", "bomb.pth", buffer.getvalue())


def test_weights_larger_than_their_file_are_refused():
    state = their_state_dict(**SMALL)
    huge = {
        "strides": torch.zeros(1).expand(10**9, 16),
        "nothing": torch.zeros(10**9, 0),
        "sparse": torch.sparse_coo_tensor(size=(10**9, 16)),
        "no data": torch.zeros(14, 16, device="meta"),
        "complex": torch.zeros(14, 16, dtype=torch.complex64),
    }
    for tensor in huge.values():
        with pytest.raises(ValueError, match=r"^bad\.pth is (refused|no EINV2)"):
            network_files.keep_import("mine", "bad.pth", as_pth({"model": state | {"fc_sed_track1.weight": tensor}}))


def test_a_scalar_that_refers_to_other_files_is_refused(theirs, tmp_path, folder):
    secret = tmp_path / "secret"
    secret.write_bytes(np.full(7 * 16, 42.0, np.float32).tobytes())
    values = np.full((1, 7, 1, 16), 2.0, np.float32)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["mean"] = values

    def write(kind):
        with h5py.File(tmp_path / f"{kind}.h5", "w") as file:
            file["std"] = values
            if kind == "external data":
                file.create_dataset("mean", values.shape, "f4", external=[(str(secret), 0, h5py.h5f.UNLIMITED)])
            elif kind == "external link":
                file["mean"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/mean")
            elif kind == "virtual":
                layout = h5py.VirtualLayout(values.shape, "f4")
                layout[...] = h5py.VirtualSource(str(tmp_path / "other.h5"), "mean", values.shape)
                file.create_virtual_dataset("mean", layout)
            else:
                file.create_dataset("mean", (1, 7, 10**9, 16), "f4", compression="gzip")
        return (tmp_path / f"{kind}.h5").read_bytes()

    for kind in ("external data", "external link", "virtual", "huge"):
        with pytest.raises(ValueError, match=r"^s\.h5 (is no scalar file|has mean)"):
            network_files.keep_import("mine", "x.pth", theirs, ("s.h5", write(kind)))
    assert registry.names() == ["einv2"]


# Rename, copy, delete


def test_a_kept_network_is_renamed_and_deleted(ours, folder):
    network = network_files.rename(network_files.keep_upload("mine", "x.safetensors", ours), "yours")
    assert [name for name, _ in origins()] == ["einv2", "yours"] and network.path.name == "yours.safetensors"
    for name, said in (("../x", "cannot be a name"), ("einv2", "comes with the app"), ("yours", "is there already")):
        with pytest.raises(ValueError, match=said):
            network_files.rename(network, name)
    network_files.delete(network)
    assert registry.names() == ["einv2"] and nothing_left(folder)
    with pytest.raises(ValueError, match="deleted meanwhile"):
        network_files.delete(network)


def test_shipped_networks_cannot_be_changed():
    network = registry.find("einv2")
    for act in (lambda: network_files.delete(network), lambda: network_files.rename(network, "other")):
        with pytest.raises(ValueError, match="einv2 comes with the app"):
            act()
    assert network.path.is_file()


def test_a_trained_network_is_copied_and_deleted_without_its_run(run, ours):
    network = registry.find("first (best)")
    with pytest.raises(ValueError, match="keep a copy"):
        network_files.rename(network, "other")
    network_files.keep_copy(network, "good")
    network_files.delete(network)
    assert registry.names() == ["einv2", "good", "first (last)"]
    assert (run / "last.safetensors").is_file() and user_folder.path_of(
        "models", "good.safetensors"
    ).read_bytes() == ours


def test_a_file_that_was_replaced_meanwhile_is_not_deleted(run, tiny_checkpoint):
    network = registry.find("first (best)")
    tiny_checkpoint.provenance["seed"] = 12345678
    checkpoint.save(tiny_checkpoint, run / "best.safetensors")
    with pytest.raises(ValueError, match="was changed or deleted meanwhile"):
        network_files.delete(network)
