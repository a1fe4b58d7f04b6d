"""How time and memory grow with the length and the number of clips: what ``einv2.experiments.scaling`` measured in, a plotly
figure out."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.plots.measures import SYSTEM_COLOURS
from app.ui import theme

TITLES = ("one clip", "memory", "clips of 60 s", "memory of the largest process")
_PANEL, _WIDTH = 240, 860


def scaling(length: Sequence[Mapping], clips: Sequence[Mapping]) -> go.Figure:
    """Four panels: seconds and memory (GB) over the length of one clip (minutes), and over the number of clips of 60 s.

    length: rows of minutes, seconds, memory_mb. clips: rows of processes, clips, seconds, memory_mb; a line for each number of
    processes, and beside two or more a dotted one for the ideal: the seconds of one process divided by their number.
    """
    figure = make_subplots(2, 2, subplot_titles=TITLES, vertical_spacing=0.24, horizontal_spacing=0.12)
    minutes = [row["minutes"] for row in length]
    figure.add_trace(_line(minutes, [row["seconds"] for row in length], SYSTEM_COLOURS[0]), 1, 1)
    figure.add_trace(_line(minutes, [row["memory_mb"] / 1000 for row in length], SYSTEM_COLOURS[0]), 1, 2)
    for place, processes in enumerate(sorted({row["processes"] for row in clips}), 1):
        rows = [row for row in clips if row["processes"] == processes]
        numbers, colour = [row["clips"] for row in rows], SYSTEM_COLOURS[place]
        name = f"{processes} process{'es' if processes > 1 else ''}, one thread each"
        figure.add_trace(_line(numbers, [row["seconds"] for row in rows], colour, name), 2, 1)
        figure.add_trace(_line(numbers, [row["memory_mb"] / 1000 for row in rows], colour), 2, 2)
        if processes > 1:
            figure.add_trace(_ideal(clips, processes), 2, 1)
    _style(figure)
    return figure


def _line(x: Sequence, y: Sequence, colour: str, name: str | None = None) -> go.Scatter:
    return go.Scatter(x=x, y=y, mode="lines+markers", name=name, showlegend=name is not None, line_color=colour)


def _ideal(clips: Sequence[Mapping], processes: int) -> go.Scatter:
    one = [row for row in clips if row["processes"] == 1]
    seconds = [row["seconds"] / processes for row in one]
    line = dict(color=theme.NEUTRAL, dash="dot")
    return go.Scatter(
        x=[row["clips"] for row in one], y=seconds, mode="lines", name=f"ideal of {processes} processes", line=line
    )


def _style(figure: go.Figure) -> None:
    figure.update_xaxes(title_text="length (minutes)", title_standoff=4, row=1)
    figure.update_xaxes(title_text="number of clips", title_standoff=4, row=2)
    figure.update_yaxes(rangemode="tozero")
    figure.update_yaxes(title_text="time (s)", title_standoff=6, col=1)
    figure.update_yaxes(title_text="memory (GB)", title_standoff=6, col=2)
    figure.update_layout(
        width=_WIDTH,
        height=2 * _PANEL + 110,
        margin=dict(l=60, r=16, t=36, b=80),
        legend=dict(orientation="h", x=0, y=-0.14, yanchor="top"),
        template="simple_white",
        font_family="Arial, Helvetica, sans-serif",
    )
