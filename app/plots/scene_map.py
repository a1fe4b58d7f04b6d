"""The map of a composed scene, azimuth by elevation, and its truth over time."""

from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.plots import timeline
from app.ui import theme
from einv2 import geometry

MAP_HEIGHT = 380
LANE_PIXELS, ANGLE_PIXELS, GAP_PIXELS = 26, 120, 28
STEP_DEGREES = 5  # between the places that a click can choose
MOST_TIMES = 12  # of sources: beside more, times would cover one another
WHERE = ("azimuth", "elevation", "azimuth to", "elevation to")
AZIMUTHS, ELEVATIONS = [180, 90, 0, -90, -180], [-90, -45, 0, 45, 90]


def scene_map(rows: pd.DataFrame, chosen: int | None = None) -> go.Figure:
    """Where sources stand or go, seen from inside: azimuth from 180 on the left to -180 degrees, elevation from -90 to 90.

    rows: a row a source, with class, onset and length (s), and ``WHERE`` in degrees; where a direction's end is NaN it is its start;
    a source without a start is not drawn. chosen: the row that stands out. The first trace is an unseen grid of places, every
    ``STEP_DEGREES``, for a click to choose; then a rim and an arrow for each source that goes somewhere; the last are the starts,
    with numbers, classes and times.
    """
    figure = go.Figure(_places())
    drawn = [(n, row, _where(row)) for n, row in enumerate(rows.to_dict("records"))]
    drawn = [(n, row, where) for n, row, where in drawn if np.isfinite(where).all()]
    for n, row, where in drawn:
        if where[0] != where[2] or where[1] != where[3]:
            figure.add_traces(_way(n, row, where, n == chosen))
    figure.add_trace(_starts(drawn, chosen, with_times=len(rows) <= MOST_TIMES))
    figure.update_layout(
        height=MAP_HEIGHT,
        margin=dict(l=58, r=14, t=10, b=44),
        showlegend=False,
        dragmode=False,
        hovermode="closest",
        clickmode="event+select",
        font=dict(size=13),
    )
    figure.update_xaxes(
        title_text="azimuth (°): left · front · right",
        range=[184, -184],
        tickvals=AZIMUTHS,
        zeroline=True,
        fixedrange=True,
        showgrid=True,
    )
    figure.update_yaxes(
        title_text="elevation (°)", range=[-96, 96], tickvals=ELEVATIONS, zeroline=True, fixedrange=True
    )
    return figure


def _places() -> go.Scatter:
    azimuth, elevation = np.meshgrid(
        np.arange(-180, 181, STEP_DEGREES, dtype=np.int16), np.arange(-90, 91, STEP_DEGREES, dtype=np.int16)
    )
    unseen = dict(marker=dict(opacity=0))
    return go.Scatter(
        x=azimuth.ravel(),
        y=elevation.ravel(),
        mode="markers",
        marker=dict(size=9, opacity=0, color=theme.NEUTRAL),
        selected=unseen,
        unselected=unseen,
        hovertemplate="azimuth %{x}°, elevation %{y}°<extra></extra>",
        name="places",
    )


def _where(row: dict) -> np.ndarray:
    start = [row[c] for c in WHERE[:2]]
    end = [other if pd.isna(row[c]) else row[c] for c, other in zip(WHERE[2:], start)]
    return np.array([*start, *end], float)


def _name(row: dict) -> str:
    return "?" if pd.isna(row["class"]) else str(row["class"])


def _hover(n: int, row: dict) -> str:
    return "<br>".join([f"{n + 1}: {escape(_name(row))}", *([_span(row)] if _span(row) else [])])


