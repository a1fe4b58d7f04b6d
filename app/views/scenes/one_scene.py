"""Compose one scene of sources on a table and a map, render it, listen to it, and open it on other pages."""

from typing import Any

import pandas as pd
import streamlit as st

from app import pages
from app.clip import analysis, opening
from app.plots import scene_map
from app.ui import class_menu, figure_texts, progress, session, texts, widgets
from app.views.scenes import scene
from app.views.scenes.scene import BUILT_IN, WRONG, Rendered, SceneForm, Upload, open_in
from einv2.labels import class_lists, frame_tables
from einv2.simulate import specification as scenes
from einv2.simulate.specification import Noise, Problem, Sound, Specification, SpecifiedRoom
from einv2.simulate.synthesis import PROCEDURAL_CLASSES

ROOMS = {
    "Free field": SpecifiedRoom((7.0, 6.0, 3.0), 0.0),
    "Small room": SpecifiedRoom((4.0, 3.5, 2.6), 0.3),
    "Medium room": SpecifiedRoom((7.0, 6.0, 3.0), 0.4),
    "Large hall": SpecifiedRoom((14.0, 11.0, 5.0), 1.0),
}
OWN_ROOM = "Size of your own"
# session keys, beside those of the widgets
FORM = "scenes_form"  # the SceneForm
ASKED = "scenes_asked"  # the Specification that is to be rendered
STOPPED = "scenes_stopped"  # the Specification whose rendering the user stopped
SHOWN = "scenes_shown"  # the Specification that was rendered last
ARRIVED = "scenes_arrived"  # a scene was rendered just now: it is to be seen
OWN_CLASSES = "scene_classes_own"  # the names, as they are typed
RESULT = "scene_result"  # the place of what was rendered
FILES = "scenes_files"  # ids of what is in the uploader
FORGOTTEN = "scenes_forgotten"  # how often all sounds were forgotten: each time there is a new uploader
NEW = "a new source"
SHOWN_PROBLEMS = 6


def begin() -> None:
    """The first visit begins with a small scene, a later one with what the user left."""
    if FORM not in st.session_state:
        rows = scene.to_rows(())
        st.session_state[FORM] = SceneForm(rows, rows)
        load(scene.first_scene())
    elif editor_key() not in st.session_state:
        set_rows(form().rows)


def form() -> SceneForm:
    return st.session_state[FORM]


def load(specification: Specification) -> None:
    """Show a specification on the page, in place of everything on it."""
    room = next((name for name, room in ROOMS.items() if room == specification.room), OWN_ROOM)
    noise = specification.noise
    values = {
        "scene_seconds": specification.seconds,
        **classes_of(specification),
        "scene_room": room,
        "scene_rt60": specification.room.rt60_s,
        "scene_noise": noise is not None,
        "scene_snr": noise.snr_db if noise else 20.0,
        "scene_peak": specification.peak_db,
        "scene_seed": specification.seed,
    } | {f"scene_size_{axis}": side for axis, side in zip("xyz", specification.room.size_m)}
    st.session_state.update(values)
    st.session_state[FORM] = form().loaded(specification)


def classes_of(specification: Specification) -> dict[str, str]:
    """The state of the class menu for a specification."""
    if specification.class_list in class_menu.LABELS:
        return {"scene_classes": specification.class_list}
    return {"scene_classes": class_menu.OWN, OWN_CLASSES: specification.class_list}


def chosen_list() -> str:
    """The class list as a specification has it: a known one, or the user's own names, which may still be invalid."""
    chosen = st.session_state["scene_classes"]
    kept = st.session_state.get(class_menu.REMEMBERED, "")
    return st.session_state.get(OWN_CLASSES, kept).strip() if chosen == class_menu.OWN else chosen


def chosen_classes() -> tuple[str, ...]:
    try:
        return class_lists.named(chosen_list())
    except ValueError:
        return class_lists.DCASE2020_CLASSES  # the menu reports the error


def set_rows(rows: pd.DataFrame) -> None:
    st.session_state[FORM] = form().with_rows(rows)


def editor_key() -> str:
    return f"scene_sources_{form().editor}"


