"""The measured speed of a training."""

import dataclasses
import json

import numpy as np
import pytest

from app.jobs import training_speed
from app.storage import user_folder
from einv2.config import FeatureConfig, ModelConfig
from einv2.datasets import chunking, discovery
from einv2.labels import class_lists
from support.trainings import TRAIN, order

pytestmark = pytest.mark.usefixtures("six_scenes")


def test_the_chunks_of_an_epoch_are_estimated(scenes, rng, tiny_features):
    clips = discovery.find_clips(scenes)
    for seconds in (2, 3, 8, 20):
        chunks = chunking.ChunkSet(clips, tiny_features, 2, class_lists.DCASE2020_CLASSES, seconds)
        mean = np.mean([len(chunks.plan(rng)) for _ in range(200)])
        assert training_speed._chunks(clips, seconds).sum() == pytest.approx(mean, rel=0.05)


@pytest.mark.parametrize("batch_size", [1, 32])
def test_speed_is_measured_on_a_few_steps(tmp_path, batch_size):
    asked = order(dropout=0.0)
    asked = dataclasses.replace(asked, train=dataclasses.replace(TRAIN, batch_size=batch_size, validation_share=0.2))
    speed = training_speed.measure(training_speed.describe(asked), tmp_path / "speed.json")
    said = json.loads((tmp_path / "speed.json").read_text())
    assert said == {"share": 0.9, "text": "Validating"}
    assert speed.chunks == pytest.approx(15, abs=1) and speed.steps == max(speed.chunks // batch_size, 1)
    assert 0 < speed.chunks / speed.chunks_a_second < speed.seconds_an_epoch < 60
    assert speed.total(10) == pytest.approx(10 * speed.seconds_an_epoch + speed.features_seconds)
    assert speed.epochs_in(speed.total(7) + speed.seconds_an_epoch / 2) == 7 and speed.epochs_in(0) == 1
    assert not list(user_folder.path_of("scenes", "six").glob(".features*"))


def test_epochs_and_name_need_no_new_measurement():
    first, later = order(), order("other")
    later = dataclasses.replace(later, train=dataclasses.replace(TRAIN, epochs=50, seed=TRAIN.seed))
    assert training_speed.describe(first) == training_speed.describe(later)
    assert training_speed.describe(first) != training_speed.describe(dataclasses.replace(first, size="compact"))
    described = json.loads(json.dumps(training_speed.describe(first)))
    assert described == training_speed.describe(first)
    assert {"ModelConfig", "FeatureConfig", "TrainConfig"} <= described.keys()
    assert (ModelConfig, FeatureConfig) == tuple(type(c) for c in first.configs[:2])
