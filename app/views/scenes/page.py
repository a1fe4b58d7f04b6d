"""Scenes: compose one scene and render it, or render a training set of random scenes."""

import streamlit as st

from app.ui import widgets
from app.views.scenes import one_scene, training_sets
from app.views.scenes.scene import WRONG

VIEWS = ("One scene", "Training set")


def page() -> None:
    one_scene.begin()
    st.title("Compose scenes, and know the truth about them")
    view = st.segmented_control(
        "What to make", VIEWS, default=VIEWS[0], key="scenes_view", required=True, label_visibility="collapsed"
    )
    if wrong := st.session_state.pop(WRONG, None):
        widgets.error(wrong)
    if view == VIEWS[0]:
        one_scene.one_scene()
    else:
        training_sets.training_sets()


page()
