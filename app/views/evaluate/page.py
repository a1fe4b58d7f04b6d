"""Evaluate: one system or several against ground truth, from the scores of all years down to the frame."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import streamlit as st

from app.networks import registry
from app.storage import server_folder, user_folder
from app.ui import class_menu, csv_menu, progress, session, widgets
from app.ui.uploads import AUDIO_TYPES
from app.views.evaluate import results_view, scoring
from app.views.evaluate.scoring import Job, Results
from einv2.atomic_files import is_visible
from einv2.audio import inputformat
from einv2.frames import LABEL_FRAMES_PER_SECOND
from einv2.labels import clip_sets
from einv2.labels.csv_layout import Reading

AUTOMATIC = "as in the files"
INPUTS = {"as in their headers": None} | {
    choice.name: choice for choice in (*inputformat.CHOICES, inputformat.FIRST_FOUR)
}
EXTENTS = {"up to its last event": None, "for 60 s": 60 * LABEL_FRAMES_PER_SECOND}

# session keys
JOB = "job"  # what is scored
STOPPED = "evaluation_stopped"  # the Job whose scoring the user stopped
UPLOADS = "evaluate_uploads"  # the files of each uploader


def page() -> None:
    choose()
    job = st.session_state.get(JOB)
    if job is None:
        welcome()
        return
    results = score(job)
    if results is not None:
        results_view.show(results)


# Choices


def choose() -> None:
    """The sidebar. Pressing Score makes its choices the job of the session."""
    root = server_folder.data_root()
    kinds: dict[str, Callable[[], Job | None]] = {
        "Predictions (CSV)": choose_tables,
        "Recordings, by a network": choose_recordings,
    }
    if user_folder.names("scenes"):
        kinds["A set of the Scenes page, by a network"] = choose_set
    if root:
        kinds[f"Folders in {root.name}"] = functools.partial(choose_folders, root)
    with st.sidebar:
        kind = st.radio("What to score", list(kinds), key="evaluate_way", persist_state=widgets.KEEP)
        job = kinds[kind]()
        classes = class_menu.choose(
            "Classes of the ground truth", {AUTOMATIC: "auto"}, "evaluate_classes", persist=True
        )
        extent = st.selectbox(
            "Each clip is scored",
            list(EXTENTS),
            key="evaluate_extent",
            persist_state=widgets.KEEP,
            help="The official code from 2022 on scores up to the last event of the ground truth; that of 2020 and 2021 scores "
            "60 s of every clip, so that false alarms after the last event count.",
        )
        read_as = st.selectbox(
            "Channels of the recordings",
            list(INPUTS),
            key="evaluate_input",
            persist_state=widgets.KEEP,
            help="What `--input` is on the command line. The input check of the Inspect page suggests the layout.",
        )
        pressed = st.button(
            "Score", type="primary", width="stretch", disabled=job is None or classes is None, icon=":material/check:"
        )
        if pressed and job is not None and classes is not None:
            begin(replace(job, n_frames=EXTENTS[extent], classes=classes, read_as=INPUTS[read_as]))
        if JOB in st.session_state:
            st.button("Close the evaluation", on_click=close, width="stretch", icon=":material/close:")


def begin(job: Job) -> None:
    st.session_state[JOB] = job
    for key in (session.RESULTS, STOPPED, results_view.BEHIND):
        st.session_state.pop(key, None)


def uploads(label: str, kinds: list[str], key: str, help: str) -> dict:
    """Stem to upload, kept in the session while other pages are shown. Of files with the same stem the last is used, with a warning."""
    kept = st.session_state.setdefault(UPLOADS, {})

    def changed() -> None:
        kept.pop(key, None)

    files = st.file_uploader(
        label,
        kinds,
        accept_multiple_files=True,
        key=key,
        help=help,
        on_change=changed,
        max_upload_size=widgets.upload_limit(),
    )
    if files:
        kept[key] = files
    elif files := kept.get(key, []):
        st.caption(f"Kept from before: {clip_sets.named([file.name for file in files])}.")
        st.button("Remove", key=f"{key}_remove", on_click=changed, icon=":material/close:")
    files = [file for file in files if is_visible(Path(file.name))]
    found = {Path(file.name).stem: file for file in files}
    if len(found) < len(files):
        st.warning(f"Of {len(files)} files some have the same stem; the last of each is used, {len(found)} in all.")
    return found


def contents(files: dict) -> dict[str, bytes]:
    return {stem: file.getvalue() for stem, file in files.items()}


def choose_tables() -> Job | None:
    truths = uploads(
        "Ground truth",
        ["csv"],
        "evaluate_truths",
        "DCASE metadata CSVs of 2019 to 2025, or others with a header, one a clip.",
    )
    tables: dict[str, dict] = {}
    for n, letter in enumerate("ABCD"):  # the next one is offered when the one before is there
        if len(tables) < n and letter > "B":
            break
        optional = "" if letter == "A" else " (optional)"
        files = uploads(
            f"Predictions of system {letter}{optional}",
            ["csv"],
            f"evaluate_tables_{letter}",
            "One CSV a clip, same stem.",
        )
        if files:
            name = st.text_input(
                "Its name", f"system {letter}", key=f"evaluate_name_{letter}", max_chars=40, persist_state=widgets.KEEP
            )
            name = name.strip() or f"system {letter}"
            tables[f"{name} ({letter})" if name in tables else name] = files
    reading, truth_reading = choose_layouts()
    recordings = uploads(
        "Recordings (optional)",
        AUDIO_TYPES,
        "evaluate_audio",
        "To break scores down by level, and to open an error on the Inspect page.",
    )
    if not truths or not tables:
        return None
    return Job(
        contents(truths),
        {name: contents(files) for name, files in tables.items()},
        recordings=contents(recordings),
        suffixes={stem: Path(file.name).suffix for stem, file in recordings.items()},
        reading=reading,
        truth_reading=truth_reading,
    )


def choose_layouts() -> tuple[Reading, Reading]:
    """Of the predictions and of the ground truth."""
    return csv_menu.choose("predictions", "evaluate"), csv_menu.choose("ground truth", "evaluate_truth")


def choose_recordings() -> Job | None:
    recordings = uploads("FOA recordings", AUDIO_TYPES, "evaluate_audio", "4 channels W, Y, Z, X (ACN/SN3D), any rate.")
    truths = uploads(
        "Ground truth", ["csv"], "evaluate_truths", "DCASE metadata CSVs, with the stems of the recordings."
    )
    networks, threshold = choose_networks()
    if not truths or not recordings or not networks:
        return None
    return Job(
        contents(truths),
        networks=networks,
        recordings=contents(recordings),
        suffixes={stem: Path(file.name).suffix for stem, file in recordings.items()},
        threshold=threshold,
    )


def choose_networks(none_at_first: bool = False) -> tuple[tuple[str, ...], float]:
    names = registry.names()
    if not names:
        st.error(widgets.MODELS_MISSING)
        return (), 0.5
    at_first = [] if none_at_first else names[:1]
    networks = st.multiselect(
        "Networks", names, at_first, key="evaluate_networks", max_selections=4, persist_state=widgets.KEEP
    )
    threshold = st.slider(
        "Threshold (class probability)", 0.05, 0.95, 0.5, 0.05, key="evaluate_threshold", persist_state=widgets.KEEP
    )
    return tuple(networks), threshold


def choose_set() -> Job | None:
    """A stored set of the Scenes page."""
    name = st.selectbox("Set", user_folder.names("scenes"), key="evaluate_set", persist_state=widgets.KEEP)
    networks, threshold = choose_networks()
    if not name or not networks:
        return None
    try:
        folder = user_folder.path_of("scenes", name)
        clips = server_folder.files_in(folder, "foa_dev", "recordings")
        truths = server_folder.files_in(folder, "metadata_dev", "tables")
    except (ValueError, OSError) as error:
        widgets.error(error)
        return None
    suffixes = {stem: path.suffix for stem, path in clips.items()}
    return Job(truths, {}, networks, clips, suffixes, threshold=threshold)


def choose_folders(root: Path) -> Job | None:
    """Folders below the data root."""
    tables, audio = (server_folder.folders_with(root, kind) for kind in server_folder.KINDS)
    if not tables:
        st.info("There are no CSV files in the data root.")
        return None
    truth = st.selectbox(
        "Ground truth",
        tables,
        index=None,
        key="evaluate_truth_folder",
        placeholder="a folder",
        persist_state=widgets.KEEP,
    )
    systems = st.multiselect(
        "Predictions", tables, key="evaluate_system_folders", max_selections=4, persist_state=widgets.KEEP
    )
    recordings = st.selectbox(
        "Recordings (optional)",
        audio,
        index=None,
        key="evaluate_audio_folder",
        placeholder="a folder",
        persist_state=widgets.KEEP,
    )
    networks, threshold = choose_networks(none_at_first=bool(systems)) if recordings else ((), 0.5)
    reading, truth_reading = choose_layouts()
    if not truth or not (systems or networks):
        return None
    try:
        clips = server_folder.files_in(root, recordings, "recordings") if recordings else {}
        return Job(
            server_folder.files_in(root, truth, "tables"),
            {name: server_folder.files_in(root, name, "tables") for name in systems},
            networks,
            clips,
            {stem: path.suffix for stem, path in clips.items()},
            threshold=threshold,
            reading=reading,
            truth_reading=truth_reading,
        )
    except (ValueError, OSError) as error:
        widgets.error(error)
        return None


def close() -> None:
    for key in (JOB, session.RESULTS, results_view.BEHIND, UPLOADS):
        st.session_state.pop(key, None)


def welcome() -> None:
    st.title("Score a system, and see what scores hide")
    st.markdown(
        "Give predictions and ground truth, or recordings and a network, in the sidebar. You get the scores of every DCASE "
        "year exactly as the official code gives them, each with an interval; which classes, directions and overlaps they come "
        "from; every error with its time, to open and hear; and what the scores leave out: track swaps, fragments, duplicates."
    )
    names = registry.names()
    if names and st.button("Score the examples", type="primary", icon=":material/play_arrow:"):
        begin(example_job(names))
        st.rerun()
    st.caption(
        "The three example clips through the networks that come with the app. Nothing you open leaves this machine."
    )


def example_job(names: list[str]) -> Job:
    """The examples through the default network, and through the one trained without PIT if it is there."""
    sources = {example.key: example.open() for example in session.examples()}
    return Job(
        {key: source.truth or b"" for key, source in sources.items()},
        networks=tuple(n for n in names if n in (names[0], "einv2-nopit")),
        recordings={key: source.data for key, source in sources.items()},
        suffixes={key: source.suffix for key, source in sources.items()},
    )


# Computation


def score(job: Job) -> Results | None:
    """The results, from the session if they are there; else computed. None, and one sentence on the page, if there are none."""
    stored = st.session_state.get(session.RESULTS)
    if stored is not None and stored.job is job:
        return stored
    if progress.is_stopped(STOPPED, job, "Stopped before scoring was complete."):
        return None
    place = st.empty()
    report = progress.with_stop(place, STOPPED, job)
    report(0.0, "")
    try:
        results = scoring.run(job, report)
    except (ValueError, OSError) as error:
        with place.container():
            widgets.error(error)
            st.caption("Change the choice in the sidebar and press Score again.")
        return None
    place.empty()
    st.session_state[session.RESULTS] = results
    return results


page()
