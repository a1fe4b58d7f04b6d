"""What was measured of the paper's comparisons: the curves and scores inside the shipped checkpoints, and pretrained/tables.json.

tables.json holds what has been measured of networks that are not shipped, and wins over the checkpoints:

    {"table2": [{"system": "doa-tpit", "le": 12.3, "n_clips": 30}, {"system": "sed-tpit", "f": 0.71}, ...],
     "table3": [{"system": "einv2-none", "augmented": true, "er": 0.45, "f": 0.65, "le": 10.5, "lr": 0.71, "n_clips": 30}, ...]}

system: a name of ``einv2.experiments.systems.SYSTEMS``; le in degrees, f and lr in [0, 1]. Any figure may be left out, and
n_clips (of the test) and epochs, which are told only, augmented (default true, looked at in table3), and either table.
"""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

from einv2.checkpoints import headers
from einv2.experiments.systems import SYSTEMS, TABLE2, TABLE3, Row

TABLES_FILE = "tables.json"
TEST_SET = "unheard_recordings"  # the test whose scores stand beside the paper's
MEASURES = {"table2": ("F", "LE"), "table3": ("ER", "F", "LE", "LR")}


@dataclass(frozen=True)
class Shipped:
    """The header of a checkpoint, as far as it is of use here. epochs: that it was trained for, None where it does not say."""

    name: str
    curve: list[dict]
    scores: dict
    augmented: bool
    epochs: int | None = None


@dataclass(frozen=True)
class Compared:
    """A row of a table: the paper's figures and ours by measure, None where there is none; note: how the network that was measured
    was trained otherwise than the row says; spread: what stands behind the paper's sign +-. No systems: the paper only quotes it."""

    title: str
    systems: tuple[str, ...]
    paper: dict[str, float]
    ours: dict[str, float | None]
    note: str = ""
    spread: dict[str, float] = field(default_factory=dict)


def shipped(folder: Path | None = None) -> tuple[list[Shipped], list[str]]:
    """The checkpoints of ``SYSTEMS`` in pretrained/ (or ``folder``), and sentences about those that cannot be read."""
    found, problems = [], []
    for name, path in headers.available_models(folder).items():
        if name not in SYSTEMS:
            continue
        try:
            header = headers.read_header(path)
        except (ValueError, OSError) as error:
            problems.append(str(error))
            continue
        told, curve = header["provenance"], header["curve"]
        epochs = told.get("epochs_done") or (curve[-1].get("epoch") if curve else None)
        augmented = bool(told.get("train", {}).get("rotate"))
        found.append(Shipped(name, curve, header["scores"], augmented, epochs))
    return found, problems


def read_tables(path: Path | None = None) -> dict[str, list[dict]]:
    """The entries of tables.json, by table; {} where there is no such file. ValueError, one sentence, if it does not hold them."""
    path = path or headers.PRETRAINED / TABLES_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise ValueError(f"{path.name} is not read: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(content.get(table, []), list) for table in MEASURES):
        raise ValueError(f'{path.name} must hold an object with the lists "table2" and "table3"')
    return {table: [_entry(e, table, path.name) for e in content.get(table, [])] for table in MEASURES}


def _entry(entry, table: str, name: str) -> dict:
    if not isinstance(entry, dict) or entry.get("system") not in SYSTEMS:
        raise ValueError(
            f"{name} has an entry in {table} whose system is not one of einv2.experiments.systems: {str(entry)[:80]}"
        )
    figures = [entry[m.lower()] for m in MEASURES[table] if entry.get(m.lower()) is not None]
    if any(not isinstance(figure, int | float) or not math.isfinite(figure) for figure in figures):
        raise ValueError(f"{name} has a figure for {entry['system']} in {table} that is no number")
    return entry


def table2(networks: list[Shipped], tables: dict[str, list[dict]]) -> list[Compared]:
    """The paper's Table 2, each task trained alone; ours from tables.json only, for no such network is shipped."""
    return [_row(row, "table2", tables.get("table2", [])) for row in TABLE2]


def table2_joint(networks: list[Shipped]) -> dict[str, dict[str, float | None]]:
    """The same measures of the networks that were trained for both tasks at once, by the title of the row of Table 2."""
    by_name = {network.name: network.scores.get(TEST_SET, {}) for network in networks}
    names = dict(zip((row.title for row in TABLE2), ("seldnet", "einv2-nopit", "einv2-cpit", "einv2-tpit")))
    return {
        title: {m: by_name.get(name, {}).get(f"{m}_alone") for m in MEASURES["table2"]} for title, name in names.items()
    }


def table3(networks: list[Shipped], tables: dict[str, list[dict]]) -> list[Compared]:
    """The paper's Table 3; ours from tables.json, else from the shipped checkpoint of the system.

    A network that was trained with augmentation stands in the row of its system with augmentation, or in that without one where
    the paper has no other, with a note.
    """
    augmented = {name for row in TABLE3 if row.augmented for name in row.systems}
    measured = [e for n in networks if (e := _as_entry(n)) is not None] + tables.get("table3", [])
    rows = []
    for row in TABLE3:
        of_row = [e for e in measured if e["system"] in row.systems]
        fitting = [e for e in of_row if e.get("augmented", True) == row.augmented]
        note = ""
        if not fitting and not augmented.intersection(row.systems):
            fitting = of_row
            note = "here with augmentation" if fitting else ""
        rows.append(_row(row, "table3", fitting, note))
    return rows


def _as_entry(network: Shipped) -> dict | None:
    scores = network.scores.get(TEST_SET)
    if not scores:
        return None
    figures = {measure.lower(): scores.get(measure) for measure in MEASURES["table3"]}
    return {"system": network.name, "augmented": network.augmented} | figures


def _row(row: Row, table: str, entries: list[dict], note: str = "") -> Compared:
    """Later entries win."""
    ours = dict.fromkeys(MEASURES[table])
    for entry in entries:
        if entry["system"] in row.systems:
            ours |= {m: entry[m.lower()] for m in MEASURES[table] if entry.get(m.lower()) is not None}
    return Compared(row.title, row.systems, row.paper, ours, note, row.spread)


def conditions(networks: list[Shipped], entries: list[dict]) -> str:
    """How the networks were trained and tested, as far as they and the entries of a table say: "6 epochs; 30 test scenes"."""
    epochs = _span([network.epochs for network in networks] + [entry.get("epochs") for entry in entries])
    clips = _span([entry.get("n_clips") for entry in entries])
    return "; ".join([f"{epochs} epochs"] * bool(epochs) + [f"{clips} test scenes"] * bool(clips))


def _span(counts: list[int | None]) -> str:
    """ "6", "6 to 20", or "" where none is known."""
    known = sorted({count for count in counts if count})
    return " to ".join(map(str, dict.fromkeys([known[0], known[-1]]))) if known else ""


def missing(rows: list[Compared]) -> list[str]:
    """The titles of the rows of which nothing was measured here, those that the paper only quotes left out."""
    return [row.title for row in rows if row.systems and all(value is None for value in row.ours.values())]
