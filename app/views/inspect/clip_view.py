"""What the Inspect page shows of an open clip. Imported once a clip is open: it needs PyTorch and pandas."""

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import pages
from app.clip import analysis, detections, prepared
from app.clip.analysis import Truth
from app.player.component import Recording, TraceArrays, player, scene
from app.ui import figure_texts, session, texts, widgets
from app.ui.session import Source
from app.views.inspect import figure, input_check, listening, tabs
from app.views.inspect.shown import Shown
from einv2.audio import inputcheck
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference.decoding import Decoding
from einv2.inference.prediction import Prediction, on_classes

AUDIO_KEY = "listen"
STATUS_ICONS = {
    "ok": ":green[:material/check_circle:]",
    "plausible": ":gray[:material/help:]",
    "warning": ":orange[:material/warning:]",
    "error": ":red[:material/error:]",
}


def show_clip(source: Source, names: list[str], together: bool, placeholder: DeltaGenerator) -> None:
    """names: of the networks; together: as one ensemble; placeholder: for errors, at the top of the page."""
    with st.sidebar:
        networks = choose_usable(names, together, placeholder)
        classes = None
        if networks and source.truth is not None:
            classes = prepared.choose_truth_classes(analysis.load_model(networks[0][0]).classes)
    if not networks:
        return
    prepared.forget_other_window(source)
    source = prepared.as_chosen(source)
    analysed = prepared.analyse(source, networks)
    if analysed is None:
        return
    hearing, predictions = analysed
    predictions = with_system(source, predictions)
    first = next(iter(predictions.values()))
    truth = prepared.read_truth(source, classes or first.classes, len(first.sed))
    shown = Shown(source, hearing, predictions, truth, input_check.findings(source, hearing, truth))
    show_header(shown)
    show_results(shown)


def with_system(source: Source, predictions: dict[str, Prediction]) -> dict[str, Prediction]:
    """The predictions, after those of the scored system, if the clip was opened from an evaluation of CSV files."""
    if source.system is None:
        return predictions
    first = next(iter(predictions.values()))
    name = f"{source.system.name}, from CSV"
    try:
        from_csv = detections.prediction_of_csv(source, len(first.sed))
    except ValueError as error:
        widgets.error(error)
        return predictions
    try:
        return {name: on_classes(from_csv, first.classes), **predictions}
    except ValueError:
        widgets.warning(
            f"The networks are not shown because their class list differs from that of {source.system.name}."
        )
        return {name: from_csv}


def choose_usable(names: list[str], together: bool, placeholder: DeltaGenerator) -> tuple[tuple[str, ...], ...]:
    """The networks that load and have the classes of the first, as ``prepared.analyse`` takes them."""
    loaded = {name: model for name in names if (model := prepared.load_model(name, placeholder))}
    usable = tuple(name for name in loaded if loaded[name].classes == next(iter(loaded.values())).classes)
    if others := [name for name in loaded if name not in usable]:
        st.warning(f"Not shown, because the class list differs from that of {usable[0]}: {', '.join(others)}.")
    return (usable,) if usable and together else tuple((name,) for name in usable)


def show_header(shown: Shown) -> None:
    """Name, length and format of the clip, the result of the input check, and remedies."""
    info = shown.hearing.info
    st.markdown(f"#### {widgets.plain(shown.source.name)}")
    read_as = "" if shown.source.fix is None and info.read_as.is_plain else f" · **read as {info.read_as.name}**"
    st.markdown(
        f"{info.seconds:.1f} s · {info.sample_rate / 1000:g} kHz · {info.format}{read_as} &nbsp;&nbsp; "
        f"{STATUS_ICONS[inputcheck.status(shown.findings)]} {widgets.plain(inputcheck.summary(shown.findings))}"
    )
    for note in info.notes:
        st.caption(f"{texts.capitalised(note)}.")
    input_check.show_remedies(shown)
    if info.seconds > analysis.WINDOW_SECONDS:
        prepared.choose_window(shown.source, info.seconds)


@st.fragment
def show_results(shown: Shown) -> None:
    """Everything that depends on the threshold and the filters; changing them runs this part only."""
    show_moment(shown)
    decoding, classes, tracks = choose_decoding(shown)
    tables = {
        name: filtered(prediction.frames(decoding=decoding), prediction, classes, tracks)
        for name, prediction in shown.predictions.items()
    }
    mode = draw(shown, tables, (decoding, *classes, *tracks), classes)
    tabs.show(shown, tables, decoding, mode)


def show_moment(shown: Shown) -> None:
    """Around which error of an evaluation the clip is shown, if it was opened from there; and the way back."""
    moment = st.session_state.get(session.MOMENT)
    if not moment:
        return
    left, right = st.columns([3, 1], vertical_alignment="center")
    system = shown.source.system.name if shown.source.system else next(iter(shown.predictions))
    left.markdown(f"Shown around the error of {widgets.plain(system)} from {moment[0]:.1f} to {moment[1]:.1f} s.")
    if session.RESULTS in st.session_state:
        left.page_link(pages.EVALUATE.file, label="Back to the evaluation", icon=":material/arrow_back:")
    right.button("Show the whole clip", on_click=st.session_state.pop, args=(session.MOMENT,), width="stretch")


