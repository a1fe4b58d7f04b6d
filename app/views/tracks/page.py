"""Tracks: any number of systems on one clip, and which event each of their output tracks follows."""

import itertools
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.clip import analysis, caches, detections, opening, prepared
from app.clip.analysis import Hearing
from app.clip.detections import System
from app.networks import registry
from app.player.component import Recording, TraceArrays, energy_maps, player, scene
from app.plots import ribbons
from app.ui import address, csv_menu, figure_texts, session, widgets
from app.ui.session import Source
from app.views.tracks import tabs, tracking
from app.views.tracks.shown import Shown
from app.views.tracks.tracking import Comparison
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference.decoding import Decoding
from einv2.inference.model import Prediction
from einv2.labels import class_lists

AUDIO_KEY = "tracks_listen"
AT_FIRST = ("einv2-tpit", "einv2-cpit", "einv2-nopit")  # where they are there
MOST_COMBINED = 6  # networks of which every ensemble is offered; of more, those of two and that of all


def page() -> None:
    placeholder = st.empty()
    with st.sidebar:
        st.subheader("Clip")
        source = opening.choose()
        st.subheader("Systems")
        networks, files, classes = choose_systems(placeholder, source)
    if source is None:
        welcome()
        return
    if not networks and not files:
        st.info("Choose a network in the sidebar, or add predictions as CSV files.")
        return
    prepared.forget_other_window(source)
    source = prepared.as_chosen(source)
    analysed = prepared.analyse(source, networks)
    if analysed is not None:
        show(assemble(source, *analysed, files, classes))


# Choices


def choose_systems(
    placeholder: DeltaGenerator, source: Source | None
) -> tuple[tuple[tuple[str, ...], ...], list, dict]:
    """(networks as ``clip.analyse`` takes them, uploaded CSVs, what ``choose_classes`` gives)."""
    available = registry.names()
    at_first = [name for name in AT_FIRST if name in available] or available[:1]
    widgets.warn_of_missing("tracks_networks", available, placeholder)
    names = st.multiselect(
        "Networks",
        available,
        at_first,
        key="tracks_networks",
        on_change=address.answered,
        args=("tracks_networks",),
        bind=widgets.LINK,
        placeholder="none",
        help="Those of the Models page. Each is shown separately.",
    )
    usable = tuple(name for name in names if prepared.load_model(name, placeholder))
    networks = tuple((name,) for name in usable) + choose_ensembles(usable)
    files = st.file_uploader(
        "Predictions of other systems",
        ["csv"],
        accept_multiple_files=True,
        key="tracks_csv",
        max_upload_size=widgets.upload_limit(),
        help="For this clip, in the CSV format of any DCASE year, 2019 to 2025. Ground truth can stand here, too.",
    )
    return networks, files or [], choose_classes(source, usable, files or [])


