"""The time figure: spectrogram, tracks, azimuth and elevation on one axis of time.

The figure holds what does not change with the threshold. The detections come as ``detection_arrays``, one entry for each of
the figure's last traces, and are put into the standing figure in the browser: zoom stays, and little is sent. For the same
reason all that has a value for every frame is of eight bits.

Several networks ("systems") are shown at once as blocks of lanes, one under the other. In the azimuth and elevation panels
every lane has a symbol of its own, the same as on the map of directions; the dots of the second system and later have a thin outline
as well.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.ui import theme
from einv2.audio import foa
from einv2.frames import LABEL_FRAME_SECONDS, LABEL_FRAMES_PER_SECOND
from einv2.labels import frame_tables

LANE_PIXELS = (
    (5, 34),
    (12, 28),
    (np.inf, 25),
)  # up to so many lanes, each so high that names fit into segments
PANEL_PIXELS = {"first": 190, "azimuth": 190, "elevation": 130}
GAP_PIXELS = 26
MARGIN = dict(l=78, r=62, t=30, b=44)  # at the right, the scale of the first panel
CHARACTER_PIXELS, LONGEST_LANE_NAME = 7, 24  # of a lane's name; longer ones are cut
TICK_HZ = (500, 1000, 2000, 4000, 8000)
TITLES = {"level": "log-mel (dB)", "intensity": "intensity vector", "waveform": "waveform"}
INTENSITY_COLOURS = (
    (0, "#45B3F5"),
    (0.5, "#1B2430"),
    (1, "#F5A742"),
)  # dark at 0 on either page, as the spectrogram is
WAVEFORM_COLOUR = "#3C9AA8"
LEAST_TOP_DB, SHOWN_DB, FLOOR_DB = -20, 70, -100  # of the colours of a level; the features know nothing below the floor
LEAST_NAMED_PERCENT = 5  # the class of a smaller probability is not told
_STRIP_COLOURS = ((0, "rgba(118,131,143,0)"), (1, "rgba(118,131,143,0.65)"))  # of theme.NEUTRAL
_CLEAR = ((0, "rgba(0,0,0,0)"), (1, "rgba(0,0,0,0)"))
_ENERGY_COLOURS = ((0, "rgba(108,128,176,0)"), (0.2, "rgba(108,128,176,0.05)"), (1, "rgba(108,128,176,0.85)"))


def timeline(
    spectrogram: np.ndarray,
    column_seconds: float,
    mel_hz: np.ndarray,
    seconds: float,
    track_names: Sequence[str],
    truth: pd.DataFrame | None,
    truth_classes: tuple[str, ...] = (),
    shown: tuple[float, float] | None = None,
    *,
    kind: str = "level",
    title: str | None = None,
    full_scale: float = 1.0,
    probabilities: np.ndarray | None = None,
    probable: np.ndarray | None = None,
    classes: Sequence[str] = (),
    energy: np.ndarray | None = None,
    energy_azimuths: np.ndarray | None = None,
    chunk_seconds: float | None = None,
    systems: Sequence[int] = (),
) -> go.Figure:
    """The standing figure.

    spectrogram: what the first panel shows in columns of ``column_seconds``; kind says what that is:

        level      (columns, mels) int8 dB
        intensity  (columns, mels) int8, a component of the intensity vector, -127 to 127 for -1 to 1
        waveform   (columns, 2) int8, the least and the largest sample of each column, 127 for an amplitude of ``full_scale``

    mel_hz (mels,) centre frequencies, not looked at for a waveform; seconds: length of the clip; track_names: one a lane, the
    lanes of all systems one after the other; truth: frame table whose ``track`` says on which reference lane a row lies, or
    None. shown: seconds from and to which the figure is zoomed at first, if not all. title: of the first panel, if not that of
    its kind ("" for none).

    Behind the detections, each where it is given: probabilities (T, lanes) uint8, the largest class probability of every label
    frame and lane in percent, with ``probable`` (T, lanes) the class it belongs to, an index into ``classes`` (see
    ``lane_probabilities``); energy (T, A) uint8, how much sounds from each of ``energy_azimuths`` (A,) degrees, evenly spaced,
    by default those of ``foa.azimuth_centres``; lines every ``chunk_seconds``, where the network's chunks meet.

    systems: how many of the lanes belong to each system; all to one by default. The traces of the detections come last, empty:
    always 1 + 2 * lanes of them. ValueError on a kind or numbers of lanes that do not fit.
    """
    _check_lanes(track_names, systems, probabilities)
    truth_lanes = sorted(truth["track"].unique()) if truth is not None and len(truth) else []
    lanes = [*track_names] + [f"truth {lane + 1}" for lane in truth_lanes]
    heights = _heights(len(lanes))
    inner = sum(heights) + 3 * GAP_PIXELS
    figure = make_subplots(4, 1, shared_xaxes=True, row_heights=heights, vertical_spacing=GAP_PIXELS / inner)
    figure.add_traces(_first_panel(spectrogram, column_seconds, mel_hz, kind, full_scale), 1, 1)
    if probabilities is not None:
        figure.add_trace(_probability_strip(probabilities, probable, classes, lanes), 2, 1)
    if energy is not None:
        figure.add_trace(_energy_map(energy, energy_azimuths), 3, 1)
    if truth_lanes:
        figure.add_trace(truth_bars(truth, truth_classes), 2, 1)
        for row, column in ((3, "azimuth"), (4, "elevation")):
            figure.add_traces(truth_lines(truth, truth_classes, column), row, 1)
    for trace, row in empty_detections(track_names, systems):
        figure.add_trace(trace, row, 1)
    _style(figure, inner, lanes, seconds)
    low, high = figure.layout.yaxis.domain
    figure.update_traces(
        colorbar=dict(y=(low + high) / 2, len=high - low, lenmode="fraction"),
        row=1,
        col=1,
        selector=dict(type="heatmap"),
    )
    _style_first_panel(figure, mel_hz, kind, full_scale, TITLES[kind] if title is None else title)
    _draw_borders(figure, lanes, systems, seconds, chunk_seconds)
    if shown is not None:
        figure.update_xaxes(range=[max(shown[0], 0), min(shown[1], seconds)])
    return figure


def lane_probabilities(sed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``probabilities`` and ``probable`` (T, M) of a prediction's sed (T, M, K): whole percents, and class indices."""
    dtype = np.min_scalar_type(sed.shape[2])
    return np.rint(100 * sed.max(-1)).astype(np.uint8), sed.argmax(-1).astype(dtype)


