import numpy as np
import pytest
import torch

from einv2 import foa
from einv2.config import FeatureConfig, ModelConfig

torch.set_num_threads(2)


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