def one_scene() -> None:
    st.markdown(
        "Define which sounds start when, how long they last, and how they move around you; the annotation is then exact. "
        "Click on the map to place a source, or draw a random scene; change the table, and render it."
    )
    uploads = choose_beginnings()
    sounds = {name: upload.sound for name, upload in uploads.items()} | dict(form().required)
    rows = edit_sources(sounds)
    left, right = st.columns([3, 2], gap="medium")
    with right:
        settings = choose_settings()
    with left:
        show_map(rows)
    sources, missing = scene.from_rows(rows, sounds)
    specification = Specification(sources=sources, **settings)
    found = missing or scenes.problems(specification, {u.sound.sha256: u.samples for u in uploads.values()})
    show_problems(found)
    show_order_buttons(specification, possible=not found)
    with st.container(key=RESULT):
        result = rendered_scene(specification, uploads)
        if result is not None:
            show_result(result, specification)
    if st.session_state.pop(ARRIVED, False):
        widgets.scroll_to(RESULT)


def choose_beginnings() -> dict[str, Upload]:
    """Popovers: a random scene, the user's own sounds, and a specification to open."""
    first, second, third = st.columns(3)
    with first.popover("Random scene", icon=":material/casino:", width="stretch"):
        choose_random()
    with second.popover("Sounds of your own", icon=":material/upload:", width="stretch"):
        uploads = choose_uploads()
    with third.popover("Open a specification", icon=":material/folder_open:", width="stretch"):
        st.file_uploader(
            "JSON of a scene",
            ["json"],
            key="scene_file",
            on_change=open_specification,
            max_upload_size=widgets.upload_limit(),
            help="A file written by this page. It replaces everything on the page.",
        )
    return uploads


def choose_random() -> None:
    for key, value in (("random_seed", 1), ("random_overlap", 2), ("random_events", 6)):
        st.session_state.setdefault(key, value)
    st.number_input(
        "Seed", 0, 10**9, key="random_seed", help="The same seed draws the same scene.", persist_state=widgets.KEEP
    )
    st.number_input("Most simultaneous events", 1, scenes.MAX_AT_ONCE, key="random_overlap", persist_state=widgets.KEEP)
    st.number_input("Events", 1, scenes.MAX_SOURCES, key="random_events", persist_state=widgets.KEEP)
    st.button("Draw", on_click=draw_random_scene, type="primary", icon=":material/casino:", width="stretch")
    st.caption("Uses the length, classes, room and noise chosen on the page; replaces the table.")


def draw_random_scene() -> None:
    chosen = st.session_state
    try:
        drawn = scenes.draw(
            chosen["random_seed"],
            chosen["scene_seconds"],
            chosen["random_events"],
            chosen["random_overlap"],
            chosen_room(),
            Noise(chosen["scene_snr"]) if chosen["scene_noise"] else None,
            chosen_list(),
        )
    except ValueError as error:
        chosen[WRONG] = str(error)
        return
    load(drawn)


def choose_uploads() -> dict[str, Upload]:
    files = st.file_uploader(
        "Mono sounds",
        opening.AUDIO_TYPES,
        accept_multiple_files=True,
        key=uploader_key(),
        on_change=forget_removed,
        max_upload_size=widgets.upload_limit(),
        help=f"1 channel, from 0.2 to {scenes.MAX_SOUND_SECONDS:g} s, at most {scene.MAX_UPLOADS} files.",
    )
    st.session_state[FILES] = {file.file_id for file in files}
    scene.read_uploads(files)
    uploads, wrong = scene.uploads()
    for said in wrong:
        widgets.error(said)
    for name, upload in uploads.items():
        st.markdown(f"{widgets.plain(name)}: {upload.seconds:.2f} s")
    if uploads:
        st.button("Forget all sounds", on_click=forget_all, icon=":material/delete:", width="stretch")
    st.caption("They are kept in this session only. Choose them in the table; each is played from its beginning.")
    return uploads


def uploader_key() -> str:
    return f"scene_sounds_{st.session_state.get(FORGOTTEN, 0)}"


def forget_removed() -> None:
    """The files that were taken out of the uploader."""
    now = {file.file_id for file in st.session_state[uploader_key()]}
    scene.forget_uploads(st.session_state.get(FILES, set()) - now)


def forget_all() -> None:
    scene.forget_uploads()
    st.session_state[FORGOTTEN] = st.session_state.get(FORGOTTEN, 0) + 1