def _check_lanes(track_names: Sequence[str], systems: Sequence[int], probabilities: np.ndarray | None) -> None:
    if systems and sum(systems) != len(track_names):
        raise ValueError(f"systems must add up to the {len(track_names)} lanes of track_names, not {tuple(systems)}")
    if probabilities is not None and probabilities.shape[1] != len(track_names):
        raise ValueError(f"probabilities must be (T, {len(track_names)}), a column a lane, not {probabilities.shape}")


def _heights(n_lanes: int) -> list[int]:
    lane = next(pixels for most, pixels in LANE_PIXELS if n_lanes <= most)
    return [PANEL_PIXELS["first"], lane * n_lanes, PANEL_PIXELS["azimuth"], PANEL_PIXELS["elevation"]]


# The first panel


def _first_panel(image: np.ndarray, column_seconds: float, mel_hz: np.ndarray, kind: str, full_scale: float) -> list:
    if kind not in TITLES:
        raise ValueError(f"kind must be one of {', '.join(TITLES)}, not {kind!r}")
    if kind == "waveform":
        return _waveform(image, column_seconds, full_scale)
    low, top = level_range(image)
    scale = dict(zmin=low, zmax=top, colorscale=theme.SPECTROGRAM_COLOURS, colorbar=_colour_bar("dB"))
    value = "%{z} dB"
    if kind == "intensity":
        ticks = dict(tickvals=[-127, 0, 127], ticktext=["−1", "0", "1"])
        scale = dict(zmin=-127, zmax=127, colorscale=INTENSITY_COLOURS, colorbar=_colour_bar("") | ticks)
        value = "%{z:+d} of 127"
    heatmap = go.Heatmap(
        z=np.ascontiguousarray(image.T),
        x0=column_seconds / 2,
        dx=column_seconds,
        y=_band_names(mel_hz),
        hovertemplate=f"%{{x:.2f}} s<br>%{{y}}<br>{value}<extra></extra>",
        name="spectrogram" if kind == "level" else kind,
        **scale,
    )
    return [heatmap]


