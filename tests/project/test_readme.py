"""Every command of the README does what it says, run as it is written: the files it names are there and small.

Where a command would take hours its sizes are smaller, by flags that stand behind its own. The commands that set up are run by
.ci/run, and the server behind nginx by test_proxy.py.
"""

import functools
import glob
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from app.bench import serving
from app.storage import server_folder, user_folder
from einv2.checkpoints import checkpoint, headers
from einv2.commands import main as cli
from einv2.commands.main import parser
from einv2.experiments import bench, reproduce, scales
from einv2.models.build import build
from einv2.simulate import specification
from support.data_sets import flat, write
from support.places import ROOT
from support.readme import BLOCKS, README
from support.tiny_scale import TINY
from support.weights_of_others import their_checkpoint, their_state_dict

CARD = (headers.PRETRAINED / "README.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "app" / "examples" / "moving_dog.flac"
NETWORK = "--channels 4,4,8,8 --n-heads 2 --n-layers 1 --n-mels 16 --precision fp32 --chunk-seconds 2"
SMALL = {
    "train": f"{NETWORK} --epochs 1 --batch-size 2",
    "simulate": "--scenes 2 --seconds 8",
    "bench": "--small --model A",
}


def commands(block):
    return [line.partition("  #")[0].strip() for line in block if line.startswith("python -m einv2 ")]


FROM_NOTHING = next(block for block in BLOCKS if "data/train --scenes" in block[0])
TORCHRUN = [line for block in BLOCKS for line in block if line.startswith("torchrun ")]
COMMANDS = [command for block in BLOCKS if block is not FROM_NOTHING for command in commands(block)]


def small(words):
    """The arguments of a command, and behind them what makes it small."""
    return [*words, *("" if "--specification" in words else SMALL.get(words[0], "")).split()]


def words_of(command):
    """What follows ``python -m einv2``, as the shell splits it."""
    return [found for word in shlex.split(command)[3:] for found in (sorted(glob.glob(word)) or [word])]


@pytest.fixture
def here(tmp_path, monkeypatch, scenes, tiny_checkpoint):
    """A working directory in which stand the files that commands name, under those very names."""
    monkeypatch.chdir(tmp_path)
    for name in ("CLIP...", "clip.wav"):
        shutil.copy(EXAMPLE, name)  # what a file is, its content says
    for name in ("clip.csv", "CSV"):
        shutil.copy(EXAMPLE.with_suffix(".csv"), name)
    for name in ("PRED_DIR", "PRED_DIR2", "REF_DIR"):
        shutil.copytree(scenes / "metadata_dev", name)
    for name in ("DIR", "data/train"):
        shutil.copytree(scenes, name, ignore=shutil.ignore_patterns(".*"))
    write(tmp_path / "DCASE2020", flat(*(f"fold{n}_room1_mix001_ov1" for n in range(1, 7))), seconds=4.0)
    parts = {part: f"{part}-tau/fold3_room4_mix001" for part in ("dev-train", "dev-test")}
    write(tmp_path / "STARSS", {f"foa_dev/{clip}": f"metadata_dev/{clip}" for clip in parts.values()}, seconds=4.0)
    for name in ("A", "B", "last.safetensors"):
        checkpoint.save(tiny_checkpoint, name)
    for task in ("sed", "doa"):
        model = replace(tiny_checkpoint.model, task=task)
        checkpoint.save(replace(tiny_checkpoint, model=model, network=build(model)), f"{task.upper()}.safetensors")
    room = specification.SpecifiedRoom((5.0, 4.0, 3.0), 0.2)
    Path("SCENE.json").write_text(specification.to_text(specification.draw(1, 5, 2, 1, room)))
    torch.save(their_checkpoint(their_state_dict((4, 4, 8, 16), feedforward=8)), "THEIRS.pth")
    with h5py.File("SCALAR.h5", "w") as file:
        file["mean"], file["std"] = np.zeros((1, 7, 1, 256)), np.ones((1, 7, 1, 256))
    return tmp_path


def test_every_command_is_in_the_readme_and_every_block_is_known():
    assert {command.split()[3] for command in COMMANDS} == cli.COMMANDS.keys()
    assert len(COMMANDS) >= 20 and len(commands(FROM_NOTHING)) == len(FROM_NOTHING) == 5 and len(TORCHRUN) == 1


def seconds_of(function):
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


@pytest.mark.full("README commands")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_does_what_it_is_asked(here, monkeypatch, soundata, command):
    words = words_of(command)
    if words[0] == "fetch":
        soundata()
    if "RUN_DIR/last.safetensors" in words:
        Path("RUN_DIR").mkdir()
        Path("last.safetensors").rename("RUN_DIR/last.safetensors")
    monkeypatch.setattr(bench, "measure", seconds_of)
    monkeypatch.setitem(scales.SCALES, "small", TINY)
    monkeypatch.setattr(reproduce, "simulate_data", functools.partial(reproduce.simulate_data, seconds=8))
    before = set(here.rglob("*"))
    assert cli.main(small(words)) == 0
    if "--out" in words or words[0] in ("simulate", "export", "import-official"):
        assert words[0] == "fetch" or {path for path in here.rglob("*") if path.is_file()} - before


@pytest.mark.full("README commands")
def test_from_nothing_to_a_scored_network(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for command in commands(FROM_NOTHING):
        assert cli.main(small(words_of(command))) == 0, command
    assert "SELD" in capsys.readouterr().out


@pytest.mark.full("README commands")
def test_several_processes(here):
    """As written, but for the number of processes: this machine may have two cores."""
    command = re.sub(r"--nproc-per-node=\d+", "--standalone --nproc-per-node=2", TORCHRUN[0])
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(f"{command} {SMALL['train']}", shell=True, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and Path("runs/d/best.safetensors").is_file(), done.stderr


@pytest.mark.full("README commands")
def test_the_server_of_a_data_root(tmp_path, monkeypatch):
    """Its folders and its limit are those of the line, with which the server comes up."""
    (line,) = (line for block in BLOCKS for line in block if "--data-root DIR" in line)
    command, _, arguments = line.partition(" -- ")
    assert command == ".venv/bin/streamlit run app/main.py"
    folder = tmp_path / "DIR"
    folder.mkdir()
    given = [str(folder) if word == "DIR" else word for word in arguments.split()]
    monkeypatch.setattr(sys, "argv", ["main.py", *given])
    assert server_folder.data_root() == user_folder.root() == folder and user_folder.limit_bytes() == 50 * 2**30
    with serving(arguments=given) as (address, _):
        assert urllib.request.urlopen(address, timeout=60).status == 200


def test_the_notebook(here):
    (block,) = (block for block in BLOCKS if block[0] == "import einv2")
    found = {}
    exec("\n".join(block), found)
    assert len(found["events"]) and found["scores"]["F"] > 0.5


def test_the_commands_of_the_model_card_have_arguments_that_there_are(tmp_path):
    """They take days, so that they are read and not run; by the shell, for they use its variables."""
    lines = [line.strip() for line in CARD.splitlines() if line.startswith("    ")]
    spoken = 'python() { shift 2; printf "%s\\037" "$@"; echo; }\n' + "\n".join(lines)
    done = subprocess.run(["bash", "-c", spoken], cwd=tmp_path, capture_output=True, text=True, check=True)
    spoken_words = [line.split("\037")[:-1] for line in done.stdout.splitlines()]
    assert len(spoken_words) > 10
    for words in spoken_words:
        parser(cli.COMMANDS).parse_args(["accdoa" if word == "NAME" else word for word in words])


def test_flags_that_the_readme_names_are_there():
    """In the text, too."""
    helps = "".join(parser(cli.COMMANDS)._subparsers._group_actions[0].choices[c].format_help() for c in cli.COMMANDS)
    ours = "\n".join(line for line in README.splitlines() if "streamlit run" not in line and "torchrun" not in line)
    others = {"--load", "--scaling", "--test", "--check", "--data-root"}  # of the app and of ruff
    for flag in set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", ours)) - others:
        assert re.search(rf"{flag}\b", helps), flag
