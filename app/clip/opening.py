"""Which clip pages are about: opened in the sidebar of any of them, and kept in the session from page to page.

Needs neither PyTorch nor a table, so that the first page does not wait for their import.
"""

import dataclasses
from pathlib import Path

import streamlit as st

from app.clip import caches
from app.storage import server_folder
from app.ui import address, session, widgets
from app.ui.session import Source
from app.ui.uploads import AUDIO_TYPES


def choose() -> Source | None:
    """The controls, for the sidebar: an upload, a file of the data root, the ground truth; and what is open now."""
    st.file_uploader(
        "FOA recording",
        AUDIO_TYPES,
        key=_key("clip_upload"),
        on_change=take_recording,
        max_upload_size=widgets.upload_limit(),
        help="4 channels W, Y, Z, X (ACN/SN3D), any rate, from 0.2 s; .amb files are read as FuMa. It stays on this machine.",
    )
    st.file_uploader(
        "Ground truth (optional)",
        ["csv"],
        key=_key("truth_upload"),
        on_change=take_truth,
        max_upload_size=widgets.upload_limit(),
        help="DCASE metadata CSV of 2019 to 2025.",
    )
    if root := server_folder.data_root():
        choose_in_root(root)
    source = st.session_state.get(session.CLIP)
    if source is None:
        if (why := address.refusal()) is not None:
            widgets.error(why)
        if st.session_state.get(_key("truth_upload")):
            st.caption("The ground truth is used once its recording is uploaded.")
        return None
    truth = f", with {widgets.plain(source.truth_name)}" if source.truth_name else ", without ground truth"
    st.caption(f"Open: {widgets.plain(source.name)}{truth}")
    if source.link[0] == "upload":
        st.caption("Reloading the page closes it: the address cannot hold what was uploaded or composed.")
    st.button("Close clip", on_click=close, icon=":material/close:")
    return source


def choose_in_root(root: Path) -> None:
    names = recordings(root)
    source = st.session_state.get(session.CLIP)
    if source is not None and source.link[0] == "recording" and source.link[1] in names:
        st.session_state[_key("clip_in_root")] = source.link[1]
    st.selectbox(
        f"Or a recording in {widgets.plain(root.name)}",
        names,
        index=None,
        key=_key("clip_in_root"),
        on_change=take_from_root,
        placeholder="a file" if names else "there are none",
        disabled=not names,
        help="From the data root that the server was started with; its metadata CSV is found by its name.",
    )


@st.cache_data(ttl=30, max_entries=4, show_spinner=False)
def recordings(root: Path) -> list[str]:
    return server_folder.recordings(root)


def _key(name: str) -> str:
    """The key of a widget that is emptied when the clip is closed: an uploader cannot be emptied, so a new one replaces it."""
    closed = st.session_state.get(session.CLOSED, 0)
    return f"{name}_{closed}" if closed else name


def take_recording() -> None:
    """The upload becomes the open clip; removing it closes the clip."""
    clip = st.session_state[_key("clip_upload")]
    truth = st.session_state.get(_key("truth_upload"))
    forget()
    if clip is not None:
        with_truth = (truth.name, truth.getvalue()) if truth else ()
        st.session_state[session.CLIP] = Source(clip.name, clip.getvalue(), *with_truth)


def take_truth() -> None:
    """The open clip gets this ground truth; removing it restores that of an example."""
    source, truth = st.session_state.get(session.CLIP), st.session_state[_key("truth_upload")]
    if source is None:
        return
    new = dataclasses.replace(source, truth_name=truth and truth.name, truth=truth and truth.getvalue())
    st.session_state[session.CLIP] = new
    if truth is None and source.link[0] == "example":
        example = session.example(source.link[1])
        assert example is not None
        st.session_state[session.CLIP] = example.open()


def take_from_root() -> None:
    name = st.session_state[_key("clip_in_root")]
    forget()
    if name is not None:
        address.open_clip("recording", name)


def forget() -> None:
    for key in (session.CLIP, session.MOMENT, session.FIX, session.SEEK):
        st.session_state.pop(key, None)


def close() -> None:
    forget()
    st.session_state.pop(session.PUT_AWAY, None)
    for cache in caches.ALL:
        cache.clear()
    st.session_state[session.CLOSED] = st.session_state.get(session.CLOSED, 0) + 1
