"""The clip that pages are about: opened in the sidebar of any of them, kept in the session from page to page, and analysed."""

import dataclasses
from pathlib import Path

import numpy as np
import streamlit as st

from app import compute, folders, state, widgets
from app.compute import Hearing, Truth
from app.state import Source
from einv2 import inference
from einv2.config import LABEL_FRAMES_PER_SECOND
from einv2.inference import Prediction

AUDIO_TYPES = ["wav", "flac", "ogg"]


# Opening


def choose() -> Source | None:
    """The controls, for the sidebar: an upload, a file of the data root, the ground truth; and what is open now."""
    if state.CLIP not in st.session_state:
        widgets.open_example_of_link()
    st.file_uploader(
        "FOA recording",
        AUDIO_TYPES,
        key=_key("clip_upload"),
        on_change=take_recording,
        max_upload_size=widgets.upload_limit(),
        help="4 channels W, Y, Z, X (ACN/SN3D), any rate, from 0.2 s. It stays on this machine.",
    )
    st.file_uploader(
        "Ground truth (optional)",
        ["csv"],
        key=_key("truth_upload"),
        on_change=take_truth,
        max_upload_size=widgets.upload_limit(),
        help="DCASE metadata CSV of 2019 to 2024.",
    )
    if root := folders.data_root():
        choose_in_root(root)
    source = st.session_state.get(state.CLIP)
    if source is None:
        if st.session_state.get(_key("truth_upload")):
            st.caption("The ground truth is used once its recording is uploaded, too.")
        return None
    truth = f", with {widgets.plain(source.truth_name)}" if source.truth_name else ", without ground truth"
    st.caption(f"Open: {widgets.plain(source.name)}{truth}")
    st.button("Close clip", on_click=close, icon=":material/close:")
    return source


def choose_in_root(root: Path) -> None:
    names = recordings(root)
    st.selectbox(
        f"Or a recording in {widgets.plain(root.name)}",
        names,
        index=None,
        key=_key("clip_in_root"),
        on_change=take_from_root,
        args=(root,),
        placeholder="a file" if names else "there are none",
        disabled=not names,
        help="From the data root that the server was started with; its metadata CSV is found by its name.",
    )


@st.cache_data(ttl=30, max_entries=4, show_spinner=False)
def recordings(root: Path) -> list[str]:
    return folders.recordings(root)


def _key(name: str) -> str:
    """Of a widget that is emptied when the clip is closed: an uploader cannot be, so another takes its place."""
    closed = st.session_state.get(state.CLOSED, 0)
    return f"{name}_{closed}" if closed else name


def take_recording() -> None:
    """What was uploaded is the clip from now on; what was taken away is so no more."""
    clip = st.session_state[_key("clip_upload")]
    truth = st.session_state.get(_key("truth_upload"))
    forget()
    if clip is not None:
        with_truth = (truth.name, truth.getvalue()) if truth else ()
        st.session_state[state.CLIP] = Source(clip.name, clip.getvalue(), *with_truth)


def take_truth() -> None:
    """The clip that is open goes with another ground truth; or with its own again, if it is an example."""
    source, truth = st.session_state.get(state.CLIP), st.session_state[_key("truth_upload")]
    if source is None:
        return
    new = dataclasses.replace(source, truth_name=truth and truth.name, truth=truth and truth.getvalue())
    st.session_state[state.CLIP] = new
    if truth is None:
        widgets.open_example_of_link()


def take_from_root(root: Path) -> None:
    name = st.session_state[_key("clip_in_root")]
    forget()
    if name is None:
        return
    path, truth = root / name, folders.truth_of(root, name)
    st.session_state[state.CLIP] = Source(path.name, path, truth and truth.name, truth and truth.read_bytes())


def forget() -> None:
    for key in (state.CLIP, state.MOMENT, state.FIX, state.SEEK):
        st.session_state.pop(key, None)
    st.query_params.pop("example", None)


def close() -> None:
    forget()
    for key in (state.ANALYSES, state.SOUNDS, state.FIGURE, state.PREPARED, state.TRACKING, state.RIBBONS):
        st.session_state.pop(key, None)
    st.session_state[state.CLOSED] = st.session_state.get(state.CLOSED, 0) + 1


def prepared(source: Source) -> Source:
    """The clip with its channels set right as the user chose, and from where it is looked at. The same choice is the same object."""
    name, fix = st.session_state.get(state.FIX, (None, None))
    fix = fix if name == source.name else None
    kept = st.session_state.get(state.PREPARED)
    if kept is None or kept[0] is not source:
        st.session_state.pop(state.WINDOW, None)  # it was that of another clip
    start = 60.0 * st.session_state.get(state.WINDOW, 0)
    if kept is None or kept[0] is not source or kept[1:3] != (fix, start):
        new = dataclasses.replace(source, fix=fix, start=start)
        kept = st.session_state[state.PREPARED] = (source, fix, start, new)
    return kept[3]


def choose_window(seconds: float) -> None:
    minutes = compute.WINDOW_SECONDS // 60
    last = max(int(np.ceil((seconds - compute.WINDOW_SECONDS) / 60)), 1)
    st.slider(
        f"Window of {minutes} minutes, from minute",
        0,
        last,
        key=state.WINDOW,
        help="A long clip is seen, heard and scored through a window; times on the page count from its start.",
    )


# Analysis


def analyse(source: Source, networks: tuple[tuple[str, ...], ...]) -> tuple[Hearing, dict[str, Prediction]] | None:
    """With progress and a way to stop; None, and one sentence on the page, if the clip cannot be used.

    networks: each one name, or several that act as an ensemble. The predictions go by the names, joined by " + ".
    """
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
        bar.progress(min(share, 1.0), text=widgets.plain(text))

    try:
        hearing, predictions = compute.analyse(source, networks, progress)
    except (ValueError, OSError) as error:
        # an OSError would name a temporary file
        what = f"{source.name} could not be kept for reading: {error.strerror}" if isinstance(error, OSError) else error
        with place.container():
            widgets.error(what)
            st.caption("Remove the file in the sidebar, or drop another one there.")
        return None
    place.empty()
    return hearing, predictions


def load_model(name: str, place) -> inference.Model | None:
    """The model of a name, or None, and one sentence in ``place``."""
    try:
        return compute.load_model(name)
    except (ValueError, OSError) as error:
        with place:
            widgets.error(error)
        return None


def stop(digest: str) -> None:
    """Runs at the start of the next run, which the click begins; the run at work ends at its next sign of progress."""
    st.session_state[state.STOPPED] = digest


def read_truth(source: Source, predictions: dict[str, Prediction], hearing: Hearing, classes) -> Truth | None:
    """The ground truth of the clip, if it has one; on the page, what is odd about it. classes: None for those of the networks."""
    first = next(iter(predictions.values()))
    try:
        truth = compute.read_truth(source, classes or first.classes, len(first.sed))
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
