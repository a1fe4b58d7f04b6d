"""A configuration as flags, and back."""

import argparse
import dataclasses
import subprocess
import sys

import pytest

from einv2.commands import config_flags
from einv2.config import FeatureConfig, ModelConfig, TrainConfig
from einv2.simulate.scene import SceneConfig


def options_of(cls, words):
    parser = argparse.ArgumentParser()
    config_flags.add(parser, cls)
    return parser.parse_args(words)


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(),
        ModelConfig.crnn(n_tracks=3),
        ModelConfig.released(channels=(8, 16), time_pooling=(2, 2), frequency_pooling=(2, 2), stitch_blocks=(1,)),
        FeatureConfig(n_mels=32, f_min=0.1 + 0.2),
        TrainConfig(rotate=False, learning_rate=1 / 3, pit="none"),
        SceneConfig(snr_db=(-5.0, 10.0)),
        SceneConfig.disturbed(),
    ],
)
def test_what_is_written_is_read_back(config):
    words = config_flags.arguments(config)
    options = options_of(type(config), words)
    assert config_flags.read(type(config), options) == config
    changed = {f.name for f in dataclasses.fields(config) if getattr(config, f.name) != f.default}
    assert options.given == changed


def test_a_preset_gives_way_to_flags_and_is_left_out_of_the_words():
    options = options_of(TrainConfig, ["--pit", "tpit"])  # typed, though it is the default
    config_flags.fill(options, {"pit": "cpit", "epochs": 7})
    assert (options.pit, options.epochs) == ("tpit", 7)
    assert config_flags.arguments(config_flags.read(TrainConfig, options), {"pit": "cpit", "epochs": 7}) == [
        "--pit",
        "tpit",
    ]
    assert config_flags.arguments(TrainConfig(seed=3, epochs=7), leave_out=["epochs"]) == ["--seed", "3"]


def test_the_list_of_commands_needs_no_torch():
    code = "import sys; from einv2.commands import main; main.parser([]).format_help(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