def choose_ensembles(usable: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Any number of ensembles of two networks or more."""
    if len(usable) < 2:
        return ()
    sizes = range(len(usable), 1, -1) if len(usable) <= MOST_COMBINED else (len(usable), 2)
    offered = [members for size in sizes for members in itertools.combinations(usable, size)]
    return tuple(
        st.multiselect(
            "Ensembles",
            offered,
            format_func=" + ".join,
            key="tracks_ensembles",
            bind=widgets.LINK,
            placeholder="none",
            help="Of the networks above: their tracks are aligned in every frame, then averaged.",
        )
    )


def choose_classes(source: Source | None, networks: tuple[str, ...], files: list) -> dict:
    """The class lists of the "truth" and, by its id, of each file; and the "layout" of the files."""
    classes = analysis.load_model(networks[0]).classes if networks else class_lists.DCASE2020_CLASSES
    chosen: dict[str, Any] = {"truth": classes}
    if source is not None and source.truth is not None:
        chosen["truth"] = prepared.choose_truth_classes(classes)
    lists = list(prepared.class_lists(classes).values())
    chosen["layout"] = csv_menu.choose("predictions", "tracks") if files else None
    for file in files:
        what = f"Classes of {widgets.plain(file.name)}" if len(files) > 1 else "Classes of the predictions"
        first = detections.fitting(file.getvalue(), lists)
        chosen[file.file_id] = prepared.choose_truth_classes(classes, what, f"tracks_classes_{file.file_id}", first)
    return chosen


def welcome() -> None:
    st.title("Which event does each output track follow?")
    st.markdown(
        "A trackwise network has a few output tracks, and nothing says which of two sounds comes out on which. Trained with "
        "frame-level PIT the order is free in every frame, so an event may jump from track to track: a **swap**. Trained with "
        "chunk-level PIT it should stay. Without PIT the network cannot tell two sounds of one class apart. Here you see it: "
        "each track is a ribbon in the colour of the event that it follows, and a swap is a change of colour that you can click "
        "and hear."
    )
    widgets.choose_example(session.examples())
    st.caption(
        "Or open your own clip in the sidebar, and add the output of other systems as CSV files. With ground truth you see "
        "swaps, duplicates and fragments; without it, where systems agree. “Two of a kind” shows the most. Nothing you open leaves "
        "this machine."
    )


# Computation


def assemble(
    source: Source, hearing: Hearing, predictions: dict[str, Prediction], files: list, classes: dict[str, Any]
) -> Shown:
    n_frames = max([len(p.sed) for p in predictions.values()], default=round(hearing.seconds * LABEL_FRAMES_PER_SECOND))
    truth = prepared.read_truth(source, classes["truth"], n_frames)
    tables, taken = [], set(predictions)
    for file in files:
        if system := read_table(
            source, file, unique_name(file.name, taken), classes[file.file_id], n_frames, classes["layout"]
        ):
            tables.append(system)
            taken.add(system.name)
    return Shown(source, hearing, predictions, tuple(tables), truth)


def unique_name(name: str, taken: set[str]) -> str:
    """The name, numbered if it is taken: predictions of several systems often have the name of the clip."""
    return next(n for n in (name, *(f"{name} ({k})" for k in range(2, 1000))) if n not in taken)


def read_table(source: Source, file, name: str, classes: tuple[str, ...], n_frames: int, layout) -> System | None:
    try:
        system, beyond = detections.of_csv(source, name, file.getvalue(), classes, n_frames, layout)
    except ValueError as error:
        widgets.error(f"{error}. It is left out.")
        return None
    prepared.show_notes(name, system.notes)
    if beyond:
        widgets.warning(
            f"{name} has {beyond} rows beyond the end of {source.name}; they are left out. Does it belong to this clip?"
        )
    if len(system.lanes) > detections.MAX_LANES:
        widgets.warning(
            f"{name} has {len(system.lanes)} tracks; the first {detections.MAX_LANES} are drawn, all are measured."
        )
    return system


# The page


def show(shown: Shown) -> None:
    st.markdown(f"#### {widgets.plain(shown.source.name)}")
    if shown.hearing.info.seconds > analysis.WINDOW_SECONDS:
        prepared.choose_window(shown.source, shown.hearing.info.seconds)
    if not shown.predictions and not shown.tables:
        st.info("None of the predictions could be read. Choose a network in the sidebar, or other files.")
        return
    results(shown)


@st.fragment
def results(shown: Shown) -> None:
    """Everything that depends on the threshold and the choices; changing them runs this part only."""
    left, right = st.columns(2)
    threshold = 0.5
    if shown.predictions:
        threshold = left.slider(
            "Threshold (class probability)",
            0.05,
            0.95,
            0.5,
            0.05,
            key="threshold",
            bind=widgets.LINK,
            help="A track is active in a frame of 100 ms where its largest class probability is above this. CSVs stay as they are.",
        )
    comparison = shown.comparison(Decoding(threshold))
    mode = right.selectbox(
        "Listen to",
        [*analysis.LISTENING_MODES.values(), *lanes_heard(comparison)],
        key="tracks_way",
        bind=widgets.LINK,
        help=analysis.LISTENING_HELP,
    )
    draw(shown, comparison, mode)
    tabs.show(shown, comparison)


def lanes_heard(comparison: Comparison) -> dict[str, tuple[str, int]]:
    """The lanes along which a beam can be heard: by what they are called, (system, lane)."""
    systems = comparison.systems
    return {
        f"Along {name} {lane}" if len(systems) > 1 else f"Along {lane}": (name, m)
        for name, system in systems.items()
        for m, lane in enumerate(system.block.lanes)
    }


def sound(shown: Shown, comparison: Comparison, mode: str) -> bytes:
    """FLAC. mode: an entry of “Listen to”."""
    if mode not in (lanes := lanes_heard(comparison)):
        return analysis.listen(
            shown.source, next(key for key, text in analysis.LISTENING_MODES.items() if text == mode)
        )
    name, lane = lanes[mode]
    table = comparison.systems[name].table
    rows = table[(table["track"] == lane) & (table["frame"] < shown.n_frames)]
    return analysis.listen_along(shown.source, mode, rows, shown.n_frames)


def draw(shown: Shown, comparison: Comparison, mode: str) -> None:
    """The player and the figure, into which it puts the ribbons."""
    tracked = tracking.tracked(comparison)
    blocks = [system.block for system in comparison.systems.values()]
    with st.container(key=AUDIO_KEY):
        st.audio(sound(shown, comparison, mode), format="audio/flac")
    arrays = ribbons.ribbon_arrays(comparison.events, comparison.classes, blocks, [t.ribbons for t in tracked.values()])
    token = f"{shown.source.key} {[s.key for s in comparison.systems.values()]} {comparison.key}"
    player(
        "tracks_player",
        tabs.FIGURE_KEY,
        AUDIO_KEY,
        Recording(f"{shown.source.key}", shown.hearing.seconds),
        scene_of(shown, comparison),
        TraceArrays(arrays, token),
        st.session_state.get(session.SEEK),
    )
    if comparison.reference is None:
        widgets.class_chips(
            sorted({comparison.classes[c] for s in comparison.systems.values() for c in s.table["class"]})
        )
    else:
        st.html(ribbons.legend())
    st.plotly_chart(
        figure_without_ribbons(shown, comparison, blocks),
        key=tabs.FIGURE_KEY,
        config=widgets.PLOTLY,
        alt=figure_texts.of(tabs.FIGURE_KEY),
    )
    st.caption(caption(comparison.reference is not None))


def figure_without_ribbons(shown: Shown, comparison: Comparison, blocks: list[ribbons.Block]) -> go.Figure:
    """The figure without ribbons. The last one is kept: moving a slider needs the same one again."""

    def make() -> go.Figure:
        figure = ribbons.ribbons(shown.hearing.seconds, comparison.events, comparison.classes, blocks)
        energy = energy_maps(shown.hearing.sphere, shown.hearing.sphere_step)
        # "heard": the player plays the marks that are clicked
        return figure.update_layout(meta={"energy": energy, "heard": True})

    return caches.RIBBONS.get((shown.source.key, comparison.key, tuple(blocks)), make)


def caption(with_truth: bool) -> str:
    keys = (
        "Click anywhere to play from there, drag to zoom, shift-drag to loop, double-click to reset; space plays, arrows go a second, "
        "comma and full stop move one frame."
    )
    if not with_truth:
        return (
            "There is no ground truth, so ribbons have the colours of their classes; see Agreement for how far the systems "
            f"agree. {keys}"
        )
    return (
        "Events of one class have different shades. A track follows an event while it reports its class at most 20° from it; where the "
        f"colour moves to another track, that is a swap. **Click a mark to hear it.** {keys}"
    )


def scene_of(shown: Shown, comparison: Comparison) -> dict:
    """The directions of all systems, ``track`` counting through their lanes."""
    systems = comparison.systems.values()
    before = np.cumsum([0, *(len(s.lanes) for s in systems)])
    table = pd.concat([s.table.assign(track=s.table["track"] + n) for s, n in zip(systems, before)])
    names = [f"{s.name} {lane}" if len(systems) > 1 else lane for s in systems for lane in s.lanes]
    truth = shown.truth
    return scene(
        table,
        None if truth is None else truth.lanes,
        comparison.classes,
        () if truth is None else truth.classes,
        names,
        [(s.name, s.lanes) for s in systems],
    )


page()
