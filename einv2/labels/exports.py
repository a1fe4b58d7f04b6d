"""Events as label files for other tools: Audacity, Raven, and JSON. Each function takes an event table and returns text.

The event table is that of ``frame_tables.frames_to_events``; onset and offset are seconds, angles degrees. As in the DCASE CSV
files, classes and tracks count from 0. A name that would break a line or a column is written on one line, with a space for
every run of tabs, line breaks and control characters; JSON keeps it as it is. Encode the text as UTF-8.
"""

import json
import math
import unicodedata

import pandas as pd

from .frame_tables import EVENT_COLUMNS

RAVEN_COLUMNS = (
    "Selection", "View", "Channel", "Begin Time (s)", "End Time (s)", "Low Freq (Hz)", "High Freq (Hz)", "Annotation",
    "Track", "Azimuth (deg)", "Elevation (deg)", "Confidence",
)  # fmt: skip
_JSON_KEYS = {
    "class": ("class_index", None),
    "name": ("class", None),
    "track": ("track", None),
    "onset": ("onset_s", 3),
    "offset": ("offset_s", 3),
    "azimuth": ("azimuth_deg", 2),
    "elevation": ("elevation_deg", 2),
    "distance": ("distance_cm", 1),
    "spread": ("spread_deg", 2),
    "confidence": ("confidence", 4),
}  # column -> key and decimals


def audacity_labels(events: pd.DataFrame, directions: bool = False) -> str:
    """A label track for Audacity (File > Import > Labels): onset, offset and label, separated by tabs, one line per event.

    The label is the class name; with ``directions`` the azimuth and elevation of the mean direction follow it, in whole
    degrees: "piano 35 -10". Format: Audacity manual, "Importing and Exporting Labels". ValueError if a column is missing.
    """
    lines = []
    for event in _records(events):
        label = _one_line(event["name"])
        if directions:
            label += f" {_fixed(event['azimuth'], 0)} {_fixed(event['elevation'], 0)}"
        lines.append(f"{event['onset']:.6f}\t{event['offset']:.6f}\t{label}\n")
    return "".join(lines)


def raven_table(events: pd.DataFrame, low_hz: float = 0.0, high_hz: float = 12000.0) -> str:
    """A selection table for Raven, with the columns ``RAVEN_COLUMNS``, separated by tabs, under a header.

    Events have no bounds in frequency, so each selection spans from ``low_hz`` to ``high_hz``, in the first channel (W).
    An unknown confidence is an empty field. Format: Raven Pro User's Manual, "Selection tables". ValueError if a column is
    missing, or unless 0 <= low_hz < high_hz.
    """
    if not 0 <= low_hz < high_hz:
        raise ValueError(f"low_hz and high_hz must be 0 <= low_hz < high_hz, not {low_hz} and {high_hz}")
    rows: list[tuple[str, ...]] = [RAVEN_COLUMNS]
    for number, event in enumerate(_records(events), 1):
        place = (str(number), "Spectrogram 1", "1", _fixed(event["onset"], 3), _fixed(event["offset"], 3))
        name = (f"{low_hz:.1f}", f"{high_hz:.1f}", _one_line(event["name"]), str(event["track"]))
        values = (("azimuth", 1), ("elevation", 1), ("confidence", 3))
        rows.append((*place, *name, *(_fixed(event[column], n) for column, n in values)))
    return "".join("\t".join(row) + "\n" for row in rows)


def json_events(events: pd.DataFrame) -> str:
    """A JSON list with one object per event: class (name), class_index, track, onset_s, offset_s, azimuth_deg, elevation_deg,
    distance_cm, spread_deg, confidence. Unknown values are null. ValueError if a column is missing.
    """
    return (
        json.dumps([_json_object(event) for event in _records(events)], indent=1, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


def _json_object(event: dict) -> dict:
    return {key: _rounded(event[column], decimals) for column, (key, decimals) in _JSON_KEYS.items()}


def _rounded(value, decimals: int | None):
    if decimals is None:
        return value
    return round(value, decimals) + 0.0 if math.isfinite(value) else None  # + 0.0: no -0.0


def _records(events: pd.DataFrame) -> list[dict]:
    """The events as dictionaries of plain Python values. ValueError if a column is missing."""
    if missing := [column for column in EVENT_COLUMNS if column not in events]:
        raise ValueError(f"events must be an event table, but has no column {', '.join(missing)}")
    return events[list(EVENT_COLUMNS)].to_dict("records")


def _fixed(value: float, decimals: int) -> str:
    """A number with a fixed number of decimals, never "-0"; empty if it is unknown."""
    return f"{round(value, decimals) + 0.0:.{decimals}f}" if math.isfinite(value) else ""


def _one_line(name: str) -> str:
    """A name without tabs, line breaks and control characters."""
    controls = ("Cc", "Zl", "Zp")
    return " ".join("".join(" " if unicodedata.category(c) in controls else c for c in str(name)).split())
