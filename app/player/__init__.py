"""Component that puts changing arrays into a standing figure in the browser."""

from pathlib import Path

import streamlit as st

_COMPONENT = st.components.v2.component(
    "einv2_live_traces", html="<span></span>\n", js=Path(__file__).with_name("live_traces.js").read_text()
)


def live_traces(figure_key: str, arrays: list[dict], token: str, key: str) -> None:
    """Put ``arrays`` into the last traces of the chart with the key ``figure_key``.

    token: names the content of the arrays; they are drawn again only when it differs from what the figure shows.
    """
    _COMPONENT(data={"figure": figure_key, "arrays": arrays, "token": token}, key=key, height=1)