def level_range(levels: np.ndarray) -> tuple[int, int]:
    """From and to how many dB a picture of levels is coloured: 70 dB down from its largest, which counts as ``LEAST_TOP_DB`` at least,
    so that silence is dark and faint hiss looks faint. No level is below the floor of the features."""
    top = max(int(levels.max(initial=-128)), LEAST_TOP_DB)
    return max(top - SHOWN_DB, FLOOR_DB), top


def _colour_bar(unit: str) -> dict:
    """Right of the first panel, of its height."""
    return dict(
        title=dict(text=unit, side="top", font=dict(size=11)),
        thickness=9,
        x=1.006,
        xpad=0,
        ypad=0,
        outlinewidth=0,
        tickfont=dict(size=11),
        nticks=4,
    )


def _band_names(mel_hz: np.ndarray) -> list[str]:
    """Categories of the mel axis: evenly spaced, and told as they are in the hover text."""
    return [f"{hz:.0f} Hz" for hz in mel_hz]


def _waveform(extremes: np.ndarray, column_seconds: float, full_scale: float) -> list:
    """The band between the least and the largest samples, under a clear map that tells the peak wherever the mouse is."""
    least, largest = (np.float32(full_scale / 127) * extremes.T.astype(np.float32)).round(4)
    line = dict(mode="lines", line=dict(color=WAVEFORM_COLOUR, width=1), x0=column_seconds / 2, dx=column_seconds)
    peaks = go.Heatmap(
        z=np.maximum(np.abs(least), np.abs(largest))[None],
        x0=column_seconds / 2,
        dx=column_seconds,
        y0=0,
        dy=2.1 * full_scale,
        colorscale=_CLEAR,
        showscale=False,
        hovertemplate="%{x:.2f} s<br>peak %{z:.3f}<extra></extra>",
        name="peaks",
    )
    return [
        go.Scatter(y=least, hoverinfo="skip", name="waveform, least", **line),
        go.Scatter(y=largest, fill="tonexty", hoverinfo="skip", name="waveform", **line),
        peaks,
    ]


def _style_first_panel(figure: go.Figure, mel_hz: np.ndarray, kind: str, full_scale: float, title: str) -> None:
    if kind == "waveform":
        ticks = dict(tickvals=[-full_scale, 0, full_scale], ticktext=[f"{v:.2g}" for v in (-full_scale, 0, full_scale)])
        figure.update_yaxes(
            title_text="amplitude", range=[-1.05 * full_scale, 1.05 * full_scale], row=1, col=1, **ticks
        )
    else:
        hz = [hz for hz in TICK_HZ if hz <= mel_hz[-1]]
        # Numbers on an axis of categories are positions between them.
        ticks = dict(tickvals=np.interp(hz, mel_hz, np.arange(len(mel_hz))).tolist())
        ticks |= dict(ticktext=[f"{v / 1000:g}k" if v >= 1000 else str(v) for v in hz])
        figure.update_yaxes(
            title_text="Hz (mel scale)",
            type="category",
            categoryorder="array",
            categoryarray=_band_names(mel_hz),
            range=[-0.5, len(mel_hz) - 0.5],
            showgrid=False,
            row=1,
            col=1,
            **ticks,
        )
    if title:
        _draw_title(figure, title)


def _draw_title(figure: go.Figure, title: str) -> None:
    figure.add_annotation(
        text=escape(title),
        xref="x domain",
        yref="y domain",
        x=0.004,
        y=0.97,
        xanchor="left",
        yanchor="top",
        showarrow=False,
        font=dict(size=12, color="#F2F5F7"),
        bgcolor="rgba(14,20,26,0.62)",
        borderpad=3,
    )


# Behind the detections


def _probability_strip(
    probabilities: np.ndarray, probable: np.ndarray | None, classes: Sequence[str], lanes: list[str]
) -> go.Heatmap:
    """A heat strip in the lane of each track.

    plotly.js wants a row for every category of the axis, so those of the truth are gaps, and takes the text in the order of
    the categories, whatever that of y: from the lowest lane upwards.
    """
    named = probable is not None
    n_truth = len(lanes) - probabilities.shape[1]
    rows = probabilities.T.tolist() + [[None] * len(probabilities)] * n_truth
    text = [*_probable_names(probabilities, probable, classes), *[[""]] * n_truth] if named else []
    return go.Heatmap(
        z=rows[::-1],
        y=lanes[::-1],
        text=text[::-1] or None,
        hovertemplate=f"%{{y}}: {'%{text} ' if named else ''}%{{z}} %<br>%{{x:.2f}} s<extra></extra>",
        hoverongaps=False,
        zmin=0,
        zmax=100,
        colorscale=_STRIP_COLOURS,
        ygap=3,
        name="probabilities",
        **_FRAMES,
    )


