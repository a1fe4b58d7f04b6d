"""One clip, as a page that stands on its own: the figure, the sound, the events and the scores."""

import base64
from html import escape

import pandas as pd
import plotly.graph_objects as go

from app import compute, html_page, texts
from einv2 import inputcheck
from einv2.decode import Decoding

_COLUMNS = {
    "onset (s)": ("onset", ".1f"),
    "offset (s)": ("offset", ".1f"),
    "azimuth (°)": ("azimuth", ".0f"),
    "elevation (°)": ("elevation", ".0f"),
    "confidence": ("confidence", ".2f"),
}


def html(shown, figure: go.Figure, tables: dict[str, pd.DataFrame], decoding: Decoding, sound: bytes) -> str:
    """The page. figure: with the detections in it; tables: frame tables by the name of the network; sound: FLAC."""
    info = shown.hearing.info
    lead = f"{info.seconds:.1f} s, {info.sample_rate / 1000:g} kHz, {info.format}. {inputcheck.summary(shown.hearing.findings)}."
    settings = (
        f"Networks: {', '.join(tables)}. Threshold {decoding.threshold:g}, median over {decoding.median_frames} frames."
    )
    return html_page.page(
        shown.source.name,
        html_page.paragraph(lead),
        html_page.paragraph(settings),
        _audio(sound),
        html_page.figure("timeline", figure, texts.FIGURES["timeline"]),
        *(_events(shown, name, table) for name, table in tables.items()),
        *(_scores(shown, name, table) for name, table in tables.items()),
    )


def _audio(sound: bytes) -> str:
    return f'<audio controls src="data:audio/flac;base64,{base64.b64encode(sound).decode()}"></audio>'


def _events(shown, name: str, table: pd.DataFrame) -> str:
    events = compute.event_table(table, shown.classes, shown.truth).sort_values(["onset", "track"])
    columns = dict(_COLUMNS) | ({"off by (°)": ("error", ".0f")} if "error" in events else {})
    rows = [
        [event["name"], str(event["track"] + 1), *(_number(event[c], form) for c, form in columns.values())]
        for event in events.to_dict("records")
    ]
    return html_page.section(f"Events, {escape(name)}", html_page.table(["class", "track", *columns], rows))


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else f"{value:{form}}"


def _scores(shown, name: str, table: pd.DataFrame) -> str:
    if shown.truth is None or shown.truth.classes != shown.classes:
        return ""
    scores = compute.scores(table, shown.truth)
    rows = [[key, texts.value(key, scores[key]), texts.SCORES[key]] for key in ("ER", "F", "LE", "LR")]
    return html_page.section(
        f"Scores by DCASE 2020, {name}", html_page.table(["score", "value", "what it is"], rows, words=3)
    )
