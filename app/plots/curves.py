"""Learning curves: the measurements after each epoch of one or several runs in, a plotly figure out."""

import math
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.plots.measures import SMALL_FONT, SYSTEM_COLOURS, SYSTEM_DASHES, label
from app.ui import texts, theme

SCORES = ("ER", "F", "LE", "LR")
LOSSES = ("loss", "validation_loss")
TITLES = {
    "loss": "training loss",
    "validation_loss": "validation loss",
    "sed_loss": "SED loss",
    "doa_loss": "DoA loss",
    "swap_rate": "track swaps (% of steps)",
    "learning_rate": "learning rate",
    "seconds": "time (s)",
}
MOST_MARKERS = 40  # epochs; longer runs are lines without markers
_SCALES = {"swap_rate": 100.0}
_PANEL, _GAP, _LEGEND = 190, 62, 40


def curves(runs: Mapping[str, Sequence[Mapping]], keys: Sequence[str] = SCORES, columns: int = 2) -> go.Figure:
    """A panel for each key, a line for each run over its epochs; a value that is not a finite number is a gap.

    runs: by name, one mapping per epoch with the number ``epoch`` (default: its index from 1) and the keys, as in a checkpoint's
    curve and in metrics.jsonl. Shares are drawn in %. With one run there is no legend.
    """
    columns = min(columns, len(keys))
    rows = -(-len(keys) // columns)
    inner = rows * _PANEL + (rows - 1) * _GAP
    figure = make_subplots(
        rows,
        columns,
        subplot_titles=[title(key) for key in keys],
        vertical_spacing=_GAP / inner if rows > 1 else 0,
        horizontal_spacing=0.11 if columns > 1 else 0,
    )
    for n, (name, entries) in enumerate(runs.items()):
        for place, key in enumerate(keys):
            figure.add_trace(_line(name, n, entries, key, place == 0), place // columns + 1, place % columns + 1)
    figure.update_xaxes(showgrid=False, zeroline=False)
    figure.update_xaxes(title_text="epoch", title_standoff=4, row=rows)
    if _last_epoch(runs) <= 12:
        figure.update_xaxes(dtick=1)
    figure.update_yaxes(rangemode="tozero", zeroline=False)
    figure.update_annotations(font_size=SMALL_FONT + 1)
    several = len(runs) > 1
    return figure.update_layout(
        height=inner + 84 + several * _LEGEND,
        margin=dict(l=52, r=14, t=34 + several * _LEGEND, b=50),
        font_size=SMALL_FONT,
        showlegend=several,
        legend=dict(orientation="h", x=0, y=1 + 30 / inner, xanchor="left", yanchor="bottom"),
    )


def title(key: str) -> str:
    """A measure, a loss or another column of a training, with its unit."""
    return TITLES.get(key) or label(texts.title(key))


def _line(name: str, n: int, entries: Sequence[Mapping], key: str, in_legend: bool) -> go.Scatter:
    points = [
        (place if (epoch := number(e.get("epoch"))) is None else epoch, number(e.get(key)))
        for place, e in enumerate(entries, 1)
        if isinstance(e, Mapping)
    ]
    scale = _SCALES.get(key, texts.scale(key))
    marked = len(points) <= MOST_MARKERS
    return go.Scatter(
        x=[x for x, _ in points],
        y=[None if y is None else float(f"{scale * y:.5g}") for _, y in points],
        mode="lines+markers" if marked else "lines",
        line=dict(
            color=SYSTEM_COLOURS[n % len(SYSTEM_COLOURS)], width=2, dash=SYSTEM_DASHES[n // len(SYSTEM_COLOURS) % 4]
        ),
        marker=dict(size=6, symbol=theme.TRACK_SYMBOLS[n % len(theme.TRACK_SYMBOLS)]),
        name=label(name),
        legendgroup=str(n),
        showlegend=in_legend,
        hovertemplate=f"{label(name)}<br>epoch %{{x}}<br>{title(key)}: %{{y}}<extra></extra>",
    )


def number(value: object) -> float | None:
    """A finite number, or None for anything else: the values come from files, which may hold anything."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def _last_epoch(runs: Mapping[str, Sequence[Mapping]]) -> int:
    return max((len(entries) for entries in runs.values()), default=0)
