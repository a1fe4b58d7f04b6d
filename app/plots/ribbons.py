"""Which event each output track follows: a ribbon per track, a block of lanes per system, and marks where the event changes.

The standing figure holds what does not depend on the threshold: axes, lanes and the events of the ground truth. Ribbons and marks
come as ``ribbon_arrays``, one entry for each of the figure's last traces; the browser puts them into it, as in ``timeline``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.plots.traces import empty_bars, shortened
from app.ui import theme
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.metrics.track_assignment import MARKS, NOTHING

LANE_PIXELS, TITLE_PIXELS = 40, 26
MARGIN = dict(l=92, r=16, t=32, b=44)
CHARACTER_PIXELS, LONGEST_LANE_NAME = 7, 20
SHADES = (0.0, -0.38, 0.42)  # successive events of one class: the colour of the class, darker, lighter
MARK_STYLES = {
    "swap": dict(symbol="x", size=10, color="#D55E00"),
    "duplicate": dict(symbol="diamond", size=10, color="#0072B2"),
    "fragment": dict(symbol="circle-open", size=9, color=theme.NEUTRAL, line=dict(width=2)),
}
EXAMPLE_COLOUR = "#3B6FD4"  # an event in the legend
GREY = theme.translucent(theme.NEUTRAL, 0.25)
BEFORE_SECONDS, AFTER_SECONDS = 1.0, 1.5  # played around a mark
_WIDTH, _BAR_DOWN, _MARK_UP = (
    0.62,
    0.15,
    0.34,
)  # in lanes: height of a bar, its shift down, height of the marks above it


@dataclass(frozen=True)
class Block:
    """The lanes of one system: its name, and the names of its output tracks that are drawn."""

    name: str
    lanes: tuple[str, ...]


@dataclass(frozen=True)
class Ribbons:
    """What is drawn in a block. segments: see ``track_assignment.segments``; marks: see ``track_assignment.Following``."""

    segments: pd.DataFrame
    marks: pd.DataFrame


def event_names(events: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """ "alarm 1", "alarm 2", "piano 1": each event by its class and its number in the class, from 1."""
    numbers = events.groupby("class").cumcount() + 1
    return [f"{classes[c]} {n}" for c, n in zip(events["class"], numbers)]


def event_colours(events: pd.DataFrame, classes: Sequence[str]) -> list[str]:
    """The colour of each event, #RRGGBB: that of its class, in a different shade from the previous event of the class."""
    shades = events.groupby("class").cumcount() % len(SHADES)
    return [shaded(theme.class_colour(classes[c]), SHADES[n]) for c, n in zip(events["class"], shades)]


def shaded(colour: str, amount: float) -> str:
    """#RRGGBB mixed with black (amount from -1) or white (up to 1)."""
    channels = np.array(theme.channels(colour))
    mixed = channels + abs(amount) * ((255 if amount > 0 else 0) - channels)
    return "#" + "".join(f"{round(c):02X}" for c in mixed)