def open_specification() -> None:
    file = st.session_state["scene_file"]
    if file is None:
        return
    try:
        opened = scenes.from_text(file.getvalue(), file.name)
        if found := scenes.problems(opened):
            raise ValueError(f"{file.name}: {sentence(found[0])}")
    except ValueError as error:
        st.session_state[WRONG] = str(error)
        return
    load(opened)


def edit_sources(sounds: dict[str, Sound]) -> pd.DataFrame:
    """The table of sources; the rows as they are now."""
    classes = chosen_classes()
    shown = form().rows
    names = [*dict.fromkeys([BUILT_IN, *sounds, *(s for s in shown["sound"] if isinstance(s, str))])]
    options = [*dict.fromkeys([*classes, *(c for c in shown["class"] if isinstance(c, str))])]
    edited = st.data_editor(
        form().start,
        key=editor_key(),
        num_rows="dynamic",
        hide_index=True,
        column_config=columns(options, names),
        placeholder="",
    )
    st.session_state[FORM] = form().edited(edited)
    st.caption(
        "Click below the last row to add a source; choose rows at the left to delete them. Azimuth grows to the left: 90° is left, "
        "±180° behind. A source moves straight from its first direction to its last, and may pass the back: 170° to 190° is "
        "the short way; without an end it does not move."
    )
    return form().rows


def columns(classes: list[str], sounds: list[str]) -> dict:
    """How each column is edited: unit, range, and what a new row begins with."""
    number = st.column_config.NumberColumn
    seconds: dict[str, Any] = dict(format="%.2f", step=0.01)
    degrees: dict[str, Any] = dict(format="%.0f")
    distance = f"Distance in m, from 0.3 to {scenes.FREE_FIELD_M:g}; a farther source has more reverberation, not a lower level."
    return {
        "class": st.column_config.SelectboxColumn("class", options=classes, default=classes[0], width=140),
        "sound": st.column_config.SelectboxColumn(
            "sound",
            options=sounds,
            default=BUILT_IN,
            width=100,
            help="Built-in sounds are computed for the class; or a file of your own.",
        ),
        "number": number(
            "no.",
            min_value=0,
            step=1,
            default=1,
            width=70,
            help="Variant of the built-in sound: each number sounds different.",
        ),
        "onset": number("onset (s)", min_value=0.0, default=0.0, width=100, help="Start of the sound.", **seconds),
        "length": number("length (s)", min_value=0.0, default=2.0, width=100, help="Duration of the sound.", **seconds),
        "azimuth": number("azimuth (°)", min_value=-180.0, max_value=180.0, default=0.0, width=112, **degrees),
        "elevation": number("elev. (°)", min_value=-90.0, max_value=90.0, default=0.0, width=95, **degrees),
        "azimuth to": number(
            "to az. (°)", width=100, help="Direction at the end; empty: the source does not move.", **degrees
        ),
        "elevation to": number(
            "to el. (°)", width=100, help="Direction at the end; empty: the source does not move.", **degrees
        ),
        "distance": number("dist. (m)", min_value=0.0, default=1.0, format="%.2f", width=98, help=distance),
        "level": number("level (dB)", default=0.0, format="%.1f", width=102, help="Relative to the other sources."),
    }


def choose_settings() -> dict:
    """Length, room and noise: the fields of a Specification but its sources."""
    left, right = st.columns(2)
    seconds = left.number_input("Length (s)", 1, scenes.MAX_SECONDS, key="scene_seconds", persist_state=widgets.KEEP)
    classes = right.selectbox(
        "Classes",
        [*class_menu.LABELS, class_menu.OWN],
        format_func=lambda name: class_menu.LABELS.get(name, name),
        key="scene_classes",
        help=f"There are built-in sounds for the {len(PROCEDURAL_CLASSES)} classes of DCASE 2020; other classes need your own sounds.",
        persist_state=widgets.KEEP,
    )
    if classes == class_menu.OWN:
        class_menu.own_names(OWN_CLASSES)
    st.selectbox("Room", [*ROOMS, OWN_ROOM], key="scene_room", persist_state=widgets.KEEP)
    if st.session_state["scene_room"] == OWN_ROOM:
        choose_room()
    room = chosen_room()
    st.caption(room_text(room))
    noise = st.toggle("Noise", key="scene_noise", help="Diffuse: from everywhere at once.", persist_state=widgets.KEEP)
    left, right = st.columns(2)
    snr = left.number_input(
        "SNR (dB)",
        -30.0,
        120.0,
        step=1.0,
        key="scene_snr",
        disabled=not noise,
        help="Signal-to-noise ratio: how far the noise is below the mean level of the sources.",
        persist_state=widgets.KEEP,
    )
    peak = right.number_input(
        "Peak (dB)",
        -60.0,
        0.0,
        step=1.0,
        key="scene_peak",
        help="Peak level of the scene relative to full scale.",
        persist_state=widgets.KEEP,
    )
    seed = st.number_input(
        "Seed of noise and reverberation",
        0,
        10**9,
        key="scene_seed",
        help="The same seed gives the same samples.",
        persist_state=widgets.KEEP,
    )
    return {
        "seed": seed,
        "seconds": seconds,
        "room": room,
        "noise": Noise(snr) if noise else None,
        "peak_db": peak,
        "class_list": chosen_list(),
    }


