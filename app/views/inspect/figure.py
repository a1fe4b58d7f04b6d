"""What the page Inspect shows of a clip that is open: through one network or several, seen and heard over time."""

import dataclasses

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from app import pages
from app.clip import analysis, caches, detections, prepared
from app.clip.analysis import Hearing, Truth
from app.networks import registry
from app.player.component import Recording, TraceArrays, energy_maps, player, scene
from app.plots import timeline
from app.ui import figure_texts, session, widgets
from app.ui.session import Source
from app.views.inspect import tabs
from einv2.audio import inputcheck
from einv2.frames import CHUNK_SECONDS, LABEL_FRAMES_PER_SECOND
from einv2.inference.decoding import Decoding
from einv2.inference.model import Prediction
from einv2.inference.prediction import on_classes

AUDIO_KEY = "listen"
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


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the page is about. predictions: by the name of the network, or of the ensemble."""

    source: Source
    hearing: Hearing
    predictions: dict[str, Prediction]
    truth: Truth | None

    @property
    def first(self) -> Prediction:
        return next(iter(self.predictions.values()))

    @property
    def classes(self) -> tuple[str, ...]:
        return self.first.classes

    @property
    def lanes(self) -> tuple[str, ...]:
        """The names of all output tracks, those of several networks one after the other."""
        if len(self.predictions) == 1:
            return self.first.track_names
        return tuple(f"{name} {track}" for name, p in self.predictions.items() for track in p.track_names)

    @property
    def lanes_each(self) -> tuple[int, ...]:
        return tuple(p.sed.shape[1] for p in self.predictions.values())

    @property
    def systems(self) -> tuple[int, ...]:
        """``lanes_each`` where there are several networks to tell apart."""
        return self.lanes_each if len(self.predictions) > 1 else ()

    def figure(self, tables: dict[str, pd.DataFrame]):
        """The figure of some of the networks with their detections in it."""
        part = dataclasses.replace(self, predictions={name: self.predictions[name] for name in tables})
        figure = make_figure(part, next(iter(PANELS)), False, self.truth and self.truth.lanes)
        found = arrays(part, tables)
        for trace, properties in zip(figure.data[-len(found) :], found):
            trace.update({key.replace(".", "_"): value for key, value in properties.items()})
        return figure


def show_clip(source: Source, names: list[str], together: bool, place) -> None:
    """The page of a clip that is open. names: of the networks, as one ensemble if ``together``; in ``place`` goes what is wrong."""
    with st.sidebar:
        networks = choose_usable(names, together, place)
        classes = None
        if networks and source.truth is not None:
            classes = prepared.choose_truth_classes(analysis.load_model(networks[0][0]).classes)
    if not networks:
        return
    prepared.forget_other_window(source)
    source = prepared.as_chosen(source)
    found = prepared.analyse(source, networks)
    if found is not None:
        hearing, predictions = found
        predictions = with_system(source, predictions)
        truth = prepared.read_truth(source, predictions, hearing, classes)
        show(Shown(source, hearing, predictions, truth))


def with_system(source: Source, predictions: dict[str, Prediction]) -> dict[str, Prediction]:
    """The predictions, and what a system that is no network here says, which an evaluation has led from, first."""
    if source.system is None:
        return predictions
    first = next(iter(predictions.values()))
    name = f"{source.system.name}, from CSV"
    try:
        found = detections.prediction_of_csv(source, len(first.sed))
    except ValueError as error:
        widgets.error(error)
        return predictions
    try:
        return {name: on_classes(found, first.classes), **predictions}
    except ValueError:
        widgets.warning(f"The networks are not shown, for their class list is not that of {source.system.name}.")
        return {name: found}


def choose_usable(names: list[str], together: bool, place) -> tuple[tuple[str, ...], ...]:
    """Those that can be loaded and have the classes of the first, as ``clip.analyse`` takes them."""
    loaded = {name: model for name in names if (model := prepared.load_model(name, place))}
    usable = tuple(name for name in loaded if loaded[name].classes == next(iter(loaded.values())).classes)
    if left := [name for name in loaded if name not in usable]:
        st.warning(f"Not shown, for its class list is not that of {usable[0]}: {', '.join(left)}.")
    return (usable,) if usable and together else tuple((name,) for name in usable)


def show(shown: Shown) -> None:
    header(shown)
    results(shown)


STATUS_ICONS = {
    "ok": ":green[:material/check_circle:]",
    "plausible": ":gray[:material/help:]",
    "warning": ":orange[:material/warning:]",
    "error": ":red[:material/error:]",
}


def header(shown: Shown) -> None:
    source, hearing = shown.source, shown.hearing
    info = hearing.info
    st.markdown(f"#### {widgets.plain(source.name)}")
    findings = tabs.findings(source, hearing, shown.truth)
    read = "" if source.fix is None and info.read_as.is_plain else f" · **read as {info.read_as.name}**"
    st.markdown(
        f"{info.seconds:.1f} s · {info.sample_rate / 1000:g} kHz · {info.format}{read} &nbsp;&nbsp; "
        f"{STATUS_ICONS[inputcheck.status(findings)]} {widgets.plain(inputcheck.summary(findings))}"
    )
    for note in info.notes:
        st.caption(f"{note[0].upper()}{note[1:]}.")
    tabs.show_remedies(source, hearing, findings)
    if info.seconds > analysis.WINDOW_SECONDS:
        prepared.choose_window(source, info.seconds)


@st.fragment
def results(shown: Shown) -> None:
    """All that depends on the threshold and the like; moving them runs this part only."""
    if moment := st.session_state.get(session.MOMENT):
        place, whole = st.columns([3, 1], vertical_alignment="center")
        system = shown.source.system.name if shown.source.system else next(iter(shown.predictions))
        of = f" of {widgets.plain(system)}"
        place.markdown(f"Shown around the error{of} from {moment[0]:.1f} to {moment[1]:.1f} s.")
        if session.RESULTS in st.session_state:
            place.page_link(pages.EVALUATE.file, label="Back to the evaluation", icon=":material/arrow_back:")
        whole.button("Show the whole clip", on_click=st.session_state.pop, args=(session.MOMENT,), width="stretch")
    decoding, classes, tracks = choose_decoding(shown)
    tables = {name: kept(p.frames(decoding=decoding), p, classes, tracks) for name, p in shown.predictions.items()}
    way = draw(shown, tables, (decoding, *classes, *tracks), classes)
    tabs.show(shown, tables, decoding, way)


def truth_lanes(truth: Truth | None, classes: list[str]) -> pd.DataFrame | None:
    """The lanes of the ground truth, of the chosen classes alone."""
    if truth is None or not classes:
        return truth and truth.lanes
    return truth.lanes[truth.lanes["class"].isin([k for k, name in enumerate(truth.classes) if name in classes])]


def kept(table: pd.DataFrame, prediction: Prediction, classes: list[str], tracks: list[int]) -> pd.DataFrame:
    """The rows of the chosen classes and tracks; of all, where none are chosen."""
    chosen = pd.Series(True, table.index)
    if classes:
        chosen &= table["class"].isin([k for k, name in enumerate(prediction.classes) if name in classes])
    if tracks and not prediction.class_wise:
        chosen &= table["track"].isin([track - 1 for track in tracks])
    return table[chosen].reset_index(drop=True)


def choose_decoding(shown: Shown) -> tuple[Decoding, list[str], list[int]]:
    row = st.container(horizontal=True, vertical_alignment="bottom")
    threshold = row.slider(
        "Threshold (class probability)",
        0.05,
        0.95,
        0.5,
        0.05,
        key="threshold",
        bind=widgets.LINK,
        help="A track is active in a frame of 100 ms where its largest class probability is above this.",
    )
    with row.popover("Detections", icon=":material/tune:"):
        median = st.slider(
            "Median over frames", 1, 15, 1, 2, key="median", bind=widgets.LINK, help="Of the probabilities, over time."
        )
        minimum = st.slider("Shortest event (s)", 0.1, 2.0, 0.1, 0.1, key="minimum", bind=widgets.LINK)
        gap = st.slider("Bridge gaps up to (s)", 0.0, 1.0, 0.0, 0.1, key="gap", bind=widgets.LINK)
        own = choose_class_thresholds(shown.classes, threshold)
    with row.popover("Show only", icon=":material/filter_alt:"):
        classes = st.multiselect("Classes", shown.classes, key="only_classes", bind=widgets.LINK, placeholder="all")
        n_tracks = max((p.sed.shape[1] for p in shown.predictions.values() if not p.class_wise), default=0)
        tracks = (
            st.multiselect("Tracks", range(1, n_tracks + 1), key="only_tracks", bind=widgets.LINK, placeholder="all")
            if n_tracks
            else []
        )
    frames = LABEL_FRAMES_PER_SECOND
    return Decoding(threshold, own, median, round(minimum * frames), round(gap * frames)), classes, tracks


def choose_class_thresholds(classes: tuple[str, ...], threshold: float) -> tuple[tuple[int, float], ...]:
    chosen = st.multiselect(
        "Classes with a threshold of their own", classes, key="own_thresholds", bind=widgets.LINK, placeholder="none"
    )
    return tuple(
        (classes.index(name), st.slider(name, 0.05, 0.95, threshold, 0.05, key=f"threshold_{name}", bind=widgets.LINK))
        for name in chosen
    )


def draw(shown: Shown, tables: dict[str, pd.DataFrame], choices: tuple, classes: list[str]) -> str:
    """The player, the standing figure, and what the player puts into it; how the clip is listened to.

    choices: what the tables depend on; classes: those that are shown, all where there are none.
    """
    truth = truth_lanes(shown.truth, classes)
    names = {shown.classes[c] for table in tables.values() for c in table["class"]} | (
        set() if truth is None else {shown.truth.classes[c] for c in truth["class"]}
    )
    way, panel, chunks = choose_view(shown)
    with st.container(key=AUDIO_KEY):
        st.audio(tabs.sound(shown, way, tables), format="audio/flac")
    player(
        "player",
        tabs.FIGURE_KEY,
        AUDIO_KEY,
        Recording(f"{shown.source.key}", shown.hearing.seconds),
        scene(
            on_lanes(shown, tables),
            truth,
            shown.classes,
            () if shown.truth is None else shown.truth.classes,
            shown.lanes,
            [(name, p.track_names) for name, p in shown.predictions.items()],
        ),
        TraceArrays(arrays(shown, tables), f"{shown.source.key} {'/'.join(tables)} {choices}"),
        st.session_state.get(session.SEEK),
    )
    widgets.class_chips(sorted(names))
    st.plotly_chart(
        standing_figure(shown, panel, chunks, truth),
        key=tabs.FIGURE_KEY,
        config=widgets.PLOTLY,
        alt=figure_texts.of(tabs.FIGURE_KEY),
    )
    legend = (
        "Filled segments and dots are the network's; outlines and thin lines are the ground truth. "
        if shown.truth
        else ""
    )
    lanes = (
        "This network has one track a class, and one direction for it"
        if shown.first.class_wise
        else "Each track has its own lane and marker; the list beside the map shows which"
    )
    st.caption(
        f"{legend}{lanes}; colours are classes. Behind the azimuths: where the sound comes from, without the network. "
        "Click to play from there, drag to zoom, shift-drag to loop, double-click to reset. Keys: space plays, arrows go a second, "
        "comma and full stop a frame, L loops, M mutes, digits bring a track to the front."
    )
    return way


def choose_view(shown: Shown) -> tuple[str, str, bool]:
    """(way of listening, panel at the top, chunk borders)."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    way = row.selectbox(
        "Listen to",
        tabs.ways(shown),
        key="way",
        bind=widgets.LINK,
        help=analysis.HELP_WAYS,
    )
    panel = row.selectbox(
        "Top panel",
        list(PANELS),
        key="panel",
        bind=widgets.LINK,
        help="A channel, the waveform, or the intensity features.",
    )
    chunks = row.toggle(
        "Chunk borders",
        key="chunks",
        bind=widgets.LINK,
        help="The network works on a chunk at a time, of 4 s unless it was trained on others.",
    )
    return way, panel, chunks


