"""The figure of the Inspect page: spectrogram, output tracks, azimuth and elevation over time."""

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app.clip import caches
from app.clip.analysis import Hearing
from app.networks import registry
from app.player.component import energy_maps
from app.plots import timeline
from app.ui import session
from app.views.inspect.shown import Shown

KEY = "timeline"  # of the chart
AROUND_SECONDS = 2.0  # shown before and after an event that another page leads to
PANELS = {
    "W, all": ("level", 0),
    "Y, left": ("level", 1),
    "Z, up": ("level", 2),
    "X, front": ("level", 3),
    "Waveform of W": ("waveform", 0),
    "Intensity along Y, left": ("intensity", 0),
    "Intensity along Z, up": ("intensity", 1),
    "Intensity along X, front": ("intensity", 2),
}
KIND_UNITS = {"level": "log-mel, dB", "waveform": "amplitude", "intensity": "-1 to 1"}


def without_detections(shown: Shown, panel: str, chunks: bool, truth: pd.DataFrame | None) -> go.Figure:
    """The figure into which the player puts detections. The last one is kept: moving a slider needs the same one again.

    panel: of ``PANELS``; chunks: draw chunk borders; truth: the lanes of the ground truth that are shown.
    """
    moment = st.session_state.get(session.MOMENT)
    networks = tuple((name, registry.stamp(name)) for name in shown.predictions)
    truth_key = None if shown.truth is None else (shown.source.truth, shown.truth.classes)
    classes_drawn = () if truth is None else tuple(sorted(set(truth["class"])))
    key = (shown.source.key, shown.source.system, networks, truth_key, classes_drawn, panel, chunks, moment)

    def make() -> go.Figure:
        figure = make_figure(shown, panel, chunks, truth, moment)
        return figure.update_layout(meta={"energy": energy_maps(shown.hearing.sphere, shown.hearing.sphere_step)})

    return caches.TIMELINE.get(key, make)


def with_detections(shown: Shown, tables: dict[str, pd.DataFrame]) -> go.Figure:
    """The figure of the networks of ``tables`` with their detections, as it stands in a report."""
    part = shown.only(tables)
    figure = make_figure(part, next(iter(PANELS)), False, None if shown.truth is None else shown.truth.lanes)
    detections = arrays(part, tables)
    for trace, properties in zip(figure.data[-len(detections) :], detections):
        trace.update({key.replace(".", "_"): value for key, value in properties.items()})
    return figure


def arrays(shown: Shown, tables: dict[str, pd.DataFrame]) -> list[dict]:
    """The detections of all networks, as the player puts them into the figure."""
    joined = pd.concat([table.assign(system=n) for n, table in enumerate(tables.values())])
    return timeline.detection_arrays(joined, shown.classes, timeline.Lanes(shown.lanes, shown.systems))


def make_figure(
    shown: Shown, panel: str, chunks: bool, truth: pd.DataFrame | None, moment: tuple[float, float] | None = None
) -> go.Figure:
    hearing, (kind, channel) = shown.hearing, PANELS[panel]
    picture, scale = first_panel(hearing, kind, channel)
    probabilities = [timeline.lane_probabilities(p.sed) for p in shown.predictions.values()]
    return timeline.timeline(
        timeline.Picture(picture, hearing.column_seconds, hearing.mel_hz, kind, f"{panel} ({KIND_UNITS[kind]})", scale),
        timeline.Lanes(shown.lanes, shown.systems),
        hearing.seconds,
        timeline.Truth(truth, () if shown.truth is None else shown.truth.classes),
        timeline.Behind(
            probabilities=np.concatenate([share for share, _ in probabilities], axis=1),
            probable=np.concatenate([index for _, index in probabilities], axis=1),
            classes=shown.classes,
            energy=hearing.energy,
            chunk_seconds=shown.first.chunk_seconds if chunks else None,
        ),
        moment and (moment[0] - AROUND_SECONDS, moment[1] + AROUND_SECONDS),
    )


def first_panel(hearing: Hearing, kind: str, channel: int) -> tuple[np.ndarray, float]:
    """The picture of the top panel, int8, and the amplitude that a waveform shows as 127."""
    if kind == "level":
        return hearing.spectrogram[channel], 1.0
    if kind == "intensity":
        return hearing.intensity[channel], 1.0
    scale = max(float(np.abs(hearing.waveform).max(initial=0)), 1e-6)
    return np.rint(127 * hearing.waveform / scale).astype(np.int8), scale
