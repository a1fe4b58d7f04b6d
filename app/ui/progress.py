"""Progress of a computation on a page, with a Stop button, and a Start again button once it was stopped."""

from collections.abc import Callable

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app.ui import widgets

Progress = Callable[[float, str], None]  # the share that is done, 0 to 1, and what is being done


def part(progress: Progress, begin: float, end: float) -> Progress:
    """Progress of a part that begins and ends at these shares of the whole."""
    return lambda share, text: progress(begin + (end - begin) * min(share, 1.0), text)


def with_stop(place: DeltaGenerator, stopped_key: str, task: object) -> Progress:
    """A bar and a Stop button in ``place``, drawn at the first report.

    Stop starts a new run of the page, which ends this one at its next report; the new run finds ``task`` under ``stopped_key``.
    """
    bar: DeltaGenerator | None = None

    def report(share: float, text: str) -> None:
        nonlocal bar
        if bar is None:
            with place.container():
                bar = st.progress(0.0)
                st.button(
                    "Stop", on_click=st.session_state.__setitem__, args=(stopped_key, task), icon=":material/stop:"
                )
        bar.progress(min(share, 1.0), text=widgets.plain(text) or None)

    return report


def is_stopped(stopped_key: str, task: object, text: str) -> bool:
    """Whether the user stopped this task. If so, the page shows ``text`` and a button that starts the task again."""
    if stopped_key not in st.session_state or st.session_state[stopped_key] != task:
        return False
    st.info(text)
    st.button("Start again", on_click=st.session_state.pop, args=(stopped_key,), icon=":material/refresh:")
    return True
