"""Configurations: one frozen dataclass per concern, stored in the checkpoint and rebuilt from it.

The meaning of a field, with its unit, is beside its type; ``field_help`` returns it for the command line and the pages. A round
trip through JSON is exact; an unknown key or a value of the wrong type is a ``ValueError`` that names it.
"""

import dataclasses
import math
import reprlib
import types
import typing
from dataclasses import MISSING, dataclass, fields
from typing import Annotated, Any, TypeVar

from .frames import CHUNK_SECONDS, LABEL_FRAMES_PER_SECOND, MAX_CHUNK_SECONDS, SAMPLE_RATE

T = TypeVar("T")
MIN_RATE, MAX_RATE = 8000, 192000  # Hz, of clips and of features
CRNN_BANDS = 2  # frequency bands in the input of the crnn's recurrent layers, as in the DCASE 2020 baseline


@dataclass(frozen=True)
class FeatureConfig:
    """Log-mel and intensity-vector features, as the authors' released code computes them."""

    sample_rate: Annotated[int, "rate that clips are resampled to, Hz"] = SAMPLE_RATE
    n_fft: Annotated[int, "length of the periodic Hann window, samples"] = 1024
    hop: Annotated[int, "step between feature frames, samples; 600 is 25 ms at 24 kHz"] = 600
    n_mels: Annotated[int, "mel bands"] = 64
    f_min: Annotated[float, "lower end of the mel bands, Hz"] = 20.0
    f_max: Annotated[float, "upper end of the mel bands, Hz"] = 12000.0

    def __post_init__(self) -> None:
        _require_positive(self, "sample_rate", "n_fft", "hop", "n_mels", "f_max")
        if not MIN_RATE <= self.sample_rate <= MAX_RATE:
            raise ValueError(f"sample_rate {self.sample_rate} Hz must lie in {MIN_RATE} to {MAX_RATE} Hz")
        if self.n_fft > self.sample_rate:
            raise ValueError(f"n_fft {self.n_fft} must not be longer than a second, {self.sample_rate} samples")
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
    """The network. The defaults are EINV2 of the paper's Table 1 and equations; ``released()`` is what the released code builds.

    Some fields have an effect only with others (``without_effect``): sharing needs two branches; stitch_* soft sharing;
    positional_scale and positions_in a positional encoding; scaled_attention, attention_bias and residual_norm the layer mhsa. In
    the class-wise output formats n_tracks is that of the reference only; crnn uses channels, pooling, n_layers and dropout.

    Equations are those of the paper. "simultaneous" mixes both maps from the originals, as in equation 7; "sequential" mixes the
    DoA map with the already mixed SED map, as the released code does. Where the paper is explicit the default follows it: equation 5
    adds positions to queries and keys, and has neither 1 / sqrt(d) nor biases. Two defaults are not in the paper: residual_norm,
    because the transformer that the paper cites has both, and because Table 1 without them learns less; and dropout, which is that
    of the released code.
    """

    n_tracks: Annotated[int, "output tracks: the number of simultaneous events that can be separated"] = 2
    n_classes: Annotated[int, "classes"] = 14
    network: Annotated[str, "einv2, or crnn: the SELDnet baseline of DCASE 2020"] = "einv2"
    output_format: Annotated[
        str, "trackwise (one event a track), seldnet (an activity and a direction a class) or accdoa (a vector a class)"
    ] = "trackwise"
    sharing: Annotated[
        str, "of convolution blocks by SED and DoA: soft (equation 7), hard (one stack for both) or none"
    ] = "soft"
    task: Annotated[str, "seld (both branches), sed (activities only) or doa (directions only)"] = "seld"
    channels: Annotated[tuple[int, ...], "width of each convolution block"] = (64, 128, 256, 512)
    time_pooling: Annotated[
        tuple[int, ...], "pooling over time after each block; the product is the feature frames in 100 ms"
    ] = (2, 2, 1, 1)
    frequency_pooling: Annotated[tuple[int, ...], "pooling over mel bands after each block"] = (2, 2, 2, 2)
    stitch_blocks: Annotated[
        tuple[int, ...], "blocks, from 1, after which the SED and DoA maps are cross-stitched (equation 7)"
    ] = (1, 2, 3)
    stitch_order: Annotated[str, "simultaneous (the paper) or sequential (the released code)"] = "simultaneous"
    stitch_tracks: Annotated[bool, "also cross-stitch at the end of each track"] = True
    track_layer: Annotated[
        str,
        "mhsa (equations 5 and 6) or transformer (the standard encoder layer of the released code, with feed-forward)",
    ] = "mhsa"
    positional_encoding: Annotated[bool, "add equation 4 in the track layers"] = True
    positional_scale: Annotated[float, "amplitude of the positional encoding; 0.1 is equation 4"] = 0.1
    positions_in: Annotated[
        str,
        "query-key (equation 5: in queries and keys of every layer, not in values) or sequence (the released code: added once "
        "before the first layer, and so also in values and residual)",
    ] = "query-key"
    scaled_attention: Annotated[
        bool,
        "layer mhsa: divide scores by the root of a head's width; equation 5 does not, the layer transformer always does",
    ] = False
    attention_bias: Annotated[
        bool,
        "layer mhsa: biases of queries, keys and values; equation 5 has none, the layer transformer always has them",
    ] = False
    residual_norm: Annotated[
        bool,
        "layer mhsa: residual connection and layer norm, which Table 1 does not draw; the layer transformer always has both",
    ] = True
    n_layers: Annotated[int, "layers of each track and branch"] = 2
    n_heads: Annotated[int, "attention heads of a layer"] = 8
    feedforward: Annotated[int, "width inside a transformer layer"] = 1024
    dropout: Annotated[float, "share dropped in the track layers, 0 up to 1"] = 0.2

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
        _require_one_of(self, "positions_in", ("query-key", "sequence"))
        if not math.isfinite(self.positional_scale):
            raise ValueError(f"positional_scale must be a finite number, not {self.positional_scale}")
        _require_one_of(self, "network", ("einv2", "crnn"))
        _require_one_of(self, "output_format", ("trackwise", "seldnet", "accdoa"))
        _require_one_of(self, "sharing", ("soft", "hard", "none"))
        _require_one_of(self, "task", ("seld", "sed", "doa"))
        if self.network == "crnn" and (self.output_format, self.task) != ("seldnet", "seld"):
            raise ValueError(
                f"network crnn has output_format seldnet and task seld only, not {self.output_format} and {self.task}"
            )
        if self.output_format == "accdoa" and self.task != "seld":
            raise ValueError(f"output_format accdoa has one branch for both, so the task must be seld, not {self.task}")
        if self.network == "einv2" and self.channels[-1] % self.n_heads:
            raise ValueError(f"n_heads {self.n_heads} must divide the last of channels, {self.channels[-1]}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout {self.dropout} must lie in [0, 1)")

    @staticmethod
    def as_once_meant(values: dict) -> dict:
        """The JSON values of an older file, completed by the fields that it lacks and that did not have today's default then.

        At that time positions, of amplitude 1, were added once before the first layer; attention was scaled and had biases.
        """
        then: dict[str, Any] = {}
        if values.get("positional_encoding", True):
            then |= {"positional_scale": 1.0, "positions_in": "sequence"}
        if values.get("track_layer", "mhsa") == "mhsa":
            then |= {"scaled_attention": True, "attention_bias": True}
        return then | values

    @classmethod
    def released(cls, **changes) -> "ModelConfig":
        """The network of the authors' released code and weights."""
        released: dict[str, Any] = dict(
            stitch_order="sequential", stitch_tracks=False, track_layer="transformer", positional_encoding=False
        )
        return cls(**(released | changes))

    @classmethod
    def crnn(cls, **changes) -> "ModelConfig":
        """The SELDnet baseline of DCASE 2020."""
        sizes = dict(channels=(64, 64, 64), time_pooling=(4, 1, 1), frequency_pooling=(4, 4, 2), stitch_blocks=())
        baseline: dict[str, Any] = dict(network="crnn", output_format="seldnet", dropout=0.0, **sizes)
        return cls(**(baseline | changes))