def filtered(table: pd.DataFrame, prediction: Prediction, classes: list[str], tracks: list[int]) -> pd.DataFrame:
    """The rows of the chosen classes and tracks (from 1); an empty choice means all."""
    chosen = pd.Series(True, table.index)
    if classes:
        chosen &= table["class"].isin([k for k, name in enumerate(prediction.classes) if name in classes])
    if tracks and not prediction.class_wise:
        chosen &= table["track"].isin([track - 1 for track in tracks])
    return table[chosen].reset_index(drop=True)


def filtered_truth(truth: Truth | None, classes: list[str]) -> pd.DataFrame | None:
    """The lanes of the ground truth, of the chosen classes; an empty choice means all."""
    if truth is None or not classes:
        return None if truth is None else truth.lanes
    return truth.lanes[truth.lanes["class"].isin([k for k, name in enumerate(truth.classes) if name in classes])]


def choose_decoding(shown: Shown) -> tuple[Decoding, list[str], list[int]]:
    """How detections are read from the probabilities, and the classes and tracks (from 1) that are shown."""
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
        "Classes with their own threshold", classes, key="own_thresholds", bind=widgets.LINK, placeholder="none"
    )
    return tuple(
        (classes.index(name), st.slider(name, 0.05, 0.95, threshold, 0.05, key=f"threshold_{name}", bind=widgets.LINK))
        for name in chosen
    )


def draw(shown: Shown, tables: dict[str, pd.DataFrame], choices: tuple, classes: list[str]) -> str:
    """The player and the figure. Returns how the clip is listened to.

    tables: the detections of each network; choices: what the tables depend on; classes: those that are shown, empty for all.
    """
    truth = filtered_truth(shown.truth, classes)
    truth_classes = () if shown.truth is None else shown.truth.classes
    names = {shown.classes[c] for table in tables.values() for c in table["class"]}
    if truth is not None:
        names |= {truth_classes[c] for c in truth["class"]}
    mode, panel, chunks = choose_view(shown)
    with st.container(key=AUDIO_KEY):
        st.audio(listening.sound(shown, mode, tables), format="audio/flac")
    player(
        "player",
        figure.KEY,
        AUDIO_KEY,
        Recording(f"{shown.source.key}", shown.hearing.seconds),
        scene(
            on_lanes(shown, tables),
            truth,
            shown.classes,
            truth_classes,
            shown.lanes,
            [(name, p.track_names) for name, p in shown.predictions.items()],
        ),
        TraceArrays(figure.arrays(shown, tables), f"{shown.source.key} {'/'.join(tables)} {choices}"),
        st.session_state.get(session.SEEK),
    )
    widgets.class_chips(sorted(names))
    st.plotly_chart(
        figure.without_detections(shown, panel, chunks, truth),
        key=figure.KEY,
        config=widgets.PLOTLY,
        alt=figure_texts.of(figure.KEY),
    )
    legend = (
        "Filled segments and dots are the network's; outlines and thin lines are the ground truth. "
        if shown.truth
        else ""
    )
    lanes = (
        "This network has one track and one direction for each class"
        if shown.first.class_wise
        else "Each track has its own lane and marker; the list beside the map shows which"
    )
    st.caption(
        f"{legend}{lanes}; colours are classes. Behind the azimuths: where the sound comes from, computed without the network. "
        "Click to play from there, drag to zoom, shift-drag to loop, double-click to reset. Keys: space plays, arrows go a second, "
        "comma and full stop a frame, L loops, M mutes, digits bring a track to the front."
    )
    return mode


def choose_view(shown: Shown) -> tuple[str, str, bool]:
    """How the clip is listened to, the panel at the top, and whether chunk borders are drawn."""
    row = st.container(horizontal=True, vertical_alignment="bottom")
    mode = row.selectbox(
        "Listen to",
        listening.modes(shown),
        key="way",
        bind=widgets.LINK,
        help=analysis.LISTENING_HELP,
    )
    panel = row.selectbox(
        "Top panel",
        list(figure.PANELS),
        key="panel",
        bind=widgets.LINK,
        help="A channel, the waveform, or the intensity features.",
    )
    chunks = row.toggle(
        "Chunk borders",
        key="chunks",
        bind=widgets.LINK,
        help="The network processes the clip in chunks: of 4 s, unless it was trained on chunks of another length.",
    )
    return mode, panel, chunks


def on_lanes(shown: Shown, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """The detections of all networks, ``track`` counting through the lanes of all."""
    first_lanes = np.cumsum((0, *shown.lanes_of_each))
    return pd.concat([table.assign(track=table["track"] + n) for table, n in zip(tables.values(), first_lanes)])