def _way(n: int, row: dict, where: np.ndarray, is_chosen: bool) -> tuple[go.Scatter, go.Scatter]:
    """The rim, without which dark colours are not seen on a dark page, nor light ones on a light page; and the arrow."""
    azimuth, elevation = way_points(*where)
    bare, width = len(azimuth) - 1, 4 if is_chosen else 2.5
    rim = go.Scatter(
        x=azimuth,
        y=elevation,
        mode="lines",
        line=dict(color=theme.NEUTRAL, width=width + 2),
        hoverinfo="skip",
        name=f"rim of source {n + 1}",
    )
    arrow = go.Scatter(
        x=azimuth,
        y=elevation,
        mode="lines+markers",
        line=dict(color=theme.class_colour(_name(row)), width=width),
        marker=dict(
            symbol=["circle"] * bare + ["arrow"],
            size=[0] * bare + [15],
            angleref="previous",
            opacity=1,
            line=dict(color=theme.NEUTRAL, width=[0] * bare + [1]),
        ),
        hovertemplate=f"{_hover(n, row)}<br>azimuth %{{x:.0f}}°, elevation %{{y:.0f}}°<extra></extra>",
        name=f"way of source {n + 1}",
        **_AS_IT_IS,
    )
    return rim, arrow


def _starts(drawn: list[tuple[int, dict, np.ndarray]], chosen: int | None, with_times: bool) -> go.Scatter:
    labels = [_labels(n, row, with_times) for n, row, _ in drawn]
    placed = _placed([(where[0], where[1]) for _, _, where in drawn], labels)
    return go.Scatter(
        x=[float(geometry.wrap_azimuth(where[0])) for _, _, where in drawn],
        y=[where[1] for _, _, where in drawn],
        mode="markers+text",
        marker=dict(
            size=14,
            color=[theme.class_colour(_name(row)) for _, row, _ in drawn],
            line=dict(color=theme.NEUTRAL, width=[3 if n == chosen else 1.5 for n, _, _ in drawn]),
            opacity=1,
        ),
        text=[f"<b>{label}</b>" if n == chosen else label for (n, _, _), (label, _) in zip(drawn, placed)],
        textposition=[position for _, position in placed],
        textfont_size=12,
        cliponaxis=False,
        customdata=[_hover(n, row) for n, row, _ in drawn],
        hovertemplate="%{customdata}<br>azimuth %{x:.0f}°, elevation %{y:.0f}°<extra></extra>",
        name="starts",
        **_AS_IT_IS,
    )


_AS_IT_IS = dict(selected=dict(marker=dict(opacity=1)), unselected=dict(marker=dict(opacity=1)))  # after a click


def _span(row: dict) -> str:
    if pd.isna(row["onset"]) or pd.isna(row["length"]):
        return ""
    return f"{row['onset']:.1f} to {row['onset'] + row['length']:.1f} s"


def _labels(n: int, row: dict, with_times: bool) -> tuple[str, ...]:
    """Number, class and time of a source, the fullest first."""
    number, name = str(n + 1), f"{n + 1} {escape(_name(row))}"
    return (f"{name}<br>{_span(row)}", name, number) if with_times and _span(row) else (name, number)


_POSITIONS = {  # of a text at its point: its middle, in its widths and in halves of its height, both with the dot's
    "top center": (0.0, 1.4),
    "bottom center": (0.0, -1.4),
    "middle left": (0.62, 0.0),
    "middle right": (-0.62, 0.0),
}
_CHARACTER_DEGREES, _LINE_DEGREES, _DOT_DEGREES = 5.2, 10.0, 8.0


def _placed(points: list[tuple[float, float]], labels: list[tuple[str, ...]]) -> list[tuple[str, str]]:
    """Text and position of each label, its texts in order of preference, at a free place if there is one."""
    taken = [(float(geometry.wrap_azimuth(x)), y, _DOT_DEGREES, _DOT_DEGREES) for x, y in points]
    placed = []
    for n, choices in enumerate(labels):
        x, y = taken[n][:2]
        boxes = {(text, position): _box(x, y, text, position) for text in choices for position in _POSITIONS}
        free = [key for key, box in boxes.items() if _is_inside(box) and not any(_meet(box, other) for other in taken)]
        best = free[0] if free else (choices[-1], next(iter(_POSITIONS)))
        taken.append(boxes[best])
        placed.append(best)
    return placed


