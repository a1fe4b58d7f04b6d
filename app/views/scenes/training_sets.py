"""Render training sets of random scenes in the background, and list the kept ones."""

import functools

import streamlit as st

from app import pages
from app.jobs import scene_sets
from app.jobs.scene_sets import Batch, SetConfig
from app.storage import user_folder
from app.ui import texts, widgets
from app.views.scenes import scene
from app.views.scenes.scene import WRONG, open_in
from einv2.config import field_help
from einv2.simulate import specification as scenes
from einv2.simulate.scene import SceneConfig

BATCH = "scenes_batch"

RANGES = {  # field of SceneConfig: label, least, greatest, step
    "event_seconds": ("Longest length of a sound (s)", 0.2, 20.0, 0.1),
    "snr_db": ("Signal-to-noise ratio (dB)", 0.0, 60.0, 1.0),
    "rt60_s": ("Reverberation time (s)", 0.2, 1.5, 0.1),
}
SHARES = {
    "polyphonic_share": "Scenes with overlap",
    "same_class_share": "Overlap within a class",
    "moving_share": "Moving events",
}


def training_sets() -> None:
    st.markdown(
        "Render many random scenes, each with its own room, noise and paths, as a data set (`foa_dev` and `metadata_dev`) "
        "that networks can be trained on."
    )
    st.info(user_folder.SHARED, icon=":material/group:")
    try:
        if batch := scene_sets.batch_at_work():
            st.session_state[BATCH] = batch
            watch(batch)
        else:
            show_outcome(st.session_state.get(BATCH))
            choose_set()
        show_sets()
    except ValueError as error:
        widgets.error(error)


def choose_set() -> None:
    beginnings = {
        "set_scenes": 100,
        "set_seconds": 60,
        "set_overlap": 2,
        "set_seed": 1,
        "set_name": texts.free_name("random", {kept.name for kept in user_folder.items("scenes")}),
    }
    for key, value in beginnings.items():
        st.session_state.setdefault(key, value)
    first, second, third, fourth = st.columns(4)
    n_scenes = first.number_input("Scenes", 1, scene_sets.MAX_SET_SCENES, key="set_scenes", persist_state=widgets.KEEP)
    seconds = second.number_input(
        "Length of each (s)", 1, scene_sets.MAX_SET_SECONDS, key="set_seconds", persist_state=widgets.KEEP
    )
    overlap = third.number_input(
        "Most simultaneous events", 1, scenes.MAX_AT_ONCE, key="set_overlap", persist_state=widgets.KEEP
    )
    seed = fourth.number_input(
        "Seed",
        0,
        10**9,
        key="set_seed",
        help="The same seed gives the same bytes, another seed other scenes.",
        persist_state=widgets.KEEP,
    )
    with st.expander("What the scenes are like", icon=":material/tune:"):
        drawn_from = choose_ranges()
    name = st.text_input(
        "Name", key="set_name", max_chars=64, placeholder="letters, digits, spaces, _ and -", persist_state=widgets.KEEP
    )
    scene_config = SceneConfig(seconds=seconds, max_overlap=overlap, **drawn_from)
    config = SetConfig(name.strip(), n_scenes, seed, scene_config)
    st.caption(
        f"{n_scenes * seconds / 60:.1f} minutes, at most {user_folder.size_text(config.most_bytes)}. The same as "
        f"`python -m einv2 simulate OUT_DIR {' '.join(config.arguments)}`"
    )
    st.button("Render and keep the set", on_click=begin_set, args=(config,), disabled=not config.name, type="primary")


