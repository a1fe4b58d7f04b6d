"""Figures of the PIT lab: costs of permutations over time, directions of several systems, curves, directions in a plane."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.plots.timeline import break_lines
from app.plots.traces import draw_chunk_borders
from app.ui import theme
from einv2.frames import LABEL_FRAME_SECONDS

RULE_NAMES = {"tpit": "tPIT", "cpit": "cPIT", "none": "no PIT"}
RULE_COLOURS = {"tpit": "#0E9F8E", "cpit": "#4C7FE0", "none": "#E0525F"}
OTHER_COLOURS = ("#B79F00", "#8C6FE0", "#A06A2C", "#7A8793")  # systems that are not named after a rule
PERMUTATION_COLOURS = ("#2C8FC9", "#E58A1F", "#8C6FE0", "#3FA65A", "#B5479B", "#8C9A3B", "#A06A2C", "#7A8793")
WRONG = "#E0525F"
MEAN_COLOUR = "#E58A1F"
FAINT = theme.translucent(theme.NEUTRAL, 0.28)
PANEL_PIXELS = {"cost": 170, "lane": 26, "margin": 90, "azimuth": 190}
GAP_PIXELS = 30
MARGIN = dict(l=88, r=16, t=30, b=44)
FONT = 13
AZIMUTHS = [-180, -90, 0, 90, 180]
DOT, HOLLOW = 6, 5
RIBBON_PIXELS, RIBBON_GAP = 17, 0.5  # height of a track's ribbon below the azimuths; space above the first, in ribbons


def permutation_name(permutation: Sequence[int]) -> str:
    """ "1→1, 2→2": output track → reference track, counted from 1."""
    return ", ".join(f"{track + 1}→{reference + 1}" for track, reference in enumerate(permutation))


def permutation_colour(index: int) -> str:
    return PERMUTATION_COLOURS[index % len(PERMUTATION_COLOURS)]


# Costs of permutations over time


@dataclass(frozen=True)
class Costs:
    """The costs of P permutations in T frames.

    permutations (P, M); values (T, P), titled ``title``; parts: by name, (T, P) each, shown in the hover text beside the cost;
    margin (T,): the second best cost minus the best; active (T,) bool: frames without sound are left empty.
    """

    permutations: np.ndarray
    values: np.ndarray
    title: str
    margin: np.ndarray
    active: np.ndarray
    parts: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Choices:
    """What each rule takes, by its key in ``RULE_NAMES``.

    chosen: (T,) indices into the permutations; pulled: (T,) bool, the frames in which the rule pulls the tracks the wrong way.
    """

    chosen: Mapping[str, np.ndarray]
    pulled: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Directions:
    """Estimate and truth, as in ``azimuths``.

    pulls: a line for each row, from the column azimuth (of a track) to target (the azimuth that training pulls it to) at frame.
    """

    estimate: pd.DataFrame
    truth: pd.DataFrame
    classes: Sequence[str]
    pulls: pd.DataFrame | None = None


def microscope(
    seconds: float, costs: Costs, choices: Choices, directions: Directions, chunk_seconds: float | None = None
) -> go.Figure:
    """Four panels on one axis of time: the cost of every permutation, the permutation each rule takes, the margin, the azimuths.

    chunk_seconds: dotted lines at the borders of the chunks that training cuts.
    """
    heights = [
        PANEL_PIXELS["cost"],
        PANEL_PIXELS["lane"] * len(choices.chosen),
        PANEL_PIXELS["margin"],
        PANEL_PIXELS["azimuth"],
    ]
    figure = _rows(heights)
    figure.add_traces(_cost_lines(costs), 1, 1)
    figure.add_trace(_ribbons(costs.permutations, choices.chosen, costs.active), 2, 1)
    figure.add_trace(_marks(choices.pulled), 2, 1)
    figure.add_trace(_margin(costs.margin, costs.active), 3, 1)
    if directions.pulls is not None and len(directions.pulls):
        figure.add_trace(_pull_lines(directions.pulls), 4, 1)
    classes = directions.classes
    figure.add_traces(_truth_lines(directions.truth, classes) + _dots(directions.estimate, classes), 4, 1)
    _style_time(figure, heights, seconds)
    _style_microscope(figure, [RULE_NAMES[rule] for rule in choices.chosen], costs.title)
    draw_chunk_borders(figure, seconds, chunk_seconds)
    return figure


def _style_microscope(figure: go.Figure, lanes: list[str], cost_title: str) -> None:
    figure.update_yaxes(title_text=cost_title, rangemode="tozero", row=1, col=1)
    figure.update_yaxes(
        tickvals=list(range(len(lanes))), ticktext=lanes, range=[len(lanes) - 0.5, -0.5], showgrid=False, row=2, col=1
    )
    figure.update_yaxes(title_text="margin", rangemode="tozero", row=3, col=1)
    _azimuth_axis(figure, 4, "azimuth (°)")


def _times(frames: np.ndarray | pd.Series) -> np.ndarray:
    """Centres of label frames, s."""
    return ((np.asarray(frames) + 0.5) * LABEL_FRAME_SECONDS).round(2)


def _cost_lines(costs: Costs) -> list[go.Scatter]:
    x = _times(np.arange(len(costs.values)))
    parts = "".join(f"<br>{escape(name)} %{{customdata[{n}]:.3f}}" for n, name in enumerate(costs.parts))
    return [
        go.Scatter(
            x=x,
            y=np.where(costs.active, costs.values[:, p], np.nan).round(4),
            mode="lines",
            line=dict(color=permutation_colour(p), width=1.8),
            customdata=np.stack([part[:, p] for part in costs.parts.values()], -1).round(4) if costs.parts else None,
            hovertemplate=f"{permutation_name(order)}<br>%{{x:.2f}} s<br>cost %{{y:.3f}}{parts}<extra></extra>",
            name=f"cost {permutation_name(order)}",
        )
        for p, order in enumerate(costs.permutations)
    ]


def _ribbons(permutations: np.ndarray, chosen: Mapping[str, np.ndarray], active: np.ndarray) -> go.Heatmap:
    """A lane for each rule, coloured by the permutation it takes."""
    n = len(permutations)
    colours = [permutation_colour(p) for p in range(n)]
    scale = [(edge / n, colours[p]) for p in range(n) for edge in (p, p + 1)]
    names = np.array([*map(permutation_name, permutations)], object)
    z = [np.where(active, index, np.nan) for index in chosen.values()]
    return go.Heatmap(
        z=[[None if np.isnan(v) else int(v) for v in row] for row in z],
        text=[names[index].tolist() for index in chosen.values()],
        x0=LABEL_FRAME_SECONDS / 2,
        dx=LABEL_FRAME_SECONDS,
        y=list(range(len(z))),
        zmin=-0.5,
        zmax=n - 0.5,
        colorscale=scale,
        showscale=False,
        hoverongaps=False,
        ygap=6,
        opacity=0.85,
        hovertemplate="takes %{text}<br>%{x:.2f} s<extra></extra>",
        name="chosen",
    )


def _marks(pulled: Mapping[str, np.ndarray]) -> go.Scatter:
    """A cross on the lane of a rule in every frame in which it pulls the wrong way."""
    frames = [np.flatnonzero(frames) for frames in pulled.values()]
    return go.Scatter(
        x=_times(np.concatenate(frames)) if frames else [],
        y=np.repeat(np.arange(len(frames)), [len(f) for f in frames]),
        mode="markers",
        marker=dict(symbol="x-thin", size=6, line=dict(color="#16232E", width=1.6)),
        hovertemplate="pulled the wrong way<br>%{x:.2f} s<extra></extra>",
        name="pulled the wrong way",
    )


def _margin(margin: np.ndarray, active: np.ndarray) -> go.Scatter:
    return go.Scatter(
        x=_times(np.arange(len(margin))),
        y=np.where(active, margin, np.nan).round(4),
        mode="lines",
        fill="tozeroy",
        line=dict(color=theme.NEUTRAL, width=1.4),
        fillcolor=FAINT,
        hovertemplate="%{x:.2f} s<br>margin %{y:.3f}<extra></extra>",
        name="margin",
    )


def _pull_lines(pulls: pd.DataFrame) -> go.Scatter:
    """From the azimuth of a track to its target, the shorter way round."""
    x = np.repeat(_times(pulls["frame"]), 3).astype(float)
    difference = (pulls["target"] - pulls["azimuth"] + 180) % 360 - 180
    y = np.stack([pulls["azimuth"], pulls["azimuth"] + difference, np.full(len(pulls), np.nan)], axis=1).ravel()
    x[2::3] = np.nan
    line = dict(color=WRONG, width=1)
    return go.Scatter(x=x, y=y.round(1), mode="lines", line=line, opacity=0.5, hoverinfo="skip", name="pulls")


# Directions over time


def azimuths(
    panels: Mapping[str, pd.DataFrame],
    truth: pd.DataFrame,
    classes: Sequence[str],
    seconds: float,
    middles: tuple[np.ndarray, np.ndarray] | None = None,
    ribbons: Mapping[str, pd.DataFrame] | None = None,
) -> go.Figure:
    """A panel of azimuths for each system, over the same thin lines of the truth.

    panels: by title, an estimate: columns frame, class (index into ``classes``), track, azimuth (degrees) and active; inactive rows
    are hollow dots. truth: frame table, its track a lane. middles: frames and azimuths of the midpoints between two sources.
    ribbons: by the same titles, the segments of each output track, drawn in lanes below the azimuths: columns track, onset, offset
    (s), colour and text.
    """
    pixels = PANEL_PIXELS["azimuth"] * (0.8 if len(panels) > 2 else 1)
    ribbons = ribbons or {}
    n_lanes = {title: int(ribbons[title]["track"].max()) + 1 if len(ribbons.get(title, ())) else 0 for title in panels}
    heights = [pixels + RIBBON_PIXELS * (n + RIBBON_GAP * (n > 0)) for n in n_lanes.values()] or [pixels]
    figure = _rows(heights, list(panels))
    for row, (title, estimate) in enumerate(panels.items(), start=1):
        if n_lanes[title]:
            figure.add_trace(_track_ribbons(ribbons[title], pixels), row, 1)
        if middles is not None:
            figure.add_trace(_middle_line(*middles), row, 1)
        figure.add_traces(_truth_lines(truth, classes) + _dots(estimate, classes), row, 1)
    _style_time(figure, heights, seconds)
    figure.update_layout(barmode="overlay")
    for row, n in enumerate(n_lanes.values(), start=1):
        _azimuth_axis(figure, row, "azimuth (°)")
        places = [_ribbon_place(track, pixels) for track in range(n)]
        figure.update_yaxes(
            range=[-184 - (n + RIBBON_GAP * (n > 0)) * _ribbon_degrees(pixels), 184],
            tickvals=AZIMUTHS + places,
            ticktext=[*(f"{a}".replace("-", "−") for a in AZIMUTHS), *(f"track {track + 1}" for track in range(n))],
            row=row,
            col=1,
        )
    return figure


def _ribbon_degrees(pixels: float) -> float:
    """The height of a ribbon in degrees of a panel's axis, which shows 368 degrees in ``pixels``."""
    return RIBBON_PIXELS * 368 / pixels


