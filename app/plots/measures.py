"""Figures of the measures of one or several systems: tables and counts of ``einv2.evaluation`` in, a plotly figure out.

``systems`` maps names to data, at most ``len(SYSTEM_COLOURS)`` of them; the position in the mapping determines a system's colour,
marker and dash. Names from outside are escaped, because plotly interprets some HTML. Figures set no background, text colour or
font, so that they fit the light and the dark page. Units in figures: shares in %, angles in degrees, frames of 0.1 s.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.colors import sample_colorscale
from plotly.subplots import make_subplots

from app.ui import texts, theme
from einv2.matching import MATCH_DEGREES
from einv2.metrics.breakdown import AZIMUTHS, Histogram
from einv2.metrics.errors import KINDS, REFERENCE_KINDS, SYSTEM_ALONE
from einv2.metrics.intervals import METHODS
from einv2.metrics.probabilities import THRESHOLDS, ReliabilityCounts, ThresholdCounts

# After Okabe and Ito: distinct with any colour vision, on white and on near-black.
SYSTEM_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
SYSTEM_DASHES = ("solid", "dash", "dot", "dashdot")
KIND_COLOURS = {
    "correct": "#009E73",
    "wrong place": "#E69F00",
    "wrong class": "#CC79A7",
    "missed": "#5C6873",
    "false alarm": "#D55E00",
    "duplicate": "#56B4E9",
}
IDENTITY = ("coverage", "purity", "swaps_per_minute", "fragments_per_event", "duplicates_per_minute")
FAR_DEGREES = 60  # larger distances are given in a note, not drawn

FONT, SMALL_FONT = 14, 12
ROW_PIXELS, MANY_ROWS, THIN_ROW_PIXELS = 36, 20, 26  # rows are thinner where there are many
LEGEND_PIXELS, AXIS_PIXELS, RIGHT_PIXELS, CELL_PIXELS = 54, 58, 96, 38
TOOLBAR_PIXELS = 32  # above a figure whose cells are clicked, for the toolbar
FAINT = theme.translucent(theme.NEUTRAL, 0.28)
CLEAR = "rgba(0,0,0,0)"
LONGEST_NAME = 34
BETWEEN_SYSTEMS = 0.22  # in distances between two groups
_LEAST_LEFT, _MOST_LEFT = 25, 100  # % drawn to the left of zero


T = TypeVar("T")


class _System(NamedTuple, Generic[T]):
    name: str
    data: T
    colour: str
    symbol: str
    dash: str
    shift: float  # offset from the group's centre, in units of one system


def label(name: object) -> str:
    """A name from outside for plotly: shortened and escaped."""
    text = str(name)
    return escape(text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…")


def _systems(systems: Mapping[str, T]) -> list[_System[T]]:
    if len(systems) > len(SYSTEM_COLOURS):
        raise ValueError(f"systems must be at most {len(SYSTEM_COLOURS)}, to be told apart, not {len(systems)}")
    looks = zip(SYSTEM_COLOURS, theme.TRACK_SYMBOLS, SYSTEM_DASHES)
    middle = (len(systems) - 1) / 2
    return [_System(label(k), v, *look, n - middle) for n, ((k, v), look) in enumerate(zip(systems.items(), looks))]


# What became of the frames


def outcomes(table: pd.DataFrame, title_axis: str) -> go.Figure:
    """Outcomes of the frames of each group of a breakdown (``metrics.breakdown.by``), as bars of shares in %.

    To the right of zero the kinds of reference frames, which add up to 100; to the left what only the system has, as a share of the
    same frames, drawn up to 100. A group without reference frames has its counts in words instead of bars; one without any frames
    is left out. title_axis: what the groups are. ``customdata`` of each bar is [group, kind].
    """
    table = table[(table["reference"] > 0) | (table["system"] > 0)]
    names = [KINDS[k] for k in (*REFERENCE_KINDS, *SYSTEM_ALONE)]
    left = _left_percent(table)
    figure = _figure(len(table), _rows_pixels(len(table)), bottom=72)
    figure.add_traces([_outcome_bars(table, kind) for kind in names])
    figure.add_trace(_counts_in_words(table))
    _label_cut_bars(figure, table, left)
    figure.update_layout(barmode="relative", bargap=0.28, uniformtext=dict(minsize=11, mode="hide"))
    ticks = [t for t in range(-100, 101, 25) if t >= -left]
    figure.update_xaxes(range=[-left, 101], tickvals=ticks, ticktext=[str(abs(t)) for t in ticks])
    figure.add_vline(0, line=dict(color=theme.NEUTRAL, width=1.5))
    for text, side in (("in the system<br>only (%) ", "right"), (" of the reference's frames (%)", "left")):
        below = dict(x=0, y=0, yref="paper", yanchor="top", yshift=-28, xanchor=side)
        figure.add_annotation(**below, **_note(text, align=side))
    return _groups_down(figure, list(table.index), title_axis)


def _alone_percent(table: pd.DataFrame) -> np.ndarray:
    """What only the system has, in % of each group's reference frames; 0 for a group without reference frames."""
    alone = table[[KINDS[k] for k in SYSTEM_ALONE]].sum(axis=1)
    return (100 * alone / table["reference"].where(table["reference"] > 0)).fillna(0).to_numpy()