def choose_room() -> None:
    limits = zip("xyz", ("Long (m)", "Wide (m)", "High (m)"), (scenes.SIDE_M, scenes.SIDE_M, scenes.HEIGHT_M))
    for column, (axis, label, (low, high)) in zip(st.columns(3), limits):
        column.number_input(label, low, high, step=0.1, key=f"scene_size_{axis}", persist_state=widgets.KEEP)
    st.number_input(
        "Reverberation time (s)",
        0.0,
        20.0,
        step=0.1,
        key="scene_rt60",
        help="RT60: the time in which the sound decays by 60 dB. 0: a free field.",
        persist_state=widgets.KEEP,
    )


def chosen_room() -> SpecifiedRoom:
    chosen = st.session_state
    if chosen["scene_room"] in ROOMS:
        return ROOMS[chosen["scene_room"]]
    x, y, z = (float(chosen[f"scene_size_{axis}"]) for axis in "xyz")
    return SpecifiedRoom((x, y, z), float(chosen["scene_rt60"]))


def room_text(room: SpecifiedRoom) -> str:
    if not room.rt60_s:
        return "Direct sound only."
    return f"{' × '.join(f'{side:g}' for side in room.size_m)} m, reverberation time {room.rt60_s:g} s."


# The map


def show_map(rows: pd.DataFrame) -> None:
    """The map, on which a click places a new source, or sets the direction that is chosen above it."""
    targets = [NEW, *((n, end) for n in range(len(rows)) for end in ("start", "end"))]
    if st.session_state.get("scene_target") not in targets:
        st.session_state["scene_target"] = NEW
    left, right = st.columns([3, 2])
    target = left.selectbox(
        "A click on the map sets",
        targets,
        format_func=lambda t: t if t == NEW else f"the {t[1]} of source {t[0] + 1} ({rows['class'][t[0]]})",
        key="scene_target",
        help="A new source lasts from 0 to 2 s; change it in the table.",
        persist_state=widgets.KEEP,
    )
    if target == NEW:
        classes = chosen_classes()
        if st.session_state.get("scene_new_class") not in classes:
            st.session_state["scene_new_class"] = next((c for c in classes if c in PROCEDURAL_CLASSES), classes[0])
        right.selectbox("Its class", classes, key="scene_new_class", persist_state=widgets.KEEP)
    st.plotly_chart(
        scene_map.scene_map(rows, None if target == NEW else int(target[0])),
        key=map_key(),
        alt=figure_texts.of(map_key()),
        on_select=place_source,
        selection_mode="points",
        config={"displayModeBar": False, "doubleClick": False},
    )


def map_key() -> str:
    return f"scene_map_{form().editor}"


def place_source() -> None:
    """A source is added where the map was clicked, or the chosen direction becomes that of the click."""
    points, target = st.session_state[map_key()]["selection"]["points"], st.session_state.get("scene_target")
    if not points or target is None:
        return
    where, rows = (float(points[0]["x"]), float(points[0]["y"])), form().rows
    if target == NEW:
        set_rows(scene.with_source(rows, st.session_state["scene_new_class"], where))
    else:
        set_rows(scene.moved(rows, int(target[0]), str(target[1]), where))


# Rendering


def show_problems(found: list[Problem]) -> None:
    for problem in found[:SHOWN_PROBLEMS]:
        widgets.error(sentence(problem))
    if len(found) > SHOWN_PROBLEMS:
        st.caption(f"… and {len(found) - SHOWN_PROBLEMS} more.")