CRITERION = {
    "seld": "SELD",
    "sed": "F",
    "doa": "LE",
}  # for each task, the validation score that decides which epoch is best


@dataclass(frozen=True)
class TrainConfig:
    """One training run."""

    pit: Annotated[str, "permutation-invariant training: tpit (frame level), cpit (chunk level) or none"] = "tpit"
    chunk_seconds: Annotated[
        int, "length of a training chunk, s; the network later predicts in chunks of this length"
    ] = CHUNK_SECONDS
    epochs: Annotated[int, "passes over the data"] = 100
    patience: Annotated[int, "stop after this number of epochs without a better validation score; 0: never"] = 0
    batch_size: Annotated[int, "chunks in a step, over all processes together"] = 32
    learning_rate: Annotated[float, "of AdamW, at its highest"] = 5e-4
    schedule: Annotated[
        str,
        "steps (the paper: constant, then a tenth of that for the last tenth of the run) or one-cycle (cosine up and down)",
    ] = "steps"
    warmup_share: Annotated[float, "one-cycle: share of all steps that rise to the peak, 0 to 1"] = 0.2
    weight_decay: Annotated[float, "of AdamW"] = 0.02
    clip_norm: Annotated[float, "a step whose gradients have a larger norm is scaled down to this; 0: never"] = 5.0
    sed_weight: Annotated[float, "share of the SED loss in the total, 0 to 1; the DoA loss has the rest"] = 0.5
    overlap_weight: Annotated[
        float, "how often a frame with two or more events counts in the losses of trackwise output"
    ] = 1.0
    masked_loss: Annotated[
        str,
        "DoA loss of the SELDnet format, over the active classes: mse (mean squared error) or root (root of the sum of squares "
        "divided by their number, as in the DCASE 2020 baseline)",
    ] = "mse"
    chunk_offset: Annotated[
        bool,
        "cut the chunks of a clip from a random start, new in each epoch; off: end to end from the start of the clip",
    ] = True
    rotate: Annotated[bool, "rotate and mirror the scenes: the 16 channel-swap and sign patterns of FOA"] = True
    time_mask_frames: Annotated[
        float, "widest SpecAugment mask over time: feature frames, or below 1 a share of the chunk; 0 for none"
    ] = 0.25
    frequency_mask_bins: Annotated[
        float, "widest SpecAugment mask over frequency: mel bands, or below 1 a share of them; 0 for none"
    ] = 0.3375  # 27 of 80 bands, as in SpecAugment
    gain_db: Annotated[float, "largest random change of a chunk's level, up or down, dB"] = 6.0
    filter_db: Annotated[
        float, "FilterAugment: random smooth filter over the mel bands, up or down, dB; 0 for none"
    ] = 0.0
    shift_bins: Annotated[int, "widest shift along the mel bands, up or down, bands; 0 for none"] = 0
    average_decay: Annotated[
        float, "validate and save a moving average of the weights over the steps, with this decay per step; 0 for none"
    ] = 0.0
    precision: Annotated[str, "fp32, bf16, or auto: bf16 where the processor multiplies it natively"] = "auto"
    validation_share: Annotated[float, "share of the clips held out when no validation folder is given, 0 to 1"] = 0.05
    seed: Annotated[int, "of all random numbers: weights, order, augmentation"] = 2020

    def __post_init__(self) -> None:
        _require_positive(self, "chunk_seconds", "epochs", "batch_size", "learning_rate", "overlap_weight")
        if self.chunk_seconds > MAX_CHUNK_SECONDS:
            raise ValueError(f"chunk_seconds {self.chunk_seconds} must be at most {MAX_CHUNK_SECONDS}")
        _require_one_of(self, "pit", ("none", "tpit", "cpit"))
        _require_one_of(self, "schedule", ("steps", "one-cycle"))
        _require_one_of(self, "precision", ("auto", "fp32", "bf16"))
        _require_one_of(self, "masked_loss", ("mse", "root"))
        for name in ("warmup_share", "sed_weight", "validation_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} {getattr(self, name)} must lie in [0, 1]")
        if not 0 <= self.average_decay < 1:
            raise ValueError(f"average_decay {self.average_decay} must lie in [0, 1)")
        for name in (
            "patience",
            "weight_decay",
            "clip_norm",
            "time_mask_frames",
            "frequency_mask_bins",
            "gain_db",
            "filter_db",
            "shift_bins",
            "seed",
        ):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("time_mask_frames", "frequency_mask_bins"):
            if getattr(self, name) > 1 and getattr(self, name) % 1:
                raise ValueError(f"{name} must be a whole number, or a share below 1, not {getattr(self, name)}")


