"""The player: plays the clip, moves a cursor over the time figure and shows the sounds at the cursor, all in the browser.

One component does everything that must work without a round trip to the server: it plays an ``st.audio`` of the page, draws the
directions at the cursor, handles keys and clicks on the figure, and puts the arrays that change with a slider into the standing
figure, so that the zoom stays and little is sent.
"""

import base64
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from app.paths import PLAYER
from app.ui import theme
from einv2.frames import LABEL_FRAMES_PER_SECOND

LONGEST_LABEL = 14  # characters of a system's name in the list of current sounds
# Joined in this order: Streamlit takes one module as a string.
SOURCES = ("shared", "scene", "player", "keys", "chart", "strip", "directions", "projections", "component")
_COMPONENT = st.components.v2.component(
    "einv2_player",
    html=(PLAYER / "player.html").read_text(),
    css=(PLAYER / "player.css").read_text(),
    js="\n".join((PLAYER / f"{name}.js").read_text() for name in SOURCES),
)
_PICTURES = st.components.v2.component(
    "einv2_pictures",
    html=(PLAYER / "pictures.html").read_text(),
    css=(PLAYER / "pictures.css").read_text(),
    js=(PLAYER / "pictures.js").read_text(),
)


@dataclass(frozen=True)
class Recording:
    """What is played. name: another name or length restarts the player at 0; another source of the same recording plays on."""

    name: str
    seconds: float


@dataclass(frozen=True)
class TraceArrays:
    """Properties for the last traces of the chart. token: names their content; the chart is redrawn when the token changes."""

    traces: list[dict]
    token: str


def player(
    key: str,
    figure_key: str,
    audio_key: str,
    recording: Recording,
    scene: dict,
    arrays: TraceArrays,
    seek: dict | None,
) -> None:
    """Mount the player for the chart with the key ``figure_key`` and the ``st.audio`` in the container ``audio_key``.

    scene: from ``scene()``. seek: {"t": seconds, "end": seconds or None, "play": bool, "nonce": int}, acted on when the nonce is
    new; the first one that a player receives does not start playback.
    """
    data = {
        "figure": figure_key,
        "audio": audio_key,
        "seconds": float(recording.seconds),
        "scene": scene,
        "arrays": packed(arrays.traces),
        "token": arrays.token,
        "seek": seek,
        "clip": recording.name,
    }
    _COMPONENT(data=data, key=key)


def scene(
    estimate: pd.DataFrame,
    truth: pd.DataFrame | None,
    classes: Sequence[str],
    truth_classes: Sequence[str],
    track_names: Sequence[str],
    systems: Sequence[tuple[str, Sequence[str]]] = (),
) -> dict:
    """The detections and the ground truth over time, in the form that the player takes.

    estimate: frame table with confidence, its classes indices into ``classes``. truth: frame table whose track is the reference
    lane, its classes indices into ``truth_classes``, or None. systems: name and lanes of each compared system; joined, the lanes
    are those of ``track_names``. With several systems the tracks get short names.
    """
    names = list(dict.fromkeys([*classes, *truth_classes]))
    return {
        "classes": [[name, theme.class_colour(name)] for name in names],
        "tracks": list(track_names),
        "labels": short_lanes(systems) if len(systems) > 1 else None,
        "symbols": [theme.track_symbol(track) for track in range(len(track_names))],
        "estimate": _columns(estimate, [names.index(c) for c in classes])
        | {"p": [None if math.isnan(p) else round(p, 2) for p in _by_frame(estimate)["confidence"].astype(float)]},
        "truth": None if truth is None else _columns(truth, [names.index(c) for c in truth_classes]),
        "frame_seconds": 1 / LABEL_FRAMES_PER_SECOND,
    }


def short_lanes(systems: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Short names that are unique among all systems: "tpit 1" for track 1 of einv2-tpit beside einv2-cpit."""
    names = _short_names([name for name, _ in systems])
    return [f"{name} {lane.removeprefix('track ')}" for name, (_, lanes) in zip(names, systems) for lane in lanes]


def _short_names(names: list[str]) -> list[str]:
    """Without .csv and their common prefix, which ends at a space or a sign; names that are still long lose their middle."""
    stems = [name.removesuffix(".csv") for name in names]
    alike = next((n for n, letters in enumerate(zip(*stems)) if len(set(letters)) > 1), min(map(len, stems)))
    begins = (re.match(r".*[\W_]", stems[0][:alike]) or [""])[0]
    short = [stem[len(begins) :].replace(f" + {begins}", "+") for stem in stems]
    if not all(short):
        short = stems
    short = [
        s if len(s) <= LONGEST_LABEL else f"{s[: LONGEST_LABEL // 2]}…{s[-LONGEST_LABEL // 2 + 1 :]}" for s in short
    ]
    return [s if short.count(s) == 1 else f"{s[: LONGEST_LABEL - 3]}… {n + 1}" for n, s in enumerate(short)]


def packed(arrays: list[dict[str, list]]) -> dict:
    """A compact form of the properties of traces, about half as long: {"lists": [...], "traces": [{property: index of its list}]}.

    A list that several properties share is sent once; a list of repeated texts as {"of": the different texts, "at": their indices}.
    """
    lists = {id(values): values for properties in arrays for values in properties.values()}
    place = {key: n for n, key in enumerate(lists)}
    traces = [{path: place[id(values)] for path, values in properties.items()} for properties in arrays]
    return {"lists": [_without_repeats(values) for values in lists.values()], "traces": traces}


def _without_repeats(values: list) -> list | dict:
    if not all(isinstance(value, str) for value in values):
        return values
    different = {value: n for n, value in enumerate(dict.fromkeys(values))}
    if len(different) >= len(values) / 2:
        return values
    return {"of": list(different), "at": [different[value] for value in values]}


def energy_maps(maps: np.ndarray, step: int) -> dict:
    """Energy by direction for the figure's ``layout.meta["energy"]``, where the player reads it: the figure is sent only once.

    maps: (N, rows, columns) uint8, rows from elevation +90 down to -90 degrees, columns from azimuth +180 down to -180 degrees;
    map i covers the label frames from i * step up to, not including, (i + 1) * step. ValueError on another shape or type.
    """
    if maps.ndim != 3 or maps.dtype != np.uint8:
        raise ValueError(f"maps must be (N, rows, columns) uint8, not {maps.shape} {maps.dtype}")
    _, rows, columns = maps.shape
    return {"data": base64.b64encode(maps.tobytes()).decode(), "rows": rows, "columns": columns, "step": int(step)}


def _by_frame(table: pd.DataFrame) -> pd.DataFrame:
    return table.sort_values(["frame", "track"], kind="stable")


def _columns(table: pd.DataFrame, class_of: list[int]) -> dict:
    rows = _by_frame(table)
    return {
        "frame": [int(f) for f in rows["frame"]],
        "class": [class_of[c] for c in rows["class"]],
        "track": [int(m) for m in rows["track"]],
        "azimuth": [round(float(v), 1) for v in rows["azimuth"]],
        "elevation": [round(float(v), 1) for v in rows["elevation"]],
    }


def pictures(figure_key: str, filename: str, key: str) -> None:
    """Buttons that save the chart with the key ``figure_key``, as currently shown, as ``filename``.png or .svg."""
    _PICTURES(data={"figure": figure_key, "filename": filename}, key=key)
