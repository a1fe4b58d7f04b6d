"""The time figure: spectrogram, tracks, azimuth and elevation on one axis of time.

The standing figure holds what does not depend on the threshold. The detections come as ``detection_arrays``, one entry for each
of the figure's last traces; the browser puts them into the standing figure, so that the zoom stays and little is sent. To send
little, everything with a value per frame is 8-bit.

Several systems (compared outputs) are shown at once as groups of lanes, one below the other. In the azimuth and elevation panels
each lane has a different symbol, the same as on the map of directions; from the second group on, the dots also have a thin outline.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import cast

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.plots.traces import draw_chunk_borders, empty_bars, shortened
from app.ui import theme
from einv2.audio import foa
from einv2.frames import LABEL_FRAME_SECONDS, LABEL_FRAMES_PER_SECOND
from einv2.labels import frame_tables

# (most lanes, height of a lane), high enough that names fit into segments
LANE_PIXELS = ((5, 34), (12, 28), (np.inf, 25))
PANEL_PIXELS = {"first": 190, "azimuth": 190, "elevation": 130}
GAP_PIXELS = 26
MARGIN = dict(l=78, r=62, t=30, b=44)  # the colour scale of the first panel stands at the right
CHARACTER_PIXELS, LONGEST_LANE_NAME = 7, 24  # width of a character; longest name of a lane, longer ones are cut
TICK_HZ = (500, 1000, 2000, 4000, 8000)
TITLES = {"level": "log-mel (dB)", "intensity": "intensity vector", "waveform": "waveform"}
# Dark at 0 on the light and on the dark page, like the spectrogram.
INTENSITY_COLOURS = ((0, "#45B3F5"), (0.5, "#1B2430"), (1, "#F5A742"))
WAVEFORM_COLOUR = "#3C9AA8"
LEAST_TOP_DB, SHOWN_DB, FLOOR_DB = -20, 70, -100  # the colour scale of levels; features end at the floor
LEAST_NAMED_PERCENT = 5  # the hover text names the class from this probability on
_STRIP_COLOURS = ((0, theme.translucent(theme.NEUTRAL, 0)), (1, theme.translucent(theme.NEUTRAL, 0.65)))
_CLEAR = ((0, "rgba(0,0,0,0)"), (1, "rgba(0,0,0,0)"))
_ENERGY_COLOURS = ((0, "rgba(108,128,176,0)"), (0.2, "rgba(108,128,176,0.05)"), (1, "rgba(108,128,176,0.85)"))


@dataclass(frozen=True)
class Picture:
    """The first panel: values in columns of ``column_seconds``; kind says what they are.

        level      (columns, mels) int8 dB
        intensity  (columns, mels) int8, a component of the intensity vector, -127 to 127 for -1 to 1
        waveform   (columns, 2) int8, smallest and largest sample of each column, 127 for an amplitude of ``full_scale``

    mel_hz: (mels,) centre frequencies, not used for a waveform. title: by default that of the kind; "" for none. ValueError on
    another kind.
    """

    values: np.ndarray
    column_seconds: float
    mel_hz: np.ndarray
    kind: str = "level"
    title: str | None = None
    full_scale: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in TITLES:
            raise ValueError(f"kind must be one of {', '.join(TITLES)}, not {self.kind!r}")


@dataclass(frozen=True)
class Lanes:
    """The lanes of the detections, those of all systems one after the other.

    groups: the number of lanes of each system; by default one system has all. ValueError if they do not add up to the names.
    """

    names: Sequence[str]
    groups: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.groups and sum(self.groups) != len(self.names):
            raise ValueError(f"groups must add up to the {len(self.names)} lanes, not {tuple(self.groups)}")


@dataclass(frozen=True)
class Truth:
    """The ground truth. table: frame table whose ``track`` is the reference lane and whose class indexes ``classes``, or None."""

    table: pd.DataFrame | None = None
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Behind:
    """The background of the panels; each part is drawn if given.

    probabilities: (T, lanes) uint8, the largest class probability of each label frame and lane in percent; probable: (T, lanes) its
    class, an index into ``classes`` (see ``lane_probabilities``). energy: (T, A) uint8 by ``energy_azimuths`` (A,) in degrees,
    evenly spaced, by default those of ``foa.azimuth_centres``. chunk_seconds: distance of the lines where the network's chunks
    meet.
    """

    probabilities: np.ndarray | None = None
    probable: np.ndarray | None = None
    classes: Sequence[str] = ()
    energy: np.ndarray | None = None
    energy_azimuths: np.ndarray | None = None
    chunk_seconds: float | None = None


def timeline(
    picture: Picture,
    lanes: Lanes,
    seconds: float,
    truth: Truth | None = None,
    behind: Behind | None = None,
    shown: tuple[float, float] | None = None,
) -> go.Figure:
    """The standing figure.

    seconds: length of the clip; shown: the range (s) of the initial zoom, the whole clip by default. The traces of the detections
    come last, empty: always 1 + 2 * lanes of them. ValueError on probabilities of another number of lanes.
    """
    truth, behind = truth or Truth(), behind or Behind()
    if behind.probabilities is not None and behind.probabilities.shape[1] != len(lanes.names):
        raise ValueError(
            f"probabilities must be (T, {len(lanes.names)}), a column a lane, not {behind.probabilities.shape}"
        )
    reference = None if truth.table is None or not len(truth.table) else truth.table
    truth_lanes = [] if reference is None else sorted(reference["track"].unique())
    names = [*lanes.names] + [f"truth {lane + 1}" for lane in truth_lanes]
    heights = _heights(len(names))
    inner = sum(heights) + 3 * GAP_PIXELS
    figure = make_subplots(4, 1, shared_xaxes=True, row_heights=heights, vertical_spacing=GAP_PIXELS / inner)
    figure.add_traces(_first_panel(picture), 1, 1)
    if behind.probabilities is not None:
        figure.add_trace(_probability_strip(behind.probabilities, behind.probable, behind.classes, names), 2, 1)
    if behind.energy is not None:
        figure.add_trace(_energy_map(behind.energy, behind.energy_azimuths), 3, 1)
    if reference is not None:
        figure.add_trace(truth_bars(reference, truth.classes), 2, 1)
        for row, column in ((3, "azimuth"), (4, "elevation")):
            figure.add_traces(truth_lines(reference, truth.classes, column), row, 1)
    for trace, row in empty_detections(lanes):
        figure.add_trace(trace, row, 1)
    _style(figure, inner, names, seconds)
    low, high = figure.layout.yaxis.domain
    figure.update_traces(
        colorbar=dict(y=(low + high) / 2, len=high - low, lenmode="fraction"),
        row=1,
        col=1,
        selector=dict(type="heatmap"),
    )
    _style_first_panel(figure, picture)
    draw_chunk_borders(figure, seconds, behind.chunk_seconds)
    _draw_group_borders(figure, len(names), lanes.groups)
    if shown is not None:
        figure.update_xaxes(range=[max(shown[0], 0), min(shown[1], seconds)])
    return figure


def lane_probabilities(sed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``probabilities`` and ``probable`` (T, M) of a prediction's sed (T, M, K): whole percents, and class indices."""
    dtype = np.min_scalar_type(sed.shape[2])
    return np.rint(100 * sed.max(-1)).astype(np.uint8), sed.argmax(-1).astype(dtype)


