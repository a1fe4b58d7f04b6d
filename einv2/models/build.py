"""Any network from its configuration."""

from torch import nn

from ..config import ModelConfig
from .crnn import CRNN
from .einv2 import EINV2


def build(config: ModelConfig) -> EINV2 | CRNN:
    """The network that a configuration describes, randomly initialised: features (B, 7, T, F) -> ``Output``."""
    return CRNN(config) if config.network == "crnn" else EINV2(config)


def count_parameters(network: nn.Module) -> int:
    """The number of trainable parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