def _ribbon_place(track: int, pixels: float) -> float:
    return -184 - (track + 0.5 + RIBBON_GAP) * _ribbon_degrees(pixels)


def _track_ribbons(ribbons: pd.DataFrame, pixels: float) -> go.Bar:
    return go.Bar(
        base=ribbons["onset"].tolist(),
        x=(ribbons["offset"] - ribbons["onset"]).round(1).tolist(),
        y=[_ribbon_place(track, pixels) for track in ribbons["track"]],
        width=0.7 * _ribbon_degrees(pixels),
        orientation="h",
        marker=dict(color=ribbons["colour"].tolist(), line_width=0),
        customdata=[
            f"{escape(text)}<br>{a:.1f} to {b:.1f} s"
            for text, a, b in zip(ribbons["text"], ribbons["onset"], ribbons["offset"])
        ],
        hovertemplate="%{customdata}<extra></extra>",
        name="ribbons",
    )


def _middle_line(frames: np.ndarray, degrees: np.ndarray) -> go.Scatter:
    x, y = break_lines(np.asarray(frames), np.zeros(len(frames)), np.asarray(degrees, float))
    return go.Scatter(
        x=x,
        y=y.round(1),
        mode="lines",
        line=dict(color=WRONG, width=1.5, dash="dot"),
        hovertemplate="midpoint of the sources<br>%{x:.1f} s, %{y:.0f}°<extra></extra>",
        name="midpoint",
    )


