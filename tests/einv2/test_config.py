import json
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Part:
    name: str = field(metadata={"key": "class"})
    span: tuple[float, float]


@dataclass(frozen=True)
class Whole:
    main: Part
    parts: tuple[Part, ...] = ()
    spare: Part | None = None
    limit: float | None = None


WHOLE = Whole(Part("a", (0.0, 1.0)), (Part("b", (1.0, 2.0)), Part("c", (2.0, 3.0))))


def test_nested_dataclasses_lists_and_none_make_the_round_trip():
    values = to_json(WHOLE)
    assert values["main"] == {"class": "a", "span": [0.0, 1.0]} and values["spare"] is values["limit"] is None
    assert from_json(Whole, json.loads(json.dumps(values))) == WHOLE
    full = Whole(WHOLE.main, (), spare=WHOLE.main, limit=1.0)
    assert from_json(Whole, json.loads(json.dumps(to_json(full)))) == full


@pytest.mark.parametrize(
    "change, message",
    [
        ({"main": {"class": "a"}}, "the main of Whole has no span"),
        ({"main": {"name": "a", "span": []}}, "the main of Whole has an unknown key, 'name'"),
        ({"main": None}, "the main of Whole must be an object, not NoneType"),
        ({"parts": [{"class": "a", "span": []}, {"class": 3, "span": []}]}, "part 2: class must be of type str, not 3"),
        ({"parts": {}}, "Whole: parts must be a list"),
        ({"limit": "1"}, "Whole: limit must be of type float"),
    ],
)
def test_what_does_not_fit_in_a_nested_dataclass_is_named(change, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        from_json(Whole, to_json(WHOLE) | change)
