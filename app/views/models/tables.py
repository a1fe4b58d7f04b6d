"""The tables of the Models page, made from the header of its checkpoint, which may come from anywhere and hold anything.

Texts are cut at ``MOST_TEXT``; what should be a number and is not is left out. A table holds text and numbers, never markup.
"""

import json
from collections.abc import Iterator
from typing import Any

import pandas as pd

from app.networks import registry
from app.networks.registry import Header, NetworkFile
from app.plots.architecture import count_text
from app.plots.curves import number
from app.ui import texts
from einv2.config import FeatureConfig, ModelConfig, TrainConfig, field_help, to_json
from einv2.metrics.single_task import OVERLAPS

MOST_TEXT, MOST_ROWS = 400, 60
MEASURES = ("ER", "F", "LE", "LR", "SELD")
VALIDATION = "validation"
FORMATS = {"trackwise": "trackwise", "seldnet": "SELDnet format", "accdoa": "ACCDOA"}
PITS = {"tpit": "tPIT", "cpit": "cPIT", "none": "no PIT"}
TASKS = {"sed": "activities only", "doa": "directions only"}
SHARING = {"soft": "soft", "hard": "hard", "none": "none"}
FURTHER = {  # unit, scale, and what it means
    "swap_rate": ("track swaps (%)", 100, "steps of 100 ms in which an event continues on a different output track"),
    "F_alone": ("F of detection alone (%)", 100, "whatever the directions; segments of 1 s"),
    "LE_alone": (
        "LE of directions alone (°)",
        1,
        "with activity and class from the ground truth, tracks in the order that fits best",
    ),
    "LE_alone_single": ("the same, one event (°)", 1, "in frames with one event"),
    "LE_alone_overlap": ("the same, two or more (°)", 1, "in frames with two events or more"),
}
OVERLAP_TEXTS = {
    "single": "one event",
    "different": "two or more, each of another class",
    "same": "two or more, some of one class",
}
PROVENANCE = {
    "code": "code",
    "data": "data",
    "date": "date",
    "arguments": "arguments",
    "init": "started from",
    "averaged_with": "weights averaged with those of",
    "epochs_done": "epochs",
    "imported_from": "imported from",
    "scalar": "with their scalar",
}

SHIPPED_DATA = {  # the contents of the folders that shipped checkpoints name; see pretrained/README.md
    "train-bank": "800 simulated scenes of recorded and procedural sounds",
    "dense-bank": "300 dense ones of the same recordings",
    "dense-extra": "120 dense ones of further recordings",
}
OTHER_DATA = "names of the folders it was trained on; their contents are not kept in the checkpoint"


def kind_text(model: ModelConfig) -> str:
    """The kind of a network: "trackwise, 2 tracks", "ACCDOA", "CRNN baseline"."""
    if model.network == "crnn":
        return "CRNN baseline"
    name = f"trackwise, {model.n_tracks} tracks" if model.output_format == "trackwise" else FORMATS[model.output_format]
    return f"{name}, {TASKS[model.task]}" if model.task in TASKS else name


def sharing_text(model: ModelConfig) -> str:
    """How the branches share, "–" where there are no two."""
    two = model.network == "einv2" and model.output_format != "accdoa" and model.task == "seld"
    return SHARING[model.sharing] if two else "–"


def overview(networks: list[NetworkFile]) -> pd.DataFrame:
    """A row for each network: name, origin, kind, test scores, size in MB, and the problem of one that cannot be used."""
    return pd.DataFrame([_overview_row(network) for network in networks])


def _overview_row(network: NetworkFile) -> dict[str, Any]:
    row = {"network": network.name, "origin": network.origin}
    size = {"size": network.n_bytes / 1e6}
    try:
        header = registry.header(network)
    except ValueError as error:
        return row | {"kind": "cannot be used", "problem": str(error)} | size
    test = tests(header.scores)[:1]
    values = header.scores[test[0]] if test else {}
    scores = {name: number(values.get(name)) for name in MEASURES[:4]}
    return (
        row
        | {"kind": kind_text(header.model), "sharing": sharing_text(header.model), "pit": _pit(header)}
        | {"parameters": count_text(header.n_parameters), "classes": header.model.n_classes}
        | size
        | {name: None if score is None else texts.scale(name) * score for name, score in scores.items()}
        | {"test": test[0].replace("_", " ")[:60] if test else None}
    )


def _pit(header: Header) -> str:
    train = header.provenance.get("train")
    pit = train.get("pit") if isinstance(train, dict) and header.model.output_format == "trackwise" else None
    return PITS.get(pit, "–") if isinstance(pit, str) else "–"


# Scores