def _truth_lines(truth: pd.DataFrame, classes: Sequence[str]) -> list[go.Scatter]:
    traces = []
    for class_index, rows in truth.sort_values(["class", "track", "frame"]).groupby("class"):
        index = cast(int, class_index)
        x, y = break_lines(*(rows[c].to_numpy() for c in ("frame", "track", "azimuth")))
        traces.append(
            go.Scatter(
                x=x,
                y=y,
                mode="lines",
                line=dict(color=theme.class_colour(classes[index]), width=2.5),
                opacity=0.6,
                hovertemplate=f"truth: {escape(classes[index])}<br>%{{x:.1f}} s, %{{y:.0f}}°<extra></extra>",
                name=f"truth {classes[index]}",
            )
        )
    return traces


def _dots(estimate: pd.DataFrame, classes: Sequence[str]) -> list[go.Scatter]:
    """Two traces per track: filled dots where it is active, hollow ones where it is not."""
    traces = []
    for number, rows in estimate.groupby("track"):
        track = cast(int, number)
        active = rows["active"].to_numpy(bool)
        symbol = theme.track_symbol(track)
        for part, marker in (
            (rows[~active], dict(size=HOLLOW, symbol=f"{symbol}-open", color=theme.NEUTRAL, opacity=0.75)),
            (rows[active], dict(size=DOT, symbol=symbol, opacity=0.85)),
        ):
            if len(part):
                traces.append(_track_dots(part, classes, track, marker))
    return traces


