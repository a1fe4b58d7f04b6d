"""The layout of CSV tables, chosen by hand where it is not recognised: the flags of `python -m einv2 evaluate` as menus."""

import streamlit as st

from app.ui import widgets
from einv2.labels.csv_layout import DISTANCE_UNITS, UNITS, USUAL, Reading

AUTOMATIC = "as in the file"
FRAMES_MS = {
    "as in the times": None,
    "100 ms": 100,
    "20 ms": 20,
    "10 ms": 10,
    "40 ms": 40,
    "50 ms": 50,
    "200 ms": 200,
}


def choose(what: str, key: str) -> Reading:
    """The controls, folded away, for the tables of one side. The usual layout, and an error on the page, if a choice is invalid."""
    with st.expander(f"Layout of the {what}"):
        st.caption("Recognised from each file. Choose only what was read wrongly or could not be recognised.")
        columns = st.text_input(
            "Columns, in order",
            key=f"{key}_columns",
            placeholder="frame,class,track,azimuth,elevation",
            help="Also x,y,z, distance, and onset,offset in seconds; - for a column to ignore.",
        )
        units = st.selectbox("Directions", [AUTOMATIC, *UNITS], key=f"{key}_units")
        distance = st.selectbox("Distances", [AUTOMATIC, *DISTANCE_UNITS], key=f"{key}_distance")
        frame = st.selectbox("A frame lasts", list(FRAMES_MS), key=f"{key}_frame_ms")
        try:
            return Reading(
                tuple(columns.split(",")) if columns.strip() else None,
                None if units == AUTOMATIC else units,
                None if distance == AUTOMATIC else distance,
                FRAMES_MS[frame],
            )
        except ValueError as error:
            widgets.error(error)
            return USUAL