def _probable_names(probabilities: np.ndarray, probable: np.ndarray, classes: Sequence[str]) -> list[list[str]]:
    """(lanes, T) names for the hover text, empty where the probability is next to nothing."""
    names = np.array([*map(escape, classes), ""], object)
    return names[np.where(probabilities < LEAST_NAMED_PERCENT, len(classes), probable)].T.tolist()


_FRAMES = dict(x0=LABEL_FRAME_SECONDS / 2, dx=LABEL_FRAME_SECONDS, showscale=False)


def _energy_map(energy: np.ndarray, azimuths: np.ndarray | None) -> go.Heatmap:
    azimuths = foa.azimuth_centres(energy.shape[1]) if azimuths is None else azimuths
    return go.Heatmap(
        z=np.ascontiguousarray(energy.T),
        y=np.asarray(azimuths).tolist(),
        zmin=0,
        zmax=255,
        colorscale=_ENERGY_COLOURS,
        hoverinfo="skip",
        name="energy",
        **_FRAMES,
    )


def _draw_borders(
    figure: go.Figure, lanes: list[str], systems: Sequence[int], seconds: float, chunk_seconds: float | None
) -> None:
    """Dotted lines between the chunks, through all panels, and a line under the lanes of each system that has lanes below it."""
    line = dict(color=theme.NEUTRAL, width=1)
    if chunk_seconds:
        times = np.arange(1, int(np.ceil(seconds / chunk_seconds))) * chunk_seconds
        if len(times):
            path = "".join(f"M{t:g},0L{t:g},1" for t in times)
            figure.add_shape(type="path", path=path, xref="x", yref="paper", line=line | dict(dash="dot"), opacity=0.55)
    ends = np.cumsum(systems, dtype=int)
    for end in ends[ends < len(lanes)].tolist():
        y = len(lanes) - end - 0.5
        figure.add_shape(type="line", x0=0, x1=1, y0=y, y1=y, xref="x2 domain", yref="y2", line=line, opacity=0.8)


# Ground truth and detections


def segments(table: pd.DataFrame) -> pd.DataFrame:
    """Runs of consecutive frames of one class on one track: track, class, onset and offset in seconds."""
    return frame_tables.frames_to_events(table)[["track", "class", "onset", "offset"]]


def truth_bars(truth: pd.DataFrame, classes: tuple[str, ...]) -> go.Bar:
    """The events of a reference, whose ``track`` is its lane, as outlines on the lanes "truth 1", "truth 2" and so on."""
    runs = segments(truth)
    colours = [theme.class_colour(classes[c]) for c in runs["class"]]
    return go.Bar(
        base=runs["onset"].tolist(),
        x=(runs["offset"] - runs["onset"]).tolist(),  # lists, which the player cuts to the view
        y=[f"truth {lane + 1}" for lane in runs["track"]],
        customdata=[
            f"{escape(classes[c])}<br>{a:.1f} to {b:.1f} s"
            for c, a, b in zip(runs["class"], runs["onset"], runs["offset"])
        ],
        hovertemplate="truth: %{customdata}<extra></extra>",
        text=[escape(classes[c]) for c in runs["class"]],
        textfont=dict(color=theme.PAGE_TEXT),
        marker=dict(color=[_faded(c) for c in colours], line=dict(color=colours, width=1.5)),
        name="truth",
        **_BAR,
    )


_BAR = dict(orientation="h", width=0.84, textposition="inside", insidetextanchor="start", textangle=0)


def _faded(colour: str) -> str:
    r, g, b = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({r},{g},{b},0.16)"


def truth_lines(truth: pd.DataFrame, classes: tuple[str, ...], column: str) -> list[go.Scatter]:
    """The azimuths or elevations of a reference over time: a thin line per class, broken between events and where the azimuth
    jumps across +-180 degrees."""
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