def stacked(onset: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """The lane of each event, from 0, so that no two overlap on one: (N,), (N,) in order of onset -> (N,)."""
    free_from: list[float] = []
    lanes = np.zeros(len(onset), int)
    for n, (start, end) in enumerate(zip(onset, offset)):
        lane = next((m for m, free in enumerate(free_from) if free <= start + 1e-6), len(free_from))
        free_from[lane : lane + 1] = [end]
        lanes[n] = lane
    return lanes


def legend() -> str:
    """The legend of fillings and symbols, as HTML that wraps."""
    box = "width:1.1em;height:.8em;border-radius:.15em;border:1.5px solid"
    hatched = f"repeating-linear-gradient(135deg,{EXAMPLE_COLOUR} 0 2px,{faded(EXAMPLE_COLOUR)} 2px 6px)"
    fillings = {
        "follows the event": f"{box} {EXAMPLE_COLOUR};background:{EXAMPLE_COLOUR}",
        "duplicates it": f"{box} {EXAMPLE_COLOUR};background:{hatched}",
        "follows no event": f"{box} transparent;background:{GREY}",
    }
    symbols = {"swap": "✖", "duplicate": "◆", "fragment": "○"}
    parts = [(f'<span style="{style}"></span>', text) for text, style in fillings.items()]
    parts += [
        (f'<span style="color:{MARK_STYLES[kind]["color"]};font-weight:700">{sign}</span>', kind)
        for kind, sign in symbols.items()
    ]
    items = "".join(
        f'<span style="display:inline-flex;align-items:center;gap:.4em;white-space:nowrap">{sign}{text}</span>'
        for sign, text in parts
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:.2em 1.3em;font-size:.9rem">{items}</div>'


# The standing figure


def ribbons(seconds: float, events: pd.DataFrame | None, classes: Sequence[str], blocks: Sequence[Block]) -> go.Figure:
    """The standing figure.

    seconds: length of the clip; events: those of the reference in order of onset, with class (index into ``classes``), onset and
    offset (s), or None; blocks: the systems, from the top. The traces of ribbons and marks come last, empty: one of bars, then one
    for each of ``track_assignment.MARKS``.
    """
    lanes = np.zeros(0, int) if events is None else stacked(events["onset"].to_numpy(), events["offset"].to_numpy())
    n_truth = 1 + int(lanes.max()) if len(lanes) else 0
    figure = go.Figure()
    if events is not None and n_truth:
        figure.add_trace(_events(events, lanes, classes))
    for trace in _empty():
        figure.add_trace(trace)
    ticks: list[tuple[float, str]] = [(-lane, f"truth {lane + 1}") for lane in range(n_truth)]
    for block, tops in zip(blocks, lane_heights(blocks, n_truth)):
        ticks += zip(tops, block.lanes)
        _title(figure, block.name, tops[0] if len(tops) else 0.0)
    bottom = _bottom(blocks, n_truth)
    _style(figure, ticks, bottom, seconds)
    return figure


def lane_heights(blocks: Sequence[Block], n_truth: int) -> list[np.ndarray]:
    """The y of the lanes of each block, in lanes: the first lane of the truth at 0, the others below."""
    title = TITLE_PIXELS / LANE_PIXELS
    top, heights = -float(n_truth), []
    for block in blocks:
        heights.append(top - title - np.arange(len(block.lanes)))
        top -= title + len(block.lanes)
    return heights


def _bottom(blocks: Sequence[Block], n_truth: int) -> float:
    return -(n_truth + sum(TITLE_PIXELS / LANE_PIXELS + len(block.lanes) for block in blocks))


def _events(events: pd.DataFrame, lanes: np.ndarray, classes: Sequence[str]) -> go.Bar:
    names, colours = event_names(events, classes), event_colours(events, classes)
    return go.Bar(
        base=events["onset"].tolist(),
        x=(events["offset"] - events["onset"]).round(1).tolist(),
        y=(-lanes - _BAR_DOWN).tolist(),
        text=[escape(name) for name in names],
        customdata=[
            f"{escape(name)}<br>{a:.1f} to {b:.1f} s" for name, a, b in zip(names, events["onset"], events["offset"])
        ],
        hovertemplate="truth: %{customdata}<extra></extra>",
        textfont=dict(color=[theme.text_on(c) for c in colours]),
        marker=dict(color=colours),
        name="truth",
        **_BAR,
    )


_UNCHANGED = dict(marker=dict(opacity=1))  # a click on a point does not change the look of any
_BAR = dict(
    orientation="h",
    width=_WIDTH,
    textposition="inside",
    insidetextanchor="start",
    textangle=0,
    insidetextfont=dict(size=12),
    showlegend=False,
    selected=_UNCHANGED,
    unselected=_UNCHANGED,
)


def _empty() -> list[go.Bar | go.Scatter]:
    pattern = dict(shape=[], fgcolor=[], size=6, solidity=0.35)
    bars = empty_bars("segments", dict(color=[], line=dict(color=[], width=1.5), pattern=pattern), _BAR)
    marks = [
        go.Scatter(
            x=[],
            y=[],
            customdata=[],
            mode="markers",
            marker=MARK_STYLES[kind] | dict(opacity=1),
            hovertemplate="%{customdata[2]}<extra></extra>",
            name=kind,
            showlegend=False,
            cliponaxis=False,
            selected=_UNCHANGED,
            unselected=_UNCHANGED,
        )
        for kind in MARKS
    ]
    return [bars, *marks]


def _title(figure: go.Figure, name: str, top: float) -> None:
    """The name of a system above its first lane, and a line above that."""
    y = top + 0.5 + TITLE_PIXELS / LANE_PIXELS
    figure.add_shape(
        type="line",
        xref="x domain",
        x0=0,
        x1=1,
        y0=y,
        y1=y,
        line=dict(color=theme.NEUTRAL, width=1),
        opacity=0.5,
    )
    figure.add_annotation(
        text=f"<b>{escape(name)}</b>",
        xref="x domain",
        x=0.002,
        y=y - 0.04,
        xanchor="left",
        yanchor="top",
        showarrow=False,
        font=dict(size=13),
    )


def _style(figure: go.Figure, ticks: list[tuple[float, str]], bottom: float, seconds: float) -> None:
    shown = [shortened(name, LONGEST_LANE_NAME) for _, name in ticks]
    longest = max(map(len, shown), default=0)
    figure.update_layout(
        height=round(-bottom * LANE_PIXELS) + MARGIN["t"] + MARGIN["b"],
        margin=MARGIN | {"l": max(MARGIN["l"], CHARACTER_PIXELS * longest + 16)},
        barmode="overlay",
        bargap=0,
        hovermode="closest",
        dragmode="zoom",
        uniformtext=dict(minsize=11, mode="hide"),
        font=dict(size=13),
    )
    figure.update_xaxes(
        range=[0, seconds],
        minallowed=0,
        maxallowed=seconds,
        zeroline=False,
        title_text="time (s)",
        title_standoff=6,
    )
    figure.update_yaxes(
        range=[bottom + 0.5, 0.5],
        tickvals=[at - _BAR_DOWN for at, _ in ticks],
        ticktext=[escape(name) for name in shown],
        showgrid=False,
        zeroline=False,
        automargin=False,
        fixedrange=True,
    )


def faded(colour: str) -> str:
    """The colour of a duplicate: the same, mostly transparent."""
    return theme.translucent(colour, 0.25)


# What changes with the threshold


def ribbon_arrays(
    events: pd.DataFrame | None, classes: Sequence[str], blocks: Sequence[Block], found: Sequence[Ribbons]
) -> list[dict]:
    """Properties for each of the last traces of ``ribbons``, in order, as plain lists; arguments as there, ``found`` by block.

    Without events, segments have the colours of their classes.
    """
    n_truth = 0
    if events is not None and len(events):
        n_truth = 1 + int(stacked(events["onset"].to_numpy(), events["offset"].to_numpy()).max())
    heights = lane_heights(blocks, n_truth)
    names = [] if events is None else event_names(events, classes)
    colours = None if events is None else event_colours(events, classes)
    parts = [
        _bars(part.segments, block, tops, names, colours, classes) for part, block, tops in zip(found, blocks, heights)
    ]
    bars = {key: [v for part in parts for v in part[key]] for key in _BAR_KEYS}
    marks = [_marks(kind, blocks, found, heights, names) for kind in MARKS]
    return [bars, *marks]


_BAR_KEYS = (
    "base", "x", "y", "text", "customdata", "marker.color", "marker.line.color", "marker.pattern.shape",
    "marker.pattern.fgcolor", "textfont.color",
)  # fmt: skip


def _bars(
    segments: pd.DataFrame,
    block: Block,
    tops: np.ndarray,
    names: list[str],
    colours: list[str] | None,
    classes: Sequence[str],
) -> dict:
    rows = segments[segments["track"] < len(block.lanes)]
    lane, event = rows["track"].to_numpy(), rows["event"].to_numpy()
    heard = [classes[c] for c in rows["class"]]
    labels = [names[e] if e != NOTHING else heard[i] for i, e in enumerate(event)]
    fills = [_fill(e, again, heard[i], colours) for i, (e, again) in enumerate(zip(event, rows["duplicate"]))]
    verbs = [_verb(e, again, colours is not None) for e, again in zip(event, rows["duplicate"])]
    where = f"{escape(block.name)}, "
    return {
        "base": [round(v, 1) for v in rows["onset"]],
        "x": [round(v, 1) for v in rows["offset"] - rows["onset"]],
        "y": [round(float(v), 3) for v in tops[lane] - _BAR_DOWN],
        "text": [escape(label) for label in labels],
        "customdata": [
            f"{where}{escape(block.lanes[m])}{verb.format(escape(label))}<br>{a:.1f} to {b:.1f} s"
            for m, verb, label, a, b in zip(lane, verbs, labels, rows["onset"], rows["offset"])
        ],
        **dict(zip(_BAR_KEYS[5:], map(list, zip(*fills)) if fills else [[] for _ in _BAR_KEYS[5:]])),
    }


def _verb(event: int, duplicate: bool, with_truth: bool) -> str:
    if event == NOTHING:
        return ": {}, which follows no event" if with_truth else ": {}"
    return " duplicates {}" if duplicate else " follows {}"


def _fill(event: int, duplicate: bool, heard: str, colours: list[str] | None) -> tuple[str, str, str, str, str]:
    """(fill, outline, pattern, colour of the pattern, colour of the text)."""
    if colours is None:
        colour = theme.class_colour(heard)
        return colour, colour, "", colour, theme.text_on(colour)
    if event == NOTHING:
        return GREY, "rgba(0,0,0,0)", "", GREY, theme.PAGE_TEXT
    colour = colours[event]
    if duplicate:
        return faded(colour), colour, "/", colour, theme.PAGE_TEXT
    return colour, colour, "", colour, theme.text_on(colour)


def _marks(
    kind: str, blocks: Sequence[Block], found: Sequence[Ribbons], heights: Sequence[np.ndarray], names: list[str]
) -> dict:
    x, y, data = [], [], []
    for block, part, tops in zip(blocks, found, heights):
        rows = part.marks[(part.marks["kind"] == kind) & (part.marks["track"] < len(block.lanes))]
        marks: list[Any] = list(rows.itertuples())
        for mark in marks:
            at = mark.frame / LABEL_FRAMES_PER_SECOND
            x.append(round(at, 1))
            y.append(round(float(tops[mark.track] + _MARK_UP), 3))
            data.append(
                [*heard_around(mark.frame, mark.frames), f"{escape(block.name)}: {mark_text(mark, names, block)}"]
            )
    return {"x": x, "y": y, "customdata": data}


def heard_around(frame: int, frames: int) -> tuple[float, float]:
    """The stretch (s) that is played for a mark."""
    at = frame / LABEL_FRAMES_PER_SECOND
    end = at + max(min(frames / LABEL_FRAMES_PER_SECOND, 5.0), AFTER_SECONDS)
    return round(max(at - BEFORE_SECONDS, 0.0), 1), round(end, 1)


def mark_text(mark: Any, names: Sequence[str], block: Block) -> str:
    """A mark in words, escaped; mark: a row of ``Following.marks``."""
    lane = escape(block.lanes[mark.track])
    at, event = f"{mark.frame / LABEL_FRAMES_PER_SECOND:.1f} s", escape(names[mark.event])
    if mark.kind == "swap" and mark.before == mark.track:
        return f"swap at {at}: {event} continues on {lane} under another number"
    if mark.kind == "swap":
        before = escape(block.lanes[mark.before]) if mark.before < len(block.lanes) else f"track {mark.before + 1}"
        return f"swap at {at}: {event} continues on {lane}, from {before}"
    if mark.kind == "fragment":
        return f"fragment at {at}: {event} is found again on {lane}"
    return f"duplicate at {at}: {lane} duplicates {event} for {mark.frames / LABEL_FRAMES_PER_SECOND:.1f} s"


# Tracks by events


def matrix(
    seconds: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    row_title: str = "",
    column_title: str = "",
    unit: str = "s",
    most: float | None = None,
) -> go.Figure:
    """A heat map of seconds (R, C) with the numbers in it, the first row at the top; its colours go from 0 to ``most``."""
    values = np.asarray(seconds, float)
    most = values.max(initial=0, where=np.isfinite(values)) if most is None else most
    few = values.size <= 400
    text = [[f"{v:.1f}" if v > 0 else "" for v in row] for row in values]
    figure = go.Figure(
        go.Heatmap(
            z=values.round(1),
            text=text if few else None,
            texttemplate="%{text}" if few else None,
            colorscale=theme.SPECTROGRAM_COLOURS,
            zmin=0,
            zmax=max(most, 0.1),
            xgap=1,
            ygap=1,
            colorbar=dict(title=dict(text=unit), thickness=12),
            hovertemplate=f"%{{customdata}}: %{{z:.1f}} {unit}<extra></extra>",
            customdata=[[f"{escape(r)}, {escape(c)}" for c in columns] for r in rows],
        )
    )
    _name_cells(figure, rows, columns, row_title, column_title)
    return figure


def _name_cells(
    figure: go.Figure, rows: Sequence[str], columns: Sequence[str], row_title: str, column_title: str
) -> None:
    places = [list(range(len(names))) for names in (rows, columns)]
    figure.update_yaxes(
        autorange="reversed",
        tickvals=places[0],
        ticktext=[escape(shortened(r, LONGEST_LANE_NAME)) for r in rows],
        title_text=escape(row_title),
    )
    figure.update_xaxes(
        tickvals=places[1],
        ticktext=[escape(shortened(c, LONGEST_LANE_NAME)) for c in columns],
        title_text=escape(column_title),
        side="bottom",
        automargin=True,
    )
    figure.update_layout(
        height=(96 if column_title else 72) + 34 * max(len(rows), 2),
        margin=dict(l=110, r=10, t=12, b=30),
        font=dict(size=13),
        showlegend=False,
    )
