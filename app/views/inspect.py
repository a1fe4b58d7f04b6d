"""Inspect: one clip through one network, seen over time."""

import io
from pathlib import Path

import pandas as pd
import streamlit as st

from app import compute, state, texts, widgets
from app.player import live_traces
from app.plots import timeline
from einv2 import inference, inputcheck, labels
from einv2.config import LABEL_FRAMES_PER_SECOND

AUDIO_TYPES = ["wav", "flac", "ogg"]
FIGURE_KEY = "timeline"
AROUND_SECONDS = 2.0  # shown before and after an event that another page leads to
EXPORT_LAYOUTS = {
    "frame, class, track, azimuth, elevation (DCASE 2020 to 2022)": "dcase2020",
    "frame, class, azimuth, elevation (system output, DCASE 2020)": "dcase2020_output",
    "frame, class, track, azimuth, elevation, distance (DCASE 2023, 2024)": "dcase2024",
    "frame, class, x, y, z (Cartesian system output)": "cartesian",
    "class name, start, end, elevation, azimuth, distance (DCASE 2019)": "dcase2019",
}
CHANNEL_NAMES = {"W, all": 0, "Y, left": 1, "Z, up": 2, "X, front": 3}


def page() -> None:
    source, model_name, truth_choice = choose()
    if model_name is None:
        return
    if source is None:
        welcome()
        return
    analysis = analyse(source, model_name)
    if analysis is not None:
        truth = read_truth(source, analysis, truth_choice)
        show(source, analysis, truth)


def choose() -> tuple[state.Source | None, str | None, tuple[str, ...] | None]:
    """The sidebar: a clip, its ground truth, a network. What is wrong with the network is said on the page."""
    place = st.empty()
    with st.sidebar:
        st.subheader("Clip")
        clip = st.file_uploader(
            "FOA recording",
            AUDIO_TYPES,
            key="clip_upload",
            on_change=forget_example,
            help="4 channels W, Y, Z, X (ACN/SN3D), any rate, 0.2 s to 10 minutes. It stays on this machine.",
        )
        truth = st.file_uploader(
            "Ground truth (optional)", ["csv"], key="truth_upload", help="DCASE metadata CSV of 2019 to 2024."
        )
        if truth and not clip:
            st.caption("The ground truth is used once its recording is uploaded, too.")
        source = opened(clip, truth)
        st.subheader("Network")
        model_name, classes = widgets.choose_model(), None
        model = load_model(model_name, place) if model_name else None
        if model and source is not None and source.truth is not None:
            classes = widgets.choose_truth_classes(model.classes)
        if source is not None and clip is None:
            st.button("Close clip", on_click=close, icon=":material/close:")
    return source, model_name if model else None, classes


def load_model(name: str, place) -> inference.Model | None:
    try:
        return compute.load_model(name)
    except (ValueError, OSError) as error:
        with place:
            widgets.error(error)
        return None


def forget_example() -> None:
    for key in (state.CLIP, state.MOMENT):
        st.session_state.pop(key, None)


def close() -> None:
    forget_example()
    for key in (state.ANALYSES, state.FIGURE, state.MOMENT):
        st.session_state.pop(key, None)


def opened(clip, truth) -> state.Source | None:
    """An upload, with the ground truth uploaded beside it, wins over an example. The same upload is the same object."""
    if clip is None:
        st.session_state.pop(state.UPLOAD, None)
        return st.session_state.get(state.CLIP)
    ids = (clip.file_id, truth and truth.file_id)
    kept = st.session_state.get(state.UPLOAD)
    if kept is None or kept[0] != ids:
        with_truth = (truth.name, truth.getvalue()) if truth else ()
        kept = st.session_state[state.UPLOAD] = (ids, state.Source(clip.name, clip.getvalue(), *with_truth))
    return kept[1]


def welcome() -> None:
    st.title("See what a SELD network hears")
    st.markdown(
        "Open a first-order-ambisonics recording and see which sounds the network finds, when, and from where: "
        "every output track over time, azimuth and elevation, beside the ground truth if you have it. "
        "Drop a 4-channel file into the sidebar, or start with an example."
    )
    widgets.choose_example(state.examples())
    st.caption(
        "Channels are W, Y, Z, X in SN3D, as in the DCASE data sets. Azimuth grows counter-clockwise from the front: "
        "90° is left. Nothing you open leaves this machine."
    )


