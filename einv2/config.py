"""Configurations: one frozen dataclass per concern, kept in the checkpoint and rebuilt from it.

Every field has a unit in its name or in the comment beside it. A round trip through JSON is exact; an unknown key or a
value of the wrong kind is a ``ValueError`` that names it.
"""

import dataclasses
import typing
from dataclasses import dataclass

LABEL_FRAME_MS = 100  # the time step of every DCASE SELD annotation and of the network's output
LABEL_FRAMES_PER_SECOND = 1000 // LABEL_FRAME_MS
LABEL_FRAME_SECONDS = LABEL_FRAME_MS / 1000


@dataclass(frozen=True)
class FeatureConfig:
    """Log-mel and intensity-vector features, as the authors' released code computes them."""

    sample_rate: int = 24000  # Hz
    n_fft: int = 1024  # samples of the periodic Hann window
    hop: int = 600  # samples; 25 ms at 24 kHz
    n_mels: int = 64
    f_min: float = 20.0  # Hz
    f_max: float = 12000.0  # Hz

    def __post_init__(self) -> None:
        _require_positive(self, "sample_rate", "n_fft", "hop", "n_mels", "f_max")
        if self.sample_rate % LABEL_FRAMES_PER_SECOND:
            raise ValueError(f"sample_rate {self.sample_rate} Hz does not hold a whole number of samples in 100 ms")
        if self.samples_per_label_frame % self.hop:
            raise ValueError(f"hop {self.hop} does not divide a label frame of {self.samples_per_label_frame} samples")
        if not 0 <= self.f_min < self.f_max <= self.sample_rate / 2:
            raise ValueError(f"f_min {self.f_min} and f_max {self.f_max} must rise within 0 to half of the sample rate")

    @property
    def samples_per_label_frame(self) -> int:
        return self.sample_rate // LABEL_FRAMES_PER_SECOND

    @property
    def frames_per_label_frame(self) -> int:
        return self.samples_per_label_frame // self.hop


@dataclass(frozen=True)
class ModelConfig:
    """EINV2. The defaults are the paper's Table 1; ``released()`` is what the authors' released code builds.

    channels: width of each convolution block; the last is the width of the track heads.
    time_pooling, frequency_pooling: average pooling after each block. The product of ``time_pooling`` is the number of
        feature frames in an output frame.
    stitch_blocks: after which convolution blocks (from 1) the SED and the DoA maps are cross-stitched (equation 7).
    stitch_order: "simultaneous" mixes both maps from the originals, as equation 7 has it; "sequential" mixes the DoA map
        with the already mixed SED map, as the released code does.
    stitch_tracks: cross-stitch once more at the end of each track, between its SED and its DoA sequence.
    track_layer: "mhsa" (equations 5 and 6) or "transformer" (a standard encoder layer: attention, then feed-forward).
    positional_encoding: add equation 4 before the track layers.
    """

    n_tracks: int = 2
    n_classes: int = 14
    channels: tuple[int, ...] = (64, 128, 256, 512)
    time_pooling: tuple[int, ...] = (2, 2, 1, 1)
    frequency_pooling: tuple[int, ...] = (2, 2, 2, 2)
    stitch_blocks: tuple[int, ...] = (1, 2, 3)
    stitch_order: str = "simultaneous"
    stitch_tracks: bool = True
    track_layer: str = "mhsa"
    positional_encoding: bool = True
    n_layers: int = 2
    n_heads: int = 8
    feedforward: int = 1024  # width inside a "transformer" track layer
    dropout: float = 0.2

    def __post_init__(self) -> None:
        _require_positive(self, "n_tracks", "n_classes", "n_layers", "n_heads", "feedforward")
        n = len(self.channels)
        if not n or min(self.channels) < 1:
            raise ValueError(f"channels {self.channels} must be one positive width per convolution block")
        for name in ("time_pooling", "frequency_pooling"):
            if len(getattr(self, name)) != n or min(getattr(self, name)) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be {n} positive numbers, one for each of channels")
        if not set(self.stitch_blocks) <= set(range(1, n + 1)):
            raise ValueError(f"stitch_blocks {self.stitch_blocks} must be block numbers from 1 to {n}")
        _require_one_of(self, "stitch_order", ("simultaneous", "sequential"))
        _require_one_of(self, "track_layer", ("mhsa", "transformer"))
        if self.channels[-1] % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} must divide the last of channels, {self.channels[-1]}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must lie in [0, 1)")

    @classmethod
    def released(cls, **changes) -> "ModelConfig":
        """The network of the authors' released code and weights."""
        released = dict(
            stitch_order="sequential", stitch_tracks=False, track_layer="transformer", positional_encoding=False
        )
        return cls(**(released | changes))


@dataclass(frozen=True)
class TrainConfig:
    """One training run. ``pit``: "tpit" (frame level), "cpit" (chunk level) or "none"."""

    pit: str = "tpit"
    chunk_seconds: int = 4
    epochs: int = 16
    batch_size: int = 32  # chunks
    learning_rate: float = 1.2e-3  # the peak of the one-cycle plan
    warmup_share: float = 0.2  # of all steps, rising to the peak
    weight_decay: float = 0.02
    sed_weight: float = 0.5  # of the SED loss in the total; the DoA loss has the rest
    rotate: bool = True  # the 16 channel-swap and sign patterns of FOA
    time_mask_frames: int = 24  # widest SpecAugment mask, feature frames; 0 for none
    frequency_mask_bins: int = 8  # widest SpecAugment mask, mel bins; 0 for none
    gain_db: float = 6.0  # level drawn per chunk within +- this
    precision: str = "auto"  # "fp32", "bf16", or "auto": bf16 where the processor multiplies it natively
    validation_share: float = 0.05  # of the scenes, when no validation folder is given
    seed: int = 2020

    def __post_init__(self) -> None:
        _require_positive(self, "chunk_seconds", "epochs", "batch_size", "learning_rate")
        _require_one_of(self, "pit", ("none", "tpit", "cpit"))
        _require_one_of(self, "precision", ("auto", "fp32", "bf16"))
        for name in ("warmup_share", "sed_weight", "validation_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in [0, 1]")


def to_json(config) -> dict:
    """A configuration as plain JSON values (tuples become lists)."""
    return {f.name: _plain(getattr(config, f.name)) for f in dataclasses.fields(config)}


def from_json(cls, values: dict):
    """The configuration of class ``cls`` with these values. ValueError on an unknown key or a wrong type."""
    if not isinstance(values, dict):
        raise ValueError(f"{cls.__name__} must be a JSON object, not {type(values).__name__}")
    types = typing.get_type_hints(cls)
    unknown = sorted(set(values) - {f.name for f in dataclasses.fields(cls)})
    if unknown:
        raise ValueError(f"{cls.__name__} has no field {', '.join(map(repr, unknown))}")
    return cls(**{name: _typed(cls, name, types[name], value) for name, value in values.items()})


def _plain(value):
    return list(value) if isinstance(value, tuple) else value


def _typed(cls, name, kind, value):
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{cls.__name__}.{name} must be a list, not {value!r}")
        return tuple(_typed(cls, name, item, v) for v in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{cls.__name__}.{name} must be of type {kind.__name__}, not {value!r}")
    return value


def _require_positive(config, *names) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be greater than 0, not {getattr(config, name)}")


def _require_one_of(config, name, allowed) -> None:
    if getattr(config, name) not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(config, name)!r}")