def sentence(problem: Problem) -> str:
    if problem.source is None:
        return texts.capitalised(problem.text)
    return f"Source {problem.source + 1}: {problem.text}"


def show_order_buttons(specification: Specification, possible: bool) -> None:
    left, right = st.columns(2)
    left.button(
        "Render",
        on_click=request_rendering,
        args=(specification,),
        disabled=not possible,
        type="primary",
        icon=":material/spatial_audio:",
        width="stretch",
        help=None if possible else "Fix the problems listed above first.",
    )
    right.download_button(
        "Specification (JSON)",
        scenes.to_text(specification),
        f"{specification.stem}.json",
        "application/json",
        on_click="ignore",
        disabled=not possible,
        icon=":material/download:",
        width="stretch",
        help="The whole scene, to be rebuilt exactly here or by `python -m einv2 simulate OUT_DIR --specification FILE.json`.",
    )


def request_rendering(specification: Specification) -> None:
    st.session_state[ASKED] = specification
    st.session_state.pop(STOPPED, None)


def rendered_scene(specification: Specification, uploads: dict[str, Upload]) -> Rendered | None:
    """The scene that was asked for, with progress and a Stop button; else the one that was rendered last."""
    if progress.is_stopped(STOPPED, specification, "Stopped before the scene was rendered."):
        return None
    if st.session_state.get(ASKED) == specification:
        return render_with_progress(specification, uploads)
    st.session_state.pop(ASKED, None)  # the page was changed before the scene was finished
    last = st.session_state.get(SHOWN)
    return None if last is None else scene.rendered(last)


def render_with_progress(specification: Specification, uploads: dict[str, Upload]) -> Rendered | None:
    widgets.scroll_to(RESULT)
    placeholder = st.empty()
    try:
        result = scene.render(specification, uploads, progress.with_stop(placeholder, STOPPED, specification))
    except ValueError as error:
        st.session_state.pop(ASKED, None)
        with placeholder.container():
            widgets.error(error)
        return None
    placeholder.empty()
    st.session_state.pop(ASKED, None)
    st.session_state[SHOWN] = specification
    st.session_state[ARRIVED] = True
    return result


# The result


def show_result(result: Rendered, specification: Specification) -> None:
    """The rendered scene: its sound, its truth, links to other pages, downloads."""
    made, clip = result.specification, result.clip
    st.markdown(f"#### {clip.stem}")
    if made != specification:
        st.caption("The page has been changed since; this is the last rendered scene.")
    st.audio(analysis.listen(clip, "stereo"), format="audio/flac")
    st.caption("Stereo: two cardioids, to the left and to the right.")
    truth = analysis.read_truth(clip, made.classes, made.seconds * frame_tables.LABEL_FRAMES_PER_SECOND)
    assert truth is not None  # it was rendered with the clip
    widgets.class_chips(sorted({made.classes[c] for c in truth.lanes["class"]}))
    widgets.plot(scene_map.truth_figure(truth.lanes, made.classes, made.seconds), "scene_truth")
    open_elsewhere(clip)
    show_downloads(result)


def open_elsewhere(clip: session.Source) -> None:
    for column, page in zip(st.columns(len(pages.OF_A_CLIP)), pages.OF_A_CLIP):
        key = f"scene_open_{page.url_path}"
        if column.button(f"Open in {page.title}", key=key, icon=page.icon, type="primary", width="stretch"):
            open_in(page.file, clip)


def show_downloads(result: Rendered) -> None:
    clip = result.clip
    files: tuple[tuple[str, Any, str | None, str], ...] = (
        ("Clip (FLAC)", clip.data, clip.name, "audio/flac"),
        ("Truth (CSV)", clip.truth, clip.truth_name, "text/csv"),
        ("Its specification (JSON)", result.text, f"{clip.stem}.json", "application/json"),
    )
    for column, (label, data, name, mime) in zip(st.columns(len(files)), files):
        with column:
            widgets.download(label, data, name or clip.name, mime, key=f"scene_{mime}")
    st.caption(
        "The clip has the channels W, Y, Z, X (ACN/SN3D) at 24 kHz; the CSV is that of DCASE 2020: frame of 100 ms, class, instance, "
        "azimuth and elevation in whole degrees."
    )
