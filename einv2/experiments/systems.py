"""The systems that the paper compares, each a change of the same configurations; their names are those of ``train --system`` and
``reproduce``.

The paper's figures are those of its tables, on the evaluation set of TAU-NIGENS Spatial Sound Events 2020: F and LR in [0, 1], LE
in degrees.
"""

from dataclasses import dataclass, field, fields, replace

from ..config import ModelConfig, TrainConfig


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
    # As in the baseline's code: the root of the masked squares, with 1000 times the weight of detection
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
    """A row of a table: its name there, the systems that its figures come from (none: only quoted by the paper), the paper's figures,
    and their spread (±)."""

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

FIG3 = tuple(Row(row.title, row.systems[1:], {"LE": row.paper["LE"]}) for row in TABLE2)  # the ends of its curves
TABLES = {"table2": TABLE2, "table3": TABLE3, "fig3": FIG3}
