"""Two processes under torchrun train as one does; what a process does alone is held by arithmetic."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from einv2.checkpoints import checkpoint
from einv2.commands import main as cli
from einv2.training import distributed
from support.places import ROOT

# Batches of 5 are shared as 2 and 3; without dropout, which no two processes draw alike.
SETTINGS = {
    "channels": "4,4,8,8", "n-heads": 2, "n-mels": 16, "dropout": 0, "epochs": 2, "batch-size": 5, "chunk-seconds": 2,
    "learning-rate": 1e-3, "precision": "fp32", "validation-share": 0.4, "seed": 1,
}  # fmt: skip
FLAGS = [f"--{name}={value}" for name, value in SETTINGS.items()]


def torchrun(*arguments):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "einv2"]
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, timeout=600,
        env=os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
    )  # fmt: skip


def curve(out):
    return [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.full("several processes")
def test_two_processes_find_the_loss_of_one(scenes, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    assert cli.main(["train", "--data", str(scenes), "--out", str(one), *FLAGS]) == 0
    done = torchrun("train", "--data", scenes, "--out", two, *FLAGS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best.safetensors") == 1 and "processes: 2" in (two / "log.txt").read_text()
    assert {p.name for p in one.iterdir()} == {p.name for p in two.iterdir()}
    for a, b in zip(curve(one), curve(two), strict=True):
        for name in ("loss", "sed_loss", "doa_loss", "validation_loss"):
            assert b[name] == pytest.approx(a[name], rel=1e-4), (name, a["epoch"])


def test_shares_are_a_partition_and_weigh_as_many_items_as_they_hold():
    for n in (4, 5, 32):
        processes = [SimpleNamespace(global_rank=rank, world_size=4) for rank in range(4)]
        parts = [range(n)[distributed.share(p, n)] for p in processes]
        assert [i for part in parts for i in part] == list(range(n)) and all(parts)
        values = torch.rand(n)
        means = [distributed.weight(p, len(i), n) * values[list(i)].mean() for p, i in zip(processes, parts)]
        torch.testing.assert_close(torch.stack(means).mean(), values.mean())
    with pytest.raises(ValueError, match="a batch of 3 chunks cannot be shared by 4 processes"):
        distributed.share(processes[0], 3)


def test_precision():
    assert [distributed.resolve_precision(name) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    assert distributed.resolve_precision("auto") in ("fp32", "bf16")


def test_an_error_of_rank_zero_is_one_of_all():
    def fail():
        raise ValueError("no room")

    heard = []
    first = SimpleNamespace(is_global_zero=True, broadcast=lambda value: heard.append(value) or value)
    with pytest.raises(ValueError, match="no room"):
        distributed.on_rank_zero(first, fail)
    other = SimpleNamespace(is_global_zero=False, broadcast=lambda value: heard[0])
    with pytest.raises(ValueError, match="no room"):
        distributed.on_rank_zero(other, None)
    assert distributed.on_rank_zero(first, lambda: 5) == 5


@pytest.mark.full("several processes")
def test_two_processes_share_the_clips(scenes, tiny_checkpoint, tmp_path):
    model_file = tmp_path / "model.safetensors"
    checkpoint.save(tiny_checkpoint, model_file)
    clips = sorted(scenes.glob("foa_dev/*.flac"))
    for out, run in (("one", lambda *a: cli.main([str(x) for x in a])), ("two", torchrun)):
        done = run(
            "predict", *clips, "--model", model_file, "--out", tmp_path / out, "--json", tmp_path / f"{out}.json"
        )
        assert done == 0 or done.returncode == 0, done.stderr
    one, two = (
        [entry["clip"] for entry in json.loads((tmp_path / f"{n}.json").read_text())["clips"]] for n in ("one", "two")
    )
    assert one == two == [str(clip) for clip in clips]
    for clip in clips:
        assert (tmp_path / "two" / f"{clip.stem}.csv").read_text() == (
            tmp_path / "one" / f"{clip.stem}.csv"
        ).read_text()
