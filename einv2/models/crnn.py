"""The SELDnet CRNN, baseline of DCASE 2020 (Adavanne et al., "Sound event localization and detection of overlapping
sources using convolutional recurrent neural networks", JSTSP 2019, as in github.com/sharathadavanne/seld-dcase2020).

``ModelConfig.crnn()`` has the baseline's sizes. Our features (7 channels, F mel bands) stand for the baseline's own.
"""

import torch
from torch import nn

from ..audio import features
from ..config import CRNN_BANDS, ModelConfig
from .einv2 import Output

WIDTH = 128  # of the recurrent layers and of the layer before each output


def conv_block(in_channels: int, out_channels: int, pooling: tuple[int, int], dropout: float) -> nn.Sequential:
    """3x3 convolution, batch norm, ReLU, max pooling: (B, C_in, T, F) -> (B, C_out, T / pt, F / pf)."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(pooling),
        nn.Dropout(dropout),
    )


class CRNN(nn.Module):
    """Features (B, 7, T, F) -> ``Output`` in the SELDnet format with T // (product of time_pooling) frames."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        poolings = zip(config.time_pooling, config.frequency_pooling)
        widths = zip((features.N_CHANNELS, *config.channels), config.channels, poolings)
        self.blocks = nn.Sequential(*(conv_block(*width, config.dropout) for width in widths))
        inputs = (config.channels[-1] * CRNN_BANDS, *[WIDTH] * (config.n_layers - 1))
        self.recurrent = nn.ModuleList(nn.GRU(n, WIDTH, batch_first=True, bidirectional=True) for n in inputs)
        self.dropout = nn.Dropout(config.dropout)
        self.sed_head, self.doa_head = (
            nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(config.dropout), nn.Linear(WIDTH, size))
            for size in (config.n_classes, 3 * config.n_classes)
        )

    def forward(self, x: torch.Tensor) -> Output:
        bands = self.blocks(x).tensor_split(CRNN_BANDS, dim=3)  # what is left of F; at 64 mels, one band each
        x = torch.cat([band.mean(dim=3) for band in bands], dim=1).transpose(1, 2)  # (B, T', C bands)
        for layer in self.recurrent:
            forward, backward = layer(self.dropout(x))[0].chunk(2, dim=-1)
            x = forward * backward  # the baseline multiplies both directions
        return Output(self.sed_head(x), torch.tanh(self.doa_head(x)).unflatten(2, (-1, 3)))