def _box(x: float, y: float, text: str, position: str) -> tuple[float, float, float, float]:
    """Middle, width and height, degrees."""
    lines, (across, up) = text.split("<br>"), _POSITIONS[position]
    width, height = _CHARACTER_DEGREES * max(map(len, lines)) + 4, _LINE_DEGREES * len(lines) + 2
    return x + across * (width + _DOT_DEGREES), y + up * (_DOT_DEGREES + height) / 2, width, height


def _is_inside(box: tuple[float, float, float, float]) -> bool:
    return abs(box[0]) + box[2] / 2 <= 184 and abs(box[1]) + box[3] / 2 <= 98


def _meet(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return abs(a[0] - b[0]) < (a[2] + b[2]) / 2 and abs(a[1] - b[1]) < (a[3] + b[3]) / 2


def way_points(
    azimuth: float, elevation: float, azimuth_to: float, elevation_to: float
) -> tuple[np.ndarray, np.ndarray]:
    """Points (degrees) of a straight way, azimuths within +-180, to the edge of the map and on from the other, with a NaN azimuth
    between, where it goes over the back; one point if it leads nowhere."""
    length = max(abs(azimuth_to - azimuth), abs(elevation_to - elevation))
    if not length:
        return geometry.wrap_azimuth(np.array([azimuth], float)), np.array([elevation], float)
    share = np.linspace(0, 1, min(max(int(length // 3), 2), 400))
    straight, up = azimuth + share * (azimuth_to - azimuth), elevation + share * (elevation_to - elevation)
    at = geometry.wrap_azimuth(straight)
    over = np.flatnonzero(np.abs(np.diff(at)) > 180) + 1
    edge = np.copysign(180.0, at[over - 1])
    gaps = np.stack([edge, np.full(len(over), np.nan), -edge], axis=1).ravel()
    level = (up[over - 1] + up[over]) / 2
    where = np.repeat(over, 3)
    return np.insert(at, where, gaps), np.insert(up, where, np.repeat(level, 3))


def truth_figure(truth: pd.DataFrame, classes: tuple[str, ...], seconds: float) -> go.Figure:
    """What sounds when, and from where, of a frame table whose ``track`` says on which lane a row lies (see ``timeline``)."""
    lanes = [f"truth {lane + 1}" for lane in sorted(truth["track"].unique())] or ["truth 1"]
    heights = [LANE_PIXELS * len(lanes) + 8, ANGLE_PIXELS, ANGLE_PIXELS]
    inner = sum(heights) + 2 * GAP_PIXELS
    figure = make_subplots(3, 1, shared_xaxes=True, row_heights=heights, vertical_spacing=GAP_PIXELS / inner)
    figure.add_trace(timeline.truth_bars(truth, classes), 1, 1)
    for row, column in ((2, "azimuth"), (3, "elevation")):
        figure.add_traces(timeline.truth_lines(truth, classes, column), row, 1)
    figure.update_layout(
        height=inner + 64,
        margin=dict(l=78, r=16, t=12, b=44),
        showlegend=False,
        barmode="overlay",
        bargap=0,
        hovermode="closest",
        font=dict(size=13),
        uniformtext=dict(minsize=11, mode="hide"),
    )
    figure.update_xaxes(range=[0, seconds], zeroline=False, minallowed=0, maxallowed=seconds)
    figure.update_xaxes(title_text="time (s)", title_standoff=6, row=3, col=1)
    figure.update_yaxes(zeroline=False, fixedrange=True, title_standoff=4)
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=lanes[::-1], range=[-0.5, len(lanes) - 0.5], row=1, col=1
    )
    figure.update_yaxes(title_text="azimuth (°)", range=[-184, 184], tickvals=AZIMUTHS[::-1], row=2, col=1)
    figure.update_yaxes(title_text="elevation (°)", range=[-94, 94], tickvals=ELEVATIONS, row=3, col=1)
    return figure