def analyse(source: state.Source, model_name: str) -> compute.Analysis | None:
    """With progress and a way to stop; None, and one sentence on the page, if the clip cannot be used."""
    if st.session_state.get(state.STOPPED) == source.digest:
        st.info(f"Stopped before {widgets.plain(source.name)} was through.")
        st.button("Start again", on_click=st.session_state.pop, args=(state.STOPPED,), icon=":material/refresh:")
        return None
    place = st.empty()
    bar = None

    def progress(share: float, text: str) -> None:
        nonlocal bar
        if bar is None:
            with place.container():
                bar = st.progress(0.0)
                st.button("Stop", on_click=stop, args=(source.digest,), icon=":material/stop:")
        bar.progress(share, text=text)

    try:
        analysis = compute.analyse(source, model_name, progress)
    except (ValueError, OSError) as error:
        # an OSError would name a temporary file
        what = f"{source.name} could not be kept for reading: {error.strerror}" if isinstance(error, OSError) else error
        with place.container():
            widgets.error(what)
            st.caption("Remove the file in the sidebar, or drop another one there.")
        return None
    place.empty()
    return analysis


def stop(digest: str) -> None:
    """Runs at the start of the next run, which the click begins; the run at work ends at its next sign of progress."""
    st.session_state[state.STOPPED] = digest


def read_truth(source: state.Source, analysis: compute.Analysis, classes) -> compute.Truth | None:
    try:
        truth = compute.read_truth(source, classes or analysis.prediction.classes, len(analysis.prediction.sed))
    except ValueError as error:
        widgets.error(f"{error}. The clip is shown without ground truth.")
        return None
    if truth is not None and truth.frames_beyond:
        seconds = truth.frames_beyond / LABEL_FRAMES_PER_SECOND
        widgets.warning(
            f"{truth.name} goes on for {seconds:.1f} s of labelled sound beyond the end of {source.name}; "
            "that part is not shown and not scored."
        )
    if truth is not None and truth.rows_hidden:
        widgets.warning(
            f"{truth.name} has more than {compute.MAX_LANES} events at a time; {truth.rows_hidden} of its rows are scored, "
            "but not drawn."
        )
    if truth is not None and Path(truth.name).stem != source.stem:
        widgets.warning(f"The ground truth is named {truth.name}, the clip {source.name}: do they belong together?")
    return truth


def show(source: state.Source, analysis: compute.Analysis, truth: compute.Truth | None) -> None:
    header(source, analysis)
    st.audio(analysis.listen, format="audio/flac")
    results(source, analysis, truth)


def header(source: state.Source, analysis: compute.Analysis) -> None:
    info = analysis.info
    st.markdown(f"#### {widgets.plain(source.name)}")
    fine = all(finding.level == "ok" for finding in analysis.findings)
    icon = ":green[:material/check_circle:]" if fine else ":orange[:material/warning:]"
    st.markdown(
        f"{info.seconds:.1f} s · {info.sample_rate / 1000:g} kHz · {info.format} &nbsp;&nbsp; "
        f"{icon} {inputcheck.summary(analysis.findings)}"
    )
    for finding in analysis.findings:
        if finding.remedy:
            st.caption(f"What would help: {finding.remedy}.")


@st.fragment
def results(source: state.Source, analysis: compute.Analysis, truth: compute.Truth | None) -> None:
    """All that depends on the threshold; moving it runs this part only."""
    if moment := st.session_state.get(state.MOMENT):
        place, whole = st.columns([3, 1], vertical_alignment="center")
        place.markdown(f"Shown around the error from {moment[0]:.1f} to {moment[1]:.1f} s.")
        whole.button("Show the whole clip", on_click=st.session_state.pop, args=(state.MOMENT,), width="stretch")
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    threshold = left.slider(
        "Threshold (class probability)",
        0.05,
        0.95,
        0.5,
        0.05,
        key="threshold",
        help="A track is active in a frame of 100 ms where its largest class probability is above this.",
    )
    channel = right.selectbox("Spectrogram", list(CHANNEL_NAMES), key="channel", help="Channel and what it listens to.")
    table = analysis.prediction.frames(threshold)
    draw(analysis, truth, table, CHANNEL_NAMES[channel], f"{source.digest} {st.session_state['model']} {threshold}")
    events = labels.frames_to_events(table, analysis.prediction.classes)
    tabs = st.tabs(["Events", "Scores against ground truth", "Export"])
    with tabs[0]:
        show_events(events, analysis.prediction.class_wise)
    with tabs[1]:
        show_scores(table, truth, analysis)
    with tabs[2]:
        show_export(source, table, analysis)


