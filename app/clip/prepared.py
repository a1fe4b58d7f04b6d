"""The open clip with its channels and its window as chosen, analysed; and its ground truth."""

import dataclasses
import re
from pathlib import Path

import numpy as np
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.clip import analysis, caches
from app.clip.analysis import Hearing, Truth
from app.ui import address, class_menu, progress, session, widgets
from app.ui.session import Source
from einv2.audio.inputformat import InputFormat
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.inference.model import Model, Prediction

SAME_CLASSES = "as the network"
ITS_OWN = "as the scene"  # own names that came with the clip

# session keys
STOPPED = "clip_stopped"  # digest of the clip whose analysis the user stopped
WINDOW = "window"  # minute from which a long clip is looked at
WINDOW_OF = "window_of"  # the clip, as it was opened, that this is of


def forget_other_window(source: Source) -> None:
    """The window that was chosen for another clip does not apply to this one. Called before ``as_chosen``."""
    if st.session_state.get(WINDOW_OF) is not source:
        st.session_state[WINDOW_OF] = source
        st.session_state.pop(WINDOW, None)
        if not address.has_opened(source):
            address.answered(WINDOW)


def as_chosen(source: Source) -> Source:
    """The clip with the channels and the window that the user chose. The same choices give the same object."""
    name, fix = st.session_state.get(session.FIX, (None, None))
    fix = fix if name == source.name else source.fix
    start = 60.0 * _minute(source)
    return caches.PREPARED.get((source, fix, start), lambda: dataclasses.replace(source, fix=fix, start=start))


def _minute(source: Source) -> int:
    """From which the clip is looked at: what the slider says or, before it is drawn, the address."""
    if WINDOW in st.session_state:
        return st.session_state[WINDOW]
    asked = next(iter(address.asked(WINDOW)), "")
    minute = int(asked) if re.fullmatch("[0-9]{1,5}", asked) else 0
    try:
        return minute if minute and minute <= _last_minute(analysis.seconds_of(source)) else 0
    except (ValueError, OSError):
        return 0  # the analysis reports why the clip cannot be read


def _last_minute(seconds: float) -> int:
    return max(int(np.ceil((seconds - analysis.WINDOW_SECONDS) / 60)), 1) if seconds > analysis.WINDOW_SECONDS else 0


def choose_window(source: Source, seconds: float) -> None:
    """The slider of a clip of this length; another window draws the page anew. source: as ``as_chosen`` gave it."""
    minutes = analysis.WINDOW_SECONDS // 60
    minute = st.slider(
        f"Window of {minutes} minutes, from minute",
        0,
        _last_minute(seconds),
        key=WINDOW,
        bind=widgets.LINK,
        help="A long clip is seen, heard and scored through a window; times on the page count from its start.",
    )
    if 60.0 * minute != source.start:
        st.rerun()


def analyse(source: Source, networks: tuple[tuple[str, ...], ...]) -> tuple[Hearing, dict[str, Prediction]] | None:
    """With progress and a Stop button; None, and an error on the page, if the clip cannot be used.

    networks: each one name, or several that act as an ensemble. The predictions go by the names, joined by " + ".
    """
    if progress.is_stopped(
        STOPPED, source.digest, f"Stopped before the analysis of {widgets.plain(source.name)} was complete."
    ):
        return None
    place = st.empty()
    try:
        hearing, predictions = analysis.analyse(source, networks, progress.with_stop(place, STOPPED, source.digest))
    except (ValueError, OSError) as error:
        # an OSError would name a temporary file
        what = f"{source.name} could not be kept for reading: {error.strerror}" if isinstance(error, OSError) else error
        with place.container():
            widgets.error(what)
            if fix := getattr(error, "fix", None):
                st.button(f"Read as {fix.name}", on_click=read_as, args=(source, fix), icon=":material/build:")
            st.caption("Remove the file in the sidebar, or drop another one there.")
        return None
    place.empty()
    return hearing, predictions


def read_as(source: Source, fix: InputFormat | None) -> None:
    """The clip is read in this format from now on; None: as in its header."""
    st.session_state[session.FIX] = (source.name, fix)


def load_model(name: str, placeholder: DeltaGenerator) -> Model | None:
    """The model of a name; or None, and an error in ``placeholder``."""
    try:
        return analysis.load_model(name)
    except (ValueError, OSError) as error:
        with placeholder:
            widgets.error(error)
        return None


def read_truth(source: Source, classes: tuple[str, ...], n_frames: int) -> Truth | None:
    """The ground truth of the clip, if it has one and can be read with these classes; the page warns of what does not fit the clip."""
    try:
        truth = analysis.read_truth(source, classes, n_frames)
    except ValueError as error:
        widgets.error(f"{error}. The clip is shown without ground truth.")
        return None
    if truth is None:
        return None
    show_notes(truth.name, truth.notes)
    if truth.frames_beyond:
        seconds = truth.frames_beyond / LABEL_FRAMES_PER_SECOND
        widgets.warning(
            f"{truth.name} has {seconds:.1f} s of labelled sound beyond the end of {source.name}; "
            "that part is neither shown nor scored."
        )
    if truth.rows_hidden:
        widgets.warning(
            f"{truth.name} has more than {analysis.MAX_LANES} simultaneous events; {truth.rows_hidden} of its rows are scored, "
            "but not drawn."
        )
    if Path(truth.name).stem != source.stem:
        widgets.warning(f"The ground truth is named {truth.name}, the clip {source.name}: do they belong together?")
    return truth


def show_notes(name: str, notes: tuple[str, ...]) -> None:
    """How a table was read, if that is not the usual layout."""
    if notes:
        st.caption(widgets.plain(widgets.for_page(f"{name}: {' '.join(notes)}")))


def class_lists(classes: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """What the indices of a CSV may mean, those of the network first."""
    return {SAME_CLASSES: classes, **class_menu.KNOWN}


def choose_truth_classes(
    classes: tuple[str, ...], label: str = "Classes of the ground truth", key: str = "truth_classes", first: int = 0
) -> tuple[str, ...]:
    """Which class list the indices of a CSV mean. first: the position of the default choice, used if the open clip
    does not store the class list of its ground truth."""
    at_first = {SAME_CLASSES: classes}
    clip = st.session_state.get(session.CLIP)
    known = clip.truth_classes if clip and key == "truth_classes" else None
    if isinstance(known, tuple):
        at_first, known = {**at_first, ITS_OWN: known}, ITS_OWN
    if known in (options := [*at_first, *class_menu.KNOWN]):
        first = options.index(known)
    return class_menu.choose(label, at_first, key, first) or classes
