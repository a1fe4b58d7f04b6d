"""How tables are written, chosen by hand where their files do not tell: the flags of `python -m einv2 evaluate` on the pages."""

import streamlit as st

from app.ui import widgets
from einv2.labels.csv_layout import DISTANCE_UNITS, UNITS, USUAL, Reading

TOLD = "told by the file"
FRAMES_MS = {
    "told by the times": None,
    "100 ms": 100,
    "20 ms": 20,
    "10 ms": 10,
    "40 ms": 40,
    "50 ms": 50,
    "200 ms": 200,
}


def choose(what: str, key: str) -> Reading:
    """The controls, folded away, for the tables of one side. The usual reading, and one sentence, if a choice cannot be."""
    with st.expander(f"Layout of the {what}"):
        st.caption("Told by each file. Choose only what was read wrongly, or could not be told.")
        columns = st.text_input(
            "Columns, in order",
            key=f"{key}_columns",
            placeholder="frame,class,track,azimuth,elevation",
            help="Also x,y,z, distance, and onset,offset in seconds; - for a column that is read over.",
        )
        units = st.selectbox("Directions", [TOLD, *UNITS], key=f"{key}_units")
        distance = st.selectbox("Distances", [TOLD, *DISTANCE_UNITS], key=f"{key}_distance")
        frame = st.selectbox("A frame lasts", list(FRAMES_MS), key=f"{key}_frame_ms")
        try:
            return Reading(
                tuple(columns.split(",")) if columns.strip() else None,
                None if units == TOLD else units,
                None if distance == TOLD else distance,
                FRAMES_MS[frame],
            )
        except ValueError as error:
            widgets.error(error)
            return USUAL
