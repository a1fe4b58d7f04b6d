"""The systems that the paper compares, each a change of the same configurations: what ``train --system`` and ``reproduce``
know by name.

The paper's figures are those of its tables, on the evaluation set of TAU-NIGENS Spatial Sound Events 2020: F and LR in
[0, 1], LE in degrees.
"""

from dataclasses import dataclass, field, fields, replace

from .config import ModelConfig, TrainConfig


@dataclass(frozen=True)
class System:
    """A named change of a ModelConfig and a TrainConfig."""

    title: str
    model: dict = field(default_factory=dict)
    train: dict = field(default_factory=dict)

    def apply(self, model: ModelConfig, train: TrainConfig) -> tuple[ModelConfig, TrainConfig]:
        """Both configurations with this system's changes."""
        return replace(model, **self.model), replace(train, **self.train)


def _changes(config: ModelConfig) -> dict:
    """The fields in which a configuration differs from the default."""
    return {f.name: getattr(config, f.name) for f in fields(config) if getattr(config, f.name) != f.default}


SYSTEMS = {
    "einv2-tpit": System("EINV2: trackwise, soft sharing, tPIT", train={"pit": "tpit"}),
    "einv2-cpit": System("EINV2 with cPIT", train={"pit": "cpit"}),
    "einv2-nopit": System("EINV2 without PIT", train={"pit": "none"}),
    "einv2-hard": System("Trackwise, hard sharing, tPIT", {"sharing": "hard"}),
    "einv2-none": System("Trackwise, no sharing, tPIT", {"sharing": "none"}),
    "seldnet": System("SELDnet format, soft sharing", {"output_format": "seldnet"}),
    "seldnet-hard": System("SELDnet format, hard sharing", {"output_format": "seldnet", "sharing": "hard"}),
    "seldnet-none": System("SELDnet format, no sharing", {"output_format": "seldnet", "sharing": "none"}),
    "accdoa": System("ACCDOA", {"output_format": "accdoa"}),
    # As the baseline's own code: the root of the masked squares, and 1000 times the weight of detection.
    "crnn": System(
        "SELDnet, the CRNN baseline of DCASE 2020",
        _changes(ModelConfig.crnn()),
        {"sed_weight": 1 / 1001, "masked_loss": "root"},
    ),
}
_FORMATS = {
    "seldnet": System("SELDnet format", {"output_format": "seldnet"}),
    "nopit": System("Trackwise, no PIT", train={"pit": "none"}),
    "cpit": System("Trackwise, cPIT", train={"pit": "cpit"}),
    "tpit": System("Trackwise, tPIT", train={"pit": "tpit"}),
}
for _task in ("sed", "doa"):
    for _name, _system in _FORMATS.items():
        SYSTEMS[f"{_task}-{_name}"] = System(
            f"{_task.upper() if _task == 'sed' else 'DoA'} only: {_system.title}",
            {**_system.model, "task": _task},
            _system.train,
        )


@dataclass(frozen=True)
class Row:
    """A row of a table: its name there, the systems that its figures come from (none: only quoted by the paper), the paper's
    figures, and what stands behind its sign +-."""

    title: str
    systems: tuple[str, ...]
    paper: dict[str, float]
    augmented: bool = False  # rotation and SpecAugment
    spread: dict[str, float] = field(default_factory=dict)


def _table2_row(name: str, f: float, le: float) -> Row:
    return Row(_FORMATS[name].title, (f"sed-{name}", f"doa-{name}"), {"F": f, "LE": le})


TABLE2 = (
    _table2_row("seldnet", 0.839, 17.21),
    _table2_row("nopit", 0.795, 37.57),
    _table2_row("cpit", 0.832, 12.55),
    _table2_row("tpit", 0.838, 12.39),
)
_SCORES = ("ER", "F", "LE", "LR")


def _table3_row(name: str, *figures: float, augmented: bool = False, spread: tuple[float, ...] = ()) -> Row:
    title = SYSTEMS[name].title + (", augmented" if augmented else "")
    return Row(title, (name,), dict(zip(_SCORES, figures)), augmented, dict(zip(_SCORES, spread)))


TABLE3 = (
    _table3_row("crnn", 0.720, 0.374, 22.8, 0.607),
    _table3_row("seldnet-none", 0.399, 0.675, 14.8, 0.838),
    _table3_row("einv2-none", 0.340, 0.737, 11.9, 0.838),
    _table3_row("seldnet-hard", 0.414, 0.659, 15.5, 0.824),
    _table3_row("einv2-hard", 0.339, 0.739, 10.4, 0.813),
    _table3_row("accdoa", 0.333, 0.759, 10.3, 0.821),
    _table3_row("seldnet", 0.350, 0.721, 13.1, 0.838),
    _table3_row("einv2-tpit", 0.291, 0.780, 8.8, 0.839, spread=(0.03, 0.003, 0.2, 0.002)),
    _table3_row("einv2-none", 0.323, 0.758, 10.2, 0.831, augmented=True),
    _table3_row("einv2-hard", 0.264, 0.805, 7.9, 0.843, augmented=True),
    _table3_row("accdoa", 0.293, 0.800, 8.7, 0.844, augmented=True),
    _table3_row("einv2-tpit", 0.230, 0.834, 6.7, 0.863, augmented=True, spread=(0.03, 0.002, 0.2, 0.003)),
    Row("ACCDOA, ensemble (quoted *)", (), dict(zip(_SCORES, (0.25, 0.832, 7.0, 0.862)))),
    Row("Best ensemble (quoted *)", (), dict(zip(_SCORES, (0.20, 0.849, 6.0, 0.885)))),
)
QUOTED = (
    r"\* Marked so in the paper, which quotes both from the results of the DCASE 2020 challenge (its footnote 2): systems of several "
    "networks, with more augmentation. Nothing is trained for these rows."
)

FIG3 = tuple(Row(row.title, row.systems[1:], {"LE": row.paper["LE"]}) for row in TABLE2)  # where its curves end
SCALE_NAMES = ("small", "paper")  # of ``reproduce``
TABLES = {"table2": TABLE2, "table3": TABLE3, "fig3": FIG3}

_READ_BY_CRNN = {"network", "output_format", "task", "n_tracks", "n_classes", "channels", "n_layers", "dropout"} | {
    "time_pooling",
    "frequency_pooling",
}


def without_effect(model: ModelConfig, train: TrainConfig) -> dict[str, str]:
    """The fields of both configurations that change nothing in this network and its training, each with the reason."""
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
        idle |= dict.fromkeys(of_mhsa, "a transformer layer always has that; it is a choice of the layer mhsa")
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
    """Detection and direction each have a branch of their own."""
    return model.task == "seld" and model.output_format != "accdoa"