def _left_percent(table: pd.DataFrame) -> float:
    highest = _alone_percent(table).max(initial=0)
    return float(np.clip(5 * np.ceil(1.1 * highest / 5), _LEAST_LEFT, _MOST_LEFT))


def _outcome_bars(table: pd.DataFrame, kind: str) -> go.Bar:
    reference = table["reference"].where(table["reference"] > 0)
    share = (100 * table[kind] / reference).to_numpy()
    alone = KINDS.index(kind) in SYSTEM_ALONE
    colour = KIND_COLOURS[kind]
    return go.Bar(
        x=-share if alone else share,
        y=np.arange(len(table)),
        orientation="h",
        name=kind,
        marker=dict(color=colour, line_width=0),
        text=[f"{s:.0f}" if s >= 3 else "" for s in share],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        textfont=dict(color=theme.text_on(colour)),
        customdata=[[group, kind] for group in table.index],
        hovertext=[
            _outcome_text(*row, kind, alone) for row in zip(table.index, share, table[kind], table["reference"])
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _outcome_text(group: str, share: float, frames: int, reference: int, kind: str, alone: bool) -> str:
    if alone:
        return f"{label(group)}: {frames:,} frames {kind}, in the system only<br>{share:.1f} % of {reference:,} reference frames"
    return f"{label(group)}: {share:.1f} % {kind}<br>{frames:,} of {reference:,} reference frames"


def _counts_in_words(table: pd.DataFrame) -> go.Scatter:
    """The counts of groups without reference frames, as text beside zero."""
    rows = np.flatnonzero(table["reference"] == 0)
    silent = table.iloc[rows]
    first, second = (KINDS[k] for k in SYSTEM_ALONE)
    return go.Scatter(
        x=np.zeros(len(rows)),
        y=rows,
        mode="text",
        text=[f"  no reference frames, {n:,} in the system" for n in silent["system"]],
        textposition="middle right",
        customdata=[[group, first] for group in silent.index],
        hovertext=[
            f"{label(group)}: no reference frames<br>{n:,} frames in the system, of them {a:,} {first} and {b:,} {second}"
            for group, n, a, b in zip(silent.index, silent["system"], silent[first], silent[second])
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
        name="no reference frames",
    )


def _label_cut_bars(figure: go.Figure, table: pd.DataFrame, left: float) -> None:
    """The value of each bar that is cut at the left edge."""
    for row, percent in enumerate(_alone_percent(table)):
        if percent > left:
            colour = KIND_COLOURS[KINDS[SYSTEM_ALONE[0]]]
            text = f"◂ {percent:,.0f} %"
            figure.add_annotation(
                x=-left,
                y=row,
                xanchor="left",
                bgcolor=colour,
                **_note(text) | dict(font=dict(color=theme.text_on(colour))),
            )


# Systems beside each other


def conditions(systems: Mapping[str, pd.DataFrame], measure: str) -> go.Figure:
    """One measure of each group of a breakdown, a dot per system, with the number of reference frames at the right.

    systems: tables of ``metrics.breakdown.by``; groups are in order of first appearance. measure: "F", "recall", "precision" (drawn
    in %) or "LE" (degrees). A group without any frames is left out; NaN is not drawn.
    ``customdata`` of each dot is its group. ValueError on another measure.
    """
    if measure not in texts.FRAMES:
        raise ValueError(f"measure must be one of {', '.join(texts.FRAMES)}, not {measure!r}")
    groups = _all_groups(systems)
    pixels = _rows_pixels(len(groups), len(systems))
    figure = _figure(len(groups), pixels, right=RIGHT_PIXELS)
    for system in _systems(systems):
        figure.add_trace(_dots(system, groups, measure))
    _reference_counts(figure, systems, groups)
    figure.update_layout(showlegend=len(systems) > 1)
    figure.update_xaxes(title_text=f"{texts.title(measure)}, frame by frame", range=_range_of(figure, measure))
    return _groups_down(figure, groups, "").update_yaxes(showgrid=True)


def _all_groups(systems: Mapping[str, pd.DataFrame]) -> list[str]:
    """The groups with a frame in any table, in order of first appearance."""
    counted = [t.index[(t["reference"] > 0) | (t["system"] > 0)] for t in systems.values()]
    order = dict.fromkeys(group for table in systems.values() for group in table.index)
    present = {group for groups in counted for group in groups}
    return [group for group in order if group in present]


def _dots(system: _System[pd.DataFrame], groups: Sequence[str], measure: str) -> go.Scatter:
    table = system.data.reindex(list(groups))
    return go.Scatter(
        x=texts.scale(measure) * table[measure],
        y=np.arange(len(groups)) + BETWEEN_SYSTEMS * system.shift,
        mode="markers",
        name=system.name,
        marker=dict(color=system.colour, symbol=system.symbol, size=12),
        customdata=list(groups),
        hovertext=[
            _dot_text(system.name, measure, *row)
            for row in zip(groups, table["reference"], table["system"], table[measure])
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _dot_text(name: str, measure: str, group: str, reference: float, system: float, value: float) -> str:
    counts = f"{np.nan_to_num(reference):,.0f} reference frames, {np.nan_to_num(system):,.0f} in the system"
    return f"{label(group)}, {name}: {measure} {texts.value(measure, value)}<br>{counts}"


def _reference_counts(figure: go.Figure, systems: Mapping[str, pd.DataFrame], groups: Sequence[str]) -> None:
    """The number of reference frames at the right of each group: the largest of all systems, equal if they have the same clips."""
    counts: Sequence[int] | pd.Series = (
        pd.concat([t["reference"].reindex(list(groups)) for t in systems.values()], axis=1).max(axis=1)
        if systems
        else []
    )
    for row, n in enumerate(counts):
        figure.add_annotation(x=1, xref="paper", y=row, xanchor="right", xshift=RIGHT_PIXELS - 8, **_note(f"{n:,.0f}"))
    if len(groups):
        head = dict(x=1, xref="paper", y=1, yref="paper", xanchor="right", yanchor="bottom", xshift=RIGHT_PIXELS - 8)
        figure.add_annotation(**head, **_note("reference<br>frames", align="right"))


def _range_of(figure: go.Figure, measure: str) -> list[float]:
    """0 to 100 % of a share, and from 0 to beyond the largest value of degrees."""
    if texts.unit(measure) == "%":
        return [-2, 102]
    highest = np.nanmax([np.nan_to_num(np.asarray(t.x, float)).max(initial=0) for t in figure.data] + [0])
    return [0, max(1.12 * highest, 5)]


def directions(systems: Mapping[str, pd.DataFrame], measure: str) -> go.Figure:
    """Recall (%) or LE (degrees) by sector of azimuth as polar bars: seen from above, the front up and the left at the left.

    systems: breakdowns by ``metrics.breakdown.azimuths``. Each sector has a bar per system, side by side; ``customdata`` is the
    sector's name. ValueError on another measure than "recall" and "LE", or on groups other than the sectors.
    """
    if measure not in ("recall", "LE"):
        raise ValueError(f"measure must be recall or LE, not {measure!r}")
    if unexpected := sorted({str(g) for t in systems.values() for g in t.index} - {*AZIMUTHS}):
        raise ValueError(f"systems must be broken down by {', '.join(AZIMUTHS)}, not by {', '.join(unexpected)}")
    figure = _figure(1, 380, legend=LEGEND_PIXELS * (len(systems) > 1), top=30, bottom=34)
    figure.add_traces([_sectors(system, len(systems), measure) for system in _systems(systems)])
    degrees, top = np.arange(len(AZIMUTHS)) * 360 / len(AZIMUTHS), _polar_top(systems, measure)
    axis = dict(gridcolor=FAINT, linecolor=FAINT, ticks="")
    figure.update_polars(
        bgcolor=CLEAR,
        angularaxis=dict(rotation=90, direction="counterclockwise", tickvals=degrees, ticktext=AZIMUTHS, **axis),
        radialaxis=dict(
            range=[0, top], tickvals=[top / 2, top], ticktext=["", f"{top:g}{_suffix(measure)}"], **_LEVEL_TICKS, **axis
        ),
    )
    return figure.update_layout(showlegend=len(systems) > 1)


_LEVEL_TICKS = dict(angle=67.5, tickangle=67.5)  # ticks between two sectors, labels horizontal


def _polar_top(systems: Mapping[str, pd.DataFrame], measure: str) -> float:
    """100 %, or an even number of degrees above the largest value."""
    if texts.unit(measure) == "%":
        return 100.0
    highest = max([0.0, *(float(np.nan_to_num(table[measure]).max(initial=0)) for table in systems.values())])
    return max(2 * np.ceil(highest / 2), 4.0)


def _sectors(system: _System[pd.DataFrame], n_systems: int, measure: str) -> go.Barpolar:
    table, step = system.data, 360 / len(AZIMUTHS)
    centre = np.array([AZIMUTHS.index(g) for g in table.index]) * step
    width = 0.9 * step / n_systems
    rows = zip(table.index, centre, table[measure], table["reference"])
    return go.Barpolar(
        r=texts.scale(measure) * table[measure],
        theta=(centre + system.shift * width) % 360,
        width=np.full(len(table), width),
        name=system.name,
        marker=dict(color=system.colour, opacity=0.85),
        customdata=list(table.index),
        hovertext=[_sector_text(system.name, measure, *row) for row in rows],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _sector_text(name: str, measure: str, group: str, centre: float, value: float, reference: int) -> str:
    low, high = (((centre + side + 180) % 360) - 180 for side in (-22.5, 22.5))
    where = f"{group} (azimuth {low:g}° to {high:g}°)".replace("-", "−")
    return f"{where}, {name}: {measure} {texts.value(measure, value)}<br>{reference:,} reference frames"


# Which class for which, and how far


def confusion(matrix: np.ndarray, classes: Sequence[str]) -> go.Figure:
    """What each class of the reference was heard as, in % of its row, on a scale of square roots.

    matrix: (K + 1, K + 1) frames of ``metrics.breakdown.confusion``, "nothing" last; classes: (K,) names. Shares of 5 % and more
    are written in their cell. A row without frames is empty. An invisible marker covers each cell with frames, because plotly cannot
    select cells; its ``customdata`` is [class, heard as]. ValueError if matrix and classes do not match.
    """
    matrix, size = np.asarray(matrix), len(classes) + 1
    if matrix.shape != (size, size):
        raise ValueError(
            f"matrix must be {(size, size)}, a row and a column for each class and nothing, not {matrix.shape}"
        )
    total = matrix.sum(1, keepdims=True)
    percent = np.divide(100 * matrix, total, out=np.full(matrix.shape, np.nan), where=total > 0)
    percent[-1, -1] = np.nan  # nothing heard as nothing is not counted
    names = [*map(label, classes), "<i>nothing</i>"]
    longest = max(len(str(name)[:LONGEST_NAME]) for name in [*classes, "nothing"])
    figure = _figure(1, CELL_PIXELS * size, legend=TOOLBAR_PIXELS, left=52 + 7 * longest, bottom=64 + 6 * longest)
    figure.add_trace(_cells(percent, matrix, names))
    figure.add_traces(_cell_texts(percent))
    figure.add_trace(_cell_marks(percent, matrix, [*classes, "nothing"]))
    axis = dict(tickvals=np.arange(size), ticktext=names, showgrid=False, zeroline=False, automargin=False)
    figure.update_xaxes(range=[-0.5, size - 0.5], tickangle=-45, title_text="heard as (numbers: % of the row)", **axis)
    return figure.update_yaxes(range=[size - 0.5, -0.5], title_text="reference", **axis)


def _cells(percent: np.ndarray, matrix: np.ndarray, names: list[str]) -> go.Heatmap:
    total = matrix.sum(1)
    place = np.arange(len(names))
    hover = [[_cell_text(names[i], names[j], percent[i, j], matrix[i, j], total[i]) for j in place] for i in place]
    return go.Heatmap(
        z=percent,
        zmin=0,
        zmax=100,
        colorscale=[[float(s**2), sample_colorscale(theme.SPECTROGRAM_COLOURS, s)[0]] for s in np.linspace(0, 1, 21)],
        showscale=False,
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1,
    )


def _cell_marks(percent: np.ndarray, matrix: np.ndarray, names: list[str]) -> go.Scatter:
    total = matrix.sum(1)
    rows, columns = np.nonzero(matrix)
    return go.Scatter(
        x=columns,
        y=rows,
        mode="markers",
        marker=dict(symbol="square", size=CELL_PIXELS - 8, opacity=0),
        selected=dict(marker=dict(opacity=0.3, color=theme.NEUTRAL)),
        unselected_marker_opacity=0,
        customdata=[[names[i], names[j]] for i, j in zip(rows, columns)],
        hovertext=[
            _cell_text(label(names[i]), label(names[j]), percent[i, j], matrix[i, j], total[i])
            for i, j in zip(rows, columns)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
        showlegend=False,
    )


def _cell_text(true: str, heard: str, percent: float, frames: int, total: int) -> str:
    return f"{true} heard as {heard}: {percent:.1f} %<br>{frames:,} of {total:,} frames"


def _cell_texts(percent: np.ndarray) -> list[go.Scatter]:
    """Shares as text, black or white, whichever contrasts more with the colour of the cell."""
    rows, columns = np.nonzero(percent >= 5)
    shares = percent[rows, columns]
    under = sample_colorscale(theme.SPECTROGRAM_COLOURS, np.sqrt(shares / 100).tolist(), colortype="tuple")
    ink = np.array([theme.text_on("#" + "".join(f"{round(255 * c):02X}" for c in rgb)) for rgb in under], object)
    style = dict(mode="text", hoverinfo="skip", showlegend=False)
    return [
        go.Scatter(
            x=columns[ink == colour],
            y=rows[ink == colour],
            text=[f"{p:.0f}" for p in shares[ink == colour]],
            textfont=dict(size=SMALL_FONT, color=colour),
            unselected_textfont_color=colour,
            **style,
        )
        for colour in ("#FFFFFF", "#000000")
    ]


def distances(systems: Mapping[str, Histogram]) -> go.Figure:
    """Angles between pairs of one class: the share of pairs (%) in each bin up to 60 degrees, a step line per system.

    A note gives the share beyond, the legend medians and 90th percentiles. ``customdata`` of each bin is its number of pairs.
    """
    figure = _figure(1, 330, top=26)
    for system in _systems(systems):
        figure.add_trace(_step_line(system))
    figure.add_vline(MATCH_DEGREES, line=dict(color=theme.NEUTRAL, width=1.5, dash="dot"))
    limit = f"found: up to {MATCH_DEGREES:.0f}°"
    figure.add_annotation(x=MATCH_DEGREES, y=1, yref="paper", yanchor="bottom", **_note(limit))
    beyond = "<br>".join(_beyond(system) for system in _systems(systems))
    figure.add_annotation(
        x=1, xref="paper", y=0.88, yref="paper", xanchor="right", yanchor="top", **_note(beyond, align="right")
    )
    figure.update_xaxes(
        range=[0, FAR_DEGREES], ticksuffix="°", title_text="angle between system and reference (degrees)"
    )
    return figure.update_yaxes(rangemode="tozero", title_text="share of the pairs (%)")


def _step_line(system: _System[Histogram]) -> go.Scatter:
    histogram, total = system.data, system.data.counts.sum()
    shown = histogram.edges[:-1] < FAR_DEGREES
    low, high = histogram.edges[:-1][shown], histogram.edges[1:][shown]
    counts = histogram.counts[shown]
    percent = 100 * counts / max(total, 1)
    hover = [
        f"{a:g}° to {b:g}°, {system.name}: {p:.1f} %<br>{n:,} of {total:,} pairs"
        for a, b, p, n in zip(low, high, percent, counts)
    ]
    return go.Scatter(
        # steps are halfway between points, so both ends need a point
        x=np.concatenate([low[:1], (low + high) / 2, high[-1:]]),
        y=np.pad(percent, 1, mode="edge"),
        mode="lines",
        line=dict(shape="hvh", color=system.colour, width=3, dash=system.dash),
        name=_distances_name(system),
        customdata=np.pad(counts, 1, mode="edge"),
        hovertext=[hover[0], *hover, hover[-1]],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _distances_name(system: _System[Histogram]) -> str:
    found = system.data
    if np.isnan(found.median):
        return f"{system.name}: no pairs"
    return f"{system.name}: half within {found.median:.1f}°, 90 % within {found.percentile_90:.1f}°"


def _beyond(system: _System[Histogram]) -> str:
    histogram = system.data
    n, total = histogram.counts[histogram.edges[:-1] >= FAR_DEGREES].sum(), histogram.counts.sum()
    return f"{system.name}: {100 * n / max(total, 1):.1f} % beyond {FAR_DEGREES}°"


# Probabilities


def reliability(systems: Mapping[str, ReliabilityCounts]) -> go.Figure:
    """The share of correct tracks over their mean probability, both [0, 1], by bins; larger markers stand for more tracks.

    The expected calibration error (ECE) is in the legend; the diagonal is perfect calibration. ``customdata`` of each marker is its
    number of tracks. Empty bins are not drawn.
    """
    figure = _figure(1, 400)
    line = dict(color=theme.NEUTRAL, width=1.5, dash="dot")
    figure.add_trace(go.Scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, name="as believed", hoverinfo="skip"))
    most = max([1, *(counts.n.max() for counts in systems.values())])
    figure.add_traces([_bins(system, most) for system in _systems(systems)])
    figure.update_xaxes(range=[-0.03, 1.03], title_text="probability (mean of the tracks in a bin)")
    return figure.update_yaxes(range=[-0.05, 1.05], title_text="share of them that is right")


def _bins(system: _System[ReliabilityCounts], most: float) -> go.Scatter:
    counts, filled = system.data, system.data.n > 0
    x, y, n = counts.mean_probability[filled], counts.share_right[filled], counts.n[filled]
    rows = zip(x, y, n, counts.right[filled])
    ece = "nothing to count" if counts.ece is None else f"ECE {counts.ece:.3f}"
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=f"{system.name}: {ece}",
        line=dict(color=system.colour, width=2, dash=system.dash),
        marker=dict(
            color=system.colour, symbol=system.symbol, size=8 + 26 * np.sqrt(n / most), opacity=0.9, line_width=0
        ),
        customdata=n,
        hovertext=[
            f"{system.name}: {y:.0%} right at a probability of {x:.2f}<br>{right:,.0f} of {n:,.0f} tracks in frames".replace(
                "%", " %"
            )
            for x, y, n, right in rows
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def f_over_threshold(counts: ThresholdCounts, classes: Sequence[str]) -> go.Figure:
    """Frame-wise F (%) over the threshold on the probability [0, 1]: a line per class, and a bold one for all classes.

    A marker shows the best threshold of each. classes: (K,) names. Classes without reference frames are left out.
    """
    figure = _figure(1, 420)
    best = counts.report()
    figure.add_trace(_threshold_line("all classes", counts.overall_f, best["threshold"], theme.NEUTRAL, 5, "dash"))
    for k, name in enumerate(classes):
        if counts.reference[k]:
            line = label(name), counts.f[:, k], counts.best_thresholds[k], theme.class_colour(name), 2
            figure.add_trace(_threshold_line(*line))
    figure.update_xaxes(range=[0, 1], title_text="threshold on the probability")
    return figure.update_yaxes(rangemode="tozero", title_text="F (%), frame by frame")


def _threshold_line(
    name: str, f: np.ndarray, best: float, colour: str, width: float, dash: str = "solid"
) -> go.Scatter:
    at_best = np.isclose(THRESHOLDS, best)
    notes = ["<br>its best threshold" if b else "" for b in at_best]
    return go.Scatter(
        x=THRESHOLDS,
        y=100 * f,
        mode="lines+markers",
        name=name,
        line=dict(color=colour, width=width, dash=dash),
        marker=dict(color=colour, size=np.where(at_best, 9 + width, 0), opacity=1, line_width=0),
        hovertext=[f"{name}: F {texts.value('F', v)} at {t:.2f}{note}" for t, v, note in zip(THRESHOLDS, f, notes)],
        hovertemplate="%{hovertext}<extra></extra>",
    )


# Scores and identity


def years(systems: Mapping[str, Mapping[str, dict]], score: str, method: str = METHODS[0]) -> go.Figure:
    """One score by the measure of each year, a dot per system, with its 95 % interval over clips by ``method`` if there is one.

    systems: ``Evaluation.scores``, {measure: {score: value, "intervals": ...}}; F and LR are drawn in %, LE in degrees. Each system
    has two traces: the dots, whose ``customdata`` is the measure, and the intervals. ValueError on another score.
    """
    if score not in texts.SCORES:
        raise ValueError(f"score must be one of {', '.join(texts.SCORES)}, not {score!r}")
    measures = list(dict.fromkeys(m for scores in systems.values() for m in scores))
    figure = _figure(1, 250, legend=LEGEND_PIXELS * (len(systems) > 1))
    for system in _systems(systems):
        figure.add_traces(_year_dots(system, measures, score, method))
    names = [m.removeprefix("dcase") for m in measures]
    figure.update_xaxes(tickvals=np.arange(len(names)), ticktext=names, range=[-0.6, len(names) - 0.4])
    figure.update_xaxes(title_text="measure of the year", showgrid=False)
    figure.update_layout(showlegend=len(systems) > 1)
    return figure.update_yaxes(title_text=texts.title(score), range=_span(figure, score))


def _year_dots(system: _System[Mapping[str, dict]], measures: list[str], score: str, method: str) -> list[go.Scatter]:
    scale = texts.scale(score)
    scores = [system.data.get(m, {}) for m in measures]
    values = [_or_nan(s.get(score)) for s in scores]
    bounds = [_interval(s, score, method) for s in scores]
    x = np.arange(len(measures)) + 0.7 * BETWEEN_SYSTEMS * system.shift
    gaps = [np.nan] * len(measures)
    return [
        go.Scatter(
            x=x,
            y=scale * np.array(values),
            mode="markers",
            name=system.name,
            legendgroup=system.name,
            marker=dict(color=system.colour, symbol=system.symbol, size=12),
            customdata=measures,
            hovertext=[_year_text(system.name, *row, score) for row in zip(measures, values, bounds)],
            hovertemplate="%{hovertext}<extra></extra>",
        ),
        go.Scatter(
            x=np.stack([x, x, x], 1).ravel(),
            y=scale * np.stack([*np.array(bounds).reshape(-1, 2).T, gaps], 1).ravel(),
            mode="lines+markers",
            line=dict(color=system.colour, width=2),
            marker=dict(symbol="line-ew", size=12, line=dict(color=system.colour, width=2)),
            name=f"{system.name}, 95 % intervals",
            legendgroup=system.name,
            showlegend=False,
            hoverinfo="skip",
        ),
    ]


def _interval(scores: dict, score: str, method: str) -> tuple[float, float]:
    """NaN where there is none."""
    low, high = scores.get("intervals", {}).get(method, {}).get(score, (None, None))
    return _or_nan(low), _or_nan(high)


def _or_nan(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _year_text(name: str, measure: str, value: float, bounds: tuple[float, float], score: str) -> str:
    text = f"{name}, {measure.removeprefix('dcase')}: {score} {texts.value(score, value)}"
    if np.isnan(bounds).any():
        return text
    return f"{text}<br>95 % interval {texts.number(score, bounds[0])} to {texts.value(score, bounds[1])}"


def _span(figure: go.Figure, score: str) -> list[float] | None:
    """The range of all values and intervals, with a minimum width, so that small differences do not look large."""
    values = np.concatenate([np.asarray(trace.y, float) for trace in figure.data] + [[np.nan]])
    if np.isnan(values).all():
        return None
    low, high = np.nanmin(values), np.nanmax(values)
    least = {"%": 10.0, "°": 4.0, "": 0.1}[texts.unit(score)]
    half, middle = max(0.6 * (high - low), least / 2), (low + high) / 2
    return [middle - half, middle + half]


def identity(systems: Mapping[str, Mapping[str, float | None]]) -> go.Figure:
    """How consistently events stay on one output track, as small bars: a panel with its own axis per measure of ``IDENTITY``.

    systems: rates of ``metrics.identity.IdentityCounts``; coverage and purity are drawn in %. None has no bar and the text "–".
    """
    shown = _systems(systems)
    titles = [texts.IDENTITY_NAMES[name].replace(" per ", "<br>per ") for name in IDENTITY]
    figure = make_subplots(1, len(IDENTITY), shared_yaxes=True, horizontal_spacing=0.035, subplot_titles=titles)
    figure.update_annotations(font_size=FONT)
    for column, name in enumerate(IDENTITY, 1):
        figure.add_trace(_identity_bars(shown, name), 1, column)
        ticks = dict(tickvals=[0, 100], ticktext=["0", "100 %"]) if name in texts.PERCENT else dict(nticks=3)
        figure.update_xaxes(range=_bar_range(shown, name), tickangle=0, **ticks, row=1, col=column)
    _style(figure, ROW_PIXELS * max(len(systems), 1), legend=0, top=56, bottom=36)
    figure.update_layout(showlegend=False, bargap=0.35)
    figure.update_yaxes(range=[len(systems) - 0.5, -0.5], tickvals=np.arange(len(systems)), showgrid=False)
    return figure.update_yaxes(ticktext=[s.name for s in shown], row=1, col=1)


def _identity_bars(systems: list[_System[Mapping[str, float | None]]], name: str) -> go.Bar:
    values = [system.data.get(name) for system in systems]
    words = [texts.value(name, v) for v in values]
    title = texts.IDENTITY_NAMES[name]
    return go.Bar(
        x=[texts.scale(name) * _or_nan(v) if v is not None else 0 for v in values],
        y=np.arange(len(systems)),
        orientation="h",
        name=title,
        marker=dict(color=[system.colour for system in systems], line_width=0),
        text=words,
        textposition="outside",
        cliponaxis=False,
        hovertext=[f"{system.name}: {title} {word}" for system, word in zip(systems, words)],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _bar_range(systems: list[_System[Mapping[str, float | None]]], name: str) -> list[float]:
    """From 0, with room for the text at the end of the longest bar."""
    highest = max([0.0, *(system.data.get(name) or 0.0 for system in systems)])
    return [0, 1.8 * (texts.scale(name) if name in texts.PERCENT else max(highest, 1.0))]


# Common style


def _figure(rows: int, inner: float, **margins: int) -> go.Figure:
    """An empty figure with ``inner`` pixels between its axes, and a note if there are no rows to draw."""
    figure = go.Figure()
    _style(figure, inner, **margins)
    if not rows:
        figure.add_annotation(x=0.5, y=0.5, xref="paper", yref="paper", **_note("no frames to count"))
    return figure


def _style(
    figure: go.Figure,
    inner: float,
    legend: int = LEGEND_PIXELS,
    top: int = 8,
    bottom: int = AXIS_PIXELS,
    left: int = 16,
    right: int = 16,
) -> None:
    """inner: pixels of the panel; legend: of the legend above it; the others: of the margins."""
    above = dict(orientation="h", x=0, xanchor="left", y=1 + (top + 4) / inner, yanchor="bottom", font_size=FONT)
    figure.update_layout(
        height=inner + legend + top + bottom,
        margin=dict(l=left, r=right, t=legend + top, b=bottom, pad=0),
        font=dict(size=FONT),
        legend=above | dict(title_text="", traceorder="normal", itemsizing="constant"),
        hovermode="closest",
        hoverlabel=dict(font_size=FONT, align="left"),
        dragmode="zoom",
    )
    title = dict(font_size=FONT, standoff=8)
    ticks = dict(ticks="outside", ticklen=6, tickcolor=CLEAR, tickfont_size=FONT - 1)
    axis = dict(showgrid=True, gridcolor=FAINT, zeroline=False, title=title, **ticks)
    figure.update_xaxes(**axis)
    figure.update_yaxes(**axis, automargin=True)


def _rows_pixels(rows: int, dots: int = 1) -> float:
    return max(rows, 1) * ((ROW_PIXELS if rows <= MANY_ROWS else THIN_ROW_PIXELS) + 6 * (dots - 1))


def _groups_down(figure: go.Figure, groups: Sequence[str], title: str) -> go.Figure:
    """Groups along the vertical axis, the first at the top."""
    n = len(groups)
    ticks = dict(tickvals=np.arange(n), ticktext=[label(g) for g in groups], range=[max(n, 1) - 0.5, -0.5])
    return figure.update_yaxes(title_text=title, showgrid=False, **ticks)


def _note(text: str, align: str = "center") -> dict:
    return dict(text=text, showarrow=False, align=align, font=dict(size=FONT - 1))


def _suffix(name: str) -> str:
    return {"%": " %", "°": "°", "": ""}[texts.unit(name)]