def tests(scores: dict[str, Any]) -> list[str]:
    """The names of the data it was measured on: tests, then the validation of its training."""
    named = [name for name, values in scores.items() if isinstance(values, dict)][:MOST_ROWS]
    return sorted(named, key=lambda name: name == VALIDATION)


def scores_table(scores: dict[str, Any]) -> pd.DataFrame:
    """A row for each test, a column for each measure with its unit: "0.365 (0.323 to 0.409)", the 95 % interval over clips."""
    rows = []
    for test in tests(scores):
        intervals = scores[test].get("intervals")
        intervals = intervals if isinstance(intervals, dict) else {}
        cells = {
            texts.title(name): _with_interval(name, scores[test].get(name), intervals.get(name)) for name in MEASURES
        }
        rows.append({"measured on": cut(test.replace("_", " "))} | cells)
    return pd.DataFrame(rows)


def _with_interval(name: str, value: object, interval: object) -> str:
    ends = [number(v) for v in interval] if isinstance(interval, list) else []
    text = texts.number(name, number(value))
    if text == "–" or len(ends) != 2 or None in ends:
        return text
    return f"{text} ({texts.number(name, ends[0])} to {texts.number(name, ends[1])})"


def further_table(scores: dict[str, Any]) -> pd.DataFrame:
    """Measures beside the scores: a row for each measure, a column for each test; empty if there is none."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for test in tests(scores):
        for title, meaning, value in _further(scores[test]):
            found.setdefault((title, meaning), {})[cut(test.replace("_", " "))] = value
    rows = [{"measure": title} | values | {"what it is": meaning} for (title, meaning), values in found.items()]
    return pd.DataFrame(rows).fillna("–")


def _further(scores: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    overlap = scores.get("overlap")
    for key in OVERLAPS:
        group = overlap.get(key) if isinstance(overlap, dict) else None
        if isinstance(group, dict) and (value := number(group.get("found"))) is not None:
            what = "of such frames of 100 ms, those in which every event is found: right class, at most 20° off"
            yield f"found, {OVERLAP_TEXTS[key]} (%)", what, f"{100 * value:z.1f}"
    for key, (title, scale, meaning) in FURTHER.items():
        if (value := number(scores.get(key))) is not None:
            yield title, meaning, f"{scale * value:z.1f}"


# Where it is from, and its settings


def provenance_table(provenance: dict[str, Any], is_shipped: bool = False) -> pd.DataFrame:
    """Where the weights are from: what, value. The data are described for networks that come with the app (``is_shipped``)."""
    rest = [key for key in provenance if key not in (*PROVENANCE, "train")]
    keys = [key for key in (*PROVENANCE, *rest) if key in provenance][:MOST_ROWS]
    rows = [(PROVENANCE.get(key, cut(str(key))), as_text(provenance[key])) for key in keys]
    if isinstance(names := provenance.get("data"), list) and names:
        known = [SHIPPED_DATA[name] for name in names if is_shipped and isinstance(name, str) and name in SHIPPED_DATA]
        meaning = ", ".join(known) if len(known) == len(names) else OTHER_DATA
        rows = [(what, f"{value} ({meaning})" if what == PROVENANCE["data"] else value) for what, value in rows]
    return pd.DataFrame([row for row in rows if row[1]], columns=["what", "value"])


def train_table(provenance: dict[str, Any]) -> pd.DataFrame:
    """The settings of the training; empty if they are unknown."""
    train = provenance.get("train")
    return _settings(train if isinstance(train, dict) else {}, field_help(TrainConfig))


def config_table(config: ModelConfig | FeatureConfig) -> pd.DataFrame:
    """The settings of a configuration with what they mean."""
    return _settings(to_json(config), field_help(type(config)))


def _settings(values: dict[str, Any], meanings: dict[str, str]) -> pd.DataFrame:
    rows = [
        (cut(str(key)).replace("_", " "), as_text(value), meanings.get(key, ""))
        for key, value in list(values.items())[:MOST_ROWS]
    ]
    return pd.DataFrame(rows, columns=["setting", "value", "what it is"])


def as_text(value: object) -> str:
    """A JSON value as one line; empty for nothing."""
    if isinstance(value, dict) and not any(map(as_text, value.values())):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ([], {}, ""):
        return ""
    if isinstance(value, list) and not any(isinstance(v, list | dict) for v in value):
        return cut(", ".join(map(str, value)))
    return cut(value if isinstance(value, str | int | float) else json.dumps(value))


def cut(value: object) -> str:
    text = " ".join(str(value).split())
    return text if len(text) <= MOST_TEXT else text[: MOST_TEXT - 1] + "…"
