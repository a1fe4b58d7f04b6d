"""Parts that several figures share."""

import numpy as np
import plotly.graph_objects as go

from app.ui import theme


def empty_bars(name: str, marker: dict, style: dict) -> go.Bar:
    """Bars that the player fills in the browser: hover texts come as ``customdata``; style: further properties of the trace."""
    return go.Bar(
        base=[],
        x=[],
        y=[],
        text=[],
        customdata=[],
        hovertemplate="%{customdata}<extra></extra>",
        marker=marker,
        name=name,
        **style,
    )


def draw_chunk_borders(figure: go.Figure, seconds: float, chunk_seconds: float | None) -> None:
    """Dotted lines through all panels every ``chunk_seconds``, as one shape; nothing without them."""
    if chunk_seconds:
        path = "".join(f"M{t:g},0L{t:g},1" for t in np.arange(1, int(np.ceil(seconds / chunk_seconds))) * chunk_seconds)
        if path:
            line = dict(color=theme.NEUTRAL, width=1, dash="dot")
            figure.add_shape(type="path", path=path, xref="x", yref="paper", line=line, opacity=0.55)


def shortened(name: str, longest: int) -> str:
    """A name of at most ``longest`` characters."""
    return name if len(name) <= longest else name[: longest - 1].rstrip() + "…"