def _heights(n_lanes: int) -> list[int]:
    lane = next(pixels for most, pixels in LANE_PIXELS if n_lanes <= most)
    return [PANEL_PIXELS["first"], lane * n_lanes, PANEL_PIXELS["azimuth"], PANEL_PIXELS["elevation"]]


# The first panel


def _first_panel(picture: Picture) -> list[go.Scatter | go.Heatmap]:
    if picture.kind == "waveform":
        return _waveform(picture)
    if picture.kind == "intensity":
        ticks = dict(tickvals=[-127, 0, 127], ticktext=["−1", "0", "1"])
        scale = dict(zmin=-127, zmax=127, colorscale=INTENSITY_COLOURS, colorbar=_colour_bar("") | ticks)
        value = "%{z:+d} of 127"
    else:
        low, top = level_range(picture.values)
        scale = dict(zmin=low, zmax=top, colorscale=theme.SPECTROGRAM_COLOURS, colorbar=_colour_bar("dB"))
        value = "%{z} dB"
    heatmap = go.Heatmap(
        z=np.ascontiguousarray(picture.values.T),
        x0=picture.column_seconds / 2,
        dx=picture.column_seconds,
        y=_band_names(picture.mel_hz),
        hovertemplate=f"%{{x:.2f}} s<br>%{{y}}<br>{value}<extra></extra>",
        name="spectrogram" if picture.kind == "level" else picture.kind,
        **scale,
    )
    return [heatmap]


