"""The time figure: spectrogram, tracks, azimuth and elevation on one axis of time.

The figure holds what does not change with the threshold. The detections come as ``detection_arrays``, one entry for each of
the figure's last traces, and are put into the standing figure in the browser: zoom stays, and little is sent.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app import theme
from einv2 import labels
from einv2.config import LABEL_FRAMES_PER_SECOND

LANE_PIXELS, MANY_LANES, THIN_LANE_PIXELS = 34, 6, 21  # a lane is thinner where there are many
PANEL_PIXELS = {"spectrogram": 190, "azimuth": 190, "elevation": 130}
GAP_PIXELS = 26
MARGIN = dict(l=78, r=16, t=30, b=44)
TICK_HZ = (500, 1000, 2000, 4000, 8000)


def timeline(
    spectrogram: np.ndarray,
    column_seconds: float,
    mel_hz: np.ndarray,
    seconds: float,
    track_names: Sequence[str],
    truth: pd.DataFrame | None,
    truth_classes: tuple[str, ...] = (),
    shown: tuple[float, float] | None = None,
) -> go.Figure:
    """The standing figure.

    spectrogram (columns, mels) int8 dB; mel_hz (mels,) centre frequencies; seconds: length of the clip; truth: frame table
    whose ``track`` says on which reference lane a row lies, or None. shown: seconds from and to which the figure is zoomed at
    first, if not all. The traces of the detections come last, empty.
    """
    truth_lanes = sorted(truth["track"].unique()) if truth is not None and len(truth) else []
    lanes = [*track_names] + [f"truth {lane + 1}" for lane in truth_lanes]
    heights = [
        PANEL_PIXELS["spectrogram"],
        (LANE_PIXELS if len(lanes) < MANY_LANES else THIN_LANE_PIXELS) * len(lanes),
        PANEL_PIXELS["azimuth"],
        PANEL_PIXELS["elevation"],
    ]
    inner = sum(heights) + 3 * GAP_PIXELS
    figure = make_subplots(4, 1, shared_xaxes=True, row_heights=heights, vertical_spacing=GAP_PIXELS / inner)
    figure.add_trace(_heatmap(spectrogram, column_seconds), 1, 1)
    if truth_lanes:
        figure.add_trace(_truth_bars(truth, truth_classes), 2, 1)
        for row, column in ((3, "azimuth"), (4, "elevation")):
            figure.add_traces(_truth_lines(truth, truth_classes, column), row, 1)
    for trace, row in empty_detections(track_names):
        figure.add_trace(trace, row, 1)
    _style(figure, inner, lanes, mel_hz, seconds)
    if shown is not None:
        figure.update_xaxes(range=[max(shown[0], 0), min(shown[1], seconds)])
    return figure


def _heatmap(spectrogram: np.ndarray, column_seconds: float) -> go.Heatmap:
    top = int(spectrogram.max()) if spectrogram.size else 0
    return go.Heatmap(
        z=np.ascontiguousarray(spectrogram.T),
        x0=column_seconds / 2,
        dx=column_seconds,
        zmin=top - 70,
        zmax=top,
        colorscale=theme.SPECTROGRAM_COLOURS,
        showscale=False,
        hovertemplate="%{x:.2f} s<br>mel band %{y}<br>%{z} dB<extra></extra>",
        name="spectrogram",
    )


def segments(table: pd.DataFrame) -> pd.DataFrame:
    """Runs of consecutive frames of one class on one track: track, class, onset and offset in seconds."""
    return labels.frames_to_events(table)[["track", "class", "onset", "offset"]]


def _truth_bars(truth: pd.DataFrame, classes: tuple[str, ...]) -> go.Bar:
    runs = segments(truth)
    colours = [theme.class_colour(classes[c]) for c in runs["class"]]
    return go.Bar(
        base=runs["onset"],
        x=runs["offset"] - runs["onset"],
        y=[f"truth {lane + 1}" for lane in runs["track"]],
        customdata=[
            f"{escape(classes[c])}<br>{a:.1f} to {b:.1f} s"
            for c, a, b in zip(runs["class"], runs["onset"], runs["offset"])
        ],
        hovertemplate="truth: %{customdata}<extra></extra>",
        text=[escape(classes[c]) for c in runs["class"]],
        textfont=dict(color=theme.NEUTRAL),
        marker=dict(color=[_faded(c) for c in colours], line=dict(color=colours, width=1.5)),
        name="truth",
        **_BAR,
    )


_BAR = dict(orientation="h", width=0.74, textposition="inside", insidetextanchor="start", textangle=0)


def _faded(colour: str) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},0.16)"


def _truth_lines(truth: pd.DataFrame, classes: tuple[str, ...], column: str) -> list[go.Scatter]:
    """A thin line per class, broken between events and where the azimuth jumps across +-180 degrees."""
    traces = []
    for class_index, rows in truth.sort_values(["class", "track", "frame"]).groupby("class"):
        x, y = break_lines(rows["frame"].to_numpy(), rows["track"].to_numpy(), rows[column].to_numpy(float))
        name = classes[class_index]
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line=dict(color=theme.class_colour(name), width=2),
                opacity=0.75,
                hovertemplate=f"truth: {escape(name)}<br>%{{x:.1f}} s<br>{column} %{{y:.0f}}°<extra></extra>",
                name=f"truth {name}",
            )
        )
    return traces


def break_lines(frame: np.ndarray, lane: np.ndarray, degrees: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times (s, frame centres) and degrees with a NaN wherever a line must not be drawn on."""
    jump = (np.diff(frame) != 1) | (np.diff(lane) != 0) | (np.abs(np.diff(degrees)) > 180)
    at = np.nonzero(jump)[0] + 1
    seconds = (frame + 0.5) / LABEL_FRAMES_PER_SECOND
    return np.insert(seconds, at, np.nan), np.insert(degrees.astype(float), at, np.nan)


