import json

import pytest

from einv2.config import FeatureConfig, ModelConfig, TrainConfig, from_json, to_json


@pytest.mark.parametrize(
    "config",
    [
        FeatureConfig(n_mels=32),
        ModelConfig.released(
            n_tracks=3, channels=(8, 8), time_pooling=(2, 2), frequency_pooling=(2, 2), stitch_blocks=(1,)
        ),
        TrainConfig(pit="cpit", epochs=3),
    ],
)
def test_json_round_trip_is_exact(config):
    assert from_json(type(config), json.loads(json.dumps(to_json(config)))) == config


@pytest.mark.parametrize(
    "cls, values, message",
    [
        (ModelConfig, {"n_track": 2}, "n_track"),
        (ModelConfig, {"n_tracks": "2"}, "n_tracks"),
        (ModelConfig, {"n_tracks": True}, "n_tracks"),
        (ModelConfig, {"channels": [64, 128.5, 256, 512]}, "channels"),
        (ModelConfig, {"stitch_order": "both"}, "stitch_order"),
        (ModelConfig, {"stitch_blocks": [5]}, "stitch_blocks"),
        (ModelConfig, {"n_heads": 7}, "n_heads"),
        (FeatureConfig, {"hop": 601}, "hop"),
        (FeatureConfig, {"f_max": 13000.0}, "f_max"),
        (TrainConfig, {"pit": "upit"}, "pit"),
        (TrainConfig, [], "object"),
    ],
)
def test_what_does_not_fit_is_named(cls, values, message):
    with pytest.raises(ValueError, match=message):
        from_json(cls, values)


def test_frames_are_whole_numbers():
    config = FeatureConfig()
    assert (config.samples_per_label_frame, config.frames_per_label_frame) == (2400, 4)
