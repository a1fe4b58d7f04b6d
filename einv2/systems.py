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
    "crnn": System("SELDnet, the CRNN baseline of DCASE 2020", _changes(ModelConfig.crnn())),
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
    """A row of a table: its name there, the systems that its figures come from, and the paper's figures."""

    title: str
    systems: tuple[str, ...]
    paper: dict[str, float]
    augmented: bool = False  # rotation and SpecAugment


def _table2_row(name: str, f: float, le: float) -> Row:
    return Row(_FORMATS[name].title, (f"sed-{name}", f"doa-{name}"), {"F": f, "LE": le})


TABLE2 = (
    _table2_row("seldnet", 0.839, 17.21),
    _table2_row("nopit", 0.795, 37.57),
    _table2_row("cpit", 0.832, 12.55),
    _table2_row("tpit", 0.838, 12.39),
)


def _table3_row(name: str, *figures: float, augmented: bool = False) -> Row:
    title = SYSTEMS[name].title + (", augmented" if augmented else "")
    return Row(title, (name,), dict(zip(("ER", "F", "LE", "LR"), figures)), augmented)


TABLE3 = (
    _table3_row("crnn", 0.720, 0.374, 22.8, 0.607),
    _table3_row("seldnet-none", 0.399, 0.675, 14.8, 0.838),
    _table3_row("einv2-none", 0.340, 0.737, 11.9, 0.838),
    _table3_row("seldnet-hard", 0.414, 0.659, 15.5, 0.824),
    _table3_row("einv2-hard", 0.339, 0.739, 10.4, 0.813),
    _table3_row("accdoa", 0.333, 0.759, 10.3, 0.821),
    _table3_row("seldnet", 0.350, 0.721, 13.1, 0.838),
    _table3_row("einv2-tpit", 0.291, 0.780, 8.8, 0.839),
    _table3_row("einv2-none", 0.323, 0.758, 10.2, 0.831, augmented=True),
    _table3_row("einv2-hard", 0.264, 0.805, 7.9, 0.843, augmented=True),
    _table3_row("accdoa", 0.293, 0.800, 8.7, 0.844, augmented=True),
    _table3_row("einv2-tpit", 0.230, 0.834, 6.7, 0.863, augmented=True),
)

FIG3 = tuple(Row(SYSTEMS[name].title, (name,), {}) for name in ("einv2-tpit", "einv2-cpit", "einv2-nopit"))
SCALE_NAMES = ("small", "paper")  # of ``reproduce``
TABLES = {"table2": TABLE2, "table3": TABLE3, "fig3": FIG3}
