"""Inspect: a clip through one network or several. What it shows of an open clip is in ``app.views.inspect.clip_view``.

Streamlit runs this page first, so neither it nor its imports may import PyTorch, SciPy or pandas: these are loaded while the user
reads.
"""

import contextlib
import threading

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.clip import opening
from app.networks import registry
from app.ui import address, session, widgets

MAX_NETWORKS = 3


def page() -> None:
    placeholder = st.empty()
    with st.sidebar:
        st.subheader("Clip")
        source = opening.choose()
        st.subheader("Network")
        names, together = choose_networks(placeholder)
    if not names:
        return
    if source is None:
        report_broken(names, placeholder)
        welcome(names)
        prepare_ahead(names[0])
        return
    from app.views.inspect import clip_view

    clip_view.show_clip(source, names, together, placeholder)


def choose_networks(placeholder: DeltaGenerator) -> tuple[list[str], bool]:
    """Their names, and whether they act as one ensemble."""
    available = registry.names()
    if not available:
        with placeholder:
            st.error(widgets.MODELS_MISSING)
        return [], False
    widgets.warn_of_missing("networks", available, placeholder)
    above = st.container()  # here the switch does not move when the list below it changes its height
    names = st.multiselect(
        "Networks",
        available,
        available[:1],
        key="networks",
        on_change=address.answered,
        args=("networks",),
        max_selections=MAX_NETWORKS,
        help="Those of the Models page. Several stand under one another.",
        bind=widgets.LINK,
    )
    if not names:
        with placeholder:
            st.info("Choose a network in the sidebar.")
    together = above.toggle(
        "As one ensemble",
        key="ensemble",
        bind=widgets.LINK,
        disabled=len(names) < 2,
        help="Of two networks or three: their tracks are aligned, then averaged.",
    )
    return names, together and len(names) > 1


def report_broken(names: list[str], placeholder: DeltaGenerator) -> None:
    """Report networks whose headers cannot be read; other faults show once a clip goes through them."""
    for name in names:
        try:
            registry.header(registry.find(name))
        except ValueError as error:
            with placeholder:
                widgets.error(error)


def welcome(names: list[str]) -> None:
    st.title("See what a SELD network hears")
    st.markdown(
        "Open a first-order-ambisonics recording, play it, and see which sounds the network finds, when, and from where: "
        "every output track over time, azimuth and elevation, beside the ground truth if you have it, and where the sound "
        "really comes from. Drop a 4-channel file into the sidebar, or start with an example."
    )
    st.markdown(f"What you open goes through **{widgets.plain(', '.join(names))}**, which the sidebar lets you change.")
    widgets.choose_example(session.examples())
    st.caption(
        "Channels are W, Y, Z, X in SN3D, as in the DCASE data sets. Azimuth grows counter-clockwise from the front: "
        "90° is left. Nothing you open leaves this machine."
    )


@st.cache_resource(show_spinner=False)
def prepare_ahead(name: str) -> None:
    """Load what the first clip needs, in a thread, once for each network."""
    threading.Thread(target=_prepare, args=(name,), daemon=True, name="prepare").start()


def _prepare(name: str) -> None:
    from app.clip import analysis
    from app.views.inspect import clip_view  # noqa: F401 (imported ahead of its use)

    with contextlib.suppress(ValueError, OSError):  # reported when a clip goes through the network
        analysis.load_model(name)


page()
