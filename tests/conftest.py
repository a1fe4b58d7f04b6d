import numpy as np
import pytest
import torch

from einv2 import checkpoint, foa, labels, models
from einv2.config import FeatureConfig, ModelConfig
from einv2.simulate import SceneConfig, SourceBank, write_scenes

torch.set_num_threads(1)  # the networks here are too small for more


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def tiny_model():
    """A network small enough to run in milliseconds."""
    return ModelConfig(channels=(4, 4, 8, 8), n_heads=2, feedforward=16)


@pytest.fixture
def tiny_features():
    return FeatureConfig(n_mels=16)


@pytest.fixture
def scene_audio(rng):
    """Two seconds (4, S) of two noise sources from different directions, in turn."""
    first, second = rng.standard_normal((2, 24000)) * 0.1
    return np.concatenate([foa.encode(first, 40, 10), foa.encode(second, -100, -20)], axis=1).astype(np.float32)


@pytest.fixture(scope="session")
def bank():
    """Procedural sources only: there is no folder of recordings."""
    return SourceBank(labels.DCASE2020_CLASSES, None, 0.2)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory, bank):
    """A data set of six scenes of 8 s. Tests may cache features beside it, and change nothing else."""
    root = tmp_path_factory.mktemp("scenes")
    list(write_scenes(root, 6, SceneConfig(seconds=8, event_seconds=(0.8, 3.0)), bank, seed=3))
    return root


@pytest.fixture
def tiny_checkpoint(tiny_model, tiny_features):
    """A random network whose classes differ from frame to frame, with statistics, provenance, scores and curve."""
    torch.manual_seed(1)
    network = models.build(tiny_model).eval()
    for track in network.tracks:
        torch.nn.init.normal_(track.sed_head.weight, std=2.0)
    return checkpoint.Checkpoint(
        network,
        tiny_model,
        tiny_features,
        labels.DCASE2020_CLASSES,
        torch.randn(1, 7, 1, tiny_features.n_mels) - 40,
        torch.rand(1, 7, 1, tiny_features.n_mels) + 10,
        {"data": "simulated", "seed": 3},
        {"validation": {"ER": 0.5, "F": 0.25}},
        [{"epoch": 1, "loss": 0.7}, {"epoch": 2, "loss": 0.6}],
    )
