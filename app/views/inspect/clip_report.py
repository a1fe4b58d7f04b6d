"""One clip, as an HTML page that stands on its own: the figure, the sound, the events and the scores."""

import base64
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from app.clip import analysis
from app.ui import html_page, texts
from app.ui.session import Source
from app.views.inspect.shown import Shown
from einv2.audio import inputcheck
from einv2.audio.inputformat import InputFormat
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference.decoding import Decoding

_COLUMNS = {
    "onset (s)": ("onset", ".1f"),
    "offset (s)": ("offset", ".1f"),
    "azimuth (°)": ("azimuth", ".0f"),
    "elevation (°)": ("elevation", ".0f"),
    "confidence": ("confidence", ".2f"),
}


def html(
    shown: Shown, figure: go.Figure, tables: dict[str, pd.DataFrame], decoding: Decoding, sound: bytes, mode: str
) -> str:
    """The page.

    figure: with the detections in it; tables: the detections of each network, with ``decoding``; sound: FLAC; mode: how the clip is
    listened to, as the page calls it.
    """
    info = shown.hearing.info
    scored = shown.truth is not None and shown.truth.classes == shown.classes
    return html_page.render(
        "views/inspect/clip_report.html.j2",
        shown.source.name,
        paragraphs=[
            f"{info.seconds:.1f} s, {info.sample_rate / 1000:g} kHz, {info.format}. {inputcheck.summary(shown.hearing.findings)}.",
            *_input(shown.source, info.read_as),
            f"Networks: {', '.join(tables)}. {_settings(decoding, shown.classes)} The sound: {mode}.",
        ],
        sound=base64.b64encode(sound).decode(),
        figure=html_page.Figure("timeline", figure, f"{texts.FIGURES['timeline']} Click to play from there."),
        events={name: _events(shown, table) for name, table in tables.items()},
        scores={name: _scores(shown, table) for name, table in tables.items()} if scored else {},
    )


def _settings(decoding: Decoding, classes: Sequence[str]) -> str:
    """The settings of the decoding, except those that change nothing."""
    own = ", ".join(f"{classes[k]} {threshold:g}" for k, threshold in decoding.class_thresholds)
    parts = [f"Threshold {decoding.threshold:g}{f' ({own})' if own else ''}"]
    if decoding.median_frames > 1:
        parts.append(f"median over {decoding.median_frames} frames")
    if decoding.minimum_frames > 1:
        parts.append(f"events of at least {decoding.minimum_frames / LABEL_FRAMES_PER_SECOND:g} s")
    if decoding.gap_frames:
        parts.append(f"gaps up to {decoding.gap_frames / LABEL_FRAMES_PER_SECOND:g} s bridged")
    return f"{', '.join(parts)}."


def _input(source: Source, read_as: InputFormat) -> list[str]:
    """How the channels are read and which window is shown, unless both are as in the file."""
    fix = [] if source.fix is None and read_as.is_plain else [f"Channels read as: {read_as.text}."]
    window = [f"A window of the recording: 0 s here is {source.start:g} s there."] if source.start else []
    return fix + window


def _events(shown: Shown, table: pd.DataFrame) -> html_page.Table:
    events = analysis.event_table(table, shown.classes, shown.truth).sort_values(["onset", "track"])
    columns = dict(_COLUMNS) | ({"off by (°)": ("error", ".0f")} if "error" in events else {})
    rows = [
        [event["name"], str(event["track"] + 1), *(_number(event[c], form) for c, form in columns.values())]
        for event in events.to_dict("records")
    ]
    return html_page.Table(["class", "track", *columns], rows)


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else f"{float(format(value, form)) + 0.0:{form}}"  # not -0


def _scores(shown: Shown, table: pd.DataFrame) -> html_page.Table:
    assert shown.truth is not None
    scores = analysis.scores(table, shown.truth)
    rows = [[key, texts.value(key, scores[key]), texts.SCORES[key]] for key in ("ER", "F", "LE", "LR")]
    return html_page.Table(["score", "value", "what it is"], rows, words=3)