def _track_dots(rows: pd.DataFrame, classes: Sequence[str], track: int, marker: dict) -> go.Scatter:
    colours = {} if "color" in marker else {"color": [theme.class_colour(classes[c]) for c in rows["class"]]}
    return go.Scatter(
        x=_times(rows["frame"]),
        y=rows["azimuth"].round(1),
        mode="markers",
        marker=marker | colours,
        customdata=[escape(classes[c]) for c in rows["class"]],
        hovertemplate=f"track {track + 1}: %{{customdata}}<br>%{{x:.2f}} s, %{{y:.0f}}°<extra></extra>",
        name=f"track {track + 1} azimuth",
    )


# Points, curves and pairs


def midpoint_points(systems: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> go.Figure:
    """For each system, a dot per direction: x is the angle to the nearer source, y the angle to the midpoint, degrees.

    Below the diagonal the direction is nearer to the midpoint than to either source.
    """
    figure = make_subplots(1, max(len(systems), 1), subplot_titles=list(systems), shared_yaxes=True)
    for column, (to_source, to_midpoint) in enumerate(systems.values(), start=1):
        nearer = np.asarray(to_midpoint) < to_source
        figure.add_scatter(x=[0, 180], y=[0, 180], mode="lines", line=_DIAGONAL, hoverinfo="skip", row=1, col=column)
        for part, colour, what in ((~nearer, RULE_COLOURS["tpit"], "a source"), (nearer, WRONG, "the midpoint")):
            figure.add_scatter(
                x=np.round(to_source[part], 1),
                y=np.round(to_midpoint[part], 1),
                mode="markers",
                marker=dict(color=colour, size=5, opacity=0.6),
                hovertemplate="%{x:.0f}° to the nearer source<br>%{y:.0f}° to the midpoint<extra></extra>",
                name=f"nearer to {what}",
                showlegend=False,
                row=1,
                col=column,
            )
    figure.update_xaxes(title_text="to the nearer source (°)", row=1, col=(len(systems) + 1) // 2 or 1)
    figure.update_yaxes(title_text="to the midpoint (°)", row=1, col=1)
    axis = dict(range=[0, 120], dtick=30, zeroline=False, fixedrange=True)
    figure.update_xaxes(**axis, title_standoff=6)
    figure.update_yaxes(**axis)
    figure.update_layout(height=330, margin=dict(l=70, r=16, t=34, b=52), font_size=FONT, showlegend=False)
    return _small_titles(figure)


_DIAGONAL = dict(color=theme.NEUTRAL, width=1, dash="dot")


def curves(
    systems: Mapping[str, tuple[Sequence, Sequence]], x_title: str, y_title: str, x_last: float | None = None
) -> go.Figure:
    """A line for each system through its (x, y); a name that ends in tPIT, cPIT or no PIT has the colour of the rule.

    x_last: the end of the x axis, by default that of the data.
    """
    figure = go.Figure()
    for n, (name, (x, y)) in enumerate(systems.items()):
        figure.add_scatter(
            x=list(x),
            y=list(y),
            mode="lines+markers",
            line=dict(color=system_colour(name, n), width=2.5, dash="solid" if _rule_of(name) else "dash"),
            marker=dict(size=7 if len(x) < 30 else 4),
            name=escape(name),
            hovertemplate=f"{escape(name)}<br>%{{x}}: %{{y:.2f}}<extra></extra>",
        )
    figure.update_xaxes(title_text=x_title, zeroline=False, showgrid=True, title_standoff=6)
    if x_last is not None:
        figure.update_xaxes(range=[-0.02 * x_last, 1.02 * x_last])
    elif all(len(x) < 30 for x, _ in systems.values()):
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(title_text=y_title, rangemode="tozero", zeroline=False)
    legend = dict(orientation="h", x=0, y=1.02, yanchor="bottom", font_size=FONT)
    return figure.update_layout(
        height=340, margin=dict(l=64, r=16, t=56, b=48), legend=legend, font_size=FONT, showlegend=True
    )


def system_colour(name: str, n: int) -> str:
    """The colour of the rule that a system's name ends in, or else a colour by its index."""
    rule = _rule_of(name)
    return RULE_COLOURS[rule] if rule else OTHER_COLOURS[n % len(OTHER_COLOURS)]


def _rule_of(name: str) -> str | None:
    return next((rule for rule, word in RULE_NAMES.items() if name.endswith(word)), None)


def paired(rows: Sequence[str], paper: Sequence[float | None], ours: Sequence[float | None], title: str) -> go.Figure:
    """The paper's value (hollow) and ours (filled) for each row, joined by a line; None is not drawn."""
    figure = go.Figure()
    for n, pair in enumerate(zip(paper, ours)):
        if None not in pair:
            figure.add_scatter(x=list(pair), y=[n, n], mode="lines", line=dict(color=FAINT, width=4), hoverinfo="skip")
    for values, name, symbol in ((paper, "the paper", "circle-open"), (ours, "measured here", "circle")):
        known = [(v, n) for n, v in enumerate(values) if v is not None]
        figure.add_scatter(
            x=[v for v, _ in known],
            y=[n for _, n in known],
            mode="markers",
            marker=dict(symbol=symbol, size=11, color=RULE_COLOURS["tpit"], line=dict(width=2.5)),
            customdata=[escape(rows[n]) for _, n in known],
            hovertemplate=f"%{{customdata}}<br>{name}: %{{x}}<extra></extra>",
            name=name,
        )
    for trace in figure.data:
        trace.showlegend = trace.mode == "markers"
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[escape(r) for r in rows],
        range=[len(rows) - 0.5, -0.5],
        automargin=True,
    )
    figure.update_xaxes(title_text=title, rangemode="tozero", title_standoff=6)
    legend = dict(orientation="h", x=0, y=1.01, yanchor="bottom")
    return figure.update_layout(
        height=30 * len(rows) + 110, margin=dict(l=16, r=16, t=44, b=48), legend=legend, font_size=FONT
    )


def plane(sources: np.ndarray, systems: Mapping[str, np.ndarray]) -> go.Figure:
    """Directions seen from above, the front up and the left at the left, one disc per system.

    sources (2, 3) unit vectors; systems: by name, (T, M, 3) vectors of any length up to the circle of radius 1.
    """
    figure = make_subplots(1, max(len(systems), 1), subplot_titles=list(systems), horizontal_spacing=0.04)
    for column, (name, doa) in enumerate(systems.items(), start=1):
        figure.add_traces(_disc(sources, doa, system_colour(name, 0)), rows=1, cols=column)
    axis = dict(range=[-1.25, 1.25], visible=False, fixedrange=True)
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis)
    for n in range(1, len(systems) + 1):
        figure.update_yaxes(scaleanchor=f"x{n if n > 1 else ''}", col=n)
    figure.update_layout(height=330, margin=dict(l=8, r=8, t=36, b=8), font_size=FONT, showlegend=False)
    return _small_titles(figure)