def choose_ranges() -> dict:
    """The fields of SceneConfig that the scenes of a set are drawn from."""
    helps, given = field_help(SceneConfig), SceneConfig()
    said = {name: f"{texts.capitalised(text)}." for name, text in helps.items()}
    chosen = {}
    columns = st.columns(3)
    for column, (name, label) in zip(columns, SHARES.items()):
        st.session_state.setdefault(f"set_{name}", getattr(given, name))
        chosen[name] = column.slider(
            label, 0.0, 1.0, step=0.05, key=f"set_{name}", help=said[name], persist_state=widgets.KEEP
        )
    anechoic = st.session_state.get("set_anechoic", False)
    for column, (name, (label, low, high, step)) in zip(columns, RANGES.items()):
        st.session_state.setdefault(f"set_{name}", getattr(given, name))
        off = name == "rt60_s" and anechoic
        help = f"{said[name]} Drawn for each scene."
        chosen[name] = column.slider(
            label, low, high, step=step, key=f"set_{name}", help=help, disabled=off, persist_state=widgets.KEEP
        )
    st.session_state.setdefault("set_gap_seconds", given.gap_seconds)
    chosen["gap_seconds"] = columns[0].number_input(
        "Mean pause (s)",
        0.0,
        20.0,
        step=0.1,
        key="set_gap_seconds",
        help=said["gap_seconds"],
        persist_state=widgets.KEEP,
    )
    chosen["anechoic"] = columns[2].toggle(
        "Free field", key="set_anechoic", help="Direct sound only, no room.", persist_state=widgets.KEEP
    )
    return chosen


def begin_set(config: SetConfig) -> None:
    try:
        st.session_state[BATCH] = scene_sets.begin_set(config)
    except ValueError as error:
        st.session_state[WRONG] = str(error)
    else:
        st.session_state.pop("set_name", None)  # the next set gets another name


@st.fragment(run_every=1.0)
def watch(batch: Batch) -> None:
    """The progress of the set; the page is redrawn when it has ended."""
    if batch.outcome:
        st.rerun()
    done, n, left = batch.n_done, batch.config.n_scenes, batch.seconds_left
    text = f"{widgets.plain(batch.config.name)}: {done} of {n} scenes"
    st.progress(min(done / n, 1.0), text + ("" if left is None else f" · about {texts.duration(left)} left"))
    st.button("Stop", on_click=batch.stop, icon=":material/stop:", key="set_stop")
    st.caption(
        "It continues when this tab is closed; after a restart of the server it continues once this page is opened."
    )


def show_outcome(batch: Batch | None) -> None:
    if batch is not None and batch.is_kept:
        st.success(widgets.plain(batch.outcome), icon=":material/check:")
        st.page_link(pages.TRAIN.file, label="Train a network on it", icon=pages.TRAIN.icon)
    elif batch is not None:
        widgets.warning(batch.outcome)


def show_sets() -> None:
    sets = user_folder.items("scenes")
    st.markdown("#### Kept sets")
    widgets.show_capacity()
    if not sets:
        st.markdown("None yet.")
    for kept in sets:
        name, size, look, delete = st.columns([3, 2, 1.6, 1.4], vertical_alignment="center")
        name.markdown(f"**{widgets.plain(kept.name)}**")
        size.markdown(f"{user_folder.size_text(kept.n_bytes)}, {kept.n_files} files")
        with look.popover("Look inside", icon=":material/graphic_eq:", width="stretch"):
            look_inside(kept.name)
        with delete:
            widgets.ask_to_delete(
                f"Delete {widgets.plain(kept.name)} for everyone? This cannot be undone.",
                functools.partial(delete_set, kept.name),
                f"set_delete_{kept.name}",
                width="stretch",
            )


def look_inside(name: str) -> None:
    """One scene of a set, to be opened on another page."""
    recordings = scene_sets.scenes_of(name)
    if not recordings:
        st.caption("The set has no scenes.")
        return
    n = st.number_input(f"Scene, 1 to {len(recordings)}", 1, len(recordings), key=f"set_look_{name}")
    if st.button("Open in Inspect", key=f"set_open_{name}", type="primary", width="stretch"):
        try:
            open_in(pages.INSPECT.file, scene.open_scene(recordings[n - 1]))
        except ValueError as error:
            widgets.error(error)


def delete_set(name: str) -> None:
    try:
        scene_sets.remove_set(name)
    except (ValueError, OSError) as error:
        st.session_state[WRONG] = (
            f"{name} could not be deleted: {error.strerror}." if isinstance(error, OSError) else str(error)
        )
