"""Figures of the inside of a network: class probabilities, attention, and the weights of the cross-stitches."""

from collections.abc import Sequence
from html import escape

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.ui import theme
from einv2.analysis.attention import WEIGHTS
from einv2.frames import LABEL_FRAME_SECONDS

ROW_PIXELS, HEAD_PIXELS = 17, 190
WEIGHT_COLOURS = ("#27A9E1", "#EE7F2D", "#8C6FE0", "#3FA65A")  # as WEIGHTS
_FRAMES = dict(x0=LABEL_FRAME_SECONDS / 2, dx=LABEL_FRAME_SECONDS)


def probabilities(
    percent: np.ndarray, names: Sequence[str], classes: Sequence[str], shown: tuple[float, float]
) -> go.Figure:
    """The probability of every class over time, a panel for each track.

    percent (T, M, K) uint8, whole percents; names: of the M tracks; shown: the range (s) of the initial zoom.
    """
    _, n_tracks, n_classes = percent.shape
    panel, gap = ROW_PIXELS * n_classes, 30
    inner = n_tracks * panel + (n_tracks - 1) * gap
    figure = make_subplots(
        n_tracks,
        1,
        shared_xaxes=True,
        vertical_spacing=gap / inner if n_tracks > 1 else 0,
        subplot_titles=[escape(name) for name in names],
    )
    for track in range(n_tracks):
        heat = go.Heatmap(
            z=np.ascontiguousarray(percent[:, track].T),
            y=[escape(name) for name in classes],
            coloraxis="coloraxis",
            hovertemplate="%{y}: %{z} %<br>%{x:.2f} s<extra></extra>",
            **_FRAMES,
        )
        figure.add_trace(heat, track + 1, 1)
    figure.update_yaxes(autorange="reversed", showgrid=False, fixedrange=True, tickfont=dict(size=11), dtick=1)
    figure.update_xaxes(range=list(shown), showgrid=False)
    figure.update_xaxes(title_text="time (s)", title_standoff=6, row=n_tracks, col=1)
    figure.update_layout(height=inner + 84, margin=dict(l=130, r=10, t=30, b=48), font=dict(size=13))
    return _coloured(figure, 100, "%")


def _coloured(figure: go.Figure, most: float, unit: str) -> go.Figure:
    """One colour scale, from 0, for all heat maps."""
    bar = dict(title=dict(text=unit), thickness=12)
    figure.update_layout(coloraxis=dict(cmin=0, cmax=most, colorscale=theme.SPECTROGRAM_COLOURS, colorbar=bar))
    return figure


def attention(weights: np.ndarray, titles: Sequence[str], start: float, columns: int = 4) -> go.Figure:
    """The attention of each head: weights (H, T, T) whose rows sum to 1; titles: of the heads; start: time (s) of the first frame.

    Weights are drawn in whole per mille; all heads share one colour scale, up to the 99.5th percentile.
    """
    n_heads, n_frames, _ = weights.shape
    columns = min(columns, n_heads)
    rows = -(-n_heads // columns)
    side = HEAD_PIXELS if n_heads > 1 else 480
    inner = rows * side + (rows - 1) * 46
    figure = make_subplots(
        rows,
        columns,
        shared_xaxes="all",
        shared_yaxes="all",
        horizontal_spacing=0.03 if columns > 1 else 0,
        vertical_spacing=46 / inner if rows > 1 else 0,
        subplot_titles=[escape(t) for t in titles],
    )
    axis = dict(x0=start + LABEL_FRAME_SECONDS / 2, dx=LABEL_FRAME_SECONDS)
    axis |= dict(y0=axis["x0"], dy=axis["dx"])
    for head, values in enumerate(np.rint(1000 * weights).astype(np.uint16)):
        heat = go.Heatmap(
            z=values,
            coloraxis="coloraxis",
            hovertemplate="at %{y:.2f} s, looks at %{x:.2f} s: %{z} ‰<extra></extra>",
            **axis,
        )
        figure.add_trace(heat, head // columns + 1, head % columns + 1)
    _style_heads(figure, rows, start, start + n_frames * LABEL_FRAME_SECONDS, inner)
    return _coloured(figure, max(float(np.quantile(1000 * weights, 0.995)), 1.0), "‰")


def _style_heads(figure: go.Figure, rows: int, start: float, end: float, inner: int) -> None:
    figure.update_yaxes(range=[end, start], showgrid=False)
    # few ticks, so that in a narrow window the last label does not touch the first of the next map
    figure.update_xaxes(range=[start, end], showgrid=False, nticks=4)
    figure.update_xaxes(title_text="looks at (s)", title_standoff=4, row=rows)
    figure.update_yaxes(title_text="at (s)", title_standoff=4, col=1)
    figure.update_layout(height=inner + 92, margin=dict(l=64, r=10, t=36, b=56), font=dict(size=12))
    figure.update_annotations(font_size=12)


def stitches(names: Sequence[str], spreads: Sequence[np.ndarray]) -> go.Figure:
    """The four weights of each cross-stitch over its channels, as boxes from the lower to the upper quartile.

    names: of the cross-stitches; spreads: of each, (4, 6), see ``attention.Stitch.spread``. Whiskers reach to the extremes, the
    dashed line is the mean.
    """
    figure = go.Figure()
    for index, (name, colour) in enumerate(zip(WEIGHTS, WEIGHT_COLOURS)):
        least, lower, median, upper, most, mean = (np.array([s[index, k] for s in spreads]) for k in range(6))
        figure.add_trace(
            go.Box(
                x=list(names),
                lowerfence=least,
                q1=lower,
                median=median,
                q3=upper,
                upperfence=most,
                mean=mean,
                boxmean=True,
                name=name,
                marker_color=colour,
                line_width=1.5,
            )
        )
    figure.add_hline(y=0, line=dict(color=theme.NEUTRAL, width=1), opacity=0.6)
    figure.update_layout(
        boxmode="group",
        height=380,
        margin=dict(l=64, r=10, t=40, b=44),
        font=dict(size=13),
        legend=dict(orientation="h", x=0, y=1.02, xanchor="left", yanchor="bottom"),
        yaxis_title="weight",
    )
    return figure