def _disc(sources: np.ndarray, doa: np.ndarray, colour: str) -> list[go.Scatter]:
    """The horizon with the sources, each track's vectors (T, M, 3), and the mean of both sources on top."""
    circle = np.radians(np.arange(0, 361, 4))
    edge = dict(x=np.cos(circle), y=np.sin(circle), mode="lines", line=dict(color=FAINT), hoverinfo="skip")
    ring = dict(symbol="circle-open", size=20, color=theme.NEUTRAL, line_width=3)
    cross = dict(symbol="x-thin", size=16, line=dict(color=MEAN_COLOUR, width=3.5))
    marks = [
        go.Scatter(**_seen(at), mode="markers", marker=marker, hovertemplate=f"{name}<extra></extra>", name=name)
        for at, marker, name in ((sources, ring, "source"), (sources.mean(0)[None], cross, "mean of both"))
    ]
    tracks = [trace for track in range(doa.shape[1]) for trace in _arrow(doa[:, track], track, colour)]
    return [go.Scatter(**edge), marks[0], *tracks, marks[1]]


def _seen(vectors: np.ndarray) -> dict:
    return {"x": (-vectors[:, 1]).round(3), "y": vectors[:, 0].round(3)}


def _arrow(vectors: np.ndarray, track: int, colour: str) -> list[go.Scatter]:
    """A small dot for each of a track's vectors, and a line from the centre to their mean."""
    marker = dict(color=colour, symbol=theme.track_symbol(track))
    look = dict(hovertemplate=f"track {track + 1}<extra></extra>", name=f"track {track + 1}")
    line = _seen(np.stack([np.zeros(3), vectors.mean(0)]))
    return [
        go.Scatter(**_seen(vectors), mode="markers", marker=marker | dict(size=5, opacity=0.5), **look),
        go.Scatter(
            **line, mode="lines+markers", line=dict(color=colour, width=2.5), marker=marker | dict(size=[0, 11]), **look
        ),
    ]