def empty_detections(track_names: Sequence[str], systems: Sequence[int] = ()) -> list[tuple[go.Bar | go.Scatter, int]]:
    """The traces that ``detection_arrays`` fills, with their rows: one of bars, then azimuth and elevation of each lane."""
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
        for marker, name in zip(_markers(systems or [len(track_names)]), track_names):
            dots = go.Scatter(
                x=[],
                y=[],
                mode="markers",
                marker=dict(color=[], opacity=0.85, **marker),
                customdata=[],
                hovertemplate=f"{escape(name)}: %{{customdata}}<br>%{{x:.2f}} s, {column} %{{y:.0f}}°<extra></extra>",
                name=f"{name} {column}",
            )
            traces.append((dots, row))
    return traces


def _markers(systems: Sequence[int]) -> list[dict]:
    """What the dots of each lane look like: a symbol a track, and an outline a system."""
    outline = dict(width=1.2, color=theme.NEUTRAL)
    of_lane = [system for system, n_tracks in enumerate(systems) for _ in range(n_tracks)]
    return [
        (dict(size=7, line=outline) if system else dict(size=6)) | dict(symbol=theme.track_symbol(lane))
        for lane, system in enumerate(of_lane)
    ]


def detection_arrays(
    table: pd.DataFrame, classes: tuple[str, ...], track_names: Sequence[str], systems: Sequence[int] = ()
) -> list[dict]:
    """Properties for each trace of ``empty_detections``, in order, as plain lists.

    table: frame table with confidence. Of several systems, whose lanes ``systems`` counts as in ``timeline``, the rows stand
    in one table with a column ``system`` (from 0); ``track`` counts from 0 within each, and all use the same ``classes``.
    """
    if "system" in table:
        first = np.cumsum([0, *systems])
        table = table.assign(track=table["track"] + first[table["system"].to_numpy(int)])
    columns = ("azimuth", "elevation")
    lanes = [table[table["track"] == lane] for lane in range(len(track_names))]
    dots = [_dot_arrays(rows, classes) for rows in lanes]
    heights = [{"y": rows[column].round(1).tolist()} for column in columns for rows in lanes]
    return [_bar_arrays(table, classes, track_names), *(d | y for d, y in zip(2 * dots, heights))]


def _bar_arrays(table: pd.DataFrame, classes: tuple[str, ...], track_names: Sequence[str]) -> dict:
    runs = segments(table)
    colours = [theme.class_colour(classes[c]) for c in runs["class"]]
    return {
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


def _dot_arrays(rows: pd.DataFrame, classes: tuple[str, ...]) -> dict:
    """All but the heights, which differ from panel to panel."""
    colours, names = [theme.class_colour(name) for name in classes], [escape(name) for name in classes]
    found = rows["class"].tolist()
    return {
        "x": ((rows["frame"] + 0.5) / LABEL_FRAMES_PER_SECOND).round(2).tolist(),
        "marker.color": [colours[c] for c in found],
        "customdata": [f"{names[c]}<br>p {p:.2f}" for c, p in zip(found, rows["confidence"].tolist())],
    }


def _style(figure: go.Figure, inner: int, lanes: list[str], seconds: float) -> None:
    shown_names = [escape(_shortened(lane)) for lane in lanes]
    longest = max(len(_shortened(lane)) for lane in lanes)
    figure.update_layout(
        height=inner + MARGIN["t"] + MARGIN["b"],
        margin=MARGIN | {"l": max(MARGIN["l"], CHARACTER_PIXELS * longest + 14)},
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
    figure.update_yaxes(title_standoff=4, zeroline=False, automargin=False, fixedrange=True)
    figure.update_yaxes(
        type="category",
        categoryorder="array",
        categoryarray=lanes[::-1],
        range=[-0.5, len(lanes) - 0.5],
        tickvals=lanes,
        ticktext=shown_names,
        row=2,
        col=1,
    )
    azimuths, elevations = [-180, -90, 0, 90, 180], [-90, -45, 0, 45, 90]
    figure.update_yaxes(title_text="azimuth (°)", range=[-184, 184], tickvals=azimuths, row=3, col=1)
    figure.update_yaxes(title_text="elevation (°)", range=[-94, 94], tickvals=elevations, row=4, col=1)


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_LANE_NAME else name[: LONGEST_LANE_NAME - 1].rstrip() + "…"
