"""Networks. ``build`` makes any of them from its configuration."""

from ..config import ModelConfig
from .einv2 import EINV2, Output

__all__ = ["EINV2", "Output", "build"]


def build(config: ModelConfig) -> EINV2:
    """The network that a configuration describes, randomly initialised."""
    return EINV2(config)