def level_range(levels: np.ndarray) -> tuple[int, int]:
    """The range of the colours of levels, dB: from 70 dB below the largest level up to it.

    The top is at least ``LEAST_TOP_DB``, so that silence is dark and faint hiss looks faint; the range does not go below the floor
    of the features.
    """
    top = max(int(levels.max(initial=-128)), LEAST_TOP_DB)
    return max(top - SHOWN_DB, FLOOR_DB), top


def _colour_bar(unit: str) -> dict:
    """The colour scale at the right of the first panel."""
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
    """Categories of the mel axis: evenly spaced, and readable in the hover text."""
    return [f"{hz:.0f} Hz" for hz in mel_hz]


def _waveform(picture: Picture) -> list[go.Scatter | go.Heatmap]:
    """The band between the smallest and the largest samples, under a transparent map whose hover text gives the peak."""
    full_scale, column_seconds = picture.full_scale, picture.column_seconds
    least, largest = (np.float32(full_scale / 127) * picture.values.T.astype(np.float32)).round(4)
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


def _style_first_panel(figure: go.Figure, picture: Picture) -> None:
    mel_hz, full_scale = picture.mel_hz, picture.full_scale
    ticks: dict[str, list]
    if picture.kind == "waveform":
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
    if title := TITLES[picture.kind] if picture.title is None else picture.title:
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

    plotly.js expects a row for every category of the axis, so the lanes of the truth get empty rows. It reads ``text`` in the order
    of the categories, from the lowest lane upwards, whatever the order of ``y``.
    """
    n_truth = len(lanes) - probabilities.shape[1]
    rows = probabilities.T.tolist() + [[None] * len(probabilities)] * n_truth
    text: list[list[str]] = []
    if probable is not None:
        # by class, the last one for probabilities that are too small to be named
        class_names = np.array([*map(escape, classes), ""], object)
        named = np.where(probabilities < LEAST_NAMED_PERCENT, len(classes), probable)
        text = [*class_names[named].T.tolist(), *[[""]] * n_truth]
    return go.Heatmap(
        z=rows[::-1],
        y=lanes[::-1],
        text=text[::-1] or None,
        hovertemplate=f"%{{y}}: {'%{text} ' if text else ''}%{{z}} %<br>%{{x:.2f}} s<extra></extra>",
        hoverongaps=False,
        zmin=0,
        zmax=100,
        colorscale=_STRIP_COLOURS,
        ygap=3,
        name="probabilities",
        **_FRAMES,
    )


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


def _draw_group_borders(figure: go.Figure, n_lanes: int, groups: Sequence[int]) -> None:
    """A line below the lanes of each group, except at the bottom of the panel."""
    line = dict(color=theme.NEUTRAL, width=1)
    ends = np.cumsum(groups, dtype=int)
    for end in ends[ends < n_lanes].tolist():
        y = n_lanes - end - 0.5
        figure.add_shape(type="line", x0=0, x1=1, y0=y, y1=y, xref="x2 domain", yref="y2", line=line, opacity=0.8)


# Ground truth and detections


def segments(table: pd.DataFrame) -> pd.DataFrame:
    """Runs of consecutive frames of one class on one track: track, class, onset and offset in seconds."""
    return frame_tables.frames_to_events(table)[["track", "class", "onset", "offset"]]


def truth_bars(truth: pd.DataFrame, classes: Sequence[str]) -> go.Bar:
    """The events of a reference, whose ``track`` is its lane, as outlines on the lanes "truth 1", "truth 2" and so on."""
    runs = segments(truth)
    colours = [theme.class_colour(classes[c]) for c in runs["class"]]
    return go.Bar(
        base=runs["onset"].tolist(),
        x=(runs["offset"] - runs["onset"]).tolist(),  # lists, because the player cuts them to the visible range
        y=[f"truth {lane + 1}" for lane in runs["track"]],
        customdata=[
            f"{escape(classes[c])}<br>{a:.1f} to {b:.1f} s"
            for c, a, b in zip(runs["class"], runs["onset"], runs["offset"])
        ],
        hovertemplate="truth: %{customdata}<extra></extra>",
        text=[escape(classes[c]) for c in runs["class"]],
        textfont=dict(color=theme.PAGE_TEXT),
        marker=dict(color=[theme.translucent(c, 0.16) for c in colours], line=dict(color=colours, width=1.5)),
        name="truth",
        **_BAR,
    )


_BAR = dict(orientation="h", width=0.84, textposition="inside", insidetextanchor="start", textangle=0)


def truth_lines(truth: pd.DataFrame, classes: Sequence[str], column: str) -> list[go.Scatter]:
    """The azimuths or elevations of a reference over time: a thin line per class.

    Lines are broken between events and where the azimuth jumps across +-180 degrees.
    """
    traces = []
    for class_index, rows in truth.sort_values(["class", "track", "frame"]).groupby("class"):
        x, y = break_lines(rows["frame"].to_numpy(), rows["track"].to_numpy(), rows[column].to_numpy(float))
        name = classes[cast(int, class_index)]
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
    """Times (s, frame centres) and degrees, with a NaN wherever the line must be broken."""
    jump = (np.diff(frame) != 1) | (np.diff(lane) != 0) | (np.abs(np.diff(degrees)) > 180)
    at = np.nonzero(jump)[0] + 1
    seconds = (frame + 0.5) / LABEL_FRAMES_PER_SECOND
    return np.insert(seconds, at, np.nan), np.insert(degrees.astype(float), at, np.nan)


def empty_detections(lanes: Lanes) -> list[tuple[go.Bar | go.Scatter, int]]:
    """The traces that ``detection_arrays`` fills, with their rows: one of bars, then azimuth and elevation of each lane."""
    traces: list[tuple[go.Bar | go.Scatter, int]] = [(empty_bars("detections", dict(color=[]), _BAR), 2)]
    for row, column in ((3, "azimuth"), (4, "elevation")):
        for marker, name in zip(_markers(lanes), lanes.names):
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


def _markers(lanes: Lanes) -> list[dict]:
    """The dots of each lane: a different symbol each, and an outline from the second group on."""
    outline = dict(width=1.2, color=theme.NEUTRAL)
    n_first = lanes.groups[0] if lanes.groups else len(lanes.names)
    return [
        (dict(size=6) if lane < n_first else dict(size=7, line=outline)) | dict(symbol=theme.track_symbol(lane))
        for lane in range(len(lanes.names))
    ]


def detection_arrays(table: pd.DataFrame, classes: Sequence[str], lanes: Lanes) -> list[dict]:
    """Properties for each trace of ``empty_detections``, in order, as plain lists.

    table: frame table with confidence. With several systems it has a column ``system`` (from 0): the group of lanes; ``track``
    counts from 0 within each system, and all use the same ``classes``.
    """
    if "system" in table:
        first = np.cumsum([0, *lanes.groups])
        table = table.assign(track=table["track"] + first[table["system"].to_numpy(int)])
    columns = ("azimuth", "elevation")
    by_lane = [table[table["track"] == lane] for lane in range(len(lanes.names))]
    dots = [_dot_arrays(rows, classes) for rows in by_lane]
    heights = [{"y": rows[column].round(1).tolist()} for column in columns for rows in by_lane]
    return [_bar_arrays(table, classes, lanes.names), *(d | y for d, y in zip(2 * dots, heights))]


def _bar_arrays(table: pd.DataFrame, classes: Sequence[str], track_names: Sequence[str]) -> dict:
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


def _dot_arrays(rows: pd.DataFrame, classes: Sequence[str]) -> dict:
    """The properties of a lane's dots except y, which differs between the panels."""
    colours, names = [theme.class_colour(name) for name in classes], [escape(name) for name in classes]
    found = rows["class"].tolist()
    return {
        "x": ((rows["frame"] + 0.5) / LABEL_FRAMES_PER_SECOND).round(2).tolist(),
        "marker.color": [colours[c] for c in found],
        "customdata": [f"{names[c]}<br>p {p:.2f}" for c, p in zip(found, rows["confidence"].tolist())],
    }


def _style(figure: go.Figure, inner: int, lanes: list[str], seconds: float) -> None:
    names = [shortened(lane, LONGEST_LANE_NAME) for lane in lanes]
    longest = max(map(len, names))
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
        ticktext=[*map(escape, names)],
        row=2,
        col=1,
    )
    azimuths, elevations = [-180, -90, 0, 90, 180], [-90, -45, 0, 45, 90]
    figure.update_yaxes(title_text="azimuth (°)", range=[-184, 184], tickvals=azimuths, row=3, col=1)
    figure.update_yaxes(title_text="elevation (°)", range=[-94, 94], tickvals=elevations, row=4, col=1)
