"""The player: plays the clip, moves a cursor over the time figure, and shows what sounds at it, all in the browser.

One component does all that needs the browser to work without a round trip: it plays an ``st.audio`` of the page, draws the
directions at the cursor, takes clicks on the figure and keys, and puts the arrays that change with a slider into the standing
figure (so that zoom stays, and little is sent).
"""

import base64
import math
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from app.paths import PLAYER
from app.ui import theme
from einv2.frames import LABEL_FRAMES_PER_SECOND

LONGEST_LABEL = 14  # characters of a system's name in the list of what sounds
_COMPONENT = st.components.v2.component(
    "einv2_player",
    html=(PLAYER / "player.html").read_text(),
    css=(PLAYER / "player.css").read_text(),
    js=(PLAYER / "player.js").read_text(),
)
_PICTURES = st.components.v2.component(
    "einv2_pictures",
    html=(PLAYER / "pictures.html").read_text(),
    css=(PLAYER / "pictures.css").read_text(),
    js=(PLAYER / "pictures.js").read_text(),
)


def player(
    figure_key: str,
    audio_key: str,
    seconds: float,
    scene: dict,
    arrays: list[dict],
    token: str,
    seek: dict | None,
    key: str,
    clip: str = "",
):
    """Mount the player for the chart with the key ``figure_key`` and the ``st.audio`` in the container ``audio_key``.

    seconds: length of the clip. scene: from ``scene()``. arrays: properties for the last traces of the chart; token names
    their content: they are drawn again only when it differs from what the figure shows. seek: {"t": seconds, "end": seconds or
    None, "play": bool, "nonce": int}, acted on when the nonce is new; the first one a player sees does not start it playing.
    clip: names the recording; another name (or length) starts over at 0, while another source of the same clip plays on.
    Returns the component's result; it has no state and no triggers.
    """
    data = {
        "figure": figure_key,
        "audio": audio_key,
        "seconds": float(seconds),
        "scene": scene,
        "arrays": packed(arrays),
        "token": token,
        "seek": seek,
        "clip": clip,
    }
    return _COMPONENT(data=data, key=key)


def scene(
    estimate: pd.DataFrame,
    truth: pd.DataFrame | None,
    classes: Sequence[str],
    truth_classes: Sequence[str],
    track_names: Sequence[str],
    systems: Sequence[tuple[str, Sequence[str]]] = (),
) -> dict:
    """What sounds when and from where, as the player takes it.

    estimate: frame table with confidence, its classes indices into ``classes``; truth: frame table whose track is the
    reference lane, its classes indices into ``truth_classes``, or None. systems: the name and the lanes of each, whose lanes one
    after the other are those of ``track_names``; of several, the tracks are called by short names.
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
    """ "tpit 1" for track 1 of einv2-tpit beside einv2-cpit: as short as tells all lanes of all systems apart."""
    names = _short_names([name for name, _ in systems])
    return [f"{name} {lane.removeprefix('track ')}" for name, (_, lanes) in zip(names, systems) for lane in lanes]


def _short_names(names: list[str]) -> list[str]:
    """Without what they all begin with, up to a space or a sign, and without .csv; the middle left out of what is still long."""
    stems = [name.removesuffix(".csv") for name in names]
    alike = next((n for n, letters in enumerate(zip(*stems)) if len(set(letters)) > 1), min(map(len, stems)))
    begins = re.match(r".*[\W_]|", stems[0][:alike])[0]
    short = [stem[len(begins) :].replace(f" + {begins}", "+") for stem in stems]
    if not all(short):
        short = stems
    short = [
        s if len(s) <= LONGEST_LABEL else f"{s[: LONGEST_LABEL // 2]}…{s[-LONGEST_LABEL // 2 + 1 :]}" for s in short
    ]
    return [s if short.count(s) == 1 else f"{s[: LONGEST_LABEL - 3]}… {n + 1}" for n, s in enumerate(short)]


def packed(arrays: list[dict[str, list]]) -> dict:
    """The properties of traces as the player takes them, in half the length: {"lists": [...], "traces": [{property: index of its
    list}]}. A list that several share is sent once; in place of texts that repeat stands {"of": the texts, "at": the index of each}."""
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
    """Energy by direction, which the player looks for in the figure's ``layout.meta["energy"]``: there it is sent only once.

    maps: (N, rows, columns) uint8, rows from elevation +90 downwards, columns from azimuth +180 falling to -180 degrees; map i
    is of the label frames from i * step up to (i + 1) * step.
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
    """Buttons that save the chart with the key ``figure_key`` as it stands, as ``filename``.png or .svg."""
    _PICTURES(data={"figure": figure_key, "filename": filename}, key=key)