def draw(analysis: compute.Analysis, truth, table: pd.DataFrame, channel: int, token: str) -> None:
    prediction = analysis.prediction
    names = {prediction.classes[c] for c in table["class"]} | (
        set() if truth is None else {truth.classes[c] for c in truth.lanes["class"]}
    )
    widgets.class_chips(sorted(names))
    figure = standing_figure(analysis, truth, channel)
    st.plotly_chart(figure, key=FIGURE_KEY, config={"displaylogo": False, "doubleClick": "reset"})
    live_traces(
        FIGURE_KEY, timeline.detection_arrays(table, prediction.classes, prediction.track_names), token, key="live"
    )
    legend = (
        "Filled segments and dots are the network's; outlines and thin lines are the ground truth. " if truth else ""
    )
    lanes = (
        "This network has one track a class, and one direction for it"
        if prediction.class_wise
        else "Each track has its own lane and marker"
    )
    st.caption(f"{legend}{lanes}; colours are classes. Drag to zoom, double-click to reset.")


def standing_figure(analysis: compute.Analysis, truth: compute.Truth | None, channel: int):
    """The figure without detections. The last one is kept in the session: a slider needs the same one again."""
    moment = st.session_state.get(state.MOMENT)
    key = (id(analysis), id(truth), channel, moment)
    kept = st.session_state.get(state.FIGURE)
    if kept is None or kept[0] != key:
        figure = timeline.timeline(
            analysis.spectrogram[channel],
            analysis.column_seconds,
            analysis.mel_hz,
            analysis.seconds,
            analysis.prediction.track_names,
            None if truth is None else truth.lanes,
            () if truth is None else truth.classes,
            moment and (moment[0] - AROUND_SECONDS, moment[1] + AROUND_SECONDS),
        )
        # the objects are kept with it, so that their ids stay theirs
        kept = st.session_state[state.FIGURE] = (key, figure, analysis, truth)
    return kept[1]


def show_events(events: pd.DataFrame, class_wise: bool) -> None:
    if events.empty:
        st.info("No track is above the threshold anywhere. Lower it to see weaker detections.")
        return
    shown = events.assign(track=events["track"] + 1)
    columns = ["onset", "offset", "name", "track", "azimuth", "elevation", "spread", "confidence"]
    if class_wise:
        columns.remove("track")  # it says the class again
    number = st.column_config.NumberColumn
    st.dataframe(
        shown[columns].sort_values(["onset", "track"]),
        hide_index=True,
        column_config={
            "onset": number("onset (s)", format="%.1f"),
            "offset": number("offset (s)", format="%.1f"),
            "name": "class",
            "azimuth": number("azimuth (°)", format="%.0f", help="Of the mean direction; 90° is left."),
            "elevation": number("elevation (°)", format="%.0f"),
            "spread": number("spread (°)", format="%.0f", help="Mean distance of the frames from the mean direction."),
            "confidence": number("confidence", format="%.2f", help="Mean class probability over the event's frames."),
        },
    )


def show_scores(table: pd.DataFrame, truth: compute.Truth | None, analysis: compute.Analysis) -> None:
    if truth is None:
        st.info("Add the clip's metadata CSV in the sidebar to score the detections.")
        return
    if truth.classes != analysis.prediction.classes:
        st.info(
            "The ground truth uses another class list than the network, so the two can be looked at but not scored."
        )
        return
    scores = compute.scores(table, truth)
    for column, name in zip(st.columns(4), ("ER", "F", "LE", "LR")):
        column.metric(name, texts.value(name, scores[name]), help=texts.SCORES[name])
    st.caption(
        f"DCASE 2020 measures of this clip against {widgets.plain(truth.name)}, in segments of 1 s within 20°. The Evaluate page has "
        "those of all years and what is behind them. The same from the command line: `python -m einv2 predict`, then "
        "`python -m einv2 evaluate`."
    )


def show_export(source: state.Source, table: pd.DataFrame, analysis: compute.Analysis) -> None:
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    layout = left.selectbox("Columns of the CSV", list(EXPORT_LAYOUTS), key="layout")

    def as_csv() -> bytes:
        buffer = io.StringIO()
        labels.write_csv(table, buffer, EXPORT_LAYOUTS[layout], classes=analysis.prediction.classes)
        return buffer.getvalue().encode()

    right.download_button(
        "Download detections (CSV)",
        as_csv,
        f"{source.stem}.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )
    numbers = ", ".join(f"{i} {name}" for i, name in enumerate(analysis.prediction.classes))
    st.caption(
        "The detections at the threshold above. Frames are 100 ms, from 0; angles whole degrees; tracks from 0; distance is "
        f"not estimated and written as 0. Classes are numbered as the network's, in every layout: {widgets.plain(numbers)}."
    )


page()