# Common style


def _rows(heights: Sequence[float], titles: Sequence[str] | None = None) -> go.Figure:
    inner = sum(heights) + (len(heights) - 1) * GAP_PIXELS
    return make_subplots(
        len(heights),
        1,
        shared_xaxes=True,
        row_heights=list(heights),
        vertical_spacing=GAP_PIXELS / inner,
        subplot_titles=titles and [escape(t) for t in titles],
    )


def _style_time(figure: go.Figure, heights: Sequence[float], seconds: float) -> None:
    inner = sum(heights) + (len(heights) - 1) * GAP_PIXELS
    figure.update_layout(
        height=inner + MARGIN["t"] + MARGIN["b"],
        margin=MARGIN,
        showlegend=False,
        hovermode="closest",
        dragmode="zoom",
        font_size=FONT,
    )
    figure.update_xaxes(range=[0, seconds], showgrid=True, zeroline=False, minallowed=0, maxallowed=seconds)
    figure.update_xaxes(title_text="time (s)", title_standoff=6, row=len(heights), col=1)
    figure.update_yaxes(title_standoff=10, zeroline=False, automargin=False, fixedrange=True)
    _small_titles(figure)


def _small_titles(figure: go.Figure) -> go.Figure:
    return figure.update_annotations(font_size=FONT)


def _azimuth_axis(figure: go.Figure, row: int, title: str) -> None:
    figure.update_yaxes(title_text=title, range=[-184, 184], tickvals=AZIMUTHS, row=row, col=1)
