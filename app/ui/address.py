"""The address of a page: it holds the open clip and the choices of every page, so that a link, a reload, Back and Forward restore them.

    example     a clip that comes with the app
    recording   a file of the data root, relative to it
    upload      the name of an upload or of a composed scene; only its own session can open it

A widget writes its own choice into the address (``widgets.LINK``). Streamlit removes the parameters of other pages from the address,
so the choices of all pages are kept in the session and written again on every page. Needs no PyTorch.
"""

from urllib.parse import parse_qs

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app.paths import ADDRESS_SCRIPT
from app.storage import server_folder
from app.ui import session
from app.ui.session import Source

CLIP = ("example", "recording", "upload")
_INSPECT = (
    "networks",
    "ensemble",
    "median",
    "minimum",
    "gap",
    "only_classes",
    "only_tracks",
    "own_thresholds",
    "way",
    "panel",
    "chunks",
)
_TRACKS = ("tracks_networks", "tracks_ensembles", "tracks_way", "tracks_view", "tracks_marks")
WIDGETS = {  # those of each page, by its path, whose choices the address holds
    "": (*_INSPECT, "threshold", "window"),
    "tracks": (*_TRACKS, "threshold", "window"),
    "pit-lab": ("pit_part", "pit_network", "pit_own_clip"),
    "models": ("model",),
}
_BY_CLASS = "threshold_"  # begins the names of the sliders of single classes, on Inspect
_HISTORY = st.components.v2.component("einv2_history", js=ADDRESS_SCRIPT.read_text())

# session keys
_PAGE = "address_page"  # the path of the page that ran last
_LINK = "address_link"  # the choices of all pages as the address last held them: {name: [text]}
_OPENED = "address_opened"  # the clip that the address named when the session came to it
_REFUSED = "address_refused"  # (kind, name, why): a clip that the address names and that could not be opened


def follow(page: str) -> None:
    """Open the clip that the address names, and write the open clip into the address. Called once in each run, before the page.

    page: the path of the page that is about to run.
    """
    asked = {} if (context := get_script_run_ctx()) is None else parse_qs(context.query_string, keep_blank_values=True)
    before = st.session_state.get(_PAGE)
    arrives = before is None or (context is not None and context.is_history_navigation)
    st.session_state[_PAGE] = page
    if arrives:
        _open(asked)
    if arrives or page != before:
        _seed(asked, page, before)
    _name_clip()


def asked(name: str) -> list[str]:
    """The values of a parameter in the address through which this page was reached."""
    return st.session_state.get(_LINK, {}).get(name, [])


def answered(name: str) -> None:
    """The user chose something else, so the parameter of the address no longer applies."""
    st.session_state.get(_LINK, {}).pop(name, None)


def has_opened(source: Source) -> bool:
    """Whether this clip was opened by the address, so that the choices in it refer to this clip."""
    return st.session_state.get(_OPENED) is source


def keep_history_short() -> None:
    """One entry in the browser's history for each page and clip, not for each choice. See address.js."""
    _HISTORY(data={"clip": _clip()}, key="einv2_history")


def refusal() -> str | None:
    """Why the clip that the address names is not open, one sentence."""
    refused = st.session_state.get(_REFUSED)
    return None if refused is None or session.CLIP in st.session_state else refused[2]


def _is_of(name: str, page: str | None) -> bool:
    return name in WIDGETS.get(page or "", ()) or (page == "" and name.startswith(_BY_CLASS))


# The clip


def _open(asked: dict[str, list[str]]) -> None:
    """Open the clip that the address names, unless it is open already."""
    kind, name = next(((kind, asked[kind][0]) for kind in CLIP if kind in asked), (None, ""))
    st.session_state.pop(_REFUSED, None)
    source = st.session_state.get(session.CLIP)
    if source is not None and (kind is None or source.link != (kind, name)):
        put_away(source)
    if kind is not None and (source is None or source.link != (kind, name)):
        open_clip(kind, name)
        st.session_state[_OPENED] = st.session_state.get(session.CLIP)


def open_clip(kind: str, name: str) -> None:
    """Open the clip of a kind and name, as the address has them; if that fails, ``refusal`` says why."""
    try:
        st.session_state[session.CLIP] = _named(kind, name)
    except (ValueError, OSError) as error:
        why = error if isinstance(error, ValueError) else f"{name} cannot be read: {error.strerror}."
        st.session_state[_REFUSED] = (kind, name, str(why))


def put_away(source: Source) -> None:
    """Close a clip. The last upload is kept, so that the browser can go back to it."""
    for key in (session.CLIP, session.MOMENT, session.FIX, session.SEEK):
        st.session_state.pop(key, None)
    if source.link[0] == "upload":
        st.session_state[session.PUT_AWAY] = source
    st.session_state[session.CLOSED] = st.session_state.get(session.CLOSED, 0) + 1


def _named(kind: str, name: str) -> Source:
    """The clip of a name. ValueError, one sentence, if it is not there."""
    if kind == "example":
        if (example := session.example(name)) is None:
            raise ValueError(f"There is no example “{name}”: choose one of the existing ones.")
        return example.open()
    if kind == "recording":
        return session.recording(server_folder.data_root(), name)
    upload = st.session_state.get(session.PUT_AWAY)
    if upload is None or upload.name != name:
        raise ValueError(
            f"{name} was open here and is no more: reloading the page, or opening its link elsewhere, loses what was uploaded or "
            "composed. Upload it again; the choices on the page are kept."
        )
    return upload


def _clip() -> tuple[str, str] | None:
    """How the address names the open clip, or the one that could not be opened."""
    source, refused = st.session_state.get(session.CLIP), st.session_state.get(_REFUSED)
    return source.link if source is not None else refused and refused[:2]


def _name_clip() -> None:
    if session.CLIP in st.session_state:
        st.session_state.pop(_REFUSED, None)
    wanted = dict([clip]) if (clip := _clip()) else {}
    if wanted != {kind: st.query_params[kind] for kind in CLIP if kind in st.query_params}:
        _write({kind: [wanted[kind]] if kind in wanted else None for kind in CLIP})


# The choices


def _seed(asked: dict[str, list[str]], page: str, before: str | None) -> None:
    """The choices of this page start as in the address or the session; those of other pages stay in the address."""
    kept = {name: values for name, values in st.session_state.get(_LINK, {}).items() if not _is_of(name, before)}
    link = kept | {name: values for name, values in asked.items() if name not in CLIP}
    st.session_state[_LINK] = link
    here = {n: v for n, v in link.items() if n in asked or not _is_of(n, page) or n not in st.session_state}
    changed = {n: v for n, v in here.items() if st.query_params.get_all(n) != v}
    _write(changed, seeds=True)


def _write(changed: dict[str, list[str] | None], seeds: bool = False) -> None:
    """Write parameters in one message; None removes one. (``st.query_params`` sends a message for each, and none of a widget.)

    seeds: widgets that are drawn for the first time on this page start with the values in the address.
    """
    context = get_script_run_ctx()
    if context is None:
        return
    with context.session_state.query_params() as parameters:
        for name, values in changed.items():
            parameters.discard_param_no_forward_msg(name)
            if values:
                parameters.set_with_no_forward_msg(name, values if len(values) > 1 else values[0])
        if seeds:
            parameters.set_initial_query_params_from_current()
        if changed:
            parameters._send_query_param_msg()
