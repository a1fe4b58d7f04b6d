"""One clip, as a page that stands on its own: the figure, the sound, the events and the scores."""

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
    shown: Shown, figure: go.Figure, tables: dict[str, pd.DataFrame], decoding: Decoding, sound: bytes, way: str
) -> str:
    """The page. figure: with the detections in it; tables: frame tables by the name of the network; sound: FLAC; way: what it is
    called on the page."""
    info = shown.hearing.info
    lead = f"{info.seconds:.1f} s, {info.sample_rate / 1000:g} kHz, {info.format}. {inputcheck.summary(shown.hearing.findings)}."
    settings = f"Networks: {', '.join(tables)}. {_read_off(decoding, shown.classes)} The sound: {way}."
    return html_page.page(
        shown.source.name,
        html_page.paragraph(lead),
        *map(html_page.paragraph, _as_read(shown.source, info.read_as)),
        html_page.paragraph(settings),
        _audio(sound),
        html_page.figure("timeline", figure, f"{texts.FIGURES['timeline']} Click to play from there."),
        f"<script>{_CURSOR}</script>",
        *(_events(shown, name, table) for name, table in tables.items()),
        *(_scores(shown, name, table) for name, table in tables.items()),
    )


def _read_off(decoding: Decoding, classes: Sequence[str]) -> str:
    """The settings that the detections were read off with, those that change anything."""
    own = ", ".join(f"{classes[k]} {threshold:g}" for k, threshold in decoding.class_thresholds)
    parts = [
        f"Threshold {decoding.threshold:g}{f' ({own})' if own else ''}",
        f"median over {decoding.median_frames} frames" if decoding.median_frames > 1 else "",
        f"events of at least {decoding.minimum_frames / LABEL_FRAMES_PER_SECOND:g} s"
        if decoding.minimum_frames > 1
        else "",
        f"gaps up to {decoding.gap_frames / LABEL_FRAMES_PER_SECOND:g} s bridged" if decoding.gap_frames else "",
    ]
    return ", ".join(part for part in parts if part) + "."


def _as_read(source: Source, read_as: InputFormat) -> list[str]:
    """What was done with the file before it was looked at."""
    fix = [] if source.fix is None and read_as.is_plain else [f"Channels read as: {read_as.text}."]
    window = [f"A window of the recording: 0 s here is {source.start:g} s there."] if source.start else []
    return fix + window


# A line over the figure where the sound is; a click plays from there.
_CURSOR = """
addEventListener("load", () => {
  const audio = document.querySelector("audio"), figure = document.getElementById("figure-timeline");
  const line = document.createElement("div");
  line.className = "cursor";
  line.style.cssText = "position: absolute; width: 2px; pointer-events: none; background: var(--ink)";
  line.style.boxShadow = "0 0 0 1px var(--page)";
  const place = () => {
    const frame = figure.querySelector(".svg-container"), { xaxis, _size } = figure._fullLayout, x = xaxis.d2p(audio.currentTime);
    if (line.parentNode !== frame) frame.append(line);
    line.hidden = x < 0 || x > xaxis._length;
    Object.assign(line.style, { left: `${xaxis._offset + x - 1}px`, top: `${_size.t}px`, height: `${_size.h}px` });
  };
  const follow = () => { place(); if (!audio.paused) requestAnimationFrame(follow); };
  for (const event of ["play", "seeked", "pause"]) audio.addEventListener(event, follow);
  figure.on("plotly_afterplot", place);
  let press = null;
  document.addEventListener("pointerdown", (event) => {  // Plotly covers the figure until the pointer is up
    const isOurs = event.button === 0 && !event.shiftKey && figure.contains(event.target) && !event.target.closest(".modebar");
    press = isOurs ? event : null;
  }, true);
  document.addEventListener("pointerup", (event) => {
    if (!press || Math.hypot(event.clientX - press.clientX, event.clientY - press.clientY) > 3) return;
    const { xaxis, _size } = figure._fullLayout, box = figure.getBoundingClientRect();
    const x = event.clientX - box.left - xaxis._offset, y = event.clientY - box.top - _size.t;
    if (x < 0 || x > xaxis._length || y < 0 || y > _size.h) return;
    audio.currentTime = xaxis.p2d(x);
    audio.play();
  }, true);
  place();
});
"""


def _audio(sound: bytes) -> str:
    return f'<audio controls src="data:audio/flac;base64,{base64.b64encode(sound).decode()}"></audio>'


def _events(shown: Shown, name: str, table: pd.DataFrame) -> str:
    events = analysis.event_table(table, shown.classes, shown.truth).sort_values(["onset", "track"])
    columns = dict(_COLUMNS) | ({"off by (°)": ("error", ".0f")} if "error" in events else {})
    rows = [
        [event["name"], str(event["track"] + 1), *(_number(event[c], form) for c, form in columns.values())]
        for event in events.to_dict("records")
    ]
    return html_page.section(f"Events, {name}", html_page.table(["class", "track", *columns], rows))


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else f"{float(format(value, form)) + 0.0:{form}}"  # not -0


def _scores(shown: Shown, name: str, table: pd.DataFrame) -> str:
    if shown.truth is None or shown.truth.classes != shown.classes:
        return ""
    scores = analysis.scores(table, shown.truth)
    rows = [[key, texts.value(key, scores[key]), texts.SCORES[key]] for key in ("ER", "F", "LE", "LR")]
    return html_page.section(
        f"Scores by DCASE 2020, {name}", html_page.table(["score", "value", "what it is"], rows, words=3)
    )
