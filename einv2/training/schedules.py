"""Learning rates over a run, as a fraction of the highest."""

import math

from ..config import TrainConfig


def rate(share: float, config: TrainConfig) -> float:
    """The learning rate when ``share`` of the run, 0 to 1, is done."""
    part = one_cycle(share, config.warmup_share) if config.schedule == "one-cycle" else steps(share)
    return config.learning_rate * part


def one_cycle(share: float, warmup_share: float) -> float:
    """Half a cosine up from 0.04, half a cosine down to 0."""
    if share < warmup_share:
        return 0.04 + 0.96 * (1 - math.cos(math.pi * share / warmup_share)) / 2
    return (1 + math.cos(math.pi * (share - warmup_share) / (1 - warmup_share))) / 2


def steps(share: float) -> float:
    """The paper's schedule: 5e-4 for 90 epochs, 5e-5 for 10."""
    return 1.0 if share < 0.9 else 0.1
