"""How much data, training and testing a comparison gets."""

from dataclasses import dataclass
from typing import Any

from ..config import FeatureConfig, ModelConfig, TrainConfig
from ..frames import LABEL_FRAMES_PER_SECOND

# Two thirds of the frames have two events, and a third of these of the same class: a small network learns its tracks from these.
DENSE: dict[str, Any] = dict(polyphonic_share=1.0, same_class_share=0.4, gap_seconds=0.1, event_seconds=(1.0, 5.0))
PLAIN: dict[str, Any] = dict(
    rotate=False, time_mask_frames=0.0, frequency_mask_bins=0.0, gain_db=0.0, filter_db=0.0, shift_bins=0
)
# Rotation and SpecAugment, with masks of the default widths
AUGMENTED = PLAIN | {f: getattr(TrainConfig(), f) for f in ("rotate", "time_mask_frames", "frequency_mask_bins")}


@dataclass(frozen=True)
class Scale:
    """Numbers of scenes of 60 s (the dense ones have the settings ``DENSE``), the configurations, and the number of seeds.

    The augmentation of ``train`` is ignored: rows have ``PLAIN`` or ``AUGMENTED``. overlap_seconds: of the chunks in the test;
    None: as ``predict`` does by default. n_frames: how many of each clip are scored; None: up to its last reference event.
    """

    n_train: int
    n_dense: int
    n_validation: int
    n_test: int
    model: ModelConfig
    features: FeatureConfig
    train: TrainConfig
    n_seeds: int = 1
    overlap_seconds: float | None = None
    n_frames: int | None = None


SCALES = {
    "small": Scale(
        n_train=800,
        n_dense=400,
        n_validation=12,
        n_test=30,
        model=ModelConfig.released(channels=(16, 32, 64, 128), feedforward=512, dropout=0.0),
        features=FeatureConfig(n_mels=64),
        train=TrainConfig(epochs=6, schedule="one-cycle", learning_rate=1e-3, batch_size=16),
    ),
    "paper": Scale(
        n_train=500,
        n_dense=0,
        n_validation=100,
        n_test=200,
        model=ModelConfig(),
        features=FeatureConfig(n_mels=256),
        train=TrainConfig(weight_decay=0.01, clip_norm=0.0, chunk_offset=False, precision="fp32"),
        n_seeds=5,
        overlap_seconds=0.0,
        n_frames=60 * LABEL_FRAMES_PER_SECOND,
    ),
}
