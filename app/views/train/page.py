"""Train: choose data, system and budget, see how long it will take, follow the run, and compare it with others."""

import streamlit as st

from app.jobs import training_runs
from app.ui import widgets
from app.views.train import new_run, runs

NEW_RUN, RUNS = "New run", "Runs"


def page() -> None:
    st.title("Train a network, and watch it learn")
    top = st.container()
    if wrong := st.session_state.pop(runs.WRONG, None):
        with top:
            widgets.error(wrong)
    try:
        known = training_runs.runs()
        if damaged := training_runs.damaged():
            widgets.warning(
                f"The order of {', '.join(damaged)} cannot be read, so it is not listed: delete its folder below runs in the "
                "folder of user data, or put its order.json back"
            )
        runs.show_current(known)
        view = st.segmented_control(
            "View",
            (NEW_RUN, RUNS),
            default=NEW_RUN,
            key="train_view",
            required=True,
            label_visibility="collapsed",
            persist_state="session",
        )
        if view == NEW_RUN:
            new_run.show(known)
        else:
            runs.show_list(known)
    except ValueError as error:
        with top:
            widgets.error(error)


page()