def on_lanes(shown: Shown, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The detections of all networks, ``track`` counting through their lanes."""
    before = np.cumsum((0, *shown.lanes_each))
    return pd.concat([table.assign(track=table["track"] + n) for table, n in zip(tables.values(), before)])


def arrays(shown: Shown, tables: dict[str, pd.DataFrame]) -> list[dict]:
    """What the player puts into the figure: the detections of all networks."""
    joined = pd.concat([table.assign(system=n) for n, table in enumerate(tables.values())])
    return timeline.detection_arrays(joined, shown.classes, timeline.Lanes(shown.lanes, shown.systems))


def standing_figure(shown: Shown, panel: str, chunks: bool, truth: pd.DataFrame | None) -> go.Figure:
    """The figure without detections. The last one is kept in the session: a slider needs the same one again. truth: the lanes that
    are shown of it."""
    moment = st.session_state.get(session.MOMENT)
    networks = tuple((name, registry.stamp(name)) for name in shown.predictions)
    seen = () if truth is None else tuple(sorted(set(truth["class"])))
    truth_key = shown.truth and (shown.source.truth, shown.truth.classes)
    key = (shown.source.key, shown.source.system, networks, truth_key, seen, panel, chunks, moment)

    def make() -> go.Figure:
        figure = make_figure(shown, panel, chunks, truth, moment)
        return figure.update_layout(meta={"energy": energy_maps(shown.hearing.sphere, shown.hearing.sphere_step)})

    return caches.TIMELINE.get(key, make)


def make_figure(
    shown: Shown, panel: str, chunks: bool, truth: pd.DataFrame | None, moment: tuple[float, float] | None = None
):
    hearing = shown.hearing
    kind, channel = PANELS[panel]
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
            chunk_seconds=chunk_length(shown) if chunks else None,
        ),
        moment and (moment[0] - AROUND_SECONDS, moment[1] + AROUND_SECONDS),
    )


def chunk_length(shown: Shown) -> int:
    """s; of several networks the first one's."""
    return next((p.chunk_seconds for p in shown.predictions.values()), CHUNK_SECONDS)


def first_panel(hearing: Hearing, kind: str, channel: int) -> tuple[np.ndarray, float]:
    """The picture of the top panel, int8, and the amplitude that a waveform shows as 127."""
    if kind == "level":
        return hearing.spectrogram[channel], 1.0
    if kind == "intensity":
        return hearing.intensity[channel], 1.0
    scale = max(float(np.abs(hearing.waveform).max(initial=0)), 1e-6)
    return np.rint(127 * hearing.waveform / scale).astype(np.int8), scale
