"""A scale of `reproduce` that runs in seconds."""

from einv2.config import FeatureConfig, ModelConfig, TrainConfig
from einv2.experiments import scales

TINY = scales.Scale(
    n_train=3,
    n_dense=1,
    n_validation=1,
    n_test=2,
    model=ModelConfig.released(channels=(4, 4, 8, 8), n_heads=2, feedforward=16, dropout=0.0),
    features=FeatureConfig(n_mels=32),
    train=TrainConfig(epochs=1, batch_size=4, chunk_seconds=2, precision="fp32", schedule="one-cycle"),
)