def require_compatible(model: ModelConfig, features: FeatureConfig) -> None:
    """ValueError unless the network pools 100 ms of features to one output frame, and its pooling leaves enough bands."""
    if math.prod(model.time_pooling) != features.frames_per_label_frame:
        raise ValueError(
            f"time_pooling {model.time_pooling} joins {math.prod(model.time_pooling)} feature frames, but hop "
            f"{features.hop} makes {features.frames_per_label_frame} in 100 ms"
        )
    n_bands, least = features.n_mels // math.prod(model.frequency_pooling), CRNN_BANDS if model.network == "crnn" else 1
    if n_bands < least:
        raise ValueError(
            f"frequency_pooling {model.frequency_pooling} leaves {n_bands} of n_mels {features.n_mels}; "
            f"{model.network} needs at least {least}"
        )


def field_help(cls: type) -> dict[str, str]:
    """The meaning of each field of a configuration, with its unit."""
    return {name: hint.__metadata__[0] for name, hint in typing.get_type_hints(cls, include_extras=True).items()}


def to_json(config: Any) -> dict[str, Any]:
    """A dataclass as plain JSON values: nested dataclasses as objects, tuples as lists."""
    return {_key(f): _plain(getattr(config, f.name)) for f in fields(config)}


def from_json(cls: type[T], values: Any, name: str = "") -> T:
    """The dataclass ``cls`` with these JSON values. ValueError if a key is missing or unknown, or a value is of the wrong type.

    Fields may be int, float, str, bool, another dataclass, a tuple of these, or one of them or None. A field whose metadata
    hold a ``key`` has that name in the JSON. A field that an older file lacks has its default, or what ``cls.as_once_meant``
    gives for it. ``name`` is the object's name in error messages.
    """
    name = name or cls.__name__
    if not isinstance(values, dict):
        raise ValueError(f"{name} must be an object, not {type(values).__name__}")
    if as_once_meant := getattr(cls, "as_once_meant", None):
        values = as_once_meant(values)
    by_key = {_key(f): f for f in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(values.keys() - by_key.keys()):
        raise ValueError(f"{name} has an unknown key, {', '.join(map(repr, unknown))}")
    required = (key for key, f in by_key.items() if f.default is MISSING and f.default_factory is MISSING)
    if missing := [key for key in required if key not in values]:
        raise ValueError(f"{name} has no {', '.join(missing)}")
    kinds = typing.get_type_hints(cls)
    return cls(**{f.name: _typed(kinds[f.name], values[k], k, name) for k, f in by_key.items() if k in values})


def _key(field: dataclasses.Field) -> str:
    """The field's name in the JSON."""
    return field.metadata.get("key", field.name)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_json(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _typed(kind: Any, value: Any, key: str, owner: str) -> Any:
    """The JSON value of a field as its type ``kind``. An item of the list ``sources`` is called "source 1" in errors."""
    if isinstance(kind, types.UnionType):
        return None if value is None else _typed(typing.get_args(kind)[0], value, key, owner)
    if typing.get_origin(kind) is tuple:
        item = typing.get_args(kind)[0]
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{owner}: {key} must be a list, not {reprlib.repr(value)}")
        if isinstance(item, type) and dataclasses.is_dataclass(item):
            return tuple(from_json(item, v, f"{key.removesuffix('s')} {n}") for n, v in enumerate(value, 1))
        return tuple(_typed(item, v, key, owner) for v in value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return from_json(kind, value, f"the {key} of {owner}")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError(f"{owner}: {key} is too large a number")
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"{owner}: {key} must be of type {kind.__name__}, not {reprlib.repr(value)}")
    return value


def _require_positive(config: Any, *names: str) -> None:
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be greater than 0, not {getattr(config, name)}")


def _require_one_of(config: Any, name: str, allowed: tuple[str, ...]) -> None:
    if getattr(config, name) not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {getattr(config, name)!r}")


_READ_BY_CRNN = {"network", "output_format", "task", "n_tracks", "n_classes", "channels", "n_layers", "dropout"} | {
    "time_pooling",
    "frequency_pooling",
}


def without_effect(model: ModelConfig, train: TrainConfig) -> dict[str, str]:
    """The fields of both configurations that have no effect on this network and its training, each with the reason."""
    return _idle_of_model(model) | _idle_of_train(model, train)


def _idle_of_model(model: ModelConfig) -> dict[str, str]:
    if model.network == "crnn":
        names = [f.name for f in fields(ModelConfig) if f.name not in _READ_BY_CRNN]
        return dict.fromkeys(names, "the network crnn has no such part")
    stitches = ("stitch_blocks", "stitch_order", "stitch_tracks")
    idle: dict[str, str] = {}
    if not _has_two_losses(model):
        idle |= dict.fromkeys(("sharing", *stitches), "this network has one branch, and nothing to share")
    elif model.sharing != "soft":
        idle |= dict.fromkeys(stitches, f"cross-stitches belong to soft sharing, and here sharing is {model.sharing}")
    elif not model.stitch_blocks and not model.stitch_tracks:
        idle["stitch_order"] = "this network has no cross-stitches"
    if not model.positional_encoding:
        idle |= dict.fromkeys(("positional_scale", "positions_in"), "this network has no positional encoding")
    if model.track_layer == "transformer":
        of_mhsa = ("scaled_attention", "attention_bias", "residual_norm")
        idle |= dict.fromkeys(of_mhsa, "a transformer layer always has it; it is an option of the layer mhsa only")
    else:
        idle["feedforward"] = f"it belongs to transformer layers, and here track_layer is {model.track_layer}"
    return idle


def _idle_of_train(model: ModelConfig, train: TrainConfig) -> dict[str, str]:
    tracks = ("pit", "overlap_weight")
    idle: dict[str, str] = {}
    if model.output_format != "trackwise":
        idle |= dict.fromkeys(tracks, f"it acts on output tracks, and the format {model.output_format} has none")
    elif model.n_tracks == 1:
        idle |= dict.fromkeys(tracks, "it acts on several tracks, and this network has one")
    if not _has_two_losses(model):
        idle["sed_weight"] = "this network has one loss only"
    if model.output_format != "seldnet" or model.task == "sed":
        idle["masked_loss"] = "it is the loss of directions in the format seldnet"
    if train.schedule != "one-cycle":
        idle["warmup_share"] = f"it belongs to the schedule one-cycle, and here it is {train.schedule}"
    return idle


def _has_two_losses(model: ModelConfig) -> bool:
    """Whether detection and direction each have a branch."""
    return model.task == "seld" and model.output_format != "accdoa"