def empty_detections(track_names: Sequence[str]) -> list[tuple[go.Bar | go.Scatter, int]]:
    """The traces that ``detection_arrays`` fills, with their rows: one of bars, then azimuth and elevation of each track."""
    bars = go.Bar(
        base=[],
        x=[],
        y=[],
        text=[],
        customdata=[],
        hovertemplate="%{customdata}<extra></extra>",
        marker=dict(color=[]),
        name="detections",
        **_BAR,
    )
    traces = [(bars, 2)]
    for row, column in ((3, "azimuth"), (4, "elevation")):
        for track, name in enumerate(track_names):
            dots = go.Scatter(
                x=[],
                y=[],
                mode="markers",
                marker=dict(symbol=theme.track_symbol(track), size=6, color=[], opacity=0.85),
                customdata=[],
                hovertemplate=f"{escape(name)}: %{{customdata}}<br>%{{x:.2f}} s, {column} %{{y:.0f}}°<extra></extra>",
                name=f"{name} {column}",
            )
            traces.append((dots, row))
    return traces


def detection_arrays(table: pd.DataFrame, classes: tuple[str, ...], track_names: Sequence[str]) -> list[dict]:
    """Properties for each trace of ``empty_detections``, in order, as plain lists. table: frame table with confidence."""
    runs = segments(table)
    colours = [theme.class_colour(classes[c]) for c in runs["class"]]
    bars = {
        "base": [round(v, 1) for v in runs["onset"]],
        "x": [round(v, 1) for v in runs["offset"] - runs["onset"]],
        "y": [track_names[lane] for lane in runs["track"]],
        "text": [escape(classes[c]) for c in runs["class"]],
        "customdata": [
            f"{escape(track_names[m])}: {escape(classes[c])}<br>{a:.1f} to {b:.1f} s"
            for m, c, a, b in zip(*(runs[k] for k in runs.columns))
        ],
        "marker.color": colours,
        "textfont.color": [theme.text_on(c) for c in colours],
    }
    arrays = [bars]
    for column in ("azimuth", "elevation"):
        for track in range(len(track_names)):
            rows = table[table["track"] == track]
            names = [classes[c] for c in rows["class"]]
            arrays.append(
                {
                    "x": [round((f + 0.5) / LABEL_FRAMES_PER_SECOND, 2) for f in rows["frame"]],
                    "y": [round(v, 1) for v in rows[column]],
                    "marker.color": [theme.class_colour(n) for n in names],
                    "customdata": [f"{escape(n)}<br>p {p:.2f}" for n, p in zip(names, rows["confidence"])],
                }
            )
    return arrays


def _style(figure: go.Figure, inner: int, lanes: list[str], mel_hz: np.ndarray, seconds: float) -> None:
    figure.update_layout(
        height=inner + MARGIN["t"] + MARGIN["b"],
        margin=MARGIN | {"l": max(MARGIN["l"], 7 * max(map(len, lanes)) + 14)},
        showlegend=False,
        barmode="overlay",
        bargap=0,
        hovermode="closest",
        dragmode="zoom",
        uniformtext=dict(minsize=11, mode="hide"),  # a name that does not fit its segment is in the hover text
        font=dict(size=13),
    )
    figure.update_xaxes(range=[0, seconds], showgrid=True, zeroline=False, minallowed=0, maxallowed=seconds)
    figure.update_xaxes(title_text="time (s)", title_standoff=6, row=4, col=1)
    ticks = [hz for hz in TICK_HZ if hz <= mel_hz[-1]]
    bands = np.interp(ticks, mel_hz, np.arange(len(mel_hz)))
    names = [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for hz in ticks]
    common = dict(col=1, title_standoff=4, zeroline=False, automargin=False, fixedrange=True)
    figure.update_yaxes(title_text="Hz (mel scale)", tickvals=bands, ticktext=names, showgrid=False, row=1, **common)
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=lanes[::-1],
        range=[-0.5, len(lanes) - 0.5],
        row=2,
        **common,
    )
    figure.update_yaxes(title_text="azimuth (°)", range=[-184, 184], tickvals=[-180, -90, 0, 90, 180], row=3, **common)
    figure.update_yaxes(title_text="elevation (°)", range=[-94, 94], tickvals=[-90, -45, 0, 45, 90], row=4, **common)
